"""Disks that are small, full or read-only, for the processes of a test alone: mounts in a namespace."""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


def small_disk(folder: Path, size: str) -> str:
    """The command that mounts an empty disk of this size (such as 8m) on a folder."""
    return shlex.join(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)])


def read_only(folder: Path) -> str:
    """The commands that make a folder read-only, for root too."""
    name = shlex.quote(str(folder))
    return f"mount --bind {name} {name} && mount -o remount,bind,ro {name}"


@dataclass(frozen=True, kw_only=True)
class Inside:
    """A mount namespace that the process `pid` holds open."""

    pid: int

    def prefix(self, cwd: Path) -> list[str]:
        """What starts a command in the namespace, in this folder as it is there."""
        enter = ["nsenter", "--target", str(self.pid), "--user", "--preserve-credentials", "--mount"]
        return [*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(cwd)]

    def run(self, *command: str, check: bool = True) -> None:
        """Run a command there to its end."""
        subprocess.run([*self.prefix(Path("/")), *command], check=check, stderr=subprocess.DEVNULL)

    def seen(self, path: Path) -> Path:
        """A path as it is there, for who is outside."""
        return Path(f"/proc/{self.pid}/root{path}")

    def fill(self, folder: Path) -> Path:
        """Fill the disk of a folder to its last byte; the file that does."""
        ballast = folder / "ballast"
        self.run("sh", "-c", 'cat /dev/zero > "$0"', str(ballast), check=False)
        return ballast


@contextmanager
def mounted(*commands: str) -> Iterator[Inside]:
    """A namespace in which these mount commands were carried out; skips where the system allows none."""
    script = " && ".join([*commands, "echo ready", "exec cat"])
    with subprocess.Popen(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None and holder.stderr is not None
        try:
            if holder.stdout.readline() != "ready\n":
                holder.wait()
                reason = " ".join(holder.stderr.read().split())
                pytest.skip(f"needs a mount namespace, which this system does not allow: {reason}")
            yield Inside(pid=holder.pid)
        finally:
            holder.kill()

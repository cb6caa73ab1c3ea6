"""A network of its own for a test that starts a Ray cluster: it disturbs nobody and leaves nothing behind."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.processes import Done, Harness

# processes too: when the first one ends, the kernel ends all others
_UNSHARE = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
_LOOPBACK = ["sh", "-c", 'ip link set lo up && "$@"', "sh"]


def isolated(*arguments: str, cwd: Path, limit_s: float, start: Sequence[str] = ("-m", "harness")) -> Done:
    """Run a command with nothing but a loopback device; skips the test where that can't be had.

    Args:
        arguments: of the command.
        cwd: where.
        limit_s: after so long it is ended, and the test fails.
        start: what Python is given before them, such as a script.
    """
    pytest.importorskip("ray", reason="needs the extra ray")
    with Harness(*arguments, cwd=cwd, prefix=_prefix(), start=start) as running:
        return running.done(limit_s)


def _prefix() -> list[str]:
    reason = "no such command"
    for extra in ([], ["--map-root-user"]):
        prefix = [*_UNSHARE, *extra, *_LOOPBACK]
        try:
            tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, timeout=30)
        except OSError:
            continue
        if tried.returncode == 0:
            return prefix
        reason = tried.stderr.strip()
    pytest.skip(f"needs a network namespace with a loopback device: {reason}")

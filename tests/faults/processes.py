"""The harness as a process, which a test may harm from outside; what it leaves, to compare."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.harness.commands import ROOT

NETWORK = "bilinear-interpolation"
LONG_S = 600.0  # no command here takes as long, but on a machine that does much else


def tiny(*more: str, iterations: int = 12, every: int = 4, size: str = "24x32") -> list[str]:
    """Arguments of a run of seconds: with a validation, and thus a checkpoint, every few iterations.

    Without measurements, reports and site, which take longer than all else.
    """
    changes = ["--iterations", str(iterations), "--override", f"eval_interval={every}"]
    changes += ["--no-measure", "--no-report"]
    return ["run", NETWORK, "--size", size, *changes, "--device", "cpu", "--threads", "1", *more]


class Done(subprocess.CompletedProcess[str]):
    """A command that has ended."""

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.stdout + self.stderr


class Harness:
    """A command of the harness in a session of its own; a context manager, which kills what is left of it.

    Args:
        arguments: of `python -m harness`.
        cwd: where it is started; results, reports and work lie there unless the arguments say otherwise.
        prefix: a command that starts it, such as `nsenter ...`.
        variables: of its environment.
        root: folder of the packages.
        start: what Python is given before the arguments.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path,
        prefix: Sequence[str] = (),
        variables: dict[str, str] | None = None,
        root: Path = ROOT,
        start: Sequence[str] = ("-m", "harness"),
    ) -> None:
        self._command = [*prefix, sys.executable, *start, *arguments]
        self._cwd = cwd
        plain = {"COLUMNS": "200", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        self._environment = {**os.environ, **plain, **(variables or {})}

    def __enter__(self) -> Self:
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            cwd=self._cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.signal_all(signal.SIGKILL)
        self._process.wait()
        for file in (self._out, self._err):
            file.close()

    @property
    def pid(self) -> int:
        """Of the command itself."""
        return self._process.pid

    @property
    def said(self) -> str:
        """All that it has printed so far."""
        return "".join(_text(file) for file in (self._out, self._err))

    @property
    def alive(self) -> bool:
        """Whether the command itself still runs."""
        return self._process.poll() is None

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to it and to every process that it has started."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def workers(self) -> list[int]:
        """Processes that carry out a run, by their command line."""
        return [pid for pid in in_session(self.pid) if "harness.launchers.worker" in _command_line(pid)]

    def wait_for(self, happened: Callable[[], object], seconds: float = LONG_S) -> None:
        """Wait until something is true while it runs."""
        until = time.monotonic() + seconds
        while not happened():
            assert self.alive, f"ended with {self._process.returncode} before: {self.said}"
            assert time.monotonic() < until, f"did not happen in {seconds:.0f} s: {self.said}"
            time.sleep(0.02)

    def done(self, seconds: float = LONG_S) -> Done:
        """Wait for its end."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end in {seconds:.0f} s: {self.said}") from None
        return Done(self._command, code, _text(self._out), _text(self._err))


def harness(*arguments: str, cwd: Path, **how: Any) -> Done:
    """Run a command of the harness to its end."""
    with Harness(*arguments, cwd=cwd, **how) as running:
        return running.done()


def trained(place: "Place", *arguments: str, **how: Any) -> str:
    """Run a command, which must succeed; gives what it said."""
    done = harness(*arguments, cwd=place.folder, **how)
    assert done.returncode == 0, done
    return done.said


def in_session(session: int) -> list[int]:
    """Living processes of a session, by /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _, _, its, *_ = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if int(its) == session and state not in "ZX":
            found.append(int(entry.name))
    return found


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder that the harness is started in, or as a process in a namespace sees it."""

    folder: Path

    @property
    def results(self) -> Path:
        """Folder of the records."""
        return self.folder / "results"

    @property
    def work(self) -> Path:
        """Folder of caches, checkpoints and weights."""
        return self.folder / "work"

    def checkpoints(self) -> list[Path]:
        """The latest of each run that is under way."""
        return sorted(self.work.glob("runs/*/checkpoint.pt"))

    def records(self) -> list[dict[str, Any]]:
        """What is in results/runs, by run id."""
        paths = sorted(self.results.glob("runs/[!.]*/record.json"))
        return [json.loads(path.read_text("utf-8")) for path in paths]

    def leftovers(self) -> list[Path]:
        """Temporary files, which nobody will put in place any more."""
        return sorted([*self.results.rglob(".*.tmp"), *self.work.glob("runs/*/.*.tmp")])


def outcome(place: Place, seed: int = 0) -> dict[str, Any]:
    """All that a finished run leaves but times and machine: record, history, scores, pictures, weights."""
    (record,) = [one for one in place.records() if one["spec"]["seed"] == seed]
    assert record["status"] == "finished", record
    folder = place.results / "runs" / record["run_id"]
    left: dict[str, Any] = {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".npz", ".png")
    }
    left["history"] = json.loads((folder / "history.json").read_text("utf-8"))
    left["record"] = {name: value for name, value in record.items() if name not in ("timing", "environment")}
    weights = place.work / "runs" / record["run_id"]
    return left | {path.name: path.read_bytes() for path in weights.glob("*.safetensors")}


def flip(path: Path, share: float = 0.5) -> None:
    """Turn a bit of a file over, at this share of its length."""
    data = bytearray(path.read_bytes())
    data[int(share * (len(data) - 1))] ^= 1
    path.write_bytes(data)


def _text(file: Any) -> str:
    # read at a place of its own: the process that writes shares the file's position
    return os.pread(file.fileno(), 1 << 24, 0).decode("utf-8", errors="replace")


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""

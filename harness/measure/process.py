"""Measuring in a process of its own, so that no measurement meets what another left in memory or in cuDNN."""

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.child import child_environment
from harness.errors import UserError
from harness.measure.record import (
    Failure,
    MeasurementRecord,
    MeasureSpec,
    blank_state,
    read_record,
    save_measurement,
)

# What a worker says: exit codes, and the mark of a line that names a phase.
DONE, BAD_INPUT, STOPPED = 0, 2, 130
PHASE = "phase: "

_PATIENCE_S = 10.0  # between passing Ctrl-C on and ending a worker that does not heed it
_MESSAGE_LIMIT = 300


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a worker ended.

    code: its exit code, or minus the signal that ended it.
    phase: the last one that it entered.
    error: what it said, in one line.
    oom_kills: processes that the kernel killed for want of memory meanwhile.
    """

    code: int
    phase: str
    error: str
    oom_kills: int


def measure_in_process(
    spec: MeasureSpec, results: Path, on_phase: Callable[[str], None] = lambda phase: None
) -> MeasurementRecord:
    """Measure in a fresh process and save the record below `results`, a failed one too.

    A worker that was killed or ended by an error leaves a failed record with what it had measured until then.

    Args:
        spec: what to measure.
        results: the results folder.
        on_phase: called with the name of each phase as it begins.

    Raises:
        UserError: bad input that the worker found, or a results folder that can't be written.
        KeyboardInterrupt: Ctrl-C, after the worker has ended; nothing is saved.
    """
    with tempfile.TemporaryDirectory(prefix="segnet-harness-") as folder:
        spec_file, output = Path(folder) / "spec.json", Path(folder) / "record.json"
        spec_file.write_text(spec.model_dump_json(), "utf-8")
        command = [sys.executable, "-m", "harness.measure.worker", str(spec_file), str(output)]
        ending = run_worker(command, on_phase)
        if ending.code in (STOPPED, -signal.SIGINT):
            raise KeyboardInterrupt
        if ending.code == BAD_INPUT:
            raise UserError(ending.error)
        record = read_record(output) if output.exists() else _empty(spec)
    if ending.code != DONE:
        record = record.model_copy(update={"status": "failed", "failure": failure_of(ending)})
    save_measurement(results, record)
    return record


def _empty(spec: MeasureSpec) -> MeasurementRecord:
    """The record of a worker that ended before it could write one."""
    from harness.measure.draft import NOT_REACHED, Draft

    return Draft(spec, blank_state(NOT_REACHED)).record()


def failure_of(ending: Ending) -> Failure:
    """Why a worker ended otherwise than with a record of its own.

    SIGKILL counts as out of memory only if the kernel counted such a kill meanwhile: others send it too.
    """
    if ending.code >= 0:
        message = ending.error or f"the process ended with exit code {ending.code}"
        kind: Literal["oom", "error"] = "oom" if "out of memory" in message.lower() else "error"
        return Failure(kind=kind, message=message[:_MESSAGE_LIMIT], phase=ending.phase)
    name = signal.Signals(-ending.code).name
    if -ending.code == signal.SIGKILL and ending.oom_kills > 0:
        message = f"OOM in {ending.phase}: the process was killed by the kernel's OOM killer"
        return Failure(kind="oom", message=message, phase=ending.phase)
    return Failure(
        kind="error", message=f"the process was ended by {name} in {ending.phase}", phase=ending.phase
    )


def run_worker(command: Sequence[str], on_phase: Callable[[str], None]) -> Ending:
    """Run a worker to its end, reading its phases; Ctrl-C is passed on to it and raised again.

    Raises:
        KeyboardInterrupt: Ctrl-C came; the worker has ended.
    """
    kills = oom_kills()
    phase = "start"
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, env=child_environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as worker,
    ):
        assert worker.stdout is not None, "it is a pipe"
        try:
            for line in worker.stdout:
                if line.startswith(PHASE):
                    phase = line.removeprefix(PHASE).rstrip()
                    on_phase(phase)
            code = worker.wait()
        except KeyboardInterrupt:
            _stop(worker)
            raise
        errors.seek(0)
        said = errors.read().decode("utf-8", errors="replace")
    return Ending(code=code, phase=phase, error=error_line(said), oom_kills=oom_kills() - kills)


def error_line(said: str) -> str:
    """What a process's errors say in one line: a traceback's last exception, else the last line."""
    lines = said.strip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback (")]
    after = lines[starts[-1] + 1 :] if starts else []
    # what lies between is indented; an exception's own text may run on over further lines
    return next((line for line in after if not line.startswith(" ")), lines[-1] if lines else "")


def _stop(worker: subprocess.Popen[str]) -> None:
    """End a worker that the terminal may or may not have sent the same Ctrl-C."""
    if worker.poll() is None:
        worker.send_signal(signal.SIGINT)
    try:
        worker.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def oom_kills() -> int:
    """Processes that the kernel has killed for want of memory since it started, here or in this container."""
    try:
        counters = Path("/proc/vmstat").read_text("utf-8")
    except OSError:
        return 0
    found = re.search(r"^oom_kill (\d+)$", counters, re.MULTILINE)
    return int(found[1]) if found else 0

"""Measuring processes, seen from the one that started them: steps are asked for, and endings explained.

Each measurement is made in a fresh process, so that it meets nothing that another left in memory or in cuDNN.
"""

import signal
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from harness.profiling.work import DONE, END, PHASE, READY, Task, WorkerResult
from harness.records.measurement import Failure
from harness.system.errors import UserError
from harness.system.files import replacing
from harness.system.supervisor import Child, ChildEnding, command, error_line

FINISHED, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, 130  # exit codes of a worker

_HEARTBEAT_TIMEOUT_S = 10.0  # between passing Ctrl-C on and ending a worker that does not heed it
_MESSAGE_LIMIT = 300


class Worker:
    """A process that carries out steps: a context manager, which ends it.

    phase: the last one that it entered. error: once it has ended, what it said, in one line.

    Args:
        command: what to start; it prints `ready` when it may be asked.
        on_phase: called with the name of each phase as it begins.
    """

    def __init__(self, command: Sequence[str], on_phase: Callable[[str], None] = lambda phase: None) -> None:
        self._command = list(command)
        self._on_phase = on_phase
        self.phase, self.error = "start", ""
        self.ended_early = False  # before it had done what it was asked

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()
        self._child = Child(self._command, output=self._errors, pipes=True)
        self._process = self._child.process
        return self

    def __exit__(self, *error: object) -> None:
        # the terminal may or may not have sent it the same Ctrl-C
        self._child.end(signal.SIGINT, _HEARTBEAT_TIMEOUT_S)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None, "they are pipes"
            try:
                stream.close()
            except BrokenPipeError:  # what was not yet written goes with the process
                continue
        self._errors.close()

    def ready(self) -> bool:
        """Wait until it may be asked; false if it ended instead."""
        return self._wait_for(READY)

    def step(self, what: str) -> bool:
        """Ask for something and wait until it is done; false if the process ended instead."""
        return self.begin(what) and self.finish()

    def begin(self, what: str) -> bool:
        """Ask for something and don't wait; false if the process has ended."""
        assert self._process.stdin is not None, "it is a pipe"
        try:
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self.ended_early = True
            return False
        return True

    def finish(self) -> bool:
        """Wait until what was begun is done; false if the process ended instead."""
        return self._wait_for(DONE)

    def end(self) -> ChildEnding:
        """Let it end, and say how it did."""
        self.begin(END)
        self._wait_for("")  # reads to the end, so that the process can write all
        ended = self._child.ending()
        assert ended is not None, "it was waited for"
        self._errors.seek(0)
        self.error = error_line(self._errors.read().decode("utf-8", errors="replace"))
        return ended

    def _wait_for(self, word: str) -> bool:
        assert self._process.stdout is not None, "it is a pipe"
        for line in self._process.stdout:
            said = line.rstrip()
            if said.startswith(PHASE):
                self.phase = said.removeprefix(PHASE)
                self._on_phase(self.phase)
            elif said and said == word:
                return True
        self.ended_early |= bool(word)
        return False


class MeasurementWorker(Worker):
    """The worker of one task; its files lie in a folder that the caller provides and removes."""

    def __init__(self, task: Task, folder: Path, on_phase: Callable[[str], None] = lambda phase: None) -> None:
        self._output = folder / "result.json"
        with replacing(folder / "task.json", "free space, or set TMPDIR to another folder") as temporary:
            temporary.write_text(task.model_dump_json(), "utf-8")
        super().__init__(command("harness.profiling.worker", folder / "task.json", self._output), on_phase)

    def outcome(self) -> tuple[WorkerResult | None, Failure | None]:
        """Let it end: its result, and why it failed, if it did.

        Raises:
            UserError: bad input that the worker found.
            KeyboardInterrupt: it was stopped by Ctrl-C.
        """
        ended = self.end()
        if ended.code in (STOPPED, -signal.SIGINT):
            raise KeyboardInterrupt
        if ended.code == BAD_INPUT:
            raise UserError(self.error)
        result = WorkerResult.model_validate_json(self._output.read_bytes()) if self._output.exists() else None
        # the code of a network may end the process with any exit code
        if ended.code != FINISHED or self.ended_early or result is None:
            return result, failure_of(ended, self.phase, self.error)
        return result, result.failure


def failure_of(ended: ChildEnding, phase: str, error: str) -> Failure:
    """Why a worker ended otherwise than with a result of its own; phase: the last one, error: what it said."""
    if ended.code < 0:
        killed = ended.kind == "oom"
        message = f"OOM ({phase}): {ended}" if killed else f"{ended} ({phase})"
        return Failure(kind="oom" if killed else "error", message=message)
    message = error or str(ended)
    return Failure(kind="oom" if "out of memory" in message.lower() else "error", message=message[:_MESSAGE_LIMIT])

"""Two sides that take turns: each in a process of its own, one computing at a time, the order swapped."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self

from harness.launchers.supervisor import KEEP_MEMORY
from harness.system.subprocesses import child_environment
from tests.benchmarks.player import Settings

# Threads of the side that has just finished still spin for a moment before they sleep.
PAUSE_S = 0.05
HEARTBEAT_TIMEOUT_S = 10.0


class PlayerError(Exception):
    """A side that ended before its time: one line that says which and why."""


def plain_environment() -> dict[str, str]:
    """The default environment, in which a child finds these packages."""
    return {name: value for name, value in child_environment().items() if name not in KEEP_MEMORY}


def harness_environment() -> dict[str, str]:
    """The environment that `harness.launchers.run` gives the processes that train and evaluate."""
    return {**KEEP_MEMORY, **child_environment()}


class Player:
    """One side.

    Args:
        module: where its job is; it has a table `JOBS`.
        job: the job's name there.
        settings: handed to the job.
        environment: of the process.

    Raises:
        PlayerError: the process ended, on entering or later; with the last line that it said.
    """

    def __init__(self, module: str, job: str, settings: Settings, environment: Mapping[str, str]) -> None:
        self._title = f"{module}: {job}"
        self._command = [sys.executable, "-m", "tests.benchmarks.player", module, job]
        self._command.append(settings.model_dump_json())
        self._environment = environment

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        with ExitStack() as stack:
            stack.callback(self._close)
            self._answer()
            stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def turn(self) -> list[float]:
        """One sample: its seconds as the player itself took them."""
        time.sleep(PAUSE_S)
        found: list[float] = self._ask("turn")["seconds"]
        return found

    def explain(self) -> list[str]:
        """What the player has to say about its figures."""
        found: list[str] = self._ask("explain")["notes"]
        return found

    def _ask(self, question: str) -> dict[str, Any]:
        assert self._process.stdin is not None, "it is a pipe"
        try:
            self._process.stdin.write(f"{question}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer, which there is not, says why
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None, "it is a pipe"
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", errors="replace").strip().splitlines()
            reason = said[-1] if said else f"exit code {code}"
            raise PlayerError(f"{self._title}: {reason}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _close(self) -> None:
        """Let the process end, or end it."""
        with suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(HEARTBEAT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()


class Duel:
    """Rounds of two players; in every other round the second one goes first.

    `before`, `ours` and `after` are to be called in this order, as `benchmark.pedantic` does with setup,
    target and teardown. The first `warmup` rounds leave no samples. Without a second player, our own turn may
    give the opponent's seconds too.
    """

    def __init__(self, ours: Player, other: Player | None, warmup: int) -> None:
        self._ours, self._other = ours, other
        self._warmup = warmup
        self._round = 0
        self.ours_s: list[float] = []
        self.other_s: list[float] = []

    def before(self) -> None:
        """The other's turn in even rounds."""
        if self._round % 2 == 0:
            self._turn_of_other()

    def ours(self) -> None:
        """Our turn."""
        own, *opponent = self._ours.turn()
        if self._round >= self._warmup:
            self.ours_s.append(own)
            self.other_s += opponent

    def after(self) -> None:
        """The other's turn in odd rounds; ends the round."""
        if self._round % 2 == 1:
            self._turn_of_other()
        self._round += 1

    def _turn_of_other(self) -> None:
        if self._other is not None:
            taken = self._other.turn()
            if self._round >= self._warmup:
                self.other_s += taken

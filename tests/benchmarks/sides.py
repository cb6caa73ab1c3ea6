"""Interleaved pairs for pytest-benchmark: two sides, each in a process of its own, one computing at a time.

A side's job is an entry of its module's `JOBS`: settings -> what is carried out at each step.
"""

import importlib
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, Self
from unittest.mock import patch

from pydantic import BaseModel, ConfigDict
from pytest_benchmark.fixture import BenchmarkFixture

from harness.launchers.process import KEEP_MEMORY

PAUSE_S = 0.05  # threads of the side that has just finished still spin for a moment before they sleep
LEAVE_S = 10.0  # for a process to end by itself


class Settings(BaseModel):
    """What a job is about; each job takes what it needs. Sizes are (height, width)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: tuple[int, int] = (360, 480)
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    batch: int = 1
    images: int = 1
    workers: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    folded: bool = False
    channels_last: bool = False
    data_root: Path = Path("data")
    work: Path = Path("work")
    predictions: Path = Path("predictions.npz")
    weights: Path | None = None
    results: Path = Path("results")
    suite: str = ""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that is prepared.

    step: carries out one sample and returns its seconds; with an opponent of its own, that one's too.
    explain: sentences about the samples, found after the last step.
    """

    step: Callable[[], tuple[float, ...]]
    explain: Callable[[], list[str]] = list


JobTable = dict[str, Callable[[Settings], Job]]


def seconds(work: Callable[[], object]) -> float:
    """What a piece of work takes, by the wall clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def timed(work: Callable[[], object], explain: Callable[[], list[str]] = list) -> Job:
    """The job whose steps carry out this work, which ends by waiting for the device if it has one."""
    return Job(step=lambda: (seconds(work),), explain=explain)


class SideError(Exception):
    """A side that failed: one line that says which and why."""


class Side:
    """A job in a process of its own, which computes only when it is asked to: a context manager.

    Args:
        module: where the job is; it has a table `JOBS`.
        job: the job's name there.
        settings: handed to the job.
        variables: of the environment, beside this process's own.

    Raises:
        SideError: the job failed or its process ended, on entering or later.
    """

    def __init__(self, module: str, job: str, settings: Settings, variables: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._title, self._variables = f"{module}: {job}", variables
        self._answers, theirs = context.Pipe()
        self._theirs = theirs
        self._process = context.Process(target=_serve, args=(theirs, module, job, settings))

    def __enter__(self) -> Self:
        with patch.dict(os.environ, self._variables):
            self._process.start()
        self._theirs.close()
        try:
            self._answer()
        except SideError:
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def step(self) -> tuple[float, ...]:
        """One sample: its seconds as the side itself took them."""
        time.sleep(PAUSE_S)
        found: tuple[float, ...] = self._ask("step")
        return found

    def explain(self) -> list[str]:
        """What the side has to say about its samples."""
        found: list[str] = self._ask("explain")
        return found

    def _ask(self, question: str) -> Any:
        with suppress(BrokenPipeError):  # the answer, which there is not, says why
            self._answers.send(question)
        return self._answer()

    def _answer(self) -> Any:
        try:
            answer = self._answers.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(LEAVE_S)
            answer = SideError(f"exit code {self._process.exitcode}")
        if isinstance(answer, SideError):
            raise SideError(f"{self._title}: {answer}")
        return answer

    def _end(self) -> None:
        """Let the process end, or end it."""
        self._answers.close()
        self._process.join(LEAVE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Connection, module: str, name: str, settings: Settings) -> None:
    """The body of a side's process: prepares the job and answers until the other end closes."""
    try:
        job = importlib.import_module(module).JOBS[name](settings)
        connection.send(None)
        while True:
            connection.send(getattr(job, connection.recv())())
    except EOFError:
        return
    except Exception as error:  # of whatever kind: it is passed on, and the process ends
        connection.send(SideError(f"{type(error).__name__}: {error}".splitlines()[0]))


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Seconds of both sides by round."""

    ours_s: tuple[float, ...] = ()
    opponent_s: tuple[float, ...] = ()


def interleave(benchmark: BenchmarkFixture, ours: Side, other: Side | None, *, rounds: int, warmup: int) -> Samples:
    """Rounds of a pair under pytest-benchmark; in every other one the second side goes first.

    Args:
        benchmark: times our side's steps, which are its target; the other's are its setup or teardown.
        ours: our side; without another, its steps may give an opponent's seconds too.
        other: what it is compared with.
        rounds: that count.
        warmup: rounds before them.
    """
    ours_s: list[float] = []
    opponent_s: list[float] = []

    def step() -> None:
        own, *opponent = ours.step()
        ours_s.append(own)
        opponent_s.extend(opponent)

    def before() -> None:
        if other is not None and len(ours_s) % 2 == 0:
            opponent_s.extend(other.step())

    def after() -> None:
        if other is not None and len(opponent_s) < len(ours_s):
            opponent_s.extend(other.step())

    benchmark.pedantic(  # type: ignore[no-untyped-call]
        step, setup=before, teardown=after, rounds=rounds, warmup_rounds=warmup
    )
    return Samples(ours_s=tuple(ours_s[warmup:]), opponent_s=tuple(opponent_s[warmup:]))


def harness_variables() -> Mapping[str, str]:
    """What `harness.launchers` adds to the environment of processes that train and evaluate."""
    return {name: value for name, value in KEEP_MEMORY.items() if name not in os.environ}

"""Sides of a comparison: each a job in a process of its own, which computes only when it is asked to.

A process since glibc reads the variables that the harness sets for its runs, and the PyTorch baseline goes without,
when a process starts. A job is an entry of its module's `JOBS`: settings -> what is carried out at each step.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

PAUSE_S = 0.05  # threads of the side that has just finished still spin for a moment before they sleep


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a job is about; each job takes what it needs.

    size: of images, (height, width). workers: of the PyTorch baseline's DataLoader. work: folder of caches.
    words: of a command.
    """

    size: tuple[int, int] = (360, 480)
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    batch: int = 1
    images: int = 1
    workers: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    folded: bool = False
    data_root: Path = Path("data")
    work: Path = Path("work")
    words: tuple[str, ...] = ()

    @property
    def predictions(self) -> Path:
        """File of the predictions that are scored; our side makes it."""
        return self.work / "predictions.npz"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that is prepared.

    step: carries out one sample and returns its seconds; with an opponent of its own, that one's too.
    explain: sentences about the samples, found after the last step.
    """

    step: Callable[[], tuple[float, ...]]
    explain: Callable[[], list[str]] = list


JobTable = dict[str, Callable[[Settings], Job]]
Ask = Callable[[str], Any]  # "step" or "explain" -> what the job's function of that name returns


def seconds(work: Callable[[], object]) -> float:
    """What a piece of work takes, by the wall clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def timed(work: Callable[[], object], explain: Callable[[], list[str]] = list) -> Job:
    """The job whose steps carry out this work, which ends by waiting for the device if it has one."""
    return Job(step=lambda: (seconds(work),), explain=explain)


@contextmanager
def side(module: str, job: str, settings: Settings, variables: Mapping[str, str]) -> Iterator[Ask]:
    """A job in a process with this one's environment and those of `variables` that it lacks, prepared.

    What the job raises is raised here; BrokenProcessPool: its process ended.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        with patch.dict(os.environ, {**variables, **os.environ}):
            pool.submit(_answer, module, job, settings).result()
        yield lambda question: pool.submit(_answer, module, job, settings, question).result()


def _answer(module: str, job: str, settings: Settings, question: str = "") -> Any:
    prepared = _prepared(module, job, settings)
    answer = getattr(prepared, question)() if question else None
    time.sleep(PAUSE_S)
    return answer


@cache
def _prepared(module: str, job: str, settings: Settings) -> Job:
    prepared: Job = importlib.import_module(module).JOBS[job](settings)
    return prepared

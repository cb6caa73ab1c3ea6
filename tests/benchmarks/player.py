"""A side in a process of its own, which computes only when it is asked to.

    python -m tests.benchmarks.player MODULE JOB SETTINGS

prepares `MODULE.JOBS[JOB](settings)` and then answers each line `turn`, `explain` or `end` on its standard
input with one line of JSON on its standard output. Whatever the job prints goes to standard error.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from pydantic import BaseModel, ConfigDict

Size = tuple[int, int]


class Settings(BaseModel):
    """What a job is about; each job takes what it needs. Sizes are (height, width)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Size = (360, 480)
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


def no_explanation() -> list[str]:
    """A job that has nothing to say about its figures."""
    return []


@dataclass(frozen=True, kw_only=True)
class WorkerJob:
    """A job that is prepared.

    turn: carries out one sample and returns its seconds; with an opponent of its own, that one's too.
    explain: sentences about the figures, found after the last turn.
    """

    turn: Callable[[], tuple[float, ...]]
    explain: Callable[[], list[str]] = no_explanation


JobTable = dict[str, Callable[[Settings], WorkerJob]]


def seconds(work: Callable[[], object]) -> float:
    """What a piece of work takes, by the wall clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def timed(work: Callable[[], object], explain: Callable[[], list[str]] = no_explanation) -> WorkerJob:
    """The job whose turns carry out this work, which ends by waiting for the device if it has one."""
    return WorkerJob(turn=lambda: (seconds(work),), explain=explain)


def serve(job: WorkerJob, questions: Iterable[str], answers: TextIO) -> None:
    """Answer questions until the end of them."""
    for question in questions:
        match question.strip():
            case "turn":
                print(json.dumps({"seconds": job.turn()}), file=answers, flush=True)
            case "explain":
                print(json.dumps({"notes": job.explain()}), file=answers, flush=True)
            case "end":
                return
            case other:
                raise ValueError(f"a player knows no {other!r}: turn, explain or end")


def main(module: str, job: str, settings: str) -> None:
    """Prepare the job, say `ready`, serve."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    table: JobTable = importlib.import_module(module).JOBS
    prepared = table[job](Settings.model_validate_json(settings))
    print(json.dumps({"ready": True}), file=answers, flush=True)
    serve(prepared, sys.stdin, answers)


if __name__ == "__main__":
    main(*sys.argv[1:])

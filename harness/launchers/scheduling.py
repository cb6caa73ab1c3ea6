"""What all launchers do alike: which runs there are to do, the job of each, and how endings are counted."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harness.config.run_spec import RunSpec
from harness.config.worker_job import WorkerJob
from harness.launchers import worker
from harness.launchers.run import Outcome, RunContext, status_of
from harness.records.cleanup import clear_finished
from harness.records.run import finished
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED

LEAST_S = 60.0  # of a budget, for another run to be begun


def job_of(spec: RunSpec, context: RunContext) -> WorkerJob:
    """What a worker is handed to carry out this run."""
    member = None if spec.postprocess else context.member  # the CRF goes image by image, in one process
    sharing = member.local_processes if member is not None else 1
    return WorkerJob(
        spec=spec,
        device=context.device,
        threads=max(1, context.threads // sharing),
        results=context.results.resolve(),
        work=context.work.resolve(),
        data_root=context.data_root,
        weights=context.weights.get(spec.initial_weights.key),
        tensorboard=context.tensorboard,
        deadline_s=context.deadline_s,
        heartbeat_timeout_s=context.heartbeat_timeout_s,
        member=member,
    )


def waves(specs: Sequence[RunSpec]) -> list[list[RunSpec]]:
    """The runs in groups of which each can go on at once: those that refine another's output come last."""
    found = [[spec for spec in specs if bool(spec.postprocess) == refines] for refines in (False, True)]
    return [wave for wave in found if wave]


def log_file(folder: Path) -> Path:
    """What is printed about a run that has no terminal of its own, in its folder; earlier segments too."""
    return folder / "log.txt"


def still_to_do(specs: Sequence[RunSpec], context: RunContext, console: Console, outcome: Outcome) -> list[RunSpec]:
    """The runs without a finished record; the others are said, and counted as skipped.

    What a finished one's killed process may have left of its checkpoints goes.
    """
    todo = []
    for spec in specs:
        if (stored := finished(context.results, spec)) is not None:
            console.print(f"{spec.run_id}: finished before, nothing to do", highlight=False)
            clear_finished(job_of(spec, context).folder, stored.record)
            outcome.skipped += 1
            continue
        if (status := status_of(context.results, spec)) != "to do":
            console.print(f"{spec.run_id}: {status}", highlight=False)
        todo.append(spec)
    return todo


def count(outcome: Outcome, code: int) -> None:
    """Count a worker's exit code. Bad input counts as failed; a run left to another process does not."""
    outcome.stopped |= code == STOPPED
    outcome.time_limit_reached |= code == TIME_LIMIT_REACHED
    outcome.done += code == worker.FINISHED
    outcome.failed += code not in (worker.FINISHED, worker.ELSEWHERE, STOPPED, TIME_LIMIT_REACHED)

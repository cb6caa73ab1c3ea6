"""The run that the CRF refines: its record, and where its weights and logits lie. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path

from harness.config.run_spec import RunSpec
from harness.config.worker_job import WorkerJob
from harness.records.run import RunRecord, finished
from harness.records.weights_files import final_weights, logits_file, stored_best_weights


class BaseRunMissing(Exception):
    """The run to be refined has no finished record, or neither weights nor logits are there."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The weights of a finished run at one iteration.

    labels: rows of the table that the run's test scores at this iteration fill.
    """

    iteration: int
    labels: tuple[str, ...]
    weights: Path
    folder: Path

    def logits_path(self, split: str) -> Path:
        """Where the logits of a split are kept."""
        return logits_file(self.folder, split, self.iteration)


@dataclass(frozen=True, kw_only=True)
class BaseRun:
    """A finished run and what is left of it in the work folder."""

    record: RunRecord
    folder: Path

    @property
    def last_iteration(self) -> int:
        """Of training."""
        return self.record.trained_iterations or self.record.spec.protocol.iterations

    def checkpoint(self, iteration: int) -> Checkpoint:
        """The weights at the last iteration, or at the one that val chose.

        Raises:
            ValueError: another iteration, whose weights are not kept.
        """
        kept = {self.last_iteration: final_weights(self.folder)}
        if (best := self.record.best_iteration) is not None:
            kept.setdefault(best, stored_best_weights(self.folder, best))
        if iteration not in kept:
            raise ValueError(f"weights are kept of iterations {sorted(kept)}, not {iteration}")
        labels = [
            label
            for evaluation in self.record.evaluations
            if (evaluation.split, evaluation.iteration) == ("test", iteration)
            for label in evaluation.labels
        ]
        return Checkpoint(
            iteration=iteration,
            labels=tuple(dict.fromkeys(labels)),
            weights=kept[iteration],
            folder=self.folder,
        )

    @property
    def chosen(self) -> Checkpoint:
        """The weights that val chose."""
        return self.checkpoint(self.record.best_iteration or self.last_iteration)

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The weights that val chose and, where they are others, those of the last iteration."""
        iterations = dict.fromkeys([self.chosen.iteration, self.last_iteration])
        return tuple(self.checkpoint(iteration) for iteration in iterations)


def base_spec(spec: RunSpec) -> RunSpec:
    """The spec of the run whose output a run of `spec` refines."""
    return spec.model_copy(update={"postprocess": ""})


def base_job(job: WorkerJob) -> WorkerJob:
    """The job that the refined run was; its initial weights are not needed again."""
    request = job.request.model_copy(update={"weights": {}})  # its own are loaded
    return job.model_copy(update={"spec": base_spec(job.spec), "request": request})


def find_base_run(job: WorkerJob) -> BaseRun:
    """The finished run that a job's CRF refines. BaseRunMissing: there is no finished record of it."""
    base = base_job(job)
    stored = finished(job.results, base.spec)
    if stored is None:
        raise BaseRunMissing(f"{base.spec.run_id}, whose output was to be refined, has no finished record")
    return BaseRun(record=stored.record, folder=base.folder)

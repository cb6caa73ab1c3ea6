"""All runs of a results folder, read once; what is damaged or odd is listed with its reason, and stops nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import datasets
from harness.config.run_spec import RunSpec
from harness.records.run import RunRecord, StoredRun, load_runs
from harness.report.grouping import Run, Scored, distinct_titles
from harness.system.errors import printable


@dataclass(frozen=True, kw_only=True)
class Store:
    """All runs of a results folder, read once.

    finished: those whose files are whole. failed: records of the others. unreadable: one line each on what
    is damaged or odd, paths relative to the folder.
    """

    results: Path
    finished: tuple[Run, ...]
    failed: tuple[RunRecord, ...]
    unreadable: tuple[str, ...]

    @property
    def records(self) -> list[RunRecord]:
        """Of all runs, finished ones first."""
        return [*(run.record for run in self.finished), *self.failed]

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """Network -> title; of networks that share one, each has its name behind it."""
        return distinct_titles([record.spec.network for record in self.records])


def read_store(results: Path | str) -> Store:
    """Read every run; one that is damaged, or an evaluation without a labeled pixel, is listed and left out."""
    results = Path(results)
    stored, unreadable = load_runs(results)
    lines = [line.replace(f"{results}/", "") for line in unreadable]
    finished: list[Run] = []
    failed: list[RunRecord] = []
    for run in stored:
        if run.record.status == "failed":
            failed.append(run.record)
            continue
        try:
            loaded, odd = _load(run)
        except ValueError as error:
            lines.append(f"runs/{run.record.run_id}: {' '.join(str(error).replace(f'{results}/', '').split())}")
            continue
        finished.append(loaded)
        lines += odd
    finished, odd = _of_the_same_images(finished)
    lines += odd
    lines = sorted(map(printable, lines))  # a folder's name may be of signs that no file can hold
    return Store(results=results, finished=tuple(finished), failed=tuple(failed), unreadable=tuple(lines))


def _load(run: StoredRun) -> tuple[Run, list[str]]:
    """A run, and a line on each of its evaluations and validations that can't be scored.

    Raises:
        ValueError: a run that is damaged, or not of its dataset's classes.
    """
    run.check_pictures()
    _check_classes(run.record.spec)
    scored, odd = [], []
    for evaluation in run.record.evaluations:
        matrices = run.matrices(evaluation)
        if (matrices < 0).any() or not matrices.any():
            why = "counts no labeled pixel" if not matrices.any() else "has a negative count"
            odd.append(f"runs/{run.record.run_id}: {evaluation.split} at iteration {evaluation.iteration} {why}")
            continue
        boundary = run.boundary(evaluation) if evaluation.boundary else None
        scored.append(Scored(evaluation=evaluation, matrices=matrices, boundary=boundary))
    history = run.history()
    sound = [one for one in history.validation if any(map(any, one.matrix))]
    if missing := len(history.validation) - len(sound):
        odd.append(f"runs/{run.record.run_id}: history.json: {missing} validations count no labeled pixel")
    return Run(stored=run, scored=tuple(scored), history=history.model_copy(update={"validation": sound})), odd


def _of_the_same_images(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """The runs without evaluations of another number of images than most on the same data have, and a line on each."""
    counts: dict[tuple[str, str], Counter[int]] = {}
    for run in runs:
        for one in run.scored:
            key = run.record.spec.dataset_hash, one.evaluation.key
            counts.setdefault(key, Counter())[one.evaluation.images] += 1
    alike, odd = [], []
    for run in runs:
        kept = []
        for one in run.scored:
            split, images = one.evaluation.split, one.evaluation.images
            ((most, _),) = counts[run.record.spec.dataset_hash, one.evaluation.key].most_common(1)
            if images == most:
                kept.append(one)
            else:
                odd.append(f"runs/{run.record.run_id}: {images} images of {split}, but {most} in most runs on its data")
        alike.append(replace(run, scored=tuple(kept)))
    return alike, odd


def _check_classes(spec: RunSpec) -> None:
    try:
        info = spec.dataset_info
    except datasets.DatasetError:
        return  # brought by a plugin that a report need not load
    if info.num_classes != spec.num_classes:
        raise ValueError(f"it has {spec.num_classes} classes, but {info.name} has {info.num_classes}")

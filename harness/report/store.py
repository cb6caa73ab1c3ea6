"""The runs and measurements of a results folder, read once, and what the networks are called."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

import architectures
import datasets
from architectures import ArchitectureInfo
from harness import metrics
from harness.config.run_spec import RunSpec
from harness.metrics.bootstrap import MIN_IMAGES, SCORES, over_seeds
from harness.records.measurement import MeasurementRecord, load_measurements
from harness.records.run import Evaluation, History, RunRecord, StoredRun, load_runs
from harness.system.errors import printable

# How the paper marks a network whose output was refined.
REFINED_TITLES: Mapping[str, str] = {"dense-crf@1": "denseCRF"}


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One evaluation of one run, with what it is scored from.

    counts: pixels of each class in every image, and the confusion matrix.
    boundary: per-class BF of every image, (N, K), NaN where a class does not count; none where not scored.
    """

    evaluation: Evaluation
    counts: metrics.ImageCounts
    boundary: NDArray[np.float64] | None

    @property
    def matrix(self) -> NDArray[np.int64]:
        """The split's confusion matrix (K, K)."""
        return self.counts.matrix

    @cached_property
    def scores(self) -> metrics.Scores:
        """The split's scores."""
        return metrics.scores(self.matrix)

    @cached_property
    def bf(self) -> float | None:
        """The split's BF, 0 to 1."""
        return None if self.boundary is None else float(metrics.dataset_bf(self.boundary))

    @cached_property
    def resampled(self) -> NDArray[np.float64] | None:
        """G, C, mIoU and BF, (R, 4), 0 to 1, on resamples of blocks of images; none of too few images.

        All evaluations of a split get the same resamples. BF means nothing where it was not scored.
        """
        return metrics.resampled_scores(self._image_scores) if len(self.counts) >= MIN_IMAGES else None

    @cached_property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Score -> ends of its 95 % interval over blocks of images, 0 to 1; empty of too few images."""
        if self.resampled is None:
            return {}
        found = {name: over_seeds(self.resampled[None, :, at]) for at, name in enumerate(SCORES)}
        return {name: (one.low, one.high) for name, one in found.items()}

    @property
    def resampled_iou(self) -> NDArray[np.float64] | None:
        """IoU of every class, (R, K), 0 to 1, on the same resamples; NaN where undefined."""
        return metrics.resampled_class_iou(self._image_scores) if len(self.counts) >= MIN_IMAGES else None

    @property
    def _image_scores(self) -> metrics.ImageScores:
        unscored = np.full(self.counts.labeled.shape, np.nan)
        bf = unscored if self.boundary is None else self.boundary
        return metrics.ImageScores(counts=self.counts, bf=bf)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run with its evaluations and its history."""

    stored: StoredRun
    scored: tuple[Scored, ...]
    history: History

    @property
    def record(self) -> RunRecord:
        """The run's record."""
        return self.stored.record

    def prediction(self, image_id: str) -> NDArray[np.uint8] | None:
        """A kept prediction as class numbers (H, W); none where this run did not keep it."""
        try:
            with Image.open(self.stored.prediction_path(image_id)) as picture:
                return np.asarray(picture.convert("L"), dtype=np.uint8)
        except (OSError, UnidentifiedImageError):
            return None

    def at(self, split: str, label: str) -> Scored | None:
        """The evaluation of a split that fills a row of the table, if there is one."""
        found = (one for one in self.scored if one.evaluation.split == split and label in one.evaluation.labels)
        return next(found, None)


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
    def measured(self) -> tuple[list[MeasurementRecord], tuple[str, ...]]:
        """All measurements, and a line each on what can't be read."""
        return read_measurements(self.results)

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """Network -> title; of networks that share one, each has its name behind it."""
        return distinct_titles([record.spec.network for record in self.records])


def read_store(results: Path | str | Store) -> Store:
    """Every run, unless they were read already; one that is damaged, or an evaluation without a labeled pixel, is
    listed and left out.
    """
    if isinstance(results, Store):
        return results
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
        arrays = run.counts(evaluation)
        counts = metrics.ImageCounts.stored(arrays)
        negative = any((array < 0).any() for array in arrays.values())
        if negative or not counts.matrix.any():
            why = "has a negative count" if negative else "counts no labeled pixel"
            odd.append(f"runs/{run.record.run_id}: {evaluation.split} at iteration {evaluation.iteration} {why}")
            continue
        boundary = run.boundary(evaluation) if evaluation.boundary else None
        scored.append(Scored(evaluation=evaluation, counts=counts, boundary=boundary))
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


def read_measurements(results: Path) -> tuple[list[MeasurementRecord], tuple[str, ...]]:
    """All measurements, and a line on each that is damaged or odd, paths relative to the folder."""
    records, unreadable = load_measurements(results)
    return records, tuple(sorted(line.replace(f"{results}/", "") for line in unreadable))


def architecture_info(name: str) -> ArchitectureInfo | None:
    """What is known of an architecture; none of one registered by a plugin that a report need not load."""
    try:
        return architectures.info(name)
    except architectures.ArchitectureError:
        return None


def output_stride(network: str) -> int:
    """Side in pixels of the cells of a network's logits; 1 of one that refines another's, or is not known here."""
    info = None if "+" in network else architecture_info(network)
    return info.output_stride if info else 1


def title(network: str) -> str:
    """What the paper calls a network; for an architecture that is not registered here, its own name.

    Of plugins that share a name, the one at hand has its title, the others show the hash of their source.
    """
    architecture, _, made = network.rpartition("+")
    if made in REFINED_TITLES:
        return f"{title(architecture)}-{REFINED_TITLES[made]}"
    name, _, source = network.partition("#")
    found = architecture_info(name)
    if found is None:
        taken = any(network == architectures.info(one).title for one in architectures.names())
        return f"{network} (unknown)" if taken else network
    return found.title if source in ("", found.source[:8]) else network


def distinct_titles(networks: Iterable[str]) -> dict[str, str]:
    """Network -> title; of networks that share one, each has its name behind it."""
    plain = {network: title(network) for network in networks}
    shared = list(plain.values())
    return {name: f"{text} ({name})" if shared.count(text) > 1 else text for name, text in plain.items()}

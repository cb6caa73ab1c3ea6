"""The tidy frames on which every table, plot and page stands: what the records say, a row a fact.

Each function takes a results folder, or a `Store` that was read from one. Scores are percent (0 to 100), mIoU
and the others as `harness/report/metrics.py` defines them; NaN where there is none. What is damaged or odd
never stops a frame: it is left out, and `frame.attrs["unreadable"]` has a line on it. No torch is imported.

Columns of runs, in all frames of scores: run_id, network (the architecture; `+dense-crf@1` where its output
was refined), title, dataset, group (folder of the group in reports: runs with one may stand in one table),
seed. Those that `load_results` has besides are joined by run_id.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.metrics.confusion import average_rates
from harness.records.run import BEST, RunRecord
from harness.report.grouping import GroupKey, outdated, suites_of
from harness.report.measurement_frame import load_measurements
from harness.report.metrics import CLASS_METRICS, METRICS, Metric, image_accuracy, image_bf, image_miou
from harness.report.scored_data import class_names, dataset_info, image_names
from harness.report.store import Run, Scored, Store, read_store

Source = Path | str | Store
Row = dict[str, Any]

# Checkpoints are named in short; the record's own word for the chosen iteration is longer.
CHECKPOINTS = {BEST: "best"}
RUN_COLUMNS = ("run_id", "network", "title", "dataset", "group", "seed")
RESULT_COLUMNS = (
    *("run_id", "network", "architecture", "postprocess", "title", "dataset", "dataset_title", "dataset_variant"),
    *("dataset_sha256", "synthetic", "protocol", "protocol_title", "overrides", "class_weighting", "seed"),
    *("precision", "compiled", "initial_weights", "initial_weights_sha256", "initial_weights_title"),
    *("evaluation_revision", "metrics_revision", "outdated", "reduced", "reduced_why", "group", "suites"),
    *("device", "torch", "status", "failure", "parameters", "planned_iterations", "train_hours"),
    *("split", "checkpoint", "iteration", "images"),
)


def load_results(results: Source = "results") -> pd.DataFrame:
    """A row for each run, split and checkpoint; for a failed run one row without scores.

    Columns, besides those of runs: architecture, postprocess (`dense-crf@1` or empty), dataset_title,
    dataset_variant, dataset_sha256, synthetic (drawn data), protocol (name@version), protocol_title (with its
    overrides), overrides (`lr=0.0003`, by space), class_weighting, precision, compiled, initial_weights
    (none, imagenet, file), initial_weights_sha256, initial_weights_title, evaluation_revision,
    metrics_revision, outdated (why the record may not stand beside current ones, or empty), reduced,
    reduced_why, suites (by space), device, torch, status (finished, failed), failure (kind: message),
    parameters, planned_iterations (of training, which early stopping may end before), train_hours, split (train,
    val, test), checkpoint (end, half, best, 80K ...), iteration, images. Then for each row of `metrics.METRICS` its
    score in percent (global_accuracy, which is G or aAcc; class_accuracy, C or mAcc; miou; bf; fwiou; image_miou),
    and for the first four `_low` and `_high`, the 95 % bootstrap interval over blocks of neighboring images of
    this one run.
    """
    store = read_store(results)
    rows: list[Row] = []
    for run in store.finished:
        shared = _origin(run.record, store)
        for one, checkpoint in _checkpoints(run):
            rows.append(shared | _evaluation(one, checkpoint) | _scores(one))
    rows += [_origin(record, store) for record in store.failed]
    scores = [name for metric in METRICS for name in _score_columns(metric)]
    return _frame(rows, [*RESULT_COLUMNS, *scores], store)


def load_class_scores(results: Source = "results") -> pd.DataFrame:
    """A row for each run, split, checkpoint and class.

    Columns, besides those of runs: split, checkpoint, iteration, class_index, class, and in percent accuracy,
    iou, dice, precision, recall (the same as accuracy), bf and share (of the split's labeled pixels).
    """

    def cells(run: Run, one: Scored) -> Row:
        names = class_names(run.record)
        values = {metric.name: metric.value(one) for metric in CLASS_METRICS}
        return {"class_index": range(len(names)), "class": list(names), **values}

    columns = ("class_index", "class", *(metric.name for metric in CLASS_METRICS))
    return _scored_frame(read_store(results), columns, cells)


def load_image_scores(results: Source = "results") -> pd.DataFrame:
    """A row for each run, split, checkpoint and image.

    Columns, besides those of runs: split, checkpoint, iteration, image (its number in the split, from 0),
    image_id (of drawn data; empty for other datasets, whose list of images is with the data), and in percent miou,
    accuracy and bf of the image alone; NaN where all of it is void.
    """

    def cells(run: Run, one: Scored) -> Row:
        count = len(one.counts)
        return {
            "image": range(count),
            "image_id": image_names(run.record, one.evaluation.split, count),
            "miou": 100 * image_miou(one),
            "accuracy": 100 * image_accuracy(one),
            "bf": 100 * image_bf(one),
        }

    return _scored_frame(read_store(results), ("image", "image_id", "miou", "accuracy", "bf"), cells)


def load_curves(results: Source = "results") -> pd.DataFrame:
    """A row for each run and iteration that something is known of.

    Columns, besides those of runs: iteration, loss (mean over the iterations since the row before; in the
    protocol's own loss, at the logits' own size), lr, and in percent val_ and train_ of global_accuracy,
    class_accuracy and miou, NaN where that split was not scored there.
    """
    store = read_store(results)
    names = ("global_accuracy", "class_accuracy", "miou")
    rows: list[Row] = []
    for run in store.finished:
        points: dict[int, Row] = {}
        history = run.history
        for iteration, loss, lr in zip(history.iteration, history.loss, history.lr, strict=True):
            points.setdefault(iteration, {}).update(loss=loss, lr=lr)
        for split, iteration, matrix in _curve_points(run):
            scores = zip(names, average_rates(matrix), strict=True)
            points.setdefault(iteration, {}).update({f"{split}_{name}": 100 * float(one) for name, one in scores})
        shared = _run(run.record, store)
        rows += [shared | {"iteration": iteration} | points[iteration] for iteration in sorted(points)]
    columns = [*RUN_COLUMNS, "iteration", "loss", "lr"]
    return _frame(rows, [*columns, *(f"{split}_{name}" for split in ("val", "train") for name in names)], store)


def _scored_frame(store: Store, columns: Sequence[str], cells: Callable[[Run, Scored], Row]) -> pd.DataFrame:
    """A row for each run, split, checkpoint and element of what `cells` has of an evaluation."""
    parts = [
        pd.DataFrame({**_run(run.record, store), **_evaluation(one, checkpoint), **cells(run, one)})
        for run in store.finished
        for one, checkpoint in _checkpoints(run)
    ]
    names = [*RUN_COLUMNS, "split", "checkpoint", "iteration", *columns]
    frame = pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)
    frame.attrs["unreadable"] = store.unreadable
    return frame


def _frame(rows: list[Row], columns: list[str], store: Store) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    frame.attrs["unreadable"] = store.unreadable
    return frame


def _run(record: RunRecord, store: Store) -> Row:
    spec = record.spec
    return {
        "run_id": record.run_id,
        "network": spec.network,
        "title": store.titles[spec.network],
        "dataset": spec.dataset,
        "group": GroupKey.of(spec).slug,
        "seed": spec.seed,
    }


def _origin(record: RunRecord, store: Store) -> Row:
    """All columns that do not change within a run."""
    spec, weights, info = record.spec, record.spec.initial_weights, dataset_info(record.spec)
    failure = record.failure
    return _run(record, store) | {
        "architecture": spec.architecture,
        "postprocess": spec.postprocess,
        "dataset_title": info.title if info else spec.dataset,
        "dataset_variant": spec.dataset_variant,
        "dataset_sha256": spec.dataset_hash,
        "synthetic": info is not None and info.synthetic,
        "protocol": spec.protocol.name,
        "protocol_title": spec.protocol.title,
        "overrides": " ".join(f"{field}={value}" for field, value in spec.protocol.overrides.items()),
        "class_weighting": spec.protocol.class_weighting,
        "precision": spec.precision,
        "compiled": spec.compiled,
        "initial_weights": weights.kind,
        "initial_weights_sha256": weights.sha256 or "",
        "initial_weights_title": weights.title,
        "evaluation_revision": spec.evaluation_revision,
        "metrics_revision": spec.metrics_revision,
        "outdated": outdated(record),
        "reduced": bool(record.reduced),
        "reduced_why": "; ".join(record.reduced),
        "suites": " ".join(suite.name for suite in suites_of(spec)),
        "device": record.device,
        "torch": record.environment.get("torch") or "",
        "status": record.status,
        "failure": f"{failure.kind}: {failure.message}" if failure else "",
        "parameters": record.parameters,
        "planned_iterations": spec.protocol.iterations,
        "train_hours": record.timing.train_s / 3600 if record.timing else np.nan,
    }


def _checkpoints(run: Run) -> Iterator[tuple[Scored, str]]:
    """Each evaluation with each name of its checkpoint."""
    for one in run.scored:
        for label in one.evaluation.labels:
            yield one, CHECKPOINTS.get(label, label)


def _evaluation(one: Scored, checkpoint: str) -> Row:
    found = one.evaluation
    return {
        "split": found.split,
        "checkpoint": checkpoint,
        "iteration": found.iteration,
        "images": found.images,
    }


def _scores(one: Scored) -> Row:
    cells: Row = {}
    for metric in METRICS:
        values = (metric.value(one), *(metric.bounds(one) if metric.interval else ()))
        cells |= dict(zip(_score_columns(metric), values, strict=True))
    return cells


def _score_columns(metric: Metric) -> list[str]:
    return [metric.name, *([f"{metric.name}_low", f"{metric.name}_high"] if metric.interval else [])]


def _curve_points(run: Run) -> Iterator[tuple[str, int, np.ndarray[Any, Any]]]:
    for validation in run.history.validation:
        yield "val", validation.iteration, np.asarray(validation.matrix)
    for one in run.scored:
        if one.evaluation.split != "test":
            yield one.evaluation.split, one.evaluation.iteration, one.matrix


__all__ = ["load_class_scores", "load_curves", "load_image_scores", "load_measurements", "load_results"]

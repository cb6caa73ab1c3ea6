"""Records: what a run leaves in `results/runs/<run id>/`, and how it is written and read.

record.json                what was run, on what, how it ended
history.json               loss and rate (thinned), and the confusion matrix of each validation
scores.npz                 confusion matrix and per-class BF of every image, per evaluation
prediction-<stem>.png      the label maps predicted for a few test images (values are class numbers)

Scores are not stored: they are derived from the matrices (`harness.metrics`), again at any time.
"""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.atomic import write_atomically
from harness.errors import UserError
from harness.spec import RunSpec

HISTORY_POINTS = 1000
BEST = "best by val"  # label of the evaluation at the iteration that val chose


class Failure(BaseModel):
    """Why a run ended without a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["oom", "diverged", "data", "killed", "error"]
    message: str
    iteration: int | None = None


class Evaluation(BaseModel):
    """One scoring of one split; its arrays lie in scores.npz under `key`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Literal["train", "val", "test"]
    iteration: int
    labels: tuple[str, ...] = Field(description="rows of the table it fills: '40K', '80K', 'best by val'")
    images: int
    boundary: bool = Field(description="whether BF was scored")

    @property
    def key(self) -> str:
        """Prefix of the evaluation's arrays in scores.npz."""
        return f"{self.split}-{self.iteration:06d}"


class Timing(BaseModel):
    """Wall time of the run, added up over its segments. Not a measurement of speed.

    Time that torch.compile took stands apart: train_s is without it, total_s with it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_s: float
    evaluate_s: float
    compile_s: float | None = Field(
        None,
        description="what first steps took beyond a usual one, less where torch's cache on disk held some of "
        "it; none for a run that is not compiled",
    )
    total_s: float
    segments: int = Field(description="1, plus one for each time the run was resumed")


class RunRecord(BaseModel):
    """record.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    run_id: str
    spec: RunSpec
    status: Literal["finished", "failed"]
    failure: Failure | None = None
    reduced: tuple[str, ...] = Field(description="why this is a reduced run; empty for a full one")
    layers_set: tuple[str, ...] = Field((), description="encoder layers that the initial weights set")
    encoder_layers: int = Field(0, description="how many layers could have been set")
    parameters: int | None = None
    best_iteration: int | None = Field(
        None, description="highest val score that the protocol chooses by, the earliest on a tie"
    )
    trained_iterations: int | None = Field(
        None, description="fewer than the protocol's where the loss had stopped falling"
    )
    evaluations: tuple[Evaluation, ...] = ()
    stems: tuple[str, ...] = Field((), description="test images whose predictions are kept")
    timing: Timing | None = None
    device: str = Field(description="what it was trained on, by name")
    environment: dict[str, Any] = Field(description="the machine and the software")

    @model_validator(mode="after")
    def _failure_has_a_reason(self) -> Self:
        if (self.status == "failed") != (self.failure is not None):
            raise ValueError("a failed run has a failure, a finished one has none")
        return self


class Validation(BaseModel):
    """One scoring of the validation split in the course of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iteration: int
    matrix: list[list[int]] = Field(description="confusion matrix (K, K), rows are truth")


class History(BaseModel):
    """history.json: columns of equal length, one entry a kept point."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iteration: list[int] = Field(description="last iteration that the point's mean is taken over")
    loss: list[float] = Field(description="mean cross-entropy over the point's iterations")
    lr: list[float]
    validation: list[Validation]


class StoredRun:
    """A record on disk, with its history, scores and predictions read on demand."""

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder = folder
        self.record = record

    def history(self) -> History:
        """The thinned training history and the validations."""
        return History.model_validate_json((self.folder / "history.json").read_text("utf-8"))

    def matrices(self, evaluation: Evaluation) -> NDArray[np.int64]:
        """Confusion matrix of every image, (N, K, K), rows are truth."""
        with np.load(self.folder / "scores.npz") as arrays:
            return np.asarray(arrays[f"{evaluation.key}-matrices"], dtype=np.int64)

    def boundary(self, evaluation: Evaluation) -> NDArray[np.float64]:
        """Per-class BF of every image, (N, K), NaN where a class does not count."""
        with np.load(self.folder / "scores.npz") as arrays:
            return np.asarray(arrays[f"{evaluation.key}-bf"], dtype=np.float64)

    def prediction_path(self, stem: str) -> Path:
        """The kept prediction of a test image: an 8-bit PNG of class numbers at full label size."""
        return self.folder / f"prediction-{stem}.png"


def pack_scores(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of scores.npz: one cell of all images after another, LZMA, 40 % smaller than numpy's own.

    Args:
        arrays: name -> (N, ...), by image.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asfortranarray(array), allow_pickle=False)
            # a ZipInfo of its own carries no date, so that equal scores make equal files
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_LZMA)
    return target.getvalue()


def thin(
    history: list[tuple[int, float, float]], points: int = HISTORY_POINTS
) -> list[tuple[int, float, float]]:
    """Thin (iteration, loss, lr) triples to at most `points`: means over equal stretches, five digits."""
    stretch = -(-len(history) // points) if history else 1
    kept = []
    for start in range(0, len(history), stretch):
        part = history[start : start + stretch]
        loss = sum(entry[1] for entry in part) / len(part)
        kept.append((part[-1][0], float(f"{loss:.5g}"), float(f"{part[-1][2]:.5g}")))
    return kept


def runs_folder(results: Path) -> Path:
    """Where the records of runs lie."""
    return results / "runs"


def save_run(results: Path, record: RunRecord, files: dict[str, bytes]) -> Path:
    """Put a whole record folder in place at once, replacing an earlier failed one.

    Args:
        results: the results folder.
        record: becomes record.json.
        files: name -> content of all that lies beside it.

    Raises:
        UserError: the folder can't be written.
    """
    target = runs_folder(results) / record.run_id
    staging = target.with_name(f".{record.run_id}.{os.getpid()}.tmp")
    text = record.model_dump_json(indent=1) + "\n"
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
    except OSError as error:
        raise UserError(
            f"can't write {staging.parent}: {error.strerror}; choose another --results"
        ) from error
    try:
        for name, data in {**files, "record.json": text.encode()}.items():
            write_atomically(staging / name, data)
        if target.exists():
            shutil.rmtree(target)
        staging.replace(target)
    except OSError as error:
        raise UserError(f"can't write {target}: {error.strerror}; choose another --results") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def load_run(folder: Path) -> StoredRun:
    """Read one record.

    Raises:
        ValueError: no record there, or one that does not fit the schema (one line, naming the file).
    """
    path = folder / "record.json"
    try:
        record = RunRecord.model_validate_json(path.read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()
        raise ValueError(f"{path}: not a record: {' '.join(first[1:3] or first)}") from error
    if record.run_id != folder.name or record.run_id != record.spec.run_id:
        raise ValueError(f"{path}: the record is of {record.spec.run_id}, not of {folder.name}")
    return StoredRun(folder, record)


def load_runs(results: Path) -> tuple[list[StoredRun], list[str]]:
    """All readable records, sorted by run id, and one line for each unreadable one."""
    runs, unreadable = [], []
    parent = runs_folder(results)
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        if folder.is_dir() and not folder.name.startswith("."):
            try:
                runs.append(load_run(folder))
            except ValueError as error:
                unreadable.append(str(error))
    return runs, unreadable


def finished(results: Path, spec: RunSpec) -> StoredRun | None:
    """The finished record of this spec, if there is one."""
    folder = runs_folder(results) / spec.run_id
    if not (folder / "record.json").exists():
        return None
    try:
        stored = load_run(folder)
    except ValueError:
        return None  # damaged: the run is done again, and replaces it
    return stored if stored.record.status == "finished" else None


def to_json(values: BaseModel) -> bytes:
    """Compact JSON with a newline at its end."""
    return (json.dumps(values.model_dump(mode="json"), separators=(",", ":")) + "\n").encode()

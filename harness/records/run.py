"""Records: what a run leaves in `results/runs/<run id>/`, and how it is written and read.

record.json                what was run, on what, how it ended
history.json               loss and lr (thinned), and the confusion matrix of each validation
scores.npz                 confusion matrix and per-class BF of every image, per evaluation
prediction-<image>.png     the label maps predicted for a few test images (values are class numbers)
SHA256SUMS                 checksums of all of these, so that damage is noticed; earlier records have none

Scores are not stored: they are derived from the matrices (`harness.metrics`), again at any time.
"""

import io
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, ValidationError, field_validator, model_validator

from harness.config.run_spec import RunSpec
from harness.records.crf import CrfRecord
from harness.records.store import Manifest, first_error
from harness.system import checksums
from harness.system.corruption import UNREADABLE
from harness.system.files import replacing_folder, write_atomically
from harness.system.quantities import Frozen

Count = Annotated[int, Field(ge=0, le=2**53)]

BEST = "best by val"  # label of the evaluation at the iteration that val chose


class Failure(Frozen):
    """Why a run ended without a result."""

    kind: Literal["oom", "diverged", "data", "killed", "error"]
    message: str
    iteration: int | None = None


class Evaluation(Frozen):
    """One scoring of one split; its arrays lie in scores.npz under `key`."""

    split: Literal["train", "val", "test"]
    iteration: Count
    labels: tuple[str, ...] = Field(description="rows of the table it fills: 'half', 'end', 'best by val'")
    images: Count
    boundary: bool = Field(description="whether BF was scored")

    @property
    def key(self) -> str:
        """Prefix of the evaluation's arrays in scores.npz."""
        return f"{self.split}-{self.iteration:06d}"


class Timing(Frozen):
    """Wall time of the run, added up over its segments. Not a measurement of speed.

    Time that torch.compile took stands apart: train_s is without it, total_s with it.
    """

    train_s: float = Field(ge=0)
    evaluate_s: float = Field(ge=0)
    compile_s: float | None = Field(
        None,
        ge=0,
        description="what first steps took beyond a usual one, less where torch's cache on disk held some of "
        "it; none for a run that is not compiled",
    )
    total_s: float = Field(ge=0)
    segments: int = Field(description="1, plus one for each time the run was resumed")


class Distributed(Frozen):
    """How several processes carried out a run together."""

    world_sizes: tuple[int, ...] = Field(
        description="how many shared each batch; more than one number where a segment had another"
    )
    backend: Literal["gloo", "nccl"] = Field(description="what carried their tensors, in the last segment")
    batch_norm: Literal["synchronized"] = Field("synchronized", description="over the whole batch")


class RunRecord(Frozen):
    """record.json."""

    schema_version: Literal[1] = 1
    run_id: str
    spec: RunSpec
    status: Literal["finished", "failed"]
    failure: Failure | None = None
    reduced: tuple[str, ...] = Field(description="why this is a reduced run; empty for a full one")
    layers_set: tuple[str, ...] = Field((), description="encoder layers that the initial weights set")
    encoder_layers: int = Field(0, description="how many layers could have been set")
    parameters: Count | None = None
    best_iteration: int | None = Field(
        None, description="highest val score that the protocol chooses by, the earliest on a tie"
    )
    trained_iterations: int | None = Field(
        None, description="fewer than the protocol's where the loss had stopped falling"
    )
    evaluations: tuple[Evaluation, ...] = ()
    image_ids: tuple[str, ...] = Field((), description="test images whose predictions are kept")
    timing: Timing | None = None
    distributed: Distributed | None = Field(None, description="none: one process throughout")
    device: str = Field(description="what it was trained on, by name")
    environment: Manifest = Field(description="the machine and the software")
    crf: CrfRecord | None = Field(None, description="of a run whose output the CRF refines")

    @field_validator("image_ids")
    @classmethod
    def _are_parts_of_file_names(cls, image_ids: tuple[str, ...]) -> tuple[str, ...]:
        for image_id in image_ids:
            if not image_id or {"/", "\0"} & set(image_id):
                raise ValueError(f"{image_id!r:.60} can't be part of a file's name")
        return image_ids

    @model_validator(mode="after")
    def _failure_has_a_reason(self) -> Self:
        if (self.status == "failed") != (self.failure is not None):
            raise ValueError("a failed run has a failure, a finished one has none")
        return self


class Validation(Frozen):
    """One scoring of the validation split in the course of a run."""

    iteration: Count
    matrix: list[list[Count]] = Field(description="confusion matrix (K, K), rows are truth")

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        if any(len(row) != len(self.matrix) for row in self.matrix):
            raise ValueError("the matrix must be square")
        return self


class History(Frozen):
    """history.json: columns of equal length, one entry a kept point."""

    iteration: list[Count] = Field(description="last iteration that the point's mean is taken over")
    loss: list[float] = Field(description="mean cross-entropy over the point's iterations")
    lr: list[float]
    validation: list[Validation]

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        if not len(self.iteration) == len(self.loss) == len(self.lr):
            raise ValueError("iteration, loss and lr must be of equal length")
        return self


Read = TypeVar("Read")


class StoredRun:
    """A record on disk, with its history, scores and predictions read on demand.

    What is missing or damaged raises ValueError: one line that names the file.
    """

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder = folder
        self.record = record

    def history(self) -> History:
        """The thinned training history and the validations."""
        data = checksums.read_checked(self.folder, "history.json")
        try:
            history = History.model_validate_json(data)
        except ValidationError as error:
            raise ValueError(f"{self.folder / 'history.json'}: {first_error(error)}") from error
        classes = self.record.spec.num_classes
        if any(len(validation.matrix) != classes for validation in history.validation):
            raise ValueError(f"{self.folder / 'history.json'}: a matrix is not of {classes} classes")
        return history

    def matrices(self, evaluation: Evaluation) -> NDArray[np.int64]:
        """Confusion matrix of every image, (N, K, K), rows are truth."""
        classes = self.record.spec.num_classes
        shape = (evaluation.images, classes, classes)
        return self._scores(f"{evaluation.key}-matrices", shape, np.integer).astype(np.int64)

    def counts(self, evaluation: Evaluation) -> dict[str, NDArray[np.int64]]:
        """`matrices`, or of a split whose matrices would be too large what is kept of them.

        That is `pixels`, right, labeled and predicted ones of each image and class, (N, 3, K), and `matrix`, (K, K).
        """
        classes = self.record.spec.num_classes
        if f"{evaluation.key}-matrix" not in self._stored:
            return {"matrices": self.matrices(evaluation)}
        shapes = {"pixels": (evaluation.images, 3, classes), "matrix": (classes, classes)}
        found = {name: self._scores(f"{evaluation.key}-{name}", shape, np.integer) for name, shape in shapes.items()}
        return {name: array.astype(np.int64) for name, array in found.items()}

    def boundary(self, evaluation: Evaluation) -> NDArray[np.float64]:
        """Per-class BF of every image, (N, K), NaN where a class does not count."""
        shape = (evaluation.images, self.record.spec.num_classes)
        return self._scores(f"{evaluation.key}-bf", shape, np.floating).astype(np.float64)

    def prediction_path(self, image_id: str) -> Path:
        """The kept prediction of a test image: an 8-bit PNG of class numbers at full label size."""
        return self.folder / f"prediction-{image_id}.png"

    def check(self) -> None:
        """Read everything that the record says is there."""
        if self.record.status == "failed":
            return
        self.history()
        for evaluation in self.record.evaluations:
            self.counts(evaluation)
            if evaluation.boundary:
                self.boundary(evaluation)
        self.check_pictures()

    def check_pictures(self) -> None:
        """Read the kept predictions."""
        for image_id in self.record.image_ids:
            path = self.prediction_path(image_id)
            data = checksums.read_checked(self.folder, path.name)
            try:
                Image.open(io.BytesIO(data), formats=("PNG",)).load()
            except (*UNREADABLE, Image.DecompressionBombError) as error:
                raise ValueError(f"{path}: no picture: {_first_lines(error)}") from error

    @cached_property
    def _stored(self) -> Collection[str]:
        """Names of the arrays in scores.npz."""
        return self._read_scores("its list of arrays", tuple)

    def _scores(self, name: str, shape: tuple[int, ...], kind: type[Any]) -> NDArray[Any]:
        path = self.folder / "scores.npz"
        array = self._read_scores(name, lambda arrays: np.asarray(arrays[name]))
        if array.shape != shape or not np.issubdtype(array.dtype, kind):
            raise ValueError(f"{path}: {name} is {array.dtype} {array.shape}, not {kind.__name__} {shape}")
        return array

    def _read_scores(self, what: str, read: Callable[[Mapping[str, NDArray[Any]]], Read]) -> Read:
        path = self.folder / "scores.npz"
        data = checksums.read_checked(self.folder, path.name)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return read(arrays)
        except UNREADABLE as error:
            raise ValueError(f"{path}: {what} can't be read: {_first_lines(error)}") from error


def runs_folder(results: Path) -> Path:
    """Where the records of runs lie."""
    return results / "runs"


def save_run(results: Path, record: RunRecord, files: dict[str, bytes]) -> Path:
    """Put a whole record folder in place at once, with what lies beside record.json by name; it replaces a failed one.

    Raises:
        UserError: the folder can't be written.
    """
    target = runs_folder(results) / record.run_id
    contents = {**files, "record.json": f"{record.model_dump_json(indent=1)}\n".encode()}
    contents[checksums.NAME] = checksums.checksums(
        {name: data for name, data in contents.items() if name != checksums.NAME}
    )
    with replacing_folder(target, "choose another --results") as staging:
        for name, data in contents.items():
            write_atomically(staging / name, data)
    return target


def load_run(folder: Path) -> StoredRun:
    """Read one record.

    Raises:
        ValueError: no record there, or one that does not fit the schema (one line, naming the file).
    """
    path = folder / "record.json"
    data = checksums.read_checked(folder, path.name)
    try:
        record = RunRecord.model_validate_json(data)
    except ValidationError as error:
        raise ValueError(f"{path}: not a record: {first_error(error)}") from error
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
    """The finished record of this spec, if there is one that is whole."""
    folder = runs_folder(results) / spec.run_id
    if not (folder / "record.json").exists():
        return None
    try:
        stored = load_run(folder)
        stored.check()
    except ValueError:
        return None  # damaged: the run is done again, and replaces it
    return stored if stored.record.status == "finished" else None


def _first_lines(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__

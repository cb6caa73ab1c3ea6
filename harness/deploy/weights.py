"""A trained model outside its run: from a run's weights or from a folder of weights, built again for inference.

A folder holds model.safetensors, config.json and README.md (`harness weights`), as the Hugging Face Hub shows them.
Importing this module imports no torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import architectures
from datasets.base import Color
from harness.config.initial_weights import INPUT_FIELDS
from harness.config.protocol import Protocol, load_protocol, padding_color
from harness.config.run_spec import Precision
from harness.config.suite import check_architecture
from harness.postprocess.crf.base_run import BaseRun
from harness.records.run import RunRecord, StoredRun, load_run, load_runs, runs_folder
from harness.system.environment import Device
from harness.system.errors import UserError

if TYPE_CHECKING:
    from architectures.base import Architecture

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SEED = 0  # of weights that are drawn
_HOW_TO_TRAIN = (
    "`python -m harness run segnet --suite quick` makes a small run without any download, "
    "`python -m harness run --dataset folder:PATH` one of your own images"
)


class ModelConfig(BaseModel):
    """config.json: all that is needed to build a model again and to give it pictures as in its training."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    library_name: Literal["segnet-harness"] = "segnet-harness"
    architecture: str
    architecture_revision: int
    architecture_source: str = Field("", description="SHA-256 of a plugin's target and sources")
    classes: tuple[str, ...] = Field(min_length=2)
    colors: tuple[tuple[int, int, int], ...]
    image_size: tuple[int, int] = Field(description="(height, width) of the images that it was trained on")
    keep_ratio: bool = Field(False, description="pad pictures of another shape by input_mean instead of stretching")
    input_mean: tuple[float, float, float] = Field(description="R, G, B, in gray levels of 0..255")
    input_std: tuple[float, float, float]
    standardize: bool = False
    local_response_norm: bool = False
    precision: Precision = Field("fp32", description="in which it was trained and scored")
    dataset: str = ""
    dataset_sha256: str = Field("", description="of the content that it was trained on")
    protocol: str = ""
    run_id: str = Field("", description="empty: the weights are drawn, not trained")
    iteration: int = 0

    @model_validator(mode="after")
    def _colors_fit(self) -> Self:
        if len(self.colors) != len(self.classes):
            raise ValueError(f"{len(self.colors)} colors for {len(self.classes)} classes")
        return self

    @property
    def num_classes(self) -> int:
        """Void not counted."""
        return len(self.classes)

    @property
    def padding(self) -> Color | None:
        """The color that pictures are padded with; none where they are stretched."""
        return padding_color(self.input_mean) if self.keep_ratio else None

    def as_protocol(self) -> Protocol:
        """A protocol with this size and input, for reading data; the rest of it is not the model's."""
        fields = {name: getattr(self, name) for name in (*INPUT_FIELDS, "keep_ratio")}
        return load_protocol("camvid@2").model_copy(update={"size": self.image_size, **fields})


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a model comes from.

    name: as files made of it are named.
    weights: its file; none where they are drawn.
    record: of the run that trained it, where that is at hand.
    """

    name: str
    config: ModelConfig
    weights: Path | None
    record: StoredRun | None = None


def find(name: str, results: Path, work: Path) -> Source:
    """The trained model that a folder of weights or a run's id names; results and work are the runs' folders.

    Raises:
        UserError: there is no such, or its weights are gone; one line that says what to do.
    """
    folder = Path(name)
    if folder.is_dir():
        return _from_folder(folder)
    if not (runs_folder(results) / name).is_dir():
        raise UserError(_no_such(name, results, work))
    try:
        stored = load_run(runs_folder(results) / name)
    except ValueError as error:
        raise UserError(f"run {name!r}: {error}; run it again") from None
    record = stored.record
    if record.status != "finished":
        raise UserError(f"run {name!r} has failed and left no weights; run it again, or name another one")
    if record.spec.postprocess:
        raise UserError(f"run {name!r} refines another one's output; name the run that trained the network")
    checkpoint = _base(record, work).chosen
    if not checkpoint.weights.exists():
        raise UserError(
            f"run {name!r}: its weights are not in {checkpoint.folder}; bring {checkpoint.weights.name} back, name "
            "another work folder, or remove its record and run it again"
        )
    config = config_of(record, checkpoint.iteration)
    return Source(name=record.run_id, config=config, weights=checkpoint.weights, record=stored)


def find_or_draw(name: str, results: Path, work: Path, size: tuple[int, int], num_classes: int) -> Source:
    """As `find`, or the architecture of that name with drawn weights, for images of a size (height, width).

    Raises:
        UserError: nothing of that name, or a size that the architecture does not take.
    """
    if Path(name).is_dir() or (runs_folder(results) / name).is_dir():
        return find(name, results, work)
    try:
        architectures.info(name)
    except architectures.ArchitectureError as error:
        raise UserError(f"{_no_such(name, results, work)}; nor is it an architecture: {error}") from None
    check_architecture(name, size)
    return drawn(name, size, num_classes)


def check_names(sources: Sequence[Source]) -> None:
    """Refuse two models of one name, of which files would replace each other.

    Raises:
        UserError: there are two.
    """
    counts = Counter(source.name for source in sources)
    if twice := next((name for name, count in counts.items() if count > 1), None):
        raise UserError(f"two models are called {twice!r}: rename a folder, or give them one by one")


def drawn(architecture: str, size: tuple[int, int], num_classes: int) -> Source:
    """An architecture of the registry with weights drawn under a fixed seed, for shapes, times and export.

    Raises:
        architectures.ArchitectureError: no such architecture.
    """
    info, protocol = architectures.info(architecture), load_protocol("camvid@2")
    config = ModelConfig(
        architecture=architecture,
        architecture_revision=info.revision,
        architecture_source=info.source,
        classes=tuple(f"class {n}" for n in range(num_classes)),
        colors=tuple((n % 256,) * 3 for n in range(num_classes)),
        image_size=size,
        input_mean=protocol.input_mean,
        input_std=protocol.input_std,
    )
    return Source(name=architectures.file_name(architecture), config=config, weights=None)


def config_of(record: RunRecord, iteration: int) -> ModelConfig:
    """The configuration of a finished run's model with its weights at an iteration."""
    spec, data = record.spec, record.spec.dataset_info
    return ModelConfig(
        architecture=spec.architecture,
        architecture_revision=spec.architecture_revision,
        architecture_source=spec.architecture_source,
        classes=data.classes,
        colors=data.colors,
        image_size=spec.protocol.size or data.size,
        keep_ratio=spec.protocol.keep_ratio,
        **{name: getattr(spec.protocol, name) for name in INPUT_FIELDS},
        precision=spec.precision,
        dataset=spec.dataset,
        dataset_sha256=spec.dataset_hash,
        protocol=spec.protocol.title,
        run_id=record.run_id,
        iteration=iteration,
    )


def build(source: Source, device: Device = "cpu") -> Architecture:
    """The model with its weights, in evaluation mode.

    Raises:
        UserError: weights that are damaged or of another network.
        architectures.ArchitectureError: no such architecture, or it has changed since.
    """
    import torch

    config = source.config
    info = architectures.info(config.architecture)
    if (info.revision, info.source) != (config.architecture_revision, config.architecture_source):
        raise UserError(
            f"{source.name}: its {info.name} is of revision {config.architecture_revision}, this program's of "
            f"{info.revision} or of other sources; use the version of the program that trained it"
        )
    if source.weights is None:
        torch.manual_seed(SEED)
    model = architectures.build(config.architecture, config.num_classes, config.image_size)
    if source.weights is not None:
        _load(source.weights, model)
    else:
        for parameter in model.parameters():
            if parameter.ndim > 1 and not parameter.any():  # classifiers that start at 0 would give logits of 0
                torch.nn.init.normal_(parameter, std=0.01)
    model.requires_grad_(False).to(device)
    if device == "cuda":
        model.to(memory_format=torch.channels_last)
    return model.eval()


def _load(path: Path, model: Architecture) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        first = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged, or not of {model.info.name} ({first}); write it anew") from error


def _from_folder(folder: Path) -> Source:
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text("utf-8"))
        config = ModelConfig.model_validate(values)
    except FileNotFoundError:
        raise UserError(f"{folder}: has no {CONFIG}; `python -m harness weights RUN DIR` makes such a folder") from None
    except (OSError, ValueError, ValidationError) as error:
        first = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: can't be read: {first}; make the folder anew with `harness weights`") from None
    if not (folder / WEIGHTS).exists():
        raise UserError(f"{folder}: has no {WEIGHTS}; make the folder anew with `harness weights`")
    return Source(name=folder.resolve().name, config=config, weights=folder / WEIGHTS)


def _base(record: RunRecord, work: Path) -> BaseRun:
    return BaseRun(record=record, folder=work / "runs" / record.run_id)


def _no_such(name: str, results: Path, work: Path) -> str:
    """Why there is no model of that name, and which there are."""
    stored, _ = load_runs(results)
    trained = [one.record for one in stored if one.record.status == "finished" and not one.record.spec.postprocess]
    usable = [record.run_id for record in trained if _base(record, work).chosen.weights.exists()]
    if usable:
        known = f"runs with weights: {', '.join(usable[:5])}"
    elif trained:
        known = f"no run there has its weights in the work folder {str(work)!r}: {_HOW_TO_TRAIN}"
    else:
        known = f"no run is finished yet: {_HOW_TO_TRAIN}"
    return f"{name!r} is no folder of weights, and no run in the results folder {str(results)!r}; {known}"

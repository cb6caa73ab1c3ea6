"""Protocols: the frozen, versioned recipes for training and evaluation, a TOML file each in `protocols/`.

What a protocol fixes is no command-line flag. An override makes a differently titled protocol
(`camvid@2+size=90x120`), so that its results can't pass for the original's.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, PositiveFloat, ValidationError, ValidationInfo, field_validator, model_validator

from datasets.base import Color
from harness.config.class_weighting import ClassWeighting, check_class_weighting
from harness.config.losses import LOSSES
from harness.config.optimizers import LR_SCHEDULERS, OPTIMIZERS
from harness.system.errors import UserError, nearest
from harness.system.quantities import Frozen
from harness.system.registry import Registry

Model = TypeVar("Model", bound=BaseModel)

MOST_ITERATIONS = 10**9
_SHOWN_SIGNS = 80  # of a bad value, in the error
_REGISTRIES: Mapping[str, Registry[Any]] = MappingProxyType(
    {"loss": LOSSES, "optimizer": OPTIMIZERS, "lr_scheduler": LR_SCHEDULERS}
)


def padding_color(input_mean: tuple[float, float, float]) -> Color:
    """The (red, green, blue) of 0..255 that is nearest to an input's mean, which becomes 0 in the model."""
    red, green, blue = (min(max(round(value), 0), 255) for value in input_mean)
    return red, green, blue


class Protocol(Frozen):
    """The training and evaluation recipe of a run. Sizes are (height, width) in pixels."""

    name: str = Field(description="name@version: that of its file")
    overrides: dict[str, str] = Field(
        default_factory=dict, description="field -> value, of each field that differs from the file's"
    )
    summary: str
    source: str = Field(description="where the recipe comes from, and what differs from there")
    dataset: str
    size: tuple[int, int] | None = Field(None, description="input size; none: the dataset's full size")
    keep_ratio: bool = Field(
        False, description="pad images of another shape than the input's, by its mean, instead of stretching them"
    )
    input_mean: tuple[float, float, float] = (123.68, 116.779, 103.939)
    input_std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (58.0, 58.0, 58.0)
    standardize: bool = Field(
        False,
        description="then bring each channel of each image to mean 0 and standard deviation 1",
    )
    local_response_norm: bool = Field(
        False,
        description="then SegNet-Basic's local response normalization of each pixel, of values 0 to 255",
    )
    hflip: bool = Field(False, description="mirror each training image with probability 1/2")
    scale_min: float = Field(
        1.0, gt=0, description="training images are scaled by a factor from this to scale_max, and cropped"
    )
    scale_max: float = Field(1.0, gt=0)
    color_jitter: float = Field(
        0.0, ge=0, lt=1, description="how far factors of brightness, contrast and saturation lie from 1"
    )
    loss: str = Field("cross_entropy", description="harness/training/losses")
    optimizer: str = Field("sgd", description="harness/config/optimizers.py")
    class_weighting: ClassWeighting = Field(
        "natural", description="class weights in the loss: harness/config/class_weighting.py"
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description="rate of all dropout layers; none: as the architecture has it"
    )
    lr: float = Field(gt=0)
    lr_scheduler: str = Field("fixed", description="harness/training/lr_schedulers.py")
    momentum: float = Field(ge=0, lt=1, description="of AdamW and its kind: beta 1")
    weight_decay: float = Field(ge=0)
    decay_bn_bias: bool = Field(False, description="whether batch-norm shifts decay, as their scales do")
    max_grad_norm: float | None = Field(
        None, gt=0, description="L2 norm of all gradients together that larger ones are scaled down to; none: never"
    )
    bias_lr_mult: float = Field(2.0, gt=0, description="rate of conv biases over that of weights")
    batch_size: int = Field(ge=1)
    iterations: int = Field(ge=1)
    epochs: int | None = Field(
        None, ge=1, description="of own data: iterations are so many passes over its training images, or more"
    )
    epoch_images: int | None = Field(None, ge=1, description="the training images that these passes are over")
    eval_interval: int = Field(ge=1)
    report_at: dict[str, int] = Field(
        description="label of the table's row -> iteration at which test is scored, and val beside it"
    )
    select_by: Literal["mIoU", "G"] = Field("mIoU", description="score on val that the best iteration is of")
    early_stopping_min_delta: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="training ends early where the mean loss over the last eval_interval iterations "
        "is not lower by this share than over those before; none: never",
    )
    score_train_selected: bool = Field(False, description="score the training split at the best iteration too")
    score_train: bool = Field(True, description="score the training split too, at the last iteration")
    score_test: bool = Field(True, description="score test; without, for recipes that val alone compares")
    precise_bn_seed: int = Field(
        0, ge=0, description="of the order in which batch-norm statistics are taken over the training images"
    )
    quick: bool = Field(False, description="a small recipe for drawn data, never beside full ones")

    @property
    def padding(self) -> Color | None:
        """The color that images are padded with; none where they are stretched."""
        return padding_color(self.input_mean) if self.keep_ratio else None

    @field_validator("size", mode="before")
    @classmethod
    def _parse_size(cls, value: object) -> object:
        try:
            return parse_size(value) if isinstance(value, str) else value
        except UserError as error:
            raise ValueError(str(error)) from None

    @field_validator("input_mean", "input_std", mode="before")
    @classmethod
    def _parse_numbers(cls, value: object) -> object:
        numbers = value.split(",") if isinstance(value, str) else value
        if isinstance(numbers, list) and len(numbers) != 3:
            raise ValueError("write three numbers with commas between them, such as 1,2,3")
        return numbers

    @field_validator("loss", "optimizer", "lr_scheduler")
    @classmethod
    def _is_registered(cls, name: str, field: ValidationInfo) -> str:
        try:
            return _REGISTRIES[str(field.field_name)].check(name)
        except UserError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        beyond = {label: at for label, at in self.report_at.items() if not 1 <= at <= self.iterations}
        if beyond or not self.report_at:
            raise ValueError(f"report_at {self.report_at} must name iterations from 1 to {self.iterations}")
        try:
            check_class_weighting(self.class_weighting, self.dataset)
        except UserError as error:
            raise ValueError(str(error)) from None
        if self.class_weighting != "natural" and not LOSSES[self.loss].class_weights:
            able = ", ".join(name for name in LOSSES if LOSSES[name].class_weights)
            raise ValueError(
                f"class_weighting {self.class_weighting}: the loss {self.loss} takes no class weights; "
                f"write natural, or choose one of {able}"
            )
        if OPTIMIZERS[self.optimizer].momentum is None and self.momentum:
            raise ValueError(f"momentum {self.momentum:g}: the optimizer {self.optimizer} has none; write 0")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size {self.size} must be positive")
        if self.scale_min > self.scale_max:
            least, most = self.scale_min, self.scale_max
            raise ValueError(f"scale_min {least:g} must not exceed scale_max {most:g}")
        return self

    @property
    def title(self) -> str:
        """The name, and each override: `camvid@2+size=90x120`."""
        return self.name + "".join(f"+{field}={value}" for field, value in self.overrides.items())

    def evaluation_points(self) -> list[int]:
        """Iterations at which batch-norm statistics are re-estimated and val is scored; the last is one."""
        regular = range(self.eval_interval, self.iterations + 1, self.eval_interval)
        return sorted({*regular, *self.report_at.values(), self.iterations})

    def for_images(self, images: int) -> "Protocol":
        """The protocol with its iterations for so many training images, where it counts in epochs.

        `iterations` of the file is the least; validations and rows of the table move in proportion.
        """
        if self.epochs is None:
            return self
        iterations = max(self.iterations, math.ceil(self.epochs * images / self.batch_size))
        interval = math.ceil(self.eval_interval * iterations / self.iterations)
        rows = {label: math.ceil(at * interval / self.eval_interval) for label, at in self.report_at.items()}
        moved = {
            "iterations": iterations,
            "epoch_images": images,
            "eval_interval": interval,
            "report_at": {label: min(at, iterations) for label, at in rows.items()},
        }
        return validated(Protocol, {**self.model_dump(), **moved}, f"protocol {self.name}")

    def original(self) -> "Protocol":
        """The protocol as its file has it, without overrides."""
        found = load_protocol(self.name)
        return found if self.epoch_images is None else found.for_images(self.epoch_images)

    def override(self, changes: Mapping[str, str]) -> "Protocol":
        """The protocol with some fields changed, its title saying so.

        A change of `iterations` puts the last row of `report_at` at the last iteration and moves the others
        in proportion; validations move too, but at most two are left, since each costs a pass over the
        training images. Where the protocol counts in epochs, iterations follow a change of `batch_size`.

        Args:
            changes: field -> value as text: `90x120`, `1,2,3`, `true`; `none` where the field can be without one.

        Raises:
            UserError: unknown field, or a value that the field refuses.
        """
        fixed = {"name", "overrides", "summary", "source", "dataset"}
        fixed |= {"report_at", "score_test", "quick", "epochs", "epoch_images"}
        allowed = sorted(set(Protocol.model_fields) - fixed)
        for field in changes:
            if field not in allowed:
                near = nearest(field, allowed)
                raise UserError(f"override {field!r}: no such field of a protocol; {near}allowed: {', '.join(allowed)}")
        if self.overrides:
            return self.original().override({**self.overrides, **changes})
        base, where = self, f"override of {self.title}"
        if self.epoch_images and "batch_size" in changes:
            file = {**load_protocol(self.name).model_dump(), "batch_size": changes["batch_size"]}
            base = validated(Protocol, file, where).for_images(self.epoch_images)
        values: dict[str, Any] = base.model_dump()
        for field, value in changes.items():
            optional = Protocol.model_fields[field].default is None
            values[field] = None if optional and value == "none" else value
        if "iterations" in changes:
            values |= base._rescaled(changes)
        changed = validated(Protocol, values, where)
        overrides = {
            field: written(getattr(changed, field))
            for field in sorted(changes)
            if getattr(changed, field) != getattr(self if field == "batch_size" else base, field)
        }
        return changed.model_copy(update={"overrides": overrides})

    def _rescaled(self, changes: Mapping[str, str]) -> dict[str, Any]:
        try:
            iterations = int(changes["iterations"])
        except ValueError:
            raise UserError(f"iterations {changes['iterations']!r}: must be a whole number") from None
        if iterations > MOST_ITERATIONS:
            raise UserError(f"iterations {changes['iterations']}: at most {MOST_ITERATIONS:,}")
        if iterations == self.iterations:
            return {}
        rows = load_protocol(self.name).report_at  # those of the file, since moved ones are rounded
        last = max(rows.values())
        moved = {label: max(1, math.ceil(at * iterations / last)) for label, at in rows.items()}
        if "eval_interval" in changes:
            return {"report_at": moved}
        scaled = self.eval_interval * iterations / max(self.report_at.values())
        interval = max(math.ceil(scaled), math.ceil(iterations / 2), 1)
        return {"report_at": moved, "eval_interval": interval}

    def reductions(self, full_size: tuple[int, int]) -> list[str]:
        """Why a run of this protocol on a dataset of that (H, W) is a reduced one, in words; empty for a full run."""
        original = self.original()
        found = []
        size = self.size or full_size
        # a quick recipe's own size is full for it; any other is held against the dataset's
        wanted = original.size if self.quick and original.size else full_size
        if self.quick:
            found.append("quick protocol on drawn data")
        if size[0] * size[1] < wanted[0] * wanted[1]:
            found.append(f"input {size[0]} x {size[1]} instead of {wanted[0]} x {wanted[1]}")
        full = original.override({"batch_size": str(self.batch_size)}).iterations
        if self.iterations < full:
            found.append(f"{self.iterations:,} of {full:,} iterations")
        return found


def written(value: object) -> str:
    """A field's value as an override writes it: `90x120`, `1.0,2.0,3.0`, `0.0003`, `true`, `none`."""
    if isinstance(value, tuple):
        return ("," if isinstance(value[0], float) else "x").join(str(part) for part in value)
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def parse_size(text: str) -> tuple[int, int]:
    """`"90x120"` -> (90, 120), height first; UserError for other text."""
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*x\s*([0-9]{1,6})\s*", text.lower())
    if found is None:
        raise UserError(f"size {text!r}: write height x width, such as 90x120")
    return int(found[1]), int(found[2])


def validated(model: type[Model], values: Mapping[str, Any], where: str) -> Model:
    """Build a pydantic model; a bad value becomes one line that names place, field and value."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors()
        # an unknown key first: it is often what a missing one was meant to be
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        field = ".".join(str(part) for part in first["loc"]) or "values"
        given = repr(first["input"])
        given = given if len(given) <= _SHOWN_SIGNS else f"{given[:_SHOWN_SIGNS]} ..."
        shown = "" if first["type"] in ("missing", "value_error") else f" (got {given})"
        hint = nearest(field, model.model_fields).rstrip() if first["type"] == "extra_forbidden" else ""
        raise UserError(f"{where}: {field}: {first['msg']}{shown}{hint and f'; {hint}'}") from None


def read_toml(folder: str, name: str, kind: str) -> dict[str, Any]:
    """Read `harness/<folder>/<name>.toml`; an unknown name suggests the nearest."""
    known = toml_names(folder)
    if name not in known:
        raise UserError(f"unknown {kind} {name!r}; {nearest(name, known)}known: {', '.join(known)}")
    path = files("harness.config") / folder / f"{name}.toml"
    return parse_toml(path.read_bytes(), f"{kind} {name}", str(path))


def parse_toml(content: bytes, what: str, path: str) -> dict[str, Any]:
    """The values of a protocol's or suite's file; UserError, which says what and where, for no TOML or a `name`."""
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number of 5,000 digits
        raise UserError(f"{what}: {path} is no TOML file: {' '.join(str(error).split())}") from None
    if "name" in values:
        raise UserError(f"{what}: name: it has its name from the file; remove the line from {path}")
    return values


def toml_names(folder: str) -> list[str]:
    """Names of the TOML files in `harness/<folder>/`, sorted."""
    entries = (files("harness.config") / folder).iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def load_protocol(name: str) -> Protocol:
    """The protocol of that name, such as `camvid@2`; UserError for an unknown one, or a file that does not fit."""
    values = read_toml("protocols", name, "protocol")
    return validated(Protocol, {"name": name, **values}, f"protocol {name}")

"""The matrix of runs whose cost is planned: its suites, its seeds, and what is assumed (`paper.toml`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

import datasets
from harness.config.protocol import Protocol, load_protocol, read_toml, validated
from harness.config.suite import Suite, load_suite, suite_names


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Assumption(_Frozen):
    """A figure that no record holds, with the reason for its value."""

    value: float = Field(gt=0)
    unit: str = Field(min_length=1)
    why: str = Field(min_length=1)


class Assumptions(_Frozen):
    """All of them; their units stand in the names and in the file."""

    gpu_tflops: Assumption
    start_s: Assumption
    device_loss_h: Assumption
    device_back_s: Assumption
    devices_a_node: Assumption
    initial_weights_mb: Assumption
    crf_image_s: Assumption


class Postprocessing(_Frozen):
    """A row of a suite that is made of another row's finished run, once a seed, without training.

    search_images, search_settings: of val, on which its parameters are searched, and how many are tried.
    """

    title: str
    suite: str
    architecture: str
    search_images: int = Field(ge=0)
    search_settings: int = Field(ge=0)


class Matrix(_Frozen):
    """What is planned."""

    title: str
    suites: tuple[str, ...] = Field(min_length=1)
    seeds: int = Field(ge=1)
    assumed: Assumptions
    postprocessing: tuple[Postprocessing, ...] = ()

    def changed(self, *, seeds: int | None = None, gpu_tflops: float | None = None) -> "Matrix":
        """The matrix with other seeds, or another rate of the GPU, in place of the file's.

        Raises:
            UserError: a value that the field refuses.
        """
        values: dict[str, Any] = self.model_dump()
        if seeds is not None:
            values["seeds"] = seeds
        if gpu_tflops is not None:
            values["assumed"]["gpu_tflops"] |= {"value": gpu_tflops, "why": "given on the command line"}
        return validated(Matrix, values, "matrix")


def load_matrix() -> Matrix:
    """The paper's matrix.

    Raises:
        UserError: the file does not fit.
    """
    return validated(Matrix, read_toml("costs", "paper", "matrix"), "matrix paper")


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run as far as its cost depends on it; needs no data on disk.

    splits: number of images of each split.
    """

    architecture: str
    dataset: str
    num_classes: int
    size: tuple[int, int]
    label_size: tuple[int, int]
    splits: Mapping[str, int]
    protocol: Protocol
    seed: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """The runs of one suite with one protocol: all its architectures, class_weightings and seeds.

    beside: not with the suite's own protocol, but with another that its report shows.
    missing: why there are no runs.
    """

    suite: str
    protocol: str
    beside: bool = False
    runs: tuple[PlannedRun, ...] = ()
    missing: str = ""

    @property
    def title(self) -> str:
        """`camvid, camvid@1`."""
        return f"{self.suite}, {self.protocol}" if self.protocol else self.suite


def parts(matrix: Matrix) -> list[Part]:
    """Every suite of the matrix with each of its protocols; one that is not there is a part without runs."""
    found = []
    for name in matrix.suites:
        if name not in suite_names():
            found.append(Part(suite=name, protocol="", missing=f"there is no suite {name} yet"))
            continue
        suite = load_suite(name)
        for protocol in suite.protocols:
            runs = suite_runs(suite, protocol, range(matrix.seeds))
            beside = protocol != suite.protocol
            found.append(Part(suite=name, protocol=protocol, beside=beside, runs=runs))
    return found


def suite_runs(suite: Suite, protocol: str, seeds: Sequence[int]) -> tuple[PlannedRun, ...]:
    """The runs that `run --suite` plans with this protocol, without looking for the data."""
    info, plain = datasets.info(suite.dataset), load_protocol(protocol)
    recipes = [plain.override(variant) for variant in suite.variants]
    rows = [(name, recipe) for recipe in recipes for name in suite.architectures]
    for row in suite.further:
        rows.append((row.architecture, plain.override({"class_weighting": row.class_weighting})))
    return tuple(
        PlannedRun(
            architecture=name,
            dataset=info.name,
            num_classes=info.num_classes,
            size=recipe.size or info.size,
            label_size=info.size,
            splits=info.splits,
            protocol=recipe,
            seed=seed,
        )
        for name, recipe in rows
        for seed in seeds
    )

"""Suites (named sets of runs, one TOML file each in `harness/config/suites/`) and the plan made of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

import architectures
import datasets
from harness.config.class_weighting import ClassWeighting
from harness.config.initial_weights import GivenWeights, fitted
from harness.config.protocol import Protocol, load_protocol, read_toml, toml_names, validated
from harness.config.run_spec import Compiled, Precision, RunSpec, refined
from harness.system.errors import UserError

# The paper's table that a suite's scores are shown in; none for a recipe that is not the paper's.
# "recipes": no scores of test, but a comparison of recipes on val.
Table = Literal["table1", "table3", "table4", "none", "recipes"]


class FurtherRow(BaseModel):
    """One more run of a suite: an architecture with another class weighting than the others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    class_weighting: ClassWeighting


class Suite(BaseModel):
    """The named set of runs that fills one group of the paper's tables.

    class_weightings: each architecture is trained with each of them; none: with the protocol's own.
    recipes: changes of the protocol, field -> value; each architecture is trained with each of them.
    dense_crf: architectures whose output is refined by the dense CRF too, as runs of their own.
    further: architectures that are trained with another class weighting too.
    references: those of its architectures that are another suite's, for comparison: measurements of them
        alone make no report.
    table: of the paper, that the report shows the scores in; Tables 1 and 4 join the class_weightings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    dataset: str
    protocol: str
    also_reports: tuple[str, ...] = ()
    encoder_weights: str = "none"
    architectures: tuple[str, ...] = Field(min_length=1)
    references: tuple[str, ...] = ()
    class_weightings: tuple[ClassWeighting, ...] = ()
    recipes: tuple[Mapping[str, str], ...] = ()
    further: tuple[FurtherRow, ...] = ()
    dense_crf: tuple[str, ...] = ()
    table: Table = "table3"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not set(self.references) <= set(self.architectures):
            raise ValueError(f"references {self.references} must be among the architectures")
        if self.table in ("table1", "table4") and datasets.info(self.dataset).synthetic:
            raise ValueError(f"{self.table} is the paper's, which has no figure of {self.dataset}; choose table3")
        if self.class_weightings and self.recipes:
            raise ValueError("class_weightings and recipes exclude each other; write the class_weightings as recipes")
        if beyond := set(self.dense_crf) - set(self.architectures):
            raise ValueError(f"dense_crf names {sorted(beyond)}, which are not among the architectures")
        if self.table == "recipes" and self.dense_crf:
            raise ValueError("a comparison of recipes has no dense_crf; leave it out")
        return self

    @property
    def protocols(self) -> tuple[str, ...]:
        """Base names of the protocols whose runs the suite's report shows."""
        return (self.protocol, *self.also_reports)

    @property
    def variants(self) -> tuple[Mapping[str, str], ...]:
        """What is changed in the protocol, each time that the architectures are trained; none: nothing."""
        return self.recipes or tuple({"class_weighting": name} for name in self.class_weightings) or ({},)

    @property
    def varied(self) -> tuple[str, ...]:
        """Fields of the protocol in which runs of one table may differ."""
        return tuple(dict.fromkeys(name for recipe in self.recipes for name in recipe)) or ("class_weighting",)

    @property
    def measures(self) -> bool:
        """Whether memory and time stand beside the scores; a comparison of recipes has none of its own."""
        return self.table != "recipes"

    def covers(self, spec: RunSpec) -> bool:
        """Whether a run belongs in this suite's report."""
        return spec.dataset == self.dataset and spec.protocol.name in self.protocols


def load_suite(name: str) -> Suite:
    """The suite of that name.

    Raises:
        UserError: unknown name, or a file that does not fit.
    """
    suite = validated(Suite, {"name": name, **read_toml("suites", name, "suite")}, f"suite {name}")
    for protocol in suite.protocols if suite.table != "recipes" else ():
        if not load_protocol(protocol).score_test:
            raise UserError(
                f"suite {name}: its table shows scores of test, which protocol {protocol} leaves out; "
                'choose another protocol or table = "recipes"'
            )
    return suite


def suite_names() -> list[str]:
    """All suites, sorted."""
    return toml_names("suites")


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What a plan is made from.

    data_root: folder that holds the dataset; none: the embedded one, or the default place.
    architectures: names; empty: all of the suite.
    initial_weights: of which each network takes the first that fits its encoder.
    further: (architecture, protocol) of single runs besides.
    """

    suite: Suite
    protocols: Sequence[Protocol]
    data_root: str | None
    architectures: Sequence[str]
    seeds: Sequence[int]
    precision: Precision
    initial_weights: Sequence[GivenWeights]
    compiled: Compiled = "no"
    further: Sequence[tuple[str, Protocol]] = ()


def plan(request: PlanRequest) -> list[RunSpec]:
    """Turn a suite into the runs it is made of, before anything is trained.

    Raises:
        UserError: an architecture that can't take the size, or none of the initial weights.
        architectures.ArchitectureError: an architecture that is unknown.
        datasets.DatasetError: the dataset is missing or broken.
    """
    names = list(dict.fromkeys(request.architectures)) or list(request.suite.architectures)
    info = datasets.info(request.suite.dataset)
    for size in {protocol.size or info.size for protocol in request.protocols}:
        if size[0] > info.size[0] or size[1] > info.size[1]:
            raise UserError(
                f"size {size[0]}x{size[1]} is larger than {info.name}'s {info.size[0]}x{info.size[1]}; "
                "choose a smaller --size"
            )
        for name in names:
            check_architecture(name, size)
    variant, digest = datasets.content_hash(request.suite.dataset, request.data_root)
    rows = [(each, seed, name) for each in request.protocols for seed in request.seeds for name in names]
    further = [(each, seed, name) for name, each in request.further for seed in request.seeds]
    weights = {
        name: fitted(architectures.info(name), request.initial_weights)
        for name in dict.fromkeys(name for _, _, name in [*rows, *further])
    }
    specs = [
        RunSpec(
            architecture=name,
            architecture_revision=architectures.info(name).revision,
            architecture_source=architectures.info(name).source,
            dataset=info.name,
            dataset_variant=variant,
            dataset_hash=digest,
            num_classes=len(info.classes),
            protocol=protocol,
            seed=seed,
            initial_weights=weights[name],
            precision=request.precision,
            compiled=request.compiled,
        )
        for protocol, seed, name in [*rows, *further]
    ]
    return [one for spec in specs for one in (spec, *_refined(spec, request.suite))]


def _refined(spec: RunSpec, suite: Suite) -> list[RunSpec]:
    """The runs that refine a run's output, which come after it."""
    return [refined(spec)] if spec.architecture in suite.dense_crf else []


def check_architecture(name: str, size: tuple[int, int]) -> None:
    """Refuse an unknown architecture, or a size (H, W) that is too small for it.

    One of another library is asked for there, which imports the library.

    Raises:
        architectures.ArchitectureError: unknown name; it suggests the nearest.
        UserError: size too small.
    """
    least = architectures.info(name).min_size
    if min(size) < least:
        raise UserError(f"size {size[0]}x{size[1]} is too small for {name}; use at least {least}x{least}")
    architectures.verify(name)

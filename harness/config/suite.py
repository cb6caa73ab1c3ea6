"""Suites: named sets of runs, one TOML file each in `harness/config/suites/`."""

from collections.abc import Iterable, Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

import architectures
import datasets
from datasets import DatasetInfo
from harness.config.class_weighting import ClassWeighting
from harness.config.protocol import load_protocol, read_toml, toml_names, validated
from harness.config.run_spec import RunSpec
from harness.system.errors import UserError
from harness.system.quantities import Frozen

QUICK = "quick"  # what is run where nothing is asked for
OWN = "own"  # stands for the dataset in a suite or protocol of own data
# The paper's table that a suite's scores are shown in; none for a recipe that is not the paper's.
# "recipes": no scores of test, but a comparison of recipes on val.
Table = Literal["table1", "table3", "table4", "none", "recipes"]


class FurtherRow(Frozen):
    """One more run of a suite: an architecture with another class weighting than the others."""

    architecture: str
    class_weighting: ClassWeighting


class Suite(Frozen):
    """The named set of runs that fills one group of the paper's tables.

    class_weightings: each architecture is trained with each of them; none: with the protocol's own.
    recipes: changes of the protocol, field -> value; each architecture is trained with each of them.
    dense_crf: architectures whose output is refined by the dense CRF too, as runs of their own.
    further: architectures that are trained with another class weighting too.
    references: those of its architectures that are another suite's, for comparison: measurements of them
        alone make no report.
    dataset: "own" stands for whatever is brought; `on_own_data` puts it in.
    own_data: the description of a dataset that was brought.
    table: of the paper, that the report shows the scores in; Tables 1 and 4 join the class_weightings.
    """

    name: str
    title: str
    dataset: str
    own_data: DatasetInfo | None = None
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
    def dataset_info(self) -> DatasetInfo:
        """The dataset's description; DatasetError for own data that nobody has named."""
        return self.own_data or datasets.info(self.dataset)

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

    def names_any(self, networks: Iterable[str]) -> bool:
        """Whether some of these networks are the suite's own: others may be run by its protocols too."""
        return not {*self.architectures}.isdisjoint(networks)

    def covers(self, spec: RunSpec) -> bool:
        """Whether a run belongs in this suite's report."""
        return spec.dataset == self.dataset and spec.protocol.name in self.protocols


def load_suite(name: str) -> Suite:
    """The suite of that name; `own-pets` is `own`, before it is put on any data.

    Raises:
        UserError: unknown name, or a file that does not fit.
    """
    name = OWN if name.startswith(f"{OWN}-") else name
    suite = validated(Suite, {"name": name, **read_toml("suites", name, "suite")}, f"suite {name}")
    for protocol in suite.protocols if suite.table != "recipes" else ():
        if not load_protocol(protocol).score_test:
            raise UserError(
                f"suite {name}: its table shows scores of test, which protocol {protocol} leaves out; "
                'choose another protocol or table = "recipes"'
            )
    return suite


def on_own_data(suite: Suite, brought: Iterable[DatasetInfo]) -> list[Suite]:
    """The suite on each dataset that was brought, `own-pets` on `folder-pets`; any other suite as it is."""
    if suite.dataset != OWN:
        return [suite]
    return [
        suite.model_copy(
            update={
                "name": f"{suite.name}-{info.name.removeprefix('folder-')}",
                "title": info.title,
                "dataset": info.name,
                "own_data": info,
            }
        )
        for info in {info.name: info for info in brought}.values()
    ]


def suite_names() -> list[str]:
    """All suites, sorted."""
    return toml_names("suites")


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

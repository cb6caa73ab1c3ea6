"""Which runs may stand in one table: the one key, and the groups that it makes."""

import hashlib
import json
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Self, TypeVar

import architectures
import datasets
from harness.config.planning import logits_reach
from harness.config.protocol import Protocol
from harness.config.run_spec import EVALUATION_REVISION, METRICS_REVISION, Compiled, InitialWeights, Precision, RunSpec
from harness.config.suite import Suite, load_suite, suite_names
from harness.records.measurement import MeasureSpec
from harness.records.run import BEST, RunRecord
from harness.report.store import REFINED_TITLES, Run, Store, architecture_info

# What a protocol can choose the best iteration by.
SCORE_NAMES = {"mIoU": "mIoU", "G": "global accuracy"}
_SLUG_SIGNS = 40  # of a protocol's name in a folder's name, at most

Of = TypeVar("Of")


@dataclass(frozen=True, kw_only=True)
class GroupKey:
    """What the runs of one table share: recipe, data, precision, initial weights and revision of evaluation.

    protocol: name@version. overrides: (field, value) of what was changed in it, sorted. weights: SHA-256 of
    the file, or the release; empty for the drawing of the network's own library.
    """

    protocol: str
    overrides: tuple[tuple[str, str], ...]
    dataset: str
    dataset_variant: str
    dataset_sha256: str
    precision: Precision
    compiled: Compiled
    weights_kind: str
    weights: str
    evaluation: int

    @classmethod
    def of(cls, spec: RunSpec) -> Self:
        """The key of a run."""
        weights = spec.initial_weights
        return cls(
            protocol=spec.protocol.name,
            overrides=tuple(sorted(spec.protocol.overrides.items())),
            dataset=spec.dataset,
            dataset_variant=spec.dataset_variant,
            dataset_sha256=spec.dataset_hash,
            precision=spec.precision,
            compiled=spec.compiled,
            weights_kind=weights.kind,
            weights=weights.sha256 or weights.release,
            evaluation=spec.evaluation_revision,
        )

    def without(self, *fields: str) -> Self:
        """The key of all runs whose protocols may differ in these fields besides, such as `class_weighting`."""
        return replace(self, overrides=tuple(one for one in self.overrides if one[0] not in fields))

    @property
    def slug(self) -> str:
        """`camvid-half-1-3fa9c2d1`: name of the group's folder, of letters, digits, points and hyphens."""
        name = re.sub(r"[^A-Za-z0-9.]+", "-", self.protocol).strip("-")[:_SLUG_SIGNS]
        values = json.dumps([getattr(self, field) for field in self.__dataclass_fields__], separators=(",", ":"))
        return f"{name}-{hashlib.sha256(values.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that may stand in one table: same protocol, data, precision and initial weights.

    spec: of any of them, for what they share. weights: under a title that holds for all. reduced: why these are
    reduced runs, empty for full ones. runs: finished ones, by network and seed. failed: the others.
    """

    spec: RunSpec
    weights: InitialWeights
    reduced: tuple[str, ...]
    runs: tuple[Run, ...]
    failed: tuple[RunRecord, ...]

    @property
    def protocol(self) -> Protocol:
        """The recipe that its runs share."""
        return self.spec.protocol

    @property
    def slug(self) -> str:
        """Name of the group's folder."""
        return self.key.slug

    @property
    def records(self) -> list[RunRecord]:
        """Of all its runs, finished ones first."""
        return [*(run.record for run in self.runs), *self.failed]

    @property
    def dataset(self) -> datasets.DatasetInfo:
        """What they were trained on; editions of own data under one name may differ in classes and size."""
        return self.spec.dataset_info

    @property
    def key(self) -> GroupKey:
        """What its runs share."""
        return GroupKey.of(self.spec)

    @property
    def computed(self) -> str:
        """Precision, how training steps were compiled if they were, and an earlier revision of evaluation."""
        spec, parts = self.spec, [str(self.spec.precision)]
        parts += [] if spec.compiled == "no" else [f"compiled ({spec.compiled})"]
        parts += [] if spec.evaluation_revision == EVALUATION_REVISION else [f"evaluation {spec.evaluation_revision}"]
        return ", ".join(parts)

    @property
    def networks(self) -> list[str]:
        """Networks with a finished run, in the order of the report; refined ones are their own."""
        return list(dict.fromkeys(run.record.spec.network for run in self.runs))

    @property
    def ran(self) -> list[str]:
        """Networks with a finished or failed run."""
        return list(dict.fromkeys([*self.networks, *(record.spec.network for record in self.failed)]))

    def of(self, network: str) -> list[Run]:
        """The finished runs of a network, by seed."""
        return [run for run in self.runs if run.record.spec.network == network]

    def failed_of(self, network: str) -> list[RunRecord]:
        """The failed runs of a network, by seed."""
        return [record for record in self.failed if record.spec.network == network]

    @property
    def fixed_labels(self) -> list[str]:
        """Rows of the table at a fixed iteration, ascending."""
        return sorted(self.protocol.report_at, key=lambda label: (self.protocol.report_at[label], label))

    @property
    def labels(self) -> list[str]:
        """All rows of the table: the fixed iterations, then the one chosen on val."""
        return [*self.fixed_labels, BEST]

    @property
    def last_label(self) -> str:
        """The last fixed iteration's row."""
        return self.fixed_labels[-1]

    @property
    def shown_label(self) -> str:
        """The row that plots and further tables are of: the chosen one where train is scored there too."""
        return BEST if self.protocol.score_train_selected else self.last_label

    @property
    def shown_checkpoint(self) -> str:
        """That row; the last fixed one with its iteration, since a reduced run's `80K` is not at 80,000."""
        label = self.shown_label
        if label == BEST:
            return f"{BEST} ({SCORE_NAMES[self.protocol.select_by]})"
        return f"{label} (iteration {self.protocol.report_at[label]:,})"


def outdated(record: RunRecord) -> str:
    """Why a record must not stand beside current ones; empty if it may."""
    spec = record.spec
    if spec.metrics_revision != METRICS_REVISION:
        return f"scored with revision {spec.metrics_revision} of the metrics, now {METRICS_REVISION}"
    info, size = architecture_info(spec.architecture), spec.protocol.size  # full sizes of ours are multiples of strides
    if info and size and spec.logits_reach != logits_reach(info, size):
        return "its logits reach over the image; that is cut now, not pressed into it"
    return outdated_architecture(spec)


def outdated_architecture(spec: RunSpec | MeasureSpec) -> str:
    """Why a figure of an architecture's revision is out of date; empty where it is not, or nobody can say."""
    info = architecture_info(spec.architecture)
    if info is None or spec.architecture_source != info.source or spec.architecture_revision == info.revision:
        return ""
    return f"revision {spec.architecture_revision} of {spec.architecture}, now {info.revision}"


@cache
def every_suite() -> tuple[Suite, ...]:
    """All suites, by name; read once, since a report asks for them for every run."""
    return tuple(map(load_suite, suite_names()))


def suites_of(spec: RunSpec) -> list[Suite]:
    """The suites in whose reports a run belongs, by name."""
    return [suite for suite in every_suite() if suite.covers(spec)]


def groups_of(store: Store, records: Iterable[RunRecord]) -> list[Group]:
    """The groups that runs make, which keep their order."""
    finished = {run.record.run_id: run for run in store.finished}
    return [
        Group(
            spec=own[0].spec,
            weights=_shared_weights([record.spec.initial_weights for record in own]),
            reduced=next((record.reduced for record in own if record.reduced), ()),
            runs=tuple(finished[record.run_id] for record in own if record.status == "finished"),
            failed=tuple(record for record in own if record.status == "failed"),
        )
        for own in grouped(records, lambda record: GroupKey.of(record.spec))
    ]


def _shared_weights(found: Sequence[InitialWeights]) -> InitialWeights:
    """Those of a group, under a title that holds for all of them."""
    if found[0].kind == "file" or len({weights.title for weights in found}) == 1:
        return found[0]
    start = "ImageNet" if found[0].kind == "imagenet" else "random weights"
    return found[0].model_copy(update={"title": f"{start}, each network's own"})


def told_apart(titles: Sequence[str], groups: Sequence[Group], names: Sequence[str], slugs: Sequence[str]) -> list[str]:
    """Titles; those that would be the same say where they differ: initial weights, protocol, else the folder."""
    titles = list(titles)
    weights = [f", from {group.weights.title.partition(' (')[0]}" for group in groups]
    for more in (weights, [f", {name}" for name in names], [f" ({slug[-8:]})" for slug in slugs]):
        found = {title: {text for other, text in zip(titles, more, strict=True) if other == title} for title in titles}
        titles = [title + text if len(found[title]) > 1 else title for title, text in zip(titles, more, strict=True)]
    return titles


def network_order(suite: Suite, found: Sequence[str]) -> list[str]:
    """Networks in one order for all tables and plots: the suite's, then the registry's, then by name."""
    plain = list(dict.fromkeys([*suite.architectures, *architectures.names()]))
    known = [one for name in plain for one in (name, *(f"{name}+{made}" for made in REFINED_TITLES))]
    return [name for name in known if name in found] + sorted(set(found) - set(known))


def input_size(protocol: Protocol, dataset: datasets.DatasetInfo) -> tuple[int, int]:
    """(height, width) in pixels of what the networks were fed."""
    return protocol.size or dataset.size


def extent(size: tuple[int, int]) -> str:
    """`360 x 480`, height first."""
    return f"{size[0]} x {size[1]}"


def grouped(items: Iterable[Of], key: Callable[[Of], Hashable]) -> list[list[Of]]:
    """Items with the same key together, in the order in which the keys come first."""
    members: dict[Hashable, list[Of]] = {}
    for item in items:
        members.setdefault(key(item), []).append(item)
    return list(members.values())

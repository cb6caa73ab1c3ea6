"""What the site shows, collected from the records: groups of runs, a row a network, differences, and costs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

import architectures
import datasets
from harness.config.run_spec import EVALUATION_REVISION, RunSpec
from harness.config.suite import load_suite
from harness.metrics.significance import Difference, Sample, difference
from harness.records.run import BEST, RunRecord
from harness.report import frames
from harness.report.accuracy import Scores, tied
from harness.report.card import paper_table
from harness.report.grouping import Group, groups_of, input_size, outdated, suites_of, told_apart
from harness.report.looks import look
from harness.report.metrics import BY_NAME, METRICS
from harness.report.render import render
from harness.report.scored_data import class_names, dataset_info
from harness.report.site.quantities import QUANTITIES, Row, cells, costs, devices, paper_points
from harness.report.store import Run, Store, read_store
from harness.report.tables.cells import PUBLISHED, mean_or_nan, suite_beside_paper
from harness.system.quantities import NotMeasured

# Splits that a group's rows may be scored on; the first that its runs have.
SPLITS = ("test", "val")
# Names of the scores that have an interval -> their headers.
COMPARED = {metric.name: metric.header for metric in METRICS if metric.interval}


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteGroup:
    """Runs that may stand in one table.

    split: that its rows are scored on. labels: the checkpoints that are scored there, the chosen one last. shown: the
    one of `checkpoints` that is shown first.
    """

    group: Group
    title: str
    split: str
    labels: tuple[str, ...]

    @property
    def id(self) -> str:
        """Name of the group."""
        return self.group.slug

    @property
    def spec(self) -> RunSpec:
        """Of any of its runs."""
        return self.group.spec

    @cached_property
    def info(self) -> datasets.DatasetInfo | None:
        """The dataset; none where it is not known here."""
        return dataset_info(self.spec)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return class_names(self.group.runs[0].record)

    @property
    def size(self) -> tuple[int, int]:
        """Input (height, width); (0, 0) where nobody can say."""
        return _size(self.spec, self.info)

    @property
    def synthetic(self) -> bool:
        """Whether the data is drawn."""
        return self.info is not None and self.info.synthetic

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The frames' names of the labels."""
        return tuple(frames.CHECKPOINTS.get(label, label) for label in self.labels)

    @property
    def shown(self) -> str:
        """The chosen checkpoint where train is scored there too, else the last fixed one."""
        fixed = [label for label in self.labels if label != BEST]
        chosen = len(fixed) < len(self.labels) and (self.spec.protocol.score_train_selected or not fixed)
        return self.checkpoints[-1] if chosen else fixed[-1]

    @cached_property
    def networks(self) -> dict[str, list[Run]]:
        """Networks in the registry's order, each with its runs by seed."""
        ordered = sorted(self.group.runs, key=lambda run: run.record.spec.seed)
        return {
            name: [run for run in ordered if run.record.spec.network == name]
            for name in sorted(self.group.networks, key=_network_order)
        }

    @cached_property
    def scores(self) -> dict[str, dict[str, Scores]]:
        """Checkpoint -> network -> its scores, of those that were scored there."""
        found = {
            checkpoint: {name: Scores.of(runs, self.split, label) for name, runs in self.networks.items()}
            for checkpoint, label in zip(self.checkpoints, self.labels, strict=True)
        }
        return {at: {name: one for name, one in own.items() if one is not None} for at, own in found.items()}

    def pairs(self) -> dict[str, dict[str, Row]]:
        """Checkpoint -> `first|second` -> their difference, as `data/pairs-*.js` has it."""
        known: dict[tuple[tuple[str, ...], tuple[str, ...]], Row] = {}  # two checkpoints may be of the same evaluations
        pairs: dict[str, dict[str, Row]] = {}
        for checkpoint, scores in self.scores.items():
            pairs[checkpoint] = {}
            for (first, one), (second, other) in combinations(scores.items(), 2):
                key = (one.evaluations, other.evaluations)
                if key not in known:
                    known[key] = _pair(one, other)
                pairs[checkpoint][f"{first}|{second}"] = known[key]
        return pairs


def _pair(one: Scores, other: Scores) -> Row:
    """The first less the second, in points: [estimate, low, high] of each score and of the IoU of each class."""
    scores: dict[str, Difference] = {}
    for name, header in COMPARED.items():
        first, second = one.sample(header), other.sample(header)
        if first is not None and second is not None:
            found = difference(first, second)
            if isinstance(found, NotMeasured):
                return {"why": found.reason}
            scores[name] = found
    return {
        "by": "seeds" if any(gap.by == "seeds" for gap in scores.values()) else "images",
        "scores": {name: _triple(gap) for name, gap in scores.items()},
        "classes": [_triple(difference(*classes)) for classes in zip(one.classes, other.classes, strict=True)],
    }


def _triple(gap: Difference | NotMeasured) -> list[float] | None:
    """None of a class that is undefined somewhere."""
    if isinstance(gap, NotMeasured) or np.isnan(gap.low):
        return None
    return [round(value, 4) for value in (gap.estimate, gap.low, gap.high)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """All that the pages are made of. records: of all runs that were asked for, failed and outdated ones too."""

    store: Store
    records: Sequence[RunRecord]
    measurements: pd.DataFrame
    groups: tuple[SiteGroup, ...]

    @cached_property
    def titles(self) -> dict[str, str]:
        """Network -> title, of all that ran or were measured; those of runs first."""
        ran = {name: self.store.titles[name] for group in self.groups for name in group.networks}
        measured = dict(zip(self.measurements["architecture"], self.measurements["title"], strict=True))
        found = measured | ran
        return {name: found[name] for name in sorted(found, key=lambda name: (name not in ran, *_network_order(name)))}

    @cached_property
    def colors(self) -> dict[str, str]:
        """Network -> color."""
        return {name: look(name)[0] for name in self.titles}

    @cached_property
    def costs(self) -> list[Row]:
        """A row a network, size, number of classes, device and precision."""
        return costs(self.measurements)

    @cached_property
    def devices(self) -> list[Row]:
        """Devices that something was measured on."""
        return devices(self.measurements)

    def paper(self, group: SiteGroup) -> list[Row]:
        """The paper's own figures of the whole networks, scored on test; none where they may not stand beside."""
        whole = [suite for suite in suites_of(group.spec) if suite.table in PUBLISHED] if group.split == "test" else []
        beside = group.info and any(suite_beside_paper(suite, group.info, group.networks) for suite in whole)
        return paper_points(group.spec.dataset, self.titles) if beside else []

    @cached_property
    def rows(self) -> list[Row]:
        """A row a group, checkpoint and network, scores as means over seeds, as `data/site.js` has them."""
        return [row for group in self.groups for at in group.checkpoints for row in self._rows(group, at)]

    def _rows(self, group: SiteGroup, checkpoint: str) -> Iterable[Row]:
        here = group.scores[checkpoint]
        leaders = {name: _leaders(here, header) for name, header in COMPARED.items()}
        for network, scores in here.items():
            yield {
                "id": f"{group.id}/{checkpoint}/{network}",
                "group": group.id,
                "checkpoint": checkpoint,
                "shown": checkpoint == group.shown,
                "network": network,
                "title": self.titles[network],
                "page": slug(network),
                "seeds": [run.record.spec.seed for run in scores.runs],
                "runs": [run.record.run_id for run in scores.runs],
                "values": _values(scores),
                "iou": cells(one.mean for one in scores.classes),
                "best": [name for name, networks in leaders.items() if network in networks],
            }

    @property
    def defaults(self) -> Row:
        """What the pages show first."""
        group, device = next(iter(self.groups), None), next(iter(self.devices), None)
        return {
            "group": group.id if group else "",
            "checkpoint": group.shown if group else "",
            "device": device["slug"] if device else "",
            "precision": device["precisions"][0] if device else "",
            "batch": device["batches"][0] if device else 1,
            "cost": "live_mib" if device and device["kind"] == "cpu" else "memory_mib",
        }


def _values(scores: Scores) -> dict[str, list[float | None]]:
    """Means over seeds, those of the four scores with their intervals."""
    values = {}
    for name in [quantity.key for quantity in QUANTITIES if quantity.kind == "score"]:
        header = BY_NAME[name].header
        values[name] = cells([scores.mean.get(header, np.nan), *scores.interval.get(header, ())])
    records = [run.record for run in scores.runs]
    counted = [record.parameters for record in records if record.parameters is not None]
    values["parameters_m"] = cells([mean_or_nan(counted) / 1e6])
    values["train_hours"] = cells([mean_or_nan([one.timing.train_s / 3600 for one in records if one.timing])])
    return values


def _leaders(here: dict[str, Scores], header: str) -> set[str]:
    """The network with the highest mean, and those that do not differ from it by more than noise; of one alone none."""
    found: dict[str, Sample] = {name: one for name, own in here.items() if (one := own.sample(header)) is not None}
    return tied(found) or ({max(found, key=lambda name: found[name].mean)} if len(found) > 1 else set())


def collect_site(results: Path | Store, suites: Sequence[str] | None) -> Content:
    """Read the records.

    Raises:
        UserError: unknown suite.
    """
    named = {load_suite(name).name for name in suites or ()}
    store = read_store(results)
    every = [one for one in store.records if not named or named & {suite.name for suite in suites_of(one.spec)}]
    current = [record for record in every if record.status == "finished" and not outdated(record)]
    groups = [found for group in groups_of(store, current) if (found := _group(group)) is not None]
    names, slugs = [group.spec.protocol.title for group in groups], [group.id for group in groups]
    titles = told_apart([group.title for group in groups], [group.group for group in groups], names, slugs)
    groups = [replace(group, title=title) for group, title in zip(groups, titles, strict=True)]
    return Content(
        store=store,
        records=every,
        measurements=frames.load_measurements(store),
        groups=tuple(sorted(groups, key=_importance)),
    )


def _group(group: Group) -> SiteGroup | None:
    """None of runs without an evaluation of test or val."""
    spec, info = group.spec, dataset_info(group.spec)
    scored = {
        (one.evaluation.split, label) for run in group.runs for one in run.scored for label in one.evaluation.labels
    }
    found = {split: tuple(label for label in group.labels if (split, label) in scored) for split in SPLITS}
    split = next((split for split in SPLITS if found[split]), None)
    if split is None:
        return None
    size = _size(spec, info)
    title = render("site/title.j2", protocol=spec.protocol, dataset=info, name=spec.dataset, size=size)
    return SiteGroup(group=group, title=title.strip(), split=split, labels=found[split])


def _size(spec: RunSpec, info: datasets.DatasetInfo | None) -> tuple[int, int]:
    return input_size(spec.protocol, info) if info else spec.protocol.size or (0, 0)


def _importance(group: SiteGroup) -> tuple[bool, bool, bool, int, bool, str]:
    """Real data first, then scores of test by the present evaluation, then whole networks, many of them, full runs."""
    test = group.split == "test" and group.spec.evaluation_revision == EVALUATION_REVISION
    decoders = paper_table(group.spec) == "table1"
    return (group.synthetic, not test, decoders, -len(group.networks), bool(group.group.reduced), group.id)


def _network_order(network: str) -> tuple[int, str]:
    """In the registry's order, a refined network behind its own; then by name."""
    name = network.partition("+")[0]
    known = architectures.names()
    return (known.index(name) if name in known else len(known), network)


def slug(network: str) -> str:
    """The network's name as a part of a page's name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", network).strip("-")

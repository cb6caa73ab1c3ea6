"""What the site shows, collected from the tidy frames: groups of runs, a row a network, and costs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

import architectures
from harness.config.run_spec import EVALUATION_REVISION
from harness.config.suite import load_suite
from harness.metrics.significance import interval
from harness.report import frames
from harness.report.grouping import GroupKey, input_size, suites_of
from harness.report.plots.style import look
from harness.report.render import render
from harness.report.samples import tied
from harness.report.site.pairs import NAMES, Pair, Samples, compare_all
from harness.report.site.quantities import QUANTITIES, Row, cells, costs, devices, paper_points
from harness.report.store import Run, Store, read_store
from harness.report.tables.cells import PUBLISHED, suite_beside_paper

# Splits that a group's rows may be scored on; the first that its runs have.
SPLITS = ("test", "val")


@dataclass(frozen=True, kw_only=True)
class SiteGroup:
    """Runs that may stand in one table. split: that its rows are scored on. shown: checkpoint shown first."""

    id: str
    key: GroupKey
    runs: tuple[Run, ...]
    title: str
    split: str
    checkpoints: tuple[str, ...]
    shown: str
    size: tuple[int, int]
    classes: tuple[str, ...]
    reduced: str
    synthetic: bool

    @cached_property
    def networks(self) -> dict[str, list[Run]]:
        """Networks in the registry's order, each with its runs by seed."""
        names = {run.record.spec.network for run in self.runs}
        ordered = sorted(self.runs, key=lambda run: run.record.spec.seed)
        return {
            name: [run for run in ordered if run.record.spec.network == name]
            for name in sorted(names, key=_network_order)
        }

    @property
    def first(self) -> Run:
        """A run of the group."""
        return self.runs[0]

    @cached_property
    def compared(self) -> tuple[dict[str, dict[str, Samples]], dict[str, dict[str, Pair]]]:
        """`compare_all` of it."""
        return compare_all(self.networks, self.split, self.checkpoints)


@dataclass(frozen=True, kw_only=True)
class Content:
    """All that the pages are made of.

    all_results: failed and outdated runs too. results: of the finished and current ones.
    """

    store: Store
    all_results: pd.DataFrame
    results: pd.DataFrame
    measurements: pd.DataFrame
    groups: tuple[SiteGroup, ...]

    @cached_property
    def class_scores(self) -> pd.DataFrame:
        """A row a run, split, checkpoint and class."""
        return frames.load_class_scores(self.store)

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
        spec = group.first.record.spec
        info, suites = frames.dataset_info(spec), [load_suite(name) for name in suites_of(spec)]
        whole = [suite for suite in suites if suite.table in PUBLISHED] if group.split == "test" else []
        beside = info and any(suite_beside_paper(suite, info, group.networks) for suite in whole)
        return paper_points(group.key.dataset, self.titles) if beside else []

    @cached_property
    def rows(self) -> list[Row]:
        """A row a group, checkpoint and network, scores as means over seeds, as `data/site.js` has them."""
        return [row for group in self.groups for row in self._rows(group)]

    def _rows(self, group: SiteGroup) -> Iterable[Row]:
        own = self.results[(self.results["group"] == group.id) & (self.results["split"] == group.split)]
        for checkpoint in group.checkpoints:
            here = own[own["checkpoint"] == checkpoint]
            leaders = {key: _leaders(group, checkpoint, key) for key in NAMES}
            for network, samples in group.compared[0][checkpoint].items():
                runs = here[here["network"] == network].sort_values("seed")
                yield {
                    "id": f"{group.id}/{checkpoint}/{network}",
                    "group": group.id,
                    "checkpoint": checkpoint,
                    "shown": checkpoint == group.shown,
                    "network": network,
                    "title": self.titles[network],
                    "page": slug(network),
                    "seeds": runs["seed"].tolist(),
                    "runs": runs["run_id"].tolist(),
                    "values": _values(runs, samples),
                    "iou": cells(one.mean for one in samples.classes),
                    "best": [key for key, names in leaders.items() if network in names],
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


def _values(runs: pd.DataFrame, samples: Samples) -> dict[str, list[float | None]]:
    """Means over seeds, those of the four scores with their intervals."""
    values = {}
    for key in [quantity.key for quantity in QUANTITIES if quantity.kind == "score"]:
        around = interval(samples.scores[key]) if key in samples.scores else None
        values[key] = cells([runs[key].mean(), *((around.low, around.high) if around else ())])
    values["parameters_m"] = cells([runs["parameters"].mean() / 1e6])
    values["train_hours"] = cells([runs["train_hours"].mean()])
    return values


def _leaders(group: SiteGroup, checkpoint: str, key: str) -> set[str]:
    """The network with the highest mean, and those that do not differ from it by more than noise; of one alone none."""
    found = {name: one.scores[key] for name, one in group.compared[0][checkpoint].items() if key in one.scores}
    return tied(found) or ({max(found, key=lambda name: found[name].mean)} if len(found) > 1 else set())


def collect_site(results: Path | Store, suites: Sequence[str] | None) -> Content:
    """Read the records.

    Raises:
        UserError: unknown suite.
    """
    for name in suites or ():
        load_suite(name)
    store = read_store(results)
    every = frames.load_results(store)
    if suites:
        named = set(suites)
        every = every[every["suites"].map(lambda text: bool(named & set(str(text).split())))]
    current = every[(every["status"] == "finished") & (every["outdated"] == "")]
    return Content(
        store=store,
        all_results=every,
        results=current,
        measurements=frames.load_measurements(store),
        groups=_groups(store, current),
    )


def _groups(store: Store, frame: pd.DataFrame) -> tuple[SiteGroup, ...]:
    runs = {run.record.run_id: run for run in store.finished}
    found = []
    for name, own in frame.groupby("group"):
        split = next((one for one in SPLITS if (own["split"] == one).any()), None)
        if split is not None:
            members = tuple(runs[run_id] for run_id in dict.fromkeys(own["run_id"]))
            found.append(_group(str(name), own, split, members))
    titles = [group.title for group in found]
    # protocols that are described alike have the end of their group's name behind it
    found = [
        one if titles.count(one.title) == 1 else replace(one, title=f"{one.title} ({one.id[-8:]})") for one in found
    ]
    return tuple(sorted(found, key=_importance))


def _group(name: str, own: pd.DataFrame, split: str, runs: tuple[Run, ...]) -> SiteGroup:
    spec = runs[0].record.spec
    info = frames.dataset_info(spec)
    size = input_size(spec.protocol, info) if info else spec.protocol.size or (0, 0)
    names = list(dict.fromkeys(own[own["split"] == split].sort_values("iteration")["checkpoint"]))
    fixed = [one for one in names if one != "best"]
    chosen = ["best"] if "best" in names else []
    title = render("site/title.j2", protocol=spec.protocol, dataset=info, name=spec.dataset, size=size)
    return SiteGroup(
        id=name,
        key=GroupKey.of(spec),
        runs=runs,
        title=title.strip(),
        split=split,
        checkpoints=(*fixed, *chosen),
        shown="best" if chosen and (spec.protocol.score_train_selected or not fixed) else fixed[-1],
        size=size,
        classes=frames.class_names(runs[0].record),
        reduced=str(own["reduced_why"].iloc[0]),
        synthetic=bool(own["synthetic"].iloc[0]),
    )


def _importance(group: SiteGroup) -> tuple[bool, bool, int, bool, str]:
    """Real data first, then scores of test by the present evaluation, then many networks, then full runs."""
    test = group.split == "test" and group.key.evaluation == EVALUATION_REVISION
    return (group.synthetic, not test, -len(group.networks), bool(group.reduced), group.id)


def _network_order(network: str) -> tuple[int, str]:
    """In the registry's order, a refined network behind its own; then by name."""
    name = network.partition("+")[0]
    known = architectures.names()
    return (known.index(name) if name in known else len(known), network)


def slug(network: str) -> str:
    """The network's name as a part of a page's name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", network).strip("-")


def pairs_json(group: SiteGroup) -> Mapping[str, object]:
    """Checkpoint -> `first|second` -> their difference, as `data/pairs-*.js` has it."""
    return {
        checkpoint: {name: pair.as_json() for name, pair in found.items()}
        for checkpoint, found in group.compared[1].items()
    }

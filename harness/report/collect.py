"""Collecting: the runs of a suite sorted into groups, full ones first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import architectures
import datasets
from harness.config.suite import Suite, load_suite, on_own_data
from harness.report.grouping import Group, every_suite, groups_of, network_order, outdated
from harness.report.resources import Measurements, suite_measurements
from harness.report.store import Store, read_store


@dataclass(frozen=True, kw_only=True)
class SuiteRecords:
    """All that a suite's report is made from.

    unreadable: one line each, paths relative to the results folder. outdated: run id and why it is left out.
    """

    suite: Suite
    dataset: datasets.DatasetInfo
    groups: tuple[Group, ...]
    measurements: Measurements
    unreadable: tuple[str, ...] = ()
    outdated: tuple[tuple[str, str], ...] = ()
    networks: tuple[str, ...] = ()


def suites_of(store: Store, names: Sequence[str]) -> list[tuple[str, Suite]]:
    """The suites of these names, each after its name; that of own data once for each dataset of the records."""
    brought = [record.spec.own_data for record in store.records if record.spec.own_data]
    return [(name, suite) for name in names for suite in on_own_data(load_suite(name), brought)]


def collect(results: Path | Store, suite: Suite) -> SuiteRecords:
    """Sort a suite's records into groups, full ones first, and find its measurements."""
    store = read_store(results)
    others = _others(suite)
    covered = [record for record in store.records if suite.covers(record.spec)]
    late = {record.run_id: reason for record in covered if (reason := outdated(record))}
    current = [record for record in covered if record.run_id not in late]
    order = network_order(suite, [record.spec.network for record in current])
    current.sort(key=lambda record: (order.index(record.spec.network), record.spec.seed, record.run_id))
    groups = tuple(sorted(groups_of(store, current), key=lambda group: _place(suite, group)))
    return SuiteRecords(
        suite=suite,
        dataset=suite.dataset_info,
        groups=groups,
        measurements=suite_measurements(store, suite, suite.dataset_info, groups, order),
        unreadable=tuple(line for line in store.unreadable if _may_be_of(line, suite, others)),
        outdated=tuple(late.items()),
        networks=tuple(order),
    )


def _others(suite: Suite) -> set[str]:
    """Architectures that are other suites' on the same dataset: not this one's, or here for reference."""
    others = [other for other in every_suite() if other.name != suite.name and other.dataset == suite.dataset]
    theirs = {name for other in others for name in other.architectures}
    return theirs - (set(suite.architectures) - set(suite.references))


def _may_be_of(line: str, suite: Suite, others: Collection[str]) -> bool:
    """Whether an unreadable record may belong to the suite: its folder is named by architecture and dataset.

    Args:
        line: which record, and what ails it.
        suite: on its dataset.
        others: architectures whose runs belong to another suite.
    """
    if any(f"/{architectures.file_name(name)}-{suite.dataset}-s" in line for name in others):
        return False
    return not any(f"-{name}-s" in line for name in datasets.names() if name != suite.dataset)


def _place(suite: Suite, group: Group) -> tuple[object, ...]:
    """Groups of the suite's networks first, reduced in fewer ways, its own protocol, longer, its class weightings."""
    protocol, foreign = group.protocol, not suite.names_any(group.ran)
    ranked = protocol.class_weighting in suite.class_weightings
    # of a suite without class_weightings the protocol's own comes first
    other = len(suite.class_weightings) + ("class_weighting" in protocol.overrides)
    class_weighting = suite.class_weightings.index(protocol.class_weighting) if ranked else other
    own = suite.protocols.index(protocol.name), -protocol.iterations, class_weighting, protocol.title
    spec = group.spec
    alike = spec.dataset_variant, spec.precision, spec.compiled, group.weights.kind, group.slug
    return foreign, len(group.reduced), *own, *alike

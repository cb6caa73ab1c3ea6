"""What the plots of made-up results are drawn from."""

from collections.abc import Callable

import pytest

from harness.config.suite import load_suite
from harness.report.collect import collect
from harness.report.plots import palette
from harness.report.plots.base import GroupData
from harness.report.scored_data import Source
from harness.report.sections import sections
from harness.report.tables.per_class import per_class
from tests.harness.report.made_up import Store

Data = Callable[..., GroupData]


@pytest.fixture
def data(store: Store) -> Data:
    """Gives what the only group of a suite's records in the store is drawn from."""

    def of(suite_name: str = "camvid", source: Source | None = None) -> GroupData:
        suite = load_suite(suite_name)
        records = collect(store.results, suite)
        (section,) = sections(records)
        (group,) = section.groups
        colors = palette(suite, records.networks)
        return GroupData(
            group=group,
            palette=colors,
            per_class=per_class(group, records.dataset),
            costs_by_fit=section.costs_by_fit,
            source=source,
        )

    return of

"""Pages of resources: which series and pictures there are, and why there are none."""

from typing import Any

from harness.config.suite import load_suite
from harness.report.collect import collect
from harness.report.resources import collect_measurements
from tests.harness.report.made_up import Store

GPU: dict[str, Any] = {"device": "cuda", "preset": "lease"}


class TestSeries:
    def test_all_sizes_of_what_is_shown_and_nothing_else(self, store: Store) -> None:
        for size in ((360, 480), (90, 120)):
            store.measurement("segnet", size=size)
        store.measurement("segnet", size=(90, 120), device="cuda", preset="lease")
        found = collect_measurements(store.results, collect(store.results, load_suite("camvid")))
        assert [group.size for group in found.groups] == [(360, 480)]
        assert [one.slug for one in found.series] == ["cpu-made-up-fp32-cpu-2t"]
        assert found.series[0].sizes == [(90, 120), (360, 480)]

    def test_options_are_apart(self, store: Store) -> None:
        store.measurement("segnet", **GPU)
        store.measurement("segnet", size=(90, 120), options=("compiled",), **GPU)
        store.measurement("segnet", options=("compiled",), **GPU)
        found = collect_measurements(store.results, collect(store.results, load_suite("camvid")))
        assert [one.slug for one in found.series] == [
            "cuda-made-up-fp32-lease",
            "cuda-made-up-fp32-compiled-lease",
        ]
        assert [len(one.records) for one in found.series] == [1, 2]

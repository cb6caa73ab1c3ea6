"""Plots of resources: what they show, when there are none, and that they stay small and the same."""

from typing import Any

import pytest

from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.report import write_reports
from harness.report.collect import collect
from harness.report.figures import palette
from harness.report.growth_plots import Line, batch_growth, batch_lines, batch_size, size_growth, size_lines
from harness.report.memory_plots import memory_breakdown
from harness.report.resources import MeasurementGroup, Series, collect_measurements
from harness.report.trade_offs import cost_of
from tests.harness.report.made_up import Store
from tests.harness.report.made_up_measurements import measured

COLORS = palette(load_suite("camvid"), [])
GPU: dict[str, Any] = {"device": "cuda", "preset": "lease"}


def series() -> Series:
    return Series(
        records=(
            measured("segnet", forward_ms=100, forward8_ms=640),
            measured("segnet", size=(90, 120), forward_ms=8),
            measured("segnet", size=(180, 240), forward_ms=None),
            measured("deconvnet", forward_ms=120),
        )
    )


class TestGrowth:
    def test_points_by_pixels_of_what_was_timed(self) -> None:
        assert size_lines(series()) == [Line(network="SegNet", points=((10_800.0, 8.0), (172_800.0, 100.0)))]

    def test_points_by_batch_are_of_one_image(self) -> None:
        assert batch_size(series()) == (360, 480)
        assert batch_lines(series(), (360, 480)) == [Line(network="SegNet", points=((1.0, 100.0), (8.0, 80.0)))]

    def test_batch_falls_back_to_the_largest_size_that_has_two(self) -> None:
        found = Series(
            records=(
                measured("segnet"),
                measured("segnet", size=(90, 120), forward8_ms=50),
                measured("segnet", size=(180, 240), forward8_ms=200),
            )
        )
        assert batch_size(found) == (180, 240)

    def test_none_with_fewer_than_two_points(self) -> None:
        one = Series(records=(measured("segnet"),))
        assert size_growth(one, COLORS) is None
        assert batch_growth(one, COLORS) is None

    def test_small_and_the_same_bytes_each_time(self) -> None:
        for draw in (size_growth, batch_growth):
            first = draw(series(), COLORS)
            assert first is not None
            assert first == draw(series(), COLORS)
            assert len(first) < 100_000


class TestBreakdown:
    def test_small_and_the_same_bytes_each_time(self) -> None:
        group = MeasurementGroup(records=(measured("segnet"), measured("deconvnet", inference_mib=900)))
        first = memory_breakdown(group)
        assert first is not None
        assert first == memory_breakdown(group)
        assert len(first) < 100_000

    def test_network_without_shapes_is_left_out_and_all_of_them_give_no_plot(self) -> None:
        lacking = measured("deconvnet", inference_mib=None)
        assert memory_breakdown(MeasurementGroup(records=(measured("segnet"), lacking))) is not None
        assert memory_breakdown(MeasurementGroup(records=(lacking,))) is None


class TestCosts:
    def test_memory_is_the_allocators_on_a_gpu_and_live_tensors_elsewhere(self) -> None:
        gpu = measured("segnet", inference_mib=400, workspace_mib=50, **GPU)
        cost = cost_of("memory", MeasurementGroup(records=(gpu,)))
        assert (cost.read(gpu).value, "allocator" in cost.label) == (450.0, True)
        cpu = measured("segnet", inference_mib=400)
        cost = cost_of("memory", MeasurementGroup(records=(cpu,)))
        assert (cost.read(cpu).value, "live tensors" in cost.label) == (400.0, True)


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


class TestPage:
    def test_pictures_and_remarks(self, store: Store, camvid: Protocol) -> None:
        for name in ("segnet", "deconvnet"):
            store.pictures(name, camvid, accuracy=0.6)
            store.measurement(name, forward8_ms=60, energy_mj=900, **GPU)
            store.measurement(name)
            store.measurement(name, size=(90, 120))
        reports = store.results.parent / "reports"
        write_reports(store.results, reports, ["camvid"])
        page = (reports / "camvid" / "README.md").read_text("utf-8")
        for picture in (
            "memory-cuda-made-up-360x480-fp32-lease.png",
            "memory-cpu-made-up-360x480-fp32-cpu-2t.png",
            "growth-batch-cuda-made-up-fp32-lease.png",
            "growth-size-cpu-made-up-fp32-cpu-2t.png",
            "camvid-epochs%402-camvid-fp32-weights-none/energy-accuracy.png",
        ):
            assert f"]({picture})" in page
            assert (reports / "camvid" / picture.replace("%40", "@")).stat().st_size < 100_000
        growth = page.split("### Growth on Made-up GPU, fp32, preset lease")[1]
        assert (
            "- Time against input size: no plot, since no network has a forward time at two sizes "
            "(measured at 360 x 480)."
        ) in growth
        assert "- Time against batch: no plot, since no network has a forward time at two batches." in growth
        assert "resources-full-cuda-made-up-360x480-fp32-lease.md)" in page

    def test_energy_that_was_not_measured_is_said(self, store: Store, camvid: Protocol) -> None:
        store.pictures("segnet", camvid, accuracy=0.6)
        store.measurement("segnet")
        reports = store.results.parent / "reports"
        write_reports(store.results, reports, ["camvid"])
        page = (reports / "camvid" / "README.md").read_text("utf-8")
        assert "- Energy versus accuracy: no plot, since no network here has a measurement: measured on a CPU." in page


@pytest.mark.parametrize("options", [("compiled",), ("channels-last", "folded")])
def test_plots_beside_accuracy_take_plain_measurements_alone(
    store: Store, camvid: Protocol, options: tuple[str, ...]
) -> None:
    store.pictures("segnet", camvid, accuracy=0.6)
    store.measurement("segnet", options=options, **GPU)
    reports = store.results.parent / "reports"
    write_reports(store.results, reports, ["camvid"])
    page = (reports / "camvid" / "README.md").read_text("utf-8")
    assert "- Time versus accuracy: no plot, since no network here has a measurement in fp32." in page

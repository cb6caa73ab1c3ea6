"""The plots of devices, series, families, recipes, speed and differences: the numbers and names in their axes."""

import numpy as np
import pandas as pd
import pytest

from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.report.plots import palette
from harness.report.plots.growth import batch_figure, batch_points, growth, size_figure, size_points
from harness.report.plots.learning_rates import rates_figure
from harness.report.plots.memory import MEASURED, memory_breakdown, memory_figure, memory_frame
from harness.report.plots.performance import compared, ratios_figure
from harness.report.plots.storage import storage, storage_figure, storage_points
from harness.report.resources import MeasurementGroup, Series
from tests.harness.report.made_up import MIOU_PART, Store
from tests.harness.report.made_up_measurements import INPUT_MIB, KEPT_MIB, WEIGHTS_MIB, measured
from tests.harness.report.plots.conftest import Data
from tests.harness.report.test_performance import made_up
from tests.harness.report.test_table1 import CODES, KEPT, SUITE, add, all_sections, made

COLORS = palette(load_suite("camvid"), [])


class TestMemory:
    def test_parts_add_up_and_the_device_is_named(self) -> None:
        gpu = measured("segnet", inference_mib=400, workspace_mib=50, device="cuda", preset="lease")
        group = MeasurementGroup(records=(gpu,))
        frame = memory_frame(group).set_index("use")
        parts = frame.loc["inference"]
        assert [parts["weights"], parts["decoder_storage"], parts["input"]] == [WEIGHTS_MIB, KEPT_MIB, INPUT_MIB]
        assert parts[MEASURED] == 450
        figure = memory_figure(group)
        assert figure is not None
        left = figure.axes[0]
        assert [text.get_text() for text in left.texts] == ["400 | 450"]
        assert sum(patch.get_width() for patch in left.patches) == pytest.approx(400)  # type: ignore[attr-defined]
        assert "Made-up GPU" in figure.get_suptitle()

    def test_network_without_shapes_is_left_out_and_named_and_all_of_them_give_no_plot(self) -> None:
        lacking = measured("deconvnet", inference_mib=None)
        drawn = memory_breakdown(MeasurementGroup(records=(measured("segnet"), lacking)))
        assert drawn is not None
        assert "DeconvNet" in drawn.caption
        assert memory_breakdown(MeasurementGroup(records=(lacking,))) is None


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
        (axes,) = size_figure(size_points(series()), COLORS, "Made-up CPU").axes
        lines = {line.get_label(): line for line in axes.lines}
        assert set(lines) == {"guide", "SegNet"}
        assert list(lines["SegNet"].get_xdata()) == [10_800.0, 172_800.0]
        assert list(lines["SegNet"].get_ydata()) == [8.0, 100.0]
        assert list(lines["guide"].get_ydata()) == [8.0, 128.0]
        assert [text.get_text() for text in axes.texts] == ["SegNet"]

    def test_points_by_batch_are_of_one_image(self) -> None:
        (axes,) = batch_figure(batch_points(series()), COLORS, "Made-up CPU").axes
        (line,) = axes.lines
        assert list(line.get_xdata()) == [1.0, 8.0]
        assert list(line.get_ydata()) == [100.0, 80.0]

    def test_batch_falls_back_to_the_largest_size_that_has_two(self) -> None:
        found = Series(
            records=(
                measured("segnet"),
                measured("segnet", size=(90, 120), forward8_ms=50),
                measured("segnet", size=(180, 240), forward8_ms=200),
            )
        )
        assert batch_points(found)["size"].tolist() == [(180, 240)] * 2

    def test_none_with_fewer_than_two_points(self) -> None:
        one = Series(records=(measured("segnet"),))
        untimed = measured("segnet")
        untimed = untimed.model_copy(update={"cells": tuple(c for c in untimed.cells if c.key.phase == "shapes")})
        assert growth(Series(records=(untimed,)), COLORS) == growth(one, COLORS) == []


def test_storage_has_ours_the_papers_and_rows_by_storage(store: Store, decoders: Protocol) -> None:
    for name, kept in KEPT.items():
        add(store, decoders, name)
        store.measurement(name, kept=(kept, 0, 0, 0))
    (section,), frame, colors = all_sections(store), made(store), palette(SUITE, [])
    points = storage_points(frame, "mIoU").set_index("network")
    assert points["storage_bytes"].is_monotonic_increasing
    assert points.loc["SegNet-Basic", ["ours", "paper", "storage_bytes"]].tolist() == pytest.approx(
        [MIOU_PART, 47.7, CODES]
    )
    figure = storage_figure(section, frame, colors, "mIoU")
    assert figure is not None
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()][3] == "SegNet-Basic: 691 kB"
    hollow = {line.get_label(): line for line in figure.axes[0].lines}["SegNet-Basic, paper"]
    assert (list(hollow.get_xdata()), hollow.get_markerfacecolor()) == ([47.7], "white")
    assert [one.name for one in storage(section, frame, colors)] == ["storage-miou.png", "storage-bf.png"]


def test_rates_have_a_line_a_network_and_optimizer_sgd_hollow(store: Store, camvid: Protocol, data: Data) -> None:
    store.pictures("segnet", camvid, accuracy=0.5)
    rows = [("SegNet", "adamw", 1e-3, 50.0), ("SegNet", "adamw", 3e-4, 55.0), ("SegNet", "sgd", 1e-1, 40.0)]
    frame = pd.DataFrame(rows, columns=["network", "optimizer", "lr", "mIoU"])
    figure = rates_figure(data(), frame)
    assert figure is not None
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines["SegNet, AdamW"].get_ydata()) == [55.0, 50.0]
    assert lines["SegNet, SGD"].get_markerfacecolor() == "white"
    assert rates_figure(data(), frame.assign(mIoU=np.nan)) is None


def test_ratios_of_what_has_an_opponent() -> None:
    record = made_up()
    (axes,) = ratios_figure(record).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [entry.title for entry in compared(record)]
    # ratios of the rounds: 0.8, 1.0, 1.05
    assert axes.texts[0].get_text() == "1.00"

"""The look of all plots: colors by name, axes, labels that cover nothing, PNGs that stay small and the same."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from PIL import Image

from harness.config.suite import load_suite, suite_names
from harness.report.plots.png import MAX_BYTES, png, small_png
from harness.report.plots.style import (
    SMALL,
    Mark,
    label_ends,
    label_points,
    look,
    new_figure,
    palette,
    plain_axis,
    styled,
)


def line() -> Figure:
    with styled():
        figure = new_figure(3.0, "made up")
        figure.subplots().plot([0, 1], [1, 0])
    return figure


class TestColors:
    def test_a_network_looks_the_same_in_every_suite(self) -> None:
        assert palette(load_suite("camvid"), []).colors["SegNet"] == palette(load_suite("modern"), []).colors["SegNet"]

    def test_one_from_elsewhere_looks_the_same_whatever_else_is_shown(self) -> None:
        alone = palette(load_suite("camvid"), ["smp:Linknet/resnet18"])
        others = palette(load_suite("camvid"), ["tiny", "smp:PAN/resnet18", "smp:Linknet/resnet18"])
        assert alone.colors["smp:Linknet/resnet18"] == others.colors["smp:Linknet/resnet18"]
        assert len(set(others.colors.values())) == len(others.colors)

    @pytest.mark.parametrize("suite", suite_names())
    def test_networks_of_a_suite_differ_in_color_and_in_color_with_marker(self, suite: str) -> None:
        looks = [look(name) for name in load_suite(suite).architectures]
        assert len({color for color, _ in looks}) == len(looks)


class TestAxes:
    @pytest.mark.parametrize(
        ("values", "scale"), [([1.0, 3.9], "linear"), ([1.0, 40.0], "log"), ([0.0, 40.0], "linear"), ([], "linear")]
    )
    def test_logarithmic_only_where_it_serves(self, values: list[float], scale: str) -> None:
        axes = line().axes[0]
        plain_axis(axes.xaxis, values)
        assert axes.get_xscale() == scale

    def test_wide_axis_has_its_values_within_and_plain_numbers(self) -> None:
        axes = line().axes[0]
        plain_axis(axes.xaxis, [150.0, 2000.0])
        low, high = axes.get_xlim()
        assert low < 150 and high > 2000 and low > 50
        assert axes.xaxis.get_major_formatter()(1000.0) == "1,000"


class TestLabels:
    def test_labels_of_close_points_cover_neither_each_other_nor_points(self) -> None:
        with styled():
            figure = new_figure(4.0, "made up")
            axes = figure.subplots()
            axes.set(xlim=(0, 10), ylim=(0, 10))
            places = [(5.0, 5.0), (5.1, 5.1), (5.0, 5.2), (9.9, 5.0)]
            label_points(axes, [Mark(x=x, y=y, low=y, high=y, text=f"network {x} {y}") for x, y in places])
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        texts = [one for one in axes.texts if isinstance(one, Annotation)]
        boxes = [matplotlib.text.Text.get_window_extent(one, renderer) for one in texts]
        assert [one.get_text() for one in texts] == [f"network {x} {y}" for x, y in places]
        for at, box in enumerate(boxes):
            assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            assert not any(box.overlaps(other) for other in boxes[at + 1 :])
            assert not any(box.contains(*axes.transData.transform(place)) for place in places)

    def test_ends_stand_a_line_apart_in_the_order_of_their_lines(self) -> None:
        with styled():
            figure = new_figure(3.0, "made up")
            axes = figure.subplots()
            axes.set(ylim=(0, 100))
            label_ends(axes, [("low", 50.0, "#0173b2"), ("high", 50.1, "#d55e00"), ("far", 90.0, "#029e73")])
        heights = {
            one.get_text(): axes.transData.transform((0, one.xy[1]))[1] * 72 / 110 + one.xyann[1] for one in axes.texts
        }  # type: ignore[attr-defined]
        assert heights["high"] - heights["low"] == pytest.approx(1.3 * SMALL)
        assert heights["far"] > heights["high"] + 20


class TestPng:
    def test_same_bytes_whatever_the_users_settings(self) -> None:
        first = png(line())
        with matplotlib.rc_context({"lines.linewidth": 9.0, "font.size": 20.0}):
            assert png(line()) == first
            assert matplotlib.rcParams["lines.linewidth"] == 9.0

    def test_about_900_pixels_wide_with_no_time_and_no_software_in_it(self) -> None:
        image = Image.open(io.BytesIO(png(line())))
        assert image.width == 902
        assert set(image.info) <= {"dpi"}

    def test_large_picture_is_made_small_and_keeps_its_colors(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, size=(400, 600, 3), dtype=np.uint8)
        pixels[:50] = (60, 40, 222)
        pixels[50:100] = 255
        data = small_png(Image.fromarray(pixels), keep=[(60, 40, 222)])
        assert len(data) < MAX_BYTES
        back = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        tenth = len(back) // 8
        assert (back[: tenth // 2] == (60, 40, 222)).all()
        assert (back[tenth + tenth // 4 : tenth + tenth // 2] == 255).all()

    def test_picture_of_few_colors_is_left_alone(self) -> None:
        pixels = np.zeros((40, 60, 3), dtype=np.uint8)
        pixels[:10], pixels[10:20], pixels[20:30] = (60, 40, 222), (255, 255, 255), (7, 8, 9)
        data = small_png(Image.fromarray(pixels))
        assert (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) == pixels).all()

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
    Mark,
    label_points,
    look,
    new_figure,
    palette,
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


class TestPng:
    def test_same_bytes_whatever_the_users_settings(self) -> None:
        first = png(line())
        with matplotlib.rc_context({"lines.linewidth": 9.0, "font.size": 20.0}):
            assert png(line()) == first
            assert matplotlib.rcParams["lines.linewidth"] == 9.0

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

"""Figures: one look for all plots, one color a network, and PNGs that are the same bytes each time."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import KDTree

from harness.config.suite import Suite
from harness.report.groups import title

MAX_BYTES = 100_000
FAIR_BYTES = 64_000  # fewer colors are taken to get under it, fewer pixels are not
WIDTH_IN = 8.3
DPI = 110
# From seaborn's color-blind safe palette, in the order of the report.
_COLORS = ("#0173b2", "#d55e00", "#de8f05", "#029e73", "#cc78bc", "#56b4e9", "#949494", "#ca9161", "#fbafe4")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">")
_SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that it is the same everywhere
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "figure.titlesize": 10.0,
    "svg.hashsalt": "segnet-harness",
}


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Color and marker of every network, by its title in tables and plots."""

    colors: Mapping[str, str]
    markers: Mapping[str, str]


def palette(suite: Suite, networks: Sequence[str]) -> Palette:
    """The same color and marker for the same network in every plot of a suite.

    Args:
        suite: its architectures come first, run or not.
        networks: architectures of the report, in its order.
    """
    order = dict.fromkeys([*suite.architectures, *networks])
    places = {title(name): place for place, name in enumerate(order)}
    return Palette(
        colors={name: _COLORS[place % len(_COLORS)] for name, place in places.items()},
        markers={name: _MARKERS[place % len(_MARKERS)] for name, place in places.items()},
    )


def png(draw: Callable[[Figure], None], height_in: float, keep: Sequence[tuple[int, int, int]] = ()) -> bytes:
    """Draw a figure of README width and return it as a PNG of 256 colors, without time or software in it.

    matplotlib's global state (its pyplot figures, the user's settings) neither matters nor changes.

    Args:
        draw: draws into the empty figure.
        height_in: height in inches.
        keep: colors (red, green, blue) that mean something and stay exact.
    """
    settings: Any = {**dict(matplotlib.rcParamsDefault.items()), **sns.axes_style("whitegrid"), **_SETTINGS}
    del settings["backend"]
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.draw()  # type: ignore[no-untyped-call]  # savefig would draw all twice
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    return small_png(Image.fromarray(np.ascontiguousarray(pixels)), keep)


def small_png(image: Image.Image, keep: Sequence[tuple[int, int, int]] = ()) -> bytes:
    """A PNG under 100 KB: with 256 colors, which is a third of the bytes, or fewer, or fewer pixels too.

    Args:
        image: RGB.
        keep: colors that are among them, as black and white are.
    """
    exact = [(0, 0, 0), (255, 255, 255), *keep]
    for share in (1.0, 0.85, 0.7, 0.55, 0.4, 0.3):
        size = (round(image.width * share), round(image.height * share))
        resized = image if share == 1.0 else image.resize(size, Image.Resampling.LANCZOS)
        for colors in (256, 64, 32):
            buffer = io.BytesIO()
            _reduced(resized, colors, exact).save(buffer, format="PNG", optimize=True)
            if buffer.tell() < FAIR_BYTES:
                return buffer.getvalue()
        if buffer.tell() < MAX_BYTES:
            return buffer.getvalue()
    return buffer.getvalue()


def _reduced(image: Image.Image, colors: int, exact: Sequence[tuple[int, int, int]]) -> Image.Image:
    """The image in the exact colors and, for the rest, those that it needs most; each pixel its nearest."""
    needed = image.quantize(max(colors - len(exact), 1), dither=Image.Dither.NONE).getpalette() or []
    table = np.array([*(part for color in exact for part in color), *needed], dtype=np.uint8)
    table = table.reshape(-1, 3)[:colors]
    pixels = np.asarray(image, dtype=np.uint8)
    found, places = np.unique(pixels.reshape(-1, 3) @ np.array([65536, 256, 1]), return_inverse=True)
    unpacked = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    # Pillow's own mapping to a given palette is approximate: white would come out as nearly white.
    nearest = np.asarray(KDTree(table.astype(np.float64)).query(unpacked)[1], dtype=np.uint8)
    result = Image.fromarray(nearest[places].reshape(pixels.shape[:2]))
    result.putpalette(table.tobytes())
    return result

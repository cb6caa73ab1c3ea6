"""Figures as PNGs: the same bytes each time, with neither time nor software in them, and small."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import KDTree

from harness.report.plots.style import styled

MAX_BYTES = 100_000
PHOTO_BYTES = 400_000  # of pictures that are not committed


def png(figure: Figure, keep: Sequence[tuple[int, int, int]] = (), limit: int = MAX_BYTES) -> bytes:
    """A figure as a PNG of 256 colors.

    Args:
        figure: made within `styled()`.
        keep: colors (red, green, blue) that mean something and stay exact.
        limit: bytes that it must not exceed.
    """
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg), "made by new_figure"
    with styled():
        canvas.draw()  # type: ignore[no-untyped-call]  # savefig would draw all twice
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    return small_png(Image.fromarray(np.ascontiguousarray(pixels)), keep, limit)


def small_png(image: Image.Image, keep: Sequence[tuple[int, int, int]] = (), limit: int = MAX_BYTES) -> bytes:
    """A PNG under a limit of bytes: with 256 colors, which is a third of the bytes, or fewer, or fewer pixels too.

    Args:
        image: RGB.
        keep: colors that are among them, as black and white are.
        limit: bytes.
    """
    exact = [(0, 0, 0), (255, 255, 255), *keep]
    for share in (1.0, 0.85, 0.7, 0.55, 0.4, 0.3):
        size = (round(image.width * share), round(image.height * share))
        resized = image if share == 1.0 else image.resize(size, Image.Resampling.LANCZOS)
        for colors in (256, 64, 32):
            buffer = io.BytesIO()
            _reduced(resized, colors, exact).save(buffer, format="PNG", optimize=True)
            if buffer.tell() < limit:
                return buffer.getvalue()
            if buffer.tell() > 3 * limit:  # which fewer colors alone don't save
                break
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

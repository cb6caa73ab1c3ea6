"""Canvas, camera and noise of the drawn road scenes.

Everything is drawn at twice the final size: the picture is then averaged over 2 x 2 cells, the label takes
one fixed pixel of each cell and so is never blended. A depth map decides what hides what. The label is made
with plain arithmetic on vertices rounded to 1/64 pixel, so that it is the same on every machine.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 180, 240
SCALE = 2
ROWS, COLUMNS = HEIGHT * SCALE, WIDTH * SCALE
FAR_M = 5000.0

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]
Color = tuple[float, float, float]

CIRCLE: Doubles = np.array(
    [(round(math.cos(k * math.pi / 10), 6), round(math.sin(k * math.pi / 10), 6)) for k in range(20)]
)
"""A circle of radius 1 as a polygon (20, 2); rounded, since the last digits of cos vary between machines."""


ROW_CENTRES: Doubles = np.arange(ROWS, dtype=np.float64) + 0.5


class Region(NamedTuple):
    """A mask within the canvas: `mask` covers rows x columns."""

    rows: slice
    columns: slice
    mask: Mask


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera above a road that bends evenly.

    World coordinates in metres: `side` to the right of the road's middle line, `up` above the ground,
    `ahead` of the camera. `bend` is the curvature in 1/m.
    """

    focal_px: float
    horizon_px: float
    center_px: float
    height_m: float
    offset_m: float
    bend: float

    def project(self, side: float | Doubles, up: float | Doubles, ahead: float | Doubles) -> Doubles:
        """Canvas positions (n, 2) as (x, y), rounded to 1/64 pixel, of n points (numbers are repeated)."""
        x = self.center_px + self.focal_px * (side - self.offset_m + 0.5 * self.bend * ahead * ahead) / ahead
        y = self.horizon_px + self.focal_px * (self.height_m - up) / ahead
        points = np.empty((max(np.size(x), np.size(y)), 2))
        points[:, 0], points[:, 1] = x, y
        return np.rint(points * 64.0) / 64.0

    def pixels_per_metre(self, ahead: float) -> float:
        """Canvas pixels that a metre takes at this distance."""
        return self.focal_px / ahead

    def ground(self, first_row: int) -> tuple[Doubles, Doubles]:
        """Ground under the canvas rows from `first_row` on: ahead (rows, 1) and side (rows, COLUMNS) in m."""
        y = np.arange(first_row, ROWS, dtype=np.float64)[:, None] + 0.5
        x = np.arange(COLUMNS, dtype=np.float64)[None, :] + 0.5
        ahead = self.focal_px * self.height_m / np.maximum(y - self.horizon_px, 0.5)
        side = (x - self.center_px) * ahead / self.focal_px - 0.5 * self.bend * ahead * ahead + self.offset_m
        return ahead, side

    @property
    def first_ground_row(self) -> int:
        """First canvas row whose pixel centers lie below the horizon."""
        return min(ROWS, max(0, math.ceil(self.horizon_px)))


class Canvas:
    """Picture (3, ROWS, COLUMNS) float32, label (ROWS, COLUMNS) uint8 and depth in metres, drawn together."""

    def __init__(self) -> None:
        self.picture: Floats = np.zeros((3, ROWS, COLUMNS), np.float32)
        self.label: NDArray[np.uint8] = np.full((ROWS, COLUMNS), SKY, np.uint8)
        self.depth: Floats = np.full((ROWS, COLUMNS), FAR_M, np.float32)

    def put(
        self,
        region: Region | None,
        color: Color | Floats | None,
        label: int | None,
        depth: float | Floats,
        seen: Mask | None = None,
    ) -> None:
        """Draw where nothing nearer stands.

        `color` is one color or (3, rows, columns) of them (None leaves the picture), `label` None leaves
        the label, and `seen` restricts what the picture shows: the gaps of a railing belong to the fence.
        """
        if region is None:
            return
        at = region.rows, region.columns
        mask = region.mask & (depth <= self.depth[at])
        shown = mask if seen is None else mask & seen
        if color is not None:
            tint = color if isinstance(color, np.ndarray) else plane(color)
            np.copyto(self.picture[:, *at], tint, where=shown)
        if label is not None:
            np.copyto(self.label[at], np.uint8(label), where=mask)
            np.copyto(self.depth[at], depth, where=mask, casting="same_kind")

    def fill(self, points: Doubles, color: Color | None, label: int | None, depth: float) -> None:
        """Draw a polygon (n, 2) of canvas positions."""
        self.put(polygon(points), color, label, depth)

    def darken(self, points: Doubles, factor: float, depth: float) -> None:
        """Lay a shadow on what is drawn already."""
        region = polygon(points)
        if region is not None:
            at = region.rows, region.columns
            mask = region.mask & (depth <= self.depth[at])
            self.picture[:, *at] *= np.where(mask, np.float32(factor), np.float32(1.0))


def fraction(value: Floats) -> Floats:
    """What a value is above the next lower whole number."""
    part: Floats = value - np.floor(value)
    return part


def plane(color: Color) -> Floats:
    """A color as (3, 1, 1), to meet pictures (3, rows, columns)."""
    return np.array(color, np.float32).reshape(3, 1, 1)


def tinted(color: Color, shade: Floats) -> Floats:
    """A color (3, rows, columns) under a brightness (rows, columns)."""
    picture: Floats = plane(color) * shade
    return picture


def box(x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice] | None:
    """Rows and columns that a rectangle of canvas positions touches, or None outside the canvas."""
    top, bottom = max(0, math.floor(y0)), min(ROWS, math.ceil(y1))
    left, right = max(0, math.floor(x0)), min(COLUMNS, math.ceil(x1))
    if top >= bottom or left >= right:
        return None
    return slice(top, bottom), slice(left, right)


def polygon(points: Doubles) -> Region | None:
    """Pixels whose center lies in a polygon (n, 2), by the even-odd rule; None outside the canvas."""
    xs, ys = points[:, 0], points[:, 1]
    across, down = xs.tolist(), ys.tolist()
    area = box(min(across), min(down), max(across), max(down))
    if area is None:
        return None
    rows, columns = area
    y = ROW_CENTRES[rows]
    above = ys[:, None] <= y
    before = np.concatenate([above[-1:], above[:-1]])
    edge, row = np.nonzero(above != before)
    # Edge k runs from point k - 1 to point k; it crosses a row's center line, so it is not level.
    x0, y0 = xs[edge - 1], ys[edge - 1]
    x = x0 + (y[row] - y0) * ((xs[edge] - x0) / (ys[edge] - y0))
    width = columns.stop - columns.start
    column = np.minimum(np.maximum(np.ceil(x - 0.5) - columns.start, 0.0), width).astype(np.intp)
    # Each edge flips everything to its right; a pixel flipped an odd number of times is inside.
    flips = np.bincount(row * (width + 1) + column, minlength=y.size * (width + 1))
    parity = flips.reshape(y.size, width + 1).cumsum(axis=1, dtype=np.uint8) & np.uint8(1)
    return Region(rows, columns, parity[:, :width].astype(np.bool_))


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Doubles:
    """Polygon (20, 2) of an ellipse."""
    return CIRCLE * (radius_x, radius_y) + (x, y)


def limb(x0: float, y0: float, x1: float, y1: float, width0: float, width1: float) -> Doubles:
    """Polygon (4, 2) of a stroke from one point to another whose width changes evenly."""
    dx, dy = x1 - x0, y1 - y0
    length = math.sqrt(dx * dx + dy * dy) or 1.0
    nx, ny = -dy / length / 2.0, dx / length / 2.0
    return np.array(
        [
            (x0 + nx * width0, y0 + ny * width0),
            (x1 + nx * width1, y1 + ny * width1),
            (x1 - nx * width1, y1 - ny * width1),
            (x0 - nx * width0, y0 - ny * width0),
        ]
    )


def value_noise(rng: np.random.Generator, rows: int, columns: int, cell: int) -> Floats:
    """Smooth noise (rows, columns) in 0..1 whose bumps are about `cell` pixels wide."""
    grid = rng.random((rows // cell + 2, columns // cell + 2), dtype=np.float32)
    for axis, count in ((0, rows), (1, columns)):
        place = np.arange(count)
        part = ((place % cell) / cell).astype(np.float32)
        part = part * part * (3.0 - 2.0 * part)
        part = part[:, None] if axis == 0 else part[None, :]
        near = np.take(grid, place // cell, axis=axis)
        grid = near + (np.take(grid, place // cell + 1, axis=axis) - near) * part
    return grid

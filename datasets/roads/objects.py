"""Trees, poles, signs and clutter of the drawn road scenes, and the bonnet before the camera."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets.base import VOID
from datasets.roads.canvas import (
    CIRCLE,
    COLUMNS,
    POLE,
    ROWS,
    SIGN,
    TREE,
    Camera,
    Canvas,
    Color,
    Doubles,
    Region,
    box,
    ellipse,
    limb,
    tinted,
)
from datasets.roads.light import Stage, mix, scaled

CLOTHES: tuple[Color, ...] = (
    (0.10, 0.11, 0.14),
    (0.16, 0.20, 0.34),
    (0.45, 0.44, 0.43),
    (0.62, 0.12, 0.14),
    (0.82, 0.80, 0.76),
    (0.22, 0.34, 0.24),
    (0.78, 0.52, 0.16),
    (0.38, 0.28, 0.22),
    (0.24, 0.46, 0.66),
)
"""Colors of clothes, and of bins and skips."""


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """A flat figure that faces the camera: metres right of and above its foot become canvas positions."""

    canvas: Canvas
    x: float
    y: float
    scale: float
    depth: float
    label: int
    bright: float

    def points(self, metres: Sequence[tuple[float, float]] | Doubles) -> Doubles:
        """Canvas positions (n, 2) of points in metres (n, 2)."""
        return np.asarray(metres, np.float64) * (self.scale, -self.scale) + (self.x, self.y)

    def fill(self, metres: Sequence[tuple[float, float]] | Doubles, color: Color | None) -> None:
        """Draw a polygon given in metres; without a color only its label."""
        tint = None if color is None else scaled(color, self.bright)
        self.canvas.fill(self.points(metres), tint, self.label, self.depth)

    def disc(self, x: float, y: float, radius_x: float, radius_y: float, color: Color | None) -> None:
        """Draw an ellipse given in metres."""
        self.fill(ellipse(x, y, radius_x, radius_y), color)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        """Draw an upright rectangle given by two corners in metres."""
        self.fill([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color)

    def bar(self, start: tuple[float, float], end: tuple[float, float], width: float, color: Color) -> None:
        """Draw a stroke given in metres."""
        self.fill(limb(*start, *end, width, width), color)


def sprite(stage: Stage, side: float, ahead: float, label: int, bright: float, lift_m: float = 0.0) -> Sprite:
    """A sprite that stands on the ground at this place."""
    camera: Camera = stage.camera
    x, y = camera.project(side, lift_m, ahead)[0]
    return Sprite(
        canvas=stage.canvas,
        x=float(x),
        y=float(y),
        scale=camera.pixels_per_metre(ahead),
        depth=ahead - 0.4,
        label=label,
        bright=bright,
    )


def ground_shadow(stage: Stage, side: float, ahead: float, radius_m: float) -> None:
    """Darken the ground around the foot of something."""
    ring = CIRCLE * (radius_m, radius_m * 0.7) + (side, ahead)
    points = stage.camera.project(ring[:, 0], 0.0, np.maximum(ring[:, 1], 0.8))
    stage.canvas.darken(points, 0.62, ahead - radius_m)


def paint_tree(stage: Stage, side: float, ahead: float, height: float, leaf: Color) -> None:
    """Draw a tree: a trunk with limbs and an irregular crown, more or less dense."""
    bark = mix((0.20, 0.16, 0.12), (0.36, 0.32, 0.28), stage.between(0.0, 1.0))
    bright = stage.light.wall(-1 if side < 0 else 1)
    figure = sprite(stage, side, ahead, TREE, bright)
    thick = height * stage.between(0.035, 0.06)
    clear = height * stage.between(0.22, 0.38)
    figure.fill(limb(0.0, 0.0, 0.0, clear * 1.5, thick * 1.2, thick * 0.7), bark)
    for lean in (-0.22, 0.18):
        figure.fill(limb(0.0, clear * 0.95, height * lean, height * 0.7, thick * 0.6, thick * 0.2), bark)
    _paint_crown(stage, figure, height, clear, leaf, bright)


def _paint_crown(stage: Stage, figure: Sprite, height: float, clear: float, leaf: Color, bright: float) -> None:
    """Draw a crown as a sum of round clumps whose outline and gaps follow the noise."""
    half = height * stage.between(0.28, 0.42)
    middle = (clear + height) / 2.0
    reach = half * 1.6
    scale, x, y = figure.scale, figure.x, figure.y
    area = box(x - reach * scale, y - height * 1.25 * scale, x + reach * scale, y - clear * 0.7 * scale)
    clumps = stage.rng.random((9, 3))
    if area is None:
        return
    rows, columns = area
    across = ((np.arange(columns.start, columns.stop) + 0.5 - x) / scale)[None, :]
    up = ((y - np.arange(rows.start, rows.stop) - 0.5) / scale)[:, None]
    tall = (height - clear) / 2.0
    field = np.full((up.shape[0], across.shape[1]), -1.0)
    for a, b, c in clumps:
        radius = half * (0.38 + 0.3 * c)
        dx = (across - (a - 0.5) * 1.3 * half) / radius
        dy = (up - middle - (b - 0.5) * 1.25 * tall) / (radius * min(1.3, tall / half))
        np.maximum(field, 1.0 - dx * dx - dy * dy, out=field)
    shape = field.shape
    leaves = stage.patch(stage.fine, *shape)
    mask = field + 0.42 * leaves + 0.25 * stage.patch(stage.coarse, *shape) > 0.12
    seen = mask & (field + 0.9 * leaves > stage.between(-0.2, 0.35))
    light = 0.5 + 0.3 * np.clip((up - clear) / (height - clear), 0.0, 1.0) + 0.28 * np.clip(field, 0.0, 1.0)
    side_light = 0.16 * stage.light.sun_side * np.clip(across / half, -1.0, 1.0)
    shade = (light + side_light) * bright * (1.0 + 1.1 * stage.patch(stage.fine, *shape))
    color = tinted(scaled(leaf, 1.25), shade.astype(np.float32))
    stage.canvas.put(Region(rows, columns, mask), color, TREE, figure.depth, seen)


def paint_lamp_post(stage: Stage, side: float, ahead: float, height: float) -> None:
    """Draw a lamp post with an arm over the road."""
    gray = mix((0.15, 0.17, 0.17), (0.55, 0.57, 0.58), stage.between(0.0, 1.0))
    figure = sprite(stage, side, ahead, POLE, stage.light.front)
    figure.fill(limb(0.0, 0.0, 0.0, height, 0.19, 0.12), gray)
    figure.fill(limb(0.0, 0.0, 0.0, 1.1, 0.27, 0.25), gray)
    arm = -1.4 if side > 0 else 1.4
    figure.bar((0.0, height - 0.08), (arm, height + 0.15), 0.13, gray)
    head = (1.6, 1.5, 1.2) if stage.light.lamps else scaled(gray, 1.2)
    figure.bar((arm * 0.75, height + 0.1), (arm * 1.25, height + 0.18), 0.2, head)


def paint_bollards(stage: Stage, side: float, near: float, count: int) -> None:
    """Draw a row of short posts on the pavement."""
    gray = mix((0.08, 0.08, 0.09), (0.6, 0.58, 0.55), stage.between(0.0, 1.0))
    for k in range(count):
        figure = sprite(stage, side, near + 1.8 * k, POLE, stage.light.front)
        figure.fill(limb(0.0, 0.0, 0.0, 1.0, 0.2, 0.18), gray)
        figure.bar((-0.08, 0.85), (0.08, 0.85), 0.1, (0.85, 0.85, 0.82))


def paint_sign(stage: Stage, side: float, ahead: float, kind: str) -> None:
    """Draw a sign on its post: "round", "triangle", "board", "lights" (traffic lights count as sign)."""
    post = sprite(stage, side, ahead, POLE, stage.light.front)
    gray = mix((0.2, 0.2, 0.21), (0.6, 0.6, 0.6), stage.between(0.0, 1.0))
    top = stage.between(2.4, 3.2)
    post.fill(limb(0.0, 0.0, 0.0, top, 0.13, 0.12), gray)
    plate = sprite(stage, side, ahead, SIGN, stage.light.front)
    if kind == "round":
        face = ((0.9, 0.9, 0.88), (0.12, 0.3, 0.66))[int(stage.chance(0.35))]
        plate.disc(0.0, top, 0.46, 0.46, (0.75, 0.1, 0.12) if face[0] > 0.5 else face)
        plate.disc(0.0, top, 0.33, 0.33, face)
        plate.bar((-0.16, top), (0.16, top), 0.12, (0.12, 0.12, 0.13) if face[0] > 0.5 else (0.92, 0.92, 0.9))
    elif kind == "triangle":
        plate.fill([(-0.58, top - 0.4), (0.58, top - 0.4), (0.0, top + 0.6)], (0.75, 0.1, 0.12))
        plate.fill([(-0.36, top - 0.28), (0.36, top - 0.28), (0.0, top + 0.34)], (0.92, 0.92, 0.9))
        plate.bar((0.0, top - 0.22), (0.0, top + 0.12), 0.1, (0.1, 0.1, 0.1))
    elif kind == "board":
        half, tall = stage.between(0.5, 1.1), stage.between(0.35, 0.7)
        colors: tuple[Color, ...] = (
            (0.1, 0.34, 0.22),
            (0.14, 0.28, 0.6),
            (0.9, 0.9, 0.87),
            (0.85, 0.7, 0.1),
        )
        face = stage.pick(colors)
        ink = (0.95, 0.95, 0.93) if face[0] < 0.5 else (0.1, 0.1, 0.12)
        plate.rectangle(-half, top - tall, half, top + tall, face)
        for line in (0.35, -0.1, -0.55):
            end = half * stage.between(0.2, 0.8)
            plate.bar((-half * 0.8, top + tall * line), (end, top + tall * line), tall * 0.22, ink)
    else:
        plate.rectangle(-0.22, top - 0.35, 0.22, top + 0.75, (0.07, 0.07, 0.08))
        lit = int(stage.rng.integers(3))
        lamps: tuple[Color, ...] = ((0.15, 1.1, 0.6), (1.3, 0.75, 0.1), (1.3, 0.15, 0.1))
        for k, lamp in enumerate(lamps):
            plate.disc(0.0, top - 0.12 + 0.32 * k, 0.12, 0.12, lamp if k == lit else scaled(lamp, 0.15))


def paint_clutter(stage: Stage, side: float, ahead: float) -> None:
    """Draw something that belongs to no class (a bin, a skip, a kiosk): its pixels are void."""
    wide, tall = stage.between(0.5, 1.5), stage.between(0.8, 1.9)
    color = stage.pick(CLOTHES)
    figure = sprite(stage, side, ahead, VOID, stage.light.front)
    ground_shadow(stage, side, ahead, wide * 0.6)
    lean = wide * stage.between(0.34, 0.5)
    figure.fill([(-lean, 0.0), (lean, 0.0), (wide / 2, tall), (-wide / 2, tall)], color)
    figure.bar((-wide / 2, tall), (wide / 2, tall), 0.16, scaled(color, 0.6))
    figure.bar((-wide / 3, tall * 0.55), (wide / 3, tall * 0.55), 0.18, mix(color, (0.9, 0.9, 0.9), 0.6))


def paint_bonnet(stage: Stage) -> None:
    """Draw the bonnet of the car that carries the camera along the lower edge; it is void."""
    height = stage.between(0.03, 0.09) * ROWS
    middle = COLUMNS * stage.between(0.45, 0.6)
    body = scaled((0.5, 0.52, 0.56), stage.between(0.15, 1.0))
    points = ellipse(middle, ROWS + height * 0.6, COLUMNS * 0.62, height * 1.6)
    stage.canvas.fill(points, body, VOID, 0.1)
    gleam = ellipse(middle, ROWS + height * 0.9, COLUMNS * 0.5, height * 1.5)
    stage.canvas.fill(gleam, mix(body, stage.light.sky_low, 0.25), VOID, 0.1)

"""Cars, vans and buses of the drawn road scenes."""

from dataclasses import dataclass

import numpy as np

from datasets.roads.canvas import CAR, CIRCLE, Color, Doubles
from datasets.roads.light import Stage, mix, scaled
from datasets.roads.objects import sprite

PAINTS: tuple[Color, ...] = (
    (0.10, 0.10, 0.12),
    (0.30, 0.31, 0.33),
    (0.58, 0.59, 0.61),
    (0.80, 0.80, 0.80),
    (0.55, 0.10, 0.11),
    (0.12, 0.20, 0.42),
    (0.14, 0.28, 0.20),
    (0.42, 0.50, 0.60),
    (0.72, 0.66, 0.52),
    (0.80, 0.62, 0.12),
)
TYRE: Color = (0.05, 0.05, 0.055)

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A vehicle's shape in metres: outlines of its side as (along, up), from the rear at 0 to the front."""

    half_m: float
    side: Outline
    glass: tuple[Outline, ...]
    wheels: tuple[float, float]
    wheel_m: float
    rear: Outline
    rear_glass: Outline

    @property
    def length_m(self) -> float:
        """Length over all."""
        return max(along for along, _ in self.side)


def _mirrored(*left: tuple[float, float]) -> Outline:
    """An outline that is the same on both sides, by its left half from below."""
    return (*left, *((-across, up) for across, up in reversed(left)))


HATCH = Model(
    half_m=0.87,
    side=(
        (0.0, 0.3),
        (0.0, 0.92),
        (0.3, 1.4),
        (0.7, 1.48),
        (2.1, 1.46),
        (2.95, 0.98),
        (3.85, 0.86),
        (4.0, 0.6),
        (4.0, 0.3),
    ),
    glass=(
        ((0.45, 0.98), (0.68, 1.36), (1.3, 1.37), (1.3, 0.98)),
        ((1.4, 0.98), (1.4, 1.37), (2.02, 1.35), (2.65, 0.98)),
    ),
    wheels=(0.75, 3.25),
    wheel_m=0.31,
    rear=_mirrored((-0.85, 0.3), (-0.87, 0.62), (-0.84, 0.94), (-0.64, 1.45)),
    rear_glass=_mirrored((-0.7, 0.97), (-0.58, 1.36)),
)
SALOON = Model(
    half_m=0.88,
    side=(
        (0.0, 0.3),
        (0.0, 0.86),
        (0.25, 0.98),
        (0.85, 1.0),
        (1.5, 1.42),
        (2.6, 1.44),
        (3.4, 0.96),
        (4.45, 0.84),
        (4.6, 0.6),
        (4.6, 0.3),
    ),
    glass=(
        ((1.1, 1.0), (1.56, 1.33), (2.0, 1.35), (2.0, 1.0)),
        ((2.1, 1.0), (2.1, 1.35), (2.55, 1.34), (3.1, 0.98)),
    ),
    wheels=(0.9, 3.7),
    wheel_m=0.32,
    rear=_mirrored((-0.86, 0.3), (-0.88, 0.62), (-0.84, 0.96), (-0.62, 1.42)),
    rear_glass=_mirrored((-0.66, 1.02), (-0.56, 1.34)),
)
VAN = Model(
    half_m=0.98,
    side=(
        (0.0, 0.35),
        (0.0, 2.05),
        (0.1, 2.2),
        (3.5, 2.2),
        (4.3, 1.35),
        (5.0, 1.15),
        (5.1, 0.7),
        (5.1, 0.35),
    ),
    glass=(((3.0, 1.35), (3.0, 1.95), (3.5, 1.95), (4.1, 1.35)),),
    wheels=(0.95, 4.15),
    wheel_m=0.36,
    rear=_mirrored((-0.97, 0.35), (-0.98, 0.8), (-0.94, 2.2)),
    rear_glass=_mirrored((-0.78, 1.4), (-0.76, 2.0)),
)
BUS = Model(
    half_m=1.24,
    side=((0.0, 0.4), (0.0, 3.0), (0.15, 3.1), (9.6, 3.1), (9.8, 2.9), (9.9, 0.4)),
    glass=(
        ((0.5, 1.4), (0.5, 2.5), (5.0, 2.5), (5.0, 1.4)),
        ((5.2, 1.4), (5.2, 2.5), (9.4, 2.5), (9.4, 1.4)),
    ),
    wheels=(2.2, 7.6),
    wheel_m=0.48,
    rear=_mirrored((-1.22, 0.4), (-1.24, 3.0), (-1.1, 3.1)),
    rear_glass=_mirrored((-1.05, 1.7), (-1.05, 2.7)),
)


def sample_model(stage: Stage) -> Model:
    """Draw a vehicle's shape: mostly cars."""
    return (HATCH, SALOON, VAN, BUS)[int(stage.rng.choice(4, p=(0.5, 0.34, 0.13, 0.03)))]


def sample_paint(stage: Stage) -> Color:
    """Draw a vehicle's color."""
    first, second = (PAINTS[int(k)] for k in stage.rng.integers(0, len(PAINTS), 2))
    return mix(first, second, stage.between(0.0, 0.3))


def _glass(stage: Stage) -> Color:
    """Color of the windows, which mirror some of the sky."""
    return mix((0.07, 0.08, 0.1), stage.light.sky_low, stage.between(0.05, 0.4))


def paint_vehicle(stage: Stage, side: float, ahead: float, model: Model, oncoming: bool) -> None:
    """Draw a vehicle on or beside the road whose nearer end is `ahead` metres away, in perspective."""
    paint, glass = sample_paint(stage), _glass(stage)
    length = model.length_m
    wide = model.half_m
    shadow = stage.camera.project(
        np.array([side - wide - 0.15, side - wide, side + wide, side + wide + 0.15]),
        0.0,
        np.array([ahead - 0.25, ahead + length, ahead + length, ahead - 0.25]),
    )
    stage.canvas.darken(shadow, 0.35, ahead - 0.9)
    turned = 1 if side < stage.camera.offset_m else -1  # the flank that the camera sees
    bright = stage.light.wall(-turned) * 0.95

    def fill(outline: Outline | Doubles, color: Color) -> None:
        points = np.asarray(outline, np.float64)
        along = length - points[:, 0] if oncoming else points[:, 0]
        place = stage.camera.project(side + turned * wide, points[:, 1], ahead + along)
        stage.canvas.fill(place, color, CAR, ahead - 0.4)

    fill(model.side, scaled(paint, bright))
    fill(((0.0, 0.3), (0.0, 0.55), (length, 0.55), (length, 0.3)), scaled(paint, bright * 0.72))
    for pane in model.glass:
        fill(pane, scaled(glass, bright))
    for wheel in model.wheels:
        fill(_disc(model, wheel, 1.0), TYRE)
        fill(_disc(model, wheel, 0.55), scaled((0.5, 0.5, 0.52), bright))
    _paint_end(stage, side, ahead, model, paint, glass, oncoming)


def _disc(model: Model, wheel: float, share: float) -> Doubles:
    """A part of a wheel around its hub, in metres."""
    radius = model.wheel_m * share
    return CIRCLE * (radius, radius) + (wheel, model.wheel_m)


def _paint_end(
    stage: Stage, side: float, ahead: float, model: Model, paint: Color, glass: Color, oncoming: bool
) -> None:
    """Draw the rear or, of an oncoming vehicle, the front."""
    bright = stage.light.front
    end = sprite(stage, side, ahead, CAR, bright)
    wide = model.half_m
    for tyre in (-1.0, 1.0):
        x = tyre * (wide - 0.14)
        end.rectangle(x - 0.11, 0.0, x + 0.11, 0.4, TYRE)
    end.fill(model.rear, paint)
    end.fill(model.rear_glass, glass)
    high = model.rear_glass[0][1]
    end.rectangle(-wide, 0.3, wide, 0.52, mix(paint, (0.12, 0.12, 0.13), 0.6))
    lamp: Color = (0.62, 0.07, 0.07)
    if oncoming:
        lamp = (1.5, 1.45, 1.25) if stage.light.lamps else (0.86, 0.87, 0.88)
        end.rectangle(-0.45, 0.55, 0.45, 0.7, (0.12, 0.12, 0.13))
    elif stage.light.lamps or stage.chance(0.25):
        lamp = (1.5, 0.15, 0.1)
    level = min(high - 0.12, 0.98)
    for x in (-wide + 0.16, wide - 0.16):
        end.rectangle(x - 0.13, level - 0.2, x + 0.13, level, lamp)
    plate: Color = (0.85, 0.84, 0.8) if oncoming else (0.82, 0.72, 0.2)
    end.rectangle(-0.26, 0.4, 0.26, 0.5, plate)


def paint_crossing_vehicle(stage: Stage, side: float, ahead: float, model: Model) -> None:
    """Draw a vehicle seen from its side, crossing in front of the camera."""
    paint, glass = sample_paint(stage), _glass(stage)
    figure = sprite(stage, side, ahead, CAR, stage.light.front)
    turn = -1.0 if stage.chance(0.5) else 1.0
    middle = model.length_m / 2.0

    def flat(outline: Outline | Doubles) -> Doubles:
        return (np.asarray(outline, np.float64) - (middle, 0.0)) * (turn, 1.0)

    figure.canvas.darken(
        figure.points([(-middle, 0.12), (middle, 0.12), (middle, -0.12), (-middle, -0.12)]), 0.4, ahead - 1.0
    )
    figure.fill(flat(model.side), paint)
    figure.rectangle(-middle, 0.3, middle, 0.52, scaled(paint, 0.7))
    for pane in model.glass:
        figure.fill(flat(pane), glass)
    for wheel in model.wheels:
        figure.fill(flat(_disc(model, wheel, 1.0)), TYRE)
        figure.fill(flat(_disc(model, wheel, 0.5)), (0.5, 0.5, 0.52))

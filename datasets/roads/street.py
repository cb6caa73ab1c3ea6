"""Ground plan of the drawn road scenes, and the ground itself."""

from dataclasses import dataclass

import numpy as np

from datasets.roads.canvas import (
    PAVEMENT,
    ROAD,
    ROWS,
    TREE,
    Color,
    Floats,
    Mask,
    fraction,
    plane,
    tinted,
)
from datasets.roads.light import LEAVES, Stage, mix, scaled


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the street: `kind` is "terrace", "houses" or "green"."""

    kind: str
    pavement_m: float
    setback_m: float
    paved: bool
    height_m: float


@dataclass(frozen=True, kw_only=True)
class Street:
    """Ground plan. `sides` are left and right; `crossing` is (side, start, end) of a side road, or None.

    Distances from the road's middle line and ahead of the camera, in metres.
    """

    half_m: float
    sides: tuple[Side, Side]
    crossing: tuple[int, float, float] | None
    end_m: float
    tarmac: Color
    paving: Color
    grass: Color
    markings: str
    zebra_m: float | None

    def side(self, which: int) -> Side:
        """The side -1 (left) or 1 (right)."""
        return self.sides[0] if which < 0 else self.sides[1]

    def front_m(self, which: int) -> float:
        """Distance of the building line from the road's middle line."""
        side = self.side(which)
        return self.half_m + side.pavement_m + side.setback_m

    def open_at(self, which: int, near: float, far: float) -> bool:
        """Whether the side road takes up a part of this stretch."""
        if self.crossing is None or self.crossing[0] != which:
            return False
        return self.crossing[1] < far and near < self.crossing[2]


def sample_street(stage: Stage) -> Street:
    """Draw the ground plan."""
    kinds = ("terrace", "houses", "green")
    first = int(stage.rng.choice(3, p=(0.5, 0.32, 0.18)))
    second = first if stage.chance(0.55) else int(stage.rng.integers(3))
    if stage.chance(0.5):
        first, second = second, first
    sides = (_sample_side(stage, kinds[first]), _sample_side(stage, kinds[second]))
    crossing = None
    if stage.chance(0.4):
        start = stage.between(9.0, 26.0)
        crossing = (stage.side(), start, start + stage.between(6.0, 9.0))
    base = stage.between(0.26, 0.56)
    tint = mix((1.04, 1.0, 0.95), (0.95, 1.0, 1.07), stage.between(0.0, 1.0))
    slab = base * stage.between(1.15, 1.6)
    warm = mix((1.08, 1.0, 0.92), (0.98, 1.0, 1.03), stage.between(0.0, 1.0))
    return Street(
        half_m=stage.between(3.0, 4.4),
        sides=sides,
        crossing=crossing,
        end_m=stage.between(55.0, 120.0),
        tarmac=scaled(tint, base),
        paving=scaled(warm, min(slab, 0.85)),
        grass=stage.pick(LEAVES),
        markings=stage.pick(("dashes", "edges", "both", "none")),
        zebra_m=stage.between(7.0, 22.0) if stage.chance(0.15) else None,
    )


def _sample_side(stage: Stage, kind: str) -> Side:
    """Draw one side of the street."""
    setback = {"terrace": (0.0, 0.6), "houses": (2.0, 6.0), "green": (4.0, 12.0)}[kind]
    height = {"terrace": (7.0, 15.0), "houses": (5.0, 8.0), "green": (6.0, 12.0)}[kind]
    return Side(
        kind=kind,
        pavement_m=stage.between(1.7, 3.8),
        setback_m=stage.between(*setback),
        paved=kind == "terrace" or stage.chance(0.3),
        height_m=stage.between(*height),
    )


def paint_ground(stage: Stage, street: Street) -> None:
    """Draw road, markings, kerbs, pavements and verges below the horizon."""
    first = stage.camera.first_ground_row
    if first >= ROWS:
        return
    ahead, side = stage.camera.ground(first)
    distance = np.abs(side)
    left = side < 0.0
    walk = street.half_m + np.where(left, street.sides[0].pavement_m, street.sides[1].pavement_m)
    road = distance < street.half_m
    if street.crossing is not None:
        which, start, end = street.crossing
        road |= (side * which > 0.0) & (ahead > start) & (ahead < end)
    paved = distance < walk
    paved |= np.where(left, street.sides[0].paved, street.sides[1].paved)
    label = np.where(road, np.uint8(ROAD), np.where(paved, np.uint8(PAVEMENT), np.uint8(TREE)))
    stage.canvas.label[first:] = label
    stage.canvas.depth[first:] = ahead
    _color_ground(stage, street, road, paved, (side.astype(np.float32), ahead.astype(np.float32)))


def _color_ground(stage: Stage, street: Street, road: Mask, paved: Mask, place: tuple[Floats, Floats]) -> None:
    """Give the ground its colors; `place` is (side (rows, COLUMNS), ahead (rows, 1)) in metres."""
    side, ahead = place
    first = stage.camera.first_ground_row
    fine, coarse = stage.fine[first:], stage.coarse[first:]
    shade = 1.0 + fine * np.float32(0.04) + coarse * np.float32(0.08)
    kerb = ~road & (np.abs(side) < street.half_m + 0.2)
    joints = (fraction(side * np.float32(1.33)) < 0.07) | (fraction(ahead * np.float32(1.33)) < 0.06)
    shade *= np.where(~road & paved & ~kerb & (ahead < 20.0) & joints, np.float32(0.86), np.float32(1.0))
    shade *= np.where(road | paved, np.float32(1.0), 1.0 + np.float32(0.35) * stage.fine[::-1][first:])
    shade *= _wear(stage, street, road, side, ahead)
    picture = tinted(street.grass, np.ones_like(side))
    for where, color in (
        (paved, street.paving),
        (kerb, mix(street.paving, (0.8, 0.8, 0.78), 0.5)),
        (road, street.tarmac),
    ):
        np.copyto(picture, plane(color), where=where)
    lines, strength = _markings(stage, street, side, ahead)
    paint = tinted((0.86, 0.86, 0.83), np.ones_like(side)) * np.float32(stage.between(0.75, 1.05))
    picture += (paint - picture) * np.where(lines & road, strength, np.float32(0.0))
    stage.canvas.picture[:, first:] = picture * (shade * _shadows(stage, street, side, ahead))


def _wear(stage: Stage, street: Street, road: Mask, side: Floats, ahead: Floats) -> Floats:
    """Brightness of the road's wheel tracks and repairs; 1 elsewhere."""
    tracks = np.abs(np.abs(np.abs(side) - np.float32(street.half_m * 0.5)) - np.float32(0.75)) < 0.3
    wear = np.where(tracks & road, np.float32(stage.between(0.9, 1.06)), np.float32(1.0))
    for _ in range(int(stage.rng.integers(0, 4))):
        s0, z0 = stage.between(-street.half_m, street.half_m), stage.between(4.0, 18.0)
        s1, z1 = s0 + stage.between(0.6, 2.6), z0 + stage.between(1.0, 8.0)
        rows = np.flatnonzero((ahead[:, 0] > z0) & (ahead[:, 0] < z1))
        factor = np.float32(stage.between(0.72, 1.18))
        if rows.size:
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            patch = road[part] & (side[part] > s0) & (side[part] < s1)
            wear[part] *= np.where(patch, factor, np.float32(1.0))
    return wear


def _markings(stage: Stage, street: Street, side: Floats, ahead: Floats) -> tuple[Mask, Floats]:
    """Where the paint on the road is (rows, COLUMNS), and how strong it shows (rows, 1)."""
    # A line far away is narrower than a pixel: its paint fades rather than breaking up into dots.
    half = np.maximum(np.float32(0.065), ahead * np.float32(0.35 / stage.camera.focal_px))
    lines = np.zeros(side.shape, np.bool_)
    across = np.abs(side)
    if street.markings in ("dashes", "both"):
        dash = fraction((ahead + np.float32(stage.between(0.0, 6.0))) / np.float32(6.0)) < 0.47
        lines |= (across < half) & dash
    if street.markings in ("edges", "both"):
        edge = np.float32(street.half_m) - across
        lines |= (np.abs(edge - np.float32(0.3)) < half * 0.7) | (np.abs(edge - np.float32(0.52)) < half * 0.7)
    if street.zebra_m is not None:
        stripe = fraction(side / np.float32(1.2)) < 0.5
        lines |= (ahead > street.zebra_m) & (ahead < street.zebra_m + 2.8) & stripe
    if street.crossing is not None:
        lines &= (across < street.half_m) & ~((ahead > street.crossing[1]) & (ahead < street.crossing[2]))
    return lines, np.clip(np.float32(0.06) / half, 0.25, 0.85)


def _shadows(stage: Stage, street: Street, side: Floats, ahead: Floats) -> Floats:
    """Brightness of the ground: shadows that the buildings and trees on the sun's side throw."""
    light = stage.light
    if light.sun_side == 0:
        return np.ones(side.shape, np.float32)
    sun = light.sun_side
    reach = stage.between(2.0, street.half_m * 2.0 + street.side(-sun).pavement_m)
    step = stage.between(7.0, 16.0)
    # The edge of the shadow jumps from building to building.
    jumps = stage.rng.random(64, dtype=np.float32)[np.minimum((ahead / step).astype(np.intp), 63)] * 3.5
    edge = np.float32(street.half_m + street.side(sun).pavement_m - reach)
    dark = side * np.float32(sun) + jumps > edge
    depth = light.shadow
    if street.side(sun).kind == "green":
        # Leaves let some light through, and the edge of their shadow follows the crowns.
        depth = (1.0 + light.shadow) / 2.0
        first = ROWS - side.shape[0]
        dark &= stage.coarse[first:] + stage.fine[first:] * np.float32(0.3) > -0.1
    return np.where(dark, np.float32(depth), np.float32(1.0))

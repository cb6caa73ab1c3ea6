"""Materials of the drawn rooms: colors shared between the classes, and patterns of surfaces."""

import numpy as np

from datasets.roads_canvas import Color, Floats, fraction, plane
from datasets.rooms_canvas import Paint, Room

WOODS: tuple[Color, ...] = (
    (0.45, 0.30, 0.18), (0.62, 0.45, 0.28), (0.30, 0.19, 0.12), (0.72, 0.58, 0.42), (0.52, 0.26, 0.15),
)  # fmt: skip
PAINTS: tuple[Color, ...] = (
    (0.85, 0.83, 0.78), (0.74, 0.76, 0.72), (0.78, 0.70, 0.58), (0.62, 0.68, 0.72), (0.70, 0.74, 0.62),
    (0.80, 0.66, 0.62), (0.56, 0.55, 0.52),
)  # fmt: skip
CLOTHS: tuple[Color, ...] = (
    (0.16, 0.20, 0.36), (0.55, 0.14, 0.16), (0.80, 0.78, 0.72), (0.36, 0.40, 0.30), (0.62, 0.52, 0.40),
    (0.14, 0.14, 0.15), (0.50, 0.52, 0.56), (0.70, 0.46, 0.22), (0.34, 0.46, 0.54),
)  # fmt: skip
METALS: tuple[Color, ...] = ((0.62, 0.63, 0.65), (0.20, 0.20, 0.22), (0.86, 0.87, 0.88), (0.42, 0.43, 0.46))
WHITES: tuple[Color, ...] = ((0.92, 0.92, 0.90), (0.86, 0.85, 0.80), (0.80, 0.83, 0.86))
FURNITURE = WOODS + PAINTS[:3] + METALS[:1]
"""What cabinets, tables, desks, dressers, shelves and doors are all made of."""


def boards(color: Color, width: float, across: bool = False) -> Paint:
    """Planks of this width in metres, each of its own tone, with dark gaps."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        place = (t if across else s) / np.float32(width)
        shade = 0.84 + 0.3 * _tone(room, np.floor(place)) - 0.35 * (fraction(place) < 0.06)
        return room.plain(color, s.shape, 0.1) * shade.astype(np.float32)

    return paint


def tiles(color: Color, other: Color, size: float) -> Paint:
    """Square tiles of two colors with joints."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        x, y = s / np.float32(size), t / np.float32(size)
        odd = ((np.floor(x) + np.floor(y)) % 2.0) > 0.5
        joint = (fraction(x) < 0.05) | (fraction(y) < 0.05)
        surface = np.where(odd, room.plain(color, s.shape), plane(other))
        return np.where(joint, surface * np.float32(0.7), surface).astype(np.float32)

    return paint


def stripes(color: Color, other: Color, width: float, across: bool = False) -> Paint:
    """Stripes of two colors."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        odd = fraction((t if across else s) / np.float32(2.0 * width)) < 0.5
        return np.where(odd, room.plain(color, s.shape), plane(other)).astype(np.float32)

    return paint


def folds(color: Color, width: float) -> Paint:
    """Cloth that hangs in folds of this width."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        wave = np.abs(fraction(s / np.float32(width) + room.patch(room.coarse, *s.shape) * 0.3) - 0.5)
        surface: Floats = room.plain(color, s.shape) * (0.7 + 0.9 * wave)
        return surface

    return paint


def slats(color: Color, height: float) -> Paint:
    """Level slats, each lighter at its upper edge."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        return room.plain(color, s.shape, 0.03) * (0.62 + 0.55 * fraction(t / np.float32(height)))

    return paint


def spines(width: float) -> Paint:
    """Backs of books that stand beside each other."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        number = np.floor(s / np.float32(width)) + 17.0 * np.floor(t / np.float32(0.3))
        which = (_tone(room, number) * len(CLOTHS)).astype(np.intp) % len(CLOTHS)
        surface = np.array(CLOTHS, np.float32).T[:, which]
        top = 0.75 + 0.2 * _tone(room, number + 5.0)
        dark = (fraction(s / np.float32(width)) < 0.12) | (fraction(t / np.float32(0.3)) > top)
        return np.where(dark, surface * np.float32(0.4), surface * np.float32(1.1)).astype(np.float32)

    return paint


def blotches(color: Color, other: Color, size: float) -> Paint:
    """Irregular fields of two colors: a painting, a print, a pattern of cloth."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        wave = _tone(room, np.floor(s / np.float32(size))) + _tone(room, np.floor(t / np.float32(size)) + 9.0)
        share = np.clip((wave - 1.0 + room.patch(room.coarse, *s.shape) * 0.8) * 2.0 + 0.5, 0.0, 1.0)
        mixed: Floats = plane(color) + (plane(other) - plane(color)) * share.astype(np.float32)
        return mixed

    return paint


def lines(color: Color, ink: Color, gap: float) -> Paint:
    """Lines of writing."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        row = np.floor(t / np.float32(gap))
        written = (fraction(t / np.float32(gap)) < 0.35) & (fraction(s * 6.0 + _tone(room, row) * 3.0) < 0.6)
        return np.where(written, plane(ink), room.plain(color, s.shape, 0.02)).astype(np.float32)

    return paint


def outdoors(sky: Color, below: Color, pane: float, height: float) -> Paint:
    """What a window shows, very bright: sky over darker shapes, behind bars `pane` metres apart."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        ground = t < np.float32(height) + np.float32(0.3) * room.patch(room.coarse, *s.shape)
        view = np.where(ground, room.plain(below, s.shape, 0.2), plane(sky))
        bar = (fraction(s / np.float32(pane)) < 0.07) | (fraction(t / np.float32(pane * 1.2)) < 0.06)
        return np.where(bar, np.float32(0.75), view).astype(np.float32)

    return paint


def glass(color: Color, gleam: float) -> Paint:
    """A dark or a mirroring pane with a slanting gleam."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        band = np.clip(1.0 - np.abs(fraction((s + t) * np.float32(0.7)) - 0.5) * 5.0, 0.0, 1.0)
        surface: Floats = room.plain(color, s.shape, 0.05) + np.float32(gleam) * band
        return surface

    return paint


def doors(color: Color, width: float, height: float) -> Paint:
    """Fronts of a cabinet or of drawers: fields of this size with dark joints and a bright handle each."""

    def paint(room: Room, s: Floats, t: Floats) -> Floats:
        x, y = fraction(s / np.float32(width)), fraction(t / np.float32(height))
        joint = np.minimum(np.minimum(x, 1.0 - x) * width, np.minimum(y, 1.0 - y) * height) < 0.015
        handle = (np.abs(x - 0.5) * width < 0.07) & (np.abs(y - 0.72) * height < 0.012)
        surface = np.where(joint, np.float32(0.55), np.float32(1.0)) * room.plain(color, s.shape)
        return np.where(handle, np.float32(0.5 if sum(color) > 1.5 else 0.8), surface).astype(np.float32)

    return paint


def _tone(room: Room, number: Floats) -> Floats:
    """A random number in 0..1 for each whole number."""
    tone: Floats = room.tones[number.astype(np.intp) & 63]
    return tone

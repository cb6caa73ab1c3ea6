"""Camera and surfaces of the drawn rooms: flat faces in space, seen in perspective, with light and depth.

World coordinates in metres: the room lies in 0..width by 0..height (up) by 0..depth. What is drawn lands on
the canvas of the road scenes, whose depth map decides what hides what; here depth varies within a face.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from datasets.roads_canvas import (
    CIRCLE,
    COLUMNS,
    ROWS,
    Color,
    Doubles,
    Floats,
    Region,
    plane,
    polygon,
)
from datasets.roads_light import Studio

(
    WALL, FLOOR, CABINET, BED, CHAIR, SOFA, TABLE, DOOR, WINDOW, BOOKSHELF, PICTURE, COUNTER, BLINDS, DESK,
    SHELVES, CURTAIN, DRESSER, PILLOW, MIRROR, FLOOR_MAT, CLOTHES, CEILING, BOOKS, FRIDGE, TV, PAPER, TOWEL,
    SHOWER_CURTAIN, BOX, WHITEBOARD, PERSON, NIGHT_STAND, TOILET, SINK, LAMP, BATHTUB, BAG,
) = range(37)  # fmt: skip

NEAR_M = 0.12
"""What is nearer to the camera is cut off."""

Point = tuple[float, float, float]
Span = tuple[float, float]
Paint = Callable[["Room", Floats, Floats], Floats]
"""Colors (3, rows, columns) of a surface at places (rows, columns) on it, in metres from a corner."""


@dataclass(frozen=True, kw_only=True)
class RoomCamera:
    """A pinhole camera at `place`; the rows of `axes` (3, 3) point to its right, up and ahead."""

    focal_px: float
    center_px: tuple[float, float]
    place: Point
    axes: Doubles

    def view(self, points: Doubles) -> Doubles:
        """World points (n, 3) as the camera has them: right, up, ahead in metres (n, 3)."""
        x, y, z = (points[:, k] - self.place[k] for k in range(3))
        return np.stack([x * axis[0] + y * axis[1] + z * axis[2] for axis in self.axes], axis=1)

    def screen(self, seen: Doubles) -> Doubles:
        """Points ahead of the camera (n, 3), as from `view`, to canvas positions (n, 2), in 1/64 pixel."""
        x = self.center_px[0] + self.focal_px * seen[:, 0] / seen[:, 2]
        y = self.center_px[1] - self.focal_px * seen[:, 1] / seen[:, 2]
        return np.rint(np.stack([x, y], axis=1) * 64.0) / 64.0


def aim(yaw: float, pitch: float, roll: float) -> Doubles:
    """Axes (3, 3) of a camera turned by these angles in radians from looking along depth.

    Rounded, since the last digits of cos and sin vary between machines.
    """
    (c, s), (cp, sp), (cr, sr) = ((math.cos(angle), math.sin(angle)) for angle in (yaw, pitch, roll))
    right, level = np.array([c, 0.0, -s]), np.array([s, 0.0, c])
    up = np.array([0.0, cp, 0.0]) - sp * level
    ahead = cp * level + np.array([0.0, sp, 0.0])
    return np.stack([cr * right + sr * up, cr * up - sr * right, ahead]).round(6)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A place on the floor with two level directions: `along` something's width, and `out` of its front."""

    origin: tuple[float, float]
    along: tuple[float, float]
    out: tuple[float, float]

    def point(self, a: float, h: float, o: float) -> Point:
        """World point `a` along, `h` above the floor and `o` out."""
        x = self.origin[0] + a * self.along[0] + o * self.out[0]
        return x, h, self.origin[1] + a * self.along[1] + o * self.out[1]

    def local(self, place: Point) -> Point:
        """(a, h, o) of a world point."""
        x, z = place[0] - self.origin[0], place[2] - self.origin[1]
        return x * self.along[0] + z * self.along[1], place[1], x * self.out[0] + z * self.out[1]

    def moved(self, a: float, o: float) -> "Frame":
        """The same directions from another place."""
        x, _, z = self.point(a, 0.0, o)
        return Frame(origin=(x, z), along=self.along, out=self.out)

    def turned(self, angle: float) -> "Frame":
        """The same place, turned by an angle in radians."""
        c, s = round(math.cos(angle), 6), round(math.sin(angle), 6)

        def turn(way: tuple[float, float]) -> tuple[float, float]:
            return c * way[0] - s * way[1], s * way[0] + c * way[1]

        return Frame(origin=self.origin, along=turn(self.along), out=turn(self.out))


@dataclass(frozen=True, kw_only=True)
class Room(Studio):
    """What the drawing functions of a room share.

    `size` is width, height and depth in metres; `lamp` is where light comes from and `ambient` the share that
    comes from everywhere. `tones` are random numbers (64,) in 0..1 for the parts of a pattern.
    """

    camera: RoomCamera
    size: Point
    lamp: Point
    ambient: float
    tones: Floats

    def pick(self, choices: Sequence[Color]) -> Color:
        """One of some colors, a little brighter or darker."""
        color, factor = choices[int(self.rng.integers(len(choices)))], self.between(0.8, 1.2)
        return (color[0] * factor, color[1] * factor, color[2] * factor)

    def face(self, corners: Sequence[Point] | Doubles, paint: Paint | Color, label: int) -> None:
        """Draw a flat polygon of world points, lit and where nothing nearer stands."""
        seen = self.camera.view(np.asarray(corners, np.float64))
        cut = _cut(seen)
        region = None if cut is None else polygon(self.camera.screen(cut))
        if region is None:
            return
        first, along, across = seen[0], seen[1] - seen[0], seen[-1] - seen[0]
        normal = _cross(along, across)
        rows, columns = region.rows, region.columns
        x = (np.arange(columns.start, columns.stop) + 0.5 - self.camera.center_px[0]) / self.camera.focal_px
        y = (self.camera.center_px[1] - 0.5 - np.arange(rows.start, rows.stop)) / self.camera.focal_px
        x, y = x[None, :], y[:, None]
        distance = _dot(normal, first)
        slope = normal[0] * x + normal[1] * y + normal[2]
        ahead = slope * distance > 1e-9
        depth = np.where(ahead, distance / np.where(ahead, slope, 1.0), 0.0)
        mask = region.mask & ahead & (depth.astype(np.float32) <= self.canvas.depth[rows, columns])
        if not mask.any():
            return
        s, t = _places(first, along, across, x, y, depth)
        color = paint(self, s, t) if callable(paint) else self.plain(paint, s.shape)
        color = color * self._shade(first, along, across, s, t)
        self.canvas.put(Region(rows, columns, mask), color, label, depth.astype(np.float32))

    def plain(self, color: Color, shape: tuple[int, ...], grain: float = 0.07) -> Floats:
        """A color (3, rows, columns) with a little grain."""
        rows, columns = shape
        noise = self.patch(self.fine, rows, columns) + self.patch(self.coarse, rows, columns)
        surface: Floats = plane(color) * (1.0 + np.float32(grain) * noise)
        return surface

    def _shade(self, first: Doubles, along: Doubles, across: Doubles, s: Floats, t: Floats) -> Floats:
        """Brightness (rows, columns) of a face by the angle and the distance to the lamp."""
        normal = _unit(_cross(along, across))
        if _dot(normal, first) > 0.0:
            normal = -normal
        lamp = self.camera.view(np.array([self.lamp]))[0] - first
        high = _dot(normal, lamp)
        a, b = _basis(along, across)
        square = (s - np.float32(_dot(a, lamp))) ** 2 + (t - np.float32(_dot(b, lamp))) ** 2
        square += np.float32(high * high + 0.05)
        lit = np.float32(1.9 * (1.0 - self.ambient) * max(high, 0.0)) / np.sqrt(square)
        shade = np.float32(self.ambient) + lit / (1.0 + square / np.float32(9.0))
        return shade.astype(np.float32)

    def panel(self, frame: Frame, a: Span, h: Span, o: float, paint: Paint | Color, label: int) -> None:
        """Draw an upright rectangle that faces out of the frame."""
        self.face([frame.point(x, y, o) for x, y in _rectangle(a, h)], paint, label)

    def sheet(self, frame: Frame, a: Span, o: Span, h: float, paint: Paint | Color, label: int) -> None:
        """Draw a level rectangle."""
        self.face([frame.point(x, h, y) for x, y in _rectangle(a, o)], paint, label)

    def box(self, frame: Frame, a: Span, h: Span, o: Span, paint: Paint | Color, label: int) -> None:
        """Draw the sides of an upright box that the camera can see."""
        at, up, out = frame.local(self.camera.place)
        if out > o[1] or out < o[0]:
            self.panel(frame, a, h, o[1] if out > o[1] else o[0], paint, label)
        if at < a[0] or at > a[1]:
            x = a[0] if at < a[0] else a[1]
            self.face([frame.point(x, y, z) for z, y in _rectangle(o, h)], paint, label)
        if up > h[1] or up < h[0]:
            self.sheet(frame, a, o, h[1] if up > h[1] else h[0], paint, label)

    def disc(self, frame: Frame, h: float, radius: Span, paint: Paint | Color, label: int) -> None:
        """Draw a level ellipse around the frame's place, with radii along and out."""
        self.face([frame.point(x * radius[0], h, y * radius[1]) for x, y in CIRCLE.tolist()], paint, label)

    def card(
        self, frame: Frame, shape: Sequence[Span] | Doubles, paint: Paint | Color, label: int, o: float = 0.0
    ) -> None:
        """Draw a flat figure that stands at the frame's place and turns to the camera; `shape` in metres."""
        c, s = float(self.camera.axes[0, 0]), float(self.camera.axes[0, 2])
        length = math.sqrt(c * c + s * s) or 1.0
        x, _, z = frame.point(0.0, 0.0, o)
        points = [(x + a * c / length, h, z + a * s / length) for a, h in np.asarray(shape).tolist()]
        self.face(points, paint, label)

    def shadow(self, frame: Frame, a: Span, o: Span, factor: float = 0.6) -> None:
        """Darken the floor under something."""
        corners = [frame.point(x, 0.0, y) for x, y in _rectangle(a, o)]
        cut = _cut(self.camera.view(np.asarray(corners)))
        region = None if cut is None else polygon(self.camera.screen(cut))
        if region is not None:
            at = region.rows, region.columns
            below = region.mask & ((self.canvas.label[at] == FLOOR) | (self.canvas.label[at] == FLOOR_MAT))
            self.canvas.picture[:, *at] *= np.where(below, np.float32(factor), np.float32(1.0))


def _rectangle(one: Span, other: Span) -> tuple[Span, Span, Span, Span]:
    """The corners of a rectangle, around."""
    return (one[0], other[0]), (one[1], other[0]), (one[1], other[1]), (one[0], other[1])


def _cut(seen: Doubles) -> Doubles | None:
    """The part of a polygon (n, 3) in front of the camera's near plane; None if there is none."""
    if (seen[:, 2] >= NEAR_M).all():
        return seen
    kept = []
    for start, end in zip(seen, np.roll(seen, -1, axis=0), strict=True):
        if start[2] >= NEAR_M:
            kept.append(start)
        if (start[2] >= NEAR_M) != (end[2] >= NEAR_M):
            kept.append(start + (end - start) * ((NEAR_M - start[2]) / (end[2] - start[2])))
    if len(kept) < 3:
        return None
    return np.stack(kept)


def _places(
    first: Doubles, along: Doubles, across: Doubles, x: Doubles, y: Doubles, depth: Doubles
) -> tuple[Floats, Floats]:
    """Places (rows, columns) on a face in metres from its first corner, along its first side and across."""
    a, b = _basis(along, across)
    found = []
    for way in (a, b):
        place = (
            (x * depth - first[0]) * way[0] + (y * depth - first[1]) * way[1] + (depth - first[2]) * way[2]
        )
        found.append(place.astype(np.float32))
    return found[0], found[1]


def _basis(along: Doubles, across: Doubles) -> tuple[Doubles, Doubles]:
    """Two unit vectors in a face's plane: along its first side, and across that."""
    a = _unit(along)
    return a, _unit(across - a * _dot(across, a))


def _unit(vector: Doubles) -> Doubles:
    return vector / (math.sqrt(_dot(vector, vector)) or 1.0)


def _dot(one: Doubles, other: Doubles) -> float:
    return float(one[0] * other[0] + one[1] * other[1] + one[2] * other[2])


def _cross(one: Doubles, other: Doubles) -> Doubles:
    return np.array(
        [
            one[1] * other[2] - one[2] * other[1],
            one[2] * other[0] - one[0] * other[2],
            one[0] * other[1] - one[1] * other[0],
        ]
    )


def in_view(camera: RoomCamera, point: Point) -> bool:
    """Whether a world point lies on the canvas."""
    seen = camera.view(np.array([point]))
    if seen[0, 2] < NEAR_M:
        return False
    x, y = camera.screen(seen)[0]
    return bool(0.0 <= x < COLUMNS and 0.0 <= y < ROWS)

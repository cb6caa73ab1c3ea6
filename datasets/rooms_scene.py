"""Composition of a drawn room: which kind, what stands and hangs where, and the order of drawing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from datasets.base import VOID, Pixels
from datasets.roads_canvas import COLUMNS, HEIGHT, ROWS, SCALE, WIDTH, Canvas, value_noise
from datasets.roads_light import Light, develop, mix
from datasets.rooms_canvas import Frame, Room, RoomCamera, aim
from datasets.rooms_furniture import PIECES, chair, floor_mat, table
from datasets.rooms_shell import HANGINGS, paint_shell, walls
from datasets.rooms_things import bag, cardboard, floor_lamp, heap, person

REVISION = 1
"""Raised by one with every change that alters a picture or a label."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of room.

    `stand` along the walls, the first ones surely and the rest as there is room; `hang` on them, the first
    one most often; `loose` things lie or stand about, each with its probability. `seats`: probability that
    tables with chairs fill the middle.
    """

    share: float
    stand: tuple[str, ...]
    sure: int
    hang: tuple[str, ...]
    loose: Mapping[str, float]
    seats: float
    wet: bool = False


KINDS: tuple[Kind, ...] = (
    Kind(  # bedroom
        share=0.21,
        stand=("bed", "night_stand", "dresser", "cabinet", "night_stand", "bookshelf", "desk", "chair"),
        sure=3,
        hang=("window", "picture", "picture", "mirror", "door", "clothes"),
        loose={"mat": 0.5, "bag": 0.4, "heap": 0.3, "box": 0.2, "chair": 0.5, "person": 0.05},
        seats=0.0,
    ),
    Kind(  # living room
        share=0.17,
        stand=("sofa", "cabinet", "bookshelf", "sofa", "shelves", "table", "dresser"),
        sure=2,
        hang=("window", "picture", "picture", "window", "door", "mirror", "wall_shelves"),
        loose={"mat": 0.6, "bag": 0.4, "lamp": 0.5, "table": 0.75, "box": 0.2, "person": 0.2},
        seats=0.2,
    ),
    Kind(  # study
        share=0.18,
        stand=("desk", "bookshelf", "shelves", "desk", "cabinet", "bookshelf"),
        sure=2,
        hang=("whiteboard", "window", "papers", "wall_shelves", "door", "picture", "clothes"),
        loose={"bag": 0.45, "box": 0.5, "person": 0.22, "chair": 0.9, "lamp": 0.2},
        seats=0.1,
    ),
    Kind(  # class room, meeting room, dining room
        share=0.14,
        stand=("chair", "table", "cabinet", "chair", "shelves", "chair", "bookshelf"),
        sure=1,
        hang=("whiteboard", "window", "door", "papers", "window", "picture"),
        loose={"bag": 0.45, "person": 0.4, "box": 0.25, "chair": 0.6},
        seats=1.0,
    ),
    Kind(  # kitchen
        share=0.14,
        stand=("counter", "fridge", "cabinet", "table", "shelves", "chair"),
        sure=2,
        hang=("window", "door", "towel", "wall_shelves", "picture", "papers"),
        loose={"mat": 0.5, "box": 0.3, "bag": 0.25, "person": 0.1, "chair": 0.4},
        seats=0.5,
    ),
    Kind(  # bathroom
        share=0.16,
        stand=("bathtub", "toilet", "washstand", "cabinet", "shelves"),
        sure=3,
        hang=("mirror", "towel", "towel", "window", "door", "clothes"),
        loose={"mat": 0.75, "heap": 0.25, "box": 0.1},
        seats=0.0,
        wet=True,
    ),
)

_LOOSE: Mapping[str, Callable[[Room, Frame], None]] = MappingProxyType(
    {
        "bag": bag,
        "box": cardboard,
        "lamp": floor_lamp,
        "person": person,
        "table": table,
        "chair": chair,
        "heap": lambda room, at: heap(room, at, 0.0),
    }
)


def draw_room(seed: tuple[int, ...]) -> tuple[Pixels, Pixels]:
    """Picture (180, 240, 3) and label (180, 240) of the room that belongs to these numbers."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    kind = KINDS[int(rng.choice(len(KINDS), p=[one.share for one in KINDS]))]
    room = _set_room(rng, kind)
    paint_shell(room, wet=kind.wet)
    if room.chance(kind.loose.get("mat", 0.0)):
        floor_mat(room, _middle(room))
    _furnish(room, kind)
    if room.chance(kind.seats):
        _seats(room)
    for name, probability in kind.loose.items():
        if name != "mat" and room.chance(probability):
            away = 0.16 * room.size[2] if name == "person" else 0.0  # who stands near hides the room
            _LOOSE[name](room, _middle(room).moved(0.0, -away).turned(room.between(-0.7, 0.7)))
    label = room.canvas.label.reshape(HEIGHT, SCALE, WIDTH, SCALE)[:, 0, :, 0].copy()
    _forget_some(room, label)
    return develop(room), label


def _set_room(rng: np.random.Generator, kind: Kind) -> Room:
    """Draw the room's size, its light, and where the camera stands and looks."""
    u = [float(v) for v in rng.random(16)]
    small = 0.72 if kind.wet else 1.0
    width, height, depth = small * (2.9 + 2.0 * u[0]), 2.3 + 0.4 * u[1], small * (3.1 + 2.2 * u[2])
    camera = RoomCamera(
        focal_px=COLUMNS * (0.62 + 0.42 * u[3]),
        center_px=(COLUMNS * (0.44 + 0.12 * u[4]), ROWS * (0.42 + 0.16 * u[5])),
        place=(width * (0.2 + 0.6 * u[6]), 1.0 + 0.75 * u[7], depth * (0.06 + 0.2 * u[8])),
        axes=aim(1.9 * (u[9] - 0.5), -0.58 + 0.58 * u[10], 0.12 * (u[11] - 0.5)),
    )
    lamp = (width * (0.2 + 0.6 * u[12]), height * (0.6 + 0.35 * u[13]), depth * (0.2 + 0.6 * u[14]))
    coarse = _texture(rng, (24, 12, 6), (0.55, 0.3, 0.15))
    fine = _texture(rng, (4, 2, 1), (0.4, 0.35, 0.25))
    return Room(
        rng=rng,
        canvas=Canvas(),
        light=_sample_light(rng),
        coarse=coarse,
        fine=fine,
        camera=camera,
        size=(width, height, depth),
        lamp=lamp,
        ambient=0.5 + 0.25 * u[15],
        tones=rng.random(64, dtype=np.float32),
    )


def _sample_light(rng: np.random.Generator) -> Light:
    """The light of a room as the road scenes' camera takes it: no sky, no haze."""
    u = [float(v) for v in rng.random(4)]
    white = (1.0, 1.0, 1.0)
    return Light(
        kind="indoors",
        sun_side=0,
        sun_behind=False,
        ambient=0.8,
        sky_top=white,
        sky_low=white,
        clouds=0.0,
        haze=white,
        haze_m=1e9,
        exposure=0.55 + 0.4 * u[0],
        cast=mix((1.14, 1.0, 0.82), (0.92, 1.0, 1.1), u[1]),
        noise=0.012 + 0.028 * u[2],
        lamps=u[3] < 0.5,
    )


def _texture(
    rng: np.random.Generator, cells: tuple[int, ...], weights: tuple[float, ...]
) -> NDArray[np.float32]:
    """Sum of noises (ROWS, COLUMNS), stretched to about -1..1."""
    total = np.full((HEIGHT, WIDTH), -0.5, np.float32)
    for cell, weight in zip(cells, weights, strict=True):
        total += np.float32(weight) * value_noise(rng, HEIGHT, WIDTH, cell)
    return (total * np.float32(3.2)).repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def _furnish(room: Room, kind: Kind) -> None:
    """Put furniture along the three walls that the camera may see, and hang things on what is left."""
    width, _, depth = room.size
    left, back, right = walls(room)
    order = [(back, 0.1, width - 0.1), (left, depth * 0.3, depth - 0.95), (right, depth * 0.3, depth - 0.95)]
    if room.chance(0.5):
        order[1], order[2] = order[2], order[1]
    if room.chance(0.35):
        order = [order[1], order[0], order[2]]
    first, rest = list(kind.stand[: kind.sure]), list(kind.stand[kind.sure :])
    room.rng.shuffle(rest)
    if room.chance(0.5):
        room.rng.shuffle(first)
    # Twice, so that no wall stays bare for want of things.
    stand, hang = first + rest + rest, list(kind.hang)
    room.rng.shuffle(hang)
    hang += hang
    if room.chance(0.7):
        hang.insert(0, hang.pop(hang.index(kind.hang[0])))
    for frame, start, end in order:
        taken = _row(room, frame, stand, start, end)
        _hang(room, frame, hang, taken, (start, end))


def _row(
    room: Room, frame: Frame, stand: list[str], start: float, end: float
) -> list[tuple[float, float, str]]:
    """Put pieces along a wall from start to end, taking them out of the list; (from, to, name) of each."""
    taken = []
    at = start + room.between(0.0, 0.5)
    while stand and at < end:
        fitting = [name for name in stand if PIECES[name][0] <= end - at]
        if not fitting or room.chance(0.06):
            at += room.between(0.5, 1.1)
            if not fitting:
                break
            continue
        name = fitting[0]
        stand.remove(name)
        wide, draw = PIECES[name]
        draw(room, frame.moved(at + wide / 2.0, 0.02))
        taken.append((at, at + wide, name))
        at += wide + room.between(0.0, 0.2)
    return taken


# Pieces over which nothing hangs, since they reach up the wall, and what must stand free of all pieces.
_HIGH = ("bookshelf", "shelves", "fridge", "counter")
_TO_THE_FLOOR = ("door", "clothes")


def _hang(
    room: Room,
    frame: Frame,
    hang: list[str],
    taken: Sequence[tuple[float, float, str]],
    ends: tuple[float, float],
) -> None:
    """Hang things on a wall where no high piece stands, taking them out of the list."""
    at = ends[0] + room.between(0.0, 0.4)
    while hang and at < ends[1]:
        fitting = [name for name in hang if _free(name, at, ends[1], taken)]
        if not fitting:
            at += 0.35
            continue
        name = fitting[0]
        hang.remove(name)
        wide, draw = HANGINGS[name]
        draw(room, frame.moved(at + wide / 2.0, 0.0))
        at += wide + room.between(0.0, 0.6)


def _free(name: str, at: float, end: float, taken: Sequence[tuple[float, float, str]]) -> bool:
    """Whether there is a place for it on the wall."""
    wide = HANGINGS[name][0]
    over = [piece for start, stop, piece in taken if start < at + wide - 0.1 and at + 0.1 < stop]
    barred = over if name in _TO_THE_FLOOR else [piece for piece in over if piece in _HIGH]
    return at + wide <= end and not barred


def _middle(room: Room) -> Frame:
    """A place on the free floor ahead of the camera, facing it more or less."""
    width, _, depth = room.size
    x, z = width * room.between(0.22, 0.78), depth * room.between(0.45, 0.72)
    return Frame(origin=(x, z), along=(1.0, 0.0), out=(0.0, -1.0))


def _seats(room: Room) -> None:
    """Put a table with chairs around it into the middle, or two of them."""
    for _ in range(int(room.rng.integers(1, 3))):
        at = _middle(room).turned(room.between(-0.5, 0.5))
        table(room, at.moved(0.0, -0.4))
        for side in (-0.55, 0.05, 0.6):
            if room.chance(0.6):
                chair(room, at.moved(side, -0.95 - room.between(0.0, 0.2)))
            if room.chance(0.5):
                chair(room, at.moved(side, 0.95 + room.between(0.0, 0.25)).turned(3.1416))


def _forget_some(room: Room, label: Pixels) -> None:
    """Make void, in place, thin bands along some borders and, now and then, a field nobody labeled."""
    border = np.zeros(label.shape, np.bool_)
    border[:, 1:] |= label[:, 1:] != label[:, :-1]
    border[1:] |= label[1:] != label[:-1]
    some = value_noise(room.rng, HEIGHT, WIDTH, 14) > room.between(0.4, 0.7)
    label[border & some] = VOID
    if room.chance(0.35):
        field = value_noise(room.rng, HEIGHT, WIDTH, 30) > room.between(0.8, 0.95)
        label[field] = VOID

"""The shell of the drawn rooms and what hangs on the walls: windows, doors, pictures, mirrors, boards."""

from collections.abc import Callable

from datasets.roads_canvas import Color
from datasets.roads_light import mix, scaled
from datasets.rooms_canvas import (
    BLINDS,
    CEILING,
    CLOTHES,
    CURTAIN,
    DOOR,
    FLOOR,
    LAMP,
    MIRROR,
    PAPER,
    PICTURE,
    SHELVES,
    SHOWER_CURTAIN,
    TOWEL,
    WALL,
    WHITEBOARD,
    WINDOW,
    Frame,
    Paint,
    Room,
    Span,
)
from datasets.rooms_paint import (
    CLOTHS,
    FURNITURE,
    METALS,
    PAINTS,
    WHITES,
    WOODS,
    blotches,
    boards,
    doors,
    folds,
    glass,
    lines,
    outdoors,
    slats,
    stripes,
    tiles,
)
from datasets.rooms_things import lay_things


def walls(room: Room) -> tuple[Frame, Frame, Frame]:
    """Frames of the left, back and right wall: origin in a corner, out into the room."""
    width, _, depth = room.size
    return (
        Frame(origin=(0.0, 0.0), along=(0.0, 1.0), out=(1.0, 0.0)),
        Frame(origin=(0.0, depth), along=(1.0, 0.0), out=(0.0, -1.0)),
        Frame(origin=(width, 0.0), along=(0.0, 1.0), out=(-1.0, 0.0)),
    )


def paint_shell(room: Room, *, wet: bool) -> None:
    """Draw walls, floor and ceiling; in a wet room of tiles."""
    width, height, depth = room.size
    color = room.pick(WHITES + PAINTS if wet else PAINTS)
    look: Paint | Color = color
    if wet and room.chance(0.7):
        look = tiles(color, scaled(color, 0.94), room.between(0.15, 0.35))
    elif room.chance(0.15):
        look = stripes(color, scaled(color, 0.86), room.between(0.05, 0.2))
    front = Frame(origin=(0.0, 0.0), along=(1.0, 0.0), out=(0.0, 1.0))
    for frame, long in zip((*walls(room), front), (depth, width, depth, width), strict=True):
        room.panel(frame, (0.0, long), (0.0, height), 0.0, look, WALL)
        if not wet:
            room.panel(frame, (0.0, long), (0.0, 0.09), 0.012, scaled(color, 1.12), WALL)
    _floor(room, front, (0.0, width), (0.0, depth), wet)
    upper = room.pick(WHITES)
    above: Paint | Color = tiles(upper, scaled(upper, 0.97), 0.6) if room.chance(0.3) else upper
    room.sheet(front, (0.0, width), (0.0, depth), height, above, CEILING)
    if room.chance(0.45):
        _ceiling_light(
            room, front.moved(room.between(0.3, 0.7) * width, room.between(0.4, 0.8) * depth), height
        )


def _floor(room: Room, frame: Frame, a: Span, o: Span, wet: bool) -> None:
    kind = room.rng.random()
    look: Paint
    if wet or kind < 0.25:
        color = room.pick(PAINTS + WOODS[:2])
        look = tiles(color, scaled(color, room.between(0.75, 1.1)), room.between(0.2, 0.5))
    elif kind < 0.7:
        look = boards(room.pick(WOODS), room.between(0.07, 0.2), across=room.chance(0.5))
    else:
        color = room.pick(CLOTHS)
        look = blotches(color, scaled(color, 0.85), 0.05)
    room.sheet(frame, a, o, 0.0, look, FLOOR)


def _ceiling_light(room: Room, at: Frame, height: float) -> None:
    """Draw a lamp under the ceiling: a flat disc, or a shade on a cord."""
    bright = scaled((1.5, 1.45, 1.3), room.between(0.8, 1.3))
    if room.chance(0.5):
        room.disc(at, height - 0.06, (0.22, 0.22), bright, LAMP)
        return
    drop = height - room.between(0.35, 0.7)
    room.card(at, [(-0.008, drop), (0.008, drop), (0.008, height), (-0.008, height)], METALS[1], LAMP)
    room.card(at, [(-0.22, drop - 0.22), (0.22, drop - 0.22), (0.1, drop), (-0.1, drop)], bright, LAMP)


def window(room: Room, at: Frame) -> None:
    """Draw a window with curtains or blinds, or bare."""
    half, low, high = room.between(0.5, 0.9), room.between(0.75, 1.0), room.between(1.85, 2.2)
    sky = mix((0.75, 0.88, 1.1), (1.25, 1.22, 1.15), room.between(0.0, 1.0))
    if room.chance(0.2):
        sky = (0.08, 0.09, 0.14)
    below = mix((0.25, 0.38, 0.2), (0.5, 0.46, 0.42), room.between(0.0, 1.0))
    frame = room.pick(WHITES + WOODS)
    room.box(at, (-half - 0.07, half + 0.07), (low - 0.07, high + 0.07), (0.0, 0.03), frame, WINDOW)
    view = outdoors(sky, below, room.between(0.4, 0.9), room.between(0.2, 0.7))
    room.panel(at, (-half, half), (low, high), 0.035, view, WINDOW)
    room.box(at, (-half - 0.12, half + 0.12), (low - 0.1, low - 0.06), (0.0, 0.14), frame, WINDOW)
    kind = room.rng.random()
    if kind < 0.36:
        _curtains(room, at, half, high)
    elif kind < 0.78:
        end = low + (high - low) * room.between(0.0, 0.7)
        blind = slats(room.pick(WHITES + PAINTS), room.between(0.03, 0.07))
        room.panel(at, (-half - 0.03, half + 0.03), (end, high + 0.05), 0.06, blind, BLINDS)


def _curtains(room: Room, at: Frame, half: float, high: float) -> None:
    cloth = folds(room.pick(CLOTHS + PAINTS), room.between(0.08, 0.16))
    end, open_to = room.between(0.05, 0.6), half * room.between(0.1, 0.75)
    room.box(
        at, (-half - 0.4, half + 0.4), (high + 0.12, high + 0.15), (0.08, 0.11), room.pick(METALS), CURTAIN
    )
    for a in ((-half - 0.35, -open_to), (open_to, half + 0.35)):
        room.panel(at, a, (end, high + 0.12), 0.1, cloth, CURTAIN)


def door(room: Room, at: Frame) -> None:
    """Draw a closed door in its frame."""
    color, frame = room.pick(FURNITURE + WHITES), room.pick(WHITES + WOODS)
    room.box(at, (-0.53, 0.53), (0.0, 2.12), (0.0, 0.03), frame, DOOR)
    look = doors(color, 0.46, room.between(0.5, 1.05)) if room.chance(0.6) else color
    room.panel(at, (-0.45, 0.45), (0.0, 2.05), 0.035, look, DOOR)
    side = 0.38 if room.chance(0.5) else -0.38
    room.box(at, (side - 0.02, side + 0.02), (1.0, 1.05), (0.035, 0.1), room.pick(METALS), DOOR)


def picture(room: Room, at: Frame) -> None:
    """Draw a framed picture."""
    half, tall, low = room.between(0.2, 0.6), room.between(0.35, 0.95), room.between(1.15, 1.5)
    room.box(at, (-half, half), (low, low + tall), (0.0, 0.03), room.pick(WOODS + METALS), PICTURE)
    look = blotches(room.pick(CLOTHS), room.pick(PAINTS + CLOTHS), room.between(0.04, 0.25))
    edge = room.between(0.02, 0.07)
    room.panel(at, (edge - half, half - edge), (low + edge, low + tall - edge), 0.033, look, PICTURE)


def mirror(room: Room, at: Frame) -> None:
    """Draw a mirror: it shows the colors of the room in a blur."""
    half, low, high = room.between(0.25, 0.6), room.between(0.95, 1.15), room.between(1.75, 2.05)
    room.box(at, (-half, half), (low, high), (0.0, 0.03), room.pick(WOODS + METALS), MIRROR)
    shown = mix(room.pick(PAINTS), (0.55, 0.6, 0.64), 0.5)
    room.panel(at, (0.03 - half, half - 0.03), (low + 0.03, high - 0.03), 0.033, glass(shown, 0.35), MIRROR)


def whiteboard(room: Room, at: Frame) -> None:
    """Draw a whiteboard with some writing on it."""
    half = room.between(0.6, 1.1)
    room.box(at, (-half, half), (0.85, 2.05), (0.0, 0.03), room.pick(METALS), WHITEBOARD)
    ink = ((0.2, 0.25, 0.5), (0.15, 0.15, 0.16), (0.55, 0.2, 0.2))[int(room.rng.integers(3))]
    surface = lines((0.95, 0.96, 0.97), ink, room.between(0.12, 0.3))
    room.panel(at, (0.03 - half, half - 0.03), (0.88, 2.02), 0.034, surface, WHITEBOARD)
    room.box(at, (-half * 0.6, half * 0.6), (0.8, 0.84), (0.0, 0.08), METALS[0], WHITEBOARD)


def towel(room: Room, at: Frame) -> None:
    """Draw one or two towels on a rail."""
    high = room.between(1.15, 1.45)
    room.box(at, (-0.35, 0.35), (high, high + 0.02), (0.05, 0.07), room.pick(METALS), TOWEL)
    for a in ((-0.3, -0.02), (0.03, 0.3))[: 1 + int(room.chance(0.7))]:
        color = room.pick(CLOTHS + PAINTS)
        look = stripes(color, scaled(color, 1.15), 0.06, across=True)
        room.panel(at, a, (high - room.between(0.45, 0.7), high + 0.02), 0.075, look, TOWEL)


def papers(room: Room, at: Frame) -> None:
    """Draw some sheets of paper on the wall."""
    for _ in range(int(room.rng.integers(2, 6))):
        a, low = room.between(-0.6, 0.5), room.between(1.1, 1.7)
        look = lines((0.93, 0.92, 0.88), (0.3, 0.3, 0.32), 0.04)
        room.panel(at, (a, a + 0.22), (low, low + 0.3), room.between(0.012, 0.02), look, PAPER)


def clothes(room: Room, at: Frame) -> None:
    """Draw clothes on hooks or on a rail."""
    high = room.between(1.55, 1.8)
    room.box(at, (-0.5, 0.5), (high, high + 0.05), (0.0, 0.04), room.pick(WOODS + METALS), CLOTHES)
    a = -0.46
    while a < 0.3:
        wide, long = room.between(0.16, 0.36), room.between(0.55, 1.05)
        shoulder = [(a, high - 0.12), (a + wide / 2, high), (a + wide, high - 0.12)]
        hem = [(a + wide * 1.05, high - long), (a - wide * 0.05, high - long)]
        corners = [at.point(x, h, 0.12) for x, h in shoulder + hem]
        room.face(corners, folds(room.pick(CLOTHS), 0.1), CLOTHES)
        a += wide * room.between(0.9, 1.3)


def wall_shelves(room: Room, at: Frame) -> None:
    """Draw boards on the wall with things on them."""
    look, half = room.pick(FURNITURE), room.between(0.4, 0.75)
    low = room.between(0.95, 1.3)
    for k in range(int(room.rng.integers(2, 4))):
        high = low + 0.36 * k
        room.box(at, (-half, half), (high, high + 0.03), (0.0, 0.26), look, SHELVES)
        lay_things(room, at.moved(0.0, 0.13), (-half + 0.05, half - 0.05), high + 0.03, 0.2)


def shower_curtain(room: Room, at: Frame) -> None:
    """Draw the curtain of a tub that stands at this place, half drawn."""
    color, other = room.pick(CLOTHS + WHITES), room.pick(PAINTS)
    look = folds(color, 0.12) if room.chance(0.5) else stripes(color, other, 0.05)
    start, end = (-0.78, room.between(-0.3, 0.4)) if room.chance(0.5) else (room.between(-0.4, 0.3), 0.78)
    room.box(at, (-0.82, 0.82), (1.98, 2.01), (0.76, 0.79), METALS[2], SHOWER_CURTAIN)
    room.panel(at, (start, end), (0.2, 1.98), 0.78, look, SHOWER_CURTAIN)


HANGINGS: dict[str, tuple[float, Callable[[Room, Frame], None]]] = {
    "picture": (1.3, picture),
    "mirror": (1.3, mirror),
    "whiteboard": (2.2, whiteboard),
    "towel": (0.8, towel),
    "papers": (1.4, papers),
    "clothes": (1.1, clothes),
    "wall_shelves": (1.6, wall_shelves),
    "window": (2.2, window),
    "door": (1.2, door),
}
"""What hangs on a wall or is set in it: the width in metres that it needs, and how it is drawn."""

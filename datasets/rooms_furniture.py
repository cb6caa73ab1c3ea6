"""Furniture of the drawn rooms: a piece stands with the middle of its back at a frame's place, facing out."""

from collections.abc import Callable

from datasets.roads_canvas import Color
from datasets.roads_light import scaled
from datasets.rooms_canvas import (
    BED,
    BOOKSHELF,
    CABINET,
    CHAIR,
    DESK,
    DRESSER,
    FLOOR_MAT,
    NIGHT_STAND,
    SHELVES,
    SOFA,
    TABLE,
    Frame,
    Paint,
    Room,
)
from datasets.rooms_fixtures import bathtub, counter, fridge, toilet, washstand
from datasets.rooms_paint import (
    CLOTHS,
    FURNITURE,
    METALS,
    PAINTS,
    WHITES,
    WOODS,
    blotches,
    doors,
    folds,
    spines,
    stripes,
)
from datasets.rooms_things import books, heap, lay_things, paper, pillow, screen, table_lamp


def bed(room: Room, at: Frame) -> None:
    """Draw a bed with a headboard, a mattress under a cover, and pillows."""
    half, long, high = room.between(0.5, 0.95), room.between(1.85, 2.05), room.between(0.4, 0.6)
    wood = room.pick(WOODS + CLOTHS[:3])
    room.shadow(at, (-half - 0.15, half + 0.15), (0.0, long + 0.15))
    room.box(at, (-half, half), (0.0, high + room.between(0.3, 0.65)), (0.0, 0.07), wood, BED)
    room.box(at, (-half, half), (0.08, high * 0.55), (0.07, long), wood, BED)
    color, other = room.pick(CLOTHS + WHITES), room.pick(CLOTHS + PAINTS)
    cover: tuple[Paint, ...] = (
        folds(color, 0.3),
        blotches(color, other, 0.15),
        stripes(color, other, 0.1),
    )
    room.box(at, (-half, half), (high * 0.55, high), (0.07, long), cover[int(room.rng.integers(3))], BED)
    start = room.between(0.5, 0.9)
    sheet = room.pick(WHITES)
    room.box(at, (-half - 0.01, half + 0.01), (high - 0.02, high + 0.03), (start, start + 0.25), sheet, BED)
    count = 1 if half < 0.65 else int(room.rng.integers(2, 5))
    step = 2.0 * half / count
    for k in range(count):
        a = (-half + step * k + 0.05, -half + step * (k + 1) - 0.05)
        pillow(room, at, a, high, (0.1, 0.45), room.between(0.1, 0.2))
    if room.chance(0.25):
        heap(room, at.moved(room.between(-0.3, 0.3), long * 0.7), high + 0.01)


def sofa(room: Room, at: Frame) -> None:
    """Draw a sofa or an armchair with its cushions."""
    half = room.between(0.42, 0.5) if room.chance(0.25) else room.between(0.75, 1.15)
    deep, high = room.between(0.8, 0.95), room.between(0.38, 0.46)
    color = room.pick(CLOTHS + PAINTS[2:])
    look: Paint | Color = blotches(color, scaled(color, 0.88), 0.08) if room.chance(0.4) else color
    room.shadow(at, (-half - 0.25, half + 0.25), (0.0, deep + 0.15))
    room.box(at, (-half, half), (0.06, high + room.between(0.35, 0.5)), (0.0, 0.24), look, SOFA)
    room.box(at, (-half, half), (0.06, high), (0.24, deep), look, SOFA)
    arm = room.between(0.14, 0.24)
    for a in ((-half - arm, -half), (half, half + arm)):
        room.box(at, a, (0.06, high + 0.2), (0.0, deep), look, SOFA)
    count = max(1, round(half / 0.4))
    for k in range(count):
        wide = 2.0 * half / count
        a = (-half + wide * k + 0.015, -half + wide * (k + 1) - 0.015)
        room.box(at, a, (high, high + 0.08), (0.22, deep + 0.02), scaled(color, 1.08), SOFA)
        if room.chance(0.45):
            middle = (a[0] + a[1]) / 2.0
            pillow(
                room, at, (middle - 0.22, middle + 0.22), high + 0.08, (0.24, 0.42), room.between(0.25, 0.38)
            )


def chair(room: Room, at: Frame) -> None:
    """Draw a chair: four legs or one foot, a seat and a back, sometimes with arms."""
    half, high = room.between(0.19, 0.26), room.between(0.42, 0.5)
    color = room.pick(WOODS + CLOTHS)
    back = high + room.between(0.35, 0.55)
    room.shadow(at, (-half, half), (0.0, 0.5))
    if room.chance(0.3):
        room.box(at, (-0.03, 0.03), (0.05, high), (0.22, 0.28), METALS[1], CHAIR)
        for turn in (0.0, 1.047, 2.094):
            foot = at.moved(0.0, 0.25).turned(turn)
            room.box(foot, (-0.28, 0.28), (0.03, 0.07), (-0.02, 0.02), METALS[1], CHAIR)
    else:
        legs = room.pick(METALS + WOODS)
        for a in ((-half, 0.035 - half), (half - 0.035, half)):
            for o in ((0.02, 0.055), (0.43, 0.465)):
                room.box(at, a, (0.0, high), o, legs, CHAIR)
    room.box(at, (-half, half), (high - 0.05, high), (0.02, 0.47), color, CHAIR)
    if room.chance(0.5):
        room.box(at, (-half, half), (high + 0.1, back), (0.0, 0.05), color, CHAIR)
        for a in ((-half, 0.03 - half), (half - 0.03, half)):
            room.box(at, a, (high, high + 0.1), (0.0, 0.04), color, CHAIR)
    else:
        room.box(at, (-half, half), (back - 0.08, back), (0.0, 0.04), color, CHAIR)
        for k in range(4):
            side = -half + (2.0 * half - 0.03) * k / 3.0
            room.box(at, (side, side + 0.03), (high, back), (0.0, 0.03), color, CHAIR)
    if room.chance(0.25):
        for a in ((-half - 0.04, -half), (half, half + 0.04)):
            room.box(at, a, (high + 0.18, high + 0.22), (0.02, 0.4), color, CHAIR)
            room.box(at, a, (high, high + 0.18), (0.36, 0.4), color, CHAIR)


def _top_on_legs(room: Room, at: Frame, half: float, high: float, deep: float, label: int) -> None:
    color = room.pick(FURNITURE)
    room.shadow(at, (-half, half), (0.0, deep), 0.72)
    legs = color if room.chance(0.6) else room.pick(METALS)
    for a in ((0.03 - half, 0.09 - half), (half - 0.09, half - 0.03)):
        for o in ((0.03, 0.09), (deep - 0.09, deep - 0.03)):
            room.box(at, a, (0.0, high), o, legs, label)
    room.box(at, (-half, half), (high - 0.05, high), (0.0, deep), color, label)


def table(room: Room, at: Frame) -> None:
    """Draw a table with four legs, or a round one, with things on it."""
    half, deep = room.between(0.45, 0.85), room.between(0.6, 0.9)
    high = room.between(0.38, 0.48) if room.chance(0.25) else room.between(0.68, 0.78)
    middle = at.moved(0.0, deep / 2.0)
    if room.chance(0.3):
        color = room.pick(FURNITURE)
        room.shadow(middle, (-half * 0.6, half * 0.6), (-half * 0.6, half * 0.6), 0.72)
        room.box(middle, (-0.05, 0.05), (0.0, high), (-0.05, 0.05), color, TABLE)
        room.disc(middle, 0.03, (half * 0.5, half * 0.5), scaled(color, 0.8), TABLE)
        for k in range(4):
            room.disc(middle, high - 0.04 + 0.0135 * k, (half * 0.85, half * 0.85), color, TABLE)
    else:
        _top_on_legs(room, at, half, high, deep, TABLE)
    if room.chance(0.65):
        lay_things(room, middle, (-half * 0.6, half * 0.6), high + 0.005, deep * 0.5)


def desk(room: Room, at: Frame) -> None:
    """Draw a desk with drawers at one side, a screen and things on it."""
    half, deep = room.between(0.6, 0.9), room.between(0.6, 0.75)
    _top_on_legs(room, at, half, 0.74, deep, DESK)
    look = doors(room.pick(FURNITURE), 0.4, 0.2)
    side = (-half, 0.4 - half) if room.chance(0.5) else (half - 0.4, half)
    room.box(at, side, (0.08, 0.69), (0.03, deep - 0.04), look, DESK)
    if room.chance(0.3):
        room.box(at, (-half, half), (0.15, 0.69), (deep - 0.08, deep - 0.05), room.pick(FURNITURE), DESK)
    if room.chance(0.7):
        screen(room, at.moved(room.between(-0.3, 0.3), 0.0), 0.74, room.between(0.2, 0.32), 0.22)
    if room.chance(0.45):
        table_lamp(room, at.moved(half - 0.15, 0.2), 0.74, room.between(0.32, 0.5))
    paper(room, at, (-0.35, -0.1), 0.745, (deep - 0.4, deep - 0.1))
    if room.chance(0.6):
        books(room, at, (-half + 0.03, -half + 0.3), 0.745, (0.08, 0.32))


def _case(
    room: Room, at: Frame, half: float, high: float, deep: float, look: Paint | Color, label: int
) -> None:
    room.shadow(at, (-half - 0.05, half + 0.05), (0.0, deep + 0.12))
    room.box(at, (-half, half), (0.0, high), (0.0, deep), look, label)


def cabinet(room: Room, at: Frame) -> None:
    """Draw a cabinet, low with something on it or as high as a wardrobe."""
    half, deep = room.between(0.4, 0.75), room.between(0.4, 0.6)
    tall = room.chance(0.5)
    high = room.between(1.7, 2.2) if tall else room.between(0.75, 1.0)
    front = doors(
        room.pick(FURNITURE + WHITES), half if half < 0.5 else half * 0.67, high if tall else high * 0.5
    )
    _case(room, at, half, high, deep, front, CABINET)
    if not tall and room.chance(0.4):
        screen(room, at, high, min(half, room.between(0.4, 0.6)), deep * 0.4)
    elif not tall:
        lay_things(room, at.moved(0.0, deep / 2.0), (-half + 0.05, half - 0.05), high, deep * 0.7)


def dresser(room: Room, at: Frame) -> None:
    """Draw a dresser: three to five rows of drawers in two columns."""
    half, high, deep = room.between(0.45, 0.75), room.between(0.8, 1.15), room.between(0.42, 0.52)
    rows = int(room.rng.integers(3, 6))
    _case(room, at, half, high, deep, doors(room.pick(FURNITURE), half, high / rows), DRESSER)
    room.box(
        at, (-half - 0.02, half + 0.02), (high, high + 0.03), (0.0, deep + 0.02), room.pick(WOODS), DRESSER
    )
    if room.chance(0.4):
        table_lamp(room, at.moved(half - 0.2, deep / 2.0), high + 0.03, room.between(0.35, 0.55))
    elif room.chance(0.6):
        lay_things(room, at.moved(0.0, deep / 2.0), (-half + 0.1, half - 0.1), high + 0.03, deep * 0.6)


def night_stand(room: Room, at: Frame) -> None:
    """Draw a night stand with two drawers, mostly with a lamp on it."""
    half, high = room.between(0.2, 0.3), room.between(0.45, 0.65)
    _case(room, at, half, high, 0.4, doors(room.pick(FURNITURE), half * 2.0, high / 2.0), NIGHT_STAND)
    if room.chance(0.75):
        table_lamp(room, at.moved(0.0, 0.2), high, room.between(0.35, 0.55))
    else:
        books(room, at, (-0.12, 0.12), high, (0.08, 0.3))


def bookshelf(room: Room, at: Frame) -> None:
    """Draw a bookshelf full of books, which belong to it."""
    half, high, deep = room.between(0.4, 0.9), room.between(1.6, 2.2), room.between(0.28, 0.36)
    color = room.pick(FURNITURE)
    room.shadow(at, (-half, half), (0.0, deep + 0.1))
    room.panel(at, (-half, half), (0.0, high), 0.02, scaled(color, 0.6), BOOKSHELF)
    for a in ((-half - 0.03, -half), (half, half + 0.03)):
        room.box(at, a, (0.0, high), (0.0, deep), color, BOOKSHELF)
    rows = int(room.rng.integers(4, 7))
    for k in range(rows + 1):
        level = (high - 0.03) * k / rows
        room.box(at, (-half, half), (level, level + 0.03), (0.0, deep), color, BOOKSHELF)
        if k < rows and room.chance(0.92):
            end = half - room.between(0.0, 0.5) * half
            tall = level + 0.03 + (high / rows - 0.05) * room.between(0.65, 0.95)
            look = spines(room.between(0.025, 0.055))
            room.box(
                at,
                (-half, end),
                (level + 0.03, tall),
                (0.04, deep - room.between(0.02, 0.1)),
                look,
                BOOKSHELF,
            )


def shelves(room: Room, at: Frame) -> None:
    """Draw an open rack with boxes and other things on its boards."""
    half, high, deep = room.between(0.45, 0.85), room.between(1.3, 2.1), room.between(0.35, 0.5)
    color = room.pick(METALS + WOODS)
    room.shadow(at, (-half, half), (0.0, deep + 0.1))
    for a in ((-half - 0.04, -half), (half, half + 0.04)):
        for o in ((0.0, 0.04), (deep - 0.04, deep)):
            room.box(at, a, (0.0, high), o, color, SHELVES)
    rows = int(room.rng.integers(3, 6))
    for k in range(rows):
        level = 0.12 + (high - 0.16) * k / (rows - 1)
        room.box(at, (-half, half), (level, level + 0.035), (0.0, deep), color, SHELVES)
        if k < rows - 1:
            lay_things(
                room, at.moved(0.0, deep / 2.0), (-half + 0.03, half - 0.03), level + 0.035, deep * 0.8
            )


def floor_mat(room: Room, at: Frame) -> None:
    """Draw a rug or a mat on the floor; nothing that stands there may be drawn before it."""
    half, deep = room.between(0.35, 1.2), room.between(0.45, 1.1)
    color, other = room.pick(CLOTHS), room.pick(CLOTHS + PAINTS)
    look: tuple[Paint, ...] = (
        blotches(color, other, 0.2),
        stripes(color, other, 0.12),
        folds(color, 0.05),
    )
    turn = at.turned(room.between(-0.3, 0.3))
    room.box(turn, (-half, half), (0.0, 0.015), (-deep, deep), other, FLOOR_MAT)
    edge = room.between(0.03, 0.1)
    inner = look[int(room.rng.integers(3))]
    room.sheet(turn, (edge - half, half - edge), (edge - deep, deep - edge), 0.018, inner, FLOOR_MAT)


PIECES: dict[str, tuple[float, Callable[[Room, Frame], None]]] = {
    "bed": (2.1, bed),
    "sofa": (2.5, sofa),
    "table": (1.6, table),
    "desk": (1.8, desk),
    "cabinet": (1.5, cabinet),
    "dresser": (1.5, dresser),
    "night_stand": (0.65, night_stand),
    "bookshelf": (1.7, bookshelf),
    "shelves": (1.7, shelves),
    "counter": (2.9, counter),
    "washstand": (1.0, washstand),
    "toilet": (0.8, toilet),
    "bathtub": (1.75, bathtub),
    "fridge": (0.95, fridge),
    "chair": (0.8, chair),
}
"""What stands at a wall: the width in metres that it needs, and how it is drawn."""

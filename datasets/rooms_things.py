"""Small things of the drawn rooms: books, paper, boxes, bags, pillows, lamps, screens, and people."""

from datasets.roads_canvas import Color, ellipse, limb
from datasets.roads_light import scaled
from datasets.rooms_canvas import (
    BAG,
    BOOKS,
    BOX,
    CLOTHES,
    LAMP,
    PAPER,
    PERSON,
    PILLOW,
    TOWEL,
    TV,
    Frame,
    Room,
    Span,
)
from datasets.rooms_paint import CLOTHS, METALS, PAINTS, WHITES, WOODS, blotches, folds, glass, lines, spines

SKINS: tuple[Color, ...] = ((0.86, 0.68, 0.56), (0.72, 0.52, 0.40), (0.48, 0.33, 0.24))


def lay_things(room: Room, at: Frame, a: Span, h: float, deep: float) -> None:
    """Put books, boxes, paper or cloth beside each other on a board or a table top."""
    place = a[0] + room.between(0.0, 0.15)
    while place < a[1] - 0.12:
        wide = min(room.between(0.12, 0.34), a[1] - place)
        o = (-deep * room.between(0.2, 0.45), deep * room.between(0.2, 0.45))
        kind = room.rng.random()
        if kind < 0.5:
            books(room, at, (place, place + wide), h, o)
        elif kind < 0.72:
            look = room.pick(WOODS[:2] + PAINTS + CLOTHS)
            room.box(at, (place, place + wide), (h, h + room.between(0.08, 0.24)), o, look, BOX)
        elif kind < 0.88:
            paper(room, at, (place, place + wide), h, o)
        else:
            cloth = folds(room.pick(CLOTHS + WHITES), 0.05)
            room.box(at, (place, place + wide), (h, h + room.between(0.05, 0.14)), o, cloth, TOWEL)
        place += wide + room.between(0.02, 0.35)


def books(room: Room, at: Frame, a: Span, h: float, o: Span) -> None:
    """Draw books: standing in a row, or a lying stack."""
    if room.chance(0.55):
        room.box(at, a, (h, h + room.between(0.18, 0.27)), o, spines(room.between(0.025, 0.05)), BOOKS)
        return
    top = h
    for _ in range(int(room.rng.integers(2, 6))):
        thick, slip = room.between(0.02, 0.05), room.between(-0.02, 0.02)
        room.box(at, (a[0] + slip, a[1] + slip), (top, top + thick), o, room.pick(CLOTHS + PAINTS), BOOKS)
        top += thick


def paper(room: Room, at: Frame, a: Span, h: float, o: Span) -> None:
    """Draw loose sheets of paper."""
    for k in range(int(room.rng.integers(1, 4))):
        slip = room.between(-0.06, 0.06)
        look = lines((0.94, 0.93, 0.90), (0.35, 0.35, 0.38), 0.03)
        room.sheet(
            at.turned(room.between(-0.2, 0.2)),
            (a[0] + slip, a[1] + slip),
            o,
            h + 0.004 * (k + 1),
            look,
            PAPER,
        )


def cardboard(room: Room, at: Frame) -> None:
    """Draw boxes on the floor, one upon another."""
    top = 0.0
    room.shadow(at, (-0.4, 0.4), (-0.05, 0.6))
    turn = at.turned(room.between(-0.4, 0.4))
    for _ in range(int(room.rng.integers(1, 4))):
        half, tall = room.between(0.17, 0.36), room.between(0.18, 0.42)
        color = room.pick(WOODS[1:4] + PAINTS[2:3] + WHITES[:1])
        room.box(turn, (-half, half), (top, top + tall), (0.02, 0.02 + 1.5 * half), color, BOX)
        room.panel(
            turn,
            (-half, half),
            (top + tall * 0.44, top + tall * 0.56),
            0.022 + 1.5 * half,
            scaled(color, 1.2),
            BOX,
        )
        top += tall


def bag(room: Room, at: Frame) -> None:
    """Draw a bag on the floor: a body, narrower above, with handles."""
    half, tall = room.between(0.16, 0.32), room.between(0.25, 0.5)
    color = room.pick(CLOTHS)
    room.shadow(at, (-half, half), (0.0, 0.35))
    body = at.turned(room.between(-0.5, 0.5))
    room.box(
        body, (-half, half), (0.0, tall * 0.7), (0.05, 0.3), blotches(color, scaled(color, 0.8), 0.1), BAG
    )
    room.box(body, (-half * 0.85, half * 0.85), (tall * 0.7, tall), (0.09, 0.26), color, BAG)
    for x0, x1 in ((-0.5, -0.2), (-0.2, 0.2), (0.2, 0.5)):
        low, high = tall, tall + 0.16
        ends = (low if x0 == -0.5 else high, low if x1 == 0.5 else high)
        stroke = limb(x0 * half * 1.4, ends[0], x1 * half * 1.4, ends[1], 0.03, 0.03)
        room.card(body, stroke, scaled(color, 0.6), BAG, o=0.18)


def pillow(room: Room, at: Frame, a: Span, h: float, o: Span, tall: float) -> None:
    """Draw a pillow as a soft box with a lighter top."""
    color = room.pick(CLOTHS + WHITES + WHITES)
    look = blotches(color, room.pick(CLOTHS), 0.06) if room.chance(0.3) else folds(color, 0.25)
    inset = 0.12 * (a[1] - a[0])
    room.box(at, a, (h, h + tall * 0.6), o, look, PILLOW)
    room.box(
        at, (a[0] + inset, a[1] - inset), (h + tall * 0.6, h + tall), (o[0] + 0.03, o[1] - 0.03), look, PILLOW
    )


def table_lamp(room: Room, at: Frame, h: float, tall: float) -> None:
    """Draw a lamp with a foot and a shade, on a table or, tall, on the floor."""
    foot, wide = room.pick(METALS + WOODS), room.between(0.11, 0.2)
    room.card(at, ellipse(0.0, h + 0.02, wide * 0.7, 0.03), foot, LAMP)
    room.card(at, [(-0.02, h), (0.02, h), (0.02, h + tall * 0.7), (-0.02, h + tall * 0.7)], foot, LAMP)
    lit = room.chance(0.6)
    shade = scaled((1.5, 1.35, 1.05), room.between(0.7, 1.2)) if lit else room.pick(WHITES + CLOTHS)
    upper = wide * room.between(0.4, 0.9)
    outline = [(-wide, h + tall * 0.62), (wide, h + tall * 0.62), (upper, h + tall), (-upper, h + tall)]
    room.card(at, outline, shade, LAMP)


def floor_lamp(room: Room, at: Frame) -> None:
    """Draw a lamp that stands on the floor."""
    table_lamp(room, at.moved(0.0, 0.25), 0.0, room.between(1.35, 1.8))


def screen(room: Room, at: Frame, h: float, half: float, o: float) -> None:
    """Draw a television or a monitor on its foot."""
    tall = half * 1.15
    case = METALS[1] if room.chance(0.75) else METALS[0]
    room.box(at, (-half * 0.35, half * 0.35), (h, h + 0.03), (o - 0.1, o + 0.1), case, TV)
    room.box(at, (-0.04, 0.04), (h, h + 0.1), (o - 0.03, o), case, TV)
    room.box(at, (-half, half), (h + 0.08, h + 0.08 + tall), (o, o + 0.06), case, TV)
    shown = glass((0.05, 0.06, 0.08), 0.12)
    if room.chance(0.35):
        shown = blotches((0.3, 0.5, 0.8), (0.8, 0.75, 0.6), 0.12)
    room.panel(at, (0.03 - half, half - 0.03), (h + 0.11, h + 0.05 + tall), o + 0.063, shown, TV)


def heap(room: Room, at: Frame, h: float) -> None:
    """Draw clothes that lie about."""
    for _ in range(int(room.rng.integers(2, 5))):
        turn, half = at.turned(room.between(-1.0, 1.0)), room.between(0.15, 0.35)
        top = h + room.between(0.04, 0.12)
        room.box(
            turn, (-half, half), (h, top), (-half * 0.8, half * 0.8), folds(room.pick(CLOTHS), 0.12), CLOTHES
        )


def person(room: Room, at: Frame) -> None:
    """Draw a person who stands or sits, turned to the camera."""
    tall = room.between(1.5, 1.85)
    down = room.between(0.35, 0.5) if room.chance(0.45) else 0.0
    coat, legs = room.pick(CLOTHS), room.pick(CLOTHS)
    skin, hair = SKINS[int(room.rng.integers(3))], scaled((0.3, 0.22, 0.15), room.between(0.3, 1.6))
    hip, shoulder, head = tall * 0.5 - down, tall * 0.82 - down, tall * 0.91 - down
    wide, step = room.between(0.2, 0.27), room.between(0.05, 0.18)
    room.shadow(at, (-0.3, 0.3), (-0.2, 0.3))
    for side in (-1.0, 1.0):
        room.card(at, limb(side * 0.09, hip + 0.05, side * step, 0.0, 0.18, 0.11), legs, PERSON)
        arm = limb(
            side * wide, shoulder - 0.05, side * (wide + 0.08), hip + room.between(-0.1, 0.25), 0.12, 0.08
        )
        room.card(at, arm, scaled(coat, 0.85), PERSON, o=0.02)
    torso = [(-wide, shoulder - 0.06), (0.0, shoulder + 0.03), (wide, shoulder - 0.06)]
    room.card(at, [*torso, (wide * 0.8, hip), (-wide * 0.8, hip)], folds(coat, 0.15), PERSON, o=0.03)
    room.card(at, ellipse(0.0, head, 0.1, tall * 0.075), skin, PERSON, o=0.04)
    room.card(at, ellipse(0.0, head + tall * 0.035, 0.11, tall * 0.05), hair, PERSON, o=0.05)

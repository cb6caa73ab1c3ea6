"""What stands in kitchens and bathrooms of the drawn rooms: counter, sink, refrigerator, toilet, bathtub."""

from datasets.roads_light import scaled
from datasets.rooms_canvas import BATHTUB, CABINET, COUNTER, FRIDGE, SINK, TOILET, Frame, Room
from datasets.rooms_paint import FURNITURE, METALS, PAINTS, WHITES, WOODS, doors
from datasets.rooms_shell import shower_curtain
from datasets.rooms_things import lay_things, paper


def counter(room: Room, at: Frame) -> None:
    """Draw a kitchen counter with a sink in it, and cabinets below and above it."""
    half, deep, high = room.between(0.9, 1.5), 0.6, room.between(0.86, 0.94)
    color = room.pick(FURNITURE + WHITES)
    room.shadow(at, (-half, half), (0.0, deep + 0.15))
    room.box(
        at, (-half, half), (0.0, high - 0.05), (0.0, deep - 0.03), doors(color, 0.45, high * 0.8), CABINET
    )
    top = room.pick(WOODS + METALS + PAINTS)
    room.box(at, (-half, half), (high - 0.05, high), (0.0, deep), top, COUNTER)
    room.panel(at, (-half, half), (high, high + room.between(0.1, 0.5)), 0.015, scaled(top, 1.1), COUNTER)
    if room.chance(0.75):
        basin(room, at.moved(room.between(-0.5, 0.5) * half, 0.32), high)
    if room.chance(0.7):
        upper = (high + 0.5, high + room.between(1.05, 1.25))
        room.box(at, (-half, half), upper, (0.0, 0.35), doors(color, 0.42, upper[1] - upper[0]), CABINET)
    lay_things(room, at.moved(0.0, 0.2), (-half + 0.05, half * 0.3), high, 0.25)


def basin(room: Room, at: Frame, high: float) -> None:
    """Draw a sink let into a top at this height, with its tap."""
    color = room.pick(METALS[2:3] + METALS[:1] + WHITES)
    for k in range(3):
        room.disc(
            at,
            high + 0.004 + 0.006 * k,
            (0.3 - 0.01 * k, 0.22 - 0.01 * k),
            scaled(color, 1.0 + 0.05 * k),
            SINK,
        )
    room.disc(at, high + 0.024, (0.25, 0.17), scaled(color, 0.7), SINK)
    room.box(at, (-0.02, 0.02), (high, high + 0.2), (-0.21, -0.17), METALS[2], SINK)
    room.box(at, (-0.015, 0.015), (high + 0.17, high + 0.2), (-0.19, -0.02), METALS[2], SINK)


def washstand(room: Room, at: Frame) -> None:
    """Draw a bathroom's sink on a cabinet, on a column or alone."""
    color, half, high = room.pick(WHITES), room.between(0.3, 0.42), room.between(0.8, 0.9)
    if room.chance(0.4):
        look = doors(room.pick(FURNITURE + WHITES), half, high)
        room.shadow(at, (-half, half), (0.0, 0.55))
        room.box(at, (-half, half), (0.0, high - 0.14), (0.0, 0.45), look, CABINET)
    elif room.chance(0.6):
        room.box(at, (-0.09, 0.09), (0.0, high - 0.1), (0.1, 0.3), color, SINK)
    room.box(at, (-half, half), (high - 0.14, high), (0.0, 0.48), color, SINK)
    basin(room, at.moved(0.0, 0.27), high)


def toilet(room: Room, at: Frame) -> None:
    """Draw a toilet: cistern, bowl and a seat that is up or down."""
    color = room.pick(WHITES)
    room.shadow(at, (-0.25, 0.25), (0.1, 0.75))
    room.box(at, (-0.22, 0.22), (0.38, 0.8), (0.02, 0.2), color, TOILET)
    room.box(at, (-0.24, 0.24), (0.8, 0.83), (0.0, 0.22), scaled(color, 1.05), TOILET)
    bowl = at.moved(0.0, 0.45)
    for k in range(9):
        share = 0.55 + 0.45 * k / 8.0
        room.disc(
            bowl,
            0.04 + 0.36 * k / 8.0,
            (0.19 * share, 0.27 * share),
            scaled(color, 0.8 + 0.2 * share),
            TOILET,
        )
    room.box(bowl, (-0.1, 0.1), (0.0, 0.34), (-0.2, 0.12), scaled(color, 0.95), TOILET)
    if room.chance(0.4):
        shape = [
            (bowl.point(x * 0.19, 0.62 + 0.22 * y, -0.2))
            for x, y in ((-1, -1), (1, -1), (1, 0.6), (0.6, 1), (-0.6, 1), (-1, 0.6))
        ]
        room.face(shape, scaled(color, 0.95), TOILET)
        room.disc(bowl, 0.405, (0.12, 0.18), (0.35, 0.38, 0.4), TOILET)
    else:
        room.disc(bowl, 0.42, (0.2, 0.28), scaled(color, 1.08), TOILET)


def bathtub(room: Room, at: Frame) -> None:
    """Draw a bathtub, mostly with a curtain."""
    color, deep = room.pick(WHITES), 0.75
    room.box(at, (-0.82, 0.82), (0.0, 0.52), (0.0, deep), color, BATHTUB)
    room.sheet(at, (-0.72, 0.72), (0.09, deep - 0.09), 0.525, scaled(color, 0.72), BATHTUB)
    room.sheet(at, (-0.6, 0.6), (0.2, deep - 0.12), 0.53, scaled(color, 0.85), BATHTUB)
    if room.chance(0.85):
        shower_curtain(room, at)


def fridge(room: Room, at: Frame) -> None:
    """Draw a refrigerator with two doors and upright handles."""
    half, high, deep = room.between(0.3, 0.42), room.between(1.5, 1.9), room.between(0.6, 0.7)
    color = room.pick(WHITES + METALS[:2])
    room.shadow(at, (-half - 0.05, half + 0.05), (0.0, deep + 0.12))
    room.box(at, (-half, half), (0.0, high), (0.0, deep), color, FRIDGE)
    cut = high * room.between(0.3, 0.7)
    room.box(at, (-half, half), (cut - 0.01, cut + 0.01), (deep, deep + 0.004), scaled(color, 0.35), FRIDGE)
    side = half - 0.07 if room.chance(0.5) else 0.04 - half
    for low, up in ((cut - 0.45, cut - 0.06), (cut + 0.06, cut + 0.4)):
        room.box(at, (side, side + 0.03), (low, up), (deep, deep + 0.04), room.pick(METALS), FRIDGE)
    if room.chance(0.5):
        paper(room, at, (-0.1, 0.1), high, (0.1, 0.4))

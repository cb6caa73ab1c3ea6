"""Composition of a drawn road scene: which street, what stands where, and the order of drawing."""

import numpy as np
from numpy.typing import NDArray

from datasets.base import VOID, Pixels
from datasets.roads.canvas import (
    BUILDING,
    COLUMNS,
    HEIGHT,
    ROWS,
    SCALE,
    TREE,
    WIDTH,
    Camera,
    Canvas,
    Color,
    Region,
    box,
    tinted,
    value_noise,
)
from datasets.roads.light import LEAVES, Stage, develop, mix, paint_sky, sample_light
from datasets.roads.objects import (
    paint_bollards,
    paint_bonnet,
    paint_clutter,
    paint_lamp_post,
    paint_sign,
    paint_tree,
)
from datasets.roads.people import paint_bicyclist, paint_pedestrian
from datasets.roads.street import Street, paint_ground, sample_street
from datasets.roads.vehicles import paint_crossing_vehicle, paint_vehicle, sample_model
from datasets.roads.walls import WALLS, paint_building, paint_fence, paint_hedge, sample_facade

REVISION = 4
"""Raised by one with every change that alters a picture or a label."""


def draw_scene(seed: tuple[int, ...]) -> tuple[Pixels, Pixels]:
    """Picture (180, 240, 3) and label (180, 240) of the road scene that belongs to these numbers."""
    stage = _set_stage(np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))))
    street = sample_street(stage)
    paint_sky(stage)
    paint_ground(stage, street)
    _paint_distance(stage, street)
    for which in (-1, 1):
        _paint_buildings(stage, street, which)
        _paint_borders(stage, street, which)
        _paint_trees(stage, street, which)
    _paint_traffic(stage, street)
    _paint_furniture(stage, street)
    _paint_people(stage, street)
    if stage.chance(0.3):
        paint_bonnet(stage)
    label = stage.canvas.label.reshape(HEIGHT, SCALE, WIDTH, SCALE)[:, 0, :, 0].copy()
    _blur_borders(stage, label)
    return develop(stage), label


def _set_stage(rng: np.random.Generator) -> Stage:
    """Draw light and camera, and make the noise that all objects share."""
    u = rng.random(6)
    camera = Camera(
        focal_px=float(WIDTH * SCALE * (0.82 + 0.28 * u[0])),
        horizon_px=float(ROWS * (0.12 + 0.70 * u[1])),
        center_px=float(COLUMNS * (0.1 + 0.8 * u[2])),
        height_m=float(1.25 + 1.25 * u[3]),
        offset_m=float(-2.6 + 3.4 * u[4]),
        bend=float((u[5] - 0.5) * (u[5] - 0.5) * (0.06 if u[5] > 0.5 else -0.06)),
    )
    coarse = _texture(rng, (24, 12, 6), (0.55, 0.3, 0.15))
    fine = _texture(rng, (4, 2, 1), (0.4, 0.35, 0.25))
    return Stage(rng=rng, camera=camera, canvas=Canvas(), light=sample_light(rng), coarse=coarse, fine=fine)


def _texture(rng: np.random.Generator, cells: tuple[int, ...], weights: tuple[float, ...]) -> NDArray[np.float32]:
    """Sum of noises (ROWS, COLUMNS), stretched to about -1..1."""
    total = np.full((HEIGHT, WIDTH), -0.5, np.float32)
    for cell, weight in zip(cells, weights, strict=True):
        total += np.float32(weight) * value_noise(rng, HEIGHT, WIDTH, cell)
    return (total * np.float32(3.2)).repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def _paint_distance(stage: Stage, street: Street) -> None:
    """Draw what closes the view: a row of buildings and trees across the street's end."""
    camera, ahead = stage.camera, street.end_m
    scale = camera.pixels_per_metre(ahead)
    ground = camera.horizon_px + camera.height_m * scale
    x = -stage.between(0.0, 20.0)
    while x < COLUMNS:
        wide, tall = stage.between(6.0, 18.0) * scale, stage.between(4.0, 12.0) * scale
        depth = ahead + stage.between(0.0, 20.0)
        leafy = stage.chance(0.45)
        area = box(x, ground - tall * 1.3, x + wide, ground)
        if area is not None:
            rows, columns = area
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            across = ((np.arange(columns.start, columns.stop) + 0.5 - x) / wide * 2.0 - 1.0)[None, :]
            up = (ground - np.arange(rows.start, rows.stop) - 0.5)[:, None] / tall
            fine = stage.patch(stage.fine, *shape)
            if leafy:
                mask = up < np.sqrt(np.maximum(1.0 - across * across * 0.8, 0.0)) + 0.25 * fine
                color: Color = stage.pick(LEAVES)
            else:
                mask = np.broadcast_to(up < 0.8, shape) & (np.abs(across) < 1.0)
                color = stage.pick(WALLS)
            shade = (stage.light.front * (1.0 + 0.3 * fine)).astype(np.float32)
            picture = tinted(color, shade)
            stage.canvas.put(Region(rows, columns, mask), picture, TREE if leafy else BUILDING, depth)
        x += wide * stage.between(0.6, 1.0)


def _paint_buildings(stage: Stage, street: Street, which: int) -> None:
    """Draw the row of buildings of one side, from near to far."""
    side = street.side(which)
    near = stage.between(0.8, 5.0)
    gap = {"terrace": 0.12, "houses": 0.55, "green": 0.8}[side.kind]
    while near < street.end_m:
        long = stage.between(5.0, 9.0) if side.kind == "houses" else stage.between(7.0, 20.0)
        height = side.height_m * stage.between(0.8, 1.25)
        look = sample_facade(stage, height)
        place = which * (street.front_m(which) + stage.between(0.0, 1.0))
        skip = side.kind == "green" and stage.chance(0.6)
        if not skip and not street.open_at(which, near, near + long):
            paint_building(stage, which, place, near, near + long, look)
            near += long
        else:
            near += 4.0
        if stage.chance(gap):
            near += stage.between(2.0, 7.0)


def _paint_borders(stage: Stage, street: Street, which: int) -> None:
    """Draw fences and hedges: along gardens, or as a railing at the kerb."""
    side = street.side(which)
    kinds = ("railing", "planks", "mesh")
    line = which * (street.half_m + side.pavement_m + 0.3)
    if side.kind != "terrace":
        near = stage.between(1.5, 8.0)
        while near < 45.0:
            long = stage.between(5.0, 14.0)
            if not street.open_at(which, near, near + long):
                if stage.chance(0.4):
                    paint_fence(stage, line, near, near + long, stage.pick(kinds))
                elif stage.chance(0.4):
                    paint_hedge(stage, line, near, near + long, stage.pick(LEAVES))
            near += long + stage.between(0.0, 5.0)
    elif stage.chance(0.45):
        near = stage.between(4.0, 14.0)
        long = stage.between(5.0, 16.0)
        if not street.open_at(which, near, near + long):
            paint_fence(stage, which * (street.half_m + 0.35), near, near + long, kinds[2 * int(stage.chance(0.3))])


def _paint_trees(stage: Stage, street: Street, which: int) -> None:
    """Draw the trees of one side: at the kerb, in gardens or as a wood."""
    side = street.side(which)
    count = {"terrace": (0, 4), "houses": (2, 7), "green": (5, 10)}[side.kind]
    leaf = stage.pick(LEAVES)
    for _ in range(int(stage.rng.integers(*count))):
        ahead = stage.between(7.0, 55.0)
        away = stage.between(0.6, 1.4) if side.kind == "terrace" else side.pavement_m + stage.between(0.5, 7.0)
        if not street.open_at(which, ahead - 1.0, ahead + 1.0):
            other = stage.pick(LEAVES)
            green = mix(leaf, other, stage.between(0.0, 0.6))
            paint_tree(stage, which * (street.half_m + away), ahead, stage.between(4.5, 11.0), green)


def _paint_traffic(stage: Stage, street: Street) -> None:
    """Draw parked cars along the kerbs, cars ahead in our lane, oncoming and crossing ones."""
    for which in (-1, 1):
        if not stage.chance(0.6):
            continue
        near = stage.between(3.0, 12.0)
        for _ in range(int(stage.rng.integers(1, 6))):
            model = sample_model(stage)
            if not street.open_at(which, near, near + model.length_m):
                place = which * (street.half_m - model.half_m - 0.15)
                paint_vehicle(stage, place, near, model, oncoming=which > 0)
            near += model.length_m + stage.between(0.8, 6.0)
    if stage.chance(0.65):
        place, ahead = -street.half_m * stage.between(0.3, 0.5), stage.between(6.0, 20.0)
        paint_vehicle(stage, place, ahead, sample_model(stage), oncoming=False)
    if stage.chance(0.4):
        place, ahead = street.half_m * stage.between(0.35, 0.5), stage.between(8.0, 40.0)
        paint_vehicle(stage, place, ahead, sample_model(stage), oncoming=True)
    if street.crossing is not None and stage.chance(0.45):
        which, start, end = street.crossing
        place = which * (street.half_m * stage.between(0.0, 2.6))
        paint_crossing_vehicle(stage, place, (start + end) / 2.0, sample_model(stage))


def _paint_furniture(stage: Stage, street: Street) -> None:
    """Draw lamp posts, bollards, signs and clutter on the pavements."""
    height, ahead = stage.between(5.0, 8.5), stage.between(5.0, 12.0)
    which = stage.side()
    for _ in range(int(stage.rng.integers(1, 5))):
        if not street.open_at(which, ahead, ahead):
            paint_lamp_post(stage, which * (street.half_m + 0.5), ahead, height)
        ahead += stage.between(7.0, 16.0)
        which = -which if stage.chance(0.4) else which
    kinds = ("round", "triangle", "board", "lights")
    for _ in range(int(stage.rng.integers(1, 5))):
        which = stage.side(0.6)
        place = which * (street.half_m + stage.between(0.4, street.side(which).pavement_m))
        paint_sign(stage, place, stage.between(6.0, 17.0), stage.pick(kinds))
    if stage.chance(0.3):
        which = stage.side()
        count = int(stage.rng.integers(2, 6))
        paint_bollards(stage, which * (street.half_m + 0.45), stage.between(5.0, 12.0), count)
    for _ in range(int(stage.rng.integers(0, 3))):
        which = stage.side()
        place = which * (street.half_m + stage.between(0.8, street.side(which).pavement_m))
        paint_clutter(stage, place, stage.between(5.0, 16.0))


def _paint_people(stage: Stage, street: Street) -> None:
    """Draw pedestrians on the pavements and now and then on the road, and bicyclists."""
    for _ in range(int(stage.rng.integers(0, 6))):
        which = stage.side()
        away = stage.between(0.4, street.side(which).pavement_m)
        place = which * (street.half_m + away) if stage.chance(0.85) else stage.between(-3.0, 3.0)
        paint_pedestrian(stage, place, stage.between(5.5, 22.0))
    for _ in range(int(stage.rng.choice(3, p=(0.32, 0.46, 0.22)))):
        ahead = stage.between(6.0, 16.0)
        if stage.chance(0.45):
            paint_bicyclist(stage, stage.between(-4.0, 4.0), ahead, "side")
        else:
            place = street.half_m - stage.between(0.4, 1.4)
            paint_bicyclist(stage, -place if stage.chance(0.65) else place, ahead, "behind")


def _blur_borders(stage: Stage, label: Pixels) -> None:
    """Make a thin band of void along some of the borders between classes, in place."""
    border = np.zeros(label.shape, np.bool_)
    border[:, 1:] |= label[:, 1:] != label[:, :-1]
    border[1:] |= label[1:] != label[:-1]
    some = value_noise(stage.rng, HEIGHT, WIDTH, 14) > stage.between(0.5, 0.75)
    label[border & some] = VOID

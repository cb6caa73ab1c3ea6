"""Buildings, fences and hedges of the drawn road scenes: whatever stands along the road."""

from dataclasses import dataclass

import numpy as np

from datasets.roads.canvas import (
    BUILDING,
    FENCE,
    TREE,
    Color,
    Floats,
    Mask,
    Region,
    box,
    plane,
    tinted,
)
from datasets.roads.light import Stage, mix, scaled

# Walls take the colors of road, sky and cars as well as brick: color alone must not tell them.
WALLS: tuple[Color, ...] = (
    (0.56, 0.30, 0.22),
    (0.66, 0.46, 0.34),
    (0.78, 0.72, 0.60),
    (0.88, 0.87, 0.84),
    (0.52, 0.52, 0.54),
    (0.36, 0.37, 0.40),
    (0.66, 0.72, 0.80),
    (0.44, 0.46, 0.38),
    (0.74, 0.62, 0.44),
    (0.66, 0.66, 0.60),
    (0.30, 0.24, 0.22),
)
ROOFS: tuple[Color, ...] = ((0.34, 0.22, 0.19), (0.28, 0.29, 0.33), (0.46, 0.28, 0.22), (0.22, 0.22, 0.24))
SHOPS: tuple[Color, ...] = (
    (0.70, 0.14, 0.14),
    (0.12, 0.30, 0.55),
    (0.12, 0.40, 0.26),
    (0.85, 0.72, 0.25),
    (0.15, 0.15, 0.17),
    (0.90, 0.90, 0.88),
)


def paint_wall(
    stage: Stage, side: float, near: float, far: float, height: float
) -> tuple[Region, Floats, Floats] | None:
    """A plane along the road from `near` to `far`: its region, and its metres ahead (1, columns) and up
    (rows, columns).

    None where it lies outside the picture. The caller colors it.
    """
    camera = stage.camera
    (x0, _), (x1, _) = camera.project(side, 0.0, near)[0], camera.project(side, 0.0, far)[0]
    if x0 == x1:
        return None
    top = camera.horizon_px - camera.focal_px * (height - camera.height_m) / near
    far_top = camera.horizon_px - camera.focal_px * (height - camera.height_m) / far
    bottom = camera.horizon_px + camera.focal_px * camera.height_m / near
    far_bottom = camera.horizon_px + camera.focal_px * camera.height_m / far
    area = box(min(x0, x1), min(top, far_top), max(x0, x1), max(bottom, far_bottom))
    if area is None:
        return None
    rows, columns = area
    x = np.arange(columns.start, columns.stop, dtype=np.float64)[None, :] + 0.5
    y = np.arange(rows.start, rows.stop, dtype=np.float64)[:, None] + 0.5
    # 1 / ahead is what changes evenly across the picture.
    share = np.clip((x - x0) / (x1 - x0), 0.0, 1.0)
    ahead = 1.0 / (1.0 / near + share * (1.0 / far - 1.0 / near))
    inside = (x >= min(x0, x1)) & (x < max(x0, x1))
    up = camera.height_m - (y - camera.horizon_px) * ahead / camera.focal_px
    mask = inside & (up >= 0.0) & (up < height)
    return Region(rows, columns, mask), ahead.astype(np.float32), up.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Facade:
    """How a building looks: sizes in metres."""

    wall: Color
    roof: Color
    height_m: float
    roof_m: float
    gable_m: float
    storey_m: float
    bay_m: float
    window: tuple[float, float]
    glass: Color
    shop: Color | None


def sample_facade(stage: Stage, height: float) -> Facade:
    """Draw the looks of one building about so high."""
    wall = stage.pick(WALLS)
    wall = mix(wall, stage.pick(WALLS), stage.between(0.0, 0.35))
    sky = mix(stage.light.sky_low, (0.2, 0.24, 0.3), stage.between(0.45, 0.95))
    pitched = stage.chance(0.6)
    return Facade(
        wall=wall,
        roof=stage.pick(ROOFS),
        height_m=height,
        roof_m=stage.between(1.0, 2.4) if pitched else 0.0,
        gable_m=stage.between(4.0, 8.0) if pitched and stage.chance(0.35) else 0.0,
        storey_m=stage.between(2.7, 3.6),
        bay_m=stage.between(1.8, 3.6),
        window=(stage.between(0.3, 0.62), stage.between(0.35, 0.6)),
        glass=sky,
        shop=stage.pick(SHOPS) if stage.chance(0.45) else None,
    )


def paint_building(stage: Stage, which: int, side: float, near: float, far: float, look: Facade) -> None:
    """Draw a building's wall along the road and the wall that it turns to the camera."""
    top = look.height_m + look.roof_m
    found = paint_wall(stage, side, near, far, top)
    if found is not None:
        region, ahead, up = found
        region, roof = _roof_line(region, ahead - near, up, look)
        bright = stage.light.wall(which)
        color = _facade_color(stage, look, ahead - near, up, bright)
        _tint(color, roof, scaled(look.roof, bright))
        stage.canvas.put(region, color, BUILDING, ahead)
    _front_wall(stage, which, side, near, stage.between(7.0, 12.0), look)
    if look.roof_m > 0.0:
        for _ in range(int(stage.rng.integers(0, 3))):
            _chimney(stage, which, side, stage.between(max(near, 3.0), max(far, 4.0)), look)


def _chimney(stage: Stage, which: int, side: float, ahead: float, look: Facade) -> None:
    """Draw a chimney just behind the roof's edge."""
    low, high = look.height_m, look.height_m + look.roof_m + stage.between(0.6, 1.6)
    left, right = side + which * 0.8, side + which * 2.0
    stack = stage.camera.project(np.array([left, left, right, right]), np.array([low, high, high, low]), ahead)
    stage.canvas.fill(stack, scaled(look.wall, stage.light.front * 0.8), BUILDING, ahead + 1.0)


def _roof_line(region: Region, along: Floats, up: Floats, look: Facade) -> tuple[Region, Mask]:
    """The region cut along the roof's outline, and where the roof's tiles are."""
    above = up >= look.height_m
    if look.gable_m == 0.0:
        return region, above
    slope = 1.0 - np.abs(2.0 * ((along / look.gable_m) % 1.0) - 1.0)
    ridge = look.height_m + look.roof_m * slope
    mask = region.mask & (up < ridge)
    return region._replace(mask=mask), above & (up > ridge - 0.3)


def _facade_color(stage: Stage, look: Facade, along: Floats, up: Floats, bright: float) -> Floats:
    """Colors (3, rows, columns) of a wall with its windows, by metres along (1, columns) and up."""
    shape = up.shape
    storey, bay = np.floor(up / np.float32(look.storey_m)), np.floor(along / np.float32(look.bay_m))
    across = np.abs(along / np.float32(look.bay_m) - bay - np.float32(0.5))
    upward = up / np.float32(look.storey_m) - storey
    middle = np.abs(upward - np.float32(0.5))
    wide, high = look.window[0] / 2.0, look.window[1] / 2.0
    ground = storey < 1
    upper = ~ground & (up < look.height_m - 0.3)
    pane = (across < wide) & (middle < high)
    frame = upper & (across < wide + 0.05) & (middle < high + 0.04)
    shown = pane & upper
    noise = stage.patch(stage.coarse, *shape) * np.float32(0.08) + stage.patch(stage.fine, *shape) * np.float32(0.05)
    color = tinted(look.wall, noise + np.float32(bright))
    _tint(color, frame, scaled(mix(look.wall, (0.92, 0.92, 0.9), 0.6), bright))
    if look.shop is None:
        door = ground & (bay % 3 == 1) & (across < 0.2) & (upward < 0.72)
        shown |= pane & ground & (bay % 3 != 1)
        _tint(color, door, scaled(stage.pick(SHOPS), 0.7 * bright))
    else:
        shown |= ground & (upward > 0.15) & (upward < 0.74) & (across < 0.45)
        _tint(color, ground & (upward > 0.78), scaled(look.shop, bright))
    mood = stage.rng.random((8, 64), dtype=np.float32)
    lit = mood[np.clip(storey, 0, 7).astype(np.intp), np.clip(bay, 0, 63).astype(np.intp)]
    glass = tinted(look.glass, (np.float32(0.45) + np.float32(0.75) * lit) * np.float32(0.6 + 0.4 * bright))
    if stage.light.lamps:
        _tint(glass, lit > 0.72, (1.5, 1.15, 0.6))
    np.copyto(color, glass, where=shown)
    return color


def _tint(picture: Floats, where: Mask, color: Color) -> None:
    """Give some pixels of (3, rows, columns) one color."""
    np.copyto(picture, plane(color), where=where)


def _front_wall(stage: Stage, which: int, side: float, near: float, width: float, look: Facade) -> None:
    """Draw the blank end wall that a building turns to the camera, with its gable."""
    if near < 2.5:
        return
    outer = side + which * width
    ridge = (side + outer) / 2.0
    wall = stage.camera.project(
        np.array([side, side, ridge, outer, outer]),
        np.array([0.0, look.height_m, look.height_m + look.roof_m, look.height_m, 0.0]),
        near,
    )
    stage.canvas.fill(wall, scaled(look.wall, stage.light.front * 0.95), BUILDING, near)
    if look.shop is None and stage.chance(0.5):
        for storey in range(1, int(look.height_m / look.storey_m)):
            s = side + which * width * 0.5
            y = storey * look.storey_m
            pane = stage.camera.project(
                np.array([s - 0.6, s - 0.6, s + 0.6, s + 0.6]),
                np.array([y + 0.8, y + 2.2, y + 2.2, y + 0.8]),
                near,
            )
            stage.canvas.fill(pane, scaled(look.glass, 0.7), BUILDING, near)


def paint_fence(stage: Stage, side: float, near: float, far: float, kind: str) -> None:
    """Draw a fence along the road: "railing", "planks" or "mesh". All within its outline is fence."""
    height = stage.between(0.95, 1.9 if kind == "planks" else 1.4)
    found = paint_wall(stage, side, near, far, height)
    if found is None:
        return
    region, ahead, up = found
    along = ahead - np.float32(near)
    dark: tuple[Color, ...] = (
        (0.12, 0.13, 0.14),
        (0.55, 0.56, 0.56),
        (0.16, 0.24, 0.19),
        (0.42, 0.32, 0.22),
    )
    base = stage.pick(dark) if kind != "planks" else (0.46, 0.36, 0.26)
    bright = stage.light.wall(-1 if side < 0 else 1)
    shape = up.shape
    shade = 1.0 + stage.patch(stage.fine, *shape) * np.float32(0.12)
    if kind == "planks":
        shade = shade * np.where(along % 0.22 < 0.035, np.float32(0.6), np.float32(1.0))
        shade = shade * np.where(along % 2.0 < 0.12, np.float32(0.75), np.float32(1.0))
        seen = None
    else:
        step, bar = (0.24, 0.09) if kind == "railing" else (0.5, 0.07)
        rails = (up > height - 0.1) | ((up > 0.12) & (up < 0.22))
        if kind == "mesh":
            rails |= (up % 0.35) < 0.08
        seen = rails | (along % step < bar) | (along % 2.4 < 0.16)
    stage.canvas.put(region, tinted(scaled(base, bright), shade), FENCE, ahead - np.float32(0.2), seen)


def paint_hedge(stage: Stage, side: float, near: float, far: float, green: Color) -> None:
    """Draw a hedge along the road with an uneven top; it counts as tree."""
    height = stage.between(0.9, 2.4)
    found = paint_wall(stage, side, near, far, height + 0.4)
    if found is None:
        return
    region, ahead, up = found
    shape = up.shape
    rough = stage.patch(stage.fine, *shape) + stage.patch(stage.coarse, *shape)
    mask = region.mask & (up < height + 0.25 * rough)
    bright = stage.light.wall(-1 if side < 0 else 1)
    shade = bright * (0.55 + 0.45 * np.clip(up / height, 0.0, 1.0)) * (1.0 + 0.5 * rough)
    stage.canvas.put(region._replace(mask=mask), tinted(green, shade.astype(np.float32)), TREE, ahead - np.float32(0.2))

"""Light of the drawn road scenes: time of day, sky, haze and the camera's own flaws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from datasets.roads.canvas import (
    COLUMNS,
    FAR_M,
    HEIGHT,
    ROWS,
    SCALE,
    WIDTH,
    Camera,
    Canvas,
    Color,
    Floats,
    plane,
    tinted,
    value_noise,
)

Option = TypeVar("Option")

LEAVES: tuple[Color, ...] = (
    (0.16, 0.26, 0.10),
    (0.18, 0.28, 0.10),
    (0.10, 0.16, 0.09),
    (0.24, 0.20, 0.10),
    (0.24, 0.33, 0.13),
    (0.20, 0.28, 0.18),
    (0.34, 0.28, 0.13),
)
"""Colors of leaves: greens, and brown in autumn."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """The light of one picture.

    `sun_side` is -1 (sun to the left), 0 (no direct sun) or 1; `sun_behind` tells whether faces turned to
    the camera are lit. `cast` multiplies the three channels; `lamps` is true where windows and car lamps
    are lit.
    """

    kind: str
    sun_side: int
    sun_behind: bool
    ambient: float
    sky_top: Color
    sky_low: Color
    clouds: float
    haze: Color
    haze_m: float
    exposure: float
    cast: Color
    noise: float
    lamps: bool

    def wall(self, side: int) -> float:
        """Brightness of a wall that stands on this side (-1 left, 1 right) and faces the road."""
        if self.sun_side == 0:
            return 0.85
        return 1.1 if self.sun_side != side else self.ambient

    @property
    def front(self) -> float:
        """Brightness of faces turned towards the camera."""
        if self.sun_side == 0:
            return 0.8
        return 1.0 if self.sun_behind else self.ambient + 0.1

    @property
    def shadow(self) -> float:
        """Brightness of ground in the shadow."""
        return 1.0 if self.sun_side == 0 else self.ambient


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What drawing a scene needs: random numbers, camera, canvas, light and noise textures in -1..1."""

    rng: np.random.Generator
    camera: Camera
    canvas: Canvas
    light: Light
    coarse: Floats
    fine: Floats

    def between(self, low: float, high: float) -> float:
        """A random number between two bounds."""
        return low + (high - low) * float(self.rng.random())

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def side(self, left: float = 0.5) -> int:
        """-1, for the left, with this probability, else 1."""
        return -1 if self.chance(left) else 1

    def pick(self, options: Sequence[Option]) -> Option:
        """One of several that are equally likely."""
        return options[int(self.rng.integers(len(options)))]

    def patch(self, texture: Floats, rows: int, columns: int) -> Floats:
        """A random cut (rows, columns) of a noise texture."""
        top = int(self.rng.integers(0, ROWS - rows + 1))
        left = int(self.rng.integers(0, COLUMNS - columns + 1))
        return texture[top : top + rows, left : left + columns]


def mix(a: Color, b: Color, share: float) -> Color:
    """The color between two colors; share 0 gives the first."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def scaled(color: Color, factor: float) -> Color:
    """A color made brighter or darker."""
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def sample_light(rng: np.random.Generator) -> Light:
    """Draw the light of a picture: day with sun, overcast or dusk."""
    kind = ("day", "overcast", "dusk")[int(rng.choice(3, p=(0.42, 0.36, 0.22)))]
    u = [float(v) for v in rng.random(8)]
    sun_side = 0 if kind == "overcast" else (-1 if u[0] < 0.5 else 1)
    cast: Color
    if kind == "day":
        top = mix((0.25, 0.45, 0.80), (0.55, 0.70, 0.90), u[1])
        low = mix((0.70, 0.82, 0.95), (0.98, 0.98, 0.97), u[2])
        cast = mix((1.12, 1.0, 0.86), (0.92, 1.0, 1.08), u[3])
        exposure, haze_m, ambient = 0.9 + 0.4 * u[4], 220.0 + 500.0 * u[5], 0.42 + 0.14 * u[6]
    elif kind == "overcast":
        top = mix((0.50, 0.54, 0.60), (0.82, 0.84, 0.88), u[1])
        low = mix((0.72, 0.74, 0.78), (0.96, 0.96, 0.96), u[2])
        cast = mix((0.91, 1.0, 1.08), (1.06, 1.0, 0.92), u[3])
        exposure, haze_m, ambient = 0.85 + 0.4 * u[4], 140.0 + 300.0 * u[5], 0.8
    else:
        top = mix((0.26, 0.28, 0.40), (0.46, 0.46, 0.50), u[1])
        low = mix((0.85, 0.58, 0.36), (0.62, 0.60, 0.62), u[2])
        cast = mix((1.12, 0.98, 0.84), (0.90, 0.97, 1.14), u[3])
        exposure, haze_m, ambient = 0.58 + 0.3 * u[4], 150.0 + 300.0 * u[5], 0.55 + 0.1 * u[6]
    return Light(
        kind=kind,
        sun_side=sun_side,
        sun_behind=bool(rng.random() < 0.5),
        ambient=ambient,
        sky_top=top,
        sky_low=low,
        clouds=float(rng.random()),
        haze=mix(low, (0.75, 0.76, 0.78), 0.4),
        haze_m=haze_m,
        exposure=exposure,
        cast=cast,
        noise=(0.012 + 0.02 * u[7]) * (1.5 if kind == "dusk" else 1.0),
        lamps=kind == "dusk",
    )


def paint_sky(stage: Stage) -> None:
    """Fill the picture with the sky, from its top color to its color at the horizon, and clouds."""
    light = stage.light
    rows = max(1, stage.camera.first_ground_row)
    height = (np.arange(rows, dtype=np.float32) + 0.5) / rows
    fall = (height * height)[None, :, None]
    top, low = (plane(color) for color in (light.sky_top, light.sky_low))
    sky = np.repeat(top + (low - top) * fall, COLUMNS, axis=2)
    # Clouds get flatter towards the horizon: the noise rows are read at growing steps.
    source = np.minimum((height * (1.0 + 1.2 * height) * rows).astype(np.intp), ROWS - 1)
    cloud = np.clip(stage.coarse[source] * 1.6 + np.float32(light.clouds * 1.6 - 0.8), 0.0, 1.0)
    white = mix(light.sky_low, (0.97, 0.97, 0.98), 0.55 if light.kind == "day" else 0.15)
    shade = 1.0 - np.float32(0.22) * np.clip(stage.coarse[::-1][source] + np.float32(0.2), 0.0, 1.0)
    sky += (tinted(white, shade) - sky) * (cloud * np.float32(0.85))
    stage.canvas.picture[:, :rows] = sky


def develop(stage: Stage) -> NDArray[np.uint8]:
    """The final picture (HEIGHT, WIDTH, 3): the canvas under haze, exposure, cast, lens and sensor noise."""
    light, canvas, rng = stage.light, stage.canvas, stage.rng
    depth = canvas.depth[::SCALE, ::SCALE]
    share = np.where(depth < FAR_M, depth / (depth + np.float32(light.haze_m)), np.float32(0.0))
    picture = canvas.picture[:, ::2] + canvas.picture[:, 1::2]
    picture = (picture[:, :, ::2] + picture[:, :, 1::2]) * np.float32(1.0 / SCALE**2)
    picture += (plane(light.haze) - picture) * share
    picture *= plane(light.cast) * np.float32(light.exposure)
    picture *= _uneven(stage)
    picture = _seen_by_camera(stage, picture)
    if stage.chance(0.6):
        picture = _soften(picture)
    grain = rng.standard_normal((3, HEIGHT, WIDTH), dtype=np.float32)
    # Shot noise grows with the light, but a dark pixel keeps the noise of the read-out.
    grain *= np.float32(light.noise) * (0.5 + 0.8 * np.clip(picture, 0.0, 1.0))
    grain += np.float32(light.noise * 1.2) * (value_noise(rng, HEIGHT, WIDTH, 3) - 0.5)
    levels = np.rint(np.clip(picture + grain, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def _seen_by_camera(stage: Stage, picture: Floats) -> Floats:
    """The picture (3, HEIGHT, WIDTH) as one of many cameras gives it: white balance, contrast, gain.

    All are pale, some wholly gray, and what is bright in one is dark in another: color alone is a poor guide
    to the class, while what is brighter or darker within a picture stays so.
    """
    warm, green = stage.between(-0.22, 0.22), stage.between(-0.10, 0.10)
    gains = plane((1.0 + warm, 1.0 + green, 1.0 - warm))
    contrast, gain = np.float32(stage.between(0.8, 1.3)), np.float32(2.0 ** stage.between(-0.5, 0.7))
    saturation = np.float32(stage.between(0.0, 0.35))
    gray = picture.mean(axis=0, keepdims=True)
    seen: Floats = (gray + (picture - gray) * saturation) * gains
    middle = np.float32(0.45)
    return (middle + (seen - middle) * contrast) * gain


def _uneven(stage: Stage) -> Floats:
    """Brightness (HEIGHT, WIDTH) of the lens: darker corners and a slant that no object explains."""
    y = np.linspace(-1.0, 1.0, HEIGHT, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, WIDTH, dtype=np.float32)[None, :]
    corners = 1.0 - np.float32(stage.between(0.0, 0.16)) * (x * x + y * y) * 0.5
    slant = np.float32(stage.between(-0.12, 0.12)) * x + np.float32(stage.between(-0.1, 0.1)) * y
    uneven: Floats = (corners * (1.0 + slant)).astype(np.float32)
    return uneven


def _soften(picture: Floats) -> Floats:
    """Blur by 1-2-1 weights both ways, the edge pixels repeated."""
    wide = np.pad(picture, ((0, 0), (1, 1), (1, 1)), mode="edge")
    wide = wide[:, 1:-1] * np.float32(0.5) + (wide[:, :-2] + wide[:, 2:]) * np.float32(0.25)
    soft: Floats = wide[:, :, 1:-1] * np.float32(0.5) + (wide[:, :, :-2] + wide[:, :, 2:]) * np.float32(0.25)
    return soft

"""Pedestrians and bicyclists of the drawn road scenes."""

from itertools import pairwise

import numpy as np

from datasets.roads.canvas import BICYCLIST, PEDESTRIAN, Color, ellipse, limb
from datasets.roads.light import Stage, scaled
from datasets.roads.objects import CLOTHES, ground_shadow, sprite

SKINS: tuple[Color, ...] = ((0.86, 0.68, 0.56), (0.72, 0.52, 0.40), (0.48, 0.33, 0.24), (0.92, 0.76, 0.66))


def paint_pedestrian(stage: Stage, side: float, ahead: float) -> None:
    """Draw a person on foot, standing or walking."""
    tall = stage.between(1.45, 1.9)
    figure = sprite(stage, side, ahead, PEDESTRIAN, stage.light.front * stage.between(0.85, 1.1))
    coat, legs = stage.pick(CLOTHES), stage.pick(CLOTHES)
    skin, hair = stage.pick(SKINS), scaled((0.3, 0.22, 0.15), stage.between(0.3, 1.6))
    stride = stage.between(0.02, 0.26)
    ground_shadow(stage, side, ahead, 0.4)
    hip, shoulder = tall * 0.48, tall * 0.82
    for step in (-stride, stride):
        figure.fill(limb(step * 0.3, hip, step, 0.04, 0.2, 0.13), legs)
        figure.bar((step - 0.04, 0.04), (step + 0.12, 0.04), 0.09, (0.08, 0.07, 0.07))
    wide = stage.between(0.19, 0.26)
    long = hip - stage.between(0.0, 0.3)
    torso = [(-wide, shoulder - 0.06), (-wide * 0.5, shoulder + 0.04), (wide * 0.5, shoulder + 0.04)]
    figure.fill([*torso, (wide, shoulder - 0.06), (wide * 0.85, long), (-wide * 0.85, long)], coat)
    for arm in (-1.0, 1.0):
        hand = arm * wide + arm * 0.05 - stride * 0.6 * arm
        figure.fill(limb(arm * wide * 0.95, shoulder - 0.03, hand + arm * 0.08, hip, 0.13, 0.09), scaled(coat, 0.85))
        figure.disc(hand + arm * 0.08, hip - 0.02, 0.05, 0.05, skin)
    if stage.chance(0.35):
        figure.rectangle(wide * 0.6, hip + 0.1, wide * 1.5, hip - 0.25, hair)
    figure.disc(0.0, tall * 0.91, 0.105, tall * 0.075, skin)
    figure.disc(0.0, tall * 0.945, 0.115, tall * 0.05, hair)


def paint_bicyclist(stage: Stage, side: float, ahead: float, view: str) -> None:
    """Draw a person on a bicycle, from the "side" or from "behind"; wheels count to their rims."""
    figure = sprite(stage, side, ahead, BICYCLIST, stage.light.front * stage.between(0.85, 1.1))
    coat, legs = stage.pick(CLOTHES), stage.pick(CLOTHES)
    skin, frame = stage.pick(SKINS), stage.pick(CLOTHES)
    tyre: Color = (0.06, 0.06, 0.07)
    ground_shadow(stage, side, ahead, 0.6)
    if view == "behind":
        figure.disc(0.0, 0.34, 0.07, 0.34, tyre)
        figure.bar((-0.3, 1.02), (0.3, 1.02), 0.06, tyre)
        for leg, foot in ((-0.13, 0.25), (0.13, 0.45)):
            figure.fill(limb(leg * 0.7, 0.95, leg * 1.3, foot, 0.2, 0.12), legs)
        figure.fill([(-0.24, 1.5), (0.24, 1.5), (0.19, 0.86), (-0.19, 0.86)], coat)
        for arm in (-1.0, 1.0):
            figure.fill(limb(arm * 0.24, 1.44, arm * 0.3, 1.02, 0.12, 0.09), scaled(coat, 0.85))
        if stage.light.lamps or stage.chance(0.3):
            figure.disc(0.0, 0.8, 0.05, 0.05, (1.4, 0.15, 0.1))
        head = (0.0, 1.66)
    else:
        turn = -1.0 if stage.chance(0.5) else 1.0
        for wheel in (-0.52, 0.52):
            rim = ellipse(wheel, 0.34, 0.34, 0.34)
            hole = ellipse(wheel, 0.34, 0.27, 0.27)
            figure.fill(rim, None)
            # The hole's outline follows the rim's in one path, so that the even-odd rule leaves it open.
            figure.fill(np.concatenate([rim, rim[:1], hole, hole[:1]]), tyre)
        joints = [(-0.52, 0.34), (-0.05, 0.32), (0.42, 0.82), (-0.18, 0.85), (-0.05, 0.32)]
        for start, end in pairwise(joints):
            figure.bar((start[0] * turn, start[1]), (end[0] * turn, end[1]), 0.06, frame)
        figure.bar((0.52 * turn, 0.34), (0.38 * turn, 1.0), 0.06, frame)
        for knee, toe in (((0.22, 0.66), (0.02, 0.2)), ((0.26, 0.8), (0.08, 0.42))):
            figure.fill(limb(-0.16 * turn, 0.94, knee[0] * turn, knee[1], 0.2, 0.16), legs)
            figure.fill(limb(knee[0] * turn, knee[1], toe[0] * turn, toe[1], 0.15, 0.1), legs)
        figure.fill(limb(-0.16 * turn, 0.92, 0.14 * turn, 1.45, 0.3, 0.34), coat)
        figure.fill(limb(0.14 * turn, 1.4, 0.4 * turn, 1.02, 0.12, 0.08), scaled(coat, 0.85))
        head = (0.24 * turn, 1.62)
    figure.disc(head[0], head[1], 0.11, 0.13, skin)
    figure.disc(head[0], head[1] + 0.06, 0.13, 0.09, stage.pick(CLOTHES))

"""People as low-poly meshes: clothes, hair and build from the person's number, limbs from the gait phase.

`Mover.look` = person * GAIT_PHASES + phase, as sim_envs/movers.py counts it. Local frame: x ahead, y left, z up.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim_envs.simulator import Mover

GAIT_PHASES = 16
_HEIGHT, _RADIUS = 1.7, 0.25  # m, of the person that is drawn before it is scaled to the mover

_SKIN = np.array([[241, 205, 177], [224, 172, 136], [198, 134, 96], [141, 92, 62], [92, 58, 40]])
_HAIR = np.array([[28, 22, 18], [62, 42, 28], [110, 74, 42], [186, 148, 92], [150, 150, 150], [140, 58, 30]])
_TOPS = np.array([
    [176, 40, 44], [32, 64, 128], [236, 236, 230], [44, 44, 48], [52, 112, 72], [222, 170, 48], [120, 66, 128],
    [96, 160, 196], [150, 108, 76], [222, 116, 56], [120, 126, 134], [206, 150, 166],
])
_BOTTOMS = np.array([[40, 52, 86], [30, 30, 34], [96, 88, 74], [70, 74, 80], [126, 108, 84], [58, 66, 52]])
_SHOES = np.array([[24, 22, 22], [230, 230, 230], [96, 60, 36], [120, 30, 30]])


@dataclass(frozen=True)
class PersonMesh:
    triangles: np.ndarray  # [F, 3, 3] float32 world, m, counter-clockwise from outside
    colours: np.ndarray  # [F, 3] uint8 sRGB, one per triangle


def person_mesh(mover: Mover) -> PersonMesh:
    """The mover as a walking person, feet on its pose's z, as wide and tall as the mover says."""
    triangles, colours = _figure(mover.look)
    wide, tall = mover.radius / _RADIUS, mover.height / _HEIGHT
    c, s = wide * math.cos(mover.pose.yaw), wide * math.sin(mover.pose.yaw)
    turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, tall]], dtype=np.float32)
    placed = triangles.reshape(-1, 3) @ turn + mover.pose.position.astype(np.float32)
    return PersonMesh(placed.reshape(-1, 3, 3), colours)


@functools.lru_cache(maxsize=2048)
def _figure(look: int) -> tuple[np.ndarray, np.ndarray]:
    """Local triangles [F, 3, 3] float32 and colours [F, 3] uint8 of one look, not to be written to."""
    person, phase = divmod(look, GAIT_PHASES)
    rng = np.random.default_rng([abs(person), 7919])
    skin, hair = rng.choice(_SKIN), rng.choice(_HAIR)
    top, bottom, shoes = rng.choice(_TOPS), rng.choice(_BOTTOMS), rng.choice(_SHOES)
    style, sleeves, coat, skirt, pack = rng.random(5)
    build = rng.uniform(0.9, 1.12)
    lower = skin if skirt < 0.2 else bottom
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    swing = 2.0 * math.pi * phase / GAIT_PHASES
    for side in (-1, 1):
        parts += _leg(side, swing + (math.pi if side > 0 else 0.0), build, lower, shoes)
        parts += _arm(side, swing + (0.0 if side > 0 else math.pi), build, top if sleeves > 0.35 else skin, top, skin)
    parts += _trunk(build, top, bottom, coat < 0.3, skirt < 0.2)
    parts += _head(skin, hair, style)
    if pack < 0.2:
        parts.append((_tube([(-0.17, 0.0, 0.98), (-0.18, 0.0, 1.36)], [(0.07, 0.15), (0.06, 0.13)], 6), top * 0.6))
    triangles = np.concatenate([part for part, _ in parts]).astype(np.float32)
    triangles[..., 2] -= triangles[..., 2].min()  # one foot is always on the floor
    colours = np.concatenate([np.broadcast_to(colour, (len(part), 3)) for part, colour in parts]).astype(np.uint8)
    triangles.flags.writeable = colours.flags.writeable = False
    return triangles, colours


Part = tuple[np.ndarray, np.ndarray]  # triangles [F, 3, 3] and one colour [3]


def _leg(side: int, swing: float, build: float, colour: np.ndarray, shoe: np.ndarray) -> list[Part]:
    hip = np.array([0.0, side * 0.09 * build, 0.88])
    thigh = 0.26 * math.sin(swing)
    knee_bend = 0.45 * max(0.0, math.cos(swing))  # the leg that swings ahead is bent
    knee = hip + 0.43 * np.array([math.sin(thigh), 0.0, -math.cos(thigh)])
    shin = thigh - knee_bend
    ankle = knee + 0.37 * np.array([math.sin(shin), 0.0, -math.cos(shin)])
    ankle[2] = max(ankle[2], 0.07)
    limb = _tube([hip, knee, ankle], [(0.085 * build, 0.085 * build), (0.06, 0.058), (0.043, 0.042)], 5)
    sole = ankle + np.array([0.05, 0.0, -0.065])
    instep = sole + np.array([0.0, 0.0, 0.09])
    return [(limb, colour), (_tube([sole, instep], [(0.125, 0.048), (0.075, 0.042)], 6), shoe)]


def _arm(
    side: int, swing: float, build: float, colour: np.ndarray, sleeve: np.ndarray, skin: np.ndarray
) -> list[Part]:
    shoulder = np.array([0.0, side * 0.205 * build, 1.39])
    upper = 0.28 * math.sin(swing)
    elbow = shoulder + 0.27 * np.array([math.sin(upper), side * 0.06, -math.cos(upper)])
    fore = upper + 0.3
    wrist = elbow + 0.23 * np.array([math.sin(fore), 0.0, -math.cos(fore)])
    hand = wrist + 0.1 * np.array([math.sin(fore), 0.0, -math.cos(fore)])
    return [
        (_tube([shoulder + np.array([0.0, 0.0, 0.03]), elbow], [(0.055, 0.05), (0.042, 0.04)], 5), sleeve),
        (_tube([elbow, wrist], [(0.042, 0.04), (0.03, 0.03)], 5), colour),
        (_tube([wrist, hand], [(0.034, 0.02), (0.026, 0.014)], 4), skin),
    ]


def _trunk(build: float, top: np.ndarray, bottom: np.ndarray, coat: bool, skirt: bool) -> list[Part]:
    b = build
    shirt = _tube(
        [(0, 0, 0.9), (0, 0, 1.08), (0.01, 0, 1.28), (0, 0, 1.4), (0, 0, 1.46)],
        [(0.105 * b, 0.155 * b), (0.095 * b, 0.14 * b), (0.115 * b, 0.175 * b), (0.09 * b, 0.2 * b), (0.055, 0.07)], 7,
    )
    if coat:
        hem = _tube([(0, 0, 0.62), (0, 0, 0.95)], [(0.15 * b, 0.2 * b), (0.12 * b, 0.165 * b)], 8)
        return [(shirt, top), (hem, top)]
    if skirt:
        hem = _tube([(0, 0, 0.52), (0, 0, 0.92)], [(0.17 * b, 0.22 * b), (0.11 * b, 0.16 * b)], 8)
        return [(shirt, top), (hem, bottom)]
    hips = _tube([(0, 0, 0.8), (0, 0, 0.93)], [(0.1 * b, 0.155 * b), (0.108 * b, 0.16 * b)], 8)
    return [(shirt, top), (hips, bottom)]


def _head(skin: np.ndarray, hair: np.ndarray, style: float) -> list[Part]:
    neck = _tube([(0, 0, 1.42), (0.01, 0, 1.52)], [(0.05, 0.052), (0.048, 0.05)], 6)
    heights, sizes = [1.47, 1.5, 1.56, 1.62, 1.67, 1.69], [0.03, 0.065, 0.084, 0.085, 0.06, 0.02]
    face = _tube([(0.02, 0, z) for z in heights], [(1.12 * r, 0.9 * r) for r in sizes], 7)
    parts = [(neck, skin), (face, skin), (_tube([(0.11, 0, 1.55), (0.1, 0, 1.59)], [(0.02, 0.014)] * 2, 3), skin)]
    if style < 0.08:  # bald
        return parts
    back = [(-0.012, 0, 1.55), (-0.012, 0, 1.62), (0.0, 0, 1.68), (0.005, 0, 1.705)]
    parts.append((_tube(back, [(0.085, 0.086), (0.096, 0.088), (0.078, 0.07), (0.03, 0.025)], 7), hair))
    if style > 0.55:  # long
        parts.append((_tube([(-0.06, 0, 1.34), (-0.045, 0, 1.6)], [(0.04, 0.085), (0.06, 0.088)], 6), hair))
    return parts


@functools.lru_cache(maxsize=64)
def _tube_faces(rings: int, n: int) -> np.ndarray:
    """Faces over rings of n points each, with fans over both ends."""
    around = [(r * n + k, r * n + (k + 1) % n) for r in range(rings - 1) for k in range(n)]
    faces = [(a, b, b + n) for a, b in around] + [(a, b + n, a + n) for a, b in around]
    top = (rings - 1) * n
    faces += [(0, k + 1, k) for k in range(1, n - 1)] + [(top, top + k, top + k + 1) for k in range(1, n - 1)]
    return np.array(faces)


@functools.lru_cache(maxsize=16)
def _circle(n: int) -> np.ndarray:
    angle = (np.arange(n) + 0.5) * (2.0 * math.pi / n)
    return np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], axis=1)


def _tube(
    centres: Sequence[tuple[float, float, float] | np.ndarray], sizes: Sequence[tuple[float, float]], n: int
) -> np.ndarray:
    """Triangles [F, 3, 3] of a skin over level ellipses: their centres and (x, y) half-sizes, in order."""
    half = np.array([(x, y, 0.0) for x, y in sizes])
    points = (np.asarray(centres)[:, None] + half[:, None] * _circle(n)).reshape(-1, 3)
    triangles = points[_tube_faces(len(sizes), n)]
    return triangles if centres[0][2] < centres[-1][2] else triangles[:, ::-1]

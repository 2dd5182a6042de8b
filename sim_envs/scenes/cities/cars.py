"""Parked cars: four body types, skins drawn over cross-sections. x ahead, z up, standing on z = 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim_envs.scenes.cities.looks import PAINT, Looks
from sim_envs.scenes.cities.things import Kit, Workbench
from sim_envs.scenes.shapes import Shape


@dataclass(frozen=True)
class Body:
    """Sections from the tail to the nose, as fractions of the length, and the glass house on top. Metres."""

    length: float
    width: float
    belt: tuple[tuple[float, float], ...]  # (x fraction, z of the upper edge)
    house: tuple[tuple[float, float], ...]  # (x fraction, z): tail foot, tail top, wind-screen top, wind-screen foot
    wheel: float  # radius


BODIES = (
    Body(4.5, 1.78, ((0.0, 0.72), (0.04, 0.92), (0.24, 0.95), (0.66, 0.92), (0.96, 0.74), (1.0, 0.56)),
         ((0.1, 0.94), (0.24, 1.4), (0.52, 1.42), (0.7, 0.91)), 0.31),  # saloon
    Body(3.9, 1.72, ((0.0, 0.72), (0.03, 0.95), (0.3, 0.96), (0.7, 0.93), (0.96, 0.78), (1.0, 0.56)),
         ((0.02, 0.95), (0.1, 1.46), (0.54, 1.48), (0.74, 0.92)), 0.3),  # hatchback
    Body(4.7, 1.9, ((0.0, 0.8), (0.02, 1.08), (0.3, 1.1), (0.72, 1.08), (0.96, 0.96), (1.0, 0.62)),
         ((0.02, 1.08), (0.08, 1.68), (0.56, 1.7), (0.73, 1.07)), 0.37),  # off-roader
    Body(5.0, 1.94, ((0.0, 0.9), (0.01, 1.3), (0.3, 1.32), (0.8, 1.24), (0.97, 0.98), (1.0, 0.6)),
         ((0.01, 1.3), (0.02, 2.0), (0.76, 2.02), (0.9, 1.15)), 0.34),  # van
)
_SILL = 0.2  # m above the road


def make_cars(looks: Looks, rich: bool) -> tuple[Kit, ...]:
    return tuple(_car(looks, body, rich) for body in BODIES)


def _car(looks: Looks, body: Body, rich: bool) -> Kit:
    bench = Workbench(rich)
    bench.add(PAINT, _hull(body, rich))
    bench.add(looks.glass, _glass_house(body))
    bench.add(PAINT, _roof(body))
    half, long = body.width / 2, body.length
    for x in (0.19 * long, 0.81 * long):
        for side in (-1, 1):
            _wheel(bench, looks, body, x - long / 2, side, rich)
    nose, tail = long / 2, -long / 2
    for side in (-1, 1):
        bench.add(looks.white, _panel(nose - 0.012, side * (half - 0.3), 0.6, 0.36, 0.13))
        bench.add(looks.red, _panel(tail - 0.012, side * (half - 0.26), 0.7, 0.3, 0.14))
    bench.add(looks.white, _panel(tail - 0.012, 0.0, 0.5, 0.5, 0.11))
    bench.add(looks.dark, _panel(nose + 0.012, 0.0, 0.36, 0.9, 0.16))
    if rich:
        for side in (-1, 1):
            bench.box(looks.dark, (body.house[3][0] - 0.06 - 0.5) * long, side * (half + 0.06), 0.95, 0.14, 0.2, 0.14)
    return bench.kit()


def _section(body: Body, x: float, z: float, rich: bool) -> np.ndarray:
    """[n, 3] ring across the car at fraction x of its length, counter-clockwise seen from ahead."""
    narrow = 1.0 - 0.14 * (2 * abs(x - 0.5)) ** 6
    half, sill = narrow * body.width / 2, _SILL if 0.03 < x < 0.97 else _SILL + 0.1
    middle = (sill + z) / 2
    side = [(half * 0.92, sill), (half, middle), (half * 0.96, z - 0.05), (half * 0.86, z)] if rich else [
        (half * 0.95, sill), (half, middle), (half * 0.9, z)]
    ring = [*side, *((-y, height) for y, height in reversed(side))]
    return np.array([((x - 0.5) * body.length, y, height) for y, height in ring])


def _hull(body: Body, rich: bool) -> Shape:
    rings = np.stack([_section(body, x, z, rich) for x, z in body.belt])
    count, n = rings.shape[:2]
    points = rings.reshape(-1, 3)
    around = [(r * n + k, r * n + (k + 1) % n) for r in range(count - 1) for k in range(n)]
    faces = [(a, b, b + n) for a, b in around] + [(a, b + n, a + n) for a, b in around]
    last = (count - 1) * n
    faces += [(0, k + 1, k) for k in range(1, n - 1)] + [(last, last + k, last + k + 1) for k in range(1, n - 1)]
    index = np.array(faces)
    # Every triangle has its own corners, so that the light on a flank does not leak on to the bonnet.
    return Shape(points[index].reshape(-1, 3), np.arange(3 * len(index)).reshape(-1, 3), np.zeros((len(index), 3, 2)))


def _house_corners(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """The right and left outline [4, 3] of the glass house, in the order of Body.house."""
    low, high = 0.44 * body.width, 0.37 * body.width
    y = np.array([low, high, high, low])
    x = np.array([(fraction - 0.5) * body.length for fraction, _ in body.house])
    z = np.array([height for _, height in body.house])
    return np.stack([x, -y, z], axis=1), np.stack([x, y, z], axis=1)


def _flat(quads: list[list[np.ndarray]]) -> Shape:
    points = np.array(quads).reshape(-1, 3)
    faces = (4 * np.arange(len(quads))[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    return Shape(points, faces, np.zeros((len(faces), 3, 2)))


def _glass_house(body: Body) -> Shape:
    right, left = _house_corners(body)
    return _flat([
        [right[0], right[3], right[2], right[1]], [left[3], left[0], left[1], left[2]],  # sides
        [left[0], right[0], right[1], left[1]], [right[3], left[3], left[2], right[2]],  # rear and wind-screen
    ])


def _roof(body: Body) -> Shape:
    """The roof and the pillars at the four corners of the glass house and between its doors."""
    right, left = _house_corners(body)
    quads = [[right[1], right[2], left[2], left[1]]]
    for side, outline in ((-1, right), (1, left)):
        out = np.array([0.0, side * 0.012, 0.0])
        for low, high in ((outline[0], outline[1]), (outline[3], outline[2])):
            wide = np.array([0.09 if low is outline[0] else -0.07, 0.0, 0.0])
            quads.append([low + out, low + out + wide, high + out + wide, high + out])
        middle_low, middle_high = (outline[0] + outline[3]) / 2, (outline[1] + outline[2]) / 2
        wide = np.array([0.05, 0.0, 0.0])
        quads.append([middle_low + out - wide, middle_low + out + wide, middle_high + out + wide,
                      middle_high + out - wide])
    return _flat(quads)


def _wheel(bench: Workbench, looks: Looks, body: Body, x: float, side: int, rich: bool) -> None:
    wide, radius = 0.2, body.wheel
    face = side * (body.width / 2 + 0.015)
    start = face - wide if side > 0 else face
    tread = [(radius, 0.0), (radius, wide)]
    rim = [*tread, (0.0, wide)] if side > 0 else [(0.0, 0.0), *tread]
    bench.turned(looks.rubber, rim, 13, (x, start, radius), "y")
    if rich:
        cap = [(0.0, 0.0), (0.6 * radius, 0.0), (0.6 * radius, 0.012), (0.0, 0.012)]
        bench.turned(looks.steel, cap, 12, (x, face - 0.006, radius), "y")


def _panel(x: float, y: float, z: float, wide: float, tall: float) -> Shape:
    """A flat upright plate at the front or the back, its face to the outside: a lamp, a number plate."""
    half = wide / 2 if x > 0 else -wide / 2
    return _flat([[np.array([x, y - half, z]), np.array([x, y + half, z]), np.array([x, y + half, z + tall]),
                   np.array([x, y - half, z + tall])]])

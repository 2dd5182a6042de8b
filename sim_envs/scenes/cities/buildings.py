"""Buildings of a city: walls of windows over shops or entrances, roofs, and what hangs on the fronts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sim_envs.scenes.cities.ground import KERB
from sim_envs.scenes.cities.looks import BAY, GROUND_STOREY, SHOPS, STOREY, UNIT, Looks
from sim_envs.scenes.cities.sheets import Sheets

Box = tuple[float, float, float, float]  # m on the drawing board: x0, y0, x1, y1
_FOOT = KERB - 0.02  # m, where walls begin: just below the pavement
_PARAPET = 0.5  # m
_ROOF_SLOPE = math.tan(math.radians(38))
_EAVES = 0.4  # m


@dataclass(frozen=True)
class Building:
    box: Box
    storeys: int  # above the ground floor
    style: int  # which of Looks.fronts
    exposed: tuple[bool, ...]  # south, east, north, west: towards open ground
    shops: bool
    hipped: bool = False

    @property
    def top(self) -> float:
        return GROUND_STOREY + self.storeys * STOREY

    @property
    def sides(self) -> list[tuple[tuple[float, float], tuple[float, float]]]:
        """Start and end of the four walls; each has the outside to its right."""
        x0, y0, x1, y1 = self.box
        ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        return list(pairwise(ring))


def raise_building(
    sheets: Sheets, looks: Looks, building: Building, rng: np.random.Generator, rich: bool, room: int = -1
) -> None:
    """One building as an instance, and each of its shops as one of its own. `rich` adds what hangs on the fronts."""
    units = []
    with sheets.builder.instance("building", is_object=False, room=room):
        for exposed, (start, end) in zip(building.exposed, building.sides):
            if exposed:
                units += _front(sheets, looks, building, start, end, rng, rich)
            else:
                parapet = 0.0 if building.hipped else _PARAPET
                sheets.wall(looks.plain[building.style], start, end, 0.0, building.top + parapet)
        _roof(sheets, looks, building, rng, rich)
        sheets.flush()
    awning = looks.awnings[int(rng.integers(len(looks.awnings)))]
    for left, right in units:
        shop = int(rng.integers(len(SHOPS)))
        with sheets.builder.instance(SHOPS[shop], room=room):
            sheets.wall(looks.shops[shop], left, right, _FOOT, GROUND_STOREY, (0.0, 1.0), (0.0, 1.0))
            if rich and rng.random() < 0.4:
                _awning(sheets, awning, left, right)
            sheets.flush()


def _front(
    sheets: Sheets, looks: Looks, building: Building, start: tuple[float, float], end: tuple[float, float],
    rng: np.random.Generator, rich: bool,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """A wall that is seen, but for its shops: their starts and ends are returned."""
    a, b = np.array(start), np.array(end)
    length = float(np.linalg.norm(b - a))
    count, bays = max(1, round(length / UNIT)), max(1, round(length / BAY))
    shift = int(rng.integers(4)) / 4
    sheets.wall(
        looks.fronts[building.style], start, end, GROUND_STOREY, building.top,
        (shift, shift + bays / 4), (0.0, building.storeys / 4),
    )
    if not building.hipped:
        sheets.wall(looks.trim, start, end, building.top, building.top + _PARAPET)
    if rich and not building.hipped:
        _cornice(sheets, looks.trim, a, b, building.top)
        if building.storeys >= 2 and rng.random() < 0.35:
            _balconies(sheets, looks, building, a, b, bays)
    shops = []
    for k in range(count):
        left, right = a + (b - a) * k / count, a + (b - a) * (k + 1) / count
        if building.shops and rng.random() < 0.8:
            shops.append((left, right))
        else:
            sheets.wall(looks.entrances[building.style], left, right, _FOOT, GROUND_STOREY, (0.0, 1.0), (0.0, 1.0))
    return shops


def _outward(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    along = (b - a) / np.linalg.norm(b - a)
    return np.array([along[1], -along[0]])


def _cornice(sheets: Sheets, material: int, a: np.ndarray, b: np.ndarray, top: float) -> None:
    out = 0.3 * _outward(a, b)
    sheets.wall(material, a + out, b + out, top, top + _PARAPET)
    _slab(sheets, material, a, b, a + out, b + out, top, top)
    _slab(sheets, material, a + out, b + out, a, b, top + _PARAPET, top + _PARAPET)
    band = 0.05 * _outward(a, b)
    sheets.wall(material, a + band, b + band, GROUND_STOREY - 0.12, GROUND_STOREY + 0.12)


def _slab(
    sheets: Sheets, material: int, a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, z_ab: float, z_cd: float
) -> None:
    """One quad from the line a-b to the line c-d beside it, which shows its face to who stands on c-d's side below."""
    corners = np.array([[*a, z_ab], [*b, z_ab], [*d, z_cd], [*c, z_cd]])
    length = float(np.linalg.norm(b - a))
    deep = float(np.linalg.norm(c - a))
    uv = np.array([[0.0, 0.0], [length, 0.0], [length, deep], [0.0, deep]])
    sheets.quads(material, corners[None], uv[None])


def _awning(sheets: Sheets, material: int, a: np.ndarray, b: np.ndarray) -> None:
    inset = (b - a) * 0.06
    out = 1.2 * _outward(a, b)
    left, right = a + inset, b - inset
    _slab(sheets, material, left + out, right + out, left, right, 2.65, 3.0)
    sheets.wall(material, left + out, right + out, 2.4, 2.65)


def _balconies(
    sheets: Sheets, looks: Looks, building: Building, a: np.ndarray, b: np.ndarray, bays: int
) -> None:
    """On every storey and every second bay: a slab with a railing."""
    out = 0.9 * _outward(a, b)
    for storey in range(building.storeys):
        z = GROUND_STOREY + storey * STOREY + 0.15
        for bay in range(bays % 2, bays - 1, 2):
            left, right = a + (b - a) * (bay + 0.1) / bays, a + (b - a) * (bay + 0.9) / bays
            for p, q in ((left + out, right + out), (right + out, right), (left, left + out)):
                sheets.wall(looks.dark, p, q, z, z + 0.95)
            _slab(sheets, looks.trim, left, right, left + out, right + out, z, z)


def _roof(sheets: Sheets, looks: Looks, building: Building, rng: np.random.Generator, rich: bool) -> None:
    x0, y0, x1, y1 = building.box
    sheets.floor(looks.flat_roof, x0, y0, x1, y1, _FOOT, whole=True)  # with a floor below, a roof is known as a roof
    if building.hipped:
        hip_roof(sheets, looks.tiled_roofs[building.style % len(looks.tiled_roofs)], building.box, building.top)
        return
    sheets.floor(looks.flat_roof, x0, y0, x1, y1, building.top, whole=True)
    if rich and min(x1 - x0, y1 - y0) > 8.0:  # stair heads and machines
        x, y = rng.uniform(x0 + 3, x1 - 3), rng.uniform(y0 + 3, y1 - 3)
        sheets.block(looks.plain[building.style], looks.flat_roof, x - 2, y - 2, x + 2, y + 2, building.top,
                     building.top + 2.4)


def hip_roof(sheets: Sheets, material: int, box: Box, z: float) -> None:
    """Four slopes that meet in a ridge along the longer side."""
    x0, y0, x1, y1 = box[0] - _EAVES, box[1] - _EAVES, box[2] + _EAVES, box[3] + _EAVES
    half = min(x1 - x0, y1 - y0) / 2
    peak = z + half * _ROOF_SLOPE
    slope = math.hypot(half, peak - z)
    if x1 - x0 >= y1 - y0:
        ridge = [(x0 + half, (y0 + y1) / 2), (x1 - half, (y0 + y1) / 2)]
    else:
        ridge = [((x0 + x1) / 2, y0 + half), ((x0 + x1) / 2, y1 - half)]
    ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    for a, b in pairwise(ring):
        near = sorted(ridge, key=lambda r: math.dist(r, b))[0], sorted(ridge, key=lambda r: math.dist(r, a))[0]
        corners = np.array([[*a, z], [*b, z], [*near[0], peak], [*near[1], peak]])
        length = math.dist(a, b)
        uv = np.array([[0.0, 0.0], [length, 0.0], [length - half, slope], [half, slope]])
        sheets.quads(material, corners[None], uv[None])
    inner = [(box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]), (box[0], box[1])]
    for (a, b), (c, d) in zip(pairwise(ring), pairwise(inner), strict=True):  # the underside of the eaves
        sheets.quads(material, np.array([[[*a, z], [*c, z], [*d, z], [*b, z]]]), np.zeros((1, 4, 2)))


def lots(box: Box, largest: float, rng: np.random.Generator) -> list[Box]:
    """A rectangle cut again and again until no piece is longer than `largest`."""
    x0, y0, x1, y1 = box
    wide, deep = x1 - x0, y1 - y0
    if max(wide, deep) <= largest:
        return [box]
    share = rng.uniform(0.4, 0.6)
    if wide >= deep:
        middle = x0 + share * wide
        pieces: Sequence[Box] = ((x0, y0, middle, y1), (middle, y0, x1, y1))
    else:
        middle = y0 + share * deep
        pieces = ((x0, y0, x1, middle), (x0, middle, x1, y1))
    return [lot for piece in pieces for lot in lots(piece, largest, rng)]

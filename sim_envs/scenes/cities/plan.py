"""The plan of a city: which streets there are, where one can cross them, and what the blocks between them hold.

The plan is drawn on a straight drawing board, streets along x and y; `Bend` then carries every point to the world,
where streets curve. Metres; the middle of the city is the origin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RIM = 14.0  # m of buildings that close the city off on all four sides
CROSSING_INSET = 7.0  # m from a junction to the middle of its crossing: leaves room for the corner and the ramp
_BUILT_UP = ("terrace", "terrace", "houses", "terrace", "tower", "houses", "terrace")


@dataclass(frozen=True)
class Street:
    """One line of the street grid, from end to end of the city."""

    position: float  # m, x of a street along y and y of a street along x
    half_road: float  # m from the middle to the kerb
    pavement: float  # m, on both sides

    @property
    def low_kerb(self) -> float:
        return self.position - self.half_road

    @property
    def high_kerb(self) -> float:
        return self.position + self.half_road


@dataclass(frozen=True)
class Segment:
    """A stretch of road between two junctions; `start` and `end` are the kerb lines of the streets that cut it."""

    along_y: bool
    street: Street
    start: float
    end: float

    @property
    def crossings(self) -> tuple[float, float]:
        return self.start + CROSSING_INSET, self.end - CROSSING_INSET


@dataclass(frozen=True)
class Edge:
    """One side of a block at the kerb: t runs along it, d from the kerb into the block, both metres."""

    origin: tuple[float, float]
    direction: tuple[float, float]  # of t; d points to its left
    length: float
    pavement: float
    before: float  # m of t at either end that belong to the corner
    after: float
    crossings: tuple[float, ...]  # t of their middles
    half_road: float  # m, of the road in front
    rounded: bool = True  # corners bulge towards the road; those of the rim do not

    def point(self, t: np.ndarray | float, d: np.ndarray | float) -> np.ndarray:
        """[..., 2] place on the drawing board."""
        (ox, oy), (dx, dy) = self.origin, self.direction
        x, y = ox + t * dx - d * dy, oy + t * dy + d * dx
        place = np.empty((*np.shape(x), 2))
        place[..., 0], place[..., 1] = x, y
        return place

    @property
    def yaw(self) -> float:
        return math.atan2(self.direction[1], self.direction[0])


@dataclass(frozen=True)
class Block:
    """Land between streets, pavements included."""

    kind: str  # terrace, houses, tower, park or square
    box: tuple[float, float, float, float]  # m, kerb to kerb: x0, y0, x1, y1
    edges: tuple[Edge, Edge, Edge, Edge]  # south, east, north, west

    @property
    def inner(self) -> tuple[float, float, float, float]:
        """The land behind the pavements."""
        (x0, y0, x1, y1), (south, east, north, west) = self.box, (edge.pavement for edge in self.edges)
        return x0 + west, y0 + south, x1 - east, y1 - north


@dataclass(frozen=True)
class Bend:
    """Carries the drawing board to the world: a gentle wave that dies out at the rim, so that the outline stays."""

    half: float  # m, of the side of the city
    height: float  # m
    length: tuple[float, float]  # m
    phase: tuple[float, float]  # rad

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """[..., 2] world x, y of points [..., 2] of the board."""
        x, y = points[..., 0], points[..., 1]
        (lx, ly), (px, py) = self.length, self.phase
        bent = np.empty(points.shape)
        bent[..., 0] = x + self.height * self._fade(x) * np.sin(2 * np.pi * y / ly + py)
        bent[..., 1] = y + self.height * self._fade(y) * np.sin(2 * np.pi * x / lx + px)
        return bent

    def _fade(self, t: np.ndarray) -> np.ndarray:
        s = np.clip((self.half - np.abs(t)) / (0.5 * self.half), 0.0, 1.0)
        return s * s * (3.0 - 2.0 * s)

    def place(self, point: Sequence[float] | np.ndarray, yaw: float = 0.0) -> tuple[float, float, float]:
        """World x, y and yaw of something that stands on the board at a point with this yaw."""
        ahead = np.array([math.cos(yaw), math.sin(yaw)]) * 0.5
        back, middle, front = self(np.asarray(point) + np.array([-1.0, 0.0, 1.0])[:, None] * ahead)
        return float(middle[0]), float(middle[1]), math.atan2(front[1] - back[1], front[0] - back[0])


@dataclass(frozen=True)
class Plan:
    size: float
    bend: Bend
    along_y: tuple[Street, ...]
    along_x: tuple[Street, ...]
    segments: tuple[Segment, ...]
    blocks: tuple[Block, ...]
    rim: tuple[Edge, ...]  # the outer sides of the ring road


def draw_plan(size: float, rng: np.random.Generator) -> Plan:
    half = size / 2
    wave = size * rng.uniform(0.9, 1.4) if size < 400 else rng.uniform(300.0, 420.0)
    bend = Bend(half, min(8.0, 0.028 * size), (wave, wave * rng.uniform(0.8, 1.2)), tuple(rng.uniform(0, 6.28, 2)))
    along_y, along_x = _streets(half, rng), _streets(half, rng)
    merged = _merges(len(along_y) - 1, len(along_x) - 1, rng)
    cells = _cells(len(along_y) - 1, len(along_x) - 1, merged)
    kinds = _kinds(cells, along_y, along_x, rng)
    blocks = tuple(_block(kind, cell, along_y, along_x) for kind, cell in zip(kinds, cells, strict=True))
    return Plan(size, bend, along_y, along_x, _segments(along_y, along_x, merged), blocks, _rim(along_y, along_x))


def _streets(half: float, rng: np.random.Generator) -> tuple[Street, ...]:
    """Lines from one end of the city to the other, unevenly spaced; the first and the last are the ring road."""
    ring = [Street(0.0, rng.uniform(3.4, 4.4), rng.uniform(3.3, 4.0)) for _ in range(2)]
    low = -half + RIM + ring[0].pavement + ring[0].half_road
    high = half - RIM - ring[1].pavement - ring[1].half_road
    count = max(1, round((high - low) / rng.uniform(52.0, 68.0)))
    widths = rng.uniform(0.75, 1.3, count)
    inner = low + np.cumsum(widths / widths.sum())[:-1] * (high - low)
    streets = [Street(low, ring[0].half_road, ring[0].pavement)]
    for position in inner.tolist():
        wide = rng.random() < 0.4
        road = rng.uniform(4.8, 6.2) if wide else rng.uniform(3.0, 4.2)
        streets.append(Street(position, road, rng.uniform(3.6, 4.2) if wide else rng.uniform(3.2, 3.8)))
    return (*streets, Street(high, ring[1].half_road, ring[1].pavement))


def _merges(columns: int, rows: int, rng: np.random.Generator) -> dict[tuple[int, int], tuple[int, int]]:
    """Pairs of neighbouring cells that lose the street between them: second cell -> first cell."""
    taken: set[tuple[int, int]] = set()
    merged: dict[tuple[int, int], tuple[int, int]] = {}
    for i in range(columns):
        for j in range(rows):
            step = (1, 0) if rng.random() < 0.5 else (0, 1)
            other = (i + step[0], j + step[1])
            inside = other[0] < columns and other[1] < rows
            if rng.random() < 0.28 and inside and (i, j) not in taken and other not in taken:
                taken |= {(i, j), other}
                merged[other] = (i, j)
    return merged


def _cells(columns: int, rows: int, merged: dict[tuple[int, int], tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Blocks as ranges of cells: first column, first row, last column + 1, last row + 1."""
    second = {first: other for other, first in merged.items()}
    cells = []
    for i in range(columns):
        for j in range(rows):
            if (i, j) not in merged:
                last = second.get((i, j), (i, j))
                cells.append((i, j, last[0] + 1, last[1] + 1))
    return cells


def _kinds(
    cells: list[tuple[int, int, int, int]], along_y: Sequence[Street], along_x: Sequence[Street],
    rng: np.random.Generator,
) -> list[str]:
    """About every seventh block is a park, a large one, or a square, a small one; the others are built up."""
    area = [
        (along_y[i1].position - along_y[i0].position) * (along_x[j1].position - along_x[j0].position)
        for i0, j0, i1, j1 in cells
    ]
    by_size = np.argsort(area)
    kinds = [_BUILT_UP[k % len(_BUILT_UP)] for k in rng.permutation(len(cells))]
    parks, squares = len(cells) // 12 + rng.integers(2), len(cells) // 14 + rng.integers(2)
    third = max(1, len(cells) // 3)
    for k in rng.permutation(by_size[-third:])[:parks]:
        kinds[k] = "park"
    for k in rng.permutation(by_size[:third])[:squares]:
        kinds[k] = "square" if len(cells) > 2 else kinds[k]
    return kinds


def _segments(
    along_y: Sequence[Street], along_x: Sequence[Street], merged: dict[tuple[int, int], tuple[int, int]]
) -> tuple[Segment, ...]:
    gone = {(first, other) for other, first in merged.items()}
    upright = [
        Segment(True, street, along_x[j].high_kerb, along_x[j + 1].low_kerb)
        for i, street in enumerate(along_y) for j in range(len(along_x) - 1) if ((i - 1, j), (i, j)) not in gone
    ]
    level = [
        Segment(False, street, along_y[i].high_kerb, along_y[i + 1].low_kerb)
        for j, street in enumerate(along_x) for i in range(len(along_y) - 1) if ((i, j - 1), (i, j)) not in gone
    ]
    return (*upright, *level)


def _crossings(cuts: Sequence[Street], first: int, last: int) -> list[float]:
    """Where crossings meet a side of a block that runs past the streets first..last; all its own stretches exist."""
    places = []
    for k in range(first, last):
        places += [cuts[k].high_kerb + CROSSING_INSET, cuts[k + 1].low_kerb - CROSSING_INSET]
    return places


def _block(
    kind: str, cell: tuple[int, int, int, int], along_y: Sequence[Street], along_x: Sequence[Street]
) -> Block:
    i0, j0, i1, j1 = cell
    west, east, south, north = along_y[i0], along_y[i1], along_x[j0], along_x[j1]
    x0, y0, x1, y1 = west.high_kerb, south.high_kerb, east.low_kerb, north.low_kerb
    across_x, across_y = _crossings(along_y, i0, i1), _crossings(along_x, j0, j1)
    wide, deep = x1 - x0, y1 - y0
    edges = (
        _edge((x0, y0), (1.0, 0.0), wide, south, west, east, [x - x0 for x in across_x]),
        _edge((x1, y0), (0.0, 1.0), deep, east, south, north, [y - y0 for y in across_y]),
        _edge((x1, y1), (-1.0, 0.0), wide, north, east, west, [x1 - x for x in across_x]),
        _edge((x0, y1), (0.0, -1.0), deep, west, north, south, [y1 - y for y in across_y]),
    )
    return Block(kind, (x0, y0, x1, y1), edges)


def _edge(
    origin: tuple[float, float], direction: tuple[float, float], length: float, street: Street, before: Street,
    after: Street, crossings: list[float],
) -> Edge:
    return Edge(
        origin, direction, length, street.pavement, before.pavement, after.pavement, tuple(sorted(crossings)),
        street.half_road,
    )


def _rim(along_y: Sequence[Street], along_x: Sequence[Street]) -> tuple[Edge, ...]:
    """South, east, north and west side of the ring road, seen from the road outwards."""
    west, east, south, north = along_y[0], along_y[-1], along_x[0], along_x[-1]
    x0, y0, x1, y1 = west.low_kerb, south.low_kerb, east.high_kerb, north.high_kerb
    across_x = _crossings(along_y, 0, len(along_y) - 1)
    across_y = _crossings(along_x, 0, len(along_x) - 1)

    def side(origin: tuple[float, float], direction: tuple[float, float], length: float, street: Street,
             crossings: list[float]) -> Edge:
        return Edge(origin, direction, length, street.pavement, 0.0, 0.0, tuple(sorted(crossings)),
                    street.half_road, rounded=False)

    return (
        side((x1, y0), (-1.0, 0.0), x1 - x0, south, [x1 - x for x in across_x]),
        side((x1, y1), (0.0, -1.0), y1 - y0, east, [y1 - y for y in across_y]),
        side((x0, y1), (1.0, 0.0), x1 - x0, north, [x - x0 for x in across_x]),
        side((x0, y0), (0.0, 1.0), y1 - y0, west, [y - y0 for y in across_y]),
    )

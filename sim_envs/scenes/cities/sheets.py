"""Sheets: quads drawn on the plan's drawing board, gathered per material and bent into the world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.cities.plan import Bend, Edge
from sim_envs.scenes.shapes import Shape

Point = Sequence[float] | np.ndarray  # x, y on the drawing board
_SPLIT = np.array([[0, 1, 2], [0, 2, 3]])


@dataclass
class Sheets:
    """Quads wait here until `flush` hands them to the builder, whose current instance they then belong to."""

    builder: MeshBuilder
    bend: Bend
    piece: float  # m; sheets are cut at all multiples of it, so that they can follow a bend and still fit each other
    _waiting: dict[int, list[np.ndarray]] = field(default_factory=dict)  # material -> [N, 4, 5] x y z u v

    def quads(self, material: int, corners: np.ndarray, uv: np.ndarray) -> None:
        """Quads of corners [N, 4, 3], counter-clockwise from outside, with texture coordinates [N, 4, 2]."""
        self._add(material, np.concatenate([corners, uv], axis=-1))

    def _add(self, material: int, rows: np.ndarray) -> None:
        self._waiting.setdefault(material, []).append(rows)

    def flush(self) -> None:
        for material, waiting in self._waiting.items():
            rows = np.concatenate(waiting)
            points = rows[..., :3].copy()
            points[..., :2] = self.bend(rows[..., :2])
            faces = (4 * np.arange(len(rows))[:, None, None] + _SPLIT).reshape(-1, 3)
            flat = points.reshape(-1, 3)
            keep = _twice_area(flat[faces]) > 1e-6
            faces = faces[keep]
            self.builder.add(Shape(flat, faces, rows[..., 3:].reshape(-1, 2)[faces]), material)
        self._waiting.clear()

    def cuts(self, low: float, high: float) -> np.ndarray:
        """Stations from low to high, at all multiples of `piece` between them. Works downwards as well."""
        if low > high:
            return self.cuts(high, low)[::-1]
        inner = np.arange(math.floor(low / self.piece) + 1, math.ceil(high / self.piece)) * self.piece
        return np.concatenate([[low], inner[(inner > low + 1e-3) & (inner < high - 1e-3)], [high]])

    def floor(
        self, material: int, x0: float, y0: float, x1: float, y1: float, z: float, whole: bool = False
    ) -> None:
        """A level rectangle of the board, textured by its coordinates in metres; cut to bend unless `whole`."""
        if x1 - x0 < 1e-6 or y1 - y0 < 1e-6:
            return
        xs, ys = (self.cuts(x0, x1), self.cuts(y0, y1)) if not whole else (np.array([x0, x1]), np.array([y0, y1]))
        rows = np.full((len(ys) - 1, len(xs) - 1, 4, 5), z)
        rows[:, :, (0, 3), 0], rows[:, :, 1:3, 0] = xs[:-1, None], xs[1:, None]
        rows[:, :, :2, 1], rows[:, :, 2:, 1] = ys[:-1, None, None], ys[1:, None, None]
        rows[..., 3:] = rows[..., :2]
        self._add(material, rows.reshape(-1, 4, 5))

    def wall(
        self, material: int, start: Point, end: Point, bottom: float, top: float,
        u: tuple[float, float] | None = None, v: tuple[float, float] | None = None,
    ) -> None:
        """An upright strip from start to end, its outside to the right of the way. u, v: metres unless given."""
        length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        (u0, u1), (v0, v1) = u or (0.0, length), v or (bottom, top)
        axis = int(abs(end[1] - start[1]) > abs(end[0] - start[0]))
        at = (self.cuts(start[axis], end[axis]) - start[axis]) / (end[axis] - start[axis])
        line = np.asarray(start)[:2] + at[:, None] * (np.asarray(end)[:2] - np.asarray(start)[:2])
        us = u0 + at * (u1 - u0)
        rows = np.empty((len(at) - 1, 4, 5))
        rows[:, (0, 3), :2], rows[:, 1:3, :2] = line[:-1, None], line[1:, None]
        rows[:, :2, 2], rows[:, 2:, 2] = bottom, top
        rows[:, (0, 3), 3], rows[:, 1:3, 3] = us[:-1, None], us[1:, None]
        rows[:, :2, 4], rows[:, 2:, 4] = v0, v1
        self._add(material, rows)

    def block(
        self, side: int, top: int, x0: float, y0: float, x1: float, y1: float, z0: float, z1: float
    ) -> None:
        """A closed upright body over a rectangle of the board, without a bottom."""
        ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        for a, b in pairwise(ring):
            self.wall(side, a, b, z0, z1)
        self.floor(top, x0, y0, x1, y1, z1)

    def strip(
        self, material: int, edge: Edge, t: Sequence[float] | np.ndarray, d: tuple[float, float],
        z: tuple[np.ndarray | float, np.ndarray | float],
    ) -> None:
        """A band along a kerb between stations t, from d[0] to d[1], with heights z at the two sides."""
        stations = np.asarray(t, dtype=np.float64)
        if len(stations) < 2 or stations[-1] - stations[0] < 1e-6:
            return
        near, far = edge.point(stations, d[0]), edge.point(stations, d[1])
        low, high = (np.broadcast_to(side, len(stations)) for side in z)
        rows = np.empty((len(stations) - 1, 4, 5))
        rows[:, 0, :2], rows[:, 1, :2], rows[:, 2, :2], rows[:, 3, :2] = near[:-1], near[1:], far[1:], far[:-1]
        rows[:, 0, 2], rows[:, 1, 2], rows[:, 2, 2], rows[:, 3, 2] = low[:-1], low[1:], high[1:], high[:-1]
        rows[..., 3:] = rows[..., :2]
        self._add(material, rows)

    def fan(self, material: int, middle: np.ndarray, rim: np.ndarray, z: float) -> None:
        """Level triangles from a point [2] to a counter-clockwise line [K, 2] around it."""
        a, b = rim[:-1], rim[1:]
        centre = np.broadcast_to(middle, a.shape)
        plan = np.stack([centre, a, b, b], axis=1)
        self.quads(material, np.concatenate([plan, np.full((len(a), 4, 1), z)], axis=-1), plan)


def _twice_area(corners: np.ndarray) -> np.ndarray:
    """[F] of triangles [F, 3, 3]."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = a[:, (1, 2, 0)] * b[:, (2, 0, 1)] - a[:, (2, 0, 1)] * b[:, (1, 2, 0)]
    return np.sqrt((normal * normal).sum(axis=1))

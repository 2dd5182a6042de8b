"""Scenes made by hand for tests of navigation: quads and boxes as a SceneMesh, and what a robot touches in them."""

from __future__ import annotations

import math

import numpy as np

from nav_foundation.robot import Footprint
from sim_envs.mesh import Material, SceneMesh
from sim_envs.navigation import Navigation
from sim_envs.simulator import Pose

Quads = list[list[tuple[float, float, float]]]

SMALL = Footprint(radius=0.2, height=0.4, step_height=0.02)
TALL = Footprint(radius=0.2, height=1.0, step_height=0.02)
CLIMBER = Footprint(radius=0.2, height=0.5, step_height=0.2, max_slope=math.radians(30))


def mesh_of(quads: Quads, cell: float = 0.05) -> SceneMesh:
    """Corners of each quad counter-clockwise from outside."""
    corners = np.array(quads, np.float32).reshape(-1, 4, 3)
    count = len(corners)
    faces = (4 * np.arange(count)[:, None] + [0, 1, 2, 0, 2, 3]).reshape(-1, 3).astype(np.int32)
    return SceneMesh(
        corners.reshape(-1, 3), faces, np.zeros((2 * count, 3, 2), np.float32), np.zeros(2 * count, np.int32),
        np.zeros(2 * count, np.int32), (Material("plain"),), navigation_cell=cell,
    )


def floor(x0: float, y0: float, x1: float, y1: float, z: float = 0.0) -> Quads:
    return [[(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]]


def ceiling(x0: float, y0: float, x1: float, y1: float, z: float) -> Quads:
    return [[(x0, y0, z), (x0, y1, z), (x1, y1, z), (x1, y0, z)]]


def box(x0: float, y0: float, z0: float, x1: float, y1: float, z1: float, turn: float = 0.0) -> Quads:
    """A closed box, turned by `turn` radians about its own upright axis."""
    corners = [(x, y, z) for z in (z0, z1) for y in (y0, y1) for x in (x0, x1)]
    c, s, mx, my = math.cos(turn), math.sin(turn), (x0 + x1) / 2, (y0 + y1) / 2
    corners = [(mx + c * (x - mx) - s * (y - my), my + s * (x - mx) + c * (y - my), z) for x, y, z in corners]
    sides = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    return [[corners[k] for k in side] for side in sides]


def walls(x0: float, y0: float, x1: float, y1: float, height: float = 2.5, thick: float = 0.1) -> Quads:
    """Four walls around a rectangle."""
    low, high = y0 - thick, y1 + thick
    sides = box(x0 - thick, low, 0, x0, high, height) + box(x1, low, 0, x1 + thick, high, height)
    return sides + box(x0, y0 - thick, 0, x1, y0, height) + box(x0, y1, 0, x1, y1 + thick, height)


def room(width: float, depth: float) -> Quads:
    """A floor from (0, 0) to (width, depth) inside walls."""
    return floor(0, 0, width, depth) + walls(0, 0, width, depth)


def sheet(x0: float, y0: float, x1: float, y1: float, z0: float = 0.0, z1: float = 2.5, lean: float = 0.0) -> Quads:
    """An upright board without thickness between two points of the plan; its top is shifted by `lean` along x."""
    return [[(x0, y0, z0), (x1, y1, z0), (x1 + lean, y1, z1), (x0 + lean, y0, z1)]]


def serpentine(lanes: int, length: float = 5.0, width: float = 1.0) -> Quads:
    """Lanes along x, joined at alternating ends by gaps of one lane's width; walls without thickness."""
    quads = room(length, lanes * width)
    for k in range(1, lanes):
        left, right = (-0.05, length - width) if k % 2 == 1 else (width, length + 0.05)
        quads += sheet(left, k * width, right, k * width)
    return quads


def furnished(seed: int, count: int = 12, size: float = 6.0) -> Quads:
    """A room with boxes of any turn, some flat, some floating, some higher than others."""
    rng = np.random.default_rng(seed)
    quads = room(size, size)
    for _ in range(count):
        x, y = rng.uniform(0, size, 2)
        w, d, h = rng.uniform([0.02, 0.02, 0.01], [1.0, 1.0, 1.0])
        z = rng.choice([0.0, 0.0, 0.0, rng.uniform(0, 1)])
        quads += box(x, y, z, x + w, y + d, z + h, rng.choice([0.0, rng.uniform(0, math.pi)]))
    return quads


def navigation(quads: Quads, footprint: Footprint = SMALL, cell: float = 0.05) -> Navigation:
    return Navigation(mesh_of(quads, cell), footprint)


def at(*xy: float) -> np.ndarray:
    """Points [N, 3] on the floor z = 0, from x, y, x, y, ..."""
    return np.column_stack([np.reshape(xy, (-1, 2)), np.zeros(len(xy) // 2)])


def pose(x: float, y: float, z: float = 0.0) -> Pose:
    return Pose(x, y, z, 0.0)


class Obstacles:
    """What a robot standing at z = 0 would touch: every triangle clipped to its heights, then seen in the plan."""

    def __init__(self, mesh: SceneMesh, footprint: Footprint):
        low, high = footprint.step_height + 2e-4, footprint.height - 2e-4
        polygons = []
        for triangle in mesh.triangles.astype(np.float64):
            polygon = list(triangle)
            for sign, limit in ((1, low), (-1, -high)):  # keep sign * z >= limit
                kept = []
                for a, b in zip(polygon, polygon[1:] + polygon[:1]):
                    za, zb = sign * a[2] - limit, sign * b[2] - limit
                    if za >= 0:
                        kept.append(a)
                    if za * zb < 0:
                        kept.append(a + za / (za - zb) * (b - a))
                polygon = kept
            if polygon:
                polygons.append((polygon + [polygon[-1]] * 5)[:5])
        self.polygons = np.array(polygons).reshape(-1, 5, 3)[:, :, :2]

    def distance(self, points: np.ndarray) -> np.ndarray:
        """[N] from points [N, >= 2] in the plane to the nearest polygon; 0 inside."""
        corner = self.polygons[None] - points[:, None, None, :2]
        edge = np.roll(corner, -1, axis=2) - corner
        t = np.clip(-(corner * edge).sum(axis=3) / np.maximum((edge**2).sum(axis=3), 1e-18), 0, 1)
        away = np.linalg.norm(corner + t[..., None] * edge, axis=3).min(axis=2)
        turns = corner[..., 0] * edge[..., 1] - corner[..., 1] * edge[..., 0]
        inside = (np.abs(turns.sum(axis=2)) > 1e-12) & ((turns >= 0).all(axis=2) | (turns <= 0).all(axis=2))
        return np.where(inside, 0.0, away).min(axis=1, initial=np.inf)

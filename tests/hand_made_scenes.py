"""Scenes made by hand for tests of navigation: quads and boxes as a SceneMesh."""

from __future__ import annotations

import math

import numpy as np

from sim_envs.mesh import Material, SceneMesh

Quads = list[list[tuple[float, float, float]]]


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

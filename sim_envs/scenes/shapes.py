"""Shapes: vertices, faces and metric texture coordinates of the primitives scenes are made of.

Faces are counter-clockwise from outside. Vertices are shared only across smooth edges, so that light baked per vertex
shows creases.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    vertices: np.ndarray  # [V, 3] float64, m
    faces: np.ndarray  # [F, 3] int
    uv: np.ndarray  # [F, 3, 2] float64, m


# The six sides of a box as corners of the unit cube, counter-clockwise from outside; bottom last.
_SIDES = np.array([
    [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]],
    [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]],
    [[1, 1, 0], [0, 1, 0], [0, 1, 1], [1, 1, 1]],
    [[0, 1, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]],
    [[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]],
    [[0, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]],
], dtype=np.float64)
_QUAD_UV = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
_QUAD_FACES = np.array([[0, 1, 2], [0, 2, 3]])
_SIDE_AXES = ((0, 2), (1, 2), (0, 2), (1, 2), (0, 1), (0, 1))  # the box axes that u and v of each side run along
_BOX_FACES = (np.arange(6)[:, None, None] * 4 + _QUAD_FACES).reshape(12, 3)


def box(
    x: float, y: float, z: float, sx: float, sy: float, sz: float, taper: float = 1.0, bottom: bool = True,
    grain: bool = False,
) -> Shape:
    sides = 6 if bottom else 5
    corners = _SIDES[:sides] - (0.5, 0.5, 0.0)
    if taper != 1.0:
        corners[..., :2] *= np.where(corners[..., 2:] > 0.5, taper, 1.0)
    vertices = (corners * (sx, sy, sz) + (x, y, z)).reshape(-1, 3)
    lengths = (sx, sy, sz)
    uv = np.empty((sides, 4, 2))
    for side in range(sides):
        u, v = _SIDE_AXES[side]
        if grain and lengths[v] > lengths[u]:
            uv[side] = _QUAD_UV[:, ::-1] * (lengths[v], lengths[u])
        else:
            uv[side] = _QUAD_UV * (lengths[u], lengths[v])
    return Shape(vertices, _BOX_FACES[: 2 * sides], uv[:, _QUAD_FACES].reshape(-1, 3, 2))


@functools.lru_cache(maxsize=256)
def _ring_faces(rings: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Faces between `rings` closed rings of n vertices, and for each corner its (ring, position along the ring)."""
    ring, k = np.divmod(np.arange((rings - 1) * n), n)
    a, b = ring * n + k, ring * n + (k + 1) % n
    faces = np.stack([np.stack([a, b, b + n], 1), np.stack([a, b + n, a + n], 1)], 1).reshape(-1, 3)
    low, high = np.stack([ring, k], 1), np.stack([ring, k + 1], 1)
    up = np.array([1, 0])
    where = np.stack([np.stack([low, high, high + up], 1), np.stack([low, high + up, low + up], 1)], 1)
    return faces, where.reshape(-1, 3, 2)


def _rings(rings: np.ndarray) -> Shape:
    """A skin over closed rings [R, n, 3]; u runs around, v along. Rings may collapse to a point."""
    count, n = rings.shape[:2]
    faces, where = _ring_faces(count, n)
    around = np.linalg.norm(np.roll(rings, -1, axis=1) - rings, axis=2).max(axis=0)
    u = np.concatenate([[0.0], np.cumsum(around)])
    v = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(rings, axis=0), axis=2).max(axis=1))])
    uv = np.stack([u[where[..., 1]], v[where[..., 0]]], axis=-1)
    vertices = rings.reshape(-1, 3)
    length = np.linalg.norm(rings - np.roll(rings, 1, axis=1), axis=2).sum(axis=1)
    collapsed = length < 1e-9
    if collapsed.any():  # drop the triangles that have no area
        ring = where[..., 0]
        dead = collapsed[ring].sum(axis=1) >= 2
        faces, uv = faces[~dead], uv[~dead]
    return Shape(vertices, faces, uv)


def _flat_cap(ring: np.ndarray, upwards: bool) -> Shape:
    """A fan over one convex ring [n, 3], with texture coordinates from above."""
    n = len(ring)
    k = np.arange(1, n - 1)
    faces = np.stack([np.zeros_like(k), k, k + 1], axis=1)
    if not upwards:
        faces = faces[:, ::-1]
    return Shape(ring, faces, ring[faces][..., :2])


def merged(*parts: Shape) -> Shape:
    starts = np.cumsum([0] + [len(p.vertices) for p in parts[:-1]])
    return Shape(
        np.concatenate([p.vertices for p in parts]),
        np.concatenate([p.faces + start for p, start in zip(parts, starts)]),
        np.concatenate([p.uv for p in parts]),
    )


def rounded_box(
    x: float, y: float, z: float, sx: float, sy: float, sz: float, radius: float, corner: int = 3
) -> Shape:
    """Standing on z, centred on x, y; edges rounded by `radius` with `corner` segments per quarter turn."""
    r = min(radius, sx / 2.001, sy / 2.001, sz / 2.001)
    angle = (np.arange(4)[:, None] * (math.pi / 2) + np.linspace(0.0, math.pi / 2, corner + 1)).ravel()
    side = np.repeat(np.arange(4), corner + 1)
    centre_x = np.where((side == 0) | (side == 3), sx / 2 - r, r - sx / 2)
    centre_y = np.where(side <= 1, sy / 2 - r, r - sy / 2)
    # The bend stops short of a quarter turn: at its end the corners of the cap would shrink to points.
    bend = np.linspace(0.0, math.radians(78), corner)
    rise = r * np.sin(bend) / math.sin(bend[-1])
    inset = np.concatenate([r * (1 - np.cos(bend[::-1])), r * (1 - np.cos(bend))])
    height = np.concatenate([r - rise[::-1], sz - r + rise])
    radial = (r - inset)[:, None]
    rings = np.stack([
        x + centre_x + radial * np.cos(angle), y + centre_y + radial * np.sin(angle),
        np.broadcast_to(z + height[:, None], (2 * corner, len(angle))),
    ], axis=-1)
    parts = [_rings(rings), _flat_cap(rings[-1], True)]
    if z > 0.05:
        parts.append(_flat_cap(rings[0], False))
    return merged(*parts)


def lathe(profile: Sequence[tuple[float, float]], n: int, at: Sequence[float], axis: str = "z") -> Shape:
    """Revolve (radius, height) pairs; each piece of the profile keeps its own vertices, so that rims stay crisp."""
    angle = np.arange(n) * (2 * math.pi / n) + (math.pi / n)
    circle = np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], axis=1)
    rims = np.array(profile, dtype=np.float64)
    rings = circle * rims[:, :1, None] + np.array([0.0, 0.0, 1.0]) * rims[:, 1:, None]
    pieces = [_rings(rings[k : k + 2]) if not (rims[k : k + 2, 0] <= 1e-9).any() else _cone(rings[k : k + 2], rims[k])
              for k in range(len(rims) - 1) if rims[k : k + 2, 0].max() > 1e-9]
    shape = merged(*pieces)
    vertices = shape.vertices
    if axis == "x":
        vertices = vertices[:, [2, 0, 1]]
    elif axis == "y":
        vertices = vertices[:, [1, 2, 0]]
    return Shape(vertices + np.asarray(at, dtype=np.float64), shape.faces, shape.uv)


def _cone(rings: np.ndarray, first: np.ndarray) -> Shape:
    """The piece between a ring and a point [2, n, 3], textured from above."""
    upwards = bool(first[0] > 1e-9)  # the point comes last
    ring, tip = (rings[0], rings[1, :1]) if upwards else (rings[1], rings[0, :1])
    n = len(ring)
    k = np.arange(n)
    faces = np.stack([k, (k + 1) % n, np.full(n, n)], axis=1)
    if not upwards:
        faces = faces[:, ::-1]
    vertices = np.concatenate([ring, tip])
    return Shape(vertices, faces, vertices[faces][..., :2])


def ellipsoid(x: float, y: float, z: float, rx: float, ry: float, rz: float, n: int = 12) -> Shape:
    angle = np.arange(n) * (2 * math.pi / n)
    up = np.linspace(-math.pi / 2, math.pi / 2, max(3, n // 2) + 1)
    up[0], up[-1] = -math.pi / 2, math.pi / 2
    flat = np.cos(up)
    flat[[0, -1]] = 0.0
    rings = np.stack([
        x + rx * np.outer(flat, np.cos(angle)), y + ry * np.outer(flat, np.sin(angle)),
        z + rz * np.repeat(np.sin(up)[:, None], n, axis=1),
    ], axis=-1)
    return _rings(rings)


def tube(points: np.ndarray, radius: float, n: int = 6) -> Shape:
    """A pipe along points [K, 3], closed at both ends."""
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helper = np.where(np.abs(along[:, 2:]) > 0.9, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    if np.abs(along[:, 2]).max() > 0.9 and np.abs(along[:, 0]).max() < 0.9:
        helper = np.broadcast_to([[1.0, 0.0, 0.0]], along.shape)  # one helper for all keeps the skin from twisting
    elif np.abs(along[:, 1]).max() < 0.9:
        helper = np.broadcast_to([[0.0, 1.0, 0.0]], along.shape)
    a = np.cross(along, helper)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(along, a)
    angle = np.arange(n) * (2 * math.pi / n)
    rings = points[:, None] + radius * (a[:, None] * np.cos(angle)[:, None] + b[:, None] * np.sin(angle)[:, None])
    ends = [np.repeat(points[k][None], n, axis=0)[None] for k in (0, -1)]
    return _rings(np.concatenate([ends[0], rings, ends[1]]))


def quad(corners: np.ndarray) -> Shape:
    width = float(np.linalg.norm(corners[1] - corners[0]))
    height = float(np.linalg.norm(corners[2] - corners[1]))
    return Shape(corners, _QUAD_FACES, (_QUAD_UV * (width, height))[_QUAD_FACES])


@functools.lru_cache(maxsize=1024)
def _grid_faces(columns: int, rows: int) -> np.ndarray:
    """Faces of a grid of columns x rows cells over (rows + 1) x (columns + 1) vertices, row by row."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    a = row * (columns + 1) + column
    up = columns + 1
    return np.stack([a, a + 1, a + up + 1, a, a + up + 1, a + up], axis=1).reshape(-1, 3)


def grid(
    origin: np.ndarray, u: np.ndarray, v: np.ndarray, cell: float, uv_origin: tuple[float, float] = (0.0, 0.0)
) -> Shape:
    width, height = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    columns, rows = max(1, round(width / cell)), max(1, round(height / cell))
    at = np.stack(np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1)), axis=-1).reshape(-1, 2)
    faces = _grid_faces(columns, rows)
    return Shape(origin + at[:, :1] * u + at[:, 1:] * v, faces, (at * (width, height) + uv_origin)[faces])


def surface(heights: np.ndarray, x: float, y: float, sx: float, sy: float) -> Shape:
    """heights [rows (y), columns (x)] in m over a rectangle with its corner at x, y."""
    rows, columns = heights.shape
    flat = np.stack(np.meshgrid(np.linspace(0, sx, columns), np.linspace(0, sy, rows)), axis=-1).reshape(-1, 2)
    faces = _grid_faces(columns - 1, rows - 1)
    return Shape(np.column_stack([flat + np.array([x, y]), heights.ravel()]), faces, flat[faces])


def prism(outline: np.ndarray, z: float, height: float, bottom: bool = False) -> Shape:
    n = len(outline)
    ring = np.column_stack([outline, np.full(n, z)])
    nxt = np.roll(ring, -1, axis=0)
    lift = np.array([0.0, 0.0, height])
    walls = np.stack([ring, nxt, nxt + lift, ring + lift], axis=1).reshape(-1, 3)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(nxt - ring, axis=1))])
    uv = np.zeros((n, 4, 2))
    uv[:, [0, 3], 0], uv[:, [1, 2], 0], uv[:, 2:, 1] = along[:-1, None], along[1:, None], height
    faces = (np.arange(n)[:, None, None] * 4 + _QUAD_FACES).reshape(-1, 3)
    triangles = triangulated(outline)
    parts = [Shape(walls, faces, uv[:, _QUAD_FACES].reshape(-1, 3, 2)),
             Shape(ring + lift, triangles, outline[triangles])]
    if bottom:
        parts.append(Shape(ring, triangles[:, ::-1], outline[triangles[:, ::-1]]))
    return merged(*parts)


def triangulated(outline: np.ndarray) -> np.ndarray:
    """[K - 2, 3] triangles of a simple counter-clockwise polygon [K, 2], by clipping ears."""
    left = list(range(len(outline)))
    found = []
    while len(left) > 3:
        for k in range(len(left)):
            a, b, c = left[k - 1], left[k], left[(k + 1) % len(left)]
            if _is_ear(outline, a, b, c, left):
                found.append((a, b, c))
                del left[k]
                break
        else:
            raise AssertionError("the polygon crosses itself or is clockwise")
    found.append((left[0], left[1], left[2]))
    return np.array(found)


def _cross(o: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    return float((a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]))


def _is_ear(points: np.ndarray, a: int, b: int, c: int, left: list[int]) -> bool:
    p, q, r = points[a], points[b], points[c]
    if _cross(p, q, r) < -1e-12:
        return False
    others = (points[k] for k in left if k not in (a, b, c))
    return not any(_cross(p, q, o) > 0 and _cross(q, r, o) > 0 and _cross(r, p, o) > 0 for o in others)

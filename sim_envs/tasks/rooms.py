"""Which room a point lies in, and how far things are, on the floor plan."""

from __future__ import annotations

import numpy as np

from sim_envs.simulator import Instance, SceneInfo

_STOREY = 1.5  # m; a room's floor is this near to what stands in it


def rooms_at(info: SceneInfo, points: np.ndarray) -> np.ndarray:
    """[N] index of the room that holds each of points [N, 3], -1 outside all; the smallest where rooms overlap."""
    points = np.asarray(points, dtype=np.float64)
    found = np.full(len(points), -1)
    by_size = sorted(range(len(info.rooms)), key=lambda k: -_area(info.rooms[k].outline))
    for k in by_size:  # the smallest last, so that it wins
        room = info.rooms[k]
        found[inside(room.outline, points) & (np.abs(points[:, 2] - room.floor) < _STOREY)] = k
    return found


def room_at(info: SceneInfo, point: np.ndarray) -> int:
    """The room that holds a point [3], -1 for none."""
    return int(rooms_at(info, np.asarray(point)[None])[0])


def inside(outline: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[N] bool: points [N, >=2] within a simple polygon [K, 2], by counting the edges to the right."""
    a, b = outline, np.roll(outline, -1, axis=0)
    x, y = np.asarray(points)[:, 0, None], np.asarray(points)[:, 1, None]
    spans = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    crossing = a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
    return np.asarray((spans & (x < crossing)).sum(axis=1) % 2 == 1)


def distances_to(thing: Instance, points: np.ndarray) -> np.ndarray:
    """[N] metres on the floor plan from points [N, >=2] to the outline of a thing, 0 inside."""
    a = thing.outline
    edge = np.roll(a, -1, axis=0) - a
    offset = np.asarray(points)[:, None, :2] - a
    length2 = np.maximum((edge**2).sum(axis=1), 1e-12)
    u = np.clip((offset * edge).sum(axis=2) / length2, 0.0, 1.0)
    away = np.linalg.norm(offset - u[..., None] * edge, axis=2).min(axis=1)
    return np.where(inside(a, points), 0.0, away)


def _area(outline: np.ndarray) -> float:
    x, y = outline[:, 0], outline[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)

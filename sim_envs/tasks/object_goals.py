"""Object goals: where a robot has reached a thing, and episodes that ask for one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nav_foundation.data.schema import OVERHEAD
from nav_foundation.robot import CameraSpec
from sim_envs.simulator import Instance, Pose, SceneInfo, Simulator
from sim_envs.tasks.episode import SUCCESS_RADIUS, EpisodeError
from sim_envs.tasks.site import COMFORT, Site

CLOSE = SUCCESS_RADIUS["object-goal"] - 0.25  # m from the outline at most; the rest is for stopping a little short
IN_VIEW = 0.005  # share of the picture that an object in sight fills, at least
_AROUND = 0.35  # m between view points along an outline
_WITHIN = 100.0  # m; things further than this from the start do not count (only large cities have such)
_STARTS = 30  # places tried for each category


def make_object_goal(site: Site, variant: str, low: float, high: float) -> dict[str, Any]:
    """One category, every thing of it that can be reached, and a start at the right distance."""
    low_enough = [t for t in site.info.instances if t.is_object and t.bottom - _floor(site.info, t) < OVERHEAD]
    categories = sorted({thing.category for thing in low_enough})
    if not categories:
        raise EpisodeError(f"scene {site.info.ref} names no objects: object goals need a scene with semantics")
    lengths: list[float] = []
    for category in site.rng.permutation(categories):
        anchor = site.place()
        things = [t for t in low_enough if t.category == category and math.dist(t.centre, anchor[:2]) < _WITHIN]
        views, owners = view_points(site.simulator, site.robot.footprint.radius, site.info, things)
        if not len(views):
            continue
        ids = tuple(sorted({int(owner) for owner in owners}))
        draw = _start_in_sight if variant == "visible" else _start_anywhere
        for _ in range(_STARTS):
            start = draw(site, [t for t in things if t.id in ids], high)
            if start is None:
                continue
            distance = site.simulator.geodesic(start.position, views).distance
            if not math.isfinite(distance):
                continue
            lengths.append(distance)
            if low <= distance <= high:
                return {
                    "start": start, "goals": views, "geodesic_distance": distance, "category": str(category),
                    "object_ids": ids,
                }
    raise EpisodeError(site.nothing_found(f"object goal ({variant})", low, high, lengths))


def _start_anywhere(site: Site, things: Sequence[Instance], high: float) -> Pose | None:
    if site.large:
        thing = things[int(site.rng.integers(len(things)))]
        point = site.near(_on_floor(site.info, thing), 0.0, high)
    else:
        point = site.place()
    return None if point is None else Pose.at(point, site.yaw())


def _start_in_sight(site: Site, things: Sequence[Instance], high: float) -> Pose | None:
    """A pose from which one of the things is seen."""
    thing = things[int(site.rng.integers(len(things)))]
    point = site.near(_on_floor(site.info, thing), 0.5, high)
    if point is None:
        return None
    towards = math.atan2(*(thing.centre - point[:2])[::-1])
    pose = Pose.at(point, towards + site.rng.uniform(-0.35, 0.35))
    share = np.isin(site.semantic(pose), [t.id for t in things]).mean()
    return pose if share >= IN_VIEW else None


def view_points(
    simulator: Simulator, radius: float, info: SceneInfo, things: Sequence[Instance]
) -> tuple[np.ndarray, np.ndarray]:
    """Places [N, 3] where a robot of this radius has reached one of the things, and whose ids [N] those are.

    Each lies within CLOSE of the outline, with nothing but air between it and the thing.
    """
    points, owners = [np.empty((0, 3))], [np.empty(0, dtype=np.int64)]
    for thing in things:
        around, facing = _around(thing, radius, info)
        if not len(around):
            continue
        free = simulator.clearance(around) >= radius + COMFORT / 2
        views = _in_line_of_sight(simulator, info, thing, around[free], facing[free])
        points.append(views)
        owners.append(np.full(len(views), thing.id))
    return np.concatenate(points), np.concatenate(owners)


def _around(thing: Instance, radius: float, info: SceneInfo) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 3] on the floor at a few distances around an outline, and the points [N, 2] of it that they face."""
    nearest = radius + COMFORT
    if nearest > CLOSE:
        return np.empty((0, 3)), np.empty((0, 2))
    corners = thing.outline
    edges = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(edges, axis=1)
    spots, outward = [], []
    for corner, edge, length in zip(corners, edges, lengths):
        if length < 1e-6:
            continue
        normal = np.array([edge[1], -edge[0]]) / length  # outlines run counter-clockwise
        for u in (np.arange(max(1, math.ceil(length / _AROUND))) + 0.5) / max(1, math.ceil(length / _AROUND)):
            spots.append(corner + u * edge)
            outward.append(normal)
    if not spots:
        return np.empty((0, 3)), np.empty((0, 2))
    distances = np.linspace(nearest, CLOSE, 3)
    facing = np.tile(np.array(spots), (3, 1))
    flat = facing + np.repeat(distances, len(spots))[:, None] * np.tile(np.array(outward), (3, 1))
    return np.column_stack([flat, np.full(len(flat), _floor(info, thing))]), facing


def _floor(info: SceneInfo, thing: Instance) -> float:
    return info.rooms[thing.room].floor if thing.room >= 0 else thing.bottom


def _on_floor(info: SceneInfo, thing: Instance) -> np.ndarray:
    return np.array([*thing.centre, _floor(info, thing)])


def _in_line_of_sight(
    simulator: Simulator, info: SceneInfo, thing: Instance, points: np.ndarray, facing: np.ndarray
) -> np.ndarray:
    """Those of the points [N, 3] from which an eye at the thing's own height sees it; on the floor as it really is."""
    snapped = [(simulator.snap(point), aim) for point, aim in zip(points, facing)]
    poses = [
        Pose.at(point, math.atan2(aim[1] - point[1], aim[0] - point[0]))
        for point, aim in snapped if point is not None and np.linalg.norm(point[:2] - aim) <= CLOSE + 1e-6
    ]
    if not poses:
        return np.empty((0, 3))
    middle = (thing.bottom + thing.top) / 2 - _floor(info, thing)
    eye = CameraSpec(width=24, height=18, mount_height=min(max(middle, 0.05), 2.0), hfov_deg=100.0)
    semantic = simulator.render(poses, [eye], rgb=False, semantic=True).semantic
    assert semantic is not None
    seen = (semantic == thing.id).any(axis=(1, 2))
    return np.array([pose.position for pose, sees in zip(poses, seen) if sees]).reshape(-1, 3)

"""Instruction episodes: a drive whose end is easily told, and the words for it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sim_envs.simulator import Geodesic, Pose, Room
from sim_envs.tasks.episode import EpisodeError
from sim_envs.tasks.instructions import describe_route
from sim_envs.tasks.landmarks import BESIDE, notable, stop_landmark
from sim_envs.tasks.object_goals import view_points
from sim_envs.tasks.rooms import distances_to, inside, room_at
from sim_envs.tasks.route import ABOUT_FACE, Route, analyse
from sim_envs.tasks.site import Site, heading_along

_ENDS = 40  # ends tried
_STARTS = 12  # starts tried for each end


def make_instruction(site: Site, variant: str, low: float, high: float) -> dict[str, Any]:
    """A drive within one room, or from room to room, that ends beside something."""
    things = notable(site.info)
    if not things:
        raise EpisodeError(f"scene {site.info.ref} names no objects: instructions need a scene with semantics")
    lengths: list[float] = []
    suited = 0
    for _ in range(_ENDS):
        thing = things[int(site.rng.integers(len(things)))]
        views, _owners = view_points(site.simulator, site.robot.footprint.radius, site.info, [thing])
        if not len(views):
            continue
        end = views[site.rng.integers(len(views))]
        for _ in range(_STARTS):
            way = _way_to(site, end, low, high, variant)
            if way is None:
                continue
            lengths.append(way.distance)
            if not low <= way.distance <= high:
                continue
            suited += 1
            route = analyse(site.info, way.path)
            if _tellable(site, route, variant):
                return _episode(site, way)
    raise EpisodeError(site.nothing_found(f"{variant} instruction", low, high, lengths, suited))


def _way_to(site: Site, end: np.ndarray, low: float, high: float, variant: str) -> Geodesic | None:
    room = room_at(site.info, end)
    if variant == "single-room" and room >= 0:
        start = _in_room(site, site.info.rooms[room])
    else:
        start = site.near(end, low / 2, high) if site.large else site.place()
    if start is None or math.dist(start, end) > high:
        return None
    way = site.simulator.geodesic(start, end[None])
    return way if math.isfinite(way.distance) and len(way.path) > 1 else None


def _in_room(site: Site, room: Room) -> np.ndarray | None:
    """A place [3] in a room, if the draw meets one."""
    flat = site.rng.uniform(room.outline.min(axis=0), room.outline.max(axis=0))
    point = site.simulator.snap(np.append(flat, room.floor))
    if point is None or not inside(room.outline, point[None])[0] or not site.roomy(point[None])[0]:
        return None
    return point


def _tellable(site: Site, route: Route, variant: str) -> bool:
    """Whether words can lead along the route: it ends beside something, does not wander, and suits the variant."""
    stop = stop_landmark(site.info, route)
    if stop is None or distances_to(stop.thing, route.points[-1:])[0] > BESIDE:
        return False
    if any(abs(turn.angle) >= ABOUT_FACE for turn in route.turns) or len(route.turns) > 6:
        return False
    if variant == "single-room":
        return not route.crossings
    visited = [int(room) for room in dict.fromkeys(route.rooms.tolist()) if room >= 0]
    return len(visited) >= 2 and len(route.crossings) == len(visited) - 1  # never twice into the same room


def _episode(site: Site, way: Geodesic) -> dict[str, Any]:
    along = heading_along(way.path, 0.0)
    yaw = along + site.rng.uniform(-0.4, 0.4) if site.rng.random() < 0.6 else site.yaw()
    start = Pose.at(way.path[0], yaw)
    return {
        "start": start, "goals": way.path[-1:].copy(), "geodesic_distance": way.distance, "reference_path": way.path,
        "instruction": describe_route(site.info, way.path, site.rng, start.yaw),
    }

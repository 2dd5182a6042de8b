"""Tasks about whole drives: following up a recorded tour, and exploring."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nav_foundation.geometry import path_length, resample_path
from sim_envs.coverage import Coverage
from sim_envs.simulator import Pose
from sim_envs.tasks.episode import EXPLORED_ENOUGH, EpisodeError
from sim_envs.tasks.rooms import room_at
from sim_envs.tasks.site import Site, heading_along, point_along

SHORTEST_TOUR = 8.0  # m
_STOPS = 4  # places a tour visits after its start
_TRIES = 20
_LEAST_EXPLORED = 2.0  # m; a place that is seen with less driving is not worth exploring
_STEP = 0.25  # m between two looks of the exploring expert


def make_tour(site: Site, variant: str, low: float, high: float) -> dict[str, Any]:
    """A recorded drive through several rooms, a place seen on it, and a start elsewhere on it."""
    lengths: list[float] = []
    suited = 0
    for _ in range(_TRIES):
        tour = _draw_tour(site, low, high)
        length = path_length(tour)
        if length < SHORTEST_TOUR:
            continue
        for _ in range(_TRIES):
            at = site.rng.uniform(0.1, 1.0) * length
            goal, goal_yaw = point_along(tour, at), heading_along(tour, at)
            begin = site.rng.uniform(0.0, 1.0) * length
            aside = np.append(site.rng.normal(0.0, 0.2, 2), 0.0)
            start = site.simulator.snap(point_along(tour, begin) + aside)
            if start is None or not site.roomy(start[None])[0] or not site.roomy(goal[None])[0]:
                continue
            way = site.simulator.geodesic(start, goal[None])
            if not math.isfinite(way.distance):
                continue
            lengths.append(way.distance)
            if not low <= way.distance <= high:
                continue
            suited += 1
            if site.shows_something(Pose.at(goal, goal_yaw)):
                along = heading_along(tour, begin) + site.rng.normal(0.0, 0.5)
                return {
                    "start": Pose.at(start, along), "goals": goal[None],
                    "goal_yaw": goal_yaw, "reference_path": tour, "geodesic_distance": way.distance,
                }
    raise EpisodeError(site.nothing_found("place on a tour", low, high, lengths, suited))


def _draw_tour(site: Site, low: float, high: float) -> np.ndarray:
    """A drive [K, 3] through several places, each in another room where there are rooms."""
    here = site.place()
    pieces = [here[None]]
    for stop in _stops(site, here, low, high):
        way = site.simulator.geodesic(here, stop[None])
        if math.isfinite(way.distance) and len(way.path) > 1:
            pieces.append(way.path[1:])
            here = way.path[-1]
    return np.concatenate(pieces)


def _stops(site: Site, here: np.ndarray, low: float, high: float) -> list[np.ndarray]:
    """Places to visit, in the order of a drive that goes to the nearest one next."""
    places: dict[int, np.ndarray] = {}
    visited = room_at(site.info, here)
    for k in range(60):
        point = site.near(here, low, high / 2) if site.large else site.place()
        if point is None:
            continue
        room = room_at(site.info, point) if len(site.info.rooms) > 1 else -2 - k
        if room != visited:
            places.setdefault(room, point)
        if len(places) == _STOPS:
            break
    order: list[np.ndarray] = []
    left = list(places.values())
    while left:
        nearest = min(range(len(left)), key=lambda k: math.dist(left[k], here))
        here = left.pop(nearest)
        order.append(here)
    return order


def make_explore(site: Site, variant: str, low: float, high: float) -> dict[str, Any]:
    """A start, and how far an expert drives from it to see enough."""
    for _ in range(_TRIES):
        point = site.place()
        start = Pose.at(point, site.yaw())
        driven = _expert_exploration(site, start)
        if driven is not None and driven >= _LEAST_EXPLORED:
            return {"start": start, "goals": np.empty((0, 3)), "geodesic_distance": driven}
    raise EpisodeError(
        f"scene {site.info.ref}: from {_TRIES} starts {EXPLORED_ENOUGH:.0%} of the floor could not be seen, or by "
        f"driving less than {_LEAST_EXPLORED:g} m: choose a larger scene or a smaller robot"
    )


def _expert_exploration(site: Site, start: Pose) -> float | None:
    """Metres driven, always towards the nearest floor not seen yet, until enough is seen; None if that fails."""
    coverage = Coverage.of_scene(site.simulator, site.info, start.position, site.robot.camera)
    x, y, yaw = start.x, start.y, start.yaw
    coverage.update(x, y, yaw)
    driven = 0.0
    while coverage.fraction < EXPLORED_ENOUGH:
        edge = coverage.frontier  # every way to unseen floor enters it here
        goals = np.column_stack([edge, np.full(len(edge), start.z)])
        if not len(goals):
            return None
        way = site.simulator.geodesic(np.array([x, y, start.z]), goals)
        if not math.isfinite(way.distance):
            return None
        before = coverage.fraction
        for point in resample_path(way.path, _STEP)[1:]:
            heading = math.atan2(point[1] - y, point[0] - x)
            for turned in np.linspace(0.0, math.remainder(heading - yaw, math.tau), 4)[1:]:  # it sees while it turns
                coverage.update(x, y, yaw + turned)
            driven += math.hypot(point[0] - x, point[1] - y)
            x, y, yaw = float(point[0]), float(point[1]), heading
            coverage.update(x, y, yaw)
            if coverage.seen_at(way.path[-1]) or coverage.fraction >= EXPLORED_ENOUGH:
                break
        if coverage.fraction == before:
            return None
    return driven

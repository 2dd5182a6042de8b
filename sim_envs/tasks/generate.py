"""Make episodes: solvable ones, each a function of (scene, task, variant, distance, seed, index) and nothing else."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nav_foundation.config import closest
from nav_foundation.robot import RobotSpec
from sim_envs.simulator import Pose, SceneRef, Simulator
from sim_envs.tasks.drives import make_explore, make_tour
from sim_envs.tasks.episode import SUCCESS_RADIUS, TASKS, VARIANTS, Episode, EpisodeError, TaskName
from sim_envs.tasks.habitat_schema import stable_seed
from sim_envs.tasks.instructed import make_instruction
from sim_envs.tasks.object_goals import make_object_goal
from sim_envs.tasks.site import Site, heading_along, view_overlap

Distance = tuple[float, float]  # m, geodesic from start to the nearest goal
BEYOND_SUCCESS = 0.5  # m an episode's start lies outside success, at least
OVERLAP = 0.2  # share of a covisible goal's picture that the start view shows too
_HOUSE: dict[str, Distance] = {  # by task, or by task and variant
    "point-goal": (3.0, 15.0), "image-goal": (2.0, 10.0), "image-goal covisible": (1.5, 6.0),
    "object-goal": (1.5, 20.0), "object-goal visible": (1.5, 8.0), "instruction": (2.0, 10.0),
    "instruction multi-room": (5.0, 25.0), "tour": (3.0, 20.0), "explore": (0.0, math.inf),
}
_CITY: dict[str, Distance] = {
    "point-goal": (10.0, 60.0), "image-goal": (5.0, 30.0), "image-goal covisible": (2.0, 15.0),
    "object-goal": (3.0, 50.0), "object-goal visible": (3.0, 20.0), "instruction": (10.0, 40.0),
    "instruction multi-room": (30.0, 120.0), "tour": (10.0, 60.0), "explore": (0.0, math.inf),
}


def generate_episodes(
    simulator: Simulator, robot: RobotSpec, task: TaskName, variant: str, scenes: Sequence[SceneRef], count: int,
    seed: int, distance: Distance | None = None,
) -> list[Episode]:
    """`count` episodes, in turn over the scenes. Episode i is the one `generate_episode` makes for index i."""
    if not scenes:
        raise EpisodeError("no scenes were given to make episodes in: name at least one")
    episodes: dict[int, Episode] = {}
    by_scene: dict[SceneRef, list[int]] = defaultdict(list)
    for index in range(count):
        by_scene[scenes[index % len(scenes)]].append(index)
    for scene, indices in by_scene.items():  # scene by scene, because loading one is the dearest step
        for index in indices:
            episodes[index] = generate_episode(simulator, robot, task, variant, scene, index, seed, distance)
    return [episodes[index] for index in range(count)]


def generate_episode(
    simulator: Simulator, robot: RobotSpec, task: TaskName, variant: str, scene: SceneRef, index: int, seed: int,
    distance: Distance | None = None,
) -> Episode:
    """The episode of one index. An empty variant is the task's first one; without a distance the task's own is used."""
    variant = checked_variant(task, variant)
    low, high = _checked_distance(task, variant, scene, distance)
    info = simulator.load(scene, robot.footprint)
    name = Path(scene.path).name if scene.kind == "file" else str(scene)  # the same wherever the file lies
    words = (name, task, variant, f"{low!r} {high!r}")
    rng = np.random.default_rng([seed, index, stable_seed(*words)])
    site = Site(simulator, robot, info, rng)
    make = _MAKERS[task]
    fields = make(site, variant, low, high)
    episode = Episode(
        episode_id=str(index), task=task, scene=scene, success_radius=SUCCESS_RADIUS[task], variant=variant,
        seed=int(rng.integers(2**31)), **fields,
    )
    assert math.isfinite(episode.geodesic_distance) and episode.geodesic_distance > 0
    return episode


def checked_variant(task: str, variant: str) -> str:
    """The variant's name, the task's first one if it is empty."""
    if task not in TASKS:
        raise EpisodeError(f"task {task!r} is not known{closest(task, TASKS)}")
    known = VARIANTS[task]
    if not variant:
        return known[0] if known else ""
    if variant not in known:
        what = f"use one of {', '.join(known)}" if known else "it has none"
        raise EpisodeError(f"task {task} has no variant {variant!r}: {what}")
    return variant


def default_distance(task: str, variant: str, scene: SceneRef) -> Distance:
    table = _CITY if scene.kind == "city" else _HOUSE
    return table.get(f"{task} {variant}", table[task])


def _checked_distance(task: str, variant: str, scene: SceneRef, distance: Distance | None) -> Distance:
    if task == "explore" and distance is not None:
        raise EpisodeError("task explore takes no distance: the whole scene is to be seen")
    low, high = default_distance(task, variant, scene) if distance is None else distance
    if not (0.0 <= low < high):
        raise EpisodeError(f"distance {low:g}-{high:g} is no range: give MIN-MAX in metres with MIN below MAX")
    outside = 0.0 if task == "explore" else _nearest_start(task)
    if high <= outside:
        raise EpisodeError(f"distance {low:g}-{high:g}: {task} must start over {outside:g} m away, outside success")
    return max(float(low), outside), float(high)


def _nearest_start(task: str) -> float:
    # Goals of objects are view points, which lie inside success; their distance counts from there.
    return SUCCESS_RADIUS[task] + BEYOND_SUCCESS


def _make_point_goal(site: Site, variant: str, low: float, high: float) -> dict[str, Any]:
    """Anywhere to anywhere, with fewer drives that are just a straight line than chance would give."""
    for way in site.ways(low, high, "point goal"):
        straight = way.distance < 1.05 * math.dist(way.path[0], way.path[-1])
        if straight and site.rng.random() < 0.7:
            continue
        return _from_to(way.path, way.distance, site.yaw())
    raise AssertionError("ways() ends in an error")


def _make_image_goal(site: Site, variant: str, low: float, high: float) -> dict[str, Any]:
    for way in site.ways(low, high, f"image goal ({variant})"):
        start, goal = way.path[0], way.path[-1]
        if variant == "route":
            start_yaw = heading_along(way.path, 0.0) + site.rng.uniform(-0.35, 0.35)
            goal_yaw = heading_along(way.path, way.distance)
        elif variant == "covisible":
            towards = math.atan2(goal[1] - start[1], goal[0] - start[0])
            start_yaw, goal_yaw = towards + site.rng.uniform(-0.5, 0.5), towards + site.rng.uniform(-0.9, 0.9)
        else:
            start_yaw, goal_yaw = site.yaw(), site.yaw()
        here, there = Pose.at(start, start_yaw), Pose.at(goal, goal_yaw)
        if not site.shows_something(there):
            continue
        if variant == "covisible" and view_overlap(site, here, there) < OVERLAP:
            continue
        return _from_to(way.path, way.distance, here.yaw) | {"goal_yaw": there.yaw}
    raise AssertionError("ways() ends in an error")


def _from_to(path: np.ndarray, distance: float, yaw: float) -> dict[str, Any]:
    return {"start": Pose.at(path[0], yaw), "goals": path[-1:].copy(), "geodesic_distance": distance}


_Maker = Callable[[Site, str, float, float], dict[str, Any]]  # the fields of an Episode that a task decides
_MAKERS: dict[str, _Maker] = {
    "point-goal": _make_point_goal, "image-goal": _make_image_goal, "object-goal": make_object_goal,
    "instruction": make_instruction, "tour": make_tour, "explore": make_explore,
}

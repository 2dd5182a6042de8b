"""People who walk about: where they are, tick by tick. Works with any simulator through the port."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from nav_foundation.geometry import path_length
from sim_envs.simulator import Mover, Pose, Simulator
from sim_envs.tasks.episode import EpisodeError

GAIT_PHASES = 16  # Mover.look = person * GAIT_PHASES + phase
_TRIES = 8  # places thought of before somebody stays
_PATIENCE = 3.0  # s of standing before somebody chooses another way
_PERSONAL_SPACE = 0.15  # m kept between people and robots
_PACE = 0.3  # m, the first step of a way
_STRIDE = 1.3  # m walked per full gait cycle


@dataclass
class _Walker:
    position: np.ndarray  # [3] m
    speed: float  # m/s
    yaw: float = 0.0
    path: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    along: float = 0.0  # m of the path already walked
    walked: float = 0.0  # m walked ever, drives the gait
    waiting: float = 0.0  # s


class Crowd:
    """`count` people who each walk the shortest way to a random place, and then to another."""

    def __init__(self, simulator: Simulator, count: int, avoid: Pose, rng: np.random.Generator) -> None:
        self._simulator = simulator
        self._rng = rng
        self._walkers: list[_Walker] = []
        for _ in range(count):
            position = self._free_place(avoid, count)
            self._walkers.append(_Walker(position, rng.uniform(0.6, 1.2), rng.uniform(-math.pi, math.pi)))
        self._looks = rng.permutation(max(64, count))[:count]

    def advance(self, seconds: float, robot: Pose, robot_radius: float) -> list[Mover]:
        """Let everybody walk for `seconds`; nobody walks into the robot or into each other."""
        for index, walker in enumerate(self._walkers):
            self._walk(index, walker, seconds, robot, robot_radius)
        return self.movers()

    def movers(self) -> list[Mover]:
        people = []
        for look, walker in zip(self._looks, self._walkers):
            phase = int(walker.walked / _STRIDE * GAIT_PHASES) % GAIT_PHASES
            x, y, z = walker.position
            people.append(Mover(Pose(x, y, z, walker.yaw), look=int(look) * GAIT_PHASES + phase))
        return people

    def _free_place(self, avoid: Pose, count: int) -> np.ndarray:
        for _ in range(50):
            place = self._simulator.sample_navigable(self._rng)
            others = [w.position for w in self._walkers]
            if math.dist(place, avoid.position) > 1.5 and all(math.dist(place, o) > 0.8 for o in others):
                return place
        raise EpisodeError(f"the scene has no room for {count} people: ask for fewer people")

    def _walk(self, index: int, walker: _Walker, seconds: float, robot: Pose, robot_radius: float) -> None:
        if walker.along >= path_length(walker.path):
            walker.path, walker.along = self._way_out(index, walker.position, robot, robot_radius), 0.0
            if len(walker.path) < 2:
                return
        along = walker.along + walker.speed * seconds
        position = _point_at(walker.path, along)
        if self._too_close(index, walker.position, position, robot, robot_radius):
            walker.waiting += seconds
            if walker.waiting > _PATIENCE:
                walker.path, walker.along, walker.waiting = np.zeros((0, 3)), 0.0, 0.0
            return
        step = position - walker.position
        if math.hypot(step[0], step[1]) > 1e-6:
            walker.yaw = math.atan2(step[1], step[0])
        walker.walked += float(np.linalg.norm(step))
        walker.position, walker.along, walker.waiting = position, along, 0.0

    def _way_out(self, index: int, here: np.ndarray, robot: Pose, robot_radius: float) -> np.ndarray:
        """The way [K, 3] to a random place; one that does not begin by walking into somebody, if there is any."""
        way = np.zeros((0, 3))
        for _ in range(_TRIES):
            goal = self._simulator.sample_navigable(self._rng)
            way = self._simulator.geodesic(here, goal[None]).path
            if len(way) > 1 and not self._too_close(index, here, _point_at(way, _PACE), robot, robot_radius):
                break
        return way

    def _too_close(self, index: int, now: np.ndarray, then: np.ndarray, robot: Pose, robot_radius: float) -> bool:
        """Whether stepping from `now` to `then` would crowd somebody; stepping away is always allowed."""
        body = Mover(robot).radius
        spots = [(robot.position, robot_radius + body + _PERSONAL_SPACE)]
        spots += [(w.position, 2 * body + _PERSONAL_SPACE) for k, w in enumerate(self._walkers) if k != index]
        return any(math.dist(then, spot) < min(limit, math.dist(now, spot)) for spot, limit in spots)


def _point_at(path: np.ndarray, along: float) -> np.ndarray:
    """The point [3] `along` metres down a polyline [K, 3]."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    return np.array([np.interp(along, arc, path[:, k]) for k in range(3)])

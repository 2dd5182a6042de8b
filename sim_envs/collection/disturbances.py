"""What makes an expert show how it recovers: pushes while it drives, and awkward places to begin in."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from nav_foundation.robot import RobotSpec
from nav_foundation.types import Velocity
from sim_envs.simulator import Pose, Simulator
from sim_envs.tasks.episode import Episode
from sim_envs.world import World

_EVERY = 8.0  # s between pushes, on average
_LASTS = (0.5, 2.0)  # s
_AIR = 0.04  # m between robot and obstacle at which a push ends
_TIGHT = 0.06  # m of air at most in an awkward place
_TRIES = 60


class Pushes:
    """Now and then drives in a direction of its own instead of the wanted one, and lets go before an obstacle."""

    def __init__(self, strength: float, world: World, rng: np.random.Generator) -> None:
        """`strength` 0..1 of the robot's turning rate; 0 = never."""
        self._strength, self._world, self._rng = strength, world, rng
        self._left = 0.0  # s
        self._push = Velocity()

    def __call__(self, wanted: Velocity) -> Velocity:
        """What the base is commanded for one control period."""
        world, rng = self._world, self._rng
        period = 1.0 / world.robot.control_rate
        if self._strength > 0 and self._left <= 0 and rng.random() < period / _EVERY:
            turn = self._strength * world.robot.max_angular_speed * rng.uniform(0.3, 1.0)
            speed = world.robot.cruise_speed * rng.uniform(0.3, 1.0)
            self._push, self._left = Velocity(speed, turn if rng.random() < 0.5 else -turn), rng.uniform(*_LASTS)
        if self._left <= 0:
            return wanted
        air = float(world.simulator.clearance(world.pose.position[None])[0]) - world.robot.footprint.radius
        self._left = 0.0 if world.touching or air < _AIR else self._left - period
        return self._push if self._left > 0 else wanted


def awkward_start(episode: Episode, simulator: Simulator, robot: RobotSpec, rng: np.random.Generator) -> Episode:
    """The episode, begun facing away or right beside an obstacle. Instructions stay: their words fit their start."""
    if episode.task == "instruction":
        return episode
    start = episode.start
    turned = Pose.at(start.position, start.yaw + math.pi + rng.uniform(-0.6, 0.6))
    if rng.random() < 0.5:
        return replace(episode, start=turned)
    offsets = np.column_stack([rng.uniform(-1.5, 1.5, (_TRIES, 2)), np.zeros(_TRIES)])
    air = simulator.clearance(start.position + offsets) - robot.footprint.radius
    for offset in offsets[(air >= 0.0) & (air < _TIGHT)]:
        place = simulator.snap(start.position + offset)
        if place is not None and simulator.geodesic(place, start.position[None]).distance < 4.0:
            return replace(episode, start=Pose.at(place, rng.uniform(-math.pi, math.pi)))
    return replace(episode, start=turned)

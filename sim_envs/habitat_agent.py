"""Our policies for people who live in habitat-lab: an agent with `reset` and `act`, as `habitat.Benchmark` wants it.

It is no subclass of `habitat.Agent`, which asks for these two methods alone, so nothing here imports Habitat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nav_foundation.geometry import from_frame
from nav_foundation.robot import RobotSpec, load_robot
from nav_foundation.types import (
    NANOSECONDS,
    Goal,
    ImageGoal,
    InstructionGoal,
    ObjectGoal,
    Observation,
    PointGoal,
    Pose2,
)
from policies.load import load_policy
from policies.moves import DiscreteAgent, Move
from policies.policy import Policy
from sim_envs.habitat_presets import find_preset

ACTIONS: dict[Move, str] = {
    "stop": "stop", "forward": "move_forward", "left": "turn_left", "right": "turn_right",
}


@dataclass(frozen=True)
class LabSettings:
    """What observations do not tell."""

    categories: Mapping[str, int] | None = None  # numbers of objectgoal: the data set's category_to_task_category_id
    depth_range: tuple[float, float] | None = (0.0, 10.0)  # m of normalised depth, as lab gives it; None = metres
    seed: int = 0


class HabitatAgent:
    """A policy in habitat-lab's frames and words.

    Goals are read from `pointgoal_with_gps_compass`, `pointgoal` (both polar, as is lab's default), `imagegoal`,
    `instance_imagegoal`, `objectgoal` and `instruction`; odometry from `gps` and `compass`. Without these two it
    counts its turns, which lab without noise executes exactly, and takes the place from the point goal's distance.
    """

    def __init__(
        self, policy: str | Policy, preset: str, robot: str | RobotSpec = "turtlebot",
        settings: LabSettings | None = None,
    ) -> None:
        """`policy` is one of ours, or the name or folder of a model; `preset` the benchmark, whose camera lab has."""
        benchmark = find_preset(preset)
        self.settings = settings or LabSettings()
        self.robot = benchmark.robot(load_robot(robot) if isinstance(robot, str) else robot)
        self._sizes, self._radius = benchmark.sizes, benchmark.success_radius
        made = load_policy(policy) if isinstance(policy, str) else policy
        self._agent = DiscreteAgent(made, self.robot, self._sizes)
        self._episodes = 0
        self.reset()

    def reset(self) -> None:
        """Another episode begins."""
        self._goal: Goal | None = None
        self._time, self._turned = 0.0, 0.0  # s, rad since the start
        self._episodes += 1

    def act(self, observations: Mapping[str, Any]) -> dict[str, str]:
        """Lab's next action for what its sensors tell."""
        first = self._goal is None
        if self._goal is None:
            self._goal = self._read_goal(observations)
        seen = Observation(
            _picture(observations, "rgb"), round(self._time * NANOSECONDS), self._odometry(observations),
            self._depth(observations),
        )
        if first:
            self._agent.reset(self._goal, self.settings.seed + self._episodes - 1)
        move = self._agent.act(seen, self._goal)
        if move == "forward":
            self._time += self._sizes.forward / self.robot.cruise_speed
        elif move != "stop":
            self._time += self._sizes.turn / self.robot.max_angular_speed
            self._turned += self._sizes.turn if move == "left" else -self._sizes.turn
        return {"action": ACTIONS[move]}

    def _read_goal(self, observations: Mapping[str, Any]) -> Goal:
        for name in ("pointgoal_with_gps_compass", "pointgoal"):
            if name in observations:
                x, y = _polar(observations[name], name)
                return PointGoal(x, y, self._radius)
        for name in ("imagegoal", "instance_imagegoal"):
            if name in observations:
                return ImageGoal(_picture(observations, name), self._radius)
        if "objectgoal" in observations:
            return ObjectGoal(self._category(observations["objectgoal"]), self._radius)
        if "instruction" in observations:
            told = observations["instruction"]
            return InstructionGoal(str(told["text"] if isinstance(told, Mapping) else told), self._radius)
        raise ValueError(
            f"the observations hold no goal ({', '.join(sorted(observations))}): add one of habitat-lab's sensors "
            "pointgoal_with_gps_compass, imagegoal, instance_imagegoal, objectgoal or instruction"
        )

    def _category(self, told: Any) -> str:
        number = int(np.asarray(told).reshape(-1)[0])
        names = {index: name for name, index in (self.settings.categories or {}).items()}
        if number not in names:
            raise ValueError(
                f"objectgoal {number} has no name: give LabSettings(categories=dataset.category_to_task_category_id)"
            )
        return names[number].replace("_", " ")

    def _odometry(self, observations: Mapping[str, Any]) -> Pose2 | None:
        """Where the robot is in the frame of its start: x forward, y left."""
        if "gps" in observations and "compass" in observations:
            gps = np.asarray(observations["gps"], dtype=np.float64)
            # Two numbers are (forward, right); three are Habitat's own x right, y up, -z forward.
            forward, right = (gps[0], gps[1]) if len(gps) == 2 else (-gps[2], gps[0])
            return Pose2(float(forward), -float(right), float(np.asarray(observations["compass"]).reshape(-1)[0]))
        if "pointgoal_with_gps_compass" in observations and isinstance(self._goal, PointGoal):
            ahead = np.array([_polar(observations["pointgoal_with_gps_compass"], "pointgoal_with_gps_compass")])
            yaw = math.remainder(self._turned, math.tau)
            away = from_frame(Pose2(0.0, 0.0, yaw), ahead)[0]
            return Pose2(self._goal.x - float(away[0]), self._goal.y - float(away[1]), yaw)
        if isinstance(self._goal, PointGoal):
            raise ValueError(
                "pointgoal tells the place once, from the start: add habitat-lab's sensors gps and compass, or use "
                "pointgoal_with_gps_compass"
            )
        return None

    def _depth(self, observations: Mapping[str, Any]) -> np.ndarray | None:
        """[H, W] float32 metres."""
        if "depth" not in observations:
            return None
        depth = np.asarray(observations["depth"], dtype=np.float32)
        depth = depth[..., 0] if depth.ndim == 3 else depth
        if self.settings.depth_range is None:
            return depth
        low, high = self.settings.depth_range
        return np.asarray(np.where(depth > 0, low + depth * (high - low), 0.0), dtype=np.float32)


def _picture(observations: Mapping[str, Any], name: str) -> np.ndarray:
    """[H, W, 3] uint8, without the fourth channel that Habitat's own sensors have."""
    if name not in observations:
        raise ValueError(f"the observations hold no {name!r}: add habitat-lab's sensor for it")
    return np.ascontiguousarray(np.asarray(observations[name])[..., :3])


def _polar(told: Any, name: str) -> tuple[float, float]:
    """x forward and y left (m) of a distance and a bearing to the left, as lab's POLAR goals of 2 dimensions are."""
    values = np.asarray(told, dtype=np.float64).reshape(-1)
    if len(values) != 2:
        raise ValueError(f"{name} has {len(values)} numbers: set its goal_format to POLAR and its dimensionality to 2")
    return float(values[0] * math.cos(values[1])), float(values[0] * math.sin(values[1]))

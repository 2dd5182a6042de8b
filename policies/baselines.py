"""Policies that see nothing: the floor that any real one must beat."""

from __future__ import annotations

import math

import numpy as np

from nav_foundation.geometry import to_frame
from nav_foundation.robot import RobotSpec
from nav_foundation.types import Goal, Observation, Plan, PointGoal, PoseGoal
from policies.policy import Tour

HORIZON = 8  # waypoints of a baseline's plan, one per frame


class BearingPolicy:
    """Drives straight at a point goal, whatever is in between."""

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        if not isinstance(goal, (PointGoal, PoseGoal)):
            raise ValueError(f"the bearing policy only knows where points are: it cannot follow {type(goal).__name__}")
        self._robot = robot

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        assert isinstance(goal, (PointGoal, PoseGoal))
        if observation.odometry is None:
            raise ValueError("the bearing policy needs odometry: give Observation.odometry")
        x, y = to_frame(observation.odometry, np.array([[goal.x, goal.y]]))[0]
        distance, bearing = math.hypot(x, y), math.atan2(y, x)
        along = np.minimum(np.arange(1, HORIZON + 1) * self._robot.step, distance)
        waypoints = np.column_stack([along * math.cos(bearing), along * math.sin(bearing), np.full(HORIZON, bearing)])
        arrived = distance < 0.6 * goal.radius
        return Plan(waypoints, 1.0 / self._robot.frame_rate, observation.stamp_ns, distance, arrival=float(arrived))


class StraightPolicy:
    """Drives straight ahead and stops after 4 m: what goals on the way ahead are worth without looking for them."""

    METRES = 4.0

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        self._robot = robot
        self._goal: PointGoal | None = None  # in the odometry's frame
        self._follow = BearingPolicy()

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        here = observation.odometry
        if here is None:
            raise ValueError("the straight policy needs odometry: give Observation.odometry")
        if self._goal is None:
            self._goal = PointGoal(here.x + self.METRES * math.cos(here.yaw), here.y + self.METRES * math.sin(here.yaw))
            self._follow.reset(self._robot, self._goal, 0)
        return self._follow.plan(observation, self._goal)


class RandomWalkPolicy:
    """Wanders with a slowly changing turn, and calls itself arrived after a random time."""

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        self._robot = robot
        self._rng = np.random.default_rng(seed)
        self._turn = 0.0  # rad/s
        self._frames_left = int(self._rng.uniform(5.0, 60.0) * robot.frame_rate)

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        robot, dt = self._robot, 1.0 / self._robot.frame_rate
        self._frames_left -= 1
        self._turn = 0.95 * self._turn + self._rng.normal(0.0, 0.25)
        self._turn = float(np.clip(self._turn, -robot.max_angular_speed, robot.max_angular_speed))
        yaw = self._turn * dt * np.arange(HORIZON + 1)
        x = np.cumsum(robot.step * np.cos(yaw[:-1]))
        y = np.cumsum(robot.step * np.sin(yaw[:-1]))
        return Plan(
            np.column_stack([x, y, yaw[1:]]), dt, observation.stamp_ns, math.inf, arrival=float(self._frames_left <= 0)
        )

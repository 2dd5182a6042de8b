"""Drives as if there were no goal and stops where the goal is: what a goal is worth to a network is measured so."""

from __future__ import annotations

from dataclasses import replace

from nav_foundation.robot import RobotSpec
from nav_foundation.types import Explore, Goal, Observation, Plan
from policies.policy import Policy, Tour


class GoalMasked:
    """`driving` explores, `judging` sees the goal and says when it is reached: two of the same policy."""

    def __init__(self, driving: Policy, judging: Policy) -> None:
        self._driving, self._judging = driving, judging
        self._nowhere = Explore()

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        self._driving.reset(robot, self._nowhere, seed)
        self._judging.reset(robot, goal, seed, tour)

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        seen = self._judging.plan(observation, goal)
        return replace(
            self._driving.plan(observation, self._nowhere), distance=seen.distance, distance_std=seen.distance_std,
            arrival=seen.arrival,
        )

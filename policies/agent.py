"""Agent: the robot's brain in two calls, the same in simulators and on robots.

`plan(observation, goal)` at the camera's frame rate, `command(plan, odometry, now_ns)` at the control rate.
"""

from __future__ import annotations

from nav_foundation.robot import RobotSpec
from nav_foundation.types import Explore, Goal, Observation, Plan, Pose2, Velocity
from policies.controller import Controller
from policies.policy import Policy, Tour

ARRIVAL_TICKS = 2  # frames in a row that must say "arrived"
# Chance from which on they do. At one half a robot would stop at the very edge of the goal, every other time outside.
SURE = 0.8


class Agent:
    """A policy and a controller for one robot."""

    def __init__(self, policy: Policy, robot: RobotSpec, controller: Controller | None = None) -> None:
        self.policy = policy
        self.robot = robot
        self.controller = controller or Controller(robot)
        self.arrived = False
        self._arrivals = 0

    def reset(self, goal: Goal, seed: int = 0, tour: Tour | None = None, *, moving: bool = False) -> None:
        """Begin a new goal, perhaps while the robot is `moving`. All randomness of the episode comes from `seed`."""
        self.arrived = False
        self._arrivals = 0
        if moving:
            self.controller.forget()
        else:
            self.controller.reset()
        self.policy.reset(self.robot, goal, seed, tour)

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        """Where to drive, in the robot frame at the observation's stamp."""
        if observation.odometry is not None:
            self.controller.remember(observation.stamp_ns, observation.odometry)
        plan = self.policy.plan(observation, goal)
        self._arrivals = self._arrivals + 1 if plan.arrival >= SURE else 0
        if self._arrivals >= ARRIVAL_TICKS and not isinstance(goal, Explore):
            self.arrived = True
        return plan

    def command(self, plan: Plan | None, odometry: Pose2 | None, now_ns: int) -> Velocity:
        """The velocity for this control tick; brakes for good once arrived."""
        return self.controller.command(plan, odometry, now_ns, hold=self.arrived)

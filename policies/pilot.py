"""Pilot: from pictures as they come to plans, one goal after the other. What a robot does at its camera, less ROS."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nav_foundation.geometry import between, wrap_angle
from nav_foundation.robot import CameraSpec, RobotSpec
from nav_foundation.types import NANOSECONDS, Goal, Observation, Plan, PointGoal, Pose2, PoseGoal
from policies.agent import Agent
from policies.odometry import OdometryHistory, jump
from policies.policy import Policy

State = Literal["waiting", "driving", "arrived", "stopped"]
_GAP = 1.0  # s between pictures, in either direction, after which what was before is forgotten
_APART = 0.5  # s that a picture and the odometry nearest to it may be apart
_MEMORY = 5.0  # s of odometry
_FROZEN = 0.03  # m or rad that the robot moves while its camera shows the same picture, to the bit
_FROZEN_FOR = 0.15  # s that it shows it at least: some drivers send every picture twice
_FROZEN_BLIND = 0.25  # s, where nobody tells whether the robot moves
_FACING = 0.15  # rad of the asked heading that is near enough
_TURN_RATE = 0.8  # rad/s of the turn to it


@dataclass(frozen=True)
class Progress:
    state: State
    reason: str = ""  # why it is stopped
    plan: Plan | None = None  # None = stand


class Pilot:
    """Tell it of odometry, ask for a goal, show it pictures. `odometry` False is for robots that have none."""

    def __init__(self, policy: Policy, robot: RobotSpec, *, odometry: bool = True, seed: int = 0) -> None:
        self.robot = robot
        self.policy = policy
        self._needs_odometry, self._seed = odometry, seed
        self._agent = Agent(policy, robot)
        self._history = OdometryHistory(_MEMORY)
        self._goal: Goal | None = None
        self._heading: float | None = None  # to turn to at the end, rad
        self._done = Progress("waiting")  # what there is to say without a goal
        self._last_ns: int | None = None
        self._picture: tuple[int, int, Pose2 | None] | None = None  # a checksum, and when and where it was first seen

    def odometry(self, stamp_ns: int, pose: Pose2) -> None:
        newest = self._history.last
        if newest is not None:
            seconds = (stamp_ns - newest[0]) / NANOSECONDS
            leap = jump(newest[1], pose, min(max(seconds, 0.0), _GAP), self.robot)
            if leap or seconds < -_GAP:  # it is another frame, or its clock was set back
                self._history.clear()
            if leap:
                self._leapt(leap)
        self._history.add(stamp_ns, pose)

    def _leapt(self, leap: str) -> None:
        """Places of before lie elsewhere now, as does the way that was driven."""
        if isinstance(self._goal, PointGoal):
            self._end("stopped", f"odometry jumped by {leap}: ask for the place again")
        self._begin()

    def calibrate(self, camera: CameraSpec) -> None:
        """The camera is another one than was told. Raises ValueError for one that cannot be, and keeps the last."""
        before = self.robot, self._agent
        self.robot = replace(self.robot, camera=camera)
        self._agent = Agent(self.policy, self.robot)
        try:
            self._begin()
        except ValueError:  # no policy can see by it
            self.robot, self._agent = before
            self._begin()
            raise

    def ask(self, goal: Goal | None) -> None:
        """Drive to this goal instead of the last one; to none: stand. Raises ValueError for one it cannot drive to."""
        before = self._goal, self._heading, self._done
        self._done, self._heading, self._goal = Progress("waiting"), None, goal
        if isinstance(goal, PoseGoal):  # drive to the place first, and turn there
            self._heading, self._goal = goal.yaw, PointGoal(goal.x, goal.y, goal.radius)
        try:
            if not self._needs_odometry and isinstance(self._goal, PointGoal):
                raise ValueError("a place can only be driven to with odometry: ask for a picture or in words")
            self._begin()
        except ValueError:
            self._goal, self._heading, self._done = before
            self._begin()
            raise

    @property
    def goal(self) -> Goal | None:
        return self._goal

    def look(self, rgb: np.ndarray, stamp_ns: int) -> Progress:
        """What to do now that the camera shows this [H, W, 3] uint8, taken at a time."""
        if self._last_ns is not None and not 0 <= stamp_ns - self._last_ns <= _GAP * NANOSECONDS:
            self._begin()
        self._last_ns = stamp_ns
        if self._goal is None:
            return self._done
        here, reason = self._place(stamp_ns)
        reason = reason or self._frozen(rgb, stamp_ns, here)
        if reason:
            return Progress("stopped", reason)
        if self._agent.arrived:
            assert here is not None and self._heading is not None
            return self._turn(here, stamp_ns)
        plan = self._agent.plan(Observation(rgb, stamp_ns, here), self._goal)
        if self._agent.arrived and self._heading is None:
            return self._end("arrived")
        return Progress("driving", plan=plan)

    def _begin(self) -> None:
        self._picture = None
        if self._goal is not None:
            self._agent.reset(self._goal, self._seed, moving=True)

    def _end(self, state: State, reason: str = "") -> Progress:
        self._goal, self._heading, self._done = None, None, Progress(state, reason)
        return self._done

    def _place(self, stamp_ns: int) -> tuple[Pose2 | None, str]:
        """Where a picture was taken, or what is missing to know it."""
        if not self._needs_odometry:
            return None, ""
        if self._history.last is None:
            return None, "there is no odometry"
        apart = (stamp_ns - self._history.last[0]) / NANOSECONDS
        if apart > _APART:
            return None, f"the newest odometry is {apart:.2f} s older than the picture"
        return self._history.at(stamp_ns), ""

    def _frozen(self, rgb: np.ndarray, stamp_ns: int, here: Pose2 | None) -> str:
        """A camera's noise makes every picture another one: where the robot moves and its picture stays, it hangs."""
        shown = zlib.crc32(rgb[::4].tobytes())
        if self._picture is None or self._picture[0] != shown:
            self._picture = shown, stamp_ns, here
        _, since, there = self._picture
        seconds = (stamp_ns - since) / NANOSECONDS
        if here is None or there is None:
            return f"the camera shows the same picture for {seconds:.2f} s" if seconds > _FROZEN_BLIND else ""
        moved = between(there, here)
        if seconds < _FROZEN_FOR or max(math.hypot(moved.x, moved.y), abs(moved.yaw)) < _FROZEN:
            return ""
        return "the camera shows the same picture although the robot moves"

    def _turn(self, here: Pose2, stamp_ns: int) -> Progress:
        """At the place of a pose: turn on the spot to its heading."""
        assert self._heading is not None
        left = float(wrap_angle(self._heading - here.yaw))
        if abs(left) < _FACING:
            return self._end("arrived")
        spacing, count = 1.0 / self.robot.frame_rate, 8
        fastest = min(_TURN_RATE, self.robot.max_angular_speed) * spacing * np.arange(1, count + 1)
        waypoints = np.zeros((count, 3))
        waypoints[:, 2] = math.copysign(1.0, left) * np.minimum(fastest, abs(left))
        return Progress("driving", plan=Plan(waypoints, spacing, stamp_ns, 0.0, arrival=1.0))

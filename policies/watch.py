"""Watches what a controller relies on, odometry and the clock, for what dies, freezes or lies. NumPy alone.

Plans and with them the camera are watched by the controller itself: they come anew or it brakes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from nav_foundation.robot import RobotSpec
from nav_foundation.types import NANOSECONDS, Pose2, Velocity
from policies.odometry import jump


@dataclass(frozen=True)
class WatchSettings:
    odometry_timeout: float = 0.2  # s without a new reading
    odometry_age: float = 1.0  # s that a reading's stamp may differ from now
    frozen_after: float = 0.05  # m, or twice as many rad, told to drive while readings stay what they were
    doubt: float = 0.5  # s to stand after odometry has lied
    clock_timeout: float = 0.2  # s for which a clock may stand still

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"watch {field.name} is {getattr(self, field.name)}: give a number above 0")


class Watch:
    """Tell it what comes in and what is commanded; `fault` says why the robot must stop, or nothing.

    `now_ns` is by the clock of the stamps, `steady_ns` by one that nobody sets.
    """

    def __init__(self, robot: RobotSpec, settings: WatchSettings | None = None, odometry: bool = True) -> None:
        self._robot, self._settings, self._needs_odometry = robot, settings or WatchSettings(), odometry
        self._reading: tuple[int, int, Pose2] | None = None  # when it came, its stamp, the place
        self._told = 0.0  # m driven since the readings last changed, as commanded
        self._lied: tuple[int, str] | None = None  # when, and what about it
        self._clock: tuple[int, int] | None = None  # (now, steady) when the clock last went on

    def odometry(self, stamp_ns: int, pose: Pose2 | None, now_ns: int) -> bool:
        """A reading; None for one that is not a place. Whether it can be relied on."""
        if pose is None:
            self._lied = now_ns, "odometry holds numbers that are not finite"
            return False
        before = self._reading
        if before is not None and stamp_ns <= before[1]:
            if before[1] - stamp_ns > self._settings.odometry_age * NANOSECONDS:  # its clock was set back
                self._reading = None
            return False
        self._reading = now_ns, stamp_ns, pose
        if before is None:
            return True
        if pose != before[2]:
            self._told = 0.0
        elif self._told > self._settings.frozen_after:
            self._lied, self._told = (now_ns, "odometry does not change although the robot is told to drive"), 0.0
            return False
        leap = jump(before[2], pose, (stamp_ns - before[1]) / NANOSECONDS, self._robot)
        if leap:
            self._lied = now_ns, f"odometry jumped by {leap}"
        return not leap

    def commanded(self, velocity: Velocity, seconds: float) -> None:
        """What was sent to the base, for how long."""
        speed = math.hypot(velocity.linear, velocity.lateral)
        self._told += (speed + abs(velocity.angular) / 2.0) * seconds

    def fault(self, now_ns: int, steady_ns: int) -> str:
        """Why the robot must stand, in words; empty while all is well."""
        return self._clock_fault(now_ns, steady_ns) or (self._odometry_fault(now_ns) if self._needs_odometry else "")

    def _clock_fault(self, now_ns: int, steady_ns: int) -> str:
        if self._clock is not None and now_ns < self._clock[0]:
            self._forget_times()
        if self._clock is None or now_ns != self._clock[0]:
            self._clock = now_ns, steady_ns
        stands = (steady_ns - self._clock[1]) / NANOSECONDS
        return f"the clock has stood still for {stands:.2f} s" if stands > self._settings.clock_timeout else ""

    def _forget_times(self) -> None:
        """The clock was set back: what came before cannot be dated."""
        self._reading, self._lied = None, None

    def _odometry_fault(self, now_ns: int) -> str:
        settings = self._settings
        if self._lied is not None:
            if 0 <= now_ns - self._lied[0] < settings.doubt * NANOSECONDS:
                return self._lied[1]
            self._lied, self._told = None, 0.0
        if self._reading is None:
            return "there is no odometry"
        came, stamp, _ = self._reading
        if now_ns - came > settings.odometry_timeout * NANOSECONDS:
            return f"no new odometry for {(now_ns - came) / NANOSECONDS:.2f} s"
        age = (now_ns - stamp) / NANOSECONDS
        if abs(age) > settings.odometry_age:
            return f"odometry is stamped {age:.2f} s ago: let the robot and this computer have the same time"
        return ""

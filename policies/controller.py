"""Plan -> Velocity. Follows the waypoints' timing and yaw, owns every limit, and stops when in doubt. NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from nav_foundation.geometry import compose, shift_waypoints
from nav_foundation.robot import RobotSpec
from nav_foundation.types import NANOSECONDS, Plan, Pose2, Velocity
from policies.odometry import OdometryHistory

STOP = Velocity()


@dataclass(frozen=True)
class ControllerSettings:
    lookahead: float = 0.8  # s ahead on the plan that is aimed at
    turn_in_place: float = math.radians(50)  # rad off the target from which the robot turns before it drives
    yaw_blend: float = 0.15  # m to the target below which the plan's yaw matters more than the way to it
    stop_after: float | None = None  # s without a new plan; None = 1.5 camera periods, at least 0.3
    oldest_plan: float = 1.0  # s since the plan's observation was exposed
    history: float = 2.0  # s of odometry kept, to place late plans

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"controller {field.name} is {value}: give a number above 0")


class Controller:
    """Follows plans for one robot. `fault` says in words why it is stopping, empty while all is well.

    `guard` is given every velocity before limits are put on it, and slows what would touch something.
    """

    def __init__(
        self, robot: RobotSpec, settings: ControllerSettings | None = None,
        guard: Callable[[Velocity], Velocity] = lambda wanted: wanted,
    ) -> None:
        self.robot = robot
        self._guard = guard
        self.settings = settings or ControllerSettings()
        self.stop_after = self.settings.stop_after or max(0.3, 1.5 / robot.frame_rate)  # s
        self._emergency = False
        self.reset()

    def reset(self) -> None:
        """Begin anew with a robot that stands. An emergency stop stays latched."""
        self._last = STOP
        self._last_ns: int | None = None
        self.forget()

    def forget(self) -> None:
        """Forget plans and places but not the speed: for a new goal while the robot is moving."""
        self.fault = ""
        self._plan_seen: tuple[int, int] | None = None  # (plan stamp, when it first arrived), ns
        self._odometry = OdometryHistory(self.settings.history)
        self._reckoned = Pose2(0.0, 0.0, 0.0)  # integrated commands, for robots without odometry

    def emergency_stop(self) -> None:
        """Command a stand at once, however hard the base brakes, and stay stopped until `release`."""
        self._emergency = True

    def release(self) -> None:
        self._emergency = False

    def remember(self, stamp_ns: int, odometry: Pose2) -> None:
        """Note where the robot was, so that a plan made from that moment can be moved to now."""
        self._odometry.add(stamp_ns, odometry)

    def was_at(self, stamp_ns: int) -> Pose2:
        """Where it was, as far as that is remembered."""
        return self._odometry.at(stamp_ns)

    def command(
        self, plan: Plan | None, odometry: Pose2 | None, now_ns: int, *, hold: bool = False, doubt: str = ""
    ) -> Velocity:
        """The velocity for this control tick. `hold` brakes to a stand without being a fault (arrived, paused);
        `doubt` is a fault that others see."""
        elapsed, here, clock_fault = self._begin(odometry, now_ns)
        self.fault = clock_fault or doubt or self._latched() or ("" if hold else self._doubt(plan, now_ns))
        if self.fault or hold or plan is None:
            return self._send(STOP, elapsed)
        return self._send(self._pursue(plan, here, now_ns), elapsed)

    def steer(self, wanted: Velocity, odometry: Pose2 | None, now_ns: int) -> Velocity:
        """The velocity for this control tick where a person drives: limits and guard hold, plans do not matter."""
        elapsed, _, _ = self._begin(odometry, now_ns)
        self.fault = self._latched()
        return self._send(wanted, elapsed)

    def _begin(self, odometry: Pose2 | None, now_ns: int) -> tuple[float, Pose2, str]:
        """(s since the last tick, where the robot is, what is wrong with the clock)."""
        elapsed = 1.0 / self.robot.control_rate
        clock_fault, stands = "", False
        if self._last_ns:  # 0 is a simulator's clock that has not begun
            elapsed = (now_ns - self._last_ns) / NANOSECONDS
            stands = elapsed > self.robot.command_timeout
            if not 0.0 <= elapsed <= 1.0:
                clock_fault = f"the clock jumped by {elapsed:.2f} s"
                self._odometry.clear()
                elapsed = 1.0 / self.robot.control_rate
        self._last_ns = now_ns
        self._reckoned = compose(self._reckoned, _travelled(self._last, min(elapsed, self.robot.command_timeout)))
        if stands:  # the base has stopped by itself: it must not jump to the speed it had, nor to what it could have
            self._last, elapsed = STOP, 1.0 / self.robot.control_rate
        here = odometry if odometry is not None else self._reckoned
        self.remember(now_ns, here)
        return elapsed, here, clock_fault

    def _send(self, wanted: Velocity, elapsed: float) -> Velocity:
        wanted = self._within(wanted)
        if self.fault:  # a clock that stands still must not keep it from braking
            elapsed = max(elapsed, 1.0 / self.robot.control_rate)
        self._last = STOP if self._emergency else self._limit(self._guard(wanted), elapsed)
        return self._last

    def _latched(self) -> str:
        return "emergency stop is latched" if self._emergency else ""

    def _doubt(self, plan: Plan | None, now_ns: int) -> str:
        """Why this plan must not be driven, or nothing."""
        if plan is None:
            return "there is no plan"
        if self._plan_seen is None or self._plan_seen[0] != plan.stamp_ns:
            self._plan_seen = (plan.stamp_ns, now_ns)
        waited = (now_ns - self._plan_seen[1]) / NANOSECONDS
        if waited > self.stop_after:
            return f"no new plan for {waited:.2f} s"
        age = (now_ns - plan.stamp_ns) / NANOSECONDS
        if age > self.settings.oldest_plan or age < -0.05:
            return f"the plan's frame is {age:.2f} s old"
        if not np.isfinite(plan.waypoints).all():
            return "the plan holds numbers that are not finite"
        ahead = np.arange(1, len(plan.waypoints) + 1) * plan.waypoint_dt
        reach = 1.5 * self.robot.max_speed * ahead + 0.3
        if (np.hypot(plan.waypoints[:, 0], plan.waypoints[:, 1]) > reach).any():
            return "the plan is farther than this robot can drive in its time"
        return ""

    def _pursue(self, plan: Plan, here: Pose2, now_ns: int) -> Velocity:
        settings, robot = self.settings, self.robot
        then = self._odometry.at(plan.stamp_ns)
        poses = np.vstack([np.zeros(3), plan.waypoints])
        poses[:, 2] = np.unwrap(poses[:, 2])
        at = (now_ns - plan.stamp_ns) / NANOSECONDS + settings.lookahead
        times = np.arange(len(poses)) * plan.waypoint_dt
        target = np.array([[np.interp(at, times, poses[:, k]) for k in range(3)]])
        x, y, yaw = shift_waypoints(target, then, here)[0].tolist()
        distance, bearing = math.hypot(x, y), math.atan2(y, x)
        turn = yaw / settings.lookahead
        if robot.drive == "omnidirectional":
            return Velocity(x / settings.lookahead, turn, y / settings.lookahead)
        near = min(distance / settings.yaw_blend, 1.0)
        if near < 0.35:  # standing on the target: only its yaw is left
            return Velocity(0.0, 1.5 * turn)
        if abs(bearing) > settings.turn_in_place:
            return Velocity(0.0, near * 2.0 * bearing + (1.0 - near) * turn)
        speed = x / settings.lookahead
        curve = 2.0 * math.sin(bearing) / distance
        angular = near * speed * curve + (1.0 - near) * turn
        if abs(angular) > robot.max_angular_speed:  # keep the arc, drive it slower
            speed *= robot.max_angular_speed / abs(angular)
        return Velocity(speed, angular)

    def _within(self, wanted: Velocity) -> Velocity:
        """As much of it as the robot's highest speeds allow."""
        robot = self.robot
        speed = math.hypot(wanted.linear, wanted.lateral)
        scale = min(1.0, robot.max_speed / speed) if speed > 0 else 1.0
        turn = min(max(wanted.angular, -robot.max_angular_speed), robot.max_angular_speed)
        lateral = wanted.lateral * scale if robot.drive == "omnidirectional" else 0.0
        return Velocity(wanted.linear * scale, turn, lateral)

    def _limit(self, wanted: Velocity, elapsed: float) -> Velocity:
        """What the robot can do of it within one tick, starting from the last command.

        A tick that came late may brake for all of its time, but speeds up no more than one in time: the next one may
        follow at once.
        """
        robot, last, tick = self.robot, self._last, min(elapsed, 1.0 / self.robot.control_rate)
        up, down, turn = robot.acceleration * tick, robot.braking * elapsed, robot.angular_acceleration
        return Velocity(
            approach(last.linear, wanted.linear, up, down),
            approach(last.angular, wanted.angular, turn * tick, turn * elapsed),
            approach(last.lateral, wanted.lateral, up, down),
        )


def approach(now: float, wanted: float, up: float, down: float) -> float:
    """The speed next, from `now` towards `wanted`: by at most `up`, and by at most `down` where it slows."""
    if now * wanted < 0:  # reversing passes through a stand first
        wanted = 0.0
    change = down if abs(wanted) < abs(now) else up
    return min(max(wanted, now - change), now + change)


def _travelled(velocity: Velocity, elapsed: float) -> Pose2:
    """The motion in the robot frame of driving at `velocity` for `elapsed` s (midpoint of the arc)."""
    half = velocity.angular * elapsed / 2.0
    c, s = math.cos(half), math.sin(half)
    forward, left = velocity.linear * elapsed, velocity.lateral * elapsed
    return Pose2(c * forward - s * left, s * forward + c * left, velocity.angular * elapsed)

"""How a robot's base moves and what its odometry believes. Shared by every simulator."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from nav_foundation.geometry import between, compose
from nav_foundation.robot import RobotSpec
from nav_foundation.types import Pose2, Velocity
from policies.controller import approach


@dataclass(frozen=True)
class ActuationNoise:
    """How commands and motion differ. All zeros: a perfect base."""

    gain_std: float = 0.0  # share by which a drive is stronger or weaker all episode long
    jitter_std: float = 0.0  # share of the speed that changes from tick to tick
    slip_std: float = 0.0  # rad/s of unwanted turning at cruise speed, changing slowly

    @staticmethod
    def typical() -> ActuationNoise:
        return ActuationNoise(gain_std=0.03, jitter_std=0.03, slip_std=0.02)


@dataclass(frozen=True)
class OdometryDrift:
    """Standard deviations of an odometry's error, as shares of what was driven. Zeros: perfect."""

    distance: float = 0.0  # m of error per m driven
    heading: float = 0.0  # rad of error per m driven

    @staticmethod
    def typical() -> OdometryDrift:
        return OdometryDrift(distance=0.02, heading=math.radians(0.3))


class Base:
    """Turns commanded velocities into motion, within the robot's limits and after its delay."""

    def __init__(self, robot: RobotSpec, noise: ActuationNoise, rng: np.random.Generator) -> None:
        self.robot = robot
        self.velocity = Velocity()
        self._noise = noise
        self._rng = rng
        self._slip = 0.0
        self._gains = 1.0 + noise.gain_std * rng.standard_normal(3)
        ticks = round(robot.actuation_delay * robot.control_rate)
        self._pending: deque[Velocity] = deque([Velocity()] * ticks)

    def advance(self, command: Velocity) -> Pose2:
        """The motion, in the robot frame, of one control period under `command`."""
        robot, dt = self.robot, 1.0 / self.robot.control_rate
        self._pending.append(command)
        wanted = self._pending.popleft()
        side = wanted.lateral if robot.drive == "omnidirectional" else 0.0
        speed = math.hypot(wanted.linear, side)
        scale = min(1.0, robot.max_speed / speed) if speed > 0 else 1.0
        turn = min(max(wanted.angular, -robot.max_angular_speed), robot.max_angular_speed)
        now = self.velocity
        self.velocity = Velocity(
            approach(now.linear, wanted.linear * scale, robot.acceleration * dt, robot.braking * dt),
            approach(now.angular, turn, robot.angular_acceleration * dt, robot.angular_acceleration * dt),
            approach(now.lateral, side * scale, robot.acceleration * dt, robot.braking * dt),
        )
        forward, left, angular = self._disturbed()
        half = angular * dt / 2.0
        c, s = math.cos(half), math.sin(half)
        return Pose2((c * forward - s * left) * dt, (s * forward + c * left) * dt, angular * dt)

    def blocked(self, share: float) -> None:
        """Something held the robot back: only `share` (0..1) of the last motion happened."""
        self.velocity = Velocity(self.velocity.linear * share, self.velocity.angular, self.velocity.lateral * share)

    @property
    def at_rest(self) -> bool:
        v = self.velocity
        return abs(v.linear) < 1e-3 and abs(v.lateral) < 1e-3 and abs(v.angular) < 1e-2

    def _disturbed(self) -> tuple[float, float, float]:
        motion = np.array([self.velocity.linear, self.velocity.lateral, self.velocity.angular])
        noise = self._noise
        if noise == ActuationNoise():
            return float(motion[0]), float(motion[1]), float(motion[2])
        motion *= self._gains * (1.0 + noise.jitter_std * self._rng.standard_normal(3))
        self._slip = 0.98 * self._slip + 0.2 * noise.slip_std * self._rng.standard_normal()  # stationary: slip_std
        motion[2] += self._slip * math.hypot(motion[0], motion[1]) / self.robot.cruise_speed
        return float(motion[0]), float(motion[1]), float(motion[2])


class Odometry:
    """Where the robot believes to be. Starts at the origin; drifts with the distance driven.

    Half of the variance of the error is a bias of the whole episode, half wanders, so that over a metre the standard
    deviations are those of `OdometryDrift`.
    """

    def __init__(self, drift: OdometryDrift, rng: np.random.Generator) -> None:
        self.pose = Pose2(0.0, 0.0, 0.0)
        self._drift = drift
        self._rng = rng
        self._bias = rng.standard_normal(2) * math.sqrt(0.5)

    def advance(self, before: Pose2, after: Pose2) -> None:
        """Follow a true motion between two world poses."""
        motion = between(before, after)
        length = math.hypot(motion.x, motion.y)
        if length > 0 and self._drift != OdometryDrift():
            wander = self._rng.standard_normal(2) * math.sqrt(0.5 / max(length, 1e-6))  # white along the way
            error = self._bias + wander
            scale = 1.0 + self._drift.distance * error[0]
            motion = Pose2(motion.x * scale, motion.y * scale, motion.yaw + self._drift.heading * error[1] * length)
        self.pose = compose(self.pose, motion)

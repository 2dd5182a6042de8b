"""Where the robot was: a short memory of odometry, read between its entries."""

from __future__ import annotations

import math
from collections import deque

from nav_foundation.geometry import between, wrap_angle
from nav_foundation.robot import RobotSpec
from nav_foundation.types import NANOSECONDS, Pose2

_JUMP = 0.3  # m and rad beyond what the robot can drive


def jump(before: Pose2, after: Pose2, seconds: float, robot: RobotSpec) -> str:
    """How far odometry leapt where the robot cannot have driven so far in that time; otherwise nothing."""
    moved = between(before, after)
    away, turned = math.hypot(moved.x, moved.y), abs(moved.yaw)
    if away > 1.5 * robot.max_speed * seconds + _JUMP:
        return f"{away:.2f} m"
    return f"{turned:.2f} rad" if turned > 1.5 * robot.max_angular_speed * seconds + _JUMP else ""


class OdometryHistory:
    """Poses of the last `seconds` by their stamps."""

    def __init__(self, seconds: float) -> None:
        self._longest = round(seconds * NANOSECONDS)
        self._poses: deque[tuple[int, Pose2]] = deque()

    def add(self, stamp_ns: int, pose: Pose2) -> bool:
        """Keep a pose; one that is not newer than the last is left out."""
        if self._poses and stamp_ns <= self._poses[-1][0]:
            return False
        self._poses.append((stamp_ns, pose))
        while stamp_ns - self._poses[0][0] > self._longest:
            self._poses.popleft()
        return True

    def clear(self) -> None:
        self._poses.clear()

    @property
    def last(self) -> tuple[int, Pose2] | None:
        """The newest stamp and its pose."""
        return self._poses[-1] if self._poses else None

    def at(self, stamp_ns: int) -> Pose2:
        """Where the robot was, between the two nearest entries; beyond them, the first or the last one."""
        history = self._poses
        if stamp_ns <= history[0][0]:
            return history[0][1]
        for k in range(len(history) - 1, 0, -1):  # what is asked for is mostly recent
            (t0, p0), (t1, p1) = history[k - 1], history[k]
            if t0 <= stamp_ns <= t1:
                u = (stamp_ns - t0) / (t1 - t0)
                turn = float(wrap_angle(p1.yaw - p0.yaw))
                return Pose2(p0.x + u * (p1.x - p0.x), p0.y + u * (p1.y - p0.y), p0.yaw + u * turn)
        return history[-1][1]

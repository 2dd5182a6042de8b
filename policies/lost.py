"""Notices that a robot gets nowhere: then it explores for a while, which leads out of what a goal leads into."""

from __future__ import annotations

from collections import deque

import numpy as np

from nav_foundation.geometry import apart
from nav_foundation.robot import RobotSpec
from nav_foundation.types import NANOSECONDS, Pose2

PATIENCE = 12.0  # s within ...
_STUCK, _SHARE = 1.0, 0.2  # ... so many m of where it was, or that share of what it could drive: it gets nowhere
_AWAY = 2.0  # times that, to explore away from there
_LONGEST = 20.0  # s to do so
_NEARER = 0.6  # share of the distance to the goal from which on it goes there after all
_AT_HAND = 1.0  # m from the goal within which it does not explore
_GAP = 1.0  # s between frames after which what was before is forgotten


class Stayed:
    """Call it once per frame; it says once that the robot has been within `metres` of a place for `seconds`.

    Where it has not turned by `turned` rad meanwhile, to and fro, it may be that somebody stopped it.
    """

    def __init__(self, seconds: float, metres: float, turned: float = 0.0) -> None:
        self._seconds, self._metres, self._turned = seconds, metres, turned
        self._places: deque[tuple[int, Pose2]] = deque()

    def __call__(self, stamp_ns: int, here: Pose2) -> bool:
        if self._places and not 0 <= stamp_ns - self._places[-1][0] <= _GAP * NANOSECONDS:
            self._places.clear()
        self._places.append((stamp_ns, here))
        while stamp_ns - self._places[0][0] > self._seconds * NANOSECONDS:
            _, there = self._places.popleft()
            stays = all(apart(place, there) < self._metres for _, place in self._places)
            if stays and self._has_turned():
                self._places.clear()
                return True
        return False

    def _has_turned(self) -> bool:
        yaws = np.unwrap([place.yaw for _, place in self._places])
        return float(np.abs(np.diff(yaws)).sum()) >= self._turned

    def clear(self) -> None:
        self._places.clear()


class Lost:
    """Call it once per frame; it says whether to explore instead of driving to the goal."""

    def __init__(self, robot: RobotSpec, patience: float = PATIENCE) -> None:
        self._stuck = min(_STUCK, _SHARE * patience * robot.cruise_speed)
        self._stayed = Stayed(patience, self._stuck)
        self._begun: tuple[int, Pose2, float] | None = None  # since when it explores, where, and how far the goal was
        self._last_ns = 0

    def __call__(self, stamp_ns: int, here: Pose2 | None, distance: float) -> bool:
        """`here` by odometry; `distance` m to the goal, infinite if it is not known."""
        if not 0 <= stamp_ns - self._last_ns <= _GAP * NANOSECONDS:
            self._stayed.clear()
            self._begun = None
        self._last_ns = stamp_ns
        if here is None or distance < _AT_HAND:
            self._begun = None
            return False
        if self._begun is not None:
            began, there, far = self._begun
            seconds = (stamp_ns - began) / NANOSECONDS
            if apart(here, there) > _AWAY * self._stuck or seconds > _LONGEST or distance < _NEARER * far:
                self._begun = None
                self._stayed.clear()
            return self._begun is not None
        if self._stayed(stamp_ns, here):
            self._begun = (stamp_ns, here, distance)
        return self._begun is not None

"""What a robot ran into without seeing it: it wanted to go on, and odometry says that it did not."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from nav_foundation.geometry import apart, from_frame, wrap_angle
from nav_foundation.robot import RobotSpec
from nav_foundation.types import NANOSECONDS, Pose2
from policies.controller import ControllerSettings

_HELD = 0.15  # share of what it wanted to move below which something holds it
_WANTED = 0.5  # share of the cruise speed from which on it wants to go on
_AHEAD = math.radians(45)  # off the front from which on it is turning first
_TURNING = 0.4  # rad/s from which on it is busy turning
_STIRRED = 0.02  # rad in a frame: somebody drives it
_STOPPED = 0.35  # s, of two frames at least, that a robot has to be held that was moving: odometry may come late ...
_PUSHED = 0.75  # s ... or that stood, which sets off late
_SPOT = 0.03  # m
_WIDTH = math.radians(30)  # to either side of where it pushed that something is taken to be
_BEYOND = 0.05  # m from its edge to that
_NEARER = 0.01  # m by which a plan leads nearer to it
KEPT = 60.0  # s; who stood there may have left
_GAP = 2.5  # frames missing after which nothing can be told


class _Frame(NamedTuple):
    stamp_ns: int
    here: Pose2
    speed: float  # m/s that it wants to drive ahead, 0 while it is turning
    bearing: float  # rad where to


class Bumps:
    """Tell it of every frame and of the plan that is driven from there; `places` are in the way.

    A robot that has not moved since the last time is not driven (somebody stopped it), and nothing is felt.
    """

    def __init__(self, robot: RobotSpec) -> None:
        self._robot = robot
        self._last: _Frame | None = None
        self._spot = Pose2(0.0, 0.0, 0.0)  # where it is held
        self._pushed, self._frames = 0.0, 0  # for how many s and frames it pushed there
        self._moves = False  # it moved as it wanted, right before
        self._is_driven = False
        self._found: deque[tuple[int, np.ndarray]] = deque()

    def add(self, stamp_ns: int, here: Pose2, plan: np.ndarray) -> np.ndarray | None:
        """`plan` [H, 3] is driven from `here`, by odometry. Returns places, [3, 2] m, that it ran into just now."""
        while self._found and not 0 <= stamp_ns - self._found[0][0] < KEPT * NANOSECONDS:
            self._found.popleft()
        felt = self._ahead_of(here) if self._is_held(stamp_ns, here) else None
        if felt is not None:
            self._found.append((stamp_ns, felt))
        ahead = min(len(plan), max(1, round(ControllerSettings.lookahead * self._robot.frame_rate)))
        x, y = plan[ahead - 1, :2].tolist()
        bearing = math.atan2(y, x)
        speed = math.hypot(x, y) * self._robot.frame_rate / ahead if abs(bearing) < _AHEAD else 0.0
        self._last = _Frame(stamp_ns, here, speed, bearing)
        return felt

    @property
    def places(self) -> np.ndarray:
        """[N, 2] m, in the odometry's frame."""
        return np.concatenate([np.zeros((0, 2)), *(places for _, places in self._found)])

    def hit(self, plans: np.ndarray, here: Pose2) -> np.ndarray:
        """[N] bool: plans [N, H, 3] that lead into one of them, or nearer to one that the robot is beside."""
        ways = from_frame(here, plans[..., :2].reshape(-1, 2)).reshape(*plans.shape[:2], 1, 2)
        places = self.places
        now = np.linalg.norm(places - (here.x, here.y), axis=-1)
        near = np.linalg.norm(ways - places, axis=-1) < np.minimum(self._robot.footprint.radius, now - _NEARER)
        return np.asarray(near.any(axis=(1, 2)))

    def _is_held(self, stamp_ns: int, here: Pose2) -> bool:
        last = self._last
        seconds = 0.0 if last is None else (stamp_ns - last.stamp_ns) / NANOSECONDS
        if last is None or not 0 < seconds < _GAP / self._robot.frame_rate:
            self._let_go(here)
            return False
        wanted, moved = last.speed * seconds, apart(here, last.here)
        turned = abs(float(wrap_angle(here.yaw - last.here.yaw)))
        self._is_driven |= turned > _STIRRED
        if apart(here, self._spot) > _SPOT:
            self._is_driven = True
            self._let_go(here)
        if last.speed < _WANTED * self._robot.cruise_speed or turned > _TURNING * seconds:
            return False
        if moved > 0.5 * wanted:
            self._moves = True
        elif moved < _HELD * wanted:
            self._pushed, self._frames = self._pushed + seconds, self._frames + 1
        enough = _STOPPED if self._moves else _PUSHED + self._robot.actuation_delay
        if not self._is_driven or self._frames < 2 or self._pushed < enough:
            return False
        self._let_go(here)
        self._is_driven = False
        return True

    def _let_go(self, here: Pose2) -> None:
        self._spot, self._pushed, self._frames, self._moves = here, 0.0, 0, False

    def _ahead_of(self, here: Pose2) -> np.ndarray:
        """[3, 2] m, in the odometry's frame, where it pushed."""
        assert self._last is not None
        angle = self._last.bearing + np.linspace(-_WIDTH, _WIDTH, 3)
        reach = self._robot.footprint.radius + _BEYOND
        return np.asarray(from_frame(here, reach * np.column_stack([np.cos(angle), np.sin(angle)])))

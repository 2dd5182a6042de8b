"""Which of several plans to drive: a free one that most agree with, as long as it has not been tried in vain."""

from __future__ import annotations

from collections import deque

import numpy as np

from nav_foundation.geometry import from_frame, wrap_angle
from nav_foundation.robot import RobotSpec
from nav_foundation.types import NANOSECONDS, Pose2

LOYALTY = 0.5  # how much nearness to the last plan counts against nearness to the other ones
CAUTION = 2.0  # m that touching something counts as
WEARINESS = 0.4  # m that a second counts as for which a plan was tried before ...
TRIED, WORN_OUT = 2.5, 4.5  # s; ... from the first on it is no way on, and the second is the most: touching is worse
_RADIAN = 0.3  # m that a radian of yaw counts in comparing plans
_TURN_RATE = 0.9  # rad/s on the spot
_CURVES = (0.0, 0.4, -0.4, 0.9, -0.9)  # rad/s of the arcs
_SLOWER = 0.7  # of the cruise speed, on arcs


class Trail:
    """Where plans led to that were driven. One that leads there again is hardly a way on: the robot goes round in
    circles, or pushes against what it does not see."""

    _EVERY = 0.2  # s between places that are kept
    _RECENT = 2.0  # s of plans that are still the same way
    _NEAR, _ALIKE = 0.375, 0.3  # share of what a plan could drive, rad per s of a plan

    def __init__(self, robot: RobotSpec, horizon: int, seconds: float = 180.0) -> None:
        self._near = self._NEAR * robot.step * horizon
        self._alike = self._ALIKE * horizon / robot.frame_rate
        self._ends: deque[tuple[int, float, float, float]] = deque(maxlen=round(seconds / self._EVERY))

    def add(self, plan: np.ndarray, here: Pose2, stamp_ns: int) -> None:
        """A plan [H, 3] that is driven from `here`, where the robot was at a time."""
        if self._ends and stamp_ns < self._ends[-1][0]:  # the clock was set back
            self._ends.clear()
        if self._ends and stamp_ns - self._ends[-1][0] < 0.9 * self._EVERY * NANOSECONDS:
            return
        x, y, yaw = _ends(plan[None], here)[0].tolist()
        self._ends.append((stamp_ns, x, y, yaw))

    def worn(self, plans: np.ndarray, here: Pose2) -> np.ndarray:
        """[N] s for which the ends of plans [N, H, 3] were driven to before, at most WORN_OUT."""
        old = np.array(self._ends).reshape(-1, 4)[: max(0, len(self._ends) - round(self._RECENT / self._EVERY)), 1:]
        if not len(old):
            return np.zeros(len(plans))
        ends = _ends(plans, here)[:, None]
        near = np.linalg.norm(ends[..., :2] - old[:, :2], axis=-1) < self._near
        alike = np.abs(wrap_angle(ends[..., 2] - old[:, 2])) < self._alike
        return np.asarray(np.minimum(WORN_OUT, self._EVERY * (near & alike).sum(axis=1)))


def _ends(plans: np.ndarray, here: Pose2) -> np.ndarray:
    """[N, 3] of the odometry's frame."""
    return np.column_stack([from_frame(here, plans[:, -1, :2]), plans[:, -1, 2] + here.yaw])


def by_merit(
    plans: np.ndarray, touching: np.ndarray, last: np.ndarray | None, least: float = 0.0,
    others: np.ndarray | None = None, worn: np.ndarray | None = None,
) -> list[int]:
    """Numbers of plans [N, H, 3], the one to drive first: free, in the midst of the others, and near the `last` one.

    Of two ways about as likely the one that was begun is kept, but a plan that most others speak against is left.
    `touching` [N] is the chance of each to touch something, `worn` [N] what Trail says. One that moves less than
    `least` m is no way on: nothing would change any more. `others` [M, H, 3] are the plans themselves if not told.
    """
    cost = np.array([_apart(plan, plans if others is None else others).mean() for plan in plans]) + CAUTION * touching
    if last is not None:
        cost += LOYALTY * _apart(last, plans)
    if least > 0:
        cost += np.maximum(0.0, 1.0 - extent(plans) / least)
    if worn is not None:
        cost += WEARINESS * worn
    return [int(k) for k in np.argsort(cost, kind="stable")]


def simple_ways(robot: RobotSpec, horizon: int) -> np.ndarray:
    """[K, H, 3] turns on the spot and arcs: what can be done where a network has no way on."""
    seconds = np.arange(1, horizon + 1) / robot.frame_rate
    speed, fastest = _SLOWER * robot.cruise_speed, robot.max_angular_speed
    ways = [(0.0, _TURN_RATE), (0.0, -_TURN_RATE), *((speed, rate) for rate in _CURVES)]
    return np.stack([_arc(speed, max(-fastest, min(rate, fastest)), seconds) for speed, rate in ways])


def _arc(speed: float, rate: float, seconds: np.ndarray) -> np.ndarray:
    """[H, 3] of a constant speed (m/s) and rate (rad/s)."""
    yaw = rate * seconds
    if rate == 0:
        return np.column_stack([speed * seconds, 0 * seconds, yaw])
    return np.column_stack([speed / rate * np.sin(yaw), speed / rate * (1 - np.cos(yaw)), yaw])


def extent(plans: np.ndarray) -> np.ndarray:
    """[N] m from here to the ends of plans [N, H, 3]."""
    return np.asarray(np.linalg.norm(plans[:, -1, :2], axis=1) + _RADIAN * np.abs(plans[:, -1, 2]))


def _apart(plan: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[N] m between a plan [H, 3] and others [N, H, 3]; turning on the spot is a way too."""
    moved = np.linalg.norm(others[..., :2] - plan[:, :2], axis=-1)
    turned = np.abs(wrap_angle(others[..., 2] - plan[:, 2]))
    return np.asarray((moved + _RADIAN * turned).mean(axis=-1))

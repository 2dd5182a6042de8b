"""Where the picture of a goal was taken, or what was named is, from what the network saw of it on the way.

A single glance is often wrong, and a goal that was seen once may be out of sight a moment later. So what was said about
its place is kept on the floor, by odometry, and the robot drives where most of it agrees.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from nav_foundation.geometry import compose
from nav_foundation.types import NANOSECONDS, Pose2

_SEEN = 0.12  # share of the goal that must be in view: of less, places are guesses
_FADES, _FORGOTTEN = 6.0, 30.0  # s; a sighting counts 1/e after the first and nothing after the second
_NEAR, _FAR = 0.3, 0.4  # m, and share of the distance, by which places are off
_ENOUGH = 0.02  # sum of what sightings count from which on a place is known
_ROUNDS, _CORE = 4, 0.2  # steps to the median of places, and m within which they are one


class Sightings:
    """Tell it of every frame; `place` is where the goal seems to be."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, float, float, float]] = deque()  # ns, x, y, what it counts

    def add(self, stamp_ns: int, here: Pose2, away: float, bearing: float, seen: float) -> None:
        """At a time and `here` by odometry the goal was `away` m in direction `bearing`; `seen` 0..1 of it was."""
        if self._kept and stamp_ns < self._kept[-1][0]:  # the clock was set back
            self._kept.clear()
        while self._kept and stamp_ns - self._kept[0][0] > _FORGOTTEN * NANOSECONDS:
            self._kept.popleft()
        if seen > _SEEN:
            there = compose(here, Pose2(away * math.cos(bearing), away * math.sin(bearing), 0.0))
            self._kept.append((stamp_ns, there.x, there.y, (seen / (_NEAR + _FAR * away)) ** 2))

    def place(self, stamp_ns: int) -> tuple[float, float] | None:
        """x, y in the odometry's frame; None where too little was seen."""
        if not self._kept:
            return None
        stamps, x, y, counts = np.array(self._kept).T
        counts = counts * np.exp((stamps - stamp_ns) / (_FADES * NANOSECONDS))
        if counts.sum() < _ENOUGH:
            return None
        places = np.column_stack([x, y])
        middle = counts @ places / counts.sum()
        for _ in range(_ROUNDS):  # towards the median: single glances that were wrong hardly move it
            share = counts / (_CORE + np.linalg.norm(places - middle, axis=1))
            middle = share @ places / share.sum()
        return float(middle[0]), float(middle[1])

"""What is free and what is not about the robot, from all that its network saw on the way, and the way over it.

One picture tells little and is often wrong; many, kept by odometry, show which door leads on. The map is coarse and
leads round walls, not past chair legs: the network drives, and the map tells it where to.
"""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np

from nav_foundation.geometry import between, from_frame, to_frame
from nav_foundation.model.config import ModelConfig
from nav_foundation.model.floor import floor_bearings, floor_columns, floor_edges
from nav_foundation.robot import RobotSpec
from nav_foundation.types import NANOSECONDS, Pose2
from policies.bumps import KEPT
from policies.lost import Stayed

CELL = 0.1  # m
_ROUND = 1e-6  # cells: people ask for places like (2, 1), which lie between four of them
_SIZE = 320  # cells, of a map whose middle goes where the robot goes
_TRUSTED = 4.0  # m; what is said about things farther away is not kept
_USUAL = 0.12  # chance that something is in a bin, of which nothing is learnt
_GAIN, _MOST = 0.28, 3.0  # of log odds by one picture, and what they can become
_FORGOTTEN = 40.0  # s after which 1/e of it counts: odometry drifts, and doors are closed
_WIDEST = 0.2  # m by which what is in the way grows at most: it is seen too thick, and doors would close to wide robots
_KEPT_OFF = 0.25  # m from what is in the way that is not driven if there is another way
_AT_WALL, _NEAR_WALL, _UNSEEN = 60.0, 8.0, 0.6  # m that a metre costs besides: through, beside, and where nobody looked
_SURE = 0.45  # chance that something is there, from which on it costs
_SPARE = 3.0  # m about the robot and its goal within which ways are looked for
_AHEAD = 2.0  # m along the way to the place that the network is sent to, or more where it is straight
_LONGEST = 10.0  # m to a place up to which ways are looked for; farther ones are driven towards
_STRIDE = 3  # cells of the way between places that are tried
_REFUSED, _STAYED, _SLOW = 5.0, 0.35, 0.2  # s within so many m, or that share of what it could drive ...
_TURNED = 0.3  # rad ... turning to and fro: the network will not go where the map sends it
_NEXT, _FREE = 0.5, 0.3  # m along the way, and from the robot's edge, where it is closed then
_SQUARE = CELL * (np.indices((4, 4)).reshape(2, 16).T - 1.5)  # [16, 2] m about that place


class FloorMap:
    """Tell it of every frame; `towards` is where to drive first, to get to a place."""

    def __init__(self, robot: RobotSpec, config: ModelConfig, visible: np.ndarray) -> None:
        """`visible` [h, w] bool: which pixels of the network's view the camera sees."""
        view, bins = config.view, config.floor_bins
        self._radius, self._forward = robot.footprint.radius, robot.camera.mount_forward
        self._ahead = max(_AHEAD, 2.0 * robot.cruise_speed)
        bearings = floor_bearings(view)
        self._seen = visible.any(axis=0).reshape(floor_columns(view), -1).mean(axis=1) > 0.5
        half = 0.25 * np.abs(np.diff(bearings, append=bearings[-1:] + np.diff(bearings[-2:])))  # two rays in a column
        self._rays = (bearings[:, None] + half[:, None] * (1, -1))[self._seen]  # [columns, 2] rad
        self._away = np.arange(0.2, _TRUSTED, 0.8 * CELL)  # m
        self._bin = np.clip(np.searchsorted(floor_edges(bins), self._away) - 1, 0, bins - 1)
        self._odds = np.zeros((_SIZE, _SIZE), np.float32)  # [x, y] log odds that something is there
        self._start: Pose2 | None = None  # by odometry: the frame of the map, which turns with it
        self._corner = np.full(2, -_SIZE // 2)  # cells
        self._last_ns = 0
        self._stayed = Stayed(_REFUSED, min(_STAYED, _SLOW * _REFUSED * robot.cruise_speed), _TURNED)
        self._place: tuple[float, float] | None = None  # that was asked for
        self._barred: deque[tuple[int, np.ndarray]] = deque()  # when, and [N, 2] m in the frame of the map

    def add(self, stamp_ns: int, here: Pose2, chances: np.ndarray) -> None:
        """What a picture from `here` shows: chances [C, bins] of things in the way, see FloorHead."""
        if not np.isfinite(chances).all():
            return
        self._start = self._start or here
        here = between(self._start, here)
        self._follow(here)
        self._odds *= math.exp(-max(0, stamp_ns - self._last_ns) / (_FORGOTTEN * NANOSECONDS)) if self._last_ns else 1.0
        self._last_ns = stamp_ns
        while self._barred and not 0 <= stamp_ns - self._barred[0][0] < KEPT * NANOSECONDS:
            self._barred.popleft()
        chances = chances[self._seen].astype(np.float64)
        passed = np.cumprod(np.column_stack([np.ones(len(chances)), 1.0 - chances[:, :-1]]), axis=1)[:, self._bin]
        told = np.log((chances + 0.02) / (1.02 - chances)) - math.log(_USUAL / (1.0 - _USUAL))
        fading = np.clip(1.3 - self._away / _TRUSTED, 0.15, 1.0)
        told = np.clip(told, -1.5, 2.5)[:, self._bin] * passed * fading
        x = self._forward + np.cos(self._rays)[..., None] * self._away
        y = np.sin(self._rays)[..., None] * self._away
        cells = self._cells(from_frame(here, np.column_stack([x.ravel(), y.ravel()])))
        weight = np.broadcast_to(passed[:, None], x.shape)
        change, count = np.zeros_like(self._odds), np.zeros_like(self._odds)
        np.add.at(change, tuple(cells.T), (weight * told[:, None]).ravel())
        np.add.at(count, tuple(cells.T), weight.ravel())
        seen = count > 1e-3
        self._odds[seen] += _GAIN * change[seen] / count[seen] * np.minimum(1.0, count[seen])
        column, row = self._cells(np.array([[here.x, here.y]]))[0]
        underfoot = self._odds[column - 1 : column + 2, row - 1 : row + 2]
        np.minimum(underfoot, -0.5, out=underfoot)  # where the robot is nothing else is
        np.clip(self._odds, -_MOST, _MOST, out=self._odds)

    def bar(self, places: np.ndarray) -> None:
        """Places [N, 2], in the odometry's frame, where the robot cannot go whatever it sees."""
        if self._start is not None:
            self._barred.append((self._last_ns, to_frame(self._start, places)))

    def towards(self, here: Pose2, place: tuple[float, float]) -> tuple[float, float]:
        """The farthest place on the best way from `here` to another one that a straight line leads to as well; at least
        some 2 m along the way. All in the odometry's frame."""
        if self._start is None:
            return place
        if place != self._place:
            self._stayed.clear()
        self._place = place
        at, wanted = to_frame(self._start, np.array([[here.x, here.y], place]))
        away = float(np.linalg.norm(wanted - at))
        within = at + (wanted - at) * min(1.0, _LONGEST / max(away, CELL))  # of what is far the direction matters
        start, goal = np.clip(self._cells(np.stack([at, within])), 1, _SIZE - 2)
        spare = round(_SPARE / CELL)
        low = np.maximum(np.minimum(start, goal) - spare, 0)
        high = np.minimum(np.maximum(start, goal) + spare + 1, _SIZE)
        cost = self._costs(low, high, start)
        left = _distances(cost, goal - low)
        way = _way(left, start - low)
        if self._stayed(self._last_ns, here):
            self._close(at, (way + low + self._corner + 0.5) * CELL)
        saved = left[tuple(way[0])] - left[tuple(way.T)]  # [K] what it costs to get there
        back = range(len(way) - 1, 0, -_STRIDE)
        straight = next((k for k in back if _along(cost, way[0], way[k]) < 1.01 * saved[k]), 0)
        least = int(np.searchsorted(np.linalg.norm(np.diff(way, axis=0), axis=1).cumsum(), self._ahead / CELL)) + 1
        aim = min(max(least, straight), len(way) - 1)
        if (way[aim] == goal - low).all() and away <= _LONGEST:
            return place
        x, y = from_frame(self._start, (way[aim : aim + 1] + low + self._corner + 0.5) * CELL)[0].tolist()
        return x, y

    def _close(self, at: np.ndarray, way: np.ndarray) -> None:
        """What lies next on a `way` [K, 2] m from `at`, in the map's frame: the network will not go there."""
        ahead = way[np.linalg.norm(way - at, axis=1) > max(_NEXT, self._radius + _FREE)]
        if len(ahead):
            self._barred.append((self._last_ns, ahead[:1] + _SQUARE))

    def _costs(self, low: np.ndarray, high: np.ndarray, start: np.ndarray) -> np.ndarray:
        """What a metre costs in the cells from `low` to `high`; the robot can always leave where it is."""
        odds = self._odds[low[0] : high[0], low[1] : high[1]]
        chance = _chances(odds)
        for _, places in self._barred:
            cells = _cells(places) - self._corner - low
            chance[tuple(cells[((cells >= 0) & (cells < chance.shape)).all(axis=1)].T)] = 1.0
        radius = min(self._radius, _WIDEST)
        at_wall = np.clip((_widened(chance, radius) - _SURE) / (1 - _SURE), 0, 1)
        near = cv2.GaussianBlur(_widened(chance, radius + _KEPT_OFF), (3, 3), 0)
        near_wall = np.clip((near - _SURE) / (1 - _SURE), 0, 1)
        cost = 1 + _NEAR_WALL * near_wall + _AT_WALL * at_wall**2 + _UNSEEN * (np.abs(odds) < 0.15)
        x, y = np.ogrid[low[0] : high[0], low[1] : high[1]]
        here = (x - start[0]) ** 2 + (y - start[1]) ** 2 <= 9
        return np.asarray(np.where(here, np.minimum(cost, 2.0), cost), dtype=np.float32)

    def _cells(self, points: np.ndarray) -> np.ndarray:
        """[N, 2] of points in the map's frame, those beyond the map at its border."""
        return np.clip(_cells(points) - self._corner, 0, _SIZE - 1)

    def _follow(self, here: Pose2) -> None:
        """Keep the robot in the middle half of the map; what it leaves behind is forgotten."""
        moved = _cells(np.array([here.x, here.y])) - self._corner - _SIZE // 2
        if (np.abs(moved) <= _SIZE // 4).all():
            return
        old, self._odds = self._odds, np.zeros_like(self._odds)
        source = [slice(max(0, m), max(0, _SIZE + min(0, m))) for m in moved]
        target = [slice(max(0, -m), max(0, _SIZE - max(0, m))) for m in moved]
        self._odds[target[0], target[1]] = old[source[0], source[1]]
        self._corner = self._corner + moved


def _cells(points: np.ndarray) -> np.ndarray:
    """Of points in m, without end to any side."""
    return np.floor(points / CELL + _ROUND).astype(np.int64)


def _chances(odds: np.ndarray) -> np.ndarray:
    """Of log odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def _widened(chance: np.ndarray, radius: float) -> np.ndarray:
    """The most of all within `radius` m."""
    cells = 2 * max(1, round(radius / CELL)) + 1
    return np.asarray(cv2.dilate(chance, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (cells, cells))))


def _way(left: np.ndarray, start: np.ndarray) -> np.ndarray:
    """[K, 2] cells from `start` to where nothing is left."""
    way = [start]
    while left[tuple(way[-1])] > 0:
        corner = np.maximum(way[-1] - 1, 0)
        around = left[corner[0] : way[-1][0] + 2, corner[1] : way[-1][1] + 2]
        way.append(corner + np.unravel_index(int(around.argmin()), around.shape))
        if (way[-1] == way[-2]).all():
            break
    return np.array(way)


def _along(cost: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """What the straight line from cell to cell costs."""
    length = math.dist(start, end)
    share = np.linspace(0.0, 1.0, 2 * math.ceil(length) + 1)[:, None]
    column, row = np.round(start + share * (end - start)).astype(np.int64).T
    return float(length * cost[column, row].mean())


_STEPS = tuple((dx, dy, math.hypot(dx, dy)) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy)


def _distances(cost: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """[x, y] what it costs to get from cells to `goal`: neighbours tell each other until nothing gets less."""
    columns, rows = cost.shape
    padded = np.pad(cost, 1, constant_values=np.inf)
    left = np.full(padded.shape, np.inf, np.float32)
    left[goal[0] + 1, goal[1] + 1] = 0.0
    inner = left[1:-1, 1:-1]
    steps = []
    for dx, dy, length in _STEPS:
        neighbour = slice(1 + dx, 1 + dx + columns), slice(1 + dy, 1 + dy + rows)
        steps.append((left[neighbour], 0.5 * length * (cost + padded[neighbour])))
    while True:
        before = inner.copy()
        for theirs, step in steps:
            np.minimum(inner, theirs + step, out=inner)
        if not (inner < before - 1e-4).any():
            return inner

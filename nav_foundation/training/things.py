"""Things with names about a drive, and which of them a picture shows: goals in words that nobody had to ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nav_foundation.data.schema import OVERHEAD, Thing
from nav_foundation.geometry import nearest_on_outline, to_frame
from nav_foundation.training.sight import HIDDEN, SEEN, Sight
from nav_foundation.types import Pose2

_SHOWN = 0.12  # share of a thing's probes within the picture that nothing hides where it is in view
_STRICT = 0.35  # slack, so that nothing shines through a wall; who is only seen with more of it may be in view
_LARGE = 0.01  # share of a square as wide as it is far away that a thing fills, at least
_FARTHEST, _INFINITE = 8.0, 1e4  # m
_STOREY = (-0.1, 2.5)  # m over the floor from which to which a thing is of this storey
_INWARD, _DEEPEST = 0.15, 0.04  # share of a thing and m by which its probes lie inside, at most
_HEIGHTS = (0.25, 0.75)  # shares of its height
_ORIGIN = Pose2(0.0, 0.0, 0.0)
_CORNERS = 8  # of an outline that are looked at, at most


class Sighting(NamedTuple):
    """One kind of things, from a stand."""

    category: str
    shown: bool  # enough of one of them is in view
    hidden: bool  # nothing of any of them is; what is neither shown nor hidden teaches nothing
    x: float  # m to the nearest surface, of those shown if there are any, in the robot's frame
    y: float
    nearest: float  # m to the nearest surface of all of them, shown or not


class Things:
    """Those of one drive, whose frame lies at `origin` in the scene; its `floor` is that many m high."""

    def __init__(self, things: Sequence[Thing], origin: Pose2 = _ORIGIN, floor: float = 0.0) -> None:
        here = [t for t in things if t.top - floor > _STOREY[0] and t.bottom - floor < _STOREY[1]]
        self._names = [thing.category for thing in here]
        self._low = [thing.bottom - floor < OVERHEAD for thing in here]
        self._outlines = [to_frame(origin, np.array(thing.outline)) for thing in here]
        self._areas = [  # m^2 as seen from the side
            float(np.linalg.norm(np.ptp(outline, axis=0))) * (thing.top - thing.bottom)
            for thing, outline in zip(here, self._outlines)
        ]
        probes = [
            _probes(outline, thing.bottom - floor, thing.top - floor) for thing, outline in zip(here, self._outlines)
        ]
        self._probes = np.concatenate([np.zeros((0, 3)), *probes])  # of all of them, one after the other
        self._counts = np.array([len(part) for part in probes], np.int64)

    def nearest(self, category: str, here: Pose2) -> float | None:
        """m to the nearest surface of its kind; None where there is none."""
        away = [math.hypot(*self._surface(k, here)) for k, name in enumerate(self._names) if name == category]
        return min(away, default=None)

    def sightings(self, sight: Sight, depth: np.ndarray, here: Pose2) -> list[Sighting]:
        """One for each kind, in the order of their names, in a picture's depth [H, W]."""
        if not self._names:
            return []
        local = np.column_stack([to_frame(here, self._probes[:, :2]), self._probes[:, 2]])
        inside = self._counted(sight.find(local, np.full_like(depth, _INFINITE))[1] == SEEN)
        seen = self._counted(sight.find(local, depth, _STRICT)[1] == SEEN) / np.maximum(inside, 1)
        hidden = self._counted(sight.find(local, depth)[1] == HIDDEN) == self._counts
        found = []
        for name in sorted(set(self._names)):
            own = [k for k, other in enumerate(self._names) if other == name]
            places = {k: self._surface(k, here) for k in own}
            away = {k: math.hypot(*place) for k, place in places.items()}
            shown = [k for k in own if seen[k] >= _SHOWN and self._is_plain(k, away[k])]
            x, y = places[min(shown or own, key=away.__getitem__)]
            found.append(Sighting(name, bool(shown), bool(hidden[own].all()), x, y, min(away.values())))
        return found

    def _surface(self, number: int, here: Pose2) -> tuple[float, float]:
        """x, y (m) of the nearest place of a thing's outline, in the frame of a robot `here`."""
        x, y = to_frame(here, nearest_on_outline(np.array([here.x, here.y]), self._outlines[number])[None])[0].tolist()
        return x, y

    def _counted(self, probes: np.ndarray) -> np.ndarray:
        """[N] of each thing's probes, how many of these [M] bool are true."""
        return np.asarray(np.add.reduceat(probes.astype(np.int64), np.cumsum(self._counts) - self._counts))

    def _is_plain(self, number: int, away: float) -> bool:
        return self._low[number] and away < _FARTHEST and self._areas[number] >= _LARGE * away**2


def _probes(outline: np.ndarray, bottom: float, top: float) -> np.ndarray:
    """[M, 3] places inside a thing: near its corners, between them, and at its middle."""
    corners = outline[:: math.ceil(len(outline) / _CORNERS)]
    rim = np.concatenate([corners, 0.5 * (corners + np.roll(corners, -1, axis=0))])
    middle = outline.mean(axis=0)
    inward = middle - rim
    length = np.linalg.norm(inward, axis=1, keepdims=True)
    flat = np.concatenate([rim + inward * np.minimum(_INWARD, _DEEPEST / np.maximum(length, 1e-9)), middle[None]])
    heights = bottom + np.array(_HEIGHTS) * (top - bottom)
    return np.column_stack([np.tile(flat, (len(heights), 1)), np.repeat(heights, len(flat))])

"""Things with names about a drive, and which of them a picture shows: goals in words that nobody had to ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nav_foundation.data.schema import Thing
from nav_foundation.geometry import nearest_on_outline, to_frame
from nav_foundation.training.sight import SEEN, Sight
from nav_foundation.types import Pose2

_SHOWN = 0.2  # share of a thing's probes that nothing hides where it is in view
_STRICT = 0.35  # slack, so that nothing shines through a wall; who is only seen with more of it may be in view
_LARGE = 0.01  # share of a square as wide as it is far away that a thing fills, at least
_FARTHEST = 8.0  # m
_INWARD, _HEIGHTS = 0.15, (0.25, 0.75)  # shares of a thing by which its probes lie inside
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
    """Those of one drive."""

    def __init__(self, things: Sequence[Thing]) -> None:
        self._things = things
        self._outlines = [np.array(thing.outline) for thing in things]
        self._probes = [_probes(thing, outline) for thing, outline in zip(things, self._outlines)]

    def nearest(self, category: str, here: Pose2) -> float | None:
        """m to the nearest surface of its kind; None where there is none."""
        away = [math.hypot(*self._surface(k, here)) for k, t in enumerate(self._things) if t.category == category]
        return min(away, default=None)

    def sightings(self, sight: Sight, depth: np.ndarray, here: Pose2) -> list[Sighting]:
        """One for each kind, in the order of their names, in a picture's depth [H, W]."""
        if not self._things:
            return []
        strict, shares = self._shares(sight, depth, here, _STRICT), self._shares(sight, depth, here, 1.0)
        found = []
        for name in sorted({thing.category for thing in self._things}):
            own = [k for k, thing in enumerate(self._things) if thing.category == name]
            places = {k: self._surface(k, here) for k in own}
            away = {k: math.hypot(*place) for k, place in places.items()}
            shown = [k for k in own if strict[k] >= _SHOWN and self._is_large(k, away[k])]
            x, y = places[min(shown or own, key=away.__getitem__)]
            found.append(Sighting(name, bool(shown), not shares[own].any(), x, y, min(away.values())))
        return found

    def _surface(self, number: int, here: Pose2) -> tuple[float, float]:
        """x, y (m) of the nearest place of a thing's outline, in the frame of a robot `here`."""
        x, y = to_frame(here, nearest_on_outline(np.array([here.x, here.y]), self._outlines[number])[None])[0].tolist()
        return x, y

    def _shares(self, sight: Sight, depth: np.ndarray, here: Pose2, slack: float) -> np.ndarray:
        """[N] how much of each is in view."""
        counts = [len(probes) for probes in self._probes]
        points = np.concatenate(self._probes)
        local = np.column_stack([to_frame(here, points[:, :2]), points[:, 2]])
        _, found = sight.find(local, depth, slack)
        return np.asarray(np.add.reduceat((found == SEEN).astype(float), np.cumsum([0, *counts[:-1]])) / counts)

    def _is_large(self, number: int, away: float) -> bool:
        thing, outline = self._things[number], self._outlines[number]
        width = float(np.linalg.norm(np.ptp(outline, axis=0)))
        return away < _FARTHEST and width * (thing.top - thing.bottom) >= _LARGE * away**2


def _probes(thing: Thing, outline: np.ndarray) -> np.ndarray:
    """[M, 3] places inside a thing: near its corners, between them, and at its middle."""
    corners = outline[:: math.ceil(len(outline) / _CORNERS)]
    rim = np.concatenate([corners, 0.5 * (corners + np.roll(corners, -1, axis=0))])
    middle = outline.mean(axis=0)
    flat = np.concatenate([rim + _INWARD * (middle - rim), middle[None]])
    heights = thing.bottom + np.array(_HEIGHTS) * (thing.top - thing.bottom)
    return np.column_stack([np.tile(flat, (len(heights), 1)), np.repeat(heights, len(flat))])

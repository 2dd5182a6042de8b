"""What happens along a way: turns, rooms entered, things passed. Facts only; instructions.py puts them into words."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nav_foundation.geometry import resample_path
from sim_envs.simulator import Door, Instance, SceneInfo
from sim_envs.tasks.rooms import distances_to, inside, rooms_at

Side = Literal["left", "right"]
TURN = math.radians(40)  # a smaller change of heading is not worth a word
ABOUT_FACE = math.radians(130)  # a larger one is turning around
ASIDE = 1.8  # m from the way to a thing that is said to be passed
SPACING = 0.1  # m between the points of a route
_SWERVE = 0.35  # m; a way that strays less from a straight line counts as straight
_ONE_TURN = 1.0  # m; bends closer together are one turn
_AT_AN_END = 0.6  # m; a bend nearer to an end is part of setting off or of stopping
_BRIEF = 0.4  # m; a shorter visit to a room is a brush with its border
_THICKEST_WALL = 0.8  # m; a longer way outside every room leads outside
_DOOR_ASIDE = 2.5  # m from the way to a door that is counted as passed
_JUST_BESIDE = 0.7  # m
_ONE_ROAD = 3.0  # m; pieces of crossings nearer to each other lead over one road
_ACROSS = 2.5  # m on a crossing that lead over a road; less only brushes it
_DOORWAY = 0.8  # m from the middle of a door at which a way goes through it


@dataclass(frozen=True)
class Turn:
    at: float  # m along the route
    angle: float  # rad, positive to the left

    @property
    def side(self) -> Side:
        return "left" if self.angle > 0 else "right"


@dataclass(frozen=True)
class Crossing:
    at: float  # m along the route
    left: int  # index of the room, -1 = outside every room
    entered: int
    door: Door | None


@dataclass(frozen=True)
class RoadCrossed:
    at: float  # m along the route, where a pedestrian crossing is entered


@dataclass(frozen=True)
class Passing:
    at: float  # m along the route, where the thing is abeam
    thing: Instance
    side: Side
    aside: float  # m from the way to its outline


@dataclass(frozen=True)
class Route:
    points: np.ndarray  # [N, 3] m, SPACING apart or less
    arc: np.ndarray  # [N] m from the start
    rooms: np.ndarray  # [N] index of the room, -1 = none
    turns: tuple[Turn, ...]
    crossings: tuple[Crossing, ...]

    @property
    def length(self) -> float:
        return float(self.arc[-1])

    def point(self, at: float) -> np.ndarray:
        """[2] x, y at `at` metres from the start."""
        return np.array([np.interp(at, self.arc, self.points[:, k]) for k in (0, 1)])

    def heading(self, at: float, reach: float = 0.6) -> float:
        """Yaw over `reach` metres around `at`; at an end, the `reach` metres that are there."""
        low = min(max(at - reach / 2, 0.0), max(self.length - reach, 0.0))
        a, b = self.point(low), self.point(low + reach)
        return math.atan2(b[1] - a[1], b[0] - a[0])

    def room(self, at: float) -> int:
        return int(self.rooms[np.searchsorted(self.arc, at).clip(0, len(self.rooms) - 1)])


def analyse(info: SceneInfo, path: np.ndarray) -> Route:
    """The facts of a way [K, 3], K >= 2."""
    points = resample_path(path, SPACING)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1))])
    rooms = _steady(rooms_at(info, points), arc)
    return Route(points, arc, rooms, _turns(points[:, :2], arc), _crossings(info, points, arc, rooms))


def _steady(rooms: np.ndarray, arc: np.ndarray) -> np.ndarray:
    """Rooms without doorways, which lie in no room, and without brief visits (ways brush along borders)."""
    starts = [0, *(np.flatnonzero(np.diff(rooms)) + 1), len(rooms)]
    pieces = [(a, b, int(rooms[a]), float(arc[min(b, len(arc) - 1)] - arc[a])) for a, b in itertools.pairwise(starts)]
    lasting = [room for _, _, room, length in pieces if length >= _BRIEF]
    if not lasting:
        return np.full(len(rooms), rooms[-1])
    steady, current = rooms.copy(), lasting[0]  # a brief beginning counts to what follows
    for a, b, room, length in pieces:
        doorway = room < 0 and length < _THICKEST_WALL
        current = current if length < _BRIEF or doorway else room
        steady[a:b] = current
    return steady


def _crossings(info: SceneInfo, points: np.ndarray, arc: np.ndarray, rooms: np.ndarray) -> tuple[Crossing, ...]:
    found = []
    for k in np.flatnonzero(np.diff(rooms)) + 1:
        left, entered = int(rooms[k - 1]), int(rooms[k])
        near = [
            door for door in info.doors
            if {*door.rooms} == {left, entered} and math.dist(door.position, points[k, :2]) < _DOORWAY + door.width / 2
        ]
        door = min(near, key=lambda d: math.dist(d.position, points[k, :2])) if near else None
        found.append(Crossing(float(arc[k]), left, entered, door))
    return tuple(found)


def _turns(points: np.ndarray, arc: np.ndarray) -> tuple[Turn, ...]:
    corners = _corners(points)
    bends: list[list[float]] = []  # [arc, angle], those close together as one
    for before, here, after in zip(corners[:-2], corners[1:-1], corners[2:]):
        first, second = points[here] - points[before], points[after] - points[here]
        angle = math.atan2(first[0] * second[1] - first[1] * second[0], first @ second)
        if bends and arc[here] - bends[-1][0] < _ONE_TURN and abs(bends[-1][1] + angle) < ABOUT_FACE:
            bends[-1] = [(bends[-1][0] + arc[here]) / 2, bends[-1][1] + angle]
        else:
            bends.append([float(arc[here]), angle])
    inner = (bend for bend in bends if _AT_AN_END < bend[0] < arc[-1] - _AT_AN_END)
    return tuple(Turn(float(at), angle) for at, angle in inner if abs(angle) >= TURN)


def _corners(points: np.ndarray) -> list[int]:
    """Indices of the polyline [N, 2] that is nowhere further than _SWERVE from `points` and has few corners."""
    kept = {0, len(points) - 1}
    pieces = [(0, len(points) - 1)]
    while pieces:
        a, b = pieces.pop()
        if b - a < 2:
            continue
        chord = points[b] - points[a]
        length = math.hypot(*chord)
        offset = points[a + 1 : b] - points[a]
        if length < 1e-9:
            away = np.linalg.norm(offset, axis=1)
        else:
            along = np.clip(offset @ chord / length**2, 0.0, 1.0)
            away = np.linalg.norm(offset - along[:, None] * chord, axis=1)
        worst = int(away.argmax())
        if away[worst] > _SWERVE:
            middle = a + 1 + worst
            kept.add(middle)
            pieces += [(a, middle), (middle, b)]
    return sorted(kept)


def passings(info: SceneInfo, route: Route, things: list[Instance]) -> list[Passing]:
    """Those of the things that the route goes straight past, in order."""
    found = []
    for thing in things:
        nearest = int(np.linalg.norm(route.points[:, :2] - thing.centre, axis=1).argmin())
        at = float(route.arc[nearest])
        aside = float(distances_to(thing, route.points[nearest][None])[0])
        if not 0.5 < at < route.length - 1.0 or aside > ASIDE or thing.room != route.room(at):
            continue
        heading = route.heading(at)
        bend = math.remainder(route.heading(at + 0.6) - route.heading(at - 0.6), math.tau)
        dx, dy = thing.centre - route.points[nearest, :2]
        bearing = math.remainder(math.atan2(dy, dx) - heading, math.tau)
        if abs(bend) < math.radians(35) and math.radians(50) < abs(bearing) < math.radians(130):
            found.append(Passing(at, thing, "left" if bearing > 0 else "right", aside))
    return sorted(found, key=lambda p: p.at)


def roads_crossed(info: SceneInfo, route: Route) -> list[RoadCrossed]:
    """Where the route goes over a pedestrian crossing, in order; one that has several parts counts once."""
    low, high = route.points.min(axis=0)[:2], route.points.max(axis=0)[:2]
    on = np.zeros(len(route.points), dtype=bool)
    for thing in info.instances:
        near = (thing.outline.max(axis=0) > low).all() and (thing.outline.min(axis=0) < high).all()
        if thing.category == "crossing" and near:
            on |= inside(thing.outline, route.points)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    found: list[tuple[float, float]] = []
    for first, after in zip(edges[::2], edges[1::2]):
        begin, end = float(route.arc[first]), float(route.arc[after - 1])
        if found and begin - found[-1][1] < _ONE_ROAD:
            found[-1] = found[-1][0], end
        else:
            found.append((begin, end))
    return [RoadCrossed(begin) for begin, end in found if end - begin >= _ACROSS]


def doors_before(info: SceneInfo, route: Route, crossing: Crossing) -> int | None:
    """How many doors on the same side the route passes in the room it leaves, before it takes the crossing's door.

    None when that is unclear: one is just beside the place where the route enters that room.
    """
    assert crossing.door is not None
    entered_at = max((c.at for c in route.crossings if c.at < crossing.at), default=0.0)
    here = (route.arc >= entered_at) & (route.arc <= crossing.at - 0.5)
    if not here.any():
        return 0
    points, arc = route.points[here], route.arc[here]
    used = {id(c.door) for c in route.crossings}
    count, side = 0, door_side(route, crossing)
    for door in info.doors:
        if id(door) in used or crossing.left not in door.rooms:
            continue
        away = np.linalg.norm(points[:, :2] - door.position, axis=1)
        nearest = int(away.argmin())
        if away[nearest] > _DOOR_ASIDE or nearest == len(points) - 1:
            continue
        dx, dy = door.position - points[nearest, :2]
        bearing = math.remainder(math.atan2(dy, dx) - route.heading(float(arc[nearest])), math.tau)
        if side != ("left" if bearing > 0 else "right"):
            continue
        if arc[nearest] - entered_at < _JUST_BESIDE:
            return None
        count += 1
    return count


def door_side(route: Route, crossing: Crossing) -> Side | None:
    """On which side of the way so far the opening lies, None for straight ahead."""
    turn = turn_at(route, crossing)
    if crossing.door is None:
        return None if turn is None else turn.side
    begin = max([c.at for c in route.crossings if c.at < crossing.at] + [crossing.at - 2.0, 0.0])
    if crossing.at - begin < 0.6:
        return None if turn is None else turn.side
    a, b = route.point(begin), route.point(crossing.at - 0.2)
    outward = crossing.door.yaw if crossing.door.rooms[0] == crossing.left else crossing.door.yaw + math.pi
    off = math.remainder(outward - math.atan2(b[1] - a[1], b[0] - a[0]), math.tau)
    return None if abs(off) < TURN else ("left" if off > 0 else "right")


def turn_at(route: Route, crossing: Crossing) -> Turn | None:
    """The turn that takes the route through an opening."""
    close = [t for t in route.turns if -1.5 < t.at - crossing.at < 0.4 and abs(t.angle) < ABOUT_FACE]
    return min(close, key=lambda t: abs(t.at - crossing.at)) if close else None

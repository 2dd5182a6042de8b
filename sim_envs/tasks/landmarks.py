"""Which things a person would mention on the way, and how to tell one from its likes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim_envs.simulator import Instance, SceneInfo
from sim_envs.tasks.rooms import distances_to
from sim_envs.tasks.route import Passing, Route, Side

BESIDE = 1.2  # m from the end of a way to the thing it stops next to, at most
ORDINALS = ("first", "second", "third", "fourth")
_UNREMARKABLE = {  # nobody would say "stop next to the curtain"
    "curtain", "towel", "rug", "doormat", "radiator", "extractor hood", "ceiling lamp", "wall lamp", "toilet paper",
    "picture", "clock",
}
_SEEN_ASIDE = 4.0  # m; things of one kind further than this from the way are not counted with the others
_NEIGHBOURS = 15.0  # m; outside rooms, likes further away than this cannot be mistaken for each other


@dataclass(frozen=True)
class Landmark:
    thing: Instance
    ordinal: int = 0  # of its likes on `side` since the last turn, from 1; 0 = there is only one it could be
    side: Side | None = None
    beside: Instance | None = None  # a unique thing it stands next to, nearer than its likes


def notable(info: SceneInfo, room: int | None = None) -> list[Instance]:
    """Things large enough to be mentioned; of one room, if given."""
    return [t for t in info.instances if (room is None or t.room == room) and _stands_out(info, t)]


def _stands_out(info: SceneInfo, thing: Instance) -> bool:
    floor = info.rooms[thing.room].floor if thing.room >= 0 else thing.bottom
    extent = float(np.ptp(thing.outline, axis=0).max())
    return (
        thing.is_object and thing.category not in _UNREMARKABLE and (extent >= 0.35 or thing.top - thing.bottom >= 0.5)
        and thing.bottom - floor < 1.2 and thing.top - floor > 0.25
    )


def likes(info: SceneInfo, thing: Instance) -> list[Instance]:
    """The other things one could take for this one: of its category, in its room or, outside rooms, close by."""
    return [
        other for other in info.instances
        if other.id != thing.id and other.category == thing.category and other.room == thing.room
        and (thing.room >= 0 or math.dist(other.centre, thing.centre) < _NEIGHBOURS)
    ]


def stop_landmark(info: SceneInfo, route: Route) -> Landmark | None:
    """What to stop next to at the end of a route: something unmistakable, the nearer the better."""
    end, room = route.points[-1], route.room(route.length)
    near = [(float(distances_to(t, end[None])[0]), t) for t in notable(info, room)]
    near = sorted(((d, t) for d, t in near if d <= BESIDE), key=lambda pair: (pair[0], pair[1].id))
    for _, thing in near:
        if not likes(info, thing):
            return Landmark(thing)
    for _, thing in near:
        told = told_apart(info, route, thing)
        if told is not None:
            return told
    return None


def told_apart(info: SceneInfo, route: Route, thing: Instance) -> Landmark | None:
    """A landmark that has likes, with what sets it apart; None if little does."""
    return _by_neighbour(info, thing) or _by_order(info, route, thing)


def _by_neighbour(info: SceneInfo, thing: Instance) -> Landmark | None:
    rivals = likes(info, thing)
    for other in sorted(notable(info, thing.room), key=lambda t: (math.dist(t.centre, thing.centre), t.id)):
        if other.category == thing.category or likes(info, other):
            continue
        near = gap(thing, other)
        if near < 1.0 and all(gap(rival, other) > max(2.0 * near, near + 1.0) for rival in rivals):
            return Landmark(thing, beside=other)
    return None


def _by_order(info: SceneInfo, route: Route, thing: Instance) -> Landmark | None:
    """The n-th of its kind on one side since the last turn or door, if it lies clearly on that side."""
    since = max([t.at for t in route.turns] + [c.at for c in route.crossings] + [0.0]) + 0.3
    own = _abeam(route, thing, since)
    if own is None:
        return None
    others = [_abeam(route, rival, since) for rival in likes(info, thing)]
    passed = [p.at for p in others if p is not None and p.side == own.side]
    unclear = any(abs(at - own.at) < 0.4 for at in passed)
    ordinal = sum(at < own.at for at in passed) + 1
    return None if unclear or ordinal > len(ORDINALS) else Landmark(thing, ordinal, own.side)


def _abeam(route: Route, thing: Instance, since: float) -> Passing | None:
    along = route.arc >= since
    if not along.any():
        return None
    points, arc = route.points[along], route.arc[along]
    nearest = int(np.linalg.norm(points[:, :2] - thing.centre, axis=1).argmin())
    dx, dy = thing.centre - points[nearest, :2]
    bearing = math.remainder(math.atan2(dy, dx) - route.heading(float(arc[nearest])), math.tau)
    aside = float(distances_to(thing, points[nearest][None])[0])
    if aside > _SEEN_ASIDE or not math.radians(25) < abs(bearing) < math.radians(120):
        return None
    return Passing(float(arc[nearest]), thing, "left" if bearing > 0 else "right", aside)


def gap(a: Instance, b: Instance) -> float:
    """Metres between two outlines, from the corners of each."""
    return float(min(distances_to(a, b.outline).min(), distances_to(b, a.outline).min()))


def unique_things(info: SceneInfo, things: Sequence[Instance]) -> list[Instance]:
    return [thing for thing in things if not likes(info, thing)]

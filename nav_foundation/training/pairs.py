"""Pairs: goals of one frame and what is known about each. Pure functions of a drive, a frame and a generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nav_foundation.geometry import between, wrap_angle
from nav_foundation.model.goals import KINDS
from nav_foundation.model.units import to_network
from nav_foundation.training.drive import Drive
from nav_foundation.training.things import Sighting
from nav_foundation.types import ROUTE_COMMANDS, Pose2

FACING = math.radians(60)  # rad within which a goal picture counts as reached
IMAGE_RADIUS, PLACE_RADIUS, OBJECT_RADIUS = 1.0, 0.5, 1.0  # m of success
INSIDE = 0.75  # share of that within which one has arrived, as learnt: who errs a little still stops inside
BEFORE = 0.25  # m between the robot and a thing that it has reached
ROUNDABOUT = 2.0  # times a straight line that a way to a goal may be, but for a metre
ROUTE_AHEAD = 3.0  # m of the drive over which its turn names a route command
FAR, SPREAD, FAR_RADIUS = (3.0, 60.0), (0.5, 3.0), 5.0  # m along the drive, m of error, m of success
TURNS = ((math.radians(130), "back"), (math.radians(35), "turn"))  # rad, at least
TOUR_IN_VIEW = 5.0  # m; a tour's goal farther away cannot be known from pictures alone


@dataclass(frozen=True)
class ClipRules:
    goals: int = 4  # pictures on the drive
    neighbours: int = 2  # pictures of other drives through the same scene; where there are none, more on the drive
    stands: int = 2  # of them also looked from, towards the others
    places: int = 2  # of them also told as places
    nearest: float = 0.3  # m along the drive to a goal, drawn log-uniformly ...
    farthest: float = 12.0  # m
    soon: float = 0.4  # share of goals drawn by time instead, so that turns on the spot are among them ...
    seconds: float = 15.0  # up to so much later
    far: int = 0  # places told with some metres of error
    things: int = 2  # goals by name, of what stands about
    shown: float = 0.7  # share of them that are in view
    anywhere: float = 0.25  # share of goals from all of the drive, if true poses are known: odometry drifts ...
    behind: float = 0.1  # and of the others that the drive has passed: the way is not known, the distance is
    forgotten: float = 0.5  # share of clips whose past is left out: the expert's last turn tells its next too well
    corrections: float = 4.0  # weight of what the expert says where a policy drove: few goals there have answers
    asked: float = 3.0  # weight of what the drive was asked for: one goal of many, and often the only one in words
    waiting: float = 0.1  # weight of plans to stand and wait: the one who is waited for may be out of view
    place_noise: float = 0.05  # share of a told distance by which it is wrong


class Neighbour(NamedTuple):
    """A picture of another drive."""

    picture: int  # its number in the clip
    away: Pose2  # seen from the stand
    shown: bool  # some of what it shows is in view


class About(NamedTuple):
    """What else there is about a stand than its drive."""

    neighbours: Sequence[Neighbour] = ()
    things: Sequence[Sighting] = ()


@dataclass(frozen=True)
class Pair:
    """One goal. What is None is not known and not learnt."""

    kind: str  # of goals.KINDS
    picture: int = 0  # the clip's picture of an image goal
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)  # x, y (m), yaw in the robot's frame
    located: bool = False  # where that is is to be learnt from the picture or the words
    has_yaw: bool = False
    spread: float = 0.0  # m of error of a far place
    words: str = ""
    route: int = 0
    waypoints: np.ndarray | None = None  # [H, 3] m, rad in the robot's frame
    distance: float | None = None  # m to drive
    arrived: bool | None = None
    weight: float = 1.0  # of all that is known


@dataclass(frozen=True)
class Pairs:
    """Q pairs as arrays. What is not known has weight 0."""

    kind: np.ndarray  # [Q] int64, of goals.KINDS
    picture: np.ndarray  # [Q] int64
    place: np.ndarray  # [Q, 3] float32
    has_yaw: np.ndarray  # [Q] bool
    spread: np.ndarray  # [Q] float32 m
    located: np.ndarray  # [Q] float32 weight of the place, where it is not told
    words: tuple[str, ...]  # Q of them
    route: np.ndarray  # [Q] int64
    waypoints: np.ndarray  # [Q, H, 4] float32 as units.to_network gives them
    drives: np.ndarray  # [Q] float32 weight of the waypoints
    distance: np.ndarray  # [Q] float32 m
    measured: np.ndarray  # [Q] float32 weight of the distance
    arrived: np.ndarray  # [Q] float32 0 or 1
    judged: np.ndarray  # [Q] float32 weight of the arrival


def frames_ahead(drive: Drive, frame: int, count: int, rules: ClipRules, rng: np.random.Generator) -> list[int]:
    """Numbers of goal frames, in order: log-uniform in metres along the drive, soon, or of any time; none beyond its
    end."""
    found = []
    for _ in range(count):
        if rng.random() < (0.0 if drive.origin is None else rules.anywhere):
            found.append(int(rng.integers(len(drive.poses))))
            continue
        if rng.random() < rules.soon:
            found.append(int(np.searchsorted(drive.seconds, drive.seconds[frame] + rng.uniform(0.2, rules.seconds))))
            continue
        metres = math.exp(rng.uniform(math.log(rules.nearest), math.log(rules.farthest)))
        if rng.random() < rules.behind:
            number = int(np.searchsorted(drive.driven, drive.driven[frame] - metres, side="right")) - 1
        else:
            number = int(np.searchsorted(drive.driven, drive.driven[frame] + metres)) + int(rng.integers(3))
        found.append(number)
    return sorted(min(max(number, 0), len(drive.poses) - 1) for number in found)


def pairs_of(
    drive: Drive, frame: int, goals: Sequence[tuple[int, int]], own: int | None, about: About,
    rules: ClipRules, rng: np.random.Generator,
) -> Pairs:
    """Goals (frame, number of its picture) as pictures and as places, the drive's own goal, pictures of other drives,
    things, a command, none."""
    pairs = [_picture(drive, frame, goal, picture) for goal, picture in goals]
    chosen = rng.permutation(len(goals))[: rules.places]
    places = [_place(drive, frame, goals[k][0], rules, rng) for k in chosen]
    if not drive.is_experts and drive.labels is not None:
        places[0] = _headed_for(drive, frame)
    pairs += places
    asked = _own_goal(drive, frame, own)
    pairs.append(asked if asked.kind == "none" else replace(asked, weight=rules.asked))
    pairs.append(_route(drive, frame))
    pairs += map(_neighbour, about.neighbours)
    pairs += [_thing(drive, about.things, rules, rng) for _ in range(rules.things)]
    pairs += [_far(drive, frame, rng) for _ in range(rules.far)]
    pairs.append(Pair("none", waypoints=drive.lesson(frame)))
    made = stacked(pairs, drive.robot.step, len(drive.plan(frame)))
    weight = (1.0 if drive.is_experts else rules.corrections) * (rules.waiting if drive.waits(frame) else 1.0)
    return replace(made, drives=made.drives * np.float32(weight))


def _picture(drive: Drive, frame: int, goal: int, picture: int) -> Pair:
    away = drive.place(frame, goal)
    distance = _driven(drive, frame, goal)
    there = math.hypot(away.x, away.y) < INSIDE * IMAGE_RADIUS and abs(float(wrap_angle(away.yaw))) < FACING
    return Pair(
        "image", picture, (away.x, away.y, away.yaw), True, waypoints=_way(drive, frame, goal), distance=distance,
        arrived=there if drive.is_experts else None,
    )


def _place(drive: Drive, frame: int, goal: int, rules: ClipRules, rng: np.random.Generator) -> Pair:
    away = drive.place(frame, goal)
    distance = _driven(drive, frame, goal)
    off = rng.normal(0.0, rules.place_noise * math.hypot(away.x, away.y) + 1e-9, 2)
    return Pair(
        "point", place=(away.x + off[0], away.y + off[1], away.yaw), has_yaw=bool(rng.random() < 0.5),
        waypoints=_way(drive, frame, goal), distance=distance,
        arrived=math.hypot(away.x, away.y) < INSIDE * PLACE_RADIUS if drive.is_experts else None,
    )


def _headed_for(drive: Drive, frame: int) -> Pair:
    """Where the expert would drive from here: its goal, or a place to look from."""
    x, y = drive.heads_for(frame)
    return Pair("point", place=(x, y, 0.0), waypoints=drive.lesson(frame))


def _far(drive: Drive, frame: int, rng: np.random.Generator) -> Pair:
    """A place ahead on the drive, or where the expert would drive, as a satellite receiver tells it."""
    metres, spread = rng.uniform(*FAR), float(rng.uniform(*SPREAD))
    goal = min(int(np.searchsorted(drive.driven, drive.driven[frame] + metres)), len(drive.poses) - 1)
    away, way, distance = drive.place(frame, goal), _way(drive, frame, goal), _driven(drive, frame, goal)
    x, y = away.x, away.y
    if not drive.is_experts and drive.labels is not None:
        said = _headed_for(drive, frame)
        x, y, way = said.place[0], said.place[1], said.waypoints
    arrived = math.hypot(x, y) < INSIDE * FAR_RADIUS
    off = rng.normal(0.0, spread, 2)
    return Pair("far", place=(x + off[0], y + off[1], 0.0), spread=spread, waypoints=way, distance=distance,
                arrived=arrived)


def _driven(drive: Drive, frame: int, goal: int) -> float | None:
    """Metres between two frames of an expert's drive; not known where it went round about or came back."""
    driven, away = abs(float(drive.driven[goal] - drive.driven[frame])), drive.place(frame, goal)
    return driven if drive.is_experts and driven < ROUNDABOUT * math.hypot(away.x, away.y) + 1.0 else None


def _way(drive: Drive, frame: int, goal: int) -> np.ndarray | None:
    """What to do for a goal ahead: the expert's plan where it does not reach beyond the goal, else the drive itself.

    Not known where the drive went round about.
    """
    if goal < frame or _driven(drive, frame, goal) is None:
        return None
    plan = drive.plan(frame)
    reach = float(np.linalg.norm(np.diff(plan[:, :2], axis=0, prepend=0.0), axis=1).sum())
    return plan if drive.driven[goal] - drive.driven[frame] > reach else drive.future(frame, goal)


def _own_goal(drive: Drive, frame: int, picture: int | None) -> Pair:
    """What the drive was asked for, with the expert's labels; where there are none, no goal."""
    goal, labels = drive.info.goal or {}, drive.labels
    task, plan = goal.get("type"), drive.lesson(frame)
    if labels is None or task in (None, "explore"):
        return Pair("none", waypoints=plan)
    known = frame >= drive.known_from
    distance = float(labels.distances[frame]) if known else None
    away = between(drive.here(frame), Pose2(goal.get("x", 0.0), goal.get("y", 0.0), goal.get("yaw", 0.0)))
    located = known and "x" in goal
    arrived = bool(known and labels.distances[frame] < INSIDE * goal.get("radius", IMAGE_RADIUS))
    if task in ("image-goal", "tour") and picture is not None:
        facing = abs(float(wrap_angle(away.yaw))) < FACING
        in_view = task == "image-goal" or (distance or math.inf) < TOUR_IN_VIEW
        arrived = arrived and facing
        return Pair("image", picture, (away.x, away.y, away.yaw), located, waypoints=plan if in_view else None,
                    distance=distance, arrived=arrived)
    if task == "point-goal":
        return Pair("point", place=(away.x, away.y, 0.0), waypoints=plan, distance=distance, arrived=arrived)
    words = drive.info.instruction if task == "instruction" else goal.get("category")
    if task not in ("instruction", "object-goal") or not words:
        return Pair("none", waypoints=plan)
    nearest = drive.things.nearest(words, drive.here(frame)) if task == "object-goal" else None
    if known and nearest is not None:  # the expert's way ends within reach; a surface may be behind a wall
        radius = goal.get("radius", OBJECT_RADIUS)
        arrived = max(nearest, float(labels.distances[frame]) - radius) < INSIDE * radius
    # Of several of a kind the goal is any of them, but the plan leads to one.
    x, y = drive.heads_for(frame)
    return Pair("words" if task == "instruction" else "object", place=(x, y, math.atan2(y, x)), located=known,
                words=str(words), waypoints=plan, distance=distance, arrived=arrived)


def _neighbour(other: Neighbour) -> Pair:
    """How far it is is known where some of it is in view, the way there is not."""
    away = math.hypot(other.away.x, other.away.y)
    there = away < INSIDE * IMAGE_RADIUS and abs(other.away.yaw) < FACING
    return Pair(
        "image", other.picture, (other.away.x, other.away.y, other.away.yaw), other.shown,
        distance=away if other.shown else None, arrived=there if other.shown or away > IMAGE_RADIUS else None,
    )


def _thing(drive: Drive, things: Sequence[Sighting], rules: ClipRules, rng: np.random.Generator) -> Pair:
    """A kind of things, in view or not; nothing is known of the way to those that are not."""
    in_view = rng.random() < rules.shown
    kinds = [thing for thing in things if (thing.shown if in_view else thing.hidden)]
    if not kinds:
        return Pair("none")
    thing = kinds[int(rng.integers(len(kinds)))]
    away, bearing = math.hypot(thing.x, thing.y), math.atan2(thing.y, thing.x)
    before = max(away - drive.robot.footprint.radius - BEFORE, 0.05)  # m to where it is reached
    arrived = False if thing.nearest > OBJECT_RADIUS else None  # another one, out of view, may be near
    if thing.shown and away == thing.nearest:
        arrived = away < INSIDE * OBJECT_RADIUS
    return Pair(
        "object", place=(before * math.cos(bearing), before * math.sin(bearing), bearing), located=thing.shown,
        words=thing.category, distance=before if thing.shown else None, arrived=arrived,
    )


def _route(drive: Drive, frame: int) -> Pair:
    """The command that names which way the drive turned next; at its end, no goal."""
    number = int(np.searchsorted(drive.driven, drive.driven[frame] + ROUTE_AHEAD))
    plan = drive.lesson(frame)
    if number >= len(drive.poses) or not drive.is_experts:
        return Pair("none", waypoints=plan)
    turn = float(wrap_angle(drive.poses[number, 2] - drive.poses[frame, 2]))
    command = next((name for least, name in TURNS if abs(turn) >= least), "straight")
    if command == "turn":
        command = "left" if turn > 0 else "right"
    return Pair("route", route=ROUTE_COMMANDS.index(command), waypoints=plan)


def stacked(pairs: Sequence[Pair], step: float, horizon: int) -> Pairs:
    still = np.zeros((horizon, 3))
    ways = np.stack([still if pair.waypoints is None else pair.waypoints for pair in pairs])

    weights = np.array([pair.weight for pair in pairs], np.float32)

    def known(values: Sequence[object]) -> np.ndarray:
        return weights * np.array([value is not None for value in values], np.float32)

    distances, arrivals = [pair.distance for pair in pairs], [pair.arrived for pair in pairs]
    return Pairs(
        np.array([KINDS.index(pair.kind) for pair in pairs]), np.array([pair.picture for pair in pairs]),
        np.array([pair.place for pair in pairs], np.float32), np.array([pair.has_yaw for pair in pairs]),
        np.array([pair.spread for pair in pairs], np.float32),
        weights * np.array([pair.located for pair in pairs], np.float32),
        tuple(pair.words for pair in pairs), np.array([pair.route for pair in pairs]), to_network(ways, step),
        known([pair.waypoints for pair in pairs]), np.array([d or 0.0 for d in distances], np.float32),
        known(distances), np.array([bool(a) for a in arrivals], np.float32), known(arrivals),
    )

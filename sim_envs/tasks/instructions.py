"""Say in words how to follow a way: rooms, doors, turns, things passed, and where to stop. Every claim is true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sim_envs.simulator import Instance, SceneInfo
from sim_envs.tasks.landmarks import ORDINALS, Landmark, gap, notable, stop_landmark, unique_things
from sim_envs.tasks.rooms import distances_to
from sim_envs.tasks.route import (
    ABOUT_FACE,
    Crossing,
    Passing,
    RoadCrossed,
    Route,
    Turn,
    analyse,
    door_side,
    doors_before,
    passings,
    roads_crossed,
    turn_at,
)

SYNONYMS: dict[str, tuple[str, ...]] = {
    "sofa": ("sofa", "couch"), "corridor": ("corridor", "hallway"), "fridge": ("fridge", "refrigerator"),
    "television": ("television", "TV"), "tv": ("TV", "television"), "bookshelf": ("bookshelf", "bookcase"),
    "bin": ("bin", "trash can"), "pavement": ("pavement", "sidewalk"),
    "crossing": ("crossing", "crosswalk"), "nightstand": ("nightstand", "bedside table"),
    "door": ("door", "doorway"),
}
_ROOMS = {"toilet": "restroom"}  # rooms whose name is that of a thing as well
PASSAGES = ("corridor", "hallway", "hall", "entrance", "street", "pavement", "road")  # rooms one walks along
_FACING_AWAY = math.radians(60)  # rad off the way's beginning, from where the robot is told to turn first
_AT_A_TURN = 1.3  # m from a turn to the thing that marks it
_WORTH_WALKING = 2.0  # m to a first turn, from where one is told to walk there
_SEPARATE = 1.0  # m between the thing to stop at and one that is passed
_LONG_LEG = 3.0  # m without anything to tell
_WIDEST_DOOR = 1.4  # m; a wider one is called an opening
_MOST_PASSED = 2  # things passed that are told, in all


def describe_route(info: SceneInfo, path: np.ndarray, rng: np.random.Generator, start_yaw: float | None = None) -> str:
    """Instructions for a way [K, 3]; `start_yaw` is where the robot looks before it begins (the way's own, if None)."""
    route = analyse(info, path)
    return _Speaker(info, route, rng).tell(start_yaw)


Event = Turn | Crossing | Passing | RoadCrossed


@dataclass
class _Speaker:
    """Turns the facts of one route into one text."""

    info: SceneInfo
    route: Route
    rng: np.random.Generator
    words: dict[str, str] = field(default_factory=dict)  # a thing keeps its name throughout one text
    told: set[str] = field(default_factory=set)  # kinds of things that have their place in the text

    def tell(self, start_yaw: float | None) -> str:
        stop = stop_landmark(self.info, self.route)
        events = self._events(stop)
        clauses = self._begin(start_yaw)
        clauses += self._set_off(events, turned=bool(clauses))
        for k, event in enumerate(events):
            before, after = events[k - 1] if k else None, events[k + 1] if k + 1 < len(events) else None
            if isinstance(event, Passing) and isinstance(before, Passing):
                continue  # told together with the one before
            clauses += self._clauses(event, before, after)
            clauses += self._onward(event, after, clauses[-1])
        if not events:
            clauses += [] if stop is not None else [self.say("go straight ahead", "walk straight on")]
            ending = self._stop_ahead(stop, bool(clauses))
        else:
            ending = self._stop(stop, events[-1])
        return self._sentences([*clauses, *ending])

    def say(self, *options: str) -> str:
        return str(self.rng.choice(options))

    def name(self, category: str) -> str:
        if category not in self.words:
            self.words[category] = self.say(*SYNONYMS.get(category, (category,)))
        return self.words[category]

    def room(self, index: int) -> str:
        category = self.info.rooms[index].category
        return "the " + self.name(_ROOMS.get(category, category))

    def _category(self, index: int) -> str:
        return self.info.rooms[index].category if index >= 0 else ""

    # --- what is worth telling, in order ---

    def _events(self, stop: Landmark | None) -> list[Event]:
        doors = [c for c in self.route.crossings if self._worth_telling(c)]
        taken = [t for t in self.route.turns if any(self._turn_of(c) is t for c in doors)]
        turns = [t for t in self.route.turns if t not in taken]
        fixed: list[Event] = [*doors, *turns, *roads_crossed(self.info, self.route)]
        passed: list[Event] = [*self._passed(stop, [e.at for e in fixed])]
        return sorted([*fixed, *passed], key=lambda e: e.at)

    def _worth_telling(self, crossing: Crossing) -> bool:
        return crossing.left >= 0 or crossing.entered >= 0

    def _turn_of(self, crossing: Crossing) -> Turn | None:
        """The turn that going through a door implies, so that it is not told twice."""
        turn = turn_at(self.route, crossing)
        if turn is None or crossing.entered < 0 or turn.side != door_side(self.route, crossing):
            return None
        return turn

    def _passed(self, stop: Landmark | None, busy: Sequence[float]) -> list[Passing]:
        """A few things on the way, each of another kind and none beside the one to stop at."""
        self.told |= {thing.category for thing in (stop.thing, stop.beside) if thing is not None} if stop else set()
        things = [
            t for t in unique_things(self.info, notable(self.info))
            if t.category not in self.told and (stop is None or gap(t, stop.thing) > _SEPARATE)
        ]
        chosen: list[Passing] = []
        for candidate in sorted(passings(self.info, self.route, things), key=lambda p: (p.aside, p.thing.id)):
            clear = all(abs(candidate.at - at) > 0.6 for at in busy)
            apart = all(abs(candidate.at - other.at) > 1.5 for other in chosen)
            if clear and apart and len(chosen) < _MOST_PASSED and candidate.thing.category not in self.told:
                chosen.append(candidate)
                self.told.add(candidate.thing.category)
        return chosen

    # --- clauses ---

    def _begin(self, start_yaw: float | None) -> list[str]:
        if start_yaw is None:
            return []
        off = math.remainder(self.route.heading(0.0, 1.0) - start_yaw, math.tau)
        if abs(off) < _FACING_AWAY:
            return []
        if abs(off) >= ABOUT_FACE:
            return [self.say("turn around", "turn all the way around")]
        side = "left" if off > 0 else "right"
        return [self.say(f"turn to your {side}", f"turn {side}")]

    def _set_off(self, events: list[Event], turned: bool) -> list[str]:
        """How to come to the first turn."""
        if not events or not isinstance(events[0], Turn):
            return []
        if events[0].at >= _WORTH_WALKING:
            return [self.say("go straight", "walk straight ahead")]
        return [self.say("go forward a little", "walk on a little")] if turned else []

    def _clauses(self, event: Event, before: Event | None, after: Event | None) -> list[str]:
        if isinstance(event, Crossing):
            return self._cross(event, first=event.at == min(c.at for c in self.route.crossings))
        if isinstance(event, Turn):
            again = isinstance(before, Turn) and before.side == event.side and event.at - before.at < _LONG_LEG
            return [self._turn(event, again)]
        if isinstance(event, RoadCrossed):
            return [f"{self.say('cross the road', 'go over the road')} at the {self.name('crossing')}"]
        return [self._past(event, after if isinstance(after, Passing) else None)]

    def _past(self, first: Passing, second: Passing | None) -> str:
        what = f"the {self.name(first.thing.category)}"
        if second is not None:
            what += "" if second.side == first.side else f" on your {first.side}"
            what += f" and the {self.name(second.thing.category)}"
        side = first.side if second is None else second.side
        return f"{self.say('walk past', 'go past', 'pass')} {what} on your {side}"

    def _turn(self, turn: Turn, again: bool) -> str:
        if abs(turn.angle) >= ABOUT_FACE:
            return self.say("turn around", f"make a U-turn to the {turn.side}")
        if again:
            return self.say(f"turn {turn.side} again", f"take another {turn.side}")
        said = self.say(f"turn {turn.side}", f"take a {turn.side}", f"make a {turn.side}")
        mark = self._mark(turn)
        if mark is None:
            return said
        self.told.add(mark.category)
        return f"{said} {self.say('at', 'by')} the {self.name(mark.category)}"

    def _mark(self, turn: Turn) -> Instance | None:
        """Something unmistakable where the turn is."""
        here = self.route.point(turn.at)
        things = unique_things(self.info, notable(self.info, self.route.room(turn.at)))
        near = [(float(distances_to(t, here[None])[0]), t.id, t) for t in things if t.category not in self.told]
        return min((entry for entry in near if entry[0] < _AT_A_TURN), default=(0.0, 0, None))[2]

    def _cross(self, crossing: Crossing, first: bool) -> list[str]:
        left, entered = self._category(crossing.left), self._category(crossing.entered)
        if not entered:
            return [self.say("leave", "walk out of") + " " + self.room(crossing.left)]
        into = f"the next {self.name(entered)}" if left == entered else self.room(crossing.entered)
        out = [f"{self.say('leave', 'exit', 'walk out of')} {self.room(crossing.left)}"] if left else []
        side = door_side(self.route, crossing)
        if first and out and left != entered and entered in PASSAGES:
            if self._turn_of(crossing) is not None:
                return [*out, self.say(f"turn {side} into {into}", f"take a {side} into {into}")]
            here = self.room(crossing.left)
            return [self.say(out[0], f"walk out of {here} into {into}", f"go from {here} into {into}")]
        if side is None:
            return [self._through(crossing, into)]
        if crossing.door is not None and left in PASSAGES and left != entered:
            before = doors_before(self.info, self.route, crossing)
            if before is not None and before < len(ORDINALS):
                return [self.say("take", "go through") + f" the {ORDINALS[before]} door on your {side} into {into}"]
        options = [f"go through the {self._opening(crossing)} on your {side} into {into}"]
        if self._turn_of(crossing) is not None:
            options += [f"turn {side} into {into}", f"take a {side} into {into}"]
        return [self.say(*options)]

    def _through(self, crossing: Crossing, into: str) -> str:
        if into.startswith("the next ") and self._category(crossing.entered) in PASSAGES:
            return self.say(f"continue into {into}", f"go on into {into}", f"walk on into {into}")
        options = [f"go into {into}", f"enter {into}", f"walk into {into}"]
        if crossing.door is not None:
            options += [f"go through the {self._opening(crossing)} into {into}"]
        return self.say(*options)

    def _opening(self, crossing: Crossing) -> str:
        if crossing.door is None or crossing.door.width > _WIDEST_DOOR:
            return "opening"
        return self.name("door")

    def _onward(self, event: Event, after: Event | None, said: str) -> list[str]:
        """What to do until the next event, if that is a while, once something has been `said`."""
        until = self.route.length if after is None else after.at
        leg = until - event.at
        if leg < _LONG_LEG or isinstance(event, Passing):
            return []
        room = self.route.room(min(event.at + 0.5, self.route.length))
        if self._category(room) in PASSAGES:
            named = said.endswith(self.name(self._category(room)))
            way = "it" if named and self.rng.random() < 0.7 else self.room(room)
            return [self.say(f"walk along {way}", f"go down {way}", f"follow {way}", f"continue along {way}")]
        metres = f"for about {round(leg)} metres"
        return [self.say("go straight", "walk straight ahead", f"go straight {metres}", f"walk on {metres}")]

    # --- the end ---

    def _landmark(self, mark: Landmark) -> str:
        noun = self.name(mark.thing.category)
        if mark.beside is not None:
            return f"the {noun} that is next to the {self.name(mark.beside.category)}"
        if mark.ordinal:
            return f"the {ORDINALS[mark.ordinal - 1]} {noun} on your {mark.side}"
        return f"the {noun}"

    def _stop(self, stop: Landmark | None, last: Event) -> list[str]:
        room = self.route.room(self.route.length)
        short = self.route.length - last.at < 1.3
        if stop is None:
            where = f"in {self.room(room)}" if room >= 0 else "there"
            inside = f"just inside {self.room(room)}" if room >= 0 else where
            entering = isinstance(last, Crossing) and short
            return [f"{self.say('stop', 'wait')} {inside if entering else where}"]
        thing = self._landmark(stop)
        options = [f"stop next to {thing}", f"stop beside {thing}", f"wait by {thing}", f"stop near {thing}"]
        if self._faces(stop.thing):
            options += [f"stop in front of {thing}", f"wait in front of {thing}"]
        return [self.say(*options)]

    def _stop_ahead(self, stop: Landmark | None, told: bool) -> list[str]:
        """The end of a way on which nothing happens."""
        metres = max(1, round(self.route.length))
        if stop is None:
            return [f"stop after about {metres} metre{'s' if metres > 1 else ''}"]
        thing = self._landmark(stop)
        if told:
            return [self.say(f"walk to {thing}", f"go over to {thing}"), self.say("stop next to it", "stop there")]
        return [
            self.say(f"go to {thing}", f"walk over to {thing}", f"head to {thing}", f"go straight to {thing}"),
            self.say("stop next to it", "stop beside it", "wait there"),
        ]

    def _faces(self, thing: Instance) -> bool:
        dx, dy = thing.centre - self.route.points[-1, :2]
        off = math.remainder(math.atan2(dy, dx) - self.route.heading(self.route.length), math.tau)
        return abs(off) < math.radians(40)

    # --- sentences ---

    def _sentences(self, clauses: list[str]) -> str:
        """Join clauses two by two, sometimes three, the last one with "and"."""
        groups: list[list[str]] = []
        left = list(clauses)
        while left:
            size = 2 if len(left) != 3 or self.rng.random() < 0.5 else 3
            size = 1 if len(left) == 3 and size == 2 and self.rng.random() < 0.5 else size
            groups.append(left[:size])
            left = left[size:]
        sentences = []
        links = ["then ", "after that, ", "next, ", "from there, "]  # none is used twice
        for k, group in enumerate(groups):
            link = k > 0 and bool(links) and self.rng.random() < 0.4
            text = links.pop(int(self.rng.integers(len(links)))) if link else ""
            # One "then" in a sentence is enough.
            joint = " and " if link or len(group) == 3 else self.say(" and ", ", then ")
            text += ", ".join(group[:-1]) + joint + group[-1] if len(group) > 1 else group[0]
            sentences.append(text[0].upper() + text[1:] + ".")
        return " ".join(sentences)

"""Goals as people type them."""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from pathlib import Path

from nav_foundation.config import closest
from nav_foundation.data.importing.picture_files import PICTURES, picture_of
from nav_foundation.data.importing.pictures import as_rgb
from nav_foundation.geometry import compose
from nav_foundation.types import (
    ROUTE_COMMANDS,
    Explore,
    Goal,
    ImageGoal,
    InstructionGoal,
    ObjectGoal,
    PointGoal,
    Pose2,
    PoseGoal,
    RouteGoal,
)

FORMS = "a picture file, x,y or x,y,yaw (m, rad), words: ..., object: ..., route: left|right|straight|back, or explore"
_KINDS = ("words", "object", "route")
_PLACE = re.compile(r"[-+\d.eE\s]+(,[-+\d.eE\s]*)+")


def parse_goal(text: str) -> Goal:
    """The goal that `text` means. Places are in the frame of the first picture: see `placed`."""
    text = text.strip()
    if not os.path.isfile(text):  # unlike Path's, it takes any text, long words included
        return _told(text)
    if text == "explore" or _PLACE.fullmatch(text) or text.partition(":")[0].strip() in _KINDS:
        raise ValueError(f"--goal {text!r} is also the name of a file: write ./{text} for the picture, or rename it")
    if Path(text).suffix.lower() not in PICTURES:
        raise ValueError(f"--goal {text} is no picture: give a file that ends in {', '.join(PICTURES)}")
    return ImageGoal(as_rgb(picture_of(Path(text)), text))


def spoken_goal(text: str) -> Goal:
    """The goal that is meant by words sent to a robot: an instruction, if it is none of the other forms."""
    kind, colon, _ = text.partition(":")
    marked = bool(colon) and kind.strip() in _KINDS
    return _told(text.strip()) if marked or text.strip() == "explore" else InstructionGoal(text.strip())


def has_place(goal: Goal) -> bool:
    """Whether it is somewhere: a distance to it and an arrival mean something."""
    return not isinstance(goal, (Explore, RouteGoal))


def in_words(goal: Goal) -> str:
    """For people; places as `parse_goal` gives them. A picture speaks for itself."""
    if isinstance(goal, (PointGoal, PoseGoal)):
        ahead = f"{abs(goal.x):g} m {'ahead' if goal.x >= 0 else 'behind'}"
        facing = f", facing {goal.yaw:g} rad" if isinstance(goal, PoseGoal) else ""
        return f"{ahead}, {abs(goal.y):g} m {'left' if goal.y >= 0 else 'right'} of the first picture{facing}"
    if isinstance(goal, InstructionGoal):
        return goal.text
    if isinstance(goal, ObjectGoal):
        return f"find: {goal.category}"
    if isinstance(goal, RouteGoal):
        return f"the next way {goal.command}"
    return "see as much as possible" if isinstance(goal, Explore) else ""


def placed(goal: Goal, first: Pose2 | None) -> Goal:
    """The goal in the frame of the odometry, in which the first picture was taken at `first`."""
    if not isinstance(goal, (PointGoal, PoseGoal)):
        return goal
    if first is None:
        raise ValueError(
            f"--goal {goal.x:g},{goal.y:g} is a place, which can only be found by knowing where every picture was "
            "taken: give --poses FILE, a table of time, x, y and yaw"
        )
    there = compose(first, Pose2(goal.x, goal.y, goal.yaw if isinstance(goal, PoseGoal) else 0.0))
    if isinstance(goal, PoseGoal):
        return replace(goal, x=there.x, y=there.y, yaw=there.yaw)
    return replace(goal, x=there.x, y=there.y)


def _told(text: str) -> Goal:
    """A goal that is no picture."""
    if text == "explore":
        return Explore()
    if _PLACE.fullmatch(text):
        return _place(text)
    kind, colon, rest = (part.strip() for part in text.partition(":"))
    if not colon:
        raise ValueError(f"--goal {text!r} is no file and none of the other kinds: give {FORMS}")
    if kind not in _KINDS:
        raise ValueError(f"--goal {text!r}: {kind!r} is no kind of goal{closest(kind, _KINDS)}")
    if kind == "route":
        if rest not in ROUTE_COMMANDS:
            raise ValueError(f"--goal {text!r}: {rest!r} is no way to take{closest(rest, ROUTE_COMMANDS)}")
        return RouteGoal(rest)
    if not rest:
        raise ValueError(f"--goal {text!r} says nothing after the colon: give words: turn left, or object: chair")
    return InstructionGoal(rest) if kind == "words" else ObjectGoal(rest)


def _place(text: str) -> Goal:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(map(math.isfinite, numbers)):
        raise ValueError(f"--goal {text!r} is no place: give x,y or x,y,yaw in metres and radians, such as 2.5,-1")
    return PointGoal(*numbers) if len(numbers) == 2 else PoseGoal(*numbers)

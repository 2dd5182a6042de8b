"""Recording: what a robot's topics tell, made into episodes with one driver each. No ROS is needed.

A policy drives, a person takes over, the policy goes on: these are three episodes. The person's is flagged a takeover,
and as what people drove is learnt from as a demonstration, it is a corrective episode as it lies on the disk: no
import, no labels. Of what a policy drove only labels are learnt from, and a robot has none.

Pictures, depth and odometry count by their own stamps; commands and what nodes say count from when they came.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from nav_foundation.data.images import size_of
from nav_foundation.data.recording import Past, Ticks
from nav_foundation.data.schema import EpisodeData, EpisodeInfo
from nav_foundation.data.units import cruising_step
from nav_foundation.geometry import between
from nav_foundation.robot import CameraSpec, RobotSpec
from nav_foundation.types import NANOSECONDS, Pose2, Velocity
from policies.odometry import OdometryHistory, jump

Driver = Literal["policy", "human"]
File = Callable[[], bytes]  # makes a JPEG or PNG file; raises ValueError where the picture is broken

_MEMORY = 5.0  # s of odometry and of what held when
_HOLE = 1.0  # s without a frame or a pose, after which an episode is over
_BACK = 0.1  # s that a stamp may lie before the last one; more, and a clock was set back
_STALE = 1.0  # s after which what the controller said last means nothing
_WINDOW, _STILL_SPEED, _STILL_TURN = 0.5, 0.05, 0.1  # s; m/s and rad/s over it, below which a robot stands
_SETTLED = 1.0  # s in shadow mode after which the controller's own braking is over
_TAKEOVER = 1.0  # s between a policy's driving and a person's
_STAND_KEPT = 1.0  # s of the stand at the end of an episode: more would only teach to stand
_IN_WORDS = {
    "image-goal": "go to where the picture was taken", "point-goal": "go to the given point",
    "pose-goal": "go to the given pose",
}


@dataclass(frozen=True)
class RecordingSettings:
    rate: float = 5.0  # Hz of the frames
    stand_end: float = 5.0  # s of standing that end an episode
    longest: float = 120.0  # s of an episode; its pictures are in memory until it ends
    shortest: int = 8  # frames; episodes with fewer are dropped
    depth: bool = False  # every frame has a depth image
    scene: str = ""  # of a simulator; a real robot knows of none

    def __post_init__(self) -> None:
        for name, low, high in (("rate", 0.1, 100.0), ("stand_end", 0.1, 600.0), ("longest", 2.0, 600.0)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"recording's {name} is {getattr(self, name)}: give {low:g} to {high:g}")


@dataclass(frozen=True)
class Control:
    """What the controller says."""

    mode: str  # driving, standing, stopped, teleop or shadow
    sends: bool  # a velocity other than zero

    @staticmethod
    def of(text: str) -> Control:
        """From the JSON of its status. Raises ValueError for what is none."""
        told = _object(text)
        mode, sent = told.get("mode"), told.get("sent", {})
        if not isinstance(mode, str) or not isinstance(sent, dict):
            raise ValueError("the controller's status has no mode, or does not say what it sent")
        return Control(mode, any(bool(value) for value in sent.values()))


@dataclass(frozen=True)
class Asked:
    """The goal that the navigator says it has."""

    kind: str = ""  # name of the goal's type; empty = none
    words: str = ""  # what it is, where it is no picture
    number: int = 0  # of goals so far: two of a kind are told apart

    @staticmethod
    def of(text: str) -> Asked:
        """From the JSON of its status. Raises ValueError for what is none."""
        told = _object(text)
        goal, words = told.get("goal"), told.get("words") or ""
        if not isinstance(goal, str) or not isinstance(words, str):
            raise ValueError("the navigator's status has no goal, or one or words that are no text")
        number = told.get("number", 0)
        goal, words = (part.encode("utf-8", "replace").decode() for part in (goal, words))  # no half characters
        return Asked(goal, words, number if type(number) is int else 0)

    def data(self) -> dict[str, Any] | None:
        """As collected drives tell their goals."""
        if not self.kind:
            return None
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", self.kind).lower()
        kind = "instruction" if kind == "instruction-goal" else kind
        return {"type": kind, **({"words": self.words} if self.words else {})}

    def task(self) -> str:
        goal = self.data()
        return "drive" if goal is None else self.words or _IN_WORDS.get(goal["type"], goal["type"])


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ValueError(f"a status is no JSON object: {text[:80]!r}")
    return told


@dataclass
class _Episode:
    driver: Driver
    asked: Asked
    robot: RobotSpec
    notes: dict[str, Any]
    active_ns: int  # when the robot last moved or was told to
    stamps: list[int] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    depth: list[bytes] = field(default_factory=list)
    poses: list[Pose2] = field(default_factory=list)
    actions: list[Velocity | None] = field(default_factory=list)  # None = nobody was heard to command anything
    moves: list[bool] = field(default_factory=list)

    def finished(self, settings: RecordingSettings) -> tuple[EpisodeInfo, EpisodeData] | None:
        """Without most of the stand at its end; None for one with too few frames."""
        count = sum(stamp <= self.active_ns + _STAND_KEPT * NANOSECONDS for stamp in self.stamps)
        if count < settings.shortest:
            return None
        poses = np.array([(p.x, p.y, p.yaw) for p in self.poses[:count]])
        actions = self._actions(count)
        goal = self.asked.data()
        info = EpisodeInfo(
            task=self.asked.task(), source="nav-foundation record", robot=self.robot, goal=goal, driver=self.driver,
            instruction=self.asked.words or None if goal and goal["type"] == "instruction" else None,
            action_source="measured" if actions is None else "commanded", cruising_step=cruising_step(poses),
            notes=self.notes or None, scene=settings.scene,
        )
        stamps = np.array(self.stamps[:count], np.int64)
        return info, EpisodeData(self.images[:count], stamps, poses, actions, self.depth[:count] or None)

    def _actions(self, count: int) -> np.ndarray | None:
        """[T, 2] commands; None where they do not fit in (sideways), or where the robot mostly moved without any."""
        heard = [action is not None for action in self.actions[:count]]
        unheard = sum(moves and not told for moves, told in zip(self.moves, heard))
        if self.robot.drive == "omnidirectional" or not any(heard) or 2 * unheard > sum(self.moves[:count]):
            return None
        return np.array([(0.0, 0.0) if a is None else (a.linear, a.angular) for a in self.actions[:count]])


class Recording:
    """Tell it what comes in; it gives each episode to `keep` when that ends, and says to `tell` what it cannot use."""

    def __init__(
        self, robot: RobotSpec, settings: RecordingSettings, keep: Callable[[EpisodeInfo, EpisodeData], None],
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._robot = replace(robot, frame_rate=settings.rate)
        self.settings, self._keep, self._tell = settings, keep, tell
        self.dropped = 0  # episodes that were too short
        self._current: _Episode | None = None
        self._history = OdometryHistory(_MEMORY)
        self._known_ns = 0  # since when the odometry is without a hole
        self._commands: Past[Velocity] = Past(_MEMORY)
        self._control: Past[Control] = Past(_MEMORY)
        self._asked: Past[Asked] = Past(_MEMORY)
        self._ticks = Ticks(settings.rate)
        self._waiting: deque[tuple[int, File]] = deque()  # pictures whose place is not known yet
        self._depth: deque[tuple[int, File]] = deque(maxlen=100)
        self._newest_ns: int | None = None  # of pictures
        self._now_ns = 0  # when something was last told
        self._policy_drove: tuple[int, Asked] | None = None

    @property
    def frames(self) -> int:
        """Of the episode that goes on."""
        return len(self._current.stamps) if self._current is not None else 0

    @property
    def driver(self) -> Driver | None:
        """Of the episode that goes on."""
        return self._current.driver if self._current is not None else None

    # --- what comes in ------------------------------------------------------------------------------------------

    def calibrate(self, camera: CameraSpec) -> None:
        """The camera is another one than was told."""
        if camera != self._robot.camera:
            self.end()
            self._robot = replace(self._robot, camera=camera)

    def command(self, now_ns: int, velocity: Velocity) -> None:
        self._go_on(now_ns)
        self._commands.add(now_ns, velocity)

    def control(self, now_ns: int, control: Control) -> None:
        self._go_on(now_ns)
        self._control.add(now_ns, control)

    def asked(self, now_ns: int, asked: Asked) -> None:
        self._go_on(now_ns)
        self._asked.add(now_ns, asked)

    def look(self, now_ns: int) -> None:
        """Time goes by: an episode whose pictures or poses do not come any more is over."""
        self._go_on(now_ns)
        if self._current is not None and now_ns - self._current.stamps[-1] > 2 * _HOLE * NANOSECONDS:
            self.end()

    def odometry(self, stamp_ns: int, pose: Pose2) -> None:
        last = self._history.last
        if last is not None and stamp_ns <= last[0]:
            if last[0] - stamp_ns <= _BACK * NANOSECONDS:
                return
            self._set_back()
        elif last is not None and (stamp_ns - last[0] > _HOLE * NANOSECONDS or self._jumped(last, stamp_ns, pose)):
            self.end()
            self._history.clear()
        if self._history.last is None:
            self._known_ns = stamp_ns
        self._history.add(stamp_ns, pose)
        self._settle()

    def picture(self, stamp_ns: int, file: File) -> None:
        newest = self._newest_ns
        if newest is not None and newest - stamp_ns > _BACK * NANOSECONDS:
            self._set_back()
        elif newest is not None and stamp_ns <= newest:
            return  # shown twice, or late
        self._newest_ns = stamp_ns
        if self._ticks.take(stamp_ns):
            self._waiting.append((stamp_ns, file))
            self._settle()
        while len(self._waiting) > _HOLE * self.settings.rate + 1:
            self._waiting.popleft()
            self._tell("pictures find no odometry of their time" + (" or no depth" if self.settings.depth else ""))

    def depth(self, stamp_ns: int, file: File) -> None:
        """Depth as seen by the camera of the pictures, of their size."""
        if self._depth and stamp_ns <= self._depth[-1][0]:
            if self._depth[-1][0] - stamp_ns <= _BACK * NANOSECONDS:
                return
            self._set_back()
        self._depth.append((stamp_ns, file))
        while stamp_ns - self._depth[0][0] > 2 * _HOLE * NANOSECONDS:
            self._depth.popleft()
        self._settle()

    def end(self) -> None:
        """The episode, if there is one, is over."""
        current, self._current = self._current, None
        if current is None:
            return
        finished = current.finished(self.settings)
        if finished is None:
            self.dropped += 1
        else:
            self._keep(*finished)

    # --- clocks -------------------------------------------------------------------------------------------------

    def _go_on(self, now_ns: int) -> None:
        if self._now_ns - now_ns > _BACK * NANOSECONDS:
            self._set_back()
        self._now_ns = now_ns

    def _set_back(self) -> None:
        """A clock was: what came before cannot be dated."""
        self.end()
        for past in (self._history, self._commands, self._control, self._asked, self._ticks):
            past.clear()
        self._waiting.clear()
        self._depth.clear()
        self._newest_ns, self._policy_drove = None, None
        self._tell("a clock was set back")

    def _jumped(self, last: tuple[int, Pose2], stamp_ns: int, pose: Pose2) -> bool:
        return bool(jump(last[1], pose, (stamp_ns - last[0]) / NANOSECONDS, self._robot))

    # --- frames -------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Make frames of the pictures whose place and depth are known by now."""
        known = self._history.last
        while known is not None and self._waiting and self._waiting[0][0] <= known[0]:
            stamp, file = self._waiting[0]
            if self.settings.depth and not (self._depth and self._depth[-1][0] >= stamp):
                return
            self._waiting.popleft()
            if stamp >= max(self._known_ns, known[0] - (_MEMORY - _WINDOW) * NANOSECONDS):
                self._frame(stamp, file)
            else:
                self._tell("pictures find no odometry of their time")

    def _frame(self, stamp: int, file: File) -> None:
        here = self._history.at(stamp)
        moves, action = self._moves(stamp, here), self._in_force(stamp)
        active = moves or (action is not None and action != Velocity())
        driver, asked = self._driver(stamp, active), self._goal(stamp)
        if driver == "policy":
            self._policy_drove = stamp, asked
        before, notes = self._current, None
        if before is not None and self._is_over(before, stamp, driver, asked):
            self.end()
        elif before is not None and stamp - before.stamps[0] >= self.settings.longest * NANOSECONDS:
            driver, notes = before.driver, {**before.notes, "continues": True}
            self.end()
        if self._current is None and notes is None and not (active and driver):
            return
        files = self._files(stamp, file)
        if files is None:
            return
        if self._current is None:
            assert driver is not None
            notes = self._takeover(stamp, driver) if notes is None else notes
            self._current = _Episode(driver, asked, self._robot, notes, stamp)
        self._append(self._current, stamp, files, here, action, moves)
        if active:
            self._current.active_ns = stamp

    def _is_over(self, episode: _Episode, stamp: int, driver: Driver | None, asked: Asked) -> bool:
        return (
            driver not in (None, episode.driver) or asked != episode.asked
            or stamp - episode.stamps[-1] > _HOLE * NANOSECONDS
            or stamp - episode.active_ns > self.settings.stand_end * NANOSECONDS
        )

    def _append(
        self, episode: _Episode, stamp: int, files: tuple[bytes, bytes | None], here: Pose2, action: Velocity | None,
        moves: bool,
    ) -> None:
        episode.stamps.append(stamp)
        episode.images.append(files[0])
        if files[1] is not None:
            episode.depth.append(files[1])
        episode.poses.append(here)
        episode.actions.append(action)
        episode.moves.append(moves)

    def _files(self, stamp: int, file: File) -> tuple[bytes, bytes | None] | None:
        """The picture and its depth as files; None where one is broken or does not fit."""
        camera = self._robot.camera
        try:
            image, depth = file(), self._depth_at(stamp)() if self.settings.depth else None
            for name, made in (("pictures", image), ("depth images", depth)):
                height, width = (camera.height, camera.width) if made is None else size_of(made)
                if (height, width) != (camera.height, camera.width):
                    raise ValueError(
                        f"{name} are {width}x{height} and the camera is described as {camera.width}x{camera.height}: "
                        "correct the robot's camera or let camera_info tell of it"
                    )
        except ValueError as error:
            self._tell(str(error))
            return None
        return image, depth

    def _depth_at(self, stamp: int) -> File:
        at, file = min(self._depth, key=lambda entry: abs(entry[0] - stamp))
        if abs(at - stamp) > 0.5 * NANOSECONDS / self.settings.rate:
            raise ValueError("pictures find no depth of their time")
        return file

    # --- what held at a time --------------------------------------------------------------------------------------

    def _moves(self, stamp: int, here: Pose2) -> bool:
        moved = between(self._history.at(stamp - round(_WINDOW * NANOSECONDS)), here)
        return math.hypot(moved.x, moved.y) > _STILL_SPEED * _WINDOW or abs(moved.yaw) > _STILL_TURN * _WINDOW

    def _in_force(self, stamp: int) -> Velocity | None:
        """The command that the base obeyed; None where it had none, or stopped for want of a new one."""
        told = self._commands.at(stamp)
        fresh = told is not None and stamp - told[0] <= self._robot.command_timeout * NANOSECONDS
        return told[1] if told is not None and fresh else None

    def _goal(self, stamp: int) -> Asked:
        told = self._asked.at(stamp)
        return told[1] if told is not None else Asked()

    def _driver(self, stamp: int, active: bool) -> Driver | None:
        """Who drives; None where nobody does, or who began goes on until the robot stands."""
        told = self._control.at(stamp)
        if told is None or stamp - told[0] > _STALE * NANOSECONDS:
            return None
        if told[1].mode in ("teleop", "driving"):
            return "human" if told[1].mode == "teleop" else "policy"
        before = self._control.at(stamp - round(_SETTLED * NANOSECONDS))
        watches = Control("shadow", False)
        return "human" if active and told[1] == watches and before is not None and before[1] == watches else None

    def _takeover(self, stamp: int, driver: Driver) -> dict[str, Any]:
        """Notes of an episode in which a person takes over from a policy."""
        drove = self._policy_drove
        if driver != "human" or drove is None or stamp - drove[0] > _TAKEOVER * NANOSECONDS:
            return {}
        return {"takeover": True, "goal": drove[1].data()}

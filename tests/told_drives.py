"""What a robot's topics tell of a made-up drive, in the order in which it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nav_foundation.data.images import encode_depth, encode_jpeg
from nav_foundation.data.schema import EpisodeData, EpisodeInfo
from nav_foundation.robot import RobotSpec, load_robot
from nav_foundation.types import NANOSECONDS, Pose2, Velocity
from policies.recording import Asked, Control, Recording, RecordingSettings

START_NS = 1_760_000_000_000_000_000
ROBOT = load_robot("turtlebot")
_MS = 1_000_000
_LATENCY = 40 * _MS  # of a picture
_FEWEST_MS = 4  # all things happen at multiples of it


@dataclass(frozen=True)
class Leg:
    """A part of a drive, along a straight line or on the spot."""

    seconds: float
    mode: str  # of the controller
    linear: float = 0.0  # m/s
    angular: float = 0.0  # rad/s
    goal: str = "ImageGoal"
    words: str = ""
    heard: bool = True  # velocities are commanded where that is heard
    sends: bool | None = None  # whether the controller says it sends some; None = where it drives


def picture(number: int, height: int = 96, width: int = 128) -> bytes:
    """One of 250 that can be told from each other."""
    return encode_jpeg(np.full((height, width, 3), number % 250, np.uint8))


@dataclass
class Told:
    """Plays legs to a recording; what that keeps is in `kept`, what it says in `said`."""

    settings: RecordingSettings = field(default_factory=RecordingSettings)
    robot: RobotSpec = ROBOT
    camera_ms: int = 100  # between pictures
    size: tuple[int, int] = (96, 128)
    kept: list[tuple[EpisodeInfo, EpisodeData]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    now_ms: int = 0  # since START_NS
    x: float = 0.0
    yaw: float = 0.0

    def __post_init__(self) -> None:
        self.recording = Recording(self.robot, self.settings, lambda *episode: self.kept.append(episode),
                                   self.said.append)

    def play(self, legs: Sequence[Leg]) -> Told:
        for leg in legs:
            for _ in range(round(1000 * leg.seconds / _FEWEST_MS)):
                self._tell(leg)
                self.now_ms += _FEWEST_MS
                self.x += leg.linear * _FEWEST_MS / 1000
                self.yaw += leg.angular * _FEWEST_MS / 1000
        return self

    def _tell(self, leg: Leg) -> None:
        """Commands at 20 Hz, odometry at 50, words at 5; nothing at the very time of something else."""
        now, ms, told = START_NS + self.now_ms * _MS, self.now_ms, self.recording
        if ms % 200 == 4:
            sends = leg.mode in ("driving", "teleop") if leg.sends is None else leg.sends
            told.control(now, Control(leg.mode, sends))
            told.asked(now, Asked(leg.goal, leg.words))
        if ms % 48 == 8 and leg.heard:
            told.command(now, Velocity(leg.linear, leg.angular))
        if ms % 20 == 12:
            told.odometry(now, Pose2(self.x, 0.0, self.yaw))
        taken = ms - _LATENCY // _MS
        if taken >= 0 and taken % self.camera_ms == 0:
            if self.settings.depth:
                depth = encode_depth(np.full(self.size, 1.0 + taken / 1e6, np.float32))
                told.depth(START_NS + taken * _MS, lambda: depth)
            told.picture(START_NS + taken * _MS, lambda: picture(taken // self.camera_ms, *self.size))
        if ms % 1000 == 16:
            told.look(now)

    def end(self) -> list[tuple[EpisodeInfo, EpisodeData]]:
        self.recording.end()
        return self.kept


def seconds(data: EpisodeData) -> np.ndarray:
    """[T] since START_NS."""
    return (data.stamps_ns - START_NS) / NANOSECONDS

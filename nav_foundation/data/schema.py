"""What an episode on disk holds. The layout of the files is LeRobotDataset v3.0's; see writer.py and dataset.py.

Poses are in the episode's odometry frame, or in that of its scene where that is said: metres, radians, REP-103.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nav_foundation.config import from_mapping, to_mapping
from nav_foundation.robot import RobotSpec

FRONT, DEPTH = "observation.images.front", "observation.images.depth"
STATE, ACTION, STAMP = "observation.state", "action", "stamp_ns"
LABEL_GOAL, LABEL_PLAN, LABEL_DISTANCE = "label.goal", "label.plan", "label.distance"
LABEL_POSE = "label.pose"

Driver = Literal["expert", "policy", "human", "unknown"]
ActionSource = Literal["commanded", "measured"]


OVERHEAD = 1.6  # m over the floor; what hangs higher is no place to drive to


class DataError(ValueError):
    """Data is missing, broken or not what it says; the message says what, where and how to mend it."""


@dataclass(frozen=True)
class Thing:
    """Something with a name that stands about, in the frame of the scene."""

    category: str
    outline: tuple[tuple[float, float], ...]  # x, y in m on the floor plan, convex and counter-clockwise
    bottom: float  # z in m
    top: float


@dataclass(frozen=True)
class EpisodeInfo:
    """What is told about an episode as a whole."""

    task: str = "drive"  # in words: the instruction if there is one, otherwise what was asked
    source: str = ""  # where it came from: the command, bag or folder
    scene: str = ""
    robot: RobotSpec | None = None
    instruction: str | None = None
    goal: dict[str, Any] | None = None  # plain data, such as {"type": "object-goal", "category": "chair"}
    things: tuple[Thing, ...] | None = None  # all that stand about the drive, where that is known
    driver: Driver = "unknown"  # who drove; drives of a policy are learnt from by their labels alone
    action_source: ActionSource = "measured"  # commanded velocities, or those that the poses show
    cruising_step: float | None = None  # m per frame while driving straight, measured on the drive
    notes: dict[str, Any] | None = None  # plain data that only the source understands, such as an episode's number

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in to_mapping(self).items() if value is not None}

    @staticmethod
    def from_json(data: dict[str, Any], where: str) -> EpisodeInfo:
        return from_mapping(EpisodeInfo, data, where)


@dataclass(frozen=True)
class Labels:
    """What an expert would have done, and what a simulator knows, for every frame [T]."""

    goals: np.ndarray  # [T, 3] float64 x, y, yaw in the odometry frame: where it heads; a heading of no matter is 0
    plans: np.ndarray  # [T, H, 3] float64 waypoints in the robot's frame, one per frame time
    distances: np.ndarray  # [T] float64 m still to drive to the goal
    poses: np.ndarray | None = None  # [T, 4] float64 x, y, z, yaw: where it truly was, in the frame of the scene

    def __post_init__(self) -> None:
        count = len(self.distances)
        assert self.goals.shape == (count, 3) and self.plans.ndim == 3 and self.plans.shape[::2] == (count, 3)
        assert self.poses is None or self.poses.shape == (count, 4)
        known = (self.goals, self.plans, self.distances, *(() if self.poses is None else (self.poses,)))
        if not all(np.isfinite(part).all() for part in known):
            raise DataError("labels hold numbers that are not finite")


@dataclass(frozen=True)
class EpisodeData:
    """The frames of one episode. Images are files in memory (JPEG or PNG), so that they pass through unchanged."""

    images: Sequence[bytes]  # [T]
    stamps_ns: np.ndarray  # [T] int64, strictly increasing
    poses: np.ndarray  # [T, 3] float64
    actions: np.ndarray | None = None  # [T, 2] float64 m/s, rad/s; None = as the poses show
    depth: Sequence[bytes] | None = None  # [T] PNG, uint16 millimetres
    labels: Labels | None = None

    def __post_init__(self) -> None:
        count = len(self.images)
        if count == 0:
            raise DataError("an episode needs at least one frame")
        if self.stamps_ns.shape != (count,) or self.stamps_ns.dtype != np.int64:
            got = f"{self.stamps_ns.dtype} {self.stamps_ns.shape}"
            raise DataError(f"stamps_ns must be int64 of shape ({count},); got {got}")
        if self.poses.shape != (count, 3) or not np.isfinite(self.poses).all():
            raise DataError(f"poses must be finite and of shape ({count}, 3); got {self.poses.shape}")
        if (np.diff(self.stamps_ns) <= 0).any():
            raise DataError("stamps_ns must increase from frame to frame")
        if self.actions is not None and (self.actions.shape != (count, 2) or not np.isfinite(self.actions).all()):
            raise DataError(f"actions must be finite and of shape ({count}, 2); got {self.actions.shape}")
        if self.depth is not None and len(self.depth) != count:
            raise DataError(f"there are {len(self.depth)} depth images for {count} frames")
        if self.labels is not None and len(self.labels.distances) != count:
            raise DataError(f"there are labels for {len(self.labels.distances)} of {count} frames")

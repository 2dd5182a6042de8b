"""Drive: one recording as an importer found it, before it is resampled and cut into episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nav_foundation.data.schema import EpisodeInfo, Labels

# A picture on demand: its file (JPEG or PNG bytes) where the source has one, otherwise [H, W, 3] uint8 RGB.
Picture = Callable[[], "bytes | np.ndarray"]


@dataclass(frozen=True)
class LeftOut:
    """Something of the source that did not become data, and why."""

    what: str  # in the plural: "frames", "messages", "files"
    count: int
    why: str


@dataclass(frozen=True)
class Drive:
    """What a source holds of one drive. Streams have clocks of their own; stamps are in ns and increase.

    Poses are in the robot's odometry frame in metres and radians (REP-103).
    """

    name: str  # names the source to people: a folder, or a bag and its topic
    info: EpisodeInfo
    pictures: Sequence[Picture]  # [N]
    picture_stamps_ns: np.ndarray  # [N] int64
    poses: np.ndarray  # [M, 3] float64
    pose_stamps_ns: np.ndarray  # [M] int64
    commands: np.ndarray | None = None  # [K, 2] float64 m/s, rad/s
    command_stamps_ns: np.ndarray | None = None  # [K] int64
    depth: Sequence[Picture] | None = None  # [N] PNG files of 16-bit millimetres, one for each picture and of its size
    labels: Labels | None = None  # for each picture, in metres; their plans are at the rate of the pictures
    has_clock: bool = True  # False: the stamps were made from a frame rate
    has_scale: bool = True  # False: positions are known up to a factor only, not in metres
    left_out: tuple[LeftOut, ...] = ()  # by the importer, before anything was cut
    picture_names: tuple[str, ...] = ()  # N of them where the pictures are files

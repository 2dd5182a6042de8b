"""What is read of a dataset to judge it: all poses, and as many pictures as a minute allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.layout import Feature
from nav_foundation.data.schema import ACTION, FRONT, STATE, DataError, EpisodeInfo
from nav_foundation.geometry import wrap_angle

PICTURED = 400  # episodes at most whose pictures are looked at, evenly spread
PICTURED_FILMS = 60  # the same where pictures are video, which is slow to read at random
PAIRS = (16, 64)  # pairs of neighbouring frames per episode: with many episodes, with few
_ALL_PAIRS = 6400  # of a dataset, as far as PAIRS allows
_WIDTH = 96  # px of the grey pictures: a turn of 0.03 rad still moves them by a pixel
_COLOUR_WIDTH = 32  # px
_WIDEST_TURN = 0.3  # rad between neighbours that still show much the same


@dataclass(frozen=True)
class Pair:
    """Two neighbouring frames, small."""

    frame: int  # number of the first
    before: np.ndarray  # [h, w] float32 grey, 0..255
    after: np.ndarray
    colour: np.ndarray  # [h', w', 3] uint8 RGB, the first, smaller still


@dataclass(frozen=True)
class Seen:
    """What was looked at of one episode. Poses and actions are None where the dataset has none that we understand."""

    number: int
    info: EpisodeInfo
    frame_rate: float
    stamps_ns: np.ndarray  # [T] int64
    poses: np.ndarray | None  # [T, 3] m, m, rad
    actions: np.ndarray | None  # [T, 2] m/s, rad/s
    repeats: np.ndarray | None = None  # [T] bool: the picture's file is that of the frame before
    pairs: tuple[Pair, ...] = ()
    broken: str = ""  # why its pictures cannot be read

    @property
    def frames(self) -> int:
        return len(self.stamps_ns)

    @property
    def seconds(self) -> np.ndarray:
        """[T] since the first frame."""
        return (self.stamps_ns - self.stamps_ns[0]) / 1e9


def has_numbers(features: dict[str, Feature], name: str, count: int) -> bool:
    """Whether a feature is a row of so many numbers. Arms have states and actions too, of other lengths."""
    return list(features.get(name, {}).get("shape", ())) == [count]


def pictured_episodes(dataset: EpisodeDataset) -> np.ndarray:
    """Numbers of the episodes whose pictures are looked at."""
    readable = np.flatnonzero(dataset.readable)
    limit = PICTURED_FILMS if dataset.video else PICTURED
    if FRONT not in dataset.features or len(readable) <= limit:
        return readable if FRONT in dataset.features else readable[:0]
    return readable[np.linspace(0, len(readable) - 1, limit).round().astype(int)]


def look_at_all(dataset: EpisodeDataset) -> Iterator[Seen | str]:
    """Every readable episode in turn; of one that turns out to be damaged, why."""
    pictured = pictured_episodes(dataset)
    chosen = set(pictured.tolist())
    pairs = int(np.clip(_ALL_PAIRS // max(1, len(pictured)), *PAIRS))
    for episode in np.flatnonzero(dataset.readable).tolist():
        try:
            seen = look_at(dataset, episode)
        except DataError as error:
            yield f"episode {episode}: {error}"
            continue
        yield with_pictures(dataset, seen, pairs) if episode in chosen else seen


def look_at(dataset: EpisodeDataset, episode: int) -> Seen:
    """The numbers of an episode."""
    poses = dataset.poses(episode) if has_numbers(dataset.features, STATE, 3) else None
    actions = dataset.actions(episode) if has_numbers(dataset.features, ACTION, 2) else None
    if poses is not None and not np.isfinite(poses).all():
        raise DataError("its poses hold numbers that are not finite: leave it out")
    return Seen(episode, dataset.info(episode), dataset.frame_rate, dataset.stamps_ns(episode), poses, actions)


def with_pictures(dataset: EpisodeDataset, seen: Seen, count: int) -> Seen:
    """The same, with about `count` pairs: evenly spread, where the robot turns, and where its pose stands still."""
    try:
        repeats = None if dataset.video else _repeats(dataset, seen)
        pairs = tuple(_pair(dataset, seen.number, frame) for frame in _pair_frames(seen, count))
        return replace(seen, repeats=repeats, pairs=pairs)
    except DataError as error:
        return replace(seen, broken=str(error))


def _pair_frames(seen: Seen, count: int) -> list[int]:
    last = seen.frames - 2
    if last < 0:
        return []
    even = np.linspace(0, last, min(last + 1, count // 2)).round().astype(int)
    if seen.poses is None:
        return sorted(set(even.tolist()))
    turn = np.abs(wrap_angle(np.diff(seen.poses[:, 2])))
    turn = np.where(turn > _WIDEST_TURN, 0.0, turn)
    strongest = np.argsort(-turn, kind="stable")[: count // 2]
    still = np.flatnonzero((np.diff(seen.poses, axis=0) == 0).all(axis=1))
    if len(still):
        still = still[np.linspace(0, len(still) - 1, min(len(still), count // 4)).round().astype(int)]
    return sorted({*even.tolist(), *strongest.tolist(), *still.tolist()})


def _repeats(dataset: EpisodeDataset, seen: Seen) -> np.ndarray:
    repeats, former = np.zeros(seen.frames, dtype=bool), b""
    for frame in range(seen.frames):
        file = dataset.image_file(seen.number, frame)
        repeats[frame], former = file == former, file
    return repeats


def _pair(dataset: EpisodeDataset, episode: int, frame: int) -> Pair:
    first, second = dataset.image(episode, frame), dataset.image(episode, frame + 1)
    return Pair(frame, _small_grey(first), _small_grey(second), _small(first, _COLOUR_WIDTH))


def _small(rgb: np.ndarray, width: int) -> np.ndarray:
    size = (width, max(8, round(rgb.shape[0] * width / rgb.shape[1])))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def _small_grey(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(_small(rgb, _WIDTH), cv2.COLOR_RGB2GRAY), dtype=np.float32)

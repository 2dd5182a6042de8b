"""EpisodeDataset: reads a dataset of LeRobot's v3.0 layout. Opening reads tables of episodes alone; frames are mapped
into memory when they are asked for, so that a million of them open at once and any one is read by itself."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nav_foundation.data.frames import FrameFile
from nav_foundation.data.images import decode, decode_depth
from nav_foundation.data.layout import DATA_PATH, INFO, NAVIGATION, TASKS, VIDEO_PATH, read_info, read_lines
from nav_foundation.data.schema import (
    ACTION,
    DEPTH,
    FRONT,
    LABEL_DISTANCE,
    LABEL_GOAL,
    LABEL_PLAN,
    LABEL_POSE,
    STAMP,
    STATE,
    DataError,
    EpisodeInfo,
    Labels,
)
from nav_foundation.data.tables import read_tasks
from nav_foundation.types import NANOSECONDS

_OPEN_FILES = 512  # mapped at a time; the one used longest ago is closed
_PLACE = ("episode_index", "length", "dataset_from_index", "data/chunk_index", "data/file_index")


class EpisodeDataset:
    """Episodes on disk. `damaged` names what cannot be read; its episodes are in `readable` as False."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.meta = read_info(self.folder)
        self.features: dict[str, Any] = self.meta["features"]
        self.frame_rate = float(self.meta["fps"])
        self.video = self.features.get(FRONT, {}).get("dtype") == "video"
        rows = self._episode_columns()
        self.lengths: np.ndarray = rows["length"]
        self._first, self._place = rows["dataset_from_index"], rows
        self._starts = self._rows_in_files()
        self._files: OrderedDict[str, FrameFile] = OrderedDict()
        self.damaged, self.readable = self._checked()
        self._infos: list[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: each opens the files by itself."""
        return {**self.__dict__, "_files": OrderedDict()}

    def __len__(self) -> int:
        """Frames, of readable episodes."""
        return int(self.lengths[self.readable].sum())

    @property
    def episodes(self) -> int:
        return len(self.lengths)

    def info(self, episode: int) -> EpisodeInfo:
        """What is told about an episode; of datasets from elsewhere, its task alone."""
        if self._infos is None:
            path = self.folder / NAVIGATION
            self._infos = read_lines(path) if path.exists() else []
        self._check_number(episode)
        if not self._infos and not (self.folder / NAVIGATION).exists():
            tasks, number = read_tasks(self.folder / TASKS), int(self.column(episode, "task_index")[0])
            if not 0 <= number < len(tasks):
                raise DataError(f"{self.folder / TASKS} does not tell of task {number}, which episode {episode} is")
            return EpisodeInfo(task=tasks[number], source=str(self.folder))
        try:
            if episode >= len(self._infos):
                raise ValueError(f"it has no line {episode + 1}")
            data = json.loads(self._infos[episode])
            if data.pop("episode_index") != episode:
                raise ValueError(f"line {episode + 1} is about another episode")
            return EpisodeInfo.from_json(data, f"line {episode + 1}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            why = " ".join(str(error).split())
            raise DataError(f"{self.folder / NAVIGATION} is broken: {why}") from None

    def true_poses(self, episode: int) -> np.ndarray | None:
        """[T, 4] float64 x, y, z, yaw in the frame of the scene, where a simulator told them."""
        return self.column(episode, LABEL_POSE) if LABEL_POSE in self.features else None

    def column(self, episode: int, name: str) -> np.ndarray:
        """[T, ...] one feature of numbers, for an episode."""
        if name not in self.features:
            raise DataError(f"{self.folder} has no {name}: it has {', '.join(self.features)}")
        file, start = self._file(episode)
        return file.column(name)[start : start + int(self.lengths[episode])]

    def poses(self, episode: int) -> np.ndarray:
        """[T, 3] float64 x, y in metres and yaw in radians."""
        return self.column(episode, STATE)

    def actions(self, episode: int) -> np.ndarray:
        """[T, 2] float64 m/s and rad/s."""
        return self.column(episode, ACTION)

    def stamps_ns(self, episode: int) -> np.ndarray:
        """[T] int64; of datasets from elsewhere, from their seconds since the episode's start."""
        if STAMP in self.features:
            return self.column(episode, STAMP)
        return np.rint(self.column(episode, "timestamp").astype(np.float64) * NANOSECONDS).astype(np.int64)

    def labels(self, episode: int) -> Labels | None:
        """What the expert would have done, and where the robot truly was, where that was noted."""
        if LABEL_PLAN not in self.features:
            return None
        goals, plans, distances = (self.column(episode, name) for name in (LABEL_GOAL, LABEL_PLAN, LABEL_DISTANCE))
        return Labels(goals, plans, distances, self.true_poses(episode))

    def image_file(self, episode: int, frame: int) -> bytes:
        """The JPEG or PNG file of a frame."""
        file, start = self._file(episode)
        if self.video:
            raise DataError(f"{self.folder} keeps its pictures as video: ask for decoded ones")
        return file.picture(FRONT, start + self._checked_frame(episode, frame))

    def image(self, episode: int, frame: int) -> np.ndarray:
        """[H, W, 3] uint8 RGB."""
        return self.images(episode, [frame])[0]

    def images(self, episode: int, frames: Sequence[int]) -> np.ndarray:
        """[N, H, W, 3] uint8 RGB of some frames of an episode; others are not decoded."""
        if self.video:
            return self._film_frames(episode, [self._checked_frame(episode, frame) for frame in frames])
        return np.stack([decode(self.image_file(episode, frame)) for frame in frames])

    @property
    def has_depth(self) -> bool:
        return DEPTH in self.features

    def depth(self, episode: int, frame: int) -> np.ndarray | None:
        """[H, W] float32 metres, where depth was recorded."""
        if not self.has_depth:
            return None
        file, start = self._file(episode)
        return decode_depth(file.picture(DEPTH, start + self._checked_frame(episode, frame)))

    # --- files --------------------------------------------------------------------------------------------------

    def _episode_columns(self) -> dict[str, np.ndarray]:
        """Arrays [E] of where each episode lies."""
        count = int(self.meta["total_episodes"])
        paths = sorted((self.folder / "meta" / "episodes").glob("*/*.parquet"))
        extra = [f"videos/{FRONT}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
        names = [*_PLACE, *(extra if self.video else [])]
        try:
            parts = [
                pq.read_table(path, columns=names, use_threads=False, page_checksum_verification=True)
                for path in paths
            ]
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise DataError(f"{self.folder}/meta/episodes is broken: {' '.join(str(error).split())}") from None
        table = pa.concat_tables(parts) if parts else pa.table({name: pa.array([], pa.int64()) for name in names})
        if len(table) < count:
            raise DataError(f"{self.folder}/meta/episodes tells of {len(table)} of {count} episodes: a file is missing")
        columns = {name: table.column(name).to_numpy()[:count] for name in names}
        if not np.array_equal(columns["episode_index"], np.arange(count)):
            raise DataError(f"{self.folder}/meta/episodes does not count its episodes 0, 1, 2 ...: it is broken")
        if count and STAMP in self.features:  # others may count otherwise
            end = int(columns["dataset_from_index"][-1] + columns["length"][-1])
            if end != self.meta["total_frames"]:
                raise DataError(
                    f"{self.folder}: {count} episodes have {end} frames and {INFO} says {self.meta['total_frames']}: "
                    "one of its files is broken"
                )
        return columns

    def _rows_in_files(self) -> np.ndarray:
        """[E] int64 the first row of each episode within its file."""
        place = self._place["data/chunk_index"] * 1_000_000 + self._place["data/file_index"]
        first = np.flatnonzero(np.diff(place, prepend=-1)) if len(place) else np.zeros(0, np.int64)
        counts = np.diff(np.append(first, len(place)))
        return np.asarray(self._first - np.repeat(self._first[first], counts), dtype=np.int64)

    def _path(self, episode: int) -> Path:
        template = self.meta.get("data_path") or DATA_PATH
        chunk, file = (int(self._place[f"data/{name}_index"][episode]) for name in ("chunk", "file"))
        return self.folder / template.format(chunk_index=chunk, file_index=file)

    def _checked(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Look at the ends of all data files, which a file that was cut short has not."""
        readable = np.ones(len(self.lengths), dtype=bool)
        damaged: dict[Path, str] = {}
        whole: set[Path] = set()
        for episode in range(len(self.lengths)):
            path = self._path(episode)
            if path not in whole and path not in damaged:
                if reason := _reason_not_to_read(path):
                    damaged[path] = reason
                else:
                    whole.add(path)
            readable[episode] = path in whole
        return tuple(f"{path} {reason}" for path, reason in damaged.items()), readable

    def _file(self, episode: int) -> tuple[FrameFile, int]:
        """The file of an episode, and its first row there."""
        self._check_number(episode)
        path = self._path(episode)
        file = self._files.pop(str(path), None)
        if file is None:
            file = FrameFile(path)
            while len(self._files) >= _OPEN_FILES:
                self._files.popitem(last=False)
        self._files[str(path)] = file
        start = int(self._starts[episode])
        numbers = file.column("episode_index")
        last = start + int(self.lengths[episode])
        if last > file.rows or numbers[start] != episode or numbers[last - 1] != episode:
            raise DataError(f"{path} does not hold episode {episode} where it should: the dataset's files do not match")
        return file, start

    def _film_frames(self, episode: int, frames: Sequence[int]) -> np.ndarray:
        from nav_foundation.data.video import VideoReader

        values = {name: self._place[f"videos/{FRONT}/{name}"][episode] for name in ("chunk_index", "file_index")}
        template = self.meta.get("video_path") or VIDEO_PATH
        path = self.folder / template.format(video_key=FRONT, **{name: int(value) for name, value in values.items()})
        start = float(self._place[f"videos/{FRONT}/from_timestamp"][episode])
        times = start + self.column(episode, "timestamp").astype(np.float64)
        with VideoReader(path) as film:
            return np.stack([film.frame_at(float(times[frame])) for frame in frames])

    def _check_number(self, episode: int) -> None:
        if not 0 <= episode < len(self.lengths):
            raise IndexError(f"episode {episode} is not in {self.folder}, which has {len(self.lengths)}")

    def _checked_frame(self, episode: int, frame: int) -> int:
        if not 0 <= frame < self.lengths[episode]:
            raise IndexError(f"episode {episode} of {self.folder} has no frame {frame}, only {self.lengths[episode]}")
        return frame


def _reason_not_to_read(path: Path) -> str:
    """Empty for a file whose footer is whole."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            if size < 12:
                return "is cut short"
            file.seek(size - 8)
            tail = file.read(8)
            if tail[4:] != b"PAR1":
                return "is cut short or not parquet"
            return "" if int.from_bytes(tail[:4], "little") + 12 <= size else "is broken at its end"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"

"""DatasetWriter: adds episodes to a dataset so that whatever kills it, every episode that was added is there.

The files of an episode are moved into place whole, one after the other, and `meta/info.json`, which counts the
episodes, comes last. Whatever lies beyond that count is an episode half written, and the next writer replaces it.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nav_foundation.data import statistics
from nav_foundation.data.images import decode, size_of
from nav_foundation.data.layout import (
    DATA_PATH,
    EPISODES_PATH,
    FILES_PER_CHUNK,
    INFO,
    NAVIGATION,
    STATS,
    TASKS,
    VERSION,
    VIDEO_PATH,
    chunk_and_file,
    features_of,
    read_info,
    replace_file,
    write_json,
)
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
    EpisodeData,
    EpisodeInfo,
)
from nav_foundation.data.tables import frame_schema, frame_table, read_tasks, write_frames, write_tasks
from nav_foundation.data.units import measured_actions

FILE_BYTES = 16 << 20  # of a data file; the last one is written anew with each episode until it is so large
EPISODES_PER_FILE = 100  # in meta/episodes
_LOCK = "meta/.writer.lock"


class DatasetWriter:
    """One at a time per folder. A new dataset, or with `resume` one that goes on where its last episode ended."""

    def __init__(self, folder: Path, frame_rate: float, *, resume: bool = False, video: bool = False) -> None:
        self.folder = Path(folder)
        exists = (self.folder / INFO).exists()
        if not exists and self.folder.exists() and any(p.name != "meta" for p in self.folder.iterdir()):
            raise DataError(f"{self.folder} holds something that is no dataset: name a new or empty folder")
        if exists and not resume:
            raise DataError(f"{self.folder} holds a dataset already: name another folder, or say that it is to grow")
        self._lock = _locked(self.folder)
        self._video = video
        self._frame_rate = frame_rate
        self._info: dict[str, Any] = {}
        self._stats: dict[str, statistics.Statistics] = {}
        self._tasks: list[str] = []
        self._shard: list[pa.Table] = []  # episodes of the last data file
        self._rows: list[dict[str, Any]] = []  # of the last file of meta/episodes
        self._data_file = self._rows_file = 0
        try:
            if exists:
                self._load_whole()
            else:
                self._commit({}, None, 0, 0)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def episodes(self) -> int:
        return int(self._info.get("total_episodes", 0))

    def add(self, info: EpisodeInfo, data: EpisodeData) -> int:
        """Keep an episode and return its number. When this returns, the episode is on the disk.

        After a failure to write it the writer is closed, as it may be half written; another one can `resume`.
        """
        if self._lock.closed:
            raise DataError(f"the writer of {self.folder} is closed: open another one to go on")
        features = self._checked_features(data)
        try:
            return self._add(features, info, data)
        except BaseException:
            self.close()
            raise

    def _add(self, features: dict[str, Any], info: EpisodeInfo, data: EpisodeData) -> int:
        index, first = self.episodes, int(self._info.get("total_frames", 0))
        if new_task := info.task not in self._tasks:
            self._tasks = [*self._tasks, info.task]
        columns = self._columns(info, data, index, first)
        table = frame_table(features, columns)
        stats = _statistics(features, columns)
        row: dict[str, Any] = {"episode_index": index, "tasks": [info.task], "length": len(data.images)}
        row |= self._write_frames(table)
        row |= {"dataset_from_index": first, "dataset_to_index": first + len(data.images)}
        if self._video:
            row |= self._write_video(index, data)
        if new_task:
            replace_file(self.folder / TASKS, lambda draft: write_tasks(draft, self._tasks))
        self._write_row(row, stats)
        self._write_info_of_episode(index, info)
        self._merge(stats)
        robot = self._info.get("robot_type") or (info.robot.name if info.robot else None)
        self._commit(features, robot, index + 1, first + len(data.images))
        return index

    def close(self) -> None:
        if not self._lock.closed:
            self._lock.close()

    # --- the parts of an episode --------------------------------------------------------------------------------

    def _checked_features(self, data: EpisodeData) -> dict[str, Any]:
        """The dataset's features, which the first episode decides and every other one must have."""
        sizes = {size_of(file) for file in data.images}
        if len(sizes) > 1:
            raise DataError(f"an episode has pictures of several sizes (height, width): {sorted(sizes)}")
        horizon = None if data.labels is None else data.labels.plans.shape[1]
        new = features_of(
            sizes.pop(), video=self._video, depth=data.depth is not None, horizon=horizon,
            true_poses=data.labels is not None and data.labels.poses is not None,
        )
        known = self._info["features"] or new
        for name in sorted(set(new) | set(known)):
            here, there = new.get(name), known.get(name)
            if here is None or there is None:
                what = "has no" if here is None else "has"
                raise DataError(f"an episode {what} {name} and the dataset {self.folder} is otherwise: use another one")
            if here["shape"] != there["shape"]:
                raise DataError(
                    f"an episode's {name} has shape {here['shape']} and the dataset {self.folder} has "
                    f"{there['shape']}: use another dataset"
                )
        return dict(known)

    def _columns(self, info: EpisodeInfo, data: EpisodeData, index: int, first: int) -> dict[str, Any]:
        count = len(data.images)
        frames = np.arange(count, dtype=np.int64)
        actions = measured_actions(data.poses, data.stamps_ns) if data.actions is None else data.actions
        columns: dict[str, Any] = {
            FRONT: data.images, STATE: data.poses.astype(np.float64), ACTION: actions.astype(np.float64),
            STAMP: data.stamps_ns, "timestamp": (frames / self._frame_rate).astype(np.float32), "frame_index": frames,
            "episode_index": np.full(count, index), "index": first + frames,
            "task_index": np.full(count, self._tasks.index(info.task)),
        }
        if data.depth is not None:
            columns[DEPTH] = data.depth
        if data.labels is not None:
            columns[LABEL_GOAL], columns[LABEL_PLAN] = data.labels.goals, data.labels.plans
            columns[LABEL_DISTANCE] = data.labels.distances
            if data.labels.poses is not None:
                columns[LABEL_POSE] = data.labels.poses
        return columns

    def _write_frames(self, table: pa.Table) -> dict[str, int]:
        """Put the episode into the last data file, or begin another one."""
        if self._shard and sum(t.nbytes for t in self._shard) + table.nbytes > FILE_BYTES:
            self._shard, self._data_file = [], self._data_file + 1
        episodes = [*self._shard, table]
        self._write_shard(table.schema, episodes)
        self._shard = episodes
        return {f"data/{name}": value for name, value in chunk_and_file(self._data_file).items()}

    def _write_shard(self, schema: pa.Schema, episodes: list[pa.Table]) -> None:
        path = self.folder / DATA_PATH.format(**chunk_and_file(self._data_file))
        replace_file(path, lambda draft: write_frames(draft, schema, episodes))

    def _write_video(self, index: int, data: EpisodeData) -> dict[str, Any]:
        from nav_foundation.data.video import write_video

        place = chunk_and_file(index)
        path = self.folder / VIDEO_PATH.format(video_key=FRONT, **place)
        replace_file(path, lambda draft: write_video(draft, map(decode, data.images), self._frame_rate))
        times = {"from_timestamp": 0.0, "to_timestamp": len(data.images) / self._frame_rate}
        return {f"videos/{FRONT}/{name}": value for name, value in {**place, **times}.items()}

    def _write_row(self, row: dict[str, Any], stats: dict[str, statistics.Statistics]) -> None:
        if len(self._rows) >= EPISODES_PER_FILE:
            self._rows, self._rows_file = [], self._rows_file + 1
        place = chunk_and_file(self._rows_file)
        flat = {f"stats/{name}/{key}": value.tolist() for name, of in stats.items() for key, value in of.items()}
        rows = [*self._rows, {**row, **flat, **{f"meta/episodes/{name}": value for name, value in place.items()}}]
        table = pa.Table.from_pylist(rows)
        path = self.folder / EPISODES_PATH.format(**place)
        replace_file(path, lambda draft: pq.write_table(table, draft, write_page_checksum=True))
        self._rows = rows

    def _write_info_of_episode(self, index: int, info: EpisodeInfo) -> None:
        with open(self.folder / NAVIGATION, "a", encoding="utf-8") as file:
            file.write(json.dumps({"episode_index": index, **info.as_json()}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _merge(self, stats: dict[str, statistics.Statistics]) -> None:
        self._stats = {
            name: statistics.merged([self._stats[name], new]) if name in self._stats else new
            for name, new in stats.items()
        }
        write_json(self.folder / STATS, {n: {k: v.tolist() for k, v in s.items()} for n, s in self._stats.items()})

    def _commit(self, features: dict[str, Any], robot: str | None, episodes: int, frames: int) -> None:
        rate = self._frame_rate
        self._info = {
            "codebase_version": VERSION, "robot_type": robot, "total_episodes": episodes,
            "total_frames": frames, "total_tasks": len(self._tasks), "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": FILE_BYTES >> 20, "video_files_size_in_mb": 200,
            "fps": int(rate) if rate == int(rate) else rate, "splits": {"train": f"0:{episodes}"},
            "data_path": DATA_PATH, "video_path": VIDEO_PATH if self._video else None, "features": features,
        }
        write_json(self.folder / INFO, self._info)

    # --- going on -----------------------------------------------------------------------------------------------

    def _load_whole(self) -> None:
        """`_load`, which changes nothing before all files have proved to be whole."""
        try:
            self._load()
        except DataError:
            raise
        except (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{self.folder} cannot grow, as a file of it is broken: {why}") from None

    def _load(self) -> None:
        """Take up an existing dataset, without what lies beyond its last complete episode."""
        self._info = read_info(self.folder)
        if self._info["fps"] != self._frame_rate:
            raise DataError(f"{self.folder} has {self._info['fps']} frames per second, not {self._frame_rate:g}")
        features = self._info["features"]
        if features and not {FRONT, STAMP} <= set(features):
            raise DataError(f"{self.folder} was not written here and cannot grow: import it into a new dataset")
        schema = frame_schema(features)  # or they are broken
        if self.episodes == 0:
            (self.folder / NAVIGATION).unlink(missing_ok=True)
            return
        self._video = features[FRONT]["dtype"] == "video"
        self._tasks = read_tasks(self.folder / TASKS)[: self._info["total_tasks"]]
        if len(self._tasks) < self._info["total_tasks"]:
            raise DataError(f"{self.folder / TASKS} has {len(self._tasks)} of {self._info['total_tasks']} tasks")
        self._rows_file, self._rows = self._last_rows()
        last = self._rows[-1]
        if last["dataset_to_index"] != self._info["total_frames"]:
            raise DataError(
                f"{self.folder}: {self.episodes} episodes have {last['dataset_to_index']} frames and {INFO} says "
                f"{self._info['total_frames']}: one of its files is broken, and it cannot grow"
            )
        self._data_file = last["data/chunk_index"] * FILES_PER_CHUNK + last["data/file_index"]
        beyond = self._load_shard()
        self._stats = self._read_statistics()
        self._keep_lines()
        if beyond:  # the episode that comes now may be longer and go to another file
            self._write_shard(schema, self._shard)
        self._remove_beyond(DATA_PATH, self._data_file)
        self._remove_beyond(EPISODES_PATH, self._rows_file)

    def _last_rows(self) -> tuple[int, list[dict[str, Any]]]:
        """The number of the file of meta/episodes with the last complete episode, and its complete episodes."""
        for path in reversed(_files(self.folder, EPISODES_PATH)):
            rows = [row for row in _table(path).to_pylist() if row["episode_index"] < self.episodes]
            if rows and rows[-1]["episode_index"] == self.episodes - 1:
                return _number(path), rows
        raise DataError(f"{self.folder}/meta/episodes does not tell of episode {self.episodes - 1}: a file is missing")

    def _load_shard(self) -> bool:
        """Take up the complete episodes of the last data file; whether it holds more than these."""
        path = self.folder / DATA_PATH.format(**chunk_and_file(self._data_file))
        table = _table(path)
        numbers = table.column("episode_index").to_numpy()
        ends = np.flatnonzero(np.diff(numbers, append=-1)) + 1
        starts = np.concatenate([[0], ends[:-1]])
        self._shard = [
            table.slice(start, end - start) for start, end in zip(starts, ends) if numbers[start] < self.episodes
        ]
        return sum(map(len, self._shard)) < len(table)

    def _remove_beyond(self, template: str, last: int) -> None:
        """A file begun for an episode that was never completed would be read by those who read all files."""
        for path in _files(self.folder, template):
            if _number(path) > last:
                path.unlink()

    def _keep_lines(self) -> None:
        """Drop lines of episodes that were never completed."""
        path = self.folder / NAVIGATION
        data = path.read_bytes()
        lines = data.splitlines(keepends=True)
        for episode in range(self.episodes):
            try:
                if not lines[episode].endswith(b"\n") or json.loads(lines[episode])["episode_index"] != episode:
                    raise ValueError
            except (ValueError, LookupError, TypeError):  # noqa: PERF203
                raise DataError(
                    f"{path} does not tell of episode {episode} in line {episode + 1}: it is broken, and the dataset "
                    "cannot grow"
                ) from None
        if len(lines) != self.episodes:
            replace_file(path, lambda draft: draft.write_bytes(b"".join(lines[: self.episodes])))

    def _read_statistics(self) -> dict[str, statistics.Statistics]:
        """From `stats.json`, or anew where that is broken or was not written by the last complete episode."""
        keys = {"min", "max", "mean", "std", "count", *statistics.QUANTILES}
        try:
            stats = json.loads((self.folder / STATS).read_text(encoding="utf-8"))
            names = list(self._info["features"])
            read = {name: {k: np.array(v, np.float64) for k, v in stats[name].items()} for name in names}
            shapes = [{value.shape for key, value in of.items() if key != "count"} for of in read.values()]
            if any(len(of) != 1 for of in shapes):
                raise ValueError
            if all(set(of) == keys for of in read.values()) and read["index"]["count"] == self._info["total_frames"]:
                return {name: {k: np.array(v) for k, v in stats[name].items()} for name in names}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            pass
        return self._statistics_anew()

    def _statistics_anew(self) -> dict[str, statistics.Statistics]:
        """From the episodes' own."""
        parts: list[dict[str, Any]] = []
        for path in _files(self.folder, EPISODES_PATH):
            parts += [row for row in _table(path).to_pylist() if row["episode_index"] < self.episodes]
        keys = ("min", "max", "mean", "std", "count", *statistics.QUANTILES)
        return {
            name: statistics.merged([{k: np.array(row[f"stats/{name}/{k}"]) for k in keys} for row in parts])
            for name in self._info["features"]
        }


def _statistics(features: dict[str, Any], columns: dict[str, Any]) -> dict[str, statistics.Statistics]:
    found = {}
    for name in features:
        of = {FRONT: statistics.of_images, DEPTH: statistics.of_depth}.get(name, statistics.of_values)
        found[name] = of(columns[name])
    return found


def _table(path: Path) -> pa.Table:
    return pq.read_table(path, page_checksum_verification=True)


def _files(folder: Path, template: str) -> list[Path]:
    """The files of a path template, by number."""
    return sorted((folder / template.split("/chunk-")[0]).glob("chunk-*/file-*.parquet"), key=_number)


def _number(path: Path) -> int:
    """The running number of a file, the inverse of `chunk_and_file`."""
    return int(path.parent.name.removeprefix("chunk-")) * FILES_PER_CHUNK + int(path.stem.removeprefix("file-"))


def _locked(folder: Path) -> Any:
    """An open file that keeps other writers out for as long as this process lives."""
    path = folder / _LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path, "a", encoding="utf-8")  # noqa: SIM115  the writer keeps it open
    except OSError as error:
        raise DataError(f"{folder} cannot be written to: {error.strerror or error}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise DataError(f"another process is writing to {folder}: wait for it, or name another folder") from None
    return lock

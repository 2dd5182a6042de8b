"""Files of LeRobot datasets, version 2 (a file per episode) and 3 (many in a file), told apart by meta/info.json."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nav_foundation.data.frames import FrameFile
from nav_foundation.data.importing.drive import LeftOut, Picture
from nav_foundation.data.importing.film import Film
from nav_foundation.data.layout import DATA_PATH, INFO, TASKS, VIDEO_PATH
from nav_foundation.data.schema import DataError
from nav_foundation.data.tables import read_tasks

_VERSIONS = ("v2.0", "v2.1", "v3.0")
_NEEDED = ("episode_index", "length", "data/chunk_index", "data/file_index")
_KINDS = {int: "whole number", str: "text"}
_PLACES = ("chunk_index", "file_index", "from_timestamp")


@dataclass(frozen=True)
class Episode:
    """What a dataset tells of an episode, and where it lies."""

    index: int
    length: int
    tasks: tuple[str, ...]
    path: Path
    films: dict[str, tuple[Path, float]] = field(default_factory=dict)  # by feature: file, and s where it begins in it


def info_of(folder: Path) -> dict[str, Any]:
    """meta/info.json of a version that is read here."""
    path = folder / INFO
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        version, rate, features = info["codebase_version"], float(info["fps"]), info["features"]
    except FileNotFoundError:
        raise DataError(f"{folder} is no dataset of LeRobot: it has no {INFO}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {type(error).__name__} {error}") from None
    if version not in _VERSIONS:
        raise DataError(
            f"{folder} is of LeRobot's version {version}: {', '.join(_VERSIONS)} are read; convert it with LeRobot"
        )
    if not (math.isfinite(rate) and rate > 0 and isinstance(features, dict)):
        raise DataError(f"{path} must tell fps, above 0, and features")
    for name, feature in features.items():
        if not isinstance(feature, dict) or not isinstance(feature.get("shape", []), list):
            raise DataError(f"{path}: the feature {name} must tell its dtype, shape and names")
    for name, kind in (("total_episodes", int), ("chunks_size", int), ("data_path", str), ("video_path", str)):
        if not isinstance(info.get(name), (kind, type(None))):
            raise DataError(f"{path}: {name} is {str(info[name])[:40]!r}, which is no {_KINDS[kind]}")
    return {name: value for name, value in info.items() if value is not None}


def episodes_of(folder: Path, info: dict[str, Any]) -> Iterator[Episode]:
    """All episodes, in order."""
    films = [name for name, feature in info["features"].items() if feature.get("dtype") == "video"]
    yield from (_episodes_3 if info["codebase_version"] == "v3.0" else _episodes_2)(folder, info, films)


def _episodes_2(folder: Path, info: dict[str, Any], films: list[str]) -> Iterator[Episode]:
    path = folder / "meta" / "episodes.jsonl"
    chunk_size = int(info.get("chunks_size") or 1000)
    template = info.get("data_path") or "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    film_template = info.get("video_path") or ""
    for number, line in enumerate(_lines(path), 1):
        try:
            row = json.loads(line)
            index, length = int(row["episode_index"]), int(row["length"])
            tasks = tuple(map(str, row.get("tasks") or ()))
            names = {"episode_chunk": index // chunk_size, "episode_index": index}
            places = {key: (folder / film_template.format(video_key=key, **names), 0.0) for key in films}
            file = folder / template.format(**names)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise DataError(f"{path} line {number} is broken: {type(error).__name__} {error}") from None
        yield Episode(index, length, tasks, file, places)


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def _episodes_3(folder: Path, info: dict[str, Any], films: list[str]) -> Iterator[Episode]:
    names = [*_NEEDED, *(f"videos/{key}/{name}" for key in films for name in _PLACES)]
    paths = sorted((folder / "meta" / "episodes").glob("*/*.parquet"))
    if not paths:
        raise DataError(f"{folder} has no meta/episodes: it is not whole")
    expected, seen = int(info.get("total_episodes", 0)), 0
    for path in paths:
        try:
            known = pq.read_schema(path).names
            rows = pq.read_table(path, columns=[*names, *(["tasks"] if "tasks" in known else [])]).to_pylist()
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise DataError(f"{path} is broken: {' '.join(str(error).split())}") from None
        # Rows beyond are of an episode that was never finished.
        yield from (_episode_3(folder, info, films, row) for row in rows[: max(0, expected - seen)])
        seen += len(rows)
    if seen < expected:
        raise DataError(f"{folder}/meta/episodes tells of {seen} of {expected} episodes: a file is missing")


def _episode_3(folder: Path, info: dict[str, Any], films: list[str], row: dict[str, Any]) -> Episode:
    data, film = info.get("data_path") or DATA_PATH, info.get("video_path") or VIDEO_PATH
    try:
        place = {name: row[f"data/{name}"] for name in ("chunk_index", "file_index")}
        at = {key: {name: row[f"videos/{key}/{name}"] for name in _PLACES} for key in films}
        if not all(math.isfinite(of["from_timestamp"]) for of in at.values()):
            raise ValueError("from_timestamp is not a number")
        return Episode(
            int(row["episode_index"]), int(row["length"]), tuple(map(str, row.get("tasks") or ())),
            folder / data.format(**place),
            {key: (folder / film.format(video_key=key, **at[key]), float(at[key]["from_timestamp"])) for key in films},
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        why = f"{type(error).__name__} {error}"
        raise DataError(f"{folder}: {INFO} and meta/episodes do not tell where an episode lies: {why}") from None


def task_texts(folder: Path) -> list[str]:
    """By task index; empty where there are none."""
    if (folder / TASKS).exists():
        return read_tasks(folder / TASKS)
    path = folder / "meta" / "tasks.jsonl"
    try:
        return [str(json.loads(line)["task"]) for line in _lines(path)] if path.exists() else []
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is broken: {type(error).__name__} {error}") from None


class Frames:
    """The frames of episodes. Keeps the file and the films used last open, as neighbours share them."""

    def __init__(self, info: dict[str, Any]) -> None:
        self._features = info["features"]
        self._rate = float(info["fps"])
        self._file: FrameFile | None = None
        self._names: frozenset[str] = frozenset()
        self._film: Film | None = None

    def rows(self, episode: Episode) -> np.ndarray:
        """Numbers of the episode's rows in its file."""
        if self._file is None or self._file.path != episode.path:
            self._file = FrameFile(episode.path)
            self._names = frozenset(pq.read_schema(episode.path).names)
        if "episode_index" not in self._names:
            return np.arange(self._file.rows)
        return np.flatnonzero(self._file.column("episode_index").reshape(-1) == episode.index)

    def has(self, name: str) -> bool:
        return name in self._names

    def column(self, name: str, rows: np.ndarray) -> np.ndarray:
        """[T, ...] of the file that `rows` was asked for."""
        assert self._file is not None
        if name not in self._names:
            raise DataError(f"{self._file.path} has no {name}, though meta/info.json says so")
        return self._file.column(name)[rows]

    def pictures(
        self, episode: Episode, camera: str, rows: np.ndarray, seconds: np.ndarray
    ) -> tuple[np.ndarray, list[Picture], list[LeftOut]]:
        """Which of the frames have a picture, those, and what is missing."""
        if self._features[camera]["dtype"] == "image":
            assert self._file is not None
            return np.arange(len(rows)), [partial(self._file.picture, camera, int(row)) for row in rows], []
        path, begin = episode.films[camera]
        try:
            if self._film is None or self._film.path != path:
                self._film = Film(path)
        except DataError as error:
            return np.zeros(0, np.int64), [], [LeftOut("pictures", len(rows), f"of a broken film: {error}")]
        film, shown = self._film, self._film.seconds
        nearest = np.rint(np.interp(seconds + begin, shown, np.arange(len(shown)))).astype(np.int64)
        there = np.flatnonzero(np.abs(shown[nearest] - seconds - begin) <= 0.5 / self._rate)
        left = [LeftOut("pictures", len(rows) - len(there), f"that {path.name} does not reach to")]
        return there, [partial(film.picture, int(k)) for k in nearest[there]], [e for e in left if e.count]


"""Where everything of a dataset lies: LeRobotDataset v3.0's files, and one of our own beside them.

    meta/info.json                          features, counts, frame rate; written last, it makes an episode count
    meta/stats.json, meta/tasks.parquet     statistics of every feature; task texts
    meta/episodes/chunk-000/file-000.parquet    which frames an episode is, and its statistics
    meta/navigation.jsonl                   ours: an EpisodeInfo per episode (others may ignore or delete it)
    data/chunk-000/file-000.parquet         frames; pictures are JPEG or PNG files within
    videos/KEY/chunk-000/file-000.mp4       pictures, if they are kept as video
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
)

VERSION = "v3.0"
FILES_PER_CHUNK = 1000
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
INFO, STATS, TASKS, NAVIGATION = "meta/info.json", "meta/stats.json", "meta/tasks.parquet", "meta/navigation.jsonl"

Feature = dict[str, Any]  # as in info.json: dtype, shape, names


def chunk_and_file(number: int) -> dict[str, int]:
    """The places in a path template of the file with this running number."""
    return {"chunk_index": number // FILES_PER_CHUNK, "file_index": number % FILES_PER_CHUNK}


def features_of(
    image_size: tuple[int, int], *, video: bool, depth: bool, horizon: int | None, true_poses: bool = False,
) -> dict[str, Feature]:
    """The features of a dataset; `image_size` is (height, width), `horizon` the length of labelled plans."""
    picture = {"shape": [*image_size, 3], "names": ["height", "width", "channels"]}
    features: dict[str, Feature] = {FRONT: {"dtype": "video" if video else "image", **picture}}
    if depth:
        about = {"is_depth_map": True, "depth_unit": "mm"}
        features[DEPTH] = {"dtype": "image", "shape": [*image_size, 1], "names": picture["names"], "info": about}
    features[STATE] = _numbers("float64", 3, ["x", "y", "yaw"])
    features[ACTION] = _numbers("float64", 2, ["linear_velocity", "angular_velocity"])
    features[STAMP] = _numbers("int64", 1)
    if horizon is not None:
        features[LABEL_GOAL] = _numbers("float64", 3, ["x", "y", "yaw"])
        features[LABEL_PLAN] = {"dtype": "float64", "shape": [horizon, 3], "names": ["waypoint", "x_y_yaw"]}
        features[LABEL_DISTANCE] = _numbers("float64", 1)
    if true_poses:
        features[LABEL_POSE] = _numbers("float64", 4, ["x", "y", "z", "yaw"])
    features["timestamp"] = _numbers("float32", 1)
    for name in ("frame_index", "episode_index", "index", "task_index"):
        features[name] = _numbers("int64", 1)
    return features


def _numbers(dtype: str, count: int, names: list[str] | None = None) -> Feature:
    return {"dtype": dtype, "shape": [count], "names": names}


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file under another name and move it here whole: a reader sees the old or the new one."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(draft)
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)  # a full disk needs the room
        why = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise DataError(f"{path} cannot be written: {why}") from None


def write_json(path: Path, data: Any) -> None:
    replace_file(path, lambda draft: draft.write_text(json.dumps(data, indent=4) + "\n", encoding="utf-8"))


def read_lines(path: Path) -> list[str]:
    """The lines of a text file."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def read_info(folder: Path) -> dict[str, Any]:
    """`meta/info.json`, checked to be of this version."""
    path = folder / INFO
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder} is not a dataset: it has no {INFO}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    version = info.get("codebase_version") if isinstance(info, dict) else None
    if version != VERSION:
        raise DataError(
            f"{folder} is a dataset of version {version}, and {VERSION} is read here: "
            "convert it with nav-foundation data import lerobot"
        )
    if fault := _fault_of(info):
        raise DataError(f"{path} is broken: {fault}")
    return dict(info)


def _fault_of(info: dict[str, Any]) -> str:
    """What makes an `info.json` useless, in words; empty where nothing does."""
    for name in ("total_episodes", "total_frames"):
        if type(info.get(name)) is not int or info[name] < 0:
            return f"{name} is no count"
    fps, features = info.get("fps"), info.get("features")
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps < math.inf:
        return "fps is no rate"
    if not isinstance(features, dict) or not all(map(_is_feature, features.values())):
        return "its features are not described by dtype and shape"
    for name in ("data_path", "video_path"):
        try:
            (info.get(name) or "").format(video_key="", chunk_index=0, file_index=0)
        except (AttributeError, LookupError, TypeError, ValueError):  # noqa: PERF203
            return f"{name} is no path of chunk_index and file_index"
    return ""


def _is_feature(feature: Any) -> bool:
    if not isinstance(feature, dict) or not isinstance(feature.get("dtype"), str):
        return False
    shape = feature.get("shape")
    return isinstance(shape, (list, tuple)) and all(type(size) is int and size >= 0 for size in shape)

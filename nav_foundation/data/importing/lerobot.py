"""LeRobot datasets of versions 2.0, 2.1 and 3.0: ours, FrodoBots' and others that tell where the robot was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nav_foundation.config import closest
from nav_foundation.data.importing.bag_poses import poses_of_fixes
from nav_foundation.data.importing.drive import Drive, LeftOut, Picture
from nav_foundation.data.importing.lerobot_files import Episode, Frames, episodes_of, info_of, task_texts
from nav_foundation.data.layout import NAVIGATION
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
from nav_foundation.data.units import measured_actions

_AUTOMATIC = {"timestamp", "frame_index", "episode_index", "index", "task_index", STAMP}
_X, _Y, _YAW = {"x", "pos_x", "pose_x", "position_x", "base_x"}, {"y", "pos_y", "pose_y", "position_y", "base_y"}, {
    "yaw", "theta", "heading", "pose_yaw", "base_yaw", "base_theta", "pose_theta"
}
_LATITUDE, _LONGITUDE = {"latitude", "gps_latitude", "lat"}, {"longitude", "gps_longitude", "lon", "lng"}
_FORWARD = {"linear_velocity", "linear", "linear_vel", "v", "x_vel", "linear_x"}
_TURN = {"angular_velocity", "angular", "angular_vel", "w", "omega", "theta_vel", "angular_z"}
_STOOD = 3.0  # s without a new fix after which a robot counts as standing
_STICK_ROBOTS = re.compile(r"frodo|earth.?rover", re.IGNORECASE)


@dataclass(frozen=True)
class _Source:
    """How a dataset's features are to be read."""

    folder: Path
    info: dict[str, Any]
    camera: str
    cameras: tuple[str, ...]
    scalars: dict[str, tuple[str, int | None]]  # by plain name: feature, and place in it
    infos: tuple[EpisodeInfo, ...]  # ours, where the dataset has them
    tasks: tuple[str, ...]

    def find(self, names: set[str]) -> tuple[str, int | None] | None:
        return next((place for name, place in self.scalars.items() if name in names), None)


def frame_rate_of(folder: Path) -> float:
    """Hz that a dataset says it has."""
    return float(info_of(Path(folder))["fps"])


def read_lerobot(source: Path, camera: str | None = None) -> Iterator[Drive]:
    """A drive per episode. `camera` names the feature with the pictures, or its last part."""
    folder = Path(source)
    info = info_of(folder)
    chosen, cameras = _camera(folder, info["features"], camera)
    about = _Source(
        folder, info, chosen, cameras, _scalars(info["features"]), tuple(_our_infos(folder)), tuple(task_texts(folder))
    )
    poses_of = _pose_reader(about)
    frames, left, any_read = Frames(info), list[LeftOut](), False
    for episode in episodes_of(folder, info):
        try:
            drive = _drive(about, episode, frames, poses_of)
        except DataError as error:  # of one file; the others may be sound
            left.append(LeftOut("episodes", 1, f"that cannot be read: {error}"))
            continue
        yield replace(drive, left_out=(*left, *drive.left_out))
        left, any_read = [], True
    if left and not any_read:
        raise DataError(f"{folder}: no episode can be read: {left[0].why.removeprefix('that cannot be read: ')}")
    if left:
        yield _nothing(about, left)


def _nothing(about: _Source, left: list[LeftOut]) -> Drive:
    """A drive without frames, to tell of what was left out at the end."""
    none = np.zeros(0, np.int64)
    return Drive(str(about.folder), EpisodeInfo(), [], none, np.zeros((0, 3)), none, left_out=tuple(left))


# --- features -------------------------------------------------------------------------------------------------------


def _camera(folder: Path, features: dict[str, Any], wanted: str | None) -> tuple[str, tuple[str, ...]]:
    """The feature with the pictures, and the other ones."""
    cameras = [name for name, feature in features.items() if feature.get("dtype") in ("image", "video")]
    colour = [name for name in cameras if not _is_depth(name, features[name])]
    if not colour:
        raise DataError(f"{folder} has no pictures: its features are {', '.join(features)}")
    if wanted is None:
        front = [name for name in colour if "front" in name.rsplit(".", 1)[-1]]
        if len(colour) > 1 and len(front) != 1:
            raise DataError(f"{folder} has several cameras: choose one with --camera: {', '.join(colour)}")
        chosen = colour[0] if len(colour) == 1 else front[0]
    else:
        found = [name for name in colour if wanted in (name, name.rsplit(".", 1)[-1])]
        if not found:
            hint = closest(wanted, [*colour, *(name.rsplit(".", 1)[-1] for name in colour)])
            raise DataError(f"{folder} has no camera {wanted!r}{hint}; it has {', '.join(colour)}")
        chosen = found[0]
    return chosen, tuple(name for name in cameras if name != chosen)


def _is_depth(name: str, feature: dict[str, Any]) -> bool:
    about = {**(feature.get("info") or {}), **(feature.get("video_info") or {})}
    return "depth" in name.lower() or bool(about.get("is_depth_map") or about.get("video.is_depth_map"))


def _scalars(features: dict[str, Any]) -> dict[str, tuple[str, int | None]]:
    """Every number that has a name, by that name alone: letters, digits and single underscores."""
    found: dict[str, tuple[str, int | None]] = {}
    for feature, about in features.items():
        shape, names = list(about.get("shape") or []), about.get("names")
        if about.get("dtype") in ("image", "video", "string") or feature in _AUTOMATIC or feature.startswith("label."):
            continue
        if isinstance(names, dict):
            names = [name for part in names.values() for name in (part if isinstance(part, list) else [part])]
        if len(shape) == 1 and isinstance(names, list) and len(names) == shape[0] and shape[0] > 1:
            prefix = "action_" if feature.startswith("action") else ""
            for place, name in enumerate(names):
                found.setdefault(prefix + _plain(str(name)), (feature, place))
        elif shape in ([], [1]):
            found.setdefault(_plain(feature.removeprefix("observation.")), (feature, None))
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _values(frames: Frames, rows: np.ndarray, place: tuple[str, int | None]) -> np.ndarray:
    feature, column = place
    values = frames.column(feature, rows)
    return np.asarray(values.reshape(len(rows), -1)[:, column or 0], dtype=np.float64)


_PoseReader = Callable[[Frames, np.ndarray], np.ndarray]  # rows [T] -> [T, 3] x, y, yaw


def _pose_reader(about: _Source) -> _PoseReader:
    """Where the poses are: metres and radians in a state, FrodoBots' filtered positions, or satellite fixes."""
    features = about.info["features"]
    filtered, heading = "observation.filtered_position", about.find({"filtered_heading"})
    x, y, yaw = about.find(_X), about.find(_Y), about.find(_YAW)
    if x and y and yaw:
        return lambda frames, rows: np.column_stack([_values(frames, rows, place) for place in (x, y, yaw)])
    if filtered in features and heading:  # east and north in metres, counter-clockwise from east
        return lambda frames, rows: np.column_stack(
            [frames.column(filtered, rows).reshape(len(rows), -1)[:, :2], _values(frames, rows, heading)]
        )
    latitude, longitude, rate = about.find(_LATITUDE), about.find(_LONGITUDE), float(about.info["fps"])
    if latitude and longitude:
        return lambda frames, rows: _poses_of_fixes(
            np.column_stack([_values(frames, rows, place) for place in (latitude, longitude)]), rate
        )
    has = ", ".join(name for name in features if name not in _AUTOMATIC)
    raise DataError(
        f"{about.folder} does not tell where the robot was: it needs {STATE} with the names x, y and yaw, or a "
        f"latitude and a longitude; its features are {has}"
    )


def _poses_of_fixes(degrees: np.ndarray, rate: float) -> np.ndarray:
    """[T, 3] of fixes [T, 2] that come more slowly than frames, each repeated until the next one. NaN beyond them."""
    poses = np.full((len(degrees), 3), np.nan)
    known = np.flatnonzero(np.isfinite(degrees).all(axis=1) & (degrees != 0).any(axis=1))
    if len(known) == 0:
        return poses
    new = np.concatenate([[True], (np.diff(degrees[known], axis=0) != 0).any(axis=1)])
    fresh = known[new]
    found = poses_of_fixes(degrees[fresh])
    # A fix that stays for long is a robot that stood until shortly before the next one.
    stood = np.flatnonzero(np.diff(fresh) > _STOOD * rate)
    at = np.concatenate([fresh, fresh[stood + 1] - round(rate), known[-1:]])
    found = np.concatenate([found, found[stood], found[-1:]])
    at, first = np.unique(at, return_index=True)
    inside = np.arange(known[0], known[-1] + 1)
    poses[inside] = np.column_stack([np.interp(inside, at, found[first, k]) for k in range(3)])
    return poses


# --- episodes -------------------------------------------------------------------------------------------------------


def _drive(about: _Source, episode: Episode, frames: Frames, poses_of: _PoseReader) -> Drive:
    rows = frames.rows(episode)
    if len(rows) == 0:
        raise DataError(f"{episode.path} has no frames of episode {episode.index}")
    left = [LeftOut("frames", abs(episode.length - len(rows)), "that meta/episodes counts and the data lack")]
    seconds = _seconds(about, frames, rows)
    timed = np.isfinite(seconds)
    left.append(LeftOut("frames", int((~timed).sum()), "whose timestamp is not a number"))
    if not timed.any():
        raise DataError(f"{episode.path}: no timestamp of episode {episode.index} is a number")
    rows, seconds = rows[timed], seconds[timed]
    stamps = (
        frames.column(STAMP, rows).astype(np.int64) if STAMP in about.info["features"]
        else np.rint(seconds * 1e9).astype(np.int64)
    )
    there, pictures, missing = frames.pictures(episode, about.camera, rows, seconds)
    poses = poses_of(frames, rows)
    known = np.isfinite(poses).all(axis=1)
    commands, why = _commands(about, frames, rows, poses, stamps)
    left += [*missing, LeftOut("actions", len(rows), why)] if why else missing
    depth = _depth(about, episode, frames, rows, there)
    others = [name for name in about.cameras if name != DEPTH or depth is None]
    left += [LeftOut("pictures", len(rows), f"of another camera, {name}") for name in others]
    info = _episode_info(about, episode, frames, rows)
    if info.action_source == "measured" and about.infos:
        commands = None
    return Drive(
        name=f"{about.folder} episode {episode.index}", info=info, pictures=pictures, picture_stamps_ns=stamps[there],
        poses=poses[known], pose_stamps_ns=stamps[known], commands=commands,
        command_stamps_ns=None if commands is None else stamps, depth=depth,
        labels=_labels(about, frames, rows[there]), left_out=tuple(entry for entry in left if entry.count),
    )


def _depth(
    about: _Source, episode: Episode, frames: Frames, rows: np.ndarray, there: np.ndarray
) -> list[Picture] | None:
    """Of the front camera, where it is kept as we keep it: PNG files of millimetres."""
    feature = about.info["features"].get(DEPTH)
    if feature is None or about.camera != FRONT or feature["dtype"] != "image":
        return None
    if (feature.get("info") or {}).get("depth_unit") != "mm":
        return None
    return frames.pictures(episode, DEPTH, rows[there], np.zeros(0))[1]


def _labels(about: _Source, frames: Frames, rows: np.ndarray) -> Labels | None:
    names = (LABEL_GOAL, LABEL_PLAN, LABEL_DISTANCE)
    if not all(name in about.info["features"] for name in names):
        return None
    goals, plans, distances = (np.asarray(frames.column(name, rows), np.float64) for name in names)
    poses = np.asarray(frames.column(LABEL_POSE, rows), np.float64) if LABEL_POSE in about.info["features"] else None
    return Labels(goals, plans, distances, poses)


def _seconds(about: _Source, frames: Frames, rows: np.ndarray) -> np.ndarray:
    """From the episode's start."""
    if frames.has("timestamp"):
        return np.asarray(frames.column("timestamp", rows).reshape(-1), dtype=np.float64)
    return np.arange(len(rows)) / float(about.info["fps"])


def _commands(
    about: _Source, frames: Frames, rows: np.ndarray, poses: np.ndarray, stamps: np.ndarray
) -> tuple[np.ndarray | None, str]:
    """[T, 2] m/s and rad/s, or why there are none. Only velocities that are named so count as such."""
    names = [{f"action_{name}" for name in group} for group in (_FORWARD, _TURN)]
    forward, turn = about.find(names[0]), about.find(names[1])
    if ACTION not in about.info["features"]:
        return None, ""
    if forward is None or turn is None:
        return None, "that are not named linear_velocity and angular_velocity"
    if _STICK_ROBOTS.search(str(about.info.get("robot_type") or "")) or _is_frodobots(about.info["features"]):
        return None, "that are positions of a stick from -1 to 1 and not m/s: those that the poses show are kept"
    commands = np.column_stack([_values(frames, rows, place) for place in (forward, turn)])
    if not np.isfinite(commands).all():
        return None, "that are not finite"
    if np.isfinite(poses).all() and (np.diff(stamps) > 0).all():
        if np.allclose(commands, measured_actions(poses, stamps), atol=1e-9):
            return None, ""  # they were measured on these very poses, and will be again
    return commands, ""


def _is_frodobots(features: dict[str, Any]) -> bool:
    return any(_plain(name.removeprefix("observation.")) in _LATITUDE | {"wheel_rpm"} for name in features)


def _episode_info(about: _Source, episode: Episode, frames: Frames, rows: np.ndarray) -> EpisodeInfo:
    """Ours as it was written; otherwise the task's words and where it is from."""
    if episode.index < len(about.infos):
        return about.infos[episode.index]
    tasks = list(episode.tasks)
    if not tasks and frames.has("task_index"):
        number = int(frames.column("task_index", rows).reshape(-1)[0])
        tasks = [about.tasks[number]] if number < len(about.tasks) else []
    text = " ".join(tasks).strip()
    return EpisodeInfo(
        task=text or "drive", source=about.folder.resolve().name, notes={"episode": episode.index},
    )


def _our_infos(folder: Path) -> Iterator[EpisodeInfo]:
    path = folder / NAVIGATION
    if not path.exists():
        return
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            data = json.loads(line)
            data.pop("episode_index")
            yield EpisodeInfo.from_json(data, str(path))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is broken: {error}") from None

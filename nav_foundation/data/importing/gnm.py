"""Folders of GNM, ViNT and NoMaD: pictures 0.jpg, 1.jpg ... and traj_data.pkl with the position and yaw of each."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nav_foundation.data.importing.drive import Drive, LeftOut
from nav_foundation.data.importing.picture_files import PICTURES, picture_of
from nav_foundation.data.pickles import load_pickle
from nav_foundation.data.schema import DataError, EpisodeInfo

POSES = "traj_data.pkl"
_NUMBER = re.compile(r"\d{1,9}")


@dataclass(frozen=True)
class _Trajectory:
    folder: Path
    poses: np.ndarray  # [T, 3], with NaN where the file has it
    left_out: tuple[LeftOut, ...]
    mark: str  # of the file's contents


def read_gnm(source: Path, frame_rate: float) -> Iterator[Drive]:
    """A drive per trajectory at `source`: one folder, or folders within it at any depth.

    They have no clock; `frame_rate` is the one they were recorded at. Trajectories that cannot be read are left out by
    name, unless none can.
    """
    source = Path(source)
    trajectories, left_out = _trajectories(source)
    for number, trajectory in enumerate(trajectories):
        yield _drive(trajectory, source, frame_rate, tuple(left_out) if number == 0 else ())


def _trajectories(source: Path) -> tuple[list[_Trajectory], list[LeftOut]]:
    """All that can be read, and what cannot."""
    found = [source] if (source / POSES).exists() else sorted(path.parent for path in source.rglob(POSES))
    if not found:
        raise DataError(f"{source} holds no {POSES}: name a trajectory of GNM, or a folder of them")
    results = [_attempt(folder) for folder in found]
    readable = [result for result in results if isinstance(result, _Trajectory)]
    faults = [result for result in results if isinstance(result, DataError)]
    if not readable:
        raise faults[0]
    left_out = [LeftOut("trajectories", 1, f"that cannot be read: {fault}") for fault in faults]
    return readable, _without_poses(source, set(found)) + left_out


def _attempt(folder: Path) -> _Trajectory | DataError:
    try:
        return _trajectory(folder)
    except DataError as error:
        return error


def _without_poses(source: Path, found: set[Path]) -> list[LeftOut]:
    """Pictures in folders that have no poses."""
    folders: dict[Path, int] = {}
    for path in source.rglob("*"):
        if path.suffix.lower() in PICTURES and path.parent not in found:
            folders[path.parent] = folders.get(path.parent, 0) + 1
    return [LeftOut("pictures", count, f"in {folder}, which has no {POSES}") for folder, count in folders.items()]


def _trajectory(folder: Path) -> _Trajectory:
    path = folder / POSES
    data = load_pickle(path)
    if not isinstance(data, dict) or "position" not in data or "yaw" not in data:
        has = ", ".join(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise DataError(f"{path} must hold position and yaw; it has {has[:100] or 'nothing'}")
    try:
        position, yaw = (np.asarray(data[name], dtype=np.float64) for name in ("position", "yaw"))
    except (TypeError, ValueError):
        raise DataError(f"{path}: position and yaw must be numbers, a row for every picture") from None
    if position.ndim != 2 or position.shape[1] not in (2, 3) or yaw.ndim == 0 or yaw.size != len(yaw):
        raise DataError(f"{path}: position must be [T, 2] and yaw [T]; they are {position.shape} and {yaw.shape}")
    yaw = yaw.reshape(-1)
    count, left_out = min(len(position), len(yaw)), []
    if count == 0:
        raise DataError(f"{path} holds no positions")
    for name, values in (("positions", position), ("yaws", yaw)):
        if len(values) > count:
            left_out.append(LeftOut(name, len(values) - count, "without a yaw" if name == "positions" else "too many"))
    poses = np.column_stack([position[:count, :2], yaw[:count]])
    return _Trajectory(folder, poses, tuple(left_out), f"{zlib.crc32(path.read_bytes()):08x}")


def _drive(trajectory: _Trajectory, source: Path, frame_rate: float, left: tuple[LeftOut, ...]) -> Drive:
    folder, poses = trajectory.folder, trajectory.poses
    pictures, left_out = _numbered_pictures(folder, len(poses))
    left_out = [*left, *trajectory.left_out, *left_out]
    missing = len(poses) - len(pictures)
    if missing:
        left_out.append(LeftOut("positions", missing, "without a picture"))
    frames = np.array(sorted(pictures), dtype=np.int64)
    sound = np.isfinite(poses[frames]).all(axis=1)
    if not sound.all():
        left_out.append(LeftOut("pictures", int((~sound).sum()), "whose position or yaw is not a number"))
    frames = frames[sound]
    stamps = np.rint(frames * (1e9 / frame_rate)).astype(np.int64)
    name = "/".join([source.resolve().name, *folder.relative_to(source).parts])
    return Drive(
        name=str(folder), info=EpisodeInfo(source=name, notes={"traj_data": trajectory.mark}),
        pictures=[picture_of(pictures[k]) for k in frames.tolist()], picture_stamps_ns=stamps, poses=poses[frames],
        pose_stamps_ns=stamps, has_clock=False, left_out=tuple(left_out),
    )


def _numbered_pictures(folder: Path, count: int) -> tuple[dict[int, Path], list[LeftOut]]:
    """Pictures by number, below `count`, and those that are none of them."""
    pictures: dict[int, Path] = {}
    others: dict[str, int] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in PICTURES:
            continue
        why = ""
        if not _NUMBER.fullmatch(path.stem):
            why = "whose name is no number"
        elif int(path.stem) >= count:
            why = f"that {POSES} has no position for"
        elif int(path.stem) in pictures:
            why = "with the number of another one"
        else:
            pictures[int(path.stem)] = path
        if why:
            others[why] = others.get(why, 0) + 1
    return pictures, [LeftOut("pictures", number, why) for why, number in others.items()]

"""Trajectories of NavDP and InternData-N1: parquet tables of camera poses, with pictures in folders or films beside.

    meta/info.json                      fps
    meta/episodes_stats.jsonl           which numbers the pictures of each episode have
    data/chunk-000/episode_000000.parquet           action: the camera's pose [4, 4] in the world, z up
    videos/chunk-000/observation.images.rgb/        pictures of all episodes, or a film per episode
    videos/chunk-000/observation.images.depth/      PNG files of 16 bits, 1/10000 m
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nav_foundation.data.images import decode_depth, encode_depth, size_of
from nav_foundation.data.importing.drive import Drive, LeftOut, Picture
from nav_foundation.data.importing.film import Film
from nav_foundation.data.importing.picture_files import PICTURES, picture_of
from nav_foundation.data.layout import INFO
from nav_foundation.data.schema import DataError, EpisodeInfo

_POSE, _EXTRINSIC, _INTRINSIC = "action", "observation.camera_extrinsic", "observation.camera_intrinsic"
_EPISODE = re.compile(r"episode_(\d+)")
_PER_MILLIMETRE = 10  # units of depth
_FILMS = (".mp4", ".mkv", ".avi", ".webm", ".mov")


def read_navdp(source: Path, frame_rate: float | None = None) -> Iterator[Drive]:
    """A drive per episode of the datasets at `source`: one, or folders of them at any depth.

    `frame_rate` in Hz is for those without meta/info.json, as NavDP's first ones are.
    """
    source = Path(source)
    files = sorted(path for path in source.rglob("episode_*.parquet") if path.parent.parent.name == "data")
    if not files:
        raise DataError(f"{source} holds no data/*/episode_*.parquet: name a scene of NavDP or InternData, unpacked")
    left, any_read = list[LeftOut](), False
    for path in files:
        try:
            drive = _drive(path, source, frame_rate)
        except DataError as error:
            if not any_read and path == files[-1]:
                raise
            left.append(LeftOut("episodes", 1, f"that cannot be read: {error}"))
            continue
        yield replace(drive, left_out=(*left, *drive.left_out))
        left, any_read = [], True
    if left:
        none = np.zeros(0, np.int64)
        yield Drive(str(source), EpisodeInfo(), [], none, np.zeros((0, 3)), none, left_out=tuple(left))


@dataclass(frozen=True)
class _Place:
    """Where the parts of an episode are."""

    folder: Path  # of the dataset
    chunk: str
    episode: int


def _drive(path: Path, source: Path, frame_rate: float | None) -> Drive:
    match = _EPISODE.fullmatch(path.stem)
    if match is None:
        raise DataError(f"{path} is not named like an episode, such as episode_000000.parquet")
    place = _Place(path.parent.parent.parent, path.parent.name, int(match[1]))
    has_clock = (place.folder / INFO).exists() or frame_rate is None
    rate = _rate(place.folder) if has_clock or frame_rate is None else frame_rate
    columns = _columns(path)
    cameras = _matrices(path, columns, _POSE)
    if cameras is None:
        raise DataError(f"{path} has no {_POSE} with the camera's pose: it has {', '.join(columns)}")
    poses, axes = _poses(path, cameras)
    found = _pictures(place, columns)
    frames = np.array([frame for frame in sorted(found) if 0 <= frame < len(poses)], dtype=np.int64)
    left = [
        LeftOut("poses", len(poses) - len(frames), "without a picture"),
        LeftOut("pictures", len(found) - len(frames), "without a pose"),
    ]
    chosen = [found[frame] for frame in frames.tolist()]
    depth, why = _depth(place, chosen)
    left += [LeftOut("depth images", len(frames), why)] if why else []
    stamps = np.rint(np.arange(len(poses)) * (1e9 / rate)).astype(np.int64)
    sound = np.isfinite(poses).all(axis=1)
    left.append(LeftOut("poses", int((~sound).sum()), "that are not finite"))
    name = "/".join([source.resolve().name, *place.folder.relative_to(source).parts])
    info = EpisodeInfo(
        task=_task(place), source=name, scene=place.folder.name,
        notes={"episode": place.episode, "chunk": place.chunk, "camera": {"axes": axes, **_camera(path, columns)}},
    )
    return Drive(
        name=str(path), info=info,
        pictures=[picture_of(picture) if isinstance(picture, Path) else picture for picture in chosen],
        picture_stamps_ns=stamps[frames], poses=poses[sound], pose_stamps_ns=stamps[sound], depth=depth,
        has_clock=has_clock, left_out=tuple(entry for entry in left if entry.count),
    )


def _rate(folder: Path) -> float:
    path = folder / INFO
    try:
        rate = float(json.loads(path.read_text(encoding="utf-8"))["fps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = "it does not exist" if isinstance(error, FileNotFoundError) else f"{type(error).__name__} {error}"
        raise DataError(f"{path} must tell fps ({why}); without that file give --frame-rate") from None
    if not 0 < rate < 1000:
        raise DataError(f"{path}: fps is {rate}; give frames per second")
    return rate


def _columns(path: Path) -> dict[str, Any]:
    try:
        table = pq.read_table(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path} is broken: {' '.join(str(error).split())}") from None
    return {name: table.column(name) for name in table.column_names}


def _matrices(path: Path, columns: dict[str, Any], name: str, size: int = 4) -> np.ndarray | None:
    """[T, size, size] of a column of nested or flat lists."""
    if name not in columns:
        return None
    try:
        values = np.array(columns[name].to_pylist(), dtype=np.float64)
        return values.reshape(len(values), size, size)
    except (TypeError, ValueError):
        raise DataError(f"{path}: {name} must be a matrix [{size}, {size}] per frame") from None


def _poses(path: Path, cameras: np.ndarray) -> tuple[np.ndarray, str]:
    """[T, 3] x, y and heading in the world, and which axes the camera has.

    It looks along -z with y up (OpenGL), as published, or along z with y down (OpenCV), as some convert it: cameras of
    robots stand upright, so their y tells.
    """
    if len(cameras) == 0:
        raise DataError(f"{path} has no frames")
    up = float(np.nanmedian(cameras[:, 2, 1])) if np.isfinite(cameras[:, 2, 1]).any() else 0.0
    if abs(up) < 0.3:
        raise DataError(f"{path}: its cameras do not stand upright in a world with z up, so their heading is unknown")
    forward = cameras[:, :2, 2] * (-1.0 if up > 0 else 1.0)
    heading = np.arctan2(forward[:, 1], forward[:, 0])
    return np.column_stack([cameras[:, :2, 3], heading]), "opengl" if up > 0 else "opencv"


def _camera(path: Path, columns: dict[str, Any]) -> dict[str, Any]:
    """Height in metres, pitch in radians (positive looks down) and intrinsics in pixels, as far as they are told."""
    told: dict[str, Any] = {}
    extrinsic, intrinsic = _matrices(path, columns, _EXTRINSIC), _matrices(path, columns, _INTRINSIC, 3)
    if extrinsic is not None and len(extrinsic) and np.isfinite(extrinsic[0]).all():
        first = extrinsic[0]  # turned about the camera's x axis alone, by 90 degrees less the pitch
        pitch = np.pi / 2 - np.arctan2(first[2, 1], first[2, 2])
        told |= {"height": round(float(first[2, 3]), 6), "pitch": round(float(pitch), 6)}
    if intrinsic is not None and len(intrinsic) and np.isfinite(intrinsic[0]).all():
        k = intrinsic[0]
        told |= {"fx": float(k[0, 0]), "fy": float(k[1, 1]), "cx": float(k[0, 2]), "cy": float(k[1, 2])}
    return told


# --- pictures -------------------------------------------------------------------------------------------------------


def _pictures(place: _Place, columns: dict[str, Any]) -> dict[int, Path | Picture]:
    """Of one episode, by frame: files, or pictures of a film."""
    folders = sorted((place.folder / "videos" / place.chunk).glob("observation.images.rgb*"))
    folder = next((path for path in folders if path.is_dir()), None)
    if folder is None:
        raise DataError(f"{place.folder} has no videos/{place.chunk}/observation.images.rgb with the pictures")
    films = [path for path in folder.iterdir() if path.suffix.lower() in _FILMS and _is_of(path, place.episode)]
    if films:
        film = Film(films[0])
        return {k: partial(film.picture, k) for k in range(len(film.seconds))}
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES]
    numbers = {path: [int(number) for number in re.findall(r"\d+", path.stem)] for path in files}
    if not files:
        raise DataError(f"{folder} holds neither pictures nor a film of episode {place.episode}")
    if all(len(found) == 2 for found in numbers.values()):  # episode and frame
        return {frame: path for path, (episode, frame) in numbers.items() if episode == place.episode}
    if not all(len(found) == 1 for found in numbers.values()):
        raise DataError(f"{folder}: its pictures, such as {files[0].name}, are not named by their number")
    first, last = _range(place, columns, max(numbers[path][0] for path in files))
    return {number - first: path for path, (number,) in numbers.items() if first <= number <= last}


def _is_of(path: Path, episode: int) -> bool:
    match = _EPISODE.search(path.stem)
    return match is not None and int(match[1]) == episode


def _range(place: _Place, columns: dict[str, Any], highest: int) -> tuple[int, int]:
    """First and last number of the episode's pictures, in a folder whose highest number is `highest`."""
    stats = place.folder / "meta" / "episodes_stats.jsonl"
    if stats.exists():
        try:
            rows = [json.loads(line) for line in stats.read_text(encoding="utf-8").splitlines() if line.strip()]
            numbered = {int(row.get("episode_index", k)): row for k, row in enumerate(rows)}
            told = numbered[place.episode].get("image_index")
            if told is not None:
                first, last = (int(np.ravel(told[name])[0]) for name in ("min", "max"))
                return first, last
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise DataError(f"{stats} is broken: {type(error).__name__} {' '.join(str(error).split())}") from None
    if len(list((place.folder / "data" / place.chunk).glob("episode_*.parquet"))) == 1:
        return 0, highest
    if "index" in columns:
        numbers = np.array(columns["index"].to_pylist(), dtype=np.int64)
        if place.episode == 0 or (len(numbers) and numbers.min() > 0):  # it counts through all episodes
            return int(numbers.min()), int(numbers.max())
    raise DataError(f"{stats} does not tell image_index, so which pictures are of episode {place.episode} is unknown")


def _depth(place: _Place, pictures: list[Path | Picture]) -> tuple[list[Picture] | None, str]:
    """Of these pictures, where each has a depth image beside it; otherwise why they are left out, if there are any."""
    folder = place.folder / "videos" / place.chunk / "observation.images.depth"
    if not folder.is_dir() or not pictures:
        return None, ""
    files = [folder / f"{path.stem}.png" for path in pictures if isinstance(path, Path)]
    if len(files) < len(pictures) or not all(file.exists() for file in files):
        return None, f"that are not PNG files, one for each picture, in {folder.name}"
    if isinstance(pictures[0], Path) and not _same_size(pictures[0], files[0]):
        return None, "of another size than the pictures"
    return [partial(_depth_file, file) for file in files], ""


def _same_size(picture: Path, depth: Path) -> bool:
    try:
        return size_of(picture.read_bytes()) == size_of(depth.read_bytes())
    except (OSError, DataError):  # broken pictures are left out one by one
        return True


def _depth_file(path: Path) -> bytes:
    """As we keep it, in whole millimetres; here it is in 16 bits of a tenth of one."""
    try:
        tenfold = decode_depth(path.read_bytes())  # which takes the numbers for millimetres
    except OSError as error:
        raise DataError(f"whose depth image cannot be read: {error.strerror or error}") from None
    return encode_depth(tenfold / np.float32(_PER_MILLIMETRE))


def _task(place: _Place) -> str:
    path = place.folder / "meta" / "episodes.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        tasks = next(row["tasks"] for row in rows if int(row["episode_index"]) == place.episode)
        return " ".join(map(str, tasks)).strip() or "drive"
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return "drive"

"""The pictures that people have: files, a folder, or a film, with or without a table of poses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nav_foundation.data.importing.drive import LeftOut, Picture
from nav_foundation.data.importing.film import Film, read_film
from nav_foundation.data.importing.folder import read_folder
from nav_foundation.data.importing.picture_files import PICTURES, picture_of
from nav_foundation.data.importing.pictures import as_rgb
from nav_foundation.data.schema import DataError
from nav_foundation.geometry import poses_at
from nav_foundation.types import Observation, Pose2

FILMS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
_LONGEST_GAP_NS = 1_000_000_000  # between two poses; what lies within a longer one is not known


@dataclass(frozen=True)
class Footage:
    """Pictures of one drive in the order they were taken, read when they are asked for."""

    names: tuple[str, ...]  # for people
    pictures: tuple[Picture, ...]
    stamps_ns: np.ndarray  # [N] int64, from the first one
    poses: np.ndarray | None  # [N, 3] m, m, rad in the odometry's frame
    left_out: tuple[LeftOut, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def rgb(self, index: int) -> np.ndarray:
        """[H, W, 3] uint8."""
        return as_rgb(self.pictures[index], self.names[index])

    def pose(self, index: int) -> Pose2 | None:
        return None if self.poses is None else Pose2(*map(float, self.poses[index]))

    def observation(self, index: int) -> Observation:
        return Observation(self.rgb(index), int(self.stamps_ns[index]), self.pose(index))


def read_footage(paths: Sequence[Path], poses: Path | None, fps: float | None, frame_rate: float) -> Footage:
    """What the policy is to see: at most `frame_rate` pictures a second.

    `fps` is how many a second were taken of plain pictures, and how many are to be taken of a film.
    """
    kind = _kind(paths)
    if kind == "film" and fps is not None and fps > frame_rate:
        raise DataError(f"--fps {fps:g} is more than the robot's frame rate, {frame_rate:g} Hz: leave it out, or less")
    if poses is None:
        footage = _film(paths[0]) if kind == "film" else _pictures(_files(paths), fps or frame_rate)
    else:
        footage = _with_poses(paths, poses, fps, kind)
    footage = _part(footage, _nearest(footage.stamps_ns, min(fps or frame_rate, frame_rate)))
    if footage.poses is None and len(footage) == 1:  # the frame of the first picture is where it was taken
        return Footage(footage.names, footage.pictures, footage.stamps_ns, np.zeros((1, 3)))
    return footage


def _kind(paths: Sequence[Path]) -> str:
    """"film", "folder" or "files"."""
    for path in paths:
        if not path.exists():
            raise DataError(f"--images {path} does not exist")
        if path.is_file() and path.suffix.lower() not in (*PICTURES, *FILMS):
            raise DataError(
                f"--images {path} is neither a picture ({', '.join(PICTURES)}) nor a film ({', '.join(FILMS)})"
            )
    kinds = {"folder" if p.is_dir() else "film" if p.suffix.lower() in FILMS else "files" for p in paths}
    if len(kinds) > 1 or (len(paths) > 1 and kinds != {"files"}):
        raise DataError("--images takes pictures, or one folder of pictures, or one film: not several of these")
    return kinds.pop()


def _files(paths: Sequence[Path]) -> list[Path]:
    """Of a folder in the order of the numbers in their names; otherwise in the order given."""
    if paths[0].is_dir():
        found = [path for path in paths[0].iterdir() if path.suffix.lower() in PICTURES and path.is_file()]
        if not found:
            raise DataError(f"--images {paths[0]} holds no pictures ({', '.join(PICTURES)})")
        return sorted(found, key=_natural)
    names = [str(path) for path in paths]
    if names == sorted(names) and list(paths) != (right := sorted(paths, key=_natural)):
        wrong = next(k for k in range(len(paths)) if paths[k] != right[k])
        raise DataError(
            f"--images has {paths[wrong]} before {right[wrong]}, as shells sort names: name their folder instead, "
            "which is read in the order of the numbers"
        )
    return list(paths)


def _natural(path: Path) -> tuple[list[str | int], str]:
    """So that 9.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], str(path)


def _pictures(files: Sequence[Path], fps: float) -> Footage:
    stamps = np.round(np.arange(len(files)) * 1e9 / fps).astype(np.int64)
    return Footage(tuple(path.name for path in files), tuple(map(picture_of, files)), stamps, None)


def _film(path: Path) -> Footage:
    film = Film(path)
    stamps = np.rint(film.seconds * 1e9).astype(np.int64)
    return Footage(_moments(path, stamps), tuple(partial(film.picture, k) for k in range(len(stamps))), stamps, None)


def _moments(path: Path, stamps: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{path.name} at {seconds:.2f} s" for seconds in stamps / 1e9)


# --- with poses ---------------------------------------------------------------------------------------------------


def _with_poses(paths: Sequence[Path], poses: Path, fps: float | None, kind: str) -> Footage:
    if kind == "files":
        raise DataError("--poses goes with one folder or one film: put the pictures into a folder of their own")
    if kind == "folder" and fps is not None:
        raise DataError("--fps and --poses both say when the pictures were taken: leave out --fps")
    drive = next(read_film(paths[0], poses) if kind == "film" else read_folder(paths[0], poses))
    stamps, known = drive.picture_stamps_ns, drive.pose_stamps_ns
    before, after = np.searchsorted(known, stamps, side="right") - 1, np.searchsorted(known, stamps)
    within = (before >= 0) & (after < len(known))
    gap = known[after.clip(max=len(known) - 1)] - known[before.clip(min=0)]
    posed = np.flatnonzero(within & (gap <= _LONGEST_GAP_NS))
    if len(posed) == 0:
        raise DataError(f"{poses} tells of no time at which a picture of {paths[0]} was taken: compare their clocks")
    lost = LeftOut("pictures", len(stamps) - len(posed), f"taken at times of which {poses.name} tells no pose")
    names = _moments(paths[0], stamps) if kind == "film" else drive.picture_names
    footage = Footage(
        names, tuple(drive.pictures), stamps, poses_at(stamps, known, drive.poses),
        (*drive.left_out, *([lost] if lost.count else [])),
    )
    return _part(footage, posed)


def _part(footage: Footage, chosen: np.ndarray) -> Footage:
    stamps = footage.stamps_ns[chosen]
    return Footage(
        tuple(footage.names[k] for k in chosen), tuple(footage.pictures[k] for k in chosen), stamps - stamps[0],
        None if footage.poses is None else footage.poses[chosen], footage.left_out,
    )


def _nearest(stamps: np.ndarray, rate: float) -> np.ndarray:
    """Numbers of the pictures that lie nearest to the ticks of this rate; all of them where they come more rarely."""
    ticks = np.arange(stamps[0], stamps[-1] + 0.5e9 / rate, 1e9 / rate)
    halfway = stamps[:-1] + np.diff(stamps) / 2
    return np.unique(np.searchsorted(halfway, ticks))

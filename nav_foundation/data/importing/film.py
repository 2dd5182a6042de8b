"""Films: pictures by their number, decoded as they are asked for; and films with the poses in a table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nav_foundation.data.importing.drive import Drive, LeftOut
from nav_foundation.data.importing.pose_table import PoseTable, read_poses
from nav_foundation.data.schema import DataError, EpisodeInfo

_FAR = 3.0  # s; to a picture further ahead the film is wound rather than decoded


class Film:
    """A film's pictures by number, in the order they are shown. Read forwards, each is decoded once."""

    def __init__(self, path: Path) -> None:
        import av

        self.path = path
        self._film: Any = None
        try:
            with av.open(str(path)) as film:
                stream = film.streams.video[0]
                shown = [packet.pts for packet in film.demux(stream) if _is_shown(packet)]
                self._tick = float(stream.time_base or 1)  # s
        except (av.FFmpegError, OSError, IndexError) as error:
            raise DataError(f"{path} is no film that can be read: {error}") from None
        self._shown = np.unique(np.array(shown, np.int64))
        if len(self._shown) == 0:
            raise DataError(f"{path} is a film without pictures")
        self._frames: Iterator[Any] = iter(())
        self._next = self._shown[-1] + 1  # no earlier picture comes from _frames

    @property
    def seconds(self) -> np.ndarray:
        """[N] float64 when each picture is shown, from the film's first one."""
        return (self._shown - self._shown[0]) * self._tick

    def picture(self, number: int) -> np.ndarray:
        """[H, W, 3] uint8 RGB."""
        import av

        wanted = int(self._shown[number])
        try:
            if not self._next <= wanted <= self._next + _FAR / self._tick:
                self._wind(wanted)
            for frame in self._frames:
                if frame.pts is None or frame.pts < wanted:
                    continue
                self._next = frame.pts + 1
                if frame.pts == wanted:
                    return _upright(frame)
                break
        except av.FFmpegError as error:
            self._next = self._shown[-1] + 1
            raise DataError(f"of {self.path} that cannot be decoded: {error}") from None
        self._next = self._shown[-1] + 1
        raise DataError(f"of {self.path} that cannot be decoded")

    def _wind(self, wanted: int) -> None:
        import av

        if self._film is None:
            self._film = av.open(str(self.path))
        stream = self._film.streams.video[0]
        self._film.seek(wanted, stream=stream)
        self._frames, self._next = self._film.decode(stream), int(self._shown[0])


def _is_shown(packet: Any) -> bool:
    return bool(packet.pts is not None and packet.size and not packet.is_discard)


def _upright(frame: Any) -> np.ndarray:
    """As players show it: telephones film in their sensor's direction and note how to turn it."""
    rgb = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))


def read_film(source: Path, poses: Path) -> Iterator[Drive]:
    """The one drive of a film.

    The table's times are seconds from the film's first picture; or its column `frame` has the number of the picture
    that each pose belongs to, from 0.
    """
    source = Path(source)
    if source.is_dir():
        raise DataError(f"{source} is a folder: name a film, or import pictures with nav-foundation data import folder")
    table, film = read_poses(poses), Film(source)
    stamps = np.rint(film.seconds * 1e9).astype(np.int64)
    pose_stamps, numbers, left = _pose_stamps(poses, table, stamps)
    info = EpisodeInfo(source=source.name, notes={"poses": Path(poses).name})
    yield Drive(
        name=str(source), info=info, pictures=[partial(film.picture, k) for k in range(len(stamps))],
        picture_stamps_ns=stamps, poses=table.poses[numbers], pose_stamps_ns=pose_stamps,
        left_out=(*table.left_out, *left),
    )


def _pose_stamps(poses: Path, table: PoseTable, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[LeftOut]]:
    """Stamps on the film's clock, the rows they belong to, and what belongs to no picture."""
    if table.frames is not None:
        frames, rows = np.unique(table.frames, return_index=True)
        inside = frames < len(shown)
        left = [
            LeftOut("poses", len(table.frames) - len(frames), "of a picture that has one"),
            LeftOut("poses", int((~inside).sum()), f"of pictures beyond the film's {len(shown)}"),
        ]
        return shown[frames[inside]], rows[inside], [entry for entry in left if entry.count]
    if table.stamps_ns is None:
        raise DataError(f"{poses} has no times: add a column time (s from the film's start) or frame")
    begin, end = int(table.stamps_ns[0]), int(table.stamps_ns[-1])
    if begin > shown[-1] or end < 0:
        raise DataError(
            f"{poses} tells of {begin / 1e9:.3f} to {end / 1e9:.3f} s and the film lasts {shown[-1] / 1e9:.3f} s: give "
            "seconds from the film's first picture, or the number of the picture in a column frame"
        )
    return table.stamps_ns, np.arange(len(table.poses)), []

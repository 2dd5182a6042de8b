"""Folders of pictures, with the poses in a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from nav_foundation.data.importing.drive import Drive, LeftOut
from nav_foundation.data.importing.picture_files import PICTURES, picture_of
from nav_foundation.data.importing.pose_table import PoseTable, read_poses, to_nanoseconds
from nav_foundation.data.schema import DataError, EpisodeInfo

_TIME = re.compile(r"(?:.*[^\d.])?(\d+(?:\.\d+)?)")  # the number at the end of a name
_UNITS = {"seconds": 10**9, "nanoseconds": 1}
_LEAST_STEP = 1e6  # ns between pictures; less means that their names are not in nanoseconds
_MOST_SHOWN = 3


def read_folder(source: Path, poses: Path) -> Iterator[Drive]:
    """The one drive of a folder.

    The table's column `image` names the picture of each pose. Without it, the pictures' names end in their times, in
    seconds or nanoseconds of the table's clock.
    """
    source = Path(source)
    if not source.is_dir():
        raise DataError(f"{source} is no folder: a film is imported with nav-foundation data import video")
    files = {
        str(path.relative_to(source)): path for path in sorted(source.rglob("*")) if path.suffix.lower() in PICTURES
    }
    if not files:
        raise DataError(f"{source} holds no pictures ({', '.join(PICTURES)})")
    table = read_poses(poses)
    if table.stamps_ns is None:
        raise DataError(f"{poses} has no times: add a column time (s) or stamp_ns")
    names, stamps, left = _by_name(source, poses, files, table) if table.images else _by_time(source, files, table)
    yield Drive(
        name=str(source), info=EpisodeInfo(source=source.resolve().name, notes={"poses": Path(poses).name}),
        pictures=[picture_of(files[name]) for name in names], picture_stamps_ns=stamps, poses=table.poses,
        pose_stamps_ns=table.stamps_ns, picture_names=tuple(names), left_out=(*table.left_out, *left),
    )


def _by_name(
    source: Path, poses: Path, files: dict[str, Path], table: PoseTable
) -> tuple[list[str], np.ndarray, list[LeftOut]]:
    """Pictures that the table names, with the stamps of their rows."""
    assert table.images is not None and table.stamps_ns is not None
    shorter: dict[str, str] = {}
    for name in files:
        shorter.setdefault(Path(name).name, name)
    places = [name if name in files else shorter.get(Path(name).name, "") for name in table.images]
    first = {place: k for k, place in reversed(list(enumerate(places))) if place}
    found = np.array([bool(place) for place in places])
    if not found.any():
        raise DataError(f"{poses} names {table.images[0]!r} and others, none of which is in {source}")
    left = [
        LeftOut("pictures", int((~found).sum()), f"that {poses.name} names and the folder lacks"),
        LeftOut("pictures", len(set(files) - set(first)), f"that {poses.name} does not name"),
        LeftOut("uses of a picture", int(found.sum()) - len(first), f"beyond its first one in {poses.name}"),
    ]
    rows = sorted(first.values())
    return [places[k] for k in rows], table.stamps_ns[rows], [entry for entry in left if entry.count]


def _by_time(source: Path, files: dict[str, Path], table: PoseTable) -> tuple[list[str], np.ndarray, list[LeftOut]]:
    """Pictures in the order of the times that their names tell."""
    assert table.stamps_ns is not None
    texts = {name: match[1] for name, path in files.items() if (match := _TIME.fullmatch(path.stem))}
    left = [LeftOut("pictures", len(files) - len(texts), "whose names end in no time")]
    advice = "name the picture of each pose in a column image"
    if not texts:
        raise DataError(f"{source}: the pictures' names ({_some(files)}) end in no time: {advice}")
    if len(texts) > 2 and _counted(list(texts.values())):
        raise DataError(f"{source}: the pictures ({_some(files)}) are counted, not timed: {advice}")
    begin, end = int(table.stamps_ns[0]), int(table.stamps_ns[-1])
    times = {unit: _stamps(texts, length) for unit, length in _UNITS.items()}
    if not all(text.isdigit() for text in texts.values()) or _typical_step(times["nanoseconds"]) < _LEAST_STEP:
        del times["nanoseconds"]
    within = {unit: sum(begin <= stamp <= end for stamp in stamps.values()) for unit, stamps in times.items()}
    unit = max(within, key=lambda name: within[name])
    if within[unit] == 0:
        raise DataError(
            f"{source}: the times in the pictures' names ({_some(files)}), as seconds or nanoseconds, all lie outside "
            f"those of the poses, {begin / 1e9:.3f} to {end / 1e9:.3f} s: {advice}"
        )
    ordered = sorted(times[unit].items(), key=lambda item: item[1])
    kept = [item for k, item in enumerate(ordered) if k == 0 or item[1] > ordered[k - 1][1]]
    left.append(LeftOut("pictures", len(ordered) - len(kept), "with the time of another one"))
    left.append(LeftOut("pictures", len(texts) - len(ordered), "whose names end in no time that fits into 64 bits"))
    names, stamps_ns = [name for name, _ in kept], np.array([stamp for _, stamp in kept], np.int64)
    return names, stamps_ns, [entry for entry in left if entry.count]


def _stamps(texts: dict[str, str], unit: int) -> dict[str, int]:
    """ns by name, of those that fit into 64 bits."""
    stamps = {name: to_nanoseconds(text, unit) for name, text in texts.items()}
    return {name: stamp for name, stamp in stamps.items() if stamp is not None and stamp < 2**63}


def _typical_step(stamps: dict[str, int]) -> float:
    """ns between one and the next."""
    return float(np.median(np.diff(sorted(stamps.values())))) if len(stamps) > 1 else float("inf")


def _counted(texts: list[str]) -> bool:
    """Whether the numbers are 0, 1, 2 ... or the like."""
    if any("." in text for text in texts):
        return False
    numbers = sorted(int(text) for text in texts)
    return all(later - earlier == 1 for earlier, later in pairwise(numbers))


def _some(files: dict[str, Path]) -> str:
    names = list(files)
    return ", ".join(names[:_MOST_SHOWN]) + (" ..." if len(names) > _MOST_SHOWN else "")

"""A table of poses in a text file: a header, then a row per pose. Commas, semicolons, tabs or blanks divide it."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from nav_foundation.data.importing.drive import LeftOut
from nav_foundation.data.schema import DataError
from nav_foundation.types import NANOSECONDS

_NAMES = {  # what a column is, by the names it may have
    "stamp_ns": ("stamp_ns", "time_ns", "timestamp_ns", "ns"),
    "time": ("time", "t", "timestamp", "stamp", "time_s", "timestamp_s", "seconds", "secs", "sec"),
    "frame": ("frame", "frame_index"), "image": ("image", "picture", "file", "filename", "image_file", "path", "name"),
    "x": ("x", "tx", "pos_x", "px", "x_m"), "y": ("y", "ty", "pos_y", "py", "y_m"),
    "yaw": ("yaw", "theta", "heading", "yaw_rad"), "yaw_deg": ("yaw_deg", "heading_deg", "theta_deg"),
    "qx": ("qx", "q_x"), "qy": ("qy", "q_y"), "qz": ("qz", "q_z"), "qw": ("qw", "q_w"),
}
_QUATERNION = ("qx", "qy", "qz", "qw")
_DIGITS = 25  # that a time may have
_SECONDS_END = 10**11  # s; larger times are not seconds


@dataclass(frozen=True)
class PoseTable:
    """Poses in the order of their stamps, or of the file where it has none."""

    poses: np.ndarray  # [N, 3] x, y, yaw
    stamps_ns: np.ndarray | None  # [N] int64, increasing
    frames: np.ndarray | None  # [N] int64 numbers of pictures in a film
    images: tuple[str, ...] | None  # names of pictures
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class _Row:
    line: int  # in the file, from 1
    cells: dict[str, str]


def read_poses(path: Path) -> PoseTable:
    """The poses of a table with the columns time (s) or stamp_ns, x, y (m), and yaw (rad), yaw_deg or qx qy qz qw.

    Rows without a number are left out and counted; whatever else is wrong is an error with its line.
    """
    columns, rows = _rows(Path(path))
    values: list[tuple[float, float, float]] = []
    stamps: list[int] = []
    kept: list[_Row] = []
    without = 0
    for row in rows:
        pose = _pose(path, row)
        stamp = _stamp(path, row)
        if stamp is None or not all(map(math.isfinite, pose)):
            without += 1
            continue
        values.append(pose)
        stamps.append(stamp)
        kept.append(row)
    left = [LeftOut("poses", without, "without a number in every column")] if without else []
    poses, times = np.array(values, np.float64).reshape(-1, 3), np.array(stamps, np.int64)
    order = np.arange(len(kept))
    if timed := "stamp_ns" in columns or "time" in columns:
        order = np.argsort(times, kind="stable")
        first = np.diff(times[order], prepend=times[order[:1]] - 1) > 0
        if not first.all():
            left.append(LeftOut("poses", int((~first).sum()), "with the stamp of another one"))
        order = order[first]
    if len(order) == 0:
        raise DataError(f"{path} holds no pose: it needs rows of numbers below its header")
    chosen = [kept[k] for k in order.tolist()]
    return PoseTable(
        poses[order], times[order] if timed else None,
        np.array([_whole(path, row, "frame") for row in chosen], np.int64) if "frame" in columns else None,
        tuple(row.cells["image"].strip() for row in chosen) if "image" in columns else None, tuple(left),
    )


def _rows(path: Path) -> tuple[list[str], Iterator[_Row]]:
    """What the columns are, and the rows."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise DataError(f"{path} cannot be read: {reason}") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise DataError(f"{path} is empty: it needs a header such as time,x,y,yaw and a row per pose")
    head = numbered[0][1].lstrip("# \t")
    divider = next((mark for mark in ",;\t" if mark in head), None)
    names = [name.strip().lower() for name in _split(head, divider)]
    columns = [_meaning(name) for name in names]
    _check_columns(path, names, columns)

    def rows() -> Iterator[_Row]:
        for number, line in numbered[1:]:
            if line.lstrip().startswith("#"):
                continue
            cells = _split(line, divider)
            if len(cells) != len(columns):
                raise DataError(f"{path} line {number} has {len(cells)} values where the header has {len(columns)}")
            yield _Row(number, {column: cell for column, cell in zip(columns, cells) if column})

    return [column for column in columns if column], rows()


def _split(line: str, divider: str | None) -> list[str]:
    return line.split() if divider is None else next(csv.reader([line], delimiter=divider, skipinitialspace=True))


def _meaning(name: str) -> str:
    """Empty for columns that are not needed."""
    bare = re.sub(r"[\s\[(].*", "", name)  # "x [m]"
    return next((meaning for meaning, names in _NAMES.items() if name in names or bare in names), "")


def _check_columns(path: Path, names: list[str], columns: list[str]) -> None:
    for column in set(columns) - {""}:
        if columns.count(column) > 1:
            same = ", ".join(name for name, meaning in zip(names, columns) if meaning == column)
            raise DataError(f"{path} has several columns for {column}: {same}; leave one")
    has_yaw = "yaw" in columns or "yaw_deg" in columns or all(part in columns for part in _QUATERNION)
    missing = [name for name in ("x", "y") if name not in columns] + ([] if has_yaw else ["yaw (or qx,qy,qz,qw)"])
    if not {"stamp_ns", "time", "frame", "image"} & set(columns):
        missing.insert(0, "time (or stamp_ns)")
    if missing:
        raise DataError(
            f"{path} line 1 must name the columns, such as time,x,y,yaw; it lacks {', '.join(missing)} and has "
            f"{', '.join(names)[:200]}"
        )


def _pose(path: Path, row: _Row) -> tuple[float, float, float]:
    x, y = _number(path, row, "x"), _number(path, row, "y")
    if "yaw" in row.cells:
        return x, y, _number(path, row, "yaw")
    if "yaw_deg" in row.cells:
        return x, y, math.radians(_number(path, row, "yaw_deg"))
    qx, qy, qz, qw = (_number(path, row, part) for part in _QUATERNION)
    norm = qx * qx + qy * qy + qz * qz + qw * qw
    if norm < 1e-6:
        raise DataError(f"{path} line {row.line}: its quaternion is all zeros, which is no orientation")
    return x, y, math.atan2(2.0 * (qw * qz + qx * qy), norm - 2.0 * (qy * qy + qz * qz))


def _number(path: Path, row: _Row, column: str) -> float:
    """NaN for an empty cell."""
    text = row.cells[column].strip()
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise DataError(f"{path} line {row.line}: {column} is {text[:40]!r}; give a number") from None


def _whole(path: Path, row: _Row, column: str) -> int:
    number = _number(path, row, column)
    if not (math.isfinite(number) and number == int(number) and number >= 0):
        raise DataError(f"{path} line {row.line}: {column} is {row.cells[column]!r}; give a whole number, 0 or more")
    return int(number)


def _stamp(path: Path, row: _Row) -> int | None:
    """ns, exact; 0 where the table has no times, None where the row has none."""
    column = next((name for name in ("stamp_ns", "time") if name in row.cells), None)
    if column is None:
        return 0
    text = row.cells[column].strip()
    stamp = to_nanoseconds(text, 1 if column == "stamp_ns" else NANOSECONDS)
    if text and stamp is None and text.lower() not in ("nan", "-nan", "inf", "-inf"):
        raise DataError(f"{path} line {row.line}: {column} is {text[:40]!r}; give a number")
    if column == "time" and stamp is not None and abs(stamp) >= _SECONDS_END * NANOSECONDS:
        raise DataError(f"{path} line {row.line}: {text} s is no time; call the column stamp_ns if it is nanoseconds")
    if stamp is not None and abs(stamp) >= 2**63:
        raise DataError(f"{path} line {row.line}: {text} ns does not fit into 64 bits")
    return stamp


def to_nanoseconds(text: str, unit: int) -> int | None:
    """A decimal number of units of `unit` ns each, without the loss a float would bring; None for what is none."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return round(value * unit) if value.is_finite() and value.adjusted() < _DIGITS else None

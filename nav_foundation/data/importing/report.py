"""What an import made of its drives: counts, units, and what was left out and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nav_foundation.config import to_mapping
from nav_foundation.data.importing.cut import Cut, ImportRules
from nav_foundation.data.importing.drive import Drive, LeftOut
from nav_foundation.data.schema import EpisodeData, EpisodeInfo
from nav_foundation.data.units import typical_step
from nav_foundation.geometry import path_length

_SPEED_BIN = 0.1  # m/s; wider where the drives are fast
_BINS = 12
_BAR = 40  # characters
_CONTRADICTION = 0.3  # relative, between the measured step and the robot's


@dataclass(frozen=True)
class ImportReport:
    out: Path
    drives: int
    episodes: int
    frames: int
    metres: float
    seconds: float
    gaps: int
    teleports: int
    cruising_step: float | None  # m per frame while driving straight, over all episodes
    speed_edges: tuple[float, ...]  # m/s, of the bins of `speed_counts`
    speed_counts: tuple[int, ...]  # steps from frame to frame
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return to_mapping(self)

    def table(self) -> str:
        """For people."""
        step = "not measurable" if self.cruising_step is None else f"{self.cruising_step:.3f} m per frame"
        rows = [
            ("dataset", str(self.out)), ("drives", f"{self.drives}"), ("episodes", f"{self.episodes}"),
            ("frames", f"{self.frames}"), ("metres", f"{self.metres:.1f}"), ("hours", f"{self.seconds / 3600:.3f}"),
            ("cruising step", step), ("gaps", f"{self.gaps}"), ("teleports", f"{self.teleports}"),
        ]
        lines = [f"{name:14} {value}" for name, value in rows]
        if any(self.speed_counts):
            lines += ["", "speed (m/s)    steps", *self._bars()]
        lines += ["", "left out" if self.left_out else "nothing was left out"]
        lines += [f"{entry.count:8} {entry.what} {entry.why}" for entry in self.left_out]
        return "\n".join(lines + [f"\nwarning: {warning}" for warning in self.warnings])

    def _bars(self) -> list[str]:
        most = max(self.speed_counts)
        return [
            f"{low:5.2f} - {high:5.2f}  {count:6} {'#' * max(round(_BAR * count / most), count > 0)}".rstrip()
            for low, high, count in zip(self.speed_edges, self.speed_edges[1:], self.speed_counts)
        ]


class Tally:
    """Counts while an import runs."""

    def __init__(self, rules: ImportRules) -> None:
        self._rules = rules
        self._drives = self._frames = self._gaps = self._teleports = 0
        self._metres = self._seconds = 0.0
        self._tracks: list[np.ndarray] = []
        self._speeds: list[np.ndarray] = []
        self._left: dict[tuple[str, str], int] = {}
        self._warnings: dict[str, None] = {}
        self._robot = rules.robot

    def begin(self, drive: Drive, result: Cut) -> None:
        self._drives += 1
        self._gaps += result.gaps
        self._teleports += result.teleports
        self._robot = self._robot or drive.info.robot
        for entry in (*drive.left_out, *result.left_out):
            self.leave_out(entry.what, entry.count, entry.why)
        rate, wanted = result.source_rate, self._rules.frame_rate
        if rate is not None and rate < 0.99 * wanted:
            self._warnings[
                f"{drive.name} has {rate:.3g} pictures per second, fewer than the {wanted:g} of the dataset: "
                f"import it with --frame-rate {rate:.2g} or less"
            ] = None

    def leave_out(self, what: str, count: int, why: str) -> None:
        self._left[what, why] = self._left.get((what, why), 0) + count

    def add(self, info: EpisodeInfo, data: EpisodeData) -> None:
        seconds = np.diff(data.stamps_ns) / 1e9
        self._tracks.append(data.poses)
        self._frames += len(data.images)
        self._metres += path_length(data.poses[:, :2])
        self._seconds += float(seconds.sum())
        self._speeds.append(np.linalg.norm(np.diff(data.poses[:, :2], axis=0), axis=1) / seconds)

    def report(self, out: Path) -> ImportReport:
        step = typical_step(self._tracks)
        speeds = np.concatenate(self._speeds) if self._speeds else np.zeros(0)
        # One wild step must not stretch the bins of all others.
        highest = float(np.quantile(speeds, 0.99)) if len(speeds) else 0.0
        width = _SPEED_BIN * max(1, int(np.ceil(highest / (_SPEED_BIN * (_BINS - 1)))))
        edges = np.arange(_BINS + 1) * width
        counts = np.bincount(np.minimum((speeds / width).astype(int), _BINS - 1), minlength=_BINS)
        used = int(np.flatnonzero(counts).max(initial=-1)) + 1
        if warning := self._contradiction(step):
            self._warnings[warning] = None
        if not self._tracks:
            self._warnings["no episode was added: see what was left out and why"] = None
        return ImportReport(
            out=out, drives=self._drives, episodes=len(self._tracks), frames=self._frames, metres=self._metres,
            seconds=self._seconds, gaps=self._gaps, teleports=self._teleports, cruising_step=step,
            speed_edges=tuple(np.round(edges[: used + 1], 6).tolist()), speed_counts=tuple(counts[:used].tolist()),
            left_out=tuple(LeftOut(what, count, why) for (what, why), count in self._left.items()),
            warnings=tuple(self._warnings),
        )

    def _contradiction(self, step: float | None) -> str | None:
        """What is wrong between the measured step and the robot's cruise speed."""
        if self._robot is None or step is None:
            return None
        expected = self._robot.cruise_speed / self._rules.frame_rate
        if abs(step / expected - 1.0) <= _CONTRADICTION:
            return None
        return (
            f"the drives cruise at {step:.3f} m per frame ({step * self._rules.frame_rate:.2f} m/s) and the robot "
            f"{self._robot.name!r} at {expected:.3f} ({self._robot.cruise_speed:g} m/s): check the robot file, "
            "--frame-rate and --scale"
        )

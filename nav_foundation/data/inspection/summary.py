"""What is in a dataset: how much, of whom, where, how fast."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.inspection.look import Seen
from nav_foundation.data.schema import DEPTH, FRONT, LABEL_PLAN
from nav_foundation.data.units import cruising_step, measured_actions
from nav_foundation.geometry import path_length

SPEED_BINS = np.linspace(-0.5, 3.0, 71)  # m/s; what is faster or slower counts in the bin at the end
TURN_BINS = np.linspace(-2.0, 2.0, 81)  # rad/s
_STANDING = 0.02  # m/s
_CRAWL = 0.05  # m/s


@dataclass
class Summary:
    """Grows by an episode at a time. Counters are of episodes."""

    episodes: int = 0
    frames: int = 0
    seconds: float = 0.0
    metres: float = 0.0
    standing: float = 0.0  # s
    robots: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    scenes: Counter[str] = field(default_factory=Counter)
    drivers: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)  # kinds of goals, or texts where no goal is told
    speeds: np.ndarray = field(default_factory=lambda: np.zeros(len(SPEED_BINS) - 1, np.int64))  # frames per bin
    turns: np.ndarray = field(default_factory=lambda: np.zeros(len(TURN_BINS) - 1, np.int64))
    steps: list[float] = field(default_factory=list)  # m per frame, cruising step of each episode that has one

    def add(self, seen: Seen) -> EpisodeRow:
        info = seen.info
        self.episodes += 1
        self.frames += seen.frames
        duration = float(seen.seconds[-1]) + 1.0 / seen.frame_rate  # the last frame lasts too
        self.seconds += duration
        robot = info.robot.name if info.robot else "unknown"
        task = str((info.goal or {}).get("type", info.task))
        for counter, value in (
            (self.robots, robot), (self.sources, info.source or "unknown"), (self.scenes, info.scene or "unknown"),
            (self.drivers, info.driver), (self.tasks, task),
        ):
            counter[value] += 1
        metres = 0.0 if seen.poses is None else self._add_motion(seen.poses, seen.stamps_ns)
        step = None if seen.poses is None else cruising_step(seen.poses)
        if step is not None and step * seen.frame_rate < _CRAWL:
            step = None  # a robot that stood still and trembled
        if step is not None:
            self.steps.append(step)
        return EpisodeRow(seen.number, task, robot, info.scene or "–", seen.frames, duration, metres, step)

    def _add_motion(self, poses: np.ndarray, stamps_ns: np.ndarray) -> float:
        metres = path_length(poses[:, :2])
        self.metres += metres
        if len(poses) > 1 and (np.diff(stamps_ns) > 0).all():
            rates, lasting = measured_actions(poses, stamps_ns)[:-1], np.diff(stamps_ns) / 1e9
            self.standing += float(lasting[np.abs(rates[:, 0]) < _STANDING].sum())
            self.speeds += np.histogram(rates[:, 0].clip(SPEED_BINS[0], SPEED_BINS[-1]), SPEED_BINS)[0]
            self.turns += np.histogram(rates[:, 1].clip(TURN_BINS[0], TURN_BINS[-1]), TURN_BINS)[0]
        return metres

    def as_json(self) -> dict[str, Any]:
        named = ("robots", "sources", "scenes", "drivers", "tasks")
        return {
            "episodes": self.episodes, "frames": self.frames, "hours": self.seconds / 3600, "metres": self.metres,
            "standing_hours": self.standing / 3600,
            "cruising_step": float(np.median(self.steps)) if self.steps else None,
            **{name: dict(getattr(self, name).most_common()) for name in named},
            "speeds": {"edges": SPEED_BINS.tolist(), "frames": self.speeds.tolist()},
            "turns": {"edges": TURN_BINS.tolist(), "frames": self.turns.tolist()},
        }


@dataclass(frozen=True)
class EpisodeRow:
    """A line of the table of episodes."""

    number: int
    task: str
    robot: str
    scene: str
    frames: int
    seconds: float
    metres: float
    cruising_step: float | None  # m per frame


def contents(dataset: EpisodeDataset) -> dict[str, str]:
    """What every frame has, in words."""
    picture = dataset.features.get(FRONT)
    size = f"{picture['shape'][1]}x{picture['shape'][0]} {picture['dtype']}" if picture else "no pictures"
    size_on_disk = sum(file.stat().st_size for file in dataset.folder.rglob("*") if file.is_file())
    return {
        "pictures": size,
        "frame rate": f"{dataset.frame_rate:g} Hz",
        "depth": "yes" if DEPTH in dataset.features else "no",
        "labels of an expert": "yes" if LABEL_PLAN in dataset.features else "no",
        "on disk": f"{size_on_disk / 1e6:,.1f} MB",
    }


def as_text(summary: Summary, about: dict[str, str]) -> str:
    """The summary for a terminal."""
    lines = [
        f"{summary.episodes:,} episodes, {summary.frames:,} frames, {summary.seconds / 3600:.2f} h, "
        f"{summary.metres:,.0f} m, of which standing {summary.standing / max(summary.seconds, 1e-9):.0%}",
        ", ".join(f"{name}: {value}" for name, value in about.items()),
    ]
    if summary.steps:
        low, middle, high = np.quantile(summary.steps, [0.05, 0.5, 0.95])
        lines.append(f"cruising step: {middle:.3f} m per frame ({low:.3f} to {high:.3f} from episode to episode)")
    named = ("robots", "tasks", "drivers", "sources", "scenes")
    return "\n".join([*lines, *(f"{name}: {counted(getattr(summary, name))}" for name in named)])


def counted(counter: Counter[str], shown: int = 5) -> str:
    """`turtlebot 30, jackal 2 and 3 others`."""
    parts = [f"{name if len(name) <= 60 else name[:59] + '…'} {count:,}" for name, count in counter.most_common(shown)]
    others = len(counter) - shown
    return ", ".join(parts) + (f" and {others:,} others" if others > 0 else "")

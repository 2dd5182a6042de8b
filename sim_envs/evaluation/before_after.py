"""How often two networks reach their goals on the same episodes: for the table of a fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim_envs.evaluation.evaluate import evaluate
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.metrics import Estimate, success_interval


@dataclass(frozen=True)
class Reached:
    """Shares of episodes that succeeded, with their 95 % intervals."""

    task: str
    before: Estimate
    after: Estimate


def compare(
    before: Path, after: Path, robot: str, tasks: Sequence[Any], episodes: int, scenes: str, workers: int
) -> list[Reached]:
    """Of each task, with noise on."""

    def share(network: Path, task: Any) -> Estimate:
        settings = EvaluationSettings(
            str(network), task, scenes=scenes, robot=robot, noise=True, episodes=episodes,
            split="val",  # what is tuned may be chosen by this; test scenes are kept for the end
        )
        return success_interval([record["success"] for record in evaluate(settings, workers).records])

    return [Reached(task, share(before, task), share(after, task)) for task in tasks]


def table(rows: Sequence[Reached]) -> str:
    lines = [f"{'task':<14}{'success before':>24}{'after':>24}"]
    return "\n".join(lines + [f"{row.task:<14}{row.before!s:>24}{row.after!s:>24}" for row in rows])


def drive_both(options: Any, before: Path, after: Path) -> tuple[str, list[Reached]]:
    """For `finetune`: what its options ask for, as a table and as data."""
    tasks = [word.strip() for word in options.task.split(",") if word.strip()]
    rows = compare(before, after, options.robot, tasks, options.episodes, options.scenes, max(1, options.workers))
    return table(rows), rows

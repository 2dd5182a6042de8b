"""How often two networks reach their goals on the same episodes: for the table of a fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nav_foundation.config import listed
from nav_foundation.robot import load_robot
from sim_envs.evaluation.evaluate import evaluate
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.metrics import Estimate, success_interval
from sim_envs.tasks.episode import TaskName


@dataclass(frozen=True)
class Reached:
    """Shares of episodes that succeeded, with their 95 % intervals."""

    task: TaskName
    before: Estimate
    after: Estimate


def both_drive(options: Any) -> Callable[[Path, Path], tuple[str, list[Reached]]]:
    """What the options of `finetune` ask for, checked: lets two networks drive, and gives a table and its data."""
    load_robot(options.robot)
    tasks = listed(options.task)
    trials = [
        EvaluationSettings(
            str(options.begin_with), task, scenes=options.scenes, robot=options.robot, noise=True,
            episodes=options.episodes, split="val",  # one may choose by this; test scenes are kept for the end
        )
        for task in tasks
    ]

    def share(trial: EvaluationSettings, network: Path) -> Estimate:
        done = evaluate(replace(trial, policy=str(network)), max(1, options.workers))
        return success_interval([record["success"] for record in done.records])

    def drive(before: Path, after: Path) -> tuple[str, list[Reached]]:
        rows = [Reached(task, share(trial, before), share(trial, after)) for task, trial in zip(tasks, trials)]
        return table(rows), rows

    return drive


def table(rows: Sequence[Reached]) -> str:
    lines = [f"{'task':<14}{'success before':>24}{'after':>24}"]
    return "\n".join(lines + [f"{row.task:<14}{row.before!s:>24}{row.after!s:>24}" for row in rows])

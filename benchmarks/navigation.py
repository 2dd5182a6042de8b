"""How often a network arrives: `python benchmarks/navigation.py --policy nano` appends to benchmarks/results.md.

Unseen houses (test split), dynamics and sensor noise on, shares with 95 % intervals. What has been driven lies in
--notes, and the same command goes on there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from benchmarks.measuring import Row, append, gained  # noqa: E402
from nav_foundation.robot import load_robot  # noqa: E402
from nav_foundation.training.judging import STATED, rank_correlation, within  # noqa: E402
from sim_envs.evaluation.evaluate import EpisodeRunner, EpisodeSource, Evaluation, build_policy, evaluate  # noqa: E402
from sim_envs.evaluation.settings import EvaluationSettings  # noqa: E402
from sim_envs.metrics import success_interval  # noqa: E402
from sim_envs.rollout import run_episode  # noqa: E402


@dataclass(frozen=True)
class Trial:
    what: str
    task: Any
    target: float
    more: dict[str, Any] = field(default_factory=dict)
    policy: str | None = None  # another one, to compare with


ROUTE: dict[str, Any] = {"variant": "route", "distance": (2.0, 6.0)}
POINT: dict[str, Any] = {"distance": (2.0, 10.0)}
ANY: dict[str, Any] = {"variant": "any", "distance": (2.0, 8.0)}
TRIALS = {
    "route": Trial("image goal on a route, 2-6 m", "image-goal", 0.85, ROUTE),
    "blind": Trial("the same, straight ahead for 4 m", "image-goal", 0.0, ROUTE, "straight"),
    "covisible": Trial("image goal, co-visible", "image-goal", 0.75, {"variant": "covisible"}),
    "any": Trial("any image goal, 2-8 m", "image-goal", 0.45, ANY),
    "masked": Trial("the same, its goal masked", "image-goal", 0.0, {**ANY, "mask_goal": True}),
    "point": Trial("point goal, 2-10 m", "point-goal", 0.90, POINT),
    "bearing": Trial("the same, bearing policy", "point-goal", 0.0, POINT, "bearing"),
    "object": Trial("object in view, within 6 m", "object-goal", 0.70, {"variant": "visible", "distance": (1.5, 6.0)}),
    "words": Trial("instruction, one room", "instruction", 0.50, {"variant": "single-room"}),
    "fisheye-route": Trial("rover-fisheye: on a route", "image-goal", 0.0, {**ROUTE, "robot": "rover-fisheye"}),
    "fisheye-point": Trial("rover-fisheye: point goal", "point-goal", 0.0, {**POINT, "robot": "rover-fisheye"}),
    "go2-route": Trial("go2: on a route", "image-goal", 0.0, {**ROUTE, "robot": "go2"}),
    "go2-point": Trial("go2: point goal", "point-goal", 0.0, {**POINT, "robot": "go2"}),
}
ASKED_EVERY = 10  # frames of an oracle's drive


def run(name: str, policy: str, episodes: int, workers: int, notes: Path) -> Evaluation:
    trial = TRIALS[name]
    settings = EvaluationSettings(trial.policy or policy, trial.task, noise=True, episodes=episodes, **trial.more)
    return evaluate(settings, workers, notes / f"{name}.jsonl", existing="keep")


def row_of(name: str, done: Evaluation) -> Row:
    trial, records = TRIALS[name], done.records
    reached = success_interval([record["success"] for record in records])
    spl = float(np.mean([record["spl"] for record in records]))
    metres = sum(record["path_length"] for record in records)
    bumps = sum(record["collisions"] for record in records) / max(metres, 1e-9)
    target = f">= {trial.target:g}" if trial.target else ""
    detail = f"{reached}, {len(records)} episodes; SPL {spl:.3f}; {bumps:.2f} collisions per metre"
    return Row(trial.what, reached.mean, "SR", target, detail)


def against_masked(done: Evaluation, masked: Evaluation) -> Row:
    """The same episodes with the goal in view and without it."""
    gain = gained(masked.records, done.records)
    return Row("what the goal is worth", gain.mean, "SR", "> 0", f"{gain}, paired")


def distances(policy: str, episodes: int) -> list[Row]:
    """What the network says about the way left while an oracle drives: ranks, and whether its doubt is true.

    A goal that is said to be out of reach counts as far, and as outside of what was stated.
    """
    settings = EvaluationSettings("oracle", "image-goal", "route", (1.5, 10.0), noise=True, episodes=episodes)
    runner = EpisodeRunner(EpisodeSource.of(settings, load_robot(settings.robot)))
    learner = build_policy(policy, runner.world)
    said: list[tuple[float, float, float]] = []  # m, m of doubt, m in truth

    def drive(index: int) -> None:
        frames = 0

        def ask(observation: Any, plan: Any, pose: Any) -> None:
            nonlocal frames
            world = runner.world
            if frames == 0:
                learner.reset(world.robot, world.goal, 0, None)
            answer = learner.plan(observation, world.goal)
            if frames % ASKED_EVERY == 0:
                said.append((answer.distance, answer.distance_std, world.distance_to_goal()))
            frames += 1

        run_episode(runner.world, runner.agent, runner.episode(index), ask)

    for index in range(episodes):
        runner.attempt(index, partial(drive, index))
    away, doubt, true = np.array(said).T
    reached = np.isfinite(away)
    detail = f"{len(said)} answers on {episodes} routes, {np.mean(~reached):.1%} said to be out of reach"
    return [
        Row("distance, rank correlation", rank_correlation(np.where(reached, away, 99.0), true), "", ">= 0.85", detail),
        Row(f"distance, {STATED:.0%} interval", float(np.mean(reached)) * within(away[reached], doubt[reached],
            true[reached]), "", "0.75-0.85", detail),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="nano", help="as for `nav-foundation eval` (default nano)")
    parser.add_argument("--episodes", type=int, default=200, help="of each trial (default 200)")
    parser.add_argument("--workers", type=int, default=2, help="(default 2)")
    parser.add_argument("--only", choices=[*TRIALS, "distance"], action="append", help="may be repeated")
    parser.add_argument("--notes", type=Path, default=ROOT / "runs" / "navigation", help="journals of all episodes")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.md", help="where to append")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    names = options.only or [*TRIALS, "distance"]
    rows, done = list[Row](), dict[str, Evaluation]()
    for name in names:
        made: list[Row] = []
        if name == "distance":
            made = distances(options.policy, options.episodes)
        else:
            done[name] = run(name, options.policy, options.episodes, options.workers, options.notes)
            made = [row_of(name, done[name])]
        if name == "masked" and "any" in done:
            made.append(against_masked(done["any"], done["masked"]))
        rows += made
        print("\n".join(map(str, made)), flush=True)
    if not options.no_save:
        append(options.results, f"Navigation, {options.policy}", "test split, noise on", rows)


if __name__ == "__main__":
    main()

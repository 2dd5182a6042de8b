"""A new kind of goal for a trained network: `python benchmarks/modality.py --data runs/city`.

Places that are known to a few metres, as a satellite receiver tells them. Their adapter alone is trained; that nothing
else of the network has changed is checked bit by bit. Then it drives through unseen cities, beside the same network
that is told the same wrong place as a point, and the bearing policy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from benchmarks.measuring import Row, append  # noqa: E402
from nav_foundation.model.folder import WEIGHTS, named  # noqa: E402
from nav_foundation.robot import RobotSpec, load_robot  # noqa: E402
from nav_foundation.training.finetune import tune_settings  # noqa: E402
from nav_foundation.training.train import train  # noqa: E402
from nav_foundation.types import FarGoal, Goal, Observation, Plan, PointGoal  # noqa: E402
from policies.agent import Agent  # noqa: E402
from policies.baselines import BearingPolicy  # noqa: E402
from policies.load import load_policy  # noqa: E402
from policies.policy import Policy, Tour  # noqa: E402
from sim_envs.evaluation.evaluate import EPISODES_PER_SCENE, EpisodeRunner, EpisodeSource  # noqa: E402
from sim_envs.evaluation.settings import EvaluationSettings  # noqa: E402
from sim_envs.metrics import success_interval  # noqa: E402
from sim_envs.rollout import run_episode  # noqa: E402
from sim_envs.workers import run_jobs  # noqa: E402

SPREAD, RADIUS = 2.0, 5.0  # m of error in each direction, m of success
DISTANCE = (15.0, 50.0)  # m to drive
ADAPTER = "goals.far_place."


class Receiver:
    """Tells a policy a place that is some metres off, one error for each episode, as a far place or as a point."""

    def __init__(self, policy: Policy, as_point: bool) -> None:
        self._policy, self._as_point = policy, as_point

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        assert isinstance(goal, PointGoal)
        x, y = np.array([goal.x, goal.y]) + np.random.default_rng(seed).normal(0.0, SPREAD, 2)
        self._told = PointGoal(x, y) if self._as_point else FarGoal(x, y, SPREAD, RADIUS)
        self._policy.reset(robot, self._told, seed, tour)

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        return self._policy.plan(observation, self._told)


def adapted(network: Path, data: Sequence[str], steps: int, out: Path) -> tuple[Path, int]:
    """The network with its new adapter, and how many of its other tensors have changed."""
    settings = tune_settings(tuple(data), "adapter:far", steps)
    made = train(settings, out, resume=True, begin_with=network).folder
    before, after = load_file(network / WEIGHTS), load_file(made / WEIGHTS)
    others = [name for name in after if not name.startswith(ADAPTER)]
    return made, sum(not torch.equal(before[name].to(after[name].dtype), after[name]) for name in others)


def drives(network: str | None, as_point: bool, episodes: int, robot: str) -> Callable[[int], float]:
    """Says of an episode, by its number, whether it was reached; without a network the bearing policy drives."""
    settings = EvaluationSettings(
        "oracle", "point-goal", scenes="city", distance=DISTANCE, robot=robot, noise=True, episodes=episodes
    )
    runner = EpisodeRunner(EpisodeSource.of(settings, load_robot(robot)))
    policy = BearingPolicy() if network is None else load_policy(network)
    agent = Agent(Receiver(policy, as_point), load_robot(robot))

    def drive(index: int) -> float:
        trace = run_episode(runner.world, agent, runner.episode(index))
        away = np.linalg.norm(trace.poses[-1, :2] - trace.episode.goals[0][:2])
        return float(trace.stopped and away < RADIUS)

    return drive


def reached(network: str | None, as_point: bool, episodes: int, robot: str, workers: int) -> list[float]:
    per_city = EPISODES_PER_SCENE["city"]
    groups = [range(k, min(k + per_city, episodes)) for k in range(0, episodes, per_city)]
    done = run_jobs(drives, (network, as_point, episodes, robot), groups, workers)
    return [value for _, value in sorted(tqdm(done, total=episodes, unit="episode"))]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=named, default="nano", help="the network to begin with (default nano)")
    parser.add_argument("--data", nargs="+", required=True, help="datasets of long drives")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--robot", default="jackal")
    parser.add_argument("--workers", type=int, default=2, help="(default 2)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "far")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.md", help="where to append")
    options = parser.parse_args(arguments)
    network, changed = adapted(options.policy, options.data, options.steps, options.out)
    rows = [Row("tensors changed beside the adapter", changed, "", "0", f"{options.steps} steps on {options.data}")]
    trials = (
        ("far goal, its own adapter", str(network), False), ("the same network, told a point", str(network), True),
        ("bearing policy", None, True),
    )
    for name, driver, as_point in trials:
        share = success_interval(reached(driver, as_point, options.episodes, options.robot, options.workers))
        metres = "{:g}-{:g} m".format(*DISTANCE)
        rows.append(Row(name, share.mean, "SR", "", f"{share}, {options.episodes} episodes of {metres} in cities"))
        print(rows[-1], flush=True)
    append(options.results, "A new kind of goal", f"{options.robot}, noise on, places {SPREAD:g} m off", rows)


if __name__ == "__main__":
    main()

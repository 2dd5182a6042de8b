"""Floor and ceiling in unseen houses: the oracle arrives by nearly the shortest way, the blind ones mostly do not."""

from __future__ import annotations

import pytest

from nav_foundation.robot import load_robot
from nav_foundation.types import ImageGoal, PointGoal
from policies.baselines import BearingPolicy
from sim_envs.evaluation.evaluate import Evaluation, evaluate
from sim_envs.evaluation.settings import EvaluationSettings

pytestmark = pytest.mark.slow


def scored(policy: str, **settings: object) -> Evaluation:
    return evaluate(EvaluationSettings(policy=policy, seed=11, **settings), workers=1, progress=False)  # type: ignore[arg-type]


def mean(evaluation: Evaluation, name: str) -> float:
    estimate = evaluation.summary[name]
    assert estimate is not None
    return estimate.mean


def test_the_oracle_reaches_points_and_the_bearing_follower_is_clearly_worse() -> None:
    oracle, bearing = scored("oracle", episodes=12), scored("bearing", episodes=12)
    assert mean(oracle, "success") == 1.0 and mean(oracle, "spl") > 0.93
    assert mean(bearing, "success") < 0.6
    assert [r["episode"] for r in oracle.records] == [r["episode"] for r in bearing.records]


@pytest.mark.parametrize("task", ["image-goal", "object-goal", "instruction", "tour", "explore"])
def test_the_oracle_solves_every_task(task: str) -> None:
    result = scored("oracle", task=task, episodes=4)
    assert mean(result, "success") == 1.0 and not result.broken


@pytest.mark.parametrize("robot", ["jackal", "go2", "rover-fisheye"])
def test_the_oracle_drives_every_shipped_robot_with_noise_and_people_about(robot: str) -> None:
    result = scored("oracle", robot=robot, episodes=5, noise=True, people=2)
    assert mean(result, "success") >= 0.6


def test_the_bearing_follower_refuses_goals_it_cannot_see() -> None:
    import numpy as np

    robot = load_robot("turtlebot")
    BearingPolicy().reset(robot, PointGoal(1.0, 0.0), 0)
    with pytest.raises(ValueError, match="only knows where points are"):
        BearingPolicy().reset(robot, ImageGoal(np.zeros((2, 2, 3), np.uint8)), 0)

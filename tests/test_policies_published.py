"""The policy around ViNT and NoMaD: which frames it shows them, and what it makes of their steps."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nav_foundation.cli import main
from nav_foundation.model.published.config import KINDS, Kind, Provenance
from nav_foundation.model.published.load import build, config_of, import_checkpoint
from nav_foundation.preprocessing import normalise
from nav_foundation.robot import load_robot
from nav_foundation.types import Explore, Goal, ImageGoal, Observation, PointGoal, Pose2
from policies.agent import Agent
from policies.published import PublishedPolicy, with_yaw

SPACING = 0.4  # m
ROBOT = load_robot("turtlebot")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads on a busy machine wait for each other far longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def policies() -> dict[Kind, PublishedPolicy]:
    torch.manual_seed(3)
    made = {kind: PublishedPolicy(build(kind), config_of(kind, SPACING, Provenance("x.pth", "", ""))) for kind in KINDS}
    for name, weight in [pair for policy in made.values() for pair in policy.network.named_parameters()]:
        if name in ("dist_predictor.0.bias", "dist_pred_net.network.4.bias"):
            weight.data += 6.0  # steps, so that nothing is at the goal from the start
    return made


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def observation(number: int, stamp: float) -> Observation:
    return Observation(picture(number), round(stamp * 1e9), Pose2(0.0, 0.0, 0.0))


GOAL = ImageGoal(picture(99))


@torch.no_grad()
def test_frames_are_taken_one_step_apart_and_answers_are_metric(policies: dict[Kind, PublishedPolicy]) -> None:
    policy = policies["vint"]
    policy.reset(ROBOT, GOAL, seed=0)
    step = SPACING / ROBOT.cruise_speed  # s
    for number in range(21):  # four frames to a step: frames 0, 4, .. 20 are what the network was trained to see
        plan = policy.plan(observation(number, number * step / 4), GOAL)
    frames = [policy.config.preprocessing(picture(number)) for number in (0, 4, 8, 12, 16, 20)]
    stacked = torch.from_numpy(normalise(np.stack(frames))).reshape(1, 18, 64, 85)
    goal = torch.from_numpy(normalise(policy.config.preprocessing(GOAL.rgb)))[None]
    distance, waypoints = policy.network(stacked, goal)
    np.testing.assert_allclose(plan.waypoints[:, :2], waypoints[0, :, :2] * SPACING, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.cos(plan.waypoints[:, 2]), waypoints[0, :, 2], atol=1e-4)
    assert plan.distance == pytest.approx(float(distance) * SPACING, rel=1e-3)
    assert plan.waypoint_dt >= step and plan.stamp_ns == round(5 * step * 1e9)


@torch.no_grad()
def test_before_there_is_a_past_the_first_frame_stands_for_it(policies: dict[Kind, PublishedPolicy]) -> None:
    policy = policies["nomad"]
    policy.reset(ROBOT, GOAL, seed=0)
    plan = policy.plan(observation(0, 0.0), GOAL)
    shown, goal = (torch.from_numpy(normalise(policy.config.preprocessing(p)))[None] for p in (picture(0), GOAL.rgb))
    _, distance = policy.network(shown.repeat(1, 4, 1, 1), goal, torch.tensor([False]))
    assert plan.distance == pytest.approx(max(0.0, float(distance)) * SPACING, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_episodes_repeat_from_their_seed(policies: dict[Kind, PublishedPolicy], kind: Kind) -> None:
    def drive(seed: int) -> list[np.ndarray]:
        policies[kind].reset(ROBOT, GOAL, seed)
        return [policies[kind].plan(observation(i, i / 5), GOAL).waypoints for i in range(2)]

    np.testing.assert_array_equal(once := drive(1), drive(1))
    if kind == "nomad":
        assert not np.allclose(once, drive(2))


def test_exploring_has_no_distance_and_several_ways(policies: dict[Kind, PublishedPolicy]) -> None:
    policy = policies["nomad"]
    policy.reset(ROBOT, Explore(), seed=0)
    first, second = (policy.plan(observation(i, i / 5), Explore()) for i in range(2))
    assert math.isinf(first.distance) and first.arrival == 0.0 and len(first.alternatives) == 7
    ways = [second.waypoints, *second.alternatives]
    apart = [np.linalg.norm(way[:, :2] - first.waypoints[:, :2], axis=1).mean() for way in ways]
    assert apart == sorted(apart)  # what is driven along is kept


@pytest.mark.parametrize(("legs", "seconds"), [(1.0, 1.0), (3.0, 3 * SPACING / ROBOT.max_speed)])
def test_a_fast_plan_is_driven_as_fast_as_the_robot_can(
    policies: dict[Kind, PublishedPolicy], legs: float, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`legs` steps from waypoint to waypoint, on a robot that cruises at one step a second."""
    policy, action = policies["vint"], torch.zeros(1, 5, 4)
    action[0, :, 0], action[0, :, 2] = legs * torch.arange(1, 6), 1.0
    monkeypatch.setattr(policy.network, "decode", lambda tokens: (torch.tensor([[9.0]]), action))
    assert SPACING / ROBOT.cruise_speed == 1.0
    agent = Agent(policy, ROBOT)
    agent.reset(GOAL)
    plan = agent.plan(observation(0, 0.0), GOAL)
    assert plan.waypoint_dt == pytest.approx(seconds)
    assert agent.command(plan, Pose2(0.0, 0.0, 0.0), 0).linear > 0 and not agent.controller.fault


@pytest.mark.parametrize(("distance", "least", "most"), [(0.0, 0.95, 1), (1.0, 0.49, 0.51), (3.0, 0, 0.01)])
def test_arrival_follows_the_distance(
    policies: dict[Kind, PublishedPolicy], distance: float, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = policies["vint"]
    answer = (torch.tensor([[distance / SPACING]]), torch.zeros(1, 5, 4))
    monkeypatch.setattr(policy.network, "decode", lambda tokens: answer)
    policy.reset(ROBOT, GOAL, seed=0)
    assert least <= policy.plan(observation(0, 0.0), GOAL).arrival <= most


def test_a_clock_that_is_set_back_begins_anew(policies: dict[Kind, PublishedPolicy]) -> None:
    policy = policies["vint"]
    policy.reset(ROBOT, GOAL, seed=0)
    fresh = policy.plan(observation(0, 5.0), GOAL)
    policy.plan(observation(1, 100.0), GOAL)
    again = policy.plan(observation(0, 5.0), GOAL)
    np.testing.assert_allclose(again.waypoints, fresh.waypoints, atol=1e-6)


def test_yaw_follows_the_way() -> None:
    way = with_yaw(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.01], [0.0, 1.01]]))
    np.testing.assert_allclose(way[:, 2], [0.0, math.pi / 2, math.pi / 2, math.pi])


@pytest.mark.parametrize(("kind", "goal", "words"), [
    ("vint", Explore(), "vint was not made for explore: use it with image-goal"),
    ("nomad", PointGoal(1.0, 0.0), "nomad was not made for PointGoal: use it with image-goal or explore"),
])
def test_other_goals_are_refused(policies: dict[Kind, PublishedPolicy], kind: Any, goal: Goal, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        policies[kind].reset(ROBOT, goal, seed=0)


def test_a_folder_is_evaluated(
    policies: dict[Kind, PublishedPolicy], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "result.json", tmp_path / "nomad"
    state = policies["nomad"].network.state_dict()
    there = {"dist_pred_net.network.4.bias": torch.tensor([-9.0])}  # at the goal from the start: a short episode
    torch.save({**state, **there}, tmp_path / "nomad.pth")
    import_checkpoint(tmp_path / "nomad.pth", "nomad", SPACING, folder)
    command = ["eval", "--policy", str(folder), "--workers", "1", "--episodes", "1", "--json", str(file)]
    assert main([*command, "--task", "tour"]) == 2
    assert "nomad was not made for tour" in capsys.readouterr().err
    assert main([*command, "--task", "image-goal"]) == 0
    assert json.loads(file.read_text())["success"]["mean"] == 0.0

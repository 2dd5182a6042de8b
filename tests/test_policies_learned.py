"""Our network as a policy: every goal is served, the past is where it was, twins agree."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nav_foundation.model.checkpoint import save_pretrained
from nav_foundation.model.config import preset
from nav_foundation.model.floor import floor_columns, floor_edges
from nav_foundation.model.goals import GoalTokens
from nav_foundation.model.network import NavigationModel
from nav_foundation.robot import load_robot
from nav_foundation.types import (
    Explore,
    FarGoal,
    Goal,
    ImageGoal,
    InstructionGoal,
    NodeGoal,
    ObjectGoal,
    Observation,
    PointGoal,
    Pose2,
    PoseGoal,
    RouteGoal,
)
from policies.learned import LearnedPolicy
from policies.masked import GoalMasked
from policies.sightings import Sightings
from sim_envs.evaluation.evaluate import evaluate
from sim_envs.evaluation.settings import EvaluationSettings

ROBOT = load_robot("turtlebot")
PICTURES = np.random.default_rng(0).integers(0, 256, (40, ROBOT.camera.height, ROBOT.camera.width, 3), dtype=np.uint8)
GOALS = [
    ImageGoal(PICTURES[0]), PointGoal(2.0, 1.0), FarGoal(30.0, -8.0, spread=2.0),
    PoseGoal(2.0, 1.0, 0.5), InstructionGoal("go to the sofa"),
    ObjectGoal("chair"), RouteGoal("left"), Explore(),
]
SHOWN = [goal for goal in GOALS if isinstance(goal, (ImageGoal, ObjectGoal, InstructionGoal))]


@pytest.fixture(scope="module")
def model() -> NavigationModel:
    torch.manual_seed(0)
    network = NavigationModel(preset("tiny"))
    torch.nn.init.normal_(network.goals.far_place[-1].weight)  # as if it were taught
    return network


def seen(k: int, odometry: bool = True) -> Observation:
    return Observation(PICTURES[k], k * 200_000_000, Pose2(0.05 * k, 0.0, 0.02 * k) if odometry else None)


def drive(policy: LearnedPolicy, goal: Goal, count: int, seed: int = 0, odometry: bool = True) -> list:
    policy.reset(ROBOT, goal, seed)
    return [policy.plan(seen(k, odometry), goal) for k in range(1, count)]


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: type(goal).__name__)
def test_every_kind_of_goal_gets_a_plan(model: NavigationModel, goal: Goal) -> None:
    plan = drive(LearnedPolicy(model), goal, 3)[-1]
    assert plan.waypoints.shape == (8, 3) and np.isfinite(plan.waypoints).all()
    assert plan.waypoint_dt == 1 / ROBOT.frame_rate and plan.stamp_ns == seen(2).stamp_ns
    assert 0 <= plan.arrival <= 1 and len(plan.alternatives) == 7


@pytest.mark.parametrize("goal", SHOWN, ids=lambda goal: type(goal).__name__)
def test_what_was_seen_is_driven_to_as_a_place(
    model: NavigationModel, monkeypatch: pytest.MonkeyPatch, goal: Goal
) -> None:
    monkeypatch.setattr(Sightings, "place", lambda self, stamp_ns: None)
    by_itself = drive(LearnedPolicy(model), goal, 2)[-1].waypoints
    monkeypatch.setattr(Sightings, "place", lambda self, stamp_ns: (2.0, 1.0))
    located = drive(LearnedPolicy(model), goal, 2)[-1].waypoints
    monkeypatch.setattr(LearnedPolicy, "_way", lambda self, observation, goal: None)  # no map leads to what was seen
    as_place = drive(LearnedPolicy(model), PointGoal(2.0, 1.0), 2)[-1].waypoints
    np.testing.assert_allclose(located, as_place, atol=1e-5)
    assert np.abs(located - by_itself).max() > 1e-3
    blind = drive(LearnedPolicy(model), goal, 2, odometry=False)[-1].waypoints  # knows no place to drive to
    np.testing.assert_allclose(blind, by_itself, atol=1e-5)


@pytest.mark.parametrize("goal", SHOWN, ids=lambda goal: type(goal).__name__)
def test_beside_what_was_named_it_has_arrived(
    model: NavigationModel, monkeypatch: pytest.MonkeyPatch, goal: Goal
) -> None:
    monkeypatch.setattr(model.heads.arrival, "forward", lambda value: torch.full((1, 1, 1), -3.0))
    here = seen(1).odometry
    assert here is not None
    for away, beside in ((0.3, True), (0.5, False)):
        monkeypatch.setattr(Sightings, "place", lambda self, stamp_ns, y=here.y + away: (here.x, y))
        plan = drive(LearnedPolicy(model), goal, 2)[-1]
        assert (plan.arrival == 1.0) == (beside and not isinstance(goal, ImageGoal))


def test_what_the_network_says_of_a_goal_s_place_is_kept(model: NavigationModel) -> None:
    knowing = copy.deepcopy(model)
    with torch.no_grad():  # everything is 2 m to the left, and all of it is in view
        knowing.heads.place[-1].weight.zero_()
        knowing.heads.place[-1].bias.copy_(torch.tensor([math.log(3.0), 0.0, 1.0, 1.0, 0.0]))
        knowing.correspondence.nowhere.fill_(-50.0)
    policy = LearnedPolicy(knowing)
    drive(policy, ImageGoal(PICTURES[0]), 2)
    here = seen(1).odometry
    assert here is not None
    expected = (here.x - 2.0 * math.sin(here.yaw), here.y + 2.0 * math.cos(here.yaw))
    assert policy._sightings.place(seen(1).stamp_ns) == pytest.approx(expected, abs=1e-4)
    policy.plan(seen(2), ImageGoal(PICTURES[1]))  # another goal lies elsewhere
    assert len(policy._sightings._kept) == 1


def test_far_places_are_refused_by_who_was_not_taught_them() -> None:
    with pytest.raises(ValueError, match="was not taught far goals"):
        drive(LearnedPolicy(NavigationModel(preset("tiny"))), FarGoal(30.0, -8.0, spread=np.float64(2.0)), 2)


def test_maps_and_places_without_odometry_are_refused(model: NavigationModel) -> None:
    policy = LearnedPolicy(model)
    with pytest.raises(ValueError, match="NodeGoal"):
        policy.reset(ROBOT, NodeGoal("a"), 0)
    with pytest.raises(ValueError, match="odometry"):
        drive(policy, PointGoal(1.0, 1.0), 2, odometry=False)
    assert len(drive(policy, ImageGoal(PICTURES[0]), 6, odometry=False)) == 5


def test_twins_agree_and_other_seeds_sample_otherwise(model: NavigationModel) -> None:
    first, twin, other = (drive(LearnedPolicy(model), GOALS[0], 6, seed) for seed in (3, 3, 4))
    for a, b in zip(first, twin):
        np.testing.assert_array_equal(a.waypoints, b.waypoints)
    assert not np.allclose(first[0].waypoints, other[0].waypoints)
    regressed = drive(LearnedPolicy(model, samples=0), GOALS[0], 6, 3)
    assert regressed[0].alternatives == () and regressed[0].distance == pytest.approx(first[0].distance)


def test_the_past_counts_and_a_reset_forgets_it(model: NavigationModel) -> None:
    policy = LearnedPolicy(model, samples=0)
    drive(policy, Explore(), 8)
    history = policy._history(seen(8))
    assert history.seen[0].tolist() == [True, True, True, False]  # 0.4, 0.8 and 1.2 s ago; 1.6 s ago nothing was seen
    np.testing.assert_allclose(history.motion[0, :3, 4], [0.4, 0.8, 1.2], atol=1e-6)
    assert (history.motion[0, :3, 0] < 0).all()  # behind
    with_past = policy.plan(seen(8), Explore()).waypoints
    policy.reset(ROBOT, Explore(), 0)
    assert not policy._history(seen(8)).seen.any()
    assert not np.allclose(policy.plan(seen(8), Explore()).waypoints, with_past)


def test_a_place_is_told_from_where_the_robot_is(model: NavigationModel) -> None:
    """The same place relative to the robot gives the same plan, wherever the odometry's origin is."""
    policy = LearnedPolicy(model, samples=0)
    plans = []
    for pose, goal in ((Pose2(0, 0, 0), PointGoal(2, 1)), (Pose2(3, 4, np.pi / 2), PointGoal(2, 6))):
        policy.reset(ROBOT, goal, 0)
        plans.append(policy.plan(Observation(PICTURES[0], 0, pose), goal).waypoints)
    np.testing.assert_allclose(plans[0], plans[1], atol=1e-5)


def test_the_map_leads_to_places_through_doors(model: NavigationModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is told of a wall ahead with a door to the left, and drives to the door first."""
    columns = model.heads.floor is not None and floor_columns(model.config.view)
    chances = torch.full((1, int(columns), model.config.floor_bins), 0.01)
    wall = int(np.searchsorted(floor_edges(model.config.floor_bins), 1.5))
    chances[0, 4:, wall] = 0.95  # all but what lies more than 25 degrees to the left
    monkeypatch.setattr(model, "free_floor", lambda *asked: chances)
    asked_for = list[tuple[float, float]]()
    place_of = model.goals.place

    def place(places: torch.Tensor, facing: torch.Tensor) -> GoalTokens:
        asked_for.append((float(places[0, 0]), float(places[0, 1])))
        return place_of(places, facing)

    monkeypatch.setattr(model.goals, "place", place)
    for goal, led in ((PointGoal(4.0, 0.0), True), (PoseGoal(4.0, 0.0, 1.0), True), (PointGoal(0.5, 0.0), False)):
        policy = LearnedPolicy(model)
        policy.reset(ROBOT, goal, 0)
        for k in range(15):
            asked_for.clear()
            policy.plan(Observation(PICTURES[k], k * 200_000_000, Pose2(0.0, 0.0, 0.0)), goal)
        assert asked_for[0] == (goal.x, goal.y)  # how far it is, and whether it has arrived
        assert (len(asked_for) == 2) == led
        if led:
            assert math.atan2(asked_for[1][1], asked_for[1][0]) > 0.3
    policy.reset(ROBOT, goal, 0)
    asked_for.clear()
    policy.plan(Observation(PICTURES[0], 0, Pose2(0.0, 0.0, 0.0)), Explore())
    assert not asked_for  # only places are led to


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_by_its_folder(model: NavigationModel, tmp_path: Path) -> None:
    save_pretrained(model, tmp_path / "net", {})
    near = (1.6, 2.5)
    settings = EvaluationSettings(
        str(tmp_path / "net"), task="image-goal", scenes="house:3", distance=near, episodes=1)
    records = evaluate(settings, 1, tmp_path / "r.jsonl", progress=False)
    assert (tmp_path / "r.jsonl").read_text().count("\n") == 2 and records is not None


def touching_ahead(chance: float) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A wall right ahead: what moves touches it with a logit of `chance`, turning does not."""
    return lambda plan, ways: torch.where(ways[..., :2].abs().amax(dim=(-2, -1)) > 0.1, chance, -3.0)


def test_in_a_corner_it_turns_and_then_tries(model: NavigationModel, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = LearnedPolicy(model)
    ahead = torch.zeros(8, 8, 4)
    ahead[..., 0] = ahead[..., 2] = 1.0  # straight on, at cruise speed
    monkeypatch.setattr(model, "sample", lambda told, noise: ahead)
    for chance, turns in ((-3.0, False), (0.2, True)):
        policy.reset(ROBOT, Explore(), seed=0)
        monkeypatch.setattr(model.heads, "touching", touching_ahead(chance))
        plan = policy.plan(seen(1), Explore())
        assert (abs(plan.waypoints[-1, 2]) > 1.0 and not plan.waypoints[:, :2].any()) == turns
        assert plan.collision == pytest.approx(0.0474, abs=1e-3) and len(plan.alternatives) == 7
    moves, yaw = [], 0.0
    for k in range(2, 130):  # it turns as planned, and sees a wall everywhere
        yaw += plan.waypoints[0, 2]
        plan = policy.plan(Observation(PICTURES[k % 40], k * 200_000_000, Pose2(0.0, 0.0, yaw)), Explore())
        moves.append(bool(plan.waypoints[:, :2].any()))
    assert 2 * math.pi / 0.9 * ROBOT.frame_rate - 10 < moves.index(True) < 120  # not before it has looked around


def test_what_held_it_is_not_driven_into_again(model: NavigationModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = torch.zeros(8, 8, 4)
    ahead[..., 0] = ahead[..., 2] = 1.0  # straight on, at cruise speed
    ahead[7, :, :2] = torch.tensor([0.0, 1.0])  # but one in eight, to the left
    monkeypatch.setattr(model, "sample", lambda told, noise: ahead)
    monkeypatch.setattr(model.heads, "touching", lambda plan, ways: torch.full(ways.shape[:-2], -9.0))
    policy, goal = LearnedPolicy(model), PointGoal(9.0, 0.0)
    policy.reset(ROBOT, goal, seed=0)
    here = [-0.08, *[0.0] * 6]  # m: it comes, and is held
    plans = [policy.plan(dataclasses.replace(seen(k), odometry=Pose2(x, 0.0, 0.0)), goal) for k, x in enumerate(here)]
    assert [bool(plan.waypoints[-1, 0] > 0.5) for plan in plans] == [True] * 4 + [False] * 3
    assert plans[4].waypoints[-1, 1] > 0.5 and plans[3].collision < 0.1 and plans[4].collision < 0.1


def test_a_robot_that_gets_nowhere_explores(model: NavigationModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    decide = model.decide
    monkeypatch.setattr(model, "decide", lambda memory, goals: asked.append(goals.tokens) or decide(memory, goals))
    monkeypatch.setattr(model.heads.arrival, "forward", lambda value: torch.full((1, 1, 1), -3.0))
    monkeypatch.setattr(Sightings, "place", lambda self, stamp_ns: None)
    goal, policy = ImageGoal(PICTURES[0]), LearnedPolicy(model)
    policy.reset(ROBOT, goal, seed=0)
    for k in range(66):
        policy.plan(Observation(PICTURES[1], k * 200_000_000, Pose2(0.0, 0.0, 0.0)), goal)
    assert {part.shape[2] for part in asked[:61]} == {model.encoder.tokens}
    assert [part.shape[2] for part in asked[61:65]] == [model.encoder.tokens, 1] * 2  # no goal's one token


@pytest.mark.parametrize("rate", [5.0, 30.0])
def test_it_turns_where_its_plans_would(model: NavigationModel, monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    robot = dataclasses.replace(ROBOT, frame_rate=rate, control_rate=60.0)
    right = torch.zeros(8, 8, 4)
    right[..., 2], right[..., 3] = math.cos(0.05), -math.sin(0.05)
    policy = LearnedPolicy(model)
    policy.reset(robot, Explore(), seed=0)
    monkeypatch.setattr(model, "sample", lambda told, noise: right)
    monkeypatch.setattr(model.heads, "touching", lambda plan, ways: torch.full(ways.shape[:-2], -3.0))
    assert policy.plan(seen(1), Explore()).waypoints[-1, 2] < 0
    right[..., 0], right[..., 2], right[..., 3] = 1.0, 1.0, 0.0  # straight on at cruise speed is no corner
    assert policy.plan(seen(2), Explore()).waypoints[-1, 0] == pytest.approx(8 * robot.step)


def test_half_an_arrival_is_no_leave_to_stand(model: NavigationModel, monkeypatch: pytest.MonkeyPatch) -> None:
    still = torch.zeros(8, 8, 4)
    still[..., 2] = 1.0
    monkeypatch.setattr(model, "sample", lambda told, noise: still)
    for chance, stands in ((0.65, False), (0.95, True)):
        sure = torch.tensor([[[math.log(chance / (1 - chance))]]])
        monkeypatch.setattr(model.heads.arrival, "forward", lambda value, sure=sure: sure)
        policy = LearnedPolicy(model)
        policy.reset(ROBOT, PointGoal(1.0, 0.0), seed=0)
        assert (not policy.plan(seen(1), PointGoal(1.0, 0.0)).waypoints.any()) == stands


def test_what_was_seen_from_here_is_no_past(model: NavigationModel) -> None:
    """Else what once stood would learn from standing that it is to stand."""
    standing, moving = LearnedPolicy(model), LearnedPolicy(model)
    frames = [dataclasses.replace(seen(k), odometry=Pose2(0.0, 0.0, 0.0)) for k in range(1, 9)]
    standing.reset(ROBOT, GOALS[0], 0)
    alone = LearnedPolicy(model)
    alone.reset(ROBOT, GOALS[0], 0)
    last = [standing.plan(frame, GOALS[0]) for frame in frames][-1]
    assert last.distance == alone.plan(frames[-1], GOALS[0]).distance
    assert drive(moving, GOALS[0], 9)[-1].distance != last.distance


def test_with_its_goal_masked_it_explores_and_is_told_where_it_is(model: NavigationModel) -> None:
    goal, frame = PointGoal(2.0, 1.0), seen(3)
    masked = GoalMasked(LearnedPolicy(model), LearnedPolicy(model))
    alone, asked = LearnedPolicy(model), LearnedPolicy(model)
    for policy, told in ((masked, goal), (alone, Explore()), (asked, goal)):
        policy.reset(ROBOT, told, seed=4)
    plan, free, knowing = masked.plan(frame, goal), alone.plan(frame, Explore()), asked.plan(frame, goal)
    np.testing.assert_array_equal(plan.waypoints, free.waypoints)
    assert (plan.arrival, plan.distance) == (knowing.arrival, knowing.distance) != (free.arrival, free.distance)


@pytest.mark.parametrize("policy", ["oracle", "bearing"])
def test_only_networks_can_do_without_their_goal(policy: str) -> None:
    with pytest.raises(ValueError, match="cannot do without its goal"):
        EvaluationSettings(policy, "point-goal", mask_goal=True)

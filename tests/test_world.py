"""The world on an open field: limits, odometry, latency, people and rollouts, against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nav_foundation.geometry import compose
from nav_foundation.robot import load_robot
from nav_foundation.types import ImageGoal, PointGoal, Pose2, Velocity
from policies.agent import Agent
from policies.baselines import BearingPolicy, RandomWalkPolicy, StraightPolicy
from sim_envs.metrics import judge
from sim_envs.oracle import OraclePolicy
from sim_envs.rollout import Trace, run_episode
from sim_envs.simulator import Instance, Pose, SceneRef
from sim_envs.tasks.episode import Episode, EpisodeError, GoalView
from sim_envs.world import World, WorldSettings, distance_to_outline, goal_camera
from tests.open_field import OpenField

ROBOT = load_robot("turtlebot")


def point_episode(goal: tuple[float, float] = (7.0, 5.0), seed: int = 0, start: Pose = Pose(2, 5, 0, 0)) -> Episode:
    goals = np.array([[*goal, 0.0]])
    away = math.dist(goal, (start.x, start.y))
    return Episode("0", "point-goal", SceneRef("house"), start, goals, 0.5, away, seed=seed)


def test_the_goal_is_given_in_the_frame_of_the_start() -> None:
    world = World(OpenField(), ROBOT)
    world.reset(point_episode((2.0, 8.0), start=Pose(2, 5, 0, math.pi / 2)))
    assert isinstance(world.goal, PointGoal)
    assert (world.goal.x, world.goal.y, world.goal.radius) == pytest.approx((3.0, 0.0, 0.5), abs=1e-9)
    assert world.odometry == Pose2(0.0, 0.0, 0.0)


def test_a_goals_own_camera_takes_its_picture_from_where_it_was() -> None:
    """Right above the floor of the storey that it stands on, of two."""
    view = GoalView((3.0, 4.0, 4.2), 1.0, 0.3, 60.0, 320, 200)
    goals = np.array([[2.5, 4.0, 0.0], [2.6, 4.0, 3.0]])
    episode = replace(point_episode(), task="image-goal", goals=goals, goal_yaw=1.0, goal_view=view)
    pose, camera = goal_camera(episode, ROBOT.camera)
    assert (pose.x, pose.y, pose.yaw) == (3.0, 4.0, 1.0) and pose.z + camera.mount_height == pytest.approx(4.2)
    assert pose.z == pytest.approx(3.0) and (camera.pitch, camera.hfov_deg, camera.mount_forward) == (0.3, 60.0, 0.0)
    world = World(OpenField(), ROBOT)
    world.reset(replace(episode, goals=goals[:1]))
    assert isinstance(world.goal, ImageGoal) and world.goal.rgb.shape == (200, 320, 3)


def test_a_goal_within_an_obstacle_is_told_where_it_can_be_reached() -> None:
    world = World(OpenField(), ROBOT)
    world.reset(point_episode((9.95, 5.0)))
    assert (2 + world.goal.x, world.goal.y) == pytest.approx((10 - ROBOT.footprint.radius, 0.0))


def test_who_drives_straight_ahead_stops_after_4_m_whatever_the_goal_is() -> None:
    for goal in ((3.0, 8.0), (8.0, 8.0)):
        world = World(OpenField(), ROBOT)
        episode = point_episode(goal, start=Pose(2, 2, 0, math.pi / 4))
        trace = run_episode(world, Agent(StraightPolicy(), ROBOT), episode)
        end = 2 + 4 * math.sqrt(0.5)
        assert trace.stopped and trace.poses[-1, :2] == pytest.approx([end, end], abs=0.4)


def test_an_episode_ends_after_four_times_the_shortest_drive_and_thirty_seconds() -> None:
    world = World(OpenField(), ROBOT)
    world.reset(point_episode())
    while not world.done:
        world.tick(Velocity())
    assert world.time == pytest.approx(4 * 5.0 / ROBOT.cruise_speed + 30, abs=0.1)
    assert not world.stopped


def test_running_along_a_wall_is_one_contact() -> None:
    world = World(OpenField(), ROBOT)
    world.reset(point_episode(start=Pose(9.0, 5, 0, 0)))
    for _ in range(200):
        world.tick(Velocity(0.4))
    assert world.contacts == 1 and world.pose.x == pytest.approx(10 - ROBOT.footprint.radius)


def test_an_unsolvable_episode_and_a_start_outside_say_so() -> None:
    world = World(OpenField(), ROBOT)
    with pytest.raises(EpisodeError, match="no way to its goal"):
        world.reset(point_episode((20.0, 5.0)))
    with pytest.raises(EpisodeError, match="does not fit at its start"):
        world.reset(point_episode(start=Pose(-50, 5, 0, 0)))


def test_an_exploration_without_a_length_would_never_end() -> None:
    endless = Episode("0", "explore", SceneRef("house"), Pose(2, 5, 0, 0), np.empty((0, 3)), 1.0, math.nan)
    with pytest.raises(EpisodeError, match="metres that an expert drives"):
        World(OpenField(), ROBOT).reset(endless)


def run(policy: str, seed: int = 0, noise: bool = False, people: int = 0) -> Trace:
    world = World(OpenField(), ROBOT, WorldSettings(noise=noise, people=people))
    made = {"oracle": OraclePolicy(world), "bearing": BearingPolicy(), "random": RandomWalkPolicy()}[policy]
    return run_episode(world, Agent(made, ROBOT), point_episode(seed=seed, start=Pose(2, 5, 0, 2.0)))


@pytest.mark.parametrize("policy", ["oracle", "bearing"])
def test_with_nothing_in_the_way_the_goal_is_reached_straight(policy: str) -> None:
    trace = run(policy)
    score = judge(trace)
    assert trace.stopped and score.success == 1.0 and score.spl > 0.98 and trace.contacts == 0


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_drive() -> None:
    first, again, other = (run("random", seed=s, noise=True, people=3) for s in (1, 1, 2))
    assert np.array_equal(first.poses, again.poses)
    assert first.poses.shape != other.poses.shape or not np.array_equal(first.poses, other.poses)


def test_noise_makes_odometry_wrong_but_not_wild() -> None:
    errors = []
    for seed in range(40):
        world = World(OpenField(), ROBOT, WorldSettings(noise=True))
        world.reset(point_episode(seed=seed))
        for _ in range(240):
            world.tick(Velocity(0.4))
        driven = world.pose.x - 2.0
        truth = compose(Pose2(2.0, 5.0, 0.0), world.odometry)
        errors.append(math.dist((truth.x, truth.y), (world.pose.x, world.pose.y)) / driven)
    assert 0.003 < np.mean(errors) < 0.06


def test_a_delayed_frame_shows_the_past_and_says_so() -> None:
    world = World(OpenField(), ROBOT, WorldSettings(noise=True))
    for seed in range(20):  # latency is drawn per episode: take one that has some
        world.reset(point_episode(seed=seed))
        for _ in range(60):
            world.tick(Velocity(0.4))
        seen = world.observe()
        tick = world.frame_ticks[-1]
        assert seen.stamp_ns == round(world.times[tick] * 1e9) <= world.now_ns
        if seen.stamp_ns < world.now_ns - 40_000_000:
            assert world.history[tick, 0] < world.pose.x
            assert seen.odometry is not None and seen.odometry.x < world.odometry.x
            return
    pytest.fail("no episode of 20 had a camera latency above 40 ms")


def test_the_tick_of_a_delayed_frame_is_the_nearest_one() -> None:
    world = World(OpenField(), ROBOT)
    world.reset(point_episode())
    for _ in range(10):
        world.tick(Velocity())
    for time in np.arange(-0.2, world.time, 0.007):
        assert world._tick_at(float(time)) == np.abs(world.times - time).argmin()
    assert world._tick_at(world.time) == 10


def test_people_keep_off_the_robot_and_walk() -> None:
    world = World(OpenField(), ROBOT, WorldSettings(people=6))
    world.reset(point_episode())
    before = [m.pose.position for m in world.movers]
    for _ in range(400):
        world.tick(Velocity())
        for mover in world.movers:
            assert math.dist(mover.pose.position, world.pose.position) > mover.radius + ROBOT.footprint.radius
    assert all(math.dist(a, b.pose.position) > 0.5 for a, b in zip(before, world.movers))


def test_distance_to_an_outline() -> None:
    square = Instance(1, "table", np.array([[0.0, 0], [2, 0], [2, 1], [0, 1]]), 0.0, 0.7)
    cases = [((1, 0.5), 0.0), ((3, 0.5), 1.0), ((3, 2), math.sqrt(2)), ((1, -0.25), 0.25)]
    for point, distance in cases:
        assert distance_to_outline(np.array(point, dtype=float), square) == pytest.approx(distance)


def test_a_place_too_small_for_its_people_spoils_one_episode_and_not_the_evaluation() -> None:
    world = World(OpenField(), ROBOT, WorldSettings(people=10_000))
    with pytest.raises(EpisodeError, match="no room for 10000 people"):
        world.reset(point_episode())

"""What was run into unseen is remembered: at the edge of a field, and on drives made by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from open_field import OpenField

from nav_foundation.geometry import compose
from nav_foundation.robot import load_robot
from nav_foundation.types import NANOSECONDS, Pose2, Velocity
from policies.bumps import Bumps
from sim_envs.dynamics import ActuationNoise, Base
from sim_envs.simulator import Pose, SceneRef

ROBOT = load_robot("turtlebot")
FRAME = round(NANOSECONDS / ROBOT.frame_rate)
TICKS = round(ROBOT.control_rate / ROBOT.frame_rate)
HERE = Pose2(2.0, -1.0, math.pi / 2)


def way(speed: float = 0.4, rate: float = 0.0) -> np.ndarray:
    """[8, 3] ahead, or round a curve, for 1.6 s."""
    yaw = rate * np.arange(1, 9) / ROBOT.frame_rate
    steps = speed / ROBOT.frame_rate * np.column_stack([np.cos(yaw), np.sin(yaw)])
    return np.column_stack([np.cumsum(steps, axis=0), yaw])


def held(bumps: Bumps, plan: np.ndarray, frames: int, here: Pose2 = HERE, since: int = 0) -> Bumps:
    """That plan is driven, and the robot stays where it came to."""
    bumps.add((since - 1) * FRAME, compose(here, Pose2(-0.08, 0.0, 0.0)), plan)
    for k in range(frames):
        bumps.add((since + k) * FRAME, here, plan)
    return bumps


def test_what_holds_the_robot_is_ahead_of_it() -> None:
    bumps = held(Bumps(ROBOT), way(), 5)
    away = np.linalg.norm(bumps.places - (2.0, -1.0), axis=1)
    assert len(away) and (away > ROBOT.footprint.radius).all() and (away < ROBOT.footprint.radius + 0.1).all()
    np.testing.assert_allclose(bumps.places.mean(axis=0)[0], 2.0, atol=1e-9)  # it faces +y
    assert (bumps.places[:, 1] > -1.0).all()


@pytest.mark.parametrize("plan", [way(speed=0.0), way(speed=0.1), way(speed=0.0, rate=1.0)])
def test_who_hardly_wants_to_move_is_not_held(plan: np.ndarray) -> None:
    assert not len(held(Bumps(ROBOT), plan, 50).places)


def test_a_turn_before_it_drives_is_no_bump() -> None:
    aside = way() @ np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # to the left
    assert not len(held(Bumps(ROBOT), aside, 50).places)


@pytest.mark.parametrize("command", [Velocity(0.4, 0.0), Velocity(0.3, 0.8)])
def test_a_robot_that_sets_off_by_itself_is_not_held(command: Velocity) -> None:
    base, bumps, pose = Base(ROBOT, ActuationNoise.typical(), np.random.default_rng(0)), Bumps(ROBOT), HERE
    for k in range(100):
        bumps.add(k * FRAME, pose, way(command.linear, command.angular))
        for _ in range(TICKS):
            pose = compose(pose, base.advance(command))
    assert not len(bumps.places)


@pytest.mark.parametrize("off", [0.0, 0.5, -0.5])
def test_a_wall_is_felt_where_it_stands(off: float) -> None:
    """Driven into at an angle it is slid along, and that is no bump before the corner."""
    field, base, bumps = OpenField(4.0), Base(ROBOT, ActuationNoise(), np.random.default_rng(0)), Bumps(ROBOT)
    field.load(SceneRef("house", 1), ROBOT.footprint)
    pose = Pose2(2.0, 2.0, off)
    for k in range(60):
        before = len(bumps.places)
        bumps.add(k * FRAME, pose, way())
        if len(bumps.places) > before:
            break
        for _ in range(TICKS):
            aim = compose(pose, base.advance(Velocity(0.4, 0.0)))
            step = field.try_step(Pose(pose.x, pose.y, 0.0, pose.yaw), Pose(aim.x, aim.y, 0.0, aim.yaw))
            pose = Pose2(step.pose.x, step.pose.y, step.pose.yaw)
    assert len(bumps.places) and pose.x == pytest.approx(4.0 - ROBOT.footprint.radius)
    assert np.max(bumps.places[:, 0]) == pytest.approx(4.0, abs=0.1)
    if off:  # only the corner holds it
        assert abs(pose.y - 2.0) == pytest.approx(2.0 - ROBOT.footprint.radius)


def test_plans_into_it_are_told_from_those_that_lead_away() -> None:
    bumps = held(Bumps(ROBOT), way(), 5)
    plans = np.stack([way(), way(speed=-0.2), way(speed=0.0, rate=1.0), way(rate=0.2)])
    np.testing.assert_array_equal(bumps.hit(plans, HERE), [True, False, False, True])
    assert not bumps.hit(plans, Pose2(2.0, 3.0, 0.0)).any()
    assert bumps.hit(way()[None], Pose2(1.6, -0.7, 0.0))[0]  # from the side too


def test_it_is_forgotten_and_clocks_may_jump() -> None:
    bumps = held(Bumps(ROBOT), way(), 5)
    bumps.add(200 * NANOSECONDS, HERE, way())
    assert not len(bumps.places)
    bumps = held(Bumps(ROBOT), way(), 5, since=1000)
    bumps.add(0, HERE, way())
    assert not len(bumps.places)
    for k in range(10):  # frames too far apart to tell
        bumps.add(k * NANOSECONDS, HERE, way())
    assert not len(bumps.places)


@pytest.mark.parametrize("rate", [0.5, 2.0, 15.0, 20.0])
def test_cameras_may_be_slow_or_fast(rate: float) -> None:
    bumps, frame = Bumps(dataclasses.replace(ROBOT, frame_rate=rate)), round(NANOSECONDS / rate)
    plan = np.column_stack([0.4 / rate * np.arange(1, 9), np.zeros((8, 2))])
    for k in range(5):
        bumps.add(k * frame, compose(HERE, Pose2((k - 5) * 0.4 / rate, 0.0, 0.0)), plan)
    found = [bumps.add((k + 5) * frame, HERE, plan) is not None for k in range(40)]
    assert found.index(True) == max(2, math.ceil(0.35 * rate))


def test_who_is_stopped_by_somebody_feels_nothing() -> None:
    bumps = Bumps(ROBOT)
    for k in range(100):  # it never moved
        bumps.add(k * FRAME, HERE, way())
    assert not len(bumps.places)
    assert len(held(bumps, way(), 100, since=101).places) == 3  # a stop on the way is felt, once ...
    assert not len(held(bumps, way(speed=0.0), 310, since=201).places)  # ... and forgotten


@pytest.mark.parametrize("late", [1, 3])
def test_odometry_may_come_late(late: int) -> None:
    """Pictures at 10 Hz, odometry at 10 or 3.3 Hz that is now and then told twice."""
    robot = dataclasses.replace(ROBOT, frame_rate=10.0)
    bumps, rng = Bumps(robot), np.random.default_rng(0)
    plan = np.column_stack([0.04 * np.arange(1, 9), np.zeros((8, 2))])
    for k in range(600):
        told = max(0, k - int(rng.integers(0, late + 1)))
        bumps.add(k * NANOSECONDS // 10, Pose2(0.04 * told, 0.0, 0.0), plan)
        assert not len(bumps.places)


def test_a_move_and_then_a_turn_is_no_bump() -> None:
    bumps, pose = Bumps(ROBOT), HERE
    for k in range(60):
        bumps.add(k * FRAME, pose, way())
        pose = compose(pose, Pose2(0.08, 0.0, 0.0) if k % 3 == 0 else Pose2(0.0, 0.0, math.radians(10)))
    assert not len(bumps.places)


def test_beside_what_it_ran_into_it_may_turn_and_leave() -> None:
    bumps = held(Bumps(ROBOT), way(), 5)
    within = compose(HERE, Pose2(0.1, 0.0, 0.0))  # nearer than it was then
    turn, ahead, back = way(speed=0.0, rate=1.0), way(), way(speed=-0.2)
    np.testing.assert_array_equal(bumps.hit(np.stack([turn, ahead, back]), within), [False, True, False])

"""Robot bases and odometry against hand-worked motion and the promised statistics."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from nav_foundation.geometry import compose
from nav_foundation.robot import load_robot
from nav_foundation.types import Pose2, Velocity
from sim_envs.dynamics import ActuationNoise, Base, Odometry, OdometryDrift

TURTLEBOT = dataclasses.replace(load_robot("turtlebot"), actuation_delay=0.0)
GO2 = dataclasses.replace(load_robot("go2"), actuation_delay=0.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def run(base: Base, command: Velocity, ticks: int) -> Pose2:
    pose = Pose2(0.0, 0.0, 0.0)
    for _ in range(ticks):
        pose = compose(pose, base.advance(command))
    return pose


def test_acceleration_and_braking_take_the_distance_of_the_textbook() -> None:
    base = Base(TURTLEBOT, ActuationNoise(), rng())
    run(base, Velocity(0.4), 40)
    braking = run(base, Velocity(0.0), 40)
    # v^2 / 2a, in steps of 1/20 s: the speed of each step is the one at its end.
    assert braking.x == pytest.approx(0.4**2 / (2 * TURTLEBOT.braking) - 0.4 / 40, abs=1e-3)
    assert base.at_rest


def test_a_circle_closes() -> None:
    base = Base(TURTLEBOT, ActuationNoise(), rng())
    run(base, Velocity(0.3, 1.0), 40)  # up to speed
    pose = run(base, Velocity(0.3, 1.0), 1)
    ticks = 2 * math.pi * TURTLEBOT.control_rate
    pose = run(base, Velocity(0.3, 1.0), round(ticks))
    assert math.hypot(pose.x, pose.y) < 0.02


def test_only_omnidirectional_robots_move_sideways() -> None:
    assert run(Base(TURTLEBOT, ActuationNoise(), rng()), Velocity(lateral=0.3), 20) == Pose2(0.0, 0.0, 0.0)
    assert run(Base(GO2, ActuationNoise(), rng()), Velocity(lateral=0.3), 40).y > 0.2


def test_commands_beyond_the_limits_are_cut() -> None:
    base = Base(TURTLEBOT, ActuationNoise(), rng())
    run(base, Velocity(9.0, 9.0), 100)
    assert base.velocity.linear == TURTLEBOT.max_speed and base.velocity.angular == TURTLEBOT.max_angular_speed


def test_a_delay_of_three_ticks_lasts_three_ticks() -> None:
    base = Base(dataclasses.replace(TURTLEBOT, actuation_delay=0.15), ActuationNoise(), rng())
    moved = [base.advance(Velocity(0.4)).x > 0 for _ in range(5)]
    assert moved == [False, False, False, True, True]


def test_noise_is_of_the_promised_size_and_repeats_with_the_seed() -> None:
    noise = ActuationNoise.typical()
    ends = [run(Base(TURTLEBOT, noise, rng(s)), Velocity(0.4), 200).x for s in range(150)]
    clean = run(Base(TURTLEBOT, ActuationNoise(), rng()), Velocity(0.4), 200).x
    assert np.std(ends) / clean == pytest.approx(noise.gain_std, rel=0.5)
    assert abs(np.mean(ends) / clean - 1) < 0.02
    assert ends[3] == run(Base(TURTLEBOT, noise, rng(3)), Velocity(0.4), 200).x


def test_perfect_odometry_follows_exactly_from_any_start() -> None:
    odometry, pose = Odometry(OdometryDrift(), rng()), Pose2(3.0, -2.0, 1.0)
    for _ in range(50):
        following = compose(pose, Pose2(0.05, 0.01, 0.1))
        odometry.advance(pose, following)
        pose = following
    back = compose(Pose2(3.0, -2.0, 1.0), odometry.pose)
    assert (back.x, back.y, back.yaw) == pytest.approx((pose.x, pose.y, pose.yaw), abs=1e-9)


def test_drift_over_one_metre_is_what_was_asked_whatever_the_step() -> None:
    for steps in (5, 50):
        ends = []
        for seed in range(400):
            odometry = Odometry(OdometryDrift.typical(), rng(seed))
            for k in range(steps):
                odometry.advance(Pose2(k / steps, 0.0, 0.0), Pose2((k + 1) / steps, 0.0, 0.0))
            ends.append((odometry.pose.x - 1.0, odometry.pose.yaw))
        spread = np.std(ends, axis=0)
        assert spread[0] == pytest.approx(0.02, rel=0.15)
        assert spread[1] == pytest.approx(math.radians(0.3), rel=0.15)

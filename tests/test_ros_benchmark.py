"""What the benchmark of the ROS nodes makes of what it has heard, worked by hand. Nothing runs here."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")

from benchmarks.ros import Command, beyond, braking_begins, command_lags, delivered, lag_rows
from benchmarks.ros_processes import Usage, growth, usage
from nav_foundation.robot import load_robot

ROBOT = load_robot("turtlebot")
TICK = 50_000_000  # ns


def commands(*speeds: float) -> list[Command]:
    """One for each tick."""
    return [Command(k * TICK, speed, 0.0) for k, speed in enumerate(speeds)]


def test_lost_pictures_are_counted() -> None:
    assert delivered([7, 8, 9, 10]) == 1.0
    assert delivered([7, 8, 8, 11]) == 0.6


def test_a_plan_waits_for_the_first_tick_that_begins_after_it() -> None:
    ticks = [(100, 101), (150, 152), (200, 201)]
    assert command_lags([(80, 99), (90, 120), (140, 200)], ticks).tolist() == [21, 62, 61]
    assert command_lags([(190, 201)], ticks).tolist() == [], "no tick has begun since"


def test_braking_begins_where_the_hard_slowing_does() -> None:
    told = commands(0.41, 0.42, 0.40, 0.41, 0.31, 0.21, 0.11, 0.01, 0.0, 0.0)
    assert braking_begins(told, 1, ROBOT.braking) == 4 * TICK
    assert braking_begins(told, 5 * TICK - 1, ROBOT.braking) == 5 * TICK, "nothing before the cause is because of it"
    dip = commands(0.41, 0.31, 0.35, 0.41, 0.41, 0.31, 0.21, 0.11, 0.01, 0.0)
    assert braking_begins(dip, 1, ROBOT.braking) == 5 * TICK
    late = [Command(0, 0.4, 0.0), Command(TICK, 0.4, 0.0), Command(4 * TICK, 0.1, 0.0), Command(5 * TICK, 0.0, 0.0)]
    assert braking_begins(late, 1, ROBOT.braking) == 4 * TICK


def test_commands_beyond_the_limits_are_counted() -> None:
    assert beyond(commands(0.0, 0.05, 0.10, 0.46, 0.0), ROBOT) == 1, "it speeds up at once, and brakes as hard"
    assert beyond(commands(0.40, 0.45, 0.50), ROBOT) == 1
    assert beyond([Command(0, 0.0, 1.6)], ROBOT) == 1


def test_lags_become_rows_in_milliseconds() -> None:
    middle, most = lag_rows("x", np.arange(101) * 1_000_000, "how", "<= 60")
    assert (middle.value, most.value) == (50.0, 99.0)
    assert (middle.target, most.target, middle.unit) == ("<= 60", "", "ms")


def test_growth_leaves_out_the_beginning() -> None:
    noted = [Usage(float(t), 1, 0.0, 100.0 + (50.0 if t >= 3 else 0.0) + 0.5 * t) for t in range(10)]
    assert growth(noted) == pytest.approx(0.5)
    assert np.isnan(growth(noted[:1]))


def test_what_a_process_uses() -> None:
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    told = usage(os.getpid())
    assert 0.0 <= time.process_time() - told.processor < 0.1
    assert 20.0 < told.memory < 10_000.0

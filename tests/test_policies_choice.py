"""Which plan is driven: free, agreed on, and not tried in vain; and when a robot that gets nowhere explores."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nav_foundation.robot import load_robot
from nav_foundation.types import Pose2
from policies.choice import WORN_OUT, Trail, by_merit, extent, simple_ways
from policies.lost import Lost

ROBOT = load_robot("turtlebot")
TICK = 200_000_000  # ns
HERE = Pose2(2.0, -1.0, math.pi / 2)


def way(x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    """[8, 3] straight to there."""
    return np.linspace(0, 1, 9)[1:, None] * np.array([x, y, yaw])


def test_two_ways_are_not_both_half_taken() -> None:
    left, right = way(yaw=1.6), way(yaw=-1.6)  # turns on the spot
    stay, free = way(), np.zeros(8)
    assert by_merit(np.stack([stay] * 7 + [left]), free, stay, least=0.2)[0] == 7  # to stand is no way on ...
    assert by_merit(np.stack([stay] * 7 + [left]), free, stay)[0] < 7  # ... unless it may
    assert by_merit(np.stack([left, right] * 4), free, left)[0] % 2 == 0
    assert by_merit(np.stack([left, right] * 4), free, right)[0] % 2 == 1
    assert by_merit(np.stack([stay, *[left] * 7]), free, stay)[0] > 0  # nearly all would go
    assert by_merit(np.stack([left, right, right]), free[:3], None)[0] > 0


def test_of_ways_about_as_likely_the_free_one_is_driven() -> None:
    left, right = way(y=0.4), way(y=-0.4)
    assert by_merit(np.stack([left, right] * 4), np.array([0.9, 0.1] * 4), left)[0] % 2 == 1


def test_what_was_tried_in_vain_is_left_for_what_few_say() -> None:
    spin, ahead = way(yaw=1.4), way(x=0.6)
    plans = np.stack([spin] * 7 + [ahead])
    assert by_merit(plans, np.zeros(8), spin)[0] < 7
    assert by_merit(plans, np.zeros(8), spin, worn=np.array([WORN_OUT] * 7 + [0.0]))[0] == 7


def test_a_trail_counts_the_seconds_for_which_a_place_was_driven_to() -> None:
    trail = Trail(ROBOT, 8)
    for k in range(15):  # 3 s, of which the last 2 s are still the same way
        trail.add(way(x=1.0), HERE, k * TICK)
    again, beside, turned, elsewhere = way(x=1.1), way(x=1.0, y=0.5), way(x=1.0, yaw=1.0), Pose2(5.0, 5.0, 0.0)
    np.testing.assert_allclose(trail.worn(np.stack([again, beside, turned]), HERE), [1.0, 0.0, 0.0])
    assert not trail.worn(again[None], elsewhere).any()
    # The same place in the odometry's frame, (2, 0) facing +y, seen from the origin.
    assert trail.worn(way(x=2.0, y=0.0, yaw=math.pi / 2)[None], Pose2(0.0, 0.0, 0.0))[0] == pytest.approx(1.0)
    for k in range(100):
        trail.add(way(x=1.0), HERE, (15 + k) * TICK)
    assert trail.worn(again[None], HERE)[0] == WORN_OUT


def test_driving_on_wears_nothing_out() -> None:
    for speed in (0.05, 0.4):
        for rate in (5.0, 30.0):
            robot = replace(ROBOT, cruise_speed=speed, frame_rate=rate, control_rate=60.0)
            trail = Trail(robot, 8)
            for k in range(round(10 * rate)):
                here, ahead = Pose2(robot.step * k, 0.0, 0.0), way(x=8 * robot.step)
                assert not trail.worn(ahead[None], here).any()
                trail.add(ahead, here, round(k / rate * 1e9))


def test_fast_cameras_tell_ways_apart() -> None:
    robot = replace(ROBOT, frame_rate=30.0, control_rate=60.0)
    trail, ways, yaw = Trail(robot, 8), simple_ways(robot, 8), 0.0
    for k in range(30 * 14):  # two turns to the left
        trail.add(ways[0], Pose2(0.0, 0.0, yaw), round(k / 30 * 1e9))
        yaw += ways[0, 0, 2]
    worn = trail.worn(ways, Pose2(0.0, 0.0, yaw))
    assert worn[0] > 0.3 and worn[2] == 0  # straight on was never tried


def test_a_clock_that_is_set_back_begins_a_new_trail() -> None:
    trail = Trail(ROBOT, 8)
    for k in range(40):
        trail.add(way(x=1.0), HERE, 10**12 + k * TICK)
    assert trail.worn(way(x=1.0)[None], HERE)[0] == WORN_OUT
    trail.add(way(x=1.0), HERE, 0)
    assert trail.worn(way(x=1.0)[None], HERE)[0] == 0


def test_what_surely_touches_is_never_tried_whatever_is_worn_out() -> None:
    plans = np.stack([way(yaw=1.4)] * 7 + [way(x=0.6)])
    worn = np.array([WORN_OUT] * 7 + [0.0])
    assert by_merit(plans, np.array([0.0] * 7 + [0.95]), way(yaw=1.4), worn=worn)[0] < 7
    assert by_merit(plans, np.array([0.0] * 7 + [0.3]), way(yaw=1.4), worn=worn)[0] == 7


def test_simple_ways_are_what_the_robot_can_drive() -> None:
    ways, rate = simple_ways(ROBOT, 8), ROBOT.frame_rate
    assert not ways[:2, :, :2].any() and np.sign(ways[:2, -1, 2]).tolist() == [1, -1]
    steps = np.diff(np.concatenate([np.zeros((len(ways), 1, 3)), ways], axis=1), axis=1)
    assert np.linalg.norm(steps[..., :2], axis=-1).max() <= ROBOT.step + 1e-9
    assert np.abs(steps[..., 2]).max() * rate <= ROBOT.max_angular_speed + 1e-9
    middle = ways[2:, :, 2] - 0.5 * steps[2:, :, 2]  # of an arc, the chord points along the middle heading
    np.testing.assert_allclose(np.arctan2(steps[2:, :, 1], steps[2:, :, 0]), middle, atol=1e-9)
    np.testing.assert_allclose(extent(np.stack([way(x=0.3, y=0.4), way(yaw=-1.0)])), [0.5, 0.3])


def pushed(lost: Lost, seconds: float, places: list[Pose2], distance: float = 5.0, begin: float = 0.0) -> list[bool]:
    """What is said at 5 Hz, the last place over and over."""
    return [lost(round((begin + k / 5) * 1e9), places[min(k, len(places) - 1)], distance)
            for k in range(round(5 * seconds))]


def test_a_robot_that_gets_nowhere_explores_until_it_is_elsewhere() -> None:
    lost = Lost(ROBOT)
    said = pushed(lost, 13.0, [HERE])
    assert said.index(True) == 61 and all(said[61:])  # the first frame more than 12 s later
    assert lost(13_200_000_000, Pose2(2.0, 0.5, 0.0), 5.0)
    assert not lost(13_400_000_000, Pose2(2.0, 1.1, 0.0), 5.0)  # 2.1 m away
    assert not any(pushed(lost, 11.0, [Pose2(2.0, 1.1, 0.0)], begin=13.6))  # it is patient anew


def test_exploring_ends_where_the_goal_is_nearer_and_after_a_while() -> None:
    for more, still in ((5.0, True), (2.9, False)):
        lost = Lost(ROBOT)
        pushed(lost, 13.0, [HERE])
        assert lost(13_200_000_000, HERE, more) is still
    lost = Lost(ROBOT)
    said = pushed(lost, 40.0, [HERE])
    assert sum(said) == pytest.approx(5 * 20, abs=2) and not said[-1]


def test_who_drives_on_or_has_no_odometry_is_not_lost() -> None:
    assert not any(pushed(Lost(ROBOT), 60.0, [Pose2(0.02 * k, 0.0, 0.0) for k in range(300)]))  # 0.1 m/s
    lost = Lost(ROBOT)
    assert not any(lost(k * TICK, None, 5.0) for k in range(200))
    slow = replace(ROBOT, cruise_speed=0.05)
    assert not any(pushed(Lost(slow), 60.0, [Pose2(0.01 * k, 0.0, 0.0) for k in range(300)]))


def test_at_the_goal_it_stays_and_gaps_in_time_forget() -> None:
    assert not any(pushed(Lost(ROBOT), 60.0, [HERE], distance=0.9))
    lost = Lost(ROBOT)
    pushed(lost, 11.0, [HERE])
    assert not any(pushed(lost, 11.0, [HERE], begin=24.0))  # the camera was away for 13 s
    assert any(pushed(lost, 3.0, [HERE], begin=35.0))
    assert not any(pushed(lost, 11.0, [HERE], begin=0.0))  # the clock was set back
    pushed(lost, 3.0, [HERE], begin=11.0, distance=math.inf)
    assert not lost(round(14.2e9), HERE, 5.0)  # the goal came into reach

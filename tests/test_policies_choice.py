"""Which plan is driven: free, agreed on, and not tried in vain; and when a robot that gets nowhere explores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nav_foundation.robot import load_robot
from nav_foundation.types import Pose2
from policies.choice import WORN_OUT, Trail, by_merit, extent, simple_ways
from policies.lost import Lost

ROBOT = load_robot("turtlebot")
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
    trail = Trail(frame_rate=5.0)
    for _ in range(15):  # 3 s, of which the last 2 s are still the same way
        trail.add(way(x=1.0), HERE)
    again, beside, turned, elsewhere = way(x=1.1), way(x=1.0, y=0.5), way(x=1.0, yaw=1.0), Pose2(5.0, 5.0, 0.0)
    np.testing.assert_allclose(trail.worn(np.stack([again, beside, turned]), HERE), [1.0, 0.0, 0.0])
    assert not trail.worn(again[None], elsewhere).any()
    # The same place in the odometry's frame, (2, 0) facing +y, seen from the origin.
    assert trail.worn(way(x=2.0, y=0.0, yaw=math.pi / 2)[None], Pose2(0.0, 0.0, 0.0))[0] == pytest.approx(1.0)
    for _ in range(100):
        trail.add(way(x=1.0), HERE)
    assert trail.worn(again[None], HERE)[0] == WORN_OUT


def test_driving_on_wears_nothing_out() -> None:
    trail = Trail(frame_rate=5.0)
    for k in range(50):
        here = Pose2(0.1 * k, 0.0, 0.0)  # 0.5 m/s
        assert not trail.worn(way(x=0.8)[None], here).any()
        trail.add(way(x=0.8), here)


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
    lost = Lost()
    said = pushed(lost, 13.0, [HERE])
    assert said.index(True) == 61 and all(said[61:])  # the first frame more than 12 s later
    assert lost(13_200_000_000, Pose2(2.0, 0.5, 0.0), 5.0)
    assert not lost(13_400_000_000, Pose2(2.0, 1.1, 0.0), 5.0)  # 2.1 m away
    assert not any(pushed(lost, 11.0, [Pose2(2.0, 1.1, 0.0)], begin=13.6))  # it is patient anew


def test_exploring_ends_where_the_goal_is_nearer_and_after_a_while() -> None:
    for more, still in ((5.0, True), (2.9, False)):
        lost = Lost()
        pushed(lost, 13.0, [HERE])
        assert lost(13_200_000_000, HERE, more) is still
    lost = Lost()
    said = pushed(lost, 40.0, [HERE])
    assert sum(said) == pytest.approx(5 * 20, abs=2) and not said[-1]


def test_who_drives_on_or_has_no_odometry_is_not_lost() -> None:
    assert not any(pushed(Lost(), 60.0, [Pose2(0.02 * k, 0.0, 0.0) for k in range(300)]))  # 0.1 m/s
    assert not any(Lost()(k * 200_000_000, None, 5.0) for k in range(200))

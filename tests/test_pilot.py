"""The pilot: one goal after the other, from pictures as they come."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nav_foundation.geometry import compose
from nav_foundation.preprocessing import Preprocessor
from nav_foundation.robot import RobotSpec, load_robot
from nav_foundation.types import (
    Explore,
    Goal,
    ImageGoal,
    InstructionGoal,
    Observation,
    Plan,
    PointGoal,
    Pose2,
    PoseGoal,
)
from policies.baselines import BearingPolicy
from policies.pilot import Pilot
from policies.prediction.asked import spoken_goal

ROBOT = load_robot("turtlebot")
TICK = 100_000_000  # ns
RNG = np.random.default_rng(0)


def picture() -> np.ndarray:
    return RNG.integers(0, 256, (96, 128, 3)).astype(np.uint8)


def told(pilot: Pilot, tick: int, here: Pose2) -> None:
    pilot.odometry(tick * TICK, here)


class Still:
    """Plans to stand, and notes what it was shown and asked."""

    def __init__(self, arrival: float = 0.0) -> None:
        self.arrival, self.resets, self.seen = arrival, list[Goal](), list[Observation]()

    def reset(self, robot: object, goal: Goal, seed: int, tour: object = None) -> None:
        self.resets.append(goal)

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        self.seen.append(observation)
        return Plan(np.zeros((8, 3)), 0.2, observation.stamp_ns, 1.0, arrival=self.arrival)


def test_without_a_goal_it_waits() -> None:
    pilot = Pilot(BearingPolicy(), ROBOT)
    assert pilot.look(picture(), 0).state == "waiting"
    assert pilot.look(picture(), TICK).plan is None


def test_it_drives_to_a_pose_and_turns_there() -> None:
    """A robot that does exactly what the plan's second waypoint says, ten times a second."""
    pilot, here, states = Pilot(BearingPolicy(), ROBOT), Pose2(0.0, 0.0, 0.0), []
    pilot.ask(PoseGoal(2.0, 1.0, -2.0, radius=0.3))
    for tick in range(400):
        told(pilot, tick, here)
        progress = pilot.look(picture(), tick * TICK)
        states.append(progress.state)
        if progress.plan is None:
            break
        half = progress.plan.waypoints[0] / 2  # a tick is half of a waypoint's time
        here = compose(here, Pose2(*half.tolist()))
    assert states[-1] == "arrived"
    assert math.hypot(here.x - 2.0, here.y - 1.0) < 0.3
    assert abs(here.yaw + 2.0) < 0.2
    assert pilot.goal is None
    assert pilot.look(picture(), (len(states) + 1) * TICK).state == "arrived"


def test_the_odometry_of_a_picture_is_that_of_its_time() -> None:
    policy = Still()
    pilot = Pilot(policy, ROBOT)
    pilot.ask(PointGoal(5.0, 0.0))
    told(pilot, 0, Pose2(0.0, 0.0, 0.0))
    told(pilot, 2, Pose2(0.2, 0.0, 0.4))
    pilot.look(picture(), TICK)
    there = policy.seen[-1].odometry
    assert there is not None
    assert (there.x, there.y, there.yaw) == pytest.approx((0.1, 0.0, 0.2))


def test_arrival_takes_two_pictures() -> None:
    pilot = Pilot(Still(arrival=1.0), ROBOT)
    pilot.ask(ImageGoal(picture()))
    told(pilot, 0, Pose2(0.0, 0.0, 0.0))
    assert [pilot.look(picture(), tick * TICK).state for tick in range(3)] == ["driving", "arrived", "arrived"]


def test_without_odometry_it_says_so_and_stands() -> None:
    pilot = Pilot(Still(), ROBOT)
    pilot.ask(ImageGoal(picture()))
    assert "no odometry" in pilot.look(picture(), 0).reason
    told(pilot, 0, Pose2(0.0, 0.0, 0.0))
    assert pilot.look(picture(), 4 * TICK).state == "driving"
    late = pilot.look(picture(), 6 * TICK)
    assert (late.state, late.plan) == ("stopped", None)
    assert "0.60 s older" in late.reason


def test_a_robot_that_has_no_odometry() -> None:
    pilot = Pilot(Still(), ROBOT, odometry=False)
    for goal in (PointGoal(1.0, 0.0), PoseGoal(1.0, 0.0, 0.0)):
        with pytest.raises(ValueError, match="only be driven to with odometry"):
            pilot.ask(goal)
    pilot.ask(Explore())
    assert pilot.look(picture(), 0).state == "driving"


def test_a_camera_that_hangs_is_noticed_once_the_robot_moves() -> None:
    pilot, frozen = Pilot(Still(), ROBOT), picture()
    pilot.ask(Explore())
    for tick in range(5):
        told(pilot, tick, Pose2(0.005 * tick, 0.0, 0.0))
        assert pilot.look(frozen, tick * TICK).state == "driving"
    told(pilot, 6, Pose2(0.035, 0.0, 0.0))
    assert "same picture" in pilot.look(frozen, 6 * TICK).reason
    assert pilot.look(picture(), 7 * TICK).state == "driving"


@pytest.mark.parametrize("speed", [0.15, 0.31, 1.0])
def test_a_camera_that_hangs_is_noticed_in_time(speed: float) -> None:
    """At 10 Hz, a tick before what the controller may take is over; a picture that is sent twice is no reason."""
    pilot, frozen = Pilot(Still(), ROBOT), picture()
    pilot.ask(Explore())
    states = []
    for tick in range(4):
        told(pilot, tick, Pose2(0.1 * speed * tick, 0.0, 0.0))
        states.append(pilot.look(frozen, tick * TICK).state)
    assert states[:2] == ["driving", "driving"]
    assert states[-1] == "stopped" and (speed < 0.3 or states[2] == "stopped")


def test_without_odometry_a_camera_that_hangs_is_noticed_by_time() -> None:
    pilot, frozen = Pilot(Still(), ROBOT, odometry=False), picture()
    pilot.ask(Explore())
    assert [pilot.look(frozen, tick * TICK).state for tick in range(4)] == ["driving"] * 3 + ["stopped"]
    assert pilot.look(picture(), 4 * TICK).state == "driving"


@pytest.mark.parametrize("silent", [1, 30])  # ticks: a base's driver that begins anew takes its time
def test_a_place_is_given_up_where_odometry_begins_anew(silent: int) -> None:
    pilot = Pilot(BearingPolicy(), ROBOT)
    told(pilot, 0, Pose2(3.1, 0.0, 0.0))
    pilot.ask(PointGoal(4.0, 0.0))
    assert pilot.look(picture(), 0).state == "driving"
    told(pilot, silent, Pose2(0.0, 0.0, 0.0))
    progress = pilot.look(picture(), silent * TICK)
    assert (progress.state, progress.plan, pilot.goal) == ("stopped", None, None)
    assert "ask for the place again" in progress.reason
    pilot.ask(PointGoal(1.0, 0.0))
    told(pilot, silent + 1, Pose2(0.0, 0.0, 0.0))
    assert pilot.look(picture(), (silent + 1) * TICK).state == "driving"


def test_what_is_no_place_is_driven_to_after_a_leap_of_odometry() -> None:
    policy = Still()
    pilot = Pilot(policy, ROBOT)
    told(pilot, 0, Pose2(3.1, 0.0, 0.0))
    pilot.ask(Explore())
    pilot.look(picture(), 0)
    told(pilot, 1, Pose2(0.0, 0.0, 0.0))
    assert pilot.look(picture(), TICK).state == "driving"
    assert len(policy.resets) == 2, "what was seen before lies elsewhere now"


def test_a_calibration_that_no_policy_can_use_changes_nothing() -> None:
    class Picky(Still):
        def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: object = None) -> None:  # type: ignore[override]
            Preprocessor(robot.camera)

    pilot = Pilot(Picky(), ROBOT)
    pilot.ask(Explore())
    with pytest.raises(ValueError, match="camera"):
        pilot.calibrate(replace(ROBOT.camera, hfov_deg=None, fx=100.0, fy=100.0, cx=1e9, cy=48.0))
    assert pilot.robot == ROBOT
    assert pilot.look(picture(), 0).reason == "there is no odometry"


@pytest.mark.parametrize("leap", [-50, 30])
def test_after_a_leap_of_time_it_begins_anew(leap: int) -> None:
    policy = Still()
    pilot = Pilot(policy, ROBOT)
    pilot.ask(Explore())
    for tick in (100, 101, 102):
        told(pilot, tick, Pose2(0.0, 0.0, 0.0))
        pilot.look(picture(), tick * TICK)
    assert len(policy.resets) == 1
    told(pilot, 102 + leap, Pose2(0.0, 0.0, 0.0))
    assert pilot.look(picture(), (102 + leap) * TICK).state == "driving"
    assert len(policy.resets) == 2


def test_a_goal_that_cannot_be_leaves_the_last_one() -> None:
    pilot = Pilot(BearingPolicy(), ROBOT)
    pilot.ask(PointGoal(3.0, 0.0))
    with pytest.raises(ValueError, match="bearing"):
        pilot.ask(ImageGoal(picture()))
    assert pilot.goal == PointGoal(3.0, 0.0)
    pilot.ask(None)
    assert pilot.goal is None


def test_words_that_are_sent() -> None:
    text = "go to the kitchen: it is on the left"
    assert spoken_goal(text) == InstructionGoal(text)
    assert type(spoken_goal("object: chair")).__name__ == "ObjectGoal"
    assert type(spoken_goal(" route: left ")).__name__ == "RouteGoal"
    assert spoken_goal("explore") == Explore()
    for nothing in ("", "  ", "object:", "route: up"):
        with pytest.raises(ValueError, match=r"empty|nothing|no way"):
            spoken_goal(nothing)

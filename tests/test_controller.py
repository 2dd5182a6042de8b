"""The controller against an ideal base: it arrives, turns in place, keeps its limits, and stops when in doubt."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_foundation.geometry import compose, to_frame
from nav_foundation.robot import load_robot
from nav_foundation.types import Plan, PointGoal, Pose2, Velocity
from policies.agent import Agent
from policies.controller import Controller, ControllerSettings

ROBOT = load_robot("turtlebot")
TICK_NS = round(1e9 / ROBOT.control_rate)
DT = 1.0 / ROBOT.frame_rate
BRAKED = ROBOT.braking / ROBOT.control_rate  # m/s within a tick


def straight(stamp_ns: int, step: float = ROBOT.step, count: int = 8, arrival: float = 0.0) -> Plan:
    x = step * np.arange(1, count + 1)
    return Plan(np.column_stack([x, 0 * x, 0 * x]), DT, stamp_ns, 5.0, arrival=arrival)


def move(pose: Pose2, velocity: Velocity, seconds: float) -> Pose2:
    """Exact integration of a unicycle arc, written the textbook way."""
    v, w = velocity.linear, velocity.angular
    if abs(w) < 1e-9:
        return compose(pose, Pose2(v * seconds, velocity.lateral * seconds, 0.0))
    return compose(pose, Pose2(v / w * math.sin(w * seconds), v / w * (1 - math.cos(w * seconds)), w * seconds))


def drive(controller: Controller, way: np.ndarray, seconds: float) -> tuple[Pose2, list[Velocity]]:
    """Follow waypoints [K, 3] of the world (one per camera period) with a fresh plan each camera period."""
    pose, commands, plan, begun = Pose2(0.0, 0.0, 0.0), [], None, 0
    for tick in range(round(seconds * ROBOT.control_rate)):
        now = tick * TICK_NS
        if tick % 4 == 0:
            index = np.minimum(np.arange(begun, begun + 8), len(way) - 1)
            begun += 1
            local = np.column_stack([to_frame(pose, way[index, :2]), way[index, 2] - pose.yaw])
            plan = Plan(local, DT, now, 1.0)
        command = controller.command(plan, pose, now)
        commands.append(command)
        pose = move(pose, command, 1.0 / ROBOT.control_rate)
    return pose, commands


def test_it_reaches_the_end_of_a_straight_way_and_stands_there() -> None:
    way = np.column_stack([np.minimum(ROBOT.step * np.arange(1, 60), 2.0), np.zeros(59), np.zeros(59)])
    pose, commands = drive(Controller(ROBOT), way, 12.0)
    assert math.hypot(pose.x - 2.0, pose.y) < 0.06
    assert abs(commands[-1].linear) < 0.02


def test_it_turns_in_place_when_only_the_yaw_is_asked() -> None:
    way = np.column_stack([np.zeros(40), np.zeros(40), np.minimum(np.arange(40) * 0.2, math.pi / 2)])
    pose, _ = drive(Controller(ROBOT), way, 8.0)
    assert pose.yaw == pytest.approx(math.pi / 2, abs=0.05)
    assert math.hypot(pose.x, pose.y) < 0.01


def test_it_turns_before_it_drives_to_a_point_behind() -> None:
    way = np.tile([-0.4, 0.0, math.pi], (60, 1))
    pose, _ = drive(Controller(ROBOT), way, 0.9)
    assert math.hypot(pose.x, pose.y) < 0.02 and abs(pose.yaw) > 0.4


def test_no_plan_or_the_same_old_plan_brings_it_to_a_stand_in_time() -> None:
    controller, now = Controller(ROBOT), 0
    plan = straight(0)
    speeds = []
    for tick in range(30):
        now = tick * TICK_NS
        if tick < 12 and tick % 4 == 0:
            plan = straight(now)
        speeds.append(controller.command(plan, None, now).linear)
    last_new_plan = 8  # tick
    stopping = next(k for k in range(last_new_plan, 30) if speeds[k] < speeds[k - 1] - 1e-9)
    assert (stopping - last_new_plan) / ROBOT.control_rate <= 1.5 / ROBOT.frame_rate + 1.0 / ROBOT.control_rate + 1e-9
    assert speeds[-1] == 0.0 and "no new plan" in controller.fault


@pytest.mark.parametrize("poison", [math.nan, math.inf, 50.0])
def test_plans_that_cannot_be_are_not_driven(poison: float) -> None:
    controller = Controller(ROBOT)
    waypoints = straight(0).waypoints.copy()
    waypoints[2, 0] = poison
    for tick in range(10):
        assert controller.command(Plan(waypoints, DT, tick * TICK_NS, 1.0), None, tick * TICK_NS) == Velocity()
        assert controller.fault


def test_clock_jumps_and_future_plans_stop_it() -> None:
    controller = Controller(ROBOT)
    for tick in range(5):
        controller.command(straight(tick * TICK_NS), None, tick * TICK_NS)
    moving = controller.command(straight(5 * TICK_NS), None, 5 * TICK_NS)
    assert moving.linear > 0
    back = controller.command(straight(0), None, 0)
    assert back.linear == pytest.approx(max(moving.linear - BRAKED, 0.0)) and "clock" in controller.fault
    ahead = controller.command(straight(10**9), None, TICK_NS)
    assert ahead.linear == pytest.approx(max(back.linear - BRAKED, 0.0)) and "old" in controller.fault


@pytest.mark.parametrize("gap", [0.8, 5.0])
def test_after_a_silence_that_stops_the_base_it_starts_from_a_stand(gap: float) -> None:
    controller, now = Controller(ROBOT), 0
    for tick in range(20):
        now = tick * TICK_NS
        moving = controller.command(straight(now), None, now)
    assert moving.linear > 0.8 * ROBOT.cruise_speed and gap > ROBOT.command_timeout
    now += round(gap * 1e9)
    assert controller.command(straight(now), None, now).linear <= ROBOT.acceleration / ROBOT.control_rate + 1e-9


def moving_controller() -> tuple[Controller, int]:
    """One that has driven for a second, and what time it is (ns)."""
    controller, now = Controller(ROBOT), 0
    for tick in range(20):
        now = tick * TICK_NS
        controller.command(straight(now), None, now)
    assert controller.command(straight(now), None, now).linear > 0.8 * ROBOT.cruise_speed
    return controller, now


def test_an_emergency_stop_is_at_once_and_outlives_a_reset_until_released() -> None:
    controller, now = moving_controller()
    controller.emergency_stop()
    for reset in (False, True):
        if reset:
            controller.reset()
        now += TICK_NS
        assert controller.command(straight(now), None, now) == Velocity() and "emergency" in controller.fault
    controller.release()
    now += TICK_NS
    assert 0 < controller.command(straight(now), None, now).linear <= ROBOT.acceleration / ROBOT.control_rate + 1e-9


def test_a_new_goal_while_driving_is_no_jolt() -> None:
    controller, now = moving_controller()
    before = controller.command(straight(now), None, now).linear
    controller.forget()
    assert controller.command(None, None, now + TICK_NS).linear == pytest.approx(before - BRAKED)


@pytest.mark.parametrize("field", ["lookahead", "stop_after", "oldest_plan", "history"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_settings_that_would_disarm_it_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        ControllerSettings(**{field: value})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-3, 3)), min_size=8, max_size=8),
                min_size=2, max_size=2), st.sampled_from(["turtlebot", "go2", "jackal"]))
def test_limits_hold_whatever_the_plan(steps: list[list[tuple[float, float, float]]], name: str) -> None:
    """Two plans, one after the other, as far as the robot can drive: sideways, backwards, turning on the way."""
    robot = load_robot(name)
    controller, last = Controller(robot), Velocity()
    period = 1.0 / robot.control_rate
    unit = np.array([robot.max_speed / robot.frame_rate, robot.max_speed / robot.frame_rate, 1.0])
    for tick in range(24):
        now = round(tick * period * 1e9)
        points = np.cumsum(np.array(steps[tick // 12]) * unit, axis=0)
        command = controller.command(Plan(points, 1.0 / robot.frame_rate, now, 1.0), None, now)
        assert not controller.fault  # it is driven
        hardest = robot.angular_acceleration * period * 1.001 + 1e-9
        assert abs(command.angular - last.angular) <= hardest
        assert math.hypot(command.linear, command.lateral) <= robot.max_speed + 1e-9
        assert abs(command.angular) <= robot.max_angular_speed + 1e-9
        steepest = max(robot.acceleration, robot.braking) * period * 1.001 + 1e-9
        assert abs(command.linear - last.linear) <= steepest and abs(command.lateral - last.lateral) <= steepest
        if robot.drive == "differential":
            assert command.lateral == 0.0
        last = command


def test_a_late_plan_is_moved_by_odometry_to_where_the_robot_is_now() -> None:
    """A plan from before a 90 degree turn says 'drive along world x': the robot must turn right, not go straight."""
    controller = Controller(ROBOT)
    controller.remember(0, Pose2(0.0, 0.0, 0.0))
    turned = Pose2(0.0, 0.0, math.pi / 4)
    controller.command(straight(0), turned, TICK_NS)
    assert controller.command(straight(0), turned, 2 * TICK_NS).angular < 0


def test_the_agent_arrives_only_after_two_frames_in_a_row() -> None:
    class Says:
        def __init__(self, arrivals: list[float]) -> None:
            self.arrivals = arrivals

        def reset(self, *args: object) -> None: ...

        def plan(self, observation: object, goal: object) -> Plan:
            return dataclasses.replace(straight(0), arrival=self.arrivals.pop(0))

    from nav_foundation.types import Observation

    seen = Observation(np.zeros((96, 128, 3), np.uint8), 0)
    agent = Agent(Says([0.9, 0.7, 0.9, 0.9]), ROBOT)
    goal = PointGoal(1.0, 0.0)
    agent.reset(goal)
    states = []
    for _ in range(4):
        agent.plan(seen, goal)
        states.append(agent.arrived)
    assert states == [False, False, False, True]


def test_a_clock_that_stands_still_does_not_keep_it_from_braking() -> None:
    controller, now = Controller(ROBOT), 0
    for k in range(20):
        now = k * 50_000_000
        controller.command(straight(now), Pose2(0.0, 0.0, 0.0), now)
    speeds = [controller.command(None, Pose2(0.0, 0.0, 0.0), now, doubt="the clock stands").linear for _ in range(10)]
    assert speeds[0] == pytest.approx(ROBOT.cruise_speed - ROBOT.braking / ROBOT.control_rate, abs=0.05)
    assert speeds[-1] == 0.0

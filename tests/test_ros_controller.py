"""The node controller in this process, by a clock that we turn: what it is told wrongly, late, twice or no more."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Bool, String

from nav_foundation.geometry import compose
from nav_foundation.robot import load_robot
from nav_foundation.types import NANOSECONDS, Plan, Pose2, Velocity
from policies import watch
from ros_nodes import controller as module
from ros_nodes.controller import ControllerNode
from ros_nodes.graph import SUPERVISOR
from ros_nodes.messages import (
    camera_info_of,
    depth_image_of,
    odometry_of,
    path_of,
    pose_of,
    scan_of,
    stamped_twist_of,
)

START = 1_760_000_000 * NANOSECONDS
TICK = 0.05  # s, of the turtlebot's controller
ORIGIN = Pose2(0.0, 0.0, 0.0)


class Base:
    """A controller, and a base that does what it says; nothing of it waits for real time."""

    def __init__(self, started: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch, **told: Any) -> None:
        self.node = started(ControllerNode, state_folder=str(folder), **told)
        assert self.node.autostart()
        self.now = START
        self.node.now_ns = lambda: self.now
        monkeypatch.setattr(time, "monotonic", lambda: self.now / NANOSECONDS)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.now)
        self.pose = ORIGIN
        self.node._on_model(String(data='{"model": "own", "seen_robots": true}'))

    @property
    def sent(self) -> Velocity:
        sent: Velocity = self.node._sent
        return sent

    def tick(self, plan: Velocity | None = None, odometry: bool = True) -> Velocity:
        """A tick goes by; a plan to drive like that comes with it."""
        self.now += round(TICK * NANOSECONDS)
        step = self.sent
        self.pose = compose(self.pose, Pose2(TICK * step.linear, TICK * step.lateral, TICK * step.angular))
        if odometry:
            self.node._on_odometry(odometry_of(self.pose, Velocity(), self.now, "odom", "base_link"))
        if plan is None:
            self.node._tick()
        else:
            times = 0.2 * np.arange(1, 9)
            ways = np.column_stack([plan.linear * times, 0 * times, plan.angular * times])
            self.node._on_plan(path_of(Plan(ways, 0.2, self.now, 1.0), self.now, "base_link"))
        return self.sent


@pytest.fixture
def base(started: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Base]:
    def make(**told: Any) -> Base:
        return Base(started, tmp_path, monkeypatch, **{"drive": True, **told})

    return make


def wall(at: float, base: Base, mount: float = 0.0) -> LaserScan:
    """A scan of a wall across the way, as many m ahead of where the robot began."""
    scan = scan_of(np.zeros(360), base.now, "laser", 12.0)
    angles = scan.angle_min + scan.angle_increment * np.arange(360) + mount
    distance = at - base.pose.x
    with np.errstate(divide="ignore"):
        ranges = np.where(np.cos(angles) > 0.2, distance / np.cos(angles), 0.0)
    scan.ranges = array("f", ranges)
    return scan


# --- obstacles ----------------------------------------------------------------------------------------------------


def test_it_says_that_something_is_in_the_way(base: Callable[..., Base]) -> None:
    driven = base(obstacles="scan")
    for _ in range(30):
        driven.node._on_scan(wall(0.3, driven))
        driven.tick(Velocity(0.3))
    assert driven.sent.linear == 0.0
    assert (driven.node._mode, driven.node._reason) == ("driving", "something is in the way")
    for _ in range(30):
        driven.node._on_scan(wall(6.0, driven))
        driven.tick(Velocity(0.3))
    assert driven.sent.linear > 0.2 and driven.node._reason == ""


@pytest.mark.parametrize("period", [2, 4])  # ticks: 10 and 5 Hz
@pytest.mark.parametrize("dies_at", [9.0, 1.2, 0.9, 0.75])  # m left
def test_it_never_touches_what_its_laser_showed(base: Callable[..., Base], period: int, dies_at: float) -> None:
    robot = load_robot("turtlebot")
    driven = base(obstacles="scan")
    for k in range(300):
        left = 2.5 - driven.pose.x
        if k % period == 0 and left > (dies_at if dies_at < 9 else 0):
            driven.node._on_scan(wall(2.5, driven))
        driven.tick(Velocity(robot.cruise_speed))
    assert driven.sent.linear == 0.0
    assert driven.pose.x > 1.2, "it did drive"
    left = 2.5 - driven.pose.x - robot.footprint.radius
    assert left > 0.0, f"{left:.3f} m"


def test_a_laser_is_seen_from_where_it_is_mounted(base: Callable[..., Base]) -> None:
    """TurtleBot 4's looks to the left: what is ahead of the robot is to the laser's right."""
    driven = base(obstacles="scan", scan_yaw=math.pi / 2)
    driven.node._on_scan(wall(0.8, driven, mount=math.pi / 2))
    x, y = driven.node._points.T
    assert x == pytest.approx(0.8, abs=0.02) and abs(y).max() > 1.0


def test_a_scan_of_before_is_none(base: Callable[..., Base]) -> None:
    driven = base(obstacles="scan")
    old = wall(2.5, driven)
    for _ in range(20):
        driven.node._on_scan(old)  # by a driver that hangs, and repeats itself
        driven.tick(Velocity(0.2))
    assert driven.sent.linear == 0.0 and "no new scan" in driven.node._reason
    for _ in range(20):
        old.header.stamp.sec = old.header.stamp.nanosec = 0  # by one that does not stamp
        driven.node._on_scan(old)
        driven.tick(Velocity(0.2))
    assert driven.sent.linear > 0.1


def test_a_scan_that_cannot_be_changes_nothing(base: Callable[..., Base]) -> None:
    driven = base(obstacles="scan")
    driven.node._on_scan(wall(0.8, driven))
    before = driven.node._points
    broken = wall(2.5, driven)
    broken.range_max = -1.0
    driven.node._on_scan(broken)
    assert driven.node._points is before


def test_depth_is_seen_through_the_calibrated_camera(base: Callable[..., Base]) -> None:
    driven = base(obstacles="depth")
    camera = load_robot("turtlebot").camera
    depth = depth_image_of(np.ones((camera.height, camera.width), np.float32), driven.now, "camera")
    driven.node._on_depth(depth)
    wide = abs(driven.node._points[:, 1]).max()
    fx, fy, cx, cy = camera.intrinsics
    longer = replace(camera, hfov_deg=None, fx=2 * fx, fy=2 * fy, cx=cx, cy=cy)
    driven.node._on_camera(camera_info_of(longer, START, "camera"))
    driven.node._on_depth(depth)
    assert abs(driven.node._points[:, 1]).max() == pytest.approx(wide / 2, rel=0.02)


def test_a_cliff_sensor_that_tells_again_and_again_has_to_go_on(base: Callable[..., Base]) -> None:
    driven = base(cliff_timeout=0.3)
    for _ in range(4):
        driven.tick(Velocity(0.2))
    assert driven.sent.linear == 0.0, "it has not told yet"
    for _ in range(10):
        driven.node._on_cliff(Bool(data=False))
        driven.tick(Velocity(0.2))
    assert driven.sent.linear > 0.1
    for _ in range(10):
        driven.tick(Velocity(0.2))
    assert driven.sent.linear == 0.0 and "no new cliff" in driven.node._reason


# --- emergency stops, and what outlives a process ------------------------------------------------------------------


@pytest.mark.parametrize("promise", list(ReliabilityPolicy)[1:3])
def test_no_stop_is_lost_behind_another_message(base: Callable[..., Base], promise: ReliabilityPolicy) -> None:
    """A hardware stop that tells its state at intervals must not hide that somebody else asks to stop."""
    driven = base()
    sender = Node("stops")
    topic = sender.create_publisher(Bool, "emergency_stop", QoSProfile(depth=10, reliability=promise))
    executor = SingleThreadedExecutor()
    executor.add_node(driven.node)
    deadline = time.perf_counter() + 10
    while topic.get_subscription_count() == 0:
        assert time.perf_counter() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    for value in (True, False, False):
        topic.publish(Bool(data=value))
    while not driven.node._controller._emergency:
        assert time.perf_counter() < deadline, "the stop was lost"
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    sender.destroy_node()


def settings(node: Any) -> tuple[bool, float]:
    return node.parameters.drive, node.parameters.speed


def test_a_process_that_begins_anew_is_as_careful_as_the_one_before(
    base: Callable[..., Base], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SUPERVISOR, "4711")
    first = base().node
    assert settings(first) == (True, 1.0)
    first.set_parameters([Parameter("drive", value=False), Parameter("speed", value=0.3)])
    assert settings(base().node) == (False, 0.3)
    monkeypatch.setenv(SUPERVISOR, "4712")  # somebody launched the robot anew, and said what he wants
    assert settings(base().node) == (True, 1.0)


def test_what_was_enabled_by_hand_is_not_enabled_by_itself(
    base: Callable[..., Base], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SUPERVISOR, "4711")
    first = base(drive=False).node
    first.set_parameters([Parameter("drive", value=True)])
    assert settings(base(drive=False).node) == (False, 1.0)


def test_what_fails_at_the_start_is_told_and_may_be_tried_again(
    started: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(module, "Watch", fails)
    node = started(ControllerNode, state_folder=str(tmp_path))
    assert not node.autostart() and node.has_crashed
    assert "RuntimeError: CUDA out of memory" in capfd.readouterr().err
    monkeypatch.setattr(module, "Watch", watch.Watch)
    refused = started(ControllerNode, robot="nobody", state_folder=str(tmp_path))
    assert not refused.autostart() and not refused.has_crashed


# --- what is told wrongly -----------------------------------------------------------------------------------------


def test_odometry_beyond_all_numbers_stops_it(base: Callable[..., Base]) -> None:
    driven = base()
    for k in range(10):
        driven.tick(Velocity(0.2))
        message = odometry_of(ORIGIN, Velocity(), driven.now + 1 + k, "odom", "base_link")
        message.pose.pose = pose_of(Pose2(1e308 if k % 2 else -1e308, 0.0, 0.0))
        driven.node._on_odometry(message)
    driven.node._tick()
    assert driven.sent == Velocity() and "odometry" in driven.node._reason


def test_a_clock_that_has_not_begun_is_told_as_such(base: Callable[..., Base]) -> None:
    driven = base()
    now, driven.now = driven.now, -round(TICK * NANOSECONDS)
    for _ in range(3):
        driven.now = -round(TICK * NANOSECONDS)
        driven.tick(odometry=False)
        assert "there is no clock yet" in driven.node._reason
    driven.now = now
    driven.tick(Velocity(0.2))
    assert "clock" not in driven.node._reason, "its beginning is no jump"


def test_a_person_s_word_lasts_a_moment_whatever_the_clock_does(base: Callable[..., Base]) -> None:
    driven = base()
    driven.tick()
    driven.node._on_teleop(stamped_twist_of(Velocity(0.3, 0.0, 0.3), driven.now, "base_link"))
    driven.tick()
    assert driven.node._mode == "teleop" and driven.sent.linear > 0 and driven.sent.lateral == 0.0, "it has two wheels"
    stands = driven.now
    driven.node.now_ns = lambda: stands
    for _ in range(12):
        driven.tick(odometry=False)
    assert driven.sent == Velocity() and driven.node._mode != "teleop"

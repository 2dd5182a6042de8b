"""Places in several frames, and Nav2's action: what a navigator makes of them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")

from geometry_msgs.msg import PoseStamped, TransformStamped
from std_msgs.msg import String

from nav_foundation.robot import load_robot
from nav_foundation.types import NANOSECONDS, Pose2, Velocity
from ros_nodes import errands, frames
from ros_nodes.frames import Frames
from ros_nodes.messages import image_of, odometry_of, pose_of, time_of
from ros_nodes.navigator import Navigator

CAMERA = load_robot("turtlebot").camera


# --- frames -------------------------------------------------------------------------------------------------------


class Tree:
    """tf2's buffer, of a robot whose map lies a quarter turn to the left and two metres ahead of its odometry."""

    stamp = 9 * NANOSECONDS

    def lookup_transform(self, target: str, source: str, time: Any) -> TransformStamped:
        if (target, source) != ("odom", "map"):
            raise RuntimeError(f"{source} is not in the tree")  # tf2's exceptions have no base but Exception
        told = TransformStamped()
        told.header.stamp = time_of(self.stamp)
        told.transform.translation.x = 2.0
        told.transform.rotation.z = told.transform.rotation.w = math.sqrt(0.5)
        return told


@pytest.fixture
def tf2(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for tf2_ros, which comes with a full ROS alone; what happened to its listener."""
    story: list[str] = []

    def listener(buffer: Tree, node: Any) -> Any:
        story.append("listens")
        return SimpleNamespace(unregister=lambda: story.append("is gone"))

    monkeypatch.setattr(frames, "tf2_ros", SimpleNamespace(Buffer=Tree, TransformListener=listener))
    return story


def holder() -> Any:
    return SimpleNamespace(hold=lambda made, destroy: None, now_ns=lambda: 10 * NANOSECONDS)


def close_to(pose: Pose2) -> Any:
    return pytest.approx((pose.x, pose.y, pose.yaw), abs=1e-9)


def told(frames_: Frames, pose: Pose2, frame: str) -> tuple[float, float, float]:
    place = frames_.place(pose, frame)
    return place.x, place.y, place.yaw


def test_a_place_is_told_in_the_odometrys_frame_or_from_the_robot() -> None:
    known = Frames(holder(), "base_link")
    ahead = Pose2(2.0, 0.0, 0.0)
    assert told(known, ahead, "odom") == told(known, ahead, "") == close_to(ahead)
    with pytest.raises(ValueError, match="no odometry yet"):
        known.place(ahead, "base_link")
    known.odometry("wheels", Pose2(1.0, 1.0, math.pi / 2))
    assert told(known, ahead, "base_link") == close_to(Pose2(1.0, 3.0, math.pi / 2))
    assert told(known, ahead, "wheels") == close_to(ahead)
    with pytest.raises(ValueError, match="install tf2_ros"):
        known.place(ahead, "map")


def test_a_place_in_any_frame_is_found_through_tf(tf2: list[str]) -> None:
    known = Frames(holder(), "base_link")
    assert told(known, Pose2(1.0, 0.5, 0.0), "map") == close_to(Pose2(1.5, 1.0, math.pi / 2))
    with pytest.raises(ValueError, match="tf does not lead from there: attic is not in the tree"):
        known.place(Pose2(0.0, 0.0, 0.0), "attic")


def test_a_localisation_that_died_tells_no_places(tf2: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    known, origin = Frames(holder(), "base_link"), Pose2(0.0, 0.0, 0.0)
    monkeypatch.setattr(Tree, "stamp", 7 * NANOSECONDS)
    with pytest.raises(ValueError, match=r"heard nothing for 3\.0 s"):
        known.place(origin, "map")
    monkeypatch.setattr(Tree, "stamp", 0)  # static: it never moves
    assert told(known, origin, "map") == close_to(Pose2(2.0, 0.0, math.pi / 2))


# --- a navigator ---------------------------------------------------------------------------------------------------


class Driver:
    """A navigator that we turn by hand, in the place of its thread."""

    def __init__(self, started: Callable[..., Any], by_hand: bool = True) -> None:
        self.navigator = started(Navigator, model="bearing")
        assert self.navigator.autostart()
        if by_hand:
            self.navigator._is_working = False
            self.navigator._worker.join()
        self.now, self._count = 1_760_000_000 * NANOSECONDS, 0
        self.navigator.now_ns = lambda: self.now

    def look(self, here: Pose2) -> str:
        """A picture and odometry of now; the state after it."""
        self.now += NANOSECONDS // 10
        self._count += 1
        picture = np.full((CAMERA.height, CAMERA.width, 3), self._count % 200, np.uint8)
        self.navigator._on_odometry(odometry_of(here, Velocity(), self.now, "odom", "base_link"))
        while not self.navigator._inbox.empty():
            self.navigator._inbox.get()()
        self.navigator._tick(image_of(picture, self.now, "camera"), self.now)
        return str(self.navigator._progress.state)

    @property
    def goal(self) -> Any:
        return self.navigator._pilot.goal


def place(x: float, y: float, frame: str) -> PoseStamped:
    message = PoseStamped(pose=pose_of(Pose2(x, y, 0.0)))
    message.header.frame_id = frame
    return message


def test_a_goal_is_told_from_the_robot(started: Callable[..., Any]) -> None:
    driver = Driver(started)
    driver.look(Pose2(1.0, 2.0, math.pi))
    driver.navigator._on_pose(place(3.0, 0.0, "base_link"))
    assert driver.look(Pose2(1.0, 2.0, math.pi)) == "driving"
    assert (driver.goal.x, driver.goal.y) == pytest.approx((-2.0, 2.0))
    driver.navigator._on_pose(place(3.0, 0.0, "nowhere"))
    driver.look(Pose2(1.0, 2.0, math.pi))
    assert driver.goal.x == pytest.approx(-2.0), "a goal that is refused changes nothing"
    assert "nowhere" in driver.navigator._refused
    driver.navigator._on_words(String(data="route: up"))
    assert driver.navigator._refused.startswith("goal_words: 'route: up'")
    driver.navigator._on_pose(place(1.0, 0.0, "odom"))
    driver.look(Pose2(1.0, 2.0, math.pi))
    assert driver.navigator._refused == ""


def test_a_navigator_whose_planning_fails_goes_on(started: Callable[..., Any]) -> None:
    """What fails is told; the thread that plans outlives it, and what comes next is planned as ever."""
    driver = Driver(started, by_hand=False)
    navigator, failed = driver.navigator, threading.Event()

    def fail() -> None:
        failed.set()
        raise ArithmeticError("of a kind that nobody thought of")

    navigator._inbox.put(fail)
    assert failed.wait(5.0)
    now = time.time_ns()
    navigator._on_odometry(odometry_of(Pose2(0.0, 0.0, 0.0), Velocity(), now, "odom", "base_link"))
    navigator._on_pose(place(2.0, 0.0, "odom"))
    navigator.now_ns = time.time_ns
    deadline = time.monotonic() + 10.0
    while navigator._progress.state != "driving":
        assert navigator._worker.is_alive() and time.monotonic() < deadline
        picture = np.full((CAMERA.height, CAMERA.width, 3), time.time_ns() % 251, np.uint8)
        navigator._on_odometry(odometry_of(Pose2(0.0, 0.0, 0.0), Velocity(), time.time_ns(), "odom", "base_link"))
        navigator._on_picture(image_of(picture, time.time_ns(), "camera"))
        time.sleep(0.05)


def test_a_navigator_that_hangs_ends_its_process(started: Callable[..., Any]) -> None:
    navigator = Driver(started).navigator
    navigator._look_for_pictures()
    navigator._begun = time.monotonic() - 11.0
    with pytest.raises(RuntimeError, match="a plan has taken 11 s"):  # which run() turns into an exit code
        navigator._look_for_pictures()


# --- Nav2's action -------------------------------------------------------------------------------------------------


class Handle:
    """rclpy's ServerGoalHandle, with its rule: what it ends as is told while it is executed, and once."""

    def __init__(self, pose: PoseStamped) -> None:
        self.request = SimpleNamespace(pose=pose)
        self.is_cancel_requested = False
        self.ended, self.result, self.feedback = "", None, []  # type: tuple[str, Any, list[Any]]
        self._is_executed = False

    def publish_feedback(self, told: Any) -> None:
        assert not self.ended
        self.feedback.append(told)

    def execute(self, finish: Callable[[Handle], Any]) -> None:
        assert not self._is_executed
        self._is_executed = True
        self.result = finish(self)
        assert self.ended

    def _end(self, how: str) -> None:
        assert self._is_executed and not self.ended
        self.ended = how

    def succeed(self) -> None:
        self._end("succeeded")

    def canceled(self) -> None:
        assert self.is_cancel_requested
        self._end("canceled")

    def abort(self) -> None:
        self._end("aborted")


class Server:
    """rclpy's ActionServer: no action is compiled in pip's ROS."""

    def __init__(self, node: Any, kind: Any, name: str, execute: Any, *, handle_accepted_callback: Any,
                 cancel_callback: Any) -> None:
        assert name == "navigate_to_pose"
        self.accept, self.is_gone = handle_accepted_callback, False
        Server.newest = self

    newest: Server

    def destroy(self) -> None:
        self.is_gone = True


@pytest.fixture
def nav2(monkeypatch: pytest.MonkeyPatch) -> None:
    result = lambda: SimpleNamespace(error_code=0, error_msg="")  # noqa: E731
    kind = SimpleNamespace(NavigateToPose=SimpleNamespace(Result=result, Feedback=SimpleNamespace))
    monkeypatch.setattr(errands, "nav2", kind)
    monkeypatch.setattr(errands, "ActionServer", Server)
    monkeypatch.setattr("ros_nodes.navigator.HAS_NAV2", True)


def ask(driver: Driver, x: float, frame: str = "odom") -> tuple[Handle, Callable[[], None]]:
    """A goal of the action, and what the server's timer does."""
    handle = Handle(place(x, 0.0, frame))
    Server.newest.accept(handle)
    return handle, Server.newest.accept.__self__._follow


@pytest.mark.usefixtures("nav2")
def test_an_action_ends_when_the_robot_is_there(started: Callable[..., Any]) -> None:
    driver = Driver(started)
    driver.look(Pose2(0.0, 0.0, 0.0))
    handle, follow = ask(driver, 3.0)
    assert driver.look(Pose2(0.04, 0.0, 0.0)) == "driving"
    follow()
    (first,) = handle.feedback
    assert first.distance_remaining == pytest.approx(2.96, abs=0.1)
    assert (first.current_pose.pose.position.x, first.current_pose.header.frame_id) == (0.04, "odom")
    for k in range(80):
        if driver.look(Pose2(min(0.04 * k, 3.0), 0.0, 0.0)) == "arrived":
            break
    follow()
    assert handle.ended == "succeeded"
    driver.look(Pose2(3.0, 0.0, 0.0))
    follow()  # nothing is left to end twice


@pytest.mark.usefixtures("nav2")
def test_an_action_is_cancelled(started: Callable[..., Any]) -> None:
    driver = Driver(started)
    driver.look(Pose2(0.0, 0.0, 0.0))
    handle, follow = ask(driver, 3.0)
    driver.look(Pose2(0.0, 0.0, 0.0))
    handle.is_cancel_requested = True
    follow()
    follow()
    assert driver.look(Pose2(0.0, 0.0, 0.0)) == "waiting" and driver.goal is None
    follow()
    assert handle.ended == "canceled"


@pytest.mark.usefixtures("nav2")
def test_the_newest_goal_is_driven_wherever_it_came_from(started: Callable[..., Any]) -> None:
    driver = Driver(started)
    driver.look(Pose2(0.0, 0.0, 0.0))
    first, follow = ask(driver, 3.0)
    second, _ = ask(driver, 4.0)
    driver.look(Pose2(0.0, 0.0, 0.0))
    follow()
    assert (first.ended, second.ended) == ("aborted", "")
    assert "another goal" in first.result.error_msg
    first.is_cancel_requested = True  # too late to mean anything
    driver.navigator._on_pose(place(5.0, 0.0, "odom"))
    driver.look(Pose2(0.0, 0.0, 0.0))
    follow()
    assert second.ended == "aborted" and driver.goal.x == 5.0


@pytest.mark.usefixtures("nav2")
def test_an_action_that_cannot_be_is_aborted_with_its_reason(started: Callable[..., Any]) -> None:
    driver = Driver(started)
    driver.look(Pose2(0.0, 0.0, 0.0))
    kept, follow = ask(driver, 3.0)
    refused, _ = ask(driver, 3.0, "attic")
    driver.look(Pose2(0.0, 0.0, 0.0))
    follow()
    assert refused.ended == "aborted" and "attic" in refused.result.error_msg
    assert kept.ended == "" and driver.goal.x == 3.0


@pytest.mark.usefixtures("nav2")
def test_the_action_is_gone_with_the_node(started: Callable[..., Any]) -> None:
    driver = Driver(started)
    server = Server.newest
    driver.navigator.close()
    assert server.is_gone

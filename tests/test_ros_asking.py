"""`nav-foundation goal`, to a real navigator and a real controller in this process, and to one that we play."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")

import rclpy
from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from nav_foundation import cli
from nav_foundation.data.images import encode_jpeg
from nav_foundation.robot import load_robot
from nav_foundation.types import Pose2, Velocity
from ros_nodes import asking
from ros_nodes.controller import ControllerNode
from ros_nodes.messages import image_of, odometry_of, rgb_of
from ros_nodes.navigator import Navigator
from ros_nodes.node import GOAL, LATCHED

CAMERA = load_robot("turtlebot").camera


@pytest.fixture
def served(ros: None) -> Iterator[Callable[[Any], None]]:
    """Serves nodes in threads of their own."""
    executors: list[SingleThreadedExecutor] = []

    def serve(node: Any) -> None:
        executors.append(SingleThreadedExecutor())
        executors[-1].add_node(node)
        threading.Thread(target=executors[-1].spin, daemon=True).start()

    yield serve
    for executor in executors:
        executor.shutdown(timeout_sec=2.0)


@pytest.fixture
def navigator(started: Callable[..., Any], served: Callable[[Any], None]) -> Iterator[Any]:
    """One that goes straight to places, and a robot that drives ahead while it has a plan."""
    node = started(Navigator, model="bearing")
    assert node.autostart()
    served(node)
    ended = threading.Event()

    def drive() -> None:
        x = 0.0
        while not ended.wait(0.05):
            x += 0.03 * (node._progress.plan is not None)
            now = time.time_ns()
            node._on_odometry(odometry_of(Pose2(x, 0.0, 0.0), Velocity(), now, "odom", "base_link"))
            picture = np.full((CAMERA.height, CAMERA.width, 3), now // 1000 % 251, np.uint8)
            node._on_picture(image_of(picture, now, "camera"))

    robot = threading.Thread(target=drive)
    robot.start()
    yield node
    ended.set()
    robot.join()


def goal(*words: str) -> int:
    """The exit code."""
    try:
        return cli.main(["goal", *words])
    except SystemExit as end:
        return int(str(end.code))


def test_a_place_is_asked_for_and_followed(navigator: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert goal("point", "1.5", "0", "--wait", "30") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("driving: x 1.5") and "m left" in told[0], "it is told from the robot, at 0, 0"
    assert told[1:] == ["arrived"]
    assert goal("status") == 0
    assert capsys.readouterr().out == "navigator: arrived\ncontroller: nothing is heard of it\n"


def test_a_goal_is_cancelled(navigator: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert goal("point", "50", "0", "--frame", "odom") == 0
    assert "x 50.00 m, y 0.00 m in the odometry's frame" in capsys.readouterr().out
    codes: list[int] = []
    follows = threading.Thread(target=lambda: codes.append(goal("point", "50", "-1", "--wait", "30")))
    follows.start()
    deadline = time.monotonic() + 10.0
    while navigator._asked < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # it is followed
    assert goal("cancel") == 0
    follows.join()
    told = capsys.readouterr().out
    assert codes == [1] and "the robot stands until it is given another goal" in told and "waiting" in told


def test_what_is_not_reached_in_time_is_told(navigator: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert goal("point", "50", "0", "--wait", "0.5") == 1
    assert "not there after 0.5 s; driving" in capsys.readouterr().out


def test_a_real_navigator_refuses(
    navigator: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_PATIENCE_HEARD", 1.0)
    assert goal("point", "1", "0", "--frame", "attic", "--wait", "30") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not navigator._asked


def test_the_robot_is_stopped_and_released(
    started: Callable[..., Any], served: Callable[[Any], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    controller = started(ControllerNode, state_folder=str(tmp_path))
    assert controller.autostart()
    served(controller)
    assert goal("stop") == 0
    assert list(tmp_path.iterdir())
    assert goal("release") == 0
    stopped, released = capsys.readouterr().out.splitlines()
    assert stopped == "stopped until released" and released.startswith("released")


@pytest.mark.parametrize("action", ["point 1 0", "cancel", "stop", "status", "proposed"])
def test_without_a_robot_it_says_how_to_start_one(
    ros: None, action: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.3)
    assert goal(*action.split(), "--namespace", "nobody") == 2
    told = capsys.readouterr().err
    assert "`nav-foundation robot" in told and len(told.splitlines()) == 1


# --- a navigator that we play -------------------------------------------------------------------------------------


class Played:
    """In a namespace; takes what does not come in words, and proposes what a simulated robot does."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("simulated_robot", namespace="bot")
        self.heard: list[Any] = []
        self._number = 0
        self._status = self.node.create_publisher(String, "navigator/status", LATCHED)
        topics = {"goal_point": PointStamped, "goal_pose": PoseStamped, "goal_words": String, "goal_image": Image,
                  "goal_image/compressed": CompressedImage}
        for topic, kind in topics.items():
            self.node.create_subscription(kind, topic, self._on_goal, GOAL)
        self._proposed = {t: self.node.create_publisher(k, f"~/{t}", LATCHED) for t, k in topics.items()}
        self._tell("")

    def _on_goal(self, message: Any) -> None:
        self.heard.append(message)
        words = isinstance(message, String)
        self._number += not words
        self._tell("it does not understand words" if words else "")

    def _tell(self, refused: str) -> None:
        state, kind = ("driving", "ImageGoal") if self._number else ("waiting", "")
        self._status.publish(String(data=json.dumps({
            "state": state, "reason": "", "goal": kind, "words": "", "number": self._number, "refused": refused,
        })))

    def propose(self, topic: str, message: Any) -> None:
        self._proposed[topic].publish(message)


@pytest.fixture
def played(served: Callable[[Any], None]) -> Iterator[Played]:
    made = Played()
    served(made.node)
    yield made
    made.node.destroy_node()


def test_a_refusal_is_the_error(
    played: Played, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_PATIENCE_HEARD", 1.0)
    for _ in range(2):  # the same one again, too
        assert goal("words", "turn", "left", "--namespace", "bot", "--wait", "9") == 2
        assert capsys.readouterr().err == "nav-foundation goal words: it does not understand words\n"
    assert [message.data for message in played.heard] == ["turn left"] * 2
    assert goal("status", "--namespace", "bot") == 0
    assert "waiting; the last goal was refused: it does not understand words" in capsys.readouterr().out


def test_a_picture_is_sent_as_it_is(played: Played, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    (tmp_path / "door.jpg").write_bytes(encode_jpeg(picture))
    assert goal("image", str(tmp_path / "door.jpg"), "--namespace", "/bot") == 0
    assert bytes(played.heard[0].data) == (tmp_path / "door.jpg").read_bytes()
    assert rgb_of(played.heard[0]).shape == picture.shape


def test_what_is_proposed_is_sent_on(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    picture = image_of(np.full((480, 640, 3), 7, np.uint8), 0, "camera")
    place = PoseStamped()
    place.header.frame_id = "odom"
    played.propose("goal_pose", place)
    assert goal("proposed", "--namespace", "bot") == 0
    played.propose("goal_image", picture)
    assert goal("proposed", "--namespace", "bot") == 0
    assert played.heard == [place, picture], "the picture is the task's, the place where it was taken"
    assert "proposes a goal as image" in capsys.readouterr().out


def test_what_makes_no_goal_is_refused_before_a_robot_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    wrong = {
        "point 1 nan": "it takes a number; got 'nan'", "words route: up": "no way to take",
        "image nothing.jpg": "is no picture", f"image {tmp_path / 'broken.jpg'}": "broken.jpg",
    }
    for words, why in wrong.items():
        assert goal(*words.split()) == 2
        told = capsys.readouterr().err
        assert why in told and len(told.splitlines()) == 1
    assert goal() == 0
    assert "nav-foundation goal proposed" in capsys.readouterr().out

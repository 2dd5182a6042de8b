"""The node recorder, with real messages: in this process, and as a process that is killed."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")

from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode, encode_jpeg, encode_png
from nav_foundation.data.schema import DataError
from nav_foundation.robot import load_robot
from nav_foundation.types import NANOSECONDS, Pose2, Velocity
from ros_nodes import recorder as recorder_node
from ros_nodes.graph import RobotOptions, SimOptions, graph, processes
from ros_nodes.main import NODES
from ros_nodes.messages import (
    camera_info_of,
    depth_image_of,
    image_of,
    odometry_of,
    stamped_twist_of,
    time_of,
    twist_of,
)
from ros_nodes.node import COMMAND, LATCHED, SENSOR

pytestmark = pytest.mark.usefixtures("ros")
START_NS = 1_760_000_000_000_000_000
CAMERA = load_robot("turtlebot").camera
MS = 1_000_000


def until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


# --- recorder, its callbacks with messages ------------------------------------------------------------------------


def rgb(number: int) -> np.ndarray:
    return np.full((CAMERA.height, CAMERA.width, 3), (number % 250, 30, 200), np.uint8)


def compressed(data: bytes, stamp: int, format: str = "jpeg") -> CompressedImage:
    message = CompressedImage(format=format, data=array("B", data))
    message.header.stamp = time_of(stamp)
    return message


@dataclass
class Driven:
    """Feeds a recorder whose clock we turn: a leg of the policy, one of a person, at 0.3 m/s; then it stands."""

    node: Any
    picture: Callable[[int, int], Any] = lambda number, stamp: image_of(rgb(number), stamp, "camera")
    now_ns: int = START_NS
    leg_ms: int = 2000
    x: float = 0.0
    extra: dict[int, Callable[[Driven], None]] = field(default_factory=dict)  # by ms: what else happens

    def drive(self, seconds: float = 9.0) -> None:
        node, stamped = self.node, self.node.parameters.stamped
        node.now_ns = lambda: self.now_ns
        for ms in range(0, round(1000 * seconds), 5):
            mode = ("driving", "teleop", "standing")[min(ms // self.leg_ms, 2)]
            speed = 0.0 if mode == "standing" else 0.3
            now = self.now_ns
            if ms in self.extra:
                self.extra[ms](self)
            if ms % 100 == 0:
                sent = {"linear": speed, "angular": 0.0, "lateral": 0.0}
                node._on_controller(String(data=json.dumps({"mode": mode, "reason": "", "sent": sent})))
                node._on_navigator(String(data=json.dumps({"state": "driving", "goal": "PointGoal"})))
            if ms % 50 == 5:
                velocity = Velocity(speed)
                node._on_command(stamped_twist_of(velocity, now, "base_link") if stamped else twist_of(velocity))
            if ms % 20 == 10:
                node._on_odometry(odometry_of(Pose2(self.x, 0.0, 0.0), Velocity(), now, "odom", "base_link"))
            if ms % 100 == 55:
                if node.parameters.with_depth:
                    node._on_depth(depth_image_of(np.full((48, 64), 2.5, np.float32), now - 40 * MS, "camera"))
                node._on_picture(self.picture(ms // 100, now - 40 * MS))
            if ms % 1000 == 500:
                node._look()
            self.now_ns += 5 * MS
            self.x += 0.005 * speed


def test_messages_become_episodes(started: Callable[..., Any], tmp_path: Path) -> None:
    node = started(recorder_node.Recorder, folder=str(tmp_path / "drives"))
    assert node.autostart()
    told: list[str] = []
    node._status.publish = lambda message: told.append(message.data)  # type: ignore[method-assign]
    Driven(node).drive()
    node.close()
    dataset = EpisodeDataset(tmp_path / "drives")
    assert [dataset.info(k).driver for k in range(dataset.episodes)] == ["policy", "human"]
    assert dataset.info(0).goal == {"type": "point-goal"}
    assert dataset.info(1).notes == {"takeover": True, "goal": {"type": "point-goal"}}
    stamps = dataset.stamps_ns(0)
    assert (np.diff(stamps) == 200 * MS).all()
    # Pictures are taken 15 ms after every tenth of a second, where the robot is at 0.3 m/s times the time.
    assert set(((stamps - START_NS) // MS % 100).tolist()) == {15}
    whole = stamps - START_NS > 30 * MS
    assert dataset.poses(0)[whole, 0] == pytest.approx(0.3 * (stamps[whole] - START_NS) / NANOSECONDS, abs=1e-6)
    assert (dataset.actions(0)[whole] == (0.3, 0.0)).all()
    number = int(stamps[3] - START_NS) // (100 * MS)
    assert dataset.image_file(0, 3) == encode_jpeg(rgb(number), 95)
    last = json.loads(told[-1])
    assert last == {"episodes": 2, "frames": len(dataset), "current": 0, "driver": "", "dropped": 0, "refused": 0}
    assert any(json.loads(text)["driver"] == "human" and json.loads(text)["current"] > 0 for text in told)


def test_files_of_compressed_pictures_pass_as_they_come(started: Callable[..., Any], tmp_path: Path) -> None:
    def picture(number: int, stamp: int) -> CompressedImage:
        return compressed(encode_png(rgb(number)), stamp, "rgb8; png compressed bgr8")

    node = started(recorder_node.Recorder, folder=str(tmp_path / "drives"), compressed=True, stamped=True)
    assert node.autostart()
    Driven(node, picture).drive(5.0)
    node.close()
    dataset = EpisodeDataset(tmp_path / "drives")
    assert dataset.episodes == 2
    number = int(dataset.stamps_ns(1)[5] - START_NS) // (100 * MS)
    assert dataset.image_file(1, 5) == encode_png(rgb(number))


def test_depth_of_another_size_is_fitted_to_the_pictures(started: Callable[..., Any], tmp_path: Path) -> None:
    node = started(recorder_node.Recorder, folder=str(tmp_path / "drives"), with_depth=True)
    assert node.autostart()
    Driven(node).drive(5.0)
    node.close()
    depth = EpisodeDataset(tmp_path / "drives").depth(0, 4)
    assert depth is not None and depth.shape == (CAMERA.height, CAMERA.width) and (depth == 2.5).all()


def test_the_camera_is_as_camera_info_tells(started: Callable[..., Any], tmp_path: Path) -> None:
    from dataclasses import replace

    real = replace(CAMERA, width=160, height=120, hfov_deg=None, fx=90.0, fy=91.0, cx=80.0, cy=60.0)
    node = started(recorder_node.Recorder, folder=str(tmp_path / "drives"))
    assert node.autostart()
    node._on_camera(CameraInfo())  # one that is not calibrated
    node._on_camera(camera_info_of(real, START_NS, "camera"))
    Driven(node, lambda number, stamp: image_of(np.full((120, 160, 3), number, np.uint8), stamp, "camera")).drive(5.0)
    node.close()
    info = EpisodeDataset(tmp_path / "drives").info(0)
    assert info.robot is not None and info.robot.camera == real


def garbage(number: int, stamp: int) -> Image:
    """Every third of those that are taken, which are the even ones, is broken in some way."""
    message = image_of(rgb(number), stamp, "camera")
    kind = number // 6 % 6 if number % 6 == 0 else -1
    if kind == 0:
        message.encoding = "no such encoding"
    elif kind == 1:
        message.height = 4_000_000_000
    elif kind == 2:
        message.data = array("B", b"")
    elif kind == 3:
        message.step = 3
    elif kind == 4:
        message.header.stamp = time_of(0)
    elif kind == 5:
        message = image_of(np.zeros((7, 5, 3), np.uint8), stamp, "camera")
    return message


def test_garbage_ends_nothing_and_breaks_nothing(started: Callable[..., Any], tmp_path: Path) -> None:
    node = started(recorder_node.Recorder, folder=str(tmp_path / "drives"))
    assert node.autostart()

    def junk(driven: Driven) -> None:
        broken = Odometry()
        broken.header.stamp = time_of(driven.now_ns)
        broken.pose.pose.position.x = math.nan
        node._on_odometry(broken)
        broken.pose.pose.position.x, broken.pose.pose.orientation.w = 0.0, math.inf
        node._on_odometry(broken)
        wild = Twist()
        wild.linear.x = math.inf
        node._on_command(wild)
        for text in ("", "{", '{"mode": []}', '{"goal": 3}', "\x00"):
            node._on_controller(String(data=text))
            node._on_navigator(String(data=text))
        node._on_camera(CameraInfo(k=[math.nan] * 9, width=128, height=96))
        node._on_picture(compressed(b"\xff\xd8\xff no picture", driven.now_ns))

    driven = Driven(node, garbage, leg_ms=4000, extra=dict.fromkeys(range(300, 8000, 350), junk))
    driven.drive(14.0)
    assert node.diagnose()[2]["refused"] == 0
    node.close()
    dataset = EpisodeDataset(tmp_path / "drives")
    assert dataset.episodes == 2 and not dataset.damaged
    for episode in range(2):
        assert (np.diff(dataset.stamps_ns(episode)) > 0).all() and np.isfinite(dataset.poses(episode)).all()
        assert np.isfinite(dataset.actions(episode)).all()
        numbers = (dataset.stamps_ns(episode) - START_NS) // (100 * MS)
        assert not (numbers % 6 == 0).any()
        for frame, number in enumerate(numbers.tolist()):
            assert abs(dataset.image(episode, frame).astype(int) - decode(encode_jpeg(rgb(number)))).max() == 0


def test_a_clock_set_back_ends_the_episode(started: Callable[..., Any], tmp_path: Path) -> None:
    def back(driven: Driven) -> None:
        driven.now_ns -= 3600 * NANOSECONDS

    node = started(recorder_node.Recorder, folder=str(tmp_path / "drives"))
    assert node.autostart()
    driven = Driven(node, leg_ms=4000, extra={6000: back})
    driven.drive(9.0)
    node.close()
    dataset = EpisodeDataset(tmp_path / "drives")
    assert [dataset.info(k).driver for k in range(dataset.episodes)] == ["policy", "human", "human"]
    assert dataset.stamps_ns(1)[0] > START_NS > dataset.stamps_ns(2)[-1]
    assert all((np.diff(dataset.stamps_ns(k)) == 200 * MS).all() for k in range(dataset.episodes))


def test_what_the_disk_refuses_is_in_the_diagnosis(
    started: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DataError("drives/data cannot be written: No space left on device")

    node = started(recorder_node.Recorder, folder=str(tmp_path / "drives"))
    assert node.autostart()
    with monkeypatch.context() as patch:
        patch.setattr("nav_foundation.data.writer.DatasetWriter._write_frames", full)
        Driven(node).drive(11.0)
        until(lambda: node._keeper.refused == 2, 10.0, "both episodes are refused")
        level, sentence, values = node.diagnose()
    assert (level, sentence) == (b"\x02", "drives/data cannot be written: No space left on device")
    assert values["refused"] == 2
    again = Driven(node)
    again.now_ns += 60 * NANOSECONDS
    again.drive()
    node.close()
    assert EpisodeDataset(tmp_path / "drives").episodes == 2


@pytest.mark.parametrize(("wrong", "says"), [
    ({"folder": ""}, "the recorder has no folder"), ({"record_rate": 0.0}, "rate is 0.0"),
    ({"robot": "turtelbot"}, "did you mean 'turtlebot'"), ({"longest": 1.0}, "longest is 1.0: give 2 to 600"),
])
def test_what_it_is_told_wrongly_keeps_it_from_starting(
    started: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str], wrong: dict[str, Any], says: str
) -> None:
    assert not started(recorder_node.Recorder, **{"folder": str(tmp_path / "drives"), **wrong}).autostart()
    assert says in capfd.readouterr().err


# --- recorder, as a process ---------------------------------------------------------------------------------------


class Robot:
    """Publishes what a robot that drives at 0.3 m/s does, in real time."""

    def __init__(self) -> None:
        self.node = Node("robot_of_test")
        make = self.node.create_publisher
        self._image, self._odom = make(Image, "image", SENSOR), make(Odometry, "odom", SENSOR)
        self._command = make(Twist, "cmd_vel", COMMAND)
        self._controller = make(String, "controller/status", LATCHED)
        self._navigator = make(String, "navigator/status", LATCHED)
        self.told: dict[str, Any] = {}
        self.node.create_subscription(String, "recorder/status", self._on_status, LATCHED)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self.begin_ns, self._count = time.time_ns(), 0

    def _on_status(self, message: String) -> None:
        self.told = json.loads(message.data)

    def drive(self, mode: str, condition: Callable[[], Any], seconds: float) -> None:
        """Until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{mode} went on for {seconds} s: {self.told}"
            now, self._count = time.time_ns(), self._count + 1
            x = 0.3 * (now - self.begin_ns) / NANOSECONDS
            self._odom.publish(odometry_of(Pose2(x, 0.0, 0.0), Velocity(), now, "odom", "base_link"))
            if self._count % 3 == 0:
                self._command.publish(twist_of(Velocity(0.3)))
            if self._count % 5 == 0:
                self._image.publish(image_of(rgb(self._count), now, "camera"))
            if self._count % 10 == 0:
                sent = {"linear": 0.3, "angular": 0.0, "lateral": 0.0}
                self._controller.publish(String(data=json.dumps({"mode": mode, "reason": "", "sent": sent})))
                self._navigator.publish(String(data=json.dumps({"state": "driving", "goal": "ImageGoal"})))
            self._executor.spin_once(timeout_sec=0.0)
            time.sleep(0.01)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_episodes_outlive_the_process(tmp_path: Path, end: signal.Signals) -> None:
    folder, robot = tmp_path / "drives", Robot()
    process = subprocess.Popen([
        sys.executable, "-m", "nav_foundation.cli", "node", "recorder", "--ros-args", "-p", f"folder:={folder}",
        "-p", "record_rate:=10.0",
    ])
    try:
        robot.drive("driving", lambda: robot.told.get("driver") == "policy" and robot.told["current"] > 12, 60.0)
        robot.drive("teleop", lambda: robot.told["episodes"] == 1 and robot.told["current"] > 10, 30.0)
        begun = time.monotonic()
        process.send_signal(end)
        code = process.wait(20.0)
        assert code == (-signal.SIGKILL if end == signal.SIGKILL else 0) and time.monotonic() - begun < 10.0
    finally:
        process.kill()
        process.wait()
        robot.close()
    dataset = EpisodeDataset(folder)
    drivers = ["policy"] if end == signal.SIGKILL else ["policy", "human"]
    assert [dataset.info(k).driver for k in range(dataset.episodes)] == drivers and not dataset.damaged
    for number in range(dataset.episodes):
        stamps, poses = dataset.stamps_ns(number), dataset.poses(number)
        assert (np.diff(stamps) > 0).all()
        assert poses[:, 0] == pytest.approx(0.3 * (stamps - robot.begin_ns) / NANOSECONDS, abs=1e-3)
        assert (dataset.actions(number)[3:] == (0.3, 0.0)).mean() > 0.9
    if end == signal.SIGINT:
        assert dataset.info(1).notes == {"takeover": True, "goal": {"type": "image-goal"}}


# --- the graph ----------------------------------------------------------------------------------------------------


def test_recorder_and_joystick_are_in_the_graph_where_they_are_asked_for() -> None:
    assert [node.name for node in graph(RobotOptions())] == ["controller", "navigator"]
    nodes = {n.name: n for n in graph(RobotOptions(record="drives", joystick=True, joy="pad/joy", compressed=True))}
    assert set(nodes) == {"controller", "navigator", "recorder", "joystick"} <= set(NODES)
    assert nodes["recorder"].parameters["folder"] == "drives" and nodes["recorder"].parameters["compressed"]
    assert nodes["joystick"].remappings["joy"] == "pad/joy"
    everything = RobotOptions(record="drives", joystick=True, obstacles="depth", stamped=True)
    (process,) = processes(graph(everything, SimOptions(frame_rate=15.0)), composed=True)
    assert process.name == "controller navigator recorder joystick simulated_robot"
    with pytest.raises(ValueError, match="record needs odometry"):
        graph(RobotOptions(record="drives", odom=""))

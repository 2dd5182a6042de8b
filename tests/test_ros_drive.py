"""The whole loop: a simulated robot in unseen houses, the bundled network, goals of every kind, in real processes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")

from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.geometry import between
from nav_foundation.model.folder import named
from nav_foundation.training.finetune import tune_settings
from nav_foundation.training.train import train
from nav_foundation.types import Pose2
from ros_nodes.graph import RobotOptions, SimOptions, dds_environment
from ros_nodes.node import GOAL, LATCHED, SENSOR
from tests.conftest import LOOPBACK
from tests.ros_graph import Witness, check_limits, running_graph, until

pytestmark = pytest.mark.slow
DRIVING = {"drive": True, "accept_sim_model": True}
LONGEST = 120.0  # s of a drive, on a machine that does other things as well


def send_proposed(witness: Witness, kind: Any, topic: str) -> None:
    """What the simulated robot proposes as a goal, sent as a person would."""
    proposed: list[Any] = []
    witness.node.create_subscription(kind, f"simulated_robot/{topic}", proposed.append, LATCHED)
    publisher = witness.node.create_publisher(kind, topic, GOAL)
    until(lambda: proposed and witness.controller.get("mode") == "standing", 90.0, "all nodes work together")
    until(lambda: publisher.get_subscription_count(), 10.0, "the navigator listens")
    until(lambda: publisher.publish(proposed[-1]) or time.sleep(0.5) or witness.navigator.get("goal"), 20.0, "a goal")


def arrived(witness: Witness) -> Pose2:
    """Where the robot truly is, once it says that it is there, in the odometry's frame."""
    until(lambda: witness.navigator.get("state") == "arrived", LONGEST, "the robot arrives")
    until(lambda: witness.speed == 0.0, 3.0, "the robot stands")
    time.sleep(0.3)
    truth = witness.truth
    return between(witness.origin, Pose2(truth["x"], truth["y"], truth["yaw"]))


def take_over(witness: Witness, seconds: float) -> None:
    """Turn and drive a little by hand, as the joystick does."""
    publisher = witness.node.create_publisher(TwistStamped, "teleop", SENSOR)
    message = TwistStamped()
    message.twist.angular.z, message.twist.linear.x = 0.8, 0.1
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        publisher.publish(message)
        time.sleep(0.05)
    assert witness.controller["mode"] == "teleop"


def test_pictures_places_and_a_recording(tmp_path: Path) -> None:
    """In separate processes: to a picture, by hand for a while, back to where it began; all of it is recorded."""
    robot = RobotOptions(record=str(tmp_path / "drives"), **DRIVING)
    sim = SimOptions(task="image-goal", variant="route", distance="2-4", episode=11)
    with running_graph(robot, sim) as (_, witness):
        send_proposed(witness, Image, "goal_image")
        arrived(witness)
        assert witness.truth["distance_to_goal"] is None or witness.truth["distance_to_goal"] < 1.2
        take_over(witness, 4.0)
        witness.ask_for(Pose2(0.0, 0.0, 1.0))
        until(lambda: witness.navigator.get("state") == "driving", 10.0, "the robot drives on")
        home = arrived(witness)
        assert math.hypot(home.x, home.y) < 0.8
        assert abs(home.yaw - 1.0) < 0.4
        check_limits(witness.commands)
        time.sleep(6.0)  # of standing end an episode
    drives = EpisodeDataset(tmp_path / "drives")
    assert {drives.info(number).driver for number in range(drives.episodes)} == {"policy", "human"}
    assert len(drives) > 40
    settings = tune_settings((str(tmp_path / "drives"),), steps=2, workers=0, validation=(str(tmp_path / "drives"),))
    assert train(settings, tmp_path / "tuned", begin_with=named("nano"), progress=False).steps == 2


def test_words_and_places_in_one_process() -> None:
    robot = RobotOptions(composed=True, **DRIVING)
    sim = SimOptions(task="instruction", variant="single-room", episode=13)
    with running_graph(robot, sim) as (_, witness):
        send_proposed(witness, String, "goal_words")
        arrived(witness)
        assert witness.call(Trigger, "navigator/explore").success
        until(lambda: witness.navigator.get("goal") == "Explore", 10.0, "it explores")
        assert witness.call(Trigger, "navigator/cancel").success
        until(lambda: witness.navigator.get("state") == "waiting", 10.0, "it waits")
        witness.ask_for(Pose2(0.0, 0.0, 0.0))
        until(lambda: witness.navigator.get("state") == "driving", 10.0, "the robot drives on")
        home = arrived(witness)
        assert math.hypot(home.x, home.y) < 0.8
        check_limits(witness.commands)


def test_a_model_of_simulation_alone_does_not_drive_hardware() -> None:
    """Unless its owner says so: and until then a shadow is all that moves."""
    robot = RobotOptions(drive=True)
    sim = SimOptions(task="point-goal")
    with running_graph(robot, sim) as (_, witness):
        until(lambda: "only seen simulation" in witness.controller.get("reason", ""), 90.0, "it is refused")
        witness.ask_for(Pose2(1.0, 0.0, 0.0))
        time.sleep(2.0)
        assert all(command.linear == command.angular == 0.0 for command in witness.commands)


def children(process: int) -> dict[int, str]:
    """Command lines of the processes that a process has started."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == process:
                found[int(status.parent.name)] = (status.parent / "cmdline").read_text().replace("\0", " ")
    return found


def test_the_command_begins_again_what_dies_and_ends_all_at_ctrl_c(tmp_path: Path) -> None:
    domain = 101
    as_shipped = {name: value for name, value in os.environ.items() if name not in LOOPBACK}
    env = {**as_shipped, "ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    asked = ["robot", "--sim", "--model", "bearing", "--task", "point-goal"]
    witness = Witness(domain)
    with (tmp_path / "log").open("wb") as log:
        command = subprocess.Popen([sys.executable, "-m", "nav_foundation.cli", *asked], env=env, stderr=log)
    try:
        until(lambda: witness.controller.get("mode") == "standing", 90.0, "all nodes work together")
        nodes = children(command.pid)
        assert len(nodes) == 3
        os.kill(next(pid for pid, line in nodes.items() if " controller " in line), signal.SIGKILL)
        heard = len(witness.commands)
        until(lambda: len(witness.commands) > heard + 20, 30.0, "the controller is back")
        command.send_signal(signal.SIGINT)
        assert command.wait(15.0) == 0
        assert not [line for line in map(cmdline, nodes) if "nav_foundation" in line]
    finally:
        witness.close()
        command.kill()


def test_a_controller_has_no_memory_that_another_process_could_lock(tmp_path: Path) -> None:
    """As those have that take pictures. Nobody else is to be found meanwhile."""
    as_shipped = {name: value for name, value in os.environ.items() if name not in LOOPBACK}
    alone = {**as_shipped, "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF", "ROS_LOG_DIR": str(tmp_path / "ros")}
    shares: dict[bool, bool] = {}
    for pictures in (True, False):
        log = tmp_path / f"{pictures}.txt"
        with log.open("wb") as out:
            node = subprocess.Popen(
                [sys.executable, "-m", "nav_foundation.cli", "node", "controller"], stderr=out, stdout=out,
                env={**alone, **dds_environment(alone, pictures)},
            )
        try:
            until(lambda log=log: "[controller]" in log.read_text(), 60.0, "the controller says something")
            shares[pictures] = "/dev/shm/fastdds" in Path(f"/proc/{node.pid}/maps").read_text()
        finally:
            node.kill()
            node.wait()
    assert shares == {True: True, False: False}


def cmdline(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""

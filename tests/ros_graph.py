"""Our graph of nodes in real processes, and a witness that hears all of it. For tests; needs rclpy."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import rclpy
from geometry_msgs.msg import PoseStamped, Twist
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from nav_foundation.robot import RobotSpec, load_robot
from nav_foundation.types import Pose2
from ros_nodes.commands import command_of, environment
from ros_nodes.graph import NodeSpec, RobotOptions, SimOptions, graph, processes
from ros_nodes.messages import pose_of
from ros_nodes.node import GOAL, LATCHED, SENSOR

ONE_AT_A_TIME = Path(tempfile.gettempdir()) / "nav-foundation-tests-ros.lock"  # two graphs would slow each other
_DOMAINS = itertools.count(os.getpid() % 50)
EVERY = QoSProfile(depth=500, reliability=ReliabilityPolicy.RELIABLE)  # no command is missed
WIRE = Path(__file__).with_name("faulty_wire.py")
Status = dict[str, Any]


@dataclass(frozen=True)
class Command:
    at: float  # s, by this process's steady clock
    linear: float
    angular: float
    lateral: float


class Witness:
    """Hears commands and statuses, and asks for things."""

    def __init__(self, domain: int) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = Node("witness", context=self._context)
        self.commands: list[Command] = []
        self.navigator: Status = {}
        self.controller: Status = {}
        self.truth: Status = {}
        listen = self.node.create_subscription
        listen(Twist, "cmd_vel", self._on_command, EVERY)
        told = (("navigator/status", LATCHED), ("controller/status", LATCHED), ("simulated_robot/truth", SENSOR))
        for topic, qos in told:
            name = "truth" if topic.endswith("truth") else topic.partition("/")[0]
            listen(String, topic, lambda m, name=name: self._on_status(name, json.loads(m.data)), qos)
        self._goal = self.node.create_publisher(PoseStamped, "goal_pose", GOAL)
        self._faults = self.node.create_publisher(String, "fault", GOAL)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _on_status(self, name: str, told: Status) -> None:
        if name == "truth" and not self.truth:
            self._origin = Pose2(told["x"], told["y"], told["yaw"])
        setattr(self, name, told)

    def _on_command(self, message: Twist) -> None:
        self.commands.append(
            Command(time.monotonic(), message.linear.x, message.angular.z, message.linear.y)
        )

    def ask_for(self, place: Pose2) -> None:
        """Until the navigator has heard it: one that has just begun may not be connected yet."""
        message = PoseStamped(pose=pose_of(place))
        message.header.frame_id = "odom"
        told = f"x {place.x:.2f} m, y {place.y:.2f} m"
        for _ in range(10):
            self.navigator = {}  # one of before may have been asked for the same
            self._goal.publish(message)
            with suppress(AssertionError):
                until(lambda: told in self.navigator.get("words", ""), 2.0, "the navigator has this goal")
                return
        raise AssertionError("the navigator has heard of no goal")

    def cause(self, fault: str) -> float:
        """Tell the wire what to do to what passes through it; when that was, by the steady clock."""
        self._faults.publish(String(data=fault))
        return time.monotonic()

    @property
    def origin(self) -> Pose2:
        """Of the odometry's frame, in the scene's: where the robot began."""
        return self._origin

    def call(self, kind: Any, service: str, request: Any = None) -> Any:
        client = self.node.create_client(kind, service)
        assert client.wait_for_service(10.0), f"{service} is not there"
        answer = client.call_async(request or kind.Request())
        until(answer.done, 10.0, f"{service} did not answer")
        self.node.destroy_client(client)
        return answer.result()

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
        self._thread.join(timeout=2.0)

    @property
    def speed(self) -> float:
        """m/s last commanded."""
        return abs(self.commands[-1].linear) if self.commands else 0.0


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait for a condition; what it gives."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} within {seconds:g} s"
        time.sleep(0.005)
    return found


class Graph:
    """Processes by the names of their nodes."""

    def __init__(self, specs: Sequence[NodeSpec], options: RobotOptions, folder: Path, domain: int, wire: bool) -> None:
        self.log = folder / "log.txt"
        self._env = {**environment(sim=True), "ROS_DOMAIN_ID": str(domain), "OMP_NUM_THREADS": "1",
                     "ROS_LOG_DIR": str(folder / "ros")}
        self._commands = {spec.name: command_of(spec, options, folder) for spec in specs}
        if wire:
            self._commands["wire"] = [sys.executable, str(WIRE)]
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for name in self._commands:
            self.start(name)

    def start(self, name: str) -> None:
        with self.log.open("ab") as log:
            self.running[name] = subprocess.Popen(
                self._commands[name], env=self._env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def signal(self, name: str, number: int) -> float:
        """When it was sent, by the steady clock."""
        self.running[name].send_signal(number)
        return time.monotonic()

    def start_again(self) -> None:
        """Those that ended, and those that were stopped."""
        for name, process in self.running.items():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
            else:
                self.start(name)

    def kill(self, name: str) -> float:
        at = self.signal(name, signal.SIGKILL)
        self.running[name].wait()
        return at

    def close(self) -> None:
        for number in (signal.SIGCONT, signal.SIGINT):
            for process in self.running.values():
                if process.poll() is None:
                    process.send_signal(number)
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(8.0)
            process.kill()  # nothing, where it has ended
            process.wait()


@contextmanager
def running_graph(
    robot: RobotOptions, sim: SimOptions | None, *, wire: bool = False
) -> Iterator[tuple[Graph, Witness]]:
    """The processes of a robot. With `wire`, what a simulated one senses comes through tests/faulty_wire.py."""
    domain = 1 + next(_DOMAINS) % 100
    specs = processes(graph(robot, sim), robot.composed)
    if wire:
        through = {"image": "wire/image", "odom": "wire/odom", "/clock": "wire/clock"}
        specs = [
            replace(s, remappings={**s.remappings, **through}) if s.name == "simulated_robot" else s for s in specs
        ]
    with tempfile.TemporaryDirectory() as name, ONE_AT_A_TIME.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(name)
        processes_ = Graph(specs, robot, folder, domain, wire)
        witness = Witness(domain)
        try:
            yield processes_, witness
        except BaseException:
            print(processes_.log.read_text(errors="replace")[-6000:])
            raise
        finally:
            witness.close()
            processes_.close()


def check_limits(commands: Sequence[Command], robot: RobotSpec | None = None) -> None:
    """No command is beyond what the robot may do, nor does it change faster than the robot can."""
    robot = robot or load_robot("turtlebot")
    assert commands
    for command in commands:
        assert abs(command.linear) <= robot.max_speed + 1e-9
        assert abs(command.angular) <= robot.max_angular_speed + 1e-9
        assert command.lateral == 0.0 or robot.drive == "omnidirectional"
    for before, after in itertools.pairwise(commands):
        elapsed = max(after.at - before.at, 1.5 / robot.control_rate)  # they bunch up where the witness was late
        if abs(after.linear) > abs(before.linear):
            assert abs(after.linear - before.linear) <= robot.acceleration * elapsed + 0.02, (before, after)
        if abs(after.angular) > abs(before.angular):
            assert abs(after.angular - before.angular) <= robot.angular_acceleration * elapsed + 0.05, (before, after)

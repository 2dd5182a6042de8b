"""Run nodes, one or several in this process, each in a thread of its own, until a signal comes."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from ros_nodes.graph import CRASHED, ENDING, REFUSED, SUPERVISOR

NODES = {  # name -> (module, class, its parameters); read when asked for, so that a robot needs no simulator
    "navigator": ("ros_nodes.navigator", "Navigator", "NavigatorParameters"),
    "controller": ("ros_nodes.controller", "ControllerNode", "ControllerParameters"),
    "recorder": ("ros_nodes.recorder", "Recorder", "RecorderParameters"),
    "joystick": ("ros_nodes.joystick", "Joystick", "JoystickParameters"),
    "simulated_robot": ("ros_nodes.simulated_robot", "SimulatedRobot", "SimulatedRobotParameters"),
}
_SIMULATED = "simulated_robot"


def parameters_of(sim: bool) -> dict[str, Any]:
    """The dataclass of every node's parameters, by its name; that of a simulated robot where there is one."""
    return {
        name: getattr(importlib.import_module(module), kind)
        for name, (module, _, kind) in NODES.items() if sim or name != _SIMULATED
    }


def run(names: Sequence[str], ros_arguments: Sequence[str] = ()) -> int:
    """0 once a signal ended it, CRASHED, or REFUSED where a node cannot begin with what it was told."""
    for name in names:
        if name not in NODES:
            raise ValueError(f"node {name!r} is not known: use {', '.join(NODES)}")
    ended = threading.Event()
    for number in ENDING:
        signal.signal(number, lambda *_: ended.set())
    try:
        rclpy.init(args=["nav-foundation", *ros_arguments], signal_handler_options=SignalHandlerOptions.NO)
        running = [_Running(name, ended) for name in names]
    except (ParameterException, RuntimeError) as error:  # of rclpy: a wrong type, or no topic
        raise ValueError(" ".join(str(error).split())) from None
    supervisor = os.environ.get(SUPERVISOR)
    while not ended.wait(0.2):
        if supervisor is not None and str(os.getppid()) != supervisor:
            ended.set()  # nobody would end us any more
    for node in running:
        node.end()
    for number in ENDING:  # a terminal and `ros2 launch` both send one: Python is ending
        signal.signal(number, signal.SIG_IGN)
    rclpy.try_shutdown()
    return max(node.code for node in running)


class _Running:
    """A node and the thread that serves it."""

    def __init__(self, name: str, ended: threading.Event) -> None:
        module, kind, _ = NODES[name]
        self.code, self._ended = 0, ended
        self._node: Any = getattr(importlib.import_module(module), kind)()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            if not self._node.autostart():
                self.code = CRASHED if self._node.has_crashed else REFUSED
            while not (self.code or self._ended.is_set()):
                self._executor.spin_once(timeout_sec=0.2)  # shutting it down while it spins would be a race
        except Exception as error:
            self.code = CRASHED
            self._node.get_logger().fatal(f"{type(error).__name__}: {error}")
        self._ended.set()  # one that fails ends all: whoever started them starts them anew

    def end(self) -> None:
        self._thread.join(timeout=5.0)
        self._node.close()
        self._executor.shutdown(timeout_sec=2.0)
        self._node.destroy_node()

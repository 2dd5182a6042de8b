"""Run nodes, one or several in this process, each in a thread of its own, until a signal comes."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from ros_nodes.graph import SUPERVISOR

NODES = {  # name -> (module, class); read when asked for, so that a robot needs no simulator
    "navigator": ("ros_nodes.navigator", "Navigator"),
    "controller": ("ros_nodes.controller", "ControllerNode"),
    "recorder": ("ros_nodes.recorder", "Recorder"),
    "joystick": ("ros_nodes.joystick", "Joystick"),
    "simulated_robot": ("ros_nodes.simulated_robot", "SimulatedRobot"),
}


def run(names: Sequence[str], ros_arguments: Sequence[str] = ()) -> int:
    """0 once a signal ended it, 2 where a node could not begin."""
    for name in names:
        if name not in NODES:
            raise ValueError(f"node {name!r} is not known: use {', '.join(NODES)}")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    rclpy.init(args=["nav-foundation", *ros_arguments], signal_handler_options=SignalHandlerOptions.NO)
    running = [_Running(name, ended) for name in names]
    supervisor = os.environ.get(SUPERVISOR)
    while not ended.wait(0.2):
        if supervisor is not None and str(os.getppid()) != supervisor:
            ended.set()  # nobody would end us any more
    for node in running:
        node.end()
    rclpy.try_shutdown()
    return 2 if any(node.failed for node in running) else 0


class _Running:
    """A node and the thread that serves it."""

    def __init__(self, name: str, ended: threading.Event) -> None:
        module, kind = NODES[name]
        self.failed, self._ended = False, ended
        self._node: Any = getattr(importlib.import_module(module), kind)()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self.failed = not self._node.autostart()
            if not self.failed:
                self._executor.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:
            self.failed = True
            self._node.get_logger().fatal(f"{type(error).__name__}: {error}")
        self._ended.set()  # one that fails ends all: whoever started them starts them anew

    def end(self) -> None:
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(timeout=5.0)
        self._node.close()
        self._node.destroy_node()

"""The verb `goal`: asks the nodes of a robot that runs for something, and tells what they say."""

from __future__ import annotations

import argparse
import array
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.exceptions import InvalidNamespaceException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from nav_foundation.data.importing.picture_files import PICTURES, picture_of
from nav_foundation.data.importing.pictures import as_rgb
from policies.prediction.asked import spoken_goal
from ros_nodes.messages import jpeg_of
from ros_nodes.node import GOAL, LATCHED

PATIENCE = 15.0  # s for a robot to be found
_PATIENCE_PROPOSED = 60.0  # for a simulated one to make its scene
_PATIENCE_HEARD = 5.0  # for the navigator to say what it makes of a goal; without pictures it speaks every 2 s
_TOGETHER = 1.0  # s within which all that is proposed comes
_SERVICES = {"cancel": "navigator/cancel", "stop": "controller/emergency_stop", "release": "controller/release"}
_PROPOSED = {"goal_words": String, "goal_image": Image, "goal_pose": PoseStamped}  # the most particular one first
_NO_ROBOT = "start one by `nav-foundation robot`, or give the --namespace and ROS_DOMAIN_ID of the one that runs"
Status = dict[str, Any]


def run(options: argparse.Namespace) -> int:
    """The exit code. ValueError where there is no robot, or it refuses."""
    message = _message(options)  # before anything is begun: it may be wrong
    with _asker(options.namespace) as asker:
        if options.action == "status":
            return asker.tell_status()
        if options.action in _SERVICES:
            print(asker.call(_SERVICES[options.action]))
            return 0
        topic, message = message or asker.proposed()
        told = asker.send(topic, message)
        print(_line(told), flush=True)
        return 0 if options.wait is None else asker.follow(told, options.wait)


def _message(options: argparse.Namespace) -> tuple[str, Any] | None:
    """The topic and the message of a goal that is told here."""
    if options.action == "point":
        message = PointStamped()
        message.header.frame_id, message.point.x, message.point.y = options.frame, options.x, options.y
        return "goal_point", message
    if options.action == "words":
        text = " ".join(options.words)
        spoken_goal(text)
        return "goal_words", String(data=text)
    return ("goal_image/compressed", _picture(options.file)) if options.action == "image" else None


def _picture(file: Path) -> CompressedImage:
    if not file.is_file() or file.suffix.lower() not in PICTURES:
        raise ValueError(f"{file} is no picture: give a file that ends in {', '.join(PICTURES)}")
    picture = picture_of(file)
    rgb = as_rgb(picture, str(file))  # or it is broken
    if file.suffix.lower() not in (".jpg", ".jpeg"):
        return jpeg_of(rgb, 0, "")
    return CompressedImage(format="jpeg", data=array.array("B", file.read_bytes()))


def _line(told: Status) -> str:
    """A status of the navigator for people."""
    if not told:
        return "the navigator has said nothing yet"
    left = told.get("distance")
    parts = [told.get("reason"), told.get("words") or told.get("goal"), "" if left is None else f"{left:.1f} m left"]
    return ": ".join(filter(None, [told["state"], ", ".join(filter(None, parts))]))


@contextmanager
def _asker(namespace: str) -> Iterator[Asker]:
    context = Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        try:
            node = Node(f"goal_{os.getpid()}", namespace=namespace, context=context, start_parameter_services=False)
        except InvalidNamespaceException as error:
            raise ValueError(" ".join(str(error).split())) from None
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        try:
            yield Asker(node, executor)
        finally:
            executor.shutdown(timeout_sec=1.0)
            node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


class Asker:
    def __init__(self, node: Node, executor: SingleThreadedExecutor) -> None:
        self._node, self._executor = node, executor
        self._navigator: Status = {}  # what it said last
        self._controller: Status = {}
        node.create_subscription(String, "navigator/status", self._on_navigator, LATCHED)
        node.create_subscription(String, "controller/status", self._on_controller, LATCHED)

    def _on_navigator(self, message: String) -> None:
        self._navigator = json.loads(message.data)

    def _on_controller(self, message: String) -> None:
        self._controller = json.loads(message.data)

    def _until(self, condition: Callable[[], Any], seconds: float) -> Any:
        """Hear messages until something holds; whether it does."""
        end = time.monotonic() + seconds
        while not (found := condition()) and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.05)
        return found

    def tell_status(self) -> int:
        """What both nodes said last."""
        if not self._until(lambda: self._navigator, PATIENCE):
            raise ValueError(f"no navigator says anything: {_NO_ROBOT}")
        self._until(lambda: self._controller, _TOGETHER)
        print(f"navigator: {_line(self._navigator)}{_refusal(self._navigator)}")
        print(f"controller: {self._driven()}")
        return 0

    def _driven(self) -> str:
        told = self._controller
        return ": ".join(filter(None, [told.get("mode"), told.get("reason")])) or "nothing is heard of it"

    def call(self, service: str) -> str:
        """What it answers."""
        node = service.partition("/")[0]
        client: Any = self._node.create_client(Trigger, service)
        if not self._until(client.service_is_ready, PATIENCE):
            raise ValueError(f"there is no {node}: {_NO_ROBOT}")
        answer = client.call_async(Trigger.Request())
        if not self._until(answer.done, PATIENCE):
            raise ValueError(f"the {node} does not answer: it may hang, so see to the robot")
        result = answer.result()
        if not result.success:
            raise ValueError(result.message)
        return str(result.message)

    # --- goals ----------------------------------------------------------------------------------------------------

    def proposed(self) -> tuple[str, Any]:
        """The topic and the message of what a simulated robot proposes."""
        found: dict[str, Any] = {}
        for topic, kind in _PROPOSED.items():
            self._node.create_subscription(
                kind, f"simulated_robot/{topic}", lambda m, topic=topic: found.setdefault(topic, m), LATCHED
            )
        if not self._until(lambda: found or "simulated_robot" in self._node.get_node_names(), PATIENCE):
            raise ValueError("there is no simulated robot: start one by `nav-foundation robot --sim`, or give "
                             "the --namespace and ROS_DOMAIN_ID of the one that runs")
        if not self._until(lambda: found, _PATIENCE_PROPOSED):
            raise ValueError("the simulated robot proposes no goal: its task has no place to go to")
        self._until(lambda: len(found) == len(_PROPOSED), _TOGETHER)
        topic = next(topic for topic in _PROPOSED if topic in found)
        print(f"the simulated robot proposes a goal as {topic.partition('_')[2]}", flush=True)
        return topic, found[topic]

    def send(self, topic: str, message: Any) -> Status:
        """Once; what the navigator says of it. ValueError where it refuses, or says nothing."""
        publisher = self._node.create_publisher(type(message), topic, GOAL)
        if not self._until(publisher.get_subscription_count, PATIENCE):
            raise ValueError(f"no navigator takes goals: {_NO_ROBOT}")
        self._until(lambda: self._navigator, _PATIENCE_HEARD)  # its number before
        before = self._navigator
        publisher.publish(message)
        publisher.wait_for_all_acked(Duration(seconds=_PATIENCE_HEARD))

        def taken() -> bool:
            return bool(self._navigator.get("number", 0) != before.get("number", 0))

        def refused() -> str:
            return str(self._navigator.get("refused", ""))

        self._until(lambda: taken() or refused() != before.get("refused", ""), _PATIENCE_HEARD)
        if taken():
            return self._navigator
        raise ValueError(refused() or "the navigator did not take the goal: its log says why")

    def follow(self, told: Status, seconds: float) -> int:
        """Print what changes until it has arrived: 0. Otherwise 1."""
        number, shown, end = told["number"], _key(told), time.monotonic() + seconds
        while time.monotonic() < end:
            now = self._navigator
            if now["number"] != number:
                print("another goal was asked for")
                return 1
            if _key(now) != shown:
                shown = _key(now)
                print(_line(now), flush=True)
            if now["state"] == "arrived":
                return 0
            if not now["goal"]:  # cancelled, or given up
                return 1
            self._executor.spin_once(timeout_sec=0.05)
        print(f"not there after {seconds:g} s; {_line(self._navigator)}; controller: {self._driven()}")
        return 1


def _key(told: Status) -> tuple[str, str]:
    """State and reason, but for the numbers in it."""
    return told["state"], re.sub(r"[\d.]+", "", told["reason"])


def _refusal(told: Status) -> str:
    return f"; the last goal was refused: {told['refused']}" if told.get("refused") else ""

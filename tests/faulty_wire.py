"""Between a simulated robot's sensors and our nodes: passes on what it hears, or spoils it as it is told on `fault`."""

from __future__ import annotations

import array
import math
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String

SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Wire(Node):
    def __init__(self) -> None:
        super().__init__("wire")
        self.fault, self.shift, self.held = "", 0, {}  # type: str, int, dict[str, Any]
        for kind, name, out in ((Image, "image", "camera/image_raw"), (Odometry, "odom", "odom"),
                                (Clock, "clock", "/clock")):
            publisher = self.create_publisher(kind, out, SENSOR)
            self.create_subscription(
                kind, f"wire/{name}", lambda m, name=name, to=publisher: self.passed(name, m, to), SENSOR
            )
        self.create_subscription(String, "fault", self.told, 10)

    def told(self, message: String) -> None:
        self.fault, self.held = message.data, {}
        if self.fault.startswith("clock "):
            self.shift += int(self.fault.split()[1])

    def passed(self, name: str, message: Any, publisher: Any) -> None:
        self.later(message.clock if name == "clock" else message.header.stamp)
        spoiled = getattr(self, self.fault)(message) if self.fault.startswith(f"{name}_") else [message]
        for one in spoiled:
            publisher.publish(one)

    def later(self, stamp: Time) -> None:
        stamp.sec += self.shift

    def image_silent(self, message: Image) -> list[Image]:
        return []

    def image_frozen(self, message: Image) -> list[Image]:
        """The same picture for ever, with new stamps."""
        message.data = self.held.setdefault("picture", message.data)
        return [message]

    def image_garbage(self, message: Image) -> list[Image]:
        """Of another size, of no known encoding, and shorter than it says, in turn."""
        turn = self.held["turn"] = self.held.get("turn", 0) + 1
        if turn % 3 == 0:
            message.height, message.width = 3, 100_000
        elif turn % 3 == 1:
            message.encoding = "rainbow12"
        else:
            message.data = array.array("B", bytes(17))
        return [message]

    def image_burst(self, message: Image) -> list[Image]:
        return [message] * 10

    def odom_burst(self, message: Odometry) -> list[Odometry]:
        return [message] * 10

    def odom_silent(self, message: Odometry) -> list[Odometry]:
        return []

    def odom_nan(self, message: Odometry) -> list[Odometry]:
        message.pose.pose.position.x = math.nan
        return [message]

    def odom_frozen(self, message: Odometry) -> list[Odometry]:
        message.pose.pose = self.held.setdefault("pose", message.pose.pose)
        return [message]

    def odom_leap(self, message: Odometry) -> list[Odometry]:
        message.pose.pose.position.x += 7.0
        return [message]

    def clock_standing(self, message: Clock) -> list[Clock]:
        return []


if __name__ == "__main__":
    rclpy.init()
    rclpy.spin(Wire())

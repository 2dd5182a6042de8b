"""joystick: sensor_msgs/Joy in, teleop and emergency stops out. A person drives while the dead man's button is held."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from nav_foundation.robot import load_robot
from nav_foundation.types import Velocity
from policies.joystick import JoystickMap, Meant
from ros_nodes.messages import stamped_twist_of
from ros_nodes.node import COMMAND, SENSOR, NavigationNode
from ros_nodes.parameters import parameter

_PRESSES = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)  # a short press of stop is one, too


@dataclass(frozen=True)
class JoystickParameters:
    robot: str = parameter("turtlebot", "A shipped robot, or the path of a robot's YAML file.")
    base_frame: str = parameter("base_link", "Frame of the robot: x forward, y left.")
    enable_button: int = parameter(4, "The dead man's button: the robot is driven while it is held.")
    turbo_button: int = parameter(5, "Held as well: full speed, instead of half of the cruising speed.")
    stop_button: int = parameter(1, "The emergency stop, which stays until it is released at the controller.")
    linear_axis: int = parameter(1, "Axis of the stick: forward and back.")
    angular_axis: int = parameter(3, "Axis of the stick: turning.")
    lateral_axis: int = parameter(0, "Axis of the stick: sideways, for robots that can.")
    dead_zone: float = parameter(0.1, "Share of a stick's way that is still its middle.")
    timeout: float = parameter(
        0.3, "s without a message after which the joystick is gone: let joy_node's autorepeat_rate be 10 or more."
    )
    rate: float = parameter(20.0, "Velocities per second.")

    def __post_init__(self) -> None:
        if not 0.05 <= self.timeout <= 1.0:
            raise ValueError(f"timeout is {self.timeout}: give seconds, 0.05 to 1")
        if not 5 <= self.rate <= 100:
            raise ValueError(f"rate is {self.rate}: give velocities per second, 5 to 100")


class Joystick(NavigationNode[JoystickParameters]):
    def __init__(self) -> None:
        super().__init__("joystick", JoystickParameters)
        self._teleop = self.create_publisher(TwistStamped, "teleop", SENSOR)
        self._emergency = self.create_publisher(Bool, "emergency_stop", COMMAND)

    def start(self) -> None:
        wanted = self.parameters
        self._robot = load_robot(wanted.robot)
        self._map = JoystickMap(
            wanted.enable_button, wanted.turbo_button, wanted.stop_button, wanted.linear_axis, wanted.angular_axis,
            wanted.lateral_axis, wanted.dead_zone,
        )
        self._meant, self._meant_at, self._told = Meant(), -1e9, ""
        self.listen(Joy, "joy", self._on_joy, _PRESSES)
        self.every(1.0 / wanted.rate, self._tick)

    def stop(self) -> None:
        self._release()

    def _on_joy(self, message: Joy) -> None:
        meant = self._map.meant(message.axes, message.buttons, self._robot)
        if meant.stops:
            self._emergency.publish(Bool(data=True))
        if meant.fault and meant.fault != self._told:
            self._told = meant.fault
            self.get_logger().error(meant.fault, throttle_duration_sec=10.0)
        if meant.velocity is None:
            self._release()
        self._meant, self._meant_at = meant, time.monotonic()

    def _release(self) -> None:
        """One who let go wants the robot to stand now, not when the controller has waited in vain."""
        if self._meant.velocity is not None:
            self._meant = Meant()
            self._send(Velocity())

    def _is_there(self) -> bool:
        return time.monotonic() - self._meant_at < self.parameters.timeout

    def _tick(self) -> None:
        if self._meant.velocity is None:
            return
        if self._is_there():
            self._send(self._meant.velocity)
            return
        self._release()
        self._emergency.publish(Bool(data=True))  # whoever took over wanted the robot not to drive as it did
        self.get_logger().error("the joystick fell silent while its button was held: the robot is stopped")

    def _send(self, velocity: Velocity) -> None:
        self._teleop.publish(stamped_twist_of(velocity, self.now_ns(), self.parameters.base_frame))

    def diagnose(self) -> tuple[bytes, str, Mapping[str, object]]:
        if self._meant.fault:
            return DiagnosticStatus.ERROR, self._meant.fault, {}
        state = "no joystick is heard" if not self._is_there() else "held" if self._meant.velocity else "released"
        return DiagnosticStatus.OK if self._is_there() else DiagnosticStatus.WARN, state, {}

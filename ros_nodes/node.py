"""What all our nodes share: a lifecycle that starts by itself, checked parameters, diagnostics, and QoS."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ros_nodes import parameters as checked

P = TypeVar("P")

STEADY = Clock(clock_type=ClockType.STEADY_TIME)  # goes on when a simulator's clock does not
SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)  # the newest alone matters
SENSOR_ALL = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)  # each one matters
SIGNAL = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
COMMAND = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
GOAL = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class NavigationNode(LifecycleNode, Generic[P]):
    """Subclasses fill `start` and `stop`, between which the node works, and `diagnose`.

    What `listen`, `serve` and `every` make, and what they `hold`, lasts until then: it is gone before `stop`.
    """

    def __init__(self, name: str, kind: type[P]) -> None:
        super().__init__(name)
        self.parameters = checked.declare(self, kind)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 5)
        self._about = self.create_timer(1.0, self._publish_diagnosis, clock=STEADY)
        self._held: list[tuple[Any, Callable[[Any], object]]] = []  # what, and how to destroy it
        self.is_started = False
        self.has_crashed = False  # when it was to begin, by what another time may not meet

    def start(self) -> None:
        """Begin to work. A ValueError, before there is anything for `stop` to end, keeps the node inactive."""

    def stop(self) -> None:
        """End the work that `start` began."""

    def hold(self, made: Any, destroy: Callable[[Any], object]) -> None:
        self._held.append((made, destroy))

    def listen(self, kind: Any, topic: str, heard: Callable[[Any], Any], qos: QoSProfile) -> None:
        self.hold(self.create_subscription(kind, topic, heard, qos), self.destroy_subscription)

    def serve(self, kind: Any, name: str, answer: Callable[[Any, Any], Any]) -> None:
        self.hold(self.create_service(kind, name, answer), self.destroy_service)

    def every(self, seconds: float, act: Callable[[], None]) -> Any:
        """A timer by a clock that nobody sets."""
        timer = self.create_timer(seconds, act, clock=STEADY)
        self.hold(timer, self.destroy_timer)
        return timer

    def _let_go(self) -> None:
        while self._held:
            made, destroy = self._held.pop()
            destroy(made)

    def diagnose(self) -> tuple[bytes, str, Mapping[str, object]]:
        """(level, a sentence, values) for /diagnostics."""
        return DiagnosticStatus.OK, "", {}

    def autostart(self) -> bool:
        """From unconfigured to active without a manager."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self.start()
        except ValueError as error:
            return self._fails(str(error))
        except Exception as error:  # of rclpy's own nobody would hear
            self.has_crashed = True
            return self._fails(f"{type(error).__name__}: {error}")
        self.is_started = True
        return super().on_activate(state)

    def _fails(self, reason: str) -> TransitionCallbackReturn:
        self.get_logger().fatal(reason)
        self._let_go()
        return TransitionCallbackReturn.FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.close()
        return super().on_deactivate(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        if self.is_started:
            self.is_started = False
            self._let_go()
            self.stop()

    def _on_parameters(self, changes: list[Parameter]) -> Any:
        self.parameters, result = checked.changed(self.parameters, changes)
        return result

    def now_ns(self) -> int:
        """By the clock of all stamps, which may be a simulator's."""
        return int(self.get_clock().now().nanoseconds)

    def _publish_diagnosis(self) -> None:
        level, sentence, values = self.diagnose() if self.is_started else (DiagnosticStatus.STALE, "inactive", {})
        status = DiagnosticStatus(level=level, name=f"nav_foundation: {self.get_name()}", message=sentence)
        status.hardware_id = self.get_namespace()
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


class Rate:
    """How often something happened lately."""

    def __init__(self) -> None:
        self._count, self._since, self._last = 0, time.monotonic(), 0.0
        self.total = 0

    def tick(self) -> None:
        self._count += 1
        self.total += 1

    def per_second(self) -> float:
        """Since the last time that this was asked."""
        seconds = time.monotonic() - self._since
        if seconds > 0.5:
            self._last = self._count / seconds
            self._count, self._since = 0, time.monotonic()
        return round(self._last, 1)

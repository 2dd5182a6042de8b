"""The node joystick, with a person who holds one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")

from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from ros_nodes import joystick as joystick_node
from ros_nodes.node import COMMAND, SENSOR


class Person:
    """Holds a joystick, and hears what becomes of it."""

    def __init__(self, started: Callable[..., Any], **parameters: Any) -> None:
        self.joystick = started(joystick_node.Joystick, **parameters)
        assert self.joystick.autostart()
        self.node = Node("person")
        self._joy = self.node.create_publisher(Joy, "joy", 10)
        self.heard: list[tuple[float, TwistStamped]] = []
        self.stops: list[bool] = []
        self.node.create_subscription(
            TwistStamped, "teleop", lambda message: self.heard.append((time.monotonic(), message)), SENSOR
        )
        self.node.create_subscription(Bool, "emergency_stop", lambda m: self.stops.append(m.data), COMMAND)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._executor.add_node(self.joystick)
        deadline = time.monotonic() + 10.0
        while self._joy.get_subscription_count() == 0 or self.node.count_publishers("teleop") == 0:
            assert time.monotonic() < deadline
            self.wait(0.05)
        self.wait(0.3)

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def hold(self, seconds: float, axes: list[float], buttons: list[int]) -> list[tuple[float, TwistStamped]]:
        """What is heard while joy_node repeats this at 20 Hz."""
        before, deadline = len(self.heard), time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._joy.publish(Joy(axes=axes, buttons=buttons))
            self.wait(0.05)
        return self.heard[before:]

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()


@pytest.fixture
def person(started: Callable[..., Any]) -> Iterator[Person]:
    holder = Person(started)
    yield holder
    holder.close()


HELD = [0, 0, 0, 0, 1, 0]


def linear(heard: list[tuple[float, TwistStamped]]) -> list[float]:
    return [message.twist.linear.x for _, message in heard]


def test_a_person_drives_while_the_button_is_held(person: Person) -> None:
    assert not person.hold(0.3, [0.0, 1.0, 0.0, 0.0], [0] * 6), "it is not held"
    heard = person.hold(1.0, [0.0, 1.0, 0.0, -1.0], HELD)
    assert 12 <= len(heard) <= 24 and set(linear(heard)) == {0.2}  # half of the turtlebot's 0.4 m/s
    assert {message.twist.angular.z for _, message in heard} == {-0.75}
    assert heard[-1][1].header.frame_id == "base_link"
    released = linear(person.hold(0.5, [0.0, 1.0, 0.0, 0.0], [0] * 6))  # one of before may still be on its way
    assert released[-1] == 0.0 and released.count(0.0) == 1 and len(released) <= 3, "one zero, and then nothing"
    assert not person.stops


def test_a_joystick_that_went_away_while_it_was_held_stops_the_robot(person: Person) -> None:
    person.hold(0.3, [0.0, 1.0, 0.0, 0.0], HELD)
    gone = time.monotonic()
    before = len(person.heard)
    person.wait(1.0)
    late = [at - gone for at, _ in person.heard[before:]]
    assert 0.15 < max(late) < 0.45 and linear(person.heard[before:]).count(0.0) == 1
    assert person.stops == [True], "whoever took over did not want it to drive on"


def test_a_joystick_that_goes_away_when_nobody_holds_it_is_nobody_s_matter(person: Person) -> None:
    person.hold(0.3, [0.0, 1.0, 0.0, 0.0], HELD)
    person.hold(0.3, [0.0, 0.0, 0.0, 0.0], [0] * 6)
    heard = len(person.heard)
    person.wait(1.0)
    assert not person.stops and len(person.heard) == heard


def test_the_stop_button_stops(person: Person) -> None:
    person.hold(0.2, [0.0, 1.0, 0.0, 0.0], HELD)
    heard = person.hold(0.2, [0.0, 1.0, 0.0, 0.0], [0, 1, 0, 0, 1, 0])
    assert linear(heard) == [0.0] and person.stops and all(person.stops)


def test_broken_messages_are_released_and_told_once(person: Person, capfd: pytest.CaptureFixture[str]) -> None:
    person.hold(0.2, [0.0, 1.0, 0.0, 0.0], HELD)
    assert linear(person.hold(0.3, [0.0, math.nan, 0.0, 0.0], HELD)) == [0.0]
    assert not person.hold(0.3, [], HELD) and not person.hold(0.3, [0.0], [])
    assert person.joystick.diagnose()[0] == b"\x02"
    assert capfd.readouterr().err.count("not finite") == 1
    assert set(linear(person.hold(0.3, [0.0, 1.0, 0.0, 0.0], HELD))) == {0.2}, "it goes on"


@pytest.mark.parametrize("wrong", [{"timeout": 5.0}, {"rate": 0.0}])
def test_a_joysticks_parameters_are_checked(started: Callable[..., Any], wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        started(joystick_node.Joystick, **wrong)


def test_a_joysticks_buttons_are_checked(started: Callable[..., Any]) -> None:
    assert not started(joystick_node.Joystick, stop_button=4).autostart()

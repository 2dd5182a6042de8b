"""What a joystick means, without ROS."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nav_foundation.robot import load_robot
from nav_foundation.types import Velocity
from policies.joystick import JoystickMap, Meant

ROBOT = replace(load_robot("turtlebot"), cruise_speed=0.4, max_speed=0.5, max_angular_speed=1.5)
WALKER = replace(ROBOT, drive="omnidirectional")
MAP = JoystickMap()
ENABLE, TURBO, STOP = 4, 5, 1


def axes(linear: float = 0.0, angular: float = 0.0, lateral: float = 0.0) -> list[float]:
    return [lateral, linear, 0.0, angular]


def pressed(*numbers: int) -> list[int]:
    return [int(number in numbers) for number in range(8)]


def test_nothing_is_meant_without_the_dead_mans_button() -> None:
    assert MAP.meant(axes(1.0, 1.0), pressed(TURBO), ROBOT) == Meant()


def test_a_stick_pushed_fully_is_half_of_the_cruising_speed_or_with_turbo_full_speed() -> None:
    assert MAP.meant(axes(1.0), pressed(ENABLE), ROBOT).velocity == Velocity(0.2)
    assert MAP.meant(axes(-1.0), pressed(ENABLE), ROBOT).velocity == Velocity(-0.2)
    assert MAP.meant(axes(1.0, -1.0), pressed(ENABLE, TURBO), ROBOT).velocity == Velocity(0.5, -1.5)
    assert MAP.meant(axes(0.0, 1.0), pressed(ENABLE), ROBOT).velocity == Velocity(0.0, 0.75)


def test_the_middle_of_a_stick_is_wide_and_has_no_edge() -> None:
    assert MAP.meant(axes(0.1, -0.1), pressed(ENABLE), ROBOT).velocity == Velocity()
    # 0.55 is half of the way from the dead zone's end at 0.1 to 1.
    meant = MAP.meant(axes(0.55), pressed(ENABLE), ROBOT).velocity
    assert meant is not None and meant.linear == pytest.approx(0.1)


def test_only_a_robot_that_can_goes_sideways() -> None:
    assert MAP.meant(axes(0.0, 0.0, 1.0), pressed(ENABLE), ROBOT).velocity == Velocity()
    assert MAP.meant(axes(0.0, 0.0, 1.0), pressed(ENABLE), WALKER).velocity == Velocity(0.0, 0.0, 0.2)
    corner = MAP.meant(axes(1.0, 0.0, 1.0), pressed(ENABLE, TURBO), WALKER).velocity
    assert corner is not None and math.hypot(corner.linear, corner.lateral) == pytest.approx(0.5)


def test_the_emergency_stop_is_heard_whatever_else_is_pressed_or_broken() -> None:
    assert MAP.meant(axes(1.0), pressed(ENABLE, STOP), ROBOT) == Meant(stops=True)
    assert MAP.meant([], [0, 1], ROBOT).stops
    assert MAP.meant([math.nan] * 4, pressed(STOP, ENABLE), ROBOT).stops


@pytest.mark.parametrize(("stick", "buttons", "fault"), [
    ([], pressed(ENABLE), "has 0 axes and 8 buttons"),
    ([0.0, 1.0, 0.0], pressed(ENABLE), "number 3 and 5"),
    (axes(1.0), [0, 0, 0, 0, 1], "has 4 axes and 5 buttons"),
    (axes(math.nan), pressed(ENABLE), "not finite"),
    (axes(0.5, math.inf), pressed(ENABLE), "not finite"),
])
def test_what_is_broken_counts_as_released(stick: list[float], buttons: list[int], fault: str) -> None:
    meant = MAP.meant(stick, buttons, ROBOT)
    assert meant.velocity is None and not meant.stops and fault in meant.fault


@given(st.lists(st.floats(width=32), max_size=6), st.lists(st.integers(-2, 2), max_size=8), st.booleans())
def test_whatever_comes_stays_within_the_robots_limits(stick: list[float], buttons: list[int], walks: bool) -> None:
    robot = WALKER if walks else ROBOT
    velocity = MAP.meant(stick, buttons, robot).velocity
    if velocity is not None:
        assert len(buttons) > ENABLE and buttons[ENABLE]
        assert math.hypot(velocity.linear, velocity.lateral) <= robot.max_speed + 1e-9
        assert abs(velocity.angular) <= robot.max_angular_speed


@pytest.mark.parametrize(("wrong", "says"), [
    ({"enable_button": -1}, "enable_button is -1"), ({"stop_button": 4}, "three different buttons"),
    ({"dead_zone": 1.0}, "dead_zone is 1.0"),
])
def test_a_map_is_checked(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        JoystickMap(**wrong)  # type: ignore[arg-type]

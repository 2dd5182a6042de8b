"""What a person means who holds a joystick. No ROS is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nav_foundation.robot import RobotSpec
from nav_foundation.types import Velocity

_CALM = 0.5  # share of the cruising and the turning speed, without turbo


@dataclass(frozen=True)
class Meant:
    velocity: Velocity | None = None  # None = the dead man's button is not held
    stops: bool = False  # the emergency stop is pressed
    fault: str = ""  # why nothing else can be known


@dataclass(frozen=True)
class JoystickMap:
    """Numbers of buttons and axes, as sensor_msgs/Joy counts them: sticks forward and to the left are 1."""

    enable_button: int = 4  # dead man's
    turbo_button: int = 5  # full speed
    stop_button: int = 1
    linear_axis: int = 1
    angular_axis: int = 3
    lateral_axis: int = 0  # for robots that move sideways
    dead_zone: float = 0.1  # of a stick's way

    def __post_init__(self) -> None:
        for name in ("enable_button", "turbo_button", "stop_button", "linear_axis", "angular_axis", "lateral_axis"):
            if not 0 <= getattr(self, name) < 1000:
                raise ValueError(f"joystick {name} is {getattr(self, name)}: give its number, 0 or more")
        if self.stop_button in (self.enable_button, self.turbo_button) or self.enable_button == self.turbo_button:
            raise ValueError("joystick enable_button, turbo_button and stop_button are three different buttons")
        if not 0.0 <= self.dead_zone <= 0.9:
            raise ValueError(f"joystick dead_zone is {self.dead_zone}: give a share of the stick's way, 0 to 0.9")

    def meant(self, axes: Sequence[float], buttons: Sequence[int], robot: RobotSpec) -> Meant:
        """By axes from -1 to 1 and buttons 0 or 1. What is broken means nothing, but for the emergency stop."""
        stops = self.stop_button < len(buttons) and bool(buttons[self.stop_button])
        sideways = robot.drive == "omnidirectional"
        most_buttons = max(self.enable_button, self.turbo_button, self.stop_button)
        used = [self.linear_axis, self.angular_axis, *([self.lateral_axis] if sideways else [])]
        if len(buttons) <= most_buttons or len(axes) <= max(used):
            fault = (
                f"the joystick has {len(axes)} axes and {len(buttons)} buttons, and number {max(used)} and "
                f"{most_buttons} of them are asked for: name others, numbers begin at 0"
            )
            return Meant(stops=stops, fault=fault)
        if not all(math.isfinite(axes[number]) for number in used):
            return Meant(stops=stops, fault="the joystick's axes hold numbers that are not finite")
        if stops or not buttons[self.enable_button]:
            return Meant(stops=stops)
        turbo = bool(buttons[self.turbo_button])
        speed = robot.max_speed if turbo else _CALM * robot.cruise_speed
        turn = robot.max_angular_speed if turbo else _CALM * robot.max_angular_speed
        ahead, left = self._tilt(axes[self.linear_axis]), self._tilt(axes[self.lateral_axis]) if sideways else 0.0
        over = max(1.0, math.hypot(ahead, left))  # a corner of the stick's square is no faster
        return Meant(Velocity(speed * ahead / over, turn * self._tilt(axes[self.angular_axis]), speed * left / over))

    def _tilt(self, axis: float) -> float:
        """-1 to 1; it begins with 0 at the end of the dead zone."""
        beyond = max(0.0, min(abs(axis), 1.0) - self.dead_zone) / (1.0 - self.dead_zone)
        return math.copysign(beyond, axis) if beyond else 0.0

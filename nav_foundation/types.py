"""What flows through the system: observations in, goals asked, plans and velocities out.

Units are SI (metres, radians, seconds). Frames follow REP-103: x forward, y left, z up, yaw counter-clockwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

NANOSECONDS = 1_000_000_000  # per second


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_finite(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{owner}.{name} is {value}: give a finite number")


@dataclass(frozen=True)
class Pose2:
    """A pose in the plane: x, y in metres, yaw in radians."""

    x: float
    y: float
    yaw: float

    def __post_init__(self) -> None:
        _require_finite("Pose2", x=self.x, y=self.y, yaw=self.yaw)


@dataclass(frozen=True)
class Velocity:
    """A command or a state of motion in the robot frame. `lateral` is for robots that can move sideways."""

    linear: float = 0.0  # m/s, forward
    angular: float = 0.0  # rad/s, counter-clockwise
    lateral: float = 0.0  # m/s, to the left

    def __post_init__(self) -> None:
        _require_finite("Velocity", linear=self.linear, angular=self.angular, lateral=self.lateral)


def _require_rgb(owner: str, rgb: np.ndarray) -> None:
    _require(
        isinstance(rgb, np.ndarray) and rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size > 0,
        f"{owner}.rgb must be a uint8 array of shape [H, W, 3]; got {getattr(rgb, 'dtype', type(rgb).__name__)} "
        f"{getattr(rgb, 'shape', '')}",
    )


@dataclass(frozen=True)
class Observation:
    """What the robot senses at one instant."""

    rgb: np.ndarray  # [H, W, 3] uint8
    stamp_ns: int  # when the camera exposed the frame
    odometry: Pose2 | None = None  # in the episode's odometry frame, at `stamp_ns`
    depth: np.ndarray | None = None  # [H, W] float32, planar z-depth in metres, 0 = nothing

    def __post_init__(self) -> None:
        _require_rgb("Observation", self.rgb)
        _require(
            isinstance(self.stamp_ns, (int, np.integer)),
            f"Observation.stamp_ns is {self.stamp_ns!r}: give whole nanoseconds, a float cannot hold them",
        )
        if self.depth is not None:
            _require(
                self.depth.dtype == np.float32 and self.depth.shape == self.rgb.shape[:2],
                f"Observation.depth must be float32 of shape {self.rgb.shape[:2]}; got {self.depth.dtype} "
                f"{self.depth.shape}",
            )


def _require_radius(goal: object, radius: float) -> None:
    _require(
        math.isfinite(radius) and radius > 0,
        f"{type(goal).__name__}.radius is {radius}: give the success radius in metres, above 0",
    )


@dataclass(frozen=True)
class ImageGoal:
    """Go to where this picture was taken."""

    rgb: np.ndarray  # [H, W, 3] uint8
    radius: float = 1.0

    def __post_init__(self) -> None:
        _require_rgb("ImageGoal", self.rgb)
        _require_radius(self, self.radius)


@dataclass(frozen=True)
class PointGoal:
    """Go to a point of the odometry frame (the frame of `Observation.odometry`)."""

    x: float
    y: float
    radius: float = 0.5

    def __post_init__(self) -> None:
        _require_finite("PointGoal", x=self.x, y=self.y)
        _require_radius(self, self.radius)


@dataclass(frozen=True)
class FarGoal:
    """Go near a place that is known roughly, as a satellite receiver tells it: a point of the odometry frame."""

    x: float
    y: float
    spread: float  # m, standard deviation of each of both
    radius: float = 5.0

    def __post_init__(self) -> None:
        _require_finite("FarGoal", x=self.x, y=self.y, spread=self.spread)
        _require(self.spread >= 0, f"FarGoal.spread is {self.spread}: give metres, 0 or more")
        _require_radius(self, self.radius)


@dataclass(frozen=True)
class PoseGoal:
    """Go to a point of the odometry frame and face `yaw`."""

    x: float
    y: float
    yaw: float
    radius: float = 0.5

    def __post_init__(self) -> None:
        _require_finite("PoseGoal", x=self.x, y=self.y, yaw=self.yaw)
        _require_radius(self, self.radius)


@dataclass(frozen=True)
class InstructionGoal:
    """Do what the words say, and stop where they end."""

    text: str
    radius: float = 1.0

    def __post_init__(self) -> None:
        _require(bool(self.text.strip()), "InstructionGoal.text is empty: say where to go")
        _require_radius(self, self.radius)


@dataclass(frozen=True)
class ObjectGoal:
    """Go near any object of this category; `radius` is measured to its surface."""

    category: str
    radius: float = 1.0

    def __post_init__(self) -> None:
        _require(bool(self.category.strip()), "ObjectGoal.category is empty: name a kind of object")
        _require_radius(self, self.radius)


ROUTE_COMMANDS = ("straight", "left", "right", "back")


@dataclass(frozen=True)
class RouteGoal:
    """Take the next opening in this direction."""

    command: str  # one of ROUTE_COMMANDS
    radius: float = 1.0

    def __post_init__(self) -> None:
        _require(self.command in ROUTE_COMMANDS, f"RouteGoal.command is {self.command!r}: use one of {ROUTE_COMMANDS}")
        _require_radius(self, self.radius)


@dataclass(frozen=True)
class NodeGoal:
    """Go to a node of the topological map in use."""

    node: str
    radius: float = 1.0

    def __post_init__(self) -> None:
        _require(bool(self.node), "NodeGoal.node is empty: name a node of the map")
        _require_radius(self, self.radius)


@dataclass(frozen=True)
class Explore:
    """See as much as possible; there is no place to arrive at."""

    radius: float = 1.0

    def __post_init__(self) -> None:
        _require_radius(self, self.radius)


Goal = ImageGoal | PointGoal | FarGoal | PoseGoal | InstructionGoal | ObjectGoal | RouteGoal | NodeGoal | Explore


@dataclass(frozen=True)
class Plan:
    """Where the robot means to go, in the robot frame at the observation's stamp."""

    waypoints: np.ndarray  # [H, 3] float64 (x m, y m, yaw rad); the first lies `waypoint_dt` ahead
    waypoint_dt: float  # s between waypoints
    stamp_ns: int  # of the observation the plan was made from
    distance: float  # m still to drive to the goal; inf when unreachable or unknown
    distance_std: float = 0.0  # m
    arrival: float = 0.0  # 0..1, P(distance < the goal's radius)
    collision: float = 0.0  # 0..1, P(the waypoints touch something)
    subgoal: np.ndarray | None = None  # [H, W, 3] uint8, the view driven towards
    alternatives: tuple[np.ndarray, ...] = field(default=())  # further [H, 3] waypoint sets, best first

    def __post_init__(self) -> None:
        _require(
            self.waypoints.ndim == 2 and self.waypoints.shape[1] == 3 and len(self.waypoints) > 0,
            f"Plan.waypoints must have shape [H, 3] with H > 0; got {self.waypoints.shape}",
        )
        _require(
            math.isfinite(self.waypoint_dt) and self.waypoint_dt > 0,
            f"Plan.waypoint_dt is {self.waypoint_dt}: it must be above 0 seconds",
        )
        for name in ("distance", "distance_std"):  # inf is an answer, NaN is not
            value = getattr(self, name)
            _require(value >= 0.0, f"Plan.{name} is {value}: give metres, 0 or more")
        for name in ("arrival", "collision"):
            value = getattr(self, name)
            _require(0.0 <= value <= 1.0, f"Plan.{name} is {value}: it is a probability")

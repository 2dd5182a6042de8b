"""RobotSpec: the only place where a robot is described. YAML on disk, frozen and validated here."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Literal

from nav_foundation.config import closest, from_mapping, load_mapping

DistortionModel = Literal["none", "plumb_bob", "equidistant"]  # ROS CameraInfo's words; equidistant = Kannala-Brandt
_COEFFICIENTS = {"none": (0,), "plumb_bob": (4, 5, 8), "equidistant": (4,)}


@dataclass(frozen=True)
class CameraSpec:
    """A camera and how it sits on the robot. Give `hfov_deg` or the four intrinsics `fx fy cx cy` (pixels)."""

    width: int
    height: int
    mount_height: float  # m above the floor
    pitch: float = 0.0  # rad, positive looks down (REP-103 rotation about +y)
    mount_forward: float = 0.0  # m ahead of the robot's centre
    hfov_deg: float | None = None
    fx: float | None = None
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None
    distortion: DistortionModel = "none"  # with coefficients other than 0 give intrinsics, not hfov_deg
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.distortion not in _COEFFICIENTS:
            raise ValueError(f"camera distortion is {self.distortion!r}: use one of {', '.join(_COEFFICIENTS)}")
        for name in ("mount_forward", "fx", "fy", "cx", "cy"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"camera {name} is {value}: give a finite number")
        if not all(map(math.isfinite, self.coefficients)):
            raise ValueError(f"camera coefficients are {list(self.coefficients)}: give finite numbers")
        if not (1 <= self.width <= 10_000 and 1 <= self.height <= 10_000):
            raise ValueError(f"camera size is {self.width}x{self.height}: give 1 to 10000 pixels each way")
        if not 0.0 < self.mount_height < 10.0:
            raise ValueError(f"camera mount_height is {self.mount_height}: give metres above the floor, 0 to 10")
        if not abs(self.pitch) < math.pi / 2:
            raise ValueError(f"camera pitch is {self.pitch}: give radians within +-pi/2, positive looks down")
        given = [self.fx, self.fy, self.cx, self.cy]
        if self.hfov_deg is None and any(value is None for value in given):
            raise ValueError("camera needs hfov_deg, or all of fx, fy, cx and cy in pixels")
        if self.hfov_deg is not None and any(value is not None for value in given):
            raise ValueError("camera has both hfov_deg and intrinsics (fx, fy, cx, cy): give one of the two")
        limit = 360.0 if self.distortion == "equidistant" else 179.0
        if self.hfov_deg is not None and not 1.0 <= self.hfov_deg <= limit:
            raise ValueError(f"camera hfov_deg is {self.hfov_deg}: give degrees, 1 to {limit:.0f}")
        if self.fx is not None and not (self.fx > 0 and self.fy is not None and self.fy > 0):
            raise ValueError(f"camera fx, fy are {self.fx}, {self.fy}: give pixels, above 0")
        if len(self.coefficients) not in _COEFFICIENTS[self.distortion]:
            raise ValueError(
                f"camera distortion {self.distortion!r} takes {' or '.join(map(str, _COEFFICIENTS[self.distortion]))} "
                f"coefficients; got {len(self.coefficients)}"
            )
        if self.hfov_deg is not None and any(self.coefficients):
            raise ValueError("camera has distortion coefficients but no intrinsics: give fx fy cx cy, not hfov_deg")

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """(fx, fy, cx, cy) in pixels; pixel centres lie at integers, so a centred cx is (width - 1) / 2."""
        if self.fx is not None:
            assert self.fy is not None and self.cx is not None and self.cy is not None
            return self.fx, self.fy, self.cx, self.cy
        assert self.hfov_deg is not None
        half = math.radians(self.hfov_deg) / 2
        # An equidistant lens maps angle to radius linearly, a pinhole by the tangent.
        focal = self.width / 2 / (half if self.distortion == "equidistant" else math.tan(half))
        return focal, focal, (self.width - 1) / 2, (self.height - 1) / 2


    def resized(self, width: int, height: int) -> CameraSpec:
        """The same view in pictures of another size; pixels keep their centres' places."""
        if (width, height) == (self.width, self.height):
            return self
        fx, fy, cx, cy = self.intrinsics
        x, y = width / self.width, height / self.height
        return replace(
            self, width=width, height=height, hfov_deg=None, fx=fx * x, fy=fy * y, cx=(cx + 0.5) * x - 0.5,
            cy=(cy + 0.5) * y - 0.5, coefficients=self.coefficients or (0.0,) * _COEFFICIENTS[self.distortion][0],
        )


@dataclass(frozen=True)
class Footprint:
    """What of the robot decides where it can go."""

    radius: float  # m, of the circle around the robot's centre that holds all of it
    height: float  # m, free space it needs above the floor
    step_height: float = 0.02  # m, the highest edge it climbs
    max_slope: float = math.radians(15)  # rad

    def __post_init__(self) -> None:
        for name, low, high in (
            ("radius", 0.01, 5.0), ("height", 0.01, 5.0), ("step_height", 0.0, 1.0), ("max_slope", 0.0, math.pi / 2),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"footprint {name} is {value}: give {low:g} to {high:g} (metres, radians)")


@dataclass(frozen=True)
class RobotSpec:
    name: str
    camera: CameraSpec
    footprint: Footprint
    cruise_speed: float  # m/s, the speed at which it usually drives
    max_speed: float  # m/s
    max_angular_speed: float  # rad/s
    acceleration: float = 1.0  # m/s^2, speeding up
    braking: float = 2.0  # m/s^2, slowing down
    angular_acceleration: float = 4.0  # rad/s^2
    control_rate: float = 20.0  # Hz, of velocity commands
    frame_rate: float = 5.0  # Hz, of camera frames the policy sees
    drive: Literal["differential", "omnidirectional"] = "differential"
    actuation_delay: float = 0.0  # s between a command and its effect
    command_timeout: float = 0.5  # s without a fresh command before the base stops

    def __post_init__(self) -> None:
        for name in (
            "cruise_speed", "max_speed", "max_angular_speed", "acceleration", "braking", "angular_acceleration",
            "control_rate", "frame_rate", "command_timeout",
        ):
            value = getattr(self, name)
            if not 0 < value <= 1000.0:
                raise ValueError(f"robot {self.name!r}: {name} is {value}: give a number above 0, up to 1000")
        if self.cruise_speed > self.max_speed:
            raise ValueError(
                f"robot {self.name!r}: cruise_speed {self.cruise_speed} exceeds max_speed {self.max_speed} m/s"
            )
        if self.control_rate < self.frame_rate:
            raise ValueError(
                f"robot {self.name!r}: control_rate {self.control_rate} Hz is below frame_rate {self.frame_rate} Hz"
            )
        if not 0.0 <= self.actuation_delay <= 1.0:
            raise ValueError(f"robot {self.name!r}: actuation_delay is {self.actuation_delay}: give 0 to 1 seconds")

    @property
    def step(self) -> float:
        """Metres driven between two frames at cruise speed: the network's unit of length."""
        return self.cruise_speed / self.frame_rate


def shipped_robots() -> tuple[str, ...]:
    """Names of the robots that come with the package."""
    folder = resources.files("nav_foundation") / "robots"
    return tuple(sorted(f.name[: -len(".yaml")] for f in folder.iterdir() if f.name.endswith(".yaml")))


def load_robot(name_or_path: str | Path) -> RobotSpec:
    """A shipped robot by name, or any robot by the path of its YAML file."""
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml", ".json"):
        if not path.is_file():
            raise ValueError(f"robot file {path} does not exist")
        return from_mapping(RobotSpec, load_mapping(path), where=str(path))
    if str(name_or_path) not in shipped_robots():
        raise ValueError(
            f"unknown robot {str(name_or_path)!r}{closest(str(name_or_path), shipped_robots())}, or "
            "the path of a .yaml file"
        )
    with resources.as_file(resources.files("nav_foundation") / "robots" / f"{name_or_path}.yaml") as file:
        return from_mapping(RobotSpec, load_mapping(file), where=str(name_or_path))

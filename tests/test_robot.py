"""Robot descriptions: the shipped ones are sound, and what a person could get wrong is refused in one sentence."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from nav_foundation.robot import CameraSpec, Footprint, RobotSpec, load_robot, shipped_robots

DOOR = 0.8  # m


def test_four_robots_are_shipped() -> None:
    assert set(shipped_robots()) >= {"turtlebot", "jackal", "go2", "rover-fisheye"}


@pytest.mark.parametrize("name", shipped_robots())
def test_shipped_robots_are_sound(name: str) -> None:
    robot = load_robot(name)
    assert robot.name == name
    assert 2 * robot.footprint.radius < DOOR
    assert robot.footprint.radius > robot.camera.mount_forward, "the camera sits within the footprint"
    assert robot.camera.mount_height <= robot.footprint.height, "the camera fits under what the robot fits under"
    assert robot.camera.width * robot.camera.height <= 160 * 120, "the simulator renders it"
    assert 0.02 <= robot.step <= 0.5
    # It can stop within what it sees coming: two frames and the braking distance are less than 2 m.
    blind = 2 / robot.frame_rate + robot.actuation_delay
    assert robot.cruise_speed * blind + robot.cruise_speed**2 / (2 * robot.braking) < 1.0


def test_the_robots_differ_where_it_matters() -> None:
    robots = {name: load_robot(name) for name in shipped_robots()}
    assert robots["go2"].drive == "omnidirectional"
    assert robots["go2"].footprint.step_height == pytest.approx(0.16)
    assert robots["rover-fisheye"].camera.distortion == "equidistant"
    assert {r.camera.distortion for r in robots.values()} == {"none", "plumb_bob", "equidistant"}


def test_a_step_is_the_way_between_two_frames() -> None:
    robot = dataclasses.replace(load_robot("turtlebot"), cruise_speed=0.4, frame_rate=5.0)
    assert robot.step == pytest.approx(0.08)


def test_field_of_view_and_intrinsics_agree() -> None:
    camera = CameraSpec(640, 480, 0.5, hfov_deg=90.0)
    assert camera.intrinsics == pytest.approx((320.0, 320.0, 319.5, 239.5))
    fisheye = CameraSpec(640, 480, 0.5, hfov_deg=180.0, distortion="equidistant", coefficients=(0.0,) * 4)
    assert fisheye.intrinsics[0] == pytest.approx(320 / (math.pi / 2))
    given = CameraSpec(640, 480, 0.5, fx=500.0, fy=501.0, cx=320.5, cy=240.5)
    assert given.intrinsics == (500.0, 501.0, 320.5, 240.5)


@pytest.mark.parametrize(("changes", "message"), [
    ({"width": 0}, "1 to 10000 pixels"),
    ({"mount_height": 0.0}, "mount_height"),
    ({"mount_height": 250.0}, "metres above the floor"),
    ({"mount_height": math.nan}, "mount_height"),
    ({"mount_forward": math.inf}, "mount_forward"),
    ({"pitch": 12.0}, "radians"),
    ({"pitch": math.nan}, "pitch"),
    ({"hfov_deg": None}, "needs hfov_deg, or all of"),
    ({"hfov_deg": None, "fx": 100.0}, "needs hfov_deg, or all of"),
    ({"fx": 100.0}, "one of the two"),
    ({"hfov_deg": 190.0}, "1 to 179"),
    ({"hfov_deg": math.nan}, "1 to 179"),
    ({"hfov_deg": None, "fx": -1.0, "fy": 1.0, "cx": 1.0, "cy": 1.0}, "above 0"),
    ({"hfov_deg": None, "fx": 1.0, "fy": 1.0, "cx": math.nan, "cy": 1.0}, "cx"),
    ({"distortion": "plumb_bob", "coefficients": (0.1, 0.2)}, "4 or 5 or 8"),
    ({"distortion": "fisheye"}, "equidistant"),
    ({"coefficients": (0.1,)}, "'none' takes 0"),
    ({"distortion": "equidistant", "coefficients": (0.1, 0.0, 0.0, 0.0)}, "fx fy cx cy"),
    ({"distortion": "equidistant", "coefficients": (math.nan, 0.0, 0.0, 0.0)}, "finite"),
])
def test_cameras_are_checked(changes: dict[str, Any], message: str) -> None:
    camera: dict[str, Any] = {"width": 64, "height": 48, "mount_height": 0.5, "hfov_deg": 80.0}
    with pytest.raises(ValueError, match=message):
        CameraSpec(**{**camera, **changes})


@pytest.mark.parametrize("changes", [
    {"radius": 0.0}, {"height": -1.0}, {"step_height": 2.0}, {"max_slope": 15.0}, {"radius": math.nan},
])
def test_footprints_are_checked(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Footprint(**{"radius": 0.2, "height": 0.4, **changes})


@pytest.mark.parametrize(("changes", "message"), [
    ({"cruise_speed": 0.0}, "cruise_speed"),
    ({"cruise_speed": 9.0}, "exceeds max_speed"),
    ({"max_angular_speed": math.inf}, "max_angular_speed"),
    ({"frame_rate": 50.0}, "below frame_rate"),
    ({"actuation_delay": 2.0}, "0 to 1 seconds"),
    ({"command_timeout": -1.0}, "command_timeout"),
])
def test_robots_are_checked(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(load_robot("turtlebot"), **changes)  # type: ignore[arg-type]


def test_unknown_robots_and_files_are_named() -> None:
    with pytest.raises(ValueError, match=r"'roomba'.*turtlebot"):
        load_robot("roomba")
    with pytest.raises(ValueError, match=r"missing\.yaml does not exist"):
        load_robot("missing.yaml")


def test_a_robot_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\ncamera: {width: 64, height: 48, mount_height: 0.3, hfov_deg: 80}\n"
        "footprint: {radius: 0.2, height: 0.3}\ncruise_speed: 0.5\nmax_speed: 1\nmax_angular_speed: 1\n"
    )
    robot = load_robot(file)
    assert isinstance(robot, RobotSpec)
    assert robot.max_speed == 1.0
    assert isinstance(robot.max_speed, float)
    file.write_text(file.read_text().replace("cruise_speed", "cruse_speed"))
    with pytest.raises(ValueError, match=r"mine\.yaml: unknown key 'cruse_speed' \(did you mean 'cruise_speed'\?\)"):
        load_robot(file)
    file.write_text(file.read_text().replace("cruse_speed: 0.5", "cruise_speed: 5"))
    with pytest.raises(ValueError, match=r"mine\.yaml: .*exceeds max_speed"):
        load_robot(file)

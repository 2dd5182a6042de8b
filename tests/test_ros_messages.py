"""ROS messages to our types and back, against values worked out by hand."""

from __future__ import annotations

import math
import struct
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")

from geometry_msgs.msg import PoseStamped, Quaternion, Twist
from nav_msgs.msg import Path
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from nav_foundation.data.images import encode_jpeg, encode_png
from nav_foundation.robot import load_robot
from nav_foundation.types import Plan, Pose2, Velocity
from policies.obstacles import scan_points
from ros_nodes import messages

# Two pixels: red and a dark blue.
RGB = np.array([[[255, 0, 0], [0, 0, 51]]], np.uint8)
SAID: dict[str, bytes] = {
    "rgb8": bytes([255, 0, 0, 0, 0, 51]),
    "bgr8": bytes([0, 0, 255, 51, 0, 0]),
    "rgba8": bytes([255, 0, 0, 9, 0, 0, 51, 9]),
    "bgra8": bytes([0, 0, 255, 9, 51, 0, 0, 9]),
}


def image(encoding: str, data: bytes, width: int = 2, height: int = 1, step: int = 0, big: int = 0) -> Image:
    step = step or len(data) // height
    return Image(
        encoding=encoding, width=width, height=height, step=step, is_bigendian=big, data=array("B", data)
    )


@pytest.mark.parametrize("encoding", SAID)
def test_colours(encoding: str) -> None:
    assert (messages.rgb_of(image(encoding, SAID[encoding])) == RGB).all()


@pytest.mark.parametrize("encoding", SAID)
def test_rows_may_be_padded(encoding: str) -> None:
    padded = SAID[encoding] + b"\xaa\xbb\xcc"
    twice = messages.rgb_of(image(encoding, padded * 2, height=2, step=len(padded)))
    assert (twice == np.concatenate([RGB, RGB])).all()


def test_grey() -> None:
    assert (messages.rgb_of(image("mono8", bytes([7, 200]))) == np.array([[[7] * 3, [200] * 3]])).all()


def test_yuv_is_luminance_where_colour_is_neutral() -> None:
    rgb = messages.rgb_of(image("yuv422", bytes([128, 16, 128, 235])))  # U Y V Y: black and white of video's range
    assert rgb.max(axis=-1).tolist() == [[0, 255]]


@pytest.mark.parametrize("big", [0, 1])
def test_depth_in_millimetres_and_metres(big: int) -> None:
    order = ">" if big else "<"
    whole = messages.depth_of(image("16UC1", struct.pack(f"{order}2H", 1500, 0), big=big))
    assert whole.tolist() == [[1.5, 0.0]]
    metres = messages.depth_of(image("32FC1", struct.pack(f"{order}2f", 2.25, math.nan), big=big))
    assert metres.tolist() == [[2.25, 0.0]]


@pytest.mark.parametrize(
    "broken",
    [
        image("rgb8", b"\1\2\3", width=2), image("rgb8", b"", width=0, height=0, step=1), image("8UC9", b"\0" * 18),
        image("rgb8", b"\0" * 6, step=3), image("rgb8", b"\0" * 6, width=4_000_000, height=4_000_000, step=3),
    ],
)
def test_a_broken_picture_is_refused_in_words(broken: Image) -> None:
    with pytest.raises(ValueError, match="image"):
        messages.rgb_of(broken)


def test_a_picture_is_not_copied_where_it_need_not_be() -> None:
    message = image("rgb8", bytes(range(24)), width=4, height=2)
    seen = messages.rgb_of(message)
    message.data[0] = 77
    assert seen[0, 0, 0] == 77


@pytest.mark.parametrize("encode", [encode_jpeg, encode_png])
def test_compressed_pictures(encode: Any) -> None:
    picture = np.full((16, 24, 3), (200, 30, 90), np.uint8)
    message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=array("B", encode(picture)))
    assert np.abs(messages.rgb_of(message).astype(int) - picture).max() < 6
    with pytest.raises(ValueError, match="ends before its picture"):
        messages.rgb_of(CompressedImage(format="jpeg", data=array("B", encode(picture)[:-20])))


def test_pictures_that_we_send_are_those_that_come_back() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    sent = messages.image_of(picture[:, ::-1], 12_345_678_901, "camera")
    assert (sent.header.stamp.sec, sent.header.stamp.nanosec) == (12, 345_678_901)
    assert (messages.rgb_of(sent) == picture[:, ::-1]).all()
    depth = np.array([[0.0, 1.25]], np.float32)
    assert (messages.depth_of(messages.depth_image_of(depth, 0, "camera")) == depth).all()


# --- cameras ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["turtlebot", "rover-fisheye"])
def test_a_camera_comes_back_as_it_was_described(name: str) -> None:
    camera = load_robot(name).camera
    again = messages.camera_of(messages.camera_info_of(camera, 0, "camera"), camera)
    assert again.intrinsics == pytest.approx(camera.intrinsics)
    assert (again.width, again.height, again.distortion) == (camera.width, camera.height, camera.distortion)
    assert (again.mount_height, again.pitch) == (camera.mount_height, camera.pitch)


def test_calibrations_of_ros() -> None:
    mounted = load_robot("turtlebot").camera
    info = CameraInfo(width=640, height=480, distortion_model="rational_polynomial", d=[0.1] * 8)
    with pytest.raises(ValueError, match="not calibrated"):
        messages.camera_of(info, mounted)
    info.k = [500.0, 0.0, 320.0, 0.0, 501.0, 240.0, 0.0, 0.0, 1.0]
    assert messages.camera_of(info, mounted).coefficients == (0.1,) * 8
    info.d = [0.0] * 5
    info.distortion_model = "plumb_bob"
    assert messages.camera_of(info, mounted).distortion == "none"
    info.distortion_model = "omni"
    with pytest.raises(ValueError, match="omni"):
        messages.camera_of(info, mounted)


# --- places -------------------------------------------------------------------------------------------------------


@given(st.floats(-3.1, 3.1), st.floats(-50, 50), st.floats(-50, 50))
def test_a_pose_comes_back(yaw: float, x: float, y: float) -> None:
    again = messages.pose2_of(messages.pose_of(Pose2(x, y, yaw)))
    assert (again.x, again.y) == (x, y)
    assert again.yaw == pytest.approx(yaw, abs=1e-9)


def test_yaw_of_hand_worked_quaternions() -> None:
    half = math.sqrt(0.5)
    assert messages.yaw_of(Quaternion(x=0.0, y=0.0, z=half, w=half)) == pytest.approx(math.pi / 2)
    assert messages.yaw_of(Quaternion(x=0.0, y=0.0, z=-half, w=half)) == pytest.approx(-math.pi / 2)
    assert messages.yaw_of(Quaternion(x=0.0, y=0.0, z=0.0, w=0.0)) == 0.0
    rolled = math.sin(0.1)  # a camera's roll about x does not turn the robot
    assert messages.yaw_of(Quaternion(x=rolled, y=0.0, z=0.0, w=math.cos(0.1))) == pytest.approx(0.0)


def test_velocities() -> None:
    wanted = Velocity(0.3, -0.7, 0.1)
    assert messages.velocity_of(messages.twist_of(wanted)) == wanted
    broken = Twist()
    broken.linear.x = math.nan
    with pytest.raises(ValueError, match="finite"):
        messages.velocity_of(broken)


def test_a_scan_goes_round_from_behind() -> None:
    """A wall one metre to the left: y = 1 wherever it is seen."""
    angles = np.deg2rad(np.arange(360) - 179.5)
    ranges = np.where(np.sin(angles) > 0.3, 1.0 / np.maximum(np.sin(angles), 0.3), 0.0)
    scan = messages.scan_of(ranges, 0, "base_link", farthest=10.0)
    points = scan_points(
        np.asarray(scan.ranges), scan.angle_min, scan.angle_increment, scan.range_min, scan.range_max
    )
    assert len(points) == (ranges > 0).sum()
    assert points[:, 1] == pytest.approx(1.0, abs=1e-5)


# --- plans --------------------------------------------------------------------------------------------------------


def test_a_plan_comes_back() -> None:
    waypoints = np.array([[0.1, 0.0, 0.0], [0.2, 0.01, 0.1], [0.3, 0.03, -3.0]])
    plan = Plan(waypoints, 0.2, 5_000_000_123, 2.5)
    path = messages.path_of(plan, plan.stamp_ns, "base_link")
    assert path.poses[1].header.stamp.nanosec == 400_000_123
    again = messages.plan_of(path, "base_link")
    assert again is not None
    assert again.waypoints == pytest.approx(waypoints)
    assert (again.waypoint_dt, again.stamp_ns) == (0.2, 5_000_000_123)
    assert messages.plan_of(messages.path_of(None, 7, "base_link"), "base_link") is None


def uneven(path: Path) -> Path:
    path.poses[1].header.stamp.nanosec += 90_000_000
    return path


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda path: uneven(path), "evenly"), (lambda path: Path(poses=[PoseStamped()] * 3), "frame ''"),
        (lambda path: Path(header=path.header, poses=[PoseStamped()] * 3), "evenly"),
    ],
)
def test_a_plan_that_cannot_be_driven_is_refused(broken: Any, why: str) -> None:
    plan = Plan(np.zeros((3, 3)), 0.2, 1_000_000_000, 1.0)
    with pytest.raises(ValueError, match=why):
        messages.plan_of(broken(messages.path_of(plan, plan.stamp_ns, "base_link")), "base_link")

"""Between ROS messages and our types, at the edge: REP-103 frames, stamps in nanoseconds, no cv_bridge."""

from __future__ import annotations

import array
import math
from dataclasses import replace

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, PoseStamped, Quaternion, Twist, TwistStamped
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, LaserScan

from nav_foundation.data.images import decode, encode_jpeg
from nav_foundation.data.importing.messages import compressed_picture, decode_depth, decode_image
from nav_foundation.robot import CameraSpec, DistortionModel
from nav_foundation.types import NANOSECONDS, Plan, Pose2, Velocity

_LENSES: dict[str, DistortionModel] = {
    "plumb_bob": "plumb_bob", "rational_polynomial": "plumb_bob", "equidistant": "equidistant",
    "fisheye": "equidistant", "": "none",
}


def stamp_ns(stamp: Time) -> int:
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def time_of(nanoseconds: int) -> Time:
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


# --- pictures -----------------------------------------------------------------------------------------------------


def pictures(compressed: bool) -> tuple[type[Image | CompressedImage], str]:
    """Kind and topic of a camera's pictures."""
    return (CompressedImage, "image/compressed") if compressed else (Image, "image")


def rgb_of(message: Image | CompressedImage) -> np.ndarray:
    """[H, W, 3] uint8; raises ValueError for a picture that is broken or of an unknown encoding."""
    if isinstance(message, CompressedImage):
        picture = compressed_picture(message.format, message.data)
        return decode(picture) if isinstance(picture, bytes) else picture
    return decode_image(
        message.encoding, message.height, message.width, message.step, bool(message.is_bigendian), _bytes(message)
    )


def depth_of(message: Image) -> np.ndarray:
    """[H, W] float32 m, 0 = nothing."""
    return decode_depth(
        message.encoding, message.height, message.width, message.step, bool(message.is_bigendian), _bytes(message)
    )


def _bytes(message: Image) -> np.ndarray:
    return np.frombuffer(message.data, np.uint8)  # shares the message's memory


def image_of(rgb: np.ndarray, stamp: int, frame: str) -> Image:
    """The message of a picture [H, W, 3] uint8."""
    return _image(np.ascontiguousarray(rgb), "rgb8", stamp, frame)


def depth_image_of(depth: np.ndarray, stamp: int, frame: str) -> Image:
    """The message of a depth picture [H, W] float32 m."""
    return _image(np.ascontiguousarray(depth.astype("<f4")), "32FC1", stamp, frame)


def _image(pixels: np.ndarray, encoding: str, stamp: int, frame: str) -> Image:
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=pixels.strides[0])
    message.header.stamp, message.header.frame_id = time_of(stamp), frame
    message.data = array.array("B", pixels.tobytes())  # a list would be checked byte by byte
    return message


def jpeg_of(rgb: np.ndarray, stamp: int, frame: str) -> CompressedImage:
    message = CompressedImage(format="jpeg", data=array.array("B", encode_jpeg(rgb, 90)))
    message.header.stamp, message.header.frame_id = time_of(stamp), frame
    return message


# --- cameras ------------------------------------------------------------------------------------------------------


def camera_of(info: CameraInfo, mounted: CameraSpec) -> CameraSpec:
    """The camera that a message describes, where `mounted` says it sits."""
    fx, fy, cx, cy = (float(info.k[index]) for index in (0, 4, 2, 5))
    if not (fx > 0 and fy > 0):
        raise ValueError("camera_info is not calibrated, its K is zero: calibrate, or set camera_info to false")
    if info.distortion_model not in _LENSES:
        known = ", ".join(filter(None, _LENSES))
        raise ValueError(f"camera_info has distortion_model {info.distortion_model!r}: {known} are known")
    lens = _LENSES[info.distortion_model]
    coefficients = tuple(float(value) for value in info.d)
    if lens != "equidistant" and not any(coefficients):
        lens, coefficients = "none", ()
    return replace(
        mounted, width=int(info.width), height=int(info.height), hfov_deg=None, fx=fx, fy=fy, cx=cx, cy=cy,
        distortion=lens, coefficients=coefficients,
    )


def camera_info_of(camera: CameraSpec, stamp: int, frame: str) -> CameraInfo:
    fx, fy, cx, cy = camera.intrinsics
    info = CameraInfo(width=camera.width, height=camera.height)
    info.header.stamp, info.header.frame_id = time_of(stamp), frame
    info.distortion_model = "plumb_bob" if camera.distortion == "none" else camera.distortion
    few = 4 if camera.distortion == "equidistant" else 5
    info.d = [*camera.coefficients, *[0.0] * (few - len(camera.coefficients))]
    info.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def scan_of(ranges: np.ndarray, stamp: int, frame: str, farthest: float) -> LaserScan:
    """The scan of a whole circle [N] m, from behind and counter-clockwise; 0 = nothing."""
    step = 2.0 * math.pi / len(ranges)
    scan = LaserScan(angle_min=-math.pi + step / 2, angle_max=math.pi - step / 2, angle_increment=step)
    scan.header.stamp, scan.header.frame_id = time_of(stamp), frame
    scan.range_min, scan.range_max = 0.05, farthest
    scan.ranges = np.where((ranges > 0) & (ranges <= farthest), ranges, np.inf).astype(np.float32).tolist()
    return scan


# --- places and motions -------------------------------------------------------------------------------------------


def yaw_of(q: Quaternion) -> float:
    """rad about z. A quaternion of zeros, as a default message has it, is no turn."""
    return math.atan2(2.0 * (q.w * q.z + q.x * q.y), q.w * q.w + q.x * q.x - q.y * q.y - q.z * q.z)


def pose2_of(pose: Pose) -> Pose2:
    """In the plane; raises ValueError where numbers are not finite."""
    return Pose2(pose.position.x, pose.position.y, yaw_of(pose.orientation))


def pose_of(pose: Pose2) -> Pose:
    message = Pose()
    message.position.x, message.position.y = pose.x, pose.y
    message.orientation.z, message.orientation.w = math.sin(pose.yaw / 2), math.cos(pose.yaw / 2)
    return message


def odometry_of(pose: Pose2, velocity: Velocity, stamp: int, frame: str, base: str) -> Odometry:
    message = Odometry(child_frame_id=base)
    message.header.stamp, message.header.frame_id = time_of(stamp), frame
    message.pose.pose, message.twist.twist = pose_of(pose), twist_of(velocity)
    return message


def twist_of(velocity: Velocity) -> Twist:
    message = Twist()
    message.linear.x, message.linear.y, message.angular.z = velocity.linear, velocity.lateral, velocity.angular
    return message


def stamped_twist_of(velocity: Velocity, stamp: int, base: str) -> TwistStamped:
    message = TwistStamped(twist=twist_of(velocity))
    message.header.stamp, message.header.frame_id = time_of(stamp), base
    return message


def velocity_of(message: Twist | TwistStamped) -> Velocity:
    """Raises ValueError where numbers are not finite."""
    twist = message.twist if isinstance(message, TwistStamped) else message
    return Velocity(twist.linear.x, twist.angular.z, twist.linear.y)


# --- plans --------------------------------------------------------------------------------------------------------


def path_of(plan: Plan | None, stamp: int, base: str) -> Path:
    """A plan in the robot's frame at its observation's stamp; every pose is stamped with when the robot is to be
    there. No plan is an empty path: stand."""
    path = Path()
    path.header.stamp, path.header.frame_id = time_of(stamp), base
    for k, (x, y, yaw) in enumerate(plan.waypoints.tolist() if plan is not None else ()):
        assert plan is not None
        pose = PoseStamped(pose=pose_of(Pose2(x, y, yaw)))
        pose.header.frame_id = base
        pose.header.stamp = time_of(stamp + round((k + 1) * plan.waypoint_dt * NANOSECONDS))
        path.poses.append(pose)
    return path


def plan_of(path: Path, base: str) -> Plan | None:
    """The plan in a path, None in an empty one. Raises ValueError for one that cannot be driven."""
    if not path.poses:
        return None
    if path.header.frame_id != base:
        raise ValueError(f"a plan is given in frame {path.header.frame_id!r}: give it in {base!r}")
    begin = stamp_ns(path.header.stamp)
    times = np.array([stamp_ns(pose.header.stamp) - begin for pose in path.poses]) / NANOSECONDS
    spacing = float(times[0])
    if not np.allclose(times, spacing * np.arange(1, len(times) + 1), atol=1e-3):
        raise ValueError("the poses of a plan are not stamped evenly: stamp each with when the robot is to be there")
    waypoints = np.array([
        (p.pose.position.x, p.pose.position.y, yaw_of(p.pose.orientation)) for p in path.poses
    ])
    return Plan(waypoints, spacing, begin, math.inf)

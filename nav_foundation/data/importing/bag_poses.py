"""Planar poses and commands from ROS messages: odometry, stamped poses, satellite fixes and transforms."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

ODOMETRY = "nav_msgs/msg/Odometry"
POSE, POSE_WITH_COVARIANCE = "geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/PoseWithCovarianceStamped"
FIX = "sensor_msgs/msg/NavSatFix"
TRANSFORMS = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
TWIST, TWIST_STAMPED = "geometry_msgs/msg/Twist", "geometry_msgs/msg/TwistStamped"

_PARENTS, _CHILDREN = ("odom", "map", "world"), ("base_footprint", "base_link")  # in order of preference
_AXIS, _FLATTENING = 6_378_137.0, 1 / 298.257223563  # m; WGS 84
_COURSE_STEP = 0.5  # m between the fixes that a course is taken from


def yaw_of(q: Any) -> float:
    """Heading of a quaternion with x, y, z, w; NaN where it is none."""
    x, y, z, w = float(q.x), float(q.y), float(q.z), float(q.w)
    norm = x * x + y * y + z * z + w * w
    if not norm > 1e-6:
        return math.nan
    return math.atan2(2.0 * (w * z + x * y), norm - 2.0 * (y * y + z * z))


def pose_of(kind: str, message: Any) -> tuple[float, float, float]:
    """x, y, yaw of a message; latitude and longitude in degrees of a fix. NaN where there is none."""
    if kind == FIX:
        has_fix = int(message.status.status) >= 0
        return (float(message.latitude), float(message.longitude), 0.0) if has_fix else (math.nan, math.nan, 0.0)
    pose = message.pose if kind == POSE else message.pose.pose
    return float(pose.position.x), float(pose.position.y), yaw_of(pose.orientation)


def command_of(kind: str, message: Any) -> tuple[float, float]:
    """m/s forward and rad/s counter-clockwise."""
    twist = message.twist if kind == TWIST_STAMPED else message
    return float(twist.linear.x), float(twist.angular.z)


def transforms_of(message: Any) -> Iterator[tuple[str, str, int, tuple[float, float, float]]]:
    """Parent, child, stamp in ns and x, y, yaw of each transform of a message."""
    for item in message.transforms:
        stamp = int(item.header.stamp.sec) * 10**9 + int(item.header.stamp.nanosec)
        place = item.transform.translation
        pose = (float(place.x), float(place.y), yaw_of(item.transform.rotation))
        yield item.header.frame_id.strip("/"), item.child_frame_id.strip("/"), stamp, pose


def robot_transform(edges: set[tuple[str, str]]) -> tuple[str, str] | None:
    """The transform (parent, child) that is the robot's pose, if there is one."""
    wanted = [(parent, child) for parent in _PARENTS for child in _CHILDREN]
    return next((edge for edge in wanted if edge in edges), None)


def poses_of_fixes(degrees: np.ndarray) -> np.ndarray:
    """[N, 3] metres east and north of the first fix, and the course, of latitudes and longitudes [N, >=2].

    On the tangent plane of the first fix: within 10 km of it, errors stay below a few metres.
    """
    if len(degrees) == 0:
        return np.zeros((0, 3))
    latitude, longitude = np.radians(degrees[:, 0]), np.radians(degrees[:, 1])
    eccentricity = _FLATTENING * (2.0 - _FLATTENING)  # squared
    bulge = 1.0 - eccentricity * math.sin(latitude[0]) ** 2
    across = _AXIS / math.sqrt(bulge)  # radius of curvature along the parallel, and along the meridian
    along = _AXIS * (1.0 - eccentricity) / bulge**1.5
    turned = (longitude - longitude[0] + math.pi) % (2.0 * math.pi) - math.pi  # over the date line
    xy = np.column_stack([turned * across * math.cos(latitude[0]), (latitude - latitude[0]) * along])
    return np.column_stack([xy, _course(xy)])


def _course(xy: np.ndarray) -> np.ndarray:
    """[N] heading of the way, from points far enough apart not to follow the noise of fixes."""
    corners = [0]
    for k in range(1, len(xy)):
        if np.linalg.norm(xy[k] - xy[corners[-1]]) >= _COURSE_STEP:
            corners.append(k)
    if len(corners) < 2:
        return np.zeros(len(xy))
    step = np.diff(xy[corners], axis=0)
    headings = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    middles = (np.array(corners[:-1]) + corners[1:]) / 2.0
    return np.interp(np.arange(len(xy)), middles, headings)

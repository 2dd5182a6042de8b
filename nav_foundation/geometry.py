"""Plane geometry: angles and SE(2). NumPy alone. x forward, y left, yaw counter-clockwise, metres and radians."""

from __future__ import annotations

import math

import numpy as np

from nav_foundation.types import Pose2


def wrap_angle(angle: float | np.ndarray) -> float | np.ndarray:
    """The same angle from -pi to pi; half a turn is -pi."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


def compose(base: Pose2, relative: Pose2) -> Pose2:
    """The pose reached by moving by `relative`, given in the frame of `base`."""
    c, s = math.cos(base.yaw), math.sin(base.yaw)
    return Pose2(
        base.x + c * relative.x - s * relative.y,
        base.y + s * relative.x + c * relative.y,
        float(wrap_angle(base.yaw + relative.yaw)),
    )


def between(base: Pose2, target: Pose2) -> Pose2:
    """`target` in the frame of `base`: compose(base, between(base, target)) == target."""
    c, s = math.cos(base.yaw), math.sin(base.yaw)
    dx, dy = target.x - base.x, target.y - base.y
    return Pose2(c * dx + s * dy, -s * dx + c * dy, float(wrap_angle(target.yaw - base.yaw)))


def inverse(pose: Pose2) -> Pose2:
    """The origin seen from `pose`."""
    return between(pose, Pose2(0.0, 0.0, 0.0))


def apart(a: Pose2, b: Pose2) -> float:
    """Metres in a straight line."""
    return math.hypot(a.x - b.x, a.y - b.y)


def to_frame(base: Pose2, points: np.ndarray) -> np.ndarray:
    """Points [N, 2] of the world, in the frame of `base`."""
    c, s = math.cos(base.yaw), math.sin(base.yaw)
    offset = np.asarray(points, dtype=np.float64) - (base.x, base.y)
    return offset @ np.array([[c, -s], [s, c]])


def from_frame(base: Pose2, points: np.ndarray) -> np.ndarray:
    """Points [N, 2] given in the frame of `base`, in the world."""
    c, s = math.cos(base.yaw), math.sin(base.yaw)
    return np.asarray(points, dtype=np.float64) @ np.array([[c, s], [-s, c]]) + (base.x, base.y)


def shift_waypoints(waypoints: np.ndarray, then: Pose2, now: Pose2) -> np.ndarray:
    """Waypoints [H, 3] of the frame of `then`, in the frame of `now` (both in one odometry frame)."""
    motion = between(now, then)
    xy = from_frame(motion, waypoints[:, :2])
    return np.column_stack([xy, wrap_angle(waypoints[:, 2] + motion.yaw)])


def path_length(points: np.ndarray) -> float:
    """Length in metres of a polyline [N, 2 or 3]."""
    if len(points) < 2:
        return 0.0
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def nearest_on_outline(point: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """The place [2] of a convex, counter-clockwise outline [K, 2] that is nearest to a point [2]; inside, the point."""
    edge = np.roll(outline, -1, axis=0) - outline
    offset = np.asarray(point, dtype=np.float64) - outline
    if len(outline) > 2 and (edge[:, 0] * offset[:, 1] - edge[:, 1] * offset[:, 0] >= 0).all():
        return np.array(point, dtype=np.float64)
    along = np.clip((offset * edge).sum(axis=1) / np.maximum((edge**2).sum(axis=1), 1e-12), 0.0, 1.0)
    places = outline + along[:, None] * edge
    return np.asarray(places[np.linalg.norm(places - point, axis=1).argmin()])


def resample_path(points: np.ndarray, spacing: float) -> np.ndarray:
    """The polyline [N, D] as points at most `spacing` metres apart along it, both ends kept; corners may be cut."""
    if len(points) < 2:
        return np.array(points, dtype=np.float64)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    count = max(2, math.ceil(arc[-1] / spacing) + 1)
    at = np.linspace(0.0, arc[-1], count)
    return np.column_stack([np.interp(at, arc, points[:, k]) for k in range(points.shape[1])])


def poses_at(stamps_ns: np.ndarray, known_ns: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """[N, 3] poses at stamps [N], interpolated between poses [M, 3] at stamps [M]; yaw goes the short way round."""
    first = known_ns[0] if len(known_ns) else 0  # as floats, nanoseconds since 1970 would lose their last digits
    when, known = (stamps_ns - first).astype(np.float64), (known_ns - first).astype(np.float64)
    x, y, yaw = (np.interp(when, known, column) for column in (poses[:, 0], poses[:, 1], np.unwrap(poses[:, 2])))
    return np.column_stack([x, y, np.asarray(wrap_angle(yaw))])

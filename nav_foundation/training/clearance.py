"""What is in the way, from depth pictures: how far the floor is free, and which plans would touch something."""

from __future__ import annotations

import numpy as np

from nav_foundation.model.floor import floor_columns
from nav_foundation.preprocessing import CanonicalView
from nav_foundation.robot import RobotSpec

NEAR = 3.0  # m from a stand within which other pictures' depth is believed: odometry drifts
_OVER_FLOOR, _RISE = 0.05, 0.08  # m, m per m: what lies lower may be floor, which rises or is a little off
_CELL = 0.04  # m
_AT_CAMERA = 0.02  # m ahead of it; what is nearer has no column
_FASTEST = 1.2  # of cruise speed
_BETTER = 0.02  # m; a robot that stands close to something touches it by getting closer, not by going away
_BESIDE = 0.25  # m from the robot within which a plan may lead where the camera does not look


def random_plans(count: int, horizon: int, robot: RobotSpec, rng: np.random.Generator) -> np.ndarray:
    """[count, H, 3] drives of any kind in the robot's frame: two arcs each, some of them turns on the spot."""
    halves = np.arange(horizon) >= horizon // 2
    speed = robot.step * rng.uniform(0.0, _FASTEST, (count, 2)) * (rng.random((count, 2)) > 0.2)
    turn = robot.max_angular_speed / robot.frame_rate * rng.normal(0.0, 0.3, (count, 2)).clip(-1, 1)
    yaw = np.cumsum(turn[:, halves.astype(int)], axis=1)
    middle = yaw - 0.5 * turn[:, halves.astype(int)]
    along = speed[:, halves.astype(int)]
    x, y = np.cumsum(along * np.cos(middle), axis=1), np.cumsum(along * np.sin(middle), axis=1)
    return np.stack([x, y, yaw], axis=-1)


def in_the_way(points: np.ndarray, robot: RobotSpec) -> np.ndarray:
    """Those of the points [M, 3], in the frame of the robot that saw them, that it could not drive over or under."""
    z = points[:, 2]
    return points[(z > _above_floor(points, robot)) & (z < robot.footprint.height)]


def _above_floor(points: np.ndarray, robot: RobotSpec) -> np.ndarray:
    """[M] m up to which a point may be floor."""
    return robot.footprint.step_height + _OVER_FLOOR + _RISE * np.hypot(points[:, 0], points[:, 1])


def free_floor(points: np.ndarray, robot: RobotSpec, view: CanonicalView) -> np.ndarray:
    """[C, 2] m from under the camera, in each column of floor: to the first of the points [M, 3], in the frame of the
    robot that sees them, that is in the way (infinite if none is), and to the farthest (0 if there is none).

    What rises far away is believed to be floor up to half of the robot's height only, or low robots would see no walls.
    What lies as far below the floor is a drop, which is in the way as well.
    """
    points = points[np.isfinite(points).all(axis=1)]
    x, y = points[:, 0] - robot.camera.mount_forward, points[:, 1]
    ahead = x > _AT_CAMERA
    count = floor_columns(view)
    across = view.width / 2 - view.focal * y / np.where(ahead, x, 1.0)  # pixels
    column = np.floor(across * count / view.width).astype(np.int64)
    inside = ahead & (column >= 0) & (column < count)
    away, z = np.hypot(x, y), points[:, 2]
    rise = np.minimum(_above_floor(points, robot), max(robot.footprint.height / 2, robot.footprint.step_height))
    blocks = ((z > rise) & (z < robot.footprint.height)) | (z < -rise)
    floor = np.tile(np.array([np.inf, 0.0], np.float32), (count, 1))
    np.minimum.at(floor[:, 0], column[inside & blocks], away[inside & blocks])
    np.maximum.at(floor[:, 1], column[inside], away[inside])
    return floor


def within_reach(points: np.ndarray, robot: RobotSpec, horizon: int) -> np.ndarray:
    """[N, 2] m of those points [M, 3], in the robot's frame, that a plan could touch, to a few centimetres."""
    away = np.hypot(points[:, 0], points[:, 1])
    reached = away < _FASTEST * horizon * robot.step + 2 * robot.footprint.radius
    cells = np.round(points[reached, :2] / _CELL).astype(np.int32)
    return np.asarray(np.unique(cells.view(np.int64))[:, None].view(np.int32) * _CELL)


def touches(plans: np.ndarray, things: np.ndarray, radius: float) -> np.ndarray:
    """[K] bool: whether a robot of `radius` m touches things [N, 2] on plans [K, H, 3], all in the robot's frame."""
    if not len(things):
        return np.zeros(len(plans), bool)
    room = np.hypot(*things.T)  # m, where it stands
    gaps = np.linalg.norm(plans[:, :, None, :2] - things, axis=-1).min(axis=1)
    return np.asarray((gaps < np.minimum(radius, room - _BETTER)).any(axis=1))


def in_view(plans: np.ndarray, half: float, forward: float = 0.0) -> np.ndarray:
    """[K] bool: whether plans [K, H, 3] lead only where the camera looks, or stay beside the robot.

    The camera sits `forward` m ahead of its centre and sees `half` rad to each side.
    """
    x, y = plans[..., 0], plans[..., 1]
    seen = np.abs(np.arctan2(y, x - forward)) < half
    return np.asarray((seen | (np.hypot(x, y) < max(_BESIDE, forward + 0.1))).all(axis=1))

"""The way a robot is going to drive, drawn on the floor of its picture."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from nav_foundation.camera import floor_pixels
from nav_foundation.geometry import path_length, to_frame, wrap_angle
from nav_foundation.robot import CameraSpec, RobotSpec
from nav_foundation.types import Pose2

AHEAD = 8.0  # s of future that are drawn
_SPACING = 0.04  # m between points of the drawn path, so that it bends as the lens does
_LANES = 4  # on either side, into which the band is cut for the same reason
_NEAR, _FAR = np.array((34, 197, 94), np.float64), np.array((59, 130, 246), np.float64)  # RGB of now and then
_STRENGTH = 0.5  # opacity of the path
_SLACK = 3.0  # picture sizes beyond the edge within which a piece is drawn; OpenCV's integers end some way out
_ASPECT = 0.02  # by which picture and camera may differ in shape; more is another crop, and the lens model is void


def fits(camera: CameraSpec, height: int, width: int) -> bool:
    """Whether a picture of this size can be the camera's, made smaller or larger."""
    return abs(width / height / (camera.width / camera.height) - 1) < _ASPECT


def future_path(poses: np.ndarray, frame: int, count: int) -> np.ndarray:
    """[N, 3] x, y (m) and yaw (rad) of the next `count` frames in the robot's frame, densely, beginning with 0."""
    base = Pose2(*map(float, poses[frame]))
    part = poses[frame : frame + count + 1]
    ahead = np.column_stack([to_frame(base, part[:, :2]), np.unwrap(wrap_angle(part[:, 2] - base.yaw))])
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ahead[:, :2], axis=0), axis=1))])
    at = np.linspace(0.0, arc[-1], max(2, int(arc[-1] / _SPACING) + 1))
    return np.column_stack([np.interp(at, arc, ahead[:, k]) for k in range(3)])


def draw_future(picture: np.ndarray, robot: RobotSpec, poses: np.ndarray, frame: int, frames: int) -> np.ndarray:
    """The picture [H, W, 3] uint8 with a band as wide as the robot where it drives in the next `frames` frames."""
    path, canvas = future_path(poses, frame, frames), picture.copy()
    if path_length(path[:, :2]) < _SPACING:
        return canvas
    aside = robot.footprint.radius * np.column_stack([-np.sin(path[:, 2]), np.cos(path[:, 2])])
    scale = np.array([picture.shape[1], picture.shape[0]]) / (robot.camera.width, robot.camera.height)
    lanes = [
        (floor_pixels(robot.camera, path[:, :2] + across * aside) + 0.5) * scale - 0.5
        for across in np.linspace(-1.0, 1.0, 2 * _LANES + 1)
    ]
    colours = _NEAR + np.linspace(0.0, 1.0, len(path))[:, None] * (_FAR - _NEAR)
    for k in range(len(path) - 2, -1, -1):  # from afar, so that what is near covers it
        for left, right in pairwise(lanes):
            piece = np.array([left[k], left[k + 1], right[k + 1], right[k]])
            if _drawable(piece, picture.shape):
                cv2.fillConvexPoly(canvas, _fixed(piece), colours[k].tolist(), cv2.LINE_AA, 4)
    canvas = cv2.addWeighted(canvas, _STRENGTH, picture, 1.0 - _STRENGTH, 0.0)
    for k in range(len(path) - 1):
        line = lanes[_LANES][k : k + 2]
        if _drawable(line, picture.shape):
            width = max(1, picture.shape[1] // 160)
            cv2.polylines(canvas, [_fixed(line)], False, colours[k].tolist(), width, cv2.LINE_AA, 4)
    return np.asarray(canvas)


def _drawable(corners: np.ndarray, shape: tuple[int, ...]) -> bool:
    return bool(np.isfinite(corners).all() and (np.abs(corners) < _SLACK * max(shape)).all())


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixels with 4 fractional bits, as OpenCV takes them."""
    return np.round(points * 16).astype(np.int32)

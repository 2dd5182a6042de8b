"""Pictures of any lens from the pinhole pictures that Habitat draws: its own fisheye knows no Kannala-Brandt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from nav_foundation.camera import camera_rotation, rays
from nav_foundation.robot import CameraSpec

_UP = math.nextafter(math.pi / 2, 0.0)  # rad, as far as a CameraSpec may look up
_DIRECTIONS = ((0.0, 0.0), (math.pi / 2, 0.0), (-math.pi / 2, 0.0), (math.pi, 0.0), (0.0, -_UP), (0.0, _UP))
_MARGIN = 1.02  # faces reach over their edges, so that bilinear sampling never needs a neighbour
_LARGEST = 2048  # px, of a face


@dataclass(frozen=True)
class Face:
    """A pinhole view from the lens's place, turned in the robot's frame, and which pixels of the picture it gives."""

    yaw: float  # rad, left of the robot's forward
    camera: CameraSpec  # square, looking up or down by its pitch
    rows: np.ndarray  # [P] of the picture
    columns: np.ndarray  # [P]
    at: np.ndarray  # [P, 2] float32 px x, y in the face
    stretch: np.ndarray  # [P] float32 depth along the lens's axis per depth along the face's; 0 where it has none


def is_native(camera: CameraSpec) -> bool:
    """Whether Habitat draws this camera itself: no distortion, square pixels, the axis in the middle."""
    fx, fy, cx, cy = camera.intrinsics
    centred = abs(cx - (camera.width - 1) / 2) < 1e-6 and abs(cy - (camera.height - 1) / 2) < 1e-6
    plain = camera.distortion == "none" or (camera.distortion == "plumb_bob" and not any(camera.coefficients))
    return plain and centred and abs(fx - fy) < 1e-6 * fx


def native_hfov(camera: CameraSpec) -> float:
    """Degrees of a camera that Habitat draws itself."""
    if camera.hfov_deg is not None:
        return camera.hfov_deg
    return math.degrees(2 * math.atan(camera.width / 2 / camera.intrinsics[0]))


def faces_of(camera: CameraSpec) -> tuple[Face, ...]:
    """The sides of a cube around the lens that its picture needs, as finely drawn as the middle of the picture."""
    optical = rays(camera)
    body = optical @ camera_rotation(camera).T  # NaN where the lens sees nothing
    towards = np.stack([body @ _rotation(yaw, pitch)[:, 2] for yaw, pitch in _DIRECTIONS])
    nearest = np.where(np.isfinite(towards).all(axis=0), np.nan_to_num(towards).argmax(axis=0), -1)
    focal = max(camera.intrinsics[:2])
    size = min(_LARGEST, max(32, math.ceil(2 * focal)))
    degrees = math.degrees(2 * math.atan(_MARGIN))
    faces = []
    for number, (yaw, pitch) in enumerate(_DIRECTIONS):
        rows, columns = np.nonzero(nearest == number)
        if not len(rows):
            continue
        view = replace(
            camera, width=size, height=size, pitch=pitch, mount_forward=0.0, hfov_deg=degrees, fx=None, fy=None,
            cx=None, cy=None, distortion="none", coefficients=())
        seen = body[rows, columns] @ _rotation(yaw, pitch)
        at = seen[:, :2] / seen[:, 2:] * view.intrinsics[0] + (size - 1) / 2
        stretch = np.maximum(optical[rows, columns, 2], 0.0) / seen[:, 2]
        faces.append(Face(yaw, view, rows, columns, at.astype(np.float32), stretch.astype(np.float32)))
    return tuple(faces)


def paint(face: Face, channel: str, seen: np.ndarray, picture: np.ndarray) -> None:
    """Write what one face sees [S, S, ...] into its pixels of a picture [H, W, ...]."""
    if channel == "rgb":
        x, y = face.at.T
        # OpenCV maps at most 32767 pixels along a side: a column of them would be too long.
        blocks = [slice(k, k + 16_384) for k in range(0, len(x), 16_384)]
        sampled = [cv2.remap(seen, x[None, b], y[None, b], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
                   for b in blocks]
        picture[face.rows, face.columns] = np.concatenate(sampled)
        return
    column, row = np.clip(np.rint(face.at), 0, len(seen) - 1).astype(np.int64).T
    values = seen[row, column]
    picture[face.rows, face.columns] = values * face.stretch if channel == "depth" else values


def _rotation(yaw: float, pitch: float) -> np.ndarray:
    """[3, 3] that turns a face's optical coordinates into the robot's."""
    c, s = math.cos(yaw), math.sin(yaw)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return turn @ camera_rotation(CameraSpec(1, 1, 1.0, pitch=pitch, hfov_deg=90.0))

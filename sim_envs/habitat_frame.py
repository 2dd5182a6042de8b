"""Habitat's frame and ours.

Habitat: y up, -z forward, yaw 0 faces -z. Ours: z up, x forward, yaw 0 faces +x. Both are right-handed, metres, and in
both a positive yaw turns left, so that Habitat's forward becomes our forward and a yaw keeps its number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# World axes as rows, in Habitat's coordinates: x_w = -z_h, y_w = -x_h, z_w = y_h.
HABITAT_TO_WORLD = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def from_habitat(points: np.ndarray | Sequence[float]) -> np.ndarray:
    """Points (or directions) [..., 3] of Habitat's frame, in the world frame, float64."""
    return np.asarray(points, dtype=np.float64) @ HABITAT_TO_WORLD.T


def to_habitat(points: np.ndarray | Sequence[float]) -> np.ndarray:
    """Points (or directions) [..., 3] of the world frame, in Habitat's frame, float64."""
    return np.asarray(points, dtype=np.float64) @ HABITAT_TO_WORLD


def yaw_from_habitat(rotation: Sequence[float]) -> float:
    """World yaw in (-pi, pi] of a Habitat rotation quaternion (x, y, z, w), whose length does not matter."""
    values = np.asarray(rotation, dtype=np.float64)
    if values.shape != (4,) or not np.isfinite(values).all() or not values.any():
        raise ValueError(f"rotation {list(rotation)} is no quaternion: give four finite numbers x, y, z, w, not all 0")
    forward, left, _ = _looks_along(values / np.linalg.norm(values))
    return math.atan2(left, forward)


def pitch_from_habitat(rotation: Sequence[float]) -> float:
    """Radians that a camera of this quaternion (x, y, z, w) looks down."""
    values = np.asarray(rotation, dtype=np.float64)
    return -math.asin(max(-1.0, min(1.0, _looks_along(values / np.linalg.norm(values))[2])))


def _looks_along(quaternion: np.ndarray) -> tuple[float, float, float]:
    """The image of Habitat's forward (0, 0, -1) by a unit quaternion, in the world frame."""
    x, y, z, w = quaternion.tolist()
    return 1.0 - 2.0 * (x * x + y * y), 2.0 * (x * z + w * y), 2.0 * (w * x - y * z)


def yaw_to_habitat(yaw: float) -> tuple[float, float, float, float]:
    """Habitat's rotation quaternion (x, y, z, w) of an upright camera or robot with this world yaw."""
    return 0.0, math.sin(yaw / 2.0), 0.0, math.cos(yaw / 2.0)

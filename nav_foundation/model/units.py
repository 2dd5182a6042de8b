"""Metres on one side, the network's numbers on the other. These two functions alone cross over."""

from __future__ import annotations

import numpy as np


def to_network(waypoints: np.ndarray, step: float) -> np.ndarray:
    """[..., H, 4] float32: x and y of the k-th waypoint over k steps (at cruise speed: 1), cos and sin of its yaw.

    `waypoints` [..., H, 3] m and rad in the robot's frame, one per frame time; `step` is the robot's, in metres.
    """
    reach = step * np.arange(1, waypoints.shape[-2] + 1)[:, None]
    yaw = waypoints[..., 2:]
    return np.concatenate([waypoints[..., :2] / reach, np.cos(yaw), np.sin(yaw)], axis=-1).astype(np.float32)


def to_metres(numbers: np.ndarray, step: float) -> np.ndarray:
    """The inverse of `to_network`: [..., H, 3] float64."""
    numbers = np.asarray(numbers, dtype=np.float64)
    reach = step * np.arange(1, numbers.shape[-2] + 1)[:, None]
    yaw = np.arctan2(numbers[..., 3], numbers[..., 2])
    return np.concatenate([numbers[..., :2] * reach, yaw[..., None]], axis=-1)

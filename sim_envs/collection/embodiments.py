"""Robots that nobody built, so that a policy learns to drive any. `go2` and `rover-fisheye` stay out of training: what
is drawn here never equals them, and tests on them tell how a policy does on robots it has never met."""

from __future__ import annotations

import math

import numpy as np

from nav_foundation.robot import CameraSpec, Footprint, RobotSpec

IMAGE_SIZE = (128, 96)  # px, width and height; a dataset has one
FISHEYE_SHARE = 0.2  # of the robots
HELD_OUT = ("go2", "rover-fisheye")


def random_robot(rng: np.random.Generator, frame_rate: float = 5.0) -> RobotSpec:
    """A wheeled robot with another camera, size and temper each time; three of the shipped ones are wider than any."""
    cruise = rng.uniform(0.2, 1.2)  # m/s
    height = math.exp(rng.uniform(math.log(0.15), math.log(1.3)))  # m of the camera; low robots are the common ones
    radius = rng.uniform(0.12, 0.30)  # m; with more, doors of homes become a lottery
    return RobotSpec(
        "random", _camera(rng, height, radius),
        Footprint(radius=radius, height=height + rng.uniform(0.05, 0.25), step_height=rng.uniform(0.01, 0.03)),
        cruise_speed=cruise, max_speed=cruise * rng.uniform(1.1, 1.6),
        max_angular_speed=rng.uniform(0.8, 2.5), acceleration=rng.uniform(0.6, 2.0), braking=rng.uniform(1.5, 3.0),
        angular_acceleration=rng.uniform(2.5, 6.0), control_rate=20.0, frame_rate=frame_rate,
        drive="omnidirectional" if rng.random() < 0.1 else "differential",
        actuation_delay=0.05 * int(rng.integers(0, 4)),
    )


def _camera(rng: np.random.Generator, height: float, radius: float) -> CameraSpec:
    width, rows = IMAGE_SIZE
    pitch = math.radians(rng.uniform(-10.0, 25.0))  # positive looks down
    forward = rng.uniform(0.0, 0.8) * radius
    if rng.random() >= FISHEYE_SHARE:
        return CameraSpec(width, rows, height, pitch, forward, hfov_deg=rng.uniform(55.0, 120.0))
    focal = width / math.radians(rng.uniform(110.0, 180.0))
    return CameraSpec(
        width, rows, height, pitch, forward, fx=focal, fy=focal, cx=(width - 1) / 2, cy=(rows - 1) / 2,
        distortion="equidistant", coefficients=(rng.uniform(-0.03, 0.01), rng.uniform(-0.003, 0.001), 0.0, 0.0),
    )

"""Camera geometry against OpenCV, hand-worked values and its own inverse."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_foundation.camera import camera_rotation, horizontal_fov, project, rays, unproject
from nav_foundation.robot import CameraSpec, load_robot, shipped_robots

MATRIX = np.array([[400.0, 0.0, 310.0], [0.0, 410.0, 250.0], [0.0, 0.0, 1.0]])


def calibrated(distortion: str, coefficients: tuple[float, ...] = (), **changes: float) -> CameraSpec:
    camera = CameraSpec(
        640, 480, mount_height=0.5, fx=400.0, fy=410.0, cx=310.0, cy=250.0, distortion=distortion,  # type: ignore[arg-type]
        coefficients=coefficients,
    )
    return dataclasses.replace(camera, **changes)


def pixel_grid(camera: CameraSpec) -> np.ndarray:
    """[H, W, 2] x, y of every pixel."""
    return np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), axis=-1).astype(float)


def points_ahead(seed: int, count: int = 500) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 3))
    points[:, 2] = np.abs(points[:, 2]) + 1.0
    return points


def test_the_middle_looks_ahead_and_axes_point_right_and_down() -> None:
    camera = CameraSpec(5, 3, mount_height=0.5, hfov_deg=90.0)
    seen = rays(camera)
    assert seen.shape == (3, 5, 3)
    np.testing.assert_allclose(seen[1, 2], [0, 0, 1], atol=1e-15)
    # The focal length is 2.5 pixels, so the last column looks 2 / 2.5 to the right and the last row 1 / 2.5 down.
    np.testing.assert_allclose(seen[1, 4] / seen[1, 4, 2], [0.8, 0, 1], atol=1e-15)
    np.testing.assert_allclose(seen[2, 2] / seen[2, 2, 2], [0, 0.4, 1], atol=1e-15)


@pytest.mark.parametrize("coefficients", [
    (-0.3, 0.1, 0.001, -0.002), (-0.3, 0.1, 0.001, -0.002, 0.01), (0.1, 0.05, 0.001, -0.002, 0.01, 0.2, 0.1, 0.01),
])
def test_plumb_bob_agrees_with_opencv(coefficients: tuple[float, ...]) -> None:
    camera, points = calibrated("plumb_bob", coefficients), points_ahead(1)
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), MATRIX, np.array(coefficients))[0][:, 0]
    np.testing.assert_allclose(project(camera, points), expected, atol=1e-7)


@pytest.mark.parametrize("coefficients", [(0.0, 0.0, 0.0, 0.0), (-0.02, 0.005, -0.001, 0.0002), (0.1, 0.01, 0.0, 0.0)])
def test_fisheye_agrees_with_opencv(coefficients: tuple[float, ...]) -> None:
    camera, points = calibrated("equidistant", coefficients), points_ahead(2)
    expected = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), MATRIX, np.array(coefficients))
    np.testing.assert_allclose(project(camera, points), expected[0][:, 0], atol=1e-7)


@pytest.mark.parametrize("camera", [
    calibrated("none"), calibrated("plumb_bob", (-0.3, 0.1, 0.001, -0.002, 0.01)),
    calibrated("plumb_bob", (0.1, 0.05, 0.001, -0.002, 0.01, 0.2, 0.1, 0.01)),
    calibrated("equidistant", (-0.02, 0.005, -0.001, 0.0002), fx=150.0, fy=150.0),
    *(load_robot(name).camera for name in shipped_robots()),
], ids=lambda camera: f"{camera.distortion}-{camera.width}-{len(camera.coefficients)}")
def test_every_pixel_comes_back(camera: CameraSpec) -> None:
    directions = rays(camera)
    seen = np.isfinite(directions).all(axis=-1)
    assert seen.mean() > 0.75
    np.testing.assert_allclose(np.linalg.norm(directions[seen], axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(project(camera, directions[seen] * 7.0), pixel_grid(camera)[seen], atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    k=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.3, 0.3), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)),
    seed=st.integers(0, 1000),
)
def test_plumb_bob_inverts_wherever_it_projects(k: tuple[float, float, float, float], seed: int) -> None:
    camera, points = calibrated("plumb_bob", k), points_ahead(seed, 100)
    pixels = project(camera, points)
    seen = np.isfinite(pixels[:, 0])
    back = unproject(camera, pixels[seen])
    found = np.isfinite(back[:, 0])
    # Whatever is answered is right, up to what the lens folds onto a nearly equal pixel, and nearly all is answered.
    np.testing.assert_allclose(project(camera, back[found]), pixels[seen][found], atol=1e-6)
    assert found.sum() >= 0.98 * seen.sum() - 1


@settings(max_examples=60, deadline=None)
@given(k=st.tuples(*[st.floats(-0.1, 0.1)] * 4), seed=st.integers(0, 1000))
def test_fisheye_inverts_wherever_it_projects(k: tuple[float, float, float, float], seed: int) -> None:
    camera = calibrated("equidistant", k)
    points = np.random.default_rng(seed).normal(size=(100, 3))
    pixels = project(camera, points)
    seen = np.isfinite(pixels[:, 0])
    back = unproject(camera, pixels[seen])
    np.testing.assert_allclose(project(camera, back), pixels[seen], atol=1e-6)


def test_barrel_distortion_ends_where_it_folds() -> None:
    # r (1 - 0.4 r^2) grows up to r^2 = 1 / 1.2, where it is r 2/3 = 0.6086; no pixel beyond that sees anything.
    camera = calibrated("plumb_bob", (-0.4, 0.0, 0.0, 0.0))
    edge = math.sqrt(1 / 1.2)
    points = np.array([[edge - 1e-3, 0.0, 1.0], [edge + 1e-3, 0.0, 1.0]])
    assert np.isfinite(project(camera, points)).tolist() == [[True, True], [False, False]]
    pixels = np.array([[310.0 + 400.0 * (edge * 2 / 3 - 1e-4), 250.0], [310.0 + 400.0 * (edge * 2 / 3 + 1e-4), 250.0]])
    assert np.isfinite(unproject(camera, pixels)[:, 0]).tolist() == [True, False]


def test_tangential_distortion_ends_where_it_folds() -> None:
    # With p2 = 0.1 alone, x becomes x + 0.3 x^2 along the middle row: it turns around at x = -1 / 0.6.
    camera = calibrated("plumb_bob", (0.0, 0.0, 0.0, 0.1))
    points = np.array([[-1.6, 0.0, 1.0], [-1.7, 0.0, 1.0]])
    assert np.isfinite(project(camera, points)[:, 0]).tolist() == [True, False]


def test_fisheye_ends_at_the_maximum_of_its_polynomial() -> None:
    # theta (1 - 0.1 theta^2) grows up to theta^2 = 1 / 0.3, where it is theta 2/3.
    camera = calibrated("equidistant", (-0.1, 0.0, 0.0, 0.0))
    edge = math.sqrt(1 / 0.3)
    angles = np.array([edge - 1e-3, edge + 1e-3])
    points = np.column_stack([np.sin(angles), 0 * angles, np.cos(angles)])
    assert np.isfinite(project(camera, points)[:, 0]).tolist() == [True, False]
    pixels = np.array([[310.0 + 400.0 * (edge * 2 / 3 - 1e-5), 250.0], [310.0 + 400.0 * (edge * 2 / 3 + 1e-5), 250.0]])
    assert np.isfinite(unproject(camera, pixels)[:, 0]).tolist() == [True, False]


def test_a_fisheye_sees_behind_itself_but_not_beyond_its_circle() -> None:
    camera = CameraSpec(101, 101, 0.5, hfov_deg=270.0, distortion="equidistant", coefficients=(0.0,) * 4)
    seen = rays(camera)
    # 270 degrees over 101 pixels: 50 pixels from the middle is 133.7 degrees from the axis.
    assert math.degrees(math.acos(seen[50, 100, 2])) == pytest.approx(270 / 101 * 50)
    assert seen[50, 100, 0] > 0
    assert np.isnan(seen[0, 0]).all(), "the corner is 189 degrees from the axis"
    assert np.isnan(project(camera, np.zeros((1, 3)))).all()


def test_a_pinhole_does_not_see_behind_itself() -> None:
    camera = calibrated("none")
    assert np.isnan(project(camera, np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0]]))).all()


def test_rotation_follows_rep_103_and_positive_pitch_looks_down() -> None:
    level = camera_rotation(calibrated("none"))
    np.testing.assert_allclose(level @ [0, 0, 1], [1, 0, 0], atol=1e-15)  # ahead
    np.testing.assert_allclose(level @ [1, 0, 0], [0, -1, 0], atol=1e-15)  # right of the image is the robot's right
    np.testing.assert_allclose(level @ [0, 1, 0], [0, 0, -1], atol=1e-15)  # down
    tilted = camera_rotation(calibrated("none", pitch=math.radians(30)))
    np.testing.assert_allclose(tilted @ [0, 0, 1], [math.sqrt(3) / 2, 0, -0.5], atol=1e-15)
    np.testing.assert_allclose(tilted @ tilted.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(tilted) == pytest.approx(1.0)


def test_horizontal_field_of_view() -> None:
    assert horizontal_fov(CameraSpec(64, 48, 0.5, hfov_deg=79.0)) == pytest.approx(math.radians(79))
    round_view = CameraSpec(64, 64, 0.5, hfov_deg=300.0, distortion="equidistant", coefficients=(0.0,) * 4)
    assert horizontal_fov(round_view) == pytest.approx(math.radians(300))
    # r (1 - 0.3 r^2) = 0.5 has its smallest positive root at r = 0.5451.
    barrel = CameraSpec(100, 80, 0.5, fx=100.0, fy=100.0, cx=49.5, cy=39.5, distortion="plumb_bob",
                        coefficients=(-0.3, 0.0, 0.0, 0.0))
    root = min(r.real for r in np.roots([-0.3, 0, 1, -0.5]) if r.real > 0)
    assert horizontal_fov(barrel) == pytest.approx(2 * math.atan(root))

"""Camera geometry: which way a pixel looks, and which pixel sees a point.

Optical frame: x right, y down, z forward. Pixel centres lie at integers. Distortions are those of ROS CameraInfo:
`none` (pinhole), `plumb_bob` (4, 5 or 8 coefficients, the last also known as rational_polynomial) and `equidistant`
(Kannala-Brandt fisheye). A lens model holds only where it is one-to-one; elsewhere the answer is NaN.
"""

from __future__ import annotations

import math

import numpy as np

from nav_foundation.robot import CameraSpec

_WIDEST_PINHOLE = math.radians(89.9)  # rad from the axis; a plane image cannot hold rays at 90 degrees
_TABLE = 2048  # entries of the tables that start Newton's iteration
_TOLERANCE = 1e-10  # of distorted coordinates (radians of a small angle)


def rays(camera: CameraSpec) -> np.ndarray:
    """[H, W, 3] unit directions in the optical frame through the pixel centres; NaN where a pixel sees nothing."""
    x, y = np.meshgrid(np.arange(camera.width, dtype=np.float64), np.arange(camera.height, dtype=np.float64))
    directions = unproject(camera, np.column_stack([x.ravel(), y.ravel()]))
    return directions.reshape(camera.height, camera.width, 3)


def unproject(camera: CameraSpec, pixels: np.ndarray) -> np.ndarray:
    """Unit directions [N, 3] in the optical frame through pixels [N, 2] (x, y); NaN outside the lens model."""
    fx, fy, cx, cy = camera.intrinsics
    distorted = (np.asarray(pixels, dtype=np.float64) - (cx, cy)) / (fx, fy)
    if camera.distortion == "equidistant":
        return _fisheye_directions(distorted, camera.coefficients)
    if camera.distortion == "plumb_bob":
        distorted = _undistort(distorted, camera.coefficients)
    directions = np.column_stack([distorted, np.ones(len(distorted))])
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def project(camera: CameraSpec, points: np.ndarray) -> np.ndarray:
    """Pixels [N, 2] (x, y) of points [N, 3] in the optical frame; NaN behind the camera and outside the lens model.

    Pixels may lie outside the image: compare with `camera.width` and `camera.height`.
    """
    points = np.asarray(points, dtype=np.float64)
    fx, fy, cx, cy = camera.intrinsics
    if camera.distortion == "equidistant":
        plane = _fisheye_plane(points, camera.coefficients)
    else:
        depth = np.where(points[:, 2] > 0, points[:, 2], np.nan)
        plane = points[:, :2] / depth[:, None]
        if camera.distortion == "plumb_bob":
            plane = _distort(plane, camera.coefficients)
    return plane * (fx, fy) + (cx, cy)


def camera_rotation(camera: CameraSpec) -> np.ndarray:
    """[3, 3] that turns optical into robot base coordinates (x forward, y left, z up), pitch included."""
    c, s = math.cos(camera.pitch), math.sin(camera.pitch)
    pitched = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])  # about +y, so that positive looks down
    level = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    return pitched @ level


def floor_pixels(camera: CameraSpec, points: np.ndarray) -> np.ndarray:
    """[N, 2] px of floor points [N, 2] (m, in the robot's frame) in the camera's own size; NaN where it sees none."""
    floor = np.column_stack([points, np.zeros(len(points))])
    return project(camera, (floor - (camera.mount_forward, 0.0, camera.mount_height)) @ camera_rotation(camera))


def horizontal_fov(camera: CameraSpec) -> float:
    """Radians between the outer edges of the middle row, distortion included; narrower where the lens sees nothing."""
    _, _, _, cy = camera.intrinsics
    x = np.linspace(-0.5, camera.width - 0.5, 8 * camera.width + 1)
    seen = unproject(camera, np.column_stack([x, np.full(len(x), cy)]))
    bearings = np.arctan2(seen[:, 0], seen[:, 2])
    bearings = np.unwrap(bearings[np.isfinite(bearings)])
    return float(bearings.max() - bearings.min()) if len(bearings) else 0.0


def _first_positive_root(ascending: np.ndarray) -> float:
    """The smallest real root above 0 of a polynomial with constant 1, given from there up; inf when there is none."""
    # 1 / root solves the reversed polynomial, whose leading coefficient is the 1: well conditioned however small
    # the lens's last coefficients are.
    inverse = np.polynomial.polynomial.polyroots(ascending[::-1])
    real = inverse.real[np.abs(inverse.imag) < 1e-9 * (1.0 + np.abs(inverse.real))]
    largest = float(real.max(initial=0.0))
    return 1.0 / largest if largest > 1e-9 else math.inf


# --- equidistant: radius = theta + k1 theta^3 + k2 theta^5 + k3 theta^7 + k4 theta^9 -------------------------------


def _fisheye_limit(coefficients: tuple[float, ...]) -> float:
    """The largest angle from the axis, rad, that the lens model holds for: its radius grows up to there."""
    slope = np.array([1.0, *coefficients]) * (1.0, 3.0, 5.0, 7.0, 9.0)  # in theta^2
    return min(math.pi, math.sqrt(_first_positive_root(slope)))


def _fisheye_radius(theta: np.ndarray, coefficients: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Distorted radius of angles, and its derivative."""
    square = theta * theta
    terms = np.array([1.0, *coefficients])
    radius = theta * np.polynomial.polynomial.polyval(square, terms)
    return radius, np.polynomial.polynomial.polyval(square, terms * (1.0, 3.0, 5.0, 7.0, 9.0))


def _fisheye_plane(points: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    across = np.hypot(points[:, 0], points[:, 1])
    theta = np.arctan2(across, points[:, 2])
    seen = (theta <= _fisheye_limit(coefficients)) & (np.abs(points).sum(axis=1) > 0)
    radius = np.where(seen, _fisheye_radius(theta, coefficients)[0], np.nan)
    # On the axis every direction is as good; the radius there is 0.
    unit = points[:, :2] / np.where(across > 0, across, 1.0)[:, None]
    return unit * radius[:, None]


def _fisheye_directions(distorted: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    radius = np.hypot(distorted[:, 0], distorted[:, 1])
    limit = _fisheye_limit(coefficients)
    table = np.linspace(0.0, limit, _TABLE)
    table_radius = _fisheye_radius(table, coefficients)[0]
    low = np.searchsorted(table_radius, radius, side="right") - 1
    seen = radius <= table_radius[-1]
    theta = np.interp(radius, table_radius, table)
    floor, ceiling = table[np.clip(low, 0, _TABLE - 1)], table[np.clip(low + 1, 0, _TABLE - 1)]
    for _ in range(20):  # kept between two entries of the table, where the radius grows, Newton cannot run away
        value, slope = _fisheye_radius(theta, coefficients)
        error = value - radius
        floor, ceiling = np.where(error <= 0, theta, floor), np.where(error >= 0, theta, ceiling)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = theta - error / slope
        theta = np.where((newton >= floor) & (newton <= ceiling), newton, (floor + ceiling) / 2)
        if np.all(np.abs(error[seen]) < 1e-14):
            break
    theta = np.where(seen, theta, np.nan)
    unit = distorted / np.where(radius > 0, radius, 1.0)[:, None]
    return np.column_stack([unit * np.sin(theta)[:, None], np.cos(theta)])


# --- plumb_bob: a rational radial factor and two tangential terms --------------------------------------------------


def _plumb_bob_terms(coefficients: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Numerator and denominator of the radial factor as polynomials in r^2, and the tangential p1, p2."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, *[0.0] * (8 - len(coefficients)))
    return np.array([1.0, k1, k2, k3]), np.array([1.0, k4, k5, k6]), p1, p2


def _plumb_bob_limit(coefficients: tuple[float, ...]) -> float:
    """The undistorted radius at which the radial part folds back or has a pole; inf when it never does."""
    top, bottom, _, _ = _plumb_bob_terms(coefficients)
    grow = top * (1.0, 3.0, 5.0, 7.0)  # d(r top)/dr
    sink = bottom * (0.0, 2.0, 4.0, 6.0)  # r d(bottom)/dr
    fold = np.convolve(grow, bottom) - np.convolve(top, sink)
    return math.sqrt(min(_first_positive_root(fold), _first_positive_root(bottom)))


def _distorted(plane: np.ndarray, coefficients: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The distorted image of plane points [N, 2], and its Jacobian [N, 2, 2]; not checked for folds."""
    top, bottom, p1, p2 = _plumb_bob_terms(coefficients)
    polynomial = np.polynomial.polynomial
    x, y = plane[:, 0], plane[:, 1]
    square = x * x + y * y
    over, under = polynomial.polyval(square, top), polynomial.polyval(square, bottom)
    factor = over / under
    # Derivative of the factor by r^2.
    slope = (polynomial.polyval(square, top[1:] * (1.0, 2.0, 3.0))
             - factor * polynomial.polyval(square, bottom[1:] * (1.0, 2.0, 3.0))) / under
    image = np.column_stack([
        x * factor + 2 * p1 * x * y + p2 * (square + 2 * x * x),
        y * factor + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
    ])
    jacobian = np.empty((len(plane), 2, 2))
    jacobian[:, 0, 0] = factor + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    jacobian[:, 0, 1] = jacobian[:, 1, 0] = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    jacobian[:, 1, 1] = factor + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return image, jacobian


def _one_to_one(plane: np.ndarray, jacobian: np.ndarray, limit: float) -> np.ndarray:
    return (np.hypot(plane[:, 0], plane[:, 1]) < limit) & (np.linalg.det(jacobian) > 0)


def _distort(plane: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        image, jacobian = _distorted(plane, coefficients)
        seen = _one_to_one(plane, jacobian, _plumb_bob_limit(coefficients))
    return np.where(seen[:, None], image, np.nan)


def _undistort(distorted: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """The inverse of `_distort`: the radial part from a table, then Newton on both coordinates."""
    limit = _plumb_bob_limit(coefficients)
    table = np.tan(np.linspace(0.0, min(math.atan(limit), _WIDEST_PINHOLE), _TABLE))
    top, bottom, _, _ = _plumb_bob_terms(coefficients)
    table_radius = table * np.polynomial.polynomial.polyval(table**2, top) / np.polynomial.polynomial.polyval(
        table**2, bottom)
    usable = np.isfinite(table_radius)
    radius = np.hypot(distorted[:, 0], distorted[:, 1])
    start = np.interp(radius, table_radius[usable], table[usable])
    plane = distorted * (start / np.where(radius > 0, radius, 1.0))[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(30):
            image, jacobian = _distorted(plane, coefficients)
            error = image - distorted
            plane = plane - _solve(jacobian, error)
            if np.nanmax(np.abs(error), initial=0.0) < 1e-14:
                break
        image, jacobian = _distorted(plane, coefficients)
        seen = (np.abs(image - distorted).max(axis=1) < _TOLERANCE) & _one_to_one(plane, jacobian, limit)
    return np.where(seen[:, None], plane, np.nan)


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """matrix^-1 right for stacks of 2x2 systems; infinite or NaN where singular, unlike np.linalg.solve."""
    (a, b), (c, d) = matrix.transpose(1, 2, 0)
    scale = 1.0 / (a * d - b * c)
    return np.column_stack([d * right[:, 0] - b * right[:, 1], a * right[:, 1] - c * right[:, 0]]) * scale[:, None]

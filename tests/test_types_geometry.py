"""The core types refuse nonsense; plane geometry is a group."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_foundation.geometry import (
    between,
    compose,
    from_frame,
    inverse,
    path_length,
    resample_path,
    shift_waypoints,
    to_frame,
    wrap_angle,
)
from nav_foundation.types import (
    Explore,
    ImageGoal,
    InstructionGoal,
    NodeGoal,
    ObjectGoal,
    Observation,
    Plan,
    PointGoal,
    Pose2,
    PoseGoal,
    RouteGoal,
    Velocity,
)

LENGTH = st.floats(-100.0, 100.0)
ANGLE = st.floats(-10.0, 10.0)
POSE = st.builds(Pose2, LENGTH, LENGTH, ANGLE)
PICTURE = np.zeros((4, 6, 3), np.uint8)
WAYPOINTS = np.zeros((8, 3))


def matrix(pose: Pose2) -> np.ndarray:
    """The homogeneous transform of a pose, the textbook's definition of composition."""
    c, s = math.cos(pose.yaw), math.sin(pose.yaw)
    return np.array([[c, -s, pose.x], [s, c, pose.y], [0.0, 0.0, 1.0]])


def assert_same(a: Pose2, b: Pose2) -> None:
    np.testing.assert_allclose(matrix(a), matrix(b), atol=1e-9)


@settings(deadline=None)
@given(ANGLE)
def test_wrapping_keeps_the_direction(angle: float) -> None:
    wrapped = wrap_angle(angle)
    assert -math.pi <= wrapped <= math.pi
    assert math.cos(wrapped) == pytest.approx(math.cos(angle), abs=1e-9)
    assert math.sin(wrapped) == pytest.approx(math.sin(angle), abs=1e-9)


def test_wrapping_arrays() -> None:
    wrapped = wrap_angle(np.array([0.0, math.pi, 3 * math.pi, -4.0]))
    np.testing.assert_allclose(wrapped, [0.0, -math.pi, -math.pi, 2 * math.pi - 4])


@settings(deadline=None)
@given(POSE, POSE)
def test_compose_multiplies_transforms(a: Pose2, b: Pose2) -> None:
    np.testing.assert_allclose(matrix(compose(a, b)), matrix(a) @ matrix(b), atol=1e-9)


@settings(deadline=None)
@given(POSE, POSE)
def test_between_undoes_compose(a: Pose2, b: Pose2) -> None:
    assert_same(between(a, compose(a, b)), b)
    assert_same(compose(a, between(a, b)), b)


@settings(deadline=None)
@given(POSE)
def test_inverse_leads_back(pose: Pose2) -> None:
    assert_same(compose(pose, inverse(pose)), Pose2(0.0, 0.0, 0.0))
    assert_same(compose(inverse(pose), pose), Pose2(0.0, 0.0, 0.0))


@settings(deadline=None)
@given(POSE, st.lists(st.tuples(LENGTH, LENGTH), min_size=1, max_size=5))
def test_frames_are_inverse_and_agree_with_poses(base: Pose2, points: list[tuple[float, float]]) -> None:
    world = np.array(points)
    local = to_frame(base, world)
    np.testing.assert_allclose(from_frame(base, local), world, atol=1e-9)
    for point, (x, y) in zip(world, local):
        seen = between(base, Pose2(point[0], point[1], 0.0))
        assert (x, y) == pytest.approx((seen.x, seen.y), abs=1e-9)


def test_left_is_positive() -> None:
    facing_north = Pose2(1.0, 2.0, math.pi / 2)
    np.testing.assert_allclose(to_frame(facing_north, np.array([[0.0, 2.0]])), [[0.0, 1.0]], atol=1e-12)
    assert_same(compose(facing_north, Pose2(2.0, 0.0, 0.0)), Pose2(1.0, 4.0, math.pi / 2))


@settings(deadline=None)
@given(POSE, POSE, st.lists(st.tuples(LENGTH, LENGTH, ANGLE), min_size=1, max_size=4))
def test_shifted_waypoints_stay_where_they_are_in_the_world(then: Pose2, now: Pose2, points: list) -> None:
    shifted = shift_waypoints(np.array(points), then, now)
    for before, after in zip(points, shifted):
        assert_same(compose(then, Pose2(*before)), compose(now, Pose2(*after)))


def test_path_length_by_hand() -> None:
    assert path_length(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])) == pytest.approx(6.0)
    assert path_length(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]])) == pytest.approx(3.0)
    assert path_length(np.zeros((1, 2))) == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(LENGTH, LENGTH), min_size=1, max_size=6), st.floats(0.1, 20.0))
def test_resampled_paths_are_dense_and_keep_their_ends(points: list[tuple[float, float]], spacing: float) -> None:
    path = np.array(points)
    dense = resample_path(path, spacing)
    np.testing.assert_allclose(dense[[0, -1]], path[[0, -1]], atol=1e-9)
    assert (np.linalg.norm(np.diff(dense, axis=0), axis=1) <= spacing * (1 + 1e-9)).all()
    assert path_length(dense) <= path_length(path) + 1e-6


def test_resampling_by_hand() -> None:
    np.testing.assert_allclose(resample_path(np.array([[0.0, 0.0], [2.0, 0.0]]), 0.5)[:, 0], [0, 0.5, 1, 1.5, 2])


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Pose2(math.nan, 0.0, 0.0), r"Pose2\.x is nan"),
    (lambda: Velocity(0.0, math.inf), r"Velocity\.angular is inf"),
    (lambda: Observation(PICTURE.astype(np.float32), 0), "uint8"),
    (lambda: Observation(PICTURE[..., 0], 0), r"\[H, W, 3\]"),
    (lambda: Observation(PICTURE[:0], 0), r"\[H, W, 3\]"),
    (lambda: Observation([[1]], 0), "list"),  # type: ignore[arg-type]
    (lambda: Observation(PICTURE, 1.5e9), "whole nanoseconds"),  # type: ignore[arg-type]
    (lambda: Observation(PICTURE, 0, depth=np.zeros((4, 6))), "float32"),
    (lambda: Observation(PICTURE, 0, depth=np.zeros((6, 4), np.float32)), r"shape \(4, 6\)"),
    (lambda: ImageGoal(PICTURE, radius=0.0), r"ImageGoal\.radius"),
    (lambda: PointGoal(math.nan, 0.0), r"PointGoal\.x"),
    (lambda: PointGoal(0.0, 0.0, radius=math.nan), r"PointGoal\.radius"),
    (lambda: PoseGoal(0.0, 0.0, math.inf), r"PoseGoal\.yaw"),
    (lambda: InstructionGoal("  "), "say where to go"),
    (lambda: ObjectGoal(""), "name a kind of object"),
    (lambda: RouteGoal("up"), "straight"),
    (lambda: NodeGoal(""), "name a node"),
    (lambda: Explore(radius=-1.0), r"Explore\.radius"),
    (lambda: Plan(np.zeros((0, 3)), 0.2, 0, 1.0), "H > 0"),
    (lambda: Plan(np.zeros((8, 2)), 0.2, 0, 1.0), r"\[H, 3\]"),
    (lambda: Plan(WAYPOINTS, 0.0, 0, 1.0), "waypoint_dt"),
    (lambda: Plan(WAYPOINTS, 0.2, 0, math.nan), r"Plan\.distance"),
    (lambda: Plan(WAYPOINTS, 0.2, 0, 1.0, distance_std=-0.1), r"Plan\.distance_std"),
    (lambda: Plan(WAYPOINTS, 0.2, 0, 1.0, arrival=1.1), r"Plan\.arrival"),
    (lambda: Plan(WAYPOINTS, 0.2, 0, 1.0, collision=math.nan), r"Plan\.collision"),
])
def test_nonsense_is_refused_by_name(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_sense_is_accepted() -> None:
    seen = Observation(PICTURE, 10**18 + 1, Pose2(0.0, 0.0, 0.0), np.zeros((4, 6), np.float32))
    assert seen.stamp_ns == 10**18 + 1
    assert Observation(PICTURE, int(np.int64(5))).depth is None
    assert Plan(WAYPOINTS, 0.2, 0, math.inf).alternatives == ()

"""Obstacles against hand-worked numbers, a simulation in tiny steps, and a scan and depth images of analytic scenes."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nav_foundation.geometry import compose, to_frame
from nav_foundation.robot import CameraSpec, Footprint, RobotSpec, load_robot
from nav_foundation.types import Pose2, Velocity
from policies.obstacles import KeepOut, depth_points, scan_points, slowed

ROBOT = load_robot("turtlebot")  # radius 0.18 m, brakes at 2 m/s^2, answers after 0.05 s
RADIUS = 0.18 + 0.05  # m, with the margin
DELAY = 0.15 + 0.05  # s, reaction and actuation
CRAWL = 0.01  # m/s below which it stands
FORWARD = Velocity(0.4)


def at(x: float, y: float) -> np.ndarray:
    return np.array([[x, y]])


def nearest_while_stopping(motion: Velocity, points: np.ndarray, robot: RobotSpec = ROBOT) -> float:
    """The smallest distance of the robot's centre to any point while it drives on and then brakes, in 0.2 ms steps."""
    step, speed = 2e-4, math.hypot(motion.linear, motion.lateral)
    braking, delay = robot.braking, 0.15 + robot.actuation_delay
    times = np.arange(0.0, delay + speed / braking + step, step) + step / 2
    share = np.clip(1.0 - (times - delay) * braking / speed, 0.0, 1.0)  # of the speed, at the middle of each step
    heading = np.cumsum(motion.angular * share * step) - motion.angular * share * step / 2
    x = np.cumsum((motion.linear * np.cos(heading) - motion.lateral * np.sin(heading)) * share * step)
    y = np.cumsum((motion.linear * np.sin(heading) + motion.lateral * np.cos(heading)) * share * step)
    return float(np.hypot(points[:, 0, None] - np.append(0.0, x), points[:, 1, None] - np.append(0.0, y)).min())


def scaled(motion: Velocity, share: float) -> Velocity:
    return Velocity(share * motion.linear, share * motion.angular, share * motion.lateral)


# --- slowing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.1, 0.25, 0.4])
def test_before_a_wall_it_drives_as_fast_as_it_can_stop(speed: float) -> None:
    gap = speed * DELAY + speed**2 / (2 * 2.0)
    wall = np.column_stack([np.full(81, RADIUS + gap), np.linspace(-2, 2, 81)])
    assert slowed(FORWARD, wall, ROBOT).linear == pytest.approx(speed, rel=1e-6)
    assert slowed(Velocity(-0.4), -wall, ROBOT).linear == pytest.approx(-speed, rel=1e-6)
    sideways = slowed(Velocity(0.0, 0.0, 0.4), wall[:, ::-1], ROBOT)
    assert sideways.lateral == pytest.approx(speed, rel=1e-6) and sideways.linear == 0.0


def test_margin_reaction_and_the_robots_delay_count() -> None:
    # Without any delay 0.09 m are what braking from 0.6 m/s takes: 0.36 / 4.
    prompt = dataclasses.replace(ROBOT, actuation_delay=0.0)
    wall = at(0.18 + 0.1 + 0.09, 0.0)
    assert slowed(Velocity(1.0), wall, prompt, margin=0.1, reaction=0.0).linear == pytest.approx(0.6, rel=1e-6)
    # With 0.3 s + 0.2 s of it, 0.09 m = 0.5 v + v^2 / 4 gives v = -1 + sqrt(1.36).
    late = dataclasses.replace(ROBOT, actuation_delay=0.2)
    answer = slowed(Velocity(1.0), wall, late, margin=0.1, reaction=0.3).linear
    assert answer == pytest.approx(math.sqrt(1.36) - 1.0, rel=1e-6)


def test_on_an_arc_it_stops_where_the_circle_touches() -> None:
    # Left round (0, 0.5). A point on that circle, at 90 degrees: the robot's circle touches it when both are a chord
    # of RADIUS apart, 2 asin(0.23 / 2 / 0.5) before it.
    room = 0.5 * (math.pi / 2 - 2 * math.asin(RADIUS / 2 / 0.5))
    speed = 2.0 * (math.sqrt(DELAY**2 + 2 * room / 2.0) - DELAY)
    answer = slowed(Velocity(3.0, 6.0), at(0.5, 0.5), ROBOT)
    assert (answer.linear, answer.angular) == pytest.approx((speed, 2 * speed), rel=1e-9)
    assert slowed(Velocity(3.0, -6.0), at(0.5, 0.5), ROBOT) == Velocity(3.0, -6.0)  # to the right there is nothing


def test_what_lies_behind_or_beside_does_not_slow() -> None:
    fast = Velocity(2.0)  # which takes 1.4 m to stop
    around = np.array([[-0.24, 0.0], [-0.3, 0.2], [0.0, 0.24], [0.0, -0.24], [1.0, 0.2301], [1.0, -0.2301]])
    assert slowed(fast, around, ROBOT) == fast
    assert slowed(fast, at(1.0, 0.2299), ROBOT).linear < 2.0
    touching = np.array([[0.0, 0.2], [0.0, -0.2], [-0.1, 0.1], [0.0, 0.0]])  # which it leaves behind
    assert slowed(fast, touching, ROBOT) == fast


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.array([]), at(math.nan, 0.3), at(math.inf, 0.0),
                                    at(-math.inf, math.nan), at(1e200, 1e200)])
def test_nothing_slows_nothing(points: np.ndarray) -> None:
    assert slowed(FORWARD, points, ROBOT) == FORWARD
    wall = at(0.3, 0.0)  # which it does not hide
    assert slowed(FORWARD, np.vstack([points.reshape(-1, 2), wall]), ROBOT) == slowed(FORWARD, wall, ROBOT) != FORWARD


def test_turns_on_the_spot_and_standing_pass() -> None:
    ring = np.array([[math.cos(a), math.sin(a)] for a in np.linspace(0, 6, 50)])
    for wanted in (Velocity(0.0, 1.2), Velocity(0.0, -1.2), Velocity()):
        assert slowed(wanted, 0.2 * ring, ROBOT) == wanted and slowed(wanted, 0.0 * ring, ROBOT) == wanted


@given(st.floats(-math.pi, math.pi), st.floats(0.0, RADIUS), st.floats(-math.pi, math.pi), st.floats(-1.5, 1.5))
def test_in_contact_it_may_go_away_but_not_nearer(bearing: float, distance: float, course: float, turn: float) -> None:
    approach = math.cos(bearing - course)  # by which share of its speed the robot gets nearer, to first order
    assume(abs(approach) > 1e-6 and distance > 1e-6)
    wanted = Velocity(0.4 * math.cos(course), turn, 0.4 * math.sin(course))
    answer = slowed(wanted, at(distance * math.cos(bearing), distance * math.sin(bearing)), ROBOT)
    assert answer == (Velocity(0.0, turn) if approach > 0 else wanted)


@given(st.floats(0.01, 1.0), st.floats(-10.0, 10.0), st.floats(-math.pi, math.pi), st.floats(0.0, RADIUS))
def test_in_contact_no_arc_brings_it_back(speed: float, turn: float, bearing: float, distance: float) -> None:
    point = at(distance * math.cos(bearing), distance * math.sin(bearing))
    answer = slowed(Velocity(speed, turn), point, ROBOT)
    assert answer == Velocity(0.0, turn) or nearest_while_stopping(answer, point) > distance - 1e-6


def test_in_contact_a_tight_arc_ends_where_it_is_farthest() -> None:
    # Round (0, 0.05): a quarter of that circle leads to the far side of the point, which lies on it too.
    speed = 2.0 * (math.sqrt(DELAY**2 + 0.05 * math.pi / 2) - DELAY)
    assert slowed(Velocity(0.5, 10.0), at(-0.05, 0.05), ROBOT).linear == pytest.approx(speed, rel=1e-9)


def test_it_stands_rather_than_creeps() -> None:
    for speed, answer in [(0.0105, Velocity(0.0105, 0.0105)), (0.0095, Velocity(0.0, 0.4))]:
        room = speed * DELAY + speed**2 / (2 * 2.0)  # along the arc, a circle of 1 m round (0, 1)
        touched = room + 2 * math.asin(RADIUS / 2)
        slow = slowed(Velocity(0.4, 0.4), at(math.sin(touched), 1 - math.cos(touched)), ROBOT)
        assert dataclasses.astuple(slow) == pytest.approx(dataclasses.astuple(answer), rel=1e-6)
    assert slowed(Velocity(0.005, 0.4), at(0.5, 0.0), ROBOT) == Velocity(0.005, 0.4)


def test_at_a_wall_it_turns_until_it_can_drive_on() -> None:
    """A left turn of 0.5 m radius, 0.6 m before a wall: only creeping towards it would never end the turn."""
    wall = np.column_stack([np.full(401, 0.6), np.linspace(-10, 10, 401)])
    pose, turned, wanted = Pose2(0.0, 0.0, 0.0), 0.0, Velocity(0.4, 0.8)
    for _ in range(round(8.0 * 20)):
        here = to_frame(pose, wall)
        assert np.hypot(here[:, 0], here[:, 1]).min() > RADIUS - 1e-3
        motion = slowed(wanted, here, ROBOT)
        way, half = 0.05 * motion.linear, 0.05 * motion.angular / 2
        pose = compose(pose, Pose2(way * math.cos(half), way * math.sin(half), 2 * half))
        turned += 2 * half
    assert turned > math.pi and pose.x < 0.3


SPEEDS, TURNS = st.floats(-1.5, 1.5), st.one_of(st.just(0.0), st.floats(-3.0, 3.0), st.floats(-1e-6, 1e-6))
PLACES = st.lists(st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)), min_size=1, max_size=8)


@settings(max_examples=400, deadline=None)
@given(SPEEDS, TURNS, SPEEDS, PLACES, st.sampled_from([load_robot(name) for name in ("turtlebot", "go2", "jackal")]))
def test_it_stops_in_time_and_is_never_too_slow(
    linear: float, angular: float, lateral: float, places: list, robot: RobotSpec
) -> None:
    radius = robot.footprint.radius + 0.05
    points = np.array([place for place in places if math.hypot(*place) > radius])
    wanted, speed = Velocity(linear, angular, lateral), math.hypot(linear, lateral)
    assume(len(points) and speed > CRAWL)
    answer = slowed(wanted, points, robot)
    left = math.hypot(answer.linear, answer.lateral)
    if left == 0.0:  # driving at all would be too much
        assert answer.angular == angular
        assert nearest_while_stopping(scaled(wanted, 1.02 * CRAWL / speed), points, robot) < radius + 1e-4
        return
    expected = scaled(wanted, left / speed)
    assert dataclasses.astuple(answer) == pytest.approx(dataclasses.astuple(expected), rel=1e-9, abs=1e-12)
    assert nearest_while_stopping(answer, points, robot) > radius - 1e-3
    if left < speed * (1 - 1e-9):
        assert nearest_while_stopping(scaled(answer, 1.02), points, robot) < radius + 1e-4


@settings(max_examples=100, deadline=None)
@given(SPEEDS, TURNS, SPEEDS, PLACES)
def test_left_and_right_are_alike(linear: float, angular: float, lateral: float, places: list) -> None:
    points = np.array(places)
    # On the edge of a touch rounding decides, which is no matter of left and right.
    assume(np.abs(np.hypot(points[:, 0], points[:, 1]) - RADIUS).min() > 1e-6)
    answer = slowed(Velocity(linear, angular, lateral), points, ROBOT)
    mirrored = slowed(Velocity(linear, -angular, -lateral), points * (1, -1), ROBOT)
    assert dataclasses.astuple(mirrored) == pytest.approx((answer.linear, -answer.angular, -answer.lateral), abs=1e-4)


def median_seconds(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(50):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds))


def test_it_keeps_up_with_the_controller() -> None:
    """Limits for loaded machines: by itself each takes less than a tenth of it."""
    points = np.random.default_rng(0).uniform(0.3, 0.45, (1000, 2))  # all near enough to matter
    assert median_seconds(lambda: slowed(Velocity(1.0, 0.5), points, ROBOT)) < 0.005
    camera = CameraSpec(640, 480, 0.3, hfov_deg=90.0)
    depth = np.random.default_rng(0).uniform(0.0, 5.0, (480, 640)).astype(np.float32)
    assert median_seconds(lambda: depth_points(depth, camera, ROBOT.footprint)) < 0.05


# --- the laser -------------------------------------------------------------------------------------------------------


def test_a_scan_of_a_wall_is_that_wall() -> None:
    # The laser sits at (0.1, 0.05), turned by 30 degrees, and sees a wall at x = 2 of the robot's frame.
    mount, angles = Pose2(0.1, 0.05, math.radians(30)), -1.0 + 0.02 * np.arange(70)
    ranges = ((2.0 - mount.x) / np.cos(angles + mount.yaw)).astype(np.float32)
    points = scan_points(ranges, -1.0, 0.02, 0.1, 12.0, mount)
    np.testing.assert_allclose(points[:, 0], 2.0, atol=1e-5)
    np.testing.assert_allclose(points[:, 1], 0.05 + 1.9 * np.tan(angles + mount.yaw), atol=1e-5)


def test_what_a_scan_does_not_see_is_nothing() -> None:
    ranges = np.array([0.0, math.inf, -math.inf, math.nan, 0.09, 12.1, 0.1, 12.0])
    points = scan_points(ranges, 0.0, math.pi / 2, 0.1, 12.0)  # the last two look back and to the right
    too_near = [-0.1, 0.0]  # -inf, the third ray
    np.testing.assert_allclose(points, [too_near, [-0.1, 0.0], [0.0, -12.0]], atol=1e-12)
    assert scan_points(np.array([0.0, math.inf]), 0.0, 0.1, 0.0, math.inf).shape == (0, 2)
    assert scan_points(np.array([]), 0.0, 0.1, 0.1, 12.0).shape == (0, 2)


# --- the depth camera ------------------------------------------------------------------------------------------------

FOOTPRINT = Footprint(radius=0.2, height=0.5, step_height=0.04)
PINHOLE = CameraSpec(80, 60, 0.3, pitch=0.3, mount_forward=0.1, hfov_deg=90.0)
FISHEYE = dataclasses.replace(PINHOLE, hfov_deg=190.0, distortion="equidistant", coefficients=(0.0, 0.0, 0.0, 0.0))
both_cameras = pytest.mark.parametrize("camera", [PINHOLE, FISHEYE], ids=["pinhole", "fisheye"])


def looks(camera: CameraSpec) -> tuple[np.ndarray, np.ndarray]:
    """[H, W, 3] unit directions in the robot's axes and [H, W] their share along the optical axis, worked by hand."""
    u, v = np.meshgrid(np.arange(camera.width) - 39.5, np.arange(camera.height) - 29.5)
    if camera.distortion == "none":
        right, down, ahead = u / 40, v / 40, np.ones_like(u)  # the focal length is 40 pixels / tan(45 degrees)
    else:
        angle = np.hypot(u, v) * math.radians(95) / 40
        right, down = np.sin(angle) * u / np.hypot(u, v), np.sin(angle) * v / np.hypot(u, v)
        ahead = np.cos(angle)
    size = np.sqrt(right**2 + down**2 + ahead**2)
    right, down, ahead = right / size, down / size, ahead / size
    c, s = math.cos(camera.pitch), math.sin(camera.pitch)
    return np.stack([c * ahead - s * down, -right, -s * ahead - c * down], axis=-1), ahead


def room(camera: CameraSpec, wall: float, floor: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Planar depth of a wall at x = `wall` and a floor at height `floor`, and the range to what each pixel sees."""
    direction, ahead = looks(camera)
    with np.errstate(divide="ignore", invalid="ignore"):
        to_floor = np.where(direction[..., 2] < 0, (floor - camera.mount_height) / direction[..., 2], np.inf)
        to_wall = np.where(direction[..., 0] > 0, (wall - camera.mount_forward) / direction[..., 0], np.inf)
        distance = np.minimum(to_floor, to_wall)
        depth = np.where(np.isfinite(distance) & (ahead > 0), distance * ahead, 0.0)
    return depth.astype(np.float32), distance


@both_cameras
def test_a_wall_is_seen_where_it_is_and_the_floor_is_not(camera: CameraSpec) -> None:
    depth, distance = room(camera, wall=1.5)
    points = depth_points(depth, camera, FOOTPRINT)
    np.testing.assert_allclose(points[:, 0], 1.5, atol=1e-5)
    direction, ahead = looks(camera)
    ends = distance[..., None] * direction + (0.1, 0.0, 0.3)
    seen = (np.abs(ends[..., 0] - 1.5) < 1e-9) & (ends[..., 2] <= 0.5) & (distance <= 4.0) & (ahead > 0.05)
    seen &= ends[..., 2] > 0.07 + 0.02 * distance
    assert seen.sum() > 200
    np.testing.assert_allclose(points, ends[seen][:, :2], atol=1e-5)


@both_cameras
def test_a_step_is_floor_and_a_box_is_not(camera: CameraSpec) -> None:
    assert len(depth_points(room(camera, wall=50.0)[0], camera, FOOTPRINT)) == 0
    assert len(depth_points(room(camera, wall=50.0, floor=0.04)[0], camera, FOOTPRINT)) == 0
    assert len(depth_points(room(camera, wall=50.0, floor=0.15)[0], camera, FOOTPRINT)) > 100
    for degrees in (-1.0, 1.0):  # that the camera looks too low or too high
        tilted = dataclasses.replace(camera, pitch=camera.pitch + math.radians(degrees))
        assert len(depth_points(room(camera, wall=50.0)[0], tilted, FOOTPRINT)) == 0


def test_what_hangs_above_the_robot_or_is_far_is_no_obstacle() -> None:
    depth, _ = room(PINHOLE, wall=1.5)
    low = depth_points(depth, PINHOLE, dataclasses.replace(FOOTPRINT, height=0.2))
    assert 0 < len(low) < len(depth_points(depth, PINHOLE, FOOTPRINT))
    assert len(depth_points(depth, PINHOLE, FOOTPRINT, farthest=1.3)) == 0
    assert len(depth_points(depth, PINHOLE, FOOTPRINT, farthest=1.6)) > 0


def test_depth_that_is_not_there_is_nothing() -> None:
    for nothing in (0.0, -1.0, math.nan, math.inf):
        assert depth_points(np.full((60, 80), nothing, np.float32), FISHEYE, FOOTPRINT).shape == (0, 2)
    beside = looks(FISHEYE)[1] <= 0.05  # or behind the lens: there planar depth says nothing
    assert beside.any() and (looks(FISHEYE)[1] < 0).any()
    assert len(depth_points(np.where(beside, 0.2, 0.0).astype(np.float32), FISHEYE, FOOTPRINT)) == 0


def test_a_large_image_is_thinned_but_spans_the_same() -> None:
    large = CameraSpec(1280, 960, 0.3, hfov_deg=90.0)
    depth = np.full((960, 1280), 1.0, np.float32)
    depth[:, 640:] = 2.0  # what lies to the right is farther
    points = depth_points(depth, large, FOOTPRINT)
    assert 0 < len(points) <= 160 * 120
    np.testing.assert_allclose(points[:, 0], np.where(points[:, 1] > 0, 1.0, 2.0), atol=1e-6)
    # With a focal length of 640 pixels the outermost that is taken lies 639.5 / 640 to the left.
    assert points[:, 1].max() == pytest.approx(639.5 / 640, abs=1e-6) and points[:, 1].min() < -1.96


# --- forbidden areas -------------------------------------------------------------------------------------------------

ELL = ((0.0, 0.0), (4.0, 0.0), (4.0, 1.0), (1.0, 1.0), (1.0, 3.0), (0.0, 3.0))


@pytest.mark.parametrize("order", [1, -1])
def test_inside_an_ell(order: int) -> None:
    area = KeepOut((ELL[::order],))
    for x, y in [(0.5, 0.5), (3.9, 0.5), (0.5, 2.9), (0.01, 0.01), (0.5, 1.0)]:
        assert area.inside(Pose2(x, y, 1.0))
    for x, y in [(2.0, 2.0), (1.1, 1.1), (4.1, 0.5), (0.5, 3.1), (-0.1, 0.0), (-0.1, 1.0), (-1.0, 3.0), (5.0, 1.0)]:
        assert not area.inside(Pose2(x, y, 1.0))
    assert not KeepOut().inside(Pose2(0.0, 0.0, 0.0))


def test_edges_come_in_the_robots_frame_without_gaps() -> None:
    # At (2, 2) facing world +y the notch's edges are y = 1, 1 m behind it, and x = 1, 1 m to its left.
    points = KeepOut((ELL,)).points_near(Pose2(2.0, 2.0, math.pi / 2), within=1.2)
    behind, left = np.abs(points[:, 0] + 1.0) < 1e-9, np.abs(points[:, 1] - 1.0) < 1e-9
    assert (behind | left).all() and np.hypot(*points.T).max() <= 1.2
    half = math.sqrt(1.2**2 - 1.0)  # of the chord that the circle of 1.2 m cuts out of each edge
    for along in (points[behind, 1], points[left, 0]):
        along = np.sort(along)
        assert np.diff(along).max() <= 0.05 + 1e-9
        assert along[0] == pytest.approx(-half, abs=0.05) and along[-1] == pytest.approx(half, abs=0.05)
    assert len(KeepOut((ELL,)).points_near(Pose2(2.0, 2.0, 0.0), within=0.9)) == 0


def test_all_corners_and_every_edge_are_kept() -> None:
    points = KeepOut((ELL, ((10, 10), (11, 10), (10, 11)))).points_near(Pose2(-1.0, -1.0, 0.0), math.inf, 0.3) - 1.0
    for corner in (*ELL, (10.0, 10.0), (11.0, 10.0), (10.0, 11.0)):
        assert np.abs(points - corner).max(axis=1).min() < 1e-9
    assert np.abs(points - (0.0, 1.5)).max(axis=1).min() < 1e-9  # on the edge that closes the polygon, 10 * 0.3 m long


def test_it_does_not_drive_into_an_area() -> None:
    area, here = KeepOut((ELL,)), Pose2(-0.3, 1.5, 0.0)  # 0.07 m off x = 0, when the circle is taken off
    near = area.points_near(here, 2.0)
    assert slowed(FORWARD, near, ROBOT).linear == pytest.approx(2 * (math.sqrt(DELAY**2 + 0.07) - DELAY), rel=1e-3)
    assert slowed(Velocity(-0.4), near, ROBOT) == Velocity(-0.4)


@pytest.mark.parametrize("depth", [0.1, 0.45])
def test_a_robot_within_an_area_may_leave_it_but_not_drive_deeper(depth: float) -> None:
    area = KeepOut((((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)),))
    near = area.points_near(Pose2(depth, 5.0, 0.0), 2.0)  # the nearest edge, x = 0, is behind it
    assert slowed(Velocity(0.4, 0.3), near, ROBOT) == Velocity(0.0, 0.3)
    for way_out in (Velocity(-0.4), Velocity(-0.4, 0.3), Velocity(-0.3, 0.0, 0.2), Velocity(0.0, 1.0)):
        assert slowed(way_out, near, ROBOT) == way_out


def test_areas_are_read_from_yaml_or_given_as_arrays(tmp_path: Path) -> None:
    path = tmp_path / "areas.yaml"
    path.write_text("keep_out: [[[0, 0], [4, 0], [4, 1], [1, 1.0], [1, 3], [0, 3]], [[7, 7], [8, 7], [7, 8]]]\n")
    area = KeepOut.read(path)
    assert area == KeepOut((np.array(ELL), [(7.0, 7.0), (8.0, 7.0), (7.0, 8.0)]))  # type: ignore[arg-type]
    assert area.polygons[0] == ELL and area.inside(Pose2(7.2, 7.2, 0.0)) and hash(area)
    path.write_text("keep_out: []\n")
    assert KeepOut.read(path).points_near(Pose2(0.0, 0.0, 0.0), 5.0).shape == (0, 2)


@pytest.mark.parametrize(("text", "message"), [
    ("- 1", "at its top"),
    ("keepout: []", "keep_out alone"),
    ("keep_out: []\nrobot: a", "keep_out alone"),
    ("keep_out:", "give a list of polygons"),
    ("keep_out: [[0, 0], [1, 0], [1, 1]]", "polygon 1 is not a list of 3 corners"),
    ("keep_out: [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 0]]]", "polygon 2 is not a list of 3 corners"),
    ("keep_out: [[1, 2, 3]]", "corner 1 is 1"),
    ("keep_out: [[[0, 0], [1, 0, 2], [1, 1]]]", "corner 2 is .*give .x, y."),
    ("keep_out: [[[0, 0], [1, 0], [1, east]]]", "corner 3 is .*east.*finite"),
    ("keep_out: [[[0, 0], [1, .nan], [1, 1]]]", "corner 2 is .*nan.*finite"),
    ("keep_out: [[[0, 0], [.inf, 1], [1, 1]]]", "corner 2 is .*inf.*finite"),
    ("keep_out: [[[0, 0], [true, 1], [1, 1]]]", "corner 2 is .*True.*numbers"),
])
def test_malformed_areas_are_refused_with_the_file_and_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "areas.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        KeepOut.read(path)
    assert "areas.yaml" in str(caught.value)


@pytest.mark.parametrize(("call", "word"), [
    (lambda: slowed(FORWARD, at(1.0, 0.0), ROBOT, margin=math.nan), "margin"),
    (lambda: slowed(FORWARD, at(1.0, 0.0), ROBOT, margin=-0.1), "margin"),
    (lambda: slowed(FORWARD, at(1.0, 0.0), ROBOT, reaction=math.inf), "reaction"),
    (lambda: slowed(FORWARD, np.zeros((4, 3)), ROBOT), r"\(4, 3\)"),
    (lambda: scan_points(np.ones(5), math.nan, 0.1, 0.1, 12.0), "angles"),
    (lambda: scan_points(np.ones((5, 1)), 0.0, 0.1, 0.1, 12.0), "shape"),
    (lambda: scan_points(np.ones(5), 0.0, 0.1, math.nan, 12.0), "range_min"),
    (lambda: scan_points(np.ones(5), 0.0, 0.1, 0.1, math.nan), "range_min"),
    (lambda: scan_points(np.ones(5), 0.0, 0.1, 3.0, 1.0), "range_min"),
    (lambda: depth_points(np.ones((60, 81), np.float32), PINHOLE, FOOTPRINT), "size"),
    (lambda: depth_points(np.ones((60, 80), np.uint16), PINHOLE, FOOTPRINT), "millimetres"),
    (lambda: depth_points(np.ones((60, 80), np.float32), PINHOLE, FOOTPRINT, math.nan), "nan"),
    (lambda: KeepOut((ELL,)).points_near(Pose2(0.0, 0.0, 0.0), math.nan), "within nan"),
    (lambda: KeepOut((ELL,)).points_near(Pose2(0.0, 0.0, 0.0), 1.0, 0.0), "spacing"),
])
def test_what_would_blind_it_is_refused(call: Callable[[], object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        call()

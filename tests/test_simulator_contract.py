"""What every simulator must do: frames, units, depth, motion and ways in scenes whose every distance is known.

The embedded simulator and Habitat's client with a stand-in behind it are always tried; Habitat itself is by
`pytest tests/test_simulator_contract.py --habitat-python PATH`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nav_foundation.robot import CameraSpec, Footprint
from sim_envs.embedded import EmbeddedSimulator
from sim_envs.habitat import HabitatSimulator
from sim_envs.simulator import Mover, Pose, SceneError, SceneInfo, SceneRef, Simulator, SimulatorError, TopDown
from tests import simulator_contract as scenes

STANDIN = Path(__file__).with_name("standin_habitat_worker.py")
ROBOT = Footprint(radius=0.2, height=1.0)
CAMERA = CameraSpec(64, 64, 1.0, hfov_deg=60.0)
HERE = Pose(0.0, 0.0, 0.0, 0.0)
CELL = 0.1  # m that a position on the floor may be off: two cells of a grid
LEVEL = 0.06  # m that the height of a floor may be off
Load = Callable[..., SceneInfo]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "simulator" in metafunc.fixturenames:
        habitat = ["habitat"] if metafunc.config.getoption("--habitat-python") else []
        metafunc.parametrize("simulator", ["embedded", "standin", *habitat], indirect=True, scope="module")


@pytest.fixture(scope="module")
def simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    made: Simulator
    if request.param == "embedded":
        made = EmbeddedSimulator()
    elif request.param == "standin":
        made = HabitatSimulator(sys.executable, worker=STANDIN)
    else:
        made = HabitatSimulator(request.config.getoption("--habitat-python"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("contract")
    make = {"room": scenes.room, "maze": scenes.maze, "halves": scenes.halves, "step": scenes.step, "gap": scenes.gap,
            "closet": scenes.closet}
    return {name: write(folder / f"{name}.glb") for name, write in make.items()}


@pytest.fixture
def load(simulator: Simulator, files: dict[str, Path]) -> Load:
    return lambda name, robot=ROBOT: simulator.load(SceneRef("file", path=str(files[name])), robot)


def depth_of(simulator: Simulator, pose: Pose, camera: CameraSpec = CAMERA) -> np.ndarray:
    depth = simulator.render([pose], [camera], rgb=False, depth=True).depth
    assert depth is not None and depth.shape == (1, camera.height, camera.width) and depth.dtype == np.float32
    return depth[0]


# --- scenes -----------------------------------------------------------------------------------------------------------


def test_a_scene_has_its_bounds_and_area(load: Load) -> None:
    info = load("room")
    np.testing.assert_allclose(info.lower, [-4.1, -3.1, -0.2], atol=0.02)
    np.testing.assert_allclose(info.upper, [4.1, 3.1, 2.5], atol=0.02)
    post = 0.8 * 0.8 - (4 - math.pi) * 0.2**2
    assert info.navigable_area == pytest.approx(7.6 * 5.6 - post, rel=0.05)
    assert load("room", replace(ROBOT, radius=0.5)).navigable_area == pytest.approx(7 * 5 - 1.85, rel=0.05)


def test_a_scene_is_the_same_after_another_one(simulator: Simulator, load: Load) -> None:
    first = load("room")
    before = depth_of(simulator, HERE)
    assert load("maze").navigable_area < first.navigable_area
    again = load("room")
    assert again.navigable_area == first.navigable_area
    np.testing.assert_array_equal(depth_of(simulator, HERE), before)


def test_a_scene_is_loaded_again_after_a_broken_one(simulator: Simulator, load: Load, tmp_path: Path) -> None:
    good, broken = scenes.room(tmp_path / "good.glb"), tmp_path / "broken.glb"
    sidecar = {"render_asset": good.name, "up": [0, 1, 0], "front": [0, 0, -1]}
    good.with_suffix(".stage_config.json").write_text(json.dumps(sidecar))
    broken.write_bytes(bytes(range(256)) * 20)
    first = simulator.load(SceneRef("file", path=str(good)), ROBOT)
    with pytest.raises(SceneError, match=str(broken)):
        simulator.load(SceneRef("file", path=str(broken)), ROBOT)
    assert simulator.load(SceneRef("file", path=str(good)), ROBOT).navigable_area == first.navigable_area
    assert load("room").navigable_area == pytest.approx(first.navigable_area)


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("yaw", "distance"), [(0.0, 4.0), (math.pi / 2, 3.0), (math.pi, 4.0), (-math.pi / 2, 3.0)])
def test_depth_is_planar_metres_to_the_wall(simulator: Simulator, load: Load, yaw: float, distance: float) -> None:
    load("room")
    pose = Pose(0.0, 0.0, 0.0, math.remainder(yaw, math.tau))
    narrow = replace(CAMERA, hfov_deg=24.0)  # sees the wall alone
    depth = depth_of(simulator, pose, replace(narrow, mount_height=1.25))
    assert np.abs(depth - distance).max() < 0.02
    forward = depth_of(simulator, pose, replace(narrow, mount_height=1.25, mount_forward=0.3))
    assert np.abs(forward - (distance - 0.3)).max() < 0.02


def test_left_is_left_and_up_is_up(simulator: Simulator, load: Load) -> None:
    load("room")
    wide = replace(CAMERA, hfov_deg=80.0)
    depth = depth_of(simulator, HERE, wide)
    rows, columns = np.nonzero(np.abs(depth - 2.0) < 0.02)  # the post's front, apart from a line of the floor
    focal, middle = 32 / math.tan(math.radians(40)), 31.5
    post = (columns < middle) & (rows < middle + focal * 0.45)
    assert columns[post].min() == pytest.approx(middle - focal * 0.6, abs=1.5)
    assert columns[post].max() == pytest.approx(middle - focal * 0.4, abs=1.5)
    assert rows[post].min() == pytest.approx(middle - focal * 0.25, abs=1.5)  # 1.5 m tall, seen from 1 m
    turned = depth_of(simulator, replace(HERE, yaw=math.atan2(1.0, 2.2)), wide)
    assert turned[31:33, 31:33].max() < 2.5  # turned left by that, the post is ahead


@pytest.mark.parametrize(("pitch", "row", "distance"), [(0.5, 31.5, 1 / math.sin(0.5)), (1.2, 31.5, 1 / math.sin(1.2))])
def test_pitch_looks_down_from_the_height_of_the_mount(
    simulator: Simulator, load: Load, pitch: float, row: float, distance: float
) -> None:
    load("room")
    depth = depth_of(simulator, Pose(0.0, -1.0, 0.0, 0.0), replace(CAMERA, pitch=pitch))
    assert depth[31:33, 31:33].mean() == pytest.approx(distance, abs=0.02)
    lower = depth_of(simulator, Pose(0.0, -1.0, 0.0, 0.0), replace(CAMERA, pitch=pitch, mount_height=0.5))
    assert lower[31:33, 31:33].mean() == pytest.approx(distance / 2, abs=0.02)


def test_a_fisheye_measures_along_its_axis(simulator: Simulator, load: Load) -> None:
    load("room")
    lens = CameraSpec(96, 72, 1.25, fx=40.0, fy=40.0, cx=47.5, cy=35.5, distortion="equidistant",
                      coefficients=(-0.02, 0.0, 0.0, 0.0))
    depth = depth_of(simulator, Pose(1.0, -1.0, 0.0, 0.0), lens)
    wall = depth[32:40, 36:60]
    assert np.abs(wall - 3.0).max() < 0.02


def test_colours_are_those_of_the_walls(simulator: Simulator, load: Load) -> None:
    load("room")
    poses = [HERE, replace(HERE, yaw=math.pi / 2)]
    frames = simulator.render(poses, [replace(CAMERA, hfov_deg=20.0)])
    assert frames.rgb is not None and frames.depth is None and frames.semantic is None
    assert frames.rgb.shape == (2, 64, 64, 3) and frames.rgb.dtype == np.uint8
    ahead, left = frames.rgb.reshape(2, -1, 3).mean(axis=1)
    assert ahead[0] > 2 * ahead[1] and left[1] > 2 * left[0]


def test_pictures_repeat_and_do_not_depend_on_their_neighbours(simulator: Simulator, load: Load) -> None:
    load("room")
    poses = [Pose(-2 + k, -1.0, 0.0, 0.7 * k) for k in range(4)]
    together = simulator.render(poses, [CAMERA], depth=True)
    assert together.rgb is not None and together.depth is not None
    for index, pose in enumerate(poses):
        alone = simulator.render([pose], [CAMERA], depth=True)
        assert alone.rgb is not None and alone.depth is not None
        np.testing.assert_array_equal(alone.rgb[0], together.rgb[index])
        np.testing.assert_array_equal(alone.depth[0], together.depth[index])
    cameras = [replace(CAMERA, hfov_deg=50.0 + 10 * k) for k in range(4)]
    mixed = simulator.render(poses, cameras, rgb=False, depth=True).depth
    assert mixed is not None
    np.testing.assert_array_equal(mixed[2], depth_of(simulator, poses[2], cameras[2]))


def test_habitat_says_what_things_are(simulator: Simulator, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The others read no semantic files of Habitat's."""
    if request.node.callspec.params["simulator"] != "habitat":
        pytest.skip("needs --habitat-python PATH")
    info = simulator.load(SceneRef("file", path=str(scenes.annotated(tmp_path / "known.glb"))), ROBOT)
    assert [(thing.id, thing.category) for thing in info.instances] == list(enumerate(scenes.SEMANTICS, start=1))
    post = info.instances[-1]
    assert post.is_object and not info.instances[0].is_object
    np.testing.assert_allclose(sorted(post.outline.tolist()), [[2, 0.8], [2, 1.2], [2.4, 0.8], [2.4, 1.2]], atol=0.01)
    assert (post.bottom, post.top) == pytest.approx((0.0, 1.5), abs=0.01)
    semantic = simulator.render([HERE], [replace(CAMERA, hfov_deg=80.0)], rgb=False, semantic=True).semantic
    assert semantic is not None and semantic.dtype == np.int32
    assert semantic[0, 31, 40] == 2 and semantic[0, -1, 40] == 1 and semantic[0, 0, 40] == 0
    across = 1.2 / 2.0 - 0.8 / 2.4  # front, and the side that faces us
    assert (semantic[0, 31] == 6).sum() == pytest.approx(across * 32 / math.tan(math.radians(40)), abs=1.5)


# --- motion -----------------------------------------------------------------------------------------------------------


def test_a_free_step_ends_where_it_aims(simulator: Simulator, load: Load) -> None:
    load("room")
    start = simulator.snap(np.zeros(3))
    assert start is not None
    step = simulator.try_step(Pose.at(start, 0.0), Pose(0.4, -0.3, 0.0, 1.2))
    assert not step.contact and step.pose.yaw == 1.2
    assert (step.pose.x, step.pose.y) == pytest.approx((0.4, -0.3), abs=1e-3)
    assert step.pose.z == pytest.approx(0.0, abs=LEVEL)


@pytest.mark.parametrize("length", [0.5, 8.0])
def test_a_wall_stops_the_robot_a_radius_before_it(simulator: Simulator, load: Load, length: float) -> None:
    load("room")
    step = simulator.try_step(Pose(3.5, -1.0, 0.0, 0.0), Pose(3.5 + length, -1.0, 0.0, 0.0))
    assert step.contact
    assert (step.pose.x, step.pose.y) == pytest.approx((3.8, -1.0), abs=CELL)


def test_the_robot_slides_along_a_wall(simulator: Simulator, load: Load) -> None:
    load("room")
    step = simulator.try_step(Pose(3.5, -2.0, 0.0, 0.0), Pose(4.5, -1.0, 0.0, 0.0))
    assert step.contact
    assert (step.pose.x, step.pose.y) == pytest.approx((3.8, -1.0), abs=CELL)


def test_a_motion_cannot_start_inside_a_wall(simulator: Simulator, load: Load) -> None:
    load("room")
    with pytest.raises(SimulatorError, match="start from a point"):
        simulator.try_step(Pose(6.0, 0.0, 0.0, 0.0), HERE)


def test_a_step_is_climbed_by_those_who_can(simulator: Simulator, load: Load) -> None:
    load("step")
    stopped = simulator.try_step(Pose(-1.0, 0.0, 0.0, 0.0), Pose(1.0, 0.0, 0.0, 0.0))
    assert stopped.contact and stopped.pose.x < 0.05
    load("step", replace(ROBOT, step_height=0.15))
    climbed = simulator.try_step(Pose(-1.0, 0.0, 0.0, 0.0), Pose(1.0, 0.0, 0.0, 0.0))
    assert not climbed.contact
    assert climbed.pose.x == pytest.approx(1.0, abs=CELL) and climbed.pose.z == pytest.approx(0.1, abs=LEVEL)


# --- ways -------------------------------------------------------------------------------------------------------------


def test_a_straight_way_is_as_long_as_it_is(simulator: Simulator, load: Load) -> None:
    load("room")
    way = simulator.geodesic(np.array([-3.0, -2.0, 0.0]), np.array([[1.0, 1.0, 0.0]]))
    assert way.distance == pytest.approx(5.0, rel=0.01) and way.goal == 0
    np.testing.assert_allclose(way.path[0], [-3.0, -2.0, 0.0], atol=LEVEL)
    np.testing.assert_allclose(way.path[-1], [1.0, 1.0, 0.0], atol=LEVEL)


@pytest.mark.parametrize("radius", [0.2, 0.35])
@pytest.mark.parametrize("start", [(-2.5, -0.7), (1.0, -0.6)])
def test_a_way_around_a_wall_is_as_long_as_worked_out(
    simulator: Simulator, load: Load, start: tuple[float, float], radius: float
) -> None:
    load("maze", replace(ROBOT, radius=radius))
    way = simulator.geodesic(np.array([*start, 0.0]), np.array([[start[0], -start[1], 0.0]]))
    assert way.distance == pytest.approx(scenes.around_the_end(start, radius), rel=0.05)
    assert np.linalg.norm(np.diff(way.path, axis=0), axis=1).sum() == pytest.approx(way.distance)
    assert way.path[:, 0].max() == pytest.approx(2.0 + radius, abs=CELL)


def test_the_nearest_goal_along_the_ground_is_told(simulator: Simulator, load: Load) -> None:
    load("maze")
    start, behind, ahead = np.array([-2.5, -0.7, 0.0]), [-2.5, 0.7, 0.0], [1.0, -0.7, 0.0]
    way = simulator.geodesic(start, np.array([behind, ahead]))
    assert way.goal == 1 and way.distance == pytest.approx(3.5, rel=0.01)


def test_what_cannot_be_reached_is_infinitely_far(simulator: Simulator, load: Load) -> None:
    load("halves")
    way = simulator.geodesic(np.array([-1.5, 0.0, 0.0]), np.array([[1.5, 0.0, 0.0]]))
    assert way.distance == math.inf and len(way.path) == 0 and way.goal == -1
    both = simulator.geodesic(np.array([-1.5, 0.0, 0.0]), np.array([[1.5, 0.0, 0.0], [-2.5, 0.0, 0.0]]))
    assert both.goal == 1 and both.distance == pytest.approx(1.0, rel=0.02)


def test_a_gap_lets_the_narrow_pass(simulator: Simulator, load: Load) -> None:
    start, goals = np.array([-1.5, 0.0, 0.0]), np.array([[1.5, 0.0, 0.0]])
    load("gap")
    assert simulator.geodesic(start, goals).distance == pytest.approx(3.0, rel=0.02)
    load("gap", replace(ROBOT, radius=0.45))
    assert simulator.geodesic(start, goals).distance == math.inf


def test_habitat_leads_no_way_through_the_walls_of_a_closet(
    simulator: Simulator, load: Load, request: pytest.FixtureRequest
) -> None:
    """The embedded simulator has no such small rooms and takes the floor before them."""
    if request.node.callspec.params["simulator"] != "habitat":
        pytest.skip("needs --habitat-python PATH")
    load("closet")
    inside, outside = np.array([3.2, -2.2, 0.0]), np.zeros(3)
    assert simulator.geodesic(outside, inside[None]).distance == math.inf
    assert simulator.geodesic(inside, outside[None]).distance == math.inf
    assert simulator.geodesic(inside, np.array([[3.4, -2.2, 0.0]])).distance == pytest.approx(0.2, abs=0.05)
    assert simulator.geodesic(outside, np.array([[3.2, 0.0, 0.0], [3.2, -2.0, 0.0]])).goal == 0
    snapped = simulator.snap(inside)
    assert snapped is not None
    np.testing.assert_allclose(snapped, inside, atol=LEVEL)
    assert simulator.try_step(Pose.at(inside, 0.0), HERE).pose.x > 2.4


# --- the floor --------------------------------------------------------------------------------------------------------


def test_samples_are_on_the_floor_everywhere_and_repeat(simulator: Simulator, load: Load) -> None:
    load("room")
    rng = np.random.default_rng(3)
    points = np.array([simulator.sample_navigable(rng) for _ in range(400)])
    assert (np.abs(points[:, :2]) < (3.8 + 0.03, 2.8 + 0.03)).all() and (np.abs(points[:, 2]) < LEVEL).all()
    assert np.abs(points[:, :2].mean(axis=0)).max() < 0.5
    quarters = np.unique((points[:, 0] > 0) * 2 + (points[:, 1] > 0), return_counts=True)[1]
    assert len(quarters) == 4 and quarters.min() > 60
    again = np.random.default_rng(3)
    np.testing.assert_array_equal([simulator.sample_navigable(again) for _ in range(5)], points[:5])


def test_snap_goes_to_the_nearest_floor(simulator: Simulator, load: Load) -> None:
    load("room")
    near = simulator.snap(np.array([4.05, -1.0, 0.0]))
    assert near is not None
    np.testing.assert_allclose(near, [3.8, -1.0, 0.0], atol=CELL)
    inside = simulator.snap(np.array([1.0, -1.0, 0.1]))
    assert inside is not None
    np.testing.assert_allclose(inside, [1.0, -1.0, 0.0], atol=LEVEL)
    assert simulator.snap(np.array([9.0, 0.0, 0.0])) is None


def test_clearance_is_metres_to_what_is_in_the_way(simulator: Simulator, load: Load) -> None:
    load("room")
    points = np.array([[0.0, -2.0, 0.0], [-3.5, 0.0, 0.0], [2.2, 0.4, 0.0], [2.2, 1.0, 0.0], [9.0, 0.0, 0.0]])
    np.testing.assert_allclose(simulator.clearance(points), [1.0, 0.5, 0.4, 0.0, 0.0], atol=CELL)


def test_the_floor_plan_shows_where_the_robot_can_be(simulator: Simulator, load: Load) -> None:
    info = load("room")
    plan = simulator.top_down(0.05)
    free = plan.grid == TopDown.FREE
    assert np.count_nonzero(free) * 0.05**2 == pytest.approx(info.navigable_area, rel=0.05)
    places = np.array([[0.0, 0.0], [3.6, 2.6], [-3.6, -2.6], [2.2, 1.0], [2.2, -1.0], [3.95, 0.0], [0.0, 2.95]])
    rows, columns = plan.cells(places).T
    assert free[rows, columns].tolist() == [True, True, True, False, True, False, False]
    assert plan.grid[rows[3], columns[3]] == TopDown.OBSTACLE
    centres = plan.centres(np.argwhere(free))
    np.testing.assert_allclose([centres.min(axis=0), centres.max(axis=0)], [[-3.8, -2.8], [3.8, 2.8]], atol=CELL)


def test_a_closet_is_no_part_of_the_floor(simulator: Simulator, load: Load) -> None:
    assert load("closet").navigable_area == pytest.approx(7.6 * 5.6 - 1.7 * 1.7, rel=0.05)
    rng, inside = np.random.default_rng(3), np.array([[3.2, -2.2, 0.0]])
    points = np.array([simulator.sample_navigable(rng) for _ in range(200)])
    assert not ((points[:, 0] > 2.4) & (points[:, 1] < -1.4)).any()
    assert simulator.clearance(inside)[0] == 0.0
    plan = simulator.top_down(0.05)
    row, column = plan.cells(inside[:, :2])[0]
    assert plan.grid[row, column] != TopDown.FREE


# --- errors -----------------------------------------------------------------------------------------------------------


def test_misuse_is_told_in_one_sentence(simulator: Simulator, load: Load, tmp_path: Path) -> None:
    load("room")
    for call, words in (
        (lambda: simulator.render([], [CAMERA]), "no poses"),
        (lambda: simulator.render([HERE] * 3, [CAMERA] * 2), "3 poses and 2 cameras"),
        (lambda: simulator.render([HERE] * 2, [CAMERA, replace(CAMERA, width=32)]), "different sizes"),
        (lambda: simulator.top_down(0.0), "metres per cell"),
        (lambda: simulator.snap(np.array([math.nan, 0.0, 0.0])), "finite"),
        (lambda: simulator.geodesic(np.zeros(2), np.zeros((1, 3))), "shape"),
    ):
        with pytest.raises(SimulatorError, match=words):
            call()
    with pytest.raises(SceneError, match=r"no\.glb"):
        simulator.load(SceneRef("file", path=str(tmp_path / "no.glb")), ROBOT)
    with pytest.raises(SceneError):
        load("gap", replace(ROBOT, radius=2.0))
    load("room")
    simulator.set_movers([])
    if isinstance(simulator, HabitatSimulator):
        with pytest.raises(SimulatorError, match="embedded simulator only"):
            simulator.set_movers([Mover(HERE)])

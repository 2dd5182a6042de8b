"""Navigation against hand-worked scenes and against an independent test of a cylinder with every triangle."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nav_foundation.geometry import resample_path
from nav_foundation.robot import Footprint
from sim_envs.navigation import Navigation
from sim_envs.simulator import Pose, SceneError, SimulatorError, TopDown
from tests.hand_made_scenes import (
    CLIMBER,
    SMALL,
    TALL,
    Obstacles,
    Quads,
    at,
    box,
    ceiling,
    floor,
    furnished,
    mesh_of,
    navigation,
    pose,
    room,
    serpentine,
    sheet,
    walls,
)

# What can be stood on


@pytest.mark.parametrize("shift", [0.0, 0.013, 0.037])
def test_area_of_an_empty_room_is_that_of_the_room_less_the_radius(shift: float) -> None:
    nav = navigation([[(x + shift, y + shift, z) for x, y, z in quad] for quad in room(4, 3)])
    assert nav.navigable_area == pytest.approx(3.6 * 2.6, rel=0.03)
    points = at(0.199, 1.5, 0.201, 1.5, 3.799, 1.5, 3.801, 1.5) + (shift, shift, 0)
    # Borders along the axes are known to 1/255 of a cell.
    assert nav.is_navigable(points).tolist() == [False, True, True, False]
    assert nav.lower[:2] == pytest.approx([shift - 0.1] * 2) and nav.upper[2] == pytest.approx(2.5)


@pytest.mark.parametrize(("width", "passes"), [(0.38, False), (0.399, False), (0.46, True), (0.6, True)])
@pytest.mark.parametrize("shift", [0.0, 0.021])
def test_a_corridor_is_passed_when_it_is_wide_enough(width: float, passes: bool, shift: float) -> None:
    low, high = 1.5 - width / 2 + shift, 1.5 + width / 2 + shift
    nav = navigation(room(6, 3) + box(2, -0.05, 0, 4, low, 2) + box(2, high, 0, 4, 3.05, 2))
    way = nav.geodesic(at(1, 1.5)[0], at(5, 1.5))
    assert math.isfinite(way.distance) == passes
    assert nav.component(at(1, 1.5, 5, 1.5)).tolist() in ([[0, 0]] if passes else [[0, 1], [1, 0]])


@pytest.mark.parametrize("ends", [((3, -0.1), (3, 3.1)), ((3.013, -0.1), (3.013, 3.1)), ((2.2, -0.1), (3.9, 3.1))])
@pytest.mark.parametrize("height", [0.05, 2.5])
def test_a_sheet_without_thickness_parts_a_room(ends: tuple, height: float) -> None:
    (x0, y0), (x1, y1) = ends
    nav = navigation(room(6, 3) + sheet(x0, y0, x1, y1, z1=height))
    assert not math.isfinite(nav.geodesic(at(1, 1.5)[0], at(5, 1.5)).distance)
    step = nav.try_step(pose(1, 1.5), pose(5, 1.5))
    side = (x1 - x0) * (step.pose.y - y0) - (y1 - y0) * (step.pose.x - x0)
    assert step.contact and side > 0.19 * math.hypot(x1 - x0, y1 - y0)


def test_a_leaning_sheet_blocks_as_far_as_it_is_lower_than_the_robot() -> None:
    """A board from (2, y, 0) to (3, y, 2): the robot of 0.4 m touches it from x = 2 to 2.2, one of 1 m to 2.5."""
    for footprint, reach in ((SMALL, 2.2), (TALL, 2.5)):
        nav = navigation(room(6, 3) + sheet(2, -0.1, 2, 3.1, z1=2.0, lean=1.0), footprint)
        free = nav.is_navigable(at(1.75, 1.5, reach + 0.1, 1.5, reach + 0.26, 1.5))
        assert free.tolist() == [True, False, True]


def test_a_low_robot_drives_under_a_table_and_a_tall_one_does_not() -> None:
    table = box(1.5, 1, 0.68, 2.5, 2, 0.72)
    for x, y in ((1.5, 1), (2.46, 1), (1.5, 1.96), (2.46, 1.96)):
        table += box(x, y, 0, x + 0.04, y + 0.04, 0.7)
    under = at(2, 1.5)
    assert navigation(room(4, 3) + table, SMALL).is_navigable(under)[0]
    tall = navigation(room(4, 3) + table, TALL)
    assert not tall.is_navigable(under)[0]
    assert tall.clearance(under)[0] == 0
    assert not tall.is_navigable(under + (0, 0, 0.72))[0], "a table top of 1 m^2 is too small to stand on"


@pytest.mark.parametrize("edge", [2.0, 2.02])
@pytest.mark.parametrize(("step_height", "climbs"), [(0.02, False), (0.09, False), (0.11, True), (0.15, True)])
def test_a_kerb_is_climbed_only_with_the_step_height_for_it(step_height: float, climbs: bool, edge: float) -> None:
    footprint = Footprint(0.2, 0.4, step_height)
    street = floor(0, 0, 4, 3) + walls(0, 0, 4, 3)
    for kerb in (box(edge, 0, 0, 4, 3, 0.1), floor(edge, 0, 4, 3, 0.1) + sheet(edge, 0, edge, 3, 0, 0.1)):
        nav = navigation(street + kerb, footprint)
        assert math.isfinite(nav.geodesic(at(1, 1.5)[0], np.array([[3, 1.5, 0.1]])).distance) == climbs
        step = nav.try_step(pose(1, 1.5), pose(3, 1.5))
        assert step.contact != climbs
        assert (step.pose.x, step.pose.z) == pytest.approx((3, 0.1) if climbs else (edge - 0.2, 0), abs=1e-3)
        drop = nav.try_step(pose(3, 1.5, 0.1), pose(1, 1.5))
        assert drop.pose.x == pytest.approx(1 if climbs else edge + 0.2, abs=1e-3)


@pytest.mark.parametrize(("degrees", "passes"), [(10, True), (14, True), (16, False), (40, False)])
@pytest.mark.parametrize("cell", [0.05, 0.25])
def test_a_ramp_is_driven_up_to_the_steepest_slope(degrees: float, passes: bool, cell: float) -> None:
    rise = 2 * math.tan(math.radians(degrees))
    ramp = [[(2, 0, 0), (4, 0, rise), (4, 3, rise), (2, 3, 0)]]
    nav = navigation(floor(0, 0, 2, 3) + ramp + floor(4, 0, 6, 3, rise), SMALL, cell)  # type: ignore[operator]
    way = nav.geodesic(at(1, 1.5)[0], np.array([[5, 1.5, rise]]))
    assert math.isfinite(way.distance) == passes
    if passes:
        assert way.distance == pytest.approx(2 + math.hypot(2, rise), rel=0.01)
        half = nav.try_step(pose(1, 1.5), pose(3.01, 1.5))
        assert not half.contact and half.pose.z == pytest.approx(1.01 / 2 * rise, abs=5e-3)


@pytest.mark.parametrize("cell", [0.05, 0.15, 0.5])
def test_a_dropped_kerb_is_the_way_onto_the_pavement(cell: float) -> None:
    """A kerb of 0.11 m along x = 4 but for a ramp of 1.5 m in front of it: up there, along the flank nowhere."""
    ramp = [[(3, 6.013, 0), (4, 6.013, 0.11), (4, 7.513, 0.11), (3, 7.513, 0)]]
    pavement = floor(4, 0, 8, 8, 0.11) + sheet(4, 0, 4, 8, 0, 0.11)
    nav = navigation(floor(0, 0, 4, 8) + pavement + ramp, SMALL, cell)  # type: ignore[operator]
    way = nav.geodesic(at(2, 1)[0], np.array([[6, 1, 0.11]]))
    # Straight to the inner edge of the ramp at the kerb, (4, 6.213), and straight on would be 11.16 m.
    beside = np.interp(3.9, *resample_path(way.path, 0.01)[:, :2].T)
    assert 6.013 + 0.2 - 0.01 < beside < 7.513 - 0.2 and 11.2 < way.distance < 12.5
    assert nav.is_navigable(resample_path(way.path, 0.05)).mean() > 0.97
    assert nav.try_step(pose(3.5, 4), pose(3.5, 8)).pose.y < 6.013 - 0.19, "the flank of the ramp is a wall to it"
    assert nav.try_step(pose(2, 6.8), Pose(6, 6.8, 0.11, 0)).pose.position == pytest.approx([6, 6.8, 0.11], abs=1e-3)


def two_storeys(rise: float = 0.18, run: float = 0.28, steps: int = 14) -> Quads:
    """A ground floor of 8 x 4 m, a straight staircase along y = 0 .. 1.2, an upper floor beside it, a roof."""
    top, foot = rise * steps, 2.0
    quads = floor(0, 0, 8, 4) + walls(0, 0, 8, 4, height=2 * top)
    for k in range(steps):
        quads += box(foot + k * run, 0, 0, foot + (k + 1) * run, 1.2, (k + 1) * rise)
    head = foot + steps * run
    roof = box(0, 0, 2 * top, 8, 4, 2 * top + 0.1)
    return quads + box(head, 0, top - 0.2, 8, 4, top) + box(0, 1.2, top - 0.2, head, 4, top) + roof


def test_stairs_lead_a_climber_to_the_upper_storey() -> None:
    top = 0.18 * 14
    below, above = at(1, 0.6)[0], np.array([[7.0, 0.6, top]])
    climber, wheeled = navigation(two_storeys(), CLIMBER), navigation(two_storeys(), SMALL)
    way = climber.geodesic(below, above)
    stairs = math.hypot(14 * 0.28, top)
    assert way.distance == pytest.approx(6 - 14 * 0.28 + stairs, rel=0.03)
    assert not math.isfinite(wheeled.geodesic(below, above).distance)
    heights = np.array([climber.sample_navigable(rng)[2] for rng in map(np.random.default_rng, range(300))])
    assert 60 < np.count_nonzero(heights < 0.01) < 240 and np.count_nonzero(heights > top - 0.01) > 60
    assert heights.max() < top + 0.01, "nobody stands on the roof"
    assert wheeled.component(np.array([[1, 3, 0], [1, 3, top]])).min() >= 0, "an upper storey is an island, not a roof"
    climbed = climber.try_step(pose(1, 0.6), pose(7, 0.6))
    assert not climbed.contact and climbed.pose.z == pytest.approx(top, abs=1e-3)
    assert wheeled.snap(np.array([1, 3, top - 0.4]))[2] == pytest.approx(top)  # type: ignore[index]
    assert wheeled.snap(np.array([1, 3, 1.2]))[2] == pytest.approx(0)  # type: ignore[index]


def test_the_floor_is_preferred_to_a_larger_roof_and_to_the_inside_of_solids() -> None:
    house = room(6, 5) + box(0, 2.4, 0, 5, 2.6, 2.5) + box(4, 0, 0, 6, 2, 0.8) + box(-1, -1, 2.5, 7, 6, 2.7)
    nav = navigation(house)
    heights = {float(nav.sample_navigable(np.random.default_rng(k))[2]) for k in range(50)}
    assert heights == {0.0}
    assert not nav.is_navigable(np.array([[3, 3, 2.7], [5, 1, 0], [5, 1, 0.8]])).any()
    assert nav.clearance(at(5, 1))[0] == 0


def test_flipped_faces_do_not_hide_the_floor() -> None:
    flipped = [quad[::-1] for quad in room(6, 5) + ceiling(-0.1, -0.1, 6.1, 5.1, 2.5)]
    assert navigation(flipped).sample_navigable(np.random.default_rng(0))[2] == 0


def test_islands_are_kept_apart_and_small_ones_dropped() -> None:
    nav = navigation(floor(0, 0, 4, 4) + floor(5, 0, 8, 3) + floor(9, 0, 11, 2))
    assert nav.component(at(2, 2, 6, 2, 10, 1, 4.5, 1)).tolist() == [0, 1, -1, -1]
    assert nav.navigable_area == pytest.approx(3.6**2 + 2.6**2, rel=0.03)
    assert all(nav.sample_navigable(np.random.default_rng(k))[0] < 4 for k in range(50))
    way = nav.geodesic(at(2, 2)[0], at(6, 2, 3, 3))
    assert way.goal == 1 and way.distance == pytest.approx(math.sqrt(2))
    nowhere = nav.geodesic(at(2, 2)[0], at(6, 2))
    assert nowhere.distance == math.inf and nowhere.path.shape == (0, 3) and nowhere.goal == -1


def test_samples_are_uniform_by_area() -> None:
    nav = navigation(room(4, 3) + box(1.5, 1, 0, 2.5, 2, 1))
    rng = np.random.default_rng(3)
    points = np.array([nav.sample_navigable(rng) for _ in range(3000)])
    assert nav.is_navigable(points).all()
    area = 3.6 * 2.6 - (1 + 4 * 0.2 + math.pi * 0.04)
    left = np.count_nonzero(points[:, 0] < 1.0) / len(points)
    assert left == pytest.approx(0.8 * 2.6 / area, abs=0.03)
    again = np.array([nav.sample_navigable(rng) for rng in [np.random.default_rng(3)] for _ in range(9)])
    assert np.array_equal(again, points[:9])


# Safety


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cell=st.sampled_from([0.05, 0.11, 0.4]), tall=st.booleans())
def test_the_robot_touches_nothing_where_it_may_be(seed: int, cell: float, tall: bool) -> None:
    footprint = TALL if tall else SMALL
    mesh = mesh_of(furnished(seed), cell)
    nav = Navigation(mesh, footprint)
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(0, 6, (500, 2)), np.zeros(500)])
    points[:100] = [nav.sample_navigable(rng) for _ in range(100)]
    points = points[points[:, 2] == 0]
    free = nav.is_navigable(points)
    assert free[:100].sum() > 90
    truth = Obstacles(mesh, footprint).distance(points)
    assert (truth[free] > footprint.radius - 1e-5).all()
    clearance = nav.clearance(points)
    assert (clearance[free] >= footprint.radius).all()
    outside = truth > 0  # inside a low box a point is taken to stand on top of it
    assert (clearance[outside] <= truth[outside] + 0.1 * cell).all()


@pytest.mark.parametrize("cell", [0.05, 0.1])
def test_the_map_misses_little_free_space(cell: float) -> None:
    mesh = mesh_of(furnished(11), cell)
    nav = Navigation(mesh, SMALL)
    rng = np.random.default_rng(1)
    points = np.column_stack([rng.uniform(0.1, 5.9, (600, 2)), np.zeros(600)])
    main = nav.component(points) >= 0
    truly = Obstacles(mesh, SMALL).distance(points) > SMALL.radius + cell
    # What is free with one more cell of room is missed only in pockets the robot cannot leave.
    assert np.count_nonzero(truly & ~main) <= 0.02 * len(points)
    assert np.count_nonzero(truly) > 0.2 * len(points)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cell=st.sampled_from([0.05, 0.3]), stride=st.sampled_from([0.01, 0.3, 4.0]))
@example(seed=4484, cell=0.3, stride=4.0)  # a gap that is wide enough, but not for ways of such cells
@example(seed=4962, cell=0.3, stride=0.01)  # over the edge of a mat
def test_motion_neither_touches_nor_tunnels(seed: int, cell: float, stride: float) -> None:
    mesh = mesh_of(furnished(seed), cell)
    nav = Navigation(mesh, SMALL)
    rng = np.random.default_rng(seed)
    here = pose(*nav.sample_navigable(rng)[:2])
    island = nav.component(here.position[None])[0]
    obstacles = Obstacles(mesh, SMALL)
    for _ in range(12):
        heading = rng.uniform(-math.pi, math.pi)
        x, y = here.x + stride * math.cos(heading), here.y + stride * math.sin(heading)
        step = nav.try_step(here, Pose(x, y, 0, heading))
        moved = math.hypot(step.pose.x - here.x, step.pose.y - here.y)
        assert moved <= 1.01 * stride + 1e-4 and step.pose.yaw == heading
        if not step.contact:
            assert moved == pytest.approx(stride)
            way = nav.geodesic(here.position, step.pose.position[None])
            straight = math.dist(way.path[0], way.path[-1])
            assert way.distance == pytest.approx(straight, rel=0.01, abs=1e-3), "what is free is also near"
        here = step.pose
        assert obstacles.distance(here.position[None])[0] > 0.2 - 1e-5
        assert nav.component(here.position[None])[0] == island


@pytest.mark.parametrize("degrees", [10, 30, 45, 60, 75])
def test_sliding_keeps_moving_along_a_wall(degrees: float) -> None:
    """Driving straight at a board turned by `degrees` from the way leaves its component along the board."""
    angle = math.radians(degrees)
    c, s = math.cos(angle), math.sin(angle)
    nav = navigation(floor(0, 0, 12, 12) + sheet(6 - 5 * c, 6 - 5 * s, 6 + 5 * c, 6 + 5 * s))
    here = Pose(6 - 0.22 * s - 2 * c, 6 + 0.22 * c - 2 * s, 0, 0.0)
    start = here
    contacts = 0
    for _ in range(40):
        step = nav.try_step(here, Pose(here.x + 0.05, here.y, 0, 0.0))
        here, contacts = step.pose, contacts + step.contact
    along = (here.x - start.x) * c + (here.y - start.y) * s
    assert contacts > 20
    assert along == pytest.approx(2.0 * c, rel=0.25)


def test_driving_head_on_stops_at_the_radius() -> None:
    nav = navigation(room(4, 3))
    step = nav.try_step(pose(1, 1.5), pose(9, 1.5))
    assert step.contact and step.pose.x == pytest.approx(3.8, abs=1e-3) and step.pose.y == pytest.approx(1.5, abs=1e-3)
    stay = nav.try_step(step.pose, step.pose)
    assert not stay.contact and stay.pose == step.pose
    corner = nav.try_step(pose(1, 1.5), pose(9, 9))
    assert corner.pose.x == pytest.approx(3.8, abs=0.01) and corner.pose.y == pytest.approx(2.8, abs=0.01)


def test_a_start_off_the_floor_is_moved_onto_it() -> None:
    nav = navigation(room(4, 3))
    step = nav.try_step(pose(0.1, 1.5), pose(0.3, 1.5))
    assert step.pose.x == pytest.approx(0.3)
    assert nav.snap(np.array([-0.05, 1.5, 0.3])) == pytest.approx([0.2, 1.5, 0], abs=0.05)
    assert nav.snap(np.array([-3.0, 1.5, 0.0])) is None
    with pytest.raises(SimulatorError, match="from any navigable floor"):
        nav.try_step(pose(-5, 1), pose(1, 1))
    assert nav.geodesic(at(-5, 1)[0], at(1, 1)).goal == -1
    way = nav.geodesic(at(0, 1.5)[0], at(4.1, 1.5))
    assert way.distance == pytest.approx(3.6, abs=0.1)


# Maps and bad input


@pytest.mark.parametrize("resolution", [0.03, 0.05, 0.1, 0.25])
def test_centres_of_free_cells_are_navigable(resolution: float) -> None:
    nav = navigation(furnished(2))
    plan = nav.top_down(resolution)
    cells = np.argwhere(plan.grid == TopDown.FREE)
    points = np.column_stack([plan.centres(cells), np.zeros(len(cells))])
    assert nav.is_navigable(points).all()
    assert np.array_equal(plan.cells(points), cells)
    assert len(cells) * resolution**2 == pytest.approx(nav.navigable_area, rel=0.1)
    outside = navigation(floor(0, 0, 2, 2) + floor(4, 0, 6, 2)).top_down(resolution)
    row, column = outside.cells(at(3, 1))[0]
    assert outside.grid[row, column] == TopDown.OUTSIDE
    row, column = outside.cells(at(0.06, 1))[0]
    assert outside.grid[row, column] == TopDown.OBSTACLE


def test_a_scene_without_room_for_the_robot_is_refused() -> None:
    for quads in (box(0, 0, 0, 0.3, 0.3, 1), sheet(0, 0, 4, 0), room(0.3, 3)):
        with pytest.raises(SceneError, match=r"radius 0\.2 m and height 0\.4 m"):
            navigation(quads)
    with pytest.raises(SceneError, match="no triangles"):
        navigation([])
    broken = mesh_of(room(4, 3))
    broken.vertices[3] = np.nan
    with pytest.raises(SceneError, match="not finite"):
        Navigation(broken, SMALL)


def test_a_robot_larger_than_every_door_has_an_island_per_room() -> None:
    quads = room(8, 4) + box(3.95, -0.05, 0, 4.05, 1.7, 2.5) + box(3.95, 2.3, 0, 4.05, 4.05, 2.5)
    assert math.isfinite(navigation(quads).geodesic(at(1, 2)[0], at(7, 2)).distance)
    large = navigation(quads, Footprint(0.4, 0.5))
    assert sorted(large.component(at(1, 2, 7, 2)).tolist()) == [0, 1]


@pytest.mark.parametrize("bad", [np.array([np.nan, 0, 0]), np.array([0, np.inf, 0]), np.zeros(2), np.zeros((2, 2))])
def test_bad_points_are_refused(bad: np.ndarray) -> None:
    nav = navigation(room(4, 3))
    calls = (nav.snap, nav.clearance, nav.is_navigable, nav.component, lambda p: nav.geodesic(p, at(1, 1)),
             lambda p: nav.geodesic(at(1, 1)[0], p))
    for call in calls:
        with pytest.raises(SimulatorError):
            call(bad)
    assert nav.geodesic(at(1, 1)[0], np.empty((0, 3))).goal == -1
    for resolution in (0.0, -1.0, math.nan, 1e-5):
        with pytest.raises(SimulatorError):
            nav.top_down(resolution)


def test_a_large_scene_gets_a_coarser_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_envs.navigation.heightfield.MAX_CELLS", 10_000)
    nav = navigation(floor(0, 0, 30, 30), SMALL, 0.05)
    assert 0.3 < nav.cell < 0.5 and nav.navigable_area == pytest.approx(29.6**2, rel=0.03)


def test_a_step_is_cheap_and_so_is_asking_the_way_again() -> None:
    nav = navigation(serpentine(7))
    here, there, goal = pose(0.5, 0.5), pose(0.55, 0.52), at(4.5, 6.5)
    nav.try_step(here, there), nav.geodesic(here.position, goal)

    def best(call: object, repeats: int) -> float:
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            call()  # type: ignore[operator]
            times.append(time.perf_counter() - begin)
        return min(times)

    assert best(lambda: nav.try_step(here, there), 200) < 60e-6
    assert best(lambda: nav.geodesic(here.position, goal), 50) < 10e-3

"""Cities: the same from the same seed, as large as asked, crossable on small wheels, and recognisable by category."""

from __future__ import annotations

import math
import time
from collections import Counter

import cv2
import numpy as np
import pytest

from nav_foundation.robot import Footprint
from sim_envs.mesh import SceneMesh
from sim_envs.navigation import Navigation
from sim_envs.scenes.cities.city import build_city
from sim_envs.scenes.cities.plan import draw_plan
from sim_envs.scenes.people import GAIT_PHASES, person_mesh
from sim_envs.simulator import Instance, Mover, Pose, SceneError

SMALL_WHEELS = Footprint(radius=0.18, height=0.40, step_height=0.02, max_slope=0.17)
WIDE_WHEELS = Footprint(radius=0.33, height=0.45, step_height=0.05, max_slope=0.35)
FURNITURE = {"car", "tree", "bench", "trash bin", "street lamp", "bus stop", "fire hydrant", "mailbox", "traffic light"}
SIZE = 150.0  # m, of the city most tests look at
STRUCTURE = {"building", "road", "pavement", "crossing"}


@pytest.fixture(scope="module")
def city() -> SceneMesh:
    return build_city(3, SIZE)


@pytest.fixture(scope="module")
def navigation(city: SceneMesh) -> Navigation:
    return Navigation(city, SMALL_WHEELS)


def of(mesh: SceneMesh, *categories: str) -> list[Instance]:
    return [thing for thing in mesh.instances if thing.category in categories]


def inside(outline: np.ndarray, point: np.ndarray) -> float:
    """Metres from a point to the outline, positive inside."""
    return float(cv2.pointPolygonTest(outline.astype(np.float32), (float(point[0]), float(point[1])), True))


def same(a: SceneMesh, b: SceneMesh) -> bool:
    arrays = ("vertices", "faces", "uv", "material", "instance")
    return len(a.faces) == len(b.faces) and all(np.array_equal(getattr(a, n), getattr(b, n)) for n in arrays)


def test_same_seed_same_city_other_seed_other_city(city: SceneMesh) -> None:
    again = build_city(3, SIZE)
    assert same(city, again)
    pictures = [(m.texture, n.texture) for m, n in zip(city.materials, again.materials, strict=True)]
    assert all((p is None and q is None) or np.array_equal(p, q) for p, q in pictures)
    assert city.light == again.light
    assert not same(city, build_city(4, SIZE))


def test_a_very_large_seed_works() -> None:
    assert not same(build_city((2 << 48) + 5, 90), build_city(5, 90))


@pytest.mark.parametrize("size", [90.0, 200.0, 260.0])
def test_size_is_honoured(size: float) -> None:
    vertices = build_city(1, size).vertices
    assert np.allclose(vertices[:, :2].min(axis=0), -size / 2, atol=1.0)
    assert np.allclose(vertices[:, :2].max(axis=0), size / 2, atol=1.0)


@pytest.mark.parametrize("size", [0.0, 20.0, -5.0, math.nan, math.inf, 1e6])
def test_impossible_sizes_are_refused(size: float) -> None:
    with pytest.raises(SceneError, match="give a size of 90 to 2000 m"):
        build_city(1, size)


def test_categories_and_instances(city: SceneMesh) -> None:
    counts = Counter(thing.category for thing in city.instances)
    assert set(counts) >= STRUCTURE | {"car", "tree", "street lamp", "bench", "trash bin"}
    assert set.union(*(set(Counter(t.category for t in build_city(seed).instances)) for seed in range(4))) >= FURNITURE
    assert {t.category for t in city.instances if not t.is_object} >= STRUCTURE
    assert all(t.is_object for t in of(city, *FURNITURE))
    assert np.isin(np.unique(city.instance), [0, *(t.id for t in city.instances)]).all()
    for thing in city.instances[::7]:
        corners = city.triangles[city.instance == thing.id].reshape(-1, 3)
        assert (corners[:, 2].min(), corners[:, 2].max()) == pytest.approx((thing.bottom, thing.top), abs=1e-4)
        assert min(inside(thing.outline, point) for point in corners[::17]) > -0.02
        assert thing.room < len(city.rooms)


def test_bounds_of_time_and_triangles() -> None:
    build_city(0)  # whatever is compiled or cached
    start = time.process_time()
    counts = [len(build_city(seed).faces) for seed in (11, 12, 13)]
    assert (time.process_time() - start) / 3 < 2.0
    assert max(counts) < 250_000
    assert min(counts) > 30_000


def test_no_triangle_without_area_or_number(city: SceneMesh) -> None:
    corners = city.triangles.astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    assert np.isfinite(city.vertices).all()
    assert np.isfinite(city.uv).all()
    assert np.quantile(area, 0.001) > 1e-7


def test_roads_face_up(city: SceneMesh) -> None:
    roads = np.isin(city.instance, [thing.id for thing in of(city, "road", "crossing")])
    corners = city.triangles[roads].astype(np.float64)
    up = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert (up > 0).all()
    assert (corners[..., 2] == 0.0).all()


def test_nothing_stands_on_crossings(city: SceneMesh) -> None:
    crossings = of(city, "crossing")
    for thing in of(city, *FURNITURE, "planter", "bicycle rack", "parking meter"):
        for crossing in crossings:
            if np.linalg.norm(crossing.centre - thing.centre) < 12.0:
                assert inside(crossing.outline, thing.centre) < 0.0, (thing.category, thing.centre)


def test_things_stand_apart(city: SceneMesh) -> None:
    things = of(city, "car", "bench", "trash bin", "fire hydrant", "mailbox", "bus stop", "bicycle rack")
    for k, thing in enumerate(things):
        for other in things[k + 1 :]:
            if np.linalg.norm(thing.centre - other.centre) < 6.0:
                assert all(inside(thing.outline, point) < 0.05 for point in other.outline), (thing, other)


def test_every_crossing_and_pavement_is_reached_on_small_wheels(city: SceneMesh, navigation: Navigation) -> None:
    middles = np.array([[*thing.centre, 0.0] for thing in of(city, "crossing")])
    assert (navigation.component(middles) == 0).all()
    reached = []
    for thing in of(city, "pavement"):
        z = 0.11
        rows = np.linspace(0.1, 0.9, 9)[:, None] * (thing.outline.max(axis=0) - thing.outline.min(axis=0))
        spots = np.array([[*point, z] for point in thing.outline.min(axis=0) + rows] + [[*thing.centre, z]])
        reached.append((navigation.component(spots) == 0).any())
    assert np.mean(reached) > 0.95


def test_way_over_a_crossing_is_short_and_a_kerb_is_not_climbed(city: SceneMesh, navigation: Navigation) -> None:
    """From pavement to pavement over a crossing by the ramps; half way between crossings the kerb holds."""
    tried = 0
    for crossing in of(city, "crossing")[:12]:
        axis = crossing.outline - crossing.centre
        ahead = np.linalg.svd(axis - axis.mean(axis=0))[2][0]  # the longer way of the crossing runs from kerb to kerb
        half = np.abs(axis @ ahead).max()
        ends = [np.array([*(crossing.centre + side * (half + 1.75) * ahead), 0.11]) for side in (-1, 1)]
        if half < 2.0 or (navigation.component(np.array(ends)) != 0).any():
            continue
        way = navigation.geodesic(ends[0], ends[1][None])
        assert way.distance < 1.15 * math.dist(ends[0], ends[1])
        tried += 1
    assert tried >= 6
    kerb_heights = city.triangles[np.isin(city.instance, [t.id for t in of(city, "pavement")])][..., 2]
    assert kerb_heights.max() == pytest.approx(0.11, abs=1e-6)
    assert navigation.geodesic(np.array([0.0, 0, 0]), np.zeros((1, 3))).distance < math.inf


def test_small_wheels_do_not_climb_the_kerb(city: SceneMesh, navigation: Navigation) -> None:
    rng = np.random.default_rng(0)
    heights = []
    for _ in range(300):
        point = navigation.sample_navigable(rng)
        yaw = rng.uniform(-math.pi, math.pi)
        pose = Pose(*point, yaw)
        for _ in range(40):
            ahead = Pose(pose.x + 0.05 * math.cos(yaw), pose.y + 0.05 * math.sin(yaw), pose.z, yaw)
            step = navigation.try_step(pose, ahead)
            heights.append(abs(step.pose.z - pose.z) - 0.14 * math.dist((step.pose.x, step.pose.y), (pose.x, pose.y)))
            pose = step.pose
    assert max(heights) < 0.03


@pytest.mark.parametrize(("seed", "size"), [(20, 120), (27, 90)])
def test_roofs_and_the_insides_of_buildings_are_no_place_to_be(seed: int, size: float) -> None:
    mesh = build_city(seed, size)
    navigation = Navigation(mesh, SMALL_WHEELS)
    for building in of(mesh, "building"):
        heights = mesh.triangles[mesh.instance == building.id][..., 2]
        spots = np.array([[*building.centre, z] for z in np.unique(heights.round(2))])
        assert (navigation.component(spots) == -1).all()


def test_wide_robots_pass_everywhere_too(city: SceneMesh) -> None:
    wide = Navigation(city, WIDE_WHEELS)
    middles = np.array([[*thing.centre, 0.0] for thing in of(city, "crossing")])
    assert (wide.component(middles) == 0).all()


def test_the_city_is_closed(city: SceneMesh, navigation: Navigation) -> None:
    rng = np.random.default_rng(1)
    points = np.array([navigation.sample_navigable(rng) for _ in range(500)])
    assert np.abs(points[:, :2]).max() < SIZE / 2 - 10.0
    assert points[:, 2].max() < 0.13


def test_streets_are_no_plain_grid() -> None:
    plan = draw_plan(1000.0, np.random.default_rng(0))
    widths = [block.box[2] - block.box[0] for block in plan.blocks]
    full = (len(plan.along_y) - 1) * (len(plan.along_x) - 1)
    assert max(widths) > 2 * min(widths)
    assert len(plan.blocks) < full
    assert {block.kind for block in plan.blocks} == {"terrace", "houses", "tower", "park", "square"}
    straight = np.column_stack([np.full(200, 60.0), np.linspace(-450, 450, 200)])
    assert np.ptp(plan.bend(straight)[:, 0]) > 4.0


def test_bend_keeps_the_rim_and_turns_things_with_the_street() -> None:
    bend = draw_plan(200.0, np.random.default_rng(0)).bend
    rim = np.array([[-100.0, 13.0], [100.0, -40.0]])
    assert np.allclose(bend(rim)[:, 0], rim[:, 0])
    x, y, yaw = bend.place((20.0, -30.0), math.pi / 2)
    ahead = bend(np.array([20.0, -29.9])) - (x, y)
    assert math.atan2(ahead[1], ahead[0]) == pytest.approx(yaw, abs=0.01)


@pytest.mark.slow
def test_a_square_kilometre() -> None:
    start = time.process_time()
    mesh = build_city(0, 1000.0)
    assert time.process_time() - start < 12.0  # about 4 s on an idle machine
    assert len(mesh.faces) < 1_500_000
    assert np.allclose(np.ptp(mesh.vertices[:, :2], axis=0), 1000.0, atol=2.0)
    assert len(of(mesh, "building")) > 1000


# -- people ----------------------------------------------------------------------------------------------------------


def test_people_stand_on_the_floor_and_fit_their_cylinder() -> None:
    for look in range(0, 40 * GAIT_PHASES, 5):
        points = person_mesh(Mover(Pose(0, 0, 0, 0), look=look)).triangles.reshape(-1, 3)
        assert points[:, 2].min() == pytest.approx(0.0, abs=1e-6)
        assert 1.55 < points[:, 2].max() < 1.75
        assert np.hypot(points[:, 0], points[:, 1]).max() < 0.39  # a swinging foot reaches out


def test_people_are_placed_turned_and_scaled() -> None:
    plain = person_mesh(Mover(Pose(0, 0, 0, 0), look=21))
    moved = person_mesh(Mover(Pose(3, -2, 0.5, math.pi / 2), radius=0.5, height=3.4, look=21))
    x, y, z = np.moveaxis(plain.triangles.astype(np.float64), -1, 0)
    assert np.allclose(moved.triangles, np.stack([3 - 2 * y, -2 + 2 * x, 0.5 + 2 * z], axis=-1), atol=1e-5)
    assert np.array_equal(plain.colours, moved.colours)


def test_looks_differ_by_person_and_by_phase() -> None:
    def figure(look: int) -> tuple[bytes, bytes]:
        person = person_mesh(Mover(Pose(0, 0, 0, 0), look=look))
        assert 150 <= len(person.triangles) <= 500
        return person.triangles.tobytes(), person.colours.tobytes()

    walk = [figure(3 * GAIT_PHASES + phase) for phase in range(GAIT_PHASES)]
    assert len({shape for shape, _ in walk}) == GAIT_PHASES
    assert len({colours for _, colours in walk}) == 1
    assert len({figure(person * GAIT_PHASES)[1] for person in range(30)}) > 25
    assert figure(37) == figure(37)

"""The embedded simulator through its port: scenes, movers, and what it answers to misuse."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nav_foundation.robot import CameraSpec, Footprint
from sim_envs.embedded import simulator as embedded
from sim_envs.embedded.simulator import MOVER, EmbeddedSimulator, _until_contact
from sim_envs.mesh import SceneMesh
from sim_envs.simulator import Mover, Pose, SceneError, SceneRef, SimulatorError
from tests import room_scenes

FOOTPRINT = Footprint(radius=0.2, height=1.0)
CAMERA = CameraSpec(64, 48, 0.9, hfov_deg=79.0)
HERE = Pose(-2.0, -1.0, 0.0, 0.0)


@pytest.fixture
def simulator() -> EmbeddedSimulator:
    simulator = EmbeddedSimulator()
    simulator.load_mesh(room_scenes.furnished_room(), FOOTPRINT)
    return simulator


def test_the_scene_is_described(simulator: EmbeddedSimulator) -> None:
    info = simulator.load_mesh(room_scenes.empty_room(), FOOTPRINT)
    np.testing.assert_allclose(info.lower, room_scenes.LOWER)
    np.testing.assert_allclose(info.upper, room_scenes.UPPER)
    assert info.navigable_area == pytest.approx((8 - 0.4) * (6 - 0.4), rel=0.05)
    wide = simulator.load_mesh(room_scenes.empty_room(), replace(FOOTPRINT, radius=0.5))
    assert wide.navigable_area == pytest.approx(7 * 5, rel=0.05)


def test_vertices_without_faces_do_not_widen_the_scene(simulator: EmbeddedSimulator) -> None:
    room = room_scenes.empty_room()
    stray = np.array([[900.0, 0.0, 0.0], [np.nan] * 3], np.float32)
    info = simulator.load_mesh(replace(room, vertices=np.concatenate([room.vertices, stray])), FOOTPRINT)
    np.testing.assert_allclose(info.upper, room_scenes.UPPER)


def test_reloading_the_current_scene_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[SceneRef] = []

    def build(scene: SceneRef) -> SceneMesh:
        built.append(scene)
        return room_scenes.empty_room()

    monkeypatch.setattr(embedded, "build_mesh", build)
    simulator, first, second = EmbeddedSimulator(), SceneRef("house", 1), SceneRef("house", 2)
    info = simulator.load(first, FOOTPRINT)
    simulator.set_movers([Mover(Pose(0.0, 0.0, 0.0, 0.0))])
    assert simulator.load(first, FOOTPRINT) is info
    assert (simulator.render([HERE], [CAMERA], semantic=True).semantic != MOVER).all()  # a load clears the scene
    narrower = simulator.load(first, replace(FOOTPRINT, radius=0.5))
    assert narrower.navigable_area < info.navigable_area
    assert built == [first]
    assert simulator.load(second, FOOTPRINT).ref == second
    assert built == [first, second]


def test_a_person_is_seen_where_it_stands_and_gone_when_taken_away(simulator: EmbeddedSimulator) -> None:
    before = simulator.render([HERE], [CAMERA], depth=True, semantic=True)
    simulator.set_movers([Mover(Pose(0.0, -1.0, 0.0, 1.0))])
    during = simulator.render([HERE], [CAMERA], depth=True, semantic=True)
    simulator.set_movers([])
    after = simulator.render([HERE], [CAMERA], depth=True, semantic=True)
    assert before.rgb is not None and during.rgb is not None and after.rgb is not None
    assert before.depth is not None and during.depth is not None
    assert during.semantic is not None and before.semantic is not None
    person = during.semantic[0] == MOVER
    columns, rows = np.nonzero(person.any(axis=0))[0], np.nonzero(person.any(axis=1))[0]
    focal = 32 / math.tan(math.radians(79 / 2))
    assert columns.mean() == pytest.approx(31.5, abs=2.5)  # straight ahead
    assert rows.max() == pytest.approx(23.5 + focal * 0.9 / 2.0, abs=3.0)  # feet on the floor, 2 m away
    assert rows.min() == pytest.approx(23.5 - focal * 0.8 / 2.0, abs=3.0)  # 1.7 m tall
    assert np.abs(during.depth[0][person] - 2.0).max() < 0.5
    np.testing.assert_array_equal(during.depth[0][~person], before.depth[0][~person])
    np.testing.assert_array_equal(during.rgb[0][~person], before.rgb[0][~person])
    np.testing.assert_array_equal(after.rgb, before.rgb)


def test_a_person_behind_the_table_is_hidden_by_it(simulator: EmbeddedSimulator) -> None:
    simulator.set_movers([Mover(Pose(3.4, 0.5, 0.0, 0.0))])
    seen = simulator.render([Pose(0.0, 0.5, 0.0, 0.0)], [CAMERA], rgb=False, semantic=True).semantic
    assert seen is not None
    column = seen[0, :, 31]
    assert (column == MOVER).any() and (column == room_scenes.TABLE).any()
    table_top = np.nonzero(column == room_scenes.TABLE)[0].min()
    assert (column[:table_top] == MOVER).any()


def test_where_a_person_faces_is_seen(simulator: EmbeddedSimulator) -> None:
    """Turning person and camera together about the person must show the same silhouette."""
    simulator.load_mesh(room_scenes.empty_room(), FOOTPRINT)
    masks = []
    for turn in (0.0, 1.1, -2.3):
        simulator.set_movers([Mover(Pose(0.3, 0.2, 0.0, 0.7 + turn))])
        eye = Pose(0.3 - 1.8 * math.cos(turn), 0.2 - 1.8 * math.sin(turn), 0.0, turn)
        semantic = simulator.render([eye], [CAMERA], rgb=False, semantic=True).semantic
        assert semantic is not None
        masks.append(semantic[0] == MOVER)
    assert masks[0].sum() > 80
    assert all((mask != masks[0]).sum() <= 3 for mask in masks)


def test_the_robot_stops_before_a_person(simulator: EmbeddedSimulator) -> None:
    person = Mover(Pose(0.0, -1.0, 0.0, 0.0), radius=0.3)
    simulator.set_movers([person])
    step = simulator.try_step(HERE, Pose(1.0, -1.0, 0.0, 0.4))
    assert step.contact
    assert step.pose.x == pytest.approx(-0.5, abs=0.01) and step.pose.y == pytest.approx(-1.0, abs=0.01)
    assert step.pose.yaw == 0.4
    away = simulator.try_step(step.pose, HERE)
    assert not away.contact and away.pose.x == pytest.approx(-2.0, abs=0.01)
    past = simulator.try_step(Pose(-2.0, -1.6, 0.0, 0.0), Pose(1.0, -1.6, 0.0, 0.0))
    assert not past.contact and past.pose.x == pytest.approx(1.0, abs=0.01)
    simulator.set_movers([])
    assert not simulator.try_step(HERE, Pose(1.0, -1.0, 0.0, 0.0)).contact


def test_until_contact_of_circles() -> None:
    assert _until_contact(-2.0, 0.0, 4.0, 0.0, 0.5) == pytest.approx(1.5 / 4.0)
    assert _until_contact(-2.0, 0.6, 4.0, 0.0, 0.5) == 1.0  # passes by
    assert _until_contact(-2.0, 0.3, 4.0, 0.0, 0.5) == pytest.approx((2.0 - 0.4) / 4.0)  # 3-4-5
    assert _until_contact(-2.0, 0.0, 1.0, 0.0, 0.5) == 1.0  # ends before
    assert _until_contact(0.2, 0.0, 1.0, 0.0, 0.5) == 1.0  # inside, leaving
    assert _until_contact(0.2, 0.0, -1.0, 0.0, 0.5) == 0.0  # inside, going deeper
    assert _until_contact(0.2, 0.0, 0.0, 0.0, 0.5) == 1.0  # turning on the spot


def test_calls_before_load_say_so() -> None:
    simulator = EmbeddedSimulator()
    for call in (
        lambda: simulator.render([HERE], [CAMERA]), lambda: simulator.try_step(HERE, HERE),
        lambda: simulator.snap(HERE.position), lambda: simulator.set_movers([]), lambda: simulator.top_down(0.1),
        lambda: simulator.clearance(HERE.position[None]), lambda: simulator.sample_navigable(np.random.default_rng(0)),
        lambda: simulator.geodesic(HERE.position, HERE.position[None]),
    ):
        with pytest.raises(SimulatorError, match="call load"):
            call()


def test_after_close_nothing_is_loaded(simulator: EmbeddedSimulator) -> None:
    simulator.close()
    with pytest.raises(SimulatorError, match="call load"):
        simulator.render([HERE], [CAMERA])


@pytest.mark.parametrize(("poses", "cameras", "message"), [
    ([], [CAMERA], "no poses"),
    ([HERE] * 3, [CAMERA] * 2, "3 poses and 2 cameras"),
    ([HERE], [], "1 poses and 0 cameras"),
    ([HERE] * 2, [CAMERA, replace(CAMERA, width=32)], "different sizes"),
])
def test_misuse_of_render(
    simulator: EmbeddedSimulator, poses: list[Pose], cameras: list[CameraSpec], message: str,
) -> None:
    with pytest.raises(SimulatorError, match=message):
        simulator.render(poses, cameras)


def test_a_scene_that_cannot_be_loaded_leaves_no_scene(simulator: EmbeddedSimulator) -> None:
    with pytest.raises(SceneError):
        simulator.load(SceneRef("file", path="/nowhere/missing.glb"), FOOTPRINT)
    simulator.render([HERE], [CAMERA])  # the former scene stands as long as the new one was not even read
    with pytest.raises(SimulatorError):
        simulator.load_mesh(room_scenes.furnished_room(), Footprint(radius=4.5, height=1.0))
    with pytest.raises(SimulatorError, match="call load"):
        simulator.render([HERE], [CAMERA])
    simulator.load_mesh(room_scenes.furnished_room(), FOOTPRINT)
    simulator.render([HERE], [CAMERA])

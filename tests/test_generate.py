"""Generated episodes: deterministic, solvable, of the distance and kind that was asked for."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from fake_house import ROBOT, FakeHouse
from open_field import OpenField
from test_habitat_files import same

from nav_foundation.camera import rays
from nav_foundation.geometry import path_length
from nav_foundation.robot import CameraSpec, load_robot
from sim_envs.coverage import Coverage
from sim_envs.embedded import EmbeddedSimulator
from sim_envs.scenes.splits import scene_refs
from sim_envs.simulator import Pose, SceneRef
from sim_envs.tasks.episode import SUCCESS_RADIUS, TASKS, VARIANTS, Episode, EpisodeError
from sim_envs.tasks.generate import generate_episode, generate_episodes
from sim_envs.tasks.habitat_files import load_episodes, save_episodes
from sim_envs.tasks.object_goals import view_points
from sim_envs.tasks.rooms import distances_to, room_at
from sim_envs.tasks.site import Site, heading_along, smaller_camera, view_overlap

SCENES = [SceneRef("house", 1), SceneRef("house", 2)]
CASES = [(task, variant) for task in TASKS for variant in VARIANTS[task] or ("",) if task != "explore"]


@pytest.fixture(scope="module")
def house() -> FakeHouse:
    return FakeHouse()


@pytest.fixture(scope="module")
def made(house) -> dict[tuple[str, str], list[Episode]]:
    return {case: generate_episodes(house, ROBOT, *case, SCENES, 6, seed=5) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_episodes_can_be_solved_and_are_not_solved_yet(house, made, case):
    for episode in made[case]:
        assert episode.task == case[0] and episode.variant == case[1]
        way = house.geodesic(episode.start.position, episode.goals)
        assert way.distance == pytest.approx(episode.geodesic_distance)
        assert math.isfinite(way.distance) and way.distance >= SUCCESS_RADIUS[case[0]] + 0.5
        ends = np.array([episode.start.position, episode.goals[way.goal]])
        assert (house.clearance(ends) >= ROBOT.footprint.radius).all()
        assert -math.pi <= episode.start.yaw <= math.pi


def test_episodes_of_a_mesh_do_not_depend_on_where_its_file_lies(house):
    here, there = (
        generate_episode(house, ROBOT, "point-goal", "", SceneRef("file", path=path), 0, seed=5)
        for path in ("room.glb", "/data/scenes/room.glb")
    )
    assert np.array_equal(here.goals, there.goals) and here.start == there.start and here.seed == there.seed


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_an_episode_depends_on_seed_index_and_scene_alone(made, case):
    """One made by itself, by a fresh simulator, is the one made in the middle of many."""
    alone = generate_episode(FakeHouse(), ROBOT, *case, SCENES[1], 3, seed=5)
    assert same(alone, made[case][3])
    other = generate_episode(FakeHouse(), ROBOT, *case, SCENES[1], 3, seed=6)
    assert not same(replace(alone, seed=0), replace(other, seed=0))


def test_episodes_go_round_the_scenes_and_load_each_once(made):
    fresh = FakeHouse()
    episodes = generate_episodes(fresh, ROBOT, "point-goal", "", SCENES, 6, seed=5)
    assert [e.scene for e in episodes] == SCENES * 3
    assert [e.episode_id for e in episodes] == list("012345")
    assert len({(e.start, e.seed) for e in episodes}) == 6


def test_generated_episodes_survive_their_file(made, tmp_path):
    for case, episodes in made.items():
        save_episodes(tmp_path / "e.json.gz", episodes)
        loaded = load_episodes(tmp_path / "e.json.gz", case[0])
        assert all(same(a, b) for a, b in zip(episodes, loaded, strict=True))


def test_distances_asked_for_are_kept(house):
    for low, high in [(2.0, 4.0), (9.0, 12.0)]:
        for episode in generate_episodes(house, ROBOT, "point-goal", "", SCENES[:1], 15, 1, (low, high)):
            assert low <= episode.geodesic_distance <= high


def test_most_ways_to_point_goals_are_not_straight(house):
    episodes = generate_episodes(house, ROBOT, "point-goal", "", SCENES[:1], 60, 1)
    ratios = [e.geodesic_distance / math.dist(e.start.position, e.goals[0]) for e in episodes]
    assert np.mean(np.array(ratios) > 1.05) > 0.7 and min(ratios) >= 1 - 1e-9


def test_a_route_image_was_taken_along_the_way(house, made):
    for episode in made["image-goal", "route"]:
        path = house.geodesic(episode.start.position, episode.goals).path
        assert episode.goal_yaw == pytest.approx(heading_along(path, path_length(path)), abs=1e-6)
        last = path[-1] - path[-2]
        if np.linalg.norm(last) > 0.6:  # a long last piece is the heading itself
            assert math.isclose(episode.goal_yaw, math.atan2(last[1], last[0]), abs_tol=1e-6)
        assert abs(math.remainder(heading_along(path, 0.0) - episode.start.yaw, math.tau)) < 0.36


def test_a_covisible_goal_can_be_seen_from_the_start(house, made):
    """Some point on the picture of the goal lies in sight of the start: checked ray by ray."""
    for episode in made["image-goal", "covisible"]:
        there = Pose(*episode.goals[0], episode.goal_yaw)
        share = shared_points(house, ROBOT.camera, episode.start, there)
        assert share > 0.15


def shared_points(house: FakeHouse, camera: CameraSpec, here: Pose, there: Pose) -> float:
    """The share of what is seen `there` that lies in the field of view `here` with a free line to it."""
    depth = house.render([there], [camera], depth=True).depth[0]
    directions = rays(camera)[::4, ::4]
    c, s = math.cos(there.yaw), math.sin(there.yaw)
    seen = []
    for row, column in np.ndindex(directions.shape[:2]):
        x, y, z = directions[row, column] / directions[row, column, 2] * depth[4 * row, 4 * column]
        if z > 0:
            seen.append([there.x + c * z + s * x, there.y + s * z - c * x, camera.mount_height - y])
    seen = np.array(seen)
    offset = seen - (here.x, here.y, camera.mount_height)
    c, s = math.cos(here.yaw), math.sin(here.yaw)
    forward, left = offset[:, 0] * c + offset[:, 1] * s, -offset[:, 0] * s + offset[:, 1] * c
    half = math.tan(math.radians(79) / 2)
    inside = (forward > 0) & (np.abs(left) < half * forward) & (np.abs(offset[:, 2]) < half * 0.75 * forward)
    eye = np.array([here.x, here.y, camera.mount_height])
    with np.errstate(divide="ignore", invalid="ignore"):
        t0 = (house.solid_lower - eye) / offset[:, None]
        t1 = (house.solid_upper - eye) / offset[:, None]
    enter, leave = np.minimum(t0, t1).max(axis=2), np.maximum(t0, t1).min(axis=2)
    blocked = ((enter < leave) & (enter > 0) & (enter < 0.98)).any(axis=1)
    return float((inside & ~blocked).mean())


def test_overlap_of_a_view_with_itself_and_with_its_back(house):
    info = house.load(SCENES[0], ROBOT.footprint)
    site = Site(house, ROBOT, info, np.random.default_rng(0))
    here = Pose(2.5, 6.5, 0.0, 0.4)
    assert view_overlap(site, here, here) > 0.98
    assert view_overlap(site, here, Pose(2.5, 6.5, 0.0, 0.4 + math.pi)) == 0.0
    assert view_overlap(site, here, Pose(2.0, 2.5, 0.0, 0.4)) == 0.0  # another room


def test_a_smaller_camera_sees_the_same():
    for camera in (
        CameraSpec(width=640, height=480, mount_height=0.3, fx=500, fy=510, cx=300, cy=250),
        CameraSpec(width=640, height=480, mount_height=0.3, hfov_deg=80),
    ):
        small = smaller_camera(camera, 128)
        assert (small.width, small.height) == (128, 96)
        # A small pixel covers 5 x 5 large ones, whose middle one looks where it does.
        assert np.allclose(rays(small), rays(camera)[2::5, 2::5], atol=1e-9)


@pytest.mark.parametrize("variant", ["any", "visible"])
def test_object_goals_are_reached_within_the_radius_and_in_the_same_room(house, made, variant):
    for episode in made["object-goal", variant]:
        info = house.load(episode.scene, ROBOT.footprint)
        things = {t.id: t for t in info.instances}
        assert {things[i].category for i in episode.object_ids} == {episode.category}
        assert all(things[i].is_object for i in episode.object_ids)
        away = np.array([distances_to(things[i], episode.goals) for i in episode.object_ids])
        assert away.min(axis=0).max() <= 0.86
        rooms = {things[i].room for i in episode.object_ids}
        assert {room_at(info, goal) for goal in episode.goals} <= rooms  # never through a wall
        assert len(np.unique(episode.goals, axis=0)) == len(episode.goals)


def test_a_visible_object_is_in_the_first_picture(house, made):
    for episode in made["object-goal", "visible"]:
        seen = house.render([episode.start], [ROBOT.camera], semantic=True).semantic
        assert np.isin(seen, episode.object_ids).sum() >= 0.005 * 64 * 48


def test_every_thing_of_the_category_counts(house):
    info = house.load(SCENES[0], ROBOT.footprint)
    chairs = [t for t in info.instances if t.category == "chair"]
    _, owners = view_points(house, ROBOT.footprint.radius, info, chairs)
    assert set(owners.tolist()) == {t.id for t in chairs}


def test_a_thing_behind_a_wall_is_not_reached_from_the_other_side(house):
    """The office's bookshelf stands 6 cm from the wall to the living room."""
    info = house.load(SCENES[0], ROBOT.footprint)
    shelf = next(t for t in info.instances if t.category == "bookshelf")
    views, _ = view_points(house, ROBOT.footprint.radius, info, [shelf])
    assert len(views) and views[:, 0].min() > 6.0
    beyond = np.array([[5.7, 7.0, 0.0]])  # free floor within a metre of it, but in the living room
    assert house.clearance(beyond)[0] > 0.2 and distances_to(shelf, beyond)[0] < 0.86


def test_a_tour_is_a_drive_that_passes_the_goal(house, made):
    for episode in made["tour", ""]:
        tour = episode.reference_path
        assert path_length(tour) >= 8.0
        info = house.load(episode.scene, ROBOT.footprint)
        assert len({room_at(info, point) for point in tour}) >= 3
        fine = np.concatenate([np.linspace(a, b, 200) for a, b in pairwise(tour)])
        near = np.linalg.norm(fine - episode.goals[0], axis=1)
        assert near.min() < 0.05
        assert np.linalg.norm(fine - episode.start.position, axis=1).min() < 1.0
        assert (house.clearance(fine) >= ROBOT.footprint.radius - 1e-6).all()


def test_exploring_costs_what_its_drive_costs(house):
    episode = generate_episode(house, ROBOT, "explore", "", SCENES[0], 0, seed=1)
    assert episode.goals.shape == (0, 3) and episode.reference_path is None
    # A house of six rooms takes a drive through most of them, and no room twice over.
    assert 8.0 < episode.geodesic_distance < 60.0
    coverage = Coverage(house.top_down(0.1), episode.start.position, math.radians(79))
    coverage.update(episode.start.x, episode.start.y, episode.start.yaw)
    assert coverage.fraction < 0.8


def test_what_cannot_be_found_is_said(house):
    with pytest.raises(EpisodeError, match=r"house:1: no point goal 40-50 m away was found"):
        generate_episode(house, ROBOT, "point-goal", "", SCENES[0], 0, 0, (40.0, 50.0))
    with pytest.raises(EpisodeError, match=r"no point goal 19-21 m .* the ways there are \d.* to 1\d\.\d m long"):
        generate_episode(house, ROBOT, "point-goal", "", SCENES[0], 0, 0, (19.0, 21.0))
    with pytest.raises(EpisodeError, match="names no objects"):
        generate_episode(OpenField(), ROBOT, "object-goal", "", SCENES[0], 0, 0)
    with pytest.raises(EpisodeError, match="names no objects"):
        generate_episode(OpenField(), ROBOT, "instruction", "", SCENES[0], 0, 0)
    with pytest.raises(EpisodeError, match="could not be seen, or by driving less than 2 m"):
        generate_episode(OpenField(1.5), ROBOT, "explore", "", SCENES[0], 0, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("point-gaol", "", (1, 5)), "did you mean 'point-goal'"),
        (("point-goal", "visible", (1, 5)), "no variant 'visible': it has none"),
        (("image-goal", "roude", None), "use one of route, covisible, any"),
        (("point-goal", "", (5, 1)), "5-1 is no range"),
        (("point-goal", "", (math.nan, 1)), "is no range"),
        (("point-goal", "", (0.1, 0.9)), "must start over 1 m away"),
        (("explore", "", (1, 5)), "takes no distance"),
    ],
)
def test_impossible_wishes_are_refused(house, arguments, words):
    task, variant, distance = arguments
    with pytest.raises(EpisodeError, match=words):
        generate_episode(house, ROBOT, task, variant, SCENES[0], 0, 0, distance)
    with pytest.raises(EpisodeError, match="no scenes"):
        generate_episodes(house, ROBOT, task, variant, [], 1, 0)


@pytest.mark.parametrize(
    "camera",
    [
        CameraSpec(width=64, height=48, mount_height=0.3, hfov_deg=79.0),
        CameraSpec(
            width=80, height=60, mount_height=0.16, pitch=0.21, fx=28.5, fy=28.5, cx=39.5, cy=29.5,
            distortion="equidistant", coefficients=(-0.02, -0.002, 0.0, 0.0),
        ),
    ],
    ids=["pinhole", "fisheye"],
)
def test_a_picture_of_a_near_wall_shows_nothing(house, camera):
    """A fisheye near the ground always sees floor close by: only what lies ahead counts."""
    robot = replace(ROBOT, camera=camera)
    site = Site(house, robot, house.load(SCENES[0], robot.footprint), np.random.default_rng(0))
    assert not site.shows_something(Pose(0.4, 4.8, 0.0, math.pi))
    assert site.shows_something(Pose(0.4, 4.8, 0.0, 0.0))


def test_every_task_in_a_real_house(tmp_path):
    """The same through the embedded simulator: made twice alike, solvable, and equal after a trip to disk."""
    spec, simulator = load_robot("turtlebot"), EmbeddedSimulator()
    [scene] = scene_refs("house", "val", 3, 1)
    made = []
    for task in TASKS:
        for variant in VARIANTS[task] or ("",):
            episode = generate_episode(simulator, spec, task, variant, scene, 0, seed=1)
            made.append(replace(episode, episode_id=f"{task} {variant}"))
            if task != "explore":
                way = simulator.geodesic(episode.start.position, episode.goals)
                assert way.distance == pytest.approx(episode.geodesic_distance, rel=1e-6)
                assert way.distance >= SUCCESS_RADIUS[task] + 0.5
    again = generate_episode(EmbeddedSimulator(), spec, "object-goal", "any", scene, 0, seed=1)
    before = next(e for e in made if e.episode_id == "object-goal any")
    assert same(replace(again, episode_id=before.episode_id), before)
    save_episodes(tmp_path / "e.json.gz", made)
    assert all(same(a, b) for a, b in zip(made, load_episodes(tmp_path / "e.json.gz"), strict=True))

"""The expert to learn from: it sees what a camera sees and no more, and what it says can be driven."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from nav_foundation.geometry import compose, from_frame, resample_path
from nav_foundation.robot import load_robot, shipped_robots
from nav_foundation.types import Observation, Plan, Pose2
from policies.agent import Agent
from sim_envs.collection.disturbances import awkward_start
from sim_envs.collection.embodiments import HELD_OUT, IMAGE_SIZE, random_robot
from sim_envs.collection.expert import ExpertPolicy, Label
from sim_envs.collection.known_floor import KnownFloor
from sim_envs.coverage import Coverage
from sim_envs.dynamics import OdometryDrift
from sim_envs.embedded import EmbeddedSimulator
from sim_envs.rollout import run_episode
from sim_envs.simulator import Pose, SceneRef, TopDown
from sim_envs.tasks.episode import Episode
from sim_envs.tasks.generate import generate_episode
from sim_envs.world import World, WorldSettings

ROBOT = load_robot("turtlebot")
HOUSE = SceneRef("house", 3)


@pytest.fixture(scope="module")
def simulator() -> EmbeddedSimulator:
    made = EmbeddedSimulator()
    made.load(HOUSE, ROBOT.footprint)
    return made


class Run:
    """An episode driven by the expert, and what it said at every frame."""

    def __init__(self, simulator: EmbeddedSimulator, episode: Episode) -> None:
        self.world = World(simulator, ROBOT)
        self.expert = ExpertPolicy(self.world)
        self.labels: list[Label] = []
        self.poses: list[Pose] = []
        self.seen: list[np.ndarray] = []  # floor cells in view so far
        self.ways: list[np.ndarray] = []
        self.trace = run_episode(self.world, Agent(self.expert, ROBOT), episode, self._note)

    def _note(self, observation: Observation, plan: Plan, pose: Pose) -> None:
        self.labels.append(self.expert.label)
        self.poses.append(pose)
        self.seen.append(self.world.coverage.seen.copy())
        self.ways.append(self.expert._path.copy())

    @property
    def known_from(self) -> int | None:
        return next((k for k, label in enumerate(self.labels) if label.goal_known), None)


def far_places(simulator: EmbeddedSimulator, start: np.ndarray, count: int) -> list[np.ndarray]:
    """Places over 6 m of driving away that the straight line does not lead to."""
    rng, places = np.random.default_rng(4), []
    while len(places) < count:
        place = simulator.sample_navigable(rng)
        way = simulator.geodesic(start, place[None])
        if way.distance > 6.0 and way.distance > 1.3 * math.dist(start, place):
            if all(math.dist(place, other) > 3.0 for other in places):
                places.append(place)
    return places


def image_episode(start: Pose, goal: np.ndarray) -> Episode:
    return Episode("x", "image-goal", HOUSE, start, goal[None], 1.0, 1.0, goal_yaw=0.0)


# --- honest eyes --------------------------------------------------------------------------------------------------


def test_before_it_is_seen_the_goal_has_no_part_in_what_the_expert_does(simulator: EmbeddedSimulator) -> None:
    """Two goals out of sight, one start: the drives are the same until one of the goals comes into view."""
    start = Pose.at(simulator.sample_navigable(np.random.default_rng(1)), 0.5)
    first, second = (Run(simulator, image_episode(start, goal)) for goal in far_places(simulator, start.position, 2))
    ends = [len(run.poses) if run.known_from is None else run.known_from for run in (first, second)]
    alike = min(ends)
    assert alike > 15  # they really had to look
    assert first.poses[:alike] == second.poses[:alike]
    for a, b in zip(first.labels[:alike], second.labels[:alike]):
        assert a.goal == b.goal and np.array_equal(a.plan, b.plan)
    assert first.poses[alike:] != second.poses[alike:]
    assert first.trace.stopped and first.trace.distance_to_goal < 1.0


def test_ways_to_a_point_lead_over_floor_that_has_been_in_view(simulator: EmbeddedSimulator) -> None:
    start = Pose.at(simulator.sample_navigable(np.random.default_rng(1)), 0.5)
    goal = far_places(simulator, start.position, 1)[0]
    run = Run(simulator, Episode("x", "point-goal", HOUSE, start, goal[None], 0.5, 1.0))
    plan, free = run.world.coverage.top_down, run.world.coverage.free
    blind = 0
    for pose, seen, way in zip(run.poses, run.seen, run.ways):
        known = plan.centres(np.argwhere(seen))
        for point in way[np.linalg.norm(way[:, :2] - pose.position[:2], axis=1) > 1.0]:
            row, column = plan.cells(point[None])[0]
            blind += bool(free[row, column]) and np.linalg.norm(known - point[:2], axis=1).min() > 0.35
    assert blind == 0
    # An expert with x-ray eyes would have gone there at once.
    shortest = simulator.geodesic(start.position, goal[None])
    first_unseen = ~np.array([run.seen[0][tuple(c)] for c in plan.cells(shortest.path)])
    assert first_unseen.any() and math.dist(run.ways[0][-1][:2], goal[:2]) > 1.0
    assert run.trace.stopped and run.trace.distance_to_goal < 0.5


def test_an_object_in_view_is_known_and_one_behind_walls_is_not(simulator: EmbeddedSimulator) -> None:
    visible = Run(simulator, generate_episode(simulator, ROBOT, "object-goal", "visible", HOUSE, 1, 0))
    assert visible.known_from == 0 and visible.trace.stopped
    hidden = next(
        run for k in range(20)
        if (run := Run(simulator, generate_episode(simulator, ROBOT, "object-goal", "any", HOUSE, k, 0))).known_from
    )
    episode, known = hidden.world.episode, hidden.known_from
    assert known is not None
    for k, expected in ((known - 1, False), (known, True)):  # against the full picture of the robot's own camera
        frames = simulator.render([hidden.poses[k]], [ROBOT.camera], rgb=False, semantic=True)
        assert frames.semantic is not None
        share = max(float((frames.semantic == i).mean()) for i in episode.object_ids)
        assert (share >= 0.0025) if expected else (share < 0.01)


@pytest.mark.parametrize("task", ["tour", "instruction"])
def test_what_was_told_is_known_from_the_start(simulator: EmbeddedSimulator, task: str) -> None:
    run = Run(simulator, generate_episode(simulator, ROBOT, task, "", HOUSE, 2, 0))  # type: ignore[arg-type]
    assert run.known_from == 0 and run.trace.stopped and run.trace.distance_to_goal < 1.0
    if task == "instruction":
        path = run.world.episode.reference_path
        assert path is not None
        described = resample_path(path, 0.05)[:, :2]
        off = [np.linalg.norm(described - pose.position[:2], axis=1).min() for pose in run.poses]
        assert max(off) < 0.4


# --- labels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "variant"), [("image-goal", "route"), ("point-goal", ""), ("object-goal", "visible")])
def test_labels_are_plans_that_can_be_driven_and_distances_that_shrink(
    simulator: EmbeddedSimulator, task: str, variant: str
) -> None:
    run = Run(simulator, generate_episode(simulator, ROBOT, task, variant, HOUSE, 5, 1))  # type: ignore[arg-type]
    known = run.known_from
    assert known is not None and run.trace.stopped
    start = run.poses[0]
    for pose, label in zip(run.poses, run.labels):
        hops = np.linalg.norm(np.diff(label.plan[:, :2], axis=0, prepend=0.0), axis=1)
        assert hops.max() <= ROBOT.step * 1.001  # cruise speed at most
        turns = np.abs(np.diff(np.unwrap(label.plan[:, 2]), prepend=0.0))
        assert turns.max() <= ROBOT.max_angular_speed / ROBOT.frame_rate
        world = from_frame(pose.planar, label.plan[:, :2])
        points = np.column_stack([world, np.full(len(world), pose.z)])
        assert simulator.clearance(points).min() > ROBOT.footprint.radius - 0.05
        goal = compose(start.planar, label.goal)  # no noise: odometry is true, and begins at the start
        assert label.distance >= math.dist((goal.x, goal.y), (pose.x, pose.y)) - 0.02
    distances = np.array([label.distance for label in run.labels])
    straight = [math.dist(run.world.episode.goals[0], pose.position) for pose in run.poses]
    if len(run.world.episode.goals) == 1:
        assert (distances >= np.array(straight) - 0.2).all()  # never less than the crow flies
    window = 10  # frames, 2 s
    later = distances[known:]
    if task != "point-goal" and len(later) > window:
        assert np.mean(later[window:] < later[:-window]) > 0.8
    assert distances[-1] < 0.5


def test_pushed_off_its_way_the_expert_shows_the_way_back(simulator: EmbeddedSimulator) -> None:
    """At the same place but turned by a right angle, the plan turns back to where it led before."""
    episode = generate_episode(simulator, ROBOT, "instruction", "", HOUSE, 2, 0)
    world = World(simulator, ROBOT)
    expert = ExpertPolicy(world)
    for turn in (1.5, -1.5):
        path = episode.reference_path
        assert path is not None
        along = math.atan2(*(path[1] - path[0])[1::-1])
        observation = world.reset(replace(episode, start=Pose.at(episode.start.position, along + turn)))
        expert.reset(ROBOT, world.goal, 0)
        plan = expert.plan(observation, world.goal)
        assert np.sign(plan.waypoints[-1, 2]) == -np.sign(turn) and abs(plan.waypoints[-1, 2] + turn) < 1.0


# --- known floor --------------------------------------------------------------------------------------------------


def grid_of(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grid = np.where(rng.random((18, 22)) < 0.72, TopDown.FREE, TopDown.OBSTACLE).astype(np.uint8)
    grid[9, 9:13] = TopDown.FREE
    return grid


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_distances_over_known_floor_are_the_shortest_on_the_grid(seed: int) -> None:
    plan = TopDown(grid_of(seed), (0.0, 0.0), 0.25)
    here = np.array([10.5, 9.5]) * 0.25
    coverage = Coverage(plan, here, hfov=2.0, range_m=2.0)
    coverage.update(here[0], here[1], 0.3)
    floor = KnownFloor(coverage)
    floor.stand(here)
    cells = [tuple(c) for c in np.argwhere(floor._walkable)]
    number = {cell: k for k, cell in enumerate(cells)}
    edges = [
        (k, number[to], 0.25 * math.hypot(i, j))
        for (r, c), k in number.items() for i in (-1, 0, 1) for j in (-1, 0, 1)
        if (i or j) and (to := (r + i, c + j)) in number and (r + i, c) in number and (r, c + j) in number
    ]
    rows, columns, lengths = zip(*edges) if edges else ((), (), ())
    graph = coo_matrix((lengths, (rows, columns)), shape=(len(cells), len(cells)))
    start = number[tuple(plan.cells(here[None])[0])]
    expected = dijkstra(graph, indices=start)
    places = plan.centres(np.array(cells))
    np.testing.assert_allclose(floor.distances(places), expected, atol=1e-9)
    for place in places[np.isfinite(expected)][::7]:
        way = floor.way_to(place)
        length = np.linalg.norm(np.diff(way, axis=0), axis=1).sum()
        assert length <= floor.distances(place[None])[0] + 0.5
        fine = np.concatenate([np.linspace(a, b, 40) for a, b in pairwise(way)])
        r, c = plan.cells(fine).T
        assert np.mean(floor._walkable[r, c]) > 0.97  # slivers of corners
    assert not np.isfinite(floor.distances(np.array([[-5.0, 0.0], [99.0, 99.0]]))).any()


# --- robots and starts --------------------------------------------------------------------------------------------


def test_random_robots_vary_within_bounds_and_never_are_a_held_out_one() -> None:
    robots = [random_robot(np.random.default_rng([k])) for k in range(300)]
    cameras = [robot.camera for robot in robots]
    assert all(0.15 <= c.mount_height <= 1.3 and -10 <= math.degrees(c.pitch) <= 25 for c in cameras)
    assert all((c.width, c.height) == IMAGE_SIZE for c in cameras)
    assert all(55 <= c.hfov_deg <= 120 for c in cameras if c.hfov_deg is not None)
    assert all(0.2 <= robot.cruise_speed <= 1.2 and robot.frame_rate == 5.0 for robot in robots)
    assert all(robot.footprint.height > robot.camera.mount_height for robot in robots)  # the eye hits nothing
    fisheyes = np.mean([c.distortion == "equidistant" for c in cameras])
    assert 0.1 < fisheyes < 0.3 and np.mean([r.drive == "differential" for r in robots]) > 0.8
    assert np.std([r.cruise_speed for r in robots]) > 0.2 and np.std([c.pitch for c in cameras]) > 0.1
    assert random_robot(np.random.default_rng([5])) == robots[5]
    assert set(HELD_OUT) <= set(shipped_robots())
    for name in HELD_OUT:
        held = load_robot(name)
        assert all(c != held.camera and r.footprint != held.footprint for r, c in zip(robots, cameras))


def test_awkward_starts_face_away_or_stand_beside_something(simulator: EmbeddedSimulator) -> None:
    episode = generate_episode(simulator, ROBOT, "tour", "", HOUSE, 0, 0)
    kinds = set()
    for k in range(12):
        moved = awkward_start(episode, simulator, ROBOT, np.random.default_rng(k)).start
        air = simulator.clearance(moved.position[None])[0] - ROBOT.footprint.radius
        if moved.position.tolist() == episode.start.position.tolist():
            kinds.add("turned")
            assert abs(math.remainder(moved.yaw - episode.start.yaw - math.pi, math.tau)) <= 0.6
        else:
            kinds.add("tight")
            assert -0.01 <= air < 0.12 and math.dist(moved.position, episode.start.position) < 4.0
    assert kinds == {"turned", "tight"}
    told = generate_episode(simulator, ROBOT, "instruction", "", HOUSE, 2, 0)
    assert awkward_start(told, simulator, ROBOT, np.random.default_rng(0)) is told


def test_goals_are_told_in_the_frame_of_drifting_odometry(simulator: EmbeddedSimulator) -> None:
    """The label is where the goal lies as the robot believes, so that frame and label fit together."""
    episode = generate_episode(simulator, ROBOT, "instruction", "", HOUSE, 2, 0)
    world = World(simulator, ROBOT, WorldSettings(noise=True, drift=OdometryDrift(0.2, 0.2)))
    expert, seen = ExpertPolicy(world), []

    def note(observation: Observation, plan: Plan, pose: Pose) -> None:
        assert observation.odometry is not None
        seen.append((expert.label.goal, observation.odometry, world.frame_pose))

    run_episode(world, Agent(expert, ROBOT), episode, note)
    for goal, belief, truth in seen:
        ahead = from_frame(truth.planar, _local(belief, goal))[0]
        assert math.dist(ahead, episode.goals[0, :2]) < 0.1
    drifted = [math.dist((goal.x, goal.y), (seen[0][0].x, seen[0][0].y)) for goal, _, _ in seen]
    assert max(drifted) > 0.1  # the same place, but the frame has drifted


def _local(base: Pose2, goal: Pose2) -> np.ndarray:
    c, s = math.cos(base.yaw), math.sin(base.yaw)
    dx, dy = goal.x - base.x, goal.y - base.y
    return np.array([[c * dx + s * dy, -s * dx + c * dy]])

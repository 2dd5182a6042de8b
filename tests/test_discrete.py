"""Discrete moves: how plans become them, how far they go, and public benchmarks driven by them."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_field import OpenField
from walled_room import write_walled_room

from nav_foundation.cli import main
from nav_foundation.robot import load_robot
from nav_foundation.types import Goal, Observation, Plan
from policies.baselines import BearingPolicy
from policies.moves import DiscreteAgent, Move, MoveChooser, MoveSizes
from policies.policy import Tour
from sim_envs.discrete import make_move, run_discrete
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.habitat_frame import from_habitat, to_habitat, yaw_to_habitat
from sim_envs.habitat_presets import PRESETS
from sim_envs.metrics import judge
from sim_envs.oracle import OraclePolicy
from sim_envs.simulator import Pose, SceneRef
from sim_envs.tasks.episode import Episode
from sim_envs.world import World, WorldSettings

ROBOT = load_robot("turtlebot")
FOREVER = WorldSettings(time_extra=math.inf)
NARROW = MoveSizes(turn=math.radians(10))


def plan(*waypoints: tuple[float, float, float], arrival: float = 0.0) -> Plan:
    return Plan(np.array(waypoints, dtype=np.float64), 0.2, 0, 1.0, arrival=arrival)


def towards(bearing: float, metres: float = 1.0) -> Plan:
    """A straight plan of 8 waypoints to a side, in degrees to the left."""
    angle, along = math.radians(bearing), np.linspace(metres / 8, metres, 8)
    return Plan(np.column_stack([along * math.cos(angle), along * math.sin(angle), np.full(8, angle)]), 0.2, 0, 1.0)


@pytest.mark.parametrize(
    ("bearing", "move"),
    [(0, "forward"), (4, "forward"), (-4, "forward"), (6, "left"), (-6, "right"), (90, "left"), (-170, "right")],
)
def test_a_plan_becomes_the_move_that_follows_it(bearing: float, move: Move) -> None:
    assert MoveChooser(NARROW).choose(towards(bearing)) == move
    assert MoveChooser(NARROW).choose(towards(bearing, 0.2)) == move  # however short


def test_a_plan_on_the_spot_turns_to_its_heading_and_a_wide_curve_is_driven() -> None:
    assert MoveChooser(NARROW).choose(plan((0, 0, 0.1), (0.01, 0, 0.3))) == "left"
    assert MoveChooser(NARROW).choose(plan((0, 0, -0.3))) == "right"
    assert MoveChooser(NARROW).choose(plan((0, 0, 0.0))) == "forward"  # there is no waiting
    assert MoveChooser(NARROW).choose(plan((0.3, 0.0, 0.1), (0.6, 0.4, 1.5))) == "forward"  # it bends later


def test_a_turn_is_not_undone_at_once() -> None:
    chooser = MoveChooser(NARROW)
    assert [chooser.choose(towards(b)) for b in (20, -20, -20)] == ["left", "forward", "right"]
    behind = MoveChooser(NARROW)
    assert [behind.choose(towards(b)) for b in (178, -178, 178, 160)] == ["left"] * 4
    behind.reset()
    assert behind.choose(towards(-178)) == "right"


@given(st.floats(-math.pi, math.pi), st.floats(0.3, 3.0), st.sampled_from([10.0, 15.0, 30.0]))
def test_moves_lead_to_any_place_and_in_few_moves(bearing: float, away: float, turn: float) -> None:
    """Followed by hand on a plane, without the World: a straight plan to a place ends within half a move of it."""
    sizes = MoveSizes(turn=math.radians(turn))
    chooser, x, y, yaw = MoveChooser(sizes), away * math.cos(bearing), away * math.sin(bearing), 0.0
    nearest = away
    straight = abs(bearing) / sizes.turn + away / sizes.forward
    for _ in range(math.ceil(straight) + 24):  # at most a few mends of the course, and turning round once
        left = math.remainder(math.atan2(y, x) - yaw, math.tau)
        move = chooser.choose(towards(math.degrees(left), math.hypot(x, y)))
        if move == "forward":
            x, y = x - 0.25 * math.cos(yaw), y - 0.25 * math.sin(yaw)
            nearest = min(nearest, math.hypot(x, y))
        else:
            yaw += sizes.turn if move == "left" else -sizes.turn
        if nearest <= 0.18:
            break
    assert nearest <= 0.18


def test_moves_are_as_long_as_they_say_and_blocked_ones_slide_or_do_not() -> None:
    world = World(OpenField(), ROBOT, FOREVER)
    wall = 10 - ROBOT.footprint.radius
    episode = Episode("0", "point-goal", SceneRef("house"), Pose(5, 5, 0, 0.3), np.array([[7.0, 5, 0]]), 0.2, 2.0)
    world.reset(episode)
    sizes = MoveSizes(0.25, math.radians(30))
    make_move(world, "left", sizes)
    assert world.pose.yaw == pytest.approx(0.3 + math.radians(30))
    make_move(world, "right", sizes)
    make_move(world, "forward", sizes)
    assert world.pose.position == pytest.approx([5 + 0.25 * math.cos(0.3), 5 + 0.25 * math.sin(0.3), 0])
    ends = {}
    for sliding in (True, False):
        world.reset(replace(episode, start=Pose(wall - 0.1, 5, 0, math.radians(45))))
        make_move(world, "forward", sizes, sliding)
        ends[sliding] = world.pose
        assert world.contacts == 1
    assert ends[False].y == pytest.approx(5.1, abs=0.005) and ends[False].x == pytest.approx(wall, abs=0.005)
    assert ends[True].y > ends[False].y + 0.02  # it went on along the wall


def field_episode(**changes: Any) -> Episode:
    fields: dict[str, Any] = {
        "episode_id": "0", "task": "point-goal", "scene": SceneRef("house"), "start": Pose(2, 5, 0, 2.5),
        "goals": np.array([[7.0, 4.0, 0.0]]), "success_radius": 0.2, "geodesic_distance": math.hypot(5, 1),
    }
    return Episode(**(fields | changes))


@pytest.mark.parametrize("turn", [10.0, 15.0, 30.0])
def test_bearing_arrives_by_moves_alone_and_the_step_limit_holds(turn: float) -> None:
    world, sizes = World(OpenField(), ROBOT, FOREVER), MoveSizes(turn=math.radians(turn))
    agent = DiscreteAgent(BearingPolicy(), ROBOT, sizes)
    trace = run_discrete(world, agent, field_episode(), sizes, 200)
    assert judge(trace).success == 1.0 and judge(trace).spl > 0.85 and trace.closest is None
    assert len(trace.poses) == len(trace.frame_ticks)  # one frame a move; the stop has none
    short = run_discrete(world, agent, field_episode(), sizes, 7)
    assert not short.stopped and len(short.poses) == 1 + 7


class StopsLate:
    """Drives on for good and passes the goal."""

    def reset(self, robot: Any, goal: Goal, seed: int, tour: Tour | None = None) -> None: ...

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        return towards(0)


def test_oracle_success_counts_who_passed_without_stopping() -> None:
    world, sizes = World(OpenField(), ROBOT, FOREVER), MoveSizes()
    agent = DiscreteAgent(StopsLate(), ROBOT, sizes)
    words = {"task": "instruction", "instruction": "Go.", "start": Pose(2, 5, 0, 0), "success_radius": 1.0}
    passed = judge(run_discrete(world, agent, field_episode(**words, goals=np.array([[5.0, 5.5, 0]])), sizes, 40))
    assert (passed.success, passed.oracle_success) == (0.0, 1.0)
    missed = judge(run_discrete(world, agent, field_episode(**words, goals=np.array([[5.0, 6.5, 0]])), sizes, 40))
    assert (missed.success, missed.oracle_success) == (0.0, 0.0)


# --- benchmarks -------------------------------------------------------------------------------------------------------


def test_a_preset_makes_the_benchmarks_robot() -> None:
    robot = PRESETS["habitat/objectnav-hm3d"].robot(ROBOT)
    camera = robot.camera
    assert (camera.width, camera.height, camera.mount_height, camera.hfov_deg) == (640, 480, 0.88, 79.0)
    assert (camera.pitch, camera.mount_forward, robot.footprint.radius) == (0.0, 0.0, 0.18)
    ours = field_episode(task="object-goal", category="chair", object_ids=(4,), success_radius=1.0)
    asked = PRESETS["habitat/objectnav-hm3d"].episode(ours)
    assert (asked.success_radius, asked.object_ids) == (0.1, ())  # from a view point, not from the surface
    for preset in PRESETS.values():
        assert preset.robot(ROBOT) and preset.sizes.forward == 0.25 and preset.source.endswith(".yaml")


def write_public(path: Path, scene: str, start: tuple[float, float], goal: tuple[float, float], **more: Any) -> Path:
    """A public PointNav file with one episode, from world coordinates on the floor; it says no radius."""
    record = {
        "episode_id": "1", "scene_id": scene, "start_position": to_habitat([*start, 0.0]).tolist(),
        "start_rotation": list(yaw_to_habitat(0.5)), "info": {"geodesic_distance": 1.0},
        "goals": [{"position": to_habitat([*goal, 0.0]).tolist(), "radius": None}], **more,
    }
    path.write_bytes(gzip.compress(json.dumps({"episodes": [record]}).encode()))
    return path


# In the room's file y is up and z to the front: its x, z are (-y, -x) of the world, and the box stands beyond the door.
HERE, THERE = from_habitat([2.0, 0.0, 2.6])[:2].tolist(), from_habitat([7.2, 0.0, 1.5])[:2].tolist()


def test_eval_drives_a_public_file_by_the_benchmarks_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_walled_room(tmp_path / "room.obj")
    file = write_public(tmp_path / "val.json.gz", "room.obj", tuple(HERE), tuple(THERE))
    results = tmp_path / "r.json"
    arguments = ["eval", "--preset", "habitat/pointnav-gibson", "--episodes-file", str(file), "--scenes-dir",
                 str(tmp_path), "--workers", "1", "--json", str(results)]
    assert main([*arguments, "--policy", "oracle"]) == 0
    assert "habitat/pointnav-gibson" in capsys.readouterr().out
    data = json.loads(results.read_text())
    [record] = data["per_episode"]
    assert record["success"] == 1.0 and record["spl"] > 0.8 and record["distance_to_goal"] <= 0.2
    assert 5.3 / 0.25 < record["steps"] < 60  # the way is 5.3 m at least; the rest are turns of 10 degrees
    assert data["settings"]["preset"] == "habitat/pointnav-gibson"


def test_the_page_of_habitat_tells_the_numbers_of_every_preset() -> None:
    page = (Path(__file__).parents[1] / "docs" / "habitat.md").read_text()
    for name, p in PRESETS.items():
        assert (
            f"| `{name}` | {p.success_radius:g} m | {p.max_steps} | {p.forward:g} m, {p.turn:g}° | "
            f"{p.width} x {p.height}, {p.hfov:g}° | {p.sensor_height:g} m | "
            f"{p.agent_radius:g} m, {p.agent_height:g} m | {'yes' if p.sliding else 'no'} |\n"
        ) in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preset": "habitat/pointnav-gibsn"}, "did you mean 'habitat/pointnav-gibson'"),
        ({"preset": "habitat/r2r-ce", "policy": "bearing"}, "use it with point-goal"),
        ({"preset": "habitat/r2r-ce", "task": "tour"}, "is a task of instruction"),
        ({"preset": "habitat/r2r-ce", "episodes_file": None}, "says how to drive, not where"),
    ],
)
def test_presets_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EvaluationSettings(**({"episodes_file": Path("val.json.gz")} | changes))


def test_the_oracle_drives_all_tasks_of_presets_by_moves() -> None:
    preset = PRESETS["habitat/imagenav-gibson"]
    robot = preset.robot(ROBOT)
    world = World(OpenField(), robot, FOREVER)
    agent = DiscreteAgent(OraclePolicy(world), robot, preset.sizes)
    episode = preset.episode(field_episode(task="image-goal", goal_yaw=-2.0))
    trace = run_discrete(world, agent, episode, preset.sizes, preset.max_steps)
    assert judge(trace).success == 1.0 and episode.success_radius == 1.0
    assert abs(math.remainder(trace.poses[-1, 3] + 2.0, math.tau)) < math.radians(20)

"""The agent for habitat-lab, driven by a stand-in for `habitat.Env` that computes lab's sensors by quaternions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from walled_room import write_walled_room

from nav_foundation.robot import load_robot
from nav_foundation.types import Goal, ImageGoal, InstructionGoal, ObjectGoal, Observation, Plan, PointGoal
from policies.baselines import BearingPolicy
from policies.policy import Tour
from sim_envs.embedded import EmbeddedSimulator
from sim_envs.habitat_agent import HabitatAgent, LabSettings
from sim_envs.habitat_frame import from_habitat, to_habitat, yaw_to_habitat
from sim_envs.habitat_presets import PRESETS, HabitatPreset
from sim_envs.simulator import Pose, SceneRef


def rotated(quaternion: Any, vector: Any, back: bool = False) -> np.ndarray:
    """A vector turned by a quaternion (x, y, z, w), or turned back."""
    *axis, w = quaternion
    u, v = np.array(axis) * (-1 if back else 1), np.asarray(vector, dtype=np.float64)
    return 2 * (u @ v) * u + (w * w - u @ u) * v + 2 * w * np.cross(u, v)


class LabEnv:
    """What `habitat.Env` is to an agent, on the embedded simulator: moves and sensors in Habitat's own frame."""

    def __init__(self, scene: Path, preset: HabitatPreset, sensors: tuple[str, ...]) -> None:
        self.robot = preset.robot(load_robot("turtlebot"))
        self.preset, self.sensors = preset, sensors
        self.simulator = EmbeddedSimulator()
        self.simulator.load(SceneRef("file", path=str(scene)), self.robot.footprint)

    def reset(self, start: Any, yaw: float, goal: Any) -> dict[str, Any]:
        """`start` and `goal` [3] in Habitat's frame."""
        self.position = self.start = np.asarray(start, dtype=np.float64)
        self.rotation = self.start_rotation = np.array(yaw_to_habitat(yaw))
        self.goal, self.stopped, self.steps = np.asarray(goal, dtype=np.float64), False, 0
        return self.observations()

    def step(self, action: dict[str, str]) -> dict[str, Any]:
        name, self.steps = action["action"], self.steps + 1
        if name == "stop":
            self.stopped = True
        elif name == "move_forward":
            before = self._pose(self.position)
            aim = self._pose(self.position + rotated(self.rotation, [0, 0, -self.preset.forward]))
            self.position = to_habitat(self.simulator.try_step(before, aim).pose.position)
        else:
            half = math.radians(self.preset.turn) / 2 * (1 if name == "turn_left" else -1)
            x, y, z, w = self.rotation  # times a turn about y, which is up
            s, c = math.sin(half), math.cos(half)
            self.rotation = np.array([x * c - z * s, y * c + w * s, z * c + x * s, w * c - y * s])
        return self.observations()

    def _pose(self, position: np.ndarray) -> Pose:
        fx, fy, _ = from_habitat(rotated(self.rotation, [0, 0, -1]))
        return Pose.at(from_habitat(position), math.atan2(fy, fx))

    def observations(self) -> dict[str, Any]:
        frames = self.simulator.render([self._pose(self.position)], [self.robot.camera], depth=True)
        there = rotated(self.rotation, self.goal - self.position, back=True)
        told = rotated(self.start_rotation, self.goal - self.start, back=True)
        moved = rotated(self.start_rotation, self.position - self.start, back=True)
        ahead = rotated(self.rotation, rotated(self.start_rotation, [0, 0, -1]), back=True)
        everything = {
            "pointgoal_with_gps_compass": polar(there), "pointgoal": polar(told),
            "gps": np.array([-moved[2], moved[0]], np.float32),
            "compass": np.array([math.atan2(ahead[0], -ahead[2])], np.float32),
        }
        assert frames.rgb is not None and frames.depth is not None
        seen = {"rgb": frames.rgb[0], "depth": np.clip(frames.depth[0], 0, 10)[..., None] / 10}
        return seen | {name: everything[name] for name in self.sensors}


def polar(vector: np.ndarray) -> np.ndarray:
    """Distance, and bearing that is positive to the left, of a vector in Habitat's camera frame (x right, -z ahead)."""
    return np.array([math.hypot(vector[0], vector[2]), -math.atan2(vector[0], -vector[2])], np.float32)


class Noting:
    """The bearing policy, which keeps what it was shown."""

    def __init__(self) -> None:
        self.inner, self.seen = BearingPolicy(), list[Observation]()
        self.goals: list[Goal] = []

    def reset(self, robot: Any, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        self.goals.append(goal)
        if isinstance(goal, PointGoal):
            self.inner.reset(robot, goal, seed, tour)

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        self.seen.append(observation)
        if isinstance(goal, PointGoal):
            return self.inner.plan(observation, goal)
        return Plan(np.array([[1.0, 0.0, 0.0]]), 0.2, observation.stamp_ns, 1.0)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_walled_room(tmp_path_factory.mktemp("scene") / "room.obj")


@pytest.mark.parametrize("preset", ["habitat/pointnav-gibson", "habitat/pointnav-hm3d"])
@pytest.mark.parametrize("sensors", [("pointgoal_with_gps_compass",), ("pointgoal", "gps", "compass")])
def test_it_drives_to_points_in_habitats_frames(room: Path, preset: str, sensors: tuple[str, ...]) -> None:
    env, policy = LabEnv(room, PRESETS[preset], sensors), Noting()
    agent = HabitatAgent(policy, preset)
    for start, yaw, goal in (
        ([1.0, 0, 1.0], 2.5, [3.0, 0, 5.0]), ([3.2, 0, 5.2], -1.0, [0.8, 0, 0.7]), ([1.0, 0, 2.6], 0.1, [5.0, 0, 2.6]),
    ):
        seen = env.reset(start, yaw, goal)
        agent.reset()
        while not env.stopped and env.steps < 100:
            seen = env.step(agent.act(seen))
        assert env.stopped and np.linalg.norm(env.position - goal) <= 0.2, (start, env.position)
        here = policy.seen[-1].odometry
        moved = rotated(env.start_rotation, env.position - env.start, back=True)
        assert here is not None and (here.x, here.y) == pytest.approx((-moved[2], -moved[0]), abs=1e-4)
    stamps = [observation.stamp_ns for observation in policy.seen[-20:]]
    assert (np.diff(stamps) > 0).all()
    depth = policy.seen[0].depth
    assert depth is not None and depth.shape == (256, 256) and 0.3 < depth[128, 128] < 8.0  # metres again


def test_other_goals_are_read_as_lab_gives_them() -> None:
    rgb = np.full((256, 256, 4), 7, np.uint8)
    for observations, goal in (
        ({"imagegoal": rgb}, ImageGoal), ({"instance_imagegoal": rgb[:64]}, ImageGoal),
        ({"objectgoal": np.array([4])}, ObjectGoal), ({"instruction": {"text": "Go to the tub.", "tokens": [1]}},
                                                      InstructionGoal),
    ):
        policy = Noting()
        settings = LabSettings(categories={"chair": 0, "tv_monitor": 4})
        agent = HabitatAgent(policy, "habitat/objectnav-hm3d", settings=settings)
        assert agent.act({"rgb": rgb, **observations}) == {"action": "move_forward"}
        [told] = policy.goals
        assert isinstance(told, goal) and told.radius == 0.1
        if isinstance(told, ObjectGoal):
            assert told.category == "tv monitor"
        if isinstance(told, InstructionGoal):
            assert told.text == "Go to the tub."
        assert policy.seen[0].rgb.shape == (256, 256, 3) and policy.seen[0].odometry is None
        agent.act({"rgb": rgb, "gps": np.array([1.0, 2.0]), "compass": np.array([0.5]), **observations})
        here = policy.seen[1].odometry
        assert here is not None and (here.x, here.y, here.yaw) == (1.0, -2.0, 0.5)
        assert len(policy.goals) == 1  # once an episode


@pytest.mark.parametrize(
    ("observations", "words"),
    [
        ({"gps": [0, 0]}, r"hold no goal \(gps, rgb\)"), ({"objectgoal": [3]}, "category_to_task_category_id"),
        ({"pointgoal": [1.0, 0.0]}, "gps and compass"), ({"pointgoal": [1.0, 0.0, 0.0]}, "dimensionality to 2"),
    ],
)
def test_what_is_missing_is_told(observations: dict[str, Any], words: str) -> None:
    agent = HabitatAgent(Noting(), "habitat/pointnav-gibson")
    with pytest.raises(ValueError, match=words):
        agent.act({"rgb": np.zeros((256, 256, 3), np.uint8), **observations})
    with pytest.raises(ValueError, match="no 'rgb'"):
        agent.act({"pointgoal_with_gps_compass": [1.0, 0.0]})

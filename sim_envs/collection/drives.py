"""One drive of a collection: a function of the settings and its index alone."""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from nav_foundation.data.images import encode_depth, encode_jpeg
from nav_foundation.data.schema import EpisodeData, EpisodeInfo, Labels, Thing
from nav_foundation.data.units import cruising_step
from nav_foundation.geometry import between
from nav_foundation.robot import RobotSpec, load_robot
from nav_foundation.types import Goal, ImageGoal, Observation, Plan, Pose2, Velocity
from policies.agent import Agent
from policies.policy import Policy, Tour
from sim_envs.collection.disturbances import Pushes, awkward_start
from sim_envs.collection.embodiments import random_robot
from sim_envs.collection.expert import ExpertPolicy, Label
from sim_envs.collection.settings import CollectSettings
from sim_envs.evaluation.evaluate import build_policy
from sim_envs.evaluation.settings import parse_scene
from sim_envs.scenes.splits import scene_refs
from sim_envs.simulator import SceneRef, Simulator, SimulatorError
from sim_envs.tasks.episode import EXPLORED_ENOUGH, VARIANTS, Episode, EpisodeError
from sim_envs.tasks.generate import generate_episode
from sim_envs.workers import tried_again
from sim_envs.world import World, WorldSettings, tour_poses

EPISODES_PER_SCENE = {"house": 8, "city": 40}
EPISODES_PER_ROBOT = 4  # a robot of another size costs a new look at where it fits
LONGEST = 120.0  # s of a drive; exploring alone takes longer
_TIME_FACTOR, _TIME_EXTRA = 8.0, 60.0  # an expert that has to search needs more than one that knows
_ABOUT = 20.0  # m from the drive within which things are told
_TURN = 2.0  # s for which the expert takes over, where it shares the driving
_ROBOT, _EPISODE = 1, 2  # tell the streams of randomness apart

Drive = tuple[EpisodeInfo, EpisodeData]


class Collector:
    """Makes the drive of an index; a text says why there is none."""

    def __init__(self, settings: CollectSettings, simulator: Simulator | None = None) -> None:
        self.settings = settings
        self.simulator = simulator or settings.backend.simulator()
        self._scenes = scenes_of(settings)
        self._named = None if settings.robot == "random" else load_robot(settings.robot)

    def __call__(self, index: int) -> Drive | str:
        scene = scene_at(self._scenes, self.settings, index)
        try:
            return tried_again(lambda: self.drive(index, scene))
        except SimulatorError as error:
            if scene.kind == "file" and not isinstance(error, EpisodeError):
                raise  # there is no other scene to go on with
            return str(error)

    def robot(self, index: int) -> RobotSpec:
        rate = self.settings.frame_rate
        if self._named is not None:
            return replace(self._named, frame_rate=rate)
        number = index // EPISODES_PER_ROBOT
        return random_robot(np.random.default_rng([self.settings.seed, number, _ROBOT]), rate)

    def drive(self, index: int, scene: SceneRef) -> Drive:
        settings, robot = self.settings, self.robot(index)
        rng = np.random.default_rng([settings.seed, index, _EPISODE])
        task = settings.tasks[index % len(settings.tasks)]
        variant = str(rng.choice(VARIANTS[task])) if VARIANTS[task] else ""
        episode = generate_episode(self.simulator, robot, task, variant, scene, index, settings.seed)
        if rng.random() < settings.recovery:
            episode = awkward_start(episode, self.simulator, robot, rng)
        low, high = settings.people
        people = int(rng.integers(low, high + 1))
        conditions = WorldSettings(settings.noise, people, settings.depth, _TIME_FACTOR, _TIME_EXTRA)
        world = World(self.simulator, robot, conditions)
        recorder = Recorder(world, settings, rng)
        recorder.run(episode)
        return recorder.info(index), recorder.data()


def scenes_of(settings: CollectSettings) -> list[SceneRef]:
    """The scenes in turn. A longer collection begins with the drives of a shorter one."""
    if settings.scenes not in ("houses", "city"):
        return [parse_scene(settings.scenes)]
    kind: Literal["house", "city"] = "house" if settings.scenes == "houses" else "city"
    count = math.ceil(settings.episodes / EPISODES_PER_SCENE[kind])
    return scene_refs(kind, settings.split, settings.seed, count)


def scene_at(scenes: list[SceneRef], settings: CollectSettings, index: int) -> SceneRef:
    if settings.scenes not in ("houses", "city"):
        return scenes[0]
    return scenes[index // EPISODES_PER_SCENE[scenes[0].kind]]


class Driver:
    """The Policy that drives: the expert, or a learner whose every frame the expert labels."""

    def __init__(self, world: World, settings: CollectSettings, rng: np.random.Generator) -> None:
        self._expert = ExpertPolicy(world) if settings.policy is None or settings.relabel else None
        self._learner: Policy | None = None if settings.policy is None else build_policy(settings.policy, world)
        self._share, self._rng = settings.expert_share, rng
        self._frames = max(1, round(_TURN * settings.frame_rate))

    @property
    def label(self) -> Label | None:
        return None if self._expert is None else self._expert.label

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        self._frame, self._expert_drives = 0, False
        for policy in (self._expert, self._learner):
            if policy is not None:
                policy.reset(robot, goal, seed, tour)

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        if self._frame % self._frames == 0:
            self._expert_drives = bool(self._rng.random() < self._share)
        self._frame += 1
        best = None if self._expert is None else self._expert.plan(observation, goal)
        own = None if self._learner is None else self._learner.plan(observation, goal)
        plan = own if own is not None and not (self._expert_drives and best is not None) else best
        assert plan is not None
        return plan


class Recorder:
    """Runs an episode and keeps its frames."""

    def __init__(self, world: World, settings: CollectSettings, rng: np.random.Generator) -> None:
        self._world, self._settings = world, settings
        self._driver = Driver(world, settings, rng)
        self._agent = Agent(self._driver, world.robot)
        self._push = Pushes(settings.perturb, world, rng)
        self._observations: list[tuple[int, Pose2]] = []  # stamps and beliefs
        self._images: list[bytes] = []
        self._depth: list[bytes] = []
        self._actions: list[tuple[float, float]] = []
        self._labels: list[Label] = []
        self._truth: list[tuple[float, float, float, float]] = []

    def run(self, episode: Episode) -> None:
        world, agent = self._world, self._agent
        observation = world.reset(episode)
        self._start = world.pose
        agent.reset(world.goal, episode.seed, world.tour)
        ticks = max(1, round(world.robot.control_rate / world.robot.frame_rate))
        while not world.done and world.time < LONGEST:
            plan = agent.plan(observation, world.goal)
            self._keep(observation)
            commands = []
            for _ in range(ticks):
                if agent.arrived and world.at_rest:
                    world.stop()
                if world.done:
                    break
                wanted = agent.command(plan, world.odometry, world.now_ns)
                commands.append(wanted if agent.arrived else self._push(wanted))
                world.tick(commands[-1])
            self._actions.append(_mean(commands))
            if not world.done:
                observation = world.observe()

    def _keep(self, observation: Observation) -> None:
        assert observation.odometry is not None
        self._observations.append((observation.stamp_ns, observation.odometry))
        self._images.append(encode_jpeg(observation.rgb))
        if observation.depth is not None:
            self._depth.append(encode_depth(observation.depth))
        if self._driver.label is not None:
            self._labels.append(self._driver.label)
        pose = self._world.frame_pose
        self._truth.append((pose.x, pose.y, pose.z, pose.yaw))

    def data(self) -> EpisodeData:
        labels = None
        if self._labels:
            labels = Labels(
                np.array([[g.goal.x, g.goal.y, g.goal.yaw] for g in self._labels]),
                np.array([label.plan for label in self._labels]),
                np.array([label.distance for label in self._labels]), np.array(self._truth),
            )
        return EpisodeData(
            self._images, np.array([stamp for stamp, _ in self._observations], np.int64), self._poses(),
            None if self._sidesteps else np.array(self._actions), self._depth or None, labels,
        )

    @property
    def _sidesteps(self) -> bool:
        """Actions on disk are (v, w); what a robot that moves sideways was told does not fit in."""
        return self._world.robot.drive == "omnidirectional"

    def _poses(self) -> np.ndarray:
        return np.array([[p.x, p.y, p.yaw] for _, p in self._observations])

    def info(self, index: int) -> EpisodeInfo:
        world, settings = self._world, self._settings
        episode = world.episode
        known = [k for k, label in enumerate(self._labels) if label.goal_known]
        notes = {
            "index": index, "settings": settings.digest, "people": len(world.movers), "variant": episode.variant,
            "goal_known_from": known[0] if known else None,  # frame; before it the expert looks for the goal
            "reached": world.stopped or (episode.task == "explore" and world.coverage.fraction >= EXPLORED_ENOUGH),
        }
        return EpisodeInfo(
            task=_in_words(episode), source="nav-foundation collect", scene=str(episode.scene), robot=world.robot,
            instruction=episode.instruction, goal=self._goal(), things=self._things(),
            driver="policy" if settings.policy else "expert",
            action_source="measured" if self._sidesteps else "commanded",
            cruising_step=cruising_step(self._poses()), notes=notes,
        )

    def _goal(self) -> dict[str, Any]:
        """The goal as plain data; places are in the odometry frame, which begins at the start."""
        world, episode, start = self._world, self._world.episode, self._start.planar
        goal: dict[str, Any] = {"type": episode.task, "radius": episode.success_radius}
        if episode.category is not None:
            goal["category"] = episode.category
        if len(episode.goals):
            nearest = max(world.simulator.geodesic(self._start.position, episode.goals).goal, 0)
            x, y, _ = episode.goals[nearest].tolist()
            place = between(start, Pose2(x, y, episode.goal_yaw or 0.0))
            goal |= {"x": place.x, "y": place.y} | ({} if episode.goal_yaw is None else {"yaw": place.yaw})
        if isinstance(world.goal, ImageGoal):
            goal["image"] = base64.b64encode(encode_jpeg(world.goal.rgb)).decode()
        if episode.task == "tour" and episode.reference_path is not None:
            places = (between(start, pose.planar) for pose in tour_poses(episode.reference_path))
            goal["tour"] = [[round(p.x, 4), round(p.y, 4), round(p.yaw, 4)] for p in places]
        return goal

    def _things(self) -> tuple[Thing, ...]:
        """What stands about the drive."""
        truth, told = np.array(self._truth), []
        for thing in self._world.info.instances:
            away = np.linalg.norm(truth[:, :2] - thing.centre, axis=1)
            if thing.is_object and away.min() < _ABOUT:
                corners = tuple((round(x, 3), round(y, 3)) for x, y in thing.outline.tolist())
                told.append(Thing(thing.category, corners, round(thing.bottom, 3), round(thing.top, 3)))
        return tuple(told)


def _mean(commands: list[Velocity]) -> tuple[float, float]:
    """(m/s, rad/s) commanded over a frame's time."""
    if not commands:
        return 0.0, 0.0
    return float(np.mean([c.linear for c in commands])), float(np.mean([c.angular for c in commands]))


def _in_words(episode: Episode) -> str:
    words = {
        "point-goal": "go to the given point", "image-goal": "go to where the picture was taken",
        "tour": "go to the place of the tour that the picture shows", "explore": "explore",
        "object-goal": f"go to a {episode.category}",
    }
    return episode.instruction or words[episode.task]

"""Recordings: episodes driven once more, with pictures good enough for people to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from nav_foundation.camera import horizontal_fov
from nav_foundation.geometry import from_frame
from nav_foundation.robot import CameraSpec, RobotSpec
from nav_foundation.types import ImageGoal, Observation, Plan
from sim_envs.evaluation.evaluate import EpisodeRunner, EpisodeSource
from sim_envs.metrics import Score, judge
from sim_envs.rollout import Trace
from sim_envs.simulator import Mover, Pose, SceneInfo, TopDown
from sim_envs.tasks.episode import Episode
from sim_envs.workers import run_jobs
from sim_envs.world import World

VIEW = (576, 432)  # px, width and height of the pictures for people
MOST_FRAMES = 100  # of one recording; longer drives keep every second, third, ... frame


@dataclass(frozen=True)
class View:
    """One moment of a drive."""

    tick: int  # into Trace.poses
    picture: bytes  # JPEG, what the camera would see at VIEW's size and without noise
    sensed: bytes  # PNG, what the policy was given
    waypoints: np.ndarray  # [H, 2] m, where the policy meant to go, in the world
    movers: np.ndarray  # [M, 3] x, y, radius of people, m
    coverage: float  # 0..1, seen until now


@dataclass(frozen=True)
class Recording:
    """Everything needed to show an episode without its simulator."""

    policy: str
    index: int
    robot: RobotSpec
    trace: Trace
    score: Score
    views: tuple[View, ...]
    info: SceneInfo
    top_down: TopDown
    shortest: np.ndarray  # [K, 3] m, shortest way, empty for exploration
    goal: str  # in words
    goal_picture: bytes | None  # JPEG, what the goal looks like, for image goals
    seen_tick: np.ndarray | None  # [rows, columns] of top_down: tick at which a cell was first seen, -1 = never

    @property
    def episode(self) -> Episode:
        return self.trace.episode


@dataclass(frozen=True)
class _Moment:
    """A view whose picture is not drawn yet."""

    tick: int
    pose: Pose
    sensed: np.ndarray
    waypoints: np.ndarray
    movers: list[Mover]
    coverage: float


class Recorder:
    """`on_frame` of one episode; `views` draws the pictures in the end, only those that are kept."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.camera = view_camera(world.robot.camera)
        self.shortest = np.zeros((0, 3))
        self.seen_tick: np.ndarray | None = None
        self._moments: list[_Moment] = []

    def __call__(self, observation: Observation, plan: Plan, pose: Pose) -> None:
        world = self.world
        if not self._moments and len(world.episode.goals):
            self.shortest = world.simulator.geodesic(pose.position, world.episode.goals).path
        tick = world.frame_ticks[-1]
        self._note_coverage(tick)
        x, y, z, yaw = world.history[tick].tolist()
        at = Pose(x, y, z, yaw)
        waypoints = from_frame(at.planar, plan.waypoints[:, :2])
        self._moments.append(
            _Moment(tick, at, observation.rgb, waypoints, list(world.movers), world.coverage.fraction)
        )

    def views(self) -> tuple[View, ...]:
        stride = math.ceil(len(self._moments) / MOST_FRAMES)
        return tuple(
            View(
                moment.tick, _jpeg(self.picture(moment.pose, moment.movers)), _png(moment.sensed), moment.waypoints,
                np.array([[m.pose.x, m.pose.y, m.radius] for m in moment.movers]).reshape(-1, 3), moment.coverage,
            )
            for moment in self._moments[::stride]
        )

    def picture(self, pose: Pose, movers: Sequence[Mover] = ()) -> np.ndarray:
        """[H, W, 3] uint8 as people like to see it."""
        self.world.simulator.set_movers(movers)
        frames = self.world.simulator.render([pose], [self.camera])
        assert frames.rgb is not None
        return frames.rgb[0]

    def _note_coverage(self, tick: int) -> None:
        if self.world.episode.task != "explore":
            return
        seen = self.world.coverage.seen
        if self.seen_tick is None:
            self.seen_tick = np.full(seen.shape, -1, dtype=np.int32)
        self.seen_tick[seen & (self.seen_tick < 0)] = tick


def view_camera(camera: CameraSpec) -> CameraSpec:
    """A clear pinhole view from where the robot's camera is, wide enough for a person to find their way."""
    width, height = VIEW
    return CameraSpec(
        width, height, camera.mount_height, camera.pitch, camera.mount_forward,
        hfov_deg=min(max(math.degrees(horizontal_fov(camera)), 70.0), 100.0),
    )


def record_episode(runner: EpisodeRunner, index: int) -> Recording:
    """Drive an episode again and keep what there is to see."""
    world = runner.world
    recorder = Recorder(world)
    trace = runner.drive(runner.episode(index), recorder)
    goal = world.goal
    goal_picture = None
    if isinstance(goal, ImageGoal):
        (x, y, z), yaw = trace.episode.goals[0].tolist(), trace.episode.goal_yaw
        foreign = trace.episode.goal_view is not None  # its camera is not the robot's
        goal_picture = _jpeg(goal.rgb if yaw is None or foreign else recorder.picture(Pose(x, y, z, yaw)))
    plan = world.coverage.top_down
    return Recording(
        runner.source.settings.policy, index, runner.source.robot, trace, judge(trace), recorder.views(),
        world.info, plan, recorder.shortest, goal_in_words(trace.episode), goal_picture, recorder.seen_tick,
    )


class RecordingJob(EpisodeRunner):
    """An episode's recording by its index."""

    def __call__(self, index: int) -> Any:
        return self.attempt(index, lambda: record_episode(self, index))


def record_episodes(source: EpisodeSource, indices: Sequence[int], workers: int) -> list[Recording]:
    """Recordings of some episodes, over processes, in the order of `indices`."""
    with tqdm(total=len(indices), desc="pictures", unit="episode", disable=None, dynamic_ncols=True) as bar:
        done: dict[int, Recording] = {}
        for index, recording in run_jobs(RecordingJob, (source,), [[index] for index in indices], workers):
            done[index] = recording
            bar.update()
    return [done[index] for index in indices if isinstance(done[index], Recording)]


def goal_in_words(episode: Episode) -> str:
    if episode.task == "point-goal":
        return f"Go to a point {math.dist(episode.start.position[:2], episode.goals[0][:2]):.1f} m away"
    if episode.task == "object-goal":
        return f"Find: {episode.category}"
    return {
        "image-goal": "Go where this picture was taken",
        "tour": "Return to a place of a recorded tour",
        "explore": "See as much of the place as possible",
        "instruction": episode.instruction or "",
    }[episode.task]


def _jpeg(rgb: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1])


def _png(rgb: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1])


def decode(picture: bytes) -> np.ndarray:
    """[H, W, 3] uint8 RGB of a JPEG or PNG."""
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

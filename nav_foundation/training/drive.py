"""A drive as training sees it: poses, labels, and pictures in the canonical view."""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode
from nav_foundation.data.schema import EpisodeInfo
from nav_foundation.geometry import between, compose, inverse, to_frame, wrap_angle
from nav_foundation.model.config import ModelConfig
from nav_foundation.preprocessing import CanonicalView, Preprocessor
from nav_foundation.robot import CameraSpec, RobotSpec
from nav_foundation.training.sight import Sight
from nav_foundation.training.things import Things
from nav_foundation.types import Pose2

ARRIVED = 0.5  # m from which on an expert that stands may be there


class Drive:
    """An episode, with what pairs are made of."""

    def __init__(
        self, dataset: EpisodeDataset, episode: int, info: EpisodeInfo, robot: RobotSpec, config: ModelConfig
    ) -> None:
        self.info, self.robot = replace(info, things=None), robot
        self.believed = np.asarray(dataset.poses(episode), np.float64)  # [T, 3] by odometry
        self.seconds = (dataset.stamps_ns(episode) - dataset.stamps_ns(episode)[0]) / 1e9
        self.labels = dataset.labels(episode)
        truth = dataset.true_poses(episode)
        self.origin = None if truth is None else _frame(truth[0], self.believed[0])
        self.poses = self.believed if self.origin is None or truth is None else _seen_from(self.origin, truth)
        self.floor = 0.0 if truth is None else float(truth[0, 2])  # m, of the scene's z
        notes = info.notes or {}
        known = notes.get("goal_known_from", 0)
        self.known_from = len(self.poses) if known is None else int(known)  # frame; None = it was never in view
        self.nobody_near = notes.get("people") == 0  # who walks about is elsewhere in the next picture
        self.things = Things(info.things or (), self.origin, self.floor) if self.origin is not None else Things(())
        self.driven = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.poses[:, :2], axis=0), axis=1))])
        self._config, self._view, self._horizon = config, config.view, config.horizon

    def in_scene(self, frame: int) -> Pose2 | None:
        """Where the robot was in the frame of the scene, if that is known."""
        return None if self.origin is None else compose(self.origin, self.here(frame))

    def see(self, rgb: np.ndarray) -> np.ndarray:
        return _preprocessor(self.robot.camera, self._view)(rgb)

    @property
    def sight(self) -> Sight:
        return _sight(self.robot.camera, self._config)

    def goal_picture(self) -> np.ndarray | None:
        goal = self.info.goal or {}
        return self.see(decode(base64.b64decode(goal["image"]))) if goal.get("image") else None

    def here(self, frame: int) -> Pose2:
        return Pose2(*map(float, self.poses[frame]))

    def motion(self, frame: int, past: list[int]) -> np.ndarray:
        """[P, 5] where past frames lie from this one: x, y in steps (at most 50), sin and cos of the turn, s ago.

        By odometry, as a robot knows it.
        """
        rows = []
        for number in past:
            away = between(*(Pose2(*map(float, self.believed[k])) for k in (frame, number)))
            step = self.robot.step
            rows.append([
                *np.clip([away.x / step, away.y / step], -50, 50), math.sin(away.yaw), math.cos(away.yaw),
                self.seconds[frame] - self.seconds[number],
            ])
        return np.asarray(rows, np.float32)

    def future(self, frame: int, until: int) -> np.ndarray:
        """[H, 3] the next poses in the robot's frame, no farther than those of frame `until`."""
        numbers = np.minimum(frame + np.arange(1, self._horizon + 1), until)
        here = self.here(frame)
        local = to_frame(here, self.poses[numbers, :2])
        return np.column_stack([local, wrap_angle(self.poses[numbers, 2] - here.yaw)])

    def plan(self, frame: int) -> np.ndarray:
        """[H, 3] what the expert would do, or what the drive did."""
        if self.labels is not None and self._is_labelled:
            return np.asarray(self.labels.plans[frame, : self._horizon])
        return self.future(frame, len(self.poses) - 1)

    def lesson(self, frame: int) -> np.ndarray | None:
        """[H, 3] that is worth doing; of a policy's drive only what an expert says."""
        return self.plan(frame) if self.is_experts or self._is_labelled else None

    @property
    def _is_labelled(self) -> bool:
        return self.labels is not None and self.labels.plans.shape[1] >= self._horizon

    def heads_for(self, frame: int) -> tuple[float, float]:
        """Where the expert would drive from a frame, its goal or a place to look from: x, y in m, seen from there."""
        assert self.labels is not None
        away = between(*(Pose2(*map(float, pose)) for pose in (self.believed[frame], self.labels.goals[frame])))
        return away.x, away.y

    def waits(self, frame: int) -> bool:
        """Whether the expert stands still although it has not arrived: someone is in its way."""
        labels = self.labels
        return labels is not None and bool(labels.distances[frame] > ARRIVED and not labels.plans[frame].any())

    def place(self, frame: int, goal: int) -> Pose2:
        """Where frame `goal` lies, seen from `frame`."""
        return between(self.here(frame), self.here(goal))

    @property
    def is_experts(self) -> bool:
        """Whether what the drive did is worth doing; of a policy's drives only the labels are."""
        return self.info.driver != "policy"


def _frame(truth: np.ndarray, believed: np.ndarray) -> Pose2:
    """The odometry's frame in the scene's, from one pose [4] in the scene, which it believes [3] to be at."""
    x, y, _, yaw = truth.tolist()
    return compose(Pose2(x, y, yaw), inverse(Pose2(*believed.tolist())))


def _seen_from(origin: Pose2, truth: np.ndarray) -> np.ndarray:
    """[T, 3] of poses [T, 4] in the scene."""
    return np.column_stack([to_frame(origin, truth[:, :2]), wrap_angle(truth[:, 3] - origin.yaw)])


@lru_cache(maxsize=1024)
def _preprocessor(camera: CameraSpec, view: CanonicalView) -> Preprocessor:
    return Preprocessor(camera, view)


@lru_cache(maxsize=1024)
def _sight(camera: CameraSpec, config: ModelConfig) -> Sight:
    return Sight(camera, config)

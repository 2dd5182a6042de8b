"""Frames of other drives through the same scene: goals that a drive does not lead to, seen from any side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.geometry import wrap_angle
from nav_foundation.types import Pose2

_NEAR, _ALIKE = 4.0, math.radians(75)  # m and rad to a frame that shows some of the same, often
_STOREY = 0.3  # m by which floors differ that are one
_OFTEN = 0.7  # share of the frames that are such


class Neighbours:
    """Of some episodes of a dataset. Drives of which the true poses are not known have none."""

    def __init__(self, dataset: EpisodeDataset, episodes: Sequence[int]) -> None:
        self._dataset, self._episodes = dataset, episodes
        self._through: dict[str, list[int]] | None = None  # episodes by scene
        self._known: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def choose(
        self, count: int, episode: int, scene: str, here: Pose2, floor: float, rng: np.random.Generator
    ) -> list[tuple[int, int]]:
        """(episode, frame) `count` times, or nothing; `here` in the scene is where they are looked from."""
        numbers, poses = self._frames(scene)
        others = (numbers[:, 0] != episode) & (np.abs(poses[:, 2] - floor) < _STOREY)
        if not others.any():
            return []
        away = np.linalg.norm(poses[:, :2] - (here.x, here.y), axis=1)
        near = others & (away < _NEAR) & (np.abs(wrap_angle(poses[:, 3] - here.yaw)) < _ALIKE)
        found = []
        for _ in range(count):
            among = np.flatnonzero(near if near.any() and rng.random() < _OFTEN else others)
            other, frame = numbers[among[rng.integers(len(among))]].tolist()
            found.append((other, frame))
        return found

    def _frames(self, scene: str) -> tuple[np.ndarray, np.ndarray]:
        """Numbers [N, 2] (episode, frame) and poses [N, 4] in the scene, of all drives through it."""
        if self._through is None:
            self._through = {}
            for episode in self._episodes:
                self._through.setdefault(self._dataset.info(episode).scene, []).append(episode)
        if scene not in self._known:
            numbers, poses = [np.zeros((0, 2), np.int64)], [np.zeros((0, 4))]
            for episode in self._through.get(scene, ()):
                truth = self._dataset.true_poses(episode)
                if truth is not None:
                    frames = np.arange(len(truth))
                    numbers.append(np.column_stack([np.full_like(frames, episode), frames]))
                    poses.append(truth)
            self._known[scene] = np.concatenate(numbers), np.concatenate(poses)
        return self._known[scene]

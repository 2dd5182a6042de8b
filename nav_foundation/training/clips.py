"""A clip: one frame of a drive, its past, and goals of all kinds with what the drive did about them.

Every picture is there once, and pairs point at it, so that a network encodes it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.model.config import ModelConfig
from nav_foundation.model.network import body_of
from nav_foundation.robot import RobotSpec
from nav_foundation.training.drive import Drive
from nav_foundation.training.pairs import ClipRules, Pairs, frames_ahead, pairs_of


@dataclass(frozen=True)
class Clip:
    pictures: np.ndarray  # [F, h, w, 3] uint8 in the canonical view: the current one, P of the past, goals
    past: np.ndarray  # [P] bool, which of the past were there
    motion: np.ndarray  # [P, 5] float32, see network.History
    body: np.ndarray  # [BODY] float32
    scene: str  # where, so that pictures of other places can be told
    pairs: Pairs
    noise: np.ndarray  # [Q + 1, H, 4] float32 and
    time: np.ndarray  # [Q + 1] float32 0..1, for the flow; drawn here, so that a batch is a function of its clips


class ClipMaker:
    """Cuts clips from a dataset for a network."""

    def __init__(
        self, dataset: EpisodeDataset, config: ModelConfig, rules: ClipRules, robot: RobotSpec | None = None
    ) -> None:
        """`robot` is used where an episode does not tell its own."""
        self._dataset, self._config, self._rules, self._robot = dataset, config, rules, robot
        self._episode = lru_cache(maxsize=256)(self._load)

    def __call__(self, episode: int, frame: int, rng: np.random.Generator) -> Clip:
        drive = self._episode(episode)
        past, seen = self._past(drive, frame)
        ahead = frames_ahead(drive, frame, self._rules, rng)
        numbers = [frame, *past, *ahead]
        pictures = [drive.see(picture) for picture in self._dataset.images(episode, numbers)]
        own = drive.goal_picture()
        if own is not None:
            pictures.append(own)
        first = 1 + len(past)
        pairs = pairs_of(drive, frame, ahead, first, first + len(ahead) if own is not None else None, self._rules, rng)
        body = np.asarray(body_of(drive.robot), np.float32)
        noise = rng.standard_normal((len(pairs.kind) + 1, *pairs.waypoints.shape[1:]), dtype=np.float32)
        time = rng.random(len(noise), dtype=np.float32)
        return Clip(np.stack(pictures), seen, drive.motion(frame, past), body, drive.info.scene, pairs, noise, time)

    def _load(self, episode: int) -> Drive:
        info = self._dataset.info(episode)
        robot = info.robot or self._robot
        if robot is None:
            raise ValueError(
                f"{self._dataset.folder}: episode {episode} does not tell its robot: import it with --robot, or name "
                "one for the training"
            )
        return Drive(self._dataset, episode, info, robot, self._config)

    def _past(self, drive: Drive, frame: int) -> tuple[list[int], np.ndarray]:
        """Numbers of the past frames, newest first, and whether each was there."""
        every = max(1, round(self._config.history_spacing * self._dataset.frame_rate))
        wanted = [frame - every * k for k in range(1, self._config.history + 1)]
        return [max(0, number) for number in wanted], np.array([number >= 0 for number in wanted])

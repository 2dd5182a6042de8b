"""The courses of ViNT and NoMaD, trained from new weights as their papers tell, to be compared with.

One goal picture for each observation, drawn by time along the drive, now and then from another place; distances in
steps of time, waypoints where the drive went. https://arxiv.org/abs/2306.14846, https://arxiv.org/abs/2310.07896.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nav_foundation
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.geometry import to_frame, wrap_angle
from nav_foundation.model.published import nomad, vint
from nav_foundation.model.published.config import Kind, Provenance
from nav_foundation.model.published.load import build, config_of, save_published
from nav_foundation.model.published.nomad import NoMaD, actions_of, noise_schedule
from nav_foundation.model.published.vint import ViNT
from nav_foundation.preprocessing import CropAndShrink
from nav_foundation.training.augment import relit
from nav_foundation.training.batch import as_input
from nav_foundation.training.course import Losses
from nav_foundation.types import Pose2

SPACING = 0.25  # m of a step at cruise speed
FARTHEST, LAST_DRIVEN = 20, 10  # steps to a goal; beyond the second its way is not learnt
MASKED = 0.5  # share of goals that NoMaD does not get to see
_PARTS: dict[Kind, dict[str, float]] = {
    "vint": {"action": 0.5, "distance": 0.005}, "nomad": {"action": 1.0, "distance": 1e-4},
}


@dataclass(frozen=True)
class PeerClip:
    pictures: np.ndarray  # [context + 2, h, w, 3] uint8: the past, oldest first, the current one, the goal
    waypoints: np.ndarray  # [H, 4] float32 x, y in steps, cos and sin of yaw
    drives: float  # weight of the waypoints
    distance: float  # steps
    noise: np.ndarray  # [H, 2] float32, and
    time: int  # diffusion step, for NoMaD
    masked: bool  # whether it goes without the goal


@dataclass(frozen=True)
class PeerBatch:
    """As the clips, with a dimension [B] before."""

    pictures: Tensor
    waypoints: Tensor
    drives: Tensor
    distance: Tensor
    noise: Tensor
    time: Tensor
    masked: Tensor

    @property
    def count(self) -> int:
        return len(self.distance)

    def to(self, device: torch.device) -> PeerBatch:
        return PeerBatch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


class PeerMaker:
    """Cuts one pair from a drive."""

    def __init__(self, dataset: EpisodeDataset, kind: Kind, episodes: Sequence[int]) -> None:
        self._episodes = episodes
        self._dataset, facts = dataset, vint if kind == "vint" else nomad
        self._see = CropAndShrink(*facts.IMAGE)
        self._context, self._horizon = facts.CONTEXT, facts.HORIZON

    def __call__(self, episode: int, frame: int, rng: np.random.Generator) -> PeerClip:
        dataset, info = self._dataset, self._dataset.info(episode)
        if info.robot is None:
            raise ValueError(f"{dataset.folder}: episode {episode} does not tell its robot: import it with --robot")
        seconds, poses = dataset.stamps_ns(episode) / 1e9, dataset.poses(episode)
        step = SPACING / info.robot.cruise_speed  # s

        def at(steps: float) -> int:
            return int(np.abs(seconds - (seconds[frame] + steps * step)).argmin())

        last = min(FARTHEST, int((seconds[-1] - seconds[frame]) / step))
        away = int(rng.integers(last + 1))
        frames = [at(-k) for k in range(self._context, 0, -1)]
        pictures = list(dataset.images(episode, [*frames, frame, at(away)]))
        if away == 0:  # a goal of another drive, said to be far
            pictures[-1] = self._elsewhere(info.scene, rng)
        here = Pose2(*map(float, poses[frame]))
        ahead = poses[[at(k) for k in range(1, self._horizon + 1)]]
        yaw = wrap_angle(ahead[:, 2] - here.yaw)
        steps = np.column_stack([to_frame(here, ahead[:, :2]) / SPACING, np.cos(yaw), np.sin(yaw)])
        return PeerClip(
            np.stack([self._see(picture) for picture in pictures]), steps.astype(np.float32),
            float(0 < away <= LAST_DRIVEN and info.driver != "policy"), float(away or FARTHEST),
            rng.standard_normal((self._horizon, 2), dtype=np.float32), int(rng.integers(nomad.DIFFUSION_STEPS)),
            bool(rng.random() < MASKED),
        )

    def _elsewhere(self, scene: str, rng: np.random.Generator) -> np.ndarray:
        """A picture of another scene, if one is found soon; of any drive, if not."""
        for _ in range(8):
            episode = int(rng.choice(self._episodes))
            if self._dataset.info(episode).scene != scene:
                break
        return self._dataset.image(episode, int(rng.integers(self._dataset.lengths[episode])))


@dataclass(frozen=True)
class Peer:
    kind: Kind

    @property
    def parts(self) -> Mapping[str, float]:
        return _PARTS[self.kind]

    def maker(self, dataset: EpisodeDataset, episodes: Sequence[int]) -> PeerMaker:
        return PeerMaker(dataset, self.kind, episodes)

    def varied(self, clip: PeerClip, rng: np.random.Generator, light: float, flips: bool) -> PeerClip:
        return replace(clip, pictures=relit(clip.pictures, rng, light)) if light else clip

    def collate(self, clips: Sequence[PeerClip]) -> PeerBatch:
        columns = [[getattr(clip, field.name) for clip in clips] for field in fields(PeerBatch)]
        arrays = [np.asarray(column) for column in columns]
        return PeerBatch(*(torch.from_numpy(a.astype(np.float32) if a.dtype == np.float64 else a) for a in arrays))

    def network(self) -> nn.Module:
        return build(self.kind)

    def losses(self, network: nn.Module, batch: PeerBatch) -> Losses:
        """Mean squares. Those without a goal tell nothing of its distance."""
        pictures = batch.pictures.permute(0, 1, 4, 2, 3).float() / 255.0
        pictures = as_input(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
        frames, goal = pictures[:, :-1].flatten(1, 2), pictures[:, -1]
        if isinstance(network, ViNT):
            distance, waypoints = network(frames, goal)
            off = (waypoints - batch.waypoints).square().mean(dim=(1, 2))
            measured = torch.ones_like(batch.distance)
        else:
            assert isinstance(network, NoMaD)
            condition, distance = network(frames, goal, batch.masked)
            off = _noise_missed(network, condition, batch)
            measured = (~batch.masked).float()
        parts = ((off, batch.drives), (F.mse_loss(distance[:, 0], batch.distance, reduction="none"), measured))
        return Losses.of(parts)

    def save(self, network: nn.Module, folder: Path, provenance: dict[str, Any]) -> None:
        assert isinstance(network, (ViNT, NoMaD))
        data = ", ".join(provenance["settings"]["data"])
        told = Provenance(f"{provenance['steps']} steps of training on {data}", "", nav_foundation.__version__)
        save_published(network, config_of(self.kind, SPACING, told), folder)


def _noise_missed(network: NoMaD, condition: Tensor, batch: PeerBatch) -> Tensor:
    """[B] mean square of the noise that is not found in plans mixed with it."""
    actions = actions_of(batch.waypoints[..., :2])
    mixed = noise_schedule().add_noise(actions, batch.noise, batch.time)
    found = network.noise_pred_net(mixed, batch.time, condition)
    return torch.as_tensor((found - batch.noise).square().mean(dim=(1, 2)))

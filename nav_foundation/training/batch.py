"""Clips side by side: every picture once, and goals of other places among them as goals that cannot be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nav_foundation.model.config import ModelConfig
from nav_foundation.model.goals import KINDS, as_bytes
from nav_foundation.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from nav_foundation.training.clips import WORDS, Clip
from nav_foundation.training.sight import HIDDEN, UNKNOWN

_COLUMNS = (
    "kind", "picture", "place", "has_yaw", "spread", "located", "route", "waypoints", "drives", "distance", "measured",
    "arrived", "judged",
)


@dataclass(frozen=True)
class Batch:
    """B stands (those of a clip side by side) with Q goals each, N pictures in all."""

    pictures: Tensor  # [N, 3, h, w] uint8
    current: Tensor  # [B] number of a picture
    depth: Tensor  # [N, cells] m of the cells of their maps, NaN where it is not known
    floor: Tensor  # [B, C, 2] m, see Clip.floor
    past: Tensor  # [B, P] numbers of pictures
    past_seen: Tensor  # [B, P] bool
    motion: Tensor  # [B, P, 5]
    body: Tensor  # [B, BODY]
    tall: Tensor  # [B] m of room the robot needs
    kind: Tensor  # [B, Q]
    picture: Tensor  # [B, Q] number of a picture, where the goal is one
    place: Tensor  # [B, Q, 3]
    has_yaw: Tensor  # [B, Q] bool
    spread: Tensor  # [B, Q] m of error
    located: Tensor  # [B, Q] weights of the places of pictures
    shown: Tensor  # [B, Q, K, 2] where (cells: column, row) the current picture shows what the goal's tokens show
    found: Tensor  # [B, Q, K] int8 of sight.py: whether it does
    route: Tensor  # [B, Q]
    text: Tensor  # [T, L] bytes of the goals in words, in the order in which they come
    text_seen: Tensor  # [T, L] bool
    waypoints: Tensor  # [B, Q, H, 4]
    drives: Tensor  # [B, Q] weights
    distance: Tensor  # [B, Q] m
    unreachable: Tensor  # [B, Q] bool
    measured: Tensor  # [B, Q] weights
    arrived: Tensor  # [B, Q]
    judged: Tensor  # [B, Q] weights
    tried: Tensor  # [B, Q, H, 4] other plans
    touched: Tensor  # [B, Q] 0 or 1, NaN where it is not known whether they touch something
    noise: Tensor  # [B, Q, H, 4] for the flow
    time: Tensor  # [B, Q] 0..1

    @property
    def count(self) -> int:
        """Pairs of a stand and a goal that teach something."""
        return int(((self.drives + self.measured + self.judged) > 0).sum())

    @property
    def needed(self) -> Tensor:
        """[M] numbers of the pictures that something is learnt from: stands, the pasts they have, and goals."""
        known = (self.drives + self.measured + self.judged + self.located) > 0
        taught = known | (self.found >= 0).any(dim=2) | self.touched.isfinite()
        goals = self.picture[(self.kind == KINDS.index("image")) & taught]
        return torch.cat([self.current, goals, self.past[self.past_seen]]).unique()

    def to(self, device: torch.device) -> Batch:
        return Batch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


def collate(clips: Sequence[Clip], config: ModelConfig) -> Batch:
    """One batch. Each stand also gets one of its clip's partner as a goal, if that is of another scene."""
    counts = np.array([len(clip.pictures) for clip in clips])
    firsts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    stands = len(clips[0].stands)
    current = (firsts[:, None] + np.stack([clip.stands for clip in clips])).ravel()
    starts = np.repeat(firsts, stands)  # of the clip of each stand
    others = [_elsewhere(clips, k) for k in range(len(clips))]
    foreign = current.reshape(-1, stands)[[k if o is None else o for k, o in enumerate(others)]].ravel()
    pairs = [pairs for clip in clips for pairs in clip.pairs]
    rows: dict[str, Any] = {name: np.stack([getattr(part, name) for part in pairs]) for name in _COLUMNS}
    rows["picture"] = np.where(rows["kind"] == KINDS.index("image"), rows["picture"] + starts[:, None], 0)
    known = np.repeat(np.array([o is not None for o in others], np.float32), stands)[:, None]
    extra = {"kind": KINDS.index("image"), "picture": foreign[:, None], "measured": known, "judged": known}
    unreachable = np.concatenate([np.zeros_like(rows["has_yaw"]), known > 0], axis=1)
    for name, values in rows.items():
        more = np.zeros_like(values[:, :1])
        more[...] = extra.get(name, 0)
        rows[name] = np.concatenate([values, more], axis=1)
    shown, found = _sights(clips, known[:, 0] > 0)
    words = [text for part in pairs for text, kind in zip(part.words, part.kind) if kind in WORDS]
    text, text_seen = as_bytes(words or [" "], config.text_bytes)
    pictures = torch.from_numpy(np.concatenate([clip.pictures for clip in clips])).permute(0, 3, 1, 2)
    return Batch(
        pictures=pictures, current=torch.from_numpy(current),
        depth=torch.from_numpy(np.concatenate([clip.depth for clip in clips])),
        floor=torch.from_numpy(np.concatenate([clip.floor for clip in clips])),
        tall=torch.tensor([clip.tall for clip in clips]).repeat_interleave(stands),
        past=torch.from_numpy(starts[:, None] + np.arange(1, config.history + 1)),
        past_seen=torch.from_numpy(np.concatenate([clip.past for clip in clips])),
        motion=torch.from_numpy(np.concatenate([clip.motion for clip in clips])),
        body=torch.from_numpy(np.stack([clip.body for clip in clips]).repeat(stands, axis=0)),
        noise=torch.from_numpy(np.concatenate([clip.noise for clip in clips])),
        time=torch.from_numpy(np.concatenate([clip.time for clip in clips])),
        tried=_widened([clip.tried for clip in clips], 0.0), touched=_widened([clip.touched for clip in clips], np.nan),
        shown=torch.from_numpy(shown), found=torch.from_numpy(found),
        text=text[: len(words)], text_seen=text_seen[: len(words)], unreachable=torch.from_numpy(unreachable),
        **{name: torch.from_numpy(values) for name, values in rows.items()},
    )


def _widened(parts: Sequence[np.ndarray], value: float) -> Tensor:
    """[B, Q + 1, ...] of parts [S, Q, ...], for the goal of another place."""
    values = np.concatenate(parts)
    return torch.from_numpy(np.concatenate([values, np.full_like(values[:, :1], value)], axis=1))


def _sights(clips: Sequence[Clip], strange: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What goals' tokens show, of the clips and of their partners' pictures, which are `strange` [B] and seen nowhere.

    Where a clip has no depth its partner's picture teaches nothing either, or tokens would learn to find nothing.
    """
    shown = np.concatenate([clip.shown for clip in clips])
    found = np.concatenate([clip.found for clip in clips])
    told = np.where(strange & (found != UNKNOWN).any(axis=(1, 2)), HIDDEN, UNKNOWN).astype(np.int8)
    last = np.broadcast_to(told[:, None, None], found[:, :1].shape)
    return np.concatenate([shown, np.zeros_like(shown[:, :1])], axis=1), np.concatenate([found, last], axis=1)


def about(batch: Batch, kinds: Sequence[str]) -> Batch:
    """The batch, but goals of other kinds teach nothing."""
    if set(kinds) >= set(KINDS):
        return batch
    wanted = torch.isin(batch.kind, torch.tensor([KINDS.index(kind) for kind in kinds], device=batch.kind.device))
    weights = {name: getattr(batch, name) * wanted for name in ("drives", "measured", "judged", "located")}
    touched = torch.where(wanted, batch.touched, torch.nan)
    return replace(batch, found=torch.where(wanted[..., None], batch.found, UNKNOWN), touched=touched, **weights)


def _elsewhere(clips: Sequence[Clip], number: int) -> int | None:
    """The partner of a clip: 0 and 1, 2 and 3 ... None in the same scene, where its picture may be near after all."""
    partner = number ^ 1  # the same one however many processes share a batch
    return partner if partner < len(clips) and clips[partner].scene != clips[number].scene else None


def as_input(pictures: Tensor) -> Tensor:
    """What the encoder takes of pictures [N, 3, h, w] in 0..1; `preprocessing.normalise` does the same in NumPy."""
    mean, std = (pictures.new_tensor(part).view(3, 1, 1) for part in (IMAGENET_MEAN, IMAGENET_STD))
    return (pictures - mean) / std

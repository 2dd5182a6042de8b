"""Changes to clips that leave the task as it is: mirror images, and other light."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nav_foundation.training.clips import Clip
from nav_foundation.types import ROUTE_COMMANDS

_SIDES = {"left": "right", "right": "left"}
_SIDE = re.compile(r"\b(left|right)", re.IGNORECASE)


def mirrored(clip: Clip) -> Clip:
    """The clip as a mirror shows it: left is right, in pictures, poses and words. Its own inverse."""
    pairs = clip.pairs
    across = np.array([1, -1, -1], np.float32)  # x, y, yaw
    commands = np.array([ROUTE_COMMANDS.index(_SIDES.get(name, name)) for name in ROUTE_COMMANDS])
    return replace(
        clip, pictures=np.ascontiguousarray(clip.pictures[:, :, ::-1]),
        motion=clip.motion * np.array([1, -1, -1, 1, 1], np.float32),
        pairs=replace(
            pairs, place=pairs.place * across, words=tuple(map(_mirrored_words, pairs.words)),
            route=commands[pairs.route], waypoints=pairs.waypoints * np.array([1, -1, 1, -1], np.float32),
        ),
    )


def _mirrored_words(text: str) -> str:
    def swapped(found: re.Match[str]) -> str:
        other = _SIDES[found[0].lower()]
        return other.capitalize() if found[0][0].isupper() else other

    return _SIDE.sub(swapped, text)


def relit(pictures: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Pictures [N, 3, h, w] in 0..1 under other light: gain, gamma, tint and noise, drawn for each picture alone."""
    n = len(pictures)

    def drawn(*shape: int) -> Tensor:
        return strength * torch.randn(n, *shape, generator=generator).to(pictures.device)

    gain, gamma = torch.exp(0.2 * drawn(1, 1, 1)), torch.exp(0.15 * drawn(1, 1, 1))
    tint = torch.exp(0.06 * drawn(3, 1, 1))
    lit = (pictures.clamp(min=1e-4) ** gamma) * gain * tint
    noise = 0.02 * drawn(1, 1, 1).abs() * torch.randn(pictures.shape, generator=generator).to(pictures.device)
    return (lit + noise).clamp(0, 1)

"""What ViNT and NoMaD share: one token for each frame, one for the goal, a transformer over them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nav_foundation.model.published.efficientnet import FEATURES, EfficientNetB0

HEADS, LAYERS, FEED_FORWARD = 4, 4, 4  # the last in multiples of the width


class Positions(nn.Module):
    """Adds sinusoids to tokens [B, T, D]."""

    pos_enc: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        angles = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        self.register_buffer("pos_enc", torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(1, length, width))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.pos_enc


def transformer(width: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        width, HEADS, FEED_FORWARD * width, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)


class FrameTokens(nn.Module):
    """Tokens of frames, which no goal changes, and of goals as seen from the current frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.obs_encoder: nn.Module = EfficientNetB0(3)
        self.goal_encoder: nn.Module = EfficientNetB0(6)
        self.compress_obs_enc = nn.Linear(FEATURES, width)
        self.compress_goal_enc = nn.Linear(FEATURES, width)

    def encode_frames(self, frames: Tensor) -> Tensor:
        """[B, D] of normalised frames [B, 3, h, w]."""
        return self.compress_obs_enc(self.obs_encoder(frames))

    def encode_goals(self, current: Tensor, goal: Tensor) -> Tensor:
        """[B, D] of the current frame and the goal's picture, both [B, 3, h, w]."""
        return self.compress_goal_enc(self.goal_encoder(torch.cat([current, goal], dim=1)))

    def encode(self, frames: Tensor, goal: Tensor) -> Tensor:
        """[B, T + 1, D] of frames [B, 3 T, h, w], oldest first, and the goal's picture [B, 3, h, w]."""
        batch, channels, height, width = frames.shape
        count = channels // 3
        each = self.encode_frames(frames.reshape(batch * count, 3, height, width)).reshape(batch, count, -1)
        return torch.cat([each, self.encode_goals(frames[:, -3:], goal)[:, None]], dim=1)

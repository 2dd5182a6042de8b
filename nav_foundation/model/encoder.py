"""A picture becomes tokens once, whoever asks for it: the current frame, a map node or a goal."""

from __future__ import annotations

from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn

from nav_foundation.model.config import ModelConfig

STRIDE = 16  # pixels of a cell of the map


class Frames(NamedTuple):
    """What is kept of N pictures. `tokens` are cached, stored and sent around; the map is for the current one."""

    tokens: Tensor  # [N, K, D]
    map: Tensor  # [N, M, D] finer, M = K x the rows that a token joins

    @property
    def summary(self) -> Tensor:
        """[N, D] one token per picture, for those of the past."""
        return self.tokens.mean(dim=1)


class FrameEncoder(nn.Module):
    """A timm backbone, then tokens that keep where things are: every column of the map, its rows joined in pairs."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        backbone = _backbone(config.backbone).to(memory_format=torch.channels_last)
        self.backbone: nn.Module = backbone
        channels = int(backbone.feature_info.channels()[-1])
        self.rows, self.columns = config.view.height // STRIDE, config.view.width // STRIDE
        self.joined = rows_joined(config)
        self.to_map = nn.Conv2d(channels, config.width, 1)
        self.to_tokens = nn.Conv2d(channels, config.width, (self.joined, 1), stride=(self.joined, 1))
        self.map_place = nn.Parameter(0.02 * torch.randn(self.rows * self.columns, config.width))
        self.token_place = nn.Parameter(0.02 * torch.randn(self.rows // self.joined * self.columns, config.width))
        self.map_norm, self.token_norm = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        with torch.no_grad():  # tokens begin as means of the map's cells, so that both can be compared
            self.to_tokens.weight.copy_(self.to_map.weight.expand_as(self.to_tokens.weight) / self.joined)
            self.to_tokens.bias.copy_(self.to_map.bias)  # type: ignore[union-attr, arg-type]

    @property
    def tokens(self) -> int:
        """K, tokens of a picture."""
        return len(self.token_place)

    def forward(self, pictures: Tensor) -> Frames:
        """`pictures` [N, 3, h, w] as `preprocessing.normalise` gives them, of the canonical view's size."""
        features = self.backbone(pictures.contiguous(memory_format=torch.channels_last))[-1]
        rows, columns = features.shape[-2:]
        if (rows, columns) != (self.rows, self.columns):
            raise ValueError(f"pictures of {tuple(pictures.shape)} do not fit: the network looks at "
                             f"{STRIDE * self.columns}x{STRIDE * self.rows} pixels")
        fine = self.to_map(features).flatten(2).transpose(1, 2) + self.map_place
        coarse = self.to_tokens(features).flatten(2).transpose(1, 2) + self.token_place
        return Frames(self.token_norm(coarse), self.map_norm(fine))


def rows_joined(config: ModelConfig) -> int:
    """Rows of the map in a token."""
    return 2 if config.view.height // STRIDE % 2 == 0 else 1


def _backbone(name: str) -> Any:
    """A timm network cut behind its last layer of stride 16."""
    whole: Any = timm.create_model(name, pretrained=False, features_only=True)
    strides = whole.feature_info.reduction()
    if STRIDE not in strides:
        raise ValueError(f"backbone {name} has no feature map of stride {STRIDE}, only {strides}: choose another one")
    return timm.create_model(name, pretrained=False, features_only=True, out_indices=(strides.index(STRIDE),))

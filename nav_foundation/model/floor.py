"""How far the floor is free in each direction, for maps: what a laser would say, from one picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nav_foundation.model.config import ModelConfig
from nav_foundation.model.encoder import STRIDE
from nav_foundation.preprocessing import CanonicalView

PER_CELL = 4  # columns of floor in a column of the map
NEAREST, FARTHEST = 0.2, 6.0  # m from under the camera, where the first bin begins and the last one ends
_OF_CELL, _HIDDEN = 64, 192


def floor_edges(bins: int) -> np.ndarray:
    """[bins + 1] m, borders of the bins: about as fine as can be seen, near and far."""
    return np.geomspace(NEAREST, FARTHEST, bins + 1)


def floor_columns(view: CanonicalView) -> int:
    return view.width // STRIDE * PER_CELL


def floor_bearings(view: CanonicalView) -> np.ndarray:
    """[C] rad to the left of the camera's heading, from left to right."""
    columns = floor_columns(view)
    across = (np.arange(columns) + 0.5) * view.width / columns - view.width / 2
    return np.arctan2(-across, view.focal)


class FloorHead(nn.Module):
    """Reads the finer tokens of a picture, whole columns at once, and who is looking."""

    def __init__(self, config: ModelConfig, body: int) -> None:
        super().__init__()
        self.rows, self.bins = config.view.height // STRIDE, config.floor_bins
        cells = self.rows * (config.view.width // STRIDE)
        self.cell = nn.Linear(config.width, _OF_CELL)
        self.place = nn.Parameter(torch.zeros(cells, _OF_CELL))
        self.column = nn.Sequential(
            nn.Conv1d(self.rows * _OF_CELL + body + 1, _HIDDEN, 3, padding=1), nn.GELU(),
            nn.Conv1d(_HIDDEN, _HIDDEN, 3, padding=1), nn.GELU(),
            nn.Conv1d(_HIDDEN, PER_CELL * self.bins, 1),
        )

    def forward(self, cells: Tensor, body: Tensor, tall: Tensor) -> Tensor:
        """[N, C, bins] logits that something is in the way in a bin, if nothing was in those before it.

        `cells` [N, M, D] are a picture's Frames.map, `body` [N, BODY] as body_of tells it, `tall` [N] m of room needed.
        """
        seen = nn.functional.gelu(self.cell(cells) + self.place).unflatten(1, (self.rows, -1))  # [N, rows, columns, D]
        columns = seen.permute(0, 1, 3, 2).flatten(1, 2)
        who = torch.cat([body, (tall / 0.4).log()[:, None]], dim=1)[..., None].expand(-1, -1, columns.shape[-1])
        told = self.column(torch.cat([columns, who], dim=1)).unflatten(1, (PER_CELL, self.bins))
        return torch.as_tensor(told.permute(0, 3, 1, 2).flatten(1, 2))

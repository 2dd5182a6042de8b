"""Low-rank changes to a network: few numbers to learn from little data, folded back into plain weights at the end."""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
from torch import Tensor, nn

RANK = 8
Module = TypeVar("Module", bound=nn.Module)


class LowRank(nn.Module):
    """A linear layer that stays as it is, and a product of two thin matrices beside it that begins as zero."""

    def __init__(self, layer: nn.Linear, rank: int = RANK) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Parameter(torch.empty(rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, values: Tensor) -> Tensor:
        change = nn.functional.linear(nn.functional.linear(values, self.down), self.up)
        return torch.as_tensor(self.layer(values) + change)

    @torch.no_grad()
    def folded(self) -> nn.Linear:
        layer = copy.deepcopy(self.layer)
        layer.weight += self.up @ self.down
        return layer


def add_low_rank(module: nn.Module, rank: int = RANK) -> None:
    """Every linear layer within gets one."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, LowRank(child, rank))
        else:
            add_low_rank(child, rank)


def folded(module: Module) -> Module:
    """A copy with plain layers again."""
    module = copy.deepcopy(module)
    _fold(module)
    return module


def _fold(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, LowRank):
            setattr(module, name, child.folded())
        else:
            _fold(child)

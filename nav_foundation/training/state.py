"""What a training needs to go on bit by bit where it was: weights, optimiser, averages and place.

A state is written beside the last one and moved into place whole, so that a kill leaves one of the two.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn


class Average:
    """Exponential moving average of weights: what is evaluated and shipped."""

    def __init__(self, model: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Early on it follows faster, so that the first weights are soon forgotten."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mine, theirs in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs.to(mine.dtype), 1 - decay)
            else:
                mine.copy_(theirs)


@dataclass
class State:
    """Everything of a training that changes."""

    model: nn.Module
    average: Average
    optimiser: torch.optim.Optimizer
    step: int = 0

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        torch.save({
            "model": self.model.state_dict(), "average": self.average.model.state_dict(),
            "updates": self.average.updates, "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }, draft)
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)

    def load(self, path: Path) -> None:
        try:
            kept: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise ValueError(f"training state {path} cannot be read ({error}): begin anew without --resume") from None
        try:
            self.model.load_state_dict(kept["model"])
            self.average.model.load_state_dict(kept["average"])
        except RuntimeError:
            raise ValueError(f"training state {path} is of another network, perhaps of an older version: begin anew "
                             "without --resume, or go on from its checkpoint with --from") from None
        self.average.updates = int(kept["updates"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.step = int(kept["step"])

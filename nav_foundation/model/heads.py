"""From readouts to numbers: waypoints, distance, arrival, collision; and from pictures the free floor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nav_foundation.model.attention import MLP
from nav_foundation.model.config import ModelConfig
from nav_foundation.model.floor import FloorHead

NUMBERS = 4  # of a waypoint: x, y in steps, cos and sin of its yaw


class WaypointFlow(nn.Module):
    """The velocity field of flow matching: noise flows along it to a plan. Steps are taken by a diffusers scheduler."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size, width = NUMBERS * config.horizon, config.flow_width
        self.into, self.time = nn.Linear(size, width), MLP(16, width, width)
        self.condition = nn.Linear(config.width, width)
        self.layers = nn.ModuleList(MLP(width, 2 * width) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.out = nn.Linear(width, size)
        self.register_buffer("frequencies", 2.0 ** torch.arange(8), persistent=False)

    def forward(self, noisy: Tensor, time: Tensor, readout: Tensor) -> Tensor:
        """d(plan)/d(time) [N, H, 4] at plans [N, H, 4] of time [N], 0 = plan and 1 = noise; readout [N, D]."""
        angles = time[:, None] * torch.as_tensor(self.frequencies)
        told = self.time(torch.cat([angles.sin(), angles.cos()], dim=1)) + self.condition(readout)
        hidden = self.into(noisy.flatten(1))
        for norm, layer in zip(self.norms, self.layers):
            hidden = hidden + layer(norm(hidden + told))
        return torch.as_tensor(self.out(hidden).view_as(noisy))


class Heads(nn.Module):
    """`plan` and `value` are the two readouts of a goal, [..., D] each."""

    def __init__(self, config: ModelConfig, body: int) -> None:
        super().__init__()
        self.horizon = config.horizon
        self.waypoints = MLP(config.width, 2 * config.width, NUMBERS * config.horizon)
        self.flow = WaypointFlow(config)
        self.distance = MLP(config.width, config.width, config.distance_bins + 1)  # the last one: far or unreachable
        self.arrival = MLP(config.width, config.width, 1)
        self.collision = MLP(config.width + NUMBERS * config.horizon, 2 * config.width, 1)  # of any plan
        self.place = MLP(config.width, config.width, 5)  # of a picture or words: see losses.place_targets
        self.depth = nn.Linear(config.width, 1)  # log m of a cell of the map, in training alone
        self.floor = FloorHead(config, body) if config.floor_bins else None
        self.register_buffer("edges", _edges(config), persistent=False)  # m, upper ends of the bins

    def regressed(self, plan: Tensor) -> Tensor:
        """[..., H, 4] the mean plan, in the flow's units."""
        return torch.as_tensor(self.waypoints(plan).unflatten(-1, (self.horizon, NUMBERS)))

    def touching(self, plan: Tensor, waypoints: Tensor) -> Tensor:
        """[...] logits that driving `waypoints` [..., H, 4] touches something."""
        return torch.as_tensor(self.collision(torch.cat([plan, waypoints.flatten(-2)], dim=-1)).squeeze(-1))


def _edges(config: ModelConfig) -> Tensor:
    ratio = config.farthest / config.nearest
    return config.nearest * ratio ** (torch.arange(config.distance_bins) / (config.distance_bins - 1))

"""Losses as pure functions. A weight says how much of each goal is known; what is not known teaches nothing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """The mean of values [...] by weights [...]; 0 where all weights are 0."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def waypoint_loss(predicted: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Mean absolute error of plans [..., H, 4] in the units of units.to_network."""
    return weighted_mean((predicted - wanted).abs().mean(dim=(-2, -1)), weights)


def flow_pair(plans: Tensor, noise: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Flow matching's (input, answer) [N, H, 4] at times [N], 0 = plan and 1 = noise: straight lines between both."""
    t = time.view(-1, 1, 1)
    return (1 - t) * plans + t * noise, noise - plans


def flow_loss(slopes: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Mean square error of slopes [N, H, 4] by weights [N]."""
    return weighted_mean((slopes - wanted).square().mean(dim=(-2, -1)), weights)


def distance_targets(distance: Tensor, unreachable: Tensor, edges: Tensor) -> Tensor:
    """[..., K + 1] shares of the bins that end at `edges` [K] m: a distance lies between the middles of two of them."""
    centres = edges - 0.5 * edges.diff(prepend=edges.new_zeros(1))
    above = torch.searchsorted(centres, distance.clamp(max=float(centres[-1]))).clamp(1, len(centres) - 1)
    low, high = centres[above - 1], centres[above]
    share = ((distance - low) / (high - low)).clamp(0, 1)
    targets = torch.zeros(*distance.shape, len(edges) + 1, device=distance.device)
    targets.scatter_(-1, (above - 1)[..., None], (1 - share)[..., None])
    targets.scatter_(-1, above[..., None], share[..., None])
    far = unreachable | (distance > edges[-1])
    return torch.where(far[..., None], F.one_hot(torch.tensor(len(edges)), len(edges) + 1).to(targets), targets)


def distance_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of bins [..., K + 1]."""
    return weighted_mean(-(targets * logits.log_softmax(dim=-1)).sum(dim=-1), weights)


def arrival_loss(logits: Tensor, arrived: Tensor, weights: Tensor) -> Tensor:
    return weighted_mean(F.binary_cross_entropy_with_logits(logits, arrived, reduction="none"), weights)

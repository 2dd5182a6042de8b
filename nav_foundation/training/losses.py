"""Losses of each goal, as pure functions. How they are weighed is told in forward.py."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def waypoint_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """[...] mean absolute error of plans [..., H, 4] in the units of units.to_network."""
    return (predicted - wanted).abs().mean(dim=(-2, -1))


def flow_pair(plans: Tensor, noise: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """Flow matching's (input, answer) [N, H, 4] at times [N], 0 = plan and 1 = noise: straight lines between both."""
    t = time.view(-1, 1, 1)
    return (1 - t) * plans + t * noise, noise - plans


def flow_loss(slopes: Tensor, wanted: Tensor) -> Tensor:
    """[N] mean square error of slopes [N, H, 4]."""
    return (slopes - wanted).square().mean(dim=(-2, -1))


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


def distance_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """[...] cross-entropy of bins [..., K + 1]."""
    return -(targets * logits.log_softmax(dim=-1)).sum(dim=-1)


def place_targets(places: Tensor) -> Tensor:
    """[..., 5] of places [..., 3] (x, y in m, yaw in rad): log of 1 + range, bearing and yaw as cosine and sine."""
    away, bearing = places[..., :2].norm(dim=-1), torch.atan2(places[..., 1], places[..., 0])
    yaw = places[..., 2]
    return torch.stack([away.log1p(), bearing.cos(), bearing.sin(), yaw.cos(), yaw.sin()], dim=-1)


def place_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """[...] mean absolute error of places as above."""
    return (predicted - wanted).abs().mean(dim=-1)


def sight_targets(places: Tensor, found: Tensor, columns: int, cells: int) -> Tensor:
    """[..., cells + 1] shares of the cells around places [..., 2] (column, row); all of the last one if not found."""
    rows = cells // columns
    targets = places.new_zeros(*places.shape[:-1], cells + 1)
    x = places[..., 0].clamp(0, columns - 1)
    y = places[..., 1].clamp(0, rows - 1)
    left, top = x.floor().clamp(max=columns - 2), y.floor().clamp(max=rows - 2)
    for column, across in ((left, 1 - (x - left)), (left + 1, x - left)):
        for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
            targets.scatter_add_(-1, (row * columns + column).long()[..., None], (across * down)[..., None])
    nowhere = F.one_hot(torch.tensor(cells, device=targets.device), cells + 1).to(targets)
    return torch.where((found > 0)[..., None], targets, nowhere)


def sight_loss(logits: Tensor, places: Tensor, found: Tensor, columns: int) -> Tensor:
    """[B, Q] cross-entropy of where tokens [B, Q, K] are seen, a mean over those known (`found` 0 or 1, not -1)."""
    known = (found >= 0).float()
    targets = sight_targets(places, found, columns, logits.shape[-1] - 1)
    off = -(targets * logits.log_softmax(dim=-1)).sum(dim=-1)
    return (off * known).sum(dim=-1) / known.sum(dim=-1).clamp(min=1)


def depth_loss(predicted: Tensor, depth: Tensor) -> Tensor:
    """[N] mean absolute error of log depths [N, cells] against m, over those known (not NaN)."""
    known = depth.isfinite()
    off = (predicted - depth.nan_to_num(1.0).clamp(min=0.05).log()).abs() * known
    return off.sum(dim=-1) / known.sum(dim=-1).clamp(min=1)


def floor_loss(logits: Tensor, floor: Tensor, edges: Tensor) -> Tensor:
    """[N] cross-entropy of columns [N, C, bins], each a sum over bins; 0 where nothing is known.

    `floor` [N, C, 2] m, as `clearance.free_floor` tells it: bins are free up to the first thing in the way, which is in
    the next one, or else up to the farthest that is seen. What lies beyond is not known. `edges` [bins + 1] m.
    """
    first, farthest = (torch.bucketize(part.contiguous(), edges, right=True) - 1 for part in floor.unbind(-1))
    bins = logits.shape[-1]
    stopped = floor[..., 0] < edges[-1]
    free = torch.where(stopped, first, farthest).clamp(0, bins)  # so many bins are
    number = torch.arange(bins, device=logits.device)
    hit = stopped[..., None] & (number == free[..., None])
    known = ((number < free[..., None]) | hit) & (floor[..., 1:] > 0)
    off = F.binary_cross_entropy_with_logits(logits, hit.to(logits), reduction="none") * known
    return off.sum(dim=(-2, -1)) / known.any(dim=-1).sum(dim=-1).clamp(min=1)


def touch_loss(logits: Tensor, touched: Tensor) -> Tensor:
    """[...] cross-entropy of whether plans touch something; 0 where that is not known (NaN)."""
    known = touched.isfinite()
    return F.binary_cross_entropy_with_logits(logits, touched.nan_to_num(0.0), reduction="none") * known


def arrival_loss(logits: Tensor, arrived: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, arrived, reduction="none")

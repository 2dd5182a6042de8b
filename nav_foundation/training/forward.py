"""A batch through the network, once: every picture encoded once, all goals of a frame decoded together."""

from __future__ import annotations

import torch
from torch import Tensor

from nav_foundation.model.encoder import Frames
from nav_foundation.model.floor import floor_edges
from nav_foundation.model.goals import KINDS, GoalTokens
from nav_foundation.model.network import History, Memory, NavigationModel, Readouts
from nav_foundation.training.batch import Batch, as_input
from nav_foundation.training.course import Losses
from nav_foundation.training.losses import (
    arrival_loss,
    depth_loss,
    distance_loss,
    distance_targets,
    floor_loss,
    flow_loss,
    flow_pair,
    place_loss,
    place_targets,
    sight_loss,
    touch_loss,
    waypoint_loss,
)

# Shares of the sum.
PARTS = {
    "waypoints": 5.0, "flow": 2.0, "distance": 0.3, "arrival": 1.0, "place": 1.0, "sight": 1.0, "collision": 1.0,
    "depth": 1.0, "floor": 0.3,
}


def frames_of(model: NavigationModel, batch: Batch) -> Frames:
    """Of all pictures of a batch; those that nobody looks at, pasts that are left out, are not encoded and 0."""
    needed = batch.needed
    some = encoded(model, batch.pictures[needed])
    return Frames(*(part.new_zeros(len(batch.pictures), *part.shape[1:]).index_copy(0, needed, part) for part in some))


def encoded(model: NavigationModel, pictures: Tensor) -> Frames:
    """Of pictures [N, 3, h, w] in 0..255."""
    return model.encoder(as_input(pictures.float() / 255.0))  # type: ignore[no-any-return]


def readouts_of(model: NavigationModel, batch: Batch, frames: Frames) -> Readouts:
    """Of all goals of a batch, whose pictures are `frames`."""
    current = Frames(frames.tokens[batch.current], frames.map[batch.current])
    past = frames.summary[batch.past]
    memory = model.remember(current, History(past, batch.motion, batch.past_seen), batch.body)
    return _decided(model, memory, goal_tokens(model, batch, frames.tokens))


def _decided(model: NavigationModel, memory: Memory, goals: GoalTokens) -> Readouts:
    """As `model.decide`, but goals of one token are not filled up to those of many, which would cost a third more."""
    few = ~goals.seen[:, :, 1:].any(dim=2).any(dim=0)
    if few.all() or not few.any():
        return model.decide(memory, goals)
    order = torch.cat([few.nonzero(), (~few).nonzero()]).flatten().argsort()
    short = model.decide(memory, GoalTokens(goals.tokens[:, few, :1], goals.seen[:, few, :1]))
    long = model.decide(memory, GoalTokens(goals.tokens[:, ~few], goals.seen[:, ~few]))
    alone = Readouts(*short[:2], short.found.expand(-1, -1, long.found.shape[2], -1))
    return Readouts(*(torch.cat(parts, dim=1)[:, order] for parts in zip(alone, long)))


def goal_tokens(model: NavigationModel, batch: Batch, frame_tokens: Tensor) -> GoalTokens:
    """[B, Q, G, D] of the goals of a batch, whose pictures have tokens [N, K, D]."""
    kind = batch.kind.flatten()
    longest = max(model.encoder.tokens, model.config.text_tokens)
    tokens = frame_tokens.new_zeros(len(kind), longest, model.config.width)
    seen = torch.zeros(len(kind), longest, dtype=torch.bool, device=kind.device)

    def put(rows: Tensor, goals: GoalTokens) -> None:
        nonlocal tokens
        filled = torch.nn.functional.pad(goals.tokens, (0, 0, 0, longest - goals.tokens.shape[1]))
        tokens = tokens.index_copy(0, rows, filled.to(tokens.dtype))
        seen[rows, : goals.tokens.shape[1]] = goals.seen

    def of(*names: str) -> Tensor:
        wanted = torch.isin(kind, torch.tensor([KINDS.index(name) for name in names], device=kind.device))
        return wanted.nonzero().flatten()

    adapters = model.goals
    image, point, words, route, none = of("image"), of("point"), of("words", "object"), of("route"), of("none")
    far = of("far")
    put(none, adapters.none(len(none)))
    put(image, adapters.image(frame_tokens[batch.picture.flatten()[image]]))
    put(point, adapters.place(batch.place.flatten(0, 1)[point], batch.has_yaw.flatten()[point]))
    put(far, adapters.far(batch.place.flatten(0, 1)[far], batch.spread.flatten()[far]))
    put(route, adapters.route(batch.route.flatten()[route]))
    if len(words):
        put(words, adapters.words(batch.text, batch.text_seen, kind[words] == KINDS.index("object")))
    shape = batch.kind.shape
    return GoalTokens(tokens.unflatten(0, shape), seen.unflatten(0, shape))


def losses_of(model: NavigationModel, batch: Batch, frames: Frames, readouts: Readouts) -> Losses:
    heads, needed = model.heads, batch.needed
    time = batch.time.flatten()
    noisy, slopes = flow_pair(batch.waypoints.flatten(0, 1), batch.noise.flatten(0, 1), time)
    edges = torch.as_tensor(heads.edges)
    flow = flow_loss(heads.flow(noisy, time, readouts.plan.flatten(0, 1)), slopes)
    targets = distance_targets(batch.distance, batch.unreachable, edges)
    parts = (
        (waypoint_loss(heads.regressed(readouts.plan), batch.waypoints), batch.drives),
        (flow.view_as(batch.drives), batch.drives),
        (distance_loss(heads.distance(readouts.value), targets), batch.measured),
        (arrival_loss(heads.arrival(readouts.value).squeeze(-1), batch.arrived), batch.judged),
        (place_loss(heads.place(readouts.value), place_targets(batch.place)), batch.located),
        sight_part(model, readouts.found[:, :, : batch.found.shape[2]], batch.shown, batch.found),
        (touch_loss(heads.touching(readouts.plan, batch.tried), batch.touched), batch.touched.isfinite().float()),
        depth_part(model, Frames(*(part[needed] for part in frames)), batch.depth[needed]),
        floor_part(model, frames.map[batch.current], batch),
    )
    return Losses.of(parts)


def sight_part(model: NavigationModel, logits: Tensor, shown: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Values and weights of where goals' tokens are seen [B, Q, K, cells + 1]; see Batch.shown and .found."""
    return sight_loss(logits, shown, found, model.encoder.columns), found.ge(0).any(dim=2).float()


def depth_part(model: NavigationModel, frames: Frames, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Values and weights of how far away cells are: depth [N, cells] in m, NaN where it is not known."""
    return depth_loss(model.heads.depth(frames.map).squeeze(-1), depth), depth.isfinite().any(dim=1).float()


def floor_part(model: NavigationModel, cells: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Values and weights [B] of how far the floor is free about the stands, whose pictures have `cells` [B, M, D]."""
    known = (batch.floor[..., 1] > 0).any(dim=1).float()
    if model.heads.floor is None or not known.any():  # what is not taught is not changed
        return torch.zeros_like(known), known
    told = model.heads.floor(cells, batch.body, batch.tall)
    edges = torch.as_tensor(floor_edges(told.shape[-1]), dtype=batch.floor.dtype, device=told.device)
    return floor_loss(told, batch.floor, edges), known

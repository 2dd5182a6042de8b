"""A course that teaches only to see: where pictures show the same things, and how far away those are.

Goals, pasts and plans are left out, so that the encoder meets more pictures in the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.model.encoder import Frames
from nav_foundation.model.goals import KINDS
from nav_foundation.model.network import NavigationModel
from nav_foundation.training.batch import Batch, about
from nav_foundation.training.clips import ClipMaker
from nav_foundation.training.course import Losses
from nav_foundation.training.forward import PARTS, depth_part, encoded, sight_part
from nav_foundation.training.ours import Ours

_STANDS = 3  # besides the frame itself


@dataclass(frozen=True)
class Eyes(Ours):
    @property
    def parts(self) -> Mapping[str, float]:
        return {name: PARTS[name] for name in ("sight", "depth")}

    def maker(self, dataset: EpisodeDataset, episodes: Sequence[int]) -> ClipMaker:
        if not dataset.has_depth:
            raise ValueError(f"{dataset.folder} has no depth, which eyes are taught by: collect with --depth, or leave "
                             "out --eyes")
        return ClipMaker(
            dataset, self.config, replace(self.rules, stands=min(_STANDS, self.rules.goals - 1)), episodes)

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        assert isinstance(network, NavigationModel)
        is_image = batch.kind == KINDS.index("image")
        needed = torch.cat([batch.current, batch.picture[is_image]]).unique()  # none of the past
        frames = encoded(network, batch.pictures[needed])
        found = sought(network, frames, torch.searchsorted(needed, batch.current),
                       torch.searchsorted(needed, batch.picture))
        return Losses.of((
            sight_part(network, found, batch.shown, about(batch, ("image",)).found),
            depth_part(network, frames, batch.depth[needed]),
        ))


def sought(model: NavigationModel, frames: Frames, current: Tensor, picture: Tensor) -> Tensor:
    """[B, Q, K, cells + 1] logits of where pictures `current` [B] show what goal pictures [B, Q] do."""
    tokens = model.goals.image(frames.tokens).tokens
    _, found = model.correspondence(tokens[picture].flatten(1, 2), frames.map[current])
    return torch.as_tensor(found.view(*picture.shape, tokens.shape[1], -1))

"""A course that teaches how far the floor is free, and leaves all else of a network as it is, to the bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.model.network import NavigationModel
from nav_foundation.training.batch import Batch
from nav_foundation.training.clips import ClipMaker
from nav_foundation.training.course import Losses
from nav_foundation.training.forward import PARTS, encoded, floor_part
from nav_foundation.training.ours import Ours

_STANDS = 7  # besides the frame itself


@dataclass(frozen=True)
class Floor(Ours):
    @property
    def parts(self) -> Mapping[str, float]:
        return {"floor": PARTS["floor"]}

    def maker(self, dataset: EpisodeDataset, episodes: Sequence[int]) -> ClipMaker:
        if not dataset.has_depth:
            raise ValueError(f"{dataset.folder} has no depth, which shows the free floor: collect with --depth, or "
                             "leave out --floor")
        rules = replace(self.rules, goals=_STANDS + 1, stands=_STANDS, neighbours=0, things=0)
        return ClipMaker(dataset, self.config, rules, episodes)

    def network(self) -> NavigationModel:
        model = super().network()
        model.learn_floor()
        model.eval().requires_grad_(False)
        assert model.heads.floor is not None
        model.heads.floor.requires_grad_(True)
        return model

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        assert isinstance(network, NavigationModel)
        with torch.no_grad():
            cells = encoded(network, batch.pictures[batch.current]).map
        return Losses.of((floor_part(network, cells, batch),))

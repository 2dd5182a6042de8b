"""The course of our network: all kinds of goals at once, from new weights or fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.model.checkpoint import config_of, from_pretrained, save_pretrained
from nav_foundation.model.config import ModelConfig, preset
from nav_foundation.model.lora import folded
from nav_foundation.model.network import NavigationModel
from nav_foundation.training.augment import mirrored, relit
from nav_foundation.training.batch import Batch, about, collate
from nav_foundation.training.clips import Clip, ClipMaker
from nav_foundation.training.course import Losses
from nav_foundation.training.forward import PARTS, frames_of, losses_of, readouts_of
from nav_foundation.training.pairs import ClipRules
from nav_foundation.training.settings import TrainSettings
from nav_foundation.training.tuning import kinds_of, prepare


@dataclass(frozen=True)
class Ours:
    config: ModelConfig
    rules: ClipRules = field(default_factory=ClipRules)
    begin_with: Path | None = None  # a checkpoint
    tune: str = "all"  # of tuning.TUNES

    @classmethod
    def of(cls, settings: TrainSettings, begin_with: Path | None) -> Ours:
        if begin_with is None:
            config = replace(preset(settings.model), text_tower=settings.text_tower)
            if not any(EpisodeDataset(folder).has_depth for folder in settings.data):
                config = replace(config, floor_bins=0)  # nothing shows it how far the floor is free
        else:
            config = config_of(begin_with)
        return cls(config, settings.rules, begin_with, settings.tune)

    @property
    def parts(self) -> Mapping[str, float]:
        return PARTS

    def maker(self, dataset: EpisodeDataset, episodes: Sequence[int]) -> ClipMaker:
        return ClipMaker(dataset, self.config, self.rules, episodes)

    def varied(self, clip: Clip, rng: np.random.Generator, light: float, flips: bool) -> Clip:
        if flips and rng.random() < 0.5:
            clip = mirrored(clip)
        return replace(clip, pictures=relit(clip.pictures, rng, light)) if light else clip

    def collate(self, clips: Sequence[Clip]) -> Batch:
        return about(collate(clips, self.config), kinds_of(self.tune))

    def network(self) -> NavigationModel:
        if self.begin_with is None:
            return NavigationModel(self.config)
        model = from_pretrained(self.begin_with)
        prepare(model, self.tune)
        return model

    def losses(self, network: nn.Module, batch: Batch) -> Losses:
        assert isinstance(network, NavigationModel)
        frames = frames_of(network, batch)
        return losses_of(network, batch, frames, readouts_of(network, batch, frames))

    def save(self, network: nn.Module, folder: Path, provenance: dict[str, Any]) -> None:
        assert isinstance(network, NavigationModel)
        save_pretrained(folded(network), folder, provenance)

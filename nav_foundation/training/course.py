"""A course: which network learns, from what samples, by which losses. Ours, or a published one for comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from nav_foundation.data.dataset import EpisodeDataset

Make = Callable[[int, int, np.random.Generator], Any]  # (episode, frame, randomness) -> a clip


class Losses(NamedTuple):
    """Each part of a course as a sum over goals, and the weights that it was summed with: 0 for what is not known."""

    sums: Tensor  # [parts] in the order of the course's
    weights: Tensor  # [parts]

    @staticmethod
    def of(parts: Sequence[tuple[Tensor, Tensor]]) -> Losses:
        """Of each part's (values, weights), alike in shape."""
        return Losses(
            torch.stack([(values * weights).sum() for values, weights in parts]),
            torch.stack([weights.sum() for _, weights in parts]),
        )

    def total(self, shares: Mapping[str, float], weights: Tensor | None = None) -> Tensor:
        """The loss; `weights` [parts] are those of all processes together, where there are several."""
        counts = torch.tensor(list(shares.values()), device=self.sums.device)
        return (counts * self.sums / (self.weights if weights is None else weights).clamp(min=1e-6)).sum()


class Batch(Protocol):
    """Clips side by side, as tensors; a dataclass, so that one that made a training diverge can be kept."""

    @property
    def count(self) -> int:
        """Pairs of an observation and a goal."""

    def to(self, device: torch.device) -> Any: ...


class Course(Protocol):
    """Plain data, so that it crosses to the processes that prepare clips."""

    @property
    def parts(self) -> Mapping[str, float]:
        """Names of the losses, and their shares of the sum."""

    def maker(self, dataset: EpisodeDataset, episodes: Sequence[int]) -> Make:
        """Of some episodes of a dataset, which are all it may look at."""

    def varied(self, clip: Any, rng: np.random.Generator, light: float, flips: bool) -> Any:
        """The clip in other light (`light` = how much), perhaps in a mirror."""

    def collate(self, clips: Sequence[Any]) -> Any:
        """Their Batch."""

    def network(self) -> nn.Module:
        """What learns, from its beginning."""

    def losses(self, network: nn.Module, batch: Any) -> Losses: ...

    def save(self, network: nn.Module, folder: Path, provenance: dict[str, Any]) -> None: ...

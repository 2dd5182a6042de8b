"""Which sample comes when: many datasets mixed by weight, shuffled so that (seed, epoch, index) says it all.

Workers may be any number and training may stop anywhere: sample `index` of an epoch is the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.schema import DataError


@dataclass(frozen=True)
class Sample:
    dataset: int
    episode: int
    frame: int


class Mixture:
    """Frames of several datasets as one. `weights` are shares of the samples; by default each frame counts the same.

    `chosen` has the numbers of the episodes to use of each dataset; by default all.
    """

    def __init__(
        self, datasets: Sequence[EpisodeDataset], weights: Sequence[float] | None = None, samples: int | None = None,
        chosen: Sequence[np.ndarray] | None = None,
    ) -> None:
        if not datasets:
            raise DataError("no dataset was given: name at least one")
        self.datasets = tuple(datasets)
        self._frames = [_Frames(d, None if chosen is None else chosen[k]) for k, d in enumerate(datasets)]
        sizes = np.array([frames.count for frames in self._frames], dtype=np.float64)
        shares = sizes if weights is None else np.asarray(weights, dtype=np.float64)
        if shares.shape != sizes.shape or not np.isfinite(shares).all() or (shares < 0).any() or not shares.sum() > 0:
            raise DataError(f"weights {weights} do not fit {len(datasets)} datasets: give one each, 0 or more")
        if ((shares > 0) & (sizes == 0)).any():
            empty = self.datasets[int(np.flatnonzero((shares > 0) & (sizes == 0))[0])]
            raise DataError(f"{empty.folder} holds no readable frames: leave it out")
        self.weights = shares / shares.sum()
        self.samples = int(sizes[self.weights > 0].sum()) if samples is None else samples

    def __len__(self) -> int:
        """Samples of an epoch."""
        return self.samples

    def epoch(self, seed: int, epoch: int) -> Epoch:
        return Epoch(self, seed, epoch)


class Epoch:
    """One epoch's order. Every frame of a dataset comes once before any comes twice."""

    def __init__(self, mixture: Mixture, seed: int, epoch: int) -> None:
        self._mixture = mixture
        rng = np.random.default_rng([seed, epoch])
        # Even shares at any point of the epoch: position k takes the dataset whose turn the golden ratio says it is.
        turns = (np.arange(len(mixture)) * 0.6180339887498949 + rng.random()) % 1.0
        self._dataset = np.searchsorted(np.cumsum(mixture.weights)[:-1], turns, side="right").astype(np.int32)
        self._rank = np.empty(len(mixture), np.int64)  # how often that dataset has had its turn before
        self._orders = []
        for number, frames in enumerate(mixture._frames):
            mine = np.flatnonzero(self._dataset == number)
            self._rank[mine] = np.arange(len(mine))
            rounds = -(-len(mine) // max(frames.count, 1))
            order = [np.random.default_rng([seed, epoch, number, k]).permutation(frames.count) for k in range(rounds)]
            self._orders.append(np.concatenate(order) if order else np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} is not in an epoch of {len(self)}")
        dataset = int(self._dataset[index])
        flat = int(self._orders[dataset][self._rank[index]])
        return Sample(dataset, *self._mixture._frames[dataset].place(flat))


class _Frames:
    """The readable frames of a dataset, counted through."""

    def __init__(self, dataset: EpisodeDataset, chosen: np.ndarray | None) -> None:
        readable = np.flatnonzero(dataset.readable)
        self._episodes = readable if chosen is None else np.intersect1d(readable, chosen)
        self._ends = np.cumsum(dataset.lengths[self._episodes])

    @property
    def count(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def place(self, flat: int) -> tuple[int, int]:
        """(episode, frame) of a running number."""
        k = int(np.searchsorted(self._ends, flat, side="right"))
        before = int(self._ends[k - 1]) if k else 0
        return int(self._episodes[k]), flat - before

"""Samples by number: the n-th one is the same whoever asks for it, so any number of workers and processes agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.mixture import Epoch, Mixture
from nav_foundation.training.course import Course, Make

Part = Literal["all", "learnt", "held"]
HELD = 1 / 8  # of the drives


@dataclass(frozen=True)
class Samples(Dataset[Any]):
    """Clips of a mixture, without end: after an epoch comes the next one. Crosses to other processes as it is here."""

    course: Course
    data: tuple[str, ...]  # datasets
    weights: tuple[float, ...] = ()  # shares of the samples; empty = every frame counts the same
    seed: int = 0
    light: float = 1.0  # strength of other light
    flips: bool = True
    part: Part = "all"  # of each dataset: the last eighth of its drives is held where one learns from the others

    def __getitem__(self, number: int) -> Any:
        mixture, makers = _opened(self)
        epoch, index = divmod(number, len(mixture))
        sample = _epoch(self, epoch)[index]
        rng = np.random.default_rng([self.seed, number])
        clip = makers[sample.dataset](sample.episode, sample.frame, rng)
        return self.course.varied(clip, rng, self.light, self.flips)

    @property
    def drives(self) -> int:
        return sum(len(_part(EpisodeDataset(folder), self.part)) for folder in self.data)

    def check(self) -> None:
        """Raise here, in one sentence, what is wrong with the data."""
        _opened(self)


@lru_cache(maxsize=4)
def _opened(samples: Samples) -> tuple[Mixture, list[Make]]:
    """Once in each process."""
    datasets = [EpisodeDataset(folder) for folder in samples.data]
    chosen = [_part(dataset, samples.part) for dataset in datasets]
    mixture = Mixture(datasets, samples.weights or None, chosen=chosen)
    readable = [part[dataset.readable[part]].tolist() for dataset, part in zip(datasets, chosen)]
    return mixture, [samples.course.maker(dataset, part) for dataset, part in zip(datasets, readable)]


def _part(dataset: EpisodeDataset, part: Part) -> np.ndarray:
    """Numbers of its episodes. The last ones are held: neighbours in time show the same places."""
    if part == "all":
        return np.arange(dataset.episodes)
    held = max(1, round(dataset.episodes * HELD))
    if dataset.episodes < 2:
        raise ValueError(f"{dataset.folder} has one drive: two are needed, one of them to judge by")
    numbers = np.arange(dataset.episodes)
    return numbers[-held:] if part == "held" else numbers[:-held]


@lru_cache(maxsize=4)
def _epoch(samples: Samples, number: int) -> Epoch:
    return _opened(samples)[0].epoch(samples.seed, number)


def numbers_of(step: int, batch: int, rank: int = 0, ranks: int = 1) -> list[int]:
    """The samples of a training step that one of several processes computes."""
    share = batch // ranks
    first = step * batch + rank * share
    return list(range(first, first + share))


def loader(
    samples: Samples, steps: Sequence[int], batch: int, workers: int, rank: int = 0, ranks: int = 1
) -> Iterator[Any]:
    """The batches of some steps, in order, made by `workers` processes (0 = this one)."""
    loading: DataLoader[Any] = DataLoader(
        samples, batch_sampler=[numbers_of(step, batch, rank, ranks) for step in steps], num_workers=workers,
        collate_fn=samples.course.collate, prefetch_factor=4 if workers else None,
        worker_init_fn=_quiet if workers else None,
        multiprocessing_context="spawn" if workers else None,  # threads of libraries do not survive a fork
    )
    return iter(loading)


def _quiet(_: int) -> None:
    """Workers use one thread each: they are the parallelism."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(1)

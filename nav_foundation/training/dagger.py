"""DAgger: the network drives, the expert says what it would have done there, and the network goes on learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nav_foundation.training.settings import TrainSettings
from nav_foundation.training.train import MODEL, Trained, train

Collector = Callable[[Path, int, Path], None]  # (network, round, dataset to be made, or to be completed)


@dataclass(frozen=True)
class DaggerSettings:
    training: TrainSettings  # of every round; its data are the expert's own drives
    rounds: int = 3
    share: float = 0.5  # of the samples that come from corrections, those of all rounds so far alike

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds is {self.rounds}: give 1 or more")
        if not 0.0 < self.share < 1.0:
            raise ValueError(f"share is {self.share}: give a number between 0 and 1")


def dagger(settings: DaggerSettings, begin_with: Path, out: Path, collect: Collector, progress: bool = True) -> Trained:
    """All rounds into `out`; what is there already is gone on with, drive by drive and step by step."""
    network, corrections = begin_with, []
    for number in range(settings.rounds):
        folder = out / f"round{number + 1}"
        collect(network, number, folder / "drives")
        corrections.append(str(folder / "drives"))
        training = _mixed(settings, corrections)
        trained = train(training, folder / "training", resume=True, begin_with=network, progress=progress)
        network = folder / "training" / MODEL
    return trained


def _mixed(settings: DaggerSettings, corrections: list[str]) -> TrainSettings:
    training = settings.training
    shares = training.weights or (1.0,) * len(training.data)
    own = tuple((1 - settings.share) * share / sum(shares) for share in shares)
    more = (settings.share / len(corrections),) * len(corrections)
    return replace(training, data=(*training.data, *corrections), weights=(*own, *more))

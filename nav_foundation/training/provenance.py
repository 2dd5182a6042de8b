"""Where a network's knowledge comes from: whether it has seen real robots, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.model.folder import ROBOT_HOURS, is_ours, read_config


def robot_hours(data: Sequence[str], begin_with: Path | None = None) -> float:
    """Hours of driving by real robots in datasets, and in what the network was that it goes on from.

    Drives of simulators say in which scene they are; those of robots know of none.
    """
    before = 0.0
    if begin_with is not None and is_ours(begin_with):
        before = float(read_config(begin_with).get("provenance", {}).get(ROBOT_HOURS, 0.0))
    return before + sum(_hours(EpisodeDataset(folder)) for folder in data)


def _hours(dataset: EpisodeDataset) -> float:
    real = [number for number in range(dataset.episodes) if not dataset.info(number).scene]
    stamps = [dataset.stamps_ns(number) for number in real]
    return float(sum(np.ptp(times) for times in stamps)) / 3.6e12

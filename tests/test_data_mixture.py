"""Which sample comes when: shares, shuffles and resumption, over datasets of different sizes."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from drives_on_disk import made_up_drive, told

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.mixture import Mixture, Sample
from nav_foundation.data.schema import DataError
from nav_foundation.data.writer import DatasetWriter

LENGTHS = ([3, 5, 2], [40], [7, 1, 1, 30])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    made = []
    for number, lengths in enumerate(LENGTHS):
        made.append(tmp_path_factory.mktemp("mixture") / str(number))
        with DatasetWriter(made[-1], 5) as writer:
            for seed, length in enumerate(lengths):
                writer.add(told(seed), made_up_drive(seed, length))
    return made


def mixed(folders: list[Path], weights: list[float] | None = None, samples: int | None = None) -> Mixture:
    return Mixture([EpisodeDataset(folder) for folder in folders], weights, samples)


def share_of_worker(folders: list[Path], worker: int, workers: int, begin: int) -> dict[int, Sample]:
    """What one of several processes reads of an epoch that is resumed at `begin`."""
    epoch = mixed(folders, [1, 2, 3], 200).epoch(seed=4, epoch=9)
    return {index: epoch[index] for index in range(begin + worker, len(epoch), workers)}


def test_an_epoch_visits_every_frame_once(folders: list[Path]) -> None:
    mixture = mixed(folders)
    epoch = mixture.epoch(seed=1, epoch=0)
    assert len(epoch) == len(mixture) == sum(map(sum, LENGTHS))
    everything = {(d, e, f) for d, of in enumerate(LENGTHS) for e, n in enumerate(of) for f in range(n)}
    seen = Counter((s.dataset, s.episode, s.frame) for s in (epoch[k] for k in range(len(epoch))))
    # Shares are even at any point, so a dataset may get a sample more or less than it has frames.
    missing, twice = everything - set(seen), [key for key, count in seen.items() if count > 1]
    assert len(missing) <= 2 and len(twice) <= 2 and set(seen) <= everything


def test_workers_and_resumption_change_nothing(folders: list[Path]) -> None:
    epoch = mixed(folders, [1, 2, 3], 200).epoch(seed=4, epoch=9)
    whole = {index: epoch[index] for index in range(200)}
    spawn = multiprocessing.get_context("spawn")  # a fork hangs where other tests have left threads behind
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        for workers, begin in ((1, 0), (2, 0), (3, 117)):
            parts = pool.map(share_of_worker, *zip(*[(folders, w, workers, begin) for w in range(workers)]))
            merged = {index: sample for part in parts for index, sample in part.items()}
            assert merged == {index: sample for index, sample in whole.items() if index >= begin}


def test_seeds_and_epochs_shuffle_anew(folders: list[Path]) -> None:
    mixture = mixed(folders)
    orders = [[mixture.epoch(seed, epoch)[k] for k in range(60)] for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0))]
    assert orders[0] == orders[3] and orders[0] != orders[1] != orders[2] != orders[0]
    frames = [sample.frame for sample in orders[0] if sample.dataset == 1]
    assert frames != sorted(frames)


def test_shares_are_those_of_the_weights_all_along(folders: list[Path]) -> None:
    weights = np.array([0.5, 0.2, 0.3])
    epoch = mixed(folders, (4 * weights).tolist(), 5000).epoch(seed=0, epoch=0)
    datasets = np.array([epoch[k].dataset for k in range(5000)])
    for end in (50, 500, 5000):
        shares = np.bincount(datasets[:end], minlength=3) / end
        np.testing.assert_allclose(shares, weights, atol=3.0 / end + 1e-9)
    frames = Counter((s.episode, s.frame) for s in (epoch[k] for k in range(5000)) if s.dataset == 1)
    assert len(frames) == 40 and max(frames.values()) - min(frames.values()) <= 1  # none twice before all have been


def test_a_weight_of_nothing_leaves_a_dataset_out(folders: list[Path]) -> None:
    epoch = mixed(folders, [1, 0, 1]).epoch(0, 0)
    assert len(epoch) == 10 + 39 and {epoch[k].dataset for k in range(len(epoch))} == {0, 2}
    with pytest.raises(IndexError):
        epoch[len(epoch)]


@pytest.mark.parametrize("weights", [[1, 1], [-1, 1, 1], [0, 0, 0], [float("nan"), 1, 1]])
def test_weights_that_say_nothing_are_refused(folders: list[Path], weights: list[float]) -> None:
    with pytest.raises(DataError, match="weights"):
        mixed(folders, weights)


def test_unreadable_and_empty_datasets(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dataset"):
        Mixture([])
    DatasetWriter(tmp_path / "empty", 5).close()
    with pytest.raises(DataError, match="no readable frames"):
        mixed([*folders, tmp_path / "empty"], [1, 1, 1, 1])
    assert len(mixed([*folders, tmp_path / "empty"])) == sum(map(sum, LENGTHS))

"""LeRobot datasets whose tables are well formed and hold what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drives_on_disk import made_up_drive, told

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.importing.cut import ImportRules
from nav_foundation.data.importing.lerobot import read_lerobot
from nav_foundation.data.importing.run import import_drives
from nav_foundation.data.layout import FRONT, NAVIGATION, STATE
from nav_foundation.data.schema import DataError
from nav_foundation.data.writer import DatasetWriter

DATA, EPISODES = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"


def _changed(folder: Path, name: str, column: str, change: Callable[[list[Any]], Any], video: bool) -> None:
    """A dataset of two episodes of 12 frames, as others write them, with a column changed."""
    with DatasetWriter(folder, 5.0, video=video) as writer:
        for number in range(2):
            writer.add(told(number), made_up_drive(number))
    (folder / NAVIGATION).unlink()
    table = pq.read_table(folder / name)
    place = table.column_names.index(column)
    values = table.column(column).to_pylist()
    pq.write_table(table.set_column(place, column, pa.array(change(values))), folder / name)


@pytest.mark.parametrize("video", [True, False])
def test_frames_without_a_time_are_left_out(tmp_path: Path, video: bool) -> None:
    folder = tmp_path / "nan"
    _changed(folder, DATA, "timestamp", lambda values: [*values[:5], np.nan, *values[6:8], np.inf, *values[9:]], video)
    report = import_drives(read_lerobot(folder), tmp_path / "out", ImportRules(5.0, reverse="keep"))
    assert [entry.count for entry in report.left_out if "timestamp is not a number" in entry.why] == [2]
    dataset = EpisodeDataset(tmp_path / "out")
    assert dataset.lengths.tolist() == [10, 12]
    expected = np.delete(made_up_drive(0).poses, [5, 8], axis=0)
    np.testing.assert_allclose(dataset.poses(0)[:, :2], expected[:, :2], atol=1e-9)
    if video:
        with pytest.raises(DataError, match="timestamp is broken"):
            EpisodeDataset(folder).image(0, 5)


def test_an_episode_without_any_time_leaves_the_others(tmp_path: Path) -> None:
    _changed(tmp_path / "nan", DATA, "timestamp", lambda values: [np.nan] * 12 + values[12:], True)
    report = import_drives(read_lerobot(tmp_path / "nan"), tmp_path / "out", ImportRules(5.0))
    assert report.drives == 1 and any("no timestamp of episode 0" in entry.why for entry in report.left_out)


@pytest.mark.parametrize(
    ("name", "column", "change", "words"),
    [
        (EPISODES, f"videos/{FRONT}/from_timestamp", lambda values: [0.0, np.nan], "from_timestamp is not a number"),
        (DATA, STATE, lambda values: [["a", "b", "c"]] * len(values), "holds no numbers"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, name: str, column: str, change: Any, words: str) -> None:
    _changed(tmp_path / "odd", name, column, change, True)
    with pytest.raises(DataError, match=words):
        import_drives(read_lerobot(tmp_path / "odd"), tmp_path / "out", ImportRules(5.0))


def test_a_task_that_is_not_told(tmp_path: Path) -> None:
    _changed(tmp_path / "odd", DATA, "task_index", lambda values: [9] * len(values), True)
    with pytest.raises(DataError, match="does not tell of task 9"):
        EpisodeDataset(tmp_path / "odd").info(0)

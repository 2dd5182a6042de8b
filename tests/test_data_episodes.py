"""Episodes on disk: what was written is read, LeRobot's layout is kept, and no kill loses an episode."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drives_on_disk import START_NS, made_up_drive, picture, told

from nav_foundation.data import writer as writer_module
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.frames import FrameFile
from nav_foundation.data.images import decode, decode_depth, encode_depth, encode_jpeg, encode_png, size_of
from nav_foundation.data.layout import DATA_PATH, EPISODES_PATH, INFO, NAVIGATION, STATS, TASKS
from nav_foundation.data.schema import FRONT, DataError, EpisodeData
from nav_foundation.data.statistics import merged, of_depth, of_images, of_values
from nav_foundation.data.writer import DatasetWriter

FIRST = {"chunk_index": 0, "file_index": 0}


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are soon full, so that there are many."""
    monkeypatch.setattr(writer_module, "FILE_BYTES", 60_000)
    monkeypatch.setattr(writer_module, "EPISODES_PER_FILE", 4)


def write(folder: Path, drives: list[EpisodeData], **options: bool) -> None:
    with DatasetWriter(folder, 5, **options) as writer:
        for drive in drives:
            number = writer.episodes
            assert writer.add(told(number), drive) == number


def assert_holds(dataset: EpisodeDataset, drives: list[EpisodeData]) -> None:
    assert dataset.episodes == len(drives) and not dataset.damaged
    assert len(dataset) == sum(len(drive.images) for drive in drives)
    for number, drive in enumerate(drives):
        assert dataset.info(number) == told(number)
        np.testing.assert_array_equal(dataset.poses(number), drive.poses)
        np.testing.assert_array_equal(dataset.stamps_ns(number), drive.stamps_ns)
        np.testing.assert_array_equal(dataset.actions(number), drive.actions)
        assert [dataset.image_file(number, k) for k in range(len(drive.images))] == list(drive.images)


def test_what_was_written_is_read(tmp_path: Path, small_files: None) -> None:
    drives = [made_up_drive(seed, 3 + 7 * seed, depth=True, labels=True) for seed in range(11)]
    write(tmp_path / "d", drives)
    dataset = EpisodeDataset(tmp_path / "d")
    assert_holds(dataset, drives)
    assert len(list((tmp_path / "d").glob("data/*/*.parquet"))) > 2
    assert len(list((tmp_path / "d").glob("meta/episodes/*/*.parquet"))) == 3
    for number, drive in enumerate(drives):
        labels = dataset.labels(number)
        assert labels is not None and drive.labels is not None and drive.depth is not None
        np.testing.assert_array_equal(labels.plans, drive.labels.plans)
        np.testing.assert_array_equal(labels.goals, drive.labels.goals)
        np.testing.assert_array_equal(labels.distances, drive.labels.distances)
        np.testing.assert_array_equal(dataset.depth(number, 1), decode_depth(drive.depth[1]))


def test_a_dataset_grows_in_several_goes(tmp_path: Path, small_files: None) -> None:
    drives = [made_up_drive(seed, 5 + seed % 4) for seed in range(9)]
    for drive in drives:
        write(tmp_path, [drive], resume=True)
    assert_holds(EpisodeDataset(tmp_path), drives)
    write(tmp_path / "at_once", drives)
    for name in (INFO, STATS, NAVIGATION):
        assert (tmp_path / name).read_text() == (tmp_path / "at_once" / name).read_text()


def test_pictures_are_pointed_at_and_not_read_with_their_neighbours(tmp_path: Path) -> None:
    drive = made_up_drive(0, 250)
    write(tmp_path, [drive])
    path = tmp_path / DATA_PATH.format(**FIRST)
    groups = pq.read_metadata(path)
    assert max(groups.row_group(k).num_rows for k in range(groups.num_row_groups)) <= 200
    file = FrameFile(path)
    assert file.picture(FRONT, 249) == drive.images[249]
    places = file._places[FRONT]
    assert places is not None
    content = path.read_bytes()
    assert all(content[s : s + n] == drive.images[k] for k, (s, n) in enumerate(places.tolist()))


@pytest.mark.parametrize("options", [
    {"compression": "snappy"}, {"use_dictionary": True}, {"data_page_size": 200, "write_batch_size": 2},
    {"compression": "zstd", "row_group_size": 5}, {"data_page_version": "2.0", "compression": "NONE"},
])
def test_files_of_other_writers_give_the_same_pictures(tmp_path: Path, options: dict) -> None:
    drive = made_up_drive(3, 40)
    write(tmp_path, [drive])
    path = tmp_path / DATA_PATH.format(**FIRST)
    pq.write_table(pq.read_table(path), path, **{"use_dictionary": False, "compression": "NONE", **options})
    assert_holds_pictures = EpisodeDataset(tmp_path)
    assert [assert_holds_pictures.image_file(0, k) for k in range(40)] == list(drive.images)


def test_the_layout_is_that_of_lerobot(tmp_path: Path) -> None:
    drives = [made_up_drive(seed, 6, labels=True) for seed in range(4)]
    write(tmp_path, drives)
    info = json.loads((tmp_path / INFO).read_text())
    assert set(info) == {
        "codebase_version", "robot_type", "total_episodes", "total_frames", "total_tasks", "chunks_size",
        "data_files_size_in_mb", "video_files_size_in_mb", "fps", "splits", "data_path", "video_path", "features",
    }
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 5, "turtlebot")
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (4, 24, 3)
    assert info["splits"] == {"train": "0:4"}
    for name in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
        dtype = "float32" if name == "timestamp" else "int64"
        assert info["features"][name] == {"dtype": dtype, "shape": [1], "names": None}

    frames = pq.read_table(tmp_path / DATA_PATH.format(**FIRST))
    assert frames.column_names == list(info["features"])
    picture_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert frames.schema.field(FRONT).type == picture_type
    assert frames.schema.field("observation.state").type == pa.list_(pa.float64(), 3)
    assert frames.schema.field("timestamp").type == pa.float32()
    assert frames.column("index").to_pylist() == list(range(24))
    assert frames.column("timestamp").to_pylist()[:2] == pytest.approx([0.0, 0.2])

    tasks = pd.read_parquet(tmp_path / TASKS)  # as LeRobot opens it: texts are the index
    assert list(tasks.index) == ["Go to place 0", "Go to place 1", "Go to place 2"]
    assert tasks["task_index"].tolist() == [0, 1, 2] and tasks.index.name == "task"

    rows = pd.read_parquet(tmp_path / EPISODES_PATH.format(**FIRST))
    assert rows["dataset_from_index"].tolist() == [0, 6, 12, 18] and rows["length"].tolist() == [6] * 4
    for name in ("episode_index", "tasks", "dataset_to_index", "data/chunk_index", "data/file_index",
                 "meta/episodes/chunk_index", "meta/episodes/file_index", "stats/action/q99", f"stats/{FRONT}/mean"):
        assert name in rows.columns


def test_statistics_are_those_of_the_values(tmp_path: Path) -> None:
    drives = [made_up_drive(seed, 20 + 10 * seed, depth=True) for seed in range(3)]
    write(tmp_path, drives)
    stats = json.loads((tmp_path / STATS).read_text())
    poses = np.concatenate([drive.poses for drive in drives])
    for name in ("min", "max", "mean", "std"):
        np.testing.assert_allclose(stats["observation.state"][name], getattr(poses, name)(0))
    assert stats["observation.state"]["count"] == [90]
    pictures = np.stack([decode(file) for drive in drives for file in drive.images]) / 255.0
    np.testing.assert_allclose(np.ravel(stats[FRONT]["mean"]), pictures.mean((0, 1, 2)))
    np.testing.assert_allclose(np.ravel(stats[FRONT]["std"]), pictures.std((0, 1, 2)))
    assert np.shape(stats[FRONT]["q50"]) == (3, 1, 1)
    assert stats["stamp_ns"]["min"][0] == min(drive.stamps_ns[0] for drive in drives)


def test_quantiles_against_numpy() -> None:
    rng = np.random.default_rng(1)
    pictures = [picture(rng) for _ in range(5)]
    found = of_images([encode_png(p) for p in pictures])
    expected = np.quantile(np.stack(pictures) / 255.0, 0.9, axis=(0, 1, 2), method="inverted_cdf")
    np.testing.assert_allclose(found["q90"].ravel(), expected)
    depth = rng.uniform(0.0, 8.0, (20, 30)).astype(np.float32)
    found = of_depth([encode_depth(depth)])
    assert found["max"].item() == np.rint(depth.max() * 1000) and found["mean"].shape == (1, 1, 1)
    stamps = START_NS + np.arange(101, dtype=np.int64) * 1_000_000
    assert of_values(stamps)["std"].item() == pytest.approx(np.arange(101).std() * 1e6)
    halves = merged([of_values(stamps[:50]), of_values(stamps[50:])])
    assert halves["std"].item() == pytest.approx(np.arange(101).std() * 1e6, rel=1e-3) and halves["count"].item() == 101
    parts = [of_values(stamps[:50]), of_values(stamps[50:])]
    for name, which in (("q01", min), ("q50", min), ("q90", max), ("q99", max)):  # bounds, as LeRobot 0.6 keeps them
        assert halves[name].item() == which(part[name].item() for part in parts)


def test_pictures_kept_as_video(tmp_path: Path) -> None:
    drives = [made_up_drive(seed, 9, lossless=True) for seed in range(2)]
    write(tmp_path, drives, video=True)
    dataset = EpisodeDataset(tmp_path)
    assert dataset.video and dataset.features[FRONT]["dtype"] == "video"
    for number, drive in enumerate(drives):
        for frame in (8, 0, 5):
            away = np.abs(dataset.image(number, frame).astype(int) - decode(drive.images[frame]))
            others = np.abs(dataset.image(number, frame).astype(int) - decode(drive.images[(frame + 1) % 9]))
            assert away.mean() < 15 < others.mean()  # such gaudy little pictures suffer
    with pytest.raises(DataError, match="as video"):
        dataset.image_file(0, 0)


def test_depth_is_kept_to_the_millimetre() -> None:
    depth = np.array([[0.0, 1.2345, 65.0], [np.nan, np.inf, 70.0]], np.float32)
    np.testing.assert_allclose(decode_depth(encode_depth(depth)), [[0, 1.234, 65.0], [0, 0, 0]], atol=6e-4)


@pytest.mark.parametrize("size", [(1, 1), (24, 32), (480, 640)])
def test_sizes_are_told_by_headers(size: tuple[int, int]) -> None:
    rgb = np.zeros((*size, 3), np.uint8)
    assert size_of(encode_jpeg(rgb)) == size_of(encode_png(rgb)) == size
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    assert decode(encode_png(red))[0, 0].tolist() == [255, 0, 0] == cv2.imdecode(
        np.frombuffer(encode_png(red), np.uint8), cv2.IMREAD_COLOR)[0, 0].tolist()[::-1]


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_shard_that_was_cut_short_is_named_and_the_rest_is_read(tmp_path: Path, small_files: None) -> None:
    drives = [made_up_drive(seed, 12) for seed in range(9)]
    write(tmp_path, drives)
    path = tmp_path / DATA_PATH.format(chunk_index=0, file_index=1)
    path.write_bytes(path.read_bytes()[:-1000])
    dataset = EpisodeDataset(tmp_path)
    assert len(dataset.damaged) == 1 and str(path) in dataset.damaged[0]
    lost = np.flatnonzero(~dataset.readable)
    assert 0 < len(lost) < 9
    for number in range(9):
        if dataset.readable[number]:
            assert dataset.image_file(number, 3) == drives[number].images[3]
        else:
            with pytest.raises(DataError, match="file-001"):
                dataset.image_file(number, 3)


def test_a_file_from_elsewhere_never_gives_a_wrong_frame(tmp_path: Path, small_files: None) -> None:
    write(tmp_path, [made_up_drive(seed, 12) for seed in range(9)])
    first, second = (tmp_path / DATA_PATH.format(chunk_index=0, file_index=k) for k in range(2))
    first.write_bytes(second.read_bytes())
    with pytest.raises(DataError, match="does not hold episode 0"):
        EpisodeDataset(tmp_path).image_file(0, 0)


def test_episodes_of_another_kind_are_refused_and_nothing_is_spoilt(tmp_path: Path) -> None:
    good = made_up_drive(0)
    rng = np.random.default_rng(0)
    larger = replace(good, images=[encode_jpeg(picture(rng, 48, 64)) for _ in good.images])
    mixed = replace(good, images=[*larger.images[:1], *good.images[1:]])
    with DatasetWriter(tmp_path, 5) as writer:
        writer.add(told(0), good)
        for bad, words in ((larger, "shape"), (mixed, "several sizes"), (made_up_drive(1, labels=True), "label.")):
            with pytest.raises(DataError, match=words):
                writer.add(told(1), bad)
        writer.add(told(1), good)
    assert_holds(EpisodeDataset(tmp_path), [good, good])


@pytest.mark.parametrize(("change", "words"), [
    ({"stamps_ns": np.zeros(12, np.int64)}, "increase"), ({"poses": np.full((12, 3), np.nan)}, "finite"),
    ({"stamps_ns": np.arange(12.0)}, "int64"), ({"actions": np.zeros((3, 2))}, "actions"),
])
def test_broken_episodes_are_refused(change: dict, words: str) -> None:
    with pytest.raises(DataError, match=words):
        replace(made_up_drive(0), **change)


def test_folders_that_hold_something_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="no dataset"):
        DatasetWriter(tmp_path, 5)
    write(tmp_path / "d", [made_up_drive(0)])
    with pytest.raises(DataError, match="already"):
        DatasetWriter(tmp_path / "d", 5)
    with pytest.raises(DataError, match="frames per second"):
        DatasetWriter(tmp_path / "d", 4, resume=True)
    with DatasetWriter(tmp_path / "d", 5, resume=True), pytest.raises(DataError, match="another process"):
        DatasetWriter(tmp_path / "d", 5, resume=True)
    with pytest.raises(DataError, match="not a dataset"):
        EpisodeDataset(tmp_path / "nothing")
    with pytest.raises(IndexError, match="no frame 12"):
        EpisodeDataset(tmp_path / "d").image(0, 12)


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from drives_on_disk import made_up_drive, told
from nav_foundation.data import writer as module
from nav_foundation.data.writer import DatasetWriter
module.FILE_BYTES, module.EPISODES_PER_FILE = 60_000, 4
with DatasetWriter(Path({folder!r}), 5, resume=True) as writer:
    while True:
        number = writer.add(told(writer.episodes), made_up_drive(writer.episodes, 5))
        print(number, flush=True)
"""


@pytest.mark.slow
def test_a_writer_killed_ten_times_loses_no_episode(tmp_path: Path) -> None:
    code = WRITER.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "d"))
    chance = random.Random(7)
    closed = -1
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told_now = [process.stdout.readline()]  # it is up and has closed one
            time.sleep(chance.uniform(0.0, 0.3))
            os.kill(process.pid, signal.SIGKILL)
            told_now += process.stdout.readlines()
        numbers = [int(line) for line in told_now if line.endswith("\n")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[0] in (closed + 1, closed + 2)  # one more may have been closed that could not be told any more
        closed = numbers[-1]
        dataset = EpisodeDataset(tmp_path / "d")
        assert dataset.episodes in (closed + 1, closed + 2)
        assert_holds(dataset, [made_up_drive(seed, 5) for seed in range(dataset.episodes)])
    write(tmp_path / "d", [], resume=True)  # opening it to write mends what is left
    dataset = EpisodeDataset(tmp_path / "d")
    stored = pa.concat_tables(pq.read_table(p) for p in sorted((tmp_path / "d").glob("data/*/*.parquet")))
    assert stored.column("index").to_pylist()[: len(dataset)] == list(range(len(dataset)))
    assert json.loads((tmp_path / "d" / STATS).read_text())["index"]["count"][0] >= len(dataset)


@pytest.mark.parametrize("moves", range(6))
def test_a_kill_between_any_two_files_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_files: None, moves: int
) -> None:
    """A file's move into place fails after so many, which leaves what a kill just before it would leave."""
    real, drives, folder = os.replace, [made_up_drive(seed, 9) for seed in range(12)], tmp_path / "d"
    left = iter(())

    def failing(source: str, target: str) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(source, target)

    for complete, drive in enumerate(drives):
        with DatasetWriter(folder, 5, resume=True) as writer:
            assert writer.episodes == complete
            left = iter(range(moves))
            monkeypatch.setattr(os, "replace", failing)
            with contextlib.suppress(KeyboardInterrupt):
                writer.add(told(complete), drive)
        monkeypatch.setattr(os, "replace", real)
        with DatasetWriter(folder, 5, resume=True) as writer:
            if writer.episodes == complete:  # it was not closed
                writer.add(told(complete), drive)
    assert_holds(EpisodeDataset(folder), drives)
    write(tmp_path / "at_once", drives)
    stats, expected = (json.loads((f / STATS).read_text()) for f in (folder, tmp_path / "at_once"))
    assert stats["index"]["count"] == expected["index"]["count"]
    np.testing.assert_allclose(stats["observation.state"]["std"], expected["observation.state"]["std"])
    stored = pa.concat_tables(pq.read_table(p) for p in sorted(folder.glob("data/*/*.parquet")))
    assert stored.column("index").to_pylist() == list(range(12 * 9))


def test_a_longer_drive_than_the_one_that_was_cut_off_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was half written lies in a file that the drive which comes instead does not fit into any more."""
    drives = [made_up_drive(0, 5), made_up_drive(1, 40)]
    write(tmp_path, drives[:1])
    with monkeypatch.context() as killed, DatasetWriter(tmp_path, 5, resume=True) as writer:
        killed.setattr(writer, "_write_row", None)
        with pytest.raises(TypeError):
            writer.add(told(1), made_up_drive(2, 6))
    before = pq.read_table(tmp_path / DATA_PATH.format(chunk_index=0, file_index=0))
    assert before.column("index").to_pylist() == list(range(5 + 6))
    monkeypatch.setattr(writer_module, "FILE_BYTES", before.nbytes)
    with DatasetWriter(tmp_path, 5, resume=True) as writer:
        writer.add(told(1), drives[1])
    files = sorted(tmp_path.glob("data/*/*.parquet"))
    assert len(files) == 2
    stored = pa.concat_tables(map(pq.read_table, files))
    assert stored.column("index").to_pylist() == list(range(5 + 40))
    assert stored.column("episode_index").to_pylist() == [0] * 5 + [1] * 40
    assert_holds(EpisodeDataset(tmp_path), drives)


def test_an_open_dataset_goes_to_other_processes(tmp_path: Path) -> None:
    import pickle

    with DatasetWriter(tmp_path / "drives", 5.0) as writer:
        writer.add(told(0), made_up_drive(0))
    dataset = EpisodeDataset(tmp_path / "drives")
    first = dataset.image(0, 3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset)).image(0, 3), first)

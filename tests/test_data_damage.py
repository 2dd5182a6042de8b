"""Datasets whose files were damaged: a sentence or the right data, never a traceback, wrong data or lost episodes."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drives_on_disk import made_up_drive, told

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.layout import INFO, NAVIGATION, STATS, TASKS
from nav_foundation.data.schema import DataError, EpisodeData
from nav_foundation.data.writer import DatasetWriter
from sim_envs.collection.collect import NOTES, Notes
from sim_envs.collection.settings import CollectSettings

DATA, EPISODES = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"


@pytest.fixture(scope="module")
def drives() -> list[EpisodeData]:
    return [made_up_drive(seed, depth=True, labels=True) for seed in range(3)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, drives: list[EpisodeData]) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "whole"
    with DatasetWriter(folder, 5.0) as writer:
        for number, drive in enumerate(drives[:2]):
            writer.add(told(number), drive)
    return folder


def _read(folder: Path, drives: list[EpisodeData]) -> None:
    """All that can be read is right; what cannot is said in one sentence."""
    dataset = EpisodeDataset(folder)
    for episode in np.flatnonzero(dataset.readable).tolist():
        drive, labels = drives[episode], dataset.labels(episode)
        assert np.array_equal(dataset.poses(episode), drive.poses)
        assert np.array_equal(dataset.actions(episode), drive.actions)
        assert np.array_equal(dataset.stamps_ns(episode), drive.stamps_ns)
        assert labels is not None and np.array_equal(labels.plans, drive.labels.plans)
        files = [dataset.image_file(episode, frame) for frame in range(len(drive.images))]
        assert files == list(drive.images)
        assert dataset.depth(episode, 3) is not None
        dataset.info(episode)


@pytest.mark.parametrize("name", [INFO, NAVIGATION, STATS, TASKS, DATA, EPISODES])
@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_file_is_named_or_mended(
    tmp_path: Path, whole: Path, drives: list[EpisodeData], name: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    original = (whole / name).read_bytes()
    for kind in ("cut", "flip", "zeros", "noise", "empty", "null", "missing"):
        folder = tmp_path / kind
        shutil.copytree(whole, folder)
        data, at = bytearray(original), int(rng.integers(len(original)))
        if kind == "flip":
            data[at] ^= 0x80  # makes no other text of a text
        elif kind == "zeros":
            data[at : at + 32] = bytes(len(data[at : at + 32]))
        else:
            data = bytearray({"cut": data[:at], "noise": rng.bytes(200), "null": b"null"}.get(kind, b""))
        (folder / name).write_bytes(data)
        if kind == "missing":
            (folder / name).unlink()
        for act in (_read, _grow):
            try:
                act(folder, drives)
            except DataError as error:  # noqa: PERF203
                assert "\n" not in str(error)  # noqa: PT017


def _grow(folder: Path, drives: list[EpisodeData]) -> None:
    with DatasetWriter(folder, 5.0, resume=True) as writer:
        assert writer.episodes == 2
        assert writer.add(told(2), drives[2]) == 2
    _read(folder, drives)


def test_statistics_that_are_lost_are_made_again(tmp_path: Path, whole: Path, drives: list[EpisodeData]) -> None:
    grown = []
    for damage in (None, b"", b"[]"):
        folder = tmp_path / str(damage)
        shutil.copytree(whole, folder)
        if damage is not None:
            (folder / STATS).write_bytes(damage)
        _grow(folder, drives)
        grown.append((folder / STATS).read_text())
    assert grown[1] == grown[2]
    assert len(grown[0]) == pytest.approx(len(grown[1]), rel=0.02)


def test_a_count_that_was_changed_loses_no_episode(tmp_path: Path, whole: Path, drives: list[EpisodeData]) -> None:
    """Whatever lies beyond the count would be removed by the next writer."""
    folder = tmp_path / "fewer"
    shutil.copytree(whole, folder)
    text = (folder / INFO).read_text()
    (folder / INFO).write_text(text.replace('"total_episodes": 2', '"total_episodes": 1'))
    for act in (_read, _grow):
        with pytest.raises(DataError, match="1 episodes have 12 frames"):
            act(folder, drives)
    (folder / INFO).write_text(text)
    _read(folder, drives)
    _grow(folder, drives)


def test_a_flipped_bit_is_no_other_number(tmp_path: Path, whole: Path, drives: list[EpisodeData]) -> None:
    folder = tmp_path / "flipped"
    shutil.copytree(whole, folder)
    data = bytearray((folder / DATA).read_bytes())
    at = data.find(drives[0].images[5]) + 60
    data[at] ^= 1
    (folder / DATA).write_bytes(data)
    with pytest.raises(DataError, match="CRC"):
        EpisodeDataset(folder).image_file(0, 5)
    with pytest.raises(DataError, match="CRC"):
        _grow(folder, drives)


def test_a_description_cut_short_is_not_written_on(tmp_path: Path, whole: Path, drives: list[EpisodeData]) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(whole, folder)
    text = (folder / NAVIGATION).read_bytes()
    (folder / NAVIGATION).write_bytes(text[:-40])
    with pytest.raises(DataError, match="episode 1 in line 2"):
        _grow(folder, drives)
    (folder / NAVIGATION).write_bytes(b"")
    with pytest.raises(DataError, match="has no line 1"):
        EpisodeDataset(folder).info(0)


def _with_room_for(size: int) -> None:
    """Files of this process can be no larger, which fails as a full disk does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("form", ["gnm", "mcap", "lerobot"])
def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path, whole: Path, form: str) -> None:
    command = [sys.executable, "-m", "nav_foundation.cli", "data", "export", form, str(whole), "--out"]
    done = subprocess.run(
        [*command, str(tmp_path / "out")], capture_output=True, text=True, preexec_fn=lambda: _with_room_for(500),
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]


def test_a_writer_that_failed_is_closed_and_another_goes_on(
    tmp_path: Path, drives: list[EpisodeData], monkeypatch: pytest.MonkeyPatch
) -> None:
    import nav_foundation.data.writer as module

    def full(table: object, draft: Path, **_: object) -> None:
        draft.write_bytes(b"some")
        raise OSError(28, "No space left on device")

    folder = tmp_path / "full"
    with DatasetWriter(folder, 5.0) as writer:
        writer.add(told(0), drives[0])
        with monkeypatch.context() as patch:
            patch.setattr(module.pq, "write_table", full)
            with pytest.raises(DataError, match="cannot be written: No space left on device"):
                writer.add(told(3), drives[1])
        assert not list(folder.rglob("*.draft"))
        with pytest.raises(DataError, match="is closed"):  # or what was half written would be there twice
            writer.add(told(3), drives[1])
    with DatasetWriter(folder, 5.0, resume=True) as writer:
        assert writer.episodes == 1
        writer.add(told(3), drives[1])
    _read(folder, drives)
    _grow(folder, drives)


def test_going_on_gives_the_bytes_of_one_run(tmp_path: Path, whole: Path, drives: list[EpisodeData]) -> None:
    grown, once = tmp_path / "grown", tmp_path / "once"
    shutil.copytree(whole, grown)
    _grow(grown, drives)
    with DatasetWriter(once, 5.0) as writer:
        for number, drive in enumerate(drives):
            writer.add(told(number), drive)
    for name in (INFO, NAVIGATION, TASKS, DATA, EPISODES, STATS):
        assert (grown / name).read_bytes() == (once / name).read_bytes(), name


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Those of a collection whose drive number 3 could not be made."""
    (tmp_path / "meta").mkdir()
    with Notes(tmp_path, CollectSettings(), 0) as notes:
        notes.add(3, "no room")
    return tmp_path / NOTES


@pytest.mark.parametrize("first", ["null", "[]", '"x"', "{}", '{"digest": "", "settings": null}'])
def test_damaged_settings_of_a_collection_are_named(tmp_path: Path, notes: Path, first: str) -> None:
    notes.write_text(first + "\n")
    with pytest.raises(DataError, match="is damaged: collect into another folder"):
        Notes(tmp_path, CollectSettings(), 0)


@pytest.mark.parametrize(
    "last", ["3", '{"index": 1}', *(f'{{"index": {k}, "error": ""}}' for k in ("null", "true", "1.5"))]
)
def test_damaged_failures_of_a_collection_are_named(tmp_path: Path, notes: Path, last: str) -> None:
    notes.write_text(notes.read_text() + last + "\n")
    with pytest.raises(DataError, match="is damaged: collect into another folder"):
        Notes(tmp_path, CollectSettings(), 0)


def test_a_note_that_a_kill_cut_short_is_forgotten(tmp_path: Path, notes: Path) -> None:
    notes.write_text(notes.read_text() + '{"index": 4, "err')
    with Notes(tmp_path, CollectSettings(), 0) as opened:
        assert opened.done == {3}
        opened.add(5, "no way")
    with Notes(tmp_path, CollectSettings(), 0) as opened:
        assert opened.failures == {3: "no room", 5: "no way"}

"""LeRobot datasets in: version 2.1 as others write it, 3.0 with and without our file, FrodoBots, and damage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drives_on_disk import made_up_drive, picture, told

from nav_foundation.cli import main
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode_depth, encode_jpeg, encode_png
from nav_foundation.data.importing.lerobot import read_lerobot
from nav_foundation.data.layout import NAVIGATION
from nav_foundation.data.schema import FRONT, DataError
from nav_foundation.data.video import write_video
from nav_foundation.data.writer import DatasetWriter

NUMBER = {"dtype": "float32", "shape": [1], "names": None}
STATE = {"dtype": "float32", "shape": [3], "names": ["x", "y", "yaw"]}
COMMAND = {"dtype": "float32", "shape": [2], "names": ["linear_velocity", "angular_velocity"]}
SIZE = (24, 32, 3)


def write_2_1(
    folder: Path, features: dict[str, Any], columns: list[dict[str, Any]], cameras: dict[str, str],
    robot: str | None = None, rate: float = 10.0,
) -> dict[str, list[list[Any]]]:
    """A dataset as version 2.1 describes it; `cameras` are features by kind, image or video. Returns the pictures."""
    rng = np.random.default_rng(1)
    pictures: dict[str, list[list[Any]]] = {name: [] for name in cameras}
    lines = []
    for episode, given in enumerate(columns):
        count = len(next(iter(given.values())))
        table = {name: pa.array(np.asarray(values).tolist()) for name, values in given.items()}
        table["timestamp"] = pa.array(np.arange(count, dtype=np.float32) / np.float32(rate))
        for name, value in (("frame_index", np.arange(count)), ("episode_index", np.full(count, episode)),
                            ("index", np.arange(count)), ("task_index", np.zeros(count, np.int64))):
            table[name] = pa.array(value)
        for name, kind in cameras.items():
            shown = [np.full(SIZE, 20 + 7 * k, np.uint8) if kind == "video" else picture(rng) for k in range(count)]
            if kind == "video":
                path = folder / f"videos/chunk-000/{name}/episode_{episode:06d}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_video(path, shown, rate)
                pictures[name].append(shown)
            else:
                files = [encode_png(rgb) for rgb in shown]
                table[name] = pa.array([{"bytes": file, "path": f"frame_{k:06d}.png"} for k, file in enumerate(files)])
                pictures[name].append(files)
        path = folder / f"data/chunk-000/episode_{episode:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(table), path)
        lines.append({"episode_index": episode, "tasks": [f"Go {episode}"], "length": count})
    shots = {name: {"dtype": kind, "shape": list(SIZE), "names": ["h", "w", "c"]} for name, kind in cameras.items()}
    automatic = {name: {"dtype": "int64", "shape": [1], "names": None} for name in ("frame_index", "episode_index",
                                                                                    "index", "task_index")}
    info = {
        "codebase_version": "v2.1", "robot_type": robot, "total_episodes": len(columns), "chunks_size": 1000,
        "fps": rate, "splits": {"train": f"0:{len(columns)}"}, "features": {**features, **shots, "timestamp": NUMBER,
                                                                            **automatic},
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }
    (folder / "meta").mkdir()
    (folder / "meta/info.json").write_text(json.dumps(info))
    (folder / "meta/episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "meta/tasks.jsonl").write_text('{"task_index": 0, "task": "Go 0"}\n')
    return pictures


def straight(count: int, step: float = 0.05) -> np.ndarray:
    return np.column_stack([np.arange(count) * step, np.zeros((count, 2))])


def left_out(drive: Any) -> dict[tuple[str, str], int]:
    return {(entry.what, entry.why): entry.count for entry in drive.left_out}


def test_version_2_1_with_pictures_in_the_tables(tmp_path: Path) -> None:
    columns = [{"observation.state": straight(n), "action": np.tile([0.4, 0.1], (n, 1))} for n in (12, 7)]
    features = {"observation.state": STATE, "action": COMMAND}
    cameras = {"observation.images.front": "image", "observation.images.rear": "image"}
    files = write_2_1(tmp_path / "set", features, columns, cameras)
    one, two = read_lerobot(tmp_path / "set")
    assert [read() for read in two.pictures] == files["observation.images.front"][1]
    np.testing.assert_allclose(one.poses, straight(12), atol=1e-6)
    np.testing.assert_allclose(one.picture_stamps_ns, np.arange(12) * 1e8, atol=100)
    assert one.commands is not None and one.commands[3] == pytest.approx([0.4, 0.1])
    assert one.info.task == "Go 0" and two.info.notes == {"episode": 1} and one.has_clock and one.has_scale
    assert left_out(one) == {("pictures", "of another camera, observation.images.rear"): 12}
    (rear, _) = read_lerobot(tmp_path / "set", "rear")
    assert [read() for read in rear.pictures] == files["observation.images.rear"][0]


def test_version_2_1_with_films_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = [{"observation.state": straight(n), "action": np.zeros((n, 6))} for n in (12, 30)]
    features = {"observation.state": STATE, "action": {"dtype": "float32", "shape": [6], "names": None}}
    shown = write_2_1(tmp_path / "set", features, columns, {"observation.images.cam": "video"})
    command = ["data", "import", "lerobot", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--lossless"]
    assert main(command) == 0
    assert "42 actions that are not named linear_velocity and angular_velocity" in capsys.readouterr().out
    dataset = EpisodeDataset(tmp_path / "out")
    assert dataset.frame_rate == 10 and dataset.lengths.tolist() == [12, 30]
    for frame in (0, 13, 29):
        expected = shown["observation.images.cam"][1][frame].mean()
        assert abs(dataset.image(1, frame).mean() - expected) < 2
    np.testing.assert_allclose(dataset.actions(1), np.tile([0.5, 0.0], (30, 1)), atol=1e-4)
    assert dataset.info(1).action_source == "measured"
    assert main([*command, "--append"]) == 0
    assert EpisodeDataset(tmp_path / "out").episodes == 2


FIX = {"latitude": 51.4778, "longitude": -0.0015}  # Greenwich


def frodobots(count: int, per_fix: int) -> dict[str, np.ndarray]:
    """Driving east at 1 m/s at 10 frames per second, with a fix every `per_fix` frames."""
    radius = 6_378_137.0 / np.sqrt(1 - 0.00669437999 * np.sin(np.radians(FIX["latitude"])) ** 2)
    per_metre = np.degrees(1 / (radius * np.cos(np.radians(FIX["latitude"]))))
    held = np.arange(count) // per_fix * per_fix
    return {
        "observation.latitude": np.full(count, FIX["latitude"]),
        "observation.longitude": FIX["longitude"] + held * 0.1 * per_metre, "action": np.tile([1.0, 0.0], (count, 1)),
    }


@pytest.mark.parametrize("per_fix", [1, 10, 11])
def test_frodobots_fixes_become_metres(tmp_path: Path, per_fix: int) -> None:
    double = {"dtype": "float64", "shape": [1], "names": None}
    features = {"observation.latitude": double, "observation.longitude": double, "action": COMMAND}
    write_2_1(tmp_path / "set", features, [frodobots(100, per_fix)], {"observation.images.front": "image"})
    (drive,) = read_lerobot(tmp_path / "set")
    last = 99 // per_fix * per_fix  # the last fix; afterwards it is only repeated
    np.testing.assert_allclose(drive.poses[: last + 1, 0], np.arange(last + 1) * 0.1, atol=1e-4)
    np.testing.assert_allclose(drive.poses[: last + 1, 1:], 0, atol=1e-4)
    assert drive.commands is None and "stick" in next(why for what, why in left_out(drive) if what == "actions")
    out = tmp_path / "out"
    assert main(["data", "import", "lerobot", str(tmp_path / "set"), "--out", str(out)]) == 0
    assert EpisodeDataset(out).lengths.tolist() == [100]


def test_a_robot_that_stands_keeps_its_fix(tmp_path: Path) -> None:
    columns = frodobots(100, 1)
    columns["observation.longitude"][20:80] = columns["observation.longitude"][20]  # then 6 m at once
    columns["observation.longitude"][:3] = columns["observation.latitude"][:3] = 0.0  # before the first fix
    double = {"dtype": "float64", "shape": [1], "names": None}
    features = {"observation.latitude": double, "observation.longitude": double}
    del columns["action"]
    write_2_1(tmp_path / "set", features, [columns], {"observation.images.front": "image"})
    (drive,) = read_lerobot(tmp_path / "set")
    assert len(drive.poses) == 97 and abs(drive.pose_stamps_ns[0] - 300_000_000) < 100
    np.testing.assert_allclose(drive.poses[17:67, 0], 1.7, atol=1e-4)  # of frames 20 to 69


def test_frodobots_filtered_poses_come_first(tmp_path: Path) -> None:
    columns = frodobots(10, 1) | {
        "observation.filtered_position": straight(10)[:, :2], "observation.filtered_heading": np.full(10, 0.25),
    }
    double = {"dtype": "float64", "shape": [1], "names": None}
    features = dict.fromkeys(("observation.latitude", "observation.longitude"), double)
    features |= {"observation.filtered_position": {"dtype": "float64", "shape": [2], "names": None},
                 "observation.filtered_heading": double, "action": COMMAND}
    write_2_1(tmp_path / "set", features, [columns], {"observation.images.front": "image"})
    (drive,) = read_lerobot(tmp_path / "set")
    np.testing.assert_allclose(drive.poses, np.column_stack([straight(10)[:, :2], np.full(10, 0.25)]))


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("lossless", [True, False])
def test_ours_to_lerobot_and_back(tmp_path: Path, ours: bool, lossless: bool) -> None:
    with DatasetWriter(tmp_path / "ours", 5.0) as writer:
        for number in range(3):
            drive, info = made_up_drive(number, 9 + number, depth=True, labels=True, lossless=lossless), told(number)
            if number == 2:
                drive, info = replace(drive, actions=None), replace(info, action_source="measured")
            writer.add(info, drive)
    source = tmp_path / "ours"
    if not ours:
        source = tmp_path / "lerobot"
        assert main(["data", "export", "lerobot", str(tmp_path / "ours"), "--out", str(source)]) == 0
        assert not (source / NAVIGATION).exists()
    command = ["data", "import", "lerobot", str(source), "--out", str(tmp_path / "back"), "--reverse", "keep"]
    assert main(command) == 0
    before, after = EpisodeDataset(tmp_path / "ours"), EpisodeDataset(tmp_path / "back")
    assert after.frame_rate == 5.0 and after.lengths.tolist() == [9, 10, 11]
    for episode in range(3):
        np.testing.assert_allclose(after.poses(episode), before.poses(episode), atol=1e-12)
        np.testing.assert_array_equal(after.stamps_ns(episode), before.stamps_ns(episode))
        np.testing.assert_allclose(after.actions(episode), before.actions(episode), atol=1e-9)
        for frame in range(int(before.lengths[episode])):
            assert after.image_file(episode, frame) == before.image_file(episode, frame)
            np.testing.assert_array_equal(after.depth(episode, frame), before.depth(episode, frame))
        for name in ("goals", "plans", "distances"):
            left, right = (getattr(dataset.labels(episode), name) for dataset in (after, before))
            np.testing.assert_array_equal(left, right)
        told_again, expected = after.info(episode), before.info(episode)
        assert told_again.task == expected.task and told_again.action_source == expected.action_source
        if ours:
            assert replace(told_again, cruising_step=None) == expected


def test_labels_and_depth_follow_their_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive = made_up_drive(0, 20, depth=True, labels=True)
    images = list(drive.images)
    images[7] = b"broken"
    with DatasetWriter(tmp_path / "ours", 5.0) as writer:
        writer.add(told(0), replace(drive, poses=straight(20)))
    path = tmp_path / "ours/data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    column = pa.array([{"bytes": file, "path": None} for file in images], table.schema.field(FRONT).type)
    pq.write_table(table.set_column(table.schema.get_field_index(FRONT), FRONT, column), path)
    command = ["data", "import", "lerobot", str(tmp_path / "ours"), "--out"]
    assert main([*command, str(tmp_path / "back"), "--scale", "2"]) == 0
    after, kept = EpisodeDataset(tmp_path / "back"), np.delete(np.arange(20), 7)
    labels, expected, metres = after.labels(0), drive.labels, np.array([2.0, 2.0, 1.0])
    assert labels is not None and expected is not None and drive.depth is not None
    np.testing.assert_array_equal(labels.goals, expected.goals[kept] * metres)
    np.testing.assert_array_equal(labels.plans, expected.plans[kept] * metres)
    np.testing.assert_array_equal(labels.distances, expected.distances[kept] * 2)
    np.testing.assert_array_equal(after.depth(0, 7), decode_depth(drive.depth[8]))
    capsys.readouterr()
    assert main([*command, str(tmp_path / "slow"), "--frame-rate", "2.5", "--image-limit", "16"]) == 0
    printed = capsys.readouterr().out
    assert "20 labels whose plans are at another frame rate" in printed and "20 depth images of pictures" in printed


def test_episodes_with_more_or_less_than_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, extras in (("plain", False), ("rich", True)):
        with DatasetWriter(tmp_path / name, 5.0) as writer:
            writer.add(replace(told(0), source=name), made_up_drive(0, 9, depth=extras, labels=extras))
    sources = {name: str(tmp_path / name) for name in ("plain", "rich")}
    command = ["data", "import", "lerobot", "--reverse", "keep", "--out"]
    assert main([*command, str(tmp_path / "a"), sources["plain"], sources["rich"]]) == 0
    printed = capsys.readouterr().out
    assert "9 depth images that the dataset's other" in printed and "9 labels that the dataset's other" in printed
    dataset = EpisodeDataset(tmp_path / "a")
    assert dataset.lengths.tolist() == [9, 9] and dataset.labels(1) is None and dataset.depth(1, 0) is None
    assert main([*command, str(tmp_path / "b"), sources["rich"]]) == 0
    assert main([*command, str(tmp_path / "b"), sources["plain"], "--append"]) == 0
    assert "9 frames without the depth, labels or true poses" in capsys.readouterr().out
    with DatasetWriter(tmp_path / "older", 5.0) as writer:  # labelled, but nobody knew where it truly was
        data = made_up_drive(0, 9, depth=True, labels=True)
        assert data.labels is not None
        writer.add(told(0), replace(data, labels=replace(data.labels, poses=None)))
    assert main([*command, str(tmp_path / "c"), str(tmp_path / "older")]) == 0
    assert main([*command, str(tmp_path / "c"), sources["rich"], "--append"]) == 0
    assert "9 true poses that the dataset's other" in capsys.readouterr().out
    dataset = EpisodeDataset(tmp_path / "c")
    assert dataset.lengths.tolist() == [9, 9] and dataset.true_poses(1) is None and dataset.labels(1) is not None
    assert EpisodeDataset(tmp_path / "b").lengths.tolist() == [9]


def test_our_films_come_back(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "ours", 5.0, video=True) as writer:
        for number in range(3):
            writer.add(told(number), made_up_drive(number, 9 + number))
    command = ["data", "import", "lerobot", str(tmp_path / "ours"), "--out", str(tmp_path / "back"), "--lossless"]
    assert main([*command, "--reverse", "keep"]) == 0
    before, after = EpisodeDataset(tmp_path / "ours"), EpisodeDataset(tmp_path / "back")
    assert after.lengths.tolist() == [9, 10, 11]
    for episode in range(3):
        for frame in (0, 4, 8):
            np.testing.assert_array_equal(after.image(episode, frame), before.image(episode, frame))


def broken(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-20])


def test_damage_leaves_the_rest_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = [{"observation.state": straight(8)} for _ in range(4)]
    write_2_1(tmp_path / "set", {"observation.state": STATE}, columns, {"observation.images.a": "video"})
    broken(tmp_path / "set", "data/chunk-000/episode_000001.parquet")
    (tmp_path / "set/data/chunk-000/episode_000003.parquet").unlink()
    film = tmp_path / "set/videos/chunk-000/observation.images.a/episode_000002.mp4"
    film.write_bytes(film.read_bytes()[:300])
    command = ["data", "import", "lerobot", str(tmp_path / "set"), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert EpisodeDataset(tmp_path / "out").lengths.tolist() == [8]
    for words in ("000001.parquet is broken", "000003.parquet is broken", "8 pictures of a broken film"):
        assert words in printed
    broken(tmp_path / "set", "data/chunk-000/episode_000000.parquet")
    broken(tmp_path / "set", "data/chunk-000/episode_000002.parquet")
    with pytest.raises(DataError, match="no episode can be read"):
        next(read_lerobot(tmp_path / "set"))


@pytest.mark.parametrize(
    ("change", "camera", "words"),
    [
        ({}, "fornt", "has no camera 'fornt' (did you mean 'front'?); it has"),
        ({"codebase_version": "v1.6"}, None, "v1.6"),
        ({"fps": 0}, None, "must tell fps"), ({"features": {}}, None, "has no pictures"),
        ({"features": {"observation.images.a": {"dtype": "image"}, "observation.images.b": {"dtype": "image"}}}, None,
         "several cameras: choose one with --camera: observation.images.a, observation.images.b"),
        ({"features": {"observation.images.a": {"dtype": "image"}, "arm": {"dtype": "float32", "shape": [6]}}}, None,
         "does not tell where the robot was"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, change: dict[str, Any], camera: str | None, words: str) -> None:
    columns, cameras = [{"observation.state": straight(8)}], {"observation.images.front": "image"}
    write_2_1(tmp_path / "set", {"observation.state": STATE}, columns, cameras)
    path = tmp_path / "set/meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError) as error:
        next(read_lerobot(tmp_path / "set", camera))
    assert words in str(error.value) and "\n" not in str(error.value)
    (tmp_path / "set/meta/info.json").unlink()
    with pytest.raises(DataError, match=r"is no dataset of LeRobot"):
        next(read_lerobot(tmp_path / "set", camera))


@pytest.mark.parametrize("rows", [[[0.0, 0, 0], [1.0, 0], [2.0, 0, 0, 0]], [[0.0, 0, 0], None, [1.0, 0, 0]]])
def test_states_of_several_lengths_are_refused(tmp_path: Path, rows: list[Any]) -> None:
    columns, cameras = [{"observation.state": straight(3)}], {"observation.images.front": "image"}
    write_2_1(tmp_path, {"observation.state": STATE}, columns, cameras)
    path = tmp_path / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "observation.state", pa.array(rows)), path)
    with pytest.raises(DataError, match=r"observation\.state has lists of several lengths"):
        next(read_lerobot(tmp_path))


JUNK: list[Any] = [None, 0, -1, "x", [], {}, [1], {"a": 1}, 1e300, True, "{}", "{bad}"]


def changed(value: Any, rng: np.random.Generator) -> Any:
    """The value with one thing in it, at any depth, lost or replaced by something odd."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = sorted(value)[rng.integers(len(value))]
        if rng.random() < 0.15:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: changed(value[key], rng)}
    return JUNK[rng.integers(len(JUNK))]


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_odd_descriptions_end_in_data_or_a_sentence(tmp_path: Path, version: str) -> None:
    if version == "v2.1":
        write_2_1(tmp_path / "set", {"observation.state": STATE, "action": COMMAND}, [{"observation.state": straight(3),
                  "action": np.zeros((3, 2))}], {"observation.images.front": "image"})
        names = ["meta/info.json", "meta/episodes.jsonl", "meta/tasks.jsonl"]
    else:
        with DatasetWriter(tmp_path / "set", 5.0) as writer:
            writer.add(told(0), made_up_drive(0, 3, labels=True))
        names = ["meta/info.json", NAVIGATION]
    rng, errors = np.random.default_rng(0), list[str]()
    for name in names:
        path = tmp_path / "set" / name
        original = path.read_text()
        for trial in range(60):
            odd = json.dumps(changed(json.loads(original), rng))
            path.write_text(odd if trial % 5 else original[: rng.integers(len(original))])
            try:
                for drive in read_lerobot(tmp_path / "set"):
                    assert len(drive.pictures) in (0, 3)
            except DataError as error:
                errors.append(str(error))
        path.write_text(original)
    assert len(errors) > 20 and not [error for error in errors if "\n" in error]


def test_many_episodes_in_one_file_of_version_3(tmp_path: Path) -> None:
    """As LeRobot itself lays it out: compressed, with dictionaries, and row groups across episodes."""
    rng = np.random.default_rng(0)
    files = [encode_jpeg(picture(rng)) for _ in range(15)]
    columns = {
        "observation.images.top": pa.array([{"bytes": file, "path": None} for file in files],
                                           pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "observation.state": pa.array(straight(15).tolist()), "timestamp": pa.array([k / 10 for k in range(15)]),
        "episode_index": pa.array([0] * 6 + [1] * 9), "task_index": pa.array([1] * 15),
    }
    for name in ("data", "meta/episodes"):
        (tmp_path / name / "chunk-000").mkdir(parents=True)
    pq.write_table(pa.table(columns), tmp_path / "data/chunk-000/file-000.parquet", row_group_size=4)
    rows = pa.table({"episode_index": [0, 1], "length": [6, 9], "data/chunk_index": [0, 0], "data/file_index": [0, 0]})
    pq.write_table(rows, tmp_path / "meta/episodes/chunk-000/file-000.parquet")
    pq.write_table(pa.table({"task_index": [0, 1], "task": ["wait", "go"]}), tmp_path / "meta/tasks.parquet")
    features = {"observation.state": STATE, "observation.images.top": {"dtype": "image", "shape": list(SIZE)}}
    (tmp_path / "meta/info.json").write_text(json.dumps({
        "codebase_version": "v3.0", "fps": 10, "features": features, "total_episodes": 2,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    }))
    one, two = read_lerobot(tmp_path)
    assert [read() for read in one.pictures] + [read() for read in two.pictures] == files
    assert two.poses[:, 0] == pytest.approx(np.arange(6, 15) * 0.05) and two.info.task == "go"

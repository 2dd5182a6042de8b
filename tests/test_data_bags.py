"""Bags of all kinds, whole and broken, written by `rosbags` and read back as drives."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_making import SECOND, START, Messages, number_of, numbered, write_bag

from nav_foundation.data.images import decode, encode_jpeg, encode_png
from nav_foundation.data.importing.bags import read_bags
from nav_foundation.data.importing.cut import ImportRules, cut
from nav_foundation.data.importing.drive import Drive
from nav_foundation.data.schema import DataError

KINDS = ["ros1", "sqlite3", "mcap"]
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
ODOMETRY, TWIST = "nav_msgs/msg/Odometry", "geometry_msgs/msg/Twist"


def rows(kind: str, count: int = 20, size: tuple[int, int] = (24, 32), camera: str = "/camera/image_raw") -> list[Any]:
    """Pictures at 10 Hz, 5 ms late; odometry at 20 Hz on a line at 0.5 m/s; commands at 5 Hz."""
    make, found = Messages(kind), []
    for k in range(count):
        stamp = START + k * SECOND // 10
        found.append((camera, IMAGE, stamp + 5_000_000, make.image(stamp, "rgb8", numbered(k, *size))))
    for k in range(2 * count):
        stamp = START + k * SECOND // 20
        found.append(("/odom", ODOMETRY, stamp, make.odometry(stamp, 0.025 * k, 0.0, 0.0)))
    found += [("/cmd_vel", TWIST, START + k * SECOND // 5, make.twist(0.5, 0.1)) for k in range(count // 2)]
    return sorted(found, key=lambda row: row[2])


def only(drives: Any) -> Drive:
    (drive,) = drives
    return drive


def rgb_of(picture: Any) -> np.ndarray:
    found = picture()
    return decode(found) if isinstance(found, bytes) else found


def reasons(drive: Drive) -> dict[str, int]:
    return {f"{entry.what} {entry.why}": entry.count for entry in drive.left_out}


def pictures_left(drive: Drive) -> int:
    return sum(entry.count for entry in drive.left_out if entry.what == "pictures")


@pytest.mark.parametrize("kind", KINDS)
def test_a_bag_becomes_a_drive(tmp_path: Path, kind: str) -> None:
    drive = only(read_bags(write_bag(tmp_path / "drive", kind, rows(kind))))
    assert [number_of(rgb_of(p)) for p in drive.pictures] == list(range(20))
    assert drive.picture_stamps_ns.tolist() == [START + k * SECOND // 10 for k in range(20)]  # headers, not receipt
    assert drive.pose_stamps_ns.tolist() == [START + k * SECOND // 20 for k in range(40)]
    np.testing.assert_allclose(drive.poses, [(0.025 * k, 0, 0) for k in range(40)], atol=1e-12)
    assert drive.commands is not None and drive.command_stamps_ns is not None
    np.testing.assert_allclose(drive.commands, [(0.5, 0.1)] * 10)
    assert drive.command_stamps_ns[1] == START + SECOND // 5
    assert drive.left_out == () and drive.info.notes is not None
    assert drive.info.notes["bag"]["stamps"] == "header stamps"
    ((_, data),) = cut(drive, ImportRules(frame_rate=5.0)).episodes
    assert [number_of(decode(file)) for file in data.images] == list(range(0, 20, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "mono8", "yuv422_yuy2", "uyvy", "jpeg", "png"])
def test_encodings_and_padded_rows(tmp_path: Path, kind: str, encoding: str) -> None:
    make, rgb = Messages(kind), numbered(60)
    stamps = [START, START + SECOND // 5]
    poses = [("/odom", ODOMETRY, s, make.odometry(s, 0, 0, 0)) for s in stamps]
    padding = 0 if encoding in ("jpeg", "png") else 7
    if encoding in ("jpeg", "png"):
        file = encode_jpeg(rgb) if encoding == "jpeg" else encode_png(rgb)
        pictures = [("/camera", COMPRESSED, s, make.compressed(s, f"bgr8; {encoding} compressed bgr8", file))
                    for s in stamps]
    else:
        array, padding = memory_of(rgb, encoding), 7
        pictures = [("/camera", IMAGE, s, make.image(s, encoding, array, padding)) for s in stamps]
    drive = only(read_bags(write_bag(tmp_path / "drive", kind, [*pictures, *poses])))
    found = rgb_of(drive.pictures[1])
    if encoding in ("jpeg", "png"):
        assert drive.pictures[0]() == file  # unchanged, byte for byte
    expected = rgb if encoding != "mono8" else np.repeat(rgb[..., :1], 3, axis=2)
    within = {"rgb8": 0, "bgr8": 0, "rgba8": 0, "mono8": 0, "png": 0}.get(encoding, 6)
    inner = np.s_[4:8, 4:12] if encoding == "jpeg" else np.s_[:, :]
    assert np.abs(found[inner].astype(int) - expected[inner]).max() <= within
    assert np.abs(found[20, 25].astype(int) - expected[20, 25]).max() <= max(within, 6 if encoding == "jpeg" else 0)


def memory_of(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """The picture as it lies in a message; luma and chroma by ITU-R BT.601 with its narrow range."""
    if encoding == "rgb8":
        return rgb
    if encoding == "bgr8":
        return rgb[..., ::-1]
    if encoding == "rgba8":
        return np.dstack([rgb, np.full(rgb.shape[:2], 9, np.uint8)])
    if encoding == "mono8":
        return rgb[..., :1]
    r, g, b = (rgb[..., k].astype(float) for k in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u, v = 128 - 0.148 * r - 0.291 * g + 0.439 * b, 128 + 0.439 * r - 0.368 * g - 0.071 * b
    chroma = np.where(np.arange(rgb.shape[1]) % 2 == 0, u, v)  # the pair's own colour is the same here
    order = (y, chroma) if encoding == "yuv422_yuy2" else (chroma, y)
    return np.rint(np.dstack(order)).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_disorder_and_doubles_are_sorted_and_counted(tmp_path: Path, kind: str) -> None:
    make = Messages(kind)
    order = [0, 1, 2, 4, 3, 5, 6, 7, 7, 8, 9, 10, 13, 14, 15]  # 3 and 4 swapped, 7 twice, 11 and 12 dropped
    pictures = [
        ("/camera", IMAGE, START + place * SECOND // 10, make.image(START + k * SECOND // 10, "bgr8", numbered(k)))
        for place, k in enumerate(order)
    ]
    poses = [row for row in rows(kind) if row[0] == "/odom"]
    drive = only(read_bags(write_bag(tmp_path / "drive", kind, sorted([*pictures, *poses], key=lambda r: r[2]))))
    assert [number_of(rgb_of(p)) for p in drive.pictures] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15]
    assert (np.diff(drive.picture_stamps_ns) > 0).all()
    assert reasons(drive) == {"pictures with the stamp of another one": 1}
    assert drive.info.notes is not None and drive.info.notes["bag"]["pictures_out_of_order"] == 1
    assert [number_of(rgb_of(drive.pictures[k])) for k in (13, 0, 6)] == [15, 0, 6]  # in any order


def test_header_stamps_without_sense_give_way_to_receive_times(tmp_path: Path) -> None:
    clocks = {"unset": lambda k: 0, "frozen": lambda k: START, "other clock": lambda k: k * SECOND // 10}
    for name, header in clocks.items():
        made = [
            (topic, kind, stamp, Messages("mcap").image(header(k), "rgb8", numbered(k)) if kind == IMAGE else message)
            for k, (topic, kind, stamp, message) in enumerate(rows("mcap"))
        ]
        drive = only(read_bags(write_bag(tmp_path / name, "mcap", made)))
        assert drive.picture_stamps_ns[1] == START + SECOND // 10 + 5_000_000, name
        assert drive.info.notes is not None and drive.info.notes["bag"]["stamps"].startswith("receive times: ")


def test_a_clock_that_was_set_back_mixes_no_two_times(tmp_path: Path) -> None:
    """Sorted by header stamps, pictures and poses of two times would lie between each other."""
    make, made = Messages("mcap"), []
    for k in range(60):
        stamp = START + k * SECOND // 10
        header = stamp - (2_050_000_000 if k >= 30 else 0)
        made.append(("/camera", IMAGE, stamp, make.image(header, "rgb8", numbered(k))))
        made.append(("/odom", ODOMETRY, stamp, make.odometry(header, 0.05 * k, 0.0, 0.0)))
    drive = only(read_bags(write_bag(tmp_path / "back", "mcap", made)))
    assert [number_of(rgb_of(p)) for p in drive.pictures] == list(range(60)) and drive.left_out == ()
    np.testing.assert_allclose(drive.poses[:, 0], 0.05 * np.arange(60), atol=1e-12)
    assert drive.info.notes is not None and "was set back" in drive.info.notes["bag"]["stamps"]


def test_commands_follow_simulated_time(tmp_path: Path) -> None:
    make, made = Messages("sqlite3"), []
    for k in range(20):
        stamp, receive = SECOND + k * SECOND // 10, START + k * SECOND // 10
        made += [("/camera", IMAGE, receive, make.image(stamp, "rgb8", numbered(k))),
                 ("/odom", ODOMETRY, receive, make.odometry(stamp, 0, 0, 0)),
                 ("/cmd_vel", TWIST, receive, make.twist(k / 100, 0))]
    drive = only(read_bags(write_bag(tmp_path / "drive", "sqlite3", made)))
    assert drive.picture_stamps_ns[0] == SECOND and drive.command_stamps_ns is not None
    assert drive.command_stamps_ns[3] == drive.picture_stamps_ns[3]


def test_several_cameras_need_a_choice(tmp_path: Path) -> None:
    def with_cameras(name: str, *cameras: str) -> Path:
        pictures = [(c, *row[1:]) for row in rows("mcap") if row[1] == IMAGE for c in cameras]
        others = [row for row in rows("mcap") if row[1] != IMAGE]
        return write_bag(tmp_path / name, "mcap", sorted([*pictures, *others], key=lambda r: r[2]))

    two = with_cameras("two", "/left/image", "/right/image")
    with pytest.raises(DataError, match=r"--image-topic among /left/image \(sensor_msgs/Image, 20\), /right/image"):
        list(read_bags(two))
    chosen = only(read_bags(two, image_topic="/right/image"))
    assert reasons(chosen) == {"pictures of another camera, /left/image": 20}
    with pytest.raises(DataError, match=r"no topic /rigth/image \(did you mean '/right/image'\?\).*/left/image"):
        list(read_bags(two, image_topic="/rigth/image"))
    with pytest.raises(DataError, match=r"/odom has type nav_msgs/msg/Odometry, which cannot be used"):
        list(read_bags(two, image_topic="/odom"))
    with pytest.raises(DataError, match=r"--odom-topic there are: /odom \(nav_msgs/Odometry, 40\)"):
        list(read_bags(two, image_topic="/right/image", odom_topic="/odometri"))
    front = only(read_bags(with_cameras("front", "/front/image", "/rear/image", "/front/depth/image")))
    assert front.name.endswith("/front/image") and pictures_left(front) == 40


@pytest.mark.parametrize("source", ["pose", "tf", "fix"])
def test_other_sources_of_poses(tmp_path: Path, source: str) -> None:
    make = Messages("mcap")
    made = [row for row in rows("mcap") if row[1] == IMAGE]
    yaw = math.pi / 2
    for k in range(41):
        stamp = START + k * SECOND // 20
        if source == "pose":
            made.append(("/pose", "geometry_msgs/msg/PoseStamped", stamp, make.stamped(stamp, 1, 0.1 * k, yaw)))
        elif source == "tf":
            made.append(("/tf", "tf2_msgs/msg/TFMessage", stamp,
                         make.transform(stamp, "/odom", "base_link", 1, 0.1 * k, yaw)))
            made.append(("/tf", "tf2_msgs/msg/TFMessage", stamp, make.transform(stamp, "map", "odom", 9, 9, 0)))
        else:  # north along a meridian: at 45 degrees, 1e-5 degrees are 1.11131 m
            status = -1 if k == 40 else 0
            made.append(("/fix", "sensor_msgs/msg/NavSatFix", stamp, make.fix(stamp, 45 + k * 1e-6, 7.0, status)))
    drive = only(read_bags(write_bag(tmp_path / "drive", "mcap", sorted(made, key=lambda r: r[2]))))
    if source == "fix":
        np.testing.assert_allclose(drive.poses, [(0, 0.111131 * k, yaw) for k in range(40)], atol=2e-4)
        assert reasons(drive) == {"poses without a valid fix or orientation": 1}
        assert "course" in (drive.info.notes or {})["bag"]["poses"]
    else:
        np.testing.assert_allclose(drive.poses, [(1, 0.1 * k, yaw) for k in range(41)], atol=1e-12)


def test_a_bag_without_poses_says_so(tmp_path: Path) -> None:
    pictures = [row for row in rows("mcap") if row[1] == IMAGE]
    with pytest.raises(DataError, match="has no poses: record odometry"):
        list(read_bags(write_bag(tmp_path / "drive", "mcap", pictures)))
    with pytest.raises(DataError, match="does not exist"):
        list(read_bags(tmp_path / "nothing.bag"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no bag"):
        list(read_bags(tmp_path / "empty"))


def test_lone_files_folders_without_metadata_and_folders_of_bags(tmp_path: Path) -> None:
    for kind, suffix in (("sqlite3", "db3"), ("mcap", "mcap")):
        folder = write_bag(tmp_path / f"of_{kind}", kind, rows(kind))
        assert len(only(read_bags(folder / f"of_{kind}.{suffix}")).pictures) == 20
        (folder / "metadata.yaml").unlink()
        assert len(only(read_bags(folder)).pictures) == 20
    write_bag(tmp_path / "third", "ros1", rows("ros1"))
    assert [d.name.split()[0] for d in read_bags(tmp_path)] == ["of_mcap", "of_sqlite3", "third.bag"]


def file_of(bag: Path) -> Path:
    return bag if bag.is_file() else next(p for p in bag.iterdir() if p.suffix in (".mcap", ".db3"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("share", [0.25, 0.6, 0.97])
def test_a_truncated_bag_gives_what_is_readable(tmp_path: Path, kind: str, compress: bool, share: float) -> None:
    if kind == "sqlite3" and compress:
        pytest.skip("sqlite3 storage knows no compression: rosbag2 compresses its whole files or its messages")
    noise = np.random.default_rng(3)
    make, made = Messages(kind), []
    for k in range(100):  # chunks of a megabyte, so several of them
        stamp, rgb = START + k * SECOND // 10, numbered(k, 96, 128)
        rgb[48:] = noise.integers(0, 255, (48, 128, 3))
        made += [("/camera", IMAGE, stamp, make.image(stamp, "rgb8", rgb)),
                 ("/odom", ODOMETRY, stamp, make.odometry(stamp, 0.05 * k, 0, 0))]
    bag = write_bag(tmp_path / "drive", kind, made, compress)
    whole = file_of(bag).read_bytes()
    file_of(bag).write_bytes(whole[: int(len(whole) * share)])
    drive = only(read_bags(bag))
    numbers = [number_of(rgb_of(p)) for p in drive.pictures]
    assert numbers == list(range(len(numbers)))
    lost = share * 100 - len(numbers)
    assert lost <= (35 if compress else 12), "more is lost than the chunk that was cut"
    assert len(drive.poses) >= len(numbers) - 1
    assert any(entry.what == "parts of the bag" for entry in drive.left_out)
    assert any(word in why for why in reasons(drive) for word in ("ends within", "SQLite", "looked for"))


@pytest.mark.parametrize("kind", KINDS)
def test_garbage_is_refused_in_a_sentence(tmp_path: Path, kind: str) -> None:
    file = file_of(write_bag(tmp_path / "drive", kind, rows(kind)))
    for content in (b"", b"nonsense" * 100):
        file.write_bytes(content)
        with pytest.raises(DataError, match="holds no readable message"):
            list(read_bags(file))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_damage_anywhere_is_survived_or_refused_in_a_sentence(tmp_path: Path, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    file = file_of(write_bag(tmp_path / "drive", kind, rows(kind), compress=seed % 2 == 1 and kind != "sqlite3"))
    content = np.frombuffer(file.read_bytes(), np.uint8).copy()
    content[rng.integers(0, len(content), int(rng.integers(1, 40)))] = rng.integers(0, 256)
    file.write_bytes(content.tobytes())
    try:
        drive = only(read_bags(file))
    except DataError as error:
        refusal = str(error)
        assert "\n" not in refusal, refusal
        return
    assert len(drive.pictures) + pictures_left(drive) <= 20
    for picture in drive.pictures:
        with contextlib.suppress(DataError):
            assert rgb_of(picture).shape == (24, 32, 3)


def test_a_damaged_chunk_is_skipped(tmp_path: Path) -> None:
    file = write_bag(tmp_path / "drive", "ros1", rows("ros1", count=100, size=(48, 64)), compress=True)
    content = bytearray(file.read_bytes())
    middle = content.find(b"BZh9", len(content) // 3)
    content[middle + 20 : middle + 60] = b"\0" * 40
    file.write_bytes(bytes(content))
    drive = only(read_bags(file))
    numbers = [number_of(rgb_of(p)) for p in drive.pictures]
    assert 0 in numbers and 99 in numbers and len(numbers) < 100
    assert any("bz2 data is broken" in why for why in reasons(drive))


def test_a_recording_that_was_killed_keeps_its_journal(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive", "sqlite3", rows("sqlite3"))
    file = file_of(bag)
    (bag / "metadata.yaml").unlink()
    database = sqlite3.connect(file)
    last = database.execute("SELECT * FROM messages ORDER BY timestamp DESC LIMIT 9").fetchall()
    database.execute("DELETE FROM messages WHERE id IN (SELECT id FROM messages ORDER BY timestamp DESC LIMIT 9)")
    database.commit()
    database.execute("PRAGMA journal_mode=WAL")
    database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", last)
    database.commit()
    copy = tmp_path / "killed"
    copy.mkdir()
    for part in bag.iterdir():
        (copy / part.name).write_bytes(part.read_bytes())
    database.close()
    drive = only(read_bags(copy))
    assert [number_of(rgb_of(p)) for p in drive.pictures] == list(range(20)) and len(drive.poses) == 40


def test_cells_and_times_of_the_wrong_kind_are_skipped(tmp_path: Path) -> None:
    """SQLite puts anything into any cell, and an mcap file has 64 bits without a sign."""
    make = Messages("sqlite3")
    drive = [
        message for k in range(20) for message in (
            ("/camera", IMAGE, START + k * SECOND // 10, make.image(START + k * SECOND // 10, "rgb8", numbered(k))),
            ("/odom", ODOMETRY, START + k * SECOND // 10, make.odometry(START + k * SECOND // 10, 0.05 * k, 0, 0)),
        )
    ]
    bag = file_of(write_bag(tmp_path / "cells", "sqlite3", drive))
    with contextlib.closing(sqlite3.connect(bag)) as database, database:
        database.execute("UPDATE messages SET data = 7 WHERE rowid = 9")
        database.execute("UPDATE messages SET timestamp = 'noon' WHERE rowid = 15")
    found = only(read_bags(bag))
    assert [number_of(rgb_of(picture)) for picture in found.pictures] == [k for k in range(20) if k not in (4, 7)]
    assert sum("is broken" in why for why in reasons(found)) == 2
    drive[8] = (*drive[8][:2], 2**63 + 1, drive[8][3])
    found = only(read_bags(write_bag(tmp_path / "times", "mcap", drive)))
    assert [number_of(rgb_of(picture)) for picture in found.pictures] == [k for k in range(20) if k != 4]
    assert any("beyond 64 bits" in why for why in reasons(found))


def test_bags_without_definitions_use_those_of_a_distribution(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "drive", "sqlite3", rows("sqlite3"))
    with sqlite3.connect(file_of(bag)) as database:
        database.execute("DROP TABLE message_definitions")
        database.execute("DROP TABLE schema")
    assert len(only(read_bags(bag, distro="jazzy")).pictures) == 20
    with pytest.raises(DataError, match="did you mean 'jazzy'"):
        list(read_bags(bag, distro="jazy"))


def test_pictures_are_read_one_at_a_time(tmp_path: Path) -> None:
    import tracemalloc

    bag = write_bag(tmp_path / "drive", "mcap", rows("mcap", count=150, size=(240, 320)))  # 34 MB of pictures
    tracemalloc.start()
    drive = only(read_bags(bag))
    for picture in drive.pictures:
        picture()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(drive.pictures) == 150 and peak < 16 << 20


def test_what_was_written_about_the_episode_is_read(tmp_path: Path) -> None:
    text = Messages("mcap").types["std_msgs/msg/String"](data=json.dumps({"task": "tour", "scene": "house:3"}))
    made: Sequence[Any] = [("/nav_foundation/episode", "std_msgs/msg/String", START, text), *rows("mcap")]
    drive = only(read_bags(write_bag(tmp_path / "drive", "mcap", made)))
    assert (drive.info.task, drive.info.scene) == ("tour", "house:3")

"""Imports from end to end: the report's numbers, units, broken pictures, appending; and bags out and in again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_making import SECOND, START
from drives_on_disk import made_up_drive, told
from rosbags.highlevel import AnyReader

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.exporting.mcap import write_mcap
from nav_foundation.data.images import encode_jpeg
from nav_foundation.data.importing.bags import read_bags
from nav_foundation.data.importing.cut import ImportRules
from nav_foundation.data.importing.drive import Drive, LeftOut
from nav_foundation.data.importing.run import import_drives
from nav_foundation.data.schema import DataError, EpisodeInfo
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.robot import load_robot


def drive(count: int = 40, speed: float = 0.5, name: str = "made", **changes: Any) -> Drive:
    """Straight ahead at 5 Hz."""
    file = encode_jpeg(np.full((24, 32, 3), 90, np.uint8))
    stamps = START + np.arange(count) * (SECOND // 5)
    poses = np.column_stack([np.arange(count) * speed / 5, np.zeros(count), np.zeros(count)])
    made = Drive(name, EpisodeInfo(source=name), [lambda: file] * count, stamps, poses, stamps)
    return replace(made, **changes)


def test_the_report_tells_what_was_driven(tmp_path: Path) -> None:
    first, second = drive(41, 0.5), drive(21, 1.0, "other", left_out=(LeftOut("messages", 3, "nobody wants"),))
    report = import_drives([first, second], tmp_path / "out", ImportRules())
    assert (report.drives, report.episodes, report.frames) == (2, 2, 62)
    assert report.metres == pytest.approx(8 * 0.5 + 4 * 1.0) and report.seconds == pytest.approx(12.0)
    assert report.speed_counts[5] + report.speed_counts[4] == 40 and sum(report.speed_counts) == 60
    assert report.left_out == (LeftOut("messages", 3, "nobody wants"),) and report.warnings == ()
    assert report.cruising_step == pytest.approx(0.1)
    table = report.table()
    assert "episodes       2" in table and "metres         8.0" in table and "3 messages nobody wants" in table
    assert any(line.count("#") == 40 for line in table.splitlines())
    dataset = EpisodeDataset(tmp_path / "out")
    assert dataset.info(0).cruising_step == pytest.approx(0.1) and dataset.frame_rate == 5.0


def test_the_measured_step_must_agree_with_the_robot(tmp_path: Path) -> None:
    robot = load_robot("turtlebot")
    fits = drive(speed=robot.cruise_speed * 1.2)
    assert import_drives([fits], tmp_path / "fits", ImportRules(robot=robot)).warnings == ()
    fast = drive(speed=robot.cruise_speed * 1.4)
    (warning,) = import_drives([fast], tmp_path / "fast", ImportRules(robot=robot)).warnings
    assert "check the robot file" in warning and f"{robot.cruise_speed * 1.4 / 5:.3f} m per frame" in warning


def test_positions_without_a_scale_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no scale: give the metres per unit with --scale"):
        import_drives([drive(has_scale=False)], tmp_path / "a", ImportRules())
    centimetres = drive(speed=50.0)
    with pytest.raises(DataError, match="cruise at 50 m/s, so they are not in metres: give --scale"):
        import_drives([centimetres], tmp_path / "b", ImportRules())
    report = import_drives([centimetres], tmp_path / "c", ImportRules(scale=0.01))
    assert report.metres == pytest.approx(39 * 0.1)


def test_broken_pictures_and_other_sizes_are_left_out_and_counted(tmp_path: Path) -> None:
    def broken() -> bytes:
        raise DataError("it is broken")

    pictures: list[Any] = list(drive().pictures)
    pictures[3] = broken
    pictures[10:18] = [lambda: b"\xff\xd8\xff nonsense"] * 8
    pictures[30] = lambda: np.zeros((48, 64, 3), np.uint8)
    report = import_drives([drive(pictures=pictures)], tmp_path / "out", ImportRules())
    assert (report.episodes, report.frames) == (2, 30)  # eight frames lost are a hole of 1.8 s
    assert sum(entry.count for entry in report.left_out) == 10
    assert {entry.count for entry in report.left_out} == {1, 8} and "64x48 pixels" in str(report.left_out)
    dataset = EpisodeDataset(tmp_path / "out")
    assert dataset.lengths.tolist() == [9, 21]
    assert dataset.stamps_ns(1)[0] == START + 18 * SECOND // 5 and dataset.poses(1)[0, 0] == pytest.approx(1.8)


def test_appending_adds_only_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    import_drives([drive()], out, ImportRules())
    with pytest.raises(DataError, match="holds a dataset already"):
        import_drives([drive(name="b")], out, ImportRules())
    report = import_drives([drive(), drive(name="b")], out, ImportRules(), append=True)
    assert report.episodes == 1 and EpisodeDataset(out).episodes == 2
    assert report.left_out == (LeftOut("frames", 40, "of episodes that the dataset has already"),)


def test_a_slow_source_and_an_empty_import_are_warned_of(tmp_path: Path) -> None:
    stamps = START + np.arange(40) * SECOND // 2
    slow = drive(picture_stamps_ns=stamps, pose_stamps_ns=stamps)
    (warning,) = import_drives([slow], tmp_path / "slow", ImportRules()).warnings
    assert "has 2 pictures per second, fewer than the 5" in warning and "--frame-rate 2" in warning
    report = import_drives([drive(1)], tmp_path / "none", ImportRules())
    assert report.episodes == 0 and any("no episode was added" in warning for warning in report.warnings)


def test_episodes_come_back_from_a_bag(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "ours", 5.0) as writer:
        for number in range(2):
            lossless = made_up_drive(number, 30, lossless=number == 1, depth=True, labels=True)
            writer.add(replace(told(number), robot=None), lossless)
    ours = EpisodeDataset(tmp_path / "ours")
    bags = list(write_mcap(ours, tmp_path / "bags"))
    assert [left for _, left in bags] == [[LeftOut("labels", 30, "a bag has no place for them")]] * 2
    rules = ImportRules(reverse="keep")
    import_drives(read_bags(tmp_path / "bags"), tmp_path / "back", rules)
    back = EpisodeDataset(tmp_path / "back")
    assert back.lengths.tolist() == ours.lengths.tolist()
    for episode in range(2):
        np.testing.assert_array_equal(back.stamps_ns(episode), ours.stamps_ns(episode))
        difference = back.poses(episode) - ours.poses(episode)
        np.testing.assert_allclose(difference[:, :2], 0.0, atol=1e-12)
        np.testing.assert_allclose(np.sin(difference[:, 2]), 0.0, atol=1e-12)
        np.testing.assert_array_equal(back.actions(episode), ours.actions(episode))
        assert [back.image_file(episode, k) for k in range(30)] == [ours.image_file(episode, k) for k in range(30)]
        before, after = ours.info(episode), back.info(episode)
        assert (after.task, after.scene, after.goal, after.driver, after.source, after.action_source) == (
            before.task, before.scene, before.goal, before.driver, before.source, before.action_source
        )
    with pytest.raises(DataError, match="holds something already"):
        list(write_mcap(ours, tmp_path / "bags"))


def test_a_bag_holds_what_ros_expects(tmp_path: Path) -> None:
    robot = load_robot("turtlebot")
    small = replace(robot, camera=replace(robot.camera, width=32, height=24))
    with DatasetWriter(tmp_path / "ours", 5.0) as writer:
        writer.add(replace(told(0), robot=small), made_up_drive(1, 4, depth=True))
        writer.add(replace(told(1), robot=robot, action_source="measured"), made_up_drive(2, 4, depth=True))
    ours = EpisodeDataset(tmp_path / "ours")
    (first, _), (second, left) = write_mcap(ours, tmp_path / "bags")
    assert [entry.what for entry in left] == ["camera descriptions"]  # of 32x24 pictures from another camera
    with AnyReader([first]) as reader:
        kinds = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
        assert kinds == {
            "/camera/image_raw/compressed": ("sensor_msgs/msg/CompressedImage", 4),
            "/camera/depth/image_raw/compressedDepth": ("sensor_msgs/msg/CompressedImage", 4),
            "/camera/camera_info": ("sensor_msgs/msg/CameraInfo", 4), "/odom": ("nav_msgs/msg/Odometry", 4),
            "/cmd_vel": ("geometry_msgs/msg/TwistStamped", 4), "/nav_foundation/episode": ("std_msgs/msg/String", 1),
        }
        by_topic = {c.topic: reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()}
    odometry, camera = by_topic["/odom"], by_topic["/camera/camera_info"]
    stamp = odometry.header.stamp.sec * SECOND + odometry.header.stamp.nanosec
    assert stamp == ours.stamps_ns(0)[3] and odometry.pose.pose.position.x == ours.poses(0)[3, 0]
    assert (camera.width, camera.height) == (32, 24)
    np.testing.assert_allclose(camera.k[[0, 4, 2, 5]], np.array(small.camera.intrinsics))
    from nav_foundation.data.importing.messages import compressed_depth

    depth = by_topic["/camera/depth/image_raw/compressedDepth"]
    np.testing.assert_array_equal(compressed_depth(depth.format, depth.data), ours.depth(0, 3))
    with AnyReader([second]) as reader:
        assert "/cmd_vel" not in reader.topics and "/camera/camera_info" not in reader.topics

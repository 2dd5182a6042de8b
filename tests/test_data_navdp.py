"""Trajectories of NavDP and InternData: camera poses become the robot's, and every picture finds its pose."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drives_on_disk import picture
from scipy.spatial.transform import Rotation

from nav_foundation.cli import main
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode_depth, encode_jpeg
from nav_foundation.data.importing.navdp import read_navdp
from nav_foundation.data.schema import DataError
from nav_foundation.data.video import write_video

HEIGHT, PITCH = 0.6, math.radians(20)


def camera_pose(x: float, y: float, yaw: float, opengl: bool = True) -> np.ndarray:
    """[4, 4] of a camera that looks ahead and 20 degrees down; its axes as columns, in the world."""
    ahead = np.array([math.cos(yaw) * math.cos(PITCH), math.sin(yaw) * math.cos(PITCH), -math.sin(PITCH)])
    right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    down = np.cross(ahead, right)
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, -down, -ahead] if opengl else [right, down, ahead])
    pose[:3, 3] = x, y, HEIGHT
    return pose


def circle(count: int) -> np.ndarray:
    """Poses [T, 3] on a circle of 2 m, counter-clockwise."""
    angle = np.arange(count) * 0.05
    return np.column_stack([2 * np.cos(angle), 2 * np.sin(angle), angle + math.pi / 2])


def write_scene(
    folder: Path, lengths: tuple[int, ...] = (12, 9), *, film: bool = False, opengl: bool = True, stats: bool = True
) -> list[list[bytes]]:
    rng = np.random.default_rng(0)
    (folder / "data/chunk-000").mkdir(parents=True)
    (folder / "meta").mkdir()
    rgb, depth = (folder / f"videos/chunk-000/observation.images.{name}" for name in ("rgb", "depth"))
    rgb.mkdir(parents=True)
    depth.mkdir()
    extrinsic = np.eye(4)
    extrinsic[:3, :3] = Rotation.from_euler("x", math.pi / 2 - PITCH).as_matrix()
    extrinsic[2, 3] = HEIGHT
    intrinsic = [[355.8, 0.0, 240.0], [0.0, 351.7, 135.0], [0.0, 0.0, 1.0]]
    lines, written, number = [], [], 0
    for episode, count in enumerate(lengths):
        poses = np.stack([camera_pose(*pose, opengl) for pose in circle(count).tolist()])
        table = {
            "index": list(range(number, number + count)), "observation.camera_intrinsic": [intrinsic] * count,
            "observation.camera_extrinsic": [extrinsic.tolist()] * count, "action": poses.tolist(),
        }
        pq.write_table(pa.table(table), folder / f"data/chunk-000/episode_{episode:06d}.parquet")
        shown = [picture(rng) for _ in range(count)]
        files = [encode_jpeg(image) for image in shown]
        if film:
            write_video(rgb / f"episode_{episode:06d}.mp4", shown, 10.0)
        for k, file in enumerate(files):
            if not film:
                (rgb / f"{number + k}.jpg").write_bytes(file)
            tenths = np.full((24, 32), 12_345 + 100 * (number + k), np.uint16)  # of a millimetre: 1.2345 m
            cv2.imwrite(str(depth / f"{number + k}.png"), tenths)
        lines.append({"episode_index": episode, "image_index": {"min": number, "max": number + count - 1}})
        written.append(files)
        number += count
    if stats:
        (folder / "meta/episodes_stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "meta/info.json").write_text(json.dumps({"codebase_version": "v2.1", "fps": 10}))
    (folder / "meta/episodes.jsonl").write_text('{"episode_index": 0, "tasks": ["Go to the sofa"], "length": 12}\n')
    return written


def left_out(drive: Any) -> dict[tuple[str, str], int]:
    return {(entry.what, entry.why): entry.count for entry in drive.left_out}


@pytest.mark.parametrize("opengl", [True, False])
def test_camera_poses_become_headings(tmp_path: Path, opengl: bool) -> None:
    files = write_scene(tmp_path / "gibson_zed" / "scene", opengl=opengl)
    one, two = read_navdp(tmp_path)
    np.testing.assert_allclose(one.poses, circle(12), atol=1e-12)
    np.testing.assert_allclose(two.poses, circle(9), atol=1e-12)
    assert [[read() for read in drive.pictures] for drive in (one, two)] == files  # 10.jpg comes after 9.jpg
    assert one.picture_stamps_ns.tolist() == [k * 100_000_000 for k in range(12)]
    assert one.info.task == "Go to the sofa" and two.info.task == "drive" and one.info.scene == "scene"
    assert one.info.source == f"{tmp_path.name}/gibson_zed/scene" and one.info.notes is not None
    camera = one.info.notes["camera"]
    assert camera["height"] == HEIGHT and camera["pitch"] == pytest.approx(PITCH, abs=1e-6)
    assert (camera["fx"], camera["cy"], camera["axes"]) == (355.8, 135.0, "opengl" if opengl else "opencv")
    assert not one.left_out and not two.left_out and two.depth is not None
    np.testing.assert_allclose(decode_depth(two.depth[3]()), 1.2345 + 15 * 0.01, atol=0.5001e-3)


def test_films_and_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scene(tmp_path / "scene", film=True)
    assert main(["data", "import", "navdp", str(tmp_path / "scene"), "--out", str(tmp_path / "out")]) == 0
    assert "21 depth images that are not PNG files, one for each picture" in capsys.readouterr().out
    dataset = EpisodeDataset(tmp_path / "out")
    assert dataset.frame_rate == 10.0 and dataset.lengths.tolist() == [12, 9]
    chord = 4 * math.sin(0.025)  # m from frame to frame
    np.testing.assert_allclose(dataset.actions(0), np.tile([chord * 10, 0.5], (12, 1)), rtol=1e-3)


def test_which_pictures_are_of_an_episode_without_statistics(tmp_path: Path) -> None:
    files = write_scene(tmp_path, stats=False)
    assert [[read() for read in drive.pictures] for drive in read_navdp(tmp_path)] == files
    for episode in (0, 1):  # with indices that begin anew in each
        path = tmp_path / f"data/chunk-000/episode_{episode:06d}.parquet"
        table = pq.read_table(path)
        pq.write_table(table.set_column(0, "index", pa.array(range(len(table)))), path)
    _, end = read_navdp(tmp_path)
    assert any("which pictures are of episode 1 is unknown" in why for _, why in left_out(end))


def test_pictures_named_by_episode_and_frame(tmp_path: Path) -> None:
    files = write_scene(tmp_path, stats=False)
    folder = tmp_path / "videos/chunk-000/observation.images.rgb"
    for number in range(21):
        episode, frame = (0, number) if number < 12 else (1, number - 12)
        (folder / f"{number}.jpg").rename(folder / f"episode_{episode:06d}_{frame}.jpg")
    assert [[read() for read in drive.pictures] for drive in read_navdp(tmp_path)] == files


def test_a_missing_picture_shifts_no_other(tmp_path: Path) -> None:
    files = write_scene(tmp_path)
    (tmp_path / "videos/chunk-000/observation.images.rgb/5.jpg").unlink()
    one, two = read_navdp(tmp_path)
    assert [read() for read in one.pictures] == files[0][:5] + files[0][6:]
    assert one.picture_stamps_ns.tolist() == [k * 100_000_000 for k in range(12) if k != 5] and len(one.poses) == 12
    assert [read() for read in two.pictures] == files[1]
    assert left_out(one)["poses", "without a picture"] == 1


def test_counts_that_differ_are_told(tmp_path: Path) -> None:
    write_scene(tmp_path)
    (tmp_path / "videos/chunk-000/observation.images.rgb/20.jpg").unlink()
    table = pq.read_table(tmp_path / "data/chunk-000/episode_000000.parquet").slice(0, 10)
    pq.write_table(table, tmp_path / "data/chunk-000/episode_000000.parquet")
    one, two = read_navdp(tmp_path)
    assert (len(one.pictures), len(two.pictures)) == (10, 8)
    assert left_out(one)["pictures", "without a pose"] == 2 and left_out(two)["poses", "without a picture"] == 1


def test_broken_pictures_and_depth_cost_their_frames_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scene(tmp_path / "scene", (12,))
    (tmp_path / "scene/videos/chunk-000/observation.images.rgb/0.jpg").write_bytes(b"broken")
    (tmp_path / "scene/videos/chunk-000/observation.images.depth/11.png").write_bytes(b"broken")
    assert main(["data", "import", "navdp", str(tmp_path / "scene"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "1 pictures a picture of 6 bytes" in printed and "1 pictures a depth image cannot be decoded" in printed
    dataset = EpisodeDataset(tmp_path / "out")
    assert dataset.lengths.tolist() == [10] and dataset.stamps_ns(0)[0] == 100_000_000
    np.testing.assert_allclose(dataset.depth(0, 0), 1.2445, atol=0.5001e-3)


def test_broken_episodes_are_named_and_the_rest_read(tmp_path: Path) -> None:
    write_scene(tmp_path, (5, 6, 7))
    for number in (0, 2):
        path = tmp_path / f"data/chunk-000/episode_{number:06d}.parquet"
        path.write_bytes(path.read_bytes()[:100])
    one, end = read_navdp(tmp_path)
    assert len(one.pictures) == 6 and len(end.pictures) == 0
    for drive, number in ((one, 0), (end, 2)):
        assert any(f"episode_{number:06d}.parquet is broken" in why for _, why in left_out(drive))
    (tmp_path / "data/chunk-000/episode_000001.parquet").unlink()
    with pytest.raises(DataError, match="is broken"):
        list(read_navdp(tmp_path))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("action", None, "has no action with the camera's pose"), ("action", [1.0, 2.0], "must be a matrix [4, 4]"),
        ("action", np.eye(4)[[0, 2, 1, 3]].tolist(), ""),
        ("action", np.eye(4).tolist(), "do not stand upright"),
    ],
)
def test_other_tables_are_named(tmp_path: Path, column: str, value: Any, words: str) -> None:
    write_scene(tmp_path, (5,))
    path = tmp_path / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(path).drop_columns([column])
    if value is not None:
        table = table.append_column(column, pa.array([value] * 5))
    pq.write_table(table, path)
    if not words:
        assert len(next(read_navdp(tmp_path)).pictures) == 5
        return
    with pytest.raises(DataError) as error:
        next(read_navdp(tmp_path))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_the_first_trajectories_have_no_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scene(tmp_path / "scene", (12,), stats=False)
    (tmp_path / "scene/meta/info.json").unlink()
    command = ["data", "import", "navdp", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "must tell fps (it does not exist); without that file give --frame-rate" in capsys.readouterr().err
    assert main([*command, "--frame-rate", "8"]) == 0
    dataset = EpisodeDataset(tmp_path / "out")
    np.testing.assert_allclose(dataset.depth(0, 2), 1.2545, atol=0.5001e-3)
    assert dataset.frame_rate == 8.0 and dataset.stamps_ns(0).tolist() == [k * 125_000_000 for k in range(12)]


def test_what_is_no_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no data"):
        next(read_navdp(tmp_path))
    write_scene(tmp_path / "a", (5,))
    (tmp_path / "a/meta/info.json").write_text("{}")
    with pytest.raises(DataError, match="must tell fps"):
        next(read_navdp(tmp_path))

"""GNM folders in and out: every number and picture as it was, and nothing left out unsaid."""

from __future__ import annotations

import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drives_on_disk import made_up_drive, picture, told

from nav_foundation.cli import main
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode, encode_jpeg, encode_png
from nav_foundation.data.importing.gnm import read_gnm
from nav_foundation.data.schema import DataError
from nav_foundation.data.writer import DatasetWriter


def write_trajectory(folder: Path, frames: int = 8, **other: Any) -> list[bytes]:
    """A drive straight ahead at 0.25 m per frame, with a picture for each."""
    rng = np.random.default_rng(len(folder.name))
    folder.mkdir(parents=True)
    files = [encode_jpeg(picture(rng)) for _ in range(frames)]
    for number, file in enumerate(files):
        (folder / f"{number}.jpg").write_bytes(file)
    position = np.column_stack([np.arange(frames) * 0.25, np.zeros(frames)])
    data = {"position": position, "yaw": np.zeros(frames), **other}
    (folder / "traj_data.pkl").write_bytes(pickle.dumps(data))
    return files


def left_out(drive: Any) -> dict[tuple[str, str], int]:
    return {(entry.what, entry.why): entry.count for entry in drive.left_out}


def test_a_folder_of_folders_is_a_drive_each(tmp_path: Path) -> None:
    one, two = write_trajectory(tmp_path / "b" / "run_10", 12), write_trajectory(tmp_path / "a", 5)
    drives = list(read_gnm(tmp_path, 4.0))
    assert [drive.info.source.split("/", 1)[1] for drive in drives] == ["a", "b/run_10"]
    assert [[read() for read in drive.pictures] for drive in drives] == [two, one]  # 10.jpg comes after 9.jpg
    assert drives[0].picture_stamps_ns.tolist() == [0, 250_000_000, 500_000_000, 750_000_000, 1_000_000_000]
    assert drives[1].poses[:, 0].tolist() == [k * 0.25 for k in range(12)]
    assert not drives[0].has_clock and drives[0].has_scale and not drives[0].left_out
    assert len(list(read_gnm(tmp_path / "a", 4.0))) == 1


@pytest.mark.parametrize("yaw", [np.linspace(0, 1, 8), np.linspace(0, 1, 8)[:, None], np.linspace(0, 1, 8).tolist()])
def test_yaw_comes_in_several_shapes(tmp_path: Path, yaw: Any) -> None:
    write_trajectory(tmp_path / "a", yaw=yaw)
    (drive,) = read_gnm(tmp_path, 4.0)
    np.testing.assert_array_equal(drive.poses[:, 2], np.linspace(0, 1, 8))


def test_whatever_is_missing_is_counted(tmp_path: Path) -> None:
    position = np.column_stack([np.arange(10.0), np.zeros(10)])
    position[6] = np.nan
    files = write_trajectory(tmp_path / "a", 9, position=position, yaw=np.zeros(8))
    (tmp_path / "a" / "3.jpg").unlink()
    (tmp_path / "a" / "goal.jpg").write_bytes(files[0])
    (tmp_path / "a" / "05.jpg").write_bytes(files[0])
    write_trajectory(tmp_path / "lost", 3)
    (tmp_path / "lost" / "traj_data.pkl").unlink()
    (drive,) = read_gnm(tmp_path, 4.0)
    assert left_out(drive) == {
        ("positions", "without a yaw"): 2, ("positions", "without a picture"): 1,
        ("pictures", "that traj_data.pkl has no position for"): 1, ("pictures", "whose name is no number"): 1,
        ("pictures", "with the number of another one"): 1, ("pictures", "whose position or yaw is not a number"): 1,
        ("pictures", f"in {tmp_path / 'lost'}, which has no traj_data.pkl"): 3,
    }
    assert drive.poses[:, 0].tolist() == [0, 1, 2, 4, 5, 7]
    assert drive.picture_stamps_ns.tolist() == [k * 250_000_000 for k in (0, 1, 2, 4, 5, 7)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"position": np.zeros((3, 2))}, "must hold position and yaw; it has position"), ([1], "it has list"),
        ({"position": np.zeros((3, 1)), "yaw": np.zeros(3)}, "[T, 2]"), ({"position": "x", "yaw": "y"}, "be numbers"),
        ({"position": np.zeros((3, 2)), "yaw": np.zeros((3, 2))}, "yaw [T]"), ({"position": [], "yaw": []}, "[T, 2]"),
        ({"position": np.zeros((0, 2)), "yaw": []}, "holds no positions"),
    ],
)
def test_other_contents_are_named(tmp_path: Path, data: Any, words: str) -> None:
    write_trajectory(tmp_path / "a")
    (tmp_path / "a" / "traj_data.pkl").write_bytes(pickle.dumps(data))
    with pytest.raises(DataError) as error:
        next(read_gnm(tmp_path, 4.0))
    assert words in str(error.value) and "traj_data.pkl" in str(error.value)


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def test_an_attack_is_named_and_the_rest_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker, source = tmp_path / "marker", tmp_path / "gnm"
    write_trajectory(source / "good")
    write_trajectory(source / "bad", yaw=Malicious(marker))
    assert main(["data", "import", "gnm", str(source / "bad"), "--out", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert "bad/traj_data.pkl asks to run posix.system" in error and not (tmp_path / "none").exists()
    assert main(["data", "import", "gnm", str(source), "--out", str(tmp_path / "out")]) == 0
    assert "1 trajectories that cannot be read" in (printed := capsys.readouterr().out)
    assert "bad/traj_data.pkl asks to run posix.system" in printed
    assert EpisodeDataset(tmp_path / "out").episodes == 1 and not marker.exists()


def test_importing_twice_adds_nothing(tmp_path: Path) -> None:
    for name in ("a", "b/a"):
        write_trajectory(tmp_path / "gnm" / name)
    command = ["data", "import", "gnm", str(tmp_path / "gnm"), "--out", str(tmp_path / "out"), "--append"]
    for _ in range(2):
        assert main(command) == 0
    dataset = EpisodeDataset(tmp_path / "out")
    assert dataset.episodes == 2 and dataset.frame_rate == 4.0
    assert dataset.info(0).cruising_step == pytest.approx(0.25)


@pytest.mark.parametrize("kind", ["jpeg", "png", "video"])
def test_ours_to_gnm_and_back(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    with DatasetWriter(tmp_path / "ours", 5.0, video=kind == "video") as writer:
        for number in range(3):
            writer.add(told(number), made_up_drive(number, 9 + number, labels=True, lossless=kind == "png"))
    assert main(["data", "export", "gnm", str(tmp_path / "ours"), "--out", str(tmp_path / "gnm")]) == 0
    printed = capsys.readouterr().out
    assert "left out: 30 stamps" in printed and "left out: 30 labels" in printed and "left out: 30 commands" in printed
    assert ("30 originals" in printed) == (kind != "jpeg")
    back = ["data", "import", "gnm", str(tmp_path / "gnm"), "--out", str(tmp_path / "back"), "--frame-rate", "5"]
    assert main([*back, "--reverse", "keep"]) == 0
    ours, theirs = EpisodeDataset(tmp_path / "ours"), EpisodeDataset(tmp_path / "back")
    assert theirs.frame_rate == 5.0 and theirs.lengths.tolist() == ours.lengths.tolist() == [9, 10, 11]
    for episode in range(3):
        np.testing.assert_allclose(theirs.poses(episode), ours.poses(episode), atol=1e-12)
        for frame in range(int(ours.lengths[episode])):
            if kind == "jpeg":
                assert theirs.image_file(episode, frame) == ours.image_file(episode, frame)
            else:
                encoded = decode(encode_jpeg(ours.image(episode, frame)))
                np.testing.assert_array_equal(theirs.image(episode, frame), encoded)


def test_exports_are_what_gnm_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive = made_up_drive(0, 20)
    straight = np.column_stack([np.arange(20) * 0.12, np.zeros((20, 2))])
    with DatasetWriter(tmp_path / "ours", 4.0) as writer:
        writer.add(told(0), type(drive)(drive.images, drive.stamps_ns, straight))
    command = ["data", "export", "gnm", str(tmp_path / "ours"), "--out", str(tmp_path / "gnm")]
    assert main(command) == 0
    assert "metric_waypoint_spacing: 0.120 (m per frame, at 4 frames per second)" in capsys.readouterr().out
    assert main(command) == 2 and "holds something already" in capsys.readouterr().err
    folder = tmp_path / "gnm" / "episode_000000"
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{k}.jpg" for k in range(20)] + ["traj_data.pkl"])
    assert (tmp_path / "gnm" / "traj_names.txt").read_text() == "episode_000000\n"
    written = (folder / "traj_data.pkl").read_bytes()
    data = pickle.loads(written)
    np.testing.assert_array_equal(data["position"], straight[:, :2])
    assert data["yaw"].shape == (20,) and set(data) == {"position", "yaw"}
    names = {argument for code, argument, _ in pickletools.genops(written) if code.name == "GLOBAL"}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype", "_codecs encode"}


def test_broken_and_other_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import cv2

    write_trajectory(tmp_path / "gnm")
    (tmp_path / "gnm" / "7.jpg").write_bytes(b"")
    rgb = decode((tmp_path / "gnm" / "2.jpg").read_bytes())
    (tmp_path / "gnm" / "2.jpg").unlink()
    cv2.imwrite(str(tmp_path / "gnm" / "2.bmp"), rgb[:, :, ::-1])
    (tmp_path / "gnm" / "3.jpg").unlink()
    (tmp_path / "gnm" / "3.png").write_bytes(encode_png(rgb))
    command = ["data", "import", "gnm", str(tmp_path / "gnm"), "--out", str(tmp_path / "out"), "--lossless"]
    assert main(command) == 0
    assert "1 pictures a picture of 0 bytes cannot be decoded" in capsys.readouterr().out
    dataset = EpisodeDataset(tmp_path / "out")
    assert dataset.lengths.tolist() == [7]
    np.testing.assert_array_equal(dataset.image(0, 2), rgb)
    np.testing.assert_array_equal(dataset.image(0, 3), rgb)

"""Folders of pictures and films with a table of poses."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from drives_on_disk import made_up_drive, picture

from nav_foundation.cli import main
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode, encode_jpeg
from nav_foundation.data.importing.film import Film, read_film
from nav_foundation.data.importing.folder import read_folder
from nav_foundation.data.importing.pose_table import read_poses
from nav_foundation.data.schema import DataError
from nav_foundation.data.video import write_video

START = 1_760_000_000_123_456_789


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def left_out(drive: object) -> dict[tuple[str, str], int]:
    return {(entry.what, entry.why): entry.count for entry in drive.left_out}  # type: ignore[attr-defined]


# --- tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "time,x,y,yaw\n1760000000.123456789,1.5,-2,0.5\n1760000001,2,0,0\n",
        "stamp_ns;yaw;y;x;battery\n1760000000123456789;0.5;-2;1.5;full\n1760000001000000000;0;0;2;low\n",
        "# timestamp tx ty tz qx qy qz qw\n1760000000.123456789 1.5 -2 0.3 0 0 0.24740395925 0.96891242171\n"
        "# a remark\n1760000001 2 0 0.3 0 0 0 2\n",
        "Timestamp [s]\tX [m]\tY [m]\tyaw_deg\n\n1760000000.123456789\t1.5\t-2\t28.647889757\n1760000001\t2\t0\t0\n",
        "\ufefftime, x, y, yaw\r\n1760000001, 2, 0, 0\r\n1760000000.123456789, 1.5, -2, 0.5\r\n",
        'time,x,y,yaw\n"1.760000000123456789e9",1.5,-2,0.5\n1760000001,2,0,0\n',
    ],
)
def test_tables_in_many_spellings(tmp_path: Path, text: str) -> None:
    poses = read_poses(table(tmp_path / "poses.csv", text))
    assert poses.stamps_ns is not None and poses.stamps_ns.tolist() == [START, 1_760_000_001_000_000_000]
    np.testing.assert_allclose(poses.poses, [[1.5, -2, 0.5], [2, 0, 0]], atol=1e-9)
    assert not poses.left_out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"), ("time,x,y,yaw\n", "holds no pose"), ("time,x,yaw\n1,2,3\n", "line 1"),
        ("time,x,yaw\n1,2,3\n", "it lacks y and has time, x, yaw"), ("1,2,3,4\n5,6,7,8\n", "such as time,x,y,yaw"),
        ("x,y,yaw\n1,2,3\n", "it lacks time (or stamp_ns)"), ("time,x,y,qx,qy,qz\n1,2,3,4,5,6\n", "qx,qy,qz,qw"),
        ("time,x,y,yaw\n1,2,3,4\n\n2,zwei,3,4\n", "line 4: x is 'zwei'; give a number"),
        ("time,x,y,yaw\n1,2,3,4\n2,3,4\n", "line 3 has 3 values where the header has 4"),
        ("time,x,y,yaw\nsoon,2,3,4\n", "line 2: time is 'soon'"), ("time,t,x,y,yaw\n1,1,2,3,4\n", "several columns"),
        ("time,x,y,yaw\n1760000000123456789,2,3,4\n", "line 2: 1760000000123456789 s is no time; call"),
        ("time,x,y,qx,qy,qz,qw\n1,2,3,0,0,0,0\n", "line 2: its quaternion is all zeros"),
        ("frame,x,y,yaw\n1.5,2,3,4\n", "line 2: frame is '1.5'"), ("time,x,y,yaw\nnan,2,3,4\n", "holds no pose"),
    ],
)
def test_mistakes_in_tables_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError) as error:
        read_poses(table(tmp_path / "poses.csv", text))
    assert words in str(error.value) and "poses.csv" in str(error.value) and "\n" not in str(error.value)


def test_rows_without_numbers_and_twins_are_counted(tmp_path: Path) -> None:
    text = "time,x,y,yaw\n3,3,0,0\n1,1,0,0\n2,nan,0,0\n4,,0,0\n1,9,0,0\n5,inf,0,0\n"
    poses = read_poses(table(tmp_path / "poses.csv", text))
    assert poses.poses[:, 0].tolist() == [1, 3]  # the first of two at one time
    assert {(entry.what, entry.count) for entry in poses.left_out} == {("poses", 3), ("poses", 1)}


# --- folders --------------------------------------------------------------------------------------------------------


def write_pictures(folder: Path, names: list[str]) -> list[bytes]:
    rng = np.random.default_rng(5)
    files = [encode_jpeg(picture(rng)) for _ in names]
    for name, file in zip(names, files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(file)
    return files


@pytest.mark.parametrize(
    "names",
    [["1760000000.123456789", "1760000000.50", "1760000001"], ["1760000000123456789", "cam-1760000000500000000"]],
)
def test_times_come_from_names_in_seconds_or_nanoseconds(tmp_path: Path, names: list[str]) -> None:
    files = write_pictures(tmp_path / "p", [f"{name}.jpg" for name in names] + ["cover.png"])
    poses = table(tmp_path / "poses.csv", "time,x,y,yaw\n1760000000,0,0,0\n1760000002,1,0,0\n")
    (drive,) = read_folder(tmp_path / "p", poses)
    expected = [START, 1_760_000_000_500_000_000, 1_760_000_001_000_000_000]
    assert drive.picture_stamps_ns.tolist() == expected[: len(names)]
    assert [read() for read in drive.pictures] == files[:-1] and drive.has_clock and drive.has_scale
    assert left_out(drive) == {("pictures", "whose names end in no time"): 1}


def test_a_column_names_the_pictures(tmp_path: Path) -> None:
    files = write_pictures(tmp_path / "p", ["b.jpg", "a.jpg", "sub/c.jpg", "unused.jpg"])
    text = "time,x,y,yaw,image\n2,2,0,0,a.jpg\n1,1,0,0,b.jpg\n3,3,0,0,c.jpg\n4,4,0,0,lost.jpg\n5,5,0,0,a.jpg\n"
    (drive,) = read_folder(tmp_path / "p", table(tmp_path / "poses.csv", text))
    assert [read() for read in drive.pictures] == files[:3]
    assert drive.picture_stamps_ns.tolist() == [10**9, 2 * 10**9, 3 * 10**9] and len(drive.poses) == 5
    assert left_out(drive) == {
        ("pictures", "that poses.csv names and the folder lacks"): 1,
        ("pictures", "that poses.csv does not name"): 1, ("uses of a picture", "beyond its first one in poses.csv"): 1,
    }


@pytest.mark.parametrize(
    ("names", "text", "words"),
    [
        (["0.jpg", "1.jpg", "2.jpg"], "time,x,y,yaw\n0,0,0,0\n9,1,0,0\n", "are counted, not timed"),
        (["a.jpg"], "time,x,y,yaw\n0,0,0,0\n", "end in no time"), ([], "time,x,y,yaw\n0,0,0,0\n", "holds no pictures"),
        (["50.5.jpg", "51.jpg"], "time,x,y,yaw\n0,0,0,0\n9,1,0,0\n", "outside those of the poses, 0.000 to 9.000 s"),
        (["a.jpg"], "image,x,y,yaw\na.jpg,0,0,0\n", "has no times"),
        (["a.jpg"], "image,time,x,y,yaw\nb.jpg,0,0,0,0\n", "none of which is in"),
    ],
)
def test_pictures_without_a_time_are_refused(tmp_path: Path, names: list[str], text: str, words: str) -> None:
    (tmp_path / "p").mkdir()
    write_pictures(tmp_path / "p", names)
    with pytest.raises(DataError) as error:
        next(read_folder(tmp_path / "p", table(tmp_path / "poses.csv", text)))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_folder_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive = made_up_drive(3, 12)
    (tmp_path / "p").mkdir()
    for stamp, file in zip(drive.stamps_ns.tolist(), drive.images):
        (tmp_path / "p" / f"{stamp}.jpg").write_bytes(file)
    rows = [",".join(map(repr, (stamp, *pose))) for stamp, pose in zip(drive.stamps_ns.tolist(), drive.poses.tolist())]
    poses = table(tmp_path / "poses.csv", "\n".join(["stamp_ns,x,y,yaw", *rows]))
    command = ["data", "import", "folder", str(tmp_path / "p"), "--poses", str(poses), "--out", str(tmp_path / "out")]
    assert main([*command, "--reverse", "keep"]) == 0
    assert "nothing was left out" in capsys.readouterr().out
    dataset = EpisodeDataset(tmp_path / "out")
    np.testing.assert_array_equal(dataset.stamps_ns(0), drive.stamps_ns)
    np.testing.assert_allclose(dataset.poses(0), drive.poses, atol=1e-12)
    assert [dataset.image_file(0, k) for k in range(12)] == list(drive.images)
    assert main([*command[:-1], str(tmp_path / "x"), "--poses", str(tmp_path / "none.csv")]) == 2
    assert "none.csv cannot be read" in capsys.readouterr().err


# --- films ----------------------------------------------------------------------------------------------------------


def film_of(path: Path, count: int = 40, rate: float = 10.0) -> list[np.ndarray]:
    """Pictures of one grey each, dark to bright."""
    pictures = [np.full((48, 64, 3), 20 + 5 * k, np.uint8) for k in range(count)]
    write_video(path, pictures, rate)
    return pictures


def test_any_picture_of_a_film_is_found(tmp_path: Path) -> None:
    pictures = film_of(tmp_path / "film.mp4")
    film = Film(tmp_path / "film.mp4")
    np.testing.assert_allclose(film.seconds, np.arange(40) * 0.1, atol=1e-6)
    for number in [0, 1, 2, 39, 5, 6, 30, 30, 29]:
        assert abs(film.picture(number).mean() - pictures[number].mean()) < 2


def test_pictures_are_in_the_order_they_are_shown(tmp_path: Path) -> None:
    import av

    path = tmp_path / "film.mkv"  # with pictures that are stored in another order than shown, at uneven times
    shown = [0, 40, 70, 110, 190, 200, 260, 300]
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=30, options={"bf": "3", "b-adapt": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 25 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    film_read = Film(path)
    assert len(film_read.seconds) == len(shown)
    for number in (3, 0, 7, 6):
        assert abs(film_read.picture(number).mean() - (20 + 25 * number)) < 3


def test_films_of_telephones_are_turned_upright(tmp_path: Path) -> None:
    grey = np.zeros((48, 64, 3), np.uint8)
    grey[:, :32] = 200  # bright on the left, which a turn to the right brings to the top
    write_video(tmp_path / "film.mp4", [grey] * 3, 10.0)
    film = bytearray((tmp_path / "film.mp4").read_bytes())
    matrix = film.index(b"tkhd") + 44
    one = 1 << 16
    assert struct.unpack(">9i", film[matrix : matrix + 36]) == (one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    film[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "film.mp4").write_bytes(film)
    turned = Film(tmp_path / "film.mp4").picture(1)
    assert turned.shape == (64, 48, 3) and turned[:30].mean() > 190 and turned[34:].mean() < 10


def test_a_film_with_poses_by_time_or_number(tmp_path: Path) -> None:
    film_of(tmp_path / "film.mp4")
    by_time = table(tmp_path / "a.csv", "time,x,y,yaw\n0,0,0,0\n2,2,0,0\n10,10,0,0\n")
    (drive,) = read_film(tmp_path / "film.mp4", by_time)
    assert drive.pose_stamps_ns.tolist() == [0, 2 * 10**9, 10**10] and len(drive.pictures) == 40
    by_number = table(tmp_path / "b.csv", "frame,x,y,yaw\n20,2,0,0\n0,0,0,0\n20,3,0,0\n99,9,0,0\n")
    (drive,) = read_film(tmp_path / "film.mp4", by_number)
    assert drive.pose_stamps_ns.tolist() == [0, 2 * 10**9] and drive.poses[:, 0].tolist() == [0, 2]
    assert left_out(drive) == {
        ("poses", "of a picture that has one"): 1, ("poses", "of pictures beyond the film's 40"): 1,
    }
    late = table(tmp_path / "c.csv", "time,x,y,yaw\n1760000000,0,0,0\n1760000009,1,0,0\n")
    with pytest.raises(DataError, match=r"the film lasts 3\.900 s: give seconds from the film's first picture"):
        next(read_film(tmp_path / "film.mp4", late))
    with pytest.raises(DataError, match="is no film that can be read"):
        next(read_film(by_time, by_time))
    with pytest.raises(DataError, match="is a folder"):
        next(read_film(tmp_path, by_time))


def test_a_film_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = film_of(tmp_path / "film.mp4")
    poses = table(tmp_path / "poses.csv", "time,x,y,yaw\n" + "".join(f"{k / 2},{k / 4},0,0\n" for k in range(9)))
    out = tmp_path / "out"
    command = ["data", "import", "video", str(tmp_path / "film.mp4"), "--poses", str(poses), "--out", str(out)]
    assert main([*command, "--lossless"]) == 0
    assert "20 pictures between the ticks of 5 frames per second" in capsys.readouterr().out
    dataset = EpisodeDataset(out)
    assert dataset.lengths.tolist() == [20]
    for frame in (0, 7, 19):
        assert dataset.poses(0)[frame] == pytest.approx([frame * 0.1, 0, 0], abs=1e-9)
        assert abs(dataset.image(0, frame).mean() - pictures[2 * frame].mean()) < 2
        assert decode(dataset.image_file(0, frame)).shape == (48, 64, 3)
    assert math.isclose(dataset.info(0).cruising_step or 0, 0.1, abs_tol=1e-6)


def test_a_film_that_is_damaged_gives_what_is_readable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    write_video(tmp_path / "film.mp4", [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(40)], 5.0)
    film = bytearray((tmp_path / "film.mp4").read_bytes())
    data = film.index(b"mdat") + 2000
    film[data + 60_000 : data + 90_000] = bytes(30_000)
    (tmp_path / "film.mp4").write_bytes(film)
    poses = table(tmp_path / "poses.csv", "time,x,y,yaw\n" + "".join(f"{k / 2},{k / 4},0,0\n" for k in range(17)))
    command = ["data", "import", "video", str(tmp_path / "film.mp4"), "--poses", str(poses)]
    assert main([*command, "--out", str(tmp_path / "out"), "--frame-rate", "5"]) == 0
    printed = capsys.readouterr().out
    lost = sum(int(line.split()[0]) for line in printed.splitlines() if " pictures " in line)
    assert "cannot be decoded" in printed and 0 < lost < 40
    assert int(EpisodeDataset(tmp_path / "out").lengths.sum()) == 40 - lost

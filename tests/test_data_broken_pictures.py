"""Pictures that are broken, or stored turned, are found out at import and not when something is learnt from them."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from drives_on_disk import picture
from PIL import ExifTags, Image

from nav_foundation.cli import main
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode, encode_jpeg, encode_png
from nav_foundation.data.layout import FRONT
from nav_foundation.data.schema import EpisodeData, EpisodeInfo
from nav_foundation.data.writer import DatasetWriter

_FRAMES = 120  # of an episode, not all of whose pictures are looked at for its statistics


def _scribbled_png() -> bytes:
    file = bytearray(encode_png(picture(np.random.default_rng(0))))
    file[60:80] = bytes(20)
    return bytes(file)


def _huge_png() -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + struct.pack(">I", zlib.crc32(head)) + b"\0\0\0\0IEND\xaeB`\x82"


def _turned(rgb: np.ndarray, orientation: int) -> bytes:
    file, note = io.BytesIO(), Image.Exif()
    note[ExifTags.Base.Orientation] = orientation
    Image.fromarray(rgb).save(file, "JPEG", exif=note, quality=95)
    return file.getvalue()


def _import(folder: Path, files: list[bytes]) -> EpisodeDataset:
    (folder / "drive").mkdir()
    for number, file in enumerate(files):
        (folder / "drive" / f"{number}.jpg").write_bytes(file)
    position = np.column_stack([0.1 * np.arange(len(files)), np.zeros(len(files))])
    with open(folder / "drive" / "traj_data.pkl", "wb") as pkl:
        pickle.dump({"position": position, "yaw": np.zeros(len(files))}, pkl)
    assert main(["data", "import", "gnm", str(folder / "drive"), "--out", str(folder / "out")]) == 0
    return EpisodeDataset(folder / "out")


@pytest.mark.parametrize("at", [0, 1, 50])
@pytest.mark.parametrize("kind", ["scribbled", "huge", "cut short"])
def test_a_broken_picture_is_left_out_and_the_others_are_kept(
    tmp_path: Path, kind: str, at: int, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = encode_jpeg(picture(np.random.default_rng(0)))
    broken = {"scribbled": _scribbled_png(), "huge": _huge_png(), "cut short": sound[: len(sound) * 2 // 3]}[kind]
    dataset = _import(tmp_path, [broken if k == at else sound for k in range(_FRAMES)])
    assert len(dataset) == _FRAMES - 1
    assert all(dataset.image_file(0, frame) == sound for frame in range(_FRAMES - 1))
    assert f"1 pictures {'whose file ends' if kind == 'cut short' else 'a picture of'}" in capsys.readouterr().out


@pytest.mark.parametrize("broken", [(0,), (6,), tuple(range(6, 14))])
def test_appending_again_adds_nothing(tmp_path: Path, broken: tuple[int, ...]) -> None:
    """Broken pictures may move an episode's beginning, or leave it in pieces."""
    sound = encode_jpeg(picture(np.random.default_rng(0)))
    first = _import(tmp_path, [b"" if k in broken else sound for k in range(24)])
    assert first.lengths.sum() == 24 - len(broken)
    again = ["data", "import", "gnm", str(tmp_path / "drive"), "--out", str(tmp_path / "out"), "--append"]
    assert main(again) == 0
    assert EpisodeDataset(tmp_path / "out").lengths.tolist() == first.lengths.tolist()


def test_the_second_piece_is_added_after_a_kill_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = encode_jpeg(picture(np.random.default_rng(0)))
    add, written = DatasetWriter.add, []

    def killed(writer: DatasetWriter, info: EpisodeInfo, data: EpisodeData) -> int:
        if written:
            raise KeyboardInterrupt
        written.append(len(data.images))
        return add(writer, info, data)

    with monkeypatch.context() as patch:
        patch.setattr(DatasetWriter, "add", killed)
        with pytest.raises(AssertionError):
            _import(tmp_path, [b"" if 6 <= k < 14 else sound for k in range(24)])
    again = ["data", "import", "gnm", str(tmp_path / "drive"), "--out", str(tmp_path / "out"), "--append"]
    assert main(again) == 0
    assert EpisodeDataset(tmp_path / "out").lengths.tolist() == [6, 10]


def test_too_many_bytes_become_several_episodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = encode_jpeg(picture(np.random.default_rng(0)))
    monkeypatch.setattr("nav_foundation.data.importing.run._LARGEST", 10 * len(sound))
    dataset = _import(tmp_path, [sound] * 25)
    assert dataset.lengths.tolist() == [8, 8, 9]
    assert np.diff(np.concatenate([dataset.poses(k)[:, 0] for k in range(3)])) == pytest.approx(0.1)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_pictures_stored_turned_are_put_upright(tmp_path: Path, orientation: int) -> None:
    upright = picture(np.random.default_rng(1))
    quarters = {1: 0, 3: 2, 6: 1}[orientation]
    file = _turned(np.ascontiguousarray(np.rot90(upright, quarters)), orientation)
    dataset = _import(tmp_path, [file] * 5)
    assert dataset.features[FRONT]["shape"] == [*upright.shape]
    assert (dataset.image_file(0, 2) == file) == (orientation == 1)
    as_others_read_it = np.asarray(Image.open(io.BytesIO(dataset.image_file(0, 2))))
    for found in (dataset.image(0, 2), as_others_read_it):
        assert found.shape == upright.shape
        assert np.abs(found.astype(int) - upright).mean() < 15  # turned wrongly it is 60 and more


def test_a_file_is_decoded_as_others_do() -> None:
    """Datasets from elsewhere may hold turned files, whose size in info.json is that of the file."""
    rgb = picture(np.random.default_rng(1))
    file = _turned(rgb, 6)
    assert decode(file).shape == rgb.shape
    assert decode(file, upright=True).shape == (rgb.shape[1], rgb.shape[0], 3)

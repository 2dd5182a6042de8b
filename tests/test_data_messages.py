"""Decoding of image messages, against pictures and numbers worked out by hand."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from nav_foundation.data.images import encode_jpeg, encode_png
from nav_foundation.data.importing.messages import compressed_depth, compressed_picture, decode_depth, decode_image
from nav_foundation.data.schema import DataError


def test_each_channel_lands_where_it_belongs() -> None:
    pixels = bytes(range(1, 13))  # two rows of two pixels of three bytes
    rgb = decode_image("rgb8", 2, 2, 6, False, pixels)
    assert rgb.tolist() == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]
    for encoding in ("bgr8", "8UC3"):
        assert decode_image(encoding, 2, 2, 6, False, pixels)[1, 1].tolist() == [12, 11, 10]
    four = bytes(range(8))
    assert decode_image("rgba8", 1, 2, 8, False, four).tolist() == [[[0, 1, 2], [4, 5, 6]]]
    assert decode_image("bgra8", 1, 2, 8, False, four).tolist() == [[[2, 1, 0], [6, 5, 4]]]
    assert decode_image("mono8", 1, 2, 2, False, b"\x05\x09").tolist() == [[[5, 5, 5], [9, 9, 9]]]


def test_padding_of_rows_is_left_out_even_where_the_last_row_has_none() -> None:
    padded = bytes([1, 2, 99, 3, 4, 99])
    for data in (padded, padded[:-1], np.frombuffer(padded, np.uint8)):
        assert decode_image("mono8", 2, 2, 3, False, data)[..., 0].tolist() == [[1, 2], [3, 4]]


def test_sixteen_bits_in_both_byte_orders() -> None:
    for big_endian, form in ((False, "<3H"), (True, ">3H")):
        grey = decode_image("mono16", 1, 3, 6, big_endian, struct.pack(form, 0, 32768, 65535))
        assert grey[0, :, 0].tolist() == [0, 128, 255]
    assert decode_image("bgr16", 1, 1, 6, True, struct.pack(">3H", 257, 514, 771)).tolist() == [[[3, 2, 1]]]


@pytest.mark.parametrize(("order", "first"), [("rggb", "RGGB"), ("bggr", "BGGR"), ("gbrg", "GBRG"), ("grbg", "GRBG")])
def test_bayer_patterns(order: str, first: str) -> None:
    colour = {"R": 200, "G": 120, "B": 40}
    cell = np.array([colour[letter] for letter in first], np.uint8).reshape(2, 2)
    mosaic = np.tile(cell, (6, 6))
    rgb = decode_image(f"bayer_{order}8", 12, 12, 12, False, mosaic.tobytes())
    assert rgb[6, 6].tolist() == [200, 120, 40]
    wide = decode_image(f"bayer_{order}16", 12, 12, 24, False, (mosaic.astype(np.uint16) * 257).tobytes())
    np.testing.assert_array_equal(wide, rgb)


def test_yuv_pairs() -> None:
    # Red (255, 0, 0) is Y 81, U 90, V 240 in BT.601.
    for encoding, data in (("uyvy", [90, 81, 240, 81]), ("yuv422", [90, 81, 240, 81]),
                           ("yuyv", [81, 90, 81, 240]), ("yuv422_yuy2", [81, 90, 81, 240])):
        rgb = decode_image(encoding, 1, 2, 4, False, bytes(data))
        assert np.abs(rgb.astype(int) - [255, 0, 0]).max() <= 2, encoding


@pytest.mark.parametrize(
    ("encoding", "step", "size", "words"),
    [("rgb9", 6, 12, "did you mean 'rgb8'"), ("rgb8", 5, 12, "it is broken"), ("rgb8", 6, 11, "it is broken")],
)
def test_nonsense_is_refused(encoding: str, step: int, size: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        decode_image(encoding, 2, 2, step, False, bytes(size))


def test_compressed_pictures_pass_unchanged() -> None:
    rgb = np.zeros((16, 16, 3), np.uint8)
    rgb[..., 0] = 220
    for file in (encode_jpeg(rgb), encode_png(rgb), encode_jpeg(rgb) + bytes(7)):
        assert compressed_picture("jpeg", np.frombuffer(file, np.uint8)) == file
        with pytest.raises(DataError, match="ends before its picture does"):
            compressed_picture("jpeg", file[: len(file) - 20])
    bitmap = cv2.imencode(".bmp", rgb[..., ::-1])[1].tobytes()
    decoded = compressed_picture("bmp", bitmap)
    assert isinstance(decoded, np.ndarray)
    np.testing.assert_array_equal(decoded, rgb)
    for nonsense in (b"", b"h264 or so"):
        with pytest.raises(DataError, match="cannot be decoded"):
            compressed_picture("h264", nonsense)


def test_depth_is_metres_and_nothing_is_zero() -> None:
    millimetres = struct.pack(">4H", 0, 1500, 65535, 1)
    np.testing.assert_allclose(decode_depth("16UC1", 2, 2, 4, True, millimetres), [[0, 1.5], [65.535, 0.001]])
    metres = struct.pack("<4f", float("nan"), float("inf"), -1.0, 2.25)
    found = decode_depth("32FC1", 2, 2, 8, False, metres)
    assert found.dtype == np.float32 and found.tolist() == [[0.0, 0.0], [0.0, 2.25]]
    with pytest.raises(DataError, match="rgb8"):
        decode_depth("rgb8", 1, 1, 3, False, bytes(3))


def test_compressed_depth() -> None:
    numbers = np.array([[0, 1500], [400, 65535]], np.uint16)
    file = cv2.imencode(".png", numbers)[1].tobytes()
    whole = compressed_depth("16UC1; compressedDepth png", bytes(12) + file)
    np.testing.assert_allclose(whole, [[0, 1.5], [0.4, 65.535]])
    a, b = 100.0, -50.0  # depth = a / (number - b)
    inverse = compressed_depth("32FC1; compressedDepth png", struct.pack("<iff", 0, a, b) + file)
    np.testing.assert_allclose(inverse, [[0, 100 / 1550], [100 / 450, 100 / 65585]], rtol=1e-6)
    with pytest.raises(DataError, match="rvl"):
        compressed_depth("16UC1; compressedDepth rvl", bytes(40))

"""Pictures and depth of ROS messages, from their plain fields: no ROS is needed, and no cv_bridge."""

from __future__ import annotations

from typing import Any

import numpy as np

from nav_foundation.config import closest
from nav_foundation.data.schema import DataError

# encoding -> (bytes per number, channels); those of OpenCV's names hold BGR, as cv_bridge has it
_LAYOUTS: dict[str, tuple[int, int]] = {
    "rgb8": (1, 3), "bgr8": (1, 3), "rgba8": (1, 4), "bgra8": (1, 4), "mono8": (1, 1), "mono16": (2, 1),
    "8UC1": (1, 1), "8UC3": (1, 3), "8UC4": (1, 4),
    "rgb16": (2, 3), "bgr16": (2, 3), "rgba16": (2, 4), "bgra16": (2, 4),
    "yuv422": (1, 2), "uyvy": (1, 2), "yuv422_yuy2": (1, 2), "yuyv": (1, 2),
    "bayer_rggb8": (1, 1), "bayer_bggr8": (1, 1), "bayer_gbrg8": (1, 1), "bayer_grbg8": (1, 1),
    "bayer_rggb16": (2, 1), "bayer_bggr16": (2, 1), "bayer_gbrg16": (2, 1), "bayer_grbg16": (2, 1),
}
_DEPTH_LAYOUTS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_DEPTH_HEADER = 12  # bytes before the PNG of compressedDepth: int32 format, float32 A, float32 B


def decode_image(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: bytes | np.ndarray
) -> np.ndarray:
    """[H, W, 3] uint8 RGB of a sensor_msgs/Image. `step` is the length of a row in bytes, padding included."""
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise DataError(f"images of encoding {encoding!r} are not read{closest(encoding, _LAYOUTS)}")
    size, channels = layout
    array = _rows(height, width, step, f"{'>' if is_bigendian else '<'}u{size}", channels, data)
    if size == 2:
        array = np.rint(array / 257.0).astype(np.uint8)  # 65535 -> 255
    return np.ascontiguousarray(_to_rgb(encoding.removesuffix("16").removesuffix("8"), array))


def decode_depth(
    encoding: str, height: int, width: int, step: int, is_bigendian: bool, data: bytes | np.ndarray
) -> np.ndarray:
    """[H, W] float32 metres, 0 = nothing, of a sensor_msgs/Image with depth."""
    if encoding not in _DEPTH_LAYOUTS:
        raise DataError(f"depth of encoding {encoding!r} is not read{closest(encoding, _DEPTH_LAYOUTS)}")
    array = _rows(height, width, step, f"{'>' if is_bigendian else '<'}{_DEPTH_LAYOUTS[encoding]}", 1, data)[..., 0]
    return _metres(array)


def compressed_picture(format: str, data: bytes | np.ndarray) -> bytes | np.ndarray:
    """The picture of a sensor_msgs/CompressedImage: its own JPEG or PNG file, otherwise [H, W, 3] uint8 RGB.

    Publishers encode with the colours that any decoder expects, whatever `format` says of the source's order.
    """
    from nav_foundation.data.images import is_cut_short

    file = bytes(data)
    if is_cut_short(file):
        raise DataError(f"a compressed image of {len(file)} bytes ends before its picture does")
    if file.startswith((_JPEG, _PNG)):
        return file
    import cv2

    rgb = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB) if file else None
    if rgb is None:
        raise DataError(f"a compressed image of format {format!r} cannot be decoded: JPEG and PNG are read")
    return np.asarray(rgb)


def compressed_depth(format: str, data: bytes | np.ndarray) -> np.ndarray:
    """[H, W] float32 metres, 0 = nothing, of a CompressedImage of compressed_depth_image_transport."""
    import cv2

    file = bytes(data)
    if "rvl" in format.lower():
        raise DataError(f"depth of format {format!r} is not read: record it as PNG or uncompressed")
    start = file.find(_PNG[:4], 0, 64)
    picture = cv2.imdecode(np.frombuffer(file[start:], np.uint8), cv2.IMREAD_UNCHANGED) if start >= 0 else None
    if picture is None or picture.dtype != np.uint16 or picture.ndim != 2:
        raise DataError(f"depth of format {format!r} cannot be decoded: it must hold a PNG of 16 bits")
    if not format.strip().startswith("32FC1"):
        return _metres(picture)
    if start < _DEPTH_HEADER:
        raise DataError("compressed depth of 32FC1 lacks the header that says how it was quantised")
    a, b = np.frombuffer(file[4:_DEPTH_HEADER], "<f4").astype(np.float64)
    with np.errstate(divide="ignore"):  # the numbers are a / depth + b
        return _metres(np.where(picture > 0, a / (picture.astype(np.float64) - b), 0.0).astype(np.float32))


def _rows(height: int, width: int, step: int, dtype: str, channels: int, data: bytes | np.ndarray) -> np.ndarray:
    """[H, W, C], without the padding at the end of each row."""
    kind = np.dtype(dtype)
    used = width * channels * kind.itemsize
    flat = np.frombuffer(data, np.uint8) if isinstance(data, (bytes, bytearray, memoryview)) else data.view(np.uint8)
    if height < 1 or width < 1 or step < used or len(flat) < step * (height - 1) + used:
        raise DataError(
            f"an image of {height}x{width} pixels with rows of {step} bytes holds {len(flat)} bytes: it is broken"
        )
    missing = step * height - len(flat)  # some drivers leave out the padding of the last row
    if missing > 0:
        flat = np.concatenate([flat, np.zeros(missing, np.uint8)])
    rows = np.ascontiguousarray(flat[: step * height].reshape(height, step)[:, :used])
    return rows.view(kind).reshape(height, width, channels)


def _to_rgb(order: str, array: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 from the channels of an encoding, named without its bits."""
    if order in ("rgb", "rgba"):
        return array[..., :3]
    if order in ("bgr", "bgra", "8UC3", "8UC4"):
        return array[..., 2::-1]
    if order in ("mono", "8UC1"):
        return np.repeat(array, 3, axis=2)
    return _converted(order, array)


def _converted(order: str, array: np.ndarray) -> np.ndarray:
    import cv2

    if array.shape[1] % 2 and not order.startswith("bayer"):
        raise DataError(f"an image of encoding {order} is {array.shape[1]} pixels wide: the width must be even")
    codes: dict[str, Any] = {
        "yuv422": cv2.COLOR_YUV2RGB_UYVY, "uyvy": cv2.COLOR_YUV2RGB_UYVY,
        "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2, "yuyv": cv2.COLOR_YUV2RGB_YUY2,
        "bayer_rggb": cv2.COLOR_BayerRGGB2RGB, "bayer_bggr": cv2.COLOR_BayerBGGR2RGB,
        "bayer_gbrg": cv2.COLOR_BayerGBRG2RGB, "bayer_grbg": cv2.COLOR_BayerGRBG2RGB,
    }
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(array), codes[order]))


def _metres(array: np.ndarray) -> np.ndarray:
    """Whole numbers are millimetres; what is not finite or not positive is nothing."""
    metres = array.astype(np.float32)
    if array.dtype.kind == "u":
        metres /= np.float32(1000.0)
    return np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(0.0))

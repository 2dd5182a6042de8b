"""Pictures as files in memory: JPEG and PNG, and depth as 16-bit PNG."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from nav_foundation.data.schema import DataError

MILLIMETRES = 1000.0  # per metre; depth is kept as uint16 millimetres, as LeRobot has it


def encode_jpeg(rgb: np.ndarray, quality: int = 95) -> bytes:
    """The JPEG file of a picture [H, W, 3] uint8."""
    return _encode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(rgb: np.ndarray) -> bytes:
    """The PNG file, without loss, of a picture [H, W, 3] uint8."""
    return _encode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [])


def encode_depth(depth: np.ndarray) -> bytes:
    """The PNG file of a depth image [H, W] in metres; what is nearer than half a millimetre or beyond 65.5 m is 0."""
    with np.errstate(invalid="ignore"):
        seen = (depth > 0) & (depth * MILLIMETRES <= np.iinfo(np.uint16).max)
        return _encode(".png", np.where(seen, np.rint(depth * MILLIMETRES), 0).astype(np.uint16), [])


def decode(file: bytes) -> np.ndarray:
    """[H, W, 3] uint8 RGB of a JPEG or PNG file."""
    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise DataError(f"a picture of {len(file)} bytes cannot be decoded: it is broken, or neither JPEG nor PNG")
    return picture


def decode_depth(file: bytes) -> np.ndarray:
    """[H, W] float32 metres of a depth PNG, 0 = nothing."""
    depth = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    if depth is None or depth.dtype != np.uint16 or depth.ndim != 2:
        raise DataError("a depth image cannot be decoded: it must be a PNG of 16-bit millimetres")
    return depth.astype(np.float32) / np.float32(MILLIMETRES)


def size_of(file: bytes) -> tuple[int, int]:
    """(height, width) in pixels of a JPEG or PNG file, from its header alone."""
    try:
        with Image.open(io.BytesIO(file)) as picture:
            return picture.height, picture.width
    except OSError:
        raise DataError(f"a picture of {len(file)} bytes cannot be read: it is neither JPEG nor PNG") from None


def _encode(extension: str, picture: np.ndarray, options: list[int]) -> bytes:
    done, file = cv2.imencode(extension, picture, options)
    assert done
    return file.tobytes()

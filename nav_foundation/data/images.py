"""Pictures as files in memory: JPEG and PNG, and depth as 16-bit PNG."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import ExifTags, Image

from nav_foundation.data.schema import DataError

MILLIMETRES = 1000.0  # per metre; depth is kept as uint16 millimetres, as LeRobot has it
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # the last: sizes that no camera has


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


def decode(file: bytes, *, upright: bool = False) -> np.ndarray:
    """[H, W, 3] uint8 RGB of a JPEG or PNG file, as it lies there, which is how LeRobot reads it.

    `upright` turns it as its EXIF note says: telephones store pictures in their sensor's direction.
    """
    flags = cv2.IMREAD_COLOR_RGB if upright else cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    picture = _decoded(file, flags)
    if picture is None:
        raise DataError(f"a picture of {len(file)} bytes cannot be decoded: it is broken, or neither JPEG nor PNG")
    return picture


def is_cut_short(file: bytes) -> bool:
    """Whether a JPEG or PNG file lacks its end: decoders make up the rest of such a JPEG."""
    if file.startswith(_JPEG):
        return b"\xff\xd9" not in file[-4096:]  # some cameras pad after the end marker
    return file.startswith(_PNG) and b"IEND" not in file[-64:]


def is_turned(file: bytes) -> bool:
    """Whether a note in the file (EXIF) says that its picture is to be turned or mirrored."""
    try:
        with Image.open(io.BytesIO(file)) as picture:
            return picture.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
    except _UNREADABLE:
        return False


def decode_depth(file: bytes) -> np.ndarray:
    """[H, W] float32 metres of a depth PNG, 0 = nothing."""
    depth = _decoded(file, cv2.IMREAD_UNCHANGED)
    if depth is None or depth.dtype != np.uint16 or depth.ndim != 2:
        raise DataError("a depth image cannot be decoded: it must be a PNG of 16-bit millimetres")
    return depth.astype(np.float32) / np.float32(MILLIMETRES)


def size_of(file: bytes) -> tuple[int, int]:
    """(height, width) in pixels of a JPEG or PNG file, from its header alone."""
    try:
        with Image.open(io.BytesIO(file)) as picture:
            return picture.height, picture.width
    except _UNREADABLE:
        raise DataError(f"a picture of {len(file)} bytes cannot be read: it is neither JPEG nor PNG") from None


def _decoded(file: bytes, flags: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(file, np.uint8), flags)
    except cv2.error:  # it is empty, or tells of a size that no camera has
        return None


def _encode(extension: str, picture: np.ndarray, options: list[int]) -> bytes:
    done, file = cv2.imencode(extension, picture, options)
    assert done
    return file.tobytes()

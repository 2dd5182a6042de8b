"""Pictures of an episode as files, made one at a time when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, overload

import numpy as np

from nav_foundation.data.importing.drive import Picture
from nav_foundation.data.schema import DataError
from nav_foundation.robot import CameraSpec

ImageFormat = Literal["jpeg", "png"]


class Pictures(Sequence[bytes]):
    """Files of pictures. Files of the source pass unchanged unless too large or turned; arrays are encoded."""

    def __init__(self, pictures: Sequence[Picture], limit: int | None, form: ImageFormat) -> None:
        self._pictures, self._limit, self._form = pictures, limit, form

    def __len__(self) -> int:
        return len(self._pictures)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Pictures: ...
    def __getitem__(self, index: int | slice) -> bytes | Pictures:
        if isinstance(index, slice):
            return Pictures(self._pictures[index], self._limit, self._form)
        return as_file(self._pictures[index](), self._limit, self._form)

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))


def as_rgb(picture: Picture, name: str) -> np.ndarray:
    """[H, W, 3] uint8 of a picture that people call `name`."""
    from nav_foundation.data.images import decode

    try:
        read = picture()
        return decode(read) if isinstance(read, bytes) else read
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


def as_file(picture: bytes | np.ndarray, limit: int | None, form: ImageFormat) -> bytes:
    """The file of a picture, upright, whose longer side is at most `limit` pixels. Broken files are refused."""
    from nav_foundation.data.images import decode, encode_jpeg, encode_png, is_cut_short, is_turned

    encode = encode_png if form == "png" else encode_jpeg
    if isinstance(picture, bytes):
        if is_cut_short(picture):
            raise DataError("whose file ends before its picture does")
        rgb = decode(picture, upright=True)
        if is_turned(picture):
            return encode(rgb if limit is None else _smaller(rgb, limit))
        return picture if limit is None or max(rgb.shape[:2]) <= limit else encode(_smaller(rgb, limit))
    return encode(picture if limit is None else _smaller(picture, limit))


def _smaller(rgb: np.ndarray, limit: int) -> np.ndarray:
    import cv2

    height, width = rgb.shape[:2]
    if max(height, width) <= limit:
        return rgb
    size = smaller_size(width, height, limit)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def smaller_size(width: int, height: int, limit: int) -> tuple[int, int]:
    """(width, height) with the same proportions and the longer side at the limit."""
    factor = min(1.0, limit / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def smaller_camera(camera: CameraSpec, limit: int) -> CameraSpec:
    """The camera that pictures made smaller by `as_file` seem to come from."""
    width, height = smaller_size(camera.width, camera.height, limit)
    if (width, height) == (camera.width, camera.height):
        return camera
    if camera.fx is None:
        return replace(camera, width=width, height=height)
    fx, fy, cx, cy = camera.intrinsics
    across, down = width / camera.width, height / camera.height
    return replace(
        camera, width=width, height=height, fx=fx * across, fy=fy * down,
        cx=(cx + 0.5) * across - 0.5, cy=(cy + 0.5) * down - 0.5,
    )

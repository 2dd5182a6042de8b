"""Pictures that lie in files of their own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from nav_foundation.data.importing.drive import Picture
from nav_foundation.data.schema import DataError

_KEPT = (".jpg", ".jpeg", ".png")  # their bytes pass unchanged
PICTURES = (*_KEPT, ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


def picture_of(path: Path) -> Picture:
    return partial(_read, path)


def _read(path: Path) -> bytes | np.ndarray:
    try:
        file = path.read_bytes()
    except OSError as error:
        raise DataError(f"that cannot be read: {error.strerror or error}") from None
    if path.suffix.lower() in _KEPT:
        return file
    from nav_foundation.data.images import decode

    return decode(file, upright=True)

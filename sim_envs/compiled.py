"""`kernel`: how inner loops are compiled. By numba, kept on disk, and compiled anew when any kernel has changed.

numba by itself looks only at the file of the function that is called: after a change in another file which that one
calls into, it would silently go on running the old code. So the cache lies in a folder named after all our kernels.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])
config: Any = numba.config


def kernel(function: Function) -> Function:
    """Compile at the first call. Kernels release the interpreter lock and keep NumPy's rounding."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_folder())  # read while the decorator runs, not later
    try:
        return cast(Function, numba.njit(cache=True, nogil=True)(function))
    finally:
        config.CACHE_DIR = before


@cache
def _folder() -> Path:
    """Where this state of the sources keeps its machine code; folders of former states are removed."""
    sources = Path(__file__).parent
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(sources.rglob("*.py")):
        text = file.read_bytes()
        if b"@kernel" in text:
            digest.update(text)
    ours = sources / "__pycache__"
    if config.CACHE_DIR:  # the user's NUMBA_CACHE_DIR
        home = Path(config.CACHE_DIR)
    else:
        home = ours if os.access(sources, os.W_OK) else Path.home() / ".cache" / "nav_foundation"
    folder = home / f"kernels-{digest.hexdigest()}"
    for former in ours.glob("kernels-*"):
        if former != folder:
            shutil.rmtree(former, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder

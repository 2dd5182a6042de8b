"""Which procedural scenes belong to training, validation and test.

A scene's number carries its split in the bits above 48, so no choice of seed can make a test scene for training, and a
scene says by itself where it belongs.
"""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

from nav_foundation.config import closest
from sim_envs.simulator import SceneError, SceneRef

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
_SPLIT_BITS = 48  # numbers stay below 2**50, exact in every JSON reader


def scene_refs(
    kind: Literal["house", "city"], split: Split, seed: int, count: int, size: float | None = None
) -> list[SceneRef]:
    """`count` different scenes of a split. A longer list begins with the shorter one; another seed gives others.

    `size` is the side of a city in metres.
    """
    if kind not in ("house", "city"):
        raise SceneError(f"scenes of kind {kind!r} are not made from a seed{closest(str(kind), ('house', 'city'))}")
    if kind == "house" and size is not None:
        raise SceneError(f"size {size:g}: only a city takes a size")
    if split not in SPLITS:
        raise SceneError(f"split {split!r} is not known{closest(str(split), SPLITS)}")
    if count < 0:
        raise SceneError(f"{count} scenes were asked for: give a count of 0 or more")
    high = SPLITS.index(split) << _SPLIT_BITS
    numbers: dict[int, None] = {}  # keeps the order of insertion
    index = 0
    while len(numbers) < count:
        numbers[high | _hash48(f"{kind} {seed} {index}")] = None
        index += 1
    return [SceneRef(kind, number, size) for number in numbers]


def split_of(ref: SceneRef) -> Split:
    """The split a procedural scene belongs to. Small numbers typed by hand are training scenes."""
    if ref.kind == "file":
        raise SceneError(f"scene {ref} is a file, which carries no split: keep the lists of your files apart yourself")
    index = ref.seed >> _SPLIT_BITS
    if not 0 <= index < len(SPLITS):
        raise SceneError(f"scene {ref} has a number outside every split: use one below {len(SPLITS) << _SPLIT_BITS}")
    return SPLITS[index]


def _hash48(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")

"""Weights and inputs that anyone can make again, for which the answers of the original networks are known."""

from __future__ import annotations

import functools
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nav_foundation.model.published.tokens import Positions

REFERENCE = Path(__file__).parent / "reference"


@functools.cache
def golden() -> dict[str, Any]:
    """What the original networks answered."""
    answers: dict[str, Any] = json.loads((REFERENCE / "golden.json").read_text())
    return answers


@functools.cache
def published_state(kind: str) -> dict[str, torch.Tensor]:
    """A tensor for every key of the released file of `vint` or `nomad`."""
    shapes = json.loads((REFERENCE / f"{kind}_keys.json").read_text())
    return {key: torch.as_tensor(_value(key, shape)) for key, shape in shapes.items()}


def _value(key: str, shape: list[int]) -> np.ndarray:
    if "pos_enc" in key:
        return Positions(shape[1], shape[2]).pos_enc.numpy()
    if key.endswith("num_batches_tracked"):
        return np.array(0)
    r = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith("running_var"):
        r = 1 + 0.1 * np.abs(r)
    elif len(shape) >= 2:
        r = (1.6 if len(shape) == 4 else 1.0) * r / np.sqrt(np.prod(shape[1:]))
    else:
        r = 0.1 * r + (key.endswith(".weight"))
    return np.asarray(r, dtype=np.float32)


def noise(described: str) -> torch.Tensor:
    """The input that the golden file describes as 'seed 1, shape [2,18,64,85]'."""
    seed, shape = described.removeprefix("seed ").split(", shape ")
    values = np.random.default_rng(int(seed)).standard_normal(json.loads(shape))
    return torch.as_tensor(values, dtype=torch.float32)

"""Small made-up drives, whose every number and picture can be worked out again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from nav_foundation.data.images import encode_depth, encode_jpeg, encode_png
from nav_foundation.data.schema import EpisodeData, EpisodeInfo, Labels
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.robot import load_robot

START_NS = 1_760_000_000_123_456_789


def picture(rng: np.random.Generator, height: int = 24, width: int = 32) -> np.ndarray:
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def depth_picture(rng: np.random.Generator) -> bytes:
    return encode_depth(rng.uniform(0.2, 9.0, (24, 32)).astype(np.float32))


def made_up_drive(
    seed: int, frames: int = 12, *, depth: bool = False, labels: bool = False, lossless: bool = False,
    size: tuple[int, int] = (24, 32),
) -> EpisodeData:
    """A drive at about 5 Hz with a clock that trembles."""
    rng = np.random.default_rng(seed)
    encode = encode_png if lossless else encode_jpeg
    stamps = START_NS + np.arange(frames) * 200_000_000 + rng.integers(-9_000_000, 9_000_000, frames)
    poses = np.cumsum(rng.normal(0.0, 0.05, (frames, 3)), axis=0)
    return EpisodeData(
        images=[encode(picture(rng, *size)) for _ in range(frames)], stamps_ns=stamps.astype(np.int64), poses=poses,
        actions=rng.normal(0.0, 0.3, (frames, 2)),
        depth=[depth_picture(rng) for _ in range(frames)] if depth else None,
        labels=Labels(
            poses + 1.0, rng.normal(size=(frames, 8, 3)), rng.uniform(0, 9, frames), rng.normal(size=(frames, 4)),
        ) if labels else None,
    )


def told(number: int) -> EpisodeInfo:
    return EpisodeInfo(
        task=f"Go to place {number % 3}", source="made up", scene=f"house:{number}", robot=load_robot("turtlebot"),
        goal={"type": "point-goal", "x": 1.5, "y": float(number)}, driver="expert", action_source="commanded",
        notes={"index": number},
    )


def drives_along_a_wall(folder: Path) -> Path:
    """A dataset of two drives with depth that shows a wall, 2 m away."""
    with DatasetWriter(folder, 5) as writer:
        for seed in range(2):
            data = made_up_drive(seed, 30, size=(96, 128), labels=True)
            writer.add(told(seed), replace(data, depth=[encode_depth(np.full((96, 128), 2.0, np.float32))] * 30))
    return folder

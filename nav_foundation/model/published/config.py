"""What a folder of imported weights says about them: their kind, what a step is in metres, where they came from.

Nothing here needs torch, so that a command line can look at a folder before it loads anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nav_foundation.config import from_mapping, load_mapping
from nav_foundation.model.folder import CONFIG
from nav_foundation.preprocessing import IMAGENET_MEAN, IMAGENET_STD, CropAndShrink

Kind = Literal["vint", "nomad"]
KINDS: tuple[Kind, ...] = ("vint", "nomad")


@dataclass(frozen=True)
class Provenance:
    file: str  # its name alone
    sha256: str
    version: str  # of nav_foundation, at the import


@dataclass(frozen=True)
class PublishedConfig:
    kind: Kind
    metric_spacing: float  # m that one of its steps stands for
    context: int  # past frames beside the current one
    horizon: int  # waypoints
    preprocessing: CropAndShrink
    provenance: Provenance
    mean: tuple[float, float, float] = IMAGENET_MEAN  # of RGB in 0..1, after the crop
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if not (math.isfinite(self.metric_spacing) and 0.001 <= self.metric_spacing <= 10):
            raise ValueError(
                f"metric_spacing is {self.metric_spacing:g}: give the metres of one step, such as 0.25"
            )
        if (self.mean, self.std) != (IMAGENET_MEAN, IMAGENET_STD):
            raise ValueError(f"mean {self.mean} and std {self.std} are not ImageNet's, the only ones that are used")


def read_config(folder: Path) -> PublishedConfig:
    """The config of an imported folder; a ValueError of one sentence if it is none."""
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} holds no {CONFIG}: give a folder that `nav-foundation import-checkpoint` made")
    return from_mapping(PublishedConfig, load_mapping(folder / CONFIG), str(folder / CONFIG))


TASKS: dict[Kind, tuple[str, ...]] = {"vint": ("image-goal",), "nomad": ("image-goal", "explore")}


def check_task(kind: Kind, task: str) -> None:
    if task not in TASKS[kind]:
        raise ValueError(f"{kind} was not made for {task}: use it with {' or '.join(TASKS[kind])}")


def is_published(folder: Path) -> bool:
    """Whether a folder holds imported weights rather than a model of ours or something else."""
    return (folder / CONFIG).is_file() and load_mapping(folder / CONFIG).get("kind") in KINDS

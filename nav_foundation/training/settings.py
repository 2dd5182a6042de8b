"""What a training is told. Everything that decides the weights is here and goes into the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from nav_foundation.model.config import PRESETS
from nav_foundation.model.published.config import KINDS
from nav_foundation.training.pairs import ClipRules

TUNES = ("all", "heads", "lora", "adapter:image", "adapter:point", "adapter:words", "adapter:object", "adapter:route",
         "adapter:far")


@dataclass(frozen=True)
class TrainSettings:
    data: tuple[str, ...]  # datasets
    weights: tuple[float, ...] = ()  # shares of the samples; empty = every frame counts the same
    validation: tuple[str, ...] = ()  # datasets of other scenes
    model: str = "nano"  # a preset, where nothing is gone on from
    text_tower: str = ""  # see ModelConfig, where nothing is gone on from
    tune: str = "all"  # of tuning.TUNES, where something is gone on from
    eyes: bool = False  # teach only to see, with depth: see eyes.py
    floor: bool = False  # teach only how far the floor is free, with depth: see floor.py
    hold: bool = False  # keep the last drives of the data to judge by, instead of validation
    steps: int = 20_000
    batch: int = 16  # clips, over all processes
    rate: float = 1e-3  # highest learning rate
    warmup: int = 300  # steps
    decay: float = 0.05  # of weights
    clip: float = 1.0  # norm of gradients
    average: float = 0.999  # of weights, over steps
    light: float = 1.0  # strength of other light
    flips: bool = True
    precision: Literal["auto", "no", "bf16"] = "auto"  # auto = bf16 where the processor is made for it
    seed: int = 0
    workers: int = 1
    save_every: int = 500  # steps
    validate_every: int = 2000
    validation_batches: int = 20
    rules: ClipRules = field(default_factory=ClipRules)

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("training needs data: name at least one dataset")
        for name in ("steps", "batch", "save_every", "validate_every", "validation_batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"training {name} is {getattr(self, name)}: give 1 or more")
        if self.model not in (*PRESETS, *KINDS):
            raise ValueError(f"model {self.model!r} is not known: use one of {', '.join((*PRESETS, *KINDS))}")
        if self.tune not in TUNES:
            raise ValueError(f"tune {self.tune!r} is not known: use one of {', '.join(TUNES)}")
        if self.eyes and self.floor:
            raise ValueError("training teaches either the eyes or the floor alone: leave out --eyes or --floor")
        if self.hold and self.validation:
            raise ValueError("training either holds drives of its data or is given others for validation: choose one")
        if self.batch % 2:
            raise ValueError(f"training batch is {self.batch}: give an even number, clips lend each other pictures")
        for name in ("rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"training {name} is {getattr(self, name)}: give a number above 0")
        for name in ("warmup", "workers", "seed", "decay", "light"):
            if getattr(self, name) < 0:
                raise ValueError(f"training {name} is {getattr(self, name)}: give 0 or more")

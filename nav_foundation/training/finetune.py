"""Fine-tuning: a network goes on learning from one robot's drives, and is judged on those that were held back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from nav_foundation.model.checkpoint import from_pretrained
from nav_foundation.model.network import NavigationModel
from nav_foundation.training.judging import Scores, judge
from nav_foundation.training.ours import Ours
from nav_foundation.training.pairs import ClipRules
from nav_foundation.training.samples import loader
from nav_foundation.training.settings import TrainSettings
from nav_foundation.training.train import Trained, held_samples, train

RATES = {"all": 3e-4, "heads": 1e-3, "lora": 1e-3}  # adapters as heads
JUDGED = 16  # batches


def tune_settings(
    data: tuple[str, ...], tune: str = "all", steps: int = 800, seed: int = 0, workers: int = 1,
    validation: tuple[str, ...] = (), batch: int = 16,
) -> TrainSettings:
    """What suits a few hours of drives; without `validation` the last of them are held back to judge by."""
    return TrainSettings(
        data, tune=tune, steps=steps, batch=batch, rate=RATES.get(tune, RATES["heads"]),
        warmup=max(1, steps // 20), average=0.99, seed=seed, workers=workers,
        validation=validation, hold=not validation,
        validate_every=max(1, steps // 4), save_every=max(1, steps // 8),
        rules=ClipRules(far=3, neighbours=0, things=0) if tune == "adapter:far" else ClipRules(),
    )


@dataclass(frozen=True)
class Tuned:
    trained: Trained
    before: dict[str, Scores]  # by kind of goal, on drives that were not learnt from
    after: dict[str, Scores]
    judged_on: int  # drives


def finetune(
    settings: TrainSettings, begin_with: Path, out: Path, *, resume: bool = False, minutes: float = math.inf,
    progress: bool = True,
) -> Tuned:
    trained = train(settings, out, resume=resume, begin_with=begin_with, minutes=minutes, progress=progress)
    before, after = from_pretrained(begin_with), from_pretrained(trained.folder)
    held = held_samples(settings, Ours(after.config, settings.rules))
    assert held is not None

    def scores(model: NavigationModel) -> dict[str, Scores]:
        return judge(model, loader(held, range(JUDGED), settings.batch, 0), JUDGED)

    return Tuned(trained, scores(before), scores(after), held.drives)

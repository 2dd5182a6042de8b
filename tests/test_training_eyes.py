"""Learning only to see: the same losses as in the whole course, from fewer pictures, and nothing else changes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from drives_on_disk import drives_along_a_wall, made_up_drive, told
from safetensors.torch import load_file

from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.checkpoint import save_pretrained
from nav_foundation.model.config import preset
from nav_foundation.model.goals import KINDS
from nav_foundation.model.network import NavigationModel
from nav_foundation.training import train as training
from nav_foundation.training.forward import PARTS
from nav_foundation.training.ours import Ours
from nav_foundation.training.settings import TrainSettings
from nav_foundation.training.train import course_of, samples_of, train


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drives_along_a_wall(tmp_path_factory.mktemp("data") / "drives")


def settings(drives: Path, **changes: object) -> TrainSettings:
    plain = TrainSettings((str(drives),), model="tiny", steps=3, batch=2, warmup=1, workers=0, precision="no")
    return replace(plain, light=0.0, **changes)  # type: ignore[arg-type]


def test_what_is_seen_is_judged_as_in_the_whole_course(drives: Path) -> None:
    asked = settings(drives, eyes=True)
    eyes = course_of(asked)
    samples = samples_of(asked, eyes)
    batch = eyes.collate([samples[0], samples[1]])
    assert len(batch.current) == 2 * 4
    torch.manual_seed(0)
    model = NavigationModel(preset("tiny")).eval()
    told_by_pictures = torch.where((batch.kind == KINDS.index("image"))[..., None], batch.found, -1)
    with torch.no_grad():
        seen = eyes.losses(model, batch)
        whole = Ours(preset("tiny")).losses(model, replace(batch, found=told_by_pictures))
    rows = [list(PARTS).index(name) for name in eyes.parts]
    torch.testing.assert_close(seen.sums, whole.sums[rows])
    torch.testing.assert_close(seen.weights, whole.weights[rows])
    assert (seen.weights > 0).all()


def test_nothing_but_the_eyes_changes(drives: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_pretrained(NavigationModel(preset("tiny")), tmp_path / "before", {})
    train(settings(drives, eyes=True), tmp_path / "run", begin_with=tmp_path / "before", progress=False)
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("before", "run/model"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {"encoder", "correspondence", "heads", "goals"}
    assert {name for name in changed if name.startswith(("heads", "goals"))} <= {
        "heads.depth.weight", "heads.depth.bias", "goals.image_adapter.weight", "goals.image_adapter.bias",
        "goals.kind.weight",
    }


def test_published_networks_have_no_eyes_of_their_own(drives: Path) -> None:
    with pytest.raises(ValueError, match="leave out --eyes"):
        course_of(settings(drives, eyes=True, model="vint"))


def test_eyes_are_not_taught_without_depth(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "flat", 5) as writer:
        writer.add(told(0), made_up_drive(0, 30, size=(96, 128), labels=True))
    with pytest.raises(ValueError, match="flat has no depth"):
        train(settings(tmp_path / "flat", eyes=True), tmp_path / "run", progress=False)


def test_a_batch_that_knows_nothing_is_no_measure_of_the_next() -> None:
    run = training._Run.__new__(training._Run)
    run._usual = math.nan
    for loss in (0.0, 5.0, 6.0):  # 6 would be wild beside 0
        run._stop_if_wild(loss, None, 0)  # type: ignore[arg-type]
    assert run._usual == pytest.approx(0.98 * 5.0 + 0.02 * 6.0)

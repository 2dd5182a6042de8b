"""DAgger: rounds build on each other, go on after a stop, and the real collector labels what a network meets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from drives_on_disk import made_up_drive, told

from nav_foundation.cli import main
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.checkpoint import from_pretrained, save_pretrained
from nav_foundation.model.config import preset
from nav_foundation.model.network import NavigationModel
from nav_foundation.training.dagger import DaggerSettings, _mixed, dagger
from nav_foundation.training.settings import TrainSettings
from sim_envs.collection.settings import CollectSettings


def write(folder: Path, first: int) -> None:
    with DatasetWriter(folder, 5) as writer:
        for seed in (first, first + 1):
            writer.add(told(seed), made_up_drive(seed, 24, labels=True, size=(96, 128)))


@pytest.fixture
def network(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_pretrained(NavigationModel(preset("tiny")).eval(), tmp_path / "network", {})
    return tmp_path / "network"


def test_rounds_build_on_each_other_and_go_on(tmp_path: Path, network: Path) -> None:
    write(tmp_path / "expert", 0)
    asked: list[tuple[Path, int]] = []

    def collect(policy: Path, number: int, out: Path) -> None:
        asked.append((policy, number))
        from_pretrained(policy)
        if not out.exists():
            write(out, 10 * (number + 1))

    training = TrainSettings((str(tmp_path / "expert"),), steps=2, batch=2, warmup=1, workers=0, precision="no")
    settings, out = DaggerSettings(training, rounds=2), tmp_path / "out"
    first = dagger(settings, network, out, collect, progress=False)
    assert asked == [(network, 0), (out / "round1" / "training" / "model", 1)] and first.steps == 2
    weights = from_pretrained(first.folder).state_dict()
    again = dagger(settings, network, out, collect, progress=False)
    assert again.folder == first.folder == out / "round2" / "training" / "model"
    for name, value in from_pretrained(again.folder).state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_corrections_get_their_share() -> None:
    training = TrainSettings(("a", "b"), weights=(3.0, 1.0))
    mixed = _mixed(DaggerSettings(training, share=0.4), ["r1", "r2"])
    assert mixed.data == ("a", "b", "r1", "r2")
    assert mixed.weights == pytest.approx((0.45, 0.15, 0.2, 0.2))
    with pytest.raises(ValueError, match="share is 1"):
        DaggerSettings(training, share=1.0)


def test_other_weights_are_another_collection(tmp_path: Path, network: Path) -> None:
    settings = CollectSettings(policy=str(network), relabel=True, tasks=("point-goal",))
    before = settings.digest
    torch.manual_seed(2)
    save_pretrained(NavigationModel(preset("tiny")).eval(), network, {})
    assert settings.digest != before


@pytest.mark.slow
def test_the_verb_collects_corrections_and_learns_from_them(
    tmp_path: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "expert", 0)
    arguments = ["dagger", "--from", str(network), "--data", str(tmp_path / "expert"), "--rounds", "1", "--episodes",
                 "2", "--task", "point-goal", "--steps", "2", "--batch", "2", "--workers", "1", "--out",
                 str(tmp_path / "out")]
    assert main(arguments) == 0
    drives = EpisodeDataset(tmp_path / "out" / "round1" / "drives")
    reached = sum(bool(drives.info(drive).notes["reached"]) for drive in range(2))
    assert re.search(rf"^point-goal +2 .* {reached / 2:.0%}$", capsys.readouterr().out, re.MULTILINE)
    assert drives.episodes == 2 and drives.info(0).driver == "policy" and drives.labels(0) is not None
    from_pretrained(tmp_path / "out" / "round1" / "training" / "model")

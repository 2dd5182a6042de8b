"""Fine-tuning: what is frozen stays to the bit, low-rank changes fold away, scores are those that hands work out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from drives_on_disk import made_up_drive, told
from safetensors.torch import load_file

from nav_foundation.cli import main
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.checkpoint import from_pretrained, save_pretrained
from nav_foundation.model.config import preset
from nav_foundation.model.goals import KINDS
from nav_foundation.model.lora import LowRank, add_low_rank, folded
from nav_foundation.model.network import Decision, NavigationModel
from nav_foundation.training.batch import about
from nav_foundation.training.finetune import finetune, tune_settings
from nav_foundation.training.judging import average_precision, judge, rank_correlation
from nav_foundation.training.ours import Ours
from nav_foundation.training.samples import Samples, _epoch, loader
from nav_foundation.training.settings import TUNES, TrainSettings
from nav_foundation.training.train import train


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuning") / "drives"
    with DatasetWriter(folder, 5) as writer:
        for seed in range(4):
            writer.add(told(seed), made_up_drive(seed, 24, labels=True, size=(96, 128)))
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("tuning") / "network"
    save_pretrained(NavigationModel(preset("tiny")).eval(), folder, {})
    return folder


def changed(network: Path, drives: Path, out: Path, tune: str) -> set[str]:
    """Names of the weights that three steps change."""
    settings = tune_settings((str(drives),), tune, steps=3, workers=0)
    train(settings, out, begin_with=network, progress=False)
    before, after = (load_file(folder / "model.safetensors") for folder in (network, out / "model"))
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(
    ("tune", "parts"),
    [
        ("heads", ("heads.", "norm.")),
        ("adapter:point", ("goals.point.",)),
        ("adapter:far", ("goals.far_place.",)),
        ("adapter:image", ("goals.image_adapter.",)),
        ("lora", ("heads.", "prefix.", "decoder.")),
    ],
)
def test_what_is_frozen_stays_to_the_bit(
    network: Path, drives: Path, tmp_path: Path, tune: str, parts: tuple[str, ...]
) -> None:
    names = changed(network, drives, tmp_path / "out", tune)
    assert names and all(name.startswith(parts) for name in names)
    assert all(any(name.startswith(part) for name in names) for part in parts)


def test_tuning_all_changes_all_parts(network: Path, drives: Path, tmp_path: Path) -> None:
    names = changed(network, drives, tmp_path / "out", "all")
    assert {name.split(".")[0] for name in names} >= {"encoder", "goals", "prefix", "decoder", "heads", "readouts"}


def test_low_rank_changes_begin_as_none_and_fold_away() -> None:
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.GELU(), torch.nn.Sequential(torch.nn.Linear(5, 4)))
    values = torch.randn(3, 6)
    expected = plain(values)
    add_low_rank(plain, rank=2)
    torch.testing.assert_close(plain(values), expected, rtol=0, atol=0)
    for layer in plain.modules():
        if isinstance(layer, LowRank):
            torch.nn.init.normal_(layer.up)
    again = folded(plain)
    assert not any(isinstance(layer, LowRank) for layer in again.modules())
    assert not torch.allclose(plain(values), expected)
    torch.testing.assert_close(again(values), plain(values))


def test_other_kinds_of_goals_teach_nothing(drives: Path) -> None:
    batch = next(loader(Samples(Ours(preset("tiny")), (str(drives),)), range(1), 4, 0))
    points = about(batch, ("point",))
    is_point = batch.kind == KINDS.index("point")
    assert torch.isnan(points.touched[~is_point]).all()
    for name in ("drives", "measured", "judged", "located"):
        assert (getattr(points, name)[~is_point] == 0).all()
        assert torch.equal(getattr(points, name)[is_point], getattr(batch, name)[is_point])
    assert about(batch, KINDS) is batch


def test_held_drives_are_not_learnt_from(drives: Path) -> None:
    def scenes(part: str) -> set[int]:
        samples = Samples(Ours(preset("tiny")), (str(drives),), part=part)  # type: ignore[arg-type]
        epoch = _epoch(samples, 0)
        return {epoch[k].episode for k in range(len(epoch))}

    assert scenes("learnt") == {0, 1, 2} and scenes("held") == {3}


def test_ranks_and_precision_by_hand() -> None:
    a = np.array([1.0, 2.0, 2.0, 5.0])  # ranks 1, 2.5, 2.5, 4
    assert rank_correlation(a, np.array([10.0, 20.0, 20.0, 21.0])) == pytest.approx(1.0)
    assert rank_correlation(a, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx(-4.5 / np.sqrt(4.5 * 5.0))
    assert np.isnan(rank_correlation(a, np.ones(4)))
    scores, true = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert average_precision(scores, true) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert average_precision(np.full(4, 0.5), true) == pytest.approx(0.5)  # nothing told apart: the share of true ones
    assert np.isnan(average_precision(scores, np.zeros(4, bool)))


def test_a_network_that_knows_scores_without_error(drives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers put in by hand come out as the errors that they have."""

    model = NavigationModel(preset("tiny")).eval()
    samples = Samples(Ours(preset("tiny")), (str(drives),))
    batch = next(loader(samples, range(1), 4, 0))
    off = torch.full_like(batch.distance, 0.5)
    said = Decision(batch.waypoints, batch.distance + off, off, batch.distance * 0, batch.arrived, batch.arrived)
    monkeypatch.setattr(NavigationModel, "judge", lambda *_: said)
    scores = judge(model, iter([batch]), 1)["all"]
    assert scores.waypoint_error == pytest.approx(0.0, abs=1e-6) and scores.distance_error == pytest.approx(0.5)
    assert scores.inside == 1.0 and scores.rank_correlation == pytest.approx(1.0)
    assert scores.arrival_precision == pytest.approx(1.0)


def test_the_verb_tells_before_and_after(
    network: Path, drives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.json"
    assert main(["finetune", "--from", str(network), "--data", str(drives), "--steps", "2", "--batch", "4",
                 "--workers", "0", "--out", str(tmp_path / "out"), "--json", str(table), "--robot", "go2",
                 "--task", "point-goal", "--scenes", "house:3", "--episodes", "1"]) == 0
    said, told_to = capsys.readouterr().out, json.loads(table.read_text())
    assert "judged on 1 drive that it did not learn from: too few" in said and told_to["judged_on"] == 1
    assert "waypoints (m)" in said and "2 of 2 steps" in said and "point-goal" in said
    assert 0.0 <= told_to["driven"][0]["before"]["low"] <= told_to["driven"][0]["before"]["high"] <= 1.0
    assert told_to["before"]["all"]["pairs"] == told_to["after"]["all"]["pairs"] > 0
    assert from_pretrained(tmp_path / "out" / "model").config == preset("tiny")


@pytest.mark.slow
def test_fine_tuning_learns_how_a_robot_drives(network: Path, tmp_path: Path) -> None:
    """Drives straight on, all of them: soon the network goes straight where none was learnt from."""
    line = np.column_stack([0.1 * np.arange(150), np.zeros((150, 2))])
    with DatasetWriter(tmp_path / "straight", 5) as writer:
        for seed in range(4):
            drive = made_up_drive(seed, 150, size=(96, 128))
            writer.add(told(seed), dataclasses.replace(drive, poses=line))
    settings = tune_settings((str(tmp_path / "straight"),), "all", steps=90, workers=0)
    tuned = finetune(settings, network, tmp_path / "out", progress=False)
    assert tuned.after["none"].waypoint_error < 0.7 * tuned.before["none"].waypoint_error


def test_wrong_wishes_are_told(drives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "adapter:point" in TUNES
    with pytest.raises(ValueError, match="tune 'all of it' is not known: use one of all, heads"):
        tune_settings((str(drives),), "all of it")
    with pytest.raises(ValueError, match="model 'vnit' is not known: use one of tiny, nano, base, vint, nomad"):
        TrainSettings((str(drives),), model="vnit")
    with pytest.raises(ValueError, match="needs a network to go on from"):
        train(tune_settings((str(drives),), "heads", workers=0), tmp_path / "out", progress=False)
    one = tmp_path / "one"
    with DatasetWriter(one, 5) as writer:
        writer.add(told(0), made_up_drive(0, 24, labels=True, size=(96, 128)))
    with pytest.raises(ValueError, match="has one drive: two are needed"):
        train(tune_settings((str(one),), workers=0), tmp_path / "out", progress=False)

"""Published files of torch become folders of ours: whole modules or state dicts, and nothing in them runs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_weights import golden, noise, published_state
from test_data_pickles import BOMBS, Runs, legacy_header, payloads, zip_file
from torch import nn

from nav_foundation.cli import main
from nav_foundation.data.pickles import load_torch
from nav_foundation.data.schema import DataError
from nav_foundation.data.shells import Shell, state_dict_of
from nav_foundation.model.published.load import import_checkpoint, load_published, load_strictly
from nav_foundation.model.published.nomad import NoMaD
from nav_foundation.model.published.vint import ViNT


def small() -> nn.Module:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ModuleDict({"inner": layer}), nn.GELU())
    network.register_buffer("fleeting", torch.ones(2), persistent=False)
    return network


def training_state(network: nn.Module) -> dict[str, Any]:
    """As the trainers of ViNT saved it: module, optimizer and schedule, all whole."""
    optimizer = torch.optim.AdamW(network.parameters())
    sum((p**2).sum() for p in network.parameters()).backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    return {"epoch": 3, "model": nn.DataParallel(network), "optimizer": optimizer, "scheduler": schedule}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("holds", ["module", "training state", "state dict", "nested"])
def test_weights_come_out_of_whatever_holds_them(tmp_path: Path, holds: str, zipped: bool) -> None:
    network, file = small(), tmp_path / "x.pth"
    value = {
        "module": lambda: network, "training state": lambda: training_state(network),
        "state dict": lambda: nn.DataParallel(network).state_dict(),
        "nested": lambda: {"epoch": 1, "model": nn.Linear(1, 1), "ema_model": {"module.module." + k: v for k, v in
                                                                               network.state_dict().items()}},
    }[holds]()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    found, expected = state_dict_of(load_torch(file, shells=True), file), network.state_dict()
    assert list(found) == list(expected) and "fleeting" not in found
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_shells_tell_what_they_were(tmp_path: Path) -> None:
    torch.save({"a": nn.Linear(2, 3), "kept": [1, "x"]}, tmp_path / "x.pth")
    loaded = load_torch(tmp_path / "x.pth", shells=True)
    shell = loaded["a"]
    assert type(shell) is Shell and shell.name == "torch.nn.modules.linear.Linear"
    assert shell.state["in_features"] == 2 and loaded["kept"] == [1, "x"]
    assert not callable(shell)


@pytest.mark.parametrize("name", sorted(payloads(Path("/tmp/marker"))))
@pytest.mark.parametrize("zipped", [True, False])
def test_attacks_run_nothing_where_shells_are_made(tmp_path: Path, name: str, zipped: bool) -> None:
    marker, file = tmp_path / "marker", tmp_path / "x.pth"
    payload, _ = payloads(marker)[name]
    if zipped:
        zip_file(file, payload, {})
    else:
        file.write_bytes(legacy_header() + payload + pickle.dumps([], protocol=2))
    with pytest.raises(DataError, match=r"x\.pth"):
        state_dict_of(load_torch(file, shells=True), file)
    assert not marker.exists()


@pytest.mark.parametrize("name", [*BOMBS, "deep calls", "deep states"])
def test_bombs_do_not_go_off_where_shells_are_made(tmp_path: Path, name: str) -> None:
    one = b"cvint\nViNT\n"
    deep = {"deep calls": one * 100_000 + b"N" + b"\x85R" * 100_000 + b".",
            "deep states": one * 100_000 + b"N" + b"b" * 100_000 + b"."}
    file = zip_file(tmp_path / "bomb.pth", (BOMBS | deep)[name], {})
    with pytest.raises(DataError, match=r"bomb\.pth"):
        load_torch(file, shells=True)


def test_an_attack_beside_weights_becomes_a_shell(tmp_path: Path) -> None:
    import os

    marker, file = tmp_path / "marker", tmp_path / "x.pth"
    torch.save({"model": nn.Linear(2, 3), "hook": Runs(os.system, f"touch {marker}")}, file)
    loaded = load_torch(file, shells=True)
    assert list(state_dict_of(loaded, file)) == ["weight", "bias"] and not marker.exists()
    assert loaded["hook"].name == "posix.system" and loaded["hook"].args == (f"touch {marker}",)
    with pytest.raises(DataError, match="nothing of it was run"):
        load_torch(file)


@pytest.mark.parametrize("kind", ["circle", "doubling"])
def test_modules_within_each_other_end(kind: str) -> None:
    weights = {"_parameters": {"w": np.zeros(1)}}
    outer = Shell("Module", state={**weights, "_modules": {}})
    if kind == "circle":
        outer.state["_modules"]["again"] = outer
    for _ in range(40 if kind == "doubling" else 0):
        outer = Shell("Module", state={**weights, "_modules": {"a": outer, "b": outer}})
    with pytest.raises(DataError, match="malicious"):
        state_dict_of(outer, Path("x.pth"))


# --- import-checkpoint ----------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_whole_vint_is_imported_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network, file, out = ViNT(), tmp_path / "vint.pth", tmp_path / "made" / "vint"
    load_strictly(network, published_state("vint"), "vint", "")
    torch.save({"epoch": 9, "model": nn.DataParallel(network)}, file)
    command = ["import-checkpoint", str(file), "--kind", "vint", "--metric-spacing", "0.25", "--out", str(out)]
    assert main(command) == 0 and "vint from vint.pth, 0.25 m to a step" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]
    loaded, config = load_published(out)
    expected = golden()["vint"]
    distance, _ = loaded(noise(expected["obs"]), noise(expected["goal"]))
    torch.testing.assert_close(distance, torch.tensor(expected["distance"]), rtol=1e-3, atol=0)
    told = json.loads((out / "config.json").read_text())
    assert told["preprocessing"] == {"width": 85, "height": 64, "aspect": 4 / 3} and told["mean"][0] == 0.485
    assert told["kind"] == "vint" and told["context"] == 5 and told["metric_spacing"] == 0.25
    assert told["provenance"]["file"] == "vint.pth"
    assert config.metric_spacing == 0.25 and len(config.provenance.sha256) == 64
    assert sorted(path.name for path in out.parent.iterdir()) == ["vint"]
    assert main(command) == 2 and "is there already: give another --out" in capsys.readouterr().err


def test_a_state_dict_of_nomad_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "nomad.pth"
    torch.save(published_state("nomad"), file)
    import_checkpoint(file, "nomad", 0.12, tmp_path / "out")
    loaded, config = load_published(tmp_path / "out")
    assert isinstance(loaded, NoMaD) and not loaded.training and config.context == 3
    for name, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, published_state("nomad")[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--kind", "nomad"], "is not the published nomad: it lacks vision_encoder"),
        (["--metric-spacing", "0"], "metric_spacing is 0: give the metres of one step"),
        (["--metric-spacing", "nan"], "metric_spacing is nan"),
        (["FILE"], "nowhere.pth cannot be read: No such file"),
    ],
)
def test_wrong_imports_end_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], words: str
) -> None:
    file, out = tmp_path / "x.pth", tmp_path / "out"
    torch.save({"weight": torch.zeros(2)}, file)
    asked = {"--kind": "vint", "--metric-spacing": "0.25"} | dict([change] if len(change) == 2 else [])
    source = tmp_path / "nowhere.pth" if change == ["FILE"] else file
    words_of = [word for pair in asked.items() for word in pair]
    assert main(["import-checkpoint", str(source), "--out", str(out), *words_of]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not out.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nomad.pth"
    torch.save(published_state("nomad"), file)
    with pytest.raises(ValueError, match=r"folder .*nomad\.pth cannot be made"):
        import_checkpoint(file, "nomad", 0.25, file / "out")


def test_folders_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no config\.json: give a folder"):
        load_published(tmp_path)
    file = tmp_path / "nomad.pth"
    torch.save(published_state("nomad"), file)
    import_checkpoint(file, "nomad", 0.25, tmp_path / "out")
    config, weights = tmp_path / "out" / "config.json", tmp_path / "out" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
        load_published(tmp_path / "out")
    config.write_text(config.read_text().replace('"context": 3', '"context": 4'))
    with pytest.raises(ValueError, match="does not describe the published nomad"):
        load_published(tmp_path / "out")

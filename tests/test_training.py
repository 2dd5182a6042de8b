"""Training: the same batches for any number of workers, the same bits after any stop, two processes as one."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from drives_on_disk import made_up_drive, told
from safetensors.torch import load_file, save_file

from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.checkpoint import from_pretrained, save_pretrained
from nav_foundation.model.config import preset
from nav_foundation.model.network import NavigationModel
from nav_foundation.training import train as training
from nav_foundation.training.batch import Batch
from nav_foundation.training.forward import PARTS
from nav_foundation.training.ours import Ours
from nav_foundation.training.samples import Samples, loader, numbers_of
from nav_foundation.training.settings import TrainSettings
from nav_foundation.training.train import STATE, schedule, train


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training") / "drives"
    with DatasetWriter(folder, 5) as writer:
        for seed in range(4):
            writer.add(told(seed), made_up_drive(seed, 30, labels=True, size=(96, 128)))
    return folder


def settings(drives: Path, **changes: object) -> TrainSettings:
    base = TrainSettings((str(drives),), model="tiny", steps=4, batch=4, warmup=2, workers=0, save_every=1,
                         precision="no")
    return dataclasses.replace(base, **changes)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / STATE, weights_only=True)["model"]


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], tolerance: float = 0.0) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=tolerance, atol=tolerance, msg=name)


def first_batch(drives: Path, workers: int) -> Batch:
    samples = Samples(Ours(preset("tiny")), (str(drives),), seed=5)
    return next(loader(samples, range(3, 9), 4, workers))


def test_batches_are_the_same_for_any_number_of_workers(drives: Path) -> None:
    alone = first_batch(drives, 0)
    for workers in (1, 2):
        other = first_batch(drives, workers)
        for field in dataclasses.fields(Batch):
            parts = getattr(alone, field.name), getattr(other, field.name)
            torch.testing.assert_close(*parts, rtol=0, atol=0, equal_nan=True, msg=field.name)


def test_processes_share_a_batch_without_overlap() -> None:
    shares = [numbers_of(7, 12, rank, 3) for rank in range(3)]
    assert [number for share in shares for number in share] == numbers_of(7, 12) == list(range(84, 96))
    assert all(share[0] % 2 == 0 for share in shares)  # partners stay together


def test_two_steps_and_two_more_are_four(drives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(settings(drives), tmp_path / "whole", progress=False)
    real = training._Run._step

    def stops(run: training._Run, batch: Batch, step: int) -> dict[str, float]:
        if step == 2:
            raise KeyboardInterrupt
        return real(run, batch, step)

    monkeypatch.setattr(training._Run, "_step", stops)
    with pytest.raises(KeyboardInterrupt):
        train(settings(drives), tmp_path / "parts", progress=False)
    monkeypatch.setattr(training._Run, "_step", real)
    with pytest.raises(ValueError, match="add --resume"):
        train(settings(drives), tmp_path / "parts", progress=False)
    assert train(settings(drives), tmp_path / "parts", resume=True, progress=False).steps == 4
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    name = "model/model.safetensors"
    assert_same(load_file(tmp_path / "whole" / name), load_file(tmp_path / "parts" / name))


def test_a_finished_training_says_what_it_came_to(drives: Path, tmp_path: Path) -> None:
    done = train(settings(drives), tmp_path / "run", progress=False)
    again = train(settings(drives), tmp_path / "run", resume=True, progress=False)
    assert (again.steps, again.losses, again.pairs_per_second) == (4, done.losses, 0.0)
    judged = settings(drives, validation=(str(drives),), validation_batches=1)
    new, old = (train(judged, tmp_path / name, resume=True, progress=False).losses for name in ("new", "run"))
    assert old == new != done.losses  # of the validation data, not those of the last batch
    with pytest.raises(ValueError, match="has made 4 steps already: give --steps 4 or more"):
        train(settings(drives, steps=3), tmp_path / "run", resume=True, progress=False)


def test_slow_steps_are_saved_by_the_clock(drives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved, real = list[int](), training._Run._save

    def save(run: training._Run, parts: dict[str, float]) -> None:
        saved.append(run._state.step)
        real(run, parts)

    monkeypatch.setattr(training._Run, "_save", save)
    train(settings(drives, save_every=100), tmp_path / "fast", progress=False)
    monkeypatch.setattr(training, "_SAVED_EVERY", 0.0)
    train(settings(drives, save_every=100), tmp_path / "slow", progress=False)
    assert saved == [4, 1, 2, 3, 4]


TRAIN = """
import sys
from pathlib import Path
from nav_foundation.training.settings import TrainSettings
from nav_foundation.training.train import train
settings = TrainSettings(({drives!r},), model="tiny", steps={steps}, batch=4, warmup=2, workers=0, save_every=1,
                         precision="no")
train(settings, Path({out!r}), resume=True, progress=False)
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bits(drives: Path, tmp_path: Path) -> None:
    train(settings(drives, steps=12), tmp_path / "whole", progress=False)
    code = TRAIN.format(drives=str(drives), steps=12, out=str(tmp_path / "killed"))
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / STATE).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.15)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reached = torch.load(tmp_path / "killed" / STATE, weights_only=True)["step"]
    assert 0 < reached < 12
    train(settings(drives, steps=12), tmp_path / "killed", resume=True, progress=False)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def in_two_processes(script: Path) -> str:
    """What both of them say."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_two_processes_train_as_one(drives: Path, tmp_path: Path) -> None:
    train(settings(drives), tmp_path / "one", progress=False)
    script = tmp_path / "train.py"
    count = "import torch.distributed as d; print('one of', d.get_world_size(), flush=True)\n"
    script.write_text(TRAIN.format(drives=str(drives), steps=4, out=str(tmp_path / "two")) + count)
    assert in_two_processes(script).count("one of 2") == 2
    assert_same(weights(tmp_path / "one"), weights(tmp_path / "two"), 2e-4)


ONE_CLOCK = """
import torch.distributed as d
from nav_foundation.training import train as training
real = training._Run._any
training._Run._any = lambda run, mine: real(run, d.get_rank() == 1 and run._state.step == 2)
print("stopped at", train(settings, Path({out!r}), minutes=60, progress=False).steps, flush=True)
"""


@pytest.mark.slow
def test_processes_stop_when_one_of_them_is_late(drives: Path, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN.format(drives=str(drives), steps=4, out="").rsplit("train(", 1)[0]
                      + ONE_CLOCK.format(out=str(tmp_path / "out")))
    assert in_two_processes(script).count("stopped at 2") == 2


def test_a_diverging_loss_stops_and_keeps_the_batch(drives: Path, tmp_path: Path) -> None:
    wild = settings(drives, rate=1e9, warmup=0, clip=1e9, steps=50)
    with pytest.raises(ValueError, match=r"the loss became .* at step \d+ .*the batch is in"):
        train(wild, tmp_path / "wild", progress=False)
    kept = torch.load(tmp_path / "wild" / "diverged.pt", weights_only=True)
    assert kept["pictures"].dtype == torch.uint8 and len(kept["current"]) == 4 * 3


def test_the_learning_rate_warms_up_and_falls(drives: Path) -> None:
    told_to = settings(drives, steps=1000, warmup=100)
    shares = [schedule(step, told_to) for step in range(1000)]
    assert shares[0] == 0.01 and shares[99] == 1.0 and shares[549] == pytest.approx(0.505, abs=0.01)
    assert shares[100:] == sorted(shares[100:], reverse=True) and 0.01 <= shares[-1] < 0.011


def test_validation_speaks_of_the_average_and_is_written_down(drives: Path, tmp_path: Path) -> None:
    done = train(settings(drives, validation=(str(drives),), validation_batches=2), tmp_path, progress=False)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["provenance"]["losses"] == pytest.approx(done.losses) and config["provenance"]["steps"] == 4
    assert set(done.losses) == set(PARTS) and done.pairs_per_second > 0
    assert list((tmp_path / "logs").glob("events*"))


def test_checkpoints_come_back_and_name_what_does_not_fit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = NavigationModel(preset("tiny")).eval()
    save_pretrained(model, tmp_path, {"data": "none"})
    again = from_pretrained(tmp_path)
    assert again.config == model.config
    assert_same(model.state_dict(), again.state_dict())
    held = load_file(tmp_path / "model.safetensors")
    held["strange"] = held.pop("readouts")
    held["norm.weight"] = torch.zeros(3)
    save_file(held, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"misses 1: readouts; .*unexpected 1: strange; .*shape for 1: norm\.weight"):
        from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="cannot be read"):
        from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        from_pretrained(tmp_path / "nothing")


def test_half_precision_is_close_and_half_as_large(tmp_path: Path) -> None:
    model = NavigationModel(preset("tiny")).eval()
    save_pretrained(model, tmp_path / "full", {})
    save_pretrained(model, tmp_path / "half", {}, torch.float16)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    assert_same(model.state_dict(), from_pretrained(tmp_path / "half").state_dict(), 2e-3)


def test_data_that_is_not_there_is_told_at_once(drives: Path, tmp_path: Path) -> None:
    for wrong in (settings(tmp_path / "nope"), settings(drives, validation=(str(tmp_path / "nope"),))):
        with pytest.raises(ValueError, match="not a dataset"):
            train(dataclasses.replace(wrong, workers=1), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()

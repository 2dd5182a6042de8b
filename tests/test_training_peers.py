"""ViNT and NoMaD trained from new weights: pairs worked out by hand, and folders that drive like imported ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from drives_on_disk import told

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_jpeg
from nav_foundation.data.schema import EpisodeData
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.published.config import Kind, read_config
from nav_foundation.model.published.nomad import actions_of, waypoints_of
from nav_foundation.robot import load_robot
from nav_foundation.training.peers import FARTHEST, LAST_DRIVEN, Peer, PeerClip
from nav_foundation.training.settings import TrainSettings
from nav_foundation.training.train import STATE, train
from policies.load import load_policy
from policies.published import PublishedPolicy
from sim_envs.evaluation.evaluate import evaluate
from sim_envs.evaluation.settings import EvaluationSettings

ROBOT = load_robot("turtlebot")
STEP = 0.25 / ROBOT.cruise_speed  # s
FRAMES = 120


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two straight drives at cruise speed, ten frames to a step, each picture as bright as its number."""
    folder = tmp_path_factory.mktemp("peers") / "drives"
    with DatasetWriter(folder, round(10 / STEP)) as writer:
        for number in range(2):
            stamps = np.arange(FRAMES) * round(STEP * 1e8)
            poses = np.column_stack([0.025 * np.arange(FRAMES), np.zeros(FRAMES), np.zeros(FRAMES)])
            images = [np.full((48, 64, 3), 2 * k + number, np.uint8) for k in range(FRAMES)]
            info = dataclasses.replace(told(number), robot=ROBOT, scene=f"house:{number}", driver="expert")
            writer.add(info, EpisodeData([encode_jpeg(image) for image in images], stamps, poses))
    return folder


def clips(drives: Path, kind: Kind, frame: int, count: int = 60) -> list[PeerClip]:
    dataset = EpisodeDataset(drives)
    make = Peer(kind).maker(dataset, range(dataset.episodes))
    return [make(0, frame, np.random.default_rng(seed)) for seed in range(count)]


def test_pairs_are_steps_of_time_apart(drives: Path) -> None:
    frame, seen = 60, set()
    for clip in clips(drives, "vint", frame):
        assert clip.pictures.shape == (7, 64, 85, 3)
        shown = clip.pictures.mean(axis=(1, 2, 3)) / 2
        np.testing.assert_allclose(shown[:6], [frame - 10 * k for k in range(5, -1, -1)], atol=1.0)
        np.testing.assert_allclose(clip.waypoints, [[k, 0, 1, 0] for k in range(1, 6)], atol=1e-5)
        if clip.distance < FARTHEST:
            assert shown[6] == pytest.approx(frame + 10 * clip.distance, abs=1.0)
        assert clip.drives == (clip.distance <= LAST_DRIVEN)
        seen.add(clip.distance)
    assert seen == {1, 2, 3, 4, 5, FARTHEST}  # what is left of the drive, and goals elsewhere


def test_nomad_sees_less_past_and_half_of_its_goals(drives: Path) -> None:
    made = clips(drives, "nomad", 100)
    assert made[0].pictures.shape == (5, 96, 96, 3) and made[0].waypoints.shape == (8, 4)
    assert 0.3 < np.mean([clip.masked for clip in made]) < 0.7
    np.testing.assert_allclose(made[0].waypoints[:, 0], [1, *[1.9] * 7], atol=1e-5)  # the drive ends 1.9 steps ahead


def test_actions_are_the_way_between_waypoints() -> None:
    legs = torch.rand(3, 8, 2) * 4 - 2
    ways = legs.cumsum(dim=1)
    torch.testing.assert_close(waypoints_of(actions_of(ways)), ways)
    middle, most = actions_of(torch.tensor([[[1.25, 0.0], [6.25, 0.0]]]))[0]
    torch.testing.assert_close(torch.stack([middle, most]), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))


@pytest.mark.parametrize("kind", ["vint", "nomad"])
def test_a_trained_peer_drives_like_an_imported_one(drives: Path, tmp_path: Path, kind: Kind) -> None:
    settings = TrainSettings((str(drives),), model=kind, steps=2, batch=4, workers=0, precision="no", save_every=1)
    done = train(settings, tmp_path, progress=False)
    assert set(done.losses) == set(Peer(kind).parts) and all(np.isfinite(list(done.losses.values())))
    assert read_config(done.folder).kind == kind and read_config(done.folder).metric_spacing == 0.25
    assert isinstance(load_policy(str(done.folder)), PublishedPolicy)
    result = evaluate(EvaluationSettings(policy=str(done.folder), task="image-goal", episodes=1, scenes="house:5"))
    assert len(result.records) == 1


def test_what_drops_out_is_the_same_after_a_stop(drives: Path, tmp_path: Path) -> None:
    settings = TrainSettings(
        (str(drives),), model="vint", steps=3, batch=2, workers=0, precision="no", save_every=1, validate_every=9
    )
    train(settings, tmp_path / "whole", progress=False)
    train(settings, tmp_path / "parts", minutes=0.0, progress=False)  # one step
    assert torch.load(tmp_path / "parts" / STATE, weights_only=True)["step"] == 1
    train(settings, tmp_path / "parts", resume=True, progress=False)
    whole, parts = (torch.load(tmp_path / part / STATE, weights_only=True)["model"] for part in ("whole", "parts"))
    for name, weights in whole.items():
        assert torch.equal(weights, parts[name]), name


def test_peers_begin_anew(drives: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vint is trained from its beginning"):
        train(TrainSettings((str(drives),), model="vint", steps=1), tmp_path, begin_with=tmp_path, progress=False)

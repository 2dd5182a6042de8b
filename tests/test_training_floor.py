"""How far the floor is free: what depth says of hand-made scenes, the loss by hand, and that nothing else changes."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drives_on_disk import drives_along_a_wall, made_up_drive, told
from safetensors.torch import load_file

from nav_foundation.camera import camera_rotation, rays
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_depth
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.checkpoint import from_pretrained, save_pretrained
from nav_foundation.model.config import preset
from nav_foundation.model.floor import floor_bearings, floor_edges
from nav_foundation.model.network import NavigationModel
from nav_foundation.robot import CameraSpec, load_robot
from nav_foundation.training.augment import mirrored
from nav_foundation.training.clearance import free_floor
from nav_foundation.training.clips import ClipMaker
from nav_foundation.training.losses import floor_loss
from nav_foundation.training.pairs import ClipRules
from nav_foundation.training.settings import TrainSettings
from nav_foundation.training.sight import Sight
from nav_foundation.training.train import course_of, samples_of, train

CONFIG = preset("nano")
ROBOT = dataclasses.replace(
    load_robot("turtlebot"), camera=CameraSpec(128, 96, mount_height=0.3, mount_forward=0.1, hfov_deg=90.0)
)


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drives_along_a_wall(tmp_path_factory.mktemp("data") / "drives")


@pytest.fixture
def unknowing(tmp_path: Path) -> Path:
    """A checkpoint from before the floor was taught."""
    torch.manual_seed(0)
    save_pretrained(NavigationModel(replace(preset("tiny"), floor_bins=0)), tmp_path / "before", {})
    config = tmp_path / "before" / "config.json"
    data = json.loads(config.read_text())
    del data["model"]["floor_bins"]
    config.write_text(json.dumps(data))
    return tmp_path / "before"


def settings(drives: Path, **changes: object) -> TrainSettings:
    plain = TrainSettings((str(drives),), steps=3, batch=2, warmup=1, workers=0, precision="no", floor=True)
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_a_wall_ends_the_floor_where_it_stands() -> None:
    cloud = Sight(ROBOT.camera, CONFIG).cloud(np.full((96, 128), 2.0, np.float32))
    floor = free_floor(cloud, ROBOT, CONFIG.view)
    np.testing.assert_allclose(floor[:, 0], 2.0 / np.cos(floor_bearings(CONFIG.view)), rtol=0.05)


@pytest.mark.parametrize("name", ["turtlebot", "jackal", "go2", "rover-fisheye"])
@pytest.mark.parametrize("away", [1.0, 2.5, 4.5])
def test_every_robot_sees_walls_far_away(name: str, away: float) -> None:
    """The depth of a floor and a wall, exact for each pixel, of whatever lens."""
    robot = load_robot(name)
    optical = rays(robot.camera)
    x, _, z = np.moveaxis(optical @ camera_rotation(robot.camera).T, -1, 0)
    with np.errstate(divide="ignore"):
        to_floor = np.where(z < 0, -robot.camera.mount_height / z, np.inf)
        to_wall = np.where(x > 0, (away - robot.camera.mount_forward) / x, np.inf)
    reach = np.minimum(to_floor, to_wall)
    depth = np.where(np.isfinite(reach), reach * optical[..., 2], 0.0).clip(min=0).astype(np.float32)
    floor = free_floor(Sight(robot.camera, CONFIG).cloud(depth), robot, CONFIG.view)
    ahead = np.abs(floor_bearings(CONFIG.view)) < 0.25
    walls = (away - robot.camera.mount_forward) / np.cos(floor_bearings(CONFIG.view))
    blocked = ahead & np.isfinite(floor[:, 0])
    assert blocked.sum() >= ahead.sum() / 2 or (name, away) == ("rover-fisheye", 4.5)  # too coarse
    assert (floor[ahead, 1] < 1.1 * walls[ahead]).all()
    np.testing.assert_allclose(floor[blocked, 0], walls[blocked], rtol=0.1)


def test_a_drop_ends_the_floor() -> None:
    points = np.column_stack([np.linspace(0.5, 3.0, 26), np.zeros(26), np.where(np.arange(26) < 10, 0.0, -0.6)])
    floor = free_floor(points, ROBOT, CONFIG.view)[16]
    assert floor[0] == pytest.approx(1.5 - 0.1)


def test_holes_in_depth_are_not_free_floor(tmp_path: Path) -> None:
    depth = np.full((96, 128), 2.0, np.float32)
    depth[60:, 20:90] = 0.0  # too near, black or glass
    with DatasetWriter(tmp_path / "holes", 5) as writer:
        data = made_up_drive(0, 30, size=(96, 128), labels=True)
        writer.add(told(0), replace(data, depth=[encode_depth(depth)] * 30))
    dataset = EpisodeDataset(tmp_path / "holes")
    clip = ClipMaker(dataset, CONFIG, ClipRules())(0, 10, np.random.default_rng(0))
    assert (clip.floor[..., 1] == 0).all()


def test_in_a_mirror_left_is_right(drives: Path) -> None:
    clip = ClipMaker(EpisodeDataset(drives), CONFIG, ClipRules())(0, 10, np.random.default_rng(0))
    clip.floor[:, :5] = 1.0
    np.testing.assert_array_equal(mirrored(clip).floor, clip.floor[:, ::-1])


def test_floor_is_free_as_far_as_it_is_seen() -> None:
    for height, first in ((0.0, math.inf), (0.2, 1.0), (1.0, math.inf)):  # one can drive under the last
        points = np.array([[1.1, 0.0, height], [3.1, 0.0, 0.0]])
        floor = free_floor(points, ROBOT, CONFIG.view)
        known = floor[:, 1] > 0
        assert known.sum() == 1 and known[16]  # what lies straight ahead is in the column to the right of the middle
        assert floor[16].tolist() == pytest.approx([first, 3.0])


def test_left_is_left() -> None:
    floor = free_floor(np.array([[1.1, 0.5, 0.2]]), ROBOT, CONFIG.view)
    column = int(floor[:, 1].argmax())
    assert floor_bearings(CONFIG.view)[column] == pytest.approx(math.atan2(0.5, 1.0), abs=0.03)
    assert floor[column, 0] == pytest.approx(math.hypot(1.0, 0.5))


def test_the_loss_by_hand() -> None:
    edges = torch.tensor([0.5, 1.0, 2.0, 4.0])
    logits = torch.log(torch.tensor([0.1, 0.2, 0.5]) / (1 - torch.tensor([0.1, 0.2, 0.5]))).view(1, 1, 3)
    for first, farthest, expected in (
        (1.5, 3.0, -math.log(0.9) - math.log(0.2)),  # free, then something; beyond nothing is known
        (0.3, 3.0, -math.log(0.1)),  # nearer than the first bin
        (math.inf, 3.0, -math.log(0.9) - math.log(0.8)),  # up to the bin of the farthest that is seen
        (math.inf, 9.0, -math.log(0.9) - math.log(0.8) - math.log(0.5)),
        (7.0, 9.0, -math.log(0.9) - math.log(0.8) - math.log(0.5)),
        (math.inf, 0.0, 0.0),  # nothing was seen
    ):
        loss = floor_loss(logits, torch.tensor([[[first, farthest]]]), edges)
        assert loss.item() == pytest.approx(expected, abs=1e-5), (first, farthest)
    both = torch.tensor([[[1.5, 3.0], [math.inf, 0.0]]])  # columns of which nothing is known do not count
    assert floor_loss(logits.expand(1, 2, 3), both, edges).item() == pytest.approx(-math.log(0.9 * 0.2), abs=1e-5)


def test_a_network_learns_where_a_wall_is(drives: Path, unknowing: Path) -> None:
    asked = settings(drives)
    course = course_of(asked, unknowing)
    torch.manual_seed(0)
    model, samples = course.network(), samples_of(asked, course)
    assert isinstance(model, NavigationModel) and model.heads.floor is not None
    batch = course.collate([samples[0], samples[1]])
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        course.losses(model, batch).total(course.parts).backward()
        optimiser.step()
    with torch.inference_mode():
        frames = model.encoder(torch.zeros(1, 3, 48, 64))
        chances = model.free_floor(frames, batch.body[:1], float(batch.tall[0])).numpy()[0]
    passed = np.cumprod(1 - chances, axis=1)
    edges = floor_edges(chances.shape[1])
    seen = (batch.floor[0, :, 1] > 0).numpy()
    first = batch.floor[0, :, 0].numpy()[seen]
    told_at = edges[1:][(passed[seen] < 0.5).argmax(axis=1)]
    assert np.abs(np.log(told_at / first)).max() < 0.25  # two bins


def test_nothing_but_the_floor_changes(drives: Path, unknowing: Path, tmp_path: Path) -> None:
    train(settings(drives), tmp_path / "run", begin_with=unknowing, progress=False)
    before, after = (load_file(folder / "model.safetensors") for folder in (unknowing, tmp_path / "run/model"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(name.startswith("heads.floor.") for name in after.keys() - before.keys())
    assert from_pretrained(tmp_path / "run/model").config.floor_bins == CONFIG.floor_bins
    assert from_pretrained(unknowing).config.floor_bins == 0
    # And once more, from a network that has it already.
    train(settings(drives), tmp_path / "again", begin_with=tmp_path / "run/model", progress=False)
    again = load_file(tmp_path / "again/model/model.safetensors")
    assert {name.split(".")[1] for name in after if not torch.equal(after[name], again[name])} == {"floor"}


def test_the_floor_is_not_taught_alone_or_without_depth(drives: Path, unknowing: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leave out --eyes or --floor"):
        settings(drives, eyes=True)
    with pytest.raises(ValueError, match="give --from with --floor"):
        train(settings(drives), tmp_path / "run", progress=False)
    with DatasetWriter(tmp_path / "flat", 5) as writer:
        writer.add(told(0), made_up_drive(0, 30, size=(96, 128), labels=True))
    with pytest.raises(ValueError, match="flat has no depth"):
        train(settings(tmp_path / "flat"), tmp_path / "run", begin_with=unknowing, progress=False)


def test_without_depth_a_network_is_not_given_a_floor_nor_is_one_changed(drives: Path, tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "flat", 5) as writer:
        for seed in range(2):
            writer.add(told(seed), made_up_drive(seed, 30, size=(96, 128), labels=True))
    flat = settings(tmp_path / "flat", floor=False, model="tiny")
    train(flat, tmp_path / "new", progress=False)
    assert from_pretrained(tmp_path / "new/model").config.floor_bins == 0
    train(settings(drives, floor=False, model="tiny"), tmp_path / "seeing", progress=False)
    assert from_pretrained(tmp_path / "seeing/model").config.floor_bins == CONFIG.floor_bins
    train(flat, tmp_path / "on", begin_with=tmp_path / "seeing/model", progress=False)
    before, after = (load_file(tmp_path / name / "model/model.safetensors") for name in ("seeing", "on"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not any(name.startswith("heads.floor.") for name in changed)


def test_a_training_of_another_network_is_not_gone_on_with(drives: Path, unknowing: Path, tmp_path: Path) -> None:
    train(settings(drives, floor=False, model="tiny", steps=1), tmp_path / "run", begin_with=unknowing, progress=False)
    with pytest.raises(ValueError, match="is of another network"):
        train(settings(drives, floor=False, model="tiny"), tmp_path / "run", resume=True, progress=False)

"""What one picture shows of another, against walls whose geometry is worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from drives_on_disk import made_up_drive, told

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_depth
from nav_foundation.data.schema import Labels
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.config import preset
from nav_foundation.model.goals import KINDS
from nav_foundation.robot import CameraSpec, load_robot
from nav_foundation.training.augment import mirrored
from nav_foundation.training.batch import collate
from nav_foundation.training.clips import ClipMaker
from nav_foundation.training.losses import depth_loss, sight_loss, sight_targets
from nav_foundation.training.pairs import ClipRules
from nav_foundation.training.sight import HIDDEN, SEEN, UNKNOWN, Sight, moved
from nav_foundation.types import Pose2

CONFIG = preset("nano")  # 8 x 6 cells; a token is two of them, one above the other
CAMERA = CameraSpec(128, 96, mount_height=0.5, hfov_deg=90.0)  # sees what the network sees; focal length 64 pixels
WALL = np.full((96, 128), 4.0, np.float32)  # m, across the whole view
COLUMN = (np.arange(8) + 0.5) * 16 - 0.5  # pixels of the tokens' middles


def test_tokens_look_at_the_wall() -> None:
    points = Sight(CAMERA, CONFIG).points(WALL)
    assert points.shape == (24, 3)
    np.testing.assert_allclose(points[:, 0], 4.0)
    np.testing.assert_allclose(points[:8, 1], -4.0 * (COLUMN - 63.5) / 64)  # left is where columns are low
    np.testing.assert_allclose(points[::8, 2], 0.5 - 4.0 * (np.array([15.5, 47.5, 79.5]) - 47.5) / 64)


def test_the_same_picture_shows_itself() -> None:
    sight = Sight(CAMERA, CONFIG)
    places, found = sight.find(sight.points(WALL), WALL)
    assert (found == SEEN).all()
    np.testing.assert_allclose(places[:8, 0], np.arange(8), atol=1e-5)
    np.testing.assert_allclose(places[::8, 1], [0.5, 2.5, 4.5], atol=1e-5)


def test_from_farther_away_things_lie_nearer_the_middle() -> None:
    sight = Sight(CAMERA, CONFIG)
    goal, here = Pose2(2.0, 0.0, 0.0), Pose2(0.0, 0.0, 0.0)  # the goal picture was taken two metres nearer the wall
    places, found = sight.find(moved(sight.points(WALL), goal, here), WALL + 2.0)
    assert (found == SEEN).all()
    pixels = 63.5 + (COLUMN - 63.5) * 4.0 / 6.0
    np.testing.assert_allclose(places[:8, 0], (pixels + 0.5) / 16 - 0.5, atol=1e-5)


def test_turned_views_share_their_edges() -> None:
    sight = Sight(CAMERA, CONFIG)
    turned = Pose2(0.0, 0.0, math.radians(60))  # looks 60 degrees to the left
    _, found = sight.find(moved(sight.points(WALL), Pose2(0.0, 0.0, 0.0), turned), np.full_like(WALL, 50.0))
    bearings = np.degrees(np.arctan2(63.5 - COLUMN, 64))
    assert (found.reshape(3, 8)[1] == np.where(bearings > 60 - 45, SEEN, HIDDEN)).all()


def test_what_stands_before_hides_and_what_is_not_measured_is_unknown() -> None:
    sight = Sight(CAMERA, CONFIG)
    near, holes = WALL.copy(), WALL.copy()
    near[:, :64], holes[:, 64:] = 1.0, 0.0
    _, found = sight.find(sight.points(WALL), near)
    assert (found.reshape(3, 8) == [HIDDEN] * 4 + [SEEN] * 4).all()
    _, found = sight.find(sight.points(WALL), holes)
    assert (found.reshape(3, 8) == [SEEN] * 4 + [UNKNOWN] * 4).all()
    _, found = sight.find(sight.points(holes), WALL)
    assert (found.reshape(3, 8) == [SEEN] * 4 + [UNKNOWN] * 4).all()


@pytest.mark.parametrize("robot", ["turtlebot", "rover-fisheye"])
def test_all_cameras_show_the_same_view(robot: str) -> None:
    """Pitch, mount and lens cancel out where robot and goal picture are at one place."""
    camera = load_robot(robot).camera
    sight = Sight(camera, CONFIG)
    depth = np.full((camera.height, camera.width), 3.0, np.float32)
    places, found = sight.find(sight.points(depth), depth)
    seen = found == SEEN
    assert seen.any() and not (found == HIDDEN).any()
    expected = np.stack(np.meshgrid(np.arange(8), [0.5, 2.5, 4.5]), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(places[seen], expected[seen], atol=1e-4)


def test_targets_lie_between_cells() -> None:
    places = torch.tensor([[1.25, 0.5], [2.0, 1.0], [9.0, -1.0]])  # of 3 columns and 2 rows
    targets = sight_targets(places, torch.tensor([1, 0, 1]), columns=3, cells=6)
    expected = [[0, 0.375, 0.125, 0, 0.375, 0.125, 0], [0] * 6 + [1], [0, 0, 1, 0, 0, 0, 0]]
    torch.testing.assert_close(targets, torch.tensor(expected, dtype=torch.float32))


def test_unknown_sights_teach_nothing() -> None:
    logits, places = torch.randn(1, 2, 3, 7), torch.zeros(1, 2, 3, 2)
    found = torch.tensor([[[1, -1, 0], [-1, -1, -1]]])
    loss = sight_loss(logits, places, found, 3)
    shares = logits[0, 0].log_softmax(dim=-1)
    torch.testing.assert_close(loss[0, 0], -(shares[0, 0] + shares[2, 6]) / 2)
    assert loss[0, 1] == 0


def test_cells_tell_how_far_things_are() -> None:
    depth = WALL.copy()
    depth[:48, :64], depth[48:, 64:] = 2.0, 0.0
    cells = Sight(CAMERA, CONFIG).depths(depth).reshape(6, 8)
    np.testing.assert_array_equal(cells, np.block([
        [np.full((3, 4), 2.0), np.full((3, 4), 4.0)], [np.full((3, 4), 4.0), np.full((3, 4), np.nan)],
    ]))


def test_depths_are_judged_by_their_logarithms_where_they_are_known() -> None:
    depth = torch.tensor([[math.e, 1.0, math.nan], [math.nan] * 3])
    loss = depth_loss(torch.tensor([[0.0, 0.5, 9.0], [1.0, 2.0, 3.0]]), depth)
    torch.testing.assert_close(loss, torch.tensor([0.75, 0.0]))


def clips_with(depth: bool, folder: Path) -> ClipMaker:
    with DatasetWriter(folder, 5) as writer:
        for seed in range(2):
            data = made_up_drive(seed, 30, size=(96, 128))
            maps = [encode_depth(np.full((96, 128), 2.0, np.float32))] * 30 if depth else None
            scene = dataclasses.replace(told(seed), scene=f"house:{seed}")
            writer.add(scene, dataclasses.replace(data, depth=maps))
    return ClipMaker(EpisodeDataset(folder), CONFIG, ClipRules())


def test_clips_know_what_they_show_where_there_is_depth(tmp_path: Path) -> None:
    without = clips_with(False, tmp_path / "without")(0, 4, np.random.default_rng(0))
    assert (without.found == UNKNOWN).all()
    make = clips_with(True, tmp_path / "with")
    clips = [make(episode, 4, np.random.default_rng(episode)) for episode in range(2)]
    for clip in clips:
        on_drive = np.stack([pairs.located > 0 for pairs in clip.pairs])
        assert (clip.found[~on_drive] == UNKNOWN).all() and (clip.found[on_drive] == SEEN).any()
    again = mirrored(mirrored(clips[0]))
    np.testing.assert_array_equal(again.found, clips[0].found)
    np.testing.assert_allclose(again.shown, clips[0].shown, atol=1e-5)
    other = mirrored(clips[0])
    np.testing.assert_allclose(other.shown[..., 7, 0], 7 - clips[0].shown[..., 0, 0], atol=1e-5)
    known = np.isfinite(clips[0].depth)
    assert set(np.flatnonzero(known.any(axis=1))) == {0, *range(5, 11)}  # the frame and six goals, none of its past
    np.testing.assert_allclose(clips[0].depth[known], 2.0)
    assert np.isnan(without.depth).all()
    batch = collate(clips, CONFIG)
    assert (batch.found[:, -1] == HIDDEN).all()  # the partner's picture, from another scene
    assert (collate([without, without], CONFIG).found == UNKNOWN).all()


@pytest.mark.parametrize(("task", "place", "since", "told_as"), [
    ("object-goal", (1.5, 0.5), 0, SEEN), ("instruction", (1.5, 0.5), 0, SEEN),
    ("object-goal", (3.0, 0.0), 0, UNKNOWN),  # behind the wall; another one may be before it
    ("object-goal", (1.5, 0.5), 9, HIDDEN), ("instruction", (1.5, 0.5), 9, UNKNOWN),  # not found yet
])
def test_words_name_what_is_seen(
    tmp_path: Path, task: str, place: tuple[float, float], since: int, told_as: int
) -> None:
    data = dataclasses.replace(
        made_up_drive(0, 30, size=(96, 128)), poses=np.zeros((30, 3)),
        labels=Labels(np.tile([*place, 0.0], (30, 1)), np.zeros((30, 8, 3)), np.full(30, 1.6)),
        depth=[encode_depth(np.full((96, 128), 2.0, np.float32))] * 30,
    )
    info = dataclasses.replace(
        told(0), instruction="Go there.", notes={"goal_known_from": since},
        goal={"type": task, "category": "chair", "x": 9.0, "y": 9.0, "radius": 1.0},
    )
    with DatasetWriter(tmp_path / "drive", 5) as writer:
        writer.add(info, data)
    rules = ClipRules(soon=0.0, anywhere=0.0)
    clip = ClipMaker(EpisodeDataset(tmp_path / "drive"), CONFIG, rules)(0, 4, np.random.default_rng(0))
    (row,) = np.flatnonzero(np.isin(clip.pairs[0].kind, (KINDS.index("words"), KINDS.index("object"))))
    assert (clip.found[0, row, : CONFIG.text_tokens] == told_as).all()
    assert (clip.found[0, row, CONFIG.text_tokens :] == UNKNOWN).all()
    if told_as == SEEN:
        ahead = place[0] - load_robot("turtlebot").camera.mount_forward
        column = (63.5 - 64 * place[1] / ahead + 0.5) / 16 - 0.5
        np.testing.assert_allclose(clip.shown[0, row, : CONFIG.text_tokens, 0], column, atol=0.05)
        flipped = mirrored(clip)
        np.testing.assert_allclose(flipped.shown[0, row, : CONFIG.text_tokens, 0], 7 - column, atol=0.05)

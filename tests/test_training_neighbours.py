"""Goals from other drives through the same scene: where they lie by true poses, worked out by hand before a wall."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from drives_on_disk import made_up_drive, told

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_depth
from nav_foundation.data.schema import Labels, Thing
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.config import preset
from nav_foundation.model.goals import KINDS
from nav_foundation.robot import CameraSpec
from nav_foundation.training.clips import Clip, ClipMaker
from nav_foundation.training.drive import Drive
from nav_foundation.training.neighbours import Neighbours
from nav_foundation.training.pairs import ClipRules
from nav_foundation.training.sight import HIDDEN, SEEN, UNKNOWN
from nav_foundation.types import Pose2

CONFIG = preset("nano")
CAMERA = CameraSpec(128, 96, mount_height=0.5, hfov_deg=90.0)
FRAMES = 12


def write(
    folder: Path, truths: list[np.ndarray | None], scenes: list[str] | None = None, things: tuple[Thing, ...] = (),
) -> EpisodeDataset:
    """Drives of robots that stand and believe nothing of it; a wall stands 4 m ahead of each."""
    with DatasetWriter(folder, 5) as writer:
        for number, truth in enumerate(truths):
            info, data = told(0), made_up_drive(number, FRAMES, size=(96, 128))
            assert info.robot is not None
            robot = dataclasses.replace(info.robot, camera=CAMERA)
            believed = np.column_stack([0.1 * np.arange(FRAMES), np.zeros((FRAMES, 2))])
            labels = Labels(believed, np.zeros((FRAMES, 8, 3)), np.zeros(FRAMES), truth)
            depth = [encode_depth(np.full((96, 128), 4.0, np.float32))] * FRAMES
            scene = scenes[number] if scenes else "house:1"
            told_of = dataclasses.replace(info, robot=robot, scene=scene, things=things,
                                          goal={"type": "point-goal", "x": 1.0, "y": 0.0, "radius": 0.5})
            writer.add(told_of, dataclasses.replace(data, poses=believed, depth=depth, labels=labels))
    return EpisodeDataset(folder)


def standing(x: float, y: float, yaw: float = 0.0) -> np.ndarray:
    return np.tile([x, y, 0.0, yaw], (FRAMES, 1))


def elsewhere(clip: Clip) -> np.ndarray:
    """Rows of the first stand's goals that are pictures of other drives."""
    first = 1 + CONFIG.history + ClipRules().goals
    pairs = clip.pairs[0]
    return np.flatnonzero((pairs.kind == KINDS.index("image")) & (pairs.picture >= first))


def test_goals_lie_where_the_other_robot_truly_stood(tmp_path: Path) -> None:
    """One metre to the left in the scene, seen by a robot that looks along the scene's +y."""
    data = write(tmp_path, [standing(5.0, 2.0, math.pi / 2), standing(4.0, 2.0, math.pi / 2)])
    clip = ClipMaker(data, CONFIG, ClipRules())(0, 3, np.random.default_rng(0))
    pairs, rows = clip.pairs[0], elsewhere(clip)
    assert len(rows) == ClipRules().neighbours
    np.testing.assert_allclose(pairs.place[rows], [[0.0, 1.0, 0.0]] * len(rows), atol=1e-6)
    assert (pairs.located[rows] == 1).all() and (clip.found[0, rows] == SEEN).any(axis=1).all()
    assert (pairs.measured[rows] == 1).all() and pairs.distance[rows] == pytest.approx(1.0)
    assert (pairs.judged[rows] == 1).all() and (pairs.arrived[rows] == 0).all() and (pairs.drives[rows] == 0).all()
    columns = clip.shown[0, rows[0]].reshape(3, 8, 2)[1, :, 0]  # all of it lies a metre of four to the left
    seen = clip.found[0, rows[0]].reshape(3, 8)[1] == SEEN
    np.testing.assert_allclose(columns[seen], (np.arange(8) - 1.0)[seen], atol=1e-5)


def test_beside_it_and_facing_as_it_did_one_has_arrived(tmp_path: Path) -> None:
    for number, (truth, arrived) in enumerate((
        (standing(0.2, 0.4), 1), (standing(0.2, 0.4, math.radians(62)), 0), (standing(0.0, 0.9), 0),
    )):
        data = write(tmp_path / str(number), [standing(0.0, 0.0), truth])
        clip = ClipMaker(data, CONFIG, ClipRules())(0, 3, np.random.default_rng(0))
        rows = elsewhere(clip)
        assert len(rows) == ClipRules().neighbours
        assert (clip.pairs[0].judged[rows] == 1).all() and (clip.pairs[0].arrived[rows] == arrived).all()


def test_of_what_is_not_in_view_nothing_is_learnt_but_that(tmp_path: Path) -> None:
    data = write(tmp_path, [standing(0.0, 0.0), standing(-3.0, 0.0, math.pi)])
    clip = ClipMaker(data, CONFIG, ClipRules())(0, 3, np.random.default_rng(0))
    pairs, rows = clip.pairs[0], elsewhere(clip)
    assert len(rows) == ClipRules().neighbours and (clip.found[0, rows] == HIDDEN).all()
    assert (pairs.located[rows] == 0).all() and (pairs.measured[rows] == 0).all()
    assert (pairs.judged[rows] == 1).all() and (pairs.arrived[rows] == 0).all()


def test_truth_is_what_pictures_show_and_odometry_what_the_robot_knows(tmp_path: Path) -> None:
    """It believes to drive 0.1 m a frame, and stands: goals of the drive lie at its own place."""
    clip = ClipMaker(write(tmp_path, [standing(2.0, 1.0)]), CONFIG, ClipRules())(0, 11, np.random.default_rng(3))
    pairs = clip.pairs[0]
    images = pairs.kind == KINDS.index("image")
    assert images.sum() == ClipRules().goals + ClipRules().neighbours and (pairs.place[images] == 0).all()
    robot = told(0).robot
    assert robot is not None
    np.testing.assert_allclose(clip.motion[0, :, 0] * robot.step, -0.2 * np.arange(1, 5), atol=1e-6)


def test_things_are_seen_from_where_the_robot_truly_is(tmp_path: Path) -> None:
    """Whatever its odometry believes, which is a tenth of a metre more in each frame."""
    truth = np.column_stack([np.linspace(1, 2, FRAMES), np.full(FRAMES, 5.0), np.zeros((FRAMES, 2))])
    corners = ((4.0, 4.8), (4.4, 4.8), (4.4, 5.2), (4.0, 5.2))  # in the scene, 3 m ahead of the start
    data = write(tmp_path, [truth], things=(Thing("chair", corners, 0.0, 1.0),))
    info = data.info(0)
    assert info.robot is not None
    drive = Drive(data, 0, info, info.robot, CONFIG)
    assert drive.things.nearest("chair", drive.here(0)) == pytest.approx(3.0)
    assert drive.things.nearest("chair", drive.here(FRAMES - 1)) == pytest.approx(2.0)


def test_neighbours_share_the_scene_and_only_some_may_be_looked_at(tmp_path: Path) -> None:
    data = write(tmp_path / "near", [standing(k, 0.0) for k in range(5)], ["a", "a", "b", "a", "b"])
    rng, here = np.random.default_rng(0), Pose2(0.0, 0.0, 0.0)

    def chosen(
        data: EpisodeDataset, among: Sequence[int], count: int, scene: str = "a", floor: float = 0.0
    ) -> list[int]:
        return [e for e, _ in Neighbours(data, among).choose(count, 0, scene, here, floor, rng)]

    assert set(chosen(data, range(5), 100)) == {1, 3} and set(chosen(data, [0, 3], 20)) == {3}
    assert not chosen(data, [0, 2], 5) and not chosen(data, range(5), 5, floor=2.8)  # the storey above
    assert not chosen(write(tmp_path / "unknown", [None, None]), [0, 1], 5, "house:1")
    far = write(tmp_path / "far", [standing(0.0, 0.0), standing(2.0, 0.0), standing(9.0, 0.0)])
    shares = np.bincount(chosen(far, range(3), 2000, "house:1"))
    assert shares[1] / 2000 == pytest.approx(0.7 + 0.3 / 2, abs=0.04)


def test_places_are_learnt_of_pictures_that_show_something_in_view(tmp_path: Path) -> None:
    """A robot that turns around where it stands: what lies behind it could be anywhere."""
    turning = np.column_stack([np.zeros((FRAMES, 3)), np.linspace(0.0, 3.0, FRAMES)])
    clip = ClipMaker(write(tmp_path, [turning]), CONFIG, ClipRules(goals=40))(0, 0, np.random.default_rng(0))
    pairs = clip.pairs[0]
    images = pairs.kind == KINDS.index("image")
    turned = pairs.place[images, 2]
    assert (pairs.located[images][turned < 0.6] == 1).all() and (turned < 0.6).any()
    assert (pairs.located[images][turned > 1.6] == 0).all() and (turned > 1.6).any()
    assert (pairs.judged[images] == 1).all()


def test_who_has_walked_on_is_not_looked_for(tmp_path: Path) -> None:
    """Another drive saw someone a metre before it, where this one sees the wall: of that nothing is known."""
    data = write(tmp_path, [standing(0.0, 0.0), standing(0.0, 0.2)])
    other = write(tmp_path / "other", [standing(0.0, 0.0), standing(0.0, 0.2)])
    depth = np.full((96, 128), 4.0, np.float32)
    depth[:, 64:] = 1.0
    seen = ClipMaker(data, CONFIG, ClipRules())(0, 3, np.random.default_rng(0))
    real = other.depth

    def depth_of(episode: int, frame: int) -> np.ndarray | None:
        return depth if episode == 1 else real(episode, frame)

    other.depth = depth_of  # type: ignore[method-assign]
    clip = ClipMaker(other, CONFIG, ClipRules())(0, 3, np.random.default_rng(0))
    (row, *_) = elsewhere(clip)
    right = np.arange(24) % 8 >= 4
    assert (clip.found[0, row][right] == UNKNOWN).all()
    np.testing.assert_array_equal(clip.found[0, row][~right], seen.found[0, row][~right])

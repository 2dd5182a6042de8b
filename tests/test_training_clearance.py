"""Which plans touch what depth shows, against walls and posts worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from drives_on_disk import made_up_drive, told

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_depth
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.config import preset
from nav_foundation.model.units import to_metres
from nav_foundation.robot import CameraSpec, load_robot
from nav_foundation.training.augment import mirrored
from nav_foundation.training.clearance import in_the_way, in_view, random_plans, touches, within_reach
from nav_foundation.training.clips import ClipMaker
from nav_foundation.training.pairs import ClipRules
from nav_foundation.training.sight import Sight

CONFIG = preset("nano")
ROBOT = dataclasses.replace(
    load_robot("turtlebot"), camera=CameraSpec(128, 96, mount_height=0.3, mount_forward=0.1, hfov_deg=90.0)
)
RADIUS = ROBOT.footprint.radius


def straight(metres: float, bearing: float = 0.0) -> np.ndarray:
    """[H, 3] waypoints evenly to a place."""
    along = np.linspace(metres / 8, metres, 8)
    return np.column_stack([along * math.cos(bearing), along * math.sin(bearing), np.full(8, bearing)])


def test_depth_of_a_wall_is_a_wall() -> None:
    cloud = Sight(ROBOT.camera, CONFIG).cloud(np.full((96, 128), 0.6, np.float32))
    np.testing.assert_allclose(cloud[:, 0], 0.7)  # the camera sits 0.1 m ahead of the robot's centre
    assert np.abs(cloud[:, 1]).max() == pytest.approx(0.6, abs=0.01)  # 45 degrees to each side
    wall = within_reach(in_the_way(cloud, ROBOT), ROBOT, 8)
    assert len(wall) < len(cloud) and np.abs(wall[:, 0] - 0.7).max() < 0.03
    plans = np.stack([straight(0.3), straight(0.7 - RADIUS + 0.05), straight(0.3, math.pi / 2)])
    assert touches(plans, wall, RADIUS).tolist() == [False, True, False]


def test_the_floor_is_no_obstacle_and_what_hangs_high_is_none() -> None:
    x = np.linspace(0.3, 1.0, 30)
    for height, stands in ((0.0, False), (0.04, False), (0.25, True), (ROBOT.footprint.height + 0.1, False)):
        points = np.column_stack([x, np.zeros(30), np.full(30, height)])
        assert bool(len(in_the_way(points, ROBOT))) == stands


def test_from_a_wall_that_is_touched_one_may_drive_away() -> None:
    wall = np.column_stack([np.full(41, RADIUS - 0.03), np.linspace(-0.4, 0.4, 41)])
    turn = np.column_stack([np.zeros((8, 2)), np.linspace(0.2, 1.6, 8)])
    plans = np.stack([straight(0.1), straight(0.5, math.pi), turn])
    assert touches(plans, wall, RADIUS).tolist() == [True, False, False]


def test_one_thing_that_is_touched_does_not_hide_the_others() -> None:
    wall = np.column_stack([np.full(41, 0.4), np.linspace(-0.4, 0.4, 41)])
    for near in ([0.01, 0.0], [0.0, 0.12]):  # what drift put under the robot; the leg of a table
        things = np.vstack([wall, near])
        assert touches(np.stack([straight(0.25), straight(0.5)]), things, RADIUS).all()


def test_plans_beside_the_view_are_not_judged() -> None:
    half = math.radians(45)
    plans = np.stack([straight(1.0, 0.5), straight(1.0, 1.2), straight(0.2, 3.0)])
    assert in_view(plans, half).tolist() == [True, False, True]
    ahead = straight(0.6, math.radians(40))  # seen from the robot's centre, but not from a camera at its nose
    assert in_view(ahead[None], half).all() and not in_view(ahead[None], half, forward=0.3).any()


def test_depth_that_lacks_where_the_floor_should_be_tells_nothing() -> None:
    sight = Sight(ROBOT.camera, CONFIG)
    floor, sky = np.full((96, 128), 1.0, np.float32), np.full((96, 128), 1.0, np.float32)
    floor[60:], sky[:40] = 0.0, 0.0
    assert sight.is_measured(sky) and not sight.is_measured(floor)


def test_random_plans_are_drives() -> None:
    plans = random_plans(500, 8, ROBOT, np.random.default_rng(0))
    steps = np.diff(plans, axis=1, prepend=0.0)
    length = np.linalg.norm(steps[..., :2], axis=-1)
    assert length.max() <= 1.2 * ROBOT.step + 1e-9 and (length.sum(axis=1) == 0).any()
    assert np.abs(steps[..., 2]).max() <= ROBOT.max_angular_speed / ROBOT.frame_rate
    sideways = np.abs(np.sin(np.arctan2(steps[..., 1], steps[..., 0]) - (plans[..., 2] - 0.5 * steps[..., 2])))
    assert (sideways[length > 1e-6] < 1e-9).all()  # wheels do not slide


def clip_before_a_wall(folder: Path, metres: float | None):  # type: ignore[no-untyped-def]
    data = made_up_drive(1, 30, size=(96, 128))
    depth = None if metres is None else [encode_depth(np.full((96, 128), metres, np.float32))] * 30
    with DatasetWriter(folder, 5) as writer:
        writer.add(dataclasses.replace(told(1), robot=ROBOT), dataclasses.replace(data, depth=depth))
    return ClipMaker(EpisodeDataset(folder), CONFIG, ClipRules(nearest=20.0, farthest=21.0, soon=0.0, anywhere=0.0))(
        0, 29, np.random.default_rng(0)  # at the end of the drive: all pictures are taken there
    )


def test_clips_tell_of_plans_whether_they_touch(tmp_path: Path) -> None:
    clip = clip_before_a_wall(tmp_path / "near", 0.4)
    ahead = to_metres(clip.tried[0], ROBOT.step)[..., 0].max(axis=1)
    known = np.isfinite(clip.touched[0])
    assert known.any() and set(clip.touched[0][known]) == {0.0, 1.0}
    clear = known & (np.abs(ahead - (0.5 - RADIUS)) > 0.04)  # obstacles are told to a few centimetres
    assert clear.sum() > 5
    np.testing.assert_array_equal(clip.touched[0][clear] == 1, ahead[clear] > 0.5 - RADIUS)
    np.testing.assert_allclose(mirrored(mirrored(clip)).tried, clip.tried)
    np.testing.assert_allclose(mirrored(clip).tried[..., 1], -clip.tried[..., 1])
    assert np.isnan(clip_before_a_wall(tmp_path / "unknown", None).touched).all()

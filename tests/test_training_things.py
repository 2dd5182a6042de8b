"""Goals by name that nobody asked for: what a picture shows of things, worked out by hand before a wall."""

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
from nav_foundation.data.schema import EpisodeInfo, Labels, Thing
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.geometry import nearest_on_outline
from nav_foundation.model.config import preset
from nav_foundation.model.goals import KINDS
from nav_foundation.robot import CameraSpec
from nav_foundation.training.clips import Clip, ClipMaker
from nav_foundation.training.pairs import BEFORE, ClipRules
from nav_foundation.training.sight import HIDDEN, SEEN, UNKNOWN, Sight
from nav_foundation.training.things import Things
from nav_foundation.types import Pose2

CONFIG = preset("nano")
CAMERA = CameraSpec(128, 96, mount_height=0.5, hfov_deg=90.0)
SIGHT = Sight(CAMERA, CONFIG)
OPEN = np.full((96, 128), 6.0, np.float32)  # m, a wall across the whole view
ORIGIN = Pose2(0.0, 0.0, 0.0)


def box(category: str, x: float, y: float, half: float = 0.25, top: float = 1.0, bottom: float = 0.0) -> Thing:
    corners = ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half))
    return Thing(category, corners, bottom, top)


def shown(things: Sequence[Thing], depth: np.ndarray = OPEN, here: Pose2 = ORIGIN) -> dict[str, bool]:
    return {s.category: s.shown for s in Things(things).sightings(SIGHT, depth, here)}


def test_what_stands_in_view_is_seen() -> None:
    about = [box("chair", 2.0, 0.0), box("sofa", 2.0, 3.0), box("bed", -2.0, 0.0), box("lamp", 7.0, 0.0)]
    assert shown(about) == {"chair": True, "sofa": False, "bed": False, "lamp": False}  # aside, behind, behind the wall
    assert shown(about, here=Pose2(0.0, 0.0, math.pi / 3))["sofa"]


def test_what_is_hidden_or_small_is_not_seen() -> None:
    wall = OPEN.copy()
    wall[:, :64] = 1.0  # on the left
    assert shown([box("chair", 2.0, 0.6), box("sofa", 2.0, -0.6)], wall) == {"chair": False, "sofa": True}
    cup = box("cup", 4.0, 0.0, half=0.04, top=0.6, bottom=0.5)
    assert shown([cup]) == {"cup": False} and shown([cup], here=Pose2(3.7, 0.0, 0.0)) == {"cup": True}


@pytest.mark.parametrize(("away", "width"), [(0.75, 1.0), (1.5, 2.0), (0.8, 3.0)])
def test_large_things_are_seen_from_near(away: float, width: float) -> None:
    """Of a solid thing nothing but its front is seen."""
    depth = np.full((96, 128), away, np.float32)
    (bed,) = Things([box("bed", away + width / 2, 0.0, half=width / 2)]).sightings(SIGHT, depth, ORIGIN)
    assert bed.shown and bed.x == pytest.approx(away)


def test_of_what_was_not_measured_nothing_is_known() -> None:
    holes = OPEN.copy()
    holes[:, 48:80] = 0.0
    assert [s[1:3] for s in Things([box("chair", 2.0, 0.0)]).sightings(SIGHT, holes, ORIGIN)] == [(False, False)]


def test_what_hangs_overhead_is_no_goal_and_other_storeys_do_not_count() -> None:
    above, below = box("lamp", 2.0, 0.0, bottom=1.7, top=2.3), box("chair", 2.0, 0.0, bottom=-3.0, top=-2.0)
    assert shown([above], np.full((96, 128), 9.0, np.float32), Pose2(-2.0, 0.0, 0.0)) == {"lamp": False}
    assert not Things([below]).sightings(SIGHT, OPEN, ORIGIN) and Things([below]).nearest("chair", ORIGIN) is None
    assert Things([below], floor=-3.0).nearest("chair", ORIGIN) == pytest.approx(1.75)


def test_nothing_shines_through_a_wall() -> None:
    about = Things([box("shower", 6.5, 0.0, half=0.1, top=2.0), box("sofa", 5.8, 1.0, half=0.2)])
    told_of = {s.category: (s.shown, s.hidden) for s in about.sightings(SIGHT, OPEN, ORIGIN)}
    assert told_of == {"shower": (False, False), "sofa": (True, False)}  # the pose may be off by that much


def test_what_is_small_is_neither_shown_nor_hidden() -> None:
    wall = OPEN.copy()
    wall[:, 12:] = 1.0  # all but what lies more than 39 degrees to the left
    about = Things([box("table", 2.0, 1.6, half=0.8), box("chair", 2.0, 0.0), box("cup", 3.0, 2.7, half=0.04, top=0.1)])
    told_of = {s.category: (s.shown, s.hidden) for s in about.sightings(SIGHT, wall, ORIGIN)}
    assert told_of == {"table": (True, False), "chair": (False, True), "cup": (False, False)}


def test_the_nearest_one_in_view_is_meant() -> None:
    about = Things([box("chair", 3.0, 0.0), box("chair", 2.0, 0.0), box("chair", -1.0, 0.0)])
    (chair,) = about.sightings(SIGHT, OPEN, ORIGIN)
    assert chair.shown and (chair.x, chair.y) == pytest.approx((1.75, 0.0)) and chair.nearest == pytest.approx(0.75)
    assert about.nearest("chair", ORIGIN) == pytest.approx(0.75) and about.nearest("sofa", ORIGIN) is None


@pytest.mark.parametrize(("point", "place"), [((2, 0.5), (1, 0.5)), ((0.5, 0.2), (0.5, 0.2)), ((-3, 5), (0, 1))])
def test_places_of_an_outline(point: tuple[float, float], place: tuple[float, float]) -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    np.testing.assert_allclose(nearest_on_outline(np.array(point, float), square), place, atol=1e-12)


def in_scene(thing: Thing) -> Thing:
    corners = tuple((x + 7.0, y + 3.0) for x, y in thing.outline)
    return Thing(thing.category, corners, thing.bottom + 1.5, thing.top + 1.5)


def clip_of(
    folder: Path, things: Sequence[Thing] | None, task: str = "point-goal", shown: float = 1.0, left: float = 0.3,
) -> Clip:
    """Of a robot that turns by a degree a frame at the origin, looking at a wall."""
    info, data = told(0), made_up_drive(0, 20, size=(96, 128))
    poses = np.column_stack([np.zeros((20, 2)), np.radians(np.arange(20.0))])
    goal = {"type": task, "x": 2.0, "y": 0.0, "radius": 1.0, "category": "chair"}
    robot = dataclasses.replace(info.robot, camera=CAMERA) if info.robot else None
    there = None if things is None else tuple(map(in_scene, things))
    info = dataclasses.replace(info, robot=robot, goal=goal, things=there)
    truth = np.column_stack([poses[:, :2] + (7.0, 3.0), np.full(20, 1.5), poses[:, 2]])  # of a scene's upper floor
    labels = Labels(np.tile([2.0, 0.0, 0.0], (20, 1)), np.zeros((20, 8, 3)), np.full(20, left), truth)
    depth = [encode_depth(OPEN)] * 20
    with DatasetWriter(folder, 5) as writer:
        writer.add(info, dataclasses.replace(data, poses=poses, depth=depth, labels=labels))
    return ClipMaker(EpisodeDataset(folder), CONFIG, ClipRules(shown=shown))(0, 5, np.random.default_rng(0))


def objects(clip: Clip) -> np.ndarray:
    return np.flatnonzero(clip.pairs[0].kind == KINDS.index("object"))


def test_things_are_goals(tmp_path: Path) -> None:
    clip = clip_of(tmp_path, [box("chair", 2.0, 0.0), box("sofa", -2.0, 0.0)])
    pairs, asked, robot = clip.pairs[0], objects(clip), told(0).robot
    assert robot is not None and [pairs.words[k] for k in asked] == ["chair"] * ClipRules().things
    before = 1.75 - robot.footprint.radius - BEFORE
    for k in asked:
        away, bearing = np.hypot(*pairs.place[k, :2]), np.arctan2(*pairs.place[k, 1::-1])
        assert away == pytest.approx(before, abs=0.02) and np.degrees(bearing) == pytest.approx(-5, abs=1)
        assert pairs.distance[k] == pytest.approx(away) and pairs.measured[k] == pairs.located[k] == 1
        assert pairs.judged[k] == 1 and pairs.arrived[k] == 0 and pairs.drives[k] == 0
        assert (clip.found[0, k, : CONFIG.text_tokens] == SEEN).all()


def test_what_is_not_in_view_is_nowhere(tmp_path: Path) -> None:
    clip = clip_of(tmp_path, [box("chair", 2.0, 0.0), box("sofa", -2.0, 0.0), box("bed", -0.8, 0.0)], shown=0.0)
    pairs, asked = clip.pairs[0], objects(clip)
    assert len(asked) == ClipRules().things and {pairs.words[k] for k in asked} <= {"sofa", "bed"}
    assert (pairs.located[asked] == 0).all() and (pairs.measured[asked] == 0).all()
    for k in asked:  # who stands beside a bed behind him has perhaps arrived
        assert pairs.judged[k] == (pairs.words[k] == "sofa") and pairs.arrived[k] == 0
        assert (clip.found[0, k, : CONFIG.text_tokens] == HIDDEN).all()


def test_of_drives_that_tell_of_no_things_nothing_is_asked(tmp_path: Path) -> None:
    clip = clip_of(tmp_path, None)
    assert not len(objects(clip)) and (clip.found[0][clip.pairs[0].kind != KINDS.index("image")] == UNKNOWN).all()


def test_one_has_arrived_at_the_thing_itself(tmp_path: Path) -> None:
    """The expert's way ends anywhere near it: what is left of that says less than how far it is."""
    for number, (x, left, arrived) in enumerate(((1.2, 0.3, False), (0.9, 0.3, True), (0.9, 3.0, False))):
        clip = clip_of(tmp_path / str(number), [box("chair", x, 0.0)], "object-goal", left=left)
        asked = objects(clip)
        assert len(asked) == 1 + ClipRules().things
        assert clip.pairs[0].arrived[asked[0]] == arrived  # what was asked for; the way to it may lead around a wall
        assert (clip.pairs[0].arrived[asked[1:]] == (x < 1.0)).all()


def test_what_is_near_and_out_of_view_is_not_what_is_in_view(tmp_path: Path) -> None:
    """One chair 4 m ahead and one behind the robot's back: whether it has arrived is not known."""
    clip = clip_of(tmp_path, [box("chair", 4.0, 0.0), box("chair", -0.8, 0.0)])
    pairs, asked = clip.pairs[0], objects(clip)
    assert len(asked) == ClipRules().things and (pairs.located[asked] == 1).all()
    assert (pairs.distance[asked] > 3).all() and (pairs.judged[asked] == 0).all()


def test_things_are_kept_on_disk(tmp_path: Path) -> None:
    info = dataclasses.replace(told(0), things=(box("chair", 2.0, 0.0),))
    assert EpisodeInfo.from_json(info.as_json(), "here").things == info.things

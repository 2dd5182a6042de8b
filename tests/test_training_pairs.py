"""What training is told: labels worked out by hand, mirrors that undo themselves, masks that mask."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from drives_on_disk import picture, told

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_jpeg
from nav_foundation.data.schema import EpisodeData, Labels
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.config import preset
from nav_foundation.model.goals import KINDS
from nav_foundation.model.network import NavigationModel
from nav_foundation.robot import load_robot
from nav_foundation.training.augment import mirrored, relit
from nav_foundation.training.batch import Batch, collate
from nav_foundation.training.clips import Clip, ClipMaker
from nav_foundation.training.forward import PARTS, frames_of, losses_of, readouts_of
from nav_foundation.training.losses import distance_targets, flow_pair, place_targets
from nav_foundation.training.pairs import ClipRules

CONFIG = preset("tiny")
STEP = load_robot("turtlebot").step
RULES = ClipRules(soon=0.0, anywhere=0.0, forgotten=0.0)


def corner_drive(labels: bool, driver: str = "expert", task: str = "instruction") -> tuple:
    """20 frames straight on, then 20 to the left; a step of 0.1 m each."""
    rng = np.random.default_rng(3)
    x = np.concatenate([0.1 * np.arange(20), np.full(20, 1.9)])
    y = np.concatenate([np.zeros(20), 0.1 * np.arange(1, 21)])
    poses = np.column_stack([x, y, np.where(np.arange(40) < 20, 0.0, np.pi / 2)])
    plans = np.tile(np.column_stack([0.1 * np.arange(1, 9), np.zeros(8), np.zeros(8)]), (40, 1, 1))
    data = EpisodeData(
        [encode_jpeg(picture(rng, 96, 128)) for _ in range(40)], np.arange(40, dtype=np.int64) * 200_000_000, poses,
        labels=Labels(poses, plans, 3.9 - 0.1 * np.arange(40)) if labels else None,
    )
    info = dataclasses.replace(
        told(0), driver=driver, instruction="Turn left, then stop.", scene=f"house:{driver}{task}",
        goal={"type": task, "x": 1.9, "y": 2.0, "yaw": 1.57, "radius": 1.0, "category": "chair"},
    )
    return info, data


def maker(folder: Path, *drives: tuple, rules: ClipRules = RULES) -> ClipMaker:
    with DatasetWriter(folder, 5) as writer:
        for drive in drives:
            writer.add(*drive)
    return ClipMaker(EpisodeDataset(folder), CONFIG, rules)


def rows(clip: Clip, kind: str) -> np.ndarray:
    return np.flatnonzero(clip.pairs[0].kind == KINDS.index(kind))


def test_goals_ahead_are_as_far_as_the_drive_to_them(tmp_path: Path) -> None:
    rules = ClipRules(goals=50, soon=0.0, anywhere=0.0, behind=0.0, farthest=3.0, place_noise=0.0)
    make = maker(tmp_path, corner_drive(False), rules=rules)
    clip = make(0, 5, np.random.default_rng(0))
    pairs = clip.pairs[0]
    images, (first, *_), = rows(clip, "image"), rows(clip, "point")
    assert (pairs.measured[images] == 1).all() and (pairs.drives[images] == 1).all()
    assert pairs.distance[images].min() >= 0.3 and pairs.distance[images].max() <= 3.4
    place, distance = pairs.place[first], pairs.distance[first]
    ahead, left = min(distance, 1.4), max(distance - 1.4, 0.0)
    np.testing.assert_allclose(place[:2], [ahead, left], atol=1e-6)  # seen from (0.5, 0)
    for k in images:
        near = pairs.distance[k] < 0.75 and pairs.place[first, 2] >= 0
        turned = pairs.distance[k] > 1.45
        assert pairs.arrived[k] == (near and not turned)
    # the way: 0.1 m a frame, which is a share of the robot's step, until the goal or the corner
    way = pairs.waypoints[images[0]]
    reach = np.minimum(np.arange(1, 9) * 0.1, pairs.distance[images[0]])
    np.testing.assert_allclose(way[:, 0], reach / (STEP * np.arange(1, 9)), atol=1e-6)


def test_goals_soon_are_so_whatever_was_driven(tmp_path: Path) -> None:
    info, data = corner_drive(False)
    poses = data.poses.copy()
    poses[:, :2], poses[:, 2] = 0.0, np.linspace(0, 2, 40)  # turns on the spot
    rules = ClipRules(goals=30, soon=1.0, anywhere=0.0, seconds=3.0, forgotten=1.0)
    make = maker(tmp_path, (info, dataclasses.replace(data, poses=poses)), rules=rules)
    clip = make(0, 10, np.random.default_rng(0))
    images = rows(clip, "image")
    turned = clip.pairs[0].place[images, 2]  # rad, of 2 / 39 each frame
    assert (clip.pairs[0].distance[images] == 0).all() and turned.min() > 0
    assert turned.max() <= 15 * 2 / 39 + 1e-6 and len(set(turned.round(4))) > 8
    assert not clip.past.any()


def test_goals_behind_have_a_distance_and_no_way(tmp_path: Path) -> None:
    rules = ClipRules(behind=1.0, soon=0.0, anywhere=0.0)
    clip = maker(tmp_path, corner_drive(False), rules=rules)(0, 30, np.random.default_rng(0))
    images = rows(clip, "image")
    assert (clip.pairs[0].drives[images] == 0).all() and (clip.pairs[0].measured[images] == 1).all()


def test_goals_are_anywhere_on_the_drive_and_round_about_no_distance_is_known(tmp_path: Path) -> None:
    """A drive around a square, back to where it began: there the way along it says nothing."""
    info, data = corner_drive(False)
    sides = np.repeat([0.0, 0.5 * np.pi, np.pi, -0.5 * np.pi], 10)
    xy = np.cumsum(0.1 * np.column_stack([np.cos(sides), np.sin(sides)]), axis=0) - (0.1, 0.0)
    poses = np.column_stack([xy, sides])
    labels = Labels(poses, np.zeros((40, 8, 3)), np.zeros(40), np.insert(poses, 2, 0.0, axis=1))
    around = dataclasses.replace(data, poses=poses, labels=labels)
    rules = ClipRules(goals=200, anywhere=1.0, place_noise=0.0)
    pairs = maker(tmp_path, (info, around), rules=rules)(0, 2, np.random.default_rng(0)).pairs[0]
    images = np.flatnonzero(pairs.kind == KINDS.index("image"))
    along = (np.round(np.arange(40) * 0.1, 6) - 0.2)[:, None]
    frames = np.array([np.linalg.norm(xy - xy[2] - place, axis=1).argmin() for place in pairs.place[images, :2]])
    assert set(frames) == set(range(40))
    straight = np.linalg.norm(pairs.place[images, :2], axis=1)
    known = np.abs(along[frames, 0]) < 2 * straight + 1
    assert (pairs.measured[images] == known).all() and 10 < known.sum() < len(images) - 10
    assert (pairs.drives[images] == (known & (frames >= 2))).all()  # nobody drives a loop to what lies behind
    np.testing.assert_allclose(pairs.distance[images][known], np.abs(along[frames, 0])[known], atol=1e-6)
    assert (pairs.arrived[images] == (straight < 0.75) & (sides[frames] == 0)).all()  # whichever way it came


def test_the_experts_plan_is_learnt_where_it_does_not_pass_the_goal(tmp_path: Path) -> None:
    rules = ClipRules(goals=40, soon=0.0, anywhere=0.0, behind=0.0, nearest=0.2, farthest=1.3)
    clip = maker(tmp_path, corner_drive(True), rules=rules)(0, 0, np.random.default_rng(0))
    far = [k for k in rows(clip, "image") if clip.pairs[0].distance[k] > 0.81]
    near = [k for k in rows(clip, "image") if clip.pairs[0].distance[k] < 0.5]
    assert far and near
    for k in far:
        np.testing.assert_allclose(clip.pairs[0].waypoints[k, :, 0], 0.1 / STEP, atol=1e-6)
    for k in near:
        assert clip.pairs[0].waypoints[k, -1, 0] * 8 * STEP == pytest.approx(clip.pairs[0].distance[k], abs=1e-5)


def test_of_a_policys_drive_only_the_labels_are_learnt(tmp_path: Path) -> None:
    clip = maker(tmp_path, corner_drive(True, "policy"))(0, 3, np.random.default_rng(0))
    pairs, images, words, (headed_for, other) = clip.pairs[0], *(rows(clip, k) for k in ("image", "words", "point"))
    for weights in (pairs.drives, pairs.measured, pairs.judged):
        assert (weights[[*images, other]] == 0).all()
        assert (weights[words] == (12 if weights is pairs.drives else 3)).all()  # three times as what was asked for
    assert pairs.distance[words] == pytest.approx(3.6) and len(rows(clip, "route")) == 0
    np.testing.assert_allclose(pairs.place[headed_for, :2], 0.0, atol=1e-6)  # in this drive's labels, where it is
    assert pairs.drives[headed_for] == 4 and pairs.measured[headed_for] == 0


def test_a_policys_drive_without_labels_teaches_no_way(tmp_path: Path) -> None:
    """As a robot records it: it would only learn to do again what it did."""
    pairs = maker(tmp_path, corner_drive(False, "policy"))(0, 3, np.random.default_rng(0)).pairs[0]
    assert not pairs.drives.any()
    assert not pairs.measured.any()


def test_waiting_for_someone_is_learnt_little(tmp_path: Path) -> None:
    info, data = corner_drive(True)
    assert data.labels is not None
    data.labels.plans[[3, 39]] = 0.0  # someone in its way; and at the end
    make = maker(tmp_path, (info, data))
    for frame, weight in ((2, 1.0), (3, 0.1), (39, 1.0)):
        pairs = make(0, frame, np.random.default_rng(0)).pairs[0]
        assert pairs.drives[np.flatnonzero(pairs.kind == KINDS.index("words"))] == pytest.approx(3 * weight)


@pytest.mark.parametrize(("task", "kind"), [("instruction", "words"), ("object-goal", "object")])
def test_where_what_was_asked_for_lies_is_learnt_once_it_was_in_view(tmp_path: Path, task: str, kind: str) -> None:
    info, data = corner_drive(True, task=task)
    assert data.labels is not None
    data = dataclasses.replace(data, labels=dataclasses.replace(data.labels, goals=np.tile([1.9, 2.0, 0.0], (40, 1))))
    info = dataclasses.replace(info, goal={**(info.goal or {}), "x": -3.0})  # another one of its kind
    make = maker(tmp_path, (dataclasses.replace(info, notes={"goal_known_from": 10}), data))
    for frame, known in ((9, 0.0), (10, 3.0)):
        clip = make(0, frame, np.random.default_rng(0))
        (row,) = rows(clip, kind)
        assert clip.pairs[0].located[row] == known and clip.pairs[0].measured[row] == known
    bearing = np.arctan2(2.0, 0.9)  # from (1, 0) to (1.9, 2), and facing it
    np.testing.assert_allclose(clip.pairs[0].place[row], [0.9, 2.0, bearing], atol=1e-6)
    assert (clip.found[:, row] == -1).all()  # what words show is not told


def test_far_places_are_told_with_an_error_and_reached_from_afar(tmp_path: Path) -> None:
    rules = dataclasses.replace(RULES, far=400)
    pairs = maker(tmp_path, corner_drive(True), rules=rules)(0, 0, np.random.default_rng(0)).pairs[0]
    told_far = np.flatnonzero(pairs.kind == KINDS.index("far"))
    end = [k for k in told_far if pairs.distance[k] > 3.89]  # the end of the drive, where most of them lie
    assert len(told_far) == 400 and len(end) > 300
    off = (pairs.place[end, :2] - (1.9, 2.0)) / pairs.spread[end, None]
    assert abs(off.mean()) < 0.1 and off.std() == pytest.approx(1.0, abs=0.1)
    assert pairs.spread[told_far].min() >= 0.5 and pairs.spread[told_far].max() <= 3.0
    assert (pairs.arrived[told_far] == 1).all()  # all of the drive lies within five metres
    assert (maker(tmp_path / "none", corner_drive(True))(0, 0, np.random.default_rng(0)).pairs[0].spread == 0).all()


def test_route_commands_name_the_turn_ahead(tmp_path: Path) -> None:
    make = maker(tmp_path, corner_drive(False))
    clip = make(0, 2, np.random.default_rng(0))
    assert clip.pairs[0].route[rows(clip, "route")] == 1  # left
    assert len(rows(make(0, 30, np.random.default_rng(0)), "route")) == 0  # the drive ends before


def test_the_past_is_where_the_robot_was(tmp_path: Path) -> None:
    clip = maker(tmp_path, corner_drive(False))(0, 21, np.random.default_rng(0))
    every = 2  # frames in 0.4 s
    assert clip.past[0].all() and clip.pictures.shape[1:] == (48, 64, 3)
    # at (1.9, 0.2) looking along +y; the frames before lie behind, those before the corner behind to the left
    np.testing.assert_allclose(clip.motion[0, 0], [-2 * 0.1 / STEP, 0.0, -1.0, 0.0, 0.4], atol=1e-5)
    np.testing.assert_allclose(clip.motion[0, 3, :2], [-0.2 / STEP, 0.1 * (6 * every // 2) / STEP], atol=0.11 / STEP)
    early = maker(tmp_path / "b", corner_drive(False))(0, 3, np.random.default_rng(0))
    assert early.past[0].tolist() == [True, False, False, False]


@pytest.mark.parametrize("task", ["instruction", "object-goal", "point-goal"])
def test_mirrors_undo_themselves_and_swap_sides(tmp_path: Path, task: str) -> None:
    clip = maker(tmp_path, corner_drive(True, task=task))(0, 5, np.random.default_rng(1))
    other = mirrored(clip)
    again = mirrored(other)
    for field in dataclasses.fields(clip.pairs[0]):
        np.testing.assert_array_equal(getattr(again.pairs[0], field.name), getattr(clip.pairs[0], field.name))
    np.testing.assert_array_equal(again.pictures, clip.pictures)
    np.testing.assert_array_equal(again.motion, clip.motion)
    np.testing.assert_array_equal(other.pictures[0], clip.pictures[0][:, ::-1])
    np.testing.assert_array_equal(other.pairs[0].place[:, 1], -clip.pairs[0].place[:, 1])
    assert {t.replace("left", "right") for t in clip.pairs[0].words} == set(other.pairs[0].words)
    if len(rows(clip, "route")):
        assert clip.pairs[0].route[rows(clip, "route")] == 1 and other.pairs[0].route[rows(clip, "route")] == 2


def batch_of(tmp_path: Path) -> Batch:
    make = maker(tmp_path, corner_drive(True), corner_drive(True, "policy"), corner_drive(True, task="object-goal"))
    return collate([make(e, 4 + 3 * e, np.random.default_rng(e)) for e in range(3)], CONFIG)


def test_a_batch_points_at_its_pictures(tmp_path: Path) -> None:
    batch = batch_of(tmp_path)
    per_clip = 1 + CONFIG.history + ClipRules().goals + ClipRules().neighbours
    stands = 1 + ClipRules().stands
    assert len(batch.pictures) == 3 * per_clip and len(batch.current) == 3 * stands
    assert batch.current[::stands].tolist() == [0, per_clip, 2 * per_clip]
    clip = torch.arange(3).repeat_interleave(stands)
    assert (batch.current // per_clip == clip).all()
    image = batch.kind == KINDS.index("image")
    assert not (batch.picture == batch.current[:, None])[:, :-1][image[:, :-1]].any()  # none to where it stands
    own = batch.picture // per_clip == clip[:, None]
    assert own[:, :-1][image[:, :-1]].all()  # goals of the clip itself ...
    assert not own[:6, -1].any() and batch.unreachable[:6, -1].all()  # ... and the partner's
    assert not batch.unreachable[6:].any() and not batch.unreachable[:, :-1].any()  # the third one has no partner
    assert (batch.arrived[:, -1] == 0).all() and (batch.drives[:, -1] == 0).all()
    assert batch.judged[:, -1].tolist() == batch.measured[:, -1].tolist() == [1] * 6 + [0] * 3


def test_pasts_that_are_left_out_are_not_encoded(tmp_path: Path) -> None:
    batch = batch_of(tmp_path)
    assert set(range(len(batch.pictures))) - set(batch.needed.tolist()) == set(batch.past.flatten().tolist()) - set(
        batch.past[batch.past_seen].tolist())
    unseen = dataclasses.replace(batch, past_seen=torch.zeros_like(batch.past_seen))
    model = NavigationModel(CONFIG).eval()
    counts: list[int] = []
    model.encoder.register_forward_hook(lambda _, inputs, __: counts.append(len(inputs[0])))
    with torch.no_grad():
        whole = frames_of(model, batch).tokens[unseen.needed]
        torch.testing.assert_close(frames_of(model, unseen).tokens[unseen.needed], whole)
    assert counts == [len(batch.needed), len(batch.pictures) - 3 * CONFIG.history]


def test_stands_ahead_see_the_same_drive_from_there(tmp_path: Path) -> None:
    rules = ClipRules(soon=0.0, anywhere=0.0, behind=0.0, nearest=0.3, farthest=1.5, place_noise=0.0)
    clip = maker(tmp_path, corner_drive(False), rules=rules)(0, 2, np.random.default_rng(0))
    assert len(clip.pairs) == len(clip.stands) == 3 and not clip.past[1:].any()
    first = clip.pairs[0]
    along = {int(p): float(d) for p, d in zip(first.picture, first.distance) if p}  # m from the first stand, by picture
    for stand, pairs in zip(clip.stands[1:], clip.pairs[1:]):
        images = np.flatnonzero(pairs.kind == KINDS.index("image"))
        assert stand not in pairs.picture[images] and 0 in pairs.picture[images]  # the way back is among the goals
        for k in images:
            there = along.get(int(pairs.picture[k]), 0.0)
            assert pairs.distance[k] == pytest.approx(abs(there - along[int(stand)]), abs=1e-5)
            assert pairs.drives[k] == (there >= along[int(stand)])


def test_pictures_of_the_same_scene_are_no_negatives(tmp_path: Path) -> None:
    make = maker(tmp_path, corner_drive(True), corner_drive(True))
    batch = collate([make(e, 4, np.random.default_rng(e)) for e in range(2)], CONFIG)
    assert not batch.unreachable.any() and (batch.measured[:, -1] == 0).all() and (batch.judged[:, -1] == 0).all()


def test_what_is_not_known_teaches_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, batch = NavigationModel(CONFIG).eval(), batch_of(tmp_path)

    def losses(of: Batch) -> torch.Tensor:
        with torch.no_grad():
            frames = frames_of(model, of)
            return losses_of(model, of, frames, readouts_of(model, of, frames)).total(PARTS)

    lies = dataclasses.replace(
        batch, waypoints=torch.where(batch.drives[..., None, None] > 0, batch.waypoints, torch.tensor(77.0)),
        distance=torch.where(batch.measured > 0, batch.distance, torch.tensor(7.7)),
        arrived=torch.where(batch.judged > 0, batch.arrived, torch.tensor(1.0)),
        place=torch.where(((batch.located > 0) | (batch.kind == KINDS.index("point")))[..., None], batch.place, 7.0),
    )
    assert not torch.equal(lies.waypoints, batch.waypoints)
    torch.testing.assert_close(losses(lies), losses(batch))


def test_distance_targets_by_hand() -> None:
    edges = torch.tensor([1.0, 2.0, 4.0])  # middles 0.5, 1.5, 3
    distance = torch.tensor([0.1, 1.0, 2.0, 3.5, 9.0, 1.0])
    unreachable = torch.tensor([False] * 5 + [True])
    expected = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 2 / 3, 1 / 3, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    torch.testing.assert_close(distance_targets(distance, unreachable, edges), torch.tensor(expected))


def test_place_targets_by_hand() -> None:
    places = torch.tensor([[0.0, 2.0, 0.0], [-1.0, 0.0, torch.pi / 2]])
    expected = [[np.log(3.0), 0.0, 1.0, 1.0, 0.0], [np.log(2.0), -1.0, 0.0, 0.0, 1.0]]
    torch.testing.assert_close(place_targets(places), torch.tensor(expected, dtype=torch.float32))


def test_flow_lines_are_straight() -> None:
    plans, noise = torch.ones(2, 8, 4), torch.full((2, 8, 4), 3.0)
    noisy, slope = flow_pair(plans, noise, torch.tensor([0.0, 0.5]))
    assert (noisy[0] == 1).all() and (noisy[1] == 2).all() and (slope == 2).all()


def test_other_light_changes_pictures_and_keeps_their_order() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (6, 12, 16, 3), dtype=np.uint8)
    lit = relit(pictures, np.random.default_rng(0))
    assert np.abs(lit.astype(int) - pictures).mean(axis=(1, 2, 3)).min() > 2
    order = np.argsort(pictures[0, ..., 1], axis=None)
    assert (np.diff(lit[0, ..., 1].ravel()[order].astype(int)) >= 0).all()  # what was brighter is not darker now
    np.testing.assert_array_equal(relit(pictures, np.random.default_rng(0)), lit)
    np.testing.assert_array_equal(relit(pictures, np.random.default_rng(0), strength=0.0), pictures)


@pytest.mark.slow
def test_a_tiny_batch_is_learnt_by_heart(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, batch = NavigationModel(CONFIG), batch_of(tmp_path)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    history = []
    for _ in range(150):
        frames = frames_of(model, batch)
        found = losses_of(model, batch, frames, readouts_of(model, batch, frames)).total(PARTS)
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        history.append(float(found.detach()))
    assert np.mean(history[-10:]) < 0.25 * history[0]

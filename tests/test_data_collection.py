"""Collecting: the same dataset whoever works, whatever is killed, and labels of the expert whoever drives."""

from __future__ import annotations

import base64
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from walled_room import write_walled_room

from nav_foundation.cli import main
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode
from nav_foundation.data.schema import DataError
from nav_foundation.geometry import nearest_on_outline
from nav_foundation.robot import load_robot
from sim_envs.collection.collect import NOTES, collect, groups_of, in_order
from sim_envs.collection.drives import Collector, scene_at, scenes_of
from sim_envs.collection.settings import CollectSettings
from sim_envs.scenes.splits import split_of
from sim_envs.tasks.episode import EpisodeError
from sim_envs.workers import WorkerError, run_jobs

EPISODES = 6


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_walled_room(tmp_path_factory.mktemp("scene") / "room.obj")


def in_room(room: Path, **changes: Any) -> CollectSettings:
    fields: dict[str, Any] = {
        "scenes": str(room), "tasks": ("point-goal", "image-goal"), "episodes": EPISODES, "people": (0, 1),
    }
    return CollectSettings(**{**fields, **changes})


@pytest.fixture(scope="module")
def reference(room: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one worker makes without a break."""
    folder = tmp_path_factory.mktemp("reference") / "drives"
    collect(in_room(room), folder, 1, progress=False)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# --- processes ----------------------------------------------------------------------------------------------------


def make_mortal(folder: str, deaths: int) -> Any:
    """A job whose number 3 kills its process so many times; it notes when each job began and ended."""

    def job(number: int) -> int:
        mark = Path(folder) / f"died{len(list(Path(folder).glob('died*')))}"
        if number == 3 and len(list(Path(folder).glob("died*"))) < deaths:
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 0:
            time.sleep(1.0)
        (Path(folder) / f"done{number}").write_text(str(time.monotonic()))
        return number * number

    return job


def test_a_job_whose_process_dies_is_tried_again_and_nothing_is_done_twice(tmp_path: Path) -> None:
    results = list(run_jobs(make_mortal, (str(tmp_path), 2), [[1, 2, 3, 4], [5]], 2, retries=2))
    assert sorted(results) == [(k, k * k) for k in range(1, 6)]


def test_a_job_that_always_dies_is_reported(tmp_path: Path) -> None:
    done = []
    with pytest.raises(WorkerError, match=r"episode 3 was killed by SIGKILL.*3 times"):
        done += run_jobs(make_mortal, (str(tmp_path), 99), [[2, 3]], 1, retries=2)


def test_work_waits_for_the_slowest_so_that_results_do_not_pile_up(tmp_path: Path) -> None:
    list(run_jobs(make_mortal, (str(tmp_path), 0), [[k] for k in range(6)], 2, ahead=3))
    finished = [float((tmp_path / f"done{k}").read_text()) for k in range(6)]
    assert max(finished[1:3]) < finished[0] < min(finished[3:])


@given(st.sets(st.integers(0, 60)), st.randoms(use_true_random=False))
def test_results_are_put_in_order(numbers: set[int], shuffle: random.Random) -> None:
    ordered = sorted(numbers)
    mixed = list(ordered)
    shuffle.shuffle(mixed)
    assert list(in_order(((k, -k) for k in mixed), ordered)) == [(k, -k) for k in ordered]


# --- the dataset --------------------------------------------------------------------------------------------------


def test_the_dataset_is_the_same_for_two_workers(room: Path, reference: Path, tmp_path: Path) -> None:
    collect(in_room(room), tmp_path / "two", 2, progress=False)
    assert content(tmp_path / "two") == content(reference)


def test_a_larger_collection_begins_with_the_smaller_one(room: Path, reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "grows"
    assert collect(in_room(room, episodes=2), folder, 1, progress=False).new_frames > 0
    assert EpisodeDataset(folder).episodes == 2
    grown = collect(in_room(room), folder, 1, progress=False)
    assert logical(folder) == logical(reference)
    again = collect(in_room(room), folder, 1, progress=False)
    assert again.new_frames == 0 < grown.new_frames and logical(folder) == logical(reference)


def logical(folder: Path) -> list[Any]:
    """All that a reader gets of a dataset."""
    data = EpisodeDataset(folder)
    assert not data.damaged
    found = []
    for e in range(data.episodes):
        labels = data.labels(e)
        found.append((
            data.info(e).as_json(), data.poses(e).tolist(), data.actions(e).tolist(), data.stamps_ns(e).tolist(),
            [data.image_file(e, t) for t in range(int(data.lengths[e]))],
            labels and (labels.goals.tolist(), labels.plans.tolist(), labels.distances.tolist()),
        ))
    return found


def test_a_drive_is_whole_and_says_what_it_is(reference: Path) -> None:
    data = EpisodeDataset(reference)
    assert data.episodes == EPISODES and data.frame_rate == 5.0
    for e in range(EPISODES):
        info, labels, poses, stamps = data.info(e), data.labels(e), data.poses(e), data.stamps_ns(e)
        assert info.robot is not None and info.goal is not None and info.notes is not None and labels is not None
        assert info.driver == "expert" and info.notes["index"] == e and info.scene.endswith("room.obj")
        assert info.goal["type"] == ("point-goal", "image-goal")[e % 2] and len(labels.distances) == len(poses) > 5
        assert data.image(e, 0).shape == (info.robot.camera.height, info.robot.camera.width, 3)
        periods = np.diff(stamps) / 1e9
        assert 0.05 < periods[0] <= 0.25  # nothing was exposed before the start, however late frames are
        np.testing.assert_allclose(periods[1:], 0.2, atol=0.06)  # 5 Hz, exposed a tick earlier or later
        assert np.hypot(*poses[0, :2]) < 0.1  # the odometry frame begins where the robot does
        speed = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1).max() * 5.0
        assert speed <= 1.2 * info.robot.max_speed
        if info.goal["type"] == "image-goal":
            assert decode(base64.b64decode(info.goal["image"])).shape == data.image(e, 0).shape
        if info.notes["reached"]:  # odometry drifts, so the belief ends near the goal and not on it
            assert math.dist(poses[-1, :2], (info.goal["x"], info.goal["y"])) < info.goal["radius"] + 0.6
    assert sum(data.info(e).notes["reached"] for e in range(EPISODES)) >= EPISODES - 1  # type: ignore[index]
    assert len({data.info(e).robot.footprint for e in range(EPISODES)}) == 2  # type: ignore[union-attr]


def test_commands_explain_the_motion(room: Path) -> None:
    """Without noise, what was commanded over a frame is nearly what the poses show, a little later."""
    drive = Collector(in_room(room, robot="turtlebot", noise=False, people=(0, 0), perturb=0.0, recovery=0.0))(0)
    assert not isinstance(drive, str) and drive[1].actions is not None
    turned = np.diff(np.unwrap(drive[1].poses[:, 2])) * 5.0
    assert np.corrcoef(turned[1:], drive[1].actions[:-2, 1])[0, 1] > 0.8
    total = drive[1].actions[:, 0].sum() / 5.0
    driven = np.linalg.norm(np.diff(drive[1].poses[:, :2], axis=0), axis=1).sum()
    assert total == pytest.approx(driven, rel=0.05)


def test_pushes_and_conditions_differ_from_drive_to_drive_and_come_back(room: Path) -> None:
    calm = Collector(in_room(room, robot="turtlebot", noise=False, perturb=0.0, recovery=0.0, people=(0, 0)))
    rough = Collector(in_room(room, robot="turtlebot", noise=False, perturb=1.0, recovery=0.0, people=(0, 0)))
    changed = 0
    for index in range(4):
        a, b, again = calm(index), rough(index), rough(index)
        assert not isinstance(a, str) and not isinstance(b, str) and not isinstance(again, str)
        assert np.array_equal(b[1].poses, again[1].poses) and list(b[1].images) == list(again[1].images)
        assert np.array_equal(a[1].poses[0], b[1].poses[0])
        changed += a[1].poses.shape != b[1].poses.shape or not np.allclose(a[1].poses, b[1].poses)
        assert b[0].notes is not None and b[0].notes["reached"]  # it recovers
    assert changed >= 1


def test_drives_that_cannot_be_made_are_counted_and_not_tried_again(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tried = Collector.drive, []

    def picky(self: Collector, index: int, scene: Any) -> Any:
        tried.append(index)
        if index in (1, 3):
            raise EpisodeError(f"no way for number {index}")
        return real(self, index, scene)

    monkeypatch.setattr(Collector, "drive", picky)
    monkeypatch.setattr(  # in this process, where the patch is
        "sim_envs.collection.collect.run_jobs",
        lambda make, arguments, groups, *_, **__: ((k, make(*arguments)(k)) for group in groups for k in group),
    )
    for episodes in (2, 4):
        done = collect(in_room(room, episodes=episodes), tmp_path / "d", 1, progress=False)
    assert tried == [0, 1, 2, 3] and sorted(done.failures) == [1, 3]
    data = EpisodeDataset(tmp_path / "d")
    assert [data.info(e).notes["index"] for e in range(data.episodes)] == [0, 2]  # type: ignore[index]
    lines = (tmp_path / "d" / NOTES).read_text().splitlines()
    assert [json.loads(line)["error"] for line in lines[1:]] == ["no way for number 1", "no way for number 3"]


# --- refusals -----------------------------------------------------------------------------------------------------


def test_other_settings_and_foreign_datasets_are_refused(room: Path, reference: Path, tmp_path: Path) -> None:
    before = content(reference)
    with pytest.raises(DataError, match=r"collected with other settings \(noise True, seed 0\)"):
        collect(in_room(room, seed=1, noise=False), reference, 1, progress=False)
    (tmp_path / "foreign").mkdir()
    for path in reference.rglob("*"):
        target = tmp_path / "foreign" / path.relative_to(reference)
        target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    (tmp_path / "foreign" / NOTES).unlink()
    with pytest.raises(DataError, match="was not collected"):
        collect(in_room(room), tmp_path / "foreign", 1, progress=False)
    assert content(reference) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "test"}, "test scenes stay unseen"),
        ({"scenes": f"house:{1 << 49}"}, "is for testing"),
        ({"scenes": "missing.glb"}, "does not exist"),
        ({"tasks": ("fly",)}, "'fly' is not known"),
        ({"tasks": ()}, "tasks are empty"),
        ({"relabel": True}, "nothing to relabel"),
        ({"policy": "random", "expert_share": 0.5}, "add relabel"),
        ({"policy": "bearing"}, "use it with point-goal"),
        ({"perturb": 1.5}, "0 to 1"),
        ({"people": (3, 1)}, "people is 3-1"),
        ({"frame_rate": 3.0}, "whole multiple"),
        ({"episodes": 0}, "1 or more"),
        ({"robot": "no_such"}, "unknown robot"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        CollectSettings(**changes)
    assert "\n" not in str(refusal.value)


def test_scenes_are_training_scenes_and_shared_by_neighbours() -> None:
    settings = CollectSettings(episodes=40)
    scenes = scenes_of(settings)
    assert all(split_of(scene) == "train" for scene in scenes) and len(set(scenes)) == 5
    groups = groups_of(settings, [k for k in range(40) if k != 9])
    assert [k for group in groups for k in group] == [k for k in range(40) if k != 9] and len(groups) == 5
    assert scene_at(scenes, settings, 9) == scenes[1]
    assert scenes_of(replace(settings, episodes=8)) == scenes[:1]  # a longer collection begins with the shorter one
    assert settings.digest == replace(settings, episodes=8).digest != replace(settings, perturb=0.4).digest


def test_a_drive_tells_what_stands_about_and_where_it_truly_was() -> None:
    settings = CollectSettings(scenes="houses", tasks=("object-goal",), episodes=1, people=(0, 0))
    collector = Collector(settings)
    drive = collector(0)
    assert not isinstance(drive, str)
    info, data = drive
    assert info.goal is not None and info.things and info.robot is not None and data.labels is not None
    truth = data.labels.poses
    assert truth is not None
    scene = scene_at(scenes_of(settings), settings, 0)
    names = {thing.category for thing in collector.simulator.load(scene, info.robot.footprint).instances}
    assert {thing.category for thing in info.things} <= names
    # odometry begins where the drive does, and believes something else of the rest
    x, y, _, yaw = truth.T
    c, s = np.cos(yaw[0]), np.sin(yaw[0])
    local = np.column_stack([c * (x - x[0]) + s * (y - y[0]), -s * (x - x[0]) + c * (y - y[0])])
    off = np.linalg.norm(local - data.poses[:, :2], axis=1)
    assert off[0] < 1e-6 and 1e-4 < off.max() < 0.2 * np.linalg.norm(np.diff(local, axis=0), axis=1).sum()
    goal = np.array([[c, -s], [s, c]]) @ (info.goal["x"], info.goal["y"]) + (x[0], y[0])
    wanted = [thing for thing in info.things if thing.category == info.goal["category"]]
    away = [np.linalg.norm(nearest_on_outline(goal, np.array(thing.outline)) - goal) for thing in wanted]
    assert info.robot.footprint.radius < min(away) < info.goal["radius"]  # it is told from where one has reached it
    for thing in info.things:
        middle = np.array(thing.outline).mean(axis=0)
        np.testing.assert_allclose(nearest_on_outline(middle, np.array(thing.outline)), middle)  # convex, not clockwise
        assert np.linalg.norm(truth[:, :2] - middle, axis=1).min() < 20.1 and thing.bottom < thing.top


# --- a policy drives, the expert labels ---------------------------------------------------------------------------


def test_the_expert_labels_what_a_wandering_policy_meets(room: Path) -> None:
    settings = in_room(room, policy="random", relabel=True, robot="turtlebot", noise=False, people=(0, 0), perturb=0.0)
    drive = Collector(settings)(0)
    assert not isinstance(drive, str)
    info, data = drive
    labels = data.labels
    assert labels is not None and data.actions is not None and info.driver == "policy" and info.goal is not None
    goal = np.array([info.goal["x"], info.goal["y"]])
    away = np.linalg.norm(goal - data.poses[:, :2], axis=1)
    assert (labels.distances >= away - 0.3).all()  # what is left, from where the policy has got to
    step = load_robot("turtlebot").step
    assert np.linalg.norm(labels.plans[:, 0, :2], axis=1).max() <= step * 1.001
    # A wanderer turns where it likes; the expert would turn to its way.
    wanted = np.sign(labels.plans[:, 3, 2]) * (np.abs(labels.plans[:, 3, 2]) > 0.3)
    opposed = np.mean((wanted * data.actions[:, 1])[wanted != 0] < 0)
    assert opposed > 0.1
    # Following the plans brings the robot nearer to where the expert heads.
    c, s = np.cos(data.poses[:, 2]), np.sin(data.poses[:, 2])
    ahead = labels.plans[:, -1]
    moved = np.column_stack([c * ahead[:, 0] - s * ahead[:, 1], s * ahead[:, 0] + c * ahead[:, 1]])
    reached = data.poses[:, :2] + moved
    nearer = np.linalg.norm(reached - labels.goals[:, :2], axis=1) - np.linalg.norm(
        data.poses[:, :2] - labels.goals[:, :2], axis=1)
    assert np.mean(nearer < 0.05) > 0.7
    plain = Collector(replace(settings, relabel=False))(0)
    assert not isinstance(plain, str) and plain[1].labels is None
    assert np.array_equal(plain[1].poses, data.poses)  # labelling does not disturb


def test_the_expert_may_take_over_for_a_share_of_the_time(room: Path) -> None:
    left = {}
    for share in (0.0, 0.6):
        settings = in_room(
            room, policy="random", relabel=True, expert_share=share, robot="turtlebot", noise=False, people=(0, 0),
            tasks=("point-goal",), perturb=0.0, recovery=0.0,
        )
        drives = [Collector(settings)(index) for index in range(3)]
        left[share] = np.mean([d[1].labels.distances.min() for d in drives if not isinstance(d, str) and d[1].labels])
    assert left[0.6] < left[0.0]


# --- killed -------------------------------------------------------------------------------------------------------


def command(room: Path, folder: Path, episodes: int) -> list[str]:
    return [
        sys.executable, "-m", "nav_foundation.cli", "collect", "--scenes", str(room), "--task", "point-goal,image-goal",
        "--people", "1", "--episodes", str(episodes), "--workers", "2", "--out", str(folder),
    ]


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if int(text.rsplit(")", 1)[1].split()[1]) == pid and "python" in text and _works(path.parent):
            found.append(int(path.parent.name))
    return found


def _works(process: Path) -> bool:
    try:
        return b"spawn_main" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def closed(folder: Path) -> int:
    info = folder / "meta" / "info.json"
    return int(json.loads(info.read_text())["total_episodes"]) if info.exists() else 0


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_and_loses_nothing(room: Path, reference: Path, tmp_path: Path) -> None:
    folder, rng, kept = tmp_path / "killed", random.Random(0), 0
    for _ in range(3):
        process = subprocess.Popen(command(room, folder, EPISODES), stdout=DEVNULL, stderr=DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and closed(folder) <= kept and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.2))
        workers = children(process.pid)
        process.kill()
        process.wait()
        now = EpisodeDataset(folder)
        assert now.episodes >= kept and not now.damaged
        kept = now.episodes
        assert logical(folder) == logical(reference)[:kept]
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)  # nobody works on for a dead parent
    collect(in_room(room), folder, 2, progress=False)
    assert logical(folder) == logical(reference)


@pytest.mark.slow
def test_a_killed_worker_is_replaced(room: Path, reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    process = subprocess.Popen(command(room, folder, EPISODES), stdout=PIPE, stderr=PIPE, text=True)
    deadline = time.monotonic() + 60
    while process.poll() is None and not closed(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    victims = children(process.pid)
    assert victims
    os.kill(victims[-1], signal.SIGKILL)
    text, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert logical(folder) == logical(reference)
    assert "point-goal" in text and "per hour of driving" in text


def test_the_command_ends_with_a_table_and_refuses_in_one_sentence(
    room: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(room, reference, EPISODES)[3:]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    data = EpisodeDataset(reference)
    row = next(line for line in out.splitlines() if line.startswith("all"))
    assert row.split()[1:3] == [str(data.episodes), str(len(data))]
    assert main([*arguments, "--seed", "9"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_ray_makes_the_same_dataset(room: Path, reference: Path, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="the optional extra `ray` is not installed")
    try:
        collect(in_room(room), tmp_path / "ray", 2, engine="ray", progress=False)
    finally:
        ray.shutdown()
    assert content(tmp_path / "ray") == content(reference)

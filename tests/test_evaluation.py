"""Evaluation over processes: equal whoever does the work, resumable whatever stops it, honest about what broke."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from walled_room import write_walled_room

from nav_foundation.robot import load_robot
from sim_envs.evaluation.episode_sets import describe, make_episodes
from sim_envs.evaluation.evaluate import build_policy, evaluate, groups_by_scene
from sim_envs.evaluation.results import Journal, compare_files, load_records
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.simulator import SceneError, SceneRef
from sim_envs.tasks.episode import EpisodeError
from sim_envs.tasks.habitat_files import load_episodes, save_episodes
from sim_envs.workers import WorkerError, WorkerKilledError, run_jobs

# --- processes ----------------------------------------------------------------------------------------------------


def make_trouble(kind: str) -> Any:
    """A job that fails at number 3."""
    if kind == "no start":
        raise ValueError("the settings are wrong: mend them")

    def job(number: int) -> int:
        if number == 3:
            if kind == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "exits":
                os._exit(7)
            if kind == "bug":
                raise IndexError("no such thing")
            if kind == "numpy":
                np.zeros(3) + np.zeros(4)
            if kind == "scene":
                raise SceneError("the scene is gone")
        return number * number

    return job


def test_every_job_is_done_once_whoever_does_it() -> None:
    groups = [[0, 1], [2], [], [3, 4, 5], [6]]
    for workers in (1, 3):
        assert sorted(run_jobs(make_trouble, ("none",), groups, workers)) == [(k, k * k) for k in range(7)]
    assert list(run_jobs(make_trouble, ("none",), [], 2)) == []


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("killed", WorkerKilledError, "episode 3 was killed by SIGKILL.*fewer workers"),
        ("exits", WorkerError, "episode 3 ended by itself with exit code 7"),
        ("bug", WorkerError, r"episode 3 failed(.|\n)*IndexError: no such thing"),
        ("numpy", WorkerError, r"episode 3 failed(.|\n)*ValueError: operands"),  # a bug, not the user's mistake
        ("scene", SceneError, "the scene is gone"),
        ("no start", ValueError, "the settings are wrong"),
    ],
)
def test_trouble_in_a_process_is_told_and_ends_all(kind: str, error: type[Exception], words: str) -> None:
    done: list[int] = []
    results = run_jobs(make_trouble, (kind,), [[0, 1, 2, 3, 4]], 2)
    with pytest.raises(error, match=words):
        done.extend(number for number, _ in results)
    assert done == ([] if kind == "no start" else [0, 1, 2])


def test_groups_keep_scenes_together_and_lose_nothing() -> None:
    scenes = [SceneRef("house", k // 3) for k in range(30)]
    groups = list(groups_by_scene(scenes, list(range(30)), workers=2))
    assert sorted(k for group in groups for k in group) == list(range(30))
    assert all(len({scenes[k] for k in group}) == 1 for group in groups)
    single = list(groups_by_scene([SceneRef("house", 1)] * 80, list(range(80)), workers=2))
    assert max(map(len, single)) == 10  # shared out, so that nobody waits for one long group


# --- evaluation ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_walled_room(tmp_path_factory.mktemp("scene") / "room.obj")


def settings(room: Path, **changes: Any) -> EvaluationSettings:
    fields: dict[str, Any] = {"policy": "oracle", "scenes": str(room), "episodes": 5, "distance": (2.0, 5.0)}
    return EvaluationSettings(**{**fields, **changes})


@pytest.fixture(scope="module")
def reference(room: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of an evaluation with one worker."""
    journal = tmp_path_factory.mktemp("reference") / "one.jsonl"
    evaluate(settings(room), 1, journal, progress=False)
    return journal


def test_one_and_two_workers_leave_the_same_bytes(room: Path, reference: Path, tmp_path: Path) -> None:
    evaluation = evaluate(settings(room), 2, tmp_path / "two.jsonl", progress=False)
    assert (tmp_path / "two.jsonl").read_bytes() == reference.read_bytes()
    assert [record["index"] for record in evaluation.records] == [0, 1, 2, 3, 4]
    assert evaluation.steps_per_second is not None and evaluation.steps_per_second > 0
    data = json.loads(json.dumps(evaluation.as_json(), allow_nan=False))
    assert data["episodes"] == 5 and len(data["per_episode"]) == 5 and data["settings"]["policy"] == "oracle"
    assert data["success"].keys() == {"mean", "low", "high"} and data["coverage"] is None and data["ndtw"] is None


def test_a_cut_journal_goes_on_to_the_same_bytes(room: Path, reference: Path, tmp_path: Path) -> None:
    lines = reference.read_bytes().splitlines(keepends=True)
    for kept in (lines[0][:20], b"".join(lines[:3]) + lines[3][:30]):
        journal = tmp_path / "cut.jsonl"
        journal.write_bytes(kept)
        evaluate(settings(room), 1, journal, progress=False)
        assert journal.read_bytes() == reference.read_bytes()


def test_a_longer_evaluation_begins_with_the_shorter_one(room: Path, reference: Path, tmp_path: Path) -> None:
    journal = tmp_path / "grows.jsonl"
    evaluate(settings(room, episodes=3), 1, journal, progress=False)
    before = load_records(journal)
    evaluate(settings(room), 1, journal, progress=False)
    assert load_records(journal)[:3] == before and journal.read_bytes() == reference.read_bytes()


def test_a_finished_journal_is_kept_only_when_asked(room: Path, reference: Path, tmp_path: Path) -> None:
    journal = tmp_path / "done.jsonl"
    marked = reference.read_bytes().replace(b'"success": 1.0', b'"success": 0.0')
    assert marked != reference.read_bytes()
    journal.write_bytes(marked)
    kept = evaluate(settings(room), 1, journal, "keep", progress=False)
    assert kept.summary["success"].mean == 0.0 and kept.steps_per_second is None
    evaluate(settings(room), 1, journal, progress=False)
    assert journal.read_bytes() == reference.read_bytes()


def test_results_of_other_settings_are_refused(room: Path, reference: Path, tmp_path: Path) -> None:
    journal = tmp_path / "other.jsonl"
    journal.write_bytes(reference.read_bytes())
    for changes in ({"policy": "random"}, {"seed": 1}, {"noise": True}, {"distance": (2.0, 7.0)}, {"robot": "jackal"}):
        with pytest.raises(ValueError, match=rf"other settings \({next(iter(changes))}\).*--overwrite"):
            evaluate(settings(room, **changes), 1, journal, progress=False)
    assert journal.read_bytes() == reference.read_bytes()
    evaluate(settings(room, seed=1, episodes=1), 1, journal, "replace", progress=False)
    assert len(load_records(journal)) == 1


def test_a_changed_scene_file_is_another_scene(room: Path, tmp_path: Path) -> None:
    scene = tmp_path / "room.obj"
    scene.write_bytes(room.read_bytes())
    journal = tmp_path / "results.jsonl"
    evaluate(settings(scene, episodes=1), 1, journal, progress=False)
    scene.write_bytes(room.read_bytes() + b"# moved the sofa\n")
    with pytest.raises(ValueError, match=r"other settings \(scenes\)"):
        evaluate(settings(scene, episodes=2), 1, journal, progress=False)


@pytest.mark.parametrize("text", ['{"per_episode": 5}', '{"per_episode": [{"episode": ["a"]}]}', '{"per_episode": {}}'])
def test_json_that_only_looks_like_results_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="does not hold results"):
        load_records(tmp_path / "a.json")


def test_damaged_journals_are_named_and_not_overwritten(room: Path, tmp_path: Path) -> None:
    journal = tmp_path / "notes.jsonl"
    for text, words in (("dear diary\n", "line 1"), ('{"index": 0, "success": 1.0}\n', "does not hold results")):
        journal.write_text(text)
        with pytest.raises(ValueError, match=words):
            Journal(journal, {"policy": "random"}, 3)
        assert journal.read_text() == text


def test_a_journal_is_written_by_one_and_never_cut_short(tmp_path: Path) -> None:
    path, identity = tmp_path / "run.jsonl", {"policy": "random"}
    with Journal(path, identity, 3) as book:
        for index in range(3):
            book.add({"index": index, "episode": str(index)})
        with pytest.raises(ValueError, match="another evaluation"):
            Journal(path, identity, 3)
    with pytest.raises(ValueError, match="holds 3 episodes, more than the 2"):
        Journal(path, identity, 2)
    assert len(load_records(path)) == 3
    with Journal(path, identity, 3, "replace"):
        pass
    assert path.read_text().count("\n") == 1


def test_a_killed_run_goes_on_where_it_was(room: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "nav_foundation.cli", "eval", "--policy", "random", "--scenes", str(room),
        "--episodes", "12", "--workers", "1", "--json", str(tmp_path / "run.json"),
    ]
    journal = tmp_path / "run.jsonl"
    kept = b""
    for stop, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells ignore it behind an &
        )
        count = len(journal.read_bytes().splitlines()) if journal.exists() else 1
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if journal.exists() and len(journal.read_bytes().splitlines()) > count:
                break
            time.sleep(0.005)
        os.killpg(process.pid, stop)  # as a terminal does: the workers get it as well
        _, errors = process.communicate(timeout=30)
        assert process.returncode == code and "Traceback" not in errors
        assert journal.read_bytes().startswith(kept)
        kept = b"".join(line for line in journal.read_bytes().splitlines(keepends=True) if line.endswith(b"\n"))
        assert 2 <= len(kept.splitlines()) <= 12
    assert "stopped" in errors
    evaluate(EvaluationSettings("random", scenes=str(room), episodes=12), 1, journal, progress=False)
    assert [record["index"] for record in load_records(journal)] == list(range(12))
    assert set(kept.splitlines()) <= set(journal.read_bytes().splitlines())


def test_oracle_beats_random_and_comparison_says_so(room: Path, reference: Path, tmp_path: Path) -> None:
    oracle = load_records(reference)
    assert all(record["success"] == 1.0 and record["spl"] > 0.9 for record in oracle)
    evaluate(settings(room, policy="random", episodes=2), 1, tmp_path / "random.jsonl", progress=False)
    differences, only_a, only_b = compare_files(tmp_path / "random.jsonl", reference)
    spl = next(d for d in differences if d.metric == "spl")
    assert (only_a, only_b) == (0, 3) and spl.episodes == 2 and spl.difference.mean > 0.3
    (tmp_path / "other.jsonl").write_text(reference.read_text().replace('"episode": "', '"episode": "x'))
    with pytest.raises(ValueError, match="no episode in common"):
        compare_files(reference, tmp_path / "other.jsonl")


# --- episodes -----------------------------------------------------------------------------------------------------


def test_broken_episodes_are_counted_and_never_in_the_numbers(room: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.json.gz"
    assert "2 episodes" in make_episodes(settings(room, policy="oracle", episodes=2), good, 1)
    first, second = load_episodes(good)
    broken = replace(second, episode_id="beyond", goals=np.array([[50.0, 50.0, 0.0]]))
    save_episodes(tmp_path / "mixed.json.gz", [first, broken])
    evaluation = evaluate(EvaluationSettings("oracle", episodes_file=tmp_path / "mixed.json.gz"), 1, progress=False)
    assert len(evaluation.records) == 1 and evaluation.summary["success"].mean == 1.0
    assert [record["index"] for record in evaluation.broken] == [1] and "beyond" in evaluation.broken[0]["error"]
    assert "1 more episode" in evaluation.notes and evaluation.as_json()["broken_episodes"][0]["scene"] == str(room)
    save_episodes(tmp_path / "bad.json.gz", [broken])
    with pytest.raises(EpisodeError, match="none of 1 episode"):
        evaluate(EvaluationSettings("oracle", episodes_file=tmp_path / "bad.json.gz"), 1, progress=False)


def test_a_saved_file_gives_the_results_of_its_settings(room: Path, reference: Path, tmp_path: Path) -> None:
    file = tmp_path / "set.json.gz"
    make_episodes(settings(room), file, 2)
    evaluation = evaluate(EvaluationSettings("oracle", episodes_file=file), 1, progress=False)
    assert list(evaluation.records) == load_records(reference)
    text, numbers = describe(file, None, None, 2)
    assert numbers["episodes"] == 5 and numbers["tasks"] == {"point-goal": 5} and numbers["scenes"] == 1
    assert 2.0 <= numbers["shortest_way_m"]["min"] <= numbers["shortest_way_m"]["max"] <= 5.0
    assert len(text.splitlines()) == 2 + 2 + 2


def test_settings_refuse_what_cannot_be() -> None:
    for changes, words in (
        ({"policy": "orcale"}, "did you mean 'oracle'"), ({"policy": "bearing", "task": "image-goal"}, "point-goal"),
        ({"policy": __file__}, "not a checkpoint"), ({"task": "pointgoal"}, "did you mean 'point-goal'"),
        ({"variant": "route"}, "it has none"), ({"task": "image-goal", "variant": "roote"}, "covisible"),
        ({"distance": (5.0, 2.0)}, "MIN-MAX"), ({"distance": (0.0, math.nan)}, "MIN-MAX"),
        ({"distance": (0.0, 0.9)}, "above 1"), ({"task": "explore", "distance": (1.0, 5.0)}, "no distance"),
        ({"episodes": 0}, "1 or more"), ({"seed": -1}, "0 or more"), ({"people": -1}, "0 or more"),
        ({"scenes": "hauses"}, "houses, city"), ({"scenes": "gone.glb"}, "does not exist"),
        ({"split": "tset"}, "did you mean 'test'"),
        ({"episodes_file": Path("a.json.gz"), "scenes": "city"}, "leave out"),
    ):
        with pytest.raises(ValueError, match=words):
            EvaluationSettings(**changes)
    with pytest.raises(ValueError, match="workers is 0"):
        evaluate(EvaluationSettings(), 0)
    with pytest.raises(ValueError, match="known"):
        build_policy("nobody", world=None)  # type: ignore[arg-type]


def test_which_simulator_counts_and_not_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scene = write_walled_room(tmp_path / "room.obj")
    plain = EvaluationSettings(scenes=str(scene))
    first, second = (replace(plain, sim="habitat", habitat_python=path) for path in ("/one/python", "/other/python"))
    robot = load_robot("turtlebot")
    assert first.identity(robot) == second.identity(robot) != plain.identity(robot)
    for wrong in ({"people": 2}, {"scenes": "houses"}):
        with pytest.raises(ValueError, match="embedded simulator"):
            replace(first, **wrong)

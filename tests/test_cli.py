"""The command line: what it prints, and one sentence with exit code 2 for every mistake of its user."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from walled_room import write_walled_room

import nav_foundation
from nav_foundation.cli import main
from sim_envs.evaluation.settings import EvaluationSettings


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    try:
        code: Any = main(list(arguments))
    except SystemExit as stop:
        code = stop.code or 0
    out, err = capsys.readouterr()
    return code, out, err


MISTAKES = [
    ("evl", "verb 'evl' is not known (did you mean 'eval'?)"),
    ("eval --polcy oracle", "unknown option --polcy (did you mean '--policy'?)"),
    ("eval --polic oracle", "did you mean '--policy'?"),  # no abbreviations: scripts must not break when options come
    ("eval oracle", "argument 'oracle' is one too many"),
    ("eval --policy orcale", "policy 'orcale' is not known (did you mean 'oracle'?)"),
    ("eval --policy runs/best", "oracle, random, bearing, straight"),
    ("eval --policy bearing --task image-goal", "use it with point-goal"),
    ("eval --task pointgoal", "did you mean 'point-goal'?"),
    ("eval --task point-goal --variant route", "it has none"),
    ("eval --task object-goal --variant visibel", "any, visible"),
    ("eval --distance 5", "MIN-MAX, such as 2-10; got '5'"),
    ("eval --distance 8-2", "MIN-MAX"),
    ("eval --distance nan-8", "MIN-MAX"),
    ("eval --distance 0-0.5", "MAX above 1"),
    ("eval --distance a-b", "got 'a-b'"),
    ("eval --scenes hauses", "scenes 'hauses' is not known"),
    ("eval --scenes house:x", "house:SEED"),
    ("eval --scenes nowhere/flat.glb", "scene file nowhere/flat.glb does not exist"),
    ("eval --robot turtelbot", "unknown robot 'turtelbot'"),
    ("eval --robot nowhere.yaml", "robot file nowhere.yaml does not exist"),
    ("eval --noise maybe", "on, off"),
    ("eval --split tset", "did you mean 'test'?"),
    ("eval --episodes 0", "episodes is 0: give 1 or more"),
    ("eval --episodes many", "it takes a whole number; got 'many'"),
    ("eval --episodes 2.5", "it takes a whole number; got '2.5'"),
    ("eval --seed -1", "seed is -1"),
    ("eval --people -2", "people is -2"),
    ("eval --json out.jsonl", "end the name in .json"),
    ("robots show jackal --json /dev/null/jackal.json", "cannot be made"),
    ("eval --workers 0 --episodes 1", "workers is 0"),
    ("eval --policy", "expected one argument"),
    ("eval --resume --overwrite", "not allowed with"),
    ("eval --episodes-file nowhere.json.gz", "nowhere.json.gz does not exist"),
    ("eval --episodes-file a.json.gz --scenes city", "leave out scenes"),
    ("eval --config nowhere.yaml", "settings file nowhere.yaml does not exist"),
    ("eval --json .", "is a folder: name a file"),
    ("eval --json /dev/null/x/results.json", "cannot be made"),
    ("compare", "required: A, B"),
    ("compare nowhere.jsonl nowhere.json", "nowhere.jsonl cannot be read"),
    ("episodes generate --task explore", "required: --out"),
    ("episodes generate --out episodes.txt", "end the name in .json.gz"),
    ("episodes show nowhere.json.gz", "nowhere.json.gz does not exist"),
    ("episodes shwo x", "did you mean 'show'?"),
    ("robots show turtelbot", "unknown robot 'turtelbot'"),
    ("demo --seed x", "it takes a whole number"),
    ("demo --workers 0", "workers is 0"),
]


@pytest.mark.parametrize(("command", "words"), MISTAKES, ids=[command for command, _ in MISTAKES])
def test_a_mistake_is_one_line_and_exit_code_2(
    command: str, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *command.split())
    assert code == 2 and out == ""
    assert err.startswith("nav-foundation") and words in err and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []  # nothing half-made is left


def test_a_report_that_was_stopped_is_made_of_the_drives_that_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sim_envs.evaluation.report.report_evaluation", stopped)
    write_walled_room(tmp_path / "room.obj")
    command = ["eval", "--policy", "straight", "--scenes", str(tmp_path / "room.obj"), "--distance", "1-3"]
    command += ["--episodes", "2", "--workers", "1", "--report", str(tmp_path / "report")]
    assert run(capsys, *command)[0] != 0
    journal = tmp_path / "report" / "results.jsonl"
    header, *records = map(json.loads, journal.read_text().splitlines())
    told = [{**record, "spl": 0.125} for record in records]  # no drive would give this
    journal.write_text("".join(json.dumps(line) + "\n" for line in (header, *told)))

    monkeypatch.setattr("sim_envs.evaluation.report.report_evaluation", lambda evaluation, folder, workers: folder)
    assert run(capsys, *command)[0] == 0
    assert [json.loads(line)["spl"] for line in journal.read_text().splitlines()[1:]] == [0.125, 0.125]
    (tmp_path / "report" / "report.html").touch()  # finished: the same command drives anew
    assert run(capsys, *command)[0] == 0
    assert 0.125 not in [json.loads(line)["spl"] for line in journal.read_text().splitlines()[1:]]

    (tmp_path / "report" / "report.html").touch()
    monkeypatch.setattr("sim_envs.evaluation.report.report_evaluation", stopped)
    assert run(capsys, *command)[0] != 0
    assert not (tmp_path / "report" / "report.html").exists()  # it would tell of other drives than the results
    code, _, err = run(capsys, *command, "--episodes", "1")
    assert code == 2 and "holds 2 episodes, more than the 1 asked for" in err


def test_a_report_elsewhere_does_not_bring_old_results_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sim_envs.evaluation.report.report_evaluation", lambda evaluation, folder, workers: folder)
    write_walled_room(tmp_path / "room.obj")
    command = ["eval", "--policy", "straight", "--scenes", str(tmp_path / "room.obj"), "--distance", "1-3"]
    command += ["--episodes", "1", "--workers", "1", "--json", str(tmp_path / "results.json")]
    assert run(capsys, *command)[0] == 0
    journal = tmp_path / "results.jsonl"
    header, record = map(json.loads, journal.read_text().splitlines())
    journal.write_text("".join(json.dumps(line) + "\n" for line in (header, {**record, "spl": 0.125})))
    assert run(capsys, *command, "--report", str(tmp_path / "report"))[0] == 0
    assert json.loads(journal.read_text().splitlines()[1])["spl"] != 0.125


CONFIGS = [
    ("polcy: oracle", "unknown key 'polcy' (did you mean 'policy'?)"),
    ("episodes: many", "episodes is 'many'"),
    ("distance: 2", "distance is 2"),
    ("distance: [2, .nan]", "finite"),
    ("distance: far", "MIN-MAX"),
    ("noise: 3", "noise is 3"),
    ("policy: [", "cannot be read"),
    ("- a\n- b", "'key: value'"),
]


@pytest.mark.parametrize(("text", "words"), CONFIGS, ids=[text for text, _ in CONFIGS])
def test_settings_files_are_checked(
    text: str, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    code, _, err = run(capsys, "eval", "--config", str(tmp_path / "settings.yaml"))
    assert code == 2 and words in err and "settings.yaml" in err and len(err.splitlines()) == 1


def test_options_and_settings_files_give_the_same_object(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[EvaluationSettings, Any]] = []

    def stand_in(settings: EvaluationSettings, *more: Any) -> None:
        asked.append((settings, more))
        raise ValueError("enough")

    monkeypatch.setattr("sim_envs.evaluation.evaluate.evaluate", stand_in)
    text = "--policy bearing --task point-goal --distance 2-7.5 --scenes city --robot jackal --noise on --people 3"
    options = [*text.split(), "--split", "val", "--episodes", "12", "--seed", "5"]
    run(capsys, "eval", *options, "--workers", "3", "--json", str(tmp_path / "r.json"), "--overwrite")
    expected = EvaluationSettings(
        "bearing", "point-goal", "", (2.0, 7.5), "city", "jackal", True, 3, "val", 12, 5,
    )
    assert asked.pop() == (expected, (3, tmp_path / "r.jsonl", "replace"))

    data = {"policy": "bearing", "task": "point-goal", "distance": "2-7.5", "scenes": "city", "robot": "jackal",
            "noise": True, "people": 3, "split": "val", "episodes": 12, "seed": 5}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(data))
    (tmp_path / "b.json").write_text(json.dumps({**data, "distance": [2, 7.5], "policy": "random"}))
    run(capsys, "eval", "--config", str(tmp_path / "a.yaml"))
    assert asked.pop()[0] == expected
    run(capsys, "eval", "--config", str(tmp_path / "b.json"), "--policy", "bearing")  # options win
    assert asked.pop()[0] == expected


def test_without_arguments_it_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((), ("episodes",), ("robots",)):
        code, out, err = run(capsys, *arguments)
        assert code == 0 and out.startswith("usage: nav-foundation") and err == ""


def test_every_verb_has_examples_that_its_own_options_allow(capsys: pytest.CaptureFixture[str]) -> None:
    from nav_foundation.cli import _parser

    for words in (("eval",), ("demo",), ("compare",), ("episodes",), ("episodes", "generate"), ("episodes", "show"),
                  ("robots",), ("robots", "list"), ("robots", "show"), ("habitat",), ("habitat", "check")):
        code, out, _ = run(capsys, *words, "--help")
        examples = [line.split("(")[0].split(">")[0].split() for line in out.split("examples:")[1].splitlines()
                    if line.startswith("  nav-foundation")]
        assert code == 0 and examples
        for example in examples:
            _parser().parse(example[1:])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version")[1].strip() == f"nav-foundation {nav_foundation.__version__}"


def test_robots_are_listed_and_shown_as_files_that_load(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from nav_foundation.robot import load_robot, shipped_robots

    _, out, _ = run(capsys, "robots", "list")
    for name in shipped_robots():
        assert name in out
        _, text, _ = run(capsys, "robots", "show", name)
        (tmp_path / "copy.yaml").write_text(text)
        assert load_robot(tmp_path / "copy.yaml") == load_robot(name)
    run(capsys, "robots", "show", "jackal", "--json", str(tmp_path / "jackal.json"))
    assert load_robot(tmp_path / "jackal.json") == load_robot("jackal")


def test_eval_compare_and_episodes_end_to_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    scene = str(write_walled_room(tmp_path / "room.obj"))
    common = ["--scenes", scene, "--episodes", "2", "--distance", "2-5", "--workers", "1"]
    code, out, err = run(capsys, "eval", "--policy", "oracle", *common, "--json", str(tmp_path / "a.json"))
    assert code == 0 and err == "" and "success" in out and "95 % interval" in out and "2 episodes" in out
    data = json.loads((tmp_path / "a.json").read_text())
    for name in ("success", "spl", "soft_spl", "distance_to_goal", "collisions", "path_length", "time"):
        assert set(data[name]) == {"mean", "low", "high"}, name
    assert data["ndtw"] is None and data["coverage"] is None
    assert data["success"]["mean"] == 1.0 and data["episodes"] == 2 and data["steps_per_second"] > 0
    assert len(data["per_episode"]) == 2 and data["version"] == nav_foundation.__version__

    code, out, _ = run(
        capsys, "compare", str(tmp_path / "a.json"), str(tmp_path / "a.jsonl"), "--json", str(tmp_path / "c.json")
    )
    assert code == 0 and "2 episodes in common" in out
    assert json.loads((tmp_path / "c.json").read_text())["metrics"]["success"]["difference"]["mean"] == 0.0

    file = str(tmp_path / "set.json.gz")
    code, out, _ = run(capsys, "episodes", "generate", *common, "--out", file)
    assert code == 0 and "2 episodes" in out
    code, out, _ = run(capsys, "episodes", "show", file)
    assert code == 0 and "2 point-goal" in out and scene in out

    (tmp_path / "broken.json.gz").write_bytes(Path(file).read_bytes()[:60])
    code, _, err = run(capsys, "eval", "--episodes-file", str(tmp_path / "broken.json.gz"))
    assert code == 2 and "cut short" in err and len(err.splitlines()) == 1
    (tmp_path / "broken.obj").write_text("this is not a mesh\n")
    code, _, err = run(capsys, "eval", "--scenes", str(tmp_path / "broken.obj"), "--episodes", "1", "--workers", "1")
    assert code == 2 and "broken.obj" in err and len(err.splitlines()) == 1


def test_the_program_itself_prints_no_traceback() -> None:
    command = [sys.executable, "-m", "nav_foundation.cli", "eval", "--distance", "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1

"""Evaluations with a simulator in another process: what breaks down, what is resumed, and whose environment it has."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nav_foundation.robot import load_robot
from sim_envs.backend import Backend
from sim_envs.evaluation.episode_sets import make_episodes
from sim_envs.evaluation.evaluate import EpisodeRunner, EpisodeSource, evaluate
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.habitat import HabitatSimulator
from sim_envs.simulator import Pose, SimulatorLostError, Step
from sim_envs.tasks.habitat_files import load_episodes, save_episodes
from sim_envs.workers import tried_again
from tests.walled_room import write_walled_glb

STANDIN = Path(__file__).with_name("standin_habitat_worker.py")
ROBOT = load_robot("turtlebot")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_walled_glb(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def habitat() -> Iterator[HabitatSimulator]:
    simulator = HabitatSimulator(sys.executable, worker=STANDIN)
    yield simulator
    simulator.close()


def test_what_breaks_down_is_tried_three_times() -> None:
    tries: list[int] = []

    def breaks(until: int) -> int:
        tries.append(0)
        if len(tries) < until:
            raise SimulatorLostError("gone")
        return len(tries)

    assert tried_again(lambda: breaks(3)) == 3
    tries.clear()
    with pytest.raises(SimulatorLostError):
        tried_again(lambda: breaks(9))
    assert len(tries) == 3


def test_an_episode_whose_worker_is_killed_comes_out_the_same(
    room: Path, habitat: HabitatSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = EpisodeSource.of(EvaluationSettings(scenes=str(room), episodes=1), ROBOT)
    expected = EpisodeRunner(source, habitat)(0)
    steps, real = list[int](), HabitatSimulator.try_step

    def step(self: HabitatSimulator, start: Pose, end: Pose) -> Step:
        steps.append(0)
        if len(steps) == 20:
            assert habitat.worker_pid is not None
            os.kill(habitat.worker_pid, signal.SIGKILL)
        return real(self, start, end)

    monkeypatch.setattr(HabitatSimulator, "try_step", step)
    assert EpisodeRunner(source, habitat)(0) == expected
    assert len(steps) > 40, "it was driven anew from its beginning"


def test_one_scene_that_is_broken_does_not_end_a_file_of_episodes(room: Path, tmp_path: Path) -> None:
    files = []
    for name in "abc":
        files.append(tmp_path / f"{name}.glb")
        files[-1].write_bytes(room.read_bytes())
    file = tmp_path / "one.json.gz"
    make_episodes(EvaluationSettings(scenes=str(files[0]), episodes=1), file, workers=1)
    (episode,) = load_episodes(file)
    several = [replace(episode, episode_id=f.stem, scene=replace(episode.scene, path=str(f))) for f in files]
    save_episodes(tmp_path / "all.json.gz", several)
    files[1].write_bytes(b"glTF" + bytes(40))
    found = evaluate(EvaluationSettings(episodes_file=tmp_path / "all.json.gz"), workers=1, progress=False)
    assert [record["episode_id"] for record in found.records] == ["a", "c"]
    (failure,) = found.broken
    assert "b.glb" in failure["error"]


def test_what_lies_beside_a_scene_decides_with_it(room: Path, tmp_path: Path) -> None:
    scene = tmp_path / "room.glb"
    scene.write_bytes(room.read_bytes())
    plain = EvaluationSettings(scenes=str(scene))
    through = replace(plain, sim="habitat", habitat_python=sys.executable)
    before = plain.identity(ROBOT), through.identity(ROBOT)
    scene.with_name("room.stage_config.json").write_text('{"render_asset": "room.glb", "up": [0, 0, 1]}')
    assert plain.identity(ROBOT) == before[0], "the embedded simulator reads no such file"
    assert through.identity(ROBOT) != before[1]


def test_the_worker_has_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that has sourced ROS leads every Python to the modules of ROS's own."""
    (tmp_path / "numpy.py").write_text("raise ImportError('of another Python')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    simulator = HabitatSimulator(sys.executable, worker=STANDIN)
    assert simulator.worker_versions["numpy"][0].isdigit()
    simulator.close()


def test_the_choice_reads_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NAV_HABITAT_PYTHON", "~/habitat/bin/python")
    assert Backend("habitat").interpreter == str(tmp_path / "habitat/bin/python")
    monkeypatch.setenv("NAV_HABITAT_GPU", "two")
    with pytest.raises(ValueError, match="NAV_HABITAT_GPU is 'two'"):
        Backend("habitat").simulator()

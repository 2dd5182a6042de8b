"""Trying an installation of Habitat: fake interpreters for every way in which one is broken, and the words for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from nav_foundation.cli import main
from sim_envs.habitat_check import check_habitat

# A habitat_sim that is as large as the check needs; what goes wrong in it is said by the variable `broken`.
HABITAT_SIM = '''
import os, sys, time
broken = "{broken}"
__version__ = "0.3.3"
cuda_enabled = False
if broken == "old": __version__ = "0.2.1"
if broken == "egl": raise ImportError("libEGL.so.1: cannot open shared object file: No such file or directory")
if broken == "numpy": raise ImportError("numpy.core.multiarray failed to import")
class Thing:
    def set_defaults(self): pass
class SensorType: COLOR = 1
CameraSensorSpec = AgentConfiguration = SimulatorConfiguration = NavMeshSettings = Thing
class Configuration:
    def __init__(self, settings, agents): self.settings = settings
class Finder:
    is_loaded, navigable_area = True, 32.4
    def seed(self, number): pass
    def get_random_navigable_point(self): return [0.0, 0.0, 0.0]
class Simulator:
    pathfinder = Finder()
    def __init__(self, configuration):
        self.scene, gpu = configuration.settings.scene_id, configuration.settings.gpu_device_id
        print("[12:00:00] SSD Load Failure! harmless")
        if broken == "hangs": time.sleep(60)
        if gpu >= 0:
            print("WindowlessContext: unable to find CUDA device", gpu, "among 1 EGL devices in total", flush=True)
            os.abort()
        if broken == "no egl": print("WindowlessEglApplication: eglInitialize failed", flush=True) or os.abort()
        if broken == "bad scene" and self.scene != "NONE": raise RuntimeError("cannot load " + self.scene)
    def get_sensor_observations(self):
        import numpy
        picture = numpy.zeros((64, 64, 4), numpy.uint8)
        if broken != "dark": picture[:32] = 200
        return dict(rgb=picture)
    def get_active_scene_graph(self): return self
    def get_root_node(self): return self
    @property
    def cumulative_bb(self):
        box = Thing()
        box.min, box.max = [0.0, 0.0, 0.0], [6.0, 2.5, 4.0]
        return box
    def recompute_navmesh(self, finder, settings): pass
    def get_agent(self, number): return self
    def get_state(self): return Thing()
    def set_state(self, state): pass
    def __del__(self):
        if broken == "falls over": os.abort()
'''


def fake_python(folder: Path, broken: str = "", numpy: str = "1.26.4", version: str = "") -> Path:
    """An interpreter with a habitat_sim of ours and a NumPy that says it is of another version."""
    modules = folder / "modules"
    (modules / "numpy").mkdir(parents=True)
    real = Path(__import__("numpy").__file__).parent.parent
    (modules / "numpy" / "__init__.py").write_text(
        f"import sys\nsys.path.insert(0, {str(real)!r})\nsys.path.remove({str(modules)!r})\ndel sys.modules['numpy']\n"
        f"import numpy\nnumpy.__version__ = {numpy!r}\nsys.path.insert(0, {str(modules)!r})\n"
        "sys.modules[__name__] = numpy\n"
    )
    if broken != "absent":
        (modules / "habitat_sim.py").write_text(HABITAT_SIM.replace("{broken}", broken))
    change = f"import sys; sys.version_info = {version}; " if version else ""
    script = folder / "python"
    script.write_text(
        f'#!/bin/sh\nshift\ncode="$1"\nshift\nPYTHONPATH={modules} exec {sys.executable} -S -c "{change}$code" "$@"\n'
    )
    script.chmod(0o755)
    return script


def shell(folder: Path, text: str, mode: int = 0o755) -> Path:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(mode)
    return script


def tried(python: Path, **options: object) -> tuple[list[str], str]:
    """(names of the steps that are ok, the line of the one that fails)."""
    steps = list(check_habitat(python, **options))  # type: ignore[arg-type]
    assert all(step.ok for step in steps[:-1])  # nothing is tried behind a failure
    return [step.name for step in steps if step.ok], "" if steps[-1].ok else str(steps[-1])


def test_a_whole_installation_passes_every_step(tmp_path: Path) -> None:
    scene = tmp_path / "flat.glb"
    scene.touch()
    names, failure = tried(fake_python(tmp_path), scene=scene)
    assert (names, failure) == (["Python", "NumPy", "habitat_sim", "simulator", "scene", "picture"], "")
    lines = [str(step) for step in check_habitat(fake_python(tmp_path / "b"), scene=scene)]
    assert "version 1.26.4" in lines[1] and "0.3.3, without CUDA" in lines[2] and "gpu -1" in lines[3]
    assert "6.0 x 2.5 x 4.0 m with 32 m2" in lines[4]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo hello", ["it gave no answer (hello)", "is it a Python interpreter?"]),
        ("exit 3", ["it said nothing", "is it a Python"]), ("sleep 60", ["did not answer within 1 s"]),
        ("kill -11 $$", ["ended by SIGSEGV"]),
    ],
)
def test_what_is_no_python_is_told(tmp_path: Path, text: str, words: list[str]) -> None:
    names, failure = tried(shell(tmp_path, text), timeout=1.0 if "sleep" in text else 30.0)
    assert names == [] and all(word in failure for word in words) and "\n" not in failure


def test_files_that_cannot_be_run_are_told(tmp_path: Path) -> None:
    assert "nothing/python is no file" in tried(tmp_path / "nothing/python")[1]
    assert "may not be run" in tried(shell(tmp_path, "", 0o644))[1]
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "python").write_bytes(b"\x7fELF broken")
    assert "cannot be run" in tried(tmp_path / "python")[1]


@pytest.mark.parametrize(
    ("changes", "names", "words"),
    [
        ({"version": "(3, 13, 1)"}, [], ["Python 3.13.1", "needs 3.9 to 3.12"]),
        ({"version": "(3, 8, 0)"}, [], ["Python 3.8.0"]),
        ({"numpy": "2.4.1"}, ["Python"], ["version 2.4.1", "to below 2.4"]),
        ({"broken": "absent"}, ["Python", "NumPy"], ["No module named 'habitat_sim'", "install habitat-sim into"]),
        ({"broken": "egl"}, ["Python", "NumPy"], ["libEGL.so.1", "libegl1"]),
        ({"broken": "numpy"}, ["Python", "NumPy"], ["built for another NumPy"]),
        ({"broken": "old"}, ["Python", "NumPy"], ["version 0.2.1", "use 0.2.5 to 0.3.4"]),
        ({"broken": "no egl"}, ["Python", "NumPy", "habitat_sim"], ["SIGABRT", "eglInitialize", "libgl1-mesa-dri"]),
    ],
)
def test_what_is_broken_is_told_with_its_mend(
    tmp_path: Path, changes: dict[str, str], names: list[str], words: list[str]
) -> None:
    done, failure = tried(fake_python(tmp_path, **changes), gpu=-1)
    assert done == names and all(word in failure for word in words) and "\n" not in failure, failure


def test_a_gpu_that_is_not_there_is_told_although_habitat_aborts(tmp_path: Path) -> None:
    _, failure = tried(fake_python(tmp_path), gpu=2)
    assert "gpu 2 does not work" in failure and "SIGABRT" in failure and "-1 where there is none" in failure


def test_without_the_first_gpu_it_is_tried_without_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_envs.habitat_check.glob.glob", lambda pattern: ["/dev/nvidia0"])
    *_, last = check_habitat(fake_python(tmp_path))
    assert last.ok and "draws with gpu -1" in last.told and "gpu 0 does not work" in last.told


def test_a_simulator_that_hangs_is_given_up(tmp_path: Path) -> None:
    names, failure = tried(fake_python(tmp_path, "hangs"), timeout=10.0)
    assert names[-1] == "habitat_sim" and "did not answer within 10 s" in failure


def test_falling_over_on_the_way_out_is_no_failure(tmp_path: Path) -> None:
    """Habitat does, where two simulators were open; what was asked has been answered by then."""
    assert tried(fake_python(tmp_path, "falls over"))[1] == ""


@pytest.mark.parametrize(
    ("broken", "name", "words"),
    [("", "gone.glb", "gone.glb is no file"), ("", "flat.blend", "no scene that Habitat reads"),
     ("bad scene", "flat.glb", "cannot load"), ("dark", "flat.glb", "one colour only")],
)
def test_scenes_that_do_not_work_are_told(tmp_path: Path, broken: str, name: str, words: str) -> None:
    for file in ("flat.glb", "flat.blend"):
        (tmp_path / file).touch()
    assert words in tried(fake_python(tmp_path, broken), scene=tmp_path / name)[1]


def test_the_verb_prints_a_line_a_step_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "check.json"
    python = fake_python(tmp_path / "good")
    assert main(["habitat", "check", "--habitat-python", str(python), "--json", str(report)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4 and json.loads(report.read_text())["ok"] is True
    monkeypatch.setenv("NAV_HABITAT_PYTHON", str(fake_python(tmp_path / "bad", "absent")))
    assert main(["habitat", "check", "--json", str(report)]) == 2
    out, err = capsys.readouterr()
    assert [line.split(",")[0] for line in out.splitlines()] == ["Python: ok", "NumPy: ok", "habitat_sim: fails"]
    assert "habitat_sim fails" in err and len(err.splitlines()) == 1
    found = json.loads(report.read_text())
    assert found["ok"] is False and found["steps"][-1]["name"] == "habitat_sim" and found["steps"][-1]["mend"]
    monkeypatch.delenv("NAV_HABITAT_PYTHON")
    assert main(["habitat", "check"]) == 2 and "give --habitat-python PATH" in capsys.readouterr().err

"""Is Habitat usable? Tries an installation step by step, each in a process of its own, for Habitat aborts the process.

What runs over there is the text of PROBES, with the standard library, NumPy and habitat_sim of that interpreter; a
scene is opened as the worker opens it.
"""

from __future__ import annotations

import glob
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim_envs.habitat_process import WORKER, foreign_environment

TIMEOUT = 120.0  # s for a step: a first picture by software takes 6 s, a large scene longer
PYTHONS = ((3, 9), (3, 12))  # for which conda packages or source builds exist
NUMPYS = ((1, 20), (2, 4))  # from .. to below
HABITATS = ((0, 2, 5), (0, 3, 4))  # from .. to
GUIDE = "see docs/habitat.md"
_ANSWER = "NAV_FOUNDATION "  # begins the line that is the answer, among what Habitat prints
_SCENES = (".glb", ".ply", ".stage_config.json", ".scene_instance.json")

_SAY = f"import json\ndef say(**told): print('\\n{_ANSWER}' + json.dumps(told), flush=True)\n"
_OPEN = _SAY + """
import os, sys
os.environ.setdefault("MAGNUM_LOG", "quiet"); os.environ.setdefault("HABITAT_SIM_LOG", "quiet")
import numpy as np
import habitat_sim
def opened(scene, gpu, dataset=""):
    settings = habitat_sim.SimulatorConfiguration()
    settings.scene_id, settings.gpu_device_id, settings.enable_physics = scene, gpu, False
    if dataset: settings.scene_dataset_config_file = dataset
    eye = habitat_sim.CameraSensorSpec()
    eye.uuid, eye.sensor_type, eye.resolution = "rgb", habitat_sim.SensorType.COLOR, [64, 64]
    eye.position = [0.0, 0.5, 0.0]
    agent = habitat_sim.AgentConfiguration()
    agent.sensor_specifications = [eye]
    return habitat_sim.Simulator(habitat_sim.Configuration(settings, [agent]))
def look(sim): return np.asarray(sim.get_sensor_observations()["rgb"])[..., :3]
"""
PROBES = {
    "python": _SAY + "import sys\nsay(version=list(sys.version_info[:3]))",
    "numpy": _SAY + "import numpy\nsay(version=numpy.__version__)",
    "habitat_sim": _SAY + "import habitat_sim\nsay(version=str(habitat_sim.__version__), "
                          "cuda=bool(getattr(habitat_sim, 'cuda_enabled', False)))",
    "simulator": _OPEN + "sim = opened('NONE', int(sys.argv[1]))\nsay(shape=list(look(sim).shape))",
    "scene": _OPEN + """
import importlib.util, tempfile
spec = importlib.util.spec_from_file_location("habitat_worker", sys.argv[3])
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
folder = tempfile.TemporaryDirectory()
scene, dataset = worker.scene_files(sys.argv[2], "", folder.name)
sim = opened(scene, int(sys.argv[1]), dataset)
box = sim.get_active_scene_graph().get_root_node().cumulative_bb
size = [float(box.max[k] - box.min[k]) for k in range(3)]
mesh = habitat_sim.NavMeshSettings()
mesh.set_defaults()
sim.recompute_navmesh(sim.pathfinder, mesh)
floor = float(sim.pathfinder.navigable_area) if sim.pathfinder.is_loaded else 0.0
if floor > 0:
    state = sim.get_agent(0).get_state()
    sim.pathfinder.seed(0)
    state.position = sim.pathfinder.get_random_navigable_point()
    sim.get_agent(0).set_state(state)
say(size=size, floor=floor, spread=float(look(sim).std()))
""",
}

_MENDS = (  # what a failure's last words mean
    (r"No module named '?habitat_sim", f"install habitat-sim into that environment, {GUIDE}"),
    (r"No module named '?numpy", "install numpy into that environment"),
    (r"No module named '?quaternion", "install numpy-quaternion into that environment"),
    (r"No module named", "install that module into the same environment"),
    (r"multiarray|_ARRAY_API|numpy\.core|compiled using NumPy 1",
     "habitat-sim was built for another NumPy: install one of its series, or build habitat-sim anew"),
    (r"CUDA device|no CUDA", "no such GPU is to be seen: name another with --gpu, or -1 where there is none"),
    (r"EGL|libGL|OpenGL|eglInit",
     "OpenGL without a screen is missing: install libegl1, libgl1 and libgl1-mesa-dri, or the GPU's driver with EGL"),
    (r"GLIBC", "it was built for a newer system: use the conda package, or build habitat-sim here"),
    (r"cannot open shared object", "install the system library that it names"),
)


@dataclass(frozen=True)
class Step:
    """One thing that was tried."""

    name: str
    ok: bool
    told: str  # what was found, or what is wrong
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {'ok' if self.ok else 'fails'}, {self.told}" + (f"; {self.mend}" if self.mend else "")


@dataclass(frozen=True)
class Reply:
    """What a probe answered, or how it ended without."""

    answer: dict[str, Any] | None
    wrong: str = ""

    @property
    def mend(self) -> str:
        return next((mend for pattern, mend in _MENDS if re.search(pattern, self.wrong)), "")


def check_habitat(
    python: Path, scene: Path | None = None, gpu: int | None = None, timeout: float = TIMEOUT
) -> Iterator[Step]:
    """The steps in turn, up to the first that fails. `gpu` None tries the first GPU, and then to do without."""
    found = _interpreter(python, timeout)
    yield found
    if not found.ok:
        return
    for step in (_numpy, _habitat_sim):
        done = step(python, timeout)
        yield done
        if not done.ok:
            return
    done, works = _simulator(python, gpu, timeout)
    yield done
    if done.ok and scene is not None:
        yield from _scene(python, scene, works, timeout)


def ask(python: Path, probe: str, *arguments: str, timeout: float = TIMEOUT) -> Reply:
    """Run a probe in that interpreter; however it ends, there is a reply."""
    try:
        done = subprocess.run(
            [str(python), "-c", PROBES[probe], *arguments], stdin=subprocess.DEVNULL, capture_output=True,
            timeout=timeout, text=True, errors="replace", start_new_session=True, env=foreign_environment(),
        )
    except subprocess.TimeoutExpired:
        return Reply(None, f"it did not answer within {timeout:g} s")
    except OSError as error:
        return Reply(None, f"it cannot be run ({error.strerror or error})")
    answers = [line for line in done.stdout.splitlines() if line.startswith(_ANSWER)]
    if done.returncode == 0 and answers:
        return Reply(json.loads(answers[-1][len(_ANSWER):]))
    if answers and done.returncode < 0 and probe in ("simulator", "scene"):
        return Reply(json.loads(answers[-1][len(_ANSWER):]))  # it did its work, and fell over on its way out
    return Reply(None, _ending(done.returncode, done.stderr, done.stdout))


def _ending(code: int, errors: str, output: str) -> str:
    """How a process ended, in a line, with its most telling words."""
    lines = [line.strip() for text in (output, errors) for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if any(re.search(pattern, line) for pattern, _ in _MENDS)]
    words = (telling or lines or ["it said nothing"])[-1][:200]
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"the process was ended by {name} ({words})"
    return words if code > 0 else f"it gave no answer ({words})"


def _interpreter(python: Path, timeout: float) -> Step:
    if not python.is_file():
        return Step("Python", False, f"{python} is no file", "give the path of the interpreter, such as .../bin/python")
    if not os.access(python, os.X_OK):
        return Step("Python", False, f"{python} may not be run", "give the path of the interpreter itself")
    reply = ask(python, "python", timeout=min(timeout, 30.0))
    if reply.answer is None:
        return Step("Python", False, f"{python}: {reply.wrong}", reply.mend or "is it a Python interpreter?")
    version = tuple(reply.answer["version"])
    text = f"{python} is Python {_dotted(version)}"
    if not PYTHONS[0] <= version[:2] <= PYTHONS[1]:
        return Step("Python", False, text, f"habitat-sim needs {_dotted(PYTHONS[0])} to {_dotted(PYTHONS[1])}, {GUIDE}")
    return Step("Python", True, text)


def _numpy(python: Path, timeout: float) -> Step:
    reply = ask(python, "numpy", timeout=timeout)
    if reply.answer is None:
        return Step("NumPy", False, reply.wrong, reply.mend)
    version = _numbers(reply.answer["version"])
    if not NUMPYS[0] <= version[:2] < NUMPYS[1]:
        need = f"from {_dotted(NUMPYS[0])} to below {_dotted(NUMPYS[1])}"
        return Step("NumPy", False, f"version {reply.answer['version']}", f"habitat-sim works with NumPy {need}")
    return Step("NumPy", True, f"version {reply.answer['version']}")


def _habitat_sim(python: Path, timeout: float) -> Step:
    reply = ask(python, "habitat_sim", timeout=timeout)
    if reply.answer is None:
        return Step("habitat_sim", False, reply.wrong, reply.mend or GUIDE)
    text = f"version {reply.answer['version']}, {'with' if reply.answer['cuda'] else 'without'} CUDA"
    if not HABITATS[0] <= _numbers(reply.answer["version"])[:3] <= HABITATS[1]:
        return Step("habitat_sim", False, text, f"use {_dotted(HABITATS[0])} to {_dotted(HABITATS[1])}, {GUIDE}")
    return Step("habitat_sim", True, text)


def _simulator(python: Path, gpu: int | None, timeout: float) -> tuple[Step, int]:
    """The step, and the GPU that works."""
    tried = [gpu] if gpu is not None else [0, -1] if glob.glob("/dev/nvidia[0-9]*") else [-1]
    failures: list[str] = []
    for number in tried:
        reply = ask(python, "simulator", str(number), timeout=timeout)
        if reply.answer is not None:
            how = f"draws with gpu {number}" + (" (no GPU named)" if number < 0 else "")
            return Step("simulator", True, "; ".join([how, *failures])), number
        failures.append(f"gpu {number} does not work: {reply.wrong}")
    return Step("simulator", False, "; ".join(failures), reply.mend or GUIDE), tried[-1]


def _scene(python: Path, scene: Path, gpu: int, timeout: float) -> Iterator[Step]:
    if not scene.is_file():
        yield Step("scene", False, f"{scene} is no file", f"the layouts of public datasets are told, {GUIDE}")
        return
    if not scene.name.endswith(_SCENES):
        yield Step("scene", False, f"{scene} is no scene that Habitat reads", f"give one of {', '.join(_SCENES)}")
        return
    reply = ask(python, "scene", str(gpu), str(scene.resolve()), str(WORKER), timeout=timeout)
    if reply.answer is None:
        yield Step("scene", False, f"{scene}: {reply.wrong}", reply.mend or "is the file whole?")
        return
    size, floor = " x ".join(f"{length:.1f}" for length in reply.answer["size"]), reply.answer["floor"]
    yield Step("scene", True, f"{scene.name} is {size} m with {floor:.0f} m2 of floor" + (
        "" if floor > 0 else " (which way is up in it? a stage_config.json beside it can tell)"
    ))
    if reply.answer["spread"] < 1.0:
        yield Step("picture", False, "it shows one colour only", "are the scene's textures there, and its walls?")
    else:
        yield Step("picture", True, "there is something to see")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version)[:3])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

"""Habitat's client against a worker with the embedded simulator behind it: what crosses, and every way to fail."""

from __future__ import annotations

import ast
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nav_foundation.robot import CameraSpec, Footprint, load_robot
from sim_envs.backend import Backend
from sim_envs.collection.collect import collect
from sim_envs.collection.settings import CollectSettings
from sim_envs.embedded import EmbeddedSimulator
from sim_envs.envs import NavigationEnv
from sim_envs.evaluation.episode_sets import make_episodes
from sim_envs.evaluation.evaluate import evaluate
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.habitat import HabitatSimulator
from sim_envs.habitat_process import (
    WORKER,
    HabitatProcess,
    ProtocolError,
    Refused,
    VersionError,
    WorkerDiedError,
    WorkerFailedError,
    WorkerHungError,
)
from sim_envs.simulator import Mover, Pose, SceneError, SceneRef, SimulatorError
from sim_envs.tasks.episode import TaskName
from tests.walled_room import write_walled_glb

STANDIN = Path(__file__).with_name("standin_habitat_worker.py")
FOOTPRINT = Footprint(radius=0.2, height=1.0)
CAMERA = CameraSpec(128, 128, 0.9, pitch=0.2, mount_forward=0.1, hfov_deg=79.0)
Make = Callable[..., HabitatSimulator]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneRef:
    return SceneRef("file", path=str(write_walled_glb(tmp_path_factory.mktemp("scene"))))


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[HabitatSimulator] = []

    def started(fails: str = "", **options: float) -> HabitatSimulator:
        monkeypatch.setenv("STANDIN_FAILS", fails)
        made.append(HabitatSimulator(sys.executable, worker=STANDIN, **options))  # type: ignore[arg-type]
        monkeypatch.delenv("STANDIN_FAILS")  # whoever is started again is well
        return made[-1]

    yield started
    for simulator in made:
        simulator.close()


@pytest.fixture(scope="module")
def shared(scene: SceneRef) -> Iterator[tuple[HabitatSimulator, EmbeddedSimulator]]:
    """Both in the same room; for tests that change nothing."""
    through, plain = HabitatSimulator(sys.executable, worker=STANDIN), EmbeddedSimulator()
    through.load(scene, FOOTPRINT)
    plain.load(scene, FOOTPRINT)
    yield through, plain
    through.close()


def places(simulator: EmbeddedSimulator, count: int) -> list[Pose]:
    rng = np.random.default_rng(0)
    return [Pose.at(simulator.sample_navigable(rng), rng.uniform(-3, 3)) for _ in range(count)]


def test_the_worker_runs_where_only_habitat_is_installed() -> None:
    """Python 3.9 reads it, and it imports nothing but the standard library, NumPy and habitat_sim."""
    tree = ast.parse(WORKER.read_text(), feature_version=(3, 9))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in found} - set(sys.stdlib_module_names) == {"numpy", "habitat_sim"}


# --- what crosses -----------------------------------------------------------------------------------------------------


def test_frames_are_those_of_the_simulator_behind_bit_for_bit(
    shared: tuple[HabitatSimulator, EmbeddedSimulator]
) -> None:
    through, plain = shared
    poses = places(plain, 4)
    for cameras in ([CAMERA], [replace(CAMERA, hfov_deg=50.0 + 10 * k, pitch=0.1 * k) for k in range(4)]):
        here, there = (s.render(poses, cameras, depth=True, semantic=True) for s in (through, plain))
        for name in ("rgb", "depth", "semantic"):
            np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
            assert getattr(here, name).dtype == getattr(there, name).dtype
    assert through.render(poses, [CAMERA], rgb=False, semantic=True).rgb is None


def test_a_frame_stays_when_the_next_is_drawn(shared: tuple[HabitatSimulator, EmbeddedSimulator]) -> None:
    through, plain = shared
    one, other = places(plain, 2)
    first = through.render([one], [CAMERA]).rgb
    assert first is not None
    kept = first.copy()
    through.render([other], [CAMERA])
    np.testing.assert_array_equal(first, kept)


def test_many_large_frames_cross_in_parts(
    shared: tuple[HabitatSimulator, EmbeddedSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    through, plain = shared
    monkeypatch.setattr("sim_envs.habitat._BATCH", 3 * 128 * 128 * 3)
    poses = places(plain, 8)
    np.testing.assert_array_equal(through.render(poses, [CAMERA]).rgb, plain.render(poses, [CAMERA]).rgb)


@pytest.mark.parametrize("lens", ["fisheye", "barrel", "off-centre"])
def test_other_lenses_show_what_they_would_show(
    shared: tuple[HabitatSimulator, EmbeddedSimulator], lens: str
) -> None:
    through, plain = shared
    camera = {
        "fisheye": load_robot("rover-fisheye").camera,
        "barrel": CameraSpec(160, 120, 0.8, fx=110.0, fy=112.0, cx=81.0, cy=57.0, distortion="plumb_bob",
                             coefficients=(-0.25, 0.06, 0.001, -0.002, 0.0)),
        "off-centre": CameraSpec(160, 120, 0.8, pitch=-0.3, mount_forward=0.15, fx=90.0, fy=120.0, cx=60.0, cy=70.0),
    }[lens]
    poses = places(plain, 3)
    here, there = (s.render(poses, [camera], depth=True, semantic=True) for s in (through, plain))
    assert here.rgb is not None and there.rgb is not None and here.depth is not None and there.depth is not None
    assert np.abs(here.rgb.astype(int) - there.rgb).mean() < 2.0
    assert np.median(np.abs(here.depth - there.depth)) < 0.02
    assert here.semantic is not None and (here.semantic == there.semantic).mean() > 0.97


def test_the_floor_is_that_of_the_simulator_behind(shared: tuple[HabitatSimulator, EmbeddedSimulator]) -> None:
    through, plain = shared
    poses = places(plain, 6)
    points = np.array([pose.position for pose in poses])
    for pose in poses[1:]:
        aim = replace(pose, x=pose.x + 2.0)
        assert through.try_step(pose, aim) == plain.try_step(pose, aim)
        ways = [s.geodesic(points[0], pose.position[None]) for s in (through, plain)]
        assert ways[0].distance == ways[1].distance and ways[0].goal == ways[1].goal == 0
        np.testing.assert_array_equal(ways[0].path, ways[1].path)
        off = pose.position + (0.1, 0.4, 0.1)
        np.testing.assert_array_equal(through.snap(off), plain.snap(off))
    np.testing.assert_array_equal(through.clearance(points), plain.clearance(points))
    assert through.snap(np.array([100.0, 0.0, 0.0])) is None
    here, there = through.top_down(0.1), plain.top_down(0.1)
    middles = there.centres(np.argwhere(there.grid == there.FREE))
    rows, columns = here.cells(middles).T
    assert (here.grid[rows, columns] == here.FREE).all()
    assert np.count_nonzero(here.grid == here.FREE) == len(middles)


def test_a_scene_is_described_as_by_the_simulator_behind(
    shared: tuple[HabitatSimulator, EmbeddedSimulator], scene: SceneRef
) -> None:
    here, there = (s.load(scene, FOOTPRINT) for s in shared)
    np.testing.assert_array_equal([here.lower, here.upper], [there.lower, there.upper])
    assert here.navigable_area == there.navigable_area and len(there.instances) == 8
    for one, other in zip(here.instances, there.instances):
        assert (one.id, one.category, one.is_object) == (other.id, other.category, other.is_object)
        assert (one.bottom, one.top) == (other.bottom, other.top)
        np.testing.assert_allclose(one.centre, other.centre, atol=1e-5)


# --- failures ---------------------------------------------------------------------------------------------------------


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether the process ends, and is reaped, within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(("fails", "kind", "words"), [
    ("die@2", WorkerDiedError, "killed by SIGKILL at snap"),
    ("hang@2", WorkerHungError, "no answer at snap within 5 s"),
    ("truncate@2", ProtocolError, "11 of 100 bytes"),
    ("garble@2", ProtocolError, "no JSON"),
])
def test_a_failure_says_what_happened_and_the_next_call_goes_on(
    make: Make, scene: SceneRef, fails: str, kind: type[WorkerFailedError], words: str
) -> None:
    simulator = make(fails, timeout=5.0 if "hang" in fails else 60.0)
    simulator.load(scene, FOOTPRINT)
    pid, point = simulator.worker_pid, np.array([-1.0, -1.0, 0.0])
    assert pid is not None
    with pytest.raises(kind, match=words) as caught:
        simulator.snap(point)
    what = fails.split("@")[0]
    assert f"stand-in: {what} at message 2" in str(caught.value)  # a line of its log
    assert gone(pid)
    assert simulator.snap(point) is not None
    assert simulator.worker_pid not in (pid, None)


def test_a_killed_worker_is_noticed_and_the_scene_is_loaded_again(make: Make, scene: SceneRef) -> None:
    simulator = make()
    info = simulator.load(scene, FOOTPRINT)
    before = simulator.render([Pose(-1.0, -1.0, 0.0, 0.3)], [CAMERA]).rgb
    assert simulator.worker_pid is not None
    os.kill(simulator.worker_pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        simulator.render([Pose(-1.0, -1.0, 0.0, 0.3)], [CAMERA])
    assert simulator.load(scene, FOOTPRINT).navigable_area == info.navigable_area
    np.testing.assert_array_equal(simulator.render([Pose(-1.0, -1.0, 0.0, 0.3)], [CAMERA]).rgb, before)


def test_where_a_gpu_cannot_draw_it_goes_without(
    make: Make, scene: SceneRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []
    real = HabitatProcess.call

    def call(self: HabitatProcess, name: str, **told: Any) -> Any:
        asked.append(told.get("gpu"))
        return real(self, name, **told)

    monkeypatch.setattr(HabitatProcess, "call", call)
    make("die@1").load(scene, FOOTPRINT)
    assert asked == [None, -1]
    with pytest.raises(WorkerDiedError):
        make("die@1", gpu=0).load(scene, FOOTPRINT)  # that one was asked for


def test_a_worker_that_fails_again_and_again_is_given_up_until_the_next_load(
    make: Make, scene: SceneRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = make("die@2")
    simulator.load(scene, FOOTPRINT)
    monkeypatch.setenv("STANDIN_FAILS", "die@2")
    point = np.zeros(3)
    for _ in range(2):
        with pytest.raises(WorkerDiedError):
            simulator.snap(point)
    with pytest.raises(SimulatorError, match=r"2 times in a row .*call load"):
        simulator.snap(point)
    monkeypatch.delenv("STANDIN_FAILS")
    simulator.load(scene, FOOTPRINT)
    simulator.snap(point)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_FAILS", "version@0")
    with pytest.raises(VersionError, match="version 2 of the protocol"):
        HabitatSimulator(sys.executable, worker=STANDIN)


def test_an_interpreter_without_habitat_says_so() -> None:
    with pytest.raises(VersionError, match=r"cannot import habitat_sim .*ModuleNotFoundError"):
        HabitatSimulator(sys.executable)


@pytest.mark.parametrize(("name", "text", "kind", "words"), [
    ("missing", None, SimulatorError, "cannot be started"),
    ("false", "#!/bin/sh\necho no such luck >&2\nexit 4\n", WorkerDiedError, "exit code 4 while it started(.|\n)*luck"),
])
def test_what_is_no_python_says_so(tmp_path: Path, name: str, text: str | None, kind: type, words: str) -> None:
    path = tmp_path / name
    if text:
        path.write_text(text)
        path.chmod(0o755)
    with pytest.raises(kind, match=words):
        HabitatSimulator(path)


def test_a_wrapper_may_stay_between(tmp_path: Path, scene: SceneRef) -> None:
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nshift\n{sys.executable} {STANDIN} "$@"\nexit $?\n')
    path.chmod(0o755)
    simulator = HabitatSimulator(path)
    pid = simulator.worker_pid
    assert pid is not None and simulator.load(scene, FOOTPRINT).navigable_area > 0
    simulator.close()
    assert gone(pid)


def test_a_refusal_crosses_between_processes() -> None:
    refusal = pickle.loads(pickle.dumps(Refused("off the floor", "start")))
    assert (str(refusal), refusal.kind) == ("off the floor", "start")


def test_ctrl_c_in_a_call_does_not_mix_up_answers(
    make: Make, scene: SceneRef, request: pytest.FixtureRequest
) -> None:
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it behind an &
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, handler))
    simulator = make()
    simulator.load(scene, FOOTPRINT)
    assert simulator.worker_pid is not None
    os.kill(simulator.worker_pid, signal.SIGSTOP)
    here = threading.main_thread().ident
    assert here is not None
    threading.Timer(0.3, signal.pthread_kill, (here, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        simulator.snap(np.zeros(3))
    with pytest.raises(WorkerFailedError):
        simulator.snap(np.zeros(3))
    np.testing.assert_allclose(simulator.clearance(np.array([[-1.0, -1.0, 0.0]])).shape, (1,))


def test_misuse_is_told(make: Make, scene: SceneRef, tmp_path: Path) -> None:
    simulator = make()
    for call in (lambda: simulator.snap(np.zeros(3)), lambda: simulator.render([], []), lambda: simulator.top_down(1)):
        with pytest.raises(SimulatorError, match="call load"):
            call()
    with pytest.raises(SceneError, match="does not exist"):
        simulator.load(SceneRef("file", path=str(tmp_path / "no.glb")), FOOTPRINT)
    with pytest.raises(SceneError, match="embedded simulator"):
        simulator.load(SceneRef("house", 1), FOOTPRINT)
    (tmp_path / "broken.glb").write_bytes(b"glTF")
    with pytest.raises(SceneError, match=r"broken\.glb"):
        simulator.load(SceneRef("file", path=str(tmp_path / "broken.glb")), FOOTPRINT)
    simulator.load(scene, FOOTPRINT)
    simulator.set_movers([])
    with pytest.raises(SimulatorError, match="embedded simulator only"):
        simulator.set_movers([Mover(Pose(0.0, 0.0, 0.0, 0.0))])


# --- nothing is left behind -------------------------------------------------------------------------------------------


def test_a_killed_client_takes_its_worker_along_and_leaves_nothing(scene: SceneRef) -> None:
    code = (
        "import sys, time; from sim_envs.habitat import HabitatSimulator; from tests.test_habitat_process import *\n"
        "s = HabitatSimulator(sys.executable, worker=STANDIN)\n"
        f"s.load(SceneRef('file', path={scene.path!r}), FOOTPRINT)\n"
        "s.render([Pose(-1.0, -1.0, 0.0, 0.0)], [CAMERA]); print(s.worker_pid, flush=True); time.sleep(60)"
    )
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=STANDIN.parents[1])
    assert client.stdout is not None
    pid = int(client.stdout.readline())
    mapped = Path(f"/proc/{pid}/maps").read_text()
    client.kill()
    client.wait()
    client.stdout.close()
    assert gone(pid) or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"  # waits for init, where there is one
    # What both shared had no name, so that it went with them.
    assert "/memfd:habitat-pictures (deleted)" in mapped and "/dev/shm/" not in mapped


def test_a_worker_outlives_the_thread_that_started_it(make: Make, scene: SceneRef) -> None:
    made: list[HabitatSimulator] = []
    thread = threading.Thread(target=lambda: made.append(make()))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert made[0].load(scene, FOOTPRINT).navigable_area > 0


def test_ten_thousand_round_trips_leak_nothing(shared: tuple[HabitatSimulator, EmbeddedSimulator]) -> None:
    through, plain = shared
    point, pid = places(plain, 1)[0].position, through.worker_pid
    small = replace(CAMERA, width=16, height=16)

    def trips(count: int) -> tuple[int, ...]:
        for _ in range(count):
            through.snap(point)
        through.render([Pose.at(point, 0.0)] * 50, [small])
        of_worker = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
        own = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        return own, of_worker, len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{pid}/fd"))

    trips(1000)
    before, after = trips(1000), trips(10_000)
    assert after[2:] == before[2:]
    assert max(after[0] - before[0], after[1] - before[1]) < 8 << 20


def test_workers_that_are_closed_are_reaped_and_give_back_what_they_had(scene: SceneRef) -> None:
    HabitatProcess(sys.executable, worker=STANDIN).close()
    before, pids = len(os.listdir("/proc/self/fd")), []
    for _ in range(3):
        process = HabitatProcess(sys.executable, worker=STANDIN)
        pids.append(process.pid)
        del process  # as when nobody closes it
    assert all(gone(pid) for pid in pids)
    assert len(os.listdir("/proc/self/fd")) == before


# --- the choice -------------------------------------------------------------------------------------------------------


def test_the_choice_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAV_HABITAT_PYTHON", raising=False)
    with pytest.raises(ValueError, match="--habitat-python PATH"):
        Backend("habitat")
    with pytest.raises(ValueError, match="habitat"):
        Backend("habitta")  # type: ignore[arg-type]
    monkeypatch.setenv("NAV_HABITAT_PYTHON", "/usr/bin/python3")
    assert Backend("habitat").interpreter == "/usr/bin/python3"
    assert isinstance(Backend().simulator(), EmbeddedSimulator)


@pytest.fixture
def interpreter(tmp_path: Path) -> str:
    """An interpreter that runs the stand-in whatever worker it is given."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} {STANDIN} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["point-goal", "image-goal"])
def test_an_evaluation_comes_out_the_same(interpreter: str, scene: SceneRef, tmp_path: Path, task: TaskName) -> None:
    """The same episodes, with two workers that have a Habitat process each, and without."""
    file = tmp_path / "episodes.json.gz"
    make_episodes(EvaluationSettings(task=task, scenes=str(scene), episodes=3), file, workers=1)
    plain = EvaluationSettings(task=task, episodes_file=file)
    through = replace(plain, sim="habitat", habitat_python=interpreter)
    here, there = evaluate(through, workers=2, progress=False), evaluate(plain, workers=1, progress=False)
    assert here.records == there.records and len(here.records) == 3
    assert "Habitat" in here.title and "Habitat" not in there.title


@pytest.mark.slow
def test_drives_are_collected_with_it(interpreter: str, scene: SceneRef, tmp_path: Path) -> None:
    settings = CollectSettings(
        scenes=str(scene), tasks=("point-goal",), episodes=2, robot="turtlebot", people=(0, 0), sim="habitat",
        habitat_python=interpreter)
    first, second = (collect(settings, tmp_path / name, workers, progress=False)
                     for name, workers in (("one", 1), ("two", 2)))
    assert first.new_frames == second.new_frames > 10 and not first.failures
    other = replace(settings, habitat_python="/elsewhere/python")
    assert other.digest == settings.digest != replace(settings, sim="embedded", habitat_python="").digest


def test_an_environment_takes_the_choice(interpreter: str, scene: SceneRef) -> None:
    env = NavigationEnv("point-goal", scenes=[str(scene)], simulator=Backend("habitat", interpreter))
    observation, _ = env.reset(seed=0)
    assert observation["rgb"].any()
    env.step(env.action_space.sample())
    env.close()

"""What Habitat in a process of its own costs: `python benchmarks/habitat.py` measures and appends to results.md.

Without Habitat the worker is the tests' stand-in, which shows the messages and the hand-over alone. With
`--habitat-python PATH --scene FILE.glb` both simulators are compared as well: their frames, their depths and ways, and
what the oracle reaches in the same episodes. `--scene house:2` writes that house to a file for both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from benchmarks.measuring import Row, append  # noqa: E402
from nav_foundation.robot import CameraSpec, Footprint  # noqa: E402
from sim_envs.embedded import EmbeddedSimulator  # noqa: E402
from sim_envs.embedded.simulator import build_mesh  # noqa: E402
from sim_envs.evaluation.episode_sets import make_episodes  # noqa: E402
from sim_envs.evaluation.evaluate import evaluate  # noqa: E402
from sim_envs.evaluation.settings import EvaluationSettings  # noqa: E402
from sim_envs.habitat import HabitatSimulator  # noqa: E402
from sim_envs.habitat_frame import to_habitat  # noqa: E402
from sim_envs.simulator import Pose, SceneRef, Simulator  # noqa: E402
from tests.simulator_contract import room  # noqa: E402

FOOTPRINT = Footprint(radius=0.2, height=1.0)
CAMERA = CameraSpec(128, 128, 1.0, hfov_deg=79.0)
STANDIN = ROOT / "tests" / "standin_habitat_worker.py"
TRIPS, EPISODES = 2000, 20


def median_ms(call: Callable[[], object], repetitions: int = TRIPS) -> float:
    """Milliseconds of a call, once it has run before."""
    call()
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def measure_messages(simulator: HabitatSimulator, plain: EmbeddedSimulator) -> list[Row]:
    """What crossing costs. The worker draws a picture once and gives it again from then on."""
    point = np.array([[0.0, 0.0, 0.0]])
    trip, own = median_ms(lambda: simulator.clearance(point)), median_ms(lambda: plain.clearance(point))
    pose = [Pose(0.0, 0.0, 0.0, 0.0)]
    picture = median_ms(lambda: simulator.render(pose, [CAMERA]))
    return [
        Row("round trip without rendering", trip, "ms", "< 0.3",
            f"clearance at a point; {own:.3f} ms without a worker"),
        Row("hand-over of 128x128 RGB", picture, "ms", "< 0.2",
            "a picture that the worker has already: message, copy to memory, answer, copy from memory"),
    ]


def measure_frames(name: str, simulator: Simulator, poses: Sequence[Pose]) -> list[Row]:
    rows = []
    for depth in (False, True):
        one_by_one = median_ms(lambda depth=depth: [  # type: ignore[misc]
            simulator.render([pose], [CAMERA], depth=depth) for pose in poses], 5) / len(poses)
        batch = median_ms(lambda depth=depth: simulator.render(poses, [CAMERA], depth=depth), 5) / len(poses)  # type: ignore[misc]
        what = "RGB + depth" if depth else "RGB"
        rows.append(Row(f"{name}, 128x128 {what}", 1e3 / one_by_one, "frames/s", "",
                        f"{len(poses)} random places, one by one; {1e3 / batch:,.0f} in one call"))
    return rows


def compare_frames(python: str, scene: Path) -> list[Row]:
    """Both simulators on one file, at the same places, and how far their depths differ."""
    ref, rng = SceneRef("file", path=str(scene)), np.random.default_rng(0)
    plain, habitat = EmbeddedSimulator(), HabitatSimulator(python)
    for simulator in (plain, habitat):
        simulator.load(ref, FOOTPRINT)
    poses = [Pose.at(plain.sample_navigable(rng), rng.uniform(-3, 3)) for _ in range(100)]
    rows = measure_frames("embedded", plain, poses) + measure_frames("Habitat", habitat, poses)
    here, there = (s.render(poses, [CAMERA], rgb=False, depth=True).depth for s in (plain, habitat))
    assert here is not None and there is not None
    lengths = []
    for _ in range(100):
        start, goal = plain.sample_navigable(rng), plain.sample_navigable(rng)
        ways = [s.geodesic(start, goal[None]).distance for s in (plain, habitat)]
        if np.isfinite(ways).all() and ways[0] > 1.0:
            lengths.append(abs(ways[1] / ways[0] - 1))
    versions = ", ".join(f"{name} {version}" for name, version in habitat.worker_versions.items())
    habitat.close()
    return [
        *rows,
        Row("depth, embedded against Habitat", float(np.median(np.abs(here - there))) * 100, "cm", "< 2",
            f"median over all pixels of {len(poses)} places; {versions}"),
        Row("geodesics, embedded against Habitat", float(np.quantile(lengths, 0.95)) * 100, "%", "< 5",
            f"difference that 95 % of {len(lengths)} ways of over 1 m stay below; median {np.median(lengths):.2%}"),
    ]


def compare_oracle(python: str, scene: Path, folder: Path) -> list[Row]:
    """The same point goals, made in the embedded simulator, in both."""
    file = folder / "episodes.json.gz"
    make_episodes(EvaluationSettings(scenes=str(scene), episodes=EPISODES), file, workers=1)
    here = EvaluationSettings(episodes_file=file)
    rows = []
    for name, settings in (("embedded", here), ("Habitat", replace(here, sim="habitat", habitat_python=python))):
        found = evaluate(settings, workers=1, progress=False)
        for metric in ("success", "spl"):
            estimate = found.summary[metric]
            assert estimate is not None
            rows.append(Row(f"oracle, {metric}, {name}", estimate.mean, "", "equal",
                            f"[{estimate.low:.3f}, {estimate.high:.3f}], {len(found.records)} point goals"))
    return rows


def as_file(scene: SceneRef, folder: Path) -> Path:
    """A made scene as a .glb, each of its materials in one colour."""
    mesh = build_mesh(scene)
    plain = [
        np.ones(3) if m.texture is None else m.texture.reshape(-1, 3).mean(axis=0) / 255 for m in mesh.materials
    ]
    colours = 255 * np.array([texture * m.colour for texture, m in zip(plain, mesh.materials)])
    made = trimesh.Trimesh(to_habitat(mesh.vertices), mesh.faces, process=False)  # y up, as in every .glb
    made.unmerge_vertices()
    made.visual = trimesh.visual.ColorVisuals(made, vertex_colors=colours[mesh.material].repeat(3, axis=0))
    path = folder / f"{scene.kind}{scene.seed}.glb"
    made.export(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Habitat in a process of its own")
    parser.add_argument("--habitat-python", default="", help="the Python that has habitat_sim")
    parser.add_argument("--scene", help="a .glb for both simulators to show, or house:SEED")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.md", help="where to append")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    if bool(options.habitat_python) != bool(options.scene):
        parser.error("give --habitat-python and --scene together, or neither")
    with tempfile.TemporaryDirectory() as folder:
        ref = SceneRef("file", path=str(room(Path(folder) / "room.glb")))
        os.environ["STANDIN_REPEATS"] = "1"
        worker, plain = HabitatSimulator(sys.executable, worker=STANDIN), EmbeddedSimulator()
        for simulator in (worker, plain):
            simulator.load(ref, FOOTPRINT)
        rows = measure_messages(worker, plain)
        worker.close()
        del os.environ["STANDIN_REPEATS"]
        if options.habitat_python:
            ref = SceneRef.parse(options.scene)
            scene = Path(ref.path) if ref.kind == "file" else as_file(ref, Path(folder))
            rows += compare_frames(options.habitat_python, scene)
            rows += compare_oracle(options.habitat_python, scene, Path(folder))
    for row in rows:
        print(f"{row.what:38s} {row.value:10,.4g} {row.unit:9s} target {row.target:6s} ({row.detail})")
    if not options.no_save:
        append(options.results, "Habitat", f"medians of {TRIPS} calls; first ones left out", rows)


if __name__ == "__main__":
    main()

"""How fast the embedded simulator is: `python benchmarks/simulator.py` measures and appends to benchmarks/results.md.

Compilation and first calls are left out everywhere. Rates are medians of several repetitions by the clock on the wall;
processor time is given beside them, because other work on the machine changes the former and hardly the latter.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from benchmarks.measuring import Row, measure  # noqa: E402
from nav_foundation.robot import CameraSpec, Footprint, load_robot  # noqa: E402
from sim_envs.embedded.renderer import Renderer  # noqa: E402
from sim_envs.embedded.simulator import EmbeddedSimulator  # noqa: E402
from sim_envs.embedded.tessellation import tessellate  # noqa: E402
from sim_envs.mesh import SceneMesh  # noqa: E402
from sim_envs.simulator import Pose, SceneRef  # noqa: E402

REPETITIONS = 7
FOOTPRINT = Footprint(radius=0.18, height=0.4)
HEIGHT = 1.0  # m, of the camera
HOUSE_TRIANGLES = 30_000


@dataclass(frozen=True)
class Timing:
    wall: float  # s
    processor: float  # s, of all threads


def timing(run: Callable[[], object]) -> Timing:
    """Median times of `run`, once it has run before."""
    run()
    times = []
    for _ in range(REPETITIONS):
        wall, processor = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    return Timing(*map(statistics.median, zip(*times)))


def camera(width: int, height: int) -> CameraSpec:
    return CameraSpec(width, height, HEIGHT, hfov_deg=79.0)


def furnished_house() -> tuple[SceneRef, SceneMesh]:
    """The first house with enough triangles."""
    from sim_envs.scenes.houses.house import build_house

    for seed in range(500):
        mesh = build_house(seed)
        if len(mesh.faces) >= HOUSE_TRIANGLES:
            return SceneRef("house", seed), mesh
    raise SystemExit(f"none of 500 houses has {HOUSE_TRIANGLES} triangles: lower HOUSE_TRIANGLES")


def indoor_poses(mesh: SceneMesh, count: int) -> list[Pose]:
    """Places a robot can be at, looking anywhere."""
    simulator, rng = EmbeddedSimulator(), np.random.default_rng(0)
    simulator.load_mesh(mesh, FOOTPRINT)
    return [random_pose(simulator, rng) for _ in range(count)]


def random_pose(simulator: EmbeddedSimulator, rng: np.random.Generator) -> Pose:
    x, y, z = simulator.sample_navigable(rng)
    return Pose(x, y, z, rng.uniform(-math.pi, math.pi))


def draw_all(renderer: Renderer, poses: Sequence[Pose], view: CameraSpec, threads: int) -> Timing:
    """Drawing RGB + depth of every pose, per frame, the poses dealt out to threads."""
    shares = [poses[k::threads] for k in range(threads)]

    def draw(share: Sequence[Pose]) -> None:
        renderer.render(share, [view] * len(share), rgb=True, depth=True, semantic=False)

    if threads == 1:
        taken = timing(lambda: draw(poses))
    else:
        with ThreadPoolExecutor(threads) as pool:
            taken = timing(lambda: list(pool.map(draw, shares)))
    return Timing(taken.wall / len(poses), taken.processor / len(poses))


def measure_frames() -> list[Row]:
    ref, mesh = furnished_house()
    load = timing(lambda: Renderer(mesh))
    renderer, poses, view = Renderer(mesh), indoor_poses(mesh, 200), camera(128, 96)
    one, two = (draw_all(renderer, poses, view, threads) for threads in (1, 2))
    detail = f"{ref}, {len(mesh.faces):,} triangles, 200 random places, 128x96 RGB + depth; {used(one)}"
    return [
        Row("house frames, one core", 1 / one.wall, "frames/s", ">= 250", detail),
        Row("house frames, two threads", one.wall / two.wall, "x", ">= 1.7",
            f"{1 / two.wall:,.0f} frames/s; {used(two)}"),
        Row("house made ready to draw", load.wall, "s", "", f"with its light; {load.processor:.2f} s of processor"),
    ]


def used(per_frame: Timing) -> str:
    return f"{per_frame.processor * 1e3:.2f} ms of processor time a frame"


def measure_large() -> list[Row]:
    ref, house = furnished_house()
    poses, view = indoor_poses(house, 100), camera(128, 128)
    ones, twos, counts = [], [], []
    for triangles in (75_000, 750_000):
        mesh = detailed(house, triangles)
        renderer = Renderer(mesh)
        counts.append(len(mesh.faces))
        ones.append(draw_all(renderer, poses, view, 1))
        twos.append(draw_all(renderer, poses, view, 2))
    detail = f"{ref} divided and roughened to {counts[1]:,} triangles, all textured, 128x128 RGB + depth"
    return [
        Row("large mesh, two threads", 1 / twos[1].wall, "frames/s", ">= 150", f"{detail}; {used(twos[1])}"),
        Row("large mesh, one core", 1 / ones[1].wall, "frames/s", "", used(ones[1])),
        Row("cost of ten times the triangles", ones[1].processor / ones[0].processor, "x", "<= 2",
            f"processor time against {counts[0]:,} triangles; {used(ones[0])}"),
    ]


def detailed(mesh: SceneMesh, triangles: int) -> SceneMesh:
    """A mesh divided into about so many triangles, its surfaces made uneven by millimetres, every material textured."""
    texture = np.random.default_rng(1).integers(90, 256, (256, 256, 3)).astype(np.uint8)
    materials = tuple(m if m.texture is not None else replace(m, texture=texture) for m in mesh.materials)
    low, high = 0.005, 2.0
    while high / low > 1.01:
        edge = math.sqrt(low * high)
        low, high = (edge, high) if len(tessellate(mesh, edge).faces) > triangles else (low, edge)
    fine = tessellate(mesh, low)
    x, y, z = fine.vertices.T.astype(np.float64) * 23.0
    bump = 0.003 * np.sin(x + 1.7 * np.sin(y)) * np.sin(y + 1.3 * np.sin(z)) * np.sin(z + 1.1 * np.sin(x))
    return replace(fine, vertices=(fine.vertices + bump[:, None]).astype(np.float32), materials=materials)


def measure_steps() -> list[Row]:
    import gymnasium

    import sim_envs  # noqa: F401  registers the environments

    env = gymnasium.make("NavFoundation/PointGoal-v0")
    env.action_space.seed(0)
    env.reset(seed=0)
    wall, processor, resets = [], [], []
    for episode in range(5):
        start = time.perf_counter()
        env.reset()
        resets.append(time.perf_counter() - start)
        for _ in range(100):
            action = env.action_space.sample()
            action[-1] = 0.0  # drive on, never stop
            start, used_before = time.perf_counter(), time.process_time()
            _, _, terminated, truncated, _ = env.step(action)
            if episode:  # the first one warms up
                wall.append(time.perf_counter() - start)
                processor.append(time.process_time() - used_before)
            if terminated or truncated:
                break
    env.close()
    detail = (
        f"PointGoal-v0, turtlebot, seed 0, {len(wall)} random drives of 0.2 s in 20 Hz control, collisions included; "
        f"{sum(processor) / len(processor) * 1e3:.2f} ms of processor time a step"
    )
    return [
        Row("environment steps, one core", len(wall) / sum(wall), "steps/s", ">= 150", detail),
        Row("environment reset", statistics.median(resets), "s", "", "median, in the scene already loaded"),
    ]


def measure_city() -> list[Row]:
    """In a process of its own, for an honest peak of memory."""
    reply = subprocess.run(
        [sys.executable, __file__, "--city-alone"], capture_output=True, text=True, check=True, cwd=ROOT)
    found = json.loads(reply.stdout.splitlines()[-1])
    detail = f"city:0?size=1000, {found['triangles']:,} triangles, fresh process, compiled code cached; "
    detail += f"{found['processor']:.1f} s of processor time"
    return [
        Row("1 km x 1 km city load", found["seconds"], "s", "< 20", detail),
        Row("1 km x 1 km city peak memory", found["gigabytes"], "GB", "< 4", "whole process"),
        Row("city frames, one core", found["frames"], "frames/s", "",
            f"128x96 RGB + depth with sun shadows; {found['frame'] * 1e3:.2f} ms of processor time a frame"),
    ]


def city_alone() -> None:
    import resource

    from sim_envs.embedded.simulator import build_mesh

    simulator, rng = EmbeddedSimulator(), np.random.default_rng(0)
    robot = load_robot("jackal")
    start, used_before = time.perf_counter(), time.process_time()
    simulator.load(SceneRef("city", 0, 1000.0), robot.footprint)
    seconds, processor = time.perf_counter() - start, time.process_time() - used_before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    poses = [random_pose(simulator, rng) for _ in range(100)]
    drawing = timing(lambda: simulator.render(poses, [camera(128, 96)], depth=True))
    print(json.dumps({
        "seconds": seconds, "processor": processor, "gigabytes": peak, "frames": 100 / drawing.wall,
        "frame": drawing.processor / 100, "triangles": len(build_mesh(SceneRef("city", 0, 1000.0)).faces),
    }))


PARTS: dict[str, Callable[[], list[Row]]] = {
    "frames": measure_frames, "large": measure_large, "steps": measure_steps, "city": measure_city,
}


def main() -> None:
    if "--city-alone" in sys.argv:
        city_alone()
    else:
        conditions = f"medians of {REPETITIONS} repetitions; compilation and the first call left out"
        measure(PARTS, "Embedded simulator", conditions)


if __name__ == "__main__":
    main()

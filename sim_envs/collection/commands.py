"""The verb `collect`. Imports what is costly only when it runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_foundation.config import listed
from sim_envs.backend import add_sim_options

if TYPE_CHECKING:
    from sim_envs.collection.collect import Collected

_SEEDS_APART = 1000  # more than a DAgger has rounds; seeds of plain collections are rarely so large
Verb = Callable[..., argparse.ArgumentParser]  # cli._verb: (verbs, name, run, about, examples) -> its parser


def add_collect(verbs: Any, verb: Verb) -> None:
    parser = verb(verbs, "collect", _collect, "drive in simulation and keep what is seen, to learn from", """\
  nav-foundation collect --episodes 1000 --out drives
  nav-foundation collect --task tour,explore --robot turtlebot --noise off --people 0 --episodes 200 --out drives
  nav-foundation collect --policy random --relabel --episodes 100 --out corrections
  nav-foundation collect --episodes 100000 --engine ray --out drives    (RAY_ADDRESS names the cluster)

An expert drives that knows no more than a learner could: goals that were not in view are looked for first. With
--policy that one drives, and with --relabel the expert says for every frame what it would have done. The same command
goes on where it was stopped, and a larger --episodes adds to what is there.""")
    add = parser.add_argument
    add("--scenes", metavar="WHERE", help="houses, city, house:SEED, city:SEED?size=METRES or a mesh file "
        "(default houses)")
    add("--task", metavar="LIST", help="some of point-goal, image-goal, object-goal, instruction, tour, explore, in "
        "turn (default tour,image-goal,explore,instruction)")
    add("--episodes", type=int, metavar="N", help="how many (default 100)")
    add("--robot", metavar="NAME", help="random, a shipped robot or a .yaml file (default random); go2 and "
        "rover-fisheye are best kept for testing")
    add("--noise", choices=("on", "off"), metavar="on|off", help="camera, light, actuation and odometry (default on)")
    add("--people", type=int, metavar="MAX", help="at most so many people walk about (default 3)")
    add("--perturb", type=float, metavar="0..1", help="strength of pushes to recover from (default 0.5)")
    add("--recovery", type=float, metavar="0..1", help="share that begins in an awkward place (default 0.2)")
    add("--policy", metavar="NAME", help="who drives instead of the expert, as for eval")
    add("--relabel", action="store_true", default=None, help="let the expert label what the policy meets")
    add("--expert-share", type=float, metavar="0..1", help="of the time for which the expert takes over (default 0)")
    add("--frame-rate", type=float, metavar="HZ", help="of all robots (default 5)")
    add("--depth", action="store_true", default=None, help="keep depth images as well")
    add("--split", metavar="SPLIT", help="scenes of train or val (default train)")
    add("--seed", type=int, metavar="S", help="another seed makes other scenes and drives (default 0)")
    add_sim_options(parser)
    add("--workers", type=int, metavar="W", help="processes; the result does not depend on it (default: one per CPU)")
    add("--engine", choices=("processes", "ray"), default="processes", metavar="NAME", help="processes or ray")
    add("--out", type=Path, required=True, metavar="DIR", help="the dataset, new or to go on with")


def _collect(options: argparse.Namespace) -> None:
    import dataclasses

    from sim_envs.collection.collect import collect
    from sim_envs.collection.settings import CollectSettings

    names = [field.name for field in dataclasses.fields(CollectSettings)]
    given: dict[str, Any] = {n: getattr(options, n) for n in names if getattr(options, n, None) is not None}
    if "noise" in given:
        given["noise"] = given["noise"] == "on"
    if "people" in given:
        given["people"] = (0, given["people"])
    if options.task is not None:
        given["tasks"] = listed(options.task)
    workers = _cpus() if options.workers is None else options.workers
    print(summary(collect(CollectSettings(**given), options.out, workers, options.engine), workers))


def collector(options: argparse.Namespace) -> Callable[[Path, int, Path], None]:
    """For DAgger: collects the drives of a round with what was learnt before."""

    def collect_round(network: Path, number: int, out: Path) -> None:
        from sim_envs.collection.collect import collect
        from sim_envs.collection.settings import CollectSettings

        settings = CollectSettings(
            options.scenes, listed(options.task), options.episodes, policy=str(network), relabel=True, perturb=0.0,
            expert_share=options.expert_share, depth=True, seed=_SEEDS_APART * (options.seed + 1) + number,
        )
        print(summary(collect(settings, out, options.workers), options.workers), flush=True)

    return collect_round


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def summary(collected: Collected, workers: int) -> str:
    """What the dataset holds now, and how fast the new part was made."""
    from collections import defaultdict

    from nav_foundation.data.dataset import EpisodeDataset
    from nav_foundation.geometry import path_length
    from sim_envs.evaluation.tables import table

    dataset = EpisodeDataset(collected.folder)
    rows: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0, 0])  # by task: drives, frames, metres, reached
    for episode in range(dataset.episodes):
        info = dataset.info(episode)
        of_drive = (1, int(dataset.lengths[episode]), path_length(dataset.poses(episode)[:, :2]),
                    bool((info.notes or {}).get("reached")))
        for name in ((info.goal or {}).get("type", "drive"), "all"):
            rows[name] = [a + b for a, b in zip(rows[name], of_drive)]
    rows["all"] = rows.pop("all")  # last
    hours = {name: frames / dataset.frame_rate / 3600 for name, (_, frames, _, _) in rows.items()}
    size = sum(file.stat().st_size for file in collected.folder.rglob("*") if file.is_file())
    lines = [
        table(["task", "drives", "frames", "hours", "metres", "reached"],
              [[name, f"{n:.0f}", f"{frames:.0f}", f"{hours[name]:.2f}", f"{metres:.0f}", f"{reached / n:.0%}"]
               for name, (n, frames, metres, reached) in rows.items()]),
        f"\n{collected.folder}: {size / 1e6:.0f} MB, {size / 1e6 / max(hours['all'], 1e-9):.0f} MB per hour of driving",
    ]
    if collected.new_frames:
        speed = collected.new_frames / collected.seconds
        lines.append(f"new: {collected.new_frames} frames in {collected.seconds:.0f} s, "
                     f"{speed:.0f} frames/s, {speed / workers:.0f} per worker")
    if collected.failures:
        number, why = min(collected.failures.items())
        lines.append(f"{len(collected.failures)} could not be made; the first one (number {number}): {why}")
    return "\n".join(lines)

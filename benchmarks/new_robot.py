"""Half an hour of a robot that no network has met, ten minutes of learning: `python benchmarks/new_robot.py`.

rover-fisheye drives through cities with an expert. A network is fine-tuned on that and another one begins with new
weights, each for the steps of the same minutes; then both and the network as it was drive to the same goals in
unseen cities. What is finished is not done again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from benchmarks.measuring import Row, append, gained  # noqa: E402
from nav_foundation.data.dataset import EpisodeDataset  # noqa: E402
from nav_foundation.model.folder import named  # noqa: E402
from nav_foundation.training.finetune import tune_settings  # noqa: E402
from nav_foundation.training.settings import TrainSettings  # noqa: E402
from nav_foundation.training.train import train  # noqa: E402
from sim_envs.collection.collect import collect  # noqa: E402
from sim_envs.collection.settings import CollectSettings  # noqa: E402
from sim_envs.evaluation.evaluate import Evaluation, evaluate  # noqa: E402
from sim_envs.evaluation.settings import EvaluationSettings  # noqa: E402
from sim_envs.metrics import success_interval  # noqa: E402

ROBOT, MORE = "rover-fisheye", 6  # drives at a time
TRIAL = 1_000_000  # steps, never reached: the time ends it
POINT = partial(EvaluationSettings, task="point-goal", distance=(2.0, 10.0))
ROUTE = partial(EvaluationSettings, task="image-goal", variant="route", distance=(2.0, 6.0))
TRIALS = {"point goal, 2-10 m": POINT, "image goal on a route, 2-6 m": ROUTE}


def drives_of(minutes: float, out: Path, workers: int) -> float:
    """Drives of at least so many minutes in `out`; how many minutes these are."""
    tried, driven = 0, 0.0
    while driven < minutes:
        tried += MORE
        tasks = ("point-goal", "image-goal", "tour")
        collect(CollectSettings("city", tasks, tried, ROBOT, seed=31, depth=True), out, workers)
        drives = EpisodeDataset(out)
        stamps = [drives.stamps_ns(index) for index in range(drives.episodes)]
        driven = float(sum(times[-1] - times[0] for times in stamps)) / 6e10
    return driven


def learnt(settings: TrainSettings, out: Path, minutes: float, begin_with: Path | None) -> Path:
    """A network that has learnt for as many steps as fit into that time, which a minute's trial tells."""
    fitting = out / "steps"
    if not fitting.is_file():
        with tempfile.TemporaryDirectory() as trial:
            short = min(1.0, minutes)
            made = train(replace(settings, steps=TRIAL), Path(trial) / "run", begin_with=begin_with, minutes=short)
        out.mkdir(parents=True, exist_ok=True)
        fitting.write_text(str(max(1, round(made.steps * minutes / short))), encoding="utf-8")
    steps = int(fitting.read_text(encoding="utf-8"))
    return train(replace(settings, steps=steps), out, resume=True, begin_with=begin_with).folder


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="begin_with", type=named, default="nano", help="the network (default nano)")
    parser.add_argument("--driven", type=float, default=30.0, help="minutes of drives (default 30)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each training (default 10)")
    parser.add_argument("--episodes", type=int, default=40, help="of each trial (default 40)")
    parser.add_argument("--workers", type=int, default=2, help="(default 2)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "new-robot")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.md", help="where to append")
    options = parser.parse_args(arguments)
    data = options.out / "drives"
    driven = drives_of(options.driven, data, options.workers)
    tuned = tune_settings((str(data),))
    fresh = replace(tuned, rate=1e-3, warmup=50)
    networks = {
        "as it was": options.begin_with,
        "fine-tuned": learnt(tuned, options.out / "tuned", options.minutes, options.begin_with),
        "from scratch": learnt(fresh, options.out / "fresh", options.minutes, None),
    }
    rows = [Row("drives", driven, "min", "30", f"{ROBOT} in cities")]
    for what, trial in TRIALS.items():
        done = dict[str, Evaluation]()
        for name, network in networks.items():
            settings = trial(policy=str(network), scenes="city", robot=ROBOT, noise=True, episodes=options.episodes)
            notes = options.out / f"{settings.task}-{name.replace(' ', '-')}.jsonl"
            done[name] = evaluate(settings, options.workers, notes, existing="keep")
            share = success_interval([record["success"] for record in done[name].records])
            rows.append(Row(f"{what}: {name}", share.mean, "SR", "", f"{share}, {options.episodes} episodes"))
            print(rows[-1], flush=True)
        for name in ("as it was", "from scratch"):
            gain = gained(done[name].records, done["fine-tuned"].records)
            rows.append(Row(f"fine-tuned - {name}", gain.mean, "SR", "> 0", f"{gain}, paired"))
    steps = ", ".join(f"{name} {(options.out / name / 'steps').read_text()} steps" for name in ("tuned", "fresh"))
    append(options.results, "A new robot", f"{options.minutes:g} minutes of training each: {steps}", rows)


if __name__ == "__main__":
    main()

"""Our network beside ViNT, the same data and the same wall time: `python benchmarks/training.py --data runs/houses`.

Both are trained from new weights, one after the other, with two processes where there is no GPU; then both drive to the
same image goals in unseen houses. A minute's trial before each tells how many steps fit in, so that its learning rate
has fallen when the time is over. What is finished is not done again; what was stopped half-way has to be removed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from benchmarks.measuring import Row, append, gained  # noqa: E402
from nav_foundation.files import write_json  # noqa: E402
from sim_envs.evaluation.evaluate import Evaluation, evaluate  # noqa: E402
from sim_envs.evaluation.settings import EvaluationSettings  # noqa: E402
from sim_envs.metrics import success_interval  # noqa: E402

TRIALS = {"on a route": ("route", (2.0, 6.0)), "in view of the start": ("covisible", None)}  # variant, m
MODELS = {"vint": ("--batch", "64", "--rate", "5e-4"), "nano": ("--batch", "16", "--rate", "1e-3")}
ENDLESS = 1_000_000  # steps, never reached: the time ends it


def train(model: str, data: Sequence[str], minutes: float, processes: int, out: Path) -> float:
    """Pairs that teach, per second; `out`/model is the network."""
    done = out / "rate.json"
    if done.is_file():
        return float(json.loads(done.read_text()))
    with tempfile.TemporaryDirectory() as trial:
        steps, _ = _run(model, data, min(1.0, minutes), ENDLESS, processes, Path(trial) / model)
    fitting = max(1, round(steps * minutes / min(1.0, minutes)))
    _, rate = _run(model, data, minutes, fitting, processes, out)
    write_json(done, rate)
    return rate


def _run(
    model: str, data: Sequence[str], minutes: float, steps: int, processes: int, out: Path
) -> tuple[int, float]:
    """(steps made, pairs per second)."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes), "-m"]
    command = [
        *launch, "nav_foundation.cli", "train", "--model", model, "--data", *data, "--steps", str(steps),
        "--minutes", str(minutes), "--workers", "0", "--out", str(out), *MODELS[model],
    ]
    told = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"} if processes > 1 else {}
    done = subprocess.run(command, env={**os.environ, **told}, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    found = re.search(r"(\d+) of \d+ steps, ([\d.]+) pairs/s", done.stdout)
    assert found is not None, done.stdout
    return int(found[1]), float(found[2])


def drive(out: Path, trial: str, episodes: int, workers: int) -> Evaluation:
    variant, metres = TRIALS[trial]
    settings = EvaluationSettings(str(out / "model"), "image-goal", variant, metres, noise=True, episodes=episodes)
    return evaluate(settings, workers, out / f"{variant}.jsonl", existing="keep")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="datasets")
    parser.add_argument("--minutes", type=float, default=60.0, help="of each training (default 60)")
    parser.add_argument("--episodes", type=int, default=200, help="to drive with each; 0 = speed alone (default 200)")
    parser.add_argument("--only", choices=("route", "covisible"), help="drive to these alone (default both)")
    parser.add_argument("--processes", type=int, default=2, help="on a CPU, one for each core (default 2)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "side-by-side")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.md", help="where to append")
    options = parser.parse_args(arguments)
    rates, rows = dict[str, float](), list[Row]()
    for model in MODELS:
        out = options.out / model
        rates[model] = train(model, options.data, options.minutes, options.processes, out)
        rows.append(Row(f"{model}, training", rates[model], "pairs/s", "", f"{options.minutes:g} min"))
        print(rows[-1], flush=True)
    rows.append(Row("nano / vint", rates["nano"] / rates["vint"], "x", ">= 50", "pairs per second"))
    for trial, (variant, _) in TRIALS.items():
        if not options.episodes or options.only not in (None, variant):
            continue
        driven = {model: drive(options.out / model, trial, options.episodes, options.processes) for model in MODELS}
        for model, evaluation in driven.items():
            reached = success_interval([record["success"] for record in evaluation.records])
            rows.append(Row(f"{model}, image goals {trial}", reached.mean, "SR", "", f"{reached}"))
        gain = gained(driven["vint"].records, driven["nano"].records)
        rows.append(Row(f"nano - vint, {trial}", gain.mean, "SR", "> 0", f"{gain}, paired"))
    print("\n".join(map(str, rows)))
    append(options.results, "Training beside ViNT", f"{options.minutes:g} minutes each on {options.data}", rows)


if __name__ == "__main__":
    main()

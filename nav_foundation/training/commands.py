"""The verbs `train`, `finetune` and `dagger`. Reading their --help loads no torch."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nav_foundation.model.folder import named

if TYPE_CHECKING:
    from nav_foundation.training.judging import Scores

_MANY = 8  # drives that a table of before and after should be of
Verb = Callable[..., argparse.ArgumentParser]  # cli._verb: (verbs, name, run, about, examples) -> its parser


def add_train(verbs: Any, verb: Verb) -> None:
    parser = verb(verbs, "train", _train, "train a network on drives", """\
  nav-foundation train --data runs/drives --validation runs/val --out runs/nano
  nav-foundation train --data runs/houses runs/city --weights 3 1 --minutes 9 --out runs/nano
  nav-foundation train --data runs/houses runs/city --weights 3 1 --minutes 9 --out runs/nano --resume
  accelerate launch --num_processes 4 -m nav_foundation.cli train --data runs/drives --batch 64 --out runs/nano
  torchrun --standalone --nproc_per_node 2 -m nav_foundation.cli train --data runs/drives --workers 0 --out runs/nano
  nav-foundation train --data runs/houses runs/city --model vint --batch 64 --rate 5e-4 --out runs/vint
  nav-foundation eval --policy runs/nano/model --task image-goal --episodes 50

(accelerate for GPUs and machines; torchrun, on a CPU with ACCELERATE_USE_CPU=true and OMP_NUM_THREADS=1, for cores.)

It stops after --steps or --minutes, or when it is killed; the same command with --resume goes on to the same bits.
--out gets model/ (weights and config.json), state.pt (for --resume; all 500 steps or five minutes) and logs/
(tensorboard --logdir).""")
    add = parser.add_argument
    add("--data", nargs="+", required=True, metavar="DIR", help="datasets; their drives must tell their robots")
    add("--weights", nargs="+", type=float, default=[], metavar="SHARE", help="of the samples, one per dataset")
    add("--validation", nargs="+", default=[], metavar="DIR", help="datasets of other scenes, to judge by")
    add("--model", default="nano", metavar="NAME", help="tiny, nano, base, or to compare with: vint, nomad "
        "(default nano)")
    add("--text-tower", default="", metavar="NAME", help="read words by this CLIP or SigLIP, a name on the hub or a "
        "folder, instead of by their bytes")
    add("--eyes", action="store_true", help="teach only to see, from drives with depth: a first stage, to go on from "
        "with --from")
    add("--floor", action="store_true", help="teach only how far the floor is free, which maps are made of, and leave "
        "all else of --from as it is")
    add("--from", dest="begin_with", type=named, metavar="DIR", help="begin with these "
        "weights: nano, or a folder")
    add("--out", type=Path, required=True, metavar="DIR", help="where all of it goes")
    add("--resume", action="store_true", help="go on with what --out holds")
    add("--steps", type=int, default=20_000, metavar="N", help="in all (default 20000)")
    add("--minutes", type=float, default=math.inf, metavar="M", help="stop then, to be resumed (default: never)")
    add("--batch", type=int, default=16, metavar="N", help="clips of a step, over all processes (default 16)")
    add("--rate", type=float, default=1e-3, metavar="R", help="highest learning rate (default 0.001)")
    add("--precision", choices=("auto", "no", "bf16"), default="auto", metavar="auto|no|bf16",
        help="auto: bf16 where the processor is made for it")
    add("--workers", type=int, default=1, metavar="W", help="processes that prepare clips (default 1)")
    add("--seed", type=int, default=0, metavar="S", help="of weights, samples and noise (default 0)")


def _train(options: argparse.Namespace) -> None:
    from nav_foundation.training.settings import TrainSettings
    from nav_foundation.training.train import train

    settings = TrainSettings(
        tuple(options.data), tuple(options.weights), tuple(options.validation), model=options.model,
        text_tower=options.text_tower, eyes=options.eyes, floor=options.floor, steps=options.steps, batch=options.batch,
        rate=options.rate, precision=options.precision, workers=options.workers, seed=options.seed,
    )
    done = train(settings, options.out, resume=options.resume, begin_with=options.begin_with, minutes=options.minutes)
    parts = ", ".join(f"{name} {value:.3f}" for name, value in done.losses.items())
    how = f"{done.pairs_per_second:.0f} pairs/s" if done.pairs_per_second else "finished before"
    print(f"{done.folder}: {done.steps} of {settings.steps} steps, {how}")
    if parts:
        print(f"{'validation' if options.validation else 'training'} losses: {parts}")


def add_finetune(verbs: Any, verb: Verb, drive: Callable[..., Any]) -> None:
    """`drive(options)` checks what the options ask for, and gives what lets two networks drive in simulation:
    (before, after) -> (what to print, what to write down)."""
    parser = verb(verbs, "finetune", lambda options: _finetune(options, drive),
                  "make a network fit a robot, from that robot's own drives", """\
  nav-foundation data import rosbag drives/*.bag --robot my_robot.yaml --out my_drives
  nav-foundation finetune --from nano --data my_drives --out my_model
  nav-foundation finetune --from nano --data my_drives --tune lora --steps 400 --out my_model
  nav-foundation finetune --from nano --data warehouse --tune adapter:words --out my_model
  nav-foundation finetune --from nano --data my_drives --robot rover-fisheye --scenes city --out my_model

The last eighth of the drives is not learnt from: a table says what the network knew of it before, and what after.
With --robot both drive in simulation as well.
What --tune leaves out stays as it is, to the bit.""")
    add = parser.add_argument
    add("--from", dest="begin_with", type=named, required=True, metavar="DIR", help="the network to begin with: nano, "
        "or a folder")
    add("--data", nargs="+", required=True, metavar="DIR", help="datasets; their drives must tell their robots")
    add("--validation", nargs="+", default=[], metavar="DIR", help="judge by these instead of holding drives back")
    add("--tune", default="all", metavar="WHAT", help="all (default), heads, lora, or adapter:KIND with KIND image, "
        "point, words, object, route or far")
    add("--out", type=Path, required=True, metavar="DIR", help="where all of it goes; model/ is the network")
    add("--resume", action="store_true", help="go on with what --out holds")
    add("--steps", type=int, default=800, metavar="N", help="in all (default 800)")
    add("--minutes", type=float, default=math.inf, metavar="M", help="stop then, to be resumed (default: never)")
    add("--batch", type=int, default=16, metavar="N", help="clips of a step; fewer need less memory (default 16)")
    add("--workers", type=int, default=1, metavar="W", help="processes that prepare clips (default 1)")
    add("--seed", type=int, default=0, metavar="S", help="of samples and noise (default 0)")
    add("--json", type=Path, metavar="FILE", help="write the table here as well")
    add("--robot", metavar="NAME", help="let this simulated robot drive with the network before and the one after, "
        "and say how often each arrives")
    add("--task", default="point-goal,image-goal", metavar="LIST", help="of these drives (default "
        "point-goal,image-goal)")
    add("--scenes", default="houses", metavar="WHERE", help="of these drives: houses or city (default houses)")
    add("--episodes", type=int, default=40, metavar="N", help="of each task (default 40)")


def _finetune(options: argparse.Namespace, drive: Callable[..., Any]) -> None:
    from nav_foundation.files import write_json
    from nav_foundation.training.finetune import finetune, tune_settings

    settings = tune_settings(
        tuple(options.data), options.tune, options.steps, options.seed, options.workers, tuple(options.validation),
        options.batch,
    )
    both = None if options.robot is None else drive(options)
    tuned = finetune(settings, options.begin_with, options.out, resume=options.resume, minutes=options.minutes)
    print(_table(tuned.before, tuned.after))
    few = ": too few to say much, more drives would tell" if tuned.judged_on < _MANY else ""
    print(f"judged on {tuned.judged_on} drive{'s' * (tuned.judged_on > 1)} that it did not learn from{few}")
    print(f"\n{tuned.trained.folder}: {tuned.trained.steps} of {settings.steps} steps on {', '.join(settings.data)}")
    driven: Any = None
    if both is not None:
        text, driven = both(options.begin_with, tuned.trained.folder)
        print(f"\n{text}")
    if options.json is not None:
        write_json(options.json, {
            "before": tuned.before, "after": tuned.after, "judged_on": tuned.judged_on,
            "steps": tuned.trained.steps, "driven": driven,
        })


def add_dagger(verbs: Any, verb: Verb, collector: Callable[..., Any]) -> None:
    """`collector(options)` gives the dagger.Collector that the options ask for."""
    parser = verb(verbs, "dagger", lambda options: _dagger(options, collector),
                  "let a network drive in simulation and learn what the expert would have done", """\
  nav-foundation dagger --from runs/nano/model --data runs/houses --episodes 300 --steps 2000 --out runs/dagger
  nav-foundation dagger --from runs/nano/model --data runs/houses runs/city --weights 3 1 --out runs/dagger

Every round collects --episodes drives of the network so far, labelled by the expert, tells how many of them
arrived, and trains --steps more on these, those of earlier rounds and --data. The same command goes on where it was
stopped.""")
    add = parser.add_argument
    add("--from", dest="begin_with", type=named, required=True, metavar="DIR", help="the network to begin with: nano, "
        "or a folder")
    add("--data", nargs="+", required=True, metavar="DIR", help="drives of the expert")
    add("--weights", nargs="+", type=float, default=[], metavar="SHARE", help="of their samples, one per dataset")
    add("--validation", nargs="+", default=[], metavar="DIR", help="datasets of other scenes, to judge by")
    add("--share", type=float, default=0.5, metavar="0..1", help="of all samples from corrections (default 0.5)")
    add("--rounds", type=int, default=3, metavar="N", help="(default 3)")
    add("--episodes", type=int, default=200, metavar="N", help="drives of a round (default 200)")
    add("--task", default="image-goal,point-goal,object-goal,instruction,explore", metavar="LIST", help="in turn")
    add("--scenes", default="houses", metavar="WHERE", help="houses or city (default houses)")
    add("--expert-share", type=float, default=0.3, metavar="0..1", help="of the time the expert drives (default 0.3)")
    add("--steps", type=int, default=2000, metavar="N", help="of a round (default 2000)")
    add("--batch", type=int, default=16, metavar="N", help="clips of a step (default 16)")
    add("--rate", type=float, default=3e-4, metavar="R", help="highest learning rate (default 0.0003)")
    add("--workers", type=int, default=2, metavar="W", help="processes that collect (default 2)")
    add("--seed", type=int, default=0, metavar="S", help="another seed drives elsewhere (default 0)")
    add("--out", type=Path, required=True, metavar="DIR", help="gets round1/, round2/ ... with drives/ and training/")


def _dagger(options: argparse.Namespace, collector: Callable[..., Any]) -> None:
    from nav_foundation.model.checkpoint import config_of
    from nav_foundation.training.dagger import DaggerSettings, dagger
    from nav_foundation.training.settings import TrainSettings

    config_of(options.begin_with)  # else any policy would drive, and be refused after the first round of drives
    collect = collector(options)
    training = TrainSettings(
        tuple(options.data), tuple(options.weights), tuple(options.validation), steps=options.steps,
        batch=options.batch, rate=options.rate, warmup=max(1, options.steps // 20), seed=options.seed,
    )
    done = dagger(DaggerSettings(training, options.rounds, options.share), options.begin_with, options.out, collect)
    print(f"{done.folder}: {options.rounds} rounds of {options.episodes} drives and {options.steps} steps")


def _table(before: dict[str, Scores], after: dict[str, Scores]) -> str:
    lines = [f"{'goals':<8}{'pairs':>7}{'waypoints (m)':>20}{'distance (m)':>20}{'arrival (AP)':>20}"]
    for kind, old in before.items():
        new = after[kind]
        columns = [(old.waypoint_error, new.waypoint_error), (old.distance_error, new.distance_error),
                   (old.arrival_precision, new.arrival_precision)]
        cells = ["-" if math.isnan(was) else f"{was:.3f} -> {now:.3f}" for was, now in columns]
        lines.append(f"{kind:<8}{old.pairs:>7}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)

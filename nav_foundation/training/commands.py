"""The verb `train`. Reading its --help loads no torch."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

Verb = Callable[..., argparse.ArgumentParser]  # cli._verb: (verbs, name, run, about, examples) -> its parser


def add_train(verbs: Any, verb: Verb) -> None:
    parser = verb(verbs, "train", _train, "train a network on drives", """\
  nav-foundation train --data runs/drives --validation runs/val --out runs/nano
  nav-foundation train --data runs/houses runs/city --weights 3 1 --minutes 9 --out runs/nano
  nav-foundation train --data runs/houses runs/city --weights 3 1 --minutes 9 --out runs/nano --resume
  accelerate launch --num_processes 4 -m nav_foundation.cli train --data runs/drives --batch 64 --out runs/nano
  torchrun --standalone --nproc_per_node 2 -m nav_foundation.cli train --data runs/drives --workers 0 --out runs/nano
  nav-foundation eval --policy runs/nano/model --task image-goal --episodes 50

(accelerate for GPUs and machines; torchrun, on a CPU with ACCELERATE_USE_CPU=true and OMP_NUM_THREADS=1, for cores.)

It stops after --steps or --minutes, or when it is killed; the same command with --resume goes on to the same bits.
--out gets model/ (weights and config.json), state.pt (for --resume) and logs/ (tensorboard --logdir).""")
    add = parser.add_argument
    add("--data", nargs="+", required=True, metavar="DIR", help="datasets; their drives must tell their robots")
    add("--weights", nargs="+", type=float, default=[], metavar="SHARE", help="of the samples, one per dataset")
    add("--validation", nargs="+", default=[], metavar="DIR", help="datasets of other scenes, to judge by")
    add("--model", default="nano", metavar="NAME", help="tiny, nano or base (default nano)")
    add("--from", dest="begin_with", type=Path, metavar="DIR", help="begin with the weights of this checkpoint")
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
        steps=options.steps, batch=options.batch, rate=options.rate, precision=options.precision,
        workers=options.workers, seed=options.seed,
    )
    done = train(settings, options.out, resume=options.resume, begin_with=options.begin_with, minutes=options.minutes)
    parts = ", ".join(f"{name} {value:.3f}" for name, value in done.losses.items())
    print(f"{done.folder}: {done.steps} of {settings.steps} steps, {done.pairs_per_second:.0f} pairs/s; {parts}")

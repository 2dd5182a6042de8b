"""The verb `predict`. Reading its --help loads no torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Verb = Callable[..., argparse.ArgumentParser]  # cli._verb: (verbs, name, run, about, examples) -> its parser


def add_predict(verbs: Any, verb: Verb) -> None:
    parser = verb(verbs, "predict", _predict, "draw what a model makes of your own pictures or film", """\
  nav-foundation predict --model nano --images hall.jpg --hfov 79 --goal door.jpg --robot turtlebot --out seen
  nav-foundation predict --model nano --images drive.mp4 --goal "object: chair" --robot me.yaml --out seen
  nav-foundation predict --model nano --images photos --fps 10 --goal explore --robot me.yaml --out seen
  nav-foundation predict --model nano --images photos --poses p.csv --goal 3,-1 --robot me.yaml --out seen

A goal is a picture file, x,y or x,y,yaw (m, rad, in the frame of the first picture: x ahead, y to the left; write
--goal=-1,0 when it begins with a minus), "words: ...", "object: ...", route: left, right, straight or back, or explore.
Several pictures are one drive: name them one by one with an --out each if they have nothing to do with each other.
The camera is taken to be as high and tilted as on the robot; a YAML file of your own says otherwise.""")
    add = parser.add_argument
    add("--model", required=True, metavar="DIR", help="nano, the folder model/ of a training, or one "
        "made by import-checkpoint")
    add("--images", nargs="+", type=Path, required=True, metavar="PATH", help="pictures, one folder of them, or a film")
    add("--goal", required=True, metavar="GOAL", help="where to go, in one of the ways named below")
    add("--robot", required=True, metavar="NAME", help="a shipped robot (nav-foundation robots list) or a .yaml file")
    add("--out", type=Path, required=True, metavar="DIR", help="a new folder for pictures, video and predictions.json")
    add("--hfov", type=float, metavar="DEG", help="horizontal field of view of the camera, where it is not the robot's")
    add("--poses", type=Path, metavar="FILE", help="where pictures were taken: a table of time, x, y "
        "and yaw, and image (a file's name) unless those names are times")
    add("--fps", type=float, metavar="HZ", help="how many pictures a second were taken, or are to be taken of a film "
        "(default: the robot's frame rate)")
    add("--json", type=Path, metavar="FILE", help="write the predictions here as well")


def _predict(options: argparse.Namespace) -> None:
    import shutil

    from nav_foundation.files import make_folder
    from policies.prediction.predict import PREDICTIONS, PredictSettings, predict

    if options.json is not None and options.json.is_dir():
        raise ValueError(f"--json {options.json} is a folder: name a file")
    settings = PredictSettings(
        options.model, tuple(options.images), options.goal, options.robot, options.poses, options.hfov, options.fps
    )
    print(predict(settings, options.out))
    if options.json is not None:
        make_folder(options.json.parent)
        shutil.copyfile(options.out / PREDICTIONS, options.json)

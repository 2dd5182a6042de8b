"""The verb `data`: import from and export to the formats that others use. Reading a --help loads none of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nav_foundation.data.importing.drive import Drive, LeftOut

Verb = Callable[..., argparse.ArgumentParser]  # cli._verb: (verbs, name, run, about, examples) -> its parser

FRAME_RATE = 5.0  # Hz, of what has a clock, without a robot that says otherwise
GNM_RATE = 4.0  # Hz; GNM folders have no clock and were recorded so


def add_data(verbs: Any, verb: Verb) -> Any:
    """Add the verb; returns its actions, for those that others add."""
    from nav_foundation.data.inspection.commands import add_inspect

    parser = verb(verbs, "data", None, "import, export and look into drives of robots", """\
  nav-foundation data import rosbag drive.bag --out drives
  nav-foundation data export mcap drives --out bags
  nav-foundation data inspect drives --report runs/drives""")
    actions = parser.add_subparsers(title="actions", metavar="action")
    _add_import(actions, verb)
    _add_export(actions, verb)
    add_inspect(actions, verb)
    return actions


# --- import -------------------------------------------------------------------------------------------------------


def _add_import(actions: Any, verb: Verb) -> None:
    parser = verb(actions, "import", None, "make a dataset of drives that were recorded elsewhere", """\
  nav-foundation data import rosbag recordings/ --out drives --robot jackal
  nav-foundation data import gnm recon --out drives
  nav-foundation data import lerobot frodobots --out drives

Every import ends with a table of what was driven, what was left out, and why.""")
    formats = parser.add_subparsers(title="formats", metavar="format")
    rosbag = _format(formats, verb, "rosbag", "ROS 1 bags, and rosbag2 recordings as sqlite3 or mcap", """\
  nav-foundation data import rosbag drive.bag --out drives
  nav-foundation data import rosbag monday/ tuesday.mcap --out drives --robot my_robot.yaml --stand-still trim
  nav-foundation data import rosbag drive/ --out drives --image-topic /front/image_raw --odom-topic /odometry/filtered

Bags that were cut short give what is readable in them.""")
    rosbag.add_argument("--image-topic", metavar="NAME", help="the camera (default: the only one, or the front one)")
    rosbag.add_argument("--odom-topic", metavar="NAME", help="the poses: Odometry, PoseStamped, NavSatFix or tf")
    rosbag.add_argument("--cmd-topic", metavar="NAME", help="the commands: Twist or TwistStamped (default: cmd_vel)")
    rosbag.add_argument("--distro", default="humble", metavar="NAME",
                        help="whose messages a bag without definitions holds (default humble)")
    _format(formats, verb, "gnm", "folders of GNM, ViNT and NoMaD: pictures and traj_data.pkl", """\
  nav-foundation data import gnm go_stanford --out drives
  nav-foundation data import gnm my_trajectories --frame-rate 3 --scale 0.25 --out drives

These folders have no clock: --frame-rate says at what rate they were recorded (default 4).""")
    lerobot = _format(formats, verb, "lerobot", "LeRobot datasets of version 2.1 and 3.0, FrodoBots among them", """\
  nav-foundation data import lerobot frodobots_subset --out drives --camera observation.images.front""")
    lerobot.add_argument("--camera", metavar="NAME", help="the feature with the pictures (default: the front one)")
    _format(formats, verb, "navdp", "trajectories of NavDP and InternData", """\
  nav-foundation data import navdp interndata/scene_0001 --out drives""")
    folder = _format(formats, verb, "folder", "folders of pictures, with the poses in a CSV file", """\
  nav-foundation data import folder pictures/ --poses poses.csv --out drives""")
    video = _format(formats, verb, "video", "films, with the poses in a CSV file", """\
  nav-foundation data import video drive.mp4 --poses poses.csv --out drives
  nav-foundation data import video drive.mp4 --poses slam.csv --scale 1.7 --out drives    (poses without a scale)""")
    for parser in (folder, video):
        parser.add_argument("--poses", type=Path, required=True, metavar="FILE", help="a table of time, x, y and yaw")


def _format(formats: Any, verb: Verb, name: str, about: str, examples: str) -> argparse.ArgumentParser:
    """A format's parser, with the options that all formats have."""
    parser = verb(formats, name, _import, about, examples)
    parser.set_defaults(format=name)
    add = parser.add_argument
    add("sources", nargs="+", type=Path, metavar="SOURCE", help="files or folders")
    add("--out", type=Path, required=True, metavar="DIR", help="the dataset: a new or empty folder")
    add("--append", action="store_true", help="the dataset may exist; only episodes that it lacks are added")
    add("--robot", metavar="NAME", help="a shipped robot (nav-foundation robots list) or a .yaml file")
    add("--frame-rate", type=_number, metavar="HZ", help="of the episodes (default: as the format says)")
    add("--scale", type=_number, metavar="METRES", help="metres per unit of position (default: they are metres)")
    add("--max-gap", type=_number, default=1.0, metavar="S", help="a longer hole starts a new episode (default 1)")
    add("--max-length", type=_number, default=600.0, metavar="S", help="longer drives become several (default 600)")
    add("--stand-still", choices=("keep", "trim"), default="keep", metavar="keep|trim",
        help="trim leaves 3 s of longer stand-stills (default keep)")
    add("--reverse", choices=("cut", "keep"), default="cut", metavar="cut|keep",
        help="cut ends an episode where the robot backs up (default cut)")
    add("--min-length", type=_number, default=0.0, metavar="S", help="leave out shorter episodes (default 0)")
    add("--image-limit", type=_whole, metavar="PIXELS", help="make pictures smaller whose longer side is longer")
    add("--lossless", action="store_true", help="PNG instead of JPEG for pictures that have to be encoded")
    add("--video", action="store_true", help="keep the pictures as mp4: smaller, and slower to read at random")
    add("--json", type=Path, metavar="FILE", help="write the report here as well")
    return parser


def _import(options: argparse.Namespace) -> None:
    from nav_foundation.data.importing.cut import ImportRules
    from nav_foundation.data.importing.run import import_drives
    from nav_foundation.robot import load_robot

    robot = load_robot(options.robot) if options.robot else None
    rate, drives = options.frame_rate, _drives(options)
    if rate is None:
        rate, drives = _rate_of(options, robot.frame_rate if robot else None, drives)
    rules = ImportRules(
        frame_rate=rate, max_gap=options.max_gap, max_length=options.max_length, stand_still=options.stand_still,
        reverse=options.reverse, min_length=options.min_length, scale=options.scale, robot=robot,
        image_limit=options.image_limit, image_format="png" if options.lossless else "jpeg",
    )
    report = import_drives(drives, options.out, rules, append=options.append, video=options.video)
    print(report.table())
    if options.json is not None:
        _write_json(options.json, report.as_json())


def _rate_of(
    options: argparse.Namespace, robots: float | None, drives: Iterator[Drive]
) -> tuple[float, Iterator[Drive]]:
    """The frame rate where none is asked for, and the drives. Datasets keep theirs, recordings get the robot's."""
    import numpy as np

    if options.format == "gnm":
        return GNM_RATE, drives
    if options.format == "lerobot":
        from nav_foundation.data.importing.lerobot import frame_rate_of

        return frame_rate_of(options.sources[0]), drives
    if options.format != "navdp":
        return robots or FRAME_RATE, drives
    first = next(drives, None)
    if first is None or len(first.pictures) < 2:
        return robots or FRAME_RATE, chain([first] if first else [], drives)
    rate = 1e9 / float(np.median(np.diff(first.picture_stamps_ns)))
    return round(rate, 2), chain([first], drives)


def _drives(options: argparse.Namespace) -> Iterator[Drive]:
    """The drives of all sources, read one after the other."""
    for source in options.sources:
        if not source.exists():
            raise ValueError(f"{source} does not exist: name a file or a folder")
    return chain.from_iterable(_read(source, options) for source in options.sources)


def _read(source: Path, options: argparse.Namespace) -> Iterator[Drive]:
    if options.format == "rosbag":
        from nav_foundation.data.importing.bags import read_bags

        yield from read_bags(
            source, image_topic=options.image_topic, odom_topic=options.odom_topic, cmd_topic=options.cmd_topic,
            distro=options.distro,
        )
    elif options.format == "gnm":
        from nav_foundation.data.importing.gnm import read_gnm

        yield from read_gnm(source, options.frame_rate or GNM_RATE)
    elif options.format == "lerobot":
        from nav_foundation.data.importing.lerobot import read_lerobot

        yield from read_lerobot(source, options.camera)
    elif options.format == "navdp":
        from nav_foundation.data.importing.navdp import read_navdp

        yield from read_navdp(source, options.frame_rate)
    elif options.format == "folder":
        from nav_foundation.data.importing.folder import read_folder

        yield from read_folder(source, options.poses)
    else:
        from nav_foundation.data.importing.film import read_film

        yield from read_film(source, options.poses)


# --- export -------------------------------------------------------------------------------------------------------


def _add_export(actions: Any, verb: Verb) -> None:
    parser = verb(actions, "export", None, "write a dataset in a format of others", """\
  nav-foundation data export gnm drives --out gnm_drives
  nav-foundation data export mcap drives --out bags
  nav-foundation data export lerobot drives --out lerobot_drives --video""")
    formats = parser.add_subparsers(title="formats", metavar="format")
    for name, about in (
        ("gnm", "folders of pictures and traj_data.pkl, as GNM, ViNT and NoMaD train on"),
        ("mcap", "a rosbag2 recording per episode"),
        ("lerobot", "a LeRobot dataset of version 3.0, with nothing of ours beside it"),
    ):
        form = verb(formats, name, _export, about, f"  nav-foundation data export {name} drives --out exported")
        form.set_defaults(format=name)
        form.add_argument("dataset", type=Path, metavar="DATASET", help="a dataset's folder")
        form.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
        if name == "lerobot":
            form.add_argument("--video", action="store_true", help="pictures as mp4 rather than as files in tables")


def _export(options: argparse.Namespace) -> None:
    import sys

    from nav_foundation.data.dataset import EpisodeDataset

    dataset = EpisodeDataset(options.dataset)
    for damage in dataset.damaged:
        print(f"left out: {damage}", file=sys.stderr)
    if options.format == "gnm":
        from nav_foundation.data.exporting.gnm import spacing, write_gnm

        for entry in write_gnm(dataset, options.out):
            print(f"left out: {entry.count} {entry.what}: {entry.why}")
        if (step := spacing(dataset)) is not None:
            print(f"metric_waypoint_spacing: {step:.3f} (m per frame, at {dataset.frame_rate:g} frames per second)")
    elif options.format == "lerobot":
        from nav_foundation.data.exporting.lerobot import write_lerobot

        write_lerobot(dataset, options.out, video=options.video)
    else:
        _export_mcap(dataset, options.out)
    print(f"{int(dataset.readable.sum())} episodes, {len(dataset)} frames: {options.out}")


def _export_mcap(dataset: Any, out: Path) -> None:
    from tqdm import tqdm

    from nav_foundation.data.exporting.mcap import write_mcap

    lost: dict[tuple[str, str], int] = {}
    left: list[LeftOut]
    for _, left in tqdm(write_mcap(dataset, out), total=int(dataset.readable.sum()), unit="episode", disable=None):
        for entry in left:
            lost[entry.what, entry.why] = lost.get((entry.what, entry.why), 0) + entry.count
    for (what, why), count in lost.items():
        print(f"left out: {count} {what}: {why}")


# --- values -------------------------------------------------------------------------------------------------------


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it takes a number; got {text!r}") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it takes a whole number; got {text!r}") from None


def _write_json(path: Path, data: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"--json {path} cannot be written: {error.strerror or error}") from None

"""The verbs `robot`, `node` and `goal`: what launch files start and ROS's own tools ask for, without either."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ros_nodes.graph import (
    ENDING,
    REFUSED,
    SUPERVISOR,
    NodeSpec,
    RobotOptions,
    SimOptions,
    dds_environment,
    graph,
    options_of,
    parameter_files,
    processes,
    sim_environment,
    takes_pictures,
)

_AGAIN_AFTER = 1.0  # s until a process that died is started anew
_PATIENCE = 5.0  # s for a process to end when it is told to
_PATIENCE_RECORDING = 60.0  # for one that has pictures to write


def add_robot(verbs: Any, verb: Callable[..., argparse.ArgumentParser]) -> None:
    parser = verb(verbs, "robot", _robot, "run on a robot: pictures in, velocities out, by ROS 2", """\
  nav-foundation robot --sim                                  (all of it, with a simulated robot)
  nav-foundation robot --robot my_robot.yaml --image /camera/image_raw      (shadow mode: nothing moves)
  nav-foundation robot --robot my_robot.yaml --model my_model --drive true --obstacles scan
  nav-foundation robot --sim --composed true --task point-goal --episode 3

It is what `ros2 launch nav_foundation robot.launch.py` and `sim.launch.py` start, for computers without ROS's tools.
Options that are not given are as the launch files have them. Ctrl-C ends it.""")
    parser.add_argument("--sim", action="store_true", help="simulate the robot; it may drive at once")
    parser.add_argument("--show", action="store_true", help="print the nodes and what is not as usual, and end")
    for title, kind in (("the robot", RobotOptions), ("the simulation, with --sim", SimOptions)):
        group = parser.add_argument_group(title)
        for field in dataclasses.fields(kind):
            default = "" if field.default == "" else f" (default {str(field.default).lower()})"
            about = field.metadata["about"].rstrip(".") + default
            group.add_argument(f"--{field.name.replace('_', '-')}", metavar="X", help=about.replace("%", "%%"))


def add_node(verbs: Any, verb: Callable[..., argparse.ArgumentParser]) -> None:
    parser = verb(verbs, "node", _node, "run one ROS 2 node, or several in one process", """\
  nav-foundation node controller --ros-args -p robot:=jackal -p drive:=true
  nav-foundation node navigator controller --ros-args --params-file my.yaml""")
    parser.add_argument("names", nargs=argparse.REMAINDER, metavar="NAME... [--ros-args ...]", help="names of nodes")


def add_goal(verbs: Any, verb: Callable[..., argparse.ArgumentParser]) -> None:
    parser = verb(verbs, "goal", None, "tell a robot that runs where to go, to stop, or ask how it gets on", """\
  nav-foundation goal point 2 0                  (m ahead of where it stands, and to its left)
  nav-foundation goal words "go through the door" --wait 60
  nav-foundation goal proposed --wait 60         (what a simulated robot proposes)
  nav-foundation goal stop                       (at once, until `goal release`)

`nav-foundation robot` starts the robot. The last goal counts. Exit codes: 0, or with --wait 1 where it did not arrive;
2 where there is no robot, or it refuses.""")
    actions = parser.add_subparsers(title="actions", metavar="action")
    more = "  nav-foundation goal"
    point = _asks(actions, verb, "point", "drive to a place", f"{more} point 2 0\n{more} point 4 -1.5 --frame odom")
    point.add_argument("x", type=_number, metavar="X", help="m ahead")
    point.add_argument("y", type=_number, metavar="Y", help="m to the left")
    point.add_argument("--frame", default="base_link", metavar="FRAME", help="base_link, from where it stands now "
                       "(default), odom, from where its odometry began, or one that tf leads from")
    words = _asks(actions, verb, "words", "do what words say", f"""{more} words "go through the door and turn left"
{more} words "object: chair" --wait 120\n{more} words "route: left"\n{more} words explore""")
    words.add_argument("words", nargs="+", metavar="WORDS", help="an instruction, object: ..., "
                       "route: left|right|straight|back, or explore")
    image = _asks(actions, verb, "image", "drive to where a picture was taken", f"{more} image door.jpg --wait 60")
    image.add_argument("file", type=Path, metavar="FILE", help="what the robot's camera would see there")
    _asks(actions, verb, "proposed", "drive to what the simulated robot proposes", f"{more} proposed --wait 60")
    for name, about in (
        ("cancel", "give the goal up: the robot stands until it is given another one"),
        ("stop", "emergency stop: the robot stands at once, until it is released"),
        ("release", "end the emergency stop: the robot goes on to its goal, if it has one"),
        ("status", "say what the robot does"),
    ):
        _asks(actions, verb, name, about, f"{more} {name}", follows=False)


def _asks(
    actions: Any, verb: Callable[..., argparse.ArgumentParser], name: str, about: str, examples: str,
    follows: bool = True,
) -> argparse.ArgumentParser:
    parser = verb(actions, name, _goal, about, examples)
    parser.set_defaults(action=name)
    parser.add_argument("--namespace", default="", metavar="NS", help="of the robot's nodes, as it was started with")
    if follows:
        parser.add_argument("--wait", type=_number, metavar="SECONDS", help="tell how it gets on until it has arrived, "
                            "this long at most")
    return parser


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"it takes a number; got {text!r}")
    return number


def _goal(options: argparse.Namespace) -> None:
    _check_ros()
    os.environ.update(dds_environment(os.environ))
    from ros_nodes.asking import run

    sys.exit(run(options))


def _node(options: argparse.Namespace) -> None:
    at = options.names.index("--ros-args") if "--ros-args" in options.names else len(options.names)
    if at == 0:
        raise ValueError("no node is named: give names such as navigator or controller")
    _check_ros()
    from ros_nodes.main import run

    sys.exit(run(options.names[:at], options.names[at:]))


def _check_ros() -> None:
    try:
        import rclpy  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"ROS 2 for Python is not here ({error}): source your ROS installation, or, for a computer without one, "
            "pip install 'nav-foundation[ros]'"
        ) from None


def _robot(options: argparse.Namespace) -> None:
    names = [f.name for kind in (RobotOptions, SimOptions) for f in dataclasses.fields(kind)]
    told = {name: text for name in names if (text := getattr(options, name)) is not None}
    robot, sim = options_of(told, options.sim)
    nodes = processes(graph(robot, sim), robot.composed)
    if options.show:
        print(json.dumps([dataclasses.asdict(node) for node in nodes], indent=2))
        return
    _check_ros()
    check_parameters(robot, sim is not None)
    with tempfile.TemporaryDirectory() as folder:
        commands = [command_of(node, robot, Path(folder)) for node in nodes]
        envs = [environment(sim is not None, takes_pictures(node, robot)) for node in nodes]
        sys.exit(_supervise(commands, envs, _PATIENCE_RECORDING if robot.record else _PATIENCE))


def check_parameters(robot: RobotOptions, sim: bool) -> None:
    """Of a parameter file that was told: before anything begins, and once."""
    if robot.params:
        from ros_nodes.main import parameters_of
        from ros_nodes.parameters import check_file

        check_file(Path(robot.params).expanduser(), parameters_of(sim))


def command_of(process: NodeSpec, robot: RobotOptions, folder: Path) -> list[str]:
    """What starts a process; its parameters lie in a file in `folder`."""
    import yaml

    file = folder / f"{process.name.replace(' ', '_')}.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": process.parameters}}), encoding="utf-8")
    rules = [*process.remappings.items(), *([("__ns", f"/{robot.namespace}")] if robot.namespace else [])]
    files = [*parameter_files(robot), str(file)]
    return [
        sys.executable, "-m", "nav_foundation.cli", "node", *process.name.split(" "), "--ros-args",
        *(word for name in files for word in ("--params-file", name)),
        *(word for name, topic in rules for word in ("-r", f"{name}:={topic}")),
    ]


def environment(sim: bool, pictures: bool = True) -> dict[str, str]:
    """Of a node: this process's, with the DDS profile that it needs, if there is no other one."""
    told = {**os.environ, SUPERVISOR: str(os.getpid())}
    return told | dds_environment(told, pictures) | (sim_environment(told) if sim else {})


def _supervise(commands: list[list[str]], envs: list[dict[str, str]], patience: float) -> int:
    """Keep processes running until a signal comes; one that dies is started anew, one that never began ends all."""
    ended = threading.Event()
    for number in ENDING:
        signal.signal(number, lambda *_: ended.set())
    def begin(k: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(commands[k], env=envs[k], start_new_session=True)

    running = [begin(k) for k in range(len(commands))]
    begun = [time.monotonic()] * len(running)
    failed = False
    while not (failed or ended.wait(0.2)):
        for k, process in enumerate(running):
            code = process.poll()
            if code is None:
                continue
            failed = code == REFUSED
            if failed or ended.wait(_AGAIN_AFTER):
                break
            names = " ".join(commands[k][4 : commands[k].index("--ros-args")])
            print(f"{names} ended ({code}) after {time.monotonic() - begun[k]:.0f} s: starting it anew",
                  file=sys.stderr, flush=True)
            running[k], begun[k] = begin(k), time.monotonic()
    _end(running, patience)
    return REFUSED if failed else 0


def _end(running: list[subprocess.Popen[bytes]], patience: float) -> None:
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + patience
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
        process.kill()  # nothing, where it has ended
        process.wait()

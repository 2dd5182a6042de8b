"""The verbs `robot` and `node`: what launch files start, started without ROS's own tools."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ros_nodes.graph import (
    SIMULATED,
    SUPERVISOR,
    NodeSpec,
    RobotOptions,
    SimOptions,
    checked,
    dds_environment,
    graph,
    processes,
)

_AGAIN_AFTER = 1.0  # s until a process that died is started anew
_PATIENCE = 5.0  # s for a process to end when it is told to


def add_robot(verbs: Any, verb: Callable[..., argparse.ArgumentParser]) -> None:
    parser = verb(verbs, "robot", _robot, "run on a robot: pictures in, velocities out, by ROS 2", """\
  nav-foundation robot --sim                                  (all of it, with a simulated robot)
  nav-foundation robot --robot my_robot.yaml --image /camera/image_raw      (shadow mode: nothing moves)
  nav-foundation robot --robot my_robot.yaml --model my_model --drive true --obstacles scan
  nav-foundation robot --sim --composed --task point-goal --episode 3

It is what `ros2 launch nav_foundation robot.launch.py` and `sim.launch.py` start, for computers without ROS's tools.
Options that are not given are as the launch files have them. Ctrl-C ends it.""")
    parser.add_argument("--sim", action="store_true", help="simulate the robot; it may drive at once")
    parser.add_argument("--composed", action="store_true", help="all nodes in one process")
    parser.add_argument("--show", action="store_true", help="print the nodes, their parameters and topics, and end")
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


def options_of(given: Mapping[str, str | None], sim: bool) -> tuple[RobotOptions, SimOptions | None]:
    """Options from texts; None means as it is by default."""
    told = {name: text for name, text in given.items() if text is not None}
    of_robot = {f.name for f in dataclasses.fields(RobotOptions)}
    robot = checked(RobotOptions, {name: text for name, text in told.items() if name in of_robot})
    if sim:
        changes = {n: getattr(SIMULATED, n) for n in ("drive", "accept_sim_model") if n not in told}
        rest = {name: text for name, text in told.items() if name not in of_robot}
        return dataclasses.replace(robot, **changes), checked(SimOptions, rest)
    for name in told:
        if name not in of_robot:
            raise ValueError(f"--{name.replace('_', '-')} is about a simulated robot: add --sim, or leave it out")
    return robot, None


def _robot(options: argparse.Namespace) -> None:
    names = [f.name for kind in (RobotOptions, SimOptions) for f in dataclasses.fields(kind)]
    nodes = graph(*options_of({name: getattr(options, name) for name in names}, options.sim))
    if options.show:
        for node in nodes:
            print(json.dumps(dataclasses.asdict(node), indent=2))
        return
    _check_ros()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(_supervise(processes(nodes, options.composed), Path(folder)))


def command_of(process: NodeSpec, folder: Path) -> list[str]:
    """What starts a process; its parameters lie in a file in `folder`."""
    import yaml

    file = folder / f"{process.name.replace(' ', '_')}.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": process.parameters}}), encoding="utf-8")
    remapped = [word for name, topic in process.remappings.items() for word in ("-r", f"{name}:={topic}")]
    program = [sys.executable, "-m", "nav_foundation.cli", "node", *process.name.split(" ")]
    return [*program, "--ros-args", "--params-file", str(file), *remapped]


def environment() -> dict[str, str]:
    """Of the nodes: this process's, with a DDS profile that lets pictures through, if there is no other one."""
    told = {**os.environ, SUPERVISOR: str(os.getpid())}
    return told | dds_environment(told)


def _supervise(wanted: list[NodeSpec], folder: Path) -> int:
    """Keep processes running until a signal comes; one that dies is started anew, one that never began ends all."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    commands = [command_of(process, folder) for process in wanted]
    running = [subprocess.Popen(command, env=environment(), start_new_session=True) for command in commands]
    begun = [time.monotonic()] * len(running)
    failed = False
    while not (failed or ended.wait(0.2)):
        for k, process in enumerate(running):
            code = process.poll()
            if code is None:
                continue
            failed = code == 2  # what it was told is wrong: it would be again
            if failed or ended.wait(_AGAIN_AFTER):
                break
            print(f"{wanted[k].name} ended ({code}) after {time.monotonic() - begun[k]:.0f} s: starting it anew",
                  file=sys.stderr, flush=True)
            running[k] = subprocess.Popen(commands[k], env=environment(), start_new_session=True)
            begun[k] = time.monotonic()
    _end(running)
    return 2 if failed else 0


def _end(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + _PATIENCE
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
        process.kill()  # nothing, where it has ended
        process.wait()

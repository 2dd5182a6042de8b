"""Which nodes run, with which parameters and topics: the one description, for launch files and `nav-foundation robot`.

No ROS is needed to read it.
"""

from __future__ import annotations

import dataclasses
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DDS_PROFILE = Path(__file__).with_name("fastdds.xml")
DDS_COMMANDS = Path(__file__).with_name("fastdds_commands.xml")
PARAMETERS = Path(__file__).with_name("params")  # a file for each shipped robot
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a service manager, a terminal that was closed
CRASHED, REFUSED = 1, 2  # exit codes of nodes; what refused what it was told would do so again
SUPERVISOR = "NAV_FOUNDATION_SUPERVISOR"  # the process without which nodes must not go on


def option(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class RobotOptions:
    robot: str = option("turtlebot", "A shipped robot, or the path of a robot's YAML file.")
    model: str = option("nano", "A model that comes along, a folder of one, or bearing: straight to places.")
    device: str = option("cpu", "Where the model runs: cpu or cuda.")
    engine: str = option("torch", "What runs the model: torch.")
    drive: bool = option(False, "Drive. Otherwise it is shadow mode: everything runs, and nothing is commanded.")
    accept_sim_model: bool = option(False, "Let a model drive this robot that has only seen simulation.")
    tick_rate: float = option(10.0, "Plans per second at most.")
    image: str = option("camera/image_raw", "Topic of the pictures.")
    compressed: bool = option(False, "Take the JPEG or PNG pictures of that topic's /compressed.")
    camera_info: str = option("camera/camera_info", "Topic of the calibration; none = as the robot's file says.")
    odom: str = option("odom", "Topic of the odometry; none = the robot has none.")
    cmd_vel: str = option("cmd_vel", "Topic of the velocities.")
    stamped: bool = option(False, "The base takes TwistStamped instead of Twist.")
    base_frame: str = option("base_link", "Frame of the robot: x forward, y left.")
    obstacles: str = option("none", "What shows obstacles to brake for: none, scan or depth.")
    scan: str = option("scan", "Topic of the laser scan.")
    depth: str = option("camera/depth", "Topic of the depth images.")
    keep_out: str = option("", "A YAML file of areas in the odometry's frame that are never entered.")
    record: str = option("", "The dataset to record drives to, a new folder or one that grows; empty = none.")
    joystick: bool = option(False, "Take over by joystick, while its dead man's button is held.")
    joy: str = option("joy", "Topic of the joystick.")
    params: str = option("", "A ROS parameter file for all else; what it does not say is as the robot's own has it.")
    use_sim_time: bool = option(False, "Time comes from /clock, as with Gazebo or a bag that is played.")
    namespace: str = option("", "Namespace of the nodes and their topics.")
    composed: bool = option(False, "Run all nodes in one process.")


@dataclass(frozen=True)
class SimOptions:
    scenes: str = option("houses", "houses, city, house:SEED, city:SEED or a mesh file.")
    task: str = option("image-goal", "The task whose goals are proposed: image-goal, point-goal, instruction, ...")
    variant: str = option("", "Of the task, as for `nav-foundation eval`; empty = its first one.")
    distance: str = option("", "m from the start to the goal, such as 2-6; empty = the task's own.")
    episode: int = option(0, "Which episode: another number is another place.")
    seed: int = option(0, "Another seed makes other scenes.")
    noise: bool = option(True, "Noise of camera, motion and odometry.")
    people: int = option(0, "People who walk about.")
    frame_rate: float = option(10.0, "Pictures per second.")
    speed_up: float = option(1.0, "Times as fast as real time, if the computer can.")


_SIMULATED_STATE = "~/.ros/nav_foundation/simulated"
SIMULATED = {"drive": True, "accept_sim_model": True}  # what is tried without hardware may drive at once


@dataclass(frozen=True)
class NodeSpec:
    name: str
    parameters: dict[str, Any]  # those that are not as the node has them by itself
    remappings: dict[str, str]


def graph(robot: RobotOptions, sim: SimOptions | None = None) -> tuple[NodeSpec, ...]:
    """The nodes of a robot, or of a simulated one."""
    topics = {
        "image": robot.image, "image/compressed": f"{robot.image}/compressed", "camera_info": robot.camera_info,
        "odom": robot.odom, "cmd_vel": robot.cmd_vel, "scan": robot.scan, "depth": robot.depth,
        "joy": robot.joy,
    }
    remappings = {name: topic for name, topic in topics.items() if topic and topic != name}
    if robot.record and not robot.odom:
        raise ValueError("record needs odometry to know where pictures were taken: name its topic with odom")
    left_out = {name for name, asked in (("recorder", robot.record), ("joystick", robot.joystick)) if not asked}
    usual = _parameters(RobotOptions(), None if sim is None else SimOptions())
    return tuple(
        NodeSpec(name, {key: value for key, value in told.items() if key in _ALWAYS or value != usual[name][key]},
                 remappings)
        for name, told in _parameters(robot, sim).items() if name not in left_out
    )


_ALWAYS = ("robot", "use_sim_time", "scan_x", "scan_yaw", "state_folder")


def _parameters(robot: RobotOptions, sim: SimOptions | None) -> dict[str, dict[str, Any]]:
    """By node, all of them."""
    about: dict[str, Any] = {"robot": robot.robot}
    if sim is not None or robot.use_sim_time:
        about["use_sim_time"] = True
    shared = {**about, "base_frame": robot.base_frame}
    nodes: dict[str, dict[str, Any]] = {
        "controller": {
            **shared, "drive": robot.drive, "accept_sim_model": robot.accept_sim_model, "odometry": bool(robot.odom),
            "stamped": robot.stamped, "tick_rate": robot.tick_rate, "obstacles": robot.obstacles,
            "keep_out": robot.keep_out, "camera_info": bool(robot.camera_info),
        },
        "navigator": {
            **shared, "model": robot.model, "device": robot.device, "engine": robot.engine,
            "tick_rate": robot.tick_rate, "compressed": robot.compressed, "camera_info": bool(robot.camera_info),
            "odometry": bool(robot.odom),
        },
        "recorder": {
            **about, "folder": robot.record, "compressed": robot.compressed, "stamped": robot.stamped,
            "camera_info": bool(robot.camera_info), "with_depth": robot.obstacles == "depth",
        },
        "joystick": shared,
    }
    if sim is not None:
        nodes["controller"] |= {"scan_x": 0.0, "scan_yaw": 0.0, "state_folder": _SIMULATED_STATE}
        nodes["simulated_robot"] = {
            **shared, **dataclasses.asdict(sim), "compressed": robot.compressed, "stamped": robot.stamped,
            "with_depth": robot.obstacles == "depth", "with_scan": robot.obstacles == "scan",
        }
    return nodes


def processes(nodes: tuple[NodeSpec, ...], composed: bool) -> list[NodeSpec]:
    """One process for each node, or one for all: its name holds all of theirs, with spaces between them."""
    if not composed:
        return list(nodes)
    parameters: dict[str, Any] = {}
    for node in nodes:
        for name, value in node.parameters.items():
            assert parameters.setdefault(name, value) == value, f"{name} means two things to nodes of one process"
    return [NodeSpec(" ".join(node.name for node in nodes), parameters, nodes[0].remappings)]


# --- where they are started ---------------------------------------------------------------------------------------


def options_of(told: Mapping[str, str], sim: bool) -> tuple[RobotOptions, SimOptions | None]:
    """Options from texts. ValueError says which one is wrong."""
    of_robot = {f.name for f in dataclasses.fields(RobotOptions)}
    usual = {name: str(value) for name, value in SIMULATED.items()} if sim else {}
    robot = _read(RobotOptions, {**usual, **{name: text for name, text in told.items() if name in of_robot}})
    rest = {name: text for name, text in told.items() if name not in of_robot}
    if rest and not sim:
        raise ValueError(f"{next(iter(rest))} is about a simulated robot: ask for one, or leave it out")
    return robot, _read(SimOptions, rest) if sim else None


def _read(kind: type[Any], told: Mapping[str, str]) -> Any:
    usual = {f.name: f.default for f in dataclasses.fields(kind)}
    return kind(**{name: _value(name, text, usual[name]) for name, text in told.items()})


def yes_or_no(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"{name} is {text!r}: give true or false")
    return text.lower() in ("true", "1")


def _value(name: str, text: str, usual: Any) -> Any:
    if isinstance(usual, bool):
        return yes_or_no(name, text)
    if text == "none" and usual != "none":  # `ros2 launch` takes no empty argument
        text = ""
    try:
        return type(usual)(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}: give a number") from None


def parameter_files(robot: RobotOptions) -> list[str]:
    """What is told to nodes beside their options, which win; of two files the last one does."""
    own = PARAMETERS / f"{robot.robot}.yaml"
    files = [str(own)] if own.is_file() else []
    if robot.params:
        told = Path(robot.params).expanduser()
        if not told.is_file():  # `ros2 launch` would go on without it
            raise ValueError(f"params {told} does not exist")
        files.append(str(told))
    return files


def sim_environment(told: Mapping[str, str]) -> dict[str, str]:
    """What to add so that a simulated robot's velocities never reach a real one that drives nearby."""
    name = "ROS_AUTOMATIC_DISCOVERY_RANGE"  # Humble does not know it
    return {} if name in told or "ROS_LOCALHOST_ONLY" in told else {name: "LOCALHOST"}


def takes_pictures(process: NodeSpec, robot: RobotOptions) -> bool:
    """Whether it needs the memory that processes share, which one that is killed can lock for all others."""
    if process.name == "joystick":
        return False
    if process.name != "controller" or robot.obstacles == "depth":
        return True
    files = [Path(name).read_text(encoding="utf-8") for name in parameter_files(robot)]
    return any(re.search(r"obstacles:\s*['\"]?depth", text) for text in files)


def dds_environment(told: Mapping[str, str], pictures: bool = True) -> dict[str, str]:
    """What to add to an environment so that Fast DDS lets `pictures` of 640x480 through, or else waits for no other
    process; nothing where it is told."""
    older, newer = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"  # of Fast DDS 2, and from 3 on
    if older in told or newer in told:
        return {}
    profile = DDS_PROFILE if pictures else DDS_COMMANDS
    return {older if told.get("ROS_DISTRO") in ("humble", "jazzy") else newer: str(profile)}

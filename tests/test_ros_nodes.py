"""What holds for every node: parameters, names, and the one description of the graph."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")

import rclpy
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter

from nav_foundation import cli
from nav_foundation.robot import shipped_robots
from ros_nodes import parameters
from ros_nodes.commands import check_parameters
from ros_nodes.controller import ControllerParameters
from ros_nodes.graph import (
    _ALWAYS,
    PARAMETERS,
    RobotOptions,
    SimOptions,
    _parameters,
    graph,
    options_of,
    parameter_files,
    processes,
)
from ros_nodes.joystick import JoystickParameters
from ros_nodes.main import NODES
from ros_nodes.navigator import NavigatorParameters
from ros_nodes.recorder import RecorderParameters
from ros_nodes.simulated_robot import SimulatedRobotParameters

ROOT = Path(__file__).resolve().parents[1]
KINDS: dict[str, Any] = {
    "controller": ControllerParameters, "navigator": NavigatorParameters, "recorder": RecorderParameters,
    "joystick": JoystickParameters, "simulated_robot": SimulatedRobotParameters,
}


@pytest.fixture
def node() -> Any:
    context = Context()
    rclpy.init(context=context)
    made = rclpy.create_node("bare", context=context)
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)


def test_no_node_overwrites_what_rclpy_keeps() -> None:
    """Node keeps its services in `_services`: one of ours by that name once took them away from executors."""
    context = Context()
    rclpy.init(context=context)
    bare = LifecycleNode("bare", context=context)
    theirs = set(vars(bare)) | set(dir(LifecycleNode))
    bare.destroy_node()
    rclpy.shutdown(context=context)
    ours = set()
    for module in ("ros_nodes.node", *(module for module, *_ in NODES.values())):
        tree = ast.parse(inspect.getsource(__import__(module, fromlist=["_"])))
        for part in ast.walk(tree):
            if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                ours |= {part.attr} if ast.unparse(part.value) == "self" else set()
    assert "_held" in ours
    assert not ours & theirs


# --- parameters -----------------------------------------------------------------------------------------------------


def test_every_parameter_is_described_and_typed(node: Any) -> None:
    for name, kind in KINDS.items():
        for field in dataclasses.fields(kind):
            assert field.metadata["about"].endswith("."), f"{name}.{field.name}"
            assert isinstance(field.default, (bool, int, float, str))
    made = parameters.declare(node, ControllerParameters)
    assert made == ControllerParameters()
    told = node.describe_parameter("drive")
    assert "velocities" in told.description
    assert not told.read_only
    assert node.describe_parameter("robot").read_only


@dataclasses.dataclass(frozen=True)
class Two:
    speed: float = parameters.parameter(1.0, "How fast.", live=True)
    name: str = parameters.parameter("a", "Who.")

    def __post_init__(self) -> None:
        if not 0 < self.speed <= 2:
            raise ValueError(f"speed is {self.speed}: give more than 0, up to 2")


def test_a_whole_number_is_a_number_and_a_text_is_not() -> None:
    now, result = parameters.changed(Two(), [Parameter("speed", value=2)])
    assert result.successful
    assert now == Two(2.0)
    now, result = parameters.changed(Two(), [Parameter("speed", value="fast")])
    assert not result.successful
    assert "speed" in result.reason
    assert now == Two()


def test_what_the_dataclass_refuses_is_refused_in_its_words() -> None:
    now, result = parameters.changed(Two(), [Parameter("speed", value=9.0), Parameter("other", value=1)])
    assert (now, result.successful) == (Two(), False)
    assert "up to 2" in result.reason


# --- the graph ------------------------------------------------------------------------------------------------------


def test_what_is_not_told_to_a_node_is_what_it_has_by_itself() -> None:
    """Options that are not given are left out of the command: then the node's own must be the same."""
    for name, told in _parameters(RobotOptions(), SimOptions()).items():
        usual = {field.name: field.default for field in dataclasses.fields(KINDS[name])}
        for key, value in told.items():
            if key not in _ALWAYS:
                assert usual[key] == value, f"{name}.{key}"


@pytest.mark.parametrize("sim", [False, True])
def test_a_graph_names_nodes_that_there_are(sim: bool) -> None:
    nodes = graph(RobotOptions(record="drives", joystick=True), SimOptions() if sim else None)
    assert {node.name for node in nodes} == set(KINDS) - ({"simulated_robot"} if not sim else set())
    assert {node.name for node in nodes} <= set(NODES)
    (one,) = processes(nodes, composed=True)
    assert one.name.split() == [node.name for node in nodes]
    for node in nodes:
        assert one.parameters.items() >= node.parameters.items()


def test_a_simulated_laser_sits_in_the_middle_whatever_the_robot_s_file_says() -> None:
    """Options win over the file; on the robot itself the file's mount holds."""
    robot = RobotOptions(obstacles="scan")
    mount = {"scan_x", "scan_yaw", "state_folder", "use_sim_time"}
    simulated = graph(robot, SimOptions())[0].parameters
    assert (simulated["scan_x"], simulated["scan_yaw"], simulated["use_sim_time"]) == (0.0, 0.0, True)
    assert simulated["state_folder"].endswith("simulated"), "a stop in a simulation is none of the robot's"
    assert not mount & graph(robot)[0].parameters.keys()
    assert all(node.parameters["use_sim_time"] for node in graph(RobotOptions(use_sim_time=True)))


def test_a_parameter_file_adds_to_the_robot_s_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**/joystick:\n  ros__parameters:\n    stop_button: 2\n")
    own = str(PARAMETERS / "turtlebot.yaml")
    assert parameter_files(RobotOptions(params=str(mine))) == [own, str(mine)]  # the last one wins
    assert parameter_files(RobotOptions()) == [own]
    with pytest.raises(ValueError, match="does not exist"):
        parameter_files(RobotOptions(params="nothing.yaml"))


@pytest.mark.parametrize(("text", "said"), [
    ("/**/controller: {ros__parameters: {margin: wide}}", "margin is 'wide': it takes a number"),
    ("/**/controller: {ros__parameters: {margin: '0,5'}}", "margin is '0,5': it takes a number"),
    ("/**/controller: {ros__parameters: {margn: 0.5}}", "did you mean 'margin'"),
    ("/**/navigater: {ros__parameters: {debug_rate: 1.0}}", "did you mean 'navigator'"),
    ("/**: {ros__parameters: {robot: 3}}", "robot is 3: it takes a text"),
    ("/**/joystick: {stop_button: 2}", "holds no ros__parameters"),
    ("/**/joystick: {ros__parameters: {stop_button: 2.5}}", "takes a whole number"),
])
def test_a_parameter_file_is_checked_before_anything_begins(text: str, said: str, tmp_path: Path) -> None:
    """ROS takes any name, and drops a text where another file says a number."""
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=f"mine.yaml.*{said}"):
        check_parameters(RobotOptions(params=str(file)), sim=True)
    file.write_text("/**: {ros__parameters: {use_sim_time: true, base_frame: base}}\n"
                    "/r1/controller: {ros__parameters: {margin: 1, speed: 0.5}}")
    check_parameters(RobotOptions(params=str(file)), sim=False)
    for own in PARAMETERS.glob("*.yaml"):
        check_parameters(RobotOptions(params=str(own)), sim=False)


def test_options_come_as_texts() -> None:
    robot, sim = options_of({"drive": "True", "tick_rate": "5", "odom": ""}, sim=False)
    assert robot == RobotOptions(drive=True, tick_rate=5.0, odom="")
    assert sim is None
    robot, sim = options_of({"episode": "3"}, sim=True)
    assert robot.drive
    assert robot.accept_sim_model
    assert sim == SimOptions(episode=3)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [("drive", "maybe", "true or false"), ("episode", "1", "simulated"), ("tick_rate", "x", "number")],
)
def test_options_that_mean_nothing(name: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        options_of({name: text}, sim=False)


def test_the_command_shows_the_graph(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["robot", "--sim", "--show", "--composed", "true", "--image", "front/rgb"]) == 0
    (process,) = json.loads(capsys.readouterr().out)
    assert process["name"] == "controller navigator simulated_robot"
    assert process["remappings"]["image"] == "front/rgb"
    assert process["remappings"]["image/compressed"] == "front/rgb/compressed"
    assert cli.main(["robot", "--episode", "1", "--show"]) == 2


def test_every_shipped_robot_has_a_parameter_file_that_fits() -> None:
    import yaml

    for robot in shipped_robots():
        sections = yaml.safe_load((PARAMETERS / f"{robot}.yaml").read_text())
        for name, told in sections.items():
            known = {field.name: field.default for field in dataclasses.fields(KINDS[name.removeprefix("/**/")])}
            for key, value in told["ros__parameters"].items():
                assert type(value) is type(known[key]), f"{robot}: {name} {key}"


def test_package_xml_names_what_the_nodes_import() -> None:
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    named = {element.text for element in package.iter("exec_depend")}
    ours = set()
    for path in (ROOT / "ros_nodes").glob("*.py"):
        for part in ast.walk(ast.parse(path.read_text())):
            if isinstance(part, ast.ImportFrom) and part.module and part.level == 0:
                ours.add(part.module.split(".")[0])
    of_ros = {name for name in ours if name.endswith(("_msgs", "_srvs", "_interfaces"))} | {"rclpy", "launch_ros"}
    assert of_ros <= named & (ours | {None})

"""What stands beside the nodes, for people and for other programs: all that it names is there.

docs/robots.md, the workflow, Docker's files, and what RViz and Foxglove open.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rosbags.typesys import Stores, get_typestore

from nav_foundation import cli
from nav_foundation.robot import CameraSpec, Footprint, RobotSpec
from policies.obstacles import KeepOut
from ros_nodes.graph import RobotOptions, SimOptions, graph, options_of
from tests.test_readme import PAGES, blocks, commands

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "robots.md").read_text()
WORKFLOW = ROOT / ".github" / "workflows" / "ros.yaml"
SERVICES = {"Trigger": set(), "SetBool": {"data"}}  # and their requests
MESSAGES = get_typestore(Stores.ROS2_HUMBLE)

# --- what there is --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Endpoint:
    made_by: str  # create_publisher, create_subscription or create_service
    kind: str  # of the message or service; "" = one of several
    qos: str


def endpoints() -> dict[str, list[Endpoint]]:
    """By name, what all nodes make with the usual options; read from their code, so that no ROS is needed."""
    found: dict[str, list[Endpoint]] = {}
    everything = graph(RobotOptions(record="drives", joystick=True), SimOptions())
    for module, name, remappings in [("node", "", {}), *((n.name, n.name, n.remappings) for n in everything)]:
        for call in ast.walk(ast.parse((ROOT / "ros_nodes" / f"{module}.py").read_text())):
            made_by = _maker(call)
            if not made_by:
                continue
            assert isinstance(call, ast.Call)
            for kind, topic in _kinds_and_topics(call):
                resolved = topic.replace("~", name)
                profile = call.args[-1].id if isinstance(call.args[-1], ast.Name) else ""
                found.setdefault(remappings.get(resolved, resolved).lstrip("/"), []).append(
                    Endpoint(made_by, kind, profile)
                )
    return found


def _kinds_and_topics(call: ast.Call) -> list[tuple[str, str]]:
    first, second = call.args[:2]
    if isinstance(first, ast.Starred):  # pictures(compressed), of either kind
        assert ast.unparse(first).startswith("*pictures(")
        return [("Image", "image"), ("CompressedImage", "image/compressed")]
    named = first.id if isinstance(first, ast.Name) else ""
    return [(named if named[:1].isupper() else "", second.value)] if isinstance(second, ast.Constant) else []


def _maker(call: ast.AST) -> str:
    if not isinstance(call, ast.Call) or len(call.args) + any(isinstance(a, ast.Starred) for a in call.args) < 3:
        return ""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    short = {"listen": "create_subscription", "make": "create_publisher", "serve": "create_service"}
    name = short.get(name, name)
    return name if name in ("create_publisher", "create_subscription", "create_service") else ""


ENDPOINTS = endpoints()
NAMES_OF_SERVICES = {name for name, made in ENDPOINTS.items() if made[0].made_by == "create_service"}
TOPICS = ENDPOINTS.keys() - NAMES_OF_SERVICES
ARGUMENTS = {
    "demo.launch.py": {"out"},
    "robot.launch.py": {"rviz", *(field.name for field in dataclasses.fields(RobotOptions))},
}
ARGUMENTS["sim.launch.py"] = ARGUMENTS["robot.launch.py"] | {field.name for field in dataclasses.fields(SimOptions)}


def live_parameters() -> set[tuple[str, str]]:
    """(parameter, node) of those that may be changed while the node runs."""
    found = set()
    for node in graph(RobotOptions(record="drives", joystick=True), SimOptions()):
        for field in ast.walk(ast.parse((ROOT / "ros_nodes" / f"{node.name}.py").read_text())):
            if isinstance(field, ast.AnnAssign) and isinstance(field.value, ast.Call):
                if any(word.arg == "live" for word in field.value.keywords):
                    assert isinstance(field.target, ast.Name)
                    found.add((field.target.id, node.name))
    return found


def test_the_endpoints_that_are_read_from_the_code_are_some_that_we_know() -> None:
    assert {"plan", "camera/image_raw", "navigator/status", "cmd_vel", "diagnostics", "scan", "goal_words"} <= TOPICS
    assert {"controller/emergency_stop", "navigator/explore"} <= NAMES_OF_SERVICES
    assert Endpoint("create_subscription", "PoseStamped", "GOAL") in ENDPOINTS["goal_pose"]
    assert ("speed", "controller") in live_parameters()


# --- commands -------------------------------------------------------------------------------------------------------


def test_every_ros2_and_program_command_has_arguments_that_there_are() -> None:
    told = [command for page in PAGES for command in commands(page) if command.startswith(("ros2 ", "nav-foundation "))]
    assert len(told) > 30
    for command in [*told, *commands_within(PAGE), *commands_of_the_ci_script()]:
        check(command)


def commands_within(page: str) -> Iterator[str]:
    """Those in the middle of sentences, if they have arguments."""
    text = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`]+)`", text):
        if code.startswith(("ros2 ", "nav-foundation ")) and len(code.split()) > 3:
            yield code


def commands_of_the_ci_script() -> Iterator[str]:
    script = (ROOT / ".ci" / "ros").read_text().replace("\\\n", "")
    for line in script.splitlines():
        found = re.search(r"^(?:timeout \d+ )?(ros2 .*?)(?: &)?$", line.strip())
        if found and "$file" not in line:
            yield found[1].replace('"$@"', "")
        told = re.fullmatch(r"told \d+ (\S+) (\S+) '(.*)'", line.strip())
        if told:
            compile(told[3], "filter", "eval")
            yield f"ros2 topic echo --once {told[1]} {told[2]}"


@pytest.mark.parametrize("wrong", [
    "ros2 launch nav_foundation robot.launch.py drives:=true",
    "ros2 launch nav_foundation robot.launch.py episode:=3",
    "ros2 launch nav_foundation robot.launch.py drive:=perhaps",
    "ros2 topic pub --once /goal std_msgs/msg/String '{data: x}'",
    "ros2 topic pub --once /goal_words std_msgs/msg/String '{text: x}'",
    "ros2 topic pub --once /goal_pose geometry_msgs/msg/PointStamped '{point: {x: 1.0}}'",
    "ros2 topic echo --once /navigator/state",
    "ros2 service call /controller/enable std_srvs/srv/Trigger",
    "ros2 param set /controller robot jackal",
    "nav-foundation robot --speed 3",
    "nav-foundation finetune --data drives",
])
def test_a_wrong_command_is_noticed(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((AssertionError, ValueError, SystemExit)):
        check(wrong)


def check(command: str) -> None:
    program, *words = shlex.split(command.partition(" > ")[0])
    if words[:3] == ["run", "nav_foundation", "nav-foundation"]:
        program, words = "nav-foundation", words[3:]
    if program == "nav-foundation":
        if "--help" not in words:
            check_program(words)
    elif words[0] == "launch":
        check_launch(words[1:])
    else:
        checks = {"topic": check_topic, "service": check_service, "param": check_parameter, "action": check_action}
        checks[words[0]](words[1:])


def check_program(words: list[str]) -> None:
    options = cli._parser().parse(words)
    if words[0] == "robot":
        names = ARGUMENTS["sim.launch.py"] - {"rviz"}
        options_of({n: getattr(options, n) for n in names if getattr(options, n) is not None}, options.sim)


def check_action(words: list[str]) -> None:
    """As far as can be told where nav2_msgs is not installed."""
    verb, *options, action, kind, goal = words[: words.index("|")] if "|" in words else words
    assert (verb, options, action) == ("send_goal", ["--feedback"], "/navigate_to_pose")
    assert kind == "nav2_msgs/action/NavigateToPose"
    (told,) = yaml.safe_load(goal).items()
    assert told[0] == "pose"
    check_message("geometry_msgs/msg/PoseStamped", told[1])


def check_launch(words: list[str]) -> None:
    package, file, *arguments = words
    assert package == "nav_foundation"
    assert (ROOT / "launch" / file).is_file()
    told = dict(argument.split(":=") for argument in arguments if argument != "--show-args")
    assert told.keys() <= ARGUMENTS[file], file
    assert "" not in told.values(), "`ros2 launch` takes no empty argument"
    if file != "demo.launch.py":
        options_of({name: value for name, value in told.items() if name != "rviz"}, file == "sim.launch.py")


def check_topic(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=("pub", "echo", "hz", "info"))
    for flag in ("--once", "-v"):
        parser.add_argument(flag, action="store_true")
    for option in ("--field", "--filter"):
        parser.add_argument(option)
    parser.add_argument("topic")
    parser.add_argument("kind", nargs="?")
    parser.add_argument("values", nargs="?", default="{}")
    told = parser.parse_args(words)
    assert told.topic.lstrip("/") in TOPICS, told.topic
    if told.kind is not None:
        kinds = {made.kind for made in ENDPOINTS[told.topic.lstrip("/")]}
        assert told.kind.split("/")[-1] in kinds or "" in kinds, f"{told.topic} is a {kinds}"
        check_message(told.kind, yaml.safe_load(told.values))
    else:
        assert told.verb != "pub"


def check_message(kind: str, values: Any) -> None:
    """Whether a message has these fields."""
    fields = dict(MESSAGES.fielddefs[kind][1])
    assert isinstance(values, dict), f"{kind} takes fields, not {values!r}"
    for name, value in values.items():
        assert name in fields, f"{kind} has no {name}"
        node, about = fields[name]
        if isinstance(about, str):
            check_message(about, value)
        else:
            usual = {"string": str, "bool": bool}.get(about[0], float)
            assert type(value) is usual, f"{kind}.{name} is {value!r} ({node})"


def check_service(words: list[str]) -> None:
    verb, service, kind, *values = words
    assert verb == "call"
    assert [kind.split("/")[-1]] == [made.kind for made in ENDPOINTS[service.lstrip("/")]]
    assert service.lstrip("/") in NAMES_OF_SERVICES
    asked = yaml.safe_load(values[0]) if values else {}
    assert asked.keys() == SERVICES[kind.split("/")[-1]]


def check_parameter(words: list[str]) -> None:
    verb, node, name, value = words
    assert verb == "set"
    assert (name, node.lstrip("/")) in live_parameters()
    assert yaml.safe_load(value) is not None


# --- the page -------------------------------------------------------------------------------------------------------


def rows(title: str) -> list[list[str]]:
    """The cells of the first table below a title."""
    below = PAGE.split(f"\n## {title}\n")[1]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert lines is not None
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[0].strip().splitlines()[2:]]


def test_the_page_s_table_of_nodes_is_what_runs() -> None:
    table = rows("What runs")
    nodes = graph(RobotOptions(record="drives", joystick=True), SimOptions())
    assert {re.match(r"`(\w+)`", row[0])[1] for row in table} == {node.name for node in nodes}  # type: ignore[index]
    named = {name.lstrip("/") for row in table for cell in row[1:] for name in re.findall(r"`([^`]+)`", cell)}
    assert named <= ENDPOINTS.keys()
    untold = {"camera/image_raw/compressed", "diagnostics"}  # below the table
    assert ENDPOINTS.keys() - untold <= named
    for row in table:
        for name in re.findall(r"`([^`]+)`", row[3].strip(" |")):
            assert name in NAMES_OF_SERVICES


def test_arguments_within_sentences_are_some_that_there_are() -> None:
    found = re.findall(r"`([a-z_]+):=([^`]*)`", PAGE)
    assert len(found) > 15
    for name, value in found:
        assert name == "option" or name in ARGUMENTS["sim.launch.py"], name
        if name != "option":
            options_of({} if name == "rviz" else {name: value}, sim=True)


def test_the_page_lists_what_may_be_changed_while_it_runs() -> None:
    assert {(row[0].strip("| `"), row[1].strip("`")) for row in rows("While it runs")} == live_parameters()


def test_what_a_robot_says_when_it_stops_is_in_the_code() -> None:
    files = [path for room in ("policies", "ros_nodes") for path in (ROOT / room).glob("*.py")]
    # A sentence may be written in two parts.
    code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in files))
    said = [words for row in rows("When it stops") for words in re.findall(r"`([^`]+)`", row[1])]
    assert len(said) > 15
    assert [words for words in said if words not in code and words != "command_timeout"] == []


def test_the_table_of_the_robot_s_file_names_its_fields() -> None:
    fields = {f.name for kind in (RobotSpec, CameraSpec, Footprint) for f in dataclasses.fields(kind)}
    told = {word for row in rows("Describe the robot") for code in re.findall(r"`([^`]+)`", row[0])
            for word in code.split()}
    assert told <= fields
    named_otherwise = {"name", "width", "height", "radius", "step_height", "max_slope", "distortion", "coefficients"}
    assert fields - told <= named_otherwise


def test_the_areas_on_the_page_are_areas() -> None:
    (text,) = re.findall(r"`(keep_out: [^`]+)`", PAGE)
    assert len(KeepOut(yaml.safe_load(text)["keep_out"]).polygons) == 2


def test_the_page_s_steps_of_installation_are_those_of_the_workflow() -> None:
    install = next(block for block in blocks("bash", "docs/robots.md") if "venv" in block)
    for line in install.splitlines():
        assert re.search(rf"^\s*{re.escape(line)}$", WORKFLOW.read_text(), re.MULTILINE), line


@pytest.mark.slow
def test_the_page_s_program_makes_a_picture_a_goal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rclpy = pytest.importorskip("rclpy", reason="ROS 2 for Python is an extra: pip install 'nav-foundation[ros]'")
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from sensor_msgs.msg import CompressedImage

    from ros_nodes.node import GOAL

    (program,) = blocks("python", "docs/robots.md")
    (tmp_path / "goal_picture.py").write_text(program)
    (tmp_path / "door.jpg").write_bytes(bytes(range(256)))
    monkeypatch.setenv("ROS_DOMAIN_ID", str(150 + os.getpid() % 50))
    context = Context()
    rclpy.init(context=context)
    node = Node("listener", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    heard: list[Any] = []
    node.create_subscription(CompressedImage, "goal_image/compressed", heard.append, GOAL)
    running = subprocess.Popen([sys.executable, "goal_picture.py", "door.jpg"], cwd=tmp_path)
    try:
        for _ in range(300):
            executor.spin_once(timeout_sec=0.1)
            if heard:
                break
        assert [bytes(message.data) for message in heard] == [bytes(range(256))]
        assert heard[0].format == "jpeg"
        assert running.wait(20.0) == 0
    finally:
        running.kill()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


# --- RViz and Foxglove ----------------------------------------------------------------------------------------------


def values_of(key: str, within: Any) -> Iterator[Any]:
    """All values of a key, however deep."""
    if isinstance(within, dict):
        for name, value in within.items():
            if name == key:
                yield value
            yield from values_of(key, value)
    if isinstance(within, list):
        for value in within:
            yield from values_of(key, value)


def test_rviz_shows_topics_that_there_are_as_they_are_sent() -> None:
    manager = yaml.safe_load((ROOT / "launch" / "nav_foundation.rviz").read_text())["Visualization Manager"]
    topics = list(values_of("Topic", manager))
    assert {"plan", "camera/image_raw", "goal_pose"} <= {topic["Value"] for topic in topics}
    for topic in topics:
        made = ENDPOINTS[topic["Value"]]  # relative, so that a namespace holds for them as well
        best_effort = any(end.made_by == "create_publisher" and end.qos == "SENSOR" for end in made)
        assert topic["Reliability Policy"] == ("Best Effort" if best_effort else "Reliable"), topic["Value"]
    assert manager["Global Options"]["Fixed Frame"] == RobotOptions().base_frame
    compressed = [d for d in manager["Displays"] if d.get("Topic", {}).get("Value", "").endswith("/compressed")]
    assert [display["Enabled"] for display in compressed] == [False], "without its plugin RViz would not begin"


def test_foxglove_shows_topics_that_there_are() -> None:
    layout = json.loads((ROOT / "launch" / "foxglove.json").read_text())
    panels = layout["configById"]
    paths = [path for key in ("imageTopic", "topicPath", "topicName", "topicToRender", "poseTopic", "pointTopic")
             for path in values_of(key, panels)]
    paths += [path["value"] for paths in values_of("paths", panels) for path in paths]
    paths += [topic for topics in values_of("topics", panels) for topic in topics]
    assert len(paths) > 12
    for path in paths:
        assert path.startswith("/") and path.split(".")[0].lstrip("/") in TOPICS, path
    placed = [panel for key in ("first", "second") for panel in values_of(key, layout["layout"])]
    assert sorted(panel for panel in placed if isinstance(panel, str)) == sorted(panels)
    (words,) = (panel for panel in panels.values() if "datatype" in panel)
    check_message(words["datatype"], json.loads(words["value"]))
    assert list(values_of("followTf", panels)) == [RobotOptions().base_frame]


# --- the workflow and Docker ----------------------------------------------------------------------------------------


def test_the_workflow_drives_on_every_distribution_in_bounded_time() -> None:
    (job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    distributions = job["strategy"]["matrix"]["distribution"]
    assert distributions == ["humble", "jazzy", "kilted", "lyrical"]
    assert all(name.title() in PAGE for name in distributions)
    steps = [step for step in job["steps"] if "run" in step]
    assert all(step["timeout-minutes"] <= 30 for step in steps)
    for step in steps:
        is_shell(re.sub(r"\$\{\{.*?\}\}", "humble", step["run"]))
    assert any("src/nav_foundation/.ci/ros" in step["run"] for step in steps)
    assert os.access(ROOT / ".ci" / "ros", os.X_OK)
    is_shell((ROOT / ".ci" / "ros").read_text())


def is_shell(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_docker_copies_what_is_here_and_what_is_needed() -> None:
    lines = (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    sources = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert all((ROOT / source).exists() for source in sources)
    assert os.access(ROOT / "docker" / "entrypoint.sh", os.X_OK)
    is_shell((ROOT / "docker" / "entrypoint.sh").read_text())
    ignored = (ROOT / ".dockerignore").read_text().split()
    needed = {"nav_foundation", "policies", "sim_envs", "ros_nodes", "launch", "resource", "docker", "README.md"}
    assert not needed & set(ignored)


# --- options --------------------------------------------------------------------------------------------------------


def test_none_is_the_empty_argument() -> None:
    robot, _ = options_of({"odom": "none", "camera_info": "none", "obstacles": "none"}, sim=False)
    assert robot == RobotOptions(odom="", camera_info="", obstacles="none")

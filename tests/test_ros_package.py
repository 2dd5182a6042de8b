"""The repository as a ROS 2 package: a real colcon build, and metadata that agree with each other."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from ros_nodes.graph import SUPERVISOR, dds_environment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
COLCON = Path(sys.executable).parent / "colcon"
PROGRAM = "lib/nav_foundation/nav-foundation"


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module", params=["copied", "symlinked"])
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A colcon workspace with this package built in it, both ways that people build."""
    assert COLCON.is_file(), f"{COLCON} is missing: run `make setup`, or pip install -c constraints.txt -e '.[dev]'"
    folder = tmp_path_factory.mktemp("workspace")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "runs", "build", "install", "log")
    shutil.copytree(ROOT, folder / "src" / "nav_foundation", ignore=ignored)
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "AMENT_PREFIX_PATH", "COLCON_PREFIX_PATH")}
    options = ["--symlink-install"] if request.param == "symlinked" else []
    run(COLCON, "build", *options, cwd=folder, env={**env, "COLCON_HOME": str(folder / ".colcon")})
    return folder


@pytest.fixture(scope="module")
def sourced(workspace: Path) -> dict[str, str]:
    """The environment of a shell that has sourced the workspace."""
    listing = run("bash", "-c", ". install/setup.bash && env -0", cwd=workspace)
    return dict(line.split("=", 1) for line in listing.split("\0") if "=" in line)


def test_ros2_finds_the_package(workspace: Path, sourced: dict[str, str]) -> None:
    prefix = workspace / "install" / "nav_foundation"
    assert str(prefix) in sourced["AMENT_PREFIX_PATH"].split(":")
    assert (prefix / "share/ament_index/resource_index/packages/nav_foundation").is_file()
    assert (prefix / "share/nav_foundation/package.xml").read_text() == (ROOT / "package.xml").read_text()


def test_ros2_launch_finds_every_launch_file(workspace: Path) -> None:
    installed = workspace / "install" / "nav_foundation" / "share" / "nav_foundation" / "launch"
    names = {path.name for path in (ROOT / "launch").iterdir() if path.is_file()}
    assert names == {path.name for path in installed.iterdir()}
    assert {"demo.launch.py", "nav_foundation.rviz", "foxglove.json"} <= names
    code = [name for name in names if name.endswith(".py")]
    assert all(name.endswith(".launch.py") for name in code), "anything else here could shadow ROS's own `launch`"


def test_ros2_run_starts_the_installed_program(workspace: Path, sourced: dict[str, str]) -> None:
    program = workspace / "install" / "nav_foundation" / PROGRAM
    assert os.access(program, os.X_OK)
    assert "demo" in run(program, "--help", cwd=workspace, env=sourced)
    where = "import nav_foundation; from nav_foundation.robot import load_robot; load_robot('turtlebot')"
    found = run(sys.executable, "-c", f"{where}; print(nav_foundation.__file__)", cwd=workspace, env=sourced)
    assert str(workspace) in found, "the installed copy is the one that runs"


def test_the_installed_copy_has_what_its_nodes_read(workspace: Path, sourced: dict[str, str]) -> None:
    listing = "print(graph.DDS_PROFILE, graph.DDS_COMMANDS, *sorted(graph.PARAMETERS.iterdir()), sep='\\n')"
    found = run(sys.executable, "-c", f"from ros_nodes import graph; {listing}", cwd=workspace, env=sourced).split()
    assert all(path.startswith(str(workspace)) and Path(path).is_file() for path in found)
    there = ["fastdds.xml", "fastdds_commands.xml", *sorted(p.name for p in (ROOT / "ros_nodes" / "params").iterdir())]
    assert [Path(path).name for path in found] == there


def metadata() -> tuple[dict[str, Any], ElementTree.Element]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project, ElementTree.parse(ROOT / "package.xml").getroot()


def test_package_xml_says_what_pyproject_says() -> None:
    import nav_foundation

    project, package = metadata()
    assert package.findtext("name") == project["name"].replace("-", "_")
    assert package.findtext("version") == nav_foundation.__version__
    assert package.findtext("description") == project["description"]
    assert package.findtext("license") == project["license"]["text"]
    maintainer = package.find("maintainer")
    assert maintainer is not None
    assert {"name": maintainer.text, "email": maintainer.get("email")} in project["authors"]
    assert package.findtext("export/build_type") == "ament_python"


def test_setup_py_says_what_pyproject_says() -> None:
    import nav_foundation

    project, _ = metadata()
    asked = ["--name", "--version", "--license", "--description"]
    told = run(sys.executable, "-W", "ignore", "setup.py", *asked, cwd=ROOT)
    expected = [project["name"], nav_foundation.__version__, project["license"]["text"], project["description"]]
    assert told.splitlines()[-4:] == expected


def described(launch_file: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a launch file describes. `launch` comes with ROS alone: recorders stand in for it."""

    def recorder(*arguments: Any, **keywords: Any) -> types.SimpleNamespace:
        def perform(context: Any) -> Any:
            return context.launch_configurations[arguments[0]]

        return types.SimpleNamespace(**{"arguments": arguments, "perform": perform, **keywords})

    for module, names in {
        "launch": ["LaunchContext", "LaunchDescription"],
        "launch.actions": ["DeclareLaunchArgument", "ExecuteProcess", "OpaqueFunction"],
        "launch.events": [],
        "launch.events.process": ["ProcessExited"],
        "launch.logging": ["get_logger"],
        "launch.substitutions": ["LaunchConfiguration"],
        "launch_ros": [],
        "launch_ros.actions": ["Node"],
        "launch_ros.parameter_descriptions": ["ParameterValue"],
        "launch_ros.substitutions": ["ExecutableInPackage", "FindPackageShare"],
    }.items():
        stand_in = types.ModuleType(module)
        for name in names:
            setattr(stand_in, name, recorder)
        monkeypatch.setitem(sys.modules, module, stand_in)
    sys.modules.pop("ros_nodes.launching", None)
    described = runpy.run_path(str(ROOT / "launch" / launch_file))["generate_launch_description"]().arguments[0]
    sys.modules.pop("ros_nodes.launching", None)  # it has met the recorders
    assert all(len(entity.description) > 8 for entity in described if hasattr(entity, "description"))
    return list(described)


def test_the_demo_s_launch_file_starts_a_command_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    (declared, process) = described("demo.launch.py", monkeypatch)
    program, verb, flag, value = process.cmd
    assert f"lib/{program.package}/{program.executable}" == PROGRAM
    assert value.arguments == declared.arguments
    assert flag in run(sys.executable, "-m", "nav_foundation.cli", verb, "--help", cwd=ROOT)


LAUNCH_FILES = {"robot.launch.py": ["controller", "navigator"],
                "sim.launch.py": ["controller", "navigator", "simulated_robot"]}
NODE_ARGUMENTS = {  # those that launch_ros has had since Humble; a `name` would be that of all nodes of one process
    "package", "executable", "exec_name", "namespace", "arguments", "parameters", "remappings", "additional_env",
    "output", "respawn", "respawn_delay", "on_exit",
}


def started(launch_file: str, monkeypatch: pytest.MonkeyPatch, **told: str) -> list[Any]:
    """The processes of a launch file that is told arguments."""
    *declared, start = described(launch_file, monkeypatch)
    usual = {argument.arguments[0]: argument.default_value for argument in declared}
    assert told.keys() <= usual.keys() | {"launch-prefix"}
    context = types.SimpleNamespace(launch_configurations={**usual, **told})
    return list(start.function(context, *start.args))


@pytest.mark.parametrize("launch_file", LAUNCH_FILES)
def test_launch_files_start_nodes_in_processes(launch_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = started(launch_file, monkeypatch, namespace="r1")
    assert [process.arguments for process in processes] == [["node", name] for name in LAUNCH_FILES[launch_file]]
    (composed,) = started(launch_file, monkeypatch, composed="true")
    assert composed.arguments == ["node", *LAUNCH_FILES[launch_file]]
    for process in (*processes, composed):
        assert vars(process).keys() - {"perform"} == NODE_ARGUMENTS
        assert f"lib/{process.package}/{process.executable}" == PROGRAM
        assert process.namespace == (None if process is composed else "r1"), "an empty one would not be valid"
        *files, parameters = process.parameters
        assert [Path(file).name for file in files] == ["turtlebot.yaml"]
        assert parameters.get("use_sim_time", False) is (launch_file == "sim.launch.py")


def test_texts_stay_texts_and_what_is_recorded_has_time_to_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """launch would read a dataset's name such as 2026-11-22 as a date, and kill its recorder after some seconds."""
    nodes = {p.arguments[1]: p for p in started("robot.launch.py", monkeypatch, record="2026-11-22")}
    folder = nodes["recorder"].parameters[-1]["folder"]
    assert (folder.arguments, folder.value_type) == (("2026-11-22",), str)
    assert float(nodes["recorder"].sigterm_timeout) >= 60
    assert not hasattr(nodes["controller"], "sigterm_timeout")


def test_rviz_is_opened_with_the_robot_s_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"namespace": "r1", "image": "/front/rgb", "odom": "none", "base_frame": "base"}
    *nodes, rviz = started("robot.launch.py", monkeypatch, rviz="true", **told)
    assert len(nodes) == 2
    assert (rviz.package, rviz.executable, rviz.namespace) == ("rviz2", "rviz2", "r1")
    flag, (share, file), *frame = rviz.arguments
    assert (flag, share.arguments, frame) == ("-d", ("nav_foundation",), ["-f", "base"])
    assert (ROOT / file.lstrip("/")).is_file()
    assert rviz.remappings == [("camera/image_raw", "/front/rgb")]
    assert vars(rviz).keys() - {"perform"} <= NODE_ARGUMENTS
    assert SUPERVISOR not in rviz.additional_env, "it is no node of ours, which would end with its supervisor"
    with pytest.raises(ValueError, match="rviz is 'maybe': give true or false"):
        started("robot.launch.py", monkeypatch, rviz="maybe")


def test_wrong_arguments_are_told_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="drive is 'maybe': give true or false"):
        started("robot.launch.py", monkeypatch, drive="maybe")
    with pytest.raises(ValueError, match=r"params /nowhere\.yaml does not exist"):
        started("robot.launch.py", monkeypatch, params="/nowhere.yaml")
    process = started("robot.launch.py", monkeypatch)[0]
    ended = types.SimpleNamespace(process_name="controller-1", returncode=-9)
    assert process.on_exit(ended, None) is None, "one that crashes is started anew"
    ended.returncode = 2
    with pytest.raises(ValueError, match="controller-1 cannot begin"):
        process.on_exit(ended, None)


def test_nodes_know_who_started_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started("robot.launch.py", monkeypatch)[0].additional_env[SUPERVISOR] == str(os.getpid())
    debugged = started("robot.launch.py", monkeypatch, **{"launch-prefix": "gdb --args"})[0]
    assert SUPERVISOR not in debugged.additional_env, "a debugger starts it, which is no reason to end"


@pytest.mark.parametrize(("distribution", "name"), [
    ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"), ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
    ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"), (None, "FASTDDS_DEFAULT_PROFILES_FILE"),
])
def test_fast_dds_is_told_its_profile_by_the_name_it_reads(distribution: str | None, name: str) -> None:
    told = {} if distribution is None else {"ROS_DISTRO": distribution}
    assert list(dds_environment(told)) == [name]
    assert dds_environment({**told, name: "mine.xml"}) == {}


def test_what_drives_the_robot_shares_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed can lock it. Large pictures need it, and one process alone has nobody to wait for."""
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROS_DISTRO", "kilted")

    def profiles(**told: str) -> list[str]:
        processes = started("robot.launch.py", monkeypatch, **told)
        return [Path(p.additional_env["FASTDDS_DEFAULT_PROFILES_FILE"]).name for p in processes]

    assert profiles() == profiles(obstacles="scan") == ["fastdds_commands.xml", "fastdds.xml"]
    assert profiles(joystick="true") == ["fastdds_commands.xml", "fastdds.xml", "fastdds_commands.xml"]
    assert profiles(obstacles="depth") == ["fastdds.xml", "fastdds.xml"]
    told = tmp_path / "told.yaml"
    told.write_text("controller: {ros__parameters: {obstacles: 'depth'}}")
    assert profiles(params=str(told)) == ["fastdds.xml", "fastdds.xml"]
    assert profiles(composed="true") == ["fastdds.xml"]


def test_an_argument_that_is_nearly_one_of_ours_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ros2 launch` itself takes any name."""
    *declared, start = described("robot.launch.py", monkeypatch)
    told: list[str] = []
    logger = types.SimpleNamespace(warning=told.append)
    monkeypatch.setitem(start.function.__globals__, "get_logger", lambda name: logger)
    usual = {argument.arguments[0]: argument.default_value for argument in declared}
    others = {"modle": "nano", "log_level": "info", "launch-prefix": "gdb"}
    start.function(types.SimpleNamespace(launch_configurations={**usual, **others}), *start.args)
    assert told == ["modle:= is not known, and changes nothing: did you mean model:=?"]

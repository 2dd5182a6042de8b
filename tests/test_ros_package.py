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
    names = {path.name for path in (ROOT / "launch").iterdir() if path.suffix == ".py"}
    assert names == {path.name for path in installed.iterdir()}
    assert "demo.launch.py" in names
    assert all(name.endswith(".launch.py") for name in names), "anything else here could shadow ROS's own `launch`"


def test_ros2_run_starts_the_installed_program(workspace: Path, sourced: dict[str, str]) -> None:
    program = workspace / "install" / "nav_foundation" / PROGRAM
    assert os.access(program, os.X_OK)
    assert "demo" in run(program, "--help", cwd=workspace, env=sourced)
    where = "import nav_foundation; from nav_foundation.robot import load_robot; load_robot('turtlebot')"
    found = run(sys.executable, "-c", f"{where}; print(nav_foundation.__file__)", cwd=workspace, env=sourced)
    assert str(workspace) in found, "the installed copy is the one that runs"


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


def test_the_launch_file_starts_a_command_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    """`launch` comes with ROS alone, so recorders stand in for it and the command is checked against ours."""

    def recorder(*arguments: Any, **keywords: Any) -> types.SimpleNamespace:
        return types.SimpleNamespace(arguments=arguments, **keywords)

    for module, names in {
        "launch": ["LaunchDescription"],
        "launch.actions": ["DeclareLaunchArgument", "ExecuteProcess"],
        "launch.substitutions": ["LaunchConfiguration"],
        "launch_ros": [],
        "launch_ros.substitutions": ["ExecutableInPackage"],
    }.items():
        stand_in = types.ModuleType(module)
        for name in names:
            setattr(stand_in, name, recorder)
        monkeypatch.setitem(sys.modules, module, stand_in)
    description = runpy.run_path(str(ROOT / "launch" / "demo.launch.py"))["generate_launch_description"]()
    (declared, process) = description.arguments[0]
    assert len(declared.description) > 20
    program, verb, flag, value = process.cmd
    assert f"lib/{program.package}/{program.executable}" == PROGRAM
    assert value.arguments == declared.arguments
    assert flag in run(sys.executable, "-m", "nav_foundation.cli", verb, "--help", cwd=ROOT)

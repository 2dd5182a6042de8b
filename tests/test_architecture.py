"""What the design forbids, found in syntax trees, so that it cannot creep in unseen."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_FILE, MAX_FUNCTION = 420, 65  # lines

BELOW = {  # room -> the other rooms it may import
    "nav_foundation": set(),
    "policies": {"nav_foundation"},
    "sim_envs": {"nav_foundation", "policies"},
    "ros_nodes": {"nav_foundation", "policies"},
}
COMPOSITION_ROOT = "nav_foundation/cli.py"  # may import every room, inside functions
BRIDGE = "ros_nodes/simulated_robot.py"  # may import sim_envs too
ONLY_IN = {"rclpy": "ros_nodes/", "habitat_sim": "sim_envs/habitat_worker.py", "tensorrt": "nav_foundation/deploy/"}
NUMPY_ALONE = [
    "nav_foundation/types.py",
    "nav_foundation/geometry.py",
    "policies/policy.py",
    "policies/controller.py",
    "sim_envs/metrics.py",
]


@dataclass(frozen=True)
class Import:
    module: str  # dotted, with the name that is taken from it
    line: int
    lazy: bool  # inside a function
    for_types: bool  # under `if TYPE_CHECKING`

    @property
    def top(self) -> str:
        return self.module.split(".")[0]


def imports(tree: ast.AST, package: str, lazy: bool = False, for_types: bool = False) -> Iterator[Import]:
    """Every import below `tree`, relative ones resolved against `package`, with where it stands."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, lazy, for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            prefix = ".".join(filter(None, (base, node.module)))
            yield from (Import(f"{prefix}.{alias.name}", node.lineno, lazy, for_types) for alias in node.names)
        elif isinstance(node, ast.Call):
            yield from _imports_by_name(node, lazy)
            yield from imports(node, package, lazy, for_types)
        else:
            inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            yield from imports(node, package, lazy or inside, for_types or typing_only)


def _imports_by_name(call: ast.Call, lazy: bool) -> Iterator[Import]:
    """`importlib.import_module("x")` and `__import__("x")`."""
    if ast.unparse(call.func) in ("importlib.import_module", "import_module", "__import__") and call.args:
        name = call.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield Import(name.value, call.lineno, lazy, False)


def import_faults(path: str, source: str) -> list[str]:
    """Breaches of the import rules by a file at `path`, relative to the repository."""
    room = path.split("/")[0]
    faults = []
    for found in imports(ast.parse(source), path.rsplit("/", 1)[0].replace("/", ".")):
        where = f"{path}:{found.line} imports {found.module}"
        if room in BELOW and found.top in BELOW and found.top not in BELOW[room] | {room}:
            if path == COMPOSITION_ROOT:
                if not found.lazy:
                    faults.append(f"{where} at import time: do it inside the function that needs it")
            elif not (path == BRIDGE and found.top == "sim_envs"):
                faults.append(f"{where}: {room} may use only {sorted(BELOW[room])}")
        if found.top in ONLY_IN and not path.startswith((ONLY_IN[found.top], "tests/")):
            faults.append(f"{where}: that belongs in {ONLY_IN[found.top]} alone")
    return faults


def size_faults(path: str, source: str) -> list[str]:
    faults = []
    if (count := len(source.splitlines())) > MAX_FILE:
        faults.append(f"{path} has {count} lines: split it, the limit is {MAX_FILE}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            count = (node.end_lineno or node.lineno) - node.lineno + 1
            if count > MAX_FUNCTION:
                faults.append(f"{path}:{node.lineno} {node.name} has {count} lines: the limit is {MAX_FUNCTION}")
    return faults


def care_faults(path: str, source: str) -> list[str]:
    """Exceptions swallowed without a name, and work done at import."""
    tree = ast.parse(source)
    bare = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.ExceptHandler) and n.type is None]
    faults = [f"{path}:{line} has a bare `except:`: name what may be caught" for line in bare]
    loops = [n.lineno for n in tree.body if isinstance(n, (ast.For, ast.While, ast.With))]
    return faults + [f"{path}:{line} works at import time: put it into a function" for line in loops]


_HOST = re.compile(
    r"--?(?:extra-)?index-url|--find-links|\b(?:localhost|[\w-]+\.(?:internal|corp|lan))(?![\w(.])|file://"
)
_MACHINE_PATH = re.compile(r"(?<![\w.<~}$/-])/(?:root|home|Users|work|opt|mnt|workspace)/\w")


def text_faults(path: str, text: str) -> list[str]:
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        if _HOST.search(line):
            faults.append(f"{path}:{number} names a package index or a host: the user's pip knows its own")
        if _MACHINE_PATH.search(line):
            faults.append(f"{path}:{number} holds a path of one machine: {line.strip()[:80]}")
    return faults


def third_party(path: str, source: str) -> set[str]:
    """Packages the file needs to run, other than our own and the standard library."""
    return {i.top for i in needs(path, source)} - set(sys.stdlib_module_names) - set(BELOW)


def needs(path: str, source: str) -> list[Import]:
    return [i for i in imports(ast.parse(source), path.rsplit("/", 1)[0].replace("/", ".")) if not i.for_types]


def imported_files(path: str, source: str) -> Iterator[str]:
    """Our own files that Python reads while it imports the file at `path`."""
    for found in needs(path, source):
        parts = found.module.split(".")
        if found.top in BELOW and not found.lazy:
            for depth in range(1, len(parts) + 1):
                stem = "/".join(parts[:depth])
                yield from (file for file in (f"{stem}.py", f"{stem}/__init__.py") if file in FILES)


def own_files() -> list[str]:
    """Python files of the repository outside hidden, built and recorded folders."""
    skipped = {"build", "install", "log", "runs"}
    paths = (p.relative_to(ROOT) for p in ROOT.rglob("*.py"))
    return sorted(p.as_posix() for p in paths if not any(x.startswith(".") or x in skipped for x in p.parts))


FILES = own_files()
PROGRAM = [f for f in FILES if not f.startswith("tests/")]


@pytest.mark.parametrize("path", PROGRAM)
def test_file_keeps_the_rules(path: str) -> None:
    source = (ROOT / path).read_text()
    faults = import_faults(path, source) + size_faults(path, source) + care_faults(path, source)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path", NUMPY_ALONE)
def test_numpy_alone_is_enough(path: str) -> None:
    """The file itself needs NumPy; what it draws in of ours may add the readers of robot files and the task ids."""
    assert third_party(path, (ROOT / path).read_text()) <= {"numpy"}
    pending, seen = [path], set()
    while pending:
        seen.add(current := pending.pop())
        pending += set(imported_files(current, (ROOT / current).read_text())) - seen
    at_import = {i.top for file in seen for i in needs(file, (ROOT / file).read_text()) if not i.lazy}
    assert at_import - set(sys.stdlib_module_names) - set(BELOW) <= {"numpy", "yaml", "gymnasium"}, sorted(seen)


def test_no_file_names_a_machine_or_a_package_index() -> None:
    kinds = {".py", ".md", ".toml", ".cfg", ".txt", ".xml", ".yaml", ".yml", ""}
    folders = [ROOT, *(ROOT / f for f in (".ci", "docs", "launch", "benchmarks", "resource", "tests", *BELOW))]
    paths = [p for folder in folders for p in (folder.rglob("*") if folder != ROOT else folder.glob("*"))]
    faults = []
    for path in paths:
        if path.is_file() and path.suffix in kinds and "__pycache__" not in path.parts and path != Path(__file__):
            faults += text_faults(path.relative_to(ROOT).as_posix(), path.read_text())
    assert not faults, "\n".join(faults)


def test_launch_is_not_a_package() -> None:
    assert not list((ROOT / "launch").rglob("__init__.py")), "it would shadow ROS's own `launch`"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nav_foundation/types.py", "import policies.agent"),
        ("nav_foundation/types.py", "from sim_envs import world"),
        ("nav_foundation/types.py", "def f():\n    import sim_envs"),
        ("nav_foundation/cli.py", "import sim_envs.world"),
        ("nav_foundation/cli.py", "if True:\n    from policies import agent"),
        ("policies/agent.py", "from sim_envs.world import World"),
        ("policies/agent.py", "import importlib\nimportlib.import_module('ros_nodes.node')"),
        ("sim_envs/world.py", "import ros_nodes"),
        ("ros_nodes/node.py", "from sim_envs.world import World"),
        ("ros_nodes/simulated_robot.py", "import nav_foundation\nimport rclpy\nimport tensorrt"),
        ("sim_envs/world.py", "import rclpy"),
        ("benchmarks/simulator.py", "import rclpy.node"),
        ("sim_envs/habitat.py", "def f():\n    import habitat_sim"),
        ("nav_foundation/model/net.py", "from tensorrt import Builder"),
    ],
)
def test_a_forbidden_import_is_found(path: str, source: str) -> None:
    assert import_faults(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nav_foundation/cli.py", "def main():\n    from sim_envs import evaluation"),
        ("policies/agent.py", "from nav_foundation.types import Plan"),
        ("sim_envs/tasks/generate.py", "from .. import simulator\nfrom policies.agent import Agent"),
        ("ros_nodes/simulated_robot.py", "import rclpy\nfrom sim_envs.world import World"),
        ("sim_envs/habitat_worker.py", "import habitat_sim"),
        ("nav_foundation/deploy/engines.py", "def f():\n    import tensorrt"),
    ],
)
def test_an_allowed_import_is_not_blamed(path: str, source: str) -> None:
    assert import_faults(path, source) == []


def test_relative_imports_are_resolved() -> None:
    source = "from .. import simulator\nfrom .episode import Episode\nfrom . import a"
    found = [i.module for i in imports(ast.parse(source), "sim_envs.tasks")]
    assert found == ["sim_envs.simulator", "sim_envs.tasks.episode.Episode", "sim_envs.tasks.a"]


def test_long_files_and_functions_are_found() -> None:
    body = "    x = 1\n" * MAX_FUNCTION
    assert size_faults("a.py", f"def f():\n{body}")
    assert size_faults("a.py", f"class A:\n    async def f(self):\n{body.replace('    ', '        ')}")
    assert size_faults("a.py", "x = 1\n" * (MAX_FILE + 1))
    assert size_faults("a.py", f"def f():\n{body[: -len('    x = 1' + chr(10))]}") == []


def test_careless_code_is_found() -> None:
    assert care_faults("a.py", "try:\n    x()\nexcept:\n    pass")
    assert care_faults("a.py", "for i in range(3):\n    print(i)")
    assert care_faults("a.py", "try:\n    x()\nexcept ValueError:\n    pass") == []


def test_hosts_and_machine_paths_are_found() -> None:
    bad = ["pip install --index-url http://x/simple y", "see file://wheels", "cd /home/me/code", "PATH=/work/main"]
    assert all(text_faults("README.md", line) for line in bad)
    good = ["make PYTHON=/path/to/python3", "docs/work/main", "lib/nav_foundation", "share/opt/x"]
    assert not any(text_faults("README.md", line) for line in good)


def test_third_party_needs_are_found_even_inside_functions() -> None:
    source = "import math\nimport torch.nn\nif TYPE_CHECKING:\n    import cv2\ndef f():\n    import av"
    assert third_party("policies/controller.py", source) == {"torch", "av"}

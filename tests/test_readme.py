"""What the README tells people to type works: every command is run here with fewer episodes, or by CI itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sim_envs.metrics import METRICS
from sim_envs.tasks.episode import SUCCESS_RADIUS, TASKS, VARIANTS

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))
EPISODES = 1  # instead of as many as the page says
INSTALLATION = [line.strip() for line in (ROOT / ".github" / "workflows" / "ros.yaml").read_text().splitlines()]
NEED_A_NAVIGATOR = "docs/robots.md"  # its example of Python is run by test_ros_files.py


def blocks(language: str, page: str = "README.md") -> list[str]:
    """The fenced blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    lines = [line for block in blocks("bash", page) for line in block.replace("\\\n", "").splitlines()]
    return [" ".join(line.split()) for line in lines if line and not line.startswith("#")]


def run(command: str, cwd: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    done = subprocess.run(["bash", "-c", command], cwd=cwd, env=env, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def is_covered(command: str) -> bool:
    """Whether something runs this command, here or elsewhere."""
    if command.startswith("make "):
        return subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True).returncode == 0
    if command.startswith("ros2 launch nav_foundation "):  # built and checked in test_ros_package.py
        return (ROOT / "launch" / command.split()[3]).is_file()
    if command in INSTALLATION:
        return True
    return command.startswith(
        (
            "nav-foundation ",  # below
            "ACCELERATE_USE_CPU=true OMP_NUM_THREADS=1 torchrun --standalone --nproc_per_node 2 ",  # test_training.py
            ". .venv/bin/activate",
            "ros2 run nav_foundation nav-foundation ",  # test_ros_package.py
            "ros2 topic ", "ros2 service ", "ros2 param ", "ros2 action ",  # their arguments: test_ros_files.py
            "colcon build",
            ". install/setup.bash",
            ".venv/bin/pre-commit install",  # its hooks: test_pre_commit_hooks_name_programs_that_exist
        )
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_run_somewhere(page: str) -> None:
    assert [c for c in commands(page) if not is_covered(c)] == []


def test_a_command_that_nothing_runs_is_found() -> None:
    assert not is_covered("make coffee")
    assert not is_covered("ros2 launch nav_foundation nothing.launch.py")
    assert not is_covered("docker run nav_foundation")


def test_ci_runs_the_two_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    for target in ("make test", "make demo"):
        assert target in commands("README.md")
        assert re.search(rf"^(timeout \d+ )?{target}$", script, re.MULTILINE)


def test_help_of_make_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {t for line in re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE) for t in line.split()}
    told = set(re.findall(r"make (\w+)", run("make help", ROOT)))
    assert targets - {"help", "setup", "environment"} == told


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}, which is not here"


def test_the_page_of_tasks_tells_what_the_code_does() -> None:
    page = (ROOT / "docs" / "tasks.md").read_text()
    for task in TASKS:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{task}` |"))
        assert all(f"`{variant}`" in row for variant in VARIANTS[task])
        assert f"| {SUCCESS_RADIUS[task]:.1f} m" in row or task == "explore"
    assert all(f"| `{name}` |" in page for name in METRICS)


def test_pre_commit_hooks_name_programs_that_exist() -> None:
    bin_folder = Path(sys.executable).parent
    for program in re.findall(r"entry: \.venv/bin/(\S+)", (ROOT / ".pre-commit-config.yaml").read_text()):
        assert (bin_folder / program).is_file()
    run(f"pre-commit validate-config {ROOT / '.pre-commit-config.yaml'}", ROOT)


def with_few_episodes(command: str) -> str:
    if command.split()[1] == "eval":
        assert "--episodes " in command, f"say how many episodes, so that the reader knows how long it takes: {command}"
    return re.sub(r"--episodes \d+", f"--episodes {EPISODES} --workers 1", command)


def bring_pictures(folder: Path) -> None:
    """What readers have who want predictions: a picture and its goal, a film and the robot that made it."""
    import numpy as np
    import yaml

    from nav_foundation.config import to_mapping
    from nav_foundation.data.images import encode_jpeg
    from nav_foundation.data.video import write_video
    from nav_foundation.robot import load_robot

    robot = load_robot("turtlebot")
    for name in ("hall.jpg", "door.jpg"):
        (folder / name).write_bytes(encode_jpeg(np.full((480, 640, 3), 128, np.uint8)))
    write_video(folder / "film.mp4", [np.zeros((robot.camera.height, robot.camera.width, 3), np.uint8)] * 12, 10)
    (folder / "my_robot.yaml").write_text(yaml.safe_dump(to_mapping(robot)))


UNTIL_CTRL_C = "nav-foundation robot --sim"  # test_ros_drive.py runs it


@pytest.mark.slow
@pytest.mark.parametrize("block", [
    b for b in blocks("bash") if "nav-foundation " in b and "ros2" not in b and b.strip() != UNTIL_CTRL_C
])
def test_command_line_examples_run(block: str, tmp_path: Path) -> None:
    if "predict" in block:
        bring_pictures(tmp_path)
    for command in block.splitlines():
        if command.startswith("nav-foundation "):
            told = run(with_few_episodes(command), tmp_path)
            assert told.strip() or " > " in command
            for written in re.findall(r"(?:--json|--out|>) (\S+)", command):
                assert (tmp_path / written).stat().st_size > 0
            for folder in re.findall(r"--report (\S+)", command):
                assert max(page.stat().st_size for page in (tmp_path / folder).glob("*.html")) > 10_000


@pytest.mark.slow
def test_the_recipe_of_the_training_page_runs(tmp_path: Path) -> None:
    """All stages in turn, each as small as it goes, with the network that is for tests."""
    first, torchrun, peers, tuning = blocks("bash", "docs/training.md")
    for command in [*first.splitlines(), *(peers + tuning).replace("runs/my_drives", "runs/houses").splitlines()]:
        small = re.sub(r"--steps \d+", "--steps 2", re.sub(r"--rounds \d+", "--rounds 1", command))
        small = re.sub(r"--episodes \d+", "--episodes 2", small).replace("round3", "round1")
        verb = small.split()[1]
        model = "" if "--model" in small else " --model tiny"
        more = {"train": f"{model} --batch 2 --workers 0", "dagger": " --steps 2 --batch 2 --workers 1",
                "finetune": " --steps 2 --workers 0"}
        run(small + more.get(verb, " --workers 1"), tmp_path)
        out = re.search(r"--out (\S+)", small)
        assert out is None or any((tmp_path / out[1]).iterdir())
    assert "nav_foundation.cli train" in torchrun


@pytest.mark.slow
@pytest.mark.parametrize(
    "source", [source for page in PAGES if page != NEED_A_NAVIGATOR for source in blocks("python", page)]
)
def test_python_examples_run(source: str, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(source)
    run("python example.py", tmp_path)

"""What an evaluation is: settings that are checked before anything costly begins."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nav_foundation
from nav_foundation.config import closest, to_mapping
from nav_foundation.files import plain
from nav_foundation.model.folder import CONFIG, WEIGHTS, bundled, is_ours
from nav_foundation.model.published.config import check_task, read_config
from nav_foundation.robot import RobotSpec, load_robot
from policies.load import find_model, model_folder
from sim_envs.backend import Backend, SimName
from sim_envs.habitat_presets import HabitatPreset, find_preset
from sim_envs.scenes.splits import SPLITS
from sim_envs.simulator import SceneError, SceneRef
from sim_envs.tasks.episode import SUCCESS_RADIUS, TASKS, VARIANTS, TaskName
from sim_envs.tasks.generate import BEYOND_SUCCESS

POLICIES = ("oracle", "random", "bearing", "straight")


@dataclass(frozen=True)
class EvaluationSettings:
    """What is evaluated. The command line and a settings file give the same object."""

    policy: str = "oracle"
    task: TaskName | None = None  # None = point-goal, or what the episodes file holds
    variant: str = ""  # empty = the task's first one
    distance: tuple[float, float] | None = None  # m, shortest way from start to goal; None = the task's own
    scenes: str = "houses"  # houses | city | one scene (house:SEED, city:SEED?size=METRES) | a mesh file
    robot: str = "turtlebot"  # a shipped robot or the path of a YAML file
    noise: bool = False  # camera effects, actuation noise and odometry drift
    people: int = 0  # moving about in every scene
    split: Literal["train", "val", "test"] = "test"
    episodes: int | None = None  # None = 100, or all of the episodes file
    seed: int = 0  # another seed makes other scenes and other episodes
    episodes_file: Path | None = None  # a Habitat .json.gz instead of generated episodes
    scenes_dir: Path | None = None  # where the scenes of a public episodes file lie
    language: str | None = None  # keeps the instructions of an episodes file in this language ("en")
    preset: str | None = None  # a public benchmark: its robot's size, camera, moves, steps and success radius
    mask_goal: bool = False  # the policy drives without its goal and is only told when it is there
    sim: SimName = "embedded"
    habitat_python: str = ""  # the interpreter that has habitat_sim; empty = NAV_HABITAT_PYTHON

    def __post_init__(self) -> None:
        check_policy(self.policy, self.task)
        self._check_preset()
        if self.mask_goal:
            if self.policy in POLICIES:
                raise ValueError(f"the {self.policy} policy cannot do without its goal: mask the goal of a network")
            check_policy(self.policy, "explore")
        _check_choice("task", self.task, TASKS)
        _check_choice("split", self.split, SPLITS)
        task = self.task or "point-goal"
        if self.variant and self.variant not in VARIANTS[task]:
            known = f"use one of {', '.join(VARIANTS[task])}" if VARIANTS[task] else "it has none"
            raise ValueError(f"variant {self.variant!r} is not known to {task}: {known}")
        for name, least in (("episodes", 1), ("seed", 0), ("people", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}: give {least} or more")
        if self.distance is not None:
            low, high = self.distance
            nearest = SUCCESS_RADIUS[task] + BEYOND_SUCCESS  # nearer starts would be inside success
            if task == "explore":
                raise ValueError("explore takes no distance: the whole scene is to be seen")
            if not (math.isfinite(low) and math.isfinite(high) and 0 <= low < high and high > nearest):
                raise ValueError(
                    f"distance is {low:g}-{high:g}: give metres as MIN-MAX, MIN first and MAX above {nearest:g}: 2-10"
                )
        if self.scenes not in ("houses", "city"):
            ref = parse_scene(self.scenes)
            if ref.kind == "file" and self.episodes_file is None and not Path(ref.path).is_file():
                raise ValueError(f"scene file {ref.path} does not exist")
        if self.episodes_file is not None and (self.distance or self.variant or self.scenes != "houses"):
            raise ValueError("an episodes file says itself where to go: leave out scenes, distance and variant")
        self.backend.check(self.people, self.scenes if self.episodes_file is None else "")

    @property
    def backend(self) -> Backend:
        return Backend(self.sim, self.habitat_python)

    def _check_preset(self) -> None:
        if self.preset is None:
            return
        task = find_preset(self.preset).task
        check_policy(self.policy, task)
        if self.task not in (None, task):
            raise ValueError(f"preset {self.preset} is a task of {task}: leave out the task {self.task}")
        if self.episodes_file is None:
            raise ValueError(f"preset {self.preset} says how to drive, not where: name its episodes as episodes file")

    @property
    def benchmark(self) -> HabitatPreset | None:
        return None if self.preset is None else find_preset(self.preset)

    @property
    def asked_task(self) -> TaskName | None:
        """The task that is named, by itself or by the preset."""
        return self.task if self.benchmark is None else self.benchmark.task

    def load_robot(self) -> RobotSpec:
        robot = load_robot(self.robot)
        return robot if self.benchmark is None else self.benchmark.robot(robot)

    def identity(self, robot: RobotSpec) -> dict[str, Any]:
        """Everything that decides the result of an episode, as plain data. The number of episodes does not."""
        settings = to_mapping(self)
        del settings["episodes"]
        settings = self.backend.without_place(settings)
        settings["policy"] = policy_identity(self.policy)
        settings["task"] = self.task or (None if self.episodes_file else "point-goal")
        settings["robot"] = to_mapping(robot)
        if self.episodes_file is not None:
            settings["episodes_file"] = _digest(self.episodes_file)
        if self.scenes not in ("houses", "city") and (ref := parse_scene(self.scenes)).kind == "file":
            path = Path(ref.path)
            digests = " ".join(map(_digest, self.backend.beside(path) or [path]))
            settings["scenes"] = f"{path.name} {digests}"
        return plain({**settings, "version": nav_foundation.__version__})


def _check_choice(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise ValueError(f"{name} {value!r} is not known{closest(str(value), choices)}")


def parse_scene(text: str) -> SceneRef:
    try:
        return SceneRef.parse(text)
    except SceneError:
        raise ValueError(
            f"scenes {text!r} is not known: give houses, city, house:SEED, city:SEED or the path of a mesh file"
        ) from None


def _digest(path: Path) -> str:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None


def policy_identity(name: str) -> Any:
    """What tells a policy from others. Of a network the weights count, wherever they lie."""
    return name if name in POLICIES else [_digest(model_folder(name) / file) for file in (CONFIG, WEIGHTS)]


def check_policy(name: str, task: str | None) -> None:
    """Refuse what cannot be built, before anything costly begins."""
    if name not in POLICIES:
        known = (*POLICIES, *bundled())
        if (folder := find_model(name)) is not None:
            kind = None if is_ours(folder) else read_config(folder).kind
            if kind is not None and task is not None:
                check_task(kind, task)
            return
        if Path(name).exists():
            raise ValueError(f"policy {name} is not a checkpoint this version can read: use {', '.join(known)}")
        raise ValueError(f"policy {name!r} is not known{closest(name, known)}")
    if name == "bearing" and task not in (None, "point-goal"):
        raise ValueError(f"the bearing policy only knows where points are: use it with point-goal, not with {task}")

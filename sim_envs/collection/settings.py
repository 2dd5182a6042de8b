"""What is collected: settings that are checked before anything costly begins."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nav_foundation
from nav_foundation.config import closest, to_mapping
from nav_foundation.robot import load_robot
from sim_envs.backend import Backend, SimName
from sim_envs.evaluation.settings import check_policy, parse_scene, policy_identity
from sim_envs.scenes.splits import split_of
from sim_envs.tasks.episode import TASKS, TaskName

TRAINING_TASKS: tuple[TaskName, ...] = ("tour", "image-goal", "explore", "instruction")

_FORMAT = 2  # of what is kept of a drive: its true poses and the things about it since this one


@dataclass(frozen=True)
class CollectSettings:
    """Episode i is a function of these and of i, whatever their number is."""

    scenes: str = "houses"  # houses | city | one scene (house:SEED, city:SEED?size=METRES) | a mesh file
    tasks: tuple[TaskName, ...] = TRAINING_TASKS  # in turn
    episodes: int = 100  # tried; those that cannot be made are left out and counted
    robot: str = "random"  # random | a shipped robot | the path of a YAML file
    noise: bool = True  # camera effects and light, actuation noise and odometry drift
    people: tuple[int, int] = (0, 3)  # at least, at most, walking about in an episode
    seed: int = 0
    split: Literal["train", "val"] = "train"
    policy: str | None = None  # who drives: None = the expert, otherwise a name as for `eval`
    relabel: bool = False  # the expert labels what the policy meets (DAgger)
    expert_share: float = 0.0  # 0..1 of the time that the expert drives although there is a policy
    perturb: float = 0.5  # 0..1, strength of pushes that the expert has to recover from; 0 = none
    recovery: float = 0.2  # 0..1, share of episodes that begin in an awkward place
    frame_rate: float = 5.0  # Hz, one for all robots
    depth: bool = False  # keep depth images as well
    sim: SimName = "embedded"
    habitat_python: str = ""  # the interpreter that has habitat_sim; empty = NAV_HABITAT_PYTHON

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError(f"tasks are empty: name some of {', '.join(TASKS)}")
        for task in self.tasks:
            if task not in TASKS:
                raise ValueError(f"task {task!r} is not known{closest(str(task), TASKS)}")
            if self.policy is not None:
                check_policy(self.policy, task)
        if self.split not in ("train", "val"):
            raise ValueError(f"split {self.split!r} is not for collecting: use train or val, test scenes stay unseen")
        for name, least in (("episodes", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give {least} or more")
        for name in ("expert_share", "perturb", "recovery"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 to 1")
        if not 0 <= self.people[0] <= self.people[1]:
            raise ValueError(f"people is {self.people[0]}-{self.people[1]}: give at least and at most, from 0 on")
        if self.policy is None and (self.relabel or self.expert_share):
            raise ValueError("there is nothing to relabel: name the policy that drives")
        if self.policy is not None and self.expert_share and not self.relabel:
            raise ValueError("an expert that takes over only helps where it labels too: add relabel")
        self.backend.check(self.people[1], self.scenes)
        self._check_scenes()
        self._check_frame_rate()

    @property
    def backend(self) -> Backend:
        return Backend(self.sim, self.habitat_python)

    def _check_scenes(self) -> None:
        if self.scenes in ("houses", "city"):
            return
        ref = parse_scene(self.scenes)
        if ref.kind == "file":
            if not Path(ref.path).is_file():
                raise ValueError(f"scene file {ref.path} does not exist")
        elif split_of(ref) == "test":
            raise ValueError(f"scene {ref} is for testing and must stay unseen: collect in another one")

    def _check_frame_rate(self) -> None:
        rate = 20.0 if self.robot == "random" else load_robot(self.robot).control_rate
        ticks = rate / self.frame_rate if self.frame_rate > 0 else 0.0
        if ticks < 1 or abs(ticks - round(ticks)) > 1e-6:
            raise ValueError(f"frame_rate is {self.frame_rate:g} Hz: the robot's control rate of {rate:g} Hz must be "
                             "a whole multiple of it")

    def identity(self) -> dict[str, Any]:
        """Everything that decides what an episode becomes, as plain data. The number of episodes does not."""
        settings = to_mapping(self)
        del settings["episodes"]
        settings = self.backend.without_place(settings)
        if self.policy is not None:
            settings["policy"] = policy_identity(self.policy)
        if self.robot != "random":
            settings["robot"] = to_mapping(load_robot(self.robot))
        if self.scenes not in ("houses", "city") and (ref := parse_scene(self.scenes)).kind == "file":
            path = Path(ref.path)
            settings["scenes"] = f"{path.name} {hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()}"
        return {**settings, "version": nav_foundation.__version__, "format": _FORMAT}

    @property
    def digest(self) -> str:
        text = json.dumps(self.identity(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

"""An episode: what is asked, where it starts and what counts as done. Files of episodes are in habitat_files.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim_envs.simulator import Pose, SceneRef, SimulatorError

TaskName = Literal["point-goal", "image-goal", "object-goal", "instruction", "tour", "explore"]
TASKS: tuple[TaskName, ...] = ("point-goal", "image-goal", "object-goal", "instruction", "tour", "explore")
VARIANTS: dict[str, tuple[str, ...]] = {  # the first one is the default
    "point-goal": (),
    "image-goal": ("route", "covisible", "any"),
    "object-goal": ("any", "visible"),
    "instruction": ("single-room", "multi-room"),
    "tour": (),
    "explore": (),
}
SUCCESS_RADIUS: dict[str, float] = {  # m; of object goals from the object's surface, of explore unused
    "point-goal": 0.5, "image-goal": 1.0, "object-goal": 1.0, "instruction": 1.0, "tour": 1.0, "explore": 1.0,
}
EXPLORED_ENOUGH = 0.8  # coverage at which an exploration has succeeded


class EpisodeError(SimulatorError):
    """An episode or a file of episodes is broken, or cannot be solved."""


@dataclass(frozen=True)
class GoalView:
    """A camera of its own that took the goal's picture, where that was not the robot's at the goal."""

    position: tuple[float, float, float]  # m, of the lens in the world
    yaw: float  # rad
    pitch: float  # rad, positive looks down
    hfov_deg: float
    width: int  # px
    height: int  # px


@dataclass(frozen=True)
class Episode:
    """One thing asked of one robot in one scene. World frame, metres, radians."""

    episode_id: str
    task: TaskName
    scene: SceneRef
    start: Pose
    # Where success is judged: the nearest of these. For object goals they are view points around every instance.
    goals: np.ndarray  # [N, 3] float64; empty for explore
    success_radius: float  # m
    geodesic_distance: float  # m, shortest way from start into success, at generation; for explore the expert's drive
    goal_yaw: float | None = None  # rad, heading of an image goal's camera
    category: str | None = None  # of an object goal
    object_ids: tuple[int, ...] = ()  # instances that count for an object goal; distance is to their outlines
    instruction: str | None = None
    reference_path: np.ndarray | None = None  # [K, 3] the way an instruction describes, or a tour drove
    variant: str = ""
    seed: int = 0  # of everything random while the episode runs
    goal_view: GoalView | None = None  # of an image goal

    def __post_init__(self) -> None:
        assert self.goals.ndim == 2 and self.goals.shape[1] == 3, f"Episode.goals has shape {self.goals.shape}"
        if self.task != "explore" and len(self.goals) == 0:
            raise EpisodeError(f"episode {self.episode_id} ({self.task}) has no goal: give at least one position")
        if not (math.isfinite(self.success_radius) and self.success_radius > 0):
            raise EpisodeError(f"episode {self.episode_id}: success radius {self.success_radius} must be above 0 m")

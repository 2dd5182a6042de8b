"""gymnasium ids of the tasks. Importing `sim_envs` registers them, as gymnasium's users expect of a package."""

from __future__ import annotations

import gymnasium as gym

from sim_envs.tasks.episode import TASKS


def env_id(task: str) -> str:
    """The gymnasium id of a task: `point-goal` -> `NavFoundation/PointGoal-v0`."""
    return f"NavFoundation/{''.join(part.capitalize() for part in task.split('-'))}-v0"


def register() -> None:
    """Make the environments known to gymnasium; calling it again changes nothing."""
    for task in TASKS:
        if env_id(task) not in gym.registry:
            gym.register(env_id(task), entry_point="sim_envs.envs:NavigationEnv", kwargs={"task": task})

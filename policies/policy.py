"""The Policy protocol: an observation and a goal in, a plan out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nav_foundation.robot import RobotSpec
from nav_foundation.types import Goal, Observation, Plan


@dataclass(frozen=True)
class Tour:
    """A drive recorded earlier in the same place, shown to the robot before it starts."""

    frames: Sequence[Observation]  # odometry in the tour's own frame


class Policy(Protocol):
    """What decides where to drive. One instance serves one robot at a time; `reset` begins an episode."""

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        """Forget the past. All randomness of the episode comes from `seed`."""

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        """Where to drive from here, in the robot frame at the observation's stamp."""

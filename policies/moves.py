"""Plans as discrete moves: forward, left, right and stop, as Habitat's benchmarks drive. NumPy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nav_foundation.robot import RobotSpec
from nav_foundation.types import Explore, Goal, Observation, Plan
from policies.agent import SURE
from policies.policy import Policy, Tour

Move = Literal["stop", "forward", "left", "right"]


@dataclass(frozen=True)
class MoveSizes:
    """How far one move goes."""

    forward: float = 0.25  # m
    turn: float = math.radians(10)  # rad

    def __post_init__(self) -> None:
        for name, high in (("forward", 10.0), ("turn", math.pi)):
            value = getattr(self, name)
            if not 0 < value <= high:
                raise ValueError(f"move {name} is {value}: give a number above 0, up to {high:.2f} (metres, radians)")


class MoveChooser:
    """The move that follows a plan best, one after the other.

    It aims at the plan's first waypoint that is a forward move away, or else at its last one: it turns while that lies
    more than half a turn to a side, and goes forward otherwise. A plan that stays within half a forward move only
    turns, to the plan's last heading. A turn is never undone by the next move, or it would swing for good between two
    headings; there is no waiting, so a plan that stands goes forward.
    """

    def __init__(self, sizes: MoveSizes) -> None:
        self.sizes = sizes
        self._last: Move = "forward"

    def reset(self) -> None:
        self._last = "forward"

    def choose(self, plan: Plan) -> Move:
        side = _side(plan.waypoints, self.sizes.forward)
        move: Move = "forward"
        if abs(side) > self.sizes.turn / 2:
            move = "left" if side > 0 else "right"
        if {move, self._last} == {"left", "right"}:
            move = self._last if abs(side) > math.pi / 2 else "forward"
        self._last = move
        return move


def _side(waypoints: np.ndarray, forward: float) -> float:
    """Radians to the left that a plan [H, 3] wants to turn to before it drives."""
    away = np.hypot(waypoints[:, 0], waypoints[:, 1])
    far = np.flatnonzero(away >= forward)
    aim = int(far[0]) if len(far) else len(waypoints) - 1
    x, y, yaw = waypoints[aim].tolist()
    return math.remainder(yaw, math.tau) if away[aim] < forward / 2 else math.atan2(y, x)


class DiscreteAgent:
    """A policy that drives by discrete moves.

    It stops at the first frame that is sure of having arrived: an agent on wheels brakes and looks again, but among
    these moves none waits.
    """

    def __init__(self, policy: Policy, robot: RobotSpec, sizes: MoveSizes) -> None:
        self.policy, self.robot = policy, robot
        self._chooser = MoveChooser(sizes)
        self.plan: Plan | None = None  # the last one

    def reset(self, goal: Goal, seed: int = 0, tour: Tour | None = None) -> None:
        self.plan = None
        self._chooser.reset()
        self.policy.reset(self.robot, goal, seed, tour)

    def act(self, observation: Observation, goal: Goal) -> Move:
        self.plan = self.policy.plan(observation, goal)
        if self.plan.arrival >= SURE and not isinstance(goal, Explore):
            return "stop"
        return self._chooser.choose(self.plan)

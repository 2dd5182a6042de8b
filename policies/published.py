"""ViNT and NoMaD as policies: pictures in, plans in metres and seconds out.

Their steps become metres by the spacing that was told at the import. A step takes as long as this robot needs for those
metres at cruise speed, and longer where their plan is faster than the robot. Past frames are taken a step apart as
well, so that they differ as they did in training.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nav_foundation.geometry import shift_waypoints
from nav_foundation.model.published.config import PublishedConfig, check_task
from nav_foundation.model.published.load import load_published
from nav_foundation.model.published.nomad import NoMaD
from nav_foundation.model.published.vint import ViNT
from nav_foundation.preprocessing import normalise
from nav_foundation.robot import RobotSpec
from nav_foundation.types import Explore, Goal, ImageGoal, Observation, Plan, Pose2
from policies.policy import Tour

SAMPLES = 8  # ways that NoMaD is asked for
TURNING = 0.05  # steps; below it, the way from one waypoint to the next says nothing about yaw


@dataclass(frozen=True)
class Seen:
    """A frame, encoded once."""

    stamp_ns: int
    picture: Tensor  # [1, 3, h, w], normalised
    token: Tensor  # [1, D]


class PublishedPolicy:
    """Drives to image goals with ViNT or NoMaD, and explores with NoMaD."""

    def __init__(self, network: ViNT | NoMaD, config: PublishedConfig, device: str = "cpu") -> None:
        self.network, self.config, self.device = network.to(device).eval(), config, device
        self._encoder = network if isinstance(network, ViNT) else network.vision_encoder

    @staticmethod
    def from_folder(folder: Path, device: str = "cpu") -> PublishedPolicy:
        """The policy of a folder that `nav-foundation import-checkpoint` made."""
        return PublishedPolicy(*load_published(folder), device)

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        task = "image-goal" if isinstance(goal, ImageGoal) else "explore" if isinstance(goal, Explore) else None
        check_task(self.config.kind, task or type(goal).__name__)
        self._seed = int(seed)
        self._max_speed = robot.max_speed
        self._step_ns = round(1e9 * self.config.metric_spacing / robot.cruise_speed)
        self._seen: deque[Seen] = deque()
        self._goal: tuple[Goal, Tensor | None] = (goal, self._picture_of(goal))
        self._last: tuple[np.ndarray, Pose2] | None = None  # waypoints driven along, and from where

    @torch.no_grad()
    def plan(self, observation: Observation, goal: Goal) -> Plan:
        current = self._see(observation)
        if goal is not self._goal[0]:
            self._goal = (goal, self._picture_of(goal))
        picture = self._goal[1]
        token = torch.zeros_like(current.token)
        if picture is not None:
            token = self._encoder.encode_goals(current.picture, picture)
        stamps = [observation.stamp_ns - k * self._step_ns for k in range(self.config.context, -1, -1)]
        tokens = [*(self._frame_at(stamp).token for stamp in stamps), token]
        steps, answered = self._answer(torch.stack(tokens, dim=1), picture is None)
        spacing = self.config.metric_spacing
        ways = self._steadied(answered * (spacing, spacing, 1.0), observation)
        distance = max(0.0, steps) * spacing if picture is not None else math.inf
        return Plan(
            ways[0], self._pace(answered[..., :2] * spacing), observation.stamp_ns, distance, distance_std=spacing,
            arrival=self._arrival(distance, goal.radius), alternatives=tuple(ways[1:]),
        )

    def _picture_of(self, goal: Goal) -> Tensor | None:
        """[1, 3, h, w] of an image goal."""
        return self._shown(goal.rgb) if isinstance(goal, ImageGoal) else None

    def _shown(self, rgb: np.ndarray) -> Tensor:
        return torch.from_numpy(normalise(self.config.preprocessing(rgb)))[None].to(self.device)

    def _see(self, observation: Observation) -> Seen:
        if self._seen and observation.stamp_ns < self._seen[-1].stamp_ns:
            self._seen.clear()  # the clock was set back: what was seen is of no known time
        picture = self._shown(observation.rgb)
        self._seen.append(Seen(observation.stamp_ns, picture, self._encoder.encode_frames(picture)))
        oldest = observation.stamp_ns - (self.config.context + 1) * self._step_ns
        while self._seen[0].stamp_ns < oldest:
            self._seen.popleft()
        return self._seen[-1]

    def _frame_at(self, stamp_ns: int) -> Seen:
        """The frame seen nearest to that instant; before the first one, the first."""
        return min(self._seen, key=lambda seen: abs(seen.stamp_ns - stamp_ns))

    def _answer(self, tokens: Tensor, masked: bool) -> tuple[float, np.ndarray]:
        """Steps to the goal, and waypoints [N, H, 3] (x, y in steps, yaw)."""
        if isinstance(self.network, ViNT):
            distance, action = self.network.decode(tokens)
            yaw = torch.atan2(action[..., 3:], action[..., 2:3])
            return distance.item(), torch.cat([action[..., :2], yaw], dim=-1).double().cpu().numpy()
        condition = self.network.vision_encoder.pool(tokens, torch.tensor([masked], device=self.device))
        generator = torch.Generator().manual_seed(self._seed)  # the same noise for every frame keeps plans steady
        samples = self.network.sample(condition, SAMPLES, generator)[0].double().cpu().numpy()
        return self.network.dist_pred_net(condition).item(), np.stack([with_yaw(way) for way in samples])

    def _pace(self, ways: np.ndarray) -> float:
        """Seconds between waypoints of [N, H, 2] in metres."""
        legs = np.linalg.norm(np.diff(ways, axis=1, prepend=0.0), axis=-1)
        return max(self._step_ns * 1e-9, float(legs.max()) / self._max_speed)

    def _steadied(self, ways: np.ndarray, observation: Observation) -> list[np.ndarray]:
        """The ways [N, H, 3], the nearest to the last one driven first; two doors are not both half taken."""
        here = observation.odometry or Pose2(0.0, 0.0, 0.0)
        middle = ways.mean(axis=0) if self._last is None else shift_waypoints(self._last[0], self._last[1], here)
        apart = np.linalg.norm(ways[..., :2] - middle[:, :2], axis=-1).mean(axis=1)
        ordered = [ways[i] for i in np.argsort(apart, kind="stable")]
        self._last = ordered[0], here
        return ordered

    def _arrival(self, distance: float, radius: float) -> float:
        """P(distance < radius): their distances are about a step off."""
        if math.isinf(distance):
            return 0.0
        return 0.5 * (1.0 + math.erf((radius - distance) / (math.sqrt(2.0) * self.config.metric_spacing)))


def with_yaw(way: np.ndarray) -> np.ndarray:
    """[H, 3] of waypoints [H, 2] in steps: each faces along the way by which it was reached."""
    yaw, before, made = 0.0, np.zeros(2), []
    for point in way:
        dx, dy = point - before
        if math.hypot(dx, dy) > TURNING:
            yaw = math.atan2(dy, dx)
        made.append((*point, yaw))
        before = point
    return np.array(made)

"""Our network as a Policy: keeps the past, encodes the goal once, drives the plan that most samples agree with."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nav_foundation.geometry import apart, between, shift_waypoints
from nav_foundation.model.encoder import Frames
from nav_foundation.model.goals import GoalTokens, as_bytes
from nav_foundation.model.network import History, Memory, NavigationModel, Readouts, body_of, was_elsewhere
from nav_foundation.model.units import to_metres, to_network
from nav_foundation.preprocessing import Preprocessor, normalise
from nav_foundation.robot import RobotSpec
from nav_foundation.types import (
    NANOSECONDS,
    ROUTE_COMMANDS,
    Explore,
    FarGoal,
    Goal,
    ImageGoal,
    InstructionGoal,
    ObjectGoal,
    Observation,
    Plan,
    PointGoal,
    Pose2,
    PoseGoal,
    RouteGoal,
)
from policies.agent import SURE
from policies.bumps import Bumps
from policies.choice import TRIED, Trail, by_merit, extent, simple_ways
from policies.floor_map import FloorMap
from policies.lost import PATIENCE, Lost
from policies.policy import Tour
from policies.sightings import Sightings

SAMPLES = 8  # plans that the flow proposes
UNREACHABLE = 0.8  # chance from which on a distance is told as infinite
_BESIDE = 0.35  # m to where what was named is seen: there the robot has arrived; pictures have to tell it themselves
_LED = 30.0  # s of patience with a map, which needs time to lead round
_AT_HAND = 0.7  # m to a place from which on the map does not matter
_IDLE = 0.4  # share of what it could drive that a plan should move at least; to stand counts as 1 m
_SHOWN = (ImageGoal, ObjectGoal, InstructionGoal)  # kinds of goals that are somewhere in view


class _Past(NamedTuple):
    stamp_ns: int
    odometry: Pose2 | None
    summary: Tensor  # [D]


class LearnedPolicy:
    """Serves every kind of goal but map nodes. `samples` = 0 drives the regressed mean, which is cheaper."""

    def __init__(self, model: NavigationModel, samples: int = SAMPLES) -> None:
        self.model = model.eval()
        self._samples = samples
        self._device = next(model.parameters()).device

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        config = self.model.config
        self._robot, self._see = robot, Preprocessor(robot.camera, config.view)
        self._body = torch.tensor([body_of(robot)], device=self._device)
        self._past: deque[_Past] = deque()
        self._last: tuple[np.ndarray, Pose2 | None] | None = None
        self._trail, self._bumps = Trail(robot, config.horizon), Bumps(robot)
        self._floor = FloorMap(robot, config, self._see.visible) if config.floor_bins else None
        self._noise = self.model.noise(max(self._samples, 1), torch.Generator().manual_seed(seed)).to(self._device)
        self._ask(goal)

    def _ask(self, goal: Goal) -> None:
        self._goal, self._fixed, self._sightings = goal, self._fixed_tokens(goal), Sightings()
        self._led = self._floor is not None and isinstance(goal, (PointGoal, PoseGoal))  # by the map
        self._lost = Lost(self._robot, _LED if self._led else PATIENCE)

    @torch.inference_mode()
    def plan(self, observation: Observation, goal: Goal) -> Plan:
        model, robot = self.model, self._robot
        if goal is not self._goal:
            self._ask(goal)
        frames = self._encoded(observation.rgb)
        memory = model.remember(frames, self._history(observation), self._body)
        tokens = self._fixed or self._place_tokens(observation, goal)
        readouts = self._decided(memory, tokens)
        decision = model.judge(readouts)
        self._keep(_Past(observation.stamp_ns, observation.odometry, frames.summary[0]))
        self._look(observation, frames)
        place = self._sighted(observation, goal, readouts)
        arrival = 1.0 if self._is_beside(observation, goal, place) else float(decision.arrival)
        may_stand = arrival >= SURE and not isinstance(goal, Explore)
        unreachable = float(decision.unreachable) > UNREACHABLE
        distance = math.inf if unreachable else float(decision.distance)
        if not may_stand and self._lost(observation.stamp_ns, observation.odometry, distance):
            readouts = self._decided(memory, model.goals.none(1))
        elif not may_stand and (way := self._way(observation, goal)) is not None:
            readouts = self._decided(memory, self._place_tokens(observation, way))
        elif place is not None:
            readouts = self._decided(memory, self._place_tokens(observation, place))
        plans, touching = self._plans(readouts, may_stand)
        self._last = plans[0], observation.odometry
        if observation.odometry is not None:
            self._trail.add(plans[0], observation.odometry, observation.stamp_ns)
            self._feel(observation.stamp_ns, observation.odometry, plans[0])
        return Plan(
            plans[0], 1.0 / robot.frame_rate, observation.stamp_ns, distance, float(decision.distance_std),
            arrival, touching, alternatives=tuple(plans[1:]),
        )

    def _keep(self, frame: _Past) -> None:
        longest = round((self.model.config.history * self.model.config.history_spacing + 1.0) * NANOSECONDS)
        while self._past and not 0 <= frame.stamp_ns - self._past[0].stamp_ns <= longest:
            self._past.popleft()
        self._past.append(frame)

    def _look(self, observation: Observation, frames: Frames) -> None:
        if self._floor is not None and observation.odometry is not None:
            chances = self.model.free_floor(frames, self._body, self._robot.footprint.height)
            self._floor.add(observation.stamp_ns, observation.odometry, chances[0].cpu().numpy())

    def _feel(self, stamp_ns: int, here: Pose2, plan: np.ndarray) -> None:
        felt = self._bumps.add(stamp_ns, here, plan)
        if felt is not None and self._floor is not None:
            self._floor.bar(felt)

    def _way(self, observation: Observation, goal: Goal) -> PointGoal | None:
        """Where to drive first on the way to a place; None where the map knows nothing better than to go there."""
        here = observation.odometry
        if self._floor is None or here is None or not self._led:
            return None
        assert isinstance(goal, (PointGoal, PoseGoal))
        if apart(here, Pose2(goal.x, goal.y, 0.0)) < _AT_HAND:
            return None
        first = self._floor.towards(here, (goal.x, goal.y))
        return None if first == (goal.x, goal.y) else PointGoal(*first)

    def _decided(self, memory: Memory, goal: GoalTokens) -> Readouts:
        return self.model.decide(memory, GoalTokens(goal.tokens[None], goal.seen[None]))

    @property
    def remembered(self) -> int:
        """Past frames whose tokens are kept."""
        return len(self._past)

    def _encoded(self, rgb: np.ndarray) -> Frames:
        pixels = torch.from_numpy(normalise(self._see(rgb)[None])).to(self._device)
        return self.model.encoder(pixels)  # type: ignore[no-any-return]

    def _history(self, observation: Observation) -> History:
        """Frames nearest to the spacing that the network was trained with; those that were not there are unseen."""
        config = self.model.config
        history = self.model.no_history(1)
        tolerance = 0.6 / self._robot.frame_rate
        for k in range(config.history):
            wanted = observation.stamp_ns - (k + 1) * config.history_spacing * NANOSECONDS
            past = min(self._past, key=lambda p: abs(p.stamp_ns - wanted), default=None)
            if past is None or abs(past.stamp_ns - wanted) / NANOSECONDS > tolerance:
                continue
            if observation.odometry is None or past.odometry is None:
                continue  # where it was is not known, and perhaps it stands
            motion = self._motion(observation.odometry, past.odometry, observation.stamp_ns - past.stamp_ns)
            if was_elsewhere(np.array([motion]), self._robot.step)[0]:
                history.tokens[0, k], history.seen[0, k] = past.summary, True
                history.motion[0, k] = torch.tensor(motion)
        return history

    def _motion(self, now: Pose2, then: Pose2, age_ns: int) -> list[float]:
        away, step = between(now, then), self._robot.step
        x, y = np.clip([away.x / step, away.y / step], -50, 50).tolist()
        return [x, y, math.sin(away.yaw), math.cos(away.yaw), age_ns / NANOSECONDS]

    # --- goals --------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def _fixed_tokens(self, goal: Goal) -> GoalTokens | None:
        """Tokens [1, G, D] of a goal that stays what it is; None for places, which move past the robot."""
        adapters = self.model.goals
        if isinstance(goal, ImageGoal):
            return adapters.image(self._encoded(goal.rgb).tokens)
        if isinstance(goal, (InstructionGoal, ObjectGoal)):
            is_object = isinstance(goal, ObjectGoal)
            words = goal.category if isinstance(goal, ObjectGoal) else goal.text
            text, seen = (part.to(self._device) for part in as_bytes([words], self.model.config.text_bytes))
            return adapters.words(text, seen, torch.tensor([is_object], device=self._device))
        if isinstance(goal, RouteGoal):
            return adapters.route(torch.tensor([ROUTE_COMMANDS.index(goal.command)], device=self._device))
        if isinstance(goal, Explore):
            return adapters.none(1)
        if isinstance(goal, (PointGoal, PoseGoal, FarGoal)):
            return None
        raise ValueError(f"this network cannot be given a {type(goal).__name__}: plan to it on a map")

    def _place_tokens(self, observation: Observation, goal: Goal) -> GoalTokens:
        assert isinstance(goal, (PointGoal, PoseGoal, FarGoal))
        if observation.odometry is None:
            raise ValueError("a place can only be driven to with odometry: give Observation.odometry")
        has_yaw = isinstance(goal, PoseGoal)
        there = between(observation.odometry, Pose2(goal.x, goal.y, goal.yaw if isinstance(goal, PoseGoal) else 0.0))
        if isinstance(goal, FarGoal):
            if not self.model.goals.knows_far:
                raise ValueError("this network was not taught far goals: `nav-foundation finetune --tune adapter:far`")
            return self.model.goals.far(self._numbers([[there.x, there.y]]), self._numbers([goal.spread]))
        facing = torch.tensor([has_yaw], device=self._device)
        return self.model.goals.place(self._numbers([[there.x, there.y, there.yaw]]), facing)

    def _sighted(self, observation: Observation, goal: Goal, readouts: Readouts) -> PointGoal | None:
        """Where the picture of a goal seems to have been taken, or what was named to be, once enough of it was seen."""
        if not isinstance(goal, _SHOWN) or observation.odometry is None:
            return None
        place, found = self.model.heads.place(readouts.value)[0, 0], readouts.found[0, 0].softmax(dim=-1)
        away, bearing = max(0.0, float(place[0].expm1())), float(torch.atan2(place[2], place[1]))
        seen = 1.0 - float(found[:, -1].mean())
        self._sightings.add(observation.stamp_ns, observation.odometry, away, bearing, seen)
        where = self._sightings.place(observation.stamp_ns)
        return None if where is None else PointGoal(*where)

    @staticmethod
    def _is_beside(observation: Observation, goal: Goal, place: PointGoal | None) -> bool:
        if place is None or observation.odometry is None or isinstance(goal, ImageGoal):
            return False
        return apart(observation.odometry, Pose2(place.x, place.y, 0.0)) < _BESIDE

    def _numbers(self, values: list[Any]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device)

    # --- plans --------------------------------------------------------------------------------------------------

    def _plans(self, readouts: Readouts, may_stand: bool) -> tuple[list[np.ndarray], float]:
        """Plans [H, 3] in metres, the one to drive first, and the chance that it touches something."""
        step = self._robot.step
        if not self._samples:
            plan = to_metres(self.model.heads.regressed(readouts.plan)[0].cpu().numpy(), step)
            return list(plan), float(self._touching(readouts, plan)[0])
        sampled = self.model.sample(readouts.plan[0].expand(self._samples, -1), self._noise)
        plans = sampled_plans = to_metres(sampled.cpu().numpy(), step)
        touching, worn = self._touching(readouts, plans), self._worn(plans)
        least = 0.0 if may_stand else _IDLE * step * sampled.shape[1]
        no_way = (touching > 0.5) | (extent(plans) < least) | (worn > TRIED)
        if not may_stand and no_way.all():
            ways = simple_ways(self._robot, sampled.shape[1])
            plans = np.concatenate([plans, ways])
            touching = np.concatenate([touching, self._touching(readouts, ways)])
            worn = np.concatenate([worn, self._worn(ways)])
        order = by_merit(plans, touching, self._expected(), least, sampled_plans, None if may_stand else worn)
        return [plans[k] for k in order[: self._samples]], float(touching[order[0]])

    def _touching(self, readouts: Readouts, plans: np.ndarray) -> np.ndarray:
        """[N] chances that plans [N, H, 3] in metres touch something; where a map leads, what it ran into is."""
        told = readouts.plan[0].expand(len(plans), -1)
        ways = torch.from_numpy(to_network(plans, self._robot.step)).to(told)
        chances = self.model.heads.touching(told, ways).sigmoid().double().cpu().numpy()
        here = self._past[-1].odometry
        return np.maximum(chances, self._bumps.hit(plans, here)) if self._led and here is not None else chances

    def _worn(self, plans: np.ndarray) -> np.ndarray:
        here = self._past[-1].odometry
        return np.zeros(len(plans)) if here is None else self._trail.worn(plans, here)

    def _expected(self) -> np.ndarray | None:
        """What is left of the last plan, seen from here."""
        if self._last is None or not self._past:
            return None
        plan, then = self._last
        now = self._past[-1].odometry
        if then is None or now is None:
            return None
        left = np.concatenate([plan[1:], plan[-1:]])
        return shift_waypoints(left, then, now)

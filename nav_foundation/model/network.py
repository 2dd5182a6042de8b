"""The navigation network: pictures are encoded once, what all goals share is computed once, goals join late.

    pictures -> FrameEncoder -> tokens, map
    current + history + body -> prefix -> memory           once per tick
    goal tokens + two readouts -> decoder, looking at the memory -> heads     once per goal
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nav_foundation.model.attention import MLP, Block, Correspondence, DecoderBlock
from nav_foundation.model.config import ModelConfig
from nav_foundation.model.encoder import FrameEncoder, Frames
from nav_foundation.model.floor import FloorHead
from nav_foundation.model.goals import GoalAdapters, GoalTokens
from nav_foundation.model.heads import NUMBERS, Heads
from nav_foundation.robot import RobotSpec

BODY = 6  # numbers that tell the robot
READ_OUT = 2  # tokens of a goal that are read out: Readouts.plan and .value


class History(NamedTuple):
    """P past frames of each of B ticks, as one token each. Where `seen` is False there was none."""

    tokens: Tensor  # [B, P, D]
    motion: Tensor  # [B, P, 5] dx, dy in steps, sin and cos of the turn, age in s: where it was, in the robot's frame
    seen: Tensor  # [B, P] bool


class Memory(NamedTuple):
    """All that goals may look at: [B, M, D], and where there is something [B, M]."""

    tokens: Tensor
    seen: Tensor


class Readouts(NamedTuple):
    """Two tokens [B, Q, D] for each of Q goals per tick, and where the frame shows what a goal's tokens show."""

    plan: Tensor
    value: Tensor
    found: Tensor  # [B, Q, G, cells + 1] logits, the last one: nowhere


class Decision(NamedTuple):
    """What the heads say for goals [...]: numbers as in units.py, metres, probabilities 0..1."""

    waypoints: Tensor  # [..., H, 4] regressed
    distance: Tensor  # [...] m
    distance_std: Tensor  # [...] m
    unreachable: Tensor  # [...]
    arrival: Tensor  # [...]
    collision: Tensor  # [...] of the regressed waypoints


class NavigationModel(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = FrameEncoder(config)
        self.goals = GoalAdapters(config)
        self.body, self.motion = MLP(BODY, width, width), MLP(5, width, width)
        self.prefix = nn.ModuleList(Block(width, config.heads) for _ in range(config.prefix_layers))
        self.readouts = nn.Parameter(0.02 * torch.randn(READ_OUT, width))
        self.correspondence = Correspondence(width, len(self.encoder.map_place))
        self.decoder = nn.ModuleList(DecoderBlock(width, config.heads) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(width)
        self.heads = Heads(config, BODY)

    def learn_floor(self) -> None:
        """Give a network that cannot tell how far the floor is free a head that is to be taught."""
        if self.heads.floor is None:
            self.config = replace(self.config, floor_bins=ModelConfig().floor_bins)
            self.heads.floor = FloorHead(self.config, BODY).to(self.readouts.device)

    def free_floor(self, frames: Frames, body: Tensor, tall: float) -> Tensor:
        """[N, C, bins] chances that something is in the way of robots [N, BODY], `tall` m: see FloorHead.

        Only for networks whose config has floor_bins.
        """
        assert self.heads.floor is not None
        return torch.as_tensor(self.heads.floor(frames.map, body, body.new_full((len(body),), tall)).sigmoid())

    def remember(self, current: Frames, history: History, body: Tensor) -> Memory:
        """What is known before any goal is: B current frames, their past, and the robot [B, BODY]."""
        past = history.tokens + self.motion(history.motion)
        robot = self.body(body)[:, None]
        tokens = torch.cat([current.tokens, past, robot], dim=1)
        here = torch.ones(current.tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        seen = torch.cat([here, history.seen, here[:, :1]], dim=1)
        for block in self.prefix:
            tokens = block(tokens, seen)
        on_map = torch.ones(current.map.shape[:2], dtype=torch.bool, device=tokens.device)
        return Memory(torch.cat([tokens, current.map], dim=1), torch.cat([seen, on_map], dim=1))

    def decide(self, memory: Memory, goals: GoalTokens) -> Readouts:
        """Goals are Q per tick: tokens [B, Q, G, D], seen [B, Q, G]."""
        b, q, g, d = goals.tokens.shape
        cells = memory.tokens[:, -len(self.encoder.map_place) :]
        told, found = self.correspondence(goals.tokens.reshape(b, q * g, d), cells)
        tokens = torch.cat([self.readouts.expand(b, q, -1, -1), goals.tokens + told.view(b, q, g, d)], dim=2)
        seen = torch.cat([torch.ones_like(goals.seen[:, :, :1]).expand(-1, -1, READ_OUT), goals.seen], dim=2)
        fixed: Tensor | None = None
        for number, block in enumerate(self.decoder):
            assert isinstance(block, DecoderBlock)
            if number == self.config.goal_layers:
                tokens, fixed = tokens.split([READ_OUT, g], dim=2)
            tokens = block.decode(tokens, fixed, seen, memory.tokens, memory.seen)
        tokens = self.norm(tokens[:, :, :READ_OUT])
        return Readouts(tokens[:, :, 0], tokens[:, :, 1], found.view(b, q, g, -1))

    def judge(self, readouts: Readouts) -> Decision:
        heads = self.heads
        share = heads.distance(readouts.value).softmax(dim=-1)
        reachable = share[..., :-1] / share[..., :-1].sum(dim=-1, keepdim=True).clamp(min=1e-6)
        edges = torch.as_tensor(heads.edges)
        centres = edges - 0.5 * edges.diff(prepend=edges.new_zeros(1))
        mean = (reachable * centres).sum(dim=-1)
        variance = (reachable * (centres - mean[..., None]) ** 2).sum(dim=-1)
        regressed = heads.regressed(readouts.plan)
        return Decision(
            regressed, mean, variance.clamp(min=0).sqrt(), share[..., -1],
            heads.arrival(readouts.value).sigmoid().squeeze(-1), heads.touching(readouts.plan, regressed).sigmoid(),
        )

    def sample(self, plan: Tensor, noise: Tensor) -> Tensor:
        """Plans [N, H, 4] that noise [N, H, 4] flows to, for the plan readouts [N, D] of N goals."""
        from diffusers import FlowMatchEulerDiscreteScheduler

        scheduler: Any = FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(self.config.flow_steps)
        plans = noise
        for time in scheduler.timesteps:
            share = (time / scheduler.config.num_train_timesteps).to(plans)
            slope = self.heads.flow(plans, share.expand(len(plans)), plan)
            plans = scheduler.step(slope, time, plans).prev_sample
        return plans

    def noise(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, self.config.horizon, NUMBERS, generator=generator)

    def no_history(self, count: int) -> History:
        """Of ticks that have no past."""
        p, device = self.config.history, self.readouts.device
        return History(
            torch.zeros(count, p, self.config.width, device=device), torch.zeros(count, p, 5, device=device),
            torch.zeros(count, p, dtype=torch.bool, device=device),
        )


def was_elsewhere(motion: np.ndarray, step: float) -> np.ndarray:
    """[P] bool: whether past frames, by their motion [P, 5], were taken anywhere but here.

    Others tell nothing but that the robot stands, and what stood once would learn to stand for good.
    """
    away, turn = step * np.hypot(motion[:, 0], motion[:, 1]), np.arctan2(motion[:, 2], motion[:, 3])
    return np.asarray((away > 0.03) | (np.abs(turn) > 0.05))


def body_of(robot: RobotSpec) -> list[float]:
    """BODY numbers that tell the network whose eyes it has and how it moves, each about 1 in size."""
    camera, per_frame = robot.camera, 1.0 / robot.frame_rate
    return [
        math.log(camera.mount_height / 0.4), 2.0 * camera.pitch, math.log(robot.step / 0.1),
        5.0 * robot.footprint.radius - 1.0, robot.max_angular_speed * per_frame,
        float(robot.drive == "omnidirectional"),
    ]


def step_of(body: np.ndarray) -> np.ndarray:
    """Metres of a step of robots [..., BODY], as `body_of` told it."""
    step: np.ndarray = 0.1 * np.exp(body[..., 2])
    return step

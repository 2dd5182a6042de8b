"""NoMaD: four frames and, if there is one, a goal picture in; steps to the goal and samples of eight waypoints out.

Without a goal (its token masked) the samples show where one could go at all. Names are those of its files; a step is
what the robot of the training data drove in 1/4 s. https://arxiv.org/abs/2310.07896.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nav_foundation.model.published.diffusion import ACTION, NoiseNet
from nav_foundation.model.published.efficientnet import with_group_norm
from nav_foundation.model.published.tokens import FrameTokens, Positions, transformer

CONTEXT = 3  # past frames
HORIZON = 8  # waypoints
WIDTH = 256
IMAGE = (96, 96)  # pixels, width x height
DIFFUSION_STEPS = 10
LEAST, MOST = (-2.5, -4.0), (5.0, 4.0)  # (dx, dy) in steps between waypoints, what the net calls -1 and 1


class VisionEncoder(FrameTokens):
    """Frames and goal to one condition [B, 256]."""

    def __init__(self) -> None:
        super().__init__(WIDTH)
        self.obs_encoder = with_group_norm(self.obs_encoder)
        self.goal_encoder = with_group_norm(self.goal_encoder)
        self.positional_encoding = Positions(CONTEXT + 2, WIDTH)
        self.sa_encoder = transformer(WIDTH)

    def pool(self, tokens: Tensor, masked: Tensor) -> Tensor:
        """[B, 256] of tokens [B, 5, 256]; the goal, the last token, is left out where `masked` [B] bool."""
        hidden = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        hidden[:, -1] = masked
        y = self.sa_encoder(self.positional_encoding(tokens), src_key_padding_mask=hidden)
        return y.masked_fill(hidden[..., None], 0.0).sum(dim=1) / (~hidden).sum(dim=1, keepdim=True)


class DistanceHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        widths = (WIDTH, WIDTH // 4, WIDTH // 16)
        self.network = nn.Sequential(
            nn.Linear(widths[0], widths[1]), nn.ReLU(), nn.Linear(widths[1], widths[2]), nn.ReLU(),
            nn.Linear(widths[2], 1),
        )

    def forward(self, condition: Tensor) -> Tensor:
        """[B, 1] steps to the goal."""
        return self.network(condition)


class NoMaD(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.vision_encoder = VisionEncoder()
        self.noise_pred_net = NoiseNet(WIDTH)
        self.dist_pred_net = DistanceHead()

    def forward(self, frames: Tensor, goal: Tensor, masked: Tensor) -> tuple[Tensor, Tensor]:
        """Condition [B, 256], distance [B, 1] in steps of frames [B, 12, 96, 96], goal [B, 3, 96, 96], masked [B]."""
        condition = self.vision_encoder.pool(self.vision_encoder.encode(frames, goal), masked)
        return condition, self.dist_pred_net(condition)

    @torch.no_grad()
    def sample(self, condition: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """[B, count, 8, 2] waypoints (x, y) in steps, robot frame, under conditions [B, 256]."""
        scheduler = noise_schedule()
        scheduler.set_timesteps(DIFFUSION_STEPS)
        each = condition.repeat_interleave(count, dim=0)
        x = torch.randn(len(each), HORIZON, ACTION, generator=generator, device=generator.device).to(each.device)
        for step in scheduler.timesteps:
            noise = self.noise_pred_net(x, step.to(each.device).expand(len(each)), each)
            x = scheduler.step(noise, step, x, generator=generator).prev_sample
        return waypoints_of(x).reshape(len(condition), count, HORIZON, ACTION)


def noise_schedule() -> Any:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    return DDPMScheduler(DIFFUSION_STEPS, beta_schedule="squaredcos_cap_v2", clip_sample=True)


def actions_of(waypoints: Tensor) -> Tensor:
    """The inverse of `waypoints_of`, as far as the net's range goes."""
    least, most = (torch.tensor(bound, device=waypoints.device) for bound in (LEAST, MOST))
    legs = waypoints.diff(dim=-2, prepend=torch.zeros_like(waypoints[..., :1, :]))
    return ((legs - least) / (most - least) * 2 - 1).clamp(-1, 1)


def waypoints_of(actions: Tensor) -> Tensor:
    """Waypoints [..., H, 2] in steps of actions [..., H, 2] in -1..1."""
    least, most = (torch.tensor(bound, device=actions.device) for bound in (LEAST, MOST))
    return ((actions + 1) / 2 * (most - least) + least).cumsum(dim=-2)

"""NoMaD's noise predictor: a U-Net along the waypoints, told the diffusion step and the condition in every block."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WIDTHS = (64, 128, 256)
KERNEL, GROUPS = 3, 8
ACTION = 2  # dx, dy


class ConvBlock(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv1d(channels, out, KERNEL, padding=KERNEL // 2), nn.GroupNorm(GROUPS, out), nn.Mish()
        )

    def forward(self, x: Tensor) -> Tensor:  # [B, C, H]
        return self.block(x)


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, out: int, condition: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([ConvBlock(channels, out), ConvBlock(out, out)])
        self.cond_encoder = nn.Sequential(nn.Mish(), nn.Linear(condition, out))
        self.residual_conv = nn.Conv1d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:  # [B, C, H], [B, condition]
        y = self.blocks[0](x) + self.cond_encoder(condition)[..., None]
        return self.blocks[1](y) + self.residual_conv(x)


class Resample(nn.Module):
    """A convolution that halves or doubles the length; in a module of its own because the files name it so."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:  # [B, C, H]
        return self.conv(x)


class Level(nn.ModuleList):
    """Two blocks and a change of length; gives what comes out of it, and what there was before the change."""

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        x = self[1](self[0](x, condition), condition)
        return self[2](x), x


class StepSinusoids(nn.Module):
    """Diffusion steps [B] to [B, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, step: Tensor) -> Tensor:
        half = self.width // 2
        rates = torch.exp(torch.arange(half, device=step.device) * (-math.log(10000.0) / (half - 1)))
        angles = step[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class NoiseNet(nn.Module):
    """The noise in noisy waypoint steps."""

    def __init__(self, condition: int) -> None:
        super().__init__()
        self.diffusion_step_encoder = nn.Sequential(
            StepSinusoids(condition), nn.Linear(condition, 4 * condition), nn.Mish(),
            nn.Linear(4 * condition, condition),
        )
        told, last = 2 * condition, len(WIDTHS) - 1
        ins = (ACTION, *WIDTHS[:-1])
        self.down_modules = nn.ModuleList(
            Level([
                ResidualBlock(a, b, told), ResidualBlock(b, b, told),
                Resample(nn.Conv1d(b, b, 3, stride=2, padding=1)) if i < last else nn.Identity(),
            ])
            for i, (a, b) in enumerate(zip(ins, WIDTHS))
        )
        self.mid_modules = nn.ModuleList(ResidualBlock(WIDTHS[-1], WIDTHS[-1], told) for _ in range(2))
        self.up_modules = nn.ModuleList(
            Level([
                ResidualBlock(2 * b, a, told), ResidualBlock(a, a, told),
                Resample(nn.ConvTranspose1d(a, a, 4, stride=2, padding=1)),
            ])
            for a, b in zip(WIDTHS[-2::-1], WIDTHS[:0:-1])
        )
        self.final_conv = nn.Sequential(ConvBlock(WIDTHS[0], WIDTHS[0]), nn.Conv1d(WIDTHS[0], ACTION, 1))

    def forward(self, noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """[B, H, 2] of noisy [B, H, 2] at diffusion steps [B], under conditions [B, condition]; 4 divides H."""
        told = torch.cat([self.diffusion_step_encoder(step), condition], dim=-1)
        x, kept = noisy.transpose(1, 2), list[Tensor]()
        for level in self.down_modules:
            x, before = level(x, told)
            kept.append(before)
        for block in self.mid_modules:
            x = block(x, told)
        for level in self.up_modules:
            x, _ = level(torch.cat([x, kept.pop()], dim=1), told)
        return self.final_conv(x).transpose(1, 2)

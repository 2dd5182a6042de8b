"""ViNT: six frames and a goal picture in; steps to the goal and five waypoints out. Names are those of its files.

A step is what the robot of the training data drove between two frames, 1/4 s apart; what that is in metres comes with
the import. General visual navigation, https://arxiv.org/abs/2306.14846.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nav_foundation.model.published.tokens import FrameTokens, Positions, transformer

CONTEXT = 5  # past frames
HORIZON = 5  # waypoints
WIDTH = 512
IMAGE = (85, 64)  # pixels, width x height
READOUT = (512, 256, 128, 64, 32)


class Decoder(nn.Module):
    """Tokens [B, 7, 512] to features [B, 32]."""

    def __init__(self) -> None:
        super().__init__()
        self.positional_encoding = Positions(CONTEXT + 2, WIDTH)
        self.sa_decoder = transformer(WIDTH)
        widths = ((CONTEXT + 2) * WIDTH, *READOUT)
        self.output_layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, READOUT))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.sa_decoder(self.positional_encoding(tokens)).flatten(1)
        for layer in self.output_layers:
            x = F.relu(layer(x))  # the last one too
        return x


class ViNT(FrameTokens):
    def __init__(self) -> None:
        super().__init__(WIDTH)
        self.decoder = Decoder()
        self.dist_predictor = nn.Sequential(nn.Linear(READOUT[-1], 1))
        self.action_predictor = nn.Sequential(nn.Linear(READOUT[-1], 4 * HORIZON))

    def forward(self, frames: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Distance [B, 1] in steps and waypoints [B, 5, 4] of frames [B, 18, 64, 85] and goal [B, 3, 64, 85]."""
        return self.decode(self.encode(frames, goal))

    def decode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Distance [B, 1] in steps, waypoints [B, 5, (x, y, cos, sin)] in steps, robot frame, of tokens [B, 7, 512]."""
        x = self.decoder(tokens)
        action = self.action_predictor(x).reshape(len(x), HORIZON, 4)
        waypoints = torch.cat([action[..., :2].cumsum(dim=1), F.normalize(action[..., 2:], dim=-1)], dim=-1)
        return self.dist_predictor(x), waypoints

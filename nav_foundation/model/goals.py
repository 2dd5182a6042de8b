"""Goal adapters: every kind of goal becomes a few tokens in one space. A new kind is trained with the rest frozen."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nav_foundation.model.attention import MLP, Attention, Block
from nav_foundation.model.config import ModelConfig
from nav_foundation.model.tower import TowerText
from nav_foundation.types import ROUTE_COMMANDS

KINDS = ("none", "image", "point", "words", "object", "route", "far")
_TOGETHER = 6  # kinds that are trained together; those that came later were trained with all the rest frozen
_BYTES = 256


class GoalTokens(NamedTuple):
    """Goals [N]; shorter ones are filled up with tokens that nobody looks at."""

    tokens: Tensor  # [N, G, D]
    seen: Tensor  # [N, G] bool


class GoalAdapters(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.kind = nn.Embedding(_TOGETHER, width)
        self.image_adapter = nn.Linear(width, width)
        nn.init.eye_(self.image_adapter.weight)  # begins as what the encoder sees
        self.point = MLP(6, width, width)
        self.route_command = nn.Embedding(len(ROUTE_COMMANDS), width)
        self.text: nn.Module = TowerText(config) if config.text_tower else TextEncoder(config)
        self.far_place = MLP(4, width, width)
        for values in self.far_place[-1].parameters():
            nn.init.zeros_(values)  # until it is taught

    def none(self, count: int) -> GoalTokens:
        """No goal at all: explore."""
        return self._all(self.kind.weight[KINDS.index("none")].expand(count, 1, -1))

    def image(self, tokens: Tensor) -> GoalTokens:
        """The frame tokens [N, K, D] of a picture taken at the goal."""
        return self._all(self.image_adapter(tokens) + self._kind("image"))

    def place(self, poses: Tensor, has_yaw: Tensor) -> GoalTokens:
        """Points or poses [N, 3] (x, y in m, yaw in rad) in the robot's frame; `has_yaw` [N] bool."""
        known, yaw = has_yaw.to(poses.dtype), poses[:, 2]
        features = torch.stack([*_polar(poses), yaw.sin() * known, yaw.cos() * known, known], dim=1)
        return self._all(self.point(features)[:, None] + self._kind("point"))

    def far(self, places: Tensor, spread: Tensor) -> GoalTokens:
        """Places [N, 2] m in the robot's frame that are known to `spread` [N] m."""
        return self._all(self.far_place(torch.stack([*_polar(places), spread.log1p()], dim=1))[:, None])

    def words(self, text: Tensor, seen: Tensor, is_object: Tensor) -> GoalTokens:
        """UTF-8 bytes [N, L] int64 and which of them count [N, L] bool; `is_object` [N] tells categories apart."""
        kinds = torch.where(is_object, KINDS.index("object"), KINDS.index("words"))
        return self._all(self.text(text, seen) + self.kind(kinds)[:, None])

    @property
    def knows_far(self) -> bool:
        """Whether far places were taught."""
        return bool(torch.as_tensor(self.far_place[-1].weight).any())

    def route(self, commands: Tensor) -> GoalTokens:
        """Numbers [N] int64 of ROUTE_COMMANDS."""
        return self._all(self.route_command(commands)[:, None] + self._kind("route"))

    def _kind(self, name: str) -> Tensor:
        return self.kind.weight[KINDS.index(name)]

    def _all(self, tokens: Tensor) -> GoalTokens:
        return GoalTokens(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device))


def _polar(places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log of 1 + range, sine and cosine of the bearing, of places [N, 2 or more] m."""
    bearing = torch.atan2(places[:, 1], places[:, 0])
    return places[:, :2].norm(dim=1).log1p(), bearing.sin(), bearing.cos()


class TextEncoder(nn.Module):
    """Words by their bytes: no vocabulary to miss a word, no file to fetch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.byte, self.place = nn.Embedding(_BYTES, width), nn.Embedding(config.text_bytes, width)
        self.syllables = nn.Conv1d(width, width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.text_layers))
        self.norm = nn.LayerNorm(width)
        self.asked = nn.Parameter(0.02 * torch.randn(config.text_tokens, width))
        self.pool = Attention(width, config.heads)

    def forward(self, text: Tensor, seen: Tensor) -> Tensor:
        """[N, text_tokens, D] of bytes [N, L] and which of them count [N, L]."""
        places = torch.arange(text.shape[1], device=text.device)
        letters = (self.byte(text) + self.place(places)) * seen[..., None]
        tokens = self.syllables(letters.transpose(1, 2)).transpose(1, 2)
        counted = seen[:, ::2]
        for block in self.blocks:
            tokens = block(tokens, counted)
        return torch.as_tensor(self.pool(self.asked.expand(len(text), -1, -1), self.norm(tokens), counted))


def as_bytes(texts: list[str], longest: int) -> tuple[Tensor, Tensor]:
    """(bytes [N, L] int64, which count [N, L] bool); L is even, and as short as the texts allow."""
    encoded = [text.lower().encode()[:longest] or b" " for text in texts]
    length = min(longest, max(map(len, encoded)) + max(map(len, encoded)) % 2)
    out = torch.zeros(len(texts), length, dtype=torch.int64)
    seen = torch.zeros(len(texts), length, dtype=torch.bool)
    for row, line in enumerate(encoded):
        out[row, : len(line)] = torch.tensor(list(line))
        seen[row, : len(line)] = True
    return out, seen


def joined(parts: list[GoalTokens]) -> GoalTokens:
    """Goals of several kinds [N each] in one batch, filled up to the longest."""
    longest = max(part.tokens.shape[1] for part in parts)
    tokens = [nn.functional.pad(part.tokens, (0, 0, 0, longest - part.tokens.shape[1])) for part in parts]
    seen = [nn.functional.pad(part.seen, (0, longest - part.seen.shape[1])) for part in parts]
    return GoalTokens(torch.cat(tokens), torch.cat(seen))

"""The two blocks that everything here is built of: pre-norm attention, and a small MLP."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Queries [N, Q, D] look at keys [N, K, D]; where `seen` [N, K] is False they do not."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, seen: Tensor | None = None) -> Tensor:
        q = self._split(self.query(queries))
        k, v = (self._split(part) for part in self.key_value(keys).chunk(2, dim=-1))
        mask = None if seen is None else seen[:, None, None, :]
        found = _looked_up(q, k, v, mask)
        return torch.as_tensor(self.out(found.transpose(1, 2).flatten(2)))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _looked_up(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    if q.device.type == "cpu" and q.dtype is torch.bfloat16:  # its fused kernel is slow there
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class MLP(nn.Sequential):
    def __init__(self, width: int, hidden: int, out: int | None = None) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width if out is None else out))


class Block(nn.Module):
    """Self-attention and an MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.mlp_norm, self.mlp = nn.LayerNorm(width), MLP(width, 4 * width)

    def forward(self, tokens: Tensor, seen: Tensor | None = None) -> Tensor:
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, seen)
        return torch.as_tensor(tokens + self.mlp(self.mlp_norm(tokens)))


class Correspondence(nn.Module):
    """Tells tokens where among `cells` places is what they show, or that it is at none of them.

    Attention finds this too, but only after long training, as its queries and keys begin unrelated; and this can be
    taught by name, where depth tells what a picture shows.
    """

    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        self.sought, self.offered = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.offered.load_state_dict(self.sought.state_dict())  # like finds like from the first step on
        self.sharpness = nn.Parameter(torch.tensor(2.3))  # log
        self.nowhere = nn.Parameter(torch.zeros(()))
        self.out = nn.Linear(cells + 1, width)

    def forward(self, tokens: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """(what to add to tokens [B, N, D] for places [B, cells, D], logits [B, N, cells + 1]; the last is nowhere)."""
        sought, offered = F.normalize(self.sought(tokens), dim=-1), F.normalize(self.offered(places), dim=-1)
        alike = self.sharpness.exp() * (sought @ offered.transpose(1, 2)).float()
        logits = torch.cat([alike, self.nowhere.expand_as(alike[..., :1])], dim=-1)
        return torch.as_tensor(self.out(logits.softmax(dim=-1))), logits


class DecoderBlock(Block):
    """Self-attention among a goal's tokens, then a look at the memory that all goals of a frame share."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.memory_norm, self.cross = nn.LayerNorm(width), Attention(width, heads)

    def decode(self, tokens: Tensor, fixed: Tensor | None, seen: Tensor, memory: Tensor, memory_seen: Tensor) -> Tensor:
        """tokens [B, Q, T, D] of Q goals per frame, memory [B, M, D], memory_seen [B, M].

        Tokens also look at `fixed` ones [B, Q, F, D] of their goal, which stay as they are; seen [B, Q, T + F].
        """
        b, q, _, d = tokens.shape
        own = self.norm(tokens)
        keys = own if fixed is None else torch.cat([own, self.norm(fixed)], dim=2)
        tokens = tokens + self.attention(own.flatten(0, 1), keys.flatten(0, 1), seen.flatten(0, 1)).view(b, q, -1, d)
        looking = self.memory_norm(tokens).view(b, -1, d)
        tokens = tokens + self.cross(looking, memory, memory_seen).view(b, q, -1, d)
        return torch.as_tensor(tokens + self.mlp(self.mlp_norm(tokens)))

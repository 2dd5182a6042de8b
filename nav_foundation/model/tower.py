"""Words through the text half of CLIP or SigLIP, as they were published and left as they are."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from nav_foundation.model.attention import Attention
from nav_foundation.model.config import ModelConfig


class TowerText(nn.Module):
    """Takes and gives what `goals.TextEncoder` does. The tower itself is no part of the checkpoint: its name is."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._name = config.text_tower
        hidden = int(_opened(self._name)[1].config.hidden_size)
        self.into = nn.Linear(hidden, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.asked = nn.Parameter(0.02 * torch.randn(config.text_tokens, config.width))
        self.pool = Attention(config.width, config.heads)

    def forward(self, text: Tensor, seen: Tensor) -> Tensor:
        """[N, text_tokens, D] of bytes [N, L] and which of them count [N, L]."""
        tokenizer, tower = _opened(self._name)
        texts = [bytes(line[counted].tolist()).decode(errors="ignore") for line, counted in zip(text.cpu(), seen.cpu())]
        padding = "max_length" if "siglip" in str(tower.config.model_type) else True  # as each was trained
        words = tokenizer(texts, padding=padding, truncation=True, return_tensors="pt").to(text.device)
        with torch.no_grad():
            said = tower.to(text.device)(**words).last_hidden_state
        tokens = self.norm(self.into(said.to(self.into.weight.dtype)))
        counted = words["attention_mask"].bool() if "attention_mask" in words else None
        return torch.as_tensor(self.pool(self.asked.expand(len(text), -1, -1), tokens, counted))


@lru_cache(maxsize=2)
def _opened(name: str) -> tuple[Any, Any]:
    """(tokenizer, tower) once in each process."""
    try:
        from transformers import AutoConfig, AutoTokenizer, CLIPTextModel, SiglipTextModel
    except ImportError:
        raise ValueError("a text tower needs transformers: pip install 'nav-foundation[text]'") from None
    try:
        kind = str(AutoConfig.from_pretrained(name).model_type)
        models: dict[str, Any] = {"clip": CLIPTextModel, "clip_text_model": CLIPTextModel,
                  "siglip": SiglipTextModel, "siglip_text_model": SiglipTextModel}
        if kind not in models:
            raise ValueError(f"it is a {kind}, and CLIP or SigLIP are known")
        tower = models[kind].from_pretrained(name, use_safetensors=True)
        return AutoTokenizer.from_pretrained(name), tower.eval().requires_grad_(False)
    except (OSError, ValueError, KeyError) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"text tower {name!r} cannot be opened, as a name on the hub or a folder: {why}") from None

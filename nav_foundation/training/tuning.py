"""Which weights a fine-tuning may change; all others stay as they are, to the bit."""

from __future__ import annotations

from torch import nn

from nav_foundation.model.goals import KINDS
from nav_foundation.model.lora import add_low_rank
from nav_foundation.model.network import NavigationModel

_ADAPTERS = {"image": "image_adapter", "point": "point", "words": "text", "object": "text", "route": "route_command",
             "far": "far_place"}


def kinds_of(tune: str) -> tuple[str, ...]:
    """The kinds of goals that teach: an adapter learns from its own alone."""
    return (tune.removeprefix("adapter:"),) if tune.startswith("adapter:") else KINDS


def prepare(model: NavigationModel, tune: str) -> None:
    """Freeze what is to stay. The network is left in evaluation mode: statistics of its norms stay as well."""
    model.eval().requires_grad_(tune == "all")
    if tune == "heads":
        model.heads.requires_grad_(True)
        model.norm.requires_grad_(True)
    elif tune == "lora":
        model.heads.requires_grad_(True)
        for part in (model.prefix, model.decoder):
            add_low_rank(part)
    elif tune.startswith("adapter:"):
        adapter = getattr(model.goals, _ADAPTERS[tune.removeprefix("adapter:")])
        assert isinstance(adapter, nn.Module)
        adapter.requires_grad_(True)

"""What a network is made of. The checkpoint carries it, so that weights alone say how to be used."""

from __future__ import annotations

from dataclasses import dataclass, field

from nav_foundation.preprocessing import CanonicalView


@dataclass(frozen=True)
class ModelConfig:
    backbone: str = "regnetx_004"  # any timm network with a feature map of stride 16
    view: CanonicalView = field(default_factory=CanonicalView)
    width: int = 128  # of every token
    heads: int = 4
    prefix_layers: int = 2
    decoder_layers: int = 3
    goal_layers: int = 1  # the first of those, in which goal tokens change; then only what is read out does
    history: int = 4  # past frames, a token each
    history_spacing: float = 0.4  # s between them
    horizon: int = 8  # waypoints, one per frame time
    text_tower: str = ""  # CLIP's or SigLIP's text half by name or folder; empty = bytes, trained here
    text_layers: int = 2
    text_bytes: int = 320  # the longest instruction, the end of longer ones is cut
    text_tokens: int = 8
    nearest: float = 0.25  # m, the first bin of distances ends here ...
    farthest: float = 24.0  # m ... and the last one here; beyond is "far or unreachable"
    distance_bins: int = 32
    flow_width: int = 256
    flow_steps: int = 4
    floor_bins: int = 32  # of how far the floor is free, see floor.py; 0 = the network cannot tell

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"model width {self.width} must be a multiple of its {self.heads} heads")
        for name in (
            "prefix_layers", "decoder_layers", "history", "horizon", "text_layers", "text_tokens", "flow_steps",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"model {name} is {getattr(self, name)}: give 1 or more")
        if not 1 <= self.goal_layers <= self.decoder_layers:
            raise ValueError(f"model goal_layers is {self.goal_layers}: give 1 to {self.decoder_layers} of its layers")
        if self.floor_bins < 0:
            raise ValueError(f"model floor_bins is {self.floor_bins}: give 0 or more")
        if not 0.0 < self.nearest < self.farthest or self.distance_bins < 4:
            raise ValueError(f"distance bins {self.nearest}-{self.farthest} m, {self.distance_bins}: give at least 4")


PRESETS = {
    "tiny": ModelConfig(
        backbone="test_convnext", view=CanonicalView(64, 48), width=32, heads=2, prefix_layers=1,
        decoder_layers=1, text_layers=1, flow_width=32,
    ),
    "nano": ModelConfig(),
    "base": ModelConfig(
        backbone="convnext_tiny", width=384, heads=6, prefix_layers=4, decoder_layers=6, goal_layers=2, text_layers=4,
        flow_width=512,
    ),
}


def preset(name: str) -> ModelConfig:
    if name not in PRESETS:
        raise ValueError(f"model {name!r} is not known: use one of {', '.join(PRESETS)}")
    return PRESETS[name]

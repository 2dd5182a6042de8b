"""A network on disk: `model.safetensors` and `config.json` in a folder. Loading is strict, and nothing is a pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nav_foundation.config import from_mapping, to_mapping
from nav_foundation.model.config import ModelConfig
from nav_foundation.model.folder import CHOICE, CONFIG, OURS, WEIGHTS, read_config
from nav_foundation.model.network import NavigationModel


def save_pretrained(
    model: NavigationModel, folder: Path, provenance: dict[str, Any], dtype: torch.dtype = torch.float32
) -> None:
    """`provenance` is plain data: what it was trained on, by which commit, with which metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous().cpu()
        for name, value in model.state_dict().items()
    }
    draft = folder / f".{WEIGHTS}.draft"
    save_file(weights, draft)
    os.replace(draft, folder / WEIGHTS)
    data = {"kind": OURS, "model": to_mapping(model.config), "provenance": provenance}
    draft = folder / f".{CONFIG}.draft"
    draft.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    os.replace(draft, folder / CONFIG)


def from_pretrained(folder: Path | str) -> NavigationModel:
    """The network in a folder, ready to be asked."""
    folder = Path(folder)
    model = NavigationModel(config_of(folder))
    load_weights(model, folder / WEIGHTS)
    return model.eval()


def config_of(folder: Path) -> ModelConfig:
    """What the network in a folder is made of."""
    data = read_config(folder)
    if data.get("kind") != OURS:
        raise ValueError(f"{folder / CONFIG} is of a {data.get('kind')!r} network, not of ours: {CHOICE}")
    made_of = data.get("model", {})
    if "decoder_layers" in made_of:  # before that could be chosen, goal tokens changed in all of them
        made_of = {"goal_layers": made_of["decoder_layers"], **made_of}
    made_of = {"floor_bins": 0, **made_of}  # before that was taught
    return from_mapping(ModelConfig, made_of, str(folder / CONFIG))


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Strictly: keys that are missing or too many, and other shapes, are named."""
    try:
        weights = load_file(path)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: the checkpoint has no weights") from None
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    wanted = model.state_dict()
    missing, unexpected = sorted(set(wanted) - set(weights)), sorted(set(weights) - set(wanted))
    shapes = [name for name in wanted if name in weights and wanted[name].shape != weights[name].shape]
    if missing or unexpected or shapes:
        parts = [("misses", missing), ("has unexpected", unexpected), ("has another shape for", shapes)]
        said = "; ".join(f"{words} {len(names)}: {', '.join(names[:5])}" for words, names in parts if names)
        raise ValueError(f"{path} does not fit its config.json: it {said}")
    model.load_state_dict({name: value.to(wanted[name].dtype) for name, value in weights.items()})

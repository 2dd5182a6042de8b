"""What lies in the folder of a network, and what its config.json says. Nothing here needs torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WEIGHTS, CONFIG = "model.safetensors", "config.json"
BUNDLED = Path(__file__).parent / "bundled"
ROBOT_HOURS = "robot_hours"  # of its provenance: how long it has seen real robots drive
CHOICE = "give nano, the folder `model` of a training"  # of ours; all that drive:
ANY_CHOICE = CHOICE + ", or one that `nav-foundation import-checkpoint` made"
OURS = "nav_foundation"  # kind in config.json; imported networks have others


def named(name: str) -> Path:
    """The folder of a model that comes along, by name; anything else is a path (./nano is one's own)."""
    return BUNDLED / name if name in bundled() else Path(name)


def bundled() -> list[str]:
    """Names of the models that come along."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}"))


def read_config(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        why = f"holds no model: it has no {CONFIG}" if folder.exists() else "does not exist"
        raise ValueError(f"model {folder} {why}; {CHOICE}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / CONFIG} cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{folder / CONFIG} must hold a JSON object")
    return data


def is_ours(folder: Path) -> bool:
    return (folder / CONFIG).is_file() and read_config(folder).get("kind") == OURS

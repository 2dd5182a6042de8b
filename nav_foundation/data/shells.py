"""Objects of classes that are not ours, out of pickles: what they held, and nothing that they could do.

Published checkpoints hold whole modules. Their classes are never looked up: a shell stands in for each, as it does for
whatever such an object would have called when it was built.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nav_foundation.data.schema import DataError

_WRAPPERS = ("ema_model", "averaged_model", "model", "state_dict", "module")  # where weights lie, best first
_MOST = 100_000  # tensors of a network; modules shared within each other may multiply without end
_DEEPEST = 100  # modules within each other


@dataclass(eq=False)
class Shell:
    """An inert object. Not frozen, as shells may hold each other."""

    name: str  # of its class or of what made it, such as torch.nn.modules.linear.Linear
    args: tuple[Any, ...] = ()  # it was made from
    state: Any = None  # mostly a dict of its attributes
    items: list[Any] = field(default_factory=list)  # that were added to it: elements, or pairs of key and value


class Foreign:
    """What a pickle gets for a name that is not ours, and for all that it then does with it. Never leaves a reader."""

    __slots__ = ("args", "items", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...] = ()) -> None:
        self.name, self.args = name, args
        self.state: Any = None
        self.items: list[Any] = []

    def __call__(self, *args: Any) -> Foreign:
        return Foreign(self.name, args)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.items.append(value)

    def add(self, value: Any) -> None:
        self.items.append(value)


def state_dict_of(checkpoint: Any, where: Path) -> dict[str, np.ndarray]:
    """The weights in what a .pth file held: a state dict, a module, or a training state around either of them."""
    found = _weights(checkpoint, 0)
    if not found:
        raise DataError(f"{where} holds no weights of a network: give a .pth with a state dict or a module")
    while all(name.startswith("module.") for name in found):  # of DataParallel
        found = {name.removeprefix("module."): array for name, array in found.items()}
    return found


def _weights(value: Any, depth: int) -> dict[str, np.ndarray]:
    attributes = value.state if isinstance(value, Shell) else value
    if not isinstance(attributes, dict) or depth > _DEEPEST:
        return {}
    if isinstance(value, Shell) and "_modules" in attributes:
        return _gathered(value)
    if attributes and all(isinstance(name, str) and isinstance(item, np.ndarray) for name, item in attributes.items()):
        return attributes
    candidates = (_weights(attributes[name], depth + 1) for name in _WRAPPERS if name in attributes)
    return next((found for found in candidates if found), {})


def _gathered(module: Shell) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, array in _tensors(module, "", 0):
        if len(found) >= _MOST:
            raise DataError(f"a module of more than {_MOST} tensors is not read: it may be malicious")
        found[name] = array
    return found


def _tensors(module: Shell, prefix: str, depth: int) -> Iterator[tuple[str, np.ndarray]]:
    """As torch's own state_dict: parameters and lasting buffers of a module, then those of the modules in it."""
    if depth > _DEEPEST:
        raise DataError(f"modules nested more than {_DEEPEST} deep are not read: they may be malicious")
    state = module.state if isinstance(module.state, dict) else {}
    passing = state.get("_non_persistent_buffers_set")
    for group in ("_parameters", "_buffers"):
        for name, array in _entries(state, group):
            if isinstance(array, np.ndarray) and not (isinstance(passing, set) and name in passing):
                yield prefix + name, array
    for name, inner in _entries(state, "_modules"):
        if isinstance(inner, Shell):
            yield from _tensors(inner, f"{prefix}{name}.", depth + 1)


def _entries(state: dict[Any, Any], group: str) -> Iterator[tuple[str, Any]]:
    entries = state.get(group)
    if isinstance(entries, dict):
        yield from ((name, entry) for name, entry in entries.items() if isinstance(name, str))

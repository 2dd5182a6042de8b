"""A piece of furniture, and the parts many pieces share.

Local frame of a piece: origin on the floor in the middle of its footprint, x to the right, the back towards +y and the
front towards -y, metres. Making a piece draws its style and size; `draw` then adds its primitives to a builder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim_envs.scenes.builder import MeshBuilder


@dataclass(frozen=True)
class Piece:
    category: str
    width: float  # m, along x
    depth: float  # m, along y
    height: float  # m
    draw: Callable[[MeshBuilder], None]

    def __post_init__(self) -> None:
        assert self.width > 0 and self.depth > 0 and self.height > 0, f"{self.category} has no size"


def legs(
    b: MeshBuilder, width: float, depth: float, height: float, thickness: float, material: int, style: int,
    inset: float = 0.04,
) -> None:
    """Four legs under a top of width x depth. Styles: square, round, tapered, splayed."""
    x, y = width / 2 - inset - thickness / 2, depth / 2 - inset - thickness / 2
    for sx in (-1, 1):
        for sy in (-1, 1):
            if style % 4 == 0:
                b.box(sx * x, sy * y, 0, thickness, thickness, height, material)
            elif style % 4 == 1:
                b.cylinder(sx * x, sy * y, 0, thickness / 2, height, material, 8)
            elif style % 4 == 2:
                b.cylinder(sx * x, sy * y, 0, thickness * 0.35, height, material, 8, thickness * 0.62)
            else:
                foot = (sx * (x + inset * 0.7), sy * (y + inset * 0.7), 0.0)
                b.tube([foot, (sx * (x - 0.03), sy * (y - 0.03), height)], thickness * 0.42, material, 7)


def knob(b: MeshBuilder, x: float, y: float, z: float, style: int, material: int, width: float = 0.12) -> None:
    """A handle on a front that faces -y: a round knob, a bar, an upright bar, or none."""
    if style % 4 == 0:
        b.ellipsoid(x, y - 0.015, z, 0.016, 0.016, 0.016, material, 6)
    elif style % 4 == 1:
        b.box(x, y - 0.015, z - 0.006, width, 0.02, 0.012, material, bottom=True)
    elif style % 4 == 2:
        b.box(x, y - 0.015, z - width / 2, 0.012, 0.02, width, material, bottom=True)


def drawers(
    b: MeshBuilder, x: float, y: float, z: float, width: float, height: float, count: int, front: int, handle: int,
    style: int,
) -> None:
    """Drawer fronts above each other on a body whose front plane is y."""
    gap = 0.012
    each = (height - gap * (count + 1)) / count
    for k in range(count):
        low = z + gap + k * (each + gap)
        b.box(x, y - 0.009, low, width - 2 * gap, 0.018, each, front, bottom=True)
        for side in ((-1, 1) if width > 0.75 else (0,)):
            knob(b, x + side * width * 0.27, y - 0.018, low + each * 0.6, 1 if style % 4 == 2 else style, handle)


def doors(
    b: MeshBuilder, x: float, y: float, z: float, width: float, height: float, count: int, front: int, handle: int,
    style: int, panelled: bool = False,
) -> None:
    """Cupboard doors side by side on a body whose front plane is y."""
    gap = 0.006
    each = (width - gap * (count + 1)) / count
    for k in range(count):
        middle = x - width / 2 + gap + each / 2 + k * (each + gap)
        b.box(middle, y - 0.009, z + gap, each, 0.018, height - 2 * gap, front, bottom=True)
        if panelled:
            b.box(middle, y - 0.02, z + 0.07, each - 0.12, 0.012, height - 0.14, front, bottom=False)
        side = 1 if k % 2 == 0 else -1
        knob_height = z + height * (0.5 if height > 1.2 else 0.8)
        knob(b, middle + side * (each / 2 - 0.05), y - 0.018, knob_height, style, handle)


def top_outline(style: int, width: float, depth: float) -> np.ndarray:
    """[K, 2] outline of a table top: a rectangle with cut corners, or an ellipse."""
    if style == 0:
        c = min(0.06, width / 6, depth / 6)
        x, y = width / 2, depth / 2
        return np.array([
            [c - x, -y], [x - c, -y], [x, c - y], [x, y - c], [x - c, y], [c - x, y], [-x, y - c], [-x, c - y]])
    angle = np.arange(24) * (2 * np.pi / 24)
    return np.stack([np.cos(angle) * width / 2, np.sin(angle) * depth / 2], axis=1)


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def one_of(rng: np.random.Generator, values: Sequence[int]) -> int:
    return int(values[int(rng.integers(len(values)))])

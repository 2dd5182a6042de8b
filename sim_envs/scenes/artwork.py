"""Pictures that are shown whole and do not repeat: rugs, paintings, clock faces.

[h, w, 3] uint8 sRGB, row 0 at the top, all randomness from the caller's rng.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from sim_envs.scenes.textures import Colour, finish, mixed, noise, rgb


def rug(rng: np.random.Generator, colours: Sequence[Colour], style: str = "", height: int = 128, width: int = 192
        ) -> np.ndarray:
    """A whole rug, once: `oriental` (medallion and borders), `bands`, `rings`, `diamonds` or `plain`."""
    style = style or str(rng.choice(["oriental", "bands", "rings", "diamonds", "plain"]))
    palette = np.stack([rgb(c) for c in colours])
    count = len(palette)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = (x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1
    edge = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y)) / height
    if style == "oriental":
        level = np.abs(u) * 1.3 + np.abs(v) + 0.12 * np.sin(np.arctan2(v, u) * 16)
        index = np.floor(level * 4.0).astype(np.int64) + (np.sin(u * 34) * np.sin(v * 22) > 0.72)
    elif style == "bands":
        index = np.searchsorted(np.sort(rng.uniform(-1, 1, 9)), v)
    elif style == "rings":
        centre = rng.uniform(-0.6, 0.6, 2)
        index = np.floor(np.hypot((u - centre[0]) * 1.5, v - centre[1]) * 3.2).astype(np.int64)
    elif style == "diamonds":
        index = (np.floor((u * 1.5 + v) * 3) + np.floor((u * 1.5 - v) * 3)).astype(np.int64)
    else:
        index = np.zeros((height, width), dtype=np.int64)
    image = palette[index % count]
    if style in ("oriental", "plain", "diamonds"):
        for k, inset in enumerate((0.1, 0.075, 0.02)):
            image = np.where((edge < inset)[..., None], palette[(k + 1) % count], image)
    return finish(image * (1 + rng.standard_normal((height, width, 1), dtype=np.float32) * 0.06))


def painting(rng: np.random.Generator, height: int = 128, width: int = 128) -> np.ndarray:
    """Something to hang on a wall: a landscape, an abstract, a still life or a poster of letters and shapes."""
    kind = int(rng.integers(4))
    palette = [rgb(c) for c in _PALETTES[int(rng.integers(len(_PALETTES)))]]
    image = np.empty((height, width, 3), dtype=np.float32)
    image[:] = palette[0]
    if kind == 0:
        _landscape(rng, image, palette)
    elif kind == 1:
        for k in range(int(rng.integers(4, 9))):
            low = rng.uniform(-0.1, 0.8, 2) * (width, height)
            size = rng.uniform(0.15, 0.5, 2) * (width, height)
            colour = palette[1 + k % (len(palette) - 1)].tolist()
            cv2.rectangle(image, low.astype(int).tolist(), (low + size).astype(int).tolist(), colour, -1)
    elif kind == 2:
        for k in range(int(rng.integers(3, 8))):
            centre = (rng.uniform(0.15, 0.85, 2) * (width, height)).astype(int).tolist()
            axes = (rng.uniform(0.06, 0.3, 2) * min(height, width)).astype(int).tolist()
            colour = palette[1 + k % (len(palette) - 1)].tolist()
            cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    else:
        image[:] = rgb("#ece6da")
        cv2.circle(image, (width // 2, int(height * 0.38)), int(min(height, width) * 0.26), palette[1].tolist(), -1)
        for k in range(3):
            y, half = int(height * (0.76 + 0.07 * k)), int(width * rng.uniform(0.15, 0.38))
            image[y : y + max(2, height // 40), width // 2 - half : width // 2 + half] = palette[2]
    return finish(image * (1 + noise(rng, height, width, 16, 16, 2)[..., None] * 0.05))


_PALETTES = (
    ("#d9d2c0", "#8a4b38", "#2f4858", "#c79a4b", "#6e7f63"),
    ("#e8e4da", "#3c5b73", "#7f9fa8", "#d7a86e", "#2b2f36"),
    ("#c9d3d4", "#5b7a5a", "#a9b98a", "#3d4f3c", "#e2cf9a"),
    ("#f0e9e2", "#b76e5c", "#e0b7a0", "#59443e", "#8c9b98"),
    ("#2d3440", "#c8553d", "#f2d6a2", "#588b8b", "#e8e2d4"),
)


def _landscape(rng: np.random.Generator, image: np.ndarray, palette: Sequence[np.ndarray]) -> None:
    """Sky that pales downwards over three ridges, sometimes with a sun."""
    height, width = image.shape[:2]
    image[:] = mixed(palette[0] * 0.85, "#f3ead8", np.linspace(0, 1, height)[:, None] * np.ones((1, width)))
    if rng.random() < 0.6:
        centre = (int(width * rng.uniform(0.2, 0.8)), int(height * rng.uniform(0.15, 0.4)))
        cv2.circle(image, centre, max(3, height // 11), rgb("#f2cf8d").tolist(), -1, cv2.LINE_AA)
    y = np.arange(height)[:, None]
    for k in range(3):
        ridge = height * (0.45 + 0.18 * k) + noise(rng, 1, width, 1, 3, 3)[0] * height * 0.12
        image[y > ridge[None, :]] = palette[1 + k % (len(palette) - 1)] * (1.1 - 0.15 * k)


def clock_face(rng: np.random.Generator, size: int = 96) -> np.ndarray:
    """A dial with marks and hands, whole."""
    dial, ink = ("#f4f1e8", "#22242a") if rng.random() < 0.75 else ("#2a2d33", "#eceae4")
    image = np.empty((size, size, 3), dtype=np.float32)
    image[:] = rgb(dial)
    centre = np.array([size / 2, size / 2])
    for hour in range(12):
        way = np.array([np.sin(hour * np.pi / 6), -np.cos(hour * np.pi / 6)])
        ends = [(centre + way * size * r).astype(int).tolist() for r in (0.36, 0.45)]
        cv2.line(image, ends[0], ends[1], rgb(ink).tolist(), 3, cv2.LINE_AA)
    for reach, turn in ((0.24, rng.uniform(0, 6.28)), (0.36, rng.uniform(0, 6.28))):
        tip = (centre + np.array([np.sin(turn), -np.cos(turn)]) * size * reach).astype(int).tolist()
        cv2.line(image, centre.astype(int).tolist(), tip, rgb(ink).tolist(), 4, cv2.LINE_AA)
    return finish(image)

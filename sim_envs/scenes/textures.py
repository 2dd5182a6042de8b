"""Procedural textures: [h, w, 3] uint8 sRGB arrays that repeat without a seam, all randomness from the caller's rng.

Row 0 is the image's top (v = 1). Colours are sRGB, "#rrggbb" or three numbers 0..255. Every texture states what one
repeat covers, so that the caller can give its size in metres.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Colour = str | Sequence[float] | np.ndarray


def rgb(colour: Colour) -> np.ndarray:
    """[3] float32 sRGB 0..255."""
    if isinstance(colour, str):
        return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float32)
    return np.asarray(colour, dtype=np.float32)


def finish(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.clip(image, 0.0, 255.0).astype(np.uint8))


def noise(
    rng: np.random.Generator, height: int, width: int, cells_y: int, cells_x: int, octaves: int = 3,
) -> np.ndarray:
    """[height, width] float32 tileable value noise, mean about 0, mostly within -1..1."""
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        rows, columns = min(cells_y << octave, height), min(cells_x << octave, width)
        lattice = rng.random((rows, columns), dtype=np.float32) * 2 - 1
        total += _tile_resized(lattice, height, width) * 0.5**octave
    return total


def _tile_resized(lattice: np.ndarray, height: int, width: int) -> np.ndarray:
    """The lattice blown up so that the result still wraps around."""
    rows, columns = lattice.shape
    pad = 2
    wrapped = np.pad(lattice, pad, mode="wrap")
    sy, sx = height / rows, width / columns
    move = np.array([[1 / sx, 0, pad - 0.5 + 0.5 / sx], [0, 1 / sy, pad - 0.5 + 0.5 / sy]], dtype=np.float32)
    return cv2.warpAffine(wrapped, move, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def tinted(colour: Colour, shade: np.ndarray) -> np.ndarray:
    """A colour under a relative brightness map: shade 0 leaves it, 0.1 is 10 % brighter."""
    return rgb(colour) * (1.0 + shade[..., None])


def mixed(first: Colour, second: Colour, amount: np.ndarray) -> np.ndarray:
    """[h, w, 3] float: the first colour where amount is 0, the second where it is 1."""
    a = np.clip(amount, 0.0, 1.0)[..., None]
    return rgb(first) * (1 - a) + rgb(second) * a


def speckle(rng: np.random.Generator, colour: Colour, strength: float = 0.06, size: int = 128) -> np.ndarray:
    """Fine grain over soft blotches: plaster, concrete, asphalt, paper."""
    fine = rng.standard_normal((size, size), dtype=np.float32) * strength
    return finish(tinted(colour, fine * 0.6 + noise(rng, size, size, 4, 4) * strength * 0.8))


# -- wood and floors ---------------------------------------------------------------------------------------------------


def wood(rng: np.random.Generator, colour: Colour, contrast: float = 0.22, size: int = 128) -> np.ndarray:
    """Grain along u. Covers about 1 m x 0.3 m."""
    warp = noise(rng, size, size, 3, 2, 2) * 3.0
    y = np.arange(size, dtype=np.float32)[:, None] / size * 2 * np.pi
    rings = np.sin(y * int(rng.integers(3, 6)) + warp) * 0.4 + np.sin(y * int(rng.integers(9, 15)) + warp * 2.3) * 0.25
    fibres = noise(rng, size, size, size // 2, 3, 1) * 0.45
    return finish(tinted(colour, (rings + fibres + noise(rng, size, size, 3, 2, 1) * 0.5) * contrast * 0.5))


def planks(
    rng: np.random.Generator, colour: Colour, rows: int = 8, lengths: int = 2, contrast: float = 0.2, size: int = 256,
) -> np.ndarray:
    """Boards along u with staggered ends. With boards 0.12 m wide: rows * 0.12 m in v, about 1.2 m per length in u."""
    grain = noise(rng, size, size, size // 2, 4, 1) * 0.35 + noise(rng, size, size, rows * 3, 3, 2) * 0.35
    row = np.arange(size) * rows // size
    starts = rng.random(rows)
    along = (np.arange(size)[None, :] / size * lengths + starts[row][:, None]) % lengths
    board = along.astype(np.int64) % lengths
    tone = rng.uniform(-1.0, 1.0, (rows, lengths)).astype(np.float32)[row[:, None], board]
    image = tinted(colour, (grain * 0.5 + tone * 0.55) * contrast)
    seam = (np.arange(size) * rows / size % 1.0 < rows / size * 1.2)[:, None] | (along % 1.0 < lengths / size * 1.2)
    image[seam] *= 0.62
    return finish(image)


def herringbone(rng: np.random.Generator, colour: Colour, contrast: float = 0.2, size: int = 256) -> np.ndarray:
    """Parquet of blocks 1:4 laid at right angles; 16 block widths per repeat (about 1.1 m)."""
    cell = np.arange(size) * 16 // size
    i, j = np.meshgrid(cell, cell)
    phase = (i - j) % 8
    flat = phase < 4
    block = np.where(flat, (i - phase) * 31 + j * 17, i * 29 + (j - (7 - phase)) * 13) % 97
    tone = rng.uniform(-1.0, 1.0, 97).astype(np.float32)[block]
    fibre = noise(rng, size, size, size // 2, 6, 1)
    image = tinted(colour, (tone * 0.6 + np.where(flat, fibre, fibre.T) * 0.3) * contrast)
    inside = (np.arange(size) * 16 / size) % 1.0 < 0.09
    edge_x = np.broadcast_to(inside[None, :], flat.shape)
    edge_y = np.broadcast_to(inside[:, None], flat.shape)
    image[np.where(flat, edge_y | (edge_x & (phase == 0)), edge_x | (edge_y & (phase == 7)))] *= 0.68
    return finish(image)


def tiles(
    rng: np.random.Generator, colours: Sequence[Colour], grout: Colour, rows: int = 4, columns: int = 4,
    variation: float = 0.05, offset: bool = False, joint: float = 0.03, size: int = 256,
) -> np.ndarray:
    """Tiles with grout: one colour, a chequerboard of two, or a random choice of more. `offset` shifts every other
    row by half a tile (metro tiles, bricks, slabs)."""
    y = np.arange(size)[:, None] * rows / size
    x = np.arange(size)[None, :] * columns / size + np.where(offset and np.floor(y) % 2 == 1, 0.5, 0.0)
    row, column = np.broadcast_arrays(np.floor(y).astype(np.int64), np.floor(x).astype(np.int64) % columns)
    palette = np.stack([rgb(c) for c in colours])
    if len(colours) == 2:
        pick = (row + column) % 2
    else:
        pick = rng.integers(0, len(colours), (rows, columns))[row, column]
    tone = rng.uniform(-1.0, 1.0, (rows, columns)).astype(np.float32)[row, column] * variation
    tone += noise(rng, size, size, rows * 2, columns * 2, 3) * variation * 0.8
    image = palette[pick] * (1 + tone[..., None])
    half_x, half_y = joint / 2, joint / 2 * rows / columns
    in_joint = (x % 1.0 < half_x) | (x % 1.0 > 1 - half_x) | (y % 1.0 < half_y) | (y % 1.0 > 1 - half_y)
    image[in_joint] = rgb(grout) * (1 + rng.uniform(-0.05, 0.05))
    return finish(image)


def bricks(rng: np.random.Generator, colour: Colour, mortar: Colour = "#b8b0a4", size: int = 256) -> np.ndarray:
    """Running bond; one repeat is 4 bricks wide and 12 courses high (about 1.0 m x 0.9 m)."""
    base = rgb(colour)
    shades = [base * f for f in (0.82, 0.92, 1.0, 1.06, 1.12)]
    return tiles(rng, shades, mortar, 12, 4, 0.09, True, 0.05, size)


def carpet(rng: np.random.Generator, colour: Colour, second: Colour | None = None, size: int = 128) -> np.ndarray:
    """Loop pile; covers about 0.6 m."""
    pile = rng.standard_normal((size, size), dtype=np.float32) * 0.09 + noise(rng, size, size, 3, 3) * 0.04
    image = tinted(colour, pile)
    if second is not None:
        fleck = (rng.random((size, size)) < 0.18)[..., None]
        image = np.where(fleck, tinted(second, pile), image)
    return finish(image)


def marble(rng: np.random.Generator, colour: Colour, vein: Colour, size: int = 256) -> np.ndarray:
    """Covers about 1.5 m."""
    bend = noise(rng, size, size, 2, 2, 5)
    line = np.abs(np.sin(bend * 3.1 + noise(rng, size, size, 4, 4, 4) * 1.2))
    return finish(mixed(colour, vein, np.clip(0.16 - line, 0, 1) * 2.6 + noise(rng, size, size, 3, 3, 3) * 0.1 + 0.06))


# -- walls and cloth ---------------------------------------------------------------------------------------------------


def stripes(
    rng: np.random.Generator, colours: Sequence[Colour], count: int = 4, vertical: bool = True, size: int = 128,
) -> np.ndarray:
    """`count` sets of one stripe of each colour, of drawn widths."""
    widths = rng.uniform(0.5, 1.5, len(colours))
    edges = np.cumsum(widths) / widths.sum()
    at = np.searchsorted(edges, np.arange(size) * count / size % 1.0, side="right").clip(max=len(colours) - 1)
    band = np.stack([rgb(c) for c in colours])[at]
    image = np.broadcast_to(band[None] if vertical else band[:, None], (size, size, 3))
    return finish(image * (1 + rng.standard_normal((size, size, 1), dtype=np.float32) * 0.025))


def checks(rng: np.random.Generator, colours: Sequence[Colour], count: int = 4, size: int = 128) -> np.ndarray:
    """Woven checks (tablecloths, blankets): bands that cross and mix."""
    band = stripes(rng, colours, count, True, size).astype(np.float32)
    weave = (np.add.outer(np.arange(size), np.arange(size)) % 2)[..., None] * 0.5 + 0.25
    return finish(band * weave + band.transpose(1, 0, 2) * (1 - weave))


def weave(rng: np.random.Generator, colour: Colour, strength: float = 0.12, size: int = 128) -> np.ndarray:
    """Plain upholstery; covers about 0.5 m."""
    y, x = np.mgrid[0:size, 0:size]
    thread = ((x // 2 + y // 2) % 2 - 0.5) * strength * 0.7
    yarn = noise(rng, size, size, size // 2, 8, 1) + noise(rng, size, size, 8, size // 2, 1)
    return finish(tinted(colour, thread + yarn * strength * 0.35 + noise(rng, size, size, 3, 3) * strength * 0.3))


def leather(rng: np.random.Generator, colour: Colour, size: int = 128) -> np.ndarray:
    """Covers about 0.6 m."""
    grain = np.abs(noise(rng, size, size, 24, 24, 2))
    return finish(tinted(colour, 0.05 - np.clip(0.25 - grain, 0, 1) * 0.4 + noise(rng, size, size, 4, 4) * 0.05))


def motif(
    rng: np.random.Generator, ground: Colour, ink: Colour, count: int = 4, size: int = 128
) -> np.ndarray:
    """Wallpaper or cloth with a small repeated ornament (flowers, diamonds, rings or leaves), rows shifted."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size * count
    x = x + (np.floor(y) % 2) * 0.5
    dx, dy = x % 1.0 - 0.5, y % 1.0 - 0.5
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    shape = (
        0.24 + 0.1 * np.cos(angle * int(rng.integers(4, 7))) - radius,
        0.3 - np.abs(dx) * 1.2 - np.abs(dy),
        0.08 - np.abs(radius - 0.27),
        0.2 - np.abs(dx + 0.18 * np.sin(dy * 5)) * 1.6 - dy * dy,
    )[int(rng.integers(4))]
    image = mixed(ground, ink, np.clip(shape * size / count * 0.5, 0, 1) * 0.8)
    return finish(image * (1 + rng.standard_normal((size, size, 1), dtype=np.float32) * 0.02))


# -- outdoors ----------------------------------------------------------------------------------------------------------


def grass(rng: np.random.Generator, colour: Colour = "#5d7a3a", size: int = 256) -> np.ndarray:
    """Covers about 2.5 m."""
    blades = noise(rng, size, size, size // 2, size // 4, 1) * 0.22 + noise(rng, size, size, 5, 5, 3) * 0.12
    dry = np.clip(noise(rng, size, size, 3, 3, 3), 0, 1)[..., None] * 0.35
    return finish(tinted(colour, blades) * (1 - dry) + tinted("#8f8a50", blades) * dry)


def asphalt(rng: np.random.Generator, colour: Colour = "#55565a", size: int = 256) -> np.ndarray:
    """Covers about 2.5 m."""
    return speckle(rng, colour, 0.13, size)


def slabs(rng: np.random.Generator, colour: Colour = "#a39d93", rows: int = 4, size: int = 256) -> np.ndarray:
    """Pavement; `rows` slabs per repeat."""
    base = rgb(colour)
    return tiles(rng, [base * f for f in (0.93, 1.0, 1.05)], base * 0.62, rows, rows, 0.06, True, 0.035, size)


def roof_tiles(rng: np.random.Generator, colour: Colour = "#9a4f38", size: int = 128) -> np.ndarray:
    """8 x 8 tiles; covers about 2 m."""
    y, x = np.mgrid[0:size, 0:size] / size * 8
    shade = (y % 1.0) * 0.35 - 0.2 + np.cos((x + 0.5 * (np.floor(y) % 2)) % 1.0 * 2 * np.pi) * 0.12
    tone = rng.uniform(-0.12, 0.12, (8, 8))[np.floor(y).astype(int), np.floor(x).astype(int)]
    return finish(tinted(colour, (shade + tone).astype(np.float32)))


def bark(rng: np.random.Generator, colour: Colour = "#6b5847", size: int = 128) -> np.ndarray:
    """Covers about 0.8 m."""
    ridges = np.abs(noise(rng, size, size, 5, 20, 3))
    return finish(tinted(colour, ridges * 0.7 - 0.32))


def leaves(rng: np.random.Generator, colour: Colour = "#4c7036", size: int = 128) -> np.ndarray:
    """A mass of foliage; covers about 1 m."""
    clump = noise(rng, size, size, 20, 20, 2) * 0.35 + noise(rng, size, size, 4, 4, 2) * 0.2
    return finish(tinted(colour, clump) + np.clip(clump, 0, 1)[..., None] * [18, 22, 0])


def facade(
    rng: np.random.Generator, wall: Colour, rows: int = 4, columns: int = 4, frame: Colour = "#e8e6e0",
    ground: np.ndarray | None = None, size: int = 256,
) -> np.ndarray:
    """A house front with windows; one repeat holds rows x columns of them. `ground` is a wall texture to put behind."""
    image = np.empty((size, size, 3), dtype=np.float32)
    image[:] = tinted(wall, noise(rng, size, size, 8, 8, 3) * 0.05) if ground is None else cv2.resize(
        ground, (size, size), interpolation=cv2.INTER_AREA)
    cell_h, cell_w = size // rows, size // columns
    top, left = int(cell_h * rng.uniform(0.14, 0.2)), int(cell_w * rng.uniform(0.18, 0.26))
    panes = int(rng.integers(1, 3))
    for row in range(rows):
        for column in range(columns):
            y0, x0 = row * cell_h + top, column * cell_w + left
            y1, x1 = (row + 1) * cell_h - int(cell_h * 0.25), (column + 1) * cell_w - left
            cv2.rectangle(image, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2), rgb(frame).tolist(), -1)
            image[y0:y1, x0:x1] = _pane(rng, y1 - y0, x1 - x0)
            for k in range(1, panes + 1):
                x = x0 + (x1 - x0) * k // (panes + 1)
                image[y0:y1, x : x + 2] = rgb(frame)
            image[y1 + 2 : y1 + 5, x0 - 3 : x1 + 3] = rgb(frame) * 0.72
    return finish(image)


def _pane(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Glass that mirrors the sky at its top, sometimes with a curtain or a lit room behind."""
    fall = np.linspace(1.0, 0.0, height, dtype=np.float32)[:, None]
    glass = mixed("#28323c", "#8fa6b8", np.broadcast_to(fall, (height, width)) * rng.uniform(0.4, 1.0))
    kind = rng.random()
    if kind < 0.25:
        glass[:, : max(1, width // 4)] = rgb("#cfc6b4")
        glass[:, -max(1, width // 4) :] = rgb("#cfc6b4")
    elif kind < 0.35:
        glass[: height // 2] = rgb("#d8d2c4")
    return glass


# -- metal -------------------------------------------------------------------------------------------------------------


def metal(rng: np.random.Generator, colour: Colour = "#b9bcc0", size: int = 64) -> np.ndarray:
    """Brushed along u; covers about 0.4 m."""
    return finish(tinted(colour, noise(rng, size, size, size // 2, 2, 1) * 0.06))

"""What is seen through a house's windows: outer walls, a garden with a fence, trees and the neighbours' houses."""

from __future__ import annotations

import math

import numpy as np

from sim_envs.mesh import Light
from sim_envs.scenes import textures
from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.house_plan import HousePlan

GROUND = -0.15  # m, the garden lies a step below the floor


def build_garden(plan: HousePlan, builder: MeshBuilder, rng: np.random.Generator) -> None:
    low, high = plan.facade.reshape(-1, 2).min(axis=0), plan.facade.reshape(-1, 2).max(axis=0)
    _outer_walls(plan, builder, rng)
    margin = float(rng.uniform(3.5, 6.0))
    low, high = low - margin, high + margin
    middle, size = (low + high) / 2, high - low
    ground = builder.material("lawn", texture=textures.grass(rng), size=2.5)
    if rng.random() < 0.3:
        ground = builder.material("yard", texture=textures.slabs(rng), size=2.0)
    with builder.instance("ground", is_object=False):
        # A solid block: its top counts as a roof, on which no robot is ever put.
        builder.box(middle[0], middle[1], GROUND - 2.0, size[0], size[1], 2.0, ground, bottom=True)
    _fence(builder, rng, low, high)
    _trees(builder, rng, low, high, margin)
    _neighbours(builder, rng, low, high)


def _outer_walls(plan: HousePlan, builder: MeshBuilder, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        colour = str(rng.choice(["#a5654c", "#8c5240", "#c2a58a"]))
        wall = builder.material("facade", texture=textures.bricks(rng, colour), size=1.0)
    else:
        colour = str(rng.choice(["#e6dfd0", "#d8cdb8", "#cfd2cf", "#e3c9a8"]))
        wall = builder.material("facade", texture=textures.speckle(rng, colour, 0.04), size=2.0)
    offset = plan.outer_wall - plan.wall / 2
    top = plan.height + 0.25
    for start, end in plan.facade:
        length = float(np.abs(end - start).sum())
        along = (end - start) / length
        out = np.array([along[1], -along[0]])
        holes = []
        for o in plan.openings:
            at = o.centre - start
            if o.rooms[1] < 0 and abs(float(at @ out) + offset) < 0.02 and 0 < at @ along < length:
                holes.append((float(at @ along), o))
        with builder.instance("outer wall", is_object=False):
            _pierced(builder, start, along, length, sorted(holes, key=lambda h: h[0]), top, wall)


def _pierced(
    builder: MeshBuilder, start: np.ndarray, along: np.ndarray, length: float, holes: list, top: float, material: int
) -> None:
    at = 0.0
    pieces = []
    for middle, opening in holes:
        low, high = middle - opening.width / 2, middle + opening.width / 2
        pieces += [(at, low, GROUND, top), (low, high, GROUND, opening.bottom), (low, high, opening.top, top)]
        at = high
    for low, high, z0, z1 in [*pieces, (at, length, GROUND, top)]:
        if high - low > 1e-6 and z1 - z0 > 1e-6:
            corner = start + along * low
            uv = (float(corner.sum()), z0)
            builder.grid((*corner, z0), (*(along * (high - low)), 0), (0, 0, z1 - z0), material, 2.0, uv)


def _fence(builder: MeshBuilder, rng: np.random.Generator, low: np.ndarray, high: np.ndarray) -> None:
    height = float(rng.uniform(1.3, 2.1))
    if rng.random() < 0.45:
        category, thickness = "hedge", 0.7
        look = builder.material("hedge", texture=textures.leaves(rng, "#45662f"), size=1.2)
    else:
        category, thickness = "fence", 0.08
        texture = textures.planks(rng, str(rng.choice(["#a8825c", "#b5aa9a", "#8f7b62"])), 8, 1, 0.3)
        look = builder.material("fence", texture=texture.transpose(1, 0, 2).copy(), size=(1.2, 2.4))
    middle, size = (low + high) / 2, high - low
    with builder.instance(category, is_object=False):
        for side in (0, 1):
            for edge in (low, high):
                x, y = (edge[0], middle[1]) if side else (middle[0], edge[1])
                sx, sy = (thickness, size[1]) if side else (size[0], thickness)
                builder.box(x, y, GROUND, sx, sy, height, look)


def tree(builder: MeshBuilder, rng: np.random.Generator, x: float, y: float, z: float) -> None:
    """A trunk and a crown of a few round masses."""
    bark = builder.material("bark", texture=textures.bark(rng), size=0.8)
    leaf = builder.material("foliage", texture=textures.leaves(rng), size=1.0)
    height = float(rng.uniform(1.6, 2.6))
    builder.cylinder(x, y, z, 0.16, height + 0.6, bark, 8, 0.1)
    for _ in range(int(rng.integers(3, 6))):
        offset = rng.uniform(-0.8, 0.8, 3)
        r = rng.uniform(0.8, 1.3)
        builder.ellipsoid(x + offset[0], y + offset[1], z + height + 0.8 + offset[2] * 0.7, r, r, r * 0.85, leaf, 10)


def _trees(
    builder: MeshBuilder, rng: np.random.Generator, low: np.ndarray, high: np.ndarray, margin: float
) -> None:
    for _ in range(int(rng.integers(3, 8))):
        side = int(rng.integers(4))
        along = rng.uniform(low + 1.2, high - 1.2)
        depth = rng.uniform(0.8, max(0.9, margin - 2.2))
        x, y = along
        if side == 0:
            x = low[0] + depth
        elif side == 1:
            x = high[0] - depth
        elif side == 2:
            y = low[1] + depth
        else:
            y = high[1] - depth
        with builder.instance("tree", is_object=False):
            tree(builder, rng, float(x), float(y), GROUND)


def _neighbours(builder: MeshBuilder, rng: np.random.Generator, low: np.ndarray, high: np.ndarray) -> None:
    middle, size = (low + high) / 2, high - low
    tiles = builder.material("roof tiles", texture=textures.roof_tiles(rng), size=2.0)
    for side in range(4):
        if rng.random() < 0.25:
            continue
        yaw = side * math.pi / 2
        reach = size[side % 2] / 2 + rng.uniform(4, 9)
        width, depth, height = rng.uniform(7, 14), rng.uniform(6, 9), rng.uniform(3, 6.5)
        wall = str(rng.choice(["#d9cdb8", "#c9c4ba", "#b98a6d", "#e6dcc8", "#a9b0ad"]))
        look = builder.material(f"neighbour {side}", size=(8.0, 11.0), texture=textures.facade(rng, wall, 4, 4))
        shift = rng.uniform(-3, 3)
        with builder.at(middle[0], middle[1], GROUND, yaw), builder.instance("building", is_object=False), \
                builder.at(reach + depth / 2, shift):
            builder.box(0, 0, 0, depth, width, height, look)
            ridge = np.array([[-depth / 2 - 0.4, 0], [depth / 2 + 0.4, 0], [0, depth * 0.35]])
            with builder.at(0, width / 2 + 0.3, height, 0, roll=math.pi / 2):
                builder.prism(ridge, 0.0, width + 0.6, tiles, bottom=True)


def daylight(rng: np.random.Generator) -> Light:
    """Indoor light under one of several skies."""
    top, horizon = [
        ((0.33, 0.55, 0.86), (0.80, 0.88, 0.95)),
        ((0.62, 0.68, 0.74), (0.82, 0.85, 0.87)),
        ((0.36, 0.48, 0.72), (0.95, 0.82, 0.68)),
        ((0.45, 0.63, 0.88), (0.90, 0.92, 0.93)),
    ][int(rng.integers(4))]
    turn = rng.uniform(0, 2 * math.pi)
    return Light(
        sun=(math.cos(turn) * 0.5, math.sin(turn) * 0.5, 0.7), sun_strength=float(rng.uniform(0.32, 0.45)),
        sky_strength=float(rng.uniform(0.5, 0.64)), sky_top=top, sky_horizon=horizon, indoor=True,
    )

"""What is seen through a house's windows: outer walls, a garden with a fence, trees and the neighbours' houses."""

from __future__ import annotations

import math

import numpy as np

from sim_envs.mesh import Light
from sim_envs.scenes import textures
from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.houses.plan import HousePlan
from sim_envs.scenes.houses.shell import rectangles

GROUND = -0.15  # m, the garden begins a step below the floor
_SLOPE = math.tan(math.radians(46))  # it falls away too steeply for any robot, so that no drivable land lies outside
_UNDER = 0.3  # m under the outer walls where the fall begins, so that not even a ledge is left
_FOOT = -0.9  # m, where outer walls end


class Ground:
    """The hill a house stands on: its height falls with the distance from the house."""

    def __init__(self, plan: HousePlan) -> None:
        boxes = np.array([r for room in plan.rooms for r in rectangles(room.outline)])
        self._boxes = boxes + np.array([-1.0, -1.0, 1.0, 1.0]) * (plan.outer_wall - _UNDER)

    def height(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """z in m at x, y (any shapes that go together)."""
        x, y = np.asarray(x, dtype=np.float64)[..., None], np.asarray(y, dtype=np.float64)[..., None]
        x0, y0, x1, y1 = self._boxes.T
        away = np.hypot(np.maximum(0, np.maximum(x0 - x, x - x1)), np.maximum(0, np.maximum(y0 - y, y - y1)))
        return GROUND - _SLOPE * away.min(axis=-1)


def build_garden(plan: HousePlan, builder: MeshBuilder, rng: np.random.Generator) -> None:
    low, high = plan.facade.reshape(-1, 2).min(axis=0), plan.facade.reshape(-1, 2).max(axis=0)
    _outer_walls(plan, builder, rng)
    margin = float(rng.uniform(3.0, 4.5))
    low, high = low - margin, high + margin
    land = Ground(plan)
    look = builder.material("lawn", texture=textures.grass(rng), size=2.5)
    columns, rows = (int(n) for n in np.ceil((high - low) / 0.8) + 1)
    x, y = np.meshgrid(np.linspace(low[0], high[0], columns), np.linspace(low[1], high[1], rows))
    with builder.instance("ground", is_object=False):
        builder.surface(land.height(x, y), low[0], low[1], high[0] - low[0], high[1] - low[1], look)
    _fence(builder, rng, low, high, float(land.height(x, y).min()))
    _trees(builder, rng, low, high, land)
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
        pieces += [(at, low, _FOOT, top), (low, high, _FOOT, opening.bottom), (low, high, opening.top, top)]
        at = high
    for low, high, z0, z1 in [*pieces, (at, length, _FOOT, top)]:
        if high - low > 1e-6 and z1 - z0 > 1e-6:
            corner = start + along * low
            uv = (float(corner.sum()), z0)
            builder.grid((*corner, z0), (*(along * (high - low)), 0), (0, 0, z1 - z0), material, 2.0, uv)


def _fence(
    builder: MeshBuilder, rng: np.random.Generator, low: np.ndarray, high: np.ndarray, foot: float
) -> None:
    """A hedge or a fence around the garden, of which only the inner face is seen."""
    top = float(rng.uniform(0.6, 1.7))
    if rng.random() < 0.5:
        category = "hedge"
        look = builder.material("hedge", texture=textures.leaves(rng, "#4d6f36"), size=1.2)
    else:
        category = "fence"
        texture = textures.planks(rng, str(rng.choice(["#a8825c", "#b5aa9a", "#8f7b62"])), 8, 1, 0.3)
        look = builder.material("fence", texture=texture.transpose(1, 0, 2).copy(), size=(1.2, 2.4))
    corners = [(low[0], low[1]), (low[0], high[1]), (high[0], high[1]), (high[0], low[1])]
    with builder.instance(category, is_object=False):
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1]):
            builder.grid((x0, y0, foot), (x1 - x0, y1 - y0, 0), (0, 0, top - foot), look, 3.0)


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
    builder: MeshBuilder, rng: np.random.Generator, low: np.ndarray, high: np.ndarray, land: Ground
) -> None:
    for _ in range(int(rng.integers(3, 8))):
        x, y = rng.uniform(low, high)
        side = int(rng.integers(4))
        if side % 2:
            x = (low[0] + 1.0, high[0] - 1.0)[side // 2]
        else:
            y = (low[1] + 1.0, high[1] - 1.0)[side // 2]
        with builder.instance("tree", is_object=False):
            tree(builder, rng, float(x), float(y), float(land.height(x, y)))


def _neighbours(builder: MeshBuilder, rng: np.random.Generator, low: np.ndarray, high: np.ndarray) -> None:
    """Fronts and roofs of houses beyond the fence."""
    middle, size = (low + high) / 2, high - low
    colour = str(rng.choice(["#86503f", "#5d6066", "#7a5e4c", "#6d6f6a"]))
    tiles = builder.material("roof tiles", texture=textures.roof_tiles(rng, colour), size=2.0)
    for side in range(4):
        if rng.random() < 0.25:
            continue
        reach = size[side % 2] / 2 + rng.uniform(3, 8)
        width, height = rng.uniform(8, 15), rng.uniform(2.5, 6.0)
        rise = rng.uniform(3.2, 3.8)  # of the roof: too steep to count as land
        wall = str(rng.choice(["#d9cdb8", "#c9c4ba", "#b98a6d", "#e6dcc8", "#a9b0ad"]))
        look = builder.material(f"neighbour {side}", size=(8.0, 11.0), texture=textures.facade(rng, wall, 4, 4))
        shift, half = rng.uniform(-3, 3), width / 2
        with builder.at(middle[0], middle[1], 0, side * math.pi / 2), builder.instance("building", is_object=False), \
                builder.at(reach, shift, -2.0):
            builder.grid((0, half, 0), (0, -width, 0), (0, 0, height + 2), look, 4.0)
            for end in (-1, 1):
                builder.grid((3 - 3 * end, end * half, 0), (end * 6, 0, 0), (0, 0, height + 2), look, 4.0)
            builder.grid((-0.4, half + 0.3, height + 1.8), (0, -width - 0.6, 0), (3.3, 0, rise), tiles, 4.0)


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

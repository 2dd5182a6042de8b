"""Cities made from a seed: a bent, uneven network of streets with blocks of buildings, parks and squares, closed all
around by a row of buildings. The middle is the origin; roads lie at z = 0.
"""

from __future__ import annotations

import math

import numpy as np

from sim_envs.mesh import Light, SceneMesh
from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.cities.blocks import close_rim, fill_block
from sim_envs.scenes.cities.cars import make_cars
from sim_envs.scenes.cities.ground import lay_ground
from sim_envs.scenes.cities.looks import city_looks
from sim_envs.scenes.cities.plan import draw_plan
from sim_envs.scenes.cities.sheets import Sheets
from sim_envs.scenes.cities.streetside import Scenery, furnish_edge
from sim_envs.scenes.cities.things import make_things
from sim_envs.simulator import SceneError

DEFAULT_SIZE = 200.0  # m
_SMALLEST, _LARGEST = 90.0, 2000.0  # m
_RICH_UP_TO = 320.0  # m; larger cities have plainer things, and fewer


def build_city(seed: int, size: float | None = None) -> SceneMesh:
    """A city on a square of `size` metres (200 unless given). The same seed and size give the same city."""
    size = DEFAULT_SIZE if size is None else float(size)
    if not _SMALLEST <= size <= _LARGEST:
        raise SceneError(f"city:{seed}?size={size:g} cannot be built: give a size of {_SMALLEST:g} to {_LARGEST:g} m")
    rng = np.random.default_rng([seed, 2, round(size)])
    rich = size <= _RICH_UP_TO
    plan = draw_plan(size, rng)
    builder = MeshBuilder()
    looks = city_looks(builder, rng)
    sheets = Sheets(builder, plan.bend, 5.0 if rich else 8.0)
    things, cars = make_things(looks, rng, rich), make_cars(looks, rich)
    scenery = Scenery(builder, plan.bend, looks, things, cars, 1.0 if rich else 0.7)
    rooms = lay_ground(plan, sheets, looks)
    edges = [edge for block in plan.blocks for edge in block.edges] + list(plan.rim)
    fronts = plan.bend(np.array([edge.point(edge.length / 2, -1.0) for edge in edges]))
    streets = np.array([room.outline.mean(axis=0) for room in rooms])
    for edge, front in zip(edges, fronts, strict=True):
        nearest = int(np.argmin(np.hypot(*(streets - front).T)))  # the street an edge lies at, where it has several
        furnish_edge(scenery, edge, nearest, rng)
    for block in plan.blocks:
        rooms += fill_block(block, sheets, scenery, len(rooms), rich, rng)
    close_rim(plan, sheets, scenery, rich, rng)
    return builder.build(rooms, light=_daylight(rng), navigation_cell=_cell(size))


def _cell(size: float) -> float:
    """0.15 m up to 200 m, growing to 0.5 m. Heights and upright edges stay exact in cells of any size."""
    return float(np.clip(round(0.15 * size / DEFAULT_SIZE, 2), 0.15, 0.5))


def _daylight(rng: np.random.Generator) -> Light:
    height, azimuth = math.radians(rng.uniform(28.0, 62.0)), rng.uniform(-math.pi, math.pi)
    haze = rng.uniform(0.0, 1.0)
    sun = (math.cos(height) * math.cos(azimuth), math.cos(height) * math.sin(azimuth), math.sin(height))
    return Light(
        sun=sun, sun_strength=0.95 - 0.4 * haze, sky_strength=0.4 + 0.15 * haze,
        sky_top=(0.30 + 0.2 * haze, 0.50 + 0.12 * haze, 0.82), sky_horizon=(0.78, 0.85, 0.92),
    )

"""What stands along the streets: trees, lamps and furniture at the kerb, traffic lights at crossings, parked cars.

Furniture keeps to a strip at the kerb, so that at least 1.8 m of every pavement stay free, and stays clear of dropped
kerbs and crossings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.cities.cars import BODIES
from sim_envs.scenes.cities.ground import CLEAR_OF_CROSSING, CROSSING_WIDTH, KERB
from sim_envs.scenes.cities.looks import Looks
from sim_envs.scenes.cities.plan import Bend, Edge
from sim_envs.scenes.cities.things import Kit, Things, place

_STRIP = 0.68  # m from the kerb to the middle of what stands there
_SLOT = 3.3  # m between things
_CAR_CLEARANCE = 3.0  # m between a parked car and a crossing


@dataclass(frozen=True)
class Scenery:
    """All that is needed to put things into a city."""

    builder: MeshBuilder
    bend: Bend
    looks: Looks
    things: Things
    cars: tuple[Kit, ...]
    density: float  # 1 in a small city, less in a large one

    def put(
        self, category: str, kit: Kit, x: float, y: float, yaw: float, z: float = KERB, scale: float = 1.0,
        room: int = -1, paint: int = -1,
    ) -> None:
        """Stand something on the drawing board as an instance of its own."""
        with self.builder.instance(category, room=room):
            place(self.builder, kit, *self._placed(x, y, z, yaw), scale, paint)

    def _placed(self, x: float, y: float, z: float, yaw: float) -> tuple[float, float, float, float]:
        bent_x, bent_y, bent_yaw = self.bend.place(np.array([x, y]), yaw)
        return bent_x, bent_y, z, bent_yaw

    def put_at(
        self, category: str, kit: Kit, edge: Edge, t: float, d: float, turn: float = 0.0, scale: float = 1.0,
        z: float = KERB, room: int = -1, paint: int = -1,
    ) -> None:
        x, y = edge.point(t, d)
        self.put(category, kit, float(x), float(y), edge.yaw + turn, z, scale, room, paint)


def furnish_edge(scenery: Scenery, edge: Edge, room: int, rng: np.random.Generator) -> None:
    """Everything along one side of a block."""
    _traffic_lights(scenery, edge, room, rng)
    stop = _bus_stop(scenery, edge, room, rng)
    _furniture(scenery, edge, room, stop, rng)
    if edge.half_road > 3.3:
        _parked_cars(scenery, edge, room, stop, rng)


def _is_clear(edge: Edge, t: float, margin: float, taken: tuple[float, float] | None) -> bool:
    """Whether a thing reaching `margin` metres along the kerb on both sides of t blocks nobody's way."""
    if any(abs(t - crossing) < CLEAR_OF_CROSSING + margin for crossing in edge.crossings):
        return False
    return taken is None or not taken[0] - margin < t < taken[1] + margin


def _traffic_lights(scenery: Scenery, edge: Edge, room: int, rng: np.random.Generator) -> None:
    if edge.half_road < 3.6 or rng.random() < 0.35:
        return
    for crossing in edge.crossings:
        beside = crossing + CLEAR_OF_CROSSING
        scenery.put_at("traffic light", scenery.things.traffic_light, edge, beside, 0.4, room=room)


def _bus_stop(
    scenery: Scenery, edge: Edge, room: int, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Perhaps a bus stop; the stretch of kerb that it takes."""
    t = float(rng.uniform(0.4, 0.6)) * edge.length
    if edge.length < 36.0 or edge.pavement < 3.4 or rng.random() > 0.3 or not _is_clear(edge, t, 4.0, None):
        return None
    scenery.put_at("bus stop", scenery.things.bus_stop, edge, t, 0.85, room=room)
    return t - 3.0, t + 3.0


def _furniture(
    scenery: Scenery, edge: Edge, room: int, stop: tuple[float, float] | None, rng: np.random.Generator
) -> None:
    names = list(scenery.things.small)
    leafy = rng.random() < 0.7
    trees = scenery.things.trees
    kind = int(rng.integers(len(trees)))
    lamp_at = float(rng.uniform(4.0, 12.0))
    for slot, t in enumerate(np.arange(3.4, edge.length - 3.0, _SLOT).tolist()):
        t += float(rng.uniform(-0.4, 0.4))
        if not _is_clear(edge, t, 0.9, stop):
            continue
        if t >= lamp_at:
            scenery.put_at("street lamp", scenery.things.lamp, edge, t, 0.45, room=room)
            lamp_at = t + 22.0
        elif leafy and slot % 3 == 0:
            if rng.random() < scenery.density:
                tree = trees[kind] if rng.random() < 0.8 else trees[int(rng.integers(len(trees)))]
                scenery.put_at("tree", tree, edge, t, 0.75, rng.uniform(0, 6.28), rng.uniform(0.85, 1.25), room=room)
        elif rng.random() < 0.42 * scenery.density:
            name = names[int(rng.choice(len(names), p=(0.25, 0.22, 0.09, 0.09, 0.15, 0.1, 0.1)))]
            turn = 0.0 if name in ("parking meter", "bicycle rack") else math.pi  # most turn their front to the walkers
            scenery.put_at(name, scenery.things.small[name], edge, t, _STRIP, turn, room=room)


def _parked_cars(
    scenery: Scenery, edge: Edge, room: int, stop: tuple[float, float] | None, rng: np.random.Generator
) -> None:
    """Cars at the kerb; on the road's right side they look against t."""
    share = float(rng.uniform(0.2, 0.75)) * scenery.density
    reach = CROSSING_WIDTH / 2 + _CAR_CLEARANCE
    t = 9.0
    while t < edge.length - 9.0:
        kind = int(rng.choice(len(BODIES), p=(0.33, 0.33, 0.22, 0.12)))
        half = BODIES[kind].length / 2
        middle = t + half
        clear = all(abs(middle - crossing) > half + reach for crossing in edge.crossings)
        clear = clear and (stop is None or middle + half < stop[0] or middle - half > stop[1])
        if clear and middle + half < edge.length - 9.0 and rng.random() < share:
            paint = scenery.looks.paints[int(rng.integers(len(scenery.looks.paints)))]
            aside = 0.22 + BODIES[kind].width / 2 + float(rng.uniform(0.0, 0.12))
            turn = math.pi + float(rng.normal(0.0, 0.015))
            scenery.put_at("car", scenery.cars[kind], edge, middle, -aside, turn, z=0.0, room=room, paint=paint)
        t += 2 * half + float(rng.uniform(0.9, 1.6))

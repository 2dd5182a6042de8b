"""What the blocks of a city hold behind their pavements: terraces, houses with gardens, a tower, a park, a square."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from sim_envs.scenes.cities.buildings import Box, Building, lots, raise_building
from sim_envs.scenes.cities.ground import KERB
from sim_envs.scenes.cities.plan import RIM, Block, Plan
from sim_envs.scenes.cities.sheets import Sheets
from sim_envs.scenes.cities.streetside import Scenery
from sim_envs.simulator import Room

_ALLEY = 3.4  # m
_LARGEST_LOT = 22.0  # m
_PATH = 3.0  # m


def fill_block(
    block: Block, sheets: Sheets, scenery: Scenery, first_room: int, rich: bool, rng: np.random.Generator
) -> list[Room]:
    """Builds on one block; returns its named places, numbered from `first_room`."""
    fill = {"terrace": _terrace, "houses": _houses, "tower": _tower, "park": _park, "square": _square}[block.kind]
    return fill(block.inner, sheets, scenery, first_room, rich, rng)


def close_rim(plan: Plan, sheets: Sheets, scenery: Scenery, rich: bool, rng: np.random.Generator) -> None:
    """A closed row of buildings around the city."""
    half = plan.size / 2
    south, east, north, west = (edge.pavement for edge in plan.rim)
    x0, x1 = plan.along_y[0].low_kerb - west, plan.along_y[-1].high_kerb + east
    y0, y1 = plan.along_x[0].low_kerb - south, plan.along_x[-1].high_kerb + north
    bands: tuple[tuple[Box, int], ...] = (
        ((-half, -half, half, y0), 2), ((-half, y1, half, half), 0), ((-half, y0, x0, y1), 1), ((x1, y0, half, y1), 3),
    )
    for (bx0, by0, bx1, by1), facing in bands:
        along_x = bx1 - bx0 > by1 - by0
        length = (bx1 - bx0) if along_x else (by1 - by0)
        count = max(1, round(length / rng.uniform(14.0, 20.0)))
        steps = np.linspace(0.0, length, count + 1)
        for a, b in zip(steps[:-1].tolist(), steps[1:].tolist()):
            box = (bx0 + a, by0, bx0 + b, by1) if along_x else (bx0, by0 + a, bx1, by0 + b)
            exposed = tuple(side == facing for side in range(4))
            building = Building(box, int(rng.integers(2, 8)), _style(scenery, rng), exposed, rng.random() < 0.3)
            raise_building(sheets, scenery.looks, building, rng, rich)
    assert abs(x0) <= half - RIM + 1.0


def _style(scenery: Scenery, rng: np.random.Generator) -> int:
    return int(rng.integers(len(scenery.looks.fronts)))


def _ground(sheets: Sheets, category: str, material: int, box: Box, room: int = -1) -> None:
    with sheets.builder.instance(category, is_object=False, room=room):
        sheets.floor(material, *box, KERB)
        sheets.flush()


def _area(sheets: Sheets, category: str, box: Box) -> Room:
    """A named place with the outline of a box, which bends with the streets."""
    x0, y0, x1, y1 = box
    s = np.linspace(0.0, 1.0, 7)[:-1, None]
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])
    ring = np.concatenate([a + s * (b - a) for a, b in pairwise(corners)])
    return Room(category, sheets.bend(ring), KERB)


def _terrace(
    box: Box, sheets: Sheets, scenery: Scenery, first_room: int, rich: bool, rng: np.random.Generator
) -> list[Room]:
    """Buildings wall to wall, sometimes with an alley through the block."""
    x0, y0, x1, y1 = box
    rooms, halves = [], [box]
    if max(x1 - x0, y1 - y0) > 34.0 and rng.random() < 0.75:
        if x1 - x0 >= y1 - y0:
            middle = x0 + (x1 - x0) * rng.uniform(0.4, 0.6)
            alley = (middle - _ALLEY / 2, y0, middle + _ALLEY / 2, y1)
            halves = [(x0, y0, alley[0], y1), (alley[2], y0, x1, y1)]
        else:
            middle = y0 + (y1 - y0) * rng.uniform(0.4, 0.6)
            alley = (x0, middle - _ALLEY / 2, x1, middle + _ALLEY / 2)
            halves = [(x0, y0, x1, alley[1]), (x0, alley[3], x1, y1)]
        rooms.append(_area(sheets, "alley", alley))
        _ground(sheets, "pavement", scenery.looks.cobbles, alley, first_room)
        _alley_things(alley, scenery, first_room, rng)
    height = int(rng.integers(2, 6))
    for part in halves:
        for lot in lots(part, _LARGEST_LOT, rng):
            exposed = tuple(abs(side - edge) < 1e-9 for side, edge in zip(
                (lot[1], lot[2], lot[3], lot[0]), (part[1], part[2], part[3], part[0]), strict=True))
            storeys = max(1, height + int(rng.integers(-1, 3)))
            hipped = storeys <= 2 and rng.random() < 0.6
            building = Building(lot, storeys, _style(scenery, rng), exposed, rng.random() < 0.7, hipped)
            raise_building(sheets, scenery.looks, building, rng, rich)
    return rooms


def _alley_things(alley: Box, scenery: Scenery, room: int, rng: np.random.Generator) -> None:
    """A bollard at either end against cars, bins and plants along one wall; two metres stay free."""
    x0, y0, x1, y1 = alley
    upright = y1 - y0 > x1 - x0
    length = (y1 - y0) if upright else (x1 - x0)
    for t in (0.4, length - 0.4):
        x, y = ((x0 + x1) / 2, y0 + t) if upright else (x0 + t, (y0 + y1) / 2)
        scenery.put("bollard", scenery.things.bollard, x, y, 0.0, room=room)
    for t in np.arange(4.0, length - 3.0, 6.0).tolist():
        if rng.random() < 0.55 * scenery.density:
            name = "trash bin" if rng.random() < 0.6 else "planter"
            x, y, yaw = (x0 + 0.5, y0 + t, -math.pi / 2) if upright else (x0 + t, y1 - 0.5, 0.0)
            scenery.put(name, scenery.things.small[name], x, y, yaw, room=room)


def _houses(
    box: Box, sheets: Sheets, scenery: Scenery, first_room: int, rich: bool, rng: np.random.Generator
) -> list[Room]:
    """Houses that stand alone in gardens, a hedge or a fence towards the street, open at the garden path."""
    _ground(sheets, "grass", scenery.looks.grass, box)
    largest = max(20.0, min(box[2] - box[0], box[3] - box[1]) * 0.62)
    for lot in lots(box, largest, rng):
        street = [abs(lot[1] - box[1]) < 1e-9, abs(lot[2] - box[2]) < 1e-9, abs(lot[3] - box[3]) < 1e-9,
                  abs(lot[0] - box[0]) < 1e-9]
        if any(street):
            _house(lot, street, sheets, scenery, rich, rng)
    return []


def _house(
    lot: Box, street: list[bool], sheets: Sheets, scenery: Scenery, rich: bool, rng: np.random.Generator
) -> None:
    x0, y0, x1, y1 = lot
    wide, deep = x1 - x0, y1 - y0
    front = int(rng.choice(np.flatnonzero(street)))
    margin = (min(0.24 * wide, 5.0), min(0.24 * deep, 5.0))
    body = (x0 + margin[0], y0 + margin[1], x1 - margin[0], y1 - margin[1])
    building = Building(body, int(rng.integers(0, 3)), _style(scenery, rng), (True,) * 4, False, True)
    raise_building(sheets, scenery.looks, building, rng, rich=False)
    hedge = rng.random() < 0.6
    for side in np.flatnonzero(street).tolist():
        _border(lot, body, side, side == front, hedge, sheets, scenery)
    for _ in range(int(rng.integers(0, 3))):
        if rng.random() < scenery.density:
            corner = (rng.choice([x0 + 1.9, x1 - 1.9]), rng.choice([y0 + 1.9, y1 - 1.9]))
            tree = scenery.things.trees[int(rng.integers(len(scenery.things.trees)))]
            scenery.put("tree", tree, float(corner[0]), float(corner[1]), rng.uniform(0, 6.28), scale=0.8)


def _border(
    lot: Box, body: Box, side: int, open_path: bool, hedge: bool, sheets: Sheets, scenery: Scenery
) -> None:
    """The hedge or fence along one side of a lot, with a gap and a path where the door is."""
    x0, y0, x1, y1 = lot
    thick, tall = (0.5, 1.1) if hedge else (0.08, 0.95)
    looks = scenery.looks
    upright = side in (1, 3)
    low, high = (y0, y1) if upright else (x0, x1)
    middle = (body[1] + body[3]) / 2 if upright else (body[0] + body[2]) / 2
    spans = [(low, middle - 0.8), (middle + 0.8, high)] if open_path else [(low, high)]
    edge = (y0, x1, y1, x0)[side]
    inward = (0.35 + thick, -0.35, -0.35, 0.35 + thick)[side]
    material = looks.hedge if hedge else looks.wood
    with sheets.builder.instance("hedge" if hedge else "fence", is_object=False):
        for a, b in spans:
            near, far = edge + inward - thick, edge + inward
            rect = (near, a, far, b) if upright else (a, near, b, far)
            sheets.block(material, material, *rect, KERB - 0.02, KERB + tall)
        sheets.flush()
    if open_path:
        door = (body[1], body[2], body[3], body[0])[side]
        low, high = min(edge, door), max(edge, door)
        rect = (low, middle - 0.7, high, middle + 0.7) if upright else (middle - 0.7, low, middle + 0.7, high)
        with sheets.builder.instance("path", is_object=False):
            sheets.floor(looks.gravel, *rect, KERB + 0.008)
            sheets.flush()


def _tower(
    box: Box, sheets: Sheets, scenery: Scenery, first_room: int, rich: bool, rng: np.random.Generator
) -> list[Room]:
    """One tall building on a paved court with trees in tubs."""
    x0, y0, x1, y1 = box
    _ground(sheets, "pavement", scenery.looks.square, box, first_room)
    wide, deep = min(26.0, 0.55 * (x1 - x0)), min(26.0, 0.55 * (y1 - y0))
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    body = (cx - wide / 2, cy - deep / 2, cx + wide / 2, cy + deep / 2)
    building = Building(body, int(rng.integers(10, 19)), _style(scenery, rng), (True,) * 4, True)
    raise_building(sheets, scenery.looks, building, rng, rich=False, room=first_room)
    for x, y in _around(body, (x0, y0, x1, y1)):
        if rng.random() < 0.75:
            scenery.put("planter", scenery.things.planter, x, y, 0.0, room=first_room, scale=1.2)
    return [_area(sheets, "court", box)]


def _around(body: Box, box: Box) -> list[tuple[float, float]]:
    """Places on a ring half way between a building and the edge of its ground."""
    x0, y0, x1, y1 = ((a + b) / 2 for a, b in zip(body, box, strict=True))
    xs, ys = np.linspace(x0, x1, 4).tolist(), np.linspace(y0, y1, 4).tolist()
    return [(x, y) for x in xs for y in (y0, y1)] + [(x, y) for x in (x0, x1) for y in ys[1:-1]]


def _park(
    box: Box, sheets: Sheets, scenery: Scenery, first_room: int, rich: bool, rng: np.random.Generator
) -> list[Room]:
    """Lawns, two paths that cross at a fountain, trees, benches and a swing."""
    x0, y0, x1, y1 = box
    cx, cy, half = (x0 + x1) / 2, (y0 + y1) / 2, _PATH / 2
    court = 5.5
    room, things = first_room, scenery.things
    with sheets.builder.instance("path", is_object=False, room=room):
        sheets.floor(scenery.looks.gravel, cx - court, cy - court, cx + court, cy + court, KERB)
        for bx0, bx1 in ((x0, cx - court), (cx + court, x1)):
            sheets.floor(scenery.looks.gravel, bx0, cy - half, bx1, cy + half, KERB)
        for by0, by1 in ((y0, cy - court), (cy + court, y1)):
            sheets.floor(scenery.looks.gravel, cx - half, by0, cx + half, by1, KERB)
        sheets.flush()
    for sx0, sx1, inner_x in ((x0, cx - half, cx - court), (cx + half, x1, cx + court)):
        for sy0, sy1, inner_y in ((y0, cy - half, cy - court), (cy + half, y1, cy + court)):
            with sheets.builder.instance("grass", is_object=False, room=room):
                for rect in _without_corner((sx0, sy0, sx1, sy1), inner_x, inner_y, cx, cy):
                    sheets.floor(scenery.looks.grass, *rect, KERB)
                sheets.flush()
            _lawn_things((sx0, sy0, sx1, sy1), scenery, room, (cx, cy), rng)
    scenery.put("fountain", things.fountain, cx, cy, 0.0, room=room)
    for k in range(4):
        angle = math.pi / 4 + k * math.pi / 2
        scenery.put("bench", things.small["bench"], cx + 4.6 * math.cos(angle), cy + 4.6 * math.sin(angle),
                    angle - math.pi / 2, room=room)
    for t in (0.25, 0.75):
        scenery.put("street lamp", things.lamp, x0 + t * (x1 - x0), cy + half + 0.4, 0.0, room=room)
        scenery.put("trash bin", things.small["trash bin"], cx - half - 0.4, y0 + t * (y1 - y0), math.pi / 2, room=room)
    scenery.put("swing", things.swing, (x0 + cx - court) / 2, (y0 + cy) / 2, rng.uniform(0, 3.14), room=room)
    return [_area(sheets, "park", box)]


def _without_corner(lawn: Box, inner_x: float, inner_y: float, cx: float, cy: float) -> list[Box]:
    """A lawn less the quarter of the court around the fountain that reaches into it."""
    x0, y0, x1, y1 = lawn
    outer_x = (x0, inner_x) if inner_x < cx else (inner_x, x1)
    rest_x = (inner_x, x1) if inner_x < cx else (x0, inner_x)
    rest_y = (y0, inner_y) if inner_y < cy else (inner_y, y1)
    return [(outer_x[0], y0, outer_x[1], y1), (rest_x[0], rest_y[0], rest_x[1], rest_y[1])]


def _lawn_things(
    lawn: Box, scenery: Scenery, room: int, middle: tuple[float, float], rng: np.random.Generator
) -> None:
    x0, y0, x1, y1 = lawn
    trees = scenery.things.trees
    for x in np.arange(x0 + 3.0, x1 - 2.0, 5.5).tolist():
        for y in np.arange(y0 + 3.0, y1 - 2.0, 5.5).tolist():
            px, py = x + rng.uniform(-1.2, 1.2), y + rng.uniform(-1.2, 1.2)
            near = math.dist((px, py), middle) < 9.0
            if not near and rng.random() < 0.6 * scenery.density:
                tree = trees[int(rng.integers(len(trees)))]
                scenery.put("tree", tree, px, py, rng.uniform(0, 6.28), scale=rng.uniform(0.9, 1.4), room=room)


def _square(
    box: Box, sheets: Sheets, scenery: Scenery, first_room: int, rich: bool, rng: np.random.Generator
) -> list[Room]:
    """Open paving with a statue, market stalls, cafe tables, a kiosk and trees in rows."""
    x0, y0, x1, y1 = box
    cx, cy, room, things = (x0 + x1) / 2, (y0 + y1) / 2, first_room, scenery.things
    _ground(sheets, "pavement", scenery.looks.square, box, room)
    scenery.put("statue", things.statue, cx, cy, rng.uniform(0, 6.28), room=room)
    for k in range(6):
        x = x0 + (x1 - x0) * (0.2 + 0.12 * k)
        stall = things.stall[int(rng.integers(len(things.stall)))]
        scenery.put("market stall", stall, x, y0 + 0.26 * (y1 - y0), 0.0, room=room)
    for k in range(8):
        x, y = cx + rng.uniform(0.22, 0.4) * (x1 - x0), cy + (k - 3.5) * 0.09 * (y1 - y0)
        scenery.put("cafe table", things.table, x, y, rng.uniform(0, 6.28), room=room)
    scenery.put("kiosk", things.kiosk, x0 + 0.18 * (x1 - x0), cy, math.pi / 2, room=room)
    kind = things.trees[int(rng.integers(len(things.trees)))]
    for k, x in enumerate(np.arange(x0 + 4.0, x1 - 3.0, 7.5).tolist()):
        scenery.put("tree", kind, x, y1 - 4.0, rng.uniform(0, 6.28), room=room)
        if k % 2:
            scenery.put("bench", things.small["bench"], x + 3.7, y1 - 4.0, math.pi, room=room)
    return [_area(sheets, "square", box)]

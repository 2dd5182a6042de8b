"""Kitchens: a run of units along one wall or round a corner, with cupboards and a hood above."""

from __future__ import annotations

import numpy as np

from sim_envs.scenes.houses.furniture import Piece
from sim_envs.scenes.houses.furniture_wet import COUNTER_HEIGHT, Kitchen
from sim_envs.scenes.houses.looks import Looks
from sim_envs.scenes.houses.room_space import RoomSpace

_HANGING = 1.42  # m, lower edge of wall cupboards


def fit_kitchen(space: RoomSpace, looks: Looks, rng: np.random.Generator) -> None:
    kitchen = Kitchen(looks, rng)
    runs = sorted(
        ((high - low, side, low, high) for side in range(len(space.sides))
         for low, high in space.gaps(side, 0.0, COUNTER_HEIGHT) if high - low > 1.3), reverse=True)
    length, side, low, high = runs[0] if runs else (0.0, 0, 0.0, 0.0)
    if runs:
        _run(space, looks, kitchen, rng, side, low, min(high, low + 4.2), main=True)
    corner = [r for r in runs[1:] if r[1] in ((side + 1) % len(space.sides), (side - 1) % len(space.sides))]
    if corner and (rng.random() < 0.5 or length < 2.4):
        _, other, low, high = corner[0]
        _run(space, looks, kitchen, rng, other, low, min(high, low + 2.4), main=length < 2.4)
    for piece in (kitchen.sink(), kitchen.stove(), kitchen.fridge(rng)):  # what found no place in a run stands alone
        if piece.category not in {p.piece.category for p in space.placed}:
            space.along_wall(piece, rng, corner=0.9)


def _run(
    space: RoomSpace, looks: Looks, kitchen: Kitchen, rng: np.random.Generator, side: int, low: float, high: float,
    main: bool,
) -> None:
    """Fill a stretch of wall with units, the fridge at one of its ends."""
    wall = space.sides[side]
    window = next(((a + b) / 2 for a, b, o in wall.holes if o.kind == "window" and low < (a + b) / 2 < high), None)
    placed = {p.piece.category for p in space.placed}
    if main and "fridge" not in placed:
        fridge = kitchen.fridge(rng)
        ends = [low + fridge.width / 2, high - fridge.width / 2]
        for at in ends if rng.random() < 0.5 else ends[::-1]:
            clear = any(a - 1e-9 <= at - fridge.width / 2 and at + fridge.width / 2 <= b + 1e-9
                        for a, b in space.gaps(side, 0.0, fridge.height))
            if clear and space.at_wall(fridge, side, at):
                low, high = (low + fridge.width, high) if at < (low + high) / 2 else (low, high - fridge.width)
                break
    units = _units(kitchen, rng, high - low, placed)
    if window is not None and len(units) > 2:  # the sink under the window
        sinks = [k for k, unit in enumerate(units) if unit.category == "sink"]
        share = int((window - low) / (high - low) * len(units))
        for k in sinks:
            units.insert(min(share, len(units) - 1), units.pop(k))
    at = low
    for unit in units:
        middle = at + unit.width / 2
        at += unit.width
        if space.at_wall(unit, side, middle):
            _above(space, looks, kitchen, rng, side, middle, unit)


def _units(kitchen: Kitchen, rng: np.random.Generator, length: float, placed: set[str]) -> list[Piece]:
    """Units that together are no longer than `length`, in a sensible order."""
    units: list[Piece] = []
    if "stove" not in placed and length >= 0.6:
        units.append(kitchen.stove())
        length -= 0.6
    if "sink" not in placed and length >= 0.8:
        units.append(kitchen.sink())
        length -= 0.8
    count = max(0, round(length / 0.58)) if length > 0.35 else 0
    for k in range(count):
        units.insert(int(rng.integers(len(units) + 1)) if k else min(1, len(units)),
                     kitchen.unit(length / count - 1e-3, bool(rng.random() < 0.35)))
    return units


def _above(
    space: RoomSpace, looks: Looks, kitchen: Kitchen, rng: np.random.Generator, side: int, at: float, unit: Piece
) -> None:
    """Tiles behind a unit, and a hood or a cupboard over it where there is no window."""
    piece = kitchen.hood() if unit.category == "stove" else kitchen.wall_cabinet(unit.width)
    wall = space.sides[side]
    half = unit.width / 2
    if any(a < at + half and b > at - half for a, b, _ in wall.holes):
        return
    top = COUNTER_HEIGHT + 0.52

    def tiles(b):  # type: ignore[no-untyped-def]
        b.quad([(-half, 0, 0), (half, 0, 0), (half, 0, top - COUNTER_HEIGHT), (-half, 0, top - COUNTER_HEIGHT)],
               kitchen.tiles)

    point = wall.start + wall.along * at + wall.inward * 0.006
    yaw = float(np.arctan2(wall.inward[0], -wall.inward[1]))
    space.put(Piece("wall tiles", unit.width, 0.002, 0.5, tiles), float(point[0]), float(point[1]), COUNTER_HEIGHT, yaw)
    fits = any(a <= at - half + 0.02 and at + half - 0.02 <= b for a, b in space.gaps(side, _HANGING, _HANGING + 0.7))
    if fits and space.height > _HANGING + 0.75:
        point = wall.start + wall.along * at + wall.inward * (piece.depth / 2 + 0.005)
        space.put(piece, float(point[0]), float(point[1]), _HANGING, yaw)
        space.use_wall(side, at - half, at + half, _HANGING, _HANGING + 0.7)

"""How bathrooms, toilets and laundries are arranged."""

from __future__ import annotations

import math

import numpy as np

from sim_envs.scenes.houses import furniture_decor as decor
from sim_envs.scenes.houses import furniture_seats as seats
from sim_envs.scenes.houses import furniture_tables as tables
from sim_envs.scenes.houses import furniture_wet as wet
from sim_envs.scenes.houses.furnisher import OPEN_SHARE, Furnisher


def bathroom(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    if space.area > 4.6 and f.chance(0.65):
        space.along_wall(wet.bathtub(looks, rng, 1.75), rng, f.by_length()[::-1], corner=1.0)
    else:
        _shower(f)
    if space.area > 7.5 and f.chance(0.6):
        _shower(f)
    _basin(f)
    if "toilet" not in f.has or f.chance(0.6):
        space.along_wall(wet.toilet(looks, rng), rng, corner=0.4, gap=0.05)
    space.keep_open(OPEN_SHARE)
    if "laundry room" not in f.has and f.chance(0.6):
        space.along_wall(wet.dishwasher_or_washer(looks, rng), rng, corner=0.9)
    if f.chance(0.7):
        space.along_wall(decor.basket(looks, rng), rng, corner=0.9)
    if f.chance(0.5):
        space.along_wall(decor.bin_(looks, rng), rng, corner=0.7)
    if f.chance(0.4):
        space.along_wall(tables.cabinet(looks, rng, 0.8), rng, corner=0.8)
    space.hang(decor.towel(looks, rng), rng, 0.85)
    if f.chance(0.4):
        space.along_wall(seats.stool(looks, rng), rng)
    _rug_in_front(f, "sink")


def _rug_in_front(f: Furnisher, category: str) -> None:
    for base in [p for p in f.space.placed if p.piece.category == category][:1]:
        ahead = base.piece.depth / 2 + 0.35
        x, y = base.x + math.sin(base.yaw) * ahead, base.y - math.cos(base.yaw) * ahead
        f.rug(x, y, base.yaw, 0.8, 0.5)


def _shower(f: Furnisher) -> None:
    """In a corner: the wall at +y and the one at -x of the piece."""
    piece = wet.shower(f.looks, f.rng)
    space = f.space
    for side in f.rng.permutation(len(space.sides)):
        gaps = space.gaps(side, 0.0, 2.1)
        # Facing a wall from the room, its end lies to the right, so -x is towards the wall's end.
        if gaps and abs(gaps[-1][1] - space.sides[side].length) < 1e-6:
            at = gaps[-1][1] - piece.width / 2 - 0.01
            if gaps[-1][1] - gaps[-1][0] > piece.width and space.at_wall(piece, int(side), at):
                return


def _basin(f: Furnisher, small: bool = False) -> None:
    piece = wet.wash_basin(f.looks, f.rng, small)
    base = f.space.along_wall(piece, f.rng, corner=0.3, gap=0.0 if small else 0.03)
    if base is None:
        return
    piece = decor.mirror(f.looks, f.rng)
    for k, side in enumerate(f.space.sides):
        offset = np.array([base.x, base.y]) - side.start
        if abs(float(offset @ side.inward) - base.piece.depth / 2 - 0.02) < 0.01:
            f.space.hang(piece, f.rng, 1.1, [k], float(offset @ side.along))


def toilet(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    space.along_wall(wet.toilet(looks, rng), rng, f.by_length()[::-1], corner=0.0)
    _basin(f, small=True)
    if f.chance(0.5):
        space.along_wall(decor.bin_(looks, rng), rng, corner=0.9)
    f.pictures(1)


def laundry(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    space.along_wall(wet.dishwasher_or_washer(looks, rng), rng, corner=0.8)
    if f.chance(0.6):
        space.along_wall(wet.wash_basin(looks, rng), rng)
    for _ in range(int(rng.integers(1, 3))):
        space.along_wall(decor.basket(looks, rng), rng, corner=0.6)
    space.along_wall(tables.cabinet(looks, rng, 1.0), rng, corner=0.8)
    if f.chance(0.5):
        space.along_wall(decor.box(looks, rng), rng)

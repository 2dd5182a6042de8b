"""Which furniture goes into a room, and how it is arranged: one function per kind of room."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sim_envs.scenes.houses import furniture_decor as decor
from sim_envs.scenes.houses import furniture_seats as seats
from sim_envs.scenes.houses import furniture_tables as tables
from sim_envs.scenes.houses import wet_rooms
from sim_envs.scenes.houses.furnisher import OPEN_SHARE, Furnisher, alike
from sim_envs.scenes.houses.kitchen import fit_kitchen
from sim_envs.scenes.houses.looks import Looks
from sim_envs.scenes.houses.plan import HousePlan
from sim_envs.scenes.houses.room_space import Placed, RoomSpace
from sim_envs.scenes.houses.shell import DoorLeaf, WallSide


def furnish(
    plan: HousePlan, looks: Looks, sides: list[list[WallSide]], leaves: list[DoorLeaf], rng: np.random.Generator
) -> list[Placed]:
    """Everything that stands, lies or hangs in a house."""
    lamp_style = int(rng.integers(4))
    has = {room.category for room in plan.rooms}
    placed: list[Placed] = []
    for k in range(len(plan.rooms)):
        space = RoomSpace(plan, k, sides[k], leaves)
        furnisher = Furnisher(looks, space, np.random.default_rng(rng.integers(1 << 62)), has)
        furnisher.windows()
        _PROGRAMS[space.category](furnisher)
        furnisher.ceiling(lamp_style)
        placed += space.placed
    return placed


def _living_room(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    stand = tables.television_stand(looks, rng, 0.75 * max(side.length for side in space.sides))
    base = space.along_wall(stand, rng, f.by_length(), 0.02, corner=0.0)
    if base is not None:
        f.top(base, tables.television(looks, rng, stand.width * 0.85), 0.0, 0.03)
        _sitting_group(f, base)
    else:
        _sofa_at_wall(f)
    space.keep_open(OPEN_SHARE)
    if "dining room" not in f.has and space.area > 21:
        _dining_corner(f)
    options = [
        lambda: tables.bookshelf(looks, rng), lambda: tables.cabinet(looks, rng), lambda: tables.piano(looks, rng),
        lambda: tables.bookshelf(looks, rng), lambda: tables.cabinet(looks, rng, low=True),
    ]
    for k in rng.permutation(5)[: int(rng.integers(2, 5))]:
        piece = options[k]()
        spot = space.along_wall(piece, rng, corner=0.5)
        if spot is not None and piece.category == "piano":
            f.beside(spot, seats.stool(looks, rng), 0.0, -piece.depth / 2 - 0.2, 0.0)
        elif spot is not None and piece.height < 1.1 and f.chance(0.6):
            thing = decor.potted_plant(looks, rng, True) if f.chance(0.5) else decor.table_lamp(looks, rng)
            f.top(spot, thing, float(rng.uniform(-0.3, 0.3)) * piece.width)
    f.plants(3)
    f.pictures(4)
    f.clock(0.4)
    if f.chance(0.25):
        space.anywhere(decor.toy(looks, rng), rng)
    if f.chance(0.3):
        space.along_wall(decor.basket(looks, rng), rng, corner=0.8)


def _sitting_group(f: Furnisher, screen: Placed) -> None:
    """Sofa opposite the television, a low table between them on a rug, armchairs at the sides, a lamp."""
    rng, looks, space = f.rng, f.looks, f.space
    low, high = space.outline.min(axis=0), space.outline.max(axis=0)
    depth = float((high - low)[0 if abs(math.sin(screen.yaw)) > 0.7 else 1])
    sofa = seats.sofa(looks, rng, 2.6)
    state = rng.bit_generator.state
    to_wall = depth - screen.piece.depth / 2 - 0.02 - sofa.depth / 2 - 0.02  # sofa's back at the far wall
    distances = [to_wall] if to_wall < 3.7 else []
    distances += [float(rng.uniform(2.3, 3.0)), 2.2]
    done = any(f.beside(screen, sofa, shift, -d, math.pi) for d in distances for shift in (0.0, 0.4, -0.4))
    if not done:
        _sofa_at_wall(f)
        return
    base = space.placed[-1]
    table = tables.coffee_table(looks, rng)
    ahead = -(sofa.depth / 2 + 0.38 + table.depth / 2)
    c, s = math.cos(base.yaw), math.sin(base.yaw)
    if f.chance(0.75):
        x, y = base.x - s * (ahead + 0.25), base.y + c * (ahead + 0.25)
        f.rug(x, y, base.yaw, sofa.width + 0.5, 1.7)
    f.beside(base, table, 0.0, ahead, 0.0)
    for side in rng.permutation([-1, 1])[: int(rng.integers(0, 3))]:
        armchair = seats.armchair(looks, alike(state))
        f.beside(base, armchair, side * (sofa.width / 2 + 0.55), ahead, float(side) * -1.25)
    for side in rng.permutation([-1, 1]):
        if f.beside(base, decor.floor_lamp(looks, rng), side * (sofa.width / 2 + 0.26), 0.18, 0.0):
            break


def _sofa_at_wall(f: Furnisher) -> None:
    for longest in (2.0, 1.5, 1.3):
        sofa = seats.sofa(f.looks, f.rng, longest)
        if f.space.along_wall(sofa, f.rng, f.by_length(), corner=0.4) is not None:
            return
    for _ in range(2):
        f.space.along_wall(seats.armchair(f.looks, f.rng), f.rng, corner=0.8)


def _dining_corner(f: Furnisher) -> None:
    low, high = f.space.outline.min(axis=0) + 1.1, f.space.outline.max(axis=0) - 1.1
    for _ in range(14):
        x, y = (float(v) for v in f.rng.uniform(low, high))
        yaw = float(f.rng.choice([0.0, math.pi / 2]))
        if f.table_set(x, y, yaw, 1.5, 6) is not None:
            return


def _dining_room(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    low, high = space.outline.min(axis=0), space.outline.max(axis=0)
    x, y = (float(v) for v in (low + high) / 2)
    yaw = 0.0 if (high - low).argmax() == 0 else math.pi / 2
    rugged = f.chance(0.4)
    if rugged:
        f.rug(x, y, yaw, 2.6, 2.0)
    longest = max(0.9, float((high - low).max()) - 2.2)
    shifts = [(0.0, 0.0), *((float(a), float(b)) for a, b in rng.uniform(-0.6, 0.6, (8, 2)))]
    for dx, dy in shifts:
        if f.table_set(x + dx, y + dy, yaw, longest, 8, 0.3) is not None:
            break
    else:
        for dx, dy in rng.uniform(low - (x, y) + 0.5, high - (x, y) - 0.5, (20, 2)):
            if f.table_set(x + float(dx), y + float(dy), yaw, 1.1, 6, 0.05) is not None:
                break
    space.keep_open(OPEN_SHARE)
    for _ in range(int(rng.integers(1, 3))):
        spot = space.along_wall(tables.cabinet(looks, rng), rng, f.by_length(), corner=0.3)
        if spot is not None and spot.piece.height < 1.1:
            f.top(spot, decor.potted_plant(looks, rng, True))
    if f.chance(0.4):
        space.along_wall(tables.bookshelf(looks, rng), rng)
    f.plants(2)
    f.pictures(4)
    f.clock(0.5)


def _kitchen(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    fit_kitchen(space, looks, rng)
    space.keep_open(OPEN_SHARE)
    if space.area > 9 and ("dining room" not in f.has or f.chance(0.4)):
        low, high = space.outline.min(axis=0) + 0.8, space.outline.max(axis=0) - 0.8
        if (high > low).all():
            for _ in range(14):
                x, y = (float(v) for v in rng.uniform(low, high))
                if f.table_set(x, y, float(rng.choice([0.0, math.pi / 2])), 1.2, 4) is not None:
                    break
    if f.chance(0.8):
        space.along_wall(decor.bin_(looks, rng), rng, corner=0.8)
    if f.chance(0.25):
        space.along_wall(seats.stool(looks, rng, 0.65), rng)
    f.clock(0.6)
    f.plants(1)
    f.pictures(1)


def _bedroom(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    width = float(rng.choice([1.4, 1.6, 1.8])) if space.area > 10.5 else float(rng.choice([0.9, 1.2, 1.4]))
    bed = _bed(f, width)
    _wardrobe(f, 2.2)
    if bed is not None:
        state = rng.bit_generator.state
        for side in (-1, 1):
            stand = tables.nightstand(looks, alike(state))
            x = side * (bed.piece.width / 2 + stand.width / 2 + 0.04)
            y = bed.piece.depth / 2 - stand.depth / 2 - 0.01
            if f.beside(bed, stand, x, y, 0.0) and f.chance(0.75):
                f.top(space.placed[-1], decor.table_lamp(looks, alike(state)))
        if f.chance(0.6):
            c, s = math.cos(bed.yaw), math.sin(bed.yaw)
            f.rug(bed.x + s * 0.7, bed.y - c * 0.7, bed.yaw, bed.piece.width + 1.0, 1.6)
    space.keep_open(OPEN_SHARE)
    if f.chance(0.7):
        spot = space.along_wall(tables.dresser(looks, rng), rng)
        if spot is not None and f.chance(0.5):
            f.top(spot, decor.table_lamp(looks, rng), 0.25)
    if f.chance(0.35):
        _desk(f)
    if f.chance(0.4):
        space.along_wall(seats.armchair(looks, rng), rng, corner=0.8)
    if f.chance(0.35):
        space.along_wall(decor.basket(looks, rng), rng, corner=0.9)
    if f.chance(0.35):
        space.hang(decor.mirror(looks, rng, True), rng, 0.25)
    if f.chance(0.3):
        space.along_wall(decor.shoes(looks, rng), rng)
    f.pictures(3)
    f.plants(1)


def _bed(f: Furnisher, width: float) -> Placed | None:
    space, rng = f.space, f.rng
    for wide in (width, 0.9):
        piece = seats.bed(f.looks, rng, wide)
        blank = [k for k in f.by_length() if not any(o.kind == "window" for *_, o in space.sides[k].holes)]
        order = blank + [k for k in f.by_length() if k not in blank]
        base = space.along_wall(piece, rng, order, corner=0.15 if wide > 1.0 else 0.8)
        if base is not None:
            return base
    return None


def _wardrobe(f: Furnisher, widest: float) -> None:
    for longest in (widest, 1.3, 0.95):
        piece = tables.wardrobe(f.looks, f.rng, longest)
        if f.space.along_wall(piece, f.rng, f.by_length(), corner=0.95) is not None:
            return


def _childrens_room(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    for _ in range(2 if space.area > 12 and f.chance(0.5) else 1):
        _bed(f, 0.9)
    _desk(f)
    _wardrobe(f, 1.5)
    space.keep_open(OPEN_SHARE)
    low, high = space.outline.min(axis=0), space.outline.max(axis=0)
    x, y = (float(v) for v in (low + high) / 2)
    if f.chance(0.8):
        f.rug(x, y, float(rng.choice([0.0, math.pi / 2])), 1.7, 1.3)
    space.along_wall(tables.bookshelf(looks, rng, 1.0), rng)
    for _ in range(int(rng.integers(2, 6))):
        space.anywhere(decor.toy(looks, rng), rng)
    if f.chance(0.5):
        space.along_wall(decor.basket(looks, rng), rng)
    if f.chance(0.4):
        space.along_wall(decor.box(looks, rng), rng)
    if f.chance(0.3):
        space.along_wall(seats.stool(looks, rng), rng)
    f.pictures(4)


def _desk(f: Furnisher) -> Placed | None:
    """A desk with something to sit on and something to work with."""
    rng, looks = f.rng, f.looks
    desk = tables.desk(looks, rng)
    base = f.space.along_wall(desk, rng, corner=0.5)
    if base is None:
        return None
    seat = seats.office_chair(looks, rng) if f.chance(0.65) else seats.chair(looks, rng)
    x, turn = float(rng.uniform(-0.1, 0.1)), float(rng.uniform(2.5, 3.6))
    f.beside(base, seat, x, -desk.depth / 2 - 0.16, turn, under=True)
    f.top(base, decor.laptop(looks, rng), float(rng.uniform(-0.15, 0.15)), -0.05, float(rng.uniform(-0.2, 0.2)))
    if f.chance(0.6):
        f.top(base, decor.table_lamp(looks, rng), desk.width * 0.36, 0.12)
    return base


def _study(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    _desk(f)
    space.keep_open(OPEN_SHARE)
    for _ in range(int(rng.integers(1, 4))):
        space.along_wall(tables.bookshelf(looks, rng), rng, f.by_length(), corner=0.7)
    if f.chance(0.5):
        seat = seats.armchair(looks, rng) if f.chance(0.6) else seats.sofa(looks, rng, 1.6)
        space.along_wall(seat, rng, corner=0.7)
    if f.chance(0.5):
        space.along_wall(decor.floor_lamp(looks, rng), rng, corner=0.95)
    if f.chance(0.5):
        space.along_wall(tables.cabinet(looks, rng, 1.2), rng)
    if f.chance(0.6):
        space.along_wall(decor.bin_(looks, rng), rng, corner=0.6)
    if f.chance(0.6):
        low, high = space.outline.min(axis=0), space.outline.max(axis=0)
        x, y = (float(v) for v in (low + high) / 2)
        f.rug(x, y, 0.0, 2.0, 1.4)
    if f.chance(0.3):
        space.along_wall(decor.box(looks, rng), rng)
    f.plants(2)
    f.pictures(3)
    f.clock(0.4)


def _storage(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    space.along_wall(tables.bookshelf(looks, rng), rng, f.by_length(), corner=0.8)
    space.along_wall(tables.cabinet(looks, rng, 1.0), rng, corner=0.8)
    for _ in range(int(rng.integers(2, 6))):
        spot = space.along_wall(decor.box(looks, rng), rng, corner=0.6)
        if spot is not None and f.chance(0.4):
            f.top(spot, decor.box(looks, rng), turn=0.3)
    if f.chance(0.5):
        space.along_wall(decor.basket(looks, rng), rng)


def _corridor(f: Furnisher) -> None:
    rng, looks, space = f.rng, f.looks, f.space
    if f.chance(0.7):
        space.along_wall(decor.coat_rack(looks, rng), rng, corner=0.95)
    if f.chance(0.6):
        spot = space.along_wall(tables.cabinet(looks, rng, 1.0, low=True), rng, f.by_length(), corner=0.3)
        if spot is not None and f.chance(0.6):
            f.top(spot, decor.table_lamp(looks, rng), 0.25)
    if f.chance(0.4):
        space.along_wall(seats.bench(looks, rng), rng, f.by_length())
    for _ in range(int(rng.integers(0, 4))):
        space.along_wall(decor.shoes(looks, rng), rng, corner=0.4)
    if f.chance(0.6):
        space.hang(decor.mirror(looks, rng, f.chance(0.5)), rng, 0.9 if f.chance(0.3) else 0.35)
    f.pictures(4)
    f.plants(1)
    f.clock(0.25)
    if len(space.outline) == 4 and f.chance(0.5):
        low, high = space.outline.min(axis=0), space.outline.max(axis=0)
        x, y = (float(v) for v in (low + high) / 2)
        size = high - low
        yaw = 0.0 if size.argmax() == 0 else math.pi / 2
        f.rug(x, y, yaw, float(size.max()) * 0.6, min(0.8, float(size.min()) * 0.65))


_PROGRAMS: dict[str, Callable[[Furnisher], None]] = {
    "living room": _living_room, "dining room": _dining_room, "kitchen": _kitchen, "bedroom": _bedroom,
    "children's room": _childrens_room, "study": _study, "bathroom": wet_rooms.bathroom, "toilet": wet_rooms.toilet,
    "laundry room": wet_rooms.laundry, "storage room": _storage, "corridor": _corridor,
}

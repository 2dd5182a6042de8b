"""Which furniture goes into a room, and how it is arranged: one function per kind of room."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sim_envs.scenes import furniture_decor as decor
from sim_envs.scenes import furniture_seats as seats
from sim_envs.scenes import furniture_tables as tables
from sim_envs.scenes import furniture_wet as wet
from sim_envs.scenes.furniture import Piece
from sim_envs.scenes.house_looks import Looks
from sim_envs.scenes.house_plan import HousePlan
from sim_envs.scenes.house_shell import DoorLeaf, WallSide
from sim_envs.scenes.kitchen import fit_kitchen
from sim_envs.scenes.room_space import Placed, RoomSpace

_OPEN = 0.33  # share of a room's drivable floor that things which are merely nice to have must leave


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
        furnisher.furnish(lamp_style)
        placed += space.placed
    return placed


class Furnisher:
    """Furnishes one room."""

    def __init__(self, looks: Looks, space: RoomSpace, rng: np.random.Generator, has: set[str]) -> None:
        self.looks, self.space, self.rng, self.has = looks, space, rng, has
        self._names = 0

    def furnish(self, lamp_style: int) -> None:
        programs = {
            "living room": self._living_room, "dining room": self._dining_room, "kitchen": self._kitchen,
            "bedroom": self._bedroom, "children's room": self._childrens_room, "study": self._study,
            "bathroom": self._bathroom, "toilet": self._toilet, "laundry room": self._laundry,
            "storage room": self._storage, "corridor": self._corridor,
        }
        self._windows()
        programs[self.space.category]()
        self._ceiling(lamp_style)

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _name(self, what: str) -> str:
        self._names += 1
        return f"{what} {self.space.room}.{self._names}"

    def _top(self, base: Placed, piece: Piece, x: float = 0.0, y: float = 0.0, turn: float = 0.0) -> None:
        """Put a piece on top of another one, x, y in the other's frame."""
        c, s = math.cos(base.yaw), math.sin(base.yaw)
        height = base.piece.height
        self.space.put(piece, base.x + c * x - s * y, base.y + s * x + c * y, height, base.yaw + turn)

    def _beside(self, base: Placed, piece: Piece, x: float, y: float, turn: float, under: bool = False) -> bool:
        """Stand a piece on the floor at x, y in another one's frame, perhaps partly under that one."""
        c, s = math.cos(base.yaw), math.sin(base.yaw)
        return self.space.place(piece, base.x + c * x - s * y, base.y + s * x + c * y, base.yaw + turn,
                                over=base if under else None)

    def _by_length(self) -> list[int]:
        lengths = [max((b - a for a, b in self.space.gaps(k, 0.0, 1.0)), default=0.0)
                   for k in range(len(self.space.sides))]
        return sorted(range(len(lengths)), key=lambda k: -lengths[k])

    def _windows(self) -> None:
        """Radiators under windows and curtains beside them."""
        wet_room = self.space.category in ("bathroom", "toilet", "laundry room", "kitchen", "corridor", "storage room")
        state = self.rng.bit_generator.state
        curtains, heated = self._chance(0.75) and not wet_room, self._chance(0.8)
        for k, side in enumerate(self.space.sides):
            for low, high, opening in side.holes:
                if opening.kind != "window":
                    continue
                middle, width = (low + high) / 2, high - low
                if heated and 0.7 < opening.bottom < 1.05 and width > 0.6 and self.space.category != "kitchen":
                    radiator = decor.radiator(self.looks, self.rng, width * 0.8, min(0.62, opening.bottom - 0.12))
                    self.space.at_wall(radiator, k, middle)
                if curtains and self.space.gaps(k, 2.0, 2.4):
                    top, short = min(opening.top + 0.12, self.space.height - 0.05), opening.bottom > 0.6 and heated
                    bottom = opening.bottom - 0.1 if short else 0.02
                    piece = decor.curtain(self.looks, _copy(state), width, top, bottom)
                    if middle - piece.width / 2 > -0.1 and middle + piece.width / 2 < side.length + 0.1:
                        x, y, yaw = self.space.on_wall(k, middle, 0.09)
                        self.space.put(piece, x, y, 0.0, yaw)

    def _ceiling(self, style: int) -> None:
        low, high = self.space.outline.min(axis=0), self.space.outline.max(axis=0)
        size = high - low
        long = int(size.argmax())
        count = max(1, round(size[long] / 3.6)) if len(self.space.outline) == 4 else 1
        kind = 0 if self.space.category in ("bathroom", "toilet", "corridor", "storage room", "laundry room") else style
        lamp = decor.ceiling_lamp(self.looks, self.rng, kind)
        for k in range(count):
            at = (low + high) / 2
            if len(self.space.outline) == 4:
                at[long] = low[long] + size[long] * (k + 0.5) / count
            else:  # the middle of the first leg of an angled room
                at = self.space.outline[:2].mean(axis=0) + 0.5 * self.space.sides[0].inward
            self.space.put(lamp, float(at[0]), float(at[1]), self.space.height, 0.0)

    def _pictures(self, most: int) -> None:
        for _ in range(int(self.rng.integers(0, most + 1))):
            piece = decor.picture(self.looks, self.rng, self._name("picture"))
            self.space.hang(piece, self.rng, float(self.rng.uniform(1.62, 1.75)) - piece.height / 2)

    def _clock(self, share: float) -> None:
        if self._chance(share):
            self.space.hang(decor.clock(self.looks, self.rng, self._name("clock")), self.rng, 1.7)

    def _plants(self, most: int) -> None:
        for _ in range(int(self.rng.integers(0, most + 1))):
            self.space.along_wall(decor.potted_plant(self.looks, self.rng), self.rng, corner=0.95)

    def _rug(self, x: float, y: float, yaw: float, width: float, depth: float) -> None:
        """A rug around a point, cut to the room."""
        low, high = self.space.outline.min(axis=0) + 0.15, self.space.outline.max(axis=0) - 0.15
        turned = abs(math.sin(yaw)) > 0.7
        half_x, half_y = (depth / 2, width / 2) if turned else (width / 2, depth / 2)
        half_x = min(half_x, x - low[0], high[0] - x)
        half_y = min(half_y, y - low[1], high[1] - y)
        if min(half_x, half_y) > 0.35 and len(self.space.outline) == 4:
            width, depth = (2 * half_y, 2 * half_x) if turned else (2 * half_x, 2 * half_y)
            self.space.put(decor.rug(self.looks, self.rng, width, depth, self._name("rug")), x, y, 0.0, yaw)

    def _table_set(
        self, x: float, y: float, yaw: float, longest: float, most: int, gap: float = 0.3
    ) -> Placed | None:
        """A dining table with chairs around it."""
        table = tables.dining_table(self.looks, self.rng, longest)
        if not self.space.place(table, x, y, yaw, gap):
            return None
        base = self.space.placed[-1]
        state = self.rng.bit_generator.state  # all chairs of a set look the same
        along = max(1, int((table.width - 0.1) // 0.6))
        spots = [((k - (along - 1) / 2) * 0.62, s) for s in (-1, 1) for k in range(along)]
        ends = [(s, 0) for s in (-1, 1)] if table.width > 1.15 or table.width == table.depth else []
        placed = 0
        for px, side in [*spots, *ends]:
            chair = seats.chair(self.looks, _copy(state))
            out = chair.depth / 2 - 0.12 + (0.15 if (placed * 7) % 3 == 0 else 0.02)
            if side:  # the seat points at the table: its front is -y
                fine = self._beside(base, chair, px, side * (table.depth / 2 + out), 0.0 if side > 0 else math.pi, True)
            else:
                turn = -math.pi / 2 if px > 0 else math.pi / 2
                fine = self._beside(base, chair, px * (table.width / 2 + out), 0.0, turn, True)
            placed += fine
            if placed >= most:
                break
        for _ in range(3 * (placed == 0)):  # no room around it: at least a seat beside it
            self.space.along_wall(seats.chair(self.looks, _copy(state)), self.rng)
        return base

    # -- rooms ---------------------------------------------------------------------------------------------------------

    def _living_room(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        stand = tables.television_stand(looks, rng, 0.75 * max(side.length for side in space.sides))
        base = space.along_wall(stand, rng, self._by_length(), 0.02, corner=0.0)
        if base is not None:
            self._top(base, tables.television(looks, rng, stand.width * 0.85), 0.0, 0.03)
            self._sitting_group(base)
        else:
            self._sofa_at_wall()
        space.keep_open(_OPEN)
        if "dining room" not in self.has and space.area > 21:
            self._dining_corner()
        options = [
            lambda: tables.bookshelf(looks, rng), lambda: tables.cabinet(looks, rng), lambda: tables.piano(looks, rng),
            lambda: tables.bookshelf(looks, rng), lambda: tables.cabinet(looks, rng, low=True),
        ]
        for k in rng.permutation(5)[: int(rng.integers(2, 5))]:
            piece = options[k]()
            spot = space.along_wall(piece, rng, corner=0.5)
            if spot is not None and piece.category == "piano":
                self._beside(spot, seats.stool(looks, rng), 0.0, -piece.depth / 2 - 0.2, 0.0)
            elif spot is not None and piece.height < 1.1 and self._chance(0.6):
                thing = decor.potted_plant(looks, rng, True) if self._chance(0.5) else decor.table_lamp(looks, rng)
                self._top(spot, thing, float(rng.uniform(-0.3, 0.3)) * piece.width)
        self._plants(3)
        self._pictures(4)
        self._clock(0.4)
        if self._chance(0.25):
            space.anywhere(decor.toy(looks, rng), rng)
        if self._chance(0.3):
            space.along_wall(decor.basket(looks, rng), rng, corner=0.8)

    def _sitting_group(self, screen: Placed) -> None:
        """Sofa opposite the television, a low table between them on a rug, armchairs at the sides, a lamp."""
        rng, looks, space = self.rng, self.looks, self.space
        low, high = space.outline.min(axis=0), space.outline.max(axis=0)
        depth = float((high - low)[0 if abs(math.sin(screen.yaw)) > 0.7 else 1])
        sofa = seats.sofa(looks, rng, 2.6)
        state = rng.bit_generator.state
        to_wall = depth - screen.piece.depth / 2 - 0.02 - sofa.depth / 2 - 0.02  # sofa's back at the far wall
        distances = [to_wall] if to_wall < 3.7 else []
        distances += [float(rng.uniform(2.3, 3.0)), 2.2]
        done = any(self._beside(screen, sofa, shift, -d, math.pi) for d in distances for shift in (0.0, 0.4, -0.4))
        if not done:
            self._sofa_at_wall()
            return
        base = space.placed[-1]
        table = tables.coffee_table(looks, rng)
        ahead = -(sofa.depth / 2 + 0.38 + table.depth / 2)
        c, s = math.cos(base.yaw), math.sin(base.yaw)
        if self._chance(0.75):
            x, y = base.x - s * (ahead + 0.25), base.y + c * (ahead + 0.25)
            self._rug(x, y, base.yaw, sofa.width + 0.5, 1.7)
        self._beside(base, table, 0.0, ahead, 0.0)
        for side in rng.permutation([-1, 1])[: int(rng.integers(0, 3))]:
            armchair = seats.armchair(looks, _copy(state))
            self._beside(base, armchair, side * (sofa.width / 2 + 0.55), ahead, float(side) * -1.25)
        for side in rng.permutation([-1, 1]):
            if self._beside(base, decor.floor_lamp(looks, rng), side * (sofa.width / 2 + 0.26), 0.18, 0.0):
                break

    def _sofa_at_wall(self) -> None:
        for longest in (2.0, 1.5, 1.3):
            sofa = seats.sofa(self.looks, self.rng, longest)
            if self.space.along_wall(sofa, self.rng, self._by_length(), corner=0.4) is not None:
                return
        for _ in range(2):
            self.space.along_wall(seats.armchair(self.looks, self.rng), self.rng, corner=0.8)

    def _dining_corner(self) -> None:
        low, high = self.space.outline.min(axis=0) + 1.1, self.space.outline.max(axis=0) - 1.1
        for _ in range(14):
            x, y = (float(v) for v in self.rng.uniform(low, high))
            yaw = float(self.rng.choice([0.0, math.pi / 2]))
            if self._table_set(x, y, yaw, 1.5, 6) is not None:
                return

    def _dining_room(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        low, high = space.outline.min(axis=0), space.outline.max(axis=0)
        x, y = (float(v) for v in (low + high) / 2)
        yaw = 0.0 if (high - low).argmax() == 0 else math.pi / 2
        rugged = self._chance(0.4)
        if rugged:
            self._rug(x, y, yaw, 2.6, 2.0)
        longest = max(0.9, float((high - low).max()) - 2.2)
        shifts = [(0.0, 0.0), *((float(a), float(b)) for a, b in rng.uniform(-0.6, 0.6, (8, 2)))]
        for dx, dy in shifts:
            if self._table_set(x + dx, y + dy, yaw, longest, 8, 0.3) is not None:
                break
        else:
            for dx, dy in rng.uniform(low - (x, y) + 0.5, high - (x, y) - 0.5, (20, 2)):
                if self._table_set(x + float(dx), y + float(dy), yaw, 1.1, 6, 0.05) is not None:
                    break
        space.keep_open(_OPEN)
        for _ in range(int(rng.integers(1, 3))):
            spot = space.along_wall(tables.cabinet(looks, rng), rng, self._by_length(), corner=0.3)
            if spot is not None and spot.piece.height < 1.1:
                self._top(spot, decor.potted_plant(looks, rng, True))
        if self._chance(0.4):
            space.along_wall(tables.bookshelf(looks, rng), rng)
        self._plants(2)
        self._pictures(4)
        self._clock(0.5)

    def _kitchen(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        fit_kitchen(space, looks, rng)
        space.keep_open(_OPEN)
        if space.area > 9 and ("dining room" not in self.has or self._chance(0.4)):
            low, high = space.outline.min(axis=0) + 0.8, space.outline.max(axis=0) - 0.8
            if (high > low).all():
                for _ in range(14):
                    x, y = (float(v) for v in rng.uniform(low, high))
                    if self._table_set(x, y, float(rng.choice([0.0, math.pi / 2])), 1.2, 4) is not None:
                        break
        if self._chance(0.8):
            space.along_wall(decor.bin_(looks, rng), rng, corner=0.8)
        if self._chance(0.25):
            space.along_wall(seats.stool(looks, rng, 0.65), rng)
        self._clock(0.6)
        self._plants(1)
        self._pictures(1)

    def _bedroom(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        width = float(rng.choice([1.4, 1.6, 1.8])) if space.area > 10.5 else float(rng.choice([0.9, 1.2, 1.4]))
        bed = self._bed(width)
        self._wardrobe(2.2)
        if bed is not None:
            state = rng.bit_generator.state
            for side in (-1, 1):
                stand = tables.nightstand(looks, _copy(state))
                x = side * (bed.piece.width / 2 + stand.width / 2 + 0.04)
                y = bed.piece.depth / 2 - stand.depth / 2 - 0.01
                if self._beside(bed, stand, x, y, 0.0) and self._chance(0.75):
                    self._top(space.placed[-1], decor.table_lamp(looks, _copy(state)))
            if self._chance(0.6):
                c, s = math.cos(bed.yaw), math.sin(bed.yaw)
                self._rug(bed.x + s * 0.7, bed.y - c * 0.7, bed.yaw, bed.piece.width + 1.0, 1.6)
        space.keep_open(_OPEN)
        if self._chance(0.7):
            spot = space.along_wall(tables.dresser(looks, rng), rng)
            if spot is not None and self._chance(0.5):
                self._top(spot, decor.table_lamp(looks, rng), 0.25)
        if self._chance(0.35):
            self._desk()
        if self._chance(0.4):
            space.along_wall(seats.armchair(looks, rng), rng, corner=0.8)
        if self._chance(0.35):
            space.along_wall(decor.basket(looks, rng), rng, corner=0.9)
        if self._chance(0.35):
            space.hang(decor.mirror(looks, rng, True), rng, 0.25)
        if self._chance(0.3):
            space.along_wall(decor.shoes(looks, rng), rng)
        self._pictures(3)
        self._plants(1)

    def _bed(self, width: float) -> Placed | None:
        space, rng = self.space, self.rng
        for wide in (width, 0.9):
            piece = seats.bed(self.looks, rng, wide)
            blank = [k for k in self._by_length() if not any(o.kind == "window" for *_, o in space.sides[k].holes)]
            order = blank + [k for k in self._by_length() if k not in blank]
            base = space.along_wall(piece, rng, order, corner=0.15 if wide > 1.0 else 0.8)
            if base is not None:
                return base
        return None

    def _wardrobe(self, widest: float) -> None:
        for longest in (widest, 1.3, 0.95):
            piece = tables.wardrobe(self.looks, self.rng, longest)
            if self.space.along_wall(piece, self.rng, self._by_length(), corner=0.95) is not None:
                return

    def _childrens_room(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        for _ in range(2 if space.area > 12 and self._chance(0.5) else 1):
            self._bed(0.9)
        self._desk()
        self._wardrobe(1.5)
        space.keep_open(_OPEN)
        low, high = space.outline.min(axis=0), space.outline.max(axis=0)
        x, y = (float(v) for v in (low + high) / 2)
        if self._chance(0.8):
            self._rug(x, y, float(rng.choice([0.0, math.pi / 2])), 1.7, 1.3)
        space.along_wall(tables.bookshelf(looks, rng, 1.0), rng)
        for _ in range(int(rng.integers(2, 6))):
            space.anywhere(decor.toy(looks, rng), rng)
        if self._chance(0.5):
            space.along_wall(decor.basket(looks, rng), rng)
        if self._chance(0.4):
            space.along_wall(decor.box(looks, rng), rng)
        if self._chance(0.3):
            space.along_wall(seats.stool(looks, rng), rng)
        self._pictures(4)

    def _desk(self) -> Placed | None:
        """A desk with something to sit on and something to work with."""
        rng, looks = self.rng, self.looks
        desk = tables.desk(looks, rng)
        base = self.space.along_wall(desk, rng, corner=0.5)
        if base is None:
            return None
        seat = seats.office_chair(looks, rng) if self._chance(0.65) else seats.chair(looks, rng)
        x, turn = float(rng.uniform(-0.1, 0.1)), float(rng.uniform(2.5, 3.6))
        self._beside(base, seat, x, -desk.depth / 2 - 0.16, turn, under=True)
        self._top(base, decor.laptop(looks, rng), float(rng.uniform(-0.15, 0.15)), -0.05, float(rng.uniform(-0.2, 0.2)))
        if self._chance(0.6):
            self._top(base, decor.table_lamp(looks, rng), desk.width * 0.36, 0.12)
        return base

    def _study(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        self._desk()
        space.keep_open(_OPEN)
        for _ in range(int(rng.integers(1, 4))):
            space.along_wall(tables.bookshelf(looks, rng), rng, self._by_length(), corner=0.7)
        if self._chance(0.5):
            seat = seats.armchair(looks, rng) if self._chance(0.6) else seats.sofa(looks, rng, 1.6)
            space.along_wall(seat, rng, corner=0.7)
        if self._chance(0.5):
            space.along_wall(decor.floor_lamp(looks, rng), rng, corner=0.95)
        if self._chance(0.5):
            space.along_wall(tables.cabinet(looks, rng, 1.2), rng)
        if self._chance(0.6):
            space.along_wall(decor.bin_(looks, rng), rng, corner=0.6)
        if self._chance(0.6):
            low, high = space.outline.min(axis=0), space.outline.max(axis=0)
            x, y = (float(v) for v in (low + high) / 2)
            self._rug(x, y, 0.0, 2.0, 1.4)
        if self._chance(0.3):
            space.along_wall(decor.box(looks, rng), rng)
        self._plants(2)
        self._pictures(3)
        self._clock(0.4)

    def _bathroom(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        if space.area > 4.6 and self._chance(0.65):
            space.along_wall(wet.bathtub(looks, rng, 1.75), rng, self._by_length()[::-1], corner=1.0)
        else:
            self._shower()
        if space.area > 7.5 and self._chance(0.6):
            self._shower()
        self._basin()
        if "toilet" not in self.has or self._chance(0.6):
            space.along_wall(wet.toilet(looks, rng), rng, corner=0.4, gap=0.05)
        space.keep_open(_OPEN)
        if "laundry room" not in self.has and self._chance(0.6):
            space.along_wall(wet.dishwasher_or_washer(looks, rng), rng, corner=0.9)
        if self._chance(0.7):
            space.along_wall(decor.basket(looks, rng), rng, corner=0.9)
        if self._chance(0.5):
            space.along_wall(decor.bin_(looks, rng), rng, corner=0.7)
        if self._chance(0.4):
            space.along_wall(tables.cabinet(looks, rng, 0.8), rng, corner=0.8)
        space.hang(decor.towel(looks, rng), rng, 0.85)
        if self._chance(0.4):
            space.along_wall(seats.stool(looks, rng), rng)
        self._rug_in_front("sink")

    def _rug_in_front(self, category: str) -> None:
        for base in [p for p in self.space.placed if p.piece.category == category][:1]:
            ahead = base.piece.depth / 2 + 0.35
            x, y = base.x + math.sin(base.yaw) * ahead, base.y - math.cos(base.yaw) * ahead
            self._rug(x, y, base.yaw, 0.8, 0.5)

    def _shower(self) -> None:
        """In a corner: the wall at +y and the one at -x of the piece."""
        piece = wet.shower(self.looks, self.rng)
        space = self.space
        for side in self.rng.permutation(len(space.sides)):
            gaps = space.gaps(side, 0.0, 2.1)
            # Facing a wall from the room, its end lies to the right, so -x is towards the wall's end.
            if gaps and abs(gaps[-1][1] - space.sides[side].length) < 1e-6:
                at = gaps[-1][1] - piece.width / 2 - 0.01
                if gaps[-1][1] - gaps[-1][0] > piece.width and space.at_wall(piece, int(side), at):
                    return

    def _basin(self, small: bool = False) -> None:
        piece = wet.wash_basin(self.looks, self.rng, small)
        base = self.space.along_wall(piece, self.rng, corner=0.3, gap=0.0 if small else 0.03)
        if base is None:
            return
        piece = decor.mirror(self.looks, self.rng)
        for k, side in enumerate(self.space.sides):
            offset = np.array([base.x, base.y]) - side.start
            if abs(float(offset @ side.inward) - base.piece.depth / 2 - 0.02) < 0.01:
                self.space.hang(piece, self.rng, 1.1, [k], float(offset @ side.along))

    def _toilet(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        space.along_wall(wet.toilet(looks, rng), rng, self._by_length()[::-1], corner=0.0)
        self._basin(small=True)
        if self._chance(0.5):
            space.along_wall(decor.bin_(looks, rng), rng, corner=0.9)
        self._pictures(1)

    def _laundry(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        space.along_wall(wet.dishwasher_or_washer(looks, rng), rng, corner=0.8)
        if self._chance(0.6):
            space.along_wall(wet.wash_basin(looks, rng), rng)
        for _ in range(int(rng.integers(1, 3))):
            space.along_wall(decor.basket(looks, rng), rng, corner=0.6)
        space.along_wall(tables.cabinet(looks, rng, 1.0), rng, corner=0.8)
        if self._chance(0.5):
            space.along_wall(decor.box(looks, rng), rng)

    def _storage(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        space.along_wall(tables.bookshelf(looks, rng), rng, self._by_length(), corner=0.8)
        space.along_wall(tables.cabinet(looks, rng, 1.0), rng, corner=0.8)
        for _ in range(int(rng.integers(2, 6))):
            spot = space.along_wall(decor.box(looks, rng), rng, corner=0.6)
            if spot is not None and self._chance(0.4):
                self._top(spot, decor.box(looks, rng), turn=0.3)
        if self._chance(0.5):
            space.along_wall(decor.basket(looks, rng), rng)

    def _corridor(self) -> None:
        rng, looks, space = self.rng, self.looks, self.space
        if self._chance(0.7):
            space.along_wall(decor.coat_rack(looks, rng), rng, corner=0.95)
        if self._chance(0.6):
            spot = space.along_wall(tables.cabinet(looks, rng, 1.0, low=True), rng, self._by_length(), corner=0.3)
            if spot is not None and self._chance(0.6):
                self._top(spot, decor.table_lamp(looks, rng), 0.25)
        if self._chance(0.4):
            space.along_wall(seats.bench(looks, rng), rng, self._by_length())
        for _ in range(int(rng.integers(0, 4))):
            space.along_wall(decor.shoes(looks, rng), rng, corner=0.4)
        if self._chance(0.6):
            space.hang(decor.mirror(looks, rng, self._chance(0.5)), rng, 0.9 if self._chance(0.3) else 0.35)
        self._pictures(4)
        self._plants(1)
        self._clock(0.25)
        if len(space.outline) == 4 and self._chance(0.5):
            low, high = space.outline.min(axis=0), space.outline.max(axis=0)
            x, y = (float(v) for v in (low + high) / 2)
            size = high - low
            yaw = 0.0 if size.argmax() == 0 else math.pi / 2
            self._rug(x, y, yaw, float(size.max()) * 0.6, min(0.8, float(size.min()) * 0.65))


def _copy(state: Mapping[str, Any]) -> np.random.Generator:
    """A generator that starts from a remembered state, so that things of a set come out alike."""
    generator = np.random.default_rng(0)
    generator.bit_generator.state = state
    return generator

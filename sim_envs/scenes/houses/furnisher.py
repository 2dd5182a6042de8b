"""Furnishes one room: what rooms of all kinds have in common, and groups of furniture that several kinds use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sim_envs.scenes.houses import furniture_decor as decor
from sim_envs.scenes.houses import furniture_seats as seats
from sim_envs.scenes.houses import furniture_tables as tables
from sim_envs.scenes.houses.furniture import Piece
from sim_envs.scenes.houses.looks import Looks
from sim_envs.scenes.houses.room_space import Placed, RoomSpace

OPEN_SHARE = 0.33  # share of a room's drivable floor that things which are merely nice to have must leave


class Furnisher:
    """Furnishes one room."""

    def __init__(self, looks: Looks, space: RoomSpace, rng: np.random.Generator, has: set[str]) -> None:
        self.looks, self.space, self.rng, self.has = looks, space, rng, has
        self._names = 0

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def name(self, what: str) -> str:
        self._names += 1
        return f"{what} {self.space.room}.{self._names}"

    def top(self, base: Placed, piece: Piece, x: float = 0.0, y: float = 0.0, turn: float = 0.0) -> None:
        """Put a piece on top of another one, x, y in the other's frame."""
        c, s = math.cos(base.yaw), math.sin(base.yaw)
        height = base.piece.height
        self.space.put(piece, base.x + c * x - s * y, base.y + s * x + c * y, height, base.yaw + turn)

    def beside(self, base: Placed, piece: Piece, x: float, y: float, turn: float, under: bool = False) -> bool:
        """Stand a piece on the floor at x, y in another one's frame, perhaps partly under that one."""
        c, s = math.cos(base.yaw), math.sin(base.yaw)
        return self.space.place(piece, base.x + c * x - s * y, base.y + s * x + c * y, base.yaw + turn,
                                over=base if under else None)

    def by_length(self) -> list[int]:
        lengths = [max((b - a for a, b in self.space.gaps(k, 0.0, 1.0)), default=0.0)
                   for k in range(len(self.space.sides))]
        return sorted(range(len(lengths)), key=lambda k: -lengths[k])

    def windows(self) -> None:
        """Radiators under windows and curtains beside them."""
        wet_room = self.space.category in ("bathroom", "toilet", "laundry room", "kitchen", "corridor", "storage room")
        state = self.rng.bit_generator.state
        curtains, heated = self.chance(0.75) and not wet_room, self.chance(0.8)
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
                    piece = decor.curtain(self.looks, alike(state), width, top, bottom)
                    if middle - piece.width / 2 > -0.1 and middle + piece.width / 2 < side.length + 0.1:
                        x, y, yaw = self.space.on_wall(k, middle, 0.09)
                        self.space.put(piece, x, y, 0.0, yaw)

    def ceiling(self, style: int) -> None:
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

    def pictures(self, most: int) -> None:
        for _ in range(int(self.rng.integers(0, most + 1))):
            piece = decor.picture(self.looks, self.rng, self.name("picture"))
            self.space.hang(piece, self.rng, float(self.rng.uniform(1.62, 1.75)) - piece.height / 2)

    def clock(self, share: float) -> None:
        if self.chance(share):
            self.space.hang(decor.clock(self.looks, self.rng, self.name("clock")), self.rng, 1.7)

    def plants(self, most: int) -> None:
        for _ in range(int(self.rng.integers(0, most + 1))):
            self.space.along_wall(decor.potted_plant(self.looks, self.rng), self.rng, corner=0.95)

    def rug(self, x: float, y: float, yaw: float, width: float, depth: float) -> None:
        """A rug around a point, cut to the room."""
        low, high = self.space.outline.min(axis=0) + 0.15, self.space.outline.max(axis=0) - 0.15
        turned = abs(math.sin(yaw)) > 0.7
        half_x, half_y = (depth / 2, width / 2) if turned else (width / 2, depth / 2)
        half_x = min(half_x, x - low[0], high[0] - x)
        half_y = min(half_y, y - low[1], high[1] - y)
        if min(half_x, half_y) > 0.35 and len(self.space.outline) == 4:
            width, depth = (2 * half_y, 2 * half_x) if turned else (2 * half_x, 2 * half_y)
            self.space.put(decor.rug(self.looks, self.rng, width, depth, self.name("rug")), x, y, 0.0, yaw)

    def table_set(
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
            chair = seats.chair(self.looks, alike(state))
            out = chair.depth / 2 - 0.12 + (0.15 if (placed * 7) % 3 == 0 else 0.02)
            if side:  # the seat points at the table: its front is -y
                fine = self.beside(base, chair, px, side * (table.depth / 2 + out), 0.0 if side > 0 else math.pi, True)
            else:
                turn = -math.pi / 2 if px > 0 else math.pi / 2
                fine = self.beside(base, chair, px * (table.width / 2 + out), 0.0, turn, True)
            placed += fine
            if placed >= most:
                break
        for _ in range(3 * (placed == 0)):  # no room around it: at least a seat beside it
            self.space.along_wall(seats.chair(self.looks, alike(state)), self.rng)
        return base


def alike(state: Mapping[str, Any]) -> np.random.Generator:
    """A generator that starts from a remembered state, so that things of a set come out alike."""
    generator = np.random.default_rng(0)
    generator.bit_generator.state = state
    return generator

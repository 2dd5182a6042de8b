"""The free space of one room while it is being furnished: what fits where, and whether a robot still gets through."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sim_envs.scenes.houses.furniture import Piece
from sim_envs.scenes.houses.plan import HousePlan, Opening
from sim_envs.scenes.houses.shell import DoorLeaf, WallSide

CELL = 0.05  # m
_MARGIN = 0.8  # m of doorway seen beyond the room's walls
ROBOT_RADIUS = 0.37  # m, that shall pass between all doors of a room; a cell's rounding above the largest robot's
_OFF_WALL = 0.02  # m, behind furniture, for the skirting


@dataclass(frozen=True)
class Placed:
    piece: Piece
    room: int
    x: float
    y: float
    z: float
    yaw: float


class RoomSpace:
    """Masks over a grid of 5 cm cells, [rows (y), columns (x)] uint8, 1 = yes."""

    def __init__(
        self, plan: HousePlan, room: int, sides: list[WallSide], leaves: list[DoorLeaf]
    ) -> None:
        self.room, self.category = room, plan.rooms[room].category
        self.outline, self.sides, self.height = plan.rooms[room].outline, sides, plan.height
        self.area = plan.rooms[room].area
        self.placed: list[Placed] = []
        self._wall_use: list[list[tuple[float, float, float, float]]] = [[] for _ in sides]  # low, high, bottom, top
        self._origin = self.outline.min(axis=0) - _MARGIN
        size = np.ceil((self.outline.max(axis=0) + _MARGIN - self._origin) / CELL).astype(int)
        shape = (int(size[1]), int(size[0]))
        self._inside = np.zeros(shape, np.uint8)
        self._fill(self._inside, self.outline, 1)
        self._solid = 1 - self._inside  # what a robot cannot pass
        self._kept = np.zeros(shape, np.uint8)  # where furniture must not stand
        self._doors = [o for o in plan.doorways if room in o.rooms]
        for opening in self._doors:
            self._fill(self._solid, self._across(opening, opening.width, _MARGIN, 0.2), 0)
            self._fill(self._kept, self._across(opening, opening.width + 0.1, 0.5, 0.85), 1)
        for opening in plan.openings:
            if opening.kind == "front door" and opening.rooms[0] == room:
                self._fill(self._kept, self._across(opening, opening.width, 0.3, 0.9), 1)
        for leaf in leaves:
            if leaf.room == room:
                self._hang(leaf)
        self._taken = np.zeros(shape, np.uint8)
        self._radius = ROBOT_RADIUS
        self._roomy = 0.0
        while not self._passable() and self._radius > 0.2:
            self._radius -= 0.03
        self._empty = self._reach()
        self.keep_open(0.2)

    # -- geometry ------------------------------------------------------------------------------------------------------

    def _fill(self, mask: np.ndarray, polygon: np.ndarray, value: int) -> None:
        points = np.round((polygon - self._origin) / CELL * 16 - 8).astype(np.int32)
        cv2.fillPoly(mask, [points], value, cv2.LINE_8, 4)

    def _across(self, opening: Opening, width: float, outwards: float, inwards: float) -> np.ndarray:
        """A rectangle through an opening, reaching from outside this room into it."""
        yaw = opening.yaw + (math.pi if opening.rooms[0] == self.room else 0.0)  # into the room
        along, side = np.array([math.cos(yaw), math.sin(yaw)]), np.array([-math.sin(yaw), math.cos(yaw)]) * width / 2
        near, far = opening.centre - along * outwards, opening.centre + along * inwards
        return np.stack([near - side, far - side, far + side, near + side])

    def _hang(self, leaf: DoorLeaf) -> None:
        along = np.array([math.cos(leaf.yaw), math.sin(leaf.yaw)]) * (leaf.opening.width + 0.02)
        side = np.array([-math.sin(leaf.yaw), math.cos(leaf.yaw)]) * 0.08
        corners = np.stack([leaf.hinge - side, leaf.hinge + along - side, leaf.hinge + along + side, leaf.hinge + side])
        self._fill(self._solid, corners, 1)
        self._fill(self._kept, corners, 1)
        middle = leaf.hinge + along / 2
        for k, side_ in enumerate(self.sides):  # nothing is hung behind it
            offset = middle - side_.start
            if abs(float(offset @ side_.inward)) < 0.3:
                at, half = float(offset @ side_.along), leaf.opening.width / 2 + 0.1
                self._wall_use[k].append((at - half, at + half, 0.0, 2.1))

    def _rectangle(self, piece: Piece, x: float, y: float, yaw: float) -> np.ndarray:
        w, d = piece.width / 2, piece.depth / 2
        corners = np.array([[-w, -d], [w, -d], [w, d], [-w, d]])
        c, s = math.cos(yaw), math.sin(yaw)
        return corners @ np.array([[c, s], [-s, c]]) + (x, y)

    def _cells(self, piece: Piece, x: float, y: float, yaw: float, gap: float) -> np.ndarray:
        """Mask [rows, columns] bool of the cells whose middle lies under a piece grown by `gap`."""
        rows, columns = self._solid.shape
        dx = (np.arange(columns) + 0.5) * CELL + self._origin[0] - x
        dy = ((np.arange(rows) + 0.5) * CELL + self._origin[1] - y)[:, None]
        c, s = math.cos(yaw), math.sin(yaw)
        along, across = c * dx + s * dy, c * dy - s * dx
        return (np.abs(along) < piece.width / 2 + gap) & (np.abs(across) < piece.depth / 2 + gap)

    # -- passing through -----------------------------------------------------------------------------------------------

    def _labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Islands of where a robot's centre may be, and those at the doors."""
        # A cell is CELL wide, so the border of a solid cell is half a cell nearer than its middle.
        free = (cv2.distanceTransform(1 - self._solid, cv2.DIST_L2, 5) - 0.5) * CELL > self._radius
        labels = cv2.connectedComponents(free.astype(np.uint8), connectivity=4)[1]
        cells = np.array([(o.centre - self._origin) / CELL for o in self._doors]).astype(int).reshape(-1, 2)
        return labels, labels[cells[:, 1], cells[:, 0]]

    def _passable(self) -> bool:
        _, at_doors = self._labels()
        return bool((at_doors > 0).all() and (at_doors == at_doors[:1]).all())

    def _reach(self) -> float:
        """m^2 of the room where a robot that came through the doors may be."""
        labels, at_doors = self._labels()
        if len(at_doors) == 0 or at_doors.min() == 0 or (at_doors != at_doors[0]).any():
            return 0.0
        return float(((labels == at_doors[0]) & (self._inside > 0)).sum()) * CELL**2

    def keep_open(self, share: float) -> None:
        """How much of what a robot reaches in the empty room has to stay in its reach."""
        self._roomy = share * self._empty

    # -- placing -------------------------------------------------------------------------------------------------------

    def fits(
        self, piece: Piece, x: float, y: float, yaw: float, gap: float = 0.0, over: Placed | None = None
    ) -> bool:
        """Whether the floor under a piece is inside the room, free (but for `over`) and not kept for doors."""
        mask = self._cells(piece, x, y, yaw, gap - 0.01)
        taken = self._taken
        if over is not None:
            taken = taken & ~self._cells(over.piece, over.x, over.y, over.yaw, 0.0)
        blocked = (taken | self._kept | (1 - self._inside)).astype(bool)
        return bool(mask.any()) and not bool((mask & blocked).any())

    def place(
        self, piece: Piece, x: float, y: float, yaw: float, gap: float = 0.0, over: Placed | None = None
    ) -> bool:
        """Stand a piece on the floor if it fits and robots still get through. `over`: it may overlap that one."""
        if not self.fits(piece, x, y, yaw, gap, over):
            return False
        before = self._solid.copy()
        self._fill(self._solid, self._rectangle(piece, x, y, yaw), 1)
        if self._reach() < self._roomy:
            self._solid = before
            return False
        self._taken |= self._cells(piece, x, y, yaw, 0.0).astype(np.uint8)
        self.placed.append(Placed(piece, self.room, x, y, 0.0, yaw))
        return True

    def put(self, piece: Piece, x: float, y: float, z: float, yaw: float) -> None:
        """Add a piece that takes no floor: on a table, on a wall, under the ceiling, or flat."""
        self.placed.append(Placed(piece, self.room, x, y, z, yaw))

    def on_wall(self, side: int, at: float, depth: float) -> tuple[float, float, float]:
        """x, y, yaw of a piece of this depth with its back to wall `side`, its middle `at` m from the wall's start."""
        wall = self.sides[side]
        middle = wall.start + wall.along * at + wall.inward * (depth / 2 + _OFF_WALL)
        return float(middle[0]), float(middle[1]), math.atan2(wall.inward[0], -wall.inward[1])

    def gaps(self, side: int, bottom: float, top: float, slack: float = 0.06) -> list[tuple[float, float]]:
        """Stretches of a wall that are free between two heights."""
        wall = self.sides[side]
        used = [(low - slack, high + slack) for low, high, o in wall.holes if o.bottom < top and o.top > bottom]
        used += [(low, high) for low, high, b, t in self._wall_use[side] if b < top and t > bottom]
        free, at = [], 0.0
        for low, high in [*sorted(used), (wall.length, wall.length)]:
            if low > at:
                free.append((at, low))
            at = max(at, high)
        return free

    def use_wall(self, side: int, low: float, high: float, bottom: float, top: float) -> None:
        self._wall_use[side].append((low, high, bottom, top))

    def along_wall(
        self, piece: Piece, rng: np.random.Generator, sides: list[int] | None = None, gap: float = 0.0,
        corner: float = 0.5,
    ) -> Placed | None:
        """Stand a piece with its back to some wall; with chance `corner` in a corner rather than anywhere."""
        order = list(rng.permutation(len(self.sides))) if sides is None else sides
        for side in order:
            for low, high in sorted(self.gaps(side, 0.0, piece.height), key=lambda g: g[0] - g[1]):
                room = high - low - piece.width
                if room < 0:
                    continue
                anywhere = float(rng.random())
                spots = (0.0, 1.0, anywhere, 0.5) if rng.random() < corner else (0.5, anywhere, 0.0, 1.0)
                for share in spots:
                    at = low + piece.width / 2 + room * share
                    if self.at_wall(piece, side, at, gap):
                        return self.placed[-1]
        return None

    def at_wall(self, piece: Piece, side: int, at: float, gap: float = 0.0) -> bool:
        x, y, yaw = self.on_wall(side, at, piece.depth)
        if not self.place(piece, x, y, yaw, gap):
            return False
        self.use_wall(side, at - piece.width / 2, at + piece.width / 2, 0.0, piece.height)
        return True

    def hang(
        self, piece: Piece, rng: np.random.Generator, z: float, sides: list[int] | None = None, at: float | None = None
    ) -> bool:
        """Hang a piece on a wall with its lower edge at z, at a place or anywhere free."""
        order = list(rng.permutation(len(self.sides))) if sides is None else sides
        for side in order:
            for low, high in self.gaps(side, z - 0.05, z + piece.height + 0.05):
                room = high - low - piece.width - 0.1
                if room < 0:
                    continue
                middle = low + 0.05 + piece.width / 2 + room * rng.uniform(0.3, 0.7) if at is None else at
                if not low + piece.width / 2 <= middle <= high - piece.width / 2:
                    continue
                wall = self.sides[side]
                point = wall.start + wall.along * middle + wall.inward * (piece.depth / 2 + 0.004)
                self.put(piece, float(point[0]), float(point[1]), z, math.atan2(wall.inward[0], -wall.inward[1]))
                half = piece.width / 2 + 0.08
                self.use_wall(side, middle - half, middle + half, z, z + piece.height)
                return True
        return False

    def anywhere(self, piece: Piece, rng: np.random.Generator, tries: int = 12, turn: bool = True) -> bool:
        """Stand a piece somewhere on the free floor, near the walls rather than in the middle."""
        low, high = self.outline.min(axis=0), self.outline.max(axis=0)
        for _ in range(tries):
            share = rng.beta(0.5, 0.5, 2)
            x, y = low + (high - low - 0.5) * share + 0.25
            if self.place(piece, float(x), float(y), float(rng.uniform(0, 2 * math.pi)) if turn else 0.0, 0.04):
                return True
        return False

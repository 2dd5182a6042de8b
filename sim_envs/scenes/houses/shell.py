"""The shell of a house: floors, ceilings, walls with their openings, skirting, doors and windows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.houses.looks import Looks
from sim_envs.scenes.houses.plan import HousePlan, Opening, PlanRoom

LINING = 0.025  # m, thickness of the boards inside a door hole
_CELL = 0.5  # m, of tessellated surfaces


@dataclass(frozen=True)
class WallSide:
    """One inner face of a room's walls, from start to end with the room on its left."""

    start: np.ndarray  # [2]
    end: np.ndarray  # [2]
    holes: tuple[tuple[float, float, Opening], ...]  # m from start where each hole begins and ends, sorted

    @property
    def length(self) -> float:
        return float(np.abs(self.end - self.start).sum())

    @property
    def along(self) -> np.ndarray:
        return (self.end - self.start) / self.length

    @property
    def inward(self) -> np.ndarray:
        x, y = self.along
        return np.array([-y, x])


def wall_sides(plan: HousePlan, room: int) -> list[WallSide]:
    outline = plan.rooms[room].outline
    sides = []
    for start, end in zip(outline, np.roll(outline, -1, axis=0)):
        bare = WallSide(start, end, ())
        holes = []
        for opening in plan.openings:
            offset = opening.centre - start
            depth = float(offset @ bare.inward)
            middle = float(offset @ bare.along)
            if room in opening.rooms and abs(depth + plan.wall / 2) < 0.02 and 0 < middle < bare.length:
                half = opening.width / 2 + (LINING if opening.kind in ("door", "front door") else 0.0)
                holes.append((middle - half, middle + half, opening))
        sides.append(WallSide(start, end, tuple(sorted(holes, key=lambda hole: hole[0]))))
    return sides


def rectangles(outline: np.ndarray) -> Iterator[tuple[float, float, float, float]]:
    """A rectilinear polygon [K, 2] as rectangles x0, y0, x1, y1."""
    xs, ys = np.unique(outline[:, 0]), np.unique(outline[:, 1])
    for x0, x1 in itertools.pairwise(xs):
        for y0, y1 in itertools.pairwise(ys):
            if inside(outline, (x0 + x1) / 2, (y0 + y1) / 2):
                yield float(x0), float(y0), float(x1), float(y1)


def inside(outline: np.ndarray, x: float, y: float) -> bool:
    """Whether a point lies in a simple polygon [K, 2]."""
    px, py = outline[:, 0], outline[:, 1]
    qx, qy = np.roll(px, -1), np.roll(py, -1)
    crosses = (py > y) != (qy > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = px + (y - py) / (qy - py) * (qx - px)
    return bool((crosses & (x < at)).sum() % 2)


def build_shell(plan: HousePlan, looks: Looks, rng: np.random.Generator) -> list[list[WallSide]]:
    """Everything that does not move. Returns the wall sides of every room, for the furniture."""
    builder = looks.builder
    floors = [looks.floor(k, room.category, rng) for k, room in enumerate(plan.rooms)]
    sides = [wall_sides(plan, k) for k in range(len(plan.rooms))]
    for k, room in enumerate(plan.rooms):
        _floor_and_ceiling(builder, looks, plan, k, room, floors[k])
        main, feature = looks.wall(k, room.category, rng)
        feature_side = int(rng.integers(len(sides[k])))
        for index, side in enumerate(sides[k]):
            with builder.instance("wall", is_object=False, room=k):
                _wall(builder, side, plan.height, feature if index == feature_side else main)
                _skirting(builder, looks, side, room.category)
    trims = _Trims(plan, looks, rng)
    for opening in plan.openings:
        trims.add(opening, floors)
    return sides


def _floor_and_ceiling(
    builder: MeshBuilder, looks: Looks, plan: HousePlan, index: int, room: PlanRoom, floor: int
) -> None:
    turned = np.ptp(room.outline, axis=0).argmax() == 1  # boards run along the longer side
    for x0, y0, x1, y1 in rectangles(room.outline):
        with builder.instance("floor", is_object=False, room=index):
            if turned:
                builder.grid((x1, y0, 0), (0, y1 - y0, 0), (x0 - x1, 0, 0), floor, _CELL, (y0, -x1))
            else:
                builder.grid((x0, y0, 0), (x1 - x0, 0, 0), (0, y1 - y0, 0), floor, _CELL, (x0, y0))
        with builder.instance("ceiling", is_object=False, room=index):
            builder.grid((x0, y1, plan.height), (x1 - x0, 0, 0), (0, y0 - y1, 0), looks.ceiling, _CELL)


def _wall(builder: MeshBuilder, side: WallSide, height: float, material: int) -> None:
    """The plane of one wall side, around its holes. It is drawn from its end, so that its front faces the room."""
    def piece(low: float, high: float, bottom: float, top: float) -> None:
        if high - low > 1e-6 and top - bottom > 1e-6:
            corner = side.start + side.along * high
            u = side.along * (low - high)
            builder.grid((*corner, bottom), (*u, 0.0), (0.0, 0.0, top - bottom), material, _CELL,
                         (side.length - high, bottom))

    at = 0.0
    for low, high, opening in side.holes:
        lining = LINING if opening.kind in ("door", "front door") else 0.0
        piece(at, low, 0.0, height)
        piece(low, high, 0.0, opening.bottom)
        piece(low, high, opening.top + lining, height)
        at = high
    piece(at, side.length, 0.0, height)


def _skirting(builder: MeshBuilder, looks: Looks, side: WallSide, category: str) -> None:
    if category in ("bathroom", "toilet"):
        return
    at, thickness, height = 0.0, 0.012, 0.09
    gaps = [(low - 0.07, high + 0.07) for low, high, opening in side.holes if opening.bottom == 0.0]
    for low, high in [*gaps, (side.length, side.length)]:
        if low - at > 0.05:
            middle = side.start + side.along * (at + low) / 2 + side.inward * thickness / 2
            yaw = math.atan2(side.along[1], side.along[0])
            with builder.at(middle[0], middle[1], 0.0, yaw):
                builder.box(0, 0, 0, low - at, thickness, height, looks.frame)
        at = high


class _Trims:
    """Frames, leaves and thresholds of doors; frames and sills of windows. Local frame of an opening: x along the wall,
    y through it from the first room to the second, origin on the floor in the middle of the wall."""

    def __init__(self, plan: HousePlan, looks: Looks, rng: np.random.Generator) -> None:
        self.plan, self.looks, self.rng, self.builder = plan, looks, rng, looks.builder
        self.leaf = looks.pick(rng, looks.frame, looks.woods[1], looks.white)
        self.panels = int(rng.integers(0, 4))
        self.front = looks.pick(rng, looks.woods, looks.paints)
        self.bars = int(rng.integers(1, 3))
        self.window = looks.pick(rng, looks.white, looks.white, looks.woods[0], looks.dark_metal)

    def add(self, opening: Opening, floors: list[int]) -> None:
        with self.builder.at(opening.centre[0], opening.centre[1], 0.0, opening.yaw - math.pi / 2):
            if opening.kind == "window":
                with self.builder.instance("window", is_object=False, room=opening.rooms[0]):
                    self._window(opening)
                return
            with self.builder.instance("floor", is_object=False, room=opening.rooms[0]):
                half, depth = opening.width / 2 + LINING, self.plan.wall / 2
                reach = depth if opening.kind != "front door" else self.plan.outer_wall - depth
                self.builder.quad([(-half, -depth, 0), (half, -depth, 0), (half, reach, 0), (-half, reach, 0)],
                                  floors[opening.rooms[0]])
            if opening.kind == "front door":
                with self.builder.instance("front door", is_object=False, room=opening.rooms[0]):
                    self._front_door(opening)
            else:
                with self.builder.instance("door", is_object=False, room=opening.rooms[0]):
                    self._frame(opening, self.plan.wall / 2, self.plan.wall / 2)

    def _frame(self, opening: Opening, front: float, back: float) -> None:
        """Lining boards in the hole and flat trim around it on both sides; `front`, `back` m from the wall's middle."""
        b, w, top = self.builder, opening.width / 2, opening.top
        lined = opening.kind != "passage"
        board = LINING if lined else 0.004
        inner = w if lined else w - board
        middle, depth = (back - front) / 2, front + back + (0.002 if lined else 0.0)
        for s in (-1, 1):
            b.box(s * (inner + board / 2), middle, 0, board, depth, top, self.looks.frame)
        b.box(0, middle, top - (0 if lined else board), 2 * w + (2 * board if lined else 0), depth, board,
              self.looks.frame, bottom=True)
        if not lined:
            return
        trim = 0.065
        for y in (-front - 0.006, back + 0.006):
            for s in (-1, 1):
                b.box(s * (w + trim / 2 + 0.012), y, 0, trim, 0.012, top + 0.012, self.looks.frame)
            b.box(0, y, top + 0.012, 2 * w + 2 * trim + 0.024, 0.012, trim, self.looks.frame, bottom=True)

    def _front_door(self, opening: Opening) -> None:
        back = self.plan.outer_wall - self.plan.wall / 2
        self._frame(opening, self.plan.wall / 2, back)
        b, w, top = self.builder, opening.width, opening.top
        b.box(0, 0.02, 0.005, w, 0.05, top - 0.005, self.front)
        for k in range(2):
            b.box(0, -0.012, 0.25 + k * 0.95, w * 0.62, 0.02, 0.72, self.front, taper=0.94, bottom=False)
        b.box(-w / 2 + 0.08, -0.03, 0.98, 0.04, 0.03, 0.2, self.looks.steel)
        b.cylinder(-w / 2 + 0.07, -0.055, 1.05, 0.012, 0.13, self.looks.steel, 8, axis="x")

    def _window(self, opening: Opening) -> None:
        b, w, low, top = self.builder, opening.width, opening.bottom, opening.top
        inner, outer = -self.plan.wall / 2, self.plan.outer_wall - self.plan.wall / 2
        height, middle, depth = top - low, (inner + outer) / 2, outer - inner
        for s in (-1, 1):  # reveals
            x = s * w / 2
            corners = [(x, inner, low), (x, outer, low), (x, outer, top), (x, inner, top)]
            b.quad(corners if s < 0 else [corners[k] for k in (1, 0, 3, 2)], self.looks.ceiling)
        b.quad([(-w / 2, outer, top), (w / 2, outer, top), (w / 2, inner, top), (-w / 2, inner, top)],
               self.looks.ceiling)
        b.box(0, middle + 0.02, low - 0.03, w, depth + 0.06, 0.03, self.looks.white, bottom=True)
        b.box(0, inner - 0.05, low - 0.03, w + 0.12, 0.12, 0.035, self.looks.frame, bottom=True)
        bar, y = 0.055, middle + 0.02
        for s in (-1, 1):
            b.box(s * (w - bar) / 2, y, low, bar, 0.06, height, self.window)
        for z in (low, top - bar):
            b.box(0, y, z, w, 0.06, bar, self.window, bottom=True)
        sashes = max(1, round(w / 0.75))
        for k in range(1, sashes):
            b.box(w * (k / sashes - 0.5), y, low, 0.07, 0.065, height, self.window)
        if self.bars == 2 and height > 0.9:
            b.box(0, y, low + height * 0.68, w, 0.05, 0.04, self.window, bottom=True)


@dataclass(frozen=True)
class DoorLeaf:
    """An open door leaf: where it hangs and the rectangle on plan that it takes."""

    opening: Opening
    room: int
    hinge: np.ndarray  # [2]
    yaw: float  # rad, from the hinge along the leaf


def hang_leaf(
    plan: HousePlan, sides: list[list[WallSide]], opening: Opening, rng: np.random.Generator
) -> DoorLeaf | None:
    """A leaf for a door, open flat against the wall beside it or along the next wall from a corner, or None."""
    for room in rng.permutation(opening.rooms).tolist():
        if plan.rooms[room].category == "corridor":
            continue
        for k, side in enumerate(sides[room]):
            for low, high, hole in side.holes:
                if hole is opening:
                    nexts = sides[room][k - 1], sides[room][(k + 1) % len(sides[room])]
                    leaf = _flat_leaf(side, low, high, opening, room, rng) or _corner_leaf(
                        side, low, high, opening, room, nexts)
                    if leaf is not None:
                        return leaf
    return None


def _flat_leaf(
    side: WallSide, low: float, high: float, opening: Opening, room: int, rng: np.random.Generator
) -> DoorLeaf | None:
    before = low - max([h for _, h, _ in side.holes if h <= low], default=0.0)
    after = min([o for o, _, _ in side.holes if o >= high], default=side.length) - high
    gap, sign, edge = max((before, -1, low), (after, 1, high))
    if gap <= opening.width + 0.1:
        return None
    base = math.atan2(side.along[1], side.along[0]) + (0.0 if sign > 0 else math.pi)
    hinge = side.start + side.along * (edge - sign * LINING) + side.inward * 0.03
    return DoorLeaf(opening, room, hinge, base + sign * math.radians(float(rng.uniform(6, 12))))


def _corner_leaf(
    side: WallSide, low: float, high: float, opening: Opening, room: int, nexts: tuple[WallSide, WallSide]
) -> DoorLeaf | None:
    """At a right angle, where the walls meet and the other one has no doorway that the leaf would cover."""
    reach = opening.width + 0.15
    covered_before = any(h > nexts[0].length - reach and o.bottom == 0.0 for _, h, o in nexts[0].holes)
    covered_after = any(at < reach and o.bottom == 0.0 for at, _, o in nexts[1].holes)
    turn = math.atan2(side.inward[1], side.inward[0])
    if low < 0.35 and not covered_before and nexts[0].along @ side.inward < -0.5:
        return DoorLeaf(opening, room, side.start + side.along * (low - 0.01) + side.inward * 0.02, turn)
    if side.length - high < 0.35 and not covered_after and nexts[1].along @ side.inward > 0.5:
        return DoorLeaf(opening, room, side.start + side.along * (high + 0.01) + side.inward * 0.02, turn)
    return None


def build_leaf(leaf: DoorLeaf, looks: Looks, material: int, panels: int) -> None:
    builder = looks.builder
    width, top = leaf.opening.width - 0.01, leaf.opening.top - 0.012
    with builder.instance("door", is_object=False, room=leaf.room), builder.at(
            leaf.hinge[0], leaf.hinge[1], 0.0, leaf.yaw):
        builder.box(width / 2, 0, 0.006, width, 0.04, top, material)
        for side in (-1, 1):
            for k in range(panels):
                height = (top - 0.15 * (panels + 1)) / panels
                z = 0.15 + k * (height + 0.15)
                builder.box(width / 2, side * 0.02, z, width - 0.26, 0.01, height, material, bottom=False)
            builder.box(width - 0.07, side * 0.024, 0.95, 0.035, 0.01, 0.16, looks.steel)
            builder.cylinder(width - 0.18, side * 0.055, 1.04, 0.011, 0.12, looks.steel, 6, axis="x")

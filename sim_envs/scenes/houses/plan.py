"""Floor plans of houses and flats: which room is what, where walls, doors and windows are. Metres, corner at 0, 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sim_envs.scenes.houses.layout import WALL_MARGIN, Cell, lay_out

OpeningKind = Literal["door", "passage", "front door", "window"]
_ATTEMPTS = 200


@dataclass(frozen=True)
class PlanRoom:
    category: str
    outline: np.ndarray  # [K, 2] float64, counter-clockwise, the inner faces of the walls

    @property
    def area(self) -> float:
        x, y = self.outline[:, 0], self.outline[:, 1]
        return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


@dataclass(frozen=True)
class Opening:
    """A hole in a wall."""

    kind: OpeningKind
    rooms: tuple[int, int]  # second one -1 = outside
    centre: np.ndarray  # [2] middle of the wall
    yaw: float  # rad, direction from rooms[0] through the hole
    width: float  # m, clear
    bottom: float  # m above the floor
    top: float  # m above the floor


@dataclass(frozen=True)
class HousePlan:
    rooms: tuple[PlanRoom, ...]
    openings: tuple[Opening, ...]
    wall: float  # m, thickness of inner walls
    outer_wall: float  # m, from the inner to the outer face
    height: float  # m, of the rooms
    facade: np.ndarray  # [N, 2, 2] start and end of the pieces of the outer face, the house on their left

    @property
    def doorways(self) -> tuple[Opening, ...]:
        return tuple(o for o in self.openings if o.kind in ("door", "passage"))


@dataclass(frozen=True)
class _Contact:
    """Where two cells share a wall, or (second = -1) a cell meets the outside. Whole centimetres."""

    first: int
    second: int
    start: np.ndarray  # [2] along the first cell's counter-clockwise edge
    end: np.ndarray

    @property
    def length(self) -> int:
        return int(np.abs(self.end - self.start).sum())

    @property
    def yaw(self) -> float:
        """Direction out of the first cell."""
        dx, dy = np.sign(self.end - self.start)
        return math.atan2(-dx, dy)


def plan_house(seed: int) -> HousePlan:
    """The floor plan number `seed`; every room can be reached from every other."""
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        cells = lay_out(rng)
        if not _sane(cells):
            continue
        contacts = _contacts(cells)
        categories = _categories(rng, cells, contacts)
        doors = _doors(rng, categories, contacts)
        if doors is None or "living room" not in categories or "bathroom" not in categories:
            continue
        return _plan(rng, cells, categories, contacts, doors)
    raise AssertionError(f"no floor plan found for seed {seed}")


def _sane(cells: list[Cell]) -> bool:
    total = sum(cell.area for cell in cells)
    if not (60.0 <= total <= 200.0 and 5 <= len(cells) <= 13):
        return False
    for cell in cells:
        size = np.ptp(cell.outline, axis=0)
        limit = 12.0 if cell.role == "corridor" else 2.9
        if size.min() < 115 or size.max() / size.min() > limit:
            return False
        if cell.role == "room" and (cell.area < 5.0 or size.min() < 180):
            return False
    return True


# -- neighbours --------------------------------------------------------------------------------------------------------


def _contacts(cells: list[Cell]) -> list[_Contact]:
    found = []
    edges = [(k, a, b) for k, cell in enumerate(cells) for a, b in zip(cell.outline, np.roll(cell.outline, -1, axis=0))]
    for k, a, b in edges:
        axis = int(a[0] == b[0])  # 0: runs along x
        covered = []
        for other, c, d in edges:
            if other == k or int(c[0] == d[0]) != axis or c[1 - axis] != a[1 - axis]:
                continue
            if np.sign(d[axis] - c[axis]) == np.sign(b[axis] - a[axis]):
                continue  # faces the same way, so it lies on this side
            low = max(min(a[axis], b[axis]), min(c[axis], d[axis]))
            high = min(max(a[axis], b[axis]), max(c[axis], d[axis]))
            if high > low:
                covered.append((low, high))
                if other > k:
                    found.append(_piece(k, other, a, b, axis, low, high))
        at = min(a[axis], b[axis])
        for low, high in [*sorted(covered), (max(a[axis], b[axis]),) * 2]:
            if low > at:
                found.append(_piece(k, -1, a, b, axis, at, low))
            at = max(at, high)
    return found


def _piece(first: int, second: int, a: np.ndarray, b: np.ndarray, axis: int, low: int, high: int) -> _Contact:
    start, end = a.copy(), b.copy()
    start[axis], end[axis] = (low, high) if b[axis] > a[axis] else (high, low)
    return _Contact(first, second, start, end)


# -- what each room is -------------------------------------------------------------------------------------------------


def _categories(rng: np.random.Generator, cells: list[Cell], contacts: list[_Contact]) -> list[str]:
    beside = {(c.first, c.second) for c in contacts if c.length >= 120} | {
        (c.second, c.first) for c in contacts if c.length >= 120}
    area = [cell.area for cell in cells]
    names = [""] * len(cells)
    for k, cell in enumerate(cells):
        if cell.role in ("corridor", "hall"):
            names[k] = "corridor"
        elif cell.role == "wet":
            names[k] = "bathroom"
        elif cell.role == "closet":
            names[k] = str(rng.choice(["toilet", "toilet", "storage room", "laundry room"]))
    free = sorted((k for k, name in enumerate(names) if not name), key=lambda k: -area[k])
    if not free:
        return names
    living = free.pop(0)
    names[living] = "living room"
    if "bathroom" not in names and free:
        names[free.pop()] = "bathroom"
    kitchens = [k for k in free if 6.5 <= area[k] <= 20]
    if kitchens:
        kitchen = max(kitchens, key=lambda k: 8.0 * ((living, k) in beside) - abs(area[k] - 11) + rng.uniform(0, 3))
        names[kitchen] = "kitchen"
        free.remove(kitchen)
        dining = [k for k in free if 9 <= area[k] <= 22 and ((living, k) in beside or (kitchen, k) in beside)]
        if dining and len(free) >= 3 and rng.random() < 0.7:
            names[dining[-1]] = "dining room"
            free.remove(dining[-1])
    for rank, k in enumerate(k for k in free if area[k] >= 7.5):
        others = ["bedroom", "children's room", "study"]
        names[k] = "bedroom" if rank == 0 else str(rng.choice(others, p=[0.35, 0.35, 0.3]))
    for k in free:
        names[k] = names[k] or str(rng.choice(["study", "laundry room", "storage room", "bathroom"]))
    return names


# -- doors -------------------------------------------------------------------------------------------------------------

_DEAD_ENDS = ("bathroom", "toilet", "storage room", "laundry room", "bedroom", "children's room", "study")
_PUBLIC = ("living room", "kitchen", "dining room")


def _affinity(first: str, second: str) -> float:
    """How likely two neighbours have a door between them, beyond what reachability demands."""
    pair = {first, second}
    if pair <= set(_PUBLIC):
        return 0.9
    if "corridor" in pair:
        return 0.6 if pair & set(_PUBLIC) else 0.25
    if "bathroom" in pair and pair & {"bedroom", "children's room"}:
        return 0.3
    if pair & {"toilet", "storage room"}:
        return 0.0
    return 0.3 if "study" in pair or pair == {"kitchen", "laundry room"} else 0.06


def _cost(first: str, second: str) -> float:
    """How odd it is to enter `second` only through `first`."""
    if first == "corridor":
        return 0.0
    if first in ("bathroom", "toilet", "storage room"):
        return 20.0
    if first in _DEAD_ENDS:
        return 4.0 if second in ("bathroom", "storage room") else 8.0
    return 1.0 if second in _PUBLIC else 2.0


def _doors(rng: np.random.Generator, names: list[str], contacts: list[_Contact]) -> list[_Contact] | None:
    """A doorway's wall piece for each connected pair: a tree that reaches all rooms, then loops. None if impossible."""
    shared: dict[tuple[int, int], _Contact] = {}
    for c in contacts:
        if c.second >= 0 and c.length >= 85 + 2 * WALL_MARGIN:
            key = (c.first, c.second)
            if key not in shared or shared[key].length < c.length:
                shared[key] = c
    hub = names.index("corridor") if "corridor" in names else names.index("living room")
    reached, chosen = {hub}, set()
    while len(reached) < len(names):
        options = [(_cost(names[a], names[b]), a, b) for pair in shared for a, b in (pair, pair[::-1])
                   if a in reached and b not in reached]
        if not options:
            return None
        cost, a, b = min(options)
        if cost >= 20:
            return None
        reached.add(b)
        chosen.add((min(a, b), max(a, b)))
    degree = [sum(k in pair for pair in chosen) for k in range(len(names))]
    for pair in sorted(set(shared) - chosen):
        a, b = pair
        tight = any(names[k] in ("bathroom", "toilet") and degree[k] >= 2 for k in pair)
        if not tight and rng.random() < _affinity(names[a], names[b]):
            chosen.add(pair)
            degree[a] += 1
            degree[b] += 1
    return [shared[pair] for pair in sorted(chosen)]


# -- openings ----------------------------------------------------------------------------------------------------------


def _plan(
    rng: np.random.Generator, cells: list[Cell], names: list[str], contacts: list[_Contact], doors: list[_Contact]
) -> HousePlan:
    wall = float(rng.uniform(0.10, 0.18))
    height = float(rng.uniform(2.45, 2.95))
    rooms = tuple(PlanRoom(name, inset(cell.outline / 100.0, wall / 2)) for name, cell in zip(names, cells))
    door_top = float(rng.uniform(2.0, 2.1))
    openings = [_doorway(rng, contact, names, door_top) for contact in doors]
    outside = [c for c in contacts if c.second < 0]
    entrance = _front_door(rng, outside, names, door_top)
    if entrance is not None:
        openings.append(entrance)
    style = rng.uniform(0.0, 1.0, 3)
    for contact in outside:
        openings += _windows(rng, contact, names[contact.first], height, style, openings)
    outer_wall = float(rng.uniform(0.24, 0.36))
    return HousePlan(rooms, tuple(openings), wall, outer_wall, height, _facade(outside, outer_wall - wall / 2))


def inset(outline: np.ndarray, by: float) -> np.ndarray:
    """A counter-clockwise rectilinear polygon [K, 2] with every edge moved inwards."""
    after = np.roll(outline, -1, axis=0) - outline
    after = np.sign(after)
    before = np.roll(after, 1, axis=0)
    left = np.array([[0.0, 1.0], [-1.0, 0.0]])  # turns a direction to its left, which is inside
    return outline + by * (after @ left + before @ left)


def _facade(outside: list[_Contact], offset: float) -> np.ndarray:
    """[N, 2, 2] the outer walls' middles moved outwards; pieces grow at outer corners and shrink at inner ones."""
    pieces = []
    for contact in outside:
        along = np.sign(contact.end - contact.start)
        turns = []
        for mine, theirs in (("start", "end"), ("end", "start")):
            corner = getattr(contact, mine)
            others = [np.sign(o.end - o.start) for o in outside if (getattr(o, theirs) == corner).all()]
            turn = [int(along[0] * o[1] - along[1] * o[0]) for o in others]  # 1: they point to my left
            turns.append(turn[0] if turn else 0)
        out = np.array([along[1], -along[0]]) * offset
        # At my end a neighbour that leaves to the left makes an outer corner; at my start one that arrives leftwards
        # makes an inner one.
        start = contact.start / 100.0 + out + along * offset * turns[0]
        pieces.append([start, contact.end / 100.0 + out + along * offset * turns[1]])
    return np.array(pieces)


def _doorway(rng: np.random.Generator, contact: _Contact, names: list[str], door_top: float) -> Opening:
    length = contact.length / 100
    room = length - 2 * WALL_MARGIN / 100
    pair = {names[contact.first], names[contact.second]}
    if pair <= set(_PUBLIC) and room >= 1.5 and rng.random() < 0.7:
        width = float(rng.uniform(1.4, min(2.0, room)))
        return _opening("passage", contact, 0.5 * length + rng.uniform(-0.5, 0.5) * (room - width), width, 0.0,
                        door_top + 0.1)
    width = float(rng.uniform(0.85, min(1.1, room)))
    slack = room - width
    place = rng.choice([0.0, 0.5, 1.0], p=[0.42, 0.16, 0.42])
    shift = (place - 0.5) * (slack - min(0.5, slack) * rng.uniform(0.0, 0.6))
    return _opening("door", contact, 0.5 * length + shift, width, 0.0, door_top)


def _opening(kind: OpeningKind, contact: _Contact, at: float, width: float, bottom: float, top: float) -> Opening:
    start = contact.start / 100.0
    along = (contact.end - contact.start) / contact.length
    return Opening(kind, (contact.first, contact.second), start + along * at, contact.yaw, width, bottom, top)


def _front_door(
    rng: np.random.Generator, outside: list[_Contact], names: list[str], door_top: float
) -> Opening | None:
    for wanted in ("corridor", "living room", "kitchen", "dining room"):
        walls = [c for c in outside if names[c.first] == wanted and c.length >= 125]
        if walls:
            contact = min(walls, key=lambda c: c.length)
            middle = contact.length / 100 / 2
            return _opening("front door", contact, middle, 0.95, 0.0, door_top)
    return None


def _windows(
    rng: np.random.Generator, contact: _Contact, name: str, height: float, style: np.ndarray, taken: list[Opening]
) -> list[Opening]:
    """None, one or several windows in an outer wall, clear of the front door."""
    length = contact.length / 100
    if length < 1.3 or name in ("storage room",) or (name == "corridor" and rng.random() < 0.4):
        return []
    top = min(height - 0.25, 2.05 + 0.25 * style[0])
    sill = 0.75 + 0.25 * style[1]
    wanted = 1.0 + 1.0 * style[2]
    if name in ("bathroom", "toilet", "laundry room"):
        sill, wanted = 1.25, 0.7
    elif name == "kitchen":
        sill = 1.1
    elif name in ("living room", "dining room") and rng.random() < 0.45:
        sill, wanted = 0.32, 1.8  # too high for any robot to climb out
    count = max(1, min(3, int(length / (wanted + 1.1))))
    width = min(wanted, (length - 0.6) / count - 0.3)
    if width < 0.45:
        return []
    found = []
    for k in range(count):
        opening = _opening("window", contact, length * (k + 0.5) / count, width, sill, top)
        clash = any(np.abs(o.centre - opening.centre).max() < (o.width + width) / 2 + 0.3 for o in taken
                    if o.kind == "front door")
        if not clash and rng.random() < 0.9:
            found.append(opening)
    return found

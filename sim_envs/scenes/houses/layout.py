"""How a house is cut into rooms: rectilinear cells in whole centimetres, along corridors, around halls or without.

A cell is a room-to-be: a counter-clockwise polygon whose edges are the middles of its walls. Roles: "corridor", "hall",
"wet" (bath), "closet" (toilet, storage) and "room" (anything else).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WALL_MARGIN = 15  # cm that a doorway keeps from the middle of a crossing wall


@dataclass(frozen=True)
class Cell:
    outline: np.ndarray  # [K, 2] int64, cm, counter-clockwise, edges along the axes
    role: str

    @property
    def area(self) -> float:
        """m^2 between the middles of the walls."""
        x, y = self.outline[:, 0], self.outline[:, 1]
        return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2e4


def rectangle(x0: float, y0: float, x1: float, y1: float, role: str) -> Cell:
    x0, y0, x1, y1 = round(x0), round(y0), round(x1), round(y1)
    assert x1 > x0 and y1 > y0, f"empty cell {x0, y0, x1, y1}"
    return Cell(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), role)


def lay_out(rng: np.random.Generator) -> list[Cell]:
    """One house, turned and mirrored at random."""
    make = (_spine, _spine, _bent, _pinwheel, _open)[int(rng.integers(5))]
    return _turned(rng, make(rng))


def _turned(rng: np.random.Generator, cells: list[Cell]) -> list[Cell]:
    """Mirror, swap the axes, and move the lower corner to 0, 0. Outlines stay counter-clockwise."""
    flips = rng.integers(0, 2, 3)
    turned = []
    for cell in cells:
        points = cell.outline * np.where(flips[:2], -1, 1)
        if flips[2]:
            points = points[:, ::-1]
        turned.append(points[::-1] if flips.sum() % 2 else points)
    low = np.concatenate(turned).min(axis=0)
    return [Cell(np.ascontiguousarray(points - low), cell.role) for points, cell in zip(turned, cells)]


def _slots(rng: np.random.Generator, length: float, wet: int) -> list[tuple[float, str]]:
    """Widths and roles of rooms that fill a strip of `length` cm, `wet` of them baths."""
    kinds = [("wet", rng.uniform(190, 320)) for _ in range(wet)]
    while True:
        room = length - sum(width for _, width in kinds)
        if room < 130:
            break
        if rng.random() < 0.14 and any(role == "room" for role, _ in kinds):
            kinds.append(("closet", rng.uniform(140, 190)))
        else:
            kinds.append(("room", rng.uniform(290, 480)))
    total = sum(width for _, width in kinds)
    if len(kinds) > 1 and total > length * 1.16 and kinds[-1][0] == "room":
        kinds.pop()
        total = sum(width for _, width in kinds)
    order = rng.permutation(len(kinds))
    return [(kinds[k][1] * length / total, kinds[k][0]) for k in order]


def _strip(
    rng: np.random.Generator, x0: float, x1: float, y0: float, y1: float, wet: int, corridor_below: bool
) -> list[Cell]:
    """Rooms side by side along a corridor that runs below or above them."""
    cells: list[Cell] = []
    at = float(x0)
    for width, role in _slots(rng, x1 - x0, wet):
        left, right = round(at), round(at + width)
        at += width
        if role == "wet" and right - left >= 255 and y1 - y0 >= 330:
            cells += _bath_and_toilet(rng, left, right, round(y0), round(y1), corridor_below)
        else:
            cells.append(rectangle(left, y0, right, y1, role))
    return cells


def _bath_and_toilet(
    rng: np.random.Generator, x0: int, x1: int, y0: int, y1: int, corridor_below: bool
) -> list[Cell]:
    """A closet in the corner at the corridor, the bath around it."""
    width, depth = int(rng.integers(125, min(150, x1 - x0 - 124))), int(rng.integers(150, 190))
    xc = x0 + width
    if corridor_below:
        yc = y0 + depth
        bath = [[xc, y0], [x1, y0], [x1, y1], [x0, y1], [x0, yc], [xc, yc]]
        closet = rectangle(x0, y0, xc, yc, "closet")
    else:
        yc = y1 - depth
        bath = [[x0, y0], [x1, y0], [x1, y1], [xc, y1], [xc, yc], [x0, yc]]
        closet = rectangle(x0, yc, xc, y1, "closet")
    return [closet, Cell(np.array(bath), "wet")]


def _spine(rng: np.random.Generator) -> list[Cell]:
    """A straight corridor with rooms on both sides; often one large block, whole or halved, at its end."""
    lower, corridor, upper = rng.uniform(310, 450), rng.uniform(125, 175), rng.uniform(310, 450)
    y1, y2, y3 = lower, lower + corridor, lower + corridor + upper
    cells: list[Cell] = []
    start = 0.0
    if rng.random() < 0.7:
        start = float(round(rng.uniform(400, 560)))
        cut = rng.choice([0.0, y1, y2], p=[0.35, 0.35, 0.3]) if y3 < 900 else rng.choice([y1, y2])
        if cut:
            cells += [rectangle(0, 0, start, cut, "room"), rectangle(0, cut, start, y3, "room")]
        else:
            cells.append(rectangle(0, 0, start, y3, "room"))
    length = rng.uniform(560, 1150)
    ends = [start + length, start + (length if rng.random() < 0.35 else length * rng.uniform(0.6, 0.95))]
    top, bottom = (ends[k] for k in rng.permutation(2))
    wets = 1 if length < 750 else 2
    above = _strip(rng, start, top, y2, y3, wets - wets // 2, True)
    below = _strip(rng, start, bottom, 0, y1, wets // 2, False)
    # The corridor has to reach every room of the longer side.
    reach = max(min(top, bottom), max(c.outline[:, 0].min() for c in above + below) + 140)
    cells.append(rectangle(start, y1, min(reach, max(top, bottom)), y2, "corridor"))
    return cells + above + below


def _bent(rng: np.random.Generator) -> list[Cell]:
    """An L-shaped corridor: rooms along its outside, sometimes in its inner corner as well."""
    c = round(rng.uniform(130, 175))
    along, down = round(rng.uniform(560, 900)), round(rng.uniform(380, 650))
    upper, right = rng.uniform(320, 430), rng.uniform(320, 430)
    outline = [[0, 0], [along - c, 0], [along - c, -down], [along, -down], [along, c], [0, c]]
    cells = [Cell(np.array(outline), "corridor")]
    cells += _strip(rng, 0, along + right, c, c + upper, 1, True)
    cells += _strip_along_y(rng, along, along + right, -down, c)
    if rng.random() < 0.65:
        depth = round(rng.uniform(290, min(430, down)))
        left = 0 if rng.random() < 0.5 else round(rng.uniform(0, max(1, along - c - 330)))
        cells += _strip(rng, left, along - c, -depth, 0, int(rng.random() < 0.5), False)
    return cells


def _strip_along_y(rng: np.random.Generator, x0: float, x1: float, y0: float, y1: float) -> list[Cell]:
    """Rooms above each other, with the corridor to their left."""
    sideways = _strip(rng, y0, y1, x0, x1, int(rng.random() < 0.5), True)
    return [Cell(cell.outline[::-1, ::-1].copy(), cell.role) for cell in sideways]


def _pinwheel(rng: np.random.Generator) -> list[Cell]:
    """Four wings around a hall, each one or two rooms."""
    left, right = rng.uniform(300, 430), rng.uniform(300, 430)
    lower, upper = rng.uniform(300, 430), rng.uniform(300, 430)
    width, depth = rng.uniform(190, 360), rng.uniform(190, 360)
    a, b, w = left, left + width, left + width + right
    c, d, h = lower, lower + depth, lower + depth + upper
    cells = [rectangle(a, c, b, d, "hall")]
    wings = [(0.0, d, b, h), (b, c, w, h), (a, 0.0, w, c), (0.0, 0.0, a, d)]
    halves = rng.permutation([True, True, True, False])
    for (x0, y0, x1, y1), halve in zip(wings, halves):
        if not halve or max(x1 - x0, y1 - y0) < 480:
            cells.append(rectangle(x0, y0, x1, y1, "room"))
        elif x1 - x0 > y1 - y0:
            cut = x0 + (x1 - x0) * rng.uniform(0.36, 0.64)
            cells += [rectangle(x0, y0, cut, y1, "room"), rectangle(cut, y0, x1, y1, "room")]
        else:
            cut = y0 + (y1 - y0) * rng.uniform(0.36, 0.64)
            cells += [rectangle(x0, y0, x1, cut, "room"), rectangle(x0, cut, x1, y1, "room")]
    return cells


def _open(rng: np.random.Generator) -> list[Cell]:
    """No corridor: a block cut again and again, as in small flats; one corner may be missing."""
    pending = [(0.0, 0.0, rng.uniform(780, 1150), rng.uniform(680, 950))]
    rooms = int(rng.integers(5, 8))
    while len(pending) < rooms:
        pending.sort(key=lambda r: (r[2] - r[0]) * (r[3] - r[1]))
        x0, y0, x1, y1 = pending.pop()
        share = rng.uniform(0.34, 0.66)
        if x1 - x0 > y1 - y0:
            cut = x0 + (x1 - x0) * share
            pending += [(x0, y0, cut, y1), (cut, y0, x1, y1)]
        else:
            cut = y0 + (y1 - y0) * share
            pending += [(x0, y0, x1, cut), (x0, cut, x1, y1)]
    cells = [rectangle(*r, "room") for r in pending]
    corners = [k for k, cell in enumerate(cells) if not cell.outline.min(axis=0).any()]
    if rooms > 5 and rng.random() < 0.5:
        del cells[corners[0]]
    return cells

"""Where the robot's centre may be: distances to obstacles and drops over the floors of a heightfield, and islands.

A border is a rectangle: the bounding box of what the robot's body would touch in one cell, or the strip (often a mere
line) between the end of a cell's floor and a side beyond which no floor lies within a step. Near the robot's radius
every cell lists its borders, so that points are tested exactly, not by cell.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nav_foundation.robot import Footprint
from sim_envs.compiled import kernel
from sim_envs.navigation.heightfield import FULL, INSIDE_SOLID, UNDER_SKY, Surfaces
from sim_envs.simulator import SceneError

CORNERS = ((1, 1), (-1, 1), (-1, -1), (1, -1))  # after DIRECTIONS, the other four neighbours: bits 4..7 of `edges`
MINIMUM_ISLAND = 4.0  # m^2; what is smaller is the top of a bed or a table, or a cupboard
MINIMUM_SHARE = 0.02  # of the largest island
HALF_DIAGONAL = 0.7072  # cells
SLACK = 0.35  # cells, amply more than distances carried from cell to cell are off


class Freespace(NamedTuple):
    """What the numba kernels read. Nodes and columns are those of Surfaces; N nodes, B borders."""

    cell: float  # m
    x0: float  # m, outer corner of column 0
    y0: float
    nx: int
    ny: int
    radius: float  # m, of the robot
    start: np.ndarray  # [nx * ny + 1] int32 nodes of a column
    column: np.ndarray  # [N] int32
    low: np.ndarray  # [N] float32 m
    high: np.ndarray  # [N] float32 m
    links: np.ndarray  # [N, 4] int32
    distance: np.ndarray  # [N] float32 m from the middle of the cell to the nearest border, capped
    component: np.ndarray  # [N] int32 island of the cell's navigable points, 0 is the main one, -1 = none kept
    central: np.ndarray  # [N] bool, the middle of the cell is navigable
    edges: np.ndarray  # [N] uint8, a bit for each of DIRECTIONS + CORNERS: middles joined by a navigable straight line
    near_start: np.ndarray  # [N + 1] int32, borders of node n near the robot's radius: near[near_start[n]:...[n + 1]]
    near: np.ndarray  # [.] int32
    borders: np.ndarray  # [B, 4] float64 x0, y0, x1, y1 in m from the grid's corner (x0, y0)


def build_freespace(surfaces: Surfaces, footprint: Footprint) -> Freespace:
    cell, radius = surfaces.cell, float(footprint.radius)
    nx, ny = surfaces.shape
    owner, borders = _borders(surfaces.column, surfaces.floor, surfaces.obstacle, surfaces.links, nx, cell)
    cap = max(2.5, radius + 5 * cell)
    distance = _distances(surfaces.column, surfaces.links, owner, borders, nx, cell, cap)
    near_start, near = _near_borders(surfaces.column, surfaces.links, owner, borders, distance, nx, cell, radius)
    count = len(surfaces.column)
    space = Freespace(
        cell, surfaces.origin[0], surfaces.origin[1], nx, ny, radius, surfaces.start, surfaces.column, surfaces.low,
        surfaces.high, surfaces.links, distance, np.full(count, -1, np.int32), np.zeros(count, np.bool_),
        np.zeros(count, np.uint8), near_start, near, borders,
    )
    islands = _islands(space)
    kept = _keep(space, islands, surfaces)
    if len(kept) == 0:
        raise SceneError(
            f"the scene has no floor where a robot of radius {radius:g} m and height {footprint.height:g} m can stand "
            "(no floor at all, or no free space that large): check that z points up and units are metres, or take a "
            "smaller robot"
        )
    renumber = np.full(islands + 1, -1, np.int32)  # the last one is for -1
    renumber[kept] = np.arange(len(kept))
    space.component[:] = renumber[space.component]
    space.central[:] = space.component >= 0
    _label_rims(space)
    _forget_enclosed(space, owner)
    return space


def _keep(space: Freespace, islands: int, surfaces: Surfaces) -> np.ndarray:
    """Islands worth standing on, the main one first.

    Roofs (open sky above, another floor below) and the hollow insides of closed solids (the first face overhead shows
    its back) are not; the insides count only where a mesh has next to no other floor, because its faces are flipped.
    """
    if islands == 0:
        return np.empty(0, np.int64)
    label = space.component[space.central]
    size = np.bincount(label, minlength=islands)
    shelter = surfaces.shelter[space.central]
    roof = np.bincount(label, (shelter == UNDER_SKY) & surfaces.raised[space.central], islands) > 0.5 * size
    inside = np.bincount(label, shelter == INSIDE_SOLID, islands) > 0.5 * size
    ordinary = np.flatnonzero(~roof & ~inside)
    hollow = np.flatnonzero(~roof & inside)
    largest_hollow = size[hollow].max(initial=0)
    chosen = ordinary if size[ordinary].max(initial=0) > 0.1 * largest_hollow else hollow
    if len(chosen) == 0:
        chosen = np.arange(islands)
    chosen = chosen[np.argsort(-size[chosen], kind="stable")]
    least = max(MINIMUM_ISLAND / space.cell**2, MINIMUM_SHARE * size[chosen[0]])
    return chosen[(size[chosen] >= least) | (np.arange(len(chosen)) == 0)]


@kernel
def _borders(column, floor, obstacle, links, nx, cell):  # type: ignore[no-untyped-def]
    """owner [N + 1] int32 and rectangles [B, 4]: node n has the borders owner[n] .. owner[n + 1]."""
    owner = np.zeros(len(column) + 1, np.int32)
    for node in range(len(column)):
        owner[node + 1] = owner[node] + (obstacle[node, 0] <= obstacle[node, 2])
        for direction in range(4):
            owner[node + 1] += links[node, direction] < 0
    borders = np.empty((owner[-1], 4))
    for node in range(len(column)):
        at = owner[node]
        x, y = column[node] % nx * cell, column[node] // nx * cell
        part = cell / FULL
        if obstacle[node, 0] <= obstacle[node, 2]:
            borders[at] = (x + obstacle[node, 0] * part, y + obstacle[node, 1] * part, x + obstacle[node, 2] * part,
                           y + obstacle[node, 3] * part)
            at += 1
        if links[node, 0] < 0:
            borders[at] = (x + floor[node, 2] * part, y, x + cell, y + cell)
            at += 1
        if links[node, 1] < 0:
            borders[at] = (x, y + floor[node, 3] * part, x + cell, y + cell)
            at += 1
        if links[node, 2] < 0:
            borders[at] = (x, y, x + floor[node, 0] * part, y + cell)
            at += 1
        if links[node, 3] < 0:
            borders[at] = (x, y, x + cell, y + floor[node, 1] * part)
    return owner, borders


@kernel
def to_border(border, x, y):  # type: ignore[no-untyped-def]
    """Distance from a point to a rectangle; 0 inside."""
    dx = max(border[0] - x, x - border[2], 0.0)
    dy = max(border[1] - y, y - border[3], 0.0)
    return math.sqrt(dx * dx + dy * dy)


@kernel
def corner_of(links, node, corner):  # type: ignore[no-untyped-def]
    """The diagonal neighbour reached alike over both sides, or -1."""
    first, second = corner, (corner + 1) % 4
    side, other = links[node, first], links[node, second]
    if side < 0 or other < 0 or links[side, second] != links[other, first]:
        return -1
    return links[side, second]


@kernel
def neighbour(links, node, direction):  # type: ignore[no-untyped-def]
    return links[node, direction] if direction < 4 else corner_of(links, node, direction - 4)


@kernel
def _distances(column, links, owner, borders, nx, cell, cap):  # type: ignore[no-untyped-def]
    """Carry the nearest border from node to node, in waves, as far as it improves."""
    count = len(column)
    distance, nearest = np.full(count, cap, np.float32), np.full(count, -1, np.int32)
    queue, waiting = np.empty(count, np.int32), np.zeros(count, np.bool_)
    for node in range(count):
        # A node may stand within several of its borders: those around it have to hear of all, not of one.
        for k in range(owner[node], owner[node + 1]):
            for direction in range(9):
                other = node if direction == 8 else neighbour(links, node, direction)
                if other >= 0:
                    _hear(other, k, borders, column, nx, cell, distance, nearest)
    size = head = 0
    for node in range(count):
        if nearest[node] >= 0:
            queue[size] = node
            waiting[node] = True
            size += 1
    while size > 0:
        node = queue[head]
        head = (head + 1) % count
        size -= 1
        waiting[node] = False
        for direction in range(8):
            other = neighbour(links, node, direction)
            if other >= 0 and _hear(other, nearest[node], borders, column, nx, cell, distance, nearest):
                if not waiting[other]:
                    queue[(head + size) % count] = other
                    waiting[other] = True
                    size += 1
    return distance


@kernel
def _hear(node, border, borders, column, nx, cell, distance, nearest):  # type: ignore[no-untyped-def]
    """Let a node take over a border that is nearer than its own; whether it did."""
    x, y = (column[node] % nx + 0.5) * cell, (column[node] // nx + 0.5) * cell
    found = to_border(borders[border], x, y)
    if found >= distance[node] - 1e-6:
        return False
    distance[node], nearest[node] = found, border
    return True


@kernel
def _near_borders(column, links, owner, borders, distance, nx, cell, radius):  # type: ignore[no-untyped-def]
    """For nodes whose distance is about the radius: all borders that decide whether a point of the cell is free.

    They are those of the sheet of floor around the node, which has one node in a column: what lies over or under it,
    such as the flank of a ramp beside its foot, has edges of its own that do not concern a robot on this sheet.
    """
    count = len(column)
    reach = radius + HALF_DIAGONAL * cell
    side = int(2 * reach / cell) + 5
    start, near = np.zeros(count + 1, np.int32), np.empty(1024, np.int32)
    queue, stamp = np.empty(side * side, np.int32), np.full(column[-1] + 1 if count else 0, -1, np.int32)
    total = 0
    for node in range(count):
        below, above = radius - 1.3 * cell, radius + (HALF_DIAGONAL + SLACK) * cell
        if below <= distance[node] <= above:
            x, y = (column[node] % nx + 0.5) * cell, (column[node] // nx + 0.5) * cell
            queue[0], stamp[column[node]] = node, node
            head, tail = 0, 1
            while head < tail:
                here = queue[head]
                head += 1
                if total + 5 > len(near):
                    near = np.concatenate((near, np.empty_like(near)))
                for k in range(owner[here], owner[here + 1]):
                    if to_border(borders[k], x, y) < reach:
                        near[total] = k
                        total += 1
                for direction in range(4):
                    other = links[here, direction]
                    if other < 0 or stamp[column[other]] == node:
                        continue
                    stamp[column[other]] = node
                    dx = max(abs((column[other] % nx + 0.5) * cell - x) - cell / 2, 0.0)
                    dy = max(abs((column[other] // nx + 0.5) * cell - y) - cell / 2, 0.0)
                    if dx * dx + dy * dy < reach * reach:
                        queue[tail] = other
                        tail += 1
        start[node + 1] = total
    return start, near[:total].copy()


@kernel
def is_clear(space, node, x, y):  # type: ignore[no-untyped-def]
    """Whether a point (m from the grid's corner) of the node's cell keeps the radius from every border."""
    distance = space.distance[node]
    if distance > space.radius + (HALF_DIAGONAL + SLACK) * space.cell:
        return True
    if distance < space.radius - 1.3 * space.cell:
        return False
    for at in range(space.near_start[node], space.near_start[node + 1]):
        if to_border(space.borders[space.near[at]], x, y) < space.radius:
            return False
    return True


@kernel
def _is_edge_clear(space, node, other, dx, dy):  # type: ignore[no-untyped-def]
    """Whether the straight line between the middles of two neighbours keeps the radius."""
    length = math.sqrt(dx * dx + dy * dy) * space.cell
    if space.distance[node] + space.distance[other] - length - 2 * SLACK * space.cell >= 2 * space.radius:
        return True
    x, y = (space.column[node] % space.nx + 0.5) * space.cell, (space.column[node] // space.nx + 0.5) * space.cell
    samples = 2 * int(math.ceil(length / min(space.cell / 2, space.radius / 4) / 2)) + 1
    for k in range(1, samples):
        t = k / samples  # an odd count: no sample lies on the line between the two cells
        if not is_clear(space, node if t < 0.5 else other, x + t * dx * space.cell, y + t * dy * space.cell):
            return False
    return True


@kernel
def _islands(space):  # type: ignore[no-untyped-def]
    """Fill `central`, `edges` and `component`; returns the number of islands."""
    count = len(space.column)
    for node in range(count):
        column = space.column[node]
        x, y = (column % space.nx + 0.5) * space.cell, (column // space.nx + 0.5) * space.cell
        space.central[node] = is_clear(space, node, x, y)
    offsets = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1))
    for node in range(count):
        if not space.central[node]:
            continue
        for direction in (0, 1, 4, 5):
            other = neighbour(space.links, node, direction)
            dx, dy = offsets[direction]
            if other >= 0 and space.central[other] and _is_edge_clear(space, node, other, dx, dy):
                space.edges[node] |= 1 << direction
                opposite = direction + 2
                space.edges[other] |= 1 << opposite
    stack = np.empty(count, np.int32)
    islands = 0
    for seed in range(count):
        if not space.central[seed] or space.component[seed] >= 0:
            continue
        stack[0], space.component[seed] = seed, islands
        size = 1
        while size > 0:
            size -= 1
            node = stack[size]
            for direction in range(4):
                other = space.links[node, direction]
                if space.edges[node] >> direction & 1 and space.component[other] < 0:
                    space.component[other] = islands
                    stack[size] = other
                    size += 1
        islands += 1
    return islands


@kernel
def _label_rims(space):  # type: ignore[no-untyped-def]
    """Cells whose middle is too near a border, but some points of which may not be, join the island beside them."""
    for node in range(len(space.column)):
        if space.central[node] or space.distance[node] < space.radius - (HALF_DIAGONAL + SLACK) * space.cell:
            continue
        for direction in range(8):
            other = neighbour(space.links, node, direction)
            if other >= 0 and space.central[other]:
                space.component[node] = space.component[other]
                break


@kernel
def _forget_enclosed(space, owner):  # type: ignore[no-untyped-def]
    """Distance 0 for floor no kept island leads to, not even for a robot without size: the insides of solid things."""
    count = len(space.column)
    reached, stack, size = space.central.copy(), np.empty(count, np.int32), 0
    for node in range(count):
        if reached[node]:
            stack[size] = node
            size += 1
    while size > 0:
        size -= 1
        node = stack[size]
        for direction in range(4):
            other = space.links[node, direction]
            if other >= 0 and not reached[other] and not _is_parted(space, owner, node, other):
                reached[other] = True
                stack[size] = other
                size += 1
    for node in range(count):
        if not reached[node]:
            space.distance[node] = 0.0


@kernel
def _is_parted(space, owner, node, other):  # type: ignore[no-untyped-def]
    """Whether an obstacle in one of two neighbouring cells lies across the line between their middles."""
    x, y = (space.column[node] % space.nx + 0.5) * space.cell, (space.column[node] // space.nx + 0.5) * space.cell
    to_x = (space.column[other] % space.nx + 0.5) * space.cell
    to_y = (space.column[other] // space.nx + 0.5) * space.cell
    for here in (node, other):
        for k in range(owner[here], owner[here + 1]):
            border = space.borders[k]
            if (border[0] <= max(x, to_x) and border[2] >= min(x, to_x) and border[1] <= max(y, to_y)
                    and border[3] >= min(y, to_y)):
                return True
    return False

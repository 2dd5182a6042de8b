"""Points, straight lines and motion on a Freespace.

The kernels take x, y in metres from the grid's corner, and the node whose cell holds them.
"""

from __future__ import annotations

import math

import numpy as np

from sim_envs.compiled import kernel
from sim_envs.navigation.freespace import HALF_DIAGONAL, SLACK, is_clear, neighbour, to_border

LEVEL_REACH = 0.25  # m, a point this far above or below a floor is taken to stand on it
_CARRY = 0.15  # cells, what distances carried from cell to cell overestimate
_MARGIN = 1e-5  # m kept beyond the radius after sliding, so that rounding never makes the robot touch


@kernel
def find_node(space, x, y, z, reach):  # type: ignore[no-untyped-def]
    """The node under a point whose floor is nearest in height, at most `reach` above or below; -1 = none."""
    i, j = math.floor(x / space.cell), math.floor(y / space.cell)
    if not (0 <= i < space.nx and 0 <= j < space.ny):
        return -1
    best, found = reach, -1
    column = int(j) * space.nx + int(i)
    for node in range(space.start[column], space.start[column + 1]):
        gap = max(space.low[node] - z, z - space.high[node], 0.0)
        if gap <= best:
            best, found = gap, node
    return found


@kernel
def is_navigable(space, node, x, y):  # type: ignore[no-untyped-def]
    return node >= 0 and space.component[node] >= 0 and is_clear(space, node, x, y)


@kernel
def _is_on_island(space, island, node, x, y):  # type: ignore[no-untyped-def]
    """Coarse cells part islands that a robot could squeeze between: no way is known there, so no motion leads there."""
    return is_navigable(space, node, x, y) and space.component[node] == island


@kernel
def height_at(space, node, x, y):  # type: ignore[no-untyped-def]
    """Height of the floor: bilinear between the middles of cells, within the cell's own range."""
    low, high = space.low[node], space.high[node]
    middle = (low + high) / 2
    if high - low < 1e-4:
        return middle
    u = x / space.cell - space.column[node] % space.nx - 0.5
    v = y / space.cell - space.column[node] // space.nx - 0.5
    side, other = (0 if u >= 0 else 2), (1 if v >= 0 else 3)
    corner = 4 if u >= 0 and v >= 0 else 5 if v >= 0 else 6 if u < 0 else 7
    a, b = space.links[node, side], space.links[node, other]
    c = neighbour(space.links, node, corner)
    za = (space.low[a] + space.high[a]) / 2 if a >= 0 else middle
    zb = (space.low[b] + space.high[b]) / 2 if b >= 0 else middle
    zc = (space.low[c] + space.high[c]) / 2 if c >= 0 else za + zb - middle
    u, v = abs(u), abs(v)
    z = middle * (1 - u) * (1 - v) + za * u * (1 - v) + zb * (1 - u) * v + zc * u * v
    return min(max(z, low), high)


@kernel
def walk(space, node, x, y, to_x, to_y):  # type: ignore[no-untyped-def]
    """The node at the end of a straight line, followed from cell to cell over linked floor; -1 where it ends."""
    i, j = space.column[node] % space.nx, space.column[node] // space.nx
    i_end, j_end = int(math.floor(to_x / space.cell)), int(math.floor(to_y / space.cell))
    dx, dy = to_x - x, to_y - y
    while i != i_end or j != j_end:
        t_x = t_y = np.inf
        if i != i_end:
            t_x = ((i + (i_end > i)) * space.cell - x) / dx
        if j != j_end:
            t_y = ((j + (j_end > j)) * space.cell - y) / dy
        if t_x <= t_y:
            direction = 0 if i_end > i else 2
            i += 1 if i_end > i else -1
        else:
            direction = 1 if j_end > j else 3
            j += 1 if j_end > j else -1
        node = space.links[node, direction]
        if node < 0:
            return -1
    return node


@kernel
def nearest_border(space, node, x, y):  # type: ignore[no-untyped-def]
    """(distance, unit direction away from it) of the nearest border listed near the radius; inf when none is."""
    best, found = np.inf, -1
    for at in range(space.near_start[node], space.near_start[node + 1]):
        distance = to_border(space.borders[space.near[at]], x, y)
        if distance < best:
            best, found = distance, space.near[at]
    if found < 0 or best == 0.0:
        return best, 0.0, 0.0
    border = space.borders[found]
    u = x - min(max(x, border[0]), border[2])
    v = y - min(max(y, border[1]), border[3])
    return best, u / best, v / best


@kernel
def _to_middle(space, node, x, y):  # type: ignore[no-untyped-def]
    u = x - (space.column[node] % space.nx + 0.5) * space.cell
    v = y - (space.column[node] // space.nx + 0.5) * space.cell
    return math.sqrt(u * u + v * v)


@kernel
def clearance_at(space, node, x, y):  # type: ignore[no-untyped-def]
    """Metres around a point that surely hold no border: exact about the radius, elsewhere up to 0.8 cells too few."""
    best = np.float64(0.0)
    if space.component[node] < 0 and space.distance[node] == 0.0:
        return best
    for direction in range(9):
        other = node if direction == 8 else neighbour(space.links, node, direction)
        if other >= 0:
            best = max(best, space.distance[other] - _to_middle(space, other, x, y) - _CARRY * space.cell)
    listed = nearest_border(space, node, x, y)[0]
    if listed < space.radius:
        return listed
    if space.distance[node] < space.radius - 1.3 * space.cell:
        return best
    return max(best, min(listed, space.radius + HALF_DIAGONAL * space.cell - _to_middle(space, node, x, y)))


@kernel
def visible(space, node, x, y, to_x, to_y):  # type: ignore[no-untyped-def]
    """The node at the end of a straight line that is navigable all along, else -1; its start has to be."""
    island = space.component[node]
    length = math.sqrt((to_x - x) ** 2 + (to_y - y) ** 2)
    least = min(space.cell / 2, space.radius / 4)
    done = 0.0
    here_x, here_y = x, y
    while done < length:
        aside = _to_middle(space, node, here_x, here_y)
        slack = space.distance[node] - space.radius - aside - SLACK * space.cell
        if slack <= least:
            listed = nearest_border(space, node, here_x, here_y)[0]
            slack = min(listed - space.radius, HALF_DIAGONAL * space.cell - aside)  # no farther than the list is whole
        done = min(done + max(slack, least), length)
        t = done / length
        there_x, there_y = x + t * (to_x - x), y + t * (to_y - y)
        node = walk(space, node, here_x, here_y, there_x, there_y)
        if not _is_on_island(space, island, node, there_x, there_y):
            return -1
        here_x, here_y = there_x, there_y
    return node


@kernel
def _settle(space, node, x, y, to_x, to_y):  # type: ignore[no-untyped-def]
    """Go to a point less than half a radius away, pushed out of what it touches: (node or -1, x, y)."""
    here_x, here_y = to_x, to_y
    for _ in range(8):
        if math.sqrt((here_x - x) ** 2 + (here_y - y) ** 2) > 0.75 * space.radius:
            return -1, x, y
        there = walk(space, node, x, y, here_x, here_y)
        if there < 0:
            return -1, x, y
        if _is_on_island(space, space.component[node], there, here_x, here_y):
            return there, here_x, here_y
        distance, away_x, away_y = nearest_border(space, there, here_x, here_y)
        if distance == 0.0 or distance >= space.radius:
            return -1, x, y
        push = space.radius + _MARGIN - distance
        here_x += push * away_x
        here_y += push * away_y
    return -1, x, y


@kernel
def advance(space, node, x, y, to_x, to_y):  # type: ignore[no-untyped-def]
    """Move from a navigable point along a line, sliding where it is blocked: (node, x, y, contact)."""
    there = visible(space, node, x, y, to_x, to_y)
    if there >= 0:
        return there, to_x, to_y, False
    length = math.sqrt((to_x - x) ** 2 + (to_y - y) ** 2)
    steps = int(math.ceil(length / min(space.cell / 2, space.radius / 2)))
    step_x, step_y = (to_x - x) / steps, (to_y - y) / steps
    for _ in range(steps):
        part = 1.0
        before_x, before_y = x, y
        while part > 0.1:
            there, x, y = _settle(space, node, before_x, before_y, before_x + part * step_x, before_y + part * step_y)
            if there >= 0:
                node = there
                break
            part /= 2
        if (x - before_x) * step_x + (y - before_y) * step_y <= 1e-9 * length:
            break  # it does not get on from here, and never will
    return node, x, y, True


@kernel
def nearest_navigable(space, x, y, z, reach):  # type: ignore[no-untyped-def]
    """(node or -1, x, y) of the navigable point nearest to a point; a metre of height counts as two."""
    here = find_node(space, x, y, z, LEVEL_REACH)
    if is_navigable(space, here, x, y):
        return here, x, y
    i, j = int(math.floor(x / space.cell)), int(math.floor(y / space.cell))
    best, found, best_x, best_y = np.inf, -1, x, y
    rings = int(math.ceil(reach / space.cell)) + 1
    for ring in range(rings + 1):
        if (ring - 1) * space.cell > min(best, reach):
            break
        for row in range(max(j - ring, 0), min(j + ring, space.ny - 1) + 1):
            stride = 1 if abs(row - j) == ring else max(2 * ring, 1)
            for column in range(i - ring, i + ring + 1, stride):
                if not 0 <= column < space.nx:
                    continue
                at = row * space.nx + column
                for node in range(space.start[at], space.start[at + 1]):
                    if space.component[node] < 0:
                        continue
                    near_x = min(max(x, column * space.cell + 1e-6), (column + 1) * space.cell - 1e-6)
                    near_y = min(max(y, row * space.cell + 1e-6), (row + 1) * space.cell - 1e-6)
                    height = max(space.low[node] - z, z - space.high[node], 0.0)
                    if math.sqrt((near_x - x) ** 2 + (near_y - y) ** 2 + 4 * height**2) >= best:
                        continue
                    if not is_clear(space, node, near_x, near_y):
                        near_x, near_y = (column + 0.5) * space.cell, (row + 0.5) * space.cell
                        if not space.central[node]:
                            continue
                    flat = (near_x - x) ** 2 + (near_y - y) ** 2
                    cost = math.sqrt(flat + 4 * height**2)
                    if cost < best and flat + height**2 <= reach**2:
                        best, found, best_x, best_y = cost, node, near_x, near_y
    return found, best_x, best_y

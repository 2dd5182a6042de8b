"""Where something can stand: floors found in a triangle mesh, column by column of a plane grid.

Every triangle is clipped to each cell it touches, so thin sheets, chair legs and slanted boards are all caught. A piece
keeps its range of heights and its bounding box inside the cell; obstacles and drops parallel to the axes are therefore
known to 1/255 of a cell, slanted ones to one cell, always on the safe side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nav_foundation.robot import Footprint
from sim_envs.compiled import kernel
from sim_envs.mesh import SceneMesh
from sim_envs.simulator import SceneError

MAX_CELLS = 16_000_000
FULL = 255  # a box coordinate at the far side of its cell
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # of Surfaces.links: +x, +y, -x, -y

_ON_LINE = 1e-5  # cells; a corner this near to a grid line lies on it
_LEVEL = 1e-3  # m; walkable pieces this close in height are one floor
_TOUCH = 1e-4  # m; slack of comparisons between heights
_CRACK = 0.05  # m; the widest gap between two pieces of floor that is driven over
_WALKABLE, _UP, _DOWN = 1, 2, 4  # bits of a piece's kind
UNDER_SKY, UNDER_CEILING, INSIDE_SOLID = 0, 1, 2  # Surfaces.shelter


@dataclass(frozen=True)
class Surfaces:
    """Pieces of floor ("nodes") with headroom, sorted by column (row-major, row = y) and by height inside a column."""

    cell: float  # m
    origin: tuple[float, float]  # world x, y of the outer corner of column 0
    shape: tuple[int, int]  # columns of cells along x, along y
    start: np.ndarray  # [nx * ny + 1] int32, the nodes of column k are start[k] .. start[k + 1]
    column: np.ndarray  # [N] int32
    low: np.ndarray  # [N] float32 m, lowest and highest floor inside the cell
    high: np.ndarray  # [N] float32 m
    floor: np.ndarray  # [N, 4] uint8 x0, y0, x1, y1: what of the cell the floor covers, in 1/255 of the cell
    obstacle: np.ndarray  # [N, 4] uint8, likewise what the robot's body would touch; x0 > x1 means nothing
    links: np.ndarray  # [N, 4] int32, the node one can walk on to in each of DIRECTIONS, -1 = obstacle or drop
    shelter: np.ndarray  # [N] uint8, what is overhead: UNDER_SKY, UNDER_CEILING or INSIDE_SOLID
    raised: np.ndarray  # [N] bool, another floor lies below
    occupied: np.ndarray  # [nx * ny] bool, the column holds something


def build_surfaces(mesh: SceneMesh, footprint: Footprint) -> Surfaces:
    """The floors of a mesh. Cells measure `mesh.navigation_cell`, or more where that would make over 16 million."""
    triangles = np.ascontiguousarray(mesh.triangles)
    if len(triangles) == 0:
        raise SceneError("the scene has no triangles: give a mesh with at least a floor")
    if not np.isfinite(triangles).all():
        raise SceneError("the scene has vertices that are not finite numbers: repair the mesh")
    if not (math.isfinite(mesh.navigation_cell) and mesh.navigation_cell > 0):
        raise SceneError(f"navigation_cell is {mesh.navigation_cell}: give the grid's cell in metres, above 0")
    low, high = triangles.reshape(-1, 3).min(axis=0)[:2], triangles.reshape(-1, 3).max(axis=0)[:2]
    extent = (high - low).astype(np.float64)
    cell = float(mesh.navigation_cell)
    while (extent[0] / cell + 3) * (extent[1] / cell + 3) > MAX_CELLS:
        cell *= 1.25
    x0, y0 = (math.floor(value / cell) - 1 for value in low.tolist())
    nx, ny = (math.floor(value / cell) + 2 - first for value, first in zip(high.tolist(), (x0, y0)))
    origin = (x0 * cell, y0 * cell)

    kinds = _kinds(triangles, math.cos(footprint.max_slope))
    start = np.zeros(nx * ny + 1, np.int32)
    nothing = np.empty(0, np.float32)
    _rasterise(triangles, kinds, origin, cell, nx, ny, start[1:], nothing, nothing, np.empty((0, 4), np.uint8),
               np.empty(0, np.uint8), False)
    np.cumsum(start, out=start)
    total = int(start[-1])
    bottom, top = np.empty(total, np.float32), np.empty(total, np.float32)
    box, kind = np.empty((total, 4), np.uint8), np.empty(total, np.uint8)
    _rasterise(triangles, kinds, origin, cell, nx, ny, start[:-1].copy(), bottom, top, box, kind, True)

    step = float(footprint.step_height)
    parts = _find_floors(start, bottom, top, box, kind, step, float(footprint.height), step + 1.5 * cell)
    node_start, column, node_low, node_high, floor, obstacle, shelter, raised = parts
    links = _link(node_start, column, node_low, node_high, floor, nx, ny, step + _TOUCH, _CRACK / cell * FULL)
    return Surfaces(cell, origin, (nx, ny), node_start, column, node_low, node_high, floor, obstacle, links, shelter,
                    raised, np.diff(start) > 0)


def _kinds(triangles: np.ndarray, flattest: float) -> np.ndarray:
    """[F] uint8: which triangles can be walked on, and which way they face. Both sides of a triangle are solid."""
    a, b, c = (triangles[:, k].astype(np.float64) for k in range(3))
    normal = np.cross(b - a, c - a)
    size = np.linalg.norm(normal, axis=1)
    upward = normal[:, 2] / np.where(size > 0, size, 1.0)
    walkable = (np.abs(upward) >= flattest - 1e-6) & (np.abs(upward) > 1e-3)
    return (walkable * _WALKABLE + (upward > 0.3) * _UP + (upward < -0.3) * _DOWN).astype(np.uint8)


@kernel
def _put(target, k, x, y, z):  # type: ignore[no-untyped-def]
    target[k, 0], target[k, 1], target[k, 2] = x, y, z
    return k + 1


@kernel
def _split(polygon, count, axis, at, below, above):  # type: ignore[no-untyped-def]
    """Cut a convex polygon [count, 3] along axis = at; returns the corner counts below and above."""
    least, most = np.inf, -np.inf
    for k in range(count):
        least, most = min(least, polygon[k, axis]), max(most, polygon[k, axis])
    if most <= at + _ON_LINE and least < at - _ON_LINE:
        for k in range(count):
            _put(below, k, polygon[k, 0], polygon[k, 1], polygon[k, 2])
        return count, 0
    if least >= at - _ON_LINE:
        for k in range(count):
            _put(above, k, polygon[k, 0], polygon[k, 1], polygon[k, 2])
        return 0, count
    low = high = 0
    for k in range(count):
        x, y, z = polygon[k, 0], polygon[k, 1], polygon[k, 2]
        follower = k + 1 if k + 1 < count else 0
        a, b = polygon[k, axis] - at, polygon[follower, axis] - at
        if a <= _ON_LINE:
            low = _put(below, low, x, y, z)
        if a >= -_ON_LINE:
            high = _put(above, high, x, y, z)
        if abs(a) > _ON_LINE and abs(b) > _ON_LINE and a * b < 0:
            t = a / (a - b)
            x += t * (polygon[follower, 0] - x)
            y += t * (polygon[follower, 1] - y)
            z += t * (polygon[follower, 2] - z)
            x, y = (at, y) if axis == 0 else (x, at)
            low, high = _put(below, low, x, y, z), _put(above, high, x, y, z)
    return low, high


@kernel
def _covered(row, count, y):  # type: ignore[no-untyped-def]
    """The first and last column + 1 whose cells of row y lie wholly inside a polygon already cut to that row."""
    left0 = left1 = np.inf
    right0 = right1 = -np.inf
    for k in range(count):
        if row[k, 1] <= y + _ON_LINE:
            left0, right0 = min(left0, row[k, 0]), max(right0, row[k, 0])
        if row[k, 1] >= y + 1 - _ON_LINE:
            left1, right1 = min(left1, row[k, 0]), max(right1, row[k, 0])
    left, right = max(left0, left1), min(right0, right1)
    if not left < right < np.inf:
        return 0, 0
    return int(math.ceil(left - _ON_LINE)), int(math.floor(right + _ON_LINE))


@kernel
def _quantised(value, up):  # type: ignore[no-untyped-def]
    scaled = value * FULL
    rounded = math.ceil(scaled - 1e-3) if up else math.floor(scaled + 1e-3)
    return min(max(int(rounded), 0), FULL)


@kernel
def _store(k, piece, count, i, j, bottom, top, box):  # type: ignore[no-untyped-def]
    x0 = y0 = z0 = np.inf
    x1 = y1 = z1 = -np.inf
    for c in range(count):
        x, y, z = piece[c, 0], piece[c, 1], piece[c, 2]
        x0, x1 = min(x0, x), max(x1, x)
        y0, y1 = min(y0, y), max(y1, y)
        z0, z1 = min(z0, z), max(z1, z)
    bottom[k], top[k] = z0, z1
    box[k, 0], box[k, 1] = _quantised(x0 - i, False), _quantised(y0 - j, False)
    box[k, 2], box[k, 3] = _quantised(x1 - i, True), _quantised(y1 - j, True)


@kernel
def _plane(corners):  # type: ignore[no-untyped-def]
    """A corner of a triangle and its slopes along x and y; no slope if it stands upright."""
    x, y, z = corners[0, 0], corners[0, 1], corners[0, 2]
    ux, uy, uz = corners[1, 0] - x, corners[1, 1] - y, corners[1, 2] - z
    vx, vy, vz = corners[2, 0] - x, corners[2, 1] - y, corners[2, 2] - z
    area = ux * vy - uy * vx
    if abs(area) < 1e-12:
        return x, y, z, 0.0, 0.0
    return x, y, z, (uz * vy - uy * vz) / area, (ux * vz - uz * vx) / area


@kernel
def _rasterise(triangles, kinds, origin, cell, nx, ny, cursor, bottom, top, box, kind, fill):  # type: ignore[no-untyped-def]
    """Count the pieces of each column in `cursor`, or (fill) store them where the cursors point."""
    rest, row, spare, piece, tail = (np.empty((12, 3)), np.empty((12, 3)), np.empty((12, 3)), np.empty((12, 3)),
                                     np.empty((12, 3)))
    for f in range(len(triangles)):
        x0 = y0 = np.inf
        x1 = y1 = -np.inf
        for c in range(3):
            x, y = (triangles[f, c, 0] - origin[0]) / cell, (triangles[f, c, 1] - origin[1]) / cell
            _put(rest, c, x, y, triangles[f, c, 2])
            x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
        i, j = int(math.floor(x0 + _ON_LINE)), int(math.floor(y0 + _ON_LINE))
        if x1 <= i + 1 + _ON_LINE and y1 <= j + 1 + _ON_LINE:
            k = cursor[j * nx + i]
            cursor[j * nx + i] += 1
            if fill:
                _store(k, rest, 3, i, j, bottom, top, box)
                kind[k] = kinds[f]
            continue
        ax, ay, az, slope_x, slope_y = _plane(rest)
        z0, z1 = min(az, rest[1, 2], rest[2, 2]), max(az, rest[1, 2], rest[2, 2])
        half = (abs(slope_x) + abs(slope_y)) / 2
        left = 3
        while left > 0 and j < ny:
            count, left = _split(rest, left, 1, j + 1.0, row, spare)
            rest, spare = spare, rest
            first, last = _covered(row, count, j) if min(x1 - x0, y1 - y0) >= 1.0 else (0, 0)
            least = np.inf
            for c in range(count):
                least = min(least, row[c, 0])
            i = int(math.floor(least + _ON_LINE)) if count > 0 else nx
            while count > 0 and i < nx:
                if i == first and first < last:
                    for i in range(first, last):
                        k = cursor[j * nx + i]
                        cursor[j * nx + i] += 1
                        if fill:
                            z = az + slope_x * (i + 0.5 - ax) + slope_y * (j + 0.5 - ay)
                            bottom[k], top[k] = min(max(z - half, z0), z1), max(min(z + half, z1), z0)
                            box[k, 0], box[k, 1], box[k, 2], box[k, 3] = 0, 0, FULL, FULL
                            kind[k] = kinds[f]
                    i = last
                    _, count = _split(row, count, 0, float(last), piece, tail)
                    row, tail = tail, row
                    continue
                n, count = _split(row, count, 0, i + 1.0, piece, tail)
                row, tail = tail, row
                if n > 0:
                    k = cursor[j * nx + i]
                    cursor[j * nx + i] += 1
                    if fill:
                        _store(k, piece, n, i, j, bottom, top, box)
                        kind[k] = kinds[f]
                i += 1
            j += 1


@kernel
def _copy_level(low, high, cover, source, target):  # type: ignore[no-untyped-def]
    low[target], high[target] = low[source], high[source]
    for side in range(4):
        cover[target, side] = cover[source, side]


@kernel
def _widen(boxes, a, others, b):  # type: ignore[no-untyped-def]
    boxes[a, 0], boxes[a, 1] = min(boxes[a, 0], others[b, 0]), min(boxes[a, 1], others[b, 1])
    boxes[a, 2], boxes[a, 3] = max(boxes[a, 2], others[b, 2]), max(boxes[a, 3], others[b, 3])


@kernel
def _clear(boxes, a):  # type: ignore[no-untyped-def]
    boxes[a, 0] = boxes[a, 1] = FULL
    boxes[a, 2] = boxes[a, 3] = 0


@kernel
def _covers(boxes, a, others, b):  # type: ignore[no-untyped-def]
    return (boxes[a, 0] <= others[b, 0] + 1 and boxes[a, 1] <= others[b, 1] + 1 and boxes[a, 2] + 1 >= others[b, 2]
            and boxes[a, 3] + 1 >= others[b, 3])


@kernel
def _levels(order, count, bottom, top, box, kind, low, high, cover):  # type: ignore[no-untyped-def]
    """The levels of one column: walkable pieces of the same height, joined, from the lowest up."""
    levels = 0
    for at in range(count):
        k = order[at]
        if not kind[k] & _WALKABLE or box[k, 2] - box[k, 0] < 2 or box[k, 3] - box[k, 1] < 2:
            continue
        if levels > 0 and bottom[k] <= high[levels - 1] + _LEVEL:
            high[levels - 1] = max(high[levels - 1], top[k])
            _widen(cover, levels - 1, box, k)
        else:
            low[levels], high[levels] = bottom[k], top[k]
            for side in range(4):
                cover[levels, side] = box[k, side]
            levels += 1
    return levels


@kernel
def _bury(levels, low, high, cover, height, above):  # type: ignore[no-untyped-def]
    """Drop levels wholly under others within the robot's height, in place: treads hide what is inside a staircase."""
    kept = 0
    for k in range(levels):
        _clear(above, 0)
        for other in range(k + 1, levels):
            if low[other] < high[k] + height - _TOUCH:
                _widen(above, 0, cover, other)
        if not _covers(above, 0, cover, k):
            _copy_level(low, high, cover, k, kept)
            kept += 1
    return kept


@kernel
def _join_steps(levels, low, high, cover, step, rise):  # type: ignore[no-untyped-def]
    """Join levels one step apart into one floor that spans both, in place."""
    kept = 0
    for k in range(1, levels):
        if low[k] - high[kept] <= step + _TOUCH and high[k] - low[kept] <= rise:
            high[kept] = max(high[kept], high[k])
            _widen(cover, kept, cover, k)
        else:
            kept += 1
            _copy_level(low, high, cover, k, kept)
    return min(levels, kept + 1)


@kernel
def _find_floors(start, bottom, top, box, kind, step, height, rise):  # type: ignore[no-untyped-def]
    """The floors of every column that are not wholly covered by obstacles: the arrays of Surfaces."""
    columns = len(start) - 1
    bound = deepest = 0
    for k in range(len(kind)):
        bound += kind[k] & _WALKABLE
    for c in range(columns):
        deepest = max(deepest, start[c + 1] - start[c])
    node_start, column = np.zeros(columns + 1, np.int32), np.empty(bound, np.int32)
    node_low, node_high = np.empty(bound, np.float32), np.empty(bound, np.float32)
    floor, obstacle = np.empty((bound, 4), np.uint8), np.empty((bound, 4), np.uint8)
    shelter, raised = np.empty(bound, np.uint8), np.empty(bound, np.bool_)
    order = np.empty(deepest, np.int64)
    low, high, cover = np.empty(deepest), np.empty(deepest), np.empty((deepest, 4), np.int64)
    body = np.empty((1, 4), np.int64)
    nodes = 0
    for c in range(columns):
        count = start[c + 1] - start[c]
        for at in range(count):
            k = start[c] + at
            place = at
            while place > 0 and bottom[order[place - 1]] > bottom[k]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = k
        levels = _levels(order, count, bottom, top, box, kind, low, high, cover)
        levels = _bury(levels, low, high, cover, height, body)
        levels = _join_steps(levels, low, high, cover, step, rise)
        for level in range(levels):
            _clear(body, 0)
            above = UNDER_SKY
            for at in range(count):
                k = order[at]
                if top[k] <= high[level] + step + _TOUCH:
                    continue
                if bottom[k] < high[level] + height - _TOUCH:
                    _widen(body, 0, box, k)
                elif kind[k] & (_UP | _DOWN):
                    above = INSIDE_SOLID if kind[k] & _UP else UNDER_CEILING
                    break
            if _covers(body, 0, cover, level):
                continue
            column[nodes], node_low[nodes], node_high[nodes] = c, low[level], high[level]
            for side in range(4):
                floor[nodes, side], obstacle[nodes, side] = cover[level, side], body[0, side]
            shelter[nodes], raised[nodes] = above, nodes > node_start[c]
            nodes += 1
        node_start[c + 1] = nodes
    return (node_start, column[:nodes].copy(), node_low[:nodes].copy(), node_high[:nodes].copy(), floor[:nodes].copy(),
            obstacle[:nodes].copy(), shelter[:nodes].copy(), raised[:nodes].copy())


@kernel
def _best_link(node, other_column, direction, start, low, high, floor, reach, crack):  # type: ignore[no-untyped-def]
    axis, positive = direction % 2, direction < 2
    best, found = reach, -1
    for other in range(start[other_column], start[other_column + 1]):
        near, far = (node, other) if positive else (other, node)
        if FULL - floor[near, 2 + axis] + floor[far, axis] > max(crack, 4.0):
            continue
        gap = max(low[node] - high[other], low[other] - high[node], 0.0)
        if gap < best or (gap <= best and found < 0):
            best, found = gap, other
    return found


@kernel
def _link(start, column, low, high, floor, nx, ny, reach, crack):  # type: ignore[no-untyped-def]
    """Neighbours whose heights lie within `reach`; a link exists only if it is the best for both of its ends."""
    links = np.full((len(low), 4), -1, np.int32)
    for node in range(len(low)):
        i, j = column[node] % nx, column[node] // nx
        for direction in range(4):
            dx, dy = DIRECTIONS[direction]
            if 0 <= i + dx < nx and 0 <= j + dy < ny:
                links[node, direction] = _best_link(
                    node, column[node] + dx + dy * nx, direction, start, low, high, floor, reach, crack)
    for node in range(len(low)):
        for direction in range(4):
            other = links[node, direction]
            if other >= 0 and links[other, (direction + 2) % 4] != node:
                links[node, direction] = -1
    return links

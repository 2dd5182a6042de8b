"""How far it is to drive: fast marching over the navigable cells.

The field of distances around a set of goals grows only as far as it is asked for and can be kept, so that a robot that
asks again on its way pays for a lookup. The field picks the way round; `paths` pulls it taut, and that is measured.
"""

from __future__ import annotations

import math

import numpy as np

from sim_envs.compiled import kernel
from sim_envs.navigation.freespace import Freespace, neighbour
from sim_envs.navigation.motion import visible
from sim_envs.navigation.paths import follow_floor, straighten

_SEED_REACH = 6  # cells around a goal with exact distances: marching is least accurate at its source
_MANY_GOALS = 16  # with more of them, exact distances reach 2 cells, and 1 cell with many times more
_FAR, _TRIAL, _KNOWN, _SEED = 0, 1, 2, 3


class DistanceField:
    """Distances to the nearest of some navigable points, grown on demand."""

    def __init__(self, space: Freespace, nodes: np.ndarray, points: np.ndarray):
        """`nodes` [G] int64 and `points` [G, 2] (m from the grid's corner) of the goals, all navigable."""
        count = len(space.column)
        self._space, self._nodes, self._points = space, nodes, points
        self._components = frozenset(space.component[nodes].tolist())
        time = np.full(count, np.inf, np.float32)
        state, source = np.zeros(count, np.uint8), np.empty(count, np.int32)
        heap, place, size = np.empty(count, np.int32), np.empty(count, np.int32), np.zeros(1, np.int64)
        self._field = (time, state, source, heap, place, size)
        reach = _SEED_REACH if len(nodes) <= _MANY_GOALS else 2 if len(nodes) <= 16 * _MANY_GOALS else 1
        _seed_all(space, nodes, points, reach, *self._field)

    def path(self, node: int, point: np.ndarray, ripple: float) -> tuple[np.ndarray, int]:
        """[K, 3] taut path (x, y in grid metres, z of the floor) from a navigable point, and the goal it reaches.

        Empty and -1 if there is none. Heights follow the floor up to `ripple` metres.
        """
        space, nothing = self._space, (np.empty((0, 3)), -1)
        if int(space.component[node]) not in self._components:
            return nothing
        x, y = point.tolist()
        targets, offsets = _gates(space, node, x, y)
        first = int(_march(space, targets, offsets, *self._field))
        if first < 0:
            return nothing
        nodes, points, last = _descend(space, first, *self._field)
        goal = int(self._field[2][last])
        nodes = np.concatenate([[node], nodes, self._nodes[goal:goal + 1]])
        points = np.concatenate([[point], points, self._points[goal:goal + 1]])
        nodes, points = straighten(space, nodes, points)
        return follow_floor(space, nodes, points, ripple), goal


@kernel
def _step_length(space, node, other):  # type: ignore[no-untyped-def]
    rise = (space.low[node] + space.high[node] - space.low[other] - space.high[other]) / 2
    return math.sqrt(space.cell**2 + rise**2)


@kernel
def _sift_up(at, time, heap, place):  # type: ignore[no-untyped-def]
    node = heap[at]
    while at > 0:
        parent = (at - 1) // 2
        if time[heap[parent]] <= time[node]:
            break
        heap[at] = heap[parent]
        place[heap[at]] = at
        at = parent
    heap[at] = node
    place[node] = at


@kernel
def _pop(time, heap, place, size):  # type: ignore[no-untyped-def]
    top = heap[0]
    size[0] -= 1
    node, at = heap[size[0]], 0
    while True:
        child = 2 * at + 1
        if child >= size[0]:
            break
        if child + 1 < size[0] and time[heap[child + 1]] < time[heap[child]]:
            child += 1
        if time[node] <= time[heap[child]]:
            break
        heap[at] = heap[child]
        place[heap[at]] = at
        at = child
    heap[at] = node
    place[node] = at
    return top


@kernel
def _offer(node, value, label, mark, time, state, source, heap, place, size):  # type: ignore[no-untyped-def]
    """Lower a node's distance if `value` is less, keeping the heap in order."""
    if value >= time[node]:
        return
    if time[node] == np.inf:
        place[node] = size[0]
        heap[size[0]] = node
        size[0] += 1
    time[node], source[node], state[node] = value, label, mark
    _sift_up(place[node], time, heap, place)


@kernel
def _middle(space, node):  # type: ignore[no-untyped-def]
    column = space.column[node]
    return (column % space.nx + 0.5) * space.cell, (column // space.nx + 0.5) * space.cell


@kernel
def _gates(space, node, x, y):  # type: ignore[no-untyped-def]
    """Cells whose middles join a point to the field, and how far they are; -1 fills up.

    They are the cells around it that are seen from it, or all that are there if none is.
    """
    targets, offsets = np.full(9, -1, np.int64), np.zeros(9)
    for everything in (False, True):
        for direction in range(9):
            other = node if direction == 8 else neighbour(space.links, node, direction)
            if other < 0 or not space.central[other]:
                continue
            to_x, to_y = _middle(space, other)
            if everything or visible(space, node, x, y, to_x, to_y) == other:
                targets[direction] = other
                offsets[direction] = math.sqrt((to_x - x) ** 2 + (to_y - y) ** 2)
        if targets.max() >= 0:
            break
    return targets, offsets


@kernel
def _seed_all(space, nodes, points, reach, time, state, source, heap, place, size):  # type: ignore[no-untyped-def]
    for goal in range(len(nodes)):
        x, y = points[goal]
        _seed(space, goal, nodes[goal], x, y, reach, time, state, source, heap, place, size)


@kernel
def _seed(space, goal, node, x, y, reach, time, state, source, heap, place, size):  # type: ignore[no-untyped-def]
    """Exact distances to the middles of cells around a goal that are seen from it."""
    i, j = space.column[node] % space.nx, space.column[node] // space.nx
    z = (space.low[node] + space.high[node]) / 2
    for row in range(max(j - reach, 0), min(j + reach, space.ny - 1) + 1):
        for column in range(max(i - reach, 0), min(i + reach, space.nx - 1) + 1):
            to_x, to_y = (column + 0.5) * space.cell, (row + 0.5) * space.cell
            other = visible(space, node, x, y, to_x, to_y)
            if other >= 0 and space.central[other]:
                rise = (space.low[other] + space.high[other]) / 2 - z
                exact = math.sqrt((to_x - x) ** 2 + (to_y - y) ** 2 + rise**2)
                _offer(other, np.float32(exact), goal, _SEED, time, state, source, heap, place, size)
    targets, offsets = _gates(space, node, x, y)
    for k in range(len(targets)):
        if targets[k] >= 0:
            _offer(targets[k], np.float32(offsets[k]), goal, _SEED, time, state, source, heap, place, size)


@kernel
def _arrival(space, node, time, state):  # type: ignore[no-untyped-def]
    """(distance, known neighbour it comes from) by the upwind Eikonal equation, second order where it can be."""
    weight, base, least = np.zeros(2), np.zeros(2), np.full(2, np.inf)
    best, origin = np.inf, -1
    for axis in range(2):
        for direction in (axis, axis + 2):
            other = space.links[node, direction]
            if other < 0 or not space.edges[node] >> direction & 1 or state[other] != _KNOWN:
                continue
            if time[other] >= least[axis]:
                continue
            step = _step_length(space, node, other)
            least[axis] = np.float64(time[other])
            weight[axis], base[axis] = 1 / step**2, least[axis]
            if least[axis] + step < best:
                best, origin = least[axis] + step, other
            beyond = space.links[other, direction]
            if beyond >= 0 and space.edges[other] >> direction & 1 and state[beyond] == _KNOWN:
                if time[beyond] <= time[other] and abs(_step_length(space, other, beyond) - step) < 0.1 * step:
                    weight[axis], base[axis] = 2.25 / step**2, (4 * least[axis] - np.float64(time[beyond])) / 3
    if least[0] < np.inf and least[1] < np.inf:
        a = weight[0] + weight[1]
        b = weight[0] * base[0] + weight[1] * base[1]
        c = weight[0] * base[0] ** 2 + weight[1] * base[1] ** 2 - 1
        if b * b - a * c >= 0:
            value = (b + math.sqrt(b * b - a * c)) / a
            if value >= max(least[0], least[1]):
                return min(best, value), origin
    return best, origin


@kernel
def _march(space, targets, offsets, time, state, source, heap, place, size):  # type: ignore[no-untyped-def]
    """Grow the field until the best of the targets is settled; returns it, or -1 if none can be reached."""
    best, found = np.inf, -1
    for k in range(len(targets)):
        if targets[k] >= 0 and state[targets[k]] == _KNOWN and time[targets[k]] + offsets[k] < best:
            best, found = time[targets[k]] + offsets[k], targets[k]
    while size[0] > 0 and time[heap[0]] < best:
        node = _pop(time, heap, place, size)
        state[node] = _KNOWN
        for k in range(len(targets)):
            if targets[k] == node and time[node] + offsets[k] < best:
                best, found = time[node] + offsets[k], node
        for direction in range(4):
            other = space.links[node, direction]
            if other < 0 or not space.edges[node] >> direction & 1 or state[other] >= _KNOWN:
                continue
            value, origin = _arrival(space, other, time, state)
            # A second-order estimate must not undercut what it came from: descending the field has to end.
            value = max(np.float32(value), np.nextafter(time[origin], np.float32(np.inf)))
            _offer(other, value, source[origin], _TRIAL, time, state, source, heap, place, size)
    return found


@kernel
def _descend(space, node, time, state, source, heap, place, size):  # type: ignore[no-untyped-def]
    """Nodes [K] and middles [K, 2] of the cells from a known node down to its goal, and the last node."""
    nodes, count = np.empty(256, np.int64), 0
    while True:
        if count == len(nodes):
            nodes = np.concatenate((nodes, np.empty_like(nodes)))
        nodes[count] = node
        count += 1
        steepest, following = 0.0, -1
        for direction in range(8):
            other = neighbour(space.links, node, direction)
            if other < 0 or not space.edges[node] >> direction & 1 or state[other] != _KNOWN:
                continue
            drop = (np.float64(time[node]) - time[other]) / (1.0 if direction < 4 else math.sqrt(2.0))
            if drop > steepest:
                steepest, following = drop, other
        if following < 0:
            break
        node = following
    points = np.empty((count, 2))
    for k in range(count):
        points[k] = _middle(space, nodes[k])
    return nodes[:count], points, node

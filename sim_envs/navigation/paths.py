"""Any-angle paths: a way from cell to cell pulled taut around corners, and laid on the floor."""

from __future__ import annotations

import math

import numpy as np

from sim_envs.compiled import kernel
from sim_envs.navigation.motion import height_at, visible, walk

_CHOPS = 2  # rounds of corner cutting; each quarters what an arc is overestimated by
_GAIN = 1e-3  # least part of the length worth another round


@kernel
def _sees(space, nodes, points, a, b):  # type: ignore[no-untyped-def]
    return visible(space, nodes[a], points[a, 0], points[a, 1], points[b, 0], points[b, 1]) == nodes[b]


@kernel
def _length(points, count):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(1, count):
        total += math.hypot(points[k, 0] - points[k - 1, 0], points[k, 1] - points[k - 1, 1])
    return total


@kernel
def _leap(space, nodes, points, count):  # type: ignore[no-untyped-def]
    """Keep only corners, in place: from each, leap to the farthest point in sight. Returns how many are left."""
    kept = at = 0
    while at < count - 1:
        ahead, stride = at + 1, 1
        while ahead + stride < count and _sees(space, nodes, points, at, ahead + stride):
            ahead += stride
            stride *= 2
        while stride > 1:
            stride //= 2
            if ahead + stride < count and _sees(space, nodes, points, at, ahead + stride):
                ahead += stride
        kept += 1
        nodes[kept], points[kept] = nodes[ahead], points[ahead]
        # What was leapt from now stands at `kept`; nothing before `ahead` is read again.
        at = ahead
    return kept + 1


@kernel
def _pull(space, nodes, points, k, along, other):  # type: ignore[no-untyped-def]
    """Move corner k along its straight piece to point `along`, as far as point `other` stays in sight: never longer."""
    x, y = points[k]
    piece = math.hypot(points[along, 0] - x, points[along, 1] - y)
    start, free, blocked = nodes[k], 0.0, 1.0
    while (blocked - free) * piece > space.cell / 8:
        part = (free + blocked) / 2
        to_x, to_y = x + part * (points[along, 0] - x), y + part * (points[along, 1] - y)
        node = walk(space, start, x, y, to_x, to_y)
        if node >= 0 and visible(space, node, to_x, to_y, points[other, 0], points[other, 1]) == nodes[other]:
            nodes[k], points[k, 0], points[k, 1] = node, to_x, to_y
            free = part
        else:
            blocked = part


@kernel
def _tighten(space, nodes, points, count):  # type: ignore[no-untyped-def]
    """One pass over the corners: drop those not needed, pull the others. Returns how many are left."""
    k = 1
    while k < count - 1:
        if _sees(space, nodes, points, k - 1, k + 1):
            nodes[k:count - 1] = nodes[k + 1:count].copy()
            points[k:count - 1] = points[k + 1:count].copy()
            count -= 1
        else:
            _pull(space, nodes, points, k, k - 1, k + 1)
            _pull(space, nodes, points, k, k + 1, k - 1)
            k += 1
    return count


@kernel
def _chop(space, nodes, points, count):  # type: ignore[no-untyped-def]
    """Cut every corner that can be cut into two: the way around a round robot's corner is an arc."""
    new_nodes, new_points = np.empty(2 * count, np.int64), np.empty((2 * count, 2))
    new_nodes[0], new_points[0] = nodes[0], points[0]
    size = 1
    for k in range(1, count - 1):
        x, y = points[k]
        before = math.hypot(points[k - 1, 0] - x, points[k - 1, 1] - y)
        after = math.hypot(points[k + 1, 0] - x, points[k + 1, 1] - y)
        reach = min(before, after) / 2
        cut = False
        while not cut and reach > space.cell / 4:
            a_x, a_y = x + (points[k - 1, 0] - x) * reach / before, y + (points[k - 1, 1] - y) * reach / before
            b_x, b_y = x + (points[k + 1, 0] - x) * reach / after, y + (points[k + 1, 1] - y) * reach / after
            node_a, node_b = walk(space, nodes[k], x, y, a_x, a_y), walk(space, nodes[k], x, y, b_x, b_y)
            cut = node_a >= 0 and node_b >= 0 and visible(space, node_a, a_x, a_y, b_x, b_y) == node_b
            if cut:
                new_nodes[size], new_nodes[size + 1] = node_a, node_b
                new_points[size, 0], new_points[size, 1] = a_x, a_y
                new_points[size + 1, 0], new_points[size + 1, 1] = b_x, b_y
                size += 2
            reach /= 2
        if not cut:
            new_nodes[size], new_points[size] = nodes[k], points[k]
            size += 1
    new_nodes[size], new_points[size] = nodes[count - 1], points[count - 1]
    return new_nodes[:size + 1], new_points[:size + 1]


@kernel
def straighten(space, nodes, points):  # type: ignore[no-untyped-def]
    """Pull a path taut. It is nodes [K] and points [K, 2] in grid metres, each in sight of the next."""
    count = _leap(space, nodes, points, len(nodes))
    nodes, points = nodes[:count].copy(), points[:count].copy()
    length = np.inf
    for _ in range(_CHOPS + 1):
        before = np.inf
        while True:
            count = _tighten(space, nodes, points, len(nodes))
            nodes, points = nodes[:count], points[:count]
            shorter = _length(points, count)
            if shorter > (1 - _GAIN) * before:
                break
            before = shorter
        if count == 2 or shorter > (1 - _GAIN) * length:
            break
        length = shorter
        nodes, points = _chop(space, nodes, points, count)
    return nodes, points


@kernel
def _heights(space, node, x, y, to_x, to_y):  # type: ignore[no-untyped-def]
    """Heights of the floor along a segment, both ends included, about a cell apart."""
    pieces = max(int(math.ceil(math.hypot(to_x - x, to_y - y) / space.cell)), 1)
    heights = np.empty(pieces + 1)
    here_x, here_y = x, y
    for k in range(pieces + 1):
        there_x, there_y = x + k / pieces * (to_x - x), y + k / pieces * (to_y - y)
        node = walk(space, node, here_x, here_y, there_x, there_y)
        heights[k] = height_at(space, node, there_x, there_y)
        here_x, here_y = there_x, there_y
    return heights


@kernel
def follow_floor(space, nodes, points, ripple):  # type: ignore[no-untyped-def]
    """[K, 3] the path with heights, and further points where the floor departs over `ripple` m from a straight line."""
    path, size = np.empty((64, 3)), 0
    pending = np.empty((64, 2), np.int64)
    for k in range(len(nodes) - 1):
        heights = _heights(space, nodes[k], points[k, 0], points[k, 1], points[k + 1, 0], points[k + 1, 1])
        last = len(heights) - 1
        keep = np.zeros(last + 1, np.bool_)
        keep[0] = True
        pending[0, 0], pending[0, 1] = 0, last
        waiting = 1
        while waiting > 0:
            waiting -= 1
            a, b = pending[waiting]
            worst, at = ripple, -1
            for m in range(a + 1, b):
                off = abs(heights[m] - heights[a] - (heights[b] - heights[a]) * (m - a) / (b - a))
                if off > worst:
                    worst, at = off, m
            if at >= 0 and waiting + 2 <= len(pending):
                keep[at] = True
                pending[waiting, 0], pending[waiting, 1] = a, at
                pending[waiting + 1, 0], pending[waiting + 1, 1] = at, b
                waiting += 2
        for m in range(last + (k == len(nodes) - 2)):
            if m < last and not keep[m]:
                continue
            if size == len(path):
                path = np.concatenate((path, np.empty_like(path)))
            t = m / last
            path[size, 0] = points[k, 0] + t * (points[k + 1, 0] - points[k, 0])
            path[size, 1] = points[k, 1] + t * (points[k + 1, 1] - points[k, 1])
            path[size, 2] = heights[m]
            size += 1
    return path[:size]

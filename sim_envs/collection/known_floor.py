"""KnownFloor: the floor that a robot has seen so far, and the ways over it. Nothing here looks through walls."""

from __future__ import annotations

import heapq
import math

import cv2
import numpy as np

from sim_envs.compiled import kernel
from sim_envs.coverage import Coverage

UNDERFOOT = 0.5  # m around the robot that it knows without looking
CRUMB = 0.3  # m^2; smaller patches of unseen floor are looked at last
_TURN = 0.4  # m that a radian of turning counts for when a frontier is chosen
_TIGHT, _DETOUR = 0.15, 1.0  # m from where the robot no longer fits, and what such a frontier costs more


class KnownFloor:
    """Grows with what `coverage` sees. Ways are on its grid, so up to 0.1 m beyond what was seen."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        free = coverage.free.view(np.uint8)
        self._tight = cv2.distanceTransform(free, cv2.DIST_L2, 3) * coverage.top_down.resolution < _TIGHT

    def seen_at(self, point: np.ndarray) -> bool:
        return self._coverage.seen_at(point)

    def stand(self, here: np.ndarray) -> None:
        """Work out the ways from a place [2 or 3]; `way_to` and `frontiers` are about it."""
        plan, free = self._coverage.top_down, self._coverage.free
        row, column = plan.cells(here[None])[0]
        reach = max(1, round(UNDERFOOT / plan.resolution))
        known = self._coverage.seen.view(np.uint8).copy()
        low_row, low_column = max(row - reach, 0), max(column - reach, 0)
        known[low_row : row + reach + 1, low_column : column + reach + 1] = 1
        self._walkable = cv2.dilate(known, np.ones((3, 3), np.uint8)).view(bool) & free
        near = np.argwhere(self._walkable[low_row : row + reach + 1, low_column : column + reach + 1])
        self._distance: np.ndarray = np.full(free.shape, np.inf)  # [rows, columns] cells to drive
        self._before = np.full(free.shape, -1, np.int64)  # the cell that one comes from
        if len(near):
            cells = near + (low_row, low_column)
            start = cells[np.linalg.norm(plan.centres(cells) - here[:2], axis=1).argmin()]
            _spread(self._walkable, int(start[0]), int(start[1]), self._distance, self._before)
        self._here = np.asarray(here, dtype=np.float64)

    def distances(self, points: np.ndarray) -> np.ndarray:
        """[N] metres over known floor to points [N, 2 or 3], inf where none leads; nearly the shortest."""
        rows, columns = self._distance.shape
        row, column = self._coverage.top_down.cells(points).T
        inside = (row >= 0) & (column >= 0) & (row < rows) & (column < columns)
        found = self._distance[np.where(inside, row, 0), np.where(inside, column, 0)]
        return np.where(inside, found * self._coverage.top_down.resolution, np.inf)

    def way_to(self, point: np.ndarray) -> np.ndarray:
        """[K, 2] a way over known floor to a point that `distances` reaches, its corners cut where that is known."""
        plan = self._coverage.top_down
        cells = _pulled(self._walkable, self._before, *map(int, plan.cells(point[None])[0]))
        return np.concatenate([self._here[None, :2], plan.centres(cells[1:-1]), point[None, :2]])

    def all_known(self, path: np.ndarray) -> bool:
        """Whether a way [K, 2 or 3] of close points runs over known floor alone."""
        rows, columns = self._walkable.shape
        row, column = self._coverage.top_down.cells(path).T
        inside = (row >= 0) & (column >= 0) & (row < rows) & (column < columns)
        row, column = row[inside], column[inside]
        # Off the plan's free cells there is nothing to see: ways touch them where obstacles end within a cell.
        return bool((self._walkable[row, column] | ~self._coverage.free[row, column]).all())

    def frontier(self, yaw: float, targets: np.ndarray) -> np.ndarray | None:
        """[2] the place at the edge of what is known that is best looked at next; None when all has been seen.

        Without `targets` [N, 2 or 3] the nearest one, otherwise the one on the seemingly shortest way to any of them.
        """
        edges = self._edges()
        if not len(edges):
            return None
        cost = self.distances(edges)
        towards = np.arctan2(edges[:, 1] - self._here[1], edges[:, 0] - self._here[0]) - yaw
        cost += _TURN * np.abs((towards + math.pi) % math.tau - math.pi)
        row, column = self._coverage.top_down.cells(edges).T
        cost[self._tight[row, column]] += _DETOUR
        if len(targets):
            cost += np.linalg.norm(edges[:, None] - targets[None, :, :2], axis=2).min(axis=1)
        best = int(cost.argmin())
        return edges[best] if np.isfinite(cost[best]) else None

    def _edges(self) -> np.ndarray:
        """[N, 2] unseen places that touch seen ones and can be reached, crumbs only when there is nothing else."""
        coverage = self._coverage
        unseen = (coverage.free & ~coverage.seen).view(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(unseen, connectivity=8)
        large = stats[:, cv2.CC_STAT_AREA] * coverage.top_down.resolution**2 >= CRUMB
        large[0] = False
        at_edge = self._walkable & (unseen > 0) & np.isfinite(self._distance)
        for chosen in (at_edge & large[labels], at_edge):
            cells = coverage.top_down.centres(np.argwhere(chosen))
            cells = cells[np.linalg.norm(cells - self._here[:2], axis=1) > UNDERFOOT]
            if len(cells):
                return cells
        return np.zeros((0, 2))


@kernel
def _spread(walkable: np.ndarray, row: int, column: int, distance: np.ndarray, before: np.ndarray) -> None:
    """Shortest ways from a cell over the walkable ones, in cells, diagonals included but not past corners."""
    rows, columns = walkable.shape
    distance[row, column] = 0.0
    queue = [(0.0, row, column)]
    while len(queue) > 0:
        so_far, r, c = heapq.heappop(queue)
        if so_far > distance[r, c]:
            continue
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                i, j = r + down, c + right
                if i < 0 or j < 0 or i >= rows or j >= columns or not walkable[i, j]:
                    continue
                if down != 0 and right != 0 and not (walkable[i, c] and walkable[r, j]):
                    continue
                new = so_far + math.sqrt(down * down + right * right)
                if new < distance[i, j] - 1e-9:
                    distance[i, j] = new
                    before[i, j] = r * columns + c
                    heapq.heappush(queue, (new, i, j))


@kernel
def _pulled(walkable: np.ndarray, before: np.ndarray, row: int, column: int) -> np.ndarray:
    """[K, 2] cells of the way to a cell, from its start, with straight pieces where they stay on walkable cells."""
    columns = walkable.shape[1]
    chain = [(row, column)]
    while before[row, column] >= 0:
        previous = before[row, column]
        row, column = previous // columns, previous % columns
        chain.append((row, column))
    kept = [chain[len(chain) - 1]]
    at = len(chain) - 1
    while at > 0:
        target = at - 1
        while target > 0 and _straight(walkable, chain[at], chain[target - 1]):
            target -= 1
        at = target
        kept.append(chain[at])
    cells = np.empty((len(kept), 2), np.int64)
    for k in range(len(kept)):
        cells[k, 0], cells[k, 1] = kept[k]
    return cells


@kernel
def _straight(walkable: np.ndarray, a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether the straight line between the centres of two cells stays on walkable ones."""
    steps = 8 * max(abs(b[0] - a[0]), abs(b[1] - a[1]))
    for k in range(1, steps):
        u = k / steps
        if not walkable[math.floor(a[0] + u * (b[0] - a[0]) + 0.5), math.floor(a[1] + u * (b[1] - a[1]) + 0.5)]:
            return False
    return True

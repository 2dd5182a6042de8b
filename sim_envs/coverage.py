"""Coverage: how much of a place's floor a camera has seen so far, on the plan from above."""

from __future__ import annotations

import math

import cv2
import numpy as np

from nav_foundation.camera import horizontal_fov
from nav_foundation.robot import CameraSpec
from sim_envs.compiled import kernel
from sim_envs.simulator import SceneError, SceneInfo, Simulator, TopDown

FARTHEST = 30.0  # m from the start; a city's floor beyond is not part of what is to be seen


class Coverage:
    """Grows with every `update`. `free` and `seen` are masks on the grid of `top_down`.

    A plan's FREE cells are where the robot's CENTRE may be, so obstacles are wider on it by the robot's radius and
    doors narrower. Sight therefore passes up to `slack` metres of occupied cells in a row: enough to look past a
    corner, too little for a wall, which is at least its own thickness plus twice the radius wide.
    """

    def __init__(
        self, top_down: TopDown, start: np.ndarray, hfov: float, range_m: float = 5.0, slack: float = 0.25
    ) -> None:
        """`start` [2 or more] world m; `hfov` rad, the camera's horizontal field of view; `range_m` how far it sees."""
        if not (math.isfinite(hfov) and hfov > 0 and math.isfinite(range_m) and range_m > 0):
            raise ValueError(f"Coverage: hfov is {hfov} and range_m {range_m}: both must be above 0 (radians, metres)")
        self.top_down = top_down
        self.free = _connected(top_down, np.asarray(start, dtype=np.float64)[:2])  # [rows, columns] bool
        self.seen = np.zeros_like(self.free)  # [rows, columns] bool, always within `free`
        self._open = np.ascontiguousarray(top_down.grid == TopDown.FREE)
        self._free_cells = int(self.free.sum())
        self._seen_cells = 0
        self._hfov, self._range, self._slack = min(hfov, 2 * math.pi), range_m, slack

    @staticmethod
    def of_scene(simulator: Simulator, info: SceneInfo, start: np.ndarray, camera: CameraSpec) -> Coverage:
        """Nothing seen yet of the loaded scene, on a plan as fine as its size allows."""
        extent = float(np.max(info.upper[:2] - info.lower[:2]))
        return Coverage(simulator.top_down(min(max(0.1, extent / 400), 0.5)), start, horizontal_fov(camera))

    @staticmethod
    def again(former: Coverage, start: np.ndarray) -> Coverage:
        """Nothing seen yet, of the same plan by the same camera."""
        return Coverage(former.top_down, start, former._hfov, former._range, former._slack)

    def update(self, x: float, y: float, yaw: float) -> int:
        """Mark what a camera at x, y (m) looking along `yaw` (rad) sees; returns how many cells are new."""
        column = (x - self.top_down.origin[0]) / self.top_down.resolution
        row = (y - self.top_down.origin[1]) / self.top_down.resolution
        cell = self.top_down.resolution
        new = int(_look(
            self._open, self.free, self.seen, column, row, yaw, self._hfov, self._range / cell, self._slack / cell
        ))
        self._seen_cells += new
        return new

    @property
    def fraction(self) -> float:
        """Seen free area over all free area that can be reached, 0..1."""
        return self._seen_cells / self._free_cells

    def seen_at(self, point: np.ndarray) -> bool:
        """Whether the floor at a point [2 or more] (world m) has been seen; True where there is none to see."""
        row, column = self.top_down.cells(np.asarray(point)[None])[0]
        rows, columns = self.free.shape
        inside = 0 <= row < rows and 0 <= column < columns and self.free[row, column]
        return not inside or bool(self.seen[row, column])

    @property
    def unseen(self) -> np.ndarray:
        """[N, 2] world x, y (m) of free cells not seen yet."""
        return self.top_down.centres(np.argwhere(self.free & ~self.seen))

    @property
    def frontier(self) -> np.ndarray:
        """[N, 2] world x, y (m) of unseen free cells that touch seen ones: where looking brings something new."""
        touched = cv2.dilate(self.seen.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
        edge = touched & self.free & ~self.seen
        return self.top_down.centres(np.argwhere(edge))


def _connected(top_down: TopDown, start: np.ndarray) -> np.ndarray:
    """[rows, columns] bool: the free cells within FARTHEST that hang together with the one nearest to `start`."""
    free = top_down.grid == TopDown.FREE
    row, column = top_down.cells(start[None])[0]
    y, x = np.ogrid[: free.shape[0], : free.shape[1]]
    free &= np.hypot(y - row, x - column) * top_down.resolution <= FARTHEST
    _, labels = cv2.connectedComponents(free.astype(np.uint8), connectivity=8)
    cells = np.argwhere(labels > 0)
    distance = np.linalg.norm(top_down.centres(cells) - start, axis=1)
    if not len(cells) or distance.min() > 2.0:
        raise SceneError(
            f"no free floor within 2 m of ({start[0]:.2f}, {start[1]:.2f}): start where the robot can stand, or choose "
            "a smaller one"
        )
    nearest = int(distance.argmin())
    return np.ascontiguousarray(labels == labels[tuple(cells[nearest])])


@kernel
def _look(
    is_open: np.ndarray, free: np.ndarray, seen: np.ndarray, column: float, row: float, yaw: float, hfov: float,
    reach: float, slack: float,
) -> int:
    """Mark the free cells that a fan of rays meets; lengths in cells, angles in radians. Returns how many are new."""
    rows, columns = free.shape
    stride = 0.5
    rays = math.ceil(hfov * reach / 0.7) + 1  # neighbours are 0.7 cells apart where they end
    new = 0
    for ray in range(rays):
        angle = yaw + hfov * (ray / (rays - 1.0) - 0.5)
        dx, dy = math.cos(angle) * stride, math.sin(angle) * stride
        x, y, blocked = column, row, 0.0
        for _ in range(int(reach / stride) + 1):
            r, c = math.floor(y), math.floor(x)
            if r < 0 or c < 0 or r >= rows or c >= columns:
                break
            if is_open[r, c]:
                blocked = 0.0
                if free[r, c] and not seen[r, c]:
                    seen[r, c] = True
                    new += 1
            else:
                blocked += stride
                if blocked > slack:
                    break
            x += dx
            y += dy
    return new

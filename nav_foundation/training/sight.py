"""Where one picture shows what another one shows: from depth and poses, for the tokens of goal pictures."""

from __future__ import annotations

import math

import numpy as np

from nav_foundation.camera import camera_rotation, horizontal_fov, project, rays
from nav_foundation.geometry import from_frame, to_frame
from nav_foundation.model.config import ModelConfig
from nav_foundation.model.encoder import STRIDE, rows_joined
from nav_foundation.robot import CameraSpec
from nav_foundation.types import Pose2

UNKNOWN, HIDDEN, SEEN = -1, 0, 1
_CLOUD = 2000  # points of a picture, about
_BEHIND, _OFF = 0.1, 0.1  # share of a distance, m: how much farther than the depth a point is that something hides


class Sight:
    """What the tokens of one camera's pictures look at. Points are [K, 3] m in the robot's base frame, z up."""

    def __init__(self, camera: CameraSpec, config: ModelConfig) -> None:
        view, joined = config.view, rows_joined(config)
        rows, columns = view.height // STRIDE, view.width // STRIDE
        self._camera, self._view, self._grid = camera, view, (columns, rows)
        y, x = np.mgrid[: rows // joined, :columns]
        middles = np.column_stack([(x.ravel() + 0.5) * STRIDE, (y.ravel() + 0.5) * STRIDE * joined]) - 0.5
        self._directions = view.directions(middles)
        self._pixels = project(camera, self._directions)
        y, x = np.mgrid[:rows, :columns]
        cells = np.column_stack([(x.ravel() + 0.5) * STRIDE, (y.ravel() + 0.5) * STRIDE]) - 0.5
        self._cells = project(camera, view.directions(cells))
        self._turn = camera_rotation(camera)
        self._every = max(1, round(math.sqrt(camera.width * camera.height / _CLOUD)))
        forward = rays(camera)[:: self._every, :: self._every].reshape(-1, 3)
        ahead = forward[:, 2:] > 0.05  # planar depth says nothing about what lies beside the camera
        self._floorwards = ahead[:, 0] & ((forward @ self._turn.T)[:, 2] < -0.05)
        self._rays = np.where(ahead, forward / np.where(ahead, forward[:, 2:], 1.0), np.nan)
        self.half_view = 0.5 * horizontal_fov(camera)  # rad
        self._eye = np.array([camera.mount_forward, 0.0, camera.mount_height])

    @property
    def tokens(self) -> int:
        """K, tokens of a picture."""
        return len(self._directions)

    @property
    def cells(self) -> int:
        """Of a picture's map."""
        return len(self._cells)

    def depths(self, depth: np.ndarray) -> np.ndarray:
        """[cells] m along the axis at the cells of a picture's map; NaN where there is none."""
        return _looked_up(depth, self._cells)

    def cloud(self, depth: np.ndarray) -> np.ndarray:
        """[M, 3] all that a picture's depth shows, thinned."""
        away = depth[:: self._every, :: self._every].reshape(-1, 1)
        points = (self._rays * away)[(away[:, 0] > 0) & np.isfinite(self._rays[:, 0])]
        return np.asarray(points @ self._turn.T + self._eye)

    def is_measured(self, depth: np.ndarray) -> bool:
        """Whether nearly all of what lies below the horizon has a depth: the floor has one, the sky need not."""
        known = depth[:: self._every, :: self._every].reshape(-1)[self._floorwards] > 0
        return bool(known.mean() > 0.9) if len(known) else False

    def points(self, depth: np.ndarray) -> np.ndarray:
        """Of a picture's depth [H, W] in m, 0 = nothing; NaN where there is none."""
        away = _looked_up(depth, self._pixels)
        return np.asarray((self._directions * away[:, None]) @ self._turn.T + self._eye)

    def find(
        self, points: np.ndarray, depth: np.ndarray, slack: float = 1.0, *, surfaces: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """(places [K, 2] column and row in cells of the map, whether [K] int8 UNKNOWN, HIDDEN or SEEN) in a picture.

        With less `slack` a point lies behind what hides it sooner; poses are a little off. Points of `surfaces` that
        hang in the air here are UNKNOWN: who was seen there has walked on.
        """
        columns, rows = self._grid
        optical = (points - self._eye) @ self._turn
        away = optical[:, 2]
        ahead = away > 0.05
        view, safe = self._view, np.where(ahead, away, 1.0)
        pixels = optical[:, :2] / safe[:, None] * view.focal + ((view.width - 1) / 2, (view.height - 1) / 2)
        places = np.where(ahead[:, None], (pixels + 0.5) / STRIDE - 0.5, 0.0)
        inside = ahead & (np.abs(places - ((columns - 1) / 2, (rows - 1) / 2)) <= (columns / 2, rows / 2)).all(axis=1)
        seen = np.where(inside[:, None], optical, (0.0, 0.0, 1.0))
        nearest = _looked_up(depth, project(self._camera, seen))
        free = away <= nearest * (1 + slack * _BEHIND) + slack * _OFF
        gone = surfaces & (away < nearest * (1 - 2 * _BEHIND) - 2 * _OFF)
        found = np.where(inside, np.where(np.isnan(nearest) | gone, UNKNOWN, np.where(free, SEEN, HIDDEN)), HIDDEN)
        return places.astype(np.float32), np.where(np.isnan(away), UNKNOWN, found).astype(np.int8)


def moved(points: np.ndarray, there: Pose2, here: Pose2) -> np.ndarray:
    """Points in the base frame of a robot at `there`, seen from `here`."""
    return np.column_stack([to_frame(here, from_frame(there, points[:, :2])), points[:, 2]])


def _looked_up(depth: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """[N] m at pixels [N, 2]; NaN outside of the picture and where nothing was measured."""
    height, width = depth.shape
    known = np.isfinite(pixels).all(axis=1)
    x, y = np.where(known[:, None], np.round(np.where(known[:, None], pixels, 0.0)), -1).astype(np.int64).T
    known &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = depth[np.where(known, y, 0), np.where(known, x, 0)]
    return np.where(known & (found > 0), found, np.nan)

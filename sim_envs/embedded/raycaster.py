"""Rays from cameras, and Embree to cast them. All rays are float32; distances are metres along unit directions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nav_foundation.camera import camera_rotation, rays
from nav_foundation.robot import CameraSpec
from sim_envs.compiled import kernel
from sim_envs.simulator import Pose

try:
    from embreex import mesh_construction, rtcore_scene
except ImportError as error:
    raise ValueError(
        f"the embedded simulator needs embreex, which is not here ({error}): pip install embreex where there is a "
        "build for the machine, which Linux on ARM has none of; robots do without"
    ) from None

FAR = np.float32(1e6)  # m, further than anything


@dataclass(frozen=True)
class Hits:
    """What each of P rays met first."""

    face: np.ndarray  # [P] int32, -1 = nothing
    distance: np.ndarray  # [P] float32 m, Embree's
    u: np.ndarray  # [P] float32 barycentric weight of the face's second corner
    v: np.ndarray  # [P] float32, of its third


class EmbreeMesh:
    """Triangles [F, 3, 3] float32 that rays can be cast at. Casting releases the interpreter lock."""

    def __init__(self, triangles: np.ndarray) -> None:
        # Robust traversal costs a tenth more and lets no ray slip between two triangles that share an edge.
        self._scene: Any = rtcore_scene.EmbreeScene(robust=True)
        if len(triangles):
            mesh_construction.TriangleMesh(self._scene, np.ascontiguousarray(triangles, dtype=np.float32))
        self.blocked(np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32))  # builds the tree now, not at first use

    def cast(self, origins: np.ndarray, directions: np.ndarray, limit: np.ndarray | None = None) -> Hits:
        """First hits of rays [P, 3] float32, nearer than `limit` [P] m. A direction of zeros hits nothing."""
        found = self._scene.run(origins, directions, dists=None if limit is None else limit.copy(), output=1)
        return Hits(found["primID"], found["tfar"], found["u"], found["v"])

    def blocked(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """[P] bool: does anything lie on the ray? `directions` [P, 3], or [1, 3] for all."""
        return self._scene.run(origins, directions, query="OCCLUDED") >= 0

    def distances(self, origins: np.ndarray, directions: np.ndarray, limit: float) -> np.ndarray:
        """[P] float32 m to the first hit, `limit` where there is none nearer."""
        return self._scene.run(
            origins, directions, dists=np.full(len(origins), limit, np.float32), query="DISTANCE")


@dataclass(frozen=True)
class View:
    """A camera's rays in the frame of the robot's base, ready to be turned. P = H x W pixels, row by row."""

    shape: tuple[int, int]  # H, W
    directions: np.ndarray  # [P, 3] float64 unit, zeros where a pixel sees nothing
    along_axis: np.ndarray  # [P] float32, cosine between ray and optical axis: planar depth per metre of ray
    spread: np.ndarray  # [P] float32 rad between neighbouring rays
    position: tuple[float, float, float]  # m in the base frame

    @staticmethod
    def of(camera: CameraSpec) -> View:
        optical = rays(camera)
        spread = _spread(optical)
        optical = np.nan_to_num(optical.reshape(-1, 3), nan=0.0)
        return View(
            (camera.height, camera.width),
            np.ascontiguousarray(optical @ camera_rotation(camera).T),
            # Beyond 90 degrees from the axis planar depth is not positive: nothing a depth image could say.
            np.maximum(optical[:, 2], 0.0).astype(np.float32),
            spread.reshape(-1).astype(np.float32),
            (camera.mount_forward, 0.0, camera.mount_height),
        )


def _spread(optical: np.ndarray) -> np.ndarray:
    """[H, W] angle between neighbouring rays [H, W, 3], the larger of both image axes."""
    spread = np.zeros(optical.shape[:2])
    for axis in (0, 1):
        if optical.shape[axis] > 1:
            gap = np.linalg.norm(np.gradient(optical, axis=axis), axis=2)
            spread = np.fmax(spread, gap)
    return spread


def world_rays(view: View, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Where the camera is, [3] float64, and its rays in the world [P, 3] float32, for the base at `pose`."""
    c, s = math.cos(pose.yaw), math.sin(pose.yaw)
    forward, left, up = view.position
    origin = np.array([pose.x + c * forward - s * left, pose.y + s * forward + c * left, pose.z + up])
    return origin, _turn(view.directions, c, s)


@kernel
def _turn(directions: np.ndarray, c: float, s: float) -> np.ndarray:
    turned = np.empty(directions.shape, np.float32)
    for i in range(directions.shape[0]):
        x, y = directions[i, 0], directions[i, 1]
        turned[i, 0] = c * x - s * y
        turned[i, 1] = s * x + c * y
        turned[i, 2] = directions[i, 2]
    return turned

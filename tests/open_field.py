"""OpenField: the port on an empty square whose every answer can be worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nav_foundation.robot import CameraSpec, Footprint
from sim_envs.simulator import Frames, Geodesic, Mover, Pose, SceneInfo, SceneRef, Step, TopDown


class OpenField:
    """Flat floor, 0 <= x, y <= size; the robot's centre keeps its radius from the edge. Shortest ways are straight."""

    def __init__(self, size: float = 10.0) -> None:
        self.size = size
        self.movers: Sequence[Mover] = ()

    def load(self, scene: SceneRef, footprint: Footprint) -> SceneInfo:
        self.radius = footprint.radius
        area = (self.size - 2 * self.radius) ** 2
        return SceneInfo(scene, np.zeros(3), np.array([self.size, self.size, 3.0]), area)

    def render(
        self, poses: Sequence[Pose], cameras: Sequence[CameraSpec], *, rgb: bool = True, depth: bool = False,
        semantic: bool = False,
    ) -> Frames:
        """One colour per pose, so that a test can read the pose off a picture."""
        height, width = cameras[0].height, cameras[0].width
        frames = np.zeros((len(poses), height, width, 3), np.uint8)
        for frame, pose in zip(frames, poses):
            frame[:] = (pose.x / self.size * 255, pose.y / self.size * 255, (pose.yaw % (2 * math.pi)) / 7 * 255)
        return Frames(frames, np.ones((len(poses), height, width), np.float32) if depth else None, None)

    def try_step(self, start: Pose, end: Pose) -> Step:
        x, y = np.clip([end.x, end.y], self.radius, self.size - self.radius)
        return Step(Pose(x, y, 0.0, end.yaw), bool(x != end.x or y != end.y))

    def geodesic(self, start: np.ndarray, goals: np.ndarray) -> Geodesic:
        away = np.linalg.norm(goals - start, axis=1)
        nearest = int(away.argmin())
        if (goals[nearest, :2] > self.size).any():
            return Geodesic(math.inf, np.zeros((0, 3)))
        return Geodesic(float(away[nearest]), np.vstack([start, goals[nearest]]), nearest)

    def sample_navigable(self, rng: np.random.Generator) -> np.ndarray:
        return np.array([*rng.uniform(self.radius, self.size - self.radius, 2), 0.0])

    def snap(self, point: np.ndarray) -> np.ndarray | None:
        inside = np.clip(point[:2], self.radius, self.size - self.radius)
        return np.array([*inside, 0.0]) if np.linalg.norm(inside - point[:2]) < 2 else None

    def clearance(self, points: np.ndarray) -> np.ndarray:
        return np.maximum(np.minimum(points[:, :2], self.size - points[:, :2]).min(axis=1), 0.0)

    def top_down(self, resolution: float) -> TopDown:
        cells = round(self.size / resolution)
        return TopDown(np.full((cells, cells), TopDown.FREE, np.uint8), (0.0, 0.0), resolution)

    def set_movers(self, movers: Sequence[Mover]) -> None:
        self.movers = tuple(movers)

    def close(self) -> None: ...

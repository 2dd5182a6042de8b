"""Site: a scene with a robot in it, as those who make episodes need it. Works with any simulator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nav_foundation.camera import camera_rotation, project, rays
from nav_foundation.geometry import resample_path
from nav_foundation.robot import CameraSpec, RobotSpec
from sim_envs.simulator import Geodesic, Pose, SceneInfo, Simulator
from sim_envs.tasks.episode import EpisodeError

COMFORT = 0.05  # m of air beyond the robot's radius where an episode starts or ends
DRAWS = 300  # pairs of places tried before a scene is given up
_LARGE = 150.0  # m; in a larger scene goals are drawn around the start instead of everywhere
_AHEAD = math.radians(35)  # from straight ahead, what of a picture shows where it was taken
_TOO_NEAR = 1.2  # m
_SIGHT_WIDTH = 128  # pixels; what an episode needs to know of a view is seen at this width


@dataclass(frozen=True)
class Site:
    simulator: Simulator
    robot: RobotSpec
    info: SceneInfo
    rng: np.random.Generator

    @property
    def large(self) -> bool:
        return float(np.max(self.info.upper[:2] - self.info.lower[:2])) > _LARGE

    @property
    def camera(self) -> CameraSpec:
        """The robot's camera, with no more pixels than checks of views need."""
        return smaller_camera(self.robot.camera, _SIGHT_WIDTH)

    def yaw(self) -> float:
        return float(self.rng.uniform(-math.pi, math.pi))

    def roomy(self, points: np.ndarray) -> np.ndarray:
        """[N] bool: whether the robot stands comfortably at points [N, 3]."""
        return self.simulator.clearance(points) >= self.robot.footprint.radius + COMFORT

    def place(self) -> np.ndarray:
        """A place [3] to start or end at, uniform over the floor where the robot stands comfortably."""
        for _ in range(100):
            point = self.simulator.sample_navigable(self.rng)
            if self.roomy(point[None])[0]:
                return point
        raise EpisodeError(
            f"scene {self.info.ref}: {self.robot.name} (radius {self.robot.footprint.radius} m) has no {COMFORT} m of "
            "air around it anywhere: choose a smaller robot or another scene"
        )

    def near(self, centre: np.ndarray, low: float, high: float) -> np.ndarray | None:
        """A place [3] `low` to `high` metres from a point [3] as the crow flies, if the draw meets floor."""
        angle, away = self.rng.uniform(-math.pi, math.pi), self.rng.uniform(low, high)
        aim = centre + away * np.array([math.cos(angle), math.sin(angle), 0.0])
        point = self.simulator.snap(aim)
        if point is None or math.dist(point, aim) > 1.0 or not self.roomy(point[None])[0]:
            return None
        return point

    def ways(self, low: float, high: float, what: str) -> Iterator[Geodesic]:
        """Random drives of `low` to `high` metres; when they run out, an error that says why `what` was not found."""
        lengths: list[float] = []
        suited = 0
        for _ in range(DRAWS):
            start = self.place()
            goal = self.near(start, low / 2, high) if self.large else self.place()
            if goal is None or math.dist(start, goal) > high:
                continue
            way = self.simulator.geodesic(start, goal[None])
            if not math.isfinite(way.distance):
                continue
            lengths.append(way.distance)
            if low <= way.distance <= high:
                suited += 1
                yield way
        raise EpisodeError(self.nothing_found(what, low, high, lengths, suited))

    def nothing_found(self, what: str, low: float, high: float, lengths: list[float], suited: int = 0) -> str:
        """The sentence that says why there is no episode here."""
        scene = f"scene {self.info.ref}"
        if suited:
            return f"{scene}: none of {suited} drives of {low:g}-{high:g} m suits ({what}): try another scene"
        if not lengths:
            return f"{scene}: no {what} {low:g}-{high:g} m away was found, nothing was in reach: try another scene"
        return (
            f"{scene}: no {what} {low:g}-{high:g} m away was found, the ways there are {min(lengths):.1f} to "
            f"{max(lengths):.1f} m long: give a distance within that"
        )

    def depth(self, pose: Pose) -> np.ndarray:
        """[H, W] float32 m, what the robot's (smaller) camera measures there."""
        depth = self.simulator.render([pose], [self.camera], rgb=False, depth=True).depth
        assert depth is not None
        return depth[0]

    def semantic(self, pose: Pose) -> np.ndarray:
        """[H, W] int32 instance ids that the robot's (smaller) camera sees there."""
        semantic = self.simulator.render([pose], [self.camera], rgb=False, semantic=True).semantic
        assert semantic is not None
        return semantic[0]

    def shows_something(self, pose: Pose) -> bool:
        """Whether a picture taken there could be recognised: there is no wall right in front of the lens."""
        depth, directions = self.depth(pose), rays(self.camera)
        ahead = directions @ camera_rotation(self.camera).T  # in the robot's frame; NaN where a lens sees nothing
        level = (ahead[..., 0] > math.cos(_AHEAD)) & (np.abs(ahead[..., 2]) < 0.2)
        away = depth[level] / directions[..., 2][level]
        return float(np.mean((away > 0) & (away < _TOO_NEAR))) < 0.5


def smaller_camera(camera: CameraSpec, width: int) -> CameraSpec:
    """The same view with at most `width` pixels across."""
    if camera.width <= width:
        return camera
    scale = width / camera.width
    small = replace(camera, width=width, height=max(1, round(camera.height * scale)))
    if camera.fx is None:
        return small
    fx, fy, cx, cy = camera.intrinsics
    return replace(small, fx=fx * scale, fy=fy * scale, cx=(cx + 0.5) * scale - 0.5, cy=(cy + 0.5) * scale - 0.5)


def view_overlap(site: Site, here: Pose, there: Pose) -> float:
    """Share (0..1) of what the camera sees `there` that it sees `here` as well, by comparing depths."""
    return share_in_view(site, here, points_in_view(site, there))


def points_in_view(site: Site, pose: Pose) -> np.ndarray:
    """[N, 3] points of the world that the camera sees from a pose, one per pixel that shows something."""
    return _world_points(site.camera, pose, site.depth(pose))


def share_in_view(site: Site, here: Pose, points: np.ndarray) -> float:
    """Share (0..1) of points [N, 3] of surfaces that the camera sees from `here`."""
    if not len(points):
        return 0.0
    camera, depth = site.camera, site.depth(here)
    rotation, eye = _camera_pose(camera, here)
    optical = (points - eye) @ rotation
    pixels = project(camera, optical)
    inside = np.isfinite(pixels).all(axis=1)
    column, row = np.rint(np.where(inside[:, None], pixels, -1.0)).astype(np.int64).T
    inside &= (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    measured = depth[np.where(inside, row, 0), np.where(inside, column, 0)]
    agrees = inside & (measured > 0) & (np.abs(measured - optical[:, 2]) < 0.05 * optical[:, 2] + 0.05)
    return float(agrees.mean())


def _world_points(camera: CameraSpec, pose: Pose, depth: np.ndarray) -> np.ndarray:
    """[N, 3] points of the world that a depth image shows."""
    directions = rays(camera)
    useful = (depth > 0) & (directions[..., 2] > 0.05)  # NaN compares as False
    chosen = directions[useful]
    rotation, eye = _camera_pose(camera, pose)
    return (chosen / chosen[:, 2:] * depth[useful][:, None]) @ rotation.T + eye


def _camera_pose(camera: CameraSpec, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3, 3] optical -> world, and the lens's place [3] in the world."""
    c, s = math.cos(pose.yaw), math.sin(pose.yaw)
    base = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return base @ camera_rotation(camera), pose.position + base @ (camera.mount_forward, 0.0, camera.mount_height)


def heading_along(path: np.ndarray, at: float, reach: float = 0.5) -> float:
    """Yaw (rad) of a way [K, 3] around `at` metres from its beginning, smoothed over `reach` metres."""
    points = resample_path(path[:, :2], 0.05)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    low, high = max(at - reach / 2, 0.0), min(at + reach / 2, arc[-1])
    if high - low < reach:  # at an end, look inwards
        low, high = (0.0, min(reach, arc[-1])) if low <= 0.0 else (max(arc[-1] - reach, 0.0), arc[-1])
    a, b = (np.array([np.interp(s, arc, points[:, k]) for k in (0, 1)]) for s in (low, high))
    return math.atan2(b[1] - a[1], b[0] - a[0])


def point_along(path: np.ndarray, at: float) -> np.ndarray:
    """The point [3] of a way [K, 3] `at` metres from its beginning."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    return np.array([np.interp(at, arc, path[:, k]) for k in range(3)])

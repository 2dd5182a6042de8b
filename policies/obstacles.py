"""Keeps a robot from driving into what its laser, its depth camera or a map of forbidden areas shows. NumPy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from nav_foundation.camera import camera_rotation, unproject
from nav_foundation.config import load_mapping
from nav_foundation.geometry import from_frame, to_frame
from nav_foundation.robot import CameraSpec, Footprint, RobotSpec
from nav_foundation.types import Pose2, Velocity

_STRAIGHT = 1e-7  # 1/m, curve of a straight line: one formula does for all, and 10 m ahead it is off by 5 um
_STILL = 1e-6  # m/s below which a motion is a turn on the spot
_CRAWL = 0.01  # m/s; what lets a robot only creep lets it stand and turn, or it would never get round a corner
_FINEST = 160  # rays along a depth image's longer side: 90 degrees of view have them 25 mm apart at 2 m
_NEAREST = 0.01  # m; what is nearer than a laser measures is at least there
_BESIDE = 0.05  # cosine to the optical axis below which planar depth says nothing
_ROBOT = Pose2(0.0, 0.0, 0.0)

Polygon = tuple[tuple[float, float], ...]  # m, corners in order; the last is joined to the first


def slowed(
    wanted: Velocity, points: np.ndarray, robot: RobotSpec, margin: float = 0.05, reaction: float = 0.15
) -> Velocity:
    """The largest share of `wanted` with which the robot still stops before its circle touches one of the points.

    Points [N, 2] m lie in the robot frame; those that are not finite are nothing. The circle is the footprint's, wider
    by `margin` m. The robot drives on for `reaction` s and its actuation delay, then brakes, always on one arc.
    A point within the circle is noise or contact: it bars what brings it nearer and lets the robot go away from it.
    Where the robot cannot drive it may turn, because a circle touches nothing by turning.
    A base that brakes turn and drive apart leaves that arc, by up to 0.03 m (jackal), which the margin takes up.
    """
    if not (0.0 <= margin < math.inf and 0.0 <= reaction < math.inf):
        raise ValueError(f"slowed has a margin of {margin} m and a reaction of {reaction} s: give finite, 0 or more")
    points = np.asarray(points, dtype=np.float64)
    if points.size and (points.ndim != 2 or points.shape[1] != 2):
        raise ValueError(f"obstacle points have shape {points.shape}: give [N, 2], x and y in the robot frame")
    speed = math.hypot(wanted.linear, wanted.lateral)
    if speed < _STILL or not points.size:
        return wanted
    radius, delay = robot.footprint.radius + margin, reaction + robot.actuation_delay
    needed = speed * delay + speed**2 / (2.0 * robot.braking)
    near = points[np.hypot(points[:, 0], points[:, 1]) <= radius + needed]  # which NaN and infinity are not
    room = float(_way_to(near, wanted, radius).min(initial=math.inf))
    if room >= needed:
        return wanted
    allowed = robot.braking * (math.sqrt(delay**2 + 2.0 * room / robot.braking) - delay)
    if allowed < _CRAWL:
        return Velocity(0.0, wanted.angular, 0.0)
    share = allowed / speed
    return Velocity(share * wanted.linear, share * wanted.angular, share * wanted.lateral)


def _way_to(points: np.ndarray, motion: Velocity, radius: float) -> np.ndarray:
    """[N] m that the robot can drive on its arc until a circle around it touches each point [N, 2]; inf for never.

    For a point within the circle: 0 while it comes nearer, else the way until the arc brings the robot back to it.
    """
    speed = math.hypot(motion.linear, motion.lateral)
    turn = math.copysign(max(abs(motion.angular), _STRAIGHT * speed), motion.angular)
    arc = speed / abs(turn)  # m, the radius of the circle on which the robot's centre goes round `centre`
    centre = np.array([-motion.lateral, motion.linear]) / turn
    x, y = points[:, 0], points[:, 1]
    along = points @ centre
    # Angle of the arc, above 0 and up to 2 pi, after which it passes the point: the robot is nearest to it there.
    passing = np.arctan2(math.copysign(1.0, turn) * (centre[1] * x - centre[0] * y), arc**2 - along)
    passing = 2.0 * math.pi - (-passing) % (2.0 * math.pi)
    apart = np.hypot(x - centre[0], y - centre[1])
    beyond = (x**2 + y**2 - 2.0 * along) / (apart + arc)  # = apart - arc, exact for wide arcs too
    with np.errstate(divide="ignore", invalid="ignore"):  # a point may be the very centre of the arc
        # The law of cosines for the angle before `passing` at which the circle touches the point: sin^2 of its half.
        square = (radius**2 - beyond**2) / (4.0 * arc * apart)
    touched = passing - 2.0 * np.arcsin(np.sqrt(np.clip(square, 0.0, 1.0)))
    return np.where(square > 0.0, arc * np.maximum(touched, 0.0), np.inf)


def scan_points(
    ranges: np.ndarray, angle_min: float, angle_increment: float, range_min: float, range_max: float,
    mount: Pose2 = _ROBOT,
) -> np.ndarray:
    """Points [N, 2] m in the robot frame of a LaserScan's ranges [M] (m, radians), with the laser at `mount`.

    By REP-117 inf means that nothing is within reach, NaN a fault, and -inf something nearer than the laser can
    measure, which is taken to be where it begins to measure. Many drivers write 0 for each of these, which tells
    nothing: it is left out, as is what lies outside of `range_min` to `range_max`.
    """
    ranges = np.asarray(ranges, dtype=np.float64)
    if ranges.ndim != 1 or not (math.isfinite(angle_min) and math.isfinite(angle_increment)):
        raise ValueError(
            f"laser scan has ranges of shape {ranges.shape} from {angle_min} rad by {angle_increment}: give one row, "
            "and finite angles"
        )
    if not 0.0 <= range_min <= range_max:
        raise ValueError(f"laser scan is valid from {range_min} to {range_max} m: give range_min <= range_max, from 0")
    ranges = np.where(np.isneginf(ranges), max(range_min, _NEAREST), ranges)
    seen = np.isfinite(ranges) & (ranges > 0.0) & (ranges >= range_min) & (ranges <= range_max)
    angles = angle_min + angle_increment * np.flatnonzero(seen)
    return from_frame(mount, ranges[seen, None] * np.column_stack([np.cos(angles), np.sin(angles)]))


def depth_points(depth: np.ndarray, camera: CameraSpec, footprint: Footprint, farthest: float = 4.0) -> np.ndarray:
    """Points [N, 2] m in the robot frame of what would touch the robot, seen up to `farthest` m from the camera.

    `depth` [H, W] is planar z-depth in metres, of the camera's size; 0, or what is not finite, is nothing. What stands
    above the robot is no obstacle, nor is the floor: up to the step that the robot climbs, 0.03 m for an uneven floor
    and noise, and 2 % of the range, because a camera that looks 1 degree too low sees the floor rise by that.
    """
    if depth.shape != (camera.height, camera.width):
        raise ValueError(
            f"depth has shape {depth.shape}, its camera sees {(camera.height, camera.width)}: give both in one size"
        )
    if not np.issubdtype(depth.dtype, np.floating):
        raise ValueError(f"depth is {depth.dtype}: give metres as float32, which are millimetres divided by 1000")
    if not 0.0 < farthest < math.inf:
        raise ValueError(f"depth is used up to {farthest} m: give a finite number above 0")
    every, steps, lengths = _depth_rays(camera)
    forward = depth[::every, ::every].ravel()
    near = np.flatnonzero((forward > 0.0) & (forward * lengths <= farthest))
    x, y, z = steps[:, near] * forward[near]
    floor = footprint.step_height + 0.03 + 0.02 * lengths[near] * forward[near]
    height = camera.mount_height + z
    kept = (height > floor) & (height <= footprint.height)
    return np.column_stack([camera.mount_forward + x[kept], y[kept]])


@lru_cache(maxsize=8)
def _depth_rays(camera: CameraSpec) -> tuple[int, np.ndarray, np.ndarray]:
    """For every n-th row and column, flat: n, steps [3, M] in robot axes and their lengths [M], per metre of depth.

    The length is NaN where a pixel has no depth.
    """
    every = math.ceil(max(camera.width, camera.height) / _FINEST)
    u, v = np.meshgrid(np.arange(0, camera.width, every), np.arange(0, camera.height, every))
    directions = unproject(camera, np.column_stack([u.ravel(), v.ravel()]))
    ahead = directions[:, 2] > _BESIDE  # NaN, where the lens sees nothing, is not
    per_metre = directions / np.where(ahead, directions[:, 2], 1.0)[:, None]
    lengths = np.where(ahead, np.linalg.norm(per_metre, axis=1), np.nan)
    return every, camera_rotation(camera) @ per_metre.T, lengths


@dataclass(frozen=True)
class KeepOut:
    """Areas that the robot must not enter: polygons, each [K, 2] m (an array, lists or tuples), odometry frame."""

    polygons: tuple[Polygon, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.polygons, (list, tuple)):
            raise ValueError(f"keep_out is {self.polygons!r}: give a list of polygons, each a list of corners [x, y]")
        checked = tuple(_checked(polygon, f"keep_out polygon {k}") for k, polygon in enumerate(self.polygons, 1))
        object.__setattr__(self, "polygons", checked)

    @classmethod
    def read(cls, path: str | Path) -> KeepOut:
        """From YAML: `keep_out: [[[x, y], [x, y], [x, y]], ...]`."""
        data = load_mapping(path)
        if list(data) != ["keep_out"]:
            raise ValueError(f"keep-out file {path} has the keys {list(data)}: give keep_out alone, a list of polygons")
        try:
            return cls(data["keep_out"])
        except ValueError as error:
            raise ValueError(f"keep-out file {path}: {error}") from None

    def inside(self, here: Pose2) -> bool:
        """Whether the robot's centre lies in one of the areas."""
        return any(_contains(polygon, here) for polygon in self.polygons)

    def points_near(self, here: Pose2, within: float, spacing: float = 0.05) -> np.ndarray:
        """Points [N, 2] m in the robot frame for `slowed`: the areas' edges up to `within` m from the robot's centre.

        They are `spacing` m apart at most. The edge of an area that the robot is in would lock it in: of such an area
        there is one point, at the centre's side that is away from the nearest edge, so that only the way out is free.
        """
        if not within >= 0.0:
            raise ValueError(f"keep_out edges are asked for within {within} m: give 0 or more")
        near = [np.zeros((0, 2))]
        for polygon, samples in zip(self.polygons, _edges(self.polygons, spacing)):
            edge = to_frame(here, samples)
            distance = np.hypot(edge[:, 0], edge[:, 1])
            if _contains(polygon, here):
                nearest = int(distance.argmin())
                near.append(-0.01 / max(distance[nearest], 0.01) * edge[[nearest]])  # 0.01 m: in any footprint
            else:
                near.append(edge[distance <= within])
        return np.concatenate(near)


def _checked(polygon: object, where: str) -> Polygon:
    corners = polygon.tolist() if isinstance(polygon, np.ndarray) else polygon
    if not isinstance(corners, (list, tuple)) or len(corners) < 3:
        raise ValueError(f"{where} is not a list of 3 corners or more: give it as [[x, y], [x, y], [x, y]] in metres")
    for number, corner in enumerate(corners, 1):
        pair = isinstance(corner, (list, tuple)) and len(corner) == 2
        if not (pair and all(isinstance(c, (int, float)) and type(c) is not bool and abs(c) < 1e9 for c in corner)):
            raise ValueError(f"{where}, corner {number} is {corner!r}: give [x, y], two finite numbers in metres")
    return tuple((float(x), float(y)) for x, y in corners)


def _contains(polygon: Polygon, here: Pose2) -> bool:
    """Whether a ray from the robot along x leaves the polygon an odd number of times."""
    odd = False
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1]):
        if (ay > here.y) != (by > here.y) and here.x < ax + (bx - ax) * (here.y - ay) / (by - ay):
            odd = not odd
    return odd


@lru_cache(maxsize=4)
def _edges(polygons: tuple[Polygon, ...], spacing: float) -> tuple[np.ndarray, ...]:
    """For each polygon the points [N, 2] along its edges, all corners among them."""
    if not 0.0 < spacing < math.inf:
        raise ValueError(f"keep_out edges have a spacing of {spacing}: give metres, above 0")
    sampled = []
    for polygon in polygons:
        corners = np.array(polygon)
        for_edge = []
        for a, b in zip(corners, np.roll(corners, -1, axis=0)):
            count = max(1, math.ceil(math.dist(a, b) / spacing))  # its end is the next edge's beginning
            for_edge.append(a + (b - a) * np.arange(count)[:, None] / count)
        sampled.append(np.concatenate(for_edge))
    return tuple(sampled)

"""The port every simulator implements, deliberately small.

World frame: z up, metres; yaw counter-clockwise from +x, radians. A `Pose` is that of the robot's base ON the floor, so
z is the floor's height under it. Robot dynamics, tasks, metrics and sensor effects are shared by all back ends and
live elsewhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from nav_foundation.robot import CameraSpec, Footprint
from nav_foundation.types import Pose2


class SimulatorError(ValueError):
    """A simulator cannot do what was asked; the message says what, where and how to mend it."""


class SimulatorLostError(SimulatorError):
    """What simulates broke down, and begins anew when it is asked again: the same may be tried once more."""


class SceneError(SimulatorError):
    """A scene is missing, broken or unusable for this robot."""


@dataclass(frozen=True)
class SceneRef:
    """Which scene: `house:SEED`, `city:SEED`, `city:SEED?size=1000` (metres), or the path of a mesh file."""

    kind: Literal["house", "city", "file"]
    seed: int = 0
    size: float | None = None  # m, side of a city block; None = the generator's own
    path: str = ""

    @staticmethod
    def parse(text: str) -> SceneRef:
        match = re.fullmatch(r"(house|city):(\d+)(?:\?size=(\d+(?:\.\d+)?))?", text)
        if match:
            kind, seed, size = match.groups()
            if kind == "house" and size:
                raise SceneError(f"scene {text!r}: only a city takes a size")
            return SceneRef("house" if kind == "house" else "city", int(seed), float(size) if size else None)
        if Path(text).suffix:
            return SceneRef("file", path=text)
        raise SceneError(f"scene {text!r} is not known: write house:SEED, city:SEED or the path of a mesh file")

    def __str__(self) -> str:
        if self.kind == "file":
            return self.path
        return f"{self.kind}:{self.seed}" + (f"?size={self.size:.15g}" if self.size else "")


@dataclass(frozen=True)
class Pose:
    """The robot's base in the world: metres, z = height of the floor under it, yaw in radians."""

    x: float
    y: float
    z: float
    yaw: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.x, self.y, self.z, self.yaw))):
            raise ValueError(f"Pose({self.x}, {self.y}, {self.z}, {self.yaw}) is not finite")

    @staticmethod
    def at(point: np.ndarray, yaw: float) -> Pose:
        """The pose at a point [3] of the floor, `yaw` being any number of turns."""
        x, y, z = np.asarray(point, dtype=np.float64).tolist()
        return Pose(x, y, z, math.remainder(yaw, math.tau))

    @property
    def position(self) -> np.ndarray:
        """[3] float64 x, y, z."""
        return np.array([self.x, self.y, self.z])

    @property
    def planar(self) -> Pose2:
        return Pose2(self.x, self.y, self.yaw)


@dataclass(frozen=True)
class Instance:
    """One thing with a name: a chair, a wall, a door. Ids are those of the semantic image; 0 there means nothing."""

    id: int
    category: str  # lower case words with spaces, as a person would say it: "potted plant"
    outline: np.ndarray  # [K, 2] float64 convex hull on the floor plan, counter-clockwise, m
    bottom: float  # m, world z
    top: float  # m, world z
    room: int = -1  # index into SceneInfo.rooms, -1 = none
    is_object: bool = True  # False: structure (walls, floors, roads), never an object goal

    @property
    def centre(self) -> np.ndarray:
        """[2] middle of the outline."""
        return self.outline.mean(axis=0)


@dataclass(frozen=True)
class Room:
    category: str  # "kitchen", "corridor", ...
    outline: np.ndarray  # [K, 2] float64 simple polygon, counter-clockwise, m
    floor: float = 0.0  # m, world z


@dataclass(frozen=True)
class Door:
    """An opening between two rooms (-1 = outside)."""

    position: np.ndarray  # [2] m, middle of the opening on the floor plan
    width: float  # m
    yaw: float  # rad, direction through the door, from rooms[0] to rooms[1]
    rooms: tuple[int, int]


@dataclass(frozen=True)
class SceneInfo:
    ref: SceneRef
    lower: np.ndarray  # [3] bounds, m
    upper: np.ndarray  # [3] bounds, m
    navigable_area: float  # m^2 where the robot's centre may be
    instances: tuple[Instance, ...] = ()
    rooms: tuple[Room, ...] = ()
    doors: tuple[Door, ...] = ()


@dataclass(frozen=True)
class Frames:
    """One image per pose. Channels that were not asked for are None."""

    rgb: np.ndarray | None  # [N, H, W, 3] uint8
    depth: np.ndarray | None  # [N, H, W] float32 m along the optical axis (planar z-depth), 0 = nothing hit
    semantic: np.ndarray | None  # [N, H, W] int32 instance ids, 0 = nothing, -1 = a mover


@dataclass(frozen=True)
class Step:
    """The outcome of trying to move."""

    pose: Pose
    contact: bool  # something was in the way, even if the robot slid along it


@dataclass(frozen=True)
class Geodesic:
    """The shortest drivable way to the nearest of several goals."""

    distance: float  # m, inf when no goal can be reached
    path: np.ndarray  # [K, 3] float64 start .. goal, straight pieces, empty when unreachable
    goal: int = -1  # index of the goal reached


@dataclass(frozen=True)
class TopDown:
    """A map seen from above. Row 0 is the smallest y, column 0 the smallest x."""

    grid: np.ndarray  # [rows, columns] uint8: OUTSIDE, FREE or OBSTACLE
    origin: tuple[float, float]  # world x, y of the outer corner of cell [0, 0], m
    resolution: float  # m per cell

    OUTSIDE = 0  # no floor known here
    FREE = 1  # the robot's centre may be here
    OBSTACLE = 2  # floor or thing where the robot's centre may not be

    def cells(self, points: np.ndarray) -> np.ndarray:
        """[N, 2] int row, column of world points [N, >=2]; may lie outside the grid."""
        return np.floor((np.asarray(points)[:, 1::-1] - self.origin[::-1]) / self.resolution).astype(np.int64)

    def centres(self, cells: np.ndarray) -> np.ndarray:
        """[N, 2] world x, y of the middles of cells [N, 2] (row, column)."""
        return (np.asarray(cells)[:, ::-1] + 0.5) * self.resolution + self.origin


@dataclass(frozen=True)
class Mover:
    """A person or other thing that moves by itself, as a standing cylinder with a look."""

    pose: Pose
    radius: float = 0.25  # m
    height: float = 1.7  # m
    look: int = 0  # picks clothes and gait phase; the same number looks the same


class Simulator(Protocol):
    def load(self, scene: SceneRef, footprint: Footprint) -> SceneInfo:
        """Make `scene` current, navigable for a robot of this footprint. Reloading the current scene is cheap."""

    def render(
        self, poses: Sequence[Pose], cameras: Sequence[CameraSpec], *, rgb: bool = True, depth: bool = False,
        semantic: bool = False,
    ) -> Frames:
        """What the camera of each pose sees. `cameras` holds one camera for all poses or one per pose, of one size."""

    def try_step(self, start: Pose, end: Pose) -> Step:
        """Move in a straight line as far as possible, sliding along what is in the way. `end.yaw` is always reached."""

    def geodesic(self, start: np.ndarray, goals: np.ndarray) -> Geodesic:
        """Shortest way from a point [3] to the nearest of goals [N, 3]. Points off the navigable area are snapped."""

    def sample_navigable(self, rng: np.random.Generator) -> np.ndarray:
        """A point [3] drawn uniformly from the navigable area."""

    def snap(self, point: np.ndarray) -> np.ndarray | None:
        """The navigable point [3] nearest to a point [3], None when there is none within 2 m."""

    def clearance(self, points: np.ndarray) -> np.ndarray:
        """[N] metres from points [N, 3] to the nearest static obstacle or drop; 0 where the robot cannot stand."""

    def top_down(self, resolution: float) -> TopDown:
        """The floor plan of the current scene; several storeys are drawn over each other."""

    def set_movers(self, movers: Sequence[Mover]) -> None:
        """Place the things that move, replacing the former ones. They are seen, and `try_step` does not enter them."""

    def close(self) -> None:
        """Give everything back."""


def camera_of_each(poses: Sequence[Pose], cameras: Sequence[CameraSpec]) -> list[CameraSpec]:
    """One camera per pose, from what `render` is given."""
    if not poses:
        raise SimulatorError("render was given no poses: give at least one")
    if len(cameras) not in (1, len(poses)):
        raise SimulatorError(
            f"render was given {len(poses)} poses and {len(cameras)} cameras: give one camera, or one per pose")
    sizes = sorted({(camera.width, camera.height) for camera in cameras})
    if len(sizes) > 1:
        raise SimulatorError(
            f"render was given cameras of sizes {sizes}: render cameras of different sizes in separate calls")
    return list(cameras) if len(cameras) == len(poses) else [cameras[0]] * len(poses)


def finite_points(points: np.ndarray, name: str) -> np.ndarray:
    """[N, 3] float64, from [3] or [N, 3] that a call was given as `name`."""
    array = np.asarray(points, dtype=np.float64)
    array = array.reshape(-1, 3) if array.shape == (3,) or array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 3:
        raise SimulatorError(f"{name} has shape {array.shape}: give x, y, z in metres, [3] or [N, 3]")
    if not np.isfinite(array).all():
        raise SimulatorError(f"{name} holds {array[~np.isfinite(array)][0]}: give finite metres")
    return array

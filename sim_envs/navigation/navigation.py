"""Navigation: where a robot of one footprint can be and drive in one mesh. Static obstacles only."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np

from nav_foundation.geometry import path_length
from nav_foundation.robot import Footprint
from sim_envs.compiled import kernel
from sim_envs.mesh import SceneMesh
from sim_envs.navigation.freespace import build_freespace, is_clear
from sim_envs.navigation.geodesics import DistanceField
from sim_envs.navigation.heightfield import build_surfaces
from sim_envs.navigation.motion import (
    LEVEL_REACH,
    advance,
    clearance_at,
    find_node,
    height_at,
    is_navigable,
    nearest_navigable,
    visible,
)
from sim_envs.navigation.paths import follow_floor
from sim_envs.simulator import Geodesic, Pose, SimulatorError, Step, TopDown, finite_points

SNAP_REACH = 2.0  # m
START_REACH = 0.5  # m, how far off the navigable area a motion may start
_FIELD_CELLS = 20_000_000  # distance fields kept, in cells of all of them
_OUTSIDE, _FREE, _OBSTACLE = TopDown.OUTSIDE, TopDown.FREE, TopDown.OBSTACLE
_MAP_CELLS = 64_000_000
_UNREACHABLE = Geodesic(math.inf, np.empty((0, 3)), -1)


class Navigation:
    """The navigable area of a mesh for a footprint, and motion and shortest ways on it.

    The robot's centre may be where nothing solid above `step_height` and below `height`, and no drop, comes within
    `radius`. Islands of at least 4 m^2 (and 2 % of the largest) are kept, and the largest whatever its size; roofs and
    the insides of solids are not.
    Building costs one pass over the mesh; all queries are deterministic.
    """

    def __init__(self, mesh: SceneMesh, footprint: Footprint):
        surfaces = build_surfaces(mesh, footprint)
        self._space = build_freespace(surfaces, footprint)
        self._occupied = surfaces.occupied
        self._corner = np.array([self._space.x0, self._space.y0, 0.0])
        self._ripple = 0.05 + footprint.step_height / 2
        used = np.zeros(len(mesh.vertices), np.bool_)
        used[mesh.faces] = True
        self.lower: np.ndarray = mesh.vertices[used].min(axis=0).astype(np.float64)  # [3] m, bounds of the mesh
        self.upper: np.ndarray = mesh.vertices[used].max(axis=0).astype(np.float64)
        self.cell: float = self._space.cell  # m, may be coarser than the mesh asked for
        self.navigable_area: float = float(np.count_nonzero(self._space.central)) * self.cell**2  # m^2, all islands
        self._main = np.flatnonzero(self._space.component == 0)
        self._fields: OrderedDict[bytes, DistanceField] = OrderedDict()

    def try_step(self, start: Pose, end: Pose) -> Step:
        """Drive straight from `start` to `end`, sliding along what is in the way, at any length of step."""
        space = self._space
        found, x, y, z, contact = _try_step(
            space, start.x - space.x0, start.y - space.y0, start.z, end.x - space.x0, end.y - space.y0)
        if not found:
            raise SimulatorError(
                f"the robot at ({start.x:.2f}, {start.y:.2f}, {start.z:.2f}) is over {START_REACH:g} m from any "
                "navigable floor: start from a point that snap() or sample_navigable() gave"
            )
        return Step(Pose(x + space.x0, y + space.y0, z, end.yaw), contact)

    def geodesic(self, start: np.ndarray, goals: np.ndarray) -> Geodesic:
        """Shortest way from a point [3] to the nearest of goals [N, 3]; inf if there is none.

        All are snapped to navigable points within 2 m first; the path and its length are those between these points.
        """
        nodes, points = _snap_all(self._space, finite_points(start, "start") - self._corner)
        goal_nodes, goal_points = _snap_all(self._space, finite_points(goals, "goals") - self._corner)
        usable = np.flatnonzero(goal_nodes >= 0)
        if nodes[0] < 0 or len(usable) == 0:
            return _UNREACHABLE
        goal_nodes, goal_points = goal_nodes[usable], goal_points[usable]
        node, point = int(nodes[0]), points[0]
        goal = int(np.argmin(np.hypot(*(goal_points - point).T)))
        if visible(self._space, node, *point, *goal_points[goal]) == goal_nodes[goal]:
            ends = np.array([node, goal_nodes[goal]]), np.array([point, goal_points[goal]])
            path = follow_floor(self._space, *ends, self._ripple)
        else:
            path, goal = self._field(goal_nodes, goal_points).path(node, point, self._ripple)
        if len(path) == 0:
            return _UNREACHABLE
        return Geodesic(path_length(path), path + self._corner, int(usable[goal]))

    def sample_navigable(self, rng: np.random.Generator) -> np.ndarray:
        """A point [3] drawn uniformly by area from the largest island."""
        space = self._space
        while True:
            node = int(self._main[rng.integers(len(self._main))])
            row, column = divmod(int(space.column[node]), space.nx)
            x, y = (column + rng.random()) * space.cell, (row + rng.random()) * space.cell
            if is_clear(space, node, x, y):
                return np.array([x, y, height_at(space, node, x, y)]) + self._corner

    def snap(self, point: np.ndarray) -> np.ndarray | None:
        """The navigable point [3] nearest to a point [3], None when there is none within 2 m.

        A metre up or down counts as two along the floor, so that the point stays on its storey.
        """
        x, y, z = (finite_points(point, "point")[0] - self._corner).tolist()
        node, x, y = nearest_navigable(self._space, x, y, z, SNAP_REACH)
        if node < 0:
            return None
        return np.array([x, y, height_at(self._space, node, x, y)]) + self._corner

    def clearance(self, points: np.ndarray) -> np.ndarray:
        """[N] metres from points [N, 3] to the nearest obstacle or drop, 0 where no robot fits, capped at some metres.

        Never too much: within that distance nothing is in the way. Exact about the robot's radius, elsewhere up to 0.8
        cells too little.
        """
        return _clearances(self._space, finite_points(points, "points") - self._corner)

    def is_navigable(self, points: np.ndarray) -> np.ndarray:
        """[N] bool, whether the robot's centre may be at points [N, 3] (on the floor, within 0.25 m of height)."""
        return self.component(points) >= 0

    def component(self, points: np.ndarray) -> np.ndarray:
        """[N] int32 island of points [N, 3]: 0 the main one, then by falling area, -1 where the robot cannot be."""
        return _components(self._space, finite_points(points, "points") - self._corner)

    def top_down(self, resolution: float) -> TopDown:
        """The floor plan, all storeys over each other. The centre of a FREE cell is navigable."""
        if not (math.isfinite(resolution) and resolution > 0):
            raise SimulatorError(f"top_down resolution is {resolution}: give metres per cell, above 0")
        size = np.ceil((self.upper[:2] - self.lower[:2]) / resolution).astype(np.int64) + 1
        if size.prod() > _MAP_CELLS:
            raise SimulatorError(
                f"a map of {size[0]} x {size[1]} cells is too large: give a resolution coarser than {resolution:g} m"
            )
        origin = (float(self.lower[0]), float(self.lower[1]))
        grid = _draw(self._space, self._occupied, origin[0] - self._space.x0, origin[1] - self._space.y0,
                     float(resolution), int(size[0]), int(size[1]))
        return TopDown(grid, origin, float(resolution))

    def _field(self, nodes: np.ndarray, points: np.ndarray) -> DistanceField:
        """The distance field of these goals; the last few are kept."""
        key = points.tobytes() + nodes.tobytes()
        field = self._fields.pop(key, None)
        if field is None:
            field = DistanceField(self._space, nodes, points)
        self._fields[key] = field
        while len(self._fields) > max(2, min(32, _FIELD_CELLS // len(self._space.column))):
            self._fields.popitem(last=False)
        return field


@kernel
def _try_step(space, x, y, z, to_x, to_y):  # type: ignore[no-untyped-def]
    node, x, y = nearest_navigable(space, x, y, z, START_REACH)
    if node < 0:
        return False, x, y, z, True
    node, x, y, contact = advance(space, node, x, y, to_x, to_y)
    return True, x, y, height_at(space, node, x, y), contact


@kernel
def _snap_all(space, points):  # type: ignore[no-untyped-def]
    """The navigable points nearest to points [N, 3]: their nodes [N], -1 = none within reach, and x, y [N, 2]."""
    nodes, places = np.empty(len(points), np.int64), np.empty((len(points), 2))
    for k in range(len(points)):
        nodes[k], places[k, 0], places[k, 1] = nearest_navigable(
            space, points[k, 0], points[k, 1], points[k, 2], SNAP_REACH)
    return nodes, places


@kernel
def _clearances(space, points):  # type: ignore[no-untyped-def]
    found = np.zeros(len(points))
    for k in range(len(points)):
        node = find_node(space, points[k, 0], points[k, 1], points[k, 2], LEVEL_REACH)
        if node >= 0:
            found[k] = clearance_at(space, node, points[k, 0], points[k, 1])
    return found


@kernel
def _components(space, points):  # type: ignore[no-untyped-def]
    found = np.full(len(points), -1, np.int32)
    for k in range(len(points)):
        node = find_node(space, points[k, 0], points[k, 1], points[k, 2], LEVEL_REACH)
        if is_navigable(space, node, points[k, 0], points[k, 1]):
            found[k] = space.component[node]
    return found


@kernel
def _draw(space, occupied, x0, y0, resolution, columns, rows):  # type: ignore[no-untyped-def]
    """The grid of a TopDown whose corner lies at (x0, y0) of the grid."""
    grid, half = np.full((rows, columns), _OUTSIDE, np.uint8), resolution / 2
    for row in range(rows):
        y = y0 + (row + 0.5) * resolution
        for column in range(columns):
            x = x0 + (column + 0.5) * resolution
            first, last = max(int((x - half) / space.cell), 0), min(int((x + half) / space.cell), space.nx - 1)
            for j in range(max(int((y - half) / space.cell), 0), min(int((y + half) / space.cell), space.ny - 1) + 1):
                for i in range(first, last + 1):
                    if occupied[j * space.nx + i]:
                        grid[row, column] = _OBSTACLE
            i, j = int(x / space.cell), int(y / space.cell)
            if i < space.nx and j < space.ny:
                for node in range(space.start[j * space.nx + i], space.start[j * space.nx + i + 1]):
                    if is_navigable(space, node, x, y):
                        grid[row, column] = _FREE
    return grid

"""A tiny simulator with exact answers: walls and furniture are boxes, shortest ways come from a visibility graph."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np

from nav_foundation.camera import camera_rotation, rays
from nav_foundation.robot import CameraSpec, Footprint, RobotSpec
from sim_envs.simulator import Door, Frames, Geodesic, Instance, Mover, Pose, Room, SceneInfo, SceneRef, Step, TopDown

WALL = 0.1  # m thick, half of it on either side of a room's border
ROOMS = {  # x0, y0, x1, y1
    "corridor": (0.0, 4.0, 12.0, 5.6), "bedroom": (0.0, 0.0, 4.0, 4.0), "kitchen": (4.0, 0.0, 8.0, 4.0),
    "bathroom": (8.0, 0.0, 12.0, 4.0), "living room": (0.0, 5.6, 6.0, 10.0), "office": (6.0, 5.6, 12.0, 10.0),
}
DOORS = [  # x, y of a door in a wall along x, and the rooms below and above it
    (2.0, 4.0, "bedroom", "corridor"), (6.0, 4.0, "kitchen", "corridor"), (10.0, 4.0, "bathroom", "corridor"),
    (3.0, 5.6, "corridor", "living room"), (9.0, 5.6, "corridor", "office"),
]
DOOR_WIDTH = 1.0
THINGS = [  # category, room, x0, y0, x1, y1, bottom, top
    ("bed", "bedroom", 0.1, 0.1, 2.0, 1.6, 0.0, 0.5), ("wardrobe", "bedroom", 3.3, 0.2, 3.9, 1.6, 0.0, 2.0),
    ("fridge", "kitchen", 4.1, 0.1, 4.8, 0.8, 0.0, 1.8), ("table", "kitchen", 5.6, 1.4, 6.8, 2.2, 0.0, 0.75),
    ("chair", "kitchen", 5.1, 1.6, 5.5, 2.0, 0.0, 0.9), ("chair", "kitchen", 6.9, 1.6, 7.3, 2.0, 0.0, 0.9),
    ("bathtub", "bathroom", 8.1, 0.1, 9.8, 0.9, 0.0, 0.55), ("toilet", "bathroom", 11.3, 1.5, 11.9, 2.0, 0.0, 0.8),
    ("sofa", "living room", 0.2, 7.0, 1.1, 9.0, 0.0, 0.8), ("television", "living room", 5.4, 7.5, 5.9, 8.7, 0.3, 1.2),
    ("armchair", "living room", 1.6, 9.1, 2.4, 9.9, 0.0, 0.9), ("desk", "office", 10.9, 7.0, 11.9, 8.6, 0.0, 0.75),
    ("bookshelf", "office", 6.1, 6.4, 6.5, 8.4, 0.0, 2.0), ("cup", "office", 11.2, 7.5, 11.3, 7.6, 0.75, 0.85),
    ("plant", "corridor", 11.4, 4.2, 11.8, 4.6, 0.0, 1.2),
]


def _box_outline(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def house_info(ref: SceneRef | None = None, area: float = 100.0) -> SceneInfo:
    names = list(ROOMS)
    rooms = tuple(Room(name, _box_outline(*box)) for name, box in ROOMS.items())
    doors = tuple(
        Door(np.array([x, y]), DOOR_WIDTH, math.pi / 2, (names.index(a), names.index(b))) for x, y, a, b in DOORS
    )
    things = tuple(
        Instance(10 + k, category, _box_outline(*box), bottom, top, names.index(room))
        for k, (category, room, *box, bottom, top) in enumerate(THINGS)
    )
    walls = (Instance(1, "wall", _box_outline(0, 0, 12, 10), 0.0, 2.5, is_object=False),)
    return SceneInfo(
        ref or SceneRef("house", 1), np.zeros(3), np.array([12.0, 10.0, 2.5]), area, walls + things, rooms, doors
    )


def _walls() -> np.ndarray:
    """[N, 4] x0, y0, x1, y1."""
    h = WALL / 2
    boxes = [(-h, -h, 12 + h, h), (-h, 10 - h, 12 + h, 10 + h), (-h, -h, h, 10 + h), (12 - h, -h, 12 + h, 10 + h)]
    for x, (low, high) in {4.0: (0, 4), 8.0: (0, 4), 6.0: (5.6, 10)}.items():
        boxes.append((x - h, low - h, x + h, high + h))
    for y in (4.0, 5.6):
        gaps = sorted((d[0] - DOOR_WIDTH / 2, d[0] + DOOR_WIDTH / 2) for d in DOORS if d[1] == y)
        begin = 0.0
        for low, high in [*gaps, (12.0, 12.0)]:
            boxes.append((begin, y - h, low, y + h))
            begin = high
    return np.array(boxes, dtype=np.float64)


class FakeHouse:
    """The Simulator port for a square robot, exact in the plane."""

    def __init__(self) -> None:
        self.walls = _walls()
        things = np.array([thing[2:6] for thing in THINGS if thing[0] != "cup"])
        self.boxes = np.concatenate([self.walls, things])
        lower = np.column_stack([self.walls[:, :2], np.zeros(len(self.walls))])
        upper = np.column_stack([self.walls[:, 2:], np.full(len(self.walls), 2.5)])
        self.solid_lower = np.concatenate([lower, [[t[2], t[3], t[6]] for t in THINGS], [[-1, -1, -0.1]]])
        self.solid_upper = np.concatenate([upper, [[t[4], t[5], t[7]] for t in THINGS], [[13, 11, 0.0]]])
        self.solid_ids = np.array([1] * len(self.walls) + [10 + k for k in range(len(THINGS))] + [1])
        self.radius = 0.0
        self.loads = 0

    def load(self, scene: SceneRef, footprint: Footprint) -> SceneInfo:
        self.loads += 1
        if footprint.radius != self.radius:
            self.radius = footprint.radius
            grown = self.boxes + footprint.radius * np.array([-1, -1, 1, 1])
            self.grown = grown
            corners = np.concatenate([grown[:, [0, 1]], grown[:, [0, 3]], grown[:, [2, 1]], grown[:, [2, 3]]])
            self.corners = corners[[self._free(c) for c in corners]]
            self.visible = self._sees(self.corners, self.corners)
        return house_info(scene)

    def _free(self, point: np.ndarray) -> bool:
        g, eps = self.grown, 1e-9
        hit = (point[0] > g[:, 0] + eps) & (point[0] < g[:, 2] - eps)
        hit &= (point[1] > g[:, 1] + eps) & (point[1] < g[:, 3] - eps)
        return not hit.any() and 0 < point[0] < 12 and 0 < point[1] < 10

    def _sees(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """[len(a), len(b)] whether the straight line between two points stays out of every grown box."""
        start, step = a[:, None, None, :], (b[None, :] - a[:, None])[:, :, None, :]
        low, high = self.grown[:, :2] + 1e-7, self.grown[:, 2:] - 1e-7
        with np.errstate(divide="ignore", invalid="ignore"):
            t0, t1 = (low - start) / step, (high - start) / step
        inside = (start > low) & (start < high)
        enter = np.where(step == 0, np.where(inside, -np.inf, np.inf), np.minimum(t0, t1)).max(axis=-1)
        leave = np.where(step == 0, np.where(inside, np.inf, -np.inf), np.maximum(t0, t1)).min(axis=-1)
        return ~((enter < leave) & (leave > 0) & (enter < 1)).any(axis=-1)

    def geodesic(self, start: np.ndarray, goals: np.ndarray) -> Geodesic:
        start, goals = np.asarray(start)[:2], np.asarray(goals)[:, :2]
        nodes = np.concatenate([start[None], self.corners])
        sees = np.zeros((len(nodes), len(nodes)), dtype=bool)
        sees[1:, 1:] = self.visible
        sees[0] = self._sees(start[None], nodes)[0]
        length, before = self._dijkstra(nodes, sees)
        best, goal, via = math.inf, -1, 0
        for first in range(0, len(goals), 500):
            some = goals[first : first + 500]
            total = length[:, None] + np.linalg.norm(nodes[:, None] - some, axis=2)
            total[~self._sees(nodes, some)] = math.inf
            node, k = np.unravel_index(int(total.argmin()), total.shape)
            if total[node, k] < best:
                best, goal, via = float(total[node, k]), first + int(k), int(node)
        if goal < 0:
            return Geodesic(math.inf, np.zeros((0, 3)))
        chain = [via]
        while chain[-1] != 0:
            chain.append(int(before[chain[-1]]))
        path = np.concatenate([nodes[chain[::-1]], goals[goal][None]])
        return Geodesic(best, np.column_stack([path, np.zeros(len(path))]), goal)

    @staticmethod
    def _dijkstra(nodes: np.ndarray, sees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        length, before = np.full(len(nodes), math.inf), np.zeros(len(nodes), dtype=np.int64)
        length[0] = 0.0
        queue = [(0.0, 0)]
        while queue:
            so_far, here = heapq.heappop(queue)
            if so_far > length[here]:
                continue
            for there in np.flatnonzero(sees[here]):
                new = so_far + math.dist(nodes[here], nodes[there])
                if new < length[there] - 1e-12:
                    length[there], before[there] = new, here
                    heapq.heappush(queue, (new, int(there)))
        return length, before

    def sample_navigable(self, rng: np.random.Generator) -> np.ndarray:
        while True:
            point = rng.uniform((0.0, 0.0), (12.0, 10.0))
            if self._free(point):
                return np.append(point, 0.0)

    def snap(self, point: np.ndarray) -> np.ndarray | None:
        flat = np.asarray(point)[:2]
        for away in np.arange(0.0, 2.0, 0.1):
            for angle in np.linspace(0, 2 * math.pi, 16, endpoint=False):
                near = flat + away * np.array([math.cos(angle), math.sin(angle)])
                if self._free(near):
                    return np.append(near, 0.0)
        return None

    def clearance(self, points: np.ndarray) -> np.ndarray:
        p = np.asarray(points)[:, None, :2]
        outside = np.maximum(np.maximum(self.boxes[:, :2] - p, p - self.boxes[:, 2:]), 0.0).max(axis=2).min(axis=1)
        in_house = (p[:, 0] > 0).all(axis=1) & (p[:, 0] < (12, 10)).all(axis=1)
        return np.where(in_house & (outside >= self.radius - 1e-6), outside, 0.0)

    def render(
        self, poses: Sequence[Pose], cameras: Sequence[CameraSpec], *, rgb: bool = True, depth: bool = False,
        semantic: bool = False,
    ) -> Frames:
        all_depth, all_ids = [], []
        for k, pose in enumerate(poses):
            camera = cameras[k % len(cameras)]
            directions = rays(camera)
            c, s = math.cos(pose.yaw), math.sin(pose.yaw)
            turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
            eye = pose.position + turn @ (camera.mount_forward, 0, camera.mount_height)
            world = directions.reshape(-1, 3) @ (turn @ camera_rotation(camera)).T
            with np.errstate(divide="ignore", invalid="ignore"):
                t0 = (self.solid_lower - eye)[None] / world[:, None]
                t1 = (self.solid_upper - eye)[None] / world[:, None]
            enter, leave = np.minimum(t0, t1).max(axis=2), np.maximum(t0, t1).min(axis=2)
            hit = np.where((enter < leave) & (enter > 0), enter, np.inf)
            first = hit.argmin(axis=1)
            far = hit[np.arange(len(hit)), first]
            seen = np.isfinite(far)
            z = np.where(seen, far * directions.reshape(-1, 3)[:, 2], 0.0)
            all_depth.append(z.reshape(camera.height, camera.width).astype(np.float32))
            all_ids.append(np.where(seen, self.solid_ids[first], 0).reshape(camera.height, camera.width))
        ids = np.array(all_ids, dtype=np.int32)
        colours = np.repeat((ids % 256).astype(np.uint8)[..., None], 3, axis=3)
        return Frames(colours if rgb else None, np.array(all_depth) if depth else None, ids if semantic else None)

    def top_down(self, resolution: float) -> TopDown:
        columns, rows = math.ceil(12 / resolution), math.ceil(10 / resolution)
        x, y = np.meshgrid((np.arange(columns) + 0.5) * resolution, (np.arange(rows) + 0.5) * resolution)
        free = self.clearance(np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])) > 0
        grid = np.where(free, TopDown.FREE, TopDown.OBSTACLE).astype(np.uint8).reshape(rows, columns)
        return TopDown(grid, (0.0, 0.0), resolution)

    def try_step(self, start: Pose, end: Pose) -> Step:
        raise NotImplementedError

    def set_movers(self, movers: Sequence[Mover]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


ROBOT = RobotSpec(
    "square", CameraSpec(width=64, height=48, mount_height=0.4, hfov_deg=79.0), Footprint(radius=0.2, height=0.5),
    cruise_speed=0.5, max_speed=1.0, max_angular_speed=2.0,
)

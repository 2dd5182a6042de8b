"""Habitat in a process of its own: `PYTHON habitat_worker.py SOCKET MEMORY [PARENT]`, started by habitat_process.py.

Runs in Habitat's environment, whose Python (3.9 on) and NumPy are not ours: it imports the standard library, NumPy and
habitat_sim (0.2.5 to 0.3.4), and nothing else. SOCKET and MEMORY are inherited descriptors: a Unix socket for messages,
four bytes of length (big-endian) and JSON in UTF-8, and a file in memory that pictures are written to. Neither has a
name, so nothing is left behind when a process is killed. With the number of the PARENT it dies at once with that one.

The worker speaks first, `{"protocol", "versions", "cuda"}`; then each `{"call", ...}` gets its `{"result"}`, or
`{"error", "kind"}`. All points are in Habitat's frame: metres, y up, yaw 0 faces -z, positive turns left.
"""

from __future__ import annotations

import base64
import ctypes
import glob
import json
import math
import mmap
import os
import platform
import signal
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

PROTOCOL = 1
CALLS = ("load", "render", "step", "geodesic", "sample", "snap", "clearance", "top_down")
LARGEST_MESSAGE = 256 << 20  # bytes; a longer one is no message
# In the order in which they lie in memory. Shape of a pixel, and its type.
CHANNELS = {"depth": ((), np.float32), "semantic": ((), np.int32), "rgb": ((3,), np.uint8)}
SENSORS = 32  # kept; each has its own pictures
SNAP_REACH = 2.0  # m
START_REACH = 0.5  # m, how far off the navigable area a motion may start
WAY_REACH = 0.3  # m along the floor, how far off it a way may start and end
LEVEL_REACH = 0.25  # m, a point this far above or below a floor is taken to stand on it
STEP = 0.2  # m, longer steps go in pieces: Habitat refuses those that end far off its floor


class Refusal(Exception):
    """What the user has to mend; `kind` is "scene" where the scene is at fault."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class TruncatedError(Exception):
    """A message broke off, or is none."""


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    channel.sendall(struct.pack(">I", len(data)) + data)


def receive(channel: socket.socket) -> dict[str, Any] | None:
    """The next message, None when the other side has closed."""
    head = _exactly(channel, 4)
    if not head:
        return None
    length = struct.unpack(">I", head.ljust(4, b"\xff"))[0]
    data = _exactly(channel, length) if length <= LARGEST_MESSAGE else b""
    if len(data) < length:
        raise TruncatedError(f"{len(data)} of {length} bytes")
    try:
        return dict(json.loads(data))
    except (ValueError, TypeError) as error:
        raise TruncatedError(f"no JSON object: {error}") from None


def _exactly(channel: socket.socket, count: int) -> bytes:
    """`count` bytes, fewer at the end."""
    data = bytearray()
    while len(data) < count and (part := channel.recv(min(count - len(data), 1 << 20))):
        data += part
    return bytes(data)


class Memory:
    """The file in memory; grown by the client, seen by both."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map: mmap.mmap | None = None

    def pictures(self, count: int, height: int, width: int, channels: list[str]) -> dict[str, np.ndarray]:
        """Arrays [count, height, width, ...] by channel, one behind the other."""
        size = picture_bytes(count, height, width, channels)
        if self._map is None or len(self._map) < size:
            self._map = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        found, at = {}, 0
        for name in CHANNELS:
            if name in channels:
                pixel, kind = CHANNELS[name]
                shape = (count, height, width) + pixel
                found[name] = np.frombuffer(self._map, kind, math.prod(shape), at).reshape(shape)
                at += found[name].nbytes
        return found


def picture_bytes(count: int, height: int, width: int, channels: list[str]) -> int:
    each = (math.prod(CHANNELS[name][0]) * np.dtype(CHANNELS[name][1]).itemsize for name in channels)
    return count * height * width * sum(each)


def run(arguments: list[str], start: Callable[[], tuple[Any, dict[str, str], bool]]) -> None:
    """Serve until the client is gone. `start` gives what answers the calls, versions by name, and whether CUDA is."""
    if len(arguments) > 2:
        _die_with(int(arguments[2]))
    channel = socket.socket(fileno=int(arguments[0]))
    memory = Memory(int(arguments[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's, which then closes
    greeting: dict[str, Any] = {"protocol": PROTOCOL}
    try:
        back_end, versions, cuda = start()
        versions = {"python": platform.python_version(), "numpy": np.__version__, **versions}
        greeting.update(versions=versions, cuda=cuda)
    except ImportError as error:
        greeting.update(error=f"{type(error).__name__}: {error}")
    send(channel, greeting)
    while "error" not in greeting and (request := receive(channel)) is not None:
        send(channel, _answer(back_end, memory, request))


def _answer(back_end: Any, memory: Memory, request: dict[str, Any]) -> dict[str, Any]:
    name = request.pop("call", None)
    try:
        if name not in CALLS:
            raise Refusal(f"the worker knows no call {name!r}")
        if name == "render":
            return {"result": back_end.render(memory, **request)}
        return {"result": getattr(back_end, name)(**request)}
    except Refusal as refusal:
        return {"error": str(refusal), "kind": refusal.kind}
    except Exception as error:  # whatever habitat_sim raises: the client shows these lines of the log
        traceback.print_exc()
        sys.stderr.flush()
        kind = "scene" if name == "load" else "fault"
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500], "kind": kind}


def _die_with(parent: int) -> None:
    """Ask Linux for a SIGKILL when the client, or a wrapper between, dies: it ends even a worker that hangs."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os.kill(parent, 0)  # signals nothing, but looks for it
    except ProcessLookupError:
        sys.exit(f"the client, process {parent}, died before its worker had started")
    except (OSError, AttributeError):
        return  # not Linux: the closed socket has to do


def start_habitat() -> tuple[Habitat, dict[str, str], bool]:
    import habitat_sim

    return Habitat(habitat_sim), {"habitat_sim": str(habitat_sim.__version__)}, bool(habitat_sim.cuda_enabled)


class Habitat:
    """Answers the calls. One simulator for the life of the process, for two cannot be; it changes scenes."""

    def __init__(self, habitat_sim: Any) -> None:
        self._lib = habitat_sim
        self._sim: Any = None
        self._scene: tuple[Any, ...] | None = None
        self._footprint: dict[str, float] | None = None
        self._sensors: dict[tuple[Any, ...], str] = {}  # (channel, width, height, degrees) -> name
        self._islands: list[int] = []  # for samples, clearance and plans: no table tops; the largest first

    def load(self, path: str, dataset: str, footprint: dict[str, float], gpu: int | None) -> dict[str, Any]:
        scene = (path, dataset, gpu)
        if scene != self._scene:
            self._scene = None  # should loading fail, nothing is loaded
            with tempfile.TemporaryDirectory() as folder:
                file, dataset = scene_files(path, dataset, folder)
                try:
                    self._enter(file, dataset, (0 if glob.glob("/dev/nvidia[0-9]*") else -1) if gpu is None else gpu)
                except Exception as error:
                    why = " ".join(str(error).replace(folder, os.path.dirname(path)).split())[:500]
                    raise Refusal(f"{path} cannot be loaded by Habitat: {why}: is the file whole?", "scene") from None
            self._footprint = None
        if footprint != self._footprint:
            self._footprint = None
            self._make_navigable(path, footprint)
        self._scene, self._footprint = scene, footprint
        bounds = self._sim.get_active_scene_graph().get_root_node().cumulative_bb
        area = sum(self._sim.pathfinder.island_area(island) for island in self._islands)
        return {"lower": _numbers(bounds.min), "upper": _numbers(bounds.max), "area": area, **self._semantics()}

    def _enter(self, file: str, dataset: str, gpu: int) -> None:
        lib = self._lib
        settings = lib.SimulatorConfiguration()
        settings.scene_id, settings.gpu_device_id = file, gpu
        if dataset:
            settings.scene_dataset_config_file = dataset
        settings.enable_physics, settings.load_semantic_mesh = False, True
        agent = lib.AgentConfiguration()
        agent.sensor_specifications = [self._sensor("textures", "rgb", 8, 8, 90.0)]  # without one none are loaded
        configuration, self._sensors = lib.Configuration(settings, [agent]), {}
        if self._sim is None:
            self._sim = lib.Simulator(configuration)
        else:
            self._sim.reconfigure(configuration)

    def _make_navigable(self, path: str, footprint: dict[str, float]) -> None:
        finder, settings = self._sim.pathfinder, self._lib.NavMeshSettings()
        settings.set_defaults()
        radius, step = footprint["radius"], footprint["step_height"]
        settings.agent_radius, settings.agent_height = radius, footprint["height"]
        # Habitat rounds to cells: the radius is a whole number of them, and one is no higher than a step, so that
        # floors come out true to that height. A slope rises by a cell somewhere, so one at least may be climbed.
        settings.cell_size = radius / math.ceil(radius / 0.05 - 1e-6)
        settings.cell_height = min(max(step, 0.02), 0.05)
        settings.agent_max_climb = max(step, settings.cell_height) + 1e-3
        settings.agent_max_slope = math.degrees(footprint["max_slope"])
        beside = os.path.splitext(path)[0] + ".navmesh"
        if not (os.path.isfile(beside) and finder.load_nav_mesh(beside) and _fits(finder.nav_mesh_settings, settings)):
            self._sim.recompute_navmesh(finder, settings)
        count = finder.num_islands if finder.is_loaded else 0
        areas = sorted(((finder.island_area(k), k) for k in range(count)), reverse=True)
        if not areas or areas[0][0] <= 0.0:
            raise Refusal(f"{path} has no floor for a robot of {radius:g} m: use a smaller robot, or check the scale "
                          "of the scene and which way is up in it", "scene")
        self._islands = [k for area, k in areas if area >= max(4.0, 0.02 * areas[0][0])] or [areas[0][1]]

    def _semantics(self) -> dict[str, Any]:
        scene = self._sim.semantic_scene  # None where nothing is known
        regions = [r for r in getattr(scene, "regions", ()) if r is not None and r.category is not None]
        rooms = {region.id: index for index, region in enumerate(regions)}
        known = [thing for thing in getattr(scene, "objects", ()) if thing is not None and thing.category is not None]
        things = [thing for thing in known if max(_numbers(thing.obb.sizes)) > 0.0]  # no part of the scene: no size
        return {
            "rooms": [{"category": r.category.name(), "corners": _corners(r.aabb)} for r in regions],
            "instances": [{
                "id": int(thing.semantic_id), "category": thing.category.name(), "corners": _turned_corners(thing.obb),
                "room": rooms.get(thing.region.id, -1) if thing.region is not None else -1,
            } for thing in things],
        }

    def render(
        self, memory: Memory, poses: list[list[float]], cameras: list[list[float]], channels: list[str],
    ) -> None:
        """Each pose is x, y, z, yaw; each camera, one or one per pose, width, height, degrees, and how it is mounted:
        metres up and ahead, radians down."""
        self._loaded()
        width, height = int(cameras[0][0]), int(cameras[0][1])
        pictures = memory.pictures(len(poses), height, width, channels)
        agent = self._sim.get_agent(0)
        for index, (x, y, z, yaw) in enumerate(poses):
            _, _, degrees, up, ahead, down = cameras[index if len(cameras) > 1 else 0]
            state = self._lib.AgentState()
            state.position = np.array([x - ahead * math.sin(yaw), y + up, z - ahead * math.cos(yaw)], np.float32)
            # Turned about the upright axis, then about the camera's own: quaternion x, y, z, w.
            c, s, cp, sp = math.cos(yaw / 2), math.sin(yaw / 2), math.cos(down / 2), -math.sin(down / 2)
            state.rotation = np.array([c * sp, s * cp, -s * sp, c * cp])
            agent.set_state(state)
            for channel in channels:
                sensor = self._sim._sensors[self._sensor_of(channel, width, height, degrees)]
                sensor.draw_observation()
                seen = np.asarray(sensor.get_observation())
                pictures[channel][index] = seen[..., :3] if channel == "rgb" else seen

    def _sensor_of(self, channel: str, width: int, height: int, degrees: float) -> str:
        key = (channel, width, height, degrees)
        name = "-".join(map(str, key))
        if self._sensors.pop(key, None) is None:
            self._sim.add_sensor(self._sensor(name, *key))
        self._sensors[key] = name  # the last one used is the last
        if len(self._sensors) > SENSORS and hasattr(self._sim, "remove_sensor"):
            self._sim.remove_sensor(self._sensors.pop(next(iter(self._sensors))))
        return name

    def _sensor(self, name: str, channel: str, width: int, height: int, degrees: float) -> Any:
        """In the agent's own place: the agent is put where the camera is."""
        kinds, sensor = self._lib.SensorType, self._lib.CameraSensorSpec()
        sensor.uuid, sensor.hfov = name, degrees
        sensor.sensor_type = {"rgb": kinds.COLOR, "depth": kinds.DEPTH, "semantic": kinds.SEMANTIC}[channel]
        sensor.resolution = [height, width]
        sensor.position = sensor.orientation = [0.0, 0.0, 0.0]
        return sensor

    def step(self, start: list[float], end: list[float]) -> dict[str, Any]:
        finder = self._loaded()
        here = self._snapped(start, START_REACH)
        if here is None:
            raise Refusal("off the floor", "start")
        dx, dz, contact = end[0] - here[0], end[2] - here[2], False
        pieces = max(1, math.ceil(math.hypot(dx, dz) / STEP))
        for _ in range(pieces):
            aim = here + np.array([dx / pieces, 0.0, dz / pieces], np.float32)
            here = np.asarray(finder.try_step(here, aim), np.float32)
            contact = contact or math.hypot(aim[0] - here[0], aim[2] - here[2]) > 1e-3
        return {"point": _numbers(here), "contact": contact}

    def geodesic(self, start: list[float], goals: list[list[float]]) -> dict[str, Any]:
        finder = self._loaded()
        here, places = self._snapped(start, WAY_REACH), [self._snapped(goal, WAY_REACH) for goal in goals]
        usable = [index for index, place in enumerate(places) if place is not None]
        if here is None or not usable:
            return {"path": []}
        way = self._lib.MultiGoalShortestPath()
        way.requested_start = here
        way.requested_ends = np.array([places[index] for index in usable], np.float32)
        if not finder.find_path(way):
            return {"path": []}
        return {"path": [_numbers(point) for point in way.points], "goal": usable[way.closest_end_point_index]}

    def sample(self, seed: int) -> list[float]:
        finder = self._loaded()
        finder.seed(seed)
        return _numbers(finder.get_random_navigable_point(100, self._islands[0]))

    def snap(self, point: list[float]) -> list[float] | None:
        found = self._snapped(point) if self._loaded() else None
        return None if found is None else _numbers(found)

    def clearance(self, points: list[list[float]]) -> list[float]:
        """Habitat measures to the edge of where the robot's centre may be: the radius further is what is in the way."""
        finder = self._loaded()
        found = []
        for point in np.asarray(points, np.float32).reshape(-1, 3):
            stands = finder.is_navigable(point, LEVEL_REACH) and finder.get_island(point) in self._islands
            away = float(finder.distance_to_closest_obstacle(point, 2.0)) if stands else 0.0
            found.append(min(away, 2.0) + self._footprint["radius"] if stands else 0.0)  # type: ignore[index]
        return found

    def top_down(self, resolution: float) -> dict[str, Any]:
        finder = self._loaded()
        lower, upper = (np.asarray(corner, np.float64) for corner in finder.get_bounds())
        free: Any = None
        for level in np.arange(lower[1], upper[1] + 1.0, 1.0):  # each height shows half a metre up and down
            islands = np.asarray(finder.get_topdown_island_view(resolution, float(level), 0.5))
            free = np.isin(islands, self._islands) | (False if free is None else free)
        return packed(free, float(lower[0]), float(lower[2]))

    def _snapped(self, point: list[float], across: float = SNAP_REACH) -> np.ndarray | None:
        """[3] the nearest point, at most `across` metres aside, on any island: a large one may be behind a wall."""
        wanted = np.asarray(point, np.float32)
        found = np.asarray(self._sim.pathfinder.snap_point(wanted), np.float32)
        aside = math.hypot(found[0] - wanted[0], found[2] - wanted[2])
        return found if np.linalg.norm(found - wanted) <= SNAP_REACH and aside <= across else None  # NaN is not

    def _loaded(self) -> Any:
        if self._scene is None:
            raise Refusal("no scene is loaded: call load first")
        return self._sim.pathfinder


def scene_files(path: str, dataset: str, folder: str) -> tuple[str, str]:
    """The scene and the scene dataset that Habitat is told, "" = none. `folder` is for files needed while it loads."""
    if dataset or not path.endswith(".glb"):
        return path, dataset
    stem = os.path.splitext(path)[0]
    sidecar = stem + ".stage_config.json"
    if os.path.isfile(sidecar):
        return sidecar, ""
    found = os.path.dirname(os.path.abspath(path))
    for _ in range(4):  # as HM3D has them, above its scenes; those with annotations know what things are
        configs = sorted(glob.glob(os.path.join(glob.escape(found), "*.scene_dataset_config.json")))
        if configs:
            return path, next((c for c in configs if "annotated" in os.path.basename(c)), configs[0])
        found = os.path.dirname(found)
    if any(os.path.isfile(stem + suffix) for suffix in (".navmesh", ".house")):
        return path, ""  # a scan: z is up in its file, as Habitat expects
    # glTF has y up, which Habitat has to be told.
    name = os.path.basename(path)
    os.symlink(os.path.abspath(path), os.path.join(folder, name))
    config = os.path.join(folder, os.path.splitext(name)[0] + ".stage_config.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"render_asset": name, "up": [0, 1, 0], "front": [0, 0, -1]}, file)
    return config, ""


def packed(free: np.ndarray, x: float, z: float) -> dict[str, Any]:
    """A floor plan [along z, along x] bool for a message; x, z is the middle of its first cell."""
    return {"rows": free.shape[0], "columns": free.shape[1], "x": x, "z": z,
            "free": base64.b64encode(np.packbits(free).tobytes()).decode()}


def _fits(found: Any, wanted: Any) -> bool:
    """Whether a navmesh from disk is for such a robot; old files do not say."""
    return found is not None and all(
        abs(getattr(found, name) - getattr(wanted, name)) < tolerance
        for name, tolerance in (("agent_radius", 0.01), ("agent_height", 0.1), ("agent_max_climb", 0.05)))


def _numbers(point: Any) -> list[float]:
    return [float(point[axis]) for axis in range(3)]


def _turned_corners(box: Any) -> list[list[float]]:
    """The eight corners of a box that may be turned; its own upright box would reach to the origin of the world."""
    x, y, z, w = (float(part) for part in box.rotation)
    axis, half = np.array([x, y, z]), np.asarray(box.sizes, np.float64) / 2
    ends = half * np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    turned = ends + 2 * np.cross(axis, np.cross(axis, ends) + w * ends)
    return (np.asarray(box.center, np.float64) + turned).tolist()


def _corners(box: Any) -> list[list[float]]:
    """The two corners of a box: 0.3 has Magnum's ranges there, 0.2 boxes of its own."""
    if hasattr(box, "min"):
        return [_numbers(box.min), _numbers(box.max)]
    centre, size = np.asarray(box.center, np.float64), np.asarray(box.sizes, np.float64)
    return [(centre - size / 2).tolist(), (centre + size / 2).tolist()]


if __name__ == "__main__":
    sys.path.pop(0)  # our folder: some of its files are named like packages of others
    run(sys.argv[1:], start_habitat)
    sys.stdout.flush()
    os._exit(0)  # Habitat's own ending may abort

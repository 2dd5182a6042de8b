"""Habitat as a simulator: habitat_sim in a worker process of its own Python environment, behind our port.

It shows what its datasets hold, from `.glb` files that the embedded simulator cannot read, too. Habitat tells only
where a robot can be, so floor plans call OBSTACLE what borders on that, and there are no people.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nav_foundation.geometry import path_length
from nav_foundation.robot import CameraSpec, Footprint
from sim_envs.habitat_frame import from_habitat, to_habitat
from sim_envs.habitat_lens import Face, faces_of, is_native, native_hfov, paint
from sim_envs.habitat_process import WORKER, HabitatProcess, Refused, WorkerDiedError, WorkerFailedError
from sim_envs.habitat_worker import CHANNELS, picture_bytes
from sim_envs.scenes.files import instance_of_points, outline_of
from sim_envs.simulator import (
    Frames,
    Geodesic,
    Instance,
    Mover,
    Pose,
    Room,
    SceneError,
    SceneInfo,
    SceneRef,
    SimulatorError,
    Step,
    TopDown,
    camera_of_each,
    finite_points,
)

_BATCH = 32 << 20  # bytes of pictures that cross at once
_RIM = 0.3  # m beyond the robot's radius that a floor plan shows as obstacle
_MAP_CELLS = 64_000_000
_NAMELESS = {"", "unknown", "void", "unlabeled", "undefined", "none"}


class HabitatSimulator:
    """Implements `Simulator`. One scene at a time; the worker is kept when scenes change, but not when one fails.

    A worker that dies, hangs or sends nonsense raises a `WorkerFailedError` at the call that notices, and is reaped.
    The next call starts another one and loads the scene again. When two in a row have failed without answering a call,
    only `load` tries once more.
    """

    def __init__(
        self, python: str | Path, *, gpu: int | None = None, timeout: float = 60.0, load_timeout: float = 600.0,
        scene_dataset: str | Path = "", worker: Path = WORKER,
    ) -> None:
        """`python` is the interpreter that has habitat_sim. `gpu` is the number of the one that draws, -1 = none,
        None = the first that draws, if one does. `timeout` are the seconds that a call may take, `load_timeout` a
        scene. With a `scene_dataset` (a .scene_dataset_config.json) scenes may be given by their names in it."""
        self._python, self._gpu, self._worker = python, gpu, worker
        self._timeout, self._load_timeout = timeout, load_timeout
        self._dataset = str(Path(scene_dataset).absolute()) if scene_dataset else ""
        self._info: SceneInfo | None = None
        self._footprint: Footprint | None = None
        self._faces: dict[CameraSpec, tuple[Face, ...]] = {}
        self._failures = 0  # in a row
        self._has_loaded = False  # anything
        self._process: HabitatProcess | None = None
        self._versions = self._running().versions

    @property
    def worker_versions(self) -> dict[str, str]:
        """By name: habitat_sim, numpy and python of the worker's environment."""
        return dict(self._versions)

    @property
    def worker_pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    # --- scenes ------------------------------------------------------------------------------------------------

    def load(self, scene: SceneRef, footprint: Footprint) -> SceneInfo:
        self._failures = 0
        info = self._info
        if info is not None and self._process is not None and (info.ref, self._footprint) == (scene, footprint):
            return info
        path = self._path(scene)
        self._info = None
        self._info, self._footprint = self._enter(scene, path, footprint), footprint
        return self._info

    def _path(self, scene: SceneRef) -> str:
        if scene.kind != "file":
            raise SceneError(f"scene {scene} is made for the embedded simulator: give Habitat the path of a .glb")
        path = Path(scene.path).expanduser()
        if self._dataset and not path.exists():
            return scene.path  # a name in the dataset
        if not path.is_file():
            raise SceneError(f"scene file {path} does not exist: check the path")
        if path.suffix not in (".glb", ".ply", ".json"):
            raise SceneError(f"{path}: Habitat reads .glb, a scan's .ply or its own .json: export the scene as .glb")
        return str(path.absolute())

    def _enter(self, scene: SceneRef, path: str, footprint: Footprint) -> SceneInfo:
        told = {"path": path, "dataset": self._dataset, "footprint": asdict(footprint)}
        try:
            found = self._ask("load", timeout=self._load_timeout, gpu=self._gpu, **told)
        except WorkerDiedError:
            if self._gpu is not None or self._has_loaded:
                raise
            self._gpu = -1  # a GPU that computes and cannot draw, as in many containers, aborts the process
            found = self._ask("load", timeout=self._load_timeout, gpu=-1, **told)
        self._has_loaded = True
        corners = from_habitat([found["lower"], found["upper"]])
        rooms = []
        for room in found["rooms"]:
            points = from_habitat(room["corners"])
            rooms.append(Room(_words(room["category"]), outline_of(_box(points)[:, :2]), float(points[:, 2].min())))
        return SceneInfo(
            scene, corners.min(axis=0), corners.max(axis=0), float(found["area"]),
            tuple(_instance(thing) for thing in found["instances"]
                  if thing["id"] > 0 and _words(thing["category"]) not in _NAMELESS), tuple(rooms),
        )

    def close(self) -> None:
        self._info = None
        if self._process is not None:
            self._process.close()
            self._process = None

    # --- the worker --------------------------------------------------------------------------------------------

    def _running(self) -> HabitatProcess:
        if self._process is None:
            self._process = HabitatProcess(self._python, timeout=self._timeout, worker=self._worker)
        return self._process

    def _ask(self, name: str, *, timeout: float | None = None, **arguments: Any) -> Any:
        """A call to the worker, whatever it has loaded."""
        try:
            return self._running().call(name, timeout=timeout, **arguments)
        except SimulatorError as error:
            lost = isinstance(error, WorkerFailedError)
            self._failures += lost
            # Habitat takes a scene that failed for the one before, and would not load that again.
            if self._process is not None and (lost or name == "load"):
                self._process.close()
                self._process = None
            raise

    def _call(self, name: str, **arguments: Any) -> Any:
        """A call about the current scene, which is loaded again where the worker was lost."""
        self._ready()
        answer = self._ask(name, **arguments)
        self._failures = 0
        return answer

    def _ready(self) -> HabitatProcess:
        """The worker with the current scene."""
        if self._info is None or self._footprint is None:
            raise SimulatorError("no scene is loaded: call load first")
        if self._process is None:
            if self._failures > 1:
                raise SimulatorError(f"the Habitat worker failed {self._failures} times in a row in {self._info.ref}: "
                                     "call load to try once more, or look why with nav-foundation habitat check")
            self._enter(self._info.ref, self._path(self._info.ref), self._footprint)
        assert self._process is not None
        return self._process

    # --- pictures ----------------------------------------------------------------------------------------------

    def render(
        self, poses: Sequence[Pose], cameras: Sequence[CameraSpec], *, rgb: bool = True, depth: bool = False,
        semantic: bool = False,
    ) -> Frames:
        self._ready()
        each = camera_of_each(poses, cameras)
        wanted = {"rgb": rgb, "depth": depth, "semantic": semantic}
        size = (len(poses), each[0].height, each[0].width)
        pictures = {name: np.zeros(size + pixel, kind) for name, (pixel, kind) in CHANNELS.items() if wanted[name]}
        for camera in dict.fromkeys(each):
            chosen = [index for index, other in enumerate(each) if other == camera]
            self._draw(camera, chosen, [poses[index] for index in chosen], pictures)
        return Frames(pictures.get("rgb"), pictures.get("depth"), pictures.get("semantic"))

    def _draw(
        self, camera: CameraSpec, chosen: list[int], poses: list[Pose], pictures: dict[str, np.ndarray]
    ) -> None:
        """The pictures with the numbers `chosen`, through one camera."""
        if is_native(camera):
            for first, seen in self._seen(poses, camera, list(pictures)):
                for name, values in seen.items():
                    pictures[name][chosen[first : first + len(values)]] = values
            return
        for face in self._faces_of(camera):
            turned = [_at_lens(pose, camera.mount_forward, face.yaw) for pose in poses]
            for first, seen in self._seen(turned, face.camera, list(pictures)):
                for name, values in seen.items():
                    for number, value in enumerate(values, start=first):
                        paint(face, name, value, pictures[name][chosen[number]])

    def _seen(
        self, poses: list[Pose], camera: CameraSpec, channels: list[str]
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Batches of what Habitat draws: number of the first pose, and views of memory that the next batch reuses."""
        height, width = camera.height, camera.width
        spec = [width, height, native_hfov(camera), camera.mount_height, camera.mount_forward, camera.pitch]
        batch = max(1, _BATCH // max(1, picture_bytes(1, height, width, channels)))
        for first in range(0, len(poses), batch):
            part = poses[first : first + batch]
            seen = self._ready().pictures(len(part), height, width, channels)
            places = to_habitat(np.array([pose.position for pose in part])).tolist()
            self._call("render", poses=[[*place, pose.yaw] for place, pose in zip(places, part)], cameras=[spec],
                       channels=channels)
            yield first, seen

    def _faces_of(self, camera: CameraSpec) -> tuple[Face, ...]:
        if camera not in self._faces:
            if len(self._faces) >= 32:  # randomised cameras must not pile up
                self._faces.clear()
            self._faces[camera] = faces_of(camera)
        return self._faces[camera]

    def set_movers(self, movers: Sequence[Mover]) -> None:
        self._ready()
        if movers:
            raise SimulatorError("people walk about in the embedded simulator only: leave them out with Habitat")

    # --- motion and floor --------------------------------------------------------------------------------------

    def try_step(self, start: Pose, end: Pose) -> Step:
        try:
            found = self._call("step", start=to_habitat(start.position).tolist(), end=to_habitat(end.position).tolist())
        except Refused as refusal:
            if refusal.kind != "start":
                raise
            raise SimulatorError(
                f"the robot at ({start.x:.2f}, {start.y:.2f}, {start.z:.2f}) is too far from any navigable floor: "
                "start from a point that snap() or sample_navigable() gave") from None
        x, y, z = from_habitat(found["point"]).tolist()
        return Step(Pose(x, y, z, end.yaw), bool(found["contact"]))

    def geodesic(self, start: np.ndarray, goals: np.ndarray) -> Geodesic:
        ends = finite_points(goals, "goals")
        found = self._call("geodesic", start=to_habitat(finite_points(start, "start")[0]).tolist(),
                           goals=to_habitat(ends).tolist())
        if not found["path"]:
            return Geodesic(math.inf, np.empty((0, 3)), -1)
        path = from_habitat(found["path"])
        return Geodesic(path_length(path), path, int(found["goal"]))

    def sample_navigable(self, rng: np.random.Generator) -> np.ndarray:
        self._ready()  # a call in vain must not use up a number
        return from_habitat(self._call("sample", seed=int(rng.integers(2**31))))

    def snap(self, point: np.ndarray) -> np.ndarray | None:
        found = self._call("snap", point=to_habitat(finite_points(point, "point")[0]).tolist())
        return None if found is None else from_habitat(found)

    def clearance(self, points: np.ndarray) -> np.ndarray:
        return np.array(self._call("clearance", points=to_habitat(finite_points(points, "points")).tolist()))

    def top_down(self, resolution: float) -> TopDown:
        self._ready()
        assert self._info is not None and self._footprint is not None
        if not (math.isfinite(resolution) and resolution > 0):
            raise SimulatorError(f"top_down resolution is {resolution}: give metres per cell, above 0")
        width, depth = np.ceil((self._info.upper - self._info.lower)[:2] / resolution) + 1
        if width * depth > _MAP_CELLS:
            raise SimulatorError(f"a map of {width:.0f} x {depth:.0f} cells is too large: give a resolution coarser "
                                 f"than {resolution:g} m")
        return _plan(self._call("top_down", resolution=resolution), resolution, self._footprint.radius + _RIM)


def _plan(found: dict[str, Any], resolution: float, rim: float) -> TopDown:
    """A floor plan from where the robot can be; what is within `rim` metres of that is obstacle."""
    rows, columns = found["rows"], found["columns"]
    bits = np.frombuffer(base64.b64decode(found["free"]), np.uint8)
    # Habitat's rows go along its z, our -x, and its columns along its x, our -y.
    free = np.unpackbits(bits, count=rows * columns).reshape(rows, columns)[::-1, ::-1].T
    margin = math.ceil(rim / resolution)
    free = np.pad(free, margin)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    near = cv2.dilate(free, disc)
    grid = np.where(free > 0, TopDown.FREE, np.where(near > 0, TopDown.OBSTACLE, TopDown.OUTSIDE)).astype(np.uint8)
    x, y = -(found["z"] + (rows - 0.5 + margin) * resolution), -(found["x"] + (columns - 0.5 + margin) * resolution)
    return TopDown(grid, (x, y), resolution)


def _at_lens(pose: Pose, forward: float, turn: float) -> Pose:
    """A base under the lens that is mounted `forward` metres ahead, turned left by `turn`."""
    x, y = pose.x + forward * math.cos(pose.yaw), pose.y + forward * math.sin(pose.yaw)
    return replace(pose, x=x, y=y, yaw=math.remainder(pose.yaw + turn, math.tau))


def _instance(thing: dict[str, Any]) -> Instance:
    points = _box(from_habitat(thing["corners"]))
    return replace(instance_of_points(int(thing["id"]), _words(thing["category"]), points), room=int(thing["room"]))


def _box(points: np.ndarray) -> np.ndarray:
    """The corners of the upright box [8, 3] of two opposite ones [2, 3]; other points [N, 3] are their own."""
    if len(points) != 2:
        return points
    return np.array([[x, y, z] for x in points[:, 0] for y in points[:, 1] for z in points[:, 2]])


def _words(category: str) -> str:
    return " ".join(category.lower().replace("_", " ").split())

"""The simulator that comes with the package: Embree pictures, a navigable grid, people; NumPy and CPU only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nav_foundation.robot import CameraSpec, Footprint
from sim_envs.embedded.renderer import Figure, Renderer, Surface
from sim_envs.mesh import Light, Material, SceneMesh
from sim_envs.navigation import Navigation
from sim_envs.simulator import (
    Frames,
    Geodesic,
    Mover,
    Pose,
    SceneInfo,
    SceneRef,
    SimulatorError,
    Step,
    TopDown,
    camera_of_each,
)

MOVER = -1  # in semantic images: not an instance of the scene
_GAP = 1e-3  # m kept to a mover that is in the way


class EmbeddedSimulator:
    """Implements `Simulator`. One scene at a time; reloading it is free, for another footprint nearly so."""

    def __init__(self) -> None:
        self._info: SceneInfo | None = None
        self._mesh: SceneMesh | None = None
        self._footprint: Footprint | None = None
        self._renderer: Renderer | None = None
        self._navigation: Navigation | None = None
        self._movers: tuple[Mover, ...] = ()
        self._looks: dict[Mover, Surface] = {}  # by a mover's look at the origin

    # --- scenes ------------------------------------------------------------------------------------------------

    def load(self, scene: SceneRef, footprint: Footprint) -> SceneInfo:
        if self._info is not None and self._mesh is not None and self._info.ref == scene:
            return self._enter(scene, self._mesh, footprint)
        return self.load_mesh(build_mesh(scene), footprint, scene)

    def load_mesh(self, mesh: SceneMesh, footprint: Footprint, scene: SceneRef | None = None) -> SceneInfo:
        """Make a mesh made in memory the current scene."""
        return self._enter(scene or SceneRef("file", path="<memory>"), mesh, footprint)

    def _enter(self, scene: SceneRef, mesh: SceneMesh, footprint: Footprint) -> SceneInfo:
        self._movers = ()
        if mesh is not self._mesh:
            self.close()
            renderer = Renderer(mesh)
        else:
            assert self._renderer is not None
            renderer = self._renderer
            if footprint == self._footprint and self._info is not None:
                return self._info
        self._info = None  # should navigation fail, nothing is loaded
        self._navigation = Navigation(mesh, footprint)
        self._mesh, self._footprint, self._renderer = mesh, footprint, renderer
        self._info = SceneInfo(
            scene, self._navigation.lower, self._navigation.upper,  # of vertices that faces use: others may be NaN
            self._navigation.navigable_area, mesh.instances, mesh.rooms, mesh.doors,
        )
        return self._info

    def close(self) -> None:
        self._info = self._mesh = self._footprint = self._renderer = self._navigation = None
        self._movers = ()
        self._looks = {}

    # --- pictures ----------------------------------------------------------------------------------------------

    def render(
        self, poses: Sequence[Pose], cameras: Sequence[CameraSpec], *, rgb: bool = True, depth: bool = False,
        semantic: bool = False,
    ) -> Frames:
        renderer = self._loaded()[0]
        each = camera_of_each(poses, cameras)
        renderer.figures = tuple(self._figure(mover, renderer.light) for mover in self._movers)
        return renderer.render(poses, each, rgb=rgb, depth=depth, semantic=semantic)

    def set_movers(self, movers: Sequence[Mover]) -> None:
        self._loaded()
        self._movers = tuple(movers)

    def _figure(self, mover: Mover, light: Light) -> Figure:
        """The mover's mesh is made once for all places it may stand at: steps are far more frequent than looks."""
        still = replace(mover, pose=Pose(0.0, 0.0, 0.0, 0.0))
        surface = self._looks.get(still)
        if surface is None:
            surface = self._looks[still] = Surface.of_figure(mover_mesh(still), light)
        return Figure(surface, mover.pose)

    # --- motion ------------------------------------------------------------------------------------------------

    def try_step(self, start: Pose, end: Pose) -> Step:
        _, navigation, footprint = self._loaded()
        step = navigation.try_step(start, end)
        free = self._free_part(start, step.pose, footprint)
        if free >= 1.0:
            return step
        # Sliding may have bent the way: walk to the stopping point anew, and stay if that ends near a mover as well.
        reach = Pose(
            start.x + free * (step.pose.x - start.x), start.y + free * (step.pose.y - start.y),
            start.z + free * (step.pose.z - start.z), end.yaw,
        )
        stopped = navigation.try_step(start, reach).pose
        if self._free_part(start, stopped, footprint) < 1.0:
            stopped = replace(start, yaw=end.yaw)
        return Step(stopped, True)

    def _free_part(self, start: Pose, end: Pose, footprint: Footprint) -> float:
        """How much, 0 to 1, of the straight way can be gone before the robot's disc touches that of a mover."""
        free = 1.0
        for mover in self._movers:
            if mover.pose.z + mover.height < start.z or start.z + footprint.height < mover.pose.z:
                continue
            free = min(free, _until_contact(
                start.x - mover.pose.x, start.y - mover.pose.y, end.x - start.x, end.y - start.y,
                footprint.radius + mover.radius + _GAP,
            ))
        return free

    # --- the floor ---------------------------------------------------------------------------------------------

    def geodesic(self, start: np.ndarray, goals: np.ndarray) -> Geodesic:
        return self._loaded()[1].geodesic(start, goals)

    def sample_navigable(self, rng: np.random.Generator) -> np.ndarray:
        return self._loaded()[1].sample_navigable(rng)

    def snap(self, point: np.ndarray) -> np.ndarray | None:
        return self._loaded()[1].snap(point)

    def clearance(self, points: np.ndarray) -> np.ndarray:
        return self._loaded()[1].clearance(points)

    def top_down(self, resolution: float) -> TopDown:
        return self._loaded()[1].top_down(resolution)

    def _loaded(self) -> tuple[Renderer, Navigation, Footprint]:
        if self._info is None or self._renderer is None or self._navigation is None or self._footprint is None:
            raise SimulatorError("the simulator has no scene: call load(scene, footprint) first")
        return self._renderer, self._navigation, self._footprint


def build_mesh(scene: SceneRef) -> SceneMesh:
    """The triangles of any scene; builders are imported when they are needed."""
    if scene.kind == "house":
        from sim_envs.scenes.houses.house import build_house

        return build_house(scene.seed)
    if scene.kind == "city":
        from sim_envs.scenes.cities.city import build_city

        return build_city(scene.seed, scene.size)
    from sim_envs.scenes.files import load_mesh_file

    return load_mesh_file(scene.path)


def mover_mesh(mover: Mover) -> SceneMesh:
    """A mover's own triangles; in semantic images it is MOVER."""
    from sim_envs.scenes.people import person_mesh

    person = person_mesh(mover)
    count = len(person.triangles)
    return SceneMesh(
        vertices=person.triangles.reshape(-1, 3), faces=np.arange(3 * count, dtype=np.int32).reshape(count, 3),
        uv=np.zeros((count, 3, 2), np.float32), material=np.zeros(count, np.int32),
        instance=np.full(count, MOVER, np.int32), materials=(Material("person"),),
        colours=np.repeat(person.colours[:, None], 3, axis=1),
    )


def _until_contact(x: float, y: float, dx: float, dy: float, radius: float) -> float:
    """Fraction of the way (dx, dy) from (x, y) until the circle of this radius around the origin is entered, 1 = never.

    Who is inside already may leave, not go deeper.
    """
    square, approach, outside = dx * dx + dy * dy, x * dx + y * dy, x * x + y * y - radius * radius
    if square == 0.0 or approach >= 0.0:
        return 1.0
    if outside <= 0.0:
        return 0.0
    discriminant = approach * approach - square * outside
    if discriminant <= 0.0:
        return 1.0
    return min(1.0, (-approach - math.sqrt(discriminant)) / square)

"""Pictures of a SceneMesh: static surfaces, the movers among them, and the light on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nav_foundation.robot import CameraSpec
from sim_envs.compiled import kernel
from sim_envs.embedded import shading
from sim_envs.embedded.lighting import bake, prepare
from sim_envs.embedded.raycaster import FAR, EmbreeMesh, Hits, View, world_rays
from sim_envs.mesh import Light, SceneMesh
from sim_envs.simulator import Frames, Pose

_SHADOW_BIAS = 2e-3  # m that a shadow ray starts off its surface


@dataclass(frozen=True)
class Surface:
    """A mesh made ready: rays find its faces, the kernel knows their looks."""

    rays: EmbreeMesh
    faces: shading.FaceTable
    middle: np.ndarray  # [3] float64, of its bounds
    reach: float  # m, radius of the ball around `middle` that holds it

    @staticmethod
    def of_scene(mesh: SceneMesh) -> Surface:
        mesh = prepare(mesh)
        rays = EmbreeMesh(mesh.triangles)
        return Surface._of(mesh, rays, bake(mesh, rays))

    @staticmethod
    def of_figure(mesh: SceneMesh, light: Light) -> Surface:
        """A mesh that will be placed at any yaw: its light must not know where the sun is."""
        mesh = replace(mesh, light=replace(light, indoor=True))
        return Surface._of(mesh, EmbreeMesh(mesh.triangles), bake(mesh, None))

    @staticmethod
    def _of(mesh: SceneMesh, rays: EmbreeMesh, ambient: np.ndarray) -> Surface:
        lower, upper = mesh.vertices.min(axis=0).astype(np.float64), mesh.vertices.max(axis=0).astype(np.float64)
        reach = float(np.linalg.norm(upper - lower)) / 2
        return Surface(rays, shading.face_table(mesh, ambient), (lower + upper) / 2, reach)


@dataclass(frozen=True)
class Figure:
    """A surface, made around the origin, that stands somewhere."""

    surface: Surface
    pose: Pose


@dataclass
class _Canvas:
    """The images of one pose being written. P pixels; an image that was not asked for has no pixels."""

    rgb: np.ndarray | None  # [P, 3] uint8
    depth: np.ndarray | None  # [P] float32
    semantic: np.ndarray | None  # [P] int32


class Renderer:
    """Draws one scene. Calls may come from several threads as long as nobody changes `figures` meanwhile."""

    def __init__(self, mesh: SceneMesh) -> None:
        self.light = mesh.light
        self.figures: tuple[Figure, ...] = ()
        self._scene = Surface.of_scene(mesh)
        self._sky = shading.sky_colours(mesh.light)
        self._sun = shading.sun_direction(mesh.light).astype(np.float32)[None]
        self._sunny = not mesh.light.indoor and mesh.light.sun_strength > 0
        self._views: dict[CameraSpec, View] = {}

    def render(
        self, poses: Sequence[Pose], cameras: Sequence[CameraSpec], *, rgb: bool, depth: bool, semantic: bool,
    ) -> Frames:
        """One picture per pose; `cameras` has one camera per pose, all of one size."""
        count, height, width = len(poses), cameras[0].height, cameras[0].width
        frames = Frames(
            np.zeros((count, height, width, 3), np.uint8) if rgb else None,
            np.zeros((count, height, width), np.float32) if depth else None,
            np.zeros((count, height, width), np.int32) if semantic else None,
        )
        for index, (pose, camera) in enumerate(zip(poses, cameras)):
            self._draw(pose, self._view(camera), _Canvas(
                None if frames.rgb is None else frames.rgb[index].reshape(-1, 3),
                None if frames.depth is None else frames.depth[index].reshape(-1),
                None if frames.semantic is None else frames.semantic[index].reshape(-1),
            ))
        return frames

    def _view(self, camera: CameraSpec) -> View:
        view = self._views.get(camera)
        if view is None:
            if len(self._views) >= 32:  # randomised cameras must not pile up
                self._views.clear()
            view = self._views[camera] = View.of(camera)
        return view

    def _draw(self, pose: Pose, view: View, canvas: _Canvas) -> None:
        origin, directions = world_rays(view, pose)
        hits = self._scene.rays.cast(np.broadcast_to(origin.astype(np.float32), directions.shape).copy(), directions)
        if canvas.rgb is not None:
            shading.shade_sky(hits.face, directions, self._sky, canvas.rgb)
        pixels = np.arange(len(directions), dtype=np.int32)
        distance = self._paint(self._scene, hits, origin, directions, pixels, view, canvas, self._sunny)
        for figure in self.figures:
            self._draw_figure(figure, origin, directions, distance, view, canvas)

    def _draw_figure(
        self, figure: Figure, origin: np.ndarray, directions: np.ndarray, distance: np.ndarray, view: View,
        canvas: _Canvas,
    ) -> None:
        """Rays that pass near the figure are turned into its own frame, and what it hides is painted over."""
        c, s = np.cos(figure.pose.yaw), np.sin(figure.pose.yaw)
        to_figure = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        start = to_figure @ (origin - figure.pose.position)
        pixels = _rays_near(
            directions, distance, to_figure.T @ (figure.surface.middle - start), figure.surface.reach)
        if not len(pixels):
            return
        turned = (directions[pixels] @ to_figure.T).astype(np.float32)
        limit = np.minimum(distance[pixels], FAR).astype(np.float32)
        hits = figure.surface.rays.cast(np.tile(start.astype(np.float32), (len(pixels), 1)), turned, limit)
        near = self._paint(figure.surface, hits, start, turned, pixels, view, canvas, False)
        distance[pixels] = np.minimum(distance[pixels], near)

    def _paint(
        self, surface: Surface, hits: Hits, origin: np.ndarray, directions: np.ndarray, pixels: np.ndarray,
        view: View, canvas: _Canvas, sunny: bool,
    ) -> np.ndarray:
        """Write what the rays of `pixels` hit to the canvas; returns the exact distances, inf where nothing was hit."""
        faces, atlas = surface.faces, surface.faces.atlas
        distance = shading.hit_distances(hits.face, hits.distance, directions, origin, faces.records)
        if canvas.rgb is not None:
            lit = np.zeros(len(pixels), np.uint8)
            if sunny:
                facing, starts = shading.sunny_points(
                    hits.face, distance, directions, origin, faces.records, _SHADOW_BIAS)
                lit[facing] = ~surface.rays.blocked(starts, self._sun)
            shading.shade_hits(
                hits.face, hits.u, hits.v, distance, lit, directions, origin, view.spread, pixels, faces.records,
                atlas.texels, atlas.levels, shading.GAMMA, canvas.rgb)
        if canvas.depth is not None:
            shading.write_depth(hits.face, distance, view.along_axis, pixels, canvas.depth)
        if canvas.semantic is not None:
            shading.write_instances(hits.face, faces.instance, pixels, canvas.semantic)
        return distance


@kernel
def _rays_near(directions: np.ndarray, distance: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Indices of rays that enter the ball around `centre` (relative to their origin) before they hit something."""
    square = centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2
    found = np.empty(directions.shape[0], np.int32)
    count = 0
    for i in range(directions.shape[0]):
        along = centre[0] * directions[i, 0] + centre[1] * directions[i, 1] + centre[2] * directions[i, 2]
        inside = square <= radius * radius
        if inside or (along > 0.0 and square - along * along <= radius * radius and along - radius < distance[i]):
            found[count] = i
            count += 1
    return found[:count]

"""Meshes from disk: .glb, .gltf, .obj and .ply, with textures and vertex colours, as a SceneMesh.

How the file's axes become the world's (Habitat's y up among them) is told at the top of mesh_checks.py. Named parts of
the file become instances: a node "chair_3" is a "chair".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh

from sim_envs.mesh import Light, Material, SceneMesh
from sim_envs.scenes.mesh_checks import check_gltf, check_obj, gltf_header, resolve, stage_of
from sim_envs.simulator import Instance, SceneError

_STRUCTURE = {
    "wall", "floor", "ceiling", "roof", "ground", "terrain", "road", "street", "pavement", "sidewalk", "building",
    "stairs", "door frame", "window frame", "room", "beam", "column", "grass", "crossing", "level",
}
_NAMELESS = {
    "", "world", "node", "mesh", "geometry", "object", "scene", "root", "rootnode", "group", "default", "gltf", "obj",
    "primitive", "material", "none", "null", "chunk", "model", "polygon", "shape", "part", "submesh", "armature", "ply",
}
_WIDEST_FINE = 50.0  # m; wider worlds get coarser navigation cells
_WIDEST = 20_000.0  # m
_PLAIN = (0, False)  # no object has this id


def load_mesh_file(path: str) -> SceneMesh:
    """The world in a mesh file; `path` may also be a Habitat `NAME.stage_config.json`."""
    file = resolve(path)
    stage = stage_of(file)
    matrix = stage.matrix(file)
    scene, unlit, linear = _read(file)
    parts = _Parts(unlit or stage.unlit, linear)
    for node in sorted(scene.graph.nodes_geometry):
        transform, geometry_name = scene.graph[node]
        geometry = scene.geometry[geometry_name]
        if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
            names = (str(node), str(scene.graph.transforms.parents.get(node, "")), str(geometry_name))
            parts.add(file, geometry, np.asarray(transform), matrix, names)
    if not parts.faces:
        raise SceneError(f"{file} holds no triangles: export it as a triangle mesh, not as points or lines")
    return parts.finish(file)


def _read(file: Path) -> tuple[trimesh.Scene, bool, bool]:
    """The file's parts, whether they are meant to be shown unlit, and whether vertex colours are linear light."""
    suffix, unlit, linear = file.suffix.lower(), False, False
    if suffix in (".glb", ".gltf"):
        header = gltf_header(file)
        check_gltf(file, header)
        unlit = "KHR_materials_unlit" in header.get("extensionsUsed", ())
        # By the standard they are linear; trimesh writes sRGB bytes as they are.
        linear = "trimesh" not in str(header.get("asset", {}).get("generator", ""))
    elif suffix == ".obj":
        check_obj(file)
    options: dict[str, Any] = {"split_objects": True} if suffix == ".obj" else {}
    try:
        return trimesh.load_scene(file, process=False, **options), unlit, linear
    except Exception as error:  # the readers raise whatever they trip over
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise SceneError(f"{file} cannot be read ({reason}): it is broken or cut off, fetch it again") from error


@dataclass
class _Parts:
    """Collects the geometries of a file."""

    unlit: bool
    linear: bool
    vertices: list[np.ndarray] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)
    uv: list[np.ndarray] = field(default_factory=list)
    colours: list[np.ndarray | None] = field(default_factory=list)
    material: list[int] = field(default_factory=list)
    owner: list[str] = field(default_factory=list)  # the instance's key per geometry, "" = none
    categories: dict[str, str] = field(default_factory=dict)  # instance's key -> category
    materials: list[Material] = field(default_factory=list)
    textures: dict[int, np.ndarray] = field(default_factory=dict)
    # (id of trimesh's material, whether with its picture) -> index; parts without coordinates share its mean colour
    known: dict[tuple[int, bool], int] = field(default_factory=dict)

    def add(
        self, file: Path, geometry: trimesh.Trimesh, transform: np.ndarray, matrix: np.ndarray, names: tuple[str, ...],
    ) -> None:
        """One geometry, placed by its node's transform [4, 4] and then by the file's axes [3, 3]."""
        faces = np.asarray(geometry.faces, dtype=np.int64)
        if faces.min() < 0 or faces.max() >= len(geometry.vertices):
            raise SceneError(f"{file}: part {names[0]!r} has triangles of missing vertices: export the file again")
        whole = matrix @ transform[:3]
        points = np.asarray(geometry.vertices, dtype=np.float64) @ whole[:, :3].T + whole[:, 3]
        if not np.isfinite(points[faces]).all():
            raise SceneError(f"{file}: part {names[0]!r} has vertices that are not numbers: export the file again")
        if np.linalg.det(whole[:, :3]) < 0:  # mirrored: keep the outside outside
            faces = faces[:, ::-1]
        corners = points[faces]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        faces = faces[area > 1e-12]
        kept = np.flatnonzero(area > 1e-12)
        if not len(faces):
            return
        self.vertices.append(points)
        self.faces.append(faces)
        self._add_look(file, geometry, faces, kept)
        key, category = _instance_of(names)
        self.owner.append(key)
        if key:
            self.categories[key] = category

    def _add_look(self, file: Path, geometry: trimesh.Trimesh, faces: np.ndarray, kept: np.ndarray) -> None:
        visual: Any = geometry.visual
        uv, colours = np.zeros((len(faces), 3, 2), dtype=np.float32), None
        if isinstance(visual, trimesh.visual.TextureVisuals):
            textured = visual.uv is not None and len(visual.uv) == len(geometry.vertices)
            if textured:
                uv = np.nan_to_num(np.asarray(visual.uv, dtype=np.float32)[:, :2])[faces]
            self.material.append(self._material(file, visual.material, textured))
            if "color" in visual.vertex_attributes:
                colours = trimesh.visual.to_rgba(visual.vertex_attributes["color"])[faces]
        else:
            self.material.append(self._plain())
            if visual.kind == "face":
                colours = np.repeat(np.asarray(visual.face_colors)[kept][:, None], 3, axis=1)
            elif visual.kind == "vertex":
                colours = np.asarray(visual.vertex_colors)[faces]
        if colours is not None:
            colours = np.ascontiguousarray(colours[..., :3], dtype=np.uint8)
            if self.linear:
                colours = np.round(_to_srgb(np.arange(256) / 255.0) * 255.0).astype(np.uint8)[colours]
        self.uv.append(uv)
        self.colours.append(colours)

    def _plain(self) -> int:
        """The material of parts that have none: white, for vertex colours to multiply."""
        if _PLAIN not in self.known:
            self.known[_PLAIN] = len(self.materials)
            self.materials.append(Material("plain", emission=float(self.unlit)))
        return self.known[_PLAIN]

    def _material(self, file: Path, source: Any, textured: bool) -> int:
        key = id(source), textured
        if key in self.known:
            return self.known[key]
        colour, image = np.ones(3), getattr(source, "baseColorTexture", None)
        if isinstance(source, trimesh.visual.material.PBRMaterial):
            if source.baseColorFactor is not None:
                colour = np.asarray(trimesh.visual.to_rgba(source.baseColorFactor))[:3] / 255.0
        else:
            image = getattr(source, "image", None)
            if image is None:  # MTL colours are what the screen shows, and a picture replaces them
                colour = _to_linear(np.asarray(trimesh.visual.to_rgba(source.main_color))[:3] / 255.0)
        texture = self._texture(file, image) if image is not None else None
        if texture is not None and not textured:  # no coordinates to place the picture by
            colour, texture = colour * _to_linear(texture.reshape(-1, 3).mean(axis=0) / 255.0), None
        self.known[key] = len(self.materials)
        name = str(getattr(source, "name", None) or f"material {len(self.materials)}")
        r, g, b = (float(value) for value in colour)
        self.materials.append(Material(name, (r, g, b), texture, emission=float(self.unlit)))
        return self.known[key]

    def _texture(self, file: Path, image: Any) -> np.ndarray:
        if id(image) not in self.textures:
            try:
                self.textures[id(image)] = np.ascontiguousarray(np.asarray(image.convert("RGB"), dtype=np.uint8))
            except (OSError, ValueError, SyntaxError) as error:
                raise SceneError(f"{file} has a broken texture ({error}): fetch or export it again") from error
        return self.textures[id(image)]

    def finish(self, file: Path) -> SceneMesh:
        starts = np.concatenate([[0], np.cumsum([len(points) for points in self.vertices])])
        counts = [len(faces) for faces in self.faces]
        vertices = np.concatenate(self.vertices)
        faces = np.concatenate([part + start for part, start in zip(self.faces, starts, strict=False)])
        ids = {key: number for number, key in enumerate(sorted(self.categories), start=1)} if len(counts) > 1 else {}
        instance = np.repeat([ids.get(key, 0) for key in self.owner], counts).astype(np.int32)
        corners = vertices[faces]
        low, high = corners.reshape(-1, 3).min(axis=0), corners.reshape(-1, 3).max(axis=0)
        extent = high - low
        if extent.max() > _WIDEST:
            raise SceneError(
                f"{file} is {extent.max():,.0f} m wide: metres are expected, scale it or set units_to_meters in a "
                f"stage_config.json beside it"
            )
        away = float(max(np.abs(low).max(), np.abs(high).max()))
        if away > _WIDEST:  # float32 coordinates are too coarse there: half a metre at the numbers of map projections
            raise SceneError(f"{file} reaches {away:,.0f} m from its origin: move the world there and export it")
        colours = None
        if any(part is not None for part in self.colours):
            white = [np.full((count, 3, 3), 255, dtype=np.uint8) for count in counts]
            colours = np.concatenate([w if part is None else part for part, w in zip(self.colours, white, strict=True)])
        width = float(extent[:2].max())
        return SceneMesh(
            vertices=vertices.astype(np.float32), faces=faces.astype(np.int32), uv=np.concatenate(self.uv),
            material=np.repeat(self.material, counts).astype(np.int32), instance=instance,
            materials=tuple(self.materials), colours=colours,
            instances=tuple(
                instance_of_points(ids[key], self.categories[key], corners[instance == ids[key]]) for key in ids),
            light=Light(indoor=width <= 60.0), navigation_cell=_cell(width),
        )


def _cell(width: float) -> float:
    """0.05 m up to 50 m, then growing with the width of the world, 0.5 m at most."""
    return float(min(0.5, 0.05 * max(1, np.ceil(width / _WIDEST_FINE))))


def _instance_of(names: tuple[str, ...]) -> tuple[str, str]:
    """The first name that says what the thing is, and the category it says; two empty strings when none does."""
    for name in names:
        category = category_of(name)
        if category:
            return name, category
    return "", ""


def category_of(name: str) -> str:
    """'OfficeChair_03.001' -> 'office chair'; '' for names that mean nothing, such as 'mesh_12' or a long code."""
    if Path(name).suffix.lower() in (".glb", ".gltf", ".obj", ".ply"):
        return ""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.sub(r"[^A-Za-z]+", " ", re.sub(r"(?<![A-Za-z])[A-Za-z]*\d[A-Za-z\d]{4,}", " ", words)).strip().lower()
    parts = [word for word in words.split() if word not in _NAMELESS]
    return " ".join(parts) if len(words) > 2 and 0 < len(parts) <= 4 else ""


def instance_of_points(number: int, category: str, points: np.ndarray) -> Instance:
    """The thing that points [..., 3] of its surface make."""
    points = points.reshape(-1, 3)
    structural = category in _STRUCTURE or category.split()[-1] in _STRUCTURE
    return Instance(
        number, category, outline_of(points[:, :2]), float(points[:, 2].min()), float(points[:, 2].max()),
        is_object=not structural,
    )


def outline_of(points: np.ndarray) -> np.ndarray:
    """[K, 2] counter-clockwise convex hull of points [N, 2]; a thin box where they lie on a line."""
    hull = cv2.convexHull(np.ascontiguousarray(points, dtype=np.float32), clockwise=False)[:, 0].astype(np.float64)
    x, y = hull.T
    if 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)) > 1e-6:
        return hull
    (x0, y0), (x1, y1) = points.min(axis=0) - 0.005, points.max(axis=0) + 0.005
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)


def _to_srgb(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0) ** (1 / 2.4) - 0.055)


def _to_linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)

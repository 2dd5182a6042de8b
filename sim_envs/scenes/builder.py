"""MeshBuilder: primitives with a material, an instance and a transform, gathered into one SceneMesh.

Local frame of a primitive: x right, y back, z up, metres; `z` is always the bottom. Texture coordinates are given in
metres and become repeats by the size of the material's texture. Everything is kept as arrays per primitive and
transformed at once in `build`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import numpy as np

from sim_envs.mesh import Light, Material, SceneMesh
from sim_envs.scenes import shapes
from sim_envs.scenes.shapes import Shape
from sim_envs.simulator import Door, Instance, Room


def linear(colour: str | Sequence[float]) -> tuple[float, float, float]:
    """A linear colour, as Material wants it, from sRGB: "#rrggbb" or three numbers 0..1."""
    if isinstance(colour, str):
        colour = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return r, g, b


def plan_outline(points: np.ndarray) -> np.ndarray:
    """[K, 2] float64 counter-clockwise convex hull of points [N, 2]; at least 1 cm wide, so that it has an area."""
    low, high = points.min(axis=0), points.max(axis=0)
    thin = np.maximum(0.0, 0.005 - (high - low) / 2)
    if thin.any():
        points = np.concatenate([points - thin, points + thin])
    hull = cv2.convexHull(np.ascontiguousarray(points, dtype=np.float32)).reshape(-1, 2).astype(np.float64)
    nxt = np.roll(hull, -1, axis=0)
    area = float((hull[:, 0] * nxt[:, 1] - nxt[:, 0] * hull[:, 1]).sum())
    return hull if area >= 0 else hull[::-1].copy()


@dataclass
class _Label:
    category: str
    is_object: bool
    room: int


@dataclass
class MeshBuilder:
    _materials: list[Material] = field(default_factory=list)
    _sizes: list[tuple[float, float]] = field(default_factory=list)  # m, one repeat of each material's texture
    _grain: list[bool] = field(default_factory=list)
    _names: dict[str, int] = field(default_factory=dict)
    _labels: list[_Label] = field(default_factory=list)
    _instance: int = 0
    _transforms: list[np.ndarray] = field(default_factory=lambda: [np.eye(4)])
    _transform: int = 0
    _chunks: list[tuple[Shape, int, int, int]] = field(default_factory=list)  # shape, material, instance, transform

    # -- materials, instances and places ------------------------------------------------------------------------------

    def material(
        self, name: str, colour: str | Sequence[float] = (1.0, 1.0, 1.0), texture: np.ndarray | None = None,
        size: float | tuple[float, float] = 1.0, emission: float = 0.0, grain: bool = False,
    ) -> int:
        """Index of the material called `name`, made on first use. `colour` is sRGB, `size` the metres (u, v) that one
        repeat of the texture covers; with `grain` the texture's u runs along the longer side of boxes."""
        if name not in self._names:
            self._names[name] = len(self._materials)
            self._materials.append(Material(name, linear(colour), texture, emission))
            self._sizes.append(size if isinstance(size, tuple) else (size, size))
            self._grain.append(grain)
        return self._names[name]

    def __contains__(self, name: str) -> bool:
        """Whether there is a material of this name."""
        return name in self._names

    def begin_instance(self, category: str, is_object: bool = True, room: int = -1) -> int:
        """What is added from now on belongs to this new instance; returns its id."""
        self._labels.append(_Label(category, is_object, room))
        self._instance = len(self._labels)
        return self._instance

    def end_instance(self) -> None:
        self._instance = 0

    @contextmanager
    def instance(self, category: str, is_object: bool = True, room: int = -1) -> Iterator[int]:
        before = self._instance
        yield self.begin_instance(category, is_object, room)
        self._instance = before

    @contextmanager
    def at(
        self, x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0, scale: float | Sequence[float] = 1.0,
        pitch: float = 0.0, roll: float = 0.0,
    ) -> Iterator[None]:
        """What is added inside is scaled, rolled about x, pitched about y, turned about z, then moved. Nests."""
        before = self._transform
        self._transforms.append(self._transforms[before] @ _placement(x, y, z, yaw, scale, pitch, roll))
        self._transform = len(self._transforms) - 1
        yield
        self._transform = before

    # -- primitives ---------------------------------------------------------------------------------------------------

    def add(self, shape: Shape, material: int) -> None:
        """Add any shape; the methods below are short cuts to the usual ones."""
        self._chunks.append((shape, material, self._instance, self._transform))

    def box(
        self, x: float, y: float, z: float, sx: float, sy: float, sz: float, material: int, taper: float = 1.0,
        bottom: bool | None = None,
    ) -> None:
        """Centred on x, y, standing on z. The top is `taper` times as large. The bottom face is left out below 0.25 m,
        where it is not seen, unless asked for."""
        below = z > 0.25 if bottom is None else bottom
        self.add(shapes.box(x, y, z, sx, sy, sz, taper, below, self._grain[material]), material)

    def rounded_box(
        self, x: float, y: float, z: float, sx: float, sy: float, sz: float, radius: float, material: int,
        corner: int = 4,
    ) -> None:
        """A box with all edges rounded (cushions, mattresses, appliances); `corner` segments per quarter turn."""
        self.add(shapes.rounded_box(x, y, z, sx, sy, sz, radius, corner), material)

    def cylinder(
        self, x: float, y: float, z: float, radius: float, height: float, material: int, n: int = 14,
        top_radius: float | None = None, axis: str = "z", bottom: bool = False,
    ) -> None:
        """A cylinder, cone or prism of n sides. `axis` x or y lays it down, starting at (x, y, z) along that axis."""
        top = radius if top_radius is None else top_radius
        profile = [(0.0, 0.0), (radius, 0.0), (top, height), (0.0, height)]
        skip = 0 if bottom or axis != "z" or z > 0.25 else 1
        self.add(shapes.lathe(profile[skip:], n, (x, y, z), axis), material)

    def lathe(
        self, x: float, y: float, z: float, profile: Sequence[tuple[float, float]], material: int, n: int = 20,
        axis: str = "z",
    ) -> None:
        """A surface of revolution through (radius, height) pairs, from bottom to top (vases, lamp shades)."""
        self.add(shapes.lathe(profile, n, (x, y, z), axis), material)

    def ellipsoid(
        self, x: float, y: float, z: float, rx: float, ry: float, rz: float, material: int, n: int = 14,
    ) -> None:
        """Centred on x, y, z."""
        self.add(shapes.ellipsoid(x, y, z, rx, ry, rz, n), material)

    def prism(self, outline: np.ndarray, z: float, height: float, material: int, bottom: bool = False) -> None:
        """A simple polygon [K, 2], counter-clockwise, extruded upwards."""
        self.add(shapes.prism(np.asarray(outline, dtype=np.float64), z, height, bottom), material)

    def tube(self, points: Sequence[Sequence[float]], radius: float, material: int, n: int = 6) -> None:
        """A bent pipe along points [K, 3]."""
        self.add(shapes.tube(np.asarray(points, dtype=np.float64), radius, n), material)

    def quad(self, corners: Sequence[Sequence[float]], material: int) -> None:
        """Four corners counter-clockwise as seen from the front; u runs along the first edge, v along the second."""
        self.add(shapes.quad(np.asarray(corners, dtype=np.float64)), material)

    def grid(
        self, origin: Sequence[float], u: Sequence[float], v: Sequence[float], material: int, cell: float = 0.5,
        uv_origin: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """A parallelogram cut into cells of about `cell` metres, so that light baked at corners can vary over it.
        Its front is where u x v points. `uv_origin` in metres lets neighbouring pieces share one pattern."""
        self.add(shapes.grid(np.asarray(origin, float), np.asarray(u, float), np.asarray(v, float), cell, uv_origin),
                 material)

    def surface(self, heights: np.ndarray, x: float, y: float, sx: float, sy: float, material: int) -> None:
        """A sheet over heights [rows (y), columns (x)] (blankets, heaps, ground), with its corner at x, y."""
        self.add(shapes.surface(heights, x, y, sx, sy), material)

    # -- the result ---------------------------------------------------------------------------------------------------

    @property
    def triangle_count(self) -> int:
        return sum(len(shape.faces) for shape, *_ in self._chunks)

    def build(
        self, rooms: Sequence[Room] = (), doors: Sequence[Door] = (), light: Light | None = None,
        navigation_cell: float = 0.05, colours: np.ndarray | None = None,
    ) -> SceneMesh:
        assert self._chunks, "a scene needs at least one primitive"
        parts = [chunk[0] for chunk in self._chunks]
        index = np.array([chunk[1:] for chunk in self._chunks], dtype=np.int32)  # [chunks, 3]
        counts = np.array([len(p.vertices) for p in parts])
        face_counts = np.array([len(p.faces) for p in parts])
        local = np.concatenate([p.vertices for p in parts])
        matrix = np.stack(self._transforms)[np.repeat(index[:, 2], counts)]  # [V, 4, 4]
        vertices = np.einsum("vij,vj->vi", matrix[:, :3, :3], local) + matrix[:, :3, 3]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        faces = np.concatenate([p.faces for p in parts]) + np.repeat(starts, face_counts)[:, None]
        material = np.repeat(index[:, 0], face_counts)
        sizes, grain = np.array(self._sizes), np.array(self._grain)
        # Pieces of one wood shall not all show the same knot, so each starts elsewhere in the texture.
        shift = (np.arange(len(parts))[:, None] * [0.618034, 0.754878] % 1.0) * grain[index[:, 0], None]
        uv = np.concatenate([p.uv for p in parts]) / sizes[material][:, None, :]
        uv += np.repeat(shift, face_counts, axis=0)[:, None, :]
        vertices32 = vertices.astype(np.float32)
        return SceneMesh(
            vertices32, faces.astype(np.int32), uv.astype(np.float32), material.astype(np.int32),
            np.repeat(index[:, 1], face_counts).astype(np.int32), tuple(self._materials), colours,
            self._instances(vertices32, np.repeat(index[:, 1], counts)), tuple(rooms), tuple(doors),
            light or Light(), navigation_cell,
        )

    def _instances(self, vertices: np.ndarray, owner: np.ndarray) -> tuple[Instance, ...]:
        order = np.argsort(owner, kind="stable")
        bounds = np.searchsorted(owner[order], np.arange(1, len(self._labels) + 2))
        found = []
        for k, label in enumerate(self._labels):
            points = vertices[order[bounds[k] : bounds[k + 1]]]
            if len(points):
                found.append(Instance(
                    k + 1, label.category, plan_outline(points[:, :2]), float(points[:, 2].min()),
                    float(points[:, 2].max()), label.room, label.is_object,
                ))
        return tuple(found)


def _placement(
    x: float, y: float, z: float, yaw: float, scale: float | Sequence[float], pitch: float, roll: float
) -> np.ndarray:
    """[4, 4] transform."""
    cy, sy = math.cos(yaw), math.sin(yaw)
    matrix = np.eye(4)
    turn = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    if pitch or roll:
        cp, sp, cr, sr = math.cos(pitch), math.sin(pitch), math.cos(roll), math.sin(roll)
        turn = turn @ np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
        turn = turn @ np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    matrix[:3, :3] = turn * np.broadcast_to(np.asarray(scale, dtype=np.float64), 3)
    matrix[:3, 3] = x, y, z
    return matrix

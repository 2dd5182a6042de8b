"""Small scenes made by hand, whose geometry and looks are known exactly."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from sim_envs.mesh import Light, Material, SceneMesh

LOWER, UPPER = np.array([-4.0, -3.0, 0.0]), np.array([4.0, 3.0, 2.7])  # m, of the room
FLOOR, WALLS, BLOCK, TABLE, LAMP = 1, 2, 3, 4, 5  # instance ids
_SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))

Part = tuple[np.ndarray, int, int]  # triangles [F, 3, 3], material, instance


def box(lower: Sequence[float], upper: Sequence[float], inward: bool = False) -> np.ndarray:
    """[12, 3, 3] float32 triangles of an axis-aligned box, seen from outside, or from inside."""
    corners = np.array(list(itertools.product(*zip(lower, upper))))
    quads = [side[::-1] if inward else side for side in _SIDES]
    return np.array([corners[list(s)] for q in quads for s in ((q[0], q[1], q[2]), (q[0], q[2], q[3]))], np.float32)


def mesh_of(parts: Sequence[Part], materials: Sequence[Material], light: Light) -> SceneMesh:
    """A mesh whose texture repeats every metre on each of its faces."""
    triangles = np.concatenate([part[0] for part in parts]).astype(np.float32)
    material = np.concatenate([np.full(len(part[0]), part[1], np.int32) for part in parts])
    instance = np.concatenate([np.full(len(part[0]), part[2], np.int32) for part in parts])
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    axes = np.array([[1, 2], [0, 2], [0, 1]])[np.abs(normal).argmax(axis=1)]
    uv = np.take_along_axis(triangles, axes[:, None, :].repeat(3, axis=1), axis=2)
    count = len(triangles)
    return SceneMesh(
        vertices=triangles.reshape(-1, 3), faces=np.arange(3 * count, dtype=np.int32).reshape(count, 3), uv=uv,
        material=material, instance=instance, materials=tuple(materials), light=light,
    )


def checkerboard(squares: int, texels: int, dark: Sequence[int], bright: Sequence[int]) -> np.ndarray:
    """[texels, texels, 3] uint8 with `squares` squares along each side."""
    index = np.arange(texels) * squares // texels
    odd = (index[:, None] + index) % 2
    return np.where(odd[..., None] == 1, np.array(bright), np.array(dark)).astype(np.uint8)


def empty_room(light: Light | None = None) -> SceneMesh:
    """The bare room: a box around LOWER .. UPPER seen from inside, FLOOR and WALLS."""
    shell = box(LOWER, UPPER, inward=True)
    on_floor = (shell[..., 2] == 0.0).all(axis=1)
    materials = (Material("floor", (0.6, 0.5, 0.4)), Material("walls", (0.8, 0.8, 0.75)))
    return mesh_of([(shell[on_floor], 0, FLOOR), (shell[~on_floor], 1, WALLS)], materials, light or Light(indoor=True))


def furnished_room() -> SceneMesh:
    """The room with a tiled floor, a red block, a table and a lamp."""
    shell = box(LOWER, UPPER, inward=True)
    on_floor = (shell[..., 2] == 0.0).all(axis=1)
    legs = [box((x, y, 0.0), (x + 0.06, y + 0.06, 0.7)) for x in (1.2, 2.7) for y in (0.1, 0.9)]
    parts = [
        (shell[on_floor], 0, FLOOR), (shell[~on_floor], 1, WALLS), (box((1.9, -2.4, 0.0), (3.1, -1.6, 0.6)), 2, BLOCK),
        (np.concatenate([*legs, box((1.2, 0.1, 0.7), (2.76, 0.96, 0.75))]), 3, TABLE),
        (box((0.6, -0.4, 2.62), (1.4, 0.4, 2.7)), 4, LAMP),
    ]
    materials = (
        Material("tiles", texture=checkerboard(4, 64, (150, 110, 80), (200, 170, 130))),
        Material("plaster", (0.85, 0.85, 0.8)), Material("red", (0.6, 0.08, 0.08)), Material("wood", (0.4, 0.22, 0.1)),
        Material("lamp", emission=1.0),
    )
    return mesh_of(parts, materials, Light(indoor=True))


def street() -> SceneMesh:
    """Open ground with two blocks under sun and sky."""
    ground = box((-40.0, -40.0, -1.0), (40.0, 40.0, 0.0))
    tower = box((8.0, 1.0, 0.0), (14.0, 7.0, 9.0))
    parts = [(ground, 0, FLOOR), (tower, 1, BLOCK), (box((6.0, -4.0, 0.0), (7.5, -2.5, 1.5)), 2, TABLE)]
    materials = (
        Material("paving", texture=checkerboard(2, 32, (120, 120, 115), (140, 140, 135))),
        Material("brick", (0.5, 0.25, 0.18)), Material("box", (0.2, 0.3, 0.6)),
    )
    return mesh_of(parts, materials, Light())

"""Light that is worked out once, when a scene is loaded, and kept at the corners of its faces.

From every corner a few dozen rays look around: what is near shades it and lends it its colour, lamps and open sky
light it. All corners use the same rays about their normal, so that light changes smoothly from one to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim_envs.compiled import kernel
from sim_envs.embedded.raycaster import EmbreeMesh
from sim_envs.embedded.shading import corner_colours, face_normals, material_textures
from sim_envs.embedded.tessellation import tessellate
from sim_envs.mesh import Light, SceneMesh

_RAY_BUDGET = 1_800_000  # 0.2 to 0.4 s on one core
_MOST_RAYS, _FEWEST_RAYS = 48, 12  # per point; with fewer than the fewest, light by direction alone looks better
_CHUNK = 1 << 17  # rays cast at once
_LIFT, _INSET = 0.012, 0.03  # m off the face and towards its middle, so as not to start inside a neighbour
_SIDE = 0.12  # how much more light comes from +x than from the side, so that walls that meet differ
_BOUNCE = 0.5  # part of its colour that a near thing lends to the light
_DAYLIGHT = 1.2  # how much brighter than indoors it is where one looks out of the window
_CONTACT = 0.65  # light where two things touch, relative to the open surface around
_CELL = 0.03  # m within which corners of like normals share their light


@dataclass(frozen=True)
class _Surroundings:
    """How light behaves at the scale of a scene."""

    reach: float  # m within which things shade each other
    far: float  # m that rays look
    sky: float  # light along a ray that meets nothing, in units of the ambient light
    edge: float  # m, longest edge that light is interpolated along
    up: float  # how much more light comes from above than from the side


_INDOORS = _Surroundings(reach=2.0, far=60.0, sky=1.5, edge=0.45, up=0.5)
_OUTDOORS = _Surroundings(reach=12.0, far=12.0, sky=1.0, edge=4.0, up=0.45)


def prepare(mesh: SceneMesh) -> SceneMesh:
    """The mesh with its large faces split finely enough to hold light, within reason."""
    if not _wants_rays(mesh):
        return mesh
    around = _surroundings(mesh.light)
    corners = mesh.triangles.astype(np.float64)
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    double = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    # Light cannot be seen to vary across a narrow strip, and along it hardly.
    broad = (double > edges.max(axis=1) * around.edge / 3) & _of_house(mesh)
    most = max(25_000, min(len(mesh.faces), 120_000))  # faces added
    # A right-angled triangle has at most a quarter of its longest edge squared; halving leaves about half of that.
    edge = max(around.edge, math.sqrt(4.0 * float(double[broad].sum()) / most))
    return tessellate(mesh, edge, meet=around.edge / 3, where=broad)


def _of_house(mesh: SceneMesh) -> np.ndarray:
    """[F] bool: faces of the house, if there is one; its garden is far larger and only seen through windows."""
    if not mesh.rooms:
        return np.ones(len(mesh.faces), bool)
    outlines = np.concatenate([room.outline for room in mesh.rooms])
    corners = mesh.triangles[..., :2]
    inside = (corners > outlines.min(axis=0) - 1.0) & (corners < outlines.max(axis=0) + 1.0)
    return inside.all(axis=(1, 2))


def _surroundings(light: Light) -> _Surroundings:
    return _INDOORS if light.indoor else _OUTDOORS


def _wants_rays(mesh: SceneMesh) -> bool:
    lit = any(material.emission < 1.0 for material in mesh.materials)
    return lit and len(mesh.faces) * _FEWEST_RAYS / 2 < _RAY_BUDGET


def ambient_by_direction(light: Light, normal: np.ndarray) -> np.ndarray:
    """[F] float32 light from everywhere on faces of normals [F, 3] that nothing is near to."""
    bias = _surroundings(light).up * normal[:, 2] + _SIDE * normal[:, 0]
    return (_strength(light) * (1.0 + 2 / 3 * bias)).astype(np.float32)


def _strength(light: Light) -> float:
    """Light along one level ray, such that an open floor gets what the scene says."""
    strength = light.sky_strength + (light.sun_strength if light.indoor else 0.0)
    return strength / (1.0 + 2 / 3 * _surroundings(light).up)


def bake(mesh: SceneMesh, rays: EmbreeMesh | None) -> np.ndarray:
    """[F, 3, 3] float32 linear RGB light at each face corner, without direct sun outdoors; `rays` None = no shade."""
    normal = face_normals(mesh.triangles)
    light = np.repeat(ambient_by_direction(mesh.light, normal), 9).reshape(-1, 3, 3)
    inside = _of_house(mesh)
    light[~inside] *= _DAYLIGHT
    if rays is None or not _wants_rays(mesh):
        return light
    points, normals, corner_of = _shared_corners(mesh.triangles[inside], normal[inside])
    count = min(_MOST_RAYS, _RAY_BUDGET // max(len(points), 1))
    if count >= _FEWEST_RAYS:
        found, buried = _look_around(points, normals, count, mesh, rays, normal)
        light[inside] = _smoothed(_without_buried(found[corner_of], buried[corner_of]), corner_of)
    return light


def _shared_corners(triangles: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points and normals [K, 3] float64 that stand for all face corners, and the one for each corner [F, 3]."""
    corners = triangles.astype(np.float64)
    each = np.repeat(normal.astype(np.float64), 3, axis=0)
    inward = (corners.mean(axis=1, keepdims=True) - corners).reshape(-1, 3)
    length = np.linalg.norm(inward, axis=1, keepdims=True)
    inward *= np.minimum(_INSET / np.maximum(length, 1e-9), 0.3)
    flat = corners.reshape(-1, 3)
    keys = np.concatenate([np.floor(flat / _CELL), np.rint(each * 3.0)], axis=1).astype(np.int64)
    # Seven small numbers per row in one mixed word: sorting words is much faster than sorting rows.
    spans = keys.max(axis=0) - keys.min(axis=0) + 1
    word = np.zeros(len(keys), np.uint64)
    for column, span in zip((keys - keys.min(axis=0)).T, spans):
        word = word * np.uint64(span) + column.astype(np.uint64)
    _, first, corner_of = np.unique(word, return_index=True, return_inverse=True)
    return (flat + inward + _LIFT * each)[first], each[first], corner_of.reshape(-1, 3)


def _look_around(
    points: np.ndarray, normals: np.ndarray, count: int, mesh: SceneMesh, rays: EmbreeMesh, face_normal: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Light [K, 3] float32 at points, and which of them [K] bool lie inside something."""
    around = _surroundings(mesh.light)
    atlas, texture_of = material_textures(mesh)
    colour = atlas.means[texture_of[mesh.material]] * corner_colours(mesh).mean(axis=1)
    glow = np.array([material.emission for material in mesh.materials], np.float32)[mesh.material]
    fan = cosine_fan(count)
    light, buried = np.empty((len(points), 3), np.float32), np.empty(len(points), bool)
    step = max(1, _CHUNK // count)
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        origins, directions = _fan_rays(points[part], normals[part], fan)
        hits = rays.cast(origins, directions, np.full(len(origins), around.far, np.float32))
        _gather(
            hits.face, hits.distance, directions, count, colour, glow, face_normal, around.reach, around.sky,
            around.up, light[part], buried[part])
    return light * np.float32(_strength(mesh.light)), buried


def cosine_fan(count: int) -> np.ndarray:
    """[count, 3] float64 unit directions about +z, evenly spread and denser towards it by the cosine."""
    index = np.arange(count)
    radius = np.sqrt((index + 0.5) / count)
    angle = index * (math.pi * (3.0 - math.sqrt(5.0)))  # sunflower
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1.0 - radius**2)])


@kernel
def _fan_rays(points: np.ndarray, normals: np.ndarray, fan: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The fan's rays at every point, turned to its normal: origins and directions [K x count, 3] float32."""
    count = fan.shape[0]
    origins = np.empty((points.shape[0] * count, 3), np.float32)
    directions = np.empty((points.shape[0] * count, 3), np.float32)
    for k in range(points.shape[0]):
        x, y, z = normals[k]
        sign = 1.0 if z >= 0.0 else -1.0
        a = -1.0 / (sign + z)
        b = x * y * a
        for i in range(count):
            p, q, r = fan[i]
            row = k * count + i
            directions[row, 0] = p * (1.0 + sign * x * x * a) + q * b + r * x
            directions[row, 1] = p * sign * b + q * (sign + y * y * a) + r * y
            directions[row, 2] = -p * sign * x - q * y + r * z
            for axis in range(3):
                origins[row, axis] = points[k, axis]
    return origins, directions


@kernel
def _gather(
    face: np.ndarray, distance: np.ndarray, directions: np.ndarray, count: int, colour: np.ndarray, glow: np.ndarray,
    normal: np.ndarray, reach: float, sky: float, up: float, light: np.ndarray, buried: np.ndarray,
) -> None:
    """Mean light along the `count` rays of each point."""
    for k in range(light.shape[0]):
        total = np.zeros(3)
        inside = 0
        for row in range(k * count, (k + 1) * count):
            arriving = 1.0 + up * directions[row, 2] + _SIDE * directions[row, 0]
            hit = face[row]
            if hit < 0:
                total += arriving * sky
                continue
            behind = (
                directions[row, 0] * normal[hit, 0] + directions[row, 1] * normal[hit, 1]
                + directions[row, 2] * normal[hit, 2]
            )
            inside += behind > 0.0
            shade = max(0.0, 1.0 - distance[row] / reach)
            for channel in range(3):
                total[channel] += arriving * (1.0 - shade + shade * _BOUNCE * colour[hit, channel])
                total[channel] += 1.2 * glow[hit] * colour[hit, channel]
        for channel in range(3):
            light[k, channel] = total[channel] / count
        buried[k] = 2 * inside > count


def _without_buried(light: np.ndarray, buried: np.ndarray) -> np.ndarray:
    """Corners [F, 3] inside something are dim, as where things meet, but not black: what is seen lies around them."""
    free = (~buried).astype(np.float32)[..., None]
    number = free.sum(axis=1, keepdims=True)
    mean = (light * free).sum(axis=1, keepdims=True) / np.maximum(number, 1.0)
    return np.where((number > 0) & buried[..., None], _CONTACT * mean, light).astype(np.float32)


def _smoothed(light: np.ndarray, corner_of: np.ndarray) -> np.ndarray:
    """Light [F, 3, 3] of corners drawn half-way to that of the faces around, the same for all that share a corner."""
    around = (light + light.mean(axis=1, keepdims=True)) / 2
    owner = corner_of.reshape(-1)
    number = np.bincount(owner)
    means = [np.bincount(owner, around[..., channel].reshape(-1)) / number for channel in range(3)]
    return np.stack(means, axis=-1)[corner_of].astype(np.float32)

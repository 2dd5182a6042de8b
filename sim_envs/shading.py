"""From ray hits to pictures: one compiled pass per pixel for colour, planar depth and instance ids.

Textures are sampled trilinearly; the mip level follows from the ray's footprint on the surface. Light comes from
lighting.py per face corner, plus the sun where a shadow ray reached it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from sim_envs.mesh import Light, SceneMesh
from sim_envs.texture_atlas import WHITE, TextureAtlas, build_atlas, linear_to_srgb, srgb_to_linear

# Columns of a face record; one row holds all the kernel needs of a face, for the sake of the processor's cache.
_CORNER, _NORMAL, _UV, _TINT, _SUN, _DENSITY, _TEXTURE, _WIDTH = 0, 3, 6, 12, 21, 24, 25, 26
_FOOTPRINT_LIMIT = 12.0  # how far a footprint may stretch at a grazing angle, in its own width
_GAMMA_STEPS = 4095
GAMMA = np.rint(linear_to_srgb(np.arange(_GAMMA_STEPS + 1) / _GAMMA_STEPS) * 255.0).astype(np.uint8)
MISS = np.int32(-1)


@dataclass(frozen=True)
class FaceTable:
    """What the kernel knows of the surfaces of a scene."""

    records: np.ndarray  # [F, 26] float32
    instance: np.ndarray  # [F] int32
    atlas: TextureAtlas


def material_textures(mesh: SceneMesh) -> tuple[TextureAtlas, np.ndarray]:
    """The atlas of all textures of a mesh, and the texture index of each material [M] int64."""
    textures: dict[int, np.ndarray] = {}
    for material in mesh.materials:
        if material.texture is not None:
            textures.setdefault(id(material.texture), material.texture)
    index = {key: position + 1 for position, key in enumerate(textures)}
    of_material = [WHITE if m.texture is None else index[id(m.texture)] for m in mesh.materials]
    return build_atlas(list(textures.values())), np.array(of_material, dtype=np.int64)


def corner_colours(mesh: SceneMesh) -> np.ndarray:
    """[F, 3, 3] float32 linear: material colour times vertex colour of each face corner, without the texture."""
    colour = np.array([material.colour for material in mesh.materials], np.float32).reshape(-1, 3)[mesh.material]
    if mesh.colours is None:
        return np.repeat(colour[:, None], 3, axis=1)
    return srgb_to_linear(np.arange(256) / 255.0)[mesh.colours] * colour[:, None]


def face_table(mesh: SceneMesh, ambient: np.ndarray) -> FaceTable:
    """Pack a mesh for the kernel. `ambient` [F, 3, 3] float32: linear light arriving at each face corner, sun excluded."""
    atlas, texture_of = material_textures(mesh)
    texture = texture_of[mesh.material]
    triangles = mesh.triangles
    normal = face_normals(triangles)
    colour = corner_colours(mesh)
    emission = np.array([material.emission for material in mesh.materials], np.float32)[mesh.material][:, None, None]
    records = np.zeros((len(mesh.faces), _WIDTH), np.float32)
    records[:, _CORNER:_NORMAL] = triangles[:, 0]
    records[:, _NORMAL:_UV] = normal
    # Whole repeats are taken off, so that float32 keeps its precision where textures repeat thousands of times.
    records[:, _UV:_TINT] = (mesh.uv - np.floor(mesh.uv.min(axis=1, keepdims=True))).reshape(-1, 6)
    records[:, _TINT:_SUN] = (colour * (emission + (1.0 - emission) * ambient)).reshape(-1, 9)
    records[:, _SUN:_DENSITY] = colour.mean(axis=1) * (1.0 - emission[:, 0]) * sunlight(mesh.light, normal)[:, None]
    records[:, _DENSITY] = _texel_density(triangles, mesh.uv, atlas.levels[texture, 0, 1:])
    records[:, _TEXTURE] = texture
    return FaceTable(records, mesh.instance, atlas)


def face_normals(triangles: np.ndarray) -> np.ndarray:
    """[F, 3] float32 unit normals of triangles [F, 3, 3]; zero for faces without area."""
    corners = triangles.astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return (normal / np.where(length > 0, length, 1.0)).astype(np.float32)


def sun_direction(light: Light) -> np.ndarray:
    """[3] float64 unit vector towards the sun."""
    sun = np.array(light.sun, dtype=np.float64)
    return sun / np.linalg.norm(sun)


def sunlight(light: Light, normal: np.ndarray) -> np.ndarray:
    """[F] float32 sunlight on faces of these normals [F, 3] that nothing shades. Indoors it is part of the ambient."""
    if light.indoor:
        return np.zeros(len(normal), np.float32)
    return (light.sun_strength * np.maximum(normal @ sun_direction(light), 0.0)).astype(np.float32)


def _texel_density(triangles: np.ndarray, uv: np.ndarray, size: np.ndarray) -> np.ndarray:
    """[F] texels per metre along the direction in which the texture is squeezed most. `size` [F, 2]: width, height."""
    corners, texels = triangles.astype(np.float64), uv.astype(np.float64) * size[:, None]
    (a, b), (p, q) = (corners[:, 1:] - corners[:, :1]).swapaxes(0, 1), (texels[:, 1:] - texels[:, :1]).swapaxes(0, 1)
    length = np.maximum(np.linalg.norm(a, axis=1), 1e-9)
    along = (a * b).sum(axis=1) / length
    across = np.maximum(np.linalg.norm(np.cross(a, b), axis=1) / length, 1e-9)
    by_x = p / length[:, None]
    by_y = (q - by_x * along[:, None]) / across[:, None]
    # The larger singular value of the 2 x 2 matrix [by_x by_y].
    square = (by_x**2).sum(axis=1) + (by_y**2).sum(axis=1)
    area = by_x[:, 0] * by_y[:, 1] - by_x[:, 1] * by_y[:, 0]
    return np.sqrt((square + np.sqrt(np.maximum(square**2 - 4.0 * area**2, 0.0))) / 2.0)


def sky_colours(light: Light) -> np.ndarray:
    """[2, 3] float32 sRGB 0..255 at the horizon and at the zenith."""
    return np.array([light.sky_horizon, light.sky_top], np.float32) * np.float32(255.0)


@njit(cache=True, nogil=True)
def hit_distances(primitive, tfar, directions, origin, records):
    """[P] float64 exact distance along each ray, inf without a hit: from the face's plane, where Embree's is rounded."""
    distance = np.full(primitive.shape[0], np.inf)
    for i in range(primitive.shape[0]):
        face = primitive[i]
        if face < 0:
            continue
        x, y, z = np.float64(records[face, 3]), np.float64(records[face, 4]), np.float64(records[face, 5])
        slope = x * directions[i, 0] + y * directions[i, 1] + z * directions[i, 2]
        height = (
            x * (records[face, 0] - origin[0]) + y * (records[face, 1] - origin[1]) + z * (records[face, 2] - origin[2])
        )
        near = np.float64(tfar[i])
        exact = height / slope if slope != 0.0 else near
        # A ray along a face meets its plane anywhere; there Embree's answer stands.
        distance[i] = exact if abs(exact - near) <= 1e-3 * (1.0 + near) else near
    return distance


@njit(cache=True, nogil=True)
def sunny_points(primitive, distance, directions, origin, records, bias):
    """Which rays hit a face turned to the sun, and the points [K, 3] float32 from where to look whether it is seen."""
    index = np.empty(primitive.shape[0], np.int64)
    points = np.empty((primitive.shape[0], 3), np.float32)
    count = 0
    for i in range(primitive.shape[0]):
        face = primitive[i]
        if face < 0 or records[face, 21] + records[face, 22] + records[face, 23] <= 0.0:
            continue
        for k in range(3):
            points[count, k] = origin[k] + distance[i] * directions[i, k] + bias * records[face, 3 + k]
        index[count] = i
        count += 1
    return index[:count], points[:count]


@njit(cache=True, nogil=True)
def _texel(texels, start, width, x, y):
    value = np.int64(texels[start + y * width + x])
    return np.float32(value & 255), np.float32((value >> 8) & 255), np.float32((value >> 16) & 255)


@njit(cache=True, nogil=True)
def _bilinear(texels, start, width, height, u, v):
    """sRGB 0..255 at u, v in 0..1 of a level; repeats at the edges."""
    x, y = u * width - np.float32(0.5), (np.float32(1.0) - v) * height - np.float32(0.5)
    left, top = math.floor(x), math.floor(y)
    fx, fy = np.float32(x - left), np.float32(y - top)
    x0, y0 = np.int64(left), np.int64(top)
    x1, y1 = x0 + 1, y0 + 1
    if x0 < 0:
        x0 += width
    if y0 < 0:
        y0 += height
    if x1 >= width:
        x1 -= width
    if y1 >= height:
        y1 -= height
    one = np.float32(1.0)
    a, b = (one - fx) * (one - fy), fx * (one - fy)
    c, d = (one - fx) * fy, fx * fy
    r0, g0, b0 = _texel(texels, start, width, x0, y0)
    r1, g1, b1 = _texel(texels, start, width, x1, y0)
    r2, g2, b2 = _texel(texels, start, width, x0, y1)
    r3, g3, b3 = _texel(texels, start, width, x1, y1)
    return (
        a * r0 + b * r1 + c * r2 + d * r3,
        a * g0 + b * g1 + c * g2 + d * g3,
        a * b0 + b * b1 + c * b2 + d * b3,
    )


@njit(cache=True, nogil=True)
def _trilinear(texels, levels, texture, u, v, footprint):
    """sRGB 0..255 of a texture averaged over `footprint` texels of its finest level."""
    level = 0
    while footprint >= 2.0 and level < levels.shape[1] - 1:
        footprint *= 0.5
        level += 1
    u -= math.floor(u)
    v -= math.floor(v)
    start, width, height = levels[texture, level]
    red, green, blue = _bilinear(texels, start, width, height, u, v)
    if footprint > 1.0 and level < levels.shape[1] - 1:
        part = np.float32(min(footprint - 1.0, 1.0))
        start, width, height = levels[texture, level + 1]
        r, g, b = _bilinear(texels, start, width, height, u, v)
        red, green, blue = red + part * (r - red), green + part * (g - green), blue + part * (b - blue)
    return red, green, blue


@njit(cache=True, nogil=True)
def _linear(value):
    """sRGB 0..255 to linear light 0..1 by a cubic that is good to half a level."""
    value = value * np.float32(1.0 / 255.0)
    return value * (value * (value * np.float32(0.305306011) + np.float32(0.682171111)) + np.float32(0.012522878))


@njit(cache=True, nogil=True)
def _encode(value, gamma):
    return gamma[np.int64(min(max(value, np.float32(0.0)), np.float32(1.0)) * (gamma.shape[0] - 1) + np.float32(0.5))]


@njit(cache=True, nogil=True)
def shade_hits(
    primitive, hit_u, hit_v, distance, lit, directions, spread, pixel, records, texels, levels, gamma, rgb,
):
    """Write the colour of every ray that hit something to rgb[pixel]."""
    for i in range(primitive.shape[0]):
        face = primitive[i]
        if face < 0:
            continue
        record = records[face]
        b1, b2 = hit_u[i], hit_v[i]
        b0 = np.float32(1.0) - b1 - b2
        slope = abs(record[3] * directions[i, 0] + record[4] * directions[i, 1] + record[5] * directions[i, 2])
        texture = np.int64(record[25])
        if texture > 0:
            stretch = min(1.0 / max(slope, 1e-6), _FOOTPRINT_LIMIT)
            red, green, blue = _trilinear(
                texels, levels, texture,
                b0 * record[6] + b1 * record[8] + b2 * record[10],
                b0 * record[7] + b1 * record[9] + b2 * record[11],
                distance[i] * spread[pixel[i]] * record[24] * stretch,
            )
            red, green, blue = _linear(red), _linear(green), _linear(blue)
        else:
            red = green = blue = np.float32(1.0)
        sun = np.float32(lit[i])
        out = pixel[i]
        rgb[out, 0] = _encode(red * (b0 * record[12] + b1 * record[15] + b2 * record[18] + sun * record[21]), gamma)
        rgb[out, 1] = _encode(green * (b0 * record[13] + b1 * record[16] + b2 * record[19] + sun * record[22]), gamma)
        rgb[out, 2] = _encode(blue * (b0 * record[14] + b1 * record[17] + b2 * record[20] + sun * record[23]), gamma)


@njit(cache=True, nogil=True)
def shade_sky(primitive, directions, sky, rgb):
    """Write the sky's colour where a ray hit nothing; a pixel without a ray (direction 0) stays black."""
    for i in range(primitive.shape[0]):
        x, y, z = directions[i]
        if primitive[i] >= 0 or (x == 0.0 and y == 0.0 and z == 0.0):
            continue
        up = np.float32(math.sqrt(max(z, np.float32(0.0))))
        for channel in range(3):
            rgb[i, channel] = np.uint8(sky[0, channel] + up * (sky[1, channel] - sky[0, channel]) + np.float32(0.5))


@njit(cache=True, nogil=True)
def write_depth(primitive, distance, along_axis, pixel, depth):
    for i in range(primitive.shape[0]):
        if primitive[i] >= 0:
            depth[pixel[i]] = distance[i] * along_axis[pixel[i]]


@njit(cache=True, nogil=True)
def write_instances(primitive, instance, pixel, semantic):
    for i in range(primitive.shape[0]):
        if primitive[i] >= 0:
            semantic[pixel[i]] = instance[primitive[i]]

"""From ray hits to pictures: one compiled pass per pixel for colour, planar depth and instance ids.

Textures are sampled trilinearly; the mip level follows from the ray's footprint on the surface. Light comes from
lighting.py per face corner, plus the sun where a shadow ray reached it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim_envs.compiled import kernel
from sim_envs.embedded.texture_atlas import WHITE, TextureAtlas, build_atlas, linear_to_srgb, srgb_to_linear
from sim_envs.mesh import Light, SceneMesh

# Columns of a face record; one row holds all the kernel needs of a face, for the sake of the processor's cache.
_CORNER, _NORMAL, _UV, _GRADIENT, _TINT, _SUN, _DENSITY, _TEXTURE, _WIDTH = 0, 3, 6, 8, 14, 23, 26, 27, 28
_MOST_STRETCH = 12.0  # how far a footprint may stretch at a grazing angle, in its own width
GAMMA = np.rint(linear_to_srgb(np.arange(4096) / 4095.0) * 255.0).astype(np.uint8)


@dataclass(frozen=True)
class FaceTable:
    """What the kernel knows of the surfaces of a scene."""

    records: np.ndarray  # [F, 28] float32, see the columns above
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
    """Pack a mesh for the kernel. `ambient` [F, 3, 3] float32: linear RGB light at each face corner, sun left out."""
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
    records[:, _UV:_GRADIENT] = (mesh.uv - np.floor(mesh.uv.min(axis=1, keepdims=True)))[:, 0]
    records[:, _GRADIENT:_TINT], records[:, _DENSITY] = _uv_gradients(triangles, mesh.uv, atlas.levels[texture, 0, 1:])
    records[:, _TINT:_SUN] = (colour * (emission + (1.0 - emission) * ambient)).reshape(-1, 9)
    records[:, _SUN:_DENSITY] = colour.mean(axis=1) * (1.0 - emission[:, 0]) * sunlight(mesh.light, normal)[:, None]
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


def _uv_gradients(triangles: np.ndarray, uv: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How textures of `size` [F, 2] (texels across, up) lie on triangles.

    Returns the gradients [F, 6] of u and of v in repeats per metre along x, y and z, and the texels per metre [F] in
    the direction in which the texture is squeezed most.
    """
    corners, repeats = triangles.astype(np.float64), uv.astype(np.float64)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    aa, ab, bb = (a * a).sum(axis=1), (a * b).sum(axis=1), (b * b).sum(axis=1)
    area = aa * bb - ab * ab
    scale = np.where(area > 1e-18, 1.0, 0.0) / np.maximum(area, 1e-18)
    # The vectors that measure how far one is along a, and along b.
    along_a = (bb[:, None] * a - ab[:, None] * b) * scale[:, None]
    along_b = (aa[:, None] * b - ab[:, None] * a) * scale[:, None]
    by_a, by_b = repeats[:, 1] - repeats[:, 0], repeats[:, 2] - repeats[:, 0]
    gradients = by_a[:, :, None] * along_a[:, None] + by_b[:, :, None] * along_b[:, None]  # [F, 2, 3]
    texels = gradients * size[:, :, None]
    squares = (texels**2).sum(axis=2)
    mixed = (texels[:, 0] * texels[:, 1]).sum(axis=1)
    spread = np.sqrt((squares[:, 0] - squares[:, 1]) ** 2 + 4.0 * mixed**2)
    return gradients.reshape(-1, 6), np.sqrt((squares.sum(axis=1) + spread) / 2.0)  # the larger singular value


def sky_colours(light: Light) -> np.ndarray:
    """[2, 3] float32 sRGB 0..255 at the horizon and at the zenith."""
    return np.array([light.sky_horizon, light.sky_top], np.float32) * np.float32(255.0)


@kernel
def hit_distances(
    face: np.ndarray, rough: np.ndarray, directions: np.ndarray, origin: np.ndarray, records: np.ndarray,
) -> np.ndarray:
    """[P] float64 m along each ray to the plane of its face, inf without one; Embree's own distances are rounded."""
    distance = np.full(face.shape[0], np.inf)
    for i in range(face.shape[0]):
        f = face[i]
        if f < 0:
            continue
        slope = 0.0
        height = 0.0
        for k in range(3):
            normal = np.float64(records[f, _NORMAL + k])
            slope += normal * directions[i, k]
            height += normal * (records[f, _CORNER + k] - origin[k])
        near = np.float64(rough[i])
        exact = height / slope if slope != 0.0 else near
        # A ray along a face meets its plane anywhere; there Embree's answer stands.
        distance[i] = exact if abs(exact - near) <= 1e-3 * (1.0 + near) else near
    return distance


@kernel
def sunny_points(
    face: np.ndarray, distance: np.ndarray, directions: np.ndarray, origin: np.ndarray, records: np.ndarray,
    bias: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Which rays hit a face turned to the sun, and the points [K, 3] float32 from where to look whether it shines."""
    index = np.empty(face.shape[0], np.int64)
    points = np.empty((face.shape[0], 3), np.float32)
    count = 0
    for i in range(face.shape[0]):
        f = face[i]
        if f < 0 or records[f, _SUN] + records[f, _SUN + 1] + records[f, _SUN + 2] <= 0.0:
            continue
        for k in range(3):
            points[count, k] = origin[k] + distance[i] * directions[i, k] + bias * records[f, _NORMAL + k]
        index[count] = i
        count += 1
    return index[:count], points[:count]


@kernel
def shade_hits(
    face: np.ndarray, hit_u: np.ndarray, hit_v: np.ndarray, distance: np.ndarray, lit: np.ndarray,
    directions: np.ndarray, origin: np.ndarray, spread: np.ndarray, pixel: np.ndarray, records: np.ndarray,
    texels: np.ndarray, levels: np.ndarray, gamma: np.ndarray, rgb: np.ndarray,
) -> None:
    """Write the colour of every ray that hit a face to rgb[pixel]. `lit` is 1 where the sun shines."""
    for i in range(face.shape[0]):
        f = face[i]
        if f < 0:
            continue
        b1, b2 = hit_u[i], hit_v[i]
        b0 = np.float32(1.0) - b1 - b2
        out = pixel[i]
        red = green = blue = np.float32(1.0)
        if records[f, _TEXTURE] != WHITE:
            red, green, blue = _surface_texture(
                texels, levels, records, f, directions, i, origin, distance[i], distance[i] * spread[out])
        sun = np.float32(lit[i])
        for k, albedo in enumerate((red, green, blue)):
            light = (
                b0 * records[f, _TINT + k] + b1 * records[f, _TINT + 3 + k] + b2 * records[f, _TINT + 6 + k]
                + sun * records[f, _SUN + k]
            )
            rgb[out, k] = _encode(albedo * light, gamma)


@kernel
def _surface_texture(
    texels: np.ndarray, levels: np.ndarray, records: np.ndarray, f: int, directions: np.ndarray, i: int,
    origin: np.ndarray, distance: float, width: float,
) -> tuple[np.float32, np.float32, np.float32]:
    """Linear RGB 0..1 where ray i, `width` metres wide there, meets face f.

    At a grazing angle its footprint is long; a few taps along it keep floors sharp across where one would blur them.
    """
    px = origin[0] + distance * directions[i, 0] - records[f, _CORNER]
    py = origin[1] + distance * directions[i, 1] - records[f, _CORNER + 1]
    pz = origin[2] + distance * directions[i, 2] - records[f, _CORNER + 2]
    dx, dy, dz = directions[i, 0], directions[i, 1], directions[i, 2]
    ux, uy, uz = records[f, _GRADIENT], records[f, _GRADIENT + 1], records[f, _GRADIENT + 2]
    vx, vy, vz = records[f, _GRADIENT + 3], records[f, _GRADIENT + 4], records[f, _GRADIENT + 5]
    u = records[f, _UV] + px * ux + py * uy + pz * uz
    v = records[f, _UV + 1] + px * vx + py * vy + pz * vz
    slope = dx * records[f, _NORMAL] + dy * records[f, _NORMAL + 1] + dz * records[f, _NORMAL + 2]
    stretch = min(1.0 / max(abs(slope), 1e-6), _MOST_STRETCH)
    taps = 1 if stretch < 2.0 else 2 if stretch < 4.0 else 3
    step = width * stretch / taps
    footprint = max(step, width) * records[f, _DENSITY]
    texture = int(records[f, _TEXTURE])
    if taps == 1:
        return _trilinear(texels, levels, texture, u, v, footprint)
    along_u = (dx * ux + dy * uy + dz * uz) * step
    along_v = (dx * vx + dy * vy + dz * vz) * step
    red = green = blue = np.float32(0.0)
    for tap in range(taps):
        at = tap - 0.5 * (taps - 1)
        r, g, b = _trilinear(texels, levels, texture, u + at * along_u, v + at * along_v, footprint)
        red, green, blue = red + r, green + g, blue + b
    share = np.float32(1.0 / taps)
    return red * share, green * share, blue * share


@kernel
def _trilinear(
    texels: np.ndarray, levels: np.ndarray, texture: int, u: float, v: float, footprint: float,
) -> tuple[np.float32, np.float32, np.float32]:
    """Linear RGB 0..1 of a texture averaged over `footprint` texels of its finest level."""
    level = 0
    while footprint >= 2.0 and level < levels.shape[1] - 1:
        footprint *= 0.5
        level += 1
    u -= math.floor(u)
    v -= math.floor(v)
    red, green, blue = _bilinear(texels, levels, texture, level, u, v)
    if footprint > 1.0 and level < levels.shape[1] - 1:
        part = np.float32(min(footprint - 1.0, 1.0))
        r, g, b = _bilinear(texels, levels, texture, level + 1, u, v)
        red, green, blue = red + part * (r - red), green + part * (g - green), blue + part * (b - blue)
    return _decode(red), _decode(green), _decode(blue)


@kernel
def _bilinear(
    texels: np.ndarray, levels: np.ndarray, texture: int, level: int, u: float, v: float,
) -> tuple[np.float32, np.float32, np.float32]:
    """sRGB 0..255 at u, v in 0..1 of one level, which repeats at its edges."""
    start, width, height = levels[texture, level, 0], levels[texture, level, 1], levels[texture, level, 2]
    x, y = u * width - 0.5, (1.0 - v) * height - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = np.float32(x - x0), np.float32(y - y0)
    x1 = x0 + 1 if x0 + 1 < width else 0
    y1 = y0 + 1 if y0 + 1 < height else 0
    row0 = start + (y0 if y0 >= 0 else height - 1) * width
    row1 = start + y1 * width
    x0 = x0 if x0 >= 0 else width - 1
    one = np.float32(1.0)
    red = green = blue = np.float32(0.0)
    for texel, weight in (
        (texels[row0 + x0], (one - fx) * (one - fy)), (texels[row0 + x1], fx * (one - fy)),
        (texels[row1 + x0], (one - fx) * fy), (texels[row1 + x1], fx * fy),
    ):
        red += weight * np.float32(texel & 255)
        green += weight * np.float32((texel >> 8) & 255)
        blue += weight * np.float32((texel >> 16) & 255)
    return red, green, blue


@kernel
def _decode(value: np.float32) -> np.float32:
    """sRGB 0..255 to linear light 0..1, by a cubic that is good to half a level."""
    value = value * np.float32(1.0 / 255.0)
    return value * (value * (value * np.float32(0.305306011) + np.float32(0.682171111)) + np.float32(0.012522878))


@kernel
def _encode(value: np.float32, gamma: np.ndarray) -> np.uint8:
    """Linear light to sRGB by table."""
    clipped = min(max(value, np.float32(0.0)), np.float32(1.0))
    return gamma[np.int64(clipped * np.float32(gamma.shape[0] - 1) + np.float32(0.5))]


@kernel
def shade_sky(face: np.ndarray, directions: np.ndarray, sky: np.ndarray, rgb: np.ndarray) -> None:
    """Write the sky's colour where a ray hit nothing, darker below the horizon, where the scene just ends.

    A pixel without a ray (direction 0) stays black.
    """
    for i in range(face.shape[0]):
        z = directions[i, 2]
        if face[i] >= 0 or (directions[i, 0] == 0.0 and directions[i, 1] == 0.0 and z == 0.0):
            continue
        up = np.float32(math.sqrt(max(z, np.float32(0.0))))
        haze = np.float32(1.0) - np.float32(8.0) * min(max(-z, np.float32(0.0)), np.float32(0.05))
        for k in range(3):
            rgb[i, k] = np.uint8(haze * (sky[0, k] + up * (sky[1, k] - sky[0, k])) + np.float32(0.5))


@kernel
def write_depth(
    face: np.ndarray, distance: np.ndarray, along_axis: np.ndarray, pixel: np.ndarray, depth: np.ndarray,
) -> None:
    for i in range(face.shape[0]):
        if face[i] >= 0:
            depth[pixel[i]] = distance[i] * along_axis[pixel[i]]


@kernel
def write_instances(face: np.ndarray, instance: np.ndarray, pixel: np.ndarray, semantic: np.ndarray) -> None:
    for i in range(face.shape[0]):
        if face[i] >= 0:
            semantic[pixel[i]] = instance[face[i]]

"""What is checked before a mesh file is read, because the reader would pass over it in silence; and how the file lies.

Which way is up, in this order: a Habitat sidecar `NAME.stage_config.json` beside the file; the `default_attributes` of
a `*.scene_dataset_config.json` beside it or up to three folders above; a `NAME.navmesh` or `NAME.house` beside it,
which mark the scans that Habitat reads with z up and +y ahead (Gibson, Matterport3D); else the custom of the format:
glTF and OBJ have y up and -z ahead, PLY has z up and x ahead.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from sim_envs.simulator import SceneError

SUFFIXES = (".glb", ".gltf", ".obj", ".ply")
STAGE_CONFIG = ".stage_config.json"
_UNDECODABLE = {
    "KHR_draco_mesh_compression": "draco-compressed triangles",
    "EXT_meshopt_compression": "meshopt-compressed triangles",
    "KHR_mesh_quantization": "quantised triangles",
}
_BASIS = {"KHR_texture_basisu", "GOOGLE_texture_basis", "image/ktx2", "image/x-basis"}  # today's names, and older
_FAN, _UNSIGNED_SHORT = 6, 5123  # glTF's numbers


@dataclass(frozen=True)
class Stage:
    """How a file's axes and units become the world's."""

    up: tuple[float, float, float]
    front: tuple[float, float, float]
    metres: float = 1.0  # per unit of the file
    unlit: bool = False  # the light is already in the colours

    def matrix(self, path: Path) -> np.ndarray:
        """[3, 3] from the file's coordinates to the world's, metres."""
        up, front = np.asarray(self.up, dtype=np.float64), np.asarray(self.front, dtype=np.float64)
        lengths = np.linalg.norm(up), np.linalg.norm(front)
        if min(lengths) == 0.0 or abs(up @ front) > 1e-3 * lengths[0] * lengths[1]:
            raise SceneError(f"{path}: up {self.up} and front {self.front} must be at right angles: mend its config")
        up, front = up / lengths[0], front / lengths[1]
        return self.metres * np.stack([front, np.cross(up, front), up])


_Y_UP = Stage(up=(0.0, 1.0, 0.0), front=(0.0, 0.0, -1.0))
_SCAN = Stage(up=(0.0, 0.0, 1.0), front=(0.0, 1.0, 0.0))
_Z_UP = Stage(up=(0.0, 0.0, 1.0), front=(1.0, 0.0, 0.0))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SceneError(f"{path} cannot be read as JSON ({error}): mend or remove it") from error
    if not isinstance(content, dict):
        raise SceneError(f"{path} must hold a JSON object: mend or remove it")
    return content


def resolve(path: str) -> Path:
    """The mesh file meant by `path`, which may name a Habitat stage configuration instead."""
    given = Path(path).expanduser()
    if given.name.endswith(STAGE_CONFIG) and given.is_file():
        asset = _read_json(given).get("render_asset")
        if not isinstance(asset, str):
            raise SceneError(f"{given} names no render_asset: give the mesh file itself")
        given = given.parent / asset
    if given.is_dir():
        raise SceneError(f"{given} is a folder: give a mesh file in it ({', '.join(SUFFIXES)})")
    if not given.exists():
        raise SceneError(f"mesh file {given} does not exist: check the path")
    if given.suffix.lower() not in SUFFIXES:
        raise SceneError(f"{given}: {given.suffix!r} files cannot be read; convert it to one of {', '.join(SUFFIXES)}")
    if given.stat().st_size == 0:
        raise SceneError(f"{given} is empty: fetch or export it again")
    return given


def _from_attributes(where: Path, attributes: dict[str, Any], custom: Stage) -> Stage:
    def vector(key: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
        value = attributes.get(key, default)
        try:
            x, y, z = (float(number) for number in value)
        except (TypeError, ValueError) as error:
            raise SceneError(f"{where}: {key} is {value!r}: give three numbers") from error
        return x, y, z

    metres = attributes.get("units_to_meters", 1.0)
    if not isinstance(metres, int | float) or not 0.0 < metres < 1e6:
        raise SceneError(f"{where}: units_to_meters is {metres!r}: give a number above 0")
    unlit = attributes.get("shader_type") == "flat"
    return Stage(vector("up", custom.up), vector("front", custom.front), float(metres), unlit)


def stage_of(path: Path) -> Stage:
    """How this mesh file lies; see the top of this file."""
    custom = _Z_UP if path.suffix.lower() == ".ply" else _Y_UP
    sidecar = path.with_name(path.name.split(".")[0] + STAGE_CONFIG)
    for candidate in (path.with_name(path.stem + STAGE_CONFIG), sidecar):
        if candidate.is_file():
            return _from_attributes(candidate, _read_json(candidate), custom)
    for folder in path.absolute().parents[:4]:
        for config in sorted(folder.glob("*.scene_dataset_config.json")):
            attributes = _read_json(config).get("stages", {}).get("default_attributes", {})
            if "up" in attributes and "front" in attributes:
                return _from_attributes(config, attributes, custom)
    if any(path.with_suffix(suffix).is_file() for suffix in (".navmesh", ".house")):
        return _SCAN
    return custom


def gltf_header(path: Path) -> dict[str, Any]:
    """The JSON part of a .glb or .gltf, after checking that the file is whole."""
    if path.suffix.lower() == ".gltf":
        return _read_json(path)
    data = path.read_bytes()
    if len(data) < 20 or data[:4] != b"glTF":
        raise SceneError(f"{path} is not a binary glTF file: export it again as .glb")
    version, length, json_length = struct.unpack("<III", data[4:16])
    if version != 2:
        raise SceneError(f"{path} is glTF {version}: export it as glTF 2.0")
    if length > len(data):
        raise SceneError(f"{path} is cut off ({len(data)} of {length} bytes): fetch or copy it again")
    try:
        header = json.loads(data[20 : 20 + json_length])
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SceneError(f"{path} has a broken header: fetch or export it again") from error
    if not isinstance(header, dict):
        raise SceneError(f"{path} has a broken header: fetch or export it again")
    return header


def check_gltf(path: Path, header: dict[str, Any]) -> None:
    """Refuses what would come out wrong or bare: compressed textures and triangles, missing files."""
    try:
        _check_parts(path, header)
    except (AttributeError, TypeError, KeyError) as error:  # a list where an object belongs, and the like
        raise SceneError(f"{path} has a broken header ({error}): fetch or export it again") from None


def _check_parts(path: Path, header: dict[str, Any]) -> None:
    images = header.get("images", [])
    used = {*header.get("extensionsUsed", ()), *header.get("extensionsRequired", ())}
    if used & _BASIS or any(image.get("mimeType") in _BASIS for image in images):
        raise SceneError(
            f"{path} has Basis textures, which the embedded simulator cannot read: use Habitat for it "
            "(docs/habitat.md), or the same scene as a .glb without .basis"
        )
    for name, what in _UNDECODABLE.items():
        if name in used:
            raise SceneError(f"{path} holds {what} ({name}): export it without compression")
    colour_maps = [
        material.get("pbrMetallicRoughness", {}).get("baseColorTexture", {}) for material in header.get("materials", [])
    ]
    if any("KHR_texture_transform" in colour_map.get("extensions", {}) for colour_map in colour_maps):
        raise SceneError(f"{path} moves its textures (KHR_texture_transform): bake texture transforms when exporting")
    _check_primitives(path, header)
    for part in (*images, *header.get("buffers", [])):
        uri = part.get("uri", "")
        if uri and not uri.startswith("data:") and not (path.parent / unquote(uri)).is_file():
            raise SceneError(f"{path} refers to {uri}, which is missing: put it beside the file")


def _check_primitives(path: Path, header: dict[str, Any]) -> None:
    """Refuses what trimesh leaves out or garbles: triangle fans, and colours of 16 bits, cut down to their low 8."""
    accessors = header.get("accessors", [])
    for primitive in (part for mesh in header.get("meshes", []) for part in mesh.get("primitives", [])):
        if primitive.get("mode") == _FAN:
            raise SceneError(f"{path} holds triangle fans, which cannot be read: export plain triangles")
        colour = primitive.get("attributes", {}).get("COLOR_0")
        if colour is not None and colour < len(accessors) and accessors[colour].get("componentType") == _UNSIGNED_SHORT:
            raise SceneError(
                f"{path} has vertex colours of 16 bits, which cannot be read: export them as floats or bytes (in "
                "Blender, turn 'Byte Color' attributes into 'Color')"
            )


def check_obj(path: Path) -> None:
    """Refuses an .obj that ends in half a line, or whose material files or pictures are missing."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    last = lines[-1].split() if lines else []
    if last and last[0] in ("f", "v") and len(last) < 4:
        raise SceneError(f"{path} is cut off in its last line: fetch or copy it again")
    for line in lines:
        if not line.startswith("mtllib"):
            continue
        named = line[len("mtllib") :].strip()
        library = path.parent / named
        if not library.is_file():
            if all((path.parent / name).is_file() for name in named.split()):
                raise SceneError(f"{path} names several material files ({named}): join them into one")
            raise SceneError(f"{path} refers to {library.name}, which is missing: put it beside the file")
        _check_materials(path, library)


def _check_materials(path: Path, library: Path) -> None:
    """Refuses an .obj one of whose pictures is missing."""
    for entry in library.read_text(encoding="utf-8", errors="replace").splitlines():
        words = entry.split()
        if len(words) < 2 or words[0].lower() != "map_kd":
            continue
        picture = entry.strip()[len("map_Kd") :].strip()
        if words[1].startswith("-"):
            raise SceneError(
                f"{path}: {library.name} gives its picture {words[-1]} options ({words[1]}), which cannot be read: "
                "bake them when exporting, or remove them"
            )
        if not (path.parent / picture).is_file():
            raise SceneError(f"{library} refers to {picture}, which is missing: put it beside the file")

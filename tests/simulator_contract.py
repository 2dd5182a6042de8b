"""Scenes whose every distance is known, written as .glb, for what all simulators must agree on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import trimesh

from sim_envs.habitat_frame import HABITAT_TO_WORLD

Box = tuple[float, float, float, float, float, float]  # x0, y0, z0, x1, y1, z1 in the world, m
WHITE, RED, GREEN = (200, 200, 200, 255), (200, 30, 30, 255), (30, 160, 30, 255)
HEIGHT, THICK = 2.5, 0.1  # m, of walls


def write_scene(path: Path, boxes: list[tuple[Box, tuple[int, int, int, int]]]) -> Path:
    """Coloured boxes as a .glb, which has y up and -z ahead like Habitat."""
    scene = trimesh.Scene()
    for number, ((x0, y0, z0, x1, y1, z1), colour) in enumerate(boxes):
        box = trimesh.creation.box(bounds=[(x0, y0, z0), (x1, y1, z1)])
        turned = np.eye(4)
        turned[:3, :3] = HABITAT_TO_WORLD.T
        box.apply_transform(turned)
        material = trimesh.visual.material.PBRMaterial(baseColorFactor=colour, metallicFactor=0.0, roughnessFactor=1.0)
        box.visual = trimesh.visual.TextureVisuals(material=material)
        scene.add_geometry(box, node_name=f"part {number}", geom_name=f"part {number}")
    scene.export(path)
    return path


def walled(x0: float, y0: float, x1: float, y1: float) -> list[tuple[Box, tuple[int, int, int, int]]]:
    """A floor at height 0 within walls; the one ahead (+x) is red, the one to the left (+y) green."""
    low, high = y0 - THICK, y1 + THICK
    return [
        ((x0 - THICK, low, -0.2, x1 + THICK, high, 0.0), WHITE),
        ((x1, low, 0.0, x1 + THICK, high, HEIGHT), RED), ((x0 - THICK, low, 0.0, x0, high, HEIGHT), WHITE),
        ((x0, y1, 0.0, x1, high, HEIGHT), GREEN), ((x0, low, 0.0, x1, y0, HEIGHT), WHITE),
    ]


def room(path: Path) -> Path:
    """8 x 6 m around the origin, and a post ahead to the left, 2 m away."""
    return write_scene(path, [*walled(-4, -3, 4, 3), ((2.0, 0.8, 0.0, 2.4, 1.2, 1.5), WHITE)])


def maze(path: Path) -> Path:
    """Two lanes of 1.2 m along x, from -3 to 3, around the end of a wall at x = 2."""
    return write_scene(path, [*walled(-3, -1.3, 3, 1.3), ((-3, -0.1, 0.0, 2, 0.1, HEIGHT), WHITE)])


SEMANTICS = ("floor", "front wall", "back wall", "left wall", "right wall", "post")  # of `annotated`, ids from 1


def annotated(path: Path) -> Path:
    """The room with Habitat's semantic files beside it, as HM3D has them: each part in a colour of its own, which a
    table names. Full and empty channels are the same in linear light as on a screen."""
    room(path)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255)]
    scene, parts = trimesh.load_scene(path, process=False), []
    for node, colour in zip(sorted(scene.graph.nodes_geometry), colours):
        transform, name = scene.graph[node]
        mesh = scene.geometry[name].copy()
        mesh.apply_transform(transform)
        mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=np.tile((*colour, 255), (len(mesh.vertices), 1)))
        parts.append(mesh)
    trimesh.util.concatenate(parts).export(path.with_suffix(".semantic.glb"))
    table = [f'{k},{r:02X}{g:02X}{b:02X},"{name}",0' for k, (name, (r, g, b)) in enumerate(zip(SEMANTICS, colours), 1)]
    path.with_suffix(".semantic.txt").write_text("\n".join(["HM3D Semantic Annotations", *table]) + "\n")
    path.with_suffix(".stage_config.json").write_text(json.dumps({
        "render_asset": path.name, "up": [0, 1, 0], "front": [0, 0, -1], "semantic_up": [0, 1, 0],
        "semantic_front": [0, 0, -1], "semantic_asset": f"{path.stem}.semantic.glb",
        "semantic_descriptor_filename": f"{path.stem}.semantic.txt", "has_semantic_textures": False,
    }))
    return path


def around_the_end(start: tuple[float, float], radius: float) -> float:
    """Metres from `start`, in the lower lane, to its mirror image in the upper one, for a disc: a tangent to the circle
    around the wall's corner, an arc, and the same again behind the middle."""
    dx, dy = 2.0 - start[0], -0.1 - start[1]
    away = math.hypot(dx, dy)
    heading = math.atan2(dy, dx) - math.asin(radius / away)
    return 2 * (math.sqrt(away**2 - radius**2) + radius * (math.pi / 2 - heading) + 0.1)


def halves(path: Path) -> Path:
    """Two rooms of 3 x 3 m with a wall and no door between them."""
    return write_scene(path, [*walled(-3, -1.5, 3, 1.5), ((-0.1, -1.5, 0.0, 0.1, 1.5, HEIGHT), WHITE)])


def step(path: Path) -> Path:
    """6 x 3 m; from x = 0 on the floor is 0.1 m higher."""
    return write_scene(path, [*walled(-3, -1.5, 3, 1.5), ((0.0, -1.5, 0.0, 3.0, 1.5, 0.1), WHITE)])


def gap(path: Path) -> Path:
    """Two rooms of 3 x 3 m, joined by a gap of 0.7 m."""
    across = [((-0.1, low, 0.0, 0.1, high, HEIGHT), WHITE) for low, high in ((-1.5, -0.35), (0.35, 1.5))]
    return write_scene(path, [*walled(-3, -1.5, 3, 1.5), *across])


def closet(path: Path) -> Path:
    """8 x 6 m around the origin, and in its corner ahead to the right one of 1.6 x 1.6 m without a door."""
    return write_scene(path, [
        *walled(-4, -3, 4, 3), ((2.3, -3, 0.0, 2.4, -1.3, HEIGHT), WHITE), ((2.4, -1.4, 0.0, 4, -1.3, HEIGHT), WHITE)])

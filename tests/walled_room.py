"""A scene for tests of what is built on the simulator: two rooms and a door, written as a mesh file."""

from __future__ import annotations

from pathlib import Path

import trimesh

_FACES = ((1, 2, 3, 4), (8, 7, 6, 5), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 8, 4), (4, 8, 5, 1))
_BOXES = (  # x0, x1, z0, z1 on the plan, y0, y1 in height (y is up in mesh files), m
    (0, 8, 0, 6, -0.1, 0.0), (-0.1, 8.1, -0.1, 0, 0, 2), (-0.1, 8.1, 6, 6.1, 0, 2), (-0.1, 0, 0, 6, 0, 2),
    (8, 8.1, 0, 6, 0, 2), (4, 4.1, 0, 2, 0, 2), (4, 4.1, 3.2, 6, 0, 2), (5.5, 6.5, 3.5, 4.5, 0, 1),
)


def write_walled_room(path: Path) -> Path:
    """8 x 6 m, a wall across with a door of 1.2 m, and a box behind it."""
    lines: list[str] = []
    for number, (x0, x1, z0, z1, y0, y1) in enumerate(_BOXES):
        lines.append(f"o box{number}")
        lines += [f"v {x} {y} {z}" for z in (z0, z1) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
        lines += ["f " + " ".join(str(8 * number + corner) for corner in face) for face in _FACES]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_walled_glb(folder: Path) -> Path:
    """The same as room.glb, its boxes apart, with y up as in every .glb."""
    room = trimesh.load_scene(write_walled_room(folder / "room.obj"), process=False, split_objects=True)
    room.export(folder / "room.glb")
    return folder / "room.glb"

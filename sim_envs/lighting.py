"""Light that is computed once, when a scene is loaded."""

from __future__ import annotations

import numpy as np

from sim_envs.mesh import SceneMesh
from sim_envs.raycaster import EmbreeMesh
from sim_envs.shading import face_normals


def tessellate(mesh: SceneMesh) -> SceneMesh:
    return mesh


def bake(mesh: SceneMesh, rays: EmbreeMesh | None) -> np.ndarray:
    """[F, 3, 3] float32 linear light at each face corner, sun excluded unless the scene is indoors."""
    normal = face_normals(mesh.triangles)
    strength = mesh.light.sky_strength + (mesh.light.sun_strength if mesh.light.indoor else 0.0)
    ambient = strength * (0.8 + 0.2 * normal[:, 2] + 0.06 * normal[:, 0])
    return np.broadcast_to(ambient[:, None, None], (len(mesh.faces), 3, 3)).astype(np.float32)

"""Splits large triangles, so that light kept per corner can vary across a floor or a wall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim_envs.mesh import SceneMesh


def tessellate(mesh: SceneMesh, longest_edge: float) -> SceneMesh:
    """The same surfaces with no edge longer than `longest_edge` metres.

    Whether and where an edge is split depends on that edge alone, so neighbours that shared it still fit together.
    """
    corners, uv = mesh.triangles, mesh.uv
    colours = None if mesh.colours is None else mesh.colours.astype(np.float32)
    face = np.arange(len(corners))
    kept: list[tuple[np.ndarray, ...]] = []
    pieces = (corners, uv, face) if colours is None else (corners, uv, face, colours)
    while len(pieces[0]):
        edges = pieces[0][:, [1, 2, 0]].astype(np.float64) - pieces[0]
        lengths = np.einsum("fkc,fkc->fk", edges, edges)
        long = lengths.max(axis=1) > longest_edge**2
        kept.append(tuple(piece[~long] for piece in pieces))
        first = lengths[long].argmax(axis=1)
        pieces = tuple(_halve(piece[long], first) for piece in pieces)
    if len(kept) == 1:
        return mesh
    corners, uv, face, *rest = (np.concatenate(parts) for parts in zip(*kept))
    order = np.argsort(face, kind="stable")  # neighbours in the mesh stay neighbours in memory
    count = len(face)
    return replace(
        mesh, vertices=corners[order].reshape(-1, 3), faces=np.arange(3 * count, dtype=np.int32).reshape(count, 3),
        uv=uv[order], material=mesh.material[face[order]], instance=mesh.instance[face[order]],
        colours=np.rint(rest[0][order]).astype(np.uint8) if rest else None,
    )


def _halve(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Both halves of triangles split in the middle of the edge from corner `first`; per-face values are repeated."""
    if values.ndim == 1:
        return np.repeat(values, 2)
    rows = np.arange(len(values))
    a, b, c = (values[rows, (first + k) % 3] for k in range(3))
    middle = (a + b) * np.float32(0.5)
    halves = np.stack([np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)], axis=1)
    return halves.reshape(-1, *values.shape[1:])

"""Splits large triangles, so that light kept per corner can vary across a floor or a wall."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sim_envs.mesh import SceneMesh

_MILLIMETRE = 1000.0  # per metre: corners this near to an edge lie on it
_BITS = 21  # of one coordinate in such steps: 2 km


@dataclass(frozen=True)
class _Pieces:
    """Triangles on their way; all arrays have one row per triangle."""

    corners: np.ndarray  # [F, 3, 3] float32
    uv: np.ndarray  # [F, 3, 2] float32
    colours: np.ndarray  # [F, 3, 3] float32, 0..255
    face: np.ndarray  # [F] int64, the face of the mesh they are part of

    def take(self, rows: np.ndarray) -> _Pieces:
        return _Pieces(self.corners[rows], self.uv[rows], self.colours[rows], self.face[rows])

    @staticmethod
    def join(parts: list[_Pieces]) -> _Pieces:
        return _Pieces(
            np.concatenate([p.corners for p in parts]), np.concatenate([p.uv for p in parts]),
            np.concatenate([p.colours for p in parts]), np.concatenate([p.face for p in parts]))

    def split(self, first: np.ndarray, at: np.ndarray) -> _Pieces:
        """Both parts of each triangle, cut from the point `at` [F], 0 to 1, of the edge from corner `first` [F]."""
        return _Pieces(
            _cut(self.corners, first, at), _cut(self.uv, first, at), _cut(self.colours, first, at),
            np.repeat(self.face, 2))


def tessellate(
    mesh: SceneMesh, longest_edge: float, *, meet: float = math.inf, where: np.ndarray | None = None,
) -> SceneMesh:
    """The same surfaces with no edge longer than `longest_edge` metres.

    Axis-aligned edges longer than `meet` metres are first cut where panels of the same plane meet them with a corner.
    After that, whether and where an edge is cut depends on that edge alone: neighbours that fit together go on doing
    so, and share the light of their corners. `where` [F] bool leaves all other faces as they are.
    """
    colours = np.zeros((len(mesh.faces), 3, 3), np.float32) if mesh.colours is None else mesh.colours.astype(np.float32)
    pieces = _Pieces(mesh.triangles, mesh.uv, colours, np.arange(len(mesh.faces)))
    chosen = np.ones(len(mesh.faces), bool) if where is None else where
    cut = pieces.take(chosen)
    if math.isfinite(meet):
        cut = _cut_at_corners(cut, meet)
    pieces = _Pieces.join([pieces.take(~chosen), *_cut_long_edges(cut, longest_edge)])
    count = len(pieces.face)
    if count == len(mesh.faces):
        return mesh
    pieces = pieces.take(np.argsort(pieces.face, kind="stable"))  # neighbours in the mesh stay neighbours in memory
    return replace(
        mesh, vertices=pieces.corners.reshape(-1, 3), faces=np.arange(3 * count, dtype=np.int32).reshape(count, 3),
        uv=pieces.uv, material=mesh.material[pieces.face], instance=mesh.instance[pieces.face],
        colours=None if mesh.colours is None else np.rint(pieces.colours).astype(np.uint8),
    )


def _edges(corners: np.ndarray) -> np.ndarray:
    """[F, 3, 3] float64 vectors along the edges that start at each corner."""
    return corners[:, [1, 2, 0]].astype(np.float64) - corners


def _cut(values: np.ndarray, first: np.ndarray, at: np.ndarray) -> np.ndarray:
    rows, at = np.arange(len(values)), at.astype(np.float32)[:, None]
    a, b, c = (values[rows, (first + k) % 3] for k in range(3))
    # Written so that both triangles at an edge get the same bits, whichever way round they see it.
    middle = np.where(a == b, a, (np.float32(1.0) - at) * a + at * b)
    return np.stack([np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)], axis=1).reshape(
        -1, *values.shape[1:])


def _cut_long_edges(pieces: _Pieces, longest: float) -> list[_Pieces]:
    kept = []
    while len(pieces.face):
        squares = (_edges(pieces.corners) ** 2).sum(axis=2)
        long = squares.max(axis=1) > longest**2
        kept.append(pieces.take(~long))
        first = squares[long].argmax(axis=1)
        pieces = pieces.take(long).split(first, np.full(len(first), 0.5))
    return kept


def _cut_at_corners(pieces: _Pieces, shortest: float) -> _Pieces:
    """Cut axis-aligned edges longer than `shortest` metres where corners of others in the same plane lie on them."""
    if not len(pieces.face):
        return pieces
    points = pieces.corners.reshape(-1, 3)
    low = points.min(axis=0).astype(np.float64)
    if np.ptp(points, axis=0).max() * _MILLIMETRE >= 2**_BITS - 2:
        return pieces
    plane = np.repeat(_plane_axis(pieces.corners), 3)
    steps = _steps(points, low)
    lines = {
        (normal, axis): np.unique(_word(steps[plane == normal], axis))
        for normal in range(3) for axis in range(3) if normal != axis and (plane == normal).any()
    }
    kept = []
    while len(pieces.face):
        edges, plane = _edges(pieces.corners), _plane_axis(pieces.corners)
        first, at = np.full(len(edges), -1), np.zeros(len(edges))
        for (normal, axis), line in lines.items():
            across = np.abs(np.delete(edges, axis, axis=2)).max(axis=2)
            usable = (across < 1e-5) & (np.abs(edges[:, :, axis]) > shortest)
            row, start = np.nonzero(usable & ((first < 0) & (plane == normal))[:, None])
            part, found = _corner_on_edge(pieces.corners, row, start, axis, low, line)
            first[row[found]], at[row[found]] = start[found], part[found]
        cut = first >= 0
        kept.append(pieces.take(~cut))
        pieces = pieces.take(cut).split(first[cut], at[cut])
    return _Pieces.join(kept)


def _plane_axis(corners: np.ndarray) -> np.ndarray:
    """[F] the axis along which a triangle has no extent, 3 where it leans."""
    flat = np.ptp(corners, axis=1) < 1e-5
    return np.where(flat.any(axis=1), flat.argmax(axis=1), 3)


def _corner_on_edge(
    corners: np.ndarray, row: np.ndarray, start: np.ndarray, axis: int, low: np.ndarray, line: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where along edges, 0 to 1, the middlemost corner on them lies, and whether there is any."""
    a, b = corners[row, start], corners[row, (start + 1) % 3]
    ends = np.sort(np.stack([_word(_steps(a, low), axis), _word(_steps(b, low), axis)]), axis=0)
    after, before = np.searchsorted(line, ends[0] + 2), np.searchsorted(line, ends[1] - 1)
    found = before > after
    middle = line[np.minimum((after + before) // 2, len(line) - 1)] & (2**_BITS - 1)
    position = middle / _MILLIMETRE + low[axis]
    return (position - a[:, axis]) / np.where(found, b[:, axis].astype(np.float64) - a[:, axis], 1.0), found


def _steps(points: np.ndarray, low: np.ndarray) -> np.ndarray:
    return np.rint((points - low) * _MILLIMETRE).astype(np.int64)


def _word(steps: np.ndarray, axis: int) -> np.ndarray:
    """One integer per point that sorts by line along `axis` first and by place on that line second."""
    others = [k for k in range(3) if k != axis]
    return (steps[:, others[0]] << 2 * _BITS) | (steps[:, others[1]] << _BITS) | steps[:, axis]

"""The ground of a city: roads with their markings, kerbs, pavements, and dropped kerbs where people cross.

Roads lie at z = 0 and everything else at `KERB`. At every crossing the pavement comes down to the road on a ramp of
4.5 degrees with flanks of 7, so that a robot that climbs no kerb still gets everywhere.
"""

from __future__ import annotations

import numpy as np

from sim_envs.scenes.cities.looks import Looks
from sim_envs.scenes.cities.plan import Edge, Plan, Segment, Street
from sim_envs.scenes.cities.sheets import Sheets
from sim_envs.simulator import Room

KERB = 0.11  # m, height of pavements above roads
CROSSING_WIDTH = 2.8  # m
_RAMP = 1.4  # m, depth of a dropped kerb
_FLANK = 1.2  # m along the kerb, on both sides of a ramp
_KERB_STONE = 0.3  # m
_KERB_ROOT = 0.05  # m that kerbs reach under the road
_CORNER = 2.4  # m, radius of the kerb at corners
_APRON = 0.15  # m that pavements reach under the fronts, whose pieces are straight where streets bend
CLEAR_OF_CROSSING = CROSSING_WIDTH / 2 + _FLANK + 0.4  # m from its middle: here nothing stands on the pavement


def lay_ground(plan: Plan, sheets: Sheets, looks: Looks) -> list[Room]:
    """Roads, pavements and crossings as instances; returns a "street" for every stretch between junctions."""
    rooms = []
    for segment in plan.segments:
        rooms.append(_street_room(sheets, segment))
        _road(sheets, looks, segment, len(rooms) - 1)
    _junctions(plan, sheets, looks)
    for edges in (*(block.edges for block in plan.blocks), plan.rim):
        for k, edge in enumerate(edges):
            with sheets.builder.instance("pavement", is_object=False):
                _pavement(sheets, looks, edge)
                _corner(sheets, looks, edge, edges[k - 1])
                sheets.flush()
    return rooms


def _street_room(sheets: Sheets, segment: Segment) -> Room:
    reach = segment.street.half_road + segment.street.pavement
    along = sheets.cuts(segment.start, segment.end)
    right, left = np.full_like(along, reach), np.full_like(along, -reach)
    side, other = np.stack([right, along], 1), np.stack([left, along], 1)[::-1]
    if not segment.along_y:
        side, other = np.stack([along, left], 1), np.stack([along, right], 1)[::-1]
        middle = np.array([0.0, segment.street.position])
    else:
        middle = np.array([segment.street.position, 0.0])
    return Room("street", sheets.bend(np.concatenate([side, other]) + middle))


def _road(sheets: Sheets, looks: Looks, segment: Segment, room: int) -> None:
    low, high = segment.crossings
    half = CROSSING_WIDTH / 2
    pieces = [
        (segment.start, low - half, looks.asphalt), (low + half, low + half + 1.0, looks.stop),
        (low + half + 1.0, high - half - 1.0, looks.road), (high - half - 1.0, high - half, looks.stop),
        (high + half, segment.end, looks.asphalt),
    ]
    with sheets.builder.instance("road", is_object=False, room=room):
        for start, end, material in pieces:
            _road_piece(sheets, looks, segment, start, end, material, turned=start < low + half + 0.5)
        sheets.flush()
    for middle in segment.crossings:
        with sheets.builder.instance("crossing", is_object=False, room=room):
            _road_piece(sheets, looks, segment, middle - half, middle + half, looks.zebra, turned=False)
            sheets.flush()


def _road_piece(
    sheets: Sheets, looks: Looks, segment: Segment, start: float, end: float, material: int, turned: bool
) -> None:
    street = segment.street
    sideways = 1.0 if segment.along_y else -1.0  # across runs down y on a road along x: the upper side stays up
    across = (sheets.cuts(*(street.position + sideways * half for half in (-street.half_road, street.half_road)))
              - street.position) * sideways
    along = sheets.cuts(start, end)
    low = np.stack(np.meshgrid(across[:-1], along[:-1]), axis=-1).reshape(-1, 2)
    high = np.stack(np.meshgrid(across[1:], along[1:]), axis=-1).reshape(-1, 2)
    across_along = np.stack([low, np.stack([high[:, 0], low[:, 1]], 1), high, np.stack([low[:, 0], high[:, 1]], 1)], 1)
    if segment.along_y:
        plan = across_along + np.array([street.position, 0.0])
    else:
        plan = np.stack([across_along[..., 1], street.position - across_along[..., 0]], axis=-1)
    uv = across_along.copy() if material == looks.asphalt else _mapped(across_along, street, material, looks, start)
    if turned and material == looks.stop:
        uv = 1.0 - uv
    sheets.quads(material, np.concatenate([plan, np.zeros((*plan.shape[:2], 1))], axis=-1), uv)


def _mapped(across_along: np.ndarray, street: Street, material: int, looks: Looks, start: float) -> np.ndarray:
    """Texture coordinates in repeats: u once across the road (stripes of a zebra: one per metre)."""
    u = (across_along[..., 0] / street.half_road + 1.0) / 2.0
    if material == looks.zebra:
        return np.stack([u * round(2 * street.half_road), (across_along[..., 1] - start) / CROSSING_WIDTH], axis=-1)
    return np.stack([u, (across_along[..., 1] - start) / (1.0 if material == looks.stop else 6.0)], axis=-1)


def _junctions(plan: Plan, sheets: Sheets, looks: Looks) -> None:
    with sheets.builder.instance("road", is_object=False):
        for upright in plan.along_y:
            for level in plan.along_x:
                sheets.floor(
                    looks.asphalt, upright.low_kerb, level.low_kerb, upright.high_kerb, level.high_kerb, 0.0)
        sheets.flush()


def _pavement(sheets: Sheets, looks: Looks, edge: Edge) -> None:
    """Everything between the two corners of a side."""
    begin = _CORNER if edge.rounded else 0.0
    end = edge.length - begin
    inner = (edge.before, edge.length - edge.after)
    ramps = [(c - CROSSING_WIDTH / 2, c + CROSSING_WIDTH / 2) for c in edge.crossings]
    at, slab_at = begin, inner[0]
    for low, high in ramps:
        _plain(sheets, looks, edge, (at, low - _FLANK), (slab_at, low - _FLANK))
        _dropped_kerb(sheets, looks, edge, low, high)
        at = slab_at = high + _FLANK
    _plain(sheets, looks, edge, (at, end), (slab_at, inner[1]))


def _plain(
    sheets: Sheets, looks: Looks, edge: Edge, kerb: tuple[float, float], slabs: tuple[float, float]
) -> None:
    stations = _stations(sheets, edge, *kerb)
    sheets.strip(looks.kerb, edge, stations, (0.0, _KERB_STONE), (KERB, KERB))
    _kerb_face(sheets, looks, edge, stations, np.full(len(stations), KERB))
    stations = _stations(sheets, edge, *slabs)
    sheets.strip(looks.slabs, edge, stations, (_KERB_STONE, edge.pavement), (KERB, KERB))
    _apron(sheets, looks, edge, stations)


def _apron(sheets: Sheets, looks: Looks, edge: Edge, stations: np.ndarray) -> None:
    low = KERB - 0.01  # under the ground of parks and gardens
    sheets.strip(looks.slabs, edge, stations, (edge.pavement, edge.pavement + _APRON), (low, low))


def _stations(sheets: Sheets, edge: Edge, start: float, end: float) -> np.ndarray:
    """t from start to end, cut where everything else on the drawing board is cut."""
    axis = int(edge.direction[0] == 0.0)
    origin, sign = edge.origin[axis], edge.direction[axis]
    return (sheets.cuts(origin + sign * start, origin + sign * end) - origin) * sign


def _dropped_kerb(sheets: Sheets, looks: Looks, edge: Edge, low: float, high: float) -> None:
    stations = np.array([low - _FLANK, low, high, high + _FLANK])
    sheets.strip(looks.tactile, edge, stations[1:3], (0.0, _RAMP), (0.0, KERB))
    _kerb_face(sheets, looks, edge, stations[1:3], np.zeros(2))
    for pair, heights in ((stations[:2], [KERB, 0.0]), (stations[2:], [0.0, KERB])):
        _flank(sheets, looks, edge, pair, np.array(heights))
        _kerb_face(sheets, looks, edge, pair, np.array(heights))
    sheets.strip(looks.slabs, edge, stations, (_RAMP, edge.pavement), (KERB, KERB))
    _apron(sheets, looks, edge, stations)


def _flank(sheets: Sheets, looks: Looks, edge: Edge, t: np.ndarray, heights: np.ndarray) -> None:
    """The sloping side of a ramp: two triangles that share the line from the low corner to the far high one."""
    near, far = edge.point(t, 0.0), edge.point(t, _RAMP)
    points = np.concatenate([np.column_stack([near, heights]), np.column_stack([far, [KERB, KERB]])])  # n0 n1 f0 f1
    # Cut through the corner that is low, so that the two pieces are planes without a ridge across the way.
    order = [1, 3, 2, 0] if heights[1] < heights[0] else [0, 1, 3, 2]
    corners = points[order][None]
    sheets.quads(looks.slabs, corners, corners[..., :2])


def _kerb_face(sheets: Sheets, looks: Looks, edge: Edge, t: np.ndarray, heights: np.ndarray) -> None:
    line = edge.point(t, 0.0)
    bottom, top = np.column_stack([line, np.full(len(t), -_KERB_ROOT)]), np.column_stack([line, heights])
    corners = np.stack([bottom[:-1], bottom[1:], top[1:], top[:-1]], axis=1)
    u = np.stack([t[:-1], t[1:], t[1:], t[:-1]], axis=1)
    sheets.quads(looks.kerb, corners, np.stack([u, corners[..., 2]], axis=-1))


def _corner(sheets: Sheets, looks: Looks, edge: Edge, before: Edge) -> None:
    """The corner where an edge starts: a rounded one of a block, a plain square outside the ring road."""
    if not edge.rounded:
        sheets.strip(looks.slabs, edge, [-before.pavement, 0.0], (0.0, edge.pavement), (KERB, KERB))
        return
    angle = np.linspace(1.5 * np.pi, np.pi, 6)  # from the edge's kerb to the kerb before it
    turn = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centre = np.array([_CORNER, _CORNER])

    def place(local: np.ndarray) -> np.ndarray:
        return edge.point(local[:, 0], local[:, 1])

    outer, inner = centre + _CORNER * turn, centre + (_CORNER - _KERB_STONE) * turn
    rim = place(outer)
    _ring(sheets, looks, rim, place(inner))
    sheets.fan(looks.asphalt, place(np.zeros((1, 2)))[0], rim, 0.0)
    far = np.array([edge.before, edge.pavement])
    stones = np.array([[_KERB_STONE, far[1]], [far[0], _KERB_STONE]])
    line = np.concatenate([stones[:1], inner[::-1], stones[1:]])
    sheets.fan(looks.slabs, place(far[None])[0], place(line), KERB)
    # The kerb stones between the arc and the corner square belong to the strips of both edges.
    for t in range(len(rim) - 1):
        sheets.wall(looks.kerb, rim[t + 1], rim[t], -_KERB_ROOT, KERB)


def _ring(sheets: Sheets, looks: Looks, outer: np.ndarray, inner: np.ndarray) -> None:
    plan = np.stack([outer[1:], outer[:-1], inner[:-1], inner[1:]], axis=1)
    sheets.quads(looks.kerb, np.concatenate([plan, np.full((*plan.shape[:2], 1), KERB)], axis=-1), plan)

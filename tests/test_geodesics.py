"""Shortest ways against taut strings measured by hand, and against what every distance has to obey."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from nav_foundation.geometry import resample_path
from sim_envs.navigation import Navigation
from tests.hand_made_scenes import SMALL, Obstacles, at, box, furnished, mesh_of, navigation, room, serpentine, sheet


def around_block(start: np.ndarray, end: np.ndarray, block: tuple[float, float, float], r: float) -> float:
    """Exact way over the top of a block from x0 to x1 as high as `top`: tangents, two arcs and the straight between."""
    x0, x1, top = block
    total = x1 - x0
    for (x, y), corner, sign in ((start, x0, -1), (end, x1, 1)):
        gap = math.hypot(x - corner, y - top)
        tangent = math.atan2(y - top, sign * (x - corner)) + math.acos(r / gap)
        total += math.sqrt(gap**2 - r**2) + r * (math.pi / 2 - tangent)
    return total


def test_geodesics_around_a_block_are_exact_to_half_a_per_cent() -> None:
    nav = navigation(room(4, 3) + box(1.5, -0.05, 0, 1.7, 2, 0.9))
    rng = np.random.default_rng(0)
    for _ in range(40):
        start, end = rng.uniform([0.25, 0.25], [1.2, 1.4]), rng.uniform([2, 0.25], [3.7, 1.4])
        exact = around_block(start, end, (1.5, 1.7, 2.0), 0.2)
        way = nav.geodesic(at(*start)[0], at(*end))
        assert exact * 0.9999 <= way.distance <= exact * 1.005
        assert way.path[0] == pytest.approx(at(*start)[0]) and way.path[-1] == pytest.approx(at(*end)[0])
        assert np.linalg.norm(np.diff(way.path, axis=0), axis=1).sum() == pytest.approx(way.distance)


@pytest.mark.parametrize("cell", [0.05, 0.1])
def test_geodesic_of_a_serpentine_maze(cell: float) -> None:
    """A disc of radius r swings around the end of every board, with straight tangents between."""
    lanes, r = 7, 0.2
    nav = navigation(serpentine(lanes), SMALL, cell)
    way = nav.geodesic(at(0.5, 0.5)[0], at(4.5, 6.5))
    # Between board ends (4, k) and (1, k + 1) the taut string crosses over as an inner tangent of two circles.
    apart = math.hypot(3, 1)
    inner, swing = math.sqrt(apart**2 - 4 * r**2), math.asin(2 * r / apart)
    slant = math.atan2(1, 3)
    reach = math.hypot(3.5, 0.5)
    first = math.sqrt(reach**2 - r**2)
    into = math.atan2(0.5, 3.5) - math.asin(r / reach)  # rising angle of the first tangent
    between = slant - swing
    exact = 2 * first + 5 * inner + r * (2 * (math.pi - into - between) + 4 * (math.pi - 2 * between))
    assert way.distance == pytest.approx(exact, rel=0.01)


def test_geodesic_of_a_spiral() -> None:
    """Corridors 1 m wide wind inwards; every turn goes around the end of a board with the robot's radius."""
    quads = room(7, 7)
    corners = [(-0.05, 1), (6, 1), (6, 6), (1, 6), (1, 2), (5, 2), (5, 5), (2, 5), (2, 3), (4, 3), (4, 4)]
    for a, b in pairwise(corners):
        quads += sheet(*a, *b)
    nav = navigation(quads)
    way = nav.geodesic(at(0.5, 0.5)[0], at(3.5, 3.5))
    exact = string_around(np.array([0.5, 0.5]), np.array([3.5, 3.5]), np.array(corners[1:]), 0.2)
    assert way.distance == pytest.approx(exact, rel=0.01)


def string_around(start: np.ndarray, end: np.ndarray, corners: np.ndarray, r: float) -> float:
    """Length of a taut string that passes counter-clockwise around circles of radius r about `corners`, in order."""
    def tangent(a: np.ndarray, b: np.ndarray, ra: float, rb: float) -> tuple[float, float]:
        gap = b - a
        length = math.hypot(*gap)
        return math.sqrt(length**2 - (rb - ra) ** 2), math.atan2(gap[1], gap[0]) - math.asin((rb - ra) / length)

    stops = [(start, 0.0), *((corner, r) for corner in corners), (end, 0.0)]
    pieces = [tangent(a, b, ra, rb) for (a, ra), (b, rb) in pairwise(stops)]
    arcs = sum(r * ((b[1] - a[1]) % (2 * math.pi)) for a, b in pairwise(pieces))
    return sum(length for length, _ in pieces) + arcs


@pytest.mark.parametrize("seed", range(4))
def test_geodesics_are_a_metric(seed: int) -> None:
    nav = navigation(furnished(seed))
    rng = np.random.default_rng(seed)
    a, b, c = (np.array([nav.sample_navigable(rng) for _ in range(12)]) for _ in range(3))
    for p, q, m in zip(a, b, c):
        there, back = nav.geodesic(p, q[None]), nav.geodesic(q, p[None])
        assert there.distance == pytest.approx(back.distance, rel=0.01)
        assert there.distance >= np.linalg.norm(p - q) - 1e-9
        detour = nav.geodesic(p, m[None]).distance + nav.geodesic(m, q[None]).distance
        assert there.distance <= 1.01 * detour
        both = nav.geodesic(p, np.array([m, q]))
        nearer = min(there.distance, nav.geodesic(p, m[None]).distance)
        assert both.distance == pytest.approx(nearer, rel=0.01)


def test_paths_keep_the_radius_everywhere() -> None:
    mesh = mesh_of(furnished(5))
    nav, rng = Navigation(mesh, SMALL), np.random.default_rng(0)
    obstacles = Obstacles(mesh, SMALL)
    for _ in range(10):
        path = nav.geodesic(nav.sample_navigable(rng), nav.sample_navigable(rng)[None]).path
        assert obstacles.distance(resample_path(path, 0.01)).min() > 0.2 - 1e-3


def test_asking_again_on_the_way_gives_what_is_left() -> None:
    nav = navigation(serpentine(5))
    goal = at(4.5, 4.5)
    whole = nav.geodesic(at(0.5, 0.5)[0], goal)
    driven = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(whole.path, axis=0), axis=1))])
    for k in range(1, len(whole.path) - 1):
        left = nav.geodesic(whole.path[k], goal).distance
        assert left == pytest.approx(whole.distance - driven[k], abs=0.01 * whole.distance)

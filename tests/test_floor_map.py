"""Maps of what a network sees of the floor: walls where they are, ways through doors, against hand-made rooms."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import lil_matrix
from scipy.sparse.csgraph import dijkstra

from nav_foundation.geometry import compose, to_frame
from nav_foundation.model.config import preset
from nav_foundation.model.floor import floor_bearings, floor_edges
from nav_foundation.robot import load_robot
from nav_foundation.types import NANOSECONDS, Pose2
from policies.floor_map import CELL, FloorMap, _chances, _distances

CONFIG = preset("nano")
_TURTLEBOT = load_robot("turtlebot")
ROBOT = dataclasses.replace(
    _TURTLEBOT, camera=dataclasses.replace(_TURTLEBOT.camera, hfov_deg=90.0, mount_forward=0.3)
)
ALL = np.ones((CONFIG.view.height, CONFIG.view.width), bool)
Wall = tuple[float, float, float]  # at x, from y to y, m
DOOR = [(2.0, -4.0, 1.0), (2.0, 2.2, 5.0)]  # a door of 1.2 m to the left


def seen(walls: list[Wall], here: Pose2) -> np.ndarray:
    """[C, bins] what a network would say that sees well, with a camera 0.3 m ahead of the robot's centre."""
    here = compose(here, Pose2(0.3, 0.0, 0.0))
    bins = CONFIG.floor_bins
    edges, bearings = floor_edges(bins), floor_bearings(CONFIG.view)
    chances = np.full((len(bearings), bins), 0.01)
    for column, bearing in enumerate(bearings + here.yaw):
        ways = [(x - here.x) / math.cos(bearing) for x, low, high in walls
                if low < here.y + (x - here.x) * math.tan(bearing) < high]
        away = min((way for way in ways if way > 0), default=math.inf)
        if edges[0] < away < edges[-1]:
            chances[column, np.searchsorted(edges, away) - 1] = 0.95
    return chances


def looked(walls: list[Wall], *views: Pose2, radius: float = ROBOT.footprint.radius) -> FloorMap:
    """A map after two seconds at each of the views."""
    robot = dataclasses.replace(ROBOT, footprint=dataclasses.replace(ROBOT.footprint, radius=radius))
    kept = FloorMap(robot, CONFIG, ALL)
    for k in range(10 * len(views)):
        here = views[k // 10]
        kept.add(k * NANOSECONDS // 5, here, seen(walls, here))
    return kept


def at(kept: FloorMap, x: float, y: float) -> float:
    assert kept._start is not None
    column, row = kept._cells(to_frame(kept._start, np.array([[x, y]])))[0]
    return float(_chances(kept._odds[column, row]))


AROUND = [Pose2(0.0, 0.0, yaw) for yaw in (0.0, 0.6, -0.6)]


def test_columns_lie_from_left_to_right() -> None:
    bearings = floor_bearings(CONFIG.view)
    assert len(bearings) == 32 and (np.diff(bearings) < 0).all()
    assert bearings[0] == pytest.approx(math.atan2(62.0, 64.0)) and bearings[-1] == pytest.approx(-bearings[0])


@pytest.mark.parametrize("here", [*AROUND, Pose2(0.5, -0.5, 0.3)])
def test_a_wall_is_where_it_stands_from_wherever_it_is_seen(here: Pose2) -> None:
    kept = looked([(2.0, -4.0, 4.0)], here)
    across = here.y + math.tan(here.yaw) * (2.0 - here.x)  # where the robot looks at it
    assert max(at(kept, 2.0 + off, across) for off in (-CELL, 0.0, CELL)) > 0.8
    for share in (0.5, 0.8):
        assert at(kept, here.x + share * (2 - here.x), here.y + share * (across - here.y)) < 0.3
    assert at(kept, -1.5, 0.0) == pytest.approx(0.5)  # nobody looked there


def test_the_way_leads_through_the_door() -> None:
    x, y = looked(DOOR, *AROUND).towards(Pose2(0.0, 0.0, 0.0), (4.0, 0.0))
    bearing = math.atan2(y, x)
    assert math.atan2(1.0, 2.0) < bearing < math.atan2(2.2, 2.0)
    # Beyond the door it leads on to the place, which is in sight.
    assert looked(DOOR, *AROUND).towards(Pose2(2.6, 1.3, -0.5), (4.0, 0.0)) == (4.0, 0.0)


def test_a_wide_robot_is_led_through_the_doors_of_homes() -> None:
    """There are 10 cm to either side of it, which a map of 10 cm cells, seen from afar, does not show."""
    door = [(2.0, -4.0, 1.2), (2.0, 2.1, 5.0)]
    x, y = looked(door, *AROUND, radius=0.35).towards(Pose2(0.0, 0.0, 0.0), (4.0, 0.0))
    assert math.atan2(1.2, 2.0) < math.atan2(y, x) < math.atan2(2.1, 2.0)


def test_where_nothing_is_in_the_way_it_leads_straight_on() -> None:
    for place in ((3.5, 0.5), (3.5, 0.0), (8.0, 0.0), (7.0, 2.0)):
        assert looked([], *AROUND).towards(Pose2(0.0, 0.0, 0.0), place) == place


def test_a_network_that_fails_once_does_not_spoil_the_map() -> None:
    kept, here = looked(DOOR, *AROUND), Pose2(0.0, 0.0, 0.0)
    before = kept.towards(here, (4.0, 0.0))
    kept.add(10 * NANOSECONDS, here, np.full((32, CONFIG.floor_bins), np.nan))
    assert kept.towards(here, (4.0, 0.0)) == before


def test_the_robot_has_room_where_it_stands() -> None:
    kept = FloorMap(ROBOT, CONFIG, ALL)
    for k in range(20):  # something that it pushes against, or does not see
        kept.add(k * NANOSECONDS // 5, Pose2(0, 0, 0), np.full((32, CONFIG.floor_bins), 0.9))
    assert at(kept, 0.0, 0.0) < 0.5


def test_before_anything_was_seen_the_place_itself_is_driven_to() -> None:
    assert FloorMap(ROBOT, CONFIG, ALL).towards(Pose2(0, 0, 0), (4.0, 0.0)) == (4.0, 0.0)


def test_what_was_seen_long_ago_is_forgotten() -> None:
    kept, behind = looked(DOOR, *AROUND), Pose2(0.0, 0.0, math.pi)
    kept.add(600 * NANOSECONDS, behind, seen([], behind))
    assert abs(at(kept, 2.0, 0.0) - 0.5) < 0.01
    assert abs(kept.towards(Pose2(0.0, 0.0, 0.0), (4.0, 0.0))[1]) < 0.3


def test_the_map_goes_where_the_robot_goes() -> None:
    kept = FloorMap(ROBOT, CONFIG, ALL)
    for k in range(400):
        here = Pose2(0.1 * k, -0.05 * k, 0.0)
        kept.add(k * NANOSECONDS // 5, here, seen([(42.0, -40.0, 40.0)], here))
    last = Pose2(39.9, -19.95, 0.0)
    assert max(at(kept, 42.0 + off, -19.95) for off in (-CELL, 0.0, CELL)) > 0.8
    assert at(kept, 38.0, -19.0) < 0.3  # driven over
    x, y = kept.towards(last, (45.0, -19.95))
    assert math.hypot(x - 45.0, y + 19.95) > 1.0  # not straight through the wall


def test_a_place_beyond_the_map_still_has_a_direction() -> None:
    for away in (12.0, 300.0, 1e30):
        x, y = looked([], *AROUND).towards(Pose2(0.0, 0.0, 0.0), (0.9 * away, 0.3 * away))
        assert math.hypot(x, y) > 1.0 and math.atan2(y, x) == pytest.approx(math.atan2(0.3, 0.9), abs=0.15)


def test_what_the_camera_does_not_see_is_not_believed() -> None:
    middle = ALL.copy()
    middle[:, :48] = middle[:, 80:] = False
    kept = FloorMap(ROBOT, CONFIG, middle)
    for k in range(10):
        kept.add(k * NANOSECONDS // 5, Pose2(0, 0, 0), seen([(2.0, -4.0, 4.0)], Pose2(0, 0, 0)))
    assert at(kept, 2.0, 0.0) > 0.8 and at(kept, 2.0, 1.5) == pytest.approx(0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_distances_are_those_of_dijkstra(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns, rows = rng.integers(3, 12, 2)
    cost = rng.uniform(1, 30, (columns, rows)).astype(np.float32)
    goal = np.array([rng.integers(columns), rng.integers(rows)])
    edges = lil_matrix((columns * rows, columns * rows))
    for x, y in np.ndindex(columns, rows):
        for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
            i, j = x + dx, y + dy
            if 0 <= i < columns and 0 <= j < rows:
                edges[x * rows + y, i * rows + j] = math.hypot(dx, dy) * 0.5 * (cost[x, y] + cost[i, j])
    wanted = dijkstra(edges.tocsr(), directed=False, indices=goal[0] * rows + goal[1]).reshape(columns, rows)
    np.testing.assert_allclose(_distances(cost, goal), wanted, rtol=1e-3)


def test_a_place_that_is_barred_is_closed_for_a_minute() -> None:
    doors = [(2.0, -5.0, -2.2), (2.0, -1.0, 1.0), (2.0, 2.2, 5.0)]  # one to the left, one to the right
    kept, here, place = looked(doors, *AROUND), Pose2(0.0, 0.0, 0.0), (4.0, 0.4)
    assert kept.towards(here, place)[1] > 0.5
    kept.bar(np.column_stack([np.full(13, 2.0), np.linspace(1.0, 2.2, 13)]))
    for k in range(30, 30 + 5 * 62):
        if k in (30, 30 + 5 * 58):
            assert kept.towards(here, place)[1] < -0.5
        kept.add(k * NANOSECONDS // 5, AROUND[k % 3], seen(doors, AROUND[k % 3]))
    assert kept.towards(here, place)[1] > 0.5


def led(moves: list[Pose2], places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where it is led, on free floor all about."""
    kept, said = FloorMap(ROBOT, CONFIG, ALL), []
    for k, (here, place) in enumerate(zip(moves, places, strict=True)):
        kept.add(k * NANOSECONDS // 5, here, seen([], here))
        said.append(kept.towards(here, place))
    return said


def straight(said: list[tuple[float, float]]) -> bool:
    return all(abs(y) < 0.1 * x for x, y in said)


def test_where_the_network_will_not_go_another_way_is_tried() -> None:
    place = (4.0, 0.0)
    dithers = [Pose2(0.0, 0.0, 0.05 * (k % 2)) for k in range(30)]
    said = led(dithers, [place] * 30)
    assert straight(said[:25]) and not straight(said[-1:])
    assert straight(led([Pose2(0.0, 0.0, 0.0)] * 100, [place] * 100))  # somebody stopped it: it does not even turn
    assert straight(led([Pose2(0.02 * k, 0.0, 0.05 * (k % 2)) for k in range(30)], [place] * 30))  # slowly, but it goes
    assert straight(led(dithers + dithers[:10], [(0.0, 4.0)] * 20 + [place] * 20)[20:])  # another place meanwhile

"""Coverage of a floor plan by sight, against plans whose answer is known."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from sim_envs.coverage import FARTHEST, Coverage
from sim_envs.simulator import SceneError, TopDown

CELL = 0.1


def plan(width: float, height: float) -> TopDown:
    """An empty room with a wall around it; free inside [0, width] x [0, height]."""
    grid = np.full((round(height / CELL) + 2, round(width / CELL) + 2), TopDown.OBSTACLE, np.uint8)
    grid[1:-1, 1:-1] = TopDown.FREE
    return TopDown(grid, (-CELL, -CELL), CELL)


def block(top_down: TopDown, x: tuple[float, float], y: tuple[float, float], value: int = TopDown.OBSTACLE) -> None:
    (r0, c0), (r1, c1) = top_down.cells(np.array([(x[0] + 1e-6, y[0] + 1e-6), (x[1] - 1e-6, y[1] - 1e-6)]))
    top_down.grid[r0 : r1 + 1, c0 : c1 + 1] = value


def is_seen(coverage: Coverage, x: float, y: float) -> bool:
    return coverage.seen_at(np.array([x, y]))


def test_looking_all_round_an_empty_room_sees_all_of_it() -> None:
    coverage = Coverage(plan(4, 3), np.array([2.0, 1.5]), 2 * math.pi, 5.0)
    assert coverage.fraction == 0.0
    assert coverage.update(2.0, 1.5, 0.3) == coverage.free.sum()
    assert coverage.fraction == 1.0 and len(coverage.unseen) == 0 and len(coverage.frontier) == 0


def test_seen_area_is_that_of_the_circle_sector() -> None:
    coverage = Coverage(plan(20, 20), np.array([10.0, 10.0]), math.radians(90), 5.0)
    coverage.update(10.0, 10.0, math.radians(30))
    area = coverage.seen.sum() * CELL**2
    edge = 2 * 5.0 + 5.0 * math.pi / 2  # cells that the outline cuts count whole: half a cell all along it
    assert area == pytest.approx(math.pi * 25 / 4 + edge * CELL / 2, rel=0.02)
    assert coverage.fraction == pytest.approx(area / 400)
    assert is_seen(coverage, 14.0, 12.0) and not is_seen(coverage, 8.0, 9.0)  # ahead, behind
    assert not is_seen(coverage, 10.0, 15.5)  # beyond the range


def test_no_holes_within_the_field_of_view() -> None:
    coverage = Coverage(plan(14, 14), np.array([7.0, 7.0]), 2 * math.pi, 6.0)
    coverage.update(7.03, 6.96, 0.0)
    centres = coverage.top_down.centres(np.argwhere(coverage.free & ~coverage.seen))
    assert np.linalg.norm(centres - (7.03, 6.96), axis=1).min() > 5.8


def test_a_wall_hides_and_a_door_shows() -> None:
    top_down = plan(8, 4)
    block(top_down, (3.8, 4.3), (0, 4))  # a wall of 0.1 m, wider by a robot of 0.2 m on both sides
    closed = Coverage(top_down, np.array([1.0, 2.0]), math.radians(90), 7.0)
    assert closed.free.sum() == 38 * 40  # the far room cannot be reached, so it does not count
    closed.update(1.0, 2.0, 0.0)
    assert closed.seen[:, 45:].sum() == 0

    block(top_down, (3.8, 4.3), (1.8, 2.2), TopDown.FREE)  # what a door of 0.8 m leaves for the robot's centre
    opened = Coverage(top_down, np.array([1.0, 2.0]), math.radians(90), 7.0)
    assert opened.free.sum() == (38 + 37) * 40 + 5 * 4
    opened.update(1.0, 2.0, 0.0)
    assert is_seen(opened, 7.0, 2.0)  # straight through the door
    assert not is_seen(opened, 7.0, 3.9) and not is_seen(opened, 4.5, 0.3)  # beside it, behind the wall


def test_slack_passes_a_corner_and_nothing_thicker() -> None:
    top_down = plan(6, 2)
    block(top_down, (2.0, 2.2), (0, 1.9))
    thin = Coverage(top_down, np.array([1.0, 1.0]), 1.0, 5.0, slack=0.25)
    thin.update(1.0, 1.0, 0.0)
    assert is_seen(thin, 4.0, 1.0)
    strict = Coverage(top_down, np.array([1.0, 1.0]), 1.0, 5.0, slack=0.1)
    strict.update(1.0, 1.0, 0.0)
    assert not is_seen(strict, 4.0, 1.0)


def test_frontier_touches_what_is_seen() -> None:
    coverage = Coverage(plan(20, 3), np.array([2.0, 1.5]), 2 * math.pi, 5.0)
    coverage.update(2.0, 1.5, 0.0)
    frontier = coverage.frontier
    assert len(frontier) > 0 and len(coverage.unseen) == (coverage.free & ~coverage.seen).sum()
    assert np.all(np.abs(np.linalg.norm(frontier - (2.0, 1.5), axis=1) - 5.0) < 0.3)


def test_fraction_counts_every_cell_once_and_never_shrinks() -> None:
    rng = np.random.default_rng(5)
    top_down = plan(10, 10)
    top_down.grid[rng.random(top_down.grid.shape) < 0.2] = TopDown.OBSTACLE
    coverage = Coverage(top_down, np.array([5.0, 5.0]), 1.4, 4.0)
    last = 0.0
    for x, y, yaw in rng.uniform((0, 0, -4), (10, 10, 4), (40, 3)):
        coverage.update(x, y, yaw)
        assert coverage.fraction >= last
        last = coverage.fraction
    assert last == pytest.approx(coverage.seen.sum() / coverage.free.sum())
    assert not (coverage.seen & ~coverage.free).any()


def test_outside_the_plan_sees_nothing_and_does_not_fail() -> None:
    coverage = Coverage(plan(4, 4), np.array([2.0, 2.0]), 1.0)
    assert coverage.update(-50.0, 3.0, 0.0) == 0
    assert coverage.seen_at(np.array([-50.0, 3.0])) and not coverage.seen_at(np.array([1.0, 1.0, 0.0]))


def test_bad_input_is_refused() -> None:
    with pytest.raises(SceneError, match="within 2 m"):
        Coverage(plan(4, 4), np.array([40.0, 2.0]), 1.0)
    empty = plan(4, 4)
    empty.grid[:] = TopDown.OBSTACLE
    with pytest.raises(SceneError, match="no free floor"):
        Coverage(empty, np.array([2.0, 2.0]), 1.0)
    with pytest.raises(ValueError, match="hfov"):
        Coverage(plan(4, 4), np.array([2.0, 2.0]), math.nan)


def test_of_a_large_place_the_surroundings_of_the_start_count() -> None:
    coverage = Coverage(plan(100, 80), np.array([50.0, 40.0]), 1.0)
    assert coverage.free.sum() * CELL**2 == pytest.approx(math.pi * FARTHEST**2, rel=0.01)
    centres = coverage.top_down.centres(np.argwhere(coverage.free))
    assert np.linalg.norm(centres - (50.0, 40.0), axis=1).max() < FARTHEST + CELL


def test_one_update_is_fast() -> None:
    coverage = Coverage(plan(30, 30), np.array([15.0, 15.0]), math.radians(90), 5.0)
    coverage.update(15.0, 15.0, 0.0)
    begin = time.perf_counter()
    for k in range(100):
        coverage.update(15.0, 15.0, 0.1 * k)
    assert (time.perf_counter() - begin) / 100 < 2e-3  # about 0.05 ms; the margin is for busy machines

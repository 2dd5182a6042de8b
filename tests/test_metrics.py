"""Metrics against values worked out by hand and against plain implementations of their definitions."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_envs.metrics import (
    METRICS,
    bootstrap_interval,
    dtw,
    is_success,
    judge,
    ndtw,
    paired_comparison,
    sign_test,
    spl_interval,
    success_interval,
    summarise,
    unit_interval,
)
from sim_envs.rollout import Trace
from sim_envs.simulator import Pose, SceneRef
from sim_envs.tasks.episode import Episode


def drive(
    points: list[tuple[float, float]], left: float, stopped: bool = True, shortest: float = 10.0, contacts: int = 0,
    coverage: float = 0.0, **task: Any,
) -> Trace:
    """The trace of driving through points, `left` metres from the goal at the end."""
    fields: dict[str, Any] = {
        "episode_id": "0", "task": "point-goal", "scene": SceneRef("house", 1), "start": Pose(0, 0, 0, 0),
        "goals": np.array([[10.0, 0.0, 0.0]]), "success_radius": 0.5, "geodesic_distance": shortest,
    }
    poses = np.array([(x, y, 0.0, 0.0) for x, y in points])
    to_surface = task.get("success_radius", 0.5) if task.get("object_ids") else 0.0
    return Trace(
        Episode(**{**fields, **task}), poses, np.arange(len(poses)) * 0.05, np.array([0]), stopped, contacts, left,
        coverage, shortest, shortest + to_surface,
    )


def test_a_straight_drive_into_the_goal_is_perfect() -> None:
    score = judge(drive([(0, 0), (4, 0), (10, 0)], 0.0))
    assert (score.success, score.spl, score.soft_spl, score.path_length) == (1.0, 1.0, 1.0, 10.0)
    assert score.distance_to_goal == 0.0 and score.ndtw is None and score.coverage is None
    assert score.time == pytest.approx(0.1)


def test_a_detour_of_twice_the_length_halves_spl() -> None:
    score = judge(drive([(0, 0), (0, 5), (10, 5), (10, 0)], 0.0, contacts=3))
    assert score.success == 1.0 and score.spl == pytest.approx(0.5) and score.collisions == 3


def test_success_needs_the_robots_own_stop_within_the_radius() -> None:
    assert judge(drive([(0, 0), (9.5, 0)], 0.5)).success == 1.0
    assert judge(drive([(0, 0), (9.49, 0)], 0.51)).success == 0.0
    passing = judge(drive([(0, 0), (10, 0)], 0.0, stopped=False))
    assert (passing.success, passing.spl) == (0.0, 0.0) and passing.soft_spl == 1.0
    assert not is_success(drive([(0, 0)], math.nan))


def test_soft_spl_rewards_progress_and_never_falls_below_zero() -> None:
    score = judge(drive([(0, 0), (0, 4), (8, 4)], 4.0))  # 12 m driven, 6 of 10 m gained
    assert score.soft_spl == pytest.approx(0.6 * 10 / 12)
    assert judge(drive([(0, 0), (-5, 0)], 15.0)).soft_spl == 0.0
    assert judge(drive([(0, 0), (3, 0)], math.inf)).soft_spl == 0.0


def test_progress_to_an_object_counts_to_where_it_is_reached() -> None:
    thing = {"task": "object-goal", "category": "chair", "object_ids": (3,), "success_radius": 1.0}
    assert judge(drive([(0, 0), (10, 0)], 0.9, **thing)).soft_spl == 1.0  # 0.9 m from its surface is success
    assert judge(drive([(0, 0), (5, 0)], 6.0, **thing)).soft_spl == pytest.approx(0.5)
    assert judge(drive([(0, 0)], 11.0, **thing)).soft_spl == 0.0  # who never moves gains nothing


def test_starting_inside_the_goal_and_stopping_there_is_perfect() -> None:
    score = judge(drive([(0, 0)], 0.0, shortest=0.0))
    assert (score.success, score.spl, score.soft_spl) == (1.0, 1.0, 1.0)


def test_exploring_is_judged_by_what_was_seen() -> None:
    task = {"task": "explore", "goals": np.zeros((0, 3)), "shortest": 5.0}
    score = judge(drive([(0, 0), (10, 0)], 0.0, stopped=False, coverage=0.85, **task))
    assert (score.success, score.spl, score.coverage) == (1.0, 0.5, 0.85)
    assert score.distance_to_goal is None and score.soft_spl is None
    assert judge(drive([(0, 0)], 0.0, coverage=0.79, **task)).success == 0.0


def test_dtw_by_hand() -> None:
    line = np.array([[0.0, 0], [1, 0], [2, 0]])
    assert dtw(line, line) == 0.0
    assert dtw(line + np.array([0, 0.5]), line) == pytest.approx(1.5)  # three pairs, 0.5 m each
    # 0-0, 3-0, 3-4 cost 0 + 3 + 1; a point more on one side must be matched too.
    assert dtw(np.array([[0.0], [3.0]]), np.array([[0.0], [4.0]])) == pytest.approx(1.0)
    assert dtw(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0]])) == pytest.approx(3.0)


def test_ndtw_by_hand() -> None:
    reference = np.array([[0.0, 0, 0], [2.0, 0, 0]])  # 9 points at 0.25 m
    assert ndtw(reference, reference, 1.0) == 1.0
    assert ndtw(reference + np.array([0, 0.3, 0]), reference, 1.0) == pytest.approx(math.exp(-0.3))
    assert ndtw(reference + np.array([0, 0.3, 0]), reference, 0.5) == pytest.approx(math.exp(-0.6))
    standing = sum(0.25 * k for k in range(9))
    assert ndtw(reference[:1], reference, 1.0) == pytest.approx(math.exp(-standing / 9))


def test_ndtw_does_not_depend_on_how_often_poses_are_recorded() -> None:
    reference = np.array([[0.0, 0, 0], [3.0, 0, 0], [3.0, 3, 0]])
    coarse = np.array([[0.0, 0.2, 0], [2.8, 0.2, 0], [2.8, 3, 0]])
    fine = np.concatenate([np.repeat(coarse[:1], 50, axis=0), np.linspace(coarse[0], coarse[1], 400),
                           np.linspace(coarse[1], coarse[2], 300)])
    assert ndtw(coarse, reference, 1.0) == pytest.approx(ndtw(fine, reference, 1.0), rel=1e-6)


def test_ndtw_is_judged_for_instructions_only() -> None:
    way = np.array([[0.0, 0, 0], [10.0, 0, 0]])
    points = [(0.0, 0.0), (10.0, 0.0)]
    assert judge(drive(points, 0.0, task="instruction", instruction="go", reference_path=way)).ndtw == 1.0
    assert judge(drive(points, 0.0, task="tour", reference_path=way)).ndtw is None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_dtw_equals_the_textbook_recurrence(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    table = np.full((n + 1, m + 1), np.inf)
    table[0, 0] = 0
    for i in range(n):
        for j in range(m):
            table[i + 1, j + 1] = math.dist(a[i], b[j]) + min(table[i, j + 1], table[i + 1, j], table[i, j])
    assert dtw(a, b) == pytest.approx(table[n, m])
    assert dtw(a, b) == pytest.approx(dtw(b, a))


def test_wilson_interval_matches_published_values() -> None:
    # Newcombe 1998, table 1: 81/263, 15/148, 0/20 and 1/29, 95 %.
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
                                   (1, 29, 0.0061, 0.1718)):
        estimate = success_interval(np.r_[np.ones(hits), np.zeros(count - hits)])
        assert (estimate.low, estimate.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))
    sure = success_interval(np.ones(20))
    assert sure.mean == sure.high == 1.0 and sure.low == pytest.approx(1 - 0.1611, abs=6e-5)


def test_bootstrap_agrees_with_the_normal_approximation() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    estimate = bootstrap_interval(values, np.random.default_rng(0))
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert estimate.mean == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.02)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.02)
    narrow = bootstrap_interval(values, np.random.default_rng(0), level=0.5)
    assert estimate.low < narrow.low < narrow.high < estimate.high


def test_bootstrap_is_deterministic_and_covers_the_truth() -> None:
    skewed = np.random.default_rng(1).exponential(1.0, (300, 40))
    intervals = [bootstrap_interval(row, np.random.default_rng(0), samples=500) for row in skewed]
    assert intervals[0] == bootstrap_interval(skewed[0], np.random.default_rng(0), samples=500)
    assert 0.88 < np.mean([e.low <= 1.0 <= e.high for e in intervals]) < 0.98


def test_blocks_do_not_change_the_bootstrap() -> None:
    values = np.random.default_rng(0).random(3000)  # 10,000 samples of it take several blocks
    means = np.array([values[row].mean() for row in np.random.default_rng(7).integers(0, 3000, (10_000, 3000))])
    low, high = np.quantile(means, [0.025, 0.975])
    estimate = bootstrap_interval(values, np.random.default_rng(7))
    assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))


def test_few_values_make_no_false_promise() -> None:
    one = bootstrap_interval([2.5], np.random.default_rng(0))
    assert one.low == one.mean == one.high == 2.5
    none = unit_interval(np.zeros(10), np.random.default_rng(0))
    assert none.low == none.mean == 0.0 and none.high == pytest.approx(0.2775, abs=1e-4)  # Wilson 0/10
    for bad in ([], [math.nan], [[1.0]]):
        with pytest.raises(ValueError, match="finite"):
            bootstrap_interval(bad, np.random.default_rng(0))
    with pytest.raises(ValueError, match="level"):
        success_interval([1.0], level=95)


def test_spl_without_a_failure_allows_for_unseen_ones() -> None:
    rng = np.random.default_rng(0)
    values = np.full(20, 0.95)
    values[0] = 0.9
    sure = spl_interval(values, rng)
    assert sure.low == pytest.approx(values.mean() * (1 - 0.1611), abs=1e-4) and sure.high == pytest.approx(0.95)
    values[0] = 0.0  # now the bootstrap knows failures by itself
    assert spl_interval(values, np.random.default_rng(1)) == bootstrap_interval(values, np.random.default_rng(1))
    assert spl_interval(np.zeros(20), rng).high == pytest.approx(0.1611, abs=1e-4)
    assert spl_interval(np.ones(20), rng).low == pytest.approx(1 - 0.1611, abs=1e-4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_unit_intervals_hold_their_mean_and_stay_within_bounds(values: list[float]) -> None:
    estimate = unit_interval(values, np.random.default_rng(0), samples=200)
    assert 0.0 <= estimate.low <= estimate.mean <= estimate.high <= 1.0


def test_summary_has_every_metric_and_none_where_it_does_not_apply() -> None:
    scores = [asdict(judge(drive([(0, 0), (10, 0)], left))) for left in (0.0, 2.0, math.inf)]
    summary = summarise(scores)
    assert tuple(summary) == METRICS and summary["coverage"] is None and summary["ndtw"] is None
    assert summary["success"].mean == pytest.approx(1 / 3)
    assert summary["distance_to_goal"].mean == pytest.approx(1.0)  # of those that can be reached
    assert summarise([])["success"] is None


def test_sign_test_by_hand() -> None:
    assert sign_test([0, 0, 0]) == 1.0
    assert sign_test([1, 1, 1, 1, 1]) == pytest.approx(2 / 32)
    assert sign_test([1] * 8 + [-1] * 2 + [0] * 50) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert sign_test([1, -1]) == 1.0


def test_paired_comparison_by_hand() -> None:
    a = [{"success": s, "spl": s * 0.5, "path_length": 4.0, "ndtw": None} for s in (0, 0, 0, 1, 1, 0)]
    b = [{"success": s, "spl": s * 1.0, "path_length": 5.0, "ndtw": None} for s in (1, 1, 1, 1, 0, 1)]
    by_name = {d.metric: d for d in paired_comparison(a, b)}
    assert set(by_name) == {"success", "spl", "path_length"}
    success = by_name["success"]
    assert (success.a, success.b, success.difference.mean) == (pytest.approx(2 / 6), pytest.approx(5 / 6), 0.5)
    assert (success.better, success.worse) == (4, 1) and success.p_value == pytest.approx(2 * (1 + 5) / 32)
    assert by_name["path_length"].difference.low == by_name["path_length"].difference.high == 1.0
    with pytest.raises(ValueError, match="same episodes"):
        paired_comparison(a, b[:-1])

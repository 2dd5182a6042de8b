"""Where a goal was seen: worked out by hand, kept on the floor while the robot moves, and forgotten."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nav_foundation.geometry import between
from nav_foundation.types import NANOSECONDS, Pose2
from policies.sightings import Sightings


def ns(seconds: float) -> int:
    return round(seconds * NANOSECONDS)


def see(kept: Sightings, seconds: float, here: Pose2, goal: tuple[float, float], seen: float = 0.5) -> None:
    away = between(here, Pose2(*goal, 0.0))
    kept.add(ns(seconds), here, math.hypot(away.x, away.y), math.atan2(away.y, away.x), seen)


def test_nothing_seen_is_nothing_known() -> None:
    kept = Sightings()
    assert kept.place(0) is None
    see(kept, 0.0, Pose2(0, 0, 0), (2.0, 0.0), seen=0.1)
    assert kept.place(0) is None


def test_a_sighting_is_a_place_of_the_odometry() -> None:
    kept = Sightings()
    kept.add(0, Pose2(1.0, 2.0, math.pi / 2), 3.0, math.pi / 2, 0.6)
    assert kept.place(0) == pytest.approx((-2.0, 2.0))


def test_the_place_stays_while_the_robot_turns_away_and_is_forgotten_in_the_end() -> None:
    kept = Sightings()
    for k in range(10):
        see(kept, 0.2 * k, Pose2(0.1 * k, 0.0, 0.1 * k), (4.0, 1.0))
    for k in range(10, 40):
        see(kept, 0.2 * k, Pose2(1.0, 0.0, 3.0), (-9.0, 9.0), seen=0.0)
    assert kept.place(ns(8.0)) == pytest.approx((4.0, 1.0), abs=1e-3)
    assert kept.place(ns(80.0)) is None


def test_single_wrong_glances_hardly_move_it() -> None:
    kept, rng = Sightings(), np.random.default_rng(0)
    for k in range(20):
        x, y = (-5.0, 3.0) if k % 4 == 0 else (3.0, 1.0) + rng.normal(0, 0.1, 2)
        see(kept, 0.2 * k, Pose2(0, 0, 0), (float(x), float(y)))
    place = kept.place(ns(4.0))
    assert place is not None and math.dist(place, (3.0, 1.0)) < 0.4


def test_near_sightings_beat_far_ones() -> None:
    kept = Sightings()
    for k in range(10):
        see(kept, 0.2 * k, Pose2(0, 0, 0), (6.0, 0.0))
    for k in range(10, 16):
        see(kept, 0.2 * k, Pose2(4.5, 0, 0), (5.2, 0.0))
    place = kept.place(ns(3.2))
    assert place is not None and math.dist(place, (5.2, 0.0)) < 0.2


def test_a_clock_that_is_set_back_or_a_pause_begin_anew() -> None:
    for later in (-5.0, 60.0):
        kept = Sightings()
        see(kept, 10.0, Pose2(0, 0, 0), (3.0, 0.0))
        see(kept, 10.0 + later, Pose2(0, 0, 0), (0.0, 2.0))
        assert kept.place(ns(10.0 + later)) == pytest.approx((0.0, 2.0), abs=1e-3)

"""The watch over odometry and clock: what dies, freezes or lies, with times worked out by hand."""

from __future__ import annotations

import math

import pytest

from nav_foundation.robot import load_robot
from nav_foundation.types import Pose2, Velocity
from policies.watch import Watch, WatchSettings

ROBOT = load_robot("turtlebot")
MS = 1_000_000


def driven(watch: Watch, milliseconds: int, begin: int = 0) -> int:
    """Straight ahead at 0.4 m/s with readings at 20 Hz; the time of the last one, in ms."""
    for ms in range(begin, begin + milliseconds + 1, 50):
        assert watch.odometry(ms * MS, Pose2(0.0004 * ms, 0.0, 0.0), ms * MS)
        watch.commanded(Velocity(0.4), 0.05)
        assert watch.fault(ms * MS, ms * MS) == ""
    return ms


def test_all_is_well_while_readings_come() -> None:
    assert driven(Watch(ROBOT), 5000) == 5000


def test_before_the_first_reading_it_stands() -> None:
    assert "no odometry" in Watch(ROBOT).fault(0, 0)
    assert Watch(ROBOT, odometry=False).fault(0, 0) == ""


def test_readings_that_end() -> None:
    watch = Watch(ROBOT)
    last = driven(watch, 1000)
    assert watch.fault((last + 190) * MS, (last + 190) * MS) == ""
    assert "no new odometry for 0.21 s" in watch.fault((last + 210) * MS, (last + 210) * MS)
    driven(watch, 1000, begin=last + 250)


def test_readings_with_an_old_stamp_are_none() -> None:
    watch = Watch(ROBOT)
    last = driven(watch, 1000)
    for ms in range(last + 50, last + 300, 50):  # they come, and say again what was said before
        assert not watch.odometry(last * MS, Pose2(0.4, 0.0, 0.0), ms * MS)
    assert "no new odometry" in watch.fault((last + 250) * MS, (last + 250) * MS)


def test_readings_that_do_not_change_although_it_drives() -> None:
    watch = Watch(ROBOT)
    last = driven(watch, 1000)
    said = ""
    for k in range(1, 7):  # 0.02 m each, and as much when the last one came
        now = (last + 50 * k) * MS
        watch.odometry(now, Pose2(0.4, 0.0, 0.0), now)
        watch.commanded(Velocity(0.4), 0.05)
        said = said or watch.fault(now, now)
        assert bool(said) == (k >= 3)
    assert "does not change" in said


def test_a_robot_that_did_not_move_is_tried_again() -> None:
    """It stands while its odometry is doubted; readings that stay what they were then are no news."""
    watch = Watch(ROBOT)
    said = []
    for k in range(40):  # 20 Hz
        now = (1000 + 50 * k) * MS
        watch.odometry(now, Pose2(0.4, 0.0, 0.0), now)
        said.append(bool(watch.fault(now, now)))
        watch.commanded(Velocity() if said[-1] else Velocity(0.4), 0.05)
    stands = [k for k in range(40) if said[k]]
    assert stands and any(not said[k] for k in range(stands[0], 40)), "it is not doubted for ever"
    assert sum(said) < 36 and said[stands[0] : stands[0] + 10] == [True] * 10


def test_a_reading_that_was_lost_is_none_that_does_not_change() -> None:
    """10 Hz of which every third one is lost, while the robot turns as fast as it can."""
    watch, yaw = Watch(ROBOT), 0.0
    for k in range(60):
        now = (1000 + 100 * k) * MS
        yaw += 0.15
        if k % 3:
            watch.odometry(now, Pose2(0.0, 0.0, yaw), now)
        watch.commanded(Velocity(0.0, 1.5), 0.1)
        assert "does not change" not in watch.fault(now, now)


def test_a_robot_that_stands_may_have_odometry_that_stands() -> None:
    watch = Watch(ROBOT)
    for ms in range(0, 3000, 50):
        watch.odometry(ms * MS, Pose2(1.0, 2.0, 3.0), ms * MS)
        watch.commanded(Velocity(), 0.05)
        assert watch.fault(ms * MS, ms * MS) == ""


@pytest.mark.parametrize(
    ("lie", "words"),
    [(None, "finite"), (Pose2(3.0, 0.0, 0.0), "jumped by 2.60 m"), (Pose2(0.42, 0.0, 2.0), "jumped by 2.00 rad")],
)
def test_a_lie_is_doubted_for_half_a_second(lie: Pose2 | None, words: str) -> None:
    watch = Watch(ROBOT)
    last = driven(watch, 1000)
    now = (last + 50) * MS
    assert not watch.odometry(now, lie, now)
    assert words in watch.fault(now, now)
    for ms in range(last + 100, last + 540, 50):
        watch.odometry(ms * MS, lie or Pose2(0.4, 0.0, 0.0), ms * MS)
        assert watch.fault(ms * MS, ms * MS)
    later = last + 1100
    watch.odometry(later * MS, Pose2(3.01, 0.0, 2.0) if lie else Pose2(0.42, 0.0, 0.0), later * MS)


def test_a_clock_that_stands_still() -> None:
    watch = Watch(ROBOT)
    last = driven(watch, 1000)
    assert watch.fault(last * MS, (last + 190) * MS) == ""
    assert "stood still for 0.21 s" in watch.fault(last * MS, (last + 210) * MS)
    assert watch.fault((last + 5) * MS, (last + 230) * MS) == ""


def test_a_clock_that_is_set_back_makes_readings_old() -> None:
    watch = Watch(ROBOT)
    driven(watch, 200_000 // 100)
    back = 100
    assert "no odometry" in watch.fault(back * MS, 2100 * MS)
    assert watch.odometry(back * MS, Pose2(0.8, 0.0, 0.0), back * MS)
    assert watch.fault(back * MS, 2100 * MS) == ""


def test_two_computers_with_other_times() -> None:
    watch = Watch(ROBOT)
    watch.odometry(0, Pose2(0.0, 0.0, 0.0), 37_000 * MS)
    assert "stamped 37.00 s ago" in watch.fault(37_000 * MS, 0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_settings_that_would_disarm_it(value: float) -> None:
    with pytest.raises(ValueError, match="clock_timeout"):
        WatchSettings(clock_timeout=value)

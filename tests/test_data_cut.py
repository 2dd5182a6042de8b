"""Cutting drives into episodes: which pictures are taken, what is interpolated, and that nothing is lost unsaid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_foundation.data.images import decode, encode_png
from nav_foundation.data.importing.cut import Cut, ImportRules, cut
from nav_foundation.data.importing.drive import Drive
from nav_foundation.data.importing.pictures import smaller_camera
from nav_foundation.data.schema import DataError, EpisodeInfo
from nav_foundation.robot import CameraSpec, load_robot

SECOND = 1_000_000_000


def _picture(number: int) -> bytes:
    """A file of one pixel that holds a number below 256."""
    return encode_png(np.full((1, 1, 3), number, np.uint8))


def drive(
    pictures: Any, poses: Any, pose_stamps: Any, commands: Any = None, command_stamps: Any = None, clock: bool = True
) -> Drive:
    """A drive whose pictures [s] are files that hold their own number."""
    stamps = np.array([round(s * SECOND) for s in pictures], np.int64)
    return Drive(
        name="made", info=EpisodeInfo(), pictures=[lambda k=k: _picture(k) for k in range(len(stamps))],
        picture_stamps_ns=stamps, poses=np.array(poses, np.float64).reshape(-1, 3),
        pose_stamps_ns=np.array([round(s * SECOND) for s in pose_stamps], np.int64),
        commands=None if commands is None else np.array(commands, np.float64),
        command_stamps_ns=None if commands is None else np.array([round(s * SECOND) for s in command_stamps], np.int64),
        has_clock=clock,
    )


def straight(pictures: Any, speed: float = 0.5, **more: Any) -> Drive:
    """Straight ahead along x at a steady speed, poses at 10 Hz."""
    times = np.arange(0.0, max(pictures) + 0.2, 0.1)
    return drive(pictures, [(speed * t, 0.0, 0.0) for t in times], times, **more)


def numbers(result: Cut) -> list[list[int]]:
    """The numbers of the pictures of each episode."""
    return [[int(decode(file)[0, 0, 0]) for file in data.images] for _, data in result.episodes]


def reasons(result: Cut) -> dict[str, int]:
    return {entry.why: entry.count for entry in result.left_out}


def test_the_nearest_picture_is_taken_for_each_tick_with_its_own_stamp() -> None:
    # Ticks at 0, 1, 2 s: 0.9 is nearer to 1 than 1.2; nothing else is within half a second of 2 than 2.4.
    result = cut(straight([0.0, 0.3, 0.9, 1.2, 2.4]), ImportRules(frame_rate=1.0))
    assert numbers(result) == [[0, 2, 4]]
    assert result.episodes[0][1].stamps_ns.tolist() == [0, 900_000_000, 2_400_000_000]
    assert reasons(result) == {"between the ticks of 1 frames per second": 2}


def test_poses_are_interpolated_at_the_picture_and_yaw_goes_the_short_way() -> None:
    turn = drive([0.0, 0.25, 0.5, 1.0], [(0, 0, 3.0), (2, 4, -3.0)], [0.0, 1.0])
    ((_, data),) = cut(turn, ImportRules(frame_rate=4.0, reverse="keep")).episodes
    short = 2 * math.pi - 6.0
    np.testing.assert_allclose(data.poses[1], [0.5, 1.0, 3.0 + short / 4])
    np.testing.assert_allclose(data.poses[2, 2], -math.pi, atol=1e-12)
    np.testing.assert_allclose(data.poses[3], [2, 4, -3.0], atol=1e-12)


def test_a_source_with_the_rate_or_without_a_clock_passes_one_to_one() -> None:
    uneven = [0.0, 0.21, 0.4, 0.55, 0.8, 1.0, 1.2]  # the median step is 0.2 s
    assert numbers(cut(straight(uneven), ImportRules(frame_rate=5.0))) == [list(range(7))]
    ten = [k / 10 for k in range(9)]
    assert numbers(cut(straight(ten, clock=False), ImportRules(frame_rate=5.0))) == [list(range(9))]
    assert numbers(cut(straight(ten), ImportRules(frame_rate=5.0))) == [[0, 2, 4, 6, 8]]


def test_holes_in_pictures_and_in_poses_start_new_episodes() -> None:
    pictures = [0.0, 0.2, 0.4, 2.0, 2.2, 2.4]
    result = cut(straight(pictures), ImportRules())
    assert numbers(result) == [[0, 1, 2], [3, 4, 5]] and result.gaps == 1 and not result.left_out
    assert [info.notes for info, _ in result.episodes] == [{"piece": 0}, {"piece": 1}]
    steady = [k * 0.2 for k in range(16)]
    known = [0.0, 0.2, 0.4, 0.6, 2.2, 2.4, 2.6, 2.8, 3.0]  # a hole of 1.6 s
    result = cut(drive(steady, [(0.4 * t, 0, 0) for t in known], known), ImportRules())
    assert numbers(result) == [[0, 1, 2, 3], [11, 12, 13, 14, 15]]
    assert reasons(result) == {"in a hole in the poses": 7} and result.gaps == 1
    assert numbers(cut(straight(pictures), ImportRules(max_gap=2.0))) == [[0, 1, 2, 3, 4, 5]]


def test_pictures_outside_the_poses_are_left_out() -> None:
    result = cut(drive([0.0, 0.2, 0.4, 0.6, 0.8], [(0, 0, 0), (0.1, 0, 0)], [0.2, 0.6]), ImportRules())
    assert numbers(result) == [[1, 2, 3]] and reasons(result) == {"before the first or after the last pose": 2}
    none = cut(drive([0.0, 0.2], [], []), ImportRules())
    assert none.episodes == () and reasons(none) == {"before the first or after the last pose": 2}


def test_a_teleport_starts_a_new_episode() -> None:
    times = np.arange(0, 2.1, 0.2)
    poses = [(0.1 * t + (3.0 if t > 0.9 else 0.0), 0, 0) for t in times]  # 3 m within 0.2 s
    result = cut(drive(times, poses, times), ImportRules())
    assert numbers(result) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9, 10]] and result.teleports == 1 and result.gaps == 0
    between = cut(drive(times - 0.05 + 0.1, poses, times), ImportRules())
    assert reasons(between)["while the poses jump"] == 1
    slow = [(t * 5.0, 0, 0) for t in times]  # 5 m/s: possible in general, not for a robot of 0.7 m/s
    robot = load_robot("turtlebot")
    assert robot.max_speed * 3 < 5.0
    assert cut(drive(times, slow, times), ImportRules()).teleports == 0
    assert cut(drive(times, slow, times), ImportRules(robot=robot)).teleports == 10


def test_backward_motion_ends_an_episode_and_is_counted() -> None:
    times = np.arange(12) * 0.2
    x = [0.0, 0.1, 0.2, 0.3, 0.4, 0.3, 0.2, 0.1, 0.2, 0.3, 0.4, 0.5]  # three steps back from frame 4 on
    back = drive(times, [(v, 0, 0) for v in x], times)
    result = cut(back, ImportRules())
    assert numbers(result) == [[0, 1, 2, 3], [7, 8, 9, 10, 11]] and reasons(result) == {"backward motion": 3}
    assert numbers(cut(back, ImportRules(reverse="keep"))) == [list(range(12))]
    turned = drive(times, [(-v, 0, math.pi) for v in x], times)  # the same, facing the other way
    assert numbers(cut(turned, ImportRules())) == numbers(result)


def test_long_stand_stills_are_trimmed_when_asked() -> None:
    times = np.arange(31) * 0.2  # drives 1 s, stands 4 s, drives 1 s
    x = np.concatenate([np.arange(6) * 0.1, np.full(19, 0.5), 0.5 + np.arange(1, 7) * 0.1])
    stands = drive(times, np.column_stack([x, 0 * x, 0 * x]), times)
    assert numbers(cut(stands, ImportRules())) == [list(range(31))]
    result = cut(stands, ImportRules(stand_still="trim", stand_still_limit=1.0))
    # It stands from frame 5 (1 s) to frame 24; frames up to 2 s stay, frame 24 starts to drive again.
    assert numbers(result) == [list(range(11)), list(range(24, 31))]
    assert reasons(result) == {"standing still beyond 1 s": 13}


def test_long_drives_become_several_episodes_and_lose_nothing() -> None:
    result = cut(straight(list(range(25))), ImportRules(frame_rate=1.0, max_length=10.0))
    assert numbers(result) == [list(range(9)), list(range(9, 17)), list(range(17, 25))]
    assert not result.left_out and result.gaps == 0


def test_short_pieces_are_left_out() -> None:
    result = cut(straight([0.0, 0.2, 0.4, 3.0, 6.0, 6.2]), ImportRules(min_frames=3))
    assert numbers(result) == [[0, 1, 2]] and reasons(result) == {"in pieces shorter than 3 frames": 3}
    assert cut(straight([0.0, 0.2, 0.4]), ImportRules(min_length=1.0)).episodes == ()


def test_actions_are_mean_commands_that_hold_for_a_while() -> None:
    commands, when = [(0.2, 0.0), (0.4, 1.0), (0.6, 0.5)], [0.0, 0.1, 0.45]
    commanded = straight([k * 0.2 for k in range(10)], commands=commands, command_stamps=when)
    ((info, data),) = cut(commanded, ImportRules()).episodes
    assert data.actions is not None and info.action_source == "commanded"
    np.testing.assert_allclose(data.actions[:4], [(0.3, 0.5), (0.4, 1.0), (0.6, 0.5), (0.6, 0.5)])
    np.testing.assert_allclose(data.actions[7], (0.6, 0.5))  # 0.95 s after the last command
    np.testing.assert_allclose(data.actions[8:], 0.0)  # more than 1 s after it
    ((info, data),) = cut(straight([0.0, 0.2]), ImportRules()).episodes
    assert data.actions is None and info.action_source == "measured"


def test_scale_turns_units_into_metres_and_the_step_is_measured() -> None:
    ((info, data),) = cut(straight([k * 0.2 for k in range(20)]), ImportRules(scale=2.0)).episodes
    np.testing.assert_allclose(data.poses[-1], [2 * 0.5 * 3.8, 0, 0])
    assert info.cruising_step == pytest.approx(0.2)  # 0.5 units/s * 2 m * 0.2 s


def test_pictures_are_opened_only_when_asked_for() -> None:
    def never() -> bytes:
        raise AssertionError("opened")

    base = straight([k * 0.1 for k in range(10)])
    lazy = Drive(**{**base.__dict__, "pictures": [never] * 10})
    ((_, data),) = cut(lazy, ImportRules()).episodes
    with pytest.raises(AssertionError, match="opened"):
        data.images[0]


def test_a_smaller_camera_sees_the_same_at_the_edges() -> None:
    camera = CameraSpec(640, 480, mount_height=0.4, fx=500.0, fy=520.0, cx=310.0, cy=250.0)
    small = smaller_camera(camera, 320)
    assert (small.width, small.height) == (320, 240) and small.fx == 250.0 and small.fy == 260.0
    assert small.cx is not None  # the left edge of the picture, at pixel -0.5, stays where it is
    assert (-0.5 - small.cx) / 250.0 == pytest.approx((-0.5 - 310.0) / 500.0)
    assert smaller_camera(camera, 640) is camera


@pytest.mark.parametrize(
    "rules", [{"frame_rate": 0.0}, {"scale": -1.0}, {"max_gap": math.nan}, {"min_length": -1.0}, {"image_limit": 0}]
)
def test_rules_without_sense_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(rules))):
        ImportRules(**rules)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_picture_is_kept_once_or_left_out_with_a_reason(data: st.DataObject) -> None:
    draw = data.draw
    milliseconds = st.lists(st.integers(0, 20_000), max_size=60)
    pictures = [m / 1000 for m in draw(milliseconds)]
    if draw(st.booleans()):
        pictures = sorted(pictures)
    known = sorted({m / 1000 for m in draw(milliseconds)})
    place = st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(-4, 4))
    poses = draw(st.lists(place, min_size=len(known), max_size=len(known)))
    rules = ImportRules(
        frame_rate=draw(st.sampled_from([1.0, 4.0, 5.0, 30.0])), max_gap=draw(st.sampled_from([0.3, 1.0, 5.0])),
        stand_still=draw(st.sampled_from(["keep", "trim"])), reverse=draw(st.sampled_from(["cut", "keep"])),
        min_length=draw(st.sampled_from([0.0, 1.0])), min_frames=draw(st.integers(1, 4)),
    )
    result = cut(drive(pictures, poses, known, clock=draw(st.booleans())), rules)
    taken = [number for episode in numbers(result) for number in episode]
    assert len(taken) == len(set(taken))
    assert len(taken) + sum(entry.count for entry in result.left_out) == len(pictures)
    assert all(entry.count > 0 for entry in result.left_out)
    for (_, episode), of_episode in zip(result.episodes, numbers(result)):
        assert episode.stamps_ns.tolist() == [round(pictures[k] * SECOND) for k in of_episode]
        assert (np.diff(episode.stamps_ns) <= rules.hole_ns).all()
        assert len(of_episode) >= rules.min_frames
        assert known[0] * SECOND - 1 <= episode.stamps_ns[0] and episode.stamps_ns[-1] <= known[-1] * SECOND + 1

"""Recording without ROS: who drove when, poses and commands at the pictures' times, and nothing broken on the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from told_drives import ROBOT, START_NS, Leg, Told, picture, seconds

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode, decode_depth
from nav_foundation.data.recording import Keeper, Past, Ticks
from nav_foundation.data.schema import DataError, EpisodeData, EpisodeInfo
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.model.config import preset
from nav_foundation.robot import CameraSpec
from nav_foundation.training.ours import Ours
from nav_foundation.training.samples import Samples
from nav_foundation.training.settings import TrainSettings
from nav_foundation.types import NANOSECONDS, Pose2
from policies.recording import Asked, Control, RecordingSettings

POLICY = Leg(3.0, "driving", 0.4)
PERSON = Leg(3.0, "teleop", 0.2, 0.5)
STAND = Leg(7.0, "standing")


# --- what an episode is -------------------------------------------------------------------------------------------


def test_a_drive_becomes_an_episode_with_poses_and_commands_of_its_pictures() -> None:
    ((info, data),) = Told().play([Leg(1.0, "standing"), Leg(4.0, "driving", 0.4), STAND]).kept
    assert info.driver == "policy" and info.source == "nav-foundation record" and info.notes is None
    assert info.goal == {"type": "image-goal"} and info.task == "go to where the picture was taken"
    assert info.robot is not None and info.robot.name == "turtlebot" and info.robot.frame_rate == 5.0
    assert info.action_source == "commanded" and info.cruising_step == pytest.approx(0.08, abs=1e-9)
    when = seconds(data)
    assert np.diff(when) == pytest.approx(0.2, abs=1e-9)
    # Pictures are taken every 0.1 s; from 1 s on the robot drives, at 5 s it is at 1.6 m and stands.
    assert when[0] == pytest.approx(1.1, abs=0.11) and 5.9 < when[-1] < 6.7
    # Between readings of odometry 20 ms apart, the corners of the motion are cut by less than 2 mm.
    assert data.poses[:, 0] == pytest.approx(0.4 * np.clip(when - 1.0, 0.0, 4.0), abs=2e-3)
    away = (abs(when - 1.0) > 0.03) & (abs(when - 5.0) > 0.03)
    assert data.poses[away, 0] == pytest.approx(0.4 * np.clip(when[away] - 1.0, 0.0, 4.0), abs=1e-9)
    assert (data.poses[:, 1:] == 0).all()
    assert data.actions is not None
    driven = (when > 1.05) & (when < 4.95)  # commands come every 48 ms
    assert (data.actions[driven] == (0.4, 0.0)).all() and (data.actions[when > 5.05] == 0).all()
    for file, at in zip(data.images, when):
        assert file == picture(round(at * 10)), "a picture passes as it came"


def test_yaw_is_interpolated_the_short_way_round() -> None:
    told = Told(yaw=3.0)
    ((_, data),) = told.play([Leg(1.0, "standing"), Leg(3.0, "driving", 0.0, 0.4), STAND]).kept
    wrapped = (data.poses[:, 2] + np.pi) % (2 * np.pi) - np.pi
    assert wrapped[-1] == pytest.approx(3.0 + 1.2 - 2 * np.pi, abs=1e-6)


def test_a_person_who_takes_over_drives_an_episode_of_its_own() -> None:
    kept = Told().play([POLICY, PERSON, POLICY, STAND]).kept
    assert [info.driver for info, _ in kept] == ["policy", "human", "policy"]
    assert [info.notes for info, _ in kept] == [None, {"takeover": True, "goal": {"type": "image-goal"}}, None]
    stamps = np.concatenate([data.stamps_ns for _, data in kept])
    assert (np.diff(stamps) == 200_000_000).all(), "no frame is lost or in two episodes"
    ends = [seconds(data)[-1] for _, data in kept]
    assert ends[0] == pytest.approx(3.0, abs=0.21) and ends[1] == pytest.approx(6.0, abs=0.21)
    actions = kept[1][1].actions
    assert actions is not None and actions[1:-1] == pytest.approx(np.tile((0.2, 0.5), (len(actions) - 2, 1)))


def test_one_who_drives_long_after_the_policy_did_takes_nothing_over() -> None:
    stop = Leg(1.6, "standing", goal="")
    kept = Told().play([POLICY, stop, replace(PERSON, goal=""), replace(STAND, goal="")]).kept
    assert [(info.driver, info.notes) for info, _ in kept] == [("policy", None), ("human", None)]
    assert kept[1][0].task == "drive" and kept[1][0].goal is None


def test_a_takeover_remembers_the_goal_that_was_driven_to() -> None:
    kept = Told().play([replace(POLICY, goal="PointGoal"), replace(PERSON, goal=""), STAND]).kept
    assert kept[1][0].notes == {"takeover": True, "goal": {"type": "point-goal"}} and kept[1][0].goal is None


def test_in_shadow_mode_whoever_moves_the_robot_is_a_person() -> None:
    told = Told().play([Leg(3.0, "shadow", heard=False), Leg(3.0, "shadow", 0.4, heard=False), Leg(6.0, "shadow")])
    ((info, data),) = told.kept
    assert (info.driver, info.notes, info.action_source, data.actions) == ("human", None, "measured", None)
    assert seconds(data)[0] == pytest.approx(3.1, abs=0.21) and seconds(data)[-1] < 7.8


def test_in_shadow_mode_commands_of_others_are_heard() -> None:
    ((info, data),) = Told().play([Leg(2.0, "shadow"), Leg(3.0, "shadow", 0.3), Leg(6.0, "shadow")]).kept
    assert (info.driver, info.action_source) == ("human", "commanded")
    assert data.actions is not None and (data.actions[1:12] == (0.3, 0.0)).all()


def test_the_controllers_braking_is_no_persons_driving() -> None:
    braking = Leg(0.2, "shadow", 0.2, sends=True)
    kept = Told().play([POLICY, braking, Leg(8.0, "shadow")]).kept
    assert [info.driver for info, _ in kept] == ["policy"]


def test_a_robot_that_stands_is_not_recorded() -> None:
    for mode in ("standing", "stopped", "teleop", "driving", "shadow"):
        assert not Told().play([Leg(10.0, mode)]).end(), mode


def test_without_the_controllers_word_nobody_is_known_to_drive() -> None:
    told = Told()
    told.recording.control = lambda *_: None  # type: ignore[method-assign]
    assert not told.play([POLICY, PERSON]).end()


def test_an_episode_ends_after_standing_and_another_one_begins() -> None:
    kept = Told().play([PERSON, Leg(3.0, "teleop"), PERSON, Leg(6.5, "teleop"), PERSON]).end()
    assert len(kept) == 2, "3 s of standing are a pause, 6.5 s are an end"
    assert seconds(kept[0][1])[-1] == pytest.approx(10.4, abs=0.3), "a second of the last stand is kept"
    assert seconds(kept[1][1])[0] == pytest.approx(15.6, abs=0.2)


def test_another_goal_is_another_episode() -> None:
    kept = Told().play([POLICY, replace(POLICY, goal="InstructionGoal", words="to the door"), STAND]).kept
    assert [info.goal for info, _ in kept] == [
        {"type": "image-goal"}, {"type": "instruction", "words": "to the door"}
    ]
    assert (kept[1][0].task, kept[1][0].instruction) == ("to the door", "to the door")


def test_a_long_drive_goes_on_in_the_next_episode() -> None:
    kept = Told(RecordingSettings(longest=4.0)).play([POLICY, replace(PERSON, seconds=10.0), STAND]).kept
    assert [info.driver for info, _ in kept] == ["policy", "human", "human", "human"]
    takeover = {"takeover": True, "goal": {"type": "image-goal"}}
    assert [info.notes for info, _ in kept[1:]] == [
        takeover, {**takeover, "continues": True}, {**takeover, "continues": True}
    ]
    stamps = np.concatenate([data.stamps_ns for _, data in kept])
    assert (np.diff(stamps) == 200_000_000).all()
    assert max(len(data.images) for _, data in kept) <= 21


def test_short_episodes_are_dropped_and_counted() -> None:
    told = Told().play([Leg(0.8, "teleop", 0.2), POLICY, STAND])
    assert [info.driver for info, _ in told.kept] == ["policy"] and told.recording.dropped == 1


def test_what_a_robot_that_moves_sideways_was_told_does_not_fit_in() -> None:
    told = Told(robot=replace(ROBOT, drive="omnidirectional"))
    ((info, data),) = told.play([PERSON, STAND]).kept
    assert info.action_source == "measured" and data.actions is None


# --- rates --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.floats(5.0, 60.0), st.floats(0.0, 0.05), st.integers(0, 10_000))
def test_pictures_come_at_the_rate(rate: float, jitter: float, seed: int) -> None:
    rng, ticks = np.random.default_rng(seed), Ticks(5.0)
    stamps = START_NS + (np.arange(1000) / rate * 1e9 + rng.uniform(0, jitter * 1e9 / rate, 1000)).astype(np.int64)
    taken = np.array([stamp for stamp in stamps.tolist() if ticks.take(stamp)])
    gaps = np.diff(taken) / 1e9
    assert gaps.min() > 0.049
    assert 4.8 < 1.0 / gaps.mean() < 5.05


@pytest.mark.parametrize("camera_ms", [32, 100, 200, 252])
def test_episodes_are_at_the_rate_whatever_the_cameras(camera_ms: int) -> None:
    ((_, data),) = Told(camera_ms=camera_ms).play([replace(POLICY, seconds=10.0), STAND]).kept
    gaps = np.diff(seconds(data))
    assert gaps.min() >= 0.15 and gaps.mean() == pytest.approx(max(0.2, camera_ms / 1000), rel=0.02)


def test_what_held_when() -> None:
    past: Past[str] = Past(1.0)
    assert past.at(5) is None
    for stamp, value in ((0, "a"), (NANOSECONDS, "b"), (NANOSECONDS, "c"), (3 * NANOSECONDS, "d")):
        past.add(stamp, value)
    assert past.at(3 * NANOSECONDS - 1) == (NANOSECONDS, "c") and past.at(9 * NANOSECONDS) == (3 * NANOSECONDS, "d")
    for stamp in range(4 * NANOSECONDS, 400 * NANOSECONDS, NANOSECONDS // 10):
        past.add(stamp, "e")
    assert past.at(3 * NANOSECONDS) is None, "it forgets"


# --- what is not to be trusted --------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_ends_the_episode() -> None:
    told = Told().play([POLICY])
    told.now_ms -= 2000
    kept = told.play([POLICY, STAND]).kept
    assert len(kept) == 2 and "a clock was set back" in told.said
    assert all((np.diff(data.stamps_ns) > 0).all() for _, data in kept)
    assert seconds(kept[0][1])[-1] > 2.5 and seconds(kept[1][1])[0] < 2.0


def test_a_clock_that_jumps_ahead_ends_the_episode() -> None:
    told = Told().play([POLICY])
    told.now_ms += 3_600_000
    kept = told.play([POLICY, STAND]).kept
    assert len(kept) == 2 and all(np.diff(seconds(data)).max() < 0.3 for _, data in kept)


def test_odometry_that_begins_anew_ends_the_episode() -> None:
    told = Told(x=50.0).play([POLICY])
    told.x = 0.0
    kept = told.play([POLICY, STAND]).kept
    assert len(kept) == 2
    assert (kept[0][1].poses[:, 0] >= 50).all() and (kept[1][1].poses[:, 0] < 2).all()


def test_a_hole_in_odometry_is_not_bridged() -> None:
    told = Told().play([POLICY])
    heard, told.recording.odometry = told.recording.odometry, lambda *_: None  # type: ignore[method-assign]
    told.play([POLICY])
    told.recording.odometry = heard  # type: ignore[method-assign]
    kept = told.play([POLICY, STAND]).kept
    assert len(kept) == 2 and seconds(kept[0][1])[-1] <= 3.0 and seconds(kept[1][1])[0] >= 6.0
    assert any("no odometry" in sentence for sentence in told.said)


def test_a_camera_that_dies_ends_the_episode() -> None:
    told = Told().play([POLICY])
    told.recording.picture = lambda *_: None  # type: ignore[method-assign]
    assert len(told.play([POLICY]).kept) == 1


def test_broken_pictures_are_left_out_and_told() -> None:
    def broken() -> bytes:
        raise DataError("a picture of 3 bytes cannot be decoded")

    told = Told()
    shown, numbers = told.recording.picture, iter(range(10_000))
    told.recording.picture = (  # type: ignore[method-assign]
        lambda stamp, file: shown(stamp, broken if next(numbers) % 7 == 0 else file)
    )
    ((_, data),) = told.play([POLICY, STAND]).kept
    assert np.unique(np.diff(data.stamps_ns)).tolist() == [200_000_000, 400_000_000]
    assert "a picture of 3 bytes cannot be decoded" in told.said


def test_pictures_of_another_size_than_the_cameras_are_refused() -> None:
    told = Told(size=(48, 64)).play([POLICY, STAND])
    assert not told.end()
    assert "pictures are 64x48 and the camera is described as 128x96" in told.said[-1]


def test_a_camera_that_changes_ends_the_episode() -> None:
    told = Told().play([POLICY])
    told.size = (48, 64)
    told.recording.calibrate(CameraSpec(64, 48, 0.25, hfov_deg=79.0))
    kept = told.play([POLICY, STAND]).kept
    assert [info.robot.camera.width for info, _ in kept if info.robot] == [128, 64]


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "7", '{"mode": 7}', '{"mode": "driving", "sent": 3}', "{}", "[" * 100_000,
])
def test_a_status_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="status"):
        Control.of(text)


def test_a_status_says_what_is_done() -> None:
    sent = '{"linear": 0.0, "angular": 0.2, "lateral": 0.0}'
    assert Control.of(f'{{"mode": "driving", "reason": "", "sent": {sent}}}') == Control("driving", True)
    assert Control.of('{"mode": "shadow", "sent": {"linear": 0.0}}') == Control("shadow", False)
    assert Asked.of('{"state": "driving", "goal": "ObjectGoal"}').data() == {"type": "object-goal"}
    assert Asked.of('{"goal": "Explore"}').task() == "explore"
    for text in ('{"goal": 3}', "{}", '{"goal": "", "words": [3]}'):
        with pytest.raises(ValueError, match="no text"):
            Asked.of(text)


def test_half_a_character_can_be_kept(tmp_path: Path) -> None:
    asked = Asked.of('{"goal": "InstructionGoal", "words": "to \\ud800"}')
    keeper = Keeper(tmp_path / "kept", 5.0)
    for info, data in Told().play([replace(PERSON, goal=asked.kind, words=asked.words)]).end():
        keeper(info, data)
    assert keeper.close(30.0) and not keeper.fault
    assert EpisodeDataset(tmp_path / "kept").info(0).task == "to ?"


class Tampered(Told):
    """Some of what is told is wrong, by draws from a generator."""

    def tamper(self, rng: np.random.Generator, share: float) -> Tampered:
        def wrong(told: Any) -> Any:
            def tell(stamp: int, what: Any) -> None:
                if rng.random() < share:
                    stamp += int(rng.choice([-10_000, -2_000, -80, 80, 900, 4_000, 10**7])) * 1_000_000
                if rng.random() < share:
                    return
                if isinstance(what, Pose2) and rng.random() < share:
                    what = Pose2(what.x + rng.normal(), what.y, what.yaw + rng.normal())
                told(stamp, what)
                if rng.random() < share:
                    told(stamp, what)
            return tell

        for name in ("picture", "odometry", "command", "control", "asked"):
            setattr(self.recording, name, wrong(getattr(self.recording, name)))
        return self


@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_episodes_are_whole(seed: int) -> None:
    """EpisodeData checks itself: stamps that increase, numbers that are finite, as many of each."""
    share = 0.0003 * 1.8**seed
    told = Tampered(RecordingSettings(shortest=1)).tamper(np.random.default_rng(seed), share)
    kept = told.play([POLICY, PERSON] * 5).end()
    assert sum(len(data.images) for _, data in kept) > (100 if share < 0.003 else 1)
    for _, data in kept:
        assert np.diff(seconds(data)).max(initial=0) <= 1.0
        steps = np.abs(np.diff(data.poses[:, 0]))
        assert (steps <= 1.5 * 0.46 * np.diff(seconds(data)) + 0.7).all(), "a leap is no drive"


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="recording's longest is 0: give 2 to 600"):
        RecordingSettings(longest=0)


# --- depth --------------------------------------------------------------------------------------------------------


def test_every_frame_has_the_depth_of_its_time() -> None:
    ((_, data),) = Told(RecordingSettings(depth=True)).play([POLICY, STAND]).kept
    assert data.depth is not None and len(data.depth) == len(data.images)
    metres = np.array([decode_depth(file)[0, 0] for file in data.depth])
    assert metres == pytest.approx(1.0 + seconds(data) / 1000, abs=6e-4)


def test_without_depth_there_are_no_frames_where_it_is_asked_for() -> None:
    told = Told(RecordingSettings(depth=True))
    told.recording.depth = lambda *_: None  # type: ignore[method-assign]
    assert not told.play([POLICY, STAND]).end() and "no depth" in told.said[-1]


# --- on the disk --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "drives"
    for _ in range(2):  # the second run goes on with the first one's dataset
        keeper = Keeper(folder, 5.0)
        for episode in Told().play([POLICY, replace(PERSON, seconds=6.0), POLICY, STAND]).kept:
            keeper(*episode)
        assert keeper.close(60.0) and (keeper.episodes, keeper.refused, keeper.fault) == (3, 0, "")
    return folder


def test_a_dataset_is_what_was_driven(recorded: Path) -> None:
    dataset = EpisodeDataset(recorded)
    assert dataset.episodes == 6 and dataset.frame_rate == 5.0 and not dataset.damaged
    assert [dataset.info(k).driver for k in range(6)] == ["policy", "human", "policy"] * 2
    assert dataset.info(4).notes == {"takeover": True, "goal": {"type": "image-goal"}}
    ((_, person),) = Told().play([POLICY, replace(PERSON, seconds=6.0), POLICY, STAND]).kept[1:2]
    assert (dataset.stamps_ns(1) == person.stamps_ns).all() and (dataset.poses(1) == person.poses).all()
    assert person.actions is not None and (dataset.actions(1) == person.actions).all()
    assert (dataset.image(1, 0) == decode(person.images[0])).all()


def test_a_takeover_can_be_trained_on(recorded: Path) -> None:
    wanted = TrainSettings((str(recorded),), model="tiny", workers=0)
    samples = Samples(Ours(preset("tiny"), wanted.rules), wanted.data, seed=3)
    samples.check()
    taught = 0.0
    for number in range(20):
        clip = samples[number]
        assert clip.pictures.dtype == np.uint8 and all(np.isfinite(pairs.waypoints).all() for pairs in clip.pairs)
        taught += sum(float(pairs.measured.sum()) for pairs in clip.pairs)  # only what people drove has a distance
    assert taught > 0


def test_what_the_disk_refuses_is_told_and_recording_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = DatasetWriter._write_frames, iter([True, False])
    said: list[str] = []

    def full(writer: DatasetWriter, table: object) -> dict[str, int]:
        if next(failures):
            raise DataError("data/file-000.parquet cannot be written: No space left on device")
        return real(writer, table)

    monkeypatch.setattr(DatasetWriter, "_write_frames", full)
    keeper = Keeper(tmp_path / "kept", 5.0, said.append)
    for episode in Told().play([POLICY, PERSON]).end():
        keeper(*episode)
    assert keeper.close(30.0)
    assert said == ["data/file-000.parquet cannot be written: No space left on device"]
    assert (keeper.episodes, keeper.refused, keeper.fault) == (1, 1, "")
    assert EpisodeDataset(tmp_path / "kept").info(0).driver == "human"


def test_a_dataset_that_cannot_grow_is_told_at_once(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "kept", 5.0)
    with pytest.raises(DataError, match="another process is writing"):
        Keeper(tmp_path / "kept", 5.0)
    assert keeper.close(30.0)
    with pytest.raises(DataError, match="frames per second"):
        Keeper(tmp_path / "kept", 4.0)


def test_a_disk_that_hangs_neither_blocks_nor_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, real = threading.Event(), DatasetWriter.add

    def waits(writer: DatasetWriter, info: EpisodeInfo, data: EpisodeData) -> int:
        assert hangs.wait(30.0)
        return real(writer, info, data)

    monkeypatch.setattr(DatasetWriter, "add", waits)
    keeper, (episode,) = Keeper(tmp_path / "kept", 5.0), Told().play([PERSON]).end()
    begun = time.monotonic()
    for _ in range(10):
        keeper(*episode)
    assert time.monotonic() - begun < 1.0 and keeper.refused >= 5 and "too slowly" in keeper.fault
    assert not keeper.close(0.1)
    hangs.set()
    keeper._thread.join(0.1)
    assert keeper.close(30.0) and keeper.episodes + keeper.refused == 10


ENDLESS = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from told_drives import Leg, Told
from nav_foundation.data.recording import Keeper
keeper = Keeper(Path({folder!r}), 5.0)
told = Told()
told.recording._keep = keeper
while True:
    told.play([Leg(2.0, "driving", 0.4), Leg(2.0, "teleop", 0.2)])
    print(keeper.episodes, flush=True)
    time.sleep(0.002)
"""


@pytest.mark.parametrize("after", [0.0, 0.03])
def test_closed_episodes_outlive_a_kill(tmp_path: Path, after: float) -> None:
    folder = tmp_path / "kept"
    code = ENDLESS.format(tests=str(Path(__file__).parent), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written = 0
    while written < 3:
        written = int(process.stdout.readline())
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    dataset = EpisodeDataset(folder)
    assert dataset.episodes >= written and not dataset.damaged
    for number in range(dataset.episodes):
        assert dataset.info(number).driver == ("policy", "human")[number % 2]
        assert dataset.image(number, len(dataset.stamps_ns(number)) - 1).shape == (96, 128, 3)
    keeper = Keeper(folder, 5.0)  # and it grows
    for episode in Told().play([PERSON]).end():
        keeper(*episode)
    assert keeper.close(30.0) and EpisodeDataset(folder).episodes == dataset.episodes + 1

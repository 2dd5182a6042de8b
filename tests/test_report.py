"""Reports: pages that need nothing else, pictures that show what happened where it happened."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from walled_room import write_walled_room

from nav_foundation.robot import CameraSpec, load_robot
from sim_envs.evaluation import recording as recording_module
from sim_envs.evaluation.drawing import DRIVEN, GOAL, MapFrame, draw_map, frame_of
from sim_envs.evaluation.evaluate import EpisodeRunner, EpisodeSource, Evaluation, record_of
from sim_envs.evaluation.recording import VIEW, Recording, decode, record_episode, view_camera
from sim_envs.evaluation.report import Section, film_strip, telling_episodes, write_report
from sim_envs.evaluation.rerun_log import write_rerun
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.evaluation.video import HEIGHT, HOLD, WIDTH, pictures


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> EpisodeRunner:
    scene = write_walled_room(tmp_path_factory.mktemp("scene") / "room.obj")
    settings = EvaluationSettings("oracle", scenes=str(scene), episodes=2, distance=(2.0, 5.0))
    return EpisodeRunner(EpisodeSource.of(settings, load_robot("turtlebot")))


@pytest.fixture(scope="module")
def recording(runner: EpisodeRunner) -> Recording:
    return record_episode(runner, 0)


@pytest.fixture(scope="module")
def clip(recording: Recording) -> Recording:
    """The same drive with few pictures, to save time."""
    return replace(recording, views=recording.views[:6])


def test_a_recording_is_the_episode_that_was_evaluated(runner: EpisodeRunner, recording: Recording) -> None:
    assert record_of(0, recording.trace) == runner(0)
    assert len(recording.views) == len(recording.trace.frame_ticks)
    assert [view.tick for view in recording.views] == recording.trace.frame_ticks.tolist()
    assert decode(recording.views[0].picture).shape == (VIEW[1], VIEW[0], 3)
    camera = recording.robot.camera
    assert decode(recording.views[0].sensed).shape == (camera.height, camera.width, 3)
    gap = np.linalg.norm(recording.views[5].waypoints[0] - recording.trace.poses[recording.views[5].tick, :2])
    assert gap < 0.2  # plans are drawn where the robot is


def test_long_drives_are_thinned_out(
    runner: EpisodeRunner, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "MOST_FRAMES", 10)
    thin = record_episode(runner, 0)
    ticks, every = [view.tick for view in thin.views], recording.trace.frame_ticks.tolist()
    assert 5 <= len(ticks) <= 10 and ticks[0] == 0
    steps = np.diff([every.index(tick) for tick in ticks])
    assert len(set(steps)) == 1 and steps[0] == -(-len(every) // 10)  # evenly


def test_view_camera_looks_as_the_robots_own() -> None:
    narrow = view_camera(CameraSpec(128, 96, 0.3, 0.1, 0.05, hfov_deg=79.0))
    assert (narrow.width, narrow.height) == VIEW and narrow.hfov_deg == pytest.approx(79.0)
    assert (narrow.mount_height, narrow.pitch, narrow.mount_forward) == (0.3, 0.1, 0.05)
    fisheye = CameraSpec(160, 120, 0.3, hfov_deg=180.0, distortion="equidistant", coefficients=(0, 0, 0, 0))
    assert view_camera(fisheye).hfov_deg == 100.0 and view_camera(fisheye).distortion == "none"


def test_map_frame_by_hand() -> None:
    frame = MapFrame.around(np.array([0.0, 0.0]), np.array([10.0, 5.0]), 220, 120, border=10)
    assert frame.scale == pytest.approx(20.0)
    assert frame.pixels(np.array([[0.0, 0.0], [10.0, 5.0], [5.0, 2.5]])).tolist() == [[10, 110], [210, 10], [110, 60]]


def test_the_map_shows_drive_and_goal_where_they_are(recording: Recording) -> None:
    frame = frame_of(recording, 400, 300)
    picture = draw_map(recording, 400, 300).astype(int)
    assert picture.shape == (300, 400, 3)

    def colour(point: np.ndarray) -> Any:
        x, y = frame.pixels(point[None, :2])[0].astype(int)
        return picture[y, x]

    poses = recording.trace.poses
    halfway = poses[len(poses) // 2]
    assert np.abs(colour(halfway) - DRIVEN).max() < 40
    goal = recording.episode.goals[0]
    ring = frame.pixels(goal[None, :2])[0] + [0, max(recording.episode.success_radius * frame.scale, 13)]
    assert np.abs(picture[int(ring[1]) - 1 : int(ring[1]) + 2, int(ring[0])] - GOAL).max(axis=1).min() < 40
    assert (draw_map(recording, 400, 300) == picture).all()


def test_video_frames_show_the_view_and_end_in_the_result(clip: Recording) -> None:
    frames = list(pictures(clip))
    assert len(frames) == len(clip.views) + HOLD
    assert all(frame.shape == (HEIGHT, WIDTH, 3) and frame.dtype == np.uint8 for frame in frames)
    shown = cv2.resize(frames[3][96:672, 24:792], VIEW, interpolation=cv2.INTER_AREA)[:300, :400]
    assert np.abs(shown.astype(int) - decode(clip.views[3].picture)[:300, :400]).mean() < 3
    banner = frames[-1][100:140, 400:780].reshape(-1, 3)
    assert np.abs(np.median(banner, axis=0) - (34, 150, 84)).max() < 5  # green: it succeeded


def test_report_is_one_page_that_needs_nothing_else(
    runner: EpisodeRunner, clip: Recording, tmp_path: Path
) -> None:
    rude = replace(clip, goal="go <script>alert(1)</script> & stop")
    records = (record_of(0, clip.trace), {**runner(1), "success": 0.0})
    evaluation = Evaluation(runner.source.settings, records, (), 100.0)
    page = write_report(tmp_path, "A < B", [Section(evaluation, (clip, rude))])
    text = page.read_text()
    assert page.name == "report.html" and "A &lt; B" in text
    assert "http:" not in text and "https:" not in text and "@BODY@" not in text
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) > 10 and all(source.startswith("data:") for source in sources)
    for source in sources:
        kind, data = re.fullmatch(r"data:(.*);base64,(.*)", source).groups()  # type: ignore[union-attr]
        if kind.startswith("image/"):
            assert decode(base64.b64decode(data)).size > 0
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
    assert text.count("<tr><td>") == 2 and "0.50" in text  # both episodes, and their success rate
    for name in ("00-oracle-point-goal-map.png", "01-oracle-point-goal-strip.png"):
        assert cv2.imread(str(tmp_path / "pictures" / name)) is not None

    with av.open(str(tmp_path / "video.mp4")) as container:
        decoded = sum(1 for _ in container.decode(video=0))
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
    assert decoded == 2 * (len(clip.views) + HOLD)


def test_reruns_own_tool_finds_every_view(clip: Recording, tmp_path: Path) -> None:
    write_rerun(tmp_path / "drives.rrd", [clip])
    tool = Path(sys.executable).with_name("rerun")
    subprocess.run([tool, "rrd", "verify", tmp_path / "drives.rrd"], check=True, capture_output=True)
    printed = subprocess.run(
        [tool, "rrd", "print", tmp_path / "drives.rrd"], check=True, capture_output=True, text=True
    ).stdout
    assert sum(map(int, re.findall(r"with (\d+) rows.*/sensed ", printed))) == len(clip.views), printed


def test_film_strip_is_in_the_order_of_the_drive(recording: Recording) -> None:
    strip = film_strip(recording)
    assert strip.shape == (240, 6 * 320, 3)
    first = cv2.resize(decode(recording.views[0].picture), (320, 240), interpolation=cv2.INTER_AREA)
    assert (strip[:, :320] == first).all()


def test_shown_episodes_have_failures_among_them() -> None:
    def records(*successes: int) -> list[dict[str, Any]]:
        return [{"index": k, "success": float(s)} for k, s in enumerate(successes)]

    assert telling_episodes(records(1, 0, 1, 0, 1, 0, 0, 1), 4) == [1, 3, 0, 2]
    assert telling_episodes(records(1, 1, 1, 1), 3) == [0, 1, 2]
    assert telling_episodes(records(0, 0, 0, 1), 4) == [0, 1, 2, 3]
    assert telling_episodes(records(0), 6) == [0]

"""data inspect: numbers that can be worked out, the way ahead on the floor, pages of all kinds of datasets."""

from __future__ import annotations

import html.parser
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drives_on_disk import START_NS, made_up_drive, picture, told

from nav_foundation.camera import camera_rotation, floor_pixels, unproject
from nav_foundation.cli import main
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.exporting.lerobot import write_lerobot
from nav_foundation.data.images import decode, encode_jpeg
from nav_foundation.data.inspection import look
from nav_foundation.data.inspection.future import draw_future, fits, future_path
from nav_foundation.data.inspection.inspect import inspect
from nav_foundation.data.inspection.page import write_report
from nav_foundation.data.inspection.plots import histogram, trajectories
from nav_foundation.data.inspection.summary import TURN_BINS
from nav_foundation.data.layout import INFO, NAVIGATION
from nav_foundation.data.schema import EpisodeData, EpisodeInfo
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.robot import CameraSpec, load_robot


def straight(frames: int = 50, speed: float = 0.4, rate: float = 5.0, seed: int = 0) -> EpisodeData:
    """Straight ahead at an even speed, past pictures that slide by."""
    rng = np.random.default_rng(seed)
    wide = np.concatenate([picture(rng, 96, 128) for _ in range(4)], axis=1)
    images = [encode_jpeg(wide[:, 3 * k : 3 * k + 128]) for k in range(frames)]
    stamps = START_NS + (np.arange(frames) * 1e9 / rate).astype(np.int64)
    x = np.arange(frames) * speed / rate
    return EpisodeData(images, stamps, np.column_stack([x, np.zeros(frames), np.zeros(frames)]))


def dataset_of(folder: Path, count: int, video: bool = False, info: EpisodeInfo | None = None) -> EpisodeDataset:
    with DatasetWriter(folder, 5.0, video=video) as writer:
        for number in range(count):
            writer.add(info or told(number), straight(seed=number))
    return EpisodeDataset(folder)


class Links(html.parser.HTMLParser):
    """Names of the files that a page shows; refuses tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.files += [value for name, value in attrs if name in ("src", "href") and value and value[0] != "#"]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def shown(page: Path) -> list[str]:
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    assert not links.open
    assert all((page.parent / name).is_file() for name in links.files)
    return links.files


# --- numbers ------------------------------------------------------------------------------------------------------


def test_the_summary_counts_what_was_driven(tmp_path: Path) -> None:
    inspection = inspect(dataset_of(tmp_path, 3), progress=False)
    summary = inspection.summary
    assert (summary.episodes, summary.frames) == (3, 150)
    assert summary.seconds == pytest.approx(3 * 10.0) and summary.metres == pytest.approx(3 * 49 * 0.08)
    assert summary.standing == 0.0 and summary.steps == pytest.approx([0.08] * 3)
    assert summary.robots == {"turtlebot": 3} and summary.tasks == {"point-goal": 3}
    assert summary.drivers == {"expert": 3}
    assert summary.scenes == {"house:0": 1, "house:1": 1, "house:2": 1} and summary.sources == {"made up": 3}
    assert summary.speeds.sum() == 3 * 49 == summary.turns.sum()
    told_again = json.loads(json.dumps(inspection.as_json()))
    edges, frames = told_again["speeds"]["edges"], told_again["speeds"]["frames"]
    assert sum(count for count, low in zip(frames, edges) if 0.349 < low < 0.401) == 3 * 49  # 0.4 m/s is an edge
    assert told_again["episodes"] == 3 and told_again["hours"] == pytest.approx(30 / 3600)


def test_turns_and_stand_stills_are_told_apart(tmp_path: Path) -> None:
    data = straight()
    poses = np.zeros((50, 3))
    poses[25:, 2] = np.arange(25) * 0.1  # stands, then turns on the spot at 0.5 rad/s
    with DatasetWriter(tmp_path, 5.0) as writer:
        writer.add(told(0), replace(data, poses=poses))
    summary = inspect(EpisodeDataset(tmp_path), progress=False).summary
    assert summary.metres == 0.0 and summary.standing == pytest.approx(49 * 0.2) and summary.steps == []
    assert summary.turns[TURN_BINS[:-1] > 0.4].sum() == 24


# --- the way ahead ------------------------------------------------------------------------------------------------


def test_floor_points_appear_where_a_ruler_says() -> None:
    """A pinhole camera of height h pitched down by p sees the floor at distance d at an angle atan(h / d) - p."""
    camera = CameraSpec(width=320, height=240, mount_height=0.5, pitch=0.2, mount_forward=0.1, hfov_deg=90.0)
    for distance in (0.6, 1.0, 3.0, 10.0):
        [[x, y]] = floor_pixels(camera, np.array([[distance + 0.1, 0.0]]))
        assert x == pytest.approx(159.5) and y == pytest.approx(
            119.5 + 160 * math.tan(math.atan(0.5 / distance) - 0.2), abs=1e-6)
    left, right = floor_pixels(camera, np.array([[2.1, 0.5], [2.1, -0.5]]))
    assert left[0] < 159.5 < right[0] and left[0] + right[0] == pytest.approx(2 * 159.5)
    assert np.isnan(floor_pixels(camera, np.array([[-1.0, 0.0]]))).all()


def test_the_rays_of_a_fisheye_meet_the_floor_where_it_was_projected_from() -> None:
    camera = load_robot("rover-fisheye").camera
    points = np.random.default_rng(0).uniform((0.3, -1.0), (5.0, 1.0), (50, 2))
    rays = unproject(camera, floor_pixels(camera, points)) @ camera_rotation(camera).T
    floor = rays[:, :2] * (camera.mount_height / -rays[:, 2:]) + (camera.mount_forward, 0.0)
    assert np.allclose(floor, points, atol=1e-6)


def test_the_future_is_told_in_the_frame_of_the_robot() -> None:
    angles = np.linspace(0.0, math.pi / 2, 40)  # a quarter of a circle of 2 m to the left, beginning northwards
    poses = np.column_stack([3 + 2 * np.cos(angles), 2 * np.sin(angles), angles + math.pi / 2])
    path = future_path(poses, 0, 39)
    assert np.allclose(path[0], 0.0) and np.allclose(path[-1], (2.0, 2.0, math.pi / 2), atol=1e-9)
    assert np.allclose(np.hypot(path[:, 0], path[:, 1] - 2.0), 2.0, atol=1e-3)
    assert np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1).max() < 0.05
    assert len(future_path(poses, 38, 39)) >= 2  # the drive ends


def test_the_way_is_drawn_on_the_floor_and_nowhere_else() -> None:
    robot = load_robot("turtlebot")
    grey = np.full((288, 384, 3), 128, np.uint8)
    ahead = straight().poses
    drawn = draw_future(grey, robot, ahead, 0, 40)
    changed = (drawn != grey).any(axis=2)
    assert changed.any() and not changed[:144].any()  # below the horizon of a level camera
    assert changed[-1, 150:234].all() and (changed != changed[:, ::-1]).mean() < 0.005
    turning = ahead * (0.0, 0.0, 0.0)
    assert np.array_equal(draw_future(grey, robot, turning, 0, 40), grey)
    assert fits(robot.camera, 480, 640) and not fits(robot.camera, 480, 480)


# --- the page -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_a_page_needs_nothing_but_its_folder(count: int, tmp_path: Path) -> None:
    page = write_report(inspect(dataset_of(tmp_path / "data", count), progress=False), tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    files = shown(page)
    assert len([name for name in files if "frame-" in name]) == 12
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", text)
    assert text.count("<polyline") >= 2 * count and "point-goal" in text
    assert decode((page.parent / files[0]).read_bytes()).shape[0] >= 96
    assert json.loads((page.parent / "inspection.json").read_text())["episodes"] == count


def test_what_is_told_of_a_dataset_cannot_break_its_page(tmp_path: Path) -> None:
    info = EpisodeInfo(task="<script>alert(1)</script>", scene="</table>", source='"><b>')
    page = write_report(inspect(dataset_of(tmp_path / "data", 1, info=info), progress=False), tmp_path / "report")
    assert "<script>alert" not in page.read_text() and shown(page)


def test_a_large_dataset_is_sampled_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "PICTURED", 4)
    monkeypatch.setattr("nav_foundation.data.inspection.page.DRAWN", 5)
    monkeypatch.setattr("nav_foundation.data.inspection.page.ROWS", 6)
    inspection = inspect(dataset_of(tmp_path / "data", 9), progress=False)
    assert any("4 of 9 episodes" in note for note in inspection.notes)
    text = write_report(inspection, tmp_path / "report").read_text()
    assert "5 of 9, evenly spread" in text and "6 of 9 episodes" in text


def test_plots_are_drawn_to_scale() -> None:
    svg = trajectories([np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0]])], ["one"], [[2]], (424, 324))
    points = re.findall(r'points="([^"]*)"', svg)[0].split()
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in points)
    assert (x1 - x0, y1 - y0) == pytest.approx((400, 0)) and (x2 - x1, y2 - y1) == pytest.approx((0, -200))
    assert ">0.5 m<" in svg and "h50.0" in svg  # the scale bar
    bars = re.findall(r'<rect [^>]*height="([\d.]+)"', histogram(np.array([1, 2, 4]), np.arange(4.0), "m"))
    assert [float(tall) / float(bars[-1]) for tall in bars] == pytest.approx([0.25, 0.5, 1.0], abs=0.01)


# --- all kinds of datasets ----------------------------------------------------------------------------------------


def command(folder: Path, *more: str) -> int:
    return main(["data", "inspect", str(folder), *more])


def test_an_empty_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DatasetWriter(tmp_path / "data", 5.0).close()
    assert command(tmp_path / "data", "--report", str(tmp_path / "report"), "--json", str(tmp_path / "x.json")) == 0
    assert "0 episodes" in capsys.readouterr().out and shown(tmp_path / "report" / "index.html") == []


def test_video(tmp_path: Path) -> None:
    inspection = inspect(dataset_of(tmp_path / "data", 2, video=True), progress=False)
    assert inspection.damaged == () and len(shown(write_report(inspection, tmp_path / "report"))) >= 12


def test_a_dataset_from_elsewhere(tmp_path: Path) -> None:
    write_lerobot(dataset_of(tmp_path / "ours", 2), tmp_path / "theirs")
    assert not (tmp_path / "theirs" / NAVIGATION).exists()
    inspection = inspect(EpisodeDataset(tmp_path / "theirs"), progress=False)
    assert any("no robot" in note for note in inspection.notes) and inspection.summary.robots == {"unknown": 2}
    page = write_report(inspection, tmp_path / "report")
    assert "without the way ahead: no robot is told" in page.read_text() and len(shown(page)) >= 12


def test_an_arm_has_neither_poses_nor_actions_of_ours(tmp_path: Path) -> None:
    dataset_of(tmp_path / "data", 2)
    path = tmp_path / "data" / INFO
    info = json.loads(path.read_text())
    info["features"]["observation.state"]["shape"] = info["features"]["action"]["shape"] = [7]
    path.write_text(json.dumps(info))
    inspection = inspect(EpisodeDataset(tmp_path / "data"), progress=False)
    assert len([note for note in inspection.notes if "has no" in note]) == 2
    assert inspection.summary.metres == 0.0 and inspection.findings == ()
    assert "Trajectories" not in write_report(inspection, tmp_path / "report").read_text()


def test_damaged_files_are_told_and_the_rest_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nav_foundation.data.writer.FILE_BYTES", 1)  # a file per episode
    folder = dataset_of(tmp_path / "data", 3).folder
    cut, broken = sorted(folder.glob("data/*/*.parquet"))[:2]
    cut.write_bytes(cut.read_bytes()[:5000])
    content = broken.read_bytes()
    start = content.index(b"\xff\xd8\xff")
    broken.write_bytes(content[:start] + bytes(200) + content[start + 200 :])
    assert command(folder, "--report", str(tmp_path / "report")) == 0
    out = capsys.readouterr().out
    assert f"damaged: {cut} is cut short" in out and re.search(rf"damaged: episode 1: .*{broken.name}.* broken", out)
    assert "2 episodes" in out and "1 of 3 episodes lie in damaged files" in out
    assert "Damaged" in (tmp_path / "report" / "index.html").read_text()


# --- the command --------------------------------------------------------------------------------------------------


def test_errors_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path / "nothing") == 2
    folder = dataset_of(tmp_path / "data", 1).folder
    (tmp_path / "file").write_text("")
    assert command(folder, "--report", str(tmp_path / "file")) == 2
    assert command(folder, "--json", str(tmp_path / "file" / "x.json")) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_without_rerun_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = dataset_of(tmp_path / "data", 1).folder
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert command(folder, "--rerun", str(tmp_path / "x.rrd")) == 2
    assert "nav-foundation[viz]" in capsys.readouterr().err and not (tmp_path / "x.rrd").exists()


def test_a_rerun_recording_holds_pictures_paths_and_actions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rerun", reason="rerun is not installed: pip install nav_foundation[viz]")
    monkeypatch.setattr("nav_foundation.data.inspection.rerun_log.EPISODES", 2)
    monkeypatch.setattr("nav_foundation.data.inspection.rerun_log.FRAMES", 10)
    folder, file = dataset_of(tmp_path / "data", 3).folder, tmp_path / "new" / "x.rrd"
    assert command(folder, "--rerun", str(file)) == 0
    out = capsys.readouterr().out
    assert "2 of 3 episodes, 2 of them thinned to 10 frames" in out
    content = file.read_bytes()
    for name in (b"episode_0", b"/camera/ahead", b"/plan/driven", b"/plan/ahead", b"/actions/angular"):
        assert name in content
    assert b"episode_1" not in content and b"episode_2" in content


def test_the_help_loads_no_libraries() -> None:
    alone = "import sys, nav_foundation.data.commands, nav_foundation.data.inspection.commands"
    whole = "import sys, nav_foundation.cli\ntry:\n    nav_foundation.cli.main(['data', 'inspect', '--help'])\n"
    whole += "except SystemExit:\n    pass"
    for code, libraries in ((alone, {"numpy", "pyarrow", "cv2"}), (whole, {"pyarrow", "cv2", "tqdm"})):
        code += f"\nassert not {libraries} & set(sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert "--rerun FILE" in done.stdout


def test_made_up_drives_are_looked_at_without_an_error(tmp_path: Path) -> None:
    """Noise for poses, pictures and actions: whatever is found, nothing breaks, down to a single frame."""
    with DatasetWriter(tmp_path / "data", 5.0) as writer:
        for number, frames in enumerate((1, 2, 3, 12, 60)):
            writer.add(told(number), made_up_drive(number, frames))
    inspection = inspect(EpisodeDataset(tmp_path / "data"), progress=False)
    assert inspection.summary.frames == 78 and inspection.findings
    shown(write_report(inspection, tmp_path / "report"))

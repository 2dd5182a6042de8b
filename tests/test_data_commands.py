"""`nav-foundation data` on the command line: what it writes, prints and refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bag_making import write_bag
from drives_on_disk import made_up_drive, told
from test_data_bags import rows

from nav_foundation.cli import main
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.layout import INFO, NAVIGATION
from nav_foundation.data.writer import DatasetWriter


def test_a_bag_is_imported_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag, out, report = write_bag(tmp_path / "drive", "mcap", rows("mcap")), tmp_path / "out", tmp_path / "report.json"
    assert main(["data", "import", "rosbag", str(bag), "--out", str(out), "--json", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "episodes       1" in printed and "10 pictures between the ticks of 5 frames per second" in printed
    assert json.loads(report.read_text())["frames"] == 10
    dataset = EpisodeDataset(out)
    assert dataset.frame_rate == 5.0 and dataset.actions(0)[3].tolist() == [0.5, 0.1]
    np.testing.assert_allclose(dataset.poses(0)[:, 0], np.arange(10) * 0.1, atol=1e-12)
    assert main(["data", "export", "mcap", str(out), "--out", str(tmp_path / "bags")]) == 0
    assert (tmp_path / "bags" / "episode_000000" / "metadata.yaml").exists()
    assert "1 episodes, 10 frames" in capsys.readouterr().out


def test_importing_into_a_dataset_needs_append(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write_bag(tmp_path / "first", "sqlite3", rows("sqlite3"))
    second = write_bag(tmp_path / "second", "ros1", rows("ros1"))
    command = ["data", "import", "rosbag", str(first), "--out", str(tmp_path / "out"), "--robot", "turtlebot"]
    assert main(command) == 0
    assert main(command) == 2
    error = capsys.readouterr().err.strip()
    assert "holds a dataset already" in error and "\n" not in error
    assert main([*command[:4], str(second), *command[4:], "--append"]) == 0
    assert EpisodeDataset(tmp_path / "out").episodes == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data", "import", "rosbag", "nothing.bag", "--out", "x"], "nothing.bag does not exist"),
        (["data", "import", "rosbag", ".", "--out", "x", "--frame-rate", "fast"], "it takes a number; got 'fast'"),
        (["data", "import", "rosbag", ".", "--out", "x", "--frame-rate", "-1"], "frame_rate is -1.0"),
        (["data", "import", "rosbag", ".", "--out", "x", "--robot", "turtelbot"], "unknown robot 'turtelbot'"),
        (["data", "import", "rosbag", ".", "--out", "x"], ". holds no bag"),
        (["data", "import", "rosbags", "."], "did you mean 'rosbag'"),
        (["data", "export", "mcap", "nothing", "--out", "x"], "nothing is not a dataset"),
    ],
)
def test_mistakes_end_in_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    error = capsys.readouterr().err.strip()
    assert code == 2 and words in error and "\n" not in error
    assert not (tmp_path / "x").exists(), "a mistake leaves nothing behind"


def test_help_of_every_format_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for action, formats in (
        ("import", ("rosbag", "gnm", "lerobot", "navdp", "folder", "video")), ("export", ("gnm", "mcap", "lerobot"))
    ):
        for form in formats:
            with pytest.raises(SystemExit):
                main(["data", action, form, "--help"])
            assert f"nav-foundation data {action} {form}" in capsys.readouterr().out


def test_help_loads_no_readers() -> None:
    code = (
        "import sys; from nav_foundation.cli import main\n"
        "try: main(['data', 'import', 'rosbag', '--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('rosbags', 'pyarrow', 'av', 'cv2') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"


@pytest.mark.parametrize("video", [False, True])
def test_export_for_lerobot_holds_the_same_without_our_file(tmp_path: Path, video: bool) -> None:
    with DatasetWriter(tmp_path / "ours", 5.0) as writer:
        for number in range(3):
            writer.add(told(number), made_up_drive(number))
    out = tmp_path / "lerobot"
    assert main(["data", "export", "lerobot", str(tmp_path / "ours"), "--out", str(out), *["--video"] * video]) == 0
    ours, theirs = EpisodeDataset(tmp_path / "ours"), EpisodeDataset(out)
    assert not (out / NAVIGATION).exists() and not list((out / "meta").glob(".*"))
    for episode in range(3):
        np.testing.assert_array_equal(theirs.poses(episode), ours.poses(episode))
        np.testing.assert_array_equal(theirs.stamps_ns(episode), ours.stamps_ns(episode))
        assert theirs.info(episode).task == ours.info(episode).task
        difference = np.abs(theirs.image(episode, 5).astype(int) - ours.image(episode, 5))
        assert difference.mean() <= (12 if video else 0)


@pytest.mark.slow
def test_an_import_that_is_killed_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    for number in range(12):
        write_bag(tmp_path / "bags" / f"{number:02d}", "sqlite3", rows("sqlite3", count=20 + number, size=(120, 160)))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nav_foundation.cli", "data", "import", "rosbag", str(tmp_path / "bags"),
               "--out", str(out), "--append", "--frame-rate", "10"]
    rng, closed = np.random.default_rng(0), 0
    for _ in range(10):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = (out / INFO).stat().st_mtime_ns if (out / INFO).exists() else 0
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:  # let it begin to write, then kill it soon
            if (out / INFO).exists() and (out / INFO).stat().st_mtime_ns != before:
                time.sleep(float(rng.uniform(0.0, 0.1)))
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        dataset = EpisodeDataset(out)
        assert not dataset.damaged and dataset.episodes >= closed
        closed = dataset.episodes
        for episode in range(closed):
            assert dataset.lengths[episode] == 20 + episode
            assert len(dataset.poses(episode)) == 20 + episode and dataset.image(episode, 19).shape == (120, 160, 3)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert EpisodeDataset(out).lengths.tolist() == list(range(20, 32))

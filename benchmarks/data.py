"""How fast data is made and read: `python benchmarks/data.py` measures and appends to benchmarks/results.md.

Needs about 2 GB of free disk in the folder for temporary files.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from benchmarks.measuring import Row, measure  # noqa: E402
from nav_foundation.data.dataset import EpisodeDataset  # noqa: E402
from nav_foundation.data.images import encode_jpeg  # noqa: E402
from nav_foundation.data.schema import EpisodeData, EpisodeInfo  # noqa: E402
from nav_foundation.data.writer import DatasetWriter  # noqa: E402
from nav_foundation.robot import CameraSpec, Footprint  # noqa: E402
from sim_envs.collection.collect import collect  # noqa: E402
from sim_envs.collection.settings import CollectSettings  # noqa: E402
from sim_envs.embedded.simulator import EmbeddedSimulator  # noqa: E402
from sim_envs.simulator import Pose, SceneRef  # noqa: E402

FRAMES, MANY_FRAMES = 100_000, 1_000_000
EPISODE = 250  # frames
WINDOW = 8  # frames
CORES = 2
SECONDS = 5.0  # of reading, per repetition
REPETITIONS = 5
DRIVES = 40


def house_pictures(count: int) -> list[bytes]:
    """JPEG files, 128x96, of random places in a house."""
    simulator, rng = EmbeddedSimulator(), np.random.default_rng(0)
    simulator.load(SceneRef("house", 2), Footprint(radius=0.18, height=0.4))
    poses = [Pose.at(simulator.sample_navigable(rng), rng.uniform(-np.pi, np.pi)) for _ in range(count)]
    frames = simulator.render(poses, [CameraSpec(128, 96, 0.5, hfov_deg=79.0)])
    assert frames.rgb is not None
    return [encode_jpeg(rgb) for rgb in frames.rgb]


def write_dataset(folder: Path, pictures: list[bytes], frames: int, episode: int) -> float:
    """A dataset of wandering poses; returns the seconds that writing took."""
    rng, begun = np.random.default_rng(0), time.perf_counter()
    with DatasetWriter(folder, 5) as writer:
        for number in range(frames // episode):
            order = rng.integers(len(pictures), size=episode)
            stamps = (number * episode + np.arange(episode)) * 200_000_000
            poses = np.cumsum(rng.normal(0.0, 0.1, (episode, 3)), axis=0)
            data = EpisodeData([pictures[k] for k in order], stamps.astype(np.int64), poses)
            writer.add(EpisodeInfo(task="explore"), data)
    return time.perf_counter() - begun


def read_windows(folder: Path, seed: int, ready: Any, rates: Any) -> None:
    """One core's share: windows of decoded frames and their poses, from random places, for some seconds."""
    import cv2

    cv2.setNumThreads(1)
    dataset, rng = EpisodeDataset(folder), np.random.default_rng(seed)
    for repetition in range(REPETITIONS + 1):  # the first one warms up
        ready.wait()
        begun, done = time.perf_counter(), 0
        while time.perf_counter() - begun < SECONDS:
            episode = int(rng.integers(dataset.episodes))
            first = int(rng.integers(dataset.lengths[episode] - WINDOW + 1))
            images = dataset.images(episode, range(first, first + WINDOW))
            poses = dataset.poses(episode)[first : first + WINDOW]
            assert images.shape == (WINDOW, 96, 128, 3) and poses.shape == (WINDOW, 3)
            done += 1
        rates.put((repetition, done / (time.perf_counter() - begun)))


def measure_windows() -> list[Row]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "drives"
        seconds = write_dataset(folder, house_pictures(2000), FRAMES, EPISODE)
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        found = {cores: windows_per_second(folder, cores) for cores in (1, CORES)}
    detail = f"{WINDOW} frames 128x96 and poses, random among {FRAMES:,} frames, {size / 1e9:.2f} GB"
    return [
        Row("random windows, two cores", found[CORES], "windows/s", ">= 1500", detail),
        Row("random windows, one core", found[1], "windows/s", "", detail),
        Row("writing", FRAMES / seconds, "frames/s", "", "every episode durable, statistics included"),
    ]


def windows_per_second(folder: Path, cores: int) -> float:
    """The median over repetitions of all processes together."""
    context = multiprocessing.get_context("spawn")
    ready, rates = context.Barrier(cores), context.Queue()
    readers = [context.Process(target=read_windows, args=(folder, k, ready, rates)) for k in range(cores)]
    for reader in readers:
        reader.start()
    found = [rates.get() for _ in range(cores * (REPETITIONS + 1))]
    for reader in readers:
        reader.join()
    totals = [sum(rate for number, rate in found if number == k) for k in range(1, REPETITIONS + 1)]
    return statistics.median(totals)


OPENING = """
import json, resource, sys, time
from nav_foundation.data.dataset import EpisodeDataset
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.perf_counter()
dataset = EpisodeDataset(sys.argv[1])
opened = time.perf_counter() - begun
dataset.image(dataset.episodes - 1, 7)
read = time.perf_counter() - begun - opened
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([len(dataset), opened, read, before / 1024, peak / 1024]))
"""


def measure_opening() -> list[Row]:
    """In a process of its own, for an honest peak of memory. The pictures are tiny, for the sake of the disk."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "drives"
        rng = np.random.default_rng(0)
        pictures = [encode_jpeg(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(100)]
        write_dataset(folder, pictures, MANY_FRAMES, 2 * EPISODE)
        reply = subprocess.run(
            [sys.executable, "-c", OPENING, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True)
    count, opened, read, before, peak = json.loads(reply.stdout)
    assert count == MANY_FRAMES
    episodes = MANY_FRAMES // (2 * EPISODE)
    return [
        Row("opening a million frames", opened, "s", "< 1", f"{episodes:,} episodes, fresh process"),
        Row("its peak memory", peak, "MB", "< 500", f"{before:.0f} MB of it by imports"),
        Row("first picture after it", read, "s", "", "from the last episode"),
    ]


def measure_collection() -> list[Row]:
    """In one process, as each worker would; scenes, robots, episodes and writing included."""
    with tempfile.TemporaryDirectory() as place:
        warm = collect(CollectSettings(episodes=2, people=(1, 1)), Path(place) / "warm", progress=False)
        assert warm.new_frames
        folder, settings = Path(place) / "drives", CollectSettings(episodes=DRIVES, seed=1)
        before = processor_time()
        made = collect(settings, folder, progress=False)
        used = processor_time() - before
        dataset = EpisodeDataset(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        frames, hours = len(dataset), len(dataset) / settings.frame_rate / 3600
    detail = f"{dataset.episodes} drives, {frames:,} frames 128x96 as JPEG, all default settings"
    clock = f"{made.seconds:.0f} s, one worker, imports included"
    measured = f"5 Hz, labels included; {hours:.2f} h measured"
    return [
        Row("collection, one core", frames / used, "frames/s", ">= 100", f"{detail}; by processor time"),
        Row("collection, by the clock", frames / made.seconds, "frames/s", "", clock),
        Row("size of an hour of driving", size / 1e6 / hours, "MB", "", measured),
    ]


def processor_time() -> float:
    """Seconds, of this process and of all children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


PARTS: dict[str, Callable[[], list[Row]]] = {
    "windows": measure_windows, "opening": measure_opening, "collection": measure_collection,
}


if __name__ == "__main__":
    measure(PARTS, "Data", f"medians of {REPETITIONS} repetitions of {SECONDS:g} s for windows")

"""Episodes as folders of GNM, ViNT and NoMaD."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode, encode_jpeg
from nav_foundation.data.importing.drive import LeftOut
from nav_foundation.data.schema import DEPTH, DataError
from nav_foundation.data.units import typical_step

_JPEG = b"\xff\xd8"


def write_gnm(dataset: EpisodeDataset, out: Path) -> list[LeftOut]:
    """A folder per readable episode in `out`, and their names in traj_names.txt; returns what they cannot hold.

    JPEG files pass unchanged; other pictures are encoded, as these folders know JPEG alone.
    """
    from tqdm import tqdm

    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} holds something already: name a new or empty folder")
    out.mkdir(parents=True, exist_ok=True)
    episodes = np.flatnonzero(dataset.readable).tolist()
    encoded, names = 0, []
    for episode in tqdm(episodes, unit="episode", disable=None):
        names.append(f"episode_{episode:06d}")
        encoded += _write_episode(dataset, episode, out / names[-1])
    (out / "traj_names.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return _left_out(dataset, episodes, encoded)


def spacing(dataset: EpisodeDataset) -> float | None:
    """GNM's metric_waypoint_spacing: metres per frame of a robot that drives straight."""
    return typical_step([dataset.poses(episode) for episode in np.flatnonzero(dataset.readable).tolist()])


def _write_episode(dataset: EpisodeDataset, episode: int, folder: Path) -> int:
    """Returns how many pictures had to be encoded."""
    folder.mkdir()
    encoded = 0
    for frame in range(int(dataset.lengths[episode])):
        file = b"" if dataset.video else dataset.image_file(episode, frame)
        if not file.startswith(_JPEG):
            file = encode_jpeg(decode(file) if file else dataset.image(episode, frame))
            encoded += 1
        (folder / f"{frame}.jpg").write_bytes(file)
    poses = dataset.poses(episode)
    (folder / "traj_data.pkl").write_bytes(_pickled(poses[:, :2], poses[:, 2]))
    return encoded


def _pickled(position: np.ndarray, yaw: np.ndarray) -> bytes:
    """As NumPy before 2.0 can read it, too: that is what these projects are installed with."""
    data = {"position": np.array(position, np.float64), "yaw": np.array(yaw, np.float64)}
    # The first name in the file comes before any contents.
    return pickle.dumps(data, protocol=2).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1)


def _left_out(dataset: EpisodeDataset, episodes: list[int], encoded: int) -> list[LeftOut]:
    frames, why = len(dataset), "these folders have no place for them"
    commanded = sum(
        int(dataset.lengths[k]) for k in episodes if dataset.info(k).action_source == "commanded"
    )
    labelled = sum(int(dataset.lengths[k]) for k in episodes if dataset.labels(k) is not None)
    depth = frames if DEPTH in dataset.features else 0
    found = [
        LeftOut("stamps", frames, "these folders have no clock"), LeftOut("commands", commanded, why),
        LeftOut("labels", labelled, why), LeftOut("depth images", depth, why),
        LeftOut("descriptions of episodes", len(episodes), why),
        LeftOut("originals of pictures", encoded, "these folders know JPEG alone: they were encoded"),
    ]
    return [entry for entry in found if entry.count]

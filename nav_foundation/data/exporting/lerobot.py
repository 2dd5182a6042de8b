"""A dataset as any reader of LeRobotDataset v3.0 knows it, without the file of ours beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_depth, encode_jpeg
from nav_foundation.data.layout import NAVIGATION
from nav_foundation.data.schema import DEPTH, EpisodeData
from nav_foundation.data.writer import DatasetWriter


def write_lerobot(dataset: EpisodeDataset, out: Path, *, video: bool = False) -> None:
    """Write all readable episodes to a new folder, pictures as files in the tables or as mp4."""
    from tqdm import tqdm

    with DatasetWriter(out, dataset.frame_rate, video=video) as writer:
        for episode in tqdm(np.flatnonzero(dataset.readable).tolist(), unit="episode", disable=None):
            writer.add(dataset.info(episode), _data(dataset, episode))
    (Path(out) / NAVIGATION).unlink(missing_ok=True)
    for hidden in (Path(out) / "meta").glob(".*"):  # the writer's lock
        hidden.unlink()


def _data(dataset: EpisodeDataset, episode: int) -> EpisodeData:
    frames = range(int(dataset.lengths[episode]))
    pictures = [
        encode_jpeg(dataset.image(episode, k)) if dataset.video else dataset.image_file(episode, k) for k in frames
    ]
    depth = None
    if DEPTH in dataset.features:
        found = [dataset.depth(episode, k) for k in frames]
        depth = [encode_depth(image) for image in found if image is not None]
    return EpisodeData(
        pictures, dataset.stamps_ns(episode), dataset.poses(episode), dataset.actions(episode), depth,
        dataset.labels(episode),
    )

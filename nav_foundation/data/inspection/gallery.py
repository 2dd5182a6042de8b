"""The pictures of a report: some frames with the way ahead, and what suspicious moments look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_jpeg
from nav_foundation.data.inspection.finding import Finding
from nav_foundation.data.inspection.future import AHEAD, draw_future, fits
from nav_foundation.data.inspection.look import has_numbers, pictured_episodes
from nav_foundation.data.schema import FRONT, STATE, DataError

FRAMES = 12  # sample frames
STRIP = 5  # pictures of a strip
SHOWN, SHOWN_PER_KIND = 12, 3  # findings with pictures
_TALL = 288  # px of a sample frame; small cameras are enlarged so that the path is smooth
_STRIP_TALL = 132


def sample_frames(dataset: EpisodeDataset, count: int = FRAMES) -> list[tuple[int, int]]:
    """(episode, frame) of moments all over the dataset, where something lies ahead."""
    episodes = pictured_episodes(dataset)
    if not len(episodes):
        return []
    chosen = episodes[np.linspace(0, len(episodes) - 1, count).round().astype(int)]  # few episodes come repeatedly
    found = []
    for k, episode in enumerate(chosen.tolist()):
        times = int((chosen == episode).sum())
        rank = k - int(np.argmax(chosen == episode))
        found.append((episode, int(dataset.lengths[episode] * (rank + 0.5) / times)))
    return sorted(set(found))


def save_frame(dataset: EpisodeDataset, episode: int, frame: int, path: Path) -> str:
    """Write the picture, with the way ahead if it can be told; returns why not otherwise."""
    picture = dataset.image(episode, frame)
    height, width = picture.shape[:2]
    large = _resized(picture, _TALL) if height < _TALL else picture
    robot = dataset.info(episode).robot
    why = ""
    if not has_numbers(dataset.features, STATE, 3):
        why = "it has no poses"
    elif robot is None:
        why = "no robot is told"
    elif not fits(robot.camera, height, width):
        why = (f"pictures are {width}x{height} and the camera of {robot.name} is "
               f"{robot.camera.width}x{robot.camera.height}")
    else:
        ahead = round(AHEAD * dataset.frame_rate)
        large = draw_future(large, robot, dataset.poses(episode), frame, ahead)
    path.write_bytes(encode_jpeg(large, 90))
    return why


def shown_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Some of every kind."""
    seen: Counter[str] = Counter()
    shown = []
    for finding in findings:
        seen[finding.kind] += 1
        if seen[finding.kind] <= SHOWN_PER_KIND:
            shown.append(finding)
    return sorted(shown, key=lambda finding: finding.kind)[:SHOWN]


def save_strip(dataset: EpisodeDataset, finding: Finding, path: Path) -> bool:
    """Write what is seen around a finding, side by side; False where there are no pictures to see."""
    if FRONT not in dataset.features:
        return False
    last = int(dataset.lengths[finding.episode]) - 1
    first = min(max(0, finding.frame - STRIP // 2), max(0, last - STRIP + 1))
    try:
        pictures = [dataset.image(finding.episode, k) for k in range(first, min(first + STRIP, last + 1))]
    except DataError:
        return False
    path.write_bytes(encode_jpeg(np.concatenate([_resized(p, _STRIP_TALL) for p in pictures], axis=1), 88))
    return True


def _resized(picture: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    way = cv2.INTER_AREA if picture.shape[0] > height else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way))

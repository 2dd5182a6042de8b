"""Statistics of features as LeRobot keeps them: per episode, and merged over the dataset (`meta/stats.json`).

Pictures are scaled to 0..1 and have one value per channel, shape [3, 1, 1]; a depth image keeps its unit, [1, 1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from nav_foundation.data.images import decode

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_MOST_IMAGES = 100  # looked at per episode
_LARGE = 300  # pixels of a side from which on a picture is thinned out

Statistics = dict[str, np.ndarray]  # min, max, mean, std, count and quantiles of one feature


def of_values(values: np.ndarray) -> Statistics:
    """Of one feature of an episode: [T] or [T, ..., D]; over everything but the last axis."""
    count = len(values)
    rows = values.reshape(-1, 1) if values.ndim == 1 else values.reshape(-1, values.shape[-1])
    first = rows[0].astype(np.float64)
    away = (rows - rows[0]).astype(np.float64)  # so that nanoseconds keep their digits
    quantiles = np.quantile(away, list(QUANTILES.values()), axis=0, method="inverted_cdf") + first
    return {
        "min": rows.min(axis=0), "max": rows.max(axis=0), "mean": away.mean(axis=0) + first, "std": away.std(axis=0),
        "count": np.array([count]), **dict(zip(QUANTILES, quantiles)),
    }


def of_images(files: Sequence[bytes]) -> Statistics:
    """Of the pictures of an episode, from an even choice of them."""
    chosen = [files[i] for i in _spread(len(files))]
    histogram = np.zeros((3, 256), np.int64)
    for file in chosen:
        picture = _thinned(decode(file))
        histogram += np.stack([np.bincount(picture[..., c].ravel(), minlength=256) for c in range(3)])
    return _of_histogram(histogram, np.arange(256) / 255.0, len(chosen))


def of_depth(files: Sequence[bytes]) -> Statistics:
    """Of the depth images of an episode, in millimetres."""
    chosen = [files[i] for i in _spread(len(files))]
    histogram = np.zeros((1, 65536), np.int64)
    for file in chosen:
        depth = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
        assert depth is not None
        histogram[0] += np.bincount(_thinned(depth).ravel(), minlength=65536)
    return _of_histogram(histogram, np.arange(65536, dtype=np.float64), len(chosen))


def merged(parts: Sequence[Statistics]) -> Statistics:
    """Of all parts together. The values are gone, so quantiles become bounds, as in LeRobot: the least of the parts'
    up to the median, the greatest above."""
    counts = np.array([part["count"][0] for part in parts], dtype=np.float64)
    weights = (counts / counts.sum()).reshape(-1, *[1] * parts[0]["mean"].ndim)
    means = np.stack([part["mean"] for part in parts])
    mean = (weights * means).sum(axis=0)
    variance = (weights * (np.stack([part["std"] for part in parts]) ** 2 + (means - mean) ** 2)).sum(axis=0)
    return {
        "min": np.stack([part["min"] for part in parts]).min(axis=0),
        "max": np.stack([part["max"] for part in parts]).max(axis=0),
        "mean": mean, "std": np.sqrt(variance), "count": np.array([int(counts.sum())]),
        **{
            name: (np.min if q <= 0.5 else np.max)(np.stack([part[name] for part in parts]), axis=0)
            for name, q in QUANTILES.items()
        },
    }


def _of_histogram(histogram: np.ndarray, values: np.ndarray, count: int) -> Statistics:
    """From how often [C, B] each of the values [B] occurs."""
    share = histogram / histogram.sum(axis=1, keepdims=True)
    up_to = share.cumsum(axis=1)
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1))
    seen = histogram > 0
    found = {
        "min": values[seen.argmax(axis=1)], "max": values[len(values) - 1 - seen[:, ::-1].argmax(axis=1)],
        "mean": mean, "std": std,
        **{name: values[(up_to >= q - 1e-12).argmax(axis=1)] for name, q in QUANTILES.items()},
    }
    return {"count": np.array([count]), **{name: value.reshape(-1, 1, 1) for name, value in found.items()}}


def _spread(count: int) -> list[int]:
    return sorted(set(np.rint(np.linspace(0, count - 1, min(count, _MOST_IMAGES))).astype(int).tolist()))


def _thinned(picture: np.ndarray) -> np.ndarray:
    longest = max(picture.shape[:2])
    every = longest // 150 if longest >= _LARGE else 1
    return picture[::every, ::every]

"""How well episodes went: success, SPL and the other measures, with honest intervals. NumPy alone.

Definitions follow Anderson et al. 2018 (success, SPL), Habitat (SoftSPL) and Ilharco et al. 2019 (nDTW).
Lengths are in metres, times in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from nav_foundation.geometry import path_length, resample_path
from sim_envs.tasks.episode import EXPLORED_ENOUGH, Episode

if TYPE_CHECKING:
    from sim_envs.rollout import Trace

DTW_SPACING = 0.25  # m between the points that nDTW compares, of both paths


@dataclass(frozen=True)
class Score:
    """One episode, judged. None where a measure has no meaning for the task."""

    success: float  # 0 or 1
    spl: float  # success weighted by shortest / driven length
    soft_spl: float | None  # the same with progress towards the goal in place of success
    distance_to_goal: float | None  # m left at the end
    path_length: float  # m driven
    collisions: int  # times the robot ran into something
    ndtw: float | None  # 0..1, how closely an instruction's way was followed
    coverage: float | None  # 0..1 of the free area seen
    time: float  # s
    oracle_success: float | None = None  # 0 or 1: was ever within the goal's radius, stopped or not


METRICS = tuple(Score.__dataclass_fields__)
_UNIT_METRICS = frozenset({"soft_spl", "ndtw", "coverage"})  # real numbers within 0..1


def is_success(trace: Trace) -> bool:
    """Whether the robot itself stopped at its goal; an exploration succeeds by what it has seen."""
    episode = trace.episode
    if episode.task == "explore":
        return trace.coverage >= EXPLORED_ENOUGH
    return trace.stopped and trace.distance_to_goal <= episode.success_radius


def judge(trace: Trace) -> Score:
    """The score of what `trace` shows the robot did."""
    success = float(is_success(trace))
    driven = path_length(trace.poses[:, :3])
    efficiency = _efficiency(trace.shortest, driven)
    exploring = trace.episode.task == "explore"
    return Score(
        success=success,
        spl=success * efficiency,
        soft_spl=None if exploring else _progress(trace) * efficiency,
        distance_to_goal=None if exploring else float(trace.distance_to_goal),
        path_length=driven,
        collisions=int(trace.contacts),
        ndtw=_instruction_ndtw(trace.episode, trace.poses[:, :3]),
        coverage=float(trace.coverage) if exploring else None,
        time=float(trace.times[-1] - trace.times[0]),
        oracle_success=None if trace.closest is None else float(trace.closest <= trace.episode.success_radius),
    )


def _efficiency(shortest: float, driven: float) -> float:
    longest = max(shortest, driven)
    return shortest / longest if longest > 0 else 1.0


def _progress(trace: Trace) -> float:
    """0..1, the share of the distance at the start that is gone: to the goal, or to where an object counts as reached.

    Both ends are measured alike, so that who stands still has made none; going away counts as none as well.
    """
    reached = trace.episode.success_radius if trace.episode.object_ids else 0.0
    first, left = (max(0.0, distance - reached) for distance in (trace.distance_at_start, trace.distance_to_goal))
    if not math.isfinite(left):
        return 0.0
    return min(1.0, max(0.0, 1.0 - left / first)) if first > 0 else float(left <= 0)


def _instruction_ndtw(episode: Episode, driven: np.ndarray) -> float | None:
    if episode.task != "instruction" or episode.reference_path is None or len(episode.reference_path) == 0:
        return None
    return ndtw(driven, episode.reference_path, episode.success_radius)


def dtw(query: np.ndarray, reference: np.ndarray) -> float:
    """Dynamic time warping cost between two sequences of points [N, D] and [M, D]: the sum of matched distances, m."""
    rows, columns = len(query), len(reference)
    assert rows > 0 and columns > 0
    cost = np.linalg.norm(query[:, None, :] - reference[None, :, :], axis=2)
    # Cells of one anti-diagonal depend only on the two before it, so each is one vector operation.
    # `before` and `last` hold those diagonals by row index, shifted by one so that index 0 is outside the table.
    before, last = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)
    before[0] = 0.0
    for diagonal in range(rows + columns - 1):
        row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        best = np.minimum(np.minimum(last[row], last[row + 1]), before[row])
        now = np.full(rows + 1, np.inf)
        now[row + 1] = cost[row, diagonal - row] + best
        before, last = last, now
    return float(last[rows])


def ndtw(driven: np.ndarray, reference: np.ndarray, threshold: float) -> float:
    """exp(-DTW / (|reference| * threshold)) of two polylines [N, D], both resampled evenly; 1 is a perfect match.

    Evenly, because DTW adds up over points: otherwise standing still or a higher control rate would change the value.
    """
    driven, reference = resample_path(driven, DTW_SPACING), resample_path(reference, DTW_SPACING)
    return math.exp(-dtw(driven, reference) / (len(reference) * threshold))


@dataclass(frozen=True)
class Estimate:
    """A mean and the interval that holds the true mean with the level asked for."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, rng: np.random.Generator, level: float = 0.95, samples: int = 10_000
) -> Estimate:
    """Percentile bootstrap of the mean. Values that are all alike, or a single one, give an interval of no width:
    for rates and other values within 0..1 use `success_interval` and `unit_interval`, which claim no certainty then.
    """
    values = _checked(values, level)
    means = np.empty(samples)
    block = max(1, 4_000_000 // len(values))  # bounds the memory, and not the result: draws come in one order
    for begin in range(0, samples, block):
        end = min(samples, begin + block)
        means[begin:end] = values[rng.integers(0, len(values), (end - begin, len(values)))].mean(axis=1)
    mean = float(values.mean())
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Estimate(mean, min(mean, float(low)), max(mean, float(high)))


def success_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Estimate:
    """Wilson's interval of a rate of zeros and ones. 20 successes in 20 give [0.84, 1], not [1, 1]."""
    values = _checked(values, level)
    assert np.isin(values, (0.0, 1.0)).all()
    count, rate = len(values), float(values.mean())
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    middle = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    return Estimate(rate, 0.0 if rate == 0 else max(0.0, middle - half), 1.0 if rate == 1 else min(1.0, middle + half))


def unit_interval(
    values: Sequence[float] | np.ndarray, rng: np.random.Generator, level: float = 0.95, samples: int = 10_000
) -> Estimate:
    """Bootstrap of values within 0..1; where all are 0 or all are 1, Wilson's bound on how many may yet differ."""
    values = _checked(values, level)
    if (values == 0).all() or (values == 1).all():
        return success_interval(values, level)
    return bootstrap_interval(values, rng, level, samples)


def spl_interval(
    values: Sequence[float] | np.ndarray, rng: np.random.Generator, level: float = 0.95, samples: int = 10_000
) -> Estimate:
    """`unit_interval` of values that are 0 where an episode failed. A bootstrap cannot draw a failure that it has not
    seen; without any among the values, the lower end allows for as many as Wilson's interval of success does.
    """
    estimate = unit_interval(values, rng, level, samples)
    succeeded = success_interval(_checked(values, level) > 0, level)
    if succeeded.mean < 1.0:
        return estimate
    return Estimate(estimate.mean, min(estimate.low, estimate.mean * succeeded.low), estimate.high)


def _checked(values: Sequence[float] | np.ndarray, level: float) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or not np.isfinite(array).all():
        raise ValueError("an interval needs a list of at least one finite value")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}: give a probability between 0 and 1, such as 0.95")
    return array


def summarise(scores: Sequence[Mapping[str, Any]], seed: int = 0) -> dict[str, Estimate | None]:
    """Every metric over episodes (mappings such as `asdict(score)`); None where no episode has it.

    A goal that cannot be reached any more (distance inf) is left out of the mean distance; it is a failure elsewhere.
    """
    summary: dict[str, Estimate | None] = {}
    for name in METRICS:
        values = np.array([s[name] for s in scores if s.get(name) is not None], dtype=np.float64)
        values = values[np.isfinite(values)]
        if len(values) == 0:
            summary[name] = None
        elif name in ("success", "oracle_success"):
            summary[name] = success_interval(values)
        elif name == "spl":
            summary[name] = spl_interval(values, np.random.default_rng(seed))
        elif name in _UNIT_METRICS:
            summary[name] = unit_interval(values, np.random.default_rng(seed))
        else:
            summary[name] = bootstrap_interval(values, np.random.default_rng(seed))
    return summary


@dataclass(frozen=True)
class Difference:
    """One metric of two policies on the same episodes, b minus a."""

    metric: str
    episodes: int
    a: float  # mean
    b: float  # mean
    difference: Estimate
    better: int  # episodes in which b is higher
    worse: int  # episodes in which b is lower
    p_value: float  # two-sided exact sign test; on success this is McNemar's exact test


def sign_test(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided exact p-value of 'positive and negative are equally likely'; ties say nothing and are dropped."""
    signs = np.sign(np.asarray(differences, dtype=np.float64))
    up, down = int((signs > 0).sum()), int((signs < 0).sum())
    tail = sum(math.comb(up + down, k) for k in range(min(up, down) + 1))
    return min(1.0, 2 * tail / 2 ** (up + down))


def paired_comparison(
    a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], seed: int = 0
) -> list[Difference]:
    """Each metric that both have, compared over episodes in the same order (match them by id first)."""
    if len(a) != len(b) or not a:
        raise ValueError(f"a paired comparison needs the same episodes on both sides; got {len(a)} and {len(b)}")
    result = []
    for name in METRICS:
        pairs = np.array(
            [(x[name], y[name]) for x, y in zip(a, b) if x.get(name) is not None and y.get(name) is not None],
            dtype=np.float64,
        ).reshape(-1, 2)
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        if len(pairs) == 0:
            continue
        delta = pairs[:, 1] - pairs[:, 0]
        result.append(Difference(
            name, len(pairs), float(pairs[:, 0].mean()), float(pairs[:, 1].mean()),
            bootstrap_interval(delta, np.random.default_rng(seed)),
            int((delta > 0).sum()), int((delta < 0).sum()), sign_test(delta),
        ))
    return result

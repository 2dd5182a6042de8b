"""How well a network knows what drives tell: errors in metres, ranks, and whether its stated doubt is true."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from nav_foundation.model.goals import KINDS
from nav_foundation.model.network import Decision, NavigationModel, step_of
from nav_foundation.model.units import to_metres
from nav_foundation.training.batch import Batch
from nav_foundation.training.forward import frames_of, readouts_of

STATED = 0.80  # the interval of a distance that is checked
_DEVIATIONS = 1.2816  # to each side, of a normal distribution


@dataclass(frozen=True)
class Scores:
    """Of goals of one kind, or of all. NaN where nothing was known."""

    pairs: int
    waypoint_error: float  # m, mean over the plan
    distance_error: float  # m, mean of what can be reached
    rank_correlation: float  # Spearman's, of said and true distances
    inside: float  # share of distances within the interval stated to hold STATED of them
    arrival_precision: float  # average precision


@dataclass(frozen=True)
class _Answers:
    """One row per pair."""

    kind: np.ndarray
    waypoints: np.ndarray  # m of error
    drives: np.ndarray  # bool, known
    said: np.ndarray  # m
    doubt: np.ndarray  # m
    distance: np.ndarray  # m
    measured: np.ndarray  # bool, known and within reach
    arrival: np.ndarray
    arrived: np.ndarray
    judged: np.ndarray  # bool, known


@torch.no_grad()
def judge(model: NavigationModel, batches: Iterator[Batch], count: int) -> dict[str, Scores]:
    """By kind of goal, and of "all" together, on `count` batches."""
    was = model.training
    model.eval()
    device = next(model.parameters()).device
    parts = [_answers(model, next(batches).to(device)) for _ in range(count)]
    model.train(was)
    whole = _Answers(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Answers.__annotations__))
    rows = {"all": np.ones(len(whole.kind), bool)} | {kind: whole.kind == k for k, kind in enumerate(KINDS)}
    return {name: _scores(whole, chosen) for name, chosen in rows.items() if chosen.any()}


def waypoint_errors(decision: Decision, batch: Batch) -> np.ndarray:
    """[B, Q] m by which plans are off, means over their waypoints."""
    steps = step_of(batch.body.double().cpu().numpy())
    return np.stack([
        np.linalg.norm((to_metres(said, step) - to_metres(true, step))[..., :2], axis=-1).mean(axis=-1)
        for said, true, step in zip(decision.waypoints.cpu().numpy(), batch.waypoints.cpu().numpy(), steps)
    ])


def _answers(model: NavigationModel, batch: Batch) -> _Answers:
    decision = model.judge(readouts_of(model, batch, frames_of(model, batch)))
    errors = waypoint_errors(decision, batch)
    known = (batch.measured > 0) & ~batch.unreachable
    columns = (batch.kind, batch.drives > 0, decision.distance, decision.distance_std, batch.distance, known,
               decision.arrival, batch.arrived, batch.judged > 0)
    kind, *rest = (column.flatten().cpu().numpy() for column in columns)
    return _Answers(kind, errors.ravel(), *rest)


def _scores(answers: _Answers, chosen: np.ndarray) -> Scores:
    drives, measured, judged = (chosen & known for known in (answers.drives, answers.measured, answers.judged))
    said, true = answers.said[measured], answers.distance[measured]
    off = np.abs(said - true)
    return Scores(
        int(chosen.sum()), _mean(answers.waypoints[drives]), _mean(off), rank_correlation(said, true),
        within(said, answers.doubt[measured], true),
        average_precision(answers.arrival[judged], answers.arrived[judged] > 0.5),
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def within(said: np.ndarray, doubt: np.ndarray, true: np.ndarray) -> float:
    """Share of values within the interval that is stated to hold STATED of them."""
    return _mean(np.abs(said - true) <= _DEVIATIONS * doubt)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; equal values share their mean rank."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


def average_precision(scores: np.ndarray, true: np.ndarray) -> float:
    """Mean precision at every true one, from the highest score down; equal scores count as one step."""
    if not true.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    hits, ends = np.cumsum(true[order]), np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.diff(hits[ends], prepend=0)
    return float((found * hits[ends] / (ends + 1)).sum() / hits[-1])

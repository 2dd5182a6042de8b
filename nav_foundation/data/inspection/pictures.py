"""Suspicions that pictures raise, alone and against the poses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np

from nav_foundation.data.inspection.colours import balance, looks_swapped
from nav_foundation.data.inspection.finding import Finding, at, runs
from nav_foundation.data.inspection.look import Pair, Seen
from nav_foundation.geometry import wrap_angle

FROZEN_FOR = 1.0  # s; cameras that are slower than the frame rate repeat pictures for less
MOVED = 0.3  # m or rad, that must show in pictures
SAME = 0.5  # grey levels of 255, mean change between two pictures that are the same but for their encoding
CHANGED = 2.4  # grey levels, median change from frame to frame: noise makes less, driving more
KEPT, KEPT_EVER = 0.15, 0.3  # share of patches that look as when the poses froze, mostly and at best: who passes by
# hides not all of them, and not for long
STILL = 1e-9  # m, rad; poses that are measured tremble by more
FEW = 3  # pairs of pictures without which nothing is said
VOTES = 6  # pairs without which nothing is said of the direction of turns
TURN = 0.03  # rad between two frames, a pixel or more
CLEAR = 0.1  # response of phase correlation below which a shift is a guess
AGAINST = 0.25  # share of agreeing pairs below which yaw is wrong; sound drives have 0.9 and more
BLUR = 8.0  # px; slower changes of brightness, as of a vignette, stay where they are when the robot turns
DARK, BRIGHT = 16.0, 240.0  # mean grey level; night scenes have 30 and more, snow has 220
_PATCHES = 4  # along each side
_TEXTURE, _ALIKE = 8.0, 0.8  # grey levels without which a patch is empty; correlation of what is the same
AROUND, AROUND_TURN, AROUND_SECONDS = 2.5, math.pi, 30.0  # m, rad, s that take a robot past many things
MANY = 0.3  # of the pictures looked at


def picture_findings(seen: Seen) -> Iterator[Finding]:
    yield from _exposure(seen)
    yield from _colours(seen)
    if seen.poses is not None:
        yield from _frozen_camera(seen)
        yield from _frozen_poses(seen)
        yield from _turns(seen)


def _finding(seen: Seen, kind: str, frame: int, text: str) -> Finding:
    return Finding(kind, seen.number, frame, f"Episode {seen.number}: {text}.")


def _exposure(seen: Seen) -> Iterator[Finding]:
    levels = np.array([pair.before.mean() for pair in seen.pairs])
    for kind, wrong in (("dark", levels < DARK), ("overexposed", levels > BRIGHT)):
        if len(levels) >= FEW and wrong.mean() > MANY:
            first = seen.pairs[int(np.argmax(wrong))].frame
            yield _finding(seen, kind, first, f"{wrong.mean():.0%} of its pictures are {kind}, first at "
                           f"{at(seen, first)}: nothing can be learnt from them, cut them out")


def _colours(seen: Seen) -> Iterator[Finding]:
    pictures = [pair.colour for pair in seen.pairs]
    if len(pictures) >= FEW and _sees_much(seen) and looks_swapped(pictures):
        yield _finding(seen, "red and blue", 0, "its red and blue are perhaps swapped (ground and things are bluish, "
                       f"balance {balance(pictures)[0]:.1f} of -1 to 1): look at it, and import it as bgr8 if they are")


def _sees_much(seen: Seen) -> bool:
    """Whether it gets around enough to see more than one thing, which may well be blue."""
    if seen.poses is None:
        return bool(seen.seconds[-1] > AROUND_SECONDS)
    turned = float(np.abs(wrap_angle(np.diff(seen.poses[:, 2]))).sum())
    return turned > AROUND_TURN or float(np.ptp(seen.poses[:, :2], axis=0).max()) > AROUND


# --- frozen -------------------------------------------------------------------------------------------------------


def _frozen_camera(seen: Seen) -> Iterator[Finding]:
    """The same picture again and again while the robot moves."""
    assert seen.poses is not None
    spans = []
    if seen.repeats is not None:
        spans = [(max(0, first - 1), end - 1) for first, end in runs(seen.repeats)]
    same = [_change(pair.before, pair.after)[1] < SAME for pair in seen.pairs]
    on = [_change(one.after, other.before)[1] < SAME for one, other in pairwise(seen.pairs)]
    for first, end in runs(np.array(same[:1] + [a and b for a, b in zip(same[1:], on)], dtype=bool)):
        if end - first >= FEW:
            spans.append((seen.pairs[first].frame, seen.pairs[end - 1].frame + 1))
    frozen = [span for span in spans if _moved(seen, *span) and _lasts(seen, *span)]
    if frozen:
        first, last = max(frozen, key=lambda span: span[1] - span[0])
        yield _finding(seen, "frozen camera", first, f"its picture stays the same from {at(seen, first)} to "
                       f"{at(seen, last)} while the robot moves: cut that out")


def _frozen_poses(seen: Seen) -> Iterator[Finding]:
    """The very same pose while all of the picture changes."""
    assert seen.poses is not None
    still = np.asarray((np.abs(np.diff(seen.poses, axis=0)) < STILL).all(axis=1))
    for first, end in runs(still):
        inside = [pair for pair in seen.pairs if first <= pair.frame < end]
        if len(inside) < FEW or not _lasts(seen, first, end):
            continue
        change = np.median([_change(pair.before, pair.after)[0] for pair in inside])
        later = [kept_patches(inside[0].before, pair.after) for pair in inside[len(inside) // 2 :]]
        if change > CHANGED and np.median(later) < KEPT and max(later) < KEPT_EVER:
            yield _finding(seen, "frozen poses", first, f"its pose stays the same from {at(seen, first)} to "
                           f"{at(seen, end)} while its pictures change: cut that out if its poses froze")
            return


def _change(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """(median, mean) change of grey levels, brightness of the whole aside."""
    change = np.abs((after - after.mean()) - (before - before.mean()))
    return float(np.median(change)), float(change.mean())


def kept_patches(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the patches with something on them that look alike in both pictures; 1 where there are too few."""
    kept, textured = 0, 0
    for rows in np.array_split(np.arange(before.shape[0]), _PATCHES):
        for columns in np.array_split(np.arange(before.shape[1]), _PATCHES):
            a, b = (part[np.ix_(rows, columns)].ravel() for part in (before, after))
            if a.std() > _TEXTURE:
                textured += 1
                kept += b.std() > 1e-6 and float(np.corrcoef(a, b)[0, 1]) > _ALIKE
    return kept / textured if textured >= _PATCHES else 1.0


def _moved(seen: Seen, first: int, last: int) -> bool:
    assert seen.poses is not None
    part = seen.poses[first : last + 1]
    metres = np.linalg.norm(np.diff(part[:, :2], axis=0), axis=1).sum()
    return bool(metres > MOVED or np.abs(wrap_angle(np.diff(part[:, 2]))).sum() > MOVED)


def _lasts(seen: Seen, first: int, last: int) -> bool:
    return bool(seen.seconds[last] - seen.seconds[first] >= FROZEN_FOR)


# --- turns --------------------------------------------------------------------------------------------------------


def _turns(seen: Seen) -> Iterator[Finding]:
    """When the robot turns left, what it sees moves to the right."""
    votes = turn_votes(seen)
    if len(votes) >= VOTES and votes.mean() < AGAINST:
        yield _finding(seen, "yaw", 0, f"its pictures turn the other way than its yaw in {1 - votes.mean():.0%} of "
                       f"{len(votes)} turns: its yaw has the wrong sign (it must grow counter-clockwise), or its "
                       "pictures are mirrored; mend that and import it again")


def turn_votes(seen: Seen) -> np.ndarray:
    """[N] bool, of pairs whose turn shows clearly: whether pictures and yaw agree about its direction."""
    assert seen.poses is not None
    turns = np.asarray(wrap_angle(np.diff(seen.poses[:, 2])))
    votes = []
    for pair in seen.pairs:
        if abs(turns[pair.frame]) > TURN:
            shift, clarity = _shift(pair)
            if clarity > CLEAR and abs(shift) > 0.5:
                votes.append((shift > 0) == (turns[pair.frame] > 0))
    return np.array(votes, dtype=bool)


def _shift(pair: Pair) -> tuple[float, float]:
    """(pixels to the right by which the picture moved, how clear that is 0..1)."""
    height, width = pair.before.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    before, after = (part - cv2.GaussianBlur(part, (0, 0), BLUR) for part in (pair.before, pair.after))
    (x, _), clarity = cv2.phaseCorrelate(before, after, window)
    return x, clarity

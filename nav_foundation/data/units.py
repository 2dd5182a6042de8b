"""Units, measured: how far a robot gets from frame to frame when it simply drives.

Networks are trained in units of that step, so it is measured on the data and never typed in by hand.
"""

from __future__ import annotations

import numpy as np

from nav_foundation.geometry import wrap_angle

_STRAIGHT = 0.05  # rad of turning between two frames below which a robot drives straight
_MOVING = 0.2  # of the fast steps' length; slower ones are starts, stops and stand-stills
_LEAST = 5  # steps without which nothing can be said


def cruising_step(poses: np.ndarray) -> float | None:
    """Metres per frame while driving straight ahead, of poses [T, 3]; None when the robot hardly does."""
    return typical_step([poses])


def typical_step(drives: list[np.ndarray]) -> float | None:
    """The same over several drives [T, 3]: the median step of those that go straight ahead at no mean speed."""
    steps = np.concatenate([_straight_steps(poses) for poses in drives]) if drives else np.zeros(0)
    if len(steps) < _LEAST:
        return None
    moving = steps[steps > _MOVING * np.quantile(steps, 0.9)]
    return float(np.median(moving)) if len(moving) >= _LEAST and np.median(moving) > 1e-4 else None


def _straight_steps(poses: np.ndarray) -> np.ndarray:
    """Lengths [N] of the steps that go forward without a turn."""
    if len(poses) < 2:
        return np.zeros(0)
    delta, turn = np.diff(poses[:, :2], axis=0), np.abs(wrap_angle(np.diff(poses[:, 2])))
    heading = poses[:-1, 2] + 0.5 * wrap_angle(np.diff(poses[:, 2]))
    ahead = delta[:, 0] * np.cos(heading) + delta[:, 1] * np.sin(heading)
    return np.asarray(ahead[(turn < _STRAIGHT) & (ahead > 0)])


def measured_actions(poses: np.ndarray, stamps_ns: np.ndarray) -> np.ndarray:
    """[T, 2] m/s and rad/s that poses [T, 3] show, from each frame to the next; the last one repeats."""
    if len(poses) < 2:
        return np.zeros((len(poses), 2))
    seconds = np.diff(stamps_ns) / 1e9
    turn = np.asarray(wrap_angle(np.diff(poses[:, 2])))
    heading = poses[:-1, 2] + 0.5 * turn
    delta = np.diff(poses[:, :2], axis=0)
    ahead = delta[:, 0] * np.cos(heading) + delta[:, 1] * np.sin(heading)
    rates = np.column_stack([ahead / seconds, turn / seconds])
    return np.vstack([rates, rates[-1:]])

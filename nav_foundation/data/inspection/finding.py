"""A finding: one thing about an episode that ought to be looked at before anything is learnt from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nav_foundation.data.inspection.look import Seen


@dataclass(frozen=True)
class Finding:
    kind: str  # a few words, the same for all findings of the kind
    episode: int
    frame: int  # where it begins
    text: str  # one sentence: what, where, what to do

    def as_json(self) -> dict[str, str | int]:
        return {"kind": self.kind, "episode": self.episode, "frame": self.frame, "text": self.text}


def at(seen: Seen, frame: int) -> str:
    """`frame 12 (2.4 s)`."""
    return f"frame {frame} ({seen.seconds[frame]:.1f} s)"


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """(first, end) of every stretch of True in flags [N]; end is the first one after it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]

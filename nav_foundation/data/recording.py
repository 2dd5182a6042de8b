"""What recording needs that is no drive yet: what held when, pictures at a rate, and a thread that writes."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from nav_foundation.data.schema import EpisodeData, EpisodeInfo
from nav_foundation.data.writer import DatasetWriter
from nav_foundation.types import NANOSECONDS

T = TypeVar("T")
_EARLY, _LATE = 0.25, 0.5  # of a period that a picture may come before its time, and after
_MOST_WAITING = 3  # episodes; their pictures are in memory


class Past(Generic[T]):
    """What held when: values, each from its stamp on until the next one's."""

    def __init__(self, seconds: float) -> None:
        self._longest = round(seconds * NANOSECONDS)
        self._entries: deque[tuple[int, T]] = deque()

    def add(self, stamp_ns: int, value: T) -> None:
        """Stamps may repeat, and otherwise increase."""
        if self._entries and self._entries[-1][0] == stamp_ns:
            self._entries.pop()
        self._entries.append((stamp_ns, value))
        while len(self._entries) > 1 and self._entries[1][0] < stamp_ns - self._longest:
            self._entries.popleft()

    def at(self, stamp_ns: int) -> tuple[int, T] | None:
        """The value at a time, and since when it was told."""
        return next((entry for entry in reversed(self._entries) if entry[0] <= stamp_ns), None)

    def clear(self) -> None:
        self._entries.clear()


class Ticks:
    """Chooses pictures so that they come at a rate: each a little early or late, on average right."""

    def __init__(self, rate: float) -> None:
        self._period = round(NANOSECONDS / rate)
        self._due: int | None = None

    def take(self, stamp_ns: int) -> bool:
        if self._due is not None and stamp_ns < self._due - _EARLY * self._period:
            return False
        due = stamp_ns if self._due is None else self._due
        # What came later is not caught up with: pictures would crowd after a hole.
        self._due = max(due, stamp_ns - round(_LATE * self._period)) + self._period
        return True

    def clear(self) -> None:
        self._due = None


class Keeper:
    """Writes episodes to a dataset, a new one or one that grows, in a thread of its own.

    What cannot be written is said to `tell`, by that thread, and the next episode is tried again.
    """

    def __init__(self, folder: Path, rate: float, tell: Callable[[str], None] = lambda sentence: None) -> None:
        self._folder, self._rate, self._tell = folder, rate, tell
        self._writer: DatasetWriter | None = DatasetWriter(folder, rate, resume=True)
        self.episodes = self.frames = 0  # written
        self.refused = 0  # episodes that are lost
        self.fault = ""  # of the last episode, in words
        self._inbox: queue.Queue[tuple[EpisodeInfo, EpisodeData] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)
        self._thread.start()

    def __call__(self, info: EpisodeInfo, data: EpisodeData) -> None:
        """Have an episode written; this does not wait for it."""
        try:
            self._inbox.put_nowait((info, data))
        except queue.Full:
            self._refuse(f"{self._folder} is written to too slowly: an episode of {len(data.images)} frames is lost")

    def close(self, patience: float) -> bool:
        """Write what waits; whether that was done within so many seconds."""
        try:
            self._inbox.put(None, timeout=patience)
        except queue.Full:
            return False
        self._thread.join(timeout=patience)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (episode := self._inbox.get()) is not None:
            self._write(*episode)
        if self._writer is not None:
            self._writer.close()

    def _write(self, info: EpisodeInfo, data: EpisodeData) -> None:
        try:
            if self._writer is None:
                self._writer = DatasetWriter(self._folder, self._rate, resume=True)
            self._writer.add(info, data)
        except Exception as error:  # whatever it is: what is driven next is to be kept
            if self._writer is not None:
                self._writer.close()  # another one takes up what is whole
                self._writer = None
            self._refuse(str(error) or type(error).__name__)
            return
        self.episodes, self.frames, self.fault = self.episodes + 1, self.frames + len(data.images), ""

    def _refuse(self, why: str) -> None:
        self.refused, self.fault = self.refused + 1, why
        self._tell(why)

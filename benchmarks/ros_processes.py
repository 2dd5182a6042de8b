"""`nav-foundation robot` with its nodes as processes, beside others: started, ended, and what they use. For Linux."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_PAGE, _TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
_PATIENCE = 12.0  # s for a process to end when it is told to
_SETTLED = 0.3  # share of a run after which memory should not grow any more


@dataclass(frozen=True)
class Usage:
    at: float  # s
    pid: int
    processor: float  # s of a core, since the process began
    memory: float  # MB that are resident


def fields(pid: int) -> list[str]:
    """Of /proc/PID/stat, from the state on, which is the third one there. OSError once it has ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def usage(pid: int) -> Usage:
    told = fields(pid)
    return Usage(time.monotonic(), pid, (int(told[11]) + int(told[12])) / _TICKS, int(told[21]) * _PAGE / 1e6)


class Robot:
    """`nav-foundation robot` with its nodes, and other processes by name."""

    def __init__(self, options: Sequence[str], others: Mapping[str, Sequence[str]], log: Path) -> None:
        self.log = log
        words = ["-m", "nav_foundation.cli", "robot", *options]
        with log.open("ab") as file:
            self._own = {
                name: subprocess.Popen([sys.executable, *told], stdout=file, stderr=subprocess.STDOUT)
                for name, told in {"robot": words, **others}.items()
            }

    def pids(self) -> dict[str, int]:
        """Of all that run now, by the names of their nodes."""
        found = {name: own.pid for name, own in self._own.items() if name != "robot" and own.poll() is None}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                told = (place / "cmdline").read_bytes().decode().split("\0")  # python -m nav_foundation.cli node NAME
                if len(told) > 4 and int(fields(int(place.name))[1]) == self._own["robot"].pid:
                    found[told[4]] = int(place.name)
        return found

    def close(self) -> None:
        for number in (signal.SIGCONT, signal.SIGINT):
            for own in self._own.values():
                own.send_signal(number)
        for own in self._own.values():
            with suppress(subprocess.TimeoutExpired):
                own.wait(_PATIENCE)
            own.kill()  # nothing, where it has ended; nodes end by themselves without their supervisor
            own.wait()


@contextmanager
def running(options: Sequence[str], others: Mapping[str, Sequence[str]], log: Path) -> Iterator[Robot]:
    robot = Robot(options, others, log)
    try:
        yield robot
    except BaseException:
        print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
        raise
    finally:
        robot.close()


class Meter:
    """What processes use, noted once a second or so."""

    def __init__(self) -> None:
        self.noted: dict[str, list[Usage]] = {}

    def note(self, pids: Mapping[str, int]) -> None:
        for name, pid in pids.items():
            with suppress(OSError):
                self.noted.setdefault(name, []).append(usage(pid))

    def share(self, name: str) -> float:
        """% of a core."""
        first, last = self.noted[name][0], self.noted[name][-1]
        return 100.0 * (last.processor - first.processor) / max(last.at - first.at, 1e-9)

    def growth(self, name: str) -> float:
        """MB/s, once it has settled; of a process that was started anew, since then."""
        noted = self.noted[name]
        return growth([one for one in noted if one.pid == noted[-1].pid])

    def restarts(self, name: str) -> int:
        return len({noted.pid for noted in self.noted[name]}) - 1

    def span(self, name: str) -> str:
        return f"{self.noted[name][0].memory:.1f} to {self.noted[name][-1].memory:.1f} MB"


def growth(noted: Sequence[Usage]) -> float:
    """MB/s by which memory grows after the first part of a run: the slope of a line through it."""
    settled = noted[int(_SETTLED * len(noted)) :]
    if len(settled) < 2:
        return float("nan")
    slope, _ = np.polyfit([one.at - settled[0].at for one in settled], [one.memory for one in settled], 1)
    return round(float(slope), 9) + 0.0

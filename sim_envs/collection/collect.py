"""Collecting: drives by many processes or machines into one dataset, written in the order of their numbers.

This process alone writes. Beside the dataset lies `meta/collection.jsonl`: the settings, then the numbers that gave no
drive and why. Whatever is killed, the same command goes on with the first number that is in neither.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.layout import NAVIGATION
from nav_foundation.data.schema import DataError
from nav_foundation.data.writer import DatasetWriter
from sim_envs.collection.drives import Collector, Drive, scene_at, scenes_of
from sim_envs.collection.settings import CollectSettings
from sim_envs.workers import run_jobs

Engine = Literal["processes", "ray"]
RETRIES = 3  # of a drive whose process died
AHEAD = 4  # groups per worker that may be begun beyond the oldest unfinished one, so that few results wait in memory
NOTES = "meta/collection.jsonl"
_FIRST_LINE, _OTHER_LINES = {"digest": str, "settings": dict}, {"index": int, "error": str}


@dataclass(frozen=True)
class Collected:
    folder: Path
    new_frames: int
    seconds: float  # for the new ones
    failures: dict[int, str]  # numbers that gave no drive, of all runs


def collect(
    settings: CollectSettings, out: Path, workers: int = 1, engine: Engine = "processes", progress: bool = True
) -> Collected:
    """Make the drives that `out` lacks, and add them to it."""
    if workers < 1:
        raise ValueError(f"workers is {workers}: give 1 or more")
    begin, new_frames = time.perf_counter(), 0
    with DatasetWriter(out, settings.frame_rate, resume=True) as writer, Notes(out, settings, writer.episodes) as notes:
        done = notes.done
        missing = [index for index in range(settings.episodes) if index not in done]
        bar = tqdm(total=settings.episodes, initial=settings.episodes - len(missing), unit="drive", dynamic_ncols=True,
                   disable=None if progress else True, desc=f"collecting into {out}")
        with bar, closing(_results(settings, missing, workers, engine)) as results:
            for index, drive in in_order(results, missing):
                if isinstance(drive, str):
                    notes.add(index, drive)
                else:
                    writer.add(*drive)
                    new_frames += len(drive[1].images)
                bar.set_postfix_str(f"{new_frames / (time.perf_counter() - begin):.0f} frames/s", refresh=False)
                bar.update()
        if writer.episodes == 0:
            reason = next(iter(notes.failures.values()), "")
            raise DataError(f"none of {settings.episodes} drives could be made; the first one: {reason}")
    return Collected(out, new_frames, time.perf_counter() - begin, notes.failures)


class Notes:
    """The file beside the dataset that says what is collected and what failed."""

    def __init__(self, folder: Path, settings: CollectSettings, episodes: int) -> None:
        self._path = folder / NOTES
        self.failures: dict[int, str] = {}
        identity: dict[str, Any] = {"digest": settings.digest, "settings": settings.identity()}
        lines: list[dict[str, Any]] = self._lines()
        if not lines:
            if episodes:
                raise DataError(f"{folder} holds a dataset that was not collected: name another folder")
            self._path.write_text("")  # may hold a line cut short
        elif lines[0]["digest"] != identity["digest"]:
            raise DataError(_difference(folder, lines[0]["settings"], identity["settings"]))
        self.failures = {line["index"]: line["error"] for line in lines[1:]}
        self.done = set(self.failures) | set(_numbers(folder, episodes))
        self._file = self._path.open("a", encoding="utf-8")
        if not lines:
            self._append(identity)

    def add(self, index: int, error: str) -> None:
        self.failures[index] = error
        self._append({"index": index, "error": error})

    def _append(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _lines(self) -> list[dict[str, Any]]:
        """The whole lines; one that was cut short by a kill is removed from the file."""
        if not self._path.exists():
            return []
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self._path, len(whole))
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
            for number, line in enumerate(lines):
                for name, kind in (_OTHER_LINES if number else _FIRST_LINE).items():
                    if type(line[name]) is not kind:  # isinstance takes true for a number
                        raise TypeError
            return lines
        except (ValueError, LookupError, TypeError):
            raise DataError(f"{self._path} is damaged: collect into another folder") from None

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def in_order(results: Iterator[tuple[int, Any]], numbers: list[int]) -> Iterator[tuple[int, Any]]:
    """Results by rising number, whatever the order in which they come."""
    waiting: dict[int, Any] = {}
    expected = iter(numbers)
    following = next(expected, None)
    for number, result in results:
        waiting[number] = result
        while following in waiting:
            assert following is not None
            yield following, waiting.pop(following)
            following = next(expected, None)
    assert not waiting and following is None


def groups_of(settings: CollectSettings, numbers: list[int]) -> list[list[int]]:
    """Numbers in order, those of one scene together."""
    if settings.scenes not in ("houses", "city"):
        return [numbers[k : k + 4] for k in range(0, len(numbers), 4)]
    scenes = scenes_of(settings)
    return [list(group) for _, group in groupby(numbers, key=lambda number: str(scene_at(scenes, settings, number)))]


def _results(
    settings: CollectSettings, missing: list[int], workers: int, engine: Engine
) -> Generator[tuple[int, Drive | str], None, None]:
    groups = groups_of(settings, missing)
    if engine == "ray":
        from sim_envs.collection.ray_engine import run_on_ray

        yield from run_on_ray(settings, groups, workers, RETRIES)
        return
    yield from run_jobs(Collector, (settings,), groups, workers, retries=RETRIES, ahead=AHEAD * workers)


def _numbers(folder: Path, episodes: int) -> Iterator[int]:
    """The numbers of the drives in a dataset."""
    if not episodes:
        return
    dataset = EpisodeDataset(folder)
    for episode in range(episodes):
        notes = dataset.info(episode).notes
        if not notes or "index" not in notes:
            raise DataError(f"{folder / NAVIGATION} does not number its drives: collect into another folder")
        yield int(notes["index"])


def _difference(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> str:
    """The sentence that refuses to mix settings."""
    plain = json.loads(json.dumps(now))
    names = [name for name in plain if before.get(name) != plain[name]]
    what = ", ".join(f"{name} {before.get(name)!r}" for name in names[:3] if name != "robot") or "another robot"
    return f"{folder} was collected with other settings ({what}): use those, or name another folder"

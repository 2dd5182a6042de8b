"""Import: drives in, a dataset and a report out. Each episode is on the disk before the next one is begun."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, overload

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import decode_depth, size_of
from nav_foundation.data.importing.cut import ImportRules, cut
from nav_foundation.data.importing.drive import Drive, LeftOut
from nav_foundation.data.importing.report import ImportReport, Tally
from nav_foundation.data.layout import INFO
from nav_foundation.data.schema import DEPTH, FRONT, LABEL_PLAN, LABEL_POSE, DataError, EpisodeData, EpisodeInfo, Labels
from nav_foundation.data.units import cruising_step, typical_step
from nav_foundation.data.writer import DatasetWriter

_SPEEDS = (0.01, 15.0)  # m/s of cruising that ground robots have; positions that say otherwise are not metres
_IN_MEMORY = 64 << 20  # bytes of an episode's pictures; more wait in a temporary file
_LARGEST = 512 << 20  # bytes of an episode's pictures; more become several, as writing takes them all at once
_KNOWN = "of episodes that the dataset has already"

Episode = tuple[EpisodeInfo, EpisodeData]
_Extras = tuple[bool, int, bool]  # whether there is depth, the length of labelled plans or 0, whether true poses


def import_drives(
    drives: Iterable[Drive], out: Path, rules: ImportRules, *, append: bool = False, video: bool = False
) -> ImportReport:
    """Cut the drives and write their episodes to `out`: a new folder, or with `append` one that holds a dataset.

    Appending the same drives again, say after a crash, adds only the episodes that are missing.
    """
    if not append and (out / INFO).exists():
        raise DataError(f"{out} holds a dataset already: name another folder, or add to it with --append")
    drives = iter(drives)
    if (first := next(drives, None)) is None:
        raise DataError("the sources hold no drive: see what the format's --help expects of them")
    _check_scale(first, rules)  # before anything is written
    tally = Tally(rules)
    known = _known_episodes(out) if append else {}
    size, extras = (_picture_size(out), _known_extras(out)) if append else (None, None)
    with DatasetWriter(out, rules.frame_rate, resume=append, video=video) as writer:
        for drive in chain([first], drives):
            _check_scale(drive, rules)
            result = cut(drive, rules)
            tally.begin(drive, result)
            for info, data in _with_progress(result.episodes, drive.name):
                if known.get(_key(info, data)) == len(data.images):
                    tally.leave_out("frames", len(data.images), _KNOWN)
                    continue
                matched, lost = _matched(data, extras)
                for entry in lost:
                    tally.leave_out(entry.what, entry.count, entry.why)
                if matched is None:
                    continue
                with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
                    pieces, size, lost = _settled(info, matched, rules, size, spool)
                    for entry in lost:
                        tally.leave_out(entry.what, entry.count, entry.why)
                    for piece in pieces:
                        if _key(*piece) in known:
                            tally.leave_out("frames", len(piece[1].images), _KNOWN)
                            continue
                        writer.add(*piece)
                        extras = extras or _extras(piece[1])
                        tally.add(*piece)
    return tally.report(out)


def _check_scale(drive: Drive, rules: ImportRules) -> None:
    """Refuse positions that are not metres unless the rules say what they are."""
    if not drive.has_scale and rules.scale is None:
        raise DataError(
            f"{drive.name}: its positions have no scale: give the metres per unit with --scale (1 if they are metres)"
        )
    steps = np.diff(drive.pose_stamps_ns)
    step = typical_step([drive.poses * (rules.scale or 1.0, rules.scale or 1.0, 1.0)]) if len(steps) else None
    if step is None:
        return
    speed = step / (float(np.median(steps)) / 1e9)
    if not _SPEEDS[0] <= speed <= _SPEEDS[1]:
        raise DataError(
            f"{drive.name}: its poses cruise at {speed:.3g} m/s, so they are not in metres: give --scale, the metres "
            f"per unit{' (the one given is wrong)' if rules.scale else ''}"
        )


def _with_progress(episodes: Sequence[Episode], name: str) -> Iterator[Episode]:
    """The episodes, with a bar in frames for whoever watches."""
    from tqdm import tqdm

    with tqdm(total=sum(len(data.images) for _, data in episodes), desc=name[-40:], unit="frame", disable=None) as bar:
        for episode in episodes:
            yield episode
            bar.update(len(episode[1].images))


def _key(info: EpisodeInfo, data: EpisodeData) -> tuple[str, str, int]:
    return info.source, json.dumps(info.notes, sort_keys=True, default=str), int(data.stamps_ns[0])


def _known_episodes(out: Path) -> dict[tuple[str, str, int], int]:
    """How many frames they have."""
    if not (out / INFO).exists():
        return {}
    dataset = EpisodeDataset(out)
    found = {}
    for episode in np.flatnonzero(dataset.readable).tolist():
        info = dataset.info(episode)
        notes = json.dumps(info.notes, sort_keys=True, default=str)
        found[info.source, notes, int(dataset.stamps_ns(episode)[0])] = int(dataset.lengths[episode])
    return found


def _picture_size(out: Path) -> tuple[int, int] | None:
    """(height, width) that a dataset's pictures have."""
    if not (out / INFO).exists():
        return None
    feature = EpisodeDataset(out).features.get(FRONT)
    return None if feature is None else (int(feature["shape"][0]), int(feature["shape"][1]))


def _chosen(labels: Labels, frames: np.ndarray) -> Labels:
    poses = None if labels.poses is None else labels.poses[frames]
    return Labels(labels.goals[frames], labels.plans[frames], labels.distances[frames], poses)


def _extras(data: EpisodeData) -> _Extras:
    labels = data.labels
    if labels is None:
        return data.depth is not None, 0, False
    return data.depth is not None, labels.plans.shape[1], labels.poses is not None


def _known_extras(out: Path) -> _Extras | None:
    """What a dataset's episodes have, if it has any."""
    if not (out / INFO).exists() or not (dataset := EpisodeDataset(out)).episodes:
        return None
    features = dataset.features
    return DEPTH in features, int(features.get(LABEL_PLAN, {"shape": [0]})["shape"][0]), LABEL_POSE in features


def _matched(data: EpisodeData, dataset: _Extras | None) -> tuple[EpisodeData | None, list[LeftOut]]:
    """The episode with no more than the dataset's other ones have; None if it has less."""
    if dataset is None or _extras(data) == dataset:
        return data, []
    left, count, why = [], len(data.images), "that the dataset's other episodes lack"
    if data.depth is not None and not dataset[0]:
        left.append(LeftOut("depth images", count, why))
        data = replace(data, depth=None)
    if data.labels is not None and not dataset[1]:
        left.append(LeftOut("labels", count, why))
        data = replace(data, labels=None)
    if data.labels is not None and data.labels.poses is not None and not dataset[2]:
        left.append(LeftOut("true poses", count, why))
        data = replace(data, labels=replace(data.labels, poses=None))
    if _extras(data) == dataset:
        return data, left
    why = "without the depth, labels or true poses that the dataset's other episodes have: import them elsewhere"
    return None, [LeftOut("frames", count, why)]


class _Spooled(Sequence[bytes]):
    """Files one after the other in an open file."""

    def __init__(self, file: Any, places: Sequence[tuple[int, int]]) -> None:
        self._file, self._places = file, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> _Spooled: ...
    def __getitem__(self, index: int | slice) -> bytes | _Spooled:
        if isinstance(index, slice):
            return _Spooled(self._file, self._places[index])
        start, length = self._places[index]
        self._file.seek(start)
        return bytes(self._file.read(length))


def _settled(
    info: EpisodeInfo, data: EpisodeData, rules: ImportRules, size: tuple[int, int] | None, spool: Any
) -> tuple[list[Episode], tuple[int, int] | None, list[LeftOut]]:
    """The episode with its pictures read, without the broken ones, which may leave it in pieces, as may too many bytes
    of pictures; and their size.

    A picture must not turn out to be broken when its episode is half written.
    """
    places: list[tuple[int, int]] = []
    kept: list[int] = []
    lost: dict[str, int] = {}
    for frame in range(len(data.images)):
        try:
            file = data.images[frame]
            found = size_of(file)
            size = size or found
            if found != size:
                (height, width), (h, w) = found, size
                raise DataError(f"of {width}x{height} pixels where the dataset has {w}x{h}: import them elsewhere")
            if data.depth is not None and decode_depth(data.depth[frame]).shape != found:
                raise DataError("whose depth image has another size")
        except DataError as error:
            lost[str(error)] = lost.get(str(error), 0) + 1
            continue
        places.append((spool.tell(), len(file)))
        spool.write(file)
        kept.append(frame)
    left = [LeftOut("pictures", count, why) for why, count in lost.items()]
    ends = _ends(data.stamps_ns[kept], np.array([length for _, length in places]), rules)
    if not lost and not len(ends):
        return [(info, replace(data, images=_Spooled(spool, places)))], size, left
    pieces: list[Episode] = []
    for part in np.split(np.arange(len(kept)), ends):
        if len(part) < rules.min_frames:
            left += [LeftOut("pictures", len(part), f"in pieces shorter than {rules.min_frames} frames")]
            continue
        frames = np.array(kept)[part]
        images = _Spooled(spool, [places[k] for k in part.tolist()])
        piece = EpisodeData(
            images, data.stamps_ns[frames], data.poses[frames], None if data.actions is None else data.actions[frames],
            None if data.depth is None else [data.depth[k] for k in frames.tolist()],
            None if data.labels is None else _chosen(data.labels, frames),
        )
        pieces.append((replace(info, cruising_step=cruising_step(piece.poses)), piece))
    return pieces, size, [entry for entry in left if entry.count]


def _ends(stamps: np.ndarray, sizes: np.ndarray, rules: ImportRules) -> np.ndarray:
    """Where pieces of an episode end: at holes, and so that none has too many bytes of pictures."""
    so_far = np.cumsum(sizes, dtype=np.float64)
    parts = np.ceil(so_far[-1] / _LARGEST) if len(sizes) else 1.0
    part = np.ceil(so_far * parts / so_far[-1]) if parts > 1 else np.ones(len(sizes))
    return np.asarray(np.flatnonzero((np.diff(stamps) > rules.hole_ns) | (np.diff(part) > 0)) + 1)

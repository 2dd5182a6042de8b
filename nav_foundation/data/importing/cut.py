"""Cut a drive into episodes: one picture per tick of the frame rate, a pose for each, and nothing left out unsaid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from nav_foundation.data.importing.drive import Drive, LeftOut
from nav_foundation.data.importing.pictures import ImageFormat, Pictures, smaller_camera
from nav_foundation.data.schema import DataError, EpisodeData, EpisodeInfo, Labels
from nav_foundation.data.units import cruising_step
from nav_foundation.geometry import poses_at, wrap_angle
from nav_foundation.robot import RobotSpec

_FASTEST = 10.0  # m/s; without a robot spec, poses further apart than that are a jump
_JUMP = 0.1  # m; shorter jumps are the noise of odometry with uneven stamps
_OTHER_RATE = 0.1  # relative; smaller differences are an uneven clock
_BACKWARD = 0.05  # m/s; slower ones are noise
_STILL_SPEED, _STILL_TURN = 0.03, 0.05  # m/s, rad/s; below both a robot stands


@dataclass(frozen=True)
class ImportRules:
    """How drives become episodes."""

    frame_rate: float = 5.0  # Hz of the episodes
    max_gap: float = 1.0  # s; a longer hole in pictures or poses starts a new episode
    stand_still: Literal["keep", "trim"] = "keep"
    stand_still_limit: float = 3.0  # s that "trim" leaves of a longer stand-still
    reverse: Literal["cut", "keep"] = "cut"  # backward motion ends an episode and is left out, or is kept
    min_length: float = 0.0  # s; shorter episodes are left out
    max_length: float = 600.0  # s; longer drives become several episodes, whose pictures must fit into memory
    min_frames: int = 2
    scale: float | None = None  # metres per unit of position; None = the positions are metres
    robot: RobotSpec | None = None
    image_limit: int | None = None  # pixels of the longer side; larger pictures are made smaller
    image_format: ImageFormat = "jpeg"  # for pictures that the source does not have as files

    def __post_init__(self) -> None:
        for name in ("frame_rate", "max_gap", "max_length", "stand_still_limit", "scale", "image_limit", "min_frames"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise DataError(f"{name} is {value}: give a number above 0")
        if not (math.isfinite(self.min_length) and self.min_length >= 0):
            raise DataError(f"min_length is {self.min_length}: give seconds, 0 or more")

    @property
    def hole_ns(self) -> float:
        """A longer hole starts a new episode; between two frames at the frame rate there is none."""
        return max(self.max_gap, 1.5 / self.frame_rate) * 1e9


@dataclass(frozen=True)
class Cut:
    """The episodes of one drive. Its pictures = the frames of `episodes` + the pictures of `left_out`."""

    episodes: tuple[tuple[EpisodeInfo, EpisodeData], ...]
    left_out: tuple[LeftOut, ...]  # of what cut() saw; not Drive.left_out
    gaps: int = 0  # holes in pictures or poses
    teleports: int = 0
    source_rate: float | None = None  # Hz of the source's pictures; None without a clock


class _Ledger:
    """Which pictures are still in, and why the others are not."""

    def __init__(self, count: int) -> None:
        self.kept = np.ones(count, dtype=bool)
        self._reasons: dict[str, int] = {}

    def leave_out(self, which: np.ndarray, why: str) -> None:
        """`which`: a mask of all pictures."""
        which = which & self.kept
        if which.any():
            self._reasons[why] = self._reasons.get(why, 0) + int(which.sum())
            self.kept &= ~which

    def entries(self) -> tuple[LeftOut, ...]:
        return tuple(LeftOut("pictures", count, why) for why, count in self._reasons.items())


@dataclass(frozen=True)
class _Track:
    """The drive's poses in metres, and where they cannot be interpolated."""

    stamps: np.ndarray  # [M] int64 ns, increasing
    poses: np.ndarray  # [M, 3]
    holes: np.ndarray  # [M - 1] bool: no pose for too long
    jumps: np.ndarray  # [M - 1] bool: faster than any robot

    def at(self, stamps: np.ndarray) -> np.ndarray:
        return poses_at(stamps, self.stamps, self.poses)


def cut(drive: Drive, rules: ImportRules) -> Cut:
    """Resample a drive to the frame rate and cut it where it is not continuous."""
    stamps, ledger = drive.picture_stamps_ns, _Ledger(len(drive.pictures))
    ledger.leave_out(~_increasing(stamps), "stamps that do not increase")
    track = _track(drive, rules)
    rate = _rate(stamps[ledger.kept])
    run, gaps = _runs(stamps, track, rules, ledger)
    if drive.has_clock and rate is not None and abs(rate / rules.frame_rate - 1.0) > 0.01:
        for number in np.unique(run[ledger.kept]):
            of_run = np.flatnonzero(ledger.kept & (run == number))
            skipped = np.zeros(len(stamps), dtype=bool)
            skipped[of_run[~_on_ticks(stamps[of_run], 1e9 / rules.frame_rate)]] = True
            ledger.leave_out(skipped, f"between the ticks of {rules.frame_rate:g} frames per second")
    pieces = [
        part for piece in _pieces(stamps, run, track, rules, ledger) for part in _parts(piece, stamps, rules.max_length)
    ]
    drive, unfit = _fitting(drive, rules, rate)
    episodes = tuple(
        _episode(drive, rules, track, piece, number if len(pieces) > 1 else None) for number, piece in enumerate(pieces)
    )
    return Cut(
        episodes, (*ledger.entries(), *unfit), gaps=gaps, teleports=int(track.jumps.sum()),
        source_rate=rate if drive.has_clock else None,
    )


def _parts(piece: np.ndarray, stamps: np.ndarray, longest: float) -> list[np.ndarray]:
    """Pictures [N] of an episode in parts of about equal length, none much longer than `longest` s."""
    seconds = (stamps[piece[-1]] - stamps[piece[0]]) / 1e9
    return np.array_split(piece, math.ceil(seconds / longest)) if seconds > longest else [piece]


def _fitting(drive: Drive, rules: ImportRules, rate: float | None) -> tuple[Drive, list[LeftOut]]:
    """The drive without labels and depth that its episodes cannot have, and those."""
    left, count = [], len(drive.pictures)
    if drive.labels is not None and rate is not None and abs(rate / rules.frame_rate - 1.0) > _OTHER_RATE:
        left.append(LeftOut("labels", count, "whose plans are at another frame rate"))
        drive = replace(drive, labels=None)
    if drive.depth is not None and rules.image_limit is not None:
        left.append(LeftOut("depth images", count, "of pictures that may be made smaller"))
        drive = replace(drive, depth=None)
    return drive, left


def _rate(stamps: np.ndarray) -> float | None:
    """Pictures per second; the median is not moved by dropped ones."""
    return float(1e9 / np.median(np.diff(stamps))) if len(stamps) > 1 else None


def _increasing(stamps: np.ndarray) -> np.ndarray:
    """Mask [N] of the stamps that are later than all before them."""
    if len(stamps) == 0:
        return np.zeros(0, dtype=bool)
    return np.concatenate([[True], np.diff(np.maximum.accumulate(stamps)) > 0])


def _track(drive: Drive, rules: ImportRules) -> _Track:
    usable = np.isfinite(drive.poses).all(axis=1)
    stamps, poses = drive.pose_stamps_ns[usable], drive.poses[usable] * (rules.scale or 1.0, rules.scale or 1.0, 1.0)
    later = _increasing(stamps)
    stamps, poses = stamps[later], poses[later]
    robot = rules.robot or drive.info.robot
    fastest = 3.0 * robot.max_speed if robot else _FASTEST
    apart, time = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1), np.diff(stamps)
    jumps = apart > np.maximum(fastest * time / 1e9, _JUMP)
    return _Track(stamps, poses, (time > rules.hole_ns) & ~jumps, jumps)


def _runs(stamps: np.ndarray, track: _Track, rules: ImportRules, ledger: _Ledger) -> tuple[np.ndarray, int]:
    """[N] the number of the continuous run that each picture is in, and how many holes lie between runs.

    Pictures without a pose are left out.
    """
    before = np.searchsorted(track.stamps, stamps, side="right") - 1
    last = len(track.stamps) - 1
    outside = (before < 0) | (stamps > (track.stamps[-1] if last >= 0 else 0))
    ledger.leave_out(outside, "before the first or after the last pose")
    if last < 0:
        return np.zeros(len(stamps), dtype=np.int64), 0
    inside = stamps != track.stamps[before]  # on a pose there is nothing to interpolate
    here = np.clip(before, 0, max(last - 1, 0))
    if last > 0:
        ledger.leave_out(inside & track.holes[here], "in a hole in the poses")
        ledger.leave_out(inside & track.jumps[here], "while the poses jump")
    kept = np.flatnonzero(ledger.kept)
    holes, jumps = (
        np.diff(np.concatenate([[0], np.cumsum(of)])[before[kept]]) > 0 for of in (track.holes, track.jumps)
    )
    holes |= np.diff(stamps[kept]) > rules.hole_ns
    run = np.zeros(len(stamps), dtype=np.int64)
    run[kept[1:]] = np.cumsum(holes | jumps)
    return run, int(holes.sum())


def _on_ticks(stamps: np.ndarray, period_ns: float) -> np.ndarray:
    """Mask [N] of the pictures nearest to the ticks that start at the first one; at most one per tick."""
    ticks = (stamps - stamps[0]) / period_ns
    nearest = np.floor(ticks + 0.5)
    away = np.abs(ticks - nearest)
    order = np.lexsort((away, nearest))
    first = np.concatenate([[True], np.diff(nearest[order]) > 0])
    chosen = np.zeros(len(stamps), dtype=bool)
    chosen[order[first]] = True
    return np.asarray(chosen & (away < 0.4999))  # halfway between two ticks a picture belongs to neither


def _pieces(
    stamps: np.ndarray, run: np.ndarray, track: _Track, rules: ImportRules, ledger: _Ledger
) -> list[np.ndarray]:
    """The pictures of each episode, as numbers."""
    frames = np.flatnonzero(ledger.kept)
    if len(frames) == 0:
        return []
    when, poses = stamps[frames], track.at(stamps[frames])
    same_run = np.concatenate([np.diff(run[frames]) == 0, [False]])
    backward, still = _motion(when, poses, same_run)
    if rules.reverse == "keep":
        backward[:] = False
    ledger.leave_out(_mask(frames[backward], len(stamps)), "backward motion")
    if rules.stand_still == "trim":
        trimmed = _beyond(still, same_run, when, rules.stand_still_limit * 1e9)
        ledger.leave_out(_mask(frames[trimmed], len(stamps)), f"standing still beyond {rules.stand_still_limit:g} s")
    stretch = run[frames] * (len(frames) + 1) + np.cumsum(backward)  # a number that backward motion changes, too
    left = ledger.kept[frames]
    frames, when, stretch = frames[left], when[left], stretch[left]
    ends = np.flatnonzero((np.diff(stretch) != 0) | (np.diff(when) > rules.hole_ns)) + 1
    pieces = []
    for piece in np.split(frames, ends):
        if len(piece) < rules.min_frames or stamps[piece[-1]] - stamps[piece[0]] < rules.min_length * 1e9:
            limit = f"{rules.min_frames} frames" + (f" or {rules.min_length:g} s" if rules.min_length else "")
            ledger.leave_out(_mask(piece, len(stamps)), f"in pieces shorter than {limit}")
        else:
            pieces.append(piece)
    return pieces


def _motion(stamps: np.ndarray, poses: np.ndarray, same_run: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the robot goes backward, and whether it stands, from each frame [T] to the next of its run."""
    seconds = np.maximum(np.diff(stamps, append=stamps[-1] + 1) / 1e9, 1e-9)
    step, turn = np.diff(poses[:, :2], axis=0, append=poses[-1:, :2]), np.diff(poses[:, 2], append=poses[-1:, 2])
    turn = np.asarray(wrap_angle(turn))
    heading = poses[:, 2] + 0.5 * turn
    ahead = step[:, 0] * np.cos(heading) + step[:, 1] * np.sin(heading)
    backward = same_run & (ahead < -_BACKWARD * seconds)
    speed = np.linalg.norm(step, axis=1)
    still = same_run & (speed < _STILL_SPEED * seconds) & (np.abs(turn) < _STILL_TURN * seconds)
    return backward, still


def _beyond(still: np.ndarray, same_run: np.ndarray, stamps: np.ndarray, limit_ns: float) -> np.ndarray:
    """Mask [T] of the frames of a stand-still that lie more than the limit after its beginning."""
    # The last frame of a run stands if the robot stood on the way to it.
    ends = ~same_run & np.concatenate([[False], still[:-1]])
    still = still | ends
    starts = still & ~np.concatenate([[False], still[:-1] & same_run[:-1]])
    begun = np.maximum.accumulate(np.where(starts, np.arange(len(still)), 0))
    return np.asarray(still & (stamps - stamps[begun] > limit_ns))


def _mask(numbers: np.ndarray, count: int) -> np.ndarray:
    mask = np.zeros(count, dtype=bool)
    mask[numbers] = True
    return mask


def _episode(
    drive: Drive, rules: ImportRules, track: _Track, piece: np.ndarray, number: int | None
) -> tuple[EpisodeInfo, EpisodeData]:
    stamps = drive.picture_stamps_ns[piece]
    poses = track.at(stamps)
    actions = _actions(drive, stamps, rules)
    robot = rules.robot or drive.info.robot
    if robot is not None and rules.image_limit is not None:
        robot = replace(robot, camera=smaller_camera(robot.camera, rules.image_limit))
    info = replace(
        drive.info, robot=robot, cruising_step=cruising_step(poses),
        action_source="measured" if actions is None else "commanded",
        notes=drive.info.notes if number is None else {**(drive.info.notes or {}), "piece": number},
    )
    chosen: Sequence[int] = piece.tolist()
    images = Pictures([drive.pictures[k] for k in chosen], rules.image_limit, rules.image_format)
    depth = None if drive.depth is None else Pictures([drive.depth[k] for k in chosen], None, "png")
    return info, EpisodeData(images, stamps, poses, actions, depth, _labels(drive.labels, piece, rules.scale or 1.0))


def _labels(labels: Labels | None, piece: np.ndarray, scale: float) -> Labels | None:
    """Of these pictures, in metres."""
    if labels is None:
        return None
    metres = (scale, scale, 1.0)
    poses = None if labels.poses is None else labels.poses[piece]
    return Labels(labels.goals[piece] * metres, labels.plans[piece] * metres, labels.distances[piece] * scale, poses)


def _actions(drive: Drive, stamps: np.ndarray, rules: ImportRules) -> np.ndarray | None:
    """[T, 2] the mean command from each frame to the next; None without commands during the episode.

    Without a new command the last one holds; after `max_gap` the robot counts as no longer commanded, which is 0.
    """
    when, commands = drive.command_stamps_ns, drive.commands
    if when is None or commands is None or len(when) == 0:
        return None
    ends = np.append(stamps[1:], stamps[-1] + round(1e9 / rules.frame_rate))
    first, beyond = np.searchsorted(when, stamps, side="left"), np.searchsorted(when, ends, side="left")
    if first[0] == beyond[-1]:
        return None
    total = np.concatenate([np.zeros((1, 2)), np.cumsum(commands, axis=0)])
    count = beyond - first
    mean = (total[beyond] - total[first]) / np.maximum(count, 1)[:, None]
    last = np.maximum(first - 1, 0)
    held = np.where(((first > 0) & (stamps - when[last] <= rules.max_gap * 1e9))[:, None], commands[last], 0.0)
    single = commands[np.minimum(first, len(when) - 1)]  # exact, where a difference of sums would round
    return np.where((count == 0)[:, None], held, np.where((count == 1)[:, None], single, mean))

"""A clip: a frame of a drive, its past, pictures ahead, and goals of all kinds with what the drive did about them.

Every picture is there once, and pairs point at it, so that a network encodes it once. Some of the pictures ahead are
stands as well: places to look from, towards the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.model.config import ModelConfig
from nav_foundation.model.goals import KINDS
from nav_foundation.model.network import body_of, was_elsewhere
from nav_foundation.model.units import to_metres, to_network
from nav_foundation.training.clearance import NEAR, in_the_way, in_view, random_plans, touches, within_reach
from nav_foundation.training.drive import Drive
from nav_foundation.training.pairs import ClipRules, Pairs, frames_ahead, pairs_of
from nav_foundation.training.sight import HIDDEN, SEEN, UNKNOWN, moved
from nav_foundation.training.things import Sighting

_IMAGE, _OBJECT = KINDS.index("image"), KINDS.index("object")
WORDS = (KINDS.index("words"), _OBJECT)  # numbers of the kinds that are told in words
OWN = 0.3  # share of the plans that are asked about which are those of the pairs


@dataclass(frozen=True)
class Clip:
    pictures: np.ndarray  # [F, h, w, 3] uint8 in the canonical view: the first stand's, P of its past, goals
    depth: np.ndarray  # [F, cells] float32 m of the cells of their maps, NaN where it is not known
    stands: np.ndarray  # [S] int64, their pictures
    past: np.ndarray  # [S, P] bool, which of the past were there: for all stands but the first, none
    motion: np.ndarray  # [S, P, 5] float32, see network.History
    body: np.ndarray  # [BODY] float32
    scene: str  # where, so that pictures of other places can be told
    pairs: tuple[Pairs, ...]  # S of them
    shown: np.ndarray  # [S, Q, K, 2] float32 and
    found: np.ndarray  # [S, Q, K] int8: where a stand's picture shows what the tokens of a goal picture show
    tried: np.ndarray  # [S, Q, H, 4] float32 plans that nobody need have driven, and
    touched: np.ndarray  # [S, Q] float32 whether they touch something: 0 or 1, NaN where it is not known
    noise: np.ndarray  # [S, Q + 1, H, 4] float32 and
    time: np.ndarray  # [S, Q + 1] float32 0..1, for the flow; drawn here, so that a batch is a function of its clips


class ClipMaker:
    """Cuts clips from a dataset for a network."""

    def __init__(self, dataset: EpisodeDataset, config: ModelConfig, rules: ClipRules) -> None:
        self._dataset, self._config, self._rules = dataset, config, rules
        self._episode = lru_cache(maxsize=4096)(self._load)

    def __call__(self, episode: int, frame: int, rng: np.random.Generator) -> Clip:
        drive, rules = self._episode(episode), self._rules
        past, seen = self._past(drive, frame)
        ahead = frames_ahead(drive, frame, rules, rng)
        pictures = [drive.see(picture) for picture in self._dataset.images(episode, [frame, *past, *ahead])]
        own = drive.goal_picture()
        if own is not None:
            pictures.append(own)
        first = 1 + len(past)  # picture of the first goal
        on_drive = [(frame, 0), *((goal, first + k) for k, goal in enumerate(ahead))]
        # The nearest goal looks much like the frame itself, the farthest has no others ahead.
        stands = [on_drive[k] for k in (0, *range(2, 2 + rules.stands))]
        motion = np.zeros((len(stands), len(past), 5), np.float32)
        motion[0] = drive.motion(frame, past)
        seen &= was_elsewhere(motion[0], drive.robot.step) & (rng.random() >= rules.forgotten)
        frames = {picture: number for number, picture in on_drive}
        depths = {p: d for p, number in frames.items() if (d := self._dataset.depth(episode, number)) is not None}
        pairs = tuple(
            pairs_of(drive, stand[0], [goal for goal in on_drive if goal[1] not in (stand[1], 0)] + on_drive[:k > 0],
                     first + len(ahead) if own is not None else None, _about(drive, depths, stand), rules, rng)
            for k, stand in enumerate(stands)
        )
        shown, found = _sights(drive, depths, frames, stands, pairs)
        words = slice(self._config.text_tokens)
        _named(drive, depths, stands, pairs, shown[:, :, words], found[:, :, words])
        far = np.full((len(pictures), drive.sight.cells), np.nan, np.float32)
        for picture, depth in depths.items():
            far[picture] = drive.sight.depths(depth)
        tried, touched = _tries(drive, depths, frames, stands, pairs, rng)
        shape = (len(stands), len(pairs[0].kind) + 1, *pairs[0].waypoints.shape[1:])
        return Clip(
            np.stack(pictures), far, np.array([picture for _, picture in stands]),
            np.stack([seen, *(np.zeros_like(seen) for _ in stands[1:])]), motion,
            np.asarray(body_of(drive.robot), np.float32), drive.info.scene, pairs, shown, found, tried, touched,
            rng.standard_normal(shape, dtype=np.float32), rng.random(shape[:2], dtype=np.float32),
        )

    def _load(self, episode: int) -> Drive:
        info = self._dataset.info(episode)
        if info.robot is None:
            raise ValueError(
                f"{self._dataset.folder}: episode {episode} does not tell its robot: import it again with --robot"
            )
        return Drive(self._dataset, episode, info, info.robot, self._config)

    def _past(self, drive: Drive, frame: int) -> tuple[list[int], np.ndarray]:
        """Numbers of the past frames, newest first, and whether each was there."""
        every = max(1, round(self._config.history_spacing * self._dataset.frame_rate))
        wanted = [frame - every * k for k in range(1, self._config.history + 1)]
        return [max(0, number) for number in wanted], np.array([number >= 0 for number in wanted])


def _about(drive: Drive, depths: dict[int, np.ndarray], stand: tuple[int, int]) -> list[Sighting]:
    """The things about a stand; none where it has no depth to tell which of them it shows."""
    frame, picture = stand
    return drive.things.sightings(drive.sight, depths[picture], drive.here(frame)) if picture in depths else []


def _sights(
    drive: Drive, depths: dict[int, np.ndarray], frames: dict[int, int], stands: list[tuple[int, int]],
    pairs: tuple[Pairs, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """`shown` and `found` of a clip whose pictures on the drive are of `frames`; all unknown where a depth lacks."""
    sight = drive.sight
    count = sight.tokens
    shape = (len(stands), len(pairs[0].kind), count)
    shown, found = np.zeros((*shape, 2), np.float32), np.full(shape, UNKNOWN, np.int8)
    if depths.keys() < frames.keys():
        return shown, found
    points = {picture: sight.points(depth) for picture, depth in depths.items()}
    for row, (frame, picture) in enumerate(stands):
        goals = [q for q, p in enumerate(pairs[row].picture) if pairs[row].kind[q] == _IMAGE and p in points]
        there = [moved(points[p], drive.here(frames[p]), drive.here(frame)) for p in pairs[row].picture[goals]]
        places, known = sight.find(np.concatenate(there), depths[picture])
        shown[row, goals], found[row, goals] = places.reshape(-1, count, 2), known.reshape(-1, count)
    return shown, found


def _named(
    drive: Drive, depths: dict[int, np.ndarray], stands: list[tuple[int, int]], pairs: tuple[Pairs, ...],
    shown: np.ndarray, found: np.ndarray,
) -> None:
    """Fills in, of the tokens [S, Q, K] of words, where the stands' pictures show the floor that they lead to.

    Where that is hidden nothing is known, since another one of its kind may be in view; but an object that was not
    found yet is nowhere.
    """
    for row, (_, picture) in enumerate(stands):
        if picture not in depths:
            continue
        for q in np.flatnonzero(np.isin(pairs[row].kind, WORDS)):
            if pairs[row].located[q] > 0:
                place, known = drive.sight.find(np.append(pairs[row].place[q, :2], 0.0)[None], depths[picture])
                shown[row, q], found[row, q] = place[0], SEEN if known[0] == SEEN else UNKNOWN
            elif pairs[row].kind[q] == _OBJECT:
                found[row, q] = HIDDEN


def _tries(
    drive: Drive, depths: dict[int, np.ndarray], frames: dict[int, int], stands: list[tuple[int, int]],
    pairs: tuple[Pairs, ...], rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """`tried` and `touched` of a clip: a plan beside that of each pair; some are the pair's own.

    Where nobody walks about, the clip's other pictures show obstacles as well.
    """
    robot, camera = drive.robot, drive.robot.camera
    count, horizon = pairs[0].waypoints.shape[:2]
    clouds = {p: in_the_way(drive.sight.cloud(depth), robot) for p, depth in depths.items()}
    tried = np.zeros((len(stands), count, horizon, 4), np.float32)
    touched = np.full((len(stands), count), np.nan, np.float32)
    for row, (frame, picture) in enumerate(stands):
        own = (pairs[row].drives > 0) & (rng.random(count) < OWN)
        plans = random_plans(count, horizon, robot, rng)
        plans[own] = to_metres(pairs[row].waypoints[own], robot.step)
        tried[row] = to_network(plans, robot.step)
        if picture not in clouds or not drive.sight.is_measured(depths[picture]):
            continue
        here = drive.here(frame)
        near = [moved(cloud, drive.here(frames[p]), here) for p, cloud in clouds.items()
                if p == picture
                or (drive.nobody_near and math.dist(drive.poses[frames[p], :2], drive.poses[frame, :2]) < NEAR)]
        hit = touches(plans, within_reach(np.concatenate(near), robot, horizon), robot.footprint.radius)
        touched[row] = np.where(in_view(plans, drive.sight.half_view, camera.mount_forward), hit, np.nan)
    return tried, touched

"""A clip: a frame of a drive, its past, other pictures, and goals of all kinds with what is known about them.

Every picture is there once, and pairs point at it, so that a network encodes it once. Some of the drive's pictures are
stands as well: places to look from, towards the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.geometry import apart, between
from nav_foundation.model.config import ModelConfig
from nav_foundation.model.goals import KINDS
from nav_foundation.model.network import body_of, was_elsewhere
from nav_foundation.model.units import to_metres, to_network
from nav_foundation.preprocessing import CanonicalView
from nav_foundation.training.clearance import NEAR, free_floor, in_the_way, in_view, random_plans, touches, within_reach
from nav_foundation.training.drive import Drive
from nav_foundation.training.neighbours import Neighbours
from nav_foundation.training.pairs import About, ClipRules, Neighbour, Pairs, frames_ahead, pairs_of
from nav_foundation.training.sight import HIDDEN, SEEN, UNKNOWN, Sight, moved
from nav_foundation.training.things import Sighting
from nav_foundation.types import Pose2

_IMAGE, _OBJECT = KINDS.index("image"), KINDS.index("object")
WORDS = (KINDS.index("words"), _OBJECT)  # numbers of the kinds that are told in words
_OVERLAP = 0.1  # share of a picture that must be in view for its place to be learnt
OWN = 0.3  # share of the plans that are asked about which are those of the pairs


@dataclass(frozen=True)
class Clip:
    pictures: np.ndarray  # [F, h, w, 3] uint8 in the canonical view: the first stand's, P of its past, goals
    depth: np.ndarray  # [F, cells] float32 m of the cells of their maps, NaN where it is not known
    stands: np.ndarray  # [S] int64, their pictures
    floor: np.ndarray  # [S, C, 2] float32 m, how far the floor about them is free: see clearance.free_floor
    past: np.ndarray  # [S, P] bool, which of the past were there: for all stands but the first, none
    motion: np.ndarray  # [S, P, 5] float32, see network.History
    body: np.ndarray  # [BODY] float32
    tall: float  # m of room the robot needs
    scene: str  # where, so that pictures of other places can be told
    pairs: tuple[Pairs, ...]  # S of them
    shown: np.ndarray  # [S, Q, K, 2] float32 and
    found: np.ndarray  # [S, Q, K] int8: where a stand's picture shows what the tokens of a goal picture show
    tried: np.ndarray  # [S, Q, H, 4] float32 plans that nobody need have driven, and
    touched: np.ndarray  # [S, Q] float32 whether they touch something: 0 or 1, NaN where it is not known
    noise: np.ndarray  # [S, Q + 1, H, 4] float32 and
    time: np.ndarray  # [S, Q + 1] float32 0..1, for the flow; drawn here, so that a batch is a function of its clips


@dataclass(frozen=True)
class Shot:
    """A picture and where it was taken, in the frame of the clip's drive."""

    here: Pose2
    sight: Sight
    depth: np.ndarray | None  # [H, W] m

    @cached_property
    def cloud(self) -> np.ndarray:
        """[M, 3] all that it shows, in the robot's frame; nothing without depth."""
        return np.zeros((0, 3)) if self.depth is None else self.sight.cloud(self.depth)

    @cached_property
    def is_measured(self) -> bool:
        return self.depth is not None and self.sight.is_measured(self.depth)


class Views(NamedTuple):
    """What a stand's picture shows of others, by their numbers: see Sight.find. Nothing where a depth lacks."""

    places: dict[int, np.ndarray]  # [K, 2]
    found: dict[int, np.ndarray]  # [K]

    @staticmethod
    def of(shots: dict[int, Shot], stands: Sequence[int]) -> list[Views]:
        """Of each stand."""
        points = {p: shot.sight.points(shot.depth) for p, shot in shots.items() if shot.depth is not None}
        made = [Views({}, {}) for _ in stands]
        if points.keys() < shots.keys():
            return made
        for stand, views in zip(stands, made):
            here = shots[stand]
            assert here.depth is not None
            for picture, shot in shots.items():
                local = moved(points[picture], shot.here, here.here)
                views.places[picture], views.found[picture] = here.sight.find(local, here.depth, surfaces=True)
        return made

    def share(self, picture: int) -> float:
        """Of a picture's tokens of which it is known, those that are in view; 0 where nothing is known."""
        found = self.found.get(picture, np.zeros(0))
        return float((found == SEEN).sum() / max(1, (found != UNKNOWN).sum()))


class ClipMaker:
    """Cuts clips from a dataset for a network; `episodes` are those it may look at, all of them if not told."""

    def __init__(
        self, dataset: EpisodeDataset, config: ModelConfig, rules: ClipRules, episodes: Sequence[int] | None = None
    ) -> None:
        self._dataset, self._config, self._rules = dataset, config, rules
        self._others = Neighbours(dataset, range(dataset.episodes) if episodes is None else episodes)
        self._episode = lru_cache(maxsize=4096)(self._load)

    def __call__(self, episode: int, frame: int, rng: np.random.Generator) -> Clip:
        drive, rules = self._episode(episode), self._rules
        past, seen = self._past(drive, frame)
        others = list(self._neighbours_of(drive, episode, frame, rng))
        ahead = frames_ahead(drive, frame, rules.goals + rules.neighbours - len(others), rules, rng)
        pictures = [drive.see(image) for image in self._dataset.images(episode, [frame, *past, *ahead])]
        first = 1 + len(past)  # picture of the first goal
        on_drive = [(frame, 0), *((goal, first + k) for k, goal in enumerate(ahead))]
        shots = {picture: self._shot(drive, episode, number, drive.here(number)) for number, picture in on_drive}
        for shot, image in others:
            shots[len(pictures)] = shot
            pictures.append(image)
        own = drive.goal_picture()
        if own is not None:
            pictures.append(own)
        # The nearest goal looks much like the frame itself, the farthest has no others ahead.
        stands = [on_drive[k] for k in (0, *range(2, 2 + rules.stands))]
        motion = np.zeros((len(stands), len(past), 5), np.float32)
        motion[0] = drive.motion(frame, past)
        seen &= was_elsewhere(motion[0], drive.robot.step) & (rng.random() >= rules.forgotten)
        views = Views.of(shots, [picture for _, picture in stands])
        theirs = range(first + len(ahead), first + len(ahead) + len(others))
        pairs = tuple(
            pairs_of(drive, number, [goal for goal in on_drive if goal[1] not in (picture, 0)] + on_drive[:k > 0],
                     None if own is None else len(pictures) - 1,
                     About(_neighbours(shots, picture, theirs, views[k]),
                           _things(drive, shots[picture]) if rules.things else ()), rules, rng)
            for k, (number, picture) in enumerate(stands)
        )
        pairs = tuple(map(_located_where_seen, pairs, views))
        shown, found = _sights(drive.sight.tokens, views, pairs)
        words = slice(self._config.text_tokens)
        _named(shots, stands, pairs, shown[:, :, words], found[:, :, words])
        far = np.full((len(pictures), drive.sight.cells), np.nan, np.float32)
        for picture, shot in shots.items():
            if shot.depth is not None:
                far[picture] = shot.sight.depths(shot.depth)
        on_it = {picture: shots[picture] for _, picture in on_drive}
        tried, touched = _tries(drive, on_it, stands, pairs, rng)
        shape = (len(stands), len(pairs[0].kind) + 1, *pairs[0].waypoints.shape[1:])
        return Clip(
            np.stack(pictures), far, np.array([picture for _, picture in stands]),
            _floor(drive, shots, stands, self._config.view),
            np.stack([seen, *(np.zeros_like(seen) for _ in stands[1:])]), motion,
            np.asarray(body_of(drive.robot), np.float32), drive.robot.footprint.height, drive.info.scene, pairs,
            shown, found, tried, touched,
            rng.standard_normal(shape, dtype=np.float32), rng.random(shape[:2], dtype=np.float32),
        )

    def _shot(self, drive: Drive, episode: int, frame: int, here: Pose2) -> Shot:
        return Shot(here, drive.sight, self._dataset.depth(episode, frame))

    def _neighbours_of(
        self, drive: Drive, episode: int, frame: int, rng: np.random.Generator
    ) -> Iterator[tuple[Shot, np.ndarray]]:
        """Pictures of other drives, where it is known how those lie to this one."""
        here = drive.in_scene(frame)
        if here is None or drive.origin is None:
            return
        chosen = self._others.choose(self._rules.neighbours, episode, drive.info.scene, here, drive.floor, rng)
        for other, number in chosen:
            theirs = self._episode(other)
            there = theirs.in_scene(number)
            assert there is not None
            shot = self._shot(theirs, other, number, between(drive.origin, there))
            yield shot, theirs.see(self._dataset.image(other, number))

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


def _neighbours(shots: dict[int, Shot], stand: int, pictures: Sequence[int], views: Views) -> list[Neighbour]:
    here = shots[stand].here
    return [Neighbour(p, between(here, shots[p].here), views.share(p) >= _OVERLAP) for p in pictures]


def _things(drive: Drive, shot: Shot) -> list[Sighting]:
    """Those about a stand; none where it has no depth to tell which of them it shows."""
    return [] if shot.depth is None else drive.things.sightings(shot.sight, shot.depth, shot.here)


def _located_where_seen(pairs: Pairs, views: Views) -> Pairs:
    """Where a picture was taken cannot be told from others that show nothing of it."""
    nowhere = [kind == _IMAGE and p in views.found and views.share(int(p)) < _OVERLAP
               for kind, p in zip(pairs.kind, pairs.picture)]
    return replace(pairs, located=np.where(nowhere, np.float32(0), pairs.located))


def _sights(count: int, views: list[Views], pairs: tuple[Pairs, ...]) -> tuple[np.ndarray, np.ndarray]:
    """`shown` and `found` of a clip, for `count` tokens of a picture."""
    shape = (len(pairs), len(pairs[0].kind), count)
    shown, found = np.zeros((*shape, 2), np.float32), np.full(shape, UNKNOWN, np.int8)
    for row, (view, part) in enumerate(zip(views, pairs)):
        for q, picture in enumerate(part.picture.tolist()):
            if part.kind[q] == _IMAGE and picture in view.found:
                shown[row, q], found[row, q] = view.places[picture], view.found[picture]
    return shown, found


def _floor(
    drive: Drive, shots: dict[int, Shot], stands: list[tuple[int, int]], view: CanonicalView
) -> np.ndarray:
    """Clip.floor; a stand whose depth has holes sees nothing, or they would look like free floor."""
    seen = (shots[picture] for _, picture in stands)
    clouds = (shot.cloud if shot.is_measured else np.zeros((0, 3)) for shot in seen)
    return np.stack([free_floor(cloud, drive.robot, view) for cloud in clouds])


def _named(
    shots: dict[int, Shot], stands: list[tuple[int, int]], pairs: tuple[Pairs, ...], shown: np.ndarray,
    found: np.ndarray,
) -> None:
    """Fills in, of the tokens [S, Q, K] of words, where the stands' pictures show the floor that they lead to.

    Where that is hidden nothing is known, since another one of its kind may be in view; but an object that was not
    found yet is nowhere.
    """
    for row, (_, picture) in enumerate(stands):
        stand = shots[picture]
        if stand.depth is None:
            continue
        for q in np.flatnonzero(np.isin(pairs[row].kind, WORDS)):
            if pairs[row].located[q] > 0:
                place, known = stand.sight.find(np.append(pairs[row].place[q, :2], 0.0)[None], stand.depth)
                shown[row, q], found[row, q] = place[0], SEEN if known[0] == SEEN else UNKNOWN
            elif pairs[row].kind[q] == _OBJECT:
                found[row, q] = HIDDEN


def _tries(
    drive: Drive, shots: dict[int, Shot], stands: list[tuple[int, int]], pairs: tuple[Pairs, ...],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """`tried` and `touched` of a clip: a plan beside that of each pair; some are the pair's own.

    Where nobody walks about, the drive's other pictures show obstacles as well.
    """
    robot, camera = drive.robot, drive.robot.camera
    count, horizon = pairs[0].waypoints.shape[:2]
    clouds = {p: in_the_way(shot.cloud, robot) for p, shot in shots.items()}
    tried = np.zeros((len(stands), count, horizon, 4), np.float32)
    touched = np.full((len(stands), count), np.nan, np.float32)
    for row, (_, picture) in enumerate(stands):
        own = (pairs[row].drives > 0) & (rng.random(count) < OWN)
        plans = random_plans(count, horizon, robot, rng)
        plans[own] = to_metres(pairs[row].waypoints[own], robot.step)
        tried[row] = to_network(plans, robot.step)
        stand = shots[picture]
        if not stand.is_measured:
            continue
        near = [moved(cloud, shots[p].here, stand.here) for p, cloud in clouds.items()
                if p == picture or (drive.nobody_near and apart(shots[p].here, stand.here) < NEAR)]
        hit = touches(plans, within_reach(np.concatenate(near), robot, horizon), robot.footprint.radius)
        touched[row] = np.where(in_view(plans, drive.sight.half_view, camera.mount_forward), hit, np.nan)
    return tried, touched

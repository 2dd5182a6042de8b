"""Evaluation: a policy on many episodes, over processes, resumable, with the same result for any number of workers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

import nav_foundation
from nav_foundation.commit import commit
from nav_foundation.config import to_mapping
from nav_foundation.files import plain
from nav_foundation.robot import RobotSpec
from policies.agent import Agent
from policies.baselines import BearingPolicy, RandomWalkPolicy, StraightPolicy
from policies.load import load_policy
from policies.masked import GoalMasked
from policies.moves import DiscreteAgent
from policies.policy import Policy
from sim_envs.discrete import run_discrete
from sim_envs.evaluation.results import Existing, Journal, Record
from sim_envs.evaluation.settings import POLICIES, EvaluationSettings, check_policy, parse_scene
from sim_envs.metrics import Estimate, judge, summarise
from sim_envs.oracle import OraclePolicy
from sim_envs.rollout import OnFrame, Trace, run_episode
from sim_envs.scenes.splits import scene_refs
from sim_envs.simulator import SceneError, SceneRef, Simulator
from sim_envs.tasks.episode import Episode, EpisodeError
from sim_envs.tasks.generate import generate_episode
from sim_envs.workers import run_jobs, tried_again
from sim_envs.world import World, WorldSettings

# A house of its own for every episode says most about unseen places; a city is large and costly to build.
EPISODES_PER_SCENE = {"house": 1, "city": 10}
DEFAULT_EPISODES = 100


def build_policy(name: str, world: World) -> Policy:
    """A policy by name, for the robot of `world`."""
    check_policy(name, None)
    if name == "oracle":
        return OraclePolicy(world)
    if name not in POLICIES:
        return load_policy(name)
    blind: dict[str, type[Policy]] = {"bearing": BearingPolicy, "straight": StraightPolicy, "random": RandomWalkPolicy}
    return blind[name]()


@dataclass(frozen=True)
class EpisodeSource:
    """Episodes by index, from a file or made where they are asked for."""

    settings: EvaluationSettings
    robot: RobotSpec
    loaded: tuple[Episode, ...] | None  # of the episodes file
    count: int

    @staticmethod
    def of(settings: EvaluationSettings, robot: RobotSpec) -> EpisodeSource:
        if settings.episodes_file is None:
            return EpisodeSource(settings, robot, None, settings.episodes or DEFAULT_EPISODES)
        from sim_envs.tasks.habitat_files import load_episodes

        loaded = tuple(load_episodes(
            settings.episodes_file, settings.asked_task, settings.scenes_dir, settings.episodes, settings.language
        ))
        if settings.benchmark is not None:
            loaded = tuple(map(settings.benchmark.episode, loaded))
        if not loaded:
            raise EpisodeError(f"{settings.episodes_file} holds no episode: give another file")
        for task in {episode.task for episode in loaded}:
            check_policy(settings.policy, task)
        return EpisodeSource(settings, robot, loaded, len(loaded))

    def scenes(self) -> list[SceneRef]:
        """The scene of every episode. A longer evaluation begins with the episodes of a shorter one."""
        settings = self.settings
        if self.loaded is not None:
            return [episode.scene for episode in self.loaded]
        if settings.scenes not in ("houses", "city"):
            return [parse_scene(settings.scenes)] * self.count
        kind: Literal["house", "city"] = "house" if settings.scenes == "houses" else "city"
        share = EPISODES_PER_SCENE[kind]
        refs = scene_refs(kind, settings.split, settings.seed, math.ceil(self.count / share))
        return [refs[index // share] for index in range(self.count)]

    def episode(self, index: int, scene: SceneRef, simulator: Simulator) -> Episode:
        if self.loaded is not None:
            return self.loaded[index]
        settings = self.settings
        return generate_episode(
            simulator, self.robot, settings.task or "point-goal", settings.variant, scene, index, settings.seed,
            settings.distance,
        )


class EpisodeRunner:
    """Runs episodes by index in one process."""

    def __init__(self, source: EpisodeSource, simulator: Simulator | None = None) -> None:
        self.source, self.scenes = source, source.scenes()
        settings = source.settings
        # A benchmark counts moves, not seconds.
        extra = WorldSettings.time_extra if settings.preset is None else math.inf
        world_settings = WorldSettings(noise=settings.noise, people=settings.people, time_extra=extra)
        self.world = World(simulator or settings.backend.simulator(), source.robot, world_settings)
        policy = build_policy(settings.policy, self.world)
        if settings.mask_goal:
            policy = GoalMasked(build_policy(settings.policy, self.world), policy)
        self.agent = Agent(policy, source.robot)

    def drive(self, episode: Episode, on_frame: OnFrame | None = None) -> Trace:
        preset = self.source.settings.benchmark
        if preset is None:
            return run_episode(self.world, self.agent, episode, on_frame)
        agent = DiscreteAgent(self.agent.policy, self.source.robot, preset.sizes)
        return run_discrete(self.world, agent, episode, preset.sizes, preset.max_steps, preset.sliding, on_frame)

    def episode(self, index: int) -> Episode:
        return self.source.episode(index, self.scenes[index], self.world.simulator)

    def __call__(self, index: int) -> Any:
        """The record of an episode."""
        return self.attempt(index, lambda: record_of(index, self.drive(self.episode(index))))

    def attempt(self, index: int, action: Callable[[], Any]) -> Any:
        """What `action` returns, or a record with the `error` that makes this episode unusable."""
        scene = self.scenes[index]
        try:
            return tried_again(action)
        except (EpisodeError, SceneError) as error:
            if isinstance(error, SceneError) and scene.kind == "file" and set(self.scenes) == {scene}:
                raise  # there is no other scene to go on with
            return {"index": index, "scene": str(scene), "error": str(error)}


def record_of(index: int, trace: Trace) -> Record:
    """What is kept of an episode, as plain data."""
    episode = trace.episode
    return plain({
        "index": index,
        "episode": fingerprint(episode),
        "episode_id": episode.episode_id,
        "task": episode.task,
        "scene": str(episode.scene),
        "shortest": trace.shortest,
        "steps": len(trace.frame_ticks),
        "stopped": bool(trace.stopped),
        **dataclasses.asdict(judge(trace)),
    })


def fingerprint(episode: Episode) -> str:
    """Equal for episodes that ask the same thing; tells results of different episodes apart."""
    asked = [
        episode.task, str(episode.scene), dataclasses.astuple(episode.start), episode.goals.tolist(), episode.goal_yaw,
        episode.category, episode.instruction, episode.success_radius, episode.seed,
    ]
    if episode.goal_view is not None:
        asked.append(dataclasses.astuple(episode.goal_view))
    return hashlib.blake2b(json.dumps(asked).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Evaluation:
    settings: EvaluationSettings
    records: tuple[Record, ...]  # judged episodes, by index
    broken: tuple[Record, ...]  # episodes that could not be made or begun: index, scene, error
    steps_per_second: float | None  # policy steps (camera frames) over wall time, all workers; None if nothing ran

    @property
    def tasks(self) -> str:
        found = sorted({record["task"] for record in self.records})
        return " + ".join(found) or self.settings.asked_task or "point-goal"

    @property
    def where(self) -> str:
        s = self.settings
        extras = ["noise"] * s.noise + [f"{s.people} people"] * bool(s.people) + ["Habitat"] * (s.sim == "habitat")
        return " + ".join([str(s.episodes_file) if s.episodes_file else s.scenes, *extras])

    @property
    def title(self) -> str:
        s = self.settings
        split = f"{s.split} split, " if s.scenes in ("houses", "city") else ""
        words = [s.policy, s.preset or self.tasks + (f" ({s.variant})" if s.variant else ""), s.robot, self.where]
        return ", ".join(words) + ("" if s.episodes_file else f", {split}seed {s.seed}")

    @property
    def notes(self) -> str:
        """What to know beside the numbers."""
        lines = [counted(len(self.records))]
        if self.steps_per_second is not None:
            lines[0] += f", {self.steps_per_second:.0f} steps/s"
        if self.broken:
            lines.append(
                f"{counted(len(self.broken), 'more ')} could not be run, so not in these numbers; the first one "
                f"({self.broken[0]['scene']}): {self.broken[0]['error']}"
            )
        return "\n".join(lines)

    @property
    def summary(self) -> dict[str, Estimate | None]:
        return summarise(self.records)

    def as_json(self) -> dict[str, Any]:
        return plain({
            **self.summary,
            "episodes": len(self.records),
            "broken_episodes": self.broken,
            "steps_per_second": self.steps_per_second,
            "settings": to_mapping(self.settings),
            "version": nav_foundation.__version__,
            "commit": commit(),
            "per_episode": self.records,
        })


def evaluate(
    settings: EvaluationSettings, workers: int = 1, journal: Path | None = None, existing: Existing = "continue",
    progress: bool = True,
) -> Evaluation:
    """Run every episode; with a `journal`, those that it holds already are not run again."""
    if workers < 1:
        raise ValueError(f"workers is {workers}: give 1 or more")
    robot = settings.load_robot()
    source = EpisodeSource.of(settings, robot)
    if journal is None:
        records: dict[int, Record] = {}
        speed = _run(source, records, None, workers, progress)
    else:
        with Journal(journal, settings.identity(robot), source.count, existing) as book:
            records = book.records
            speed = _run(source, records, book, workers, progress)
            book.sort()
    ordered = [records[index] for index in sorted(records) if index < source.count]
    broken = tuple(record for record in ordered if "error" in record)
    if len(broken) == len(ordered):
        raise EpisodeError(f"none of {counted(len(ordered))} could be run; the first one: {broken[0]['error']}")
    return Evaluation(settings, tuple(r for r in ordered if "error" not in r), broken, speed)


def _run(
    source: EpisodeSource, records: dict[int, Record], book: Journal | None, workers: int, progress: bool
) -> float | None:
    """Add the missing records; returns steps per second."""
    missing = [index for index in range(source.count) if index not in records]
    begin, steps = time.perf_counter(), 0
    bar = tqdm(
        total=source.count, initial=source.count - len(missing), unit="episode", disable=None if progress else True,
        dynamic_ncols=True, desc=f"{source.settings.policy}, {source.settings.asked_task or 'point-goal'}",
    )
    groups = list(groups_by_scene(source.scenes(), missing, workers))
    with bar:
        for index, record in run_jobs(EpisodeRunner, (source,), groups, workers):
            records[index] = record
            if book is not None:
                book.add(record)
            steps += record.get("steps", 0)
            judged = [r["success"] for r in records.values() if "success" in r]
            bar.set_postfix_str(f"success {sum(judged) / max(1, len(judged)):.2f}", refresh=False)
            bar.update()
    return steps / (time.perf_counter() - begin) if missing else None


def groups_by_scene(scenes: list[SceneRef], indices: list[int], workers: int) -> Iterator[list[int]]:
    """Indices of one scene together, yet no group so large that a worker would wait for another at the end."""
    largest = max(1, math.ceil(len(indices) / (4 * workers)))
    ordered = sorted(indices, key=lambda index: (str(scenes[index]), index))
    for _, members in groupby(ordered, key=lambda index: str(scenes[index])):
        group = list(members)
        for begin in range(0, len(group), largest):
            yield group[begin : begin + largest]


def counted(number: int, what: str = "") -> str:
    return f"{number} {what}episode{'' if number == 1 else 's'}"

"""Files of episodes: make them over processes, and say what one holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nav_foundation.files import make_folder
from sim_envs.evaluation.evaluate import EpisodeRunner, EpisodeSource, counted, groups_by_scene
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.evaluation.tables import table
from sim_envs.simulator import SimulatorError
from sim_envs.tasks.episode import Episode, EpisodeError
from sim_envs.tasks.habitat_files import load_episodes, save_episodes
from sim_envs.workers import run_jobs


class EpisodeMaker(EpisodeRunner):
    """Makes episodes by index and does not run them; a string says why one could not be made."""

    def __call__(self, index: int) -> Any:
        try:
            return self.episode(index)
        except SimulatorError as error:
            if self.scenes[index].kind == "file" and not isinstance(error, EpisodeError):
                raise
            return str(error)


def make_episodes(settings: EvaluationSettings, out: Path, workers: int) -> str:
    """Write the episodes that an evaluation of these settings would run; returns what was made, in words."""
    make_folder(out.parent)
    source = EpisodeSource.of(settings, settings.load_robot())
    groups = list(groups_by_scene(source.scenes(), list(range(source.count)), workers))
    made: dict[int, Episode | str] = {}
    with tqdm(total=source.count, unit="episode", disable=None, dynamic_ncols=True) as bar:
        for index, episode in run_jobs(EpisodeMaker, (source,), groups, workers):
            made[index] = episode
            bar.update()
    episodes = [made[index] for index in sorted(made)]
    good = [episode for episode in episodes if isinstance(episode, Episode)]
    failures = [reason for reason in episodes if isinstance(reason, str)]
    if not good:
        raise EpisodeError(f"none of {counted(len(failures))} could be made; the first one: {failures[0]}")
    save_episodes(out, good)
    text = f"{counted(len(good))}: {out}"
    if failures:
        text += f"\n{len(failures)} more could not be made; the first one: {failures[0]}"
    return text


def describe(path: Path, task: Any, scenes_dir: Path | None, limit: int) -> tuple[str, dict[str, Any]]:
    """What a file of episodes asks: for people, and as numbers."""
    episodes = load_episodes(path, task, scenes_dir)
    if not episodes:
        raise EpisodeError(f"{path} holds no episode: give another file")
    lengths = np.array([episode.geodesic_distance for episode in episodes])
    known = lengths[np.isfinite(lengths)]
    numbers: dict[str, Any] = {
        "episodes": len(episodes),
        "tasks": dict(Counter(episode.task for episode in episodes)),
        "scenes": len({str(episode.scene) for episode in episodes}),
        "shortest_way_m": dict(zip(("min", "median", "max"), np.quantile(known, [0, 0.5, 1]))) if len(known) else None,
    }
    tasks = ", ".join(f"{count} {name}" for name, count in numbers["tasks"].items())
    text = f"{counted(len(episodes))} ({tasks}); scenes: {numbers['scenes']}"
    if len(known):
        text += f", shortest ways {known.min():.1f} to {known.max():.1f} m, median {np.median(known):.1f} m"
    rows = [
        [e.episode_id, str(e.scene), f"{e.geodesic_distance:.1f}", e.instruction or e.category or ""]
        for e in episodes[:limit]
    ]
    return f"{text}\n\n{table(['episode', 'scene', 'way (m)', 'goal'], rows)}", numbers

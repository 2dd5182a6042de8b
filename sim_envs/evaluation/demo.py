"""The demo: policies in houses and a city that nobody trained on. A table, a report page, a video and pictures."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nav_foundation.files import make_folder, write_json
from nav_foundation.robot import RobotSpec, load_robot
from sim_envs.embedded import EmbeddedSimulator
from sim_envs.evaluation.evaluate import EpisodeRunner, EpisodeSource, Evaluation, record_of
from sim_envs.evaluation.recording import Recording, record_episode
from sim_envs.evaluation.report import Section, write_report
from sim_envs.evaluation.results import Record
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.evaluation.tables import table
from sim_envs.metrics import Estimate
from sim_envs.workers import run_jobs


@dataclass(frozen=True)
class Act:
    """One row of the demo: a policy, its task, and which of its episodes are filmed."""

    settings: EvaluationSettings
    filmed: tuple[int, ...]


def acts(seed: int) -> list[Act]:
    def act(policy: str, task: Any, episodes: int, filmed: int, **more: Any) -> Act:
        return Act(EvaluationSettings(policy, task, episodes=episodes, seed=seed, **more), (filmed,))

    # Episode k of every act in houses is in house k, so that they share the cost of building it.
    return [
        act("oracle", "point-goal", 6, 0),
        act("bearing", "point-goal", 6, 0),
        act("random", "point-goal", 6, 0),
        act("nano", "point-goal", 6, 3),
        act("nano", "image-goal", 4, 2, variant="route", distance=(2.0, 6.0)),
        act("nano", "object-goal", 3, 2, variant="visible"),
        act("nano", "instruction", 3, 1, variant="single-room"),
        act("nano", "explore", 1, 0),
        act("oracle", "point-goal", 3, 1, noise=True, people=4),
        act("oracle", "image-goal", 3, 2),
        act("oracle", "object-goal", 3, 2),
        act("oracle", "instruction", 3, 1, variant="multi-room"),
        act("oracle", "explore", 1, 0),
        act("oracle", "point-goal", 2, 1, scenes="city", distance=(30.0, 60.0)),
    ]


class DemoJob:
    """Any act's episode by its number: a recording where it is filmed, otherwise its record."""

    def __init__(self, sources: list[EpisodeSource], jobs: list[tuple[int, int, bool]]) -> None:
        simulator = EmbeddedSimulator()
        self.runners = [EpisodeRunner(source, simulator) for source in sources]
        self.jobs = jobs  # (act, episode, filmed)

    def __call__(self, number: int) -> Any:
        act, index, filmed = self.jobs[number]
        runner = self.runners[act]
        return runner.attempt(index, lambda: record_episode(runner, index)) if filmed else runner(index)


@dataclass
class _Outcome:
    """What came out of an act so far."""

    records: dict[int, Record] = field(default_factory=dict)
    recordings: dict[int, Recording] = field(default_factory=dict)

    def add(self, index: int, result: Any) -> None:
        if isinstance(result, Recording):
            self.recordings[index] = result
            result = record_of(index, result.trace)
        self.records[index] = result

    def section(self, settings: EvaluationSettings) -> Section:
        ordered = [self.records[index] for index in sorted(self.records)]
        evaluation = Evaluation(
            settings, tuple(r for r in ordered if "error" not in r), tuple(r for r in ordered if "error" in r), None
        )
        return Section(evaluation, tuple(self.recordings[index] for index in sorted(self.recordings)))


def run_demo(out: Path, seed: int = 0, workers: int = 1) -> None:
    """Run all acts and print where to look."""
    begin = time.monotonic()
    make_folder(out)
    sections = _run(acts(seed), load_robot("turtlebot"), workers)
    print(f"\n{_table(sections)}\n")
    for section in sections:
        if section.evaluation.broken:
            print(f"{section.evaluation.title}: {section.evaluation.notes}")
    page = write_report(out, "nav_foundation demo", sections)
    write_json(out / "results.json", [section.evaluation.as_json() for section in sections])
    print(f"report:  {page}\nvideo:   {out / 'video.mp4'}\nnumbers: {out / 'results.json'}")
    print(f"{time.monotonic() - begin:.0f} s")


def _run(plan: list[Act], robot: RobotSpec, workers: int) -> list[Section]:
    sources = [EpisodeSource.of(act.settings, robot) for act in plan]
    jobs = [
        (number, index, index in act.filmed)
        for number, (act, source) in enumerate(zip(plan, sources)) for index in range(source.count)
    ]
    by_scene: dict[str, list[int]] = defaultdict(list)
    for number, (act_number, index, _) in enumerate(jobs):
        by_scene[str(sources[act_number].scenes()[index])].append(number)
    # The longest groups first, so that no worker is left alone with one at the end.
    groups = sorted(by_scene.values(), key=len, reverse=True)
    outcomes = [_Outcome() for _ in plan]
    with tqdm(total=len(jobs), desc="demo", unit="episode", disable=None, dynamic_ncols=True) as bar:
        for number, result in run_jobs(DemoJob, (sources, jobs), groups, workers):
            act_number, index, _ = jobs[number]
            outcomes[act_number].add(index, result)
            bar.update()
    return [outcome.section(act.settings) for outcome, act in zip(outcomes, plan)]


def _table(sections: list[Section]) -> str:
    rows = []
    for section in sections:
        evaluation = section.evaluation
        settings, summary = evaluation.settings, evaluation.summary
        rows.append([
            settings.policy, settings.task or "", evaluation.where, str(len(evaluation.records)),
            _cell(summary["success"]), _cell(summary["spl"]), _cell(summary["soft_spl"]), _cell(summary["collisions"]),
        ])
    return table(["policy", "task", "where", "episodes", "success", "SPL", "SoftSPL", "collisions"], rows)


def _cell(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.mean:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"

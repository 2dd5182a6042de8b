"""Looks at all of a dataset once, and remembers what a report needs."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.inspection.finding import Finding
from nav_foundation.data.inspection.look import has_numbers, look_at_all, pictured_episodes
from nav_foundation.data.inspection.summary import EpisodeRow, Summary, as_text, contents
from nav_foundation.data.inspection.suspicions import suspicions
from nav_foundation.data.schema import ACTION, FRONT, STATE

LISTED = 12  # findings of a kind that are spelled out in the terminal


@dataclass(frozen=True)
class Inspection:
    """What was found. `damaged` and `notes` are sentences."""

    dataset: EpisodeDataset
    summary: Summary
    about: dict[str, str]
    rows: tuple[EpisodeRow, ...]
    findings: tuple[Finding, ...]
    damaged: tuple[str, ...]
    notes: tuple[str, ...]  # what could not be looked at, and why

    def as_json(self) -> dict[str, Any]:
        return {
            "dataset": str(self.dataset.folder), "contents": self.about, **self.summary.as_json(),
            "damaged": list(self.damaged), "notes": list(self.notes),
            "suspicious_episodes": len({finding.episode for finding in self.findings}),
            "findings": [finding.as_json() for finding in self.findings],
        }

    def as_text(self) -> str:
        lines = [as_text(self.summary, self.about), "", *self.notes]
        lines += [f"damaged: {reason}" for reason in self.damaged]
        suspicious = len({finding.episode for finding in self.findings})
        if not self.findings:
            lines.append("nothing suspicious was found" if self.summary.episodes else "it has no episodes")
            return "\n".join(lines)
        lines.append(f"{suspicious:,} of {self.summary.episodes:,} episodes are suspicious:")
        for kind, count in Counter(finding.kind for finding in self.findings).most_common():
            texts = [finding.text for finding in self.findings if finding.kind == kind]
            lines += [f"  {text}" for text in texts[:LISTED]]
            if count > LISTED:
                lines.append(f"  ... and {count - LISTED:,} more of this kind ({kind}); --json or --report lists all")
        return "\n".join(lines)


def inspect(dataset: EpisodeDataset, *, progress: bool = True) -> Inspection:
    summary, rows, findings, damaged = Summary(), [], [], list(dataset.damaged)
    total = int(dataset.readable.sum())
    hidden = None if progress else True  # None: where there is no terminal
    for seen in tqdm(look_at_all(dataset), total=total, unit="episode", disable=hidden, file=sys.stderr):
        if isinstance(seen, str):
            damaged.append(seen)
            continue
        rows.append(summary.add(seen))
        findings += suspicions(seen)
        if seen.broken:
            damaged.append(f"episode {seen.number}: {seen.broken}")
    return Inspection(
        dataset, summary, contents(dataset), tuple(rows), tuple(findings), tuple(damaged),
        tuple(_notes(dataset, total, summary)),
    )


def _notes(dataset: EpisodeDataset, total: int, summary: Summary) -> list[str]:
    notes = []
    if lost := int(np.sum(~dataset.readable)):
        notes.append(f"{lost:,} of {dataset.episodes:,} episodes lie in damaged files and are left out.")
    if total and not has_numbers(dataset.features, STATE, 3):
        notes.append(f"It has no poses ({STATE} as x, y, yaw), so that paths and motion cannot be judged.")
    if total and not has_numbers(dataset.features, ACTION, 2):
        notes.append(f"It has no actions ({ACTION} as m/s and rad/s), so that they cannot be judged.")
    if total and FRONT not in dataset.features:
        notes.append(f"It has no pictures called {FRONT}: nav-foundation data import lerobot takes others.")
    pictured = len(pictured_episodes(dataset))
    if FRONT in dataset.features and pictured < total:
        notes.append(f"Pictures of {pictured:,} of {total:,} episodes were looked at, evenly spread.")
    if unknown := summary.robots.get("unknown"):
        notes.append(f"{unknown:,} episodes name no robot: their speeds are compared with themselves alone, and no "
                     "path is drawn into their pictures.")
    return notes

"""Looks at all of a dataset once, and remembers what a report needs."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.inspection.colours import COLOURFUL, SWAPPED, balance
from nav_foundation.data.inspection.finding import Finding
from nav_foundation.data.inspection.look import has_numbers, look_at_all, pictured_episodes
from nav_foundation.data.inspection.summary import EpisodeRow, Summary, as_text, contents
from nav_foundation.data.inspection.suspicions import suspicions
from nav_foundation.data.schema import ACTION, FRONT, STATE

SWAP = "red and blue"
_DRIVES = 8  # of a source without which nothing is said of its colours
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
    colours: dict[str, list[tuple[int, tuple[float, float]]]] = defaultdict(list)  # by source: episode, balance
    total = int(dataset.readable.sum())
    hidden = None if progress else True  # None: where there is no terminal
    for seen in tqdm(look_at_all(dataset), total=total, unit="episode", disable=hidden, file=sys.stderr):
        if isinstance(seen, str):
            damaged.append(seen)
            continue
        rows.append(summary.add(seen))
        findings += suspicions(seen)
        if seen.pairs:
            colours[seen.info.source].append((seen.number, balance([pair.colour for pair in seen.pairs])))
        if seen.broken:
            damaged.append(f"episode {seen.number}: {seen.broken}")
    findings += _swapped_sources(colours, {f.episode for f in findings if f.kind == SWAP})
    return Inspection(
        dataset, summary, contents(dataset), tuple(rows), tuple(findings), tuple(damaged),
        tuple(_notes(dataset, total, summary)),
    )


def _swapped_sources(
    colours: dict[str, list[tuple[int, tuple[float, float]]]], told: set[int]
) -> Iterator[Finding]:
    """Short drives tell little alone, but colours are swapped by a camera's driver and so in all of a source."""
    for source, drives in colours.items():
        judged = [(number, score) for number, (score, colour) in drives if colour > COLOURFUL]
        if len(judged) >= _DRIVES and float(np.median([score for _, score in judged])) < SWAPPED:
            first, others = judged[0][0], f"{len(judged) - 1} others of {source or 'its source'}"
            if first not in told:
                yield Finding(SWAP, first, 0, f"Episode {first} and {others}: their red and blue are perhaps swapped "
                              "(ground and things are bluish): look at them, and import them as bgr8 if they are.")


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

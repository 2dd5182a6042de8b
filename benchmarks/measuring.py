"""What all benchmarks share: rows of a table, the machine they were measured on, and the file they are appended to."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from nav_foundation.commit import commit
from sim_envs.metrics import Estimate, paired_comparison

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Row:
    what: str
    value: float
    unit: str
    target: str
    detail: str

    def __str__(self) -> str:
        return f"| {self.what} | {self.value:,.4g} {self.unit} | {self.target} | {self.detail} |"


def measure(parts: Mapping[str, Callable[[], list[Row]]], title: str, conditions: str) -> None:
    """The command line of a benchmark: measure its parts, print them and append them to the results."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--only", choices=sorted(parts), action="append", help="measure this part; may be repeated")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.md", help="where to append")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.only or parts:
        for row in parts[name]():
            rows.append(row)
            print(f"{row.what:35s} {row.value:10,.4g} {row.unit:9s} target {row.target:9s} ({row.detail})", flush=True)
    if not options.no_save:
        append(options.results, title, conditions, rows)


def append(path: Path, title: str, conditions: str, rows: Sequence[Row]) -> None:
    """Add a table to the results, with all that is needed to measure it again."""
    told = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]  # where things lie is nobody's
    command = " ".join([f"benchmarks/{Path(sys.argv[0]).name}", *told])
    day = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    lines = [
        f"## {title}, {day}", "",
        f"- commit {commit() or 'unknown'}", f"- {hardware()}", f"- `python {command}`", f"- seeds 0; {conditions}", "",
        "| what | measured | target | how |", "|---|---|---|---|", *map(str, rows), "",
    ]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def hardware() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = (line.partition(":") for line in info.read_text().splitlines())
        model = next((value.strip() for key, _, value in lines if key.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def gained(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Estimate:
    """How much more often episodes succeed in the second records, over those that are in both."""
    first, second = ({record["index"]: record for record in records} for records in (before, after))
    shared = sorted(first.keys() & second.keys())
    differences = paired_comparison([first[index] for index in shared], [second[index] for index in shared])
    return next(found.difference for found in differences if found.metric == "success")

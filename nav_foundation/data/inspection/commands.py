"""The action `data inspect`. Reading its --help loads nothing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_inspect(actions: Any, verb: Callable[..., argparse.ArgumentParser]) -> None:
    parser = verb(actions, "inspect", _inspect, "say what is in a dataset and what is suspicious about it", """\
  nav-foundation data inspect drives
  nav-foundation data inspect drives --report runs/drives
  nav-foundation data inspect drives --rerun drives.rrd --json drives.json

Looks for teleports, frozen cameras and poses, clocks that jump, yaw of the wrong sign, red and blue swapped, speeds
that the robot cannot drive, actions that say something else than the poses, dark pictures and damaged files.""")
    add = parser.add_argument
    add("dataset", type=Path, metavar="DIR", help="a dataset's folder")
    add("--report", type=Path, metavar="DIR", help="write a page (index.html) with plots and pictures into this folder")
    add("--rerun", type=Path, metavar="FILE", help="write some drives for the rerun viewer (.rrd)")
    add("--json", type=Path, metavar="FILE", help="write all numbers and findings here")


def _inspect(options: argparse.Namespace) -> None:
    from nav_foundation.data.dataset import EpisodeDataset
    from nav_foundation.data.inspection.inspect import inspect

    if options.rerun is not None:
        from nav_foundation.data.inspection.rerun_log import need_rerun

        need_rerun()  # before a minute of looking
    inspection = inspect(EpisodeDataset(options.dataset))
    print(inspection.as_text())
    if options.json is not None:
        _write(options.json, json.dumps(inspection.as_json(), indent=1) + "\n")
        print(f"numbers: {options.json}")
    if options.report is not None:
        from nav_foundation.data.inspection.page import write_report

        print(f"report: {write_report(inspection, options.report)}")
    if options.rerun is not None:
        from nav_foundation.data.inspection.rerun_log import write_rerun

        print(f"rerun: {write_rerun(inspection, options.rerun)}")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from None

"""The verb `habitat`. Imports what is costly only when it runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Verb = Callable[..., argparse.ArgumentParser]  # cli._verb: (verbs, name, run, about, examples) -> its parser


def add_habitat(verbs: Any, verb: Verb) -> None:
    parser = verb(verbs, "habitat", None, "find out whether Habitat is usable", """\
  nav-foundation habitat check --habitat-python ~/habitat/bin/python""")
    actions = parser.add_subparsers(title="actions", metavar="action")
    check = verb(actions, "check", _check, "try an installation of habitat-sim step by step", """\
  nav-foundation habitat check --habitat-python ~/habitat/bin/python
  nav-foundation habitat check --habitat-python ~/habitat/bin/python --scene flat.glb --json check.json

Each step runs in that interpreter, in a process of its own. NAV_HABITAT_PYTHON stands in for --habitat-python.""")
    add = check.add_argument
    add("--habitat-python", type=Path, metavar="PATH", help="the Python of the environment that habitat-sim is in")
    add("--scene", type=Path, metavar="FILE", help="load this scene and take a picture of it")
    add("--gpu", type=int, metavar="ID", help="draw with this GPU, -1 for none (default: the first that works)")
    add("--timeout", type=float, default=120.0, metavar="S", help="seconds that a step may take (default 120)")
    add("--json", type=Path, metavar="FILE", help="write what was found here as well")


def _check(options: argparse.Namespace) -> None:
    from nav_foundation.files import write_json
    from sim_envs.habitat_check import check_habitat

    python = options.habitat_python or os.environ.get("NAV_HABITAT_PYTHON")
    if not python:
        raise ValueError("which Python has habitat_sim? give --habitat-python PATH, or set NAV_HABITAT_PYTHON")
    if not options.timeout > 0:
        raise ValueError(f"timeout is {options.timeout:g}: give seconds above 0")
    steps = []
    for step in check_habitat(Path(python).expanduser(), options.scene, options.gpu, options.timeout):
        print(step, flush=True)
        steps.append(step)
    if options.json is not None:
        write_json(options.json, {"ok": all(step.ok for step in steps), "steps": steps})
    failed = [step.name for step in steps if not step.ok]
    if failed:
        raise ValueError(f"Habitat is not usable yet: {failed[0]} fails, the line above says how to mend it")

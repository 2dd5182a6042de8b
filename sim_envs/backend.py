"""Which simulator: the one that comes along, or Habitat."""

from __future__ import annotations

import argparse
import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from nav_foundation.config import closest
from sim_envs.simulator import Simulator

SimName = Literal["embedded", "habitat"]
HABITAT_PYTHON, HABITAT_GPU = "NAV_HABITAT_PYTHON", "NAV_HABITAT_GPU"  # environment variables


@dataclass(frozen=True)
class Backend:
    """A choice that can be sent to other processes; each makes a simulator of its own from it."""

    sim: SimName = "embedded"
    habitat_python: str = ""  # the interpreter that has habitat_sim; empty = NAV_HABITAT_PYTHON

    def __post_init__(self) -> None:
        if self.sim not in get_args(SimName):
            raise ValueError(f"sim {self.sim!r} is not known{closest(str(self.sim), get_args(SimName))}")
        if self.sim == "embedded" and self.habitat_python:
            raise ValueError("habitat_python is given, but the embedded simulator is to be used: choose sim habitat")
        if self.sim == "habitat" and not self.interpreter:
            raise ValueError("sim habitat needs the Python that has habitat_sim: give --habitat-python PATH or set "
                             f"{HABITAT_PYTHON}")

    @property
    def interpreter(self) -> str:
        told = self.habitat_python or os.environ.get(HABITAT_PYTHON, "")
        return os.path.expanduser(told)

    def check(self, people: int, scenes: str) -> None:
        """Refuse what Habitat has not, before anything costly begins: people and made scenes."""
        if self.sim == "habitat" and people:
            raise ValueError(f"people is {people}: they walk about in the embedded simulator only, give 0 with Habitat")
        if self.sim == "habitat" and (scenes in ("houses", "city") or scenes.startswith(("house:", "city:"))):
            raise ValueError(f"scenes {scenes} are made for the embedded simulator: give Habitat the path of a .glb")

    def without_place(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Settings for an identity: which simulator counts, and not where it lies. What was begun when there was no
        choice had the embedded one, and can be gone on with."""
        left_out = {"habitat_python"} if self.sim != "embedded" else {"habitat_python", "sim"}
        return {name: value for name, value in settings.items() if name not in left_out}

    def beside(self, scene: Path) -> list[Path]:
        """Files that decide with a scene's own what is loaded of it: Habitat takes what is named like it."""
        return [] if self.sim == "embedded" else sorted(scene.parent.glob(f"{glob.escape(scene.stem)}.*"))

    def simulator(self) -> Simulator:
        """Starts what the choice names."""
        if self.sim == "habitat":
            from sim_envs.habitat import HabitatSimulator

            return HabitatSimulator(self.interpreter, gpu=_gpu())
        from sim_envs.embedded import EmbeddedSimulator

        return EmbeddedSimulator()


def _gpu() -> int | None:
    """The one that Habitat draws with; None = it looks for one."""
    told = os.environ.get(HABITAT_GPU, "")
    try:
        return int(told) if told else None
    except ValueError:
        raise ValueError(f"{HABITAT_GPU} is {told!r}: give the number of a GPU, -1 for none") from None


def add_sim_options(parser: argparse.ArgumentParser) -> None:
    """The options of every verb that simulates."""
    parser.add_argument("--sim", metavar="NAME", help="embedded or habitat (default embedded)")
    parser.add_argument("--habitat-python", metavar="PATH", help="the Python that has habitat_sim (default: what "
                        f"{HABITAT_PYTHON} names)")

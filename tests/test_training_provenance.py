"""Whether a network has seen real robots, which decides whether it may drive one without being asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from drives_on_disk import made_up_drive, told

from nav_foundation.data.writer import DatasetWriter
from nav_foundation.files import write_json
from nav_foundation.model.folder import CONFIG, OURS
from nav_foundation.training.provenance import robot_hours
from policies.load import seen_robots


def written(folder: Path, scenes: list[str], frames: int = 37) -> str:
    with DatasetWriter(folder, 5) as writer:
        for number, scene in enumerate(scenes):
            writer.add(dataclasses.replace(told(number), scene=scene), made_up_drive(number, frames))
    return str(folder)


def test_only_drives_of_no_simulator_count(tmp_path: Path) -> None:
    mixed = written(tmp_path / "mixed", ["", "house:7", "simulated", ""])
    assert robot_hours([mixed]) == pytest.approx(2 * 36 / 5 / 3600, rel=0.01)
    assert robot_hours([mixed, mixed]) == pytest.approx(2 * robot_hours([mixed]))
    assert robot_hours([written(tmp_path / "sim", ["city:1"])]) == 0.0


def test_what_a_network_saw_before_stays_with_it(tmp_path: Path) -> None:
    before = tmp_path / "model"
    write_json(before / CONFIG, {"kind": OURS, "provenance": {"robot_hours": 2.5}})
    (before / "model.safetensors").touch()
    simulated = written(tmp_path / "sim", ["city:1"])
    assert robot_hours([simulated], before) == 2.5
    assert seen_robots(str(before))
    write_json(before / CONFIG, {"kind": OURS, "provenance": {"robot_hours": 0.0}})
    assert not seen_robots(str(before))


def test_the_bundled_network_says_that_it_has_only_seen_simulation() -> None:
    assert not seen_robots("nano")
    assert seen_robots("bearing")

"""The models that come along: small, described, found by name, and better than none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nav_foundation.cli import main
from nav_foundation.model.checkpoint import from_pretrained
from nav_foundation.model.folder import BUNDLED, WEIGHTS, bundled, named, read_config
from sim_envs.evaluation.evaluate import evaluate
from sim_envs.evaluation.settings import EvaluationSettings


def test_nano_comes_along() -> None:
    assert "nano" in bundled() and named("nano") == BUNDLED / "nano"


@pytest.mark.parametrize("name", bundled())
def test_it_is_small_and_says_where_it_comes_from(name: str) -> None:
    folder = named(name)
    assert (folder / WEIGHTS).stat().st_size <= 12e6
    told = read_config(folder)["provenance"]
    assert told["steps"] > 0 and told["commit"] and told["settings"]["data"]
    assert not [path for path in told["settings"]["data"] if Path(path).is_absolute()]
    card = (folder / "README.md").read_text()
    for word in ("simulation", "hours", "95 %", "rover-fisheye", "Limits"):
        assert word in card, word
    assert all(np.isfinite(weights.numpy()).all() for weights in from_pretrained(folder).state_dict().values())


def test_its_name_is_enough(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert main(["eval", "--policy", "nano", "--task", "explore", "--episodes", "1", "--workers", "1",
                 "--scenes", "house:3", "--json", str(out)]) == 0
    assert json.loads(out.read_text())["settings"]["policy"] == "nano"
    picture = tmp_path / "room.png"
    Image.fromarray(np.full((96, 128, 3), 90, np.uint8)).save(picture)
    assert main(["predict", "--model", "nano", "--images", str(picture), "--goal", "object: chair", "--hfov", "69",
                 "--robot", "turtlebot", "--out", str(tmp_path / "drawn")]) == 0
    assert any((tmp_path / "drawn").iterdir())


@pytest.mark.slow
def test_it_reaches_near_places_that_a_random_walk_does_not() -> None:
    def reached(policy: str) -> float:
        settings = EvaluationSettings(
            policy, "point-goal", distance=(1.0, 4.0), noise=True, episodes=8, split="val", seed=5
        )
        return float(np.mean([record["success"] for record in evaluate(settings, progress=False).records]))

    assert reached("nano") >= reached("random") + 0.3

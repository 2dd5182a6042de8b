"""The navigation network: what may depend on what, masks that mask, and units that come back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nav_foundation.model.checkpoint import config_of, save_pretrained
from nav_foundation.model.config import ModelConfig, preset
from nav_foundation.model.goals import GoalTokens, as_bytes, joined
from nav_foundation.model.network import BODY, History, Memory, NavigationModel, body_of
from nav_foundation.model.units import to_metres, to_network
from nav_foundation.robot import load_robot, shipped_robots


@pytest.fixture(scope="module")
def model() -> NavigationModel:
    torch.manual_seed(0)
    return NavigationModel(preset("tiny")).eval()


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 48, 64, generator=torch.Generator().manual_seed(seed))


def remembered(model: NavigationModel, seed: int = 0, history: History | None = None) -> Memory:
    with torch.no_grad():
        frames = model.encoder(pictures(2, seed))
        return model.remember(frames, history or model.no_history(2), torch.zeros(2, BODY))


def per_tick(goals: GoalTokens) -> GoalTokens:
    """Goals [4] as two for each of two ticks."""
    return GoalTokens(goals.tokens.unflatten(0, (2, 2)), goals.seen.unflatten(0, (2, 2)))


@torch.no_grad()
def test_goals_of_one_tick_do_not_see_each_other(model: NavigationModel) -> None:
    memory = remembered(model)
    goals = per_tick(model.goals.image(model.encoder(pictures(4, 1)).tokens))
    together = model.decide(memory, goals)
    for k in range(2):
        alone = model.decide(memory, GoalTokens(goals.tokens[:, k : k + 1], goals.seen[:, k : k + 1]))
        torch.testing.assert_close(together.plan[:, k : k + 1], alone.plan)
        torch.testing.assert_close(together.value[:, k : k + 1], alone.value)


@torch.no_grad()
def test_filled_up_goals_are_the_same_goals(model: NavigationModel) -> None:
    memory = remembered(model)
    short = model.goals.place(torch.tensor([[1.0, 2.0, 0.3], [4.0, 0.0, 0.0]]), torch.tensor([True, False]))
    images = model.goals.image(model.encoder(pictures(2, 1)).tokens)
    mixed = joined([short, images])
    order = torch.tensor([0, 2, 1, 3])  # a place and a picture for each tick
    both = model.decide(memory, per_tick(GoalTokens(mixed.tokens[order], mixed.seen[order])))
    alone = model.decide(memory, GoalTokens(short.tokens[:, None], short.seen[:, None]))
    torch.testing.assert_close(both.plan[:, :1], alone.plan)
    spoilt = mixed.tokens.masked_fill(~mixed.seen[..., None], 1e3)
    again = model.decide(memory, per_tick(GoalTokens(spoilt[order], mixed.seen[order])))
    torch.testing.assert_close(again.plan, both.plan)


@torch.no_grad()
def test_a_past_that_is_not_there_changes_nothing(model: NavigationModel) -> None:
    none = model.no_history(2)
    rubbish = History(none.tokens + 5.0, none.motion - 3.0, none.seen)
    seen = History(none.tokens + 5.0, none.motion, torch.ones_like(none.seen))
    first, second, third = (remembered(model, history=h) for h in (none, rubbish, seen))
    k = model.encoder.tokens
    torch.testing.assert_close(first.tokens[:, :k], second.tokens[:, :k])
    assert not torch.allclose(first.tokens[:, :k], third.tokens[:, :k])


@torch.no_grad()
def test_every_kind_of_goal_matters_and_words_do_by_their_letters(model: NavigationModel) -> None:
    memory = remembered(model)
    texts, counted = as_bytes(["go to the red chair", "go to the red chain"], 320)
    flags = torch.tensor([False, False])
    kinds = [
        model.goals.none(2), model.goals.image(model.encoder(pictures(2, 3)).tokens),
        model.goals.place(torch.ones(2, 3), torch.tensor([True, True])),
        model.goals.place(torch.ones(2, 3), torch.tensor([False, False])),
        model.goals.words(texts, counted, flags), model.goals.words(texts, counted, ~flags),
        model.goals.route(torch.tensor([0, 1])),
    ]
    plans = [model.decide(memory, GoalTokens(g.tokens[:, None], g.seen[:, None])).plan[:, 0] for g in kinds]
    for i, one in enumerate(plans):
        for other in plans[i + 1 :]:
            assert not torch.allclose(one, other, atol=1e-4)
    words = kinds[4].tokens
    assert not torch.allclose(words[0], words[1], atol=1e-5)


@torch.no_grad()
def test_words_do_not_depend_on_longer_neighbours(model: NavigationModel) -> None:
    alone = model.goals.text(*as_bytes(["stop at the sofa"], 320))
    beside = model.goals.text(*as_bytes(["stop at the sofa", "turn left behind the second door " * 5], 320))
    torch.testing.assert_close(alone[0], beside[0])
    text, counted = as_bytes(["x" * 999, "ünder"], 320)
    assert text.shape == (2, 320) and counted.sum(dim=1).tolist() == [320, 6]


@torch.no_grad()
def test_decisions_are_metres_and_probabilities(model: NavigationModel) -> None:
    readouts = model.decide(remembered(model), per_tick(model.goals.none(4)))
    decision = model.judge(readouts)
    assert decision.waypoints.shape == (2, 2, 8, 4)
    for part in decision[1:]:
        assert part.shape == (2, 2) and torch.isfinite(part).all()
    assert decision.distance.min() > 0 and decision.distance.max() < model.config.farthest
    for chance in (decision.unreachable, decision.arrival, decision.collision):
        assert chance.min() >= 0 and chance.max() <= 1


@torch.no_grad()
def test_the_flow_of_a_straight_field_ends_where_it_points(
    model: NavigationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A perfect network's slope at time t would be (noisy - plan) / t, and any noise would end at the plan."""
    wanted = torch.linspace(-1, 1, 3 * 8 * 4).view(3, 8, 4)
    monkeypatch.setattr(
        model.heads.flow, "forward", lambda noisy, time, readout: (noisy - wanted) / time.view(-1, 1, 1))
    readouts = model.decide(remembered(model), per_tick(model.goals.none(4)))
    noise = model.noise(3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.sample(readouts.plan[0, :1].expand(3, -1), noise), wanted)


def test_goal_tokens_change_in_the_first_layers_alone() -> None:
    """What the last layer would make of them nobody reads, so leaving it out changes nothing; the one before counts."""
    told = []
    for goal_layers in (3, 2, 1):
        torch.manual_seed(0)
        model = NavigationModel(replace(preset("tiny"), decoder_layers=3, goal_layers=goal_layers)).eval()
        with torch.no_grad():
            goals = model.goals.image(model.encoder(pictures(4, seed=5)).tokens)
            told.append(model.decide(remembered(model), per_tick(goals)).plan)
    torch.testing.assert_close(told[0], told[1])
    assert not torch.allclose(told[1], told[2], atol=1e-3)


def test_pictures_of_another_size_are_refused(model: NavigationModel) -> None:
    with pytest.raises(ValueError, match="64x48 pixels"):
        model.encoder(torch.zeros(1, 3, 96, 128))


def test_nano_is_small_enough_to_ship() -> None:
    weights = sum(p.numel() for p in NavigationModel(preset("nano")).parameters())
    assert 2 * weights < 12e6  # bytes, at half precision


@pytest.mark.parametrize(("change", "words"), [
    ({"width": 130}, "multiple"), ({"horizon": 0}, "horizon"), ({"farthest": 0.1}, "bins"),
    ({"goal_layers": 4}, "goal_layers"),
])
def test_configurations_are_checked(change: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ModelConfig(**change)
    with pytest.raises(ValueError, match="tiny, nano"):
        preset("huge")


@given(arrays(np.float64, (8, 3), elements=st.floats(-3.1, 3.1)), st.floats(0.02, 0.5))
def test_units_come_back(waypoints: np.ndarray, step: float) -> None:
    np.testing.assert_allclose(to_metres(to_network(waypoints, step), step), waypoints, atol=1e-5)


def test_units_by_hand() -> None:
    ahead = np.array([[0.2, 0.0, 0.0], [0.4, 0.2, np.pi / 2]])
    np.testing.assert_allclose(to_network(ahead, 0.2), [[1, 0, 1, 0], [1, 0.5, 0, 1]], atol=1e-7)


def test_bodies_are_numbers_of_about_one() -> None:
    for name in shipped_robots():
        body = body_of(load_robot(name))
        assert len(body) == BODY and max(map(abs, body)) < 3


def test_older_networks_change_goals_in_all_layers(tmp_path: Path) -> None:
    model = NavigationModel(replace(preset("tiny"), decoder_layers=2, goal_layers=1))
    save_pretrained(model, tmp_path, {})
    assert config_of(tmp_path).goal_layers == 1
    told = json.loads((tmp_path / "config.json").read_text())
    del told["model"]["goal_layers"]
    (tmp_path / "config.json").write_text(json.dumps(told))
    assert config_of(tmp_path).goal_layers == 2

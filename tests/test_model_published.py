"""ViNT and NoMaD answer as the original networks did, for the same weights and inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from published_weights import golden, noise, published_state

from nav_foundation.model.published.efficientnet import EfficientNetB0
from nav_foundation.model.published.load import build, load_strictly
from nav_foundation.model.published.nomad import NoMaD, waypoints_of
from nav_foundation.model.published.vint import ViNT
from nav_foundation.preprocessing import CropAndShrink

AGREEMENT = 1e-3


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads on a busy machine wait for each other far longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def vint() -> ViNT:
    network = ViNT()
    load_strictly(network, published_state("vint"), "vint", "vint.pth")
    return network.eval()


@pytest.fixture(scope="module")
def nomad() -> NoMaD:
    network = NoMaD()
    load_strictly(network, published_state("nomad"), "nomad", "nomad.pth")
    return network.eval()


def test_the_encoder_is_timms_where_their_padding_agrees() -> None:
    import timm

    ours, theirs = EfficientNetB0(3).eval(), timm.create_model("tf_efficientnet_b0", num_classes=0).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    even, odd = torch.randn(1, 3, 96, 96), torch.randn(1, 3, 64, 85)
    with torch.no_grad():
        torch.testing.assert_close(ours(even), theirs(even))
        assert not torch.allclose(ours(odd), theirs(odd), rtol=0.1)


def agrees(ours: torch.Tensor, theirs: Any) -> None:
    torch.testing.assert_close(ours, torch.tensor(theirs), rtol=AGREEMENT, atol=AGREEMENT * 0.01)


@torch.no_grad()
def test_vint_answers_as_the_original(vint: ViNT) -> None:
    expected = golden()["vint"]
    distance, waypoints = vint(noise(expected["obs"]), noise(expected["goal"]))
    agrees(distance, expected["distance"])
    agrees(waypoints, expected["action"])


@torch.no_grad()
@pytest.mark.parametrize("masked", [False, True])
def test_nomad_answers_as_the_original(nomad: NoMaD, masked: bool) -> None:
    inputs = golden()["nomad"]
    expected = inputs[f"goal_mask_{int(masked)}"]
    condition, distance = nomad(noise(inputs["obs"]), noise(inputs["goal"]), torch.full((2,), masked))
    agrees(condition[:, :8], expected["condition_first8"])
    agrees(condition.norm(dim=1), expected["condition_norm"])
    agrees(distance, expected["distance"])
    predicted = nomad.noise_pred_net(noise(inputs["sample"]), torch.tensor(inputs["timestep"]), condition)
    agrees(predicted, expected["noise"])


@torch.no_grad()
def test_a_masked_goal_changes_nothing(nomad: NoMaD) -> None:
    inputs = golden()["nomad"]
    frames, goal, masked = noise(inputs["obs"])[:1], noise(inputs["goal"])[:1], torch.tensor([True])
    one, other = nomad(frames, goal, masked)[0], nomad(frames, -goal, masked)[0]
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert not torch.allclose(nomad(frames, goal, ~masked)[0], nomad(frames, -goal, ~masked)[0])


def test_samples_follow_their_seed_and_keep_their_bounds(nomad: NoMaD) -> None:
    condition = torch.zeros(2, 256)
    once, again, other = (nomad.sample(condition, 3, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert once.shape == (2, 3, 8, 2)
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    assert not torch.allclose(once, other)
    steps = torch.diff(once, dim=-2, prepend=torch.zeros(2, 3, 1, 2))
    assert steps[..., 0].min() >= -2.5 - 1e-4 and steps[..., 0].max() <= 5 + 1e-4 and steps[..., 1].abs().max() <= 4.001


def test_actions_become_waypoints() -> None:
    middle = waypoints_of(torch.zeros(1, 3, 2))[0]  # (dx, dy) half way between -2.5, -4 and 5, 4
    np.testing.assert_allclose(middle, [[1.25, 0.0], [2.5, 0.0], [3.75, 0.0]], atol=1e-6)


def test_denoising_finds_a_known_answer(nomad: NoMaD, monkeypatch: pytest.MonkeyPatch) -> None:
    """A predictor that knows the answer is led to it, by the schedule's own algebra."""
    answer = torch.tensor([0.3, -0.4])
    squares = [math.cos((i / 10 + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(11)]
    betas = [min(1 - b / a, 0.999) for a, b in pairwise(squares)]

    def knows(x: torch.Tensor, step: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        kept = math.prod(1 - beta for beta in betas[: int(step[0]) + 1])
        return (x - math.sqrt(kept) * answer) / math.sqrt(1 - kept)

    monkeypatch.setattr(nomad.noise_pred_net, "forward", knows)
    found = nomad.sample(torch.zeros(1, 256), 4, torch.Generator().manual_seed(0))
    expected = waypoints_of(answer.expand(1, 4, 8, 2))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["vint", "nomad"])
def test_loading_names_what_does_not_fit(kind: Any) -> None:
    state = published_state(kind)
    name = "dist_predictor.0.bias" if kind == "vint" else "dist_pred_net.network.4.bias"
    network = build(kind)
    with pytest.raises(ValueError, match=rf"x\.pth is not the published {kind}: it lacks {name}; check"):
        load_strictly(network, {key: value for key, value in state.items() if key != name}, kind, "x.pth")
    with pytest.raises(ValueError, match=r"it has surplus\.weight besides"):
        load_strictly(network, {**state, "surplus.weight": torch.zeros(1)}, kind, "x.pth")
    with pytest.raises(ValueError, match=rf"it has {name} of shape \[2\], not \[1\]"):
        load_strictly(network, {**state, name: torch.zeros(2)}, kind, "x.pth")
    with pytest.raises(ValueError, match=f"not finite in {name}"):
        load_strictly(network, {**state, name: torch.tensor([math.nan])}, kind, "x.pth")


def test_pictures_are_cropped_before_they_shrink() -> None:
    wide = np.zeros((60, 200, 3), np.uint8)
    wide[:, 60:140] = 200  # the middle 80 columns are 4:3
    assert (CropAndShrink(85, 64)(wide) == 200).all()
    high = np.zeros((100, 80, 3), np.uint8)
    high[20:80] = 90  # the middle 60 rows
    shrunk = CropAndShrink(96, 96)(high)
    assert shrunk.shape == (96, 96, 3) and (shrunk == 90).all()

"""Words through a CLIP text tower: a tiny one of random weights, made here."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch

from nav_foundation.model.checkpoint import from_pretrained, save_pretrained
from nav_foundation.model.config import ModelConfig, preset
from nav_foundation.model.goals import as_bytes
from nav_foundation.model.network import NavigationModel

transformers = pytest.importorskip("transformers", reason="transformers is not installed: nav-foundation[text]")


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tower")
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    transformers.CLIPTokenizer(vocab={word: k for k, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    torch.manual_seed(1)
    told = transformers.CLIPTextConfig(
        vocab_size=len(words), hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=40, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )
    transformers.CLIPTextModel(told).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def config(tower: Path) -> ModelConfig:
    return dataclasses.replace(preset("tiny"), text_tower=str(tower))


def test_words_become_tokens_that_do_not_depend_on_their_neighbours(config: ModelConfig) -> None:
    torch.manual_seed(0)
    adapters, is_object = NavigationModel(config).eval().goals, torch.tensor([False, False])
    goals = adapters.words(*as_bytes(["Go to the sofa", "stop"], config.text_bytes), is_object)
    assert goals.tokens.shape == (2, config.text_tokens, config.width) and goals.seen.all()
    alone = adapters.words(*as_bytes(["stop"], config.text_bytes), is_object[:1])
    torch.testing.assert_close(goals.tokens[1:], alone.tokens)
    assert not torch.allclose(goals.tokens[0], goals.tokens[1])


def test_the_tower_is_told_by_name_and_not_trained(config: ModelConfig, tower: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = NavigationModel(config)
    twin = copy.deepcopy(model)  # as the average of a training
    text = as_bytes(["the red chair"], config.text_bytes)
    said = model.goals.words(*text, torch.tensor([True])).tokens
    torch.testing.assert_close(twin.goals.words(*text, torch.tensor([True])).tokens, said)
    said.square().sum().backward()
    learnt = {name for name, weights in model.named_parameters() if weights.grad is not None}
    assert learnt >= {"goals.text.into.weight", "goals.text.asked"} and not any("tower" in name for name in learnt)
    save_pretrained(model, tmp_path / "model", {})
    again = from_pretrained(tmp_path / "model")
    torch.testing.assert_close(again.goals.words(*text, torch.tensor([True])).tokens, said.detach())
    kept = [name for name in model.state_dict() if name.startswith("goals.text.")]
    assert all(name.split(".")[2] in ("into", "norm", "asked", "pool") for name in kept)  # and nothing of the tower


def test_what_is_no_tower_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"text tower .* cannot be opened"):
        NavigationModel(dataclasses.replace(preset("tiny"), text_tower=str(tmp_path / "nothing")))

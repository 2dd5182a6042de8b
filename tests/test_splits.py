"""Scenes of train, val and test never meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_envs.scenes.splits import SPLITS, scene_refs, split_of
from sim_envs.simulator import SceneError, SceneRef

KINDS = st.sampled_from(["house", "city"])
SEEDS = st.integers(min_value=0, max_value=2**63)


@given(kind=KINDS, seed=SEEDS, split=st.sampled_from(SPLITS), count=st.integers(0, 30))
def test_a_scene_knows_its_split_and_none_repeats(kind, seed, split, count):
    refs = scene_refs(kind, split, seed, count)
    assert len({ref.seed for ref in refs}) == count
    assert {split_of(ref) for ref in refs} <= {split}
    assert all(SceneRef.parse(str(ref)) == ref for ref in refs)


@given(seeds=st.tuples(SEEDS, SEEDS, SEEDS))
def test_no_seed_makes_a_test_scene_for_training(seeds):
    numbers = [{ref.seed for ref in scene_refs("house", split, seed, 40)} for split, seed in zip(SPLITS, seeds)]
    assert not numbers[0] & numbers[1] and not numbers[0] & numbers[2] and not numbers[1] & numbers[2]


def test_scenes_are_pinned_for_ever():
    """Published results name scenes by split and seed, so these numbers may never change."""
    assert [r.seed for r in scene_refs("house", "train", 0, 2)] == [210576867567507, 261774788500327]
    assert [r.seed for r in scene_refs("house", "test", 0, 2)] == [773526820988819, 824724741921639]


def test_a_longer_list_extends_a_shorter_one_and_a_new_seed_makes_new_scenes():
    assert scene_refs("city", "val", 5, 50)[:20] == scene_refs("city", "val", 5, 20)
    assert not set(scene_refs("house", "test", 1, 500)) & set(scene_refs("house", "test", 2, 500))


def test_numbers_typed_by_hand_are_training_scenes_and_cities_keep_their_size():
    assert split_of(SceneRef("house", 7)) == "train"
    ref = scene_refs("city", "test", 0, 1, size=1000)[0]
    assert ref.size == 1000 and split_of(ref) == "test"
    assert str(ref).endswith("?size=1000")
    uneven = SceneRef("city", 7, 123.4567)
    assert SceneRef.parse(str(uneven)) == uneven


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: scene_refs("castle", "test", 0, 1), "castle"),
        (lambda: scene_refs("house", "tset", 0, 1), "did you mean 'test'"),
        (lambda: scene_refs("house", "test", 0, -1), "-1"),
        (lambda: scene_refs("house", "test", 0, 1, size=50), "only a city"),
        (lambda: split_of(SceneRef("file", path="a.glb")), "a.glb"),
        (lambda: split_of(SceneRef("house", 3 << 48)), "outside every split"),
    ],
)
def test_mistakes_are_explained(call, words):
    with pytest.raises(SceneError, match=words):
        call()

"""Settings from files: what is written is what is built, and what cannot be meant is refused by name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_foundation.config import closest, from_mapping, load_mapping, to_mapping
from nav_foundation.robot import RobotSpec, load_robot, shipped_robots


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    count: int
    mode: Literal["fast", "slow"] = "fast"
    inner: Inner = field(default_factory=Inner)
    pair: tuple[int, float] = (1, 2.0)
    limit: float | None = None
    verbose: bool = False
    folder: Path = Path()

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count is {self.count}: give 0 or more")


OUTER = st.builds(
    Outer, st.integers(0, 9), st.sampled_from(["fast", "slow"]),
    st.builds(Inner, st.floats(-5, 5), st.lists(st.text(max_size=3), max_size=3).map(tuple)),
    st.tuples(st.integers(), st.floats(-5, 5)), st.none() | st.floats(0, 1), st.booleans(),
    st.sampled_from([Path("a/b"), Path()]),
)


@settings(deadline=None)
@given(OUTER)
def test_round_trip_through_json(outer: Outer) -> None:
    assert from_mapping(Outer, json.loads(json.dumps(to_mapping(outer)))) == outer


@pytest.mark.parametrize("name", shipped_robots())
def test_robots_survive_the_round_trip(name: str) -> None:
    robot = load_robot(name)
    assert from_mapping(RobotSpec, to_mapping(robot)) == robot


@pytest.mark.parametrize(("data", "message"), [
    ({"cuont": 1}, r"here: unknown key 'cuont' \(did you mean 'count'\?\)"),
    ({"count": 1, "zzz": 1}, r"unknown key 'zzz' \(known: count, mode"),
    ({"count": 1, 7: 1}, "unknown key 7"),
    ({"count": 1, "inner": {"rat": 2.0}}, r"here: inner: unknown key 'rat' \(did you mean 'rate'\?\)"),
    ({}, "here: missing count"),
    ({"count": "1"}, "here: count is '1': it takes int"),
    ({"count": 1.0}, r"count is 1\.0"),
    ({"count": True}, "count is True"),
    ({"count": None}, "count is None"),
    ({"count": -1}, "here: count is -1: give 0 or more"),
    ({"count": 1, "mode": "fats"}, r"mode is 'fats' \(did you mean 'fast'\?\)"),
    ({"count": 1, "inner": 3}, "inner is 3: it takes 'key: value' pairs"),
    ({"count": 1, "inner": {"rate": "quick"}}, "rate is 'quick': it takes a float"),
    ({"count": 1, "inner": {"rate": float("nan")}}, "finite"),
    ({"count": 1, "inner": {"rate": 10**400}}, "finite"),
    ({"count": 1, "inner": {"rate": True}}, "rate is True"),
    ({"count": 1, "inner": {"names": "abc"}}, "it takes a list"),
    ({"count": 1, "inner": {"names": ["a", 1]}}, "names is 1"),
    ({"count": 1, "pair": [1]}, "has 1 items: it takes 2"),
    ({"count": 1, "limit": "none"}, "limit is 'none'"),
    ({"count": 1, "verbose": 1}, "verbose is 1"),
])
def test_what_cannot_be_meant_is_refused(data: dict[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_mapping(Outer, data, where="here")


def test_whole_numbers_are_numbers() -> None:
    outer = from_mapping(Outer, {"count": 1, "limit": 3, "pair": [2, 5]})
    assert outer.limit == 3.0
    assert isinstance(outer.limit, float)
    assert isinstance(outer.pair[1], float)


@pytest.mark.parametrize(("text", "expected"), [("1e-4", 1e-4), ("1.0e-4", 1e-4), ("-2E3", -2000.0)])
def test_exponents_are_numbers_with_and_without_a_dot(tmp_path: Path, text: str, expected: float) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"rate: {text}\n")
    assert from_mapping(Inner, load_mapping(file)).rate == expected


@pytest.mark.parametrize(("name", "text", "message"), [
    ("a.yaml", "count: [1", "cannot be read"),
    ("a.yaml", "- 1\n- 2\n", "must hold 'key: value' pairs"),
    ("a.yaml", "", "must hold 'key: value' pairs"),
    ("a.yaml", "count: 1\ncount: 2\n", "key 'count' is given twice"),
    ("a.yaml", "inner: {rate: 1, rate: 2}\n", "key 'rate' is given twice"),
    ("a.yaml", "? [1, 2]\n: 3\n", "cannot be read"),
    ("a.yaml", "x: !!python/object/apply:os.getcwd []\n", "cannot be read"),
    ("a.json", '{"count": 1, "count": 2}', "key 'count' is given twice"),
    ("a.json", '{"count": ', "cannot be read"),
    pytest.param("a.json", "[" * 100_000, "cannot be read", id="deep"),
    ("a.json", "[1]", "must hold 'key: value' pairs"),
])
def test_broken_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        load_mapping(file)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_binary_and_folder_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml does not exist"):
        load_mapping(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ValueError, match=r"binary\.yaml cannot be read"):
        load_mapping(tmp_path / "binary.yaml")
    with pytest.raises(ValueError, match="cannot be read"):
        load_mapping(tmp_path)


def test_yaml_and_json_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("count: 3\ninner: {rate: 0.5, names: [a, b]}\n")
    (tmp_path / "a.json").write_text('{"count": 3, "inner": {"rate": 0.5, "names": ["a", "b"]}}')
    assert load_mapping(tmp_path / "a.yaml") == load_mapping(tmp_path / "a.json")


def test_closest_names_the_word_meant() -> None:
    assert closest("turtelbot", ["jackal", "turtlebot"]) == " (did you mean 'turtlebot'?)"
    assert closest("x", ["jackal", "turtlebot"]) == " (known: jackal, turtlebot)"

"""Instructions are true: their claims are read back from the text and recomputed from the way and the floor plan."""

from __future__ import annotations

import math
import re
from itertools import groupby, pairwise

import numpy as np
import pytest
from fake_house import DOORS, ROBOT, ROOMS, FakeHouse, house_info

from sim_envs.simulator import Instance, SceneInfo, SceneRef
from sim_envs.tasks.generate import generate_episodes
from sim_envs.tasks.instructions import SYNONYMS, describe_route
from sim_envs.tasks.route import analyse, roads_crossed

DOOR_OF = {(a if b == "corridor" else b): (x, y) for x, y, a, b in DOORS}  # every room has one, into the corridor
PROPER = {word: name for name, words in SYNONYMS.items() for word in words if name != "tv"}
SIDE = "(left|right)"
ORDINAL = ("first", "second", "third")
NOUN = r"the ((?:first |second |third |fourth )?[a-zA-Z' ]+?)"
END = r"(?= on your| and |, |\.)"


def category(noun: str) -> str:
    return PROPER.get(noun, noun)


@pytest.fixture(scope="module")
def house() -> FakeHouse:
    return FakeHouse()


@pytest.fixture(scope="module")
def drives(house) -> list[tuple[np.ndarray, str]]:
    """Ways between random places, whatever they look like, and what is said about them."""
    info = house.load(SceneRef("house", 1), ROBOT.footprint)
    found = []
    for k in range(120):
        rng = np.random.default_rng(k)
        path = house.geodesic(house.sample_navigable(rng), house.sample_navigable(rng)[None]).path
        if np.linalg.norm(np.diff(path, axis=0), axis=1).sum() > 2.0:
            found.append((path, describe_route(info, path, rng)))
    return found


# --- what the way really does, worked out from the exact polyline -----------------------------------------------------


def dense(path: np.ndarray) -> np.ndarray:
    pieces = [np.linspace(a, b, max(2, int(np.linalg.norm(b - a) / 0.02))) for a, b in pairwise(path[:, :2])]
    return np.concatenate(pieces)


def rooms_visited(path: np.ndarray, least: float = 0.5) -> list[str]:
    """The rooms in which the way spends `least` metres at a time."""
    names = []
    for x, y in dense(path):
        inside = [n for n, (x0, y0, x1, y1) in ROOMS.items() if x0 <= x <= x1 and y0 <= y <= y1]
        names.append(inside[0])
    return [name for name, run in groupby(names) if 0.02 * len(list(run)) > least]


def turns(path: np.ndarray, least: float) -> list[str]:
    """L and R for every place where the heading changes by `least` degrees within 1.6 m, twice for 90 and so on."""
    points = dense(path)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])

    def at(s: np.ndarray) -> np.ndarray:
        return np.column_stack([np.interp(s, arc, points[:, k]) for k in (0, 1)])

    s = np.arange(0.8, arc[-1] - 0.8, 0.05)
    if not len(s):
        return []
    before, after = at(s) - at(s - 0.8), at(s + 0.8) - at(s)
    change = np.arctan2(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0], (before * after).sum(axis=1))
    signs = np.where(np.abs(change) >= math.radians(least), np.sign(change), 0)
    letters, k = [], 0
    for sign, run in groupby(signs):
        first, k = k, k + len(list(run))
        if sign:
            in_all = np.arctan2(*after[k - 1][::-1]) - np.arctan2(*before[first][::-1])
            parts = int(sign * in_all % math.tau / math.radians(45)) if least < 45 else 1
            letters += ["L" if sign > 0 else "R"] * max(parts, 1)
    return letters


def is_subsequence(short: list[str], long: list[str]) -> bool:
    rest = iter(long)
    return all(any(item == other for other in rest) for item in short)


# --- the claims of a text ---------------------------------------------------------------------------------------------


def turns_told(text: str) -> tuple[list[str], list[str]]:
    """The turns told for certain, and those together with doors on a side (which often are turns as well)."""
    doors = rf"(?:door|doorway|opening) on your {SIDE}"
    certain, possible = [], []
    for match in re.finditer(rf"(?:turn|take a|make a|another) {SIDE}|{doors}", text, re.I):
        letter = (match[1] or match[2])[0].upper()
        possible.append(letter)
        if match[1]:
            certain.append(letter)
    return certain, possible


def rooms_entered(text: str) -> list[str]:
    return [category(m[1]) for m in re.finditer(rf"(?:into|enter) {NOUN}{END}", text, re.I)]


def rooms_left(text: str) -> list[str]:
    return [
        category(m[1])
        for m in re.finditer(r"(?:leave|exit|walk out of|go from) the ([a-z' ]+?)(?= into| and |, |\.)", text, re.I)
    ]


def things_passed(text: str) -> list[tuple[str, str]]:
    """Nouns and sides: "past the sofa on your left and the chair and the bed on your right" are three."""
    noun, found = r"the ((?:(?! and |[.,]).)+?)", []
    for first, side, second, other in re.findall(
        rf"(?:past|pass) {noun}(?: on your {SIDE})?(?: and {noun} on your {SIDE})?(?=[.,]| and | then|$)", text, re.I
    ):
        found += [(first, side or other)] + ([(second, other)] if second else [])
    return found


def test_rooms_told_are_rooms_visited(drives):
    crossed = 0
    for path, text in drives:
        surely, perhaps = rooms_visited(path, 0.6), rooms_visited(path, 0.25)
        entered = rooms_entered(text)
        assert is_subsequence(entered, perhaps[1:]), (perhaps, text)
        must = [room for room in surely[1:] if room != "corridor"]
        assert is_subsequence(must, entered), (surely, text)
        assert is_subsequence(rooms_left(text), perhaps[:-1]), (perhaps, text)
        crossed += len(must)
    assert crossed > 60


def test_turns_told_are_turns_made(drives):
    told = 0
    for path, text in drives:
        certain, possible = turns_told(text)
        assert is_subsequence(certain, turns(path, 25)), (text, turns(path, 25), path)
        assert is_subsequence(turns(path, 75), possible), (text, turns(path, 75), path)
        told += len(certain)
    assert told > 40


def test_things_passed_lie_on_the_side_that_is_told(drives):
    info = house_info()
    passed = 0
    for path, text in drives:
        for noun, side in things_passed(text):
            points = dense(path)
            [thing] = [t for t in info.instances if t.category == category(noun) and t.is_object]
            nearest = int(np.linalg.norm(points - thing.centre, axis=1).argmin())
            ahead = points[min(nearest + 10, len(points) - 1)] - points[max(nearest - 10, 0)]
            offset = thing.centre - points[nearest]
            assert (ahead[0] * offset[1] - ahead[1] * offset[0] > 0) == (side == "left"), text
            assert np.abs(points - thing.centre).max(axis=1).min() < 3.0
            passed += 1
    assert passed > 15


def test_ordinal_doors_are_counted_from_the_plan(drives):
    """In the corridor: doors of the told side between where the way enters it and the door it takes."""
    counted = 0
    for path, text in drives:
        for ordinal, side, told in re.findall(rf"the ({'|'.join(ORDINAL)}) door on your {SIDE} into {NOUN}{END}", text):
            visited = rooms_visited(path, 0.25)
            at = visited.index("corridor")
            begin = float(path[0, 0]) if at == 0 else DOOR_OF[visited[at - 1]][0]
            target, wall = DOOR_OF[category(told)]
            forward = target > begin
            assert (wall > 4.8) == ((side == "left") == forward), text  # the upper wall is on the left of +x
            passed = [x for x, y in DOOR_OF.values() if y == wall and min(begin, target) < x < max(begin, target)]
            assert ORDINAL.index(ordinal) == len(passed), (text, begin, target)
            counted += 1
    assert counted > 20


def test_the_end_is_beside_what_is_told(house):
    info = house.load(SceneRef("house", 1), ROBOT.footprint)
    for variant in ("single-room", "multi-room"):
        for episode in generate_episodes(house, ROBOT, "instruction", variant, [SceneRef("house", 1)], 25, seed=2):
            assert_stop(info, episode.instruction, episode.goals[0])


def assert_stop(info: SceneInfo, text: str, end: np.ndarray) -> None:
    where = "(?:next to|beside|by|near|in front of|to)"
    noun, neighbour = re.findall(rf"{where} {NOUN}(?: that is next to the ([a-zA-Z ]+))?{END}", text)[-1]
    noun = re.sub(r"^(first|second|third|fourth) ", "", noun)
    things = [t for t in info.instances if t.category == category(noun)]
    if neighbour:
        [other] = [t for t in info.instances if t.category == category(neighbour)]
        things = [min(things, key=lambda t: math.dist(t.centre, other.centre))]
    assert things, text
    assert min(box_distance(t, end) for t in things) < 1.3, text


def box_distance(thing: Instance, point: np.ndarray) -> float:
    low, high = thing.outline.min(axis=0), thing.outline.max(axis=0)
    return float(np.linalg.norm(np.maximum(np.maximum(low - point[:2], point[:2] - high), 0.0)))


def test_a_robot_that_looks_away_is_told_to_turn_first():
    info = house_info()
    path = np.array([[1.0, 4.8, 0.0], [11.0, 4.8, 0.0]])
    for yaw, words in [(math.pi, "(all the way )?around"), (-1.6, "(to your )?left"), (1.6, "(to your )?right")]:
        for seed in range(5):
            assert re.match(f"Turn {words}", describe_route(info, path, np.random.default_rng(seed), yaw))
    assert not re.match("Turn", describe_route(info, path, np.random.default_rng(0), 0.3))


def test_one_of_two_chairs_is_told_apart(house):
    """The kitchen's chairs: by order on a side, or not named at all."""
    info = house_info()
    path = np.array([[4.5, 3.2, 0.0], [7.1, 2.6, 0.0]])
    text = describe_route(info, path, np.random.default_rng(0))
    assert not re.search(r"the chair\b", text), text


def test_wording_varies_and_is_a_function_of_the_generator(drives):
    info = house_info()
    path = drives[0][0]
    texts = [describe_route(info, path, np.random.default_rng(k)) for k in range(30)]
    assert len(set(texts)) > 8
    assert texts[3] == describe_route(info, path, np.random.default_rng(3))


def test_sentences_are_sentences(drives):
    for _, text in drives:
        for sentence in re.split(r"(?<=\.) ", text):
            assert re.fullmatch(r"[A-Z][A-Za-z0-9,' -]+\.", sentence), text
            assert not re.search(r"\b(\w+) \1\b|\ban? [aeiou]\b|\ba [aeiou]|\ban [^aeiou]| ,|and and", sentence), text


def test_a_way_through_nothing_is_still_told():
    bare = SceneInfo(SceneRef("house", 1), np.zeros(3), np.ones(3) * 10, 50.0)
    text = describe_route(bare, np.array([[0.0, 0, 0], [4, 0, 0], [4, 5, 0]]), np.random.default_rng(1))
    assert "left" in text and text.endswith(".")
    straight = describe_route(bare, np.array([[0.0, 0, 0], [4, 0, 0]]), np.random.default_rng(1))
    assert "about 4 metres" in straight


def test_doorways_between_rooms_do_not_count_as_outside():
    """Rooms that do not touch: the wall between them belongs to neither."""
    info = house_info()
    route = analyse(info, np.array([[2.0, 3.0, 0.0], [2.0, 5.0, 0.0], [6.0, 4.8, 0.0]]))
    [crossing] = route.crossings
    assert [info.rooms[k].category for k in (crossing.left, crossing.entered)] == ["bedroom", "corridor"]
    assert crossing.door is not None and crossing.at == pytest.approx(1.0, abs=0.11)
    [turn] = route.turns
    assert turn.side == "right" and turn.at == pytest.approx(2.0, abs=0.2)
    assert math.degrees(turn.angle) == pytest.approx(-92.9, abs=5)


def test_a_road_is_crossed_where_the_crossing_is():
    """Two halves of one crossing lead over one road; walking past another one is not crossing."""
    def stripe(number: int, x0: float, x1: float, y0: float, y1: float) -> Instance:
        outline = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        return Instance(number, "crossing", outline, 0.0, 0.0, is_object=False)

    stripes = (stripe(1, 5, 8, -1, 1), stripe(2, 8.5, 11, -1, 1), stripe(3, 14, 15.5, -4, 0.1))
    info = SceneInfo(SceneRef("city", 1), np.zeros(3), np.ones(3) * 30, 500.0, stripes)
    route = analyse(info, np.array([[0.0, 0, 0], [20, 0, 0]]))
    [road] = roads_crossed(info, route)
    assert road.at == pytest.approx(5.0, abs=0.1)
    text = describe_route(info, route.points, np.random.default_rng(0))
    assert len(re.findall("road at the cross(ing|walk)", text)) == 1

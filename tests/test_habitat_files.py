"""Episode files: what we save comes back equal, public files of every kind load, and broken ones are named."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_envs.simulator import Pose, SceneRef
from sim_envs.tasks.episode import SUCCESS_RADIUS, TASKS, Episode, EpisodeError
from sim_envs.tasks.habitat_files import load_episodes, save_episodes

LEFT = [0.0, math.sqrt(0.5), 0.0, math.sqrt(0.5)]  # Habitat's quaternion x, y, z, w of a quarter turn to the left


def same(a: Episode, b: Episode) -> bool:
    """Equal to the last bit, arrays included."""
    for field in dataclasses.fields(Episode):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            if x.dtype != y.dtype or not np.array_equal(x, y):
                return False
        elif x != y and not (isinstance(x, float) and isinstance(y, float) and math.isnan(x) and math.isnan(y)):
            return False
    return True


def write(path: Path, top: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(top).encode()))
    return path


def public_record(**changes: object) -> dict:
    record = {
        "episode_id": 7, "scene_id": "gibson/Adrian.glb", "start_position": [1.0, 0.25, -2.0], "start_rotation": LEFT,
        "info": {"geodesic_distance": 6.5, "difficulty": "easy"},
        "goals": [{"position": [3.0, 0.25, -4.0], "radius": None}], "start_room": None, "shortest_paths": None,
    }
    return {key: value for key, value in (record | changes).items() if value != "absent"}


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    for name in ("gibson/Adrian.glb", "mp3d/17DRP5sb8fy/17DRP5sb8fy.glb", "hm3d/val/00800-TEE/TEE.basis.glb"):
        file = tmp_path / "scenes" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "scenes"


# --- our own episodes -------------------------------------------------------------------------------------------------

coordinates = st.floats(-1e4, 1e4, allow_nan=False)
points = st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=1, max_size=4).map(np.array)
scene_refs = st.one_of(
    st.integers(0, 2**50).map(lambda n: SceneRef("house", n)),
    st.integers(0, 2**50).map(lambda n: SceneRef("city", n, 500.0)),
)


@st.composite
def episodes(draw: st.DrawFn, name: str) -> Episode:
    task = draw(st.sampled_from(TASKS))
    yaws = st.floats(-math.pi, math.pi)
    return Episode(
        episode_id=name, task=task, scene=draw(scene_refs),
        start=Pose(*draw(st.tuples(coordinates, coordinates, coordinates)), draw(yaws)),
        goals=np.empty((0, 3)) if task == "explore" else draw(points), success_radius=draw(st.floats(0.01, 10)),
        geodesic_distance=draw(st.floats(0.1, 1e3) | st.just(math.nan)),
        goal_yaw=draw(yaws) if task in ("image-goal", "tour") else None,
        category=draw(st.sampled_from(["chair", "potted plant"])) if task == "object-goal" else None,
        object_ids=tuple(draw(st.lists(st.integers(1, 2**31), max_size=4))) if task == "object-goal" else (),
        instruction="Go to the fridge, don't stop." if task == "instruction" else None,
        reference_path=draw(points) if task in ("instruction", "tour") else None,
        variant=draw(st.sampled_from(["", "route", "any"])), seed=draw(st.integers(0, 2**63)),
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_was_saved_is_what_is_loaded(tmp_path_factory, data):
    saved = [data.draw(episodes(str(k))) for k in range(4)]
    path = tmp_path_factory.mktemp("own") / "val.json.gz"
    save_episodes(path, saved)
    loaded = load_episodes(path)
    assert all(same(a, b) for a, b in zip(saved, loaded, strict=True))
    first = path.read_bytes()
    save_episodes(path, loaded)
    assert path.read_bytes() == first
    assert [p.name for p in path.parent.iterdir()] == ["val.json.gz"]  # nothing half written lies about


def a_goal(**changes: object) -> Episode:
    fields = {
        "episode_id": "a", "task": "point-goal", "scene": SceneRef("house", 3), "start": Pose(1.0, 2.0, 0.5, 0.3),
        "goals": np.array([[4.0, -1.0, 0.5]]), "success_radius": 0.5, "geodesic_distance": 5.0,
    }
    return Episode(**(fields | changes))


def test_the_file_is_what_habitat_reads(tmp_path):
    """Field by field against the schema that habitat-lab's data sets take, in Habitat's frame."""
    chair = a_goal(episode_id="b", task="object-goal", category="chair", object_ids=(12, 15), success_radius=1.0)
    words = a_goal(
        episode_id="c", task="instruction", instruction="Turn left. Turn right.", reference_path=np.zeros((2, 3))
    )
    save_episodes(tmp_path / "x.json.gz", [a_goal(), chair, words])
    top = json.loads(gzip.decompress((tmp_path / "x.json.gz").read_bytes()))
    point, thing, told = top["episodes"]
    assert point["start_position"] == [-2.0, 0.5, -1.0]  # habitat: x = -y, y = z, z = -x
    assert np.allclose(point["start_rotation"], [0, math.sin(0.15), 0, math.cos(0.15)])
    assert point["goals"] == [{"position": [1.0, 0.5, -4.0], "radius": 0.5}]
    navigation = {"episode_id", "scene_id", "start_position", "start_rotation", "info", "goals", "start_room",
                  "shortest_paths"}  # NavigationEpisode refuses any other key
    assert set(point) == navigation and set(thing) == navigation | {"object_category"}
    assert set(told) == navigation | {"instruction", "reference_path", "trajectory_id"}
    assert thing["goals"] == [] and set(top["category_to_task_category_id"]) == {"chair"}
    [goal] = top["goals_by_category"]["house:3_chair"]
    assert goal["object_id"] == "12" and goal["view_points"][0]["agent_state"]["position"] == [1.0, 0.5, -4.0]
    vocabulary = top["instruction_vocab"]["word_list"]
    assert [vocabulary[t] for t in told["instruction"]["instruction_tokens"]] == ["turn", "left", "turn", "right"]


def test_one_category_seen_with_two_robots_keeps_both_sets_of_goals(tmp_path):
    fields = {"task": "object-goal", "category": "bed", "object_ids": (4,), "success_radius": 1.0}
    saved = [a_goal(episode_id="a", **fields), a_goal(episode_id="b", goals=np.ones((2, 3)), **fields)]
    save_episodes(tmp_path / "x.json.gz", saved)
    assert all(same(a, b) for a, b in zip(saved, load_episodes(tmp_path / "x.json.gz"), strict=True))


def test_an_edited_rotation_wins_over_the_exact_yaw(tmp_path):
    path = tmp_path / "x.json.gz"
    save_episodes(path, [a_goal()])
    top = json.loads(gzip.decompress(path.read_bytes()))
    top["episodes"][0]["start_rotation"] = LEFT
    assert load_episodes(write(path, top))[0].start.yaw == pytest.approx(math.pi / 2)


def test_scene_files_of_our_own_episodes(tmp_path):
    mesh = tmp_path / "flat.glb"
    episode = a_goal(scene=SceneRef("file", path=str(mesh)))
    save_episodes(tmp_path / "x.json.gz", [episode])
    with pytest.raises(EpisodeError, match=r"flat\.glb, which does not exist"):
        load_episodes(tmp_path / "x.json.gz")
    mesh.touch()
    assert same(load_episodes(tmp_path / "x.json.gz")[0], episode)


def test_saving_refuses_twins_and_other_endings(tmp_path):
    with pytest.raises(EpisodeError, match="2 episodes are called 'a'"):
        save_episodes(tmp_path / "x.json.gz", [a_goal(), a_goal()])
    with pytest.raises(EpisodeError, match=r"end the name in \.json\.gz"):
        save_episodes(tmp_path / "x.json", [a_goal()])
    save_episodes(tmp_path / "x.json.gz", [])
    assert load_episodes(tmp_path / "x.json.gz") == []


# --- public files -----------------------------------------------------------------------------------------------------


def test_point_nav(tmp_path, scenes):
    file = write(tmp_path / "val.json.gz", {"episodes": [public_record(), public_record(episode_id="8", info=None)]})
    first, second = load_episodes(file, scenes_dir=scenes)
    assert first.task == "point-goal" and first.episode_id == "7" and first.geodesic_distance == 6.5
    assert first.scene == SceneRef("file", path=str(scenes / "gibson/Adrian.glb"))
    assert first.start.position.tolist() == [2.0, -1.0, 0.25] and first.start.yaw == pytest.approx(math.pi / 2)
    assert first.goals.tolist() == [[4.0, -3.0, 0.25]] and first.goals.dtype == np.float64
    assert first.success_radius == SUCCESS_RADIUS["point-goal"]
    assert math.isnan(second.geodesic_distance)
    assert first.seed != second.seed


def test_a_stated_radius_and_habitats_scene_prefix_are_honoured(tmp_path, scenes):
    record = public_record(
        scene_id="data/scene_datasets/gibson/Adrian.glb", goals=[{"position": [0, 0, 0], "radius": 0.2}]
    )
    [episode] = load_episodes(write(tmp_path / "v.json.gz", {"episodes": [record]}), scenes_dir=scenes)
    assert episode.success_radius == 0.2 and episode.scene.path.endswith("scenes/gibson/Adrian.glb")


def test_image_nav_headings_are_the_same_in_every_process(tmp_path, scenes):
    file = write(tmp_path / "val.json.gz", {"episodes": [public_record(episode_id=str(k)) for k in range(40)]})
    here = [e.goal_yaw for e in load_episodes(file, "image-goal", scenes)]
    code = (
        "import sys; from sim_envs.tasks.habitat_files import load_episodes;"
        "print([e.goal_yaw for e in load_episodes(sys.argv[1], 'image-goal', sys.argv[2])])"
    )
    for salt in ("1", "12345"):
        other = subprocess.run(
            [sys.executable, "-c", code, str(file), str(scenes)], capture_output=True, text=True, check=True,
            cwd=Path(__file__).parents[1], env={"PYTHONHASHSEED": salt},
        )
        assert json.loads(other.stdout) == here
    assert min(here) < -1.5 and max(here) > 1.5  # every direction occurs
    assert {e.task for e in load_episodes(file, "image-goal", scenes)} == {"image-goal"}


def view(x: float) -> dict:
    return {"agent_state": {"position": [x, 0.0, -1.0], "rotation": [0, 0, 0, 1]}, "iou": 0.4}


def test_object_nav_from_content_files(tmp_path, scenes):
    """The split file is empty; episodes lie per scene, share their goals, and repeat their ids."""
    folder = tmp_path / "objectnav" / "val"
    ids = {"tv_monitor": 0}
    empty = {"episodes": [], "category_to_task_category_id": ids, "category_to_mp3d_category_id": ids}
    for name in ("mp3d/17DRP5sb8fy/17DRP5sb8fy.glb", "gibson/Adrian.glb"):
        stem = Path(name).name
        goal = {"object_id": 3, "position": [9, 9, 9], "view_points": [view(1), view(2)]}
        record = public_record(episode_id="0", scene_id=name, object_category="tv_monitor", goals=[])
        top = {"episodes": [record], "goals_by_category": {f"{stem}_tv_monitor": [goal]}}
        write(folder / "content" / f"{Path(stem).stem}.json.gz", top)
    first, second = load_episodes(write(folder / "val.json.gz", empty), scenes_dir=scenes)
    assert (first.task, first.category, first.object_ids) == ("object-goal", "tv monitor", ())
    assert first.goals.tolist() == [[1.0, -1.0, 0.0], [1.0, -2.0, 0.0]]
    assert first.success_radius == 0.1  # from a view point, as Habitat counts it
    assert {first.episode_id, second.episode_id} == {"17DRP5sb8fy/0", "Adrian/0"}
    assert len(load_episodes(folder / "val.json.gz", scenes_dir=scenes, limit=1)) == 1


def test_object_nav_with_goals_in_the_episode(tmp_path, scenes):
    goal = {"position": [1, 0, 2], "object_id": 1, "object_category": "chair", "view_points": None}
    file = write(tmp_path / "v.json.gz", {"episodes": [public_record(goals=[goal])]})
    [episode] = load_episodes(file, scenes_dir=scenes)
    assert episode.category == "chair" and episode.goals.tolist() == [[-2.0, -1.0, 0.0]]


def test_instance_image_nav(tmp_path, scenes):
    image = {"position": [2.0, 1.3, -1.5], "rotation": LEFT, "hfov": 90, "image_dimensions": [512, 640]}
    goal = {"object_id": 5, "object_category": "plant", "position": [3, 0, -2], "view_points": [view(2)],
            "image_goals": [image | {"position": [0, 0, 0]}, image]}
    record = public_record(
        scene_id="hm3d/val/00800-TEE/TEE.basis.glb", goals=[], goal_object_id="5", goal_image_id=1,
        object_category="plant",
    )
    file = write(tmp_path / "v.json.gz", {"episodes": [record], "goals": {"TEE_5": goal}})
    [episode] = load_episodes(file, scenes_dir=scenes)
    assert episode.task == "image-goal" and episode.goal_yaw == pytest.approx(math.pi / 2)
    assert episode.goals.tolist() == [[1.0, -2.0, 0.0]]  # where the object is seen from ...
    assert episode.success_radius == 0.1  # ... is where success is measured, as Habitat does
    view_of = episode.goal_view
    assert view_of is not None and view_of.position == (1.5, -2.0, 1.3)
    assert (view_of.yaw, view_of.pitch) == pytest.approx((math.pi / 2, 0.0))
    assert (view_of.hfov_deg, view_of.width, view_of.height) == (90.0, 640, 512)
    save_episodes(tmp_path / "own.json.gz", [episode])
    assert same(load_episodes(tmp_path / "own.json.gz")[0], episode)


def test_r2r(tmp_path, scenes):
    record = public_record(
        scene_id="mp3d/17DRP5sb8fy/17DRP5sb8fy.glb", goals=[{"position": [0, 0, -5], "radius": 3.0}], trajectory_id=4,
        instruction={"instruction_text": " Exit the bedroom. \r\n", "instruction_tokens": [5, 9, 0, 0]},
        reference_path=[[0, 0, 0], [0, 0, -5]],
    )
    hidden = public_record(
        episode_id=8, goals="absent", info="absent", reference_path=[[0, 0, 0], [1, 0, 0]],
        instruction={"instruction_text": "Go.", "instruction_tokens": None},
    )
    top = {"episodes": [record, hidden], "instruction_vocab": {"word_list": ["<pad>"]}}
    first, second = load_episodes(write(tmp_path / "v.json.gz", top), "instruction", scenes)
    assert first.instruction == "Exit the bedroom." and first.success_radius == 3.0
    assert first.reference_path is not None and first.reference_path.tolist() == [[0, 0, 0], [5, 0, 0]]
    assert second.goals.tolist() == [[0.0, -1.0, 0.0]]  # the end of the reference path
    none = public_record(goals=None, instruction={"instruction_text": "Go."})
    with pytest.raises(EpisodeError, match="keeps its answers to itself"):
        load_episodes(write(tmp_path / "w.json.gz", {"episodes": [none]}), scenes_dir=scenes)


def test_rxr_languages(tmp_path, scenes):
    records = [
        public_record(
            episode_id=k, reference_path=[[0, 0, 0], [1, 0, 0]],
            instruction={"instruction_id": str(k), "instruction_text": "Walk.", "language": tag, "annotator_id": "0",
                         "timed_instruction": [{"start_time": 0.1, "end_time": 0.4, "word": "Walk."}]},
        )
        for k, tag in enumerate(["en-US", "hi-IN", "en-IN"])
    ]
    file = write(tmp_path / "val_guide.json.gz", {"episodes": records})
    assert [e.episode_id for e in load_episodes(file, scenes_dir=scenes, language="en")] == ["0", "2"]
    assert len(load_episodes(file, scenes_dir=scenes)) == 3


# --- broken files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start_position": [1.0, math.nan, 0.0]}, r"episode 7: start_position is \[1\.0, nan"),
        ({"start_position": [1.0, 0.0]}, "start_position .* it takes 3 finite numbers"),
        ({"start_position": "absent"}, "episode 7: start_position is missing"),
        ({"start_rotation": [0, 0, 0, 0]}, "start_rotation is all 0"),
        ({"start_rotation": [0, None, 0, 1]}, "start_rotation"),
        ({"goals": []}, "goals is empty"),
        ({"goals": [{"position": [0, 0, math.inf], "radius": 1}]}, r"goals\[0\]: position"),
        ({"goals": [{"radius": 1}]}, r"goals\[0\]: position is missing"),
        ({"goals": [{"position": [0, 0, 0], "radius": "big"}]}, r"goals\[0\]: radius is 'big'"),
        ({"goals": [{"position": [0, 0, 0], "radius": -1}]}, "radius -1.0 must be above 0"),
        ({"goals": "kitchen"}, "goals is 'kitchen'"),
        ({"scene_id": 5}, "scene_id is 5"),
        ({"scene_id": "house:big"}, "scene_id: scene 'house:big' is not known"),
        ({"scene_id": "gibson/Nowhere.glb"}, r"needs the scene file .*gibson/Nowhere\.glb, which does not exist"),
        ({"instruction": {"instruction_text": ""}}, "instruction_text is ''"),
        ({"object_category": "bed", "goals": []}, "goals_by_category is missing"),
        ({"info": {"nav_foundation": {"task": "juggle"}}}, "juggle"),
        ({"info": {"nav_foundation": {"task": "tour"}}}, "start_yaw is missing"),
    ],
)
def test_a_broken_episode_is_named_with_file_and_key(tmp_path, scenes, changes, words):
    file = write(tmp_path / "broken.json.gz", {"episodes": [public_record(**changes)]})
    with pytest.raises(EpisodeError, match=words) as caught:
        load_episodes(file, scenes_dir=scenes)
    assert "broken.json.gz" in str(caught.value) and "\n" not in str(caught.value)


def test_broken_files_are_named(tmp_path):
    whole = gzip.compress(json.dumps({"episodes": [public_record()] * 50}).encode())
    cases = {
        "cut.json.gz": (whole[: len(whole) // 2], "cut short or damaged"),
        "flip.json.gz": (whole[:60] + b"\xff\xff\xff" + whole[63:], "damaged|does not hold JSON"),
        "text.json.gz": (b"hello", "does not hold JSON"),
        "empty.json.gz": (b"", "does not hold JSON"),
        "list.json.gz": (gzip.compress(b"[1]"), "it takes an object with a list 'episodes'"),
        "other.json.gz": (gzip.compress(b'{"scenes": 3}'), "episodes is missing"),
        "deep.json.gz": (gzip.compress(b"[" * 200_000), "does not hold JSON"),
        "numbers.json.gz": (gzip.compress(b'{"episodes": [3]}'), "episodes is"),
    }
    for name, (data, words) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(EpisodeError, match=words) as caught:
            load_episodes(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(EpisodeError, match="does not exist"):
        load_episodes(tmp_path / "none.json.gz")
    with pytest.raises(EpisodeError, match="cannot be read"):
        load_episodes(tmp_path)


def test_a_file_of_another_task_is_refused(tmp_path, scenes):
    file = write(tmp_path / "v.json.gz", {"episodes": [public_record()]})
    with pytest.raises(EpisodeError, match="point-goal, and object-goal was asked for"):
        load_episodes(file, "object-goal", scenes)


# --- where scenes lie -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scene", "layout"),
    [
        ("hm3d/val/00801-X/X.basis.glb", "hm3d/{train,val}/00800-TEEsavR23oF/TEEsavR23oF.basis.glb"),
        ("data/scene_datasets/mp3d/X/X.glb", "mp3d/17DRP5sb8fy/17DRP5sb8fy.glb"),
        ("gibson/X.glb", "gibson/Adrian.glb"), ("replica/room_9/habitat/mesh_semantic.ply", "replica/apartment_0/"),
        ("ours/X.glb", "holds ours/X.glb"),
    ],
)
def test_a_missing_scene_tells_its_data_sets_layout(tmp_path, scenes, scene, layout):
    file = write(tmp_path / "v.json.gz", {"episodes": [public_record(scene_id=scene)]})
    with pytest.raises(EpisodeError, match="needs the scene file") as caught:
        load_episodes(file, scenes_dir=scenes)
    told = str(caught.value)
    assert layout in told and str(scenes) in told and "v.json.gz" in told and "\n" not in told


def test_a_scenes_folder_one_level_off_is_named(tmp_path, scenes):
    file = write(tmp_path / "v.json.gz", {"episodes": [public_record()]})
    with pytest.raises(EpisodeError, match=f"give {scenes} as scenes folder, the folder above"):
        load_episodes(file, scenes_dir=scenes / "gibson")
    scenes.rename(tmp_path / "scene_datasets")
    with pytest.raises(EpisodeError, match=f"give {tmp_path / 'scene_datasets'} as scenes folder, the one within"):
        load_episodes(file, scenes_dir=tmp_path)


def test_a_camera_that_looks_down_keeps_its_angles(tmp_path, scenes):
    """The quaternion of a turn by 40 degrees to the left, then 25 degrees down, multiplied out by hand."""
    s, c = math.sin(math.radians(20)), math.cos(math.radians(20))
    u, v = math.sin(math.radians(-12.5)), math.cos(math.radians(-12.5))
    image = {"position": [0, 1.2, 0], "rotation": [c * u, s * v, -s * u, c * v], "hfov": 60.5,
             "image_dimensions": [480, 640]}
    goal = {"object_id": 5, "position": [3, 0, -2], "view_points": [view(2)], "image_goals": [image]}
    record = public_record(goals=[], goal_object_id="5", goal_image_id=0, object_category="plant")
    file = write(tmp_path / "v.json.gz", {"episodes": [record], "goals": {"Adrian_5": goal}})
    [episode] = load_episodes(file, scenes_dir=scenes)
    assert episode.goal_view is not None and episode.goal_view.hfov_deg == 60.5
    assert math.degrees(episode.goal_view.yaw) == pytest.approx(40.0)
    assert math.degrees(episode.goal_view.pitch) == pytest.approx(25.0)

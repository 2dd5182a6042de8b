"""Predictions on people's own pictures: what is asked, read and drawn, and that it is what the policy says."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from published_weights import published_state

from nav_foundation.cli import _parser, main
from nav_foundation.config import to_mapping
from nav_foundation.data.images import decode, encode_jpeg, encode_png
from nav_foundation.data.video import VideoReader, write_video
from nav_foundation.model.checkpoint import from_pretrained, save_pretrained
from nav_foundation.model.config import preset
from nav_foundation.model.network import NavigationModel
from nav_foundation.robot import CameraSpec, RobotSpec, load_robot
from nav_foundation.types import (
    Explore,
    Goal,
    ImageGoal,
    InstructionGoal,
    ObjectGoal,
    Observation,
    Plan,
    PointGoal,
    Pose2,
    PoseGoal,
    RouteGoal,
)
from policies.learned import LearnedPolicy
from policies.load import load_policy, model_folder
from policies.prediction.asked import in_words, parse_goal, placed
from policies.prediction.drawing import GOAL, OTHER, PLAN, Drawer, verdict
from policies.prediction.footage import read_footage

TURTLEBOT = load_robot("turtlebot")
COUNT, WIDTH, HEIGHT = 5, TURTLEBOT.camera.width, TURTLEBOT.camera.height
PICTURES = np.random.default_rng(0).integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), dtype=np.uint8)
TABLE = "time,image,x,y,yaw\n" + "".join(f"{0.2 * k},{k + 8}.png,{0.1 * k},{0.05 * k},0.3\n" for k in range(COUNT))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("net")
    save_pretrained(NavigationModel(preset("tiny")), folder, {})
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `photos` 8.png to 12.png, `goal.png`, a table of poses, a film and pictures of another size."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for k, picture in enumerate(PICTURES):
        (tmp_path / "photos" / f"{k + 8}.png").write_bytes(encode_png(picture))
    (tmp_path / "goal.png").write_bytes(encode_png(PICTURES[-1]))
    (tmp_path / "large.jpg").write_bytes(encode_jpeg(np.zeros((480, 640, 3), np.uint8)))
    (tmp_path / "poses.csv").write_text(TABLE)
    write_video(tmp_path / "film.mp4", [np.full((HEIGHT, WIDTH, 3), 8 * k, np.uint8) for k in range(30)], 15)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], command: str) -> tuple[int, str, str]:
    try:
        code: Any = main(["predict", *shlex.split(command)])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def predicted(capsys: pytest.CaptureFixture[str], model: Path, command: str) -> dict[str, Any]:
    code, out, err = run(capsys, f"--model {model} --robot turtlebot --out seen {command}")
    assert code == 0 and out.startswith("seen: "), err
    return json.loads(Path("seen/predictions.json").read_text())


# --- what is asked --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("2.5,-1", PointGoal(2.5, -1.0)), (" 1, 2 ,1.5", PoseGoal(1.0, 2.0, 1.5)), ("explore", Explore()),
        ("words: turn left: at the door", InstructionGoal("turn left: at the door")),
        ("object:chair", ObjectGoal("chair")), ("route: back", RouteGoal("back")),
        ("words: " + "on and " * 100, InstructionGoal(("on and " * 100).strip())),
    ],
)
def test_goals_are_read(here: Path, text: str, goal: Goal) -> None:
    assert parse_goal(text) == goal


def test_a_picture_is_a_goal_even_if_its_name_is_a_word(here: Path) -> None:
    goal = parse_goal("goal.png")
    assert isinstance(goal, ImageGoal)
    np.testing.assert_array_equal(goal.rgb, PICTURES[-1])
    (here / "a: b.png").write_bytes(encode_png(PICTURES[0]))
    assert isinstance(parse_goal("a: b.png"), ImageGoal)


def test_places_are_in_the_frame_of_the_first_picture() -> None:
    """Half a turn to the left at (1, 2): what is 3 m ahead lies 3 m up the y axis."""
    first = Pose2(1.0, 2.0, math.pi / 2)
    point = placed(PointGoal(3.0, 1.0), first)
    assert isinstance(point, PointGoal) and (point.x, point.y) == pytest.approx((0.0, 5.0))
    pose = placed(PoseGoal(3.0, 1.0, 0.5), first)
    assert isinstance(pose, PoseGoal) and pose.yaw == pytest.approx(math.pi / 2 + 0.5)
    assert placed(Explore(), None) == Explore()


def test_goals_in_words() -> None:
    assert in_words(PoseGoal(-1.0, -2.0, 0.5)) == "1 m behind, 2 m right of the first picture, facing 0.5 rad"
    assert [in_words(g) for g in (ObjectGoal("chair"), RouteGoal("left"))] == ["find: chair", "the next way left"]


# --- what is read ---------------------------------------------------------------------------------------------------


def test_a_folder_is_read_in_the_order_of_its_numbers(here: Path) -> None:
    footage = read_footage([Path("photos")], None, None, 5.0)
    assert footage.names == ("8.png", "9.png", "10.png", "11.png", "12.png")
    assert footage.stamps_ns.tolist() == [0, 200_000_000, 400_000_000, 600_000_000, 800_000_000]
    assert footage.pose(0) is None
    np.testing.assert_array_equal(footage.rgb(2), PICTURES[2])


def test_pictures_are_thinned_to_the_frame_rate(here: Path) -> None:
    fast = read_footage([Path("photos")], None, 10.0, 5.0)
    assert fast.names == ("8.png", "10.png", "12.png") and np.diff(fast.stamps_ns).tolist() == [200_000_000] * 2
    slow = read_footage([Path("photos")], None, 2.0, 5.0)
    assert len(slow) == COUNT and slow.stamps_ns[-1] == 2_000_000_000


def test_a_film_is_seen_at_the_frame_rate(here: Path) -> None:
    """15 Hz, each picture 8 levels brighter: every third one is 24 brighter."""
    footage = read_footage([Path("film.mp4")], None, None, 5.0)
    levels = [round(float(footage.rgb(k).mean())) for k in range(10)]
    np.testing.assert_allclose(levels, 24 * np.arange(10), atol=2)
    assert footage.names[1] == "film.mp4 at 0.20 s"
    rarely = read_footage([Path("film.mp4")], None, 3.0, 5.0)
    np.testing.assert_allclose(rarely.stamps_ns[:4], np.arange(4) * 1e9 / 3, atol=1e6)


def test_poses_are_those_of_the_pictures(here: Path) -> None:
    footage = read_footage([Path("photos")], Path("poses.csv"), None, 5.0)
    assert footage.names == ("8.png", "9.png", "10.png", "11.png", "12.png")
    assert footage.poses is not None
    np.testing.assert_allclose(footage.poses[3], [0.3, 0.15, 0.3])
    (here / "film.csv").write_text("time,x,y,yaw\n0,0,0,0\n0.5,1,0,0\n1.0,2,0,0\n9,3,0,0\n")
    footage = read_footage([Path("film.mp4")], Path("film.csv"), None, 5.0)
    assert footage.poses is not None and len(footage) == 6  # 0 to 1 s; 8 s without a pose are too many
    np.testing.assert_allclose(footage.poses[:, 0], 2 * footage.stamps_ns / 1e9, atol=1e-6)
    [lost] = footage.left_out
    assert (lost.count, lost.why) == (14, "taken at times of which film.csv tells no pose")


def test_one_picture_is_its_own_frame(here: Path) -> None:
    assert read_footage([Path("goal.png")], None, None, 5.0).pose(0) == Pose2(0.0, 0.0, 0.0)


# --- what is drawn --------------------------------------------------------------------------------------------------


def level_robot(width: int = 640, height: int = 480, **camera: Any) -> RobotSpec:
    spec = {"mount_height": 0.5, "fx": 320.0, "fy": 320.0, "cx": 319.5, "cy": 239.5, **camera}
    return replace(TURTLEBOT, camera=CameraSpec(width, height, **spec))


def test_floor_points_lie_where_a_pinhole_sees_them() -> None:
    """A level camera 0.5 m high with f = 320: 2 m ahead the floor is 320 * 0.5 / 2 = 80 px below the centre, and
    0.25 m to the left is 40 px left of it. Shown twice as large, offsets from the picture's middle double."""
    drawer = Drawer(level_robot(), Explore())
    np.testing.assert_allclose(drawer.pixels(np.array([[2.0, 0.0], [2.0, 0.25]])), [[319.5, 319.5], [279.5, 319.5]])
    small = Drawer(level_robot(320, 240, fx=160.0, fy=160.0, cx=159.5, cy=119.5), Explore())
    assert small.size == (640, 480)
    np.testing.assert_allclose(small.pixels(np.array([[2.0, 0.25]])), [[279.5, 319.5]])
    large = Drawer(level_robot(2560, 1920, fx=1280.0, fy=1280.0, cx=1279.5, cy=959.5), Explore())
    assert large.size == (1280, 960)
    np.testing.assert_allclose(large.pixels(np.array([[2.0, 0.0]])), [[639.5, 639.5]])
    assert np.isnan(drawer.pixels(np.array([[-1.0, 0.0]]))).all()


def test_floor_points_lie_where_a_tilted_fisheye_sees_them() -> None:
    """An ideal fisheye's radius is f * angle: 45 degrees below the axis tilted by 0.3 rad are f * (pi/4 - 0.3)."""
    camera = {"distortion": "equidistant", "coefficients": (0.0,) * 4, "pitch": 0.3, "mount_height": 1.0}
    drawer = Drawer(level_robot(**camera), Explore())
    np.testing.assert_allclose(drawer.pixels(np.array([[1.0, 0.0]])), [[319.5, 239.5 + 320 * (math.pi / 4 - 0.3)]])


def plan_ahead(**more: Any) -> Plan:
    ahead = np.column_stack([np.arange(1, 9) * 0.4, np.zeros(8), np.zeros(8)])
    return Plan(ahead, 0.2, 0, **{"distance": 3.21, "distance_std": 0.84, "arrival": 0.12, **more})


def near(page: np.ndarray, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    patch = page[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4].astype(int)
    return bool((np.abs(patch - colour).max(axis=-1) < 40).any())


def test_the_plan_its_alternatives_and_the_place_are_on_the_picture() -> None:
    robot, grey = level_robot(), np.full((480, 640, 3), 90, np.uint8)
    left = np.column_stack([np.arange(1, 9) * 0.4, np.full(8, 0.8), np.zeros(8)])
    page = Drawer(robot, PointGoal(4.0, -1.0), "there")(
        Observation(grey, 0, Pose2(0.0, 0.0, 0.0)), plan_ahead(alternatives=(left,)), "a.jpg"
    )
    assert page.shape[0] > 480 and page.shape[1] > 640 and page.shape[0] % 2 == page.shape[1] % 2 == 0
    assert near(page, 319.5, 239.5 + 320 * 0.5 / 2, PLAN)
    assert near(page, 319.5 - 320 * 0.8 / 2, 239.5 + 320 * 0.5 / 2, OTHER)
    assert near(page, 319.5 + 320 * 1.0 / 4 + 12, 239.5 + 320 * 0.5 / 4, GOAL)
    assert (page[:200, :640] == 90).all()  # nothing hides the picture above the horizon
    bare = Drawer(robot, Explore())(Observation(grey, 0), plan_ahead(), "a.jpg")
    assert not near(bare, 319.5 + 320 * 1.0 / 4 + 12, 239.5 + 320 * 0.5 / 4, GOAL)


def test_the_goal_picture_is_shown_beside() -> None:
    goal = np.zeros((480, 640, 3), np.uint8)
    goal[..., 1] = 255
    page = Drawer(level_robot(), ImageGoal(goal))(Observation(np.full_like(goal, 90), 0), plan_ahead(), "a.jpg")
    assert (page[:480, :640] == 90).all(axis=-1)[:200].all()
    assert (page[:480, 640:] == (0, 255, 0)).all(axis=-1).sum() > 0.5 * 240 * 160


@pytest.mark.parametrize("size", [(64, 48), (1080, 1920), (1280, 300), (101, 77)])
def test_pictures_of_any_size_are_drawn(size: tuple[int, int]) -> None:
    robot = replace(TURTLEBOT, camera=CameraSpec(*size, mount_height=0.3, hfov_deg=70.0))
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    stands = Plan(np.zeros((8, 3)), 0.2, 0, math.inf)
    for goal, words in ((ImageGoal(picture), ""), (InstructionGoal("x"), "turn left and go on " * 20)):
        page = Drawer(robot, goal, words)(Observation(picture, 0), stands, "picture.jpg")
        assert page.dtype == np.uint8 and page.shape[0] % 2 == page.shape[1] % 2 == 0 and max(page.shape) < 2000


def test_the_line_of_text() -> None:
    assert verdict(plan_ahead(), ObjectGoal("chair")) == "distance 3.2 ± 0.8 m, arrival 12 %"
    assert verdict(plan_ahead(distance=math.inf, arrival=0.0), ObjectGoal("chair")) == "out of reach, arrival 0 %"
    assert "distance 3" not in verdict(plan_ahead(), Explore()) + verdict(plan_ahead(), RouteGoal("left"))


# --- the verb -------------------------------------------------------------------------------------------------------


KINDS = [
    ("goal.png", ImageGoal(PICTURES[-1])), ("2,1", PointGoal(2.0, 1.0)), ("2,1,0.5", PoseGoal(2.0, 1.0, 0.5)),
    ("words: go to the sofa", InstructionGoal("go to the sofa")), ("object: chair", ObjectGoal("chair")),
    ("route: left", RouteGoal("left")), ("explore", Explore()),
]


@pytest.mark.parametrize(("text", "goal"), KINDS, ids=[text for text, _ in KINDS])
def test_the_json_is_what_the_policy_says(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str], text: str, goal: Goal
) -> None:
    place = isinstance(goal, (PointGoal, PoseGoal))
    data = predicted(capsys, model, f'--images photos --goal "{text}" --json too.json' + " --poses poses.csv" * place)
    policy = LearnedPolicy(from_pretrained(model))
    poses = [Pose2(0.1 * k, 0.05 * k, 0.3) if place else None for k in range(COUNT)]
    if isinstance(goal, (PointGoal, PoseGoal)):  # the first picture was taken at the origin, turned by 0.3 rad
        c, s = math.cos(0.3), math.sin(0.3)
        goal = replace(goal, x=2 * c - s, y=2 * s + c, **({"yaw": 0.8} if isinstance(goal, PoseGoal) else {}))
    policy.reset(TURTLEBOT, goal, 0)
    for k, told in enumerate(data["predictions"]):
        plan = policy.plan(Observation(PICTURES[k], k * 200_000_000, poses[k]), goal)
        np.testing.assert_allclose(told["waypoints"], plan.waypoints, atol=1e-5)
        assert told["picture"] == f"{k + 8}.png" and told["waypoint_dt"] == 0.2
        assert told["seconds"] == pytest.approx(0.2 * k)
        if isinstance(goal, (Explore, RouteGoal)):  # nowhere to arrive at: the network is not taught these numbers
            assert told["distance"] is told["distance_std"] is told["arrival"] is None
            continue
        expected = plan.distance if math.isfinite(plan.distance) else None
        assert told["distance"] == (expected and pytest.approx(expected, abs=1e-4))
        assert told["distance_std"] == pytest.approx(plan.distance_std, abs=1e-4)
        assert told["arrival"] == pytest.approx(plan.arrival, abs=1e-5)
    assert len(data["predictions"]) == COUNT and data["settings"]["goal"] == text and data["frame_rate"] == 5.0
    assert Path("too.json").read_text() == Path("seen/predictions.json").read_text()


def test_what_cannot_be_reached_has_no_distance(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.learned.UNREACHABLE", -1.0)
    data = predicted(capsys, model, "--images goal.png --goal goal.png")
    assert [entry["distance"] for entry in data["predictions"]] == [None]


def test_pictures_and_a_video_are_written(here: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = predicted(capsys, model, "--images photos --goal explore")
    drawings = [entry["drawing"] for entry in data["predictions"]]
    assert drawings == [f"{k:04d}.jpg" for k in range(COUNT)]
    assert {path.name for path in Path("seen").iterdir()} == {*drawings, "video.mp4", "predictions.json"}
    pages = [decode(Path("seen", name).read_bytes()).astype(int) for name in drawings]
    with VideoReader(Path("seen/video.mp4")) as film:
        assert int(np.argmin([np.abs(film.frame_at(0.6) - page).mean() for page in pages])) == 3


def test_films_single_pictures_and_other_cameras(here: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = predicted(capsys, model, "--images film.mp4 --goal explore")
    assert [round(entry["seconds"], 3) for entry in data["predictions"]][:3] == [0.0, 0.2, 0.4]
    code, _, _ = run(capsys, f"--model {model} --robot turtlebot --out one --images large.jpg --goal 1,0 --hfov 60")
    data = json.loads(Path("one/predictions.json").read_text())
    assert code == 0 and not Path("one/video.mp4").exists() and data["frame_rate"] is None
    camera = data["robot"]["camera"]
    assert (camera["width"], camera["height"], camera["hfov_deg"], camera["mount_height"]) == (640, 480, 60.0, 0.25)
    spec = replace(TURTLEBOT, camera=CameraSpec(640, 480, mount_height=0.25, mount_forward=0.05, hfov_deg=60.0))
    (here / "me.yaml").write_text(yaml.safe_dump(to_mapping(spec)))
    code, _, _ = run(capsys, f"--model {model} --robot me.yaml --out two --images large.jpg --goal 1,0")
    same = json.loads(Path("two/predictions.json").read_text())
    assert code == 0 and same["predictions"] == data["predictions"]


def test_published_models_predict(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(published_state("vint"), here / "vint.pth")
    assert main(["import-checkpoint", "vint.pth", "--kind", "vint", "--metric-spacing", "0.25", "--out", "vint"]) == 0
    capsys.readouterr()
    data = predicted(capsys, here / "vint", "--images goal.png --goal goal.png")
    assert np.shape(data["predictions"][0]["waypoints"]) == (5, 3)
    code, _, err = run(capsys, '--model vint --robot turtlebot --out no --images goal.png --goal "object: chair"')
    assert code == 2 and "use it with image-goal" in err and not Path("no").exists()


MISTAKES = [
    ("--model nowhere", "model nowhere does not exist: give nano, the folder"),
    ("--model photos", "model photos holds no model: give nano, the folder"),
    ("--robot turtelbot", "did you mean 'turtlebot'?"),
    ("--goal nowhere.jpg", "is no file and none of the other kinds: give a picture file, x,y"),
    ("--goal chair", "object: ..."),
    ("--goal 1,2,3,4", "give x,y or x,y,yaw"),
    ("--goal 1,,2", "give x,y or x,y,yaw"),
    ("--goal 'objet: chair'", "'objet' is no kind of goal (did you mean 'object'?)"),
    ("--goal 'route: lft'", "'lft' is no way to take (did you mean 'left'?)"),
    ("--goal words:", "says nothing after the colon"),
    ("--goal poses.csv", "--goal poses.csv is no picture"),
    ("--goal explore --images 'a film'", "--images a film does not exist"),
    ("--goal 3,1", "--goal 3,1 is a place, which can only be found by knowing where every picture was taken: give "
                   "--poses FILE"),
    ("--goal large.jpg", "--goal large.jpg is 640x480 pixels and the pictures 128x96"),
    ("--images large.jpg", "large.jpg is 640x480 pixels and the camera of turtlebot 128x96: give --hfov DEG"),
    ("--images photos film.mp4", "not several of these"),
    ("--images film.mp4 film.mp4", "not several of these"),
    ("--images poses.csv", "is neither a picture"),
    ("--images empty", "--images empty holds no pictures"),
    ("--images broken.mp4", "broken.mp4 is no film that can be read"),
    ("--images broken.jpg", "broken.jpg: a picture of 3 bytes cannot be decoded"),
    ("--images photos/10.png photos/8.png photos/9.png", "--images has photos/10.png before photos/8.png"),
    ("--poses nowhere.csv", "nowhere.csv cannot be read"),
    ("--images goal.png --poses poses.csv", "--poses goes with one folder or one film"),
    ("--poses poses.csv --fps 3", "leave out --fps"),
    ("--images film.mp4 --poses late.csv", "seconds from the film's first picture"),
    ("--images film.mp4 --fps 9", "--fps 9 is more than the robot's frame rate, 5 Hz"),
    ("--fps 0", "--fps is 0"), ("--fps nan", "--fps is nan"), ("--hfov 200", "--hfov is 200: give degrees"),
    ("--out photos", "--out photos holds files already: name a new folder"),
    ("--json photos", "--json photos is a folder: name a file"),
]


@pytest.mark.parametrize(("changes", "words"), MISTAKES, ids=[changes for changes, _ in MISTAKES])
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str], changes: str, words: str
) -> None:
    (here / "empty").mkdir()
    for name in ("broken.jpg", "broken.mp4"):
        (here / name).write_bytes(b"???")
    (here / "late.csv").write_text("time,x,y,yaw\n90,0,0,0\n91,1,0,0\n")
    before = sorted(here.rglob("*"))
    defaults = {"--model": str(model), "--images": "photos", "--goal": "goal.png", "--robot": "turtlebot", "--out": "o"}
    rest = " ".join(f"{name} {value}" for name, value in defaults.items() if name not in changes)
    code, out, err = run(capsys, f"{rest} {changes}")
    assert code == 2 and out == "" and words in err and len(err.splitlines()) == 1
    assert err.startswith("nav-foundation predict: ") and sorted(here.rglob("*")) == before


@pytest.mark.parametrize("name", ["explore", "3,1", "words: x"])
def test_a_goal_that_is_also_a_file_is_not_guessed(here: Path, name: str) -> None:
    (here / name).write_bytes(encode_png(PICTURES[0]))
    with pytest.raises(ValueError, match=r"is also the name of a file: write \./"):
        parse_goal(name)


def test_pictures_of_other_sizes_are_told_where_they_come(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, f"--model {model} --robot turtlebot --out o --goal explore --images goal.png large.jpg")
    assert code == 2 and "large.jpg is 640x480 pixels and the pictures before it 128x96" in err


def test_models_are_found_in_one_place(model: Path, tmp_path: Path) -> None:
    assert model_folder(str(model)) == model
    assert isinstance(load_policy(str(model)), LearnedPolicy)
    with pytest.raises(ValueError, match="does not exist"):
        load_policy(str(tmp_path / "nothing"))


def test_examples_of_the_help_are_options_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    examples = [line for line in out.split("examples:")[1].splitlines() if line.startswith("  nav-foundation")]
    assert code == 0 and len(examples) >= 4
    for example in examples:
        _parser().parse(shlex.split(example)[1:])

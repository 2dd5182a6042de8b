"""One episode as a record of Habitat's JSON, and back.

What Habitat has no place for (our task names, seeds, exact yaws, tours) travels under `info.nav_foundation`, which
Habitat ignores; records without it are public ones and are read by the rules of Habitat's own data sets.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, cast

import numpy as np

from sim_envs.habitat_frame import from_habitat, pitch_from_habitat, to_habitat, yaw_from_habitat, yaw_to_habitat
from sim_envs.simulator import Pose, SceneRef
from sim_envs.tasks.episode import SUCCESS_RADIUS, TASKS, Episode, EpisodeError, GoalView, TaskName

OURS = "nav_foundation"
Goals = dict[str, list[dict[str, Any]]]  # what goals_by_category holds
VIEW_POINT_RADIUS = 0.1  # m, Habitat's success distance to an ObjectNav view point, which lies near the object already


@dataclass(frozen=True)
class Record:
    """A JSON object that explains itself when something in it is wrong."""

    data: Mapping[str, Any]
    where: str  # "FILE, episode 7"

    def error(self, key: str, wrong: str) -> EpisodeError:
        return EpisodeError(f"{self.where}: {key} {wrong}")

    def get(self, key: str) -> Any:
        if key not in self.data:
            raise self.error(key, "is missing: the file does not follow Habitat's episode schema")
        return self.data[key]

    def record(self, key: str) -> Record:
        value = self.get(key)
        if not isinstance(value, dict):
            raise self.error(key, f"is {_short(value)}: it takes an object with named values")
        return Record(value, f"{self.where}, {key}")

    def records(self, key: str) -> list[Record]:
        value = self.get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, f"is {_short(value)}: it takes a list of objects")
        return [Record(item, f"{self.where}, {key}[{i}]") for i, item in enumerate(value)]

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, f"is {_short(value)}: it takes words")
        return value

    def whole(self, key: str) -> int:
        value = self.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(key, f"is {_short(value)}: it takes a whole number")
        return value

    def number(self, key: str) -> float:
        value = self.get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
            raise self.error(key, f"is {_short(value)}: it takes a finite number")
        return float(value)

    def array(self, key: str, shape: tuple[int, ...]) -> np.ndarray:
        """Finite float64 values; -1 in `shape` stands for any length."""
        value = self.get(key)
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.empty(())
        if shape[0] == -1 and isinstance(value, list) and not value:
            array = np.empty((0, *shape[1:]))
        fits = array.ndim == len(shape) and all(want in (-1, got) for want, got in zip(shape, array.shape))
        if not fits or not np.isfinite(array).all():
            what = f"{shape[-1]} finite numbers" if len(shape) == 1 else f"a list of {shape[-1]} finite numbers each"
            raise self.error(key, f"is {_short(value)}: it takes {what}")
        return array


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# --- reading ------------------------------------------------------------------------------------------------------


def task_of(record: Record) -> TaskName:
    """What a record asks for. PointNav and ImageNav share one schema, which counts as point-goal."""
    if OURS in _info(record):
        name = record.record("info").record(OURS).text("task")
        for task in TASKS:
            if task == name:
                return task
        raise record.error(f"info.{OURS}.task", f"is {name!r}: it takes one of {', '.join(TASKS)}")
    if "instruction" in record.data:
        return "instruction"
    if "goal_image_id" in record.data:
        return "image-goal"
    return "object-goal" if _object_category(record) else "point-goal"


def read_episode(record: Record, top: Record, task: TaskName, scene: SceneRef) -> Episode:
    """`top` is the file's outermost object, which holds the goals that several episodes share."""
    position = from_habitat(record.array("start_position", (3,)))
    rotation = record.array("start_rotation", (4,))
    if not rotation.any():
        raise record.error("start_rotation", "is all 0: it takes a quaternion x, y, z, w")
    x, y, z = position.tolist()
    start = Pose(x, y, z, yaw_from_habitat(rotation.tolist()))
    name = str(record.get("episode_id"))
    if OURS in _info(record):
        return _read_ours(record, top, name, start, scene)
    read = {"instruction": _read_instruction, "object-goal": _read_object}.get(task, _read_place)
    fields = {"success_radius": SUCCESS_RADIUS[task], **read(record, top, task)}
    distance = _info(record).get("geodesic_distance")
    return Episode(
        episode_id=name, task=task, scene=scene, start=start,
        geodesic_distance=float(distance) if isinstance(distance, (int, float)) else math.nan,
        seed=stable_seed(record.text("scene_id"), name), **fields,
    )


def _info(record: Record) -> Mapping[str, Any]:
    info = record.data.get("info")
    return info if isinstance(info, dict) else {}


def stable_seed(*words: str) -> int:
    """A number that depends on the words alone, in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b("\n".join(words).encode(), digest_size=4).digest(), "big")


def _read_place(record: Record, top: Record, task: TaskName) -> dict[str, Any]:
    if "goal_image_id" in record.data:
        return _read_instance_image(record, top)
    goals = record.records("goals")
    fields: dict[str, Any] = {"goals": _positions(goals, record, "goals"), **_radius(goals)}
    if task == "image-goal":  # the schema holds no heading
        rng = np.random.default_rng(stable_seed(record.text("scene_id"), str(record.get("episode_id")), "heading"))
        fields["goal_yaw"] = float(rng.uniform(-math.pi, math.pi))
    return fields


def _read_instance_image(record: Record, top: Record) -> dict[str, Any]:
    scene = PurePosixPath(record.text("scene_id")).name
    for suffix in (".glb", ".basis"):
        scene = scene.removesuffix(suffix)
    goal = top.record("goals").record(f"{scene}_{record.get('goal_object_id')}")
    images, number = goal.records("image_goals"), record.whole("goal_image_id")
    if not 0 <= number < len(images):
        raise record.error("goal_image_id", f"is {number}: the goal has {len(images)} images")
    view = _goal_view(images[number])
    # Success is to stand where the object is seen from, wherever the picture was taken.
    return {
        "goals": _view_points([goal], record), "success_radius": VIEW_POINT_RADIUS, "goal_yaw": view.yaw,
        "goal_view": view, "category": _object_category(record),
    }


def _goal_view(image: Record) -> GoalView:
    x, y, z = from_habitat(image.array("position", (3,))).tolist()
    rotation = image.array("rotation", (4,)).tolist()
    height, width = image.array("image_dimensions", (2,)).tolist()
    yaw = yaw_from_habitat(rotation)
    return GoalView((x, y, z), yaw, pitch_from_habitat(rotation), image.number("hfov"), int(width), int(height))


def _object_category(record: Record) -> str | None:
    name = record.data.get("object_category")
    if name is None:
        goals = record.data.get("goals") or [{}]
        name = goals[0].get("object_category") if isinstance(goals, list) and isinstance(goals[0], dict) else None
    return name.replace("_", " ") if isinstance(name, str) and name else None


def goals_key(scene_id: str, category: str) -> str:
    """Under which name `goals_by_category` keeps the goals of an episode."""
    return f"{PurePosixPath(scene_id).name}_{category}"


def _read_object(record: Record, top: Record, task: TaskName) -> dict[str, Any]:
    if record.data.get("goals"):
        goals = record.records("goals")
    else:
        key = goals_key(record.text("scene_id"), record.text("object_category"))
        goals = top.record("goals_by_category").records(key)
    views = _view_points(goals, record)
    return {"goals": views, "success_radius": VIEW_POINT_RADIUS, "category": _object_category(record)}


def _view_points(goals: Sequence[Record], record: Record) -> np.ndarray:
    """[N, 3] in the world frame: where the objects are seen from, or the objects themselves."""
    points: list[Any] = []
    for goal in goals:
        views = goal.records("view_points") if goal.data.get("view_points") else []
        points += [view.record("agent_state").array("position", (3,)) for view in views]
        if not views:
            points.append(goal.array("position", (3,)))
    if not points:
        raise record.error("goals", "is empty: there is nowhere to go")
    return from_habitat(np.array(points))


def _read_instruction(record: Record, top: Record, task: TaskName) -> dict[str, Any]:
    path = from_habitat(record.array("reference_path", (-1, 3))) if record.data.get("reference_path") else None
    goals = record.records("goals") if record.data.get("goals") else []
    if not goals and path is None:
        raise record.error("goals", "is missing, and so is reference_path: this split keeps its answers to itself")
    places = _positions(goals, record, "goals") if goals else cast(np.ndarray, path)[-1:]
    text = record.record("instruction").text("instruction_text").strip()
    return {"goals": places, "reference_path": path, "instruction": text, **_radius(goals)}


def _positions(goals: Sequence[Record], record: Record, key: str) -> np.ndarray:
    if not goals:
        raise record.error(key, "is empty: there is nowhere to go")
    return from_habitat(np.array([goal.array("position", (3,)) for goal in goals]))


def _radius(goals: Sequence[Record]) -> dict[str, float]:
    """The success radius, where the file gives one (many leave it null)."""
    if not goals or goals[0].data.get("radius") is None:
        return {}
    return {"success_radius": goals[0].number("radius")}


def _read_ours(record: Record, top: Record, name: str, start: Pose, scene: SceneRef) -> Episode:
    info = record.record("info")
    ours = info.record(OURS)
    task = task_of(record)
    yaw = ours.number("start_yaw")
    if abs(math.remainder(yaw - start.yaw, math.tau)) > 1e-6:  # somebody has edited the rotation: it wins
        yaw = start.yaw
    if "goals" in ours.data:
        goals = from_habitat(ours.array("goals", (-1, 3)))
    elif task == "object-goal":
        goals = _read_object(record, top, task)["goals"]
    else:
        places = [goal.array("position", (3,)) for goal in record.records("goals")]
        goals = from_habitat(np.array(places).reshape(-1, 3))
    path = next((r for r in (ours, record) if r.data.get("reference_path")), None)
    ids = ours.array("object_ids", (-1,))
    words = record.record("instruction").text("instruction_text") if "instruction" in record.data else None
    distance = info.get("geodesic_distance")
    return Episode(
        episode_id=name, task=task, scene=scene, start=Pose(start.x, start.y, start.z, yaw), goals=goals,
        success_radius=ours.number("success_radius"),
        geodesic_distance=math.nan if distance is None else info.number("geodesic_distance"),
        goal_yaw=None if ours.get("goal_yaw") is None else ours.number("goal_yaw"),
        category=None if ours.get("category") is None else ours.text("category"),
        object_ids=tuple(int(i) for i in ids), instruction=words,
        reference_path=None if path is None else from_habitat(path.array("reference_path", (-1, 3))),
        variant=str(ours.get("variant")), seed=ours.whole("seed"),
        goal_view=_read_own_view(ours.record("goal_view")) if "goal_view" in ours.data else None,
    )


def _read_own_view(view: Record) -> GoalView:
    x, y, z = view.array("position", (3,)).tolist()
    angles = (view.number("yaw"), view.number("pitch"), view.number("hfov_deg"))
    return GoalView((x, y, z), *angles, view.whole("width"), view.whole("height"))


# --- writing ------------------------------------------------------------------------------------------------------


def write_episode(episode: Episode, goals_by_category: Goals) -> dict[str, Any]:
    """The record of an episode. Goals of objects are added to `goals_by_category`, once for all episodes."""
    ours: dict[str, Any] = {
        "task": episode.task, "variant": episode.variant, "seed": episode.seed, "start_yaw": episode.start.yaw,
        "success_radius": episode.success_radius, "goal_yaw": episode.goal_yaw, "category": episode.category,
        "object_ids": [int(i) for i in episode.object_ids],
    }
    record: dict[str, Any] = {
        "episode_id": episode.episode_id, "scene_id": str(episode.scene),
        "start_position": to_habitat(episode.start.position).tolist(),
        "start_rotation": list(yaw_to_habitat(episode.start.yaw)),
        "info": {"geodesic_distance": _finite_or_none(episode.geodesic_distance), OURS: ours},
        "goals": [{"position": p, "radius": episode.success_radius} for p in to_habitat(episode.goals).tolist()],
        "start_room": None, "shortest_paths": None,
    }
    if episode.goal_view is not None:
        ours["goal_view"] = asdict(episode.goal_view)
    path = None if episode.reference_path is None else to_habitat(episode.reference_path).tolist()
    if episode.instruction is not None:
        record["instruction"] = {"instruction_text": episode.instruction, "instruction_tokens": []}
        record["reference_path"], record["trajectory_id"] = path or [], episode.episode_id
    elif path is not None:  # Habitat's other episode classes refuse the key at the top
        ours["reference_path"] = path
    if episode.task == "object-goal":
        _share_goals(episode, record, ours, goals_by_category)
    return record


def _share_goals(episode: Episode, record: dict[str, Any], ours: dict[str, Any], goals_by_category: Goals) -> None:
    record["object_category"] = episode.category
    record["goals"] = []
    key = goals_key(record["scene_id"], episode.category or "")
    points = to_habitat(episode.goals).tolist()
    unturned = [0.0, 0.0, 0.0, 1.0]  # which way the robot faces there does not count
    goal = {
        "object_id": str(episode.object_ids[0]) if episode.object_ids else "0", "object_name": episode.category,
        "object_category": episode.category, "position": points[0], "radius": episode.success_radius,
        "view_points": [{"agent_state": {"position": p, "rotation": unturned}, "iou": None} for p in points],
    }
    shared = goals_by_category.setdefault(key, [goal])
    if shared[0]["view_points"] != goal["view_points"]:  # the same scene, seen with another robot
        ours["goals"] = points


def _finite_or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

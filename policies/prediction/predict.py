"""Pictures in, drawn pictures and numbers out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import nav_foundation
from nav_foundation.config import to_mapping
from nav_foundation.data.images import encode_jpeg
from nav_foundation.data.video import write_video
from nav_foundation.files import make_folder, write_json
from nav_foundation.robot import CameraSpec, RobotSpec, load_robot
from nav_foundation.types import Goal, ImageGoal, Plan
from policies.load import load_policy, model_folder
from policies.policy import Policy
from policies.prediction.asked import has_place, in_words, parse_goal, placed
from policies.prediction.drawing import Drawer
from policies.prediction.footage import Footage, read_footage

PREDICTIONS, VIDEO = "predictions.json", "video.mp4"
_SEED = 0  # of whatever a policy samples: the same pictures give the same predictions


@dataclass(frozen=True)
class PredictSettings:
    """What is asked, as it is typed."""

    model: str
    images: tuple[Path, ...]
    goal: str
    robot: str
    poses: Path | None = None
    hfov: float | None = None  # degrees, of the camera that took the pictures; None = it is the robot's own
    fps: float | None = None  # Hz, of pictures without times

    def __post_init__(self) -> None:
        if self.hfov is not None and not 1.0 <= self.hfov <= 179.0:
            raise ValueError(f"--hfov is {self.hfov:g}: give degrees, 1 to 179")
        if self.fps is not None and not 0.0 < self.fps < math.inf:
            raise ValueError(f"--fps is {self.fps:g}: give pictures a second, above 0")


@dataclass(frozen=True)
class Predicted:
    """What a prediction has left on disk."""

    folder: Path
    footage: Footage

    def __str__(self) -> str:
        count, rate = len(self.footage), rate_of(self.footage)
        what = "1 picture" if rate is None else f"{count} pictures as one drive at {rate:g} Hz, {VIDEO}"
        lines = [f"{self.folder}: {what}, {PREDICTIONS}"]
        lines += [f"left out: {entry.count} {entry.what} {entry.why}" for entry in self.footage.left_out]
        return "\n".join(lines)


def predict(settings: PredictSettings, out: Path, progress: bool = True) -> Predicted:
    """Draw what a model thinks of pictures; `out` gets the pictures, a video if they are several, and a JSON file."""
    model_folder(settings.model)
    robot, asked = load_robot(settings.robot), parse_goal(settings.goal)
    footage = read_footage(settings.images, settings.poses, settings.fps, robot.frame_rate)
    robot = replace(robot, camera=camera_of(footage, robot, settings))
    _check_size(asked, robot.camera, settings.goal)
    goal = placed(asked, footage.pose(0))
    if out.is_dir() and any(out.iterdir()):
        raise ValueError(f"--out {out} holds files already: name a new folder")
    policy = load_policy(settings.model)
    policy.reset(robot, goal, _SEED)
    make_folder(out)
    told: list[dict[str, Any]] = []

    def pages() -> Iterator[np.ndarray]:
        drawn = _drawn(policy, goal, footage, Drawer(robot, goal, in_words(asked)))
        for page, entry in tqdm(drawn, "predicting", len(footage), unit="picture", disable=None if progress else True):
            (out / entry["drawing"]).write_bytes(encode_jpeg(page))
            told.append(entry)
            yield page

    if (rate := rate_of(footage)) is not None:
        write_video(out / VIDEO, pages(), rate)
    else:
        list(pages())
    write_json(out / PREDICTIONS, {
        "settings": to_mapping(settings), "version": nav_foundation.__version__, "robot": to_mapping(robot),
        "frame_rate": rate, "goal_radius": goal.radius,
        "left_out": [asdict(entry) for entry in footage.left_out], "predictions": told,
    })
    return Predicted(out, footage)


def camera_of(footage: Footage, robot: RobotSpec, settings: PredictSettings) -> CameraSpec:
    """The camera that took the pictures: the robot's own, or any pinhole where the robot has its camera."""
    height, width = footage.rgb(0).shape[:2]
    own = robot.camera
    if settings.hfov is not None:
        return CameraSpec(width, height, own.mount_height, own.pitch, own.mount_forward, hfov_deg=settings.hfov)
    if (width, height) != (own.width, own.height):
        raise ValueError(
            f"{footage.names[0]} is {width}x{height} pixels and the camera of {settings.robot} {own.width}x"
            f"{own.height}: give --hfov DEG, the horizontal field of view of the camera that took it, or --robot with "
            f"a YAML file that describes that camera (begin with nav-foundation robots show {robot.name})"
        )
    return own


def _check_size(goal: Goal, camera: CameraSpec, text: str) -> None:
    if isinstance(goal, ImageGoal) and goal.rgb.shape[:2] != (camera.height, camera.width):
        raise ValueError(
            f"--goal {text} is {goal.rgb.shape[1]}x{goal.rgb.shape[0]} pixels and the pictures {camera.width}x"
            f"{camera.height}: take both with the same camera"
        )


def rate_of(footage: Footage) -> float | None:
    """Hz at which the pictures follow each other; None for one alone."""
    if len(footage) < 2:
        return None
    return round(float(1e9 / np.median(np.diff(footage.stamps_ns))), 3)


def _drawn(
    policy: Policy, goal: Goal, footage: Footage, drawer: Drawer
) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Every picture drawn on, and what is to be known about it."""
    camera = drawer.camera
    for index, name in enumerate(footage.names):
        observation = footage.observation(index)
        height, width = observation.rgb.shape[:2]
        if (width, height) != (camera.width, camera.height):
            raise ValueError(
                f"{name} is {width}x{height} pixels and the pictures before it {camera.width}x{camera.height}: all of "
                "them must come from the same camera"
            )
        plan = policy.plan(observation, goal)
        entry = {"picture": name, "drawing": f"{index:04d}.jpg", **as_json(plan, goal)}
        yield drawer(observation, plan, name), entry


def as_json(plan: Plan, goal: Goal) -> dict[str, Any]:
    """A plan as plain data. `distance` is null where there is no way, and all of a goal that is no place."""
    somewhere = has_place(goal)
    return {
        "seconds": plan.stamp_ns / 1e9,
        "waypoints": plan.waypoints.tolist(),
        "waypoint_dt": plan.waypoint_dt,
        "distance": plan.distance if somewhere else None,
        "distance_std": plan.distance_std if somewhere else None,
        "arrival": plan.arrival if somewhere else None,
    }

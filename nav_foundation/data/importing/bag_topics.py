"""Which topics of a bag are the camera, the poses and the commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nav_foundation.config import closest
from nav_foundation.data.importing.bag_files import Topic
from nav_foundation.data.importing.bag_poses import (
    FIX,
    ODOMETRY,
    POSE,
    POSE_WITH_COVARIANCE,
    TRANSFORMS,
    TWIST,
    TWIST_STAMPED,
)
from nav_foundation.data.schema import DataError

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TEXT, EPISODE_TOPIC = "std_msgs/msg/String", "/nav_foundation/episode"

_POSE_KINDS = ((ODOMETRY,), (POSE, POSE_WITH_COVARIANCE), (FIX,), TRANSFORMS)  # in order of preference
_FRONT = ("front", "color", "rgb")
_NO_PICTURE = ("depth", "disparity", "/mask", "label", "costmap", "thermal")
_NO_ROBOT_POSE = ("goal", "initialpose", "target", "clicked")


@dataclass(frozen=True)
class Choice:
    """The topics of one drive."""

    image: Topic
    pose: Topic
    command: Topic | None
    other_cameras: tuple[Topic, ...]
    other_commands: tuple[Topic, ...]  # when none of several could be chosen
    episode: Topic | None  # what nav_foundation wrote there about the drive itself


def choose(where: str, topics: Sequence[Topic], image: str | None, pose: str | None, command: str | None) -> Choice:
    """Topics by name, or else by type; says what there is to choose from where the answer is not plain."""
    used = [topic for topic in topics if topic.count > 0]
    cameras = [t for t in used if t.kind in (IMAGE, COMPRESSED)]
    of_pose = [t for t in used if t.kind in sum(_POSE_KINDS, ())]
    of_command = [t for t in used if t.kind in (TWIST, TWIST_STAMPED)]
    camera = _named(where, "image", image, cameras, used) if image else _camera(where, cameras)
    source = _named(where, "odom", pose, of_pose, used) if pose else _pose_source(where, of_pose)
    chosen = _named(where, "cmd", command, of_command, used) if command else _command(of_command)
    return Choice(
        camera, source, chosen,
        other_cameras=tuple(t for t in cameras if _of_camera(t) != _of_camera(camera)),
        other_commands=tuple(of_command) if chosen is None else (),
        episode=next((t for t in used if t.name == EPISODE_TOPIC and t.kind == TEXT), None),
    )


def _list(topics: Sequence[Topic]) -> str:
    return ", ".join(f"{t.name} ({t.kind.replace('/msg/', '/')}, {t.count})" for t in topics) or "none"


def _named(where: str, option: str, name: str, fitting: Sequence[Topic], all_topics: Sequence[Topic]) -> Topic:
    found = next((t for t in fitting if t.name.strip("/") == name.strip("/")), None)
    if found is not None:
        return found
    other = next((t for t in all_topics if t.name.strip("/") == name.strip("/")), None)
    if other is not None:
        raise DataError(
            f"{where}: --{option}-topic {name} has type {other.kind}, which cannot be used; there are: {_list(fitting)}"
        )
    near = closest(name, [t.name for t in fitting]) if fitting else ""
    hint = near if near.startswith(" (did") else ""
    raise DataError(f"{where} has no topic {name}{hint}; for --{option}-topic there are: {_list(fitting)}")


def _of_camera(topic: Topic) -> str:
    """One camera often publishes the same pictures raw and compressed."""
    return topic.name.rstrip("/").removesuffix("/compressed")


def _camera(where: str, cameras: Sequence[Topic]) -> Topic:
    usable = [t for t in cameras if not any(word in t.name.lower() for word in _NO_PICTURE)]
    if not usable:
        raise DataError(f"{where} has no camera pictures: name one of these with --image-topic: {_list(cameras)}")
    if len(names := {_of_camera(t) for t in usable}) > 1:
        front = {name for name in names if any(word in name.lower() for word in _FRONT)}
        if len(front) != 1:
            raise DataError(f"{where} has several cameras: choose with --image-topic among {_list(usable)}")
        names = front
    of_camera = [t for t in usable if _of_camera(t) in names]
    return max(of_camera, key=lambda t: (t.count, t.kind == COMPRESSED))  # files pass through unchanged


def _pose_source(where: str, topics: Sequence[Topic]) -> Topic:
    for kinds in _POSE_KINDS:
        usable = [t for t in topics if t.kind in kinds and not any(w in t.name.lower() for w in _NO_ROBOT_POSE)]
        if kinds == TRANSFORMS:
            usable = [t for t in usable if not t.name.endswith("tf_static")]
        if len(usable) > 1 and len(odom := [t for t in usable if t.name.rstrip("/").endswith("/odom")]) == 1:
            usable = odom
        if len(usable) > 1 and len(exact := [t for t in usable if t.name == "/odom"]) == 1:
            usable = exact
        if len(usable) > 1:
            raise DataError(f"{where} has several sources of poses: choose with --odom-topic among {_list(usable)}")
        if usable:
            return usable[0]
    raise DataError(
        f"{where} has no poses: record odometry, a stamped pose, satellite fixes or tf; it has "
        f"{_list(topics) if topics else 'none of them'}"
    )


def _command(topics: Sequence[Topic]) -> Topic | None:
    """Commands are optional: where the choice is not plain, there are none."""
    for usable in (
        [t for t in topics if t.name == "/cmd_vel"], [t for t in topics if "cmd_vel" in t.name.lower()], list(topics),
    ):
        if len(usable) == 1:
            return usable[0]
    return None

"""Drives from ROS 1 bags and rosbag2 recordings (sqlite3, mcap), whole or broken, read without ROS."""

from __future__ import annotations

import json
import struct
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nav_foundation.data.importing.bag_files import Bag, Message, Topic, bags_in
from nav_foundation.data.importing.bag_poses import (
    FIX,
    TRANSFORMS,
    TWIST,
    command_of,
    pose_of,
    poses_of_fixes,
    robot_transform,
    transforms_of,
)
from nav_foundation.data.importing.bag_topics import COMPRESSED, Choice, choose
from nav_foundation.data.importing.drive import Drive, LeftOut
from nav_foundation.data.importing.messages import compressed_picture, decode_image
from nav_foundation.data.schema import DataError, EpisodeInfo

_CLOCKS_AGREE = 1e9  # ns; header stamps of two topics that differ more from receive times are of different clocks
_IN_ORDER = 0.9  # share of header stamps that must increase from message to message
_RECENT = 32  # pictures kept undecoded, for those that come a little out of order
_SKIP = 300  # pictures; a longer way ahead is jumped over rather than read through


def read_bags(
    path: Path, *, image_topic: str | None = None, odom_topic: str | None = None, cmd_topic: str | None = None,
    distro: str = "humble",
) -> Iterator[Drive]:
    """A drive per bag at `path`: a file, a rosbag2 folder, or a folder of either.

    `distro` names the ROS 2 distribution whose messages a bag holds that does not define them itself.
    """
    for file in bags_in(Path(path)):
        bag = Bag(file, distro)
        choice = choose(str(file), bag.topics, image_topic, odom_topic, cmd_topic)
        try:
            streams = _collect(bag, choice)
        except Exception as error:  # whatever a reader meets in a file that is broken further on
            bag.give_up_index(error)
            choice = choose(str(file), bag.topics, image_topic, odom_topic, cmd_topic)
            streams = _collect(bag, choice)
        yield _drive(bag, choice, streams)


@dataclass
class _Stream:
    """The messages of one topic, in the order of the bag."""

    topic: Topic
    receive: list[int] = field(default_factory=list)  # ns
    header: list[int] = field(default_factory=list)  # ns; as many as `receive`, or none
    values: list[Any] = field(default_factory=list)
    undecodable: int = 0

    def stamps(self, clock: str, offset: int = 0) -> np.ndarray:
        if clock == "header" and self.header:
            return np.array(self.header, np.int64)
        return np.array(self.receive, np.int64) + (offset if clock == "header" else 0)


def _collect(bag: Bag, choice: Choice) -> dict[str, _Stream]:
    """Stamps of all pictures, and all poses and commands; no picture is decoded."""
    topics = [t for t in (choice.image, choice.pose, choice.command, choice.episode) if t is not None]
    streams = {topic.name: _Stream(topic) for topic in topics}
    for message in bag.messages(streams):
        stream = streams[message.topic]
        if stream.topic is choice.image:
            stream.receive.append(message.receive_ns)
            stream.header.append(_header_stamp(message.raw, bag.is_ros1))
            continue
        try:
            decoded = bag.decode(stream.topic.kind, message.raw)
        except DataError:
            stream.undecodable += 1
            continue
        _keep(bag, stream, message, decoded)
    return streams


def _keep(bag: Bag, stream: _Stream, message: Message, decoded: Any) -> None:
    kind = stream.topic.kind
    if kind in TRANSFORMS:
        for parent, child, stamp, pose in transforms_of(decoded):
            stream.receive.append(message.receive_ns)
            stream.header.append(stamp)
            stream.values.append((parent, child, pose))
        return
    stream.receive.append(message.receive_ns)
    if hasattr(decoded, "header"):
        stream.header.append(_header_stamp(message.raw, bag.is_ros1))
    if hasattr(decoded, "data"):
        stream.values.append(decoded.data)
    elif "Twist" in kind:
        stream.values.append(command_of(kind, decoded))
    else:
        stream.values.append(pose_of(kind, decoded))


def _header_stamp(raw: bytes, is_ros1: bool) -> int:
    """ns of a message that begins with a header: after 4 bytes, which are ROS 1's counter or CDR's preamble."""
    if len(raw) < 12:
        return 0
    big_endian = not is_ros1 and raw[1] % 2 == 0
    seconds, nanoseconds = struct.unpack_from(">II" if big_endian else "<II", raw, 4)
    return int(seconds * 10**9 + nanoseconds)


def _drive(bag: Bag, choice: Choice, streams: dict[str, _Stream]) -> Drive:
    left = [LeftOut("parts of the bag", 1, fault) for fault in bag.faults]
    left += [LeftOut("pictures", t.count, f"of another camera, {t.name}") for t in choice.other_cameras]
    left += [
        LeftOut("commands", t.count, f"on {t.name}: choose one of several with --cmd-topic")
        for t in choice.other_commands
    ]
    left += [
        LeftOut("messages", s.undecodable, f"on {name} that cannot be decoded")
        for name, s in streams.items() if s.undecodable
    ]
    images, pose_stream = streams[choice.image.name], streams[choice.pose.name]
    poses, about = _poses(bag, pose_stream)
    clock, offset, why = _clock(images, pose_stream)
    order, stamps = _sorted(images.stamps(clock), "pictures", left)
    read = _PictureReader(bag, choice.image, np.array(images.receive, np.int64))
    usable = np.isfinite(poses).all(axis=1)
    if not usable.all():
        left.append(LeftOut("poses", int((~usable).sum()), "without a valid fix or orientation"))
    pose_order, pose_stamps = _sorted(pose_stream.stamps(clock)[usable], "poses", left)
    poses = poses[usable][pose_order]
    if choice.pose.kind == FIX:
        poses = poses_of_fixes(poses)
    commands, command_stamps = _commands(choice, streams, clock, offset, left)
    shuffled = int((np.diff(images.stamps(clock)) < 0).sum())
    notes = {
        "image_topic": choice.image.name, "pose_topic": choice.pose.name, "poses": about, "stamps": why,
        "command_topic": choice.command.name if choice.command else None, "pictures_out_of_order": shuffled,
    }
    return Drive(
        name=f"{bag.path.name} {choice.image.name}", info=_info(bag, choice, streams, notes),
        pictures=[partial(read, k) for k in order.tolist()], picture_stamps_ns=stamps, poses=poses,
        pose_stamps_ns=pose_stamps, commands=commands, command_stamps_ns=command_stamps, left_out=tuple(left),
    )


def _info(bag: Bag, choice: Choice, streams: dict[str, _Stream], notes: dict[str, Any]) -> EpisodeInfo:
    """What the bag says of its drive where it was written by nav_foundation, otherwise where it comes from."""
    info = EpisodeInfo(source=bag.path.name)
    texts = streams[choice.episode.name].values if choice.episode else []
    if texts:
        try:
            info = EpisodeInfo.from_json(json.loads(texts[0]), f"{bag.path}: {choice.episode}")
        except ValueError as error:
            raise DataError(f"{bag.path}: what it says of its episode cannot be read: {error}") from None
    return replace(info, notes={**(info.notes or {}), "bag": {k: v for k, v in notes.items() if v is not None}})


def _poses(bag: Bag, stream: _Stream) -> tuple[np.ndarray, str]:
    """[M, 3] in the order of the bag (degrees of fixes), and what they are. Keeps of transforms only the robot's."""
    kind = stream.topic.kind
    if kind not in TRANSFORMS:
        about = "metres east and north of the first fix, yaw from the course" if kind == FIX else kind
        return np.array(stream.values, np.float64).reshape(-1, 3), about
    edges = {(parent, child) for parent, child, _ in stream.values}
    edge = robot_transform(edges)
    if edge is None:
        names = ", ".join(sorted(f"{parent} -> {child}" for parent, child in edges)) or "none"
        raise DataError(f"{bag.path}: {stream.topic.name} has no transform odom -> base_link; it has {names}")
    mine = [k for k, (parent, child, _) in enumerate(stream.values) if (parent, child) == edge]
    stream.receive, stream.header = [stream.receive[k] for k in mine], [stream.header[k] for k in mine]
    return np.array([stream.values[k][2] for k in mine], np.float64).reshape(-1, 3), f"tf {edge[0]} -> {edge[1]}"


def _commands(
    choice: Choice, streams: dict[str, _Stream], clock: str, offset: int, left: list[LeftOut]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    stream = streams[choice.command.name] if choice.command else None
    if stream is None or not stream.values:
        return None, None
    if stream.topic.kind != TWIST and not _plausible(stream.header):
        stream.header = []
    values = np.array(stream.values, np.float64)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        left.append(LeftOut("commands", int((~finite).sum()), "that are not finite"))
    order, stamps = _sorted(stream.stamps(clock, offset)[finite], "commands", left)
    return values[finite][order], stamps


def _sorted(stamps: np.ndarray, what: str, left: list[LeftOut]) -> tuple[np.ndarray, np.ndarray]:
    """The order by stamp, the first of each stamp only, and the stamps in it."""
    order = np.argsort(stamps, kind="stable")
    first = np.concatenate([[True], np.diff(stamps[order]) > 0])[: len(order)]
    if not first.all():
        left.append(LeftOut(what, int((~first).sum()), "with the stamp of another one"))
    return order[first], stamps[order[first]]


def _clock(images: _Stream, poses: _Stream) -> tuple[str, int, str]:
    """"header" or "receive", what header stamps are ahead of receive times in ns (if much), and why, in words."""
    for stream in (images, poses):
        if not _plausible(stream.header):
            return "receive", 0, f"receive times: the header stamps of {stream.topic.name} are not set or not in order"
    for stream in (images, poses):
        if _set_back(np.array(stream.header, np.int64)):
            return "receive", 0, f"receive times: the clock of the header stamps of {stream.topic.name} was set back"
    ahead = [np.median(np.array(s.header, np.int64) - np.array(s.receive, np.int64)) for s in (images, poses)]
    if abs(ahead[0] - ahead[1]) > _CLOCKS_AGREE:
        return "receive", 0, f"receive times: {images.topic.name} and {poses.topic.name} have clocks that disagree"
    # Recordings of simulated time are stamped by another clock than they were received by.
    offset = round(float(ahead[1])) if abs(ahead[1]) > _CLOCKS_AGREE else 0
    return "header", offset, "header stamps"


def _plausible(header: list[int]) -> bool:
    stamps = np.array(header, np.int64)
    if len(stamps) < 2:
        return bool((stamps > 0).any())
    steps = np.diff(stamps)
    in_order = (steps >= 0).mean() >= _IN_ORDER and (steps > 0).mean() >= 0.5  # some stamps may come twice
    return bool((stamps > 0).mean() >= _IN_ORDER and in_order)


def _set_back(header: np.ndarray) -> bool:
    """Whether stamps begin again from an earlier time, and stay there, unlike those of a message that came late."""
    before, here, after = header[:-2], header[1:-1], header[2:]
    return bool((np.maximum(here, after) < before - _CLOCKS_AGREE).any())


class _PictureReader:
    """Pictures of one topic by their place in the bag. Read forwards it streams: one picture is decoded at a time."""

    def __init__(self, bag: Bag, topic: Topic, receive_ns: np.ndarray) -> None:
        self._bag, self._topic, self._receive = bag, topic, receive_ns
        self._messages: Iterator[Message] = iter(())
        self._next = len(receive_ns)  # place of the message that comes next
        self._recent: OrderedDict[int, bytes] = OrderedDict()

    def __call__(self, place: int) -> bytes | np.ndarray:
        raw = self._raw(place)
        message = self._bag.decode(self._topic.kind, raw)
        if self._topic.kind == COMPRESSED:
            return compressed_picture(message.format, message.data)
        return decode_image(
            message.encoding, message.height, message.width, message.step, bool(message.is_bigendian), message.data
        )

    def _raw(self, place: int) -> bytes:
        if place in self._recent:
            return self._recent[place]
        if not self._next <= place <= self._next + _SKIP:
            self._seek(place)
        for message in self._messages:
            self._recent[self._next] = message.raw
            self._next += 1
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
            if self._next > place:
                return message.raw
        raise DataError(f"{self._bag.path}: a picture of {self._topic.name} that was there cannot be found again")

    def _seek(self, place: int) -> None:
        self._recent.clear()
        if self._bag.is_indexed:  # messages come by receive time, and several may have the same
            start = int(self._receive[place])
            self._messages = self._bag.messages([self._topic.name], start)
            self._next = int(np.searchsorted(self._receive, start, side="left"))
        elif self._next > place:
            self._messages, self._next = self._bag.messages([self._topic.name]), 0

"""Bag: the topics and messages of a ROS recording of any kind, whole or broken, read without ROS."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from nav_foundation.config import closest
from nav_foundation.data.importing.bag_recovery import Channel, Fault, Found, recover
from nav_foundation.data.schema import DataError

STORAGE = (".mcap", ".db3")
_ROS1 = (".bag", ".active")
_LEAST, _MOST = -(2**63), 2**63 - 1  # ns
_NO_TIME = "some messages have receive times beyond 64 bits and are not read"


@dataclass(frozen=True)
class Topic:
    name: str
    kind: str  # message type, such as "sensor_msgs/msg/Image"
    count: int  # messages


@dataclass(frozen=True)
class Message:
    topic: str
    receive_ns: int
    raw: bytes


def bags_in(path: Path) -> list[Path]:
    """The bags at a path: a file, a rosbag2 folder, or a folder of either."""
    if not path.exists():
        raise DataError(f"{path} does not exist: name a .bag, .mcap or .db3 file, or a folder of a ROS 2 bag")
    if path.is_file():
        if path.suffix not in (*STORAGE, *_ROS1):
            raise DataError(f"{path} is no bag: name a .bag, .mcap or .db3 file, or a folder of a ROS 2 bag")
        return [path]
    if (path / "metadata.yaml").exists() or any(p.suffix in STORAGE for p in path.iterdir()):
        return [path]
    inside = sorted(p for p in path.iterdir() if p.is_dir() or p.suffix in _ROS1)
    found = [bag for p in inside if p.is_file() or _is_rosbag2(p) for bag in bags_in(p)]
    if not found:
        raise DataError(f"{path} holds no bag: it has no metadata.yaml and no .bag, .mcap or .db3 files")
    return found


def _is_rosbag2(folder: Path) -> bool:
    return (folder / "metadata.yaml").exists() or any(p.suffix in STORAGE for p in folder.iterdir())


def typestore_of(distro: str) -> Typestore:
    """The message definitions that come with a ROS distribution."""
    known = {store.name.split("_", 1)[1].lower(): store for store in Stores if store.name.startswith("ROS2_")}
    if distro not in known:
        raise DataError(f"ROS distribution {distro!r} is not known{closest(distro, known)}")
    return get_typestore(known[distro])


class Bag:
    """A recording, open until nobody uses it any more.

    What `rosbags` refuses or stumbles over is read record by record instead; `faults` then says what was not readable.
    """

    def __init__(self, path: Path, distro: str = "humble") -> None:
        self.path, self.is_ros1 = path, path.suffix in _ROS1
        self.faults: tuple[str, ...] = ()
        self._default = get_typestore(Stores.ROS1_NOETIC) if self.is_ros1 else typestore_of(distro)
        self._store = self._default
        self._reader: AnyReader | None = None
        self.topics: tuple[Topic, ...] = ()
        try:
            self._open()
        except Exception as error:  # a reader meets nonsense in a broken file in more ways than can be named
            self.give_up_index(error)

    def give_up_index(self, error: Exception) -> None:
        """Read record by record from now on, because of this error."""
        why = " ".join(str(error).split())[:200] or type(error).__name__
        if self._reader is None and self.faults:
            raise DataError(f"{self.path} cannot be read: {why}")
        self._reader = None
        self.faults = (f"the index cannot be used ({why.rstrip('.')}), so messages were looked for one by one",)
        self._scan()

    @property
    def is_indexed(self) -> bool:
        """Whether reading can start anywhere; otherwise only at the front, and messages come in the file's order."""
        return self._reader is not None

    def messages(self, topics: Iterable[str], start_ns: int | None = None) -> Iterator[Message]:
        """Messages of the topics, from a receive time on where the bag is indexed."""
        for message in self._all_messages(set(topics), start_ns):
            if _LEAST <= message.receive_ns <= _MOST:
                yield message
            elif _NO_TIME not in self.faults:
                self.faults += (_NO_TIME,)

    def _all_messages(self, wanted: set[str], start_ns: int | None) -> Iterator[Message]:
        if self._reader is not None:
            connections = [c for c in self._reader.connections if c.topic in wanted]
            if connections:
                for connection, stamp, raw in self._reader.messages(connections, start=start_ns):
                    yield Message(connection.topic, stamp, bytes(raw))
            return
        for item in self._recovered():
            if isinstance(item, Found) and item.channel.topic in wanted:
                yield Message(item.channel.topic, item.receive_ns, item.raw)

    def decode(self, kind: str, raw: bytes) -> Any:
        """The message, as an object with the fields of its type."""
        try:
            return self._store.deserialize_ros1(raw, kind) if self.is_ros1 else self._store.deserialize_cdr(raw, kind)
        except Exception as error:  # see above
            raise DataError(f"{self.path}: a message of type {kind} cannot be decoded: {error!r}") from None

    def _open(self) -> None:
        paths = [self.path]
        if self.path.is_dir() and not (self.path / "metadata.yaml").exists():
            paths = self._files()
        if any(p.suffix == ".active" for p in paths) or any(_has_journal(p) for p in self._files()):
            raise ValueError("the recording was not ended")
        reader = AnyReader(paths, default_typestore=self._default)
        reader.open()
        weakref.finalize(self, reader.close)
        self._reader, self._store = reader, reader.typestore
        self.topics = _topics(reader.connections)

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            return [self.path]
        return sorted((p for p in self.path.iterdir() if p.suffix in STORAGE), key=_natural)

    def _recovered(self) -> Iterator[Found | Fault]:
        return chain.from_iterable(recover(file) for file in self._files())

    def _scan(self) -> None:
        """Topics, types and faults of a bag that is read record by record."""
        counts: dict[Channel, int] = {}
        faults: list[str] = []
        for item in self._recovered():
            if isinstance(item, Found):
                counts[item.channel] = counts.get(item.channel, 0) + 1
            else:
                faults.append(" ".join(item.why.split()))
        self.faults += tuple(faults)
        if not counts:
            raise DataError(f"{self.path} holds no readable message: {'; '.join(self.faults)}")
        self.topics = tuple(Topic(c.topic, c.kind, count) for c, count in counts.items())
        types = dict(self._default.fielddefs)
        for channel in counts:
            found = _types(channel)
            types.update(found or {})
            if found is None:
                self.faults += (f"the definition of {channel.kind} is broken, so the usual one is taken",)
        self._store = get_typestore(Stores.EMPTY)
        self._store.register(types)


def _types(channel: Channel) -> dict[str, Any] | None:
    """The message types that the file defines for a topic; None where the definition is broken."""
    if not channel.definition:
        return {}
    try:
        if channel.form == "ros2idl":
            return dict(get_types_from_idl(channel.definition))
        return dict(get_types_from_msg(channel.definition, channel.kind))
    except TypesysError:
        return None


def _topics(connections: Iterable[Connection]) -> tuple[Topic, ...]:
    counts: dict[tuple[str, str], int] = {}
    for connection in connections:
        key = (connection.topic, connection.msgtype)
        counts[key] = counts.get(key, 0) + connection.msgcount
    return tuple(Topic(name, kind, count) for (name, kind), count in sorted(counts.items()))


def _has_journal(path: Path) -> bool:
    """Whether messages wait beside the file, because the recorder was killed."""
    journal = path.with_name(f"{path.name}-wal")
    return journal.exists() and journal.stat().st_size > 0


def _natural(path: Path) -> tuple[int, str]:
    """bag_2 before bag_10."""
    return len(path.name), path.name

"""What a broken or unfinished bag still holds, record by record, where its index is missing or wrong.

`rosbags` refuses such files as a whole.
"""

from __future__ import annotations

import bz2
import sqlite3
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROS1_MAGIC, _MCAP_MAGIC = b"#ROSBAG V2.0\n", b"\x89MCAP0\r\n"


@dataclass(frozen=True)
class Channel:
    """A topic as the file itself describes it."""

    topic: str
    kind: str  # message type, such as "sensor_msgs/msg/Image"
    definition: str  # text, "" where the file has none
    form: str  # of the definition: "ros2msg", "ros2idl", "ros1msg" or ""


@dataclass(frozen=True)
class Found:
    """A message, as it lies in the file."""

    channel: Channel
    receive_ns: int
    raw: bytes


@dataclass(frozen=True)
class Fault:
    """Something that could not be read."""

    why: str


def recover(path: Path) -> Iterator[Found | Fault]:
    """Every message that can be read, in the order of the file, and every fault met."""
    reader = {".bag": _ros1, ".active": _ros1, ".mcap": _mcap, ".db3": _sqlite}[path.suffix]
    if path.stat().st_size == 0:
        yield Fault(f"{path.name} is empty")
        return
    try:
        yield from reader(path)
    except (struct.error, LookupError, ValueError, OSError, OverflowError, MemoryError) as error:
        yield Fault(f"{path.name}: a record is broken ({error!r}), and what follows it is not read")


def _at(name: str, position: int, why: str) -> Fault:
    return Fault(f"{name}: {why} at byte {position}")


# --- mcap: records of one byte of kind, eight of length; those of messages may lie in chunks --------------------------


def _mcap(path: Path) -> Iterator[Found | Fault]:
    schemas: dict[int, tuple[str, str, str]] = {}
    channels: dict[int, Channel] = {}
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8) != _MCAP_MAGIC:
            yield Fault(f"{path.name} does not begin as an mcap file does")
            return
        while (position := file.tell()) < size:
            head = file.read(9)
            if head.startswith(_MCAP_MAGIC):
                return
            if len(head) < 9:
                yield _at(path.name, position, "the file ends within a record")
                return
            kind, length = head[0], int.from_bytes(head[1:], "little")
            whole = position + 9 + length <= size
            if not whole:
                yield _at(path.name, position, "the file ends within a record")
            if kind in (3, 4, 5) and whole:
                yield from _mcap_records(head + file.read(length), schemas, channels)
            elif kind == 6:
                records, fault = _mcap_chunk(file.read(min(length, size)))
                if fault:
                    yield _at(path.name, position, fault)
                yield from _mcap_records(records, schemas, channels)
            if kind == 2 or not whole:  # the footer is the last record
                return
            file.seek(position + 9 + length)


def _mcap_chunk(data: bytes) -> tuple[bytes, str]:
    """The records in a chunk, as far as they can be read, and what is wrong with it."""
    if len(data) < 40:
        return b"", "a chunk is cut off"
    size, crc, name_length = struct.unpack_from("<QII", data, 16)
    name = data[32 : 32 + name_length].decode(errors="replace")
    start = 32 + name_length + 8
    (stored,) = struct.unpack_from("<Q", data.ljust(start, b"\0"), start - 8)
    records, fault = _decompressed(name, data[start : start + stored])
    if len(records) < size:
        return records, fault or "a chunk is cut off"
    if crc:
        from binascii import crc32

        if crc32(records) != crc:
            return b"", "a chunk has the wrong checksum and is left out"
    return records, fault


def _mcap_records(
    data: bytes, schemas: dict[int, tuple[str, str, str]], channels: dict[int, Channel]
) -> Iterator[Found]:
    position = 0
    while position + 9 <= len(data):
        kind, length = data[position], int.from_bytes(data[position + 1 : position + 9], "little")
        record = data[position + 9 : position + 9 + length]
        position += 9 + length
        if position > len(data):
            return
        if kind == 3:
            name, form, text = _texts(record, 2, 3)
            schemas[int.from_bytes(record[:2], "little")] = (name, form, text)
        elif kind == 4:
            number, schema = struct.unpack_from("<HH", record)
            topic, _ = _texts(record, 4, 2)
            name, form, text = schemas.get(schema, ("", "", ""))
            channels[number] = Channel(topic, name, text, form)
        elif kind == 5:
            number, _, log_time, _ = struct.unpack_from("<HIQQ", record)
            if number in channels:
                yield Found(channels[number], log_time, record[22:])


def _texts(record: bytes, position: int, count: int) -> list[str]:
    texts = []
    for _ in range(count):
        (length,) = struct.unpack_from("<I", record, position)
        texts.append(record[position + 4 : position + 4 + length].decode(errors="replace"))
        position += 4 + length
    return texts


def _decompressed(name: str, data: bytes) -> tuple[bytes, str]:
    """As much of the data as can be had, and what is wrong."""
    unpack: Callable[[bytes], bytes]
    if name in ("", "none"):
        return data, ""
    if name == "bz2":
        unpack = bz2.BZ2Decompressor().decompress
    elif name == "lz4":
        from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]

        unpack = LZ4FrameDecompressor().decompress
    elif name == "zstd":
        unpack = _zstd()
    else:
        return b"", f"a chunk is compressed with {name!r}, which is not read,"
    parts: list[bytes] = []
    try:  # in pieces, so that what lies before a fault is kept
        parts.extend(unpack(data[k : k + 4096]) for k in range(0, len(data), 4096))
    except Exception:  # each library has errors of its own
        return b"".join(parts), f"a chunk's {name} data is broken"
    return b"".join(parts), ""


def _zstd() -> Callable[[bytes], bytes]:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    decompressor: Any = zstd.ZstdDecompressor()
    return lambda data: b"" if decompressor.eof else decompressor.decompress(data)


# --- ROS 1: records of a header of fields, and data -----------------------------------------------------------------


def _ros1(path: Path) -> Iterator[Found | Fault]:
    channels: dict[int, Channel] = {}
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.readline() != _ROS1_MAGIC:
            yield Fault(f"{path.name} does not begin as a ROS 1 bag of version 2.0 does")
            return
        while (position := file.tell()) < size:
            (head_length,) = struct.unpack("<I", file.read(4).ljust(4, b"\xff"))
            if position + 8 + head_length > size:
                yield _at(path.name, position, "the file ends within a record")
                return
            fields = _fields(file.read(head_length))
            (length,) = struct.unpack("<I", file.read(4))
            begin = file.tell()
            kind = fields.get("op", b"\0")[0]
            if begin + length > size:
                yield _at(path.name, position, "the file ends within a record")
            if kind == 5:
                records, fault = _decompressed(fields.get("compression", b"").decode(), file.read(length))
                if fault:
                    yield _at(path.name, position, fault)
                yield from _ros1_records(records, channels)
            elif kind in (2, 7) and begin + length <= size:
                yield from _ros1_record(fields, file.read(length), channels)
            file.seek(begin + length)


def _ros1_records(data: bytes, channels: dict[int, Channel]) -> Iterator[Found]:
    position = 0
    while position + 8 <= len(data):
        (head_length,) = struct.unpack_from("<I", data, position)
        begin = position + 8 + head_length
        if begin > len(data):
            return
        (length,) = struct.unpack_from("<I", data, begin - 4)
        if begin + length > len(data):
            return
        yield from _ros1_record(_fields(data[position + 4 : begin - 4]), data[begin : begin + length], channels)
        position = begin + length


def _ros1_record(fields: dict[str, bytes], data: bytes, channels: dict[int, Channel]) -> Iterator[Found]:
    number = int.from_bytes(fields.get("conn", b""), "little")
    if fields.get("op") == b"\x07":
        more = _fields(data)
        package, _, name = more.get("type", b"").decode().partition("/")
        topic = fields.get("topic", b"").decode()
        text = more.get("message_definition", b"").decode(errors="replace")
        channels[number] = Channel(topic, f"{package}/msg/{name}", text, "ros1msg")
    elif fields.get("op") == b"\x02" and number in channels:
        seconds, nanoseconds = struct.unpack("<II", fields["time"])
        yield Found(channels[number], seconds * 10**9 + nanoseconds, data)


def _fields(data: bytes) -> dict[str, bytes]:
    fields, position = {}, 0
    while position + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, position)
        name, _, value = data[position + 4 : position + 4 + length].partition(b"=")
        fields[name.decode(errors="replace")] = value
        position += 4 + length
    return fields


# --- sqlite3 --------------------------------------------------------------------------------------------------------


def _sqlite(path: Path) -> Iterator[Found | Fault]:
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    database.text_factory = lambda text: text.decode(errors="replace")
    count = 0
    try:
        database.execute("PRAGMA writable_schema=ON")  # or SQLite refuses a file shorter than its header says
        channels = _sqlite_channels(database)
        # By rowid, which is the table's own order: the index of stamps may lie in the part that is lost.
        for number, stamp, raw in database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY rowid"):
            count += 1
            if not (isinstance(stamp, int) and isinstance(raw, bytes)):  # any cell may be of any type
                yield Fault(f"{path.name}: message {count} is broken")
            elif number in channels:
                yield Found(channels[number], stamp, raw)
    except sqlite3.Error as error:
        yield Fault(f"{path.name}: after {count} messages SQLite says: {error}")
    finally:
        database.close()


def _sqlite_channels(database: sqlite3.Connection) -> dict[int, Channel]:
    definitions: dict[str, tuple[str, str]] = {}
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "message_definitions" in tables:
        rows = database.execute("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
        definitions = {kind: (form, text) for kind, form, text in rows}
    channels = {}
    for number, name, kind in database.execute("SELECT id, name, type FROM topics"):
        form, text = map(str, definitions.get(kind, ("", "")))
        channels[number] = Channel(str(name), str(kind), text, form)
    return channels

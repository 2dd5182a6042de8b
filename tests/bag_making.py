"""Bags for tests, written by `rosbags`: one drive straight ahead at 0.5 m/s, with a picture that tells its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
Write = Callable[[str, str, int, Any], None]  # topic, type, receive time in ns, message


def store_of(kind: str) -> Typestore:
    return get_typestore(Stores.ROS1_NOETIC if kind == "ros1" else Stores.ROS2_HUMBLE)


def write_bag(path: Path, kind: str, messages: Sequence[tuple[str, str, int, Any]], compress: bool = False) -> Path:
    """Messages (topic, type, receive time ns, message) as a bag of kind "ros1", "sqlite3" or "mcap"; its path."""
    store = store_of(kind)
    if kind == "ros1":
        path = path.with_suffix(".bag")
        one = Writer1(path)
        if compress:
            one.set_compression(Writer1.CompressionFormat.BZ2)
        one.chunk_threshold = 64 << 10
        with one:
            _fill(one, store, messages, lambda m, t: store.serialize_ros1(m, t))
        return path
    two = Writer2(path, version=9, storage_plugin=StoragePlugin[kind.upper()])
    if compress:
        two.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with two:
        _fill(two, store, messages, lambda m, t: store.serialize_cdr(m, t))
    return path


def _fill(writer: Any, store: Typestore, messages: Sequence[tuple[str, str, int, Any]], serialize: Any) -> None:
    connections: dict[str, Any] = {}
    for topic, kind, stamp, message in messages:
        if topic not in connections:
            connections[topic] = writer.add_connection(topic, kind, typestore=store)
        writer.write(connections[topic], stamp, serialize(message, kind))


class Messages:
    """Makes messages of one ROS version."""

    def __init__(self, kind: str) -> None:
        self.ros1, self.types = kind == "ros1", store_of(kind).types

    def header(self, stamp: int, frame: str = "camera") -> Any:
        time = self.types["builtin_interfaces/msg/Time"](sec=stamp // SECOND, nanosec=stamp % SECOND)
        more = {"seq": 0} if self.ros1 else {}
        return self.types["std_msgs/msg/Header"](stamp=time, frame_id=frame, **more)

    def image(self, stamp: int, encoding: str, array: np.ndarray, padding: int = 0, big_endian: bool = False) -> Any:
        """`array` [H, W, C] as it lies in memory, with bytes of padding after each row."""
        rows = np.ascontiguousarray(array).reshape(array.shape[0], -1).view(np.uint8)
        padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
        return self.types["sensor_msgs/msg/Image"](
            header=self.header(stamp), height=array.shape[0], width=array.shape[1], encoding=encoding,
            is_bigendian=int(big_endian), step=padded.shape[1], data=padded.reshape(-1),
        )

    def compressed(self, stamp: int, form: str, file: bytes) -> Any:
        data = np.frombuffer(file, np.uint8)
        return self.types["sensor_msgs/msg/CompressedImage"](header=self.header(stamp), format=form, data=data)

    def vector(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, kind: str = "Vector3") -> Any:
        return self.types[f"geometry_msgs/msg/{kind}"](x=x, y=y, z=z)

    def rotation(self, yaw: float) -> Any:
        return self.types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=np.sin(yaw / 2), w=np.cos(yaw / 2))

    def pose(self, x: float, y: float, yaw: float) -> Any:
        return self.types["geometry_msgs/msg/Pose"](
            position=self.vector(x, y, kind="Point"), orientation=self.rotation(yaw)
        )

    def stamped(self, stamp: int, x: float, y: float, yaw: float) -> Any:
        return self.types["geometry_msgs/msg/PoseStamped"](header=self.header(stamp, "odom"), pose=self.pose(x, y, yaw))

    def twist(self, v: float, w: float) -> Any:
        return self.types["geometry_msgs/msg/Twist"](linear=self.vector(v), angular=self.vector(z=w))

    def odometry(self, stamp: int, x: float, y: float, yaw: float) -> Any:
        types, none = self.types, np.zeros(36)
        return types["nav_msgs/msg/Odometry"](
            header=self.header(stamp, "odom"), child_frame_id="base_link",
            pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=self.pose(x, y, yaw), covariance=none),
            twist=types["geometry_msgs/msg/TwistWithCovariance"](twist=self.twist(0.0, 0.0), covariance=none),
        )

    def fix(self, stamp: int, latitude: float, longitude: float, status: int = 0) -> Any:
        types = self.types
        return types["sensor_msgs/msg/NavSatFix"](
            header=self.header(stamp), status=types["sensor_msgs/msg/NavSatStatus"](status=status, service=1),
            latitude=latitude, longitude=longitude, altitude=0.0, position_covariance=np.zeros(9),
            position_covariance_type=0,
        )

    def transform(self, stamp: int, parent: str, child: str, x: float, y: float, yaw: float) -> Any:
        one = self.types["geometry_msgs/msg/TransformStamped"](
            header=self.header(stamp, parent), child_frame_id=child,
            transform=self.types["geometry_msgs/msg/Transform"](
                translation=self.vector(x, y), rotation=self.rotation(yaw)
            ),
        )
        return self.types["tf2_msgs/msg/TFMessage"](transforms=[one])


def numbered(k: int, height: int = 24, width: int = 32) -> np.ndarray:
    """A picture [H, W, 3] RGB that differs left and right, top and bottom, in all channels, and tells its number."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0], rgb[..., 1], rgb[..., 2] = 200, 100, 30
    rgb[: height // 2, : width // 2] = (k % 256, k % 256, k % 256)
    return rgb


def number_of(rgb: np.ndarray) -> int:
    """The number of a picture of `numbered`, JPEG or not."""
    return int(round(float(rgb[2:8, 2:10].mean())))

"""Episodes as rosbag2 recordings (mcap): what `ros2 bag play` and the usual viewers take, read back here unchanged."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_depth, encode_jpeg, encode_png
from nav_foundation.data.importing.drive import LeftOut
from nav_foundation.data.schema import DEPTH, FRONT, DataError, EpisodeInfo
from nav_foundation.robot import CameraSpec
from nav_foundation.types import NANOSECONDS

IMAGE, DEPTH_IMAGE = "/camera/image_raw/compressed", "/camera/depth/image_raw/compressedDepth"
CAMERA_INFO, ODOMETRY, COMMAND, EPISODE = "/camera/camera_info", "/odom", "/cmd_vel", "/nav_foundation/episode"
ODOM_FRAME, BASE_FRAME, CAMERA_FRAME = "odom", "base_link", "camera_optical_frame"

_KINDS = {
    IMAGE: "sensor_msgs/msg/CompressedImage", DEPTH_IMAGE: "sensor_msgs/msg/CompressedImage",
    CAMERA_INFO: "sensor_msgs/msg/CameraInfo", ODOMETRY: "nav_msgs/msg/Odometry",
    COMMAND: "geometry_msgs/msg/TwistStamped", EPISODE: "std_msgs/msg/String",
}


def write_mcap(dataset: EpisodeDataset, out: Path, *, lossless: bool = False) -> Iterator[tuple[Path, list[LeftOut]]]:
    """One bag per readable episode in `out`, yielded as it is done, with what a bag cannot hold of it.

    Pictures pass unchanged; those of a video are encoded, as PNG with `lossless`.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} holds something already: name a new or empty folder")
    for episode in np.flatnonzero(dataset.readable).tolist():
        path = out / f"episode_{episode:06d}"
        yield path, _write_episode(dataset, episode, path, lossless)


def _write_episode(dataset: EpisodeDataset, episode: int, path: Path, lossless: bool) -> list[LeftOut]:
    info, count = dataset.info(episode), int(dataset.lengths[episode])
    messages = _Messages(get_typestore(Stores.ROS2_HUMBLE))
    camera, left = _camera(info, dataset.features[FRONT]["shape"])
    if dataset.labels(episode) is not None:
        left.append(LeftOut("labels", count, "a bag has no place for them"))
    stamps, poses, actions = dataset.stamps_ns(episode), dataset.poses(episode), dataset.actions(episode)
    topics = [IMAGE, ODOMETRY, EPISODE]
    topics += [COMMAND] if info.action_source == "commanded" else []  # measured ones can be measured again
    topics += [CAMERA_INFO] if camera else []
    topics += [DEPTH_IMAGE] if DEPTH in dataset.features else []
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(
                topic, _KINDS[topic], typestore=messages.store, offered_qos_profiles=[_qos(latched=topic == EPISODE)]
            )
            for topic in topics
        }

        def write(topic: str, stamp: int, message: Any) -> None:
            writer.write(connections[topic], stamp, messages.store.serialize_cdr(message, _KINDS[topic]))

        write(EPISODE, int(stamps[0]), messages.text(json.dumps(info.as_json())))
        for frame in range(count):
            stamp = int(stamps[frame])
            write(ODOMETRY, stamp, messages.odometry(stamp, poses[frame], actions[frame]))
            write(IMAGE, stamp, messages.picture(stamp, *_picture(dataset, episode, frame, lossless)))
            if COMMAND in connections:
                write(COMMAND, stamp, messages.command(stamp, actions[frame]))
            if camera is not None:
                write(CAMERA_INFO, stamp, messages.camera(stamp, camera))
            if DEPTH_IMAGE in connections:
                header = struct.pack("<iff", 0, 0.0, 0.0)  # of compressed_depth_image_transport; unused for 16UC1
                depth = dataset.depth(episode, frame)
                assert depth is not None
                picture = messages.picture(stamp, header + encode_depth(depth), "16UC1; compressedDepth png")
                write(DEPTH_IMAGE, stamp, picture)
    return left


def _picture(dataset: EpisodeDataset, episode: int, frame: int, lossless: bool) -> tuple[bytes, str]:
    """File and format."""
    if dataset.video:
        rgb = dataset.image(episode, frame)
        return (encode_png(rgb), "png") if lossless else (encode_jpeg(rgb), "jpeg")
    file = dataset.image_file(episode, frame)
    return file, "jpeg" if file.startswith(b"\xff\xd8") else "png"


def _camera(info: EpisodeInfo, shape: list[int]) -> tuple[CameraSpec | None, list[LeftOut]]:
    """The camera whose pictures these are, if it is known."""
    camera = info.robot.camera if info.robot else None
    if camera is not None and (camera.height, camera.width) != (shape[0], shape[1]):
        size = f"{camera.width}x{camera.height}"
        return None, [LeftOut("camera descriptions", 1, f"the robot's camera has {size} pixels and the pictures not")]
    return camera, []


def _qos(latched: bool) -> Qos:
    never = QosTime(0x7FFFFFFF, 0xFFFFFFFF)
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE, durability, never, never,
        QosLiveliness.AUTOMATIC, never, False,
    )


class _Messages:
    """Makes ROS 2 messages. Poses and commands keep all digits of their float64."""

    def __init__(self, store: Typestore) -> None:
        self.store = store

    def _make(self, kind: str, **fields: Any) -> Any:
        package, name = kind.split("/")
        return self.store.types[f"{package}/msg/{name}"](**fields)

    def header(self, stamp: int, frame: str) -> Any:
        seconds, nanoseconds = divmod(stamp, NANOSECONDS)
        time = self._make("builtin_interfaces/Time", sec=seconds, nanosec=nanoseconds)
        return self._make("std_msgs/Header", stamp=time, frame_id=frame)

    def text(self, text: str) -> Any:
        return self._make("std_msgs/String", data=text)

    def picture(self, stamp: int, file: bytes, form: str) -> Any:
        return self._make(
            "sensor_msgs/CompressedImage", header=self.header(stamp, CAMERA_FRAME), format=form,
            data=np.frombuffer(file, np.uint8),
        )

    def odometry(self, stamp: int, pose: np.ndarray, velocity: np.ndarray) -> Any:
        x, y, yaw = (float(value) for value in pose)
        unknown = np.zeros(36)
        place = self._make("geometry_msgs/Point", x=x, y=y, z=0.0)
        turn = self._make(
            "geometry_msgs/Quaternion", x=0.0, y=0.0, z=float(np.sin(yaw / 2)), w=float(np.cos(yaw / 2))
        )
        return self._make(
            "nav_msgs/Odometry", header=self.header(stamp, ODOM_FRAME), child_frame_id=BASE_FRAME,
            pose=self._make(
                "geometry_msgs/PoseWithCovariance", covariance=unknown,
                pose=self._make("geometry_msgs/Pose", position=place, orientation=turn),
            ),
            twist=self._make("geometry_msgs/TwistWithCovariance", covariance=unknown, twist=self.twist(velocity)),
        )

    def twist(self, velocity: np.ndarray) -> Any:
        v, w = (float(value) for value in velocity)
        vector = "geometry_msgs/Vector3"
        return self._make(
            "geometry_msgs/Twist", linear=self._make(vector, x=v, y=0.0, z=0.0),
            angular=self._make(vector, x=0.0, y=0.0, z=w),
        )

    def command(self, stamp: int, velocity: np.ndarray) -> Any:
        return self._make(
            "geometry_msgs/TwistStamped", header=self.header(stamp, BASE_FRAME), twist=self.twist(velocity)
        )

    def camera(self, stamp: int, camera: CameraSpec) -> Any:
        fx, fy, cx, cy = camera.intrinsics
        model, terms = camera.distortion, list(camera.coefficients)
        if model == "none":
            model_name, terms = "plumb_bob", [0.0] * 5
        elif model == "plumb_bob":
            model_name = "rational_polynomial" if len(terms) == 8 else "plumb_bob"
            terms += [0.0] * (5 - len(terms))
        else:
            model_name = model
        region = self._make(
            "sensor_msgs/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        return self._make(
            "sensor_msgs/CameraInfo", header=self.header(stamp, CAMERA_FRAME), height=camera.height,
            width=camera.width, distortion_model=model_name, d=np.array(terms, np.float64),
            k=np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1], np.float64), r=np.eye(3).ravel(),
            p=np.array([fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0], np.float64), binning_x=0, binning_y=0, roi=region,
        )

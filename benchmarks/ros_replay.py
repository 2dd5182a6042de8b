"""What benchmarks/ros.py replays beside the ROS nodes: a camera and a moving base, each in a process of its own."""

from __future__ import annotations

import array
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from nav_msgs.msg import Odometry  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from nav_foundation.data.images import decode, encode_jpeg  # noqa: E402
from nav_foundation.robot import RobotSpec, load_robot  # noqa: E402
from nav_foundation.types import NANOSECONDS, Pose2, Velocity  # noqa: E402
from ros_nodes import main  # noqa: E402
from ros_nodes.messages import image_of, odometry_of, time_of  # noqa: E402
from ros_nodes.node import SENSOR, STEADY, NavigationNode  # noqa: E402
from ros_nodes.parameters import parameter  # noqa: E402

CAMERA_RATE = 29.9  # Hz; not quite 30, so that its pictures come at every phase of the controller's 20 Hz
ODOMETRY_RATE = 50.0  # Hz
PICTURES = 60
TOPIC = "camera/image_raw"
_SCENE, _SPACE, _SHARE = 5, 0.4, 0.6  # a house; m to its things along a straight way, of which that share is driven


@dataclass(frozen=True)
class CameraParameters:
    folder: str = parameter("", "JPEG files, shown to and fro.")
    compressed: bool = parameter(False, "Send JPEG instead of raw pictures.")


class Camera(NavigationNode[CameraParameters]):
    """Its pictures are stamped when they are sent; their frame_id is their number, to know which ones were lost."""

    def __init__(self) -> None:
        super().__init__("camera", CameraParameters)

    def start(self) -> None:
        files = [path.read_bytes() for path in sorted(Path(self.parameters.folder).glob("*.jpg"))]
        if self.parameters.compressed:
            self._pictures = self.create_publisher(CompressedImage, f"{TOPIC}/compressed", SENSOR)
            shown: list[Any] = [CompressedImage(format="jpeg", data=array.array("B", file)) for file in files]
        else:
            self._pictures = self.create_publisher(Image, TOPIC, SENSOR)
            shown = [image_of(decode(file), 0, "") for file in files]
        self._shown, self._number = [*shown, *shown[-2:0:-1]], 0
        self._timer = self.create_timer(1.0 / CAMERA_RATE, self._show, clock=STEADY)

    def _show(self) -> None:
        message = self._shown[self._number % len(self._shown)]
        message.header.frame_id = str(self._number)
        message.header.stamp = time_of(self.now_ns())
        self._pictures.publish(message)
        self._number += 1


@dataclass(frozen=True)
class BaseParameters:
    robot: str = parameter("turtlebot", "A shipped robot, or the path of a robot's YAML file.")


class Base(NavigationNode[BaseParameters]):
    """It drives straight on at cruise speed, whatever it is told."""

    def __init__(self) -> None:
        super().__init__("base", BaseParameters)

    def start(self) -> None:
        self._speed = load_robot(self.parameters.robot).cruise_speed
        self._odometry, self._begun = self.create_publisher(Odometry, "odom", SENSOR), self.now_ns()
        self._timer = self.create_timer(1.0 / ODOMETRY_RATE, self._tell, clock=STEADY)

    def _tell(self) -> None:
        now = self.now_ns()
        place = Pose2(self._speed * (now - self._begun) / NANOSECONDS, 0.0, 0.0)
        self._odometry.publish(odometry_of(place, Velocity(self._speed), now, "odom", "base_link"))


def vga_robot() -> RobotSpec:
    robot = load_robot("turtlebot")
    return replace(robot, camera=replace(robot.camera, width=640, height=480))


def recorded_pictures() -> Path:
    """JPEG files of a straight way through a house, drawn once."""
    from sim_envs.embedded.simulator import EmbeddedSimulator
    from sim_envs.simulator import Pose, SceneRef

    folder = ROOT / "runs" / "ros-pictures"
    if len(list(folder.glob("*.jpg"))) == PICTURES:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    simulator, robot, rng = EmbeddedSimulator(), vga_robot(), np.random.default_rng(0)
    simulator.load(SceneRef("house", _SCENE), robot.footprint)
    ways = [(simulator.sample_navigable(rng), simulator.sample_navigable(rng)) for _ in range(300)]
    free = [way for way in ways if simulator.clearance(np.linspace(*way, 40)).min() > _SPACE]
    begin, end = max(free, key=lambda way: float(np.linalg.norm(way[1] - way[0])))
    yaw = float(np.arctan2(*(end - begin)[1::-1]))
    for number, share in enumerate(np.linspace(0.0, _SHARE, PICTURES)):
        seen = simulator.render([Pose.at(begin + share * (end - begin), yaw)], [robot.camera]).rgb
        assert seen is not None
        (folder / f"{number:03d}.jpg").write_bytes(encode_jpeg(seen[0], 90))
    return folder


if __name__ == "__main__":
    main.NODES |= {"camera": (__name__, "Camera"), "base": (__name__, "Base")}
    sys.exit(main.run(sys.argv[1:2], sys.argv[2:]))

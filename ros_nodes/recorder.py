"""recorder: topics in, episodes on the disk out: drives of the policy and drives of people, see policies/recording.py.

What people drove, takeovers above all, can be trained on as it lies there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from nav_foundation.data.images import encode_depth
from nav_foundation.data.importing.messages import compressed_picture
from nav_foundation.data.importing.pictures import as_file
from nav_foundation.data.recording import Keeper
from nav_foundation.robot import load_robot
from nav_foundation.types import NANOSECONDS
from policies.recording import Asked, Control, Recording, RecordingSettings
from ros_nodes.messages import camera_of, depth_of, pictures, pose2_of, rgb_of, stamp_ns, velocity_of
from ros_nodes.node import LATCHED, SENSOR, SENSOR_ALL, NavigationNode, Rate
from ros_nodes.parameters import parameter

_OLDEST = 1.0  # s; what is stamped otherwise cannot be told apart by time from what has no stamp
_PATIENCE = 60.0  # s for the disk, at the end
_TOLD_FOR = 5.0  # s that a fault is shown


@dataclass(frozen=True)
class RecorderParameters:
    robot: str = parameter("turtlebot", "A shipped robot, or the path of a robot's YAML file.")
    folder: str = parameter("", "The dataset: a new folder, or one that grows.")
    record_rate: float = parameter(5.0, "Frames per second of the dataset.")
    compressed: bool = parameter(False, "Take sensor_msgs/CompressedImage from image/compressed instead of image.")
    camera_info: bool = parameter(True, "Take the camera's calibration from camera_info, once that comes.")
    stamped: bool = parameter(False, "Velocities come as TwistStamped instead of Twist.")
    with_depth: bool = parameter(False, "Record depth images as well; they see what the camera sees.")
    stand_end: float = parameter(5.0, "s of standing that end an episode.")
    longest: float = parameter(120.0, "s after which an episode is cut and goes on in the next one.")


class Recorder(NavigationNode[RecorderParameters]):
    def __init__(self) -> None:
        super().__init__("recorder", RecorderParameters)
        self._status = self.create_publisher(String, "~/status", LATCHED)
        self._rates = {name: Rate() for name in ("pictures", "odometry", "words of the controller")}
        self._fault, self._fault_at = "", 0.0

    # --- lifecycle ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        wanted = self.parameters
        if not wanted.folder:
            raise ValueError("the recorder has no folder: name the dataset, a new folder or one that grows")
        robot = load_robot(wanted.robot)
        settings = RecordingSettings(
            wanted.record_rate, wanted.stand_end, wanted.longest, depth=wanted.with_depth,
            scene="simulated" if self.get_parameter("use_sim_time").value else "",
        )
        self._camera, self._mounted = robot.camera, robot.camera
        self._keeper = Keeper(Path(wanted.folder).expanduser(), wanted.record_rate, self._log)
        self._recording = Recording(robot, settings, self._keeper, self._tell)
        self._listen()
        self.every(1.0, self._look)
        self.get_logger().info(f"recording to {wanted.folder}")

    def _listen(self) -> None:
        wanted, listen = self.parameters, self.listen
        listen(*pictures(wanted.compressed), self._on_picture, SENSOR)
        listen(Odometry, "odom", self._on_odometry, SENSOR_ALL)
        listen(TwistStamped if wanted.stamped else Twist, "cmd_vel", self._on_command, SENSOR_ALL)
        listen(String, "navigator/status", self._on_navigator, LATCHED)
        listen(String, "controller/status", self._on_controller, LATCHED)
        if wanted.camera_info:
            listen(CameraInfo, "camera_info", self._on_camera, SENSOR)
        if wanted.with_depth:
            listen(Image, "depth", self._on_depth, SENSOR)

    def stop(self) -> None:
        self._recording.end()
        if not self._keeper.close(_PATIENCE):
            self._log(f"the disk has not taken all episodes in {_PATIENCE:.0f} s")
        self._publish_status()

    # --- what comes in --------------------------------------------------------------------------------------------

    def _on_picture(self, message: Image | CompressedImage) -> None:
        self._rates["pictures"].tick()
        stamp = stamp_ns(message.header.stamp)
        age = (self.now_ns() - stamp) / NANOSECONDS
        if abs(age) > _OLDEST:
            self._tell(f"pictures are stamped {age:.2f} s ago: let the camera and this computer have the same time")
            return
        self._recording.picture(stamp, partial(_picture_file, message))

    def _on_depth(self, message: Image) -> None:
        size = self._camera.width, self._camera.height
        self._recording.depth(stamp_ns(message.header.stamp), partial(_depth_file, message, size))

    def _on_odometry(self, message: Odometry) -> None:
        self._rates["odometry"].tick()
        try:
            self._recording.odometry(stamp_ns(message.header.stamp), pose2_of(message.pose.pose))
        except ValueError:
            self._tell("odometry holds numbers that are not finite")

    def _on_command(self, message: Twist | TwistStamped) -> None:
        """It counts from now on: a Twist has no stamp, and the base is given it now, too."""
        try:
            velocity = velocity_of(message)
        except ValueError:
            return  # a base ignores what is no number
        self._recording.command(self.now_ns(), velocity)

    def _on_navigator(self, message: String) -> None:
        try:
            self._recording.asked(self.now_ns(), Asked.of(message.data))
        except ValueError as error:
            self._tell(f"navigator: {error}")

    def _on_controller(self, message: String) -> None:
        try:
            self._recording.control(self.now_ns(), Control.of(message.data))
        except ValueError as error:
            self._tell(f"controller: {error}")
            return
        self._rates["words of the controller"].tick()

    def _on_camera(self, message: CameraInfo) -> None:
        try:
            camera = camera_of(message, self._mounted)
        except ValueError as error:
            self._tell(str(error))
            return
        if camera != self._camera:
            self._camera = camera
            self._recording.calibrate(camera)

    # --- what is told ---------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._recording.look(self.now_ns())
        self._publish_status()

    def _publish_status(self) -> None:
        keeper, recording = self._keeper, self._recording
        self._status.publish(String(data=json.dumps({
            "episodes": keeper.episodes, "frames": keeper.frames, "current": recording.frames,
            "driver": recording.driver or "", "dropped": recording.dropped, "refused": keeper.refused,
        })))

    def _tell(self, sentence: str) -> None:
        """Something that cannot be recorded."""
        self._fault, self._fault_at = sentence, time.monotonic()
        self.get_logger().warning(sentence, throttle_duration_sec=5.0)

    def _log(self, sentence: str) -> None:
        """Something that is lost, or is in danger to be."""
        self.get_logger().error(sentence)

    def diagnose(self) -> tuple[bytes, str, Mapping[str, object]]:
        keeper, recording = self._keeper, self._recording
        rates = {f"{name} per second": rate.per_second() for name, rate in self._rates.items()}
        missing = [name for name in self._rates if not rates[f"{name} per second"]]
        values = {
            **rates, "folder": self.parameters.folder, "episodes": keeper.episodes, "frames": keeper.frames,
            "dropped, as they were short": recording.dropped, "refused": keeper.refused,
        }
        if keeper.fault:
            return DiagnosticStatus.ERROR, keeper.fault, values
        if self._fault and time.monotonic() - self._fault_at < _TOLD_FOR:
            return DiagnosticStatus.WARN, self._fault, values
        if missing:
            return DiagnosticStatus.WARN, f"there are no {' and no '.join(missing)}", values
        slow = rates["pictures per second"] < 0.9 * self.parameters.record_rate
        if slow:
            return DiagnosticStatus.WARN, "pictures come more slowly than record_rate says", values
        going = f"{recording.driver} drives, {recording.frames} frames" if recording.driver else "nobody drives"
        return DiagnosticStatus.OK, going, values


def _picture_file(message: Image | CompressedImage) -> bytes:
    """A JPEG or PNG file as it came; others become JPEG. Raises ValueError for a picture that is broken."""
    if isinstance(message, CompressedImage):
        return as_file(compressed_picture(message.format, message.data), None, "jpeg")
    return as_file(rgb_of(message), None, "jpeg")


def _depth_file(message: Image, size: tuple[int, int]) -> bytes:
    """PNG of a (width, height)."""
    depth = depth_of(message)
    if depth.shape != size[::-1]:
        depth = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)  # a mean of near and far is neither
    return encode_depth(depth)

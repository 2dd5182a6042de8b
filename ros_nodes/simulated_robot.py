"""simulated_robot: the simulator as a robot with ROS topics. The one bridge between ros_nodes and sim_envs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import CameraInfo, Image, LaserScan
from std_msgs.msg import String

from nav_foundation.geometry import between
from nav_foundation.robot import CameraSpec, load_robot
from nav_foundation.types import NANOSECONDS, ImageGoal, InstructionGoal, ObjectGoal, Pose2, Velocity
from ros_nodes.messages import (
    camera_info_of,
    depth_image_of,
    image_of,
    jpeg_of,
    odometry_of,
    pictures,
    pose_of,
    scan_of,
    time_of,
    velocity_of,
)
from ros_nodes.node import COMMAND, LATCHED, SENSOR, NavigationNode, Rate
from ros_nodes.parameters import parameter
from sim_envs.embedded.simulator import EmbeddedSimulator
from sim_envs.evaluation.evaluate import EpisodeSource
from sim_envs.evaluation.settings import EvaluationSettings
from sim_envs.simulator import Pose
from sim_envs.world import World, WorldSettings

_CLOCK_RATE = 100.0  # Hz
_FOREVER = 1e9  # s
# A quarter of the circle.
_LASER = CameraSpec(90, 1, mount_height=0.2, hfov_deg=90.0, distortion="equidistant", coefficients=(0.0,) * 4)
_LASER_RANGE = 12.0  # m


@dataclass(frozen=True)
class SimulatedRobotParameters:
    robot: str = parameter("turtlebot", "A shipped robot, or the path of a robot's YAML file.")
    scenes: str = parameter("houses", "houses, city, house:SEED, city:SEED or a mesh file.")
    task: str = parameter("image-goal", "The task whose goals it proposes: image-goal, point-goal, instruction, ...")
    variant: str = parameter("", "Of the task, as for `nav-foundation eval`; empty = its first one.")
    distance: str = parameter("", "m from the start to the goal, such as 2-6; empty = the task's own.")
    episode: int = parameter(0, "Which episode: another number is another place.")
    seed: int = parameter(0, "Another seed makes other scenes.")
    noise: bool = parameter(True, "Noise of camera, motion and odometry.")
    people: int = parameter(0, "People who walk about.")
    frame_rate: float = parameter(10.0, "Pictures per second.")
    compressed: bool = parameter(False, "Send JPEG on image/compressed instead of image.")
    with_depth: bool = parameter(False, "Send depth images as well.")
    with_scan: bool = parameter(False, "Send a laser scan as well.")
    stamped: bool = parameter(False, "Take TwistStamped instead of Twist.")
    speed_up: float = parameter(1.0, "Times as fast as real time, if the computer can.")
    base_frame: str = parameter("base_link", "Frame of the robot.")

    def __post_init__(self) -> None:
        if not (0 < self.frame_rate <= 100 and 0 < self.speed_up <= 100):
            raise ValueError("frame_rate and speed_up are above 0, up to 100")


def _span(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        low, high = map(float, text.split("-"))
    except ValueError:
        raise ValueError(f"distance is {text!r}: give metres as MIN-MAX, such as 2-6") from None
    return low, high


class SimulatedRobot(NavigationNode[SimulatedRobotParameters]):
    def __init__(self) -> None:
        super().__init__("simulated_robot", SimulatedRobotParameters)
        self._clock_out = self.create_publisher(ClockMessage, "/clock", SENSOR)
        self._rate = Rate()

    def start(self) -> None:
        wanted = self.parameters
        self.get_logger().info("the scene is made and an episode chosen: up to a minute")
        robot = load_robot(wanted.robot)
        ask: Any = wanted.task
        settings = EvaluationSettings(
            "oracle", ask, wanted.variant, _span(wanted.distance), scenes=wanted.scenes, robot=wanted.robot,
            seed=wanted.seed, episodes=wanted.episode + 1,
        )
        source = EpisodeSource.of(settings, robot)
        world_settings = WorldSettings(wanted.noise, wanted.people, depth=wanted.with_depth, time_extra=_FOREVER)
        self._world = World(EmbeddedSimulator(), robot, world_settings)
        episode = source.episode(wanted.episode, source.scenes()[wanted.episode], self._world.simulator)
        self._world.reset(episode)
        self._begin_ns, self._sub_ns = time.time_ns(), 0  # stamps look like those of a real robot
        self._command, self._command_ns = Velocity(), -_FOREVER * NANOSECONDS
        self._next_frame = 0.0
        self._publish_all()
        self.every(1.0 / (_CLOCK_RATE * wanted.speed_up), self._advance)
        self.get_logger().info(f"{robot.name} in {episode.scene}: {episode.task}, {self._world.shortest:.1f} m to go")

    def _publish_all(self) -> None:
        """Publishers and the subscription, and the goals that the episode proposes."""
        wanted, make = self.parameters, self.create_publisher
        kind = TwistStamped if wanted.stamped else Twist
        self.listen(kind, "cmd_vel", self._on_command, COMMAND)
        self._image: Any = make(*pictures(wanted.compressed), SENSOR)
        self._info, self._odom = make(CameraInfo, "camera_info", SENSOR), make(Odometry, "odom", SENSOR)
        self._depth = make(Image, "depth", SENSOR) if wanted.with_depth else None
        self._scan = make(LaserScan, "scan", SENSOR) if wanted.with_scan else None
        self._truth = make(String, "~/truth", SENSOR)
        self._propose()

    def _propose(self) -> None:
        episode, goal, stamp = self._world.episode, self._world.goal, self._begin_ns
        if episode.goals is not None and len(episode.goals):
            x, y = episode.goals[0][:2]
            there = between(self._world.pose.planar, Pose2(float(x), float(y), episode.goal_yaw or 0.0))
            place = PoseStamped(pose=pose_of(there))
            place.header.frame_id, place.header.stamp = "odom", time_of(stamp)
            self._proposed_pose = self.create_publisher(PoseStamped, "~/goal_pose", LATCHED)
            self._proposed_pose.publish(place)
        if isinstance(goal, ImageGoal):
            self._proposed_picture = self.create_publisher(Image, "~/goal_image", LATCHED)
            self._proposed_picture.publish(image_of(goal.rgb, stamp, "camera"))
        if isinstance(goal, (InstructionGoal, ObjectGoal)):
            text = goal.text if isinstance(goal, InstructionGoal) else f"object: {goal.category}"
            self._proposed_words = self.create_publisher(String, "~/goal_words", LATCHED)
            self._proposed_words.publish(String(data=text))

    # --- time -----------------------------------------------------------------------------------------------------

    def _on_command(self, message: Twist | TwistStamped) -> None:
        try:
            self._command = velocity_of(message)
        except ValueError:
            return  # a base ignores what is no number
        self._command_ns = self._world.now_ns

    def _advance(self) -> None:
        """A hundredth of a second goes by."""
        world = self._world
        self._sub_ns += round(NANOSECONDS / _CLOCK_RATE)
        due_ns = world.now_ns + round(NANOSECONDS / world.robot.control_rate)
        if self._sub_ns >= due_ns:
            fresh = world.now_ns - self._command_ns <= world.robot.command_timeout * NANOSECONDS
            world.tick(self._command if fresh else Velocity())
            self._publish_odometry()
            if world.time >= self._next_frame:
                self._next_frame = max(self._next_frame + 1.0 / self.parameters.frame_rate, world.time)
                self._publish_frame()
        self._clock_out.publish(ClockMessage(clock=time_of(self._begin_ns + self._sub_ns)))

    def _publish_odometry(self) -> None:
        world = self._world
        stamp = self._begin_ns + world.now_ns
        self._odom.publish(odometry_of(world.odometry, Velocity(), stamp, "odom", self.parameters.base_frame))
        pose = world.pose
        self._truth.publish(String(data=json.dumps({
            "x": pose.x, "y": pose.y, "yaw": pose.yaw, "time": world.time, "contacts": world.contacts,
            "distance_to_goal": world.distance_to_goal() if world.time >= self._next_frame else None,
        })))

    def _publish_frame(self) -> None:
        world, frame = self._world, "camera"
        seen = world.observe()
        stamp = self._begin_ns + int(seen.stamp_ns)
        self._image.publish((jpeg_of if self.parameters.compressed else image_of)(seen.rgb, stamp, frame))
        self._info.publish(camera_info_of(world.robot.camera, stamp, frame))
        if self._depth is not None and seen.depth is not None:
            self._depth.publish(depth_image_of(seen.depth, stamp, frame))
        if self._scan is not None:
            self._scan.publish(self._laser(self._begin_ns + world.now_ns))
        self._rate.tick()

    def _laser(self, stamp: int) -> LaserScan:
        """A scan of the whole circle, from four pictures of one row; their lens makes the angles even."""
        quarters = [math.pi * share for share in (-0.75, -0.25, 0.25, 0.75)]  # from behind, over the right, round
        here = self._world.pose
        poses = [Pose(here.x, here.y, here.z, here.yaw + turn) for turn in quarters]
        depth = self._world.simulator.render(poses, [_LASER], rgb=False, depth=True).depth
        assert depth is not None
        focal, _, middle, _ = _LASER.intrinsics
        slant = np.cos((np.arange(_LASER.width) - middle) / focal)
        ranges = (depth[:, 0] / slant)[:, ::-1].ravel()  # pictures go to the right, scans to the left
        return scan_of(ranges, stamp, self.parameters.base_frame, farthest=_LASER_RANGE)

    def diagnose(self) -> tuple[bytes, str, Mapping[str, object]]:
        return DiagnosticStatus.OK, "simulated", {
            "pictures per second": self._rate.per_second(), "contacts": self._world.contacts,
        }

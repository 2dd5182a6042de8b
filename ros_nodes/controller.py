"""controller: plans in, velocities out. It alone drives the base, and owns every limit and every reason to stop."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry, Path
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, LaserScan
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from nav_foundation.geometry import from_frame, to_frame
from nav_foundation.robot import load_robot
from nav_foundation.types import NANOSECONDS, Plan, Pose2, Velocity
from policies.controller import STOP, Controller
from policies.obstacles import KeepOut, depth_points, scan_points, slowed
from policies.watch import Watch
from ros_nodes.kept import Kept
from ros_nodes.messages import camera_of, depth_of, plan_of, pose2_of, stamp_ns, stamped_twist_of, twist_of, velocity_of
from ros_nodes.node import COMMAND, LATCHED, SENSOR, SENSOR_ALL, SIGNAL, NavigationNode, Rate
from ros_nodes.parameters import parameter

_LATEST_BY = 0.19  # s without a new plan; with the camera's latency and a tick, braking begins 0.3 s after the cause
_SLOWEST = 0.5  # s between pictures, at most, that make plans
_OBSTACLES_OLDEST = 0.5  # s
_TELEOP_TIMEOUT = 0.3  # s
_KEEP_OUT_NEAR = 3.0  # m
_SPEECHLESS = 1.0  # s
_STATUS_EVERY = 0.2  # s
_BARRED = 0.05  # m/s that are wanted and not allowed


@dataclass(frozen=True)
class ControllerParameters:
    robot: str = parameter("turtlebot", "A shipped robot, or the path of a robot's YAML file.")
    drive: bool = parameter(False, "Send velocities; otherwise everything runs and nothing moves.", live=True)
    accept_sim_model: bool = parameter(False, "Drive with a model that has only seen simulation.", live=True)
    odometry: bool = parameter(True, "The robot has odometry, and stops where that fails.")
    camera_info: bool = parameter(True, "Take the calibration for depth images from camera_info, once that comes.")
    stamped: bool = parameter(False, "Send TwistStamped instead of Twist.")
    tick_rate: float = parameter(10.0, "Plans per second that the navigator makes.")
    base_frame: str = parameter("base_link", "Frame of the robot: x forward, y left.")
    obstacles: str = parameter("none", "What shows obstacles to brake for: none, scan or depth.")
    scan_x: float = parameter(0.0, "m that the laser sits ahead of the robot's centre.")
    scan_yaw: float = parameter(0.0, "rad that the laser is turned.")
    cliff_timeout: float = parameter(0.0, "s of silence of a cliff sensor that stop it; 0 = it tells of changes.")
    keep_out: str = parameter("", "A YAML file of areas in the odometry's frame that are never entered.")
    margin: float = parameter(0.05, "m to keep from obstacles beyond the footprint.", live=True)
    speed: float = parameter(1.0, "Share of the robot's highest speeds that is used, 0 to 1.", live=True)
    state_folder: str = parameter("~/.ros/nav_foundation", "Where a latched emergency stop outlives this process.")

    def __post_init__(self) -> None:
        if self.obstacles not in ("none", "scan", "depth"):
            raise ValueError(f"obstacles is {self.obstacles!r}: use none, scan or depth")
        if not 0 < self.speed <= 1:
            raise ValueError(f"speed is {self.speed}: give a share above 0, up to 1")
        if not 0 < self.tick_rate <= 100:
            raise ValueError(f"tick_rate is {self.tick_rate}: give plans per second, above 0, up to 100")
        if not 0 <= self.margin <= 1:
            raise ValueError(f"margin is {self.margin}: give metres, 0 to 1")
        if not 0 <= self.cliff_timeout <= 10:
            raise ValueError(f"cliff_timeout is {self.cliff_timeout}: give seconds, 0 to 10")


class ControllerNode(NavigationNode[ControllerParameters]):
    def __init__(self) -> None:
        super().__init__("controller", ControllerParameters)
        kind = TwistStamped if self.parameters.stamped else Twist
        self._commands = self.create_publisher(kind, "cmd_vel", COMMAND)
        self._wanted = self.create_publisher(TwistStamped, "~/wanted", SENSOR)
        self._status = self.create_publisher(String, "~/status", LATCHED)
        self._mode, self._reason, self._sent, self._was_sending = "stopped", "nothing was received yet", STOP, False
        self._told, self._told_at, self._sent_ns = "", 0.0, 0
        self._ticks = Rate()

    # --- lifecycle ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        wanted = self.parameters
        self.robot = load_robot(wanted.robot)
        self._keep_out = KeepOut.read(FilePath(wanted.keep_out)) if wanted.keep_out else None
        self._periods: deque[int] = deque([round(NANOSECONDS / wanted.tick_rate)] * 9, maxlen=9)
        self._controller = Controller(self.robot, guard=self._guarded)
        self._watch = Watch(self.robot, odometry=wanted.odometry)
        self._plan: Plan | None = None
        self._plan_ns, self._plan_stamp_ns = 0, 0
        self._plan_fault, self._model_fault = "there is no navigator yet", "no navigator has told its model yet"
        self._pose: Pose2 | None = None
        self._points = np.zeros((0, 2))
        self._points_ns: int | None = None  # when they were seen
        self._camera = self.robot.camera
        self._cliff, self._cliff_at = False, -math.inf if wanted.cliff_timeout else math.inf
        self._teleop: tuple[float, Velocity] | None = None  # s, steady
        self._kept = Kept(wanted.state_folder, self.get_fully_qualified_name())
        self._careful_again()
        self._barred = ""
        if wanted.obstacles == "scan":
            self.get_logger().info(
                f"the laser sits {wanted.scan_x:g} m ahead of the centre and is turned by {wanted.scan_yaw:g} rad: "
                "scan_x and scan_yaw of the parameter file say otherwise"
            )
        self._listen()
        self._timer = self.every(1.0 / self.robot.control_rate, self._tick)

    def _careful_again(self) -> None:
        """As the process before this one was told to be."""
        if self._kept.is_stopped:
            self._controller.emergency_stop()
        settings = self._kept.settings()
        if settings:
            self.set_parameters([Parameter(name, value=value) for name, value in settings.items()])
            self.get_logger().warning(f"as it was told before it began anew: {settings}")

    def _on_parameters(self, changes: list[Parameter]) -> Any:
        result = super()._on_parameters(changes)
        if result.successful and self.is_started:
            now, kept = self.parameters, {name: getattr(self.parameters, name) for name in ("speed", "margin")}
            try:
                self._kept.note(kept if now.drive else {**kept, "drive": False})  # nobody is there who enables it
            except OSError as error:
                self.get_logger().error(f"a restart would forget {kept}: {error}")
        return result

    def _listen(self) -> None:
        wanted, listen = self.parameters, self.listen
        listen(Path, "plan", self._on_plan, COMMAND)
        listen(String, "navigator/model", self._on_model, LATCHED)
        listen(Bool, "emergency_stop", self._on_emergency, SIGNAL)
        listen(Bool, "emergency_stop", self._on_emergency, SENSOR_ALL)  # from publishers that promise nothing
        listen(Bool, "cliff", self._on_cliff, SENSOR_ALL)
        listen(TwistStamped, "teleop", self._on_teleop, SENSOR)
        if wanted.odometry:
            listen(Odometry, "odom", self._on_odometry, SENSOR)
        if wanted.obstacles == "scan":
            listen(LaserScan, "scan", self._on_scan, SENSOR)
        if wanted.obstacles == "depth":
            listen(Image, "depth", self._on_depth, SENSOR)
            if wanted.camera_info:
                listen(CameraInfo, "camera_info", self._on_camera, SENSOR)
        self.serve(Trigger, "~/emergency_stop", self._on_stop_now)
        self.serve(Trigger, "~/release", self._on_release)
        self.serve(SetBool, "~/enable", self._on_enable)

    def stop(self) -> None:
        if self._sent != STOP:
            self._send(STOP, self.now_ns())

    # --- what comes in --------------------------------------------------------------------------------------------

    def _on_plan(self, message: Path) -> None:
        try:
            self._plan, self._plan_fault = plan_of(message, self.parameters.base_frame), ""
        except ValueError as error:
            self._plan, self._plan_fault = None, str(error)
        period = stamp_ns(message.header.stamp) - self._plan_stamp_ns
        self._plan_ns, self._plan_stamp_ns = self.now_ns(), stamp_ns(message.header.stamp)
        if 0 < period < _SLOWEST * NANOSECONDS:
            self._periods.append(period)
        self._controller.stop_after = max(_LATEST_BY, 1.5 * float(np.median(self._periods)) / NANOSECONDS)
        self._timer.reset()
        self._tick()  # a plan does not wait for the next one

    def _on_model(self, message: String) -> None:
        try:
            told = json.loads(message.data)
            self._model, self._model_seen_robots = str(told["model"]), told["seen_robots"] is True
            self._model_fault = ""
        except (ValueError, LookupError, TypeError):
            self._model_fault = f"{message.data[:80]!r} tells of no model"

    def _on_odometry(self, message: Odometry) -> None:
        stamp, now = stamp_ns(message.header.stamp), self.now_ns()
        try:
            pose = pose2_of(message.pose.pose)
            if self._watch.odometry(stamp, pose, now):
                self._pose = pose
                self._controller.remember(stamp, pose)
        except ValueError:
            self._watch.odometry(stamp, None, now)

    def _on_scan(self, message: LaserScan) -> None:
        mount = Pose2(self.parameters.scan_x, 0.0, self.parameters.scan_yaw)
        try:
            points = scan_points(
                np.asarray(message.ranges), message.angle_min, message.angle_increment, message.range_min,
                message.range_max, mount,
            )
        except ValueError as error:
            self.get_logger().error(f"scan: {error}", throttle_duration_sec=5.0)
            return
        self._see(points, message)

    def _on_camera(self, message: CameraInfo) -> None:
        try:
            self._camera = camera_of(message, self.robot.camera)
        except ValueError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=10.0)

    def _on_depth(self, message: Image) -> None:
        try:
            depth = depth_of(message)
            camera = self._camera.resized(message.width, message.height)  # it sees what the camera sees
            points = depth_points(depth, camera, self.robot.footprint)
        except ValueError as error:
            self.get_logger().error(f"depth: {error}", throttle_duration_sec=5.0)
            return
        self._see(points, message)

    def _see(self, points: np.ndarray, message: LaserScan | Image) -> None:
        """In the robot's frame of the message's time, or of now where its driver does not stamp."""
        self._points, self._points_ns = points, stamp_ns(message.header.stamp) or self.now_ns()

    def _on_cliff(self, message: Bool) -> None:
        self._cliff = message.data
        if self.parameters.cliff_timeout:
            self._cliff_at = time.monotonic()

    def _on_teleop(self, message: TwistStamped) -> None:
        try:
            self._teleop = time.monotonic(), velocity_of(message)
        except ValueError:
            self._teleop = None

    # --- emergency stop and enabling ------------------------------------------------------------------------------

    def _on_emergency(self, message: Bool) -> None:
        if message.data:
            self._stop_now()

    def _on_stop_now(self, request: Any, response: Any) -> Any:
        self._stop_now()
        response.success, response.message = True, "stopped until released"
        return response

    def _stop_now(self) -> None:
        self._controller.emergency_stop()
        self._tick()
        try:
            self._kept.stop()
        except OSError as error:
            self.get_logger().error(f"a restart would release the emergency stop: {error}")

    def _on_release(self, request: Any, response: Any) -> Any:
        try:
            self._kept.release()
        except OSError as error:
            response.success, response.message = False, f"it cannot be released: {error}"
            return response
        self._controller.release()
        response.success, response.message = True, "released: it goes on to its goal, if it has one"
        return response

    def _on_enable(self, request: Any, response: Any) -> Any:
        fault = self._not_to_drive() if request.data else ""
        self.set_parameters([Parameter("drive", value=bool(request.data) and not fault)])
        response.success, response.message = not fault, fault or ("driving" if request.data else "shadow mode")
        return response

    def _not_to_drive(self) -> str:
        """Why this model must not move this robot."""
        if self._model_fault:
            return self._model_fault
        if not (self._model_seen_robots or self.parameters.accept_sim_model):
            return (
                f"model {self._model} has only seen simulation: set accept_sim_model to true to drive a robot with it, "
                "or fine-tune it on the robot's own drives"
            )
        return ""

    # --- the tick -------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now, wanted = self.now_ns(), self.parameters
        doubt, self._barred = self._watch.fault(now, time.monotonic_ns()), ""
        if now == 0:
            doubt = "there is no clock yet: does what sends /clock run?"
        steered = self._steered()
        sends = wanted.drive or steered is not None
        if sends and not self._was_sending:
            self._controller.reset()  # what it would have driven in shadow mode is not how fast the robot is
        if steered is not None:
            velocity = self._controller.steer(steered, self._pose, now)
            mode = "teleop"
        else:
            doubt = doubt or self._blind(now) or self._edgeless() or self._speechless(now)
            doubt = doubt or (self._not_to_drive() if wanted.drive else "")
            brakes = self._plan is None or (not wanted.drive and self._sent != STOP)
            here = self._pose if wanted.odometry else None
            velocity = self._controller.command(self._plan, here, now, hold=brakes, doubt=doubt)
            mode = "shadow" if not wanted.drive else "standing" if self._plan is None else "driving"
        reason = self._controller.fault
        self._was_sending = sends
        self._ticks.tick()
        self._wanted.publish(stamped_twist_of(velocity, now, wanted.base_frame))
        if sends or self._sent != STOP:
            self._send(velocity, now)
        self._tell("stopped" if reason and mode in ("driving", "standing") else mode, reason or self._barred)

    def _steered(self) -> Velocity | None:
        """What a person wants, while he holds the dead man's switch."""
        if self._teleop is None or time.monotonic() - self._teleop[0] > _TELEOP_TIMEOUT:
            return None
        return self._teleop[1]

    def _blind(self, now: int) -> str:
        """What shows obstacles has to go on showing them."""
        kind = self.parameters.obstacles
        if kind == "none":
            return ""
        if self._points_ns is None:
            return f"there is no {kind} yet"
        age = (now - self._points_ns) / NANOSECONDS
        return f"no new {kind} for {age:.2f} s" if abs(age) > _OBSTACLES_OLDEST else ""

    def _edgeless(self) -> str:
        """A cliff sensor that tells again and again has to go on."""
        silent = time.monotonic() - self._cliff_at
        return f"no new cliff for {silent:.2f} s" if silent > self.parameters.cliff_timeout else ""

    def _speechless(self, now: int) -> str:
        """A navigator that wants the robot to stand says so again and again."""
        if self._plan_fault or self._plan is not None:
            return self._plan_fault
        age = (now - self._plan_ns) / NANOSECONDS
        return f"no word from the navigator for {age:.1f} s: is there a camera?" if abs(age) > _SPEECHLESS else ""

    def _guarded(self, wanted: Velocity) -> Velocity:
        """Slowed, so that nothing that is known of is touched."""
        share = self.parameters.speed
        velocity = Velocity(share * wanted.linear, share * wanted.angular, share * wanted.lateral)
        if self._cliff and velocity.linear > 0:
            velocity = Velocity(0.0, velocity.angular)
        points = np.zeros((0, 2)) if self._blind(self.now_ns()) else self._points_now()
        if self._keep_out is not None and self._pose is not None:
            points = np.concatenate([points, self._keep_out.points_near(self._pose, _KEEP_OUT_NEAR)])
        allowed = slowed(velocity, points, self.robot, self.parameters.margin)
        if abs(velocity.linear) > _BARRED and allowed.linear == 0.0:
            self._barred = "something is in the way" if len(points) else ""
        return allowed

    def _points_now(self) -> np.ndarray:
        """Where what was seen lies by now, as seen from the robot that has driven on."""
        if self._points_ns is None:
            return self._points
        then, here = self._controller.was_at(self._points_ns), self._controller.was_at(self.now_ns())
        return to_frame(here, from_frame(then, self._points))

    def _send(self, velocity: Velocity, now: int) -> None:
        stamped = self.parameters.stamped
        self._commands.publish(
            stamped_twist_of(velocity, now, self.parameters.base_frame) if stamped else twist_of(velocity)
        )
        seconds = (now - self._sent_ns) / NANOSECONDS
        self._watch.commanded(velocity, min(max(seconds, 0.0), 1.0 / self.robot.control_rate))
        self._sent, self._sent_ns = velocity, now

    def _tell(self, mode: str, reason: str) -> None:
        key, now = f"{mode} {reason.rstrip('0123456789. s')}", time.monotonic()
        if key == self._told and now - self._told_at < _STATUS_EVERY:
            return
        if key != self._told:
            self.get_logger().info(f"{mode} {reason}".strip(), throttle_duration_sec=0.5)
        self._told, self._told_at, self._mode, self._reason = key, now, mode, reason
        sent = {"linear": self._sent.linear, "angular": self._sent.angular, "lateral": self._sent.lateral}
        self._status.publish(String(data=json.dumps({"mode": mode, "reason": reason, "sent": sent})))

    def diagnose(self) -> tuple[bytes, str, Mapping[str, object]]:
        told = f"{self._mode} {self._reason}".strip()
        level = DiagnosticStatus.WARN if self._reason else DiagnosticStatus.OK
        for topic in ("plan", "cmd_vel"):
            senders = self.count_publishers(self.resolve_topic_name(topic))
            if senders > 1:
                level, told = DiagnosticStatus.WARN, f"{told}; {senders} programs publish {topic}: let one of them"
        return level, told, {
            "ticks per second": self._ticks.per_second(), "robot": self.robot.name,
            "obstacles": self.parameters.obstacles, "points": len(self._points),
        }

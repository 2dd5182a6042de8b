"""navigator: pictures and goals in, plans out.

One thread receives. Another one plans from the newest picture, and it alone touches the pilot: what it has to be told
lies in an inbox until its next look.
"""

from __future__ import annotations

import json
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PointStamped, PoseStamped
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger

from nav_foundation.robot import CameraSpec, load_robot
from nav_foundation.types import NANOSECONDS, Explore, Goal, ImageGoal, Observation, PointGoal, Pose2, PoseGoal
from policies.load import BEARING, load_policy, seen_robots
from policies.pilot import Pilot, Progress
from policies.prediction.asked import in_words, spoken_goal
from policies.prediction.drawing import Drawer
from ros_nodes.errands import HAS_NAV2, Errand, NavigateToPoseServer
from ros_nodes.frames import Frames
from ros_nodes.messages import camera_of, jpeg_of, path_of, pictures, pose2_of, pose_of, rgb_of, stamp_ns
from ros_nodes.node import COMMAND, GOAL, LATCHED, SENSOR, NavigationNode, Rate
from ros_nodes.parameters import parameter

_OLDEST = 0.7  # s; a plan from an older picture would not be driven
_STATUS_EVERY = 0.2  # s
_BLIND_AFTER = 2.0  # s without a picture
_HANGS_AFTER = 10.0  # s for one plan


@dataclass(frozen=True)
class NavigatorParameters:
    robot: str = parameter("turtlebot", "A shipped robot, or the path of a robot's YAML file.")
    model: str = parameter("nano", "A model that comes along, a folder of one, or bearing: straight to places.")
    device: str = parameter("cpu", "Where the model runs: cpu or cuda.")
    engine: str = parameter("torch", "What runs the model: torch.")
    tick_rate: float = parameter(10.0, "Plans per second at most; each is made from the newest picture.")
    compressed: bool = parameter(False, "Take sensor_msgs/CompressedImage from image/compressed instead of image.")
    camera_info: bool = parameter(True, "Take the camera's calibration from camera_info, once that comes.")
    odometry: bool = parameter(True, "The robot has odometry; without it there are no goals that are places.")
    base_frame: str = parameter("base_link", "Frame of the robot: x forward, y left.")
    navigate_to_pose: bool = parameter(True, "Offer Nav2's action NavigateToPose, where nav2_msgs is installed.")
    goal_radius: float = parameter(0.0, "m around a goal that count as there; 0 = what suits its kind.", live=True)
    debug_rate: float = parameter(2.0, "Pictures per second with the plan drawn in, while somebody looks.", live=True)

    def __post_init__(self) -> None:
        if self.engine != "torch":
            raise ValueError(f"engine {self.engine!r} is not known: torch is what there is")
        if not 0 < self.tick_rate <= 100:
            raise ValueError(f"tick_rate is {self.tick_rate}: give plans per second, above 0, up to 100")
        if self.goal_radius < 0 or self.debug_rate < 0:
            raise ValueError("goal_radius and debug_rate are 0 or more")


def _said(goal: Goal) -> str:
    """For people."""
    if isinstance(goal, (PointGoal, PoseGoal)):
        return f"x {goal.x:.2f} m, y {goal.y:.2f} m in the odometry's frame"
    return in_words(goal)


class Navigator(NavigationNode[NavigatorParameters]):
    def __init__(self) -> None:
        super().__init__("navigator", NavigatorParameters)
        self._path = self.create_publisher(Path, "plan", COMMAND)
        self._status = self.create_publisher(String, "~/status", LATCHED)
        self._model = self.create_publisher(String, "~/model", LATCHED)
        self._distance = self.create_publisher(Float32, "~/distance", COMMAND)
        self._debug = self.create_publisher(CompressedImage, "~/debug_image/compressed", SENSOR)
        self._frames, self._plans = Rate(), Rate()
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._fresh = threading.Condition()  # of the newest picture
        self._newest: tuple[Image | CompressedImage, int] | None = None
        self._progress, self._told, self._told_at = Progress("waiting"), "", 0.0
        self._latency = 0.0  # ms
        self._milliseconds, self._asked, self._drawn = 0.0, 0, 0.0
        self._errand = Errand("arrived")  # none is open
        self._refused = ""  # why the goal that was asked for last is not driven to
        self._begun = math.inf  # when the plan that is being made was

    # --- lifecycle ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        wanted = self.parameters
        robot = load_robot(wanted.robot)
        policy = load_policy(wanted.model, wanted.device)
        self._pilot = Pilot(policy, robot, odometry=wanted.odometry)
        self._camera: CameraSpec = robot.camera
        if wanted.model != BEARING:
            self._warm_up()
        seen = seen_robots(wanted.model)
        self._model.publish(String(data=json.dumps({"model": wanted.model, "seen_robots": seen})))
        self._places = Frames(self, wanted.base_frame)
        self._listen()
        self._seen = 0
        self.every(_BLIND_AFTER, self._look_for_pictures)
        self._is_working = True
        self._worker = threading.Thread(target=self._work, name="navigator", daemon=True)
        self._worker.start()
        self.get_logger().info(f"ready: {wanted.model} for {robot.name} on {wanted.device}")

    def _warm_up(self) -> None:
        """The first passes of a network take longest: not while the robot drives."""
        import torch

        torch.set_num_threads(1)  # one picture is too little work to share: waiting for each other takes longer
        camera, policy = self._camera, self._pilot.policy
        picture = np.zeros((camera.height, camera.width, 3), np.uint8)
        goal = ImageGoal(picture)
        policy.reset(self._pilot.robot, goal, 0)
        for k in range(3):
            policy.plan(Observation(picture, k * NANOSECONDS // 5), goal)

    def _listen(self) -> None:
        wanted, listen = self.parameters, self.listen
        listen(*pictures(wanted.compressed), self._on_picture, SENSOR)
        listen(PoseStamped, "goal_pose", self._on_pose, GOAL)
        listen(PointStamped, "goal_point", self._on_point, GOAL)
        listen(Image, "goal_image", self._on_goal_picture, GOAL)
        listen(CompressedImage, "goal_image/compressed", self._on_goal_picture, GOAL)
        listen(String, "goal_words", self._on_words, GOAL)
        if wanted.odometry:
            listen(Odometry, "odom", self._on_odometry, SENSOR)
        if wanted.camera_info:
            listen(CameraInfo, "camera_info", self._on_camera, SENSOR)
        self.serve(Trigger, "~/cancel", self._on_cancel)
        self.serve(Trigger, "~/explore", self._on_explore)
        if wanted.navigate_to_pose and HAS_NAV2:
            NavigateToPoseServer(self, self._on_pose, lambda: self._ask(None), self._here, self._distance_left)

    def _look_for_pictures(self) -> None:
        hangs = time.monotonic() - self._begun
        if hangs > _HANGS_AFTER:
            raise RuntimeError(f"a plan has taken {hangs:.0f} s: begin anew")  # which ends this process
        before, self._seen = self._seen, self._frames.total
        if self._seen == before:
            topic = self.resolve_topic_name(pictures(self.parameters.compressed)[1])
            self._progress = Progress("stopped", f"no pictures on {topic}: is the camera there, and the topic right?")
            self.get_logger().warning(self._progress.reason, throttle_duration_sec=10.0)
            self._tell_status(self._progress)

    def stop(self) -> None:
        self._is_working = False
        with self._fresh:
            self._fresh.notify_all()
        self._worker.join(timeout=5.0)
        self._path.publish(path_of(None, self.now_ns(), self.parameters.base_frame))

    # --- what comes in --------------------------------------------------------------------------------------------

    def _on_picture(self, message: Image | CompressedImage) -> None:
        self._frames.tick()
        with self._fresh:
            self._newest = message, stamp_ns(message.header.stamp)
            self._fresh.notify()

    def _on_odometry(self, message: Odometry) -> None:
        try:
            pose = pose2_of(message.pose.pose)
        except ValueError:
            return  # the controller stops for it
        self._places.odometry(message.header.frame_id, pose)
        self._inbox.put(lambda: self._pilot.odometry(stamp_ns(message.header.stamp), pose))

    def _on_camera(self, message: CameraInfo) -> None:
        try:
            camera = camera_of(message, self._pilot.robot.camera)
        except ValueError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=10.0)
            return
        if camera != self._camera:
            self._camera = camera
            self._inbox.put(lambda: self._calibrate(camera))

    def _calibrate(self, camera: CameraSpec) -> None:
        try:
            self._pilot.calibrate(camera)
            self.get_logger().info(f"camera: {camera.width}x{camera.height}, {camera.distortion}, as camera_info tells")
        except ValueError as error:
            self.get_logger().error(f"camera_info: {error}")

    # --- goals ----------------------------------------------------------------------------------------------------

    def _on_pose(self, message: PoseStamped) -> Errand:
        try:
            pose = self._places.place(pose2_of(message.pose), message.header.frame_id)
            return self._ask(PoseGoal(pose.x, pose.y, pose.yaw, **self._radius()))
        except ValueError as error:
            return self._refuse(f"goal_pose: {error}")

    def _on_point(self, message: PointStamped) -> None:
        try:
            place = self._places.place(Pose2(message.point.x, message.point.y, 0.0), message.header.frame_id)
            self._ask(PointGoal(place.x, place.y, **self._radius()))
        except ValueError as error:
            self._refuse(f"goal_point: {error}")

    def _on_goal_picture(self, message: Image | CompressedImage) -> None:
        try:
            self._ask(ImageGoal(rgb_of(message), **self._radius()))
        except ValueError as error:
            self._refuse(f"goal_image: {error}")

    def _on_words(self, message: String) -> None:
        try:
            self._ask(spoken_goal(message.data))
        except ValueError as error:
            self._refuse(f"goal_words: {str(error).removeprefix('--goal ')}")

    def _radius(self) -> dict[str, float]:
        return {"radius": self.parameters.goal_radius} if self.parameters.goal_radius else {}

    def _ask(self, goal: Goal | None) -> Errand:
        errand = Errand()

        def ask() -> None:
            try:
                self._pilot.ask(goal)
            except ValueError as error:
                self._refuse(str(error))
                errand.end("refused", str(error))
                return
            self._errand.end("replaced", "it was cancelled" if goal is None else "another goal was asked for")
            self._errand, self._refused = errand, ""
            self._asked += goal is not None
            self.get_logger().info("cancelled" if goal is None else f"goal: {type(goal).__name__} {_said(goal)}")

        self._inbox.put(ask)
        with self._fresh:
            self._fresh.notify()
        return errand

    def _refuse(self, reason: str) -> Errand:
        self.get_logger().error(reason)
        self._told, self._refused = "", reason
        return Errand("refused", reason)

    def _on_cancel(self, request: Any, response: Any) -> Any:
        self._ask(None)
        response.success, response.message = True, "the robot stands until it is given another goal"
        return response

    def _on_explore(self, request: Any, response: Any) -> Any:
        self._ask(Explore())
        response.success, response.message = True, "the robot looks around until it is given another goal"
        return response

    # --- plans ----------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Plan from the newest picture, never from one that waited behind another."""
        period, last = 0.9 * NANOSECONDS / self.parameters.tick_rate, 0
        while self._is_working:
            with self._fresh:
                if self._newest is None:
                    self._fresh.wait(timeout=0.5)
                newest, self._newest = self._newest, None
            try:
                while not self._inbox.empty():
                    self._inbox.get()()
                if newest is None or 0 <= newest[1] - last < period:
                    continue
                last = newest[1]
                self._begun = time.monotonic()
                self._tick(*newest)
                self._milliseconds = 1000 * (time.monotonic() - self._begun)
            except Exception as error:  # whatever it is: the robot is told to stand by silence, and why by this
                self._refuse(f"planning failed: {type(error).__name__}: {error}")
            self._begun = math.inf

    def _tick(self, message: Image | CompressedImage, stamp: int) -> None:
        age = (self.now_ns() - stamp) / NANOSECONDS
        try:
            if abs(age) > _OLDEST:
                late = f"pictures are stamped {age:.2f} s ago: let the camera and this computer have the same time"
                progress, rgb = Progress("stopped", late), None
            else:
                rgb = rgb_of(message)
                progress = self._pilot.look(rgb, stamp)
        except ValueError as error:
            progress, rgb = Progress("stopped", str(error)), None
        except Exception as error:  # whatever it is: stand, and say so
            self.get_logger().error(f"planning failed: {type(error).__name__}: {error}", throttle_duration_sec=5.0)
            progress, rgb = Progress("stopped", f"planning failed: {error}"), None
        self._path.publish(path_of(progress.plan, stamp, self.parameters.base_frame))
        self._latency = (self.now_ns() - stamp) / 1e6
        self._plans.tick()
        self._progress = progress
        if progress.state == "arrived":
            self._errand.end("arrived")
        self._tell_status(progress)
        if progress.plan is not None:
            self._distance.publish(Float32(data=progress.plan.distance))
            if rgb is not None:
                self._draw(rgb, stamp, progress)

    def _tell_status(self, progress: Progress) -> None:
        plan, goal = progress.plan, self._pilot.goal
        status: dict[str, Any] = {
            "state": progress.state, "reason": progress.reason, "goal": type(goal).__name__ if goal else "",
            "words": _said(goal) if goal else "", "number": self._asked,
            "refused": self._refused,
        }
        if plan is not None:
            for name in ("distance", "distance_std", "arrival", "collision"):
                value = getattr(plan, name)
                status[name] = round(value, 3) if math.isfinite(value) else None  # JSON knows no infinity
        key, now = f"{progress.state} {progress.reason} {status['goal']}", time.monotonic()
        if key != self._told or now - self._told_at > _STATUS_EVERY:
            if key != self._told:
                self.get_logger().info(f"{progress.state} {progress.reason}".strip(), throttle_duration_sec=1.0)
            self._told, self._told_at = key, now
            self._status.publish(String(data=json.dumps(status)))

    def _draw(self, rgb: Any, stamp: int, progress: Progress) -> None:
        every, now = self.parameters.debug_rate, time.monotonic()
        if not every or self._debug.get_subscription_count() == 0 or now - self._drawn < 1 / every:
            return
        self._drawn = now
        goal, plan = self._pilot.goal, progress.plan
        assert plan is not None
        drawer = Drawer(self._pilot.robot, goal or Explore(), _said(goal) if goal else "")
        picture = drawer(Observation(rgb, stamp, None), plan, self.get_name())
        self._debug.publish(jpeg_of(picture, stamp, self.parameters.base_frame))

    # --- for the action -------------------------------------------------------------------------------------------

    def _here(self) -> PoseStamped:
        frame, pose = self._places.here
        message = PoseStamped(pose=pose_of(pose))
        message.header.stamp, message.header.frame_id = self.get_clock().now().to_msg(), frame
        return message

    def _distance_left(self) -> float:
        plan = self._progress.plan
        return plan.distance if plan is not None and math.isfinite(plan.distance) else 0.0

    def diagnose(self) -> tuple[bytes, str, Mapping[str, object]]:
        progress = self._progress
        level = DiagnosticStatus.WARN if progress.state == "stopped" else DiagnosticStatus.OK
        return level, progress.reason or progress.state, {
            "pictures per second": self._frames.per_second(), "plans per second": self._plans.per_second(),
            "last plan (ms)": round(self._milliseconds, 1),
            "from the picture to the plan (ms)": round(self._latency, 1),
            "frames remembered": getattr(self._pilot.policy, "remembered", 0), "model": self.parameters.model,
            "engine": f"{self.parameters.engine} on {self.parameters.device}",
        }

"""Where a place that is told in some frame lies in the odometry's, in which the robot drives."""

from __future__ import annotations

from typing import Any

from rclpy.time import Time

from nav_foundation.geometry import compose
from nav_foundation.types import NANOSECONDS, Pose2
from ros_nodes.messages import stamp_ns, yaw_of
from ros_nodes.node import NavigationNode

try:
    import tf2_ros
except ImportError:  # comes with a full ROS, not with pip's
    tf2_ros = None

_OLDEST = 2.0  # s


class Frames:
    """Tell it of odometry. Frames beyond the robot's two are known where tf2 is installed."""

    def __init__(self, node: NavigationNode[Any], base: str) -> None:
        self._base, self._now_ns = base, node.now_ns
        self._odometry = "odom"  # until it tells of another one
        self._here: Pose2 | None = None
        self._tree: Any = None
        if tf2_ros is not None:
            self._tree = tf2_ros.Buffer()
            listener = tf2_ros.TransformListener(self._tree, node)
            node.hold(listener, lambda _: listener.unregister())

    def odometry(self, frame: str, here: Pose2) -> None:
        self._odometry, self._here = frame, here

    @property
    def here(self) -> tuple[str, Pose2]:
        """The odometry's frame, and the robot in it."""
        return self._odometry, self._here or Pose2(0.0, 0.0, 0.0)

    def place(self, pose: Pose2, frame: str) -> Pose2:
        """In the odometry's frame, by what is known of both now. ValueError where nothing is."""
        if frame in ("", self._odometry):
            return pose
        if frame == self._base:
            if self._here is None:
                raise ValueError(f"it is told from the robot, in {frame!r}, and there is no odometry yet")
            return compose(self._here, pose)
        if self._tree is None:
            raise ValueError(
                f"it is told in frame {frame!r}: give it in {self._odometry!r} or {self._base!r}, or install tf2_ros"
            )
        return compose(self._looked_up(frame), pose)

    def _looked_up(self, frame: str) -> Pose2:
        try:
            found = self._tree.lookup_transform(self._odometry, frame, Time())
        except Exception as error:  # tf2 has a kind for each reason
            raise ValueError(f"it is told in frame {frame!r}, and tf does not lead from there: {error}") from None
        stamp, told = stamp_ns(found.header.stamp), found.transform
        age = (self._now_ns() - stamp) / NANOSECONDS
        if stamp and age > _OLDEST:  # what never moves has no stamp
            raise ValueError(f"it is told in frame {frame!r}, of which tf has heard nothing for {age:.1f} s")
        return Pose2(told.translation.x, told.translation.y, yaw_of(told.rotation))

"""Nav2's action NavigateToPose, for whoever sends robots about with it. Offered where nav2_msgs is installed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from geometry_msgs.msg import PoseStamped
from rclpy.action.server import ActionServer, CancelResponse
from rclpy.duration import Duration

from ros_nodes.node import NavigationNode

try:
    import nav2_msgs.action as nav2
except ImportError:  # comes with Nav2, not with pip's ROS
    nav2 = None
HAS_NAV2 = nav2 is not None

Outcome = Literal["", "arrived", "refused", "replaced", "cancelled"]
_EVERY = 0.1  # s


@dataclass
class Errand:
    """A goal on its way, and how that ended."""

    outcome: Outcome = ""  # not yet
    reason: str = ""

    def end(self, outcome: Outcome, reason: str = "") -> None:
        """The first end counts."""
        if not self.outcome:
            self.reason, self.outcome = reason, outcome  # in this order: another thread waits for the outcome


@dataclass
class _Followed:
    handle: Any
    errand: Errand
    since: float  # s, steady
    is_cancelled: bool = False


class NavigateToPoseServer:
    """Every goal of the action is asked for at once, and replaces the one before, wherever that came from.

    A goal is only executed, in rclpy's sense, when it has ended: a callback that waits would keep a node from
    hearing anything else, and one that awaits makes rclpy of Humble use a whole processor.
    """

    def __init__(
        self,
        node: NavigationNode[Any],
        ask: Callable[[PoseStamped], Errand],
        cancel: Callable[[], object],
        pose: Callable[[], PoseStamped],  # where the robot is
        distance: Callable[[], float],  # m left
    ) -> None:
        self._ask, self._cancel, self._pose, self._distance = ask, cancel, pose, distance
        self._followed: list[_Followed] = []
        server = ActionServer(
            node, nav2.NavigateToPose, "navigate_to_pose", lambda _: nav2.NavigateToPose.Result(),
            handle_accepted_callback=self._accept,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        node.hold(server, lambda _: server.destroy())
        node.every(_EVERY, self._follow)

    def _accept(self, handle: Any) -> None:
        self._followed.append(_Followed(handle, self._ask(handle.request.pose), time.monotonic()))

    def _follow(self) -> None:
        followed, self._followed = self._followed, []
        for each in followed:
            if each.errand.outcome:
                each.handle.execute(partial(_finish, errand=each.errand))
                continue
            self._followed.append(each)
            if not each.handle.is_cancel_requested:
                each.handle.publish_feedback(self._feedback(each))
            elif not each.is_cancelled:
                each.is_cancelled = True
                self._cancel()

    def _feedback(self, each: _Followed) -> Any:
        told = nav2.NavigateToPose.Feedback()
        told.current_pose = self._pose()
        told.navigation_time = Duration(seconds=time.monotonic() - each.since).to_msg()
        told.distance_remaining = self._distance()
        return told


def _finish(handle: Any, errand: Errand) -> Any:
    result = nav2.NavigateToPose.Result()
    if errand.outcome == "arrived":
        handle.succeed()
        return result
    if hasattr(result, "error_msg"):  # from Kilted on
        result.error_msg = errand.reason
    if handle.is_cancel_requested:
        handle.canceled()
    else:
        handle.abort()
    return result

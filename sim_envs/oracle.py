"""The oracle: drives the shortest way, seeing the simulator's truth. The ceiling, and the expert to learn from."""

from __future__ import annotations

import math

import numpy as np

from nav_foundation.geometry import resample_path, shift_waypoints, to_frame, wrap_angle
from nav_foundation.robot import RobotSpec
from nav_foundation.types import Goal, Observation, Plan
from policies.policy import Tour
from sim_envs.simulator import Pose, Simulator
from sim_envs.world import World, heading_error

HORIZON = 8  # waypoints of a plan, one per frame
MARGIN = 0.10  # m kept from obstacles beyond the robot's radius, where there is room
OFF_PATH = 0.3  # m from the planned way at which a new one is made
ARRIVED = 0.15  # m to the end of the way
UNDERFOOT = 0.4  # m around the robot where looking for something unseen leads nowhere
FACING = math.radians(20)  # rad, when the goal has a heading
SPACING = 0.1  # m between the points of the way


class OraclePolicy:
    """Knows the world it drives in: give it the World that runs the episode."""

    def __init__(self, world: World) -> None:
        self._world = world

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        self._path = np.zeros((0, 3))

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        world = self._world
        self._follow()
        robot, dt = world.robot, 1.0 / world.robot.frame_rate
        remaining = float(np.linalg.norm(np.diff(self._path, axis=0), axis=1).sum())
        remaining += math.dist(self._path[0], world.pose.position)
        final_yaw = final_heading(world, self._path[-1])
        facing = final_yaw is None or abs(heading_error(world.pose, final_yaw)) < FACING
        there = remaining < 2 * ARRIVED and math.dist(self._path[-1], world.pose.position) < ARRIVED
        arrived = world.episode.task != "explore" and there and facing
        if arrived or must_wait(world, self._path):
            waypoints = np.zeros((HORIZON, 3))
        else:
            waypoints = drive_along(self._path, world.pose, final_yaw, robot, HORIZON)
        waypoints = _at_stamp(waypoints, world, observation)
        return Plan(waypoints, dt, observation.stamp_ns, remaining, arrival=float(arrived))

    def _follow(self) -> None:
        """Drop what of the way is behind; make a new way when there is none or the robot has left it."""
        world, here = self._world, self._world.pose.position
        if len(self._path) and world.episode.task == "explore" and world.coverage.seen_at(self._path[-1]):
            self._path = np.zeros((0, 3))
        self._path = still_ahead(self._path, here)
        if not len(self._path):
            way = world.simulator.geodesic(here, self._targets()).path
            way = way if len(way) else here[None]
            self._path = with_margin(world.simulator, resample_path(way, SPACING), world.robot.footprint.radius)

    def _targets(self) -> np.ndarray:
        """[N, 3] places worth going to."""
        world = self._world
        if world.episode.task != "explore":
            return world.episode.goals
        here = world.pose.position
        for unseen in (world.coverage.frontier, world.coverage.unseen):
            away = unseen[np.linalg.norm(unseen - here[:2], axis=1) > UNDERFOOT]
            if len(away):
                return np.column_stack([away, np.full(len(away), here[2])])
        return here[None]


def still_ahead(path: np.ndarray, here: np.ndarray) -> np.ndarray:
    """What of a way [K, 3] is left to drive from a place [3]; nothing when that is not on the way."""
    if not len(path):
        return path
    near = np.linalg.norm(path[:40, :2] - here[:2], axis=1)
    nearest = int(near.argmin())
    return path[nearest:] if near[nearest] <= OFF_PATH else np.zeros((0, 3))


def final_heading(world: World, end: np.ndarray) -> float | None:
    """Yaw (rad) to stand in at the end [3] of the way to the goal, if any matters: the goal's, or towards the thing."""
    episode = world.episode
    if episode.goal_yaw is not None:
        return episode.goal_yaw
    if episode.object_ids:
        things = [i.centre for i in world.info.instances if i.id in episode.object_ids]
        dx, dy = min(things, key=lambda c: math.dist(c, end[:2])) - end[:2]
        return math.atan2(dy, dx)
    return None


def must_wait(world: World, path: np.ndarray) -> bool:
    """Whether somebody stands in the way [K, 3] just ahead."""
    ahead = path[:8]
    for mover in world.movers:
        room = mover.radius + world.robot.footprint.radius + 0.05
        spot = mover.pose.position
        if np.linalg.norm(ahead - spot, axis=1).min() < room and math.dist(spot, world.pose.position) < 1.2:
            return True
    return False


def drive_along(path: np.ndarray, pose: Pose, final_yaw: float | None, robot: RobotSpec, count: int) -> np.ndarray:
    """Waypoints [count, 3] in the robot frame that a robot could really drive along a way [K, 3], one per frame."""
    turn = 0.6 * robot.max_angular_speed / robot.frame_rate
    x, y, yaw = pose.x, pose.y, pose.yaw
    out, index = np.empty((count, 3)), 0
    for k in range(count):
        while index < len(path) - 1 and math.hypot(path[index, 0] - x, path[index, 1] - y) < 2.5 * SPACING:
            index += 1
        dx, dy = path[index, 0] - x, path[index, 1] - y
        away = math.hypot(dx, dy)
        if away < 0.5 * ARRIVED:  # standing there, whatever is left is a matter of turning
            if final_yaw is not None:
                yaw += float(np.clip(wrap_angle(final_yaw - yaw), -turn, turn))
        else:
            error = float(wrap_angle(math.atan2(dy, dx) - yaw))
            yaw += min(max(error, -turn), turn)
            if abs(error) < math.radians(45):
                advance = min(robot.step * math.cos(error), away)
                x, y = x + advance * math.cos(yaw), y + advance * math.sin(yaw)
        out[k] = x, y, yaw
    local = to_frame(pose.planar, out[:, :2])
    return np.column_stack([local, wrap_angle(out[:, 2] - pose.yaw)])


def with_margin(simulator: Simulator, path: np.ndarray, radius: float) -> np.ndarray:
    """The way [K, 3] moved to `radius` + MARGIN from obstacles where there is room; its ends stay."""
    if len(path) < 3:
        return path
    band, probe = path.copy(), 0.04
    offsets = probe * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], dtype=np.float64)
    for _ in range(8):
        inner = band[1:-1]
        around = simulator.clearance((inner[None] + offsets[:, None]).reshape(-1, 3)).reshape(4, -1)
        here = simulator.clearance(inner)
        slope = np.column_stack([around[0] - around[1], around[2] - around[3]]) / (2 * probe)
        steep = np.linalg.norm(slope, axis=1, keepdims=True)
        push = slope / np.maximum(steep, 1e-6) * np.clip(radius + MARGIN - here, 0.0, 0.05)[:, None] * (steep > 1e-3)
        smooth = 0.25 * (band[:-2, :2] + band[2:, :2] - 2 * inner[:, :2])
        moved = inner.copy()
        moved[:, :2] += push + smooth
        better = simulator.clearance(moved) >= np.minimum(here, radius)
        band[1:-1] = np.where(better[:, None], moved, inner)
    return band


def _at_stamp(waypoints: np.ndarray, world: World, observation: Observation) -> np.ndarray:
    """Waypoints of the robot's true pose now, in the frame of the (maybe older) observation."""
    if observation.odometry is None:
        return waypoints
    return shift_waypoints(waypoints, world.odometry, observation.odometry)

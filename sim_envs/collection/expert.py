"""The expert to learn from. It drives well and knows no more than the learner could: a goal that has not been in view
is looked for, and ways lead over floor that has been seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nav_foundation.geometry import between, compose, path_length, resample_path
from nav_foundation.robot import RobotSpec
from nav_foundation.types import Goal, Observation, Plan, Pose2
from policies.policy import Tour
from sim_envs.collection.known_floor import KnownFloor
from sim_envs.collection.sight import GoalSight
from sim_envs.coverage import Coverage
from sim_envs.oracle import (
    ARRIVED,
    FACING,
    HORIZON,
    OFF_PATH,
    SPACING,
    drive_along,
    final_heading,
    must_wait,
    still_ahead,
    with_margin,
)
from sim_envs.world import World, heading_error, tour_poses

_RECONSIDER = 1.0  # s after which a way to a frontier that has come into view is given up for a better one
_REJOIN = 30  # points of a described route ahead among which it is rejoined
_STUCK_AFTER, _STUCK_WITHIN = 2.0, 0.1  # s in which touching something it gets no farther, m
_NO_WAY = np.zeros((0, 3))


@dataclass(frozen=True)
class Label:
    """What the expert would do from where a frame was exposed."""

    goal: Pose2  # in the odometry frame: where it heads now, the goal or a place to look from; yaw 0 if of no matter
    plan: np.ndarray  # [HORIZON, 3] waypoints in the robot's frame at the frame's stamp
    # m along its way, and from where that ends straight to the goal if it ends elsewhere. The rest is 0 for
    # exploration. Before a goal is known the sum can be too small but hardly too large.
    distance: float
    goal_known: bool  # the goal's place has been in view, or was told


class ExpertPolicy:
    """A Policy that also labels: `label` is about the frame given to `plan` last. Give it the World of the episode.

    Knows from the start: a point goal's place, a tour's floor and places, the way that an instruction describes.
    Has to see first: the place of a picture, an object, all floor otherwise.
    """

    label: Label

    def __init__(self, world: World) -> None:
        self._world = world

    def reset(self, robot: RobotSpec, goal: Goal, seed: int, tour: Tour | None = None) -> None:
        world, episode = self._world, self._world.episode
        seen = Coverage.again(world.coverage, world.pose.position)
        self._seen, self._floor, self._sight = seen, KnownFloor(seen), GoalSight(world)
        if episode.task == "tour" and episode.reference_path is not None:
            for pose in tour_poses(episode.reference_path):
                seen.update(pose.x, pose.y, pose.yaw)
        self._path, self._to_goal, self._considered = _NO_WAY, False, -math.inf
        self._got_to, self._got_there = world.pose.position, 0.0  # m, and when (s)
        self._route = _NO_WAY
        if episode.task == "instruction" and episode.reference_path is not None:
            self._route = self._comfortable(episode.reference_path)

    def plan(self, observation: Observation, goal: Goal) -> Plan:
        world, robot = self._world, self._world.robot
        pose = world.frame_pose
        knew = len(self._sight.known)
        self._seen.update(pose.x, pose.y, pose.yaw)
        self._sight.look(pose)
        self._follow(found=len(self._sight.known) != knew)
        end = self._path[-1]
        final_yaw = final_heading(world, end) if self._to_goal else None
        left = path_length(self._path) + math.dist(self._path[0, :2], pose.position[:2])
        there = left < 2 * ARRIVED and math.dist(end[:2], pose.position[:2]) < ARRIVED
        arrived = self._to_goal and there and (final_yaw is None or abs(heading_error(pose, final_yaw)) < FACING)
        if arrived or must_wait(world, self._path):
            waypoints = np.zeros((HORIZON, 3))
        else:
            waypoints = drive_along(self._path, pose, final_yaw, robot, HORIZON)
        assert observation.odometry is not None
        place = between(pose.planar, Pose2(end[0], end[1], final_yaw or 0.0))
        heads_for = compose(observation.odometry, place)
        if final_yaw is None:
            heads_for = Pose2(heads_for.x, heads_for.y, 0.0)
        self.label = Label(heads_for, waypoints, left + self._rest(end), len(self._sight.known) > 0)
        return Plan(waypoints, 1.0 / robot.frame_rate, observation.stamp_ns, left, arrival=float(arrived))

    def _rest(self, end: np.ndarray) -> float:
        """Metres straight from the end [3] of the way to the goal."""
        goals = self._world.episode.goals
        return 0.0 if self._to_goal or not len(goals) else float(np.linalg.norm(goals - end, axis=1).min())

    # --- the way --------------------------------------------------------------------------------------------------

    def _follow(self, found: bool) -> None:
        """Drop what of the way is behind; make a new one when there is none, or a better one may have come up."""
        world = self._world
        here = world.frame_pose.position
        if len(self._route):
            self._path, self._to_goal = self._along_route(here), True
            return
        self._path = still_ahead(self._path, here)
        if len(self._path) and self._is_stuck(here):
            exact = world.simulator.geodesic(here, self._path[-1:]).path
            self._path = self._comfortable(exact, here)
            return
        if not len(self._path) or (not self._to_goal and (found or self._outlived())):
            self._path = self._new_way(here)
            self._considered = world.time

    def _is_stuck(self, here: np.ndarray) -> bool:
        """Whether something holds it: ways over known floor are as coarse as the plan of it, and may scrape along."""
        world = self._world
        if math.dist(here, self._got_to) > _STUCK_WITHIN or must_wait(world, self._path):
            self._got_to, self._got_there = here, world.time
        if world.time - self._got_there < _STUCK_AFTER or not world.touching:
            return False
        self._got_there = world.time
        return True

    def _outlived(self) -> bool:
        """Whether the place it heads for to look from has been seen, some time after it was chosen."""
        near = math.dist(self._path[-1], self._world.frame_pose.position) < OFF_PATH
        waited = self._world.time - self._considered >= _RECONSIDER
        return near or (waited and self._floor.seen_at(self._path[-1]))

    def _new_way(self, here: np.ndarray) -> np.ndarray:
        """The way [K, 3] to the goal if it is known and known floor leads there, otherwise to where to look next."""
        floor, sight = self._floor, self._sight
        floor.stand(here)
        self._to_goal = False
        if len(sight.known):
            way = self._way_to_goal(here)
            if way is not None:
                return way
        look = floor.frontier(self._world.frame_pose.yaw, sight.known)
        if look is not None:
            return self._over_known(here, look)
        if not len(self._world.episode.goals):  # explored to the end
            return here[None]
        sight.give_up()
        self._to_goal = True
        return self._comfortable(self._world.simulator.geodesic(here, sight.known).path, here)

    def _way_to_goal(self, here: np.ndarray) -> np.ndarray | None:
        """The shortest way if it runs over known floor, otherwise the shortest that does, if there is one."""
        known = self._sight.known
        shortest = self._world.simulator.geodesic(here, known).path
        if len(shortest) and self._floor.all_known(resample_path(shortest, SPACING)):
            self._to_goal = True
            return self._comfortable(shortest, here)
        distances = self._floor.distances(known)
        nearest = int(distances.argmin())
        if not math.isfinite(distances[nearest]):
            return None
        self._to_goal = True
        return self._over_known(here, known[nearest])

    def _over_known(self, here: np.ndarray, target: np.ndarray) -> np.ndarray:
        """A way [K, 3] over known floor, on the floor's height."""
        flat = resample_path(self._floor.way_to(target), SPACING)
        way, z = np.column_stack([flat, np.zeros(len(flat))]), float(here[2])
        for point in way:  # floors are no plane: each point's height is looked up from the one before
            point[2] = z
            on_floor = self._world.simulator.snap(point)
            z = point[2] = z if on_floor is None else float(on_floor[2])
        return self._comfortable(way, here)

    def _comfortable(self, way: np.ndarray, here: np.ndarray | None = None) -> np.ndarray:
        """The way [K, 3] as close points that keep off obstacles; one that leads nowhere is to stay `here` [3]."""
        if not len(way):
            assert here is not None
            return here[None]
        radius = self._world.robot.footprint.radius
        return with_margin(self._world.simulator, resample_path(way, SPACING), radius)

    def _along_route(self, here: np.ndarray) -> np.ndarray:
        """What is left of the described route, and the way back to it after leaving it."""
        ahead = still_ahead(self._route, here)
        if len(ahead):
            self._route = self._path = ahead
            return ahead
        kept = still_ahead(self._path, here)
        if len(kept):
            return kept
        reachable = self._route[:_REJOIN]
        joint = int(np.linalg.norm(reachable[:, :2] - here[:2], axis=1).argmin())
        back = self._world.simulator.geodesic(here, reachable[joint : joint + 1]).path
        if not len(back):
            return here[None]
        return np.concatenate([self._comfortable(back), self._route[joint + 1 :]])

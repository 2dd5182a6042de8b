"""GoalSight: when a goal comes into view. What the expert may know is what the learner's camera could have told it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nav_foundation.camera import horizontal_fov
from sim_envs.coverage import Coverage
from sim_envs.simulator import Instance, Pose
from sim_envs.tasks.object_goals import CLOSE, IN_VIEW
from sim_envs.tasks.site import Site, points_in_view, share_in_view, smaller_camera
from sim_envs.world import World, distance_to_outline

OVERLAP = 0.2  # share of a goal picture that must be in view for its place to be known
NEAR = 2.5  # m, from which a goal picture's place is known when the floor there is in view
_WIDTH = 48  # px of the pictures that are looked at for this


class GoalSight:
    """`look` from every frame's pose; `known` [N, 3] are the places of the goal that may be driven to."""

    def __init__(self, world: World) -> None:
        """Goals given as points, as places of a tour or by a described way are known from the beginning."""
        self._world, self._task = world, world.episode.task
        self.known: np.ndarray = np.zeros((0, 3))
        if self._task in ("point-goal", "tour", "instruction"):
            self.known = world.episode.goals
        robot = replace(world.robot, camera=smaller_camera(world.robot.camera, _WIDTH))
        self._site = Site(world.simulator, robot, world.info, np.random.default_rng(0))
        self._found: set[int] = set()  # instances of the category that have been in view
        if self._task == "image-goal":
            goal, yaw = world.episode.goals[0], world.episode.goal_yaw
            assert yaw is not None
            self._picture = points_in_view(self._site, Pose.at(goal, yaw))
            fov = horizontal_fov(world.robot.camera)
            self._near = Coverage(world.coverage.top_down, world.pose.position, fov, range_m=NEAR)

    def look(self, pose: Pose) -> None:
        if self._task == "image-goal" and not len(self.known):
            self._near.update(pose.x, pose.y, pose.yaw)
            goal = self._world.episode.goals
            if self._near.seen_at(goal[0]) or share_in_view(self._site, pose, self._picture) >= OVERLAP:
                self.known = goal
        if self._task == "object-goal" and not self._found:
            self._look_for_objects(pose)

    def give_up(self) -> None:
        """Everything has been seen, so the goal has been as well: where it can only be is known now."""
        self.known = self._world.episode.goals

    def _look_for_objects(self, pose: Pose) -> None:
        world = self._world
        ids, counts = np.unique(self._site.semantic(pose), return_counts=True)
        camera = self._site.camera
        clear = ids[counts >= IN_VIEW * camera.width * camera.height].tolist()
        self._found = set(clear) & set(world.episode.object_ids)
        things = [i for i in world.info.instances if i.id in self._found]
        if things:
            self.known = _around(things, world.episode.goals)


def _around(things: list[Instance], goals: np.ndarray) -> np.ndarray:
    """Those of the view points [N, 3] that belong to the things; all of them when none does."""
    own = [any(distance_to_outline(goal[:2], thing) <= CLOSE + 0.05 for thing in things) for goal in goals]
    return goals[own] if any(own) else goals

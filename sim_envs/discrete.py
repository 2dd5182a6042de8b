"""Discrete moves in a world, and episodes driven by them, as Habitat's benchmarks count them."""

from __future__ import annotations

import math
from dataclasses import replace

from policies.moves import DiscreteAgent, Move, MoveSizes
from sim_envs.rollout import OnFrame, Trace, trace_of
from sim_envs.simulator import Pose, Simulator
from sim_envs.tasks.episode import Episode
from sim_envs.world import World

_HALVINGS = 6  # of a blocked move that may not slide: it ends within 4 mm of where it touches


def make_move(world: World, move: Move, sizes: MoveSizes, sliding: bool = True) -> None:
    """Moves happen at once, without dynamics, and take the time a cruise would."""
    pose, robot = world.pose, world.robot
    if move == "stop":
        world.stop()
    elif move == "forward":
        x, y = pose.x + sizes.forward * math.cos(pose.yaw), pose.y + sizes.forward * math.sin(pose.yaw)
        aim = Pose(x, y, pose.z, pose.yaw)
        blocked = not sliding and world.simulator.try_step(pose, aim).contact
        if blocked:
            aim = _as_far_as_free(world.simulator, pose, aim)
        world.move_to(aim, sizes.forward / robot.cruise_speed, touched=blocked)
    else:
        turn = sizes.turn if move == "left" else -sizes.turn
        world.move_to(Pose(pose.x, pose.y, pose.z, pose.yaw + turn), sizes.turn / robot.max_angular_speed)


def _as_far_as_free(simulator: Simulator, start: Pose, end: Pose) -> Pose:
    """The last pose on the straight line from `start` to `end` that is reached without a touch."""
    free, blocked = 0.0, 1.0
    reached = start
    for _ in range(_HALVINGS):
        share = (free + blocked) / 2
        aim = replace(start, x=start.x + share * (end.x - start.x), y=start.y + share * (end.y - start.y))
        step = simulator.try_step(start, aim)
        if step.contact:
            blocked = share
        else:
            free, reached = share, aim
    return reached


def run_discrete(
    world: World, agent: DiscreteAgent, episode: Episode, sizes: MoveSizes, max_steps: int, sliding: bool = True,
    on_frame: OnFrame | None = None,
) -> Trace:
    """One episode of at most `max_steps` moves, the stop included. `on_frame` is as that of `run_episode`."""
    observation = world.reset(episode)
    agent.reset(world.goal, episode.seed, world.tour)
    following = episode.task == "instruction"  # only there a benchmark asks how near the robot ever came
    closest = world.distance_at_start
    for _ in range(max_steps):
        move = agent.act(observation, world.goal)
        if on_frame is not None and agent.plan is not None:
            on_frame(observation, agent.plan, world.pose)
        make_move(world, move, sizes, sliding)
        if world.done:
            break
        if following:
            closest = min(closest, world.distance_to_goal())
        observation = world.observe()
    return replace(trace_of(world), closest=closest if following else None)

"""Drive one agent through one episode, and keep what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nav_foundation.types import Observation, Plan
from policies.agent import Agent
from sim_envs.simulator import Pose
from sim_envs.tasks.episode import Episode
from sim_envs.world import World

OnFrame = Callable[[Observation, Plan, Pose], None]  # what was seen, what was planned, and the true pose


@dataclass(frozen=True)
class Trace:
    """What happened in an episode: the truth, from which metrics are computed."""

    episode: Episode
    poses: np.ndarray  # [T, 4] x, y, z, yaw at every control tick, the start included
    times: np.ndarray  # [T] s
    frame_ticks: np.ndarray  # [K] int, ticks at which a camera frame was exposed
    stopped: bool  # the policy itself called it done
    contacts: int  # times the robot ran into something
    distance_to_goal: float  # m at the end; to the surface for objects, 0 for exploration
    coverage: float  # 0..1, share of the reachable floor that was seen
    shortest: float  # m, shortest drive from the start; for explore the expert's
    distance_at_start: float  # m, counted as `distance_to_goal` is
    closest: float | None = None  # m, the least distance to the goal of all moments, where it was kept


def trace_of(world: World) -> Trace:
    """The record of a world whose episode is over."""
    return Trace(
        world.episode, world.history, world.times, np.array(world.frame_ticks, dtype=np.int64), world.stopped,
        world.contacts, world.distance_to_goal(), world.coverage.fraction, world.shortest,
        world.distance_at_start,
    )


def run_episode(
    world: World, agent: Agent, episode: Episode,
    on_frame: OnFrame | None = None,
) -> Trace:
    """One episode from reset to its end. `on_frame` sees every observation, its plan and the true pose."""
    observation = world.reset(episode)
    agent.reset(world.goal, episode.seed, world.tour)
    ticks_per_frame = max(1, round(world.robot.control_rate / world.robot.frame_rate))
    while not world.done:
        plan = agent.plan(observation, world.goal)
        if on_frame is not None:
            on_frame(observation, plan, world.pose)
        for _ in range(ticks_per_frame):
            if agent.arrived and world.at_rest:
                world.stop()
            if world.done:
                break
            world.tick(agent.command(plan, world.odometry, world.now_ns))
        if not world.done:
            observation = world.observe()
    return trace_of(world)

"""World: one robot in one episode: a simulator, plus the dynamics, odometry, sensors and people that all share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nav_foundation.geometry import between, compose, nearest_on_outline, resample_path, wrap_angle
from nav_foundation.robot import CameraSpec, RobotSpec
from nav_foundation.types import (
    NANOSECONDS,
    Explore,
    Goal,
    ImageGoal,
    InstructionGoal,
    ObjectGoal,
    Observation,
    PointGoal,
    Pose2,
    Velocity,
)
from policies.policy import Tour
from sim_envs.coverage import Coverage
from sim_envs.dynamics import ActuationNoise, Base, Odometry, OdometryDrift
from sim_envs.movers import Crowd
from sim_envs.sensors import CameraEffects, CameraSensor
from sim_envs.simulator import Instance, Mover, Pose, SceneInfo, Simulator
from sim_envs.tasks.episode import EXPLORED_ENOUGH, Episode, EpisodeError

TOUR_SPACING = 0.5  # m between the frames of a tour


@dataclass(frozen=True)
class WorldSettings:
    noise: bool = False  # camera effects, actuation noise and odometry drift
    people: int = 0
    depth: bool = False  # observations carry depth
    time_factor: float = 4.0  # an episode may take this many times the shortest drive at cruise speed ...
    time_extra: float = 30.0  # ... plus this many seconds
    drift: OdometryDrift = OdometryDrift.typical()  # used with noise on

    def __post_init__(self) -> None:
        if self.people < 0:
            raise ValueError(f"people is {self.people}: give 0 or more")
        if not (self.time_factor > 0 and self.time_extra >= 0):
            raise ValueError(f"time limits {self.time_factor} x + {self.time_extra} s must be above 0")


class World:
    """Reset it with an episode, then `tick` velocities and `observe`. All randomness comes from the episode's seed."""

    episode: Episode
    goal: Goal  # what the policy is told
    tour: Tour | None
    pose: Pose  # the truth
    coverage: Coverage
    info: SceneInfo
    movers: list[Mover]  # people, where they are now
    _touching: bool
    shortest: float  # m, shortest drive from start into the goal; for explore the expert's drive
    distance_at_start: float  # m, `distance_to_goal` there

    def __init__(self, simulator: Simulator, robot: RobotSpec, settings: WorldSettings | None = None) -> None:
        self.simulator = simulator
        self.robot = robot
        self.settings = settings or WorldSettings()

    def reset(self, episode: Episode) -> Observation:
        """Load the scene, place the robot and return its first observation."""
        self.info = self.simulator.load(episode.scene, self.robot.footprint)
        self.simulator.set_movers(())
        start = self.simulator.snap(episode.start.position)
        if start is None:
            raise EpisodeError(
                f"episode {episode.episode_id}: {self.robot.name} does not fit at its start in {episode.scene}; "
                "use a smaller robot or another episode"
            )
        self.episode = episode
        self.pose = Pose.at(start, episode.start.yaw)
        self.shortest = self._shortest()
        self.distance_at_start = self.distance_to_goal()
        self.time_limit = self.settings.time_factor * self.shortest / self.robot.cruise_speed + self.settings.time_extra
        self._begin_randomness(episode.seed)
        self._begin_record()
        self.coverage = Coverage.of_scene(self.simulator, self.info, self.pose.position, self.robot.camera)
        self.goal = self._goal()
        self.tour = self._record_tour() if episode.task == "tour" else None
        self._move_people(0.0)
        return self.observe()

    def tick(self, velocity: Velocity) -> None:
        """Drive for one control period."""
        assert not self.done, "the episode is over: reset the world"
        motion = self._base.advance(velocity)
        aim = compose(self.pose.planar, motion)
        self.move_to(Pose(aim.x, aim.y, self.pose.z, aim.yaw), 1.0 / self.robot.control_rate)

    def move_to(self, aim: Pose, seconds: float, touched: bool = False) -> None:
        """Try to reach `aim` within one tick of `seconds`, and let the rest of the world go on meanwhile.

        `touched` says that `aim` was cut short where something is in the way.
        """
        before = self.pose
        step = self.simulator.try_step(before, aim)
        self.pose = step.pose
        wanted = math.hypot(aim.x - before.x, aim.y - before.y)
        if step.contact and wanted > 0:
            moved = math.hypot(step.pose.x - before.x, step.pose.y - before.y)
            self._base.blocked(min(moved / wanted, 1.0))
        contact = step.contact or touched
        self.contacts += int(contact and not self._touching)
        self._touching = contact
        self._odometry.advance(before.planar, self.pose.planar)
        self._move_people(seconds)
        self.time += seconds
        self._record()
        if self.time >= self.time_limit:
            self.done = True

    def observe(self) -> Observation:
        """What the camera delivers now; with noise on, a frame that is a little old and says so in its stamp."""
        tick = self._tick_at(self.time - self._latency)
        pose = self._poses[tick]
        depth = self.settings.depth
        frames = self.simulator.render([pose], [self.robot.camera], depth=depth)
        assert frames.rgb is not None
        rgb = frames.rgb[0]
        if self._sensor:
            rgb = self._sensor(rgb, sweep=self._base.velocity.angular * self.robot.camera.intrinsics[0])
        self.frame_ticks.append(tick)
        self.coverage.update(pose.x, pose.y, pose.yaw)
        if self.episode.task == "explore" and self.coverage.fraction >= EXPLORED_ENOUGH:
            self.done = True
        return Observation(
            rgb, round(self._times[tick] * NANOSECONDS), self._beliefs[tick],
            frames.depth[0] if depth and frames.depth is not None else None,
        )

    def stop(self) -> None:
        """The policy declares that it has arrived."""
        self.stopped = True
        self.done = True

    @property
    def now_ns(self) -> int:
        return round(self.time * NANOSECONDS)

    @property
    def frame_pose(self) -> Pose:
        """Where the camera truly was when it exposed the last frame."""
        return self._poses[self.frame_ticks[-1]]

    @property
    def touching(self) -> bool:
        """Whether something was in the way in the last tick."""
        return self._touching

    @property
    def odometry(self) -> Pose2:
        """What the robot believes, now."""
        return self._odometry.pose

    @property
    def at_rest(self) -> bool:
        return self._base.at_rest

    @property
    def history(self) -> np.ndarray:
        """[T, 4] true x, y, z, yaw at every tick so far."""
        return np.array([[p.x, p.y, p.z, p.yaw] for p in self._poses])

    @property
    def times(self) -> np.ndarray:
        """[T] s of every tick so far."""
        return np.array(self._times)

    def distance_to_goal(self) -> float:
        """Metres from success being certain: along the ground, or to an object's surface. 0 for exploration."""
        episode = self.episode
        if episode.task == "explore":
            return 0.0
        ground = self.simulator.geodesic(self.pose.position, episode.goals).distance
        if not episode.object_ids:
            return ground
        counted = [i for i in self.info.instances if i.id in episode.object_ids]
        if not counted:
            raise EpisodeError(f"episode {episode.episode_id}: its objects are not in {episode.scene}")
        surface = min(distance_to_outline(self.pose.position[:2], i) for i in counted)
        # The nearest surface may lie behind a wall: then the ground still to drive to a view point speaks.
        return max(surface, ground - episode.success_radius)

    def _begin_randomness(self, seed: int) -> None:
        noisy = self.settings.noise
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]
        self._base = Base(self.robot, ActuationNoise.typical() if noisy else ActuationNoise(), streams[0])
        self._odometry = Odometry(self.settings.drift if noisy else OdometryDrift(), streams[1])
        effects = CameraEffects.sample(streams[2]) if noisy else None
        self._sensor = CameraSensor(effects, streams[3]) if effects else None
        self._latency = effects.latency if effects else 0.0
        self._crowd = Crowd(self.simulator, self.settings.people, self.pose, streams[4])

    def _begin_record(self) -> None:
        self.time, self.contacts, self.stopped, self.done = 0.0, 0, False, False
        self._touching = False
        self.movers = []
        self._poses: list[Pose] = []
        self._times: list[float] = []
        self._beliefs: list[Pose2] = []
        self.frame_ticks: list[int] = []
        self._record()

    def _record(self) -> None:
        self._poses.append(self.pose)
        self._times.append(self.time)
        self._beliefs.append(self._odometry.pose)

    def _tick_at(self, time: float) -> int:
        """The tick nearest to a time, the first one for times before it."""
        after = int(np.searchsorted(self._times, time - 1e-9)) if time > 0 else 0
        return after - 1 if after and time - self._times[after - 1] < self._times[after] - time else after

    def _shortest(self) -> float:
        episode = self.episode
        if episode.task == "explore":
            if not math.isfinite(episode.geodesic_distance):  # the time limit comes from it: there would be none
                raise EpisodeError(
                    f"episode {episode.episode_id} in {episode.scene}: its geodesic distance is "
                    f"{episode.geodesic_distance}: give the metres that an expert drives to explore"
                )
            return episode.geodesic_distance
        way = self.simulator.geodesic(self.pose.position, episode.goals)
        if not math.isfinite(way.distance):
            raise EpisodeError(
                f"episode {episode.episode_id} in {episode.scene} has no way to its goal for {self.robot.name} "
                f"(radius {self.robot.footprint.radius} m): use a smaller robot or another episode"
            )
        return way.distance

    def _goal(self) -> Goal:
        episode, radius = self.episode, self.episode.success_radius
        if episode.task == "point-goal":
            nearest = self.simulator.snap(episode.goals[0])  # where success is measured
            x, y = (episode.goals[0] if nearest is None else nearest)[:2]
            local = between(self.pose.planar, Pose2(x, y, 0.0))
            return PointGoal(local.x, local.y, radius)
        if episode.task in ("image-goal", "tour"):
            pose, camera = goal_camera(episode, self.robot.camera)
            frames = self.simulator.render([pose], [camera])
            assert frames.rgb is not None
            return ImageGoal(frames.rgb[0], radius)
        if episode.task == "object-goal":
            assert episode.category is not None
            return ObjectGoal(episode.category, radius)
        if episode.task == "instruction":
            assert episode.instruction is not None
            return InstructionGoal(episode.instruction, radius)
        return Explore()

    def _record_tour(self) -> Tour:
        assert self.episode.reference_path is not None
        poses = tour_poses(self.episode.reference_path)
        frames = self.simulator.render(poses, [self.robot.camera])
        assert frames.rgb is not None
        period = TOUR_SPACING / self.robot.cruise_speed
        return Tour([
            Observation(rgb, round(k * period * NANOSECONDS), between(poses[0].planar, pose.planar))
            for k, (rgb, pose) in enumerate(zip(frames.rgb, poses))
        ])

    def _move_people(self, seconds: float) -> None:
        if self.settings.people:
            self.movers = self._crowd.advance(seconds, self.pose, self.robot.footprint.radius)
            self.simulator.set_movers(self.movers)


def goal_camera(episode: Episode, camera: CameraSpec) -> tuple[Pose, CameraSpec]:
    """Where the goal's picture is taken, and by which camera: the robot's own, or the episode's."""
    view = episode.goal_view
    if view is None:
        assert episode.goal_yaw is not None
        return Pose.at(episode.goals[0], episode.goal_yaw), camera
    x, y, z = view.position
    floor = float(min(episode.goals[:, 2], key=lambda level: abs(z - 1.0 - level)))  # of the goal's storey
    mount = max(z - floor, 0.01)
    spec = CameraSpec(view.width, view.height, mount, view.pitch, hfov_deg=view.hfov_deg)
    return Pose(x, y, z - mount, view.yaw), spec


def tour_poses(path: np.ndarray) -> list[Pose]:
    """Where the frames of a tour along a way [K, 3] are taken."""
    points = resample_path(path, TOUR_SPACING)
    steps = np.diff(points, axis=0)
    yaws = np.arctan2(steps[:, 1], steps[:, 0])
    return [Pose.at(point, yaw) for point, yaw in zip(points, [*yaws, yaws[-1]])]


def distance_to_outline(point: np.ndarray, instance: Instance) -> float:
    """Metres on the floor plan from a point [2] to the convex outline of a thing, 0 inside."""
    return float(np.linalg.norm(nearest_on_outline(point, instance.outline) - point))


def heading_error(pose: Pose, yaw: float) -> float:
    """Radians left to turn from a pose to a heading, -pi..pi."""
    return float(wrap_angle(yaw - pose.yaw))

"""gymnasium environments: `import sim_envs`, then `gymnasium.make("NavFoundation/PointGoal-v0")`.

A step lasts one camera period. Actions are velocities, or Habitat's discrete moves with `actions="discrete"`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from nav_foundation.config import closest
from nav_foundation.geometry import to_frame
from nav_foundation.robot import RobotSpec, load_robot
from nav_foundation.types import ImageGoal, InstructionGoal, ObjectGoal, Observation, PointGoal, Velocity
from policies.moves import Move, MoveSizes
from sim_envs.backend import Backend
from sim_envs.discrete import make_move
from sim_envs.metrics import judge
from sim_envs.rollout import trace_of
from sim_envs.scenes.splits import SPLITS, scene_refs
from sim_envs.simulator import SceneRef, Simulator
from sim_envs.tasks.episode import TASKS, Episode, EpisodeError, TaskName
from sim_envs.tasks.generate import checked_variant, generate_episode
from sim_envs.world import World, WorldSettings

SUCCESS_REWARD = 2.5
STEP_COST = 0.01
MOVES: tuple[Move, ...] = ("stop", "forward", "left", "right")  # Habitat's discrete actions by number
SCENES_TRIED = 10  # before a reset gives up
_TEXT = spaces.Text(min_length=0, max_length=2000, charset=frozenset(map(chr, range(32, 127))))


class NavigationEnv(gym.Env[dict[str, Any], Any]):
    """One task in many scenes. Every `reset` draws a new episode from the environment's own generator."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012  gymnasium declares it so

    def __init__(
        self,
        task: TaskName,
        *,
        variant: str = "",
        scenes: Literal["houses", "city"] | Sequence[str] = "houses",
        split: Literal["train", "val", "test"] = "train",
        scene_count: int = 1000,
        episodes_per_scene: int = 10,
        distance: tuple[float, float] | None = None,
        robot: str | RobotSpec = "turtlebot",
        actions: Literal["velocity", "discrete"] = "velocity",
        settings: WorldSettings | None = None,
        simulator: Simulator | Backend | None = None,
        render_mode: str | None = None,
    ) -> None:
        if task not in TASKS:
            raise ValueError(f"unknown task {task!r}: use one of {', '.join(TASKS)}")
        if actions not in ("velocity", "discrete"):
            raise ValueError(f"unknown actions {actions!r}: use 'velocity' or 'discrete'")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"unknown render_mode {render_mode!r}: use 'rgb_array' or None")
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is not known{closest(str(split), SPLITS)}")
        for name, value in (("scene_count", scene_count), ("episodes_per_scene", episodes_per_scene)):
            if value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more")
        if not scenes:
            raise ValueError("scenes names none: give 'houses', 'city', or at least one scene")
        self.task, self.variant, self.distance = task, checked_variant(task, variant), distance
        self.robot = robot if isinstance(robot, RobotSpec) else load_robot(robot)
        self.actions, self.render_mode = actions, render_mode
        self._scenes = (scenes, split, scene_count)
        self._per_scene = episodes_per_scene
        chosen = simulator or Backend()
        self.world = World(chosen.simulator() if isinstance(chosen, Backend) else chosen, self.robot, settings)
        self.action_space = self._action_space()
        self.observation_space = self._observation_space()
        self._last: Observation | None = None
        self._scene: SceneRef | None = None
        self._scene_uses = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a new episode; `options={"episode": Episode}` sets which one."""
        super().reset(seed=seed)
        if seed is not None:
            self._scene = None
        episode = self._asked_for(options or {}) or self._draw_episode()
        self._last = self.world.reset(episode)
        self._to_go = self._progress_measure()
        info: dict[str, Any] = {"episode": episode, "tour": self.world.tour}
        return self._observation(self._last), info

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        world = self.world
        if self._last is None or world.done:
            raise gym.error.ResetNeeded("no episode is running: call reset before step")
        if self.actions == "discrete":
            self._step_discrete(action)
        else:
            self._step_velocity(action)
        if not world.done:
            self._last = world.observe()
        to_go = self._progress_measure()
        reward, self._to_go = self._to_go - to_go - STEP_COST, to_go
        info: dict[str, Any] = {}
        if world.done:
            trace = trace_of(world)
            succeeded = judge(trace).success
            reward += SUCCESS_REWARD * succeeded
            info = {"trace": trace, "success": bool(succeeded)}
        ended = world.stopped or (world.done and self.task == "explore" and world.time < world.time_limit)
        return self._observation(self._last), float(reward), ended, world.done and not ended, info

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """What the camera saw last, [H, W, 3] uint8."""
        return None if self._last is None or self.render_mode is None else self._last.rgb

    def close(self) -> None:
        self.world.simulator.close()

    def _step_velocity(self, action: Any) -> None:
        """[linear m/s, angular rad/s, (lateral m/s,) stop]: a last entry above 0.5 calls it done."""
        values = _numbers(action)
        if values.shape != self.action_space.shape or not np.isfinite(values).all():
            raise ValueError(
                f"action {action!r} is not valid: give {self.action_space.shape} finite numbers "
                "(linear m/s, angular rad/s, [lateral m/s,] stop 0..1)"
            )
        if values[-1] > 0.5:
            self.world.stop()
            return
        lateral = float(values[2]) if len(values) == 4 else 0.0
        velocity = Velocity(float(values[0]), float(values[1]), lateral)
        for _ in range(max(1, round(self.robot.control_rate / self.robot.frame_rate))):
            if not self.world.done:
                self.world.tick(velocity)

    def _step_discrete(self, action: Any) -> None:
        if _numbers(action).shape != () or action not in range(4):
            raise ValueError(f"action {action!r} is not valid: give 0 stop, 1 forward, 2 left or 3 right")
        make_move(self.world, MOVES[int(action)], MoveSizes())

    def _asked_for(self, options: dict[str, Any]) -> Episode | None:
        unknown = next((key for key in options if key != "episode"), None)
        if unknown is not None:
            raise ValueError(f"reset option {unknown!r} is not known{closest(str(unknown), ('episode',))}")
        episode = options.get("episode")
        if episode is None:
            return None
        if not isinstance(episode, Episode) or episode.task != self.task:
            what = episode.task if isinstance(episode, Episode) else type(episode).__name__
            raise ValueError(f"reset option 'episode' is of {what}: give an Episode of {self.task}")
        return episode

    def _draw_episode(self) -> Episode:
        """The next episode; a scene that has none of this task and distance makes room for another one."""
        for tries_left in reversed(range(SCENES_TRIED)):
            if self._scene is None or self._scene_uses >= self._per_scene:
                self._scene, self._scene_uses = self._draw_scene(), 0
            index, seed = int(self.np_random.integers(2**31)), int(self.np_random.integers(2**31))
            self._scene_uses += 1
            try:
                return generate_episode(
                    self.world.simulator, self.robot, self.task, self.variant, self._scene, index, seed, self.distance
                )
            except EpisodeError:
                self._scene = None
                if not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _draw_scene(self) -> SceneRef:
        scenes, split, count = self._scenes
        pick = int(self.np_random.integers(2**31))
        if isinstance(scenes, str) and scenes in ("houses", "city"):
            return scene_refs("house" if scenes == "houses" else "city", split, pick % count, 1)[0]
        paths = [scenes] if isinstance(scenes, str) else list(scenes)
        return SceneRef.parse(paths[pick % len(paths)])

    def _progress_measure(self) -> float:
        """What the reward pays for reducing: metres to the goal, or metres' worth of unseen floor."""
        if self.task == "explore":
            return 10.0 * (1.0 - self.world.coverage.fraction)
        return self.world.distance_to_goal()

    def _action_space(self) -> spaces.Space[Any]:
        if self.actions == "discrete":
            return spaces.Discrete(4)
        v, w = self.robot.max_speed, self.robot.max_angular_speed
        side = [v] if self.robot.drive == "omnidirectional" else []
        high = np.array([v, w, *side, 1.0], dtype=np.float32)
        low = -high
        low[-1] = 0.0
        return spaces.Box(low, high, dtype=np.float32)

    def _observation_space(self) -> spaces.Dict:
        camera = self.robot.camera
        picture = spaces.Box(0, 255, (camera.height, camera.width, 3), np.uint8)
        anywhere = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        goal: dict[str, dict[str, spaces.Space[Any]]] = {
            "point-goal": {"goal": anywhere}, "image-goal": {"goal": picture}, "tour": {"goal": picture},
            "object-goal": {"goal": _TEXT}, "instruction": {"goal": _TEXT}, "explore": {},
        }
        odometry = spaces.Box(-np.inf, np.inf, (3,), np.float64)
        return spaces.Dict({"rgb": picture, "odometry": odometry, **goal[self.task]})

    def _observation(self, seen: Observation) -> dict[str, Any]:
        """`odometry` is x, y, yaw since the start; a point goal is x, y in the robot's frame, as odometry has it."""
        assert seen.odometry is not None
        out: dict[str, Any] = {
            "rgb": seen.rgb.copy(), "odometry": np.array([seen.odometry.x, seen.odometry.y, seen.odometry.yaw])
        }
        goal = self.world.goal
        if isinstance(goal, PointGoal):
            out["goal"] = to_frame(seen.odometry, np.array([[goal.x, goal.y]]))[0]
        elif isinstance(goal, ImageGoal):
            out["goal"] = goal.rgb.copy()
        elif isinstance(goal, ObjectGoal):
            out["goal"] = goal.category
        elif isinstance(goal, InstructionGoal):
            out["goal"] = goal.text
        return out


def _numbers(action: Any) -> np.ndarray:
    """The action as float64, or an array that no action has the shape of."""
    try:
        return np.asarray(action, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty((0, 0))


def vector(count: int, make: Callable[[], gym.Env[Any, Any]]) -> gym.vector.AsyncVectorEnv:
    """`count` environments in processes of their own, stepped together."""
    return gym.vector.AsyncVectorEnv([make] * count, shared_memory=False, context="spawn")

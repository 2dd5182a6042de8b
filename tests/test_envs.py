"""The gymnasium environments: the standard checker, seeded twins here and in other processes, rewards, bad input."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import sim_envs  # noqa: F401  registers the ids
from sim_envs.registration import env_id
from sim_envs.simulator import SceneRef
from sim_envs.tasks.episode import TASKS, Episode, EpisodeError
from sim_envs.tasks.generate import generate_episode

IDS = [env_id(task) for task in TASKS]


def digest(seed: int, name: str, steps: int = 12, **kwargs: Any) -> str:
    """A fingerprint of every bit that a seeded rollout with seeded actions gives out."""
    env = gym.make(name, **kwargs)
    env.action_space.seed(seed)
    state = hashlib.sha256()

    def absorb(value: Any) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                absorb(value[key])
        else:
            state.update(value.tobytes() if isinstance(value, np.ndarray) else str(value).encode())

    absorb(env.reset(seed=seed)[0])
    for _ in range(steps):
        action = env.action_space.sample()
        if isinstance(env.action_space, gym.spaces.Box):
            action[-1] = 0.0
        else:
            action = 1 + action % 3
        observation, reward, ended, cut, _ = env.step(action)
        absorb(observation)
        absorb(repr(reward))
        if ended or cut:
            break
    env.close()
    return state.hexdigest()


@pytest.mark.parametrize("name", IDS)
def test_the_standard_checker_is_content(name: str) -> None:
    env = gym.make(name, disable_env_checker=True).unwrapped
    check_env(env, skip_render_check=False)
    env.close()


@pytest.mark.parametrize("name", IDS)
def test_twin_rollouts_are_bit_identical(name: str) -> None:
    assert digest(3, name) == digest(3, name) != digest(4, name)


def test_twins_in_other_processes_are_bit_identical_noise_and_people_included() -> None:
    program = (
        "from tests.test_envs import digest; from sim_envs.world import WorldSettings;"
        f"print(digest(5, {IDS[0]!r}, settings=WorldSettings(noise=True, people=2)));"
        f"print(digest(5, {IDS[1]!r}, actions='discrete'))"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert outputs[0] == outputs[1] and len(outputs[0].split()) == 2


def test_discrete_moves_are_a_quarter_metre_and_ten_degrees() -> None:
    env = gym.make(IDS[0], actions="discrete").unwrapped
    env.reset(seed=1)
    begin = env.world.pose
    env.step(2)
    assert np.degrees(env.world.pose.yaw - begin.yaw) % 360 == pytest.approx(10)
    env.step(3)
    env.step(1)
    moved = np.linalg.norm(env.world.pose.position - begin.position)
    assert moved == pytest.approx(0.25, abs=1e-6) or env.world.contacts
    _, _, ended, cut, info = env.step(0)
    assert ended and not cut and info["success"] is False


def test_the_reward_is_the_progress() -> None:
    env = gym.make(IDS[0]).unwrapped
    env.reset(seed=2)
    before = env.world.distance_to_goal()
    total = sum(float(env.step(np.array([0.3, 0.2, 0.0], dtype=np.float32))[1]) for _ in range(10))
    assert total == pytest.approx(before - env.world.distance_to_goal() - 10 * 0.01, abs=1e-6)


def test_vector_environments_step_together() -> None:
    envs = gym.make_vec(IDS[0], num_envs=2, vectorization_mode="sync")
    observation, _ = envs.reset(seed=7)
    assert observation["rgb"].shape == (2, 96, 128, 3)
    envs.step(envs.action_space.sample())
    envs.close()


@pytest.mark.parametrize("action", [[float("nan"), 0.0, 0.0], [0.1, 0.0], "forward", [[0.1, 0.0, 0.0]]])
def test_bad_velocities_are_refused(action: Any) -> None:
    env = gym.make(IDS[0]).unwrapped
    env.reset(seed=2)
    with pytest.raises(ValueError, match="not valid"):
        env.step(action)


@pytest.mark.parametrize("action", [4, -1, 1.5, float("nan"), "forward", [1]])
def test_bad_moves_are_refused(action: Any) -> None:
    env = gym.make(IDS[0], actions="discrete").unwrapped
    env.reset(seed=2)
    with pytest.raises(ValueError, match="not valid"):
        env.step(action)


@pytest.mark.parametrize("arguments", [{"robot": "r2d2"}, {"actions": "hop"}, {"scenes": "castle:1"}])
def test_bad_settings_are_refused_in_words(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"r2d2|hop|castle"):
        gym.make(IDS[0], **arguments).unwrapped.reset(seed=0)


@pytest.mark.parametrize("arguments", [
    {"variant": "route"}, {"split": "tset"}, {"scene_count": 0}, {"episodes_per_scene": 0}, {"scenes": []},
])
def test_bad_settings_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"route|tset|1 or more|at least one"):
        gym.make(IDS[0], **arguments)


@pytest.mark.parametrize("actions", ["velocity", "discrete"])
def test_nothing_happens_outside_an_episode(actions: str) -> None:
    env = gym.make(IDS[0], actions=actions).unwrapped
    forward, stop = (1, 0) if actions == "discrete" else ([0.3, 0.0, 0.0], [0.0, 0.0, 1.0])
    with pytest.raises(gym.error.ResetNeeded):
        env.step(forward)
    env.reset(seed=2)
    env.step(stop)
    for action in (forward, stop):
        with pytest.raises(gym.error.ResetNeeded):
            env.step(action)


def test_wrong_reset_options_are_refused() -> None:
    env, other = gym.make(IDS[0]).unwrapped, gym.make(IDS[1]).unwrapped
    episode = other.reset(seed=2)[1]["episode"]
    for options in ({"epsiode": episode}, {"episode": "3"}, {"episode": episode}):
        with pytest.raises(ValueError, match=r"epsiode|of str|of image-goal"):
            env.reset(seed=2, options=options)


def test_a_scene_without_such_an_episode_makes_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SceneRef] = []

    def generate(simulator: object, robot: object, task: str, variant: str, scene: SceneRef, *rest: object) -> Episode:
        asked.append(scene)
        if len(asked) < 4:
            raise EpisodeError("nothing suits here")
        return generate_episode(simulator, robot, task, variant, scene, *rest)

    monkeypatch.setattr("sim_envs.envs.generate_episode", generate)
    env = gym.make(IDS[0]).unwrapped
    env.reset(seed=2)
    assert len(asked) == len(set(asked)) == 4

    def never(*arguments: object) -> Episode:
        asked.append(arguments[4])
        raise EpisodeError("nothing suits here")

    monkeypatch.setattr("sim_envs.envs.generate_episode", never)
    asked.clear()
    with pytest.raises(EpisodeError):
        env.reset(seed=2)
    assert len(asked) == 10
    env.close()

"""A worker that speaks Habitat's protocol with the embedded simulator behind it, and fails when it is told to.

STANDIN_FAILS="WHAT@N" makes it fail at its N-th call (1, 2, ...; 0 is its greeting): `die`, `hang`, `truncate` (half a
message, then its end), `garble` (no JSON) or `version` (another one, in its greeting). With STANDIN_REPEATS it draws a
picture once and gives it again from then on, so that a benchmark sees what the hand-over alone takes.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nav_foundation.robot import CameraSpec, Footprint
from sim_envs import habitat_worker as protocol
from sim_envs.embedded import EmbeddedSimulator
from sim_envs.habitat_frame import from_habitat, to_habitat
from sim_envs.simulator import Frames, Pose, SceneError, SceneRef, SimulatorError, TopDown


class StandIn:
    """Habitat's calls, answered by the embedded simulator. Points are in Habitat's frame."""

    def __init__(self) -> None:
        self._simulator = EmbeddedSimulator()
        self._drawn: dict[str, Frames] | None = {} if os.environ.get("STANDIN_REPEATS") else None

    def load(self, path: str, dataset: str, footprint: dict[str, float], gpu: int | None) -> dict[str, Any]:
        try:
            info = self._simulator.load(SceneRef("file", path=path), Footprint(**footprint))
        except (SceneError, SimulatorError) as error:
            raise protocol.Refusal(str(error), "scene") from None
        corners = to_habitat(np.stack([info.lower, info.upper]))
        things = []
        for thing in info.instances:
            outline = [(x, y, z) for z in (thing.bottom, thing.top) for x, y in thing.outline]
            things.append({"id": thing.id, "category": thing.category, "room": thing.room,
                           "corners": to_habitat(np.array(outline)).tolist()})
        return {"lower": corners.min(axis=0).tolist(), "upper": corners.max(axis=0).tolist(),
                "area": info.navigable_area, "rooms": [], "instances": things}

    def render(
        self, memory: protocol.Memory, poses: list[list[float]], cameras: list[list[float]], channels: list[str],
    ) -> None:
        pictures = memory.pictures(len(poses), int(cameras[0][1]), int(cameras[0][0]), channels)
        key = repr((poses, cameras, channels))
        frames = self._drawn.get(key) if self._drawn is not None else None
        if frames is None:
            frames = self._frames(poses, cameras, channels)
            if self._drawn is not None:
                self._drawn[key] = frames
        for name in channels:
            pictures[name][:] = getattr(frames, name)

    def _frames(self, poses: list[list[float]], cameras: list[list[float]], channels: list[str]) -> Frames:
        specs = [
            CameraSpec(int(w), int(h), up, mount_forward=ahead, pitch=down, hfov_deg=degrees)
            for w, h, degrees, up, ahead, down in cameras
        ]
        places = [Pose(*from_habitat(pose[:3]).tolist(), pose[3]) for pose in poses]
        return self._asked(lambda: self._simulator.render(
            places, specs, **{name: name in channels for name in protocol.CHANNELS}))

    def step(self, start: list[float], end: list[float]) -> dict[str, Any]:
        here, there = (Pose(*from_habitat(point).tolist(), 0.0) for point in (start, end))
        step = self._asked(lambda: self._simulator.try_step(here, there), "start")
        return {"point": to_habitat(step.pose.position).tolist(), "contact": step.contact}

    def geodesic(self, start: list[float], goals: list[list[float]]) -> dict[str, Any]:
        way = self._asked(lambda: self._simulator.geodesic(from_habitat(start), from_habitat(goals)))
        return {"path": to_habitat(way.path).tolist(), "goal": way.goal}

    def sample(self, seed: int) -> list[float]:
        point = self._asked(lambda: self._simulator.sample_navigable(np.random.default_rng(seed)))
        return to_habitat(point).tolist()

    def snap(self, point: list[float]) -> list[float] | None:
        found = self._asked(lambda: self._simulator.snap(from_habitat(point)))
        return None if found is None else to_habitat(found).tolist()

    def clearance(self, points: list[list[float]]) -> list[float]:
        return self._asked(lambda: self._simulator.clearance(from_habitat(points))).tolist()

    def top_down(self, resolution: float) -> dict[str, Any]:
        plan = self._asked(lambda: self._simulator.top_down(resolution))
        x, y = plan.centres(np.array(plan.grid.shape)[None] - 1)[0].tolist()
        return protocol.packed((plan.grid == TopDown.FREE).T[::-1, ::-1], -y, -x)

    def _asked(self, call: Callable[[], Any], kind: str = "") -> Any:
        try:
            return call()
        except SimulatorError as error:
            raise protocol.Refusal(str(error), kind) from None


def start() -> tuple[StandIn, dict[str, str], bool]:
    return StandIn(), {"habitat_sim": "stand-in"}, False


def fail_at(what: str, number: int) -> Callable[[socket.socket, dict[str, Any]], None]:
    """A `send` that fails at its message of this number."""
    send, sent = protocol.send, 0

    def failing(channel: socket.socket, message: dict[str, Any]) -> None:
        nonlocal sent
        sent += 1
        if sent - 1 != number:
            send(channel, message)
            return
        print(f"stand-in: {what} at message {number}", file=sys.stderr, flush=True)
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif what == "truncate":
            channel.sendall(struct.pack(">I", 100) + b'{"result": ')
            os._exit(3)
        elif what == "garble":
            channel.sendall(struct.pack(">I", 4) + b"{{{{")
        elif what == "version":
            send(channel, {**message, "protocol": protocol.PROTOCOL + 1})

    return failing


if __name__ == "__main__":
    if order := os.environ.get("STANDIN_FAILS"):
        kind, _, at = order.partition("@")
        protocol.send = fail_at(kind, int(at))
    protocol.run(sys.argv[1:], start)

"""Habitat's public benchmarks by name: which robot drives with which moves, for how long, and what counts as success.

Only numbers are taken from the configurations that `source` names; where one inherits a default (camera 1.25 m high,
90 degrees, agent 1.5 m high with a radius of 0.1 m, 0.25 m and 10 degrees a move, success at 0.2 m) it is
habitat-lab's habitat-lab/habitat/config/default_structured_configs.py, the same as its former config/default.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nav_foundation.config import closest
from nav_foundation.robot import CameraSpec, Footprint, RobotSpec
from policies.moves import MoveSizes
from sim_envs.tasks.episode import Episode, TaskName

MOVES = ("stop", "move_forward", "turn_left", "turn_right")  # Habitat's names
LOOKS = ("look_up", "look_down")  # offered by some benchmarks; our robots' cameras are fixed, so they are never used
SECONDS_FORWARD = 0.4  # a forward move counts as driven so long: our networks remember frames as far apart


@dataclass(frozen=True)
class HabitatPreset:
    """One benchmark. Metres and degrees, as its configuration has them."""

    task: TaskName
    source: str  # repository and file of its configuration
    success_radius: float  # m, along the ground; to a view point for objects and their pictures
    max_steps: int  # moves, the stop included
    width: int  # px
    height: int  # px
    hfov: float  # degrees
    sensor_height: float = 1.25  # m above the floor
    agent_radius: float = 0.1  # m
    agent_height: float = 1.5  # m
    forward: float = 0.25  # m
    turn: float = 10.0  # degrees
    max_climb: float = 0.2  # m, the highest edge of the navigation mesh
    sliding: bool = True  # along walls; otherwise a blocked move ends where it touches
    moves: tuple[str, ...] = MOVES

    @property
    def sizes(self) -> MoveSizes:
        return MoveSizes(self.forward, math.radians(self.turn))

    def robot(self, base: RobotSpec) -> RobotSpec:
        """`base` with the size and the camera of the benchmark's agent."""
        cruise = self.forward / SECONDS_FORWARD
        return replace(
            base,
            camera=CameraSpec(self.width, self.height, self.sensor_height, hfov_deg=self.hfov),
            footprint=Footprint(self.agent_radius, self.agent_height, self.max_climb, math.radians(45)),
            cruise_speed=cruise, max_speed=max(cruise, base.max_speed),
        )

    def episode(self, episode: Episode) -> Episode:
        """`episode` with the benchmark's success radius, which for objects counts from where they are seen from."""
        return replace(episode, success_radius=self.success_radius, object_ids=())


_LAB = "facebookresearch/habitat-lab: habitat-lab/habitat/config/benchmark/nav/"

PRESETS: dict[str, HabitatPreset] = {
    "habitat/pointnav-gibson": HabitatPreset(
        "point-goal", _LAB + "pointnav/pointnav_gibson.yaml", 0.2, 500, 256, 256, 90.0,
    ),
    "habitat/pointnav-hm3d": HabitatPreset(
        "point-goal", _LAB + "pointnav/pointnav_hm3d.yaml", 0.2, 500, 256, 256, 90.0,
    ),
    # The papers count 1 m, as this file has it; the later imagenav/imagenav_gibson.yaml inherits 0.2 m.
    "habitat/imagenav-gibson": HabitatPreset(
        "image-goal", "facebookresearch/habitat-lab: configs/tasks/imagenav_gibson.yaml", 1.0, 1000, 256, 256, 90.0,
    ),
    "habitat/instance-imagenav-hm3d": HabitatPreset(
        "image-goal", _LAB + "instance_imagenav/instance_imagenav_hm3d_v2.yaml", 0.1, 1000, 360, 640, 42.0,
        sensor_height=1.31, agent_radius=0.17, agent_height=1.41, turn=30.0, sliding=False, moves=MOVES + LOOKS,
    ),
    "habitat/objectnav-hm3d": HabitatPreset(
        "object-goal", _LAB + "objectnav/objectnav_hm3d.yaml", 0.1, 500, 640, 480, 79.0, sensor_height=0.88,
        agent_radius=0.18, agent_height=0.88, turn=30.0, sliding=False, moves=MOVES + LOOKS,
    ),
    "habitat/r2r-ce": HabitatPreset(
        "instruction", "jacobkrantz/VLN-CE: habitat_extensions/config/vlnce_task.yaml", 3.0, 500, 224, 224, 90.0,
        turn=15.0,
    ),
    "habitat/rxr-ce": HabitatPreset(
        "instruction", "jacobkrantz/VLN-CE: habitat_extensions/config/rxr_vlnce_english_task.yaml", 3.0, 500, 640, 480,
        79.0, sensor_height=0.88, agent_radius=0.18, agent_height=0.88, turn=30.0, sliding=False, moves=MOVES + LOOKS,
    ),
}


def find_preset(name: str) -> HabitatPreset:
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} is not known{closest(name, PRESETS)}")
    return PRESETS[name]

"""SceneMesh: how scene generators and mesh files hand a world to the embedded simulator."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sim_envs.simulator import Door, Instance, Room


@dataclass(frozen=True)
class Material:
    name: str
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)  # linear multiplier on the texture, 0..1
    texture: np.ndarray | None = None  # [h, w, 3] uint8 sRGB, repeats; row 0 is v = 1 (the image's top)
    emission: float = 0.0  # 0 = lit by the scene, 1 = shows its own colour whatever the light (lamps, sky panels)


@dataclass(frozen=True)
class Light:
    """Sun and sky. `sun` points from the scene towards the sun."""

    sun: tuple[float, float, float] = (0.3, 0.2, 0.93)
    sun_strength: float = 0.55
    sky_strength: float = 0.45  # light that comes from everywhere
    sky_top: tuple[float, float, float] = (0.35, 0.55, 0.85)  # sRGB 0..1, colour of rays that hit nothing
    sky_horizon: tuple[float, float, float] = (0.80, 0.87, 0.95)
    indoor: bool = False  # rooms are lit by ceiling light: the sun enters little, ambient dominates


@dataclass(frozen=True)
class SceneMesh:
    """Triangles with looks and meaning. World frame: z up, metres."""

    vertices: np.ndarray  # [V, 3] float32
    faces: np.ndarray  # [F, 3] int32, counter-clockwise from outside; rendering and collision are two-sided
    uv: np.ndarray  # [F, 3, 2] float32, texture coordinates of each corner, in repeats
    material: np.ndarray  # [F] int32, index into materials
    instance: np.ndarray  # [F] int32, Instance.id, 0 = none
    materials: tuple[Material, ...]
    colours: np.ndarray | None = None  # [F, 3, 3] uint8 sRGB of each corner, multiplies the material (vertex colours)
    instances: tuple[Instance, ...] = ()
    rooms: tuple[Room, ...] = ()
    doors: tuple[Door, ...] = ()
    light: Light = field(default_factory=Light)
    navigation_cell: float = 0.05  # m, edge of a cell of the navigable grid

    def __post_init__(self) -> None:
        count = len(self.faces)
        for name, shape, dtype in (
            ("vertices", (len(self.vertices), 3), np.float32), ("faces", (count, 3), np.int32),
            ("uv", (count, 3, 2), np.float32), ("material", (count,), np.int32), ("instance", (count,), np.int32),
        ):
            array = getattr(self, name)
            assert array.shape == shape and array.dtype == dtype, f"SceneMesh.{name}: {array.shape} {array.dtype}"
        assert self.colours is None or (self.colours.shape == (count, 3, 3) and self.colours.dtype == np.uint8)

    @property
    def triangles(self) -> np.ndarray:
        """[F, 3, 3] float32 corners."""
        return self.vertices[self.faces]

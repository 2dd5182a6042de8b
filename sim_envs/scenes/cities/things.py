"""What stands in streets and parks: trees, lamps, benches and the rest, each made once per city and placed many times.

A kit stands on z = 0 around the origin. Along a street its x runs with the kerb and its +y points away from the road.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sim_envs.scenes import shapes
from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.cities.looks import PAINT, Looks
from sim_envs.scenes.shapes import Shape

Kit = tuple[tuple[Shape, int], ...]  # shapes and their materials


@dataclass
class Workbench:
    """Collects the shapes of one kit; round things get fewer sides where they need not be `rich`."""

    rich: bool = True
    _parts: dict[int, list[Shape]] = field(default_factory=dict)

    def add(self, material: int, shape: Shape) -> None:
        self._parts.setdefault(material, []).append(shape)

    def box(
        self, material: int, x: float, y: float, z: float, sx: float, sy: float, sz: float, taper: float = 1.0
    ) -> None:
        self.add(material, shapes.box(x, y, z, sx, sy, sz, taper, bottom=z > 0.3))

    def pole(
        self, material: int, x: float, y: float, z: float, radius: float, height: float, n: int = 6,
        top: float | None = None, axis: str = "z",
    ) -> None:
        profile = [(radius, 0.0), (radius if top is None else top, height), (0.0, height)]
        if z > 0.0:
            profile.insert(0, (0.0, 0.0))
        self.turned(material, profile, n, (x, y, z), axis)

    def turned(
        self, material: int, profile: list[tuple[float, float]], n: int,
        at: tuple[float, float, float] = (0.0, 0.0, 0.0), axis: str = "z",
    ) -> None:
        """A surface of revolution through (radius, height) pairs."""
        self.add(material, shapes.lathe(profile, n if self.rich else max(4, n // 2), at, axis))

    def ball(self, material: int, x: float, y: float, z: float, rx: float, ry: float, rz: float, n: int = 8) -> None:
        self.add(material, shapes.ellipsoid(x, y, z, rx, ry, rz, n if self.rich else max(4, n // 2)))

    def kit(self) -> Kit:
        return tuple((shapes.merged(*parts), material) for material, parts in self._parts.items())


def place(builder: MeshBuilder, kit: Kit, x: float, y: float, z: float, yaw: float, scale: float = 1.0,
          paint: int = PAINT) -> None:
    """Add a kit to the builder's current instance."""
    with builder.at(x, y, z, yaw, scale):
        for shape, material in kit:
            builder.add(shape, paint if material == PAINT else material)


@dataclass(frozen=True)
class Things:
    trees: tuple[Kit, ...]
    lamp: Kit
    small: dict[str, Kit]  # category -> kit, what is set out along pavements
    bus_stop: Kit
    traffic_light: Kit
    fountain: Kit
    statue: Kit
    stall: tuple[Kit, ...]
    table: Kit
    planter: Kit
    bollard: Kit
    kiosk: Kit
    swing: Kit


def make_things(looks: Looks, rng: np.random.Generator, rich: bool) -> Things:
    def made(build: Callable[..., None], *details: object) -> Kit:
        bench = Workbench(rich)
        build(bench, looks, *details)
        return bench.kit()

    planter = made(_planter)
    return Things(
        trees=tuple(made(_tree, rng, leaf) for leaf in looks.leaves for _ in range(3 if rich else 2)),
        lamp=made(_lamp),
        small={
            "bench": made(_bench), "trash bin": made(_bin), "fire hydrant": made(_hydrant), "mailbox": made(_mailbox),
            "planter": planter, "bicycle rack": made(_rack), "parking meter": made(_meter),
        },
        bus_stop=made(_bus_stop), traffic_light=made(_traffic_light), fountain=made(_fountain),
        statue=made(_statue), stall=tuple(made(_stall, awning, rng) for awning in looks.awnings), table=made(_table),
        planter=planter, bollard=made(_bollard), kiosk=made(_kiosk), swing=made(_swing),
    )


def _tree(bench: Workbench, looks: Looks, rng: np.random.Generator, leaf: int) -> None:
    """A trunk that divides and a crown of lumpy balls, or a cone of needles; the crown begins above 2 m."""
    tall = rng.uniform(2.2, 3.0)
    bench.pole(looks.bark, 0, 0, 0, 0.16, tall + 0.8, 8, 0.1)
    if rng.random() < 0.2:
        for k in range(3 if bench.rich else 1):
            radius, base = 1.5 - 0.35 * k, tall + 1.3 * k
            height = 2.2 if bench.rich else 5.0
            bench.turned(leaf, [(0.0, base), (radius, base), (0.0, base + height)], 8)
        return
    balls = int(rng.integers(3, 6)) if bench.rich else 1
    for k in range(balls):
        spread = 0.0 if balls == 1 else rng.uniform(0.5, 1.0)
        angle = 2 * np.pi * k / balls + rng.uniform(-0.4, 0.4)
        radius = rng.uniform(1.0, 1.5) if balls > 1 else rng.uniform(1.6, 2.1)
        lift = 0.8 * radius if balls == 1 else radius + rng.uniform(-0.2, 0.8)
        centre = (spread * np.cos(angle), spread * np.sin(angle), tall + lift)
        bench.add(leaf, _lump(centre, radius, 9 if bench.rich else 7, rng))
    if bench.rich:
        for angle in rng.uniform(0, 6.28, 3):
            tip = (0.9 * np.cos(angle), 0.9 * np.sin(angle), tall + 0.9)
            bench.add(looks.bark, shapes.tube(np.array([(0, 0, tall - 0.6), (0.3 * tip[0], 0.3 * tip[1], tall), tip]),
                                              0.05, 4))


def _lump(centre: tuple[float, float, float], radius: float, n: int, rng: np.random.Generator) -> Shape:
    ball = shapes.ellipsoid(0, 0, 0, radius, radius, 0.85 * radius, n)
    bumps = rng.uniform(0.8, 1.16, len(ball.vertices))
    # Vertices at one place must stay together: the bump follows from where they are.
    keys = np.round(ball.vertices, 6)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return Shape(ball.vertices * bumps[first][inverse.reshape(-1)][:, None] + centre, ball.faces, ball.uv)


def _lamp(bench: Workbench, looks: Looks) -> None:
    bench.pole(looks.dark, 0, 0, 0, 0.12, 0.7, 8, 0.09)
    bench.pole(looks.dark, 0, 0, 0.7, 0.06, 4.2, 8, 0.045)
    bench.box(looks.dark, 0, -0.5, 4.86, 0.07, 1.1, 0.07)
    bench.box(looks.dark, 0, -0.95, 4.76, 0.2, 0.5, 0.1)
    bench.box(looks.lamp, 0, -0.95, 4.73, 0.16, 0.42, 0.03)


def _bench(bench: Workbench, looks: Looks) -> None:
    for k in range(4):
        bench.box(looks.wood, 0, -0.18 + 0.12 * k, 0.43, 1.6, 0.1, 0.04)
    for k in range(3):
        bench.box(looks.wood, 0, 0.26 + 0.03 * k, 0.55 + 0.14 * k, 1.6, 0.04, 0.11)
    for x in (-0.65, 0.65):
        bench.box(looks.dark, x, -0.16, 0, 0.06, 0.06, 0.43)
        bench.box(looks.dark, x, 0.24, 0, 0.06, 0.06, 0.95)
        bench.box(looks.dark, x, 0.04, 0.39, 0.06, 0.46, 0.04)


def _bin(bench: Workbench, looks: Looks) -> None:
    bench.pole(looks.green, 0, 0, 0, 0.24, 0.8, 10, 0.27)
    bench.pole(looks.dark, 0, 0, 0.8, 0.29, 0.06, 10)
    bench.pole(looks.dark, 0, 0, 0.86, 0.2, 0.12, 10, 0.06)
    bench.box(looks.white, 0, -0.265, 0.45, 0.16, 0.02, 0.16)


def _hydrant(bench: Workbench, looks: Looks) -> None:
    bench.pole(looks.red, 0, 0, 0, 0.17, 0.08, 10)
    bench.pole(looks.red, 0, 0, 0.08, 0.115, 0.5, 10)
    bench.ball(looks.red, 0, 0, 0.58, 0.13, 0.13, 0.12, 10)
    bench.pole(looks.white, -0.2, 0, 0.4, 0.06, 0.4, 8, axis="x")
    bench.pole(looks.white, 0, -0.2, 0.38, 0.08, 0.12, 8, axis="y")
    bench.pole(looks.white, 0, 0, 0.69, 0.035, 0.05, 6)


def _mailbox(bench: Workbench, looks: Looks) -> None:
    for x in (-0.2, 0.2):
        bench.box(looks.dark, x, 0, 0, 0.05, 0.3, 0.2)
    bench.box(looks.blue, 0, 0, 0.2, 0.52, 0.46, 0.85)
    bench.turned(looks.blue, [(0.0, 0.0), (0.23, 0.0), (0.23, 0.52), (0.0, 0.52)], 12, (-0.26, 0, 1.05), "x")
    bench.box(looks.dark, 0, -0.235, 0.98, 0.36, 0.02, 0.06)
    bench.box(looks.white, 0, -0.235, 0.6, 0.26, 0.015, 0.2)


def _planter(bench: Workbench, looks: Looks) -> None:
    bench.box(looks.stone, 0, 0, 0, 1.0, 0.6, 0.5, 1.12)
    bench.ball(looks.hedge, -0.22, 0, 0.55, 0.34, 0.28, 0.3, 8)
    bench.ball(looks.hedge, 0.24, 0.02, 0.58, 0.32, 0.27, 0.36, 8)
    for x, colour in ((-0.35, looks.red), (0.05, looks.yellow), (0.38, looks.white), (-0.1, looks.red)):
        bench.ball(colour, x, -0.2, 0.72, 0.07, 0.07, 0.06, 6)


def _rack(bench: Workbench, looks: Looks) -> None:
    """Three hoops, a bicycle leaning on the middle one."""
    for x in (-0.7, 0.0, 0.7):
        bench.add(looks.steel, shapes.tube(np.array([(x, -0.3, 0), (x, -0.3, 0.7), (x, 0, 0.85), (x, 0.3, 0.7),
                                                     (x, 0.3, 0)]), 0.03, 5))
    for y in (-0.5, 0.5):
        angle = np.linspace(0, 2 * np.pi, 11)
        wheel = np.column_stack([np.full(11, 0.1), y + 0.33 * np.cos(angle), 0.34 + 0.33 * np.sin(angle)])
        bench.add(looks.rubber, shapes.tube(wheel, 0.025, 4))
    for frame in ([(0.1, -0.5, 0.34), (0.1, -0.2, 0.8), (0.1, 0.32, 0.75), (0.1, 0.5, 0.34)],
                  [(0.1, -0.2, 0.8), (0.1, 0.05, 0.32), (0.1, 0.32, 0.75)], [(0.1, 0.05, 0.32), (0.1, -0.5, 0.34)]):
        bench.add(looks.red, shapes.tube(np.array(frame), 0.025, 4))
    bench.box(looks.dark, 0.1, -0.24, 0.84, 0.12, 0.26, 0.06)


def _meter(bench: Workbench, looks: Looks) -> None:
    bench.pole(looks.steel, 0, 0, 0, 0.04, 1.1, 6)
    bench.box(looks.dark, 0, 0, 1.1, 0.18, 0.14, 0.32)
    bench.box(looks.blue, 0, -0.075, 1.25, 0.12, 0.01, 0.1)


def _bollard(bench: Workbench, looks: Looks) -> None:
    bench.pole(looks.dark, 0, 0, 0, 0.09, 0.85, 8)
    bench.pole(looks.white, 0, 0, 0.62, 0.095, 0.12, 8)


def _bus_stop(bench: Workbench, looks: Looks) -> None:
    """A shelter of glass panes with a bench, a roof and a sign."""
    for x in (-1.5, 1.5):
        for y in (-0.45, 0.45):
            bench.box(looks.dark, x, y, 0, 0.08, 0.08, 2.4)
    bench.box(looks.glass, 0, 0.47, 0.25, 2.9, 0.03, 1.9)
    bench.box(looks.glass, -1.5, 0.1, 0.25, 0.03, 0.6, 1.9)
    bench.box(looks.dark, 0, 0, 2.4, 3.3, 1.3, 0.1)
    bench.box(looks.wood, 0, 0.22, 0.42, 2.2, 0.36, 0.06)
    for x in (-0.9, 0.9):
        bench.box(looks.dark, x, 0.22, 0, 0.06, 0.3, 0.42)
    bench.box(looks.blue, 0.9, 0.44, 0.6, 0.9, 0.03, 1.4)
    bench.box(looks.white, 0.9, 0.42, 0.75, 0.7, 0.02, 1.1)
    bench.pole(looks.steel, 2.0, -0.3, 0, 0.04, 2.9, 6)
    bench.box(looks.yellow, 2.0, -0.3, 2.4, 0.5, 0.05, 0.5)
    bench.box(looks.dark, 2.0, -0.335, 2.55, 0.3, 0.02, 0.2)


def _traffic_light(bench: Workbench, looks: Looks) -> None:
    bench.pole(looks.dark, 0, 0, 0, 0.07, 2.4, 8)
    bench.box(looks.dark, 0, 0, 2.4, 0.34, 0.26, 0.95)
    for k, light in enumerate(reversed(looks.lights)):
        for x in (-0.2, 0.17):
            bench.turned(light, [(0.1, 0.0), (0.1, 0.03), (0.0, 0.03)], 8, (x, 0.0, 2.56 + 0.3 * k), "x")


def _fountain(bench: Workbench, looks: Looks) -> None:
    bench.turned(looks.stone, [(2.6, 0), (2.6, 0.5), (2.2, 0.5), (2.2, 0.3)], 20)
    bench.turned(looks.water, [(2.25, 0.38), (0.0, 0.38)], 20)
    profile = [(0.5, 0), (0.3, 0.5), (0.25, 1.1), (1.1, 1.35), (1.15, 1.5), (0.2, 1.45), (0.15, 2.1), (0, 2.2)]
    bench.turned(looks.stone, profile, 14)


def _statue(bench: Workbench, looks: Looks) -> None:
    bench.box(looks.stone, 0, 0, 0, 2.0, 2.0, 0.3)
    bench.box(looks.stone, 0, 0, 0.3, 1.3, 1.3, 1.6, 0.9)
    coat = [(0.34, 1.9), (0.3, 2.7), (0.42, 3.3), (0.12, 3.55), (0.0, 3.56)]
    bench.turned(looks.green, coat, 10)
    bench.ball(looks.green, 0, 0, 3.75, 0.2, 0.2, 0.25, 10)
    bench.add(looks.green, shapes.tube(np.array([(0.36, 0, 3.2), (0.7, 0, 3.5), (0.8, 0, 4.1)]), 0.09, 6))
    bench.add(looks.green, shapes.tube(np.array([(-0.36, 0, 3.2), (-0.5, 0, 2.7), (-0.3, 0.1, 2.5)]), 0.09, 6))


def _stall(bench: Workbench, looks: Looks, awning: int, rng: np.random.Generator) -> None:
    """A market stall: a table of goods under a cloth."""
    bench.box(looks.wood, 0, 0, 0, 2.4, 1.1, 0.8)
    for x in (-1.15, 1.15):
        for y in (-0.5, 0.5):
            bench.box(looks.wood, x, y, 0, 0.07, 0.07, 2.2)
    bench.box(awning, 0, 0, 2.2, 2.7, 1.6, 0.35, 0.7)
    goods = (looks.red, looks.yellow, looks.green, looks.white)
    for row in range(2):
        for k in range(6):
            x, y = -0.95 + 0.38 * k, -0.28 + 0.5 * row
            bench.ball(goods[int(rng.integers(4))], x, y, 0.84, 0.16, 0.2, 0.13, 6)


def _table(bench: Workbench, looks: Looks) -> None:
    """A cafe table with two chairs."""
    bench.pole(looks.dark, 0, 0, 0, 0.22, 0.03, 8)
    bench.pole(looks.dark, 0, 0, 0.03, 0.03, 0.68, 6)
    bench.pole(looks.white, 0, 0, 0.71, 0.35, 0.03, 12)
    for side in (-1, 1):
        x = 0.62 * side
        bench.box(looks.green, x, 0, 0.44, 0.38, 0.38, 0.03)
        bench.box(looks.green, x + 0.18 * side, 0, 0.47, 0.03, 0.38, 0.4)
        for dx in (-0.16, 0.16):
            for dy in (-0.16, 0.16):
                bench.box(looks.dark, x + dx, dy, 0, 0.03, 0.03, 0.44)


def _kiosk(bench: Workbench, looks: Looks) -> None:
    bench.pole(looks.green, 0, 0, 0, 1.15, 2.4, 6)
    bench.pole(looks.dark, 0, 0, 2.4, 1.5, 0.15, 6)
    bench.pole(looks.green, 0, 0, 2.55, 1.2, 0.9, 6, 0.1)
    bench.box(looks.glass, 0, -1.0, 1.0, 1.1, 0.06, 0.9)
    bench.box(looks.wood, 0, -1.15, 0.92, 1.2, 0.35, 0.06)


def _swing(bench: Workbench, looks: Looks) -> None:
    for x in (-1.5, 1.5):
        bench.add(looks.red, shapes.tube(np.array([(x, -0.8, 0), (x, 0, 2.2), (x, 0.8, 0)]), 0.05, 6))
    bench.pole(looks.red, -1.55, 0, 2.2, 0.05, 3.1, 6, axis="x")
    for x in (-0.6, 0.6):
        for dx in (-0.2, 0.2):
            bench.box(looks.steel, x + dx, 0, 0.5, 0.02, 0.02, 1.7)
        bench.box(looks.dark, x, 0, 0.48, 0.46, 0.2, 0.04)

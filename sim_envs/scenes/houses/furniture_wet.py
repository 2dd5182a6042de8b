"""What stands in kitchens, bathrooms and laundries."""

from __future__ import annotations

import math

import numpy as np

from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.houses.furniture import Piece, doors, drawers, knob, uniform
from sim_envs.scenes.houses.looks import Looks

COUNTER_HEIGHT = 0.9  # m
COUNTER_DEPTH = 0.6  # m


class Kitchen:
    """One kitchen's fronts, worktop and handles, shared by all its units. Units have their back at +y."""

    def __init__(self, looks: Looks, rng: np.random.Generator) -> None:
        self.looks = looks
        self.front = looks.pick(rng, looks.paints, looks.woods, looks.white)
        self.upper = looks.pick(rng, self.front, self.front, looks.white)
        self.handle = int(rng.choice([0, 1, 1, 2, 3]))
        self.panelled = bool(rng.random() < 0.4)
        self.tiles = looks.splashback(rng)
        self.open_hood = bool(rng.random() < 0.5)
        self.steel = bool(rng.random() < 0.6)  # fridge, stove and dishwasher in steel or white

    @property
    def metal(self) -> int:
        return self.looks.steel if self.steel else self.looks.white

    def _body(self, b: MeshBuilder, width: float, worktop: bool = True) -> None:
        b.box(0, 0.02, 0.0, width, COUNTER_DEPTH - 0.1, 0.1, self.looks.black)
        b.box(0, 0, 0.1, width, COUNTER_DEPTH - 0.03, COUNTER_HEIGHT - 0.14, self.front)
        if worktop:
            b.box(0, -0.01, COUNTER_HEIGHT - 0.04, width, COUNTER_DEPTH + 0.01, 0.04, self.looks.worktop, bottom=True)

    def unit(self, width: float, with_drawers: bool) -> Piece:
        """A base cupboard with worktop."""
        def draw(b: MeshBuilder) -> None:
            self._body(b, width)
            y, z, height = -COUNTER_DEPTH / 2 + 0.015, 0.11, COUNTER_HEIGHT - 0.16
            if with_drawers:
                drawers(b, 0, y, z, width, height, 3, self.front, self.looks.metal, self.handle)
            else:
                count = 2 if width > 0.62 else 1
                doors(b, 0, y, z, width, height, count, self.front, self.looks.metal, self.handle, self.panelled)
        return Piece("kitchen counter", width, COUNTER_DEPTH + 0.04, COUNTER_HEIGHT, draw)

    def sink(self, width: float = 0.8) -> Piece:
        """A base cupboard with a basin let into the worktop, and a tap."""
        def draw(b: MeshBuilder) -> None:
            self._body(b, width, worktop=False)
            y = -COUNTER_DEPTH / 2 + 0.015
            doors(b, 0, y, 0.11, width, COUNTER_HEIGHT - 0.16, 2, self.front, self.looks.metal, self.handle,
                  self.panelled)
            top, depth, w, d = COUNTER_HEIGHT, 0.15, 0.5, 0.38
            for s in (-1, 1):
                edge = (width - w) / 2
                b.box(s * (w + edge) / 2, -0.01, top - 0.04, edge, COUNTER_DEPTH + 0.01, 0.04, self.looks.worktop,
                      bottom=True)
                rim = (COUNTER_DEPTH + 0.01 - d) / 2
                b.box(0, -0.01 + s * (d + rim) / 2, top - 0.04, w, rim, 0.04, self.looks.worktop, bottom=True)
                x, yy = s * w / 2, s * d / 2
                steel = self.looks.steel
                b.quad([(x, s * d / 2 - 0.01, top), (x, -s * d / 2 - 0.01, top), (x, -s * d / 2 - 0.01, top - depth),
                        (x, s * d / 2 - 0.01, top - depth)], steel)
                b.quad([(-s * w / 2, yy - 0.01, top), (s * w / 2, yy - 0.01, top), (s * w / 2, yy - 0.01, top - depth),
                        (-s * w / 2, yy - 0.01, top - depth)], steel)
            b.box(0, -0.01, top - depth - 0.012, w, d, 0.012, self.looks.steel)
            tap(b, self.looks.steel, 0, d / 2 + 0.03, top, 0.26)
        return Piece("sink", width, COUNTER_DEPTH + 0.04, COUNTER_HEIGHT + 0.28, draw)

    def stove(self) -> Piece:
        """Hob with four rings over an oven."""
        width = 0.6

        def draw(b: MeshBuilder) -> None:
            looks, y = self.looks, -COUNTER_DEPTH / 2
            b.box(0, 0.02, 0, width, COUNTER_DEPTH - 0.1, 0.06, looks.black)
            b.box(0, 0, 0.06, width - 0.006, COUNTER_DEPTH - 0.02, COUNTER_HEIGHT - 0.07, self.metal)
            b.box(0, y - 0.004, 0.2, width - 0.04, 0.03, 0.46, looks.black, bottom=True)
            b.box(0, y - 0.022, 0.28, width - 0.16, 0.008, 0.26, looks.glass, bottom=True)
            b.box(0, y - 0.05, 0.61, width - 0.1, 0.02, 0.02, looks.steel, bottom=True)
            b.box(0, y - 0.005, 0.7, width - 0.01, 0.03, 0.13, self.metal, bottom=True)
            for k in range(5):
                b.cylinder((k - 2) * 0.1, y - 0.045, 0.77, 0.021, 0.03, looks.black, 10, axis="y")
            b.box(0, -0.005, COUNTER_HEIGHT - 0.012, width - 0.01, COUNTER_DEPTH, 0.014, looks.black)
            for sx in (-1, 1):
                for sy, r in ((-1, 0.09), (1, 0.075)):
                    b.cylinder(sx * 0.14, sy * 0.13, COUNTER_HEIGHT + 0.002, r, 0.006, looks.grey, 16)
            b.lathe(-0.14, 0.13, COUNTER_HEIGHT + 0.008, [(0.09, 0), (0.1, 0.1), (0.09, 0.1), (0.08, 0.02), (0, 0.02)],
                    looks.steel, 14)
        return Piece("stove", width, COUNTER_DEPTH + 0.06, COUNTER_HEIGHT + 0.12, draw)

    def fridge(self, rng: np.random.Generator) -> Piece:
        width, depth, height = uniform(rng, 0.58, 0.75), 0.64, uniform(rng, 1.7, 2.0)
        split, side = uniform(rng, 0.32, 0.62), (1 if rng.random() < 0.5 else -1)

        def draw(b: MeshBuilder) -> None:
            b.box(0, 0.03, 0, width, depth - 0.1, height, self.looks.grey if self.steel else self.looks.white)
            for low, high in ((0.06, split * height - 0.006), (split * height + 0.006, height)):
                b.rounded_box(0, -depth / 2 + 0.05, low, width, 0.07, high - low, 0.02, self.metal, 2)
                b.box(side * (width / 2 - 0.06), -depth / 2 - 0.005, low + (high - low) * 0.3, 0.025, 0.03,
                      (high - low) * 0.4, self.looks.steel if not self.steel else self.looks.grey, bottom=True)
        return Piece("fridge", width + 0.02, depth + 0.04, height, draw)

    def wall_cabinet(self, width: float) -> Piece:
        """Hangs above the counter; its height is that of the cabinet itself."""
        height, depth = 0.68, 0.34

        def draw(b: MeshBuilder) -> None:
            b.box(0, 0, 0, width, depth, height, self.upper, bottom=True)
            count = 2 if width > 0.62 else 1
            doors(b, 0, -depth / 2, 0, width, height, count, self.upper, self.looks.metal, 3, self.panelled)
            for k in range(count):
                x = (k - (count - 1) / 2) * width / count
                knob(b, x, -depth / 2 - 0.018, 0.06, self.handle, self.looks.metal)
        return Piece("wall cabinet", width, depth, height, draw)

    def hood(self) -> Piece:
        def draw(b: MeshBuilder) -> None:
            b.box(0, 0, 0, 0.6, 0.46, 0.06, self.looks.steel, bottom=True)
            if self.open_hood:
                b.box(0, 0.0, 0.06, 0.58, 0.44, 0.2, self.looks.steel, taper=0.45)
                b.box(0, 0.08, 0.24, 0.26, 0.22, 0.5, self.looks.steel)
            else:
                b.box(0, 0.04, 0.06, 0.6, 0.36, 0.5, self.upper)
        return Piece("extractor hood", 0.6, 0.46, 0.7, draw)


def tap(b: MeshBuilder, material: int, x: float, y: float, z: float, height: float) -> None:
    """A bent spout towards -y."""
    arc = [(x, y, z), (x, y, z + height * 0.75)]
    for k in range(5):
        angle = math.pi * k / 4
        arc.append((x, y - 0.075 * (1 - math.cos(angle)), z + height * 0.75 + 0.075 * math.sin(angle)))
    b.tube([*arc, (x, y - 0.15, z + height * 0.6)], 0.012, material, 6)
    b.box(x + 0.045, y, z, 0.02, 0.02, 0.05, material)


def dishwasher_or_washer(looks: Looks, rng: np.random.Generator) -> Piece:
    """A washing machine with its round door."""
    body = looks.pick(rng, looks.white, looks.white, looks.grey)
    height = uniform(rng, 0.84, 0.88)

    def draw(b: MeshBuilder) -> None:
        b.rounded_box(0, 0.01, 0.0, 0.6, 0.58, height, 0.02, body, 2)
        b.box(0, -0.29, height - 0.14, 0.57, 0.02, 0.12, looks.ceramic if body != looks.white else looks.grey,
              bottom=True)
        b.box(-0.18, -0.302, height - 0.12, 0.16, 0.01, 0.07, looks.white, bottom=True)
        b.cylinder(0.02, -0.32, height - 0.08, 0.032, 0.03, looks.steel, 12, axis="y")
        b.lathe(0, -0.34, height * 0.46, [(0.0, 0.03), (0.15, 0.03), (0.17, 0.0), (0.21, 0.02), (0.215, 0.06)],
                looks.steel, 20, axis="y")
        b.cylinder(0, -0.318, height * 0.46, 0.155, 0.01, looks.screen, 20, axis="y")
        b.box(0.19, -0.35, height * 0.46 - 0.04, 0.025, 0.03, 0.08, looks.grey, bottom=True)

    return Piece("washing machine", 0.62, 0.7, height, draw)


def toilet(looks: Looks, rng: np.random.Generator) -> Piece:
    lid_open = bool(rng.random() < 0.3)
    seat = looks.pick(rng, looks.ceramic, looks.ceramic, looks.woods, looks.black)
    width, back = uniform(rng, 0.36, 0.42), 0.33

    def draw(b: MeshBuilder) -> None:
        angle = np.arange(20) * (2 * math.pi / 20)

        def oval(rx: float, ry: float) -> np.ndarray:
            return np.stack([np.cos(angle) * rx, np.sin(angle) * ry - 0.09], axis=1)

        b.prism(oval(0.12, 0.18), 0.0, 0.22, looks.ceramic)
        b.prism(oval(0.17, 0.23), 0.2, 0.2, looks.ceramic, bottom=True)
        b.prism(oval(0.185, 0.25), 0.39, 0.025, seat, bottom=True)
        if lid_open:
            b.prism(oval(0.12, 0.17), 0.405, 0.012, looks.glass)
            b.rounded_box(0, 0.13, 0.42, 0.37, 0.03, 0.42, 0.014, seat)
        else:
            b.prism(oval(0.18, 0.245), 0.415, 0.022, seat, bottom=True)
        b.rounded_box(0, back - 0.09, 0.36, width, 0.18, 0.4, 0.03, looks.ceramic)
        b.rounded_box(0, back - 0.09, 0.76, width + 0.03, 0.2, 0.035, 0.012, looks.ceramic, 2)
        b.cylinder(0, back - 0.09, 0.795, 0.022, 0.012, looks.steel, 10)
        b.box(0, 0.1, 0.0, 0.2, 0.3, 0.38, looks.ceramic)

    return Piece("toilet", 0.44, 0.7, 0.8, draw)


def wash_basin(looks: Looks, rng: np.random.Generator, small: bool = False) -> Piece:
    """A basin on a cupboard, a pedestal or the wall."""
    kind = int(rng.integers(3)) if not small else 2
    width, depth, top = uniform(rng, 0.5, 0.85) if kind == 0 else uniform(rng, 0.48, 0.62), 0.46, 0.86
    if small:
        width, depth = 0.4, 0.28
    front = looks.pick(rng, looks.woods, looks.paints)
    style = int(rng.integers(4))

    def draw(b: MeshBuilder) -> None:
        rim, low = 0.06, top - 0.13
        if kind == 0:
            b.box(0, 0.01, 0.12, width - 0.03, depth - 0.05, low - 0.12, front, bottom=True)
            doors(b, 0, -depth / 2 + 0.035, 0.13, width - 0.03, low - 0.14, 2, front, looks.metal, style)
        elif kind == 1:
            b.lathe(0, 0.05, 0, [(0.12, 0), (0.075, 0.15), (0.08, low)], looks.ceramic, 14)
        else:
            b.tube([(0, 0.02, low), (0, 0.02, low - 0.16), (0, depth / 2, low - 0.18)], 0.02, looks.steel, 8)
        b.box(0, 0, low, width, depth, 0.02, looks.ceramic, bottom=True)
        for s in (-1, 1):
            b.box(s * (width - rim) / 2, 0, low, rim, depth, top - low, looks.ceramic)
            b.box(0, s * (depth - rim) / 2, low, width, rim, top - low, looks.ceramic)
        tap(b, looks.steel, 0, depth / 2 - 0.04, top, 0.14)

    return Piece("sink", width, depth, top + 0.15, draw)


def bathtub(looks: Looks, rng: np.random.Generator, longest: float = 1.8) -> Piece:
    """Its long side is at the back."""
    length, width, height = min(uniform(rng, 1.55, 1.8), longest), uniform(rng, 0.7, 0.78), uniform(rng, 0.52, 0.6)
    panel = looks.pick(rng, looks.ceramic, looks.ceramic, looks.woods)

    def draw(b: MeshBuilder) -> None:
        wall, floor = 0.07, 0.16
        for s in (-1, 1):
            b.box(s * (length - wall) / 2, 0, 0, wall, width, height, looks.ceramic)
            b.box(0, s * (width - wall) / 2, 0, length, wall, height, panel if s < 0 else looks.ceramic)
        b.rounded_box(0, -width / 2 + 0.035, height - 0.02, length + 0.02, 0.09, 0.035, 0.015, looks.ceramic, 2)
        b.box(0, 0, 0, length - 2 * wall, width - 2 * wall, floor, looks.ceramic)
        with b.at(length / 2 - 0.1, 0, floor, pitch=0.35):
            b.box(0, 0, -0.05, 0.03, width - 2 * wall, height - floor - 0.02, looks.ceramic, bottom=True)
        x = -length / 2 + 0.035
        tap(b, looks.steel, x, 0.06, height, 0.12)
        b.tube([(x, 0, height), (x, 0, height + 0.9)], 0.009, looks.steel, 6)
        b.ellipsoid(x + 0.06, 0, height + 0.9, 0.06, 0.045, 0.02, looks.steel, 8)

    return Piece("bathtub", length, width, height, draw)


def shower(looks: Looks, rng: np.random.Generator) -> Piece:
    """Tray, glass marked by its frame and bands, rail and head; for a corner: walls at +y and -x."""
    size, depth, height = uniform(rng, 0.8, 1.0), uniform(rng, 0.8, 0.95), 1.95
    frame = looks.pick(rng, looks.steel, looks.black, looks.white)

    def draw(b: MeshBuilder) -> None:
        x, y = size / 2, depth / 2
        b.box(0, 0, 0, size, depth, 0.1, looks.ceramic)
        b.cylinder(0, 0, 0.1, 0.045, 0.006, looks.steel, 12)
        for px, py in ((x, y), (x, -y), (-x, -y)):
            b.box(px * 0.985, py * 0.985, 0.1, 0.03, 0.03, height - 0.1, frame)
        for z in (0.1, height - 0.03):
            b.box(x * 0.985, 0, z, 0.025, depth, 0.03, frame, bottom=True)
            b.box(0, -y * 0.985, z, size, 0.025, 0.03, frame, bottom=True)
        pane = looks.builder.material("frosted glass", "#c8d8da")
        b.box(x * 0.985, 0, 0.13, 0.008, depth - 0.03, 0.95, pane, bottom=True)
        b.box(-size * 0.25, -y * 0.985, 0.13, size / 2, 0.008, 0.95, pane, bottom=True)
        b.tube([(-0.1, y - 0.04, 0.95), (-0.1, y - 0.04, 2.0), (-0.1, y - 0.22, 2.06)], 0.011, looks.steel, 6)
        b.cylinder(-0.1, y - 0.24, 2.02, 0.09, 0.02, looks.steel, 14, bottom=True)
        b.box(-0.1, y - 0.04, 1.0, 0.18, 0.05, 0.05, looks.steel, bottom=True)

    return Piece("shower", size, depth, 2.08, draw)

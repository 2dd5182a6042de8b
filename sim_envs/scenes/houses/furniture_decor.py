"""Lamps, plants, rugs, things on walls, and clutter."""

from __future__ import annotations

import itertools
import math

import numpy as np

from sim_envs.scenes import artwork
from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.houses.furniture import Piece, uniform
from sim_envs.scenes.houses.looks import Looks


def floor_lamp(looks: Looks, rng: np.random.Generator) -> Piece:
    height, style = uniform(rng, 1.4, 1.75), int(rng.integers(3))
    metal = looks.pick(rng, looks.metal, looks.dark_metal, looks.woods)

    def draw(b: MeshBuilder) -> None:
        if style == 2:
            for k in range(3):
                angle = k * 2 * math.pi / 3
                b.tube([(0.2 * math.cos(angle), 0.2 * math.sin(angle), 0), (0, 0, height - 0.3)], 0.014, metal, 6)
        else:
            b.cylinder(0, 0, 0, 0.14, 0.025, metal, 16)
            b.cylinder(0, 0, 0.02, 0.013, height - 0.2, metal, 8)
        if style == 1:
            b.ellipsoid(0, 0, height - 0.14, 0.15, 0.15, 0.14, looks.shade, 14)
        else:
            b.lathe(0, 0, height - 0.32, [(0.2, 0), (0.14, 0.3)], looks.shade, 16)
            b.lathe(0, 0, height - 0.1, [(0.05, 0), (0.05, 0.06)], looks.glow, 8)

    return Piece("floor lamp", 0.42, 0.42, height, draw)


def table_lamp(looks: Looks, rng: np.random.Generator) -> Piece:
    height, foot = uniform(rng, 0.34, 0.5), looks.pick(rng, looks.clay, looks.metal, looks.woods)
    ball = bool(rng.random() < 0.5)

    def draw(b: MeshBuilder) -> None:
        if ball:
            b.ellipsoid(0, 0, height * 0.25, 0.075, 0.075, height * 0.25, foot, 10)
        else:
            b.cylinder(0, 0, 0, 0.06, 0.02, foot, 12)
            b.cylinder(0, 0, 0.02, 0.012, height * 0.5, foot, 6)
        b.lathe(0, 0, height * 0.5, [(0.13, 0), (0.085, height * 0.5)], looks.shade, 14)

    return Piece("table lamp", 0.26, 0.26, height, draw)


def ceiling_lamp(looks: Looks, rng: np.random.Generator, style: int) -> Piece:
    """Hangs down from z = 0. Styles: a dish on the ceiling, a pendant, a globe, a branch of spots."""
    drop, radius = uniform(rng, 0.35, 0.6), uniform(rng, 0.16, 0.24)
    metal = looks.metal

    def draw(b: MeshBuilder) -> None:
        if style % 4 == 0:
            b.lathe(0, 0, -0.09, [(0.0, 0), (radius * 0.7, 0.015), (radius, 0.09)], looks.glow, 18)
        elif style % 4 == 1:
            b.cylinder(0, 0, -drop, 0.006, drop, looks.black, 6)
            b.lathe(0, 0, -drop - 0.18, [(radius, 0), (0.05, 0.18)], metal, 16)
            b.lathe(0, 0, -drop - 0.17, [(0.0, 0), (radius * 0.85, 0.01)], looks.glow, 16)
        elif style % 4 == 2:
            b.cylinder(0, 0, -drop, 0.006, drop, looks.black, 6)
            b.ellipsoid(0, 0, -drop - 0.12, radius * 0.8, radius * 0.8, radius * 0.8, looks.glow, 14)
        else:
            b.box(0, 0, -0.05, 0.6, 0.05, 0.05, metal, bottom=True)
            for x in (-0.22, 0.0, 0.22):
                b.lathe(x, 0, -0.16, [(0.0, 0), (0.05, 0.005), (0.045, 0.11)], looks.glow, 10)

    return Piece("ceiling lamp", 2 * radius, 2 * radius, drop + 0.3, draw)


def potted_plant(looks: Looks, rng: np.random.Generator, small: bool = False) -> Piece:
    size = 0.35 if small else uniform(rng, 0.7, 1.0)
    pot_height, radius = 0.3 * size + 0.05, 0.16 * size + 0.03
    style, count, turn = int(rng.integers(3)), int(rng.integers(14, 22)), uniform(rng, 0, 6.0)
    wobble = rng.uniform(-1, 1, (40, 3))

    def draw(b: MeshBuilder) -> None:
        b.lathe(0, 0, 0, [(radius * 0.72, 0), (radius, pot_height), (radius * 0.9, pot_height),
                          (radius * 0.88, pot_height - 0.03)], looks.clay, 14)
        b.lathe(0, 0, pot_height - 0.03, [(radius * 0.88, 0), (0, 0.005)], looks.soil, 12)
        if style == 0:  # long arching leaves
            for k in range(count):
                angle = turn + k * 2.4
                reach, rise = size * (0.28 + 0.1 * wobble[k, 0]), size * (0.75 + 0.25 * wobble[k, 1])
                with b.at(0, 0, pot_height - 0.02, angle):
                    _leaf_blade(b, looks.leaf, reach, rise, 0.05 * size + 0.015)
        elif style == 1:  # a stem with a bushy crown
            b.cylinder(0, 0, pot_height - 0.03, 0.018, size * 0.6, looks.woods[0], 7)
            for k in range(6):
                x, y, z = wobble[k] * size * np.array([0.16, 0.16, 0.2])
                r = size * (0.17 + 0.04 * wobble[k + 6, 0])
                b.ellipsoid(x, y, pot_height + size * 0.72 + z, r, r, r * 0.9, looks.leaf, 9)
        else:  # stalks with broad leaves
            for k in range(count // 2 + 2):
                angle = turn + k * 2.4
                rise, reach = size * (0.55 + 0.35 * wobble[k, 0]), size * (0.2 + 0.06 * wobble[k, 1])
                x, y = reach * math.cos(angle), reach * math.sin(angle)
                b.tube([(0, 0, pot_height - 0.03), (x * 0.4, y * 0.4, pot_height + rise * 0.7),
                        (x, y, pot_height + rise)], 0.006, looks.leaf, 4)
                with b.at(x, y, pot_height + rise, angle, pitch=0.5):
                    b.ellipsoid(0.08 * size, 0, 0, 0.15 * size, 0.1 * size, 0.008, looks.leaf, 8)

    return Piece("potted plant", size * 0.6, size * 0.6, pot_height + size, draw)


def _leaf_blade(b: MeshBuilder, material: int, reach: float, rise: float, width: float) -> None:
    """A blade that rises and bends over along +x, seen from both sides."""
    at = [(0.0, 0.0, 0.3), (0.25 * reach, 0.6 * rise, 1.0), (0.65 * reach, rise, 0.8), (reach, 0.92 * rise, 0.1)]
    for (x0, z0, w0), (x1, z1, w1) in itertools.pairwise(at):
        b.quad([(x0, -w0 * width, z0), (x0, w0 * width, z0), (x1, w1 * width, z1), (x1, -w1 * width, z1)], material)


def rug(looks: Looks, rng: np.random.Generator, width: float, depth: float, name: str) -> Piece:
    """Flat enough to be driven over."""
    ground = str(rng.choice(["#7a3b34", "#2f4156", "#8c8376", "#d9cfba", "#5e6e5c", "#b08860", "#a3a7a8"]))
    others = [str(c) for c in rng.permutation(["#e0d6c2", "#2c3440", "#a9683f", "#8d9a8a", "#c9b184", "#6a4a44"])[:3]]
    round_rug = bool(rng.random() < 0.2)
    image = artwork.rug(rng, [ground, *others], "rings" if round_rug else "")

    def draw(b: MeshBuilder) -> None:
        look = looks.picture(name, image, width, depth)
        if round_rug:
            angle = np.arange(32) * (2 * math.pi / 32)
            outline = np.stack([np.cos(angle) * width / 2, np.sin(angle) * depth / 2], axis=1)
            with b.at(0, 0, 0):
                b.prism(outline, 0.0, 0.008, look)
            return
        edge = looks.colour(ground)
        with b.at(-width / 2, -depth / 2):
            b.grid((0, 0, 0.008), (width, 0, 0), (0, depth, 0), look, 0.5)
        for s in (-1, 1):
            b.box(0, s * (depth / 2 - 0.002), 0, width, 0.004, 0.008, edge)
            b.box(s * (width / 2 - 0.002), 0, 0, 0.004, depth, 0.008, edge)

    return Piece("rug", width, depth, 0.008, draw)


def picture(looks: Looks, rng: np.random.Generator, name: str, widest: float = 1.1) -> Piece:
    """Hangs with its back at +y; z = 0 is its lower edge."""
    width = min(uniform(rng, 0.35, 1.1), widest)
    height = width * uniform(rng, 0.65, 1.4)
    if height > 0.9:
        width, height = width * 0.9 / height, 0.9
    image = artwork.painting(rng, int(96 * min(2.0, height / width)), 96)
    frame = looks.pick(rng, looks.woods, looks.black, looks.white, looks.metal)
    border = 0.025 if rng.random() < 0.7 else 0.05

    def draw(b: MeshBuilder) -> None:
        look = looks.picture(name, image, width - 2 * border, height - 2 * border)
        _framed(b, width, height, border, frame, look)

    return Piece("picture", width, 0.03, height, draw)


def _framed(b: MeshBuilder, width: float, height: float, border: float, frame: int, look: int) -> None:
    x, y = width / 2, 0.0
    b.box(0, 0.008, 0, width, 0.014, height, frame, bottom=True)
    for s in (-1, 1):
        b.box(s * (x - border / 2), -0.004, 0, border, 0.022, height, frame, bottom=True)
    for z in (0.0, height - border):
        b.box(0, -0.004, z, width, 0.022, border, frame, bottom=True)
    w = x - border
    b.quad([(-w, y, border), (w, y, border), (w, y, height - border), (-w, y, height - border)], look)


def mirror(looks: Looks, rng: np.random.Generator, tall: bool = False) -> Piece:
    width, height = (uniform(rng, 0.4, 0.6), uniform(rng, 1.4, 1.7)) if tall else (
        uniform(rng, 0.45, 0.75), uniform(rng, 0.6, 0.9))
    frame = looks.pick(rng, looks.woods, looks.metal, looks.white)

    def draw(b: MeshBuilder) -> None:
        _framed(b, width, height, 0.03, frame, looks.mirror)

    return Piece("mirror", width, 0.03, height, draw)


def clock(looks: Looks, rng: np.random.Generator, name: str) -> Piece:
    radius = uniform(rng, 0.13, 0.2)
    image = artwork.clock_face(rng)
    rim = looks.pick(rng, looks.black, looks.metal, looks.woods)

    def draw(b: MeshBuilder) -> None:
        b.lathe(0, -0.03, radius, [(radius * 0.9, 0.0), (radius, 0.0), (radius, 0.045)], rim, 24, axis="y")
        look = looks.picture(name, image, 2 * radius * 0.92, 2 * radius * 0.92)
        angle = np.arange(24) * (2 * math.pi / 24)
        r = radius * 0.92
        face = np.stack([np.cos(angle) * r, np.sin(angle) * r], axis=1) + r
        with b.at(-r, -0.015, radius - r, roll=math.pi / 2):
            b.prism(face, 0.0, 0.004, look)

    return Piece("clock", 2 * radius, 0.05, 2 * radius, draw)


def curtain(looks: Looks, rng: np.random.Generator, window_width: float, top: float, bottom: float) -> Piece:
    """A pair of wavy curtains drawn aside, with their rail; z = 0 is the floor."""
    cloth = looks.pick(rng, looks.cloths, looks.linens)
    each = max(0.25, window_width * uniform(rng, 0.14, 0.24))

    def draw(b: MeshBuilder) -> None:
        b.cylinder(-window_width / 2 - 0.25, 0.0, top, 0.014, window_width + 0.5, looks.metal, 8, axis="x")
        folds = 9
        for s in (-1, 1):
            x = np.linspace(-each / 2, each / 2, folds) + s * (window_width / 2 + 0.16 - each / 2)
            y = np.where(np.arange(folds) % 2, 0.035, -0.035)
            for k in range(folds - 1):
                b.quad([(x[k], y[k], bottom), (x[k + 1], y[k + 1], bottom), (x[k + 1], y[k + 1], top),
                        (x[k], y[k], top)], cloth)

    return Piece("curtain", window_width + 0.5, 0.09, top, draw)


def radiator(looks: Looks, rng: np.random.Generator, width: float, height: float) -> Piece:
    def draw(b: MeshBuilder) -> None:
        ribs = max(5, round(width / 0.075))
        b.box(0, 0.02, 0.1, width, 0.03, height - 0.1, looks.white, bottom=True)
        for k in range(ribs):
            x = (k + 0.5) / ribs * width - width / 2
            b.box(x, -0.005, 0.1, width / ribs * 0.62, 0.06, height - 0.1, looks.white, bottom=True)
        b.cylinder(width / 2 + 0.02, 0, 0, 0.01, 0.18, looks.steel, 6)

    return Piece("radiator", width + 0.06, 0.1, height, draw)


def box(looks: Looks, rng: np.random.Generator) -> Piece:
    """A cardboard box with tape, open or closed."""
    width, depth, height = uniform(rng, 0.28, 0.55), uniform(rng, 0.25, 0.42), uniform(rng, 0.2, 0.42)
    card = looks.colour(str(rng.choice(["#b08d5e", "#a37f52", "#c2a276"])))
    tape = looks.colour("#d9c9a0")

    def draw(b: MeshBuilder) -> None:
        b.box(0, 0, 0, width, depth, height, card)
        b.box(0, 0, height, width + 0.002, 0.05, 0.002, tape)
        b.box(0, -depth / 2 - 0.001, height - 0.1, 0.05, 0.002, 0.1, tape)

    return Piece("box", width, depth, height, draw)


def toy(looks: Looks, rng: np.random.Generator) -> Piece:
    """Building blocks, a ball, or a teddy bear."""
    kind = int(rng.integers(3))
    colours = [looks.colour(c) for c in ("#c9483b", "#e0b13c", "#3f77a8", "#5c9a54")]
    turns = rng.uniform(-0.6, 0.6, 6)
    fur = looks.colour(str(rng.choice(["#9a6f45", "#c9a877", "#8a8580"])))
    main = looks.pick(rng, colours)

    def draw(b: MeshBuilder) -> None:
        if kind == 0:
            for k in range(4):
                with b.at(0.09 * (k - 1.5) if k < 3 else -0.04, 0.02 * k, 0.09 if k == 3 else 0, turns[k]):
                    b.box(0, 0, 0, 0.09, 0.09, 0.09, colours[k], bottom=True)
        elif kind == 1:
            b.ellipsoid(0, 0, 0.12, 0.12, 0.12, 0.12, main, 14)
        else:
            b.ellipsoid(0, 0, 0.13, 0.11, 0.1, 0.13, fur, 12)
            b.ellipsoid(0, -0.01, 0.3, 0.085, 0.08, 0.08, fur, 12)
            b.ellipsoid(0, -0.085, 0.285, 0.035, 0.03, 0.028, looks.white, 8)
            for s in (-1, 1):
                b.ellipsoid(s * 0.07, 0, 0.37, 0.032, 0.02, 0.032, fur, 8)
                b.ellipsoid(s * 0.1, -0.05, 0.19, 0.04, 0.06, 0.035, fur, 8)
                b.ellipsoid(s * 0.08, -0.12, 0.04, 0.045, 0.08, 0.04, fur, 8)
                b.ellipsoid(s * 0.03, -0.08, 0.325, 0.01, 0.01, 0.01, looks.black, 5)

    return Piece("toy", 0.38, 0.38, 0.4 if kind == 2 else 0.24, draw)


def shoes(looks: Looks, rng: np.random.Generator) -> Piece:
    upper = looks.pick(rng, looks.leather, looks.cloths, looks.black)
    turns = rng.uniform(-0.25, 0.25, 2)

    def draw(b: MeshBuilder) -> None:
        for s, turn in zip((-1, 1), turns):
            with b.at(s * 0.075, 0, 0, float(turn)):
                b.rounded_box(0, 0, 0, 0.1, 0.29, 0.035, 0.012, looks.white, 2)
                b.rounded_box(0, 0.07, 0.03, 0.09, 0.14, 0.085, 0.03, upper, 2)
                b.ellipsoid(0, -0.06, 0.04, 0.045, 0.085, 0.045, upper, 8)

    return Piece("shoes", 0.3, 0.32, 0.12, draw)


def bin_(looks: Looks, rng: np.random.Generator) -> Piece:
    height, radius = uniform(rng, 0.3, 0.6), uniform(rng, 0.13, 0.17)
    look = looks.pick(rng, looks.steel, looks.black, looks.white, looks.grey)
    lidded = height > 0.4

    def draw(b: MeshBuilder) -> None:
        rim = [(radius * 0.85, 0.0), (radius, height)]
        if lidded:
            lid = [(radius * 1.02, height), (radius * 0.7, height + 0.05), (0.0, height + 0.06)]
            b.lathe(0, 0, 0, [*rim, *lid], look, 16)
            b.box(0, -radius * 0.95, 0.0, 0.08, 0.05, 0.02, looks.black)
        else:
            b.lathe(0, 0, 0, [*rim, (radius * 0.96, height), (radius * 0.82, 0.02), (0, 0.02)], look, 16)

    return Piece("bin", 2.1 * radius, 2.1 * radius, height + 0.06, draw)


def basket(looks: Looks, rng: np.random.Generator) -> Piece:
    height, radius = uniform(rng, 0.28, 0.55), uniform(rng, 0.17, 0.24)
    wicker = looks.builder.material("wicker", texture=_wicker(), size=0.16)
    laundry = looks.pick(rng, looks.linens, looks.cloths)

    def draw(b: MeshBuilder) -> None:
        rim = [(radius * 0.92, height), (radius * 0.88, height - 0.06)]
        b.lathe(0, 0, 0, [(radius * 0.85, 0), (radius, height), *rim], wicker, 16)
        b.ellipsoid(0, 0, height - 0.06, radius * 0.88, radius * 0.88, 0.09, laundry, 10)

    return Piece("basket", 2 * radius, 2 * radius, height + 0.03, draw)


def _wicker() -> np.ndarray:
    y, x = np.mgrid[0:64, 0:64]
    over = ((x // 8 + y // 8) % 2).astype(np.float32)
    bump = np.where(over > 0, np.sin(x % 8 / 8 * np.pi), np.sin(y % 8 / 8 * np.pi))
    return np.clip(np.array([178, 138, 92]) * (0.6 + 0.45 * bump)[..., None], 0, 255).astype(np.uint8)


def laptop(looks: Looks, rng: np.random.Generator) -> Piece:
    case = looks.pick(rng, looks.steel, looks.black, looks.grey)
    glow = looks.builder.material("laptop screen", "#7fa3c4", emission=0.55)

    def draw(b: MeshBuilder) -> None:
        b.box(0, 0, 0, 0.34, 0.24, 0.016, case)
        b.box(0, 0.025, 0.016, 0.29, 0.11, 0.002, looks.black)
        with b.at(0, 0.12, 0.014, roll=-0.3):
            b.box(0, 0, 0, 0.34, 0.01, 0.22, case, bottom=True)
            b.quad([(-0.155, -0.006, 0.015), (0.155, -0.006, 0.015), (0.155, -0.006, 0.21), (-0.155, -0.006, 0.21)],
                   glow)

    return Piece("laptop", 0.34, 0.3, 0.24, draw)


def coat_rack(looks: Looks, rng: np.random.Generator) -> Piece:
    wood = looks.pick(rng, looks.woods, looks.dark_metal)
    coats = [looks.pick(rng, looks.cloths) for _ in range(int(rng.integers(1, 4)))]

    def draw(b: MeshBuilder) -> None:
        b.cylinder(0, 0, 0, 0.18, 0.03, wood, 14)
        b.cylinder(0, 0, 0.03, 0.022, 1.7, wood, 8)
        for k in range(6):
            angle = k * math.pi / 3
            b.tube([(0, 0, 1.6), (0.14 * math.cos(angle), 0.14 * math.sin(angle), 1.72)], 0.011, wood, 5)
        for k, cloth in enumerate(coats):
            with b.at(0, 0, 0, k * 2.1 + 0.3):
                b.rounded_box(0.13, 0, 0.75, 0.14, 0.34, 0.88, 0.065, cloth, 2)

    return Piece("coat rack", 0.5, 0.5, 1.75, draw)


def towel(looks: Looks, rng: np.random.Generator) -> Piece:
    """On a rail, back at +y; z = 0 is its lower edge."""
    cloth, width = looks.pick(rng, looks.linens, looks.cloths), uniform(rng, 0.4, 0.6)

    def draw(b: MeshBuilder) -> None:
        b.cylinder(-width / 2 - 0.04, 0, 0.62, 0.01, width + 0.08, looks.steel, 6, axis="x")
        b.rounded_box(0, 0, 0, width, 0.035, 0.64, 0.016, cloth, 2)

    return Piece("towel", width + 0.08, 0.06, 0.66, draw)

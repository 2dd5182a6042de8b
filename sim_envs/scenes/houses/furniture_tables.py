"""Tables, desks, shelves, cupboards, television and piano."""

from __future__ import annotations

import numpy as np

from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.houses.furniture import Piece, doors, drawers, legs, top_outline, uniform
from sim_envs.scenes.houses.looks import Looks


def dining_table(looks: Looks, rng: np.random.Generator, longest: float = 2.2) -> Piece:
    round_top = bool(rng.random() < 0.28)
    width = min(uniform(rng, 0.9, 1.25) if round_top else uniform(rng, 1.2, 2.0), longest)
    depth = width if round_top else min(uniform(rng, 0.78, 0.98), width)
    height, leg = uniform(rng, 0.72, 0.77), int(rng.integers(4))
    wood = looks.pick(rng, looks.woods, looks.woods, looks.paints)
    base = looks.pick(rng, wood, wood, looks.dark_metal)
    central = round_top and bool(rng.random() < 0.6)
    dish = looks.colour(str(rng.choice(["#e9e4d8", "#7a8f8c", "#b5563b", "#4b5a6b"])))
    bowl = bool(rng.random() < 0.7)

    def draw(b: MeshBuilder) -> None:
        b.prism(top_outline(int(round_top), width, depth), height - 0.04, 0.04, wood, bottom=True)
        if central:
            b.lathe(0, 0, 0, [(0.3, 0), (0.28, 0.03), (0.06, 0.09), (0.05, 0.4), (0.12, height - 0.04)], base, 12)
        else:
            shrink = 0.72 if round_top else 1.0
            legs(b, width * shrink, depth * shrink, height - 0.04, 0.07, base, leg, 0.06)
            if not round_top:
                for s in (-1, 1):
                    b.box(0, s * (depth / 2 - 0.1), height - 0.12, width - 0.26, 0.022, 0.085, base, bottom=True)
                    b.box(s * (width / 2 - 0.1), 0, height - 0.12, 0.022, depth - 0.26, 0.085, base, bottom=True)
        if bowl:
            b.lathe(0.05, 0, height, [(0.06, 0), (0.11, 0.03), (0.15, 0.08), (0.14, 0.08), (0.1, 0.035), (0, 0.02)],
                    dish, 14)

    return Piece("dining table", width, depth, height, draw)


def coffee_table(looks: Looks, rng: np.random.Generator) -> Piece:
    style = int(rng.integers(3))
    width = uniform(rng, 0.7, 0.9) if style == 1 else uniform(rng, 0.85, 1.25)
    depth = width if style == 1 else uniform(rng, 0.5, 0.65)
    height, leg = uniform(rng, 0.36, 0.46), int(rng.integers(4))
    wood = looks.pick(rng, looks.woods, looks.paints)
    top = looks.pick(rng, wood, wood, looks.glass, looks.worktop)
    base = looks.pick(rng, wood, looks.dark_metal)
    shelf, book = bool(rng.random() < 0.5), looks.pick(rng, looks.cloths)

    def draw(b: MeshBuilder) -> None:
        b.prism(top_outline(int(style == 1), width, depth), height - 0.035, 0.035, top, bottom=True)
        shrink = 0.75 if style == 1 else 1.0
        if style == 2:
            for s in (-1, 1):
                b.box(s * (width / 2 - 0.06), 0, 0, 0.04, depth - 0.06, height - 0.035, wood)
        else:
            legs(b, width * shrink, depth * shrink, height - 0.035, 0.045, base, leg)
        if shelf:
            b.box(0, 0, height * 0.35, width * shrink - 0.14, depth * shrink - 0.1, 0.02, wood, bottom=True)
        with b.at(width * 0.15, 0.03, height, 0.4):
            b.box(0, 0, 0, 0.24, 0.17, 0.03, book)
            b.box(0.01, 0.0, 0.03, 0.2, 0.15, 0.022, looks.white)

    return Piece("coffee table", width, depth, height + 0.05, draw)


def desk(looks: Looks, rng: np.random.Generator, longest: float = 1.6) -> Piece:
    width, depth, height = min(uniform(rng, 1.05, 1.6), longest), uniform(rng, 0.55, 0.72), uniform(rng, 0.72, 0.76)
    wood = looks.pick(rng, looks.woods, looks.woods, looks.white)
    base = looks.pick(rng, wood, looks.dark_metal, looks.white)
    side, style = (1 if rng.random() < 0.5 else -1), int(rng.integers(4))
    block, leg = bool(rng.random() < 0.65), int(rng.integers(3))

    def draw(b: MeshBuilder) -> None:
        b.box(0, 0, height - 0.03, width, depth, 0.03, wood, bottom=True)
        b.box(0, depth / 2 - 0.03, height - 0.35, width - 0.1, 0.018, 0.32, wood, bottom=True)
        legs(b, width, depth, height - 0.03, 0.05, base, leg, 0.02)
        if block:
            x = side * (width / 2 - 0.24)
            b.box(x, 0.01, 0.08, 0.4, depth - 0.06, height - 0.11, wood, bottom=True)
            drawers(b, x, 0.01 - (depth - 0.06) / 2, 0.1, 0.4, height - 0.15, 3, wood, looks.metal, style)

    return Piece("desk", width, depth, height, draw)


def bookshelf(looks: Looks, rng: np.random.Generator, widest: float = 1.2) -> Piece:
    width = min(uniform(rng, 0.6, 1.2), widest)
    depth, height = uniform(rng, 0.25, 0.34), uniform(rng, 1.2, 2.15)
    wood = looks.pick(rng, looks.woods, looks.woods, looks.white, looks.paints)
    shelves = max(3, round(height / uniform(rng, 0.33, 0.42)))
    child = np.random.default_rng(rng.integers(1 << 32))

    def draw(b: MeshBuilder) -> None:
        b.box(0, depth / 2 - 0.008, 0, width, 0.016, height, wood)
        for s in (-1, 1):
            b.box(s * (width / 2 - 0.012), 0, 0, 0.024, depth, height, wood)
        gap = (height - 0.08) / shelves
        for k in range(shelves + 1):
            b.box(0, 0, 0.056 + k * gap, width - 0.048, depth - 0.016, 0.024, wood, bottom=True)
        b.box(0, -depth / 2 + 0.02, 0, width - 0.048, 0.02, 0.06, wood)
        for k in range(shelves):
            _fill_shelf(b, looks, child, width - 0.06, depth, 0.08 + k * gap, gap - 0.03)

    return Piece("bookshelf", width, depth, height, draw)


def _fill_shelf(
    b: MeshBuilder, looks: Looks, rng: np.random.Generator, width: float, depth: float, z: float, free: float
) -> None:
    """Rows of books with gaps, now and then an ornament."""
    x = -width / 2
    while x < width / 2 - 0.08:
        run = min(uniform(rng, 0.12, 0.45), width / 2 - x)
        draw = rng.random()
        if draw < 0.78:
            _books(b, looks, rng, x, run, depth, z, free)
        elif draw < 0.88 and free > 0.2:
            r = min(0.06, run / 2.2)
            b.lathe(x + run / 2, -0.02, z, [(r * 0.6, 0), (r, 0.07), (r * 0.4, 0.14), (r * 0.55, 0.17)], looks.clay, 10)
        x += run + uniform(rng, 0.0, 0.05)


def _books(
    b: MeshBuilder, looks: Looks, rng: np.random.Generator, x: float, run: float, depth: float, z: float, free: float
) -> None:
    """Books side by side from x on."""
    count = max(2, round(run / 0.034))
    edges = np.concatenate([[0.0], np.cumsum(rng.uniform(0.6, 1.4, count))])
    edges *= run / edges[-1]
    base = uniform(rng, 0.2, 0.27)
    for k in range(count):
        tall, deep = min(free - 0.02, base * uniform(rng, 0.82, 1.08)), (depth - 0.09) * uniform(rng, 0.8, 1.0)
        b.box(x + (edges[k] + edges[k + 1]) / 2, -deep / 2 + depth / 2 - 0.03, z, edges[k + 1] - edges[k] - 0.002, deep,
              tall, looks.pick(rng, looks.books), bottom=False)


def cabinet(looks: Looks, rng: np.random.Generator, widest: float = 1.8, low: bool = False) -> Piece:
    """A sideboard or cupboard with doors, sometimes drawers above them."""
    width, depth = min(uniform(rng, 0.8, 1.8), widest), uniform(rng, 0.36, 0.48)
    height = uniform(rng, 0.7, 0.95) if low or rng.random() < 0.6 else uniform(rng, 1.1, 1.9)
    wood = looks.pick(rng, looks.woods, looks.paints)
    front = looks.pick(rng, wood, wood, looks.paints, looks.woods)
    style, panelled, leg = int(rng.integers(4)), bool(rng.random() < 0.5), int(rng.integers(4))
    lift = float(rng.choice([0.06, 0.14]))
    count = max(2, round(width / 0.5))
    with_drawers = bool(rng.random() < 0.5)

    def draw(b: MeshBuilder) -> None:
        legs(b, width, depth, lift, 0.045, wood, leg)
        b.box(0, 0, lift, width, depth, height - lift, wood, bottom=True)
        b.box(0, -0.01, height - 0.025, width + 0.03, depth + 0.02, 0.03, wood, bottom=True)
        top = height - 0.05
        if with_drawers:
            each = width / count
            for k in range(count):
                drawers(b, (k - (count - 1) / 2) * each, -depth / 2, top - 0.2, each, 0.2, 1, front, looks.metal, style)
            top -= 0.2
        doors(b, 0, -depth / 2, lift + 0.02, width, top - lift - 0.02, count, front, looks.metal, style, panelled)

    return Piece("cabinet", width + 0.03, depth + 0.06, height, draw)


def dresser(looks: Looks, rng: np.random.Generator) -> Piece:
    width, depth, height = uniform(rng, 0.75, 1.15), uniform(rng, 0.42, 0.5), uniform(rng, 0.75, 1.1)
    wood = looks.pick(rng, looks.woods, looks.paints)
    front = looks.pick(rng, wood, wood, looks.paints)
    style, rows, leg = int(rng.integers(3)), int(rng.integers(3, 5)), int(rng.integers(4))

    def draw(b: MeshBuilder) -> None:
        legs(b, width, depth, 0.1, 0.05, wood, leg)
        b.box(0, 0, 0.1, width, depth, height - 0.1, wood, bottom=True)
        b.box(0, -0.01, height - 0.02, width + 0.03, depth + 0.02, 0.028, wood, bottom=True)
        drawers(b, 0, -depth / 2, 0.11, width, height - 0.15, rows, front, looks.metal, style)

    return Piece("dresser", width + 0.03, depth + 0.06, height, draw)


def nightstand(looks: Looks, rng: np.random.Generator) -> Piece:
    width, depth, height = uniform(rng, 0.38, 0.5), uniform(rng, 0.34, 0.42), uniform(rng, 0.45, 0.6)
    wood = looks.pick(rng, looks.woods, looks.paints)
    style, count, leg = int(rng.integers(3)), int(rng.integers(1, 3)), int(rng.integers(4))

    def draw(b: MeshBuilder) -> None:
        body = 0.2 * count
        legs(b, width, depth, height - body, 0.04, wood, leg, 0.01)
        b.box(0, 0, height - body, width, depth, body, wood, bottom=True)
        drawers(b, 0, -depth / 2, height - body, width, body - 0.02, count, wood, looks.metal, style)

    return Piece("nightstand", width, depth + 0.04, height, draw)


def wardrobe(looks: Looks, rng: np.random.Generator, widest: float = 2.2) -> Piece:
    width, depth, height = min(uniform(rng, 0.95, 2.2), widest), uniform(rng, 0.56, 0.64), uniform(rng, 1.95, 2.3)
    wood = looks.pick(rng, looks.woods, looks.woods, looks.white, looks.paints)
    count, style, panelled = max(2, round(width / 0.55)), int(rng.integers(3)), bool(rng.random() < 0.5)
    mirrored = int(rng.integers(count)) if rng.random() < 0.35 else -1
    low = 0.32 if rng.random() < 0.35 else 0.06

    def draw(b: MeshBuilder) -> None:
        b.box(0, 0.01, 0, width - 0.04, depth - 0.04, 0.06, wood)
        b.box(0, 0, 0.06, width, depth, height - 0.06, wood)
        b.box(0, -0.01, height - 0.03, width + 0.03, depth + 0.03, 0.04, wood, bottom=True)
        if low > 0.1:
            drawers(b, 0, -depth / 2, 0.07, width, 0.25, 1, wood, looks.metal, 1)
        doors(b, 0, -depth / 2, low + 0.01, width, height - low - 0.06, count, wood, looks.metal, 2 if style else 0,
              panelled)
        if mirrored >= 0:
            each = width / count
            x = (mirrored - (count - 1) / 2) * each
            b.box(x, -depth / 2 - 0.025, low + 0.1, each - 0.1, 0.01, height - low - 0.25, looks.mirror, bottom=True)

    return Piece("wardrobe", width + 0.03, depth + 0.06, height, draw)


def television_stand(looks: Looks, rng: np.random.Generator, widest: float = 1.9) -> Piece:
    width, depth, height = min(uniform(rng, 1.1, 1.9), widest), uniform(rng, 0.36, 0.44), uniform(rng, 0.42, 0.56)
    wood = looks.pick(rng, looks.woods, looks.paints)
    style, leg, open_middle = int(rng.integers(4)), int(rng.integers(4)), bool(rng.random() < 0.6)

    def draw(b: MeshBuilder) -> None:
        legs(b, width, depth, 0.1, 0.045, wood, leg)
        third = width / 3
        b.box(0, 0, 0.1, width, depth, 0.025, wood, bottom=True)
        b.box(0, 0, height - 0.03, width, depth, 0.03, wood, bottom=True)
        b.box(0, depth / 2 - 0.01, 0.12, width, 0.018, height - 0.15, wood)
        for s in (-1, 1):
            b.box(s * (width - third) / 2, 0, 0.12, third, depth - 0.005, height - 0.15, wood)
            doors(b, s * (width - third) / 2, -depth / 2, 0.125, third, height - 0.16, 1, wood, looks.metal, style)
        if open_middle:
            b.box(0, 0, 0.3, third, depth - 0.03, 0.018, wood, bottom=True)
            b.box(0, -0.02, 0.125, third * 0.7, depth * 0.6, 0.06, looks.black)
        else:
            b.box(0, 0, 0.12, third, depth - 0.005, height - 0.15, wood)
            drawers(b, 0, -depth / 2, 0.125, third, height - 0.16, 2, wood, looks.metal, style)

    return Piece("television stand", width, depth + 0.04, height, draw)


def television(looks: Looks, rng: np.random.Generator, widest: float = 1.45) -> Piece:
    width = min(uniform(rng, 0.9, 1.45), widest)
    height = width * 0.57
    feet = bool(rng.random() < 0.5)

    def draw(b: MeshBuilder) -> None:
        if feet:
            for s in (-1, 1):
                b.box(s * width * 0.32, 0, 0, 0.03, 0.22, 0.02, looks.black)
                b.box(s * width * 0.32, 0, 0.02, 0.03, 0.04, 0.06, looks.black)
        else:
            b.box(0, 0, 0, width * 0.34, 0.22, 0.015, looks.black)
            b.box(0, 0.02, 0.015, 0.08, 0.03, 0.07, looks.black)
        b.box(0, 0, 0.07, width, 0.045, height, looks.black, bottom=True)
        b.box(0, -0.021, 0.085, width - 0.025, 0.006, height - 0.03, looks.screen, bottom=True)

    return Piece("television", width, 0.22, height + 0.07, draw)


def piano(looks: Looks, rng: np.random.Generator) -> Piece:
    width, depth, height = uniform(rng, 1.4, 1.5), uniform(rng, 0.56, 0.62), uniform(rng, 1.1, 1.25)
    wood = looks.pick(rng, looks.black, looks.woods)

    def draw(b: MeshBuilder) -> None:
        back = depth / 2 - 0.16
        b.box(0, back, 0, width, 0.32, height, wood)
        b.box(0, back, height, width + 0.03, 0.35, 0.025, wood, bottom=True)
        for s in (-1, 1):
            b.box(s * (width / 2 - 0.03), -0.1, 0, 0.06, depth - 0.22, 0.68, wood, taper=1.0)
            b.box(s * (width / 2 - 0.03), -0.14, 0.6, 0.06, 0.32, 0.14, wood)
        front = -depth / 2
        b.box(0, front + 0.16, 0.58, width - 0.1, 0.3, 0.06, wood, bottom=True)
        b.box(0, front + 0.11, 0.64, width - 0.13, 0.15, 0.022, looks.ceramic)
        keys = 36
        step = (width - 0.15) / keys
        for k in range(keys):
            if k % 7 not in (2, 6):
                b.box(-(width - 0.15) / 2 + (k + 1) * step, front + 0.14, 0.66, step * 0.55, 0.09, 0.012, looks.black)
        b.box(0, front + 0.27, 0.64, width - 0.12, 0.03, 0.16, wood)
        b.box(0, front + 0.26, 0.9, 0.5, 0.015, 0.24, looks.white)
        for x in (-0.06, 0.06):
            b.box(x, back - 0.2, 0.03, 0.03, 0.1, 0.012, looks.metal)

    return Piece("piano", width + 0.03, depth, height, draw)

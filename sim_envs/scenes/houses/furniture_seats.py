"""Chairs, armchairs, sofas, stools, benches and beds."""

from __future__ import annotations

import math

import numpy as np

from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.houses.furniture import Piece, legs, one_of, uniform
from sim_envs.scenes.houses.looks import Looks


def chair(looks: Looks, rng: np.random.Generator) -> Piece:
    """Backs: slats, rungs, a panel or upholstery."""
    width, depth, seat = uniform(rng, 0.41, 0.5), uniform(rng, 0.43, 0.52), uniform(rng, 0.43, 0.47)
    height = uniform(rng, 0.78, 1.02)
    wood = looks.pick(rng, looks.woods, looks.woods, looks.paints)
    cloth = looks.pick(rng, looks.cloths, looks.leather)
    back, leg, slats = int(rng.integers(4)), int(rng.integers(4)), int(rng.integers(3, 6))
    soft = bool(rng.random() < 0.45)
    metal = looks.metal if rng.random() < 0.15 else wood

    def draw(b: MeshBuilder) -> None:
        legs(b, width, depth, seat - 0.03, 0.036, metal, leg, 0.01)
        if leg % 4 == 0:
            for side in (-1, 1):
                b.box(side * (width / 2 - 0.03), 0, seat * 0.42, 0.02, depth - 0.09, 0.025, wood, bottom=True)
        b.rounded_box(0, 0, seat - 0.035, width, depth, 0.035, 0.012, wood, 2)
        if soft or back == 3:
            b.rounded_box(0, -0.01, seat - 0.005, width - 0.03, depth - 0.04, 0.05, 0.022, cloth)
        tall = height - seat
        with b.at(0, depth / 2 - 0.025, seat, roll=-0.13):
            if back == 3:
                b.rounded_box(0, 0, 0.02, width - 0.02, 0.06, tall - 0.02, 0.03, cloth)
                return
            for side in (-1, 1):
                b.box(side * (width / 2 - 0.02), 0, -0.03, 0.035, 0.03, tall + 0.03, metal)
            if back == 0:
                b.box(0, 0, tall - 0.09, width - 0.06, 0.024, 0.08, wood, bottom=True)
                b.box(0, 0, 0.08, width - 0.06, 0.022, 0.04, wood, bottom=True)
                for k in range(slats):
                    x = (width - 0.12) * (k / (slats - 1) - 0.5)
                    b.box(x, 0, 0.1, 0.026, 0.016, tall - 0.17, wood)
            elif back == 1:
                for k in range(3):
                    b.box(0, 0, tall * (0.3 + 0.26 * k), width - 0.06, 0.022, 0.065, wood, bottom=True)
            else:
                b.rounded_box(0, 0, tall * 0.42, width - 0.05, 0.026, tall * 0.56, 0.012, wood, 2)

    return Piece("chair", width + 0.02, depth + 0.06, height, draw)


def office_chair(looks: Looks, rng: np.random.Generator) -> Piece:
    seat, height = uniform(rng, 0.45, 0.52), uniform(rng, 0.95, 1.15)
    cloth = looks.pick(rng, looks.cloths, looks.leather, looks.black)
    frame = looks.pick(rng, looks.black, looks.steel, looks.grey)
    arms = bool(rng.random() < 0.6)
    turn = uniform(rng, 0, 1.2)

    def draw(b: MeshBuilder) -> None:
        for k in range(5):
            angle = turn + k * 2 * math.pi / 5
            x, y = 0.29 * math.cos(angle), 0.29 * math.sin(angle)
            b.tube([(0, 0, 0.1), (x, y, 0.075)], 0.022, frame, 6)
            b.ellipsoid(x, y, 0.031, 0.03, 0.03, 0.031, looks.black, 6)
        b.cylinder(0, 0, 0.08, 0.028, seat - 0.14, looks.steel, 8)
        b.cylinder(0, 0, 0.08, 0.05, 0.1, frame, 8)
        b.rounded_box(0, 0, seat - 0.07, 0.5, 0.49, 0.09, 0.04, cloth)
        with b.at(0, 0.23, seat, roll=-0.16):
            b.box(0, 0.02, -0.03, 0.07, 0.02, 0.25, frame, bottom=True)
            b.rounded_box(0, 0, 0.1, 0.46, 0.07, height - seat - 0.1, 0.035, cloth)
        if arms:
            for x in (-0.29, 0.29):
                b.tube([(x * 0.8, 0.05, seat - 0.05), (x, 0.05, seat), (x, 0.05, seat + 0.2)], 0.014, frame, 6)
                b.rounded_box(x, 0, seat + 0.2, 0.06, 0.26, 0.035, 0.015, looks.black, 2)

    return Piece("office chair", 0.62, 0.64, height, draw)


def stool(looks: Looks, rng: np.random.Generator, seat: float | None = None) -> Piece:
    height = seat or uniform(rng, 0.42, 0.5)
    radius = uniform(rng, 0.15, 0.2)
    wood = looks.pick(rng, looks.woods, looks.paints)
    soft, round_seat, leg = bool(rng.random() < 0.5), bool(rng.random() < 0.7), int(rng.integers(1, 4))
    cloth = looks.pick(rng, looks.cloths)

    def draw(b: MeshBuilder) -> None:
        legs(b, 2 * radius, 2 * radius, height - 0.03, 0.034, wood, leg, 0.045)
        if height > 0.55:
            b.lathe(0, 0, height * 0.35, [(radius * 0.9, 0), (radius * 0.9, 0.02), (radius * 0.8, 0.02),
                                         (radius * 0.8, 0), (radius * 0.9, 0)], wood, 14)
        if round_seat:
            b.cylinder(0, 0, height - 0.035, radius, 0.035, wood, 16, bottom=True)
            if soft:
                pad = [(radius * 0.96, 0.0), (radius, 0.025), (radius * 0.8, 0.05), (0.0, 0.055)]
                b.lathe(0, 0, height, pad, cloth, 16)
        else:
            b.rounded_box(0, 0, height - 0.04, 2 * radius, 2 * radius, 0.05, 0.02, cloth if soft else wood)

    return Piece("stool", 2 * radius, 2 * radius, height + 0.02, draw)


def bench(looks: Looks, rng: np.random.Generator) -> Piece:
    width, depth, height = uniform(rng, 0.8, 1.2), uniform(rng, 0.32, 0.4), uniform(rng, 0.42, 0.48)
    wood, cloth = looks.pick(rng, looks.woods, looks.paints), looks.pick(rng, looks.cloths)
    leg, soft = int(rng.integers(4)), bool(rng.random() < 0.5)

    def draw(b: MeshBuilder) -> None:
        legs(b, width, depth, height - 0.04, 0.05, wood, leg)
        b.rounded_box(0, 0, height - 0.045, width, depth, 0.045, 0.01, wood, 2)
        if soft:
            b.rounded_box(0, 0, height, width - 0.04, depth - 0.03, 0.06, 0.025, cloth)

    return Piece("bench", width, depth, height + 0.06, draw)


def _upholstered(
    b: MeshBuilder, looks: Looks, width: float, depth: float, seats: int, seat: float, height: float, arm: float,
    arm_height: float, cloth: int, foot: int, foot_style: int, puff: float,
) -> None:
    """The body that armchairs and sofas share."""
    lift = 0.1
    legs(b, width, depth, lift, 0.055, foot, foot_style, 0.03)
    back = 0.2
    b.rounded_box(0, 0, lift, width - 0.02, depth - 0.02, seat - lift - 0.13, 0.03, cloth, 2)
    b.rounded_box(0, depth / 2 - back / 2, lift, width - 2 * arm + 0.02, back, height - lift, 0.07, cloth)
    for side in (-1, 1):
        b.rounded_box(side * (width - arm) / 2, 0, lift, arm, depth, arm_height - lift, min(0.07, arm * 0.45), cloth)
    inner = width - 2 * arm
    each = inner / seats
    for k in range(seats):
        x = -inner / 2 + each * (k + 0.5)
        b.rounded_box(x, -back / 2 + 0.01, seat - 0.15, each - 0.006, depth - back, 0.17, puff, cloth)
        with b.at(x, depth / 2 - back - 0.03, seat - 0.02, roll=-0.16):
            b.rounded_box(0, 0, 0, each - 0.02, 0.15, height - seat + 0.03, puff + 0.01, cloth)


def _cushions(b: MeshBuilder, looks: Looks, rng: np.random.Generator, width: float, y: float, seat: float) -> None:
    for _ in range(int(rng.integers(0, 4))):
        size = uniform(rng, 0.34, 0.45)
        with b.at(uniform(rng, -1, 1) * max(0.0, width / 2 - size / 2), y, seat, uniform(rng, -0.2, 0.2), roll=-0.35):
            b.rounded_box(0, 0, 0, size, 0.14, size, 0.068, looks.pick(rng, looks.cloths, looks.linens))


def armchair(looks: Looks, rng: np.random.Generator) -> Piece:
    width, depth, height = uniform(rng, 0.72, 0.92), uniform(rng, 0.74, 0.88), uniform(rng, 0.78, 1.05)
    seat, arm = uniform(rng, 0.42, 0.46), uniform(rng, 0.1, 0.17)
    cloth, foot = looks.pick(rng, looks.cloths, looks.cloths, looks.leather), looks.pick(rng, looks.woods, looks.metal)
    style, puff, arm_height = int(rng.integers(4)), uniform(rng, 0.03, 0.07), seat + uniform(rng, 0.12, 0.22)
    child = np.random.default_rng(rng.integers(1 << 32))

    def draw(b: MeshBuilder) -> None:
        _upholstered(b, looks, width, depth, 1, seat, height, arm, arm_height, cloth, foot, style, puff)
        if child.random() < 0.5:
            _cushions(b, looks, child, 0.3, depth / 2 - 0.42, seat)

    return Piece("armchair", width, depth, height, draw)


def sofa(looks: Looks, rng: np.random.Generator, longest: float = 2.6) -> Piece:
    seats = 3 if longest > 1.95 and rng.random() < 0.65 else 2
    width = min(uniform(rng, 1.45, 1.8) if seats == 2 else uniform(rng, 1.9, 2.4), longest)
    depth, height = uniform(rng, 0.82, 0.98), uniform(rng, 0.74, 0.92)
    seat, arm = uniform(rng, 0.41, 0.46), uniform(rng, 0.1, 0.22)
    cloth, foot = looks.pick(rng, looks.cloths, looks.cloths, looks.leather), looks.pick(rng, looks.woods, looks.metal)
    style, puff, arm_height = int(rng.integers(4)), uniform(rng, 0.03, 0.075), seat + uniform(rng, 0.1, 0.2)
    child = np.random.default_rng(rng.integers(1 << 32))

    def draw(b: MeshBuilder) -> None:
        _upholstered(b, looks, width, depth, seats, seat, height, arm, arm_height, cloth, foot, style, puff)
        _cushions(b, looks, child, width - 2 * arm, depth / 2 - 0.42, seat)

    return Piece("sofa", width, depth, height, draw)


def bed(looks: Looks, rng: np.random.Generator, width: float | None = None) -> Piece:
    """The head is at the back."""
    wide = width or float(rng.choice([0.9, 1.4, 1.6, 1.8]))
    length, seat = uniform(rng, 1.95, 2.1), uniform(rng, 0.46, 0.58)
    head, foot_board = uniform(rng, 0.85, 1.2), bool(rng.random() < 0.4)
    upholstered = bool(rng.random() < 0.35)
    frame = looks.pick(rng, looks.cloths, looks.leather) if upholstered else looks.pick(rng, looks.woods, looks.paints)
    sheet, cover, pillow = looks.linens[0], looks.pick(rng, looks.linens), looks.pick(rng, looks.linens, looks.white)
    blanket, leg = looks.pick(rng, looks.cloths), one_of(rng, (0, 1, 2))
    thrown, slats = bool(rng.random() < 0.5), bool(rng.random() < 0.3)
    outer = wide + 0.08

    def draw(b: MeshBuilder) -> None:
        legs(b, outer, length, 0.2, 0.07, frame if not upholstered else looks.black, leg, 0.02)
        b.box(0, 0, 0.16, outer, length, 0.16, frame, bottom=True)
        y = length / 2 - 0.03
        if upholstered:
            b.rounded_box(0, y, 0.1, outer, 0.1, head - 0.1, 0.045, frame)
        elif slats:
            for k in range(9):
                b.box((outer - 0.06) * (k / 8 - 0.5), y, 0.16, 0.045, 0.03, head - 0.2, frame)
            b.box(0, y, head - 0.07, outer, 0.05, 0.07, frame, bottom=True)
        else:
            b.box(0, y, 0.0, outer, 0.045, head, frame)
        if foot_board:
            b.box(0, -length / 2 + 0.02, 0.0, outer, 0.04, seat + 0.08, frame)
        b.rounded_box(0, -0.015, 0.27, wide, length - 0.09, seat - 0.27, 0.06, sheet)
        b.rounded_box(0, -0.24, seat - 0.2, wide + 0.07, length - 0.55, 0.25, 0.055, cover)
        b.rounded_box(0, length / 2 - 0.56, seat + 0.005, wide + 0.05, 0.24, 0.06, 0.028, sheet)
        count = 1 if wide < 1.2 else 2
        for k in range(count):
            x = (k - (count - 1) / 2) * wide / count
            with b.at(x, length / 2 - 0.3, seat - 0.005, roll=0.22):
                b.rounded_box(0, 0, 0, min(0.68, wide / count - 0.08), 0.42, 0.14, 0.068, pillow)
        if thrown:
            b.rounded_box(0, -length / 2 + 0.45, seat + 0.025, wide + 0.1, 0.5, 0.045, 0.02, blanket)

    return Piece("bed", outer + 0.02, length + 0.02, head, draw)

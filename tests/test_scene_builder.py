"""The primitives scenes are made of, against volumes and areas known from school, and the textures' seams."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim_envs.mesh import SceneMesh
from sim_envs.scenes import textures
from sim_envs.scenes.builder import MeshBuilder, linear, plan_outline


def volume(mesh: SceneMesh) -> float:
    """Of a closed surface with its faces outwards (divergence theorem)."""
    a, b, c = mesh.triangles.astype(np.float64).transpose(1, 0, 2)
    return float(np.einsum("fk,fk->f", a, np.cross(b, c)).sum() / 6)


ELL = np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]])
SOLIDS = {
    "box": (lambda b, m: b.box(1, 2, 0, 1, 2, 3, m, bottom=True), 6.0, 1e-6),
    "tapered box": (lambda b, m: b.box(0, 0, 0, 1, 1, 3, m, taper=0.5, bottom=True), 1 + 0.25 + 0.5, 1e-6),
    "cylinder": (lambda b, m: b.cylinder(0, 0, 1, 1, 2, m, n=96, bottom=True), 2 * math.pi, 2e-3),
    "cylinder along x": (lambda b, m: b.cylinder(0, 0, 1, 1, 2, m, n=96, axis="x"), 2 * math.pi, 2e-3),
    "cylinder along y": (lambda b, m: b.cylinder(0, 0, 1, 1, 2, m, n=96, axis="y"), 2 * math.pi, 2e-3),
    "cone": (lambda b, m: b.cylinder(0, 0, 1, 1, 3, m, n=96, top_radius=0.0), math.pi, 2e-3),
    "ellipsoid": (lambda b, m: b.ellipsoid(0, 0, 1, 1, 2, 0.5, m, n=96), 4 / 3 * math.pi, 5e-3),
    "L prism": (lambda b, m: b.prism(ELL, 0, 2, m, bottom=True), 6.0, 1e-6),
    "pipe": (lambda b, m: b.tube([(0, 0, 0), (0, 0, 5)], 0.1, m, n=96), 0.05 * math.pi, 2e-3),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_are_closed_and_face_outwards(name: str) -> None:
    draw, expected, tolerance = SOLIDS[name]
    builder = MeshBuilder()
    draw(builder, builder.material("m"))
    assert volume(builder.build()) == pytest.approx(expected, rel=tolerance)


def test_a_rounded_box_lies_between_its_box_and_what_rounding_can_take_away() -> None:
    builder = MeshBuilder()
    builder.rounded_box(0, 0, 1, 1, 2, 3, 0.1, builder.material("m"), corner=6)
    mesh = builder.build()
    rounded = 0.8 * 1.8 * 2.8 + 2 * 0.1 * (0.8 * 1.8 + 0.8 * 2.8 + 1.8 * 2.8)  # with edges and corners cut off flat
    assert rounded < volume(mesh) < 6.0
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), (1, 2, 3), atol=1e-6)
    triangles = mesh.triangles.astype(np.float64)
    areas = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    assert areas.min() > 1e-7


def test_nested_places_turn_scale_and_move() -> None:
    builder = MeshBuilder()
    material = builder.material("m")
    with builder.at(10, 0, 1, math.pi / 2), builder.at(2, 0, 0, scale=(2, 1, 1)), builder.instance("thing", room=3):
        builder.box(0, 0, 0, 1, 1, 1, material)
    mesh = builder.build()
    np.testing.assert_allclose(mesh.vertices.min(axis=0), (9.5, 1, 1), atol=1e-6)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), (10.5, 3, 2), atol=1e-6)
    thing = mesh.instances[0]
    assert (thing.category, thing.room, thing.is_object, thing.bottom, thing.top) == ("thing", 3, True, 1.0, 2.0)
    np.testing.assert_allclose(sorted(thing.outline.tolist()), [[9.5, 1], [9.5, 3], [10.5, 1], [10.5, 3]], atol=1e-6)


def test_texture_coordinates_count_repeats_of_the_texture_in_metres() -> None:
    builder = MeshBuilder()
    builder.grid((0, 0, 0), (3, 0, 0), (0, 2, 0), builder.material("tiles", size=(0.5, 0.25)), 0.5)
    mesh = builder.build()
    assert len(mesh.faces) == 6 * 4 * 2
    np.testing.assert_allclose(mesh.uv, mesh.triangles[..., :2] / (0.5, 0.25), atol=1e-5)


def test_outlines_run_counter_clockwise_and_have_an_area() -> None:
    outline = plan_outline(np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0]]))
    x, y = outline.T
    assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2 == pytest.approx(2.0 * 0.01, rel=0.02)


def test_colours_become_linear() -> None:
    assert linear("#ffffff") == pytest.approx((1, 1, 1))
    assert linear("#808080") == pytest.approx((0.2159, 0.2159, 0.2159), abs=1e-3)  # the sRGB standard's middle grey


REPEATING = {
    "wood": lambda rng: textures.wood(rng, "#a5764a"),
    "planks": lambda rng: textures.planks(rng, "#a5764a"),
    "plaster": lambda rng: textures.speckle(rng, "#e0dcd0"),
    "marble": lambda rng: textures.marble(rng, "#e9e6e0", "#8d8a86"),
    "grass": textures.grass,
    "bricks": lambda rng: textures.bricks(rng, "#a0573f"),
}


@pytest.mark.parametrize("name", REPEATING)
def test_textures_repeat_without_a_seam_and_follow_their_seed(name: str) -> None:
    image = REPEATING[name](np.random.default_rng(5))
    np.testing.assert_array_equal(image, REPEATING[name](np.random.default_rng(5)))
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    for axis in (0, 1):
        steps = np.abs(np.diff(image.astype(float), axis=axis)).mean(axis=(1 - axis, 2))
        seam = np.abs(image.take(0, axis).astype(float) - image.take(-1, axis)).mean()
        assert seam <= steps.max() * 1.3 + 1, f"{name} shows a seam along axis {axis}"

"""The canonical view: what is seen lands where a pinhole would see it, nothing aliases, nothing is passed unseen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nav_foundation.camera import unproject
from nav_foundation.preprocessing import IMAGENET_MEAN, IMAGENET_STD, UNSEEN, CanonicalView, Preprocessor, normalise
from nav_foundation.robot import CameraSpec, load_robot, shipped_robots
from sim_envs.embedded import EmbeddedSimulator
from sim_envs.mesh import Light, Material, SceneMesh
from sim_envs.simulator import Pose

VIEW = CanonicalView()
FISHEYE = CameraSpec(640, 480, 0.5, hfov_deg=180.0, distortion="equidistant", coefficients=(0.0,) * 4)


def room(camera: CameraSpec, samples: int = 3) -> np.ndarray:
    """[H, W, 3] uint8 the inside of a chequered box, by exact ray casting with several samples per pixel."""
    x, y = (((np.arange(n * samples) + 0.5) / samples - 0.5) for n in (camera.width, camera.height))
    ray = unproject(camera, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2))
    with np.errstate(divide="ignore"):
        reach = np.where(ray > 0, [2.0, 1.0, 4.0], [-2.0, -1.5, -4.0]) / ray
    hit = ray * reach.min(axis=1, keepdims=True)
    side = reach.argmin(axis=1)
    chequer = (np.floor(hit + 1e-9).sum(axis=1)) % 2
    light = np.array([[230, 120, 90], [150, 140, 240], [200, 210, 140]])[side] * (0.7 + 0.3 * chequer)[:, None]
    shape = (camera.height, samples, camera.width, samples, 3)
    return np.clip(light.reshape(shape).mean(axis=(1, 3)) + 0.5, 0, 255).astype(np.uint8)


def pinhole_of(view: CanonicalView) -> CameraSpec:
    return CameraSpec(view.width, view.height, 0.5, hfov_deg=view.hfov_deg)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.astype(float).ravel(), b.astype(float).ravel())[0, 1])


def test_a_canonical_camera_is_left_alone() -> None:
    camera = pinhole_of(VIEW)
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    preprocess = Preprocessor(camera)
    assert preprocess.visible.all()
    np.testing.assert_array_equal(preprocess(picture), picture)


def test_an_integer_shrink_is_the_mean_of_the_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    preprocess = Preprocessor(CameraSpec(640, 480, 0.5, hfov_deg=90.0))
    means = picture.reshape(96, 5, 128, 5, 3).mean(axis=(1, 3))
    assert np.abs(preprocess(picture) - means).max() <= 2.0  # two roundings


@pytest.mark.parametrize("camera", [
    CameraSpec(640, 480, 0.5, hfov_deg=90.0), CameraSpec(640, 480, 0.5, hfov_deg=79.0), FISHEYE,
    CameraSpec(1280, 720, 0.5, hfov_deg=120.0),
], ids=["90", "79", "fisheye", "120"])
def test_what_is_too_fine_turns_grey_instead_of_aliasing(camera: CameraSpec) -> None:
    """A chequerboard of single pixels holds no detail that the view could show."""
    board = np.indices((camera.height, camera.width)).sum(axis=0) % 2 * 255
    preprocess = Preprocessor(camera)
    out = preprocess(np.repeat(board[..., None], 3, axis=2).astype(np.uint8))[preprocess.visible].astype(float)
    assert out.mean() == pytest.approx(127.5, abs=2)
    assert out.std() < 12  # taking every nth pixel gives 127


@pytest.mark.parametrize("name", ["vga", "fisheye", *shipped_robots()])
def test_every_camera_gives_the_pinhole_picture(name: str) -> None:
    cameras = {"vga": CameraSpec(640, 480, 0.5, hfov_deg=79.0), "fisheye": FISHEYE}
    camera = cameras[name] if name in cameras else load_robot(name).camera
    preprocess = Preprocessor(camera)
    out, truth = preprocess(room(camera)), room(pinhole_of(VIEW))
    seen = preprocess.visible
    assert seen.mean() > 0.6
    aligned = correlation(out[seen], truth[seen])
    assert aligned > (0.98 if camera.width > 200 else 0.9)
    # Half a pixel of misplacement would show: no shifted picture fits better.
    for shift in (-1, 1):
        for axis in (0, 1):
            assert correlation(out[seen], np.roll(truth, shift, axis=axis)[seen]) < aligned


def painted_room() -> SceneMesh:
    """A room of 8 x 6 x 2.5 m with smooth blotches of colour on every side."""
    low, high = np.array([-4.0, -3.0, 0.0]), np.array([4.0, 3.0, 2.5])
    bits = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)])
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([corner for a, b, c, d in sides for corner in ((a, b, c), (a, c, d))], dtype=np.int32)
    uv = np.tile(np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float32), (6, 1, 1))
    t = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    waves = [127 + 60 * np.sin(a * t)[:, None] + 60 * np.cos(b * t)[None, :] for a, b in ((5, 7), (8, 3), (4, 9))]
    return SceneMesh(
        vertices=(low + bits * (high - low)).astype(np.float32), faces=faces, uv=uv,
        material=np.zeros(12, np.int32), instance=np.zeros(12, np.int32),
        materials=(Material("paint", texture=np.stack(waves, axis=-1).astype(np.uint8), emission=1.0),),
        light=Light(indoor=True),
    )


@pytest.mark.parametrize("name", ["wide", "beyond half the world", *shipped_robots()])
def test_rendered_pictures_coincide_with_a_pinhole_at_the_same_place(name: str) -> None:
    """The whole way: lens, pitch and mount in the simulator, then the warp to the canonical view."""
    own = {
        "wide": CameraSpec(320, 240, 0.6, pitch=-0.2, mount_forward=0.3, hfov_deg=110.0),
        "beyond half the world": CameraSpec(
            400, 300, 1.2, pitch=0.4, hfov_deg=230.0, distortion="equidistant", coefficients=(0.0,) * 4),
    }
    camera = own[name] if name in own else load_robot(name).camera
    pinhole = CameraSpec(
        128, 96, camera.mount_height, pitch=camera.pitch, mount_forward=camera.mount_forward, hfov_deg=90.0)
    simulator, pose = EmbeddedSimulator(), Pose(-1.0, 0.5, 0.0, 0.3)
    simulator.load_mesh(painted_room(), load_robot("turtlebot").footprint)
    pictures = [simulator.render([pose], [c]).rgb for c in (camera, pinhole)]
    assert pictures[0] is not None
    assert pictures[1] is not None
    preprocess = Preprocessor(camera)
    seen = preprocess.visible
    out, truth = preprocess(pictures[0][0])[seen], pictures[1][0]
    assert correlation(out, truth[seen]) > 0.98
    for shift in (-1, 1):
        for axis in (0, 1):
            assert correlation(out, np.roll(truth, shift, axis=axis)[seen]) < correlation(out, truth[seen])


def test_pixels_that_the_camera_does_not_see_are_masked_and_grey() -> None:
    camera = CameraSpec(320, 240, 0.5, hfov_deg=45.0)
    preprocess = Preprocessor(camera)
    out = preprocess(np.full((240, 320, 3), 255, np.uint8))
    assert (out[~preprocess.visible] == UNSEEN).all()
    assert (out[preprocess.visible] == 255).all()
    # The picture spans tan(22.5 degrees) / tan(45 degrees) of the view's width, and as much of its height.
    share = math.tan(math.radians(22.5))
    assert preprocess.visible.any(axis=0).sum() == pytest.approx(share * 128, abs=2)
    assert preprocess.visible.any(axis=1).sum() == pytest.approx(share * 96, abs=2)


def test_the_view_may_have_another_shape() -> None:
    view = CanonicalView(width=64, height=64, hfov_deg=60.0)
    preprocess = Preprocessor(FISHEYE, view)
    out = preprocess(room(FISHEYE))
    assert out.shape == (64, 64, 3)
    assert correlation(out, room(pinhole_of(view))) > 0.98


def test_a_picture_of_another_size_is_refused_by_naming_both() -> None:
    with pytest.raises(ValueError, match=r"320x240 .* 640x480"):
        Preprocessor(FISHEYE)(np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        Preprocessor(FISHEYE)(np.zeros((480, 640, 3)))


def test_a_camera_that_sees_nothing_of_the_view_is_refused() -> None:
    blind = CameraSpec(64, 48, 0.5, fx=60.0, fy=60.0, cx=-500.0, cy=24.0)
    with pytest.raises(ValueError, match="sees nothing"):
        Preprocessor(blind)


@pytest.mark.parametrize("wrong", [{"width": 1}, {"hfov_deg": 180.0}, {"hfov_deg": float("nan")}])
def test_views_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="canonical view"):
        CanonicalView(**wrong)  # type: ignore[arg-type]


def test_normalise_is_imagenets() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 7, 3), dtype=np.uint8)
    out = normalise(picture)
    assert out.shape == (2, 5, 3, 4, 7)
    assert out.dtype == np.float32
    expected = (picture / 255.0 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    np.testing.assert_allclose(out, np.moveaxis(expected, -1, -3), atol=1e-6)
    with pytest.raises(ValueError, match="uint8"):
        normalise(picture.astype(np.float32))

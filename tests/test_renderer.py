"""Pictures against scenes whose every distance, id and colour is known."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nav_foundation.robot import CameraSpec
from sim_envs.embedded.raycaster import EmbreeMesh
from sim_envs.embedded.renderer import Renderer
from sim_envs.embedded.tessellation import tessellate
from sim_envs.embedded.texture_atlas import build_atlas, linear_to_srgb, srgb_to_linear
from sim_envs.mesh import Light, Material, SceneMesh
from sim_envs.simulator import Frames, Pose
from tests import room_scenes
from tests.room_scenes import BLOCK, FLOOR, LOWER, TABLE, UPPER, WALLS

GOLDEN = Path(__file__).parent / "golden"
PINHOLE = CameraSpec(64, 48, 0.9, hfov_deg=79.0)
FISHEYE = CameraSpec(64, 64, 0.5, hfov_deg=170.0, distortion="equidistant", coefficients=(0.0, 0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def empty() -> Renderer:
    return Renderer(room_scenes.empty_room())


@pytest.fixture(scope="module")
def furnished() -> Renderer:
    return Renderer(room_scenes.furnished_room())


@pytest.fixture(scope="module")
def outdoors() -> Renderer:
    return Renderer(room_scenes.street())


def shoot(renderer: Renderer, pose: Pose, camera: CameraSpec) -> Frames:
    return renderer.render([pose], [camera], rgb=True, depth=True, semantic=True)


def optical_rays(camera: CameraSpec) -> np.ndarray:
    """[H, W, 3] by the textbook, not by the code under test; the fisheye has no distortion terms."""
    y, x = np.mgrid[: camera.height, : camera.width]
    x, y = x - (camera.width - 1) / 2, y - (camera.height - 1) / 2
    half = math.radians(camera.hfov_deg or 0.0) / 2
    if camera.distortion == "none":
        rays = np.stack([x, y, np.full(x.shape, camera.width / 2 / math.tan(half))], axis=-1)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    radius = np.hypot(x, y)
    theta = radius / (camera.width / 2 / half)
    return np.stack([np.sin(theta) * x / radius, np.sin(theta) * y / radius, np.cos(theta)], axis=-1)


def room_depth(pose: Pose, camera: CameraSpec) -> np.ndarray:
    """[H, W] planar depth in the bare room: the nearest of the three walls each ray runs towards."""
    optical = optical_rays(camera)
    ahead, left, up = optical[..., 2], -optical[..., 0], -optical[..., 1]
    pitched = (
        math.cos(camera.pitch) * ahead + math.sin(camera.pitch) * up,
        left,
        math.cos(camera.pitch) * up - math.sin(camera.pitch) * ahead,
    )
    c, s = math.cos(pose.yaw), math.sin(pose.yaw)
    world = np.stack([c * pitched[0] - s * pitched[1], s * pitched[0] + c * pitched[1], pitched[2]], axis=-1)
    eye = pose.position + (c * camera.mount_forward, s * camera.mount_forward, camera.mount_height)
    with np.errstate(divide="ignore"):
        reach = np.where(world > 0, (UPPER - eye) / world, (LOWER - eye) / world)
    return reach.min(axis=-1) * optical[..., 2]


# --- depth and ids -------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    x=st.floats(-3.0, 3.0), y=st.floats(-2.0, 2.0), yaw=st.floats(-4.0, 4.0), pitch=st.floats(-0.6, 0.6),
    forward=st.floats(-0.4, 0.4), height=st.floats(0.2, 2.0), lens=st.sampled_from([PINHOLE, FISHEYE]),
)
def test_depth_of_a_room_is_exact_to_a_millimetre(
    empty: Renderer, x: float, y: float, yaw: float, pitch: float, forward: float, height: float, lens: CameraSpec,
) -> None:
    camera = replace(lens, pitch=pitch, mount_forward=forward, mount_height=height)
    pose = Pose(x, y, 0.0, yaw)
    depth = shoot(empty, pose, camera).depth
    expected = room_depth(pose, camera)
    assert depth is not None
    # Behind the image plane, at over 90 degrees from the axis, there is no planar depth.
    assert np.abs(depth[0] - np.maximum(expected, 0.0)).max() < 1e-3


def test_depth_is_exact_far_from_the_origin() -> None:
    room = room_scenes.empty_room()
    moved = replace(room, vertices=room.vertices + np.float32([1000.0, -500.0, 0.0]))
    depth = shoot(Renderer(moved), Pose(1001.0, -501.0, 0.0, 0.4), PINHOLE).depth
    assert depth is not None
    assert np.abs(depth[0] - room_depth(Pose(1.0, -1.0, 0.0, 0.4), PINHOLE)).max() < 1e-3


def test_instances_and_depth_agree_with_where_things_are(furnished: Renderer) -> None:
    frames = shoot(furnished, Pose(-2.0, -2.0, 0.0, 0.0), PINHOLE)
    assert frames.semantic is not None and frames.depth is not None
    middle = frames.semantic[0, :, 31]  # straight ahead lies the block's face x = 1.9, from z = 0 to 0.6
    assert {FLOOR, BLOCK, WALLS} == set(middle.tolist())
    assert np.allclose(frames.depth[0, :, 31][middle == BLOCK][-1], 3.9, atol=1e-3)
    assert set(np.unique(shoot(furnished, Pose(-1.0, 0.5, 0.0, 0.0), PINHOLE).semantic).tolist()) >= {TABLE, WALLS}


def test_the_sky_has_no_depth_and_no_instance(outdoors: Renderer) -> None:
    frames = shoot(outdoors, Pose(0.0, 0.0, 0.0, math.pi), PINHOLE)
    assert frames.rgb is not None and frames.depth is not None and frames.semantic is not None
    assert not frames.depth[0, 0].any() and not frames.semantic[0, 0].any()
    top, low = frames.rgb[0, 0].mean(axis=0), frames.rgb[0, 20].mean(axis=0)
    assert top[2] > top[0] + 20  # blue above
    assert low.mean() > top.mean()  # pale at the horizon
    assert (frames.semantic[0, -1] == FLOOR).all() and (frames.depth[0, -1] > 0).all()


def test_pixels_outside_a_fisheye_circle_are_empty(furnished: Renderer) -> None:
    camera = CameraSpec(  # its polynomial folds within the image
        64, 64, 0.5, fx=22.0, fy=22.0, cx=31.5, cy=31.5, distortion="equidistant", coefficients=(-0.25, 0.0, 0.0, 0.0))
    frames = shoot(furnished, Pose(0.0, 0.0, 0.0, 0.0), camera)
    assert frames.rgb is not None and frames.depth is not None and frames.semantic is not None
    for image in (frames.rgb, frames.depth, frames.semantic):
        assert not image[0, 0, 0].any() and image[0, 32, 32].any()


def test_the_mount_moves_the_camera(empty: Renderer) -> None:
    ahead = shoot(empty, Pose(0.0, 0.0, 0.0, 0.5), replace(PINHOLE, mount_forward=0.7))
    walked = shoot(empty, Pose(0.7 * math.cos(0.5), 0.7 * math.sin(0.5), 0.0, 0.5), PINHOLE)
    assert ahead.depth is not None and walked.depth is not None
    np.testing.assert_allclose(ahead.depth, walked.depth, atol=1e-5)


def test_no_ray_slips_through_a_finely_divided_wall() -> None:
    fine = tessellate(room_scenes.empty_room(), 0.17)
    camera = CameraSpec(160, 120, 1.35, hfov_deg=120.0)
    for yaw in np.linspace(-3.0, 3.0, 7):
        depth = shoot(Renderer(fine), Pose(0.0, 0.0, 0.0, yaw), camera).depth
        assert depth is not None and (depth > 0).all()


# --- colour --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.05, 0.4, 0.9)])
def test_what_shines_by_itself_shows_its_own_colour(colour: tuple[float, float, float]) -> None:
    mesh = replace(room_scenes.empty_room(), materials=(Material("a", colour, emission=1.0),) * 2)
    rgb = shoot(Renderer(mesh), Pose(0.0, 0.0, 0.0, 0.0), PINHOLE).rgb
    assert rgb is not None
    assert np.abs(rgb[0].astype(int) - np.rint(255 * linear_to_srgb(np.array(colour)))).max() <= 1


def test_a_texture_shows_the_right_way_up_and_repeats() -> None:
    quarters = np.zeros((2, 2, 3), np.uint8)
    quarters[0, 0], quarters[0, 1], quarters[1, 0] = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # red is top left
    texture = quarters.repeat(32, axis=0).repeat(32, axis=1)
    wall = np.array([[[5, 5, 0], [5, -5, 0], [5, -5, 10]], [[5, 5, 0], [5, -5, 10], [5, 5, 10]]], np.float32)
    # From -x one sees u run to the right (towards -y) and v run up.
    uv = np.stack([(5 - wall[..., 1]) / 10, wall[..., 2] / 10], axis=-1).astype(np.float32)
    for repeats in (0.0, 3.0, -2.0):
        mesh = SceneMesh(
            wall.reshape(-1, 3), np.arange(6, dtype=np.int32).reshape(2, 3), uv + np.float32(repeats),
            np.zeros(2, np.int32), np.ones(2, np.int32), (Material("t", texture=texture, emission=1.0),))
        rgb = shoot(Renderer(mesh), Pose(0.0, 0.0, 0.0, 0.0), replace(PINHOLE, mount_height=5.0)).rgb
        assert rgb is not None
        np.testing.assert_array_equal(rgb[0, 12, 16], (255, 0, 0))
        np.testing.assert_array_equal(rgb[0, 12, 48], (0, 255, 0))
        np.testing.assert_array_equal(rgb[0, 36, 16], (0, 0, 255))
        np.testing.assert_array_equal(rgb[0, 36, 48], (0, 0, 0))


def test_a_far_checkerboard_turns_into_its_mean_without_moire() -> None:
    texture = room_scenes.checkerboard(8, 64, (0, 0, 0), (255, 255, 255))  # 12.5 cm squares
    ground = room_scenes.box((-200.0, -200.0, -1.0), (200.0, 200.0, 0.0))
    mesh = room_scenes.mesh_of([(ground, 0, FLOOR)], [Material("t", texture=texture, emission=1.0)], Light())
    frames = shoot(Renderer(mesh), Pose(0.0, 0.0, 0.0, 0.3), CameraSpec(128, 96, 1.0, hfov_deg=79.0))
    assert frames.rgb is not None and frames.depth is not None
    grey = srgb_to_linear(frames.rgb[0, ..., 0] / 255.0)
    far = (frames.depth[0] > 15.0) & (frames.depth[0] < 100.0)
    near = (frames.depth[0] > 0) & (frames.depth[0] < 2.5)
    assert far.sum() > 300
    assert abs(grey[far].mean() - 0.5) < 0.02
    assert grey[far].std() < 0.03
    assert grey[near].std() > 0.3  # and is a checkerboard still where it can be


def test_stripes_along_the_view_stay_sharp_at_a_grazing_angle() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:32] = 255  # along u, which is x on the ground: half a metre dark, half a metre bright
    ground = room_scenes.box((-20.0, -20.0, -1.0), (20.0, 20.0, 0.0))
    mesh = room_scenes.mesh_of([(ground, 0, FLOOR)], [Material("t", texture=stripes, emission=1.0)], Light())
    frames = shoot(Renderer(mesh), Pose(0.0, 0.0, 0.0, 0.0), CameraSpec(128, 96, 0.5, hfov_deg=79.0))
    assert frames.rgb is not None and frames.depth is not None
    there = (frames.depth[0] > 3.0) & (frames.depth[0] < 4.0)  # seen at 8 degrees, a stripe is ten pixels wide
    assert there.sum() > 100
    assert srgb_to_linear(frames.rgb[0, ..., 0] / 255.0)[there].std() > 0.4  # 0.5 were it all black and white


def test_mip_levels_keep_the_mean_light() -> None:
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 256, (64, 128, 3)).astype(np.uint8)
    atlas = build_atlas([texture])
    start, width, height = atlas.levels[1, -1]
    assert (width, height) == (1, 1)
    last = atlas.texels[start] >> np.array([0, 8, 16], np.uint32) & 255
    mean = linear_to_srgb(srgb_to_linear(texture / 255.0).mean(axis=(0, 1))) * 255.0
    assert np.abs(last - mean).max() <= 1.5


def test_vertex_colours_blend_between_corners() -> None:
    wall = np.array([[[5, 20, -20], [5, -20, -20], [5, 0, 40]]], np.float32)
    mesh = SceneMesh(
        wall[0], np.array([[0, 1, 2]], np.int32), np.zeros((1, 3, 2), np.float32), np.zeros(1, np.int32),
        np.ones(1, np.int32), (Material("m", emission=1.0),), colours=np.full((1, 3, 3), (255, 0, 0), np.uint8))
    mixed = replace(mesh, colours=np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    pose, camera = Pose(0.0, 0.0, 0.0, 0.0), CameraSpec(1, 1, 0.5, hfov_deg=1.0)
    plain, blend = shoot(Renderer(mesh), pose, camera).rgb, shoot(Renderer(mixed), pose, camera).rgb
    assert plain is not None and blend is not None
    np.testing.assert_array_equal(plain[0, 0, 0], (255, 0, 0))
    upper = 20.5 / 60.0  # barycentric weight of the top corner at the wall's point (5, 0, 0.5)
    expected = linear_to_srgb(np.array([(1 - upper) / 2, (1 - upper) / 2, upper])) * 255.0
    assert np.abs(blend[0, 0, 0] - expected).max() <= 1.0


def test_the_sun_lights_and_things_throw_shadows() -> None:
    ground, roof = room_scenes.box((-30, -30, -1), (30, 30, 0)), room_scenes.box((4.5, -0.5, 3.0), (5.5, 0.5, 3.1))
    light = Light(sun=(0.0, 0.0, 1.0))
    mesh = room_scenes.mesh_of([(ground, 0, 1), (roof, 0, 2)], [Material("grey", (0.5, 0.5, 0.5))], light)
    camera = CameraSpec(101, 101, 1.0, hfov_deg=60.0, pitch=math.atan2(1.0, 5.0))
    rgb = shoot(Renderer(mesh), Pose(0.0, 0.0, 0.0, 0.0), camera).rgb
    assert rgb is not None
    linear = srgb_to_linear(rgb[0, ..., 1] / 255.0)
    shadow, sunlit = linear[50, 50], linear[80, 50]  # the optical axis meets the ground at (5, 0), below the roof
    assert sunlit - shadow == pytest.approx(0.5 * light.sun_strength, rel=0.25)
    assert shadow > 0.05  # the sky still lights it


def test_light_is_smooth_and_darker_under_the_table() -> None:
    mesh = room_scenes.furnished_room()
    plain = replace(mesh, materials=(Material("plain", (0.5, 0.5, 0.5)), *mesh.materials[1:]))
    renderer = Renderer(plain)
    frames = shoot(renderer, Pose(-1.5, 0.5, 0.0, 0.0), replace(PINHOLE, pitch=0.25))
    assert frames.rgb is not None and frames.semantic is not None and frames.depth is not None
    floor = np.where(frames.semantic[0] == FLOOR, frames.rgb[0, ..., 1].astype(float), np.nan)
    under = floor[(frames.depth[0] > 3.0) & (frames.depth[0] < 4.0)]
    before = floor[(frames.depth[0] > 1.5) & (frames.depth[0] < 2.0)]
    assert np.nanmedian(before) - np.nanmin(under) > 12
    assert np.nanpercentile(np.abs(np.diff(floor, axis=1)), 99) < 8  # no blotches


# --- sameness ------------------------------------------------------------------------------------------------------


VIEWS = {
    "room": (room_scenes.furnished_room, Pose(-3.0, -1.0, 0.0, 0.3), CameraSpec(96, 72, 0.9, hfov_deg=79.0)),
    "room_fisheye": (room_scenes.furnished_room, Pose(-0.5, -1.0, 0.0, 0.2), FISHEYE),
    "street": (room_scenes.street, Pose(0.0, -1.0, 0.0, 0.0), CameraSpec(96, 72, 1.2, hfov_deg=79.0)),
}


def picture(name: str) -> np.ndarray:
    build, pose, camera = VIEWS[name]
    rgb = shoot(Renderer(build()), pose, camera).rgb
    assert rgb is not None
    return rgb[0]


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_pictures_look_like_the_golden_ones(name: str) -> None:
    stored = cv2.imread(str(GOLDEN / f"{name}.png"))[..., ::-1]
    difference = np.abs(picture(name).astype(int) - stored)
    assert difference.mean() < 0.5
    assert (difference <= 2).mean() > 0.995


def test_pictures_are_the_same_bits_in_another_process() -> None:
    code = "from tests.test_renderer import digest; print(digest())"
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=GOLDEN.parent.parent, capture_output=True, text=True, check=True, timeout=120)
    assert other.stdout.strip() == digest()


def digest() -> str:
    return hashlib.sha256(b"".join(picture(name).tobytes() for name in sorted(VIEWS))).hexdigest()


def test_a_batch_equals_single_pictures(furnished: Renderer) -> None:
    poses = [Pose(-3.0 + 0.5 * k, -1.0, 0.0, 0.4 * k) for k in range(5)]
    cameras = [replace(PINHOLE, pitch=0.05 * k) for k in range(5)]
    batch = furnished.render(poses, cameras, rgb=True, depth=True, semantic=True)
    for index, (pose, camera) in enumerate(zip(poses, cameras)):
        single = shoot(furnished, pose, camera)
        for many, one in ((batch.rgb, single.rgb), (batch.depth, single.depth), (batch.semantic, single.semantic)):
            assert many is not None and one is not None
            np.testing.assert_array_equal(many[index], one[0])


def test_channels_not_asked_for_are_none(furnished: Renderer) -> None:
    full = shoot(furnished, Pose(0.0, 0.0, 0.0, 1.0), PINHOLE)
    only = furnished.render([Pose(0.0, 0.0, 0.0, 1.0)], [PINHOLE], rgb=False, depth=True, semantic=False)
    assert only.rgb is None and only.semantic is None
    assert full.depth is not None and only.depth is not None
    np.testing.assert_array_equal(only.depth, full.depth)


def test_two_threads_draw_what_one_draws(furnished: Renderer, outdoors: Renderer) -> None:
    poses = [Pose(-1.0, 0.1 * k, 0.0, 0.3 * k) for k in range(20)]
    expected = [[shoot(renderer, pose, PINHOLE).rgb for pose in poses] for renderer in (furnished, outdoors)]
    drawn: list[list[np.ndarray | None]] = [[], []]

    def work(index: int, renderer: Renderer) -> None:
        drawn[index] = [shoot(renderer, pose, PINHOLE).rgb for pose in poses]

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate((furnished, outdoors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, other in zip(expected, drawn):
        np.testing.assert_array_equal(np.array(mine), np.array(other))


# --- building blocks -----------------------------------------------------------------------------------------------


def test_splitting_keeps_area_and_bounds_edges() -> None:
    mesh = room_scenes.furnished_room()
    fine = tessellate(mesh, 0.5)

    def areas(m: SceneMesh) -> np.ndarray:
        t = m.triangles.astype(np.float64)
        return np.linalg.norm(np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0]), axis=1) / 2

    edges = fine.triangles - np.roll(fine.triangles, 1, axis=1)
    assert np.linalg.norm(edges, axis=2).max() <= 0.5 + 1e-6
    for instance in (FLOOR, WALLS, BLOCK, TABLE):
        before, after = areas(mesh)[mesh.instance == instance].sum(), areas(fine)[fine.instance == instance].sum()
        assert after == pytest.approx(before, rel=1e-6)


def test_panels_that_meet_in_a_corner_share_it_once_split() -> None:
    tall = np.array([[[0, 0, 0], [1, 0, 0], [1, 0, 2]], [[0, 0, 0], [1, 0, 2], [0, 0, 2]]], np.float32)
    low = np.array([[[1, 0, 0], [2, 0, 0], [2, 0, 0.7]], [[1, 0, 0], [2, 0, 0.7], [1, 0, 0.7]]], np.float32)
    mesh = room_scenes.mesh_of([(tall, 0, 1), (low, 0, 2)], [Material("m")], Light())
    split = tessellate(mesh, 10.0, meet=0.2)
    upright = split.triangles[split.instance == 1].reshape(-1, 3)
    assert (upright == np.float32([1, 0, 0.7])).all(axis=1).any()
    assert len(split.faces) == 5 and split.vertices[:, 1].any() == np.False_
    assert len(tessellate(mesh, 10.0).faces) == 4


def test_embree_finds_the_nearest_face_and_respects_the_limit() -> None:
    boxes = [room_scenes.box((2, -1, -1), (3, 1, 1)), room_scenes.box((5, -1, -1), (6, 1, 1))]
    rays = EmbreeMesh(np.concatenate(boxes))
    origins, directions = np.zeros((2, 3), np.float32), np.array([[1, 0, 0], [-1, 0, 0]], np.float32)
    hits = rays.cast(origins + np.float32([0, 0.2, 0.3]), directions)
    assert hits.face[0] < 12 and hits.face[1] == -1
    assert hits.distance[0] == pytest.approx(2.0, abs=1e-4)
    assert rays.cast(origins, directions, np.full(2, 1.5, np.float32)).face.tolist() == [-1, -1]
    assert rays.blocked(origins, directions).tolist() == [True, False]

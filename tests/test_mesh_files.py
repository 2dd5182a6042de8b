"""Mesh files: what is written with trimesh comes out at the right place, in the right colours, or is refused."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from nav_foundation.robot import CameraSpec
from sim_envs.embedded import EmbeddedSimulator
from sim_envs.embedded.renderer import Renderer
from sim_envs.habitat_frame import from_habitat, to_habitat, yaw_from_habitat, yaw_to_habitat
from sim_envs.mesh import SceneMesh
from sim_envs.scenes.files import category_of, load_mesh_file
from sim_envs.simulator import Pose, SceneError

RED, BLUE = (220, 30, 30), (30, 40, 210)


def two_tone() -> Image.Image:
    """Upper half red, lower half blue."""
    image = Image.new("RGB", (16, 16), RED)
    image.paste(BLUE, (0, 8, 16, 16))
    return image


def sign(material: object) -> trimesh.Trimesh:
    """A square in the y-up frame: x to the right, y up, facing +z; the picture upright on it."""
    square = trimesh.Trimesh([[-1, 0, 0], [1, 0, 0], [1, 2, 0], [-1, 2, 0]], [[0, 1, 2], [0, 2, 3]], process=False)
    square.visual = trimesh.visual.TextureVisuals(uv=[[0, 0], [1, 0], [1, 1], [0, 1]], material=material)
    return square


def box(size: tuple[float, float, float], colour: tuple[int, int, int] = (200, 60, 60)) -> trimesh.Trimesh:
    body = trimesh.creation.box(size)
    body.visual.face_colors = (*colour, 255)
    return body


def bounds(mesh: SceneMesh) -> np.ndarray:
    corners = mesh.triangles.reshape(-1, 3)
    return np.array([corners.min(axis=0), corners.max(axis=0)])


def message(path: Path) -> str:
    with pytest.raises(SceneError) as caught:
        load_mesh_file(str(path))
    text = str(caught.value)
    assert str(path.name) in text
    assert "\n" not in text
    return text


# -- axes ------------------------------------------------------------------------------------------------------------


def test_habitat_frame_turns_forward_into_forward_and_back() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    assert np.allclose(from_habitat([0, 0, -1]), [1, 0, 0])
    assert np.allclose(from_habitat([0, 1, 0]), [0, 0, 1])
    assert np.allclose(to_habitat(from_habitat(points)), points)
    a, b = points[:25], points[25:]
    assert np.allclose(from_habitat(np.cross(a, b)), np.cross(from_habitat(a), from_habitat(b)))  # right-handed


@pytest.mark.parametrize("yaw", [0.0, 0.3, -2.0, 3.1])
def test_habitat_rotation_turns_habitats_forward_to_the_yaw(yaw: float) -> None:
    x, y, z, w = yaw_to_habitat(yaw)
    rotation = trimesh.transformations.quaternion_matrix([w, x, y, z])[:3, :3]
    ahead = from_habitat(rotation @ [0.0, 0.0, -1.0])
    assert np.allclose(ahead, [math.cos(yaw), math.sin(yaw), 0.0])
    assert yaw_from_habitat((x, y, z, w)) == pytest.approx(yaw)
    assert yaw_from_habitat((-3 * x, -3 * y, -3 * z, -3 * w)) == pytest.approx(yaw)


def test_habitat_rotation_of_zeros_is_refused() -> None:
    with pytest.raises(ValueError, match="no quaternion"):
        yaw_from_habitat((0, 0, 0, 0))


@pytest.mark.parametrize("suffix", ["glb", "obj"])
def test_y_up_files_stand_up(tmp_path: Path, suffix: str) -> None:
    body = box((1, 2, 3))  # 2 m tall, 3 m deep
    body.apply_translation([10, 1, -20])
    path = tmp_path / f"a.{suffix}"
    body.export(path)
    assert np.allclose(bounds(load_mesh_file(str(path))), [[18.5, -10.5, 0], [21.5, -9.5, 2]], atol=1e-5)


def test_ply_is_z_up_as_it_is(tmp_path: Path) -> None:
    body = box((1, 2, 3))
    body.apply_translation([10, 0, 1.5])
    body.export(tmp_path / "a.ply")
    assert np.allclose(bounds(load_mesh_file(str(tmp_path / "a.ply"))), [[9.5, -1, 0], [10.5, 1, 3]], atol=1e-5)


def test_sidecar_says_what_is_up_and_how_long_a_unit_is(tmp_path: Path) -> None:
    box((1, 2, 3)).export(tmp_path / "a.glb")
    config = tmp_path / "a.stage_config.json"
    config.write_text(json.dumps({"render_asset": "a.glb", "up": [0, 0, 1], "front": [0, 1, 0], "units_to_meters": 2}))
    for path in (tmp_path / "a.glb", config):
        assert np.allclose(bounds(load_mesh_file(str(path)))[1], [2, 1, 3])
    config.write_text(json.dumps({"up": [0, 0, 1], "front": [0, 1, 1]}))
    assert "right angles" in message(tmp_path / "a.glb")


def test_scan_beside_a_navmesh_is_z_up_with_y_ahead(tmp_path: Path) -> None:
    box((1, 2, 3)).export(tmp_path / "a.glb")
    (tmp_path / "a.navmesh").write_bytes(b"")
    assert np.allclose(bounds(load_mesh_file(str(tmp_path / "a.glb")))[1], [1, 0.5, 1.5])


def test_dataset_configuration_above_a_scan_is_honoured(tmp_path: Path) -> None:
    (tmp_path / "val" / "00800").mkdir(parents=True)
    box((1, 2, 3)).export(tmp_path / "val" / "00800" / "a.glb")
    attributes = {"up": [0, 0, 1], "front": [0, 1, 0]}
    (tmp_path / "hm.scene_dataset_config.json").write_text(json.dumps({"stages": {"default_attributes": attributes}}))
    assert np.allclose(bounds(load_mesh_file(str(tmp_path / "val" / "00800" / "a.glb")))[1], [1, 0.5, 1.5])


# -- the scene graph -------------------------------------------------------------------------------------------------


def test_nodes_are_placed_and_become_instances(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(box((20, 0.1, 20)), node_name="floor", geom_name="slab")
    chair = box((1, 1, 1))
    for name, x in (("chair_1", 3.0), ("chair_2", -4.0)):
        place = trimesh.transformations.translation_matrix([x, 0.5, 2.0])
        scene.add_geometry(chair, node_name=name, geom_name="seat", transform=place)
    scene.export(tmp_path / "room.glb")
    mesh = load_mesh_file(str(tmp_path / "room.glb"))
    chairs = sorted((i for i in mesh.instances if i.category == "chair"), key=lambda i: i.centre[1])
    assert len(mesh.instances) == 3
    assert np.allclose([c.centre for c in chairs], [[-2, -3], [-2, 4]])
    assert all(c.is_object and (c.bottom, c.top) == pytest.approx((0, 1)) for c in chairs)
    assert not next(i for i in mesh.instances if i.category == "floor").is_object
    for thing in mesh.instances:
        heights = mesh.triangles[mesh.instance == thing.id][..., 2]
        assert (heights.min(), heights.max()) == pytest.approx((thing.bottom, thing.top))


def test_mirrored_nodes_keep_their_outside(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(box((1, 2, 3)), transform=np.diag([-1.0, 1.0, 1.0, 1.0]))
    scene.export(tmp_path / "a.glb")
    mesh = load_mesh_file(str(tmp_path / "a.glb"))
    assert trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).volume == pytest.approx(6.0)


@pytest.mark.parametrize(("name", "category"), [
    ("chair_3", "chair"), ("Chair.001", "chair"), ("OfficeChair_03", "office chair"), ("potted-plant", "potted plant"),
    ("mesh_12", ""), ("geometry_0", ""), ("world", ""), ("a.glb", ""), ("node_4f2a9c11", ""), ("8f3acb91d2", ""),
])
def test_names_become_categories(name: str, category: str) -> None:
    assert category_of(name) == category


def test_degenerate_triangles_are_dropped(tmp_path: Path) -> None:
    corners = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]]
    body = trimesh.Trimesh(corners, [[0, 1, 2], [0, 1, 3], [1, 1, 2]], process=False)
    body.export(tmp_path / "a.ply")
    assert len(load_mesh_file(str(tmp_path / "a.ply")).faces) == 1


@pytest.mark.parametrize(("width", "cell"), [(20.0, 0.05), (49.0, 0.05), (100.0, 0.1), (5000.0, 0.5)])
def test_wide_worlds_get_coarse_cells(tmp_path: Path, width: float, cell: float) -> None:
    box((width, 1, 1)).export(tmp_path / "a.ply")
    assert load_mesh_file(str(tmp_path / "a.ply")).navigation_cell == pytest.approx(cell)


# -- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["glb", "gltf", "obj"])
def test_pictures_are_upright_and_keep_their_colours(tmp_path: Path, suffix: str) -> None:
    picture = two_tone()
    material = SimpleMaterial(image=picture) if suffix == "obj" else PBRMaterial(baseColorTexture=picture)
    path = tmp_path / f"sign.{suffix}"
    scene = trimesh.Scene({"sign": sign(material)})
    if suffix == "gltf":
        for name, data in scene.export(file_type="gltf").items():
            (tmp_path / name.replace("model.gltf", "sign.gltf")).write_bytes(data)
    else:
        scene.export(path)
    (tmp_path / "sign.stage_config.json").write_text(json.dumps({"shader_type": "flat"}))  # colours as they are
    mesh = load_mesh_file(str(path))
    # The sign faces the file's +z, which is our -x: stand there and look ahead.
    camera = CameraSpec(width=64, height=64, mount_height=1.0, hfov_deg=60)
    frames = Renderer(mesh).render([Pose(-3.0, 0.0, 0.0, 0.0)], [camera], rgb=True, depth=True, semantic=False)
    assert frames.rgb is not None
    assert frames.depth is not None
    assert frames.depth[0, 32, 32] == pytest.approx(3.0, abs=1e-3)
    assert np.abs(frames.rgb[0, 20, 32].astype(int) - RED).max() <= 3
    assert np.abs(frames.rgb[0, 44, 32].astype(int) - BLUE).max() <= 3


def test_several_materials_stay_apart(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    for k, colour in enumerate([(255, 0, 0, 255), (0, 255, 0, 255)]):
        body = box((1, 1, 1))
        body.visual = trimesh.visual.TextureVisuals(material=PBRMaterial(name=f"m{k}", baseColorFactor=colour))
        body.apply_translation([3 * k, 0, 0])
        scene.add_geometry(body)
    scene.export(tmp_path / "a.glb")
    mesh = load_mesh_file(str(tmp_path / "a.glb"))
    left = mesh.triangles[:, :, 1].mean(axis=1)  # y = -x of the file
    colours = np.array([m.colour for m in mesh.materials])[mesh.material]
    assert np.allclose(colours[left > -1], [1, 0, 0])
    assert np.allclose(colours[left < -2], [0, 1, 0])


def test_a_material_keeps_its_picture_where_another_part_cannot_place_it(tmp_path: Path) -> None:
    material = PBRMaterial(baseColorTexture=Image.new("RGB", (4, 4), RED))
    bare = sign(material)
    bare.visual = trimesh.visual.TextureVisuals(material=material)
    scene = trimesh.Scene()
    scene.add_geometry(bare, node_name="a")  # first, so that it meets the material first
    scene.add_geometry(sign(material), node_name="b")
    scene.export(tmp_path / "a.glb")
    mesh = load_mesh_file(str(tmp_path / "a.glb"))
    first, second = (mesh.materials[k] for k in mesh.material[[0, -1]])
    assert (first.texture is None, second.texture is None) == (True, False)
    assert first.colour[0] > 5 * first.colour[1]
    assert second.colour == (1.0, 1.0, 1.0)


def test_vertex_and_face_colours_of_ply(tmp_path: Path) -> None:
    triangle = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], process=False)
    triangle.visual.vertex_colors = [[255, 0, 0, 255], [0, 255, 0, 255], [10, 20, 30, 255]]
    triangle.export(tmp_path / "v.ply")
    mesh = load_mesh_file(str(tmp_path / "v.ply"))
    assert mesh.colours is not None
    assert mesh.colours[0].tolist() == [[255, 0, 0], [0, 255, 0], [10, 20, 30]]
    box((1, 1, 1), (12, 120, 230)).export(tmp_path / "f.ply")
    mesh = load_mesh_file(str(tmp_path / "f.ply"))
    assert mesh.colours is not None
    assert (mesh.colours == (12, 120, 230)).all()


def test_mtl_colour_is_what_the_screen_shows(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl wall\nf 1 2 3\n")
    (tmp_path / "a.mtl").write_text("newmtl wall\nKd 0.5 0.25 1.0\n")
    assert load_mesh_file(str(tmp_path / "a.obj")).materials[0].colour == pytest.approx((0.214, 0.051, 1.0), abs=2e-3)


# -- refusals --------------------------------------------------------------------------------------------------------


def test_files_that_are_not_there_or_not_meshes(tmp_path: Path) -> None:
    assert "does not exist" in message(tmp_path / "nowhere.glb")
    (tmp_path / "folder.glb").mkdir()
    assert "is a folder" in message(tmp_path / "folder.glb")
    (tmp_path / "a.fbx").write_bytes(b"x")
    assert "convert it to one of .glb" in message(tmp_path / "a.fbx")
    (tmp_path / "empty.ply").write_bytes(b"")
    assert "is empty" in message(tmp_path / "empty.ply")
    (tmp_path / "text.glb").write_text("this is not a mesh at all, only words")
    assert "not a binary glTF" in message(tmp_path / "text.glb")


@pytest.mark.parametrize("suffix", ["glb", "ply", "obj"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_cut_off_files(tmp_path: Path, suffix: str, share: float) -> None:
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    box((1, 1, 1)).export(whole)
    data = whole.read_bytes()
    if suffix == "obj" and share == 0.9:  # ends in the middle of a face
        share = data.rindex(b" ") / len(data)
    cut.write_bytes(data[: int(share * len(data))])
    message(cut)


def test_points_without_triangles(tmp_path: Path) -> None:
    trimesh.PointCloud(np.random.default_rng(0).random((20, 3))).export(tmp_path / "cloud.ply")
    assert "no triangles" in message(tmp_path / "cloud.ply")


def test_vertices_that_are_not_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert "not numbers" in message(tmp_path / "a.obj")


def test_triangles_of_missing_vertices(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n")
    message(tmp_path / "a.obj")


def test_worlds_measured_in_millimetres(tmp_path: Path) -> None:
    box((30_000, 3_000, 30_000)).export(tmp_path / "a.glb")
    assert "metres are expected" in message(tmp_path / "a.glb")


@pytest.mark.parametrize("place", [(500_000.0, 0.0, -4_600_000.0), (0.0, 30_000.0, 0.0)])
def test_worlds_far_from_their_origin(tmp_path: Path, place: tuple[float, float, float]) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(box((4, 1, 4)), transform=trimesh.transformations.translation_matrix(place))
    scene.export(tmp_path / "a.glb")
    assert "from its origin" in message(tmp_path / "a.glb")


def test_missing_material_file_and_picture(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("mtllib gone.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert "gone.mtl, which is missing" in message(tmp_path / "a.obj")
    (tmp_path / "gone.mtl").write_text("newmtl m\nmap_Kd lost.png\n")
    with pytest.raises(SceneError, match=r"lost\.png, which is missing"):
        load_mesh_file(str(tmp_path / "a.obj"))


def test_material_files_that_the_reader_would_pass_over(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("mtllib a.mtl b.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    for name in ("a.mtl", "b.mtl"):
        (tmp_path / name).write_text(f"newmtl {name[0]}\nKd 1 0 0\n")
    assert "join them into one" in message(tmp_path / "a.obj")
    (tmp_path / "a.obj").write_text("mtllib with space.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (tmp_path / "with space.mtl").write_text("newmtl m\nmap_Kd -s 2 2 1 wood.png\n")
    assert "options (-s)" in message(tmp_path / "a.obj")


@pytest.mark.parametrize("header", [{"images": {"a": 1}}, {"meshes": [3]}, {"materials": "red"}, {"buffers": [None]}])
def test_headers_of_another_shape_are_refused(tmp_path: Path, header: dict[str, object]) -> None:
    write_glb(tmp_path / "a.glb", {"asset": {"version": "2.0"}, **header})
    assert "broken header" in message(tmp_path / "a.glb")


def write_glb(path: Path, header: dict[str, object]) -> None:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    path.write_bytes(struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A) + text)


def test_compressed_textures_and_triangles_name_the_way_out(tmp_path: Path) -> None:
    asset = {"version": "2.0"}
    write_glb(tmp_path / "a.glb", {"asset": asset, "extensionsUsed": ["KHR_texture_basisu"]})
    assert "Habitat" in message(tmp_path / "a.glb")
    write_glb(tmp_path / "b.glb", {"asset": asset, "images": [{"mimeType": "image/ktx2", "bufferView": 0}]})
    assert "Habitat" in message(tmp_path / "b.glb")
    write_glb(tmp_path / "o.basis.glb", {"asset": asset, "extensionsRequired": ["GOOGLE_texture_basis"]})
    assert "embedded simulator cannot read: use Habitat for it (docs/habitat.md)" in message(tmp_path / "o.basis.glb")
    write_glb(tmp_path / "p.basis.glb", {"asset": asset, "images": [{"mimeType": "image/x-basis", "bufferView": 0}]})
    assert "Habitat" in message(tmp_path / "p.basis.glb")
    write_glb(tmp_path / "c.glb", {"asset": asset, "extensionsUsed": ["KHR_draco_mesh_compression"]})
    assert "without compression" in message(tmp_path / "c.glb")
    write_glb(tmp_path / "d.glb", {"asset": asset, "buffers": [{"uri": "d.bin", "byteLength": 3}]})
    assert "d.bin, which is missing" in message(tmp_path / "d.glb")
    write_glb(tmp_path / "e.glb", {"asset": asset})
    message(tmp_path / "e.glb")


def test_fans_and_colours_of_16_bits_are_not_garbled(tmp_path: Path) -> None:
    asset = {"version": "2.0"}
    fan = {"attributes": {"POSITION": 0}, "mode": 6}
    write_glb(tmp_path / "a.glb", {"asset": asset, "meshes": [{"primitives": [fan]}]})
    assert "plain triangles" in message(tmp_path / "a.glb")
    coloured = {"attributes": {"POSITION": 0, "COLOR_0": 1}}
    accessors = [{"componentType": 5126, "type": "VEC3"}, {"componentType": 5123, "type": "VEC4", "normalized": True}]
    write_glb(tmp_path / "b.glb", {"asset": asset, "meshes": [{"primitives": [coloured]}], "accessors": accessors})
    assert "16 bits" in message(tmp_path / "b.glb")


def test_broken_sidecar(tmp_path: Path) -> None:
    box((1, 1, 1)).export(tmp_path / "a.glb")
    (tmp_path / "a.stage_config.json").write_text('{"up": [0, 1')
    with pytest.raises(SceneError, match=r"a\.stage_config\.json cannot be read as JSON"):
        load_mesh_file(str(tmp_path / "a.glb"))


def test_loaded_room_can_be_driven_in(tmp_path: Path) -> None:
    from nav_foundation.robot import Footprint
    from sim_envs.simulator import SceneRef

    room = trimesh.Scene()
    room.add_geometry(box((8, 0.2, 6)), node_name="floor", transform=np.eye(4))
    pillar = trimesh.transformations.translation_matrix([0, 1.0, 0])
    room.add_geometry(box((1, 2, 1)), node_name="pillar", transform=pillar)
    room.export(tmp_path / "room.glb")
    simulator = EmbeddedSimulator()
    info = simulator.load(SceneRef("file", path=str(tmp_path / "room.glb")), Footprint(0.2, 0.5))
    way = simulator.geodesic(np.array([0.0, 3.0, 0.1]), np.array([[0.0, -3.0, 0.1]]))
    around = 2 * math.hypot(2.3, 0.7) + 1.4  # past the pillar, grown by the robot's radius, at its corners
    assert {thing.category for thing in info.instances} == {"floor", "pillar"}
    assert way.distance == pytest.approx(around, rel=0.03)

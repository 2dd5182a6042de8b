"""Where the scenes of public data sets lie below the scenes folder, as their episode files name them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

LAYOUTS = {  # by the first folder of a scene's name
    "hm3d": "hm3d/{train,val}/00800-TEEsavR23oF/TEEsavR23oF.basis.glb",
    "hm3d_v0.2": "hm3d_v0.2/{train,val}/00800-TEEsavR23oF/TEEsavR23oF.basis.glb",
    "mp3d": "mp3d/17DRP5sb8fy/17DRP5sb8fy.glb",
    "gibson": "gibson/Adrian.glb",
    "replica": "replica/apartment_0/habitat/mesh_semantic.ply",
    "habitat-test-scenes": "habitat-test-scenes/apartment_1.glb",
}


def how_to_find(name: str, scenes_dir: Path | None) -> str:
    """What to do about a scene that is not there: `name` is its path below the scenes folder."""
    parts = PurePosixPath(name).parts
    if scenes_dir is not None and len(parts) > 1:
        for folder, why in ((scenes_dir.parent, "the folder above"), (scenes_dir / "scene_datasets", "the one within")):
            if (folder / name).is_file():
                return f"give {folder} as scenes folder, {why}, which has it"
    layout = LAYOUTS.get(parts[0]) if parts else None
    if layout is None:
        return f"put it there, or give the scenes folder that holds {name}"
    return f"give the scenes folder in which {parts[0]} is laid out as {layout}"

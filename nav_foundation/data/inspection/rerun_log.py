"""Drives as a file of the rerun viewer: scrub through pictures, the way ahead, and actions."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from nav_foundation.camera import floor_pixels
from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.images import encode_jpeg
from nav_foundation.data.inspection.finding import Finding
from nav_foundation.data.inspection.future import AHEAD, fits, future_path
from nav_foundation.data.inspection.inspect import Inspection
from nav_foundation.data.inspection.look import Seen, look_at
from nav_foundation.data.schema import FRONT, DataError

EPISODES = 20  # suspicious ones for up to half of them
FRAMES = 400  # of an episode: a file of some 100 MB at most, which the viewer still opens at once
_AHEAD_COLOUR, _DRIVEN_COLOUR = (34, 197, 94), (37, 99, 235)


def need_rerun() -> None:
    if importlib.util.find_spec("rerun") is None:
        raise DataError("--rerun needs rerun, which is not installed: pip install 'nav-foundation[viz]'")


def write_rerun(inspection: Inspection, path: Path) -> str:
    """Write the file; returns a sentence that says what is in it."""
    need_rerun()
    import rerun as rr

    findings: dict[int, list[Finding]] = defaultdict(list)
    for finding in inspection.findings:
        findings[finding.episode].append(finding)
    chosen = _chosen([row.number for row in inspection.rows], sorted(findings))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise DataError(f"--rerun {path} cannot be written: {error.strerror or error}") from None
    stream = rr.RecordingStream("nav_foundation")
    stream.save(path)
    thinned = 0
    for episode in chosen:
        seen = look_at(inspection.dataset, episode)
        thinned += seen.frames > FRAMES
        _log(stream, inspection.dataset, seen, findings[episode])
    stream.flush()
    stream.disconnect()
    which = f"{len(chosen)} of {len(inspection.rows):,} episodes" if len(chosen) < len(inspection.rows) else (
        f"all {len(chosen)} episodes")
    return f"{path}: {which}" + (f", {thinned} of them thinned to {FRAMES} frames" if thinned else "")


def _chosen(episodes: list[int], suspicious: list[int]) -> list[int]:
    """Suspicious episodes for up to half, others evenly spread."""
    if len(episodes) <= EPISODES:
        return episodes
    first = suspicious[: EPISODES // 2]
    others = [episode for episode in episodes if episode not in set(suspicious)] or suspicious
    rest = {others[k] for k in np.linspace(0, len(others) - 1, EPISODES - len(first)).round().astype(int)}
    return sorted({*first, *rest})


def _log(stream: Any, dataset: EpisodeDataset, seen: Seen, findings: list[Finding]) -> None:
    import rerun as rr

    name = f"episode_{seen.number}"
    stream.log(f"{name}/task", rr.TextDocument(seen.info.instruction or seen.info.task), static=True)
    if seen.poses is not None:
        stream.log(f"{name}/plan/driven", rr.LineStrips3D([_flat(seen.poses)], colors=[_DRIVEN_COLOUR]), static=True)
    for finding in findings:
        stream.set_time("drive", duration=float(seen.seconds[finding.frame]))
        stream.log(f"{name}/findings", rr.TextLog(finding.text, level="WARN"))
    at = np.unique(np.linspace(0, seen.frames - 1, min(FRAMES, seen.frames)).round().astype(int))
    for frame in at.tolist():
        stream.set_time("drive", duration=float(seen.seconds[frame]))
        if FRONT in dataset.features:
            _log_picture(stream, name, dataset, seen, frame)
        if seen.poses is not None:
            ahead = seen.poses[frame : frame + round(AHEAD * seen.frame_rate) + 1]
            stream.log(f"{name}/plan/ahead", rr.LineStrips3D([_flat(ahead) + (0, 0, 0.02)], colors=[_AHEAD_COLOUR]))
            radius = seen.info.robot.footprint.radius if seen.info.robot else 0.1
            stream.log(f"{name}/plan/robot", rr.Points3D(_flat(seen.poses[frame : frame + 1]), radii=radius))
        if seen.actions is not None:
            stream.log(f"{name}/actions/linear", rr.Scalars(float(seen.actions[frame, 0])))
            stream.log(f"{name}/actions/angular", rr.Scalars(float(seen.actions[frame, 1])))


def _log_picture(stream: Any, name: str, dataset: EpisodeDataset, seen: Seen, frame: int) -> None:
    import rerun as rr

    try:
        picture = dataset.image(seen.number, frame)
        file = encode_jpeg(picture) if dataset.video else dataset.image_file(seen.number, frame)
    except DataError:
        return  # told among the damaged
    kind = "image/png" if file[:4] == b"\x89PNG" else "image/jpeg"
    stream.log(f"{name}/camera", rr.EncodedImage(contents=file, media_type=kind))
    robot, (height, width) = seen.info.robot, picture.shape[:2]
    if robot is not None and seen.poses is not None and fits(robot.camera, height, width):
        path = future_path(seen.poses, frame, round(AHEAD * seen.frame_rate))
        pixels = floor_pixels(robot.camera, path[:, :2]) * (width / robot.camera.width)
        inside = np.isfinite(pixels).all(axis=1) & (pixels >= 0).all(axis=1) & (pixels < (width, height)).all(axis=1)
        stream.log(f"{name}/camera/ahead", rr.LineStrips2D([pixels[inside]], colors=[_AHEAD_COLOUR]))


def _flat(poses: np.ndarray) -> np.ndarray:
    """[N, 3] points on the floor."""
    return np.column_stack([poses[:, :2], np.zeros(len(poses))])

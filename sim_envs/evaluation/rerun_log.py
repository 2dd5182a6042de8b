"""Recordings as a file of the rerun viewer: scrub through a drive, picture and plan and map side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sim_envs.evaluation.recording import Recording
from sim_envs.simulator import TopDown

_COLOURS = {TopDown.OUTSIDE: (24, 26, 30), TopDown.FREE: (205, 205, 200), TopDown.OBSTACLE: (110, 112, 118)}


def write_rerun(path: Path, recordings: Sequence[Recording]) -> None:
    """One file with an entity tree for every recording; its times are seconds from the episode's start."""
    import rerun as rr

    stream = rr.RecordingStream("nav_foundation")
    stream.save(path)
    for recording in recordings:
        _log(stream, f"{recording.policy}/{recording.episode.task}/{recording.index}", recording)
    stream.flush()
    stream.disconnect()


def _log(stream, name: str, recording: Recording) -> None:  # type: ignore[no-untyped-def]  # rerun is an extra
    import rerun as rr

    goal = recording.goal + ("" if recording.score.success else "  (failed)")
    stream.log(f"{name}/goal", rr.TextDocument(goal), static=True)
    if recording.goal_picture is not None:
        picture = rr.EncodedImage(contents=recording.goal_picture, media_type="image/jpeg")
        stream.log(f"{name}/goal/picture", picture, static=True)
    cells, colours = _floor(recording.top_down)
    stream.log(f"{name}/plan", rr.Points3D(cells, colors=colours), static=True)
    if len(recording.shortest):
        stream.log(f"{name}/plan/shortest", rr.LineStrips3D([recording.shortest], colors=[(60, 160, 90)]), static=True)
    for view in recording.views:
        x, y, z, _ = recording.trace.poses[view.tick]
        driven = recording.trace.poses[: view.tick + 1, :3]
        way = np.vstack([[x, y], view.waypoints])
        stream.set_time("drive", duration=float(recording.trace.times[view.tick]))
        stream.log(f"{name}/camera", rr.EncodedImage(contents=view.picture, media_type="image/jpeg"))
        stream.log(f"{name}/sensed", rr.EncodedImage(contents=view.sensed, media_type="image/png"))
        stream.log(f"{name}/plan/driven", rr.LineStrips3D([driven], colors=[(40, 90, 220)]))
        stream.log(f"{name}/plan/robot", rr.Points3D([[x, y, z]], radii=recording.robot.footprint.radius))
        waypoints = np.column_stack([way, np.full(len(way), z + 0.02)])
        stream.log(f"{name}/plan/waypoints", rr.LineStrips3D([waypoints], colors=[(230, 120, 30)]))
        stream.log(f"{name}/coverage", rr.Scalars(view.coverage))


def _floor(plan: TopDown) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 3] and their colours [N, 3] for the known cells of a floor plan."""
    cells = np.argwhere(plan.grid != TopDown.OUTSIDE)
    colour = np.array([_COLOURS[value] for value in sorted(_COLOURS)], np.uint8)[plan.grid[tuple(cells.T)]]
    return np.column_stack([plan.centres(cells), np.zeros(len(cells))]), colour

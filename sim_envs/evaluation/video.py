"""Videos: what the robot saw beside the map on which its way grows."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw

from sim_envs.evaluation.drawing import draw_drive, draw_plan, font, frame_of
from sim_envs.evaluation.recording import Recording, View, decode

WIDTH, HEIGHT = 1280, 720
RATE = 10  # frames per second
HOLD = 15  # frames for which the result of an episode stays
_VIEW = (24, 96, 768, 576)  # left, top, width, height in px
_MAP = (816, 96, 440, 576)
_INSET = (176, 132)
_PAPER, _TEXT, _QUIET = (17, 20, 27), (240, 243, 248), (152, 161, 176)
_GOOD, _BAD = (34, 150, 84), (200, 55, 50)


def write_video(path: Path, recordings: Sequence[Recording]) -> None:
    """One episode after the other, as H.264 (MPEG-4 where that is all the codecs there are)."""
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"preset": "veryfast", "crf": "25"} if codec == "libx264" else {"qscale": "4"}
    try:
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream(codec, rate=Fraction(RATE), options=options)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for recording in recordings:
                for picture in pictures(recording):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from None


def pictures(recording: Recording) -> Iterator[np.ndarray]:
    """[HEIGHT, WIDTH, 3] uint8 RGB frames of one episode."""
    frame = frame_of(recording, _MAP[2], _MAP[3])
    plan = draw_plan(recording.info, recording.top_down, frame, recording.episode.object_ids)
    base = _base(recording)
    page = base
    for view in recording.views:
        page = base.copy()
        _place(page, cv2.resize(decode(view.picture), _VIEW[2:], interpolation=cv2.INTER_CUBIC), *_VIEW[:2])
        _insets(page, recording, view)
        canvas = plan.copy()
        draw_drive(canvas, frame, recording, view.tick, view.waypoints, view.movers)
        _place(page, canvas, *_MAP[:2])
        yield _with_status(page, recording, view)
    canvas = plan.copy()
    draw_drive(canvas, frame, recording, len(recording.trace.poses) - 1)
    _place(page, canvas, *_MAP[:2])
    last = _with_result(page, recording)
    for _ in range(HOLD):
        yield last


def _base(recording: Recording) -> np.ndarray:
    """What stays the same during an episode: the page with its title and the goal."""
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    episode = recording.episode
    draw.text((24, 16), f"{recording.policy}  |  {episode.task}", font=font(28), fill=_TEXT)
    for number, line in enumerate(textwrap.wrap(recording.goal, 120)[:2]):
        draw.text((24, 54 + 20 * number), line, font=font(17), fill=_QUIET)
    where = f"{recording.robot.name}, {str(episode.scene)[-40:]}"
    draw.text((WIDTH - 24, 22), where, font=font(17), fill=_QUIET, anchor="ra")
    return np.asarray(image).copy()


def _place(page: np.ndarray, picture: np.ndarray, left: int, top: int) -> None:
    page[top : top + picture.shape[0], left : left + picture.shape[1]] = picture


def _insets(page: np.ndarray, recording: Recording, view: View) -> None:
    left, top, width, height = _VIEW
    sensed = cv2.resize(decode(view.sensed), _INSET, interpolation=cv2.INTER_NEAREST)
    _inset(page, sensed, left + width - _INSET[0] - 12, top + height - _INSET[1] - 12, "policy input")
    if recording.goal_picture is not None:
        goal = cv2.resize(decode(recording.goal_picture), _INSET, interpolation=cv2.INTER_AREA)
        _inset(page, goal, left + 12, top + height - _INSET[1] - 12, "goal")


def _inset(page: np.ndarray, picture: np.ndarray, left: int, top: int, label: str) -> None:
    cv2.rectangle(page, (left - 3, top - 23), (left + _INSET[0] + 2, top + _INSET[1] + 2), (250, 250, 250), -1)
    cv2.putText(page, label, (left + 3, top - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 44, 52), 1, cv2.LINE_AA)
    _place(page, picture, left, top)


def _with_status(page: np.ndarray, recording: Recording, view: View) -> np.ndarray:
    trace = recording.trace
    driven = float(np.linalg.norm(np.diff(trace.poses[: view.tick + 1, :2], axis=0), axis=1).sum())
    words = f"{trace.times[view.tick]:5.1f} s    {driven:5.1f} m driven"
    if recording.episode.task == "explore":
        words += f"    {100 * view.coverage:3.0f} % seen"
    return _footer(page, words, _QUIET)


def _with_result(page: np.ndarray, recording: Recording) -> np.ndarray:
    score = recording.score
    good = score.success > 0
    page = page.copy()
    left, top, width, _ = _VIEW
    cv2.rectangle(page, (left, top), (left + width - 1, top + 55), _GOOD if good else _BAD, -1)
    image = Image.fromarray(page)
    text = f"{'Success' if good else 'Failed'}   SPL {score.spl:.2f}"
    ImageDraw.Draw(image).text((left + 18, top + 28), text, font=font(28), fill=(255, 255, 255), anchor="lm")
    words = f"{score.time:.1f} s    {score.path_length:.1f} m driven, shortest {recording.trace.shortest:.1f} m"
    if score.distance_to_goal is not None:
        words += f"    {score.distance_to_goal:.2f} m from the goal"
    if score.coverage is not None:
        words += f"    {100 * score.coverage:.0f} % seen"
    return _footer(np.asarray(image).copy(), f"{words}    {score.collisions} collisions", _TEXT)


def _footer(page: np.ndarray, words: str, colour: tuple[int, int, int]) -> np.ndarray:
    image = Image.fromarray(page)
    ImageDraw.Draw(image).text((24, HEIGHT - 36), words, font=font(19), fill=colour)
    return np.asarray(image)

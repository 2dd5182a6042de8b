"""Maps seen from above: rooms, furniture, ways and the robot, as pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nav_foundation.geometry import from_frame
from nav_foundation.types import Pose2
from sim_envs.evaluation.recording import Recording
from sim_envs.simulator import Instance, SceneInfo, TopDown

Colour = tuple[int, int, int]
PAPER: Colour = (248, 248, 246)
INK: Colour = (52, 58, 70)
WALL: Colour = (84, 90, 104)
SHORTEST: Colour = (46, 160, 90)
DRIVEN: Colour = (37, 99, 235)
GOAL: Colour = (220, 60, 50)
START: Colour = (20, 20, 24)
PERSON: Colour = (217, 119, 6)
_ROOM_TINTS: tuple[Colour, ...] = (
    (232, 240, 252), (253, 240, 222), (230, 245, 233), (250, 232, 238), (240, 235, 250), (252, 248, 220),
    (226, 244, 246), (244, 238, 230),
)
_GROUND: dict[str, Colour] = {
    "road": (206, 208, 214), "pavement": (228, 226, 220), "sidewalk": (228, 226, 220), "grass": (214, 232, 204),
    "park": (214, 232, 204), "building": (168, 160, 152), "tree": (142, 186, 128), "bush": (150, 180, 130),
    "car": (150, 164, 190),
}
_WHOLE = 40.0  # m, places up to this size are drawn whole, larger ones around what happens
_SHARP = 2  # the plan is drawn this many times larger and scaled down, against jagged edges


@dataclass(frozen=True)
class MapFrame:
    """Where the world lies in a picture: north (y) up."""

    left: float  # world x of the left edge, m
    top: float  # world y of the upper edge, m
    scale: float  # px per m
    width: int
    height: int

    @staticmethod
    def around(lower: np.ndarray, upper: np.ndarray, width: int, height: int, border: int = 14) -> MapFrame:
        """The largest view of a world rectangle ([2] m each) that leaves `border` px free."""
        size = np.maximum(upper - lower, 1e-3)
        scale = float(min((width - 2 * border) / size[0], (height - 2 * border) / size[1]))
        centre = (lower + upper) / 2
        return MapFrame(centre[0] - width / 2 / scale, centre[1] + height / 2 / scale, scale, width, height)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """[N, 2] float px (x, y) of world points [N, 2 or 3]."""
        points = np.asarray(points, dtype=np.float64).reshape(-1, np.shape(points)[-1])
        return np.column_stack([(points[:, 0] - self.left) * self.scale, (self.top - points[:, 1]) * self.scale])


def frame_of(recording: Recording, width: int, height: int) -> MapFrame:
    """All rooms of a house; of larger places what lies around the drive."""
    episode = recording.episode
    points = [recording.trace.poses[:, :2], recording.shortest[:, :2], episode.goals[:1, :2]]
    drive = np.concatenate(points)
    if recording.info.rooms:
        place = np.concatenate([room.outline for room in recording.info.rooms])
    else:
        place = recording.top_down.centres(np.argwhere(recording.top_down.grid == TopDown.FREE))
    whole = np.concatenate([place, drive])
    if np.ptp(whole, axis=0).max() <= _WHOLE or episode.task == "explore":
        shown, margin = whole, 0.6
    else:
        shown, margin = drive, max(4.0, 0.15 * float(np.ptp(drive, axis=0).max()))
    return MapFrame.around(shown.min(axis=0) - margin, shown.max(axis=0) + margin, width, height)


def draw_plan(info: SceneInfo, top_down: TopDown, frame: MapFrame, wanted: Sequence[int] = ()) -> np.ndarray:
    """[H, W, 3] uint8: rooms and things. Instances in `wanted` stand out."""
    big = MapFrame(frame.left, frame.top, frame.scale * _SHARP, frame.width * _SHARP, frame.height * _SHARP)
    house = bool(info.rooms) and info.ref.kind != "city"
    blank = np.full((big.height, big.width, 3), PAPER, dtype=np.uint8)
    image = Image.fromarray(_ground(top_down, big) if not info.rooms else blank)
    draw = ImageDraw.Draw(image)
    upwards = sorted(info.instances, key=lambda instance: instance.top)
    if house:
        _things(draw, big, [i for i in upwards if i.room < 0], wanted)
        _rooms(draw, big, info)
        upwards = [i for i in upwards if i.room >= 0]
    _things(draw, big, upwards, wanted)
    image = image.resize((frame.width, frame.height), Image.Resampling.LANCZOS)
    _label_rooms(ImageDraw.Draw(image), info, frame)
    return np.asarray(image).copy()


def draw_drive(
    canvas: np.ndarray, frame: MapFrame, recording: Recording, tick: int, waypoints: np.ndarray | None = None,
    movers: np.ndarray | None = None,
) -> None:
    """Draw the goal, the shortest way and the drive until `tick` onto a picture made by `draw_plan`."""
    episode, poses = recording.episode, recording.trace.poses[: tick + 1]
    if recording.seen_tick is not None:
        _shade_unseen(canvas, frame, recording.top_down, recording.seen_tick, tick)
    reference = recording.shortest if episode.reference_path is None else episode.reference_path
    _line(canvas, frame, reference, (255, 255, 255), 9)
    _line(canvas, frame, reference, SHORTEST, 7)
    if len(episode.goals) and not episode.object_ids:
        _goal_mark(canvas, frame, episode.goals[0], episode.success_radius)
    _line(canvas, frame, poses, (255, 255, 255), 6)
    _line(canvas, frame, poses, DRIVEN, 3)
    _disc(canvas, frame, poses[0], 6, START)
    if waypoints is not None:
        _line(canvas, frame, np.concatenate([poses[-1:, :2], waypoints]), (236, 72, 153), 2)
    for x, y, radius in movers if movers is not None else ():
        _disc(canvas, frame, np.array([x, y]), max(4, round(radius * frame.scale)), PERSON)
    _robot(canvas, frame, poses[-1], recording.robot.footprint.radius)


def draw_map(recording: Recording, width: int, height: int) -> np.ndarray:
    """[H, W, 3] uint8: the whole drive on its plan."""
    frame = frame_of(recording, width, height)
    canvas = draw_plan(recording.info, recording.top_down, frame, recording.episode.object_ids)
    draw_drive(canvas, frame, recording, len(recording.trace.poses) - 1)
    return canvas


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


# --- pieces -------------------------------------------------------------------------------------------------------


def _ground(top_down: TopDown, frame: MapFrame) -> np.ndarray:
    """[H, W, 3] uint8 of a plan without rooms: where one can go is light, the rest darker."""
    palette = np.array([PAPER, (255, 255, 255), (222, 223, 226)], dtype=np.uint8)
    columns = (np.arange(frame.width) + 0.5) / frame.scale + frame.left
    rows = frame.top - (np.arange(frame.height) + 0.5) / frame.scale
    column = np.floor((columns - top_down.origin[0]) / top_down.resolution).astype(int)
    row = np.floor((rows - top_down.origin[1]) / top_down.resolution).astype(int)
    height, width = top_down.grid.shape
    inside = ((row >= 0) & (row < height))[:, None] & ((column >= 0) & (column < width))[None]
    cells = top_down.grid[row.clip(0, height - 1)[:, None], column.clip(0, width - 1)[None]]
    return palette[np.where(inside, cells, TopDown.OUTSIDE)]


def _rooms(draw: ImageDraw.ImageDraw, frame: MapFrame, info: SceneInfo) -> None:
    for number, room in enumerate(info.rooms):
        _polygon(draw, frame, room.outline, _ROOM_TINTS[number % len(_ROOM_TINTS)])
    for room in info.rooms:
        _walls(draw, frame, room.outline)
    for door in info.doors:
        _gap(draw, frame, door.position, door.yaw, door.width)


def _things(
    draw: ImageDraw.ImageDraw, frame: MapFrame, instances: Sequence[Instance], wanted: Sequence[int]
) -> None:
    for instance in instances:
        fill = _fill(instance)
        if instance.id in wanted:
            _polygon(draw, frame, instance.outline, (250, 190, 180), GOAL, 3 * _SHARP)
        elif fill is not None:
            _polygon(draw, frame, instance.outline, fill, _darker(fill), _SHARP)


def _fill(instance: Instance) -> Colour | None:
    for word, colour in _GROUND.items():
        if word in instance.category.split():
            return colour
    if not instance.is_object or instance.top - instance.bottom < 0.03 or instance.bottom > 1.6:
        return None  # walls are drawn as rooms; rugs and lamps would hide what matters
    return (205, 190, 170) if instance.top < 1.0 else (180, 165, 150)


def _darker(colour: Colour) -> Colour:
    return (int(colour[0] * 0.72), int(colour[1] * 0.72), int(colour[2] * 0.72))


def _polygon(
    draw: ImageDraw.ImageDraw, frame: MapFrame, outline: np.ndarray, fill: Colour, edge: Colour | None = None,
    width: int = 1,
) -> None:
    points = frame.pixels(outline)
    off = (points.max(axis=0) < 0).any() or (points.min(axis=0) > (frame.width, frame.height)).any()
    if len(points) >= 3 and not off:
        corners = [tuple(p) for p in points.tolist()]
        draw.polygon(corners, fill=fill)
        if edge is not None:
            draw.line([*corners, corners[0]], fill=edge, width=width, joint="curve")


def _walls(draw: ImageDraw.ImageDraw, frame: MapFrame, outline: np.ndarray) -> None:
    corners = [tuple(p) for p in frame.pixels(outline).tolist()]
    draw.line([*corners, *corners[:2]], fill=WALL, width=max(2, round(0.12 * frame.scale)), joint="curve")


def _gap(draw: ImageDraw.ImageDraw, frame: MapFrame, position: np.ndarray, yaw: float, width: float) -> None:
    across = np.array([-math.sin(yaw), math.cos(yaw)]) * width / 2
    ends = [tuple(p) for p in frame.pixels(np.array([position[:2] - across, position[:2] + across])).tolist()]
    draw.line(ends, fill=(255, 255, 255), width=max(3, round(0.3 * frame.scale)))


def _label_rooms(draw: ImageDraw.ImageDraw, info: SceneInfo, frame: MapFrame) -> None:
    for room in info.rooms:
        corners = frame.pixels(room.outline)
        size = min(15, int(1.7 * np.ptp(corners, axis=0)[0] / max(1, len(room.category))))
        x, y = (corners.min(axis=0) + corners.max(axis=0)) / 2
        if size >= 8:
            draw.text((x, y), room.category, font=font(size), fill=INK, anchor="mm", stroke_width=2,
                      stroke_fill=(255, 255, 255))


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixels with 4 fractional bits, as OpenCV takes them."""
    return np.round(points * 16).astype(np.int32)


def _line(canvas: np.ndarray, frame: MapFrame, points: np.ndarray, colour: Colour, width: int) -> None:
    if len(points) > 1:
        cv2.polylines(canvas, [_fixed(frame.pixels(points[:, :2]))], False, colour, width, cv2.LINE_AA, 4)


def _disc(canvas: np.ndarray, frame: MapFrame, point: np.ndarray, radius: int, colour: Colour) -> None:
    centre = _fixed(frame.pixels(point[:2]))[0].tolist()
    cv2.circle(canvas, centre, (radius + 2) * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    cv2.circle(canvas, centre, radius * 16, colour, -1, cv2.LINE_AA, 4)


def _goal_mark(canvas: np.ndarray, frame: MapFrame, goal: np.ndarray, radius: float) -> None:
    centre = _fixed(frame.pixels(goal[:2]))[0].tolist()
    size = round(max(radius * frame.scale, 13) * 16)  # to be found even where a metre is a few pixels
    over = canvas.copy()
    cv2.circle(over, centre, size, GOAL, -1, cv2.LINE_AA, 4)
    cv2.addWeighted(over, 0.22, canvas, 0.78, 0.0, canvas)
    cv2.circle(canvas, centre, size, GOAL, 2, cv2.LINE_AA, 4)
    _disc(canvas, frame, goal, 4, GOAL)


def _robot(canvas: np.ndarray, frame: MapFrame, pose: np.ndarray, radius: float) -> None:
    size = max(radius, 12 / frame.scale)
    arrow = size * np.array([(1.25, 0.0), (-0.8, 0.75), (-0.45, 0.0), (-0.8, -0.75)])
    corners = from_frame(Pose2(pose[0], pose[1], pose[3]), arrow)
    pixels = [_fixed(frame.pixels(corners))]
    cv2.fillPoly(canvas, pixels, DRIVEN, cv2.LINE_AA, 4)
    cv2.polylines(canvas, pixels, True, (255, 255, 255), 1, cv2.LINE_AA, 4)


def _shade_unseen(canvas: np.ndarray, frame: MapFrame, top_down: TopDown, seen_tick: np.ndarray, tick: int) -> None:
    """Blue where the floor has been seen."""
    seen = ((seen_tick >= 0) & (seen_tick <= tick)).astype(np.uint8)
    mask = _ground(TopDown(seen, top_down.origin, top_down.resolution), frame)[..., 0] == 255
    tint = np.array((96, 165, 250), dtype=np.float32)
    canvas[mask] = (0.6 * canvas[mask] + 0.4 * tint).astype(np.uint8)

"""A plan drawn onto the picture it was made from: its way on the floor, its goal, its numbers, and a map beside it."""

from __future__ import annotations

import math
import textwrap

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nav_foundation.camera import floor_pixels, horizontal_fov
from nav_foundation.geometry import between
from nav_foundation.robot import RobotSpec
from nav_foundation.types import Explore, Goal, ImageGoal, Observation, Plan, PointGoal, Pose2, PoseGoal
from policies.prediction.asked import has_place

Colour = tuple[int, int, int]
PLAN: Colour = (255, 64, 129)
OTHER: Colour = (64, 196, 255)
GOAL: Colour = (255, 202, 40)
_PAPER, _TEXT, _QUIET = (17, 20, 27), (240, 243, 248), (152, 161, 176)
_GRID: Colour = (58, 65, 80)
_WHITE: Colour = (255, 255, 255)
_SMALLEST, _LARGEST = 640, 1280  # px, the longer side of the picture as it is shown
_SPACING = 0.02  # m between points of a drawn way, so that it bends as the lens does
_FAR_OUT = 3.0  # picture sizes beyond the edge; further out OpenCV's integers end
_MAP_BEHIND = 0.3  # of the map lies behind the robot


class Drawer:
    """Draws the plans of one robot to one goal, which `words` tell where it is no picture."""

    def __init__(self, robot: RobotSpec, goal: Goal, words: str = "") -> None:
        self.robot, self.camera, self.goal = robot, robot.camera, goal
        width, height = robot.camera.width, robot.camera.height
        self.scale = min(max(1.0, _SMALLEST / max(width, height)), _LARGEST / max(width, height))
        self.size = (_even(width * self.scale), _even(height * self.scale))
        self.unit = min(self.size) / 480  # sizes of letters and lines are given for pictures of 640x480
        self._panel = self._goal_panel(words)

    def __call__(self, observation: Observation, plan: Plan, name: str) -> np.ndarray:
        """[H', W', 3] uint8: the picture, a panel to its right and a line below, which hide nothing of it."""
        there = self._there(observation.odometry)
        picture = self._on_floor(observation.rgb, plan, there)
        panel = self._panel.copy()
        self._map(panel, plan, there)
        page = np.concatenate([picture, panel], axis=1)
        return np.concatenate([page, self._footer(page.shape[1], plan, name)], axis=0)

    def _there(self, odometry: Pose2 | None) -> np.ndarray | None:
        """[2] m where the goal lies, seen from the robot, if that is known."""
        if odometry is None or not isinstance(self.goal, (PointGoal, PoseGoal)):
            return None
        there = between(odometry, Pose2(self.goal.x, self.goal.y, 0.0))
        return np.array([there.x, there.y])

    # --- the picture ------------------------------------------------------------------------------------------------

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """[N, 2] px in the picture as it is shown of floor points [N, 2]; NaN where the camera does not look."""
        stretch = np.array(self.size) / (self.camera.width, self.camera.height)
        pixels = (floor_pixels(self.camera, points) + 0.5) * stretch - 0.5
        with np.errstate(invalid="ignore"):
            near = (np.abs(pixels) < _FAR_OUT * max(self.size)).all(axis=1, keepdims=True)
        return np.where(near, pixels, np.nan)

    def _on_floor(self, rgb: np.ndarray, plan: Plan, there: np.ndarray | None) -> np.ndarray:
        canvas = cv2.resize(rgb, self.size, interpolation=cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC)
        for other in reversed(plan.alternatives):
            _line(canvas, self.pixels(_dense(other)), OTHER, self._px(2))
        if there is not None:
            _ring(canvas, self.pixels(there[None])[0], GOAL, self._px(12), self._px(3))
        way = self.pixels(_dense(plan.waypoints))
        _line(canvas, way, _WHITE, self._px(8))
        _line(canvas, way, PLAN, self._px(5))
        for point in self.pixels(plan.waypoints[:, :2]):
            _dot(canvas, point, PLAN, self._px(5))
        return np.asarray(canvas)

    def _in_view(self, plan: Plan) -> bool:
        pixels = self.pixels(_dense(plan.waypoints))
        with np.errstate(invalid="ignore"):
            return bool(((pixels >= 0) & (pixels < self.size)).all(axis=1).any())

    # --- beside it ----------------------------------------------------------------------------------------------------

    def _goal_panel(self, words: str) -> np.ndarray:
        """The panel with the goal at its top; `_map_top` says where there is room for the map."""
        width, margin = _even(0.5 * 480 * self.unit), self._px(10)
        panel = np.full((self.size[1], width, 3), _PAPER, np.uint8)
        _text(panel, (margin, margin), "goal", self._px(15), _QUIET, "la")
        top, inner = self._px(32), width - 2 * margin
        if isinstance(self.goal, ImageGoal):
            shown = self.goal.rgb
            shrink = min(inner / shown.shape[1], (0.5 * self.size[1] - top) / shown.shape[0])
            size = (max(1, round(shown.shape[1] * shrink)), max(1, round(shown.shape[0] * shrink)))
            shown = cv2.resize(shown, size, interpolation=cv2.INTER_AREA if shrink < 1 else cv2.INTER_CUBIC)
            panel[top : top + size[1], margin : margin + size[0]] = shown
            self._map_top = top + size[1] + margin
            return panel
        lines = textwrap.wrap(words, 25)
        if len(lines) > 6:
            lines = [*lines[:5], lines[5][:22] + " ..."]
        for number, line in enumerate(lines):
            _text(panel, (margin, top + number * self._px(21)), line, self._px(17), _TEXT, "la")
        self._map_top = top + len(lines) * self._px(21) + margin
        return panel

    def _map(self, panel: np.ndarray, plan: Plan, there: np.ndarray | None) -> None:
        """The plan seen from above, the robot looking up; into the free part of the panel."""
        margin, width = self._px(10), panel.shape[1]
        area = panel[self._map_top : panel.shape[0] - self._px(30)]
        ways = [plan.waypoints, *plan.alternatives]
        farthest = max(float(np.abs(way[:, :2]).max()) for way in ways)
        reach = 2.0 ** max(0, math.ceil(math.log2(max(1.1 * farthest, 1e-3))))  # m; seldom changes within a drive
        scale = min((1 - _MAP_BEHIND) * area.shape[0], 0.5 * width) / (1.1 * reach)
        centre = np.array([width / 2, (1 - _MAP_BEHIND) * area.shape[0]])

        def above(points: np.ndarray) -> np.ndarray:
            return np.asarray(centre + scale * np.column_stack([-points[:, 1], -points[:, 0]]))

        self._grid(area, centre, scale, reach)
        for other in reversed(plan.alternatives):
            _line(area, above(_dense(other)), OTHER, self._px(1.5))
        radius = max(scale * self.robot.footprint.radius, 3.0)
        _ring(area, centre, _TEXT, round(radius), self._px(2))
        nose = centre - (0.0, radius)
        _line(area, np.array([centre, nose]), _TEXT, self._px(2))
        if there is not None:
            self._goal_on_map(area, above(there[None])[0], centre)
        _line(area, above(_dense(plan.waypoints)), PLAN, self._px(3))
        for point in above(plan.waypoints[:, :2]):
            _dot(area, point, PLAN, self._px(3), edge=False)
        legend = panel.shape[0] - self._px(18)
        _text(panel, (margin, legend), "plan" if self._in_view(plan) else "plan, out of view", self._px(15), PLAN, "lm")
        if plan.alternatives:
            _text(panel, (width - margin, legend), "alternatives", self._px(15), OTHER, "rm")

    def _grid(self, area: np.ndarray, centre: np.ndarray, scale: float, reach: float) -> None:
        """Two rings to read distances from, and the edges of what the camera sees."""
        half = min(horizontal_fov(self.camera), 2 * math.pi - 1e-3) / 2
        for side in (-1.0, 1.0):
            end = centre + 3 * reach * scale * np.array([side * math.sin(half), -math.cos(half)])
            _line(area, np.array([centre, end]), _GRID, self._px(1))
        for metres in (reach / 2, reach):
            _ring(area, centre, _GRID, round(metres * scale), self._px(1), edge=False)
            aside = centre + metres * scale * np.array([0.94, 0.34])  # where plans seldom are
            _text(area, aside, f"{metres:g} m", self._px(13), _QUIET, "mm", outline=True)

    def _goal_on_map(self, area: np.ndarray, point: np.ndarray, centre: np.ndarray) -> None:
        """A ring where the goal is, or a dot at the edge of the map in its direction."""
        margin = self._px(10)
        low, high = np.array([margin, margin]), np.array([area.shape[1], area.shape[0]]) - margin
        if (point >= low).all() and (point <= high).all():
            _ring(area, point, GOAL, self._px(8), self._px(3))
            return
        away = point - centre
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(away > 0, (high - centre) / away, np.where(away < 0, (low - centre) / away, np.inf))
        _dot(area, centre + max(0.0, float(room.min())) * away, GOAL, self._px(6))

    def _footer(self, width: int, plan: Plan, name: str) -> np.ndarray:
        footer = np.full((_even(44 * self.unit), width, 3), _PAPER, np.uint8)
        margin, middle = self._px(10), footer.shape[0] / 2
        _text(footer, (margin, middle), verdict(plan, self.goal), self._px(22), _TEXT, "lm")
        _text(footer, (width - margin, middle), name[-36:], self._px(15), _QUIET, "rm")
        return footer

    def _px(self, size: float) -> int:
        return max(1, round(size * self.unit))


def verdict(plan: Plan, goal: Goal) -> str:
    """What the plan says of its goal, in a line."""
    if not has_place(goal):
        return "exploring" if isinstance(goal, Explore) else "no distance to a turn"
    distance = f"distance {plan.distance:.1f} ± {plan.distance_std:.1f} m" if math.isfinite(plan.distance) else (
        "out of reach"
    )
    return f"{distance}, arrival {100 * plan.arrival:.0f} %"


# --- strokes --------------------------------------------------------------------------------------------------------


def _even(size: float) -> int:
    """The nearest even number; films are encoded in pairs of pixels."""
    return max(2, 2 * round(size / 2))


def _dense(way: np.ndarray) -> np.ndarray:
    """[N, 2] along waypoints [H, 2 or more] from where the robot is."""
    points = np.concatenate([np.zeros((1, 2)), way[:, :2]])
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.union1d(np.arange(0.0, arc[-1], _SPACING), arc)
    return np.column_stack([np.interp(at, arc, points[:, 0]), np.interp(at, arc, points[:, 1])])


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixels with 4 fractional bits, as OpenCV takes them."""
    return np.round(points * 16).astype(np.int32)


def _line(canvas: np.ndarray, points: np.ndarray, colour: Colour, width: int) -> None:
    """Through points [N, 2], with holes where they are not finite."""
    seen = np.isfinite(points).all(axis=1)
    for run in np.split(np.arange(len(points)), np.flatnonzero(np.diff(seen)) + 1):
        if seen[run[0]] and len(run) > 1:
            cv2.polylines(canvas, [_fixed(points[run])], False, colour, width, cv2.LINE_AA, 4)


def _dot(canvas: np.ndarray, point: np.ndarray, colour: Colour, radius: int, edge: bool = True) -> None:
    if np.isfinite(point).all():
        centre = _fixed(point).tolist()
        if edge:
            cv2.circle(canvas, centre, (radius + max(1, radius // 3)) * 16, _WHITE, -1, cv2.LINE_AA, 4)
        cv2.circle(canvas, centre, radius * 16, colour, -1, cv2.LINE_AA, 4)


def _ring(
    canvas: np.ndarray, point: np.ndarray, colour: Colour, radius: int, width: int, edge: bool = True
) -> None:
    if np.isfinite(point).all():
        centre = _fixed(point).tolist()
        if edge:
            cv2.circle(canvas, centre, radius * 16, (0, 0, 0), width + 2, cv2.LINE_AA, 4)
        cv2.circle(canvas, centre, radius * 16, colour, width, cv2.LINE_AA, 4)


def _text(
    canvas: np.ndarray, at: tuple[float, float] | np.ndarray, words: str, size: int, colour: Colour, anchor: str,
    outline: bool = False,
) -> None:
    image = Image.fromarray(canvas)
    ImageDraw.Draw(image).text(
        (float(at[0]), float(at[1])), words, font=ImageFont.load_default(size), fill=colour, anchor=anchor,
        stroke_width=max(1, size // 8) if outline else 0, stroke_fill=_PAPER,
    )
    canvas[:] = np.asarray(image)

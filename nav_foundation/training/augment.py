"""Changes to clips that leave the task as it is: mirror images, and other light."""

from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np

from nav_foundation.model.encoder import STRIDE
from nav_foundation.training.clips import Clip
from nav_foundation.training.pairs import Pairs
from nav_foundation.types import ROUTE_COMMANDS

_SIDES = {"left": "right", "right": "left"}
_ASIDE = np.array([1, -1, 1, -1], np.float32)  # x, y, cos and sin of yaw
_ACROSS = np.array([-1, 1], np.float32)  # columns, rows
_SIDE = re.compile(r"\b(left|right)", re.IGNORECASE)


def mirrored(clip: Clip) -> Clip:
    """The clip as a mirror shows it: left is right, in pictures, poses and words. Its own inverse."""
    columns = clip.pictures.shape[2] // STRIDE
    return replace(
        clip, pictures=np.ascontiguousarray(clip.pictures[:, :, ::-1]),
        motion=clip.motion * np.array([1, -1, -1, 1, 1], np.float32), pairs=tuple(map(_mirrored_pairs, clip.pairs)),
        shown=_mirrored_grid(clip.shown, columns, axis=-2) * _ACROSS + np.array([columns - 1, 0], np.float32),
        found=_mirrored_grid(clip.found, columns, axis=-1), depth=_mirrored_grid(clip.depth, columns, axis=-1),
        tried=clip.tried * _ASIDE, floor=np.ascontiguousarray(clip.floor[:, ::-1]),
    )


def _mirrored_grid(values: np.ndarray, columns: int, axis: int) -> np.ndarray:
    """Values of tokens, which lie row by row along an axis, with every row turned around."""
    order = np.arange(values.shape[axis]).reshape(-1, columns)[:, ::-1].ravel()
    return np.take(values, order, axis=axis)


def _mirrored_pairs(pairs: Pairs) -> Pairs:
    across = np.array([1, -1, -1], np.float32)  # x, y, yaw
    commands = np.array([ROUTE_COMMANDS.index(_SIDES.get(name, name)) for name in ROUTE_COMMANDS])
    return replace(
        pairs, place=pairs.place * across, words=tuple(map(_mirrored_words, pairs.words)),
        route=commands[pairs.route], waypoints=pairs.waypoints * _ASIDE,
    )


def _mirrored_words(text: str) -> str:
    def swapped(found: re.Match[str]) -> str:
        other = _SIDES[found[0].lower()]
        return other.capitalize() if found[0][0].isupper() else other

    return _SIDE.sub(swapped, text)


def relit(pictures: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Pictures [N, h, w, 3] uint8 under other light: gain, gamma and tint, drawn for each picture alone."""
    levels = np.arange(256) / 255.0
    out = np.empty_like(pictures)
    for picture, lit in zip(pictures, out):
        gain, gamma = np.exp(strength * rng.normal(0.0, 0.2)), np.exp(strength * rng.normal(0.0, 0.15))
        tint = np.exp(strength * rng.normal(0.0, 0.06, 3))
        table = np.clip(255.0 * levels[:, None] ** gamma * gain * tint, 0, 255).round().astype(np.uint8)
        cv2.LUT(picture, table[None], dst=lit)
    return out

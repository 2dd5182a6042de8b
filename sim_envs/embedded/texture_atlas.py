"""All textures of a scene with their mip chains in one flat array, so that a compiled kernel can sample any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

LEVELS = 13  # of a mip chain: enough for 4096 x 4096 texels
WHITE = 0  # the texture of a material that has none


@dataclass(frozen=True)
class TextureAtlas:
    texels: np.ndarray  # [N] uint32, sRGB packed as r | g << 8 | b << 16
    levels: np.ndarray  # [T, LEVELS, 3] int32: first texel, width, height; a short chain repeats its last level
    means: np.ndarray  # [T, 3] float32 linear mean colour


def srgb_to_linear(values: np.ndarray) -> np.ndarray:
    """sRGB 0..1 to linear light 0..1, float32."""
    values = np.asarray(values, dtype=np.float32)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_to_srgb(values: np.ndarray) -> np.ndarray:
    """Linear light to sRGB 0..1, float32, clipped."""
    values = np.clip(np.asarray(values, dtype=np.float32), 0.0, 1.0)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055).astype(np.float32)


def build_atlas(textures: Sequence[np.ndarray]) -> TextureAtlas:
    """Pack textures [h, w, 3] uint8 sRGB; texture i gets index i + 1, index 0 is plain white."""
    chains = [[np.full((1, 1, 3), 255, np.uint8)], *map(_mip_chain, textures)]
    levels = np.zeros((len(chains), LEVELS, 3), np.int32)
    packed, start = [], 0
    for index, chain in enumerate(chains):
        for level, image in enumerate(chain):
            height, width = image.shape[:2]
            levels[index, level:] = start, width, height
            packed.append(_pack(image))
            start += width * height
    means = np.stack([srgb_to_linear(chain[-1].reshape(-1, 3).mean(axis=0) / 255.0) for chain in chains])
    return TextureAtlas(np.concatenate(packed), levels, means)


def _mip_chain(texture: np.ndarray) -> list[np.ndarray]:
    """The texture and its halvings down to one texel, averaged in linear light."""
    assert texture.ndim == 3 and texture.shape[2] == 3 and texture.dtype == np.uint8, f"{texture.shape} {texture.dtype}"
    limit = 2 ** (LEVELS - 1)
    if max(texture.shape[:2]) > limit:
        height, width = texture.shape[:2]
        texture = cv2.resize(texture, (min(width, limit), min(height, limit)), interpolation=cv2.INTER_AREA)
    chain = [texture]
    linear = srgb_to_linear(np.arange(256) / 255.0)[texture]
    while max(linear.shape[:2]) > 1:
        height, width = (max(1, size // 2) for size in linear.shape[:2])
        linear = cv2.resize(linear, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, 3)
        chain.append(np.rint(linear_to_srgb(linear) * 255.0).astype(np.uint8))
    return chain


def _pack(image: np.ndarray) -> np.ndarray:
    red, green, blue = image.reshape(-1, 3).astype(np.uint32).T
    return red | green << np.uint32(8) | blue << np.uint32(16)

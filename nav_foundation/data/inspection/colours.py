"""Whether red and blue are swapped, by a prior on the colours of the world.

The ground, floors, furniture, bricks and people are orange to brown far more often than azure, and plants are green on
the yellow side. Swapping red and blue mirrors the hue about green, so that what is common becomes what is rare. The sky
breaks the rule and lies in the upper third, where plants alone count. A place with a blue carpet breaks it too: this is
a suspicion and no proof.

Measured on 96 drives in 11 houses and 3 cities of the simulator: none is suspected, and of the same drives with red and
blue swapped 84 % are, the others being too short to be judged alone. Drives of a source are judged together as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

SWAPPED = -0.5  # balance of usual and unusual colours below which pictures are suspected; 1 = all usual, -1 = none
FAINT = 0.05  # of full colour; below it a hue is noise
COLOURFUL = 0.003  # mean colour without which nothing is said: grey pictures look the same either way
_WARM, _PLANTS = (0.0, 65.0), (75.0, 110.0)  # degrees of hue; mirrored they are 175..240 and 130..165


def balance(pictures: Sequence[np.ndarray]) -> tuple[float, float]:
    """(-1 unusual .. 1 usual colours, mean colour 0..1) of pictures [H, W, 3] uint8 RGB."""
    usual = unusual = colour = 0.0
    for picture in pictures:
        hsv = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)  # hue in degrees
        hue, strength = hsv[..., 0], hsv[..., 1] * hsv[..., 2]
        strength = np.where(strength > FAINT, strength, 0.0)
        ground = np.arange(len(picture))[:, None] >= len(picture) // 3
        usual += float(strength[_usual(hue, ground)].sum())
        unusual += float(strength[_usual((240.0 - hue) % 360.0, ground)].sum())
        colour += float(strength.mean())
    return (usual - unusual) / max(usual + unusual, 1e-9), colour / max(1, len(pictures))


def looks_swapped(pictures: Sequence[np.ndarray]) -> bool:
    score, colour = balance(pictures)
    return colour > COLOURFUL and score < SWAPPED


def _usual(hue: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Which hues [H, W] are as expected; `ground` [H, 1] says where not only plants count."""
    return (ground & (hue >= _WARM[0]) & (hue < _WARM[1])) | ((hue >= _PLANTS[0]) & (hue < _PLANTS[1]))

"""The materials of a city: road surfaces, house fronts, shops. Textures are drawn once per city from its generator."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sim_envs.scenes import textures
from sim_envs.scenes.builder import MeshBuilder

PAINT = -1  # stands for the paint of a car, chosen when it is placed
SHOPS = (
    "bakery", "cafe", "book shop", "pharmacy", "supermarket", "hotel", "bank", "flower shop", "pizzeria", "bike shop",
    "toy shop", "barber", "post office", "cinema",
)
_SHOP_COLOURS = (
    "#8c2f2b", "#234a3a", "#26375e", "#2f7a4b", "#b8372f", "#3b2f52", "#1e2e4a", "#9c4a7c", "#c46a1f", "#2a6a86",
    "#c9952b", "#4a3a32", "#d0a020", "#5a1f2f",
)
_WALLS = ("#b9a48a", "#a8604a", "#c8c0b0", "#d9cdb4", "#8f6a58", "#9aa0a6", "#b58a5a", "#c4a9a0", "#7f8c86", "#e0dccf")
_PAINTS = (
    "#b01f24", "#1f3f7a", "#e8e8e6", "#26282b", "#9ea3a8", "#5b6066", "#2d5b46", "#c9b27a", "#d9822b", "#7fa6c4",
)
BAY = 3.0  # m, of a house front between the middles of two windows
STOREY = 3.2  # m
GROUND_STOREY = 4.0  # m
UNIT = 6.0  # m, about the width of a shop front or of an entrance with its two windows


@dataclass(frozen=True)
class Looks:
    """Indices of materials. Those of fronts are mapped in repeats, all others in metres."""

    road: int
    zebra: int
    stop: int
    asphalt: int
    slabs: int
    square: int
    cobbles: int
    kerb: int
    tactile: int
    grass: int
    gravel: int
    hedge: int
    fronts: tuple[int, ...]  # one repeat is 4 bays by 4 storeys
    plain: tuple[int, ...]  # windowless walls that go with `fronts`
    entrances: tuple[int, ...]  # go with `fronts`; one repeat is one unit of the ground floor
    shops: tuple[int, ...]  # in the order of SHOPS
    awnings: tuple[int, ...]
    flat_roof: int
    tiled_roofs: tuple[int, ...]
    trim: int
    bark: int
    leaves: tuple[int, ...]
    glass: int
    paints: tuple[int, ...]
    rubber: int
    steel: int
    dark: int
    green: int
    wood: int
    red: int
    yellow: int
    blue: int
    white: int
    stone: int
    water: int
    lamp: int
    lights: tuple[int, int, int]  # red, amber, green


def city_looks(builder: MeshBuilder, rng: np.random.Generator) -> Looks:
    m = builder.material
    asphalt = textures.asphalt(rng, "#5c5d60")
    walls = [str(wall) for wall in rng.permutation(_WALLS)[:7]]
    grounds = [
        textures.bricks(rng, wall) if k % 2 else textures.speckle(rng, wall, 0.05) for k, wall in enumerate(walls)
    ]
    fronts = [_front(rng, wall, ground) for wall, ground in zip(walls, grounds, strict=True)]
    shop_colours = rng.permutation(_SHOP_COLOURS)
    greens = ("#4c7036", "#3f6534", "#5f7c38", "#707a36")
    flat = {
        name: m(name, colour) for name, colour in {
            "rubber": "#1c1c1e", "steel": "#9aa0a4", "dark": "#33373b", "green": "#2f5a3c", "red": "#b3261e",
            "yellow": "#dda31e", "blue": "#28518c", "white": "#e6e6e2", "trim": "#d8d2c6",
        }.items()
    }
    return Looks(
        road=m("road", texture=_road(rng)), zebra=m("zebra", texture=_zebra(rng)), stop=m("stop", texture=_stop(rng)),
        asphalt=m("asphalt", texture=asphalt, size=2.5),
        slabs=m("pavement", texture=textures.slabs(rng, str(rng.choice(["#a8a298", "#9d9a94", "#b3a792"]))), size=2.4),
        square=m("square", texture=textures.tiles(rng, ["#b09a84", "#9d8674"], "#756555", 4, 4, 0.06), size=3.2),
        cobbles=m("cobbles", texture=textures.tiles(rng, ["#77716a", "#8a8379", "#6b655e"], "#4d4943", 10, 10, 0.12,
                                                     True, 0.14), size=1.6),
        kerb=m("kerb", texture=textures.tiles(rng, ["#bdb9b1"], "#86827a", 1, 1, 0.05, joint=0.04, size=64), size=1.0),
        tactile=m("tactile", texture=_tactile(rng), size=0.4),
        grass=m("grass", texture=textures.grass(rng), size=2.5),
        gravel=m("gravel", texture=textures.speckle(rng, "#b79f7c", 0.14), size=1.5),
        hedge=m("hedge", texture=textures.leaves(rng, "#3d6130"), size=0.8),
        fronts=tuple(m(f"front {k}", texture=front) for k, front in enumerate(fronts)),
        plain=tuple(m(f"wall {k}", texture=ground, size=1.0) for k, ground in enumerate(grounds)),
        entrances=tuple(m(f"entrance {k}", texture=_entrance(rng, ground)) for k, ground in enumerate(grounds)),
        shops=tuple(m(name, texture=_shop(rng, name, str(colour))) for name, colour in zip(SHOPS, shop_colours)),
        awnings=tuple(m(f"awning {k}", texture=textures.stripes(rng, [colour, "#ece6d8"]), size=1.2)
                      for k, colour in enumerate(["#a8322a", "#2f6a4a", "#2d4f86"])),
        flat_roof=m("flat roof", "#6f6d69"),
        tiled_roofs=tuple(m(f"tiles {colour}", texture=textures.roof_tiles(rng, colour), size=2.0)
                          for colour in ("#9a4f38", "#5d5a5c", "#7a4638")),
        bark=m("bark", texture=textures.bark(rng), size=0.8),
        leaves=tuple(m(f"leaves {k}", texture=textures.leaves(rng, colour), size=1.6)
                     for k, colour in enumerate(greens)),
        glass=m("glass", "#2b353d"), paints=tuple(m(f"paint {colour}", colour) for colour in _PAINTS),
        wood=m("planks", texture=textures.wood(rng, "#8a5f38"), size=(1.0, 0.3), grain=True),
        stone=m("stone", texture=textures.speckle(rng, "#b5b0a6", 0.06), size=1.0), water=m("water", "#5f93a8"),
        lamp=m("lamp glass", "#fff3cf", emission=0.9),
        lights=(m("red light", "#e0301e", emission=0.8), m("amber light", "#5c4310"), m("green light", "#12401f")),
        **flat,
    )


def _front(rng: np.random.Generator, wall: str, ground: np.ndarray) -> np.ndarray:
    """4 by 4 windows in a wall, its bricks about the right size."""
    tile = cv2.resize(ground, (64, 64), interpolation=cv2.INTER_AREA)
    return textures.facade(rng, wall, ground=np.tile(tile, (8, 8, 1)), size=512)


def _road(rng: np.random.Generator) -> np.ndarray:
    """Across u the whole road, along v 6 m: worn tracks, edge lines and a dashed middle line."""
    size = 256
    image = cv2.resize(textures.asphalt(rng, "#5c5d60"), (size, size)).astype(np.float32)
    across = np.linspace(-1.0, 1.0, size)
    tracks = np.exp(-(((np.abs(across)[:, None] - (0.28, 0.66)) / 0.07) ** 2)).sum(axis=1)
    image *= (1.0 - 0.1 * tracks)[None, :, None]
    wear = 0.85 + 0.15 * textures.noise(rng, size, size, 16, 16, 2)[..., None]
    mask = np.zeros((size, size, 1), np.float32)
    mask[size // 4 : 3 * size // 4, size // 2 - 3 : size // 2 + 3] = 1.0
    mask[:, 4:8] = mask[:, -8:-4] = 0.8
    return textures.finish(image * (1 - mask) + textures.rgb("#e2e2dc") * wear * mask)


def _zebra(rng: np.random.Generator) -> np.ndarray:
    """Across u one bright and one dark stripe, along v the width of the crossing."""
    image = textures.speckle(rng, "#55565a", 0.1, 128).astype(np.float32)
    stripe = textures.speckle(rng, "#dcdcd4", 0.07, 128).astype(np.float32)
    image[6:-6, 32:96] = stripe[6:-6, 32:96]
    return textures.finish(image)


def _stop(rng: np.random.Generator) -> np.ndarray:
    """Across u the whole road, along v 1 m: a line over the half that comes towards the crossing."""
    image = textures.speckle(rng, "#5a5b5e", 0.1, 128).astype(np.float32)
    image[40:88, 66:124] = [224, 224, 218]
    return textures.finish(image)


def _tactile(rng: np.random.Generator) -> np.ndarray:
    """Paving with knobs that marks a dropped kerb; covers 0.4 m."""
    y, x = np.mgrid[0:64, 0:64] / 64 * 6
    knob = np.hypot(x % 1 - 0.5, y % 1 - 0.5)
    shade = np.where(knob < 0.3, 0.14, -0.04) + rng.standard_normal((64, 64)) * 0.03
    image = textures.tinted("#c9a24a", shade.astype(np.float32))
    image[:2] *= 0.7
    image[:, :2] *= 0.7
    return textures.finish(image)


def _wall(ground: np.ndarray, height: int, width: int) -> np.ndarray:
    """A piece of wall with bricks of the right size, given what covers a metre."""
    tile = cv2.resize(ground, (50, 50), interpolation=cv2.INTER_AREA)
    return np.tile(tile, (height // 50 + 1, width // 50 + 1, 1))[:height, :width].astype(np.float32)


def _door(image: np.ndarray, box: tuple[int, int, int, int], colour: np.ndarray) -> None:
    """A panelled door with a light above it, in a frame."""
    x0, y0, x1, y1 = box
    cv2.rectangle(image, (x0 - 5, y0 - 5), (x1 + 5, y1), (226, 222, 212), -1)
    cv2.rectangle(image, (x0, y0), (x1, y1), colour.tolist(), -1)
    cv2.rectangle(image, (x0, y0), (x1, y0 + 16), (52, 64, 76), -1)
    for top, bottom in ((y0 + 24, (y0 + y1) // 2 + 2), ((y0 + y1) // 2 + 10, y1 - 8)):
        cv2.rectangle(image, (x0 + 6, top), (x1 - 6, bottom), (colour * 0.72).tolist(), 2)
    cv2.circle(image, (x1 - 6, (y0 + y1) // 2 + 6), 3, (222, 190, 96), -1)


def _window(rng: np.random.Generator, image: np.ndarray, box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box
    cv2.rectangle(image, (x0 - 5, y0 - 5), (x1 + 5, y1 + 5), (228, 224, 214), -1)
    fall = np.linspace(0.8, 0.15, y1 - y0, dtype=np.float32)[:, None]
    image[y0:y1, x0:x1] = textures.mixed("#27313a", "#8ba0b0", np.broadcast_to(fall, (y1 - y0, x1 - x0)))
    if rng.random() < 0.6:
        width = (x1 - x0) // 4
        image[y0:y1, x0 : x0 + width] = image[y0:y1, x1 - width : x1] = (206, 198, 180)
    cv2.line(image, ((x0 + x1) // 2, y0), ((x0 + x1) // 2, y1), (228, 224, 214), 3)
    cv2.rectangle(image, (x0 - 9, y1 + 5), (x1 + 9, y1 + 11), (190, 184, 172), -1)


def _entrance(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """One unit of a ground floor: a door between two windows."""
    height, width = 200, 300
    image = _wall(ground, height, width)
    image[-18:] *= 0.62
    colour = textures.rgb(str(rng.choice(["#6b2f2a", "#2c4a3e", "#2d3d63", "#5a3d28", "#3a3a3e", "#8a6a2c"])))
    _door(image, (125, 78, 175, 199), colour)
    _window(rng, image, (28, 68, 88, 146))
    _window(rng, image, (212, 68, 272, 146))
    return textures.finish(image)


def _shop(rng: np.random.Generator, name: str, colour: str) -> np.ndarray:
    """A shop front: sign with its name, two display windows full of things, a glass door."""
    height, width = 200, 300
    tone = textures.rgb(colour)
    image = np.empty((height, width, 3), np.float32)
    image[:] = tone * 0.8
    image[:10] = (205, 198, 186)
    image[12:54] = tone
    text = name.upper()
    scale = min(1.15, 270 / cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 3)[0][0])
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, 3)
    letters = np.zeros((height, width), np.uint8)
    cv2.putText(letters, text, ((width - w) // 2, 33 + h // 2), cv2.FONT_HERSHEY_DUPLEX, scale, 255, 3, cv2.LINE_AA)
    image += (textures.rgb("#f6f0de") - image) * (letters[..., None] / np.float32(255.0))
    image[54:60] = tone * 0.55
    for x0, x1 in ((12, 118), (182, 288)):
        _display(rng, image, (x0, 68, x1, 168))
    _display(rng, image, (130, 68, 170, 192), things=False)
    cv2.rectangle(image, (128, 66), (172, 194), (tone * 0.5).tolist(), 4)
    cv2.line(image, (164, 122), (164, 142), (222, 200, 130), 4)
    image[-8:] = (96, 92, 88)
    return textures.finish(image)


def _display(
    rng: np.random.Generator, image: np.ndarray, box: tuple[int, int, int, int], things: bool = True
) -> None:
    x0, y0, x1, y1 = box
    fall = np.linspace(0.55, 0.1, y1 - y0, dtype=np.float32)[:, None]
    image[y0:y1, x0:x1] = textures.mixed("#38434c", "#a5b6c2", np.broadcast_to(fall, (y1 - y0, x1 - x0)))
    if not things:
        return
    for shelf in (y1 - 4, y1 - 38):
        for x in range(x0 + 6, x1 - 14, 16):
            tall = int(rng.integers(8, 26))
            tint = rng.uniform(60, 235, 3)
            cv2.rectangle(image, (x, shelf - tall), (x + int(rng.integers(8, 14)), shelf), tint.tolist(), -1)
        cv2.line(image, (x0, shelf), (x1, shelf), (70, 66, 62), 2)

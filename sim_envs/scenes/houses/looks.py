"""What a house's surfaces look like: one palette of woods, paints, cloths, floors and walls drawn per house."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim_envs.scenes import textures
from sim_envs.scenes.builder import MeshBuilder

_WOODS = ("#d9c09a", "#c79f6b", "#b07d4a", "#8a5a36", "#6b4630", "#4a3226", "#a58a6c", "#cbb79a")
_PAINTS = ("#f2f0ea", "#e6e1d6", "#dfe3e2", "#3a3f45", "#8fa39a", "#6f8794", "#c9b8a2", "#2f4a54", "#b08d78", "#7d8a6d")
_CLOTHS = (
    "#7d8790", "#b3a894", "#4f6273", "#8c6f5e", "#6f7d5e", "#a3564a", "#c2a56b", "#3f4650", "#9b8aa0", "#567a7c",
    "#d4cab8", "#7a4a55", "#a8b0a2", "#c98f63", "#5a5348",
)
_LINENS = ("#f3f1ec", "#dfe6ea", "#e9dfd0", "#b9c6cf", "#cfd6c4", "#e3cfc8", "#8fa2b3", "#d9c7a3", "#a9b5a0")
_WALLS = (
    "#f1ede4", "#ece6da", "#f4f2ee", "#e4dccb", "#dfe4e3", "#d6ddd2", "#e6d9cc", "#cfd9de", "#e9e2c9", "#dcd3d6",
    "#c9cfc0", "#d9c3ad", "#b9c7cc",
)
_BOLD_WALLS = ("#8fa6a3", "#b5856a", "#6f8796", "#a8a77d", "#93697a", "#5f7568", "#c7a765")
_BOOKS = (
    "#7a2f2a", "#2f4a6b", "#3d5a40", "#c2a35a", "#e0d8c4", "#30333a", "#8b5a3c", "#5d3f63", "#b5563b", "#d9d4c9",
    "#4b6f78", "#94867a", "#a83f45", "#1f3a4d",
)
_CARPETS = ("#9a9488", "#7f848a", "#b5a78f", "#6f7a80", "#a3948f", "#8a8f7e", "#c2b8a8")
_TILES = ("#dcd8d0", "#c6beb1", "#b5b8ba", "#8f9090", "#e8e6e1", "#a9a094", "#6f7173", "#cbb59b")
_WET_WALLS = ("#eef0ee", "#dde6e6", "#c9d8da", "#e6e0d4", "#a9c0bd", "#8fa8b5", "#d7cfc4")


class Looks:
    """Material indices of one house, drawn once; pieces choose among them so that a house has a style of its own."""

    def __init__(self, builder: MeshBuilder, rng: np.random.Generator) -> None:
        self.builder = builder
        self._rng = rng
        self._walls = [str(c) for c in rng.permutation(_WALLS)]
        self._floor_wood = str(rng.choice(_WOODS[:6]))
        self.woods = [self._wood(k, colour) for k, colour in enumerate(rng.permutation(_WOODS)[:3])]
        self.paints = [builder.material(f"paint {c}", str(c)) for c in rng.permutation(_PAINTS)[:3]]
        self.cloths = [self._cloth(k, str(c)) for k, c in enumerate(rng.permutation(_CLOTHS)[:7])]
        self.linens = [self._linen(k, str(c)) for k, c in enumerate(rng.permutation(_LINENS)[:4])]
        self.leather = builder.material(
            "leather", texture=textures.leather(rng, str(rng.choice(["#5c3b28", "#2e2b2a", "#8a5f3d", "#d8cdbd"]))),
            size=0.6)
        self.books = [builder.material(f"book {c}", str(c)) for c in rng.permutation(_BOOKS)[:9]]
        self.frame = self.woods[0] if rng.random() < 0.4 else builder.material("white paint", "#efede8")
        self.white = builder.material("white paint", "#efede8")
        self.ceramic = builder.material("ceramic", "#f4f5f3")
        self.black = builder.material("black plastic", "#1d1e21")
        self.grey = builder.material("grey plastic", "#6f7378")
        self.screen = builder.material("screen", "#101418")
        self.steel = builder.material("steel", texture=textures.metal(rng), size=0.4)
        self.dark_metal = builder.material("dark metal", "#34363a")
        self.metal = int(rng.choice([self.steel, self.dark_metal, builder.material("brass", "#b08d4a")]))
        self.glass = builder.material("smoked glass", "#4b565c")
        self.mirror = builder.material("mirror", texture=_mirror(), size=1.0)
        self.leaf = builder.material("leaf", texture=textures.leaves(rng, "#4f7a3c"), size=0.5)
        self.soil = builder.material("soil", "#3d2e24")
        self.clay = builder.material("clay", str(rng.choice(["#b06a48", "#e8e3da", "#4c5257", "#c9b79c"])))
        warmth = rng.random()
        bulb = (1.0, 0.86 + 0.12 * warmth, 0.68 + 0.3 * warmth)
        self.glow = builder.material("lamp light", bulb, emission=1.0)
        self.shade = builder.material("lamp shade", (0.97, 0.9 + 0.05 * warmth, 0.78 + 0.14 * warmth), emission=0.75)
        self.ceiling = builder.material("ceiling", texture=textures.speckle(rng, "#f3f1ec", 0.012), size=2.0)
        worktop = str(rng.choice(["stone", "marble", "wood"]))
        self.worktop = self.woods[1] if worktop == "wood" else builder.material(
            "worktop", size=1.2, texture=textures.speckle(rng, str(rng.choice(["#4a4c4f", "#8f8b84", "#d8d4cc"])), 0.12)
            if worktop == "stone" else textures.marble(rng, "#e9e6e0", "#8d8a86", 128))

    def pick(self, rng: np.random.Generator, *groups: int | Sequence[int]) -> int:
        """One material of the given ones; every group is as likely."""
        group = groups[int(rng.integers(len(groups)))]
        return group if isinstance(group, int) else int(group[int(rng.integers(len(group)))])

    def picture(self, name: str, image: np.ndarray, width: float, height: float) -> int:
        """A material that shows one image once on a quad of this size in metres."""
        return self.builder.material(name, texture=image, size=(width, height))

    def colour(self, colour: str) -> int:
        """A plain surface."""
        return self.builder.material(f"plain {colour}", colour)

    def _wood(self, k: int, colour: str) -> int:
        contrast = float(self._rng.uniform(0.1, 0.24))
        return self.builder.material(
            f"wood {k}", texture=textures.wood(self._rng, str(colour), contrast), size=(1.1, 0.35), grain=True)

    def _cloth(self, k: int, colour: str) -> int:
        rng = self._rng
        if k == 0 and rng.random() < 0.5:
            second = str(rng.choice(_CLOTHS))
            make = textures.checks if rng.random() < 0.4 else textures.stripes
            return self.builder.material(f"cloth {k}", texture=make(rng, [colour, second, colour]), size=0.5)
        return self.builder.material(f"cloth {k}", texture=textures.weave(rng, colour), size=0.5)

    def _linen(self, k: int, colour: str) -> int:
        rng = self._rng
        draw = rng.random()
        if draw < 0.3:
            texture = textures.stripes(rng, [colour, "#f3f1ec"], int(rng.integers(3, 9)))
        elif draw < 0.55:
            texture = textures.motif(rng, colour, str(rng.choice(_CLOTHS)))
        elif draw < 0.7:
            texture = textures.checks(rng, [colour, "#f3f1ec"], 4)
        else:
            texture = textures.weave(rng, colour, 0.05)
        return self.builder.material(f"linen {k}", texture=texture, size=0.7)

    # -- rooms ---------------------------------------------------------------------------------------------------------

    def floor(self, room: int, category: str, rng: np.random.Generator) -> int:
        """The floor of room number `room`. Living space shares one wood; wet rooms are tiled."""
        draw = rng.random()
        if category in ("bathroom", "toilet", "laundry room") or (category == "kitchen" and draw < 0.65):
            return self._tiled_floor(room, rng)
        if category in ("bedroom", "children's room", "study") and draw < 0.4:
            texture = textures.carpet(rng, str(rng.choice(_CARPETS)), str(rng.choice(_CARPETS)) if draw < 0.2 else None)
            return self.builder.material(f"carpet {room}", texture=texture, size=0.6)
        if draw > 0.93:
            return self._tiled_floor(room, rng)
        if "floorboards" not in self.builder:
            if rng.random() < 0.3:
                size: tuple[float, float] = (1.3, 1.3)
                texture = textures.herringbone(rng, self._floor_wood)
            else:
                size = (2.4, 8 * float(rng.uniform(0.1, 0.19)))
                texture = textures.planks(rng, self._floor_wood)
            return self.builder.material("floorboards", texture=texture, size=size)
        return self.builder.material("floorboards")

    def _tiled_floor(self, room: int, rng: np.random.Generator) -> int:
        first, second = (str(c) for c in rng.permutation(_TILES)[:2])
        edge = float(rng.choice([0.2, 0.3, 0.45, 0.6]))
        draw = rng.random()
        if draw < 0.2:
            texture = textures.tiles(rng, [first, second], "#8f8b84", 4, 4, 0.04)
        elif draw < 0.32:
            texture = textures.marble(rng, "#e6e2da", "#9b958c")
        else:
            grout = textures.rgb(first) * 0.72
            texture = textures.tiles(rng, [first], grout, 4, 4, 0.05, rng.random() < 0.25)
        return self.builder.material(f"floor tiles {room}", texture=texture, size=4 * edge)

    def wall(self, room: int, category: str, rng: np.random.Generator) -> tuple[int, int]:
        """Materials of room number `room`: of most walls, and of one that may stand out."""
        if category in ("bathroom", "toilet"):
            tiles = self._wall_tiles(room, rng)
            return tiles, tiles
        draw = rng.random()
        colour = self._walls[room % 3] if draw < 0.7 else self._walls[3 + room % 6]
        if category == "children's room" and draw < 0.6:
            colour = str(rng.choice(["#cfe0e4", "#f0dfd3", "#dfe6cf", "#f1e7c4", "#e2d7e6"]))
        plain = self.builder.material(f"plaster {colour}", texture=textures.speckle(rng, colour, 0.018), size=2.0)
        feature = plain
        if category not in ("corridor", "kitchen", "laundry room", "storage room") and rng.random() < 0.4:
            feature = self._feature(room, colour, rng)
            if rng.random() < 0.25:
                return feature, feature
        return plain, feature

    def _feature(self, room: int, colour: str, rng: np.random.Generator) -> int:
        base = textures.rgb(colour)
        draw = rng.random()
        if draw < 0.3:
            texture, size = textures.stripes(rng, [base, base * 0.9], 4), 0.8
        elif draw < 0.6:
            texture, size = textures.motif(rng, base * 0.97, str(rng.choice(_BOLD_WALLS)), 4), 0.9
        elif draw < 0.72:
            texture, size = textures.bricks(rng, str(rng.choice(["#a5654c", "#cfc8be", "#8c5a48"]))), 1.0
        else:
            texture, size = textures.speckle(rng, str(rng.choice(_BOLD_WALLS)), 0.02), 2.0
        return self.builder.material(f"feature wall {room}", texture=texture, size=size)

    def _wall_tiles(self, room: int, rng: np.random.Generator) -> int:
        colour = str(rng.choice(_WET_WALLS))
        if rng.random() < 0.4:
            texture = textures.tiles(rng, [colour], "#a8a49c", 8, 4, 0.03, True)
            return self.builder.material(f"wall tiles {room}", texture=texture, size=(0.9, 0.9))
        texture = textures.tiles(rng, [colour], "#b5b1a9", 4, 4, 0.03)
        edge = float(rng.choice([0.15, 0.2, 0.3]))
        return self.builder.material(f"wall tiles {room}", texture=texture, size=4 * edge)

    def splashback(self, rng: np.random.Generator) -> int:
        """The tiled strip behind a kitchen counter."""
        return self._wall_tiles(99, rng)


def _mirror() -> np.ndarray:
    """Silver with slanting streaks: there are no reflections, but people know the sign."""
    y, x = np.mgrid[0:64, 0:64] / 64.0
    band = np.clip(1.0 - np.abs((x + y) % 1.0 - 0.5) * 6, 0, 1) * 0.5
    return textures.finish(textures.mixed("#a9bcc6", "#eef4f6", (band + 0.35 * y).astype(np.float32)))

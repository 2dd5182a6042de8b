"""What a real camera does to a perfect picture, and robots that differ a little from their description."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

_LEVELS = 16383  # steps of light that are told apart, enough for one per displayed level in the dark


@dataclass(frozen=True)
class CameraEffects:
    """The flaws of one camera on one day. As built, none: the picture stays as it is.

    Lengths on the picture are shares of its width, so that they mean the same at every resolution.
    """

    exposure: float = 0.0  # stops: +1 doubles the light
    exposure_drift: float = 0.0  # stops, standard deviation of the slow wandering of an automatic exposure
    contrast: float = 1.0  # exponent on the displayed brightness; above 1 darkens the middle tones
    warmth: float = 0.0  # share of red gained and of blue lost, -0.5..0.5
    tint: float = 0.0  # share of green gained, -0.5..0.5
    vignetting: float = 0.0  # share of light lost in the corners, 0..1
    defocus: float = 0.0  # standard deviation of the blur, as a share of the width
    vibration: float = 0.0  # typical smear by a shaking mount in one frame, as a share of the width
    exposure_time: float = 0.0  # s; a turning camera smears what it sees
    readout_time: float = 0.0  # s from the first row to the last; a turning camera slants what it sees
    shot_noise: float = 0.0  # standard deviation at full white, white being 1; grows with the root of the light
    read_noise: float = 0.0  # standard deviation in the dark, white being 1
    jpeg_quality: int | None = None  # 1..100, None = not compressed
    latency: float = 0.0  # s from exposure until the robot's program holds the frame; the world applies it

    def __post_init__(self) -> None:
        for name, low, high in (
            ("exposure", -4, 4), ("exposure_drift", 0, 2), ("contrast", 0.2, 5), ("warmth", -0.5, 0.5),
            ("tint", -0.5, 0.5), ("vignetting", 0, 1), ("defocus", 0, 0.1), ("vibration", 0, 0.1),
            ("exposure_time", 0, 1), ("readout_time", 0, 1), ("shot_noise", 0, 1), ("read_noise", 0, 1),
            ("latency", 0, 2),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"camera effect {name} is {value}: give {low} to {high}")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"camera effect jpeg_quality is {self.jpeg_quality}: give 1 to 100, or None")

    @staticmethod
    def sample(rng: np.random.Generator) -> CameraEffects:
        """Some cheap robot camera in some light."""
        return CameraEffects(
            exposure=float(np.clip(rng.normal(0.0, 0.35), -0.8, 0.8)),
            exposure_drift=rng.uniform(0.0, 0.12),
            contrast=rng.uniform(0.85, 1.2),
            warmth=rng.uniform(-0.12, 0.12),
            tint=rng.uniform(-0.04, 0.04),
            vignetting=rng.uniform(0.0, 0.4),
            defocus=rng.uniform(0.0, 0.005),
            vibration=rng.uniform(0.0, 0.004),
            exposure_time=rng.uniform(0.004, 0.02),
            readout_time=rng.uniform(0.0, 0.025),
            shot_noise=rng.uniform(0.0, 0.04),
            read_noise=rng.uniform(0.0, 0.006),
            jpeg_quality=int(rng.integers(60, 96)) if rng.random() < 0.5 else None,
            latency=rng.uniform(0.02, 0.12),
        )


class CameraSensor:
    """Applies the effects to frame after frame. The same effects, generator and frames give the same pictures."""

    def __init__(self, effects: CameraEffects, rng: np.random.Generator) -> None:
        self.effects = effects
        self._rng = rng
        self._drift = effects.exposure_drift * rng.standard_normal()  # stops
        self._gain = np.ones((0, 0, 3), dtype=np.float32)  # [H, W, 3] on the light, made for the size of a frame
        self._to_light = _to_light(np.arange(256) / 255.0).astype(np.float32)
        shown = _to_display(np.arange(_LEVELS + 1) / _LEVELS) ** effects.contrast
        self._to_display = np.round(255.0 * shown).astype(np.uint8)

    def __call__(self, rgb: np.ndarray, sweep: float = 0.0) -> np.ndarray:
        """The flawed picture [H, W, 3] uint8 of a perfect one.

        `sweep` is how fast the view moves to the right, in pixels per second: turn rate (rad/s) x focal length.
        """
        import cv2

        effects = self.effects
        if dataclasses.replace(effects, latency=0.0) == CameraEffects():
            return rgb.copy()
        light = self._move(cv2.LUT(rgb, self._to_light), sweep)
        light = self._noise(light * self._gain_of(rgb.shape[:2]) * self._exposure())
        picture = self._to_display.take((np.clip(light, 0.0, 1.0) * _LEVELS + 0.5).astype(np.uint16))
        if effects.jpeg_quality is None:
            return picture
        _, data = cv2.imencode(".jpg", picture[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, effects.jpeg_quality))
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        return np.ascontiguousarray(decoded[..., ::-1])

    def _move(self, light: np.ndarray, sweep: float) -> np.ndarray:
        """Slant by the rolling shutter, smear by motion, blur by the lens."""
        import cv2

        effects, (height, width) = self.effects, light.shape[:2]
        slant = sweep * effects.readout_time / max(height - 1, 1)  # pixels per row
        if slant:
            back = np.array([[1.0, -slant, slant * (height - 1) / 2], [0.0, 1.0, 0.0]])
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            light = cv2.warpAffine(light, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        smear = np.array([sweep * effects.exposure_time, 0.0])
        if effects.vibration:
            smear += effects.vibration * width * self._rng.standard_normal(2)
        if smear.any():
            light = cv2.filter2D(light, -1, _line_kernel(smear), borderType=cv2.BORDER_REPLICATE)
        if effects.defocus:
            light = cv2.GaussianBlur(light, (0, 0), effects.defocus * width, borderType=cv2.BORDER_REPLICATE)
        return light

    def _exposure(self) -> np.float32:
        """Gain of this frame; wanders from frame to frame with a standard deviation of `exposure_drift`."""
        effects = self.effects
        if effects.exposure_drift:
            keep = 0.9  # of a frame's drift in the next one
            fresh = math.sqrt(1.0 - keep**2) * effects.exposure_drift * self._rng.standard_normal()
            self._drift = keep * self._drift + fresh
        return np.float32(2.0 ** (effects.exposure + self._drift))

    def _gain_of(self, shape: tuple[int, ...]) -> np.ndarray:
        """[H, W, 3] share of the light that arrives: vignetting and the colour of the light."""
        if self._gain.shape[:2] != shape:
            effects = self.effects
            y, x = (np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1) for n in shape)
            falloff = 1.0 - effects.vignetting * (x[None, :] ** 2 + y[:, None] ** 2) / 2.0
            colour = (1.0 + effects.warmth, 1.0 + effects.tint, 1.0 - effects.warmth)
            self._gain = (falloff[..., None] * colour).astype(np.float32)
        return self._gain

    def _noise(self, light: np.ndarray) -> np.ndarray:
        effects = self.effects
        if not (effects.shot_noise or effects.read_noise):
            return light
        shot, read = np.float32(effects.shot_noise**2), np.float32(effects.read_noise**2)
        deviation = np.sqrt(shot * np.maximum(light, 0.0) + read)
        return light + deviation * self._rng.standard_normal(light.shape, dtype=np.float32)


def _to_light(shown: np.ndarray) -> np.ndarray:
    """Linear light 0..1 of displayed (sRGB) brightness 0..1."""
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


def _to_display(light: np.ndarray) -> np.ndarray:
    """Displayed (sRGB) brightness 0..1 of linear light 0..1."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1.0 / 2.4) - 0.055)


def _line_kernel(vector: np.ndarray) -> np.ndarray:
    """A blur along a straight movement by `vector` [2] (x, y) pixels: a kernel [K, K] float32 of sum 1."""
    reach = min(math.ceil(np.abs(vector).max() / 2.0), 31)
    count = 4 * reach + 1
    points = np.clip(np.linspace(-0.5, 0.5, count)[:, None] * vector, -reach, reach) + reach
    # Every point is shared among the four cells around it.
    axis = np.arange(2 * reach + 1)
    across = np.maximum(1.0 - np.abs(points[:, :1] - axis), 0.0)
    down = np.maximum(1.0 - np.abs(points[:, 1:] - axis), 0.0)
    return (down.T @ across / count).astype(np.float32)

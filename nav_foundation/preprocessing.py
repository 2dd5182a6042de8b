"""From any camera to the network's input. The only place in the project that resizes, crops or normalises images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nav_foundation.camera import project
from nav_foundation.robot import CameraSpec

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in 0..1, what published backbones were trained with
IMAGENET_STD = (0.229, 0.224, 0.225)
UNSEEN = 128  # grey level of pixels that the camera does not see


@dataclass(frozen=True)
class CanonicalView:
    """The one pinhole camera that the network looks through, along the axis of the real camera.

    128 x 96 is divided evenly by backbones of stride 16 and 32, and one pixel (0.7 degrees) still shows a door's edge
    at ten metres. 90 degrees holds nearly all of common cameras (60 to 95 degrees) and both posts of a door from 0.4 m
    away; wider would waste pixels on most robots, and a pinhole stretches what lies beyond.
    """

    width: int = 128
    height: int = 96
    hfov_deg: float = 90.0

    def __post_init__(self) -> None:
        if self.width < 2 or self.height < 2:
            raise ValueError(f"canonical view is {self.width}x{self.height}: give at least 2x2 pixels")
        if not 1.0 <= self.hfov_deg <= 170.0:
            raise ValueError(f"canonical view hfov_deg is {self.hfov_deg}: give degrees, 1 to 170")

    @property
    def focal(self) -> float:
        """Pixels; the same in both directions."""
        return self.width / 2 / math.tan(math.radians(self.hfov_deg) / 2)

    def directions(self, pixels: np.ndarray) -> np.ndarray:
        """[N, 3] through pixels [N, 2] (x, y) of the view, optical frame, z = 1; pixel centres lie at integers."""
        centre = ((self.width - 1) / 2, (self.height - 1) / 2)
        return np.column_stack([(np.asarray(pixels) - centre) / self.focal, np.ones(len(pixels))])


class Preprocessor:
    """Warps the pictures of one camera to the canonical view.

    A picture much larger than the view is first shrunk by areas, as far as its most stretched part allows; where it is
    still finer than the view, every pixel is the mean of several samples. So fine patterns turn grey, not into moire.
    """

    visible: np.ndarray  # [h, w] bool, which pixels of the view the camera sees; the others are grey

    def __init__(self, camera: CameraSpec, view: CanonicalView | None = None) -> None:
        self.camera = camera
        self.view = view or CanonicalView()
        finest, coarsest = _pixel_ratios(camera, self.view)
        shrink = max(1.0, finest / 2)  # to twice as fine: enough to place edges exactly when the samples are averaged
        self._size = (max(1, round(camera.width / shrink)), max(1, round(camera.height / shrink)))
        self._samples = max(1, math.ceil(coarsest / shrink - 0.05))  # along each side of a pixel of the view
        source = _sample_positions(camera, self.view, self._samples)
        inside = _inside(source, camera)
        rows, columns, n = self.view.height, self.view.width, self._samples
        self.visible = np.asarray(inside.reshape(rows, n, columns, n).all(axis=(1, 3)))
        self.visible.flags.writeable = False
        scale = np.array(self._size) / (camera.width, camera.height)
        self._map = np.where(inside[..., None], (source + 0.5) * scale - 0.5, 0.0).astype(np.float32)

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """The canonical view [h, w, 3] uint8 of the camera's picture [H, W, 3] uint8."""
        import cv2

        camera, view = self.camera, self.view
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            raise ValueError(f"picture is {rgb.dtype} {rgb.shape}: give uint8 of shape [height, width, 3]")
        if rgb.shape[:2] != (camera.height, camera.width):
            raise ValueError(
                f"picture is {rgb.shape[1]}x{rgb.shape[0]} but the camera is described as "
                f"{camera.width}x{camera.height}: correct the robot's camera or the size of the picture"
            )
        if self._size != (camera.width, camera.height):
            rgb = cv2.resize(rgb, self._size, interpolation=cv2.INTER_AREA)
        image = cv2.remap(
            rgb, self._map[..., 0], self._map[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        if self._samples > 1:
            image = cv2.resize(image, (view.width, view.height), interpolation=cv2.INTER_AREA)
        image[~self.visible] = UNSEEN
        return image


@dataclass(frozen=True)
class CropAndShrink:
    """How ViNT and NoMaD were shown pictures: the middle at 4:3, whatever the lens, shrunk to a few pixels."""

    width: int
    height: int
    aspect: float = 4 / 3  # of the crop, width / height

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or not 0 < self.aspect < math.inf:
            raise ValueError(f"a crop of {self.aspect:g} to {self.width}x{self.height} makes no picture")

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """[height, width, 3] uint8 of a picture [H, W, 3] uint8."""
        from PIL import Image

        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            raise ValueError(f"picture is {rgb.dtype} {rgb.shape}: give uint8 of shape [height, width, 3]")
        rows, columns = rgb.shape[:2]
        wide, high = min(columns, int(rows * self.aspect)), min(rows, int(columns / self.aspect))
        left, top = round((columns - wide) / 2), round((rows - high) / 2)
        middle = Image.fromarray(rgb[top : top + high, left : left + wide])
        return np.asarray(middle.resize((self.width, self.height), Image.Resampling.BICUBIC))  # Pillow's own choice


def normalise(rgb: np.ndarray) -> np.ndarray:
    """Network input [..., 3, h, w] float32 of pictures [..., h, w, 3] uint8, with ImageNet's statistics."""
    if rgb.dtype != np.uint8 or rgb.ndim < 3 or rgb.shape[-1] != 3:
        raise ValueError(f"pictures are {rgb.dtype} {rgb.shape}: give uint8 of shape [..., height, width, 3]")
    out = np.empty((*rgb.shape[:-3], 3, *rgb.shape[-3:-1]), dtype=np.float32)
    levels = np.arange(256, dtype=np.float64) / 255.0
    for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD)):
        out[..., channel, :, :] = ((levels - mean) / std).astype(np.float32)[rgb[..., channel]]
    return out


def _inside(pixels: np.ndarray, camera: CameraSpec) -> np.ndarray:
    """Whether positions [..., 2] lie on the camera's picture; NaN does not."""
    margin = 0.5 + 1e-6
    x, y = pixels[..., 0], pixels[..., 1]
    return (x >= -margin) & (x <= camera.width - 1 + margin) & (y >= -margin) & (y <= camera.height - 1 + margin)


def _sample_positions(camera: CameraSpec, view: CanonicalView, n: int) -> np.ndarray:
    """[h n, w n, 2] where in the camera's picture n x n samples of every pixel of the view lie; NaN = nowhere."""
    x = (np.arange(view.width * n) + 0.5) / n - 0.5
    y = (np.arange(view.height * n) + 0.5) / n - 0.5
    pixels = np.stack(np.meshgrid(x, y), axis=-1)
    return project(camera, view.directions(pixels.reshape(-1, 2))).reshape(pixels.shape)


def _pixel_ratios(camera: CameraSpec, view: CanonicalView) -> tuple[float, float]:
    """Camera pixels along one pixel of the view: the least and the most over the view and all directions."""
    corners = np.stack(np.meshgrid(np.arange(view.width + 1), np.arange(view.height + 1)), axis=-1) - 0.5
    source = project(camera, view.directions(corners.reshape(-1, 2))).reshape(corners.shape)
    across, down = np.diff(source, axis=1)[:-1], np.diff(source, axis=0)[:, :-1]
    stretch = np.linalg.svd(
        np.stack([across, down], axis=-1)[_inside(source[:-1, :-1], camera) & np.isfinite(across + down).all(axis=-1)],
        compute_uv=False,
    )
    if len(stretch) == 0:
        raise ValueError(
            f"the camera sees nothing within {view.hfov_deg:g} degrees around its axis: check its intrinsics"
        )
    return float(stretch.min()), float(stretch.max())

"""Camera effects: none is nothing, each does what its name says, and the same seed gives the same picture."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest

from sim_envs.sensors import CameraEffects, CameraSensor

NOISE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
GREY = np.full((96, 128, 3), 118, np.uint8)
LINE = np.zeros((97, 128, 3), np.uint8)  # a white post in the middle
LINE[:, 64] = 255


def once(picture: np.ndarray, effects: CameraEffects, sweep: float = 0.0, seed: int = 0) -> np.ndarray:
    out = CameraSensor(effects, np.random.default_rng(seed))(picture, sweep)
    assert out.shape == picture.shape
    assert out.dtype == np.uint8
    return out


def light(picture: np.ndarray) -> np.ndarray:
    """Linear light by the sRGB standard."""
    v = picture / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("effects", [CameraEffects(), CameraEffects(latency=0.1)])
def test_no_effects_change_nothing_and_share_nothing(effects: CameraEffects) -> None:
    out = once(NOISE, effects, sweep=100.0)
    np.testing.assert_array_equal(out, NOISE)
    assert not np.shares_memory(out, NOISE)


def test_the_way_to_light_and_back_loses_nothing() -> None:
    every_level = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    np.testing.assert_array_equal(once(every_level, CameraEffects(exposure_time=0.01)), every_level)


def test_a_stop_doubles_the_light() -> None:
    assert light(once(GREY, CameraEffects(exposure=1.0))).mean() == pytest.approx(2 * light(GREY).mean(), rel=0.02)
    assert light(once(GREY, CameraEffects(exposure=-2.0))).mean() == pytest.approx(light(GREY).mean() / 4, rel=0.02)
    assert (once(GREY, CameraEffects(exposure=4.0)) == 255).all(), "too much light saturates"


def test_exposure_wanders_slowly_around_its_setting() -> None:
    sensor = CameraSensor(CameraEffects(exposure_drift=0.3), np.random.default_rng(1))
    stops = np.log2([light(sensor(GREY[:2, :2])).mean() / light(GREY).mean() for _ in range(4000)])
    assert stops.std() == pytest.approx(0.3, rel=0.15)
    assert np.diff(stops).std() < 0.6 * stops.std(), "neighbouring frames are alike"


def test_colour_and_contrast() -> None:
    warm = light(once(GREY, CameraEffects(warmth=0.2, tint=-0.1))).mean(axis=(0, 1)) / light(GREY).mean()
    assert warm == pytest.approx([1.2, 0.9, 0.8], rel=0.02)
    out = once(NOISE, CameraEffects(contrast=1.5))
    np.testing.assert_allclose(out, 255 * (NOISE / 255) ** 1.5, atol=1)


def test_vignetting_darkens_the_corners_only() -> None:
    share = light(once(GREY, CameraEffects(vignetting=0.4)))[..., 0] / light(GREY)[..., 0]
    assert share[0, 0] == pytest.approx(0.6, rel=0.03)
    assert share[48, 64] == pytest.approx(1.0, rel=0.03)


def test_noise_has_the_promised_strength() -> None:
    grey = light(GREY).mean()
    read = light(once(GREY, CameraEffects(read_noise=0.02)))
    assert read.mean() == pytest.approx(grey, rel=0.02)
    assert read.std() == pytest.approx(0.02, rel=0.05)
    assert light(once(GREY, CameraEffects(shot_noise=0.05))).std() == pytest.approx(0.05 * math.sqrt(grey), rel=0.05)
    assert (once(np.zeros_like(GREY), CameraEffects(shot_noise=0.05)) == 0).all(), "no light, no shot noise"


def test_blur_keeps_the_light_and_spreads_it() -> None:
    columns = np.arange(128)
    for effects in (CameraEffects(defocus=0.02), CameraEffects(vibration=0.02)):
        out = light(once(LINE, effects))[48, :, 0]
        assert out.sum() == pytest.approx(1.0, rel=0.05)
        assert 0.3 < math.sqrt((out * (columns - 64) ** 2).sum()) < 8.0
    out = light(once(LINE, CameraEffects(defocus=2.0 / 128)))[48, :, 0]
    assert math.sqrt((out * (columns - 64) ** 2).sum()) == pytest.approx(2.0, rel=0.1)


def test_turning_smears_along_the_rows() -> None:
    out = light(once(LINE, CameraEffects(exposure_time=0.05), sweep=200.0))[48, :, 0]
    # 200 pixels per second for 0.05 s: an even smear of 10 pixels, whose standard deviation is 10 / sqrt(12).
    spread = math.sqrt((out / out.sum() * (np.arange(128) - 64) ** 2).sum())
    assert spread == pytest.approx(10 / math.sqrt(12), rel=0.1)
    picture = np.ascontiguousarray(LINE.transpose(1, 0, 2))  # a line along the row is smeared onto itself
    np.testing.assert_array_equal(once(picture, CameraEffects(exposure_time=0.05), sweep=200.0), picture)


def test_a_rolling_shutter_slants_what_moves() -> None:
    out = once(LINE, CameraEffects(readout_time=0.04), sweep=200.0)
    where = out[..., 0].argmax(axis=1)
    # The view moves to the right by 8 pixels while the rows are read from the top to the bottom.
    assert (where[0], where[48], where[96]) == (60, 64, 68)
    np.testing.assert_array_equal(once(LINE, CameraEffects(readout_time=0.04)), LINE)


def test_jpeg_loses_a_little() -> None:
    yy, xx = np.mgrid[:96, :128]
    smooth = np.stack([xx, yy, 255 - xx], axis=-1).astype(np.uint8)
    loss = {q: np.abs(once(smooth, CameraEffects(jpeg_quality=q)).astype(int) - smooth).mean() for q in (10, 50, 95)}
    assert 0 < loss[95] < loss[50] < loss[10]
    assert loss[95] < 3, "the colours stay in their channels"


def test_the_same_seed_gives_the_same_pictures() -> None:
    effects = CameraEffects.sample(np.random.default_rng(3))
    assert effects == CameraEffects.sample(np.random.default_rng(3))
    assert effects != CameraEffects.sample(np.random.default_rng(4))
    twins = [CameraSensor(effects, np.random.default_rng(5)) for _ in range(2)]
    for _ in range(4):
        first, second = (sensor(NOISE, 50.0) for sensor in twins)
        np.testing.assert_array_equal(first, second)
    assert (CameraSensor(effects, np.random.default_rng(6))(NOISE, 50.0) != first).any()


def test_sampled_effects_leave_the_scene_recognisable() -> None:
    yy, xx = np.mgrid[:96, :128]
    scene = np.stack([80 + 80 * ((xx // 16 + yy // 16) % 2), 60 + xx, 200 - yy], axis=-1).astype(np.uint8)
    rng = np.random.default_rng(0)
    for seed in range(60):
        effects = CameraEffects.sample(rng)
        assert 0 < effects.latency < 0.2
        out = once(scene, effects, sweep=60.0, seed=seed)
        assert np.corrcoef(out[..., 0].ravel(), scene[..., 0].ravel())[0, 1] > 0.7
        assert 20 < out.mean() < 235


@pytest.mark.parametrize("wrong", [
    {"exposure": 9.0}, {"latency": -0.1}, {"shot_noise": math.nan}, {"jpeg_quality": 0}, {"contrast": 0.0},
])
def test_effects_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CameraEffects(**wrong)  # type: ignore[arg-type]


def test_a_frame_is_cheap() -> None:
    effects = dataclasses.replace(CameraEffects.sample(np.random.default_rng(0)), jpeg_quality=80)
    sensor = CameraSensor(effects, np.random.default_rng(0))
    best = math.inf
    for _ in range(30):
        begun = time.perf_counter()
        sensor(GREY, 60.0)
        best = min(best, time.perf_counter() - begun)
    assert best < 2e-3  # about 0.5 ms here; the margin is for slow machines

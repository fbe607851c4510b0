"""Losses that `config.loss.criterion` finds by their files, against other programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from skimage import color

from sr_jax.losses import artifacts, color_spaces, consistency, contextual, hsluv, luma, ms_ssim
from sr_jax.metrics import ssim

RNG = np.random.default_rng(0)
X, Y = (RNG.random((2, 25, 29, 3)).astype(np.float32) for _ in range(2))
NEAR = np.clip(Y + 0.1 * RNG.standard_normal(Y.shape), 0, 1).astype(np.float32)
CRITERIA = {
    module.__name__.rpartition('.')[2]: jax.jit(jax.value_and_grad(module.criterion))
    for module in (artifacts, consistency, contextual, hsluv, luma, ms_ssim)
}


def value(name, x=NEAR, y=Y):
    return float(CRITERIA[name](x, y)[0])


@pytest.mark.parametrize('name', CRITERIA)
def test_equal_images_cost_nothing_and_gradients_are_finite(name):
    x, y = (z[:, :21, :23] for z in (NEAR, Y))
    if name == 'contextual':
        x, y = x[:, :5, :7], y[:, :5, :7]
    for first in (x, y):
        found, gradient = CRITERIA[name](first, y)
        assert np.isfinite(gradient).all()
    assert abs(float(found)) < 2e-3 and value(name, x, y) > float(found) + 1e-4
    grey = jnp.zeros_like(x).at[:, :, 9:].set(1)
    assert np.isfinite(CRITERIA[name](grey, y)[1]).all()


@pytest.mark.parametrize(('side', 'scales'), [(11, 1), (21, 1), (22, 2), (44, 3), (500, 5)])
def test_small_crops_have_fewer_scales(side, scales):
    assert ms_ssim.count_scales(side) == scales


def test_ms_ssim_of_one_scale_is_ssim():
    x, y = NEAR[:, :19, :21], Y[:, :19, :21]
    expected = np.mean([ssim.ssim(a, b, 1) for a, b in zip(x, y, strict=True)])
    np.testing.assert_allclose(1 - value('ms_ssim', x, y), expected, atol=1e-5)


def test_ms_ssim_of_two_scales():
    def maps(x, y):
        def mean(z):
            return ndimage.gaussian_filter(z, 1.5, axes=(1, 2), radius=5)[:, 5:-5, 5:-5]

        x, y = x.astype(np.float64), y.astype(np.float64)
        covariance = mean(x * y) - mean(x) * mean(y)
        variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
        light = (2 * mean(x) * mean(y) + 1e-4) / (mean(x) ** 2 + mean(y) ** 2 + 1e-4)
        return light, (2 * covariance + 9e-4) / (variances + 9e-4)

    def half(x):
        return x[:, :24, :28].reshape(2, 12, 2, 14, 2, 3).mean(axis=(2, 4))

    first = maps(NEAR, Y)[1].mean(axis=(1, 2))
    light, structure = maps(half(NEAR), half(Y))
    second = (light * structure).mean(axis=(1, 2))
    total = 0.0448 + 0.2856
    expected = 1 - np.mean(first ** (0.0448 / total) * second ** (0.2856 / total))
    np.testing.assert_allclose(value('ms_ssim'), expected, atol=1e-5)


def test_luma_is_the_lightness_of_lab():
    found = jax.jit(color_spaces.luma)(X)
    np.testing.assert_allclose(found[..., 0], color.rgb2lab(X)[..., 0] / 100, atol=2e-4)
    expected = np.abs(color.rgb2lab(NEAR) - color.rgb2lab(Y))[..., 0].mean() / 100
    np.testing.assert_allclose(value('luma'), expected, atol=1e-4)


def test_hsluv_is_luv_in_polar_coordinates_over_what_srgb_holds():
    hue, saturation, light = (np.asarray(z)[0, :6, :7] for z in jax.jit(color_spaces.hsluv)(X))
    luv = color.rgb2luv(X)[0, :6, :7]
    np.testing.assert_allclose(light, luv[..., 0] / 100, atol=2e-4)
    angle = np.arctan2(luv[..., 2], luv[..., 1])
    np.testing.assert_allclose(np.cos(hue - angle), 1, atol=1e-4)
    chroma = np.hypot(luv[..., 1], luv[..., 2])
    steps = np.linspace(0, 2, 2001)[1:] * (chroma / np.clip(saturation, 0.05, 1))[..., None]
    colors = np.stack(np.broadcast_arrays(
        luv[..., :1], steps * np.cos(angle)[..., None], steps * np.sin(angle)[..., None]
    ), axis=-1)  # fmt: skip
    inside = _linear_rgb(colors)
    most = np.where(((inside >= 0) & (inside <= 1)).all(-1), steps, 0).max(-1)
    np.testing.assert_allclose(saturation, chroma / most, rtol=5e-3)


def _linear_rgb(luv):
    """Linear sRGB of Luv, not clipped, by its definition."""
    light, u, v = np.moveaxis(luv, -1, 0)
    white = color_spaces.TO_XYZ.sum(axis=1)
    total = white @ [1, 15, 3]
    u = u / (13 * light) + 4 * white[0] / total
    v = v / (13 * light) + 9 * white[1] / total
    y = np.where(light > 8, ((light + 16) / 116) ** 3, light * 27 / 24389)
    xyz = np.stack([y * 9 * u / (4 * v), y, y * (12 - 3 * u - 20 * v) / (4 * v)], axis=-1)
    return xyz @ color_spaces.FROM_XYZ.T


def test_hues_differ_by_the_angle_between_them():
    red, blue, grey = (np.broadcast_to(np.float32(c), (1, 2, 3, 3)) for c in (
        (0.9, 0.2, 0.2), (0.2, 0.2, 0.9), (0.5, 0.5, 0.5)
    ))  # fmt: skip
    hues, saturations, lights = zip(*(
        [float(z[0, 0, 0]) for z in jax.jit(color_spaces.hsluv)(c)] for c in (red, blue)
    ), strict=True)  # fmt: skip
    turn = np.arccos(np.cos(hues[0] - hues[1])) / np.pi
    rest = abs(saturations[0] - saturations[1]) + abs(lights[0] - lights[1])
    expected = (turn * min(saturations) + rest) / 3
    np.testing.assert_allclose(value('hsluv', red, blue), expected, rtol=1e-4)
    assert float(jax.jit(color_spaces.hsluv)(grey)[1].max()) < 1e-3


def test_consistency_by_its_definition():
    def linear(x):
        return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)

    def chroma(x):  # by way of XYZ, with the matrices of Ottosson's article for it
        cones = np.array([[0.8189330101, 0.3618667424, -0.1288597137],
                          [0.0329845436, 0.9293118715, 0.0361456387],
                          [0.0482003018, 0.2643662691, 0.6338517070]])  # fmt: skip
        to_lab = np.array([[1.9779984951, -2.4285922050, 0.4505937099],
                           [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
        return np.cbrt(linear(x) @ color_spaces.TO_XYZ.T @ cones.T) @ to_lab.T

    def light(x):
        blurred = ndimage.gaussian_filter(x, 3.0, axes=(1, 2), radius=10)[:, 10:-10, 10:-10]
        return color.rgb2lab(blurred)[..., 0] / 100

    x, y = (np.clip(z.astype(np.float64), 1 / 255, 1) for z in (NEAR, Y))
    expected = np.abs(light(x) - light(y)).mean() + np.abs(chroma(x) - chroma(y)).mean()
    np.testing.assert_allclose(value('consistency'), expected, rtol=2e-3)


def test_artifacts_by_their_definition():
    residual = np.abs(NEAR - Y).sum(-1).astype(np.float64)
    padded = np.pad(residual, ((0, 0), (3, 3), (3, 3)), mode='reflect')
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2))
    weights = windows.var(axis=(-1, -2), ddof=1)
    weights *= residual.var(axis=(1, 2), ddof=1)[:, None, None] ** 0.2
    expected = np.abs(weights[..., None] * (NEAR - Y)).mean()
    np.testing.assert_allclose(value('artifacts'), expected, rtol=1e-4)


def test_contextual_by_its_definition():
    x, y = (z[:1, :4, :5].astype(np.float64) for z in (NEAR, Y))
    x, y = (z.reshape(-1, 3) - y.reshape(-1, 3).mean(0) for z in (x, y))
    total = np.zeros(len(y))
    for vector in x:
        cosines = (y @ vector) / np.linalg.norm(y, axis=1) / np.linalg.norm(vector)
        distances = 1 - cosines
        weights = np.exp((1 - distances / (distances.min() + 1e-5)) / 0.5)
        total = np.maximum(total, weights / weights.sum())
    found = value('contextual', NEAR[:1, :4, :5], Y[:1, :4, :5])
    np.testing.assert_allclose(found, -np.log(total.mean() + 1e-5), rtol=5e-2)

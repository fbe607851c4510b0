import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.degradations import blur as blur_lib
from sr_jax.degradations.blur import (
    bessel_j1,
    blur,
    delta,
    draw_exponent,
    draw_final_kernel,
    draw_kernel,
    draw_side,
    shaped_kernel,
    sinc_kernel,
)

KEYS = jax.random.split(jax.random.key(0), 2000)
SHAPED = jax.jit(shaped_kernel, static_argnums=5)
SINC = jax.jit(sinc_kernel, static_argnums=2)


def test_j1_agrees_with_scipy():
    x = np.linspace(0, 60, 5001)
    ours = jax.jit(bessel_j1)(np.float32(x))
    np.testing.assert_allclose(ours, scipy.special.j1(x), atol=5e-6)


def many(draw):
    return np.asarray(jax.jit(jax.vmap(draw))(KEYS))


def pad(kernel, largest=21):
    return np.pad(kernel / kernel.sum(), (largest - len(kernel)) // 2)


def offsets(side):
    return np.mgrid[-(side // 2) : side // 2 + 1, -(side // 2) : side // 2 + 1].astype(float)


@settings(max_examples=30)
@given(side=st.sampled_from(range(7, 22, 2)), cutoff=st.floats(math.pi / 5, math.pi))
def test_a_low_pass_is_its_formula(side, cutoff):
    r = np.hypot(*offsets(side))
    with np.errstate(invalid='ignore'):
        expected = cutoff * scipy.special.j1(cutoff * r) / (2 * np.pi * r)
    expected[side // 2, side // 2] = cutoff**2 / (4 * np.pi)
    ours = SINC(jnp.float32(cutoff), jnp.int32(side), 21)
    np.testing.assert_allclose(ours, pad(expected), atol=2e-6)


@settings(max_examples=30)
@given(
    side=st.sampled_from(range(7, 22, 2)),
    sigma=st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)),
    angle=st.floats(-math.pi, math.pi),
    exponent=st.floats(0.5, 4),
    plateau=st.booleans(),
)
def test_a_shaped_kernel_is_its_formula(side, sigma, angle, exponent, plateau):
    y, x = offsets(side)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.diag(np.square(sigma)) @ turn.T)
    q = np.einsum('ayx,ab,byx->yx', [x, y], inverse, [x, y]) ** exponent
    expected = 1 / (1 + q) if plateau else np.exp(-0.5 * q)
    ours = SHAPED(
        jnp.float32(sigma), jnp.float32(angle), jnp.float32(exponent), plateau, jnp.int32(side), 21
    )
    np.testing.assert_allclose(ours, pad(expected), atol=2e-4)


def test_kernels_sum_to_1_and_most_are_no_low_pass(settings):
    kernels = many(lambda k: draw_kernel(k, settings.first, (7, 21)))
    assert kernels.shape == (2000, 21, 21)
    np.testing.assert_allclose(kernels.sum((1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(kernels, kernels[:, ::-1, ::-1], atol=1e-6)
    low_pass = kernels.min((1, 2)) < 0
    assert 0.07 < low_pass.mean() < 0.13
    mirrored = np.abs(kernels - kernels[:, :, ::-1]).max((1, 2)) < 1e-6
    assert 0.64 < mirrored[~low_pass].mean() < 0.78  # the isotropic ones: 0.69, and hardly turned


def test_the_second_blur_and_the_last_one_are_left_out_at_times(settings):
    second = many(lambda k: draw_kernel(k, settings.second, (7, 21)))
    last = many(lambda k: draw_final_kernel(k, settings.final_sinc_prob, (7, 21)))
    for kernels, chance in ((second, 0.2), (last, 0.2)):
        absent = (kernels == delta(21)[None]).all((1, 2))
        # A Gaussian of a fifth of a pixel is nearly none, but not to the last bit.
        assert absent.mean() == pytest.approx(chance, abs=0.04)


def test_nothing_is_drawn_that_has_no_probability(settings):
    stage = dataclasses.replace(settings.first, sinc_prob=0.0, kernel_probs=(1.0, 0, 0, 0, 0, 0))
    kernels = many(lambda k: draw_kernel(k, stage, (5, 9)))
    assert kernels.min() >= 0
    np.testing.assert_allclose(kernels, kernels.transpose(0, 2, 1), atol=1e-6)


def test_sides_and_exponents():
    u = jax.random.uniform(jax.random.key(1), (2, 4000))
    drawn = jax.jit(jax.vmap(lambda u: draw_side(u, (7, 21))))(u[0])
    sides, counts = np.unique(drawn, return_counts=True)
    assert sides.tolist() == [7, 9, 11, 13, 15, 17, 19, 21]
    assert counts.min() > 400
    draw = jax.jit(draw_exponent, static_argnums=2)
    exponents = np.asarray(draw(u[0], u[1], (0.5, 4.0)))
    assert (exponents.min() >= 0.5) and (exponents.max() <= 4)
    assert 0.47 < (exponents < 1).mean() < 0.53
    assert 0.47 < (draw(u[0], u[1], (1.0, 2.0)) == 1).mean() < 0.53
    assert draw(u[0], u[1], (2.0, 3.0)).min() >= 2


@settings(max_examples=15)
@given(height=st.integers(1, 30), width=st.integers(2, 33), seed=st.integers(0, 99))
def test_a_blur_is_scipys_correlation_in_mirror_image(height, width, seed):
    rng = np.random.default_rng(seed)
    pixels, kernel = rng.random((height, width, 3)), rng.random((21, 21))
    array = rng.random((30, 33, 3))
    array[:height, :width] = pixels
    image = blur_lib.Canvas(jnp.float32(array), jnp.int32(height), jnp.int32(width))
    ours = jax.jit(blur)(image, jnp.float32(kernel / kernel.sum())).pixels[:height, :width]
    expected = scipy.ndimage.correlate(pixels, kernel[..., None] / kernel.sum(), mode='mirror')
    np.testing.assert_allclose(ours, expected, atol=1e-5)

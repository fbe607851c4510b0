import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sr_jax.degradations import noise as noises
from sr_jax.degradations.canvas import Canvas, fill_canvas
from sr_jax.degradations.noise import add_noise

# Each as one program: outside of `jit` every operation is one.
poisson_quantiles = jax.jit(noises.poisson_quantiles)
poisson_noise = jax.jit(noises.poisson_noise, static_argnums=2)
distinct_levels = jax.jit(noises.distinct_levels)
UNIFORM = np.concatenate(
    [
        np.linspace(2.0**-24, 1 - 2.0**-20, 500),
        2.0 ** -np.arange(2, 24),
        1 - 2.0 ** -np.arange(2, 21),
    ]
).astype(np.float32)


@pytest.mark.parametrize('power', range(9))
def test_poisson_numbers_are_scipys(power):
    levels = np.arange(256)
    ours = np.asarray(
        poisson_quantiles(
            *np.broadcast_arrays(jnp.asarray(UNIFORM)[:, None], levels[None]), 2.0**power
        )
    )
    u, mean = UNIFORM[:, None].astype(float), levels / 255 * 2**power
    theirs = scipy.stats.poisson.ppf(u, mean)
    # Where a probability is the number itself to the last bits of float32 the next count is right
    # as well.
    assert np.abs(ours - theirs).max() <= 1
    assert np.mean(ours != theirs) < 2e-3
    slack = 5e-5
    assert (scipy.stats.poisson.cdf(ours, mean) >= u - slack).all()
    assert (scipy.stats.poisson.cdf(ours - 1, mean) <= u + slack).all()


def test_numbers_next_to_1_give_no_specks():
    count = poisson_quantiles(jnp.float32([1 - 2.0**-24]), jnp.asarray([0]), jnp.float32(256))
    assert count == 0
    count = poisson_quantiles(jnp.float32([1 - 2.0**-24]), jnp.asarray([255]), jnp.float32(256))
    assert 256 < count < 350


@pytest.mark.parametrize('seed', range(4))
def test_levels_are_counted_inside_only(seed):
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, rng.integers(2, 257), (9, 11, 3))
    inside = np.zeros((9, 11), bool)
    inside[: rng.integers(1, 10), : rng.integers(1, 12)] = True
    counted = distinct_levels(jnp.asarray(levels), jnp.asarray(inside))
    assert counted == len(np.unique(levels[inside]))


POISSON_NOISE = jax.jit(
    jax.vmap(lambda u, pixels: poisson_noise(u, fill_canvas(pixels), False), (0, None))
)


def noise_of(settings, pixels, count=1, **changes):
    """The noise that an image of middle tones gets from some keys: [count, h, w, 3]."""
    stage = dataclasses.replace(settings.first, **changes)
    keys = jax.random.split(jax.random.key(3), count)
    noisy = jax.jit(
        jax.vmap(lambda key: add_noise(key, fill_canvas(pixels), stage).pixels),
        # Of many images it runs for longer than it is compiled: see the flags in conftest.py.
        compiler_options={'xla_backend_optimization_level': 2} if count > 100 else None,
    )
    return np.asarray(noisy(keys)) - np.asarray(pixels)


def test_gaussian_noise_has_its_strength(settings):
    pixels = jnp.full((32, 128, 3), 0.5)
    noise = noise_of(
        settings, pixels, 4, gaussian_prob=1.0, gaussian_sigma=(20.0, 20.0), gray_prob=0.0
    )
    assert noise.mean() == pytest.approx(0, abs=1e-3)
    assert noise.std() * 255 == pytest.approx(20, rel=0.01)
    assert np.abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.03
    assert scipy.stats.kstest(noise.ravel() * 255 / 20, 'norm').pvalue > 1e-3


@pytest.mark.parametrize('gaussian_prob', [0.0, 1.0])
def test_gray_noise_is_the_same_in_all_channels(settings, gaussian_prob):
    pixels = jnp.asarray(np.random.default_rng(0).uniform(0.4, 0.6, (8, 32, 3)), jnp.float32)
    changes = dict(gaussian_prob=gaussian_prob, poisson_scale=(0.3, 0.3), gray_prob=1.0)
    noise = noise_of(settings, pixels, **changes)
    np.testing.assert_allclose(noise, np.repeat(noise[..., :1], 3, -1), atol=1e-6)
    assert noise.std() > 1e-3


@pytest.mark.parametrize(('levels', 'v'), [(2, 2), (3, 4), (64, 64), (65, 128), (256, 256)])
def test_poisson_noise_has_the_variance_of_its_photons(levels, v):
    tones = np.linspace(0, 255, levels).round() / 255
    pixels = jnp.asarray(np.resize(tones, (32, 128, 3)), jnp.float32)
    uniform = jax.random.uniform(jax.random.key(1), (8, 32, 128, 3), minval=2.0**-24)
    noise = np.asarray(POISSON_NOISE(uniform, pixels), float)
    mean = np.asarray(pixels, float).mean()
    assert noise.mean() == pytest.approx(0, abs=5 * np.sqrt(mean / v / noise.size))
    assert noise.var() == pytest.approx(mean / v, rel=0.03)


def test_gray_poisson_noise_counts_the_levels_of_the_luminance():
    pixels = np.zeros((16, 64, 3), np.float32)
    pixels[..., 0] = 1.0  # one luminance, two levels
    uniform = jax.random.uniform(jax.random.key(1), (16, 64, 3), minval=2.0**-24)
    uniform = jnp.repeat(uniform[..., :1], 3, -1)
    gray = poisson_noise(uniform, fill_canvas(jnp.asarray(pixels)), True)
    np.testing.assert_allclose(np.asarray(gray) + 76 / 255, np.round(gray + 76 / 255), atol=1e-6)
    colored = poisson_noise(uniform, fill_canvas(jnp.asarray(pixels)), False)
    np.testing.assert_allclose(2 * np.asarray(colored), np.round(2 * colored), atol=1e-6)
    assert not colored[..., 1:].any()


def test_what_lies_beyond_the_image_does_not_matter(settings):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (12, 14, 3)) / 255
    other = array.copy()
    other[7:], other[:, 5:] = 0.25, 0.75
    stage = dataclasses.replace(settings.first, gaussian_prob=0.0)
    add = jax.jit(lambda canvas: add_noise(jax.random.key(2), canvas, stage))
    first, second = (
        add(Canvas(np.float32(a), np.int32(7), np.int32(5))) for a in (array, other)
    )
    np.testing.assert_array_equal(first.pixels[:7, :5], second.pixels[:7, :5])


def test_kinds_are_drawn_for_each_image(settings):
    pixels = jnp.linspace(0.45, 0.55, 4 * 16 * 3).reshape(4, 16, 3)
    noise = noise_of(settings, pixels, 400, poisson_scale=(0.05, 0.5))
    gray = np.abs(noise - noise[..., :1]).max((1, 2, 3)) < 1e-6
    assert 0.33 < gray.mean() < 0.47
    assert np.unique(noise.std((1, 2, 3))).size > 390

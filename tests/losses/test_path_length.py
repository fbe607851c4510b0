"""Path lengths and their penalty; gradients of it and of R1 against differences in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.losses.gradient_penalty import r1
from sr_jax.losses.path_length import path_lengths, path_penalty

SHAPE = (6, 3, 5, 2)  # of images
RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(4, 7, 30))  # layers, numbers of a style, of an image
STYLES, NOISE = RNG.normal(size=(6, 4, 7)), RNG.normal(size=SHAPE)
MEAN = 0.3


def synthesize(weight, styles):
    """Images of styles, neither linear in them nor in the weight."""
    h = jnp.tanh(jnp.einsum('nld,ldp->nlp', styles, MIX * weight))
    return (h * jnp.cos(weight * styles.sum(axis=2))[:, :, None]).sum(axis=1).reshape(-1, 3, 5, 2)


def penalty(weight, part=slice(None), through_mean=False, whole=None):
    lengths = path_lengths(lambda s: synthesize(weight, s), STYLES[part], NOISE[part])
    whole = jax.lax.stop_gradient(lengths.mean()) if whole is None else whole
    return path_penalty(lengths, whole, MEAN, 0.4, through_mean)[0]


def in_one_piece(weight, through_mean):
    """NVlabs' and rosinality's penalty as they have it, of the whole batch."""
    lengths = path_lengths(lambda s: synthesize(weight, s), STYLES, NOISE)
    batch_mean = lengths.mean() if through_mean else jax.lax.stop_gradient(lengths.mean())
    return jnp.mean(jnp.square(lengths - (MEAN + 0.4 * (batch_mean - MEAN))))


def difference(function, weight, step=1e-5):
    return (function(weight + step) - function(weight - step)) / (2 * step)


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def test_lengths_are_those_of_the_jacobian():
    found = jax.jit(lambda s: path_lengths(lambda s: synthesize(0.7, s), s, NOISE))(STYLES)
    jacobian = jax.jit(jax.jacobian(lambda s: synthesize(0.7, s[None])[0]))(STYLES[2])
    product = np.einsum('hwc,hwcld->ld', NOISE[2], jacobian) / np.sqrt(15)
    np.testing.assert_allclose(found[2], np.sqrt((product**2).sum(axis=1).mean()), rtol=1e-6)


def test_the_gradient_of_the_penalty_is_that_of_differences():
    fixed = path_lengths(lambda s: synthesize(0.7, s), STYLES, NOISE).mean()

    def detached(weight):
        lengths = path_lengths(lambda s: synthesize(weight, s), STYLES, NOISE)
        return jnp.mean(jnp.square(lengths - (MEAN + 0.4 * (fixed - MEAN))))

    found = jax.jit(jax.grad(penalty))(0.7)
    np.testing.assert_allclose(found, difference(jax.jit(detached), 0.7), rtol=1e-4)
    through = jax.jit(jax.grad(lambda weight: penalty(weight, through_mean=True)))(0.7)
    whole = jax.jit(lambda weight: in_one_piece(weight, True))
    np.testing.assert_allclose(through, difference(whole, 0.7), rtol=1e-4)
    assert abs(through - found) > 0.01 * abs(found)


@pytest.mark.parametrize('through_mean', [False, True])
def test_parts_of_a_batch_have_the_gradient_of_the_whole(through_mean):
    lengths = path_lengths(lambda s: synthesize(0.7, s), STYLES, NOISE)
    options = {'through_mean': through_mean}
    parts = [
        jax.jit(jax.grad(functools.partial(penalty, part=part, whole=lengths.mean(), **options)))
        for part in (slice(i, None, 3) for i in range(3))
    ]
    expected = jax.jit(jax.grad(lambda weight: in_one_piece(weight, through_mean)))(0.7)
    np.testing.assert_allclose(np.mean([part(0.7) for part in parts]), expected, rtol=1e-6)


def test_the_gradient_of_r1_is_that_of_differences():
    kernel = RNG.normal(size=(3, 5, 2, 4))

    def value(weight):
        def discriminator(x):
            h = jnp.tanh(weight * jnp.einsum('nhwc,hwcf->nf', x, kernel))
            return jnp.sin(weight * h).sum(axis=1)

        return r1(discriminator, NOISE)

    found = jax.jit(jax.grad(value))(0.2)
    np.testing.assert_allclose(found, difference(jax.jit(value), 0.2), rtol=1e-5)

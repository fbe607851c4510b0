import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from sr_jax.layers import toom_cook, winograd, winograd_1d
from sr_jax.layers.convolution import convolve


def draw(key, *shapes):
    keys = jax.random.split(jax.random.key(key), len(shapes))
    return [jax.random.normal(k, s, jnp.bfloat16) for k, s in zip(keys, shapes, strict=True)]


def exact(x, kernel):
    """The cross-correlation of numbers of bfloat16, in float64."""
    x, kernel = (np.asarray(a, np.float64) for a in (x, kernel))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = x.shape[1:3]
    taps = np.ndindex(3, 3)
    return sum(padded[:, i : i + height, j : j + width] @ kernel[i, j] for i, j in taps)


@settings(deadline=None, max_examples=8)
@given(st.integers(1, 14), st.integers(1, 9), st.integers(0, 2**16))
def test_it_is_the_convolution_of_any_sides(height, width, key):
    x, kernel = draw(key, (2, height, width, 17), (3, 3, 17, 19))
    made = winograd_1d.convolve(x, kernel)
    assert made.dtype == jnp.bfloat16
    expected = exact(x, kernel)
    error = np.abs(np.asarray(made, np.float64) - expected)
    assert error.max() < 2**-4 * np.sqrt(9 * 17)


def test_it_is_nearly_as_exact_as_the_convolution_in_bfloat16():
    keys = jax.random.split(jax.random.key(3))
    shapes = (2, 37, 26, 33), (3, 3, 33, 18)
    x, kernel = (jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True))
    rounded = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    made = jax.jit(winograd_1d.convolve)(*rounded), jnp.asarray(exact(*rounded), jnp.bfloat16)
    errors = [np.asarray(one, np.float64) - exact(x, kernel) for one in made]
    found, plain = (np.sqrt(np.square(error).mean()) for error in errors)
    assert plain < found < 3 * plain


def test_the_matrices_filter_exactly():
    signal, taps = np.random.default_rng(5).normal(size=(2, toom_cook.SIDE))
    places = (toom_cook.INPUT @ signal) * (toom_cook.KERNEL @ taps[:3])
    expected = correlate(signal, taps[:3], 'valid')
    np.testing.assert_allclose(toom_cook.OUTPUT @ places, expected, rtol=0, atol=1e-12)


def test_gradients_are_the_convolution_s():
    x, kernel, cotangent = draw(7, (1, 96, 97, 64), (3, 3, 64, 33), (1, 96, 97, 33))

    def differentiate(devices):
        def run(x, kernel):
            with winograd.fewer_products(devices):
                return (convolve(x, kernel) * cotangent).sum()

        return jax.grad(run, argnums=(0, 1))

    either = [differentiate(devices) for devices in (0, 2)]
    plain, fewer = (str(jax.make_jaxpr(run)(x, kernel)).count('conv_general') for run in either)
    assert fewer == plain + 5  # six of one row in place of one
    for one, other in zip(*(run(x, kernel) for run in either), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ('x', 'kernel', 'served'),
    [
        ((2, 97, 96, 33), (3, 3, 33, 64), True),
        ((2, 97, 96, 64), (3, 3, 64, 32), True),
        ((2, 97, 96, 33), (3, 3, 33, 61), False),
        ((2, 97, 96, 31), (3, 3, 31, 128), False),
        ((2, 97, 94, 65), (3, 3, 65, 64), False),
    ],
)
def test_what_it_serves(x, kernel, served):
    x, kernel = (jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in (x, kernel))
    with winograd.fewer_products(3):
        assert winograd.serving_devices(x, kernel, 1) == (3 if served else 0)

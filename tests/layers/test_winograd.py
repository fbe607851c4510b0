import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.layers import winograd
from sr_jax.layers.convolution import convolve


@pytest.fixture(scope='module')
def drawn():
    keys = jax.random.split(jax.random.key(0))
    return jax.random.normal(keys[0], (2, 27, 22, 17)), jax.random.normal(keys[1], (3, 3, 17, 19))


# One row of tiles, three, six (three on each device), all seven in one strip or without any.
@pytest.mark.parametrize(
    ('devices', 'strip', 'whole'),
    [
        (1, 1, 0),
        (1, 3 * 2 * 6 * 17, 0),
        (2, 3 * 2 * 6 * 17, 7 * 6 * 17 - 1),
        (1, 2**20, 0),
        (2, 1, 7 * 6 * 17),
    ],
)
def test_it_is_the_convolution(devices, strip, whole, drawn):
    x, kernel = drawn
    convolve = functools.partial(winograd.convolve, devices=devices, strip=strip, whole=whole)
    strips = 'scan' in str(jax.make_jaxpr(convolve)(x, kernel))
    assert strips == (strip < 2**20 and whole < 7 * 6 * 17)
    made = jax.jit(convolve)(x, kernel)
    expected = _correlate(x, kernel)
    np.testing.assert_allclose(made, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def _correlate(x, kernel):
    height, width = x.shape[1:3]
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(
        padded[:, i : i + height, j : j + width] @ np.asarray(kernel[i, j], np.float64)
        for i in range(3)
        for j in range(3)
    )


def test_gradients_are_the_convolution_s(drawn):
    def differentiate(devices):
        def run(x, kernel):
            with winograd.fewer_products(devices):
                return jnp.sin(convolve(x, kernel) / 9).sum()

        return jax.jit(jax.value_and_grad(run, argnums=(0, 1)))

    expected, found = (differentiate(devices)(*drawn) for devices in (0, 3))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    programs = [str(jax.make_jaxpr(differentiate(devices))(*drawn)) for devices in (0, 3)]
    assert ['dot_general' in program for program in programs] == [False, True]


@pytest.mark.parametrize(
    ('x', 'kernel', 'dtype', 'stride', 'expected'),
    [
        ((1, 25, 24, 16), (3, 3, 16, 17), 'float32', 1, True),
        ((1, 25, 24, 16), (3, 3, 16, 17), 'float32', 2, False),
        ((1, 25, 24, 16), (3, 3, 16, 17), 'bfloat16', 1, False),
        ((1, 25, 24, 16), (3, 3, 16, 17), 'float16', 1, False),
        ((1, 25, 24, 16), (3, 5, 16, 17), 'float32', 1, False),
        ((1, 25, 24, 16), (3, 3, 16, 3), 'float32', 1, False),
        ((1, 25, 24, 3), (3, 3, 3, 17), 'float32', 1, False),
        ((1, 22, 24, 16), (3, 3, 16, 17), 'float32', 1, False),
    ],
)
def test_what_it_serves(x, kernel, dtype, stride, expected):
    x, kernel = (jax.ShapeDtypeStruct(shape, dtype) for shape in (x, kernel))
    assert not winograd.serving_devices(x, kernel, stride)
    with winograd.fewer_products(5):
        assert winograd.serving_devices(x, kernel, stride) == (5 if expected else 0)


def test_it_serves_from_the_work_on_that_is_worth_compiling():
    x = jax.ShapeDtypeStruct((2, 25, 24, 16), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 16, 17), jnp.float32)
    work = 2 * 25 * 24 * 16 * 17
    for least, expected in ((work, 3), (work + 1, 0)):
        with winograd.fewer_products(3, least):
            assert winograd.serving_devices(x, kernel, 1) == expected

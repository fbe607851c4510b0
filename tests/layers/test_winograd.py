import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.layers import correlation, winograd, winograd_2d
from sr_jax.layers.convolution import convolve


@pytest.fixture(scope='module')
def drawn():
    keys = jax.random.split(jax.random.key(0))
    return jax.random.normal(keys[0], (2, 27, 22, 33)), jax.random.normal(keys[1], (3, 3, 33, 35))


# One row of tiles, three, six (three on each device), all seven in one strip or without any.
@pytest.mark.parametrize(
    ('devices', 'strip', 'whole'),
    [
        (1, 1, 0),
        (1, 3 * 2 * 6 * 33, 0),
        (2, 3 * 2 * 6 * 33, 7 * 6 * 33 - 1),
        (1, 2**20, 0),
        (2, 1, 7 * 6 * 33),
    ],
)
def test_it_is_the_convolution(devices, strip, whole, drawn):
    x, kernel = drawn
    convolve = functools.partial(winograd_2d.convolve, devices=devices, strip=strip, whole=whole)
    strips = 'scan' in str(jax.make_jaxpr(convolve)(x, kernel))
    assert strips == (strip < 2**20 and whole < 7 * 6 * 33)
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
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())
    programs = [str(jax.make_jaxpr(differentiate(devices))(*drawn)) for devices in (0, 3)]
    assert ['dot_general' in program for program in programs] == [False, True]


@pytest.mark.parametrize(
    ('x', 'kernel', 'dtype', 'stride', 'expected'),
    [
        ((1, 25, 24, 32), (3, 3, 32, 33), 'float32', 1, True),
        ((1, 25, 24, 32), (3, 3, 32, 33), 'float32', 2, False),
        ((1, 25, 24, 32), (3, 3, 32, 33), 'bfloat16', 1, False),
        ((1, 25, 24, 32), (3, 3, 32, 33), 'float16', 1, False),
        ((1, 25, 24, 32), (3, 5, 32, 33), 'float32', 1, False),
        ((1, 25, 24, 32), (3, 3, 32, 3), 'float32', 1, False),
        ((1, 25, 24, 3), (3, 3, 3, 33), 'float32', 1, False),
        ((1, 22, 24, 32), (3, 3, 32, 33), 'float32', 1, False),
        ((13, 7, 12, 32), (3, 3, 32, 33), 'float32', 1, True),  # 8 x 12 pixels of tiles
        ((33, 5, 6, 32), (3, 3, 32, 33), 'float32', 1, False),  # 8 x 8, of 30
    ],
)
def test_what_it_serves(x, kernel, dtype, stride, expected):
    x, kernel = (jax.ShapeDtypeStruct(shape, dtype) for shape in (x, kernel))
    assert not winograd.serving_devices(x, kernel, stride)
    with winograd.fewer_products(5):
        assert winograd.serving_devices(x, kernel, stride) == (5 if expected else 0)


def test_it_serves_from_the_work_on_that_is_worth_compiling():
    x = jax.ShapeDtypeStruct((2, 25, 24, 32), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 32, 33), jnp.float32)
    work = 2 * 25 * 24 * 32 * 33
    for least, expected in ((work, 3), (work + 1, 0)):
        with winograd.fewer_products(3, least):
            assert winograd.serving_devices(x, kernel, 1) == expected


def test_it_serves_in_the_types_that_were_said():
    x, kernel = (
        jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in ((1, 96, 97, 64), (3, 3, 64, 32))
    )
    for dtypes, expected in ((('float32', 'bfloat16'), 4), (('float32',), 0)):
        with winograd.fewer_products(4, dtypes=dtypes):
            assert winograd.serving_devices(x, kernel, 1) == expected


# In one strip, and in four; on a device, and two.
@pytest.mark.parametrize(('devices', 'strip', 'whole'), [(1, 1, 2**20), (2, 2 * 6 * 35, 0)])
def test_the_gradient_of_a_kernel(devices, strip, whole, drawn):
    x, kernel = drawn
    cotangent = jax.random.normal(jax.random.key(1), (*x.shape[:3], kernel.shape[3]))
    compute = functools.partial(
        winograd_2d.kernel_gradient, devices=devices, strip=strip, whole=whole
    )
    assert ('scan' in str(jax.make_jaxpr(compute)(x, cotangent))) == (whole == 0)
    expected = correlation.gradients(x, kernel, cotangent, 1, True)[1]
    made = compute(x, cotangent)
    np.testing.assert_allclose(made, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_second_gradients_are_the_convolution_s(drawn):
    def penalized(x, kernel):
        return jnp.sin(convolve(x, kernel) / 9).sum()

    def penalize(devices):
        def norm(x, kernel):
            with winograd.fewer_products(devices):
                of_x, of_kernel = jax.grad(penalized, (0, 1))(x, kernel)
            return (of_x**2).sum() + (of_kernel**2).sum() / 99

        return jax.jit(jax.grad(norm, argnums=(0, 1)))

    expected, found = (penalize(devices)(*drawn) for devices in (0, 1))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())

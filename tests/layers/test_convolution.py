"""Convolutions: values and gradients against NumPy and JAX's own rules, and the start values."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from jax import lax
from jax.test_util import check_grads

from sr_jax.layers import correlation
from sr_jax.layers.convolution import (
    Convolution,
    TransposedConvolution,
    convolve,
    transposed_convolve,
    upsample_nearest,
)


def correlate(x, kernel, stride):
    """The definition, in float64."""
    taps = len(kernel)
    pad = (taps - 1) // 2
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (taps, taps), axis=(1, 2))
    return np.einsum('nhwcij,ijco->nhwo', windows[:, ::stride, ::stride], kernel)


def plain(x, kernel, stride):
    """By JAX's own rule, of any order."""
    pad = [((taps - 1) // 2,) * 2 for taps in kernel.shape[:2]]
    layout = ('NHWC', 'HWIO', 'NHWC')
    return lax.conv_general_dilated(x, kernel, (stride,) * 2, pad, dimension_numbers=layout)


def spread(x, kernel):
    """The transposed convolution by its definition: every input pixel adds a turned kernel."""
    n, height, width, _ = x.shape
    y = np.zeros((n, 2 * height + 2, 2 * width + 2, kernel.shape[-1]))
    turned = np.asarray(kernel, np.float64)[::-1, ::-1]
    for i in range(height):
        for j in range(width):
            stamp = np.einsum('nc,ijco->nijo', x[:, i, j], turned)
            y[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += stamp
    return y[:, 1:-1, 1:-1]


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize(('taps', 'stride'), [(1, 1), (3, 1), (5, 1), (3, 2), (4, 2), (5, 2)])
@pytest.mark.parametrize('size', [(6, 8), (5, 7)])
def test_convolve_is_its_definition(taps, stride, size):
    x, kernel = normal(0, 2, *size, 3), normal(1, taps, taps, 3, 4)
    expected = correlate(x, kernel, stride)
    np.testing.assert_allclose(convolve(x, kernel, stride), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(('taps', 'stride'), [(1, 1), (3, 1), (5, 1), (3, 2), (4, 2), (5, 2)])
@pytest.mark.parametrize('channels', [3, 6])
@pytest.mark.parametrize('size', [(6, 8), (5, 7)])
def test_convolve_has_the_gradients_of_jax(taps, stride, channels, size):
    x, kernel = normal(0, 2, *size, channels), normal(1, taps, taps, channels, 4)
    y, pull_back = jax.vjp(lambda x, kernel: plain(x, kernel, stride), x, kernel)
    cotangent = normal(2, *y.shape)
    ours = jax.vjp(lambda x, kernel: convolve(x, kernel, stride), x, kernel)[1](cotangent)
    for a, b in zip(ours, pull_back(cotangent), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@given(
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    taps=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
)
@settings(max_examples=8)
def test_gradients_of_few_pixels_of_many_channels_are_those_of_jax(height, width, taps, stride):
    x, kernel = normal(0, 2, height, width, 3), normal(1, *taps, 3, 26)
    assume(height + 2 * ((taps[0] - 1) // 2) >= taps[0])
    assume(width + 2 * ((taps[1] - 1) // 2) >= taps[1])
    y, pull_back = jax.vjp(lambda x, kernel: plain(x, kernel, stride), x, kernel)
    cotangent = normal(2, *y.shape)
    ours = jax.vjp(lambda x, kernel: convolve(x, kernel, stride), x, kernel)[1](cotangent)
    for a, b in zip(ours, pull_back(cotangent), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    taps=st.tuples(st.integers(3, 6), st.integers(3, 6)),
    stride=st.integers(2, 4),
    channels=st.integers(16, 17),
)
@settings(max_examples=10)
def test_gradients_of_strides_are_those_of_jax(height, width, taps, stride, channels):
    x, kernel = normal(0, 2, height, width, channels), normal(1, *taps, channels, 1)
    assume(height + 2 * ((taps[0] - 1) // 2) >= taps[0])
    assume(width + 2 * ((taps[1] - 1) // 2) >= taps[1])
    y, pull_back = jax.vjp(lambda x: plain(x, kernel, stride), x)
    cotangent = normal(2, *y.shape)
    ours = jax.vjp(lambda x: convolve(x, kernel, stride), x)[1](cotangent)
    np.testing.assert_allclose(*ours, *pull_back(cotangent), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('of', 'taps'), [('gradient', 5), ('gradient', 4), ('transposed', 4)])
def test_no_zeros_are_put_between_pixels_of_many_channels(of, taps):
    """Neither for the gradient of x of a stride nor for a transposed convolution."""
    x, y = normal(0, 6, 10, 14, 18), normal(2, 6, 5, 7, 3)
    kernel = normal(1, taps, taps, 18, 3)
    if of == 'gradient':
        made = jax.jit(lambda y: jax.vjp(lambda x: convolve(x, kernel, 2), x)[1](y))
    else:
        made = jax.jit(lambda y: transposed_convolve(y, kernel.swapaxes(2, 3)))
    text = made.lower(y).compile().as_text()
    assert 'convolution(' in text
    assert 'lhs_dilate' not in text


@pytest.mark.parametrize('is_large', [True, False])
@pytest.mark.parametrize(
    ('taps', 'stride', 'channels', 'features'),
    [(3, 1, 3, 17), (4, 2, 3, 18), (5, 3, 7, 19), (3, 1, 5, 2)],
)
def test_gradients_of_many_pixels_are_added_up(
    taps, stride, channels, features, is_large, monkeypatch
):
    """One large image of each device after the other, or here two small ones in a part."""
    images = 6 * jax.device_count()
    size = (11 + is_large, 13)  # what was traced for one is not taken for the other
    x, kernel = normal(0, images, *size, channels), normal(1, taps, taps, channels, features)
    y, pull_back = jax.vjp(lambda x, kernel: plain(x, kernel, stride), x, kernel)
    cotangent = normal(2, *y.shape)
    expected = pull_back(cotangent)
    numbers = max(x.size, y.size)
    monkeypatch.setattr(correlation, 'WHOLE', numbers - 1)
    monkeypatch.setattr(correlation, 'PART', numbers // 3)
    if is_large:
        monkeypatch.setattr(correlation, 'LARGE', numbers // images)
    assert correlation._count_parts(x, cotangent, stride) == (6 if is_large else 3)
    ours = jax.vjp(lambda x, kernel: convolve(x, kernel, stride), x, kernel)[1]
    text = jax.jit(ours).lower(cotangent).as_text()
    assert 'stablehlo.while' in text
    for a, b in zip(ours(cotangent), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_the_kernel_of_many_channels_is_not_turned_for_few_pixels():
    def gradient(x, kernel):
        return jax.grad(lambda x: (convolve(x, kernel, 2) ** 2).sum())(x)

    kernel = normal(1, 3, 3, 5, 29)
    few, many = (
        jax.jit(gradient).lower(normal(0, 2, *size, 5), kernel).compile().as_text()
        for size in ((6, 9), (8, 16))
    )
    assert ' reverse(' not in few
    assert ' reverse(' in many


@pytest.mark.parametrize(('taps', 'stride'), [((1, 5), 1), ((3, 1), 1), ((2, 5), 2)])
def test_oblong_kernels_have_the_values_and_gradients_of_jax(taps, stride):
    x, kernel = normal(0, 2, 6, 7, 3), normal(1, *taps, 3, 4)
    y, pull_back = jax.vjp(lambda x, kernel: plain(x, kernel, stride), x, kernel)
    ours, pull_ours = jax.vjp(lambda x, kernel: convolve(x, kernel, stride), x, kernel)
    np.testing.assert_allclose(ours, y, rtol=1e-5, atol=1e-5)
    cotangent = normal(2, *y.shape)
    for a, b in zip(pull_ours(cotangent), pull_back(cotangent), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_gradients_of_gradients_of_convolve():
    x, kernel = normal(0, 1, 4, 5, 2), normal(1, 4, 4, 2, 3)
    check_grads(lambda x, k: convolve(x, k, 2), (x, kernel), order=2, modes=['rev'], eps=0.02)


def penalty(way, of):
    """A function of x and kernel: squares of what it is of gradients of something curved."""

    def value(x, kernel, stride):
        def curved(x, kernel):
            return jnp.tanh(way(x, kernel, stride)).sum()

        gradients = jax.grad(curved, argnums=of)(x, kernel)
        return sum(jnp.sum(jnp.square(gradient)) for gradient in jax.tree.leaves(gradients))

    return value


@pytest.mark.parametrize('of', [0, 1, (0, 1)], ids=['of_x', 'of_kernel', 'of_both'])
@pytest.mark.parametrize(('taps', 'stride'), [(3, 1), (4, 2), (1, 2)])
def test_gradients_of_gradients_are_those_of_jax(taps, stride, of):
    x, kernel = normal(4, 2, 7, 8, 5), normal(5, taps, taps, 5, 6)
    found, expected = (
        jax.jit(jax.grad(penalty(way, of), argnums=(0, 1)), static_argnums=2)(x, kernel, stride)
        for way in (convolve, plain)
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max())


def test_a_penalty_on_the_gradient_of_x_convolves_no_zeros():
    x, kernel = normal(6, 2, 7, 8, 4), normal(7, 3, 3, 4, 5)
    step = jax.jit(jax.grad(penalty(convolve, 0), argnums=1), static_argnums=2)
    text = step.lower(x, kernel, 1).compile().as_text()
    # y, the gradient of x, that of its cotangent, and two of the kernel's.
    assert len(re.findall(r' convolution\(', text)) <= 5


def test_in_a_branch_gradients_of_convolve_are_in_the_layout_that_cpus_are_fast_in():
    x, kernel = normal(0, 2, 8, 8, 4), normal(1, 3, 3, 4, 4)
    gradient = jax.grad(lambda x, kernel: jnp.sum(convolve(x, kernel) ** 2), (0, 1))

    def branch(condition, x, kernel):
        return lax.cond(condition, lambda: gradient(x, kernel), lambda: (x, kernel))

    text = jax.jit(branch).lower(True, x, kernel).compile().as_text()
    layouts = re.findall(r'dim_labels=(\S+?)[,\s]', text)
    assert len(layouts) >= 3 and set(layouts) == {'b01f_01io->b01f'}


sizes = st.integers(1, 5)


@settings(max_examples=10)
@given(height=sizes, width=sizes, channels=sizes, features=st.one_of(sizes, st.just(18)))
@example(height=2, width=3, channels=1, features=18)
def test_transposed_convolve_values_and_gradients(height, width, channels, features):
    x, kernel = normal(0, 2, height, width, channels), normal(1, 4, 4, channels, features)

    def plain(x, kernel):
        return lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            [(2, 2)] * 2,
            lhs_dilation=(2, 2),
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        )

    @jax.jit
    def both(x, kernel, cotangent):
        y, pull_back = jax.vjp(transposed_convolve, x, kernel)
        return y, pull_back(cotangent), jax.vjp(plain, x, kernel)[1](cotangent)

    cotangent = normal(2, 2, 2 * height, 2 * width, features)
    y, found, expected = both(x, kernel, cotangent)
    np.testing.assert_allclose(y, spread(x, kernel), rtol=1e-4, atol=1e-4)
    for gradient, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-4)


def test_second_derivatives_of_transposed_convolve():
    x, kernel = normal(0, 1, 2, 3, 2), normal(1, 4, 4, 2, 3)
    check_grads(transposed_convolve, (x, kernel), order=2, modes=['rev'], eps=0.02)


def test_transposed_convolve_is_the_transpose():
    x, y, kernel = normal(0, 2, 3, 4, 5), normal(1, 2, 6, 8, 2), normal(2, 4, 4, 5, 2)
    down = convolve(y, kernel[::-1, ::-1].swapaxes(2, 3), 2)
    np.testing.assert_allclose(
        jnp.vdot(transposed_convolve(x, kernel), y), jnp.vdot(x, down), rtol=1e-4
    )


@pytest.mark.parametrize(
    ('module', 'bound'),
    [(Convolution(64, 3), (16 * 9) ** -0.5), (TransposedConvolution(64), (64 * 16) ** -0.5)],
)
def test_start_values_are_uniform_within_the_bound_of_pytorch(module, bound):
    params = module.init(jax.random.key(0), jnp.zeros((1, 4, 4, 16)))['params']
    for values in params.values():
        assert 0.9 * bound < jnp.abs(values).max() <= bound
    np.testing.assert_allclose(params['kernel'].std(), bound / 3**0.5, rtol=0.02)


def test_bias_is_added_and_the_type_is_the_one_asked_for():
    module = Convolution(5, 3, dtype='bfloat16')
    variables = module.init(jax.random.key(0), jnp.zeros((1, 4, 6, 2)))
    y = module.apply(variables, jnp.zeros((1, 4, 6, 2)))
    assert y.dtype == jnp.bfloat16
    bias = variables['params']['bias']
    assert bias.dtype == jnp.float32
    np.testing.assert_allclose(y[0, 1, 1].astype(jnp.float32), bias, rtol=1e-2)


def test_upsample_nearest_repeats_pixels():
    x = jnp.arange(3.0).reshape(1, 1, 3, 1)
    expected = [[0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2]]
    np.testing.assert_array_equal(upsample_nearest(x)[0, :, :, 0], expected)

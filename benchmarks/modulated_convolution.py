"""Times how StyleGAN2's layers can be computed, forward and with their gradients.

    python benchmarks/modulated_convolution.py

A modulated convolution by scaling its input and output, against one of grouped channels; and the
blur as shifted slices (`sr_jax.layers.upfirdn`), against a convolution of each channel by itself.
"""

import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sr_jax.layers.convolution import convolve
from sr_jax.layers.modulated_convolution import norms
from sr_jax.layers.upfirdn import fir_kernel, smooth

BATCH = 8
SIZES = ((16, 64, 64), (32, 32, 32), (64, 16, 16))  # side, channels in and out
ROUNDS = 9
LAYOUT = ('NHWC', 'HWIO', 'NHWC')


def by_scaling(x: jax.Array, kernel: jax.Array, scales: jax.Array) -> jax.Array:
    """One convolution for all images."""
    return convolve(x * scales[:, None, None], kernel) * norms(kernel[None], scales)[:, :1, None]


def by_groups(x: jax.Array, kernel: jax.Array, scales: jax.Array) -> jax.Array:
    """A kernel for each image, whose channels are a group."""
    n, h, w, c = x.shape
    own = kernel[None] * scales[:, None, None, :, None]
    own = own * lax.rsqrt(jnp.square(own).sum((1, 2, 3), keepdims=True) + 1e-8)
    kernels = own.transpose(1, 2, 3, 0, 4).reshape(*kernel.shape[:3], -1)
    y = lax.conv_general_dilated(
        x.transpose(1, 2, 0, 3).reshape(1, h, w, n * c),
        kernels,
        (1, 1),
        [(1, 1)] * 2,
        dimension_numbers=LAYOUT,
        feature_group_count=n,
    )
    return y.reshape(h, w, n, -1).transpose(2, 0, 1, 3)


def blur_by_groups(x: jax.Array) -> jax.Array:
    """A convolution of each channel by itself."""
    kernel = jnp.broadcast_to(fir_kernel()[:, :, None, None], (4, 4, 1, x.shape[-1]))
    return lax.conv_general_dilated(
        x,
        kernel.astype(x.dtype),
        (1, 1),
        [(1, 1)] * 2,
        dimension_numbers=LAYOUT,
        feature_group_count=x.shape[-1],
    )


def blur_by_slices(x: jax.Array) -> jax.Array:
    """As the layers do it."""
    return smooth(x, (1, 1))


def seconds(function: Callable, *inputs: jax.Array) -> float:
    """The median of some calls of a compiled function."""
    compiled = jax.jit(function).lower(*inputs).compile()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        jax.block_until_ready(compiled(*inputs))
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def compare(title: str, functions: tuple[Callable, Callable], *inputs: jax.Array) -> None:
    """Prints the milliseconds of both functions, forward and with gradients."""
    outputs = [function(*inputs) for function in functions]
    np.testing.assert_allclose(*outputs, atol=1e-3)
    for name, wrap in (('forward', lambda f: f), ('gradient', gradient)):
        first, second = (1e3 * seconds(wrap(function), *inputs) for function in functions)
        print(f'{title:28} {name:9} {first:8.2f} ms {second:8.2f} ms  ratio {first / second:.2f}')


def gradient(function: Callable) -> Callable:
    """The gradient in all inputs of the sum of squares."""

    def loss(*inputs: jax.Array) -> jax.Array:
        return jnp.square(function(*inputs)).sum()

    def run(*inputs: jax.Array) -> tuple[jax.Array, ...]:
        found: tuple[jax.Array, ...] = jax.grad(loss, tuple(range(len(inputs))))(*inputs)
        return found

    return run


def main() -> None:
    """Prints a line for each layer and size."""
    rng = np.random.default_rng(0)
    for side, channels, features in SIZES:
        x = jnp.asarray(rng.normal(size=(BATCH, side, side, channels)), jnp.float32)
        kernel = jnp.asarray(rng.normal(size=(3, 3, channels, features)), jnp.float32)
        scales = jnp.asarray(rng.normal(size=(BATCH, channels)), jnp.float32)
        compare(f'convolution {side} x {side}', (by_scaling, by_groups), x, kernel, scales)
        compare(f'blur {side} x {side}', (blur_by_slices, blur_by_groups), x)


if __name__ == '__main__':
    main()

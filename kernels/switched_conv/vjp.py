"""The switched convolution and its gradients, by whichever implementation fits the device."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int32

from .routing import GPU_SEGMENT, SEGMENT, Routing, route_by, sort_segments
from .triton import pallas as gpu
from .triton.block_sizes import present_gpu
from .xla import blocks as blocked

# Of an implementation that computes with a routing; None is the best one for the device.
Choice = str | None
INTERPRETED = 'pallas_interpret'


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def convolve(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None,
    routing: Routing,
    stride: int,
    implementation: Choice,
    precision: lax.Precision | None,
) -> Float[Array, 'n h2 w2 o']:
    """`switched_conv` of a routed selector; the caller has checked all."""

    def by_blocks(x, kernel, bias, routing):
        return blocked.forward(x, kernel, bias, routing, stride)

    def by_gpu(x, kernel, bias, routing):
        sizes = gpu.sizes_for(x, kernel, stride, precision)
        interpret = implementation == INTERPRETED
        return gpu.forward(x, kernel, bias, routing, stride, sizes, interpret)

    return _choose(implementation, x.dtype, by_blocks, by_gpu, x, kernel, bias, routing)


def _forward(x, kernel, bias, routing, stride, implementation, precision):
    y = convolve(x, kernel, bias, routing, stride, implementation, precision)
    return y, (x, kernel, bias, routing)


def _backward(stride, implementation, precision, residuals, cotangent):
    x, kernel, bias, routing = residuals
    grad_x, grad_kernel = gradients(
        x, kernel, routing, cotangent, stride, implementation, precision
    )
    grad_bias = None
    if bias is not None:
        wide = jnp.promote_types(x.dtype, jnp.float32)
        grad_bias = jnp.sum(cotangent, axis=(0, 1, 2), dtype=wide).astype(bias.dtype)
    return grad_x, grad_kernel, grad_bias, None


convolve.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def gradients(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    routing: Routing,
    cotangent: Float[Array, 'n h2 w2 o'],
    stride: int,
    implementation: Choice,
    precision: lax.Precision | None,
) -> tuple[Float[Array, 'n h w c'], Float[Array, 'b k k c o']]:
    """The gradients of x and kernel, which can be differentiated again, as often as one likes.

    The convolution y = F(x, kernel) is linear in either, and so are its gradients B(g, kernel) of x
    and W(x, g) of kernel. With u and v the cotangents of B and W, theirs are F(u, kernel) + F(x, v)
    for g, B(g, v) for x and W(u, g) for kernel: nothing that is not here already.
    """

    def by_blocks(x, kernel, routing, cotangent):
        return blocked.backward(x, kernel, routing, stride, cotangent)

    def by_gpu(x, kernel, routing, cotangent):
        sizes = gpu.sizes_for(x, kernel, stride, precision)
        interpret = implementation == INTERPRETED
        return gpu.backward(x, kernel, routing, stride, cotangent, sizes, interpret)

    return _choose(implementation, x.dtype, by_blocks, by_gpu, x, kernel, routing, cotangent)


def _gradients_forward(x, kernel, routing, cotangent, stride, implementation, precision):
    outputs = gradients(x, kernel, routing, cotangent, stride, implementation, precision)
    return outputs, (x, kernel, routing, cotangent)


def _gradients_backward(stride, implementation, precision, residuals, cotangents):
    x, kernel, routing, cotangent = residuals
    of_x, of_kernel = cotangents
    options = (stride, implementation, precision)
    grad_cotangent = convolve(of_x, kernel, None, routing, *options)
    grad_cotangent += convolve(x, of_kernel, None, routing, *options)
    grad_x, grad_kernel = gradients(of_x, of_kernel, routing, cotangent, *options)
    return grad_x, grad_kernel, None, grad_cotangent.astype(cotangent.dtype)


gradients.defvjp(_gradients_forward, _gradients_backward)


def route_for(
    implementation: Choice,
    selector: Int32[Array, 'n h w'],
    breadth: int,
    block: int | None,
    groups: int | None,
    segment: int | None,
) -> Routing:
    """The routing of a selector, sorted by the implementation's own means."""
    if segment is None:
        on_gpu = (implementation is None and present_gpu()) or implementation == 'pallas'
        segment = GPU_SEGMENT if on_gpu else SEGMENT

    def sort(segments, breadth, block):
        def by_blocks(segments):
            return sort_segments(segments, breadth, block)

        def by_gpu(segments):
            return gpu.sort_segments(segments, breadth, block, implementation == INTERPRETED)

        return _choose(implementation, None, by_blocks, by_gpu, segments)

    return route_by(selector, breadth, block, groups, segment, sort)


def _choose(
    implementation: Choice, dtype: Any, by_blocks: Callable, by_gpu: Callable, *args: Any
) -> Any:
    """Calls the one that is asked for, or the one for the device that the program is compiled for.

    GPUs are asked for only where the process has one, so that no CPU program carries their code.
    """
    if implementation == 'blocked' or dtype == jnp.float64:
        return by_blocks(*args)
    if implementation is None:
        if present_gpu() is None:
            return by_blocks(*args)
        return lax.platform_dependent(*args, cuda=by_gpu, default=by_blocks)
    return by_gpu(*args)

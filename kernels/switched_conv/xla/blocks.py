"""Switched convolution in plain XLA, at a cost that does not depend on the number of kernels.

Every block of the routing is a matrix product: the patches under its pixels, [m, k k c], times
its kernel, [k k c, o]. With g the cotangent at the block's pixels,

    grad kernel[e] = sum over the blocks of kernel e of patches^T g
    grad patches = g kernel[e]^T

and grad x adds the patches up where they came from, which is the transpose of cutting them out.
Blocks are computed some at a time, segments one after the other: memory is bounded.
"""

import functools

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ...mesh_axes import varying_zeros
from ..backend import Backend, support_all
from ..routing import Routing, map_over_groups, sort_segments
from .canvases import Cover, join_pixels, split_pixels
from .patches import add_patches, cut_patches, fence

# What a step computes together: enough to share the work out to some cores, few enough for the
# patches to stay in a cache. Backward, where sums of kernels' gradients share the cache, more pays.
_FORWARD_PIXELS = 512
_BACKWARD_PIXELS = 1024
_BLOCKS_AT_ONCE = 8


def forward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None,
    routing: Routing,
    stride: int,
    precision: lax.Precision | None,
) -> Float[Array, 'n h2 w2 o']:
    """The output of `switched_conv` by blocks of pixels that share a kernel."""
    del precision  # that of XLA
    weights = _flatten(kernel)
    cover = Cover(routing, x.shape, kernel.shape[1], stride)

    def group(x, routing):
        def segment(arguments):
            index, routing = arguments
            return _segment_forward(weights, cover, cover.cut(x, index), routing)

        return lax.map(segment, (cover.segments(), routing))

    y = join_pixels(map_over_groups(group, cover.group(x), routing.arrays), routing)
    if bias is not None:
        y += bias.astype(y.dtype)[None, None, None, :]
    return y.astype(x.dtype)


def backward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    routing: Routing,
    cotangent: Float[Array, 'n h2 w2 o'],
    stride: int,
    precision: lax.Precision | None,
) -> tuple[Float[Array, 'n h w c'], Float[Array, 'b k k c o']]:
    """The gradients of x and kernel."""
    del precision  # that of XLA
    weights = _flatten(kernel)
    cover = Cover(routing, x.shape, kernel.shape[1], stride)

    def group(x, cotangents, routing):
        def segment(totals, arguments):
            grad_x, grad_weights = totals
            index, cotangent, routing = arguments
            canvas = cover.cut(x, index)
            grad_weights, grad_canvas = _segment_backward(
                weights, cover, grad_weights, canvas, cotangent, routing
            )
            return (cover.add(grad_x, grad_canvas, index), grad_weights), None

        grad_x = varying_zeros(x.shape, cotangents)
        grad_weights = varying_zeros((len(weights), *weights.shape[:0:-1]), cotangents)
        arguments = (cover.segments(), cotangents, routing)
        return lax.scan(segment, (grad_x, grad_weights), arguments)[0]

    cotangents = split_pixels(cotangent, routing)
    grad_x, grad_kernel = map_over_groups(group, cover.group(x), cotangents, routing.arrays)
    grad_kernel = jnp.sum(grad_kernel, axis=0).swapaxes(1, 2)
    grad_x = grad_x.reshape(x.shape).astype(x.dtype)
    return grad_x, grad_kernel.reshape(kernel.shape).astype(kernel.dtype)


def _segment_forward(weights, cover, canvas, routing):
    """Outputs [p, o] of the pixels of one segment, NaN where they have no kernel."""
    steps, pixels = _steps(cover, canvas, routing, weights, _FORWARD_PIXELS)
    cut = functools.partial(_factors, cover.size)

    def step(y, block):
        kernels, starts, pixels = block
        needed = starts[0, 0] < canvas.size

        def product(canvas, weights, starts, kernels):
            patches, chosen = fence(needed, cut, canvas, weights, starts, kernels)
            return _matmul('tmk,tko->tmo', *_matrices(weights, patches, chosen))

        rows = fence(needed, product, canvas, weights, starts, kernels)
        return y.at[pixels].set(rows, mode='drop'), None

    y = varying_zeros((pixels, weights.shape[-1]), canvas) + jnp.nan
    return lax.scan(step, y, steps)[0]


def _segment_backward(weights, cover, grad_weights, canvas, cotangent, routing):
    """Adds one segment's part to grad_weights [b, o, k k c], and returns it with the gradient of
    the segment's canvas."""
    steps, _ = _steps(cover, canvas, routing, weights, _BACKWARD_PIXELS)
    line = canvas.shape[2] * canvas.shape[3]
    cut = functools.partial(_factors, cover.size)

    def step(totals, block):
        grad_weights, grad_canvas = totals
        kernels, starts, pixels = block
        needed = starts[0, 0] < canvas.size

        def products(canvas, weights, cotangent, starts, kernels, pixels):
            g = cotangent.at[pixels].get(mode='fill', fill_value=0)
            patches, chosen = fence(needed, cut, canvas, weights, starts, kernels)
            patches, chosen = _matrices(weights, patches, chosen)
            # The smaller factor of grad W turned over, and that outside of the product: XLA's fast
            # products on CPUs sum over the last axis of their first factor only.
            turned = lax.optimization_barrier(g.swapaxes(1, 2))
            parts = _matmul('tom,tmk->tok', turned, patches)
            return parts, _matmul('tmo,tko->tmk', g, chosen)

        arrays = (canvas, weights, cotangent, starts, kernels, pixels)
        parts, rows = fence(needed, products, *arrays)
        for kernel, part in zip(kernels, parts, strict=True):
            old = lax.dynamic_index_in_dim(grad_weights, kernel, keepdims=False)
            grad_weights = lax.dynamic_update_index_in_dim(grad_weights, old + part, kernel, 0)
        rows = rows.reshape(*starts.shape, cover.size, cover.size, -1)
        return (grad_weights, add_patches(grad_canvas, starts, rows, line)), None

    zeros = varying_zeros((canvas.size,), cotangent)
    grad_weights, grad_canvas = lax.scan(step, (grad_weights, zeros), steps)[0]
    return grad_weights, grad_canvas.reshape(canvas.shape)


def _steps(cover, canvas, routing, weights, pixels_at_once):
    """The blocks of a segment, dealt out to the steps of a scan: their kernels, where in the flat
    canvas the patch of each pixel starts, and the pixels; and the segment's pixels.

    Filling has indices past the ends of the canvas and of the segment; steps of nothing else come
    last.

    Raises:
      ValueError: int32 cannot count the canvas's numbers.
    """
    if canvas.size + cover.size * canvas.shape[2] * canvas.shape[3] >= 2**31:
        raise ValueError(
            f'x {list(cover.shape)} has more numbers under the {cover.routing.positions.shape[-1]} '
            'pixels that are sorted together than int32 can count: give '
            'routing=route(selector, breadth, segment=...) with fewer'
        )
    kernels, pixels, positions = routing
    at_once = pixels_at_once // max(pixels.shape[-1], weights.shape[-1])
    at_once = min(max(at_once, 1), _BLOCKS_AT_ONCE)
    filling = -len(kernels) % at_once
    kernels = jnp.pad(kernels, (0, filling)).reshape(-1, at_once)
    pixels = jnp.pad(pixels, ((0, filling), (0, 0)), constant_values=len(positions))
    pixels = pixels.reshape(-1, at_once, pixels.shape[-1])
    _, height, width, channels = canvas.shape
    stride, rows, columns = cover.stride, cover.routing.band_rows, cover.routing.shape[2]
    line, column = pixels // columns, pixels % columns
    band, row = line // rows, line % rows
    starts = ((band * height + row * stride) * width + column * stride) * channels
    starts = jnp.where(pixels < len(positions), starts, canvas.size)
    return (kernels, starts, pixels), len(positions)


def _factors(size, canvas, weights, starts, kernels):
    """Patches [t, m, k, k c] of the canvas, and the kernels' matrices, each as one row."""
    line, channels = canvas.shape[2] * canvas.shape[3], canvas.shape[3]
    patches = cut_patches(canvas.reshape(-1), starts, size, line, channels)
    return patches, weights.reshape(len(weights), -1)[kernels]


def _matrices(weights, patches, chosen):
    """What `_factors` gives, as matrices [t, m, k k c] and [t, k k c, o]."""
    blocks, pixels = patches.shape[:2]
    return patches.reshape(blocks, pixels, -1), chosen.reshape(blocks, *weights.shape[1:])


def _flatten(kernel):
    """The kernels as matrices [b, k k c, o]."""
    return kernel.reshape(kernel.shape[0], -1, kernel.shape[-1])


def _matmul(formula, a, b):
    """Products of each block, added up in float32 at least."""
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jnp.einsum(formula, a, b, preferred_element_type=wide)


XLA = Backend(support_all, forward, backward, sort_segments)

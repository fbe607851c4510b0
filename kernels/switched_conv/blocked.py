"""Switched convolution in plain XLA, at a cost that does not depend on the number of kernels.

Every block of the routing is a matrix product: the patches under its pixels, [m, k k c], times
its kernel, [k k c, o]. With g the cotangent at the block's pixels,

    grad kernel[e] = sum over the blocks of kernel e of patches^T g
    grad patches = g kernel[e]^T

and grad x adds the patches up where they came from, which is the transpose of cutting them out.
Blocks are computed some at a time, segments one after the other: memory is bounded.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from .manual_axes import varying_zeros
from .patches import add_patches, cut_patches, fence
from .routing import Routing, over_groups, split_bands

# What a step computes together: enough to share the work out to some cores, few enough for the
# patches to stay in a cache.
_PIXELS_AT_ONCE = 1024
_BLOCKS_AT_ONCE = 8


def forward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None,
    routing: Routing,
    stride: int,
) -> Float[Array, 'n h2 w2 o']:
    """The output of `switched_conv` by blocks of pixels that share a kernel."""
    weights = _flat(kernel)
    segment = functools.partial(_segment_forward, weights, kernel.shape[1], stride)

    def group(canvases, routing):
        return lax.map(lambda args: segment(*args), (canvases, routing))

    canvases = _canvases(x, routing, kernel.shape[1], stride)
    y = _join(over_groups(group, canvases, routing.arrays), routing)
    if bias is not None:
        y += bias.astype(y.dtype)[None, None, None, :]
    return y.astype(x.dtype)


def backward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    routing: Routing,
    stride: int,
    cotangent: Float[Array, 'n h2 w2 o'],
) -> tuple[Float[Array, 'n h w c'], Float[Array, 'b k k c o']]:
    """The gradients of x and kernel."""
    size = kernel.shape[1]
    weights = _flat(kernel)
    segment = functools.partial(_segment_backward, weights, size, stride)

    def group(canvases, cotangents, routing):
        start = varying_zeros((len(weights), *weights.shape[:0:-1]), cotangents)
        return lax.scan(segment, start, (canvases, cotangents, routing))

    def cut(x):
        return _canvases(x, routing, size, stride)

    cotangents = _split(cotangent, routing)
    grad_kernel, grad_canvases = over_groups(group, cut(x), cotangents, routing.arrays)
    grad_x = _transposed(cut, x.shape, grad_canvases)
    grad_kernel = jnp.sum(grad_kernel, axis=0).swapaxes(1, 2)
    return grad_x.astype(x.dtype), grad_kernel.reshape(kernel.shape).astype(kernel.dtype)


def _segment_forward(weights, size, stride, canvas, routing):
    """Outputs [p, o] of the pixels of one segment, NaN where they have no kernel."""
    steps, pixels = _steps(canvas, routing, weights, size, stride)
    cut = functools.partial(_factors, size)

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


def _segment_backward(weights, size, stride, grad_weights, inputs):
    """Adds one segment's part to grad_weights [b, o, k k c], and returns it with the gradient of
    the segment's canvas."""
    canvas, cotangent, routing = inputs
    steps, _ = _steps(canvas, routing, weights, size, stride)
    line = canvas.shape[2] * canvas.shape[3]

    cut = functools.partial(_factors, size)

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
        rows = rows.reshape(*starts.shape, size, size, -1)
        return (grad_weights, add_patches(grad_canvas, starts, rows, line)), None

    zeros = varying_zeros((canvas.size,), cotangent)
    grad_weights, grad_canvas = lax.scan(step, (grad_weights, zeros), steps)[0]
    return grad_weights, grad_canvas.reshape(canvas.shape)


def _steps(canvas, routing, weights, size, stride):
    """The blocks of a segment, dealt out to the steps of a scan: their kernels, where in the flat
    canvas the patch of each pixel starts, and the pixels; and the segment's pixels.

    Filling has indices past the ends of the canvas and of the segment; steps of nothing else come
    last.
    """
    kernels, pixels, positions = routing
    at_once = _PIXELS_AT_ONCE // max(pixels.shape[-1], weights.shape[-1])
    at_once = min(max(at_once, 1), _BLOCKS_AT_ONCE)
    filling = -len(kernels) % at_once
    kernels = jnp.pad(kernels, (0, filling)).reshape(-1, at_once)
    pixels = jnp.pad(pixels, ((0, filling), (0, 0)), constant_values=len(positions))
    pixels = pixels.reshape(-1, at_once, pixels.shape[-1])
    _, height, width, channels = canvas.shape
    rows, columns = (height - size) // stride + 1, (width - size) // stride + 1
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


def _canvases(x, routing: Routing, size: int, stride: int):
    """Cut x, with zeros around, into the overlapping bands [g, s, bands, h, w, c] of the routing.

    Exactly what the band's patches cover: (rows - 1) stride + k rows, so many columns likewise.
    """
    pictures, height, width, channels = x.shape
    rows, bands = routing.band_rows, routing.bands
    covered, step = (rows - 1) * stride + size, rows * stride
    pieces = -(-covered // step) if bands > 1 else 1
    high = (bands + pieces - 1) * step if bands > 1 else covered
    wide = (routing.shape[2] - 1) * stride + size
    low = size // 2
    padding = [(0, 0, 0), (low, high - height - low, 0), (low, wide - width - low, 0), (0, 0, 0)]
    x = lax.pad(x, jnp.zeros((), x.dtype), padding)
    if bands > 1:
        x = x.reshape(pictures, -1, step, wide, channels)
        x = jnp.concatenate([x[:, i : i + bands] for i in range(pieces)], axis=2)[:, :, :covered]
    x = x.reshape(-1, covered, wide, channels)
    return split_bands(x, len(routing.positions), rows * routing.shape[2], routing.segment, 0)


def _split(y, routing: Routing):
    """Deal the output pixels [n, h2, w2, o] out to the segments, [g, s, p, o]."""
    pictures, height, width, features = y.shape
    rows, bands = routing.band_rows, routing.bands
    y = jnp.pad(y, ((0, 0), (0, bands * rows - height), (0, 0), (0, 0)))
    y = y.reshape(pictures * bands, rows * width, features)
    y = split_bands(y, len(routing.positions), rows * width, routing.segment, 0)
    return y.reshape(*y.shape[:2], -1, features)


def _join(y, routing: Routing):
    """Put the segments' pixels [g, s, p, o] together as [n, h2, w2, o]."""
    pictures, height, width = routing.shape
    rows, bands, features = routing.band_rows, routing.bands, y.shape[-1]
    y = y.reshape(len(y), -1, rows, width, features)[:, : pictures * bands // len(y)]
    return y.reshape(pictures, bands * rows, width, features)[:, :height]


def _transposed(linear, shape, cotangent):
    """The transpose of a linear function of an array of this shape, in the cotangent's type."""
    _, pull_back = jax.vjp(linear, varying_zeros(shape, cotangent))
    return pull_back(cotangent)[0]


def _flat(kernel):
    """The kernels as matrices [b, k k c, o]."""
    return kernel.reshape(kernel.shape[0], -1, kernel.shape[-1])


def _matmul(formula, a, b):
    """Products of each block, added up in float32 at least."""
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jnp.einsum(formula, a, b, preferred_element_type=wide)

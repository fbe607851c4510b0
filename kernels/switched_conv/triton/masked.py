"""The gradient of x on NVIDIA GPUs by masked products.

A program takes a square of x and goes over the taps: it multiplies the cotangents under a tap with
each of the kernels that are present around the square, masked to the pixels that have it. At most
as many products as kernels, so best for one or two, or where memory is short: it needs none.
"""

import functools

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Float

from ...manual_axes import varying_shape
from .block_sizes import BlockSizes, Tile
from .geometry import Arrays, Geometry, output_pixels
from .tiles import call, dot

_SQUARE = 8  # rows of a square


def grad_input_by_masking(
    cotangent: Float[Array, 'n h2 w2 o'],
    kernel: Float[Array, 'b k k c o'],
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    interpret: bool = False,
) -> Float[Array, 'n h w c']:
    """The gradient of x, in the type of the cotangent."""
    tile = sizes.masked
    selector = _selector(routing, g)
    present = _present(selector, g, tile)
    arrays = (
        present,
        selector.reshape(-1),
        cotangent.reshape(-1, g.features),
        kernel.reshape(-1, g.features),
    )
    high, wide = _squares(g, tile)
    programs = g.images * high * wide * -(-g.channels // tile.columns)
    body = functools.partial(_masked_kernel, g=g, tile=tile, dot=dot(sizes.precision, interpret))
    shape = varying_shape((g.images * g.height * g.width, g.channels), cotangent.dtype, arrays)
    masked = call(body, 'masked', programs, shape, tile, interpret)
    return masked(*arrays).reshape(g.images, g.height, g.width, g.channels)


def _squares(g: Geometry, tile: Tile) -> tuple[int, int]:
    """How many squares of x lie below and beside each other."""
    return -(-g.height // _SQUARE), -(-g.width // (tile.rows // _SQUARE))


def _selector(routing: Arrays, g: Geometry):
    """The selector [n, h2, w2] that was routed; -1 where there is no kernel."""
    kernels, pixels, _ = routing
    numbers = output_pixels(pixels, g).reshape(-1)
    values = jnp.broadcast_to(kernels.reshape(-1, 1), (kernels.size, g.block)).reshape(-1)
    selector = jnp.full(g.outputs, -1, jnp.int32) + 0 * numbers[0]
    selector = selector.at[numbers].set(values, mode='drop')
    return selector.reshape(g.images, g.out_height, g.out_width)


def _present(selector, g: Geometry, tile: Tile):
    """For every square of x how many kernels its outputs have, and which: [squares, 1 + b]."""
    high, wide = _squares(g, tile)
    rows = _around(high, _SQUARE, g.out_height, g)
    columns = _around(wide, tile.rows // _SQUARE, g.out_width, g)
    windows = selector[:, rows][:, :, :, columns].transpose(0, 1, 3, 2, 4)
    windows = windows.reshape(g.images * high * wide, -1)
    found = jnp.any(windows[:, :, None] == jnp.arange(g.breadth)[None, None, :], axis=1)
    order = jnp.argsort(~found, axis=1, stable=True).astype(jnp.int32)
    count = jnp.sum(found, axis=1, dtype=jnp.int32, keepdims=True)
    return jnp.concatenate([count, order], axis=1)


def _around(count: int, side: int, limit: int, g: Geometry):
    """Rows or columns of the output whose patches may reach each of `count` runs of x."""
    start = jnp.arange(count) * side + g.size // 2 - (g.size - 1)
    reach = jnp.arange((side + g.size - 2) // g.stride + 2)
    return jnp.clip(start[:, None] // g.stride + reach[None, :], 0, limit - 1)


def _masked_kernel(present, selector, cotangent, weights, grad_x, *, g: Geometry, tile: Tile, dot):
    channel_tiles = -(-g.channels // tile.columns)
    high, wide = _squares(g, tile)
    square = lax.div(pl.program_id(0), jnp.int32(channel_tiles))
    channels = (pl.program_id(0) - square * channel_tiles) * tile.columns
    channels = channels + jnp.arange(tile.columns)
    image = lax.div(square, jnp.int32(high * wide))
    rest = square - image * (high * wide)
    across = tile.rows // _SQUARE
    lanes = jnp.arange(tile.rows)
    down = lax.div(lanes, jnp.full_like(lanes, across))
    line = lax.div(rest, jnp.int32(wide))
    row = line * _SQUARE + down
    column = (rest - line * wide) * across + lanes - down * across
    inside = (row < g.height) & (column < g.width)
    chunks = -(-g.features // tile.depth)

    def add(step, total):
        tap = lax.div(step, jnp.int32(chunks))
        features = (step - tap * chunks) * tile.depth + jnp.arange(tile.depth)
        pixel, ok = _output_of(image, row, column, tap, g)
        ok = ok & inside
        chosen = plgpu.load(selector.at[pixel], mask=ok, other=-1)
        mask = ok[:, None] & (features < g.features)[None, :]
        part = plgpu.load(cotangent.at[pixel[:, None], features[None, :]], mask=mask, other=0.0)
        mask = (channels < g.channels)[:, None] & (features < g.features)[None, :]

        def kernel_of(number, total):
            index = present[square, 1 + number]
            rows = index * g.patch + tap * g.channels + channels
            taps = plgpu.load(weights.at[rows[:, None], features[None, :]], mask=mask, other=0.0)
            chosen_part = jnp.where((chosen == index)[:, None], part, jnp.zeros_like(part))
            return total + dot(chosen_part, taps, trans_b=True)

        return lax.fori_loop(0, present[square, 0], kernel_of, total)

    zeros = jnp.zeros((tile.rows, tile.columns), jnp.float32)
    total = lax.fori_loop(0, g.size**2 * chunks, add, zeros)
    target = (image * g.height + row) * g.width + column
    target = jnp.where(inside, target, g.images * g.height * g.width)
    mask = inside[:, None] & (channels < g.channels)[None, :]
    plgpu.store(
        grad_x.at[target[:, None], channels[None, :]], total.astype(grad_x.dtype), mask=mask
    )


def _output_of(image, row, column, tap, g: Geometry):
    """The pixel of the output that has these pixels of x under a tap, and whether there is one."""
    down = lax.div(tap, jnp.int32(g.size))
    y, x = row + g.size // 2 - down, column + g.size // 2 - (tap - down * g.size)
    ok = (y >= 0) & (x >= 0)
    if g.stride > 1:
        stride = jnp.full_like(y, g.stride)
        ok = ok & (lax.rem(y, stride) == 0) & (lax.rem(x, stride) == 0)
        y, x = lax.div(y, stride), lax.div(x, stride)
    ok = ok & (y < g.out_height) & (x < g.out_width)
    return jnp.where(ok, (image * g.out_height + y) * g.out_width + x, 0), ok

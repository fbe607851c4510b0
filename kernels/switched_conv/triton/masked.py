"""The gradient of x on NVIDIA GPUs by masked products.

A program takes a square of x and goes over the taps: it multiplies the cotangents under a tap with
each of the kernels that are present around the square, masked to the pixels that have it. At most
as many products as kernels, so best for one or two, or where memory is short: it needs none.
"""

import jax
import jax.numpy as jnp
import triton
import triton.language as tl
from jaxtyping import Array, Float

from ...gpu.launch import KernelCall, Launch
from .block_sizes import BlockSizes, Tile
from .geometry import Arrays, Geometry, flat_selector
from .tiles import load_matrix, store_matrix

_SQUARE = 8  # rows of a square


def grad_input_by_masking(
    cotangent: Float[Array, 'n h2 w2 o'],
    kernel: Float[Array, 'b k k c o'],
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    launch: Launch,
) -> Float[Array, 'n h w c']:
    """The gradient of x, in the type of the cotangent."""
    tile = sizes.masked
    selector = flat_selector(routing, g)
    present = _present(selector.reshape(g.images, g.out_height, g.out_width), g, tile)
    channel_tiles = -(-g.channels // tile.columns)
    high, wide = _squares(g, tile)
    (grad_x,) = launch(
        KernelCall(
            masked_products,
            'masked',
            g.images * high * wide * channel_tiles,
            (present, selector, cotangent, kernel),
            (jax.ShapeDtypeStruct((g.inputs, g.channels), cotangent.dtype),),
            dict(
                channel_tiles=channel_tiles,
                high=high,
                wide=wide,
                down=_SQUARE,
                across=tile.rows // _SQUARE,
                columns=tile.columns,
                depth=tile.depth,
                precision=sizes.precision,
                g=g,
            ),
            warps=tile.warps,
            stages=tile.stages,
        )
    )
    return grad_x.reshape(g.images, g.height, g.width, g.channels)


def _squares(g: Geometry, tile: Tile) -> tuple[int, int]:
    """How many squares of x lie below and beside each other."""
    return -(-g.height // _SQUARE), -(-g.width // (tile.rows // _SQUARE))


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


@triton.jit
def output_of(image, row, column, tap, g: tl.constexpr):
    """The pixel of the output that has these pixels of x under a tap, and whether there is one."""
    down = tap // g.size
    y, x = row + g.border - down, column + g.border - (tap - down * g.size)
    real = (row < g.height) & (column < g.width) & (y >= 0) & (x >= 0)
    if g.stride > 1:
        real = real & (y % g.stride == 0) & (x % g.stride == 0)
        y, x = y // g.stride, x // g.stride
    real = real & (y < g.out_height) & (x < g.out_width)
    return (image * g.out_height + y) * g.out_width + x, real


@triton.jit
def masked_products(
    present,
    selector,
    cotangent,
    weights,
    grad_x,
    channel_tiles: tl.constexpr,
    high: tl.constexpr,
    wide: tl.constexpr,
    down: tl.constexpr,
    across: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
    g: tl.constexpr,
):
    """A square of x of `down` rows and `across` columns, for some channels."""
    square = tl.program_id(0) // channel_tiles
    channel = (tl.program_id(0) - square * channel_tiles) * columns + tl.arange(0, columns)
    image = square // (high * wide)
    rest = square - image * (high * wide)
    lanes = tl.arange(0, down * across)
    row = rest // wide * down + lanes // across
    column = rest % wide * across + lanes % across
    chosen_kernels = present + square * (1 + g.breadth)
    count = tl.load(chosen_kernels)
    chunks: tl.constexpr = (g.features + depth - 1) // depth
    total = tl.full((down * across, columns), 0.0, tl.float32)
    for step in range(0, g.size * g.size * chunks):
        tap = step // chunks
        features = (step - tap * chunks) * depth + tl.arange(0, depth)
        pixel, real = output_of(image, row, column, tap, g)
        chosen = tl.load(selector + pixel, mask=real, other=-1)
        part = load_matrix(cotangent, pixel, features, real, g.features, g)
        for number in range(0, count):
            kernel = tl.load(chosen_kernels + 1 + number)
            first_row = kernel * g.patch + tap * g.channels
            taps = load_matrix(
                weights, first_row + channel, features, channel < g.channels, g.features, g
            )
            mine = tl.where((chosen == kernel)[:, None], part, 0.0).to(part.dtype)
            total = tl.dot(mine, tl.trans(taps), total, input_precision=precision)
    inside = (row < g.height) & (column < g.width)
    target = (image * g.height + row) * g.width + column
    store_matrix(grad_x, target, channel, inside, total, g.channels, g)

"""What the programs of the GPU kernels have in common: which tile is theirs, loading patches,
products.

Gathered patches are counted by their columns, k k c numbers. Where channels are many, a chunk of a
patch lies within one tap; where they are few (an image has three), it spans several.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array

from .block_sizes import Tile
from .geometry import Geometry, like

PREFIX = 'switched_conv_'  # of the names of the kernels in a program
MIN_CHANNELS = 16  # fewer than these, and a chunk of a patch spans taps


def split(program: Array, g: Geometry, tile: Tile, column_tiles: int) -> tuple[Array, Array, Array]:
    """The block, the part of the block and the tile of columns of a program. Programs of the same
    pixels follow each other, so that what they gather is in the cache."""
    parts = -(-g.block // tile.rows)
    number = lax.div(program, jnp.int32(column_tiles))
    block = lax.div(number, jnp.int32(parts))
    return block, number - block * parts, program - number * column_tiles


def load_pixels(pixels: Any, start: Array, part: Array, g: Geometry, tile: Tile) -> Array:
    """The pixels of a tile, which may be shorter than its rows; `g.outputs` where there is none."""
    lanes = jnp.arange(tile.rows)
    inside = lanes + part * tile.rows < g.block
    return plgpu.load(pixels.at[start + lanes], mask=inside, other=g.outputs)


class Corner(NamedTuple):
    """Where in x the patches of some pixels begin, and which pixels are any; arrays [rows]."""

    row: Array
    column: Array
    number: Array
    known: Array


def corners(pixel: Array, g: Geometry) -> Corner:
    """Where the patches of output pixels begin."""
    line = lax.div(pixel, like(g.out_width, pixel))
    image = lax.div(line, like(g.out_height, line))
    row = (line - image * g.out_height) * g.stride - g.size // 2
    column = (pixel - line * g.out_width) * g.stride - g.size // 2
    number = (image * g.height + row) * g.width + column
    return Corner(row, column, number, pixel < g.outputs)


class Columns(NamedTuple):
    """A chunk of a patch: each column's number in the patch, its channel and whether it is one
    (arrays [depth]), and the row and column of its tap (arrays, or scalars of the whole chunk)."""

    number: Array
    channel: Array
    valid: Array
    row: Array
    column: Array


def patch_steps(depth: int, g: Geometry) -> int:
    """In how many chunks of so many columns a patch is taken."""
    if g.channels < MIN_CHANNELS:
        return -(-g.patch // depth)
    return g.size**2 * -(-g.channels // depth)


def patch_columns(step: Array, depth: int, g: Geometry) -> Columns:
    """The columns of a chunk."""
    if g.channels < MIN_CHANNELS:
        number = step * depth + jnp.arange(depth)
        tap = lax.div(number, like(g.channels, number))
        row = lax.div(tap, like(g.size, tap))
        channel = number - tap * g.channels
        return Columns(number, channel, number < g.patch, row, tap - row * g.size)
    chunks = -(-g.channels // depth)
    tap = lax.div(jnp.int32(step), jnp.int32(chunks))
    channel = (step - tap * chunks) * depth + jnp.arange(depth)
    row = lax.div(tap, jnp.int32(g.size))
    number, valid = tap * g.channels + channel, channel < g.channels
    return Columns(number, channel, valid, row, tap - row * g.size)


def load_patches(x: Any, corner: Corner, columns: Columns, rows: int, g: Geometry) -> Array:
    """The chunk of the patches that begin at these corners, [rows, depth], with zeros around x."""
    down, right = columns.row, columns.column
    if down.ndim:
        down, right = down[None, :], right[None, :]
    row, column = corner.row[:, None] + down, corner.column[:, None] + right
    mask = corner.known[:, None] & (row >= 0) & (row < g.height)
    mask = mask & (column >= 0) & (column < g.width)
    depth = columns.number.shape[0]
    if columns.row.ndim or g.channels % depth:
        mask = mask & columns.valid[None, :]
    source = corner.number[:, None] + down * g.width + right
    return plgpu.load(
        x.at[source, columns.channel[None, :]],
        mask=jnp.broadcast_to(mask, (rows, depth)),
        other=0.0,
    )


def dot(precision: str, interpret: bool) -> Callable[..., Array]:
    """The product of two tiles, added up in float32. `precision` of float32: 'tf32' or 'ieee'; the
    interpreter knows no tf32 and computes in float32."""
    presets = {
        'tf32': lax.DotAlgorithmPreset.TF32_TF32_F32,
        'ieee': lax.DotAlgorithmPreset.F32_F32_F32,
    }

    def multiply(a, b, trans_a: bool = False, trans_b: bool = False):
        preset = presets[precision] if a.dtype == jnp.float32 and not interpret else None
        if interpret:
            a, b = a.astype(jnp.float32), b.astype(jnp.float32)
        return plgpu.dot(a, b, trans_a=trans_a, trans_b=trans_b, precision=preset)

    return multiply


def call(
    body: Callable[..., None],
    name: str,
    programs: int,
    out_shape: Any,
    tile: Tile,
    interpret: bool,
    aliases: dict[int, int] | None = None,
) -> Callable[..., Any]:
    """A Pallas call over a flat grid, of arrays that the kernel indexes as a whole."""
    return pl.pallas_call(
        body,
        grid=(programs,),
        out_shape=out_shape,
        input_output_aliases=aliases or {},
        compiler_params=plgpu.CompilerParams(num_warps=tile.warps, num_stages=tile.stages),
        interpret=interpret,
        name=PREFIX + name,
    )

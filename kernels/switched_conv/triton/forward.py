"""The forward pass on NVIDIA GPUs: a Pallas kernel, compiled by Triton.

A program computes some pixels of a block, which share a kernel, times some features: an implicit
matrix product. It gathers the patches under its pixels chunk by chunk, [rows, depth], and
multiplies each by that chunk of the kernel, [depth, columns], on tensor cores. There are no
atomics: the same input gives the same bits.
"""

import functools

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Float

from ...manual_axes import varying_shape
from .block_sizes import BlockSizes, Tile
from .geometry import Arrays, Geometry, number_of, output_pixels
from .tiles import (
    MIN_CHANNELS,
    call,
    corners,
    dot,
    load_patches,
    load_pixels,
    patch_columns,
    patch_steps,
    split,
)


def forward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None,
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    interpret: bool = False,
) -> Float[Array, 'n h2 w2 o']:
    """The output, NaN at pixels that have no kernel. `routing`: kernels, pixels, positions."""
    kernels, pixels, positions = routing
    tile = sizes.forward
    programs = g.segments * g.blocks * -(-g.block // tile.rows) * -(-g.features // tile.columns)
    arguments = [
        kernels.reshape(-1),
        output_pixels(pixels, g).reshape(-1),
        x.reshape(-1, g.channels),
        kernel.reshape(-1, g.features),
    ]
    body = functools.partial(_forward_kernel, g=g, tile=tile, dot=dot(sizes.precision, interpret))
    if bias is None:
        body = functools.partial(_drop_bias, body)
    else:
        arguments.append(bias)
    y = call(
        body,
        'forward',
        programs,
        varying_shape((g.outputs, g.features), x.dtype, (x, kernel, bias, routing)),
        tile,
        interpret,
    )(*arguments)
    y = _mark_unknown(y, positions, g, sizes.mark, interpret)
    return y.reshape(g.images, g.out_height, g.out_width, g.features)


def _drop_bias(body, kernels, pixels, x, weights, y):
    body(kernels, pixels, x, weights, None, y)


def _forward_kernel(kernels, pixels, x, weights, bias, y, *, g: Geometry, tile: Tile, dot):
    block, part, column = split(pl.program_id(0), g, tile, -(-g.features // tile.columns))
    start = block * g.block + part * tile.rows

    # Blocks are filled from the front: where the first pixel is none, all are.
    @pl.when(pixels[start] < g.outputs)
    def _():
        pixel = load_pixels(pixels, start, part, g, tile)
        corner = corners(pixel, g)
        index = kernels[block]
        features = column * tile.columns + jnp.arange(tile.columns)
        narrow = g.channels < MIN_CHANNELS

        def add(step, total):
            columns = patch_columns(step, tile.depth, g)
            patches = load_patches(x, corner, columns, tile.rows, g)
            rows = index * g.patch + columns.number
            mask = jnp.broadcast_to((features < g.features)[None, :], (tile.depth, tile.columns))
            if narrow or g.channels % tile.depth:
                mask = mask & columns.valid[:, None]
            if not narrow and g.channels % tile.depth == 0 and g.features % tile.columns == 0:
                taps = weights[rows[:, None], features[None, :]]
            else:
                taps = plgpu.load(
                    weights.at[rows[:, None], features[None, :]], mask=mask, other=0.0
                )
            return total + dot(patches, taps)

        zeros = jnp.zeros((tile.rows, tile.columns), jnp.float32)
        total = lax.fori_loop(0, patch_steps(tile.depth, g), add, zeros)
        if bias is not None:
            offset = plgpu.load(bias.at[features], mask=features < g.features, other=0.0)
            total += offset.astype(jnp.float32)[None, :]
        mask = (pixel < g.outputs)[:, None] & (features < g.features)[None, :]
        plgpu.store(y.at[pixel[:, None], features[None, :]], total.astype(y.dtype), mask=mask)


def _mark_unknown(y, positions, g: Geometry, tile: Tile, interpret: bool):
    """Writes NaN to the pixels of y [outputs, o] that have no kernel; the others stay untouched."""
    programs = g.segments * -(-g.pixels // tile.rows)
    body = functools.partial(_mark_kernel, g=g, tile=tile)
    shape = varying_shape(y.shape, y.dtype, (y, positions))
    mark = call(body, 'mark', programs, shape, tile, interpret, aliases={1: 0})
    return mark(positions.reshape(-1), y)


def _mark_kernel(positions, untouched, y, *, g: Geometry, tile: Tile):
    del untouched  # y itself, before
    parts = -(-g.pixels // tile.rows)
    segment = lax.div(pl.program_id(0), jnp.int32(parts))
    local = (pl.program_id(0) - segment * parts) * tile.rows + jnp.arange(tile.rows)
    inside = local < g.pixels
    position = plgpu.load(positions.at[segment * g.pixels + local], mask=inside, other=0)
    unknown = inside & (position >= g.blocks * g.block)

    @pl.when(jnp.max(unknown.astype(jnp.int32)) > 0)
    def _():
        pixel = number_of(segment, local, g)
        pixel = jnp.where(unknown, pixel, g.outputs)
        nan = jnp.full((tile.rows, tile.columns), jnp.nan, y.dtype)

        def write(step, _):
            features = step * tile.columns + jnp.arange(tile.columns)
            mask = (pixel < g.outputs)[:, None] & (features < g.features)[None, :]
            plgpu.store(y.at[pixel[:, None], features[None, :]], nan, mask=mask)
            return 0

        lax.fori_loop(0, -(-g.features // tile.columns), write, 0)

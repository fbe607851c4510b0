"""The forward pass on NVIDIA GPUs.

A program computes some pixels of a block, which share a kernel, times some features: an implicit
matrix product. It gathers the patches under its pixels chunk by chunk, [rows, depth], and
multiplies each by that chunk of the kernel, [depth, columns], on tensor cores. There are no
atomics: the same input gives the same bits.
"""

import jax
import triton
import triton.language as tl
from jaxtyping import Array, Float

from ...gpu.launch import KernelCall, Launch
from .block_sizes import BlockSizes, Tile
from .geometry import Arrays, Geometry
from .tiles import (
    chunk_bounds,
    load_matrix,
    load_patches,
    load_pixels,
    output_number,
    patch_corners,
    split,
    store_matrix,
)


def forward(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None,
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    launch: Launch,
) -> Float[Array, 'n h2 w2 o']:
    """The output, NaN at pixels that have no kernel. `routing`: kernels, pixels, positions."""
    kernels, pixels, positions = routing
    tile = sizes.forward
    column_tiles = -(-g.features // tile.columns)
    (y,) = launch(
        KernelCall(
            convolve_blocks,
            'forward',
            g.segments * g.blocks * -(-g.block // tile.rows) * column_tiles,
            (kernels.reshape(-1), pixels.reshape(-1), x, kernel, bias),
            (jax.ShapeDtypeStruct((g.outputs, g.features), x.dtype),),
            dict(
                column_tiles=column_tiles,
                steps=g.patch_steps(tile.depth),
                rows=tile.rows,
                columns=tile.columns,
                depth=tile.depth,
                precision=sizes.precision,
                g=g,
            ),
            warps=tile.warps,
            stages=tile.stages,
        )
    )
    y = _mark_unknown(y, positions, g, sizes.mark, launch)
    return y.reshape(g.images, g.out_height, g.out_width, g.features)


@triton.jit
def convolve_blocks(
    kernels,
    pixels,
    x,
    weights,
    bias,
    y,
    column_tiles: tl.constexpr,
    steps: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
    g: tl.constexpr,
):
    """Patches times their kernel: x [pixels, c], weights [b k k c, o], y [outputs, o]."""
    block, part, column = split(tl.program_id(0), column_tiles, rows, g)
    # Blocks are filled from the front: where the first pixel is none, all are.
    if tl.load(pixels + block * g.block + part * rows) < g.pixels:
        _, pixel = load_pixels(pixels, block, part, rows, g)
        known = pixel < g.outputs
        corners = patch_corners(pixel, g)
        features = column * columns + tl.arange(0, columns)
        first_row = tl.load(kernels + block) * g.patch
        total = tl.full((rows, columns), 0.0, tl.float32)
        for step in range(0, steps):
            patches = load_patches(x, corners, known, step, depth, g)
            first, end = chunk_bounds(step, depth, g)
            number = first + tl.arange(0, depth)
            taps = load_matrix(weights, first_row + number, features, number < end, g.features, g)
            total = tl.dot(patches, taps, total, input_precision=precision)
        if bias is not None:
            offset = tl.load(bias + features, mask=features < g.features, other=0.0)
            total += offset.to(tl.float32)[None, :]
        store_matrix(y, pixel, features, known, total, g.features, g)


def _mark_unknown(y, positions, g: Geometry, tile: Tile, launch: Launch):
    """Writes NaN to the pixels of y [outputs, o] that have no kernel; the others stay untouched."""
    (y,) = launch(
        KernelCall(
            mark_unknown,
            'mark',
            g.segments * -(-g.pixels // tile.rows),
            (positions.reshape(-1),),
            (),
            dict(rows=tile.rows, columns=tile.columns, g=g),
            updated=(y,),
            warps=tile.warps,
        )
    )
    return y


@triton.jit
def mark_unknown(positions, y, rows: tl.constexpr, columns: tl.constexpr, g: tl.constexpr):
    """NaN to where the position of a pixel lies behind the blocks."""
    parts: tl.constexpr = (g.pixels + rows - 1) // rows
    segment = tl.program_id(0) // parts
    local = (tl.program_id(0) - segment * parts) * rows + tl.arange(0, rows)
    position = tl.load(positions + segment * g.pixels + local, mask=local < g.pixels, other=0)
    unknown = position >= g.blocks * g.block
    if tl.sum(unknown.to(tl.int32), axis=0) > 0:
        pixel = output_number(segment, local, g)
        known = unknown & (pixel < g.outputs)
        nan = tl.full((rows, columns), float('nan'), tl.float32)
        for first in range(0, g.features, columns):
            features = first + tl.arange(0, columns)
            store_matrix(y, pixel, features, known, nan, g.features, g)

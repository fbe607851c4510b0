"""The gradient of the kernels on NVIDIA GPUs.

The blocks of a routing are sorted by kernel and cut into runs of equal length. A program multiplies
the patches of a run with their cotangents, P^T g, for a part of the kernel; a second kernel adds up
the runs of each kernel, in their order: the same input gives the same bits. However unevenly the
kernels are used, the programs have the same amount of work.
"""

import jax
import jax.numpy as jnp
import triton
import triton.language as tl
from jax import lax
from jaxtyping import Array, Float

from ...gpu.launch import KernelCall, Launch
from .block_sizes import BlockSizes, Tile
from .geometry import Arrays, Geometry
from .sorting import sort_segments
from .tiles import chunk_bounds, load_matrix, load_patches, load_pixels, patch_corners, store_matrix


def grad_kernel(
    x: Float[Array, 'n h w c'],
    cotangent: Float[Array, 'n h2 w2 o'],
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    launch: Launch,
) -> Float[Array, 'b k k c o']:
    """The gradient of the kernels, in float32."""
    kernels, pixels, _ = routing
    # The blocks sorted by kernel, as pixels are: a run is a block of blocks.
    used = pixels.reshape(-1, g.block)[:, 0] < g.pixels
    kernel_of = jnp.where(used, kernels.reshape(-1), g.breadth)
    of_run, blocks, _ = sort_segments(kernel_of[None, None], g.breadth, sizes.weight_blocks, launch)
    of_run, blocks = of_run[0, 0], blocks[0, 0]
    lengths = jnp.sum(blocks < len(kernel_of), axis=1, dtype=jnp.int32)
    tile, chunks = sizes.weight, sizes.weight_chunks
    feature_tiles = -(-g.features // tile.columns)
    bundles = -(-g.patch_steps(tile.depth) // chunks)
    (parts,) = launch(
        KernelCall(
            multiply_runs,
            'weight',
            len(of_run) * bundles * feature_tiles,
            (lengths, blocks, pixels.reshape(-1), *_factors(x, sizes), *_factors(cotangent, sizes)),
            (jax.ShapeDtypeStruct((len(of_run) * g.patch, g.features), jnp.float32),),
            dict(
                bundles=bundles,
                feature_tiles=feature_tiles,
                chunks=chunks,
                run=sizes.weight_blocks,
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
    used = jnp.where(lengths > 0, of_run, g.breadth)
    total = _add_runs(parts.reshape(len(of_run), -1), used, g, sizes.reduce, launch)
    return total.reshape(g.breadth, g.size, g.size, g.channels, g.features)


def _factors(array, sizes: BlockSizes) -> tuple[Array, Array | None]:
    """The array and nothing, or two in bfloat16 whose sum has 16 of float32's 24 bits.

    Products of transposed tiles in TF32 would be loaded number by number. Three products of
    bfloat16 (all but that of the two small parts) are as exact as TF32 or better, and faster.
    """
    if array.dtype != jnp.float32 or sizes.precision == 'ieee':
        return array, None
    # A cast to bfloat16 and back would be left out by XLA, and the small part be nothing.
    large = lax.reduce_precision(array, exponent_bits=8, mantissa_bits=7)
    return large.astype(jnp.bfloat16), (array - large).astype(jnp.bfloat16)


@triton.jit
def multiply_runs(
    lengths,
    blocks,
    pixels,
    x,
    x_rest,
    cotangent,
    cotangent_rest,
    parts,
    bundles: tl.constexpr,
    feature_tiles: tl.constexpr,
    chunks: tl.constexpr,
    run: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
    g: tl.constexpr,
):
    """P^T g of a run of blocks, for some chunks of a patch and some features."""
    number = tl.program_id(0) // feature_tiles
    features = tl.program_id(0) % feature_tiles * columns + tl.arange(0, columns)
    which = number // bundles
    step = number % bundles * chunks
    pieces: tl.constexpr = (g.block + rows - 1) // rows
    first = tl.full((depth, columns), 0.0, tl.float32)
    second, third = first, first
    for piece in range(0, tl.load(lengths + which) * pieces):
        place = piece // pieces
        block = tl.load(blocks + which * run + place)
        _, pixel = load_pixels(pixels, block, piece - place * pieces, rows, g)
        known = pixel < g.outputs
        right = load_matrix(cotangent, pixel, features, known, g.features, g)
        rest = right
        if cotangent_rest is not None:
            rest = load_matrix(cotangent_rest, pixel, features, known, g.features, g)
        here = patch_corners(pixel, g)
        first = add_product(first, x, x_rest, right, rest, here, known, step, depth, precision, g)
        if chunks > 1:
            second = add_product(
                second, x, x_rest, right, rest, here, known, step + 1, depth, precision, g
            )
        if chunks > 2:
            third = add_product(
                third, x, x_rest, right, rest, here, known, step + 2, depth, precision, g
            )
    store_chunk(parts, first, which, step, features, depth, g)
    if chunks > 1:
        store_chunk(parts, second, which, step + 1, features, depth, g)
    if chunks > 2:
        store_chunk(parts, third, which, step + 2, features, depth, g)


@triton.jit
def add_product(
    total,
    x,
    x_rest,
    right,
    rest,
    corners,
    known,
    step,
    depth: tl.constexpr,
    precision: tl.constexpr,
    g: tl.constexpr,
):
    """The sum with the product of a chunk of patches, turned over, and cotangents."""
    left = tl.trans(load_patches(x, corners, known, step, depth, g))
    total = tl.dot(left, right, total, input_precision=precision)
    if x_rest is not None:
        total = tl.dot(left, rest, total)
        left = tl.trans(load_patches(x_rest, corners, known, step, depth, g))
        total = tl.dot(left, right, total)
    return total


@triton.jit
def store_chunk(parts, total, which, step, features, depth: tl.constexpr, g: tl.constexpr):
    """Puts a chunk of a run's sums into its place, [runs k k c, o]."""
    first, end = chunk_bounds(step, depth, g)
    number = first + tl.arange(0, depth)
    valid = (number < end) & (number < g.patch)  # the last program may have chunks too many
    store_matrix(parts, which * g.patch + number, features, valid, total, g.features, g)


def _add_runs(parts, used, g: Geometry, tile: Tile, launch: Launch):
    """Adds up the runs [runs, k k c o] of each kernel, which follow each other."""
    index = jnp.arange(g.breadth + 1, dtype=jnp.int32)
    bounds = jnp.sum(used[:, None] < index[None, :], axis=0, dtype=jnp.int32)
    width = parts.shape[1]
    (total,) = launch(
        KernelCall(
            add_runs,
            'reduce',
            g.breadth * -(-width // tile.columns),
            (bounds, parts),
            (jax.ShapeDtypeStruct((g.breadth, width), jnp.float32),),
            dict(columns=tile.columns, width=width),
            warps=tile.warps,
        )
    )
    return total


@triton.jit
def add_runs(bounds, parts, total, columns: tl.constexpr, width: tl.constexpr):
    """The runs of a kernel, in their order, for some columns."""
    tiles: tl.constexpr = (width + columns - 1) // columns
    kernel = tl.program_id(0) // tiles
    column = (tl.program_id(0) - kernel * tiles) * columns + tl.arange(0, columns)
    mask = column < width
    result = tl.full((columns,), 0.0, tl.float32)
    for run in range(tl.load(bounds + kernel), tl.load(bounds + kernel + 1)):
        result += tl.load(parts + run * width + column, mask=mask, other=0.0)
    tl.store(total + kernel * width + column, result, mask=mask)

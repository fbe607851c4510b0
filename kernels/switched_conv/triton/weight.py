"""The gradient of the kernels on NVIDIA GPUs.

The blocks of a routing are sorted by kernel and cut into runs of equal length. A program multiplies
the patches of a run with their cotangents, P^T g, for a part of the kernel; a second kernel adds up
the runs of each kernel, in their order: the same input gives the same bits. However unevenly the
kernels are used, the programs have the same amount of work.
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
from .sorting import sort_segments
from .tiles import call, corners, dot, load_patches, load_pixels, patch_columns, patch_steps


def grad_kernel(
    x: Float[Array, 'n h w c'],
    cotangent: Float[Array, 'n h2 w2 o'],
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    interpret: bool = False,
) -> Float[Array, 'b k k c o']:
    """The gradient of the kernels, in float32."""
    kernels, pixels, _ = routing
    numbers = output_pixels(pixels, g).reshape(-1, g.block)
    # The blocks sorted by kernel, as pixels are: a run is a block of blocks.
    kernel_of = jnp.where(numbers[:, 0] < g.outputs, kernels.reshape(-1), g.breadth)
    one_segment = kernel_of[None, None, :]
    of_run, blocks, _ = sort_segments(one_segment, g.breadth, sizes.weight_blocks, interpret)
    of_run, blocks = of_run[0, 0], blocks[0, 0]
    lengths = jnp.sum(blocks < len(numbers), axis=1, dtype=jnp.int32)
    arrays = (
        lengths,
        blocks.reshape(-1),
        numbers.reshape(-1),
        *_factors(x.reshape(-1, g.channels), sizes),
        *_factors(cotangent.reshape(-1, g.features), sizes),
    )
    tile, chunks = sizes.weight, sizes.weight_chunks
    columns = -(-patch_steps(tile.depth, g) // chunks) * -(-g.features // tile.columns)
    body = functools.partial(
        _weight_kernel,
        g=g,
        tile=tile,
        chunks=chunks,
        run=sizes.weight_blocks,
        dot=dot(sizes.precision, interpret),
    )
    shape = varying_shape((len(of_run) * g.patch, g.features), 'float32', arrays)
    parts = call(body, 'weight', len(of_run) * columns, shape, tile, interpret)(*arrays)
    total = _reduce(parts.reshape(len(of_run), -1), of_run, lengths, g, sizes.reduce, interpret)
    return total.reshape(g.breadth, g.size, g.size, g.channels, g.features)


def _factors(array, sizes: BlockSizes) -> tuple[Array, ...]:
    """The array, or two in bfloat16 whose sum has 16 of float32's 24 bits.

    Products of transposed tiles in TF32 would be loaded number by number. Three products of
    bfloat16 (all but that of the two small parts) are as exact as TF32 or better, and faster.
    """
    if array.dtype != jnp.float32 or sizes.precision == 'ieee':
        return (array,)
    # A cast to bfloat16 and back would be left out by XLA, and the small part be nothing.
    large = lax.reduce_precision(array, exponent_bits=8, mantissa_bits=7)
    return large.astype(jnp.bfloat16), (array - large).astype(jnp.bfloat16)


def _weight_kernel(lengths, blocks, numbers, *arrays, g, tile, chunks, run, dot):
    *factors, parts = arrays
    x, cotangent = factors[: len(factors) // 2], factors[len(factors) // 2 :]
    feature_tiles = -(-g.features // tile.columns)
    steps = patch_steps(tile.depth, g)
    bundles = -(-steps // chunks)
    number = lax.div(pl.program_id(0), jnp.int32(feature_tiles))
    features = (pl.program_id(0) - number * feature_tiles) * tile.columns
    features = features + jnp.arange(tile.columns)
    which = lax.div(number, jnp.int32(bundles))
    bundle = number - which * bundles
    columns = [patch_columns(bundle * chunks + i, tile.depth, g) for i in range(chunks)]
    pieces = -(-g.block // tile.rows)

    def add(piece, totals):
        place = lax.div(piece, jnp.int32(pieces))
        part = piece - place * pieces
        start = blocks[which * run + place] * g.block + part * tile.rows
        pixel = load_pixels(numbers, start, part, g, tile)
        mask = (pixel < g.outputs)[:, None] & (features < g.features)[None, :]
        places = pixel[:, None], features[None, :]
        rights = [plgpu.load(one.at[places], mask=mask, other=0.0) for one in cotangent]
        corner = corners(pixel, g)

        def product(total, c):
            lefts = [load_patches(one, corner, c, tile.rows, g) for one in x]
            for i, left in enumerate(lefts):
                for right in rights[: len(lefts) - i]:
                    total += dot(left, right, trans_a=True)
            return total

        return tuple(product(total, c) for total, c in zip(totals, columns, strict=True))

    zeros = jnp.zeros((tile.depth, tile.columns), jnp.float32)
    totals = lax.fori_loop(0, lengths[which] * pieces, add, (zeros,) * chunks)
    for i, (total, c) in enumerate(zip(totals, columns, strict=True)):
        valid = c.valid & (bundle * chunks + i < steps)
        target = jnp.where(valid, which * g.patch + c.number, parts.shape[0])
        mask = valid[:, None] & (features < g.features)[None, :]
        plgpu.store(parts.at[target[:, None], features[None, :]], total, mask=mask)


def _reduce(parts, of_run, lengths, g: Geometry, tile: Tile, interpret: bool):
    """Adds up the runs [runs, k k c o] of each kernel, which follow each other."""
    used = jnp.where(lengths > 0, of_run, g.breadth)
    index = jnp.arange(g.breadth + 1, dtype=jnp.int32)
    bounds = jnp.sum(used[:, None] < index[None, :], axis=0, dtype=jnp.int32)
    width = parts.shape[1]
    programs = g.breadth * -(-width // tile.columns)
    shape = varying_shape((g.breadth, width), 'float32', (parts, bounds))
    body = functools.partial(_reduce_kernel, tile=tile)
    return call(body, 'reduce', programs, shape, tile, interpret)(bounds, parts)


def _reduce_kernel(bounds, parts, total, *, tile: Tile):
    width = parts.shape[1]
    tiles = -(-width // tile.columns)
    kernel = lax.div(pl.program_id(0), jnp.int32(tiles))
    columns = (pl.program_id(0) - kernel * tiles) * tile.columns + jnp.arange(tile.columns)
    mask = columns < width

    def add(run, total):
        return total + plgpu.load(parts.at[run, columns], mask=mask, other=0.0)

    zeros = jnp.zeros(tile.columns, jnp.float32)
    result = lax.fori_loop(bounds[kernel], bounds[kernel + 1], add, zeros)
    plgpu.store(total.at[kernel, jnp.where(mask, columns, width)], result, mask=mask)

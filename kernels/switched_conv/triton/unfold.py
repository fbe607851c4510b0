"""The gradient of x on NVIDIA GPUs by unfolding.

The blocks of the forward pass give the gradients of their patches, g W^T, [k, pixels, k c]: apart
for each row of taps, so that a second kernel, which adds up for every pixel of x what the patches
hold of it, reads whole stretches of memory. It goes over some segments at a time, and asks the L2
cache to keep the patches' gradients before all else; see README.md for what that is worth. Nothing
is added atomically, and every sum has its order: the same input gives the same bits.
"""

import functools

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Float

from ...manual_axes import varying_shape, varying_zeros
from .block_sizes import BlockSizes, Tile
from .fold import fold_call
from .geometry import Arrays, Geometry, like, output_pixels
from .steps import Steps
from .tiles import call, dot, load_pixels, split

_UNROLLED = 64  # steps that are written out, which spares a GPU their counter


def grad_input_by_unfolding(
    cotangent: Float[Array, 'n h2 w2 o'],
    kernel: Float[Array, 'b k k c o'],
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    interpret: bool = False,
) -> Float[Array, 'n h w c']:
    """The gradient of x, in the type of the cotangent."""
    kernels, pixels, positions = routing
    steps = Steps(g, sizes, cotangent.dtype.itemsize)
    arrays = (
        kernels.reshape(-1),
        pixels.reshape(-1),
        output_pixels(pixels, g).reshape(-1),
        cotangent.reshape(-1, g.features),
        kernel.reshape(-1, g.features),
    )
    unfold = _unfold_call(arrays, g, steps, sizes, interpret)
    fold = fold_call(arrays, g, steps, sizes.fold, cotangent.dtype, interpret)

    def run(step, state):
        grad_x, tail = state
        number = jnp.full((1,), step, jnp.int32)
        patches = unfold(number, *arrays)
        return tuple(fold(number, positions.reshape(-1), patches, tail, grad_x))

    rows = g.images * g.height * g.width
    tail_rows = max(steps.tail, 1) * g.width  # one row that is never read, where there is none
    grad_x = varying_zeros((rows, g.channels), cotangent).astype(cotangent.dtype)
    tail = varying_zeros((tail_rows, g.channels), cotangent)
    state = (grad_x, tail)
    if steps.count <= _UNROLLED and not interpret:
        for step in range(steps.count):
            state = run(step, state)
    else:
        state = lax.fori_loop(0, steps.count, run, state)
    grad_x, _ = state
    return grad_x.reshape(g.images, g.height, g.width, g.channels)


def _unfold_call(arrays, g: Geometry, steps: Steps, sizes: BlockSizes, interpret: bool):
    tile = sizes.unfold
    shares = -(-g.patch // (tile.columns * sizes.unfold_span))
    programs = steps.segments * g.blocks * -(-g.block // tile.rows) * shares
    body = functools.partial(
        _unfold_kernel,
        g=g,
        steps=steps,
        tile=tile,
        span=sizes.unfold_span,
        dot=dot(sizes.precision, interpret),
    )
    rows = g.size * steps.segments * g.pixels
    shape = varying_shape((rows, g.size * g.channels), arrays[3].dtype, arrays)
    return call(body, 'unfold', programs, shape, tile, interpret)


def _unfold_kernel(
    step, kernels, pixels, numbers, cotangent, weights, patches, *, g, steps, tile, span, dot
):
    tiles = -(-g.patch // tile.columns)
    block, part, share = split(pl.program_id(0), g, tile, -(-tiles // span))
    first, end = steps.first(step[0], g)
    here = lax.div(block, jnp.int32(g.blocks))  # segment within the step
    block = first * g.blocks + block
    inside = first + here < end
    start = jnp.where(inside, block, 0) * g.block + part * tile.rows

    @pl.when(inside & (pixels[start] < g.pixels))
    def _():
        local = load_pixels(pixels, start, part, g, tile)
        pixel = load_pixels(numbers, start, part, g, tile)
        known = pixel < g.outputs
        # Outside of the array where there is no pixel: the interpreter heeds no mask there.
        plane = steps.segments * g.pixels
        target = jnp.where(known, here * g.pixels + local, g.size * plane)
        load = functools.partial(_load_cotangent, cotangent, pixel, known, g=g, tile=tile)
        # Loaded once where one chunk holds all features.
        whole = load(0) if g.features <= tile.depth else None

        def fill(number, done):
            columns = number * tile.columns + jnp.arange(tile.columns)
            valid = (columns < g.patch)[:, None]
            rows = kernels[block] * g.patch + columns
            total = _multiply(load if whole is None else whole, weights, rows, valid, g, tile, dot)
            mask = known[:, None] & (columns < g.patch)[None, :]
            down = lax.div(columns, like(g.size * g.channels, columns))
            column = columns - down * (g.size * g.channels)
            where = patches.at[target[:, None] + (down * plane)[None, :], column[None, :]]
            total = total.astype(patches.dtype)
            plgpu.store(where, total, mask=mask, eviction_policy='evict_last')
            return done

        if span == 1:
            fill(share, 0)
        else:
            lax.fori_loop(share * span, jnp.minimum(share * span + span, tiles), fill, 0)


def _load_cotangent(cotangent, pixel, known, chunk, *, g: Geometry, tile: Tile):
    """A chunk of the features of the cotangents at some pixels."""
    features, mask = _features(chunk, tile, g)
    mask = jnp.broadcast_to(mask & known[:, None], (tile.rows, tile.depth))
    where = cotangent.at[pixel[:, None], features[None, :]]
    return plgpu.load(where, mask=mask, other=0.0)


def _multiply(left, weights, rows, valid, g: Geometry, tile: Tile, dot):
    """The product of cotangents, or of what loads a chunk of them, with rows of the kernels."""
    chunks = -(-g.features // tile.depth)

    def add(chunk, total):
        features, mask = _features(chunk, tile, g)
        mask = jnp.broadcast_to(mask & valid, (tile.columns, tile.depth))
        taps = plgpu.load(weights.at[rows[:, None], features[None, :]], mask=mask, other=0.0)
        factor = left(chunk) if callable(left) else left
        return total + dot(factor, taps, trans_b=True)

    total = jnp.zeros((tile.rows, tile.columns), jnp.float32)
    return add(0, total) if chunks == 1 else lax.fori_loop(0, chunks, add, total)


def _features(chunk, tile: Tile, g: Geometry):
    """The features of a chunk, and a mask [1, depth] of those that are any."""
    features = chunk * tile.depth + jnp.arange(tile.depth)
    if g.features % tile.depth == 0:
        return features, jnp.full((1, tile.depth), True)
    return features, (features < g.features)[None, :]

"""The gradient of x on NVIDIA GPUs by unfolding.

The blocks of the forward pass give the gradients of their patches, g W^T, [k, pixels, k c]: apart
for each row of taps, so that a second kernel, which adds up for every pixel of x what the patches
hold of it, reads whole stretches of memory. It goes over some segments at a time, and asks the L2
cache to keep the patches' gradients before all else; see README.md for what that is worth. Nothing
is added atomically, and every sum has its order: the same input gives the same bits.
"""

import jax
import jax.numpy as jnp
import triton
import triton.language as tl
from jax import lax
from jaxtyping import Array, Float

from ...gpu.launch import KernelCall, Launch
from ...mesh_axes import vary_like
from .block_sizes import BlockSizes
from .fold import fold_patches, step_segments
from .geometry import Arrays, Geometry
from .steps import Steps, plan_steps
from .tiles import load_matrix, load_pixels, offsets, split

_UNROLLED = 64  # steps that are written out, which spares a GPU their counter


def grad_input_by_unfolding(
    cotangent: Float[Array, 'n h2 w2 o'],
    kernel: Float[Array, 'b k k c o'],
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    launch: Launch,
) -> Float[Array, 'n h w c']:
    """The gradient of x, in the type of the cotangent."""
    steps = plan_steps(g, sizes, cotangent.dtype.itemsize)
    positions = routing[2].reshape(-1)

    def run(step, state):
        number = jnp.full((1,), step, jnp.int32)
        patches = _unfold(number, cotangent, kernel, routing, g, steps, sizes, launch)
        return fold_patches(number, positions, patches, state, g, steps, sizes.fold, launch)

    tail_rows = max(steps.tail, 1) * g.width  # one row that is never read, where there is none
    grad_x = jnp.zeros((g.inputs, g.channels), cotangent.dtype)
    tail = jnp.zeros((tail_rows, g.channels), jnp.float32)
    state = vary_like((grad_x, tail), (cotangent, kernel, routing))
    if steps.count <= _UNROLLED:
        for step in range(steps.count):
            state = run(step, state)
    else:
        state = lax.fori_loop(0, steps.count, run, state)
    grad_x, _ = state
    return grad_x.reshape(g.images, g.height, g.width, g.channels)


def _unfold(number, cotangent, kernel, routing, g: Geometry, steps: Steps, sizes, launch):
    """The gradients of the patches of a step, [k, pixels, k c]."""
    tile, span = sizes.unfold, sizes.unfold_span
    tiles = -(-g.patch // tile.columns)
    shares = -(-tiles // span)
    kernels, pixels, _ = routing
    shape = (g.size * steps.segments * g.pixels, g.size * g.channels)
    (patches,) = launch(
        KernelCall(
            unfold_blocks,
            'unfold',
            steps.segments * g.blocks * -(-g.block // tile.rows) * shares,
            (number, kernels.reshape(-1), pixels.reshape(-1), cotangent, kernel),
            (jax.ShapeDtypeStruct(shape, cotangent.dtype),),
            dict(
                shares=shares,
                span=span,
                tiles=tiles,
                rows=tile.rows,
                columns=tile.columns,
                depth=tile.depth,
                precision=sizes.precision,
                g=g,
                steps=steps,
            ),
            warps=tile.warps,
            stages=tile.stages,
        )
    )
    return patches


@triton.jit
def unfold_blocks(
    step,
    kernels,
    pixels,
    cotangent,
    weights,
    patches,
    shares: tl.constexpr,
    span: tl.constexpr,
    tiles: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
    g: tl.constexpr,
    steps: tl.constexpr,
):
    """Cotangents [outputs, o] of a block times its kernel, turned over."""
    block, part, share = split(tl.program_id(0), shares, rows, g)
    first, end = step_segments(step, g, steps)
    here = block // g.blocks  # segment within the step
    block += first * g.blocks
    inside = first + here < end
    if tl.load(pixels + block * g.block + part * rows, mask=inside, other=g.pixels) < g.pixels:
        local, pixel = load_pixels(pixels, block, part, rows, g)
        known = pixel < g.outputs
        target = here * g.pixels + local
        first_row = tl.load(kernels + block) * g.patch
        lanes = tl.arange(0, depth)
        if g.features <= depth:  # loaded once where one chunk holds all features
            whole = load_matrix(cotangent, pixel, lanes, known, g.features, g)
        for number in range(share * span, tl.minimum(share * span + span, tiles)):
            column = number * columns + tl.arange(0, columns)
            valid = column < g.patch
            total = tl.full((rows, columns), 0.0, tl.float32)
            for start in range(0, g.features, depth):
                features = start + lanes
                if g.features <= depth:
                    left = whole
                else:
                    left = load_matrix(cotangent, pixel, features, known, g.features, g)
                taps = load_matrix(weights, first_row + column, features, valid, g.features, g)
                total = tl.dot(left, tl.trans(taps), total, input_precision=precision)
            store_patches(patches, target, column, known, valid, total, g, steps)


@triton.jit
def store_patches(
    patches, target, column, known, valid, total, g: tl.constexpr, steps: tl.constexpr
):
    """Puts a tile of patches' gradients into their rows of taps, for the cache to keep."""
    down = column // (g.size * g.channels)
    row = target[:, None] + (down * (steps.segments * g.pixels))[None, :]
    within = (column - down * (g.size * g.channels))[None, :]
    where = patches + offsets(row, within, g.size * g.channels, g)
    value = total.to(patches.dtype.element_ty)
    mask = known[:, None] & valid[None, :]
    tl.store(where, value, mask=mask, eviction_policy='evict_last')

"""The gradient of x on NVIDIA GPUs in shared memory, in Triton's lower language, Gluon.

A program takes a square of x, some of its channels, and the window of outputs around it, sorted by
kernel. Their cotangents lie in shared memory. For each tap they are multiplied with that tap of
their kernels, into shared memory too, and every pixel of the square fetches its row and adds it to
its sums: nothing goes through memory but cotangents and the result, there are no atomics, and every
sum has its order. Products are rounded to the type of the cotangent, as `unfold` rounds them.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import mma_v2

from ...gpu.launch import KernelCall, Launch
from .block_sizes import BlockSizes, power_of_two
from .geometry import Arrays, Geometry, flat_selector
from .sorting import sort_segments

_ROWS = 32  # of a block of sorted outputs: what two warps multiply


@dataclasses.dataclass(frozen=True)
class Plan:
    """Windows of `window` outputs, `side` beside each other (powers of two), in `blocks` of `rows`;
    the squares of x in them, `down` times `across` pixels, `high` times `wide` in an image;
    `columns` channels at a time, and all features, filled up to `depth`."""

    window: int
    side: int
    blocks: int
    rows: int
    down: int
    across: int
    high: int
    wide: int
    columns: int
    depth: int
    warps: int


def plan_squares(g: Geometry, sizes: BlockSizes) -> Plan:
    """The squares of a convolution."""
    tile = sizes.shared
    down, across = tile.rows - g.size + 1, tile.columns - g.size + 1
    return Plan(
        window=tile.rows * tile.columns,
        side=tile.columns,
        blocks=tile.rows * tile.columns // _ROWS,
        rows=_ROWS,
        down=down,
        across=across,
        high=-(-g.height // down),
        wide=-(-g.width // across),
        columns=tile.depth,
        depth=power_of_two(g.features),
        warps=tile.warps,
    )


def grad_input_in_shared_memory(
    cotangent: Float[Array, 'n h2 w2 o'],
    kernel: Float[Array, 'b k k c o'],
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    launch: Launch,
) -> Float[Array, 'n h w c']:
    """The gradient of x, in the type of the cotangent: a half type, at stride 1."""
    plan = plan_squares(g, sizes)
    windows = _windows(flat_selector(routing, g), plan, g)
    kernels, order, positions = sort_segments(windows, g.breadth, 1, launch)
    channel_tiles = -(-g.channels // plan.columns)
    (grad_x,) = launch(
        KernelCall(
            add_in_squares,
            'shared',
            windows.shape[1] * channel_tiles,
            (kernels, order, positions, cotangent, kernel),
            (jax.ShapeDtypeStruct((g.inputs, g.channels), cotangent.dtype),),
            dict(channel_tiles=channel_tiles, plan=plan, g=g),
            warps=plan.warps,
        )
    )
    return grad_x.reshape(g.images, g.height, g.width, g.channels)


def _windows(selector, plan: Plan, g: Geometry):
    """The selector in the window of each square, [1, squares, window]; outside of x no kernel."""
    selector = selector.reshape(g.images, g.height, g.width)
    selector = jnp.where(selector < 0, g.breadth, selector)
    below, beside = plan.high * plan.down - g.height, plan.wide * plan.across - g.width
    padding = ((0, 0), (g.border, below + g.border), (g.border, beside + g.border))
    padded = jnp.pad(selector, padding, constant_values=g.breadth)
    rows = jnp.arange(plan.high)[:, None] * plan.down
    rows = rows + jnp.arange(plan.window // plan.side)[None, :]
    columns = jnp.arange(plan.wide)[:, None] * plan.across + jnp.arange(plan.side)[None, :]
    windows = padded[:, rows][:, :, :, columns].transpose(0, 1, 3, 2, 4)
    return windows.reshape(1, -1, plan.window)


@gluon.jit
def corner_of(square, plan: gl.constexpr):
    """The image of a square, and the row and the column of x where it begins."""
    image = square // (plan.high * plan.wide)
    rest = square - image * (plan.high * plan.wide)
    line = rest // plan.wide
    return image, line * plan.down, (rest - line * plan.wide) * plan.across


@gluon.jit
def load_cotangents(order, cotangent, square, block, plan: gl.constexpr, g: gl.constexpr):
    """The cotangents [rows, depth] of a block of a window's sorted outputs; zeros where none is."""
    layout: gl.constexpr = gl.BlockedLayout([1, 8], [4, 8], [plan.warps, 1], [1, 0])
    image, top, left = corner_of(square, plan)
    row = block * plan.rows + gl.arange(0, plan.rows, gl.SliceLayout(1, layout))
    feature = gl.arange(0, plan.depth, gl.SliceLayout(0, layout))
    place = gl.load(order + square * plan.window + row)
    line = place // plan.side
    y, x = top - g.border + line, left - g.border + place - line * plan.side
    pixel = (image * g.height + y) * g.width + x
    mask = (place < plan.window)[:, None] & (feature < g.features)[None, :]
    return gl.load(cotangent + place_of(pixel, feature, g.features, g), mask=mask, other=0.0)


@gluon.jit
def place_of(row, column, width: gl.constexpr, g: gl.constexpr):
    """Places in a flat matrix of so many columns."""
    if g.large:
        row = row.to(gl.int64)
    return row[:, None] * width + column[None, :]


@gluon.jit
def multiply_block(
    kernels, weights, cotangents, square, block, tap, channels, plan: gl.constexpr, g: gl.constexpr
):
    """The products [rows, columns] of a block with a tap of its outputs' kernels. A block of sorted
    outputs has few; each is multiplied with the rows that it is of."""
    total_layout: gl.constexpr = gl.NVMMADistributedLayout([2, 0], [2, plan.warps // 2], [16, 8])
    left_layout: gl.constexpr = gl.DotOperandLayout(0, total_layout, 2)
    right_layout: gl.constexpr = gl.DotOperandLayout(1, total_layout, 2)
    left = cotangents.index(block).load(left_layout)
    first_row = kernels + square * plan.window + block * plan.rows
    of_row = gl.load(first_row + gl.arange(0, plan.rows, gl.SliceLayout(1, left_layout)))
    channel = channels + gl.arange(0, plan.columns, gl.SliceLayout(0, right_layout))
    feature = gl.arange(0, plan.depth, gl.SliceLayout(1, right_layout))
    mask = (feature < g.features)[:, None] & (channel < g.channels)[None, :]
    total = gl.zeros([plan.rows, plan.columns], gl.float32, total_layout)
    for kernel in range(gl.load(first_row), gl.load(first_row + (plan.rows - 1)) + 1):
        row = (kernel * (g.size * g.size) + tap) * g.channels + channel
        where = row[None, :] * g.features + feature[:, None]
        taps = gl.load(weights + where, mask=mask, other=0.0)
        mine = gl.where((of_row == kernel)[:, None], left, 0.0).to(left.dtype)
        total = mma_v2(mine, taps, total)
    return total.to(weights.dtype.element_ty)


@gluon.jit
def fetch_rows(
    positions, pairs, square, tap, plan: gl.constexpr, g: gl.constexpr, layout: gl.constexpr
):
    """The products under a tap of all pixels of a square, pairs of channels [window, columns / 2];
    zeros where none is. Pixels lie in the window's places."""
    lane = gl.arange(0, plan.window, gl.SliceLayout(1, layout))
    down = tap // g.size
    line = lane // plan.side
    y, x = line + 2 * g.border - down, lane - line * plan.side + 2 * g.border - tap + down * g.size
    inside = (line < plan.down) & (x < plan.side)
    place = gl.where(inside, y * plan.side + x, 0)
    row = gl.load(positions + square * plan.window + place, mask=inside, other=plan.window)
    known = row < plan.window
    index = gl.where(known, row, 0)[:, None]
    zeros = gl.zeros([plan.window, plan.columns // 2], gl.int32, layout)
    return gl.where(known[:, None], pairs.gather(index + zeros, 0), 0)


@gluon.jit
def unpack(bits, kind: gl.constexpr):
    """The number of a half type in the lower 16 bits of each, as float32."""
    return (bits & 0xFFFF).to(gl.uint16).to(kind, bitcast=True).to(gl.float32)


@gluon.jit
def add_in_squares(
    kernels,
    order,
    positions,
    cotangent,
    weights,
    grad_x,
    channel_tiles: gl.constexpr,
    plan: gl.constexpr,
    g: gl.constexpr,
):
    """A square of x for some channels. Two channels are fetched as one number of 32 bits."""
    pair_layout: gl.constexpr = gl.BlockedLayout([1, 4], [8, 4], [plan.warps, 1], [1, 0])
    plain: gl.constexpr = gl.SwizzledSharedLayout(1, 1, 1, [1, 0])
    swizzled: gl.constexpr = gl.SwizzledSharedLayout(8, 1, 8, [1, 0])
    kind: gl.constexpr = cotangent.dtype.element_ty
    square = gl.program_id(0) // channel_tiles
    channels = (gl.program_id(0) - square * channel_tiles) * plan.columns
    cotangents = gl.allocate_shared_memory(kind, [plan.blocks, plan.rows, plan.depth], swizzled)
    products = gl.allocate_shared_memory(kind, [plan.blocks, plan.rows, plan.columns], plain)
    pairs = products.reinterpret(gl.int32, [plan.window, plan.columns // 2], plain)
    for block in range(0, plan.blocks):
        cotangents.index(block).store(load_cotangents(order, cotangent, square, block, plan, g))
    even = gl.zeros([plan.window, plan.columns // 2], gl.float32, pair_layout)
    odd = gl.zeros([plan.window, plan.columns // 2], gl.float32, pair_layout)
    for tap in range(0, g.size * g.size):
        for block in range(0, plan.blocks):
            products.index(block).store(
                multiply_block(kernels, weights, cotangents, square, block, tap, channels, plan, g)
            )
        bits = fetch_rows(positions, pairs, square, tap, plan, g, pair_layout)
        even += unpack(bits, kind)
        odd += unpack(bits >> 16, kind)
    store_square(grad_x, gl.join(even, odd), square, channels, plan, g)


@gluon.jit
def store_square(grad_x, sums, square, channels, plan: gl.constexpr, g: gl.constexpr):
    """Puts the sums [window, columns / 2, 2] of a square into x's gradient."""
    layout: gl.constexpr = gl.BlockedLayout([1, 8], [8, 4], [plan.warps, 1], [1, 0])
    sums = gl.convert_layout(sums.reshape([plan.window, plan.columns]), layout)
    image, top, left = corner_of(square, plan)
    lane = gl.arange(0, plan.window, gl.SliceLayout(1, layout))
    channel = channels + gl.arange(0, plan.columns, gl.SliceLayout(0, layout))
    line = lane // plan.side
    column = lane - line * plan.side
    y, x = top + line, left + column
    inside = (line < plan.down) & (column < plan.across) & (y < g.height) & (x < g.width)
    pixel = (image * g.height + y) * g.width + x
    mask = inside[:, None] & (channel < g.channels)[None, :]
    where = grad_x + place_of(pixel, channel, g.channels, g)
    gl.store(where, sums.to(grad_x.dtype.element_ty), mask=mask)

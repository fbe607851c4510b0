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
from .geometry import Arrays, Geometry, like, output_pixels
from .tiles import call, dot, load_pixels, split

_UNROLLED = 64  # steps that are written out, which spares a GPU their counter


def unfolded_grad_input(
    cotangent: Float[Array, 'n h2 w2 o'],
    kernel: Float[Array, 'b k k c o'],
    routing: Arrays,
    g: Geometry,
    sizes: BlockSizes,
    interpret: bool = False,
) -> Float[Array, 'n h w c']:
    """The gradient of x, in the type of the cotangent."""
    kernels, pixels, positions = routing
    steps = _Steps(g, sizes, cotangent.dtype.itemsize)
    arrays = (
        kernels.reshape(-1),
        pixels.reshape(-1),
        output_pixels(pixels, g).reshape(-1),
        cotangent.reshape(-1, g.features),
        kernel.reshape(-1, g.features),
    )
    unfold = _unfold_call(arrays, g, steps, sizes, interpret)
    fold = _fold_call(arrays, g, steps, sizes.fold, cotangent.dtype, interpret)

    def run(step, state):
        grad_x, tail = state
        number = jnp.full((1,), step, jnp.int32)
        patches = unfold(number, *arrays)
        return tuple(fold(number, positions.reshape(-1), patches, tail, grad_x))

    rows = g.pictures * g.height * g.width
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
    return grad_x.reshape(g.pictures, g.height, g.width, g.channels)


class _Steps:
    """How the unfold design goes over the segments: `count` steps of `segments` each.

    Segments are whole pictures, some at a time, or bands of pictures, one at a time; a step takes
    segments of one picture then, and the sums of its last rows, `tail` of them, are finished by the
    next step. `lines`: rows of output that a step holds of a picture; `canvas`: rows of x that a
    step writes or passes on for each of its pictures, beginning size // 2 above the first.
    """

    def __init__(self, g: Geometry, sizes: BlockSizes, itemsize: int) -> None:
        most = min(sizes.unfold_bytes // itemsize, 2**31 - 1)  # numbers; kernels count in int32
        room = max(1, most // (g.pixels * g.patch))
        self.tail = max(g.size - g.stride, 0) if g.bands > 1 else 0
        if g.bands > 1:
            self.segments = min(room, g.bands)
            self.per_picture = -(-g.bands // self.segments)
            self.count = g.pictures * self.per_picture
            self.pictures = 1
            self.lines = self.segments * g.band_rows
        else:
            self.segments = min(room, g.segments)
            self.per_picture = 1
            self.count = -(-g.segments // self.segments)
            self.pictures = self.segments * (g.pixels // (g.out_height * g.out_width))
            self.lines = g.out_height
        self.canvas = self.lines * g.stride + max(g.size - g.stride, g.size // 2)

    def first(self, step, g: Geometry):
        """The first segment of a step, and the segment after its last."""
        if g.bands == 1:
            first = step * self.segments
            return first, jnp.minimum(first + self.segments, g.segments)
        picture = lax.div(step, jnp.int32(self.per_picture))
        band = (step - picture * self.per_picture) * self.segments
        return picture * g.bands + band, picture * g.bands + jnp.minimum(
            band + self.segments, g.bands
        )


def _unfold_call(arrays, g: Geometry, steps: _Steps, sizes: BlockSizes, interpret: bool):
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
    return call(body, 'switched_conv_unfold', programs, shape, tile, interpret)


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
        chunks = -(-g.features // tile.depth)

        def load_cotangent(chunk):
            features, mask = _features(chunk, tile, g)
            mask = jnp.broadcast_to(mask & known[:, None], (tile.rows, tile.depth))
            where = cotangent.at[pixel[:, None], features[None, :]]
            return plgpu.load(where, mask=mask, other=0.0)

        # Loaded once where one chunk holds all features.
        whole = load_cotangent(0) if chunks == 1 else None

        def fill(number, done):
            columns = number * tile.columns + jnp.arange(tile.columns)
            valid = (columns < g.patch)[:, None]
            rows = kernels[block] * g.patch + columns

            def add(chunk, total):
                features, mask = _features(chunk, tile, g)
                mask = jnp.broadcast_to(mask & valid, (tile.columns, tile.depth))
                taps = plgpu.load(
                    weights.at[rows[:, None], features[None, :]], mask=mask, other=0.0
                )
                left = load_cotangent(chunk) if whole is None else whole
                return total + dot(left, taps, trans_b=True)

            total = jnp.zeros((tile.rows, tile.columns), jnp.float32)
            total = add(0, total) if chunks == 1 else lax.fori_loop(0, chunks, add, total)
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


def _features(chunk, tile: Tile, g: Geometry):
    """The features of a chunk, and a mask [1, depth] of those that are any."""
    features = chunk * tile.depth + jnp.arange(tile.depth)
    if g.features % tile.depth == 0:
        return features, jnp.full((1, tile.depth), True)
    return features, (features < g.features)[None, :]


def _fold_call(arrays, g: Geometry, steps: _Steps, tile: Tile, dtype, interpret: bool):
    pixels = steps.pictures * steps.canvas * g.width
    programs = -(-pixels // tile.rows) * -(-g.channels // tile.columns)
    body = functools.partial(_fold_kernel, g=g, steps=steps, tile=tile)
    shapes = (
        varying_shape((g.pictures * g.height * g.width, g.channels), dtype, arrays),
        varying_shape((max(steps.tail, 1) * g.width, g.channels), 'float32', arrays),
    )
    aliases = {4: 0}
    return call(body, 'switched_conv_fold', programs, shapes, tile, interpret, aliases)


def _fold_kernel(
    step, positions, patches, tail, _, grad_x, next_tail, *, g: Geometry, steps: _Steps, tile: Tile
):
    channel_tiles = -(-g.channels // tile.columns)
    number = lax.div(pl.program_id(0), jnp.int32(channel_tiles))
    channels = (pl.program_id(0) - number * channel_tiles) * tile.columns
    channels = channels + jnp.arange(tile.columns)
    first, end = steps.first(step[0], g)
    held = (end - first) * g.band_rows if g.bands > 1 else jnp.int32(steps.lines)
    place = _canvas_places(number * tile.rows + jnp.arange(tile.rows), first, end, g, steps)
    here, line, picture, row, column, is_last = place
    valid = channels < g.channels

    def add(down, right, total):
        source, inside = _patch_of(here, line - down, column, right, held, g, steps)
        # Both are loaded at once; where a pixel has no kernel, its patch holds anything.
        position = plgpu.load(
            positions.at[first * g.pixels + source], mask=inside, other=g.blocks * g.block
        )
        row = down * (steps.segments * g.pixels) + source
        index = (right * g.channels + channels)[None, :]
        mask = inside[:, None] & valid[None, :]
        where = patches.at[row[:, None], index]
        part = plgpu.load(where, mask=mask, other=0.0, eviction_policy='evict_first')
        known = (position < g.blocks * g.block)[:, None]
        return total + jnp.where(known, part.astype(jnp.float32), 0.0)

    def add_row(down, total):
        for right in range(g.size):  # independent loads, one after the other
            total = add(down, right, total)
        return total

    total = jnp.zeros((tile.rows, tile.columns), jnp.float32)
    if g.size <= 3:
        for down in range(g.size):
            total = add_row(down, total)
    else:
        total = lax.fori_loop(0, g.size, add_row, total)
    real = picture < g.pictures
    if steps.tail:
        fits = line < steps.tail
        begun = real & fits & (lax.rem(step[0], jnp.int32(steps.per_picture)) > 0)
        source = jnp.where(fits, line, 0) * g.width + column
        mask = begun[:, None] & valid[None, :]
        total += plgpu.load(tail.at[source[:, None], channels[None, :]], mask=mask, other=0.0)
        after = line - held * g.stride
        passed = real & (after >= 0) & (after < steps.tail) & ~is_last
        target = jnp.where(passed, after * g.width + column, steps.tail * g.width)
        mask = passed[:, None] & valid[None, :]
        plgpu.store(next_tail.at[target[:, None], channels[None, :]], total, mask=mask)
    own = real & (row >= 0) & (row < g.height)
    own = own & (is_last | (line < held * g.stride))
    target = (picture * g.height + row) * g.width + column
    target = jnp.where(own, target, g.pictures * g.height * g.width)
    mask = own[:, None] & valid[None, :]
    where = grad_x.at[target[:, None], channels[None, :]]
    plgpu.store(where, total.astype(grad_x.dtype), mask=mask, eviction_policy='evict_first')


def _canvas_places(canvas, first, end, g: Geometry, steps: _Steps):
    """For pixels of a step's canvas: the picture within the step, the row in the canvas, the
    picture (g.pictures: none), its row and column, and whether the step ends the picture."""
    whole = lax.div(canvas, jnp.full_like(canvas, g.width))
    column = canvas - whole * g.width
    here = lax.div(whole, jnp.full_like(whole, steps.canvas))
    line = whole - here * steps.canvas
    if g.bands > 1:
        picture = lax.div(first, jnp.int32(g.bands))
        band = first - picture * g.bands
        row = line - g.size // 2 + band * g.band_rows * g.stride
        is_last = jnp.full_like(line, end - picture * g.bands) >= g.bands
        return here, line, jnp.where(here == 0, picture, g.pictures), row, column, is_last
    each = g.pixels // (g.out_height * g.out_width)
    local = lax.div(here, jnp.full_like(here, each))
    segment = first + local
    group = lax.div(segment, jnp.full_like(segment, g.segments // g.groups))
    within = (segment - group * (g.segments // g.groups)) * each + here - local * each
    real = (segment < end) & (within < g.pictures // g.groups)
    picture = jnp.where(real, group * (g.pictures // g.groups) + within, g.pictures)
    return here, line, picture, line - g.size // 2, column, jnp.full(line.shape, True)


def _patch_of(here, line, column, right, held, g: Geometry, steps: _Steps):
    """The row of the step's patches, and whether it is one, whose tap in this column of taps lies
    on a column of x; `line`: stride times the row of output."""
    side = column + g.size // 2 - right
    inside = (line >= 0) & (side >= 0)
    if g.stride > 1:
        stride = jnp.full_like(line, g.stride)
        inside = inside & (lax.rem(line, stride) == 0) & (lax.rem(side, stride) == 0)
        line, side = lax.div(line, stride), lax.div(side, stride)
    inside = inside & (line < held) & (side < g.out_width) & (here < steps.pictures)
    source = (here * steps.lines + line) * g.out_width + side
    return jnp.where(inside, source, 0), inside

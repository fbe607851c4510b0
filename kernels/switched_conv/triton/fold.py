"""Adding the gradients of patches up to the gradient of x: the second kernel of unfold.py."""

import jax
import triton
import triton.language as tl
from jaxtyping import Array

from ...gpu.launch import KernelCall, Launch
from .block_sizes import Tile
from .geometry import Geometry
from .steps import Steps
from .tiles import load_matrix, offsets, store_matrix


def fold_patches(
    number: Array,
    positions: Array,
    patches: Array,
    state: tuple[Array, Array],
    g: Geometry,
    steps: Steps,
    tile: Tile,
    launch: Launch,
) -> tuple[Array, Array]:
    """Adds up a step's patches, and the tail of the step before, to grad x and the next tail."""
    grad_x, tail = state
    pixels = steps.images * steps.canvas * g.width
    channel_tiles = -(-g.channels // tile.columns)
    grad_x, next_tail = launch(
        KernelCall(
            fold_canvas,
            'fold',
            -(-pixels // tile.rows) * channel_tiles,
            (number, positions, patches, tail),
            (jax.ShapeDtypeStruct(tail.shape, tail.dtype),),
            dict(
                channel_tiles=channel_tiles, rows=tile.rows, columns=tile.columns, g=g, steps=steps
            ),
            updated=(grad_x,),
            warps=tile.warps,
        )
    )
    return grad_x, next_tail


@triton.jit
def step_segments(step, g: tl.constexpr, steps: tl.constexpr):
    """The first segment of a step, and the segment after its last."""
    number = tl.load(step)
    if g.bands == 1:
        first = number * steps.segments
        return first, tl.minimum(first + steps.segments, g.segments)
    else:
        image = number // steps.per_image
        band = (number - image * steps.per_image) * steps.segments
        last = tl.minimum(band + steps.segments, g.bands)
        return image * g.bands + band, image * g.bands + last


@triton.jit
def find_place(canvas, first, end, g: tl.constexpr, steps: tl.constexpr):
    """Where pixels of a step's canvas lie: the image within the step, the row in the canvas, the
    image (g.images: none), its row and column, and whether the step ends the image."""
    whole = canvas // g.width
    column = canvas - whole * g.width
    here = whole // steps.canvas
    line = whole - here * steps.canvas
    if g.bands > 1:
        image = first // g.bands
        band = first - image * g.bands
        row = line - g.border + band * g.band_rows * g.stride
        is_last = end - image * g.bands >= g.bands
        image = tl.where(here == 0, image, g.images)
        return here, line, image, row, column, is_last
    else:
        local = here // g.images_per_segment
        segment = first + local
        group = segment // g.segments_per_group
        within = (segment - group * g.segments_per_group) * g.images_per_segment
        within += here - local * g.images_per_segment
        real = (segment < end) & (within < g.images_per_group)
        image = tl.where(real, group * g.images_per_group + within, g.images)
        return here, line, image, line - g.border, column, first >= 0


@triton.jit
def find_patch(here, line, column, held, down, right, g: tl.constexpr, steps: tl.constexpr):
    """The row of the step's patches, and whether it is one, whose tap in this row and column of
    taps lies on pixels of the canvas. `held`: rows of output in the step."""
    below = line - down  # stride times the row of output
    side = column + g.border - right
    inside = (below >= 0) & (side >= 0) & (here < steps.images)
    if g.stride > 1:
        inside = inside & (below % g.stride == 0) & (side % g.stride == 0)
        below, side = below // g.stride, side // g.stride
    inside = inside & (below < held) & (side < g.out_width)
    return (here * steps.lines + below) * g.out_width + side, inside


@triton.jit
def add_row(
    total,
    positions,
    patches,
    place,
    first_pixel,
    held,
    down,
    channel,
    g: tl.constexpr,
    steps: tl.constexpr,
):
    """The sum with what a row of taps has of some pixels of the canvas, and of some channels."""
    here, line, column = place
    size: tl.constexpr = g.size
    width: tl.constexpr = g.size * g.channels
    for right in tl.static_range(size):  # independent loads, one after the other
        source, inside = find_patch(here, line, column, held, down, right, g, steps)
        # Both are loaded at once; where a pixel has no kernel, its patch holds anything.
        position = tl.load(positions + first_pixel + source, mask=inside, other=g.blocks * g.block)
        row = down * (steps.segments * g.pixels) + source
        where = offsets(row[:, None], (right * g.channels + channel)[None, :], width, g)
        mask = inside[:, None] & (channel < g.channels)[None, :]
        part = tl.load(patches + where, mask=mask, other=0.0, eviction_policy='evict_first')
        known = (position < g.blocks * g.block)[:, None]
        total += tl.where(known, part.to(tl.float32), 0.0)
    return total


@triton.jit
def fold_canvas(
    step,
    positions,
    patches,
    tail,
    grad_x,
    next_tail,
    channel_tiles: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    g: tl.constexpr,
    steps: tl.constexpr,
):
    """For some pixels of a step's canvas and some channels what all patches hold of them."""
    number = tl.program_id(0) // channel_tiles
    channel = (tl.program_id(0) - number * channel_tiles) * columns + tl.arange(0, columns)
    first, end = step_segments(step, g, steps)
    held = (end - first) * g.band_rows if g.bands > 1 else steps.lines
    canvas = number * rows + tl.arange(0, rows)
    here, line, image, row, column, is_last = find_place(canvas, first, end, g, steps)
    place = here, line, column
    first_pixel = first * g.pixels
    total = tl.full((rows, columns), 0.0, tl.float32)
    size: tl.constexpr = g.size
    if size <= 3:
        for down in tl.static_range(size):
            total = add_row(
                total, positions, patches, place, first_pixel, held, down, channel, g, steps
            )
    else:
        for down in range(0, size):
            total = add_row(
                total, positions, patches, place, first_pixel, held, down, channel, g, steps
            )
    real = image < g.images
    if steps.tail > 0:
        begun = real & (line < tl.where(tl.load(step) % steps.per_image > 0, steps.tail, 0))
        total += load_matrix(tail, line * g.width + column, channel, begun, g.channels, g)
        after = line - held * g.stride
        passed = real & (after >= 0) & (after < tl.where(is_last, 0, steps.tail))
        target = after * g.width + column
        store_matrix(next_tail, target, channel, passed, total, g.channels, g)
    finished = tl.where(is_last, steps.canvas, held * g.stride)
    own = real & (row >= 0) & (row < g.height) & (line < finished)
    target = (image * g.height + row) * g.width + column
    store_matrix(grad_x, target, channel, own, total, g.channels, g)

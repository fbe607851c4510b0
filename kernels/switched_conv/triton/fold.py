"""Adding the gradients of patches up to the gradient of x: the second kernel of unfold.py."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jax.typing import DTypeLike
from jaxtyping import Array

from ...manual_axes import varying_shape
from .block_sizes import Tile
from .geometry import Geometry
from .steps import Steps
from .tiles import call


def fold_call(
    arrays: tuple[Array, ...],
    g: Geometry,
    steps: Steps,
    tile: Tile,
    dtype: DTypeLike,
    interpret: bool,
) -> Callable[..., Any]:
    """A call that adds up a step's patches, from the step's number, positions, patches, the tail of
    the step before and grad x, to grad x and the next tail; these vary as `arrays` do."""
    pixels = steps.images * steps.canvas * g.width
    programs = -(-pixels // tile.rows) * -(-g.channels // tile.columns)
    body = functools.partial(_fold_kernel, g=g, steps=steps, tile=tile)
    shapes = (
        varying_shape((g.images * g.height * g.width, g.channels), dtype, arrays),
        varying_shape((max(steps.tail, 1) * g.width, g.channels), 'float32', arrays),
    )
    aliases = {4: 0}
    return call(body, 'fold', programs, shapes, tile, interpret, aliases)


def _fold_kernel(
    step, positions, patches, tail, _, grad_x, next_tail, *, g: Geometry, steps: Steps, tile: Tile
):
    channel_tiles = -(-g.channels // tile.columns)
    number = lax.div(pl.program_id(0), jnp.int32(channel_tiles))
    channels = (pl.program_id(0) - number * channel_tiles) * tile.columns
    channels = channels + jnp.arange(tile.columns)
    first, end = steps.first(step[0], g)
    held = (end - first) * g.band_rows if g.bands > 1 else jnp.int32(steps.lines)
    place = _find_places(number * tile.rows + jnp.arange(tile.rows), first, end, g, steps)
    valid = channels < g.channels
    total = _add_taps(positions, patches, place, first, held, channels, valid, g, steps)
    real = place.image < g.images
    if steps.tail:
        total = _pass_on(step, tail, next_tail, total, place, held, channels, valid, g, steps)
    own = real & (place.row >= 0) & (place.row < g.height)
    own = own & (place.is_last | (place.line < held * g.stride))
    target = (place.image * g.height + place.row) * g.width + place.column
    target = jnp.where(own, target, g.images * g.height * g.width)
    mask = own[:, None] & valid[None, :]
    where = grad_x.at[target[:, None], channels[None, :]]
    plgpu.store(where, total.astype(grad_x.dtype), mask=mask, eviction_policy='evict_first')


def _add_taps(positions, patches, place, first, held, channels, valid, g: Geometry, steps: Steps):
    """The sums [pixels, channels] of what the step's patches hold of some pixels of the canvas."""

    def add(down, right, total):
        source, inside = _patch_of(place, down, right, held, g, steps)
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

    total = jnp.zeros((place.line.size, channels.size), jnp.float32)
    if g.size > 3:
        return lax.fori_loop(0, g.size, add_row, total)
    for down in range(g.size):
        total = add_row(down, total)
    return total


def _pass_on(step, tail, next_tail, total, place, held, channels, valid, g: Geometry, steps: Steps):
    """Adds the tail of the step before, where that was of the same image, and stores the sums of
    the rows which the next step finishes."""
    real, line = place.image < g.images, place.line
    fits = line < steps.tail
    begun = real & fits & (lax.rem(step[0], jnp.int32(steps.per_image)) > 0)
    source = jnp.where(fits, line, 0) * g.width + place.column
    mask = begun[:, None] & valid[None, :]
    total += plgpu.load(tail.at[source[:, None], channels[None, :]], mask=mask, other=0.0)
    after = line - held * g.stride
    passed = real & (after >= 0) & (after < steps.tail) & ~place.is_last
    target = jnp.where(passed, after * g.width + place.column, steps.tail * g.width)
    mask = passed[:, None] & valid[None, :]
    plgpu.store(next_tail.at[target[:, None], channels[None, :]], total, mask=mask)
    return total


class _Place(NamedTuple):
    """Where pixels of a step's canvas lie: the image within the step, the row in the canvas, the
    image (g.images: none), its row and column, and whether the step ends the image."""

    here: Array
    line: Array
    image: Array
    row: Array
    column: Array
    is_last: Array


def _find_places(canvas, first, end, g: Geometry, steps: Steps) -> _Place:
    """Where pixels of a step's canvas, by their numbers, lie."""
    whole = lax.div(canvas, jnp.full_like(canvas, g.width))
    column = canvas - whole * g.width
    here = lax.div(whole, jnp.full_like(whole, steps.canvas))
    line = whole - here * steps.canvas
    if g.bands > 1:
        image = lax.div(first, jnp.int32(g.bands))
        band = first - image * g.bands
        row = line - g.size // 2 + band * g.band_rows * g.stride
        is_last = jnp.full_like(line, end - image * g.bands) >= g.bands
        return _Place(here, line, jnp.where(here == 0, image, g.images), row, column, is_last)
    each = g.pixels // (g.out_height * g.out_width)
    local = lax.div(here, jnp.full_like(here, each))
    segment = first + local
    group = lax.div(segment, jnp.full_like(segment, g.segments // g.groups))
    within = (segment - group * (g.segments // g.groups)) * each + here - local * each
    real = (segment < end) & (within < g.images // g.groups)
    image = jnp.where(real, group * (g.images // g.groups) + within, g.images)
    row, is_last = line - g.size // 2, jnp.full(line.shape, True)
    return _Place(here, line, image, row, column, is_last)


def _patch_of(place, down, right, held, g: Geometry, steps: Steps):
    """The row of the step's patches, and whether it is one, whose tap in this row and column
    of taps lies on pixels of the canvas."""
    line = place.line - down  # stride times the row of output
    side = place.column + g.size // 2 - right
    inside = (line >= 0) & (side >= 0)
    if g.stride > 1:
        stride = jnp.full_like(line, g.stride)
        inside = inside & (lax.rem(line, stride) == 0) & (lax.rem(side, stride) == 0)
        line, side = lax.div(line, stride), lax.div(side, stride)
    inside = inside & (line < held) & (side < g.out_width) & (place.here < steps.images)
    source = (place.here * steps.lines + line) * g.out_width + side
    return jnp.where(inside, source, 0), inside

"""Routing on NVIDIA GPUs: the counting sort of `routing.py`, with the same result, in Pallas.

One kernel counts the kernels of each chunk of pixels, another adds them up to where each kernel's
pixels begin in each chunk, and a third puts every pixel into its place.
"""

import functools

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Int32

from ...manual_axes import varying_shape
from ..routing import max_blocks
from .block_sizes import Tile, power_of_two
from .geometry import like
from .tiles import call

_CHUNK = 1024
_ROWS = 32  # chunks that are added up at once
_TILE = Tile(_CHUNK, 1, warps=4, stages=1)


def sort_segments(
    selector: Int32[Array, 'g s p'], breadth: int, block: int, interpret: bool = False
) -> tuple[Int32[Array, 'g s t'], Int32[Array, 'g s t m'], Int32[Array, 'g s p']]:
    """`routing.sort_segments` on a GPU."""
    groups, _, pixels = selector.shape
    flat = selector.reshape(-1, pixels)
    segments, chunks = len(flat), -(-pixels // _CHUNK)
    flat = jnp.pad(flat, ((0, 0), (0, chunks * _CHUNK - pixels)), constant_values=breadth)
    counts = _count(flat, breadth, segments * chunks, interpret)
    blocks = max_blocks(pixels, breadth, block)
    kernels, starts = _bounds(counts, chunks, blocks, block, interpret)
    total = blocks * block
    order, positions = _place(flat, starts, breadth, pixels, total, interpret)
    return (
        kernels.reshape(groups, segments // groups, blocks),
        order.reshape(groups, segments // groups, -1, block),
        positions[:, :pixels].reshape(selector.shape),
    )


def _count(flat, breadth: int, programs: int, interpret: bool):
    """How many pixels of each chunk have each kernel, [chunks, b]."""
    shape = varying_shape((programs, breadth), 'int32', flat)
    body = functools.partial(_count_kernel, breadth=breadth)
    return call(body, 'count', programs, shape, _TILE, interpret)(flat.reshape(-1))


def _count_kernel(selector, counts, *, breadth: int):
    chunk = pl.program_id(0)
    chosen = selector[chunk * _CHUNK + jnp.arange(_CHUNK)]

    def count(kernel, _):
        counts[chunk, kernel] = jnp.sum((chosen == kernel).astype(jnp.int32))
        return 0

    lax.fori_loop(0, breadth, count, 0)


def _bounds(counts, chunks: int, blocks: int, block: int, interpret: bool):
    """The kernels of the blocks [s, blocks], and where each kernel's pixels begin in each chunk
    [s * chunks, b], from the counts of all chunks [s * chunks, b]."""
    segments, breadth = len(counts) // chunks, counts.shape[1]
    shapes = (
        varying_shape((segments, blocks), 'int32', counts),
        varying_shape(counts.shape, 'int32', counts),
    )
    body = functools.partial(_bounds_kernel, chunks=chunks, breadth=breadth, block=block)
    return call(body, 'bounds', segments, shapes, _TILE, interpret)(counts)


def _bounds_kernel(counts, kernels, starts, *, chunks: int, breadth: int, block: int):
    segment = pl.program_id(0)
    columns = jnp.arange(power_of_two(breadth))
    real = columns < breadth
    rows = min(_ROWS, power_of_two(chunks))

    def load(step):
        chunk = step * rows + jnp.arange(rows)
        mask = (chunk < chunks)[:, None] & real[None, :]
        row = jnp.where(chunk < chunks, segment * chunks + chunk, counts.shape[0])
        where = counts.at[row[:, None], columns[None, :]]
        return plgpu.load(where, mask=mask, other=0), row, mask

    steps = -(-chunks // rows)
    total = jnp.zeros(columns.shape, jnp.int32)
    total = lax.fori_loop(0, steps, lambda i, total: total + jnp.sum(load(i)[0], axis=0), total)
    each = lax.div(total + (block - 1), like(block, total))
    ends = lax.cumsum(each)

    def begin(step, before):
        here, row, mask = load(step)
        after = lax.cumsum(here, axis=0)
        place = before[None, :] + after - here
        plgpu.store(starts.at[row[:, None], columns[None, :]], place, mask=mask)
        return before + jnp.sum(here, axis=0)

    lax.fori_loop(0, steps, begin, (ends - each) * block)

    def name_blocks(step, _):
        number = step * rows + jnp.arange(rows)
        earlier = (number[:, None] >= ends[None, :]) & real[None, :]
        kernel = jnp.sum(earlier.astype(jnp.int32), axis=1)
        place = jnp.where(number < kernels.shape[1], number, kernels.shape[1])
        kernel = jnp.minimum(kernel, breadth - 1)
        plgpu.store(kernels.at[segment, place], kernel, mask=number < kernels.shape[1])
        return 0

    lax.fori_loop(0, -(-kernels.shape[1] // rows), name_blocks, 0)


def _place(flat, starts, breadth: int, pixels: int, total: int, interpret: bool):
    """The pixels in the order of the blocks [s, total], and where each stands, [s, chunks * c]."""
    segments = len(flat)
    chunks = len(starts) // segments
    empty = jnp.full(segments * total, pixels, jnp.int32) + 0 * flat[0, 0]
    shapes = (
        varying_shape(empty.shape, 'int32', (flat, starts)),
        varying_shape((segments * chunks * _CHUNK,), 'int32', (flat, starts)),
    )
    body = functools.partial(_place_kernel, chunks=chunks, breadth=breadth, total=total)
    place = call(body, 'place', segments * chunks, shapes, _TILE, interpret, aliases={2: 0})
    order, positions = place(flat.reshape(-1), starts.reshape(-1), empty)
    return order.reshape(segments, total), positions.reshape(segments, -1)


def _place_kernel(selector, starts, _, order, positions, *, chunks: int, breadth: int, total: int):
    program = pl.program_id(0)
    segment = lax.div(program, jnp.int32(chunks))
    lanes = jnp.arange(_CHUNK)
    chosen = selector[program * _CHUNK + lanes]

    def rank(kernel, position):
        mine = chosen == kernel
        place = starts[program * breadth + kernel] + lax.cumsum(mine.astype(jnp.int32)) - 1
        return jnp.where(mine, place, position)

    position = lax.fori_loop(0, breadth, rank, jnp.full(_CHUNK, total, jnp.int32))
    positions[program * _CHUNK + lanes] = position
    known = position < total
    target = jnp.where(known, segment * total + position, order.shape[0])
    pixel = (program - segment * chunks) * _CHUNK + lanes
    plgpu.store(order.at[target], pixel, mask=known)

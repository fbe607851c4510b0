"""Routing on NVIDIA GPUs: the counting sort of `routing.py`, with the same result, in Pallas.

Two kernels and a small sum between them: one counts the kernels of each chunk of pixels, the other
puts every pixel into its place.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Int32

from .block_sizes import Tile
from .manual_axes import varying_shape
from .pallas_triton import call
from .routing import block_bounds

_CHUNK = 1024
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
    counts = counts.reshape(segments, chunks, breadth)
    bounds = functools.partial(block_bounds, pixels=pixels, block=block)
    kernels, first = jax.vmap(bounds)(jnp.sum(counts, axis=1))
    starts = (first * block)[:, None, :] + jnp.cumsum(counts, axis=1) - counts
    total = kernels.shape[1] * block
    order, positions = _place(flat, starts, pixels, total, interpret)
    return (
        kernels.reshape(groups, segments // groups, -1),
        order.reshape(groups, segments // groups, -1, block),
        positions[:, :pixels].reshape(selector.shape),
    )


def _count(flat, breadth: int, programs: int, interpret: bool):
    """How many pixels of each chunk have each kernel, [chunks, b]."""
    shape = varying_shape((programs, breadth), 'int32', flat)
    body = functools.partial(_count_kernel, breadth=breadth)
    return call(body, 'switched_conv_count', programs, shape, _TILE, interpret)(flat.reshape(-1))


def _count_kernel(selector, counts, *, breadth: int):
    chunk = pl.program_id(0)
    chosen = selector[chunk * _CHUNK + jnp.arange(_CHUNK)]

    def count(kernel, _):
        counts[chunk, kernel] = jnp.sum((chosen == kernel).astype(jnp.int32))
        return 0

    lax.fori_loop(0, breadth, count, 0)


def _place(flat, starts, pixels: int, total: int, interpret: bool):
    """The pixels in the order of the blocks [s, total], and where each stands, [s, chunks * c]."""
    segments, chunks, breadth = starts.shape
    empty = jnp.full(segments * total, pixels, jnp.int32) + 0 * flat[0, 0]
    shapes = (
        varying_shape(empty.shape, 'int32', (flat, starts)),
        varying_shape((segments * chunks * _CHUNK,), 'int32', (flat, starts)),
    )
    body = functools.partial(_place_kernel, chunks=chunks, breadth=breadth, total=total)
    place = call(
        body, 'switched_conv_place', segments * chunks, shapes, _TILE, interpret, aliases={2: 0}
    )
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

"""Routing on NVIDIA GPUs: the counting sort of `routing.py`, with the same result.

One kernel counts the kernels of each chunk of pixels, another adds them up to where each kernel's
pixels begin in each chunk, and a third puts every pixel into its place.
"""

import jax
import jax.numpy as jnp
import triton
import triton.language as tl
from jaxtyping import Array, Int32

from ...gpu.launch import KernelCall, Launch
from ..routing import max_blocks
from .block_sizes import power_of_two

_CHUNK = 1024  # pixels
_ROWS = 32  # chunks that are added up at once


def sort_segments(
    selector: Int32[Array, 'g s p'], breadth: int, block: int, launch: Launch
) -> tuple[Int32[Array, 'g s t'], Int32[Array, 'g s t m'], Int32[Array, 'g s p']]:
    """`routing.sort_segments` on a GPU."""
    groups, per_group, pixels = selector.shape
    segments, chunk = groups * per_group, min(_CHUNK, power_of_two(pixels))
    chunks, blocks = -(-pixels // chunk), max_blocks(pixels, breadth, block)
    flat, total, programs = selector.reshape(-1), blocks * block, segments * chunks
    shape = jax.ShapeDtypeStruct((programs, breadth), jnp.int32)
    sizes = dict(breadth=breadth, chunks=chunks)
    in_chunks = dict(pixels=pixels, chunk=chunk, **sizes)
    in_rows = dict(rows=min(_ROWS, power_of_two(chunks)), columns=power_of_two(breadth), **sizes)
    call = KernelCall(count_kernels, 'count', programs, (flat,), (shape,), in_chunks)
    (counts,) = launch(call)
    call = KernelCall(
        find_bounds,
        'bounds',
        segments,
        (counts,),
        (jax.ShapeDtypeStruct((segments, blocks), jnp.int32), shape),
        dict(blocks=blocks, block=block, **in_rows),
    )
    kernels, starts = launch(call)
    call = KernelCall(
        place_pixels,
        'place',
        programs,
        (flat, starts),
        (jax.ShapeDtypeStruct(flat.shape, jnp.int32),),
        dict(total=total, **in_chunks),
        updated=(jnp.full(segments * total, pixels, jnp.int32),),
    )
    order, positions = launch(call)
    return (
        kernels.reshape(groups, per_group, blocks),
        order.reshape(groups, per_group, blocks, block),
        positions.reshape(selector.shape),
    )


@triton.jit
def load_chunk(selector, breadth: tl.constexpr, pixels, chunks: tl.constexpr, chunk: tl.constexpr):
    """The pixels of a program as numbers within the segment, the segment, and their kernels."""
    segment = tl.program_id(0) // chunks
    local = (tl.program_id(0) - segment * chunks) * chunk + tl.arange(0, chunk)
    where = selector + segment * pixels + local
    return local, segment, tl.load(where, mask=local < pixels, other=breadth)


@triton.jit
def count_kernels(
    selector,
    counts,
    pixels: tl.constexpr,
    chunk: tl.constexpr,
    breadth: tl.constexpr,
    chunks: tl.constexpr,
):
    """How many pixels of each chunk have each kernel, [chunks, b]."""
    _, _, chosen = load_chunk(selector, breadth, pixels, chunks, chunk)
    for kernel in range(0, breadth):
        count = tl.sum((chosen == kernel).to(tl.int32), axis=0)
        tl.store(counts + tl.program_id(0) * breadth + kernel, count)


@triton.jit
def load_counts(counts, first, columns: tl.constexpr, rows: tl.constexpr, breadth, chunks):
    """The counts of some chunks of a program's segment, their places and which are any."""
    chunk = first + tl.arange(0, rows)
    column = tl.arange(0, columns)
    mask = (chunk < chunks)[:, None] & (column < breadth)[None, :]
    where = (tl.program_id(0) * chunks + chunk)[:, None] * breadth + column[None, :]
    return tl.load(counts + where, mask=mask, other=0), where, mask


@triton.jit
def find_bounds(
    counts,
    kernels,
    starts,
    blocks: tl.constexpr,
    block: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    breadth: tl.constexpr,
    chunks: tl.constexpr,
):
    """The kernels of the blocks [s, blocks], and where each kernel's pixels begin in each chunk
    [s * chunks, b], from the counts of all chunks [s * chunks, b]."""
    total = tl.full((columns,), 0, tl.int32)
    for first in range(0, chunks, rows):
        here, _, _ = load_counts(counts, first, columns, rows, breadth, chunks)
        total += tl.sum(here, axis=0)
    each = (total + (block - 1)) // block
    ends = tl.cumsum(each, axis=0)
    before = (ends - each) * block
    for first in range(0, chunks, rows):
        here, where, mask = load_counts(counts, first, columns, rows, breadth, chunks)
        place = before[None, :] + tl.cumsum(here, axis=0) - here
        tl.store(starts + where, place, mask=mask)
        before += tl.sum(here, axis=0)
    real = tl.arange(0, columns) < breadth
    for first in range(0, blocks, rows):
        number = first + tl.arange(0, rows)
        earlier = (number[:, None] >= ends[None, :]) & real[None, :]
        kernel = tl.minimum(tl.sum(earlier.to(tl.int32), axis=1), breadth - 1)
        tl.store(kernels + tl.program_id(0) * blocks + number, kernel, mask=number < blocks)


@triton.jit
def place_pixels(
    selector,
    starts,
    order,
    positions,
    pixels: tl.constexpr,
    total: tl.constexpr,
    chunk: tl.constexpr,
    breadth: tl.constexpr,
    chunks: tl.constexpr,
):
    """The pixels in the order of the blocks [s, total], and where each stands [s, pixels]."""
    local, segment, chosen = load_chunk(selector, breadth, pixels, chunks, chunk)
    position = tl.full((chunk,), total, tl.int32)
    for kernel in range(0, breadth):
        mine = chosen == kernel
        start = tl.load(starts + tl.program_id(0) * breadth + kernel)
        place = start + tl.cumsum(mine.to(tl.int32), axis=0) - 1
        position = tl.where(mine, place, position)
    tl.store(positions + segment * pixels + local, position, mask=local < pixels)
    tl.store(order + segment * total + position, local, mask=position < total)

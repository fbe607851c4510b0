"""Routing: from a selector to blocks of pixels that share a kernel.

The batch is cut into groups (runs of images that never meet, so that devices which share the
batch need not exchange pixels), a group into segments of about SEGMENT pixels (which bound the
memory), and a segment's pixels are sorted by kernel with a counting sort, in linear time and with
the same result every time. Every kernel's pixels are filled up to whole blocks.

A segment consists of bands: whole images, or stretches of rows of images larger than SEGMENT.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Int32

from ..mesh_axes import count_devices

SEGMENT = 16384  # pixels sorted together
GPU_SEGMENT = 32768  # on GPUs: fuller blocks, while gradients of patches still fit into the cache
MAX_BLOCK = 256
MIN_BLOCK = 8
_CHUNK = 16  # pixels that the counting sort compares each with each; more fill memory on CPUs


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=('kernels', 'pixels', 'positions'),
    meta_fields=('shape', 'breadth', 'segment'),
)
@dataclasses.dataclass(frozen=True)
class Routing:
    """A sorted selector: g groups of s segments of p pixels in t blocks of m pixels.

    `kernels` int32 [g, s, t]: the kernel of each block. `pixels` int32 [g, s, t, m]: the pixels of
    each block, as indices into the segment; p where there is none. `positions` int32 [g, s, p]:
    where in the blocks each pixel stands; t m for a pixel that has no kernel. `shape` and `breadth`
    of the selector; `segment`: the most pixels of a segment.
    """

    kernels: Any  # JAX's transformations put other things than arrays into a tree
    pixels: Any
    positions: Any
    shape: tuple[int, int, int]
    breadth: int
    segment: int

    @property
    def arrays(self) -> tuple[Any, Any, Any]:
        """Kernels, pixels and positions."""
        return self.kernels, self.pixels, self.positions

    @property
    def band_rows(self) -> int:
        """Rows of output in a band."""
        return band_rows(self.shape, self.segment)

    @property
    def bands(self) -> int:
        """Bands in an image; the last may be short of rows."""
        return -(-self.shape[1] // self.band_rows)

    @property
    def bands_per_segment(self) -> int:
        """Bands in a segment; the last segment of a group may be short of bands."""
        return self.positions.shape[2] // (self.band_rows * self.shape[2])


def band_rows(shape: tuple[int, int, int], segment: int) -> int:
    """How many rows of a selector of this shape make a band of at most `segment` pixels."""
    _, height, width = shape
    bands = -(-height // max(segment // width, 1))
    return -(-height // bands)


def out_of_range(selector: Int32[Array, '*shape'], breadth: int) -> Bool[Array, '*shape']:
    """Where the selector names no kernel."""
    return (selector < 0) | (selector >= breadth)


def split_bands(bands: Array, groups: int, pixels: int, segment: int, fill: int) -> Array:
    """Deal [bands, ...], bands of so many pixels, out as [groups, segments, bands, ...].

    Segments are as equal as they can be, the last filled up with bands of `fill`.
    """
    bands = bands.reshape(groups, -1, *bands.shape[1:])
    count = bands.shape[1]
    segments = -(-count // max(segment // pixels, 1))
    each = -(-count // segments)
    segments = -(-count // each)
    padding = [(0, 0, 0)] * bands.ndim
    padding[1] = (0, segments * each - count, 0)
    padded = lax.pad(bands, jnp.asarray(fill, bands.dtype), padding)
    return padded.reshape(groups, segments, each, *bands.shape[2:])


def default_block(share: int) -> int:
    """A power of two near a quarter of the pixels that a kernel has on average, so that the filling
    up costs at most about a quarter as much again."""
    quarter = 2 ** (max(share // 4, 1).bit_length() - 1)
    return min(max(quarter, MIN_BLOCK), MAX_BLOCK)


def sort_segments(
    selector: Int32[Array, 'g s p'], breadth: int, block: int
) -> tuple[Int32[Array, 'g s t'], Int32[Array, 'g s t m'], Int32[Array, 'g s p']]:
    """Sort each segment; kernels, pixels and positions as `Routing` has them.

    One segment after the other: sorted at once they take ten times the memory, and the compiler
    goes through mapped axes of one element at half the speed.
    """
    sort = functools.partial(sort_pixels, breadth=breadth, block=block)
    return map_over_groups(lambda segments: lax.map(sort, segments), selector)


def map_over_groups(function: Callable[..., Any], *arrays: Any) -> Any:
    """Maps over the leading axis; a single group goes without a mapped axis, which is faster."""
    if len(jax.tree.leaves(arrays)[0]) > 1:
        return jax.vmap(function)(*arrays)
    results = function(*jax.tree.map(lambda array: array[0], arrays))
    return jax.tree.map(lambda array: array[None], results)


def sort_pixels(
    selector: Int32[Array, 'p'], breadth: int, block: int
) -> tuple[Int32[Array, 't'], Int32[Array, 't m'], Int32[Array, 'p']]:
    """Counting sort of one segment; see `Routing` for what comes out."""
    pixels = selector.shape[0]
    ranks, counts = _ranks(selector, breadth)
    kernels, starts = block_bounds(counts, pixels, block)
    total = len(kernels) * block
    known = selector < breadth
    positions = jnp.where(known, starts[jnp.where(known, selector, 0)] * block + ranks, total)
    order = jnp.full(total, pixels, jnp.int32)
    numbers = jnp.arange(pixels, dtype=jnp.int32)
    order = order.at[positions].set(numbers, mode='drop', unique_indices=False)
    return kernels, order.reshape(-1, block), positions


def block_bounds(
    counts: Int32[Array, 'b'], pixels: int, block: int
) -> tuple[Int32[Array, 't'], Int32[Array, 'b']]:
    """The kernel of each block of a segment, and each kernel's first block, from the numbers of
    pixels that have each kernel."""
    blocks = -(-counts // block)
    ends = jnp.cumsum(blocks)
    breadth = len(counts)
    total = max_blocks(pixels, breadth, block)
    kernels = jnp.sum(jnp.arange(total)[:, None] >= ends[None, :], axis=1, dtype=jnp.int32)
    return jnp.minimum(kernels, breadth - 1), ends - blocks


def max_blocks(pixels: int, breadth: int, block: int) -> int:
    """How many blocks so many pixels can take, however they are shared out."""
    return (pixels + min(breadth, pixels) * (block - 1)) // block


def _ranks(
    selector: Int32[Array, 'p'], breadth: int
) -> tuple[Int32[Array, 'p'], Int32[Array, 'b']]:
    """For each pixel, how many pixels before it have its kernel; and the pixels of each kernel.

    Pixels are compared within chunks, and the chunks' histograms added up.
    """
    pixels = selector.shape[0]
    padded = jnp.pad(selector, (0, -pixels % _CHUNK), constant_values=breadth)
    chunks = padded.reshape(-1, _CHUNK)
    same = chunks[:, :, None] == chunks[:, None, :]
    earlier = jnp.tri(_CHUNK, k=-1, dtype=bool).T[None]
    within = jnp.sum(same & earlier, axis=1, dtype=jnp.int32)
    histograms = jnp.zeros((len(chunks), breadth + 1), jnp.int32)
    histograms = histograms.at[jnp.arange(len(chunks))[:, None], chunks].add(1)
    before = jnp.cumsum(histograms, axis=0) - histograms
    ranks = within + jnp.take_along_axis(before, chunks, axis=1)
    return ranks.reshape(-1)[:pixels], jnp.sum(histograms, axis=0)[:breadth]


def route_by(
    selector: Int32[Array, 'n h w'],
    breadth: int,
    block: int | None,
    groups: int | None,
    segment: int,
    sort: Callable[[Array, int, int], tuple[Array, Array, Array]] = sort_segments,
) -> Routing:
    """`api.route`, by a function that sorts segments as `sort_segments` does."""
    images, height, width = selector.shape
    groups = groups or math.gcd(images, count_devices())
    if images % groups:
        raise ValueError(f'groups={groups} does not divide the {images} images of selector')
    shape = (images, height, width)
    rows = band_rows(shape, segment)
    bands = -(-height // rows)
    padding = ((0, 0), (0, bands * rows - height), (0, 0))
    known = jnp.where(out_of_range(selector, breadth), breadth, selector)
    known = jnp.pad(known, padding, constant_values=breadth)
    known = split_bands(known.reshape(-1, rows * width), groups, rows * width, segment, breadth)
    known = known.reshape(*known.shape[:2], -1)
    if block is None:
        block = default_block(known.shape[2] // breadth)
    kernels, pixels, positions = sort(known, breadth, block)
    return Routing(kernels, pixels, positions, shape, breadth, segment)

"""Block sizes of the GPU kernels, by shape, type and GPU.

Defaults are for compute capability 8.0, 8.9, 9.0 and 10.0, and were found by compiling: as large
as fits into registers without spilling. `autotune.py` measures on the GPU at hand and keeps what it
finds in `tuned/<gpu>.json`, which then comes before the defaults.
"""

import functools
import pathlib
from typing import Any, NamedTuple

from ...gpu.autotune import file_name, load
from ...gpu.device import B200, H100, Gpu, shared_memory
from ..cases import Case

TUNED = pathlib.Path(__file__).parents[1] / 'tuned'
PRECISIONS = ('tf32', 'ieee')
INPUT_DESIGNS = ('unfold', 'masked', 'shared')  # of the gradient of x


class Tile(NamedTuple):
    """What one program of a kernel computes: `rows` pixels times `columns` numbers, `depth` of
    them at a time, with so many warps and pipeline stages. Powers of two, but for the stages."""

    rows: int
    columns: int
    depth: int = 0
    warps: int = 4
    stages: int = 2


class BlockSizes(NamedTuple):
    """The tiles of all kernels for one convolution.

    Attributes:
      forward: of the output.
      unfold, fold: of the gradient of patches, and of adding it up to the gradient of x.
      unfold_span: tiles of columns that a program computes one after the other.
      masked: of another design of the gradient of x.
      shared: of the third: rows and columns of a window, channels at a time.
      weight: of the gradient of the kernels: pixels at a time, features, columns of a patch.
      weight_chunks: chunks of a patch that a program holds together.
      weight_blocks: blocks of pixels that a program adds up.
      reduce: of adding up what those programs found.
      mark: of writing NaN to pixels without a kernel.
      input_design: one of INPUT_DESIGNS.
      unfold_bytes: at most so much memory for gradients of patches, at least a segment's.
      precision: of float32: 'tf32' or 'ieee'.
    """

    forward: Tile
    unfold: Tile
    unfold_span: int
    fold: Tile
    masked: Tile
    shared: Tile
    weight: Tile
    weight_chunks: int
    weight_blocks: int
    reduce: Tile
    mark: Tile
    input_design: str
    unfold_bytes: int
    precision: str


class Shape(NamedTuple):
    """What block sizes depend on."""

    channels: int
    features: int
    breadth: int
    size: int
    stride: int
    dtype: str


def block_sizes(shape: Shape, gpu: Gpu, precision: str = 'tf32') -> BlockSizes:
    """The block sizes of a convolution on a GPU: tuned ones where there are, or the defaults."""
    sizes = defaults(shape, gpu, precision)
    tuned = _load_tuned(file_name(gpu.name)).get(key(shape), {})
    changes: dict[str, Any] = {
        name: Tile(*value) if isinstance(value, list) else value for name, value in tuned.items()
    }
    return sizes._replace(**changes)


def fit_to_block(sizes: BlockSizes, block: int) -> BlockSizes:
    """The block sizes with no more rows than a block of the routing has pixels."""
    rows = power_of_two(block)
    return sizes._replace(
        forward=sizes.forward._replace(rows=min(sizes.forward.rows, rows)),
        unfold=sizes.unfold._replace(rows=min(sizes.unfold.rows, rows)),
        weight=sizes.weight._replace(rows=min(sizes.weight.rows, rows)),
    )


def shape_of(case: Case, dtype: str) -> Shape:
    """What block sizes depend on, of a case."""
    return Shape(case.channels, case.features, case.breadth, case.size, case.stride, dtype)


def key(shape: Shape) -> str:
    """The name of a shape in a file of tuned block sizes."""
    return (
        f'{shape.channels}-{shape.features} k{shape.size} s{shape.stride} b{shape.breadth} '
        f'{shape.dtype}'
    )


@functools.cache
def _load_tuned(name: str) -> dict[str, dict[str, Any]]:
    return load(TUNED / name)


def defaults(shape: Shape, gpu: Gpu, precision: str = 'tf32') -> BlockSizes:
    """The block sizes of a convolution that nothing was measured of."""
    wide = shape.dtype == 'float32'
    ieee = wide and precision == 'ieee'  # no tensor cores: small tiles, lest registers spill
    roomy = shared_memory(gpu.capability) > 128 * 1024
    rows, depth = 64 if ieee else 128, 32 if wide else 64
    product = functools.partial(_product_tile, rows=rows, wide=wide, roomy=roomy)
    features, channels = power_of_two(shape.features), power_of_two(shape.channels)
    patch = power_of_two(shape.size**2 * shape.channels)
    inner = power_of_two(shape.channels if shape.channels >= 16 else patch)
    # In float32 it multiplies two halves of each factor: see weight.py.
    few = 4 if features <= 16 else 8  # with 8 warps ptxas takes 64 registers, and spills
    weight = Tile(32, min(64 if wide else 128, features), min(64, inner), few, 3)
    unfold = product(min(64, patch), min(2 * depth, features), 2)
    if ieee:
        weight = weight._replace(depth=min(32, inner), stages=2)
        unfold = product(min(32, patch), min(depth, features), 2)
    sizes = BlockSizes(
        forward=product(min(rows, features), min(depth, inner), 3),
        unfold=unfold,
        unfold_span=9,
        fold=Tile(32, min(64, channels), warps=4, stages=1),
        masked=product(min(rows, channels), min(depth, features), 2),
        shared=_shared_tile(shape, features, gpu),
        weight=weight,
        weight_chunks=1 if wide else 3 if weight.columns <= 64 else 2,
        weight_blocks=32,
        reduce=Tile(1, 1024, warps=4, stages=1),
        mark=Tile(128, min(64, features), warps=4, stages=1),
        # Every pixel is multiplied with all kernels that are present in its tile.
        input_design='masked' if shape.breadth <= 2 else 'unfold',
        unfold_bytes=gpu.cache * 3 // 4,
        precision=precision,
    )
    if gpu.capability >= H100.capability and not ieee and shape.channels >= 16:
        sizes = _adapt_to_h200(sizes, features, wide)
    return _adapt_to_b200(sizes) if gpu.capability >= B200.capability else sizes


def input_designs(shape: Shape) -> tuple[str, ...]:
    """The designs of the gradient of x that can be had: in shared memory those of half types whose
    outputs lie as the pixels of x do."""
    shared = shape.dtype != 'float32' and shape.stride == 1 and shape.features <= 128
    return INPUT_DESIGNS if shared else tuple(d for d in INPUT_DESIGNS if d != 'shared')


def _shared_tile(shape: Shape, features: int, gpu: Gpu) -> Tile:
    """The largest window of which cotangents and products, 2 bytes each, find room. A square of x
    is smaller by a kernel's border, so that larger windows waste less. jax-triton, which compiles
    Gluon by more of Triton's passes than Triton does, takes some room for itself."""
    room = shared_memory(gpu.capability) - 16 * 1024
    windows = ((32, 32, 32),) if shape.size > 3 else ((32, 16, 64),)
    for rows, columns, depth in (*windows, (32, 16, 32), (32, 16, 16), (16, 16, 32)):
        if rows * columns * 2 * (features + depth) <= room:
            return Tile(rows, columns, depth, warps=8, stages=1)
    return Tile(16, 16, 16, warps=8, stages=1)


def _product_tile(
    columns: int, depth: int, stages: int, *, rows: int, wide: bool, roomy: bool
) -> Tile:
    """The tile of a product; `wide`: of float32, `roomy`: with much shared memory."""
    # A thread holds at most 64 sums, so that addresses and factors find room beside them. The
    # taller a tile, the fewer times a kernel is read; few columns leave room for more rows.
    tall = 2 * rows if columns <= 64 and roomy and not wide else rows
    warps = 8 if wide or tall * columns > 64 * 32 * 4 else 4
    return Tile(tall, columns, depth, warps, stages if roomy else 2)


def _adapt_to_h200(sizes: BlockSizes, features: int, wide: bool) -> BlockSizes:
    """What was fastest on an H200; see README.md. Elsewhere it is only compiled."""
    forward, weight, chunks = sizes.forward, sizes.weight._replace(warps=4), sizes.weight_chunks
    if wide:
        forward = forward._replace(columns=min(64, features), warps=4)
    else:
        forward = forward._replace(rows=128, warps=8)
        weight = weight._replace(rows=64, columns=min(128, features))
        chunks = 3 if weight.columns <= 64 else 1
    return sizes._replace(
        forward=forward,
        unfold=sizes.unfold._replace(rows=128, warps=8 if wide else 4),
        fold=sizes.fold._replace(warps=8),
        weight=weight,
        weight_chunks=chunks,
    )


def _adapt_to_b200(sizes: BlockSizes) -> BlockSizes:
    """What spills no register there: nothing was measured. Sums are in a memory of their own."""
    few = sizes.masked.rows * sizes.masked.columns <= 2048  # sums
    return sizes._replace(
        unfold=sizes.unfold._replace(rows=min(sizes.unfold.rows, 128), warps=8),
        masked=sizes.masked._replace(warps=4 if few else 8),
        weight=sizes.weight._replace(warps=8),
    )


def power_of_two(number: int) -> int:
    """The least power of two, from 16 on, that is not smaller: a tile's side."""
    return max(16, 1 << (number - 1).bit_length())

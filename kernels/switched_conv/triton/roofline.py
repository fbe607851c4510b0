"""A paper roofline of the GPU kernels: what the chip's rates allow, before anything was measured.

    python -m sr_jax.kernels.switched_conv.triton.roofline

For each kernel what `kernels/gpu/roofline.py` says, its products at half of the tensor cores' peak;
kernels add up. A dense convolution is given 60% of the peak, which cuDNN comes to for such shapes,
and its patches come through the cache as ours do. Selectors are random, so that the rows that fill
up blocks are half a block for each kernel and segment.
"""

from typing import NamedTuple

from ...gpu.roofline import CHIPS, Chip, Work, min_seconds
from ..cases import ROOFLINE, Case, describe
from ..routing import GPU_SEGMENT, default_block
from .block_sizes import (
    BlockSizes,
    block_sizes,
    fit_to_block,
    input_designs,
    power_of_two,
    shape_of,
)

OURS, DENSE = 0.5, 0.6  # parts of the tensor cores' peak


class Times(NamedTuple):
    """Seconds of one convolution."""

    dense_forward: float
    dense_backward: float
    forward: float
    grad_input: float
    grad_weight: float

    @property
    def forward_part(self) -> float:
        """How fast the forward pass is, dense = 1."""
        return self.dense_forward / self.forward

    @property
    def part(self) -> float:
        """How fast forward and backward are together, dense = 1."""
        ours = self.forward + self.grad_input + self.grad_weight
        return (self.dense_forward + self.dense_backward) / ours


class _Amounts(NamedTuple):
    """Numbers and bytes of a case: the numbers of a patch and of its pixels of output, the rows
    that are multiplied for them, in blocks of so many, the pixels of a segment, and bytes."""

    patch: int
    pixels: int
    rows: float
    block: int
    segment: int
    number: int
    x: int
    y: int
    weights: int
    patches: int


def estimate(case: Case, dtype: str, chip: Chip) -> Times:
    """What a case takes on a chip, on paper."""
    a = _amounts(case, dtype)
    sizes = fit_to_block(block_sizes(shape_of(case, dtype), chip.gpu), a.block)

    def seconds(*works: Work) -> float:
        return sum(min_seconds(work, chip, dtype) for work in works)

    def dense(cache: float) -> Work:
        moved = a.x + a.y + a.weights // case.breadth
        return Work(2 * a.pixels * a.patch * case.features, DENSE, moved, cache)

    outputs_of_taps = a.pixels * case.size**2 * case.features * a.number
    return Times(
        seconds(dense(a.patches)),
        seconds(dense(a.patches), dense(outputs_of_taps)),
        seconds(_forward(case, a, sizes)),
        seconds(*_grad_input(case, a, sizes, chip)),
        seconds(*_grad_weight(case, a, sizes)),
    )


def _amounts(case: Case, dtype: str) -> _Amounts:
    number = 4 if dtype == 'float32' else 2
    pixels = case.images * (case.height // case.stride) * (case.width // case.stride)
    patch = case.size**2 * case.channels
    segment = min(GPU_SEGMENT, pixels)
    block = default_block(segment // case.breadth)
    return _Amounts(
        patch=patch,
        pixels=pixels,
        rows=pixels * (1 + case.breadth * block / 2 / segment),
        block=block,
        segment=segment,
        number=number,
        x=case.images * case.height * case.width * case.channels * number,
        y=pixels * case.features * number,
        weights=case.breadth * patch * case.features * number,
        patches=pixels * patch * number,
    )


def _forward(case: Case, a: _Amounts, sizes: BlockSizes) -> Work:
    tile = sizes.forward
    gathered = a.rows * a.patch * a.number * _tiles(case.features, tile.columns)
    gathered += a.rows / tile.rows * a.patch * power_of_two(case.features) * a.number
    return Work(_operations(case, a), OURS, a.x + a.y + a.weights, gathered + a.y)


def _grad_input(case: Case, a: _Amounts, sizes: BlockSizes, chip: Chip) -> tuple[Work, Work]:
    """Unfolding and folding, in steps whose patches stay in the cache or go to memory and back."""
    tile = sizes.unfold
    step = max(a.segment * a.patch * a.number, min(sizes.unfold_bytes, a.patches))
    spilled = a.patches if step > chip.gpu.cache else 0
    steps = _tiles(a.patches, step)
    again = 1 if case.features <= tile.depth else _tiles(a.patch, tile.columns)
    taken = a.rows * case.features * a.number * again
    taken += a.rows / tile.rows * a.patch * case.features * a.number + a.patches
    unfold = Work(_operations(case, a), OURS, a.y + a.weights + spilled, taken, steps)
    return unfold, Work(memory=a.x + spilled, cache=a.patches + a.x, launches=steps)


def shared_seconds(case: Case, dtype: str, chip: Chip) -> float:
    """The gradient of x in shared memory: products, factors and rows that go through shared memory,
    and kernels through the L2 cache, whichever takes longest. Selectors are random."""
    tile = block_sizes(shape_of(case, dtype), chip.gpu).shared
    window, rows = tile.rows * tile.columns, 32
    squares = case.images * _tiles(case.height, tile.rows - case.size + 1)
    squares *= _tiles(case.width, tile.columns - case.size + 1) * _tiles(case.channels, tile.depth)
    taps, depth = case.size**2, power_of_two(case.features)
    products = window // rows + case.breadth - 1  # a block of outputs for each of its kernels
    operations = squares * taps * products * 2 * rows * depth * tile.depth
    # Four warps beside each other read the same rows of cotangents.
    through = squares * taps * window * 2 * (4 * depth + 2 * tile.depth)
    kernels = squares * taps * min(case.breadth, window) * depth * tile.depth * 2
    moved = 2 * (case.images * case.height * case.width) * (case.channels + case.features)
    cache = kernels + 2 * squares * window * depth
    return min_seconds(Work(operations, OURS * chip.mma, moved, cache, shared=through), chip, dtype)


def _grad_weight(case: Case, a: _Amounts, sizes: BlockSizes) -> tuple[Work, Work]:
    """The products of all runs, and adding them up."""
    tile = sizes.weight
    runs = _tiles(int(a.rows), a.block * sizes.weight_blocks) + case.breadth
    parts = runs * a.patch * case.features * 4
    chunks = _tiles(a.patch, tile.depth * sizes.weight_chunks)
    read = a.rows * a.patch * a.number * _tiles(case.features, tile.columns)
    read += a.rows * case.features * a.number * chunks
    return Work(_operations(case, a), OURS, a.x + a.y, read), Work(memory=2 * parts)


def _operations(case: Case, a: _Amounts) -> float:
    return 2 * a.rows * a.patch * case.features


def _tiles(side: int, tile: int) -> int:
    return -(-side // tile)


def _shared(case: Case, dtype: str, chip: Chip) -> str:
    can = 'shared' in input_designs(shape_of(case, dtype))
    return f'{1e3 * shared_seconds(case, dtype, chip):.2f}' if can else ''


def main() -> None:
    """Prints a table for each chip and type."""
    for chip in CHIPS:
        for dtype in ('bfloat16', 'float32'):
            print(f'\n{chip.gpu.name}, {dtype}, milliseconds\n')
            print(
                '| shape | dense | forward | grad x | in shared memory | grad kernels | '
                'forward, % | all, % |'
            )
            print('|---|---|---|---|---|---|---|---|')
            for case in ROOFLINE:
                t = estimate(case, dtype, chip)
                dense = t.dense_forward + t.dense_backward
                print(
                    f'| {describe(case)} | {1e3 * t.dense_forward:.2f}, {1e3 * dense:.2f} | '
                    f'{1e3 * t.forward:.2f} | {1e3 * t.grad_input:.2f} | '
                    f'{_shared(case, dtype, chip)} | '
                    f'{1e3 * t.grad_weight:.2f} | {t.forward_part:.0%} | {t.part:.0%} |'
                )


if __name__ == '__main__':
    main()

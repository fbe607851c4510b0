"""A paper roofline of the GPU kernels: what the chip's rates allow, before anything was measured.

    python -m sr_jax.kernels.switched_conv.triton.roofline

For each kernel the longest of its products at half of the tensor cores' peak, its bytes from memory
at 85% of the peak and its bytes through the L2 cache; kernels add up. A dense convolution is given
60% of the peak, which cuDNN comes to for such shapes, and its patches come through the cache as
ours do. Selectors are random, so that the rows that
fill up blocks are half a block for each kernel and segment. A launch takes LAUNCH at least.
"""

from typing import NamedTuple

from ..cases import ROOFLINE, Case
from ..routing import GPU_SEGMENT, default_block
from .block_sizes import A100, H100, H200, Gpu, block_sizes, fitted, power_of_two
from .compile_check import shape_of

OURS, DENSE, MEMORY = 0.5, 0.6, 0.85  # parts of the peaks
LAUNCH = 3e-6  # seconds


class Chip(NamedTuple):
    """Peak rates by the data sheets: bytes and operations a second; the cache's are measurements
    published for these chips."""

    gpu: Gpu
    memory: float
    cache: float
    half: float
    tf32: float


CHIPS = (
    Chip(H200, 4.8e12, 5.5e12, 989e12, 494e12),
    Chip(H100, 3.35e12, 5.5e12, 989e12, 494e12),
    Chip(A100, 2.04e12, 4.5e12, 312e12, 156e12),
)


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


def estimate(case: Case, dtype: str, chip: Chip) -> Times:
    """What a case takes on a chip, on paper."""
    size = 4 if dtype == 'float32' else 2
    peak = chip.tf32 if dtype == 'float32' else chip.half
    pixels = case.pictures * (case.height // case.stride) * (case.width // case.stride)
    patch = case.size**2 * case.channels
    operations = 2 * pixels * patch * case.features
    x = case.pictures * case.height * case.width * case.channels * size
    y = pixels * case.features * size
    weights = case.breadth * patch * case.features * size
    one_kernel = weights // case.breadth
    patches = pixels * patch * size

    def dense(cache: float) -> float:
        moved = max((x + y + one_kernel) / (MEMORY * chip.memory), cache / chip.cache)
        return max(operations / (DENSE * peak), moved, LAUNCH)

    def time(rows: float, memory: float, cache: float, launches: int = 1) -> float:
        products = 2 * rows * patch * case.features / (OURS * peak)
        moved = memory / (MEMORY * chip.memory)
        return max(products, moved, cache / chip.cache, launches * LAUNCH)

    segment = min(GPU_SEGMENT, pixels)
    block = default_block(segment // case.breadth)
    rows = pixels * (1 + case.breadth * block / 2 / segment)
    sizes = fitted(block_sizes(shape_of(case, dtype), chip.gpu), block)

    def tiles(side: int, tile: int) -> int:
        return -(-side // tile)

    f, u, w = sizes.forward, sizes.unfold, sizes.weight
    gathered = rows * patch * size * tiles(case.features, f.columns)
    gathered += rows / f.rows * patch * power_of_two(case.features) * size
    forward = time(rows, x + y + weights, gathered + y)
    step = max(segment * patch * size, min(sizes.unfold_bytes, patches))
    spilled = patches if step > chip.gpu.cache else 0  # to memory, and back
    steps = tiles(int(patches), int(step))
    again = 1 if case.features <= u.depth else tiles(patch, u.columns)
    taken = rows * case.features * size * again
    taken += rows / u.rows * patch * case.features * size + patches
    unfold = time(rows, y + weights + spilled, taken, steps)
    fold = max((x + spilled) / (MEMORY * chip.memory), (patches + x) / chip.cache, steps * LAUNCH)
    runs = tiles(int(rows), block * sizes.weight_blocks) + case.breadth
    parts = runs * patch * case.features * 4
    chunks = tiles(patch, w.depth * sizes.weight_chunks)
    read = rows * patch * size * tiles(case.features, w.columns)
    read += rows * case.features * size * chunks
    weight = time(rows, x + y, read) + max(2 * parts / (MEMORY * chip.memory), LAUNCH)
    return Times(
        dense(patches),
        dense(patches) + dense(pixels * case.size**2 * case.features * size),
        forward,
        unfold + fold,
        weight,
    )


def main() -> None:
    """Prints a table for each chip and type."""
    for chip in CHIPS:
        for dtype in ('bfloat16', 'float32'):
            print(f'\n{chip.gpu.name}, {dtype}, milliseconds\n')
            print('| shape | dense | forward | grad x | grad kernels | forward, % | all, % |')
            print('|---|---|---|---|---|---|---|')
            for case in ROOFLINE:
                t = estimate(case, dtype, chip)
                dense = t.dense_forward + t.dense_backward
                print(
                    f'| {describe(case)} | {1e3 * t.dense_forward:.2f}, {1e3 * dense:.2f} | '
                    f'{1e3 * t.forward:.2f} | {1e3 * t.grad_input:.2f} | '
                    f'{1e3 * t.grad_weight:.2f} | {t.forward_part:.0%} | {t.part:.0%} |'
                )


def describe(case: Case) -> str:
    """A case in a few words."""
    return (
        f'{case.pictures} x {case.height} x {case.width}, {case.channels} to {case.features}, '
        f'k = {case.size}, s = {case.stride}, b = {case.breadth}'
    )


if __name__ == '__main__':
    main()

"""The memory and the time of RRDBNet's training step with a large batch, on paper.

  python benchmarks/rrdb_memory.py [--through 3 6] [--batch 128] [--blocks 23] [--crop 128]

Compiles the step of `configs/rrdb.py:published` for this machine, and runs nothing: plain, with
rematerialisation, in 8 microbatches, and with both, in float32 and bfloat16. Memory is what XLA's
analysis of the compiled step says; on a CPU it stands in for a GPU's, where convolutions take
workspaces of their own. Every block takes as much as any other one, and 23 of them compile for many
minutes, so that --through compiles networks of two smaller numbers of blocks and puts a straight
line through them. Time is multiply-adds over the peak that the makers state for a GPU, so the
least that it can be: nothing is lost to memory, to small kernels or to anything else.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.rrdb_forward import multiply_adds  # noqa: E402
from configs import rrdb  # noqa: E402
from sr_jax import tasks  # noqa: E402
from sr_jax.checkpoints.run import abstract_tree  # noqa: E402
from sr_jax.devices import memory, sharding  # noqa: E402

# Dense FLOP/s that the makers state; float32 as TF32 products, as JAX takes them by default there.
PEAKS = {
    'A100': {'float32': 156e12, 'bfloat16': 312e12},
    'H100': {'float32': 494.5e12, 'bfloat16': 989.5e12},
}
ACCUMULATION = 8
UNOPTIMIZED = {'xla_backend_optimization_level': 0}  # machine code, which is not run; same buffers


class Case(NamedTuple):
    """How a step is computed: the type, whether activations are recomputed, and microbatches."""

    dtype: str
    remat: bool
    accumulation: int


class Sizes(NamedTuple):
    """Bytes of a compiled step: all that lives at once, and what of it is temporary."""

    total: int
    temporary: int


CASES = [
    Case(dtype, remat, accumulation)
    for dtype in ('float32', 'bfloat16')
    for accumulation in (1, ACCUMULATION)
    for remat in (False, True)
]


def compiled_sizes(case: Case, batch: int, blocks: int, crop: int) -> Sizes:
    """Compiles the step of a case; `batch` images of `crop` pixels make one update."""
    config = rrdb.get_config('published')
    config.dtype, config.model.num_blocks, config.data.crop_size = case.dtype, blocks, crop
    config.train.update(
        batch_size=batch // case.accumulation, accumulation=case.accumulation, remat=case.remat
    )
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    tree = abstract_tree(task, mesh)
    images = {'hq': jax.ShapeDtypeStruct((batch, crop, crop, 3), jnp.float32)}
    step = sharding.jit_step(task.train_step, mesh).lower(tree, images).compile(UNOPTIMIZED)
    return Sizes(memory.compiled_bytes(step), step.memory_analysis().temp_size_in_bytes)


def extended(few: Sizes, more: Sizes, through: tuple[int, int], blocks: int) -> Sizes:
    """The sizes with so many blocks, on the line through those with two other numbers of them."""
    part = (blocks - through[0]) / (through[1] - through[0])
    return Sizes(*(round(a + part * (b - a)) for a, b in zip(few, more, strict=True)))


def step_flops(remat: bool, batch: int, blocks: int, crop: int) -> float:
    """Of an update: forward, backward of twice its cost, and the blocks' forward pass once more."""
    pixels = batch * (crop // 4) ** 2
    whole = multiply_adds(features=64, growth=32, num_blocks=blocks)
    head = multiply_adds(features=64, growth=32, num_blocks=0)
    return 2.0 * pixels * (3 * whole + (whole - head if remat else 0))


def line(case: Case, sizes: Sizes, batch: int, blocks: int, crop: int) -> str:
    """A row of the table."""
    flops = step_flops(case.remat, batch, blocks, crop)
    seconds = [f'{flops / peak[case.dtype]:.3f}' for peak in PEAKS.values()]
    return ' | '.join(
        [
            f'| {case.dtype}',
            'yes' if case.remat else 'no',
            f'{case.accumulation} x {batch // case.accumulation}',
            f'{sizes.temporary / 1e9:.2f}',
            f'{sizes.total / 1e9:.2f}',
            f'{flops / 1e12:.1f}',
            ' | '.join(seconds) + ' |',
        ]
    )


def main() -> None:
    """Prints the table, row by row."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--batch', type=int, default=128, help='images of an update')
    parser.add_argument('--blocks', type=int, default=23)
    parser.add_argument('--through', type=int, nargs=2, metavar='BLOCKS')
    parser.add_argument('--crop', type=int, default=128, help='side of the true images')
    args = parser.parse_args()
    peaks = ' | '.join(f'{name}, s' for name in PEAKS)
    print(
        '| type | remat | microbatches | temporary, GB | in all, GB | TFLOP | '
        f'{peaks} |\n|---|---|---|---|---|---|{"---|" * len(PEAKS)}'
    )
    for case in CASES:
        numbers = args.through or [args.blocks]
        found = [compiled_sizes(case, args.batch, count, args.crop) for count in numbers]
        sizes = extended(*found, args.through, args.blocks) if args.through else found[0]
        print(line(case, sizes, args.batch, args.blocks, args.crop), flush=True)


if __name__ == '__main__':
    main()

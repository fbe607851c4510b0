"""Finds the fastest block sizes on the NVIDIA GPU of this machine, and keeps them.

    python -m sr_jax.kernels.switched_conv.triton.autotune [--dtypes float32 ...] [--cases 0 ...]

For every shape that the benchmarks know (--cases: some of them), each kernel's tile is varied while
the others stay, and the fastest is written to `../tuned/<gpu>.json` (or into --output), where
`block_sizes` finds it. A candidate that does not compile, or whose result is not that of the
defaults, is left out and named. Already tuned shapes are tuned anew, others in the file are kept.
"""

import argparse
import functools
import itertools
import pathlib
import sys
from collections.abc import Iterator

from ...gpu.autotune import Change, Measure, file_name, find_fastest, measure_median, save
from ...gpu.device import Gpu, present_gpu
from ..cases import DTYPES, NETWORKS, ROOFLINE, Case
from .block_sizes import (
    INPUT_DESIGNS,
    TUNED,
    BlockSizes,
    Shape,
    Tile,
    block_sizes,
    defaults,
    input_designs,
    key,
    power_of_two,
    shape_of,
)
from .parts import parts

# What each part varies, one after the other: the fields of the block sizes it depends on.
STEPS: dict[str, tuple[str, ...]] = {
    'forward': ('forward',),
    'grad_input': ('input_design', 'unfold', 'fold', 'unfold_bytes', 'masked', 'shared'),
    'grad_kernel': ('weight', 'weight_blocks'),
}
SUMS = (16, 128)  # numbers that a thread may hold: fewer are idle, more do not fit its registers


def variants(field: str, sizes: BlockSizes, shape: Shape) -> list[Change]:
    """Changes of a field of the block sizes that are worth a try."""
    present = getattr(sizes, field)
    if field == 'input_design':
        return [{field: design} for design in input_designs(shape) if design != present]
    if field == 'weight_blocks':
        return [{field: count} for count in (8, 16, 32, 64) if count != present]
    if field == 'unfold_bytes':
        return [{field: int(part * present)} for part in (1 / 3, 2 / 3, 4 / 3, 2, 8)]
    if field == 'fold':
        tiles = itertools.product((16, 32, 64, 128), (2, 4, 8))
        return [{field: present._replace(rows=rows, warps=warps)} for rows, warps in tiles]
    if field == 'shared':
        windows = itertools.product((16, 32), (16, 32), (16, 32, 64), (4, 8))
        return [{field: Tile(*sides, stages=1)} for sides in windows]
    columns = {'masked': shape.channels, 'unfold': shape.size**2 * shape.channels}.get(
        field, shape.features
    )
    along, counts = {
        'weight': ('weight_chunks', (1, 2, 3)),
        'unfold': ('unfold_span', (1, 3, 9)),
    }.get(field, ('', (1,)))
    return [
        {field: tile} | ({along: count} if along else {})
        for tile in _tiles(field, present, power_of_two(columns))
        for count in counts
        if field != 'weight' or count * tile.depth * tile.columns <= SUMS[1] * 32 * tile.warps
    ]


def stages(field: str, sizes: BlockSizes) -> list[Change]:
    """The numbers of pipeline stages that are worth a try for a field's tile."""
    present = getattr(sizes, field)
    if not isinstance(present, Tile) or not present.depth or field == 'shared':
        return []
    counts = (1, 2, 3, 4, 5)
    return [{field: present._replace(stages=count)} for count in counts if count != present.stages]


def _tiles(field: str, tile: Tile, max_columns: int) -> Iterator[Tile]:
    rows = (32, 64, 128) if field == 'weight' else (64, 128, 256)
    columns = {side for side in (32, 64, 128, 256) if side <= max_columns} | {tile.columns}
    # The gradient of patches holds all features at once where it can.
    depths = {tile.depth} if field == 'unfold' else {max(tile.depth // 2, 16), tile.depth}
    if field in ('forward', 'masked'):
        depths |= {2 * tile.depth}
    for row, column, depth, warps in itertools.product(rows, columns, depths, (4, 8)):
        height = depth if field == 'weight' else row  # of the sums
        if SUMS[0] <= height * column // (32 * warps) <= SUMS[1]:
            yield Tile(row, column, depth, warps, tile.stages)


def tune(
    case: Case, dtype: str, gpu: Gpu, measure: Measure, interpreted: bool = False, threads: int = 1
) -> Change:
    """The fields of the block sizes in which the fastest differ from the defaults."""
    shape = shape_of(case, dtype)
    sizes = block_sizes(shape, gpu)
    built = parts(case, dtype, interpreted)
    for part, fields in STEPS.items():
        expected = built[part](sizes)()
        for field in fields:
            if field in INPUT_DESIGNS and field != sizes.input_design:
                continue
            if field in ('fold', 'unfold_bytes') and sizes.input_design != 'unfold':
                continue
            for vary in (functools.partial(variants, shape=shape), stages):
                changes = [{}, *vary(field, sizes)]
                change, seconds = find_fastest(
                    built[part], sizes, changes, expected, measure, threads
                )
                sizes = sizes._replace(**change)
            print(f'  {part}: {field} {getattr(sizes, field)} {1e6 * seconds:.0f} us', flush=True)
    standard = defaults(shape, gpu)._asdict()
    return {name: value for name, value in sizes._asdict().items() if value != standard[name]}


def main() -> int:
    """Tunes the shapes of the benchmarks; the exit status is 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--dtypes', nargs='+', default=['bfloat16', 'float32'], choices=DTYPES)
    shapes = (*ROOFLINE, *NETWORKS)
    parser.add_argument('--cases', type=int, nargs='+', default=range(len(shapes)))
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--threads', type=int, default=8, help='compile so many at a time')
    parser.add_argument('--output', type=pathlib.Path, default=TUNED)
    args = parser.parse_args()
    gpu = present_gpu()
    if gpu is None:
        print('there is no NVIDIA GPU here that JAX can use: nothing can be measured')
        return 1
    path = args.output / file_name(gpu.name)
    for number, dtype in itertools.product(args.cases, args.dtypes):
        case = shapes[number]
        print(case, dtype, flush=True)
        found = tune(case, dtype, gpu, measure_median(args.rounds), threads=args.threads)
        save(path, {key(shape_of(case, dtype)): found})
    print(f'kept in {path}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

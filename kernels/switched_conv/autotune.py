"""Finds the fastest block sizes on the NVIDIA GPU of this machine, and keeps them.

    python -m sr_jax.kernels.switched_conv.autotune [--dtypes bfloat16 float32] [--rounds 20]

For every shape that the benchmarks know, each kernel's tile is varied while the others stay, and
the fastest is written to `tuned/<gpu>.json` beside this file (or --output), where `block_sizes`
finds it. A candidate that does not compile, or whose result is not that of the defaults, is left
out and named. Already tuned shapes are tuned anew, others in the file are kept.
"""

import argparse
import itertools
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .api import route
from .block_sizes import TUNED, BlockSizes, Gpu, Tile, block_sizes, file_name, key, present_gpu
from .cases import NETWORKS, ROOFLINE, Case
from .compile_check import DTYPES, shape_of
from .gpu import INPUT_DESIGNS, backward, forward

# What each step varies: the fields of the block sizes and the results that depend on them.
STEPS: dict[str, tuple[str, ...]] = {
    'forward': ('forward',),
    'grad_input': ('input_design', 'unfold', 'fold', 'masked'),
    'grad_kernel': ('weight', 'weight_blocks'),
}
Measure = Callable[[Callable[[], Any]], float]


def variants(field: str, sizes: BlockSizes) -> Iterator[dict[str, Any]]:
    """Changes of a field of the block sizes that are worth a try, the present ones first."""
    present = getattr(sizes, field)
    yield {}
    if field == 'input_design':
        yield from ({field: design} for design in INPUT_DESIGNS if design != present)
    elif field == 'weight_blocks':
        yield from ({field: count} for count in (8, 16, 64) if count != present)
    elif field == 'fold':
        for rows, warps in itertools.product((16, 32, 64, 128), (2, 4, 8)):
            yield {field: present._replace(rows=rows, warps=warps)}
    else:
        for tile in _tiles(field, present):
            if field != 'weight':
                yield {field: tile}
                continue
            for chunks in (1, 2, 3):
                yield {field: tile, 'weight_chunks': chunks}


def _tiles(field: str, tile: Tile) -> Iterator[Tile]:
    rows = (16, 32, 64) if field == 'weight' else (64, 128, 256)
    columns = {side for side in (64, 128, 256) if side <= 2 * tile.columns} | {tile.columns}
    depths = {tile.depth} if tile.depth == 16 else {tile.depth // 2, tile.depth, 2 * tile.depth}
    for row, column, depth in itertools.product(rows, sorted(columns), sorted(depths)):
        for warps, stages in itertools.product((4, 8), (2, 3, 4)):
            yield Tile(row, column, depth, warps, stages)


def tune(
    case: Case, dtype: str, gpu: Gpu, measure: Measure, interpret: bool = False
) -> dict[str, Any]:
    """The fields of the block sizes in which the fastest differ from the defaults."""
    sizes = block_sizes(shape_of(case, dtype), gpu)
    calls = _calls(case, dtype, interpret)
    chosen: dict[str, Any] = {}
    for result, fields in STEPS.items():
        expected = calls[result](sizes)()
        for field in fields:
            if field in INPUT_DESIGNS and field != sizes.input_design:
                continue
            best, changes = float('inf'), {}
            for change in variants(field, sizes):
                seconds = _try(calls[result], sizes._replace(**change), expected, measure, change)
                if seconds < best:
                    best, changes = seconds, change
            sizes = sizes._replace(**changes)
            chosen |= changes
            print(f'  {result}: {field} {getattr(sizes, field)} {1e6 * best:.0f} us', flush=True)
    return chosen


def _calls(case: Case, dtype: str, interpret: bool) -> dict[str, Callable[[BlockSizes], Any]]:
    """For each result a function that compiles it with block sizes and returns a call."""
    rng = np.random.default_rng(0)
    height, width = -(-case.height // case.stride), -(-case.width // case.stride)
    outputs = (case.pictures, height, width)
    taps = (case.breadth, case.size, case.size, case.channels, case.features)
    x, kernel, cotangent = (
        jnp.asarray(rng.normal(size=shape), dtype)
        for shape in (case[:4], taps, (*outputs, case.features))
    )
    selector = jnp.asarray(rng.integers(0, case.breadth, outputs), jnp.int32)
    implementation = 'pallas_interpret' if interpret else 'pallas'
    routing = route(selector, case.breadth, implementation=implementation)
    stride = case.stride

    def compiled(function, *arguments):
        step = jax.jit(function)
        return lambda: jax.block_until_ready(step(*arguments))

    def of_forward(sizes):
        return compiled(
            lambda x, k, r: forward(x, k, None, r, stride, sizes, interpret), x, kernel, routing
        )

    def of_gradient(sizes, which):
        return compiled(
            lambda x, k, r, g: backward(x, k, r, stride, g, sizes, interpret)[which],
            *(x, kernel, routing, cotangent),
        )

    return {
        'forward': of_forward,
        'grad_input': lambda sizes: of_gradient(sizes, 0),
        'grad_kernel': lambda sizes: of_gradient(sizes, 1),
    }


def _try(compile_call, sizes: BlockSizes, expected, measure: Measure, change) -> float:
    """Seconds of a candidate; infinite where it does not compile or is wrong, which it says."""
    try:
        call = compile_call(sizes)
        result = call()
    except jax.errors.JaxRuntimeError as error:
        print(f'  left out: {change}: {str(error).splitlines()[0][:100]}', flush=True)
        return float('inf')
    result, expected = result.astype(jnp.float32), expected.astype(jnp.float32)
    off = float(jnp.max(jnp.abs(result - expected)))
    if not off <= 0.02 * float(jnp.max(jnp.abs(expected))):
        print(f'  left out: {change}: its result is off by {off:.3g}', flush=True)
        return float('inf')
    return measure(call)


def measured(rounds: int) -> Measure:
    """Median seconds of a call, of so many rounds."""

    def measure(call):
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    return measure


def save(path: pathlib.Path, tuned: dict[str, dict[str, Any]]) -> None:
    """Adds tuned shapes to a file, by way of another, so that it is never half written."""
    known = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(sorted((known | tuned).items())), indent=1) + '\n'
    scratch = path.with_suffix('.new')
    scratch.write_text(text)
    scratch.replace(path)


def main() -> int:
    """Tunes the shapes of the benchmarks; the exit status is 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--dtypes', nargs='+', default=['bfloat16', 'float32'], choices=DTYPES)
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--output', type=pathlib.Path, default=TUNED)
    args = parser.parse_args()
    gpu = present_gpu()
    if gpu is None:
        print('there is no NVIDIA GPU here that JAX can use: nothing can be measured')
        return 1
    path = args.output / file_name(gpu.name)
    for case, dtype in itertools.product((*ROOFLINE, *NETWORKS), args.dtypes):
        print(case, dtype, flush=True)
        found = tune(case, dtype, gpu, measured(args.rounds))
        save(path, {key(shape_of(case, dtype)): found})
    print(f'kept in {path}')
    return 0


if __name__ == '__main__':
    sys.exit(main())

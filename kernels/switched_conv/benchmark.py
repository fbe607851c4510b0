"""Times switched convolutions against one dense convolution and the naive sum over kernels.

    python -m sr_jax.kernels.switched_conv.benchmark --breadth 8 64
    python -m sr_jax.kernels.switched_conv.benchmark --roofline --dtype bfloat16   # on a GPU

Forward, and forward and backward (gradients to x and kernel), with random selectors. The floor is
the matrix products alone, of patches that are cut out already and with one kernel for all. All are
called in turn in every round, so that whatever else the machine does falls on all, and a ratio is
the median of the rounds' ratios to the dense convolution. Memory is XLA's temporary memory. With
--roofline the shapes of `cases.ROOFLINE`, and what `triton/roofline.py` expects of the nearest
chip; with --parts, on a GPU, the routing, the forward pass and each gradient apart.
"""

import argparse
import concurrent.futures
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import lax

from ..gpu.device import present_gpu
from ..gpu.roofline import nearest_chip
from .api import switched_conv
from .cases import DTYPES, ROOFLINE, Case, describe, random_arguments
from .triton.block_sizes import block_sizes, shape_of
from .triton.parts import parts
from .triton.roofline import estimate

DIRECTIONS = ('forward', 'forward+backward')


def main() -> None:
    """Prints a line for each shape, direction and way to compute."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--breadth', type=int, nargs='+', default=[8, 64])
    parser.add_argument('--images', type=int, default=4)
    parser.add_argument('--side', type=int, default=64, help='height and width in pixels')
    parser.add_argument('--channels', type=int, default=64)
    parser.add_argument('--size', type=int, default=3, help='taps along a side of the kernel')
    parser.add_argument('--roofline', action='store_true', help="the roofline's shapes instead")
    parser.add_argument('--dtype', default='float32', choices=DTYPES)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--threads', type=int, default=1, help='compile so many at a time')
    parser.add_argument('--calls', type=int, default=1, help='in a row, for a time; 20 on a GPU')
    parser.add_argument('--without-naive', action='store_true', help='it takes the longest')
    parser.add_argument('--parts', action='store_true', help="the GPU's kernels apart too")
    args = parser.parse_args()
    print(f'JAX {jax.__version__} on {jax.devices()[0].device_kind}, {args.dtype}')
    shape = (args.images, args.side, args.side, args.channels, args.channels)
    cases = [Case(*shape, breadth, args.size, 1) for breadth in args.breadth]
    for case in ROOFLINE if args.roofline else cases:
        steps = {direction: _functions(case, args, direction) for direction in DIRECTIONS}
        if args.parts:
            steps['parts'] = _parts(case, args)
        with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
            started = {
                title: {name: pool.submit(build) for name, build in builds.items()}
                for title, builds in steps.items()
            }
            calls = {
                title: {name: future.result() for name, future in futures.items()}
                for title, futures in started.items()
            }
        for title, compiled in calls.items():
            print(f'{describe(case)}, {title}{_expect(case, args.dtype, title)}')
            _report(compiled, args)


def _expect(case: Case, dtype: str, direction: str) -> str:
    """What the roofline expects on this GPU, if it is one."""
    gpu = present_gpu()
    if gpu is None or direction == 'parts':
        return ''
    chip = nearest_chip(gpu)
    times = estimate(case, dtype, chip)
    ours = times.forward
    if direction != DIRECTIONS[0]:
        ours += times.grad_input + times.grad_weight
    return f': {1000 * ours:.2f} ms on paper for {chip.gpu.name}'


class _Call(NamedTuple):
    """A compiled function with its arguments, and XLA's temporary memory in MiB."""

    run: Callable[[], Any]
    memory: float


def _functions(
    case: Case, args: argparse.Namespace, direction: str
) -> dict[str, Callable[[], _Call]]:
    """Functions that compile each way to compute a case in a direction."""
    x, selector, kernel, _, cotangent = random_arguments(case, args.dtype)
    patch = case.size**2 * case.channels
    patches = jax.random.normal(jax.random.key(1), (selector.size, patch), x.dtype)
    rows = cotangent.reshape(-1, case.features)
    dense, ours, naive = (
        _make_dense(case.stride),
        _make_switched(None, case),
        _make_switched('reference', case),
    )
    functions = {
        'floor': (_product, patches, rows, kernel[0].reshape(-1, case.features)),
        'dense': (dense, x, cotangent, kernel[0]),
        'ours': (ours, x, cotangent, kernel),
        'naive': (naive, x, cotangent, kernel),
    }
    if args.without_naive:
        del functions['naive']

    def build(function, x, cotangent, kernel):
        backward = direction != DIRECTIONS[0]
        inputs = (x, kernel, selector, cotangent) if backward else (x, kernel, selector)
        step = jax.jit(_add_gradients(function) if backward else function)
        compiled = step.lower(*inputs).compile()
        analysis = compiled.memory_analysis()
        memory = analysis.temp_size_in_bytes / 2**20 if analysis else float('nan')
        return _Call(functools.partial(compiled, *inputs), memory)

    return {name: functools.partial(build, *one) for name, one in functions.items()}


def _parts(case: Case, args: argparse.Namespace) -> dict[str, Callable[[], _Call]]:
    """Functions that compile the GPU's kernels apart."""
    gpu = present_gpu()
    if gpu is None:
        raise SystemExit('--parts times the kernels of NVIDIA GPUs, and none is here')
    sizes = block_sizes(shape_of(case, args.dtype), gpu)
    built = parts(case, args.dtype)

    def call(name):
        return _Call(built[name](sizes), 0.0)

    return {name: functools.partial(call, name) for name in built}


def _report(calls: dict[str, _Call], args: argparse.Namespace) -> None:
    """Times calls in turn and prints a line for each; as a ratio where one is dense."""
    times = _time_in_turn({name: call.run for name, call in calls.items()}, args.rounds, args.calls)
    for name, own in times.items():
        line = (
            f'  {name:12} {1000 * statistics.median(own):8.3f} ms, best {1000 * min(own):8.3f} ms'
        )
        if 'dense' in times:
            pairs = zip(own, times['dense'], strict=True)
            ratio = statistics.median(ours / dense for ours, dense in pairs)
            line += f' {ratio:6.2f} x dense {calls[name].memory:7.1f} MiB'
        print(line, flush=True)


def _product(patches, weights, _):
    return patches @ weights


def _make_dense(stride):
    def convolve(x, kernel, _):
        pad = [(kernel.shape[0] // 2,) * 2] * 2
        layout = ('NHWC', 'HWIO', 'NHWC')
        return lax.conv_general_dilated(x, kernel, (stride,) * 2, pad, dimension_numbers=layout)

    return convolve


def _make_switched(implementation, case):
    def convolve(x, kernel, selector):
        return switched_conv(x, selector, kernel, None, case.stride, implementation)

    return convolve


def _add_gradients(function):
    def step(x, kernel, selector, cotangent):
        y, pull_back = jax.vjp(lambda x, kernel: function(x, kernel, selector), x, kernel)
        return y, pull_back(cotangent)

    return step


def _time_in_turn(functions, rounds: int, calls: int) -> dict[str, list[float]]:
    """Seconds of each call in each round, on average over some in a row."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        jax.block_until_ready(function())
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready([function() for _ in range(calls)])
            times[name].append((time.perf_counter() - start) / calls)
    return times


if __name__ == '__main__':
    main()

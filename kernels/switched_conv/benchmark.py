"""Times switched convolutions against one dense convolution and the naive sum over kernels.

    python -m sr_jax.kernels.switched_conv.benchmark --breadth 8 64
    python -m sr_jax.kernels.switched_conv.benchmark --roofline --dtype bfloat16   # on a GPU

Forward, and forward and backward (gradients to x and kernel), with random selectors. The floor is
the matrix products alone, of patches that are cut out already and with one kernel for all. All are
called in turn in every round, so that whatever else the machine does falls on all, and a ratio is
the median of the rounds' ratios to the dense convolution. Memory is XLA's temporary memory. With
--roofline the shapes of `cases.ROOFLINE`, and what `roofline.py` expects of the nearest chip.
"""

import argparse
import functools
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .api import switched_conv
from .block_sizes import present_gpu
from .cases import ROOFLINE, Case
from .compile_check import DTYPES
from .roofline import CHIPS, describe, estimate


def main() -> None:
    """Prints a line for each shape, direction and way to compute."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--breadth', type=int, nargs='+', default=[8, 64])
    parser.add_argument('--pictures', type=int, default=4)
    parser.add_argument('--side', type=int, default=64, help='height and width in pixels')
    parser.add_argument('--channels', type=int, default=64)
    parser.add_argument('--size', type=int, default=3, help='taps along a side of the kernel')
    parser.add_argument('--roofline', action='store_true', help="the roofline's shapes instead")
    parser.add_argument('--dtype', default='float32', choices=DTYPES)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--calls', type=int, default=1, help='in a row, for a time; 20 on a GPU')
    parser.add_argument('--without-naive', action='store_true', help='it takes the longest')
    args = parser.parse_args()
    print(f'JAX {jax.__version__} on {jax.devices()[0].device_kind}, {args.dtype}')
    shape = (args.pictures, args.side, args.side, args.channels, args.channels)
    cases = [Case(*shape, breadth, args.size, 1) for breadth in args.breadth]
    for case in ROOFLINE if args.roofline else cases:
        for backward in (False, True):
            direction = 'forward+backward' if backward else 'forward'
            print(f'{describe(case)}, {direction}{_expected(case, args.dtype, backward)}')
            _compare(case, args, backward)


def _expected(case: Case, dtype: str, backward: bool) -> str:
    """What the roofline expects on this GPU, if it is one."""
    gpu = present_gpu()
    if gpu is None:
        return ''
    chip = next(chip for chip in CHIPS if gpu.capability >= chip.gpu.capability)
    times = estimate(case, dtype, chip)
    ours = times.forward + (times.grad_input + times.grad_weight if backward else 0)
    return f': {1000 * ours:.2f} ms on paper for {chip.gpu.name}'


def _compare(case: Case, args: argparse.Namespace, backward: bool) -> None:
    rng = np.random.default_rng(0)
    height, width = -(-case.height // case.stride), -(-case.width // case.stride)
    pixels = (case.pictures, height, width)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape), args.dtype)

    x, cotangent = normal(*case[:4]), normal(*pixels, case.features)
    kernel = normal(case.breadth, case.size, case.size, case.channels, case.features)
    selector = jnp.asarray(rng.integers(0, case.breadth, pixels), jnp.int32)
    patches = normal(selector.size, case.size**2 * case.channels)
    rows = cotangent.reshape(-1, case.features)
    dense, ours, naive = _dense(case.stride), _switched(None, case), _switched('reference', case)
    functions = {
        'floor': (_product, patches, rows, kernel[0].reshape(-1, case.features)),
        'dense': (dense, x, cotangent, kernel[0]),
        'ours': (ours, x, cotangent, kernel),
        'naive': (naive, x, cotangent, kernel),
    }
    if args.without_naive:
        del functions['naive']
    calls, memory = {}, {}
    for name, (function, x, cotangent, kernel) in functions.items():
        inputs = (x, kernel, selector, cotangent) if backward else (x, kernel, selector)
        step = jax.jit(_with_gradients(function) if backward else function)
        compiled = step.lower(*inputs).compile()
        analysis = compiled.memory_analysis()
        memory[name] = analysis.temp_size_in_bytes / 2**20 if analysis else float('nan')
        calls[name] = functools.partial(compiled, *inputs)
    times = _time_in_turn(calls, args.rounds, args.calls)
    for name, own in times.items():
        pairs = zip(own, times['dense'], strict=True)
        ratio = statistics.median(ours / dense for ours, dense in pairs)
        print(
            f'  {name:8} {1000 * statistics.median(own):8.1f} ms, best {1000 * min(own):8.1f} ms '
            f'{ratio:6.2f} x dense {memory[name]:7.1f} MiB',
            flush=True,
        )


def _product(patches, weights, _):
    return patches @ weights


def _dense(stride):
    def convolve(x, kernel, _):
        pad = [(kernel.shape[0] // 2,) * 2] * 2
        layout = ('NHWC', 'HWIO', 'NHWC')
        return lax.conv_general_dilated(x, kernel, (stride,) * 2, pad, dimension_numbers=layout)

    return convolve


def _switched(implementation, case):
    def convolve(x, kernel, selector):
        return switched_conv(x, selector, kernel, None, case.stride, implementation)

    return convolve


def _with_gradients(function):
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

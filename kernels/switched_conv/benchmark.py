"""Times switched convolutions against one dense convolution and the naive sum over kernels.

    python -m sr_jax.kernels.switched_conv.benchmark --breadth 8 64

Forward, and forward and backward (gradients to x and kernel), with random selectors. The floor is
the matrix products alone, of patches that are cut out already and with one kernel for all. All are
called in turn in every round, so that whatever else the machine does falls on all, and a ratio is
the median of the rounds' ratios to the dense convolution. Memory is XLA's temporary memory.
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


def main() -> None:
    """Prints a line for each breadth, direction and way to compute."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--breadth', type=int, nargs='+', default=[8, 64])
    parser.add_argument('--pictures', type=int, default=4)
    parser.add_argument('--side', type=int, default=64, help='height and width in pixels')
    parser.add_argument('--channels', type=int, default=64)
    parser.add_argument('--size', type=int, default=3, help='taps along a side of the kernel')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--without-naive', action='store_true', help='it takes the longest')
    args = parser.parse_args()
    print(f'JAX {jax.__version__} on {jax.devices()[0].device_kind}')
    for breadth in args.breadth:
        for backward in (False, True):
            direction = 'forward+backward' if backward else 'forward'
            print(f'breadth {breadth}, {direction}')
            _compare(args, breadth, backward)


def _compare(args: argparse.Namespace, breadth: int, backward: bool) -> None:
    rng = np.random.default_rng(0)
    pixels = (args.pictures, args.side, args.side)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    x, cotangent = normal(*pixels, args.channels), normal(*pixels, args.channels)
    kernel = normal(breadth, args.size, args.size, args.channels, args.channels)
    selector = jnp.asarray(rng.integers(0, breadth, pixels), jnp.int32)
    patches = normal(x[..., 0].size, args.size**2 * args.channels)
    rows = cotangent.reshape(-1, args.channels)
    functions = {
        'floor': (_product, patches, rows, kernel[0].reshape(-1, args.channels)),
        'dense': (_dense, x, cotangent, kernel[0]),
        'blocked': (_switched('blocked'), x, cotangent, kernel),
        'naive': (_switched('reference'), x, cotangent, kernel),
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
    times = _time_in_turn(calls, args.rounds)
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


def _dense(x, kernel, _):
    layout = ('NHWC', 'HWIO', 'NHWC')
    return lax.conv_general_dilated(x, kernel, (1, 1), 'SAME', dimension_numbers=layout)


def _switched(implementation):
    def convolve(x, kernel, selector):
        return switched_conv(x, selector, kernel, implementation=implementation)

    return convolve


def _with_gradients(function):
    def step(x, kernel, selector, cotangent):
        y, pull_back = jax.vjp(lambda x, kernel: function(x, kernel, selector), x, kernel)
        return y, pull_back(cotangent)

    return step


def _time_in_turn(calls, rounds: int) -> dict[str, list[float]]:
    """Seconds of each call in each round."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(time.perf_counter() - start)
    return times


if __name__ == '__main__':
    main()

"""Times switched convolutions against one dense convolution and the naive sum over kernels.

    python -m sr_jax.kernels.switched_conv.benchmark --breadth 8 64

Forward and backward (gradients to x and kernel), random selectors, in turn in every round, so that
whatever else the machine does falls on all. Ratios are of the medians.
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
    """Prints one line for each breadth and direction."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--breadth', type=int, nargs='+', default=[8, 64])
    parser.add_argument('--pictures', type=int, default=4)
    parser.add_argument('--side', type=int, default=64, help='height and width in pixels')
    parser.add_argument('--channels', type=int, default=64)
    parser.add_argument('--size', type=int, default=3, help='taps along a side of the kernel')
    parser.add_argument('--rounds', type=int, default=9)
    args = parser.parse_args()
    print(f'JAX {jax.__version__} on {jax.devices()[0].device_kind}')
    for breadth in args.breadth:
        for backward in (False, True):
            _compare(args, breadth, backward)


def _compare(args: argparse.Namespace, breadth: int, backward: bool) -> None:
    rng = np.random.default_rng(0)
    shape = (args.pictures, args.side, args.side)
    x, cotangent = (
        jnp.asarray(rng.normal(size=(*shape, args.channels)), jnp.float32) for _ in range(2)
    )
    taps = (breadth, args.size, args.size, args.channels, args.channels)
    kernel = jnp.asarray(rng.normal(size=taps), jnp.float32)
    selector = jnp.asarray(rng.integers(0, breadth, shape), jnp.int32)
    ours = functools.partial(switched_conv, implementation='blocked')
    naive = functools.partial(switched_conv, implementation='reference')
    functions = {
        'dense': lambda x, kernel, _: _dense(x, kernel[0]),
        'blocked': lambda x, kernel, selector: ours(x, selector, kernel),
        'naive': lambda x, kernel, selector: naive(x, selector, kernel),
    }
    calls, memory = {}, {}
    for name, function in functions.items():
        step = jax.jit(_with_gradients(function, cotangent) if backward else function)
        compiled = step.lower(x, kernel, selector).compile()
        analysis = compiled.memory_analysis()
        memory[name] = analysis.temp_size_in_bytes / 2**20 if analysis else float('nan')
        calls[name] = functools.partial(compiled, x, kernel, selector)
    times = _time_in_turn(calls, args.rounds)
    direction = 'forward+backward' if backward else 'forward'
    parts = (
        f'{name} {1000 * seconds:.1f} ms ({seconds / times["dense"]:.2f} x, {memory[name]:.0f} MiB)'
        for name, seconds in times.items()
    )
    print(f'breadth {breadth}, {direction}: {", ".join(parts)}', flush=True)


def _dense(x, kernel):
    layout = ('NHWC', 'HWIO', 'NHWC')
    return lax.conv_general_dilated(x, kernel, (1, 1), 'SAME', dimension_numbers=layout)


def _with_gradients(function, cotangent):
    def step(x, kernel, selector):
        y, pull_back = jax.vjp(lambda x, kernel: function(x, kernel, selector), x, kernel)
        return y, pull_back(cotangent)

    return step


def _time_in_turn(calls, rounds: int) -> dict[str, float]:
    """Median seconds of each call."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == '__main__':
    main()

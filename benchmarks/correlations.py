"""Times the lambda layer's correlation: by columns, as a convolution, as one matrix.

    python benchmarks/correlations.py [--radius 23]

Forward, and with the gradients to maps and filters; all in turn in every round. `columns` and
`matrix` are `correlate_large` and `correlate_small` of `sr_jax.layers.lambda_layer`, the latter for
maps of at most 32 x 32; `convolution` is that of a single channel, the definition.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import jax
from jax import Array, lax

from sr_jax.layers.lambda_layer import correlate_large, correlate_small

CASES = (  # maps, side, filters
    (512, 16, 16),
    (64, 24, 4),
    (64, 32, 4),
    (16, 64, 16),
    (16, 128, 4),
)


def main() -> None:
    """Prints a line for each case and way."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--radius', type=int, default=23, help='taps along a side; odd')
    parser.add_argument('--rounds', type=int, default=7)
    args = parser.parse_args()
    print(f'JAX {jax.__version__} on {jax.devices()[0].device_kind}, {args.radius} taps a side')
    for maps, side, keys in CASES:
        ways = {'columns': correlate_large, 'convolution': as_convolution}
        if side <= 32:
            ways['matrix'] = correlate_small
        for title, wrap in (('forward', lambda way: way), ('with gradients', with_gradients)):
            keys_of = jax.random.split(jax.random.key(0), 3)
            x = jax.random.normal(keys_of[0], (maps, side, side))
            kernel = jax.random.normal(keys_of[1], (args.radius, args.radius, 1, keys))
            cotangent = jax.random.normal(keys_of[2], (maps, side, side, keys))
            inputs = (x, kernel) if title == 'forward' else (x, kernel, cotangent)
            compiled = {
                name: jax.jit(wrap(way)).lower(*inputs).compile() for name, way in ways.items()
            }
            times = in_turn(compiled, inputs, args.rounds)
            line = ', '.join(f'{name} {1000 * time:.1f} ms' for name, time in times.items())
            print(f'{maps} maps of {side} x {side}, {keys} filters, {title}: {line}', flush=True)


def as_convolution(maps: Array, kernel: Array) -> Array:
    """The definition, as a convolution of one channel."""
    layout = ('NHWC', 'HWIO', 'NHWC')
    return lax.conv_general_dilated(maps[..., None], kernel, (1, 1), 'SAME', None, None, layout)


def with_gradients(way: Callable[[Array, Array], Array]) -> Callable:
    """The output and both gradients."""

    def step(maps, kernel, cotangent):
        y, pull_back = jax.vjp(way, maps, kernel)
        return y, pull_back(cotangent)

    return step


def in_turn(
    functions: dict[str, Callable], inputs: tuple[Array, ...], rounds: int
) -> dict[str, float]:
    """The median seconds of each, of these inputs."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        jax.block_until_ready(function(*inputs))
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(function(*inputs))
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


if __name__ == '__main__':
    main()

"""Runs every GPU kernel on the NVIDIA GPU of this machine, and compares what comes out.

    python -m sr_jax.kernels.switched_conv.triton.gpu_check [--dtypes float32 ...] [--cases 0 ...]

For the shapes in `cases.py`: the output and all gradients, as a user gets them and by every design
of the gradient of x, against `xla` on the CPU in float32 (which the tests hold against the
reference); of some shapes the gradients of the gradients; the routing, which must be the same; that
a second run gives the same bits; and that a pixel without a kernel becomes NaN. An error is the
root of the summed squares of the differences, over that of the values.
"""

import argparse
import concurrent.futures
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from ...gpu.device import present_gpu
from ...gpu.interpret import interpret
from ..api import route, switched_conv
from ..cases import DTYPES, NETWORKS, SMALL, Case, random_arguments
from ..routing import GPU_SEGMENT, Routing
from .block_sizes import BlockSizes, input_designs, shape_of
from .devices import backward, compile_here, sizes_for

CASES = (*SMALL, *NETWORKS)
# The largest error by what the factors are rounded to: 8, 11, 11 and 24 bits, rounded twice or
# thrice (the gradients of patches and the result).
LIMITS = {'bfloat16': 8e-3, 'float16': 1e-3, 'tf32': 1e-3, 'ieee': 1e-5}
RESULTS = ('output', 'grad x', 'grad kernel', 'grad bias')
# These cases take the kernels of three convolutions once more, which takes its time to compile.
SECOND_ORDER = (SMALL[0], SMALL[1], NETWORKS[0])
SECOND_RESULTS = ('grad x of gradients', 'grad kernel of gradients', 'grad cotangent of gradients')


def results(
    case: Case, implementation: str | None, precision: str | None
) -> Callable[..., tuple[Any, ...]]:
    """A compiled function from `random_arguments` to RESULTS, by the door that users take."""

    def step(x, selector, kernel, bias, cotangent):
        def convolve(x, kernel, bias):
            return switched_conv(
                x, selector, kernel, bias, case.stride, implementation, precision=precision
            )

        y, pull_back = jax.vjp(convolve, x, kernel, bias)
        return y, *pull_back(cotangent)

    return jax.jit(step)


def second_order(
    case: Case, implementation: str | None, precision: str | None
) -> Callable[..., tuple[Any, ...]]:
    """A compiled function from `random_arguments` to SECOND_RESULTS: what comes back through the
    gradients of x and kernel, where x and kernel stand for the cotangents of these too."""

    def step(x, selector, kernel, _, cotangent):
        def gradients(x, kernel, cotangent):
            def convolve(x, kernel):
                return switched_conv(
                    x, selector, kernel, None, case.stride, implementation, precision=precision
                )

            return jax.vjp(convolve, x, kernel)[1](cotangent)

        _, pull_back = jax.vjp(gradients, x, kernel, cotangent)
        return pull_back((x[::-1], kernel[::-1]))

    return jax.jit(step)


def grad_x_by(
    design: str, case: Case, implementation: str, precision: str | None
) -> Callable[..., Any]:
    """A compiled function from `random_arguments` to the gradient of x, by one of its designs."""

    def step(x, selector, kernel, bias, cotangent):
        del bias
        routing = route(selector, case.breadth, implementation=implementation)
        sizes = _sizes(x, kernel, case, precision)._replace(input_design=design)
        launch = interpret if implementation == 'triton_interpret' else compile_here
        return backward(x, kernel, routing, cotangent, case.stride, sizes, launch)[0]

    return jax.jit(step)


def _sizes(x, kernel, case: Case, precision: str | None) -> BlockSizes:
    return sizes_for(x, kernel, case.stride, jax.lax.Precision(precision) if precision else None)


def error(actual: Any, expected: Any) -> float:
    """The root of the summed squares of the differences over that of the expected; NaN stays."""
    actual, expected = (np.asarray(array).astype(np.float64) for array in (actual, expected))
    scale = np.sqrt(np.sum(expected**2))
    return float(np.sqrt(np.sum((actual - expected) ** 2)) / max(scale, 1e-30))


def check(
    case: Case, dtype: str, precision: str | None, implementation: str | None = None
) -> Iterator[tuple[str, float, float]]:
    """Name, error and limit of each result; `implementation` is that under test."""
    limit = LIMITS[dtype if dtype != 'float32' else 'ieee' if precision else 'tf32']
    args = tuple(map(np.asarray, random_arguments(case, dtype)))
    with jax.default_device(jax.devices('cpu')[0]):
        wide = tuple(a if a.dtype == np.int32 else a.astype(np.float32) for a in args)
        expected = results(case, 'xla', None)(*wide)
        sorted_there = _route(case, 'xla', args[1])
    step = results(case, implementation, precision)
    ours = step(*args)
    for name, actual, there in zip(RESULTS, ours, expected, strict=True):
        yield name, error(actual, there), limit
    same = all(_bits(a) == _bits(b) for a, b in zip(ours, step(*args), strict=True))
    yield 'same bits again', float(not same), 0.5
    if case in SECOND_ORDER:
        with jax.default_device(jax.devices('cpu')[0]):
            expected_second = second_order(case, 'xla', None)(*wide)
        second = second_order(case, implementation, precision)(*args)
        for name, actual, there in zip(SECOND_RESULTS, second, expected_second, strict=True):
            yield name, error(actual, there), limit
    by_name = implementation or 'triton'
    present = _sizes(args[0], args[2], case, precision).input_design
    for design in input_designs(shape_of(case, dtype)):
        if design != present:
            actual = grad_x_by(design, case, by_name, precision)(*args)
            yield f'grad x, {design}', error(actual, expected[1]), limit
    sorted_here = _route(case, by_name, args[1])
    equal = map(np.array_equal, sorted_here.arrays, sorted_there.arrays)
    yield 'routing', float(not all(equal)), 0.5
    broken = np.array(args[1])
    broken[0, 0, 0] = case.breadth
    y, grad_x, grad_kernel, _ = step(args[0], broken, *args[2:])
    nans = np.isnan(np.asarray(y).astype(np.float32)).all(-1)
    finite = all(np.isfinite(np.asarray(a).astype(np.float32)).all() for a in (grad_x, grad_kernel))
    yield 'NaN without a kernel', float(not nans[0, 0, 0] or nans.sum() != 1 or not finite), 0.5


def _route(case: Case, implementation: str, selector: Any) -> Routing:
    sort = functools.partial(route, breadth=case.breadth, segment=GPU_SEGMENT)
    return jax.jit(functools.partial(sort, implementation=implementation))(selector)


def _bits(array: Any) -> bytes:
    return np.asarray(array).tobytes()


def main() -> int:
    """Prints a line for each case; the exit status is 1 where one is wrong or there is no GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--dtypes', nargs='+', default=list(DTYPES), choices=DTYPES)
    parser.add_argument('--cases', type=int, nargs='+', default=range(len(CASES)))
    parser.add_argument('--threads', type=int, default=8, help='cases at the same time')
    args = parser.parse_args()
    gpu = present_gpu()
    if gpu is None:
        print('there is no NVIDIA GPU here that JAX can use: nothing can be checked')
        return 1
    print(f'{gpu.name}, JAX {jax.__version__}')
    jobs = [
        (number, dtype, precision)
        for dtype in args.dtypes
        for number in args.cases
        for precision in ((None, 'highest') if dtype == 'float32' else (None,))
    ]
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
        for line, faults in pool.map(_line, jobs):
            wrong += faults
            print(line, flush=True)
    print(f'{len(jobs)} cases, {wrong} wrong results')
    return 1 if wrong else 0


def _line(job: tuple[int, str, str | None]) -> tuple[str, int]:
    """What a case came to, and how many of its results are wrong."""
    number, dtype, precision = job
    found = list(check(CASES[number], dtype, precision))
    wrong = [name for name, off, limit in found if not off <= limit]
    largest = max(found, key=lambda one: -1 if one[1] <= 0 else one[1] / one[2])
    verdict = f'WRONG: {", ".join(wrong)}' if wrong else 'good'
    kind = f'{dtype} {precision}' if precision else dtype
    shape = 'x'.join(map(str, CASES[number]))
    return (
        f'{number} {shape} {kind}: {largest[0]} {largest[1]:.1e} of {largest[2]:.0e}: {verdict}',
        len(wrong),
    )


if __name__ == '__main__':
    sys.exit(main())

"""Compiles every GPU kernel for the shapes in `cases.py` without a GPU, and says what came out.

    pip install triton
    python -m sr_jax.kernels.switched_conv.triton.compile_check [--cases 0 ...] [--dtypes ...]

For compute capability 8.0 (A100), 8.9 (L4), 9.0 (H100) and 10.0 (B200). Asserted for each: tensor
cores where products are, at most the spilled registers that `SPILLS` allows, and shared memory
within the chip's limit.
"""

import argparse
import sys
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from ...gpu import compile_check
from ...gpu.compile_check import Report, compile_call, describe, write_down
from ...gpu.device import A100, B200, H100, L4, Gpu
from ...gpu.launch import KernelCall, Launch
from ..cases import DTYPES, NETWORKS, Case
from ..routing import GPU_SEGMENT, route_by
from .block_sizes import PRECISIONS, block_sizes, input_designs, shape_of
from .devices import backward, forward, sort_segments

GPUS = (A100, L4, H100, B200)
# Kernels that multiply matrices; the others move numbers or add them up.
PRODUCTS = ('forward', 'unfold', 'masked', 'shared', 'weight')
# Spilled registers (stores to local memory) that are known and accepted: none.
SPILLS: dict[str, int] = {}


def calls(case: Case, dtype: str, gpu: Gpu, precision: str = 'tf32') -> list[KernelCall]:
    """The kernels of a case: routing, forward, and backward in every design."""
    height, width = -(-case.height // case.stride), -(-case.width // case.stride)
    taps = (case.breadth, case.size, case.size, case.channels, case.features)
    shapes = (
        jax.ShapeDtypeStruct((case.images, case.height, case.width, case.channels), dtype),
        jax.ShapeDtypeStruct((case.images, height, width), jnp.int32),
        jax.ShapeDtypeStruct(taps, dtype),
        jax.ShapeDtypeStruct((case.features,), dtype),
        jax.ShapeDtypeStruct((case.images, height, width, case.features), dtype),
    )
    shape = shape_of(case, dtype)
    sizes = block_sizes(shape, gpu, precision)

    def everything(launch: Launch):
        def sort(selector, breadth, block):
            return sort_segments(selector, breadth, block, launch)

        def step(x, selector, kernel, bias, cotangent):
            routing = route_by(selector, case.breadth, None, None, GPU_SEGMENT, sort)
            forward(x, kernel, bias, routing, case.stride, sizes, launch)
            for design in input_designs(shape):
                other = sizes._replace(input_design=design)
                backward(x, kernel, routing, cotangent, case.stride, other, launch)

        return step

    # Some kernels are called twice, at sizes of their own: the larger one stands for both.
    found = {call.name: call for call in reversed(write_down(everything, *shapes))}
    return list(found.values())


def find_faults(report: Report, precision: str = 'tf32') -> list[str]:
    """What is wrong with a compiled kernel."""
    tensor_cores = report.name in PRODUCTS and precision != 'ieee'
    return compile_check.find_faults(report, tensor_cores, SPILLS.get(report.name, 0))


def check(case: Case, dtype: str, precision: str = 'tf32') -> Iterator[tuple[Report, list[str]]]:
    """Compiles a case's kernels for every GPU; yields what came out and what is wrong with it."""
    for gpu in GPUS:
        for call in calls(case, dtype, gpu, precision):
            report = compile_call(call, gpu.capability)
            yield report, find_faults(report, precision)


def main() -> int:
    """Prints a line for each kernel; the exit status is 1 where one of them is faulty."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--dtypes', nargs='+', default=list(DTYPES), choices=DTYPES)
    parser.add_argument('--precision', default='tf32', choices=PRECISIONS)
    parser.add_argument('--cases', type=int, nargs='+', default=range(len(NETWORKS)))
    args = parser.parse_args()
    wrong = 0
    for number in args.cases:
        for dtype in args.dtypes:
            for report, found in check(NETWORKS[number], dtype, args.precision):
                wrong += bool(found)
                verdict = ', '.join(found) or 'good'
                print(f'{number} {dtype:8} {describe(report)} {verdict}', flush=True)
    print(f'{wrong} faulty kernels')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())

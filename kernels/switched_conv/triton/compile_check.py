"""Compiles every GPU kernel for the shapes in `cases.py` without a GPU, and says what came out.

    pip install triton
    python -m sr_jax.kernels.switched_conv.triton.compile_check [--cases 0 ...] [--dtypes ...]

For compute capability 8.0 (A100), 8.9 (L4) and 9.0 (H100). Asserted for each: tensor cores where
products are, at most the spilled registers that `SPILLS` allows, and shared memory within the
chip's limit.
"""

import argparse
import sys
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from ...gpu import compile_check
from ...gpu.compile_check import Module, Report, compile_module, describe, triton_modules
from ...gpu.device import A100, H100, L4, Gpu
from ..api import route
from ..cases import DTYPES, NETWORKS, Case
from .block_sizes import PRECISIONS, BlockSizes, block_sizes, shape_of
from .pallas import INPUT_DESIGNS, backward, forward
from .tiles import PREFIX

GPUS = (A100, L4, H100)
# Kernels that multiply matrices; the others move numbers or add them up.
PRODUCTS = ('forward', 'unfold', 'masked', 'weight')
# Spilled registers (stores to local memory) that are known and accepted: none.
SPILLS: dict[str, int] = {}


def modules(case: Case, dtype: str, gpu: Gpu, precision: str = 'tf32') -> list[Module]:
    """The kernels of a case, forward, backward in both designs and routing, as Triton's text."""
    found: dict[str, Module] = {}
    sizes = block_sizes(shape_of(case, dtype), gpu, precision)
    for design in INPUT_DESIGNS:
        lowered = lower(case, dtype, gpu, sizes._replace(input_design=design))
        found |= {module.name: module for module in triton_modules(lowered, PREFIX)}
    return list(found.values())


def lower(case: Case, dtype: str, gpu: Gpu, sizes: BlockSizes) -> jax.stages.Lowered:
    """Forward and backward of a case with these block sizes, lowered for a GPU."""
    height, width = -(-case.height // case.stride), -(-case.width // case.stride)
    taps = (case.breadth, case.size, case.size, case.channels, case.features)
    shapes = (
        jax.ShapeDtypeStruct((case.images, case.height, case.width, case.channels), dtype),
        jax.ShapeDtypeStruct((case.images, height, width), jnp.int32),
        jax.ShapeDtypeStruct(taps, dtype),
        jax.ShapeDtypeStruct((case.features,), dtype),
        jax.ShapeDtypeStruct((case.images, height, width, case.features), dtype),
    )

    def everything(x, selector, kernel, bias, cotangent):
        routing = route(selector, case.breadth, implementation='pallas')
        return (
            forward(x, kernel, bias, routing, case.stride, sizes),
            backward(x, kernel, routing, cotangent, case.stride, sizes),
        )

    return compile_check.lower(everything, shapes, gpu)


def find_faults(report: Report, precision: str = 'tf32') -> list[str]:
    """What is wrong with a compiled kernel."""
    tensor_cores = report.name in PRODUCTS and precision != 'ieee'
    return compile_check.find_faults(report, tensor_cores, SPILLS.get(report.name, 0))


def check(case: Case, dtype: str, precision: str = 'tf32') -> Iterator[tuple[Report, list[str]]]:
    """Compiles a case's kernels for every GPU; yields what came out and what is wrong with it."""
    for gpu in GPUS:
        for module in modules(case, dtype, gpu, precision):
            report = compile_module(module, gpu.capability)
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

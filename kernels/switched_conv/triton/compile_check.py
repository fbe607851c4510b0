"""Compiles every GPU kernel for the shapes in `cases.py` without a GPU, and says what came out.

    pip install triton
    python -m sr_jax.kernels.switched_conv.triton.compile_check [--only TEXT] [--dtypes float32 ...]

JAX lowers the kernels to Triton's language on any machine, and Triton compiles that for compute
capability 8.0 (A100), 8.9 (L4) and 9.0 (H100). Asserted for each: tensor cores where products are,
at most the spilled registers that `SPILLS` allows, and shared memory within the chip's limit.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AbstractDevice, AbstractMesh

from ..api import route
from ..cases import NETWORKS, Case
from .block_sizes import (
    A100,
    H100,
    L4,
    BlockSizes,
    Gpu,
    Shape,
    block_sizes,
    shared_memory,
)
from .pallas import INPUT_DESIGNS, backward, forward

GPUS = (A100, L4, H100)
DTYPES = ('bfloat16', 'float16', 'float32')
# Kernels that multiply matrices; the others move numbers or add them up.
PRODUCTS = ('forward', 'unfold', 'masked', 'weight')
# Spilled registers (stores to local memory) that are known and accepted: none.
SPILLS: dict[str, int] = {}


class Module(NamedTuple):
    """A kernel in Triton's language: its name, text and how it is to be compiled."""

    name: str
    text: str
    warps: int
    stages: int


class Report(NamedTuple):
    """What the compiler made of a kernel: registers a thread, stores of spilled registers, bytes of
    shared memory, instructions of the tensor cores, and copies of 16 bytes from global memory."""

    name: str
    capability: int
    registers: int
    spills: int
    shared: int
    tensor_cores: int
    wide_loads: int


def modules(case: Case, dtype: str, gpu: Gpu, precision: str = 'tf32') -> list[Module]:
    """The kernels of a case, forward, backward in both designs and routing, as Triton's text."""
    found: dict[str, Module] = {}
    sizes = block_sizes(shape_of(case, dtype), gpu, precision)
    for design in INPUT_DESIGNS:
        lowered = lower(case, dtype, gpu, sizes._replace(input_design=design))
        found |= {module.name: module for module in triton_modules(lowered)}
    return list(found.values())


def shape_of(case: Case, dtype: str) -> Shape:
    """What block sizes depend on, of a case."""
    return Shape(case.channels, case.features, case.breadth, case.size, case.stride, dtype)


def lower(case: Case, dtype: str, gpu: Gpu, sizes: BlockSizes) -> jax.stages.Lowered:
    """Forward and backward of a case with these block sizes, lowered for a GPU."""
    height, width = -(-case.height // case.stride), -(-case.width // case.stride)
    taps = (case.breadth, case.size, case.size, case.channels, case.features)
    shapes = (
        jax.ShapeDtypeStruct((case.pictures, case.height, case.width, case.channels), dtype),
        jax.ShapeDtypeStruct((case.pictures, height, width), jnp.int32),
        jax.ShapeDtypeStruct(taps, dtype),
        jax.ShapeDtypeStruct((case.features,), dtype),
        jax.ShapeDtypeStruct((case.pictures, height, width, case.features), dtype),
    )

    def everything(x, selector, kernel, bias, cotangent):
        routing = route(selector, case.breadth, implementation='pallas')
        return (
            forward(x, kernel, bias, routing, case.stride, sizes),
            backward(x, kernel, routing, case.stride, cotangent, sizes),
        )

    device = AbstractDevice(gpu.name, None, 'gpu')
    mesh = AbstractMesh((1,), ('data',), abstract_device=device)
    with jax.sharding.use_abstract_mesh(mesh):
        return jax.jit(everything).trace(*shapes).lower(lowering_platforms=('cuda',))


def triton_modules(lowered: jax.stages.Lowered) -> Iterator[Module]:
    """The Triton kernels of a lowered function, each once."""
    # There is no public way to what a Pallas kernel was lowered to.
    from jax._src.interpreters import mlir
    from jax._src.lib.mlir import ir
    from jax._src.lib.triton import dialect

    context = mlir.JaxIrContext()
    context.append_dialect_registry(mlir.upstream_dialects)
    dialect.register_dialect(context)
    context.load_all_available_dialects()
    program = lowered.compiler_ir('stablehlo')
    assert program is not None
    for operation in _operations(program.operation):
        if operation.name != 'stablehlo.custom_call':
            continue
        target = ir.StringAttr(operation.attributes['call_target_name']).value
        if target != '__gpu$xla.gpu.triton':
            continue
        settings = ir.DictAttr(operation.attributes['mhlo.backend_config'])
        with context, ir.Location.unknown():
            module = ir.Module.parse(ir.StringAttr(settings['ir']).value_bytes)
            text = module.operation.get_asm(enable_debug_info=False)
        yield Module(
            ir.StringAttr(settings['name']).value.removeprefix('switched_conv_'),
            str(text),
            ir.IntegerAttr(settings['num_warps']).value,
            ir.IntegerAttr(settings['num_stages']).value,
        )


def _operations(operation) -> Iterator:
    for region in operation.regions:
        for block in region:
            for child in block:
                yield child.operation
                yield from _operations(child.operation)


def compile_module(module: Module, capability: int) -> Report:
    """Compiles a kernel with the `triton` wheel, and reads what it became."""
    os.environ.setdefault('TRITON_DEFAULT_FP_FUSION', '1')  # as ever; 3.9 wants it said
    import triton
    from triton.backends.compiler import GPUTarget

    tools = os.path.join(os.path.dirname(triton.__file__), 'backends', 'nvidia', 'bin')
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f'{module.name}.ttir')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(_as_triton_reads(module.text))
        kernel = triton.compile(
            path,
            target=GPUTarget('cuda', capability, 32),
            options={'num_warps': module.warps, 'num_stages': module.stages},
        )
        binary = os.path.join(folder, f'{module.name}.cubin')
        with open(binary, 'wb') as file:
            file.write(kernel.asm['cubin'])
        usage = _run(os.path.join(tools, 'cuobjdump'), '-res-usage', binary)
        machine_code = _run(os.path.join(tools, 'nvdisasm'), '-c', binary)
    registers = re.search(r'REG:(\d+)', usage)
    return Report(
        module.name,
        capability,
        int(registers[1]) if registers else 0,
        len(re.findall(r'\bSTL\b', machine_code)),
        kernel.metadata.shared,
        len(re.findall(r'\b(?:HMMA|HGMMA|IMMA|QGMMA)', machine_code)),
        len(re.findall(r'\b(?:LDGSTS|LDG)\S*\.128', machine_code)),
    )


def _as_triton_reads(text: str) -> str:
    """The text as the `triton` wheel has it: JAX 0.10 says otherwise what the cache keeps."""
    policy = r'{cachePolicy = #tt.cache_policy<cache_modifier = none, eviction_policy = \1>}'
    return re.sub(r'\bevictionPolicy = (\w+)', policy, text)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def faults(report: Report, precision: str = 'tf32') -> list[str]:
    """What is wrong with a compiled kernel."""
    found = []
    if report.name in PRODUCTS and precision != 'ieee' and not report.tensor_cores:
        found.append('no tensor cores')
    if report.spills > SPILLS.get(report.name, 0):
        found.append(f'{report.spills} registers spilled')
    if report.shared > shared_memory(report.capability):
        found.append(f'{report.shared} bytes of shared memory')
    return found


def check(case: Case, dtype: str, precision: str = 'tf32') -> Iterator[tuple[Report, list[str]]]:
    """Compiles a case's kernels for every GPU; yields what came out and what is wrong with it."""
    for gpu in GPUS:
        for module in modules(case, dtype, gpu, precision):
            report = compile_module(module, gpu.capability)
            yield report, faults(report, precision)


def main() -> int:
    """Prints a line for each kernel; the exit status is 1 where one of them is faulty."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--dtypes', nargs='+', default=list(DTYPES), choices=DTYPES)
    parser.add_argument('--precision', default='tf32', choices=('tf32', 'ieee'))
    parser.add_argument('--cases', type=int, nargs='+', default=range(len(NETWORKS)))
    args = parser.parse_args()
    wrong = 0
    for number in args.cases:
        for dtype in args.dtypes:
            case = NETWORKS[number]
            for report, found in check(case, dtype, args.precision):
                wrong += bool(found)
                verdict = ', '.join(found) or 'good'
                print(f'{number} {dtype:8} {_line(report)} {verdict}', flush=True)
    print(f'{wrong} faulty kernels')
    return 1 if wrong else 0


def _line(report: Report) -> str:
    return (
        f'{report.name:8} sm_{report.capability} {report.registers:3} registers, '
        f'{report.spills} spilled, {report.shared:6} bytes shared, '
        f'{report.tensor_cores:3} tensor core instructions, {report.wide_loads:3} wide loads:'
    )


if __name__ == '__main__':
    sys.exit(main())

"""What becomes of Pallas kernels on a GPU, without one.

JAX lowers a function to Triton's language on any machine, and the `triton` wheel compiles that for
any compute capability. NVIDIA's tools, which lie in the wheel, tell what came out.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from jax.sharding import AbstractDevice, AbstractMesh

from .device import Gpu, shared_memory


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


def lower(function: Callable[..., Any], shapes: tuple[Any, ...], gpu: Gpu) -> jax.stages.Lowered:
    """The function of arrays of these shapes, lowered for one GPU, which need not be there."""
    device = AbstractDevice(gpu.name, None, 'gpu')
    mesh = AbstractMesh((1,), ('data',), abstract_device=device)
    with jax.sharding.use_abstract_mesh(mesh):
        return jax.jit(function).trace(*shapes).lower(lowering_platforms=('cuda',))


def triton_modules(lowered: jax.stages.Lowered, prefix: str = '') -> Iterator[Module]:
    """The Triton kernels of a lowered function, in order, their names without the prefix."""
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
            ir.StringAttr(settings['name']).value.removeprefix(prefix),
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
            file.write(_write_for_triton(module.text))
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


def _write_for_triton(text: str) -> str:
    """The text as the `triton` wheel has it: JAX 0.10 says otherwise what the cache keeps."""
    policy = r'{cachePolicy = #tt.cache_policy<cache_modifier = none, eviction_policy = \1>}'
    return re.sub(r'\bevictionPolicy = (\w+)', policy, text)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def find_faults(report: Report, tensor_cores: bool, max_spills: int = 0) -> list[str]:
    """What is wrong with a compiled kernel, which may have to have tensor cores."""
    found = []
    if tensor_cores and not report.tensor_cores:
        found.append('no tensor cores')
    if report.spills > max_spills:
        found.append(f'{report.spills} registers spilled')
    if report.shared > shared_memory(report.capability):
        found.append(f'{report.shared} bytes of shared memory')
    return found


def describe(report: Report) -> str:
    """A report on one line."""
    return (
        f'{report.name:8} sm_{report.capability} {report.registers:3} registers, '
        f'{report.spills} spilled, {report.shared:6} bytes shared, '
        f'{report.tensor_cores:3} tensor core instructions, {report.wide_loads:3} wide loads:'
    )

"""What becomes of kernels in Triton's language on a GPU, without one.

A function of arrays is traced with kernels that are only written down; the `triton` wheel compiles
these for any compute capability, as jax-triton does, and NVIDIA's tools, which lie in the wheel,
tell what came out.
"""

import inspect
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .device import shared_memory
from .launch import KernelCall, Launch, options

_TYPES = {'float32': 'fp32', 'bfloat16': 'bf16', 'float16': 'fp16', 'int32': 'i32'}
_TENSOR_CORES = r'\b(?:HMMA|HGMMA|IMMA|QGMMA|UTC\w*MMA)'  # of compute capability 8, 9 and 10
_WIDE_LOADS = r'\b(?:LDGSTS|LDG)\S*\.128'


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


def write_down(function: Callable[[Launch], Callable[..., Any]], *shapes: Any) -> list[KernelCall]:
    """The calls of kernels, each once, that a function of arrays of these shapes makes.

    Args:
      function: gives that function for a way to make the calls.
      shapes: of its arguments, as `jax.eval_shape` takes them.
    """
    calls: list[KernelCall] = []

    def launch(call: KernelCall) -> tuple[Array, ...]:
        one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), call.inputs)
        noted = call._replace(inputs=one, updated=tuple(map(jax.typeof, call.updated)))
        if noted not in calls:
            calls.append(noted)
        return *call.updated, *(jnp.zeros(shape.shape, shape.dtype) for shape in call.outputs)

    jax.eval_shape(function(launch), *shapes)
    return calls


def compile_call(call: KernelCall, capability: int) -> Report:
    """Compiles a kernel with the `triton` wheel, and reads what it became."""
    kernel = _compile(call, capability)
    tools = os.path.join(os.path.dirname(inspect.getfile(_triton())), 'backends', 'nvidia', 'bin')
    with tempfile.TemporaryDirectory() as folder:
        binary = os.path.join(folder, f'{call.name}.cubin')
        with open(binary, 'wb') as file:
            file.write(kernel.asm['cubin'])
        usage = _run(os.path.join(tools, 'cuobjdump'), '-res-usage', binary)
        machine_code = _run(os.path.join(tools, 'nvdisasm'), '-c', binary)
    registers = re.search(r'REG:(\d+)', usage)
    return Report(
        call.name,
        capability,
        int(registers[1]) if registers else 0,
        len(re.findall(r'\bSTL\b', machine_code)),
        kernel.metadata.shared,
        len(re.findall(_TENSOR_CORES, machine_code)),
        len(re.findall(_WIDE_LOADS, machine_code)),
    )


def _compile(call: KernelCall, capability: int) -> Any:
    """A kernel as jax-triton compiles it: every array begins at a multiple of 16 bytes."""
    triton = _triton()
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.experimental.gluon._runtime import GluonASTSource, GluonJITFunction

    arrays = (*call.inputs, *call.updated, *call.outputs)
    names = [param.name for param in call.kernel.params]
    signature = dict.fromkeys(names, 'constexpr')
    constants = dict(call.constants)
    aligned = {}
    for index, (name, array) in enumerate(zip(names, arrays, strict=False)):
        if array is None:
            constants[name] = None
            continue
        signature[name] = f'*{_TYPES[array.dtype.name]}'
        aligned[index,] = [['tt.divisibility', 16]]
    source = GluonASTSource if isinstance(call.kernel, GluonJITFunction) else ASTSource
    with triton.knobs.compilation.scope():
        # What Triton keeps is not told of changes in Python that constants are made by.
        triton.knobs.compilation.always_compile = True
        return triton.compile(
            source(call.kernel, signature, constants, aligned),
            target=GPUTarget('cuda', capability, 32),
            options=options(call),
        )


def _triton() -> Any:
    import triton

    return triton


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

"""Calls of kernels that are written in Triton's language, of one operation or another.

A `Launch` is a way to make them: `compile_for` a GPU, `interpret.interpret` without one, or only
write them down, as `compile_check` does. Kernels take their arguments in the order of the fields of
`KernelCall`.
"""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jaxtyping import Array

from ..mesh_axes import vary_like
from .jax_triton import load


class KernelCall(NamedTuple):
    """A kernel and what it is called with.

    Attributes:
      kernel: a function of `triton.jit` or `gluon.jit`.
      name: for profiles and reports.
      programs: how many run, numbered from 0.
      inputs: arrays, or None for one that is left out.
      outputs: shapes and types of new arrays, every number of which the kernel must write that is
        read later.
      constants: by name, known when it is compiled.
      updated: arrays of which the kernel writes some numbers; it gets them between inputs and
        outputs.
      warps, stages: of a program, and of its pipelined loops.
    """

    kernel: Any
    name: str
    programs: int
    inputs: tuple[Any, ...]
    outputs: tuple[jax.ShapeDtypeStruct, ...]
    constants: Mapping[str, Any]
    updated: tuple[Any, ...] = ()
    warps: int = 4
    stages: int = 1

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arrays that it is called with."""
        return *(array for array in self.inputs if array is not None), *self.updated


# Gives the updated arrays and the new ones.
Launch = Callable[[KernelCall], tuple[Array, ...]]


@functools.cache
def compile_for(capability: int) -> Launch:
    """Compiles kernels for a GPU of this compute capability, when the program is lowered."""

    def launch(call: KernelCall) -> tuple[Array, ...]:
        first = len(call.arrays) - len(call.updated)
        with warnings.catch_warnings():
            # References, which jax-triton would have in their place, cannot be lowered inside of
            # `custom_partitioning`: "Cannot lower jaxpr with effects" (JAX 0.12).
            warnings.filterwarnings('ignore', 'input_output_aliases is deprecated')
            results = load().triton_call(
                *call.inputs,
                *call.updated,
                kernel=call.kernel,
                name=call.name,
                grid=(call.programs,),
                out_type=(*map(jax.typeof, call.updated), *call.outputs),
                input_output_aliases={first + i: i for i in range(len(call.updated))},
                compute_capability=capability,
                backend_options=options(call),
                **call.constants,
            )
        return vary_like(tuple(results), call.arrays)

    return launch


def options(call: KernelCall) -> dict[str, Any]:
    """How a kernel is to be compiled. Products and sums are fused, whatever Triton's default is."""
    return {'num_warps': call.warps, 'num_stages': call.stages, 'enable_fp_fusion': True}

"""What XLA is told when a program is compiled, for the devices and the type at hand."""

import functools
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import lax

Options = dict[str, str | bool | int]

# Convolutions in bfloat16 by oneDNN, two to three times as fast as XLA's own on such CPUs. (The
# option `xla_cpu_use_onednn`, which sounds like it, makes them 20 times slower.)
ONEDNN: Options = {'xla_cpu_experimental_onednn_custom_call': True}
ONEDNN_CALL = '__onednn$convolution'
# JAX 0.12.0.1 cannot keep such programs, and says so of each: they are compiled every time.
UNKEPT = 'Error writing persistent compilation cache entry for .*MemoryError'
# LLVM's; 3 is usual. What there is beside oneDNN's convolutions runs as long, and is compiled in
# 0.7 of the time.
SOON: Options = {'xla_backend_optimization_level': 2}
# What Linux calls instructions for products of bfloat16: AVX512-BF16, and AMX.
INSTRUCTIONS = frozenset({'avx512_bf16', 'amx_bf16'})
# Before JAX 0.12, XLA dropped the barriers of rematerialisation on CPUs before it merged equal
# expressions, so that the recomputed activations were the kept ones again.
KEEP_BARRIERS: Options = {'xla_disable_hlo_passes': 'cse_barrier_expander'}
CPUINFO = Path('/proc/cpuinfo')


def compiler_options(device: jax.Device, dtype: str) -> Options | None:
    """Returns what to give to `jax.jit` or `compile` as `compiler_options`; None: nothing.

    Args:
      device: one of those that the program is for.
      dtype: name of the type that its convolutions compute in.
    """
    if device.platform != 'cpu':
        return None
    options: Options = {}
    if jax.__version_info__ < (0, 12):
        options |= KEEP_BARRIERS
    if dtype == 'bfloat16' and has_bfloat16():
        warnings.filterwarnings('ignore', UNKEPT)
        options |= ONEDNN if takes_onednn() else {}
    return options or None


def has_onednn(options: Options | None) -> bool:
    """Returns whether these make convolutions in bfloat16 oneDNN's."""
    return options is not None and ONEDNN.items() <= options.items()


def compile_soon(options: Options | None) -> Options | None:
    """Returns options for a program that runs once, soon after it was asked for."""
    return {**options, **SOON} if options and has_onednn(options) else options


def advise_dtype(device: jax.Device, dtype: str, key: str) -> str:
    """Returns a line for who computes in float32 where bfloat16 is faster; '' elsewhere.

    Args:
      device: one of those that compute.
      dtype: name of the type that they compute in.
      key: how bfloat16 is asked for.
    """
    if dtype != 'float32' or device.platform != 'cpu':
        return ''
    if not (has_bfloat16() and jax.__version_info__ >= (0, 11)):
        return ''
    return (
        'this CPU has instructions for bfloat16, in which many networks are faster here, up to '
        f'twice, and a little less exact: try {key}'
    )


@functools.cache
def has_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Returns whether the CPU has instructions for products of bfloat16; False if not known."""
    try:
        text = cpuinfo.read_text()
    except OSError:  # no Linux
        return False
    return any(
        not INSTRUCTIONS.isdisjoint(line.split())
        for line in text.splitlines()
        if line.startswith('flags')
    )


@functools.cache
def takes_onednn() -> bool:
    """Returns whether this XLA gives a convolution in bfloat16 to oneDNN, by compiling one."""
    x, kernel = (jax.ShapeDtypeStruct(s, jnp.bfloat16) for s in ((1, 8, 8, 16), (3, 3, 16, 16)))
    layout = ('NHWC', 'HWIO', 'NHWC')
    convolve = functools.partial(
        lax.conv_general_dilated, window_strides=(1, 1), padding='SAME', dimension_numbers=layout
    )
    lowered = jax.jit(convolve).lower(x, kernel)
    try:
        return ONEDNN_CALL in (lowered.compile(ONEDNN).as_text() or '')
    except jax.errors.JaxRuntimeError:  # of an XLA that has no such option
        return False

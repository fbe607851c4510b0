"""Runs kernels in Triton's language without a GPU, by Triton's interpreter over NumPy, very slowly.

Triton's own switch for that is of a whole process, and takes tensors of PyTorch. Here a kernel is
interpreted beside others that are compiled: a program of JAX calls back to Python, with addresses.
(`jax.pure_callback` would do but for calls that are split over devices: there it breaks down.)

What Triton 3.9's interpreter does wrong in bfloat16 is mended: it cuts float32 off where a GPU
rounds, and its dot multiplies the bits of the numbers as integers.
"""

import ctypes
import dataclasses
import functools
import hashlib
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..mesh_axes import vary_like
from . import gluon_on_numpy
from .launch import KernelCall

_TARGET = 'sr_jax_interpret_triton'
_CALLS: dict[str, KernelCall] = {}
_LOCK = threading.Lock()  # the interpreter has one state
_BFLOAT16 = np.dtype(jnp.bfloat16)


def interpret(call: KernelCall) -> tuple[Array, ...]:
    """Runs a kernel on the CPU; a `launch.Launch`."""
    _register()
    shapes = tuple(map(_shape, call.updated)) + call.outputs
    flags = tuple(array is not None for array in call.inputs)
    arguments = tuple((a.shape, a.dtype.name) for a in call.arrays)
    constants = sorted(call.constants.items())
    text = repr((call.name, call.programs, flags, arguments, shapes, constants))
    key = hashlib.sha256(text.encode()).hexdigest()
    _CALLS[key] = call._replace(
        inputs=jax.tree.map(_shape, call.inputs), updated=shapes[: len(call.updated)]
    )
    first = sum(flags)
    results = jax.ffi.ffi_call(
        _TARGET,
        shapes,
        input_output_aliases={first + index: index for index in range(len(call.updated))},
        custom_call_api_version=3,
        legacy_backend_config=key,
    )(*vary_like(call.arrays, call.arrays))
    return vary_like(tuple(results), call.arrays)


def _shape(array: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


@functools.cache
def _register() -> None:
    """Tells XLA of `_handle`, as `_TARGET`."""
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype = ctypes.py_object
    new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    address = ctypes.cast(_handle, ctypes.c_void_p).value
    capsule = new_capsule(address, b'xla._CUSTOM_CALL_TARGET', None)
    jax.ffi.register_ffi_target(_TARGET, capsule, platform='cpu', api_version=0)


@ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
)
def _handle(results, arguments, key, length, status):
    """Runs the call of a key on arrays at addresses. What Python raises here nobody catches: the
    results stay NaN, and it is printed."""
    del status
    call = _CALLS[ctypes.string_at(key, length).decode()]
    shapes = call.updated + call.outputs
    if len(shapes) > 1:
        places = ctypes.cast(results, ctypes.POINTER(ctypes.c_void_p))
        targets = [places[index] for index in range(len(shapes))]
    else:
        targets = [results]
    written = [_view(target, shape) for target, shape in zip(targets, shapes, strict=True)]
    for array in written[len(call.updated) :]:
        array.fill(np.nan if jnp.issubdtype(array.dtype, jnp.floating) else -1)
    sources = iter(arguments[index] for index in range(sum(a is not None for a in call.inputs)))
    inputs = [None if a is None else _view(next(sources), a) for a in call.inputs]
    run(call.kernel, call.programs, [*inputs, *written], call.constants)


def _view(address: int, like: Any) -> np.ndarray:
    """The array at an address."""
    numbers = (ctypes.c_char * (like.size * like.dtype.itemsize)).from_address(address)
    return np.frombuffer(numbers, like.dtype).reshape(like.shape)


def run(kernel: Any, programs: int, arrays: list[np.ndarray | None], constants: Any) -> None:
    """Runs the programs of a kernel, one by one, on arrays, some of which it changes."""
    from triton.experimental.gluon._runtime import GluonJITFunction
    from triton.runtime.interpreter import interpreter_builder

    with _LOCK:
        if isinstance(kernel, GluonJITFunction):
            gluon_on_numpy.run(kernel, programs, arrays, constants)
            return
        function = _python(kernel)
        with _interpreting(function):
            arguments = [None if array is None else _pointer(array) for array in arrays]
            interpreter_builder.set_grid_dim(programs, 1, 1)
            for number in range(programs):
                interpreter_builder.set_grid_idx(number, 0, 0)
                function(*arguments, **constants)


def _pointer(array: np.ndarray) -> Any:
    """An array as the interpreter has it: an address."""
    import triton.language as tl
    from triton.runtime.interpreter import TensorHandle

    kind = tl.pointer_type(getattr(tl, array.dtype.name))
    return tl.tensor(TensorHandle(np.array([array.ctypes.data], np.uint64), kind), kind)


@functools.cache
def _python(kernel: Any) -> Callable[..., Any]:
    """The body of a kernel as Python, which calls those of other kernels likewise."""
    from triton.runtime.interpreter import FunctionRewriter
    from triton.runtime.jit import JITFunction

    names = dict(kernel.fn.__globals__)
    for name in kernel.fn.__code__.co_names:
        if isinstance(names.get(name), JITFunction):
            names[name] = _python(names[name])
    body = types.FunctionType(kernel.fn.__code__, names, kernel.fn.__name__, kernel.fn.__defaults__)
    return FunctionRewriter(body).rewrite_ast()


@contextmanager
def _interpreting(function: Callable[..., Any]) -> Iterator[None]:
    """Triton's language means its interpreter meanwhile."""
    import triton.language as tl
    from triton.runtime.interpreter import _patch_lang, interpreter_builder

    scope = _patch_lang(function)
    # These are written in Triton's language, and in this process they are compiled ones.
    add = tl.standard._sum_combine
    scope.set_attr(tl, 'sum', lambda x, axis=None: tl.reduce(x, axis, add))
    scope.set_attr(tl, 'cumsum', lambda x, axis=0: tl.associative_scan(x, axis, add))
    # Otherwise two thirds of the time go into looking whether whole numbers overflow.
    quick = dataclasses.replace(interpreter_builder.options, sanitize_overflow=False)
    scope.set_attr(interpreter_builder, 'options', quick)
    scope.set_attr(interpreter_builder, 'cast_impl', _cast)
    scope.set_attr(interpreter_builder, 'create_dot', _dot)
    try:
        yield
    finally:
        scope.restore()


def _cast(source: Any, kind: Any) -> Any:
    """Numbers as those of another type, rounded to the nearest."""
    from triton.runtime.interpreter import TensorHandle, _get_np_dtype

    numbers, to = _numbers(source), kind.scalar
    rounded = numbers.astype(_BFLOAT16 if to.is_bf16() else _get_np_dtype(to))
    return TensorHandle(rounded.view(_get_np_dtype(to)), to)


def _dot(left: Any, right: Any, total: Any, precision: Any, terms: Any) -> Any:
    """The product of two tiles, in float32, and its sum with a third."""
    from triton.runtime.interpreter import TensorHandle

    del precision, terms
    left, right = (_numbers(factor).astype(np.float32) for factor in (left, right))
    return TensorHandle(left @ right + total.data, total.dtype.scalar)


def _numbers(handle: Any) -> np.ndarray:
    """The array of a handle; the interpreter keeps bfloat16 as whole numbers of 16 bits."""
    data = np.ascontiguousarray(handle.data)
    return data.view(_BFLOAT16) if handle.dtype.scalar.is_bf16() else data

"""Runs kernels in Gluon, Triton's lower language, without a GPU: Triton has no interpreter for it.

The body of a kernel runs as Python, one program after the other, on the few operations of Gluon
below. What is of the machine (layouts, warps, barriers) is left out: values are checked so, and
nothing else. `tests/kernels/gpu/test_gluon_on_numpy.py` holds it to Triton's interpreter on what
both have.
"""

import types
from collections.abc import Callable
from typing import Any

import numpy as np

constexpr = object()  # of annotations
int32, uint16, uint32, float32 = np.int32, np.uint16, np.uint32, np.float32


def run(kernel: Any, programs: int, arrays: list[np.ndarray | None], constants: Any) -> None:
    """Runs the programs of a kernel on arrays, some of which it changes."""
    global _program
    body = _python(kernel, {})
    pointers = [None if array is None else _Pointer(array.reshape(-1), 0) for array in arrays]
    for _program in range(programs):
        body(*pointers, **constants)


def _python(kernel: Any, known: dict[Any, Callable[..., Any]]) -> Callable[..., Any]:
    """The body of a kernel on the operations below, which calls those of others likewise."""
    from triton.experimental.gluon._runtime import GluonJITFunction

    if kernel not in known:
        names = dict(kernel.fn.__globals__, gl=_OPERATIONS, mma_v2=mma_v2)
        code = kernel.fn.__code__
        known[kernel] = types.FunctionType(code, names, code.co_name, kernel.fn.__defaults__)
        for name in code.co_names:
            if isinstance(names.get(name), GluonJITFunction):
                names[name] = _python(names[name], known)
    return known[kernel]


class _Tensor(np.ndarray):
    """Numbers of a program."""

    def to(self, dtype: Any, bitcast: bool = False) -> '_Tensor':
        """The numbers, or their bits, as of another type."""
        return tensor(self.view(dtype) if bitcast else self.astype(dtype))


class _Pointer:
    """Places in an array."""

    def __init__(self, array: np.ndarray, place: Any) -> None:
        self.array, self.place = array, place
        self.dtype = types.SimpleNamespace(element_ty=array.dtype)

    def __add__(self, offset: Any) -> '_Pointer':
        return _Pointer(self.array, self.place + offset)


class _SharedMemory:
    """An array in shared memory, or a part of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def index(self, number: Any) -> '_SharedMemory':
        """One of several buffers."""
        return _SharedMemory(self.array[int(number)])

    def load(self, layout: Any) -> _Tensor:
        """All numbers."""
        del layout
        return tensor(self.array.copy())

    def store(self, value: np.ndarray) -> None:
        """Writes all numbers."""
        self.array[...] = value

    def gather(self, indices: np.ndarray, axis: int) -> _Tensor:
        """Numbers at places along an axis."""
        return tensor(np.take_along_axis(self.array, indices, axis))

    def reinterpret(self, dtype: Any, shape: list[int], layout: Any) -> '_SharedMemory':
        """The same bytes as other numbers."""
        del layout
        return _SharedMemory(self.array.view(dtype).reshape(shape))


def tensor(value: Any) -> _Tensor:
    """Numbers as a program has them."""
    return np.asarray(value).view(_Tensor)


def program_id(axis: int) -> _Tensor:
    """The number of the program."""
    assert axis == 0
    return tensor(np.int32(_program))


def arange(start: int, end: int, layout: Any) -> _Tensor:
    """Whole numbers in a row."""
    del layout
    return tensor(np.arange(start, end, dtype=np.int32))


def zeros(shape: list[int], dtype: Any, layout: Any) -> _Tensor:
    """Zeros."""
    del layout
    return tensor(np.zeros(shape, dtype))


def where(condition: Any, yes: Any, no: Any) -> _Tensor:
    """Numbers of one tensor or of another."""
    return tensor(np.where(condition, yes, no))


def minimum(left: Any, right: Any) -> _Tensor:
    """The lesser of two numbers."""
    return tensor(np.minimum(left, right))


def join(left: Any, right: Any) -> _Tensor:
    """Pairs of the numbers of two tensors."""
    return tensor(np.stack([left, right], axis=-1))


def convert_layout(value: Any, layout: Any) -> Any:
    """The same numbers, held otherwise."""
    del layout
    return value


def allocate_shared_memory(dtype: Any, shape: list[int], layout: Any) -> _SharedMemory:
    """Shared memory that holds anything: here numbers that would show."""
    del layout
    return _SharedMemory(np.full(shape, 77, dtype))


def load(pointer: _Pointer, mask: Any = True, other: Any = 0) -> _Tensor:
    """Numbers of an array where the mask holds."""
    places, mask = np.broadcast_arrays(pointer.place, mask)
    found = pointer.array[np.where(mask, places, 0)]
    return tensor(np.where(mask, found, np.asarray(other).astype(found.dtype)))


def store(pointer: _Pointer, value: Any, mask: Any = True) -> None:
    """Writes numbers into an array where the mask holds."""
    places, mask, value = np.broadcast_arrays(pointer.place, mask, value)
    pointer.array[places[mask]] = value[mask]


def mma_v2(left: Any, right: Any, total: Any) -> _Tensor:
    """A product of two tiles, added to a third."""
    return tensor(left.astype(np.float32) @ right.astype(np.float32) + total)


def _layout(*args: Any) -> None:
    del args


BlockedLayout = SliceLayout = DotOperandLayout = _layout
NVMMADistributedLayout = SwizzledSharedLayout = _layout
_program = 0
_OPERATIONS = types.SimpleNamespace(**globals())

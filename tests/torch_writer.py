"""Writes checkpoints as PyTorch does, for the tests of reading them without it."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {
    **{'float32': 'Float', 'float64': 'Double', 'float16': 'Half', 'bfloat16': 'BFloat16'},
    **{'int64': 'Long', 'uint8': 'Byte'},
}


class View(NamedTuple):
    """An array of another shape, strides (in elements) and offset than its storage has."""

    storage: np.ndarray
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0


class Reference(NamedTuple):
    """What a pickle says of a storage."""

    kind: str
    key: str
    size: int


class Named(NamedTuple):
    """A name, 'module name'."""

    name: str


class Called(NamedTuple):
    """A name, 'module name', that is called when it is unpickled in the ordinary way."""

    name: str
    arguments: tuple


def zipped(
    tree: Any,
    change: Callable[[bytes], bytes] = lambda data: data,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """The bytes of a checkpoint since PyTorch 1.6; `change` is made to its pickle."""
    storages: list[np.ndarray] = []
    data, file = change(pickled(tree, storages)), io.BytesIO()
    with zipfile.ZipFile(file, 'w', compression) as archive:
        archive.writestr('archive/data.pkl', data)
        archive.writestr('archive/byteorder', 'little')
        for i, values in enumerate(storages):
            archive.writestr(f'archive/data/{i}', values.tobytes())
    return file.getvalue()


def unzipped(tree: Any, change: Callable[[bytes], bytes] = lambda data: data) -> bytes:
    """The bytes of a checkpoint before PyTorch 1.6; `change` is made to its pickle."""
    storages: list[np.ndarray] = []
    data = change(pickled(tree, storages))
    system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {'int': 4}}
    heads = (pickle.dumps(value, 2) for value in (MAGIC, 1001, system))
    keys = pickle.dumps([str(i) for i in range(len(storages))], 2)
    bodies = (struct.pack('<q', values.size) + values.tobytes() for values in storages)
    return b''.join((*heads, data, keys, *bodies))


def pickled(tree: Any, storages: list[np.ndarray]) -> bytes:
    """A pickle in which arrays refer to storages, which are appended to the list."""
    return b'\x80\x02' + _value(tree, storages) + b'.'


def _value(value: Any, storages: list[np.ndarray]) -> bytes:
    """The steps that put a value onto the stack."""

    def tuple_of(*values: Any) -> bytes:
        return b'(' + b''.join(_value(inner, storages) for inner in values) + b't'

    match value:
        case View():
            return _global('torch._utils _rebuild_tensor_v2') + _array(value, storages) + b'R'
        case Called():
            return _global(value.name) + tuple_of(*value.arguments) + b'R'
        case Reference():
            return tuple_of('storage', Named(value.kind), value.key, 'cpu', value.size) + b'Q'
        case Named():
            return _global(value.name)
        case np.ndarray():
            strides = tuple(step // value.itemsize for step in value.strides)
            return _value(View(value, value.shape, strides), storages)
        case tuple():
            return tuple_of(*value)
        case dict():
            pairs = ((_value(k, storages), _value(v, storages)) for k, v in value.items())
            return b'}' + b''.join(b'%bs' % b''.join(pair) for pair in pairs)
        case str():
            return pickle.dumps(value, 2)[2:-3]  # without its number, BINPUT 0
    return pickle.dumps(value, 2)[2:-1]


def _array(view: View, storages: list[np.ndarray]) -> bytes:
    if not any(values is view.storage for values in storages):
        storages.append(view.storage)
    number = next(i for i, values in enumerate(storages) if values is view.storage)
    kind = f'torch {STORAGES[view.storage.dtype.name]}Storage'
    storage = Reference(kind, str(number), view.storage.size)
    return _value((storage, view.offset, view.shape, view.strides, False, {}), storages)


def _global(name: str) -> bytes:
    module, _, attribute = name.partition(' ')
    return f'c{module}\n{attribute}\n'.encode()

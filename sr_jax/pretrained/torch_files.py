"""Checkpoints of PyTorch, read without it: the arrays in them and nothing else.

A checkpoint is a pickle of names and of views of storages, and the storages' bytes. Since PyTorch
1.6 they are the parts of a ZIP archive, `<name>/data.pkl` and `<name>/data/<key>`; before, they
followed one another in a file: four pickles (a magic number, a version, the machine's byte order,
the checkpoint itself), the keys of the storages, and for each its length and its bytes. The pickles
are read as notes (`sr_jax.pretrained.pickles`). Source: PyTorch 2.13, `torch/serialization.py` and
`torch/_utils.py`.
"""

import functools
import io
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained import pickles, wrappers
from sr_jax.pretrained.pickles import DICTIONARIES, Name, Note, Stored

ZIPPED = b'PK\x03\x04'
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of what is no archive
MAX_EXPANSION = 8  # times the size of a file, of what it unpacks to
TYPES: dict[str, Any] = {
    **{'float64': 'f8', 'float32': 'f4', 'float16': 'f2', 'bfloat16': jnp.bfloat16},
    **{'int64': 'i8', 'int32': 'i4', 'int16': 'i2', 'int8': 'i1', 'bool': '?'},
    **{'uint64': 'u8', 'uint32': 'u4', 'uint16': 'u2', 'uint8': 'u1'},
}
NOT_READ = ('complex32', 'complex64', 'complex128', 'float8_e4m3fn', 'float8_e5m2')
STORAGES = {
    **{'Double': 'float64', 'Float': 'float32', 'Half': 'float16', 'BFloat16': 'bfloat16'},
    **{'Long': 'int64', 'Int': 'int32', 'Short': 'int16', 'Char': 'int8', 'Byte': 'uint8'},
    'Bool': 'bool',
}
UNTYPED = 'torch.storage.UntypedStorage'  # whose arrays say their types themselves
ARRAYS = {f'torch._utils._rebuild_tensor{version}' for version in ('', '_v2', '_v3')}
PARAMETERS = {'torch._utils._rebuild_parameter', 'torch._utils._rebuild_parameter_with_state'}
OF_TYPE = 'torch._tensor._rebuild_from_type_v2'
NUMPY = ('scalar', '_reconstruct')
MAKING = {*ARRAYS, *PARAMETERS, OF_TYPE}
# What else may stand in a checkpoint, and is not made: sizes, NumPy's numbers, kinds of things.
HARMLESS = {
    *('torch.Size', 'torch.device', 'torch.Tensor', 'torch.nn.parameter.Parameter'),
    *(f'{m}.multiarray.{n}' for m in ('numpy.core', 'numpy._core') for n in NUMPY),
    *('numpy.dtype', 'numpy.ndarray', '_codecs.encode'),
    *(f'{m}.{n}' for m in ('builtins', '__builtin__') for n in ('set', 'list', 'dict', 'complex')),
}
ALLOWED = frozenset(
    {*MAKING, UNTYPED, *HARMLESS, *DICTIONARIES}
    | {f'torch.{name}Storage' for name in STORAGES}
    | {f'torch.{name}' for name in (*TYPES, *NOT_READ)}
)


class View(NamedTuple):
    """An array as a checkpoint says it: strides and offset count elements of the storage."""

    key: str
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Content(NamedTuple):
    """An opened checkpoint: what it says, what gives the bytes of a storage, and their order."""

    tree: Any
    load: Callable[[str], bytes]
    swapped: bool


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint by their names, of the types that they are kept in.

    Raises:
      InputError: it holds other things than arrays, or several dictionaries of them.
      ValueError: it is damaged (or another exception that says so).
    """
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(ZIPPED)) == ZIPPED:
            with zipfile.ZipFile(file) as archive:
                return _read_content(_open_archive(archive, size), size)
        file.seek(0)
        return _read_content(_open_file(file, size), size)


def _open_archive(archive: zipfile.ZipFile, size: int) -> Content:
    if sum(part.file_size for part in archive.infolist()) > _allowed_bytes(size):
        raise ValueError('it is compressed, and many times as large when it is unpacked')
    names = set(archive.namelist())
    folders = {name.partition('/')[0] for name in names}
    folder = folders.pop()
    if folders or f'{folder}/data.pkl' not in names:
        raise ValueError('an archive, but not of PyTorch')
    tree = pickles.read(io.BytesIO(archive.read(f'{folder}/data.pkl')), ALLOWED).value
    order = f'{folder}/byteorder'
    swapped = order in names and archive.read(order) == b'big'
    return Content(tree, lambda key: archive.read(f'{folder}/data/{key}'), swapped)


def _open_file(file: BinaryIO, size: int) -> Content:
    """The content of a checkpoint as PyTorch wrote them before 1.6."""
    if pickles.read(file).value != MAGIC:
        raise ValueError('no checkpoint of PyTorch begins like this')
    pickles.read(file)
    little = pickles.read(file).value['little_endian']
    order: Literal['little', 'big'] = 'little' if little else 'big'
    tree, stored = pickles.read(file, ALLOWED)
    widths = {key: np.dtype(TYPES[kind]).itemsize for key, kind in map(_storage, stored)}
    places = {}
    for key in pickles.read(file).value:
        count = int.from_bytes(file.read(8), order)
        places[key] = file.tell(), count * widths[key]
        file.seek(count * widths[key], os.SEEK_CUR)

    def load(key: str) -> bytes:
        at, length = places[key]
        if at + length > size:
            raise ValueError('it ends within its arrays')
        file.seek(at)
        return file.read(length)

    return Content(tree, load, not little)


def _read_content(content: Content, size: int) -> dict[str, np.ndarray]:
    notes = wrappers.find_state(content.tree, _is_array)
    views = {name: _view(note) for name, note in notes.items()}
    if 4 * sum(math.prod(view.shape) for view in views.values()) > _allowed_bytes(size):
        raise ValueError('its arrays are many times as large as the file')
    load = functools.cache(content.load)  # several arrays may lie in a storage
    return {name: _array(view, load(view.key), content.swapped) for name, view in views.items()}


def _allowed_bytes(size: int) -> int:
    """Bytes that the arrays of a file may take: 16 bits become 32, and names share arrays."""
    return MAX_EXPANSION * size + 2**20


def _is_array(value: Any) -> bool:
    return isinstance(value, Note) and value.name in MAKING


def _view(note: Note) -> View:
    """The array that a note speaks of."""
    arguments = note.arguments
    if note.name in PARAMETERS:
        return _view(arguments[0])
    if note.name == OF_TYPE:
        return _view(Note(arguments[0].name, arguments[2]))
    storage, offset, shape, strides, *rest = arguments
    key, kind = _storage(storage)
    if note.name.endswith('_v3'):
        kind = rest.pop(2).name.removeprefix('torch.')
    if kind not in TYPES:
        raise InputError(
            f'arrays of the type {kind} are not read here: take the weights in floats of 16 or 32 '
            'bits'
        )
    if any(type(n) is not int or n < 0 for n in (offset, *shape, *strides)) or any(rest[2:]):
        raise ValueError('an array of a kind that is not read here')
    return View(key, kind, offset, shape, strides)


def _storage(stored: Stored) -> tuple[str, str]:
    """The key of a storage, and the type of its elements; bytes, where it does not say it."""
    word, kind, key, _, _, *within = stored.reference
    if word != 'storage' or any(within) or not isinstance(key, str) or not isinstance(kind, Name):
        raise ValueError('a storage of a kind that is not read here')
    name = kind.name.removeprefix('torch.').removesuffix('Storage')
    return key, 'uint8' if kind.name == UNTYPED else STORAGES[name]


def _array(view: View, data: bytes, swapped: bool) -> np.ndarray:
    dtype = np.dtype(TYPES[view.kind])
    elements = np.frombuffer(data, f'u{dtype.itemsize}')
    elements = (elements.byteswap() if swapped else elements).view(dtype)
    steps = zip(view.shape, view.strides, strict=True)
    last = view.offset + sum((count - 1) * step for count, step in steps)
    if 0 in view.shape:
        return np.zeros(view.shape, dtype)
    if last >= len(elements):
        raise ValueError('an array goes beyond the end of its storage')
    strides = [step * dtype.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(elements[view.offset :], view.shape, strides)

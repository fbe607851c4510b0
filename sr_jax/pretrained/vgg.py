"""VGG weights of torchvision, to the parameters of `sr_jax.models.vgg` and back.

Reads and writes the state dictionaries of torchvision's vgg16 and vgg19 (without batch
normalization), as mappings from name to array; their classifying layers are passed over. See
`sr_jax.pretrained.layouts` on layouts and checkpoints.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import Entry, layer_entries, plain, read, shorten, write

# Convolutions in each block, by depth; after each comes an activation, after each block a pooling.
CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FEATURES = 'features.'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a VGG: layers in one row, the first a 3 x 3 convolution."""
    state = _features(state)
    in_a_row = all(re.fullmatch(r'features\.\d+\.\w+', name) for name in state)
    return in_a_row and np.shape(state.get('features.0.weight', 0))[2:] == (3, 3)


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `Model` that a state dictionary belongs to: its depth.

    Raises:
      InputError: it is neither of a VGG16 nor of a VGG19.
    """
    found = {name for name in plain(state) if not name.startswith('classifier.')}
    for depth in CONVOLUTIONS:
        if found == {entry.foreign for entry in _entries(depth)}:
            return {'depth': depth}
    raise InputError(
        "these are not the weights of torchvision's vgg16 or vgg19 (without batch normalization); "
        f'feature layers found: {shorten(found)}'
    )


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    A `Model` that ends early takes them too, and leaves the rest.

    Raises:
      InputError: these are not the weights of a VGG.
    """
    depth = fields(state)['depth']
    return read(_features(state), _entries(depth), f'a VGG{depth}')


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of torchvision, without the classifier, for the variables of a VGG.

    Raises:
      InputError: the network ends before its last convolution, conv5_3 or conv5_4.
    """
    params = variables['params']
    entries = list(_entries(19 if 'conv3_4' in params else 16))
    missing = [entry.path[1] for entry in entries if entry.path[1] not in params]
    if missing:
        raise InputError(f'this VGG ends early: it has no {missing[0]}')
    return write(variables, entries)


def _features(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: value for name, value in plain(state).items() if name.startswith(FEATURES)}


def _entries(depth: int) -> Iterator[Entry]:
    index = 0
    for block, convolutions in enumerate(CONVOLUTIONS[depth], 1):
        for number in range(1, convolutions + 1):
            yield from layer_entries(f'features.{index}', (f'conv{block}_{number}',), 'conv')
            index += 2
        index += 1

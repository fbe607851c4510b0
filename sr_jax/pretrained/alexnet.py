"""AlexNet weights of torchvision, to the parameters of `sr_jax.models.alexnet` and back.

As mappings from name to array; the classifying layers are passed over. See
`sr_jax.pretrained.layouts` on layouts and checkpoints.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import Entry, layer_entries, plain, read, write

NETWORK = 'an AlexNet'
INDICES = (0, 3, 6, 8, 10)  # of torchvision's convolutions


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an AlexNet: its first convolution has 11 x 11 taps."""
    return np.shape(plain(state).get('features.0.weight', 0))[2:] == (11, 11)


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `Model` that a state dictionary belongs to: it has none that vary."""
    del state
    return {}


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    found = plain(state).items()
    features = {name: value for name, value in found if not name.startswith('classifier.')}
    return read(features, _entries(), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of torchvision, without the classifier, for an AlexNet's variables.

    Raises:
      InputError: the network ends before its last convolution.
    """
    entries = list(_entries())
    missing = [entry.path[1] for entry in entries if entry.path[1] not in variables['params']]
    if missing:
        raise InputError(f'this AlexNet ends early: it has no {missing[0]}')
    return write(variables, entries)


def _entries() -> Iterator[Entry]:
    for number, index in enumerate(INDICES, 1):
        yield from layer_entries(f'features.{index}', (f'conv{number}_1',), 'conv')

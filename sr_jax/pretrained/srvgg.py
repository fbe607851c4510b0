"""SRVGGNetCompact weights of Real-ESRGAN, to the variables of `sr_jax.models.srvgg` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints. The
original numbers convolutions and activations together: body.0, body.2, ... are convolutions. Of
activations that learn nothing there is no array, so that none tells ReLU from leaky ReLU.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.untold import Untold

NETWORK = 'an SRVGGNetCompact'
SLOPES = 'body.1.weight'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an SRVGGNetCompact: its body begins with a convolution."""
    return np.ndim(plain(state).get('body.0.weight', 0)) == 4


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `SRVGGNetCompact` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    features = shape_of(state, 'body.0.weight', NETWORK)[0]
    last = _find_last(state)
    scale = math.isqrt(shape_of(state, f'body.{last}.weight', NETWORK)[0] // 3)
    return {'scale': scale, 'features': features, 'num_convs': last // 2 - 1}


def untold(state: Mapping[str, Any]) -> dict[str, Untold]:
    """The fields that the arrays do not tell: the activation, where it has no slopes."""
    if SLOPES in plain(state):
        return {}
    return {'activation': Untold(('relu', 'leaky_relu'))}


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    return read(state, _entries(fields(state)['num_convs'], SLOPES in state), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of the original for the variables of an `SRVGGNetCompact`."""
    params = variables['params']
    return write(variables, _entries(count(params, 'block_{}') - 1, 'slope' in params['block_0']))


def _find_last(state: Mapping[str, np.ndarray]) -> int:
    """The number of the last layer."""
    found = (re.fullmatch(r'body\.(\d+)\.weight', name) for name in state)
    return max(int(match[1]) for match in found if match)


def _entries(num_convs: int, has_slopes: bool) -> Iterator[Entry]:
    for i in range(num_convs + 1):
        block = f'block_{i}'
        yield from layer_entries(f'body.{2 * i}', (block, 'conv'), 'conv')
        if has_slopes:
            yield Entry(f'body.{2 * i + 1}.weight', ('params', block, 'slope'), 'vector')
    yield from layer_entries(f'body.{2 * num_convs + 2}', ('conv_last',), 'conv')

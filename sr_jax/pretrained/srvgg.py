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
from sr_jax.pretrained.ncnn_graph import PRELU, Layer
from sr_jax.pretrained.ncnn_layers import NEAREST, PLAIN, RELU, Layers, leaky
from sr_jax.pretrained.untold import Untold

NETWORK = 'an SRVGGNetCompact'
SLOPES = 'body.1.weight'
ACTIVATED = {'prelu': PLAIN, 'relu': RELU, 'leaky_relu': leaky(0.1)}  # convolutions in ncnn


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


def to_ncnn(module: Any, variables: Mapping[str, Any]) -> tuple[list[Layer], dict[str, np.ndarray]]:
    """The layers that an `SRVGGNetCompact` is in ncnn, and their arrays by name."""
    return layers(module.num_convs + 1, module.scale, module.activation), to_torch(variables)


def layers(num_activations: int, scale: int, activation: str = 'prelu') -> list[Layer]:
    """The layers of ncnn of a network of so many activations."""
    net, x = Layers(), 0
    for i in range(num_activations):
        x = net.conv(x, f'body.{2 * i}', ACTIVATED[activation])
        if activation == 'prelu':
            x = net.add(PRELU, x, name=f'body.{2 * i + 1}')
    x = net.conv(x, f'body.{2 * num_activations}')
    x = net.add('PixelShuffle', x, numbers={0: scale})
    net.sum(x, net.enlarge(0, NEAREST, scale))
    return net.made

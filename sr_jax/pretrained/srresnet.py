"""MSRResNet weights of XPixelGroup/BasicSR, to the variables of `sr_jax.models.srresnet` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.ncnn_graph import Layer
from sr_jax.pretrained.ncnn_layers import BILINEAR, RELU, Layers, leaky

NETWORK = 'an MSRResNet'
SLOPE = 0.1


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an MSRResNet: its residual blocks, and its enlarging."""
    return {'body.0.conv1.weight', 'upconv1.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `SRResNet` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    features = shape_of(state, 'conv_first.weight', NETWORK)[0]
    factor_squared = shape_of(state, 'upconv1.weight', NETWORK)[0] // features
    scale = 3 if factor_squared == 9 else 4 if 'upconv2.weight' in state else 2
    num_blocks = count(state, 'body.{}.conv1.weight')
    return {'scale': scale, 'features': features, 'num_blocks': num_blocks}


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    found = fields(state)
    num_ups = 2 if found['scale'] == 4 else 1
    return read(state, _entries(found['num_blocks'], num_ups), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of the original for the variables of an `SRResNet`."""
    params = variables['params']
    return write(variables, _entries(count(params, 'block_{}'), count(params, 'conv_up_{}')))


def _entries(num_blocks: int, num_ups: int) -> Iterator[Entry]:
    for name in ('conv_first', 'conv_hr', 'conv_last'):
        yield from layer_entries(name, (name,), 'conv')
    for i in range(num_blocks):
        for j in range(2):
            yield from layer_entries(f'body.{i}.conv{j + 1}', (f'block_{i}', f'conv_{j}'), 'conv')
    for i in range(num_ups):
        yield from layer_entries(f'upconv{i + 1}', (f'conv_up_{i}',), 'conv')


def to_ncnn(module: Any, variables: Mapping[str, Any]) -> tuple[list[Layer], dict[str, np.ndarray]]:
    """The layers that an `SRResNet` is in ncnn, and their arrays by name."""
    net = Layers()
    x = net.conv(0, 'conv_first', leaky(SLOPE))
    for i in range(module.num_blocks):
        h = net.conv(net.conv(x, f'body.{i}.conv1', RELU), f'body.{i}.conv2')
        x = net.sum(x, h)
    for i, factor in enumerate((2, 2) if module.scale == 4 else (module.scale,)):
        x = net.add('PixelShuffle', net.conv(x, f'upconv{i + 1}'), numbers={0: factor})
        x = net.add('ReLU', x, numbers={0: SLOPE})
    x = net.conv(net.conv(x, 'conv_hr', leaky(SLOPE)), 'conv_last')
    net.sum(x, net.enlarge(0, BILINEAR, module.scale))
    return net.made, to_torch(variables)

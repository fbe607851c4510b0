"""SPAN weights of hongyuanyu/SPAN, to the variables of `sr_jax.models.span` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints. The
original keeps each merged convolution beside the four that it is made of, and makes it anew of
them whenever it is used: it is left out when a file is read, and made when one is written.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.reconstruction import RGB_MEAN
from sr_jax.pretrained.layouts import Entry, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.ncnn_graph import Layer
from sr_jax.pretrained.ncnn_layers import SINGLE, Layers

NETWORK = 'a SPAN'
NUM_BLOCKS = 6
MERGED = '.eval_conv.'
UNNORMALIZED = 'no_norm'
COLOR_RANGE = 255.0  # in which others compute
PARTS = (('sk', 'skip'), ('conv.0', 'expand'), ('conv.1', 'conv'), ('conv.2', 'reduce'))


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a SPAN: its merged convolutions, and what joins the blocks."""
    return {'conv_1.sk.weight', 'block_1.c1_r.sk.weight', 'conv_cat.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `SPAN` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    features, channels = shape_of(state, 'conv_1.sk.weight', NETWORK)[:2]
    last = shape_of(state, 'upsampler.0.weight', NETWORK)[0]
    made = next(c for c in (channels, 3, 4, 1) if math.isqrt(last // c) ** 2 * c == last)
    return {
        'scale': math.isqrt(last // made),
        'features': features,
        'normalize': UNNORMALIZED not in state,
        'in_channels': channels,
        'out_channels': made,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    kept = {n: v for n, v in state.items() if MERGED not in n}
    return read(kept, _entries(), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of the original for the variables of a `SPAN`."""
    state = write(variables, _entries())
    kinds = 'weight', 'bias'
    for name in [n.removesuffix('.sk.weight') for n in state if n.endswith('.sk.weight')]:
        layers = [[state[f'{name}.{part}.{kind}'] for kind in kinds] for part, _ in PARTS]
        for kind, value in zip(kinds, _merge(*layers), strict=True):
            state[f'{name}{MERGED}{kind}'] = value
    return state


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: a mark of networks that do not normalize."""
    return {} if module.normalize else {UNNORMALIZED: np.zeros(1, np.float32)}


def to_ncnn(module: Any, variables: Mapping[str, Any]) -> tuple[list[Layer], dict[str, np.ndarray]]:
    """The layers that a `SPAN` is in ncnn, its merged convolutions, and their arrays by name."""
    net, x, state = Layers(), 0, to_torch(variables)
    if module.normalize:
        x = net.add('Scale', 0, numbers={1: 1}, name='normalize')
        state['normalize.weight'] = np.full(len(RGB_MEAN), COLOR_RANGE, np.float32)
        state['normalize.bias'] = np.array(RGB_MEAN, np.float32) * -COLOR_RANGE
    x = first = net.conv(x, f'conv_1{MERGED[:-1]}')
    outputs = []
    for i in range(NUM_BLOCKS):
        names = [f'block_{i + 1}.c{j + 1}_r{MERGED[:-1]}' for j in range(3)]
        inside = net.add('Swish', net.conv(x, names[0]))
        h = net.conv(net.add('Swish', net.conv(inside, names[1])), names[2])
        weights = net.add('BinaryOp', net.add('Sigmoid', h), numbers={0: 1, 1: 1, 2: 0.5})
        x = net.product(net.sum(h, x), weights)
        outputs.append(x)
    joined = net.concat([first, net.conv(x, f'conv_2{MERGED[:-1]}'), outputs[0], inside])
    x = net.conv(net.conv(joined, 'conv_cat', SINGLE), 'upsampler.0')
    net.add('PixelShuffle', x, numbers={0: module.scale})
    return net.made, state


def _merge(*layers: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and the bias of the convolution that the four of `PARTS` are, of theirs."""
    (skip, skip_bias), (first, b1), (middle, b2), (last, b3) = layers
    kernel = np.einsum('ai,bakl,ob->oikl', first[:, :, 0, 0], middle, last[:, :, 0, 0])
    kernel[:, :, 1, 1] += skip[:, :, 0, 0]
    bias = last[:, :, 0, 0] @ (np.einsum('a,bakl->b', b1, middle) + b2) + b3 + skip_bias
    return np.ascontiguousarray(kernel), bias


def _entries() -> Iterator[Entry]:
    merged: list[tuple[str, tuple[str, ...]]]
    merged = [('conv_1', ('conv_first',)), ('conv_2', ('conv_body',))]
    for i in range(NUM_BLOCKS):
        merged += [
            (f'block_{i + 1}.c{j + 1}_r', (f'block_{i}', f'conv_{j}')) for j in range(3)
        ]
    for foreign, path in merged:
        for theirs, ours in PARTS:
            yield Entry(f'{foreign}.{theirs}.weight', ('params', *path, f'{ours}_kernel'), 'conv')
            yield Entry(f'{foreign}.{theirs}.bias', ('params', *path, f'{ours}_bias'), 'vector')
    yield from layer_entries('conv_cat', ('conv_join',), 'conv')
    yield from layer_entries('upsampler.0', ('conv_last',), 'conv')

"""RGT weights of zhengchen1999/RGT, to the variables of `sr_jax.models.rgt` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.rectangles import is_shifted
from sr_jax.pretrained.layouts import (
    Entry,
    Path,
    count,
    layer_entries,
    plain,
    read,
    shape_of,
    write,
)
from sr_jax.pretrained.rectangles import (
    gated_entries,
    read_rectangle,
    rectangle_constants,
    rectangle_entries,
    rectangle_side,
)
from sr_jax.pretrained.transformers import (
    count_body,
    count_groups,
    count_ups,
    grouped_entries,
    norm_entries,
    read_head,
)

NETWORK = 'an RGT'
BLOCK = 'layers.{}.blocks.{}'
FIRST = BLOCK.format(0, 0)
NORM = BLOCK + '.norm1.weight'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an RGT: its blocks' factors, and its attention's convolution."""
    return {f'{FIRST}.gamma', f'{FIRST}.attn.get_v.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `RGT` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its groups differ.
    """
    state = plain(state)
    features, channels = shape_of(state, 'conv_first.weight', NETWORK)[:2]
    num_groups, num_blocks = count_groups(state, NORM, NETWORK)
    height, width = read_rectangle(state, f'{FIRST}.attn', NETWORK)
    head = read_head(state, channels, NETWORK)
    last = f'{FIRST}.attn.attns.0.pos.pos3.2.weight'
    reduced = BLOCK.format(0, 1) + '.attn.conv.weight'
    return {
        'scale': head['scale'],
        'features': features,
        'num_groups': num_groups,
        'num_blocks': num_blocks,
        'heads': 2 * shape_of(state, last, NETWORK)[0],
        'split': (height, width),
        'reduced': shape_of(state, reduced, NETWORK)[0],
        'hidden': shape_of(state, f'{FIRST}.mlp.fc1.weight', NETWORK)[0],
        'use_bias': f'{FIRST}.attn.qkv.bias' in state,
        'head_features': shape_of(state, 'conv_last.weight', NETWORK)[1],
        'body_convolutions': count_body(state),
        'trained_size': rectangle_side(state, BLOCK, height * width),
        'in_channels': channels,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    kinds = count_body(state), f'{FIRST}.attn.qkv.bias' in state
    num_ups = count_ups(state, 'pixel_shuffle')
    return read(state, _entries(*count_groups(state, NORM, NETWORK), *kinds, num_ups), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters by the names of the original for the variables of an `RGT`."""
    params = variables['params']
    sizes = count(params, 'group_{}_conv'), count(params, 'group_0_block_{}')
    depth = count(params['conv_body'], 'conv_{}')
    use_bias = 'bias' in params['group_0_block_0']['attention']['qkv']
    num_ups = count(params['reconstruction'], 'up_{}')
    return write(variables, _entries(*sizes, depth, use_bias, num_ups))


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: places in windows, and masks of shifted ones."""
    made: dict[str, np.ndarray] = {}
    for i, j in np.ndindex(module.num_groups, module.num_blocks):
        if j % 2 == 0:
            name = BLOCK.format(i, j) + '.attn'
            shifted = is_shifted(i, j)
            made |= rectangle_constants(name, module.split, shifted, module.trained_size)
    return made


def _entries(
    num_groups: int, num_blocks: int, depth: int, use_bias: bool, num_ups: int
) -> Iterator[Entry]:
    def blocks(i: int) -> Iterator[Entry]:
        for j in range(num_blocks):
            foreign, path = BLOCK.format(i, j), (f'group_{i}_block_{j}',)
            yield Entry(f'{foreign}.gamma', ('params', *path, 'gamma'), 'vector')
            for k in (1, 2):
                yield from norm_entries(f'{foreign}.norm{k}', (*path, f'norm_{k}'))
            attention = _general_entries if j % 2 else _local_entries
            yield from attention(f'{foreign}.attn', (*path, 'attention'), use_bias)
            yield from gated_entries(f'{foreign}.mlp', (*path, 'mlp'))

    head = 'pixel_shuffle', num_ups
    return grouped_entries('before_RG.1', num_groups, depth, head, blocks)


def _local_entries(foreign: str, path: Path, use_bias: bool) -> Iterator[Entry]:
    yield from layer_entries(f'{foreign}.qkv', (*path, 'qkv'), 'linear', use_bias)
    yield from layer_entries(f'{foreign}.proj', (*path, 'proj'), 'linear')
    yield from layer_entries(f'{foreign}.get_v', (*path, 'conv'), 'conv')
    yield from rectangle_entries(foreign, (*path, 'windows'))


def _general_entries(foreign: str, path: Path, use_bias: bool) -> Iterator[Entry]:
    for name in ('q', 'k', 'v'):
        yield from layer_entries(f'{foreign}.{name}', (*path, name), 'linear', use_bias)
    yield from layer_entries(f'{foreign}.proj', (*path, 'proj'), 'linear')
    names = {'reduction1': 'reduce', 'dwconv': 'conv_small', 'conv': 'conv_reduced'}
    for theirs, ours in {**names, 'cpe': 'conv_values'}.items():
        yield from layer_entries(f'{foreign}.{theirs}', (*path, ours), 'conv')
    yield from norm_entries(f'{foreign}.norm_act.0', (*path, 'norm'))

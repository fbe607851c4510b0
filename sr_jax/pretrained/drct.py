"""DRCT weights of ming053l/DRCT, to the variables of `sr_jax.models.drct` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.windows import relative_positions
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
from sr_jax.pretrained.transformers import (
    body_entries,
    count_body,
    count_ups,
    head_entries,
    mask_constant,
    mask_side,
    norm_entries,
    position_constant,
    read_head,
    same_of_all,
    swin_entries,
)

NETWORK = 'a DRCT'
FIRST = 'layers.0.swin1'
TABLE = '.attn.relative_position_bias_table'
NUM_BLOCKS = 5


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a DRCT: its blocks, and what narrows them."""
    return {FIRST + TABLE, 'layers.0.adjust5.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `DRCT` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its groups differ.
    """
    state = plain(state)
    features, channels = shape_of(state, 'conv_first.weight', NETWORK)[:2]
    num_groups = count(state, 'layers.{}.adjust1.weight')
    tables = (shape_of(state, f'layers.{i}.swin1{TABLE}', NETWORK) for i in range(num_groups))
    rows, heads = same_of_all(tables, 'heads and windows', NETWORK)
    window = (math.isqrt(rows) + 1) // 2
    head = read_head(state, channels, NETWORK)
    return {
        'scale': head['scale'],
        'features': features,
        'num_groups': num_groups,
        'heads': heads,
        'window': window,
        'growth': shape_of(state, 'layers.0.adjust1.weight', NETWORK)[0],
        'mlp_ratio': shape_of(state, f'{FIRST}.mlp.fc1.weight', NETWORK)[0] / features,
        'head_features': shape_of(state, 'conv_last.weight', NETWORK)[1],
        'body_convolutions': count_body(state),
        'use_bias': f'{FIRST}.attn.qkv.bias' in state,
        'trained_size': mask_side(state, 'layers.0.swin2.attn_mask', window, 64),
        'in_channels': channels,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    kinds = count_body(state), f'{FIRST}.attn.qkv.bias' in state, count_ups(state, 'pixel_shuffle')
    return read(state, _entries(count(state, 'layers.{}.adjust1.weight'), *kinds), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters by the names of the original for the variables of a `DRCT`."""
    params = variables['params']
    depth = count(params.get('conv_body', {}), 'conv_{}')
    use_bias = 'bias' in params['group_0']['block_0']['attention']['qkv']
    num_ups = count(params['reconstruction'], 'up_{}')
    return write(variables, _entries(count(params, 'group_{}'), depth, use_bias, num_ups))


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: the places in windows, and masks of shifted ones."""
    window, size = (module.window,) * 2, (module.trained_size,) * 2
    positions = position_constant(relative_positions(window))
    mask = mask_constant(size, window, (module.window // 2,) * 2)
    made = {}
    for i, j in np.ndindex(module.num_groups, NUM_BLOCKS):
        name = f'layers.{i}.swin{j + 1}'
        made[f'{name}.attn.relative_position_index'] = positions
        if j % 2:
            made[f'{name}.attn_mask'] = mask
    return made


def _entries(num_groups: int, depth: int, use_bias: bool, num_ups: int) -> Iterator[Entry]:
    yield from layer_entries('conv_first', ('conv_first',), 'conv')
    yield from norm_entries('patch_embed.norm', ('norm_first',))
    yield from norm_entries('norm', ('norm_last',))
    yield from body_entries('conv_after_body', ('conv_body',), depth)
    for i, j in np.ndindex(num_groups, NUM_BLOCKS):
        path: Path = (f'group_{i}',)
        yield from swin_entries(f'layers.{i}.swin{j + 1}', (*path, f'block_{j}'), use_bias)
        yield from layer_entries(f'layers.{i}.adjust{j + 1}', (*path, f'conv_{j}'), 'conv')
    yield from head_entries('pixel_shuffle', num_ups)

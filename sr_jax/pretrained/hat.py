"""HAT weights of XPixelGroup/HAT, to the variables of `sr_jax.models.hat` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.windows import overlapping_positions, relative_positions
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
    count_body,
    count_groups,
    count_ups,
    grouped_entries,
    norm_entries,
    position_constant,
    read_head,
    same_of_all,
)

NETWORK = 'a HAT'
GROUP = 'layers.{}.residual_group'
BLOCK = GROUP + '.blocks.{}'
FIRST = BLOCK.format(0, 0)
NORM = BLOCK + '.norm1.weight'
TABLE = 'relative_position_bias_table'
OVERLAPPING = GROUP.format(0) + f'.overlap_attn.{TABLE}'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a HAT: its channel blocks and overlapping windows."""
    return {f'{FIRST}.conv_block.cab.0.weight', OVERLAPPING} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `HAT` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its groups differ.
    """
    state = plain(state)
    features, channels = shape_of(state, 'conv_first.weight', NETWORK)[:2]
    num_groups, num_blocks = count_groups(state, NORM, NETWORK)
    tables = (f'{BLOCK.format(i, 0)}.attn.{TABLE}' for i in range(num_groups))
    heads = (shape_of(state, table, NETWORK)[1] for table in tables)
    window = (math.isqrt(shape_of(state, f'{FIRST}.attn.{TABLE}', NETWORK)[0]) + 1) // 2
    joint = math.isqrt(shape_of(state, OVERLAPPING, NETWORK)[0]) + 1
    cab = f'{FIRST}.conv_block.cab'
    head = read_head(state, channels, NETWORK)
    return {
        'scale': head['scale'],
        'features': features,
        'num_groups': num_groups,
        'num_blocks': num_blocks,
        'heads': same_of_all(heads, 'heads', NETWORK),
        'window': window,
        'overlap': joint // 2 - window,
        'hidden': shape_of(state, f'{FIRST}.mlp.fc1.weight', NETWORK)[0],
        'compressed': shape_of(state, f'{cab}.0.weight', NETWORK)[0],
        'squeezed': shape_of(state, f'{cab}.3.attention.1.weight', NETWORK)[0],
        'head_features': shape_of(state, 'conv_last.weight', NETWORK)[1],
        'body_convolutions': count_body(state),
        'use_bias': f'{FIRST}.attn.qkv.bias' in state,
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
    """The parameters by the names of the original for the variables of a `HAT`."""
    params = variables['params']
    sizes = count(params, 'group_{}_overlapping'), count(params, 'group_0_block_{}')
    depth = count(params.get('conv_body', {}), 'conv_{}')
    use_bias = 'bias' in params['group_0_block_0']['attention']['qkv']
    num_ups = count(params['reconstruction'], 'up_{}')
    return write(variables, _entries(*sizes, depth, use_bias, num_ups))


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: places in windows and in the larger ones."""
    window, overlap = module.window, module.overlap
    return {
        'relative_position_index_SA': position_constant(relative_positions((window, window))),
        'relative_position_index_OCA': position_constant(overlapping_positions(window, overlap)),
    }


def _entries(
    num_groups: int, num_blocks: int, depth: int, use_bias: bool, num_ups: int
) -> Iterator[Entry]:
    def blocks(i: int) -> Iterator[Entry]:
        for j in range(num_blocks):
            foreign, path = BLOCK.format(i, j), (f'group_{i}_block_{j}',)
            yield from _attention_entries(f'{foreign}.attn', (*path, 'attention'), use_bias)
            yield from _mlp_entries(foreign, path)
            cab, inside = f'{foreign}.conv_block.cab', (*path, 'channels')
            yield from layer_entries(f'{cab}.0', (*inside, 'conv_0'), 'conv')
            yield from layer_entries(f'{cab}.2', (*inside, 'conv_1'), 'conv')
            for k, ours in ((1, 'squeeze'), (3, 'excite')):
                name = f'{cab}.3.attention.{k}'
                yield from layer_entries(name, (*inside, 'attention', ours), 'conv')
        foreign, path = GROUP.format(i) + '.overlap_attn', (f'group_{i}_overlapping',)
        yield from _attention_entries(foreign, path, use_bias)
        yield from _mlp_entries(foreign, path)

    head = 'pixel_shuffle', num_ups
    return grouped_entries('patch_embed.norm', num_groups, depth, head, blocks)


def _attention_entries(foreign: str, path: Path, use_bias: bool) -> Iterator[Entry]:
    yield Entry(f'{foreign}.{TABLE}', ('params', *path, 'bias_table'), 'vector')
    yield from layer_entries(f'{foreign}.qkv', (*path, 'qkv'), 'linear', use_bias)
    yield from layer_entries(f'{foreign}.proj', (*path, 'proj'), 'linear')


def _mlp_entries(foreign: str, path: Path) -> Iterator[Entry]:
    for i in (1, 2):
        yield from norm_entries(f'{foreign}.norm{i}', (*path, f'norm_{i}'))
        yield from layer_entries(f'{foreign}.mlp.fc{i}', (*path, 'mlp', f'fc{i}'), 'linear')

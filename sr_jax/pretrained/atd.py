"""ATD weights of LabShuHangGU/Adaptive-Token-Dictionary, to `sr_jax.models.atd` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints. How many
pixels a category's groups have is in no array: 128 in the light networks, 256 in the others.
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
    convolved_entries,
    count_body,
    count_groups,
    count_ups,
    grouped_entries,
    head_of,
    norm_entries,
    position_constant,
    read_head,
    same_of_all,
)

NETWORK = 'an ATD'
BLOCK = 'layers.{}.residual_group.layers.{}'
FIRST = BLOCK.format(0, 0)
NORM = BLOCK + '.norm1.weight'
TABLE = '.attn_win.relative_position_bias_table'
UNNORMALIZED = 'no_norm'
LIGHT_FEATURES, LIGHT_SIZE, SIZE = 48, 128, 256


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an ATD: its attention to tokens and among categories."""
    own = {f'{FIRST}.attn_atd.wq.weight', f'{FIRST}.attn_aca.logit_scale'}
    return own <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `ATD` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its groups differ.
    """
    state = plain(state)
    features, channels = shape_of(state, 'conv_first.weight', NETWORK)[:2]
    num_groups, num_blocks = count_groups(state, NORM, NETWORK)
    heads = (shape_of(state, BLOCK.format(i, 0) + TABLE, NETWORK)[1] for i in range(num_groups))
    head = read_head(state, channels, NETWORK)
    is_light = head['head'] == 'direct' and features == LIGHT_FEATURES
    convolution = f'{FIRST}.convffn.dwconv.depthwise_conv.0.weight'
    return {
        **head,
        'features': features,
        'num_groups': num_groups,
        'num_blocks': num_blocks,
        'heads': same_of_all(heads, 'heads', NETWORK),
        'window': (math.isqrt(shape_of(state, FIRST + TABLE, NETWORK)[0]) + 1) // 2,
        'category_size': LIGHT_SIZE if is_light else SIZE,
        'dictionary_size': shape_of(state, f'{FIRST}.attn_atd.scale', NETWORK)[0],
        'reduced': shape_of(state, f'{FIRST}.attn_atd.wq.weight', NETWORK)[0],
        'hidden': shape_of(state, f'{FIRST}.convffn.fc1.weight', NETWORK)[0],
        'kernel_size': shape_of(state, convolution, NETWORK)[2],
        'body_convolutions': count_body(state),
        'use_bias': f'{FIRST}.wqkv.bias' in state,
        'normalize': UNNORMALIZED not in state,
        'in_channels': channels,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    head = str(read_head(state, 1, NETWORK)['head'])
    kinds = count_body(state), f'{FIRST}.wqkv.bias' in state, head, count_ups(state, head)
    num_groups, num_blocks = count_groups(state, NORM, NETWORK)
    return read(state, _entries(num_groups, num_blocks, *kinds), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters by the names of the original for the variables of an `ATD`."""
    params = variables['params']
    sizes = count(params, 'group_{}_conv'), count(params, 'group_0_block_{}')
    kinds = count(params['conv_body'], 'conv_{}'), 'bias' in params['group_0_block_0']['qkv']
    head = head_of(params['reconstruction'])
    return write(variables, _entries(*sizes, *kinds, *head))


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: places in windows, a mark of other colors."""
    positions = position_constant(relative_positions((module.window, module.window)))
    mark = {} if module.normalize else {UNNORMALIZED: np.zeros(1, np.float32)}
    return {'relative_position_index_SA': positions, **mark}


def _entries(
    num_groups: int, num_blocks: int, depth: int, use_bias: bool, head: str, num_ups: int
) -> Iterator[Entry]:
    def blocks(i: int) -> Iterator[Entry]:
        tokens = ('params', f'group_{i}_tokens')
        yield Entry(f'layers.{i}.residual_group.td', tokens, 'vector')
        for j in range(num_blocks):
            foreign, path = BLOCK.format(i, j), (f'group_{i}_block_{j}',)
            yield from _block_entries(foreign, path, use_bias)
            if j < num_blocks - 1:
                parts = {'norm3.weight': 'norm_scale', 'norm3.bias': 'norm_bias', 'sigma': 'keep'}
                for theirs, ours in parts.items():
                    yield Entry(f'{foreign}.{theirs}', ('params', *path, ours), 'vector')

    return grouped_entries('patch_embed.norm', num_groups, depth, (head, num_ups), blocks)


def _block_entries(foreign: str, path: Path, use_bias: bool) -> Iterator[Entry]:
    for i in (1, 2):
        yield from norm_entries(f'{foreign}.norm{i}', (*path, f'norm_{i}'))
    yield from layer_entries(f'{foreign}.wqkv', (*path, 'qkv'), 'linear', use_bias)
    yield Entry(f'{foreign}{TABLE}', ('params', *path, 'windows', 'bias_table'), 'vector')
    yield from layer_entries(f'{foreign}.attn_win.proj', (*path, 'windows', 'proj'), 'linear')
    for name in ('q', 'k', 'v'):
        theirs = f'{foreign}.attn_atd.w{name}'
        yield from layer_entries(theirs, (*path, 'tokens', name), 'linear', use_bias)
    yield Entry(f'{foreign}.attn_atd.scale', ('params', *path, 'tokens', 'scale'), 'vector')
    inside = (*path, 'category')
    yield Entry(f'{foreign}.attn_aca.logit_scale', ('params', *inside, 'temperature'), 'vector')
    yield from layer_entries(f'{foreign}.attn_aca.proj', (*inside, 'proj'), 'linear', use_bias)
    yield from convolved_entries(f'{foreign}.convffn', (*path, 'mlp'))

"""SRFormer weights of HVision-NKU/SRFormer, to those of `sr_jax.models.srformer` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.windows import permuted_positions
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
    mask_side,
    norm_entries,
    permuted_mask_constant,
    position_constant,
    read_head,
    same_of_all,
)

NETWORK = 'an SRFormer'
BLOCK = 'layers.{}.residual_group.blocks.{}'
FIRST = BLOCK.format(0, 0)
NORM = BLOCK + '.norm1.weight'
TABLE = '.attn.relative_position_bias_table'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an SRFormer: its keys' layer, and the MLPs' convolutions."""
    own = {f'{FIRST}.attn.kv.weight', f'{FIRST}.mlp.dwconv.depthwise_conv.0.weight'}
    return own <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `SRFormer` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its groups differ.
    """
    state = plain(state)
    features, channels = shape_of(state, 'conv_first.weight', NETWORK)[:2]
    num_groups, num_blocks = count_groups(state, NORM, NETWORK)
    heads = (shape_of(state, BLOCK.format(i, 0) + TABLE, NETWORK)[1] for i in range(num_groups))
    window = math.isqrt(shape_of(state, FIRST + TABLE, NETWORK)[0]) + 1
    mask = BLOCK.format(0, 1) + '.attn_mask'
    return {
        **read_head(state, channels, NETWORK),
        'features': features,
        'num_groups': num_groups,
        'num_blocks': num_blocks,
        'heads': same_of_all(heads, 'heads', NETWORK),
        'window': window,
        'hidden': shape_of(state, f'{FIRST}.mlp.fc1.weight', NETWORK)[0],
        'body_convolutions': count_body(state),
        'use_bias': f'{FIRST}.attn.q.bias' in state,
        'trained_size': mask_side(state, mask, window, 2 * window),
        'in_channels': channels,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    head = str(read_head(state, 1, NETWORK)['head'])
    kinds = count_body(state), f'{FIRST}.attn.q.bias' in state, head, count_ups(state, head)
    num_groups, num_blocks = count_groups(state, NORM, NETWORK)
    return read(state, _entries(num_groups, num_blocks, *kinds), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters by the names of the original for the variables of an `SRFormer`."""
    params = variables['params']
    sizes = count(params, 'group_{}_conv'), count(params, 'group_0_block_{}')
    depth = count(params['conv_body'], 'conv_{}')
    use_bias = 'bias' in params['group_0_block_0']['attention']['q']
    head = head_of(params['reconstruction'])
    return write(variables, _entries(*sizes, depth, use_bias, *head))


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: the places in windows, and masks of shifted ones."""
    positions = position_constant(permuted_positions(module.window))
    mask = permuted_mask_constant(module.trained_size, module.window)
    made = {}
    for i, j in np.ndindex(module.num_groups, module.num_blocks):
        name = BLOCK.format(i, j)
        made[f'{name}.attn.aligned_relative_position_index'] = positions
        if j % 2:
            made[f'{name}.attn_mask'] = mask
    return made


def _entries(
    num_groups: int, num_blocks: int, depth: int, use_bias: bool, head: str, num_ups: int
) -> Iterator[Entry]:
    def blocks(i: int) -> Iterator[Entry]:
        for j in range(num_blocks):
            yield from _block_entries(BLOCK.format(i, j), (f'group_{i}_block_{j}',), use_bias)

    return grouped_entries('patch_embed.norm', num_groups, depth, (head, num_ups), blocks)


def _block_entries(foreign: str, path: Path, use_bias: bool) -> Iterator[Entry]:
    inside = (*path, 'attention')
    yield Entry(f'{foreign}{TABLE}', ('params', *inside, 'bias_table'), 'vector')
    for name in ('q', 'kv', 'proj'):
        biased = use_bias or name == 'proj'
        yield from layer_entries(f'{foreign}.attn.{name}', (*inside, name), 'linear', biased)
    for i in (1, 2):
        yield from norm_entries(f'{foreign}.norm{i}', (*path, f'norm_{i}'))
    yield from convolved_entries(f'{foreign}.mlp', (*path, 'mlp'))

"""DAT weights of zhengchen1999/DAT, to the variables of `sr_jax.models.dat` and back.

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
    batch_norm_entries,
    count_body,
    count_groups,
    count_ups,
    grouped_entries,
    head_of,
    norm_entries,
    read_head,
    with_counters,
    without_counters,
)

NETWORK = 'a DAT'
BLOCK = 'layers.{}.blocks.{}'
FIRST = BLOCK.format(0, 0)
NORM = BLOCK + '.norm1.weight'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a DAT: what adapts its attention, and its gated MLPs."""
    own = {f'{FIRST}.attn.spatial_interaction.0.weight', f'{FIRST}.ffn.sg.conv.weight'}
    return own <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `DAT` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its groups differ.
    """
    state = plain(state)
    features, channels = shape_of(state, 'conv_first.weight', NETWORK)[:2]
    num_groups, num_blocks = count_groups(state, NORM, NETWORK)
    height, width = read_rectangle(state, f'{FIRST}.attn', NETWORK)
    last = f'{FIRST}.attn.attns.0.pos.pos3.2.weight'
    return {
        **read_head(state, channels, NETWORK),
        'features': features,
        'num_groups': num_groups,
        'num_blocks': num_blocks,
        'heads': 2 * shape_of(state, last, NETWORK)[0],
        'split': (height, width),
        'hidden': shape_of(state, f'{FIRST}.ffn.fc1.weight', NETWORK)[0],
        'use_bias': f'{FIRST}.attn.qkv.bias' in state,
        'body_convolutions': count_body(state),
        'trained_size': rectangle_side(state, BLOCK, height * width),
        'in_channels': channels,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collections 'params' and 'batch_stats' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = without_counters(plain(state))
    head, depth = str(read_head(state, 1, NETWORK)['head']), count_body(state)
    kinds = depth, f'{FIRST}.attn.qkv.bias' in state, head, count_ups(state, head)
    num_groups, num_blocks = count_groups(state, NORM, NETWORK)
    return read(state, _entries(num_groups, num_blocks, *kinds), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters by the names of the original for the variables of a `DAT`."""
    params = variables['params']
    num_groups = count(params, 'group_{}_conv')
    num_blocks, depth = count(params, 'group_0_block_{}'), count(params['conv_body'], 'conv_{}')
    use_bias = 'bias' in params['group_0_block_0']['attention']['qkv']
    head = head_of(params['reconstruction'])
    entries = _entries(num_groups, num_blocks, depth, use_bias, *head)
    return with_counters(write(variables, entries))


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
    num_groups: int, num_blocks: int, depth: int, use_bias: bool, head: str, num_ups: int
) -> Iterator[Entry]:
    def blocks(i: int) -> Iterator[Entry]:
        for j in range(num_blocks):
            foreign, path = BLOCK.format(i, j), (f'group_{i}_block_{j}',)
            for k in (1, 2):
                yield from norm_entries(f'{foreign}.norm{k}', (*path, f'norm_{k}'))
            yield from _attention_entries(f'{foreign}.attn', (*path, 'attention'), j % 2, use_bias)
            yield from gated_entries(f'{foreign}.ffn', (*path, 'mlp'))

    return grouped_entries('before_RG.1', num_groups, depth, (head, num_ups), blocks)


def _attention_entries(
    foreign: str, path: Path, over_channels: int, use_bias: bool
) -> Iterator[Entry]:
    yield from layer_entries(f'{foreign}.qkv', (*path, 'qkv'), 'linear', use_bias)
    yield from layer_entries(f'{foreign}.proj', (*path, 'proj'), 'linear')
    yield from layer_entries(f'{foreign}.dwconv.0', (*path, 'conv'), 'conv')
    yield from batch_norm_entries(f'{foreign}.dwconv.1', (*path, 'norm'))
    for theirs, ours, first in (('channel', 'channel_map', 1), ('spatial', 'spatial_map', 0)):
        name, inside = f'{foreign}.{theirs}_interaction', (*path, ours)
        yield from layer_entries(f'{name}.{first}', (*inside, 'conv_0'), 'conv')
        yield from batch_norm_entries(f'{name}.{first + 1}', (*inside, 'norm'))
        yield from layer_entries(f'{name}.{first + 3}', (*inside, 'conv_1'), 'conv')
    if over_channels:
        yield Entry(f'{foreign}.temperature', ('params', *path, 'temperature'), 'vector')
        return
    yield from rectangle_entries(foreign, (*path, 'windows'))

"""SwinIR weights of JingyunLiang/SwinIR, to the variables of `sr_jax.models.swinir` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints. Files
with windows of 7 pixels are those of networks against JPEG artifacts, which compute in colors of 0
to 255; that range is in no array.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.windows import relative_positions
from sr_jax.pretrained.layouts import Entry, count, plain, read, shape_of, write
from sr_jax.pretrained.transformers import (
    count_body,
    count_groups,
    count_ups,
    grouped_entries,
    head_of,
    mask_constant,
    mask_side,
    position_constant,
    read_head,
    same_of_all,
    swin_entries,
)

NETWORK = 'a SwinIR'
BLOCK = 'layers.{}.residual_group.blocks.{}'
FIRST = BLOCK.format(0, 0)
NORM = BLOCK + '.norm1.weight'
JPEG_WINDOW, JPEG_RANGE = 7, 255.0
MAX_CHANNELS = 4  # of images
UNSHUFFLED = 'conv_first.1.'  # where the input is laid out in channels, in a layer before


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a SwinIR: its blocks, without the further parts of others'."""
    state = plain(state)
    own = {f'{FIRST}.attn.relative_position_bias_table', f'{FIRST}.attn.qkv.weight'}
    others = f'{FIRST}.conv_block.', f'{FIRST}.mlp.dwconv.'
    return own <= state.keys() and not any(name.startswith(others) for name in state)


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `SwinIR` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its groups differ.
    """
    state = _usual_names(plain(state))
    features, channels = shape_of(state, 'conv_first.weight', NETWORK)[:2]
    unshuffle = 1 if channels <= MAX_CHANNELS else math.isqrt(channels // 3)
    channels //= unshuffle**2
    num_groups, num_blocks = count_groups(state, NORM, NETWORK)
    table = '.attn.relative_position_bias_table'
    heads = (shape_of(state, BLOCK.format(i, 0) + table, NETWORK)[1] for i in range(num_groups))
    window = (math.isqrt(shape_of(state, FIRST + table, NETWORK)[0]) + 1) // 2
    head = read_head(state, channels, NETWORK)
    return {
        **head,
        'scale': head['scale'] // unshuffle,
        'features': features,
        'num_groups': num_groups,
        'num_blocks': num_blocks,
        'heads': same_of_all(heads, 'heads', NETWORK),
        'window': window,
        'hidden': shape_of(state, f'{FIRST}.mlp.fc1.weight', NETWORK)[0],
        'body_convolutions': count_body(state),
        'unshuffle': unshuffle,
        'color_range': JPEG_RANGE if window == JPEG_WINDOW else 1.0,
        'trained_size': mask_side(state, BLOCK.format(0, 1) + '.attn_mask', window, 64),
        'in_channels': channels,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = _usual_names(plain(state))
    found = fields(state)
    num_ups = count_ups(state, found['head'])
    sizes = found['num_groups'], found['num_blocks'], found['body_convolutions']
    return read(state, _entries(*sizes, found['head'], num_ups), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters by the names of the original for the variables of a `SwinIR`."""
    params = variables['params']
    num_groups = count(params, 'group_{}_conv')
    num_blocks, depth = count(params, 'group_0_block_{}'), count(params['conv_body'], 'conv_{}')
    head = head_of(params['reconstruction'])
    state = write(variables, _entries(num_groups, num_blocks, depth, *head))
    if state['conv_first.weight'].shape[1] <= MAX_CHANNELS:
        return state
    return {name.replace('conv_first.', UNSHUFFLED): value for name, value in state.items()}


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: the places in windows, and masks of shifted ones."""
    window, side = module.window, module.trained_size
    positions = position_constant(relative_positions((window, window)))
    made = {}
    for i, j in np.ndindex(module.num_groups, module.num_blocks):
        made[BLOCK.format(i, j) + '.attn.relative_position_index'] = positions
        if j % 2:
            mask = mask_constant((side, side), (window,) * 2, (window // 2,) * 2)
            made[BLOCK.format(i, j) + '.attn_mask'] = mask
    return made


def _usual_names(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state with the first convolution under its name where no layer is before it."""
    return {name.replace(UNSHUFFLED, 'conv_first.'): value for name, value in state.items()}


def _entries(
    num_groups: int, num_blocks: int, depth: int, head: str, num_ups: int
) -> Iterator[Entry]:
    def blocks(i: int) -> Iterator[Entry]:
        for j in range(num_blocks):
            yield from swin_entries(BLOCK.format(i, j), (f'group_{i}_block_{j}',))

    return grouped_entries('patch_embed.norm', num_groups, depth, (head, num_ups), blocks)

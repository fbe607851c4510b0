"""OmniSR weights of Francis0625/Omni-SR, to the variables of `sr_jax.models.omnisr` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints. Where
attentions have no biases by place, no array tells the windows' side; all published have 8.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

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
from sr_jax.pretrained.transformers import State, count_groups, norm_entries

NETWORK = 'an OmniSR'
GROUP = 'residual_layer.{}'
LAYER = 'residual_layer.{}.residual_layer.{}.layer'
FIRST = LAYER.format(0, 0)
TABLE = f'{FIRST}.2.fn.rel_pos_bias.weight'
WINDOW = 8
COUNTED = ('total_ops', 'total_params')  # what a program that counts operations leaves in files
# The layers of a block by their numbers there, and what they are called here.
PIXELS = {2: 'window_pixels', 8: 'grid_pixels'}
CHANNELS = {5: 'window_channels', 11: 'grid_channels'}
GATES = {4: 'window_gate_0', 6: 'window_gate_1', 10: 'grid_gate_0', 12: 'grid_gate_1'}


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an OmniSR: its blocks, and what enlarges."""
    return {f'{FIRST}.0.fn.0.weight', 'up.0.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `OmniSR` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its groups differ.
    """
    state = plain(state)
    features, channels = shape_of(state, 'input.weight', NETWORK)[:2]
    last = shape_of(state, 'up.0.weight', NETWORK)[0]
    made = next(c for c in (channels, 3, 4, 1) if math.isqrt(last // c) ** 2 * c == last)
    num_groups, num_blocks = _count(state)
    rows = state[TABLE].shape[0] if TABLE in state else (2 * WINDOW - 1) ** 2
    return {
        'scale': math.isqrt(last // made),
        'features': features,
        'num_groups': num_groups,
        'num_blocks': num_blocks,
        'window': (math.isqrt(rows) + 1) // 2,
        'positions': TABLE in state,
        'use_bias': 'input.bias' in state,
        'in_channels': channels,
        'out_channels': made,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = {name: v for name, v in plain(state).items() if not name.endswith(COUNTED)}
    kinds = TABLE in state, 'input.bias' in state
    return read(state, _entries(*_count(state), *kinds), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of the original for the variables of an `OmniSR`."""
    params = variables['params']
    sizes = count(params, 'group_{}_conv'), count(params, 'group_0_block_{}')
    positions = 'bias_table' in params['group_0_block_0']['window_pixels']
    return write(variables, _entries(*sizes, positions, 'bias' in params['conv_first']))


def _count(state: State) -> tuple[int, int]:
    first = LAYER + '.0.fn.0.weight'
    return count_groups(state, first, NETWORK)


def _entries(
    num_groups: int, num_blocks: int, positions: bool, use_bias: bool
) -> Iterator[Entry]:
    names = {'input': 'conv_first', 'output': 'conv_body', 'up.0': 'conv_last'}
    for i in range(num_groups):
        names[f'{GROUP.format(i)}.residual_layer.{num_blocks}'] = f'group_{i}_conv'
    for theirs, ours in names.items():
        yield from layer_entries(theirs, (ours,), 'conv', use_bias)
    parts = {'conv1': 'conv_0', 'conv2': 'conv_down', 'conv3': 'conv_pooled'}
    parts |= {'conv_f': 'conv_same', 'conv4': 'conv_last'}
    for i in range(num_groups):
        for theirs, ours in parts.items():
            path = f'group_{i}_attention', ours
            yield from layer_entries(f'{GROUP.format(i)}.esa.{theirs}', path, 'conv')
        for j in range(num_blocks):
            yield from _block_entries(LAYER.format(i, j), (f'group_{i}_block_{j}',), positions)


def _block_entries(foreign: str, path: Path, positions: bool) -> Iterator[Entry]:
    for i, ours in ((0, 'conv_0'), (2, 'conv_1'), (5, 'conv_2')):
        yield from layer_entries(f'{foreign}.0.fn.{i}', (*path, 'local', ours), 'conv')
    for i, ours in ((1, 'squeeze'), (3, 'excite')):
        name = f'{foreign}.0.fn.4.gate.{i}'
        yield from layer_entries(name, (*path, 'local', ours), 'linear', False)
    for i, ours in {**PIXELS, **CHANNELS, **GATES}.items():
        yield from norm_entries(f'{foreign}.{i}.norm', (*path, f'norm_{ours}'))
    for i, ours in PIXELS.items():
        name, inside = f'{foreign}.{i}.fn', (*path, ours)
        yield from layer_entries(f'{name}.to_qkv', (*inside, 'qkv'), 'linear', False)
        yield from layer_entries(f'{name}.to_out.0', (*inside, 'proj'), 'linear', False)
        if positions:
            yield Entry(f'{name}.rel_pos_bias.weight', ('params', *inside, 'bias_table'), 'vector')
    for i, ours in CHANNELS.items():
        name, inside = f'{foreign}.{i}.fn', (*path, ours)
        yield Entry(f'{name}.temperature', ('params', *inside, 'temperature'), 'vector')
        for theirs, layer in (('qkv', 'qkv'), ('qkv_dwconv', 'conv'), ('project_out', 'proj')):
            yield from layer_entries(f'{name}.{theirs}', (*inside, layer), 'conv', False)
    for i, ours in GATES.items():
        for j, theirs in enumerate(('project_in', 'dwconv', 'project_out')):
            name = f'{foreign}.{i}.fn.{theirs}'
            yield from layer_entries(name, (*path, ours, f'conv_{j}'), 'conv', False)

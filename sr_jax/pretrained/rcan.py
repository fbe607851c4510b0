"""RCAN weights of yulunzhang/RCAN, to the variables of `sr_jax.models.rcan` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints. The
mean color is kept there as two convolutions, which are always the same.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.reconstruction import RGB_MEAN
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.transformers import State, count_groups

NETWORK = 'an RCAN'
BLOCK = 'body.{}.body.{}.body'
FIRST = BLOCK.format(0, 0)
COLOR_RANGE = 255


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an RCAN: its blocks, and what ends them."""
    return {f'{FIRST}.3.conv_du.0.weight', 'tail.1.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `RCAN` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its groups differ.
    """
    state = plain(state)
    channels, features = shape_of(state, 'tail.1.weight', NETWORK)[:2]
    num_groups, num_blocks, head, num_ups = _count(state)
    ups = (shape_of(state, f'tail.0.{2 * i}.weight', NETWORK)[0] for i in range(num_ups))
    scale = math.prod(math.isqrt(made // features) for made in ups)
    given = shape_of(state, f'head.{head}.weight', NETWORK)[1]
    return {
        'scale': scale // math.isqrt(given // channels),
        'features': features,
        'num_groups': num_groups,
        'num_blocks': num_blocks,
        'squeezed': shape_of(state, f'{FIRST}.3.conv_du.0.weight', NETWORK)[0],
        'normalize': 'sub_mean.weight' in state,
        'unshuffle': bool(head),
        'in_channels': channels,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    return read(state, _entries(*_count(state)), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters by the names of the original for the variables of an `RCAN`."""
    params = variables['params']
    sizes = count(params, 'group_{}_conv'), count(params, 'group_0_block_{}')
    channels = params['conv_last']['kernel'].shape[-1]
    head = int(params['conv_first']['kernel'].shape[2] > channels)
    return write(variables, _entries(*sizes, head, count(params, 'up_{}')))


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: what takes the mean color off, and adds it."""
    if not module.normalize:
        return {}
    made = {}
    for name, sign in (('sub_mean', -1), ('add_mean', 1)):
        made[f'{name}.weight'] = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
        made[f'{name}.bias'] = sign * COLOR_RANGE * np.array(RGB_MEAN, np.float32)
    return made


def _count(state: State) -> tuple[int, int, int, int]:
    """The groups, the blocks in each, the number of the first convolution, and the enlargings."""
    first = BLOCK + '.0.weight'
    sizes = count_groups(state, first, NETWORK)
    num_ups = sum(name.startswith('tail.0.') and name.endswith('.weight') for name in state)
    return *sizes, int('head.1.weight' in state), num_ups


def _entries(num_groups: int, num_blocks: int, head: int, num_ups: int) -> Iterator[Entry]:
    names = {f'head.{head}': 'conv_first', f'body.{num_groups}': 'conv_body'}
    names |= {f'tail.0.{2 * i}': f'up_{i}' for i in range(num_ups)} | {'tail.1': 'conv_last'}
    for i in range(num_groups):
        names[f'body.{i}.body.{num_blocks}'] = f'group_{i}_conv'
    for theirs, ours in names.items():
        yield from layer_entries(theirs, (ours,), 'conv')
    for i, j in np.ndindex(num_groups, num_blocks):
        foreign, path = BLOCK.format(i, j), (f'group_{i}_block_{j}',)
        yield from layer_entries(f'{foreign}.0', (*path, 'conv_0'), 'conv')
        yield from layer_entries(f'{foreign}.2', (*path, 'conv_1'), 'conv')
        for k, ours in ((0, 'squeeze'), (2, 'excite')):
            name = f'{foreign}.3.conv_du.{k}'
            yield from layer_entries(name, (*path, 'attention', ours), 'conv')

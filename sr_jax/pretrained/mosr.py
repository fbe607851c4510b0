"""MoSR weights of umzi2/MoSR, to the variables of `sr_jax.models.mosr` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.dysample import initial_offsets
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.transformers import State, norm_entries

NETWORK = 'a MoSR'
FIRST = 'gblocks.1'
OFFSETS = 'upsampler.init_pos'
GROUPS = 4
ENSEMBLE = 8
SAMPLING = 'upsampler.offset.weight'
HEADS = {'upsampler.0': 'sub_pixel', 'upsampler.in_to_k': 'ensemble'}


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a MoSR: its gated blocks, and what they are added to."""
    own = {f'{FIRST}.fc1.weight', f'{FIRST}.conv.weight', 'shortcut.conv11.weight'}
    return own <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `MoSR` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    features, channels = shape_of(state, 'gblocks.0.weight', NETWORK)[:2]
    convolved, _, kernel_size, _ = shape_of(state, f'{FIRST}.conv.weight', NETWORK)
    name, head = _find_head(state)
    last, made = shape_of(state, f'{name}.weight', NETWORK)[0], channels
    if head == 'dysample':
        made = shape_of(state, 'upsampler.end_conv.weight', NETWORK)[0]
    parts = {'dysample': 2 * GROUPS, 'ensemble': ENSEMBLE * channels, 'sub_pixel': channels}[head]
    return {
        'scale': math.isqrt(last // parts),
        'features': features,
        'num_blocks': _count_blocks(state),
        'hidden': shape_of(state, f'{FIRST}.fc1.weight', NETWORK)[0] // 2,
        'convolved': convolved,
        'kernel_size': kernel_size,
        'head': head,
        'in_channels': channels,
        'out_channels': made,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    return read(state, _entries(_count_blocks(state), _find_head(state)[0]), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters by the names of the original for the variables of a `MoSR`."""
    params, num_blocks = variables['params'], count(variables['params'], 'block_{}')
    if 'dysample' in params:
        return write(variables, _entries(num_blocks, SAMPLING.removesuffix('.weight')))
    made = params['conv_last']['kernel'].shape[-1] // params['conv_first']['kernel'].shape[2]
    single = math.isqrt(made) ** 2 == made
    return write(variables, _entries(num_blocks, list(HEADS)[not single]))


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: the offsets of a bilinear enlargement."""
    if module.head != 'dysample':
        return {}
    return {OFFSETS: initial_offsets(module.scale, GROUPS).reshape(1, -1, 1, 1)}


def _count_blocks(state: State) -> int:
    number = 0
    while f'gblocks.{number + 1}.fc1.weight' in state:
        number += 1
    return number


def _find_head(state: State) -> tuple[str, str]:
    """The name of the layer that enlarges, and the kind of the head."""
    known = ((name, head) for name, head in HEADS.items() if f'{name}.weight' in state)
    return next(known, (SAMPLING.removesuffix('.weight'), 'dysample'))


def _entries(num_blocks: int, head: str) -> Iterator[Entry]:
    names = {'gblocks.0': 'conv_first', 'shortcut.conv11': 'skip_pixels'}
    names |= {f'shortcut.block.{2 * i}': f'skip_{i}' for i in range(2)}
    for i, ours in ((1, 'conv_wide'), (3, 'conv_narrow'), (5, 'conv_body')):
        names[f'gblocks.{num_blocks + i}'] = ours
    if head in HEADS:
        names[head] = 'conv_last'
    for theirs, ours in names.items():
        yield from layer_entries(theirs, (ours,), 'conv')
    for i in range(num_blocks):
        foreign, path = f'gblocks.{i + 1}', (f'block_{i}',)
        yield from norm_entries(f'{foreign}.norm', (*path, 'norm'))
        for theirs, ours in (('fc1', 'conv_0'), ('conv', 'large'), ('fc2', 'conv_1')):
            yield from layer_entries(f'{foreign}.{theirs}', (*path, ours), 'conv')
    if head not in HEADS:
        yield from layer_entries('upsampler.offset', ('dysample', 'offset'), 'conv')
        yield from layer_entries('upsampler.scope', ('dysample', 'scope'), 'conv', False)
        yield from layer_entries('upsampler.end_conv', ('dysample', 'conv_last'), 'conv')

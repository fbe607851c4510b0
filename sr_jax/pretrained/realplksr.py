"""RealPLKSR weights of neosr, to the variables of `sr_jax.models.realplksr` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints. The
groups of its norms are in no array; neosr's are four.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.dysample import initial_offsets
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.transformers import norm_entries

NETWORK = 'a RealPLKSR'
FIRST = 'feats.1'
OFFSETS = 'to_img.init_pos'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a RealPLKSR: its mixers of channels and large kernels."""
    return {f'{FIRST}.channel_mixer.0.weight', f'{FIRST}.lk.conv.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `RealPLKSR` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    num_blocks = _count_blocks(state)
    last = shape_of(state, f'feats.{num_blocks + 2}.weight', NETWORK)[0]
    partial, _, kernel_size, _ = shape_of(state, f'{FIRST}.lk.conv.weight', NETWORK)
    return {
        'scale': math.isqrt(last // 3),
        'features': shape_of(state, 'feats.0.weight', NETWORK)[0],
        'num_blocks': num_blocks,
        'kernel_size': kernel_size,
        'partial': partial,
        'attention': f'{FIRST}.attn.f.0.weight' in state,
        'norm': 'layer' if f'{FIRST}.layer_norm.weight' in state else 'group',
        'dysample': 'to_img.offset.weight' in state,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    found = fields(state)
    ends = found['dysample'] and found['scale'] > 1
    kinds = found['attention'], found['norm'], found['dysample'], ends
    return read(state, _entries(found['num_blocks'], *kinds), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters by the names of the original for the variables of a `RealPLKSR`."""
    params = variables['params']
    block, sampling = params['block_0'], params.get('dysample', {})
    norm = 'group' if 'group_norm' in block else 'layer'
    kinds = 'attention' in block, norm, bool(sampling), 'conv_last' in sampling
    return write(variables, _entries(count(params, 'block_{}'), *kinds))


def constants(module: Any) -> dict[str, np.ndarray]:
    """What the original's files hold besides: the offsets of a bilinear enlargement."""
    if not module.dysample:
        return {}
    scale = module.scale
    return {OFFSETS: initial_offsets(scale, 3 if scale % 2 else 4).reshape(1, -1, 1, 1)}


def _count_blocks(state: Mapping[str, np.ndarray]) -> int:
    number = 0
    while f'feats.{number + 1}.lk.conv.weight' in state:
        number += 1
    return number


def _entries(
    num_blocks: int, attention: bool, norm: str, dysample: bool, ends: bool
) -> Iterator[Entry]:
    yield from layer_entries('feats.0', ('conv_first',), 'conv')
    layers = {'channel_mixer.0': 'mixer_0', 'channel_mixer.2': 'mixer_1', 'lk.conv': 'large'}
    layers |= {'attn.f.0': 'attention'} if attention else {}
    for i in range(num_blocks):
        foreign, path = f'feats.{i + 1}', (f'block_{i}',)
        for theirs, ours in {**layers, 'refine': 'refine'}.items():
            yield from layer_entries(f'{foreign}.{theirs}', (*path, ours), 'conv')
        name = 'layer_norm' if norm == 'layer' else 'norm'
        yield from norm_entries(f'{foreign}.{name}', (*path, f'{norm}_norm'))
    yield from layer_entries(f'feats.{num_blocks + 2}', ('conv_last',), 'conv')
    if dysample:
        yield from layer_entries('to_img.offset', ('dysample', 'offset'), 'conv')
        yield from layer_entries('to_img.scope', ('dysample', 'scope'), 'conv', False)
    if ends:
        yield from layer_entries('to_img.end_conv', ('dysample', 'conv_last'), 'conv')

"""GLEAN's weights by mmagic's names, to the variables of `sr_jax.models.glean` and back.

The generator lies in them below 'generator.', by any names that `sr_jax.pretrained.stylegan2`
reads; written are mmagic's.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.pretrained import stylegan2
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write

NETWORK = 'a GLEAN'
BANK = 'generator'
ENCODER = 'encoder.0.0'
BLOCK = f'{ENCODER}.body.{{}}.rdb1.conv1.weight'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of the authors' GLEAN."""
    return {f'{ENCODER}.conv_first.weight', 'fusion_out.0.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `GLEAN` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    return {
        'in_size': 2 << count(state, 'fusion_out.{}.weight'),
        'features': shape_of(state, f'{ENCODER}.conv_first.weight', NETWORK)[0],
        'num_blocks': count(state, BLOCK),
        'growth': shape_of(state, BLOCK.format(0), NETWORK)[0],
        **stylegan2.fields(split_bank(state, BANK)[0]),
    }


def constants(module: Any) -> dict[str, np.ndarray]:
    """The filters of the generator."""
    return {f'{BANK}.{name}': value for name, value in stylegan2.constants(module).items()}


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params', and the generator's within 'generator', as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    bank, own = split_bank(plain(state), BANK)
    found = fields(state)
    own_entries = entries(found['in_size'], found['size'], found['num_blocks'])
    return {**read(own, own_entries, NETWORK), BANK: stylegan2.from_torch(bank)}


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of mmagic's for the variables of a `GLEAN`."""
    params = variables['params']
    ups = [int(name.removeprefix('up_')) for name in params if re.fullmatch(r'up_\d+', name)]
    own = write(variables, entries(min(ups) // 2, max(ups), count(params, 'block_{}')))
    theirs = stylegan2.to_mmagic(stylegan2.to_torch(variables[BANK]))
    return {**own, **{f'{BANK}.{name}': value for name, value in theirs.items()}}


def split_bank(
    state: Mapping[str, np.ndarray], name: str
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The arrays whose names begin with the generator's, without it, and the others."""
    begin = f'{name}.'
    bank = {k.removeprefix(begin): v for k, v in state.items() if k.startswith(begin)}
    return bank, {k: v for k, v in state.items() if not k.startswith(begin)}


def entries(in_size: int, size: int, num_blocks: int) -> Iterator[Entry]:
    """The arrays of a network but those of its generator."""
    for name in ('conv_first', 'conv_body'):
        yield from layer_entries(f'{ENCODER}.{name}', (name,), 'conv')
    yield from block_entries(f'{ENCODER}.body', num_blocks)
    yield from layer_entries('encoder.0.1', ('conv_in',), 'conv')
    resolutions = in_size.bit_length() - 2
    for i in range(1, resolutions):
        for j in (0, 1):
            ours = (f'down_{in_size >> i}_{j}',)
            yield from layer_entries(f'encoder.{i}.{2 * j}', ours, 'conv')
    yield from layer_entries(f'encoder.{resolutions}.0', ('conv_styles',), 'conv')
    yield from layer_entries(f'encoder.{resolutions}.3', ('styles',), 'flattened4')
    for i in range(resolutions):
        yield from layer_entries(f'fusion_out.{i}', (f'fusion_{4 << i}',), 'conv')
        yield from layer_entries(f'fusion_skip.{i}', (f'fusion_image_{4 << i}',), 'conv')
    ups = size.bit_length() - in_size.bit_length()
    for i in range(ups):
        ours = (f'up_{in_size << (i + 1)}',)
        yield from layer_entries(f'decoder.{i}.upsample_conv', ours, 'conv')
    for i, name in ((0, 'conv_hr'), (2, 'conv_last')):
        yield from layer_entries(f'decoder.{ups}.{i}', (name,), 'conv')


def block_entries(theirs: str, num_blocks: int) -> Iterator[Entry]:
    """The arrays of the encoder's blocks."""
    for i, j, k in np.ndindex(num_blocks, 3, 5):
        ours = (f'block_{i}', f'rdb_{j}', f'conv_{k}')
        yield from layer_entries(f'{theirs}.{i}.rdb{j + 1}.conv{k + 1}', ours, 'conv')

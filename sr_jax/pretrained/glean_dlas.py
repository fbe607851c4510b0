"""Weights of DL-Art-School's GLEAN, to the variables of `sr_jax.models.glean_dlas` and back.

The generator lies in them by rosinality's names, below 'latent_bank.bank.'.
"""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from sr_jax.pretrained import stylegan2
from sr_jax.pretrained.glean import block_entries, split_bank
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write

NETWORK = "a GLEAN of DL-Art-School's"
BANK = 'latent_bank.bank'
FIRST = 'encoder.initial_conv.conv.weight'
BLOCK = 'encoder.rrdb_blocks.{}.rdb1.conv1.weight'
REDUCER = 'encoder.reducers.{}'
OURS = 'generator'  # the collection of the generator's


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of DL-Art-School's GLEAN."""
    return {FIRST, 'encoder.latent_linear.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `GLEAN` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    bank = stylegan2.fields(split_bank(state, BANK)[0])
    reducers = count(state, f'{REDUCER}.structural_latent_conv.conv.weight')
    in_size = 2 << reducers
    last = f'{REDUCER.format(reducers - 1)}.process.0.conv.weight'
    return {
        'in_size': in_size,
        'size': in_size << count(state, 'decoder.decoder_blocks.{}.conv.weight'),
        'bank_size': bank.pop('size'),
        'features': shape_of(state, FIRST, NETWORK)[0],
        'max_features': shape_of(state, last, NETWORK)[0],
        'num_blocks': count(state, BLOCK),
        'growth': shape_of(state, BLOCK.format(0), NETWORK)[0],
        **bank,
    }


def constants(module: Any) -> dict[str, np.ndarray]:
    """The filters of the generator."""
    bank = SimpleNamespace(size=module.bank_size or module.size)
    return {f'{BANK}.{name}': value for name, value in stylegan2.constants(bank).items()}


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params', and the generator's within 'generator', as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    bank, own = split_bank(plain(state), BANK)
    found = fields(state)
    own_entries = entries(found['in_size'], found['size'], found['num_blocks'])
    return {**read(own, own_entries, NETWORK), OURS: stylegan2.from_torch(bank)}


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of DL-Art-School's for the variables of a `GLEAN`."""
    params = variables['params']
    decoded = [int(name.removeprefix('decode_')) for name in params if name.startswith('decode_')]
    own = write(variables, entries(min(decoded) // 2, max(decoded), count(params, 'block_{}')))
    bank = stylegan2.to_torch(variables[OURS])
    return {**own, **{f'{BANK}.{name}': value for name, value in bank.items()}}


def entries(in_size: int, size: int, num_blocks: int) -> Iterator[Entry]:
    """The arrays of a network but those of its generator."""
    yield from layer_entries('encoder.initial_conv.conv', ('conv_first',), 'conv')
    yield from block_entries('encoder.rrdb_blocks', num_blocks)
    reducers = in_size.bit_length() - 2
    for i in range(reducers):
        theirs, side = REDUCER.format(i), in_size >> i
        ours = (f'structure_{side}',)
        yield from layer_entries(f'{theirs}.structural_latent_conv.conv', ours, 'conv')
        for j in (0, 1):
            down = (f'down_{side}_{j}',)
            yield from layer_entries(f'{theirs}.process.{j}.conv', down, 'conv', use_bias=False)
        fusion = f'latent_bank.fusion_blocks.{reducers - 1 - i}.conv'
        yield from layer_entries(fusion, (f'fusion_{side}',), 'conv')
    yield from layer_entries('encoder.latent_conv.conv', ('conv_latents',), 'conv')
    yield from layer_entries('encoder.latent_linear', ('latents',), 'linear')
    yield from layer_entries('decoder.initial_conv.conv', ('decode',), 'conv')
    for i in range(size.bit_length() - in_size.bit_length()):
        ours = (f'decode_{in_size << (i + 1)}',)
        yield from layer_entries(f'decoder.decoder_blocks.{i}.conv', ours, 'conv')
    yield from layer_entries('decoder.final_decode.conv', ('conv_last',), 'conv')

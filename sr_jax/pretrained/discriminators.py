"""Discriminator weights, to the variables of `sr_jax.models.discriminators` and back.

Reads and writes the state dictionaries of XPixelGroup/BasicSR's VGGStyleDiscriminator (with batch
norm; by the same names with group norm) and UNetDiscriminatorSN, as mappings from name to array;
see `sr_jax.pretrained.layouts` on layouts and checkpoints.

The number of batches that PyTorch's batch norms count (`num_batches_tracked`) takes no part in
anything here: it is not read, and written as 0.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.untold import Untold

NETWORK = 'a discriminator'
COUNTER = 'num_batches_tracked'
STAGES = (5, 6)
SPECTRAL = range(1, 9)
TAPS = {1: 4, 2: 4, 3: 4}  # of spectrally normalized convolutions; of the others 3


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a discriminator, of either form."""
    names = plain(state).keys()
    return 'conv0_0.weight' in names or {'conv0.weight', 'conv1.weight_orig'} <= names


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `Discriminator` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    if 'conv1.weight_orig' in state:
        return {'form': 'unet', 'features': shape_of(state, 'conv0.weight', NETWORK)[0]}
    features = shape_of(state, 'conv0_0.weight', NETWORK)[0]
    stages = count(state, 'conv{}_0.weight')
    if stages not in STAGES:
        raise InputError(f'these are not the weights of {NETWORK}: {stages} stages of convolutions')
    channels = shape_of(state, f'conv{stages - 1}_1.weight', NETWORK)[0]
    side = math.isqrt(shape_of(state, 'linear1.weight', NETWORK)[1] // channels)
    norm = 'batch' if 'bn0_1.running_mean' in state else 'group'
    return {'form': 'vgg', 'features': features, 'size': side * 2**stages, 'norm': norm}


def untold(state: Mapping[str, Any]) -> dict[str, Untold]:
    """The fields that the arrays do not tell: whether a U-Net has skips; published ones have."""
    return {'skips': Untold((True, False), True)} if 'conv1.weight_orig' in plain(state) else {}


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collections 'params' and 'batch_stats' or 'spectral_norm' of a state, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = {k: v for k, v in plain(state).items() if not k.endswith(COUNTER)}
    found = fields(state)
    if found['form'] == 'unet':
        return read(state, _unet_entries(), f'{NETWORK} of the unet form')
    stages = count(state, 'conv{}_0.weight')
    entries = _vgg_entries(stages, found['norm'], found['size'] // 2**stages)
    return read(state, entries, f'{NETWORK} of the vgg form')


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of the original for the variables of a `Discriminator`."""
    params = variables['params']
    stages = count(params, 'stage_{}')
    if not stages:
        return write(variables, _unet_entries())
    norm = 'batch' if 'batch_stats' in variables else 'group'
    channels = params[f'stage_{stages - 1}']['conv_1']['kernel'].shape[-1]
    side = math.isqrt(len(params['linear_0']['kernel']) // channels)
    state = write(variables, _vgg_entries(stages, norm, side))
    counters = [k.replace('running_mean', COUNTER) for k in state if k.endswith('running_mean')]
    return state | {name: np.zeros((), np.int64) for name in counters}


def _vgg_entries(stages: int, norm: str, side: int) -> Iterator[Entry]:
    for i, j in np.ndindex(stages, 2):
        first, path = i == j == 0, (f'stage_{i}', f'norm_{j}')
        yield from layer_entries(f'conv{i}_{j}', (f'stage_{i}', f'conv_{j}'), 'conv', first)
        if first:
            continue
        yield Entry(f'bn{i}_{j}.weight', ('params', *path, 'scale'), 'vector')
        yield Entry(f'bn{i}_{j}.bias', ('params', *path, 'bias'), 'vector')
        if norm == 'batch':
            for theirs, ours in (('running_mean', 'mean'), ('running_var', 'var')):
                yield Entry(f'bn{i}_{j}.{theirs}', ('batch_stats', *path, ours), 'vector')
    yield from layer_entries('linear1', ('linear_0',), f'flattened{side}')
    yield from layer_entries('linear2', ('linear_1',), 'linear')


def _unet_entries() -> Iterator[Entry]:
    for i in (0, 9):
        yield from layer_entries(f'conv{i}', (f'conv_{i}',), 'conv')
    for i in SPECTRAL:
        name = f'conv_{i}'
        yield Entry(f'conv{i}.weight_orig', ('params', name, 'kernel'), 'conv')
        yield Entry(f'conv{i}.weight_u', ('spectral_norm', name, 'u'), 'vector')
        yield Entry(f'conv{i}.weight_v', ('spectral_norm', name, 'v'), f'taps{TAPS.get(i, 3)}')

"""MUSIQ weights of pyiqa, to the variables of `sr_jax.models.musiq` and back.

As mappings from name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints. Their
heads are always 6.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.transformers import norm_entries

NETWORK = 'a MUSIQ'
ENCODER = 'transformer_encoder'
BLOCK = f'{ENCODER}.transformer.encoderblock_{{}}'
PLACES = f'{ENCODER}.posembed_input.position_emb'
SCALES = f'{ENCODER}.scaleembed_input.scale_emb'
FIRST = f'{ENCODER}.cls'
STEM = {
    'conv_root': 'root',
    'block1.conv_proj': 'skip',
    **{f'block1.conv{i + 1}': f'conv_{i}' for i in range(3)},
}


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a MUSIQ: its first convolution, and its places on a grid."""
    return {'conv_root.weight', PLACES} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `Musiq` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    _, places, features = shape_of(state, PLACES, NETWORK)
    return {
        'features': features,
        'num_layers': count(state, f'{BLOCK}.norm1.weight'),
        'hidden': shape_of(state, f'{BLOCK.format(0)}.mlp.fc1.weight', NETWORK)[0],
        'grid': round(places**0.5),
        'classes': shape_of(state, f'{_head(state)}.weight', NETWORK)[0],
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    entries = _entries(fields(state)['num_layers'], _head(state))
    flat = {name: _flatten(name, value) for name, value in state.items()}
    return read(flat, entries, NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of pyiqa for the variables of a `Musiq`."""
    params = variables['params']
    head = 'head' if np.shape(params['head']['bias']) == (1,) else 'head.0'
    state = write(variables, _entries(count(params, 'block_{}'), head))
    return state | {PLACES: state[PLACES][None], FIRST: state[FIRST][None, None]}


def _head(state: Mapping[str, Any]) -> str:
    """The name of the last layer, which a softmax follows where there are classes."""
    return 'head' if 'head.weight' in state else 'head.0'


def _flatten(name: str, value: np.ndarray) -> np.ndarray:
    """An array without the axes of 1 that two have."""
    axes = {PLACES: 1, FIRST: 2}.get(name, 0)
    return value.reshape(value.shape[axes:]) if value.shape[:axes] == (1,) * axes else value


def _entries(num_layers: int, head: str) -> Iterator[Entry]:
    for theirs, ours in STEM.items():
        yield from layer_entries(theirs, ('stem', ours), 'conv', use_bias=False)
        norm = theirs.replace('conv_', 'gn_').replace('conv', 'gn')
        yield from norm_entries(norm, ('stem', f'{ours}_norm'))
    yield from layer_entries('embedding', ('embedding',), 'linear')
    for theirs, ours in ((PLACES, 'places'), (SCALES, 'scales'), (FIRST, 'first')):
        yield Entry(theirs, ('params', ours), 'vector')
    for i in range(num_layers):
        foreign, path = BLOCK.format(i), (f'block_{i}',)
        for layer in ('query', 'key', 'value', 'out'):
            yield from layer_entries(f'{foreign}.attention.{layer}', (*path, layer), 'linear')
        for j, layer in enumerate(('fc1', 'fc2')):
            yield from layer_entries(f'{foreign}.mlp.{layer}', (*path, layer), 'linear')
            yield from norm_entries(f'{foreign}.norm{j + 1}', (*path, f'norm_{j}'))
    yield from norm_entries(f'{ENCODER}.encoder_norm', ('norm',))
    yield from layer_entries(head, ('head',), 'linear')

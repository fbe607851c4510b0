"""Arrays of PyTorch state dictionaries to our names and layouts, and back.

A network's own file lists its arrays as `Entry`s; the rest is here. PyTorch lays kernels out as
[out, in, height, width], linear layers as [out, in], images as [channel, height, width].
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import traverse_util

from sr_jax.errors import InputError

Path = tuple[str, ...]
SHOWN = 4  # names of arrays in a message
LONGEST = 60  # letters of one of them


class Entry(NamedTuple):
    """One array: its name there, its collection and path here, and the kind of its layout."""

    foreign: str
    path: Path
    kind: str


def layer_entries(foreign: str, path: Path, kind: str, use_bias: bool = True) -> Iterator[Entry]:
    """The entries of a layer of a kernel and, if it has one, a bias; `path` is within params."""
    yield Entry(f'{foreign}.weight', ('params', *path, 'kernel'), kind)
    if use_bias:
        yield Entry(f'{foreign}.bias', ('params', *path, 'bias'), 'vector')


def plain(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A state dictionary as NumPy arrays by their bare names.

    Takes the averaged parameters ('params_ema') of a checkpoint that holds both, else 'params',
    else the mapping itself; takes off the prefix `module.` of data-parallel training.
    """
    nested = (state.get(key) for key in ('params_ema', 'params'))
    state = next((found for found in nested if isinstance(found, Mapping)), state)
    return {name.removeprefix('module.'): np.asarray(value) for name, value in state.items()}


def shape_of(state: Mapping[str, np.ndarray], name: str, network: str) -> tuple[int, ...]:
    """The shape of an array of a state.

    Raises:
      InputError: it is not there, so this is no `network`.
    """
    if name not in state:
        raise InputError(f"these are not the weights of {network}: no '{name}'")
    return state[name].shape


def count(names: Iterable[str], template: str) -> int:
    """How many of template.format(0), template.format(1), ... are there, up to the first gap."""
    names, number = set(names), 0
    while template.format(number) in names:
        number += 1
    return number


def read(state: Mapping[str, np.ndarray], entries: Iterable[Entry], network: str) -> dict[str, Any]:
    """The collections that the entries make of a plain state, as float32.

    Args:
      state: the arrays by name.
      entries: those that there should be.
      network: what messages call it, such as 'a VQ-VAE-2'.

    Raises:
      InputError: arrays are missing or unknown, or of another kind of shape; names them.
    """
    entries = list(entries)
    names = {entry.foreign for entry in entries}
    if names != state.keys():
        raise InputError(
            f'these are not the weights of {network} that is known here: '
            f'missing {shorten(names - state.keys())}, unknown {shorten(state.keys() - names)}'
        )
    return traverse_util.unflatten_dict({e.path: _read(state, e, network) for e in entries})


def _read(state: Mapping[str, np.ndarray], entry: Entry, network: str) -> np.ndarray:
    value = state[entry.foreign]
    try:
        return to_ours(value, entry.kind)
    except ValueError as error:
        raise InputError(
            f"these are not the weights of {network}: '{entry.foreign}' has the shape {value.shape}"
        ) from error


def shorten(names: Iterable[str]) -> str:
    """The first of some names, for a message: ['a', 'b', and 3 more]; or none."""
    names = sorted(names)
    first = [repr(name if len(name) <= LONGEST else f'{name[:LONGEST]}...') for name in names]
    more = [f'and {len(names) - SHOWN} more'] if len(names) > SHOWN else []
    return f'[{", ".join(first[:SHOWN] + more)}]' if names else 'none'


def write(variables: Mapping[str, Any], entries: Iterable[Entry]) -> dict[str, np.ndarray]:
    """The state dictionary that the entries make of variables; what they do not name is left out.

    Raises:
      InputError: a convolution of the original is a switched one here.
    """
    flat = traverse_util.flatten_dict(variables)
    state = {}
    for entry in entries:
        value = flat[entry.path]
        if entry.kind in ('conv', 'transposed') and np.ndim(value) == 5:
            layer = '/'.join(entry.path[1:-1])
            raise InputError(f'{layer} is a switched convolution: the original has no such layer')
        state[entry.foreign] = to_theirs(value, entry.kind)
    return state


def to_ours(value: np.ndarray, kind: str) -> np.ndarray:
    """An array of theirs in our layout.

    Kinds: conv, transposed (convolution), codes, linear, flattened4 (a linear layer over 4 x 4
    pixels, whose inputs are [channel, height, width] there and [height, width, channel] here; so
    for 1 to 9 pixels a side), taps3 and taps4 (a vector over the inputs of a convolution of 3 x 3
    or 4 x 4 taps), channels3 and channels4 (a vector over channels, shaped to be added to one
    image or several), linear1 (a linear layer that is a convolution of one tap here), gains2 and
    gains4 (the scales of weight normalisation, of a linear layer or a convolution), map (of several
    channels, as one image) and vector.
    """
    if kind == 'conv':
        value = value.transpose(2, 3, 1, 0)
    elif kind == 'transposed':
        value = value[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
    elif kind in ('codes', 'linear'):
        value = value.T
    elif kind.startswith('flattened'):
        features, side = len(value), int(kind[-1])
        value = value.reshape(features, -1, side, side)
        value = value.transpose(2, 3, 1, 0).reshape(-1, features)
    elif kind in ('taps3', 'taps4'):
        value = value.reshape(-1, int(kind[-1]), int(kind[-1])).transpose(1, 2, 0)
    elif kind in ('channels3', 'channels4', 'gains2', 'gains4'):
        value = value.reshape(-1)
    elif kind == 'linear1':
        value = value.T[None, None]
    elif kind == 'map':
        value = value[0].transpose(1, 2, 0)
    return np.ascontiguousarray(value, np.float32)


def to_theirs(value: Any, kind: str) -> np.ndarray:
    """An array of ours in their layout; kinds as in `to_ours`."""
    value = np.asarray(value, np.float32)
    if kind == 'conv':
        value = value.transpose(3, 2, 0, 1)
    elif kind == 'transposed':
        value = value.transpose(2, 3, 0, 1)[:, :, ::-1, ::-1]
    elif kind in ('codes', 'linear'):
        value = value.T
    elif kind.startswith('flattened'):
        side = int(kind[-1])
        value = value.reshape(side, side, -1, value.shape[-1])
        value = value.transpose(3, 2, 0, 1).reshape(value.shape[-1], -1)
    elif kind in ('taps3', 'taps4'):
        value = value.transpose(2, 0, 1).reshape(-1)
    elif kind in ('channels3', 'channels4'):
        value = value.reshape(*(1,) * (int(kind[-1]) - 3), -1, 1, 1)
    elif kind in ('gains2', 'gains4'):
        value = value.reshape(-1, *(1,) * (int(kind[-1]) - 1))
    elif kind == 'linear1':
        value = value[0, 0].T
    elif kind == 'map':
        value = value.transpose(2, 0, 1)[None]
    return np.ascontiguousarray(value)

"""Weights of StyleGAN2's discriminator, to our variables and back.

Of `sr_jax.models.stylegan2_discriminator`. Reads the names of rosinality/stylegan2-pytorch
(convs.1.conv1.0.weight), mmagic (convs.1.conv1.0.conv.weight_orig), BasicSR (conv_body.1.conv1.0)
and of NVlabs' `D.state_dict()` (b64.conv0), and writes the first, or mmagic's. See
`sr_jax.pretrained.stylegan2`.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.upfirdn import fir_kernel
from sr_jax.pretrained.layouts import Entry, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.stylegan2 import FILTERS, channel_fields, rename

NETWORK = "a StyleGAN2's discriminator"
RENAMED = (
    (r'(.*)\.(?:conv|linear)\.weight_orig', r'\1.weight'),
    (r'conv_body\.(.*)', r'convs.\1'),
)
MMAGIC = (
    (r'(final_linear\.\d)\.weight', r'\1.linear.weight_orig'),
    (r'(.*)\.weight', r'\1.conv.weight_orig'),
)
NVLABS = {
    **{'fromrgb.weight': '0.0.weight', 'fromrgb.bias': '0.1.bias', 'skip.weight': 'skip.1.weight'},
    **{'conv0.weight': 'conv1.0.weight', 'conv0.bias': 'conv1.1.bias'},
    **{'conv1.weight': 'conv2.1.weight', 'conv1.bias': 'conv2.2.bias'},
}
NVLABS_LAST = {'conv': 'final_conv.0', 'fc': 'final_linear.0', 'out': 'final_linear.1'}


def rosinality_names(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state with rosinality's names, whichever it had; unknown names stay."""
    state = plain(state)
    if 'b4.out.weight' in state:
        largest = max(int(n[1]) for n in (re.match(r'b(\d+)\.', name) for name in state) if n)
        kept = {name: value for name, value in state.items() if not name.endswith(FILTERS)}
        return {_nvlabs_name(name, largest): value for name, value in kept.items()}
    return {rename(name, RENAMED): value for name, value in state.items()}


def _nvlabs_name(name: str, largest: int) -> str:
    match = re.fullmatch(r'b(\d+)\.(.*)', name)
    if match and match[2] in NVLABS:
        number = largest.bit_length() - int(match[1]).bit_length() + 1
        new = NVLABS[match[2]]
        return f'convs.{new}' if match[2].startswith('fromrgb') else f'convs.{number}.{new}'
    if match := re.fullmatch(r'b4\.(conv|fc|out)\.(\w+)', name):
        layer = NVLABS_LAST[match[1]]
        return 'final_conv.1.bias' if match[0] == 'b4.conv.bias' else f'{layer}.{match[2]}'
    return name


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of StyleGAN2's discriminator, by any program's names."""
    return {'convs.0.0.weight', 'final_linear.1.weight'} <= rosinality_names(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `Discriminator` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its channels are not as published.
    """
    state = rosinality_names(state)
    number = sum(re.fullmatch(r'convs\.\d+\.skip\.1\.weight', name) is not None for name in state)
    size = 4 << number
    widths = {size: shape_of(state, 'convs.0.0.weight', NETWORK)[0]}
    for i in range(number):
        width = shape_of(state, f'convs.{i + 1}.skip.1.weight', NETWORK)[0]
        widths[size >> (i + 1)] = width
    return {'size': size, **channel_fields(widths, NETWORK)}


def constants(module: Any) -> dict[str, np.ndarray]:
    """The filters that rosinality's and mmagic's files hold, always the same."""
    kernel = fir_kernel().astype(np.float32)
    names = range(1, int(math.log2(module.size)) - 1)
    return {f'convs.{i}.{part}.0.kernel': kernel for i in names for part in ('conv2', 'skip')}


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' of a state dictionary, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = rosinality_names(state)
    return read(state, entries(fields(state)['size']), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of rosinality's for the variables of a `Discriminator`."""
    blocks = sum(name.startswith('block_') for name in variables['params'])
    return write(variables, entries(4 << blocks))


def to_mmagic(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state dictionary of rosinality's by mmagic's names."""
    return {rename(name, MMAGIC): value for name, value in state.items()}


DIALECTS = {'mmagic': to_mmagic}  # other names that are written


def entries(size: int) -> Iterator[Entry]:
    """The arrays of a network, by rosinality's names."""
    yield from _conv_entries('convs.0', 0, ('conv_in',))
    for i in range(1, size.bit_length() - 2):
        path = (f'block_{size >> (i - 1)}',)
        yield from _conv_entries(f'convs.{i}.conv1', 0, (*path, 'conv_0'))
        yield from _conv_entries(f'convs.{i}.conv2', 1, (*path, 'conv_1'))
        yield Entry(f'convs.{i}.skip.1.weight', ('params', *path, 'skip', 'kernel'), 'conv')
    yield from _conv_entries('final_conv', 0, ('conv_out',))
    yield from layer_entries('final_linear.0', ('linear_0',), 'flattened4')
    yield from layer_entries('final_linear.1', ('linear_1',), 'linear')


def _conv_entries(theirs: str, number: int, ours: tuple[str, ...]) -> Iterator[Entry]:
    """A convolution, the `number`-th part of a sequence, whose bias is the next part's."""
    yield Entry(f'{theirs}.{number}.weight', ('params', *ours, 'kernel'), 'conv')
    yield Entry(f'{theirs}.{number + 1}.bias', ('params', *ours, 'bias'), 'vector')

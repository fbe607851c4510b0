"""RRDBNet weights, to the variables of `sr_jax.models.rrdb` and back.

Reads three generations of names, as mappings from name to array:

  BasicSR, Real-ESRGAN     conv_first, body.0.rdb1.conv1, conv_body, conv_up1, ...
  ESRGAN (2019), SRFlow    conv_first, RRDB_trunk.0.RDB1.conv1, trunk_conv, upconv1, HRconv, ...
  ESRGAN (2018)            model.0, model.1.sub.0.RDB1.conv1.0, model.3, ... (scale 4)

and writes the first. See `sr_jax.pretrained.layouts` on layouts and checkpoints.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write

NETWORK = 'an RRDBNet'
SCALES = {3: 4, 12: 2, 48: 1}  # by the channels of the first convolution

# Older names, as patterns of whole layers, and today's.
RENAMED = (
    (r'RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)', r'body.\1.rdb\2.conv\3'),
    (r'trunk_conv', 'conv_body'),
    (r'upconv(\d)', r'conv_up\1'),
    (r'HRconv', 'conv_hr'),
    (r'model\.0', 'conv_first'),
    (r'model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0', r'body.\1.rdb\2.conv\3'),
    (r'model\.1\.sub\.\d+', 'conv_body'),
    (r'model\.3', 'conv_up1'),
    (r'model\.6', 'conv_up2'),
    (r'model\.8', 'conv_hr'),
    (r'model\.10', 'conv_last'),
)


def modern_names(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state with today's names, whichever it had; unknown names stay."""
    return {_modern_name(name): value for name, value in state.items()}


def _modern_name(name: str) -> str:
    layer, _, kind = name.rpartition('.')
    for pattern, replacement in RENAMED:
        if match := re.fullmatch(pattern, layer):
            return f'{match.expand(replacement)}.{kind}'
    return name


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an RRDBNet, by the names of any generation."""
    return 'body.0.rdb1.conv1.weight' in modern_names(plain(state))


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `RRDBNet` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or tells of other images than of three
        channels.
    """
    state = modern_names(plain(state))
    features, channels = shape_of(state, 'conv_first.weight', NETWORK)[:2]
    growth = shape_of(state, 'body.0.rdb1.conv1.weight', NETWORK)[0]
    if channels not in SCALES:
        raise InputError(
            f'the first convolution of these weights takes {channels} channels: an RRDBNet for '
            f'images of three takes {", ".join(map(str, SCALES))}'
        )
    return {
        'scale': SCALES[channels] if 'conv_up3.weight' not in state else 8,
        'features': features,
        'num_blocks': count(state, 'body.{}.rdb1.conv1.weight'),
        'growth': growth,
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = modern_names(plain(state))
    found = fields(state)
    return read(state, entries(found['num_blocks'], 3 if found['scale'] == 8 else 2), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary, by BasicSR's names, for the variables of an `RRDBNet`.

    Raises:
      InputError: convolutions are switched.
    """
    num_ups = count(variables['params']['head'], 'conv_up_{}')
    return write(variables, entries(count(variables['params'], 'block_{}'), num_ups))


def entries(num_blocks: int, num_ups: int) -> Iterator[Entry]:
    """The arrays of a network of so many blocks and doublings."""
    for name in ('conv_first', 'conv_body'):
        yield from layer_entries(name, (name,), 'conv')
    for name in ('conv_hr', 'conv_last'):
        yield from layer_entries(name, ('head', name), 'conv')
    for i in range(num_ups):
        yield from layer_entries(f'conv_up{i + 1}', ('head', f'conv_up_{i}'), 'conv')
    for i, j, k in np.ndindex(num_blocks, 3, 5):
        foreign = f'body.{i}.rdb{j + 1}.conv{k + 1}'
        yield from layer_entries(foreign, (f'block_{i}', f'rdb_{j}', f'conv_{k}'), 'conv')

"""RRDBNet weights, to the variables of `sr_jax.models.rrdb` and back.

Reads three generations of names, as mappings from name to array:

  BasicSR, Real-ESRGAN     conv_first, body.0.rdb1.conv1, conv_body, conv_up1, ...
  ESRGAN (2019), SRFlow    conv_first, RRDB_trunk.0.RDB1.conv1, trunk_conv, upconv1, HRconv, ...
  ESRGAN (2018), ESRGAN+   model.0, model.1.sub.0.RDB1.conv1.0, model.3, ... (of n doublings, each a
                           model.<3 i>, the last two are model.<3 n + 2> and model.<3 n + 4>)

and writes the first, or the last where only its program has such a network. The doublings and, if
the input is laid out in channels, those of the first convolution tell the scale; one tripling has
the names of one doubling, and is taken for it. See `sr_jax.pretrained.layouts` on layouts and
checkpoints.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write
from sr_jax.pretrained.ncnn_graph import Layer
from sr_jax.pretrained.ncnn_layers import NEAREST, PLAIN, RESIDUAL, Layers, leaky

NETWORK = 'an RRDBNet'
UNSHUFFLING = {4: 2, 16: 4}  # by channels of the first convolution for each one of the image made
SHORTCUT = 'conv1x1'  # of ESRGAN+, in each dense block
LEAKY = leaky(0.2)

# Older names, as patterns of whole layers, and today's.
RENAMED = (
    (r'RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)', r'body.\1.rdb\2.conv\3'),
    (r'trunk_conv', 'conv_body'),
    (r'upconv(\d)', r'conv_up\1'),
    (r'HRconv', 'conv_hr'),
    (r'model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0', r'body.\1.rdb\2.conv\3'),
    (rf'model\.1\.sub\.(\d+)\.RDB(\d)\.{SHORTCUT}', rf'body.\1.rdb\2.{SHORTCUT}'),
    (r'model\.1\.sub\.\d+', 'conv_body'),
)


def modern_names(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state with today's names, whichever it had; unknown names stay."""
    numbers = [int(n[1]) for name in state if (n := re.fullmatch(r'model\.(\d+)\.weight', name))]
    numbered = _numbered_layers((max(numbers, default=4) - 4) // 3)
    return {_modern_name(name, numbered): value for name, value in state.items()}


def _numbered_layers(num_ups: int) -> dict[str, str]:
    """The layers around the blocks by their names of 2018, and today's."""
    ups = {f'model.{3 * i}': f'conv_up{i}' for i in range(1, num_ups + 1)}
    last = {f'model.{3 * num_ups + 2}': 'conv_hr', f'model.{3 * num_ups + 4}': 'conv_last'}
    return {'model.0': 'conv_first', **ups, **last}


def _modern_name(name: str, numbered: Mapping[str, str]) -> str:
    layer, _, kind = name.rpartition('.')
    if layer in numbered:
        return f'{numbered[layer]}.{kind}'
    for pattern, replacement in RENAMED:
        if match := re.fullmatch(pattern, layer):
            return f'{match.expand(replacement)}.{kind}'
    return name


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an RRDBNet, by the names of any generation."""
    return 'body.0.rdb1.conv1.weight' in modern_names(plain(state))


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `RRDBNet` that a state dictionary belongs to.

    Those that only a few networks have are left out where they are the defaults.

    Raises:
      InputError: an array that tells them is missing, or the input is laid out in channels and the
        scale is not 1 or 2.
    """
    state = modern_names(plain(state))
    features, channels = shape_of(state, 'conv_first.weight', NETWORK)[:2]
    growth = shape_of(state, 'body.0.rdb1.conv1.weight', NETWORK)[0]
    made = shape_of(state, 'conv_last.weight', NETWORK)[0]
    enlarged = 2 ** _count_ups(state)
    factor = UNSHUFFLING.get(channels // max(made, 1), 1) if channels % max(made, 1) == 0 else 1
    if factor > 1 and enlarged != 4:
        raise InputError(
            f'the first convolution of these weights takes {channels} channels for {made} made: an '
            f'RRDBNet whose input is laid out so enlarges it by 4, not by {enlarged}'
        )
    scale, given = enlarged // factor, channels // factor**2
    rare = {
        'in_channels': (given, 3),
        'out_channels': (made, 3),
        'unshuffle': (factor > 1 or scale >= 4, True),
        'plus': (f'body.0.rdb1.{SHORTCUT}.weight' in state, False),
    }
    return {
        'scale': scale,
        'features': features,
        'num_blocks': count(state, 'body.{}.rdb1.conv1.weight'),
        'growth': growth,
        **{name: value for name, (value, default) in rare.items() if value != default},
    }


def _count_ups(state: Mapping[str, Any]) -> int:
    """How many layers follow a doubling, by today's names."""
    return sum(re.fullmatch(r'conv_up\d+\.weight', name) is not None for name in state)


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = modern_names(plain(state))
    found = fields(state)
    plus = found.get('plus', False)
    return read(state, entries(found['num_blocks'], _count_ups(state), plus), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary for the variables of an `RRDBNet`.

    By BasicSR's names, or by those of 2018 if only the programs of that year have the network:
    ESRGAN+, and others than of two or three doublings (SRFlow's of scale 8).

    Raises:
      InputError: convolutions are switched.
    """
    params = variables['params']
    num_blocks, num_ups = count(params, 'block_{}'), count(params['head'], 'conv_up_{}')
    plus = num_blocks > 0 and 'conv_1x1' in params['block_0']['rdb_0']
    state = write(variables, entries(num_blocks, num_ups, plus))
    if num_ups in (2, 3) and not plus:
        return state
    numbered = {ours: theirs for theirs, ours in _numbered_layers(num_ups).items()}
    numbered['conv_body'] = f'model.1.sub.{num_blocks}'
    return {_old_name(name, numbered): value for name, value in state.items()}


def _old_name(name: str, numbered: Mapping[str, str]) -> str:
    """A name of today as it was in 2018."""
    layer, _, kind = name.rpartition('.')
    if layer in numbered:
        return f'{numbered[layer]}.{kind}'
    _, block, dense, conv = layer.split('.')
    nested = '' if conv == SHORTCUT else '.0'
    return f'model.1.sub.{block}.{dense.upper()}.{conv}{nested}.{kind}'


def entries(num_blocks: int, num_ups: int, plus: bool = False) -> Iterator[Entry]:
    """The arrays of a network of so many blocks and doublings, those of ESRGAN+ with `plus`."""
    for name in ('conv_first', 'conv_body'):
        yield from layer_entries(name, (name,), 'conv')
    for name in ('conv_hr', 'conv_last'):
        yield from layer_entries(name, ('head', name), 'conv')
    for i in range(num_ups):
        yield from layer_entries(f'conv_up{i + 1}', ('head', f'conv_up_{i}'), 'conv')
    for i, j in np.ndindex(num_blocks, 3):
        foreign, path = f'body.{i}.rdb{j + 1}', (f'block_{i}', f'rdb_{j}')
        for k in range(5):
            yield from layer_entries(f'{foreign}.conv{k + 1}', (*path, f'conv_{k}'), 'conv')
        if plus:
            yield from layer_entries(f'{foreign}.{SHORTCUT}', (*path, 'conv_1x1'), 'conv', False)


def to_ncnn(module: Any, variables: Mapping[str, Any]) -> tuple[list[Layer], dict[str, np.ndarray]]:
    """The layers that an `RRDBNet` is in ncnn, and their arrays by name."""
    state = modern_names(to_torch(variables))
    return layers(module.num_blocks, _count_ups(state), module.multiple, module.plus), state


def layers(num_blocks: int, num_ups: int = 2, factor: int = 1, plus: bool = False) -> list[Layer]:
    """The layers of ncnn of a network of so many blocks and doublings.

    Args:
      num_blocks: of three dense blocks each.
      num_ups: doublings.
      factor: by which the image is laid out in channels.
      plus: the blocks are ESRGAN+'s.
    """
    net = Layers()
    image = net.add('Reorg', 0, numbers={0: factor}) if factor > 1 else 0
    x = first = net.conv(image, 'conv_first')
    for i in range(num_blocks):
        block = x
        for j in range(3):
            x = _add_dense_block(net, x, f'body.{i}.rdb{j + 1}', plus)
        x = net.add('Eltwise', x, block, numbers=RESIDUAL)
    x = net.sum(first, net.conv(x, 'conv_body'))
    for i in range(num_ups):
        x = net.conv(net.enlarge(x, NEAREST, 2), f'conv_up{i + 1}', LEAKY)
    net.conv(net.conv(x, 'conv_hr', LEAKY), 'conv_last')
    return net.made


def _add_dense_block(net: Layers, x: int, name: str, plus: bool) -> int:
    shortcut = net.conv(x, f'{name}.{SHORTCUT}', {1: 1}) if plus else 0
    outputs = [x]
    for k in range(5):
        source = net.concat(outputs) if k else x
        made = net.conv(source, f'{name}.conv{k + 1}', LEAKY if k < 4 else PLAIN)
        if plus and k in (1, 3):
            made = net.sum(made, shortcut if k == 1 else outputs[2])
        outputs.append(made)
    return net.add('Eltwise', outputs[-1], x, numbers=RESIDUAL)

"""Weights of the published PixelSNAILs of VQ-VAE-2, to ours and back.

Reads and writes the state dictionaries of rosinality/vq-vae-2-pytorch. They do not tell how many
heads the attention has (8 there, always) nor the dropout.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.pretrained.layouts import Entry, Path, count, plain, read, shape_of, write

NETWORK = 'a PixelSNAIL'
OF_A_CONVOLUTION = ('conv', 'gains4')
OF_A_LINEAR_LAYER = ('linear1', 'gains2')
ATTENTION = 'blocks.0.causal_attention.query.weight_v'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a PixelSNAIL."""
    return {'horizontal.conv.conv.weight_v', 'vertical.conv.conv.weight_v'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `PixelSNAIL` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    channels, codes, _, _ = shape_of(state, 'horizontal.conv.conv.weight_v', NETWORK)
    first = shape_of(state, 'blocks.0.resblocks.0.conv1.conv.conv.weight_v', NETWORK)
    _, _, height, width = shape_of(state, 'background', NETWORK)
    found = {
        'codes': codes,
        'height': height,
        'width': width,
        'channels': channels,
        'kernel_size': first[-1],
        'num_blocks': count(state, 'blocks.{}.resblocks.0.conv1.conv.conv.weight_v'),
        'num_res_blocks': count(state, 'blocks.0.resblocks.{}.conv1.conv.conv.weight_v'),
        'res_channels': first[0],
        'attention': ATTENTION in state,
        'num_out_blocks': count(state, 'out.{}.conv1.conv.weight_v'),
    }
    if 'cond_resnet.blocks.0.conv.weight_v' in state:
        features, above, size, _ = state['cond_resnet.blocks.0.conv.weight_v'].shape
        blocks = sum(name.endswith('.conv1.conv.bias') for name in state if name[:5] == 'cond_')
        found |= {
            'num_condition_blocks': blocks,
            'condition_codes': above,
            'condition_channels': features,
            'condition_kernel': size,
        }
    return found


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collections `'params'` and `'grid'` that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    found = fields(state)
    numbers = ('num_blocks', 'num_res_blocks', 'num_out_blocks', 'num_condition_blocks')
    blocks, res, out, above = (found.get(name, 0) for name in numbers)
    return read(state, _entries(blocks, res, out, above, found['attention']), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of the original for the variables of a `PixelSNAIL`.

    It has no classes: their vectors are left out.
    """
    params = variables['params']
    blocks = count(params, 'blocks_{}')
    res = count(params['blocks_0'], 'res_{}')
    above = sum(name.isdigit() for name in params.get('above', ()))
    attention = 'attend' in params['blocks_0']
    return write(variables, _entries(blocks, res, count(params, 'out_{}'), above, attention))


def _entries(blocks: int, res: int, out: int, above: int, attention: bool) -> Iterator[Entry]:
    yield Entry('background', ('grid', 'background'), 'map')
    for name in ('horizontal', 'vertical'):
        yield from _layer(f'{name}.conv.conv', (name,))
    for i in range(blocks):
        yield from _block(f'blocks.{i}', f'blocks_{i}', res, above > 0, attention)
    if above:
        yield from _layer('cond_resnet.blocks.0.conv', ('above', 'conv'))
    for i in range(above):
        yield from _gated(f'cond_resnet.blocks.{i + 1}', ('above', str(i)), 'conv')
    for i in range(out):
        yield from _gated(f'out.{i}', (f'out_{i}',), 'conv')
    yield from _layer(f'out.{out + 1}.conv', ('logits',))


def _block(
    theirs: str, ours: str, res: int, conditioned: bool, attention: bool
) -> Iterator[Entry]:
    for i in range(res):
        foreign, path = f'{theirs}.resblocks.{i}', (ours, f'res_{i}')
        yield from _gated(foreign, path, 'conv.conv')
        if conditioned:
            layer = _layer(f'{foreign}.condition.conv', (*path, 'condition'), use_bias=False)
            yield from layer
    if not attention:
        yield from _layer(f'{theirs}.out.conv', (ours, 'out'))
        return
    for name in ('key', 'query', 'out'):
        yield from _gated(f'{theirs}.{name}_resblock', (ours, name), 'conv')
    yield from _layer(f'{theirs}.out_resblock.aux_conv.conv', (ours, 'out', 'aux'))
    for name in ('query', 'key', 'value'):
        foreign = f'{theirs}.causal_attention.{name}'
        yield from _layer(foreign, (ours, 'attend', name), OF_A_LINEAR_LAYER)


def _gated(theirs: str, ours: Path, inner: str) -> Iterator[Entry]:
    for number in range(2):
        yield from _layer(f'{theirs}.conv{number + 1}.{inner}', (*ours, f'conv_{number}'))


def _layer(
    theirs: str, ours: Path, kinds: tuple[str, str] = OF_A_CONVOLUTION, use_bias: bool = True
) -> Iterator[Entry]:
    yield Entry(f'{theirs}.weight_v', ('params', *ours, 'kernel'), kinds[0])
    yield Entry(f'{theirs}.weight_g', ('params', *ours, 'scale'), kinds[1])
    if use_bias:
        yield Entry(f'{theirs}.bias', ('params', *ours, 'bias'), 'vector')

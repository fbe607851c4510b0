"""VQ-VAE-2 weights of the PyTorch originals, to the variables of `sr_jax.models.vqvae` and back.

Reads and writes the state dictionaries of rosinality/vq-vae-2-pytorch (transposed form) and of
neonbjb/DL-Art-School without switched convolutions (nearest form), as mappings from name to array.
PyTorch lays kernels out as [out, in, height, width] and codebooks as [dim, size].
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import Entry, Path, plain, read, write

Layer = tuple[str, Path, str]  # its name there, its path here, and 'conv' or 'up'

CODEBOOK_NAMES = {
    'embed': 'embedding',
    'cluster_size': 'cluster_size',
    'embed_avg': 'embedding_sum',
}
LEVELS = {'t': 'top', 'b': 'bottom'}


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a VQ-VAE-2, of either form."""
    return 'quantize_t.embed' in plain(state)


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `VQVAE` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    try:
        res_channels, channels = state['enc_b.blocks.5.conv.1.weight'].shape[:2]
        codebook_dim, codebook_size = state['quantize_t.embed'].shape
        bottom_codebook_size = state['quantize_b.embed'].shape[1]
    except KeyError as error:
        raise InputError(f'these are not the weights of a VQ-VAE-2: no {error}') from None
    return {
        'channels': channels,
        'num_res_blocks': _num_res_blocks(state),
        'res_channels': res_channels,
        'codebook_size': codebook_size,
        'bottom_codebook_size': bottom_codebook_size,
        'codebook_dim': codebook_dim,
        'upsampling': 'nearest' if 'upsample_t.conv.weight' in state else 'transposed',
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collections `'params'` and `'codebook'` that a state dictionary holds, as float32.

    Values are anything that NumPy makes an array of; the prefix `module.` of data-parallel
    training is taken off.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = plain(state)
    found = fields(state)
    return read(state, _entries(found['num_res_blocks'], found['upsampling']), 'a VQ-VAE-2')


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of the original for the variables of a `VQVAE`.

    The form is told from the size of the upsampling kernels. Other collections are left out.
    """
    taps = variables['params']['upsample_top']['conv']['kernel'].shape[0]
    blocks = len(variables['params']['encoder_bottom'].get('blocks', ()))
    return write(variables, _entries(blocks, 'transposed' if taps == 4 else 'nearest'))


def _num_res_blocks(state: Mapping[str, Any]) -> int:
    return sum(
        name.startswith('enc_b.blocks.') and name.endswith('.conv.1.weight') for name in state
    )


def _entries(num_blocks: int, upsampling: str) -> Iterator[Entry]:
    up_kind, up_suffix = ('transposed', '') if upsampling == 'transposed' else ('conv', '.conv')
    for foreign, path, kind in _layers(num_blocks):
        suffix = up_suffix if kind == 'up' else ''
        path = (*path, 'conv') if kind == 'up' else path
        layout = up_kind if kind == 'up' else kind
        yield Entry(f'{foreign}{suffix}.weight', ('params', *path, 'kernel'), layout)
        yield Entry(f'{foreign}{suffix}.bias', ('params', *path, 'bias'), 'vector')
    for short, level in LEVELS.items():
        for theirs, ours in CODEBOOK_NAMES.items():
            path = ('codebook', f'quantizer_{level}', ours)
            kind = 'vector' if ours == 'cluster_size' else 'codes'
            yield Entry(f'quantize_{short}.{theirs}', path, kind)


def _layers(num_blocks: int) -> Iterator[Layer]:
    yield from encoder_layers('enc_b', 'encoder_bottom', 2, num_blocks)
    yield from encoder_layers('enc_t', 'encoder_top', 1, num_blocks)
    yield 'quantize_conv_t', ('quantize_conv_top',), 'conv'
    yield from decoder_layers('dec_t', 'decoder_top', 1, num_blocks)
    yield 'quantize_conv_b', ('quantize_conv_bottom',), 'conv'
    yield 'upsample_t', ('upsample_top',), 'up'
    yield from decoder_layers('dec', 'decoder', 2, num_blocks)


def encoder_layers(theirs: str, ours: str, downs: int, num_blocks: int) -> Iterator[Layer]:
    """The layers of an encoder: names there (`theirs`.blocks.N), paths here (under `ours`)."""
    for i in range(downs):
        yield f'{theirs}.blocks.{2 * i}', (ours, f'down_{i}'), 'conv'
    yield f'{theirs}.blocks.{2 * downs}', (ours, 'conv'), 'conv'
    yield from block_layers(theirs, ours, 2 * downs + 1, num_blocks)


def decoder_layers(theirs: str, ours: str, ups: int, num_blocks: int) -> Iterator[Layer]:
    """The layers of a decoder."""
    yield f'{theirs}.blocks.0', (ours, 'conv'), 'conv'
    yield from block_layers(theirs, ours, 1, num_blocks)
    for i in range(ups):
        yield f'{theirs}.blocks.{num_blocks + 2 + 2 * i}', (ours, f'up_{i}'), 'up'


def block_layers(theirs: str, ours: str, first: int, num_blocks: int) -> Iterator[Layer]:
    """The layers of the residual blocks, of which the first is `theirs`.blocks.`first`."""
    for i in range(num_blocks):
        for position, name in ((1, 'conv_0'), (3, 'conv_1')):
            foreign = f'{theirs}.blocks.{first + i}.conv.{position}'
            yield foreign, (ours, 'blocks', str(i), name), 'conv'

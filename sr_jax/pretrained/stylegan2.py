"""Weights of StyleGAN2's generator, to the variables of `sr_jax.models.stylegan2` and back.

Reads the names of four programs, as mappings from name to array:

  rosinality/stylegan2-pytorch   style.1, input.input, conv1.conv, convs.0.conv, to_rgbs.0.conv, ...
  mmagic                         style_mapping.1.linear, conv1.conv.weight_orig, ...
  BasicSR                        style_mlp.1, style_conv1.modulated_conv, style_convs.0, ...
  NVlabs (PyTorch)               mapping.fc0, synthesis.b4.conv1, synthesis.b8.torgb, ...

and writes the first, or mmagic's. Of NVlabs' programs these are the arrays of
`G_ema.state_dict()`; their pickles hold code and are not opened. Moving averages of styles
('w_avg') are left out: a mean style is computed where one is needed. mmagic's own networks, other
than those converted from NVlabs', make blue, green and red in this order.

PyTorch applies the kernels that double by a transposed convolution, which turns them.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.layers.upfirdn import fir_kernel
from sr_jax.pretrained.layouts import (
    Entry,
    Path,
    count,
    layer_entries,
    plain,
    read,
    shape_of,
    write,
)

NETWORK = "a StyleGAN2's generator"
AVERAGES = ('w_avg', 'mapping.w_avg')
DOUBLES = r'convs\.\d*[02468]\.conv\.weight'  # applied transposed
FILTERS = '.resample_filter'  # NVlabs' buffers

# Names of others, as patterns of whole names, and rosinality's. NVlabs' are in `_from_nvlabs`.
RENAMED = (
    (r'style_mapping\.(\d+)\.linear\.weight_orig', r'style.\1.weight'),
    (r'style_mapping\.(\d+)\.bias', r'style.\1.bias'),
    (r'constant_input\.input', 'input.input'),
    (r'(.*)\.style_modulation\.linear\.weight_orig', r'\1.modulation.weight'),
    (r'(.*)\.style_modulation\.bias', r'\1.modulation.bias'),
    (r'(.*)\.conv\.weight_orig', r'\1.conv.weight'),
    (r'(.*)\.noise_injector\.weight', r'\1.noise.weight'),
    (r'injected_noise_(\d+)', r'noises.noise_\1'),
    (r'style_mlp\.(.*)', r'style.\1'),
    (r'constant_input\.weight', 'input.input'),
    (r'style_conv(1|s\.\d+)\.weight', r'conv\1.noise.weight'),
    (r'style_conv(1|s\.\d+)\.modulated_conv\.(.*)', r'conv\1.conv.\2'),
    (r'style_conv(1|s\.\d+)\.(activate\.bias)', r'conv\1.\2'),
    (r'(to_rgb.*)\.modulated_conv\.(.*)', r'\1.conv.\2'),
    (r'noises\.noise(\d+)', r'noises.noise_\1'),
)
MMAGIC = (
    (r'style\.(\d+)\.weight', r'style_mapping.\1.linear.weight_orig'),
    (r'style\.(\d+)\.bias', r'style_mapping.\1.bias'),
    (r'input\.input', 'constant_input.input'),
    (r'(.*)\.modulation\.weight', r'\1.style_modulation.linear.weight_orig'),
    (r'(.*)\.modulation\.bias', r'\1.style_modulation.bias'),
    (r'(.*)\.conv\.weight', r'\1.conv.weight_orig'),
    (r'(.*)\.noise\.weight', r'\1.noise_injector.weight'),
    (r'noises\.noise_(\d+)', r'injected_noise_\1'),
)


def rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    """The name by the first rule that fits it; as it is where none does."""
    for pattern, replacement in rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    return name


def rosinality_names(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state with rosinality's names and shapes, whichever it had; unknown names stay."""
    state = {name: value for name, value in plain(state).items() if name not in AVERAGES}
    if 'synthesis.b4.const' in state:
        return _from_nvlabs(state)
    return {rename(name, RENAMED): value for name, value in state.items()}


def _from_nvlabs(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of NVlabs' generator, which have fewer axes of a single number, by new names."""
    most = {'noise.weight': 1, 'conv.weight': 5, 'input.input': 4}
    new = {}
    for name, value in state.items():
        if name.endswith(FILTERS):
            continue
        name = _nvlabs_name(name)
        axes = next((axes for end, axes in most.items() if name.endswith(end)), 0)
        axes = 4 if name.startswith('noises.') else axes
        if name.startswith('to_rgb') and name.count('.') == name.startswith('to_rgbs') + 1:
            value = value.reshape(1, -1, 1, 1)
        new[name] = value.reshape((1,) * max(axes - value.ndim, 0) + value.shape)
    return new


def _nvlabs_name(name: str) -> str:
    if match := re.fullmatch(r'mapping\.fc(\d+)\.(\w+)', name):
        return f'style.{int(match[1]) + 1}.{match[2]}'
    if name == 'synthesis.b4.const':
        return 'input.input'
    match = re.fullmatch(r'synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(.*)', name)
    if not match or int(match[1]) < 4:
        return name
    level = int(match[1]).bit_length() - 3  # 0 for 4 pixels
    number = 2 * level - 2 + (match[2] == 'conv1')
    if match[3] == 'noise_const':
        return f'noises.noise_{number + 1}'
    layer = f'to_rgbs.{level - 1}' if match[2] == 'torgb' else f'convs.{number}'
    if level == 0:
        layer = 'to_rgb1' if match[2] == 'torgb' else 'conv1'
    bias = 'bias' if match[2] == 'torgb' else 'activate.bias'
    inner = {'weight': 'conv.weight', 'bias': bias, 'noise_strength': 'noise.weight'}
    part = match[3].replace('affine', 'conv.modulation')
    return f'{layer}.{inner.get(part, part)}'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of StyleGAN2's generator, by any program's names."""
    return {'input.input', 'to_rgb1.conv.modulation.weight'} <= rosinality_names(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `Generator` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing, or its channels are not as published.
    """
    state = rosinality_names(state)
    resolutions = 1 + count(state, 'to_rgbs.{}.bias')
    widths = {4: shape_of(state, 'conv1.conv.weight', NETWORK)[1]}
    for level in range(1, resolutions):
        widths[4 << level] = shape_of(state, f'convs.{2 * level - 1}.conv.weight', NETWORK)[1]
    names = {name.replace('style.', '', 1) for name in state if name.startswith('style.')}
    number = len({name.partition('.')[0] for name in names})
    found = {
        'size': 4 << (resolutions - 1),
        'latent_size': shape_of(state, 'to_rgb1.conv.modulation.weight', NETWORK)[1],
        'num_mapping': number,
        **channel_fields(widths, NETWORK),
    }
    channels = shape_of(state, 'to_rgb1.conv.weight', NETWORK)[1]
    return found if channels == 3 else {**found, 'channels': channels}


def channel_fields(widths: Mapping[int, int], network: str) -> dict[str, int]:
    """The `channel_base` and `channel_max` that give channels by resolution.

    Raises:
      InputError: none do.
    """
    most, last = max(widths.values()), max(widths)
    base = widths[last] * last
    for side, width in widths.items():
        if width != min(base // side, most):
            raise InputError(
                f'these are not the weights of {network} that is known here: {width} channels at '
                f'{side} pixels, where {most} at the most and {widths[last]} at {last} pixels '
                f'make {min(base // side, most)}'
            )
    return {'channel_base': base, 'channel_max': most}


def constants(module: Any) -> dict[str, np.ndarray]:
    """The filters that rosinality's and mmagic's files hold, always the same."""
    levels = range(int(math.log2(module.size)) - 2)
    kernel = fir_kernel(gain=4).astype(np.float32)
    names = [f'convs.{2 * i}.conv.blur.kernel' for i in levels]
    return dict.fromkeys((*names, *(f'to_rgbs.{i}.upsample.kernel' for i in levels)), kernel)


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collections 'params' and 'noise' of a state dictionary, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = rosinality_names(state)
    found = fields(state)
    reduced = {name: _reduce(name, value) for name, value in state.items()}
    return read(reduced, entries(found['size'], found['num_mapping']), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of rosinality's for the variables of a `Generator`.

    Raises:
      InputError: convolutions are switched.
    """
    params = variables['params']
    levels = sum(name.startswith('rgb_') for name in params)
    state = write(variables, entries(4 << (levels - 1), count(params, 'mapping_{}')))
    return {name: _restore(name, value) for name, value in state.items()}


def _reduce(name: str, value: np.ndarray) -> np.ndarray:
    """An array without its axes of a single number; of a kernel that doubles, [in, out, k, k]."""
    if name.startswith('noises.'):
        return value[0, 0]
    if name.endswith('.conv.weight'):
        return value[0].swapaxes(0, 1) if re.fullmatch(DOUBLES, name) else value[0]
    return value


def _restore(name: str, value: np.ndarray) -> np.ndarray:
    """The inverse of `_reduce`."""
    if name.startswith('noises.'):
        return value[None, None]
    if name.endswith('.conv.weight'):
        return (value.swapaxes(0, 1) if re.fullmatch(DOUBLES, name) else value)[None]
    return value


def to_mmagic(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state dictionary of rosinality's by mmagic's names."""
    return {rename(name, MMAGIC): value for name, value in state.items()}


DIALECTS = {'mmagic': to_mmagic}  # other names that are written


def entries(size: int, num_mapping: int) -> Iterator[Entry]:
    """The arrays of a network, by rosinality's names."""
    for i in range(num_mapping):
        yield from layer_entries(f'style.{i + 1}', (f'mapping_{i}',), 'linear')
    yield Entry('input.input', ('params', 'constant'), 'map')
    yield from _styled_entries('conv1', ('conv_4',), 'conv')
    yield from _rgb_entries('to_rgb1', ('rgb_4',))
    levels = size.bit_length() - 3
    for i in range(levels):
        side = 8 << i
        yield from _styled_entries(f'convs.{2 * i}', (f'up_{side}',), 'transposed')
        yield from _styled_entries(f'convs.{2 * i + 1}', (f'conv_{side}',), 'conv')
        yield from _rgb_entries(f'to_rgbs.{i}', (f'rgb_{side}',))
    for i in range(2 * levels + 1):
        yield Entry(f'noises.noise_{i}', ('noise', f'{i:02d}'), 'vector')


def _styled_entries(theirs: str, ours: Path, kind: str) -> Iterator[Entry]:
    yield from _modulated_entries(theirs, ours, kind)
    yield Entry(f'{theirs}.noise.weight', ('params', *ours, 'noise_strength'), 'vector')
    yield Entry(f'{theirs}.activate.bias', ('params', *ours, 'bias'), 'vector')


def _rgb_entries(theirs: str, ours: Path) -> Iterator[Entry]:
    yield from _modulated_entries(theirs, ours, 'conv')
    yield Entry(f'{theirs}.bias', ('params', *ours, 'bias'), 'channels4')


def _modulated_entries(theirs: str, ours: Path, kind: str) -> Iterator[Entry]:
    path = (*ours, 'modulated')
    yield Entry(f'{theirs}.conv.weight', ('params', *path, 'conv', 'kernel'), kind)
    yield from layer_entries(f'{theirs}.conv.modulation', (*path, 'modulation'), 'linear')

"""TecoGAN's and FRVSR's weights of thunil/TecoGAN, to the variables of `sr_jax.models.frvsr`.

As mappings from name to array, by the names of TensorFlow's checkpoints, which follow from
`lib/frvsr.py` and `lib/ops.py`. Kernels are [height, width, in, out] there as here, but those of
transposed convolutions [height, width, out, in]; and what is remembered is laid out in channels
pixel by pixel there, color by color here. What else a checkpoint of a training holds, of the
discriminator and the optimizers, is not looked at.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import Entry, count, plain, read, shape_of, write

NETWORK = 'a generator of TecoGAN with its flow network'
UNIT, FLOW = 'generator/generator_unit', 'fnet/autoencode_unit'
FIRST = f'{UNIT}/input_stage/conv/Conv'
OWN = re.compile(rf'({UNIT}|{FLOW})/.*/(weights|biases)')
TRANSPOSED = '/Conv2d_transpose/weights'


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of TecoGAN's generator and its flow network."""
    return {f'{FIRST}/weights', f'{FLOW}/encoder_1/conv_1/Conv/weights'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `FRVSR` that a state dictionary belongs to.

    Raises:
      InputError: an array that tells them is missing.
    """
    state = plain(state)
    return {
        'scale': 2 ** _count(state, f'{UNIT}/conv_tran2highres/conv_tran{{}}{TRANSPOSED}'),
        'features': shape_of(state, f'{FIRST}/weights', NETWORK)[-1],
        'num_blocks': _count(state, f'{UNIT}/resblock_{{}}/conv_1/Conv/weights'),
        'motion_features': shape_of(state, f'{FLOW}/encoder_1/conv_1/Conv/weights', NETWORK)[-1],
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing, unknown or of another shape; names them.
    """
    state = {name: value for name, value in plain(state).items() if OWN.fullmatch(name)}
    found = fields(state)
    first = state[f'{FIRST}/weights']
    if first.ndim != 4 or first.shape[2] != 3 + 3 * found['scale'] ** 2:
        raise InputError(
            f"these are not the weights of {NETWORK}: '{FIRST}/weights' has the shape {first.shape}"
        )
    state[f'{FIRST}/weights'] = first[:, :, _by_color(found['scale'])]
    entries = _entries(found['num_blocks'], found['scale'].bit_length() - 1)
    return read(_swap(state), entries, NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays by TensorFlow's names for the variables of an `FRVSR`.

    Raises:
      InputError: its body is not TecoGAN's.
    """
    params = variables['params']['generator']
    if 'up_0' not in params:
        raise InputError("TecoGAN has no such body: only 'residual' has its names")
    ups = count(params, 'up_{}')
    state = write(variables, _entries(count(params, 'block_{}_0'), ups))
    order = np.argsort(_by_color(2**ups))
    state[f'{FIRST}/weights'] = state[f'{FIRST}/weights'][:, :, order]
    return _swap(state)


def _count(state: Mapping[str, Any], template: str) -> int:
    """How many of template.format(1), template.format(2), ... there are."""
    return next(i for i in range(len(state) + 1) if template.format(i + 1) not in state)


def _by_color(scale: int) -> np.ndarray:
    """Where our channels of a frame and of what is remembered lie among theirs."""
    remembered = np.arange(3 * scale**2).reshape(scale**2, 3).T.reshape(-1)
    return np.concatenate([np.arange(3), 3 + remembered])


def _swap(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, of transposed convolutions with inputs and outputs exchanged."""
    return {
        name: np.swapaxes(value, -1, -2) if name.endswith(TRANSPOSED) else value
        for name, value in state.items()
    }


def _entries(num_blocks: int, ups: int) -> Iterator[Entry]:
    for foreign, path in _layers(num_blocks, ups):
        yield Entry(f'{foreign}/weights', ('params', *path, 'kernel'), 'vector')  # as it is
        yield Entry(f'{foreign}/biases', ('params', *path, 'bias'), 'vector')


def _layers(num_blocks: int, ups: int) -> Iterator[tuple[str, tuple[str, str]]]:
    """The layers' names there and their paths here."""
    yield FIRST, ('generator', 'conv_first')
    for i in range(num_blocks):
        for j in range(2):
            name = f'{UNIT}/resblock_{i + 1}/conv_{j + 1}/Conv'
            yield name, ('generator', f'block_{i}_{j}')
    for i in range(ups):
        name = f'{UNIT}/conv_tran2highres/conv_tran{i + 1}/Conv2d_transpose'
        yield name, ('generator', f'up_{i}')
    yield f'{UNIT}/output_stage/conv/Conv', ('generator', 'conv_last')
    for part in ('encoder', 'decoder'):
        for i, j in np.ndindex(3, 2):
            yield f'{FLOW}/{part}_{i + 1}/conv_{j + 1}/Conv', ('motion', f'{part}_{i}_{j}')
    for i in range(2):
        yield f'{FLOW}/output_stage/conv{i + 1}/Conv', ('motion', f'last_{i}')

"""SRFlow weights by the authors' names, to the variables of `sr_jax.models.srflow` and back.

Theirs number the layers of the flow in one list: a squeeze, the steps without coupling, those with
one and, on all levels but the last two, a split; ours stack the steps of a level in the first axis
of each array. The encoder is an RRDBNet under the prefix `RRDB.`, by any names that
`sr_jax.pretrained.rrdb` reads; written are the oldest, which their code expects. Source:
andreas128/SRFlow, `SRFlowNet_arch.py` and `FlowUpsamplerNet.py`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained import rrdb
from sr_jax.pretrained.layouts import Entry, Path, count, plain, read, shape_of, write

NETWORK = 'an SRFlow'
ENCODER = 'RRDB.'
FLOW = 'flowUpsamplerNet.layers.'
MIXING = r'flowUpsamplerNet\.layers\.\d+\.invconv\.weight'
UNUSED = r'flowUpsamplerNet\.f\.'  # a layer that their code makes and never calls
SINGULAR = 1 / np.finfo(np.float32).eps  # condition beyond which float32 has no inverse
OLD_NAMES = (
    (r'body\.(\d+)\.rdb(\d)\.', r'RRDB_trunk.\1.RDB\2.'),
    (r'conv_body\.', 'trunk_conv.'),
    (r'conv_up(\d)\.', r'upconv\1.'),
    (r'conv_hr\.', 'HRconv.'),
)


class Level(NamedTuple):
    """Numbers that the layers of a level have in the original, in its order.

    Attributes:
      transition: of the steps without a coupling.
      level: of those with one.
      split: of the split, if there is one.
    """

    transition: list[int]
    level: list[int]
    split: list[int]


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an SRFlow: among them matrices that mix a step's channels."""
    return any(re.fullmatch(MIXING, name) for name in plain(state))


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `SRFlow` that a state dictionary belongs to.

    Raises:
      InputError: the layers are not those of an SRFlow for x4 or x8.
    """
    encoder, flow = _parts(state)
    of_encoder = rrdb.fields(encoder)
    levels = _levels(flow)
    scale = {3: 4, 4: 8}.get(len(levels))
    steps = {len(found.level) for found in levels}
    transitions = {len(found.transition) for found in levels}
    alike = len(steps) == len(transitions) == 1 and all(steps) and all(transitions)
    usual = of_encoder.keys() == {'scale', 'features', 'num_blocks', 'growth'}
    if scale != of_encoder['scale'] or not alike or not usual:
        raise InputError(
            f'these are not the weights of {NETWORK} that is known here: its flow has '
            f'{len(levels)} levels of {sorted(transitions)} steps without a coupling and '
            f'{sorted(steps)} with one, and its encoder enlarges by {of_encoder["scale"]}; there '
            'should be 3 levels for x4 or 4 for x8, of equally many steps'
        )
    first = f'{levels[0].level[0]}.affine.fFeatures.0.weight'
    hidden, maps = shape_of(flow, first, NETWORK)[:2]
    return {
        **of_encoder,
        'stacked': maps // of_encoder['features'] - 1,
        'steps': steps.pop(),
        'hidden': hidden,
        'transitions': transitions.pop(),
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collection 'params' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown, or a 1 x 1 convolution has no inverse; names them.
    """
    encoder, flow = _parts(state)
    fields(state)
    variables = read(flow, _entries(_levels(flow)), NETWORK)['params']
    for name, value in variables.items():
        if 'steps' in value:
            several = [value['steps'][str(i)] for i in range(len(value['steps']))]
            variables[name] = {'steps': jax.tree.map(lambda *x: np.stack(x), *several)}
    _check_invertible(flow)
    return {'params': {**variables, 'rrdb': rrdb.from_torch(encoder)['params']}}


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary, by the authors' names, for the variables of an `SRFlow`.

    Raises:
      InputError: the mixing is not 'plain' or the couplings are not of the original's kind.
    """
    params = dict(variables['params'])
    features = params['rrdb']['conv_first']['kernel'].shape[-1]
    encoder = rrdb.to_torch({'params': params.pop('rrdb')})
    for name, value in params.items():
        if 'steps' in value:
            _check_original(name, value['steps'], features)
            number = len(value['steps']['act_norm']['bias'])
            steps = {
                str(i): jax.tree.map(lambda x, i=i: x[i], value['steps']) for i in range(number)
            }
            params[name] = {'steps': steps}
    state = {ENCODER + _old_name(name): value for name, value in encoder.items()}
    flow = write({'params': params}, _entries(_number_levels(params)))
    return state | {FLOW + name: value for name, value in flow.items()}


def _parts(
    state: Mapping[str, Any],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The arrays of the encoder, by RRDBNet's modern names, and those of the flow."""
    parts: dict[str, dict[str, np.ndarray]] = {ENCODER: {}, FLOW: {}}
    for name, value in plain(state).items():
        for prefix, part in parts.items():
            if name.startswith(prefix):
                part[name.removeprefix(prefix)] = value
                break
        else:
            if not re.match(UNUSED, name):
                raise InputError(f'these are not the weights of {NETWORK}: unknown {name}')
    return rrdb.modern_names(parts[ENCODER]), parts[FLOW]


def _levels(flow: Mapping[str, np.ndarray]) -> list[Level]:
    """The numbers of the layers; a squeeze has no arrays, so a number left out begins a level."""
    kinds: dict[int, str] = {}
    for name in flow:
        number, _, layer = name.partition('.')
        if not number.isdecimal():
            raise InputError(f'these are not the weights of {NETWORK}: unknown {FLOW}{name}')
        kind = {'affine': 'level', 'conv': 'split'}.get(layer.partition('.')[0], 'transition')
        if kinds.get(int(number), 'transition') == 'transition':
            kinds[int(number)] = kind
    levels: list[Level] = []
    for i, kind in sorted(kinds.items()):
        if i - 1 not in kinds:
            levels.append(Level([], [], []))
        getattr(levels[-1], kind).append(i)
    return levels


def _number_levels(params: Mapping[str, Any]) -> list[Level]:
    """The numbers that the layers of our parameters, steps apart, have in the original."""
    levels, number = [], 0
    for i in range(count(params, 'level_{}')):
        first = number + 1  # after the squeeze
        second = first + len(params[f'transition_{i}']['steps'])
        split = second + len(params[f'level_{i}']['steps'])
        number = split + (f'split_{i}' in params)
        levels.append(
            Level([*range(first, second)], [*range(second, split)], [*range(split, number)])
        )
    return levels


def _entries(levels: list[Level]) -> Iterator[Entry]:
    for i, level in enumerate(levels):
        for kind, numbers in (('transition', level.transition), ('level', level.level)):
            for k, number in enumerate(numbers):
                path = ('params', f'{kind}_{i}', 'steps', str(k))
                yield from step_entries(f'{number}.', path, kind == 'level')
        for number in level.split:
            yield from zero_convolution_entries(f'{number}.conv', ('params', f'split_{i}', 'prior'))


def step_entries(foreign: str, path: Path, coupled: bool) -> Iterator[Entry]:
    """The arrays of a `FlowStep`."""
    yield from act_norm_entries(f'{foreign}actnorm', (*path, 'act_norm'))
    yield Entry(f'{foreign}invconv.weight', (*path, 'mixing', 'weight'), 'vector')
    if coupled:
        yield from coupling_entries(f'{foreign}affine', (*path, 'coupling'))


def coupling_entries(foreign: str, path: Path) -> Iterator[Entry]:
    """The arrays of a `ConditionalCoupling`."""
    yield from _net(f'{foreign}.fAffine', (*path, 'coupling'))
    yield from _net(f'{foreign}.fFeatures', (*path, 'injector'))


def _net(foreign: str, path: Path) -> Iterator[Entry]:
    for i in range(2):
        yield Entry(f'{foreign}.{2 * i}.weight', (*path, f'conv_{i}', 'kernel'), 'conv')
        yield from act_norm_entries(f'{foreign}.{2 * i}.actnorm', (*path, f'norm_{i}'))
    yield from zero_convolution_entries(f'{foreign}.4', (*path, 'conv_2'))


def act_norm_entries(foreign: str, path: Path) -> Iterator[Entry]:
    """The arrays of an `ActNorm`."""
    yield Entry(f'{foreign}.bias', (*path, 'bias'), 'channels4')
    yield Entry(f'{foreign}.logs', (*path, 'log_scale'), 'channels4')


def zero_convolution_entries(foreign: str, path: Path) -> Iterator[Entry]:
    """The arrays of a `ZeroConvolution`."""
    yield Entry(f'{foreign}.weight', (*path, 'conv', 'kernel'), 'conv')
    yield Entry(f'{foreign}.bias', (*path, 'conv', 'bias'), 'vector')
    yield Entry(f'{foreign}.logs', (*path, 'log_scale'), 'channels3')


def _check_invertible(flow: Mapping[str, np.ndarray]) -> None:
    for name, weight in flow.items():
        if not name.endswith('invconv.weight'):
            continue
        if not np.isfinite(weight).all() or np.linalg.cond(weight.astype(np.float64)) > SINGULAR:
            raise InputError(f'{FLOW}{name} is singular, so the flow has no inverse there')


def _check_original(name: str, steps: Mapping[str, Any], features: int) -> None:
    if 'weight' not in steps['mixing']:
        raise InputError(f'{name}/mixing keeps factors of its matrices: the original does not')
    if len(steps['mixing']) > 1:
        raise InputError(f'{name}/mixing has 3 x 3 convolutions: the original has not')
    if not name.startswith('level'):
        return
    injector = steps['coupling']['injector']
    if injector['conv_0']['kernel'].shape[-2] % features:
        raise InputError(f'{name}/coupling is told how noisy an image is: the original is not')
    if injector['conv_1']['kernel'].shape[1] > 1:
        raise InputError(f"{name}/coupling: the original's second convolution has 1 x 1 taps")


def _old_name(name: str) -> str:
    for pattern, replacement in OLD_NAMES:
        name = re.sub('^' + pattern, replacement, name)
    return name

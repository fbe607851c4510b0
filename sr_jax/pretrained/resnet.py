"""ResNet weights of torchvision, to the variables of `sr_jax.models.resnet` and back.

Reads and writes the state dictionaries of torchvision's resnet18 to resnet152, as mappings from
name to array; see `sr_jax.pretrained.layouts` on layouts and checkpoints. A stem of a 3 x 3
convolution is the small one. The number of batches that PyTorch's batch norms count is not read,
and written as 0.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.layers.resnet import EXPANSION, PLANS, Plan
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write

NETWORK = 'a ResNet'
COUNTER = 'num_batches_tracked'
STAGES = 4


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of a ResNet: its first stage, and a layer that classifies."""
    return {'layer1.0.bn1.running_mean', 'layer4.0.conv1.weight', 'fc.weight'} <= plain(
        state
    ).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `ResNet` that a state dictionary belongs to.

    Raises:
      InputError: no ResNet has so many blocks, or an array that tells the fields is missing.
    """
    state = plain(state)
    classes, _ = shape_of(state, 'fc.weight', NETWORK)
    features, _, taps, _ = shape_of(state, 'conv1.weight', NETWORK)
    depth = find_depth(state)
    wide = features * (EXPANSION if PLANS[depth].bottleneck else 1) * 2 ** (STAGES - 1)
    if shape_of(state, 'fc.weight', NETWORK)[1] != wide:
        raise InputError(f'these are not the weights of {NETWORK} that is known here: it is wider')
    stem = 'small' if taps == 3 else 'large'
    return {'depth': depth, 'classes': classes, 'features': features, 'stem': stem}


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collections 'params' and 'batch_stats' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = {k: v for k, v in plain(state).items() if not k.endswith(COUNTER)}
    return read(state, _entries(PLANS[find_depth(state)], first_skips(state)), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of torchvision for the variables of a `ResNet`."""
    depth, skips = describe(variables['params']['backbone'])
    return with_counters(write(variables, _entries(PLANS[depth], skips)))


def with_counters(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state with the counters that PyTorch's batch norms have besides."""
    names = [k.replace('running_mean', COUNTER) for k in state if k.endswith('running_mean')]
    return {**state, **{name: np.zeros((), np.int64) for name in names}}


def describe(backbone: Mapping[str, Any]) -> tuple[int, bool]:
    """The depth of the parameters of a `Backbone`, and whether its first block has a skip layer."""
    blocks = tuple(count(backbone, f'stage_{stage}_block_{{}}') for stage in range(STAGES))
    first = backbone['stage_0_block_0']
    return _depth_of(blocks, 'conv_2' in first), 'conv_skip' in first


def find_depth(state: Mapping[str, Any]) -> int:
    """The depth of a ResNet's state.

    Raises:
      InputError: there is none with so many blocks.
    """
    blocks = tuple(count(state, f'layer{stage + 1}.{{}}.conv1.weight') for stage in range(STAGES))
    return _depth_of(blocks, 'layer1.0.conv3.weight' in state)


def first_skips(state: Mapping[str, Any]) -> bool:
    """Whether the first block of a ResNet's state has a skip layer."""
    return 'layer1.0.downsample.0.weight' in state


def _depth_of(blocks: tuple[int, ...], bottleneck: bool) -> int:
    for depth, plan in PLANS.items():
        if plan == (blocks, bottleneck):
            return depth
    raise InputError(
        f'these are not the weights of {NETWORK} that is known here: {blocks} '
        f'{"bottlenecks" if bottleneck else "blocks"} in its stages'
    )


def _entries(plan: Plan, skips: bool) -> Iterator[Entry]:
    yield from backbone_entries(plan, skips)
    yield from layer_entries('fc', ('last',), 'linear')


def backbone_entries(plan: Plan, skips: bool, prefix: str = '') -> Iterator[Entry]:
    """The arrays of a `Backbone`.

    Args:
      plan: of its depth.
      skips: whether the first block has a skip layer.
      prefix: of all names there.
    """
    yield from _pair(f'{prefix}conv1', f'{prefix}bn1', (), '')
    layers = 3 if plan.bottleneck else 2
    for stage, blocks in enumerate(plan.blocks):
        for i in range(blocks):
            name, path = f'{prefix}layer{stage + 1}.{i}', (f'stage_{stage}_block_{i}',)
            for j in range(layers):
                yield from _pair(f'{name}.conv{j + 1}', f'{name}.bn{j + 1}', path, f'_{j}')
            if i == 0 and (stage or skips):
                yield from _pair(f'{name}.downsample.0', f'{name}.downsample.1', path, '_skip')


def _pair(conv: str, norm: str, path: tuple[str, ...], suffix: str) -> Iterator[Entry]:
    """A convolution without bias and its batch norm."""
    yield from layer_entries(conv, ('backbone', *path, f'conv{suffix}'), 'conv', use_bias=False)
    ours = ('backbone', *path, f'norm{suffix}')
    for theirs, collection, name in (
        ('weight', 'params', 'scale'),
        ('bias', 'params', 'bias'),
        ('running_mean', 'batch_stats', 'mean'),
        ('running_var', 'batch_stats', 'var'),
    ):
        yield Entry(f'{norm}.{theirs}', (collection, *ours, name), 'vector')

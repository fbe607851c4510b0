"""FCOS weights of torchvision, to the variables of `sr_jax.models.fcos` and back.

Reads and writes the state dictionaries of fcos_resnet50_fpn and of other ResNets under the same
pyramid, as mappings from name to array. The four sides of a box are left, top, right and bottom
there, top, left, bottom and right here. See `sr_jax.pretrained.layouts` on layouts.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.layers.resnet import PLANS
from sr_jax.pretrained import resnet
from sr_jax.pretrained.layouts import Entry, count, layer_entries, plain, read, shape_of, write

NETWORK = 'an FCOS'
BODY = 'backbone.body.'
SIDES = 'head.regression_head.bbox_reg'
EXCHANGED = (1, 0, 3, 2)  # x before y, and y before x
HEADS = {'classes': 'head.classification_head', 'boxes': 'head.regression_head'}
LAST = {
    'classes': {'cls_logits': 'logits'},
    'boxes': {'bbox_reg': 'sides', 'bbox_ctrness': 'centeredness'},
}


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an FCOS on a ResNet."""
    wanted = {f'{SIDES}.weight', 'head.regression_head.bbox_ctrness.weight'}
    return {*wanted, f'{BODY}layer1.0.conv1.weight'} <= plain(state).keys()


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `FCOS` that a state dictionary belongs to; 32 groups, as there.

    Raises:
      InputError: no ResNet has so many blocks, or an array that tells the fields is missing.
    """
    state = plain(state)
    features, _, taps, _ = shape_of(state, f'{BODY}conv1.weight', NETWORK)
    classes, channels, *_ = shape_of(state, f'{HEADS["classes"]}.cls_logits.weight', NETWORK)
    return {
        'depth': resnet.find_depth(_body(state)),
        'classes': classes,
        'features': features,
        'stem': 'small' if taps == 3 else 'large',
        'head_features': channels,
        'num_convs': _count_convs(state),
    }


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collections 'params' and 'batch_stats' that a state dictionary holds, as float32.

    Raises:
      InputError: arrays are missing or unknown; names them.
    """
    state = {k: v for k, v in plain(state).items() if not k.endswith(resnet.COUNTER)}
    body = _body(state)
    entries = _entries(resnet.find_depth(body), resnet.first_skips(body), _count_convs(state))
    return read(_exchange(state), entries, NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of torchvision for the variables of an `FCOS`."""
    params = variables['params']
    depth, skips = resnet.describe(params['backbone'])
    convs = count(params['classes'], 'conv_{}')
    return resnet.with_counters(_exchange(write(variables, _entries(depth, skips, convs))))


def _exchange(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A state with the sides of boxes in the other order."""
    names = (f'{SIDES}.weight', f'{SIDES}.bias')
    return {k: v[list(EXCHANGED)] if k in names else v for k, v in state.items()}


def _body(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k.removeprefix(BODY): v for k, v in state.items() if k.startswith(BODY)}


def _count_convs(state: Mapping[str, np.ndarray]) -> int:
    name = f'{HEADS["classes"]}.conv.'
    return sum(k.startswith(name) and np.ndim(v) == 4 for k, v in state.items())


def _entries(depth: int, first_skips: bool, convs: int) -> Iterator[Entry]:
    yield from resnet.backbone_entries(PLANS[depth], first_skips, BODY)
    for i in range(3):
        for theirs, ours in (('inner_blocks', 'inner'), ('layer_blocks', 'layer')):
            path = ('pyramid', f'{ours}_{i}')
            yield from layer_entries(f'backbone.fpn.{theirs}.{i}.0', path, 'conv')
    for i in range(2):
        name = f'backbone.fpn.extra_blocks.p{6 + i}'
        yield from layer_entries(name, ('pyramid', f'extra_{i}'), 'conv')
    for head, theirs in HEADS.items():
        for i in range(convs):  # each with a norm and an activation after it
            yield from layer_entries(f'{theirs}.conv.{3 * i}', (head, f'conv_{i}'), 'conv')
            norm = f'{theirs}.conv.{3 * i + 1}'
            yield Entry(f'{norm}.weight', ('params', head, f'norm_{i}', 'scale'), 'vector')
            yield Entry(f'{norm}.bias', ('params', head, f'norm_{i}', 'bias'), 'vector')
        for name, ours in LAST[head].items():
            yield from layer_entries(f'{theirs}.{name}', (head, ours), 'conv')

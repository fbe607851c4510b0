"""Weights of the FID InceptionV3 of mseitzer/pytorch-fid, to `sr_jax.models.inception` and back.

As mappings from name to array (its file is called pt_inception-2015-12-05); the classifying layer
is passed over. See `sr_jax.pretrained.layouts` on layouts and checkpoints. torchvision's own
InceptionV3 has the same names but other weights and an auxiliary classifier: FID measured with it
is another number, so it is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from sr_jax.errors import InputError
from sr_jax.pretrained.layouts import Entry, plain, read, write

NETWORK = 'the FID InceptionV3 (pt_inception-2015-12-05)'
CLASSES = 1008  # of its classifier; torchvision's has 1000
COUNTER = 'num_batches_tracked'  # takes no part in anything here
PARTS = {
    'weight': ('params', 'scale'),
    'bias': ('params', 'bias'),
    'running_mean': ('batch_stats', 'mean'),
    'running_var': ('batch_stats', 'var'),
}


def matches(state: Mapping[str, Any]) -> bool:
    """Whether these are arrays of an InceptionV3, torchvision's included."""
    return 'Mixed_5b.branch1x1.conv.weight' in plain(state)


def fields(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `Model` that a state dictionary belongs to: it has none.

    Raises:
      InputError: it is of torchvision's InceptionV3.
    """
    state = plain(state)
    classes = len(state.get('fc.weight', range(CLASSES)))
    if classes != CLASSES or any(name.startswith('AuxLogits.') for name in state):
        raise InputError(
            f"these are the weights of torchvision's InceptionV3, not of {NETWORK}: their FID "
            'would compare with no other. Take the file of mseitzer/pytorch-fid'
        )
    return {}


def from_torch(state: Mapping[str, Any]) -> dict[str, Any]:
    """The collections 'params' and 'batch_stats' that a state dictionary holds, as float32.

    Their names are the originals' here. Whether all of them are there shows when their shapes are
    checked (`sr_jax.inference.networks.load`).

    Raises:
      InputError: it is of torchvision's InceptionV3, or arrays are of no such network; names them.
    """
    fields(state)
    features = {
        name: value
        for name, value in plain(state).items()
        if not name.startswith('fc.') and not name.endswith(COUNTER)
    }
    layers = {name.rpartition('.conv.')[0] or name.rpartition('.bn.')[0] for name in features}
    return read(features, _entries(layers - {''}), NETWORK)


def to_torch(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The state dictionary of pytorch-fid, without the classifier, for the network's variables."""
    paths = traverse_util.flatten_dict(variables['params'])
    layers = {'.'.join(path[:-2]) for path in paths if path[-2] == 'conv'}
    return write(variables, _entries(layers))


def _entries(layers: Iterable[str]) -> Iterator[Entry]:
    for layer in sorted(layers):
        path = tuple(layer.split('.'))
        yield Entry(f'{layer}.conv.weight', ('params', *path, 'conv', 'kernel'), 'conv')
        for part, (collection, ours) in PARTS.items():
            yield Entry(f'{layer}.bn.{part}', (collection, *path, 'bn', ours), 'vector')

"""Whose weights a state is, told by its names and shapes alone."""

import math

import jax
import pytest
from published_states import FAMILIES, published

from sr_jax import models
from sr_jax.pretrained import recognition

MODULES = {recognition.model_name(module): module for module, _ in recognition.SIGNS}
# Arrays of a published file that a network of ours has no use for.
UNUSED = ('classifier.', 'fc.', 'flowUpsamplerNet.f.', 'num_batches_tracked')


@pytest.mark.parametrize('family', FAMILIES)
def test_fields_of_every_published_file(family):
    network, fields, _ = FAMILIES[family]
    state = published(family)
    assert MODULES[network].model_fields(state) == fields
    last = {'vgg': dict(outputs=('pool5',)), 'alexnet': dict(outputs=('relu5_1',))}
    module = models.make({'name': network, **fields, **last.get(network, {})})
    side = fields.get('size', 96)
    images = jax.ShapeDtypeStruct((1, side, side, 3), 'float32')
    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    ours = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables))
    used = {name: v for name, v in state.items() if not any(part in name for part in UNUSED)}
    assert ours == sum(value.size for value in used.values())

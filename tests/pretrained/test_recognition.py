"""Whose weights a state is, told by its names and shapes alone."""

import math
import re

import jax
import numpy as np
import published_states
import pytest
from published_states import FAMILIES, published

from sr_jax import models, pretrained
from sr_jax.errors import InputError
from sr_jax.pretrained import recognition

# Arrays of a published file that a network of ours has no use for.
FURTHER_BLOCKS = r'|\.[1-9]\d*\.(rdb|RDB)'
UNUSED = ('classifier.', 'fc.', 'flowUpsamplerNet.f.', 'num_batches_tracked')

READER = """
def matches(state):
    return 'novel.weight' in state


def fields(state):
    return {'features': len(state['novel.weight'])}


def from_torch(state):
    return {'params': {'kernel': state['novel.weight'].T}}


def to_torch(variables):
    return {'novel.weight': variables['params']['kernel'].T}
"""


@pytest.mark.parametrize('family', FAMILIES)
def test_every_published_file_is_of_one_network_and_has_its_fields(family):
    network, fields, _ = FAMILIES[family]
    state = published(family)
    known = recognition.readers()
    assert [name for name, module in known.items() if module.matches(state)] == [network]
    assert known[network].fields(state) == fields
    # and those are the fields of a network of as many parameters (of RRDBNet, with one block)
    fewer = {'num_blocks': 1} if network == 'rrdb' else {}
    module = models.make({'name': network, **fields, **fewer})
    variables = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    ours = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables))
    unused = '|'.join(map(re.escape, UNUSED)) + (FURTHER_BLOCKS if fewer else '')
    assert ours == sum(v.size for name, v in state.items() if not re.search(unused, name))


def test_the_names_may_be_nested_and_prefixed():
    state = published('unet-discriminator')
    reader = recognition.readers()['discriminators']
    for other in ({'params': state}, {f'module.{k}': v for k, v in state.items()}):
        assert reader.matches(other)
        assert reader.fields(other) == reader.fields(state)


def test_no_reader_takes_arrays_of_other_networks():
    strangers = [
        {'features.0.weight': (64, 3, 3, 3), 'features.3.squeeze.weight': (16, 64, 1, 1)},
        {'features.0.weight': (96, 3, 7, 7)},  # SqueezeNet's of both versions
        {'conv_first.weight': (64, 3, 3, 3), 'body.0.conv1.weight': (64, 64, 3, 3)},  # EDSR
        {'conv1.weight': (64, 3, 7, 7), 'layer1.0.conv1.weight': (64, 64, 1, 1)},  # ResNet
        {'body.0.weight': (), 'features.0.weight': ()},  # damaged
    ]
    for shapes in strangers:
        with pytest.raises(InputError, match=r'a\.pth: the weights of no network .*rrdb, srflow'):
            recognition.recognize(published_states.zeros(shapes.items()), 'a.pth')


def test_arrays_of_two_networks_are_refused_by_both_names():
    both = published('realesr-animevideov3') | published('unet-discriminator')
    message = r'a\.pth: the weights of several networks at once \(discriminators, srvgg\)'
    with pytest.raises(InputError, match=message):
        recognition.recognize(both, 'a.pth')


def test_a_file_more_is_a_reader_more(tmp_path, monkeypatch):
    before = recognition.readers()
    (tmp_path / 'novel.py').write_text(READER)
    (tmp_path / 'novel_helper.py').write_text('def read(state):\n    return state\n')
    monkeypatch.setattr(pretrained, '__path__', [*pretrained.__path__, str(tmp_path)])
    assert recognition.readers().keys() == {*before, 'novel'}
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = recognition.recognize({'novel.weight': weight}, 'a.pth')
    assert found.model == {'name': 'novel', 'features': 2}
    back = recognition.foreign_names('novel', found.variables, 'a.pth')
    np.testing.assert_array_equal(back['novel.weight'], weight)


def test_helpers_are_no_readers():
    readers = recognition.readers()
    assert 'rrdb' in readers
    assert not readers.keys() & {'files', 'layouts', 'lpips', 'named', 'ncnn', 'recognition'}
    for reader in readers.values():
        assert all(callable(getattr(reader, name)) for name in ('fields', 'from_torch', 'to_torch'))

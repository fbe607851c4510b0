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
    message = r'a\.pth: the weights of no network .*rrdb, span, srflow'
    for shapes in strangers:
        with pytest.raises(InputError, match=message):
            recognition.recognize(published_states.zeros(shapes.items()), 'a.pth')


@pytest.mark.parametrize(
    ('names', 'guess'),
    [
        (('patch_embed.proj.weight', 'layers.0.blocks.0.attn.logit_scale'), 'Swin2SR$'),
        (('feats.1.lk.conv.weight', 'feats.1.channe_mixer.0.weight'), 'PLKSR$'),
        (('spynet.basic_module.0.w', 'backward_trunk.main.0.w'), 'BasicVSR, a network for video, '),
        (('pcd_align.l1.w', 'fusion.w'), 'EDVR, a network for video, which takes several frames'),
    ],
)
def test_a_stranger_is_named(names, guess):
    state = published_states.zeros((name, (2, 3)) for name in names)
    with pytest.raises(InputError, match=f'and look like the weights of {guess}'):
        recognition.recognize(state, 'a.pth')


def test_what_arrays_do_not_tell_is_asked():
    shapes = [*published_states.srvgg(2, 6, 3)]
    state = published_states.zeros((k, s) for k, s in shapes if len(s) > 1 or k.endswith('bias'))
    message = r'a\.pth: its arrays do not tell the activation .* convert a\.pth --activation relu'
    with pytest.raises(InputError, match=message):
        recognition.recognize(state, 'a.pth')
    found = recognition.recognize(state, 'a.pth', {'activation': 'leaky_relu'})
    fields = dict(scale=2, features=6, num_convs=3, activation='leaky_relu')
    assert found.model == {'name': 'srvgg', **fields}
    assert recognition.readers()['srvgg'].to_torch(found.variables).keys() == state.keys()
    with pytest.raises(InputError, match='activation gelu was said: it is one of relu, leaky'):
        recognition.recognize(state, 'a.pth', {'activation': 'gelu'})
    with pytest.raises(InputError, match='activation relu was said, which its arrays tell'):
        recognition.recognize(published_states.zeros(shapes), 'a.pth', {'activation': 'relu'})


def test_what_is_usual_need_not_be_said():
    state = published('unet-discriminator')
    assert recognition.recognize(state, 'a.pth').model['skips'] is True
    assert recognition.recognize(state, 'a.pth', {'skips': False}).model['skips'] is False


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
    back = recognition.foreign_names('novel', None, found.variables, 'a.pth')
    np.testing.assert_array_equal(back['novel.weight'], weight)


def test_helpers_are_no_readers():
    readers = recognition.readers()
    assert 'rrdb' in readers
    assert not readers.keys() & {'files', 'layouts', 'lpips', 'named', 'ncnn', 'recognition'}
    for reader in readers.values():
        assert all(callable(getattr(reader, name)) for name in ('fields', 'from_torch', 'to_torch'))

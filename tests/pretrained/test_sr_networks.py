"""Importing and exporting the weights of SRResNet, RRDBNet, SRVGGNetCompact and discriminators."""

import jax
import numpy as np
import pytest
from parity import part

from sr_jax.errors import InputError
from sr_jax.models.discriminators import Discriminator
from sr_jax.models.rrdb import RRDBNet
from sr_jax.models.srresnet import SRResNet
from sr_jax.models.srvgg import SRVGGNetCompact
from sr_jax.pretrained import discriminators, rrdb, srresnet, srvgg

FIXTURES = [
    ('rrdb_msrresnet_x3', srresnet, SRResNet),
    ('rrdb_msrresnet_x4', srresnet, SRResNet),
    ('rrdb_net_x2', rrdb, RRDBNet),
    ('rrdb_2018_x1', rrdb, RRDBNet),
    ('rrdb_2018_x16', rrdb, RRDBNet),
    ('rrdb_plus_x2', rrdb, RRDBNet),
    ('rrdb_vggdisc128_eval', discriminators, Discriminator),
    ('rrdb_unetdisc_sn_eval', discriminators, Discriminator),
]
OURS = [
    (srresnet, SRResNet, dict(scale=2, features=4, num_blocks=3)),
    (rrdb, RRDBNet, dict(scale=1, features=4, num_blocks=2, growth=3)),
    (
        rrdb,
        RRDBNet,
        dict(scale=2, features=4, num_blocks=1, growth=3, in_channels=1, out_channels=1),
    ),
    (rrdb, RRDBNet, dict(scale=8, features=5, num_blocks=2, growth=3, out_channels=1, plus=True)),
    (
        rrdb,
        RRDBNet,
        dict(scale=1, features=6, num_blocks=2, growth=5, in_channels=4, unshuffle=False),
    ),
    (srvgg, SRVGGNetCompact, dict(scale=3, features=4, num_convs=2)),
    (discriminators, Discriminator, dict(form='vgg', features=8, size=128, norm='group')),
    (discriminators, Discriminator, dict(form='vgg', features=5, size=256, norm='batch')),
    (discriminators, Discriminator, dict(form='vgg', features=4, size=96, norm='batch')),
    (discriminators, Discriminator, dict(form='unet', features=5)),
]


def state_of(arrays):
    return part(arrays, 'param/', 'buffer/')


def abstract_variables(model):
    return jax.eval_shape(model.init, jax.random.key(0), model.example(1))


@pytest.mark.parametrize(('name', 'weights', 'network'), FIXTURES)
def test_round_trip_from_their_side(golden, name, weights, network):
    state = state_of(golden(name))
    found = weights.from_torch(state)
    wanted = abstract_variables(network(**weights.fields(state)))
    assert jax.tree.map(np.shape, found) == jax.tree.map(np.shape, wanted)
    back = weights.to_torch(found)
    assert back.keys() == state.keys()
    for key, value in state.items():
        if not key.endswith('num_batches_tracked'):
            np.testing.assert_array_equal(back[key], value, err_msg=key)


@pytest.mark.parametrize(('weights', 'network', 'fields'), OURS)
def test_round_trip_from_our_side(weights, network, fields):
    random = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: random.normal(size=leaf.shape).astype(np.float32),
        abstract_variables(network(**fields)),
    )
    state = weights.to_torch(variables)
    assert weights.fields(state) == fields
    jax.tree.map(np.testing.assert_array_equal, weights.from_torch(state), variables)


def old_name(name, generation):
    """An array's name of today in one of the older generations, of a network of two blocks."""
    layer, _, kind = name.rpartition('.')
    if layer.startswith('body.'):
        _, block, rdb, conv = layer.split('.')
        if generation == 2018:
            return f'model.1.sub.{block}.{rdb.upper()}.{conv}.0.{kind}'
        return f'RRDB_trunk.{block}.{rdb.upper()}.{conv}.{kind}'
    middle = {
        'conv_body': ('trunk_conv', 'model.1.sub.2'),
        'conv_up1': ('upconv1', 'model.3'),
        'conv_up2': ('upconv2', 'model.6'),
        'conv_hr': ('HRconv', 'model.8'),
        'conv_first': ('conv_first', 'model.0'),
        'conv_last': ('conv_last', 'model.10'),
    }
    return f'{middle[layer][generation == 2018]}.{kind}'


@pytest.mark.parametrize('generation', [2018, 2019])
def test_the_older_names_of_rrdbnet(golden, generation):
    state = state_of(golden('rrdb_net_x4'))
    older = {old_name(name, generation): value for name, value in state.items()}
    assert len(older) == len(state)
    assert rrdb.fields(older) == rrdb.fields(state)
    jax.tree.map(np.testing.assert_array_equal, rrdb.from_torch(older), rrdb.from_torch(state))


def test_checkpoints_with_averaged_parameters(golden):
    state = state_of(golden('rrdb_msrresnet_x2'))
    other = {name: np.zeros_like(value) for name, value in state.items()}
    expected = srresnet.from_torch(state)
    for checkpoint in ({'params': state}, {'params': other, 'params_ema': state}):
        jax.tree.map(np.testing.assert_array_equal, srresnet.from_torch(checkpoint), expected)


def test_missing_and_unknown_arrays_are_named(golden):
    state = state_of(golden('rrdb_net_x4'))
    state['surplus.weight'] = state.pop('conv_hr.bias')
    with pytest.raises(InputError, match=r'RRDBNet.*missing.*conv_hr\.bias.*unknown.*surplus'):
        rrdb.from_torch(state)


@pytest.mark.parametrize('weights', [srresnet, rrdb, srvgg, discriminators])
def test_other_weights_are_refused(weights):
    with pytest.raises(InputError, match=r"not the weights of .*no '"):
        weights.from_torch({'conv.weight': np.zeros((3, 3, 3, 3))})


def test_a_layout_in_channels_of_another_scale_is_refused(golden):
    state = state_of(golden('rrdb_net_x2'))
    del state['conv_up2.weight']
    with pytest.raises(InputError, match='takes 12 channels for 3 made.*by 4, not by 2'):
        rrdb.from_torch(state)


def test_numbers_of_layers_that_are_no_doublings_are_unknown(golden):
    state = state_of(golden('rrdb_plus_x2'))
    state['model.8.weight'] = state.pop('model.7.weight')
    with pytest.raises(InputError, match=r"no 'conv_last\.weight'"):
        rrdb.from_torch(state)


def test_discriminators_of_other_depths_are_refused(golden):
    state = state_of(golden('rrdb_vggdisc128_eval'))
    del state['conv4_0.weight']
    with pytest.raises(InputError, match='4 stages'):
        discriminators.from_torch(state)

"""SRFlow's weights there and back, and what is said of those that are almost its."""

import jax
import numpy as np
import published_states
import pytest
from parity import part

from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.pretrained import files, recognition
from sr_jax.pretrained import srflow as weights

MATRIX = 'flowUpsamplerNet.layers.5.invconv.weight'


@pytest.fixture
def state(golden):
    return part(golden('srflow_net_x4'), 'param/')


# Two of them alike would hide that they are taken for one another.
UNEQUAL = (
    dict(scale=4, features=6, num_blocks=2, growth=5, stacked=1, steps=3, hidden=7, transitions=8),
    dict(scale=4, features=8, num_blocks=6, growth=5, stacked=2, steps=1, hidden=9, transitions=3),
    dict(scale=8, features=5, num_blocks=4, growth=6, stacked=3, steps=2, hidden=7, transitions=1),
)


@pytest.mark.parametrize('fields', UNEQUAL)
def test_numbers_of_which_no_two_are_alike_come_back(fields, tmp_path):
    random = np.random.default_rng(0)
    state = {
        name: random.normal(size=value.shape).astype(np.float32)
        for name, value in published_states.zeros(published_states.srflow(**fields)).items()
    }
    assert weights.fields(state) == fields
    back = weights.to_torch(weights.from_torch(state))
    assert back.keys() == {name for name in state if '.f.0.' not in name}
    for name, value in back.items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)
    files.write_state(tmp_path / 'flow.safetensors', state, {})
    found = networks.load(tmp_path / 'flow.safetensors')  # which checks the shapes
    assert found.model == {'name': 'srflow', **fields}
    params = found.variables['params']
    for kind, count in (('transition', fields['transitions']), ('level', fields['steps'])):
        assert {len(x) for x in jax.tree.leaves(params[f'{kind}_0'])} == {count}


@pytest.mark.parametrize('missing', ['transition', 'level'])
def test_levels_of_other_numbers_of_steps_are_refused(missing):
    fields = UNEQUAL[2] | dict(transitions=2)
    state = published_states.zeros(published_states.srflow(**fields))
    number = {'transition': 2, 'level': 4}[missing]  # the last of its kind on the first level
    prefix = f'flowUpsamplerNet.layers.{number}.'
    changed = {name: value for name, value in state.items() if not name.startswith(prefix)}
    with pytest.raises(InputError, match=r'its flow has \d levels of'):
        weights.fields(changed)


def test_they_are_recognised(state):
    found = recognition.recognize(state, 'a.pth')
    assert found.model['name'] == 'srflow'
    assert found.model['scale'] == 4
    unused = {'flowUpsamplerNet.f.0.weight': np.zeros((1, 1, 3, 3), np.float32)}
    assert recognition.recognize(state | unused, 'a.pth').model == found.model


def test_modern_names_of_the_encoder_are_read_too(state):
    # DL-Art-School renames the encoder's layers alone.
    renamed = {
        name.replace('RRDB_trunk', 'body')
        .replace('.RDB', '.rdb')
        .replace('trunk_conv', 'conv_body')
        .replace('upconv', 'conv_up')
        .replace('HRconv', 'conv_hr'): value
        for name, value in state.items()
    }
    assert renamed.keys() != state.keys()
    assert weights.fields(renamed) == weights.fields(state)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({MATRIX: np.ones((24, 24), np.float32)}, f'a.pth: {MATRIX} is singular'),
        ({MATRIX: np.full((24, 24), np.nan, np.float32)}, 'is singular'),
        ({'another.weight': np.zeros(3)}, 'unknown another.weight'),
        ({'flowUpsamplerNet.layers.x.weight': np.zeros(3)}, 'unknown flowUpsamplerNet.layers.x'),
        ({'RRDB.upconv3.weight': np.zeros((6, 6, 3, 3))}, 'encoder enlarges by 8'),
    ],
)
def test_what_does_not_fit_is_named(state, change, message):
    with pytest.raises(InputError, match=message):
        recognition.recognize(state | change, 'a.pth')


def test_a_missing_array_is_named(state):
    name = 'flowUpsamplerNet.layers.6.affine.fAffine.4.logs'
    del state[name]
    with pytest.raises(InputError, match=f"missing .*'{name.partition('layers.')[2]}'"):
        recognition.recognize(state, 'a.pth')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda m: {'lower': m['weight']}, 'factors of its matrices'),
        (lambda m: m | {'before': np.zeros((3, 3))}, '3 x 3 convolutions'),
    ],
)
def test_what_the_original_has_not_cannot_be_written(state, change, message):
    variables = weights.from_torch(state)
    steps = variables['params']['level_0']['steps']
    steps['mixing'] = change(steps['mixing'])
    with pytest.raises(InputError, match=message):
        weights.to_torch(variables)


def test_a_flow_that_is_told_of_noise_cannot_be_written(state):
    variables = weights.from_torch(state)
    injector = variables['params']['level_1']['steps']['coupling']['injector']
    kernel = injector['conv_0']['kernel']
    injector['conv_0']['kernel'] = np.concatenate([kernel, kernel[..., :1, :]], axis=-2)
    with pytest.raises(InputError, match='level_1/coupling is told how noisy'):
        weights.to_torch(variables)


def test_wider_couplings_cannot_be_written(state):
    variables = weights.from_torch(state)
    injector = variables['params']['level_1']['steps']['coupling']['injector']
    injector['conv_1']['kernel'] = injector['conv_1']['kernel'].repeat(3, 1).repeat(3, 2)
    with pytest.raises(InputError, match='1 x 1 taps'):
        weights.to_torch(variables)

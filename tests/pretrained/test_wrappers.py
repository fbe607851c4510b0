"""Whatever programs put around a network's arrays is taken off, and what cannot be is named."""

import itertools

import numpy as np
import pytest
import torch_writer
from hypothesis import given, settings
from hypothesis import strategies as st
from published_states import published

from sr_jax.errors import InputError
from sr_jax.pretrained import files, recognition, wrappers

STATE = {'a.weight': np.zeros((2, 3)), 'a.bias': np.zeros(2)}
OTHER = {'b.weight': np.zeros((4, 5))}
ADAM = {'state': {0: {'step': np.array(1), 'exp_avg': np.zeros((2, 3))}}, 'param_groups': [{}]}
NAMES = st.text(max_size=3) | st.sampled_from(wrappers.KNOWN)


def is_array(value):
    return isinstance(value, np.ndarray)


def find(tree):
    return wrappers.find_state(tree, is_array)


@settings(max_examples=30)
@given(NAMES, st.dictionaries(NAMES, st.integers() | st.none() | st.just({}), max_size=3))
def test_one_dictionary_of_arrays_is_taken_whatever_its_key_is(key, others):
    assert find({**others, key: STATE}) == STATE
    assert find({**others, 'step': np.array(3), key: {key: STATE}}) == STATE


@pytest.mark.parametrize('keys', list(itertools.pairwise(wrappers.KNOWN)))
def test_of_several_the_first_known_key_counts(keys):
    first, second = keys
    assert find({second: OTHER, first: STATE, 'optimizer': ADAM, 'x': OTHER}) == STATE
    assert find({second: STATE, 'optimizer': ADAM, 'x': OTHER}) == STATE


def test_numbers_beside_the_arrays_and_an_optimizer_are_left_out():
    assert find({**STATE, 'epoch': 3, 'config': {'lr': 0.1}}) == STATE
    assert find({'gen': STATE, 'optim': ADAM}) == STATE


def test_several_networks_are_named_by_their_keys():
    with pytest.raises(InputError, match=r"several networks, under the keys \['disc', 'gen'\]"):
        find({'gen': STATE, 'disc': OTHER, 'epoch': 3})


def test_a_checkpoint_without_arrays_is_named_by_its_keys():
    endless: dict = {}
    endless['params'] = endless
    deep: dict = STATE
    for _ in range(wrappers.MAX_DEPTH):
        deep = {'x': deep}
    for tree, keys in (
        ({'epoch': 3, 'x\x1b[1m': {}}, r"\['epoch', 'x\\x1b\[1m'\]"),
        ({}, 'none'),
        ([STATE], 'none'),
        (endless, r"\['params'\]"),
        (deep, r"\['x'\]"),
        ({'optimizer': ADAM}, r"\['optimizer'\]"),
    ):
        with pytest.raises(InputError, match=f'no weights in it: its keys are {keys}$'):
            find(tree)


@pytest.mark.parametrize(
    'prefix', ['module.', 'generator.', '_orig_mod.', 'params_ema.', 'module.model.net_g.', 'x.y.']
)
def test_a_common_prefix_is_cut_off(prefix):
    state = published('realesrgan-x4plus-anime-6B')
    expected = recognition.recognize(state, 'x')
    found = recognition.recognize({prefix + name: v for name, v in state.items()}, 'x')
    assert found.model == expected.model
    assert found.variables['params'].keys() == expected.variables['params'].keys()


def test_of_several_prefixes_the_known_one_counts():
    state, other = published('realesr-animevideov3'), published('unet-discriminator')
    both = {
        **{f'generator.{name}': value for name, value in state.items()},
        **{f'discriminator.{name}': value for name, value in other.items()},
        'step_counter': np.array(3),
    }
    assert recognition.recognize(both, 'x').model['num_convs'] == 16
    ema = {f'params.{name}': value for name, value in other.items()}
    ema |= {f'params_ema.{name}': value for name, value in state.items()}
    assert recognition.recognize(ema, 'x').model['num_convs'] == 16


def test_a_network_within_another_is_not_taken_for_it():
    encoder = published('realesrgan-x4plus-anime-6B')
    state = {**{f'encoder.{name}': v for name, v in encoder.items()}, 'decoder.weight': np.zeros(2)}
    with pytest.raises(InputError, match=r"no network that is .*'decoder\.weight', 'enc"):
        recognition.recognize(state, 'x')


@pytest.mark.parametrize('write', [torch_writer.zipped, torch_writer.unzipped])
def test_a_file_with_all_of_it(tmp_path, write):
    state = {name: np.array(v) for name, v in STATE.items()}
    tree = {
        'net_g': state,
        'psnr': torch_writer.Called(
            'numpy._core.multiarray scalar', (torch_writer.Called('numpy dtype', ('f8',)), 'x')
        ),
        'optimizer': ADAM,
    }
    (tmp_path / 'w.pth').write_bytes(write(tree))
    assert files.read_state(tmp_path / 'w.pth').keys() == STATE.keys()

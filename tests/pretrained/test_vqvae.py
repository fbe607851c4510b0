"""Importing and exporting VQ-VAE-2 weights."""

import jax
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.models.vqvae import VQVAE
from sr_jax.pretrained import vqvae


def state_of(arrays):
    """The state dictionary that a fixture started from."""
    state = {}
    for name, value in arrays.items():
        group, _, rest = name.partition('/')
        if group in ('param', 'buffer'):
            state[rest] = value
    return state


def abstract_variables(**fields):
    model = VQVAE(**fields)
    return jax.eval_shape(model.init, jax.random.key(0), model.example(1))


def test_fields_are_read_from_the_weights(golden):
    fields = vqvae.fields(state_of(golden('vqvae_full_eval')))
    assert fields == {
        'channels': 16,
        'num_res_blocks': 2,
        'res_channels': 8,
        'codebook_size': 32,
        'bottom_codebook_size': 32,
        'codebook_dim': 8,
        'upsampling': 'transposed',
    }


def test_import_fills_every_variable_with_its_shape(golden):
    state = state_of(golden('vqvae_full_eval'))
    wanted = abstract_variables(**vqvae.fields(state))
    found = vqvae.from_torch(state)
    assert jax.tree.map(np.shape, found) == jax.tree.map(np.shape, wanted)


def test_torch_round_trip_is_exact(golden):
    state = state_of(golden('vqvae_full_eval'))
    back = vqvae.to_torch(vqvae.from_torch(state))
    assert back.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)


@pytest.mark.parametrize('upsampling', ['transposed', 'nearest'])
@pytest.mark.parametrize('num_res_blocks', [1, 3])
def test_round_trip_from_our_side(upsampling, num_res_blocks):
    fields = {
        'channels': 8,
        'num_res_blocks': num_res_blocks,
        'res_channels': 5,
        'codebook_size': 16,
        'bottom_codebook_size': 24,
        'codebook_dim': 6,
        'upsampling': upsampling,
    }
    random = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: random.normal(size=leaf.shape).astype(np.float32),
        abstract_variables(**fields),
    )
    state = vqvae.to_torch(variables)
    assert vqvae.fields(state) == fields
    jax.tree.map(np.testing.assert_array_equal, vqvae.from_torch(state), variables)


def test_names_of_data_parallel_training_are_understood(golden):
    state = state_of(golden('vqvae_full_eval'))
    wrapped = {f'module.{name}': value for name, value in state.items()}
    jax.tree.map(np.testing.assert_array_equal, vqvae.from_torch(wrapped), vqvae.from_torch(state))


def test_missing_and_unknown_arrays_are_named(golden):
    state = state_of(golden('vqvae_full_eval'))
    state['surplus.weight'] = state.pop('dec.blocks.0.bias')
    with pytest.raises(InputError, match=r'missing.*dec\.blocks\.0\.bias.*unknown.*surplus'):
        vqvae.from_torch(state)


def test_other_weights_are_refused():
    with pytest.raises(InputError, match='not the weights of a VQ-VAE-2'):
        vqvae.from_torch({'conv.weight': np.zeros((3, 3, 3, 3))})

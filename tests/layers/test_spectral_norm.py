"""Spectrally normalised convolutions; against PyTorch's in tests/models/test_discriminators.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_program import apply, init

from sr_jax.layers.convolution import convolve
from sr_jax.layers.spectral_norm import SpectralConvolution

LAYER = SpectralConvolution(6, 3)
X = jnp.asarray(np.random.default_rng(1).standard_normal((2, 5, 4, 3), np.float32))


@pytest.fixture(scope='module')
def variables():
    return init(LAYER, jax.random.key(0), X)


def test_the_state_starts_at_random_with_length_one(variables):
    state = variables['spectral_norm']
    assert state['u'].shape == (6,) and state['v'].shape == (3, 3, 3)
    for vector in state.values():
        np.testing.assert_allclose(jnp.linalg.norm(vector.reshape(-1)), 1, rtol=1e-5)
        assert jnp.abs(vector).min() > 0


def test_training_finds_the_largest_singular_value(variables):
    step = jax.jit(lambda v: LAYER.apply(v, X, train=True, mutable=['spectral_norm']))
    for _ in range(60):
        y, changed = step(variables)
        variables = {**variables, **changed}
    kernel = variables['params']['kernel']
    sigma = np.linalg.svd(np.asarray(kernel).reshape(-1, 6), compute_uv=False)[0]
    np.testing.assert_allclose(y, convolve(X, kernel / sigma), rtol=1e-3, atol=1e-4)
    evaluated, unchanged = apply(LAYER, variables, X, mutable=['spectral_norm'])
    np.testing.assert_allclose(evaluated, y, rtol=1e-3, atol=1e-4)
    jax.tree.map(
        np.testing.assert_array_equal, unchanged['spectral_norm'], variables['spectral_norm']
    )


def test_a_step_is_taken_in_training_even_where_it_is_not_kept(variables):
    kept, _ = apply(LAYER, variables, X, train=True, mutable=['spectral_norm'])
    lost = apply(LAYER, variables, X, train=True)
    np.testing.assert_array_equal(kept, lost)
    assert not np.allclose(lost, apply(LAYER, variables, X), rtol=1e-3)


def test_the_gradient_goes_through_sigma_but_not_through_its_vectors(variables):
    kernel, state = variables['params']['kernel'], variables['spectral_norm']

    def by_hand(kernel):
        sigma = state['v'].reshape(-1) @ kernel.reshape(-1, 6) @ state['u']
        return jnp.sum(jnp.sin(convolve(X, kernel / sigma)))

    def by_layer(kernel):
        y = LAYER.apply({'params': {'kernel': kernel}, 'spectral_norm': state}, X)
        return jnp.sum(jnp.sin(y))

    np.testing.assert_allclose(jax.grad(by_layer)(kernel), jax.grad(by_hand)(kernel), rtol=1e-4)


def test_half_precision_keeps_the_variables_in_float32():
    layer = SpectralConvolution(6, 4, stride=2, dtype='bfloat16')
    y, variables = layer.init_with_output(jax.random.key(0), X)
    assert y.dtype == jnp.bfloat16 and y.shape == (2, 2, 2, 6)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.widening import copies, widen, widen_kernel
from sr_jax.models.vqvae import VQVAE

SMALL = {'num_res_blocks': 1, 'codebook_size': 16, 'codebook_dim': 4}


def make(upsampling, channels, res_channels):
    return VQVAE(channels, res_channels=res_channels, upsampling=upsampling, **SMALL)


@pytest.mark.parametrize(
    'upsampling', [pytest.param('nearest', marks=pytest.mark.slow), 'transposed']
)
def test_a_widened_vqvae_gives_the_same_output_and_its_copies_part(upsampling):
    narrow, wide = make(upsampling, 8, 4), make(upsampling, 20, 7)
    x = jnp.asarray(np.random.default_rng(0).random((2, 16, 16, 3), np.float32))
    variables = dict(jax.jit(draw_in_loops(narrow.init))(jax.random.key(1), x))
    shapes = jax.eval_shape(wide.init, jax.random.key(2), x)['params']
    joined = wide.find_concatenations(narrow)
    widened = jax.jit(lambda params, key: widen(params, shapes, key, joined))
    params = widened(variables['params'], jax.random.key(3))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda s: s.shape, shapes)

    def loss(params, model):
        output = model.apply({**variables, 'params': params}, x)
        return jnp.mean((output.image - x) ** 2) + output.commitment_loss, output

    _, expected = jax.jit(loss, static_argnums=1)(variables['params'], narrow)
    differentiate = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)
    gradients, actual = differentiate(params, wide)
    jax.tree.map(np.testing.assert_array_equal, actual.codes, expected.codes)
    np.testing.assert_allclose(actual.image, expected.image, atol=1e-6)
    np.testing.assert_allclose(actual.commitment_loss, expected.commitment_loss, rtol=1e-5)
    # What leads to the copies differs from the start by more than a factor.
    kernel = gradients['encoder_bottom']['conv']['kernel']
    first, second = kernel[..., 0].ravel(), kernel[..., 8].ravel()
    cosine = first @ second / jnp.linalg.norm(first) / jnp.linalg.norm(second)
    assert jnp.linalg.norm(second) > 0
    assert cosine < 0.999


def test_the_shares_of_the_copies_are_uneven_and_add_up():
    kernel = jnp.ones((3, 3, 2, 1))
    wide = widen_kernel(kernel, copies(2, 5), copies(1, 2), jax.random.key(0), 0.5)
    assert wide.shape == (3, 3, 5, 2)
    np.testing.assert_allclose(wide[:, :, ::2].sum(axis=2), 1, rtol=1e-6)
    np.testing.assert_allclose(wide[:, :, 1::2].sum(axis=2), 1, rtol=1e-6)
    assert wide.std() > 0.05
    assert wide.min() > 0.1
    even = widen_kernel(kernel, copies(2, 4), copies(1, 1), jax.random.key(0), 0.0)
    np.testing.assert_allclose(even, 0.5)


def test_what_cannot_be_widened_is_named():
    params = {'a': {'kernel': jnp.ones((3, 3, 2, 4)), 'bias': jnp.ones(4)}}
    key = jax.random.key(0)

    def wider(*kernel, bias=6):
        return {'a': {'kernel': jnp.ones(kernel), 'bias': jnp.ones(bias)}}

    with pytest.raises(InputError, match='4 channels cannot be widened to 3'):
        widen(params, wider(3, 3, 2, 4, bias=3), key)
    with pytest.raises(InputError, match=r'a/kernel .* cannot be widened'):
        widen(params, wider(5, 5, 2, 6), key)
    with pytest.raises(InputError, match='only one has a/bias'):
        widen(params, {'a': {'kernel': jnp.ones((3, 3, 2, 6))}}, key)
    with pytest.raises(InputError, match='do not make up the inputs of a'):
        widen(params, wider(3, 3, 4, 6), key, {'a': ((1, 1), (1, 2))})

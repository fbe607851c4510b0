"""The VQ-VAE against the PyTorch originals: values, gradients, codebooks and optimiser steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util
from parity import assert_close, nhwc, part

from sr_jax.errors import InputError
from sr_jax.layers.quantizer import merge_statistics
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.models.vqvae import VQVAE, Decoder, Encoder, ResBlock
from sr_jax.pretrained import vqvae as weights
from sr_jax.pretrained.layouts import to_ours

SMALL = {
    'channels': 16,
    'res_channels': 8,
    'codebook_size': 32,
    'codebook_dim': 8,
}


def variables_of(arrays, state='param/', buffers='buffer/'):
    return weights.from_torch(part(arrays, state) | part(arrays, buffers))


# Parts of the network ------------------------------------------------------------------------


def layer_params(arrays, layers, last_is_up=False):
    """Our parameters, and in the same layout their gradients, of a part of the network."""
    params, gradients = {}, {}
    for theirs, (_, *path), kind in layers:
        kind = 'transposed' if kind == 'up' else kind
        path = (*path, 'conv') if kind == 'transposed' else tuple(path)
        for name, ours, layout in (('weight', 'kernel', kind), ('bias', 'bias', 'vector')):
            params[*path, ours] = to_ours(arrays[f'param/{theirs}.{name}'], layout)
            gradient = arrays[f'grad/param/{theirs}.{name}']
            gradients[*path, ours] = to_ours(gradient, layout)
    return traverse_util.unflatten_dict(params), gradients


def check_part(module, arrays, layers):
    params, expected = layer_params(arrays, layers)
    cotangent = nhwc(arrays['cotangent'])

    @jax.jit
    def run(params, x, cotangent):
        y, pull_back = jax.vjp(lambda params, x: module.apply({'params': params}, x), params, x)
        return y, pull_back(cotangent)

    y, (gradients, gradient_x) = run(params, nhwc(arrays['in/x']), cotangent)
    assert_close(y, nhwc(arrays['out/y']))
    assert_close(gradient_x, nhwc(arrays['grad/in/x']), rtol=1e-3)
    for path, gradient in traverse_util.flatten_dict(gradients).items():
        assert_close(gradient, expected[path], rtol=1e-3, name='/'.join(path))


def test_residual_block(golden):
    layers = [('conv.1', ('', 'conv_0'), 'conv'), ('conv.3', ('', 'conv_1'), 'conv')]
    check_part(ResBlock(4, False, 'float32'), golden('vqvae_resblock'), layers)


def unprefixed(layers):
    return [(name.removeprefix('.'), path, kind) for name, path, kind in layers]


@pytest.mark.parametrize('downs', [1, 2])
def test_encoder(golden, downs):
    module = Encoder(8, downs, 2, 4, 'transposed', 'float32')
    layers = unprefixed(weights.encoder_layers('', '', downs, 2))
    check_part(module, golden(f'vqvae_encoder_stride{2**downs}'), layers)


@pytest.mark.parametrize(('ups', 'features'), [(1, 6), (2, 3)])
def test_decoder(golden, ups, features):
    module = Decoder(features, 8, ups, 2, 4, 'transposed', 'float32')
    layers = unprefixed(weights.decoder_layers('', '', ups, 2))
    check_part(module, golden(f'vqvae_decoder_stride{2**ups}'), layers)


# The whole network ---------------------------------------------------------------------------


def on_their_scale(variables, x, train):
    """Reconstruction of x, both in [-1, 1]; the other outputs; the codebooks afterwards."""
    output, mutated = VQVAE(**SMALL).apply(
        variables, (x + 1) / 2, train=train, mutable=['codebook'] if train else []
    )
    return 2 * output.image - 1, output, mutated.get('codebook')


def assert_codebooks(codebooks, arrays, prefix):
    for short, level in weights.LEVELS.items():
        for theirs, ours in weights.CODEBOOK_NAMES.items():
            name = f'{prefix}quantize_{short}.{theirs}'
            assert_close(codebooks[f'quantizer_{level}'][ours], arrays[name].T, name=name)


def assert_codes(output, arrays, prefix='out/'):
    np.testing.assert_array_equal(output.codes['top'], arrays[f'{prefix}id_t'])
    np.testing.assert_array_equal(output.codes['bottom'], arrays[f'{prefix}id_b'])


def assert_gradients(gradients, arrays, prefix, variables):
    found = part(weights.to_torch({**variables, 'params': gradients}), '')
    for name, expected in part(arrays, prefix).items():
        assert_close(found[name], expected, rtol=1e-3, name=name)


@pytest.mark.parametrize('train', [False, True])
def test_full_forward_and_gradients(golden, train):
    arrays = golden('vqvae_full_train' if train else 'vqvae_full_eval')
    variables = variables_of(arrays)

    def weighted(params, x):
        image, output, codebooks = on_their_scale({**variables, 'params': params}, x, train)
        total = jnp.sum(image * nhwc(arrays['cotangent']))
        total += output.commitment_loss * arrays['cotangent_diff'][0]
        return total, (image, output, codebooks)

    x = nhwc(arrays['in/x'])
    differentiate = jax.jit(jax.grad(weighted, argnums=(0, 1), has_aux=True))
    (gradients, gradient_x), (image, output, codebooks) = differentiate(variables['params'], x)
    assert_codes(output, arrays)
    assert_close(image, nhwc(arrays['out/dec']))
    assert_close(output.commitment_loss, arrays['out/diff'][0])
    assert_close(gradient_x, nhwc(arrays['grad/in/x']), rtol=1e-3)
    assert_gradients(gradients, arrays, 'grad/param/', variables)
    if train:
        assert_codebooks(codebooks, arrays, 'buffer_after/')


@pytest.mark.parametrize('name', ['vqvae_train3_ema_only', 'vqvae_train3_adam'])
def test_three_training_steps(golden, name):
    arrays = golden(name)
    variables = variables_of(arrays)
    params, codebooks = variables['params'], variables['codebook']
    optimizer = optax.adam(3e-4) if 'adam' in name else optax.set_to_zero()
    opt_state = optimizer.init(params)

    @jax.jit
    def step(params, codebooks, opt_state, x):
        def loss(params):
            image, output, updated = on_their_scale(
                {'params': params, 'codebook': codebooks}, x, train=True
            )
            reconstruction = jnp.mean((image - x) ** 2)
            total = reconstruction + 0.25 * output.commitment_loss
            return total, (image, reconstruction, output, updated)

        gradients, aux = jax.grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(gradients, opt_state)
        return optax.apply_updates(params, updates), opt_state, gradients, aux

    for i in range(3):
        step_arrays = part(arrays, f'step{i}/')
        x = nhwc(step_arrays['in/x'])
        params, opt_state, gradients, aux = step(params, codebooks, opt_state, x)
        image, reconstruction, output, codebooks = aux
        assert_codes(output, step_arrays)
        assert_close(image, nhwc(step_arrays['out/dec']), rtol=3e-4)
        assert_close(reconstruction, step_arrays['out/recon_loss'])
        assert_close(output.commitment_loss, step_arrays['out/latent_loss'], rtol=3e-4)
        assert_gradients(gradients, step_arrays, 'grad/param/', variables)
        assert_codebooks(codebooks, step_arrays, 'buffer_after/')
    assert_gradients(params, arrays, 'param_after/', variables)


# Behaviour -----------------------------------------------------------------------------------


MODEL = VQVAE(**SMALL)


@pytest.fixture(scope='module')
def variables():
    return jax.jit(draw_in_loops(MODEL.init))(jax.random.key(0), jnp.zeros((1, 8, 16, 3)))


@pytest.fixture(scope='module')
def x():
    return jnp.asarray(np.random.default_rng(1).random((2, 16, 24, 3), np.float32))


def test_decoding_the_codes_gives_the_reconstruction(variables, x):
    output = jax.jit(MODEL.apply)(variables, x)
    codes = jax.jit(functools.partial(MODEL.apply, method='encode'))(variables, x)
    assert codes['top'].shape == (2, 2, 3)
    assert codes['bottom'].shape == (2, 4, 6)
    assert codes['top'].dtype == codes['bottom'].dtype == jnp.int32
    jax.tree.map(np.testing.assert_array_equal, codes, output.codes)
    decoded = jax.jit(functools.partial(MODEL.apply, method='decode'))(variables, codes)
    np.testing.assert_allclose(decoded, output.image, atol=1e-5)


def test_microbatches_update_the_codebooks_as_one_batch(variables, x):
    train = functools.partial(MODEL.apply, train=True)
    _, whole = jax.jit(functools.partial(train, mutable=['codebook']))(variables, x)
    gather = jax.jit(functools.partial(train, mutable=['codebook_statistics']))
    gathered = [gather(variables, half)[1] for half in (x[:1], x[1:])]
    statistics = merge_statistics(*(mutated['codebook_statistics'] for mutated in gathered))
    _, merged = MODEL.apply(variables, statistics, method='update_codebooks', mutable=['codebook'])
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), merged, whole)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision_keeps_variables_and_outputs_in_float32(variables, x, dtype):
    model = VQVAE(**SMALL, dtype=dtype)
    output = jax.jit(model.apply)(variables, x)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype('float32')}
    assert output.image.dtype == output.commitment_loss.dtype == jnp.float32
    full = jax.jit(MODEL.apply)(variables, x)
    assert 0 < jnp.abs(output.image - full.image).mean() < 0.02


# JAX 0.10 removes, on CPUs only, the barriers that keep recomputed values from being merged again
# with the first ones, so that nothing is saved; JAX 0.12 keeps them by itself.
KEEP_BARRIERS = {'xla_disable_hlo_passes': 'cse_barrier_expander'}


def test_rematerialisation_keeps_gradients_and_saves_memory(variables, x):
    def compiled(remat):
        model = VQVAE(**SMALL, remat=remat)
        big = jnp.tile(x[:, :16, :16], (1, 4, 4, 1))

        def loss(params):
            output = model.apply({**variables, 'params': params}, big)
            return jnp.mean((output.image - big) ** 2) + output.commitment_loss

        function = jax.jit(jax.grad(loss)).lower(variables['params']).compile(KEEP_BARRIERS)
        return function(variables['params']), function.memory_analysis().temp_size_in_bytes

    gradients, memory = compiled(remat=False)
    recomputed, less = compiled(remat=True)
    compare = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-7)
    jax.tree.map(compare, recomputed, gradients)
    assert less < 0.7 * memory


@pytest.mark.parametrize('size', [(16, 20), (12, 16)])
def test_sizes_that_eight_does_not_divide_are_refused(variables, size):
    with pytest.raises(InputError, match=f'multiples of 8, not {size[0]} x {size[1]}'):
        MODEL.apply(variables, jnp.zeros((1, *size, 3)))


def test_an_unknown_form_is_refused():
    with pytest.raises(InputError, match="upsampling is 'bilinear'"):
        VQVAE(upsampling='bilinear').init(jax.random.key(0), jnp.zeros((1, 8, 16, 3)))

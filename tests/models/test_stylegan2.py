"""StyleGAN2's networks against BasicSR's: images, logits, and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close, assert_parity, error, errors, nhwc, part

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.layers.switching import Switching
from sr_jax.models.stylegan2 import Generator
from sr_jax.models.stylegan2_discriminator import Discriminator, add_deviation
from sr_jax.pretrained import stylegan2, stylegan2_discriminator
from sr_jax.tasks.shared.style_drawing import mix_styles

TINY = dict(size=16, latent_size=5, num_mapping=2, channel_base=64, channel_max=6)


def test_the_generator_of_the_original(golden):
    arrays = golden('extra_stylegan2_generator')
    state = part(arrays, 'param/', 'buffer/')
    model, variables = Generator(**stylegan2.fields(state)), stylegan2.from_torch(state)

    @jax.jit
    def run(params, z, cotangent):
        def apply(params, z):
            return 2 * model.apply({**variables, 'params': params}, z) - 1

        y, pull_back = jax.vjp(apply, params, z)
        return y, pull_back(cotangent)

    z, cotangent = arrays['in/z'], nhwc(arrays['cotangent'])
    image, (params, latents) = run(variables['params'], z, cotangent)
    assert_close(image, nhwc(arrays['out/image']), 1e-5)
    assert_close(latents, arrays['grad/in/z'], 1e-4)
    found = stylegan2.to_torch({**variables, 'params': params})
    wanted = stylegan2.rosinality_names(part(arrays, 'grad/param/'))
    assert wanted.keys() == {name for name in found if not name.startswith('noises.')}
    assert max(error(found[name], wanted[name], 1e-3) for name in wanted) < 1e-4


def test_the_discriminator_of_the_original(golden):
    arrays = golden('extra_stylegan2_discriminator')
    model = Discriminator(**stylegan2_discriminator.fields(part(arrays, 'param/')))
    arrays['in/x'], arrays['grad/in/x'] = (arrays['in/x'] + 1) / 2, 2 * arrays['grad/in/x']

    class InTheirNames:
        from_torch = staticmethod(stylegan2_discriminator.from_torch)

        @staticmethod
        def to_torch(variables):
            state = stylegan2_discriminator.to_torch(variables)
            return {name.replace('convs.', 'conv_body.'): value for name, value in state.items()}

    assert_parity(errors(arrays, InTheirNames, model), 1e-5, 1e-4)


def test_deviations_of_a_microbatch_are_those_of_the_whole_batch():
    x = np.random.default_rng(0).normal(size=(12, 2, 3, 5)).astype(np.float32)
    whole = add_deviation(x, 3)
    assert whole.shape == (12, 2, 3, 6)
    np.testing.assert_allclose(add_deviation(x[1::2], 3), whole[1::2], rtol=1e-6)
    group = x[[2, 6, 10]].astype(np.float64)
    expected = np.sqrt(group.var(axis=0) + 1e-8).mean()
    np.testing.assert_allclose(whole[6, ..., 5], expected, rtol=1e-6)
    assert add_deviation(x[:5], 4).shape == (5, 2, 3, 6)  # no group of 4 there


def test_a_style_makes_the_layers_that_it_is_given_to():
    model = Generator(**TINY)
    assert model.num_styles == 6
    first, second = jnp.zeros((2, 5)), jnp.ones((2, 5))
    mixed = mix_styles((first, second), jnp.asarray([2, 6]), 6)
    np.testing.assert_array_equal(mixed[:, :, 0], [[0, 0, 1, 1, 1, 1], [0] * 6])


@pytest.mark.parametrize('name', ['stylegan2', 'stylegan2_discriminator'])
@pytest.mark.parametrize('size', [4, 48, 2048])
def test_sizes_that_are_no_power_of_two_are_refused(name, size):
    model = models.make({'name': name, 'size': size})
    with pytest.raises(InputError, match=rf'size is {size}: .* power of two from 8 to 1024'):
        jax.eval_shape(model.init, jax.random.key(0), model.example(1))


def test_images_of_another_size_are_refused():
    with pytest.raises(InputError, match='takes images of 16 x 16, not 24 x 16: crop them'):
        Discriminator(16).init(jax.random.key(0), jnp.zeros((1, 24, 16, 3)))


def test_any_convolution_of_the_synthesis_can_be_switched():
    layers = ('conv_4/modulated/conv', 'up_8/modulated/conv', 'rgb_16/modulated/conv')
    switched = Generator(**TINY, switching=Switching(layers=layers, network='standard'))
    params = jax.eval_shape(switched.init, jax.random.key(0), switched.example(1))['params']
    for layer in layers:
        name, *inner = layer.split('/')
        assert params[name][inner[0]]['conv']['kernel'].ndim == 5
        assert 'selector' in params[name][inner[0]]['conv']
    assert params['up_16']['modulated']['conv']['kernel'].ndim == 4

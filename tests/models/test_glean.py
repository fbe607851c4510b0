"""GLEAN, the authors' and DL-Art-School's: the originals' numbers, weights, what is refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from parity import assert_close, error, nhwc, part

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.models import glean, glean_dlas
from sr_jax.pretrained import recognition, stylegan2
from sr_jax.tasks.shared import enlarging

TINY = dict(features=3, num_blocks=1, growth=2, **tiny.NETWORKS['stylegan2'])
# Of mmagic's layers, and as they are called in the golden file, where BasicSR's stand for them.
MMAGIC = (
    (r'_ci\.weight', 'constant_input.input'),
    (r'(conv1|convs\.\d+)\.weight', r'\1.noise_injector.weight'),
    (r'(.*)\.modulated_conv\.weight', r'\1.conv.weight_orig'),
    (r'(.*)\.modulated_conv\.modulation\.weight', r'\1.conv.style_modulation.linear.weight_orig'),
    (r'(.*)\.modulated_conv\.modulation\.bias', r'\1.conv.style_modulation.bias'),
)


def mmagic(state):
    """A golden file's state by mmagic's names."""

    def rename(name):
        for pattern, replacement in MMAGIC:
            name = re.sub(rf'^generator\.{pattern}$', f'generator.{replacement}', name)
        return name

    return {rename(name): value for name, value in state.items()}


# The reader, the names, how long the original's range of images is, and what the fields must be.
CASES = {
    'extra_glean': (
        'glean',
        mmagic,
        2,
        dict(in_size=8, size=32, features=6, num_blocks=1, growth=5),
    ),
    'glean_dlas': (
        'glean_dlas',
        dict,
        1,
        dict(in_size=8, size=32, bank_size=64, features=4, max_features=6, num_blocks=2, growth=3),
    ),
}


def original(golden, case):
    """The golden file's arrays, its state by the names that are read, and what is recognized."""
    _, rename, _, _ = CASES[case]
    arrays = golden(case)
    state = rename(part(arrays, 'param/', 'buffer/'))
    return arrays, state, recognition.recognize(state, 'x')


def apply_as_there(found, span):
    """The function of parameters and images of the original's range, which has that length."""
    model, offset = models.make(found.model), (span - 1) / 2

    def apply(params, x):
        image = model.apply({**found.variables, 'params': params}, x / span + offset)
        return span * (image - offset)

    return apply


@pytest.mark.parametrize('case', CASES)
def test_images_and_weights_of_the_original(golden, case):
    name, _, span, known = CASES[case]
    arrays, state, found = original(golden, case)
    assert found.model == {'name': name, **found.model, **known}
    back = recognition.foreign_names(name, models.make(found.model), found.variables, 'x')
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value, err_msg=key)
    assert all('kernel' in key for key in back.keys() - state.keys())
    apply = jax.jit(apply_as_there(found, span))
    image = apply(found.variables['params'], nhwc(arrays['in/x']))
    assert_close(image, nhwc(arrays['out/y']), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('case', CASES)
def test_gradients_of_the_original(golden, case):
    name, rename, span, _ = CASES[case]
    arrays, _, found = original(golden, case)

    @jax.jit
    def run(params, x, cotangent):
        return jax.vjp(apply_as_there(found, span), params, x)[1](cotangent)

    given = nhwc(arrays['in/x']), nhwc(arrays['cotangent'])
    params, x = run(found.variables['params'], *given)
    assert_close(x, nhwc(arrays['grad/in/x']), 1e-4)
    variables = {**found.variables, 'params': params}
    gradients = recognition.foreign_names(name, models.make(found.model), variables, 'x')
    wanted = {
        key: value
        for key, value in rename(part(arrays, 'grad/param/')).items()
        if 'generator.' not in key  # there zeros are stored of the generator, which rests
    }
    largest = max(np.abs(value).max() for value in wanted.values())
    assert max(error(gradients[key], wanted[key], 1e-3 * largest) for key in wanted) < 1e-4


def variables_of(model):
    return jax.eval_shape(model.init, jax.random.key(0), model.example(1))


@pytest.mark.parametrize('module', [glean, glean_dlas])
def test_the_generator_is_no_parameter(module):
    larger = {'bank_size': 16} if module is glean_dlas else {}
    variables = variables_of(module.GLEAN(in_size=4, **TINY, **larger))
    bank = models.make({'name': 'stylegan2', **tiny.NETWORKS['stylegan2']})
    alone = variables_of(bank.clone(size=larger.get('bank_size', bank.size)))
    shapes = (jax.tree.map(jnp.shape, dict(x)) for x in (variables['generator'], alone))
    assert next(shapes) == next(shapes)
    assert 'generator' not in variables['params']


@pytest.mark.parametrize('module', [glean, glean_dlas])
@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        ((4, 48), 'size is 48: .* power of two from 8'),
        ((16, 16), 'in_size is 16: .* power of two from 4 to 8, half of size'),
        ((6, 16), 'in_size is 6: .* power of two from 4 to 8'),
        ((0, 16), 'in_size is 0: .* power of two from 4 to 8'),
    ],
)
def test_sizes_that_there_are_not_are_refused(module, sizes, message):
    model = module.GLEAN(**{**TINY, 'in_size': sizes[0], 'size': sizes[1]})
    with pytest.raises(InputError, match=message):
        variables_of(model)
    with pytest.raises(InputError, match=message):
        _ = model.scale


@pytest.mark.parametrize('module', [glean, glean_dlas])
def test_images_of_another_size_are_refused(module):
    model = module.GLEAN(**TINY, in_size=4)
    with pytest.raises(InputError, match='images of 4 x 4, not 8 x 12: crop or resize them'):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 12, 3)))


def test_crops_of_another_size_and_a_bank_too_small_are_refused():
    with pytest.raises(InputError, match='crop_size=16: .* of 8 pixels, of those of 4: take 8'):
        enlarging.check_enlarger(glean.GLEAN(**TINY, in_size=4), 16)
    with pytest.raises(InputError, match='bank_size=4 must be at least size=8'):
        variables_of(glean_dlas.GLEAN(**TINY, in_size=4, bank_size=4))


def test_weights_of_another_channel_table_are_refused(golden):
    state = mmagic(part(golden('extra_glean'), 'param/', 'buffer/'))
    state['generator.convs.1.conv.weight_orig'] = np.zeros((1, 3, 3, 3, 3), np.float32)
    with pytest.raises(InputError, match="x: .*StyleGAN2's generator.*: 3 channels at 8 pixels"):
        recognition.recognize(state, 'x')
    assert not stylegan2.matches(state)

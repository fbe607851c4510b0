"""Each layer of the flow against the authors' code, in both directions, with gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import error, nhwc, part

from sr_jax.layers.convolution import convolve
from sr_jax.layers.flow.act_norm import ActNorm
from sr_jax.layers.flow.coupling import ConditionalCoupling, ZeroConvolution
from sr_jax.layers.flow.gaussian import log_density
from sr_jax.layers.flow.mixing import InvertibleConvolution
from sr_jax.layers.flow.split import Split
from sr_jax.layers.flow.steps import FlowStep
from sr_jax.layers.resampling import pixel_shuffle, pixel_unshuffle
from sr_jax.pretrained import srflow as weights
from sr_jax.pretrained.layouts import Entry, read

CHANNELS = 12
HIDDEN = 9
TOLERANCE = 2e-5


def layer(name):
    """The module of a case, and a function from its PyTorch arrays to variables."""
    params = ('params',)
    module, entries = {
        'actnorm': (ActNorm(6), weights.act_norm_entries('x', params)),
        'invconv': (
            InvertibleConvolution(CHANNELS),
            [Entry('x.weight', ('params', 'weight'), 'vector')],
        ),
        'coupling': (ConditionalCoupling(CHANNELS, HIDDEN), weights.coupling_entries('x', params)),
        'flowstep': (FlowStep(CHANNELS, hidden=HIDDEN), weights.step_entries('x.', params, True)),
        'flowstep_nocoupling': (
            FlowStep(CHANNELS, coupled=False),
            weights.step_entries('x.', params, False),
        ),
        'split2d': (
            Split(CHANNELS),
            weights.zero_convolution_entries('x.conv', ('params', 'prior')),
        ),
        'conv2dzeros': (ZeroConvolution(8), weights.zero_convolution_entries('x', params)),
    }[name]
    entries = list(entries)
    return module, lambda arrays: read({f'x.{k}': v for k, v in arrays.items()}, entries, name)


def compare(actual, expected):
    """The largest relative error in a tree."""
    return max(jax.tree.leaves(jax.tree.map(error, actual, expected)))


@pytest.mark.parametrize('back', [False, True], ids=['forward', 'inverse'])
@pytest.mark.parametrize(
    'name', ['actnorm', 'invconv', 'coupling', 'flowstep', 'flowstep_nocoupling', 'split2d']
)
def test_layers_both_ways(golden, name, back):
    arrays = golden(f'srflow_{name}')
    module, variables_of = layer(name)
    direction, suffix, logdet = ('rev', 'zr', 'logdet_r') if back else ('fwd', 'z', 'logdet')
    maps = {'maps': [nhwc(arrays['in/ft'])]} if 'in/ft' in arrays else {}
    if name == 'flowstep_nocoupling':
        maps = {'maps': []}
    latents = {'latents': nhwc(arrays['in/eps_r'])} if back and name == 'split2d' else {}

    def outputs(variables, z, maps, latents):
        if not back:
            return result(module.apply(variables, z, **maps), 1)
        z = module.apply(variables, z, **maps, **latents, method='inverse')
        # Their inverses also subtract the log-determinant, which is that of the way there.
        return {**result(module.apply(variables, z, **maps), -1), 'z': z}

    def result(returned, sign):
        z, *leaving, gained = returned
        return {'z': z, 'logdet': arrays[f'in/{logdet}'] + sign * gained, 'eps': leaving[:1]}

    cotangents = {
        'z': nhwc(arrays[f'{direction}/cotangent']),
        'logdet': arrays[f'{direction}/cotangent_logdet'],
        'eps': [],
    }
    if name == 'split2d':
        given = arrays.get(f'{direction}/cotangent_eps', np.zeros_like(arrays['fwd/out/eps']))
        cotangents['eps'] = [nhwc(given)]

    @jax.jit
    def run(*inputs):
        values, pull_back = jax.vjp(outputs, *inputs)
        return values, pull_back(cotangents)

    variables = variables_of(part(arrays, 'param/'))
    values, (of_variables, of_z, of_maps, of_latents) = run(
        variables, nhwc(arrays[f'in/{suffix}']), maps, latents
    )
    found = {
        key: error(values[key], nhwc(arrays[f'{direction}/out/{key}'])) for key in ('z', 'logdet')
    }
    if name == 'split2d' and not back:
        found['eps'] = error(values['eps'][0], nhwc(arrays['fwd/out/eps']))
    of_inputs = {suffix: of_z, 'eps_r': of_latents.get('latents')}
    of_inputs['ft'] = next(iter(of_maps.get('maps', ())), None)
    found['of variables'] = compare(
        of_variables, variables_of(part(arrays, f'{direction}/grad/param/'))
    )
    for key, value in part(arrays, f'{direction}/grad/in/').items():
        found[f'of {key}'] = error(of_inputs[key], nhwc(value))
    assert max(found.values()) < TOLERANCE, found


def test_zero_convolution(golden):
    arrays = golden('srflow_conv2dzeros')
    module, variables_of = layer('conv2dzeros')
    y, pull_back = jax.vjp(
        jax.jit(module.apply), variables_of(part(arrays, 'param/')), nhwc(arrays['in/x'])
    )
    of_variables, of_x = pull_back(nhwc(arrays['cotangent']))
    assert error(y, nhwc(arrays['out/y'])) < TOLERANCE
    assert error(of_x, nhwc(arrays['grad/in/x'])) < TOLERANCE
    assert compare(of_variables, variables_of(part(arrays, 'grad/param/'))) < TOLERANCE


def test_convolution_with_act_norm(golden):
    # As every coupling's first two layers are.
    arrays = golden('srflow_conv2d_actnorm')
    norm_of = layer('actnorm')[1]

    def variables_of(prefix):
        found = part(arrays, prefix)
        norm = {name: found[f'actnorm.{name}'] for name in ('bias', 'logs')}
        return jnp.asarray(found['weight'].transpose(2, 3, 1, 0)), norm_of(norm)

    @jax.jit
    def run(kernel, variables, x):
        return ActNorm(7).apply(variables, convolve(x, kernel))[0]

    y, pull_back = jax.vjp(run, *variables_of('param/'), nhwc(arrays['in/x']))
    *of_variables, of_x = pull_back(nhwc(arrays['cotangent']))
    assert error(y, nhwc(arrays['out/y'])) < TOLERANCE
    assert error(of_x, nhwc(arrays['grad/in/x'])) < TOLERANCE
    assert compare(tuple(of_variables), variables_of('grad/param/')) < TOLERANCE


def test_act_norm_begins_with_the_data(golden):
    arrays = golden('srflow_actnorm_init')
    module, variables_of = layer('actnorm')
    x = nhwc(arrays['in/x'])
    (y, gained), begun = module.apply(module.init(jax.random.key(0), x), x, mutable=['params'])
    assert compare(begun, variables_of(part(arrays, 'param_after/'))) < TOLERANCE
    assert error(y, nhwc(arrays['out/z'])) < TOLERANCE
    assert error(arrays['in/logdet'] + gained, arrays['out/logdet']) < TOLERANCE
    _, again = module.apply(begun, 3 * x + 1, mutable=['params'])
    assert compare(again, begun) == 0


@pytest.mark.parametrize('scale', [0.3, 2.0])
def test_act_norm_begins_with_the_deviation_asked_for(golden, scale):
    arrays = golden('srflow_actnorm_init')
    x = nhwc(arrays['in/x'])
    module = ActNorm(6, scale)
    (y, _), begun = module.apply(module.init(jax.random.key(0), x), x, mutable=['params'])
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), scale, rtol=1e-5)
    of_one = part(arrays, 'param_after/')['logs'].ravel()
    np.testing.assert_allclose(begun['params']['log_scale'] - of_one, np.log(scale), rtol=1e-5)


def test_a_step_begins_with_the_data_inside_its_coupling_too(golden):
    arrays = golden('srflow_flowstep_init')
    module, variables_of = layer('flowstep')
    fresh, after = (variables_of(part(arrays, prefix)) for prefix in ('param/', 'param_after/'))
    start = jax.jit(functools.partial(module.apply, mutable=['params']))
    (z, gained), begun = start(fresh, nhwc(arrays['in/z']), [nhwc(arrays['in/ft'])])
    assert compare(begun, after) < TOLERANCE
    assert error(z, nhwc(arrays['out/z'])) < TOLERANCE
    assert error(arrays['in/logdet'] + gained, arrays['out/logdet']) < TOLERANCE


def test_gaussian(golden):
    arrays = golden('srflow_gaussian')
    x, mean, logs = (nhwc(arrays[f'in/{name}']) for name in ('x', 'mean', 'logs'))
    assert error(log_density(x, mean, logs), arrays['out/logp']) < TOLERANCE
    assert error(log_density(x), arrays['out/logp_std']) < TOLERANCE


def test_squeeze(golden):
    arrays = golden('srflow_squeeze')
    assert (pixel_unshuffle(nhwc(arrays['in/x']), 2) == nhwc(arrays['out/squeezed'])).all()
    assert (pixel_shuffle(nhwc(arrays['in/u']), 2) == nhwc(arrays['out/unsqueezed'])).all()

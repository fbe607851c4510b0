"""SRFlow against the authors' code: feature maps, latents, likelihoods, images, gradients."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_program import apply
from parity import assert_parity, error, nhwc, part

from sr_jax.errors import InputError
from sr_jax.models.srflow import SRFlow
from sr_jax.pretrained import srflow as weights

SMALL = dict(features=5, num_blocks=2, growth=3, stacked=1, steps=4, hidden=7)
LATENTS = {4: 2, 8: 3}


def model_of(arrays):
    fields = weights.fields(part(arrays, 'param/'))
    described = json.loads(str(arrays['meta/json']))['hp']
    assert fields['stacked'] == len(described['stackRRDB_blocks'])
    return SRFlow(**fields)


def latents(arrays, prefix, scale):
    return tuple(nhwc(arrays[f'{prefix}{i}']) for i in range(LATENTS[scale]))


@pytest.fixture(params=[4, pytest.param(8, marks=pytest.mark.slow)])
def case(request, golden):
    arrays = golden(f'srflow_net_x{request.param}')
    model = model_of(arrays)
    assert model.scale == request.param
    return arrays, model, weights.from_torch(part(arrays, 'param/'))


def test_latents_and_likelihood_against_the_original(case):
    arrays, model, variables = case
    lq, hq = nhwc(arrays['in/lr']), nhwc(arrays['in/gt'])
    expected = part(arrays, 'enc/grad/param/')
    pixels = hq.shape[1] * hq.shape[2]

    @jax.jit
    def run(variables, lq, hq):
        def nll(variables, lq, hq):
            condition = model.apply(variables, lq, method='condition')
            encoding = model.apply(variables, hq, condition, method='encode')
            bits = -encoding.log_likelihood / (math.log(2) * pixels)
            return bits.sum(), (encoding, bits)

        return jax.grad(nll, argnums=(0, 1, 2), has_aux=True)(variables, lq, hq)

    (gradients, of_lq, of_hq), (encoding, bits) = run(variables, lq, hq)
    found = {'nll': error(bits, arrays['enc/out/nll'])}
    for i, value in enumerate(encoding.latents):
        found[f'latents {i}'] = error(value, nhwc(arrays[f'enc/out/eps{i}']))
    found['grad/lq'] = error(of_lq, nhwc(arrays['enc/grad/in/lr']))
    found['grad/hq'] = error(of_hq, nhwc(arrays['enc/grad/in/gt']))
    actual = weights.to_torch(gradients)
    # Of the encoder's last layers they have no gradients, since nothing depends on them.
    assert expected.keys() <= actual.keys()
    largest = max(np.abs(value).max() for value in expected.values())
    for name, value in actual.items():
        reference = expected.get(name, np.zeros_like(value))
        found[f'grad/{name}'] = error(value, reference, 1e-3 * largest)
    assert_parity(found, rtol=2e-5, gradients_rtol=2e-4)
    assert all(flags.all() for flags in encoding.finite.values())


def test_images_against_the_original(case):
    arrays, model, variables = case
    lq, given = nhwc(arrays['in/lr']), latents(arrays, 'in/dec_eps', model.scale)
    cotangent = nhwc(arrays['dec/cotangent'])

    @jax.jit
    def run(variables, lq, given, cotangent):
        def decode(lq, given):
            return model.apply(variables, lq, given, method='sample')

        image, pull_back = jax.vjp(decode, lq, given)
        return image, model.apply(variables, lq), *pull_back(cotangent)

    image, mean, of_lq, of_latents = run(variables, lq, given, cotangent)
    found = {'image': error(image, nhwc(arrays['dec/out/sr']))}
    found['mean'] = error(mean, nhwc(arrays['dec_heat0/out/sr']))
    found['grad/lq'] = error(of_lq, nhwc(arrays['dec/grad/in/lr']))
    for i, value in enumerate(of_latents):
        found[f'grad/{i}'] = error(value, nhwc(arrays[f'dec/grad/in/dec_eps{i}']))
    assert_parity(found, rtol=2e-5, gradients_rtol=2e-4)


@pytest.mark.slow
def test_decoding_gives_the_encoded_image_again(case):
    arrays, model, variables = case

    @jax.jit
    def run(lq, hq):
        condition = model.apply(variables, lq, method='condition')
        encoding = model.apply(variables, hq, condition, method='encode')
        return model.apply(variables, condition, encoding.latents, method='decode')

    hq = nhwc(arrays['in/gt'])
    np.testing.assert_allclose(run(nhwc(arrays['in/lr']), hq), hq, atol=1e-4)


def test_weights_come_back_under_the_original_names(case):
    arrays, _, variables = case
    written = weights.to_torch(variables)
    given = part(arrays, 'param/')
    assert written.keys() == given.keys()
    for name, value in given.items():
        np.testing.assert_array_equal(written[name], value)


def test_the_published_networks_have_so_many_parameters():
    for fields, expected in (({}, 39_265_235), (dict(scale=8, num_blocks=8), 39_753_955)):
        shapes = jax.eval_shape(SRFlow(**fields).init, jax.random.key(0), jnp.zeros((1, 2, 4, 3)))
        assert sum(x.size for x in jax.tree.leaves(shapes)) == expected


@pytest.mark.parametrize('scale', LATENTS)
def test_odd_sides_and_other_scales_are_refused(scale):
    model = SRFlow(scale=scale, **SMALL)
    with pytest.raises(InputError, match='multiples of 2, not 4 x 3'):
        model.init(jax.random.key(0), jnp.zeros((1, 4, 3, 3)))
    with pytest.raises(InputError, match='by 4 or 8, not by 2'):
        SRFlow(scale=2).init(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))
    with pytest.raises(InputError, match='min_scale=1.5: take one between'):
        SRFlow(min_scale=1.5).init(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))
    with pytest.raises(InputError, match='max_noise=-1: take 0'):
        SRFlow(max_noise=-1).init(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))
    for stacked in (0, 3):
        with pytest.raises(InputError, match=f'stacked={stacked} of num_blocks=2: take at least 1'):
            SRFlow(**SMALL | {'stacked': stacked}).init(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))


@pytest.mark.slow
def test_half_precision_keeps_likelihoods_in_float32(golden):
    arrays = golden('srflow_net_x4')
    variables = weights.from_torch(part(arrays, 'param/'))
    fields = weights.fields(part(arrays, 'param/'))

    def bits(dtype):
        model = SRFlow(**fields, dtype=dtype)
        condition = model.apply(variables, nhwc(arrays['in/lr']), method='condition')
        encoding = model.apply(variables, nhwc(arrays['in/gt']), condition, method='encode')
        assert {x.dtype for x in encoding.latents} == {jnp.dtype('float32')}
        return encoding.log_likelihood / arrays['in/gt'][0].size

    np.testing.assert_allclose(
        jax.jit(bits, static_argnums=0)('bfloat16'), bits('float32'), atol=0.1
    )


def test_the_flow_is_told_how_much_noise_there_is():
    model, x = SRFlow(**SMALL, max_noise=0.1), jnp.full((2, 4, 6, 3), 0.5)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda p: np.full(p.shape, 0.1, np.float32), variables)
    without = apply(model.clone(max_noise=0.0), variables, x, method='condition')
    told = apply(model, variables, x, jnp.array([0.0, 0.05]), method='condition')
    untold = apply(model, variables, x, method='condition')
    for (near, stacked), (own, more), (_, none) in zip(without, told, untold, strict=True):
        np.testing.assert_array_equal(near, own)
        np.testing.assert_array_equal(more[..., :-1], stacked)
        np.testing.assert_allclose(more[..., -1], np.broadcast_to([[[0]], [[0.5]]], more.shape[:3]))
        assert not none[..., -1].any()


def test_a_flow_that_mixes_neighbours_looks_at_whole_images():
    assert SRFlow(**SMALL, mixing='emerging').halo is None
    assert SRFlow(**SMALL).halo

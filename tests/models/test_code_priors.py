"""Priors over codes: the published PixelSNAIL, causality, and steps that give what a call gives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close, part

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.layers.causal_attention import CausalAttention
from sr_jax.layers.gated_block import GatedBlock
from sr_jax.layers.rotary import make_angles, rotate
from sr_jax.layers.weight_norm import fold
from sr_jax.models.code_transformer import Block, CodeTransformer
from sr_jax.models.pixelsnail import PixelSNAIL
from sr_jax.pretrained import pixelsnail as weights

HEIGHT, WIDTH, COUNT = 4, 6, 5
PLACES = HEIGHT * WIDTH


def published(arrays):
    """The network of a fixture, its variables, and the arguments it was called with."""
    state = part(arrays, 'param/', 'buffer/')
    condition = arrays.get('in/condition')
    codes = jnp.asarray(arrays['in/codes'], jnp.int32)
    above = None if condition is None else jnp.asarray(condition, jnp.int32)
    return PixelSNAIL(**weights.fields(state)), weights.from_torch(state), (codes, above)


def walk(module, variables, codes, condition=None, label=None):
    """The logits of every code, step by step."""
    apply = functools.partial(module.apply, fold(module, variables, codes, condition, label))
    count, height, width = codes.shape

    def row(i, carry):
        cache, logits = carry
        cache = apply(fixed, cache, codes, i, method='start_row')

        def column(j, carry):
            cache, logits = carry
            found, cache = apply(fixed, cache, codes, i, j, method='step')
            return cache, logits.at[:, i, j].set(found)

        return jax.lax.fori_loop(0, width, column, (cache, logits))

    fixed = apply(count, condition, label, method='start')
    start = apply(count, method='start_cache'), jnp.zeros((*codes.shape, module.codes))
    return jax.lax.fori_loop(0, height, row, start)[1]


@pytest.mark.parametrize('level', ['top', 'bottom'])
def test_it_is_the_published_one_in_values_and_gradients_and_step_by_step(golden, level):
    arrays = golden(f'pixelsnail_{level}')
    module, variables, arguments = published(arrays)

    @jax.jit
    def run(params, cotangent):
        logits, pull_back = jax.vjp(
            lambda params: module.apply({**variables, 'params': params}, *arguments), params
        )
        return logits, pull_back(cotangent)[0], walk(module, variables, *arguments)

    cotangent = arrays['cotangent'].transpose(0, 2, 3, 1)
    logits, gradients, stepped = run(variables['params'], cotangent)
    assert_close(logits, arrays['out/y'].transpose(0, 2, 3, 1))
    np.testing.assert_allclose(stepped, logits, atol=1e-4)
    expected = part(arrays, 'grad/param/')
    largest = max(np.abs(value).max() for value in expected.values())
    found = weights.to_torch({**variables, 'params': gradients})
    for name, value in expected.items():
        if 'resblocks' in name and name.endswith('weight_v') and value.shape[-1] > 1:
            # Taps that it puts to zero before every pass have gradients there, of no effect.
            value[:, :, -1, value.shape[-1] // 2 :] = 0
        scale = max(np.abs(value).max(), 1e-3 * largest)
        assert_close(found[name], value, rtol=1e-3, name=name, scale=scale)


def test_its_weights_are_read_and_written(golden):
    for level, fields in (
        ('top', dict(codes=7, height=5, width=6, channels=32, kernel_size=5, num_blocks=1)),
        ('bottom', dict(codes=9, height=6, width=8, channels=10, kernel_size=3, num_blocks=2)),
    ):
        state = part(golden(f'pixelsnail_{level}'), 'param/', 'buffer/')
        assert weights.matches(state)
        assert fields.items() <= weights.fields(state).items()
        variables, module = weights.from_torch(state), PixelSNAIL(**weights.fields(state))
        shapes = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
        assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, dict(shapes))
        back = weights.to_torch(variables)
        assert back.keys() == state.keys()
        assert all(np.array_equal(back[name], state[name]) for name in state)
    state.pop('out.1.conv.bias')
    with pytest.raises(InputError, match=r'not the weights of a PixelSNAIL.*out\.1\.conv\.bias'):
        weights.from_torch(state)


@pytest.mark.parametrize('key', ['kernel_size', 'condition_kernel'])
def test_kernels_have_a_middle_and_are_no_larger_than_maps(key):
    tiny = dict(name='pixelsnail', codes=5, height=3, width=4, channels=8, heads=2)
    for size, message in ((6, 'it must be odd'), (0, key), (101, key)):
        with pytest.raises(InputError, match=message):
            module = models.make({**tiny, key: size})
            jax.eval_shape(module.init, jax.random.key(0), module.example(2))


PRIORS = {
    'pixelsnail': PixelSNAIL(
        **dict(codes=7, height=HEIGHT, width=WIDTH, channels=12, kernel_size=3, num_blocks=1),
        **dict(num_res_blocks=1, res_channels=5, heads=3, num_out_blocks=1, classes=3),
        **dict(num_condition_blocks=1, condition_codes=8, condition_channels=4),
    ),
    'code_transformer': CodeTransformer(
        **dict(codes=7, height=HEIGHT, width=WIDTH, channels=24, num_layers=1, heads=3, classes=3),
        **dict(num_condition_layers=1, condition_codes=8),
    ),
}


@pytest.mark.parametrize(
    'name', [pytest.param('pixelsnail', marks=pytest.mark.slow), 'code_transformer']
)
def test_no_logit_sees_its_code_or_later_ones_and_steps_give_what_a_call_gives(name):
    module = PRIORS[name]
    rng = np.random.default_rng(0)
    codes = rng.integers(7, size=(1, HEIGHT, WIDTH)).astype(np.int32)
    above = rng.integers(8, size=(1, HEIGHT // 2, WIDTH // 2)).astype(np.int32)
    label = np.asarray([1])

    @jax.jit
    def run(key):
        variables = module.init(key, codes, above, label)
        variables = jax.tree.map(lambda x: x + 0.1 * jax.random.normal(key, x.shape), variables)
        # A map for each place, in which the code there is another one.
        changed = jnp.tile(codes.reshape(1, -1), (PLACES, 1))
        changed = (changed + jnp.eye(PLACES, dtype=jnp.int32)) % 7
        changed = jnp.concatenate([codes, changed.reshape(-1, HEIGHT, WIDTH)])
        count = len(changed)
        given = jnp.repeat(above, count, axis=0), jnp.repeat(label, count)
        whole = module.apply(variables, changed, *given)
        stepped = walk(module, variables, changed[:COUNT], given[0][:COUNT], given[1][:COUNT])
        untold = module.apply(variables, codes, above)
        return whole, stepped, untold

    whole, stepped, untold = jax.device_get(run(jax.random.key(0)))
    np.testing.assert_allclose(stepped, whole[:COUNT], atol=1e-4)
    difference = np.abs(whole[1:] - whole[:1]).max(axis=-1).reshape(PLACES, PLACES)
    assert_causal(difference, strict=True)
    assert np.abs(untold - whole[:1]).max() > 1e-3  # the class matters


def assert_causal(difference, strict):
    """Holds [changed place, place] to: nothing before (or at) it moves, what is next to it does."""
    before = np.arange(PLACES)[None, :] < np.arange(PLACES)[:, None] + strict
    assert difference[before].max() < 1e-6
    following = np.arange(PLACES - 1)
    following = following[following % WIDTH < WIDTH - 1]  # PixelSNAIL is blind at the end of a row
    assert difference[following, following + 1].min() > 1e-6


def perturbed(call, channels, key):
    """How far each place moves, [changed, place], when the features at one place change."""
    x = jax.random.normal(key, (PLACES, channels))
    other = jax.random.normal(jax.random.fold_in(key, 1), (1, 1, channels))
    changed = x[None] + jnp.eye(PLACES)[:, :, None] * other
    both = jnp.concatenate([x[None], changed])
    y = call(both.reshape(-1, HEIGHT, WIDTH, channels)).reshape(PLACES + 1, PLACES, -1)
    return jnp.abs(y[1:] - y[:1]).max(axis=-1)


def spread(variables, key):
    return jax.tree.map(lambda x: x + 0.3 * jax.random.normal(key, x.shape), variables)


def test_every_block_is_causal():
    snail = GatedBlock(4, 5, 3, causal=True)
    attention = CausalAttention(6, heads=2, dropout=0.0, dtype='float32')
    block = Block(8, heads=2, dropout=0.0, depth=1, dtype='float32')
    angles = make_angles(HEIGHT, WIDTH, 4)

    def transform(variables, x):
        return block.apply(variables, x.reshape(len(x), PLACES, -1), angles, False)

    @jax.jit
    def run(key):
        x = jnp.zeros((1, HEIGHT, WIDTH, 8))
        gated = spread(snail.init(key, x[..., :4]), key)
        attending = spread(attention.init(key, x, x), key)
        transforming = spread(block.init(key, x.reshape(1, PLACES, 8), angles, False), key)
        return (
            perturbed(functools.partial(snail.apply, gated), 4, key),
            perturbed(lambda x: attention.apply(attending, 0 * x + 1, x), 8, key),
            perturbed(functools.partial(transform, transforming), 8, key),
        )

    gated, attending, transforming = jax.device_get(run(jax.random.key(0)))
    places = np.arange(PLACES)
    earlier = places[None, :] < places[:, None]
    for difference in (gated, attending, transforming):
        assert difference[earlier].max() < 1e-6
    assert np.diag(gated).min() > 1e-3  # through the sum alone
    assert np.diag(attending).max() < 1e-6
    assert np.abs(attending[earlier.T]).min() > 1e-6  # it sees all before
    assert np.abs(transforming[earlier.T]).min() > 1e-6
    row, column = divmod(places, WIDTH)
    near = (row[None] - row[:, None] <= 4) & (np.abs(column[None] - column[:, None]) <= 2)
    assert gated[earlier.T & ~near].max() < 1e-6  # two convolutions of 3 x 3


def test_rotary_products_depend_on_how_far_apart_places_lie():
    angles = make_angles(5, 7, 8)
    query, key = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    turned = [rotate(jnp.tile(x, (1, 35, 1, 1)), angles)[0, :, 0] for x in (query, key)]
    products = np.asarray(turned[0] @ turned[1].T).reshape(5, 7, 5, 7)
    np.testing.assert_allclose(products[0, 1, 2, 4], products[2, 3, 4, 6], rtol=1e-4)
    assert abs(products[0, 1, 2, 4] - products[0, 1, 3, 4]) > 1e-3
    assert abs(products[0, 1, 2, 4] - products[0, 1, 2, 5]) > 1e-3
    with pytest.raises(InputError, match='multiple of 4 times the heads'):
        make_angles(5, 7, 6)


def test_heads_that_do_not_divide_are_named():
    for module in (PixelSNAIL(channels=20, heads=3), CodeTransformer(channels=20, heads=3)):
        with pytest.raises(InputError, match='split into 3'):
            jax.eval_shape(module.init, jax.random.key(0), module.example(1))
